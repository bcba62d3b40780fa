//! What a user sees of what jobs print: `weighbridge logs`, with jobs that run on this machine.

mod common;
#[path = "common/door.rs"]
mod door;

use std::fs::File;
use std::process::{Child, Stdio};

use common::{Daemon, Ended, Place, until};
use door::Door;
use serde_json::json;

/// A daemon on this machine, and the commands that speak to it.
struct Site {
    place: Place,
    daemon: Daemon,
}

impl Site {
    fn new() -> Self {
        let place = Place::new();
        let daemon = Daemon::start(&place, &["--store", "s", "--resources", "cpus:2"]);
        Self { place, daemon }
    }

    fn ask(&self, args: &[&str]) -> Ended {
        self.daemon.ask(&self.place, args)
    }

    /// A job type that runs `script` with the directory of the test, and one job of it.
    fn submit(&self, name: &str, script: &str, more: &[&str]) {
        let place = self.place.path("");
        let place = place.to_str().expect("a name");
        let command = ["--", "sh", "-c", script, "sh", place];
        self.ask(&[&["job-type", "create", name], more, &command].concat()).expect(0);
        self.ask(&["submit", name]).expect(0);
    }

    fn end_of(&self, job: &str) {
        self.ask(&["watch", job]);
    }

    /// `logs` with its output in files.
    fn follow(&self, url: &str, args: &[&str]) -> Child {
        let mut command = self.place.command(&[&["logs"], args, &["--follow"]].concat());
        let file = |name: &str| File::create(self.place.path(name)).expect("writable");
        command.env("WEIGHBRIDGE_SERVER", url).stdout(file("stdout")).stderr(file("stderr"));
        command.spawn().expect("it starts")
    }
}

fn end_of(mut follow: Child) -> i32 {
    until("the end of what follows", || follow.try_wait().expect("a child").is_some());
    follow.wait().expect("it has ended").code().expect("a code")
}

/// Says where it is, and goes on once the test lets it.
const IN_TWO: &str = "echo first; while [ ! -e $1/go ]; do sleep 0.02; done; echo second; echo trouble >&2";

#[test]
fn what_comes_is_shown_as_it_comes_until_the_job_is_over() {
    let site = Site::new();
    site.submit("t", IN_TWO, &[]);
    let follow = site.follow(&site.daemon.url, &["last"]);
    until("what is there", || site.place.read("stdout") == "first\n");
    // What does not follow ends.
    assert_eq!(site.ask(&["logs", "1"]).expect(0).stdout, "first\n");
    site.place.write("go", "");
    assert_eq!(end_of(follow), 0);
    assert_eq!(
        (site.place.read("stdout"), site.place.read("stderr")),
        ("first\nsecond\n".into(), "trouble\n".into())
    );
    // It is there for as long as the sandbox is.
    let ended = site.ask(&["logs", "1"]).expect(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("first\nsecond\n", "trouble\n"));
    std::fs::remove_dir_all(site.place.path("s/sandbox")).expect("removed");
    site.ask(&["logs", "1"]).expect(4).says("what execution 1 of job 1 printed is gone").says("help: ");
    site.ask(&["logs", "1", "--follow"]).expect(4).says("is gone");
}

