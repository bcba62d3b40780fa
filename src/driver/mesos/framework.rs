//! The loop between the engine and a master, a thread of its own.
//!
//! M1  A launch leaves once it is on disk, on offers that nobody else has used, and once: where it is not known
//!     whether a call arrived, the master is asked what became of its tasks.
//! M2  A status is acknowledged once what it says is on disk.
//! M3  The framework's id is on disk before the first task can be launched.
//! M4  After an error of the master, or news of tasks that the store does not know, nothing is decided any more.
//! M5  Nothing that runs is ended but by order: of a job that was canceled, or of a launch that was given up.
//! M6  The good end of a task with declared outputs goes on record with what it left, or counts as lost.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};

use super::backoff::{Backoff, Random};
use super::call::Call;
use super::event::{Event, Offered, Status};
use super::figures::{Figures, OfferEnd};
use super::handle::{MesosError, Shared, id_error};
use super::id_file::IdFile;
use super::offers::{Held, Offers, Parts};
use super::options::MesosOptions;
use super::outputs::{Ended as KeptEnd, Kept, Outputs};
use super::refusing::Refusing;
use super::reported::{Reported, Statuses};
use super::session::{Ended, News, Session, begin};
use super::status::{TaskName, Told, named_by, task_id};
use super::tasks::{Known, Tasks};
use super::totals::Totals;
use crate::clock::monotonic;
use crate::engine::{Engine, Outgoing, StatusOutcome, Ticket};
use crate::launch::{Launch, LeftError, StatusUpdate, TaskState};
use crate::limits::MESOS_TASKS_ASKED_MAX;
use crate::model::{AgentId, LaunchName, OfferId, Outcome, Timestamp, Usage, cluster_id};
use crate::offer::{Declined, HeldOffer, LostAgent};
use crate::sync::{AtomicBool, Ordering};
use crate::wal::Durable;

/// Longest sleep: load rows and views are at most this late.
const NAP: Duration = Duration::from_millis(50);

/// The same while something is on its way to the disk.
const SHORT_NAP: Duration = Duration::from_millis(1);

/// How long a framework that is stopped waits for what is on its way to the disk.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Pieces of news that are taken up before something else is done.
const NEWS_AT_ONCE: usize = 1_000;

/// Waits before the next try to subscribe.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(15);

/// Redirects that are followed from one master to the next.
const REDIRECTS_MAX: usize = 5;

/// After so long a subscription counts as one that works.
const WORKS_AFTER: Duration = Duration::from_secs(5);

/// How long nothing waits before no more offers are wanted.
const SUPPRESS_AFTER: Duration = Duration::from_secs(1);

/// Between two requests for offers of what was refused or has become free.
const REVIVE_PAUSE: Duration = Duration::from_millis(50);

/// How long nothing is asked or offered again of an agent that has its maintenance.
const MAINTENANCE_PAUSE: Duration = Duration::from_mins(1);

/// A task whose end could not be kept back is asked for after so long.
const KEEP_AGAIN: Duration = Duration::from_secs(5);

/// Between two looks at what is to be asked, ended again or given up.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Between two words of how it stands.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Between two questions for all tasks that the master knows.
const ASK_ALL_EVERY: Duration = Duration::from_mins(10);

/// Chance as the system has it.
fn system_random() -> Random {
    use std::hash::{BuildHasher, RandomState};
    let mut n = 0_u64;
    let keys = RandomState::new();
    Box::new(move || {
        n += 1;
        keys.hash_one(n)
    })
}

enum Link {
    /// Until the next try.
    Down(Instant),
    Opening(Receiver<News>),
    Up {
        session: Box<Session>,
        news: Receiver<News>,
        since: Instant,
    },
}

