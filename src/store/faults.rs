//! What is wrong with a store, and where.
//!
//! F1  Every fault is counted; of each kind the first few are kept.

use std::collections::BTreeMap;
use std::fmt;

use crate::limits::FAULTS_MAX;

/// What sort of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// A file of the store is missing.
    Missing,
    /// Rows that the storage cannot read.
    Unreadable,
    /// Pages that are not what was written.
    Pages,
    /// Written by another version.
    Format,
    /// Files of two stores.
    Mixed,
    /// A value whose checksum does not match, or that cannot be decoded.
    Value,
    /// The totals do not fit the tables.
    Totals,
    /// A segment, or one of its rows, that cannot be read.
    Segment,
    /// The directory says something else of a segment than the segment.
    Directory,
    /// A job without a row.
    JobMissing,
    /// A job with two rows that are true.
    JobTwice,
    /// A job that says what cannot be.
    Job,
    /// A row that is marked as replaced, without a newer one.
    DeadRow,
    /// The place of a job is not where it stands.
    Place,
    /// What a job was given is missing, or is another's.
    Creation,
    /// Job types are missing, twice, or under another id.
    JobType,
    /// Counts of jobs by type and status do not equal a recount.
    Counts,
    /// The hash of the state does not equal the sum over all jobs.
    Hash,
    /// A submission that names jobs which were never made, or that is there twice.
    Submission,
    /// A load row out of its place.
    Load,
    /// A row of the log that cannot be read.
    LogRow,
    /// Rows or events of the log are missing.
    LogGap,
    /// The store does not open.
    Open,
    /// The state that was recovered contradicts itself.
    Invariant,
}

impl FaultKind {
    /// A stable word for it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Pages => "pages",
            Self::Format => "format",
            Self::Mixed => "mixed",
            Self::Value => "value",
            Self::Totals => "totals",
            Self::Segment => "segment",
            Self::Directory => "directory",
            Self::JobMissing => "job-missing",
            Self::JobTwice => "job-twice",
            Self::Job => "job",
            Self::DeadRow => "dead-row",
            Self::Place => "place",
            Self::Creation => "creation",
            Self::JobType => "job-type",
            Self::Counts => "counts",
            Self::Hash => "hash",
            Self::Submission => "submission",
            Self::Load => "load",
            Self::LogRow => "log-row",
            Self::LogGap => "log-gap",
            Self::Open => "open",
            Self::Invariant => "invariant",
        }
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreFault {
    /// What sort.
    pub kind: FaultKind,
    /// In which file.
    pub file: &'static str,
    /// Where in it.
    pub place: String,
    /// What is wrong there.
    pub cause: String,
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.place, self.cause)
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreFaults {
    counts: BTreeMap<FaultKind, u64>,
    list: Vec<StoreFault>,
}

impl StoreFaults {
    /// How many there are, also of those that are not kept.
    pub fn n(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many of each kind.
    pub fn by_kind(&self) -> impl ExactSizeIterator<Item = (FaultKind, u64)> + '_ {
        self.counts.iter().map(|(kind, n)| (*kind, *n))
    }

    /// The first [`FAULTS_MAX`] of each kind, in the order in which they were found.
    pub fn list(&self) -> &[StoreFault] {
        &self.list
    }

    pub(super) fn add(
        &mut self,
        kind: FaultKind,
        file: &'static str,
        place: impl fmt::Display,
        cause: impl fmt::Display,
    ) {
        let n = self.counts.entry(kind).or_default();
        *n += 1;
        if *n <= FAULTS_MAX as u64 {
            self.list.push(StoreFault { kind, file, place: place.to_string(), cause: cause.to_string() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_of_each_kind_are_kept() {
        let mut faults = StoreFaults::default();
        for n in 0..100 {
            faults.add(FaultKind::Place, "state.redb", format_args!("job {n}"), "elsewhere");
        }
        faults.add(FaultKind::Hash, "state.redb", "totals", "another");
        assert_eq!((faults.n(), faults.list().len()), (101, FAULTS_MAX + 1));
        assert_eq!(faults.by_kind().last(), Some((FaultKind::Hash, 1)));
        assert_eq!(faults.list()[1].to_string(), "state.redb: job 1: elsewhere");
    }
}
