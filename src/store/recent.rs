//! What is durable in the log and not yet in the state file, held in memory: each job as it is now, in
//! the order in which they changed.
//!
//! X1  A job stands in at most one row that is not old.
//! X2  `before` of a row is how the state file has the job; none where it has none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::load::{LoadChange, LoadRow, StatusCounts};
use crate::model::{Accepted, Creation, Doc, DocKey, JobId, JobType, JobTypeId};
use crate::state::{Changed, Delta, Paged, Totals};

/// What a row and its place take, about.
const ROW_BYTES: usize = 200;

/// Rows of a chunk that small deltas share.
const CHUNK_ROWS: usize = 256;

/// The id of a row that is old: no job has it.
pub(super) const OLD: JobId = JobId(0);

/// See the file.
#[derive(Default)]
pub(super) struct Recent {
    /// In chunks as they came, so that many rows are taken over for the cost of their places.
    chunks: Vec<Vec<Changed>>,
    /// How many rows stand before each chunk.
    starts: Vec<usize>,
    n_rows: usize,
    /// Chunk and row.
    places: Paged<(u32, u32)>,
    created: Vec<Arc<Creation>>,
    created_bytes: usize,
    pub(super) job_types: BTreeMap<JobTypeId, Arc<JobType>>,
    pub(super) counts: BTreeMap<JobTypeId, StatusCounts>,
    pub(super) submissions: Vec<(Arc<str>, Accepted)>,
    pub(super) load: RecentLoad,
    /// None for one that is no more.
    pub(super) docs: BTreeMap<DocKey, Option<Arc<Doc>>>,
    docs_bytes: usize,
    pub(super) totals: Option<Totals>,
    generation: u64,
}

/// Load rows that came and went. First those go that are said to be gone, then come those that are here.
#[derive(Default)]
pub(super) struct RecentLoad {
    /// By instant and type.
    pub(super) rows: BTreeMap<(i64, u32), LoadRow>,
    /// Instants of which the file is to have no rows but these.
    pub(super) dropped: BTreeSet<i64>,
    /// Before this instant it is to have none but these.
    pub(super) cut: Option<i64>,
}

impl RecentLoad {
    fn add(&mut self, change: &LoadChange) {
        match change {
            LoadChange::Put(row) => {
                self.rows.insert((row.measured.0, row.job_type.map_or(0, |id| id.0)), *row);
            }
            LoadChange::Dropped(measured) => {
                let of_instant = self.rows.range((measured.0, 0)..=(measured.0, u32::MAX));
                let keys: Vec<(i64, u32)> = of_instant.map(|(key, _)| *key).collect();
                for key in keys {
                    self.rows.remove(&key);
                }
                self.dropped.insert(measured.0);
            }
            LoadChange::Cut(from) => {
                self.rows = self.rows.split_off(&(from.0, 0));
                self.cut = self.cut.max(Some(from.0));
            }
        }
    }

    fn bytes(&self) -> usize {
        96 * self.rows.len() + 32 * self.dropped.len()
    }
}

impl Recent {
    /// Takes a delta over. Cost: its jobs.
    pub(super) fn add(&mut self, delta: Delta) {
        self.add_rows(delta.jobs);
        for creation in delta.created {
            let values = creation.request.values.iter().map(|(key, value)| key.len() + value.len() + 16);
            let given = creation.request.given.as_deref();
            let given = given.map_or(0, |given| 128 + given.input.len() + given.configuration.len());
            self.created_bytes += 64 + given + values.sum::<usize>();
            self.created.push(creation);
        }
        self.job_types.extend(delta.job_types.into_iter().map(|kind| (kind.id, kind)));
        self.counts.extend(delta.counts);
        self.submissions.extend(delta.submissions);
        delta.load.iter().for_each(|change| self.load.add(change));
        for (key, doc) in delta.docs {
            // What it replaces is counted still: that is an upper bound.
            self.docs_bytes += 64 + doc.as_ref().map_or(0, |doc| doc.bytes());
            self.docs.insert(key, doc);
        }
        self.totals = Some(delta.totals);
        self.generation = delta.generation;
    }

