//! Short words for steps, to write seeds with.

use weighbridge::QueueMode;

use crate::steps::{Amount, Asks, Drain, Growth, How, Jobs, Keep, Step};

/// A step with jobs of one kind.
pub(crate) fn submit(kind: usize, count: u8, asks: Option<Asks>) -> Step {
    let growth = Growth::None;
    let jobs = Jobs { kind, priority: 0, asks, growth, is_from_end: false, is_other: false };
    Step::Submit { jobs, count, later: 1, is_more: false }
}

/// Jobs of one request of a type.
pub(crate) fn jobs(kind: usize, count: u8, asks: Asks) -> Step {
    submit(kind, count, Some(asks))
}

/// The same as the type says.
pub(crate) fn plain(kind: usize, count: u8) -> Step {
    submit(kind, count, None)
}

/// The same with something else about its jobs.
fn with(mut step: Step, change: impl FnOnce(&mut Jobs)) -> Step {
    if let Step::Submit { jobs, .. } | Step::Defer { jobs, .. } | Step::Flood { jobs, .. } = &mut step {
        change(jobs);
    }
    step
}

pub(crate) fn with_priority(step: Step, to: i32) -> Step {
    with(step, |jobs| jobs.priority = to)
}

pub(crate) fn growing(step: Step, by: Growth) -> Step {
    with(step, |jobs| jobs.growth = by)
}

/// Ids that count down from the largest.
pub(crate) fn from_end(step: Step) -> Step {
    with(step, |jobs| jobs.is_from_end = true)
}

/// Of another tenant.
pub(crate) fn other(step: Step) -> Step {
    with(step, |jobs| jobs.is_other = true)
}

/// The jobs of a step, held back for so long.
pub(crate) fn deferred(step: Step, until: i8) -> Step {
    match step {
        Step::Submit { jobs, count, .. } => Step::Defer { jobs, count, until },
        other => other,
    }
}

/// The jobs of a step, 96 times as many.
pub(crate) fn flood(step: Step) -> Step {
    match step {
        Step::Submit { jobs, count, later, .. } => Step::Flood { jobs, count, later, is_mixed: false },
        other => other,
    }
}

/// The same of all priorities.
pub(crate) fn mixed(mut step: Step) -> Step {
    if let Step::Flood { is_mixed, .. } = &mut step {
        *is_mixed = true;
    }
    step
}

pub(crate) fn and_more(mut step: Step) -> Step {
    if let Step::Submit { is_more, .. } = &mut step {
        *is_more = true;
    }
    step
}

pub(crate) fn at(mut step: Step, time: i8) -> Step {
    if let Step::Submit { later, .. } | Step::Flood { later, .. } = &mut step {
        *later = time;
    }
    step
}

pub(crate) fn small() -> Asks {
    Asks::of(1, 1, 1)
}

pub(crate) fn scaled(mem: Amount, disk: Amount) -> Asks {
    Asks { main: [Amount::whole(1), mem, disk], extra: [0; 3] }
}

pub(crate) fn amount(n: u8, scale: u8) -> Amount {
    Amount { n, scale }
}

/// Room for four times as many of [`small`].
pub(crate) fn offer(guard: usize, n: u8) -> Step {
    Step::Offer { guard, free: Asks::of(n, n, n) }
}

pub(crate) fn settle(guard: usize, keep: Keep) -> Step {
    Step::Settle { guard, keep }
}

pub(crate) fn mode(kind: Option<usize>, mode: Option<QueueMode>) -> Step {
    Step::Mode { kind, mode }
}

pub(crate) fn end(how: How) -> Step {
    Step::End { which: 0, how }
}

pub(crate) fn cancel(which: u8, count: u8) -> Step {
    Step::Cancel { which, count }
}

pub(crate) fn priority(which: u8, count: u8, to: i32) -> Step {
    Step::Priority { which, count, to }
}

pub(crate) fn pause(kind: usize, is_paused: bool) -> Step {
    Step::Pause { kind, is_paused }
}

pub(crate) fn limit(kind: usize, limit: u8) -> Step {
    Step::Limit { kind, limit }
}

pub(crate) fn reopen(is_closed: bool) -> Step {
    Step::Reopen { is_closed }
}

/// The clock moves, and whatever is due comes in.
pub(crate) fn tick(later: i64) -> Step {
    Step::Tick { later, most: usize::MAX }
}

pub(crate) fn turn(kind: Option<usize>, mode: Option<QueueMode>) -> Step {
    Step::Turn { kind, mode }
}

pub(crate) fn turn_some(n_lanes: usize) -> Step {
    Step::TurnSome { n_lanes }
}

/// One that nothing holds back, taken whatever it asks for.
pub(crate) fn take_one(guard: usize) -> Step {
    Step::OfferDeclared { guard }
}

pub(crate) fn put_back(guard: usize, which: u8) -> Step {
    Step::PutBack { guard, which }
}

pub(crate) fn cancel_many(which: u8, stride: u8, count: u8) -> Step {
    Step::CancelMany { which, stride, count }
}

pub(crate) fn seek(which: u8, n_lanes: usize) -> Step {
    Step::Seek { which, n_lanes }
}

pub(crate) fn drain(how: Drain, leave: u8) -> Step {
    Step::Drain { how, leave }
}

/// What is asked about, without being offered.
pub(crate) fn ask(free: Asks) -> Step {
    Step::Declare { total: free }
}
