//! A walk over what is queued, in its order, that passes over what is known to fit nowhere.
//!
//! W1  Entries are shown in queue order, each at most once: who asks for the next one took the one
//!     before or refused it.
//! W2  An entry that was refused takes with it all of its lane that ask for as much or more memory
//!     and disk; nothing else is passed over but what no single amount of `free` covers.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::find::{Firsts, order_among};
use super::{Entry, LaneSlot, Queue, type_index};
use crate::model::QueueMode;
use crate::queue::amounts::Amounts;
use crate::queue::key::SortKey;
use crate::queue::lane::{Least, Row, Varying, fits, with_sum};
use crate::queue::open::{Codes, Shown, code};
use crate::queue::units::Units;

/// Where a lane stands in the walk: an order that nothing left of it comes before, and its next row
/// once that was looked for.
#[derive(Clone, Copy)]
struct Next {
    order: SortKey,
    lane: u32,
    row: Option<Row>,
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order).then(self.lane.cmp(&other.lane))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Next {}

/// A lane of a type with a direction of its own, and its next row once that was looked for. Where it
/// stands among all moves both ways when the first entry of its type leaves, so it is asked each time.
#[derive(Clone, Copy)]
struct Own {
    lane: u32,
    row: Option<Row>,
}

/// What was refused in a lane: the least requests, memory rising and disk falling.
type Stairs = Vec<Varying>;

/// Takes note of a request that was refused. Requests that ask for as much or more than it are
/// refused with it, so their steps go.
fn refuse(stairs: &mut Stairs, asks: Varying) {
    if stairs.iter().any(|step| step[0] <= asks[0] && step[1] <= asks[1]) {
        return;
    }
    stairs.retain(|step| step[0] < asks[0] || step[1] < asks[1]);
    let at = stairs.partition_point(|step| step[0] < asks[0]);
    stairs.insert(at, asks);
}

/// The corners between which nothing was refused: what fits in one of them is left.
fn corners(stairs: &[Varying], free: Varying) -> impl Iterator<Item = Varying> + '_ {
    (0..=stairs.len()).filter_map(move |at| {
        let mem = stairs.get(at).map_or(Some(free[0]), |step| step[0].checked_sub(1))?;
        let disk = at.checked_sub(1).map_or(Some(free[1]), |left| stairs[left][1].checked_sub(1))?;
        Some([mem.min(free[0]), disk.min(free[1])])
    })
}

/// A walk over the queue. Kept between walks for its memory only.
#[derive(Default)]
pub(crate) struct Walk {
    next: BinaryHeap<Reverse<Next>>,
    own: Vec<Own>,
    firsts: Firsts,
    /// By lane; those of `touched` hold something.
    stairs: Vec<Stairs>,
    touched: Vec<u32>,
    free: Amounts,
    in_mib: Varying,
}

/// An entry that the walk shows.
#[derive(Clone, Copy)]
pub(crate) struct Shows {
    lane: u32,
    row: Row,
    /// The entry.
    pub(crate) entry: Entry,
}

impl Walk {
    fn corner(&self, units: Units) -> Varying {
        if units == Units::MIB { self.in_mib } else { units.counts_free(self.free.varying()) }
    }

    fn stairs(&self, lane: u32) -> &[Varying] {
        self.stairs.get(lane as usize).map_or(&[], |stairs| stairs)
    }

    fn forget(&mut self) {
        self.next.clear();
        self.own.clear();
        for lane in self.touched.drain(..) {
            self.stairs[lane as usize].clear();
        }
    }
}

impl Queue {
    /// Begins a walk past everything that asks for more of one resource than `free` has of it.
    /// Cost: a line per block of 64 lanes, and a push for each lane that may have something.
    pub(crate) fn walk(&self, walk: &mut Walk, free: &Amounts) {
        walk.forget();
        walk.free = *free;
        walk.in_mib = Units::MIB.counts_free(free.varying());
        let mut codes = Codes::default();
        for (code_of, amount) in codes.iter_mut().zip(free.0).take(self.dims.len()) {
            *code_of = code(amount);
        }
        let Walk { next, own, .. } = walk;
        self.open.visit(&codes, |bound, lane| {
            let LaneSlot { key, kinds, .. } = self.lane(lane);
            if !key.fixed.is_fixed_within(free, *kinds) {
                return Shown::GoOn;
            }
            // Its row is looked for when its turn comes.
            if self.mode_of(key.job_type) == self.mode {
                next.push(Reverse(Next { order: bound, lane, row: None }));
            } else {
                own.push(Own { lane, row: None });
            }
            Shown::GoOn
        });
    }

