//! Loops over columns of sixty-four amounts, compiled twice: for any machine, and with the vectors
//! of AVX2, which is chosen where the machine has them. Both are the same code.
//!
//! The measured reason, and with it that for `unsafe`: without, 64-bit amounts are compared one by
//! one, and a pass with Scale's score takes twice as long (docs/decisions/0011).
//!
//! M1  Both versions give the same for all arguments.

#![expect(unsafe_code, reason = "instructions of the machine at hand, found at run time")]
#![expect(clippy::inline_always, reason = "each body is compiled once for each kind of machine")]

use super::need::Signed;

/// Amounts in a column: as many as a word has bits.
pub(super) const COLUMN_LEN: usize = 64;

/// Amounts of one resource, side by side.
pub(super) type Column = [i64; COLUMN_LEN];

/// Requests that are compared with one node at a time.
pub(super) const GROUP_LEN: usize = 8;

/// Requests of job types, one resource after the other, and how many types have each.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) needs: Vec<[i64; GROUP_LEN]>,
    pub(super) weights: [i64; GROUP_LEN],
}

/// Which version is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    Any,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Default for Machine {
    fn default() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Any
    }
}

impl Machine {
    /// A bit for each place where every column has at least what is needed of it.
    #[inline]
    pub(super) fn covering(self, columns: &[Column], need: &Signed) -> u64 {
        match self {
            Self::Any => covering(columns, need),
            // SAFETY: `Avx2` is only made where the machine has it.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::covering(columns, need) },
        }
    }

    /// How many types fit in one node's amounts.
    #[inline]
    pub(super) fn n_fitting(self, groups: &[Group], rest: &Signed) -> i64 {
        match self {
            Self::Any => n_fitting(groups, rest),
            // SAFETY: `Avx2` is only made where the machine has it.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::n_fitting(groups, rest) },
        }
    }

    /// The same for sixty-four nodes, each less `asks`.
    #[inline]
    pub(super) fn n_fitting_each(self, groups: &[Group], columns: &[Column], asks: &Signed) -> Column {
        match self {
            Self::Any => n_fitting_each(groups, columns, asks),
            // SAFETY: `Avx2` is only made where the machine has it.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::n_fitting_each(groups, columns, asks) },
        }
    }
}

#[inline(always)]
fn covering(columns: &[Column], need: &Signed) -> u64 {
    let mut covers = [-1_i64; COLUMN_LEN];
    for (column, need) in columns.iter().zip(need) {
        for at in 0..COLUMN_LEN {
            covers[at] &= -i64::from(column[at] >= *need);
        }
    }
    let mut bits = 0;
    for (at, covers) in covers.iter().enumerate() {
        bits |= (covers.cast_unsigned() & 1) << at;
    }
    bits
}

#[inline(always)]
fn n_fitting(groups: &[Group], rest: &Signed) -> i64 {
    let mut sum = [0_i64; GROUP_LEN];
    for group in groups {
        let mut fits = group.weights;
        for (needs, have) in group.needs.iter().zip(rest) {
            for at in 0..GROUP_LEN {
                fits[at] &= -i64::from(needs[at] <= *have);
            }
        }
        for at in 0..GROUP_LEN {
            sum[at] += fits[at];
        }
    }
    sum.iter().sum()
}

#[inline(always)]
fn n_fitting_each(groups: &[Group], columns: &[Column], asks: &Signed) -> Column {
    let mut sum = [0_i64; COLUMN_LEN];
    for group in groups {
        for of_type in 0..GROUP_LEN {
            let weight = group.weights[of_type];
            if weight == 0 {
                continue;
            }
            let mut fits = [weight; COLUMN_LEN];
            for ((needs, column), asks) in group.needs.iter().zip(columns).zip(asks) {
                let need = needs[of_type].saturating_add(*asks);
                for at in 0..COLUMN_LEN {
                    fits[at] &= -i64::from(column[at] >= need);
                }
            }
            for at in 0..COLUMN_LEN {
                sum[at] += fits[at];
            }
        }
    }
    sum
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Column, Group, Signed};

    #[target_feature(enable = "avx2")]
    pub(super) fn covering(columns: &[Column], need: &Signed) -> u64 {
        super::covering(columns, need)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn n_fitting(groups: &[Group], rest: &Signed) -> i64 {
        super::n_fitting(groups, rest)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn n_fitting_each(groups: &[Group], columns: &[Column], asks: &Signed) -> Column {
        super::n_fitting_each(groups, columns, asks)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::RESOURCES_MAX;

    fn amount() -> impl Strategy<Value = i64> {
        prop_oneof![-2..5_i64, Just(i64::MIN), Just(i64::MAX), any::<i64>()]
    }

    fn column() -> impl Strategy<Value = Column> {
        proptest::collection::vec(amount(), COLUMN_LEN).prop_map(|all| all.try_into().expect("as many"))
    }

    fn group(n_resources: usize) -> impl Strategy<Value = Group> {
        let needs = proptest::collection::vec(proptest::array::uniform8(amount()), n_resources);
        (needs, proptest::array::uniform8(0..3_i64)).prop_map(|(needs, weights)| Group { needs, weights })
    }

    proptest! {
        #[test]
        fn both_versions_give_what_the_definition_says(
            columns in proptest::collection::vec(column(), 3),
            need in proptest::array::uniform3(amount()),
            groups in proptest::collection::vec(group(3), 0..3),
        ) {
            let mut signed = [0; RESOURCES_MAX];
            signed[..3].copy_from_slice(&need);
            let asks = signed.map(|amount| amount.clamp(0, 100));
            let row = |at: usize| [columns[0][at], columns[1][at], columns[2][at]];
            let covers = |have: [i64; 3], need: [i64; 3]| (0..3).all(|slot| have[slot] >= need[slot]);
            let expected = (0..COLUMN_LEN).fold(0_u64, |bits, at| bits | u64::from(covers(row(at), need)) << at);
            let of_type = |group: &Group, t: usize| [group.needs[0][t], group.needs[1][t], group.needs[2][t]];
            let types = || groups.iter().flat_map(|group| (0..GROUP_LEN).map(move |t| (of_type(group, t), group.weights[t])));
            let n_fitting = |rest: [i64; 3]| types().filter(|(need, _)| covers(rest, *need)).map(|(_, w)| w).sum::<i64>();
            let with_asks = |need: [i64; 3]| std::array::from_fn(|slot| need[slot].saturating_add(asks[slot]));
            let each: Vec<i64> = (0..COLUMN_LEN)
                .map(|at| types().filter(|(need, _)| covers(row(at), with_asks(*need))).map(|(_, w)| w).sum())
                .collect();
            for machine in [Machine::Any, Machine::default()] {
                prop_assert_eq!(machine.covering(&columns, &signed), expected);
                prop_assert_eq!(machine.n_fitting(&groups, &signed), n_fitting(need));
                prop_assert_eq!(machine.n_fitting_each(&groups, &columns, &asks).to_vec(), each.clone());
            }
        }
    }
}
