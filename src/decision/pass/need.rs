//! Requests as a pass compares them: signed, since what is left of a node may be below nothing.

use crate::model::{NodeResources, RESOURCES_MAX};
use crate::queue::{Amounts, Queue};

/// Resources that are looked at whatever a request says: cpus, memory, disk and gpus.
const STANDARD: usize = 4;

/// The place of graphics processors among them.
pub(super) const GPUS: usize = 3;

/// Amounts in thousandths, by the slots of the queue.
pub(super) type Signed = [i64; RESOURCES_MAX];

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// What a request needs of each resource. A named resource that it does not mention is not looked
/// at, so that a node which has less than nothing of it is no obstacle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Need(pub(super) Signed);

impl Need {
    pub(super) fn of(asks: &Amounts) -> Self {
        let mut need = asks.0.map(signed);
        for amount in need.iter_mut().skip(STANDARD) {
            if *amount == 0 {
                *amount = i64::MIN;
            }
        }
        Self(need)
    }

    /// What it takes away: nothing of what is not looked at.
    pub(super) fn asks(&self) -> Signed {
        self.0.map(|amount| amount.max(0))
    }

    /// Whether `have` covers it.
    pub(super) fn is_met(&self, have: &Signed) -> bool {
        have.iter().zip(&self.0).all(|(have, need)| have >= need)
    }

    /// The same of a named request: a name that is asked for with nothing is looked at too. `None`
    /// where it asks for something that no queue entry ever did, so that no node is known to have it.
    pub(super) fn of_named(queue: &Queue, asks: &NodeResources) -> Option<Self> {
        let mut need = Self::of(&queue.lookup(asks));
        for (name, amount) in asks.iter() {
            match queue.dims().slot(name) {
                Some(slot) => need.0[slot] = signed(amount.0),
                None if amount.0 > 0 => return None,
                None => {}
            }
        }
        Some(need)
    }
}

/// Which resources a set names; the standard ones always.
pub(super) fn has(queue: &Queue, set: &NodeResources) -> [bool; RESOURCES_MAX] {
    let mut has = [false; RESOURCES_MAX];
    has[..STANDARD].fill(true);
    for slot in set.iter().filter_map(|(name, _)| queue.dims().slot(name)) {
        has[slot] = true;
    }
    has
}

/// The same as amounts that can be added and subtracted.
pub(super) fn amounts(asks: &Amounts) -> Signed {
    asks.0.map(signed)
}
