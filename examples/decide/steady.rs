//! The steady state in which everything is timed, one and the same for every structure.
//!
//! A round: an offer is decided and what it gets is taken, launched and followed by a new entry;
//! one entry at random is canceled and followed by a new one. In every second round the decision
//! is timed alone, in the others deciding and taking are timed as one call, each on an offer that
//! was not asked about just before. A thousand rounds long one of the first types is paused.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::figures::{Figures, Timer, now};
use super::workload::{Draft, Free, Gone, N_ROAMING, Random, Source, is_paused_always};

/// Rounds from one change of the roaming pause to the next.
const PAUSE_ROUNDS: usize = 1_000;

/// Something that queues entries and finds the first that fits.
pub(crate) trait Structure {
    /// An entry in its own form, made before the clock starts.
    type Entry;
    fn entry(&mut self, draft: &Draft) -> Self::Entry;
    fn insert(&mut self, entry: Self::Entry);
    /// The first entry that fits, left where it is.
    fn decide(&mut self, free: &Free) -> Option<u64>;
    /// The first entry that fits, taken out.
    fn take(&mut self, free: &Free) -> Option<Gone>;
    /// Takes out what was decided.
    fn pick(&mut self, id: u64) -> Gone;
    /// Starts and ends what was taken.
    fn launch(&mut self, gone: &Gone);
    fn cancel(&mut self, id: u64) -> Gone;
    fn set_paused(&mut self, kind: u32, is_paused: bool);
    /// The first entry that is not held back, where that can be asked.
    fn head(&mut self) -> Option<u64> {
        None
    }
}

/// The ids that are queued, so that one can be drawn without asking the structure, which would warm
/// it for the call that is timed next.
#[derive(Clone, Debug, Default)]
struct Live {
    /// Those queued, and those of `taken`.
    ids: Vec<u64>,
    /// Those that were taken since they were put into `ids`.
    taken: HashSet<u64>,
}

impl Live {
    fn draw(&mut self, random: &mut Random) -> u64 {
        loop {
            let id = self.ids.swap_remove(random.place(self.ids.len()));
            if !self.taken.remove(&id) {
                return id;
            }
        }
    }
}

/// What rounds have shown.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) decide: Figures,
    /// Of `decide`, those that found something, and those that found nothing.
    pub(crate) decide_found: Figures,
    pub(crate) decide_none: Figures,
    pub(crate) take: Figures,
    pub(crate) launch: Figures,
    pub(crate) enqueue: Figures,
    pub(crate) cancel: Figures,
    pub(crate) n_rounds: usize,
    pub(crate) n_none: usize,
    /// Rounds in which the head was asked for, and those in which it was the answer.
    n_asked: usize,
    n_heads: usize,
    /// By round.
    pub(crate) answers: Vec<Option<u64>>,
    /// Whether time was up before the rounds were.
    pub(crate) was_capped: bool,
}

impl Shown {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub(crate) fn none_share(&self) -> f64 {
        self.n_none as f64 / self.n_rounds.max(1) as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub(crate) fn head_share(&self) -> f64 {
        self.n_heads as f64 / self.n_asked.max(1) as f64
    }

    /// A hash of all answers: equal runs give equal hashes.
    pub(crate) fn hash(&self) -> u64 {
        let mix = |sum: u64, id: u64| (sum.rotate_left(5) ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.answers.iter().fold(0, |sum, answer| mix(sum, answer.unwrap_or(0)))
    }
}

/// How long rounds go on, and what they are held against.
pub(crate) struct Extent<'a> {
    pub(crate) n_rounds: usize,
    pub(crate) time_max: Duration,
    /// The answers that are right, by round.
    pub(crate) expected: Option<&'a [Option<u64>]>,
}

impl Extent<'_> {
    pub(crate) fn rounds(n_rounds: usize) -> Self {
        Self { n_rounds, time_max: Duration::MAX, expected: None }
    }

    fn is_over(&self, n_done: usize, start: Instant) -> bool {
        // The clock is looked at now and then: a decision may take nanoseconds or a second.
        n_done > 0 && start.elapsed() > self.time_max
    }
}

/// Where rounds stand: equal clones go on equally, whatever structure they go on with.
#[derive(Clone, Debug)]
pub(crate) struct Steady {
    pub(crate) source: Source,
    live: Live,
    n_rounds: usize,
    /// The type the roaming pause rests on.
    roaming: Option<u32>,
    /// Whether anything is paused at all.
    has_pauses: bool,
}

impl Steady {
    /// Before the queue is filled.
    pub(crate) fn new(source: Source, queued: usize, has_pauses: bool) -> Self {
        let live = Live { ids: Vec::with_capacity(queued + queued / 8), taken: HashSet::new() };
        Self { source, live, n_rounds: 0, roaming: None, has_pauses }
    }

