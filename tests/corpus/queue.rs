//! Seeds for the bare queue: what the engine has no words for, and sizes that it is too slow for.

use weighbridge::QueueMode::{Fifo, Lifo};

use crate::steps::{Asks, Drain, Growth, How, Keep, LIMIT_NOTHING, Step};
use crate::words::*;

/// Lanes of their own for 96 times `count` jobs.
fn lanes(kind: usize, count: u8) -> Step {
    flood(growing(jobs(kind, count, small()), Growth::Cpus))
}

/// 96 times `count` rows of one lane, memory traded against disk.
fn traded(kind: usize, count: u8) -> Step {
    flood(growing(jobs(kind, count, Asks::of(1, 60, 250)), Growth::MemAgainstDisk))
}

/// Sequences worth starting from, by what they are about.
pub(crate) fn seeds() -> Vec<(&'static str, Vec<Step>)> {
    [deferrals(), switches(), ends(), many_lanes(), many_rows(), the_rest()].concat()
}

fn deferrals() -> Vec<(&'static str, Vec<Step>)> {
    let held = |kind, count, until| deferred(jobs(kind, count, small()), until);
    vec![
        (
            "deferred",
            vec![
                held(0, 3, 5),
                jobs(0, 2, small()),
                held(1, 4, 2),
                held(0, 1, 0),
                offer(0, 1),
                Step::Tick { later: 2, most: 1 },
                settle(0, Keep::None),
                Step::Tick { later: 0, most: 5 },
                offer(0, 2),
                tick(100),
                settle(0, Keep::EverySecond),
                offer(1, 4),
            ],
        ),
        (
            "deferred-and-changed",
            vec![
                held(0, 4, 5),
                held(1, 4, 100),
                cancel(1, 2),
                priority(0, 2, i32::MIN),
                mode(Some(1), Some(Lifo)),
                pause(0, true),
                tick(5),
                cancel_many(0, 1, 1),
                pause(0, false),
                tick(100),
                offer(0, 8),
            ],
        ),
        (
            "deferred-to-the-end-of-time-and-before-its-beginning",
            vec![
                tick(i64::MAX),
                held(0, 2, 5),
                jobs(0, 2, small()),
                tick(i64::MAX),
                mode(None, Some(Lifo)),
                tick(i64::MIN),
                held(1, 2, -3),
                Step::Tick { later: 0, most: 1 },
                jobs(1, 2, small()),
                tick(0),
                offer(0, 1),
            ],
        ),
    ]
}

fn switches() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        (
            "turned-in-slices",
            vec![
                growing(jobs(0, 32, small()), Growth::Cpus),
                growing(jobs(1, 32, small()), Growth::Cpus),
                turn(None, Some(Lifo)),
                turn_some(7),
                growing(jobs(0, 8, small()), Growth::Cpus),
                offer(0, 3),
                turn_some(2),
                cancel_many(10, 3, 1),
                settle(0, Keep::None),
                turn_some(64),
                offer(0, 3),
                turn_some(1_000),
                offer(1, 3),
            ],
        ),
        (
            "turned-while-picked",
            vec![
                growing(jobs(2, 20, small()), Growth::Cpus),
                offer(0, 2),
                turn(Some(2), Some(Lifo)),
                turn_some(3),
                settle(0, Keep::EverySecond),
                take_one(1),
                turn_some(65),
                put_back(1, 0),
                take_one(1),
            ],
        ),
        (
            "turns-that-overlap",
            vec![
                growing(jobs(0, 30, small()), Growth::Cpus),
                growing(jobs(1, 30, small()), Growth::Cpus),
                turn(Some(0), Some(Lifo)),
                turn_some(7),
                turn(None, Some(Lifo)),
                turn_some(7),
                turn(Some(0), Some(Fifo)),
                priority(3, 9, -1),
                turn_some(3),
                turn(Some(1), None),
                turn_some(64),
                turn_some(64),
                turn(None, Some(Fifo)),
                mode(Some(0), None),
                offer(0, 4),
            ],
        ),
        (
            "turned-while-lanes-come-and-go",
            vec![
                lanes(0, 2),
                turn(None, Some(Lifo)),
                turn_some(65),
                drain(Drain::Front, 20),
                lanes(1, 2),
                turn_some(64),
                other(lanes(0, 1)),
                drain(Drain::Back, 100),
                turn_some(65),
                turn_some(1_000),
                turn_some(1_000),
                offer(0, 30),
            ],
        ),
        (
            "turned-back-before-it-was-done",
            vec![
                lanes(3, 2),
                turn(Some(3), Some(Lifo)),
                turn_some(64),
                turn(Some(3), None),
                turn_some(64),
                offer(0, 3),
                turn_some(1_000),
                offer(0, 3),
            ],
        ),
    ]
}

