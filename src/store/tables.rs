//! What the store knows of every job that ever was, for readers: in memory what is newer than the last
//! checkpoint, the rest in the state file.
//!
//! Shared by the log writer, which adds what became durable, the checkpointer, and readers. The core is
//! never asked and never waits.
//!
//! A1  A reader sees everything that was durable before it asked.
//! A2  No lock is held over I/O.
//! A3  A page that makes the storage panic is an error for whoever reads it, and nothing else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use redb::{AccessGuard, ReadTransaction, ReadableDatabase};

use super::checkpoint::Changes;
use super::codec::StoredJob;
use super::file::{CREATIONS, PLACES, SEGMENTS, StateFile, storage, unseal};
use super::index::{Index, place_in};
use super::list::ListError;
use super::recent::Recent;
use super::recovery::{OpenError, contained};
use super::retention::{Marked, Retention};
use super::segment::{Place, Segment, SegmentError};
use super::survey::STATE;
use crate::clock::monotonic;
use crate::limits::{LIST_DEPTH_MAX, RECENT_BYTES_MAX};
use crate::model::{Creation, EventNumber, Job, JobCursor, JobId, JobQuery, JobState, StoreId, Values};
use crate::state::Delta;
use crate::sync::{AtomicU64, Condvar, Mutex, Ordering};

/// How often a reader looks again for a segment that a checkpoint is about to move.
pub(super) const LOOKS_MAX: usize = 1_000;

pub(super) const LOOK_PAUSE: Duration = Duration::from_micros(200);

/// Pieces of creations that are kept decoded.
const PIECES_MAX: usize = 32;

/// Checkpoints since the store was opened; one runs while more were begun than done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoints {
    /// How many were begun.
    pub n_begun: u64,
    /// How many were done.
    pub n_done: u64,
    /// The newest event that the last one holds.
    pub position: EventNumber,
}

/// What is behind the lock.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) recent: Recent,
    /// What a checkpoint is writing.
    pub(super) frozen: Option<Arc<Recent>>,
    pub(super) index: Index,
    /// A checkpoint of `frozen` that may be in the file or not.
    pub(super) unsure: Option<Changes>,
    pub(super) checkpoints: Checkpoints,
    /// A checkpoint is wanted, whatever has gathered.
    pub(super) is_wanted: bool,
    pub(super) is_closed: bool,
    pub(super) retention: Retention,
    pub(super) marked: Marked,
    /// Why no checkpoint is made.
    pub(super) error: Option<Arc<str>>,
    /// There was no room for the last checkpoint.
    pub(super) wants_room: bool,
    /// What went wrong for a reader since the last checkpoint.
    pub(super) read_error: Option<Arc<str>>,
    /// The newest event that was added.
    position: EventNumber,
    n_waiting: u32,
}

type Piece = Arc<Vec<Creation>>;

/// See the file.
pub(crate) struct Tables {
    pub(super) file: StateFile,
    pub(super) store: StoreId,
    pub(super) shared: Mutex<Shared>,
    pub(super) bell: Condvar,
    /// Something was added, or a checkpoint was done.
    pub(super) added: Condvar,
    /// How much gathers before a checkpoint is made.
    pub(super) recent_bytes: usize,
    /// How much has gathered.
    pub(super) n_recent_bytes: AtomicU64,
    pieces: Mutex<VecDeque<(u64, Piece)>>,
    /// See `retention`.
    pub(super) generation: AtomicU64,
}

/// What a command has to know of jobs that are over, as of a position of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) position: EventNumber,
    /// They count while that of the tables is the same.
    pub(crate) generation: u64,
    /// By id. Beside those that were asked for it holds what they wait for if they are taken up again.
    pub(crate) over: Vec<(JobId, JobState)>,
    /// What those wait for then, by their ids; of most nothing.
    parents: Vec<(JobId, Vec<JobId>)>,
}

impl Facts {
    /// How a job stands that is over.
    pub(crate) fn get(&self, id: JobId) -> Option<&JobState> {
        let at = self.over.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.over[at].1)
    }

    /// What a job that is over waits for if it is taken up again.
    pub(crate) fn parents(&self, id: JobId) -> &[JobId] {
        let at = self.parents.binary_search_by_key(&id, |(id, _)| *id);
        at.map_or(&[], |at| &self.parents[at].1)
    }
}

/// Where a reader found a job.
enum Found {
    Here(Box<(JobState, Vec<JobId>)>),
    At(Place),
    Nowhere,
}

