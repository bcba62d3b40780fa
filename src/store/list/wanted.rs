//! A filter and an order in the form in which rows and bounds are held against them.

use std::sync::Arc;

use super::super::glance::{Glance, NONE, Zone};
use super::super::segment::{KindCount, SegmentInfo};
use crate::model::{
    BatchId, ErrorId, JobCursor, JobFilter, JobId, JobOrder, JobStatus, JobTypeId, ORDER_LEN_MAX, RecipeId,
};
use crate::model::{JobColumn, JobError, Outcome};

/// Place of a column in glances and zones.
const ID: usize = 0;
const CHANGED: usize = 2;

/// Every status.
const ALL: u8 = u8::MAX;

/// The number of outcomes that name an error of the catalog.
const NAMED: u8 = Outcome::Error { id: ErrorId(0) }.number();

/// Which jobs.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    statuses: u8,
    outcomes: u16,
    /// Errors of the catalog, sorted, where some are named.
    errors: Option<Vec<u32>>,
    is_superseded: Option<bool>,
    /// Sorted.
    batches: Option<Vec<BatchId>>,
    /// Sorted.
    job_types: Option<Vec<JobTypeId>>,
    changed: (i64, i64),
    /// Ranges of ids, sorted, apart from each other.
    pub(super) ids: Option<Vec<(u64, u64)>>,
    /// Sorted.
    pub(super) recipes: Option<Vec<RecipeId>>,
}

fn sorted<T: Ord + Clone>(list: &[T]) -> Vec<T> {
    let mut list = list.to_vec();
    list.sort_unstable();
    list.dedup();
    list
}

/// Sorts ranges and joins those that touch.
fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.retain(|(first, end)| first < end);
    ranges.sort_unstable();
    let mut all: Vec<(u64, u64)> = Vec::new();
    for (first, end) in ranges {
        match all.last_mut().filter(|last| last.1 >= first) {
            Some(last) => last.1 = last.1.max(end),
            None => all.push((first, end)),
        }
    }
    all
}

fn has_id(ids: &[(u64, u64)], id: u64) -> bool {
    let at = ids.partition_point(|(first, _)| *first <= id);
    at > 0 && id < ids[at - 1].1
}

impl Wanted {
    pub(super) fn new(filter: &JobFilter) -> Self {
        let bit = |number: u8| 1_u8 << number;
        let mut statuses = filter
            .statuses
            .as_ref()
            .map_or(ALL, |list| list.iter().fold(0, |bits, status| bits | bit(*status as u8)));
        let mut outcomes = u16::MAX;
        let mut named = None;
        if let Some(errors) = &filter.errors {
            statuses &= bit(JobStatus::Failed as u8);
            let outcome = |id: &ErrorId| JobError::of_id(id.0).map_or(NAMED, JobError::outcome);
            outcomes = errors.iter().fold(0, |bits, id| bits | 1 << outcome(id));
            if outcomes >> NAMED & 1 == 1 {
                named = Some(sorted(&errors.iter().map(|id| id.0).collect::<Vec<_>>()));
            }
        }
        let ids = filter
            .jobs
            .as_ref()
            .map(|jobs| joined(jobs.iter().map(|id| (id.0, id.0.saturating_add(1))).collect()));
        Self {
            statuses,
            outcomes,
            errors: named,
            is_superseded: filter.is_superseded,
            batches: filter.batches.as_deref().map(sorted),
            job_types: filter.job_types.as_deref().map(sorted),
            changed: (filter.started.map_or(i64::MIN, |at| at.0), filter.ended.map_or(i64::MAX, |at| at.0)),
            ids,
            recipes: filter.recipes.as_deref().map(sorted),
        }
    }

    /// Leaves none but those of `ranges`.
    pub(super) fn only_ids(&mut self, ranges: Vec<(u64, u64)>) {
        let ranges = joined(ranges);
        self.ids = Some(match self.ids.take() {
            None => ranges,
            // Those that are named are few.
            Some(named) => {
                let named = named.into_iter().flat_map(|(first, end)| first..end);
                joined(named.filter(|id| has_id(&ranges, *id)).map(|id| (id, id + 1)).collect())
            }
        });
    }

    /// How many ids are wanted, where they are named.
    pub(super) fn n_ids(&self) -> Option<u64> {
        Some(self.ids.as_ref()?.iter().map(|(first, end)| end - first).sum())
    }

