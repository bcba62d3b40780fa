//! What executions leave where they ran, as far as their job types declare it.

use serde_json::{Map, Value};

use crate::model::{Interface, JobId, LaunchName};

/// The document in which an execution leaves values: an object, with a member for each.
pub const OUTPUTS_FILE: &str = "seed.outputs.json";

/// A file that an execution left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftFile {
    /// The output it belongs to.
    pub output: String,
    /// Where it is.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its media type.
    pub media_type: String,
}

/// What an execution left of what its job type declares. Nothing of it is checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Left {
    /// Values by the names of their outputs.
    pub json: Map<String, Value>,
    /// Files, those of one output in the order of their paths.
    pub files: Vec<LeftFile>,
}

/// Why it is not known what an execution left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeftError {
    /// The machine is at fault.
    #[error("what it left cannot be read: {reason}")]
    Unreadable {
        /// Why, for people.
        reason: String,
    },
    /// The document is none.
    #[error("{OUTPUTS_FILE} is no JSON object")]
    NoObject,
    /// The document is longer than is read.
    #[error("{OUTPUTS_FILE} is longer than {most} bytes")]
    TooLong {
        /// As many are read.
        most: usize,
    },
    /// More files than are taken up.
    #[error("more than {most} files match the patterns of the outputs")]
    TooManyFiles {
        /// As many are taken up.
        most: usize,
    },
    /// More entries of directories than are looked at.
    #[error("more than {most} entries would have to be looked at for files")]
    TooManyEntries {
        /// As many are looked at.
        most: usize,
    },
    /// A name that cannot be kept.
    #[error("the name of a file for the output {output:?} is not UTF-8")]
    NoText {
        /// The output it belongs to.
        output: String,
    },
}

/// Knows where executions ran, and finds what they left there.
pub trait OutputSource: Send + Sync {
    /// What a launch that has ended left of `declared`: of which job, and the how-manieth execution of that.
    /// The same again gives the same again, as long as nobody touches it.
    ///
    /// # Errors
    /// Where that cannot be known, or is more than is taken up.
    fn collect(&self, launch: (LaunchName, JobId, u32), declared: &Interface) -> Result<Left, LeftError>;
}
