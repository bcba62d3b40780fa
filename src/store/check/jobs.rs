//! Jobs: every one has exactly one row that is true, and all that speaks of it agrees.

use std::collections::{BTreeMap, BTreeSet};

use redb::ReadableTableMetadata;

use super::super::codec::StoredJob;
use super::super::faults::{FaultKind, StoreFaults};
use super::super::file::{CREATIONS, Head, PLACES, SEGMENTS};
use super::super::glance::Glance;
use super::super::index::{BLOCK_IDS, Block, NOWHERE, block_of};
use super::super::inspect::{SEGMENT_MISSING, segment_fault};
use super::super::look::Look;
use super::super::segment::{KindCount, Place, Segment, SegmentInfo};
use super::super::survey::{STATE, Survey, rows, values};
use super::Checking;
use crate::limits::JOB_TYPES_MAX;
use crate::load::Counters;
use crate::model::{Creation, JobId, JobTypeId, RecipeId, TenantId, Timestamp};
use crate::state::{Kind, digest};

/// What is kept of each job.
#[derive(Clone, Copy, Debug)]
struct Seen {
    place: Place,
    is_over: bool,
    /// Of type, tenant and recipe.
    given: u32,
}

/// All jobs that have a row.
#[derive(Default)]
pub(super) struct Jobs {
    /// By blocks of ids, as the places are.
    blocks: BTreeMap<u64, Box<[Option<Seen>]>>,
    n: u64,
    counters: Counters,
    hash: u64,
    open_hash: u64,
    /// Rows that are marked as replaced.
    dead: Vec<(JobId, Place)>,
    /// Segments or rows could not be read, so that jobs are missing for that.
    is_partial: bool,
}

/// What a job was given and its row repeats, in short.
fn given(job_type: JobTypeId, tenant: TenantId, recipe: Option<RecipeId>) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&job_type.0.to_le_bytes());
    crc.update(&tenant.0.to_le_bytes());
    crc.update(&recipe.map_or(u64::MAX, |recipe| recipe.0).to_le_bytes());
    crc.finalize()
}

impl Jobs {
    fn get(&self, id: JobId) -> Option<Seen> {
        let (block, at) = block_of(id);
        self.blocks.get(&block)?[at]
    }

    /// Takes a job up; what it had before comes out.
    fn put(&mut self, id: JobId, seen: Seen) -> Option<Seen> {
        let (block, at) = block_of(id);
        let new = || vec![None; usize::try_from(BLOCK_IDS).expect("few")].into_boxed_slice();
        let before = self.blocks.entry(block).or_insert_with(new)[at].replace(seen);
        self.n += u64::from(before.is_none());
        before
    }
}

/// Ids that follow each other, as one.
#[derive(Default)]
struct Runs(Option<(u64, u64)>);

impl Runs {
    fn add(&mut self, ids: std::ops::Range<u64>, mut tell: impl FnMut(String)) {
        match &mut self.0 {
            _ if ids.is_empty() => {}
            Some((_, end)) if *end == ids.start => *end = ids.end,
            _ => {
                self.end(&mut tell);
                self.0 = Some((ids.start, ids.end));
            }
        }
    }

    fn end(&mut self, mut tell: impl FnMut(String)) {
        match self.0.take() {
            Some((first, end)) if first + 1 == end => tell(format!("job {first}")),
            Some((first, end)) => tell(format!("jobs {first} to {}", end - 1)),
            None => {}
        }
    }
}

/// What the rows of a segment say, against the directory.
struct Rows<'a> {
    info: &'a SegmentInfo,
    kinds: BTreeMap<(JobTypeId, u8, u8), u16>,
    n_open: u16,
    ids: Option<(JobId, JobId)>,
    changed: Option<(Timestamp, Timestamp)>,
    /// The first job that its zone does not hold.
    outside: Option<JobId>,
}

fn widen<T: Copy + Ord>(range: &mut Option<(T, T)>, value: T) {
    *range = Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
}

