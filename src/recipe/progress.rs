//! A recipe on its way: the state of its nodes, and counters, so that a change costs the children.
//!
//! R1  After every change the actions given are those that [`super::evaluate`] wants now and did not before.
//! R2  A change looks at the node's children, and further only where blocking, or the permission to
//!     create, flows on.

use std::sync::Arc;

use foldhash::HashMap;

use crate::model::JobStatus;

use super::evaluate::{Action, NodeState, Parents, Plan, Wanted};

/// How many parents of a node hold it back, and by what.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    n_blocking: u32,
    n_forbidding: u32,
    n_unready: u32,
}

/// What a node says to its children, by the verdict that they wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Says {
    blocks: bool,
    permits: [bool; 2],
    is_ready: [bool; 2],
}

/// A recipe's nodes and what they want.
#[derive(Clone, Debug)]
pub(crate) struct RecipeState {
    plan: Arc<Plan>,
    states: Vec<NodeState>,
    counters: Vec<Counters>,
    has_input: bool,
    /// Nodes that may be created and are not.
    n_to_create: usize,
    /// Nodes that exist and are not completed.
    n_open: usize,
    n_looked_at: u64,
}

impl RecipeState {
    /// A recipe of which nothing exists yet, and what to do first.
    #[cfg(test)]
    pub(crate) fn new(plan: Arc<Plan>, has_input: bool) -> (Self, Vec<Action>) {
        let states = vec![NodeState::Absent; plan.len()];
        Self::restored(plan, states, has_input)
    }

    /// A recipe in any state, and everything it wants. Cost: the graph. Missing states are absent nodes.
    pub(crate) fn restored(
        plan: Arc<Plan>,
        mut states: Vec<NodeState>,
        has_input: bool,
    ) -> (Self, Vec<Action>) {
        states.resize(plan.len(), NodeState::Absent);
        let counters = vec![Counters::default(); plan.len()];
        let mut made = Self { plan, states, counters, has_input, n_to_create: 0, n_open: 0, n_looked_at: 0 };
        let plan = Arc::clone(&made.plan);
        for &node in plan.order() {
            made.counters[node as usize] = made.counted(node);
        }
        let mut actions = Vec::new();
        for node in plan.order() {
            let wanted = made.wanted(*node);
            made.n_to_create += usize::from(wanted.create);
            made.n_open += usize::from(!made.states[*node as usize].is_completed());
            actions.extend(wanted.actions_since(Wanted::default(), *node));
        }
        actions.extend(made.is_completed().then_some(Action::Complete));
        actions.sort_unstable();
        (made, actions)
    }

    /// The state of a node.
    pub(crate) fn state(&self, node: u32) -> NodeState {
        self.states.get(node as usize).copied().unwrap_or(NodeState::Absent)
    }

    /// Parents of a node that are not done, or not with the verdict it waits for.
    pub(crate) fn unready_parents(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        let is_unready = |&&(parent, wanted): &&(u32, bool)| !self.says(parent).is_ready[usize::from(wanted)];
        self.plan.parents(node).iter().filter(is_unready).map(|(parent, _)| *parent)
    }

    /// Parents of a node that block it.
    pub(crate) fn blocking_parents(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.plan.parents(node).iter().map(|(parent, _)| *parent).filter(|parent| self.says(*parent).blocks)
    }

    /// True for a recipe that got its input.
    pub(crate) const fn has_input(&self) -> bool {
        self.has_input
    }

    /// True with nothing left to create and all that exists completed.
    pub(crate) fn is_completed(&self) -> bool {
        self.n_to_create == 0 && self.n_open == 0
    }

    /// Nodes looked at by all changes so far.
    #[cfg(test)]
    pub(crate) fn n_looked_at(&self) -> u64 {
        self.n_looked_at
    }

    /// The recipe got its input. Cost: the graph, once in its life.
    pub(crate) fn input_given(&mut self) -> Vec<Action> {
        if self.has_input {
            return Vec::new();
        }
        let before: Vec<Wanted> = (0_u32..).take(self.plan.len()).map(|node| self.wanted(node)).collect();
        self.has_input = true;
        let mut actions: Vec<Action> = (0_u32..)
            .zip(before)
            .flat_map(|(node, before)| self.wanted(node).actions_since(before, node).collect::<Vec<_>>())
            .collect();
        actions.sort_unstable();
        actions
    }

    /// The node was created, without input.
    pub(crate) fn node_created(&mut self, node: u32) -> Vec<Action> {
        let is_new = self.state(node) == NodeState::Absent && (node as usize) < self.plan.len();
        if is_new { self.set(node, NodeState::created(self.plan.kind(node))) } else { Vec::new() }
    }

    /// The job is in that status now. A node that is no job stays as it is.
    #[cfg(test)]
    pub(crate) fn job_changed(&mut self, node: u32, status: JobStatus) -> Vec<Action> {
        match self.state(node) {
            NodeState::Job { has_input, .. } => self.set(node, NodeState::Job { status, has_input }),
            _ => Vec::new(),
        }
    }

