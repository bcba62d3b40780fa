//! In which units a lane counts memory and disk, so that a row needs four bytes for each.
//!
//! U1  Counting in a unit is exact: the amount is a multiple of it. Only what is neither whole MiB
//!     nor below 2^32 thousandths is rounded up first, against the one who asks.

/// A unit, as the thousandths it stands for: one thousandth, a MiB, a GiB, a TiB, a PiB.
const UNITS: [u64; 5] = [1, 1_000, 1_000 << 10, 1_000 << 20, 1_000 << 30];

/// The largest count; above it stands only "no row".
const COUNT_MAX: u64 = u32::MAX as u64 - 1;

/// The units of one lane, for memory and for disk, as places in `UNITS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Units([u8; 2]);

fn unit_for(amount: u64) -> u8 {
    let is_exact = |unit: u64| amount.is_multiple_of(unit) && amount / unit <= COUNT_MAX;
    match amount {
        // Whole MiB are the rule, so they come first.
        _ if is_exact(UNITS[1]) => 1,
        _ if is_exact(UNITS[0]) => 0,
        _ => UNITS
            .iter()
            .zip(0..)
            .skip(1)
            .find(|(unit, _)| amount.div_ceil(**unit) <= COUNT_MAX)
            .map_or(4, |(_, at)| at),
    }
}

fn count(amount: u64) -> u32 {
    u32::try_from(amount.min(COUNT_MAX)).expect("bounded")
}

impl Units {
    /// MiB of both, the rule.
    pub(crate) const MIB: Self = Self([1; 2]);

    /// The units in which `amounts` are counted.
    pub(crate) fn of(amounts: [u64; 2]) -> Self {
        Self(amounts.map(unit_for))
    }

    fn unit(self, which: usize) -> u64 {
        UNITS[self.0[which] as usize]
    }

    /// What is asked for, in these units.
    pub(crate) fn counts(self, amounts: [u64; 2]) -> [u32; 2] {
        if self == Self::MIB {
            // The rule; a division by a constant is a multiplication.
            return amounts.map(|amount| count(amount.div_ceil(UNITS[1])));
        }
        [0, 1].map(|which| count(amounts[which].div_ceil(self.unit(which))))
    }

    /// What is free, in these units: what asks for as many or fewer fits, and nothing else.
    pub(crate) fn counts_free(self, amounts: [u64; 2]) -> [u32; 2] {
        let whole = |amount: u64, unit: u8| match unit {
            1 => amount / UNITS[1],
            unit => amount / UNITS[unit as usize],
        };
        [count(whole(amounts[0], self.0[0])), count(whole(amounts[1], self.0[1]))]
    }

    /// Thousandths of counts.
    pub(crate) fn amounts(self, counts: [u32; 2]) -> [u64; 2] {
        [0, 1].map(|which| u64::from(counts[which]).saturating_mul(self.unit(which)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount() -> impl Strategy<Value = u64> {
        prop_oneof![0..10_000_u64, any::<u32>().prop_map(|mib| u64::from(mib) * 1_000), 0..1_u64 << 53]
    }

    proptest! {
        #[test]
        fn counting_neither_loses_nor_invents_room(ask in amount(), free in amount()) {
            let units = Units::of([ask, ask]);
            let counted = units.amounts(units.counts([ask, ask]))[0];
            let is_exact = ask.is_multiple_of(1_000) && ask / 1_000 <= COUNT_MAX || ask <= COUNT_MAX;
            prop_assert!(counted >= ask && (counted == ask || !is_exact), "{ask} counts as {counted}");
            let fits = units.counts([ask, ask])[0] <= units.counts_free([free, free])[0];
            prop_assert_eq!(fits, counted <= free);
        }
    }
}