impl Rows<'_> {
    fn add(&mut self, stored: &StoredJob, is_dead: bool) {
        widen(&mut self.ids, stored.id);
        widen(&mut self.changed, stored.job.last_status_change);
        if !is_dead {
            let kind = Kind::of(&stored.job);
            *self.kinds.entry((stored.job.job_type, kind.status as u8, kind.outcome)).or_default() += 1;
            self.n_open += u16::from(stored.job.is_open());
            let glance = Glance::of(stored.id, &stored.job);
            let is_held = |at: usize| self.info.zone(at).is_some_and(|zone| zone.holds(&glance.columns));
            let at = self
                .info
                .kinds
                .binary_search_by_key(&glance.kind(), |count| (count.job_type, count.status, count.outcome));
            if !at.is_ok_and(is_held) {
                self.outside.get_or_insert(stored.id);
            }
        }
    }

    /// What the directory says otherwise.
    fn differences(self, n_bytes: usize) -> Vec<String> {
        let mut told = Vec::new();
        let info = self.info;
        let mut same = |what: &str, says: String, is: String| {
            if says != is {
                told.push(format!("the directory says {what} {says}, the segment {is}"));
            }
        };
        same("bytes", info.bytes.to_string(), n_bytes.to_string());
        same("ids", format!("{:?}", Some(info.ids)), format!("{:?}", self.ids));
        same("times of change", format!("{:?}", Some(info.changed)), format!("{:?}", self.changed));
        same("rows that are open", info.n_open.to_string(), self.n_open.to_string());
        let key = |count: &KindCount| (count.job_type, count.status, count.outcome);
        let kinds = info.kinds.iter().filter(|count| count.n > 0).map(|count| (key(count), count.n));
        let kinds: BTreeMap<_, _> = kinds.collect();
        same("kinds", format!("{kinds:?}"), format!("{:?}", self.kinds));
        if !info.kinds.is_sorted_by_key(key) {
            told.push("its kinds are not sorted".to_owned());
        }
        if let Some(job) = self.outside {
            told.push(format!("job {job} is outside of the bounds of its kind"));
        }
        told
    }
}

