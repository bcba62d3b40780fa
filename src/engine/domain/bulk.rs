//! Bulk operations: a requeue or a cancel of every job that a filter lets through, some at a time, with other
//! work in between.
//!
//! Protocol:
//! 1. The order is put on record as a document; from then on it is carried out whatever happens.
//! 2. Whoever calls `bulk_step` (a service does) reads the next jobs below the cursor, newest first, and hands
//!    them in, some in a command. A command changes those that still can be changed, takes down what they were,
//!    and moves the cursor: all of that, or nothing, is on disk. After each command it rests, many times as
//!    long as that took.
//! 3. When nothing is left below the cursor the operation is done.
//!
//! B1  A job that was made after the order is not touched by it.
//! B2  What an operation changed stands in its parts, so that it can be taken back.
//! B3  The cursor passes no job that was not looked at: a command that does not find it where it was when
//!     its jobs were read does nothing.
//! B4  A job is changed only where the filter lets it through by then, and queued again only where that has
//!     not been done since it was read.
//! B5  What is over is forgotten some parts at a time. From the first of them on it cannot be taken back;
//!     what is being taken back is not forgotten.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::monotonic;
use crate::engine::core::Core;
use crate::engine::handle::JobsError;
use crate::engine::look::LookError;
use crate::engine::shell::Engine;
use crate::engine::ticket::{Ticket, TicketError};
use crate::intake::IntakeError;
use crate::job::{can_be_canceled, can_be_requeued, can_be_uncanceled};
use crate::limits::{
    BULK_IDS, BULK_JOBS, BULK_NAMED_MAX, BULK_PAGE, BULK_PARTS_DROPPED, BULK_REST_MAX, BULK_REST_TIMES,
    BULKS_KEPT, BULKS_RUNNING_MAX, LIST_IDS_MAX,
};
use crate::model::{
    BulkId, BulkKind, BulkOperation, BulkPart, BulkPhase, Doc, DocKey, Event, Job, JobColumn, JobCursor,
    JobFilter, JobId, JobOrder, JobQuery, JobState, JobStatus, JobTotal, Timestamp, kind,
};
use crate::store::{Facts, ListError};

/// Why a bulk operation was not put on record, or not carried on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BulkError {
    /// A filter that lets every job through: hardly anybody means it.
    #[error("a bulk operation needs a filter; name statuses, job types, jobs, recipes, batches or times")]
    Unfiltered,
    /// More ids than a list of the filter may hold.
    #[error("{n} ids in one list of the filter, at most {max}")]
    TooManyIds {
        /// How many.
        n: usize,
        /// How many there may be.
        max: usize,
    },
    /// There is none of that id.
    #[error("no bulk operation {0}")]
    Unknown(BulkId),
    /// What is to be taken back still goes on, or was taken back.
    #[error("bulk operation {0} cannot be taken back: it goes on, or was taken back")]
    NotDone(BulkId),
    /// As many go on as may.
    #[error("{BULKS_RUNNING_MAX} bulk operations go on already; try again once one is done")]
    TooMany,
    /// Jobs could not be read or changed.
    #[error("{cause}")]
    Jobs {
        /// Why.
        cause: String,
    },
}

impl From<ListError> for BulkError {
    fn from(error: ListError) -> Self {
        Self::Jobs { cause: error.to_string() }
    }
}

impl From<LookError> for BulkError {
    fn from(error: LookError) -> Self {
        Self::Jobs { cause: error.to_string() }
    }
}

/// What a bulk operation would change.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BulkPreview {
    /// How many jobs its filter lets through, in states that it can change.
    pub total: JobTotal,
    /// The newest of them.
    pub sample: Vec<Job>,
}

/// How long a step waits for what it handed in.
const STEP_WAIT: Duration = Duration::from_secs(20);

/// The cursor of an operation that is over and of which parts were dropped: no job has an id above it.
const FORGOTTEN: u64 = u64::MAX;

