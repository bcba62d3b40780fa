//! A scheduler loop between weighbridge and a Mesos cluster: what every such loop does, and no more.
//!
//! Offers are decided on, and what was picked is put on record; once that is on disk it is launched, with the
//! launch's name as the id of its task. Statuses go in, and are acknowledged once they are on disk. Killed at
//! any moment and started again with the same `--store`, it goes on and starts nothing twice: for Mesos it is
//! the same framework, and it asks what became of the launches on record.
//!
//! `cargo run --example mesos_loop --no-default-features -- --master http://127.0.0.1:5050`

#[path = "mesos_loop/arguments.rs"]
pub(crate) mod arguments;
#[path = "mesos_loop/http.rs"]
pub(crate) mod http;
#[path = "mesos_loop/jobs.rs"]
mod jobs;
#[path = "mesos_loop/master.rs"]
mod master;
#[path = "mesos_loop/words.rs"]
pub(crate) mod words;

use std::collections::HashMap;
use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use weighbridge::{
    Engine, LaunchName, NodeId, Options, Outgoing, StatusOutcome, StatusUpdate, TaskState, Ticket,
};

use arguments::{Anything, Arguments, Summary};
use master::Master;
use words::{offered, state, task, text};

/// Longest wait for the disk.
const SYNC: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    arguments::main(run)
}

/// Runs jobs until all in the store are over.
pub(crate) fn run(arguments: &Arguments) -> Anything<Summary> {
    let engine = Engine::open(&arguments.store, Options::default())?;
    let begun = engine.now();
    jobs::submit(&engine, arguments)?;
    let (master, events) = Master::subscribe(&arguments.master, &arguments.store)?;
    let (nodes, told) = (HashMap::new(), Summary::default());
    let mut this = Loop { engine: engine.clone(), master, nodes, reported: Vec::new(), told };
    this.reconcile()?;
    let totals = loop {
        let totals = engine.fresh_view(SYNC).totals;
        if totals.n_ended() == totals.total() {
            break totals;
        }
        // All there is, so that one sync is enough for it; a pause, so that kills are seen without events.
        let first = events.recv_timeout(Duration::from_millis(50)).ok();
        first.into_iter().chain(events.try_iter()).try_for_each(|event| this.take(&event?))?;
        this.settle()?;
    };
    this.master.tear_down()?;
    let (n_jobs, n_completed, n_refused) = (totals.total(), totals.completed, engine.n_returned());
    let took = engine.now().since(begun);
    engine.close()?;
    Ok(Summary { n_jobs, n_completed, took, n_refused, ..this.told })
}

struct Loop {
    engine: Engine,
    master: Master,
    /// By hostname, which stays when an agent comes back under another id.
    nodes: HashMap<String, NodeId>,
    /// Statuses that are on their way to the disk.
    reported: Vec<(LaunchName, Value, Ticket<StatusOutcome, Infallible>)>,
    told: Summary,
}

impl Loop {
    fn take(&mut self, event: &Value) -> Anything<()> {
        match text(&event["type"]) {
            "OFFERS" => self.offers(event["offers"]["offers"].as_array().map_or(&[], Vec::as_slice)),
            "UPDATE" => self.update(&event["update"]["status"]),
            // Again and again, since a new master does not answer for agents that it still waits for.
            "HEARTBEAT" => self.reconcile(),
            "ERROR" => Err(format!("the master says: {}", event["error"]["message"]).into()),
            // RESCIND: no offer is kept. FAILURE: of each task that it ended there is a status.
            _ => Ok(()),
        }
    }

    /// Decides on all of them before it waits for the first: one sync is enough for all.
    fn offers(&mut self, offers: &[Value]) -> Anything<()> {
        let mut decided = Vec::new();
        for offer in offers {
            let hostname = text(&offer["hostname"]);
            if !self.nodes.contains_key(hostname) {
                let node = self.engine.put_node(hostname)?.wait_durable(SYNC)?;
                self.nodes.insert(hostname.to_owned(), node);
            }
            let picks = self.engine.offer(&offered(self.nodes[hostname], offer)?);
            self.told.n_offers += 1;
            self.told.n_picks += picks.len();
            decided.push((offer, picks.commit()));
        }
        for (offer, mut launches) in decided {
            let mut tasks = Vec::new();
            for launch in launches.wait(SYNC)? {
                // Only now is it on disk, and only now may it leave.
                let launch = launch.into_inner();
                *self.told.launches.entry(launch.name.number).or_default() += 1;
                tasks.push(task(&launch, &offer["agent_id"]));
            }
            if tasks.is_empty() { self.master.decline(offer)? } else { self.master.accept(offer, &tasks)? }
        }
        Ok(())
    }

    fn update(&mut self, status: &Value) -> Anything<()> {
        let name: LaunchName = text(&status["task_id"]["value"]).parse()?;
        let update = StatusUpdate { name, state: state(status), when: self.engine.now() };
        self.reported.push((name, status.clone(), self.engine.status(update)?));
        Ok(())
    }

    /// Acknowledges statuses that are on disk, and ends what is not to run.
    fn settle(&mut self) -> Anything<()> {
        for (name, status, ticket) in self.reported.drain(..) {
            let outcome = ticket.wait_durable(SYNC)?;
            if outcome == StatusOutcome::Stale && state(&status) == TaskState::Running {
                // It was given up as lost, and is back.
                self.master.kill(name)?;
            }
            self.master.acknowledge(&status)?;
        }
        for order in self.engine.outgoing(Duration::ZERO) {
            // Launches and acknowledgements come here only where `hand_over` and `report` are used.
            if let Outgoing::Kill(name) = order {
                self.master.kill(name.into_inner())?;
            }
        }
        Ok(())
    }

    /// Asks what became of all launches on record.
    fn reconcile(&mut self) -> Anything<()> {
        self.master.reconcile(self.engine.running().iter().map(|run| run.name))
    }
}