fn ends() -> Vec<(&'static str, Vec<Step>)> {
    let last = |kind, count| with_priority(jobs(kind, count, small()), i32::MAX);
    vec![
        (
            "lifo-at-the-last-priority-and-the-first-instant",
            vec![
                tick(i64::MIN),
                mode(Some(0), Some(Lifo)),
                at(last(0, 3), 0),
                at(last(1, 3), 0),
                at(from_end(last(0, 2)), 0),
                turn(None, Some(Lifo)),
                turn_some(7),
                offer(0, 1),
                mode(Some(1), Some(Fifo)),
                settle(0, Keep::None),
                offer(0, 1),
                tick(i64::MAX),
                at(last(0, 2), 0),
                at(from_end(last(1, 2)), 0),
                offer(1, 3),
            ],
        ),
        (
            "every-end-of-the-order",
            vec![
                tick(i64::MIN),
                at(last(0, 2), 0),
                at(from_end(with_priority(last(0, 2), i32::MIN)), 0),
                tick(i64::MAX),
                at(from_end(last(0, 2)), 0),
                at(with_priority(last(0, 2), i32::MIN), 0),
                mode(None, Some(Lifo)),
                seek(1, 7),
                mode(Some(0), Some(Fifo)),
                seek(6, 7),
                drain(Drain::Offers, 0),
            ],
        ),
        (
            "ids-from-the-end",
            vec![
                from_end(jobs(0, 9, small())),
                at(from_end(jobs(0, 9, small())), 0),
                at(jobs(0, 4, small()), -1),
                offer(0, 2),
                mode(None, Some(Lifo)),
                settle(0, Keep::EverySecond),
                end(How::Refused),
                offer(0, 2),
            ],
        ),
    ]
}

fn many_lanes() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        (
            "lanes-used-again",
            vec![
                lanes(0, 13),
                drain(Drain::Front, 0),
                other(lanes(1, 13)),
                drain(Drain::ById, 40),
                lanes(0, 13),
                drain(Drain::Back, 3),
                mixed(lanes(2, 10)),
                offer(0, 60),
                settle(0, Keep::None),
            ],
        ),
        (
            "lanes-used-again-while-picked",
            vec![
                lanes(0, 13),
                take_one(0),
                take_one(0),
                offer(1, 8),
                drain(Drain::Front, 0),
                other(lanes(0, 13)),
                drain(Drain::Back, 0),
                lanes(4, 13),
                settle(1, Keep::EverySecond),
                put_back(0, 1),
                end(How::Refused),
                offer(1, 3),
                settle(0, Keep::None),
            ],
        ),
        (
            "lanes-used-again-while-deferred",
            vec![
                deferred(growing(jobs(0, 32, small()), Growth::Cpus), 100),
                lanes(0, 12),
                drain(Drain::ById, 0),
                lanes(1, 12),
                tick(100),
                offer(0, 9),
                drain(Drain::Offers, 0),
            ],
        ),
        (
            "a-thousand-lanes-turned-and-held",
            vec![
                lanes(0, 8),
                mixed(lanes(1, 7)),
                turn(Some(0), Some(Lifo)),
                turn_some(1_000),
                limit(0, 1),
                take_one(0),
                offer(1, 40),
                turn_some(1_000),
                pause(1, true),
                settle(0, Keep::All),
                ask(Asks::of(9, 9, 9)),
                pause(1, false),
                turn(None, Some(Lifo)),
                turn_some(65),
                offer(1, 40),
                turn_some(1_000),
                turn_some(1_000),
                limit(0, 0),
                offer(1, 40),
            ],
        ),
        (
            "lanes-of-names-that-come-late",
            vec![
                lanes(0, 2),
                growing(jobs(1, 32, Asks { extra: [1, 2, 3], ..small() }), Growth::Cpus),
                Step::Offer { guard: 0, free: Asks { extra: [1, 1, 1], ..Asks::of(3, 3, 3) } },
                lanes(1, 1),
                Step::Offer { guard: 1, free: Asks { extra: [3, 3, 3], ..Asks::of(9, 9, 9) } },
                Step::Reopen { is_closed: false },
                settle(0, Keep::None),
            ],
        ),
    ]
}

fn many_rows() -> Vec<(&'static str, Vec<Step>)> {
    let nothing = Asks::of(1, 16, 16);
    let nothing = Step::Offer { guard: 0, free: nothing };
    vec![
        (
            "rows-of-one-lane",
            vec![
                flood(growing(jobs(0, 32, small()), Growth::Mem)),
                offer(0, 200),
                cancel_many(0, 7, 12),
                settle(0, Keep::EverySecond),
                drain(Drain::Back, 200),
                flood(growing(jobs(0, 30, small()), Growth::Mem)),
                drain(Drain::Front, 100),
                offer(0, 200),
                drain(Drain::ById, 0),
            ],
        ),
        (
            "rows-from-the-front",
            vec![
                at(from_end(flood(growing(jobs(0, 32, small()), Growth::Mem))), 0),
                at(from_end(flood(growing(jobs(0, 24, small()), Growth::Mem))), 0),
                cancel_many(100, 2, 20),
                mode(None, Some(Lifo)),
                offer(0, 90),
                settle(0, Keep::None),
                drain(Drain::Back, 10),
            ],
        ),
        (
            "rows-of-all-priorities",
            vec![
                mixed(traded(0, 32)),
                nothing,
                nothing,
                mode(Some(0), Some(Lifo)),
                nothing,
                offer(1, 40),
                cancel_many(0, 1, 32),
                settle(1, Keep::None),
                mixed(traded(0, 20)),
                offer(1, 50),
                mode(None, Some(Lifo)),
                drain(Drain::Offers, 50),
            ],
        ),
        (
            "nothing-fits-among-thousands-until-something-comes",
            vec![
                traded(0, 32),
                mixed(traded(1, 20)),
                nothing,
                nothing,
                jobs(0, 1, Asks::of(1, 30, 30)),
                offer(1, 8),
                settle(1, Keep::None),
                nothing,
                cancel(250, 32),
                priority(7, 32, 2),
                offer(1, 8),
                mode(Some(1), Some(Lifo)),
                nothing,
            ],
        ),
        (
            "many-canceled-and-put-back",
            vec![
                flood(growing(jobs(0, 20, Asks::default()), Growth::Mem)),
                flood(jobs(1, 8, Asks::default())),
                offer(0, 255),
                cancel_many(0, 0, 4),
                cancel_many(128, 6, 9),
                put_back(0, 7),
                put_back(0, 200),
                settle(0, Keep::EverySecond),
                cancel_many(3, 4, 32),
                offer(1, 255),
                drain(Drain::Offers, 9),
            ],
        ),
    ]
}

