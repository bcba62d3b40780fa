//! What a recipe wants next, from the state of its nodes: the whole graph at once.
//!
//! This is the model: simple, and as costly as the graph. [`super::RecipeState`] gives the same at
//! the cost of what changed.
//!
//! E1  A node blocks its children if a parent of it blocks, if it is a job that is CANCELED or FAILED, or a
//!     sub-recipe with blocked, canceled or failed jobs.
//! E2  A node is created once every parent permits it: any node that exists or may exist, but a
//!     condition only after its verdict, and only if the verdict is the one waited for.
//! E3  A node that a verdict leaves out is never created, nor is what hangs on it; both count as completed.
//! E4  The verdict waited for matters with conditions alone.

use std::sync::Arc;

use crate::model::JobStatus;

use super::definition::{Definition, NodeKind};

/// What kind of node it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Job,
    SubRecipe,
    Condition,
}

/// The shape of a recipe, by places of nodes. All recipes of a revision share one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    kinds: Vec<Kind>,
    /// Parents, each with the verdict waited for.
    parents: Vec<Vec<(u32, bool)>>,
    children: Vec<Vec<(u32, bool)>>,
    /// Parents before children.
    order: Vec<u32>,
}

/// The state of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeState {
    /// Not created yet, and maybe never.
    Absent,
    Job {
        status: JobStatus,
        has_input: bool,
    },
    /// `is_blocking`: it has blocked, canceled or failed jobs.
    SubRecipe {
        is_completed: bool,
        is_blocking: bool,
        has_input: bool,
    },
    /// `None`: no verdict yet.
    Condition {
        verdict: Option<bool>,
    },
}

/// What is to be done; nodes by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Create the node.
    Create(u32),
    /// Make the BLOCKED job PENDING.
    Unblock(u32),
    /// Make the PENDING job BLOCKED.
    Block(u32),
    /// All parents are ready: make the node's input, and queue, start or judge it.
    ProcessInput(u32),
    /// The recipe is completed.
    Complete,
}

impl Plan {
    /// From kinds and parents, each with the verdict waited for. `None` with a circle, with a
    /// parent that is no node, or where the lengths differ.
    pub(crate) fn new(kinds: Vec<Kind>, parents: Vec<Vec<(u32, bool)>>) -> Option<Self> {
        let n = kinds.len();
        if parents.len() != n || parents.iter().flatten().any(|&(parent, _)| parent as usize >= n) {
            return None;
        }
        let mut children = vec![Vec::new(); n];
        for (node, its) in (0_u32..).zip(&parents) {
            for &(parent, wanted) in its {
                children[parent as usize].push((node, wanted));
            }
        }
        let order = topological(&parents, &children)?;
        Some(Self { kinds, parents, children, order })
    }

    /// The shape of a definition, nodes in its order.
    pub(crate) fn of(definition: &Definition) -> Arc<Self> {
        let kind = |kind: &NodeKind| match kind {
            NodeKind::Job { .. } => Kind::Job,
            NodeKind::Recipe { .. } => Kind::SubRecipe,
            NodeKind::Condition { .. } => Kind::Condition,
        };
        let kinds = definition.nodes().iter().map(|node| kind(&node.kind)).collect();
        let parents = definition.nodes().iter().map(|node| node.parents.clone()).collect();
        Arc::new(Self::new(kinds, parents).unwrap_or_default())
    }

    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    pub(crate) fn kind(&self, node: u32) -> Kind {
        self.kinds[node as usize]
    }

    /// Parents of a node, each with the verdict waited for.
    pub(crate) fn parents(&self, node: u32) -> &[(u32, bool)] {
        &self.parents[node as usize]
    }

    /// Children of a node, each with the verdict it waits for.
    pub(crate) fn children(&self, node: u32) -> &[(u32, bool)] {
        &self.children[node as usize]
    }

    /// All nodes, parents before children.
    pub(crate) fn order(&self) -> &[u32] {
        &self.order
    }
}

fn topological(parents: &[Vec<(u32, bool)>], children: &[Vec<(u32, bool)>]) -> Option<Vec<u32>> {
    let mut n_unmet: Vec<usize> = parents.iter().map(Vec::len).collect();
    let mut order: Vec<u32> = (0_u32..).zip(&n_unmet).filter(|(_, n)| **n == 0).map(|(at, _)| at).collect();
    let mut next = 0;
    while let Some(&node) = order.get(next) {
        next += 1;
        for &(child, _) in &children[node as usize] {
            n_unmet[child as usize] -= 1;
            if n_unmet[child as usize] == 0 {
                order.push(child);
            }
        }
    }
    (order.len() == parents.len()).then_some(order)
}

