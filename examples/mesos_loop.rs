//! A scheduler loop between weighbridge and a Mesos cluster: what every such loop does, and no more.
//!
//! Offers are held and decided on together, and what was picked is put on record; once that is on disk it is launched, with the
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

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use weighbridge::{
    AgentId, Engine, LaunchName, OfferId, Options, Outgoing, PendingLaunches, Picks, StatusOutcome,
    StatusUpdate, TaskState, Ticket,
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
    let mut this = Loop { engine: engine.clone(), master, reported: Vec::new(), told: Summary::default() };
    this.reconcile()?;
    let totals = loop {
        let totals = engine.fresh_view(SYNC).totals;
        if totals.n_ended() == totals.total() {
            break totals;
        }
        // All there is, so that one sync is enough for it; a pause, so that kills are seen without events.
        let first = events.recv_timeout(Duration::from_millis(50)).ok();
        first.into_iter().chain(events.try_iter()).try_for_each(|event| this.take(&event?))?;
        this.decide()?;
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
    /// Statuses that are on their way to the disk.
    reported: Vec<(LaunchName, Value, Ticket<StatusOutcome, Infallible>)>,
    told: Summary,
}

impl Loop {
    fn take(&mut self, event: &Value) -> Anything<()> {
        match text(&event["type"]) {
            "OFFERS" => self.offers(event["offers"]["offers"].as_array().map_or(&[], Vec::as_slice))?,
            // Where it is used already, its launches are refused, and statuses say so.
            "RESCIND" => {
                self.engine.rescinded(&OfferId::new(text(&event["rescind"]["offer_id"]["value"]))?);
            }
            "UPDATE" => self.update(&event["update"]["status"])?,
            // Of an agent, not of an executor there. What became of its tasks is told by statuses.
            "FAILURE" if event["failure"]["executor_id"].is_null() => {
                self.engine.agent_lost(&AgentId::new(text(&event["failure"]["agent_id"]["value"]))?);
            }
            // Again and again, since a new master does not answer for agents that it still waits for.
            "HEARTBEAT" => self.reconcile()?,
            "ERROR" => return Err(format!("the master says: {}", event["error"]["message"]).into()),
            _ => {}
        }
        Ok(())
    }

    fn offers(&mut self, offers: &[Value]) -> Anything<()> {
        for offer in offers {
            self.told.n_offers += 1;
            if let Err(declined) = self.engine.offered(&offered(offer)?).outcome {
                self.master.decline(&declined.offer)?;
            }
        }
        Ok(())
    }

    /// Decides on all nodes before it waits for the first: one sync is enough for all.
    fn decide(&mut self) -> Anything<()> {
        let picks = self.engine.pass();
        self.told.n_picks += picks.iter().map(Picks::len).sum::<usize>();
        let decided: Vec<PendingLaunches> = picks.into_iter().map(Picks::commit).collect();
        for mut launches in decided {
            // Only now are they on disk, and only now may they leave.
            let all = launches.wait(SYNC)?;
            let [first, ..] = launches.offers() else { continue };
            let tasks: Vec<Value> = all.iter().map(|launch| task(launch.get(), first.agent())).collect();
            for launch in &all {
                *self.told.launches.entry(launch.get().name.number).or_default() += 1;
            }
            self.master.accept(launches.offers(), &tasks)?;
        }
        self.engine.expired_offers().iter().try_for_each(|declined| self.master.decline(&declined.offer))
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
            // Launches come here only where `hand_over` is used, acknowledgements where `report` is.
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