pub(super) struct Loop<'e> {
    engine: &'e Engine,
    options: Arc<MesosOptions>,
    file: IdFile,
    framework_id: Option<String>,
    shared: &'e Shared,
    link: Link,
    backoff: Backoff,
    /// Which of the masters is tried next.
    next_master: usize,
    n_redirects: usize,
    tasks: Tasks,
    offers: Offers,
    refusing: Refusing,
    reported: Statuses,
    outputs: Outputs,
    /// To be sent.
    calls: Vec<Call>,
    /// Decisions that were handed over and have not come back as durable.
    n_deciding: usize,
    /// What waited when it was last looked.
    n_waiting: usize,
    /// Lanes of it that neither a pause nor a limit held.
    n_open: usize,
    /// Since when nothing waits.
    empty_since: Option<Instant>,
    is_suppressed: bool,
    /// Something was refused or has become free that the master should offer soon.
    wants_offers: bool,
    revived: Instant,
    looked: Instant,
    asked_all: Instant,
    totals: Totals,
    figures: Figures,
    reported_at: Instant,
}

impl<'e> Loop<'e> {
    pub(super) fn new(
        engine: &'e Engine,
        options: MesosOptions,
        file: IdFile,
        framework_id: Option<String>,
        shared: &'e Shared,
    ) -> Self {
        let now = monotonic();
        let mut tasks = Tasks::new(options.unreachable, options.kill_grace);
        for run in engine.running() {
            let id = task_id(&cluster_id(engine.framework(), run.job, run.exe_num), run.name);
            let timeout = run.timeout_s.map(|seconds| Duration::from_secs(seconds.into()));
            tasks.recovered(run.name, Known { id, node: Some(run.node), agent: None, timeout }, now);
            if run.is_canceled {
                tasks.end(run.name, now);
            }
        }
        let options = Arc::new(options);
        Self {
            engine,
            outputs: Outputs::new(engine, &options, &file),
            options,
            file,
            framework_id,
            shared,
            link: Link::Down(now),
            backoff: Backoff::new(RETRY_FIRST, RETRY_MOST, system_random()),
            next_master: 0,
            n_redirects: 0,
            tasks,
            offers: Offers::default(),
            refusing: Refusing::default(),
            reported: Statuses::default(),
            calls: Vec::new(),
            n_deciding: 0,
            n_waiting: 0,
            n_open: 0,
            empty_since: None,
            is_suppressed: false,
            wants_offers: false,
            revived: now,
            looked: now,
            asked_all: now,
            totals: Totals::new(now),
            figures: Figures::default(),
            reported_at: now,
        }
    }

    pub(super) fn run(&mut self, is_stopped: &AtomicBool) -> Result<(), MesosError> {
        // Acquire, with the Release in `stop_threads`.
        let is_over = |engine: &Engine| {
            is_stopped.load(Ordering::Acquire) || engine.failure().is_some() || engine.is_closed()
        };
        while !is_over(self.engine) {
            self.turn()?;
            if self.reported.is_empty() && self.n_deciding == 0 {
                self.engine.wait_for_work(NAP);
                self.carry_out(Duration::ZERO);
            } else {
                self.carry_out(SHORT_NAP);
            }
        }
        // What is decided leaves, so that the next one need not ask.
        let end = monotonic() + LAST_WAIT;
        while !self.has_all_left() && monotonic() < end {
            self.carry_out(SHORT_NAP);
            self.settle()?;
            self.send();
        }
        Ok(())
    }

    /// Whether nothing is on its way to the disk or to the master.
    fn has_all_left(&self) -> bool {
        let is_sent = match &self.link {
            Link::Up { session, .. } => self.calls.is_empty() && session.is_answered(),
            Link::Down(_) | Link::Opening(_) => true,
        };
        is_sent && self.reported.is_empty() && self.n_deciding == 0
    }

    fn turn(&mut self) -> Result<(), MesosError> {
        self.listen()?;
        self.record_outputs();
        self.engine.pump();
        self.settle()?;
        if matches!(self.link, Link::Up { .. }) {
            self.decide();
            self.see_to_offers();
            self.look();
        }
        self.send();
        self.report();
        Ok(())
    }

