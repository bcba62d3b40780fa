//! What readers see: a picture of the whole, published at times, never the core itself.

use std::sync::Arc;
use std::time::Duration;

use crate::decision::WaitCounts;
use crate::load::StatusCounts;
use crate::model::{Epoch, EventNumber, JobType, JobTypeId, NodeId, NodeResources, QueueMode, Timestamp};
use crate::offer::NodeView;
use crate::state::State;

use super::catalog_view::CatalogView;
use super::core::Core;

/// How old a view may get while things change.
pub(super) const VIEW_AGE_MAX: Duration = Duration::from_millis(50);

/// How things stand with one job type.
#[derive(Clone, Debug)]
pub struct JobTypeView {
    /// The type.
    pub job_type: Arc<JobType>,
    /// Its jobs by status.
    pub counts: StatusCounts,
    /// Since when its oldest entry waits.
    pub longest_queued: Option<Timestamp>,
    /// The smallest number among its entries.
    pub highest_priority: Option<i32>,
    /// Executions that run, of canceled jobs too, and picks.
    pub n_running_exes: u32,
    /// Its waiting executions by what keeps the first of those that share what they ask for beside memory and
    /// disk; as of a second ago at most.
    pub waiting: WaitCounts,
}

/// How things stand with one node.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// The node as last seen.
    pub node: NodeView,
    /// What runs there, by what it got.
    pub in_use: NodeResources,
}

/// A picture of the engine at one position of the log.
#[derive(Clone, Debug)]
pub struct View {
    /// The newest event it shows.
    pub position: EventNumber,
    /// When it was made.
    pub made: Timestamp,
    /// The engine's incarnation.
    pub epoch: Epoch,
    /// The global direction of queued time.
    pub mode: QueueMode,
    /// All jobs by status.
    pub totals: StatusCounts,
    /// Executions that wait for a node.
    pub n_queued: usize,
    /// Lanes they wait in.
    pub n_lanes: usize,
    /// Executions that run.
    pub n_running: usize,
    /// Recipes so far.
    pub n_recipes: u64,
    /// When and why a driver last refused a launch. Refused launches go back to their place and are
    /// tried again.
    pub last_refusal: Option<(Timestamp, String)>,
    /// Every job type, by id.
    pub types: Vec<JobTypeView>,
    /// Every known node, by id.
    pub nodes: Vec<NodeStatus>,
    /// Documents of the catalog.
    pub catalog: Arc<CatalogView>,
}

impl View {
    /// The job type of that id.
    pub fn job_type(&self, id: JobTypeId) -> Option<&JobTypeView> {
        let at = self.types.binary_search_by_key(&id, |kind| kind.job_type.id).ok()?;
        self.types.get(at)
    }

    /// Types of which something waits: those that are not paused first, then by their most important entry,
    /// then by their oldest.
    pub fn queued_types(&self) -> Vec<&JobTypeView> {
        let mut queued: Vec<&JobTypeView> = self.types.iter().filter(|kind| kind.counts.queued > 0).collect();
        queued.sort_by_key(|kind| {
            (kind.job_type.spec.is_paused, kind.highest_priority, kind.longest_queued, kind.job_type.id)
        });
        queued
    }

    /// All kinds of errors, by id.
    pub fn errors(&self) -> impl Iterator<Item = &crate::model::ErrorRecord> {
        self.catalog.errors()
    }

    /// The node of that id.
    pub fn node(&self, id: NodeId) -> Option<&NodeStatus> {
        self.nodes.iter().find(|status| status.node.id == id)
    }
}

/// Cost: job types with their lanes, and nodes.
pub(super) fn view(core: &mut Core, made: Timestamp) -> Arc<View> {
    let tallied = &core.tallied;
    let State { queue, counters, catalog, .. } = &mut core.state;
    let type_view = |job_type: &Arc<JobType>| {
        let status = queue.type_status(job_type.id);
        JobTypeView {
            job_type: job_type.clone(),
            counts: counters.of(job_type.id),
            longest_queued: status.oldest,
            highest_priority: status.priority,
            n_running_exes: status.n_taken,
            waiting: tallied.counts(job_type.id),
        }
    };
    let types: Vec<JobTypeView> = catalog.iter().map(type_view).collect();
    let catalog = core.catalog_view();
    let state = &core.state;
    let node_status = |node: &NodeView| NodeStatus {
        node: NodeView { free: state.queue.named(&core.free_on(node)), ..node.clone() },
        in_use: state.queue.named(&state.in_use(node.id)),
    };
    Arc::new(View {
        position: state.last_event,
        made,
        epoch: state.epoch,
        mode: state.queue.mode_to_come(),
        totals: types.iter().fold(StatusCounts::default(), |sum, kind| sum.plus(&kind.counts)),
        n_queued: state.queue.len(),
        n_lanes: state.queue.n_lanes(),
        n_running: state.running.len(),
        n_recipes: state.n_recipes,
        last_refusal: core.last_refusal.clone(),
        types,
        nodes: core.nodes.iter().map(node_status).collect(),
        catalog,
    })
}
