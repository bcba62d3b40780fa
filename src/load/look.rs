//! What readers ask of the history: rows by filters and order, and sums by instant.

use std::cmp::Ordering;
use std::str::FromStr;
use std::sync::Arc;

use super::history::{Chunk, LoadRow, Packed};
use crate::limits::JOB_TYPES_MAX;
use crate::model::{JobTypeId, Timestamp};

/// Sums over all job types that were measured at one instant; zeros by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobLoadGroup {
    /// When.
    pub time: Timestamp,
    /// PENDING jobs.
    pub pending_count: u64,
    /// QUEUED jobs.
    pub queued_count: u64,
    /// RUNNING jobs.
    pub running_count: u64,
}

impl JobLoadGroup {
    fn at(time: Timestamp) -> Self {
        Self { time, ..Self::default() }
    }

    fn add(&mut self, row: &LoadRow) {
        self.pending_count += row.pending;
        self.queued_count += row.queued;
        self.running_count += row.running;
    }
}

/// Sums rows that stand together and were measured at the same instant. Nothing is sorted: rows in another
/// order give a group for each run of equal instants.
pub fn group_by_time(rows: impl IntoIterator<Item = LoadRow>) -> Vec<JobLoadGroup> {
    let mut groups: Vec<JobLoadGroup> = Vec::new();
    for row in rows {
        if groups.last().is_none_or(|group| group.time != row.measured) {
            groups.push(JobLoadGroup::at(row.measured));
        }
        if let Some(group) = groups.last_mut() {
            group.add(&row);
        }
    }
    groups
}

/// A column by which rows are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadColumn {
    /// The order in which they stand: by instant, then type.
    Id,
    /// The type; the row without one comes last.
    JobType,
    /// The instant.
    Measured,
    /// PENDING jobs.
    Pending,
    /// QUEUED jobs.
    Queued,
    /// RUNNING jobs.
    Running,
    /// The sum of the three.
    Total,
}

/// A column, and its direction. Its text is Scale's: `measured`, `-total_count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOrder {
    /// By what.
    pub column: LoadColumn,
    /// The greatest first.
    pub is_descending: bool,
}

/// A text that names no column of load rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no column of load rows: id, job_type, measured, pending_count, queued_count, running_count \
         or total_count, with a - in front for the greatest first"
)]
pub struct LoadOrderError {
    /// What it was.
    pub text: String,
}

impl FromStr for LoadOrder {
    type Err = LoadOrderError;

    fn from_str(text: &str) -> Result<Self, LoadOrderError> {
        let (name, is_descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let column = match name {
            "id" => LoadColumn::Id,
            "job_type" | "job_type_id" => LoadColumn::JobType,
            "measured" => LoadColumn::Measured,
            "pending_count" => LoadColumn::Pending,
            "queued_count" => LoadColumn::Queued,
            "running_count" => LoadColumn::Running,
            "total_count" => LoadColumn::Total,
            _ => return Err(LoadOrderError { text: text.chars().take(100).collect() }),
        };
        Ok(Self { column, is_descending })
    }
}

impl LoadOrder {
    fn compare(self, one: &LoadRow, other: &LoadRow) -> Ordering {
        let kind = |row: &LoadRow| row.job_type.map_or(u32::MAX, |id| id.0);
        let order = match self.column {
            LoadColumn::Id => (one.measured, one.job_type).cmp(&(other.measured, other.job_type)),
            LoadColumn::JobType => kind(one).cmp(&kind(other)),
            LoadColumn::Measured => one.measured.cmp(&other.measured),
            LoadColumn::Pending => one.pending.cmp(&other.pending),
            LoadColumn::Queued => one.queued.cmp(&other.queued),
            LoadColumn::Running => one.running.cmp(&other.running),
            LoadColumn::Total => one.total().cmp(&other.total()),
        };
        if self.is_descending { order.reverse() } else { order }
    }
}

/// Which rows, and in which order. All filters count together; an empty one lets all through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadFilter {
    /// Not measured before.
    pub started: Option<Timestamp>,
    /// Not measured after.
    pub ended: Option<Timestamp>,
    /// Of these types.
    pub job_type_ids: Vec<JobTypeId>,
    /// Of types of these names, in any version.
    pub job_type_names: Vec<String>,
    /// By these columns, one after the other; none: by instant. Rows that are equal in all of them stay in the
    /// order of instant and type.
    pub order: Vec<LoadOrder>,
}

