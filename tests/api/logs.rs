//! What executions print, as clients read it: which of them, from where, and why not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use weighbridge::{
    JobId, LaunchName, NodeId, NodeResources, Offer, Outcome, OutputStream, Piece, PieceError, PrintedSource,
    Ran, ReadFrom, StatusUpdate, TaskState, Timestamp, Usage,
};

use super::{Daemon, WAIT, busy, code};

/// What launches printed to standard output; what was asked.
#[derive(Default)]
struct Told {
    all: Mutex<BTreeMap<LaunchName, Result<String, PieceError>>>,
    asked: Mutex<Vec<Ran>>,
    /// Held by who has readers wait; how many wait, and the most that did at once.
    gate: Mutex<()>,
    waiting: Mutex<(usize, usize)>,
}

impl PrintedSource for Told {
    fn read(
        &self,
        ran: &Ran,
        stream: OutputStream,
        from: ReadFrom,
        most: usize,
    ) -> Result<Piece, PieceError> {
        {
            let mut waiting = self.waiting.lock();
            waiting.0 += 1;
            waiting.1 = waiting.1.max(waiting.0);
        }
        drop(self.gate.lock());
        self.waiting.lock().0 -= 1;
        self.asked.lock().push(ran.clone());
        let not_there = PieceError::NotThere { reason: "no such sandbox".into() };
        let text = match (self.all.lock().get(&ran.name), stream) {
            (Some(told), OutputStream::Stdout) => told.clone()?,
            _ => return Err(not_there),
        };
        let size = text.len() as u64;
        let offset = from.offset(size).min(size);
        let rest = &text.as_bytes()[usize::try_from(offset).expect("small")..];
        Ok(Piece { offset, bytes: rest[..rest.len().min(most)].to_vec(), size })
    }
}

fn start(daemon: &Daemon) -> LaunchName {
    let offer = Offer::new(NodeId(1), NodeResources::new().mem_mib(1_000)).named("alpha");
    daemon.engine.offer(&offer).commit().wait(WAIT).expect("durable")[0].get().name
}

fn end(daemon: &Daemon, name: LaunchName, code: i32) {
    let state = TaskState::Ended { outcome: Outcome::Exited { code }, usage: Usage::default() };
    let update = StatusUpdate { name, state, when: Timestamp(0) };
    daemon.engine.status(update).expect("room").wait_durable(WAIT).expect("durable");
}

/// A daemon whose job 1 runs, and who reads what it prints.
fn running() -> (Daemon, Arc<Told>, LaunchName) {
    let (daemon, small) = busy();
    let told = Arc::new(Told::default());
    daemon.engine.read_printed_of(told.clone());
    daemon.client.post("/v6/jobs/", &json!({"job_type_id": small})).expect(201);
    let name = start(&daemon);
    (daemon, told, name)
}

#[test]
fn a_piece_says_where_it_stands_and_where_to_go_on() {
    let (daemon, told, name) = running();
    let client = daemon.client;
    let check = |query: &str, offset: &str, next: &str, body: &str| {
        let answer = client.get(&format!("/api/v1/jobs/1/logs/stdout{query}"));
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{query}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let facts = ["offset", "next-offset", "exe-num"];
        let facts = facts.map(|name| answer.header(&format!("weighbridge-{name}")).unwrap_or_default());
        assert_eq!(facts, [offset, next, "1"], "{query}");
        [answer.header("weighbridge-size"), answer.header("weighbridge-has-ended")]
            .map(|value| value.unwrap_or_default().to_owned())
    };
    assert_eq!(check("", "0", "0", ""), ["0", "false"], "nothing is there yet");
    told.all.lock().insert(name, Ok("one\ntwo\n".into()));
    assert_eq!(check("", "0", "8", "one\ntwo\n"), ["8", "false"]);
    check("?offset=4&length=3", "4", "7", "two");
    check("?offset=-4", "4", "8", "two\n");
    check("?offset=-99&length=1", "0", "1", "o");
    check("?offset=99", "8", "8", "");
    assert_eq!(check("?length=0&exe_num=1", "0", "0", ""), ["8", "false"]);
    end(&daemon, name, 0);
    assert_eq!(check("", "0", "8", "one\ntwo\n"), ["8", "true"]);
    let ran = told.asked.lock().pop().expect("asked");
    assert_eq!((ran.name, ran.job, ran.exe_num), (name, JobId(1), 1));
    assert_eq!((ran.node, ran.cluster_id.as_str()), (None, "scale_job_local_1x1"), "no node is on record");
    let asks = [("Accept", "text/html, application/json;q=0.9")];
    let piece = client.send("GET", "/api/v1/jobs/1/logs/stdout?length=5", &asks, "").expect(200);
    let expected = json!({"job_id": 1, "exe_num": 1, "stream": "stdout", "offset": 0, "next_offset": 5, "size": 8,
        "has_ended": true, "text": "one\nt"});
    assert_eq!(piece, expected);
}

