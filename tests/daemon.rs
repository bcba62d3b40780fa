//! What a user of the daemon sees: the commands that speak to `serve`, their answers and exit codes.

mod common;

use std::fs::File;
use std::net::TcpListener;
use std::process::Stdio;

use common::{Daemon, Place, jobs_in, until};
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
    let job = ask(&["job", "1"]).expect(0).stdout;
    assert!(job.contains("exit code") || job.contains("completed"), "{job}");

    let why = ask(&["explain", "5"]).expect(0).stdout;
    assert!(why.contains("can never be placed here: cpus: asks for 1000"), "{why}");
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
