//! What may happen in a run, and how often.
//!
//! Weights are drawn for each run, some of them zero, so that odd mixes come too.

use super::run::{Asked, INTAKE_LEN, Plant, Run, Weather, until};
use super::watch::{fits, in_use, judge};
use crate::intake::IntakeError;
use crate::model::{
    JobId, JobRequest, JobStatus, JobTypeId, JobTypeSpec, LaunchName, NodeId, NodeResources, Outcome,
    QueueMode, RecipeNode, RecipeRequest, Submission, SubmissionId,
};
use crate::offer::Offer;
use crate::wal::DiskFile;

/// Jobs of a run, about.
const JOBS_MAX: u64 = 60;

const N_KINDS: u32 = 4;

/// The node that takes the rest when all faults are over.
const HAVEN: NodeId = NodeId(99);

/// Rounds until all jobs have to be over, once nothing goes wrong any more.
const ROUNDS_MAX: u32 = 200;

type Weighted = (u64, fn(&mut Run));

/// What may happen while the state file is in any weather.
const ALWAYS: &[Weighted] = &[
    (10, Run::submit),
    (3, Run::put_kind),
    (4, Run::pause),
    (4, Run::limit),
    (2, Run::mode),
    (14, Run::task_ends),
    (20, Run::status),
    (3, Run::old_status),
    (4, Run::clock),
    (3, Run::node),
];

/// What needs the state file.
const WITH_STATE: &[Weighted] = &[
    (30, Run::offer),
    (6, Run::cancel),
    (6, Run::priority),
    (3, Run::flood),
    (8, Run::outbox),
    (3, Run::tell_again),
];

/// Faults, and what ends them.
const FAULTS: &[Weighted] =
    &[(5, Run::log_weather), (5, Run::state_weather), (3, Run::crash_now), (1, Run::close_now)];

impl Run {
    /// Everything, to its end.
    pub(super) fn go(&mut self) {
        self.live(&[ALWAYS, WITH_STATE, FAULTS].concat());
        self.tally.n_early = self.tally.n_launches;
        self.drain();
    }

    /// The same without faults of the disk and the process.
    pub(super) fn go_fair(&mut self) {
        self.live(&[ALWAYS, WITH_STATE].concat());
        self.end_all();
    }

    fn live(&mut self, all: &[Weighted]) {
        let mut steps: Vec<Weighted> = Vec::new();
        for (weight, step) in all {
            let weight = match self.dice.roll::<u64>(8) {
                0 => 0,
                1 => weight * 3,
                _ => *weight,
            };
            steps.push((weight, *step));
        }
        let n_always = ALWAYS.len();
        let n_safe = n_always + WITH_STATE.len();
        self.put_kind();
        self.submit();
        self.node();
        for n in 0..40 + self.dice.roll::<u64>(70) {
            let weights: Vec<u64> = steps.iter().map(|(weight, _)| *weight).collect();
            let mut at = self.dice.weighted(&weights);
            if self.state != Weather::Fair && (n_always..n_safe).contains(&at) {
                at = self.dice.roll(n_always as u64);
            }
            self.tally.n_steps += 1;
            (steps[at].1)(self);
            self.weather_turns();
            if n % 16 == 0 {
                self.engine().check_invariants();
            }
            self.count();
        }
    }

    /// Bad weather does not last, so that enough happens in good.
    fn weather_turns(&mut self) {
        let is_log_gone = self.engine().failure().is_some() && self.dice.chance(40);
        let is_state_gone = self.state == Weather::Broken && self.dice.chance(15);
        let is_unlucky = self.log != Weather::Fair && self.dice.chance(4);
        if is_log_gone || is_state_gone || is_unlucky {
            self.crash_now();
        } else if self.log != Weather::Fair && self.dice.chance(10) {
            self.log_weather();
        } else if self.state != Weather::Fair && self.dice.chance(15) {
            self.state_weather();
        }
    }

    /// Takes down what happened.
    fn count(&mut self) {
        let what = self.trail.last().map_or("", String::as_str);
        let text = format!("{} {} {what}", self.tally.digest, self.picture().digest());
        self.tally.digest = crc32fast::hash(text.as_bytes());
    }

