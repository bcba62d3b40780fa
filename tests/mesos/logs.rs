//! What tasks print, read from the sandboxes on their agents.

use std::fs::File;
use std::process::Child;

use crate::common::{Ended, until};
use crate::site::Site;

/// What a command answers, whatever its exit code.
fn logs(site: &Site, args: &[&str]) -> Ended {
    let daemon = site.daemon.as_ref().expect("it runs");
    daemon.ask(&site.place, &[&["logs"], args].concat())
}

/// `logs --follow` of the first job, with its output in files.
fn follow(site: &Site) -> Child {
    let url = &site.daemon.as_ref().expect("it runs").url;
    let mut command = site.place.command(&["logs", "1", "--follow", "--server", url]);
    let file = |name: &str| File::create(site.place.path(name)).expect("writable");
    command.stdout(file("out")).stderr(file("err")).spawn().expect("it starts")
}

fn end_of(mut follow: Child) {
    until("the end of what follows", || follow.try_wait().expect("a child").is_some());
    assert!(follow.wait().expect("it has ended").success());
}

fn put_type(site: &Site, name: &str, script: &str, more: &[&str]) {
    let place = site.place.path("");
    let place = place.to_str().expect("a name");
    let small = ["--cpus", "0.1", "--mem", "32"];
    site.ask(
        &[&["job-type", "create", name], &small[..], more, &["--", "sh", "-c", script, "sh", place]].concat(),
    );
}

/// Says something, and goes on once the test lets it.
const IN_TWO: &str = "printf 'a\\377b\\n'; echo first; while [ ! -e $1/go ]; do sleep 0.05; done; echo second; echo trouble >&2";

#[test]
fn what_a_task_prints_is_read_while_it_runs_and_afterwards_also_by_another_daemon() {
    let Some(mut site) = Site::new(&[], &[]) else { return };
    put_type(&site, "talk", IN_TWO, &[]);
    site.ask(&["submit", "talk"]);
    let follow = follow(&site);
    let shown = |site: &Site| std::fs::read(site.place.path("out")).expect("readable");
    until("what is there", || shown(&site) == b"a\xffb\nfirst\n");
    assert_eq!(logs(&site, &["1", "--tail", "1"]).expect(0).stdout, "first\n");
    site.place.write("go", "");
    end_of(follow);
    assert_eq!(shown(&site), b"a\xffb\nfirst\nsecond\n");
    assert_eq!(site.place.read("err"), "trouble\n");
    // Nobody told the next daemon where the agents are.
    site.daemon = None;
    site.start();
    let again = || {
        let ended = logs(&site, &["1", "--stream", "stderr"]);
        ended.status.success().then_some(ended.stdout)
    };
    until("an answer", || again().is_some());
    assert_eq!(again().as_deref(), Some("trouble\n"));
    logs(&site, &["9"]).expect(4).says("no job 9");
}

#[test]
fn what_was_tried_again_is_followed_through_all_tries() {
    let Some(site) = Site::new(&[], &[]) else { return };
    let script = "echo try; while [ ! -e $1/go ]; do sleep 0.05; done; exit 3";
    put_type(&site, "bad", script, &["--max-tries", "2"]);
    site.ask(&["submit", "bad"]);
    let follow = follow(&site);
    until("the first try", || site.place.read("out") == "try\n");
    site.place.write("go", "");
    end_of(follow);
    assert_eq!(site.place.read("out"), "try\ntry\n");
    assert_eq!(site.place.read("err"), "execution 2 of job 1 begins\n");
    assert_eq!(logs(&site, &["1", "--exe", "1"]).expect(0).stdout, "try\n");
}

#[test]
fn what_is_on_an_agent_that_is_down_is_told_as_such_and_is_there_when_it_is_back() {
    let Some(site) = Site::new(&[], &[]) else { return };
    put_type(&site, "talk", "echo hello", &[]);
    site.ask(&["submit", "talk"]);
    until("its end", || site.is_done());
    assert_eq!(logs(&site, &["1"]).expect(0).stdout, "hello\n");
    let host = site.ask(&["job", "1"])["node"]["name"].as_str().expect("a node").to_owned();
    for agent in ["agent-0", "agent-1", "agent-2"] {
        site.ctl(&["kill", agent]);
    }
    let down = logs(&site, &["1"]).expect(1);
    down.says("what execution 1 of job 1 printed cannot be reached").says(&host);
    let json = logs(&site, &["1", "--output", "json"]).expect(1).json();
    assert_eq!(json["error"]["code"], "output-unreachable", "{json}");
    logs(&site, &["1", "--follow"]).expect(1).says("cannot be reached");
    for agent in ["agent-0", "agent-1", "agent-2"] {
        site.ctl(&["start", agent]);
    }
    let text = || logs(&site, &["1"]).stdout;
    until("the agent", || text() == "hello\n");
}

#[test]
fn what_begins_anew_elsewhere_is_followed_there() {
    let pings = ["agent_ping_timeout=1secs", "max_agent_ping_timeouts=4"].map(|flag| ["--master-flag", flag]);
    let Some(site) = Site::new(&pings.concat(), &["--mesos-unreachable", "1s"]) else { return };
    put_type(&site, "talk", IN_TWO, &["--max-tries", "1"]);
    site.ask(&["submit", "talk"]);
    let follow = follow(&site);
    let shown = |site: &Site| std::fs::read(site.place.path("out")).expect("readable");
    until("what is there", || shown(&site) == b"a\xffb\nfirst\n");
    let host = site.ask(&["job", "1"])["node"]["name"].as_str().expect("a node").to_owned();
    site.ctl(&["kill", &host]);
    until("word of it", || site.place.read("err").contains("printed cannot be reached"));
    until("the next execution", || site.place.read("err").contains("execution 2 of job 1 begins"));
    site.place.write("go", "");
    end_of(follow);
    assert_eq!(shown(&site), b"a\xffb\nfirst\na\xffb\nfirst\nsecond\n");
    logs(&site, &["1", "--exe", "1"])
        .expect(1)
        .says("execution 1 of job 1 printed cannot be reached")
        .says(&host);
}
