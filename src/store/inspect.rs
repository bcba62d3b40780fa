//! A look into a store that nobody has open, whatever state it is in.
//!
//! N1  Nothing in the directory is changed.
//! N2  It always ends, with all that could be found out.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::directory::StoreFiles;
use super::faults::{FaultKind, StoreFaults};
use super::file::{CREATIONS, LOAD, PLACES, SEGMENTS, SUBMISSIONS};
use super::index::{Block, NOWHERE};
use super::look::{Look, guarded};
use super::recovery::{OpenError, open_on};
use super::segment::{Segment, SegmentError, SegmentInfo};
use super::survey::{LOG, LogRows, LogSurvey, LookError, STATE, Site, Survey, rows, values};
use crate::limits::{EVENTS_SHOWN_MAX, RECENT_BYTES, SEGMENT_BYTES};
use crate::load::{LoadRow, StatusCounts};
use crate::model::{Accepted, Creation, Epoch, Event, EventNumber, ExeId, QueueMode, StoreId, Timestamp};
use crate::wal::{Disk, DiskFile};

/// What a store holds, and what is wrong with it as far as that can be seen part by part.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// Where it is.
    pub directory: PathBuf,
    /// The process that had it open last.
    pub last_owner: Option<u32>,
    /// The write-ahead log.
    pub log: LogInspection,
    /// The folded state.
    pub state: StateInspection,
    /// What opening it would give.
    pub opens: Result<Opens, OpenError>,
    /// What cannot be read. [`check`](fn@super::check) finds more.
    pub faults: StoreFaults,
    /// The events that were asked for.
    pub events: Vec<(EventNumber, Event)>,
    /// How many of the events that were asked for are left out.
    pub n_events_left_out: u64,
}

/// A file of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInspection {
    /// False where it is missing.
    pub is_there: bool,
    /// How long it is.
    pub bytes: u64,
    /// The version of what it holds.
    pub format: Option<u16>,
    /// The store it belongs to.
    pub store: Option<StoreId>,
    /// True where it was not closed, and redb has to read all of it when it is opened.
    pub is_repaired: bool,
    /// What is wrong with its pages.
    pub pages: Option<String>,
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogInspection {
    /// The file.
    pub file: FileInspection,
    /// Its rows.
    pub rows: LogRows,
}

/// The state file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateInspection {
    /// The file.
    pub file: FileInspection,
    /// What is one of a kind; none before the first checkpoint, or where it cannot be read.
    pub totals: Option<StateTotals>,
    /// Rows of jobs.
    pub segments: SegmentsInspection,
    /// Values that hold what jobs were given.
    pub n_creation_pieces: u64,
    /// Groups of jobs in them that were made together.
    pub n_creations: u64,
    /// Bytes of them.
    pub creation_bytes: u64,
    /// Values that hold places of jobs.
    pub n_place_blocks: u64,
    /// Places in them.
    pub n_places: u64,
    /// Job types.
    pub n_job_types: u64,
    /// Jobs by status, all types together.
    pub counts: StatusCounts,
    /// Answers to submissions.
    pub n_submissions: u64,
    /// Load rows.
    pub n_load_rows: u64,
    /// The first and the last instant of them.
    pub load: Option<(Timestamp, Timestamp)>,
}

/// What of a state is one of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateTotals {
    /// The newest event that is folded in: the watermark.
    pub last_event: EventNumber,
    /// The incarnation of the engine that wrote it.
    pub epoch: Epoch,
    /// Its time.
    pub now: Timestamp,
    /// Jobs that ever were made.
    pub n_jobs: u64,
    /// Jobs of these that retention dropped.
    pub n_dropped: u64,
    /// Recipes that ever were made.
    pub n_recipes: u64,
    /// The newest execution.
    pub last_exe: ExeId,
    /// The queue's direction.
    pub mode: QueueMode,
    /// How many load rows are kept.
    pub keep_load_rows: u32,
    /// The state hash.
    pub hash: u64,
    /// The part of it of jobs that are not over.
    pub open_hash: u64,
    /// Number of the next segment.
    pub next_segment: u32,
    /// Jobs of segments below this one that are over have their places in a table.
    pub placed_below: u32,
}

/// The segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentsInspection {
    /// How many the directory names.
    pub n: u64,
    /// Rows in them.
    pub n_rows: u64,
    /// Rows that are not true any more.
    pub n_dead: u64,
    /// Rows of jobs that are not over.
    pub n_open: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that hold less than half of what they might.
    pub n_sparse: u64,
    /// Those that the directory names and that are not there.
    pub n_missing: u64,
    /// Those that an unfinished checkpoint left behind.
    pub n_left_behind: u64,
    /// Those that cannot be read.
    pub n_bad: u64,
    /// The first of those: its number, and why.
    pub first_bad: Option<(u32, String)>,
}

