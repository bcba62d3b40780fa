//! Job ids on the command line: `7`, and ranges such as `1-10`.

use crate::limits::COMMAND_JOBS_MAX;
use crate::model::JobId;

use super::failure::Failure;

/// One id or a range of them, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    first: u64,
    last: u64,
}

/// Reads one argument.
pub(super) fn ids(text: &str) -> Result<Ids, String> {
    let bad = || format!("{text:?} names no jobs; write an id such as 7 or a range such as 1-10");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let id = |part: &str| part.parse::<u64>().ok().filter(|&id| id > 0).ok_or_else(bad);
    let ids = Ids { first: id(first)?, last: id(last)? };
    if ids.first <= ids.last { Ok(ids) } else { Err(bad()) }
}

/// All the ids that `arguments` name, in order, with repeats.
pub(super) fn all(arguments: &[Ids]) -> Result<Vec<JobId>, Failure> {
    let n =
        arguments.iter().fold(0_u64, |sum, ids| sum.saturating_add((ids.last - ids.first).saturating_add(1)));
    if n > COMMAND_JOBS_MAX as u64 {
        return Err(Failure::usage(format_args!("{n} jobs in one command, at most {COMMAND_JOBS_MAX}"))
            .help("name fewer of them at a time"));
    }
    Ok(arguments.iter().flat_map(|ids| ids.first..=ids.last).map(JobId).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_ranges_are_read() {
        let read = |text: &str| ids(text).map(|ids| (ids.first, ids.last));
        assert_eq!(read("7"), Ok((7, 7)));
        assert_eq!(read("1-10"), Ok((1, 10)));
        for bad in ["", "0", "x", "3-1", "1-", "-1", "1-2-3"] {
            assert!(ids(bad).is_err(), "{bad}");
        }
        let list = all(&[Ids { first: 2, last: 4 }, Ids { first: 9, last: 9 }]).expect("few");
        assert_eq!(list, [2, 3, 4, 9].map(JobId));
        assert!(all(&[Ids { first: 1, last: u64::MAX }]).is_err(), "bounded before they are listed");
    }
}
