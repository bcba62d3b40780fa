//! What follows in a recipe when one of its nodes changes: which nodes come into being, which jobs are blocked
//! or free again, whose input can be made, and when all is done.
//!
//! Core: no I/O, clock, lock or logging.
//!
//! F1  After every change what was given out is what a look at the whole graph would give.
//! F2  What a condition found does not change.
//! F3  A change costs the edges of the node that changed; only blocks and what they free spread further.
//!
//! # Source
//! Scale's evaluation of a recipe. There a node that waits for a condition not to be met is made whatever
//! becomes of the condition, and never runs.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::JobStatus;

/// What a node is, whatever stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Job,
    Recipe,
    Condition,
}

/// A graph without names: nodes are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) shapes: Vec<Shape>,
    /// Of each node the nodes it waits for, and whether it waits for them to be accepted.
    pub(crate) parents: Vec<Vec<(u32, bool)>>,
    children: Vec<Vec<(u32, bool)>>,
}

impl Layout {
    /// Parents that are out of range are left out.
    pub(crate) fn new(shapes: Vec<Shape>, mut parents: Vec<Vec<(u32, bool)>>) -> Self {
        let n = shapes.len();
        parents.resize(n, Vec::new());
        let mut children = vec![Vec::new(); n];
        for (node, parents) in (0..).zip(&mut parents) {
            parents.retain(|(parent, _)| (*parent as usize) < n);
            for (parent, acceptance) in parents {
                children[*parent as usize].push((node, *acceptance));
            }
        }
        Self { shapes, parents, children }
    }

    pub(crate) fn len(&self) -> usize {
        self.shapes.len()
    }
}

/// What stands for a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NodeState {
    #[default]
    Missing,
    Job {
        status: JobStatus,
        has_input: bool,
    },
    Recipe {
        is_completed: bool,
        /// Some job in it is blocked, failed or canceled.
        blocks: bool,
        has_input: bool,
    },
    Condition {
        is_processed: bool,
        is_accepted: bool,
    },
}

impl NodeState {
    fn is_completed(self) -> bool {
        match self {
            Self::Missing => true,
            Self::Job { status, .. } => status == JobStatus::Completed,
            Self::Recipe { is_completed, .. } => is_completed,
            Self::Condition { is_processed, .. } => is_processed,
        }
    }

    /// Its children can make their inputs.
    fn is_ready(self, acceptance: bool) -> bool {
        match self {
            Self::Missing => false,
            Self::Condition { is_processed, is_accepted } => is_processed && is_accepted == acceptance,
            Self::Job { .. } | Self::Recipe { .. } => self.is_completed(),
        }
    }

    /// It keeps its children from running by itself.
    fn blocks(self) -> bool {
        match self {
            Self::Job { status, .. } => matches!(status, JobStatus::Canceled | JobStatus::Failed),
            Self::Recipe { blocks, .. } => blocks,
            Self::Missing | Self::Condition { .. } => false,
        }
    }

    fn wants_input(self) -> bool {
        match self {
            Self::Missing => false,
            Self::Job { status, has_input } => {
                !has_input && matches!(status, JobStatus::Pending | JobStatus::Blocked)
            }
            Self::Recipe { has_input, .. } => !has_input,
            Self::Condition { is_processed, .. } => !is_processed,
        }
    }
}

/// What has to be done in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Bring the node into being.
    Create(u32),
    /// Its job cannot run.
    Block(u32),
    /// Its job can run again.
    Unblock(u32),
    /// Make its input.
    Process(u32),
    /// All is done.
    Complete,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    state: NodeState,
    /// Parents that block, by themselves or by theirs.
    n_blocking: u32,
    /// Edges on which nothing can be made yet, or ever.
    n_forbidding: u32,
    /// Edges on which no input can be made yet.
    n_unready: u32,
}

/// A recipe that goes on.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    layout: Arc<Layout>,
    nodes: Vec<Node>,
    has_input: bool,
    /// Nodes that are not completed, or have to be made.
    n_open: usize,
    /// Nodes that were looked at so far.
    #[cfg(test)]
    pub(crate) n_looks: usize,
}

