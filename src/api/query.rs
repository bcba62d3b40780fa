//! The parameters behind the `?` of an address, by name, as often as they came.

use std::cmp::Ordering;
use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::header::HOST;
use axum::http::request::Parts;

use super::errors::ScaleError;
use super::members::{self, ReadError};
use super::time;
use crate::model::Timestamp;

/// Parameters in the order they came, decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Those pairs, in that order.
    pub(super) fn of_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every value of `name`.
    pub(super) fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The last value of `name`.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.iter().filter(|(known, _)| *known == name).map(|(_, value)| value).last()
    }

    /// Every value of `name`, where it was given.
    fn given<'p>(&'p self, name: &'p str) -> Option<Vec<&'p str>> {
        let all: Vec<&str> = self.all(name).collect();
        (!all.is_empty()).then_some(all)
    }

    /// Texts of which one has to fit; one that is not there lets all through.
    pub(super) fn texts<'p>(&'p self, name: &'static str) -> Option<Vec<&'p str>> {
        self.given(name)
    }

    /// A whole number.
    pub(super) fn integer(&self, name: &'static str) -> Result<Option<i64>, ReadError> {
        self.last(name).map(|text| members::whole(text).ok_or(ReadError::Integer(name))).transpose()
    }

    /// Whole numbers of which one has to fit; one that is not there lets all through.
    pub(super) fn integers(&self, name: &'static str) -> Result<Option<Vec<i64>>, ReadError> {
        let read = |text: &str| members::whole(text).ok_or(ReadError::Integer(name));
        self.given(name).map(|all| all.into_iter().map(read).collect()).transpose()
    }

    /// True or false.
    pub(super) fn boolean(&self, name: &'static str) -> Result<Option<bool>, ReadError> {
        self.last(name).map(|text| members::truth(text).ok_or(ReadError::Boolean(name))).transpose()
    }

    /// An instant, also as a duration before `now`.
    pub(super) fn instant(&self, name: &'static str, now: Timestamp) -> Result<Option<Timestamp>, ReadError> {
        self.last(name).map(|text| time::read(text, now).ok_or(ReadError::Time(name))).transpose()
    }

    /// The ends of a range that lists are cut by; `days_max`: its longest.
    pub(super) fn range(
        &self,
        [started, ended]: [&'static str; 2],
        now: Timestamp,
        days_max: Option<u64>,
    ) -> Result<[Option<Timestamp>; 2], ReadError> {
        let ends = [self.instant(started, now)?, self.instant(ended, now)?];
        members::check_range(ends[0], ends[1], days_max)?;
        Ok(ends)
    }

    /// The order that is asked for, out of `columns` by name. Empty where none is asked for.
    pub(super) fn order<C: Copy>(&self, columns: &[(&str, C)]) -> Result<Vec<By<C>>, ReadError> {
        let read = |text: &str| {
            let (is_descending, name) = match text.strip_prefix('-') {
                Some(name) => (true, name),
                None => (false, text),
            };
            let found = columns.iter().find(|(known, _)| *known == name);
            found.map(|(_, column)| By { column: *column, is_descending }).ok_or_else(|| {
                let known: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
                ReadError::Column { found: text.to_owned(), known: known.join(", ") }
            })
        };
        // More of them change nothing: each column orders once.
        self.all("order").take(columns.len()).map(read).collect()
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        let uri = format!("/?{text}").parse().expect("an address");
        Self(Query::try_from_uri(&uri).map(|Query(pairs)| pairs).unwrap_or_default())
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Pairs of texts always read; bytes that are no text are replaced.
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        Ok(Self(pairs.map(|Query(pairs)| pairs).unwrap_or_default()))
    }
}

/// A column to order by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct By<C> {
    pub(super) column: C,
    /// From the largest to the smallest.
    pub(super) is_descending: bool,
}

