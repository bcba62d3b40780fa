//! What is in the files of a store, table by table, as far as each can be read by itself. Both `inspect`
//! and `check` begin with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bincode::Decode;
use redb::TableDefinition;

use super::directory::{Held, StoreFiles};
use super::faults::{FaultKind, StoreFaults};
use super::file::{
    COUNTS, DIRECTORY, DOCS, DROPPED, FORMAT, Head, META, TYPES, is_known, unseal, unseal_one,
};
use super::look::{Look, Number, Told};
use super::recovery::OpenError;
use super::segment::SegmentInfo;
use super::untouched::Untouched;
use crate::load::StatusCounts;
use crate::model::{Epoch, Event, EventNumber, JobType, StoreId, kind};
use crate::wal::{self, BatchError, Disk, DiskFile, ReadBatch};

pub(super) const LOG: &str = DiskFile::Log.name();
pub(super) const STATE: &str = DiskFile::State.name();

/// Gaps that are told one by one.
const GAPS_MAX: usize = 20;

/// Why a store is not looked into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// It has neither of its files.
    #[error("there is no store in {}", .0.display())]
    NotFound(std::path::PathBuf),
    /// It is in use, or its lock cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// A store that stays as it is, and that nobody opens meanwhile.
pub(super) struct Site {
    pub(super) files: StoreFiles,
    pub(super) held: Held,
    pub(super) disk: Arc<Untouched>,
}

impl Site {
    pub(super) fn find(files: StoreFiles) -> Result<Self, LookError> {
        if !files.is_there() {
            return Err(LookError::NotFound(files.directory().to_owned()));
        }
        let held = Held::take(&files)?;
        let disk = Arc::new(Untouched::new(files.directory().to_owned()));
        Ok(Self { files, held, disk })
    }

    /// A file to look into; none where it is missing.
    pub(super) fn look(&self, file: DiskFile) -> Option<Look> {
        self.disk.exists(file).then(|| Look::new(self.disk.clone(), file))
    }
}

/// The cause alone.
pub(super) fn cause_of(error: OpenError) -> String {
    match error {
        OpenError::Damaged { cause, .. } => cause,
        other => other.to_string(),
    }
}

fn hole<K: std::fmt::Debug>(after: Option<K>, before: Option<K>) -> String {
    match (after, before) {
        (None, None) => "all of it".to_owned(),
        (None, Some(before)) => format!("before {before:?}"),
        (Some(after), None) => format!("after {after:?}"),
        (Some(after), Some(before)) => format!("between {after:?} and {before:?}"),
    }
}

/// Tells every value of a table of the state that can be read; the rest become faults.
pub(super) fn rows<K: Number + std::fmt::Debug>(
    look: &mut Look,
    name: &str,
    table: TableDefinition<'static, K, &'static [u8]>,
    faults: &mut StoreFaults,
    mut each: impl FnMut(&mut StoreFaults, K, &[u8]),
) {
    look.scan(table, |told| match told {
        Told::Row(key, bytes) => each(faults, key, bytes),
        Told::Hole { after, before, cause } => {
            let place = format!("{name}, {}", hole(after, before));
            faults.add(FaultKind::Unreadable, STATE, place, cause);
        }
    });
}

/// The same with the values decoded.
pub(super) fn values<K: Number + std::fmt::Debug, T: Decode<()>>(
    look: &mut Look,
    name: &str,
    table: TableDefinition<'static, K, &'static [u8]>,
    faults: &mut StoreFaults,
    mut each: impl FnMut(&mut StoreFaults, K, Vec<T>, usize),
) {
    rows(look, name, table, faults, |faults, key, bytes| match unseal(bytes) {
        Ok(values) => each(faults, key, values, bytes.len()),
        Err(error) => faults.add(FaultKind::Value, STATE, format_args!("{name} {key:?}"), cause_of(error)),
    });
}

fn single<K: Number + std::fmt::Debug, T: Decode<()>>(
    look: &mut Look,
    name: &str,
    table: TableDefinition<'static, K, &'static [u8]>,
    faults: &mut StoreFaults,
) -> BTreeMap<K, T> {
    let mut all = BTreeMap::new();
    rows(look, name, table, faults, |faults, key, bytes| match unseal_one(bytes) {
        Ok(value) => drop(all.insert(key, value)),
        Err(error) => faults.add(FaultKind::Value, STATE, format_args!("{name} {key:?}"), cause_of(error)),
    });
    all
}

/// What the state file says of itself, and what of its tables is small.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) format: Option<u16>,
    pub(super) head: Option<Head>,
    /// There may be a head that could not be read.
    is_head_lost: bool,
    pub(super) types: BTreeMap<u32, JobType>,
    /// The newest revision of each type that was made from a manifest.
    revisions: BTreeMap<u64, u64>,
    pub(super) counts: BTreeMap<u32, StatusCounts>,
    pub(super) directory: BTreeMap<u32, SegmentInfo>,
    /// Counts of jobs that retention dropped.
    pub(super) dropped: BTreeMap<u32, StatusCounts>,
}

