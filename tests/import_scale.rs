//! Moving over from an existing Scale by the command line: small tables, written by hand as psql writes them.

mod common;

use std::fmt::Write;
use std::time::Duration;

use common::Place;
use serde_json::{Value, json};
use weighbridge::{
    Engine, JobId, JobStatus, JobTypeChange, JobTypeSpec, LoadFilter, NewJobType, Options, Outcome, Timestamp,
};

const WAIT: Duration = Duration::from_secs(30);

fn manifest(name: &str, command: &str) -> String {
    json!({
        "seedVersion": "1.0.0",
        "job": {
            "name": name, "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": "It, \"quoted\"",
            "description": "made by hand", "maintainer": { "name": "A. Nobody", "email": "nobody@example.com" },
            "timeout": 60,
            "interface": { "command": command, "inputs": { "json": [{ "name": "N", "type": "integer" }] } },
            "resources": { "scalar": [{ "name": "cpus", "value": 1.0 }, { "name": "mem", "value": 128.0 }] },
        },
    })
    .to_string()
}

/// A cell as psql quotes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn job_types() -> String {
    let row = |id: u32, name: &str, paused: char, command: &str| {
        let manifest = quoted(&manifest(name, command));
        format!("{id},{name},1.0.0,f,t,{paused},,5,2,{manifest},\"{{\"\"priority\"\": 70}}\",image:2\n")
    };
    let header = "id,name,version,is_system,is_active,is_paused,max_scheduled,max_tries,revision_num,manifest,\
                  configuration,docker_image\n";
    let system = "3,scale-strike,1.0,t,t,f,,3,1,,,\n";
    [header, &row(11, "resize", 'f', "two"), system, &row(20, "train", 't', "two")].concat()
}

fn revisions() -> String {
    let mut text = "id,job_type_id,revision_num,docker_image,manifest\n".to_owned();
    for (id, kind, name, number) in
        [(102, 11, "resize", 2), (101, 11, "resize", 1), (201, 20, "train", 1), (202, 20, "train", 2)]
    {
        let manifest = quoted(&manifest(name, if number == 1 { "one" } else { "two" }));
        writeln!(text, "{id},{kind},{number},image:{number},{manifest}").expect("a text");
    }
    text
}

const JOB_HEADER: &str = "id,job_type_id,job_type_rev_id,status,num_exes,max_tries,input,configuration,\
                          input_file_size,error_id,is_superseded,superseded,created,queued,started,ended,last_status_change\n";

fn job(id: u32, kind: u32, status: &str, num_exes: u32, rest: &str) -> String {
    let input = r#""{""json"": {""N"": 7, ""text"": ""a, \""b\""""}}""#;
    let revision = if kind == 3 { 301 } else { kind / 10 * 100 + 1 };
    format!(
        "{id},{kind},{revision},{status},{num_exes},4,{input},,1.5,{rest},2026-01-31 12:00:00.25+00,\
         2026-01-31 13:00:00+01,,,2026-02-01 00:00:00+00\n"
    )
}

fn jobs() -> String {
    let mut text = JOB_HEADER.to_owned();
    text += &job(1_000, 11, "QUEUED", 1, ",f,");
    text += &job(1_001, 11, "QUEUED", 3, ",f,");
    text += &job(1_002, 20, "QUEUED", 1, ",f,");
    text += &job(1_003, 11, "PENDING", 0, ",f,");
    text += &job(1_004, 11, "BLOCKED", 0, ",f,");
    text += &job(1_005, 11, "FAILED", 4, "9,f,");
    text += &job(1_006, 3, "RUNNING", 1, ",f,");
    text += &job(1_007, 11, "CANCELED", 1, ",f,");
    text += &job(1_300, 11, "COMPLETED", 2, ",t,2026-01-31 14:00:00+00");
    text += &job(1_301, 11, "RUNNING", 2, ",f,");
    text += &job(1_302, 11, "QUEUED", 1, ",f,");
    text
}

