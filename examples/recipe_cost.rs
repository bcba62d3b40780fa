//! What the end of a job costs in recipes of up to 100,000 nodes: its children, and not the graph.
//!
//! `cargo run --release --example recipe_cost [most nodes]`
//!
//! Each recipe is a tree in which two jobs wait for every one. The engine has no store, so that no sync stands in
//! what is measured; the number of events is that of a store.
#![expect(clippy::cast_precision_loss, reason = "numbers of a report")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]
#![expect(clippy::print_stdout, reason = "it reports there")]

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use weighbridge::{
    Engine, JobStatus, JobTypeSpec, NewJobType, NewRecipe, NewRecipeType, NodeId, NodeResources, Offer,
    Options, Outcome, StatusUpdate, TaskState, Usage,
};

const WAIT: Duration = Duration::from_mins(10);

/// Jobs that are ended in each recipe.
const N_ENDS: usize = 400;

fn manifest() -> Value {
    json!({"seedVersion": "1.0.0", "job": {
        "name": "plain", "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": "Plain",
        "description": "Does nothing", "maintainer": {"name": "A. Nobody", "email": "nobody@example.com"},
        "timeout": 3600,
        "interface": {"command": "true", "inputs": {"files": [], "json": []}, "outputs": {"files": [], "json": []}},
        "resources": {"scalar": [{"name": "cpus", "value": 1.0}]}}})
}

/// A tree: node `n` waits for node `n / 2`.
fn tree(n_nodes: usize) -> Value {
    let node = |n: usize| {
        let parents = if n < 2 { json!([]) } else { json!([{"name": format!("n{}", n / 2)}]) };
        let node_type = json!({"node_type": "job", "job_type_name": "plain", "job_type_version": "1.0.0",
            "job_type_revision": 1});
        let node = json!({"dependencies": parents, "input": {}, "node_type": node_type});
        (format!("n{n}"), node)
    };
    json!({"input": {}, "nodes": (0..n_nodes).map(node).collect::<Map<String, Value>>()})
}

fn measure(n_nodes: usize) -> Result<(), Box<dyn Error>> {
    let engine = Engine::in_memory(Options::default());
    let needs = NodeResources::new().cpus("1")?;
    let plain = NewJobType {
        spec: JobTypeSpec::new("plain", "1.0.0").needs(needs),
        manifest: manifest().to_string().into(),
        docker_image: String::new(),
        configuration: "{}".into(),
        is_published: false,
        icon_code: None,
        is_long_running: false,
    };
    engine.put_manifest(plain)?.wait_durable(WAIT)?;
    let definition = tree(n_nodes).to_string();
    let n_bytes = definition.len();
    let new = NewRecipeType {
        name: "tree".to_owned(),
        title: "Tree".to_owned(),
        description: String::new(),
        definition: definition.into(),
    };
    let begin = Instant::now();
    let kind = engine.create_recipe_type(new)?.wait_durable(WAIT)?;
    let read = begin.elapsed();
    let begin = Instant::now();
    let id = engine.queue_new_recipe(NewRecipe::new(kind, json!({})))?.wait_durable(WAIT)?;
    let made = begin.elapsed();
    // As much as a job of any manifest asks for at least, a million times.
    let free = NodeResources::new().cpus("1000000")?.mem_mib(1 << 27);
    let offer = Offer::new(NodeId(1), free);
    let mut running = VecDeque::new();
    let (mut took, mut n_events) = (Duration::ZERO, 0);
    for _ in 0..N_ENDS {
        let launches = engine.offer(&offer).commit().wait(WAIT)?;
        running.extend(launches.iter().map(|launch| launch.get().name));
        let name = running.pop_front().ok_or("nothing runs")?;
        let outcome = Outcome::Exited { code: 0 };
        let state = TaskState::Ended { outcome, usage: Usage::default() };
        let update = StatusUpdate { name, state, when: engine.now() };
        let (begin, before) = (Instant::now(), engine.durable());
        engine.status(update)?.wait_durable(WAIT)?;
        took += begin.elapsed();
        n_events += engine.durable().0 - before.0;
    }
    let view = engine.recipe(id).ok_or("no recipe")?;
    assert_eq!(view.counts.of(JobStatus::Completed) as usize, N_ENDS);
    let per_end = |all: f64| all / N_ENDS as f64;
    println!(
        "{n_nodes:>7} nodes {:>6.1} MB  read in {:>7.1} ms  made in {:>7.1} ms  an end: {:>4.1} events {:>7.1} us",
        n_bytes as f64 / 1e6,
        read.as_secs_f64() * 1e3,
        made.as_secs_f64() * 1e3,
        per_end(n_events as f64),
        per_end(took.as_secs_f64() * 1e6),
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let most = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    for n_nodes in [1_000, 10_000, 100_000].into_iter().filter(|n| *n <= most) {
        measure(n_nodes)?;
    }
    Ok(())
}