    pub(super) fn has_times(&self) -> bool {
        self.changed != (i64::MIN, i64::MAX)
    }

    fn kind(&self, job_type: JobTypeId, status: u8, outcome: u8) -> bool {
        self.statuses >> (status & 7) & 1 == 1
            && self.outcomes >> (outcome & 15) & 1 == 1
            && self.job_types.as_ref().is_none_or(|types| types.binary_search(&job_type).is_ok())
    }

    pub(super) fn holds(&self, glance: &Glance) -> bool {
        let (from, to) = self.changed;
        self.may_have_held(glance) && (from..=to).contains(&glance.columns[CHANGED])
    }

    /// The same without a look at when it changed.
    pub(super) fn may_have_held(&self, glance: &Glance) -> bool {
        self.kind(glance.job_type, glance.status, glance.outcome)
            && self.ids.as_ref().is_none_or(|ids| has_id(ids, glance.id.0))
            && self.recipes.as_ref().is_none_or(|recipes| {
                glance.recipe.is_some_and(|recipe| recipes.binary_search(&recipe).is_ok())
            })
            && self.may_have_extra(glance)
    }

    fn may_have_extra(&self, glance: &Glance) -> bool {
        let is_named =
            |errors: &Vec<u32>| glance.outcome != NAMED || errors.binary_search(&glance.error).is_ok();
        self.errors.as_ref().is_none_or(is_named)
            && self.is_superseded.is_none_or(|wanted| wanted == glance.is_superseded)
            && self
                .batches
                .as_ref()
                .is_none_or(|batches| glance.batch.is_some_and(|batch| batches.binary_search(&batch).is_ok()))
    }

    /// What a segment holds of the kinds that are wanted, with its bounds.
    pub(super) fn kinds<'i>(
        &self,
        info: &'i SegmentInfo,
    ) -> impl Iterator<Item = (&'i KindCount, Option<&'i Zone>)> {
        let is_wanted = |(_, count): &(usize, &KindCount)| {
            count.n > 0 && self.kind(count.job_type, count.status, count.outcome)
        };
        info.kinds.iter().enumerate().filter(is_wanted).map(|(at, count)| (count, info.zone(at)))
    }

    /// True where something within the bounds may be wanted.
    pub(super) fn may_hold(&self, zone: &Zone) -> bool {
        let (from, to) = self.changed;
        let (low, high) = zone.0[CHANGED];
        low <= to
            && high >= from
            && self.ids.as_ref().is_none_or(|ids| {
                let (low, high) = zone.0[ID];
                let (low, high) = (low.cast_unsigned(), high.cast_unsigned());
                let at = ids.partition_point(|(_, end)| *end <= low);
                ids.get(at).is_some_and(|(first, _)| *first <= high)
            })
    }

    /// True where all within the bounds are wanted.
    pub(super) fn holds_all(&self, zone: &Zone) -> bool {
        let (from, to) = self.changed;
        let (low, high) = zone.0[CHANGED];
        let is_plain = self.errors.is_none() && self.is_superseded.is_none() && self.batches.is_none();
        from <= low && high <= to && self.ids.is_none() && self.recipes.is_none() && is_plain
    }
}

/// A job's place in an order: the less comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key([i64; ORDER_LEN_MAX + 1]);

impl Key {
    /// Before all others.
    pub(super) const LEAST: Self = Self([i64::MIN; ORDER_LEN_MAX + 1]);
    /// Behind all others.
    pub(super) const GREATEST: Self = Self([i64::MAX; ORDER_LEN_MAX + 1]);
}

/// An order that ends with the id.
#[derive(Clone, Debug)]
pub(super) struct Order(Vec<JobOrder>, Option<Arc<[u32]>>);

/// Turns a value round where the greatest comes first; and back. No duration comes last all the same.
const fn turned(order: JobOrder, value: i64) -> i64 {
    let is_none = matches!(order.column, JobColumn::Duration) && value == NONE;
    if order.is_descending && !is_none { !value } else { value }
}

/// The least and the greatest that values within bounds are turned into.
const fn turned_bounds(order: JobOrder, (low, high): (i64, i64)) -> (i64, i64) {
    match order.column {
        // All may be without a duration, or some: then nothing is known of the others.
        JobColumn::Duration if order.is_descending && high == NONE && low != NONE => (i64::MIN, NONE),
        _ if order.is_descending => (turned(order, high), turned(order, low)),
        _ => (low, high),
    }
}

const fn place(column: JobColumn) -> usize {
    column as usize
}

