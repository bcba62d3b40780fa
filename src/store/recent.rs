//! What is durable in the log and not yet in the state file, held in memory: each job as it is now, in
//! the order in which they changed.
//!
//! X1  A job stands in at most one row that is not empty.
//! X2  `before` of a row is how the state file has the job; none where it has none.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap;

use crate::load::{LoadRow, StatusCounts};
use crate::model::{Accepted, Creation, JobId, JobType, JobTypeId};
use crate::state::{Changed, Delta, Totals};

/// What an entry of `rows` and its place take, about.
const ROW_BYTES: usize = 200;

/// See the file.
#[derive(Default)]
pub(super) struct Recent {
    rows: Vec<Option<Changed>>,
    places: HashMap<JobId, u32>,
    created: Vec<Arc<Creation>>,
    created_bytes: usize,
    pub(super) job_types: BTreeMap<JobTypeId, Arc<JobType>>,
    pub(super) counts: BTreeMap<JobTypeId, StatusCounts>,
    pub(super) submissions: Vec<(Arc<str>, Accepted)>,
    pub(super) load: Vec<LoadRow>,
    pub(super) totals: Option<Totals>,
    generation: u64,
}

impl Recent {
    /// Takes a delta over. Cost: its jobs.
    pub(super) fn add(&mut self, delta: Delta) {
        for mut changed in delta.jobs {
            let next = u32::try_from(self.rows.len()).expect("rows are bounded by the checkpointer");
            if let Some(old) = self.places.insert(changed.id, next) {
                let old = self.rows[old as usize].take().expect("X1");
                changed.before = old.before;
            }
            self.rows.push(Some(changed));
        }
        for creation in delta.created {
            let values = creation.request.values.iter().map(|(key, value)| key.len() + value.len() + 16);
            self.created_bytes += 64 + values.sum::<usize>();
            self.created.push(creation);
        }
        self.job_types.extend(delta.job_types.into_iter().map(|kind| (kind.id, kind)));
        self.counts.extend(delta.counts);
        self.submissions.extend(delta.submissions);
        self.load.extend(delta.load);
        self.totals = Some(delta.totals);
        self.generation = delta.generation;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.totals.is_none()
    }

    /// Every command that knew what counted before this generation is in here, or was before.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.rows.len() * ROW_BYTES + self.created_bytes + self.submissions.len() * 100
    }

    pub(super) fn get(&self, id: JobId) -> Option<&Changed> {
        self.rows[*self.places.get(&id)? as usize].as_ref()
    }

    pub(super) fn creation(&self, id: JobId) -> Option<&Arc<Creation>> {
        let at = self.created.partition_point(|creation| creation.first <= id).checked_sub(1)?;
        self.created.get(at).filter(|creation| creation.holds(id))
    }

    pub(super) fn created(&self) -> &[Arc<Creation>] {
        &self.created
    }

    /// At most `n` rows from a place on, and how many there are in all. A job that changes leaves its row
    /// empty and gets one at the end.
    pub(super) fn part(&self, from: usize, n: usize) -> (&[Option<Changed>], usize) {
        let end = (from + n).min(self.rows.len());
        (&self.rows[from.min(end)..end], self.rows.len())
    }

    /// Every job, in the order in which they last changed.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Changed> {
        self.rows.iter().flatten()
    }
}
