//! The ends of tasks that are kept back until it is known what the tasks left, and the threads that look.
//!
//! W1  The framework's thread waits for no agent.
//! W2  An end is kept back once, however often it is told, and no other word of its task is taken meanwhile: so it is
//!     on record once, with what was found.
//! W3  What is kept back is not acknowledged. A daemon that ends leaves it to the next one, which is told again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Status;
use super::id_file::IdFile;
use super::looks::{Found, Look, Looks, Next};
use super::options::MesosOptions;
use super::sandboxes::MesosSandboxes;
use crate::clock::monotonic;
use crate::engine::Engine;
use crate::launch::{Left, LeftError, TaskState};
use crate::limits::MESOS_LEFT_LOOKS;
use crate::model::{LaunchName, Timestamp};
use crate::sync::{AtomicBool, Condvar, Mutex, Ordering};

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
        let now = monotonic();
        if !shared.add(Look::new(ran, declared, now + self.wait, now)) {
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
        }
        let (name, left) = self.found.pop_front()?;
        let Held { status, state, when } = self.held.remove(&name)?;
        Some(Ended { name, status, state, when, left })
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
            let seen = self.sandboxes.left(&look.ran, &look.declared, &self.is_over);
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
            let until: Option<Instant> = match state.looks.next(monotonic()) {
                Next::Look(look) => return Some(*look),
                Next::Wait(until) => until,
            };
            state.n_idle += 1;
            match until {
                Some(until) => drop(self.changed.wait_until(&mut state, until)),
                None => self.changed.wait(&mut state),
            }
            state.n_idle -= 1;
        }
    }
}