    /// Says how it stands, now and then.
    fn report(&mut self) {
        let now = monotonic();
        if now >= self.reported_at {
            self.reported_at = now + REPORT_EVERY;
            let status = self.shared.status.lock().clone();
            (self.figures.n_kept, self.figures.n_refusing) = (self.outputs.len(), self.refusing.len(now));
            self.engine.report_driver(self.figures.report(&status, self.is_suppressed, self.tasks.len()));
        }
    }

    /// Takes up what the master tells; begins to subscribe where it is time.
    fn listen(&mut self) -> Result<(), MesosError> {
        if let Link::Up { session, .. } = &self.link
            && let Some(why) = session.failure()
        {
            self.lost(&why);
        }
        for _ in 0..NEWS_AT_ONCE {
            let heard = match &self.link {
                Link::Down(until) if *until <= monotonic() => {
                    self.subscribe(None);
                    continue;
                }
                Link::Down(_) => return Ok(()),
                Link::Opening(news) | Link::Up { news, .. } => news.try_recv(),
            };
            match heard {
                Ok(news) => self.take(news)?,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => {
                    self.lost("the thread that reads events is gone");
                }
            }
        }
        // There may be more.
        self.engine.wake();
        Ok(())
    }

    /// At the next of the masters, or where one of them sends.
    fn subscribe(&mut self, leader: Option<super::address::Address>) {
        let master = leader.unwrap_or_else(|| {
            let masters = &self.options.masters;
            let master = masters[self.next_master % masters.len()].clone();
            self.next_master = (self.next_master + 1) % masters.len();
            master
        });
        let engine = self.engine.clone();
        tracing::debug!(%master, "subscribes");
        self.link =
            match begin(&self.options, master, self.framework_id.clone(), Arc::new(move || engine.wake())) {
                Ok(news) => Link::Opening(news),
                Err(error) => {
                    tracing::warn!(%error, "no thread to subscribe with");
                    Link::Down(monotonic() + self.backoff.wait())
                }
            };
    }

    fn take(&mut self, news: News) -> Result<(), MesosError> {
        match news {
            News::Subscribed(session) => self.subscribed(session),
            News::Over(ended) => self.over(ended),
            News::Event(event) => self.event(event),
        }
    }

    fn subscribed(&mut self, session: Box<Session>) -> Result<(), MesosError> {
        let Link::Opening(news) = std::mem::replace(&mut self.link, Link::Down(monotonic())) else {
            return Ok(());
        };
        if self.framework_id.as_deref() != Some(&session.framework_id) {
            self.file.write(&session.framework_id).map_err(|error| id_error(&self.file, &error))?;
            self.framework_id = Some(session.framework_id.clone());
        }
        tracing::info!(master = %session.master, framework = session.framework_id, "subscribed");
        let mut status = self.shared.status.lock();
        status.master = Some(session.master.to_string());
        status.framework_id.clone_from(&self.framework_id);
        status.n_subscriptions += 1;
        drop(status);
        let now = monotonic();
        self.link = Link::Up { session, news, since: now };
        (self.n_redirects, self.is_suppressed) = (0, false);
        self.tasks.ask_all(now);
        (self.looked, self.reported_at) = (now, now);
        self.totals.subscribed(now);
        self.ask(now);
        self.ask_for_all(now);
        Ok(())
    }

    fn over(&mut self, ended: Ended) -> Result<(), MesosError> {
        match ended {
            Ended::Refused(reason) => return Err(MesosError::Refused { reason }),
            // Two masters may send to each other for a while.
            Ended::Elsewhere(leader) if self.n_redirects < REDIRECTS_MAX => {
                self.n_redirects += 1;
                self.subscribe(Some(leader));
            }
            Ended::Elsewhere(leader) => {
                self.n_redirects = 0;
                self.lost(&format!("sent on too often, last to {leader}"));
            }
            Ended::Lost(reason) => self.lost(&reason),
        }
        Ok(())
    }

