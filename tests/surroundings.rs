//! The image of a job type and the files to fetch for it: what takes them, shows them, keeps them and acts on them.

mod common;
#[path = "common/http.rs"]
#[expect(dead_code, reason = "shared with tests/api.rs")]
mod http;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use common::{Daemon, Place, Process, jobs_in, until};
use http::Client;
use rustix::process::Signal;
use serde_json::{Value, json};
use weighbridge::{
    Durable, Engine, FetchUri, JobId, JobRequest, JobTypeChange, JobTypeError, JobTypeId, JobTypeSpec,
    Launch, NewJobType, NodeId, NodeResources, Offer, Options, Outcome, Submission, SubmissionId,
    SurroundingsError, TicketError,
};

const WAIT: Duration = Duration::from_secs(20);

fn put(engine: &Engine, spec: JobTypeSpec) -> JobTypeId {
    engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type")
}

fn manifest(name: &str, command: &str) -> Value {
    json!({ "seedVersion": "1.0.0", "job": {
        "name": name, "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": "", "description": "",
        "maintainer": { "name": "A", "email": "a@example.com" }, "timeout": 60,
        "interface": { "command": command },
        "resources": { "scalar": [{ "name": "cpus", "value": 0.1 }, { "name": "mem", "value": 1 }] } } })
}

fn put_manifest(engine: &Engine, image: &str) -> JobTypeId {
    let ticket = engine.put_manifest(NewJobType {
        spec: JobTypeSpec::new("boxed", "1.0.0").command(["run"]),
        manifest: manifest("boxed", "run").to_string().into(),
        docker_image: image.to_owned(),
        configuration: "{}".into(),
        is_published: false,
        icon_code: None,
        is_long_running: false,
    });
    ticket.expect("room").wait_durable(WAIT).expect("a type")
}

fn submit(engine: &Engine, id: &str, kind: JobTypeId) -> JobId {
    let submission = Submission::new(SubmissionId::new(id).expect("an id")).jobs(JobRequest::new(kind));
    engine.submit(submission).expect("room").wait_durable(WAIT).expect("accepted").first_job
}

/// Launches all that waits, and gives it by job.
fn launches(engine: &Engine) -> Vec<Launch> {
    let room = NodeResources::new().cpus("100").expect("cores").mem_mib(1 << 20);
    let all = engine.offer(&Offer::new(NodeId(1), room)).commit().wait(WAIT).expect("launches");
    let mut all: Vec<Launch> = all.into_iter().map(Durable::into_inner).collect();
    all.sort_by_key(|launch| launch.job);
    all
}

fn images(launches: &[Launch]) -> Vec<Option<&str>> {
    launches.iter().map(|launch| launch.image.as_deref()).collect()
}

fn open(path: &Path) -> Engine {
    Engine::open(path, Options::default()).expect("it opens")
}

#[test]
fn a_launch_has_the_image_of_its_jobs_revision_also_after_a_restart() {
    let place = tempfile::tempdir().expect("a directory");
    let engine = open(place.path());
    let kind = put_manifest(&engine, "image:1");
    let first = submit(&engine, "1", kind);
    assert_eq!(put_manifest(&engine, "image:2"), kind);
    let second = submit(&engine, "2", kind);
    // Another image without another manifest is no other revision.
    let change = JobTypeChange { docker_image: Some("image:3".to_owned()), ..JobTypeChange::default() };
    engine.edit_job_type(kind, change).expect("room").wait_durable(WAIT).expect("changed");
    let third = submit(&engine, "3", kind);
    assert_eq!(put_manifest(&engine, ""), kind);
    let last = submit(&engine, "4", kind);
    for job in [first, second, third, last].into_iter().zip(["image:1", "image:2", "image:2", ""]) {
        assert_eq!(engine.queue_entry(job.0).expect("it waits").docker_image, job.1);
    }
    engine.close().expect("closed");
    let engine = open(place.path());
    let launches = launches(&engine);
    assert_eq!(launches.iter().map(|launch| launch.job).collect::<Vec<_>>(), [first, second, third, last]);
    assert_eq!(images(&launches), [Some("image:1"), Some("image:2"), Some("image:2"), None]);
}

