//! A subscription at a Mesos master, and the calls of a scheduler.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};

use serde_json::{Value, json};
use weighbridge::{HeldOffer, LaunchName};

use super::Anything;
use super::http::{Events, connect, post};

/// Seconds that tasks run on while no scheduler is subscribed.
const FAILOVER_S: u32 = 600;

/// Seconds until what an offer has is offered again where it was of no use; sooner when there is more of it.
const REFUSE_S: u32 = 5;

fn id(offer: &HeldOffer) -> Value {
    json!({ "value": offer.id().as_str() })
}

pub(crate) struct Master {
    calls: BufReader<TcpStream>,
    host: String,
    stream_id: String,
    framework_id: String,
    /// Where that is kept until it is torn down.
    file: PathBuf,
}

impl Master {
    /// Subscribes at `url`, as the framework that was here before, by an id in `store`; else as a new one, with
    /// its id on disk before anything can be launched. The events come from a thread of their own.
    pub(crate) fn subscribe(url: &str, store: &Path) -> Anything<(Self, Receiver<io::Result<Value>>)> {
        let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let mut framework = json!({
            "name": "weighbridge",
            "user": std::env::var("USER").unwrap_or_else(|_| "root".into()),
            "checkpoint": true,
            "failover_timeout": FAILOVER_S,
            // It is told what became of a task, not only that it is lost.
            "capabilities": [{ "type": "PARTITION_AWARE" }],
        });
        let mut body = json!({ "type": "SUBSCRIBE" });
        let file = store.join("framework-id");
        let known = fs::read_to_string(&file).ok().filter(|id| !id.is_empty());
        if let Some(id) = &known {
            framework["id"] = json!({ "value": id });
            body["framework_id"] = json!({ "value": id });
        }
        body["subscribe"] = json!({ "framework_info": framework });
        let mut stream = connect(&host)?;
        let head = post(&mut stream, &host, None, &body)?;
        let stream_id = head.header("mesos-stream-id").ok_or("the answer has no Mesos-Stream-Id")?.to_owned();
        let mut events = Events::new(stream);
        let first = events.next()?;
        let framework_id = match first["subscribed"]["framework_id"]["value"].as_str() {
            Some(id) => id.to_owned(),
            None => return Err(format!("the master says: {}", first["error"]["message"]).into()),
        };
        if known.is_none() {
            let mut new = File::create(&file)?;
            new.write_all(framework_id.as_bytes())?;
            new.sync_all()?;
        }
        let (tell, heard) = mpsc::channel();
        // Ends after an error, and with the next event once nobody listens any more.
        std::thread::spawn(move || {
            loop {
                let event = events.next();
                let is_last = event.is_err();
                if tell.send(event).is_err() || is_last {
                    break;
                }
            }
        });
        Ok((Self { calls: connect(&host)?, host, stream_id, framework_id, file }, heard))
    }

    /// Makes a call with its own part of the message. The master has it when this returns; what comes of it
    /// is told by events.
    fn call(&mut self, kind: &str, part: Value) -> Anything<()> {
        let mut body = json!({ "type": kind, "framework_id": { "value": self.framework_id } });
        body[kind.to_lowercase()] = part;
        post(&mut self.calls, &self.host, Some(&self.stream_id), &body)?;
        Ok(())
    }

    /// Launches tasks on what offers of an agent have; the rest of it is offered again at once. Without tasks
    /// all of it is.
    pub(crate) fn accept(&mut self, offers: &[HeldOffer], tasks: &[Value]) -> Anything<()> {
        let launch = json!([{ "type": "LAUNCH", "launch": { "task_infos": tasks } }]);
        let filters = json!({ "refuse_seconds": 0 });
        let ids: Vec<Value> = offers.iter().map(id).collect();
        self.call("ACCEPT", json!({ "offer_ids": ids, "operations": launch, "filters": filters }))
    }

    pub(crate) fn decline(&mut self, offer: &HeldOffer) -> Anything<()> {
        let filters = json!({ "refuse_seconds": REFUSE_S });
        self.call("DECLINE", json!({ "offer_ids": [id(offer)], "filters": filters }))
    }

    /// Says that a status is kept. Those that answer `reconcile` have no uuid: nobody waits for word of them.
    pub(crate) fn acknowledge(&mut self, status: &Value) -> Anything<()> {
        let Some(uuid) = status.get("uuid") else { return Ok(()) };
        let (task, agent) = (&status["task_id"], &status["agent_id"]);
        self.call("ACKNOWLEDGE", json!({ "agent_id": agent, "task_id": task, "uuid": uuid }))
    }

    pub(crate) fn kill(&mut self, name: LaunchName) -> Anything<()> {
        self.call("KILL", json!({ "task_id": { "value": name.to_string() } }))
    }

    /// Asks what became of tasks; the answers are statuses.
    pub(crate) fn reconcile(&mut self, names: impl Iterator<Item = LaunchName>) -> Anything<()> {
        let task = |name: LaunchName| json!({ "task_id": { "value": name.to_string() } });
        let tasks: Vec<Value> = names.map(task).collect();
        // Without any, Mesos would tell of all tasks it knows.
        if tasks.is_empty() { Ok(()) } else { self.call("RECONCILE", json!({ "tasks": tasks })) }
    }

    /// Ends the framework, and with it whatever still runs of it.
    pub(crate) fn tear_down(&mut self) -> Anything<()> {
        // Nobody can subscribe under the id of one that was torn down.
        fs::remove_file(&self.file)?;
        self.call("TEARDOWN", Value::Null)
    }
}
