//! Where an entry goes, by plain loops over nodes and types: what fast placing has to agree with.
//!
//! Written from the rules in tests/golden/README.md and from nothing else. Everything is summed up
//! anew for every question.

use std::collections::BTreeMap;

use weighbridge::{NodeId, NodeResources, Place, Placement, ResourceName};

/// An execution that runs on a node.
#[derive(Clone, Debug)]
pub(crate) struct ModelRunning {
    pub(crate) priority: i32,
    pub(crate) resources: NodeResources,
    /// True while a task of it uses its resources; false between two tasks.
    pub(crate) is_current: bool,
}

/// A node.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelNode {
    pub(crate) id: NodeId,
    pub(crate) is_ready: bool,
    /// What is on offer now.
    pub(crate) offered: NodeResources,
    /// The most that was offered and used lately.
    pub(crate) watermark: NodeResources,
    pub(crate) running: Vec<ModelRunning>,
    /// Tasks that belong to no job.
    pub(crate) other: Vec<NodeResources>,
    /// Given away from this offer before the pass.
    pub(crate) pre: Vec<NodeResources>,
    /// Placed in this pass, with the priority.
    pub(crate) placed: Vec<(i32, NodeResources)>,
    /// True once it is kept for an entry.
    pub(crate) is_reserved: bool,
}

/// Amounts in thousandths, which may be below zero. The standard names are always there.
#[derive(Clone, Debug)]
struct Left(BTreeMap<ResourceName, i64>);

impl Left {
    fn of(resources: &NodeResources) -> Self {
        let mut left = BTreeMap::new();
        for name in ResourceName::STANDARD {
            left.insert(ResourceName::new(name).expect("a standard name is a name"), 0);
        }
        for (name, amount) in resources.iter() {
            left.insert(name.clone(), i64::try_from(amount.0).expect("an amount fits an i64"));
        }
        Self(left)
    }

    /// Without `used`; a name that is not there stays away.
    fn less(mut self, used: &NodeResources) -> Self {
        for (name, used) in Self::of(used).0 {
            if let Some(left) = self.0.get_mut(&name) {
                *left -= used;
            }
        }
        self
    }

    fn less_all<'a>(self, used: impl IntoIterator<Item = &'a NodeResources>) -> Self {
        used.into_iter().fold(self, Self::less)
    }

    /// Whether every name of `need` is here in that amount. Nothing of a name that is not here is
    /// met; nothing of one that is below zero is not.
    fn covers(&self, need: &NodeResources) -> bool {
        Self::of(need).0.iter().all(|(name, need)| match self.0.get(name) {
            Some(left) => left >= need,
            None => *need == 0,
        })
    }
}

impl ModelNode {
    fn placed(&self) -> impl Iterator<Item = &NodeResources> {
        self.placed.iter().map(|(_, resources)| resources)
    }

    /// What is on offer and not given away.
    fn on_offer(&self) -> Left {
        Left::of(&self.offered).less_all(&self.pre).less_all(self.placed())
    }

    /// What would be there with nothing used but what is used now.
    fn unused(&self) -> Left {
        let current = self.running.iter().filter(|it| it.is_current).map(|it| &it.resources);
        Left::of(&self.watermark)
            .less_all(current)
            .less_all(&self.other)
            .less_all(&self.pre)
            .less_all(self.placed())
    }

    /// What would be there for an entry once all that is less important has ended.
    fn reservable(&self, priority: i32) -> Left {
        let running = self.running.iter().filter(|it| it.priority <= priority).map(|it| &it.resources);
        let placed = self.placed.iter().filter(|(of, _)| *of <= priority).map(|(_, resources)| resources);
        Left::of(&self.watermark).less_all(&self.other).less_all(running).less_all(placed)
    }
}

/// The nodes in the course of a pass, and what job types ask for.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    nodes: Vec<ModelNode>,
    type_resources: Vec<NodeResources>,
}

impl Model {
    pub(crate) fn new(mut nodes: Vec<ModelNode>, type_resources: Vec<NodeResources>) -> Self {
        nodes.sort_by_key(|node| node.id);
        Self { nodes, type_resources }
    }

    /// How many job types fit in what is left.
    fn score(&self, left: &Left) -> u32 {
        let n_types = self.type_resources.iter().filter(|asks| left.covers(asks)).count();
        u32::try_from(n_types).expect("fewer types than fill a u32")
    }

    /// The score and index of the best node, by what `score_on` gives: the lowest score, of equal
    /// ones the lowest id.
    fn best(&self, score_on: impl Fn(&ModelNode) -> Option<u32>) -> Option<(u32, usize)> {
        let open = self.nodes.iter().enumerate().filter(|(_, node)| node.is_ready && !node.is_reserved);
        open.filter_map(|(at, node)| Some((score_on(node)?, at))).min()
    }

    fn run_score(&self, node: &ModelNode, asks: &NodeResources) -> Option<u32> {
        node.on_offer().covers(asks).then(|| self.score(&node.unused().less(asks)))
    }

    fn reserve_score(&self, node: &ModelNode, asks: &NodeResources, priority: i32) -> Option<u32> {
        let left = node.reservable(priority);
        left.covers(asks).then(|| self.score(&left.less(asks)))
    }
}

impl Place for Model {
    fn place(&mut self, asks: &NodeResources, priority: i32) -> Placement {
        if let Some((score, at)) = self.best(|node| self.run_score(node, asks)) {
            self.nodes[at].placed.push((priority, asks.clone()));
            return Placement::Run { node: self.nodes[at].id, score };
        }
        if let Some((score, at)) = self.best(|node| self.reserve_score(node, asks, priority)) {
            self.nodes[at].is_reserved = true;
            return Placement::Reserve { node: self.nodes[at].id, score };
        }
        Placement::Nowhere
    }
}
