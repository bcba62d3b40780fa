//! How large a workload may be. Nothing that comes out of a file or a request is without a bound.

/// Largest workload file, in bytes: a million jobs of sixty bytes each.
pub const WORKLOAD_BYTES_MAX: usize = 64 << 20;

/// Most lists and objects inside each other in a workload file; the format itself needs six.
#[cfg(feature = "cli")]
pub(super) const DEPTH_MAX: usize = 32;

/// Most files and folders that one glob looks at.
#[cfg(feature = "cli")]
pub(super) const ENTRIES_MAX: usize = 10_000_000;

/// Most faults listed for one file; the rest is counted.
pub const FAULTS_MAX: usize = 10;

/// Most job types of one workload.
pub const JOB_TYPES_MAX: usize = 10_000;

/// Most jobs of one workload, counts, files and nodes of recipes included.
pub const JOBS_MAX: usize = 1_000_000;

/// Most nodes of one recipe, files included.
pub const NODES_MAX: usize = 100_000;

/// Most dependencies in one recipe: what a node with a hundred thousand files costs when ten
/// others wait for all of it.
pub const EDGES_MAX: usize = 1_000_000;

/// Longest name or version of a job type, in bytes; also of a node or recipe in a file.
pub const LABEL_BYTES_MAX: usize = 128;

/// Longest name of a node, in bytes: a label and a path in brackets.
pub const NODE_NAME_BYTES_MAX: usize = 8 << 10;

/// Longest title, description or name of a workload, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 << 10;

/// Most arguments of a command, the program included.
pub const ARGV_LEN_MAX: usize = 1_024;

/// Longest argument or value in an environment, in bytes, before placeholders are filled. Linux
/// takes twice that.
pub const ARG_BYTES_MAX: usize = 64 << 10;

/// Most variables in the environment of a job type.
pub const ENV_LEN_MAX: usize = 256;

/// Most values of one job.
pub const VALUES_MAX: usize = 64;

/// Longest name of a value or of an environment variable, in bytes.
pub const VALUE_NAME_BYTES_MAX: usize = 64;

/// Longest value, in bytes: four times the longest path.
pub const VALUE_BYTES_MAX: usize = 16 << 10;

const _: () = assert!(NODES_MAX <= JOBS_MAX && JOBS_MAX <= u32::MAX as usize);
const _: () = assert!(LABEL_BYTES_MAX + 4_096 + 2 <= NODE_NAME_BYTES_MAX);
