//! Segments: rows of jobs in the order in which they last changed, in one value of the state file, and
//! what the directory knows of each without reading it.
//!
//! ```text
//! segment: format u16 · CRC-32 of the rest u32 · rows u32 · sets u32
//!          · end of each row u32 · end of each set u32 · rows · sets of resources
//! ```
//!
//! G1  A segment is never changed: a row that is not true any more is marked in the directory.
//! G2  `kinds` of a segment counts its rows that are true, by type, status and outcome.
//! G3  `zones` has one for each of `kinds`, or one for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bincode::{Decode, Encode};
use foldhash::HashMap;

use super::codec::{self, StoredJob};
use super::glance::{Glance, Zone};
use crate::limits::SEGMENT_BYTES;
use crate::model::{JobId, JobState, JobTypeId, NodeResources, Timestamp};
use crate::state::Kind;

/// Version of segments. Raised with every change of a row.
const FORMAT: u16 = 2;

const HEADER_BYTES: usize = 14;

/// Most rows of a segment: their places are sixteen bits wide.
const ROWS_MAX: usize = 1 << 14;

/// Kinds of a segment that have a zone each; where there are more, they share one.
const ZONES_MAX: usize = 32;

/// Where a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) row: u16,
}

/// How many rows there are of one sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct KindCount {
    pub(super) job_type: JobTypeId,
    pub(super) status: u8,
    pub(super) outcome: u8,
    pub(super) n: u16,
}

/// What the directory knows of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct SegmentInfo {
    /// Segments in this order are in the order in which their rows last changed.
    pub(super) order: u64,
    pub(super) n_rows: u16,
    pub(super) n_dead: u16,
    pub(super) bytes: u32,
    /// The earliest and the latest change among its rows.
    pub(super) changed: (Timestamp, Timestamp),
    /// The least and the greatest id among its rows.
    pub(super) ids: (JobId, JobId),
    /// A bit for each row that is not true any more.
    pub(super) dead: Vec<u64>,
    /// Sorted by type, status, outcome.
    pub(super) kinds: Vec<KindCount>,
    /// How many of its true rows are of jobs that are not over.
    pub(super) n_open: u16,
    /// Bounds of what lists are ordered by, over rows that were true when it was written.
    pub(super) zones: Vec<Zone>,
}

impl SegmentInfo {
    /// The bounds of what is of the kind at that place of `kinds`.
    pub(super) fn zone(&self, at: usize) -> Option<&Zone> {
        if self.zones.len() == self.kinds.len() { self.zones.get(at) } else { self.zones.first() }
    }

