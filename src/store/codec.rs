//! Rows of jobs in bytes: numbers by seven bits, instants as distances from the job's first.
//!
//! Y1  What is written reads back equal; anything else is refused, never a panic.

use std::sync::Arc;

use crate::model::{
    BatchId, ErrorId, ExeEnd, ExeId, Extra, JobId, JobState, JobStatus, JobTypeId, LaunchName, More, NodeId,
    NodeResources, Outcome, RecipeId, TenantId, Timestamp, Usage,
};

/// A job as it is stored, with the jobs it waits for while it is not over, or waits for again if it is taken
/// up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredJob {
    pub(crate) id: JobId,
    pub(crate) job: JobState,
    pub(crate) parents: Vec<JobId>,
}

/// The number of an outcome that names an error of the catalog.
const ERROR: u8 = Outcome::Error { id: ErrorId(0) }.number();

/// Longest text of an outcome, and most parents, that are read back.
const LEN_MAX: u64 = 1 << 22;

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value << 1 ^ value >> 63).cast_unsigned());
}

/// Bytes that are read from the front.
pub(super) struct Reader<'b>(pub(super) &'b [u8]);

impl Reader<'_> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn instant(&mut self, base: Timestamp) -> Option<Timestamp> {
        Some(Timestamp(base.0.wrapping_add(self.signed()?)))
    }

    fn text(&mut self) -> Option<String> {
        let len = usize::try_from(self.number().filter(|len| *len <= LEN_MAX)?).ok()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

/// The beginning of a row.
pub(super) struct Seen {
    pub(super) id: JobId,
    pub(super) status: u8,
    pub(super) outcome: u8,
    pub(super) job_type: JobTypeId,
    pub(super) priority: i32,
    pub(super) created: i64,
    pub(super) changed: i64,
    pub(super) queued: Option<i64>,
    pub(super) recipe: Option<RecipeId>,
    pub(super) batch: Option<BatchId>,
    /// Of the catalog; 0 for none.
    pub(super) error: u32,
    pub(super) is_superseded: bool,
    pub(super) started: Option<i64>,
    pub(super) ended: Option<i64>,
}

impl Reader<'_> {
    /// Reads a row up to its outcome, for lists: no text, no set of resources.
    pub(super) fn glance(&mut self) -> Option<Seen> {
        let id = JobId(self.number()?);
        let status = self.byte()?;
        let flags = self.number()?;
        let has = |flag: u64| flags & flag != 0;
        let job_type = JobTypeId(self.small()?);
        let (_revision, _tenant) = (self.number()?, self.number()?);
        let priority = i32::try_from(self.signed()?).ok()?;
        for _executions_launches_tries_most_tries_resources in 0..5 {
            self.number()?;
        }
        let created = Timestamp(self.signed()?);
        let changed = self.instant(created)?.0;
        let queued = if has(QUEUED) { Some(self.instant(created)?.0) } else { None };
        if has(EXE) {
            self.number()?;
        }
        let recipe = if has(RECIPE) { Some(RecipeId(self.number()?)) } else { None };
        let batch = if has(BATCH) { Some(BatchId(self.number()?)) } else { None };
        let started = if has(STARTED) { Some(self.instant(created)?.0) } else { None };
        let ended = if has(ENDED) { Some(self.instant(created)?.0) } else { None };
        if has(NODE) {
            self.number()?;
        }
        let outcome = if has(END) {
            for _execution_launch_number in 0..3 {
                self.number()?;
            }
            self.byte()?
        } else {
            0
        };
        let error = if outcome == ERROR { self.small()? } else { 0 };
        let created = created.0;
        Some(Seen {
            id,
            status,
            outcome,
            job_type,
            priority,
            created,
            changed,
            queued,
            recipe,
            batch,
            error,
            is_superseded: has(SUPERSEDED),
            started,
            ended,
        })
    }
}

