//! Retention: jobs that are over are dropped, the longest unchanged ones first, some with each checkpoint.
//!
//! In two steps, so that nobody who has just read a job changes it when it is gone:
//! 1. After a checkpoint, jobs that may go are *marked*, in memory: commands are told nothing of them any
//!    more, and what they were told before counts no more (`generation`).
//! 2. A later checkpoint that holds every command of before the mark drops those that did not change: their
//!    rows, their places, and what they were given. All of that is in its last transaction.
//!
//! K1  A job of a recipe is dropped only when no job of that recipe is open: no open job waits for, or is
//!     blocked by, what is not there.
//! K2  Counts and hash of the totals go on covering what was dropped; `dropped` and the head say how much of
//!     them it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use foldhash::HashMap;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::checkpoint::Changes;
use super::file::{CREATIONS, DROPPED, PLACES, RECIPES, SEGMENTS, seal, storage, unseal, unseal_one};
use super::index::{Block, NOWHERE, block_of};
use super::list::RecipeJobs;
use super::recent::Recent;
use super::recovery::OpenError;
use super::segment::{Place, Segment};
use super::tables::{Tables, segment_error};
use crate::limits::RETENTION_SEGMENTS_MAX;
use crate::load::StatusCounts;
use crate::model::{JobId, JobStatus, JobTypeId, RecipeId, Timestamp};
use crate::state::{Kind, digest};
use crate::sync::Ordering;

/// Jobs that one checkpoint drops at least, where there are as many; beside twice as many as it writes.
const DROPPED_MIN: usize = if cfg!(test) { 500 } else { 10_000 };

/// Ids that are looked at while the lock is held.
const IDS_AT_ONCE: u64 = 4_096;

/// Which jobs that are over are kept. One that any of the two lets go goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// So long after their last change; none: for ever.
    pub age: Option<Duration>,
    /// So many, those that changed last; none: all.
    pub jobs: Option<u64>,
}

impl Retention {
    /// Keeps all.
    pub const ALL: Self = Self { age: None, jobs: None };

    /// Keeps jobs so long after their last change.
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// Keeps so many jobs that are over.
    #[must_use]
    pub fn jobs(mut self, jobs: u64) -> Self {
        self.jobs = Some(jobs);
        self
    }
}

/// A job that may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    id: JobId,
    place: Place,
    job_type: JobTypeId,
    recipe: Option<RecipeId>,
    kind: Kind,
    digest: u64,
}

/// What is marked.
#[derive(Default)]
pub(super) struct Marked {
    /// By id.
    jobs: Vec<Leaving>,
    /// Commands of before this generation may know them.
    generation: u64,
    /// The order of the segment that was looked at last.
    looked_to: u64,
}

impl Marked {
    pub(super) fn holds(&self, id: JobId) -> bool {
        self.jobs.binary_search_by_key(&id, |leaving| leaving.id).is_ok()
    }

    pub(super) fn clear(&mut self) {
        self.jobs.clear();
    }
}

/// What decides on a row.
struct Rule {
    /// Rows that changed before go.
    before: Timestamp,
    /// So many of those that were not looked at yet are not among the ones to keep. They go, but for those
    /// of recipes that go on.
    surplus: u64,
}

impl Tables {
    pub(crate) fn set_retention(&self, retention: Retention) {
        self.shared.lock().retention = retention;
    }

    /// Raised whenever jobs are marked: what was read before is not to be acted on.
    pub(crate) fn generation(&self) -> u64 {
        // Acquire, with the Release in `mark`: who sees it sees nothing of what was marked.
        self.generation.load(Ordering::Acquire)
    }