#[test]
fn further_tries_are_followed_and_a_daemon_that_is_away_is_waited_for() {
    let mut site = Site::new();
    let door = Door::new();
    let script = "echo try of {job_id}; while [ ! -e $1/go ]; do sleep 0.02; done; [ -e $1/well ]";
    site.ask(&["job-type", "create", "blocked", "--", "true"]).expect(0);
    site.ask(&["pause", "blocked"]).expect(0);
    site.ask(&["submit", "blocked"]).expect(0);
    door.lead_to(Some(&site.daemon));
    // Before it was started there is nothing to show, and something to wait for.
    site.ask(&["logs", "1"]).expect(4).says("job 1 was not started so far").says("explain");
    let waits = site.follow(&door.url, &["1"]);
    site.ask(&["cancel", "1"]).expect(0);
    assert_eq!(end_of(waits), 4, "{}", site.place.read("stderr"));

    site.submit("tries", script, &["--max-tries", "3"]);
    let follow = site.follow(&door.url, &["2"]);
    until("the first try", || site.place.read("stdout") == "try of 2\n");
    door.lead_to(None);
    until("word of the silence", || site.place.read("stderr").contains("trying again"));
    let Site { place, daemon } = site;
    assert_eq!(daemon.end().code(), Some(0));
    let daemon = Daemon::start(&place, &["--store", "s", "--resources", "cpus:2"]);
    site = Site { place, daemon };
    door.lead_to(Some(&site.daemon));
    site.place.write("go", "");
    until("the second try", || site.place.read("stderr").contains("execution 2 of job 2 begins"));
    site.place.write("well", "");
    assert_eq!(end_of(follow), 0, "{}", site.place.read("stderr"));
    let n =
        site.ask(&["job", "2", "--output", "json"]).expect(0).json()["num_exes"].as_u64().expect("a number");
    let all = "try of 2\n".repeat(usize::try_from(n).expect("few"));
    assert_eq!(site.place.read("stdout"), all, "{n} executions");
    assert_eq!(site.ask(&["logs", "2", "--exe", "1"]).expect(0).stdout, "try of 2\n");
    site.ask(&["logs", "2", "--exe", "9"]).expect(4).says("job 2 has no execution 9 that was started");
}

#[test]
fn a_part_is_shown_in_the_form_that_is_asked_for() {
    let site = Site::new();
    // More than is read at once, and no line end at the end.
    let script = "i=0; while [ $i -lt 9000 ]; do echo line number $i; i=$((i + 1)); done; printf rest; \
                  printf 'one\\ntwo\\n' >&2";
    site.submit("t", script, &[]);
    site.end_of("1");
    let all = (0..9_000).map(|n| format!("line number {n}")).collect::<Vec<_>>().join("\n") + "\nrest";
    assert!(all.len() > 2 * 65_536);
    let shown = |args: &[&str]| site.ask(&[&["logs", "1"], args].concat()).expect(0);
    let both = shown(&[]);
    assert!((both.stdout == all) && (both.stderr == "one\ntwo\n"), "{} bytes", both.stdout.len());
    let tail = |n: &str| shown(&["--stream", "stdout", "--tail", n]).stdout;
    assert_eq!(tail("1"), "rest");
    assert_eq!(tail("3"), "line number 8998\nline number 8999\nrest");
    assert_eq!(tail("0"), "");
    // Beyond one piece, and beyond all of it.
    let begins = all.find("line number 2000\n").expect("there");
    assert!(tail("7001") == all[begins..] && tail("9001") == all && tail("99999") == all);
    let alone = shown(&["--stream", "stderr", "--tail", "1"]);
    assert_eq!((alone.stdout.as_str(), alone.stderr.as_str()), ("two\n", ""));
    let lines = shown(&["--tail", "2", "--output", "json"]).stdout;
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let line = |stream: &str, text: &str| json!({"job_id": 1, "exe_num": 1, "stream": stream, "text": text});
    let expected = [("stdout", "line number 8999"), ("stdout", "rest"), ("stderr", "one"), ("stderr", "two")];
    let expected: Vec<serde_json::Value> = expected.map(|(stream, text)| line(stream, text)).into();
    assert_eq!(lines, expected);
    assert_eq!(site.ask(&["logs", "9", "--output", "json"]).expect(4).json()["error"]["code"], "no-such-job");
    site.ask(&["logs", "1-2"]).expect(2).says("names 2 jobs");
}

#[test]
fn bytes_are_shown_as_they_are() {
    let site = Site::new();
    site.submit("t", "printf 'a\\377b\\000\\n'", &[]);
    site.end_of("1");
    let mut command = site.place.command(&["logs", "1"]);
    command.env("WEIGHBRIDGE_SERVER", &site.daemon.url).stderr(Stdio::inherit());
    let output = command.output().expect("it runs");
    assert_eq!(output.stdout, b"a\xffb\0\n");
    let json = site.ask(&["logs", "1", "--output", "json"]).expect(0).json();
    assert_eq!(json["text"], "a\u{fffd}b\0");
    // Nobody reads what a pipe has that is closed.
    let script = format!("{} logs 1 | true", env!("CARGO_BIN_EXE_weighbridge"));
    let mut shell = std::process::Command::new("sh");
    let status = shell.args(["-c", &script]).env("WEIGHBRIDGE_SERVER", &site.daemon.url).status();
    assert!(status.expect("a shell").success());
}