fn queue() -> String {
    let resources = |cpus: &str| {
        quoted(&format!(
            r#"{{"version": "1.0", "resources": {{"cpus": {cpus}, "mem": 468.0, "sharedmem": 1.0}}}}"#
        ))
    };
    let mut text = "id,job_id,exe_num,priority,is_canceled,queued,resources\n".to_owned();
    // Later entries of one moment are not of later jobs.
    for (id, job, priority, canceled, second) in [
        (77, 1_302, 50, 'f', 5),
        (76, 1_001, 50, 'f', 5),
        (90, 1_000, 50, 'f', 5),
        (95, 1_002, 0, 'f', 9),
        (60, 1_001, 10, 't', 1),
        (61, 1_007, 10, 't', 1),
    ] {
        let cpus = if job == 1_001 { "1.5" } else { "2.0" };
        writeln!(
            text,
            "{id},{job},3,{priority},{canceled},2026-01-31 12:00:0{second}+00,{}",
            resources(cpus)
        )
        .expect("a text");
    }
    text
}

const ERRORS: &str = "id,name,title,category,is_builtin,should_be_retried\n9,bad-pixel,Bad Pixel,DATA,f,t\n";

const LOADS: &str = "id,job_type_id,measured,pending_count,queued_count,running_count,total_count\n\
                     1,11,2026-01-01 00:00:00+00,1,2,3,6\n2,,2026-01-01 01:00:00+00,0,0,0,0\n3,3,2026-01-01 00:00:00+00,0,0,1,1\n";

const FILES: [&str; 6] =
    ["job.csv", "queue.csv", "job_type.csv", "job_type_rev.csv", "error.csv", "job_load.csv"];

fn place() -> Place {
    let place = Place::new();
    let texts = [jobs(), queue(), job_types(), revisions(), ERRORS.to_owned(), LOADS.to_owned()];
    for (file, text) in FILES.iter().zip(texts) {
        place.write(file, &text);
    }
    place
}

fn import(place: &Place, more: &[&str]) -> Value {
    let arguments = [&["import-scale", "--output", "json", "--store", "store"], more, &FILES].concat();
    place.run(&arguments).expect(0).json()
}

fn open(place: &Place) -> Engine {
    Engine::open(place.path("store"), Options::default().load_period(None)).expect("the store")
}

#[test]
fn the_queue_has_the_order_that_it_had_in_scale() {
    let place = place();
    let told = import(&place, &["--map", "ids.jsonl"]);
    assert_eq!(told["taken_over"]["n_jobs"], 10);
    assert_eq!(
        told["left_out"],
        json!({ "canceled_entries": 2, "stale_entries": 0, "rows_of_system_types": 3 })
    );
    let map = std::fs::read_to_string(place.path("ids.jsonl")).expect("a map");
    let lines = map.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let of_jobs = lines.filter(|line| line["table"] == "job");
    let there: std::collections::BTreeMap<u64, u64> = of_jobs
        .map(|line| (line["id"].as_u64().expect("an id"), line["scale"].as_u64().expect("an id")))
        .collect();
    let engine = open(&place);
    let queued = engine.queued(&[], 100);
    let order: Vec<(u64, i32)> = queued.iter().map(|entry| (there[&entry.job.0], entry.priority)).collect();
    // 0 is a value; entries of one moment by their own ids; the one that ran by its job type's priority.
    assert_eq!(order, [(1_002, 0), (1_001, 50), (1_302, 50), (1_000, 50), (1_301, 70)]);
    let asks: Vec<String> = queued.iter().map(|entry| entry.resources.to_string()).collect();
    assert!(
        asks[1].contains("cpus:1.5") && asks[0].contains("cpus:2") && asks[0].contains("mem:468"),
        "{asks:?}"
    );
    assert_eq!(queued[1].exe_num, 3);
    assert_eq!(queued[1].queued, Timestamp::from_secs(1_769_860_805));
    engine.close().expect("closed");
    place.run(&["check", "store"]).expect(0);
}

