//! Where a queued execution is, by its id.
//!
//! Ids that follow each other stand together in a page: entries that come in one after the other
//! touch the same lines; a sparse id costs a slot of a table and room for four places. Many small
//! tables instead of a large one: when one grows, the core stands still for the share of one in
//! `N_SHARDS`. Wide pages are given back when none is in use any more.
//!
//! I1  A page has a bit for each place it holds.
//! I2  No page is empty.
//! I3  Those wide pages are in use that a page names, each named by one.

use foldhash::HashMap;

use super::key::SortKey;
use super::pool::Pool;
use crate::model::{ExeId, Timestamp};

/// Tables. At ten million entries each holds some hundreds of pages.
const N_SHARDS: usize = 1_024;

/// Ids of one page.
const PAGE_IDS: usize = u64::BITS as usize;

/// Places a narrow page has room for, as it grows: sparse ids fill the first size, every fourth
/// one in use the second. What is more, and a fifth neighbour of four, goes into a wide page, where
/// no place ever moves.
const ROOMS: [usize; 2] = [4, 20];

/// A wide page becomes narrow when one leaves and no more than so many are left.
const SPARSE_LEN: u32 = 8;

/// What the id alone does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// A place for every id of a page.
#[derive(Clone, Debug)]
struct Wide([Place; PAGE_IDS]);

impl Default for Wide {
    fn default() -> Self {
        Self([Place::default(); PAGE_IDS])
    }
}

/// Where the places of a page are.
#[derive(Clone, Debug)]
enum Room {
    /// In the order of the bits, without gaps.
    Narrow(Vec<Place>),
    /// Each at the number of its bit, in a wide page of this number.
    Wide(u32),
}

#[derive(Clone, Debug)]
struct Page {
    used: u64,
    room: Room,
}

impl Default for Page {
    fn default() -> Self {
        Self { used: 0, room: Room::Narrow(Vec::new()) }
    }
}

/// The number of the page of an id.
fn page_of(id: ExeId) -> u64 {
    id.0 / PAGE_IDS as u64
}

/// The bit of an id in its page, by its number.
fn bit(id: ExeId) -> usize {
    usize::try_from(id.0 % PAGE_IDS as u64).expect("below PAGE_IDS")
}

/// How many bits of a word are set before a bit.
fn rank(word: u64, bit: usize) -> usize {
    (word & ((1 << bit) - 1)).count_ones() as usize
}

/// The bits of a word that are set, by their numbers.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.checked_sub(1).map(|_| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

impl Page {
    fn holds(&self, bit: usize) -> bool {
        self.used >> bit & 1 == 1
    }

    fn get<'p>(&'p self, wide: &'p Pool<Wide>, bit: usize) -> Option<&'p Place> {
        if !self.holds(bit) {
            return None;
        }
        match &self.room {
            Room::Narrow(places) => places.get(rank(self.used, bit)),
            Room::Wide(number) => Some(&wide.get(*number).0[bit]),
        }
    }

    fn insert(&mut self, wide: &mut Pool<Wide>, bit: usize, place: Place) -> Option<Place> {
        let is_known = self.holds(bit);
        if !is_known {
            self.make_room(wide);
        }
        let old = match &mut self.room {
            Room::Wide(number) => std::mem::replace(&mut wide.get_mut(*number).0[bit], place),
            Room::Narrow(places) => {
                let rank = rank(self.used, bit);
                if !is_known {
                    places.insert(rank, place);
                }
                std::mem::replace(&mut places[rank], place)
            }
        };
        self.used |= 1 << bit;
        is_known.then_some(old)
    }

    /// Makes room for another place.
    fn make_room(&mut self, wide: &mut Pool<Wide>) {
        let Room::Narrow(places) = &mut self.room else { return };
        let len = places.len();
        if len < places.capacity() {
            return;
        }
        // Where the first ids are neighbours, so will be the next ones.
        let run = self.used.checked_shr(self.used.trailing_zeros());
        let is_run = run == Some((1 << ROOMS[0]) - 1);
        if let Some(room) = ROOMS.into_iter().find(|room| *room > len && !is_run) {
            places.reserve_exact(room - len);
            return;
        }
        let number = wide.make();
        let all = &mut wide.get_mut(number).0;
        bits(self.used).zip(places).for_each(|(bit, place)| all[bit] = *place);
        self.room = Room::Wide(number);
    }

