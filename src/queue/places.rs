//! Where a queued execution is, by its id.
//!
//! Ids that follow each other stand together in a page: entries that come in one after the other
//! touch the same lines, and sparse ids cost no more than a slot of a table each. Many small tables
//! instead of a large one: when one grows, the core stands still for the share of one in `N_SHARDS`.
//!
//! I1  A page has a bit for each place it holds, and its places are in the order of the bits.
//! I2  No page is empty.

use foldhash::HashMap;

use super::key::SortKey;
use crate::model::{ExeId, Timestamp};

/// Tables. At ten million entries each holds some hundreds of pages.
const N_SHARDS: usize = 1_024;

/// Ids of one page.
const PAGE_IDS: u64 = u64::BITS as u64;

/// Places a page has room for, as it grows.
const ROOMS: [usize; 3] = [4, 20, u64::BITS as usize];

/// What the id alone does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) queued: i64,
    pub(crate) priority: i32,
    pub(crate) lane: u32,
}

impl Place {
    /// The key of the execution whose place it is.
    pub(crate) fn key(&self, id: ExeId) -> SortKey {
        SortKey::new(self.priority, Timestamp(self.queued), id)
    }
}

#[derive(Clone, Debug, Default)]
struct Page {
    used: u64,
    places: Vec<Place>,
}

/// The bit of an id in its page.
fn bit(id: ExeId) -> u64 {
    1 << (id.0 % PAGE_IDS)
}

impl Page {
    /// The places before that of `bit`.
    fn rank(&self, bit: u64) -> usize {
        (self.used & (bit - 1)).count_ones() as usize
    }

    fn get(&self, bit: u64) -> Option<&Place> {
        if self.used & bit == 0 { None } else { self.places.get(self.rank(bit)) }
    }

    fn insert(&mut self, bit: u64, place: Place) -> Option<Place> {
        let rank = self.rank(bit);
        if self.used & bit != 0 {
            return Some(std::mem::replace(&mut self.places[rank], place));
        }
        self.used |= bit;
        if self.places.len() == self.places.capacity() {
            // Sparse ids fill the first size, every fourth one in use the second, all the last.
            let room = ROOMS.into_iter().find(|room| *room > self.places.len()).unwrap_or(0);
            self.places.reserve_exact(room.saturating_sub(self.places.len()));
        }
        self.places.insert(rank, place);
        None
    }

    fn remove(&mut self, bit: u64) -> Option<Place> {
        if self.used & bit == 0 {
            return None;
        }
        let place = self.places.remove(self.rank(bit));
        self.used &= !bit;
        Some(place)
    }
}

/// All places.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    shards: Vec<HashMap<u64, Page>>,
    n_entries: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self { shards: vec![HashMap::default(); N_SHARDS], n_entries: 0 }
    }
}

fn shard(page: u64) -> usize {
    // Pages follow each other: the odd factor spreads neighbours, the top bits are taken.
    let spread = page.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - N_SHARDS.trailing_zeros());
    usize::try_from(spread).expect("below N_SHARDS")
}

impl Places {
    pub(crate) fn len(&self) -> usize {
        self.n_entries
    }

    pub(crate) fn get(&self, id: ExeId) -> Option<&Place> {
        let page = id.0 / PAGE_IDS;
        self.shards[shard(page)].get(&page)?.get(bit(id))
    }

    /// Sets the place of an id; returns the one it had.
    pub(crate) fn insert(&mut self, id: ExeId, place: Place) -> Option<Place> {
        let page = id.0 / PAGE_IDS;
        let old = self.shards[shard(page)].entry(page).or_default().insert(bit(id), place);
        self.n_entries += usize::from(old.is_none());
        old
    }

    pub(crate) fn remove(&mut self, id: ExeId) -> Option<Place> {
        let number = id.0 / PAGE_IDS;
        let table = &mut self.shards[shard(number)];
        let page = table.get_mut(&number)?;
        let old = page.remove(bit(id))?;
        self.n_entries -= 1;
        if page.used == 0 {
            table.remove(&number);
            if table.is_empty() {
                // A queue that drained gives its memory back.
                table.shrink_to_fit();
            }
        }
        Some(old)
    }

    /// Bytes the tables and pages occupy.
    pub(crate) fn bytes(&self) -> usize {
        let slot = size_of::<(u64, Page)>() + 1;
        // A table has a power of two of slots, of which seven eighths may be used.
        let slots = |table: &HashMap<u64, Page>| (table.capacity() * 8 / 7).next_power_of_two();
        let of_table = |table: &HashMap<u64, Page>| {
            slots(table) * slot
                + table.values().map(|page| page.places.capacity() * size_of::<Place>()).sum::<usize>()
        };
        self.shards.iter().filter(|table| table.capacity() > 0).map(of_table).sum()
    }

    /// Holds I1 and I2 against what is there.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self) {
        let mut n_entries = 0;
        for page in self.shards.iter().flat_map(HashMap::values) {
            assert_eq!(page.used.count_ones() as usize, page.places.len(), "I1");
            assert!(page.used != 0, "I2");
            n_entries += page.places.len();
        }
        assert_eq!(n_entries, self.n_entries, "I1: entries");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap as Model;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_agree_with_a_plain_map(steps in proptest::collection::vec((0..300_u64, any::<bool>(), any::<u32>()), 0..400)) {
            let (mut places, mut model) = (Places::default(), Model::new());
            for (id, is_insert, lane) in steps {
                // Dense ids, and some far apart.
                let id = ExeId(if id < 200 { id } else { id * 1_000_003 });
                let place = Place { queued: i64::from(lane) * 3, priority: 1, lane };
                if is_insert {
                    prop_assert_eq!(places.insert(id, place), model.insert(id, place));
                } else {
                    prop_assert_eq!(places.remove(id), model.remove(&id));
                }
                prop_assert_eq!(places.len(), model.len());
            }
            places.check_invariants();
            for id in model.keys() {
                prop_assert_eq!(places.get(*id), model.get(id));
            }
        }
    }
}
