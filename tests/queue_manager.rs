//! The manager of the queue, as the original documents it: what it takes, what it refuses, and what is on
//! record afterwards.

use std::fmt::Display;
use std::time::Duration;

use serde_json::{Value, json};
use weighbridge::{
    Engine, FileRecord, IntakeError, JobId, JobRequest, JobStatus, JobTypeId, JobTypeSpec, LaunchName,
    NewJobType, NodeId, NodeResources, Offer, Options, Outcome, OutputError, StatusOutcome, StatusUpdate,
    Submission, SubmissionId, TaskState, Ticket, TicketError, Usage,
};

const WAIT: Duration = Duration::from_secs(20);

fn engine() -> Engine {
    Engine::in_memory(Options::default())
}

/// The answer, or why there is none.
fn told<T: Clone, E: Clone + Display>(sent: Result<Ticket<T, E>, IntakeError>) -> Result<T, E> {
    match sent.expect("room").wait_durable(WAIT) {
        Ok(answer) => Ok(answer),
        Err(TicketError::Refused(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

fn done<T: Clone, E: Clone + Display>(sent: Result<Ticket<T, E>, IntakeError>) -> T {
    told(sent).unwrap_or_else(|error| panic!("{error}"))
}

/// A manifest with these inputs and resources.
fn manifest(name: &str, inputs: &Value, scalar: &Value) -> Value {
    json!({
        "seedVersion": "1.0.0",
        "job": {
            "name": name, "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": name, "description": "",
            "maintainer": {"name": "A", "email": "a@example.com"}, "timeout": 60,
            "interface": {
                "command": "run.sh", "inputs": inputs,
                "outputs": {"files": [], "json": [{"name": "N", "type": "integer"}]},
            },
            "resources": {"scalar": scalar},
        },
    })
}

fn put_type(engine: &Engine, manifest: &Value) -> JobTypeId {
    let job = &manifest["job"];
    let word = |name: &str| job[name].as_str().expect(name).to_owned();
    done(engine.put_manifest(NewJobType {
        spec: JobTypeSpec::new(word("name"), word("jobVersion")),
        manifest: manifest.to_string().into(),
        docker_image: "image:1".to_owned(),
        configuration: "{}".into(),
        is_published: false,
        icon_code: None,
        is_long_running: false,
    }))
}

/// Launches a job on a node that has room for it.
fn launch(engine: &Engine, job: JobId) -> LaunchName {
    let room = NodeResources::new().cpus("1000").map(|room| room.mem_mib(1 << 20));
    let mut picks = engine.offer(&Offer::new(NodeId(1), room.expect("amounts")));
    picks.retain(|pick| pick.job == job);
    picks.commit().wait(WAIT).expect("launches");
    engine.running().into_iter().rev().find(|running| running.job == job).expect("it runs").name
}

fn ended(engine: &Engine, name: LaunchName, code: i32) -> StatusUpdate {
    let state = TaskState::Ended { outcome: Outcome::Exited { code }, usage: Usage::default() };
    StatusUpdate { name, state, when: engine.now() }
}

fn submit(engine: &Engine, id: &str, kind: JobTypeId) -> JobId {
    let id = SubmissionId::new(id).expect("a name");
    done(engine.submit(Submission::new(id).jobs(JobRequest::new(kind)))).first_job
}

#[test]
fn what_an_execution_gave_is_on_record_with_its_end() {
    let engine = engine();
    let kind = put_type(&engine, &manifest("gives", &json!({}), &json!([])));
    let file = done(engine.put_file(FileRecord::new("a.txt", "text/plain", 7)));
    let job = submit(&engine, "one", kind);
    let name = launch(&engine, job);
    let end = || ended(&engine, name, 0);
    let refused = |output: Value| told(engine.status_with_output(end(), &output)).expect_err("refused");
    assert!(matches!(refused(json!({"json": []})), OutputError::InvalidData(_)));
    assert_eq!(refused(json!({"files": {"F": [file.0, 99]}})), OutputError::UnknownFile(99));
    let long = json!({"json": {"N": "x".repeat(2 << 20)}});
    assert!(matches!(refused(long), OutputError::TooLarge { .. }));
    assert_eq!(engine.job(job).expect("a job").status, JobStatus::Running);
    assert_eq!(engine.job_output(job, 1), None);

    let output = json!({"files": {"F": [file.0]}, "json": {"N": 3}});
    assert_eq!(done(engine.status_with_output(end(), &output)), StatusOutcome::Applied);
    assert_eq!(engine.job(job).expect("a job").status, JobStatus::Completed);
    let kept = engine.job_output(job, 1).expect("an output");
    assert_eq!(serde_json::from_str::<Value>(&kept.output).expect("JSON"), output);
    assert_eq!((kept.files[0].id, kept.files[0].bytes), (file, 7));
    assert_eq!(done(engine.status_with_output(end(), &json!({}))), StatusOutcome::Stale);

    let job = submit(&engine, "two", kind);
    let name = launch(&engine, job);
    done(engine.status_with_output(ended(&engine, name, 1), &output));
    assert_eq!(engine.job_output(job, 1), None, "what failed gave nothing");
    engine.check_invariants();
}
