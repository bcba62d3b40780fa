//! The simple version of lanes: entries that are held back together and differ in memory and disk
//! only, counted in the same units; and why each of them does not move.

use std::collections::BTreeMap;

use weighbridge::{ExeId, Lack, Quantity, ResourceName, Verdict};

use super::model::{ModelEntry, ModelKind, unit_of};
use super::step::{Amounts, NAMES};

/// What the entries of a lane share: owner and kind, what they ask for but memory and disk, and the
/// units of both.
pub(crate) type LaneKey = (bool, usize, [u64; NAMES.len() - 2], [u64; 2]);

/// One lane with entries.
#[derive(Clone, Debug)]
pub(crate) struct ModelLane {
    pub(crate) n_queued: usize,
    pub(crate) head: ModelEntry,
    /// What each entry asks for at least, as it is shown.
    least: Amounts,
    /// The first that fits.
    first: Option<u64>,
}

pub(crate) fn lane_key(entry: &ModelEntry) -> LaneKey {
    let [cpus, mem, disk, rest @ ..] = entry.asks;
    let [gpus, licences, slots] = rest;
    (entry.is_other, entry.kind, [cpus, gpus, licences, slots], [mem, disk].map(unit_of))
}

/// All lanes with entries, and what of each fits in `free`.
pub(crate) fn lanes(order: &[ModelEntry], free: &Amounts) -> BTreeMap<LaneKey, ModelLane> {
    let mut lanes: BTreeMap<LaneKey, ModelLane> = BTreeMap::new();
    // The order of all is the order of each.
    for entry in order {
        let shown = entry.shown();
        let new = ModelLane { n_queued: 0, head: *entry, least: shown, first: None };
        let lane = lanes.entry(lane_key(entry)).or_insert(new);
        lane.n_queued += 1;
        lane.least = std::array::from_fn(|at| lane.least[at].min(shown[at]));
        if lane.first.is_none() && entry.fits(free) {
            lane.first = Some(entry.exe);
        }
    }
    lanes
}

impl ModelLane {
    /// What keeps its entries from a node with `free`.
    pub(crate) fn verdict(&self, kind: ModelKind, n_taken: u32, free: &Amounts) -> Verdict {
        if kind.is_paused {
            return Verdict::Paused;
        }
        if let Some(limit) = kind.limit.filter(|limit| n_taken >= *limit) {
            return Verdict::AtLimit { limit, n_taken };
        }
        let lacks = NAMES.iter().zip(self.least.iter().zip(free)).filter(|(_, (ask, have))| ask > have);
        let lacks = lacks.map(|(name, (ask, have))| Lack {
            resource: ResourceName::new(name).expect("a name"),
            asked: Quantity(*ask),
            short: Quantity(ask - have),
        });
        let lacks = sorted(lacks.collect());
        match self.first {
            Some(exe) => Verdict::Fits(ExeId(exe)),
            None if lacks.is_empty() => Verdict::ShortTogether,
            None => Verdict::Short(lacks),
        }
    }
}

/// By name: in what order names came to a queue is its own affair.
fn sorted(mut lacks: Vec<Lack>) -> Vec<Lack> {
    lacks.sort_by(|a, b| a.resource.cmp(&b.resource));
    lacks
}

/// The same verdict with its lacks by name.
pub(crate) fn by_name(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Short(lacks) => Verdict::Short(sorted(lacks)),
        other => other,
    }
}