    /// Marks what may go, after a checkpoint that wrote so many rows.
    pub(super) fn mark(&self, n_written: usize) -> Result<(), OpenError> {
        let Some(rule) = self.rule() else { return Ok(()) };
        let txn = self.read()?;
        let segments = txn.open_table(SEGMENTS).map_err(storage("read"))?;
        let most = DROPPED_MIN + 2 * n_written;
        let mut recipes = HashMap::default();
        let mut found: Vec<Leaving> = Vec::new();
        let mut surplus = rule.surplus;
        let (mut next, mut n_read, mut is_end) = (self.shared.lock().marked.looked_to + 1, 0, false);
        while found.len() < most && n_read < RETENTION_SEGMENTS_MAX && !is_end {
            let (order, number, info) = {
                let shared = self.shared.lock();
                let Some((order, number)) = shared.index.by_order.range(next..).next() else {
                    is_end = true;
                    break;
                };
                (*order, *number, shared.index.directory[number].clone())
            };
            next = order + 1;
            if info.n_live() == info.n_open || (surplus == 0 && info.changed.0 >= rule.before) {
                // The order is nearly that of the times of change: what follows is younger still.
                is_end = surplus == 0 && info.changed.0 >= rule.before;
                continue;
            }
            n_read += 1;
            let Some(bytes) = segments.get(number).map_err(storage("read"))? else { continue };
            let mut segment = Segment::read(bytes.value()).map_err(segment_error(number))?;
            for row in (0..info.n_rows).filter(|row| !info.is_dead(*row)) {
                let bad = || super::file::damaged(format!("row {row} of segment {number} cannot be read"));
                let stored = segment.job(usize::from(row)).ok_or_else(bad)?;
                let job = &stored.job;
                if job.is_open() || (surplus == 0 && job.last_status_change >= rule.before) {
                    continue;
                }
                surplus = surplus.saturating_sub(1);
                let recipe = job.more.as_ref().and_then(|more| more.recipe);
                if let Some(recipe) = recipe
                    && !self.is_recipe_over(&txn, recipe, &mut recipes)?
                {
                    continue;
                }
                found.push(Leaving {
                    id: stored.id,
                    place: Place { segment: number, row },
                    job_type: job.job_type,
                    recipe,
                    kind: Kind::of(job),
                    digest: digest(stored.id, job),
                });
            }
        }
        found.sort_unstable_by_key(|leaving| leaving.id);
        let mut shared = self.shared.lock();
        shared.marked.looked_to = if is_end { 0 } else { next - 1 };
        if !found.is_empty() {
            // Release, with the Acquire in `generation`; under the lock, so that `facts` sees both or none.
            shared.marked.generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
            shared.marked.jobs = found;
        }
        Ok(())
    }

    /// What may go at this moment; none where nothing may.
    fn rule(&self) -> Option<Rule> {
        let shared = self.shared.lock();
        let Retention { age, jobs } = shared.retention;
        if (age.is_none() && jobs.is_none()) || !shared.marked.jobs.is_empty() {
            return None;
        }
        let (mut n_over, mut n_behind) = (0, 0);
        for info in shared.index.directory.values() {
            let n = u64::from(info.n_live() - info.n_open);
            n_over += n;
            // What is left there of before: those of recipes that go on.
            n_behind += if info.order <= shared.marked.looked_to { n } else { 0 };
        }
        let now = shared.index.head.totals.now;
        let micros = |age: Duration| i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let before = age.map_or(Timestamp(i64::MIN), |age| Timestamp(now.0.saturating_sub(micros(age))));
        Some(Rule {
            before,
            surplus: jobs.map_or(0, |keep| n_over.saturating_sub(keep).saturating_sub(n_behind)),
        })
    }

