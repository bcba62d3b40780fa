//! Real workflows as recipes through the engine, from the first task to the last, with failures on the way.
//!
//! They are read from `../shared/data` or from where `WEIGHBRIDGE_SHARED_DATA` says; without them nothing is
//! tried, and the test says so.

#[expect(dead_code, reason = "shared with tests/recipes.rs")]
#[path = "common/recipes.rs"]
mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use kit::{WAIT, job_node, job_type, recipe, recipe_type};
use serde_json::{Map, Value, json};
use weighbridge::{
    Engine, JobId, JobStatus, LaunchName, NodeId, NodeResources, Offer, Options, Outcome, StatusUpdate,
    TaskState, Usage,
};

/// A small generator, so that every run of the test is the same one.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % n
    }
}

fn workflows() -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var("WEIGHBRIDGE_SHARED_DATA").map_or(beside, PathBuf::from);
    let Ok(entries) = std::fs::read_dir(folder.join("traces/wfinstances")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "gz"));
    found.sort();
    found
}

/// Tasks by name, each with those it waits for.
fn tasks(path: &Path) -> Vec<(String, Vec<String>)> {
    let unpacked = Command::new("gzip").arg("-dc").arg(path).output().expect("gzip runs");
    let document: Value = serde_json::from_slice(&unpacked.stdout).expect("a workflow is JSON");
    let tasks = document["workflow"]["specification"]["tasks"].as_array().expect("it has tasks");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let of = |task: &Value| {
        let parents = task["parents"].as_array().expect("a task has parents");
        (text(&task["id"]), parents.iter().map(text).collect())
    };
    tasks.iter().map(of).collect()
}

fn definition(tasks: &[(String, Vec<String>)]) -> Value {
    let nodes = tasks.iter().map(|(name, parents)| {
        let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
        (name.clone(), job_node("task", &parents, &json!({})))
    });
    json!({"input": {}, "nodes": nodes.collect::<Map<_, _>>()})
}

fn end(engine: &Engine, name: LaunchName, outcome: Outcome) {
    let state = TaskState::Ended { outcome, usage: Usage::default() };
    let update = StatusUpdate { name, state, when: engine.now() };
    engine.status(update).expect("room").wait_durable(WAIT).expect("taken");
}

/// Runs a recipe to its end. Returns how many executions there were.
fn run_all(engine: &Engine, tasks: &[(String, Vec<String>)], path: &Path, dice: &mut Dice) -> usize {
    let kind = recipe_type(engine, &path.display().to_string(), &definition(tasks));
    let id = recipe(engine, kind, json!({}));
    let ids = kit::job_ids(engine, id);
    assert_eq!(ids.len(), tasks.len(), "all tasks are there from the start");
    let by_name: BTreeMap<&str, JobId> =
        tasks.iter().map(|(name, _)| name.as_str()).zip(ids.iter().copied()).collect();
    let parents: BTreeMap<JobId, Vec<JobId>> = tasks
        .iter()
        .map(|(name, parents)| {
            (by_name[name.as_str()], parents.iter().map(|parent| by_name[parent.as_str()]).collect())
        })
        .collect();
    let free = NodeResources::new().cpus("1000000").expect("cpus").mem_mib(1 << 30);
    let (mut completed, mut failed) = (BTreeSet::new(), BTreeSet::new());
    let (mut running, mut n_exes): (Vec<(JobId, LaunchName)>, usize) = (Vec::new(), 0);
    loop {
        let picks = engine.offer(&Offer::new(NodeId(1), free.clone()));
        let launches = picks.commit().wait(WAIT).expect("durable");
        for launch in launches.iter().map(weighbridge::Durable::get) {
            let waits_for = &parents[&launch.job];
            assert!(waits_for.iter().all(|parent| completed.contains(parent)), "{}", path.display());
            running.push((launch.job, launch.name));
            n_exes += 1;
        }
        if running.is_empty() {
            break;
        }
        let (job, name) = running.swap_remove(dice.below(running.len()));
        if failed.len() < 10 && dice.below(20) == 0 && failed.insert(job) {
            // Not tried again by itself.
            end(engine, name, Outcome::Canceled);
            assert_eq!(engine.job(job).expect("there").status, JobStatus::Failed);
            let child = parents.iter().find(|(_, parents)| parents.contains(&job));
            let status = |job: JobId| engine.job(job).expect("there").status;
            assert!(child.is_none_or(|(child, _)| status(*child) == JobStatus::Blocked));
            engine.requeue(vec![job], None).expect("room").wait_durable(WAIT).expect("queued");
            assert!(child.is_none_or(|(child, _)| status(*child) == JobStatus::Pending));
        } else {
            end(engine, name, Outcome::Exited { code: 0 });
            completed.insert(job);
        }
    }
    assert_eq!(completed.len(), tasks.len(), "{}", path.display());
    assert!(engine.recipe(id).expect("there").recipe.completed.is_some(), "{}", path.display());
    n_exes
}

#[test]
fn real_workflows_start_every_task_after_its_parents() {
    let paths = workflows();
    if paths.is_empty() {
        println!("skipped: no workflows in the shared data");
    }
    for (path, seed) in paths.iter().zip(1..) {
        let engine = Engine::in_memory(Options::default());
        job_type(&engine, "task", &[], &[]);
        let tasks = tasks(path);
        let n_exes = run_all(&engine, &tasks, path, &mut Dice(seed));
        println!("{:>6} tasks, {n_exes:>6} executions: {}", tasks.len(), path.display());
        engine.check_invariants();
    }
}
