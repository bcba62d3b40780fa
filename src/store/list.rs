//! Lists of jobs: which, in which order, from where on; by reading a bounded part of the file.
//!
//! A list is of one moment: what one checkpoint left in the file, and the newer rows in memory. Rows of
//! memory are all looked at. Of the file,
//! 1. few ids (given, or those of the recipes given) are looked up one by one;
//! 2. in the order of ids, where many jobs match, ids are looked up from the cursor on;
//! 3. else segments are read in the order of what the directory says is the best that each may hold, until
//!    no other can hold anything better than what was found. A bound is that of one kind (type, status,
//!    outcome) in one segment and some row has it, so a page of n jobs takes about n segments, however
//!    rare they are: more where rows were replaced, or the time of a change is asked for and something
//!    else ordered by.
//!
//! W1  What is told is the beginning of the whole list (behind the cursor): shorter than asked for, or
//!     refused, where more would have to be read.
//! W2  The lock is held for a bounded number of rows at a time, and never over I/O.

mod wanted;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use foldhash::HashSet;
use redb::{ReadOnlyTable, ReadTransaction};

use super::file::{DIRECTORY, META, PLACES, RECIPES, SEGMENTS, storage, unseal, unseal_one};
use super::glance::Glance;
use super::index::{Block, NOWHERE, block_of};
use super::recent::{OLD, Recent};
use super::recovery::{OpenError, contained};
use super::segment::{Place, Segment, SegmentInfo};
use super::survey::STATE;
use super::tables::{LOOK_PAUSE, LOOKS_MAX, Shared, Tables, segment_error};
use crate::limits::{LIST_DEPTH_MAX, LIST_IDS_MAX, LIST_SEGMENTS_MAX};
use crate::model::{EventNumber, Job, JobId, JobPage, JobQuery, JobState, JobTotal, RecipeId};
use crate::state::Changed;
use wanted::{Key, Order, Wanted};

/// Rows of memory that are looked at while the lock is held.
const ROWS_AT_ONCE: usize = 2_048;

/// Segments of the directory that are looked at while the lock is held.
const SEGMENTS_AT_ONCE: usize = 256;

/// Ids that are looked up together.
const IDS_AT_ONCE: u64 = 1_024;

/// Ids looked up for one page in the order of ids, before segments are read.
const IDS_MAX: u64 = if cfg!(test) { 1 << 7 } else { 1 << 16 };

/// A recipe's first job and how many it has.
pub(super) type RecipeJobs = (u64, u64, u32);

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// More would have to be read than one page may take.
    #[error(
        "the first of these jobs in that order cannot be found in {LIST_SEGMENTS_MAX} segments of the store; \
         order them by their last change, or name fewer"
    )]
    TooBroad,
    /// It begins too far behind.
    #[error("a page begins at most {LIST_DEPTH_MAX} jobs behind; go on from the last page's `next` instead")]
    TooDeep,
    /// More ids than a list takes.
    #[error("{n} ids in a filter, at most {LIST_IDS_MAX}")]
    TooManyIds {
        /// How many.
        n: usize,
    },
    /// More columns than an order has.
    #[error("an order names at most {} columns", crate::model::ORDER_LEN_MAX)]
    OrderTooLong,
    /// The cursor came with another order.
    #[error("the cursor is of another order; begin at the first page")]
    Cursor,
    /// The store changes so fast that no moment of it could be told.
    #[error("the store is changing too fast; ask again")]
    Changing,
    /// The store cannot be read.
    #[error("{0}")]
    Store(#[from] OpenError),
}

/// Where a job that was found is.
#[derive(Clone, Copy, Debug)]
enum Source {
    Recent,
    Frozen,
    Row(Place),
}

#[derive(Clone, Copy, Debug)]
struct Hit {
    glance: Glance,
    source: Source,
}

/// The best that was found so far.
struct Best {
    most: usize,
    hits: BTreeMap<Key, Hit>,
}

impl Best {
    /// What could still get in is below this.
    fn worst(&self) -> Option<Key> {
        (self.hits.len() >= self.most).then(|| self.hits.last_key_value().map(|(key, _)| *key))?
    }