/// Pause between two looks at an operation that somebody waits for.
const WAIT_LOOK: Duration = Duration::from_millis(1);

/// A job as it was read for a step.
#[derive(Clone, Copy, Debug)]
struct Listed {
    id: JobId,
    num_exes: u32,
    /// Its priority is that of its type.
    is_following: bool,
}

impl Listed {
    fn of(job: &Job) -> Self {
        let is_following = job.given.as_ref().is_some_and(|given| given.configuration.is_empty());
        Self { id: job.id, num_exes: job.num_exes, is_following }
    }
}

/// What is to be done behind the jobs of a step.
enum Rest {
    /// The next step reads on from there.
    Read,
    /// Nothing of use lies above this id any more.
    Skip(u64),
    /// Nothing is left at all.
    End,
}

fn is_unfiltered(filter: &JobFilter) -> bool {
    *filter == JobFilter::default()
}

fn check_len(filter: &JobFilter) -> Result<(), BulkError> {
    fn len<T>(list: Option<&Vec<T>>) -> usize {
        list.map_or(0, Vec::len)
    }
    let named = (len(filter.jobs.as_ref()), BULK_NAMED_MAX);
    let others = [
        len(filter.job_types.as_ref()),
        len(filter.recipes.as_ref()),
        len(filter.batches.as_ref()),
        len(filter.errors.as_ref()),
        len(filter.statuses.as_ref()),
    ];
    let others = others.map(|n| (n, LIST_IDS_MAX));
    match std::iter::once(named).chain(others).find(|(n, max)| n > max) {
        Some((n, max)) => Err(BulkError::TooManyIds { n, max }),
        None => Ok(()),
    }
}

/// The same filter, without jobs in states that the operation leaves alone.
fn of_use(filter: &JobFilter, kind: BulkKind) -> JobFilter {
    let mut filter = filter.clone();
    let can_be = |status: &JobStatus| match kind {
        BulkKind::Cancel => !matches!(status, JobStatus::Completed | JobStatus::Canceled),
        _ => !matches!(status, JobStatus::Completed | JobStatus::Pending | JobStatus::Blocked),
    };
    let asked = filter.statuses.take().unwrap_or_else(|| JobStatus::ALL.to_vec());
    filter.statuses = Some(asked.into_iter().filter(can_be).collect());
    filter
}

impl Engine {
    /// Orders a requeue or a cancel of every job that a filter lets through. The answer is its id; the work
    /// is done by whoever calls [`Engine::bulk_step`].
    pub fn bulk(
        &self,
        kind: BulkKind,
        filter: JobFilter,
        priority: Option<i32>,
    ) -> Result<Ticket<BulkId, BulkError>, IntakeError> {
        self.call(move |core, now| core.order_bulk(kind, filter, priority, now))
    }

    /// What such an operation would change at this moment.
    pub fn bulk_preview(
        &self,
        kind: BulkKind,
        filter: &JobFilter,
        sample: usize,
    ) -> Result<BulkPreview, ListError> {
        let query = JobQuery::new(sample).filter(of_use(filter, kind)).counted();
        let page = self.list_jobs(&query.order([JobOrder::descending(JobColumn::Id)]))?;
        let total = page.total.unwrap_or(JobTotal { n: page.jobs.len() as u64, is_exact: false });
        Ok(BulkPreview { total, sample: page.jobs })
    }

    /// Ends a bulk operation where it is. What it changed stays changed.
    pub fn bulk_stop(&self, id: BulkId) -> Result<Ticket<(), BulkError>, IntakeError> {
        self.call(move |core, now| core.end_bulk(id, BulkPhase::Stopped, now))
    }

    /// Orders that a bulk operation is taken back, as far as nothing followed from it yet: jobs that were
    /// canceled while they waited go back to their old places in the queue, those that were running are queued
    /// again; jobs that were queued again and still wait are canceled.
    pub fn bulk_undo(&self, id: BulkId) -> Result<Ticket<BulkId, BulkError>, IntakeError> {
        self.call(move |core, now| core.order_undo(id, now))
    }

