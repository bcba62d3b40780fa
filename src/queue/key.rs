//! The place of an execution in the order of the queue, in sixteen bytes.
//!
//! K1  Keys compare as (priority, queued time, id) do, for every priority, every time from 1970 to
//!     2112 and every id there can be; other times count as the nearest of these.
//! K2  A key holds all three of them: nothing of the order is kept elsewhere.

use std::cmp::Ordering;

use crate::model::{ExeId, ID_MAX, QueueMode, Timestamp};

const ID_BITS: u32 = 44;
const TIME_BITS: u32 = 52;
const PRIORITY_SHIFT: u32 = ID_BITS + TIME_BITS;
const TIME_MAX: i64 = (1 << TIME_BITS) - 1;
/// Everything but the priority.
const WITHIN: u128 = (1 << PRIORITY_SHIFT) - 1;

const _: () = assert!(ID_MAX < 1 << ID_BITS && PRIORITY_SHIFT + 32 == 128);

/// Compare two, and the smaller leaves first by FIFO. In two halves, so that it aligns like one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SortKey {
    high: u64,
    low: u64,
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        // As one number: two subtractions instead of two branches.
        self.bits().cmp(&other.bits())
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    fn lt(&self, other: &Self) -> bool {
        self.bits() < other.bits()
    }

    fn le(&self, other: &Self) -> bool {
        self.bits() <= other.bits()
    }

    fn gt(&self, other: &Self) -> bool {
        self.bits() > other.bits()
    }

    fn ge(&self, other: &Self) -> bool {
        self.bits() >= other.bits()
    }
}

impl SortKey {
    /// After everything.
    pub(crate) const MAX: Self = Self { high: u64::MAX, low: u64::MAX };

    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    const fn from_bits(bits: u128) -> Self {
        Self { high: (bits >> 64) as u64, low: bits as u64 }
    }

    const fn bits(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    pub(crate) fn new(priority: i32, queued: Timestamp, id: ExeId) -> Self {
        let priority = u128::from(priority.cast_unsigned() ^ 1 << 31);
        let time = queued.0.clamp(0, TIME_MAX).cast_unsigned();
        Self::from_bits(priority << PRIORITY_SHIFT | u128::from(time) << ID_BITS | u128::from(id.0))
    }

    /// Before everything of this priority.
    pub(crate) fn floor(priority: i32) -> Self {
        Self::new(priority, Timestamp(0), ExeId(0))
    }

    /// After everything of this priority; nothing is at it.
    pub(crate) fn ceiling(priority: i32) -> Self {
        priority.checked_add(1).map_or(Self::MAX, Self::floor)
    }

    /// The key right behind it.
    pub(crate) fn next(self) -> Self {
        Self::from_bits(self.bits().saturating_add(1))
    }

    pub(crate) fn priority(self) -> i32 {
        let top = u32::try_from(self.bits() >> PRIORITY_SHIFT).expect("32 bits");
        (top ^ 1 << 31).cast_signed()
    }

    pub(crate) fn id(self) -> ExeId {
        ExeId(self.low & ((1 << ID_BITS) - 1))
    }

    pub(crate) fn queued(self) -> Timestamp {
        let time = u64::try_from((self.bits() & WITHIN) >> ID_BITS).expect("52 bits");
        Timestamp(time.cast_signed())
    }

    /// The same place seen in a direction: comparing what this gives compares in that direction.
    pub(crate) fn seen(self, mode: QueueMode) -> Self {
        match mode {
            QueueMode::Fifo => self,
            QueueMode::Lifo => Self::from_bits(self.bits() ^ WITHIN),
        }
    }
}

/// How many of `keys`, which rise, are before `key`.
///
/// Three places are looked at in each round, and none of them waits for another: in a node that is in
/// no cache that is two misses, one after the other, where halving has three or four.
pub(super) fn n_before(keys: &[SortKey], key: SortKey) -> usize {
    let (mut from, mut len) = (0, keys.len());
    while len >= 8 {
        let quarter = len / 4;
        let part = &keys[from..from + len];
        let is_before = |n: usize| usize::from(part[n * quarter - 1] < key);
        let n = is_before(1) + is_before(2) + is_before(3);
        from += n * quarter;
        len = if n == 3 { len - 3 * quarter } else { quarter };
    }
    from + keys[from..from + len].iter().map(|other| usize::from(*other < key)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts() -> impl Strategy<Value = (i32, i64, u64)> {
        let priority = prop_oneof![any::<i32>(), -2..3_i32, Just(i32::MAX), Just(i32::MIN)];
        (priority, prop_oneof![0..=TIME_MAX, 0..4_i64], prop_oneof![0..=ID_MAX, 0..4_u64])
    }

    proptest! {
        #[test]
        fn keys_compare_as_their_parts_do(a in parts(), b in parts()) {
            let key = |(priority, time, id)| SortKey::new(priority, Timestamp(time), ExeId(id));
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            let turned = |(priority, time, id): (i32, i64, u64)| (priority, -time, -i128::from(id));
            let lifo = |parts| key(parts).seen(QueueMode::Lifo);
            prop_assert_eq!(lifo(a).cmp(&lifo(b)), turned(a).cmp(&turned(b)));
            prop_assert_eq!((key(a).priority(), key(a).queued().0, key(a).id().0), a);
            prop_assert!(SortKey::floor(a.0) <= key(a) && key(a) < SortKey::ceiling(a.0));
            prop_assert!(key(a) < key(a).next());
        }

        #[test]
        fn a_search_finds_what_halving_finds(mut ids in proptest::collection::vec(0..200_u64, 0..140), id in 0..200_u64) {
            ids.sort_unstable();
            ids.dedup();
            let key = |id: &u64| SortKey::new(0, Timestamp(0), ExeId(*id));
            let keys: Vec<SortKey> = ids.iter().map(key).collect();
            prop_assert_eq!(n_before(&keys, key(&id)), keys.partition_point(|other| *other < key(&id)));
        }
    }
}
