//! What executions print, read where they run or ran.

use std::fmt;

use crate::model::{JobId, LaunchName};

/// One of the two that a program prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl OutputStream {
    /// Both, in the order in which they are told.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// Its name, which is that of its file in a sandbox.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl fmt::Display for OutputStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where to begin to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// So many bytes behind the beginning.
    Start(u64),
    /// So many bytes before the end as it is now; at the beginning where there are fewer.
    End(u64),
}

impl ReadFrom {
    /// The place in a file of `size` bytes.
    pub fn offset(self, size: u64) -> u64 {
        match self {
            Self::Start(offset) => offset,
            Self::End(n) => size.saturating_sub(n),
        }
    }
}

/// A launch, and where it went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ran {
    /// Which.
    pub name: LaunchName,
    /// Of which job.
    pub job: JobId,
    /// The job's how-manieth execution.
    pub exe_num: u32,
    /// The execution's name in a cluster.
    pub cluster_id: String,
    /// The name of the machine, where that is on record: it is of a cluster's.
    pub node: Option<String>,
    /// Whether its end is on record: nothing is printed any more.
    pub has_ended: bool,
}

/// A part of what was printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub offset: u64,
    /// What stands there; nothing at the end.
    pub bytes: Vec<u8>,
    /// How much there was in all when it was read.
    pub size: u64,
}

/// Why it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PieceError {
    /// There is no such file: not yet, or not any more.
    #[error("{reason}")]
    NotThere {
        /// What was looked for, for people.
        reason: String,
    },
    /// Whoever has it does not answer. It may go well another time.
    #[error("{reason}")]
    Unreachable {
        /// Who, and why, for people.
        reason: String,
    },
    /// It is there, and cannot be read.
    #[error("{reason}")]
    Unreadable {
        /// Why, for people.
        reason: String,
    },
}

/// Knows where executions run, and reads what they print.
pub trait PrintedSource: Send + Sync {
    /// At most `most` bytes. Every wait has an end; the caller holds no lock.
    ///
    /// # Errors
    /// Where it is not there, or cannot be read.
    fn read(&self, ran: &Ran, stream: OutputStream, from: ReadFrom, most: usize)
    -> Result<Piece, PieceError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_before_the_end_is_never_before_the_beginning() {
        let check = |from: ReadFrom, size, expected| assert_eq!(from.offset(size), expected, "{from:?}");
        check(ReadFrom::Start(7), 3, 7);
        check(ReadFrom::End(2), 3, 1);
        check(ReadFrom::End(4), 3, 0);
        check(ReadFrom::End(0), 3, 3);
    }
}