/// Job types that are let through.
#[derive(Clone, Debug)]
pub(crate) struct LoadTypes(Vec<u64>);

impl LoadTypes {
    /// The types that stand in each list; none where there is no list.
    pub(crate) fn new(lists: &[&[JobTypeId]]) -> Option<Self> {
        let mut all: Option<Self> = None;
        for list in lists {
            let mut set = Self(Vec::new());
            list.iter().for_each(|id| set.insert(*id));
            all = Some(match all {
                None => set,
                Some(all) => Self(all.0.iter().zip(&set.0).map(|(one, other)| one & other).collect()),
            });
        }
        all
    }

    fn insert(&mut self, id: JobTypeId) {
        // No type has the id 0, and none one beyond the bound.
        let id = id.0 as usize;
        if (1..=JOB_TYPES_MAX).contains(&id) {
            if self.0.len() <= id / 64 {
                self.0.resize(id / 64 + 1, 0);
            }
            self.0[id / 64] |= 1 << (id % 64);
        }
    }

    fn holds(&self, id: u32) -> bool {
        self.0.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }
}

/// The measurements of a range as they were when it was asked for. Cheap to make and to clone: it shares them
/// with the engine, which goes on beside it.
#[derive(Clone, Debug)]
pub struct LoadHistory {
    chunks: Vec<Arc<Chunk>>,
    started: Timestamp,
    ended: Timestamp,
    types: Option<LoadTypes>,
}

impl LoadHistory {
    pub(super) fn new(chunks: Vec<Arc<Chunk>>, started: Timestamp, ended: Timestamp) -> Self {
        Self { chunks, started, ended, types: None }
    }

    /// Those rows alone whose types are let through; the row without a type is not.
    pub(crate) fn of_types(mut self, types: Option<LoadTypes>) -> Self {
        self.types = types;
        self
    }

    fn measurements(&self) -> impl DoubleEndedIterator<Item = (Timestamp, &[Packed])> {
        self.chunks.iter().flat_map(|chunk| chunk.within(self.started, self.ended))
    }