    /// Waits until a bulk operation is over, and has it looked for at once where a service carries them out.
    /// False where it still goes on after `timeout`.
    pub fn bulk_wait(&self, id: BulkId, timeout: Duration) -> bool {
        let end = monotonic() + timeout;
        self.hurry_bulk();
        loop {
            let is_running = {
                let owned = self.0.enter();
                owned.core.known_bulk(id).is_ok_and(|bulk| bulk.phase == BulkPhase::Running)
            };
            if !is_running || monotonic() >= end {
                return !is_running;
            }
            std::thread::sleep(WAIT_LOOK);
        }
    }

    /// Carries the oldest bulk operation that goes on one step further. False where none goes on.
    ///
    /// Cost: a page of a list of jobs, and a commit; most of the time it rests, so that decisions go on.
    pub fn bulk_step(&self) -> Result<bool, BulkError> {
        let (next, has_old) = {
            let owned = self.0.enter();
            (owned.core.running_bulk(), owned.core.bulk_to_forget(None).is_some())
        };
        if has_old {
            let forgotten = self.call_here(|_, core, _| {
                core.forget_bulks(None);
                Ok(())
            });
            settle(vec![forgotten.map_err(refusal)?])?;
        }
        let Some(bulk) = next else { return Ok(has_old) };
        // What is not seen is passed over for good.
        self.caught_up()?;
        match bulk.kind {
            BulkKind::Undo(of) => self.undo_step(&bulk, of)?,
            BulkKind::Requeue | BulkKind::Cancel => self.page_step(&bulk)?,
        }
        Ok(true)
    }

    fn page_step(&self, bulk: &BulkOperation) -> Result<(), BulkError> {
        let mut filter = of_use(&bulk.filter, bulk.kind);
        if let Some(named) = &mut filter.jobs {
            named.sort_unstable_by(|a, b| b.cmp(a));
            named.dedup();
            named.retain(|id| id.0 < bulk.cursor);
            named.truncate(BULK_IDS);
        }
        let lowest = filter.jobs.as_ref().map(|named| named.last().map_or(0, |id| id.0));
        let query = JobQuery::new(BULK_PAGE).filter(filter).order([JobOrder::descending(JobColumn::Id)]);
        let page = match self.list_jobs(&query.clone().after(JobCursor::after(JobId(bulk.cursor)))) {
            Err(ListError::TooBroad) => return self.window_step(bulk, &query.filter),
            page => page?,
        };
        let is_last = page.next.is_none() && lowest.is_none_or(|lowest| lowest == 0);
        let rest = match lowest {
            _ if is_last => Rest::End,
            // Of those that were named some are left.
            Some(lowest) if page.jobs.is_empty() && page.next.is_none() => Rest::Skip(lowest),
            _ => Rest::Read,
        };
        self.hand_in_all(bulk, &page.jobs, &rest)
    }

    /// The same where those that are wanted are too rare to be listed: the jobs just below the cursor are all
    /// looked at.
    fn window_step(&self, bulk: &BulkOperation, filter: &JobFilter) -> Result<(), BulkError> {
        let floor = bulk.cursor.saturating_sub(1 + BULK_IDS as u64);
        let mut window = self.read_jobs(JobId(floor), BULK_IDS)?;
        window.retain(|job| job.id.0 < bulk.cursor && filter.matches(job));
        window.sort_unstable_by_key(|job| std::cmp::Reverse(job.id));
        self.hand_in_all(bulk, &window, &if floor == 0 { Rest::End } else { Rest::Skip(floor + 1) })
    }

