//! What a user of the binary sees: answers, messages and exit codes of `run`.

mod common;

use common::{Place, appending, held, ids_in, jobs_in, let_go, until};
use rustix::process::Signal;
use weighbridge::JobStatus;

const QUIET: [&str; 3] = ["run", "w.json", "--no-progress"];
const JSON: [&str; 5] = ["run", "w.json", "--no-progress", "--output", "json"];

/// Four jobs that ask for a quarter of a processor run at once, whatever the machine has.
const ONE_CPU: [&str; 2] = ["--resources", "cpus:1"];

/// Values, files and a recipe; all of it writes to `out`.
const SMALL: &str = r#"{
  "name": "small",
  "job_types": [
    { "name": "say", "command": ["sh", "-c", "echo \"$0\" > {out_dir}/said-{job_id}", "{word}"] },
    { "name": "count", "command": ["sh", "-c", "wc -c < \"$0\" > {out_dir}/\"$1\".size", "{file}", "{file_name}"],
      "resources": { "cpus": 0.5, "mem": 8 }, "priority": 5 },
    { "name": "sum", "command": ["sh", "-c", "cat {out_dir}/*.size > {out_dir}/sum"] }
  ],
  "jobs": [{ "type": "say", "values": { "word": "it's $HOME \"quoted\"" } }],
  "recipes": [{ "name": "sizes", "nodes": [
    { "name": "sum", "type": "sum", "depends_on": ["count"] },
    { "name": "count", "type": "count", "files": "data/*.txt" }
  ] }]
}"#;

fn small() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("data")).expect("writable");
    for (name, text) in [("a.txt", "12345"), ("b c.txt", "1234567")] {
        place.write(&format!("data/{name}"), text);
    }
    place.write("w.json", SMALL);
    place
}

#[test]
fn a_small_workload_runs_to_its_end() {
    let place = small();
    let ended = place.run(&["run", "w.json", "--out", "here"]).expect(0);
    assert_eq!(place.read("here/said-1"), "it's $HOME \"quoted\"\n", "values reach the command as they are");
    assert_eq!(place.read("here/a.txt.size").trim(), "5");
    assert_eq!(place.read("here/b c.txt.size").trim(), "7");
    assert_eq!(place.read("here/sum").split_whitespace().collect::<Vec<_>>(), ["5", "7"], "it ran last");
    for part in ["JOB TYPE", "say", "count", "sum", "4 of 4 jobs done"] {
        assert!(ended.stdout.contains(part), "{part:?} is missing in {ended:#?}");
    }
    let jobs = jobs_in(&place.path(".weighbridge/w"));
    assert!(jobs.iter().all(|job| job.status == JobStatus::Completed), "{jobs:?}");
}

#[test]
fn with_json_standard_output_is_one_object_with_the_same_facts() {
    let place = small();
    let summary = place.run(&JSON).expect(0).json();
    assert_eq!(summary["exit_code"], 0);
    assert_eq!(summary["totals"]["done"], 4);
    let count = &summary["job_types"][1];
    assert_eq!((&count["name"], &count["done"]), (&"count".into(), &2.into()));
    for key in ["wait_s", "run_s"] {
        assert!(count[key]["p95"].as_f64().is_some_and(|p95| p95 > 0.0), "{key} in {count}");
    }
}

#[test]
fn a_fault_in_the_file_names_line_and_field_and_nothing_is_made() {
    let place = small();
    place.write("w.json", &SMALL.replace("\"priority\": 5", "\"priorty\": 5"));
    let ended = place.run(&QUIET).expect(2);
    ended.says("w.json:6: job_types[1]: there is no field \"priorty\" here; did you mean \"priority\"?");
    ended.says("help: ");
    assert!(!place.path(".weighbridge").exists(), "nothing was queued");
    place.write("w.json", &SMALL.replace("data/*.txt", "data/*.csv"));
    place.run(&QUIET).expect(2).says("w.json:12: recipes[0].nodes[1].files: \"data/*.csv\" matches no file");
    assert!(!place.path(".weighbridge").exists(), "nothing was queued");
    let error = place.run(&["run", "none.json", "--output", "json"]).expect(2).json();
    assert_eq!(error["error"]["code"], "workload", "{error}");
    assert!(error["error"]["help"].is_string(), "{error}");
}

