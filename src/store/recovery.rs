//! From files to a state: the last checkpoint, then what the log holds after it.
//!
//! V1  The state handed out is the fold of every event that was ever acknowledged, or nothing is
//!     handed out.
//! V2  Opening changes nothing in the files.

use std::path::PathBuf;
use std::sync::Arc;

use redb::ReadableDatabase;

use super::directory::{StoreFiles, StoreLock};
use super::file::{
    COUNTS, DIRECTORY, LOAD, Rows, SEGMENTS, SUBMISSIONS, StateFile, TYPES, damaged, for_each, storage,
    unseal, unseal_one,
};
use super::index::Index;
use super::look::guarded;
use super::progress::{Recovery, RecoveryPhase, Telling};
use super::segment::{Place, Segment, SegmentInfo};
use super::tables::{Tables, segment_error};
use crate::load::{LoadRow, StatusCounts};
use crate::model::{Accepted, JobType, JobTypeId, StoreId};
use crate::state::{Restoring, State, Totals};
use crate::wal::{BatchError, Directory, Disk, DiskFile, FORMAT, LogError, LogFile, ReadBatch};

/// Why a store does not open. It is left as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store {} is in use{}", directory.display(), owner_text(*owner))]
    Locked {
        /// Which store.
        directory: PathBuf,
        /// The process that has it, where it can be told.
        owner: Option<u32>,
    },
    /// The file system refused.
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The storage refused.
    #[error("could not {action} {file}: {cause}")]
    Storage {
        /// Which file.
        file: &'static str,
        /// What was tried.
        action: &'static str,
        /// What the storage says.
        cause: String,
    },
    /// There is no room on the disk.
    #[error("could not {action} {file}: the disk is full ({cause}); make room")]
    Full {
        /// Which file.
        file: &'static str,
        /// What was tried.
        action: &'static str,
        /// What the storage says.
        cause: String,
    },
    /// The log refused.
    #[error("log.redb: {0}")]
    Log(#[from] LogError),
    /// A file holds something else than what was written.
    #[error("{file} is damaged at {place}: {cause}; restore it from a copy")]
    Damaged {
        /// Which file.
        file: &'static str,
        /// Where in it.
        place: String,
        /// What is wrong.
        cause: String,
    },
    /// Log and state are of two stores.
    #[error("log.redb and state.redb belong to different stores")]
    Mixed,
    /// Written by another version.
    #[error("{file} has format {found}, this version reads {known}; use the version that wrote it")]
    Format {
        /// Which file.
        file: &'static str,
        /// The format it names.
        found: u16,
        /// The format this version reads.
        known: u16,
    },
    /// No thread for the log writer.
    #[error("could not start the log writer: {0}")]
    Thread(std::io::Error),
}

fn owner_text(owner: Option<u32>) -> String {
    owner.map(|pid| format!(" by process {pid}")).unwrap_or_default()
}

/// A store that is open.
pub(crate) struct Opened {
    pub(crate) lock: Option<StoreLock>,
    pub(crate) id: StoreId,
    pub(crate) state: State,
    pub(crate) log: LogFile,
    pub(crate) tables: Tables,
    /// Events read from the log after the last checkpoint.
    pub(crate) n_replayed: u64,
}

/// Opens the store, or makes it under the id `new_store`. `tell` hears how far it is.
pub(crate) fn open(
    files: &StoreFiles,
    new_store: StoreId,
    recent_bytes: usize,
    tell: &dyn Fn(Recovery),
) -> Result<Opened, OpenError> {
    let lock = StoreLock::take(files)?;
    let disk: Arc<dyn Disk> = Arc::new(Directory::new(files.directory()));
    Ok(Opened { lock: Some(lock), ..open_telling(&disk, new_store, recent_bytes, tell)? })
}

/// The same on a disk that nobody else can have open.
pub(crate) fn open_on(
    disk: &Arc<dyn Disk>,
    new_store: StoreId,
    recent_bytes: usize,
) -> Result<Opened, OpenError> {
    open_telling(disk, new_store, recent_bytes, &|_| ())
}

/// The same, and `tell` hears how far it is.
pub(crate) fn open_telling(
    disk: &Arc<dyn Disk>,
    new_store: StoreId,
    recent_bytes: usize,
    tell: &dyn Fn(Recovery),
) -> Result<Opened, OpenError> {
    // Nothing the storage held survives a panic of it here.
    contained("log.redb or state.redb", || open_files(disk, new_store, recent_bytes, tell))
}

/// What `body` gives. The storage library panics on pages that are not what it wrote: that is an error
/// like any other damage.
pub(super) fn contained<T, E: From<OpenError>>(
    file: &'static str,
    body: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    guarded(body).unwrap_or_else(|text| {
        let cause = format!("the storage gave up on it ({text})");
        Err(OpenError::Damaged { file, place: "one of its pages".to_owned(), cause }.into())
    })
}

