//! Pages of a list, with links to their neighbours, as Django REST framework makes them.

use std::ops::Range;

use serde::Serialize;

use super::limits::{PAGE_LEN, PAGE_LEN_MAX};
use super::query::Params;

/// There is no such page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidPage;

/// Which page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    /// From 1; none: the last.
    number: Option<usize>,
    len: usize,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Envelope<T> {
    count: usize,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<T>,
}

/// No list has more pages.
const PAGE_MAX: usize = usize::MAX / PAGE_LEN_MAX;

/// Blanks around it and a sign may be there; one beyond all lists is the largest.
fn whole(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_whole.then(|| digits.parse().unwrap_or(usize::MAX))
}

impl Page {
    fn read(params: &Params) -> Result<Self, InvalidPage> {
        let len = params.last("page_size").and_then(whole).filter(|&len| len > 0).unwrap_or(PAGE_LEN);
        let number = match params.last("page") {
            None => Some(1),
            Some("last") => None,
            Some(text) => {
                let number = whole(text).filter(|number| (1..=PAGE_MAX).contains(number));
                Some(number.ok_or(InvalidPage)?)
            }
        };
        Ok(Self { number, len: len.min(PAGE_LEN_MAX) })
    }

    /// Which rows of `count` it holds, and its number and that of the last page.
    fn rows(self, count: usize) -> Result<(Range<usize>, usize, usize), InvalidPage> {
        let last = count.div_ceil(self.len).max(1);
        let number = self.number.unwrap_or(last);
        if number > last {
            return Err(InvalidPage);
        }
        let from = (number - 1) * self.len;
        Ok((from..count.min(from + self.len), number, last))
    }
}

/// A page of a list that is cut by whoever knows it: where it begins and how many rows it takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) number: usize,
    pub(super) skip: usize,
    pub(super) len: usize,
}

/// The window that `params` ask for; `count` is asked for where that is the last page.
pub(super) async fn window<E: From<InvalidPage>>(
    params: &Params,
    count: impl AsyncFnOnce() -> Result<usize, E>,
) -> Result<Window, E> {
    let page = Page::read(params)?;
    let number = match page.number {
        Some(number) => number,
        None => count().await?.div_ceil(page.len).max(1),
    };
    Ok(Window { number, skip: (number - 1).saturating_mul(page.len), len: page.len })
}

/// The envelope of a window with these rows, of `count` in all.
pub(super) fn enveloped<T>(
    window: Window,
    results: Vec<T>,
    count: usize,
    has_next: bool,
    params: &Params,
    url: &str,
) -> Result<Envelope<T>, InvalidPage> {
    if results.is_empty() && window.number > 1 {
        return Err(InvalidPage);
    }
    Ok(Envelope {
        count,
        next: has_next.then(|| link(url, params, window.number + 1)),
        previous: (window.number > 1).then(|| link(url, params, window.number - 1)),
        results,
    })
}

/// The page of `rows` that `params` ask for, each row made by `show`. `url` is the address without
/// its query.
pub(super) fn page<R, T>(
    rows: &[R],
    params: &Params,
    url: &str,
    show: impl Fn(&R) -> T,
) -> Result<Envelope<T>, InvalidPage> {
    let (range, number, last) = Page::read(params)?.rows(rows.len())?;
    Ok(Envelope {
        count: rows.len(),
        next: (number < last).then(|| link(url, params, number + 1)),
        previous: (number > 1).then(|| link(url, params, number - 1)),
        results: rows[range].iter().map(show).collect(),
    })
}

/// The address of another page: every parameter, sorted and escaped; page 1 goes without a number.
fn link(url: &str, params: &Params, number: usize) -> String {
    let number = number.to_string();
    let mut pairs: Vec<(&str, &str)> = params.iter().filter(|(name, _)| *name != "page").collect();
    if number != "1" {
        pairs.push(("page", &number));
    }
    // Stable: several values of one name keep their order.
    pairs.sort_by_key(|(name, _)| *name);
    let query: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    if query.is_empty() { url.to_owned() } else { format!("{url}?{}", query.join("&")) }
}

/// As in a form: a blank is `+`, and all but letters, digits and `_.-` is written in hex.
fn escaped(text: &str) -> String {
    let byte = |b: u8| match b {
        b' ' => "+".to_owned(),
        _ if b.is_ascii_alphanumeric() || b"_.-".contains(&b) => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(query: &str, count: usize) -> Result<Envelope<usize>, InvalidPage> {
        let rows: Vec<usize> = (0..count).collect();
        page(&rows, &Params::of(query), "http://h/v6/load/", |row| *row)
    }

    #[test]
    fn pages_are_cut_and_linked() {
        let check = |query: &str, count, rows: Range<usize>, next: Option<&str>, previous: Option<&str>| {
            let link = |query: &str| match query {
                "" => "http://h/v6/load/".to_owned(),
                _ => format!("http://h/v6/load/?{query}"),
            };
            let expected = Envelope {
                count,
                next: next.map(link),
                previous: previous.map(link),
                results: rows.collect(),
            };
            assert_eq!(cut(query, count), Ok(expected), "{query}");
        };
        check("", 0, 0..0, None, None);
        check("", 100, 0..100, None, None);
        check("", 101, 0..100, Some("page=2"), None);
        check("page=2", 101, 100..101, None, Some(""));
        check("page_size=2", 5, 0..2, Some("page=2&page_size=2"), None);
        check("page_size=2&page=2", 5, 2..4, Some("page=3&page_size=2"), Some("page_size=2"));
        check("page_size=2&page=last", 5, 4..5, None, Some("page=2&page_size=2"));
        check("page=last", 0, 0..0, None, None);
        check("page=%202&page_size=+%2B3", 4, 3..4, None, Some("page_size=+%2B3"));
        check("page_size=99999999999999999999", 2, 0..2, None, None);
        check("page_size=0", 101, 0..100, Some("page=2&page_size=0"), None);
        check("page_size=-3", 101, 0..100, Some("page=2&page_size=-3"), None);
        check("page_size=x", 101, 0..100, Some("page=2&page_size=x"), None);
        check("page_size=9999", 1_001, 0..1_000, Some("page=2&page_size=9999"), None);
        check("page=1&page=2&page_size=1", 2, 1..2, None, Some("page_size=1"));
        check(
            "started=P1D&a=%C3%A4%20b&page_size=1",
            2,
            0..1,
            Some("a=%C3%A4+b&page=2&page_size=1&started=P1D"),
            None,
        );
    }

    #[test]
    fn pages_that_are_not_there_are_refused() {
        for bad in
            ["page=0", "page=2", "page=-1", "page=abc", "page=", "page=1.0", "page=99999999999999999999"]
        {
            assert_eq!(cut(bad, 3), Err(InvalidPage), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics(query in "[a-z0-9=&%_+-]{0,40}", page in "[0-9a-z-]{0,24}", len in "[0-9-]{0,24}", count in 0usize..50) {
            let query = format!("{query}&page={page}&page_size={len}");
            if let Ok(uri) = format!("/?{query}").parse::<axum::http::Uri>() {
                prop_assert!(uri.query().is_some());
                let _ = cut(&query, count);
            }
        }

        #[test]
        fn pages_together_are_the_list(count in 0usize..40, len in 1usize..10) {
            let mut seen = Vec::new();
            let mut number = 1;
            loop {
                let page = cut(&format!("page={number}&page_size={len}"), count).expect("it is there");
                seen.extend(page.results);
                if page.next.is_none() {
                    break;
                }
                number += 1;
            }
            prop_assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }
}
