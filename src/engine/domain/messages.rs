//! What messages order and tell: jobs go to the queue, back to waiting, or are told to have begun and ended
//! elsewhere; and the letters that could not be carried out.
//!
//! News of an execution that a driver of ours launched ends that launch as its driver's word would. News of one
//! that still waits here is taken too: word of its start is a launch by somebody else, under the launch number
//! that is next; word of its end takes it out of the queue without a launch.
//!
//! M1  What names another execution than a job's newest one changes nothing.
//! M2  A message is carried out whole, or becomes a dead letter, in one command.
//! M3  What changed since a cancel was ordered, or its being taken back, is left alone: the same order that
//!     comes once more changes nothing.
//! M4  At most `DEAD_LETTERS_MAX` letters are kept, the newest ones.

use std::collections::BTreeSet;

use crate::engine::core::{Core, Order, in_events};
use crate::engine::domain::BulkError;
use crate::engine::handle::{Changed, JobsError};
use crate::engine::shell::Engine;
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::job::{can_be_canceled, can_be_queued, can_be_requeued, can_be_uncanceled, judge, standing};
use crate::limits::{DEAD_LETTERS_MAX, RUNNING_MAX};
use crate::model::{
    BulkId, BulkKind, DeadLetter, Doc, DocKey, ErrorId, Event, ExeEnd, ExeId, JobAt, JobError, JobExeEnd,
    JobFilter, JobId, JobState, JobStatus, LaunchName, Message, MessageFilter, NodeId, Outcome, RecalledJobs,
    Timestamp, Usage, kind,
};
use crate::state::Gone;
use crate::store::Facts;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivered {
    /// It was carried out: so many jobs changed, so many were left alone for where they stand.
    Done(Changed),
    /// It is carried out some jobs at a time, as this operation.
    Bulk(BulkId),
    /// It cannot be carried out, and is kept as this letter.
    SetAside(DeadLetter),
}

/// Why nobody can say yet what becomes of a message; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// How its jobs stand changed, or could not be read.
    #[error(transparent)]
    Jobs(#[from] JobsError),
    /// As many bulk operations, or executions, go on as may.
    #[error("{0}; try again later")]
    Busy(&'static str),
    /// There is no dead letter of that number, or no more.
    #[error("no dead letter {0}")]
    NoDeadLetter(u64),
}

/// A message on its way to the core: what it says, or why it cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// As it came.
    pub(crate) text: String,
    pub(crate) says: Result<Message, Unread>,
    /// The dead letter that it was until now.
    pub(crate) number: Option<u64>,
}

/// Why a message cannot be carried out: a stable word, and a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

enum Refusal {
    /// It becomes a dead letter.
    Never(Unread),
    /// It may be carried out later.
    NotNow(DeliveryError),
}

impl Refusal {
    fn never(code: &'static str, reason: String) -> Self {
        Self::Never(Unread { code, reason })
    }
}

impl From<JobsError> for Refusal {
    fn from(error: JobsError) -> Self {
        match error {
            JobsError::Unknown(_) => Self::never("unknown-job", error.to_string()),
            JobsError::TooMany { .. } => Self::never("too-many", error.to_string()),
            JobsError::Changing(_) | JobsError::Unreadable { .. } => Self::NotNow(error.into()),
        }
    }
}

const fn key(number: u64) -> DocKey {
    DocKey { kind: kind::DEAD_LETTER, id: number, sub: 0 }
}

impl Engine {
    /// Carries a letter out, or keeps it as a dead one.
    pub(crate) fn take_letter(
        &self,
        letter: Letter,
    ) -> Result<Ticket<Delivered, DeliveryError>, IntakeError> {
        let jobs = letter.says.as_ref().map(Message::jobs).unwrap_or_default();
        match self.facts(&jobs) {
            Ok(facts) => self.call_inner(move |inner, core, now| {
                inner.still_true(&facts)?;
                core.take_letter(letter, &facts, now)
            }),
            Err(error) => Ok(self.refused(error.into())),
        }
    }

