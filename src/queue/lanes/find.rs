//! The decision: the first execution, in the order of the queue, that fits.

use super::{Entry, LaneSlot, Queue, TypeSlot, type_index};
use crate::model::{ExeId, JobTypeId, QueueMode};
use crate::queue::amounts::Amounts;
use crate::queue::key::SortKey;
use crate::queue::lane::{Least, Look, Row, fits, with_sum};
use crate::queue::nodes::Nodes;
use crate::queue::open::{Codes, Shown, code};
use crate::queue::units::Units;

/// An execution that fits.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// Where it stands among all, as [`order`] says.
    order: (SortKey, SortKey),
    pub(super) lane: u32,
    pub(super) row: Row,
}

/// A lane whose head does not fit, and in which something may: what is free in its units, and a
/// bound before which nothing fits.
pub(super) struct Maybe {
    lane: u32,
    free: Least,
    bound: SortKey,
}

impl Queue {
    /// The first execution, in the order of the queue, that fits in `free` and is not held back.
    ///
    /// Cost: a line per block of 64 lanes where nothing may fit, a line per lane where something
    /// may, a descent in lanes whose least request fits and whose head does not.
    pub fn first_fit(&mut self, free: &Amounts) -> Option<ExeId> {
        self.find(free).map(|found| found.row.key.id())
    }

    /// Decides, and sets the answer aside for a node as [`Queue::pick`] does: takes the first
    /// execution that fits in `free`, and what it asks for out of `free`. Cost: as
    /// [`Queue::first_fit`], a descent in one lane, and a move of that lane among open ones.
    pub fn take_first_fit(&mut self, free: &mut Amounts) -> Option<Entry> {
        let Found { lane, row, .. } = self.find(free)?;
        let entry = self.pick_row(lane, row.key);
        free.take(&entry.asks, self.dims.len());
        Some(entry)
    }

    fn find(&mut self, free: &Amounts) -> Option<Found> {
        let n_resources = self.dims.len();
        let mut codes = Codes::default();
        for (code_of, amount) in codes.iter_mut().zip(free.0).take(n_resources) {
            *code_of = code(amount);
        }
        let Self { open, lanes, nodes, types, mode, maybe, firsts, .. } = self;
        maybe.clear();
        let in_mib = with_sum(Units::MIB.counts_free(free.varying()));
        // First the heads: nothing behind the first one that fits matters.
        let (mut head_lane, mut end) = (None, SortKey::MAX);
        open.visit(&codes, |bound, at| {
            let lane = &lanes[at as usize];
            if !lane.key.fixed.is_fixed_within(free, lane.kinds) {
                return Shown::GoOn;
            }
            let units = lane.key.units;
            let free = if units == Units::MIB { in_mib } else { with_sum(units.counts_free(free.varying())) };
            // A bound that is not the key of this head is that of a type with a direction of its own.
            let head = lane.head(*mode).filter(|head| fits(head.asks, &free));
            if head.is_some_and(|head| head.key.seen(*mode) == bound) {
                (head_lane, end) = (Some(at), bound);
                return Shown::Fits;
            }
            maybe.push(Maybe { lane: at, free, bound });
            Shown::GoOn
        });
        let head = head_lane.and_then(|lane| {
            let row = lanes[lane as usize].head(*mode)?;
            Some(Found { order: (end, end), lane, row })
        });
        // Then what lies behind heads that do not fit, as far as it comes before: first where
        // something that fits may come first.
        let mut best = head;
        if maybe.is_empty() {
            return best;
        }
        firsts.clear();
        maybe.retain_mut(|maybe| {
            let lane = &mut lanes[maybe.lane as usize];
            // The bound of a type with a direction of its own is that of no entry.
            let is_fifo = *mode == QueueMode::Fifo && maybe.bound.id() != ExeId(0);
            if maybe.bound > end || !is_fifo {
                return maybe.bound <= end;
            }
            match lane.rows.look(nodes, &maybe.free) {
                Look::Fits(row) => {
                    if row.key < end {
                        end = row.key;
                        best = Some(Found { order: (end, end), lane: maybe.lane, row });
                    }
                    false
                }
                Look::NothingBefore(bound) => {
                    maybe.bound = bound;
                    bound <= end
                }
            }
        });
        while let Some((next, first)) = maybe.iter().enumerate().min_by_key(|(_, maybe)| maybe.bound) {
            if first.bound > end {
                break;
            }
            let maybe = maybe.swap_remove(next);
            if let Some(found) = search((lanes, nodes), types, *mode, &maybe, end, firsts)
                && best.is_none_or(|best| found.order < best.order)
            {
                end = found.order.0;
                best = Some(found);
            }
        }
        best
    }

