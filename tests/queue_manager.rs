//! The manager of the queue, as the original documents it: what it takes, what it refuses, and what is on
//! record afterwards.

#[path = "common/hand_clock.rs"]
mod hand_clock;

use std::fmt::Display;
use std::time::Duration;

use hand_clock::HandClock;
use serde_json::{Value, json};
use weighbridge::{
    Engine, EventId, FileId, FileRecord, IntakeError, JobId, JobRequest, JobStatus, JobTypeChange, JobTypeId,
    JobTypeSpec, JobsError, LaunchName, NewJob, NewJobType, NodeId, NodeResources, Offer, Options, Outcome,
    OutputError, QueueEntry, QueueError, QueueMode, QueueStatus, RecipeNode, RecipeRequest, StatusOutcome,
    StatusUpdate, Submission, SubmissionId, TaskState, Ticket, TicketError, Timestamp, Usage,
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

/// What the engine acts on of a manifest.
fn spec_of(manifest: &Value) -> JobTypeSpec {
    let job = &manifest["job"];
    let word = |name: &str| job[name].as_str().expect(name).to_owned();
    let timeout = job["timeout"].as_u64().and_then(|seconds| seconds.try_into().ok()).expect("seconds");
    let mut spec = JobTypeSpec::new(word("name"), word("jobVersion")).timeout_s(timeout);
    spec.resources = NodeResources::new().cpus("0.25").expect("cores").mem_mib(128).disk_mib(0);
    spec
}

fn put_type(engine: &Engine, manifest: &Value) -> JobTypeId {
    done(engine.put_manifest(NewJobType {
        spec: spec_of(manifest),
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
    let room = NodeResources::new().cpus("1000").map(|room| room.mem_mib(1 << 20).disk_mib(1 << 20));
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

/// A type that takes a whole number and perhaps a file.
fn put_step(engine: &Engine, name: &str) -> JobTypeId {
    let inputs = json!({
        "files": [{"name": "F", "required": false}],
        "json": [{"name": "N", "type": "integer"}],
    });
    put_type(engine, &manifest(name, &inputs, &json!([{"name": "cpus", "value": 1.0}])))
}

fn queue_step(engine: &Engine, kind: JobTypeId) -> JobId {
    done(engine.queue_new_job_for_user(NewJob::new(kind, json!({"json": {"N": 1}}))))
}

fn status(engine: &Engine, job: JobId) -> JobStatus {
    engine.job(job).expect("a job").status
}

fn entry(engine: &Engine, job: JobId) -> QueueEntry {
    engine.queue_entry(job).expect("an entry")
}

/// The type and the input of the example that the original's documentation works out.
fn worked_example(engine: &Engine) -> JobTypeId {
    let scalar = json!([
        {"name": "cpus", "value": 1.0},
        {"name": "mem", "value": 64.0, "inputMultiplier": 4.0},
        {"name": "disk", "value": 10.0, "inputMultiplier": 2.0},
        {"name": "sharedMem", "value": 32.0, "inputMultiplier": 1.0},
    ]);
    put_type(engine, &manifest("worked", &json!({"files": [{"name": "F"}], "json": []}), &scalar))
}

/// 100.2 MiB.
const WORKED_BYTES: u64 = 105_067_315;

#[test]
fn what_an_entry_asks_for_follows_the_size_of_its_input() {
    let engine = engine();
    let kind = worked_example(&engine);
    let file = done(engine.put_file(FileRecord::new("in.tif", "image/tiff", WORKED_BYTES)));
    let registered = NewJob::new(kind, json!({"files": {"F": [file.0]}}));
    let told_size = NewJob::new(kind, json!({"files": {"F": [77]}})).file_size(FileId(77), WORKED_BYTES);
    for new in [registered, told_size] {
        let job = done(engine.queue_new_job(new));
        assert_eq!((job.status, job.num_exes, job.input_mib), (JobStatus::Queued, 1, Some(101)));
        let entry = entry(&engine, job.id);
        assert_eq!(entry.input_file_size, 101);
        let amounts = json!({"cpus": 1.0, "mem": 468.0, "disk": 212.0, "gpus": 0.0});
        assert_eq!(entry.resources_document(), json!({"version": "1.0", "resources": amounts}));
        let standard = entry.get_resources();
        assert_eq!(
            standard.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["cpus", "disk", "gpus", "mem"]
        );
        let queued = engine.get_queue(QueueMode::Fifo, &[], 10).pop().expect("it waits");
        assert_eq!(queued.resources, entry.execution.resources, "the queue decides by the same");
    }
    engine.check_invariants();
}

#[test]
fn an_entry_read_back_has_every_field_and_its_type_may_have_moved_on() {
    let engine = engine();
    let kind = put_step(&engine, "step");
    let file = done(engine.put_file(FileRecord::new("a.txt", "text/plain", 7)));
    let input = json!({"files": {"F": [file.0]}, "json": {"N": 3}});
    let job = done(engine.queue_new_job(NewJob::new(kind, input)));
    let mut newer = manifest("step", &json!({}), &json!([]));
    newer["job"]["timeout"] = 99.into();
    done(engine.edit_job_type(
        kind,
        JobTypeChange {
            spec: Some(Box::new(spec_of(&newer))),
            manifest: Some(newer.to_string().into()),
            docker_image: Some("image:2".to_owned()),
            ..JobTypeChange::default()
        },
    ));
    let entry = entry(&engine, job.id);
    let execution = &entry.execution;
    assert_eq!(Some(execution.id), job.exe);
    assert_eq!((execution.job_type, execution.job, execution.exe_num), (kind, job.id, 1));
    assert_eq!((entry.recipe, entry.batch, entry.input_file_size), (None, None, 1));
    assert_eq!((entry.is_canceled, execution.priority), (false, 100));
    assert_eq!(entry.timeout_s, Some(99), "the timeout is that of the newest revision");
    assert_eq!(entry.docker_image, "image:1", "the image is that of the job's revision");
    assert_eq!(entry.get_job_interface()["job"]["timeout"], 60, "and so is the interface");
    assert_eq!((Some(execution.queued), entry.created), (job.queued, execution.queued));
    let configuration = entry.get_execution_configuration();
    assert_eq!(configuration["version"], "2.0");
    let main =
        json!({"type": "main", "args": "run.sh", "env_vars": {"F": "/scale/input_data/F/a.txt", "N": "3"}});
    assert_eq!(configuration["tasks"], json!([main]));
    assert_eq!(configuration["input_files"]["F"][0]["id"], file.0);
    assert_eq!(engine.queue_entry(JobId(99)), None);

    let name = launch(&engine, job.id);
    assert_eq!(engine.queue_entry(job.id), None, "it is an execution now");
    let queued = execution.clone();
    let made = queued.clone().scheduled("agent", NodeId(1), "fw", 1, engine.now());
    assert_eq!((made.launch, made.cluster_id.as_str()), (name, "scale_job_fw_1x1"));
    assert_eq!(
        (made.node, made.queued, &made.resources),
        (Some(NodeId(1)), queued.queued, &queued.resources)
    );
    let made = queued.canceled("fw");
    assert_eq!((made.node, made.started, made.resources.is_zero()), (None, None, true));
}

#[test]
fn a_job_is_launched_with_the_values_of_its_input() {
    let engine = engine();
    let mut spec = JobTypeSpec::new("say", "1.0.0").command(["say", "{N}", "{F?}"]);
    spec.env = vec![("N".to_owned(), "{N}".to_owned())];
    let inputs =
        json!({"files": [{"name": "F", "required": false}], "json": [{"name": "N", "type": "integer"}]});
    let manifest = manifest("say", &inputs, &json!([]));
    let kind = done(engine.put_manifest(NewJobType {
        spec,
        manifest: manifest.to_string().into(),
        docker_image: String::new(),
        configuration: "{}".into(),
        is_published: false,
        icon_code: None,
        is_long_running: false,
    }));
    let file = done(engine.put_file(FileRecord::new("/data/a.txt", "text/plain", 7)));
    done(engine.queue_new_job(NewJob::new(kind, json!({"json": {"N": 3}, "files": {"F": [file.0]}}))));
    let room = NodeResources::new().cpus("1").expect("cores").mem_mib(1 << 10).disk_mib(1 << 10);
    let launches = engine.offer(&Offer::new(NodeId(1), room)).commit().wait(WAIT).expect("launches");
    assert_eq!(launches[0].get().command, ["say", "3", "/data/a.txt"]);
    assert_eq!(launches[0].get().env, [("N".to_owned(), "3".to_owned())]);
}

#[test]
fn a_job_for_a_user_has_the_event_of_a_user() {
    let engine = engine();
    let kind = put_step(&engine, "step");
    let id: JobId = queue_step(&engine, kind);
    let job = engine.job(id).expect("a job");
    let event = engine.trigger_event(job.event()).expect("an event");
    assert_eq!((event.kind.as_str(), event.occurred), ("USER", job.created));
    assert_eq!(&*event.description, r#"{"user":"Anonymous"}"#);

    let clock = done(engine.create_trigger_event("CLOCK", "{}".into(), Timestamp(7)));
    let new = NewJob::new(kind, json!({"json": {"N": 1}})).event(clock);
    let other = done(engine.queue_new_job(new));
    assert_eq!(other.event(), clock);
    assert_eq!(engine.trigger_event(clock).map(|event| event.kind).as_deref(), Some("CLOCK"));
    assert_eq!(engine.trigger_event(EventId(2 * other.id.0)), None, "that job was made by a clock");
    assert_eq!(engine.trigger_event(EventId(99)), None);
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let engine = engine();
    let kind = put_step(&engine, "step");
    let inactive = put_step(&engine, "inactive");
    done(
        engine.edit_job_type(inactive, JobTypeChange { is_active: Some(false), ..JobTypeChange::default() }),
    );
    let plain = done(engine.put_job_type(JobTypeSpec::new("plain", "1").command(["echo", "{word}"])));
    let before = engine.fresh_view(WAIT).position;
    let good = || json!({"json": {"N": 1}});
    let check = |new: NewJob, expected: QueueError| {
        let found = told(engine.queue_new_job(new.clone())).expect_err("refused");
        assert_eq!(found, expected);
        assert_eq!(told(engine.queue_new_job_for_user(new)).err(), Some(expected));
    };
    let data = |text: &str| QueueError::InvalidData(text.to_owned());
    check(NewJob::new(JobTypeId(99), good()), QueueError::UnknownJobType(JobTypeId(99)));
    check(NewJob::new(JobTypeId(99), json!([])), QueueError::UnknownJobType(JobTypeId(99)));
    check(NewJob::new(inactive, good()), QueueError::InactiveJobType("inactive".to_owned()));
    check(NewJob::new(kind, json!({})), data("Parameter 'N' is required"));
    check(NewJob::new(kind, json!({"json": {"N": true}})), data("Parameter 'N' must receive an integer"));
    check(NewJob::new(kind, json!([])), data("Invalid data: [] is not of type 'object'"));
    let file = json!({"json": {"N": 1}, "files": {"F": [9]}});
    check(NewJob::new(kind, file), QueueError::UnknownFile { name: "F".to_owned(), id: 9 });
    check(NewJob::new(plain, json!({})), data("Parameter 'word' is required"));
    let file = json!({"json": {"word": "x"}, "files": {"F": [9]}});
    check(NewJob::new(plain, file), data("Parameter 'F' of type 'json' cannot accept data of type 'file'"));
    let long = json!({"json": {"word": "x".repeat(1 << 17)}});
    let found = told(engine.queue_new_job(NewJob::new(plain, long))).expect_err("refused");
    assert!(matches!(found, QueueError::TooLarge { .. }), "{found}");
    let long = json!({"json": {"N": 1, "more": "x".repeat(2 << 20)}});
    assert_eq!(
        told(engine.queue_new_job(NewJob::new(kind, long))).map(|job| job.id),
        Ok(JobId(1)),
        "what no parameter takes is dropped"
    );
    let before = if engine.job(JobId(1)).is_some() { engine.fresh_view(WAIT).position } else { before };
    for bad in
        [json!({"priority": 0}), json!({"unknown": 1}), json!({"output_workspaces": {"default": "none"}})]
    {
        let new = NewJob::new(kind, good()).configuration(bad.clone());
        let found = told(engine.queue_new_job(new)).expect_err("refused");
        assert!(matches!(found, QueueError::InvalidConfiguration(_)), "{bad}: {found}");
    }
    let event = EventId(99);
    assert_eq!(
        told(engine.queue_new_job(NewJob::new(kind, good()).event(event))).err(),
        Some(QueueError::UnknownEvent(event))
    );
    assert_eq!(engine.fresh_view(WAIT).position, before, "no event was made");
    assert_eq!(engine.jobs(JobId(0), 10).len(), 1);
    engine.check_invariants();
}

#[test]
fn jobs_of_one_call_share_an_instant_and_get_new_executions() {
    let clock = HandClock::default();
    let engine = Engine::in_memory(Options::default().clock(clock.clone()));
    let kind = put_step(&engine, "step");
    let [waits, failed, completed, canceled] = [(); 4].map(|()| queue_step(&engine, kind));
    let name = launch(&engine, failed);
    let state = TaskState::Ended { outcome: Outcome::Canceled, usage: Usage::default() };
    done(engine.status(StatusUpdate { name, state, when: engine.now() }));
    let name = launch(&engine, completed);
    done(engine.status(ended(&engine, name, 0)));
    done(engine.cancel(vec![canceled]));
    let all = vec![canceled, completed, failed, waits, waits];
    assert_eq!(done(engine.queue_jobs(all.clone(), false, None)), [], "none of them is new");
    clock.set(7);
    assert_eq!(done(engine.queue_jobs(all, true, Some(0))), [waits, failed, canceled]);
    for id in [waits, failed, canceled] {
        let job = engine.job(id).expect("a job");
        assert_eq!(
            (job.status, job.num_exes, job.queued),
            (JobStatus::Queued, 2, Some(Timestamp(7_000_000)))
        );
        assert_eq!((job.started, job.ended, job.node), (None, None, None));
        assert_eq!(entry(&engine, id).execution.priority, 0, "zero is a value");
        assert_eq!(job.priority, 100, "and is not kept on the job");
    }
    assert_eq!(status(&engine, completed), JobStatus::Completed);
    assert_eq!(engine.get_queue(QueueMode::Fifo, &[], 10).len(), 3, "older entries have left the queue");
    assert_eq!(done(engine.queue_jobs(vec![waits], true, None)), [waits]);
    assert_eq!(entry(&engine, waits).execution.priority, 100, "without a priority it is computed again");
    let unknown = told(engine.queue_jobs(vec![waits, JobId(99)], true, None));
    assert_eq!(unknown, Err(JobsError::Unknown(JobId(99))));
    engine.check_invariants();
}

#[test]
fn a_job_that_waits_for_others_is_not_queued_by_name() {
    let engine = engine();
    let kind = done(engine.put_job_type(JobTypeSpec::new("step", "1")));
    let node =
        |name: &str, parents: Vec<u32>| RecipeNode { name: name.into(), job: JobRequest::new(kind), parents };
    let recipe = RecipeRequest { name: String::new(), nodes: vec![node("a", vec![]), node("b", vec![0])] };
    let id = SubmissionId::new("one").expect("a name");
    done(engine.submit(Submission::new(id).recipe(recipe)));
    assert_eq!(done(engine.queue_jobs(vec![JobId(1), JobId(2)], false, None)), []);
    assert_eq!(status(&engine, JobId(2)), JobStatus::Pending);
}

#[test]
fn canceled_entries_leave_the_queue_at_once_and_their_ends_are_on_record() {
    let engine = engine();
    let kind = put_step(&engine, "step");
    let [waits, runs] = [(); 2].map(|()| queue_step(&engine, kind));
    launch(&engine, runs);
    assert_eq!(done(engine.cancel_queued_jobs(vec![JobId(99), runs, waits])), [waits]);
    assert_eq!(done(engine.cancel_queued_jobs(vec![waits])), []);
    let job = engine.job(waits).expect("a job");
    assert_eq!((job.status, job.end.map(|end| end.outcome)), (JobStatus::Canceled, Some(Outcome::Canceled)));
    let entry = entry(&engine, waits);
    assert!(entry.is_canceled && engine.get_queue(QueueMode::Fifo, &[], 10).is_empty());
    assert_eq!(status(&engine, runs), JobStatus::Running);
    engine.check_invariants();
}

#[test]
fn the_queue_is_read_in_either_direction_without_the_types_left_out() {
    let clock = HandClock::default();
    let engine = Engine::in_memory(Options::default().clock(clock.clone()));
    let (kind, other) = (put_step(&engine, "one"), put_step(&engine, "other"));
    let queue = |second: i64, kind, priority: i64| {
        clock.set(second);
        let configuration = json!({"priority": priority});
        let new = NewJob::new(kind, json!({"json": {"N": 1}})).configuration(configuration);
        done(engine.queue_new_job_for_user(new)).0
    };
    let [a, b, c, d] = [queue(1, kind, 20), queue(2, other, 20), queue(3, kind, 20), queue(4, kind, 10)];
    let read = |mode, ignore: &[JobTypeId], limit| {
        let queue = engine.get_queue(mode, ignore, limit);
        queue.iter().map(|entry| entry.job.0).collect::<Vec<_>>()
    };
    for mode in [QueueMode::Fifo, QueueMode::Lifo] {
        done(engine.set_mode(None, Some(mode)));
        assert_eq!(read(QueueMode::Fifo, &[], 10), [d, a, b, c]);
        assert_eq!(read(QueueMode::Lifo, &[], 10), [d, c, b, a]);
        assert_eq!(read(QueueMode::Fifo, &[kind], 10), [b]);
        assert_eq!(read(QueueMode::Lifo, &[other], 2), [d, c]);
    }
    let oldest = |status: &QueueStatus| {
        (status.job_type.id, status.count, status.highest_priority, status.longest_queued)
    };
    engine.fresh_view(WAIT);
    let all: Vec<_> = engine.get_queue_status().iter().map(oldest).collect();
    let at = |second: i64| Some(Timestamp(second * 1_000_000));
    assert_eq!(all, [(kind, 3, 10, at(1)), (other, 1, 20, at(2))]);
    let of_none = QueueStatus::new(engine.view().job_type(kind).expect("a type").job_type.clone());
    assert_eq!(oldest(&of_none), (kind, 0, 100, None));
}

#[test]
fn what_was_queued_is_there_when_the_store_is_opened_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || Engine::open(directory.path(), Options::default()).expect("it opens");
    let engine = open();
    let kind = worked_example(&engine);
    let file = done(engine.put_file(FileRecord::new("in.tif", "image/tiff", WORKED_BYTES)));
    let input = json!({"files": {"F": [file.0]}});
    let new = NewJob::new(kind, input.clone()).configuration(json!({"priority": 3}));
    let job = done(engine.queue_new_job(new));
    let before = entry(&engine, job.id);
    engine.close().expect("closed");
    let engine = open();
    let after = entry(&engine, job.id);
    assert_eq!((before, after.execution.priority), (after.clone(), 3));
    let job = engine.job(job.id).expect("a job");
    assert_eq!(engine.job_input(&job).to_value()["files"], input["files"]);
    engine.check_invariants();
}

#[test]
fn executions_of_a_job_are_listed_the_newest_first() {
    let engine = engine();
    let kind = put_step(&engine, "step");
    let job = queue_step(&engine, kind);
    let first = launch(&engine, job);
    done(engine.queue_jobs(vec![job], true, None));
    let numbers = |engine: &Engine| {
        let job = engine.job(job).expect("a job");
        let all = engine.job_executions(&job);
        all.iter().map(|record| (record.exe_num, record.end.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&engine), [(1, false)], "the first runs on, the second waits");
    done(engine.status(ended(&engine, first, 0)));
    let second = launch(&engine, job);
    assert_eq!(numbers(&engine), [(2, false), (1, true)]);
    done(engine.status(ended(&engine, second, 0)));
    assert_eq!(numbers(&engine), [(2, true), (1, true)]);
    assert_eq!(status(&engine, job), JobStatus::Completed);
}

#[test]
fn values_of_a_submission_are_the_input_of_a_type_with_a_manifest() {
    let engine = engine();
    let kind = put_step(&engine, "step");
    let submission = |id: &str, value: &str| {
        let id = SubmissionId::new(id).expect("a name");
        Submission::new(id).jobs(JobRequest::new(kind).count(2).values([("N", value), ("more", "x")]))
    };
    let refused = told(engine.submit(submission("bad", "x"))).expect_err("refused");
    assert_eq!(refused.to_string(), "a job of type step: Parameter 'N' must receive an integer");
    assert!(engine.jobs(JobId(0), 10).is_empty());
    let first = done(engine.submit(submission("good", "3"))).first_job;
    let job = engine.job(JobId(first.0 + 1)).expect("a job");
    assert_eq!(engine.job_input(&job).to_value(), json!({"files": {}, "json": {"N": 3}}));
    assert_eq!((job.revision, job.status), (1, JobStatus::Queued));
    assert_eq!(entry(&engine, first).get_job_interface()["job"]["name"], "step");
}