    /// The job is in that status now, with or without input.
    pub(crate) fn job_stands(&mut self, node: u32, status: JobStatus, has_input: bool) -> Vec<Action> {
        match self.state(node) {
            NodeState::Job { .. } => self.set(node, NodeState::Job { status, has_input }),
            _ => Vec::new(),
        }
    }

    /// The node, a job or a sub-recipe, has its input now.
    pub(crate) fn input_processed(&mut self, node: u32) -> Vec<Action> {
        match self.state(node) {
            NodeState::Job { status, .. } => self.set(node, NodeState::Job { status, has_input: true }),
            NodeState::SubRecipe { is_completed, is_blocking, .. } => {
                self.set(node, NodeState::SubRecipe { is_completed, is_blocking, has_input: true })
            }
            NodeState::Absent | NodeState::Condition { .. } => Vec::new(),
        }
    }

    /// The condition has its verdict.
    pub(crate) fn condition_done(&mut self, node: u32, is_accepted: bool) -> Vec<Action> {
        match self.state(node) {
            NodeState::Condition { .. } => {
                self.set(node, NodeState::Condition { verdict: Some(is_accepted) })
            }
            _ => Vec::new(),
        }
    }

    /// The sub-recipe is completed or not, and has blocked, canceled or failed jobs or not.
    pub(crate) fn sub_recipe_changed(
        &mut self,
        node: u32,
        is_completed: bool,
        is_blocking: bool,
    ) -> Vec<Action> {
        match self.state(node) {
            NodeState::SubRecipe { has_input, .. } => {
                self.set(node, NodeState::SubRecipe { is_completed, is_blocking, has_input })
            }
            _ => Vec::new(),
        }
    }

    /// Puts a node of the plan into a state, and gives what is wanted now and was not before.
    fn set(&mut self, node: u32, state: NodeState) -> Vec<Action> {
        let plan = Arc::clone(&self.plan);
        let was_completed = self.is_completed();
        let mut before = HashMap::default();
        self.look_at(node, &mut before);
        let said = self.says(node);
        let old = std::mem::replace(&mut self.states[node as usize], state);
        self.n_open = self.n_open + usize::from(!state.is_completed()) - usize::from(!old.is_completed());
        // What the children of a node still believe that it says.
        let mut believed = HashMap::default();
        believed.insert(node, said);
        let mut spoken = vec![node];
        while let Some(parent) = spoken.pop() {
            let says = self.says(parent);
            let Some(said) = believed.remove(&parent).filter(|said| *said != says) else { continue };
            for &(child, wanted) in plan.children(parent) {
                self.look_at(child, &mut before);
                let said_by_child = self.says(child);
                self.counters[child as usize].hear(said, says, usize::from(wanted));
                if self.says(child) != said_by_child {
                    believed.entry(child).or_insert(said_by_child);
                    spoken.push(child);
                }
            }
        }
        let mut actions = Vec::new();
        for (node, before) in before {
            let wanted = self.wanted(node);
            self.n_to_create = self.n_to_create + usize::from(wanted.create) - usize::from(before.create);
            actions.extend(wanted.actions_since(before, node));
        }
        actions.extend((self.is_completed() && !was_completed).then_some(Action::Complete));
        actions.sort_unstable();
        actions
    }

    fn look_at(&mut self, node: u32, before: &mut HashMap<u32, Wanted>) {
        self.n_looked_at += 1;
        let wanted = self.wanted(node);
        before.entry(node).or_insert(wanted);
    }

    fn wanted(&self, node: u32) -> Wanted {
        let counters = self.counters[node as usize];
        self.states[node as usize].wanted(Parents {
            block: counters.n_blocking > 0,
            permit: counters.n_forbidding == 0,
            are_ready: self.has_input && counters.n_unready == 0,
        })
    }

    fn says(&self, node: u32) -> Says {
        let (state, counters) = (self.states[node as usize], self.counters[node as usize]);
        let permits = |wanted| state.permits(self.plan.kind(node), wanted, counters.n_forbidding == 0);
        Says {
            blocks: counters.n_blocking > 0 || state.blocks_by_itself(),
            permits: [permits(false), permits(true)],
            is_ready: [state.is_ready_for(false), state.is_ready_for(true)],
        }
    }

    /// The counters of a node, from what its parents say.
    fn counted(&self, node: u32) -> Counters {
        let mut counters = Counters::default();
        for &(parent, wanted) in self.plan.parents(node) {
            let says = self.says(parent);
            counters.n_blocking += u32::from(says.blocks);
            counters.n_forbidding += u32::from(!says.permits[usize::from(wanted)]);
            counters.n_unready += u32::from(!says.is_ready[usize::from(wanted)]);
        }
        counters
    }
}

impl Counters {
    /// A parent said one thing and says another now.
    fn hear(&mut self, said: Says, says: Says, wanted: usize) {
        self.n_blocking = self.n_blocking + u32::from(says.blocks) - u32::from(said.blocks);
        self.n_forbidding =
            self.n_forbidding + u32::from(said.permits[wanted]) - u32::from(says.permits[wanted]);
        self.n_unready = self.n_unready + u32::from(said.is_ready[wanted]) - u32::from(says.is_ready[wanted]);
    }
}