#[test]
fn a_missing_command_fails_its_job_alone_and_the_reason_is_told() {
    let place = Place::new();
    place.write(
        "w.json",
        r#"{ "job_types": [{ "name": "gone", "command": ["/no/such/program"], "tries": 2 },
                          { "name": "bad", "command": ["sh", "-c", "echo first; echo oops >&2; exit 7"], "tries": 1 },
                          { "name": "ok", "command": ["true"] }],
            "jobs": [{ "type": "bad" }, { "type": "gone" }, { "type": "ok", "count": 3 }] }"#,
    );
    let ended = place.run(&QUIET).expect(1);
    for part in
        ["3 of 5 jobs done, 2 failed", "failed: job 1 (bad): exit code 7", "    | oops", "no such program"]
    {
        assert!(ended.stdout.contains(part), "{part:?} is missing in {ended:#?}");
    }
    let summary = place.run(&JSON).expect(1).json();
    let failures = summary["failures"].as_array().expect("a list");
    assert_eq!(failures.len(), 2, "{summary}");
    assert_eq!((&failures[0]["code"], &failures[1]["code"]), (&"exit-code".into(), &"not-started".into()));
    assert_eq!(failures[0]["stderr"][0], "oops");
    assert_eq!(summary["totals"]["retries"], 1, "the missing command was tried twice");
}

#[test]
fn what_can_never_fit_is_told_at_once_with_what_is_short_and_the_rest_runs() {
    let place = Place::new();
    place.write(
        "w.json",
        r#"{ "job_types": [{ "name": "big", "command": ["true"], "resources": { "cpus": 3, "mem": 10 }, "priority": 1 },
                          { "name": "ok", "command": ["true"], "resources": { "cpus": 1 } }],
            "jobs": [{ "type": "big", "count": 2 }, { "type": "ok", "count": 3 }],
            "recipes": [{ "name": "r", "nodes": [{ "name": "a", "type": "big" },
                                                 { "name": "b", "type": "ok", "depends_on": ["a"] }] }] }"#,
    );
    let args = ["run", "w.json", "--resources", "cpus:1.5,mem:64", "--no-progress"];
    let ended = place.run(&args).expect(3);
    ended.says(
        "warning: 3 jobs of big can never be placed here: cpus: asks for 3, this machine has 1.5, 1.5 short",
    );
    assert!(ended.stdout.contains("3 of 7 jobs done, 4 not run"), "{ended:#?}");
    let summary = place.run(&[&args[..], &["--output", "json"]].concat()).expect(3).json();
    let short = &summary["unplaceable"][0]["shortages"][0];
    assert_eq!((&short["resource"], short["short"].as_f64()), (&"cpus".into(), Some(1.5)), "{summary}");
    // On a larger machine the same command goes on.
    let rest = place.run(&["run", "w.json", "--resources", "cpus:4,mem:64", "--no-progress"]).expect(0);
    assert!(rest.stdout.contains("7 of 7 jobs done"), "{rest:#?}");
}

#[test]
fn a_run_never_takes_what_is_about_to_start_for_what_cannot() {
    let place = Place::new();
    place.write(
        "w.json",
        r#"{ "job_types": [{ "name": "t", "command": ["true"], "resources": { "cpus": 2 } }],
            "jobs": [{ "type": "t", "count": 2 }] }"#,
    );
    for n in 0..25 {
        let store = format!("store-{n}");
        let args = ["run", "w.json", "--no-progress", "--store", &store, "--resources", "cpus:2"];
        let ended = place.run(&args).expect(0);
        assert!(ended.stdout.contains("2 of 2 jobs done"), "{n}: {ended:#?}");
    }
}

