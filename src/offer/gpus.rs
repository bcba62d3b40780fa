//! The graphics processors of a node, as slots: which are in use, and shares of one.
//!
//! G1  Of a slot at most all of it, a thousand thousandths, is in use.
//! G2  A whole processor has a slot for itself.
//! G3  What was taken is in use until the same is given back.
//!
//! # Source
//! Slots that are in use by name, as in Scale, which has no shares, knows slots only by the offers
//! it saw, and loses those whose execution could not be put on record.

use crate::limits::GPU_SLOTS_MAX;
use crate::model::{Quantity, SlotShare, THOUSANDTHS};

/// All of a slot.
#[expect(clippy::cast_possible_truncation, reason = "a thousand")]
const WHOLE: u16 = THOUSANDTHS as u16;

/// Which slots of a node are in use.
///
/// ```
/// use weighbridge::{GpuLack, GpuSlots, Quantity};
/// let mut gpus = GpuSlots::new(2);
/// let whole = gpus.take(Quantity(1_000))?;
/// let most = gpus.take(Quantity(600))?;
/// assert_eq!((whole.shares()[0].slot, most.shares()[0].slot), (0, 1));
/// gpus.release(whole);
/// let other = gpus.take(Quantity(700))?;
/// let lack = gpus.take(Quantity(600)).expect_err("0.3 and 0.4 are free");
/// assert!(matches!(lack, GpuLack::Fragmented { free: Quantity(700), .. }));
/// # Ok::<(), GpuLack>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuSlots {
    /// By slot, thousandths. Slots that the node lost are here as long as they are in use.
    used: Vec<u16>,
    /// Slots that the node has.
    n: usize,
}

/// What an execution has of a node's slots, until it is given back. No `Clone`: it is in use once.
#[must_use = "slots that are not given back are in use for ever"]
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Slots(Vec<SlotShare>);

impl Slots {
    /// The shares, each of another slot, lowest first.
    pub fn shares(&self) -> &[SlotShare] {
        &self.0
    }
}

/// Why no slots are given; none are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuLack {
    /// Less is free than is asked for.
    #[error("{asked} graphics processors are asked for, and {free} are free")]
    TooFew {
        /// What is asked for.
        asked: Quantity,
        /// What is free, over all slots.
        free: Quantity,
    },
    /// Enough is free, but in pieces.
    #[error("{asked} graphics processors are asked for, and {free} are free in pieces that are too small")]
    Fragmented {
        /// What is asked for.
        asked: Quantity,
        /// What is free, over all slots.
        free: Quantity,
    },
    /// A share that is to be taken again is no share, or in use.
    #[error("{} thousandths of slot {} cannot be taken", share.thousandths, share.slot)]
    NotFree {
        /// That share.
        share: SlotShare,
    },
}

impl GpuSlots {
    /// `n` slots, none in use.
    pub fn new(n: usize) -> Self {
        let mut slots = Self::default();
        slots.set_len(n);
        slots
    }

    /// Sets how many slots the node has, `GPU_SLOTS_MAX` at most. One that is gone and in use stays
    /// in use, and is given to nobody after.
    pub fn set_len(&mut self, n: usize) {
        self.n = n.min(GPU_SLOTS_MAX);
        let n_used = self.used.iter().rposition(|used| *used > 0).map_or(0, |last| last + 1);
        self.used.resize(self.n.max(n_used), 0);
    }

    /// Slots that the node has.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether the node has no slot.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// What is free, over all slots.
    pub fn free(&self) -> Quantity {
        Quantity(self.used[..self.n].iter().map(|used| u64::from(WHOLE - used)).sum())
    }

    /// Slots of which nothing is in use.
    pub fn n_whole(&self) -> usize {
        self.used[..self.n].iter().filter(|used| **used == 0).count()
    }