impl Checking<'_> {
    /// What the directory says of itself.
    pub(super) fn directory(&mut self, survey: &Survey, head: &Head) {
        let faults = &mut self.report.faults;
        let mut orders = BTreeMap::new();
        for (number, info) in &survey.directory {
            let mut bad = |cause: String| {
                faults.add(FaultKind::Directory, STATE, format_args!("segment {number}"), cause);
            };
            if *number >= head.next_segment {
                bad(format!("the totals say that the next segment is {}", head.next_segment));
            }
            if info.order > head.next_order {
                bad(format!("its order is {}, the totals end at {}", info.order, head.next_order));
            }
            if let Some(other) = orders.insert(info.order, *number) {
                bad(format!("its order is that of segment {other}"));
            }
            let n_marked: u32 = info.dead.iter().map(|word| word.count_ones()).sum();
            let n_within = (0..info.n_rows).filter(|row| info.is_dead(*row)).count();
            if n_marked != u32::from(info.n_dead) || n_within != usize::from(info.n_dead) {
                bad(format!("{} of its rows are replaced, {n_marked} are marked", info.n_dead));
            }
            if info.dead.len() != usize::from(info.n_rows).div_ceil(64) {
                bad(format!("{} words mark its {} rows", info.dead.len(), info.n_rows));
            }
        }
        if head.placed_below > head.next_segment {
            let cause =
                format_args!("places are below {}, segments below {}", head.placed_below, head.next_segment);
            faults.add(FaultKind::Totals, STATE, "meta head", cause);
        }
    }

    /// Reads every row of every segment.
    pub(super) fn segments(&mut self, look: &mut Look, survey: &Survey, head: &Head) -> Jobs {
        let mut jobs = Jobs::default();
        let mut missing: BTreeSet<u32> = survey.directory.keys().copied().collect();
        let n_all = missing.len() as u64;
        self.tell("segments", 0, n_all);
        let Self { report, progress } = self;
        let mut n_done = 0;
        rows(look, "segments", SEGMENTS, &mut report.faults, |faults, number, bytes| {
            let Some(info) = survey.directory.get(&number) else {
                // An unfinished checkpoint leaves numbers that are used again.
                if number < head.next_segment {
                    let cause = "the directory does not name it";
                    faults.add(FaultKind::Directory, STATE, format_args!("segment {number}"), cause);
                }
                return;
            };
            missing.remove(&number);
            n_done += 1;
            if n_done % 64 == 0 {
                progress(super::CheckProgress { step: "segments", n_done, n_all });
            }
            jobs.read(number, info, bytes, survey, head, faults);
        });
        report.n_segments = n_done;
        for number in missing {
            jobs.is_partial = true;
            let place = format_args!("segment {number}");
            report.faults.add(FaultKind::Segment, STATE, place, SEGMENT_MISSING);
        }
        report.n_jobs = jobs.n;
        jobs.all_there(head, &mut report.faults);
        jobs.dead_are_replaced(head, &mut report.faults);
        jobs
    }

    /// Holds the table of places against where the jobs are.
    pub(super) fn places(&mut self, look: &mut Look, jobs: &Jobs, head: &Head) {
        let in_table =
            |seen: &Seen| (seen.is_over && seen.place.segment < head.placed_below).then_some(seen.place);
        let n_all = jobs.blocks.len() as u64;
        self.tell("places", 0, n_all);
        let Self { report, progress } = self;
        let mut told = BTreeSet::new();
        values(look, "places", PLACES, &mut report.faults, |faults, number, all: Vec<Block>, _| {
            told.insert(number);
            if told.len() % 1_024 == 0 {
                progress(super::CheckProgress { step: "places", n_done: told.len() as u64, n_all });
            }
            let [block] = all.as_slice() else {
                faults.add(FaultKind::Value, STATE, format_args!("places {number}"), "it is not one block");
                return;
            };
            let first = number.saturating_mul(BLOCK_IDS);
            let seen = jobs.blocks.get(&number);
            for at in 0..usize::try_from(BLOCK_IDS).expect("few").max(block.len()) {
                let id = JobId(first.saturating_add(at as u64));
                let says = block.get(at).filter(|place| **place != NOWHERE);
                let says = says.map(|&(segment, row)| Place { segment, row });
                let job = seen.and_then(|seen| *seen.get(at)?);
                let mut bad = |cause: String| {
                    faults.add(FaultKind::Place, STATE, format_args!("job {id}"), cause);
                };
                match (says, job.as_ref()) {
                    (Some(_), None) if !(1..=head.totals.n_jobs).contains(&id.0) => {
                        bad("it has a place, and was never made".to_owned());
                    }
                    (Some(place), None) if head.n_dropped > 0 && !jobs.is_partial => {
                        bad(format!("its place is {}, and it was dropped", shown(place)));
                    }
                    // It has no row at all, which was told; or it was dropped.
                    (_, None) => {}
                    // Nobody asks for the places of others, so old ones may be left.
                    (says, Some(seen)) => {
                        let is = in_table(seen);
                        if is.is_some() && says != is {
                            let says = says.map_or("none".to_owned(), shown);
                            bad(format!("its place is {says}, it is at {}", shown(seen.place)));
                        }
                    }
                }
            }
        });
        for (number, block) in jobs.blocks.iter().filter(|(number, _)| !told.contains(number)) {
            let wanted = block.iter().flatten().filter(|seen| in_table(seen).is_some()).count();
            if wanted > 0 {
                let cause = format!("the block of {wanted} jobs is missing");
                report.faults.add(FaultKind::Place, STATE, format_args!("places {number}"), cause);
            }
        }
    }

    /// Holds what jobs were given against their rows, along the way on which it is looked up.
    pub(super) fn creations(&mut self, look: &mut Look, jobs: &Jobs, head: &Head) {
        let n_all = look.ask(|db| {
            let txn = redb::ReadableDatabase::begin_read(db).map_err(|error| error.to_string())?;
            let table = txn.open_table(CREATIONS).map_err(|error| error.to_string())?;
            table.len().map_err(|error| error.to_string())
        });
        let n_all = n_all.unwrap_or(0);
        self.tell("creations", 0, n_all);
        let Self { report, progress } = self;
        let end = head.totals.n_jobs.saturating_add(1);
        let mut pieces = Pieces {
            jobs,
            next: 1,
            runs: Runs::default(),
            last: Vec::new(),
            last_key: 0,
            has_dropped: head.n_dropped > 0,
        };
        let mut n_done = 0;
        values(look, "creations", CREATIONS, &mut report.faults, |faults, key, all: Vec<Creation>, _| {
            n_done += 1;
            if n_done % 256 == 0 {
                progress(super::CheckProgress { step: "creations", n_done, n_all });
            }
            if all.first().is_none_or(|creation| creation.first.0 != key) {
                let cause = format!("it begins with {:?}", all.first().map(|creation| creation.first));
                faults.add(FaultKind::Creation, STATE, format_args!("creations {key}"), cause);
            }
            pieces.end_at(key.min(end), faults);
            (pieces.last, pieces.last_key) = (all, key);
        });
        pieces.end_at(end, &mut report.faults);
        let faults = &mut report.faults;
        pieces.runs.end(|jobs| faults.add(FaultKind::Creation, STATE, jobs, "no creation holds it"));
    }

    /// Holds counts and hash against a recount.
    pub(super) fn counts(&mut self, survey: &Survey, jobs: &Jobs) {
        let faults = &mut self.report.faults;
        let mut kept = Counters::default();
        for (id, counts) in &survey.counts {
            if survey.types.contains_key(id) && *id as usize <= JOB_TYPES_MAX {
                kept.restore(JobTypeId(*id), *counts);
            } else {
                faults.add(FaultKind::Counts, STATE, format_args!("job type {id}"), "there is no such type");
            }
        }
        for id in survey.types.keys().map(|id| JobTypeId(*id)).filter(|id| id.0 as usize <= JOB_TYPES_MAX) {
            let dropped = survey.dropped.get(&id.0).copied().unwrap_or_default();
            let (says, is) = (kept.of(id), jobs.counters.of(id).plus(&dropped));
            if says != is {
                let cause = format!("it says {says:?}, a recount {is:?}");
                faults.add(FaultKind::Counts, STATE, format_args!("job type {id}"), cause);
            }
        }
        let Some(head) = survey.head else { return };
        let totals = head.totals;
        let mut same = |what: &str, says: u64, is: u64| {
            if says != is {
                let cause = format!("{what} is {says:016x}, the sum over all rows {is:016x}");
                faults.add(FaultKind::Hash, STATE, "meta head", cause);
            }
        };
        same("the hash of all jobs", totals.hash, jobs.hash.wrapping_add(head.dropped_hash));
        same("the hash of jobs that are not over", totals.open_hash, jobs.open_hash);
    }
}