#[test]
fn jobs_of_a_paused_type_do_not_keep_a_run_waiting() {
    let place = Place::new();
    place.write(
        "w.json",
        r#"{ "job_types": [{ "name": "held", "command": ["true"], "paused": true }, { "name": "ok", "command": ["true"] }],
            "jobs": [{ "type": "held" }, { "type": "ok" }] }"#,
    );
    let ended = place.run(&QUIET).expect(1);
    assert!(ended.stdout.contains("not run: jobs of paused types (held)"), "{ended:#?}");
}

#[test]
fn ctrl_c_stops_and_the_same_command_goes_on() {
    let place = Place::new();
    place.write("w.json", &held(80, 10));
    let process = place.start(&[&QUIET[..], &ONE_CPU].concat());
    let ran = place.path(".weighbridge/w/out/ran");
    until("four jobs that wait", || ids_in(&ran).len() == 14);
    process.signal(Signal::INT);
    let ended = process.wait().expect(130);
    ended.says("interrupted with ").says("the same command goes on from here");
    assert_eq!(ended.stdout, "", "{ended:#?}");
    assert_eq!(ids_in(&ran).len(), 14, "it had not ended");
    let_go(&place);
    let ended = place.run(&[&JSON[..], &ONE_CPU].concat()).expect(0);
    assert_eq!(ended.json()["totals"]["done"], 80, "{ended:#?}");
    assert_eq!(ended.json()["totals"]["lost"], 0, "{ended:#?}");
    assert_eq!(ids_in(&ran), (1..=80).collect::<Vec<_>>(), "every job ran once");
}

#[test]
fn what_is_complete_is_told_again_and_fresh_runs_it_anew() {
    let place = Place::new();
    place.write("w.json", &appending(5, "0"));
    place.run(&QUIET).expect(0);
    let again = place.run(&QUIET).expect(0);
    assert!(again.stdout.contains("5 of 5 jobs done"), "{again:#?}");
    assert!(again.stdout.contains("nothing was run now"), "{again:#?}");
    let ran = place.path(".weighbridge/w/out/ran");
    assert_eq!(ids_in(&ran).len(), 5, "nothing ran again");
    let fresh = place.run(&["run", "w.json", "--no-progress", "--fresh"]).expect(0);
    fresh.says("the earlier run is kept in ");
    assert_eq!(ids_in(&ran).len(), 5, "a new store has results of its own");
    let kept = std::fs::read_dir(place.path(".weighbridge")).expect("a folder");
    let kept: Vec<_> = kept.map(|entry| entry.expect("readable").file_name()).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
}

#[test]
fn fresh_with_a_fault_in_the_file_leaves_the_earlier_run_where_it_is() {
    let place = small();
    place.run(&QUIET).expect(0);
    let fresh = ["run", "w.json", "--no-progress", "--fresh"];
    for (from, to) in [("data/*.txt", "data/*.csv"), ("\"jobs\"", "\"jbos\"")] {
        place.write("w.json", &SMALL.replace(from, to));
        place.run(&fresh).expect(2).says("help: nothing was queued");
        let names = std::fs::read_dir(place.path(".weighbridge")).expect("a folder");
        let names: Vec<_> = names.map(|entry| entry.expect("readable").file_name()).collect();
        assert_eq!(names, ["w"], "nothing was moved");
    }
    assert_eq!(jobs_in(&place.path(".weighbridge/w")).len(), 4);
}

#[test]
fn a_store_of_another_workload_is_not_touched() {
    let place = Place::new();
    place.write("w.json", &appending(2, "0"));
    place.run(&QUIET).expect(0);
    place.write("w.json", &appending(3, "0"));
    place.run(&QUIET).expect(1).says("has changed since the store").says("help: --fresh");
    place.write("other.json", &appending(2, "0"));
    let other = ["run", "other.json", "--store", ".weighbridge/w"];
    place.run(&other).expect(1).says("holds another workload").says("help: --fresh");
    place.run(&["run", "other.json", "--store", ".weighbridge/other"]).expect(0);
    let elsewhere = ["run", "other.json", "--store", ".weighbridge/other", "--out", "elsewhere"];
    place.run(&elsewhere).expect(1).says("the results of this run go to ");
    assert_eq!(jobs_in(&place.path(".weighbridge/w")).len(), 2);
}