    fn kinds(&self) -> Vec<JobTypeId> {
        self.engine().look_at(|state| state.catalog.iter().map(|kind| kind.id).collect())
    }

    fn asks(&mut self) -> NodeResources {
        let mib = self.dice.roll(9);
        let cpus = ["0", "0.5", "1", "1.1", "2"][self.dice.roll::<usize>(5)];
        let asks = NodeResources::new().mem_mib(mib).cpus(cpus).expect("an amount");
        if self.dice.chance(10) { asks.gpus(1) } else { asks }
    }

    fn put_kind(&mut self) {
        let n = self.dice.roll::<u32>(u64::from(N_KINDS));
        let asks = self.asks();
        let (tries, priority) = (1 + self.dice.roll::<u16>(3), self.dice.roll(4));
        let spec = JobTypeSpec::new(format!("kind{n}"), "1").command(["run", "{n}"]).needs(asks);
        let spec = spec.max_tries(tries).priority(priority);
        self.note(format!("put kind{n}"));
        self.send(|engine| engine.put_job_type(spec), Asked::Kind);
    }

    fn request(&mut self, kind: JobTypeId, n: usize) -> JobRequest {
        let mut request = JobRequest::new(kind).values([("n", format!("{n}"))]);
        if self.dice.chance(40) {
            request = request.needs(self.asks());
        }
        if self.dice.chance(40) {
            request = request.priority(self.dice.roll(5));
        }
        request
    }

    fn submit(&mut self) {
        let kinds = self.kinds();
        let n = self.told.tried.len();
        let again = self.dice.chance(20) || self.seen().len() as u64 >= JOBS_MAX;
        let (number, submission) = if again && n > 0 {
            let at = self.dice.roll::<usize>(n as u64);
            (at, self.told.tried[at].clone())
        } else {
            let Some(kind) = self.dice.pick(&kinds) else { return };
            let id = SubmissionId::new(&format!("s{n}")).expect("an id");
            let mut submission = Submission::new(id);
            for _ in 0..=self.dice.roll::<u64>(2) {
                let count = 1 + self.dice.roll::<u32>(4);
                submission = submission.jobs(self.request(kind, n).count(count));
            }
            if self.dice.chance(40) {
                submission = submission.recipe(self.recipe(&kinds, n));
            }
            if self.dice.chance(25) {
                submission = submission.buffered();
            }
            self.told.tried.push(submission.clone());
            (n, submission)
        };
        self.note(format!("submit s{number}"));
        let number = u32::try_from(number).expect("few");
        self.send(|engine| engine.submit(submission), |ticket| Asked::Submit(number, ticket));
    }

    fn recipe(&mut self, kinds: &[JobTypeId], n: usize) -> RecipeRequest {
        let mut nodes: Vec<RecipeNode> = Vec::new();
        for at in 0..2 + self.dice.roll::<u32>(4) {
            let parents: Vec<u32> = (0..at).filter(|_| self.dice.chance(45)).collect();
            let kind = self.dice.pick(kinds).expect("one there is");
            nodes.push(RecipeNode { name: format!("node{at}").into(), job: self.request(kind, n), parents });
        }
        RecipeRequest { name: "r".into(), nodes }
    }

    fn pause(&mut self) {
        let Some(kind) = self.dice.pick(&self.kinds()) else { return };
        let is_paused = self.dice.chance(30);
        self.note(format!("pause {kind} {is_paused}"));
        self.send(|engine| engine.pause(kind, is_paused), Asked::Switch);
    }

    fn limit(&mut self) {
        let Some(kind) = self.dice.pick(&self.kinds()) else { return };
        let limit = self.dice.chance(50).then(|| self.dice.roll(6));
        self.note(format!("limit {kind} {limit:?}"));
        self.send(|engine| engine.set_limit(kind, limit), Asked::Switch);
    }

