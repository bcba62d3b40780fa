//! A master that does what a test says: which answer a subscription gets, which events come, and how calls are
//! answered. It schedules nothing.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

/// Longest wait for a call.
const PATIENCE: Duration = Duration::from_mins(1);

const HEAD: &str = "HTTP/1.1 200 OK\r\nMesos-Stream-Id: s\r\nTransfer-Encoding: chunked\r\n\r\n";

pub(crate) const FRAMEWORK: &str = "fake-0001";

#[derive(Default)]
struct Script {
    /// What the next subscriptions get, as bytes, after which the connection ends; without, they are taken.
    answers: VecDeque<String>,
    /// How often a framework has to be told something, in seconds.
    heartbeat: f64,
    /// How the next ACCEPT is answered, where not with 202.
    accept: Option<u16>,
    /// Where events go.
    events: Option<TcpStream>,
}

/// See the file.
pub(crate) struct FakeMaster {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    calls: Receiver<Value>,
}

pub(crate) fn record(text: &str) -> String {
    let record = format!("{}\n{text}", text.len());
    format!("{:x}\r\n{record}\r\n", record.len())
}

/// An answer that begins as a subscription.
pub(crate) fn begun(rest: &str) -> String {
    format!("{HEAD}{rest}")
}

impl FakeMaster {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let script = Arc::new(Mutex::new(Script { heartbeat: 60.0, ..Script::default() }));
        let (tell, calls) = channel();
        let shared = script.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, script, tell) = (stream.expect("a connection"), shared.clone(), tell.clone());
                std::thread::spawn(move || serve(stream, &script, &tell));
            }
        });
        Self { address, script, calls }
    }

    pub(crate) fn answer_next(&self, answer: String) {
        self.script.lock().answers.push_back(answer);
    }

    pub(crate) fn set_heartbeat(&self, seconds: f64) {
        self.script.lock().heartbeat = seconds;
    }

    pub(crate) fn refuse_next_accept(&self, status: u16) {
        self.script.lock().accept = Some(status);
    }

    /// Events, in one piece.
    pub(crate) fn send(&self, events: &[Value]) {
        let text: String = events.iter().map(|event| record(&event.to_string())).collect();
        let mut script = self.script.lock();
        script.events.as_mut().expect("a subscription").write_all(text.as_bytes()).expect("sent");
    }

    /// Ends the subscription.
    pub(crate) fn hang_up(&self) {
        let stream = self.script.lock().events.take().expect("a subscription");
        stream.shutdown(std::net::Shutdown::Both).expect("it was open");
    }

    /// The next call of a kind; others are passed over.
    pub(crate) fn call(&self, kind: &str) -> Value {
        loop {
            let call = self.calls.recv_timeout(PATIENCE);
            let call = call.unwrap_or_else(|_| panic!("no {kind} within {PATIENCE:?}"));
            if call["type"] == kind {
                return call;
            }
        }
    }

    /// An offer of the one agent.
    pub(crate) fn offer(name: &str) -> Value {
        let amount = |name: &str, value: f64| {
            json!({ "name": name, "type": "SCALAR",
            "scalar": { "value": value }, "role": "*", "allocation_info": { "role": "*" } })
        };
        json!({ "type": "OFFERS", "offers": { "offers": [{
            "id": { "value": name }, "framework_id": { "value": FRAMEWORK }, "agent_id": { "value": "a-1" },
            "hostname": "h-1", "allocation_info": { "role": "*" },
            "resources": [amount("cpus", 4.0), amount("mem", 4096.0)],
        }] } })
    }

    /// News of a task; `uuid` where it is to be acknowledged.
    pub(crate) fn update(task: &str, state: &str, reason: &str, uuid: Option<&str>) -> Value {
        let mut status = json!({ "task_id": { "value": task }, "state": state, "agent_id": { "value": "a-1" },
            "message": "m" });
        if !reason.is_empty() {
            status["reason"] = reason.into();
        }
        if let Some(uuid) = uuid {
            status["uuid"] = uuid.into();
        }
        json!({ "type": "UPDATE", "update": { "status": status } })
    }
}

fn serve(stream: TcpStream, script: &Mutex<Script>, tell: &Sender<Value>) {
    let mut from = BufReader::new(stream);
    while let Some(call) = read(&mut from) {
        let is_subscription = call["type"] == "SUBSCRIBE";
        let is_accept = call["type"] == "ACCEPT";
        if is_subscription {
            let mut script = script.lock();
            let stream = from.get_mut();
            // The other end may have gone.
            if let Some(answer) = script.answers.pop_front() {
                let _ = stream.write_all(answer.as_bytes());
                let _ = tell.send(call);
                return;
            }
            let subscribed = json!({ "type": "SUBSCRIBED", "subscribed": {
                "framework_id": { "value": FRAMEWORK }, "heartbeat_interval_seconds": script.heartbeat } });
            let _ = stream.write_all(begun(&record(&subscribed.to_string())).as_bytes());
            script.events = stream.try_clone().ok();
            let _ = tell.send(call);
            continue;
        }
        let refused = if is_accept { script.lock().accept.take() } else { None };
        let answer = format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", refused.unwrap_or(202));
        if from.get_mut().write_all(answer.as_bytes()).is_err() || tell.send(call).is_err() {
            return;
        }
    }
}

/// The next call; none where the connection ended.
fn read(from: &mut BufReader<TcpStream>) -> Option<Value> {
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
