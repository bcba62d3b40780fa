//! Amounts in dense form: one `u64` of thousandths per resource the queue has ever seen.
//!
//! A1  Slots 0 to 3 are cpus, mem, disk and gpus; further names get slots in the order they come.
//! A2  Slots are never given up, so amounts stay comparable for ever.

use super::units::Units;
use crate::model::{NodeResources, Quantity, RESOURCES_MAX, ResourceName};

/// Slot of cpus.
const CPUS: usize = 0;
/// Slot of memory.
pub(crate) const MEM: usize = 1;
/// Slot of disk.
pub(crate) const DISK: usize = 2;
/// Slot of gpus.
const GPUS: usize = 3;

/// Amounts in thousandths, in the dense form of one [`Queue`](crate::Queue): comparing two is a
/// few instructions. Made by [`Queue::intern`](crate::Queue::intern) and
/// [`Queue::lookup`](crate::Queue::lookup).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amounts(pub(crate) [u64; RESOURCES_MAX]);

impl Amounts {
    /// Enough of everything, for whatever asks.
    pub const fn unlimited() -> Self {
        Self([u64::MAX; RESOURCES_MAX])
    }

    /// True where every amount of `asked` is at hand.
    pub fn covers(&self, asked: &Self) -> bool {
        self.0.iter().zip(&asked.0).all(|(have, ask)| have >= ask)
    }

    /// What is left; `None` where `asked` does not fit.
    #[must_use]
    pub fn minus(&self, asked: &Self) -> Option<Self> {
        let mut rest = *self;
        for (have, ask) in rest.0.iter_mut().zip(&asked.0) {
            *have = have.checked_sub(*ask)?;
        }
        Some(rest)
    }

    /// Takes `asked`, which fits, out of the first `n` amounts; of others it asks for nothing.
    pub(crate) fn take(&mut self, asked: &Self, n: usize) {
        for (have, ask) in self.0.iter_mut().zip(&asked.0).take(n) {
            *have = have.checked_sub(*ask).expect("it was found to fit");
        }
    }

    /// True where these amounts, of the given [`kinds`](Self::kinds) and without memory and disk, are
    /// within `free`.
    pub(crate) fn is_fixed_within(&self, free: &Self, kinds: u32) -> bool {
        // Most lanes ask for nothing more.
        let mut is_within = self.0[CPUS] <= free.0[CPUS] && self.0[GPUS] <= free.0[GPUS];
        let mut more = kinds & !(1 << GPUS);
        while more != 0 {
            // Bits are below RESOURCES_MAX; saying so saves a check of bounds.
            let slot = more.trailing_zeros() as usize % RESOURCES_MAX;
            is_within &= self.0[slot] <= free.0[slot];
            more &= more - 1;
        }
        is_within
    }

    /// The sum, saturating.
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        self
    }

    /// The difference, with zero where `other` is more.
    pub(crate) fn minus_or_zero(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(rest, less)| *rest = rest.saturating_sub(less));
        self
    }

    /// The same without memory and disk, which vary within a lane.
    pub(crate) fn fixed_part(mut self) -> Self {
        self.0[MEM] = 0;
        self.0[DISK] = 0;
        self
    }

    /// The same with memory and disk as given.
    pub(crate) fn with_varying(mut self, varying: [u64; 2]) -> Self {
        [self.0[MEM], self.0[DISK]] = varying;
        self
    }

    /// A bit for each resource but cpus, memory and disk of which there is any.
    pub(crate) fn kinds(&self) -> u32 {
        let amounts = self.0.iter().zip(0..).skip(DISK + 1);
        amounts.fold(0, |kinds, (amount, slot)| kinds | u32::from(*amount > 0) << slot)
    }

    /// As a queue counts it: memory and disk that no unit holds exactly are rounded up.
    pub(crate) fn counted(self) -> Self {
        let varying = self.varying();
        let units = Units::of(varying);
        self.with_varying(units.amounts(units.counts(varying)))
    }

    /// The same with at most so many graphics processors.
    pub(crate) fn with_gpus_within(mut self, most: Quantity) -> Self {
        self.0[GPUS] = self.0[GPUS].min(most.0);
        self
    }

    /// Graphics processors.
    pub(crate) fn gpus(&self) -> Quantity {
        Quantity(self.0[GPUS])
    }

    /// Memory and disk.
    pub(crate) fn varying(&self) -> [u64; 2] {
        [self.0[MEM], self.0[DISK]]
    }
}

/// The names behind the slots.
#[derive(Clone, Debug)]
pub(crate) struct Dims(Vec<ResourceName>);

impl Default for Dims {
    fn default() -> Self {
        Self(ResourceName::STANDARD.map(|name| ResourceName::new(name).expect("a standard name")).into())
    }
}

impl Dims {
    /// The slot of a name.
    pub(crate) fn slot(&self, name: &ResourceName) -> Option<usize> {
        self.0.iter().position(|known| known == name)
    }

    /// The names, by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ResourceName> {
        self.0.iter()
    }

    /// Slots in use.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// True where all names of all `sets` have a slot or can still get one.
    pub(crate) fn has_room<'s>(&self, sets: impl IntoIterator<Item = &'s NodeResources>) -> bool {
        let mut new: Vec<&ResourceName> = Vec::new();
        for (name, _) in sets.into_iter().flat_map(NodeResources::iter) {
            if self.slot(name).is_none() && !new.contains(&name) {
                new.push(name);
            }
        }
        self.0.len() + new.len() <= RESOURCES_MAX
    }

    /// The dense form of a request; new names get slots. Names beyond the last slot are dropped:
    /// callers ask `has_room` before they let a request in.
    pub(crate) fn intern(&mut self, asked: &NodeResources) -> Amounts {
        for (name, _) in asked.iter() {
            if self.slot(name).is_none() && self.0.len() < RESOURCES_MAX {
                self.0.push(name.clone());
            }
        }
        self.lookup(asked)
    }

    /// The dense form of what a node has. Names without a slot are dropped: nothing asks for them.
    pub(crate) fn lookup(&self, free: &NodeResources) -> Amounts {
        let mut amounts = Amounts::default();
        for (name, amount) in free.iter() {
            if let Some(slot) = self.slot(name) {
                amounts.0[slot] = amount.0;
            }
        }
        amounts
    }

    /// The named form, without zeros.
    pub(crate) fn named(&self, amounts: &Amounts) -> NodeResources {
        let used = self.0.iter().zip(amounts.0).filter(|(_, amount)| *amount > 0);
        used.fold(NodeResources::new(), |set, (name, amount)| {
            set.with_name(name.clone(), Quantity(amount)).expect("at most RESOURCES_MAX checked names")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> NodeResources {
        text.parse().expect("resources")
    }

    #[test]
    fn names_keep_their_slots_and_read_back() {
        let mut dims = Dims::default();
        let asked = dims.intern(&set("licences:2,cpus:1"));
        assert_eq!(dims.named(&asked), set("cpus:1,licences:2"));
        dims.intern(&set("another:1"));
        assert_eq!(dims.lookup(&set("licences:2,cpus:1,unknown:9")), asked);
    }

    #[test]
    fn room_is_counted_over_all_sets_at_once() {
        let dims = Dims::default();
        let many: Vec<String> = (0..8).map(|n| format!("a{n}:1")).collect();
        let (a, b) = (set(&many.join(",")), set(&many.join(",").replace('a', "b")));
        assert!(dims.has_room([&a]));
        assert!(!dims.has_room([&a, &b]));
    }
}