    /// The next entry of a walk. Cost: a step in the heap of its lanes; a search in a lane whose
    /// head is not the answer; a look at each lane of types with a direction of their own.
    pub(crate) fn walk_next(&self, walk: &mut Walk) -> Option<Shows> {
        let own = if walk.own.is_empty() { None } else { self.next_of_own(walk) };
        loop {
            let Some(Reverse(next)) = walk.next.peek().copied() else {
                return own.map(|(_, shown)| shown);
            };
            if own.is_some_and(|((first, _), _)| first < next.order) {
                return own.map(|(_, shown)| shown);
            }
            walk.next.pop();
            let Next { order, lane, row } = next;
            // A lane that is held since (its type is at its limit now) has nothing more.
            if self.open.bound(lane).is_none() {
                continue;
            }
            let Some(row) = row.or_else(|| self.next_row(walk, lane)) else { continue };
            let now = row.key.seen(self.mode);
            let next = Next { order: now, lane, row: Some(row) };
            let is_behind = walk.next.peek().is_some_and(|Reverse(first)| *first < next)
                || own.is_some_and(|((first, _), _)| first < now);
            if now > order && is_behind {
                walk.next.push(Reverse(next));
                continue;
            }
            return Some(Shows { lane, row, entry: self.lane(lane).entry(row) });
        }
    }

    /// The first entry of the types with a direction of their own, and where it stands.
    fn next_of_own(&self, walk: &mut Walk) -> Option<((SortKey, SortKey), Shows)> {
        let mut own = std::mem::take(&mut walk.own);
        own.retain_mut(|own| {
            own.row = own.row.or_else(|| self.next_row(walk, own.lane));
            own.row.is_some() && self.open.bound(own.lane).is_some()
        });
        walk.own = own;
        let Walk { own, firsts, .. } = walk;
        firsts.clear();
        let standing = own.iter().filter_map(|own| {
            let (row, job_type) = (own.row?, self.lane(own.lane).key.job_type);
            let slot = &self.types[type_index(job_type)];
            let order = order_among((&self.lanes, &self.nodes), slot, self.mode, (job_type, row.key), firsts);
            Some((order, own.lane, row))
        });
        let (order, lane, row) = standing.min_by_key(|(order, lane, _)| (*order, *lane))?;
        Some((order, Shows { lane, row, entry: self.lane(lane).entry(row) }))
    }

    /// Takes what a walk shows: sets it aside for a node as [`Queue::pick`] does.
    pub(crate) fn walk_take(&mut self, walk: &mut Walk, shown: &Shows) -> Entry {
        let entry = self.pick_row(shown.lane, shown.row.key);
        self.go_on(walk, shown);
        entry
    }

    /// Passes over what a walk shows, and over all of its lane that asks for as much.
    pub(crate) fn walk_refuse(&self, walk: &mut Walk, shown: &Shows) {
        let at = shown.lane as usize;
        if walk.stairs.len() <= at {
            walk.stairs.resize_with(self.lanes.len().max(at + 1), Vec::new);
        }
        if walk.stairs[at].is_empty() {
            walk.touched.push(shown.lane);
        }
        refuse(&mut walk.stairs[at], shown.row.asks);
        self.go_on(walk, shown);
    }

    /// The row of a lane that was shown is dealt with.
    fn go_on(&self, walk: &mut Walk, shown: &Shows) {
        let Shows { lane, row, .. } = *shown;
        match walk.own.iter_mut().find(|own| own.lane == lane) {
            Some(own) => own.row = None,
            None => walk.next.push(Reverse(Next { order: row.key.seen(self.mode), lane, row: None })),
        }
    }

    /// The first row of a lane, in its type's direction, that was not refused.
    fn next_row(&self, walk: &Walk, lane: u32) -> Option<Row> {
        let slot = self.lane(lane);
        let mode = self.mode_of(slot.key.job_type);
        let free = walk.corner(slot.key.units);
        let stairs = walk.stairs(lane);
        if stairs.is_empty()
            && let Some(head) = slot.head(mode).filter(|head| fits(head.asks, &with_sum(free)))
        {
            return Some(head);
        }
        let first = |corner: Varying, mode: QueueMode| {
            let corner: Least = with_sum(corner);
            slot.rows.first_fit(&self.nodes, &corner, mode, SortKey::MAX, &mut 0)
        };
        corners(stairs, free).filter_map(|corner| first(corner, mode)).min_by_key(|row| row.key.seen(mode))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn corners_hold_what_was_not_refused(
            refused in proptest::collection::vec((0..12_u32, 0..12_u32), 0..8),
            free in (0..12_u32, 0..12_u32),
        ) {
            let mut stairs = Stairs::new();
            for &(mem, disk) in &refused {
                refuse(&mut stairs, [mem, disk]);
            }
            for (mem, disk) in (0..12).flat_map(|mem| (0..12).map(move |disk| (mem, disk))) {
                let is_left = mem <= free.0
                    && disk <= free.1
                    && !refused.iter().any(|asks| asks.0 <= mem && asks.1 <= disk);
                let is_in = corners(&stairs, [free.0, free.1]).any(|corner| mem <= corner[0] && disk <= corner[1]);
                prop_assert_eq!(is_left, is_in, "{} {}", mem, disk);
            }
        }
    }
}
