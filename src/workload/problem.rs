//! What can be wrong with one field of a workload, in words that say what would be right.
//!
//! The same problems are found in a file, where a line goes with them, and in the body of a
//! request, where only the field does.

use crate::catalog::SurroundingsError;
use crate::launch::TemplateError;
use crate::model::{ParseQuantityError, ResourcesError, SubmissionIdError};

use super::bounds::VALUE_NAME_BYTES_MAX;

/// What is wrong with a field. Messages complete "`field`: ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The text is no JSON.
    #[error("column {column}: {what}")]
    Syntax {
        /// From 1, in characters.
        column: usize,
        /// What is wrong there.
        what: String,
    },
    /// The object has no such field.
    #[error("there is no field {name:?} here; {hint}")]
    UnknownField {
        /// That field.
        name: String,
        /// The nearest known field, or all of them.
        hint: String,
    },
    /// A field that must be there is not.
    #[error("is missing; write for instance {example}")]
    Missing {
        /// What could be written.
        example: &'static str,
    },
    /// Another kind of JSON value.
    #[error("{expected} is expected here, not {found}; write for instance {example}")]
    WrongKind {
        /// What would be right.
        expected: &'static str,
        /// What is there.
        found: &'static str,
        /// What could be written.
        example: &'static str,
    },
    /// A number outside its range.
    #[error("a whole number from {min} to {max} is expected here, not {found}")]
    OutOfRange {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
        /// What is there.
        found: String,
    },
    /// None of the words that may stand here.
    #[error("{known} is expected here, not {found:?}")]
    NoSuchWord {
        /// What is there.
        found: String,
        /// What may be there.
        known: &'static str,
    },
    /// No amount of a resource.
    #[error("{0}; write for instance 0.5")]
    Quantity(#[from] ParseQuantityError),
    /// No set of resources.
    #[error("{0}")]
    Resources(#[from] ResourcesError),
    /// No length of time.
    #[error("{found} is no timeout: whole seconds above zero, or text such as \"90s\", \"5m\" or \"1h30m\"")]
    Timeout {
        /// What is there.
        found: String,
    },
    /// No name.
    #[error("{found:?} is no name: letters, digits, '-', '_', '.' and '+', at most {max} of them")]
    Label {
        /// What is there.
        found: String,
        /// The longest.
        max: usize,
    },
    /// No name of a value or of an environment variable.
    #[error(
        "{found:?} is no name for {of}: letters, digits and '_', not first a digit, at most {VALUE_NAME_BYTES_MAX} of them"
    )]
    ValueName {
        /// Value or variable.
        of: &'static str,
        /// What is there.
        found: String,
    },
    /// A value that is filled by the system.
    #[error("{name:?} is filled for every job; choose another name")]
    ReservedValue {
        /// Its name.
        name: String,
    },
    /// A value that is filled from the job's file.
    #[error("{name:?} is filled from the files of this entry; choose another name, or leave \"files\" away")]
    FileValue {
        /// Its name.
        name: String,
    },
    /// A program cannot be given this.
    #[error("holds a NUL character, which no program can be given; leave it out")]
    Nul,
    /// A control character where people read.
    #[error("holds a control character; leave it out")]
    Control,
    /// A text beyond its bound.
    #[error("is {bytes} bytes long; at most {max} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// More of something than its bound.
    #[error("{n} {what}; at most {max} are allowed")]
    TooMany {
        /// How many there are, or more.
        n: u64,
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// Nothing, where there must be something.
    #[error("is empty; write for instance {example}")]
    Empty {
        /// What could be written.
        example: &'static str,
    },
    /// The same thing twice.
    #[error("{what} {name:?} is there already{place}; {advice}")]
    Twice {
        /// Of what kind.
        what: &'static str,
        /// Which.
        name: String,
        /// Where the first one is; starts with a comma, or empty.
        place: String,
        /// What to do.
        advice: &'static str,
    },
    /// No job type of that name.
    #[error("there is no job type {name:?} in \"job_types\"; {hint}")]
    UnknownType {
        /// That name.
        name: String,
        /// The nearest known one, or all.
        hint: String,
    },
    /// Several versions of the named job type.
    #[error("{name:?} has several versions; write one of {known}")]
    AmbiguousType {
        /// That name.
        name: String,
        /// With their versions.
        known: String,
    },
    /// No job type at that place.
    #[error("there is no job type {index}; there are {n}, counted from 0")]
    NoTypeAt {
        /// That place.
        index: usize,
        /// How many there are.
        n: usize,
    },
    /// No node of that name.
    #[error("there is no node {name:?} in this recipe; {hint}")]
    UnknownNode {
        /// That name.
        name: String,
        /// The nearest known one, or all.
        hint: String,
    },
    /// No node at that place.
    #[error("there is no node {index}; there are {n}, counted from 0")]
    NoNodeAt {
        /// That place.
        index: u32,
        /// How many there are.
        n: usize,
    },
    /// Nodes that wait for each other.
    #[error("these nodes wait for each other, so none can start: {path}; remove one of the dependencies")]
    Cycle {
        /// Names joined by arrows, each waiting for the next; the first one again at the end.
        path: String,
    },
    /// A node that asks for the parent of its own file, and none has it.
    #[error("no node it depends on has the same \"files\" and \"exclude\"; leave \"match\" away")]
    NothingToMatch,
    /// A field that means something only beside `files`.
    #[error("means nothing without \"files\"; leave it away")]
    NeedsFiles,
    /// No template.
    #[error("{0}")]
    Template(#[from] TemplateError),
    /// A placeholder without a value.
    #[error("no value for {{{name}}}, which {user} uses in {field}; add {name:?} to \"values\"{hint}")]
    NoValue {
        /// The placeholder.
        name: String,
        /// Name and version of the job type.
        user: String,
        /// Its field with the placeholder.
        field: String,
        /// More advice; empty where there is none.
        hint: &'static str,
    },
    /// A workload that asks for nothing.
    #[error("neither \"jobs\" nor \"recipes\" holds anything, so there is nothing to run")]
    NothingToDo,
    /// No submission id.
    #[error("{0}")]
    SubmissionId(#[from] SubmissionIdError),
    /// What no execution can run in.
    #[error("{0}")]
    Surroundings(#[from] SurroundingsError),
    /// No glob.
    #[error("{pattern:?} is no glob: {reason}")]
    Glob {
        /// What is there.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A glob without a match.
    #[error("{pattern:?} matches no file in {folder}; correct it, or add \"allow_empty\": true")]
    NoMatch {
        /// The glob, or all of them where the excludes leave nothing.
        pattern: String,
        /// Where was looked.
        folder: String,
    },
    /// The file system refused.
    #[error("could not look through {path}: {reason}")]
    Unreadable {
        /// Which folder or file.
        path: String,
        /// What it said.
        reason: String,
    },
    /// A file whose name is no text.
    #[error("the name of {path} is not UTF-8; rename the file or exclude it")]
    NotUtf8 {
        /// The name, as far as it can be shown.
        path: String,
    },
}
