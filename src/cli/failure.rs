//! How a command ends: exit codes, and what is told when it fails.
//!
//! F1  A failure says what happened in one line, and what to do next where there is something.

use std::fmt;

use serde::Serialize;

/// What a process of ours exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// All of it.
    Done,
    /// Something failed.
    Failed,
    /// The command line, or a file it names, says what cannot be.
    Usage,
    /// Accepted, but can never be placed here.
    Unplaceable,
    /// What was named is not there.
    NotFound,
    /// The server does not answer.
    Unreachable,
    /// It did not happen in the time given.
    TimedOut,
    /// Ctrl-C, or another signal that asks to end.
    Interrupted,
}

impl Exit {
    /// The number the system sees.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unplaceable => 3,
            Self::NotFound => 4,
            Self::Unreachable => 5,
            Self::TimedOut => 6,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    #[serde(skip)]
    pub(super) exit: Exit,
    /// Stable, for programs.
    pub(super) code: String,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) help: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, code: &str, message: impl fmt::Display) -> Self {
        Self { exit, code: code.to_owned(), message: message.to_string(), help: None }
    }

    /// Something that may work another time.
    pub(super) fn failed(code: &str, message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, code, message)
    }

    /// The caller asked for what cannot be.
    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Says what to do next.
    #[must_use]
    pub(super) fn help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }
}

impl fmt::Display for Failure {
    /// `error: …`, and `help: …` on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "\nhelp: {help}"))
    }
}