    fn add(&mut self, key: Key, hit: Hit) {
        if self.worst().is_some_and(|worst| worst <= key) {
            return;
        }
        self.hits.insert(key, hit);
        if self.hits.len() > self.most {
            self.hits.pop_last();
        }
    }
}

/// How many match, as far as it is known.
#[derive(Clone, Copy)]
struct Counting {
    n: i64,
    /// Those of them that stand in memory.
    n_here: i64,
    is_exact: bool,
}

/// One moment of the store.
struct Moment<'t> {
    tables: &'t Tables,
    txn: ReadTransaction,
    position: EventNumber,
    n_jobs: u64,
    n_begun: u64,
    frozen: Option<Arc<Recent>>,
    /// Jobs whose rows in the file or in `frozen` are not true any more.
    hidden: HashSet<JobId>,
}

/// What the directory says of the segments.
struct Candidates {
    /// Those that may hold what is wanted, the most promising first.
    segments: BinaryHeap<Reverse<(Key, u32)>>,
    /// About how many rows are wanted.
    n_matching: u64,
    /// Those that have to be read for a count.
    uncounted: Vec<u32>,
}

/// A list under way.
struct Listing<'q> {
    wanted: Wanted,
    order: Order,
    after: Option<Key>,
    best: Best,
    counting: Option<Counting>,
    query: &'q JobQuery,
    /// All ids up to this one were looked up, in the order of ids.
    looked_to: Option<Key>,
    /// Segments that were not read hold nothing before this.
    unread_from: Option<Key>,
}

/// The moment passed before everything was seen of it.
struct Passed;

/// What a step gives: `Ok(Err(Passed))` to begin again.
type Step<T> = Result<Result<T, Passed>, OpenError>;

macro_rules! step {
    ($what:expr) => {
        match $what? {
            Ok(done) => done,
            Err(Passed) => return Ok(Err(Passed)),
        }
    };
}

impl Tables {
    /// A page of jobs. See the file for what it costs.
    pub(crate) fn list(&self, query: &JobQuery) -> Result<JobPage, ListError> {
        contained(STATE, || self.list_unguarded(query))
    }