    fn mode(&mut self) {
        let kind = if self.dice.chance(50) { self.dice.pick(&self.kinds()) } else { None };
        let mode = self.dice.pick(&[None, Some(QueueMode::Fifo), Some(QueueMode::Lifo)]).flatten();
        self.note(format!("mode {kind:?} {mode:?}"));
        self.send(|engine| engine.set_mode(kind, mode), Asked::Switch);
    }

    /// Some jobs; now and then one that never was.
    fn some_jobs(&mut self) -> (Vec<JobId>, bool) {
        let next = self.engine().look_at(|state| state.next_job().0);
        let n_known = next - 1 + u64::from(self.dice.chance(5));
        let jobs: Vec<JobId> =
            (0..self.dice.roll::<u64>(4)).map(|_| JobId(1 + self.dice.draw() % n_known.max(1))).collect();
        let are_made = jobs.iter().all(|id| id.0 < next);
        (jobs, are_made)
    }

    fn cancel(&mut self) {
        let (jobs, are_made) = self.some_jobs();
        self.note(format!("cancel {jobs:?}"));
        let named = jobs.clone();
        self.send(|engine| engine.cancel(named), |ticket| Asked::Cancel(jobs, are_made, ticket));
    }

    fn priority(&mut self) {
        let (jobs, are_made) = self.some_jobs();
        let priority = self.dice.roll(6);
        self.note(format!("priority {jobs:?} {priority}"));
        self.send(|engine| engine.set_priority(jobs, priority), |ticket| Asked::Priority(are_made, ticket));
    }

    /// More commands at once than may wait. Only the first one changes anything (R3).
    fn flood(&mut self) {
        let Some(kind) = self.dice.pick(&self.kinds()) else { return };
        if self.log != Weather::Fair {
            return;
        }
        self.note("flood");
        let is_paused = self.dice.chance(20);
        for n in 0..INTAKE_LEN + 3 {
            match self.engine().pause(kind, is_paused) {
                Ok(ticket) => self.ask(Asked::Switch(ticket)),
                Err(error) => assert!(error == IntakeError::Busy && n >= INTAKE_LEN, "{n}: {error}"),
            }
        }
        assert_eq!(self.n_asked(), INTAKE_LEN);
        self.engine().pump();
        self.applied();
    }

    fn offer(&mut self) {
        let nodes: Vec<NodeId> = self.cluster.nodes.keys().copied().collect();
        let Some(node) = self.dice.pick(&nodes) else { return };
        let total = self.cluster.nodes[&node].clone();
        let how = self.dice.roll::<u64>(100);
        self.note(format!("offer {node} {how}"));
        let engine = self.engine().clone();
        let used = engine.look_at(|state| in_use(state, node));
        let free = total.minus(&used).unwrap_or_default();
        let is_double = self.plant == Some(Plant::DoubleOffer);
        let offered = if is_double { total.clone() } else { free };
        let is_declared = self.dice.chance(20);
        let mut picks = if is_declared {
            engine.declare_node(node, "a node", &total);
            engine.offer_declared(node)
        } else {
            engine.offer(&Offer::new(node, offered.clone()))
        };
        if engine.failure().is_none() && !is_declared {
            engine.look_at(|state| judge(state, &picks, &offered));
        }
        match how {
            0..10 => drop(picks),
            10..55 => {
                if how < 25 {
                    picks.retain(|pick| pick.exe.0 % 2 == how % 2);
                }
                if how.is_multiple_of(5) {
                    // Something happens between the pick and the commit.
                    self.cancel();
                }
                let launches = picks.commit();
                if how.is_multiple_of(7) {
                    drop(launches);
                } else {
                    self.ask(Asked::Launches(launches));
                }
            }
            _ => drop(picks.hand_over()),
        }
        let is_prompt = how >= 75;
        let after = engine.look_at(|state| in_use(state, node));
        assert!(fits(&total, &used, &after), "W4: {after} runs on node {node}, which has {total}");
        drop(engine);
        self.applied();
        if is_prompt {
            self.outbox();
        }
    }

    fn outbox(&mut self) {
        if self.log == Weather::Fair {
            self.carry_out();
        }
    }