    /// Dead letters from that number on, at most `limit`, as they are on disk.
    pub fn dead_letters(&self, from: u64, limit: usize) -> Vec<DeadLetter> {
        let letters = self.docs((key(from), key(u64::MAX)), false, limit);
        letters.iter().filter_map(|doc| letter_of(doc)).collect()
    }

    /// The dead letter of that number.
    pub fn dead_letter(&self, number: u64) -> Option<DeadLetter> {
        self.doc(key(number)).as_deref().and_then(letter_of)
    }

    /// An answer for a number without a dead letter.
    pub(crate) fn no_dead_letter<T>(&self, number: u64) -> Ticket<T, DeliveryError> {
        self.refused(DeliveryError::NoDeadLetter(number))
    }

    /// Drops a dead letter.
    pub fn drop_dead_letter(&self, number: u64) -> Result<Ticket<(), DeliveryError>, IntakeError> {
        if self.dead_letter(number).is_none() {
            return Ok(self.no_dead_letter(number));
        }
        self.call(move |core, _| {
            core.emit(Event::DocDropped(key(number)));
            Ok(())
        })
    }
}

fn letter_of(doc: &Doc) -> Option<DeadLetter> {
    match doc {
        Doc::DeadLetter(letter) => Some(letter.clone()),
        _ => None,
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn changed(n: usize, n_all: usize) -> Delivered {
    Delivered::Done(Changed { n_changed: count(n), n_ignored: count(n_all.saturating_sub(n)) })
}

impl Core {
    fn take_letter(
        &mut self,
        letter: Letter,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<Delivered, DeliveryError> {
        let refusal = match &letter.says {
            Ok(message) => match self.obey(message, facts, now) {
                Ok(delivered) => {
                    if let Some(number) = letter.number {
                        self.emit(Event::DocDropped(key(number)));
                    }
                    return Ok(delivered);
                }
                Err(Refusal::NotNow(error)) => return Err(error),
                Err(Refusal::Never(unread)) => unread,
            },
            Err(unread) => unread.clone(),
        };
        Ok(Delivered::SetAside(self.set_aside(letter.text, letter.number, refusal, now)))
    }

    fn set_aside(&mut self, text: String, known: Option<u64>, why: Unread, now: Timestamp) -> DeadLetter {
        let number = known.unwrap_or_else(|| self.state.docs().next(kind::DEAD_LETTER));
        let (code, when) = (why.code.to_owned(), self.clamp(now));
        let letter = DeadLetter { number, message: text, code, reason: why.reason, when };
        self.put(Doc::DeadLetter(letter.clone()));
        if known.is_none() && number > DEAD_LETTERS_MAX {
            self.emit(Event::DocDropped(key(number - DEAD_LETTERS_MAX)));
        }
        letter
    }

    fn obey(&mut self, message: &Message, facts: &Facts, now: Timestamp) -> Result<Delivered, Refusal> {
        self.check_jobs(&message.jobs())?;
        match message {
            Message::QueuedJobs { jobs, requeue: false, priority } => {
                Ok(self.queue_told(jobs, *priority, now))
            }
            Message::QueuedJobs { jobs, requeue: true, priority } => {
                self.requeue_told(jobs, facts, *priority, now)
            }
            Message::RequeueJobs { jobs, priority } => {
                let wants = |job: &JobState, at: &JobAt| {
                    (can_be_requeued(job) && job.num_exes == at.exe_num) || can_be_uncanceled(job)
                };
                let chosen = self.told(jobs, facts, wants)?;
                let done = self.requeue(&chosen, facts, *priority, now)?;
                Ok(changed((done.n_queued + done.n_uncanceled) as usize, jobs.len()))
            }
            Message::RequeueJobsBulk { filter, priority } => {
                self.order_told(BulkKind::Requeue, filter, *priority, now)
            }
            Message::CancelJobs { jobs, when } => {
                let wants = |job: &JobState| can_be_canceled(job) && job.last_status_change < *when;
                Ok(Delivered::Done(self.cancel_where(jobs, facts, wants, now)?))
            }
            Message::CancelJobsBulk { filter } => self.order_told(BulkKind::Cancel, filter, None, now),
            Message::UncancelJobs { jobs, when } => {
                let wants = |job: &JobState| can_be_uncanceled(job) && job.last_status_change < *when;
                let (chosen, done) = self.chosen_again(jobs, facts, wants)?;
                let now = self.clamp(now);
                self.uncancel(&chosen, now);
                Ok(Delivered::Done(done))
            }
            Message::RunningJobs { started, nodes } => self.begun_told(*started, nodes, facts, now),
            Message::CompletedJobs { ended, jobs } => {
                let ended = (*ended).min(now);
                let well = |at: &JobAt| self.end_told(*at, Outcome::Exited { code: 0 }, ended, now);
                Ok(changed(jobs.iter().map(well).filter(|is| *is).count(), jobs.len()))
            }
            Message::FailedJobs { ended, errors } => {
                errors.iter().try_for_each(|(error, _)| self.check_error(*error))?;
                let all: Vec<(ErrorId, JobAt)> =
                    errors.iter().flat_map(|(id, jobs)| jobs.iter().map(|at| (*id, *at))).collect();
                let ended = (*ended).min(now);
                let failed =
                    |(id, at): &(ErrorId, JobAt)| self.end_told(*at, Outcome::Error { id: *id }, ended, now);
                Ok(changed(all.iter().map(failed).filter(|is| *is).count(), all.len()))
            }
            Message::JobExeEnds { ends } => {
                ends.iter().filter_map(|end| end.error).try_for_each(|error| self.check_error(error))?;
                let n = ends.iter().map(|end| self.record_told(end, now)).filter(|is| *is).count();
                Ok(changed(n, ends.len()))
            }
        }
    }

    fn check_error(&self, id: ErrorId) -> Result<(), Refusal> {
        let is_known =
            JobError::of_id(id.0).is_some() || self.state.docs().get(kind::ERROR, id.0.into()).is_some();
        if is_known { Ok(()) } else { Err(Refusal::never("unknown-error", format!("no error {id}"))) }
    }

    /// Those of `jobs` that `wants` says yes to, once each.
    fn told(
        &self,
        jobs: &[JobAt],
        facts: &Facts,
        wants: impl Fn(&JobState, &JobAt) -> bool,
    ) -> Result<Vec<JobId>, JobsError> {
        let mut chosen = BTreeSet::new();
        for at in jobs {
            let job = self.standing_of(at.job, facts)?;
            chosen.extend(job.filter(|job| wants(job, at)).map(|_| at.job));
        }
        Ok(chosen.into_iter().collect())
    }

    /// Queues jobs for the first time.
    fn queue_told(&mut self, jobs: &[JobAt], priority: Option<i32>, now: Timestamp) -> Delivered {
        let is_due = |at: &&JobAt| {
            let job = self.state.job(at.job);
            let is_due = job.is_some_and(|job| can_be_queued(job) && job.num_exes == at.exe_num);
            // An input is there once those before it are done.
            is_due && self.state.graph.is_ready(at.job)
        };
        let due: BTreeSet<JobId> = jobs.iter().filter(is_due).map(|at| at.job).collect();
        let due: Vec<JobId> = due.into_iter().collect();
        self.queue_all(&due, priority, now);
        changed(due.len(), jobs.len())
    }

    /// Queues jobs again, with the tries they have.
    fn requeue_told(
        &mut self,
        jobs: &[JobAt],
        facts: &Facts,
        priority: Option<i32>,
        now: Timestamp,
    ) -> Result<Delivered, Refusal> {
        let wants = |job: &JobState, at: &JobAt| can_be_requeued(job) && job.num_exes == at.exe_num;
        let chosen = self.told(jobs, facts, wants)?;
        self.recall(&chosen, facts, can_be_requeued)?;
        let (chosen, _) = self.chosen(&chosen, can_be_requeued);
        self.queue_all(&chosen, priority, now);
        Ok(changed(chosen.len(), jobs.len()))
    }

    fn queue_all(&mut self, jobs: &[JobId], priority: Option<i32>, now: Timestamp) {
        let when = self.clamp(now);
        for jobs in in_events(jobs) {
            self.queue_jobs_now(jobs, priority, when);
        }
        self.unblock_descendants(jobs, when);
    }

    fn order_told(
        &mut self,
        kind: BulkKind,
        filter: &MessageFilter,
        priority: Option<i32>,
        now: Timestamp,
    ) -> Result<Delivered, Refusal> {
        let cursor = filter.current_job;
        let ordered = self.order_bulk_below(kind, self.filter_of(filter), priority, cursor, now);
        ordered.map(Delivered::Bulk).map_err(|error| match error {
            BulkError::TooMany => {
                Refusal::NotNow(DeliveryError::Busy("as many bulk operations go on as may"))
            }
            BulkError::Unfiltered => Refusal::never("unfiltered", error.to_string()),
            other => Refusal::never("refused", other.to_string()),
        })
    }

    /// The conditions of a message, names and categories by the ids that stand for them.
    fn filter_of(&self, told: &MessageFilter) -> JobFilter {
        let mut filter = JobFilter {
            started: told.started,
            ended: told.ended,
            statuses: told.status.map(|status| vec![status]),
            jobs: told.jobs.clone(),
            job_types: told.job_types.clone(),
            recipes: told.recipes.clone(),
            batches: told.batches.clone(),
            errors: told.errors.clone(),
            is_superseded: told.is_superseded,
        };
        if let Some(names) = &told.job_type_names {
            let all = self.state.catalog.iter().filter(|kind| names.contains(&kind.spec.name));
            let ids: Vec<_> = all.map(|kind| kind.id).collect();
            filter.job_types = Some(both(filter.job_types, ids));
        }
        if let Some(categories) = &told.error_categories {
            let built_in = JobError::ALL.into_iter().filter(|error| categories.contains(&error.category()));
            let own = self.state.docs().of_kind(kind::ERROR).filter_map(|doc| match &**doc {
                Doc::Error(error) if categories.iter().any(|of| of.as_str() == error.category) => {
                    Some(error.id)
                }
                _ => None,
            });
            let ids = built_in.map(ErrorId::from).chain(own).collect();
            filter.errors = Some(both(filter.errors, ids));
        }
        filter
    }

    fn is_known_node(&self, node: NodeId) -> bool {
        self.nodes.get(node).is_some() || self.state.docs().get(kind::NODE, node.0.into()).is_some()
    }

    /// Word of starts. A job that is over already is told where and since when it ran, if it does not know.
    fn begun_told(
        &mut self,
        started: Timestamp,
        nodes: &[(NodeId, Vec<JobAt>)],
        facts: &Facts,
        now: Timestamp,
    ) -> Result<Delivered, Refusal> {
        if let Some((node, _)) = nodes.iter().find(|(node, _)| !self.is_known_node(*node)) {
            return Err(Refusal::never("unknown-node", format!("no node {node}")));
        }
        let all: Vec<(NodeId, JobAt)> =
            nodes.iter().flat_map(|(node, jobs)| jobs.iter().map(|at| (*node, *at))).collect();
        let n_taken = self.state.running.len() + self.state.queue.n_picked();
        if n_taken + all.len() > RUNNING_MAX {
            return Err(Refusal::NotNow(DeliveryError::Busy("as many executions run as may")));
        }
        let lacks_start = |job: &JobState| {
            job.status.is_final() && job.more.as_ref().is_none_or(|more| !more.runs && more.started.is_none())
        };
        // One that was over after its facts were read is read again.
        let gone = |id: JobId| self.state.job(id).is_none().then(|| self.state.gone(id, facts.position));
        let changing = all.iter().find(|(_, at)| matches!(gone(at.job), Some(Gone::As(_) | Gone::Unsure)));
        if let Some((_, at)) = changing {
            return Err(JobsError::Changing(at.job).into());
        }
        let late = |job: &JobState| lacks_start(job);
        // Only those that change: nothing else makes them leave again.
        let told: Vec<JobAt> = all.iter().map(|(_, at)| *at).collect();
        let is_told = |job: &JobState, at: &JobAt| job.exe.is_some() && job.num_exes == at.exe_num;
        let ids = self.told(&told, facts, |job, at| late(job) && is_told(job, at))?;
        self.recall(&ids, facts, late)?;
        let when = started.min(now);
        let n = all.iter().map(|(node, at)| self.begin_told(*node, *at, when, late)).filter(|is| *is).count();
        Ok(changed(n, all.len()))
    }

    fn begin_told(
        &mut self,
        node: NodeId,
        at: JobAt,
        when: Timestamp,
        is_late: impl Fn(&JobState) -> bool,
    ) -> bool {
        let Some((job, exe)) = self.newest(at) else { return false };
        if standing(job).can_be_running() {
            let launch = LaunchName { exe, number: job.launches + 1 };
            self.emit(Event::Launched { launch, node, when });
            return true;
        }
        if !is_late(job) {
            return false;
        }
        let mut job = job.clone();
        (job.more().started, job.more().node) = (Some(when), Some(node));
        self.emit(Event::JobsRestored(RecalledJobs(vec![(at.job, job)])));
        true
    }

    /// A job in memory whose newest execution is the one that is told of.
    fn newest(&self, at: JobAt) -> Option<(&JobState, ExeId)> {
        let job = self.state.job(at.job).filter(|job| job.num_exes == at.exe_num)?;
        Some((job, job.exe?))
    }

    /// Word of the end of a job's newest execution.
    fn end_told(&mut self, at: JobAt, outcome: Outcome, ended: Timestamp, now: Timestamp) -> bool {
        let Some((job, exe)) = self.newest(at) else { return false };
        let name = LaunchName { exe, number: job.launches };
        if self.state.running.get(&exe).is_some_and(|running| running.launch == name.number) {
            self.end_launch_at(name, outcome, Usage::default(), ended, self.clamp(now));
            // Whatever still runs of it runs for nobody.
            self.out.orders.push(Order::Kill(name));
            return true;
        }
        let standing = standing(job);
        let can_end =
            if outcome.is_success() { standing.can_be_completed() } else { standing.can_be_failed() };
        if !can_end {
            return false;
        }
        let is_long_running = self.is_long_running(job.job_type);
        let verdict = judge(job, &outcome, is_long_running, |error| self.should_be_retried(error));
        let mut job = job.clone();
        job.status = verdict.status;
        job.last_status_change = ended;
        job.tries = job.tries.saturating_add(u16::from(verdict.uses_try));
        let more = job.more();
        more.ended = Some(ended);
        more.end =
            Some(ExeEnd { launch: name, exe_num: at.exe_num, outcome, usage: Usage::default(), ended });
        self.emit(Event::JobsRestored(RecalledJobs(vec![(at.job, job)])));
        let when = self.clamp(now);
        self.follow_end(at.job, verdict, when);
        true
    }

    /// An end record: one more is taken for no execution that has one.
    fn record_told(&mut self, end: &JobExeEnd, now: Timestamp) -> bool {
        let (at, ended) = (end.job, end.ended.min(now));
        let outcome = match (end.status, end.error) {
            (JobStatus::Completed, _) => Outcome::Exited { code: 0 },
            (JobStatus::Failed, Some(id)) => Outcome::Error { id },
            (JobStatus::Failed, None) => Outcome::Lost { reason: "no error was told".to_owned() },
            _ => Outcome::Canceled,
        };
        if let Some(name) = self.overtaken_as(at) {
            return self.end_launch_at(name, outcome, Usage::default(), ended, self.clamp(now));
        }
        // A cancel comes as an order of its own; its record only ends what runs on.
        let is_canceled = |job: &JobState| job.status == JobStatus::Canceled;
        if outcome == Outcome::Canceled && !self.state.job(at.job).is_some_and(is_canceled) {
            return false;
        }
        self.end_told(at, outcome, ended, now)
    }

    /// The launch of an execution that runs although its job was queued again.
    fn overtaken_as(&self, at: JobAt) -> Option<LaunchName> {
        let found = self.state.docs().of_kind(kind::OVERTAKEN).find_map(|doc| match &**doc {
            Doc::Overtaken(exe) if exe.job == at.job && exe.exe_num == at.exe_num => Some(exe),
            _ => None,
        })?;
        Some(LaunchName { exe: found.exe, number: found.launch })
    }
}

/// What both let through.
fn both<T: PartialEq>(one: Option<Vec<T>>, other: Vec<T>) -> Vec<T> {
    match one {
        Some(one) => one.into_iter().filter(|value| other.contains(value)).collect(),
        None => other,
    }
}