    /// There is no subscription any more, or none yet: the next try is after a while.
    fn lost(&mut self, reason: &str) {
        let now = monotonic();
        if let Link::Up { since, .. } = std::mem::replace(&mut self.link, Link::Down(now)) {
            self.shared.status.lock().master = None;
            (self.reported_at, self.n_redirects) = (now, 0);
            self.figures.all_taken(now);
            if now.duration_since(since) >= WORKS_AFTER {
                self.backoff.reset();
            }
            // The offers went with the subscription; the next one comes with others.
            drop(self.engine.decline_offers());
            self.offers.clear();
            self.calls.clear();
        }
        let wait = self.backoff.wait();
        tracing::warn!(reason, ?wait, "not subscribed");
        self.link = Link::Down(now + wait);
    }

    fn event(&mut self, event: Event) -> Result<(), MesosError> {
        match event {
            Event::Offers(offers) => self.offered(offers),
            // Where it is used already, its launches are refused, and statuses say so.
            Event::Rescind(offer) => {
                drop(self.engine.rescinded(&offer));
                self.offers.remove(&offer);
                self.figures.ended(&offer, OfferEnd::Taken, monotonic());
            }
            Event::InverseOffers(asked) => {
                self.calls.push(Call::accept_inverse(asked.iter(), MAINTENANCE_PAUSE));
            }
            Event::Update(status) => self.update(status)?,
            Event::AgentLost(agent) => {
                let lost = self.engine.agent_lost(&agent);
                self.agent_lost(lost, true);
            }
            Event::Error(reason) => return Err(MesosError::Refused { reason }),
            Event::Subscribed(_) | Event::Heartbeat | Event::Other => {}
        }
        Ok(())
    }

    /// What became of its tasks is told by statuses, or when they are asked for. Where the master was not who said
    /// so it may still have the agent, and its offers are to be given back.
    fn agent_lost(&mut self, lost: Option<LostAgent>, is_told: bool) {
        let Some(lost) = lost else { return };
        let now = monotonic();
        let mut ended: Vec<OfferId> = lost.offers.iter().map(|offer| offer.id().clone()).collect();
        ended.extend(self.offers.parked_of(&lost.agent));
        let how = if is_told { OfferEnd::Taken } else { OfferEnd::Declined };
        for offer in &ended {
            self.offers.remove(offer);
            self.figures.ended(offer, how, now);
        }
        if !is_told && !ended.is_empty() {
            self.calls.push(Call::decline(ended.iter(), self.options.refuse));
        }
        for name in lost.launches {
            self.tasks.ask(name, now);
        }
    }

    fn offered(&mut self, offers: Vec<Offered>) {
        let now = monotonic();
        for offered in offers {
            self.figures.came(offered.offer.id.clone(), now);
            let when = self.engine.now();
            let is_away = |(from, back): (Timestamp, Option<Timestamp>)| {
                from <= when + self.options.leave_before && back.is_none_or(|back| when < back)
            };
            let is_away = offered.leaves.is_some_and(is_away).then_some(MAINTENANCE_PAUSE);
            if let Some(pause) = is_away.or_else(|| self.refusing.left(offered.offer.agent.as_str(), now)) {
                let id = &offered.offer.id;
                self.figures.ended(id, OfferEnd::Declined, now);
                self.calls.push(Call::decline([id].into_iter(), pause));
                continue;
            }
            let held = self.offers.read(&self.options, self.framework_id.as_deref(), offered, now);
            if let Some(held) = self.offers.now_or_parked(held) {
                self.put(held, now);
            }
        }
    }