fn shown(place: Place) -> String {
    format!("row {} of segment {}", place.row, place.segment)
}

impl Jobs {
    fn read(
        &mut self,
        number: u32,
        info: &SegmentInfo,
        bytes: &[u8],
        survey: &Survey,
        head: &Head,
        faults: &mut StoreFaults,
    ) {
        let at = format!("segment {number}");
        let mut segment = match Segment::read(bytes) {
            Ok(segment) => segment,
            Err(error) => {
                let (kind, cause) = segment_fault(error);
                faults.add(kind, STATE, at, cause);
                self.is_partial = true;
                return;
            }
        };
        if segment.n_rows() != usize::from(info.n_rows) {
            let cause = format!("the directory says rows {}, the segment {}", info.n_rows, segment.n_rows());
            faults.add(FaultKind::Directory, STATE, &at, cause);
        }
        let mut found =
            Rows { info, kinds: BTreeMap::new(), n_open: 0, ids: None, changed: None, outside: None };
        for row in 0..u16::try_from(segment.n_rows()).unwrap_or(u16::MAX) {
            let place = Place { segment: number, row };
            let Some(stored) = segment.job(usize::from(row)) else {
                faults.add(FaultKind::Segment, STATE, shown(place), "it cannot be read");
                self.is_partial = true;
                continue;
            };
            let is_dead = info.is_dead(row);
            found.add(&stored, is_dead);
            if is_dead {
                self.dead.push((stored.id, place));
            } else {
                self.take(&stored, place, survey, head, faults);
            }
        }
        for cause in found.differences(bytes.len()) {
            faults.add(FaultKind::Directory, STATE, &at, cause);
        }
    }

    /// Takes a row that is true.
    fn take(
        &mut self,
        stored: &StoredJob,
        place: Place,
        survey: &Survey,
        head: &Head,
        faults: &mut StoreFaults,
    ) {
        let StoredJob { id, job, parents } = stored;
        let totals = &head.totals;
        let at = || format!("job {id}, {}", shown(place));
        let mut bad = |cause: String| faults.add(FaultKind::Job, STATE, at(), cause);
        let recipe = job.more.as_ref().and_then(|more| more.recipe);
        if !(1..=totals.n_jobs).contains(&id.0) {
            bad(format!("jobs end at {}", totals.n_jobs));
        }
        if job.exe.is_some_and(|exe| exe > totals.last_exe) {
            bad(format!("its execution comes after the last, {}", totals.last_exe));
        }
        if recipe.is_some_and(|recipe| !(1..=totals.n_recipes).contains(&recipe.0)) {
            bad(format!("its recipe is not one of {}", totals.n_recipes));
        }
        if let Some(parent) =
            parents.iter().find(|parent| !(1..=totals.n_jobs).contains(&parent.0) || *parent == id)
        {
            bad(format!("it waits for job {parent}"));
        }
        match survey.types.get(&job.job_type.0) {
            Some(kind) if u64::from(job.revision) > survey.newest_revision(kind) => {
                bad(format!("its revision {} of type {} comes after the last", job.revision, job.job_type));
            }
            Some(_) if job.job_type.0 as usize <= JOB_TYPES_MAX => {
                self.counters.add(job.job_type, job.status);
            }
            _ => bad(format!("there is no type {}", job.job_type)),
        }
        let digest = digest(*id, job);
        self.hash = self.hash.wrapping_add(digest);
        if job.is_open() {
            self.open_hash = self.open_hash.wrapping_add(digest);
        }
        let seen = Seen { place, is_over: !job.is_open(), given: given(job.job_type, job.tenant, recipe) };
        if let Some(other) = self.put(*id, seen) {
            faults.add(FaultKind::JobTwice, STATE, at(), format_args!("it is also {}", shown(other.place)));
        }
    }