impl Survey {
    pub(super) fn of(look: &mut Look, faults: &mut StoreFaults) -> Self {
        let mut survey = Self::default();
        survey.read_head(look, faults);
        if !survey.is_readable() {
            return survey;
        }
        survey.types = single(look, "job type", TYPES, faults);
        survey.read_revisions(look, faults);
        survey.counts = single(look, "counts of job type", COUNTS, faults);
        survey.directory = single(look, "directory of segment", DIRECTORY, faults);
        survey.dropped = single(look, "dropped of job type", DROPPED, faults);
        survey
    }

    fn read_revisions(&mut self, look: &mut Look, faults: &mut StoreFaults) {
        let of = |id, sub| (kind::JOB_TYPE_REVISION, id, sub);
        match look.keys(DOCS, (of(0, 0), of(u64::MAX, u64::MAX))) {
            Ok(keys) => self.revisions = keys.into_iter().map(|(_, id, revision)| (id, revision)).collect(),
            Err(cause) => faults.add(FaultKind::Unreadable, STATE, "revisions of job types", cause),
        }
    }

    /// The newest revision of a job type, of which its record tells how often its spec changed, and its manifests
    /// how many there are.
    pub(super) fn newest_revision(&self, kind: &JobType) -> u64 {
        let of_manifests = self.revisions.get(&u64::from(kind.id.0)).copied();
        of_manifests.unwrap_or_default().max(kind.revision.into())
    }

    fn read_head(&mut self, look: &mut Look, faults: &mut StoreFaults) {
        let n_before = faults.n();
        match look.get(META, "head") {
            Ok(Some(bytes)) => {
                let format = bytes.get(4..6).and_then(|bytes| bytes.try_into().ok());
                self.format = format.map(u16::from_le_bytes);
                match unseal_one(&bytes) {
                    Ok(head) => self.head = Some(head),
                    Err(_) if self.format.is_some_and(|format| !is_known(format)) => {}
                    Err(error) => faults.add(FaultKind::Value, STATE, "meta head", cause_of(error)),
                }
            }
            // The first format kept a key of its own here.
            Ok(None) => match look.get(META, "watermark") {
                Ok(Some(_)) => self.format = Some(1),
                Ok(None) => {}
                Err(cause) => faults.add(FaultKind::Unreadable, STATE, "meta", cause),
            },
            Err(cause) => faults.add(FaultKind::Unreadable, STATE, "meta", cause),
        }
        self.is_head_lost = self.head.is_none() && (self.format.is_some() || faults.n() > n_before);
        if let Some(found) = self.format.filter(|format| !is_known(*format)) {
            let cause = format_args!("format {found}, this version reads {FORMAT}");
            faults.add(FaultKind::Format, STATE, "meta head", cause);
            self.head = None;
        }
    }

    /// False for a file of another version, of whose tables nothing is known.
    pub(super) fn is_readable(&self) -> bool {
        self.format.is_none_or(is_known)
    }

    pub(super) fn watermark(&self) -> EventNumber {
        self.head.map(|head| head.totals.last_event).unwrap_or_default()
    }
}

/// Rows of the log that are missing without a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The last row before it, and its last event.
    pub after: (u64, EventNumber),
    /// The first row behind it, and its first event.
    pub before: (u64, EventNumber),
}

/// The rows of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRows {
    /// How many there are, those that cannot be read left out.
    pub n: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Numbers of the first and the last one.
    pub rows: Option<(u64, u64)>,
    /// The first and the last event in them.
    pub events: Option<(EventNumber, EventNumber)>,
    /// Incarnations of the engine that wrote the first and the last one.
    pub epochs: Option<(Epoch, Epoch)>,
    /// How many hold what the state file does not.
    pub n_tail: u64,
    /// Events in those.
    pub n_tail_events: u64,
    /// Bytes of those.
    pub tail_bytes: u64,
    /// How many cannot be read, at least.
    pub n_bad: u64,
    /// The first of them: its number, and why.
    pub first_bad: Option<(u64, String)>,
    /// Rows behind it that can be read.
    pub n_after_bad: u64,
    /// How often rows or events are missing between two rows.
    pub n_gaps: u64,
    /// The first of those.
    pub gaps: Vec<Gap>,
}

/// A log that is read row by row.
#[derive(Default)]
pub(super) struct LogSurvey {
    pub(super) format: Option<u16>,
    pub(super) store: Option<StoreId>,
    pub(super) rows: LogRows,
    /// Nothing bad stands between the last row and the next.
    goes_on: bool,
}