#[test]
fn jobs_keep_status_counts_times_and_what_they_were_given() {
    let place = place();
    import(&place, &[]);
    let engine = open(&place);
    let by_status = |status: JobStatus| {
        engine.jobs(JobId(0), 100).into_iter().filter(|job| job.status == status).collect::<Vec<_>>()
    };
    assert_eq!(by_status(JobStatus::Queued).len(), 5);
    assert_eq!(by_status(JobStatus::Running), []);
    for (status, num_exes) in [(JobStatus::Pending, 0), (JobStatus::Blocked, 0), (JobStatus::Failed, 4)] {
        let jobs = by_status(status);
        let [job] = jobs.as_slice() else { panic!("{jobs:?}") };
        assert_eq!((job.num_exes, job.max_tries, job.input_mib), (num_exes, 4, Some(2)));
        assert_eq!(job.created, Timestamp(1_769_860_800_250_000));
        assert_eq!(job.last_status_change, Timestamp::from_secs(1_769_904_000));
        assert_eq!((job.revision, job.priority), (1, 70));
        let values: Vec<(&str, &str)> = job.values.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(values, [("N", "7"), ("text", "a, \"b\"")]);
    }
    let view = engine.fresh_view(WAIT);
    let error = view.errors().find(|error| error.name == "bad-pixel").expect("on record");
    let outcome = by_status(JobStatus::Failed)[0].end.clone().expect("an end").outcome;
    assert_eq!((outcome, error.should_be_retried), (Outcome::Error { id: error.id }, true));
    assert_eq!(by_status(JobStatus::Completed)[0].superseded, Some(Timestamp::from_secs(1_769_868_000)));
    assert_eq!(by_status(JobStatus::Canceled)[0].num_exes, 1);
    let types: Vec<_> = view
        .types
        .iter()
        .map(|kind| (kind.job_type.spec.name.as_str(), kind.job_type.spec.is_paused))
        .collect();
    assert_eq!(types, [("resize", false), ("train", true)]);
    let of_two = |revision| {
        &view.catalog.job_type_revision(view.types[0].job_type.id, revision).expect("it").docker_image
    };
    assert_eq!((of_two(1).as_str(), of_two(2).as_str()), ("image:1", "image:2"));
    assert_eq!(view.types[0].job_type.spec.max_tries, 5);
    let rows = engine.get_job_loads(&LoadFilter::default());
    assert_eq!(
        rows.iter().map(|row| (row.job_type.is_some(), row.total())).collect::<Vec<_>>(),
        [(true, 6), (false, 0)]
    );
}

#[test]
fn the_same_files_again_change_nothing_and_other_jobs_are_refused() {
    let place = place();
    import(&place, &[]);
    let engine = open(&place);
    let before =
        (engine.jobs(JobId(0), 100), engine.queued(&[], 100), engine.get_job_loads(&LoadFilter::default()));
    let revisions = engine.fresh_view(WAIT).catalog.job_type_revisions().count();
    engine.close().expect("closed");
    let told = import(&place, &[]);
    assert_eq!(
        (&told["taken_over"]["n_known_jobs"], &told["taken_over"]["n_known_load_rows"]),
        (&json!(10), &json!(2))
    );
    let engine = open(&place);
    let after =
        (engine.jobs(JobId(0), 100), engine.queued(&[], 100), engine.get_job_loads(&LoadFilter::default()));
    assert_eq!(after, before);
    assert_eq!(engine.fresh_view(WAIT).catalog.job_type_revisions().count(), revisions);
    engine.close().expect("closed");
    place.write("job.csv", &(jobs() + &job(9_000, 11, "PENDING", 0, ",f,")));
    let arguments = [&["import-scale", "--store", "store"][..], &FILES].concat();
    place.run(&arguments).expect(1).says("job 9000 was not among those").says("new directory");
}

