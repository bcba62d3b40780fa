//! What a user of the daemon sees: the commands that speak to `serve`, their answers and exit codes.

mod common;
#[path = "common/door.rs"]
mod door;
#[path = "common/http.rs"]
#[expect(dead_code, reason = "shared with tests/api.rs")]
mod http;

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use common::{Daemon, Place, jobs_in, until};
use door::Door;
use weighbridge::JobStatus;

/// Two types: one waits for a machine that is not there, one runs.
const WORK: &str = r#"{
  "job_types": [
    { "name": "ok", "command": ["sh", "-c", "echo {word} > {out_dir}/{job_id}"], "resources": { "cpus": 0.1 } },
    { "name": "nap", "command": ["sleep", "600"], "resources": { "cpus": 0.1 }, "tries": 1 },
    { "name": "big", "command": ["true"], "resources": { "cpus": 1000 } }
  ],
  "jobs": [{ "type": "ok", "count": 3, "values": { "word": "hi" } }, { "type": "nap" }, { "type": "big" }]
}"#;

fn one_type(command: &str) -> String {
    format!(
        r#"{{ "job_types": [{{ "name": "t", "command": {command}, "tries": 1 }}], "jobs": [{{ "type": "t", "count": 3 }}] }}"#
    )
}

#[test]
fn the_commands_speak_to_a_daemon() {
    let place = Place::new();
    place.write("w.json", WORK);
    let daemon = Daemon::start(&place, &["--store", "s", "--resources", "cpus:2"]);
    assert!(daemon.line.starts_with(concat!(
        "weighbridge ",
        env!("CARGO_PKG_VERSION"),
        " listens on http://127.0.0.1:"
    )));
    assert!(daemon.line.trim_end().ends_with("/s, 0 jobs, epoch 1"), "{}", daemon.line);
    let ask = |args: &[&str]| daemon.ask(&place, args);

    let first = ask(&["submit", "w.json", "--id", "one"]).expect(0);
    assert_eq!(first.stdout.trim(), "accepted: 5 jobs, jobs 1-5, submission one");
    let again = ask(&["submit", "w.json", "--id", "one", "--output", "json"]).expect(0).json();
    assert_eq!((&again["is_repeat"], &again["first_job"]), (&true.into(), &1.into()), "queued once: {again}");
    until("three jobs", || ask(&["job", "3", "--output", "json"]).json()["status"] == "COMPLETED");
    assert_eq!(place.read("w.out/2"), "hi\n");

    let jobs = ask(&["jobs", "--status", "completed", "--output", "json"]).expect(0).json();
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(3), "{jobs}");
    let table = ask(&["jobs", "--after", "1", "--limit", "2"]).expect(0).stdout;
    assert!(table.contains("COMPLETED") && table.contains("more with --after 3"), "{table}");
    let last =
        ask(&["jobs", "--status", "completed", "--order=-ended", "--since", "1h", "--limit", "1", "--count"]);
    let table = last.expect(0).stdout;
    assert!(table.contains("more with --after") && table.contains("3 in all"), "{table}");
    let none = ask(&["jobs", "--error-category", "system,algorithm", "--id", "1-5"]).expect(0).stdout;
    assert_eq!(none.trim(), "no such jobs");
    ask(&["jobs", "--order", "size"]).expect(2).says("id, created, last_modified");
    ask(&["jobs", "--job-type", "nothing"]).expect(4).says("no job type \"nothing\"");
    ask(&["jobs", "--error", "oops"]).expect(2).says("exit-code, signal, timeout");
    for error in ["not-started", "6", "lost,4"] {
        assert_eq!(ask(&["jobs", "--error", error]).expect(0).stdout.trim(), "no such jobs", "{error}");
    }
    let help = ask(&["jobs", "--help"]).expect(0).stdout;
    assert!(help.contains("--order=-last_modified") && help.contains("Columns to order by"), "{help}");
    let job = ask(&["job", "1"]).expect(0).stdout;
    assert!(job.contains("exit code") || job.contains("completed"), "{job}");

    let why = ask(&["explain", "5"]).expect(0).stdout;
    assert!(why.contains("can never be placed here: cpus: asks for 1000"), "{why}");
    let nodes = ask(&["nodes", "--output", "json"]).json()["nodes"].clone();
    let why = ask(&["explain", "--node", nodes[0]["hostname"].as_str().expect("a name")]).expect(0).stdout;
    assert!(why.contains("ON THIS NODE") && why.contains("too big for the node by 998 cpus"), "{why}");
    ask(&["explain", "--node", "nothing"]).expect(4).says("no node \"nothing\" was seen");
    let journal = ask(&["journal", "--limit", "1000"]).expect(0).stdout;
    assert!(journal.contains("launched") && journal.contains(" on "), "{journal}");
    let queue = ask(&["queue"]).expect(0).stdout;
    assert!(queue.contains("big") && queue.contains("cpus:1000"), "{queue}");
    let status = ask(&["status"]).expect(0).stdout;
    for part in ["JOB TYPE", "nap", "NODE", "cpus:2", "can never be placed here"] {
        assert!(status.contains(part), "{part:?} is missing in {status}");
    }
    assert!(ask(&["status", "--output", "json"]).json()["waiting"].is_array());
    ask(&["load"]).expect(0);

    assert_eq!(ask(&["priority", "5", "--to", "-3"]).expect(0).stdout.trim(), "1 job moved to priority -3");
    assert_eq!(ask(&["job", "5", "--output", "json"]).json()["priority"], -3);
    ask(&["limit", "nap", "4"]).expect(0);
    ask(&["limit", "nap:1.0", "none"]).expect(0);
    ask(&["pause", "big"]).expect(0);
    assert!(ask(&["explain", "5"]).expect(0).stdout.contains("is paused"));
    ask(&["resume", "big"]).expect(0);
    let canceled = ask(&["cancel", "1-5"]).expect(0).stdout;
    assert_eq!(canceled.trim(), "2 jobs canceled, 3 had ended before");
    assert!(ask(&["queue"]).expect(0).stdout.contains("nothing is queued"));
    until("the end of the nap", || ask(&["status", "--output", "json"]).json()["n_running"] == 0);

    ask(&["explain", "99"]).expect(4).says("error: no job 99");
    ask(&["pause", "none/such"]).expect(4).says("no job type \"none/such\"");
    assert_eq!(ask(&["job", "99", "--output", "json"]).expect(4).json()["error"]["code"], "no-such-job");

    assert_eq!(daemon.end().code(), Some(0), "SIGTERM ends it well");
    let jobs = jobs_in(&place.path("s"));
    let of = |status| jobs.iter().filter(|job| job.status == status).count();
    assert_eq!((of(JobStatus::Completed), of(JobStatus::Canceled)), (3, 2), "{jobs:?}");
}

