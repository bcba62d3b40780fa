//! Graphics processors of a node as slots, numbered from 0, and what an execution has of them.

use std::fmt;

use bincode::{Decode, Encode};

use super::ids::{ExeId, NodeId};
use super::quantity::Quantity;

/// A share of a slot. As text `SLOT:AMOUNT`, such as `2:0.25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct SlotShare {
    /// Which slot, from 0.
    pub slot: u16,
    /// How much of it, thousandths from 1 to 1,000.
    pub thousandths: u16,
}

impl fmt::Display for SlotShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.slot, Quantity(self.thousandths.into()))
    }
}

/// What an execution that runs has of the slots of its node, until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct ExecutionSlots {
    /// Which execution.
    pub exe: ExeId,
    /// Its node.
    pub node: NodeId,
    /// Each of another slot, lowest first.
    pub shares: Vec<SlotShare>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_told_as_its_slot_and_how_much_of_it() {
        let told = |slot, thousandths| SlotShare { slot, thousandths }.to_string();
        assert_eq!([told(0, 1_000), told(12, 250), told(3, 1)], ["0:1", "12:0.25", "3:0.001"]);
    }
}