/// What opening a store would give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opens {
    /// Events that would be read from the log.
    pub n_replayed: u64,
    /// The newest event.
    pub last_event: EventNumber,
    /// The incarnation it would be.
    pub epoch: Epoch,
    /// Jobs that ever were made.
    pub n_jobs: u64,
    /// Jobs by status.
    pub counts: StatusCounts,
}

/// Looks into the store in `directory`. Of its events those in `events` are listed, at most
/// [`EVENTS_SHOWN_MAX`].
///
/// Files that were not closed are repaired in memory; nothing in the directory is changed. The lock is
/// held meanwhile, so that nobody opens the store.
///
/// Cost: reads both files, and what opening the store costs in time and memory.
pub fn inspect(
    directory: impl AsRef<Path>,
    events: Option<&RangeInclusive<EventNumber>>,
) -> Result<Inspection, LookError> {
    let site = Site::find(StoreFiles::new(directory.as_ref()))?;
    let mut faults = StoreFaults::default();
    let (state, survey) = inspect_state(&site, &mut faults);
    let mut listed = Vec::new();
    let mut n_events_left_out = 0;
    let (log, rows) = inspect_log(&site, &survey, &mut faults, |number, event| {
        if !events.is_some_and(|events| events.contains(&number)) {
        } else if listed.len() < EVENTS_SHOWN_MAX {
            listed.push((number, event.clone()));
        } else {
            n_events_left_out += 1;
        }
    });
    rows.meet(&survey, &mut faults);
    let opens = guarded(|| try_open(&site, |_| ())).unwrap_or_else(|cause| {
        Err(OpenError::Damaged { file: STATE, place: "its totals".to_owned(), cause })
    });
    if let Err(error) = &opens {
        open_fault(error, &mut faults);
    }
    Ok(Inspection {
        directory: site.files.directory().to_owned(),
        last_owner: site.held.last_owner,
        log,
        state,
        opens: opens.map(|(opens, ())| opens),
        faults,
        events: listed,
        n_events_left_out,
    })
}

/// What opening the store gives, and what `ask` finds out about the state.
pub(super) fn try_open<T>(
    site: &Site,
    ask: impl FnOnce(&crate::state::State) -> T,
) -> Result<(Opens, T), OpenError> {
    let disk: Arc<dyn Disk> = site.disk.clone();
    let opened = open_on(&disk, StoreId(0), RECENT_BYTES)?;
    let state = &opened.state;
    let totals = state.totals();
    let counts = state.counters.iter().fold(StatusCounts::default(), |sum, (_, counts)| sum.plus(&counts));
    let opens = Opens {
        n_replayed: opened.n_replayed,
        last_event: totals.last_event,
        epoch: Epoch(totals.epoch.0 + 1),
        n_jobs: totals.n_jobs,
        counts,
    };
    let answer = ask(state);
    // To close a file is to write to it, which a damaged one may not survive.
    let _ = guarded(|| drop(opened));
    Ok((opens, answer))
}

/// Tells of a store that does not open.
pub(super) fn open_fault(error: &OpenError, faults: &mut StoreFaults) {
    let file = match error {
        OpenError::Damaged { file, .. } | OpenError::Format { file, .. } if *file == STATE => STATE,
        OpenError::Storage { .. } => STATE,
        _ => LOG,
    };
    faults.add(FaultKind::Open, file, "opening the store", error);
}

fn inspect_file(site: &Site, file: DiskFile, look: &mut Look, faults: &mut StoreFaults) -> FileInspection {
    let path = site.files.directory().join(file.name());
    let pages = look.check_pages().err();
    if let Some(cause) = &pages {
        faults.add(FaultKind::Pages, file.name(), "its pages", cause);
    }
    FileInspection {
        is_there: true,
        bytes: path.metadata().map_or(0, |metadata| metadata.len()),
        is_repaired: site.disk.was_repaired(file),
        pages,
        ..FileInspection::default()
    }
}

fn inspect_log(
    site: &Site,
    survey: &Survey,
    faults: &mut StoreFaults,
    each: impl FnMut(EventNumber, &Event),
) -> (LogInspection, LogSurvey) {
    let Some(mut look) = site.look(DiskFile::Log) else {
        faults.add(FaultKind::Missing, DiskFile::Log.name(), "the file", "it is not there");
        return Default::default();
    };
    let mut file = inspect_file(site, DiskFile::Log, &mut look, faults);
    let log = LogSurvey::of(&mut look, survey.watermark(), faults, each);
    (file.format, file.store) = (log.format, log.store);
    (LogInspection { file, rows: log.rows.clone() }, log)
}