    /// The next entry of those that fill the structure.
    pub(crate) fn filling(&mut self) -> Draft {
        let draft = self.source.draft();
        self.live.ids.push(draft.id);
        draft
    }

    fn n_roaming(&self) -> usize {
        N_ROAMING.min(self.source.n_kinds())
    }

    /// Pauses what is paused at this point.
    pub(crate) fn pause<S: Structure>(&mut self, structure: &mut S) {
        if !self.has_pauses {
            return;
        }
        for kind in (0..self.source.n_kinds()).filter(|&kind| is_paused_always(kind)) {
            structure.set_paused(u32::try_from(kind).expect("few"), true);
        }
        let roaming = *self.roaming.get_or_insert(0);
        structure.set_paused(roaming, true);
    }

    /// Moves the roaming pause on to the next type.
    fn move_pause<S: Structure>(&mut self, structure: &mut S) {
        let Some(roaming) = self.roaming else { return };
        let next = (roaming + 1) % u32::try_from(self.n_roaming()).expect("few");
        structure.set_paused(roaming, false);
        structure.set_paused(next, true);
        self.roaming = Some(next);
    }

    /// An id to cancel, drawn at random.
    pub(crate) fn draw_id(&mut self) -> u64 {
        self.live.draw(self.source.random())
    }

    /// Takes note that an entry was taken out by a decision.
    pub(crate) fn took(&mut self, gone: &Gone) {
        self.live.taken.insert(gone.id);
    }

    /// Makes what comes in the place of what has left; the caller inserts it.
    pub(crate) fn successor(&mut self, gone: &Gone) -> Draft {
        let draft = self.source.successor(gone);
        self.live.ids.push(draft.id);
        draft
    }

    /// Inserts what comes in the place of what has left.
    fn renew<S: Structure>(
        &mut self,
        (structure, timer): (&mut S, &Timer),
        gone: &Gone,
        journal: &mut Option<&mut Journal>,
    ) -> u64 {
        let draft = self.successor(gone);
        if let Some(journal) = journal {
            journal.left.push(gone.id);
            journal.came.push(draft);
        }
        let entry = structure.entry(&draft);
        timer.time(|| structure.insert(entry)).1
    }

    /// Goes on; what comes and leaves meanwhile is written into `journal`.
    pub(crate) fn rounds<S: Structure>(
        &mut self,
        structure: &mut S,
        offers: &[Free],
        extent: &Extent<'_>,
        mut journal: Option<&mut Journal>,
    ) -> Shown {
        let timer = Timer::new();
        let mut shown = Shown::default();
        let start = now();
        for n_done in 0..extent.n_rounds {
            if extent.is_over(n_done, start) {
                shown.was_capped = true;
                break;
            }
            let round = self.n_rounds;
            self.n_rounds += 1;
            shown.n_rounds += 1;
            if round % PAUSE_ROUNDS == PAUSE_ROUNDS / 2 {
                self.move_pause(structure);
            }
            let free = &offers[round % offers.len()];
            let taken = if round.is_multiple_of(2) {
                decide_and_pick(structure, free, &timer, &mut shown)
            } else {
                let (taken, ns) = timer.time(|| structure.take(free));
                if taken.is_some() {
                    shown.take.push(ns);
                }
                taken
            };
            let answer = taken.map(|gone| gone.id);
            assert!(
                extent.expected.is_none_or(|expected| expected[n_done] == answer),
                "round {round}: {answer:?}, and the queue gave another answer"
            );
            shown.answers.push(answer);
            shown.n_none += usize::from(answer.is_none());
            if let Some(gone) = taken {
                shown.launch.push(timer.time(|| structure.launch(&gone)).1);
                self.took(&gone);
                shown.enqueue.push(self.renew((structure, &timer), &gone, &mut journal));
            }
            let id = self.draw_id();
            let (gone, ns) = timer.time(|| structure.cancel(id));
            shown.cancel.push(ns);
            shown.enqueue.push(self.renew((structure, &timer), &gone, &mut journal));
        }
        shown
    }
}

fn decide_and_pick<S: Structure>(
    structure: &mut S,
    free: &Free,
    timer: &Timer,
    shown: &mut Shown,
) -> Option<Gone> {
    let (answer, ns) = timer.time(|| structure.decide(free));
    shown.decide.push(ns);
    if answer.is_some() { &mut shown.decide_found } else { &mut shown.decide_none }.push(ns);
    shown.n_asked += 1;
    let id = answer?;
    shown.n_heads += usize::from(structure.head() == Some(id));
    Some(structure.pick(id))
}

/// What came and what left while rounds went on.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) came: Vec<Draft>,
    pub(crate) left: Vec<u64>,
}
