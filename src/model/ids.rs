//! Names of things: newtypes over integers, all below 2^53 so that JSON carries them exactly.
//!
//! Plain data; nothing here allocates ids, the core does (`engine/state`).

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The largest id: JSON readers keep integers exactly only below 2^53.
///
/// The top ten bits of that range are left for a shard number, so one core stays below 2^43.
pub const ID_MAX: u64 = (1 << 43) - 1;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// A job type in one version: what kind of work a job is.
    JobTypeId, u32
);
id!(
    /// One request for work of a job type.
    JobId, u64
);
id!(
    /// One run of a job, from the moment it is queued: the id of its queue entry and of the
    /// execution made from it. Ids rise in the order of queuing, so they also break ties in the
    /// queue. A re-queue makes a new one.
    ExeId, u64
);
id!(
    /// A graph of jobs that was started as one.
    RecipeId, u64
);
id!(
    /// Jobs and recipes that belong together over many submissions.
    BatchId, u64
);
id!(
    /// A kind of graph of jobs.
    RecipeTypeId, u32
);
id!(
    /// Something that happened and made jobs.
    EventId, u64
);
id!(
    /// A file that jobs read or write.
    FileId, u64
);
id!(
    /// A kind of error.
    ErrorId, u32
);
id!(
    /// An operation over many jobs.
    BulkId, u64
);
id!(
    /// A machine. It keeps its id when its agent comes back under another name, and over restarts:
    /// [`Engine::put_node`](crate::Engine::put_node) gives the one that belongs to a hostname.
    NodeId, u32
);
id!(
    /// Whose work it is. `TenantId(0)` while nobody says otherwise.
    TenantId, u32
);
id!(
    /// An interned set of constraints on nodes. `ConstraintSetId(0)` is the empty set.
    ConstraintSetId, u32
);
id!(
    /// The incarnation of an engine: one more at each recovery of its store.
    Epoch, u32
);
id!(
    /// Position in the log: the number of an event, from 1. Zero is "before everything".
    EventNumber, u64
);

impl EventId {
    /// The event of a user who asked for one job, which is on record with the job. Other events have odd ids.
    pub const fn of_user(job: JobId) -> Self {
        Self(2 * job.0)
    }

    /// The job that such an event made; none for another event.
    pub const fn of_job(self) -> Option<JobId> {
        if self.0.is_multiple_of(2) { Some(JobId(self.0 / 2)) } else { None }
    }
}

/// The name of one launch: which execution, and the how-manieth launch of it.
///
/// A refused or lost launch is launched again under the next number, so that a late status of the
/// old one names something that is no longer on record.
///
/// Its text (`17.1`, which reads back) is what a task in a cluster should be named by: no two launches
/// of a store share it, and a status or an order to kill needs nothing else to find its task.
///
/// ```
/// use weighbridge::LaunchName;
/// let name: LaunchName = "17.2".parse()?;
/// assert_eq!((name.exe.0, name.number, name.to_string().as_str()), (17, 2, "17.2"));
/// # Ok::<(), weighbridge::ParseLaunchNameError>(())
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct LaunchName {
    /// The execution.
    pub exe: ExeId,
    /// From 1.
    pub number: u32,
}

impl fmt::Display for LaunchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.exe, self.number)
    }
}

/// Why a text is no launch name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a launch name is EXECUTION.NUMBER, such as 17.1")]
pub struct ParseLaunchNameError;

impl FromStr for LaunchName {
    type Err = ParseLaunchNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (exe, number) = text.split_once('.').ok_or(ParseLaunchNameError)?;
        Ok(Self {
            exe: exe.parse().map_err(|_| ParseLaunchNameError)?,
            number: number.parse().map_err(|_| ParseLaunchNameError)?,
        })
    }
}

/// The identity of a store, drawn once when it is made; in every header, so that files of two
/// stores cannot be mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct StoreId(pub u128);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The execution's name in the cluster, as Scale makes it: `scale_job_<framework>_<job>x<exe num>`.
///
/// Task ids start with it, and the cluster id of a task id is its first four `_` segments.
pub fn cluster_id(framework: &str, job: JobId, exe_num: u32) -> String {
    format!("scale_job_{framework}_{job}x{exe_num}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launch_names_read_what_they_write() {
        let name = LaunchName { exe: ExeId(17), number: 2 };
        assert_eq!(name.to_string().parse(), Ok(name));
        for bad in ["", "17", "17.", ".2", "17.x", "-1.2", "17.2.3"] {
            assert_eq!(bad.parse::<LaunchName>(), Err(ParseLaunchNameError), "{bad}");
        }
    }

    #[test]
    fn cluster_id_is_the_first_four_segments_of_a_task_id() {
        let id = cluster_id("fw1", JobId(7), 3);
        assert_eq!(id, "scale_job_fw1_7x3");
        let task = format!("{id}_main");
        assert_eq!(task.split('_').take(4).collect::<Vec<_>>().join("_"), id);
    }
}
