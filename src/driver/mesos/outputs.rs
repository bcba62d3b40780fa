//! The ends of tasks that are kept back until it is known what the tasks left, and the threads that look.
//!
//! W1  The framework's thread waits for no agent.
//! W2  An end is kept back once, however often it is told, and no other word of its task is taken meanwhile: so it is
//!     on record once, with what was found.
//! W3  A look that breaks is one that told nothing.
//! W4  What is kept back is not acknowledged. A daemon that ends leaves it to the next one, which is told again.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::event::Status;
use super::id_file::IdFile;
use super::left::Unseen;
use super::looks::{Found, Look, Looks, Next};
use super::options::MesosOptions;
use super::sandboxes::MesosSandboxes;
use crate::clock::monotonic;
use crate::engine::Engine;
use crate::launch::{Left, LeftError, TaskState};
use crate::limits::{MESOS_LEFT_LOOKS, MESOS_LEFT_WAITING_MAX};
use crate::model::{LaunchName, Timestamp};
use crate::sync::{AtomicBool, Condvar, Mutex, Ordering};

/// Who has nothing to look at is told when there is something, and sees for itself after so long.
const IDLE_WAIT: Duration = Duration::from_mins(1);

/// What becomes of a status.
pub(super) enum Kept {
    /// It is told as it is.
    No(Box<Status>),
    /// It is told when what its task left is known.
    Yes,
    /// It would be, and there is no room.
    NoRoom,
}

/// An end that is known together with what was left.
pub(super) struct Ended {
    pub(super) name: LaunchName,
    pub(super) status: Box<Status>,
    pub(super) state: TaskState,
    pub(super) when: Timestamp,
    pub(super) left: Result<Left, LeftError>,
}

/// A status that is kept back.
struct Held {
    status: Box<Status>,
    state: TaskState,
    when: Timestamp,
}

/// See the file.
pub(super) struct Outputs {
    /// None where tasks have no sandboxes of their own.
    shared: Option<Arc<Shared>>,
    wait: Duration,
    held: HashMap<LaunchName, Held>,
    found: VecDeque<Found>,
    was_told: bool,
}