    /// Has the engine hold an offer.
    fn put(&mut self, held: Held, now: Instant) {
        let arrival = self.engine.offered(held.offer());
        self.agent_lost(arrival.replaced, false);
        if let Some(node) = arrival.node {
            // Those whose agent was not known are asked for once more, now that it is.
            self.tasks.ask_on(node, now);
        }
        match arrival.outcome {
            Ok(_) => self.offers.hold(held, now),
            Err(declined) => self.decline(&[declined]),
        }
    }

    /// Gives back offers that the engine does not hold, and those that it holds again after others had their turn,
    /// where they were kept long enough.
    fn decline_parked(&mut self, is_all: bool, now: Instant) {
        let mut parked = self.offers.unpark(is_all, now);
        let overdue = self.offers.overdue(now);
        parked.extend(overdue.into_iter().filter(|id| self.engine.rescinded(id).is_some()));
        if !parked.is_empty() {
            for id in &parked {
                self.offers.remove(id);
                self.figures.ended(id, OfferEnd::Declined, now);
            }
            self.calls.push(Call::decline(parked.iter(), self.options.refuse));
        }
    }

    fn decline(&mut self, declined: &[Declined]) {
        if declined.is_empty() {
            return;
        }
        let now = monotonic();
        for declined in declined {
            self.offers.remove(declined.offer.id());
            self.figures.ended(declined.offer.id(), OfferEnd::Declined, now);
        }
        self.calls
            .push(Call::decline(declined.iter().map(|declined| declined.offer.id()), self.options.refuse));
    }

    /// Waits while the ring is full: no news is dropped, except by an engine that takes none any more.
    fn tell(&self, name: LaunchName, state: &TaskState) -> Option<Ticket<StatusOutcome, Infallible>> {
        loop {
            let update = StatusUpdate { name, state: state.clone(), when: self.engine.now() };
            match self.engine.status(update) {
                Ok(ticket) => return Some(ticket),
                Err(_) if self.engine.failure().is_some() || self.engine.is_closed() => return None,
                Err(_) => {
                    self.engine.pump();
                    std::thread::sleep(SHORT_NAP);
                }
            }
        }
    }

    fn update(&mut self, status: Box<Status>) -> Result<(), MesosError> {
        self.figures.n_updates += 1;
        let Some(TaskName { launch: name, .. }) = named_by(&status.task_id.value) else {
            tracing::warn!(
                task = status.task_id.value,
                state = status.state,
                "a task that is not of our making"
            );
            self.calls.extend(Call::acknowledge(&status));
            return Ok(());
        };
        if name.exe > self.engine.last_exe() {
            return Err(MesosError::ForeignTask { task: status.task_id.value.clone() });
        }
        if self.outputs.holds(name, &status) || self.reported.has(&status) {
            return Ok(());
        }
        let now = monotonic();
        match self.read(&status) {
            Told::Doubt(doubt) => {
                self.tasks.doubt(name, doubt, now);
                self.calls.extend(Call::acknowledge(&status));
            }
            Told::News(mut state) => {
                let is_running = state == TaskState::Running;
                let is_at_work = status.state == "TASK_RUNNING";
                let agent = status.agent_id.as_ref().map(|agent| agent.value.as_str());
                let is_new = self.tasks.heard(name, agent, is_at_work, now);
                match agent {
                    Some(agent) if is_new => self.refusing.runs(agent),
                    Some(agent) if status.is_dropped() && self.tasks.is_to_start(name) => {
                        self.refused_by(agent, now);
                    }
                    _ => {}
                }
                if let TaskState::Refused { reason } = &state
                    && self.tasks.has_run(name)
                {
                    let outcome = Outcome::Lost { reason: reason.clone() };
                    state = TaskState::Ended { outcome, usage: Usage::default() };
                }
                if let TaskState::Ended { outcome: outcome @ Outcome::Canceled, .. } = &mut state
                    && self.tasks.is_overdue(name)
                {
                    *outcome = Outcome::TimedOut;
                }
                match self.outputs.keep(self.engine, name, &state, status) {
                    Kept::No(status) => {
                        if let Some(ticket) = self.tell(name, &state) {
                            let is_refused = matches!(state, TaskState::Refused { .. });
                            self.reported.push(Reported { name, status, is_running, is_refused, ticket });
                        }
                    }
                    // It has ended: nothing is asked of it, and there is nothing to end.
                    Kept::Yes => self.tasks.remove(name),
                    Kept::NoRoom => self.tasks.ask(name, now + KEEP_AGAIN),
                }
            }
        }
        Ok(())
    }