const QUEUED: u64 = 1;
const EXE: u64 = 1 << 1;
const MORE: u64 = 1 << 2;
const RECIPE: u64 = 1 << 3;
const STARTED: u64 = 1 << 4;
const ENDED: u64 = 1 << 5;
const NODE: u64 = 1 << 6;
const END: u64 = 1 << 7;
const QUEUE_PRIORITY: u64 = 1 << 8;
const RUNS: u64 = 1 << 9;
const PARENTS: u64 = 1 << 10;
const SUPERSEDED: u64 = 1 << 11;
const BATCH: u64 = 1 << 12;
const INPUT: u64 = 1 << 13;
const LACKS_INPUT: u64 = 1 << 14;
const LET_THROUGH: u64 = 1 << 15;

fn flags_of(job: &JobState, parents: &[JobId]) -> u64 {
    let when = |is_so: bool, flag: u64| if is_so { flag } else { 0 };
    let plain = when(job.queued.is_some(), QUEUED)
        | when(job.exe.is_some(), EXE)
        | when(!parents.is_empty(), PARENTS);
    let Some(more) = &job.more else { return plain };
    plain
        | MORE
        | when(more.recipe.is_some(), RECIPE)
        | when(more.started.is_some(), STARTED)
        | when(more.ended.is_some(), ENDED)
        | when(more.node.is_some(), NODE)
        | when(more.end.is_some(), END)
        | when(more.queue_priority.is_some(), QUEUE_PRIORITY)
        | when(more.runs, RUNS)
        | when(more.extra.superseded.is_some(), SUPERSEDED)
        | when(more.extra.batch.is_some(), BATCH)
        | when(more.extra.input_mib.is_some(), INPUT)
        | when(more.extra.lacks_input, LACKS_INPUT)
        | when(more.is_let_through, LET_THROUGH)
}

/// Appends a row; `resources` is the place of its resources in the segment's list.
pub(super) fn put_job(out: &mut Vec<u8>, id: JobId, job: &JobState, parents: &[JobId], resources: u64) {
    let base = job.created;
    let since = |when: Timestamp| when.0.wrapping_sub(base.0);
    put(out, id.0);
    out.push(job.status as u8);
    put(out, flags_of(job, parents));
    put(out, u64::from(job.job_type.0));
    put(out, u64::from(job.revision));
    put(out, u64::from(job.tenant.0));
    put_signed(out, i64::from(job.priority));
    put(out, u64::from(job.num_exes));
    put(out, u64::from(job.launches));
    put(out, u64::from(job.tries));
    put(out, u64::from(job.max_tries));
    put(out, resources);
    put_signed(out, base.0);
    put_signed(out, since(job.last_status_change));
    if let Some(queued) = job.queued {
        put_signed(out, since(queued));
    }
    if let Some(exe) = job.exe {
        put(out, exe.0);
    }
    if let Some(more) = &job.more {
        if let Some(recipe) = more.recipe {
            put(out, recipe.0);
        }
        if let Some(batch) = more.extra.batch {
            put(out, batch.0);
        }
        for when in [more.started, more.ended].into_iter().flatten() {
            put_signed(out, since(when));
        }
        if let Some(node) = more.node {
            put(out, u64::from(node.0));
        }
        if let Some(end) = &more.end {
            put_end(out, end, base);
        }
        if let Some(priority) = more.queue_priority {
            put_signed(out, i64::from(priority));
        }
        if let Some(superseded) = more.extra.superseded {
            put_signed(out, since(superseded));
        }
        if let Some(input_mib) = more.extra.input_mib {
            put(out, input_mib);
        }
    }
    if !parents.is_empty() {
        put(out, parents.len() as u64);
        for parent in parents {
            put(out, parent.0);
        }
    }
}

fn put_end(out: &mut Vec<u8>, end: &ExeEnd, base: Timestamp) {
    put(out, end.launch.exe.0);
    put(out, u64::from(end.launch.number));
    put(out, u64::from(end.exe_num));
    out.push(end.outcome.number());
    match &end.outcome {
        Outcome::Exited { code: 0 } | Outcome::TimedOut | Outcome::Canceled => {}
        Outcome::Exited { code: number } | Outcome::Signaled { signal: number } => {
            put_signed(out, i64::from(*number));
        }
        Outcome::NotStarted { reason } | Outcome::Lost { reason } => {
            put(out, reason.len() as u64);
            out.extend(reason.as_bytes());
        }
        Outcome::Error { id } => put(out, u64::from(id.0)),
    }
    put(out, end.usage.wall_us);
    put(out, end.usage.cpu_us);
    put(out, end.usage.mem_kib);
    put_signed(out, end.ended.0.wrapping_sub(base.0));
}