    fn outcome(&mut self) -> Outcome {
        if self.plant == Some(Plant::LiveLost) {
            return Outcome::Lost { reason: "a lie".into() };
        }
        match self.dice.roll::<u64>(12) {
            0 => Outcome::Exited { code: 7 },
            1 => Outcome::Signaled { signal: 9 },
            2 => Outcome::TimedOut,
            3 => Outcome::NotStarted { reason: "no such file".into() },
            4 => Outcome::Lost { reason: "gone".into() },
            5 => Outcome::Canceled,
            _ => Outcome::Exited { code: 0 },
        }
    }

    fn task_ends(&mut self) {
        for _ in 0..=self.dice.roll::<u64>(3) {
            let live = self.cluster.live();
            let Some(name) = self.dice.pick(&live) else { return };
            let (outcome, now) = (self.outcome(), self.now());
            self.note(format!("{name} ends: {outcome}"));
            self.cluster.end(name, outcome, now);
        }
    }

    fn status(&mut self) {
        let Some(update) = self.cluster.deliver(&mut self.dice) else { return };
        let with_ticket = self.dice.chance(50);
        self.note(format!("status {} {:?}", update.name, update.state));
        self.report(update, with_ticket);
    }

    /// A status that was sent before, or one of a launch that is not the one on record.
    fn old_status(&mut self) {
        let at = self.dice.roll::<usize>(1 + self.cluster.sent.len() as u64);
        let Some(mut update) = self.cluster.sent.get(at).cloned() else { return };
        let is_other = self.dice.chance(30);
        if is_other {
            let name = LaunchName { number: update.name.number + 1, ..update.name };
            if self.picture().is_running(name) {
                return;
            }
            update.name = name;
        }
        self.note(format!("old status {} {:?}", update.name, update.state));
        self.report(update, !is_other);
    }

    /// Drivers tell again what they were not told to forget.
    fn tell_again(&mut self) {
        if self.plant == Some(Plant::ToldOnce) {
            return;
        }
        self.note("tell again");
        self.report_all(self.cluster.untold());
    }

    fn node(&mut self) {
        let node = NodeId(1 + self.dice.roll::<u32>(3));
        let now = self.now();
        let is_there = self.cluster.nodes.contains_key(&node);
        if is_there && self.dice.chance(40) {
            self.note(format!("node {node} vanishes"));
            self.cluster.vanish(node, now);
        } else {
            let (mib, gpus) = (8 + self.dice.roll::<u64>(24), self.dice.roll(3));
            let cpus = ["2", "3.5", "8"][self.dice.roll::<usize>(3)];
            let total = NodeResources::new().mem_mib(mib).gpus(gpus).cpus(cpus).expect("an amount");
            self.note(format!("node {node} has {total}"));
            self.cluster.nodes.insert(node, total);
        }
    }

    fn clock(&mut self) {
        let seconds = match self.dice.roll::<u64>(5) {
            0 => -self.dice.roll::<i64>(7_200),
            1 | 2 => self.dice.roll(48 * 3_600),
            _ => self.dice.roll(600),
        };
        self.note(format!("clock {seconds} s"));
        self.pass(seconds);
    }

    fn log_weather(&mut self) {
        if self.state != Weather::Fair {
            return;
        }
        match self.log {
            Weather::Held | Weather::Full => {
                self.note("the log goes on");
                self.release();
            }
            Weather::Broken => {}
            Weather::Fair => {
                let after = self.dice.roll::<usize>(16);
                let how = self.dice.roll::<u64>(8);
                self.note(format!("the log: {how} after {after}"));
                match how {
                    0..4 => {
                        self.log = Weather::Held;
                        self.disk.hold(DiskFile::Log, Some(after));
                    }
                    4..7 => {
                        self.log = Weather::Full;
                        self.tally.n_full += 1;
                        self.disk.set_full(DiskFile::Log, after);
                    }
                    _ => {
                        self.log = Weather::Broken;
                        self.tally.n_broken += 1;
                        self.disk.fail_sync(DiskFile::Log, true);
                    }
                }
            }
        }
    }

    fn state_weather(&mut self) {
        if self.log != Weather::Fair {
            return;
        }
        match self.state {
            Weather::Held | Weather::Full => {
                self.note("the state file goes on");
                self.state_goes_on();
            }
            Weather::Broken => {}
            Weather::Fair => self.begin_checkpoint(),
        }
    }