    /// Hands in what a step read, each command with the place where the one before it leaves the cursor.
    fn hand_in_all(&self, bulk: &BulkOperation, jobs: &[Job], rest: &Rest) -> Result<(), BulkError> {
        let (mut tickets, mut from) = (Vec::new(), bulk.cursor);
        for jobs in jobs.chunks(BULK_JOBS) {
            let to = jobs.last().map_or(0, |job| job.id.0);
            tickets.push(self.hand_in(bulk.id, jobs, (from, to))?);
            from = to;
        }
        match rest {
            Rest::Read => {}
            Rest::Skip(to) => tickets.push(self.hand_in(bulk.id, &[], (from, *to))?),
            Rest::End => tickets.push(self.call(move_on(bulk.id, from)).map_err(refusal)?),
        }
        settle(tickets)
    }

    fn hand_in(
        &self,
        id: BulkId,
        jobs: &[Job],
        place: (u64, u64),
    ) -> Result<Ticket<(), JobsError>, BulkError> {
        let began = monotonic();
        let listed: Vec<Listed> = jobs.iter().map(Listed::of).collect();
        let facts = match self.facts(&ids_of(&listed)) {
            Ok(facts) => facts,
            Err(error) => return Ok(self.refused(error)),
        };
        let sent = self.call_here(|inner, core, now| {
            inner.still_true(&facts)?;
            core.bulk_jobs(id, &listed, &facts, place, now)
        });
        std::thread::sleep((BULK_REST_TIMES * (monotonic() - began)).min(BULK_REST_MAX));
        sent.map_err(refusal)
    }

    fn undo_step(&self, bulk: &BulkOperation, of: BulkId) -> Result<(), BulkError> {
        let key = DocKey { kind: kind::BULK_PART, id: of.0, sub: bulk.cursor };
        let ticket = match self.read_doc(key)?.as_deref() {
            Some(Doc::BulkPart(part)) => {
                let (id, part) = (bulk.id, part.clone());
                let jobs = part.jobs.iter().map(|(id, _, _)| *id).collect();
                self.with_facts(jobs, move |core, _, facts, now| core.undo_part(id, &part, facts, now))
            }
            _ => self.call(move_on(bulk.id, bulk.cursor)),
        };
        settle(vec![ticket.map_err(refusal)?])
    }
}

fn ids_of(listed: &[Listed]) -> Vec<JobId> {
    listed.iter().map(|job| job.id).collect()
}

/// Ends an operation of which nothing is left below a place, if that is where it is.
fn move_on(
    id: BulkId,
    from: u64,
) -> impl FnOnce(&mut Core, Timestamp) -> Result<(), JobsError> + Send + 'static {
    // One that was stopped meanwhile is over all the same.
    move |core, now| {
        if core.known_bulk(id).is_ok_and(|bulk| bulk.cursor == from) {
            let _ = core.end_bulk(id, BulkPhase::Done, now);
        }
        Ok(())
    }
}

fn refusal(error: IntakeError) -> BulkError {
    BulkError::Jobs { cause: error.to_string() }
}

/// Waits for what was handed in. What changed in that very moment is read again with the next step.
fn settle(tickets: Vec<Ticket<(), JobsError>>) -> Result<(), BulkError> {
    for ticket in tickets {
        match ticket.wait_durable(STEP_WAIT) {
            Ok(()) => {}
            Err(TicketError::Refused(JobsError::Changing(_))) => return Ok(()),
            Err(error) => return Err(BulkError::Jobs { cause: error.to_string() }),
        }
    }
    Ok(())
}

impl Core {
    fn bulks(&self) -> impl Iterator<Item = &BulkOperation> {
        self.state.docs().of_kind(kind::BULK).filter_map(|doc| match &**doc {
            Doc::Bulk(bulk) => Some(bulk),
            _ => None,
        })
    }

    fn running_bulk(&self) -> Option<BulkOperation> {
        self.bulks().find(|bulk| bulk.phase == BulkPhase::Running).cloned()
    }

