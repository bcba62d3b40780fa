//! A table by dense, rising ids of which most are gone at any time: pages of 64 ids that hold just
//! what is there.
//!
//! P1  A page without an entry is gone; one with entries holds them in order of their ids, without
//!     gaps, and has room for at most twice as many.

use foldhash::HashMap;

/// See the file.
#[derive(Clone, Debug)]
pub(crate) struct Paged<T> {
    pages: HashMap<u64, Page<T>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Page<T> {
    /// Which of its 64 ids are there.
    there: u64,
    entries: Vec<T>,
}

/// The page of an id, and its bit there.
const fn place(id: u64) -> (u64, u64) {
    (id / 64, 1 << (id % 64))
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { pages: HashMap::default(), len: 0 }
    }
}

impl<T> Page<T> {
    fn rank(&self, bit: u64) -> usize {
        (self.there & (bit - 1)).count_ones() as usize
    }
}

impl<T> Paged<T> {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, id: u64) -> Option<&T> {
        let (page, bit) = place(id);
        let page = self.pages.get(&page).filter(|page| page.there & bit != 0)?;
        page.entries.get(page.rank(bit))
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let (page, bit) = place(id);
        let page = self.pages.get_mut(&page).filter(|page| page.there & bit != 0)?;
        let at = page.rank(bit);
        page.entries.get_mut(at)
    }

    /// Puts `value` in; what was there comes out.
    pub(crate) fn insert(&mut self, id: u64, value: T) -> Option<T> {
        let (number, bit) = place(id);
        let page =
            self.pages.entry(number).or_insert_with(|| Page { there: 0, entries: Vec::with_capacity(8) });
        let at = page.rank(bit);
        if page.there & bit != 0 {
            return Some(std::mem::replace(&mut page.entries[at], value));
        }
        page.there |= bit;
        page.entries.insert(at, value);
        self.len += 1;
        None
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let (number, bit) = place(id);
        let page = self.pages.get_mut(&number).filter(|page| page.there & bit != 0)?;
        let at = page.rank(bit);
        let value = page.entries.remove(at);
        page.there &= !bit;
        self.len -= 1;
        if page.there == 0 {
            self.pages.remove(&number);
        } else if page.entries.capacity() > 2 * page.entries.len() + 8 {
            page.entries.shrink_to_fit();
        }
        Some(value)
    }

    /// Everything, in order of the ids. Cost: a sort of the pages.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let mut numbers: Vec<u64> = self.pages.keys().copied().collect();
        numbers.sort_unstable();
        numbers.into_iter().flat_map(|number| {
            let page = &self.pages[&number];
            let ids = (0..64).filter(|bit| page.there >> bit & 1 == 1).map(move |bit| number * 64 + bit);
            ids.zip(&page.entries)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_agrees_with_a_map(steps in prop::collection::vec((0..300_u64, any::<bool>()), 0..400)) {
            let (mut paged, mut map) = (Paged::default(), BTreeMap::new());
            for (n, (id, is_put)) in steps.into_iter().enumerate() {
                if is_put {
                    prop_assert_eq!(paged.insert(id, n), map.insert(id, n));
                } else {
                    prop_assert_eq!(paged.remove(id), map.remove(&id));
                }
                prop_assert_eq!((paged.len(), paged.get(id)), (map.len(), map.get(&id)));
            }
            prop_assert!(paged.iter().eq(map.iter().map(|(id, n)| (*id, n))));
        }
    }
}