    fn begin_checkpoint(&mut self) {
        let (how, after) = (self.dice.roll::<u64>(10), self.dice.roll::<usize>(40));
        self.note(format!("checkpoint {how} after {after}"));
        match how {
            0..4 => {}
            4..7 => self.disk.hold(DiskFile::State, Some(after)),
            7..9 => self.disk.set_full(DiskFile::State, after),
            _ => self.disk.fail_sync(DiskFile::State, true),
        }
        let engine = self.engine().clone();
        let n_done = engine.checkpoints().n_done;
        let is_nothing_new = engine.checkpoint(std::time::Duration::ZERO).is_some();
        let is_done =
            || is_nothing_new || (engine.checkpoints().n_done > n_done && engine.store_error().is_none());
        let is_held = || self.disk.is_held(DiskFile::State);
        let is_refused = || {
            engine.store_error().is_some() && (!(7..9).contains(&how) || self.disk.is_stuck(DiskFile::State))
        };
        until("a checkpoint", || is_done() || is_held() || is_refused());
        let weather = match how {
            _ if is_done() => Weather::Fair,
            4..7 => Weather::Held,
            7..9 => Weather::Full,
            _ => Weather::Broken,
        };
        drop(engine);
        self.state = weather;
        if weather == Weather::Fair {
            self.state_goes_on();
        }
    }

    fn state_goes_on(&mut self) {
        self.disk.fail_sync(DiskFile::State, false);
        self.disk.hold(DiskFile::State, None);
        self.disk.make_room(DiskFile::State);
        let engine = self.engine().clone();
        until("a checkpoint", || {
            let done = engine.checkpoints();
            engine.store_error().is_none() && done.n_begun == done.n_done
        });
        drop(engine);
        self.state = Weather::Fair;
        self.checkpointed();
    }

    fn crash_now(&mut self) {
        self.note("crash");
        self.crash();
    }

    fn close_now(&mut self) {
        if self.log == Weather::Fair && self.state == Weather::Fair {
            self.note("close");
            self.close();
        }
    }

    /// Nothing goes wrong any more: all that can end has to end.
    fn drain(&mut self) {
        self.note("drain");
        if self.log == Weather::Broken || self.state == Weather::Broken {
            self.crash();
        }
        if self.log != Weather::Fair {
            self.release();
        }
        if self.state != Weather::Fair {
            self.state_goes_on();
        }
        self.end_all();
        self.compare();
        self.crash();
        assert!(self.is_over(), "some jobs are not over any more: {:?}", self.seen());
    }

    /// Lets everything end.
    fn end_all(&mut self) {
        for kind in self.kinds() {
            self.send(|engine| engine.pause(kind, false), Asked::Switch);
        }
        let haven = NodeResources::new().mem_mib(1_000).gpus(50).cpus("500").expect("an amount");
        self.cluster.nodes.insert(HAVEN, haven.clone());
        for _ in 0..ROUNDS_MAX {
            self.carry_out();
            for name in self.cluster.live() {
                let (code, now) = (i32::from(self.dice.chance(10)), self.now());
                self.cluster.end(name, Outcome::Exited { code }, now);
            }
            if self.plant == Some(Plant::ToldOnce) {
                let post = std::mem::take(&mut self.cluster.post);
                self.report_all(post);
            }
            self.tell_again();
            if self.is_over() {
                break;
            }
            let engine = self.engine().clone();
            engine.declare_node(HAVEN, "haven", &haven);
            engine.offer_declared(HAVEN).hand_over();
            drop(engine);
            self.applied();
        }
        assert!(self.is_over(), "some jobs never end: {:?}", self.seen());
        self.tally.n_jobs = self.seen().len() as u64;
        self.count();
    }

    fn is_over(&self) -> bool {
        let is_over = |status: JobStatus| status.is_final() || status == JobStatus::Blocked;
        self.seen().values().all(|seen| is_over(seen.status)) && !self.picture().has_running()
    }
}