fn inspect_state(site: &Site, faults: &mut StoreFaults) -> (StateInspection, Survey) {
    // One that never came to its first checkpoint may be without the file.
    let Some(mut look) = site.look(DiskFile::State) else { return Default::default() };
    let mut seen = StateInspection {
        file: inspect_file(site, DiskFile::State, &mut look, faults),
        ..StateInspection::default()
    };
    let survey = Survey::of(&mut look, faults);
    seen.file.format = survey.format;
    if let Some(head) = survey.head {
        seen.file.store = Some(StoreId(head.store));
        let totals = head.totals;
        seen.totals = Some(StateTotals {
            last_event: totals.last_event,
            epoch: totals.epoch,
            now: totals.now,
            n_jobs: totals.n_jobs,
            n_dropped: head.n_dropped,
            n_recipes: totals.n_recipes,
            last_exe: totals.last_exe,
            mode: totals.mode,
            keep_load_rows: totals.keep_load_rows,
            hash: totals.hash,
            open_hash: totals.open_hash,
            next_segment: head.next_segment,
            placed_below: head.placed_below,
        });
    }
    if survey.is_readable() {
        seen.look_at_segments(&mut look, &survey, faults);
        seen.look_at_rest(&mut look, &survey, faults);
    }
    (seen, survey)
}

fn is_sparse(info: &SegmentInfo) -> bool {
    let n_live = u64::from(info.n_rows.saturating_sub(info.n_dead));
    let live_bytes = u64::from(info.bytes) * n_live / u64::from(info.n_rows.max(1));
    u32::from(info.n_dead) * 2 >= u32::from(info.n_rows) || 2 * live_bytes < SEGMENT_BYTES as u64
}

/// What is said of a segment that is not there.
pub(super) const SEGMENT_MISSING: &str = "the directory names it, and it is missing";

/// Why a segment cannot be read.
pub(super) fn segment_fault(error: SegmentError) -> (FaultKind, String) {
    match error {
        SegmentError::Format(found) => {
            (FaultKind::Format, format!("format {found}, this version reads {}", super::file::FORMAT))
        }
        SegmentError::Damaged(cause) => (FaultKind::Segment, cause.to_owned()),
    }
}

impl StateInspection {
    fn look_at_segments(&mut self, look: &mut Look, survey: &Survey, faults: &mut StoreFaults) {
        let segments = &mut self.segments;
        for info in survey.directory.values() {
            segments.n += 1;
            segments.n_rows += u64::from(info.n_rows);
            segments.n_dead += u64::from(info.n_dead);
            segments.n_open += u64::from(info.n_open);
            segments.bytes += u64::from(info.bytes);
            segments.n_sparse += u64::from(is_sparse(info));
        }
        let mut missing: BTreeSet<u32> = survey.directory.keys().copied().collect();
        rows(look, "segments", SEGMENTS, faults, |faults, number, bytes| {
            if !missing.remove(&number) {
                segments.n_left_behind += 1;
                return;
            }
            if let Err(error) = Segment::read(bytes) {
                let (kind, cause) = segment_fault(error);
                faults.add(kind, STATE, format_args!("segment {number}"), &cause);
                segments.n_bad += 1;
                segments.first_bad.get_or_insert((number, cause));
            }
        });
        segments.n_missing = missing.len() as u64;
        for number in missing {
            faults.add(FaultKind::Segment, STATE, format_args!("segment {number}"), SEGMENT_MISSING);
        }
    }

    fn look_at_rest(&mut self, look: &mut Look, survey: &Survey, faults: &mut StoreFaults) {
        self.n_job_types = survey.types.len() as u64;
        self.counts = survey.counts.values().fold(StatusCounts::default(), |sum, counts| sum.plus(counts));
        values(look, "creations", CREATIONS, faults, |_, _, creations: Vec<Creation>, n_bytes| {
            self.n_creation_pieces += 1;
            self.n_creations += creations.len() as u64;
            self.creation_bytes += n_bytes as u64;
        });
        values(look, "places", PLACES, faults, |_, _, blocks: Vec<Block>, _| {
            self.n_place_blocks += 1;
            self.n_places += blocks.iter().flatten().filter(|place| **place != NOWHERE).count() as u64;
        });
        values(look, "submissions", SUBMISSIONS, faults, |_, _, all: Vec<(String, Accepted)>, _| {
            self.n_submissions += all.len() as u64;
        });
        values(look, "load", LOAD, faults, |_, _, rows: Vec<LoadRow>, _| {
            for row in rows {
                self.n_load_rows += 1;
                self.load = Some((self.load.map_or(row.measured, |(first, _)| first), row.measured));
            }
        });
    }
}