/// Sorts by the first of `order` that tells two rows apart; those that none does keep their order.
pub(super) fn sort<R, C: Copy>(rows: &mut [R], order: &[By<C>], compare: impl Fn(C, &R, &R) -> Ordering) {
    rows.sort_by(|a, b| {
        let told = order.iter().map(|by| {
            let ordering = compare(by.column, a, b);
            if by.is_descending { ordering.reverse() } else { ordering }
        });
        told.fold(Ordering::Equal, Ordering::then)
    });
}

/// An id in a path: digits alone, else there is nothing at that address.
pub(super) fn path_id<T: FromStr>(text: &str) -> Result<T, ScaleError> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or(ScaleError::NotFound)
}

/// The address under which the caller reached us, without its query.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Scheme, name and port.
    pub(super) origin: String,
    /// The path.
    pub(super) path: String,
}

impl Address {
    /// The whole, without a query.
    pub(super) fn url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }
}

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        Ok(Self { origin: format!("http://{host}"), path: parts.uri.path().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_secs(1_784_376_000);

    #[test]
    fn parameters_are_read_and_refused_in_scales_words() {
        let params = Params::of("a=1&b=x&a=%202&c=T&d=&e=PT0S&f=%2B3");
        assert_eq!(params.integer("a"), Ok(Some(2)));
        assert_eq!(params.integers("a"), Ok(Some(vec![1, 2])));
        assert_eq!(params.integer("f"), Ok(Some(3)));
        assert_eq!(params.integers("b"), Err(ReadError::Integer("b")));
        assert_eq!(params.integer("d"), Err(ReadError::Integer("d")));
        assert_eq!(params.boolean("c"), Ok(Some(true)));
        assert_eq!(params.boolean("b"), Err(ReadError::Boolean("b")));
        assert_eq!(params.texts("b"), Some(vec!["x"]));
        assert_eq!(params.instant("e", NOW), Ok(Some(NOW)));
        assert_eq!(params.instant("d", NOW), Err(ReadError::Time("d")));
        assert_eq!((params.integer("z"), params.integers("z")), (Ok(None), Ok(None)));
        assert_eq!((params.boolean("z"), params.texts("z")), (Ok(None), None));
        assert_eq!(params.range(["e", "e"], NOW, None), Err(ReadError::EmptyRange));
        assert_eq!(params.range(["e", "z"], NOW, None), Ok([Some(NOW), None]));
    }

    #[test]
    fn an_order_is_made_of_known_columns() {
        let columns = [("id", 0), ("name", 1)];
        let order = |query: &str| Params::of(query).order(&columns);
        assert_eq!(order(""), Ok(Vec::new()));
        let by = |column, is_descending| By { column, is_descending };
        assert_eq!(order("order=-name&order=id"), Ok(vec![by(1, true), by(0, false)]));
        let error = order("order=nonsense").expect_err("unknown").to_string();
        assert_eq!(error, "Unexpected value nonsense for order. Valid values are id, name");
        assert!(order("order=").is_err() && order("order=--id").is_err());
        let mut rows = vec![(1, 'b'), (2, 'a'), (3, 'b')];
        let compare = |column, a: &(i32, char), b: &(i32, char)| match column {
            0 => a.0.cmp(&b.0),
            _ => a.1.cmp(&b.1),
        };
        sort(&mut rows, &[by(1, true)], compare);
        assert_eq!(rows, [(1, 'b'), (3, 'b'), (2, 'a')]);
        sort(&mut rows, &[by(1, false), by(0, true)], compare);
        assert_eq!(rows, [(2, 'a'), (3, 'b'), (1, 'b')]);
    }

    #[test]
    fn ids_in_paths_are_digits() {
        assert_eq!(path_id("12"), Ok(12_u64));
        for bad in ["", "-1", "+1", "1.0", "x", "99999999999999999999999"] {
            assert_eq!(path_id::<u64>(bad), Err(ScaleError::NotFound), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_parameter_panics(query in "[a-e0-9=&%_+TPZ:.-]{0,40}") {
            let params = Params::of(&query);
            for name in ["a", "b", "c"] {
                let _ = (params.integer(name), params.integers(name), params.boolean(name));
                let _ = (params.range([name, "b"], NOW, Some(31)), params.order(&[(name, ())]));
            }
        }
    }
}
