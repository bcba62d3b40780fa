//! A run without clocks for a counter of instructions: it fills, goes on until the state is steady,
//! and runs batches. It prints how often each of the functions `measured_*` did its work; the
//! counter tells what each of them cost.

use super::batches;
use super::filled::{Filled, Setting, fill};
use super::run::TIME_MAX;

/// Enough for a steady state, few enough for a run that is fifty times slower.
const WARM_UP: usize = 2_000;

const N_BATCHES: usize = 4;

/// Returns lines of a function's name and its number of calls.
pub(crate) fn count(setting: &Setting) -> Result<String, String> {
    let Filled { mut ours, mut steady, offers, .. } = fill(setting, WARM_UP, TIME_MAX)?;
    let (_, calls) = batches::run(&mut steady, &mut ours, &offers, N_BATCHES);
    let lines = [
        ("measured_decisions", calls.decisions),
        ("measured_none", calls.none),
        ("measured_takes", calls.taken),
        ("measured_launches", calls.taken),
        ("measured_enqueues", calls.enqueues),
        ("measured_cancels", calls.cancels),
    ];
    Ok(lines.map(|(name, n)| format!("{name} {n}\n")).concat())
}