    /// True where no job of a recipe is open.
    fn is_recipe_over(
        &self,
        txn: &ReadTransaction,
        recipe: RecipeId,
        known: &mut HashMap<RecipeId, bool>,
    ) -> Result<bool, OpenError> {
        if let Some(is_over) = known.get(&recipe) {
            return Ok(*is_over);
        }
        let table = txn.open_table(RECIPES).map_err(storage("read"))?;
        let row = table.range(..=recipe.0).map_err(storage("read"))?.next_back();
        let piece: Vec<RecipeJobs> = match row {
            Some(row) => unseal(row.map_err(storage("read"))?.1.value())?,
            None => Vec::new(),
        };
        let found = piece.binary_search_by_key(&recipe.0, |(recipe, _, _)| *recipe).ok();
        let is_over = found.is_some_and(|at| {
            let (_, first, n) = piece[at];
            let end = first + u64::from(n);
            (first..end).step_by(usize::try_from(IDS_AT_ONCE).expect("few")).all(|from| {
                let shared = self.shared.lock();
                (from..end.min(from + IDS_AT_ONCE)).all(|id| {
                    let changed = shared.recent.get(JobId(id));
                    shared.index.open.get(id).is_none()
                        && changed.is_none_or(|changed| !changed.job.is_open())
                })
            })
        });
        known.insert(recipe, is_over);
        Ok(is_over)
    }

    /// Drops what was marked, where `frozen` holds every command that may have known of it.
    pub(super) fn drop_marked(
        &self,
        txn: &WriteTransaction,
        frozen: &Recent,
        changes: &mut Changes,
    ) -> Result<(), OpenError> {
        let mut counts: BTreeMap<JobTypeId, StatusCounts> = BTreeMap::new();
        let mut recipes: BTreeSet<RecipeId> = BTreeSet::new();
        {
            let shared = self.shared.lock();
            if shared.marked.jobs.is_empty() || frozen.generation() < shared.marked.generation {
                return Ok(());
            }
            changes.has_dropped = true;
            for leaving in shared.marked.jobs.iter().filter(|leaving| frozen.get(leaving.id).is_none()) {
                let Some(info) = changes.info(&shared.index, leaving.place.segment) else { continue };
                if !info.kill(leaving.place.row, leaving.job_type, leaving.kind, false) {
                    continue;
                }
                changes.head.n_dropped += 1;
                changes.head.dropped_hash = changes.head.dropped_hash.wrapping_add(leaving.digest);
                counts.entry(leaving.job_type).or_default().add(leaving.kind.status);
                changes.dropped.insert(leaving.id);
                recipes.extend(leaving.recipe);
            }
        }
        if changes.dropped.is_empty() {
            return Ok(());
        }
        remove_places(txn, &changes.dropped)?;
        let mut table = txn.open_table(DROPPED).map_err(storage("write"))?;
        for (job_type, count) in counts {
            let known = table.get(job_type.0).map_err(storage("read"))?;
            let known: StatusCounts =
                known.map(|bytes| unseal_one(bytes.value())).transpose()?.unwrap_or_default();
            table.insert(job_type.0, seal([known.plus(&count)]).as_slice()).map_err(storage("write"))?;
        }
        self.remove_creations(txn, changes)?;
        self.remove_recipes(txn, &recipes, changes)
    }

    /// Removes the pieces with these recipes of which no job is there any more.
    fn remove_recipes(
        &self,
        txn: &WriteTransaction,
        recipes: &BTreeSet<RecipeId>,
        changes: &Changes,
    ) -> Result<(), OpenError> {
        let mut table = txn.open_table(RECIPES).map_err(storage("write"))?;
        let places = txn.open_table(PLACES).map_err(storage("write"))?;
        let mut looked_to = None;
        for recipe in recipes {
            let row = table.range(..=recipe.0).map_err(storage("read"))?.next_back();
            let row = row.transpose().map_err(storage("read"))?;
            let Some((key, piece)) = row.map(|(key, piece)| (key.value(), unseal(piece.value()))) else {
                continue;
            };
            if looked_to.replace(key) == Some(key) {
                continue;
            }
            let mut is_there = false;
            let piece: Vec<RecipeJobs> = piece?;
            for (_, first, n) in piece.into_iter().rev() {
                is_there = self.is_one_there(&places, first..first + u64::from(n), &changes.dropped)?;
                if is_there {
                    break;
                }
            }
            if !is_there {
                table.remove(key).map_err(storage("write"))?;
            }
        }
        Ok(())
    }

