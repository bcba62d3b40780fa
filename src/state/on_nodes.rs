//! What runs on each node: which executions, and what they got in all.
//!
//! N1  It is what a look at all that runs would find.

use std::collections::BTreeMap;

use foldhash::HashSet;

use crate::model::{ExeId, NodeId};
use crate::queue::Amounts;

#[derive(Default)]
struct OnNode {
    in_use: Amounts,
    exes: HashSet<ExeId>,
}

/// See the file. A node on which nothing runs any more keeps its place.
#[derive(Default)]
pub(super) struct OnNodes(BTreeMap<NodeId, OnNode>);

impl OnNodes {
    pub(super) fn in_use(&self, node: NodeId) -> Amounts {
        self.0.get(&node).map(|on| on.in_use).unwrap_or_default()
    }

    /// In no order.
    pub(super) fn exes(&self, node: NodeId) -> impl ExactSizeIterator<Item = ExeId> {
        self.0.get(&node).map(|on| on.exes.iter().copied()).unwrap_or_default()
    }

    pub(super) fn add(&mut self, node: NodeId, exe: ExeId, got: &Amounts) {
        let on = self.0.entry(node).or_default();
        on.in_use = on.in_use.plus(got);
        on.exes.insert(exe);
    }

    pub(super) fn remove(&mut self, node: NodeId, exe: ExeId, got: &Amounts) {
        let Some(on) = self.0.get_mut(&node) else { return };
        on.in_use = on.in_use.minus_or_zero(got);
        on.exes.remove(&exe);
    }

    /// Holds N1 against all that runs: each on its node, once.
    ///
    /// # Panics
    /// Where it does not hold.
    pub(super) fn check_invariants(&self, running: impl ExactSizeIterator<Item = (ExeId, NodeId, Amounts)>) {
        let n_running = running.len();
        let mut in_use: BTreeMap<NodeId, Amounts> = BTreeMap::new();
        for (exe, node, got) in running {
            assert!(self.0.get(&node).is_some_and(|on| on.exes.contains(&exe)), "N1: {exe} on node {node}");
            let sum = in_use.entry(node).or_default();
            *sum = sum.plus(&got);
        }
        assert_eq!(
            self.0.values().map(|on| on.exes.len()).sum::<usize>(),
            n_running,
            "N1: of what does not run"
        );
        for (node, on) in &self.0 {
            assert_eq!(on.in_use, in_use.get(node).copied().unwrap_or_default(), "N1: node {node}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> (OnNodes, Vec<(ExeId, NodeId, Amounts)>) {
        let mut got = Amounts::default();
        got.0[0] = 500;
        let all = vec![(ExeId(7), NodeId(1), got), (ExeId(3), NodeId(1), got), (ExeId(4), NodeId(2), got)];
        let mut on = OnNodes::default();
        for (exe, node, got) in &all {
            on.add(*node, *exe, got);
        }
        (on, all)
    }

    #[test]
    fn what_ends_is_gone_from_its_node_alone() {
        let (mut on, mut all) = two();
        on.check_invariants(all.iter().copied());
        let (exe, node, got) = all.remove(0);
        on.remove(node, exe, &got);
        on.check_invariants(all.iter().copied());
        assert!(on.exes(NodeId(1)).eq([ExeId(3)]));
        assert_eq!((on.in_use(NodeId(1)), on.in_use(NodeId(9))), (got, Amounts::default()));
        assert_eq!(on.exes(NodeId(9)).len(), 0);
    }

    #[test]
    #[should_panic(expected = "N1: of what does not run")]
    fn what_stays_behind_is_seen() {
        let (on, all) = two();
        on.check_invariants(all.into_iter().take(2));
    }
}