    fn known_bulk(&self, id: BulkId) -> Result<BulkOperation, BulkError> {
        match self.state.docs().get(kind::BULK, id.0).map(|doc| &**doc) {
            Some(Doc::Bulk(bulk)) => Ok(bulk.clone()),
            _ => Err(BulkError::Unknown(id)),
        }
    }

    pub(in crate::engine) fn order_bulk(
        &mut self,
        kind: BulkKind,
        filter: JobFilter,
        priority: Option<i32>,
        now: Timestamp,
    ) -> Result<BulkId, BulkError> {
        self.order_bulk_below(kind, filter, priority, None, now)
    }

    /// The same for jobs below an id.
    pub(in crate::engine) fn order_bulk_below(
        &mut self,
        kind: BulkKind,
        filter: JobFilter,
        priority: Option<i32>,
        below: Option<JobId>,
        now: Timestamp,
    ) -> Result<BulkId, BulkError> {
        if is_unfiltered(&filter) {
            return Err(BulkError::Unfiltered);
        }
        check_len(&filter)?;
        let cursor = below.map_or(u64::MAX, |below| below.0).min(self.state.next_job().0);
        self.put_bulk(kind, filter, priority, cursor, now)
    }

    fn put_bulk(
        &mut self,
        kind: BulkKind,
        filter: JobFilter,
        priority: Option<i32>,
        cursor: u64,
        now: Timestamp,
    ) -> Result<BulkId, BulkError> {
        if self.bulks().filter(|bulk| bulk.phase == BulkPhase::Running).count() >= BULKS_RUNNING_MAX {
            return Err(BulkError::TooMany);
        }
        self.forget_bulks(match kind {
            BulkKind::Undo(of) => Some(of),
            BulkKind::Requeue | BulkKind::Cancel => None,
        });
        let (id, when) = (self.state.docs().next_bulk(), self.clamp(now));
        self.put(Doc::Bulk(BulkOperation {
            id,
            kind,
            filter,
            priority,
            cursor,
            phase: BulkPhase::Running,
            n_seen: 0,
            n_changed: 0,
            n_parts: 0,
            created: when,
            last_modified: when,
        }));
        Ok(id)
    }

    /// The oldest operation that is over and too many, unless it is `kept` or is being taken back.
    fn bulk_to_forget(&self, kept: Option<BulkId>) -> Option<BulkOperation> {
        let is_over = |bulk: &&BulkOperation| bulk.phase != BulkPhase::Running;
        let n = self.bulks().filter(is_over).count().saturating_sub(BULKS_KEPT);
        let is_undone = |id: BulkId| {
            let undo = |bulk: &BulkOperation| !is_over(&bulk) && bulk.kind == BulkKind::Undo(id);
            self.bulks().any(undo)
        };
        let mut old = self.bulks().filter(is_over).take(n);
        old.find(|bulk| Some(bulk.id) != kept && !is_undone(bulk.id)).cloned()
    }

    /// Drops some of what the oldest operations that are over took down, and those of which nothing is left.
    fn forget_bulks(&mut self, kept: Option<BulkId>) {
        let mut room = BULK_PARTS_DROPPED;
        while room > 0
            && let Some(mut bulk) = self.bulk_to_forget(kept)
        {
            let key = |kind, sub: u32| DocKey { kind, id: bulk.id.0, sub: sub.into() };
            if bulk.n_parts <= room {
                room -= bulk.n_parts.max(1);
                self.emit(Event::DocsDropped { kind: kind::BULK_PART, id: bulk.id.0, n: bulk.n_parts });
                self.emit(Event::DocDropped(key(kind::BULK, 0)));
                continue;
            }
            let left = bulk.n_parts - std::mem::take(&mut room);
            for part in left..bulk.n_parts {
                self.emit(Event::DocDropped(key(kind::BULK_PART, part)));
            }
            (bulk.n_parts, bulk.cursor) = (left, FORGOTTEN);
            self.put(Doc::Bulk(bulk));
        }
    }

