//! What is compared of the bare queue and the simple one after each step.
//!
//! After each step: counts, the order of all, and some offers. After every third one the status of
//! every type, after every second one why each lane does not move, and the queue's own invariants; after the others some
//! entries one by one, and the order without some types. Of large queues only a part of it, and the
//! whole now and then: where thousands of entries have thousands of lanes, some questions
//! cost their product. At the end all of it, of every entry.

use std::collections::BTreeSet;

use weighbridge::{Amounts as Dense, ExeId, ID_MAX, Position, PositionSearch, Timestamp, TypeStatus};

use super::bare::{Bare, TYPES, UNLIMITED};
use super::lanes::{by_name, lane_key, lanes};
use super::model::{ModelEntry, resources};
use super::step::{Amounts, N_KINDS, NAMES};

/// A queue with more entries, or more lanes, is large.
const ENTRIES_SMALL: usize = 300;
const LANES_SMALL: usize = 64;

/// Steps between two looks at all of a large queue.
const PERIOD: usize = 16;

/// Entries looked at one by one.
const SAMPLES: usize = 3;

/// Entries of a large queue whose order is compared after each step.
const FIRST: usize = 100;

/// How much is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// The order of the first ones, and a few of all.
    Part,
    /// The whole order, and a few of all.
    Order,
    /// Everything.
    All,
}

impl Extent {
    /// Entries compared in order.
    fn most(self) -> usize {
        if self == Self::Part { FIRST } else { usize::MAX }
    }
}

impl Bare {
    /// After a step.
    pub(super) fn look(&mut self) {
        let is_small = self.model.len() <= ENTRIES_SMALL && self.queue.n_lanes() <= LANES_SMALL;
        let is_due = self.n_steps.is_multiple_of(PERIOD);
        self.compare(if is_small || is_due { Extent::Order } else { Extent::Part });
    }

    /// At the end.
    pub(super) fn look_at_all(&mut self) {
        self.compare(Extent::All);
    }

    fn compare(&mut self, extent: Extent) {
        let order = self.model.order();
        let (is_even, is_all) = (self.n_steps.is_multiple_of(2), extent == Extent::All);
        // Of large queues after two steps of eight.
        let is_looked_at = extent != Extent::Part || self.n_steps % 8 < 2;
        self.compare_counts();
        // Not after each step: what is kept from one status to the next one has to outlive several.
        if self.n_steps.is_multiple_of(3) || is_all {
            self.compare_statuses(&order);
        }
        self.compare_order(&order, extent);
        self.compare_offers(&order);
        if is_even && is_looked_at || is_all {
            self.compare_verdicts(&order);
            if extent != Extent::Part {
                self.queue.check_invariants();
            }
        }
        if !is_even && is_looked_at || is_all {
            self.compare_without(&order, extent);
            self.compare_entries(&order, extent);
            self.compare_others();
        }
        if is_all {
            let (index, all) = self.queue.bytes();
            // A row is 32 bytes, a place 16.
            let n = order.len();
            assert!(index >= n * 32 && all >= index + n * 16, "{index} and {all} bytes for {n}");
        }
    }

