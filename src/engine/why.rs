//! Why a job waits: asked of the queue for one that is queued, else of what it depends on.

use std::collections::HashMap;

use super::core::Core;
use crate::decision::{
    self, Blocker, Candidate, NodeRuns, NodeWhy, Reservation, Sight, Switches, WaitNode, Why,
};
use crate::limits::{LANES_TOLD_MAX, RUNNING_TOLD_MAX};
use crate::model::{
    ExeId, JobId, JobState, JobStatus, JobTypeId, LaunchName, NodeId, RecipeId, RecipeNodeRow, Timestamp,
};
use crate::state::{OpenRecipe, Running, State};

/// What a job waits for: jobs, and nodes that no job stands for.
type Before = (Vec<JobId>, Vec<WaitNode>);

/// Adds what stands for a node of a recipe.
fn add((jobs, nodes): &mut Before, id: RecipeId, open: &OpenRecipe, node: u32) {
    let sub_recipe = match open.row(node) {
        RecipeNodeRow::Job { job, .. } => return jobs.push(job),
        RecipeNodeRow::Recipe { recipe, .. } => Some(recipe),
        RecipeNodeRow::Condition { .. } | RecipeNodeRow::Missing => None,
    };
    let named = open.known.definition.nodes().get(node as usize);
    let name = named.map(|node| node.name.clone()).unwrap_or_default();
    nodes.push(WaitNode { recipe: id, name, sub_recipe });
}

/// What is not done before a node of a recipe, nor before the recipes that it is within and that lack their
/// input.
fn unready(state: &State, at: (RecipeId, u32)) -> Before {
    let mut found = Before::default();
    let mut at = Some(at);
    while let Some((id, node)) = at.take() {
        let Some(open) = state.open_recipe(id) else { break };
        open.state.unready_parents(node).for_each(|parent| add(&mut found, id, open, parent));
        if !open.state.has_input() {
            at = state.recipe_within(id);
        }
    }
    found
}

fn blocking(state: &State, (id, node): (RecipeId, u32)) -> Before {
    let mut found = Before::default();
    if let Some(open) = state.open_recipe(id) {
        open.state.blocking_parents(node).for_each(|parent| add(&mut found, id, open, parent));
    }
    found
}

impl Core {
    /// All that decisions look at. Cost: nodes. The pass has to be told its policy before.
    pub(super) fn sight(&self, now: Timestamp) -> Sight<'_> {
        let now = self.clamp(now);
        let (queue, pass) = (&self.state.queue, &self.passes.pass);
        let kept: HashMap<NodeId, &Reservation> = pass.reservations().map(|kept| (kept.node, kept)).collect();
        let nodes = self.nodes.iter().map(|seen| {
            let has = self.known_on(seen);
            Candidate {
                seen,
                total: queue.lookup(&has),
                has,
                free: self.free_on(seen),
                is_on_offer: self.is_on_offer(seen),
                silent: self.silent_on(seen),
                is_ready: self.takes_new(seen.id),
                kept: kept.get(&seen.id).and_then(|kept| Some((**kept, queue.get(kept.exe)?))),
            }
        });
        let is_paused = self.state.is_scheduler_paused();
        Sight { queue, pass, nodes: nodes.collect(), is_paused, now }
    }

    /// Why a job waits; `None` for one that is not there.
    pub(super) fn why(&mut self, id: JobId, now: Timestamp) -> Option<Why> {
        self.tell_policy();
        let job = self.state.job(id)?;
        let blocker = match job.status {
            JobStatus::Queued => return Some(self.why_queued(&self.sight(now), id, job)),
            JobStatus::Pending => self.why_pending(id),
            JobStatus::Blocked => self.why_blocked(id),
            status => Blocker::NotQueued { status },
        };
        Some(Why { blocker, ..Why::of(id, job.status, (*job.resources).clone(), self.state.queue.len()) })
    }

    /// For each job type with waiting executions: why its first one waits. Cost: types with their lanes,
    /// and nodes for each.
    pub(super) fn waiting(&mut self, now: Timestamp) -> Vec<(JobTypeId, Why)> {
        self.tell_policy();
        let sight = self.sight(now);
        let first = |kind: JobTypeId| {
            let entry = self.state.queue.first_of_type(kind)?;
            Some((kind, self.why_queued(&sight, entry.job, self.state.job(entry.job)?)))
        };
        self.state.catalog.iter().filter_map(|kind| first(kind.id)).collect()
    }

    /// What runs and may run on a node, and why the rest may not; `None` for one that was not seen.
    pub(super) fn node_why(&mut self, node: NodeId, now: Timestamp) -> Option<NodeWhy> {
        self.tell_policy();
        let why = decision::node_why(&self.sight(now), node, LANES_TOLD_MAX)?;
        let running = self.state.running_on(node);
        let n_running = running.len();
        let of = |(exe, Running { entry, launch, .. }): (ExeId, Running)| {
            let known = self.state.job(entry.job).filter(|job| job.status == JobStatus::Running);
            NodeRuns {
                launch: LaunchName { exe, number: launch },
                job: entry.job,
                job_type: entry.job_type,
                priority: entry.priority,
                since: known.map(|job| job.last_status_change),
                has: self.state.queue.named(&entry.asks),
            }
        };
        let running = running.into_iter().take(RUNNING_TOLD_MAX).map(of).collect();
        Some(NodeWhy { running, n_running, ..why })
    }

    fn why_queued(&self, sight: &Sight<'_>, id: JobId, job: &JobState) -> Why {
        let why = Why::of(id, job.status, (*job.resources).clone(), self.state.queue.len());
        let Some(entry) = job.exe.and_then(|exe| self.state.queue.get(exe)) else { return why };
        let (position, blocker) = decision::explain(sight, &entry, self.switches(job.job_type));
        let is_let_through = job.more.as_ref().is_some_and(|more| more.is_let_through);
        Why { position, blocker, is_let_through, passed: sight.pass.passed(entry.id), ..why }
    }

    fn switches(&self, job_type: JobTypeId) -> Switches {
        let kind = self.state.catalog.get(job_type);
        kind.map_or_else(Switches::default, |kind| Switches {
            paused: kind.paused,
            limit: kind.spec.max_scheduled,
            limited: self.tallied.limited(job_type),
        })
    }

    /// Parents in a graph of jobs, of which `is_wanted` is true.
    fn parents(&self, job: JobId, is_wanted: impl Fn(JobStatus) -> bool) -> Before {
        let is_one = |id: &JobId| self.state.job(*id).is_some_and(|parent| is_wanted(parent.status));
        (self.state.graph.parents(job).iter().copied().filter(is_one).collect(), Vec::new())
    }

    fn why_pending(&self, job: JobId) -> Blocker {
        let (jobs, nodes) = match self.state.recipe_of(job) {
            Some(at) => unready(&self.state, at),
            None => self.parents(job, |status| status != JobStatus::Completed),
        };
        Blocker::Parents { jobs, nodes }
    }

    fn why_blocked(&self, job: JobId) -> Blocker {
        let (jobs, nodes) = match self.state.recipe_of(job) {
            Some(at) => blocking(&self.state, at),
            None => self.parents(job, crate::job::blocks_children),
        };
        Blocker::BlockedBy { jobs, nodes }
    }
}