    /// Has ends go on record with what was found.
    fn record_outputs(&mut self) {
        while let Some(ended) = self.outputs.next() {
            let KeptEnd { name, state, when, left, .. } = &ended;
            let update = StatusUpdate { name: *name, state: state.clone(), when: *when };
            let Ok(ticket) = self.engine.status_with_left(update, left.clone()) else {
                // There is no room, or the engine takes nothing any more.
                self.outputs.put_back(ended);
                return;
            };
            match left {
                Ok(_) => self.figures.n_left += 1,
                Err(error) => {
                    self.figures.n_unread += u64::from(matches!(error, LeftError::Unreadable { .. }));
                    tracing::warn!(launch = %name, %error, "an execution gave no output");
                }
            }
            let (name, status) = (*name, ended.status);
            self.reported.push(Reported { name, status, is_running: false, is_refused: false, ticket });
        }
    }

    /// An agent drops what is launched on it: for a while nothing more is, and what it offers is given back.
    fn refused_by(&mut self, agent: &str, now: Instant) {
        let Ok(agent) = AgentId::new(agent) else { return };
        let Some(pause) = self.refusing.dropped(agent.as_str(), now) else { return };
        tracing::warn!(agent = agent.as_str(), ?pause, "an agent drops what is launched on it");
        let mut ended = self.offers.parked_of(&agent);
        ended
            .extend(self.offers.held_of(&agent).into_iter().filter(|id| self.engine.rescinded(id).is_some()));
        for id in &ended {
            self.offers.remove(id);
            self.figures.ended(id, OfferEnd::Declined, now);
        }
        if !ended.is_empty() {
            self.calls.push(Call::decline(ended.iter(), pause));
        }
    }

    /// What a status says. An executor that ended since an offer was made leaves its tasks no room: they never ran.
    fn read(&self, status: &Status) -> Told {
        if self.options.executor.is_some() && status.lacks_room() {
            return Told::News(TaskState::Refused { reason: status.message.clone() });
        }
        status.read()
    }

    /// Acknowledges what is on disk.
    fn settle(&mut self) -> Result<(), MesosError> {
        let now = monotonic();
        while let Some((Reported { name, status, is_running, is_refused, .. }, outcome)) =
            self.reported.next()
        {
            // Without an answer it is not on disk, and the next engine is told again.
            let Some(outcome) = outcome else { continue };
            self.figures.n_refused += u64::from(is_refused && outcome == StatusOutcome::Applied);
            match (is_running, outcome) {
                (true, StatusOutcome::Applied) => {}
                (true, StatusOutcome::Stale) => self.is_back(name, &status, now)?,
                (false, _) => {
                    self.tasks.remove(name);
                    self.wants_offers = true;
                }
            }
            self.calls.extend(Call::acknowledge(&status));
        }
        Ok(())
    }

    /// What runs is not to run by our record: it was given up, and is to end; unless the store never launched it.
    fn is_back(&mut self, name: LaunchName, status: &Status, now: Instant) -> Result<(), MesosError> {
        let task = status.task_id.value.clone();
        let is_ours = named_by(&task)
            .filter(|known| {
                task == task_id(&cluster_id(self.engine.framework(), known.job, known.exe_num), name)
            })
            .is_some_and(|known| self.engine.knows_launch(name, known.job, known.exe_num));
        if !is_ours {
            return Err(MesosError::ForeignTask { task });
        }
        tracing::info!(task, "ends what was given up");
        let agent = status.agent_id.as_ref().map(|agent| agent.value.clone());
        self.tasks.put(name, Known { id: task, node: None, agent, timeout: None }, now);
        self.tasks.end(name, now);
        self.looked = now;
        Ok(())
    }