fn the_rest() -> Vec<(&'static str, Vec<Step>)> {
    let spread = |kind, count| growing(jobs(kind, count, small()), Growth::Cpus);
    vec![
        (
            "put-back-one-by-one",
            vec![
                jobs(0, 6, small()),
                offer(0, 1),
                put_back(0, 2),
                jobs(0, 2, small()),
                take_one(1),
                put_back(0, 0),
                priority(1, 1, -1),
                cancel(2, 1),
                put_back(0, 0),
                put_back(0, 0),
                put_back(0, 0),
                put_back(1, 0),
                offer(0, 8),
            ],
        ),
        (
            "sought-while-things-change",
            vec![
                spread(0, 32),
                spread(1, 20),
                seek(40, 3),
                spread(0, 8),
                seek(0, 7),
                cancel(2, 5),
                seek(0, 2),
                offer(0, 2),
                seek(0, 3),
                settle(0, Keep::None),
                mode(None, Some(Lifo)),
                seek(0, 64),
                seek(9, 1),
                cancel_many(0, 0, 4),
                seek(0, 1),
            ],
        ),
        (
            "nobody-may-run",
            vec![
                limit(0, LIMIT_NOTHING),
                jobs(0, 4, small()),
                spread(1, 3),
                offer(0, 2),
                settle(0, Keep::All),
                limit(1, LIMIT_NOTHING),
                offer(0, 2),
                end(How::Well),
                limit(0, 3),
                offer(0, 2),
                limit(1, 0),
                limit(0, LIMIT_NOTHING),
                settle(0, Keep::None),
                offer(0, 2),
            ],
        ),
        (
            "two-tenants",
            vec![
                jobs(0, 3, small()),
                other(jobs(0, 3, small())),
                other(spread(1, 4)),
                limit(0, 2),
                mode(Some(0), Some(Lifo)),
                offer(0, 2),
                other(from_end(jobs(0, 3, small()))),
                settle(0, Keep::EverySecond),
                offer(0, 2),
            ],
        ),
        (
            "taken-over-by-another",
            vec![
                spread(0, 20),
                mode(Some(1), Some(Lifo)),
                jobs(1, 9, Asks { extra: [0, 2, 0], ..small() }),
                deferred(jobs(2, 5, small()), 5),
                offer(0, 2),
                settle(0, Keep::EverySecond),
                offer(1, 1),
                reopen(true),
                cancel_many(0, 2, 1),
                limit(0, 3),
                turn(None, Some(Lifo)),
                turn_some(3),
                reopen(false),
                tick(5),
                settle(1, Keep::None),
                offer(1, 4),
            ],
        ),
        (
            "short-of-one-thing-or-of-two-together",
            vec![
                jobs(0, 2, Asks::of(1, 9, 1)),
                jobs(0, 2, Asks::of(1, 1, 9)),
                jobs(1, 2, Asks::of(200, 1, 1)),
                jobs(2, 2, Asks { extra: [3, 0, 3], ..small() }),
                ask(Asks::of(1, 1, 1)),
                ask(Asks::of(2, 2, 2)),
                ask(Asks { extra: [0, 0, 3], ..Asks::of(2, 2, 2) }),
                pause(1, true),
                limit(0, 1),
                take_one(0),
                ask(Asks::of(50, 50, 50)),
            ],
        ),
        (
            "drained-by-offers-that-a-limit-stops",
            vec![
                mixed(flood(growing(jobs(0, 3, small()), Growth::Mem))),
                flood(growing(jobs(1, 2, small()), Growth::MemAgainstDisk)),
                limit(0, 5),
                mode(Some(1), Some(Lifo)),
                drain(Drain::Offers, 10),
                limit(0, 0),
                pause(1, true),
                drain(Drain::Offers, 0),
                pause(1, false),
                drain(Drain::Offers, 0),
            ],
        ),
    ]
}
