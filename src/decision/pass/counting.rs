//! How many job types would still fit into what is left of a node: Scale's measure of what a
//! placement spoils.

use std::collections::BTreeMap;

use super::machine::{Column, GROUP_LEN, Group, Machine};
use super::need::{Need, Signed};

/// The requests of all job types; equal ones are counted together.
#[derive(Clone, Debug, Default)]
pub(super) struct TypeNeeds {
    machine: Machine,
    groups: Vec<Group>,
}

impl TypeNeeds {
    pub(super) fn new(types: impl IntoIterator<Item = Need>, n_resources: usize) -> Self {
        let mut counted: BTreeMap<Signed, i64> = BTreeMap::new();
        for need in types {
            *counted.entry(need.0).or_default() += 1;
        }
        let classes: Vec<(Signed, i64)> = counted.into_iter().collect();
        let group = |chunk: &[(Signed, i64)]| {
            // What fills up the last group counts for nothing.
            let need = |slot: usize, at: usize| chunk.get(at).map_or(i64::MAX, |(need, _)| need[slot]);
            Group {
                needs: (0..n_resources).map(|slot| std::array::from_fn(|at| need(slot, at))).collect(),
                weights: std::array::from_fn(|at| chunk.get(at).map_or(0, |(_, weight)| *weight)),
            }
        };
        Self { machine: Machine::default(), groups: classes.chunks(GROUP_LEN).map(group).collect() }
    }

    /// How many types fit in `rest`. Cost: a few instructions for each eight distinct requests and
    /// resource.
    pub(super) fn n_fitting(&self, rest: &Signed) -> u32 {
        u32::try_from(self.machine.n_fitting(&self.groups, rest)).unwrap_or(u32::MAX - 1)
    }

    /// The same for sixty-four nodes, each less `asks`.
    pub(super) fn n_fitting_each(&self, columns: &[Column], asks: &Signed) -> [u32; 64] {
        let each = self.machine.n_fitting_each(&self.groups, columns, asks);
        each.map(|n| u32::try_from(n).unwrap_or(u32::MAX - 1))
    }
}
