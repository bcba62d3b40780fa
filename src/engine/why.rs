//! Why a job waits: asked of the queue for one that is queued, else of what it depends on.

use super::core::Core;
use crate::decision::{self, Blocker, WaitNode, Why};
use crate::model::{JobId, JobState, JobStatus, RecipeId, RecipeNodeRow};
use crate::state::{OpenRecipe, State};

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
    /// Why a job waits; `None` for one that is not there.
    pub(super) fn why(&self, id: JobId) -> Option<Why> {
        let job = self.state.job(id)?;
        let (position, blocker) = match job.status {
            JobStatus::Queued => self.why_queued(job),
            JobStatus::Pending => (None, self.why_pending(id)),
            JobStatus::Blocked => (None, self.why_blocked(id)),
            status => (None, Blocker::NotQueued { status }),
        };
        let (asks, n_queued) = ((*job.resources).clone(), self.state.queue.len());
        let is_let_through =
            job.status == JobStatus::Queued && job.more.as_ref().is_some_and(|more| more.is_let_through);
        Some(Why { job: id, status: job.status, asks, position, n_queued, blocker, is_let_through })
    }

    fn why_queued(&self, job: &JobState) -> (Option<usize>, Blocker) {
        let Some(entry) = job.exe.and_then(|exe| self.state.queue.get(exe)) else {
            return (None, Blocker::Next);
        };
        let kind = self.state.catalog.get(job.job_type);
        let (paused, limit) = kind.map_or((None, None), |kind| (kind.paused, kind.spec.max_scheduled));
        decision::explain(&self.state.queue, &self.nodes, &entry, paused, limit)
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