fn end(from: &mut Reader<'_>, base: Timestamp) -> Option<ExeEnd> {
    let launch = LaunchName { exe: ExeId(from.number()?), number: from.small()? };
    let exe_num = from.small()?;
    let outcome = match from.byte()? {
        1 => Outcome::Exited { code: 0 },
        2 => Outcome::Exited { code: i32::try_from(from.signed()?).ok()? },
        3 => Outcome::Signaled { signal: i32::try_from(from.signed()?).ok()? },
        4 => Outcome::TimedOut,
        5 => Outcome::Canceled,
        6 => Outcome::NotStarted { reason: from.text()? },
        7 => Outcome::Lost { reason: from.text()? },
        ERROR => Outcome::Error { id: ErrorId(from.small()?) },
        _ => return None,
    };
    let usage = Usage { wall_us: from.number()?, cpu_us: from.number()?, mem_kib: from.number()? };
    Some(ExeEnd { launch, exe_num, outcome, usage, ended: from.instant(base)? })
}

/// Reads a row; `resources` gives those at a place of the segment's list.
pub(super) fn job(
    row: &[u8],
    resources: impl FnOnce(u64) -> Option<Arc<NodeResources>>,
) -> Option<StoredJob> {
    let mut from = Reader(row);
    let id = JobId(from.number()?);
    let status = *JobStatus::ALL.get(usize::from(from.byte()?))?;
    let flags = from.number()?;
    let has = |flag: u64| flags & flag != 0;
    let job_type = JobTypeId(from.small()?);
    let revision = from.small()?;
    let tenant = TenantId(from.small()?);
    let priority = i32::try_from(from.signed()?).ok()?;
    let (num_exes, launches) = (from.small()?, from.small()?);
    let (tries, max_tries) = (from.small()?, from.small()?);
    let resources = resources(from.number()?)?;
    let created = Timestamp(from.signed()?);
    let last_status_change = from.instant(created)?;
    let queued = if has(QUEUED) { Some(from.instant(created)?) } else { None };
    let exe = if has(EXE) { Some(ExeId(from.number()?)) } else { None };
    let mut more = None;
    if has(MORE) {
        more = Some(Box::new(More {
            recipe: if has(RECIPE) { Some(RecipeId(from.number()?)) } else { None },
            extra: Extra {
                batch: if has(BATCH) { Some(BatchId(from.number()?)) } else { None },
                lacks_input: has(LACKS_INPUT),
                ..Extra::default()
            },
            started: if has(STARTED) { Some(from.instant(created)?) } else { None },
            ended: if has(ENDED) { Some(from.instant(created)?) } else { None },
            node: if has(NODE) { Some(NodeId(from.small()?)) } else { None },
            end: if has(END) { Some(end(&mut from, created)?) } else { None },
            queue_priority: if has(QUEUE_PRIORITY) {
                Some(i32::try_from(from.signed()?).ok()?)
            } else {
                None
            },
            runs: has(RUNS),
            is_let_through: has(LET_THROUGH),
        }));
    }
    if let Some(more) = &mut more {
        more.extra.superseded = if has(SUPERSEDED) { Some(from.instant(created)?) } else { None };
        more.extra.input_mib = if has(INPUT) { Some(from.number()?) } else { None };
    }
    let mut parents = Vec::new();
    if has(PARENTS) {
        for _ in 0..from.number().filter(|len| *len <= LEN_MAX)? {
            parents.push(JobId(from.number()?));
        }
    }
    let job = JobState {
        created,
        last_status_change,
        queued,
        exe,
        resources,
        more,
        job_type,
        revision,
        tenant,
        priority,
        num_exes,
        launches,
        tries,
        max_tries,
        status,
    };
    from.0.is_empty().then_some(StoredJob { id, job, parents })
}