/// How many words of statuses come before that of one, as texts.
fn word_rank(status: u8) -> i64 {
    let word = |status: &JobStatus| status.as_str();
    let own = JobStatus::ALL.iter().find(|known| **known as u8 == status).map_or("", word);
    i64::try_from(JobStatus::ALL.iter().filter(|known| word(known) < own).count()).unwrap_or(0)
}

impl Order {
    pub(super) fn new(columns: &[JobOrder], ranks: Option<Arc<[u32]>>) -> Option<Self> {
        let mut all: Vec<JobOrder> = Vec::new();
        let mut id = None;
        for order in columns {
            if order.column == JobColumn::Id {
                // What follows it orders nothing.
                id = Some(*order);
                break;
            }
            if !all.iter().any(|known| known.column == order.column) {
                all.push(*order);
            }
        }
        if all.len() > ORDER_LEN_MAX {
            return None;
        }
        let is_descending = columns.last().is_some_and(|last| last.is_descending);
        all.push(id.unwrap_or(JobOrder { column: JobColumn::Id, is_descending }));
        Some(Self(all, ranks))
    }

    fn type_rank(&self, JobTypeId(id): JobTypeId) -> i64 {
        let place = |ranks: &Arc<[u32]>| ranks.get(usize::try_from(id).ok()?).copied();
        self.1.as_ref().map_or(id, |ranks| place(ranks).unwrap_or(u32::MAX)).into()
    }

    pub(super) fn is_by_id(&self) -> bool {
        self.0[0].column == JobColumn::Id
    }

    pub(super) fn is_descending(&self) -> bool {
        self.0[0].is_descending
    }

    pub(super) fn key(&self, glance: &Glance) -> Key {
        let mut key = [0; ORDER_LEN_MAX + 1];
        for (part, order) in key.iter_mut().zip(&self.0) {
            let value = match order.column {
                JobColumn::Status => i64::from(glance.status),
                JobColumn::StatusWord => word_rank(glance.status),
                JobColumn::JobType => self.type_rank(glance.job_type),
                JobColumn::Batch => {
                    glance.batch.map_or(NONE, |BatchId(id)| i64::try_from(id).unwrap_or(NONE))
                }
                JobColumn::IsSuperseded => i64::from(glance.is_superseded),
                column => glance.columns[place(column)],
            };
            *part = turned(*order, value);
        }
        Key(key)
    }

    /// The least and the greatest place that something within the bounds can have.
    pub(super) fn bounds(&self, zone: &Zone, job_type: JobTypeId, status: u8) -> (Key, Key) {
        let (mut least, mut greatest) = ([0; ORDER_LEN_MAX + 1], [0; ORDER_LEN_MAX + 1]);
        for (at, order) in self.0.iter().enumerate() {
            let bounds = match order.column {
                JobColumn::Status => (i64::from(status), i64::from(status)),
                JobColumn::StatusWord => (word_rank(status), word_rank(status)),
                JobColumn::JobType => (self.type_rank(job_type), self.type_rank(job_type)),
                // Segments keep no bounds of these.
                JobColumn::Batch | JobColumn::IsSuperseded => (i64::MIN, i64::MAX),
                column => zone.0[place(column)],
            };
            (least[at], greatest[at]) = turned_bounds(*order, bounds);
        }
        (Key(least), Key(greatest))
    }

    /// In the order of ids.
    pub(super) fn id_key(&self, id: JobId) -> Key {
        let mut key = [0; ORDER_LEN_MAX + 1];
        key[0] = turned(self.0[0], i64::try_from(id.0).unwrap_or(i64::MAX));
        Key(key)
    }

    /// The id of a place in the order of ids.
    pub(super) fn id_in(&self, key: Key) -> u64 {
        u64::try_from(turned(self.0[0], key.0[0])).unwrap_or(0)
    }

    pub(super) fn cursor(&self, key: Key) -> JobCursor {
        JobCursor(self.0.iter().zip(key.0).map(|(order, value)| turned(*order, value)).collect())
    }

    pub(super) fn key_of(&self, cursor: &JobCursor) -> Option<Key> {
        if cursor.0.len() != self.0.len() {
            return None;
        }
        let mut key = [0; ORDER_LEN_MAX + 1];
        for ((part, order), value) in key.iter_mut().zip(&self.0).zip(&cursor.0) {
            *part = turned(*order, *value);
        }
        Some(Key(key))
    }
}