/// What the threads share.
struct Shared {
    sandboxes: MesosSandboxes,
    is_over: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    looks: Looks,
    n_threads: usize,
    n_idle: usize,
    /// Told that something was found; none once nobody wants to know.
    wake: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Outputs {
    pub(super) fn new(engine: &Engine, options: &Arc<MesosOptions>, file: &IdFile) -> Self {
        let engine = engine.clone();
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(move || engine.wake());
        let shared = || {
            let state = State { looks: Looks::default(), n_threads: 0, n_idle: 0, wake: Some(wake) };
            Arc::new(Shared {
                sandboxes: MesosSandboxes::with(file.clone(), options.clone()),
                is_over: AtomicBool::new(false),
                state: Mutex::new(state),
                changed: Condvar::new(),
            })
        };
        Self {
            shared: options.executor.is_none().then(shared),
            wait: options.outputs_wait,
            held: HashMap::new(),
            found: VecDeque::new(),
            was_told: false,
        }
    }

    /// How many ends are kept back.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether the end of a task is kept back. Of what is told again, what is to be acknowledged is kept.
    pub(super) fn holds(&mut self, name: LaunchName, status: &Status) -> bool {
        let Some(held) = self.held.get_mut(&name) else { return false };
        if held.status.uuid.is_none() && status.uuid.is_some() && status.state == held.status.state {
            *held.status = status.clone();
        }
        true
    }

    /// Keeps back the good end of a task whose job type declares outputs.
    pub(super) fn keep(
        &mut self,
        engine: &Engine,
        name: LaunchName,
        state: &TaskState,
        status: Box<Status>,
    ) -> Kept {
        if !matches!(state, TaskState::Ended { outcome, .. } if outcome.is_success()) {
            return Kept::No(status);
        }
        let Some(shared) = &self.shared else {
            if !self.was_told && engine.leaves(name).is_some() {
                self.was_told = true;
                tracing::warn!(
                    "what tasks of an executor of one's own leave is not looked for: there is no telling whose it is"
                );
            }
            return Kept::No(status);
        };
        let Some((ran, declared)) = engine.leaves(name) else { return Kept::No(status) };
        let has_room = self.held.len() < MESOS_LEFT_WAITING_MAX;
        let agent = status.agent_id.as_ref().map(|agent| agent.value.clone());
        if !has_room || !shared.add(Look::new(ran, agent, Arc::new(declared), self.wait, monotonic())) {
            return Kept::NoRoom;
        }
        self.held.insert(name, Held { status, state: state.clone(), when: engine.now() });
        Kept::Yes
    }

    /// The next end that may go on record; `put_back` has it come again.
    pub(super) fn next(&mut self) -> Option<Ended> {
        if let Some(shared) = &self.shared
            && self.found.is_empty()
            && !self.held.is_empty()
        {
            self.found = shared.state.lock().looks.take_found();
            if !self.found.is_empty() {
                shared.changed.notify_all();
            }
        }
        while let Some((name, left)) = self.found.pop_front() {
            // What nobody wants any more may be found later.
            if let Some(Held { status, state, when }) = self.held.remove(&name) {
                return Some(Ended { name, status, state, when, left });
            }
        }
        None
    }

    /// What a task left is not wanted any more: its end comes without.
    pub(super) fn give_up(&mut self, name: LaunchName) {
        if self.held.contains_key(&name) {
            self.found.push_back((name, Ok(Left::default())));
        }
    }

    pub(super) fn put_back(&mut self, ended: Ended) {
        let Ended { name, status, state, when, left } = ended;
        self.held.insert(name, Held { status, state, when });
        self.found.push_front((name, left));
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        let Some(shared) = &self.shared else { return };
        // Relaxed: the lock orders it for those who wait, and the others see it in time.
        shared.is_over.store(true, Ordering::Relaxed);
        shared.state.lock().wake = None;
        shared.changed.notify_all();
    }
}

/// A look that breaks would leave what it was for waiting for ever.
fn guarded(
    look: impl FnOnce() -> Result<Result<Left, LeftError>, Unseen>,
) -> Result<Result<Left, LeftError>, Unseen> {
    // What it shares with others are lists and locks, which are whole at any time.
    catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| {
        Err(Unseen::NotThere("the look for it broke off, which is a mistake of weighbridge".to_owned()))
    })
}

impl Shared {
    /// False where there is no room, or nobody to look.
    fn add(self: &Arc<Self>, look: Look) -> bool {
        let mut state = self.state.lock();
        let is_short = state.looks.n_waiting() >= state.n_idle && state.n_threads < MESOS_LEFT_LOOKS;
        if is_short {
            let shared = self.clone();
            let thread = std::thread::Builder::new().name("weighbridge-left".to_owned());
            match thread.spawn(move || shared.work()) {
                Ok(_) => state.n_threads += 1,
                Err(error) => tracing::warn!(%error, "no thread to look for outputs with"),
            }
        }
        let is_in = state.n_threads > 0 && state.looks.add(look);
        drop(state);
        self.changed.notify_one();
        is_in
    }

    fn work(&self) {
        while let Some(look) = self.next() {
            let seen = guarded(|| {
                self.sandboxes.left(
                    (&look.ran, look.agent.as_deref()),
                    &look.declared,
                    look.is_last,
                    &self.is_over,
                )
            });
            let mut state = self.state.lock();
            state.looks.over(look, seen, monotonic());
            let wake = state.wake.clone();
            drop(state);
            self.changed.notify_one();
            if let Some(wake) = wake {
                wake();
            }
        }
    }