    fn end_bulk(&mut self, id: BulkId, phase: BulkPhase, now: Timestamp) -> Result<(), BulkError> {
        let mut bulk = self.known_bulk(id)?;
        if bulk.phase == BulkPhase::Running {
            (bulk.phase, bulk.last_modified) = (phase, self.clamp(now));
            self.put(Doc::Bulk(bulk));
        }
        Ok(())
    }

    fn order_undo(&mut self, id: BulkId, now: Timestamp) -> Result<BulkId, BulkError> {
        let of = self.known_bulk(id).ok().filter(|of| of.cursor != FORGOTTEN);
        let of = of.ok_or(BulkError::Unknown(id))?;
        let is_undo = |bulk: &BulkOperation| bulk.kind == BulkKind::Undo(id);
        if of.phase == BulkPhase::Running || matches!(of.kind, BulkKind::Undo(_)) || self.bulks().any(is_undo)
        {
            return Err(BulkError::NotDone(id));
        }
        self.put_bulk(BulkKind::Undo(id), of.filter, None, 0, now)
    }

    /// Changes the next jobs of an operation, and moves its cursor on from where it was when they were read.
    fn bulk_jobs(
        &mut self,
        id: BulkId,
        listed: &[Listed],
        facts: &Facts,
        (from, to): (u64, u64),
        now: Timestamp,
    ) -> Result<(), JobsError> {
        let Ok(mut bulk) = self.known_bulk(id) else { return Ok(()) };
        // Stopped, or what comes before was refused, or somebody else goes on with it.
        if bulk.phase != BulkPhase::Running || bulk.cursor != from {
            return Ok(());
        }
        self.check_jobs(&ids_of(listed))?;
        let before = self.still_wanted(&bulk, listed, facts)?;
        let chosen: Vec<JobId> = before.iter().map(|(id, _)| *id).collect();
        if bulk.kind == BulkKind::Cancel {
            self.cancel(&chosen, facts, now)?;
        } else {
            let mut follows = listed.to_vec();
            follows.retain(|job| job.is_following && chosen.contains(&job.id));
            follows.sort_unstable_by_key(|job| job.id);
            let follows = ids_of(&follows);
            self.requeue_following(&chosen, facts, bulk.priority, &follows, now)?;
        }
        let num_exes = |id: JobId| self.state.job(id).map_or(0, |job| job.num_exes);
        let is_changed = |id: JobId| {
            let is_open = self.state.job(id).is_some_and(JobState::is_open);
            bulk.kind == BulkKind::Cancel || is_open
        };
        let changed = before.into_iter().filter(|(id, _)| is_changed(*id));
        let changed: Vec<_> = changed.map(|(id, was)| (id, was, num_exes(id))).collect();
        bulk.cursor = to;
        bulk.n_seen += listed.len() as u64;
        bulk.n_changed += changed.len() as u64;
        bulk.last_modified = self.clamp(now);
        if !changed.is_empty() {
            self.put(Doc::BulkPart(BulkPart { bulk: id, part: bulk.n_parts, jobs: changed }));
            bulk.n_parts += 1;
        }
        self.put(Doc::Bulk(bulk));
        Ok(())
    }

    /// Those jobs that an operation still is to change, and how they stand.
    fn still_wanted(
        &self,
        bulk: &BulkOperation,
        listed: &[Listed],
        facts: &Facts,
    ) -> Result<Vec<(JobId, JobStatus)>, JobsError> {
        let wants = |job: &JobState, listed: &Listed| match bulk.kind {
            BulkKind::Cancel => can_be_canceled(job),
            _ => job.num_exes == listed.num_exes && (can_be_requeued(job) || can_be_uncanceled(job)),
        };
        let mut wanted = Vec::new();
        for listed in listed {
            let job = self.standing_of(listed.id, facts)?;
            let job = job.filter(|job| wants(job, listed) && bulk.filter.still_matches(job));
            wanted.extend(job.map(|job| (listed.id, job.status)));
        }
        Ok(wanted)
    }