    fn add_rows(&mut self, mut rows: Vec<Changed>) {
        let n_rows = rows.len();
        let is_small = n_rows < CHUNK_ROWS / 4;
        let has_room = |last: &&mut Vec<Changed>| is_small && last.capacity() - last.len() >= n_rows;
        if let Some(last) = self.chunks.last_mut().filter(has_room) {
            last.append(&mut rows);
        } else {
            if is_small {
                rows.reserve_exact(CHUNK_ROWS);
            }
            self.chunks.push(rows);
            self.starts.push(self.n_rows);
        }
        self.n_rows += n_rows;
        let chunk = self.chunks.len() - 1;
        let end = self.chunks[chunk].len();
        let at = |n: usize| u32::try_from(n).expect("rows are bounded by the checkpointer");
        for row in end - n_rows..end {
            let id = self.chunks[chunk][row].id;
            let Some(old) = self.places.insert(id.0, (at(chunk), at(row))) else { continue };
            let old = &mut self.chunks[old.0 as usize][old.1 as usize];
            old.id = OLD;
            let before = old.before;
            self.chunks[chunk][row].before = before;
        }
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
        let others = self.created_bytes + self.docs_bytes + self.load.bytes();
        self.n_rows * ROW_BYTES + others + self.submissions.len() * 100
    }

    pub(super) fn get(&self, id: JobId) -> Option<&Changed> {
        let (chunk, row) = *self.places.get(id.0)?;
        self.chunks.get(chunk as usize)?.get(row as usize)
    }

    pub(super) fn creation(&self, id: JobId) -> Option<&Arc<Creation>> {
        let at = self.created.partition_point(|creation| creation.first <= id).checked_sub(1)?;
        self.created.get(at).filter(|creation| creation.holds(id))
    }

    pub(super) fn created(&self) -> &[Arc<Creation>] {
        &self.created
    }

    /// At least one and at most `n` rows from a place on, and how many there are in all; a job that
    /// changes gets a new row at the end, and its old one stays behind without an id.
    pub(super) fn part(&self, from: usize, n: usize) -> (&[Changed], usize) {
        let Some(chunk) = self.starts.partition_point(|start| *start <= from).checked_sub(1) else {
            return (&[], self.n_rows);
        };
        let rows = self.chunks[chunk].get(from - self.starts[chunk]..).unwrap_or_default();
        (&rows[..n.min(rows.len())], self.n_rows)
    }

    /// Every job, in the order in which they last changed.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Changed> {
        self.chunks.iter().flatten().filter(|changed| changed.id != OLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job_state;

    fn delta(ids: impl IntoIterator<Item = u64>) -> Delta {
        let changed = |id| Changed { id: JobId(id), before: None, job: job_state(), parents: Vec::new() };
        Delta { jobs: ids.into_iter().map(changed).collect(), ..Delta::default() }
    }

    #[test]
    fn rows_keep_the_order_of_change_whatever_the_size_of_deltas() {
        let mut recent = Recent::default();
        let mut order: Vec<u64> = Vec::new();
        for (first, n) in [(1, 3), (2, 300), (1, 1), (50, 70), (5, 0), (400, 64), (1, 63), (10, 500)] {
            let ids = first..first + n;
            order.retain(|id| !ids.contains(id));
            order.extend(ids.clone());
            recent.add(delta(ids));
        }
        recent.add(delta([7, 8, 7]));
        order.retain(|id| ![7, 8].contains(id));
        order.extend([8, 7]);
        assert_eq!(recent.iter().map(|changed| changed.id.0).collect::<Vec<_>>(), order);
        let (mut found, mut next) = (Vec::new(), 0);
        loop {
            let (rows, n_all) = recent.part(next, 100);
            found.extend(rows.iter().filter(|row| row.id != OLD).map(|row| row.id.0));
            next += rows.len();
            if next >= n_all {
                break;
            }
            assert!(!rows.is_empty());
        }
        assert_eq!(found, order);
        assert!(order.iter().all(|id| recent.get(JobId(*id)).is_some_and(|row| row.id.0 == *id)));
        assert!(recent.get(JobId(2_000)).is_none());
    }
}
