//! The bare queue and the simple one side by side. What only the engine knows maps to the nearest
//! thing; what is compared after each step stands in `look`.

use std::collections::{BTreeMap, BTreeSet};

use weighbridge::{
    Amounts as Dense, ConstraintSetId, Entry, ExeId, ID_MAX, InsertError, JobId, JobTypeId, Position,
    PositionSearch, Queue, QueueMode, TenantId, Timestamp,
};

use super::model::{Canceled, Model, ModelEntry, Taken, four_times, resources, spread};
use super::step::{
    Amounts, Drain, FLOOD_FACTOR, How, Jobs, Keep, LIMIT_NOTHING, N_KINDS, NAMES, PRIORITIES, Step,
};

/// Most that wait at once, in the queue and aside; what is beyond is left out, so that a run has an
/// end.
const QUEUED_MAX: usize = 6_000;

/// Most that come with floods in one run.
const FLOODS_MAX: usize = 8_000;

/// The last instant that the order tells from later ones, in 2112.
const TIME_MAX: i64 = (1 << 52) - 1;

/// The ids of the job types.
pub(super) const TYPES: [JobTypeId; N_KINDS] =
    [JobTypeId(0), JobTypeId(1), JobTypeId(2), JobTypeId(3), JobTypeId(9)];

/// Enough of everything.
pub(super) const UNLIMITED: Amounts = [u64::MAX; NAMES.len()];

/// Lanes that may be kept without entries; they count when slices do.
const EMPTY_MAX: usize = 1_100;

/// A search for a position that goes on while other things happen.
#[derive(Debug)]
struct Seek {
    search: PositionSearch,
    exe: u64,
    /// What was before it whenever the search went on.
    always: Option<BTreeSet<u64>>,
    /// What was before it at some time when the search went on.
    ever: BTreeSet<u64>,
    /// How often something was put into the queue before it began.
    n_puts: usize,
}

/// The whole of a run.
pub(super) struct Bare {
    pub(super) queue: Queue,
    pub(super) model: Model,
    pub(super) now: i64,
    n_exes: u64,
    n_from_end: u64,
    n_jobs: u64,
    n_flooded: usize,
    /// Switches that were begun and are not done.
    turns: Vec<(Option<usize>, Option<QueueMode>)>,
    seek: Option<Seek>,
    /// How often something was put into the queue.
    n_puts: usize,
    /// Dense forms of what entries ask for.
    dense: BTreeMap<Amounts, Dense>,
    /// What was offered or asked about last.
    pub(super) free: Amounts,
    pub(super) n_steps: usize,
}

/// Runs `steps` on the bare queue and the simple one, and compares them after each.
///
/// # Panics
/// Where they differ.
pub(crate) fn agree_queue(steps: &[Step]) {
    let mut bare = Bare {
        queue: Queue::default(),
        model: Model::default(),
        // So near to the beginning of time that steps back reach it.
        now: 3,
        n_exes: 0,
        n_from_end: 0,
        n_jobs: 0,
        n_flooded: 0,
        turns: Vec::new(),
        seek: None,
        n_puts: 0,
        dense: BTreeMap::new(),
        free: UNLIMITED,
        n_steps: 0,
    };
    for step in steps {
        bare.apply(step);
        bare.n_steps += 1;
        bare.look();
    }
    bare.look_at_all();
    if bare.finish_turn() {
        bare.look_at_all();
    }
}