impl LogSurvey {
    /// Reads all of it. `watermark` is what the state file holds.
    pub(super) fn of(
        look: &mut Look,
        watermark: EventNumber,
        faults: &mut StoreFaults,
        mut each: impl FnMut(EventNumber, &Event),
    ) -> Self {
        let mut survey = Self::default();
        match look.get(wal::META, "store") {
            Ok(Some(id)) => match id.try_into() {
                Ok(id) => survey.store = Some(StoreId(u128::from_le_bytes(id))),
                Err(_) => faults.add(FaultKind::Value, LOG, "meta store", "it has another length"),
            },
            Ok(None) => {}
            Err(cause) => faults.add(FaultKind::Unreadable, LOG, "meta", cause),
        }
        look.scan(wal::ROWS, |told| match told {
            Told::Row(row, bytes) => survey.row(row, bytes, watermark, faults, &mut each),
            Told::Hole { after, before, cause } => {
                let place = format!("rows, {}", hole(after, before));
                faults.add(FaultKind::Unreadable, LOG, place, &cause);
                survey.bad(after.map_or(0, |after| after.saturating_add(1)), cause);
            }
        });
        if survey.store.is_none() && survey.rows.n > 0 {
            faults.add(FaultKind::Value, LOG, "meta store", "it is missing");
        }
        survey
    }

    fn bad(&mut self, row: u64, cause: String) {
        self.goes_on = false;
        self.rows.n_bad += 1;
        self.rows.first_bad.get_or_insert((row, cause));
    }

    fn row(
        &mut self,
        row: u64,
        bytes: &[u8],
        watermark: EventNumber,
        faults: &mut StoreFaults,
        each: &mut impl FnMut(EventNumber, &Event),
    ) {
        if let Some(format) = bytes.first_chunk::<2>() {
            self.format = Some(u16::from_le_bytes(*format));
        }
        // Of whose store the rows are cannot be told where the id is lost; that is a fault already.
        let store =
            self.store.or_else(|| Some(StoreId(u128::from_le_bytes(bytes.get(2..18)?.try_into().ok()?))));
        let batch = match ReadBatch::read(bytes, store.unwrap_or(StoreId(0))) {
            Ok(batch) => batch,
            Err(error) => {
                let kind = match error {
                    BatchError::Format { .. } => FaultKind::Format,
                    BatchError::Store(_) => FaultKind::Mixed,
                    _ => FaultKind::LogRow,
                };
                faults.add(kind, LOG, format_args!("row {row}"), &error);
                self.bad(row, error.to_string());
                return;
            }
        };
        let (first, last) = (batch.first, batch.last);
        let rows = &mut self.rows;
        if let (Some((_, last_row)), Some((_, last_event))) = (rows.rows, rows.events)
            && self.goes_on
            && (row != last_row + 1 || first.0 != last_event.0.saturating_add(1))
        {
            let gap = Gap { after: (last_row, last_event), before: (row, first) };
            rows.n_gaps += 1;
            if rows.gaps.len() < GAPS_MAX {
                rows.gaps.push(gap);
            }
            let cause =
                format_args!("it begins with event {first}; row {last_row} ends with event {last_event}");
            faults.add(FaultKind::LogGap, LOG, format_args!("row {row}"), cause);
        }
        self.goes_on = true;
        if let Some((_, last_epoch)) = rows.epochs.filter(|(_, last)| *last > batch.epoch) {
            let cause = format_args!("epoch {} comes after epoch {last_epoch}", batch.epoch);
            faults.add(FaultKind::LogRow, LOG, format_args!("row {row}"), cause);
        }
        rows.n += 1;
        rows.bytes += bytes.len() as u64;
        rows.rows = Some((rows.rows.map_or(row, |(first, _)| first), row));
        rows.events = Some((rows.events.map_or(first, |(first, _)| first), last));
        rows.epochs = Some((rows.epochs.map_or(batch.epoch, |(first, _)| first), batch.epoch));
        rows.n_after_bad += u64::from(rows.first_bad.is_some());
        if last > watermark {
            rows.n_tail += 1;
            rows.n_tail_events += last.0 - watermark.0.max(first.0.saturating_sub(1));
            rows.tail_bytes += bytes.len() as u64;
        }
        for (number, event) in (first.0..).zip(&batch.events) {
            each(EventNumber(number), event);
        }
    }

    /// Tells of faults in how the log and the state file meet.
    pub(super) fn meet(&self, survey: &Survey, faults: &mut StoreFaults) {
        if let Some(head) = survey.head
            && let Some(store) = self.store.filter(|store| store.0 != head.store)
        {
            let cause = format_args!("the log is of store {store}, the state of {}", StoreId(head.store));
            faults.add(FaultKind::Mixed, STATE, "meta head", cause);
        }
        let watermark = survey.watermark();
        match self.rows.events {
            _ if self.rows.n_bad > 0 || survey.is_head_lost => {}
            Some((first, _)) if first.0 > watermark.0 + 1 => {
                let cause =
                    format_args!("it begins with event {first}, the state file ends with {watermark}");
                faults.add(FaultKind::LogGap, LOG, "its first row", cause);
            }
            Some((_, last)) if last < watermark => {
                let cause =
                    format_args!("it ends with event {last}, before the {watermark} of the state file");
                faults.add(FaultKind::LogGap, LOG, "its last row", cause);
            }
            None if watermark.0 > 0 => {
                let cause = format_args!("it holds no row, the state file ends with event {watermark}");
                faults.add(FaultKind::LogGap, LOG, "its last row", cause);
            }
            _ => {}
        }
    }
}