fn open_files(
    disk: &Arc<dyn Disk>,
    new_store: StoreId,
    recent_bytes: usize,
    tell: &dyn Fn(Recovery),
) -> Result<Opened, OpenError> {
    if disk.exists(DiskFile::State) && !disk.exists(DiskFile::Log) {
        let cause = "it is missing, and state.redb is there".to_owned();
        return Err(OpenError::Damaged { file: "log.redb", place: "its start".to_owned(), cause });
    }
    let (log, id) = LogFile::open(disk, new_store)?;
    let file = StateFile::open(disk)?;
    let (mut state, index) = read_state(&file, id, tell)?;
    let tables = Tables::new(file, id, index, recent_bytes);
    put_edges_back(&mut state, &tables)?;
    let n_replayed = replay(&log, id, &mut state.state, &tables, tell)?;
    // Last: a recipe may have taken nodes over from one that is here no more.
    super::docs::restore_outputs(&tables, &mut state.state)?;
    log.trust();
    tables.file.trust(true);
    Ok(Opened { lock: None, id, state: state.state, log, tables, n_replayed })
}

/// A state that is read back, and what it still waits for.
struct Reading {
    state: State,
    totals: Totals,
    restoring: Restoring,
}

/// The state as of the last checkpoint, without the edges of recipes; an empty one where there is none.
fn read_state(file: &StateFile, id: StoreId, tell: &dyn Fn(Recovery)) -> Result<(Reading, Index), OpenError> {
    let mut index = Index::default();
    let mut reading =
        Reading { state: State::default(), totals: Totals::default(), restoring: Restoring::default() };
    let Some(head) = file.head(id)? else {
        Telling::begin(tell, RecoveryPhase::Segments, 0).end();
        return Ok((reading, index));
    };
    index.head = head;
    reading.totals = head.totals;
    let Reading { state, restoring, .. } = &mut reading;
    state.restore_totals(&head.totals);
    let txn = file.db()?.begin_read().map_err(storage("read"))?;
    let rows = Rows::read(&txn)?;
    rows.check(&txn)?;
    let (mut n_types, mut n_jobs) = (0, 0);
    for_each(&txn, TYPES, rows.types, |id, bytes| {
        let kind: JobType = unseal_one(bytes)?;
        n_types += 1;
        // Types are kept by id.
        if (kind.id.0, kind.id.0) != (id, n_types) {
            return Err(damaged(format!("job type {} stands under {id}", kind.id)));
        }
        state.restore_type(Arc::new(kind));
        Ok(())
    })?;
    for_each(&txn, COUNTS, rows.counts, |id, bytes| {
        // So are counts; a key that was damaged must not reserve memory.
        if !(1..=n_types).contains(&id) {
            return Err(damaged(format!("there are counts of job type {id}")));
        }
        let counts: StatusCounts = unseal_one(bytes)?;
        n_jobs += counts.total();
        state.restore_counts(JobTypeId(id), counts);
        Ok(())
    })?;
    if n_jobs != head.totals.n_jobs {
        return Err(damaged(format!("{n_jobs} jobs are counted, {} were made", head.totals.n_jobs)));
    }
    for_each(&txn, SUBMISSIONS, rows.submissions, |_, bytes| {
        for (id, accepted) in unseal::<(String, Accepted)>(bytes)? {
            state.restore_submission(id.into(), accepted);
        }
        Ok(())
    })?;
    for_each(&txn, LOAD, rows.load, |key, bytes| {
        let row: LoadRow = unseal_one(bytes)?;
        if key != (row.measured.0, row.job_type.map_or(0, |id| id.0)) {
            return Err(damaged("a load row stands under another key"));
        }
        state.restore_load(row);
        Ok(())
    })?;
    super::docs::restore(file, state)?;
    let mut numbers = Vec::new();
    for_each(&txn, DIRECTORY, rows.directory, |number, bytes| {
        let info: SegmentInfo = unseal_one(bytes)?;
        numbers.push(number);
        index.put(number, info);
        Ok(())
    })?;
    let segments = txn.open_table(SEGMENTS).map_err(storage("read"))?;
    let mut telling = Telling::begin(tell, RecoveryPhase::Segments, numbers.len() as u64);
    for number in numbers {
        telling.advance();
        let info = &index.directory[&number];
        let are_over_wanted = number >= head.placed_below;
        if info.n_open == 0 && !are_over_wanted {
            continue;
        }
        let missing = || damaged(format!("segment {number} is missing"));
        let bytes = segments.get(number).map_err(storage("read"))?.ok_or_else(missing)?;
        let mut segment = Segment::read(bytes.value()).map_err(segment_error(number))?;
        if segment.n_rows() != usize::from(info.n_rows) {
            return Err(damaged(format!("segment {number} has not as many rows as the directory says")));
        }
        for row in (0..info.n_rows).filter(|row| !info.is_dead(*row)) {
            let bad = || damaged(format!("row {row} of segment {number} cannot be read"));
            let stored = segment.job(usize::from(row)).ok_or_else(bad)?;
            let place = Place { segment: number, row };
            if stored.job.is_open() {
                index.open.insert(stored.id.0, place);
                state.restore_job(stored.id, stored.job, stored.parents, restoring);
            } else if are_over_wanted {
                index.over.insert(stored.id, place);
            }
        }
    }
    telling.end();
    Ok((reading, index))
}