    fn decide(&mut self) {
        if self.engine.is_disk_full() {
            // What is decided now would keep its offers until there is room.
            self.decline(&self.engine.decline_offers());
            return;
        }
        for picks in self.engine.pass() {
            self.n_deciding += usize::from(picks.hand_over() > 0);
        }
    }

    /// Gives back what nothing can use; wants offers where something waits, and none where nothing does.
    fn see_to_offers(&mut self) {
        let now = monotonic();
        let n_waiting = self.engine.n_waiting();
        let n_open = self.engine.n_open_lanes();
        self.wants_offers |= n_waiting > self.n_waiting || n_open > self.n_open;
        (self.n_waiting, self.n_open) = (n_waiting, n_open);
        self.decline(&self.engine.expired_offers());
        self.decline_parked(false, now);
        if n_open == 0 {
            let since = *self.empty_since.get_or_insert(now);
            if !self.is_suppressed && now.duration_since(since) >= SUPPRESS_AFTER {
                self.decline(&self.engine.decline_offers());
                self.decline_parked(true, now);
                self.calls.push(Call::suppress());
                self.is_suppressed = true;
            }
            return;
        }
        self.empty_since = None;
        for held in self.offers.next(now, |offer| self.engine.rescinded(offer).is_some()) {
            self.put(held, now);
        }
        let is_due = self.wants_offers && now.duration_since(self.revived) >= REVIVE_PAUSE;
        if self.is_suppressed || is_due {
            self.calls.push(Call::revive());
            (self.is_suppressed, self.wants_offers, self.revived) = (false, false, now);
        }
    }

    /// Asks what is not known, ends again what has not ended, gives up what is lost.
    fn look(&mut self) {
        let now = monotonic();
        if now < self.looked {
            return;
        }
        self.looked = now + LOOK_EVERY;
        if let Link::Up { session, .. } = &self.link {
            self.totals.look(self.engine, &self.options, &session.master, now);
        }
        self.ask(now);
        if now.duration_since(self.asked_all) >= ASK_ALL_EVERY {
            self.ask_for_all(now);
        }
        for ending in self.tasks.due_ends(now) {
            self.figures.n_kills += 1;
            self.calls.push(Call::kill(&ending.id, ending.agent.as_deref(), ending.is_forced));
        }
        for (name, reason) in self.tasks.given_up(now) {
            let state = TaskState::Ended { outcome: Outcome::Lost { reason }, usage: Usage::default() };
            // Nobody waits for word of it: it was not the master who said so.
            drop(self.tell(name, &state));
            self.tasks.remove(name);
            self.figures.n_lost += 1;
        }
    }

    fn ask(&mut self, now: Instant) {
        let mut due = self.tasks.due_questions(now);
        if due.is_empty() {
            return;
        }
        self.figures.n_questions += due.len() as u64;
        let when = self.engine.now();
        self.engine.cluster(|cluster| {
            for question in due.iter_mut().filter(|question| question.agent.is_none()) {
                let node = question.node.and_then(|node| cluster.get(node, when));
                let agent = node.and_then(|node| node.agent);
                question.agent = agent.map(|agent| agent.as_str().to_owned());
            }
        });
        for due in due.chunks(MESOS_TASKS_ASKED_MAX) {
            self.calls.push(Call::reconcile(due.iter().map(|due| (due.id.as_str(), due.agent.as_deref()))));
        }
    }

    fn ask_for_all(&mut self, now: Instant) {
        self.asked_all = now;
        self.calls.push(Call::reconcile(std::iter::empty()));
    }