pub(super) fn segment_error(number: u32) -> impl Fn(SegmentError) -> OpenError {
    move |error| match error {
        SegmentError::Format(found) => {
            OpenError::Format { file: "state.redb", found, known: super::file::FORMAT }
        }
        SegmentError::Damaged(cause) => OpenError::Damaged {
            file: "state.redb",
            place: format!("segment {number}"),
            cause: cause.to_owned(),
        },
    }
}

fn not_given(id: JobId) -> OpenError {
    super::file::damaged(format!("what job {id} was given is missing"))
}

fn found_in(piece: &Piece, id: JobId) -> Option<Arc<Creation>> {
    let at = piece.partition_point(|creation| creation.first <= id).checked_sub(1)?;
    piece.get(at).filter(|creation| creation.holds(id)).cloned().map(Arc::new)
}

/// The piece that holds what a job was given, and its first id.
fn creations_of(
    txn: &ReadTransaction,
    id: JobId,
) -> Result<(u64, AccessGuard<'static, &'static [u8]>), OpenError> {
    let table = txn.open_table(CREATIONS).map_err(storage("read"))?;
    let row = table.range(..=id.0).map_err(storage("read"))?.next_back().ok_or_else(|| not_given(id))?;
    let (first, bytes) = row.map_err(storage("read"))?;
    Ok((first.value(), bytes))
}

impl Tables {
    pub(super) fn new(file: StateFile, store: StoreId, index: Index, recent_bytes: usize) -> Self {
        let position = index.head.totals.last_event;
        let shared = Mutex::new(Shared { index, position, ..Shared::default() });
        Self {
            file,
            store,
            shared,
            bell: Condvar::new(),
            added: Condvar::new(),
            recent_bytes,
            n_recent_bytes: AtomicU64::new(0),
            pieces: Mutex::default(),
            generation: AtomicU64::new(0),
        }
    }

    /// Tables of an engine without a store.
    pub(crate) fn in_memory(recent_bytes: usize) -> Result<Self, OpenError> {
        Ok(Self::new(StateFile::in_memory()?, StoreId(0), Index::default(), recent_bytes))
    }