impl Flow {
    /// One of which nothing stands yet. Its first actions come with `begin`.
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        let edges = |node: usize| u32::try_from(layout.parents[node].len()).unwrap_or(u32::MAX);
        let nodes: Vec<Node> = (0..layout.len())
            .map(|node| Node { n_forbidding: 0, n_unready: edges(node), ..Node::default() })
            .collect();
        let mut flow = Self {
            nodes,
            has_input: false,
            n_open: 0,
            layout,
            #[cfg(test)]
            n_looks: 0,
        };
        flow.n_open = flow.layout.len();
        // A condition that is missing lets nothing be made behind it.
        let conditions: Vec<u32> = (0..)
            .zip(&flow.layout.shapes)
            .filter(|(_, shape)| **shape == Shape::Condition)
            .map(|(at, _)| at)
            .collect();
        let mut forbids: VecDeque<u32> = VecDeque::new();
        for condition in conditions {
            flow.forbid_children(condition, &mut forbids);
        }
        while let Some(node) = forbids.pop_front() {
            flow.n_open -= 1;
            if flow.layout.shapes[node as usize] != Shape::Condition {
                flow.forbid_children(node, &mut forbids);
            }
        }
        flow
    }

    /// Counts an edge more on which nothing can be made; `newly` gets children that could be made before.
    fn forbid_children(&mut self, node: u32, newly: &mut VecDeque<u32>) {
        for (child, _) in &self.layout.clone().children[node as usize] {
            let child_node = &mut self.nodes[*child as usize];
            child_node.n_forbidding += 1;
            if child_node.n_forbidding == 1 {
                newly.push_back(*child);
            }
        }
    }

    pub(crate) fn state(&self, node: u32) -> NodeState {
        self.nodes.get(node as usize).map_or(NodeState::Missing, |node| node.state)
    }

    /// What is to be made at first, parents before children.
    pub(crate) fn begin(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut n_left: Vec<usize> = self.layout.parents.iter().map(Vec::len).collect();
        let mut ready: VecDeque<u32> =
            (0..).zip(&n_left).filter(|(_, n)| **n == 0).map(|(at, _)| at).collect();
        while let Some(node) = ready.pop_front() {
            let known = &self.nodes[node as usize];
            if known.state == NodeState::Missing && known.n_forbidding == 0 {
                actions.push(Action::Create(node));
            }
            for (child, _) in &self.layout.children[node as usize] {
                n_left[*child as usize] -= 1;
                if n_left[*child as usize] == 0 {
                    ready.push_back(*child);
                }
            }
        }
        if self.n_open == 0 {
            actions.push(Action::Complete);
        }
        actions
    }

    /// The recipe has its input: those that wait for nothing else can make theirs.
    pub(crate) fn input_came(&mut self) -> Vec<Action> {
        self.has_input = true;
        let may = |(at, node): (u32, &Node)| {
            (node.n_unready == 0 && node.state.wants_input()).then_some(Action::Process(at))
        };
        (0..).zip(&self.nodes).filter_map(may).collect()
    }

    /// What a parent in that state keeps from being made on an edge.
    fn forbids(&self, node: u32, acceptance: bool) -> bool {
        let known = &self.nodes[node as usize];
        match known.state {
            NodeState::Missing => {
                known.n_forbidding > 0 || self.layout.shapes[node as usize] == Shape::Condition
            }
            NodeState::Condition { is_processed, is_accepted } => !is_processed || is_accepted != acceptance,
            NodeState::Job { .. } | NodeState::Recipe { .. } => false,
        }
    }

    fn blocks(&self, node: u32) -> bool {
        let known = &self.nodes[node as usize];
        known.n_blocking > 0 || known.state.blocks()
    }

    fn is_open(&self, node: u32) -> bool {
        let known = &self.nodes[node as usize];
        match known.state {
            NodeState::Missing => known.n_forbidding == 0,
            state => !state.is_completed(),
        }
    }

    /// Something else stands for a node, or it stands otherwise. Says what follows.
    ///
    /// Cost: its children; those behind them where it begins or ceases to block, or lets nodes be made.
    pub(crate) fn change(&mut self, node: u32, state: NodeState) -> Vec<Action> {
        let mut actions = Vec::new();
        if (node as usize) >= self.nodes.len() || self.nodes[node as usize].state == state {
            return actions;
        }
        let before = self.nodes[node as usize].state;
        let was_open = self.is_open(node);
        let was_blocking = self.blocks(node);
        let layout = self.layout.clone();
        let children = &layout.children[node as usize];
        let forbade: Vec<bool> =
            children.iter().map(|(_, acceptance)| self.forbids(node, *acceptance)).collect();
        self.nodes[node as usize].state = state;
        self.look(1 + children.len());
        self.count_open(was_open, self.is_open(node));
        self.judge(node, &mut actions);
        for ((child, acceptance), forbade) in children.iter().zip(forbade) {
            if before.is_ready(*acceptance) != state.is_ready(*acceptance) {
                let is_ready = state.is_ready(*acceptance);
                let known = &mut self.nodes[*child as usize];
                known.n_unready =
                    if is_ready { known.n_unready.saturating_sub(1) } else { known.n_unready + 1 };
                if is_ready {
                    self.may_process(*child, &mut actions);
                }
            }
            if forbade && !self.forbids(node, *acceptance) {
                self.allow(*child, &mut actions);
            }
        }
        if was_blocking != self.blocks(node) {
            self.spread(node, &mut actions);
        }
        if was_open && self.n_open == 0 {
            actions.push(Action::Complete);
        }
        actions
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "counts in tests"))]
    fn look(&mut self, n: usize) {
        #[cfg(test)]
        {
            self.n_looks += n;
        }
        #[cfg(not(test))]
        let _ = n;
    }

    fn count_open(&mut self, was: bool, is: bool) {
        match (was, is) {
            (true, false) => self.n_open -= 1,
            (false, true) => self.n_open += 1,
            _ => {}
        }
    }

    /// One edge less forbids `node`; what is missing behind it follows.
    fn allow(&mut self, node: u32, actions: &mut Vec<Action>) {
        let layout = self.layout.clone();
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            let known = &mut self.nodes[node as usize];
            known.n_forbidding = known.n_forbidding.saturating_sub(1);
            if known.n_forbidding > 0 || known.state != NodeState::Missing {
                continue;
            }
            self.n_open += 1;
            actions.push(Action::Create(node));
            self.look(1);
            if layout.shapes[node as usize] != Shape::Condition {
                stack.extend(layout.children[node as usize].iter().rev().map(|(child, _)| *child));
            }
        }
    }

    fn may_process(&mut self, node: u32, actions: &mut Vec<Action>) {
        self.look(1);
        let known = &self.nodes[node as usize];
        if self.has_input && known.n_unready == 0 && known.state.wants_input() {
            actions.push(Action::Process(node));
        }
    }

    /// Whether a job has to be marked, and whether its input can be made.
    fn judge(&mut self, node: u32, actions: &mut Vec<Action>) {
        let known = self.nodes[node as usize];
        match known.state {
            NodeState::Job { status: JobStatus::Pending, .. } if known.n_blocking > 0 => {
                actions.push(Action::Block(node));
            }
            NodeState::Job { status: JobStatus::Blocked, .. } if known.n_blocking == 0 => {
                actions.push(Action::Unblock(node));
            }
            _ => {}
        }
        self.may_process(node, actions);
    }

    /// `node` began or ceased to block its children.
    fn spread(&mut self, node: u32, actions: &mut Vec<Action>) {
        let layout = self.layout.clone();
        let mut stack = vec![(node, self.blocks(node))];
        while let Some((node, blocks)) = stack.pop() {
            for (child, _) in &layout.children[node as usize] {
                self.look(1);
                let was = self.blocks(*child);
                let known = &mut self.nodes[*child as usize];
                known.n_blocking =
                    if blocks { known.n_blocking + 1 } else { known.n_blocking.saturating_sub(1) };
                let is_job =
                    |status| matches!(known.state, NodeState::Job { status: is, .. } if is == status);
                if blocks && is_job(JobStatus::Pending) {
                    actions.push(Action::Block(*child));
                } else if !blocks && known.n_blocking == 0 && is_job(JobStatus::Blocked) {
                    actions.push(Action::Unblock(*child));
                }
                if was != self.blocks(*child) {
                    stack.push((*child, blocks));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A look at the whole graph, after the words of the original.
    struct Whole<'f> {
        layout: &'f Layout,
        states: Vec<NodeState>,
        has_input: bool,
    }

    impl Whole<'_> {
        fn order(&self) -> Vec<usize> {
            // Parents have lower numbers here.
            (0..self.layout.len()).collect()
        }

        fn actions(&self) -> BTreeSet<Action> {
            let n = self.layout.len();
            let (mut blocks, mut lets) = (vec![false; n], vec![true; n]);
            let mut found = BTreeSet::new();
            let mut is_done = true;
            for at in self.order() {
                let id = u32::try_from(at).expect("few");
                let parents = &self.layout.parents[at];
                let by_parents = parents.iter().any(|(p, _)| blocks[*p as usize]);
                let state = self.states[at];
                blocks[at] = by_parents || state.blocks();
                match state {
                    NodeState::Job { status: JobStatus::Pending, .. } if by_parents => {
                        found.insert(Action::Block(id));
                    }
                    NodeState::Job { status: JobStatus::Blocked, .. } if !by_parents => {
                        found.insert(Action::Unblock(id));
                    }
                    _ => {}
                }
                let allowed = parents.iter().all(|(p, acceptance)| {
                    let verdict = match self.states[*p as usize] {
                        NodeState::Condition { is_processed, is_accepted } => {
                            is_processed && is_accepted == *acceptance
                        }
                        _ => true,
                    };
                    lets[*p as usize] && verdict
                });
                lets[at] = match state {
                    NodeState::Missing => allowed && self.layout.shapes[at] != Shape::Condition,
                    NodeState::Condition { is_processed, .. } => is_processed,
                    _ => true,
                };
                if state == NodeState::Missing && allowed {
                    found.insert(Action::Create(id));
                    is_done = false;
                }
                is_done &= state.is_completed();
                let is_ready =
                    parents.iter().all(|(p, acceptance)| self.states[*p as usize].is_ready(*acceptance));
                if self.has_input && is_ready && state.wants_input() {
                    found.insert(Action::Process(id));
                }
            }
            if is_done {
                found.insert(Action::Complete);
            }
            found
        }
    }

    fn layout(shapes: &[u8], edges: &[(usize, usize, bool)]) -> Layout {
        let n = shapes.len();
        let shapes = shapes.iter().map(|shape| match shape % 4 {
            0 | 1 => Shape::Job,
            2 => Shape::Recipe,
            _ => Shape::Condition,
        });
        let shapes: Vec<Shape> = shapes.collect();
        let mut parents: Vec<Vec<(u32, bool)>> = vec![Vec::new(); n];
        for (a, b, acceptance) in edges {
            let (low, high) = ((a % n).min(b % n), (a % n).max(b % n));
            if low != high && !parents[high].iter().any(|(p, _)| *p as usize == low) {
                let acceptance = *acceptance || shapes[low] != Shape::Condition;
                parents[high].push((u32::try_from(low).expect("few"), acceptance));
            }
        }
        Layout::new(shapes, parents)
    }

    /// What is left to do of what was given out, since a step may make an earlier one pointless.
    fn still(todo: &BTreeSet<Action>, flow: &Flow) -> BTreeSet<Action> {
        let is_due = |action: &&Action| match **action {
            Action::Create(node) => {
                flow.state(node) == NodeState::Missing && flow.nodes[node as usize].n_forbidding == 0
            }
            Action::Block(node) => {
                let blocked = flow.nodes[node as usize].n_blocking > 0;
                blocked && matches!(flow.state(node), NodeState::Job { status: JobStatus::Pending, .. })
            }
            Action::Unblock(node) => {
                let blocked = flow.nodes[node as usize].n_blocking > 0;
                !blocked && matches!(flow.state(node), NodeState::Job { status: JobStatus::Blocked, .. })
            }
            Action::Process(node) => {
                let known = &flow.nodes[node as usize];
                flow.has_input && known.n_unready == 0 && known.state.wants_input()
            }
            Action::Complete => flow.n_open == 0,
        };
        todo.iter().filter(is_due).copied().collect()
    }

    fn new_state(shape: Shape, what: u8, has_input: bool) -> NodeState {
        match shape {
            Shape::Job => {
                let status = JobStatus::ALL[usize::from(what) % JobStatus::ALL.len()];
                NodeState::Job {
                    status,
                    has_input: has_input || !matches!(status, JobStatus::Pending | JobStatus::Blocked),
                }
            }
            Shape::Recipe => {
                NodeState::Recipe { is_completed: what.is_multiple_of(3), blocks: what % 3 == 1, has_input }
            }
            Shape::Condition => NodeState::Condition {
                is_processed: has_input,
                is_accepted: has_input && what.is_multiple_of(2),
            },
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn each_change_gives_what_a_look_at_the_whole_would(
            shapes in prop::collection::vec(any::<u8>(), 1..14),
            edges in prop::collection::vec((0..14_usize, 0..14_usize, any::<bool>()), 0..30),
            steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<bool>()), 0..60),
            when_input in 0..30_usize,
        ) {
            let layout = Arc::new(layout(&shapes, &edges));
            let mut flow = Flow::new(layout.clone());
            let mut todo: BTreeSet<Action> = flow.begin().into_iter().collect();
            for (n, (pick, what, has_input)) in steps.into_iter().enumerate() {
                if n == when_input {
                    todo.extend(flow.input_came());
                } else {
                    // Mostly something that is to be done, at times a change from outside.
                    let due: Vec<Action> = still(&todo, &flow).into_iter().collect();
                    let chosen = due.get(usize::from(pick) % (due.len() + 1)).copied();
                    let node = u32::from(pick) % u32::try_from(layout.len()).expect("few");
                    let (node, state) = match chosen {
                        Some(Action::Create(node)) => (node, new_state(layout.shapes[node as usize], 0, false)),
                        Some(Action::Block(node)) => (node, NodeState::Job { status: JobStatus::Blocked, has_input: false }),
                        Some(Action::Unblock(node)) => (node, NodeState::Job { status: JobStatus::Pending, has_input: false }),
                        Some(Action::Process(node)) => (node, new_state(layout.shapes[node as usize], what, true)),
                        Some(Action::Complete) | None => {
                            let state = new_state(layout.shapes[node as usize], what, has_input);
                            // What is missing comes by its own action; a condition is looked at once.
                            match flow.state(node) {
                                known @ (NodeState::Missing | NodeState::Condition { is_processed: true, .. }) => {
                                    (node, known)
                                }
                                _ => (node, state),
                            }
                        }
                    };
                    todo.extend(flow.change(node, state));
                }
                let states = (0..layout.len()).map(|at| flow.state(u32::try_from(at).expect("few"))).collect();
                let whole = Whole { layout: &layout, states, has_input: flow.has_input };
                prop_assert_eq!(still(&todo, &flow), whole.actions());
            }
        }
    }

    #[test]
    fn a_finished_job_of_a_large_graph_costs_its_children() {
        const N: u32 = 100_000;
        // Each node waits for three of the hundred before it.
        let parents = (0..N).map(|n| {
            let back = |step: u32| n.checked_sub(step).map(|parent| (parent, true));
            [back(1 + n % 7), back(20 + n % 31), back(60 + n % 41)].into_iter().flatten().collect()
        });
        let layout = Arc::new(Layout::new(vec![Shape::Job; N as usize], parents.collect()));
        let mut flow = Flow::new(layout.clone());
        let mut ready: VecDeque<u32> = VecDeque::new();
        for action in flow.begin() {
            let Action::Create(node) = action else { panic!("{action:?}") };
            flow.change(node, NodeState::Job { status: JobStatus::Pending, has_input: false });
        }
        let processed = |actions: Vec<Action>, ready: &mut VecDeque<u32>| {
            let mut is_done = false;
            for action in actions {
                match action {
                    Action::Process(node) => ready.push_back(node),
                    Action::Complete => is_done = true,
                    _ => panic!("{action:?}"),
                }
            }
            is_done
        };
        processed(flow.input_came(), &mut ready);
        let mut n_run = 0;
        while let Some(node) = ready.pop_front() {
            n_run += 1;
            let before = flow.n_looks;
            let queued = flow.change(node, NodeState::Job { status: JobStatus::Queued, has_input: true });
            processed(queued, &mut ready);
            let is_done = processed(
                flow.change(node, NodeState::Job { status: JobStatus::Completed, has_input: true }),
                &mut ready,
            );
            let n_children = layout.children[node as usize].len();
            assert!(flow.n_looks - before <= 4 * (n_children + 2), "{node}: {}", flow.n_looks - before);
            assert_eq!(is_done, n_run == N);
        }
        assert_eq!(n_run, N);
    }
}
