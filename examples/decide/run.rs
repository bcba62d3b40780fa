//! One run: the queue is filled, brought into its steady state, and measured there; then the peers
//! go on from the same state.

use std::time::Duration;

use weighbridge::{Amounts, Queue, Verdict};

use super::Arguments;
use super::batches;
use super::ours::{Fills, Ours};
use super::peers;
use super::producer;
use super::report::Report;
use super::steady::{Extent, Journal, Steady, Structure};
use super::workload::{Free, Source, Workload, free};

/// Different offers, apart from those of `cross`.
const N_OFFERS: usize = 1 << 14;

/// Different offers of the second run of `cross`.
const N_OFFERS_MANY: usize = 4_096;

/// Rounds before anything is timed: what does not fit gathers at the head meanwhile.
pub(crate) const WARM_UP: usize = 10_000;

const N_BATCHES: usize = 25;

/// Idle nodes that are filled.
const N_FILLS: usize = 2_000;

/// No part of a run takes longer, however slow the queue is.
const TIME_MAX: Duration = Duration::from_secs(10);

/// A queue in its steady state.
pub(crate) struct Filled {
    pub(crate) ours: Ours,
    pub(crate) steady: Steady,
    pub(crate) offers: Vec<Free>,
    /// What came and left since the queue was filled.
    pub(crate) journal: Journal,
    /// Bytes that the process grew by per entry, where the system tells.
    pub(crate) rss_bytes_per_entry: Option<f64>,
}

fn offers_of(source: &mut Source, queue: &Queue, n: usize) -> Vec<Free> {
    (0..n).map(|_| free(source.offer(), queue)).collect()
}

/// The source of what `arguments` ask for.
pub(crate) fn source(arguments: &Arguments) -> Result<Source, String> {
    Source::new(arguments.workload, arguments.n_lanes, arguments.queued)
}

/// Fills a queue and goes on until its state is steady.
pub(crate) fn fill(arguments: &Arguments, n_rounds: usize) -> Result<Filled, String> {
    let source = source(arguments)?;
    let is_cross = arguments.workload == Workload::Cross;
    let mut ours = Ours::new(&source);
    let mut steady = Steady::new(source, arguments.queued, !is_cross);
    let before = resident_bytes();
    for _ in 0..arguments.queued {
        let draft = steady.filling();
        let entry = ours.entry(&draft);
        ours.insert(entry);
    }
    let rss_bytes_per_entry = grown_per_entry(before, resident_bytes(), arguments.queued);
    steady.pause(&mut ours);
    let n_offers = if is_cross { arguments.n_offers } else { N_OFFERS };
    let offers = offers_of(&mut steady.source, &ours.queue, n_offers);
    let mut journal = Journal::default();
    let extent = Extent { time_max: TIME_MAX, ..Extent::rounds(n_rounds) };
    steady.rounds(&mut ours, &offers, &extent, Some(&mut journal));
    Ok(Filled { ours, steady, offers, journal, rss_bytes_per_entry })
}

pub(crate) fn measure(arguments: &Arguments) -> Result<Report, String> {
    let Filled { mut ours, mut steady, offers, journal, rss_bytes_per_entry } = fill(arguments, WARM_UP)?;
    let is_cross = arguments.workload == Workload::Cross;
    let start = steady.clone();
    let extent = Extent { n_rounds: arguments.decisions, time_max: TIME_MAX, expected: None };
    let shown = steady.rounds(&mut ours, &offers, &extent, None);
    let mut capped: Vec<&str> = Vec::new();
    if shown.was_capped {
        capped.push("rounds");
    }
    let (n_lanes, n_lanes_open) = lanes(&ours.queue);
    let (index, all) = ours.queue.bytes();
    let fills = if is_cross { Fills::default() } else { ours.fills(&mut steady, N_FILLS) };
    let (means, _) = batches::run(&mut steady, &mut ours, &offers, N_BATCHES);
    let cross_many = is_cross.then(|| {
        let many = offers_of(&mut steady.source, &ours.queue, N_OFFERS_MANY);
        let many = steady.rounds(&mut ours, &many, &extent, None);
        if many.was_capped {
            capped.push("cross_many");
        }
        many.decide
    });
    is_sound(&ours.queue, arguments.queued);
    let with_producer_ratio = producer::ratio(&mut steady.source, &mut ours.queue, &offers, is_cross);
    is_sound(&ours.queue, arguments.queued);
    drop((ours, steady));
    let peers = if arguments.with_peers {
        peers::measure(arguments, &start, &offers, &journal, &shown)?
    } else {
        Vec::new()
    };
    #[expect(clippy::cast_precision_loss, reason = "bytes per entry")]
    let per_entry = |bytes: usize| bytes as f64 / arguments.queued as f64;
    Ok(Report {
        queued: arguments.queued,
        workload: arguments.workload.name(),
        n_lanes,
        n_lanes_open,
        n_offers: offers.len(),
        means,
        cross_many,
        with_producer_ratio,
        index_bytes_per_entry: per_entry(index),
        bytes_per_entry: per_entry(all),
        rss_bytes_per_entry,
        capped,
        peers,
        fills,
        shown,
    })
}

/// Lanes with entries, and those of them that may move.
fn lanes(queue: &Queue) -> (usize, usize) {
    let nothing = Amounts::default();
    let n_paused = queue.verdicts(&nothing).filter(|lane| lane.verdict == Verdict::Paused).count();
    (queue.n_lanes(), queue.n_lanes() - n_paused)
}

/// The run must leave what it found: as many entries, and for few of them every invariant.
fn is_sound(queue: &Queue, queued: usize) {
    assert_eq!(queue.len(), queued, "the run lost or doubled entries");
    assert_eq!(queue.n_picked(), 0, "a pick was forgotten");
    if queued <= 20_000 {
        queue.check_invariants();
    }
}

/// Bytes of the process in memory, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// Growth per entry, less the bench's own list of ids; nothing where pages are too coarse to tell.
#[expect(clippy::cast_precision_loss, reason = "bytes per entry")]
fn grown_per_entry(before: Option<u64>, after: Option<u64>, queued: usize) -> Option<f64> {
    const COARSE: usize = 100_000;
    let grown = after?.checked_sub(before?)?;
    (queued >= COARSE).then(|| grown as f64 / queued as f64 - size_of::<u64>() as f64)
}