    fn list_unguarded(&self, query: &JobQuery) -> Result<JobPage, ListError> {
        if query.skip.saturating_add(query.limit) > LIST_DEPTH_MAX {
            return Err(ListError::TooDeep);
        }
        let filter = &query.filter;
        let n = filter.jobs.as_ref().map_or(0, Vec::len).max(filter.recipes.as_ref().map_or(0, Vec::len));
        if n > LIST_IDS_MAX {
            return Err(ListError::TooManyIds { n });
        }
        let order = Order::new(&query.order, query.job_type_ranks.clone()).ok_or(ListError::OrderTooLong)?;
        let after = match &query.after {
            Some(cursor) => Some(order.key_of(cursor).ok_or(ListError::Cursor)?),
            None => None,
        };
        for _ in 0..LOOKS_MAX {
            let counting = query.is_counted.then_some(Counting { n: 0, n_here: 0, is_exact: true });
            // One more tells whether more follow.
            let best = Best { most: query.skip + query.limit + 1, hits: BTreeMap::new() };
            let wanted = Wanted::new(filter);
            let order = order.clone();
            let mut listing =
                Listing { wanted, order, after, best, counting, query, looked_to: None, unread_from: None };
            if let Ok(moment) = self.list_once(&mut listing)? {
                return listing.page(&moment);
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        Err(ListError::Changing)
    }

    fn list_once(&self, listing: &mut Listing<'_>) -> Step<Moment<'_>> {
        let mut moment = step!(Moment::take(self));
        step!(Ok::<_, OpenError>(listing.look_at_memory(&mut moment).ok_or(Passed)));
        listing.name_ids(&moment)?;
        if listing.wanted.n_ids().is_some_and(|n| n <= LIST_IDS_MAX as u64 * 2) {
            step!(listing.look_up(&moment));
            return Ok(Ok(moment));
        }
        let candidates = step!(Ok::<_, OpenError>(listing.candidates(&moment).ok_or(Passed)));
        let is_found = match listing.ids_for_each(&moment, candidates.n_matching) {
            Some(n_each) => step!(listing.walk_ids(&moment, n_each)),
            None => false,
        };
        if !is_found {
            listing.walk_segments(&moment, candidates.segments)?;
        }
        listing.count_in(&moment, &candidates.uncounted)?;
        Ok(Ok(moment))
    }
}

impl<'t> Moment<'t> {
    fn take(tables: &'t Tables) -> Step<Self> {
        let txn = tables.read()?;
        let head: Option<super::file::Head> = {
            let meta = txn.open_table(META).map_err(storage("read"))?;
            let head = meta.get("head").map_err(storage("read"))?;
            head.map(|bytes| unseal_one(bytes.value())).transpose()?
        };
        let shared = tables.shared.lock();
        if shared.index.head != head.unwrap_or_default() {
            return Ok(Err(Passed));
        }
        Ok(Ok(Self {
            tables,
            txn,
            position: shared.index.head.totals.last_event,
            n_jobs: shared.index.head.totals.n_jobs,
            n_begun: shared.checkpoints.n_begun,
            frozen: shared.frozen.clone(),
            hidden: HashSet::default(),
        }))
    }

    fn segments(&self) -> Result<(Directory, Directory), OpenError> {
        let open = |table| self.txn.open_table(table).map_err(storage("read"));
        Ok((open(DIRECTORY)?, open(SEGMENTS)?))
    }

    /// The index is still that of what is read.
    fn is_now(&self, shared: &Shared) -> bool {
        shared.index.head.totals.last_event == self.position
    }

    /// The row of the file is not true any more.
    fn is_hidden(&self, id: JobId) -> bool {
        self.hidden.contains(&id) || self.frozen.as_ref().is_some_and(|frozen| frozen.get(id).is_some())
    }
}

impl Listing<'_> {
    fn add(&mut self, glance: Glance, source: Source) {
        let key = self.order.key(&glance);
        if self.after.is_none_or(|after| key > after) {
            self.best.add(key, Hit { glance, source });
        }
    }

    /// Looks at a newer row in place of an older one.
    fn add_changed(&mut self, changed: &Changed, source: Source) {
        let glance = Glance::of(changed.id, &changed.job);
        let is_wanted = self.wanted.holds(&glance);
        if is_wanted {
            self.add(glance, source);
        }
        let Some(counting) = &mut self.counting else { return };
        counting.n += i64::from(is_wanted);
        counting.n_here += i64::from(is_wanted);
        let Some(before) = changed.before else { return };
        let was = Glance { status: before.status as u8, outcome: before.outcome, ..glance };
        if self.wanted.may_have_held(&was) {
            counting.n -= 1;
            // When it changed before is not known here.
            counting.is_exact &= !self.wanted.has_times();
        }
    }

    /// Looks at a row that came while others were looked at; the job may have been among them.
    fn add_late(&mut self, changed: &Changed) {
        self.best.hits.retain(|_, hit| hit.glance.id != changed.id);
        let glance = Glance::of(changed.id, &changed.job);
        let is_wanted = self.wanted.holds(&glance);
        if is_wanted {
            self.add(glance, Source::Recent);
        }
        if let Some(counting) = &mut self.counting {
            // At least.
            counting.n -= i64::from(!is_wanted);
            counting.n_here -= i64::from(!is_wanted);
            counting.is_exact = false;
        }
    }

    /// All rows that are newer than the file. None where they went into it meanwhile.
    fn look_at_memory(&mut self, moment: &mut Moment<'_>) -> Option<()> {
        let (mut next, mut first_end) = (0, None);
        loop {
            let shared = moment.tables.shared.lock();
            if shared.checkpoints.n_begun != moment.n_begun || !moment.is_now(&shared) {
                return None;
            }
            let (rows, n_all) = shared.recent.part(next, ROWS_AT_ONCE);
            let first_end = *first_end.get_or_insert(n_all);
            for (at, changed) in rows.iter().enumerate().filter(|(_, changed)| changed.id != OLD) {
                if next + at < first_end {
                    self.add_changed(changed, Source::Recent);
                } else {
                    self.add_late(changed);
                }
                if changed.before.is_some() {
                    moment.hidden.insert(changed.id);
                }
            }
            next += rows.len();
            if next >= n_all {
                break;
            }
        }
        if let Some(frozen) = moment.frozen.clone() {
            for changed in frozen.iter().filter(|changed| !moment.hidden.contains(&changed.id)) {
                self.add_changed(changed, Source::Frozen);
            }
            // Their rows in `frozen` count as what the newer ones replace.
            if self.counting.is_some() {
                for changed in frozen.iter().filter(|changed| moment.hidden.contains(&changed.id)) {
                    self.count_replaced(changed);
                }
            }
        }
        Some(())
    }

    /// A row of `frozen` that a newer one replaces: the newer one took off what this adds.
    fn count_replaced(&mut self, changed: &Changed) {
        let glance = Glance::of(changed.id, &changed.job);
        let Some(counting) = &mut self.counting else { return };
        counting.n += i64::from(self.wanted.may_have_held(&glance));
        let Some(before) = changed.before else { return };
        let was = Glance { status: before.status as u8, outcome: before.outcome, ..glance };
        if self.wanted.may_have_held(&was) {
            counting.n -= 1;
            counting.is_exact &= !self.wanted.has_times();
        }
    }

    /// Makes ids of recipes.
    fn name_ids(&mut self, moment: &Moment<'_>) -> Result<(), OpenError> {
        let Some(recipes) = self.wanted.recipes.clone() else { return Ok(()) };
        let table = moment.txn.open_table(RECIPES).map_err(storage("read"))?;
        let mut ids = Vec::new();
        let mut last: Option<(u64, Vec<RecipeJobs>)> = None;
        for RecipeId(recipe) in recipes {
            let row = table.range(..=recipe).map_err(storage("read"))?.next_back();
            let Some(row) = row else { continue };
            let (key, bytes) = row.map_err(storage("read"))?;
            if last.as_ref().is_none_or(|(known, _)| *known != key.value()) {
                last = Some((key.value(), unseal(bytes.value())?));
            }
            let piece = last.as_ref().map_or(&[][..], |(_, piece)| piece);
            if let Ok(at) = piece.binary_search_by_key(&recipe, |(recipe, _, _)| *recipe) {
                let (_, first, n) = piece[at];
                ids.push((first, first + u64::from(n)));
            }
        }
        self.wanted.only_ids(ids);
        Ok(())
    }

    /// Looks up the ids that are wanted, one by one.
    fn look_up(&mut self, moment: &Moment<'_>) -> Step<()> {
        let ranges = self.wanted.ids.clone().unwrap_or_default();
        let mut ids = Vec::new();
        let mut n_rows = 0;
        for id in ranges.into_iter().flat_map(|(first, end)| first..end) {
            ids.push(JobId(id));
            if ids.len() as u64 == IDS_AT_ONCE {
                n_rows += step!(self.look_up_some(moment, &ids));
                ids.clear();
            }
        }
        n_rows += step!(self.look_up_some(moment, &ids));
        if let Some(counting) = &mut self.counting {
            counting.n = counting.n_here + n_rows;
        }
        Ok(Ok(()))
    }

    /// Looks at the rows that the file has of some jobs. Gives how many are wanted.
    fn look_up_some(&mut self, moment: &Moment<'_>, ids: &[JobId]) -> Step<i64> {
        let ids: Vec<JobId> = ids.iter().copied().filter(|id| !moment.is_hidden(*id)).collect();
        let mut found: Vec<Place> = Vec::new();
        let mut unplaced = Vec::new();
        {
            let shared = moment.tables.shared.lock();
            if !moment.is_now(&shared) {
                return Ok(Err(Passed));
            }
            for id in ids {
                match shared.index.open.get(id.0).or_else(|| shared.index.over.get(&id)) {
                    Some(place) => found.push(*place),
                    None => unplaced.push(id),
                }
            }
        }
        let table = moment.txn.open_table(PLACES).map_err(storage("read"))?;
        for ids in unplaced.chunk_by(|a, b| block_of(*a).0 == block_of(*b).0) {
            let Some(bytes) = table.get(block_of(ids[0]).0).map_err(storage("read"))? else { continue };
            let block: Block = unseal_one(bytes.value())?;
            let places = ids.iter().filter_map(|id| block.get(block_of(*id).1));
            let places = places.filter(|place| **place != NOWHERE);
            found.extend(places.map(|&(segment, row)| Place { segment, row }));
        }
        let mut by_segment: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
        for place in found {
            by_segment.entry(place.segment).or_default().push(place.row);
        }
        {
            let shared = moment.tables.shared.lock();
            if !moment.is_now(&shared) {
                return Ok(Err(Passed));
            }
            let wanted = &self.wanted;
            by_segment.retain(|number, _| {
                shared.index.directory.get(number).is_some_and(|info| wanted.kinds(info).next().is_some())
            });
        }
        let segments = moment.txn.open_table(SEGMENTS).map_err(storage("read"))?;
        let mut n = 0;
        for (number, rows) in by_segment {
            let Some(bytes) = segments.get(number).map_err(storage("read"))? else { continue };
            let segment = Segment::read(bytes.value()).map_err(segment_error(number))?;
            for row in rows {
                let glance = segment.glance(usize::from(row)).ok_or_else(|| bad_row(number, row))?;
                if self.wanted.holds(&glance) {
                    n += 1;
                    self.add(glance, Source::Row(Place { segment: number, row }));
                }
            }
        }
        Ok(Ok(n))
    }

    /// What the directory says of each segment. None where the moment passed.
    fn candidates(&mut self, moment: &Moment<'_>) -> Option<Candidates> {
        let (mut found, mut uncounted) = (Vec::new(), Vec::new());
        let (mut n_matching, mut next) = (0_u64, 0);
        loop {
            let shared = moment.tables.shared.lock();
            if !moment.is_now(&shared) {
                return None;
            }
            let mut last = None;
            for (order, number) in shared.index.by_order.range(next..).take(SEGMENTS_AT_ONCE) {
                last = Some(*order);
                let Some(info) = shared.index.directory.get(number) else { continue };
                let (least, n) = self.promise(info);
                n_matching += n;
                found.extend(least.map(|least| Reverse((least, *number))));
                if self.counting.is_some() && !self.count_known(info) {
                    uncounted.push(*number);
                }
            }
            let Some(last) = last else {
                return Some(Candidates { segments: found.into(), n_matching, uncounted });
            };
            next = last + 1;
        }
    }

    /// The best that a segment may hold behind the cursor, and about how many of its rows are wanted.
    fn promise(&self, info: &SegmentInfo) -> (Option<Key>, u64) {
        let mut best: Option<Key> = None;
        let mut n = 0;
        for (count, zone) in self.wanted.kinds(info) {
            let (low, high) = match zone {
                Some(zone) if !self.wanted.may_hold(zone) => continue,
                Some(zone) => self.order.bounds(zone, count.job_type, count.status),
                None => (Key::LEAST, Key::GREATEST),
            };
            n += u64::from(count.n);
            if self.after.is_none_or(|after| high > after) {
                let low = self.after.map_or(low, |after| low.max(after));
                best = Some(best.map_or(low, |best| best.min(low)));
            }
        }
        (best, n)
    }

    /// Counts what a segment holds; false where it has to be read for that.
    fn count_known(&mut self, info: &SegmentInfo) -> bool {
        let mut n = 0;
        for (count, zone) in self.wanted.kinds(info) {
            match zone {
                Some(zone) if self.wanted.holds_all(zone) => n += i64::from(count.n),
                Some(zone) if !self.wanted.may_hold(zone) => {}
                _ => return false,
            }
        }
        if let Some(counting) = &mut self.counting {
            counting.n += n;
        }
        true
    }

    /// Reads segments to count what they hold, as far as there are not too many.
    fn count_in(&mut self, moment: &Moment<'_>, numbers: &[u32]) -> Result<(), OpenError> {
        let Some(counting) = &mut self.counting else { return Ok(()) };
        if numbers.len() > LIST_SEGMENTS_MAX / 4 {
            counting.is_exact = false;
            return Ok(());
        }
        let (directory, segments) = moment.segments()?;
        for number in numbers {
            read_segment(&directory, &segments, *number, |_, glance| {
                counting.n += i64::from(self.wanted.holds(&glance));
            })?;
        }
        Ok(())
    }

    /// About how many ids have to be looked up for each job that is wanted, where that finds a page soon.
    fn ids_for_each(&self, moment: &Moment<'_>, n_matching: u64) -> Option<u64> {
        let n_each = moment.n_jobs.checked_div(n_matching)? + 1;
        let n_ids = (self.best.most as u64).saturating_mul(n_each);
        (self.order.is_by_id() && self.wanted.ids.is_none() && n_ids <= IDS_MAX / 4).then_some(n_each)
    }

    /// Looks ids up from the cursor on, in the order of ids. False where they are too many.
    fn walk_ids(&mut self, moment: &Moment<'_>, n_each: u64) -> Step<bool> {
        let n_jobs = moment.n_jobs;
        let step = (self.best.most as u64).saturating_mul(n_each).clamp(64, IDS_AT_ONCE);
        let is_descending = self.order.is_descending();
        let cursor = self.after.map(|after| self.order.id_in(after));
        let mut next = match (is_descending, cursor) {
            (false, cursor) => cursor.map_or(1, |id| id + 1),
            (true, cursor) => cursor.map_or(n_jobs, |id| id.saturating_sub(1).min(n_jobs)),
        };
        let mut n_looked = 0;
        while (1..=n_jobs).contains(&next) {
            let ids: Vec<JobId> = if is_descending {
                (next.saturating_sub(step) + 1..=next).map(JobId).collect()
            } else {
                (next..=n_jobs.min(next + step - 1)).map(JobId).collect()
            };
            step!(self.look_up_some(moment, &ids));
            n_looked += ids.len() as u64;
            let last = if is_descending { ids[0] } else { ids[ids.len() - 1] };
            let known = self.order.id_key(last);
            if self.best.worst().is_some_and(|worst| worst <= known) {
                return Ok(Ok(true));
            }
            self.looked_to = Some(known);
            next = if is_descending { last.0 - 1 } else { last.0 + 1 };
            if n_looked >= IDS_MAX && (1..=n_jobs).contains(&next) {
                return Ok(Ok(false));
            }
        }
        Ok(Ok(true))
    }

    /// Reads segments until no other can hold anything better.
    fn walk_segments(
        &mut self,
        moment: &Moment<'_>,
        mut candidates: BinaryHeap<Reverse<(Key, u32)>>,
    ) -> Result<(), OpenError> {
        let (directory, segments) = moment.segments()?;
        let mut n_read = 0;
        while let Some(Reverse((least, number))) = candidates.pop() {
            if self.best.worst().is_some_and(|worst| worst < least) {
                break;
            }
            if n_read == LIST_SEGMENTS_MAX {
                self.unread_from = Some(least);
                break;
            }
            n_read += 1;
            read_segment(&directory, &segments, number, |row, glance| {
                if self.wanted.holds(&glance) && !moment.is_hidden(glance.id) {
                    self.add(glance, Source::Row(Place { segment: number, row }));
                }
            })?;
        }
        Ok(())
    }

    /// Makes the page of what was found.
    fn page(mut self, moment: &Moment<'_>) -> Result<JobPage, ListError> {
        let hits = &mut self.best.hits;
        if let Some(unread_from) = self.unread_from {
            let looked_to = self.looked_to;
            hits.retain(|key, _| *key < unread_from || looked_to.is_some_and(|end| *key <= end));
            // Who goes on from page to page is led on through ids of which none is wanted.
            let may_be_empty = self.query.skip == 0 && self.query.after.is_some() && looked_to.is_some();
            if hits.len() <= self.query.skip && !may_be_empty {
                return Err(ListError::TooBroad);
            }
        }
        let end = self.query.skip + self.query.limit;
        let is_cut = hits.len() > end;
        let shown: Vec<(Key, Hit)> =
            hits.iter().take(end).skip(self.query.skip).map(|(key, hit)| (*key, *hit)).collect();
        let last = shown.last().map(|(key, _)| *key);
        let next = match self.unread_from {
            _ if is_cut => last,
            Some(_) => last.max(self.looked_to),
            None => None,
        };
        let next = next.map(|key| self.order.cursor(key));
        let jobs = self.jobs(moment, &shown)?;
        let total = self.counting.map(|counting| JobTotal {
            n: u64::try_from(counting.n).unwrap_or(0).max((self.query.skip + jobs.len()) as u64),
            is_exact: counting.is_exact,
        });
        Ok(JobPage { jobs, next, total })
    }

    fn jobs(&self, moment: &Moment<'_>, shown: &[(Key, Hit)]) -> Result<Vec<Job>, OpenError> {
        let mut rows: BTreeMap<u32, Vec<(u16, usize)>> = BTreeMap::new();
        let mut states: Vec<Option<JobState>> = Vec::with_capacity(shown.len());
        for (at, (_, Hit { glance, source })) in shown.iter().enumerate() {
            states.push(match source {
                Source::Recent => self.recent_state(moment, glance)?,
                Source::Frozen => {
                    let frozen = moment.frozen.as_ref().and_then(|frozen| frozen.get(glance.id));
                    frozen.map(|changed| changed.job.clone())
                }
                Source::Row(place) => {
                    rows.entry(place.segment).or_default().push((place.row, at));
                    None
                }
            });
        }
        let segments = moment.txn.open_table(SEGMENTS).map_err(storage("read"))?;
        for (number, rows) in rows {
            let missing = || super::file::damaged(format!("segment {number} is missing"));
            let bytes = segments.get(number).map_err(storage("read"))?.ok_or_else(missing)?;
            let mut segment = Segment::read(bytes.value()).map_err(segment_error(number))?;
            for (row, at) in rows {
                let stored = segment.job(usize::from(row)).ok_or_else(|| bad_row(number, row))?;
                states[at] = Some(stored.job);
            }
        }
        let in_file = |(_, hit): &&(Key, Hit)| matches!(hit.source, Source::Row(_));
        let mut ids: Vec<JobId> = shown.iter().filter(in_file).map(|(_, hit)| hit.glance.id).collect();
        ids.sort_unstable();
        let mut given = moment.tables.creations_by(&moment.txn, &ids)?;
        let mut jobs = Vec::with_capacity(shown.len());
        for ((_, hit), state) in shown.iter().zip(states) {
            let (id, Some(state)) = (hit.glance.id, state) else { continue };
            let creation = match given.remove(&id) {
                Some(creation) => creation,
                None => moment.tables.creation(id)?,
            };
            jobs.push(creation.job(id, &state));
        }
        Ok(jobs)
    }

    /// A job that was found in memory, as it is by now; none where it is not wanted any more.
    fn recent_state(&self, moment: &Moment<'_>, seen: &Glance) -> Result<Option<JobState>, OpenError> {
        let here = {
            let shared = moment.tables.shared.lock();
            shared.recent.get(seen.id).map(|changed| changed.job.clone())
        };
        let state = match here {
            Some(state) => Some(state),
            None => moment.tables.state(seen.id)?,
        };
        Ok(state.filter(|state| {
            let now = Glance::of(seen.id, state);
            now == *seen || self.wanted.holds(&now)
        }))
    }
}

type Directory = ReadOnlyTable<u32, &'static [u8]>;

/// Reads the rows of a segment that the directory says are true.
fn read_segment(
    directory: &Directory,
    segments: &Directory,
    number: u32,
    mut each: impl FnMut(u16, Glance),
) -> Result<(), OpenError> {
    let missing = || super::file::damaged(format!("segment {number} is missing"));
    let info = directory.get(number).map_err(storage("read"))?.ok_or_else(missing)?;
    let info: SegmentInfo = unseal_one(info.value())?;
    let bytes = segments.get(number).map_err(storage("read"))?.ok_or_else(missing)?;
    let segment = Segment::read(bytes.value()).map_err(segment_error(number))?;
    for row in (0..info.n_rows).filter(|row| !info.is_dead(*row)) {
        each(row, segment.glance(usize::from(row)).ok_or_else(|| bad_row(number, row))?);
    }
    Ok(())
}

fn bad_row(number: u32, row: u16) -> OpenError {
    super::file::damaged(format!("row {row} of segment {number} cannot be read"))
}
