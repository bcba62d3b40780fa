//! One run: the queue is filled, brought into its steady state, and measured there; then the peers
//! go on from the same state.

use std::time::Duration;

use weighbridge::{Amounts, Queue, Verdict};

use super::Arguments;
use super::batches;
use super::filled::{Filled, fill, offers_of};
use super::ours::Fills;
use super::peers;
use super::producer;
use super::report::Report;
use super::steady::Extent;
use super::turn;

/// Different offers of the second run of `cross`.
const N_OFFERS_MANY: usize = 4_096;

/// Rounds before anything is timed: what does not fit gathers at the head meanwhile.
const WARM_UP: usize = 10_000;

const N_BATCHES: usize = 25;

/// Idle nodes that are filled.
const N_FILLS: usize = 2_000;

/// No part of a run takes longer, however slow the queue is.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(10);

pub(crate) fn measure(arguments: &Arguments) -> Result<Report, String> {
    let setting = &arguments.setting;
    let is_cross = setting.is_cross();
    let Filled { mut ours, mut steady, offers, journal, rss_bytes_per_entry } =
        fill(setting, WARM_UP, TIME_MAX)?;
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
    is_sound(&ours.queue, setting.queued);
    let beside = producer::measure(&mut steady.source, &mut ours.queue, &offers);
    let turn = turn::measure(&mut ours.queue);
    is_sound(&ours.queue, setting.queued);
    drop((ours, steady));
    let peers = if arguments.with_peers {
        peers::measure(setting, &start, &offers, &journal, &shown)?
    } else {
        Vec::new()
    };
    #[expect(clippy::cast_precision_loss, reason = "bytes per entry")]
    let per_entry = |bytes: usize| bytes as f64 / setting.queued as f64;
    Ok(Report {
        queued: setting.queued,
        workload: setting.workload.name(),
        n_lanes,
        n_lanes_open,
        n_offers: offers.len(),
        means,
        cross_many,
        beside,
        turn,
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