    /// The most that can be taken at once: whatever is not more can be. Whole slots, and what is free of the
    /// emptiest of the others.
    pub fn largest(&self) -> Quantity {
        let used = self.used[..self.n].iter().copied();
        let in_part = used.filter(|used| *used > 0).map(|used| WHOLE - used).max().unwrap_or(0);
        Quantity(self.n_whole() as u64 * THOUSANDTHS + u64::from(in_part))
    }

    /// Takes slots. Whole processors get free slots, the lowest ones. What is asked for beyond them
    /// gets a share of the fullest slot that has room for it, so that others stay whole. Cost: a few
    /// looks at each slot.
    ///
    /// # Errors
    /// Where there are none; nothing is taken then.
    pub fn take(&mut self, asked: Quantity) -> Result<Slots, GpuLack> {
        let free = self.free();
        if free < asked {
            return Err(GpuLack::TooFew { asked, free });
        }
        self.place(asked).map(|shares| self.put(shares)).ok_or(GpuLack::Fragmented { asked, free })
    }

    fn place(&self, asked: Quantity) -> Option<Vec<SlotShare>> {
        let n_whole = usize::try_from(asked.0 / THOUSANDTHS).ok()?;
        let part = u16::try_from(asked.0 % THOUSANDTHS).ok()?;
        let slots = || (0..).zip(self.used[..self.n].iter().copied());
        let mut whole = slots().filter(|(_, used)| *used == 0);
        let mut shares: Vec<SlotShare> =
            whole.by_ref().take(n_whole).map(|(slot, _)| SlotShare { slot, thousandths: WHOLE }).collect();
        if shares.len() < n_whole {
            return None;
        }
        if part > 0 {
            let has_room = |(_, used): &(u16, u16)| *used > 0 && *used + part <= WHOLE;
            // Of equally full ones the lowest.
            let fullest =
                slots().filter(has_room).max_by_key(|(slot, used)| (*used, std::cmp::Reverse(*slot)));
            let (slot, _) = fullest.or_else(|| whole.next())?;
            shares.push(SlotShare { slot, thousandths: part });
            shares.sort_unstable();
        }
        Some(shares)
    }

    fn put(&mut self, shares: Vec<SlotShare>) -> Slots {
        for share in &shares {
            let used = &mut self.used[usize::from(share.slot)];
            *used += share.thousandths;
            assert!(*used <= WHOLE, "G1: {used} thousandths of slot {} are in use", share.slot);
        }
        Slots(shares)
    }

    /// Takes the shares that an execution has already, as after a restart. How many slots there are
    /// need not be known yet.
    ///
    /// # Errors
    /// Where one of them is in use; nothing is taken then.
    pub fn retake(&mut self, shares: &[SlotShare]) -> Result<Slots, GpuLack> {
        let mut shares = shares.to_vec();
        shares.sort_unstable();
        for (at, &share) in shares.iter().enumerate() {
            let slot = usize::from(share.slot);
            let is_share = slot < GPU_SLOTS_MAX && (1..=WHOLE).contains(&share.thousandths);
            let is_twice = at > 0 && shares[at - 1].slot == share.slot;
            let used = self.used.get(slot).copied().unwrap_or(0);
            if !is_share || is_twice || used + share.thousandths > WHOLE {
                return Err(GpuLack::NotFree { share });
            }
        }
        let n_used = shares.last().map_or(0, |last| usize::from(last.slot) + 1);
        self.used.resize(self.used.len().max(n_used), 0);
        Ok(self.put(shares))
    }

    /// Gives back what [`take`](Self::take) or [`retake`](Self::retake) of these slots gave.
    ///
    /// # Panics
    /// For slots of another node that are not in use here.
    pub fn release(&mut self, slots: Slots) {
        for share in slots.0 {
            let used = self.used.get_mut(usize::from(share.slot));
            let used = used.filter(|used| **used >= share.thousandths);
            *used.expect("G3: what was taken here is in use") -= share.thousandths;
        }
        self.set_len(self.n);
    }