    fn compare_counts(&self) {
        let (queue, model) = (&self.queue, &self.model);
        assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.len() == 0), "queued");
        let n_picked = model.held().filter(|taken| !taken.is_canceled).count();
        assert_eq!((queue.n_picked(), queue.n_deferred()), (n_picked, model.deferred().len()));
        assert_eq!(queue.next_wake(), model.next_due().map(|(until, _)| Timestamp(until)));
    }

    fn compare_statuses(&mut self, order: &[ModelEntry]) {
        let mut wanted = [TypeStatus::default(); N_KINDS];
        for entry in order {
            let status = &mut wanted[entry.kind];
            let queued = Timestamp(entry.queued);
            status.n_queued += 1;
            status.oldest = Some(status.oldest.map_or(queued, |oldest| oldest.min(queued)));
            let priority = status.priority.map_or(entry.priority, |least| least.min(entry.priority));
            status.priority = Some(priority);
        }
        let n_taken = self.model.n_taken_each();
        for (kind, job_type) in TYPES.into_iter().enumerate() {
            wanted[kind].n_taken = n_taken[kind];
            assert_eq!(self.queue.type_status(job_type), wanted[kind], "type {kind}");
        }
    }

    /// Why each lane does not move, for what was offered last.
    fn compare_verdicts(&mut self, order: &[ModelEntry]) {
        let free = self.free;
        let wanted = lanes(order, &free);
        assert_eq!(self.queue.n_lanes(), wanted.len(), "lanes");
        let found: Vec<_> = self.queue.verdicts(&self.queue.lookup(&resources(free))).collect();
        let mut seen = BTreeSet::new();
        let (kinds, n_taken) = (self.model.kinds, self.model.n_taken_each());
        for lane in found {
            let head = self.model.get(lane.head.id.0).expect("the head waits in the queue");
            let key = lane_key(&head);
            assert!(seen.insert(key), "two lanes for {key:?}");
            let wanted = &wanted[&key];
            assert_eq!(lane.head, self.shown(&wanted.head), "the head of {key:?}");
            let of = (lane.job_type, lane.tenant, lane.constraints, lane.n_queued);
            let head = lane.head;
            assert_eq!(of, (head.job_type, head.tenant, head.constraints, wanted.n_queued), "{key:?}");
            assert_eq!(
                by_name(lane.verdict),
                wanted.verdict(kinds[wanted.head.kind], n_taken[wanted.head.kind], &free),
                "{key:?} at {free:?}"
            );
        }
        assert_eq!(seen.len(), wanted.len(), "every lane has a verdict");
    }

    /// All in order.
    fn compare_order(&mut self, order: &[ModelEntry], extent: Extent) {
        let order = &order[..order.len().min(extent.most())];
        let found: Vec<_> = self.queue.iter(&[]).take(extent.most()).collect();
        let at = found.iter().zip(order).position(|(found, entry)| found.id.0 != entry.exe);
        let pair = at.map(|at| (&found[at], &order[at]));
        assert!(pair.is_none(), "the order differs at {at:?}: {pair:?}");
        assert_eq!(found.len(), order.len(), "queued");
        for (found, entry) in found.iter().zip(order).skip(self.n_steps % 5).step_by(5) {
            assert_eq!(*found, self.shown(entry));
        }
    }

    /// The order again, with two of the types left out.
    fn compare_without(&mut self, order: &[ModelEntry], extent: Extent) {
        let without = [self.n_steps % N_KINDS, self.n_steps / N_KINDS % N_KINDS];
        let rest = order.iter().filter(|entry| !without.contains(&entry.kind)).take(extent.most());
        let found: Vec<_> = self.queue.iter(&without.map(|kind| TYPES[kind])).take(extent.most()).collect();
        let found = found.iter().map(|entry| entry.id.0);
        assert!(found.eq(rest.map(|entry| entry.exe)), "without {without:?}");
    }

    /// Entries one by one: what they are, and where they stand.
    fn compare_entries(&mut self, order: &[ModelEntry], extent: Extent) {
        let is_slow = order.len() > ENTRIES_SMALL || self.queue.n_lanes() > LANES_SMALL;
        let step = match extent {
            Extent::All if !is_slow => 1,
            _ => order.len().div_ceil(SAMPLES).max(1),
        };
        for at in (self.n_steps % step..order.len()).step_by(step) {
            let wanted = self.shown(&order[at]);
            assert_eq!(self.queue.get(wanted.id), Some(wanted));
            assert_eq!(self.queue.deferred_until(wanted.id), None);
            assert_eq!(self.queue.position(wanted.id), Some(at), "place of {wanted:?}");
            let found = self.position_in_slices(wanted.id, 2 + self.queue.n_lanes() / 2);
            assert_eq!(found, Position::At(at), "place of {wanted:?} in slices");
        }
    }

    fn position_in_slices(&self, id: ExeId, n_lanes: usize) -> Position {
        let mut search = PositionSearch::new(id);
        loop {
            let found = self.queue.search_position(&mut search, n_lanes);
            if found != Position::Searching {
                return found;
            }
        }
    }

    /// Those that are in no lane: aside, picked, launched, or never seen.
    fn compare_others(&mut self) {
        let aside: Vec<_> = self.model.deferred().values().copied().collect();
        for (until, entry) in aside.into_iter().take(SAMPLES) {
            let given = self.given(&entry);
            assert_eq!(self.queue.get(given.id), Some(given), "aside");
            assert_eq!(self.queue.deferred_until(given.id), Some(Timestamp(until)), "aside");
            self.has_no_place(given.id);
        }
        let held: Vec<_> = self.model.held().copied().collect();
        for taken in held.into_iter().take(SAMPLES) {
            let shown = self.shown(&taken.entry);
            assert_eq!(self.queue.get(shown.id), (!taken.is_canceled).then_some(shown), "picked");
            self.has_no_place(shown.id);
        }
        let running = self.model.running.keys().take(SAMPLES).map(|exe| ExeId(*exe));
        for id in running.chain([ExeId(ID_MAX / 2)]) {
            assert_eq!(self.queue.get(id), None, "{id:?}");
            self.has_no_place(id);
        }
    }

    fn has_no_place(&self, id: ExeId) {
        assert_eq!(self.queue.position(id), None, "{id:?}");
        assert_eq!(self.position_in_slices(id, 1), Position::NotQueued, "{id:?}");
    }

    /// What offers would get: what was offered last, all there is or nothing; and, one after the
    /// other, what an entry asks for, and that less a thousandth of something.
    fn compare_offers(&mut self, order: &[ModelEntry]) {
        let at = self.n_steps * 7 % order.len().max(1);
        let exact = order.get(at).map(ModelEntry::shown);
        let mut offers = vec![self.free];
        offers.push(if self.n_steps.is_multiple_of(8) { [0; NAMES.len()] } else { UNLIMITED });
        if let Some(asks) = exact {
            let mut less = asks;
            let which = self.n_steps % NAMES.len();
            less[which] = less[which].saturating_sub(1);
            offers.extend([asks, less]);
        }
        for free in offers {
            let dense = self.offered(free);
            let wanted = self.model.picks(free, 1).picks;
            let wanted = wanted.first().map(|entry| ExeId(entry.exe));
            assert_eq!(self.queue.first_fit(&dense), wanted, "of {free:?}");
            if wanted.is_none() {
                // Also where the failure is remembered.
                assert_eq!(self.queue.first_fit(&dense), None, "of {free:?}, asked again");
            }
        }
    }

    fn offered(&self, free: Amounts) -> Dense {
        self.queue.lookup(&resources(free))
    }
}