#[test]
fn what_a_type_without_a_manifest_runs_in_is_kept_by_the_log_and_by_the_state() {
    let place = tempfile::tempdir().expect("a directory");
    let uris = [
        FetchUri { executable: true, output_file: Some("run".to_owned()), ..FetchUri::new("http://h/x") },
        FetchUri { extract: false, cache: true, ..FetchUri::new("/y.tgz") },
    ];
    let spec = |n: u32| JobTypeSpec::new(format!("t{n}"), "1").command(["run"]);
    let specs = [
        spec(0),
        spec(1).image("h/a:1"),
        spec(2).uris(uris.clone()),
        spec(3).image("h/a:1").uris(uris.clone()),
    ];
    let engine = open(place.path());
    let kinds = specs.clone().map(|spec| put(&engine, spec));
    engine.pause(kinds[3], true).expect("room").wait_durable(WAIT).expect("paused");
    for (n, kind) in kinds.iter().enumerate() {
        submit(&engine, &n.to_string(), *kind);
    }
    // As after a kill: all of it is in the log alone. Then in the state file.
    let copy = tempfile::tempdir().expect("a directory");
    for name in ["log.redb", "state.redb"] {
        std::fs::copy(place.path().join(name), copy.path().join(name)).expect(name);
    }
    engine.close().expect("closed");
    for path in [copy.path(), place.path()] {
        let engine = open(path);
        engine.check_invariants();
        let types = engine.view().types.clone();
        for (kind, spec) in types.iter().zip(&specs) {
            let kept = &kind.job_type.spec;
            assert_eq!((&kept.image, &kept.uris), (&spec.image, &spec.uris), "{}", spec.name);
            assert_eq!(kept.is_paused, spec.name == "t3");
        }
        let launches = launches(&engine);
        assert_eq!(images(&launches), [None, Some("h/a:1"), None]);
        assert_eq!(launches[2].uris[..], uris);
        engine.close().expect("closed");
    }
    // It is taken away again.
    let engine = open(place.path());
    assert_eq!(put(&engine, spec(3)), kinds[3]);
    let kept = engine.fresh_view(WAIT).job_type(kinds[3]).expect("it").job_type.spec.clone();
    assert_eq!((kept.image, kept.uris.len(), kept.is_paused), (None, 0, true));
}

#[test]
fn the_engine_refuses_what_nothing_can_run_in() {
    let engine = Engine::in_memory(Options::default());
    let refusal = |spec: JobTypeSpec| match engine.put_job_type(spec).expect("room").wait_durable(WAIT) {
        Err(TicketError::Refused(JobTypeError::Surroundings(error))) => error,
        other => panic!("{other:?}"),
    };
    let spec = || JobTypeSpec::new("t", "1").command(["run"]);
    assert_eq!(refusal(spec().image("a b")), SurroundingsError::Image);
    assert_eq!(refusal(spec().uris([FetchUri::new("")])), SurroundingsError::Uri);
    let many = vec![FetchUri::new("/x"); weighbridge::limits::FETCHED_MAX + 1];
    assert_eq!(refusal(spec().uris(many)), SurroundingsError::TooMany { n: 65 });
    let long = vec![FetchUri::new("x".repeat(2_048)); 64];
    assert!(put(&engine, spec().uris(long.clone())).0 > 0);
    let named = |uri: FetchUri| FetchUri { output_file: Some("y".repeat(2_048)), ..uri };
    let told = engine.put_job_type(spec().uris(long.into_iter().map(named))).expect("room");
    let told = told.wait_durable(WAIT);
    assert!(matches!(told, Err(TicketError::Refused(JobTypeError::TooLarge { .. }))), "{told:?}");
}