    /// Removes the pieces of what was given to jobs of which none is there any more.
    fn remove_creations(&self, txn: &WriteTransaction, changes: &Changes) -> Result<(), OpenError> {
        let mut creations = txn.open_table(CREATIONS).map_err(storage("write"))?;
        let places = txn.open_table(PLACES).map_err(storage("write"))?;
        let mut pieces: BTreeSet<(u64, u64)> = BTreeSet::new();
        for id in &changes.dropped {
            if pieces.last().is_some_and(|(first, end)| (*first..*end).contains(&id.0)) {
                continue;
            }
            let key = |row: Option<Result<(redb::AccessGuard<'_, u64>, _), redb::StorageError>>| {
                row.transpose().map(|row| row.map(|(key, _)| key.value())).map_err(storage("read"))
            };
            let first = key(creations.range(..=id.0).map_err(storage("read"))?.next_back())?;
            let next = key(creations.range(id.0 + 1..).map_err(storage("read"))?.next())?;
            // The last piece may be that of jobs which come with this very checkpoint.
            pieces.extend(first.zip(next));
        }
        for (first, end) in pieces {
            if !self.is_one_there(&places, first..end, &changes.dropped)? {
                creations.remove(first).map_err(storage("write"))?;
            }
        }
        Ok(())
    }

    /// True where the file has one of these jobs, from the last one on: the first ones go first.
    fn is_one_there(
        &self,
        places: &impl ReadableTable<u64, &'static [u8]>,
        ids: std::ops::Range<u64>,
        dropped: &BTreeSet<JobId>,
    ) -> Result<bool, OpenError> {
        let mut end = ids.end;
        while end > ids.start {
            let (block, _) = block_of(JobId(end - 1));
            let from = (block * super::index::BLOCK_IDS).max(ids.start);
            {
                let shared = self.shared.lock();
                let is_there = |id: u64| {
                    let is_over = shared.index.over.contains_key(&JobId(id)) && !dropped.contains(&JobId(id));
                    is_over || shared.index.open.get(id).is_some()
                };
                if (from..end).rev().any(is_there) {
                    return Ok(true);
                }
            }
            if let Some(bytes) = places.get(block).map_err(storage("read"))? {
                let block: Block = unseal_one(bytes.value())?;
                let is_there = |id| block.get(block_of(JobId(id)).1).is_some_and(|place| *place != NOWHERE);
                if (from..end).any(is_there) {
                    return Ok(true);
                }
            }
            end = from;
        }
        Ok(false)
    }
}

/// Takes the places of jobs out of the table: also of one whose row is newer, and which was placed before it
/// got that.
fn remove_places(txn: &WriteTransaction, ids: &BTreeSet<JobId>) -> Result<(), OpenError> {
    let mut table = txn.open_table(PLACES).map_err(storage("write"))?;
    let ids: Vec<JobId> = ids.iter().copied().collect();
    for ids in ids.chunk_by(|a, b| block_of(*a).0 == block_of(*b).0) {
        let (number, _) = block_of(ids[0]);
        let known = table.get(number).map_err(storage("read"))?.map(|bytes| unseal_one(bytes.value()));
        let Some(mut block): Option<Block> = known.transpose()? else { continue };
        let mut is_changed = false;
        for id in ids {
            if let Some(place) = block.get_mut(block_of(*id).1) {
                is_changed |= std::mem::replace(place, NOWHERE) != NOWHERE;
            }
        }
        if block.iter().all(|place| *place == NOWHERE) {
            table.remove(number).map_err(storage("write"))?;
        } else if is_changed {
            table.insert(number, seal([block]).as_slice()).map_err(storage("write"))?;
        }
    }
    Ok(())
}

/// Adds one.
trait Add {
    fn add(&mut self, status: JobStatus);
}

impl Add for StatusCounts {
    fn add(&mut self, status: JobStatus) {
        match status {
            JobStatus::Failed => self.failed += 1,
            JobStatus::Completed => self.completed += 1,
            _ => self.canceled += 1,
        }
    }
}
