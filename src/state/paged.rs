//! A table by dense, rising ids of which most are gone at any time: pages of 64 ids that hold just
//! what is there.
//!
//! P1  A page without an entry is gone. An entry's place in its page stands under its id; places have
//!     no gaps, and there is room for at most twice as many.

use foldhash::HashMap;

/// Ids of a page; `place` says it too.
const PAGE_IDS: usize = 64;

/// The place of an id that is not there.
const NOWHERE: u8 = u8::MAX;

/// See the file.
#[derive(Clone, Debug)]
pub(crate) struct Paged<T> {
    pages: HashMap<u64, Page<T>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Page<T> {
    places: [u8; PAGE_IDS],
    entries: Vec<T>,
}

/// The page of an id, and where it stands there.
const fn place(id: u64) -> (u64, usize) {
    (id / PAGE_IDS as u64, (id % 64) as usize)
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { pages: HashMap::default(), len: 0 }
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { places: [NOWHERE; PAGE_IDS], entries: Vec::with_capacity(8) }
    }
}

impl<T> Paged<T> {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, id: u64) -> Option<&T> {
        let (page, at) = place(id);
        let page = self.pages.get(&page)?;
        page.entries.get(usize::from(page.places[at]))
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let (page, at) = place(id);
        let page = self.pages.get_mut(&page)?;
        page.entries.get_mut(usize::from(page.places[at]))
    }

    /// Puts `value` in; what was there comes out.
    pub(crate) fn insert(&mut self, id: u64, value: T) -> Option<T> {
        let (number, at) = place(id);
        let page = self.pages.entry(number).or_default();
        if let Some(known) = page.entries.get_mut(usize::from(page.places[at])) {
            return Some(std::mem::replace(known, value));
        }
        page.places[at] = u8::try_from(page.entries.len()).expect("fewer than a page has ids");
        page.entries.push(value);
        self.len += 1;
        None
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let (number, at) = place(id);
        let page = self.pages.get_mut(&number)?;
        let place = std::mem::replace(&mut page.places[at], NOWHERE);
        if place == NOWHERE {
            return None;
        }
        let value = page.entries.swap_remove(usize::from(place));
        self.len -= 1;
        let n_left = page.entries.len();
        if n_left == 0 {
            self.pages.remove(&number);
            return Some(value);
        }
        // The last one is where this one was.
        if let Some(moved) = page.places.iter_mut().find(|known| usize::from(**known) == n_left) {
            *moved = place;
        }
        if page.entries.capacity() > 2 * n_left + 8 {
            page.entries.shrink_to(n_left + n_left / 2);
        }
        Some(value)
    }

    /// Everything, in order of the ids. Cost: a sort of the pages.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let mut numbers: Vec<u64> = self.pages.keys().copied().collect();
        numbers.sort_unstable();
        numbers.into_iter().flat_map(|number| {
            let page = &self.pages[&number];
            let entry = |at: usize| page.entries.get(usize::from(page.places[at]));
            let id = move |at: usize| number * PAGE_IDS as u64 + at as u64;
            (0..PAGE_IDS).filter_map(move |at| entry(at).map(|entry| (id(at), entry)))
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