fn client_of(daemon: &Daemon) -> Client {
    Client(daemon.url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address"))
}

#[test]
fn rest_takes_images_and_files_and_shows_them_again() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &["--store", "s", "--driver", "none"]);
    let client = client_of(&daemon);
    let uris =
        json!([{ "value": "http://h/x.tgz" }, { "value": "/y", "executable": true, "output_file": "z" }]);
    let body =
        json!({ "name": "own", "version": "1", "command": ["true"], "image": "h/own:1", "uris": uris });
    client.post("/api/v1/job-types", &body).expect(200);
    let shown = client.get("/api/v1/job-types/own").expect(200);
    assert_eq!((&shown["image"], &shown["uris"]), (&json!("h/own:1"), &uris));
    assert_eq!(shown["has_manifest"], false);
    assert_eq!(client.get("/v6/job-types/own/1/").expect(200)["docker_image"], "h/own:1");
    let refused = |member: &str, value: Value, field: &str| {
        let mut bad = body.clone();
        bad[member] = value;
        let told = client.post("/api/v1/job-types", &bad).expect(422);
        assert_eq!((&told["code"], &told["field"]), (&json!("invalid-job-type"), &json!(field)), "{told}");
    };
    refused("image", json!("a b"), "image");
    refused("uris", json!([{ "value": "/x" }, { "value": "" }]), "uris[1]");
    refused("uris", json!(vec![json!({ "value": "/x" }); 65]), "uris");
    let unknown = json!({ "name": "own", "version": "1", "command": ["true"], "uris": [{ "uri": "/x" }] });
    assert_eq!(client.post("/api/v1/job-types", &unknown).status, 400);

    // A job type of Scale's: the image is of its newest revision, and an empty one is none.
    let mut seed = json!({ "docker_image": "image:1", "manifest": manifest("seed", "true") });
    client.post("/v6/job-types/", &seed).expect(201);
    let shown = |path: &str| client.get(path).expect(200);
    let own = shown("/api/v1/job-types/seed");
    assert_eq!((&own["image"], &own["has_manifest"]), (&json!("image:1"), &json!(true)));
    let patch = |body: Value| client.json("PATCH", "/v6/job-types/seed/1.0.0/", &body).expect(200);
    patch(json!({ "docker_image": "image:2" }));
    assert_eq!(shown("/v6/job-types/seed/1.0.0/")["docker_image"], "image:2");
    assert_eq!(shown("/api/v1/job-types/seed")["image"], "image:1", "the revision keeps its own");
    seed["docker_image"] = json!("");
    patch(seed);
    assert_eq!(shown("/v6/job-types/seed/1.0.0/")["docker_image"], "");
    assert_eq!(shown("/api/v1/job-types/seed")["image"], Value::Null);
}

#[test]
fn the_commands_take_images_and_files_and_show_them_again() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &["--store", "s", "--driver", "none"]);
    let ask = |args: &[&str]| daemon.ask(&place, args);
    let show = |name: &str| ask(&["job-type", "show", name, "--output", "json"]).expect(0).json();
    let uri = r#"{"value": "/y.tgz", "extract": false, "cache": true}"#;
    let flags = ["--image", "h/own:1", "--uri", "http://h/x", "--uri", uri];
    ask(&[&["job-type", "create", "own"], flags.as_slice(), &["--", "run"]].concat()).expect(0);
    let uris = json!([{ "value": "http://h/x" }, { "value": "/y.tgz", "extract": false, "cache": true }]);
    assert_eq!((&show("own")["image"], &show("own")["uris"]), (&json!("h/own:1"), &uris));
    let table = ask(&["job-type", "show", "own"]).expect(0).stdout;
    let lines: Vec<String> =
        table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in ["image h/own:1", "fetches http://h/x", "fetches /y.tgz, cache, not unpacked"] {
        assert!(lines.iter().any(|told| told == line), "{line:?} is missing in {table}");
    }
    // A change leaves them, and takes them away.
    ask(&["job-type", "edit", "own", "--timeout", "5m"]).expect(0);
    assert_eq!((&show("own")["image"], &show("own")["uris"]), (&json!("h/own:1"), &uris));
    ask(&["job-type", "edit", "own", "--uri", "/z"]).expect(0);
    assert_eq!(show("own")["uris"], json!([{ "value": "/z" }]));
    ask(&["job-type", "edit", "own", "--image", "none", "--uri", "none"]).expect(0);
    assert_eq!((&show("own")["image"], &show("own")["uris"]), (&Value::Null, &json!([])));
    ask(&["job-type", "edit", "own", "--image", "a b"]).expect(2).says("an image has 1 to 500 characters");
    ask(&["job-type", "edit", "own", "--uri", "{}"]).expect(2).says("missing field `value`");

    // With a manifest: none where none is named, another one is another revision.
    place.write("seed.json", &manifest("seed", "true").to_string());
    ask(&["job-type", "create", "--manifest", "seed.json"]).expect(0);
    assert_eq!(show("seed")["image"], Value::Null);
    ask(&["job-type", "edit", "seed", "--image", "h/seed:1"]).expect(0);
    assert_eq!(show("seed")["image"], "h/seed:1");
    ask(&["job-type", "edit", "seed", "--title", "Seed"]).expect(0);
    assert_eq!(show("seed")["image"], "h/seed:1");
    let revisions = ask(&["job-type", "revisions", "seed", "--output", "json"]).expect(0).json();
    let of = |n: usize| revisions["revisions"][n]["docker_image"].clone();
    assert_eq!([of(0), of(1), of(2)], ["h/seed:1", "h/seed:1", ""].map(Value::from));
    ask(&["job-type", "edit", "seed", "--image", "none"]).expect(0);
    assert_eq!(show("seed")["image"], Value::Null);
    ask(&["job-type", "edit", "seed", "--uri", "/x"])
        .expect(2)
        .says("--uri is not for types with a manifest");
}