#[test]
fn submit_waits_and_tells_how_it_ended() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &["--store", "s", "--resources", "cpus:2"]);
    let ask = |args: &[&str]| daemon.ask(&place, args);
    place.write("good.json", &one_type(r#"["true"]"#));
    let good = ask(&["submit", "good.json", "--wait"]).expect(0);
    assert_eq!(good.stdout.trim(), "3 jobs done");
    place.write("bad.json", &one_type(r#"["false"]"#));
    assert_eq!(ask(&["submit", "bad.json", "--wait"]).expect(1).stdout.trim(), "0 jobs done, 3 failed");
    place.write(
        "w.json",
        &one_type(r#"["true"]"#).replace("\"tries\"", "\"resources\": {\"gpus\": 1}, \"tries\""),
    );
    let big = ask(&["submit", "w.json", "--wait", "--output", "json"]).expect(3).json();
    assert_eq!(big["counts"]["unplaceable"], 3, "{big}");
    place.write("long.json", &one_type(r#"["sleep", "600"]"#));
    ask(&["submit", "long.json", "--wait", "--timeout", "200ms"]).expect(6).says("help: they go on");
    ask(&["cancel", "1-12"]).expect(0);
    until("the end of all", || ask(&["status", "--output", "json"]).json()["n_running"] == 0);
    place.write("fault.json", "{\n \"job_types\": 7 }");
    ask(&["submit", "fault.json"]).expect(2).says("fault.json:2: job_types:");
    assert_eq!(daemon.end().code(), Some(0));
}

#[test]
fn a_daemon_without_a_driver_keeps_what_it_gets() {
    let place = Place::new();
    place.write("w.json", &one_type(r#"["true"]"#));
    let daemon = Daemon::start(&place, &["--store", "s", "--driver", "none"]);
    daemon.ask(&place, &["submit", "w.json"]).expect(0);
    assert_eq!(daemon.end().code(), Some(0));
    let daemon = Daemon::start(&place, &["--store", "s"]);
    assert!(daemon.line.trim_end().ends_with(", 3 jobs, epoch 2"), "{}", daemon.line);
    until("the jobs", || {
        daemon.ask(&place, &["job", "3", "--output", "json"]).json()["status"] == "COMPLETED"
    });
    assert_eq!(daemon.end().code(), Some(0));
}

#[test]
fn bulk_operations_and_messages_are_ordered_watched_and_taken_back() {
    let place = Place::new();
    place.write("w.json", &one_type(r#"["true"]"#));
    let daemon = Daemon::start(&place, &["--store", "s", "--driver", "none"]);
    let ask = |args: &[&str]| daemon.ask(&place, args);
    ask(&["submit", "w.json"]).expect(0);
    let preview = ask(&["bulk", "cancel", "--status", "queued", "--dry-run"]).expect(0).stdout;
    assert!(preview.starts_with("3 jobs to cancel; the newest of them:"), "{preview}");
    ask(&["bulk", "cancel"]).expect(2).says("needs a filter");
    let done = ask(&["bulk", "cancel", "--job-type", "t", "--id", "1-2"]).expect(0).stdout;
    assert_eq!(done.trim(), "operation 1, cancel: 2 jobs changed of 2 looked at; done");
    let undone = ask(&["bulk", "undo", "1"]).expect(0).stdout;
    assert_eq!(undone.trim(), "operation 2, undo of 1: 2 jobs changed of 2 looked at; done");
    ask(&["bulk", "requeue", "--status", "queued,failed", "--priority", "-4"]).expect(0);
    assert_eq!(ask(&["queue", "--output", "json"]).json()["entries"][2]["priority"], -4);
    let all = ask(&["bulk", "list"]).expect(0).stdout;
    assert!(all.contains("undo of 1") && all.contains("requeue"), "{all}");
    assert_eq!(ask(&["bulk", "show", "3", "--output", "json"]).expect(0).json()["phase"], "done");
    ask(&["bulk", "stop", "9"]).expect(4).says("no bulk operation 9");

    // Behind every change of a job.
    let when = "2199-11-24T12:00:00Z";
    let cancel =
        |id: u32| format!(r#"{{"type": "cancel_jobs", "body": {{"job_ids": [{id}], "when": "{when}"}}}}"#);
    place.write("m.json", &[cancel(1), cancel(99)].join("\n"));
    let told = ask(&["message", "m.json"]).expect(1).stdout;
    assert!(
        told.contains("cancel_jobs: 1 job changed") && told.contains("dead letter 1: no job 99"),
        "{told}"
    );
    assert!(ask(&["dead-letters"]).expect(0).stdout.contains("unknown-job"));
    ask(&["dead-letters", "retry", "1"]).expect(1);
    ask(&["dead-letters", "drop", "1"]).expect(0);
    assert_eq!(ask(&["dead-letters"]).expect(0).stdout.trim(), "no dead letters");
    assert_eq!(daemon.end().code(), Some(0));
}

#[test]
fn a_run_that_listens_waits_for_what_is_paused_and_can_be_told_to_go_on() {
    let place = Place::new();
    place.write("w.json", &one_type(r#"["true"], "paused": true"#));
    let mut command = place.command(&["run", "w.json", "--no-progress", "--listen", "127.0.0.1:0"]);
    command.stdout(Stdio::null()).stderr(File::create(place.path("stderr")).expect("writable"));
    let mut run = command.spawn().expect("it starts");
    until("its address", || place.read("stderr").contains("listens on http://"));
    let text = place.read("stderr");
    let url = text.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
    let why = place.run(&["explain", "1", "--server", url]).expect(0).stdout;
    assert!(why.contains("is paused"), "{why}");
    place.run(&["resume", "t", "--server", url]).expect(0);
    until("its end", || run.try_wait().expect("a child").is_some());
    assert_eq!(run.wait().expect("it has ended").code(), Some(0));
}

#[test]
fn what_is_said_of_the_opening_of_a_store_is_on_standard_error_alone() {
    let place = Place::new();
    place.write("w.json", &one_type(r#"["true"]"#));
    let run = ["run", "w.json", "--store", "s", "--no-progress", "--output", "json"];
    let ended = place.run(&[&run[..], &["--verbose"]].concat()).expect(0);
    ended.says("the store is open after").says(": 0 jobs, 0 events applied from the log");
    assert_eq!(ended.json()["totals"]["done"], 3, "{ended:?}");
    let again = place.run(&[&run[..], &["--verbose"]].concat()).expect(0);
    again.says(": 3 jobs, ");
    assert_eq!(again.json()["totals"]["done"], 3, "{again:?}");
    let daemon = Daemon::start(&place, &["--store", "s", "--verbose", "--output", "json"]);
    let ready: serde_json::Value = serde_json::from_str(&daemon.line).expect("one line of JSON");
    assert_eq!(ready["n_jobs"], 3, "{ready}");
    assert!(daemon.end().success());
    for look in ["inspect", "check"] {
        let ended = place.run(&[look, "s", "--verbose", "--output", "json"]).expect(0);
        assert_eq!(ended.json()["n_faults"].as_u64().unwrap_or(0), 0, "{ended:?}");
        assert!(!ended.stderr.contains("store is open"), "nothing is opened for good: {ended:?}");
    }
}

#[test]
fn a_daemon_asked_for_json_tells_in_json_that_it_is_ready() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &["--store", "s", "--driver", "none", "--output", "json"]);
    let ready: serde_json::Value = serde_json::from_str(&daemon.line).expect("one line of JSON");
    assert_eq!((&ready["url"], &ready["n_jobs"]), (&daemon.url.as_str().into(), &0.into()), "{ready}");
    daemon.ask(&place, &["status"]).expect(0);
    assert_eq!(daemon.end().code(), Some(0));
}

#[test]
fn submit_says_what_it_waits_for_and_outlives_a_daemon_that_is_started_again() {
    let place = Place::new();
    let first = Daemon::start(&place, &["--store", "s", "--resources", "cpus:2"]);
    let door = Door::new();
    door.lead_to(Some(&first));
    place.write("w.json", &one_type(r#"["true"], "paused": true"#));
    let mut command = place.command(&["submit", "w.json", "--wait", "--server", &door.url]);
    command.stdout(File::create(place.path("stdout")).expect("writable"));
    command.stderr(File::create(place.path("stderr")).expect("writable"));
    let mut submit = command.spawn().expect("it starts");
    until("the reason", || place.read("stderr").contains("nothing of it runs: job 1 is QUEUED"));
    assert!(place.read("stderr").contains("job type t:1.0 is paused"));
    door.lead_to(None);
    assert_eq!(first.end().code(), Some(0));
    until("the silence", || place.read("stderr").contains("trying again"));
    let second = Daemon::start(&place, &["--store", "s", "--resources", "cpus:2"]);
    door.lead_to(Some(&second));
    second.ask(&place, &["resume", "t"]).expect(0);
    until("its end", || submit.try_wait().expect("a child").is_some());
    assert_eq!(submit.wait().expect("it has ended").code(), Some(0), "{}", place.read("stderr"));
    assert_eq!(place.read("stdout").trim(), "3 jobs done");
    assert_eq!(second.end().code(), Some(0));
}

/// Answers every request on a port of its own, with status 200 and `body`.
fn answering(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4_096];
            let _ = stream.read(&mut head);
            let n = body.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    format!("http://{address}")
}

#[test]
fn a_server_that_is_not_ours_is_told_as_such() {
    let place = Place::new();
    place.write("w.json", &one_type(r#"["true"]"#));
    let page = answering("<html>hello</html>");
    place.run(&["status", "--server", &page]).expect(1).says("is not a weighbridge server").says("help: ");
    let error = place.run(&["jobs", "--server", &page, "--output", "json"]).expect(1).json();
    assert_eq!(error["error"]["code"], "not-weighbridge", "{error}");
    let other = answering(r#"{"ok": true}"#);
    for more in [&[][..], &["--wait"]] {
        let args = [&["submit", "w.json", "--server", &other], more].concat();
        place.run(&args).expect(1).says("is not a weighbridge server: it does not say what it queued");
    }
}

#[test]
fn a_second_daemon_and_a_port_in_use_are_told() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &["--store", "s"]);
    let second = place.run(&["serve", "--store", "s", "--listen", "127.0.0.1:0"]).expect(1);
    second.says(&format!("in use by process {}", daemon.id())).says("help: ");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let other = ["serve", "--store", "other", "--listen", &address];
    place.run(&other).expect(1).says(&format!("{address} is in use")).says("--listen");
    assert_eq!(daemon.end().code(), Some(0));
}

#[test]
fn nobody_there_is_told_with_what_to_do() {
    let place = Place::new();
    // Nobody but the system may listen there, and nobody does.
    let server = "http://127.0.0.1:1";
    let ended = place.run(&["status", "--server", server]).expect(5);
    ended
        .says("error: could not reach http://127.0.0.1:")
        .says("help: start a daemon with `weighbridge serve`");
    let json = place.run(&["queue", "--server", server, "--output", "json"]).expect(5).json();
    assert_eq!(json["error"]["code"], "unreachable", "{json}");
    place.run(&["status", "--server", "127.0.0.1:1"]).expect(2).says("does not begin with http://");
    place.run(&["cancel", "--server", server, "3-1"]).expect(2).says("names no jobs");
}

/// Jobs of type `t` start in zone b alone.
const ZONE_B: &str = r#"{
  "starvation": { "overtaken": 9 },
  "named": { "t:1.0": { "constraints": [{ "attribute": "zone", "is": { "in": ["b", "c"] } }] } }
}"#;

#[test]
fn a_job_waits_for_a_node_that_its_policy_allows() {
    let place = Place::new();
    place.write("p.json", ZONE_B);
    place.write("w.json", &one_type(r#"["true"]"#));
    let serve = ["--store", "s", "--resources", "cpus:2", "--policy", "p.json"];
    let daemon = Daemon::start(&place, &[&serve[..], &["--attribute", "zone=a"]].concat());
    let ask = |daemon: &Daemon, args: &[&str]| daemon.ask(&place, args);
    ask(&daemon, &["submit", "w.json"]).expect(0);
    // What is free to start anywhere starts, and the others are seen at least as often.
    ask(&daemon, &["job-type", "create", "other", "--", "true"]).expect(0);
    ask(&daemon, &["submit", "other", "--wait"]).expect(0);
    let counts = |daemon: &Daemon| {
        let status = ask(daemon, &["status", "--output", "json"]).json();
        (status["totals"]["queued"].clone(), status["totals"]["completed"].clone())
    };
    assert_eq!(counts(&daemon), (3.into(), 1.into()));

    let address = daemon.url.trim_start_matches("http://").parse().expect("an address");
    let policy = http::Client(address).get("/api/v1/policy").expect(200);
    let told = ask(&daemon, &["policy", "--check", "p.json"]).expect(0).json();
    assert_eq!(policy, told, "what is in force is what the file comes to");
    assert_eq!(policy["starvation"], serde_json::json!({ "overtaken": 9, "seconds": 259_200 }), "{policy}");
    assert_eq!(policy["named"]["t:1.0"]["constraints"][0]["is"]["in"][0], "b", "{policy}");
    assert_eq!(daemon.end().code(), Some(0));

    let daemon = Daemon::start(&place, &[&serve[..], &["--attribute", "zone=c"]].concat());
    ask(&daemon, &["watch"]).expect(0);
    assert_eq!(counts(&daemon), (0.into(), 4.into()));
}