    /// What of each slot is in use, thousandths.
    pub fn used(&self) -> &[u16] {
        &self.used
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn share(slot: u16, thousandths: u16) -> SlotShare {
        SlotShare { slot, thousandths }
    }

    fn slots(used: &[u16]) -> GpuSlots {
        GpuSlots { used: used.to_vec(), n: used.len() }
    }

    #[test]
    fn whole_ones_get_free_slots_and_a_share_the_fullest_with_room() {
        let check = |used: &[u16], asked: u64, expected: &[(u16, u16)]| {
            let expected: Vec<SlotShare> = expected.iter().map(|(slot, n)| share(*slot, *n)).collect();
            let taken = slots(used).take(Quantity(asked)).expect("there is room");
            assert_eq!(taken.shares(), expected, "{asked} of {used:?}");
        };
        check(&[0, 0], 0, &[]);
        check(&[500, 0, 0], 2_000, &[(1, 1_000), (2, 1_000)]);
        check(&[0, 500, 600, 300], 400, &[(2, 400)]);
        check(&[0, 500, 601, 500], 400, &[(1, 400)]);
        check(&[0, 700, 700], 301, &[(0, 301)]);
        check(&[0, 0, 700], 1_300, &[(0, 1_000), (2, 300)]);
        check(&[0, 0, 700], 1_301, &[(0, 1_000), (1, 301)]);
    }

    #[test]
    fn it_is_told_whether_too_little_is_free_or_only_pieces_are() {
        let check = |used: &[u16], asked: u64, free: u64, is_fragmented: bool| {
            let (asked, free) = (Quantity(asked), Quantity(free));
            let lack = slots(used).take(asked).expect_err("there is no room");
            let expected = if is_fragmented {
                GpuLack::Fragmented { asked, free }
            } else {
                GpuLack::TooFew { asked, free }
            };
            assert_eq!(lack, expected);
        };
        check(&[], 1, 0, false);
        check(&[500, 500], 1_000, 1_000, true);
        check(&[500, 500], 1_001, 1_000, false);
        check(&[700, 700], 400, 600, true);
        check(&[0, 601, 501], 1_500, 1_898, true);
        check(&[0, 600], u64::MAX, 1_400, false);
    }

    #[test]
    fn a_slot_that_is_gone_stays_in_use_until_it_is_given_back() {
        let mut gpus = GpuSlots::new(2);
        let both = gpus.take(Quantity(2_000)).expect("there is room");
        gpus.set_len(1);
        assert_eq!((gpus.used(), gpus.free()), (&[WHOLE, WHOLE][..], Quantity(0)));
        gpus.release(both);
        assert_eq!((gpus.used(), gpus.free()), (&[0][..], Quantity(1_000)));
    }

    #[test]
    fn after_a_restart_an_execution_has_what_it_had() {
        let mut gpus = GpuSlots::new(0);
        let had = gpus.retake(&[share(3, 400), share(1, WHOLE)]).expect("nothing is in use");
        assert_eq!(had.shares(), [share(1, WHOLE), share(3, 400)]);
        for bad in [share(3, 601), share(0, 0), share(0, WHOLE + 1), share(1_024, 1)] {
            assert_eq!(gpus.retake(&[share(2, 5), bad]), Err(GpuLack::NotFree { share: bad }));
        }
        assert!(gpus.retake(&[share(2, 5), share(2, 6)]).is_err(), "a slot twice");
        gpus.set_len(4);
        assert_eq!((gpus.free(), gpus.n_whole()), (Quantity(2_600), 2));
        gpus.release(had);
        assert_eq!(gpus, GpuSlots::new(4));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take(u64),
        Release(usize),
        SetLen(usize),
        Restart(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let asked = prop_oneof![(0..1_000_u64), (0..4_u64).prop_map(|n| n * 1_000), 0..3_500_u64];
        prop_oneof![
            6 => asked.prop_map(Step::Take),
            4 => any::<usize>().prop_map(Step::Release),
            1 => (0..6_usize).prop_map(Step::SetLen),
            1 => (0..6_usize).prop_map(Step::Restart),
        ]
    }

    /// What is in use of each slot, by what executions have.
    fn recount(held: &[Slots]) -> Vec<u16> {
        let mut used = vec![0; GPU_SLOTS_MAX];
        held.iter()
            .flat_map(Slots::shares)
            .for_each(|share| used[usize::from(share.slot)] += share.thousandths);
        used
    }

    /// Whether whole ones and a rest find slots, tried in every way.
    fn can_be(used: &[u16], n: usize, asked: u64) -> bool {
        let (n_whole, part) = (asked / 1_000, asked % 1_000);
        let n_free = used[..n].iter().filter(|used| **used == 0).count() as u64;
        let in_pieces = used[..n].iter().any(|used| *used > 0 && u64::from(*used) + part <= 1_000);
        n_free >= n_whole && (part == 0 || in_pieces || n_free > n_whole)
    }

    proptest! {
        #[test]
        fn no_slot_is_in_use_twice_or_beyond_all_of_it(steps in prop::collection::vec(step(), 0..60)) {
            let (mut gpus, mut n, mut held) = (GpuSlots::new(3), 3, Vec::<Slots>::new());
            for step in steps {
                match step {
                    Step::Take(asked) => {
                        let used = recount(&held);
                        let free: u64 = used[..n].iter().map(|used| u64::from(1_000 - used)).sum();
                        prop_assert_eq!(gpus.largest().0 >= asked, can_be(&used, n, asked));
                        match gpus.take(Quantity(asked)) {
                            Ok(taken) => {
                                prop_assert!(can_be(&used, n, asked));
                                let sum: u64 = taken.shares().iter().map(|s| u64::from(s.thousandths)).sum();
                                prop_assert_eq!(sum, asked);
                                for share in taken.shares() {
                                    let (slot, thousandths) = (usize::from(share.slot), share.thousandths);
                                    prop_assert!(slot < n);
                                    prop_assert!(thousandths < 1_000 || used[slot] == 0);
                                    let is_fuller = |other: &u16| *other > used[slot] && other + thousandths <= 1_000;
                                    prop_assert!(thousandths == 1_000 || !used[..n].iter().any(is_fuller));
                                }
                                held.push(taken);
                            }
                            Err(GpuLack::TooFew { free: told, .. }) => {
                                prop_assert_eq!(told.0, free);
                                prop_assert!(free < asked);
                            }
                            Err(lack) => {
                                let (asked, free) = (Quantity(asked), Quantity(free));
                                prop_assert_eq!(lack, GpuLack::Fragmented { asked, free });
                                prop_assert!(free >= asked && !can_be(&used, n, asked.0));
                            }
                        }
                    }
                    Step::Release(which) if !held.is_empty() => {
                        let which = which % held.len();
                        gpus.release(held.swap_remove(which));
                    }
                    Step::SetLen(len) => {
                        n = len;
                        gpus.set_len(len);
                    }
                    Step::Restart(len) => {
                        let had: Vec<Vec<SlotShare>> = held.drain(..).map(|slots| slots.0).collect();
                        (n, gpus) = (len, GpuSlots::new(len));
                        for shares in had {
                            held.push(gpus.retake(&shares).expect("each had its own"));
                        }
                    }
                    Step::Release(_) => {}
                }
                let used = recount(&held);
                prop_assert!(used.iter().all(|used| *used <= 1_000), "{:?}", used);
                prop_assert_eq!(gpus.used(), &used[..gpus.used().len()]);
                prop_assert!(used[gpus.used().len()..].iter().all(|used| *used == 0));
                prop_assert_eq!(gpus.len(), n);
            }
            for slots in held {
                gpus.release(slots);
            }
            prop_assert_eq!(gpus, GpuSlots::new(n));
        }
    }
}