#[test]
fn a_second_process_on_the_same_store_is_told_who_has_it() {
    let place = Place::new();
    place.write("w.json", &held(4, 0));
    let first = place.start(&QUIET);
    until("the first job", || !ids_in(&place.path(".weighbridge/w/out/ran")).is_empty());
    let owner = format!("in use by process {}", first.id());
    place.run(&QUIET).expect(1).says(&owner).says("help: one process at a time uses a store");
    let error = place.run(&JSON).expect(1).json();
    assert_eq!(error["error"]["code"], "store-in-use", "{error}");
    place.run(&["run", "w.json", "--fresh"]).expect(1).says("in use").says(&format!("`kill {}`", first.id()));
    let_go(&place);
    first.wait().expect(0);
    assert_eq!(ids_in(&place.path(".weighbridge/w/out/ran")).len(), 4);
}

#[test]
fn fresh_refuses_while_executions_of_the_earlier_run_still_run() {
    let place = Place::new();
    place.write("w.json", &held(4, 0));
    let process = place.start(&[&QUIET[..], &ONE_CPU].concat());
    until("all jobs", || ids_in(&place.path(".weighbridge/w/out/ran")).len() == 4);
    process.signal(Signal::INT);
    process.wait().expect(130).says("4 jobs still running will finish by themselves and count");
    let refused = place.run(&["run", "w.json", "--fresh"]).expect(1);
    refused.says("still run under its supervisor").says("help: wait until they end");
    let_go(&place);
    let ended = place.run(&JSON).expect(0);
    assert_eq!(ended.json()["totals"]["done"], 4, "{ended:#?}");
    assert_eq!(ids_in(&place.path(".weighbridge/w/out/ran")), [1, 2, 3, 4]);
}

#[test]
fn usage_errors_and_help_teach() {
    let place = Place::new();
    let help = place.run(&["--help"]).expect(0);
    for part in ["run", "Examples:", "Exit codes:", "goes on where it stopped"] {
        assert!(help.stdout.contains(part), "{part:?} is missing in {help:#?}");
    }
    assert!(place.run(&["--version"]).expect(0).stdout.starts_with("weighbridge "));
    assert!(place.run(&[]).expect(2).stderr.contains("Examples:"));
    place.run(&["run"]).expect(2).says("Usage:");
    place.run(&["run", "w.json", "--resources", "cpus=2"]).expect(2).says("NAME:AMOUNT");
    place.run(&["run", "w.json", "--load-period", "fast"]).expect(2).says("no length of time");
}