impl Bare {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Submit { jobs, count, later, .. } => {
                self.pass(later.into());
                self.enter(&jobs, usize::from(count), false, None);
            }
            Step::Flood { jobs, count, later, is_mixed } => {
                self.pass(later.into());
                let count = (usize::from(count) * FLOOD_FACTOR).min(FLOODS_MAX - self.n_flooded);
                self.n_flooded += count;
                self.enter(&jobs, count, is_mixed, None);
            }
            Step::Defer { jobs, count, until } => {
                self.enter(&jobs, usize::from(count), false, Some(self.now + i64::from(until)));
            }
            Step::Tick { later, most } => {
                self.pass(later);
                let n_woken = self.queue.wake(Timestamp(self.now), most);
                assert_eq!(n_woken, self.model.wake(self.now, most), "woken");
                self.n_puts += n_woken;
            }
            Step::Offer { guard, free } => {
                self.settle(guard, Keep::None);
                self.free = four_times(free.amounts());
                self.take(guard, self.free, usize::MAX);
            }
            Step::OfferDeclared { guard } => self.take(guard, UNLIMITED, 1),
            Step::Declare { total } => self.free = four_times(total.amounts()),
            Step::Settle { guard, keep } => self.settle(guard, keep),
            Step::PutBack { guard, which } => {
                let held = &mut self.model.held[guard];
                if !held.is_empty() {
                    let taken = held.remove(usize::from(which) % held.len());
                    self.put_back(taken);
                }
            }
            Step::Cancel { which, count } => {
                let some = self.some(which, count);
                self.cancel(&some);
            }
            Step::CancelMany { which, stride, count } => {
                let live: Vec<u64> = self.model.live().into_iter().map(|(_, exe)| exe).collect();
                let mut some = spread(&live, which, stride, count);
                // One of them twice, and one that nobody knows.
                some.extend(some.first().copied());
                some.push(ID_MAX / 2);
                self.cancel(&some);
            }
            Step::Priority { which, count, to } => {
                let some = self.some(which, count);
                self.set_priority(&some, to);
            }
            Step::Pause { kind, is_paused } => {
                self.queue.set_paused(TYPES[kind], is_paused);
                self.model.kinds[kind].is_paused = is_paused;
            }
            Step::Limit { kind, limit } => {
                let limit = (limit > 0).then_some(if limit == LIMIT_NOTHING { 0 } else { limit.into() });
                self.queue.set_limit(TYPES[kind], limit);
                self.model.kinds[kind].limit = limit;
            }
            Step::Mode { kind, mode } => self.set_mode(kind, mode),
            Step::Turn { kind, mode } => self.start_turn(kind, mode),
            Step::TurnSome { n_lanes } => self.turn_some(n_lanes),
            Step::End { which, how } => self.end(which, how),
            Step::Reopen { is_closed } => self.begin_anew(is_closed),
            Step::Seek { which, n_lanes } => self.seek(which, n_lanes),
            Step::Drain { how, leave } => self.drain(how, leave.into()),
        }
    }

    /// The clock moves, within the time there is.
    fn pass(&mut self, later: i64) {
        self.now = self.now.saturating_add(later).clamp(0, TIME_MAX);
    }

    /// The dense form of what an entry asks for.
    pub(super) fn dense(&mut self, asks: Amounts) -> Dense {
        *self.dense.entry(asks).or_insert_with(|| self.queue.intern(&resources(asks)))
    }

    fn entry(&mut self, entry: &ModelEntry, asks: Amounts) -> Entry {
        Entry {
            id: ExeId(entry.exe),
            job: JobId(entry.job),
            job_type: TYPES[entry.kind],
            tenant: TenantId(if entry.is_other { 7 } else { 0 }),
            constraints: ConstraintSetId(if entry.is_other { 3 } else { 0 }),
            priority: entry.priority,
            queued: Timestamp(entry.queued),
            asks: self.dense(asks),
        }
    }

    /// As it went in.
    pub(super) fn given(&mut self, entry: &ModelEntry) -> Entry {
        self.entry(entry, entry.asks)
    }

    /// As it comes out of a lane.
    pub(super) fn shown(&mut self, entry: &ModelEntry) -> Entry {
        self.entry(entry, entry.shown())
    }

    /// Puts new ones in, or aside.
    fn enter(&mut self, jobs: &Jobs, count: usize, is_mixed: bool, until: Option<i64>) {
        let room = QUEUED_MAX.saturating_sub(self.model.len() + self.model.deferred().len());
        for n in 0..count.min(room) {
            let exe = if jobs.is_from_end {
                self.n_from_end += 1;
                ID_MAX + 1 - self.n_from_end
            } else {
                self.n_exes += 1;
                self.n_exes
            };
            self.n_jobs += 1;
            let entry = ModelEntry { exe, job: self.n_jobs, queued: self.now, ..jobs.entry(n) };
            let priority = if is_mixed { PRIORITIES[n % PRIORITIES.len()] } else { entry.priority };
            self.insert(ModelEntry { priority, ..entry }, until);
        }
        self.insert_again();
    }

    fn insert(&mut self, entry: ModelEntry, until: Option<i64>) {
        let given = self.given(&entry);
        let (n_before, n_aside) = (self.queue.len(), self.queue.n_deferred());
        match until {
            None => {
                self.queue.insert(given).expect("room, and a new id");
                self.model.insert(entry);
                self.n_puts += 1;
                assert_eq!((self.queue.len(), self.queue.n_deferred()), (n_before + 1, n_aside));
            }
            Some(until) => {
                self.queue.defer(given, Timestamp(until)).expect("room, and a new id");
                self.model.defer(entry, until);
                assert_eq!((self.queue.len(), self.queue.n_deferred()), (n_before, n_aside + 1));
            }
        }
    }

    /// What is here already is refused, wherever it is.
    fn insert_again(&mut self) {
        let held = self.model.held().find(|taken| !taken.is_canceled).map(|taken| taken.entry);
        let aside = self.model.deferred().values().next().map(|(_, entry)| *entry);
        let queued = self.model.first();
        for entry in [held, aside, queued].into_iter().flatten() {
            // As another request of another type: the lane that it would need must not stay either.
            let other = ModelEntry { kind: (entry.kind + 1) % N_KINDS, is_other: !entry.is_other, ..entry };
            let mut again = Entry { priority: 17, ..self.given(&other) };
            if self.n_steps.is_multiple_of(2) {
                again = Entry { priority: 17, ..self.given(&entry) };
            }
            let error = InsertError::AlreadyQueued { id: again.id };
            assert_eq!(self.queue.insert(again), Err(error));
            assert_eq!(self.queue.defer(again, Timestamp(self.now)), Err(error));
        }
    }

    /// Takes what fits in `free`, at most `most`, one by one, and holds each against the model.
    fn take(&mut self, guard: usize, free: Amounts, most: usize) {
        let wanted = self.model.picks(free, most);
        let mut left = self.queue.lookup(&resources(free));
        for entry in &wanted.picks {
            let shown = self.shown(entry);
            assert_eq!(self.queue.first_fit(&left), Some(shown.id), "of {free:?}");
            assert_eq!(self.queue.take_first_fit(&mut left), Some(shown), "of {free:?}");
        }
        assert_eq!(left, self.queue.lookup(&resources(wanted.left)), "what is left of {free:?}");
        if wanted.picks.len() < most {
            assert_eq!(self.queue.take_first_fit(&mut left), None, "of {free:?}");
        }
        for entry in wanted.picks {
            self.model.remove(entry.exe);
            self.model.held[guard].push(Taken { entry, is_on_declared: false, is_canceled: false });
        }
    }

    fn put_back(&mut self, taken: Taken) {
        assert_eq!(self.queue.put_back(ExeId(taken.entry.exe)), !taken.is_canceled, "{taken:?}");
        self.model.put_back([taken]);
        self.n_puts += 1;
    }

    fn settle(&mut self, guard: usize, keep: Keep) {
        for taken in std::mem::take(&mut self.model.held[guard]) {
            let is_kept = match keep {
                Keep::All | Keep::HandOver => true,
                Keep::None => false,
                Keep::EverySecond => taken.entry.exe.is_multiple_of(2),
            };
            if !is_kept {
                self.put_back(taken);
                continue;
            }
            let wanted = (!taken.is_canceled).then(|| self.shown(&taken.entry));
            assert_eq!(self.queue.launch(ExeId(taken.entry.exe)), wanted, "launched");
            if !taken.is_canceled {
                self.model.running.insert(taken.entry.exe, taken);
            }
        }
    }

    /// As many that wait, are picked or run, from one of them on.
    fn some(&self, which: u8, count: u8) -> Vec<u64> {
        let live = self.model.live();
        let from = usize::from(which) % live.len().max(1);
        live.into_iter().skip(from).take(count.into()).map(|(_, exe)| exe).collect()
    }

    fn cancel(&mut self, some: &[u64]) {
        for &exe in some {
            let wanted = match self.model.cancel(exe) {
                Some(Canceled::Queued(entry) | Canceled::Picked(entry)) => Some(self.shown(&entry)),
                Some(Canceled::Deferred(entry)) => Some(self.given(&entry)),
                // What runs is no longer the queue's.
                Some(Canceled::Running) | None => None,
            };
            assert_eq!(self.queue.cancel(ExeId(exe)), wanted, "canceled {exe}");
        }
    }

    fn set_priority(&mut self, some: &[u64], to: i32) {
        for &exe in some {
            let is_here = !self.model.running.contains_key(&exe);
            let is_changed = self.model.set_priority(exe, to) && is_here;
            assert_eq!(self.queue.set_priority(ExeId(exe), to), is_changed, "priority of {exe}");
            self.n_puts += 1;
        }
    }

    /// Sets a direction at once; what is under way comes into force with it.
    fn set_mode(&mut self, kind: Option<usize>, mode: Option<QueueMode>) {
        match kind {
            Some(kind) => self.queue.set_type_mode(TYPES[kind], mode),
            None => self.queue.set_mode(mode.unwrap_or_default()),
        }
        self.turns.push((kind, mode));
        self.turned();
    }

    fn start_turn(&mut self, kind: Option<usize>, mode: Option<QueueMode>) {
        self.queue.start_turn(kind.map(|kind| TYPES[kind]), mode);
        self.turns.push((kind, mode));
    }

    fn turned(&mut self) {
        for (kind, mode) in std::mem::take(&mut self.turns) {
            self.model.set_mode(kind, mode);
        }
    }

    /// The new order holds from the moment when the queue says that the switch is done, the old one
    /// until then.
    fn turn_some(&mut self, n_lanes: usize) {
        let is_done = self.queue.turn_some(n_lanes);
        assert!(is_done || !self.turns.is_empty(), "no switch is under way");
        if is_done {
            self.turned();
        }
    }

    /// Makes all of the switches that are under way. False where none is.
    fn finish_turn(&mut self) -> bool {
        const SLICE: usize = 64;
        let is_under_way = !self.turns.is_empty();
        for _ in 0..=(QUEUED_MAX + EMPTY_MAX).div_ceil(SLICE) + 1 {
            if self.turns.is_empty() {
                return is_under_way;
            }
            self.turn_some(SLICE);
        }
        panic!("the switch never ends");
    }

    fn end(&mut self, which: u8, how: How) {
        let running = &self.model.running;
        let Some(&exe) = running.keys().nth(usize::from(which) % running.len().max(1)) else { return };
        if matches!(how, How::Stale | How::Runs) {
            return;
        }
        let Taken { entry, is_canceled, .. } = self.model.running.remove(&exe).expect("it runs");
        self.queue.end(TYPES[entry.kind]);
        if is_canceled {
            return;
        }
        match how {
            How::Refused => self.insert(entry, None),
            How::Badly | How::Lost => {
                if let Some(entry) = entry.retry(how == How::Badly, self.n_exes + 1, self.now) {
                    self.n_exes += 1;
                    self.insert(entry, None);
                }
            }
            How::Well | How::Stale | How::Killed | How::Runs => {}
        }
    }

    /// Another queue takes everything over, from the front of the order or from its back.
    fn begin_anew(&mut self, is_in_order: bool) {
        self.finish_turn();
        self.seek = None;
        self.dense.clear();
        let old = std::mem::take(&mut self.queue);
        self.queue.set_mode(self.model.mode());
        for (kind, job_type) in TYPES.into_iter().enumerate() {
            self.queue.set_type_mode(job_type, self.model.mode_of(kind));
            self.queue.set_paused(job_type, self.model.kinds[kind].is_paused);
            self.queue.set_limit(job_type, self.model.kinds[kind].limit);
        }
        let mut entries: Vec<Entry> = old.iter(&[]).collect();
        if !is_in_order {
            entries.reverse();
        }
        let held = self.model.held().filter(|taken| !taken.is_canceled);
        let held: Vec<ExeId> = held.map(|taken| ExeId(taken.entry.exe)).collect();
        entries.extend(held.iter().filter_map(|id| old.get(*id)));
        for entry in entries {
            let asks = self.queue.intern(&old.named(&entry.asks));
            self.queue.insert(Entry { asks, ..entry }).expect("room, and a new id");
        }
        for id in held {
            assert!(self.queue.pick(id).is_some(), "{id:?} is there");
        }
        for &exe in self.model.deferred().keys() {
            let entry = old.get(ExeId(exe)).expect("it waits aside");
            let asks = self.queue.intern(&old.named(&entry.asks));
            let until = old.deferred_until(entry.id).expect("it waits aside");
            self.queue.defer(Entry { asks, ..entry }, until).expect("room, and a new id");
        }
        let running: Vec<ModelEntry> = self.model.running.values().map(|taken| taken.entry).collect();
        for entry in running {
            let given = self.given(&entry);
            self.queue.insert(given).expect("room, and a new id");
            assert!(self.queue.launch(given.id).is_some(), "{entry:?} is there");
        }
    }

    /// Searches for the place of one, or goes on with the search at hand. What was before it all the
    /// time has to count, and what never was may not.
    fn seek(&mut self, which: u8, n_lanes: usize) {
        let order = self.model.order();
        let mut seek = self.seek.take().unwrap_or_else(|| {
            let exe =
                order.get(usize::from(which) % order.len().max(1)).map_or(ID_MAX / 2, |entry| entry.exe);
            let search = PositionSearch::new(ExeId(exe));
            Seek { search, exe, always: None, ever: BTreeSet::new(), n_puts: self.n_puts }
        });
        let at = order.iter().position(|entry| entry.exe == seek.exe);
        let before: BTreeSet<u64> = order[..at.unwrap_or(0)].iter().map(|entry| entry.exe).collect();
        let always = seek.always.get_or_insert_with(|| before.clone());
        always.retain(|exe| before.contains(exe));
        let n_always = always.len();
        seek.ever.extend(before);
        match self.queue.search_position(&mut seek.search, n_lanes) {
            Position::NotQueued => assert_eq!(at, None, "{seek:?}"),
            Position::Searching => {
                assert!(at.is_some(), "{seek:?}");
                self.seek = Some(seek);
            }
            Position::At(found) => {
                assert!(at.is_some(), "{seek:?}");
                // What came back in between may have been counted twice, or not at all.
                let n_puts = self.n_puts - seek.n_puts;
                let least = n_always.saturating_sub(n_puts);
                let most = seek.ever.len() + n_puts;
                assert!((least..=most).contains(&found), "{found} is not in {least}..={most}: {seek:?}");
            }
        }
    }

    /// All but `leave` that wait in the queue leave it.
    fn drain(&mut self, how: Drain, leave: usize) {
        let order = self.model.order();
        let n = order.len().saturating_sub(leave);
        let mut exes: Vec<u64> = order.iter().map(|entry| entry.exe).collect();
        match how {
            Drain::Front => {}
            Drain::Back => exes.reverse(),
            Drain::ById => exes.sort_unstable(),
            Drain::Offers => {
                const GUARD: usize = 0;
                self.settle(GUARD, Keep::None);
                self.take(GUARD, UNLIMITED, n);
                let taken: Vec<Taken> = self.model.held[GUARD].clone();
                self.settle(GUARD, Keep::All);
                for Taken { entry, .. } in taken {
                    self.model.running.remove(&entry.exe).expect("it runs");
                    self.queue.end(TYPES[entry.kind]);
                }
                return;
            }
        }
        self.cancel(&exes[..n]);
    }
}