    pub(super) fn is_dead(&self, row: u16) -> bool {
        self.dead.get(usize::from(row) / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(super) fn n_live(&self) -> u16 {
        self.n_rows - self.n_dead
    }

    /// Marks a row; false where it was.
    pub(super) fn kill(&mut self, row: u16, job_type: JobTypeId, kind: Kind, was_open: bool) -> bool {
        if row >= self.n_rows || self.is_dead(row) {
            return false;
        }
        self.dead[usize::from(row) / 64] |= 1 << (row % 64);
        self.n_dead += 1;
        self.n_open = self.n_open.saturating_sub(u16::from(was_open));
        let key = (job_type, kind.status as u8, kind.outcome);
        if let Ok(at) =
            self.kinds.binary_search_by_key(&key, |count| (count.job_type, count.status, count.outcome))
        {
            self.kinds[at].n = self.kinds[at].n.saturating_sub(1);
        }
        true
    }
}

/// Rows that become a segment.
#[derive(Default)]
pub(super) struct Builder {
    rows: Vec<u8>,
    ends: Vec<u32>,
    sets: Vec<Arc<NodeResources>>,
    set_at: HashMap<Arc<NodeResources>, u64>,
    kinds: BTreeMap<(JobTypeId, u8, u8), (u16, Zone)>,
    ids: Option<(JobId, JobId)>,
    changed: Option<(Timestamp, Timestamp)>,
    n_open: u16,
}

fn widen<T: Copy + Ord>(range: &mut Option<(T, T)>, value: T) {
    *range = Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
}

impl Builder {
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() + 4 * self.ends.len() + 40 * self.sets.len() >= SEGMENT_BYTES
            || self.ends.len() >= ROWS_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a row and returns its place in the segment.
    pub(super) fn push(&mut self, id: JobId, job: &JobState, parents: &[JobId]) -> u16 {
        let is_last = self.sets.last().is_some_and(|last| Arc::ptr_eq(last, &job.resources));
        let set = if is_last {
            self.sets.len() as u64 - 1
        } else {
            let next = self.sets.len() as u64;
            let at = *self.set_at.entry(job.resources.clone()).or_insert(next);
            if at == next {
                self.sets.push(job.resources.clone());
            }
            at
        };
        codec::put_job(&mut self.rows, id, job, parents, set);
        let row = u16::try_from(self.ends.len()).expect("below ROWS_MAX");
        self.ends.push(u32::try_from(self.rows.len()).expect("rows are far below 4 GiB"));
        let glance = Glance::of(id, job);
        let (n, zone) = self.kinds.entry(glance.kind()).or_insert_with(|| (0, Zone::of(&glance.columns)));
        *n += 1;
        zone.widen(&glance.columns);
        widen(&mut self.ids, id);
        widen(&mut self.changed, job.last_status_change);
        self.n_open += u16::from(job.is_open());
        row
    }

    /// The segment's bytes, and what the directory keeps of it.
    pub(super) fn seal(self, order: u64) -> (Vec<u8>, SegmentInfo) {
        let number = |n: usize| u32::try_from(n).expect("far below 4 GiB").to_le_bytes();
        let mut sets = Vec::new();
        let mut set_ends = Vec::new();
        for set in &self.sets {
            super::file::encode(&**set, &mut sets);
            set_ends.push(number(sets.len()));
        }
        let mut body = Vec::with_capacity(
            HEADER_BYTES + 4 * (self.ends.len() + set_ends.len()) + self.rows.len() + sets.len(),
        );
        body.extend(FORMAT.to_le_bytes());
        body.extend([0; 4]);
        body.extend(number(self.ends.len()));
        body.extend(number(set_ends.len()));
        self.ends.iter().for_each(|end| body.extend(end.to_le_bytes()));
        body.extend(set_ends.as_flattened());
        body.extend(&self.rows);
        body.extend(&sets);
        let crc = crc32fast::hash(&body[6..]);
        body[2..6].copy_from_slice(&crc.to_le_bytes());
        let n_rows = u16::try_from(self.ends.len()).expect("below ROWS_MAX");
        let mut zones: Vec<Zone> = self.kinds.values().map(|(_, zone)| *zone).collect();
        if zones.len() > ZONES_MAX {
            let (first, rest) = zones.split_at_mut(1);
            for zone in rest {
                first[0].join(zone);
            }
            zones.truncate(1);
        }
        let kinds = self.kinds.into_iter();
        let info = SegmentInfo {
            order,
            n_rows,
            n_dead: 0,
            bytes: u32::try_from(body.len()).expect("far below 4 GiB"),
            changed: self.changed.unwrap_or_default(),
            ids: self.ids.unwrap_or_default(),
            dead: vec![0; usize::from(n_rows).div_ceil(64)],
            kinds: kinds
                .map(|((job_type, status, outcome), (n, _))| KindCount { job_type, status, outcome, n })
                .collect(),
            n_open: self.n_open,
            zones,
        };
        (body, info)
    }
}

/// Why a segment cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentError {
    Format(u16),
    Damaged(&'static str),
}

/// A segment that was read.
pub(super) struct Segment<'b> {
    row_ends: &'b [u8],
    set_ends: &'b [u8],
    rows: &'b [u8],
    sets: &'b [u8],
    /// The set that was decoded last.
    last_set: Option<(u64, Arc<NodeResources>)>,
}

fn piece<'b>(ends: &[u8], at: usize, bytes: &'b [u8]) -> Option<&'b [u8]> {
    let end = |at: usize| {
        let bytes = ends.get(4 * at..4 * at + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let from = if at == 0 { 0 } else { end(at - 1)? };
    bytes.get(from..end(at)?)
}

impl<'b> Segment<'b> {
    pub(super) fn read(bytes: &'b [u8]) -> Result<Self, SegmentError> {
        let cut = SegmentError::Damaged("a segment is cut short");
        let (format, rest) = bytes.split_first_chunk::<2>().ok_or(cut)?;
        let format = u16::from_le_bytes(*format);
        if format != FORMAT {
            return Err(SegmentError::Format(format));
        }
        let (crc, rest) = rest.split_first_chunk::<4>().ok_or(cut)?;
        if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
            return Err(SegmentError::Damaged("the checksum of a segment does not match"));
        }
        Self::parts(rest).ok_or(cut)
    }

    fn parts(rest: &'b [u8]) -> Option<Self> {
        let (n_rows, rest) = rest.split_first_chunk::<4>()?;
        let (n_sets, rest) = rest.split_first_chunk::<4>()?;
        let count = |n: &[u8; 4]| usize::try_from(u32::from_le_bytes(*n)).ok();
        let (row_ends, rest) = rest.split_at_checked(count(n_rows)?.checked_mul(4)?)?;
        let (set_ends, rest) = rest.split_at_checked(count(n_sets)?.checked_mul(4)?)?;
        let n_bytes = row_ends.last_chunk::<4>().map_or(Some(0), count)?;
        let (rows, sets) = rest.split_at_checked(n_bytes)?;
        Some(Self { row_ends, set_ends, rows, sets, last_set: None })
    }

    pub(super) fn n_rows(&self) -> usize {
        self.row_ends.len() / 4
    }

    /// What lists look at of a row.
    pub(super) fn glance(&self, row: usize) -> Option<Glance> {
        Glance::read(piece(self.row_ends, row, self.rows)?)
    }

    pub(super) fn job(&mut self, row: usize) -> Option<StoredJob> {
        let bytes = piece(self.row_ends, row, self.rows)?;
        codec::job(bytes, |at| {
            if let Some((_, set)) = self.last_set.as_ref().filter(|(known, _)| *known == at) {
                return Some(set.clone());
            }
            let bytes = piece(self.set_ends, usize::try_from(at).ok()?, self.sets)?;
            let set: Arc<NodeResources> = Arc::new(super::file::decode(bytes)?);
            self.last_set = Some((at, set.clone()));
            Some(set)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        BatchId, ErrorId, ExeEnd, ExeId, Extra, JobStatus, LaunchName, More, NodeId, Outcome, RecipeId, Usage,
    };
    use crate::testing::job_state;

    fn rows() -> Vec<StoredJob> {
        let outcomes = [
            Outcome::Exited { code: 0 },
            Outcome::Exited { code: -7 },
            Outcome::Signaled { signal: 9 },
            Outcome::TimedOut,
            Outcome::Canceled,
            Outcome::NotStarted { reason: "no such file: ünknown".into() },
            Outcome::Lost { reason: String::new() },
            Outcome::Error { id: ErrorId(300) },
        ];
        let plain = StoredJob { id: JobId(1), job: job_state(), parents: vec![] };
        let ended = outcomes.into_iter().enumerate().map(|(n, outcome)| {
            let end = ExeEnd {
                launch: LaunchName { exe: ExeId(1 << 42), number: 3 },
                exe_num: 2,
                outcome,
                usage: Usage { wall_us: u64::MAX, cpu_us: 1, mem_kib: 0 },
                ended: Timestamp(-5),
            };
            let more = More {
                recipe: (n % 2 == 0).then_some(RecipeId(9)),
                started: Some(Timestamp(i64::MAX)),
                ended: Some(Timestamp(i64::MIN)),
                node: Some(NodeId(u32::MAX)),
                end: Some(end),
                queue_priority: Some(i32::MIN),
                runs: n % 3 == 0,
                is_let_through: n % 2 == 0,
                extra: Extra {
                    batch: (n % 3 == 1).then_some(BatchId(1 << 40)),
                    input_mib: (n % 4 == 0).then_some(u64::MAX),
                    superseded: (n % 2 == 1).then_some(Timestamp(-1)),
                    lacks_input: n % 5 == 0,
                },
            };
            let mut job =
                JobState { priority: i32::MIN, exe: Some(ExeId(7)), more: Some(more.into()), ..job_state() };
            job.status = JobStatus::ALL[n % JobStatus::ALL.len()];
            job.created = Timestamp(1 << 60);
            StoredJob { id: JobId(1 << (n + 30)), job, parents: vec![JobId(1), JobId(1 << 43)] }
        });
        std::iter::once(plain).chain(ended).collect()
    }

    fn sealed() -> (Vec<u8>, SegmentInfo) {
        let mut builder = Builder::default();
        for row in rows() {
            builder.push(row.id, &row.job, &row.parents);
        }
        builder.seal(5)
    }

    #[test]
    fn rows_read_back() {
        let (bytes, info) = sealed();
        let mut segment = Segment::read(&bytes).expect("a segment");
        let read: Vec<_> = (0..segment.n_rows()).map(|row| segment.job(row).expect("a row")).collect();
        assert_eq!(read, rows());
        for (row, stored) in read.iter().enumerate() {
            let glance = segment.glance(row).expect("a row");
            assert_eq!(glance, Glance::of(stored.id, &stored.job));
            let at = info
                .kinds
                .iter()
                .position(|count| (count.job_type, count.status, count.outcome) == glance.kind());
            assert!(info.zone(at.expect("its kind")).expect("a zone").holds(&glance.columns));
        }
        assert_eq!((info.n_rows, info.n_live(), info.order), (9, 9, 5));
        assert_eq!(info.kinds.iter().map(|count| count.n).sum::<u16>(), 9);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (bytes, _) = sealed();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                assert!(Segment::read(&bad).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Segment::read(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_killed_row_is_counted_no_more_and_only_once() {
        let (_, mut info) = sealed();
        let kind = Kind { status: JobStatus::Pending, outcome: 0 };
        assert!(info.kill(0, JobTypeId(1), kind, true) && !info.kill(0, JobTypeId(1), kind, true));
        assert_eq!((info.n_live(), info.is_dead(0), info.is_dead(1)), (8, true, false));
        assert_eq!(info.kinds.iter().map(|count| count.n).sum::<u16>(), 8);
    }
}