    /// Leaves the file as it is when it is dropped.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn distrust(&self) {
        self.file.trust(false);
    }

    /// Takes over what became durable.
    pub(crate) fn add(&self, delta: Delta) {
        let mut shared = self.shared.lock();
        shared.position = delta.totals.last_event;
        shared.recent.add(delta);
        if shared.n_waiting > 0 {
            self.added.notify_all();
        }
        let n_bytes = shared.recent.bytes();
        self.n_recent_bytes.store(n_bytes as u64, Ordering::Relaxed);
        if shared.frozen.is_some() {
            if n_bytes >= self.recent_bytes / 2 {
                self.file.hurry(true);
            }
        } else if n_bytes >= self.recent_bytes {
            self.bell.notify_all();
        }
    }

    /// True while so much waits for a checkpoint that the core should take no more commands.
    pub(crate) fn is_behind(&self) -> bool {
        // Relaxed: a number by itself. Without the lock, since the core asks, which holds up decisions.
        self.n_recent_bytes.load(Ordering::Relaxed) >= RECENT_BYTES_MAX as u64
    }

    /// Why no checkpoint is made any more, if so.
    pub(crate) fn checkpoint_error(&self) -> Option<Arc<str>> {
        self.shared.lock().error.clone()
    }

    /// What is wrong with the file, for those who write it or those who read it.
    pub(crate) fn error(&self) -> Option<Arc<str>> {
        let shared = self.shared.lock();
        shared.error.as_ref().or(shared.read_error.as_ref()).cloned()
    }

    /// Notes what went wrong for a reader of the file.
    pub(crate) fn set_read_error(&self, error: &OpenError) {
        self.shared.lock().read_error = Some(error.to_string().into());
    }

    /// Notes what a failed read says of the file. After a write for which there was no room every read
    /// fails, and the file is as good as before: it is opened again.
    fn doubt(&self, error: &OpenError) {
        let is_stopped = matches!(error, OpenError::Full { .. } | OpenError::Storage { .. });
        if !(is_stopped && self.shared.lock().wants_room) {
            self.file.trust(false);
        }
    }

    pub(crate) fn checkpoints(&self) -> Checkpoints {
        self.shared.lock().checkpoints
    }

    /// Waits until everything up to `position` was added. False when `timeout` passes before.
    pub(crate) fn wait_for(&self, position: EventNumber, timeout: Duration) -> bool {
        let end = monotonic() + timeout;
        let mut shared = self.shared.lock();
        shared.n_waiting += 1;
        while shared.position < position {
            if self.added.wait_until(&mut shared, end).timed_out() {
                break;
            }
        }
        shared.n_waiting -= 1;
        shared.position >= position
    }

    /// Has the checkpointer bring the file up to what was added, and waits for it.
    pub(crate) fn want_checkpoint(&self, timeout: Duration) -> Option<Checkpoints> {
        let end = monotonic() + timeout;
        let mut shared = self.shared.lock();
        let position = shared.position;
        shared.n_waiting += 1;
        while shared.index.head.totals.last_event < position && shared.error.is_none() && !shared.is_closed {
            shared.is_wanted = true;
            self.bell.notify_all();
            if self.added.wait_until(&mut shared, end).timed_out() {
                break;
            }
        }
        shared.n_waiting -= 1;
        (shared.index.head.totals.last_event >= position).then_some(shared.checkpoints)
    }

    #[cfg(test)]
    pub(crate) fn head(&self) -> super::file::Head {
        self.shared.lock().index.head
    }

    /// How those of `jobs` stand that are over, and what those wait for that may wait again.
    ///
    /// Cost: a look for each of them.
    pub(crate) fn facts(&self, jobs: &[JobId]) -> Result<Facts, OpenError> {
        let generation = self.generation();
        let position = self.shared.lock().position;
        let (mut over, mut parents) = (Vec::new(), Vec::new());
        self.find_over(jobs, &mut over, &mut parents)?;
        let mut before: Vec<JobId> = parents.iter().flat_map(|(_, parents)| parents).copied().collect();
        before.sort_unstable();
        before.dedup();
        self.find_over(&before, &mut over, &mut parents)?;
        over.sort_unstable_by_key(|(id, _)| *id);
        over.dedup_by_key(|(id, _)| *id);
        parents.sort_unstable_by_key(|(id, _)| *id);
        parents.dedup_by_key(|(id, _)| *id);
        let shared = self.shared.lock();
        over.retain(|(id, _)| !shared.marked.holds(*id));
        drop(shared);
        Ok(Facts { position, generation, over, parents })
    }

    fn find_over(
        &self,
        jobs: &[JobId],
        over: &mut Vec<(JobId, JobState)>,
        parents: &mut Vec<(JobId, Vec<JobId>)>,
    ) -> Result<(), OpenError> {
        for &id in jobs {
            let may_be_over = match self.look(id) {
                Found::Here(found) => !found.0.is_open(),
                Found::At(_) => self.shared.lock().index.open.get(id.0).is_none(),
                Found::Nowhere => true,
            };
            if !may_be_over {
                continue;
            }
            let Some((job, again)) = self.state_and_parents(id)?.filter(|(job, _)| !job.is_open()) else {
                continue;
            };
            over.push((id, job));
            if !again.is_empty() {
                parents.push((id, again));
            }
        }
        Ok(())
    }

    fn look(&self, id: JobId) -> Found {
        let shared = self.shared.lock();
        let frozen = || shared.frozen.as_ref().and_then(|frozen| frozen.get(id));
        if let Some(changed) = shared.recent.get(id).or_else(frozen) {
            return Found::Here(Box::new((changed.job.clone(), changed.parents.clone())));
        }
        let place = shared.index.open.get(id.0).or_else(|| shared.index.over.get(&id));
        place.map_or(Found::Nowhere, |place| Found::At(*place))
    }

    pub(super) fn read(&self) -> Result<ReadTransaction, OpenError> {
        self.file.db()?.begin_read().map_err(storage("read"))
    }

    /// How a job stands.
    ///
    /// Cost: a look under a lock, or one segment of the file.
    pub(crate) fn state(&self, id: JobId) -> Result<Option<JobState>, OpenError> {
        Ok(self.state_and_parents(id)?.map(|(job, _)| job))
    }

    /// The same, with what it waits for, or waits for again if it is taken up.
    pub(super) fn state_and_parents(&self, id: JobId) -> Result<Option<(JobState, Vec<JobId>)>, OpenError> {
        contained(STATE, || self.find(id)).inspect_err(|error| self.doubt(error))
    }

    fn find(&self, id: JobId) -> Result<Option<(JobState, Vec<JobId>)>, OpenError> {
        for _ in 0..LOOKS_MAX {
            let (txn, place) = match self.look(id) {
                Found::Here(found) => return Ok(Some(*found)),
                Found::At(place) => (self.read()?, place),
                Found::Nowhere => {
                    let txn = self.read()?;
                    let places = txn.open_table(PLACES).map_err(storage("read"))?;
                    let Some(place) = place_in(&places, id)? else {
                        // It may have come into memory, or gone from there into the file, meanwhile.
                        match self.look(id) {
                            Found::Nowhere => return Ok(None),
                            _ => continue,
                        }
                    };
                    (txn, place)
                }
            };
            if let Some(stored) = Self::row(&txn, place)?.filter(|stored| stored.id == id) {
                return Ok(Some((stored.job, stored.parents)));
            }
            // A checkpoint has moved it, and will say so in a moment.
            std::thread::sleep(LOOK_PAUSE);
        }
        Err(OpenError::Damaged {
            file: "state.redb",
            place: format!("the place of job {id}"),
            cause: "the job is not there".to_owned(),
        })
    }

    fn row(txn: &ReadTransaction, place: Place) -> Result<Option<StoredJob>, OpenError> {
        let segments = txn.open_table(SEGMENTS).map_err(storage("read"))?;
        let Some(bytes) = segments.get(place.segment).map_err(storage("read"))? else { return Ok(None) };
        let mut segment = Segment::read(bytes.value()).map_err(segment_error(place.segment))?;
        Ok(segment.job(usize::from(place.row)))
    }

    /// What a job was given. A job that was made and has none is damage.
    ///
    /// Cost: a look under a lock, or one piece of the file, which is kept for the next ones.
    pub(super) fn creation(&self, id: JobId) -> Result<Arc<Creation>, OpenError> {
        if let Some(known) = self.creation_here(id) {
            return Ok(known);
        }
        let (first, piece) = contained(STATE, || {
            let txn = self.read()?;
            let (first, bytes) = creations_of(&txn, id)?;
            let piece: Piece = Arc::new(unseal(bytes.value())?);
            let is_first = piece.first().is_some_and(|creation| creation.first.0 == first);
            let others = || super::file::damaged(format!("creations under {first} are others"));
            is_first.then_some((first, piece)).ok_or_else(others)
        })
        .inspect_err(|error| self.doubt(error))?;
        let found = found_in(&piece, id);
        let mut pieces = self.pieces.lock();
        pieces.push_front((first, piece));
        pieces.truncate(PIECES_MAX);
        found.ok_or_else(|| not_given(id))
    }

    /// The same for jobs of which the file has rows, sorted by id. Each piece is read once, and not kept.
    pub(super) fn creations_by(
        &self,
        txn: &ReadTransaction,
        mut ids: &[JobId],
    ) -> Result<HashMap<JobId, Arc<Creation>>, OpenError> {
        let mut all = HashMap::default();
        while let Some((&id, others)) = ids.split_first() {
            if let Some(known) = self.creation_here(id) {
                all.insert(id, known);
                ids = others;
                continue;
            }
            let (first, bytes) = creations_of(txn, id)?;
            let found = super::skim::creations_in(bytes.value(), first, ids)?;
            if found.is_empty() {
                return Err(not_given(id));
            }
            let (these, others) = ids.split_at(found.len());
            all.extend(these.iter().copied().zip(found));
            ids = others;
        }
        Ok(all)
    }

    /// What is in memory of what a job was given.
    fn creation_here(&self, id: JobId) -> Option<Arc<Creation>> {
        {
            let shared = self.shared.lock();
            let frozen = || shared.frozen.as_ref().and_then(|frozen| frozen.creation(id));
            if let Some(creation) = shared.recent.creation(id).or_else(frozen) {
                return Some(creation.clone());
            }
        }
        self.pieces.lock().iter().find_map(|(_, piece)| found_in(piece, id))
    }

    /// The values of a job.
    pub(crate) fn values(&self, id: JobId) -> Result<Values, OpenError> {
        Ok(self.creation(id)?.request.values.clone())
    }

    /// A job as callers see it.
    pub(crate) fn job(&self, id: JobId) -> Result<Option<Job>, OpenError> {
        let Some(state) = self.state(id)? else { return Ok(None) };
        match self.creation(id) {
            Ok(creation) => Ok(Some(creation.job(id, &state))),
            // Retention may have dropped it in between.
            Err(error) => self.state(id)?.map_or(Ok(None), |_| Err(error)),
        }
    }

    /// Jobs after `after` and before `end`, by id, at most `limit`.
    ///
    /// Cost: each segment that holds some of them, once.
    pub(crate) fn jobs(&self, after: JobId, end: JobId, limit: usize) -> Result<Vec<Job>, ListError> {
        let mut jobs: Vec<Job> = Vec::new();
        let mut cursor = JobCursor::after(after);
        while jobs.len() < limit {
            let page = self.list(&JobQuery::new((limit - jobs.len()).min(LIST_DEPTH_MAX)).after(cursor))?;
            jobs.extend(page.jobs.into_iter().filter(|job| job.id < end));
            let Some(next) = page.next else { break };
            cursor = next;
        }
        Ok(jobs)
    }
}