    /// Waits for the next look; none where nothing is wanted any more.
    fn next(&self) -> Option<Look> {
        let mut state = self.state.lock();
        loop {
            // Relaxed: see where it is set.
            if self.is_over.load(Ordering::Relaxed) {
                return None;
            }
            let now = monotonic();
            let until = match state.looks.next(now) {
                Next::Look(look) => return Some(*look),
                Next::Wait(until) => until.unwrap_or(now + IDLE_WAIT),
            };
            state.n_idle += 1;
            self.changed.wait_until(&mut state, until);
            state.n_idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{NewJobType, Options};
    use crate::launch::LeftError;
    use crate::model::{
        JobRequest, JobTypeSpec, NodeId, NodeResources, Outcome, Submission, SubmissionId, Usage,
    };
    use crate::offer::Offer;

    const SYNC: Duration = Duration::from_secs(20);

    const DONE: TaskState = TaskState::Ended {
        outcome: Outcome::Exited { code: 0 },
        usage: Usage { wall_us: 0, cpu_us: 0, mem_kib: 0 },
    };

    /// So many jobs that run, and are to leave a number where `has_outputs`.
    fn running(has_outputs: bool, n: usize) -> (Engine, Vec<LaunchName>) {
        let engine = Engine::in_memory(Options::default());
        let outputs = if has_outputs { r#"[{"name": "N", "type": "integer"}]"# } else { "[]" };
        let manifest = format!(
            r#"{{"seedVersion": "1.0.0", "job": {{"name": "a", "jobVersion": "1.0.0", "packageVersion": "1.0.0",
                "title": "", "description": "", "maintainer": {{"name": "A", "email": "a@example.com"}}, "timeout": 60,
                "interface": {{"command": "run", "outputs": {{"json": {outputs}}}}}}}}}"#
        );
        let new = NewJobType {
            spec: JobTypeSpec::new("a", "1.0.0"),
            manifest: manifest.into(),
            docker_image: String::new(),
            configuration: "{}".into(),
            is_published: false,
            icon_code: None,
            is_long_running: false,
        };
        let kind = engine.put_manifest(new).expect("room").wait_durable(SYNC).expect("a type");
        let count = u32::try_from(n).expect("a few");
        let submission = Submission::new(SubmissionId::new("s").expect("an id"));
        let submission = submission.jobs(JobRequest::new(kind).count(count));
        engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted");
        let free: NodeResources = "cpus:1000,mem:100000,disk:100000".parse().expect("resources");
        let launches = engine.offer(&Offer::new(NodeId(1), free)).commit().wait(SYNC).expect("launched");
        let names: Vec<LaunchName> = launches.iter().map(|launch| launch.get().name).collect();
        assert_eq!(names.len(), n);
        (engine, names)
    }

    /// Of a store without a framework, so that there is no sandbox anywhere.
    fn outputs(engine: &Engine, wait: Duration) -> Outputs {
        let mut options = MesosOptions::new("127.0.0.1:1").expect("an address");
        options.outputs_wait = wait;
        Outputs::new(engine, &Arc::new(options), &IdFile::in_store(std::path::Path::new("/nowhere")))
    }

    fn status(uuid: Option<&str>) -> Box<Status> {
        let uuid = uuid.map(str::to_owned);
        Box::new(Status { state: "TASK_FINISHED".to_owned(), uuid, ..Status::default() })
    }

    #[test]
    fn no_more_ends_are_kept_back_than_may_wait() {
        let (engine, names) = running(true, MESOS_LEFT_WAITING_MAX + 10);
        let mut outputs = outputs(&engine, Duration::from_mins(10));
        let is_kept =
            |name: &&LaunchName| matches!(outputs.keep(&engine, **name, &DONE, status(None)), Kept::Yes);
        let n = names.iter().take_while(is_kept).count();
        assert_eq!(n, MESOS_LEFT_WAITING_MAX, "those that are looked at count too");
        assert_eq!(outputs.len(), n);
        assert!(outputs.holds(names[0], &status(None)) && !outputs.holds(names[n + 1], &status(None)));
        assert!(outputs.next().is_none(), "there is time");
        outputs.give_up(names[0]);
        outputs.give_up(names[n + 1]);
        let ended = outputs.next().expect("it is not wanted any more");
        assert_eq!((ended.name, ended.left), (names[0], Ok(Left::default())));
        assert!(outputs.next().is_none() && !outputs.holds(names[0], &status(None)));
    }

    #[test]
    fn an_end_comes_back_with_what_is_to_be_acknowledged() {
        let (engine, names) = running(true, 1);
        let mut outputs = outputs(&engine, Duration::ZERO);
        assert!(matches!(outputs.keep(&engine, names[0], &DONE, status(None)), Kept::Yes));
        assert!(outputs.holds(names[0], &status(Some("AAAA"))));
        let mut other = status(Some("BBBB"));
        other.state = "TASK_LOST".to_owned();
        assert!(outputs.holds(names[0], &other));
        let next = |outputs: &mut Outputs| {
            let end = monotonic() + SYNC;
            loop {
                if let Some(ended) = outputs.next() {
                    return ended;
                }
                assert!(monotonic() < end, "nothing is found");
                engine.wait_for_work(Duration::from_millis(10));
            }
        };
        let ended = next(&mut outputs);
        assert!(
            matches!(&ended.left, Err(LeftError::Unreadable { reason }) if reason.contains("no framework"))
        );
        assert_eq!(outputs.len(), 0);
        outputs.put_back(ended);
        assert_eq!(outputs.len(), 1);
        let again = next(&mut outputs);
        assert_eq!((again.name, &again.state), (names[0], &DONE));
        assert_eq!((again.status.uuid.as_deref(), &*again.status.state), (Some("AAAA"), "TASK_FINISHED"));
        assert!(outputs.next().is_none());
    }

    #[test]
    fn what_was_found_and_is_not_on_record_counts_too() {
        let (engine, names) = running(true, MESOS_LEFT_WAITING_MAX + 1);
        let mut outputs = outputs(&engine, Duration::ZERO);
        let (last, names) = names.split_last().expect("some");
        for name in names {
            assert!(matches!(outputs.keep(&engine, *name, &DONE, status(None)), Kept::Yes));
        }
        let end = monotonic() + SYNC;
        while outputs.shared.as_ref().expect("they look").state.lock().looks.n_waiting()
            == MESOS_LEFT_WAITING_MAX
        {
            assert!(monotonic() < end, "nobody looks");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(matches!(outputs.keep(&engine, *last, &DONE, status(None)), Kept::NoRoom));
        for _ in names {
            while outputs.next().is_none() {
                assert!(monotonic() < end, "nobody looks on");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        assert!(matches!(outputs.keep(&engine, *last, &DONE, status(None)), Kept::Yes));
    }

    #[test]
    fn a_look_that_breaks_told_nothing() {
        assert_eq!(guarded(|| Ok(Ok(Left::default()))), Ok(Ok(Left::default())));
        let broken = guarded(|| panic!("on purpose"));
        assert!(matches!(broken, Err(Unseen::NotThere(reason)) if reason.contains("broke off")));
    }

    #[test]
    fn what_leaves_nothing_is_not_kept_back() {
        let (engine, names) = running(false, 1);
        let mut outputs_of = outputs(&engine, Duration::ZERO);
        let is_told = |outputs: &mut Outputs, engine: &Engine, name: LaunchName, state: &TaskState| {
            matches!(outputs.keep(engine, name, state, status(None)), Kept::No(_))
        };
        assert!(is_told(&mut outputs_of, &engine, names[0], &DONE));
        let (engine, names) = running(true, 1);
        let mut outputs_of = outputs(&engine, Duration::ZERO);
        let failed = TaskState::Ended { outcome: Outcome::Exited { code: 1 }, usage: Usage::default() };
        assert!(is_told(&mut outputs_of, &engine, names[0], &failed));
        assert!(is_told(&mut outputs_of, &engine, names[0], &TaskState::Running));
        let other = LaunchName { number: 7, ..names[0] };
        assert!(is_told(&mut outputs_of, &engine, other, &DONE), "it is not on record");
        assert!(!is_told(&mut outputs_of, &engine, names[0], &DONE));
    }
}