#[test]
fn an_import_that_was_interrupted_still_sets_the_switches_of_a_job_type() {
    let place = place();
    let engine = open(&place);
    let document: Value = serde_json::from_str(&manifest("train", "one")).expect("JSON");
    let new = NewJobType {
        spec: JobTypeSpec::new("train", "1.0.0"),
        manifest: document.to_string().into(),
        docker_image: "image:1".to_owned(),
        configuration: "{}".into(),
        is_published: false,
        icon_code: None,
        is_long_running: false,
    };
    engine.put_manifest(new).expect("room").wait_durable(WAIT).expect("a type");
    engine.close().expect("closed");
    import(&place, &[]);
    let engine = open(&place);
    let view = engine.fresh_view(WAIT);
    let train = view.types.iter().find(|kind| kind.job_type.spec.name == "train").expect("it");
    assert!(train.job_type.spec.is_paused, "{:?}", train.job_type);
    let id = train.job_type.id;
    let change = JobTypeChange { is_paused: Some(false), ..JobTypeChange::default() };
    engine.edit_job_type(id, change).expect("room").wait_durable(WAIT).expect("goes on");
    engine.close().expect("closed");
    import(&place, &[]);
    let engine = open(&place);
    let view = engine.fresh_view(WAIT);
    assert!(!view.job_type(id).expect("it").job_type.spec.is_paused, "what was taken over stays as it is");
    engine.close().expect("closed");
}

#[test]
fn a_wrong_row_is_told_with_file_line_and_column_and_nothing_is_made() {
    let place = place();
    let bad = jobs().replace("1003,11,101,PENDING", "1003,12,101,WAITING");
    place.write("job.csv", &bad);
    place.write("queue.csv", &(queue() + "96,5555,1,1,f,2026-01-31 12:00:00+00,\n97,5556,1,soon,f,,\n"));
    let arguments = [&["import-scale", "--store", "store"][..], &FILES].concat();
    let answer = place.run(&arguments).expect(2);
    let answer = answer.says("queue.csv:9, column queued: it is missing");
    let answer = answer.says("job.csv:5, column status: \"WAITING\" is no status");
    answer.says("1 live rows are of jobs that no file of job has, entry 96 of job 5555");
    assert!(!place.path("store").exists());
    place.write(
        "job.csv",
        &[JOB_HEADER, &job(5, 11, "PENDING", 0, ",f,"), &job(4, 12, "PENDING", 0, ",f,")].concat(),
    );
    place.write("queue.csv", "id,job_id,priority,queued\n");
    place.run(&arguments).expect(2).says("job.csv:3, column id: 4 stands behind 5");
    place.run(&["import-scale", "x.csv"]).expect(2).says("write TABLE=FILE");
    place.run(&["import-scale", "--check", "job=none.csv"]).expect(2).says("none.csv: could not be opened");
}

#[test]
fn a_store_with_jobs_of_its_own_is_refused() {
    let place = place();
    let engine = open(&place);
    let kind = engine.put_job_type(JobTypeSpec::new("own", "1")).expect("room");
    let kind = kind.wait_durable(WAIT).expect("a type");
    let id = weighbridge::SubmissionId::new("own").expect("a name");
    let jobs = weighbridge::Submission::new(id).jobs(weighbridge::JobRequest::new(kind));
    engine.submit(jobs).expect("room").wait_durable(WAIT).expect("accepted");
    engine.close().expect("closed");
    let arguments = [&["import-scale", "--store", "store"][..], &FILES].concat();
    place.run(&arguments).expect(1).says("the store has jobs that are not of an import");
}

#[test]
fn lines_of_json_are_taken_over_too() {
    let place = place();
    let row = json!({
        "id": 1, "job_type_id": 11, "job_type_rev_id": 102, "status": "PENDING", "num_exes": 0, "max_tries": 3,
        "input": { "json": { "N": 1, "text": "back\\slash" } }, "created": "2026-01-31T12:00:00.25+00:00",
    });
    let doubled = row.to_string().replace('\\', "\\\\");
    place.write("job.jsonl", &format!("{doubled}\n"));
    let files = ["job.jsonl", "job_type.csv", "job_type_rev.csv"];
    let arguments = [&["import-scale", "--store", "store", "--copy-text"][..], &files].concat();
    let told = place.run(&[&arguments[..], &["--output", "json"]].concat()).expect(0).json();
    assert_eq!((&told["taken_over"]["n_jobs"], &told["taken_over"]["n_renumbered"]), (&json!(1), &json!(0)));
    let engine = open(&place);
    let job = engine.job(JobId(1)).expect("on record");
    assert_eq!((job.created, job.revision), (Timestamp(1_769_860_800_250_000), 2));
    assert!(job.values.iter().any(|(_, value)| value == "back\\slash"), "{:?}", job.values);
}