#[test]
fn bad_arguments_exit_with_2_and_say_what_would_be_right() {
    let place = Place::new();
    place.write("bad.json", "{");
    place.write("list.json", "[1]");
    // Nobody listens there: what is wrong is told before anybody is asked.
    let check = |line: &str, part: &str| {
        let words: Vec<&str> = line.split_whitespace().chain(["--server", "http://127.0.0.1:1"]).collect();
        let ended = place.run(&words).expect(2);
        ended.says(part);
        let is_helpful = ended.stderr.contains("help: ") || ended.stderr.contains("--help");
        assert!(is_helpful, "{line}: {ended:#?}");
    };
    check("cancel", "which jobs?");
    check("cancel 3-1", "names no jobs; write an id such as 7");
    check("cancel 7 --status queued", "jobs are named and there are filters too");
    check("cancel --status waiting", "\"waiting\" is none of");
    check("requeue", "which jobs?");
    check("requeue 7 --priority x", "invalid value 'x'");
    check("priority 7", "--to <PRIORITY>");
    check("explain", "JOB");
    check("explain 1,", "names no jobs");
    check("job 0", "names no jobs");
    check("jobs --since yesterday", "is no time; write 2026-11-24T12:00:00Z");
    check("watch last --timeout soon", "is no length of time; write for instance 90s");
    check("limit hello 0", "is no limit; write a number above zero");
    check("submit hello --input N", "is no value; write NAME=VALUE");
    check("submit hello --file in=x", "names no files; write NAME=ID");
    check("submit hello --count 0", "0 is not in 1..");
    check("submit hello --json bad.json", "no JSON");
    check("submit hello --json list.json", "document 1 is no object");
    check("submit hello --json none.json", "could not read none.json");
    check("submit hello --timeout 5s", "--wait");
    check("submit hello --out here", "--out is for workload files");
    check("submit ./work --count 3", "--count is for jobs of a type");
    check("job-type create", "a job type needs a name");
    check("job-type create hello", "a job type needs a command");
    check("job-type create hello --mem much", "is no amount; write a decimal number");
    check("job-type create hello --resource license", "is no resource; write NAME=AMOUNT");
    check("job-type create hello --timeout 1500ms", "not in whole seconds");
    check("job-type create hello --uri {}", "missing field `value`");
    check("job-type create --manifest bad.json", "no JSON");
    check("job-type edit hello", "nothing to change");
    check("recipe-type create list.json", "it is no JSON object");
    check("recipe-type edit pipeline", "nothing to change");
    check("recipe show x", "names no recipe");
    check("recipe reprocess 7", "--node <NAME>");
    check("batch create pipeline", "--dataset <ID>");
    check("batch create pipeline --dataset 1 --map x", "maps nothing; write INPUT=PARAMETER");
    check("file add gone.tif", "is not here, so its size has to be said");
    check("scheduler mode random", "invalid value 'random'");
    check("nodes pause", "<NODE>");
}

#[test]
fn a_fault_in_a_policy_is_told_and_nothing_is_made() {
    let place = small();
    place.write(
        "p.json",
        "{\n  \"score\": \"spread\",\n  \"reserving\": \"never\",\n  \"is_strikt\": true\n}",
    );
    let fault = "error: p.json:4:13: unknown field `is_strikt`, expected one of `score`, `reserving`,";
    for begin in [&["run", "w.json"][..], &["serve", "--listen", "127.0.0.1:0", "--store", "s"]] {
        place.run(&[begin, &["--policy", "p.json"]].concat()).expect(2).says(fault).says("docs/policy.md");
        assert!(!place.path(".weighbridge").exists() && !place.path("s").exists(), "nothing was made");
    }
    place.run(&["policy", "--check", "p.json"]).expect(2).says(fault);
    let error = place.run(&["policy", "--check", "none.json", "--output", "json"]).expect(2).json();
    assert_eq!(error["error"]["code"], "policy", "{error}");
    let default = place.run(&["policy"]).expect(0);
    place.write("p.json", &default.stdout);
    let checked = place.run(&["policy", "--check", "p.json"]).expect(0);
    assert_eq!(checked.stdout, default.stdout, "what is printed can be read");
    assert_eq!(default.json()["score"], "best_fit");
    place.run(&["run", "w.json", "--attribute", "zone"]).expect(2).says("NAME=VALUE");
}

#[test]
fn a_run_ends_where_its_policy_allows_nothing_more_and_goes_on_where_it_does() {
    let place = small();
    let policy = r#"{"named": {"say": {"constraints": [{"attribute": "zone", "is": {"equals": "b"}}]}}}"#;
    place.write("p.json", policy);
    let ended = place.run(&["run", "w.json", "--no-progress", "--policy", "p.json"]).expect(1);
    assert!(ended.stdout.contains("3 of 4 jobs done"), "{ended:#?}");
    let here = ["run", "w.json", "--no-progress", "--policy", "p.json", "--attribute", "zone=b"];
    let ended = place.run(&here).expect(0);
    assert!(ended.stdout.contains("4 of 4 jobs done"), "{ended:#?}");
}