    /// Takes back what one step of an operation changed.
    fn undo_part(
        &mut self,
        id: BulkId,
        part: &BulkPart,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<(), JobsError> {
        let Ok(mut undo) = self.known_bulk(id) else { return Ok(()) };
        if undo.phase != BulkPhase::Running || undo.cursor != u64::from(part.part) {
            return Ok(());
        }
        let n_changed = match self.known_bulk(part.bulk).map(|of| of.kind) {
            Ok(BulkKind::Cancel) => self.undo_cancel(part, facts, now)?,
            Ok(BulkKind::Requeue) => self.undo_requeue(part, facts, now)?,
            _ => 0,
        };
        undo.cursor += 1;
        undo.n_seen += part.jobs.len() as u64;
        undo.n_changed += n_changed as u64;
        undo.last_modified = self.clamp(now);
        self.put(Doc::Bulk(undo));
        Ok(())
    }

    fn undo_requeue(&mut self, part: &BulkPart, facts: &Facts, now: Timestamp) -> Result<usize, JobsError> {
        let still_waits = |(id, _, num_exes): &&(JobId, JobStatus, u32)| {
            let job = self.state.job(*id);
            job.is_some_and(|job| job.status == JobStatus::Queued && job.num_exes == *num_exes)
        };
        let jobs: Vec<JobId> = part.jobs.iter().filter(still_waits).map(|(id, _, _)| *id).collect();
        self.cancel(&jobs, facts, now)?;
        Ok(jobs.len())
    }

    fn undo_cancel(&mut self, part: &BulkPart, facts: &Facts, now: Timestamp) -> Result<usize, JobsError> {
        let is_canceled = |job: &JobState| job.status == JobStatus::Canceled && !job.is_superseded();
        let mut all = Vec::new();
        for (id, _, num_exes) in &part.jobs {
            let job = self.standing_of(*id, facts)?;
            all.extend(job.filter(|job| job.num_exes == *num_exes).map(|_| *id));
        }
        let (all, _) = self.chosen_again(&all, facts, is_canceled)?;
        let still = |(id, was, _): &(JobId, JobStatus, u32)| {
            all.binary_search(id).ok()?;
            let job = self.state.job(*id)?;
            let is_over = job.more.as_ref().is_none_or(|more| !more.runs);
            Some((*id, *was, is_over))
        };
        let chosen: Vec<_> = part.jobs.iter().filter_map(still).collect();
        let of = |wants: fn(JobStatus, bool) -> bool| -> Vec<JobId> {
            chosen.iter().filter(|(_, was, is_over)| wants(*was, *is_over)).map(|(id, _, _)| *id).collect()
        };
        let waited = of(|was, is_over| was == JobStatus::Queued && is_over);
        let failed = of(|was, _| was == JobStatus::Failed);
        let again = of(|was, is_over| was == JobStatus::Running || (was == JobStatus::Queued && !is_over));
        let never = of(|was, _| matches!(was, JobStatus::Pending | JobStatus::Blocked));
        let when = self.clamp(now);
        if !waited.is_empty() {
            self.emit(Event::JobsPutBack { jobs: waited.clone(), when });
        }
        if !failed.is_empty() {
            self.emit(Event::JobsMarked { jobs: failed, status: JobStatus::Failed, when });
        }
        if !again.is_empty() {
            self.queue_jobs_now(again.clone(), None, when);
        }
        self.unblock_descendants(&waited, when);
        self.unblock_descendants(&again, when);
        self.uncancel(&never, when);
        Ok(chosen.len())
    }
}

/// Runs bulk operations until none goes on.
pub(in crate::engine) fn run_all(engine: &Engine, is_stopped: &dyn Fn() -> bool) -> Option<Arc<str>> {
    while !is_stopped() {
        match engine.bulk_step() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(error.to_string().into()),
        }
    }
    None
}

#[cfg(test)]
mod tests;
