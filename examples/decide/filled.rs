//! A queue that is filled and has come into its steady state.

use std::time::Duration;

use weighbridge::Queue;

use super::ours::Ours;
use super::steady::{Extent, Journal, Steady, Structure};
use super::workload::{Free, Source, Workload, free};

/// Different offers, apart from those of `cross`.
const N_OFFERS: usize = 1 << 14;

/// What is filled, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) queued: usize,
    pub(crate) workload: Workload,
    /// Lanes that may move.
    pub(crate) n_lanes: usize,
    /// Different offers of `cross`.
    pub(crate) n_offers: usize,
}

impl Setting {
    pub(crate) fn is_cross(&self) -> bool {
        self.workload == Workload::Cross
    }

    pub(crate) fn source(&self) -> Result<Source, String> {
        Source::new(self.workload, self.n_lanes, self.queued)
    }
}

/// See the file.
pub(crate) struct Filled {
    pub(crate) ours: Ours,
    pub(crate) steady: Steady,
    pub(crate) offers: Vec<Free>,
    /// What came and left since the queue was filled.
    pub(crate) journal: Journal,
    /// Bytes that the process grew by per entry, where the system tells.
    pub(crate) rss_bytes_per_entry: Option<f64>,
}

pub(crate) fn offers_of(source: &mut Source, queue: &Queue, n: usize) -> Vec<Free> {
    (0..n).map(|_| free(source.offer(), queue)).collect()
}

/// Fills a queue and goes on for so many rounds, no longer than `time_max`.
pub(crate) fn fill(setting: &Setting, n_rounds: usize, time_max: Duration) -> Result<Filled, String> {
    let source = setting.source()?;
    let mut ours = Ours::new(&source);
    let mut steady = Steady::new(source, setting.queued, !setting.is_cross());
    let before = resident_bytes();
    for _ in 0..setting.queued {
        let draft = steady.filling();
        let entry = ours.entry(&draft);
        ours.insert(entry);
    }
    let rss_bytes_per_entry = grown_per_entry(before, resident_bytes(), setting.queued);
    steady.pause(&mut ours);
    let n_offers = if setting.is_cross() { setting.n_offers } else { N_OFFERS };
    let offers = offers_of(&mut steady.source, &ours.queue, n_offers);
    let mut journal = Journal::default();
    let extent = Extent { time_max, ..Extent::rounds(n_rounds) };
    steady.rounds(&mut ours, &offers, &extent, Some(&mut journal));
    Ok(Filled { ours, steady, offers, journal, rss_bytes_per_entry })
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