    /// Does what the engine's outbox says, in order; waits up to `timeout` for the first of it.
    fn carry_out(&mut self, timeout: Duration) {
        let now = monotonic();
        for outgoing in self.engine.outgoing(timeout) {
            match outgoing {
                Outgoing::Accept { offers, launches } => {
                    self.n_deciding = self.n_deciding.saturating_sub(1);
                    self.accept(&offers, launches);
                }
                Outgoing::Launch(launch) => self.refuse(launch.get().name, "its node is not of the cluster"),
                Outgoing::Kill(name) => {
                    let name = name.into_inner();
                    self.tasks.end(name, now);
                    if self.engine.leaves(name).is_none() {
                        self.outputs.give_up(name);
                    }
                    self.looked = now;
                }
                Outgoing::Acknowledge(_) => {}
            }
        }
    }

    /// A launch that never left goes back to its place.
    fn refuse(&mut self, name: LaunchName, why: &str) {
        self.figures.n_refused += 1;
        drop(self.tell(name, &TaskState::Refused { reason: why.to_owned() }));
    }

    fn accept(&mut self, offers: &[HeldOffer], launches: Vec<Durable<Launch>>) {
        let parts = self.offers.use_up(offers.iter().map(HeldOffer::id));
        let is_up = matches!(self.link, Link::Up { .. });
        let now = monotonic();
        let ids = offers.iter().map(HeldOffer::id);
        let (Some(mut parts), Some(first)) = (parts.filter(|_| is_up), offers.first()) else {
            ids.clone().for_each(|id| self.figures.ended(id, OfferEnd::Taken, now));
            if is_up {
                // The others of them are still there.
                self.calls.push(Call::decline(ids, Duration::ZERO));
            }
            for launch in launches {
                self.refuse(launch.get().name, "its offer ended before it could be used");
            }
            return;
        };
        let agent = first.agent();
        let tasks: Vec<String> = launches
            .into_iter()
            .filter_map(|launch| self.task(&launch.into_inner(), agent, &mut parts))
            .collect();
        if tasks.is_empty() {
            ids.clone().for_each(|id| self.figures.ended(id, OfferEnd::Declined, now));
            self.calls.push(Call::decline(ids, Duration::ZERO));
            return;
        }
        self.calls.push(Call::accept(ids.clone(), &tasks));
        // Before the next of them is made.
        self.send();
        self.figures.used(ids, monotonic());
    }

    /// The framework's id; empty before it has one.
    fn own_id(&self) -> &str {
        self.framework_id.as_deref().unwrap_or_default()
    }

    /// The task of a launch; a launch that cannot be told has ended.
    fn task(&mut self, launch: &Launch, agent: &AgentId, parts: &mut Parts) -> Option<String> {
        let id = task_id(&launch.cluster_id, launch.name);
        let task = match parts.task(launch, (&id, agent.as_str()), (self.own_id(), &self.options)) {
            Ok(task) => task,
            Err(reason) => {
                let outcome = Outcome::NotStarted { reason };
                drop(self.tell(launch.name, &TaskState::Ended { outcome, usage: Usage::default() }));
                return None;
            }
        };
        let timeout = launch.timeout_s.map(|seconds| Duration::from_secs(seconds.into()));
        let known = Known { id, node: Some(launch.node), agent: Some(agent.as_str().to_owned()), timeout };
        self.tasks.launched(launch.name, known, monotonic());
        self.figures.n_launched += 1;
        Some(task)
    }

    fn send(&mut self) {
        let Link::Up { session, .. } = &mut self.link else { return };
        if self.calls.is_empty() {
            return;
        }
        match session.send(&mut self.calls) {
            Ok(n) => self.figures.n_calls += n as u64,
            // What arrived and what did not is found by asking, once subscribed again.
            Err(error) => self.lost(&format!("a call could not be made: {error}")),
        }
    }
}