fn put_edges_back(reading: &mut Reading, tables: &Tables) -> Result<(), OpenError> {
    let restoring = std::mem::take(&mut reading.restoring);
    let adds_up = reading.state.restored(&reading.totals, restoring, |id| tables.state_and_parents(id))?;
    reading.state.open_recipes();
    if adds_up { Ok(()) } else { Err(damaged("its rows do not add up to the state it names")) }
}

/// Applies the rows of the log that the state does not hold. A checkpoint may have been made between two
/// commands of one row, so the state may hold the first part of a row.
fn replay(
    log: &LogFile,
    id: StoreId,
    state: &mut State,
    tables: &Tables,
    tell: &dyn Fn(Recovery),
) -> Result<u64, OpenError> {
    let mut telling = Telling::begin(tell, RecoveryPhase::Log, log.n_rows());
    let (watermark, mut n_replayed, mut last) = (state.last_event.0, 0, None);
    log.for_each(|row, bytes| {
        telling.advance();
        let damaged =
            |cause: String| OpenError::Damaged { file: "log.redb", place: format!("row {row}"), cause };
        let batch = ReadBatch::read(bytes, id).map_err(|error| match error {
            BatchError::Format { found } => OpenError::Format { file: "log.redb", found, known: FORMAT },
            BatchError::Store(_) => OpenError::Mixed,
            other => damaged(other.to_string()),
        })?;
        let most = last.unwrap_or(state.last_event.0).saturating_add(1);
        if batch.first.0 > most || (last.is_some() && batch.first.0 != most) {
            return Err(damaged(format!("it begins with event {}, expected was {most}", batch.first)));
        }
        last = Some(batch.last.0);
        let n_known = (state.last_event.0 + 1).saturating_sub(batch.first.0);
        let n_known = usize::try_from(n_known).unwrap_or(usize::MAX).min(batch.events.len());
        let events = &batch.events[n_known..];
        if events.is_empty() {
            return Ok(());
        }
        for event in events {
            state.apply(event);
        }
        n_replayed += events.len() as u64;
        if state.hash != batch.state_hash {
            return Err(damaged(format!("its events give another state than in epoch {}", batch.epoch)));
        }
        tables.add(state.take_delta());
        Ok(())
    })?;
    state.has_done_all();
    telling.end();
    // The newest row is always kept, and a state holds nothing that the log had not synced before.
    let end = last.unwrap_or(0);
    if end < watermark {
        return Err(OpenError::Damaged {
            file: "log.redb",
            place: "its end".to_owned(),
            cause: format!("it ends with event {end}, and the state holds events up to {watermark}"),
        });
    }
    Ok(n_replayed)
}

#[cfg(test)]
#[cfg(not(weighbridge_loom))]
mod tests {
    use super::*;
    use crate::model::{Epoch, Event, EventNumber, JobTypeSpec, Timestamp};
    use crate::testing::TracedDisk;
    use crate::wal::Log;

    #[test]
    fn a_checkpoint_between_two_commands_of_one_row_is_followed_by_the_rest_of_the_row() {
        let disk_of = TracedDisk::default();
        let disk: Arc<dyn Disk> = Arc::new(disk_of.clone());
        let put = |n: u32| {
            let spec = JobTypeSpec::new(format!("kind{n}"), "1");
            Event::JobTypePut { id: JobTypeId(n), spec, when: Timestamp(1) }
        };
        let mut opened = open_on(&disk, StoreId(1), 1 << 20).expect("made");
        let early = disk_of.files()[0].clone();
        let log = Log::<()>::start(opened.log, (StoreId(1), Epoch(1)), EventNumber(1), |_| ());
        let log = log.expect("a thread");
        let mut events = Vec::new();
        for n in 1..=3 {
            opened.state.apply(&put(n));
            events.push((put(n), opened.state.hash));
            if n == 2 {
                opened.tables.add(opened.state.take_delta());
                assert_eq!(opened.tables.checkpoint_all().expect("written"), EventNumber(2));
            }
        }
        let state = disk_of.files()[1].clone();
        // All three in one row.
        assert!(log.append(&events, []));
        drop(log.close().expect("the file"));
        assert_eq!(log.n_commits(), 1);
        drop((log, opened.tables));
        let again = open_on(&disk, StoreId(1), 1 << 20).expect("opened");
        assert_eq!((again.n_replayed, again.state.last_event), (1, EventNumber(3)));
        assert_eq!((again.state.hash, again.state.catalog.len()), (opened.state.hash, 3));
        drop(again);
        // A log from before the checkpoint is no log of this state.
        let mixed: Arc<dyn Disk> = Arc::new(TracedDisk::with([early, state]));
        let Err(error) = open_on(&mixed, StoreId(1), 1 << 20) else { panic!("it ends too early") };
        assert!(
            error.to_string().contains("ends with event 0, and the state holds events up to 2"),
            "{error}"
        );
    }
}