    fn remove(&mut self, wide: &mut Pool<Wide>, bit: usize) -> Option<Place> {
        let place = *self.get(wide, bit)?;
        self.used &= !(1 << bit);
        match &mut self.room {
            Room::Narrow(places) => {
                places.remove(rank(self.used, bit));
            }
            Room::Wide(number) if self.used.count_ones() <= SPARSE_LEN => {
                let all = &wide.get(*number).0;
                let mut places = Vec::with_capacity(ROOMS[1]);
                places.extend(bits(self.used).map(|bit| all[bit]));
                wide.free(*number);
                wide.shrink();
                self.room = Room::Narrow(places);
            }
            Room::Wide(_) => {}
        }
        Some(place)
    }
}

/// All places.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    shards: Vec<HashMap<u64, Page>>,
    wide: Pool<Wide>,
    n_entries: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self { shards: vec![HashMap::default(); N_SHARDS], wide: Pool::default(), n_entries: 0 }
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
        let page = page_of(id);
        self.shards[shard(page)].get(&page)?.get(&self.wide, bit(id))
    }

    /// Sets the place of an id; returns the one it had.
    pub(crate) fn insert(&mut self, id: ExeId, place: Place) -> Option<Place> {
        let page = page_of(id);
        let old = self.shards[shard(page)].entry(page).or_default().insert(&mut self.wide, bit(id), place);
        self.n_entries += usize::from(old.is_none());
        old
    }

    pub(crate) fn remove(&mut self, id: ExeId) -> Option<Place> {
        let number = page_of(id);
        let table = &mut self.shards[shard(number)];
        let page = table.get_mut(&number)?;
        let old = page.remove(&mut self.wide, bit(id))?;
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
        let narrow = |page: &Page| match &page.room {
            Room::Narrow(places) => places.capacity() * size_of::<Place>(),
            Room::Wide(_) => 0,
        };
        let of_table =
            |table: &HashMap<u64, Page>| slots(table) * slot + table.values().map(narrow).sum::<usize>();
        let tables = self.shards.iter().filter(|table| table.capacity() > 0);
        tables.map(of_table).sum::<usize>() + self.wide.bytes()
    }

    /// Holds I1 to I3 against what is there.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self) {
        let (mut n_entries, mut wide) = (0, Vec::new());
        for page in self.shards.iter().flat_map(HashMap::values) {
            let n_used = page.used.count_ones() as usize;
            match &page.room {
                Room::Narrow(places) => assert_eq!(places.len(), n_used, "I1"),
                Room::Wide(number) => wide.push(*number),
            }
            assert!(n_used > 0, "I2");
            n_entries += n_used;
        }
        let n_wide = wide.len();
        wide.sort_unstable();
        wide.dedup();
        assert_eq!([n_wide, wide.len()], [self.wide.n_used(); 2], "I3");
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
        fn places_agree_with_a_plain_map(steps in proptest::collection::vec((0..300_u64, 0..10, any::<u32>()), 0..800)) {
            let (mut places, mut model) = (Places::default(), Model::new());
            let n_steps = steps.len();
            for (step, (id, kind, lane)) in steps.into_iter().enumerate() {
                // First more come, so that pages grow to their full size, then more go.
                let is_insert = kind < if step < n_steps / 2 { 8 } else { 1 };
                // Dense ids, and some far apart.
                let id = ExeId(if id < 200 { id } else { id * 1_000_003 });
                let place = Place { queued: i64::from(lane) * 3, priority: 1, lane };
                if is_insert {
                    prop_assert_eq!(places.insert(id, place), model.insert(id, place));
                } else {
                    prop_assert_eq!(places.remove(id), model.remove(&id));
                }
                prop_assert_eq!(places.len(), model.len());
                places.check_invariants();
            }
            for id in model.keys() {
                prop_assert_eq!(places.get(*id), model.get(id));
            }
        }
    }
}
