//! A scheduler loop on the library alone: offers go in, launches and reasons come out.
//!
//! Two made-up machines offer what they have; "launching" is printing, and every launch ends at
//! once. `cargo run --example embedded --no-default-features`

use std::time::Duration;

use weighbridge::{
    Engine, JobRequest, JobTypeSpec, NodeId, NodeResources, Offer, Options, Outcome, StatusUpdate,
    Submission, SubmissionId, TaskState, Usage,
};

const SYNC: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join(format!("weighbridge-embedded-{}", std::process::id()));
    let engine = Engine::open(&directory, Options::default())?;
    let small = NodeResources::new().cpus("0.5")?.mem_mib(256);
    let resize = JobTypeSpec::new("resize", "1.0").needs(small).max_scheduled(40);
    let resize = engine.put_job_type(resize)?.wait_durable(SYNC)?;
    let train = JobTypeSpec::new("train", "1.0").needs(NodeResources::new().gpus(8)).priority(1);
    let train = engine.put_job_type(train)?.wait_durable(SYNC)?;

    // Any thread may submit; asking again under the same id gives the same answer.
    let jobs = Submission::new(SubmissionId::new("first")?)
        .jobs(JobRequest::new(train))
        .jobs(JobRequest::new(resize).count(12).priority(10));
    let accepted = engine.submit(jobs)?.wait_durable(SYNC)?;

    for round in 1.. {
        let mut launched = 0;
        for node in [NodeId(1), NodeId(2)] {
            let free = NodeResources::new().cpus("2")?.mem_mib(1_024);
            let mut picks = engine.offer(&Offer::new(node, free));
            // The machine takes three at a time; what is not kept goes back to its exact place.
            let most = picks.iter().nth(2).map(|pick| pick.exe);
            picks.retain(|pick| most.is_none_or(|last| pick.exe <= last));
            for launch in picks.commit().wait(SYNC)? {
                // Only now is the launch on disk, and only now may it start.
                let launch = launch.into_inner();
                println!("round {round}: {} starts on node {node}", launch.cluster_id);
                let state =
                    TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
                let _ticket = engine.status(StatusUpdate { name: launch.name, state, when: engine.now() })?;
                launched += 1;
            }
        }
        if launched == 0 {
            break;
        }
    }
    let why = engine.why(accepted.first_job).expect("it was accepted");
    println!("job {} waits: {}", why.job, why.blocker);
    println!("{} of {} completed", engine.fresh_view(SYNC).totals.completed, accepted.n_jobs);
    engine.close()?;
    std::fs::remove_dir_all(directory)?;
    Ok(())
}