    /// Its rows, oldest first.
    pub fn rows(&self) -> impl Iterator<Item = LoadRow> + '_ {
        let is_in = |row: &&Packed| self.types.as_ref().is_none_or(|types| types.holds(row.job_type));
        self.measurements()
            .flat_map(move |(measured, rows)| rows.iter().filter(is_in).map(move |row| row.row(measured)))
    }

    /// Its rows in an order.
    pub fn sorted_rows(&self, order: &[LoadOrder]) -> Vec<LoadRow> {
        let mut rows: Vec<LoadRow> = self.rows().collect();
        let is_by_instant = match order {
            [] => true,
            [first, ..] => *first == LoadOrder { column: LoadColumn::Id, is_descending: false },
        };
        if !is_by_instant {
            rows.sort_by(|one, other| {
                let unequal = |by: &LoadOrder| Some(by.compare(one, other)).filter(|order| order.is_ne());
                order.iter().find_map(unequal).unwrap_or(Ordering::Equal)
            });
        }
        rows
    }

    /// The sums of its rows by instant, oldest first.
    ///
    /// Cost: some nanoseconds a row.
    pub fn groups(&self) -> Vec<JobLoadGroup> {
        let mut groups = Vec::new();
        for (measured, rows) in self.measurements() {
            let mut sums = [0_u64; 3];
            let mut n = 0;
            for row in rows.iter().filter(|row| self.types.as_ref().is_none_or(|set| set.holds(row.job_type)))
            {
                n += 1;
                sums.iter_mut().zip(row.counts).for_each(|(sum, count)| *sum += u64::from(count));
            }
            if n > 0 {
                let [pending_count, queued_count, running_count] = sums;
                groups.push(JobLoadGroup { time: measured, pending_count, queued_count, running_count });
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::History;
    use super::*;

    fn row(at: i64, kind: u32, counts: [u64; 3]) -> LoadRow {
        let [pending, queued, running] = counts;
        let job_type = (kind > 0).then_some(JobTypeId(kind));
        LoadRow { measured: Timestamp(at), job_type, pending, queued, running }
    }

    fn history(rows: &[LoadRow]) -> History {
        let mut history = History::default();
        history.put_rows(rows, u32::MAX, &mut Vec::new());
        history
    }

    #[test]
    fn a_group_is_zeros_unless_something_was_counted() {
        let group = JobLoadGroup::default();
        assert_eq!((group.pending_count, group.queued_count, group.running_count), (0, 0, 0));
    }

    #[test]
    fn consecutive_rows_of_one_instant_are_summed() {
        let rows = [row(1, 1, [1, 2, 0]), row(1, 2, [1, 3, 1]), row(2, 1, [1, 4, 0]), row(1, 1, [7, 0, 0])];
        let sums: Vec<_> =
            group_by_time(rows).iter().map(|g| (g.time.0, g.pending_count, g.queued_count)).collect();
        assert_eq!(sums, [(1, 2, 5), (2, 1, 4), (1, 7, 0)], "what does not stand together is not sorted");
    }

    #[test]
    fn a_filter_by_type_leaves_the_placeholder_out() {
        let rows = [row(1, 0, [0; 3]), row(2, 1, [1, 0, 0]), row(2, 2, [0, 5, 0]), row(3, 2, [0, 0, 4])];
        let history = history(&rows);
        let groups = |lists: &[&[JobTypeId]]| {
            let looked = history.shared(None, None).of_types(LoadTypes::new(lists));
            assert_eq!(looked.groups(), group_by_time(looked.rows()));
            looked.groups().iter().map(|group| group.time.0).collect::<Vec<_>>()
        };
        let (one, two) = ([JobTypeId(1)], [JobTypeId(2)]);
        assert_eq!(groups(&[]), [1, 2, 3]);
        assert_eq!(groups(&[&one]), [2]);
        assert_eq!(groups(&[&two]), [2, 3]);
        assert_eq!(groups(&[&[JobTypeId(1), JobTypeId(2)], &two]), [2, 3], "both lists count");
        assert_eq!(groups(&[&one, &two]), [0_i64; 0]);
        assert_eq!(groups(&[&[JobTypeId(0)]]), [0_i64; 0], "no type is called 0");
        assert_eq!(groups(&[&[JobTypeId(u32::MAX)]]), [0_i64; 0]);
        assert_eq!(groups(&[&[]]), [0_i64; 0]);
    }

    #[test]
    fn rows_come_in_every_order_that_a_column_gives() {
        let rows = [row(1, 1, [3, 0, 1]), row(1, 2, [1, 5, 0]), row(2, 1, [2, 2, 2]), row(3, 0, [0; 3])];
        let history = history(&rows);
        let order = |texts: &[&str]| {
            let by: Vec<LoadOrder> = texts.iter().map(|text| text.parse().expect("a column")).collect();
            let rows = history.shared(None, None).sorted_rows(&by);
            rows.iter().map(|row| (row.measured.0, row.job_type.map_or(0, |id| id.0))).collect::<Vec<_>>()
        };
        let (a, b, c, d) = ((1, 1), (1, 2), (2, 1), (3, 0));
        assert_eq!(order(&[]), [a, b, c, d]);
        assert_eq!(order(&["measured"]), [a, b, c, d]);
        assert_eq!(order(&["-measured"]), [d, c, a, b]);
        assert_eq!(order(&["-id"]), [d, c, b, a]);
        assert_eq!(order(&["job_type", "-measured"]), [c, a, b, d]);
        assert_eq!(order(&["pending_count"]), [d, b, c, a]);
        assert_eq!(order(&["-queued_count"]), [b, c, a, d]);
        assert_eq!(order(&["-running_count"]), [c, a, b, d]);
        assert_eq!(order(&["-total_count", "id"]), [b, c, a, d]);
        assert_eq!("color".parse::<LoadOrder>(), Err(LoadOrderError { text: "color".to_owned() }));
    }

    #[test]
    fn a_look_sees_nothing_of_what_comes_later() {
        let mut history = history(&[row(1, 1, [1, 0, 0])]);
        let before = history.shared(None, None);
        history.put_rows(&[row(1, 1, [9, 0, 0]), row(2, 1, [1, 0, 0])], 10, &mut Vec::new());
        assert_eq!(before.groups().len(), 1);
        assert_eq!(before.groups()[0].pending_count, 1);
        assert_eq!(history.shared(None, None).groups().len(), 2);
    }
}
