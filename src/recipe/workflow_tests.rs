//! Real workflows, run to the end through the state of a recipe.
//!
//! They are read from `../shared/data` or from where `WEIGHBRIDGE_SHARED_DATA` says; without them
//! nothing is tried, and the test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::model::{Interface, JobStatus};

use super::{Action, Definition, Lookup, NodeState, Plan, RecipeState, Size};

struct OneJobType;

impl Lookup for OneJobType {
    fn job_type(&self, _: &str, _: &str, _: u32) -> Option<(Interface, Interface)> {
        Some((Interface::default(), Interface::default()))
    }

    fn recipe_type(&self, _: &str, _: u32) -> Option<(Interface, Size)> {
        None
    }
}

/// A small generator, so that every run of the test is the same one.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % n
    }
}

fn workflows() -> Vec<PathBuf> {
    let folder = std::env::var("WEIGHBRIDGE_SHARED_DATA").unwrap_or_else(|_| "../shared/data".to_owned());
    let folder = Path::new(&folder).join("traces/wfinstances");
    let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "gz"));
    found.sort();
    found
}

fn definition_of(path: &Path) -> Definition {
    let unpacked = Command::new("gzip").arg("-dc").arg(path).output().expect("gzip runs");
    let document: Value = serde_json::from_slice(&unpacked.stdout).expect("a workflow is JSON");
    let tasks = document["workflow"]["specification"]["tasks"].as_array().expect("it has tasks");
    let mut nodes = Map::new();
    for task in tasks {
        let parents = task["parents"].as_array().expect("a task has parents");
        let dependencies: Vec<Value> = parents.iter().map(|parent| json!({ "name": parent })).collect();
        let node_type = json!({
            "node_type": "job", "job_type_name": "task", "job_type_version": "1.0.0", "job_type_revision": 1,
        });
        let node = json!({ "dependencies": dependencies, "input": {}, "node_type": node_type });
        nodes.insert(task["id"].as_str().expect("a task has an id").to_owned(), node);
    }
    Definition::read(&json!({ "nodes": nodes }), &OneJobType).expect("a workflow is a definition")
}

/// A run: the recipe, and the jobs that run.
struct Run<'p> {
    plan: &'p Plan,
    state: RecipeState,
    running: Vec<u32>,
    n_starts: BTreeMap<u32, u32>,
    is_completed: bool,
}

impl Run<'_> {
    fn status(&self, node: u32) -> JobStatus {
        let NodeState::Job { status, .. } = self.state.state(node) else { panic!("{node} is no job") };
        status
    }

    /// Does what is wanted, until nothing is.
    fn obey(&mut self, mut actions: Vec<Action>) {
        while let Some(action) = actions.pop() {
            actions.extend(match action {
                Action::Create(node) => self.state.node_created(node),
                Action::Block(node) => self.state.job_changed(node, JobStatus::Blocked),
                Action::Unblock(node) => self.state.job_changed(node, JobStatus::Pending),
                Action::ProcessInput(node) => self.start(node),
                Action::Complete => {
                    self.is_completed = true;
                    Vec::new()
                }
            });
        }
    }

    fn start(&mut self, node: u32) -> Vec<Action> {
        for &(parent, _) in self.plan.parents(node) {
            assert_eq!(self.status(parent), JobStatus::Completed);
        }
        *self.n_starts.entry(node).or_default() += 1;
        self.running.push(node);
        let mut actions = self.state.input_processed(node);
        actions.extend(self.state.job_changed(node, JobStatus::Running));
        actions
    }

    fn finish(&mut self, node: u32, status: JobStatus) {
        let actions = self.state.job_changed(node, status);
        self.obey(actions);
    }

    fn blocked(&self) -> BTreeSet<u32> {
        let all = (0_u32..).take(self.plan.len());
        all.filter(|node| self.status(*node) == JobStatus::Blocked).collect()
    }
}

fn descendants(plan: &Plan, of: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut stack = vec![of];
    while let Some(next) = stack.pop() {
        let children = plan.children(next).iter().map(|(child, _)| *child);
        stack.extend(children.filter(|child| found.insert(*child)));
    }
    found
}

#[test]
fn real_workflows_run_every_task_once_after_its_parents() {
    let paths = workflows();
    if paths.is_empty() {
        println!("skipped: no workflows in the shared data");
    }
    for (path, seed) in paths.iter().zip(1..) {
        let definition = definition_of(path);
        let plan = Plan::of(&definition);
        let (state, actions) = RecipeState::new(plan.clone(), true);
        let mut run =
            Run { plan: &plan, state, running: Vec::new(), n_starts: BTreeMap::new(), is_completed: false };
        run.obey(actions);
        let mut dice = Dice(seed);
        while !run.running.is_empty() {
            let at = dice.below(run.running.len());
            let node = run.running.swap_remove(at);
            if dice.below(10) == 0 {
                run.finish(node, JobStatus::Failed);
                assert_eq!(run.blocked(), descendants(&plan, node), "{}", path.display());
                run.finish(node, JobStatus::Running);
                assert_eq!(run.blocked(), BTreeSet::new(), "{}", path.display());
            }
            run.finish(node, JobStatus::Completed);
        }
        assert!(run.is_completed, "{}", path.display());
        assert!(run.n_starts.len() == plan.len() && run.n_starts.values().all(|n| *n == 1));
    }
}