    /// Every id has a row.
    fn all_there(&self, head: &Head, faults: &mut StoreFaults) {
        let hint = if self.is_partial { "; some rows could not be read" } else { "" };
        let end = head.totals.n_jobs.saturating_add(1);
        let n_there = self.n + head.n_dropped;
        if head.n_dropped > 0 && !self.is_partial {
            // Nothing is left of those that retention dropped.
            if n_there != end - 1 {
                let cause = format_args!(
                    "{} jobs have rows and {} were dropped, of {}",
                    self.n,
                    head.n_dropped,
                    end - 1
                );
                faults.add(FaultKind::JobMissing, STATE, "meta head", cause);
            }
            return;
        }
        let mut tell = |jobs: String| {
            faults.add(FaultKind::JobMissing, STATE, jobs, format_args!("no row is true of it{hint}"));
        };
        let (mut runs, mut next) = (Runs::default(), 1);
        for (number, block) in &self.blocks {
            for (at, _) in block.iter().enumerate().filter(|(_, seen)| seen.is_some()) {
                let id = number * BLOCK_IDS + at as u64;
                if id < end {
                    runs.add(next..id.max(next), &mut tell);
                    next = id + 1;
                }
            }
        }
        runs.add(next..end.max(next), &mut tell);
        runs.end(tell);
    }

    /// Rows that are marked as replaced are: the newer row stands in a later segment.
    fn dead_are_replaced(&self, head: &Head, faults: &mut StoreFaults) {
        for (id, place) in &self.dead {
            let live = self.get(*id);
            if live.is_some_and(|live| live.place.segment > place.segment)
                || (live.is_none() && (self.is_partial || head.n_dropped > 0))
            {
                continue;
            }
            let cause = match live {
                Some(live) => format!("it is marked as replaced, and {} is older", shown(live.place)),
                None => "it is marked as replaced, and there is no other".to_owned(),
            };
            faults.add(FaultKind::DeadRow, STATE, format_args!("job {id}, {}", shown(*place)), cause);
        }
    }
}

/// Pieces of creations, on the way through them.
struct Pieces<'j> {
    jobs: &'j Jobs,
    /// Jobs before this one were looked up.
    next: u64,
    runs: Runs,
    /// The piece in which a job is looked up: the last one whose key is not above its id.
    last: Vec<Creation>,
    last_key: u64,
    has_dropped: bool,
}

impl Pieces<'_> {
    /// The next piece begins at `end`.
    fn end_at(&mut self, end: u64, faults: &mut StoreFaults) {
        let from = self.next.max(self.last_key);
        let tell_missing = |faults: &mut StoreFaults, runs: &mut Runs, ids: std::ops::Range<u64>| {
            let mut tell =
                |jobs: String| faults.add(FaultKind::Creation, STATE, jobs, "no creation holds it");
            if self.has_dropped {
                // What was given to those that retention dropped goes with the last of them.
                let there = ids.filter(|id| self.jobs.get(JobId(*id)).is_some());
                there.for_each(|id| runs.add(id..id + 1, &mut tell));
            } else {
                runs.add(ids, tell);
            }
        };
        tell_missing(faults, &mut self.runs, self.next..from.min(end).max(self.next));
        let mut next = from;
        for creation in &self.last {
            let first = creation.first.0.max(next);
            let last = creation.first.0.saturating_add(u64::from(creation.request.count)).min(end);
            if first >= last {
                continue;
            }
            tell_missing(faults, &mut self.runs, next..first);
            let recipe = creation.recipe.as_ref().map(|nodes| nodes.recipe);
            let is = given(creation.request.job_type, creation.request.tenant, recipe);
            for id in first..last {
                if self.jobs.get(JobId(id)).is_some_and(|seen| seen.given != is) {
                    let cause = "its creation is of another type, tenant or recipe";
                    faults.add(FaultKind::Creation, STATE, format_args!("job {id}"), cause);
                }
            }
            next = last;
        }
        tell_missing(faults, &mut self.runs, next..end.max(next));
        self.next = next.max(end);
    }
}