    /// Where an entry stands among all; see [`order`].
    pub(super) fn order(&self, job_type: JobTypeId, key: SortKey) -> (SortKey, SortKey) {
        order((&self.lanes, &self.nodes), &self.types[type_index(job_type)], self.mode, key)
    }
}

/// Where an entry of a type with switches `slot` stands among all: first by what its type's head
/// shows to other types, then by its place in the type. Both as seen in their directions.
///
/// A type with a direction of its own is merged in by its heads. Within one priority its first
/// entry is the last one by the global direction, so until that entry has left, every entry of
/// this priority behind it waits for its turn: the first one's key is theirs.
pub(super) fn order(lanes: Lanes<'_>, slot: &TypeSlot, mode: QueueMode, key: SortKey) -> (SortKey, SortKey) {
    let Some(own) = slot.mode.filter(|own| *own != mode) else {
        return (key.seen(mode), key.seen(mode));
    };
    let first = first_of(lanes, slot, own, key.priority()).unwrap_or(key);
    (first.seen(mode), key.seen(own))
}

/// The entry of one priority that leaves a type first, in the type's own direction. Cost: a search
/// in each of its lanes.
fn first_of((lanes, nodes): Lanes<'_>, slot: &TypeSlot, own: QueueMode, priority: i32) -> Option<SortKey> {
    let heads = slot.lanes.iter().filter_map(|&at| lanes[at as usize].rows.head_of(nodes, priority, own));
    heads.map(|row| row.key).min_by_key(|key| key.seen(own))
}

/// Lanes with the nodes of their rows.
type Lanes<'q> = (&'q [LaneSlot], &'q Nodes);

/// First entries that were asked for in one decision: the lanes of a type with a direction of its
/// own all ask for the same one.
pub(super) type Firsts = Vec<(JobTypeId, i32, SortKey)>;

/// The same as [`order`], for several entries of one decision.
pub(super) fn order_among(
    lanes: Lanes<'_>,
    slot: &TypeSlot,
    mode: QueueMode,
    (job_type, key): (JobTypeId, SortKey),
    firsts: &mut Firsts,
) -> (SortKey, SortKey) {
    let Some(own) = slot.mode.filter(|own| *own != mode) else {
        return (key.seen(mode), key.seen(mode));
    };
    let priority = key.priority();
    let known = firsts.iter().find(|(of, at, _)| (*of, *at) == (job_type, priority));
    let first = if let Some((.., first)) = known {
        *first
    } else {
        let first = first_of(lanes, slot, own, priority).unwrap_or(key);
        firsts.push((job_type, priority, first));
        first
    };
    (first.seen(mode), key.seen(own))
}

/// The first entry of one lane that fits and that comes before `end`.
fn search(
    (lanes, nodes): (&mut [LaneSlot], &Nodes),
    types: &[TypeSlot],
    mode: QueueMode,
    maybe: &Maybe,
    end: SortKey,
    firsts: &mut Firsts,
) -> Option<Found> {
    let lane = &mut lanes[maybe.lane as usize];
    let job_type = lane.key.job_type;
    let slot = &types[type_index(job_type)];
    let own = slot.mode.unwrap_or(mode);
    // In a type with a direction of its own, keys do not tell what comes before `end`.
    let end = if own == mode { end } else { SortKey::MAX };
    if lane.failed.covers(&maybe.free, own, end) {
        return None;
    }
    let mut n_nodes = 0;
    let Some(row) = lane.rows.first_fit(nodes, &maybe.free, own, end, &mut n_nodes) else {
        lane.failed.failed(&maybe.free, own, end, n_nodes);
        return None;
    };
    let order = order_among((lanes, nodes), slot, mode, (job_type, row.key), firsts);
    Some(Found { order, lane: maybe.lane, row })
}