/// One job in an image, one for which a file is fetched, and one with neither.
const WORK: &str = r#"{
  "job_types": [
    { "name": "boxed", "command": ["true"], "image": "h/boxed:1", "tries": 1 },
    { "name": "fetches", "command": ["true"], "uris": [{ "value": "/etc/hostname" }], "tries": 1 },
    { "name": "plain", "command": ["true"], "tries": 1 }
  ],
  "jobs": [{ "type": "boxed" }, { "type": "fetches" }, { "type": "plain" }]
}"#;

#[test]
fn this_machine_runs_no_image_unless_it_is_told_to_ignore_it_and_fetches_nothing() {
    let place = Place::new();
    place.write("w.json", WORK);
    let reason = |job: &weighbridge::Job| match &job.end.as_ref().expect("it ended").outcome {
        Outcome::NotStarted { reason } => reason.clone(),
        Outcome::Exited { code: 0 } => String::new(),
        other => panic!("{other:?}"),
    };
    let check = |args: &[&str], boxed: &str| {
        place.run(args).expect(1);
        let store = args[args.iter().position(|arg| *arg == "--store").expect("a store") + 1];
        let jobs = jobs_in(&place.path(store));
        let told: Vec<String> = jobs.iter().map(reason).collect();
        assert!(told[0].contains(boxed) && told[0].is_empty() == boxed.is_empty(), "{told:#?}");
        assert!(
            told[1].contains("files are to be fetched for it, which this machine does not do"),
            "{told:#?}"
        );
        assert_eq!(told[2], "");
    };
    check(&["run", "w.json", "--store", "a"], "the image h/boxed:1, and this machine runs no images");
    check(&["run", "w.json", "--store", "b", "--local-images", "ignore"], "");
    place.run(&["serve", "--mesos", "h", "--local-images", "ignore"]).expect(2).says("cannot be used with");
}

#[test]
fn a_daemon_on_this_machine_tells_why_a_job_of_scales_did_not_start() {
    let place = Place::new();
    for (how, is_run) in [("refuse", false), ("ignore", true)] {
        let daemon = Daemon::start(&place, &["--store", how, "--local-images", how]);
        let client = client_of(&daemon);
        let body = json!({ "docker_image": "image:1", "manifest": manifest("seed", "true") });
        let kind = client.post("/v6/job-types/", &body).expect(201)["id"].clone();
        let job = client.post("/v6/jobs/", &json!({ "job_type_id": kind, "input": {} })).expect(201);
        let job = job["id"].to_string();
        let told = || daemon.ask(&place, &["job", &job, "--output", "json"]).expect(0).json();
        until("its end", || ["FAILED", "COMPLETED"].iter().any(|end| told()["status"] == *end));
        let told = told();
        assert_eq!(told["status"] == "COMPLETED", is_run, "{told:#}");
        if !is_run {
            assert_eq!(told["end"]["code"], "not-started", "{told:#}");
            let text = told["end"]["text"].as_str().unwrap_or_default();
            assert!(text.contains("--local-images ignore") && text.contains("image:1"), "{text}");
        }
        assert_eq!(daemon.end().code(), Some(0));
        let again =
            place.command(&["serve", "--listen", "127.0.0.1:0", "--store", how, "--local-images", how]);
        let again = Process::start_to(again, File::create(place.path("line")).expect("a file"));
        until("its line", || place.read("line").contains("http://"));
        again.signal(Signal::TERM);
        let told = again.wait().expect(0);
        let warns = told.stderr.contains("job types with an image: 1, seed:1.0.0 among them");
        assert_eq!(warns, !is_run, "{}", told.stderr);
    }
}