#[test]
fn no_more_is_read_at_once_than_the_limit() {
    let (daemon, told, name) = running();
    told.all.lock().insert(name, Ok("x".repeat(100_000)));
    for query in ["", "?length=100000", "?length=99999999999"] {
        let answer = daemon.client.get(&format!("/api/v1/jobs/1/logs/stdout{query}"));
        assert_eq!((answer.body.len(), answer.header("weighbridge-next-offset")), (65_536, Some("65536")));
    }
}

#[test]
fn an_execution_is_named_by_its_number_and_the_newest_is_meant_without() {
    let (daemon, told, first) = running();
    let client = daemon.client;
    end(&daemon, first, 1);
    told.all.lock().insert(first, Ok("first".into()));
    // It waits again, and what is shown is of what ran.
    let answer = client.get("/api/v1/jobs/1/logs/stdout");
    assert_eq!((answer.body.as_str(), answer.header("weighbridge-exe-num")), ("first", Some("1")));
    let second = start(&daemon);
    told.all.lock().insert(second, Ok("second".into()));
    for (query, body) in [("", "second"), ("?exe_num=2", "second"), ("?exe_num=1", "first")] {
        assert_eq!(client.get(&format!("/api/v1/jobs/1/logs/stdout{query}")).body, body, "{query}");
    }
    // It is canceled and goes on until its end is told.
    client.post("/api/v1/jobs/cancel", &json!({"job_ids": [1]})).expect(200);
    let has_ended =
        || client.get("/api/v1/jobs/1/logs/stdout").header("weighbridge-has-ended").map(str::to_owned);
    assert_eq!(has_ended().as_deref(), Some("false"));
    end(&daemon, second, 143);
    assert_eq!(has_ended().as_deref(), Some("true"));
}

#[test]
fn what_cannot_be_shown_says_why() {
    let (daemon, told, name) = running();
    let client = daemon.client;
    client.post("/v6/jobs/", &json!({"job_type_id": 2})).expect(201);
    let check = |path: &str, status, expected: &str, part: &str| {
        let answer = client.get(&format!("/api/v1/jobs/{path}"));
        assert_eq!((answer.status, code(&answer).as_str()), (status, expected), "{path}: {}", answer.body);
        let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
        assert!(detail.contains(part), "{path}: {detail}");
    };
    check("99/logs/stdout", 404, "no-such-job", "no job 99");
    check("x/logs/stdout", 400, "invalid-parameter", "whole number");
    check("1/logs/stdin", 404, "no-such-stream", "stdout or stderr");
    check("2/logs/stdout", 404, "job-not-started", "job 2 was not started so far");
    for exe_num in ["2", "0", "99999999999"] {
        check(
            &format!("1/logs/stdout?exe_num={exe_num}"),
            404,
            "no-such-execution",
            "job 1 has no execution",
        );
    }
    for query in ["offset=x", "offset=", "length=-1", "exe_num=-1"] {
        check(&format!("1/logs/stdout?{query}"), 400, "invalid-parameter", "whole number");
    }
    let reason = || "a-1 is silent".to_owned();
    told.all.lock().insert(name, Err(PieceError::Unreachable { reason: reason() }));
    check("1/logs/stdout", 502, "output-unreachable", "cannot be reached: a-1 is silent");
    told.all.lock().insert(name, Err(PieceError::Unreadable { reason: reason() }));
    check("1/logs/stdout", 502, "output-unreadable", "cannot be read: a-1 is silent");
    end(&daemon, name, 0);
    check("1/logs/stderr", 410, "output-gone", "execution 1 of job 1 printed is gone: no such sandbox");
    let (alone, small) = busy();
    alone.client.post("/v6/jobs/", &json!({"job_type_id": small})).expect(201);
    start(&alone);
    assert_eq!(code(&alone.client.get("/api/v1/jobs/1/logs/stdout")), "no-sandboxes");
}

#[test]
fn readers_that_wait_for_an_agent_keep_nobody_else() {
    const READERS: usize = 24;
    let (daemon, told, name) = running();
    let client = daemon.client;
    told.all.lock().insert(name, Ok("text".into()));
    let closed = told.gate.lock();
    let readers: Vec<_> = (0..READERS)
        .map(|_| std::thread::spawn(move || client.get("/api/v1/jobs/1/logs/stdout").body))
        .collect();
    while told.waiting.lock().0 < 16 {
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..20 {
        client.get("/api/v1/jobs/1").expect(200);
    }
    assert_eq!(told.waiting.lock().1, 16, "and no more of them at once");
    drop(closed);
    assert!(readers.into_iter().all(|reader| reader.join().expect("answered") == "text"));
    assert!(told.waiting.lock().1 <= 16);
}