impl NodeState {
    /// The state of a node that was just created.
    pub(crate) fn created(kind: Kind) -> Self {
        match kind {
            Kind::Job => Self::Job { status: JobStatus::Pending, has_input: false },
            Kind::SubRecipe => Self::SubRecipe { is_completed: false, is_blocking: false, has_input: false },
            Kind::Condition => Self::Condition { verdict: None },
        }
    }

    /// True if it blocks its children whatever its parents do.
    pub(super) fn blocks_by_itself(self) -> bool {
        match self {
            Self::Job { status, .. } => matches!(status, JobStatus::Canceled | JobStatus::Failed),
            Self::SubRecipe { is_blocking, .. } => is_blocking,
            Self::Absent | Self::Condition { .. } => false,
        }
    }

    /// True if the recipe need not wait for it.
    pub(super) fn is_completed(self) -> bool {
        match self {
            Self::Absent => true,
            Self::Job { status, .. } => status == JobStatus::Completed,
            Self::SubRecipe { is_completed, .. } => is_completed,
            Self::Condition { verdict } => verdict.is_some(),
        }
    }

    /// True if a child that waits for the verdict `wanted` may process its input.
    pub(super) fn is_ready_for(self, wanted: bool) -> bool {
        match self {
            Self::Absent => false,
            Self::Condition { verdict } => verdict == Some(wanted),
            Self::Job { .. } | Self::SubRecipe { .. } => self.is_completed(),
        }
    }

    /// True if a child that waits for the verdict `wanted` may be created. `may_exist`: for an
    /// absent node, whether its own parents permit it.
    pub(super) fn permits(self, kind: Kind, wanted: bool, may_exist: bool) -> bool {
        match self {
            Self::Absent => kind != Kind::Condition && may_exist,
            Self::Condition { verdict } => verdict == Some(wanted),
            Self::Job { .. } | Self::SubRecipe { .. } => true,
        }
    }

    fn lacks_input(self) -> bool {
        match self {
            Self::Absent => false,
            Self::Job { status, has_input } => {
                !has_input && matches!(status, JobStatus::Pending | JobStatus::Blocked)
            }
            Self::SubRecipe { has_input, .. } => !has_input,
            Self::Condition { verdict } => verdict.is_none(),
        }
    }

    /// What a node in this state wants, by what its parents say.
    pub(super) fn wanted(self, says: Parents) -> Wanted {
        let status = if let Self::Job { status, .. } = self { Some(status) } else { None };
        let is_blocked = says.block || self.blocks_by_itself();
        Wanted {
            create: self == Self::Absent && says.permit,
            unblock: status == Some(JobStatus::Blocked) && !is_blocked,
            block: status == Some(JobStatus::Pending) && is_blocked,
            process: says.are_ready && self.lacks_input(),
        }
    }
}

/// What the parents of a node say to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parents {
    pub(super) block: bool,
    pub(super) permit: bool,
    /// All are ready, and the recipe has input.
    pub(super) are_ready: bool,
}

/// What a node wants done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent")]
pub(super) struct Wanted {
    pub(super) create: bool,
    unblock: bool,
    block: bool,
    process: bool,
}

impl Wanted {
    /// What is wanted here and was not in `before`.
    pub(super) fn actions_since(self, before: Self, node: u32) -> impl Iterator<Item = Action> {
        [
            (self.create && !before.create, Action::Create(node)),
            (self.unblock && !before.unblock, Action::Unblock(node)),
            (self.block && !before.block, Action::Block(node)),
            (self.process && !before.process, Action::ProcessInput(node)),
        ]
        .into_iter()
        .filter_map(|(is_new, action)| is_new.then_some(action))
    }
}

/// Everything a recipe in this state wants, in the order of [`Action`]. Nodes without a state are absent.
#[cfg(test)]
pub(crate) fn evaluate(plan: &Plan, states: &[NodeState], has_input: bool) -> Vec<Action> {
    let state = |node: u32| states.get(node as usize).copied().unwrap_or(NodeState::Absent);
    let mut blocks = vec![false; plan.len()];
    let mut may_exist = vec![false; plan.len()];
    let mut actions = Vec::new();
    let mut is_complete = true;
    for &node in plan.order() {
        let parents = plan.parents(node);
        let says = Parents {
            block: parents.iter().any(|&(parent, _)| blocks[parent as usize]),
            permit: parents.iter().all(|&(parent, wanted)| {
                state(parent).permits(plan.kind(parent), wanted, may_exist[parent as usize])
            }),
            are_ready: has_input
                && parents.iter().all(|&(parent, wanted)| state(parent).is_ready_for(wanted)),
        };
        blocks[node as usize] = says.block || state(node).blocks_by_itself();
        may_exist[node as usize] = says.permit;
        let wanted = state(node).wanted(says);
        is_complete &= !wanted.create && state(node).is_completed();
        actions.extend(wanted.actions_since(Wanted::default(), node));
    }
    actions.extend(is_complete.then_some(Action::Complete));
    actions.sort_unstable();
    actions
}
