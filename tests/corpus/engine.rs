//! Seeds for the engine, which the bare queue runs too.

use weighbridge::QueueMode::{Fifo, Lifo};

use crate::steps::{Asks, Growth, How, Keep, Step};
use crate::words::*;

/// Sequences worth starting from, by what they are about.
pub(crate) fn seeds() -> Vec<(&'static str, Vec<Step>)> {
    let all = |guard| [offer(guard, 8), settle(guard, Keep::All)];
    let huge = |n| scaled(amount(n, 14), amount(n, 13));
    let unlimited = Asks { main: [amount(255, 15); 3], extra: [3; 3] };
    let free = |guard, free| Step::Offer { guard, free };
    let spread = |kind, count| growing(jobs(kind, count, small()), Growth::Cpus);
    let licences = |n| Asks { extra: [0, n, 0], ..small() };
    vec![
        ("fifo", [&[jobs(0, 3, small()), jobs(1, 3, small())][..], &all(0)].concat()),
        ("lifo", [&[mode(None, Some(Lifo)), jobs(0, 3, small()), jobs(1, 3, small())][..], &all(0)].concat()),
        (
            "lifo-type-under-fifo",
            vec![
                mode(Some(1), Some(Lifo)),
                jobs(0, 2, small()),
                jobs(1, 3, small()),
                jobs(0, 2, small()),
                jobs(1, 2, small()),
                offer(0, 1),
                offer(1, 1),
                settle(0, Keep::All),
                settle(1, Keep::None),
            ],
        ),
        (
            "fifo-type-under-lifo",
            vec![
                mode(None, Some(Lifo)),
                mode(Some(2), Some(Fifo)),
                plain(2, 3),
                jobs(0, 4, small()),
                growing(plain(2, 4), Growth::Cpus),
                offer(0, 2),
                settle(0, Keep::EverySecond),
                mode(Some(2), None),
                offer(0, 2),
            ],
        ),
        (
            "two-lifo-types-with-many-priorities",
            vec![
                mode(Some(0), Some(Lifo)),
                mode(Some(1), Some(Lifo)),
                with_priority(spread(0, 6), -1),
                with_priority(spread(1, 6), -1),
                with_priority(spread(0, 6), i32::MIN),
                with_priority(spread(1, 6), i32::MAX),
                priority(3, 4, i32::MAX),
                offer(0, 2),
                offer(1, 2),
                settle(1, Keep::All),
                settle(0, Keep::None),
            ],
        ),
        (
            "mode-turned-while-picked",
            vec![
                jobs(0, 6, small()),
                offer(0, 1),
                mode(None, Some(Lifo)),
                offer(1, 1),
                mode(Some(0), Some(Fifo)),
                settle(0, Keep::None),
                settle(1, Keep::EverySecond),
                offer(0, 1),
            ],
        ),
        (
            "limit-reached-and-freed",
            [&[limit(0, 2), jobs(0, 5, small())][..], &all(0), &[end(How::Well)], &all(1)].concat(),
        ),
        (
            "limit-lowered-while-picked",
            vec![
                jobs(0, 6, small()),
                offer(0, 1),
                limit(0, 2),
                offer(1, 1),
                settle(0, Keep::EverySecond),
                offer(1, 1),
                settle(1, Keep::All),
                limit(0, 0),
                offer(0, 1),
            ],
        ),
        (
            "pause-while-picked",
            vec![
                jobs(0, 5, small()),
                offer(0, 1),
                pause(0, true),
                settle(0, Keep::None),
                offer(0, 1),
                pause(0, false),
                offer(0, 1),
                pause(0, true),
                settle(0, Keep::All),
            ],
        ),
        (
            "cancel-while-picked",
            vec![
                jobs(0, 8, small()),
                offer(0, 1),
                offer(1, 1),
                cancel(0, 2),
                cancel(3, 3),
                settle(0, Keep::All),
                settle(1, Keep::None),
                offer(0, 2),
            ],
        ),
        (
            "cancel-all-while-picked",
            vec![jobs(0, 4, small()), offer(0, 1), cancel(0, 32), settle(0, Keep::HandOver), plain(0, 2)],
        ),
        (
            "cancel-while-running",
            [
                &[jobs(0, 4, small())][..],
                &all(0),
                &[
                    cancel(0, 4),
                    cancel(0, 4),
                    end(How::Badly),
                    end(How::Refused),
                    end(How::Lost),
                    end(How::Well),
                ],
            ]
            .concat(),
        ),
        (
            "priority-while-picked",
            vec![
                jobs(0, 6, small()),
                offer(0, 1),
                priority(1, 2, -2),
                priority(5, 1, -1),
                offer(1, 1),
                settle(0, Keep::None),
                settle(1, Keep::None),
                offer(0, 1),
            ],
        ),
        (
            "priority-while-running",
            [&[jobs(0, 2, small())][..], &all(0), &[priority(0, 2, 2), end(How::Refused), end(How::Badly)]]
                .concat(),
        ),
        (
            "both-ends-of-priority",
            vec![
                with_priority(plain(0, 2), i32::MAX),
                with_priority(plain(1, 2), i32::MIN),
                mode(Some(0), Some(Lifo)),
                mode(Some(1), Some(Lifo)),
                priority(0, 1, i32::MIN),
                offer(0, 1),
            ],
        ),
        (
            "many-lanes",
            vec![
                spread(0, 32),
                spread(1, 32),
                with_priority(spread(2, 32), -1),
                spread(3, 32),
                offer(0, 2),
                offer(1, 1),
                settle(0, Keep::All),
                cancel(0, 32),
                cancel(9, 32),
                settle(1, Keep::None),
                offer(0, 20),
            ],
        ),
        (
            "many-rows-of-one-lane",
            vec![
                growing(jobs(0, 32, small()), Growth::MemAgainstDisk),
                growing(jobs(0, 32, Asks::of(1, 40, 40)), Growth::MemAgainstDisk),
                growing(jobs(0, 32, Asks::of(1, 9, 90)), Growth::MemAgainstDisk),
                growing(jobs(0, 32, Asks::of(1, 90, 32)), Growth::Mem),
                offer(0, 10),
                cancel(7, 32),
                settle(0, Keep::EverySecond),
                cancel(0, 32),
                priority(0, 32, -2),
                offer(1, 30),
                settle(1, Keep::HandOver),
            ],
        ),
        ("nothing-fits-until-something-comes", nothing_fits_until_something_comes()),
        (
            "batch",
            vec![
                and_more(jobs(0, 2, small())),
                and_more(spread(1, 5)),
                and_more(with_priority(plain(2, 1), -1)),
                growing(jobs(4, 3, small()), Growth::Mem),
                offer(0, 3),
                settle(0, Keep::All),
            ],
        ),
        (
            "batch-cut-by-another-step",
            vec![
                and_more(jobs(0, 2, small())),
                and_more(jobs(1, 2, small())),
                offer(0, 1),
                and_more(plain(1, 1)),
            ],
        ),
        (
            "nothing-asked-for",
            vec![plain(0, 3), jobs(1, 2, Asks::default()), free(0, Asks::default()), settle(0, Keep::All)],
        ),
        (
            "no-memory-and-no-disk",
            vec![
                jobs(0, 2, Asks::of(1, 0, 0)),
                jobs(0, 2, Asks::of(1, 0, 2)),
                jobs(0, 2, Asks::of(1, 2, 0)),
                free(0, Asks::of(1, 0, 0)),
                free(1, Asks::of(1, 0, 1)),
                settle(1, Keep::All),
                plain(1, 2),
                offer(1, 1),
            ],
        ),
        (
            "fractions",
            vec![
                jobs(0, 3, scaled(amount(250, 10), amount(3, 11))),
                jobs(0, 3, scaled(amount(3, 11), amount(250, 10))),
                plain(2, 2),
                free(0, scaled(amount(125, 10), amount(125, 10))),
                free(1, Asks::of(2, 1, 1)),
                settle(0, Keep::All),
            ],
        ),
        (
            "huge-amounts-are-rounded-up",
            vec![
                plain(3, 2),
                jobs(0, 2, huge(3)),
                jobs(0, 2, huge(4)),
                free(0, huge(1)),
                free(1, huge(2)),
                settle(1, Keep::All),
                free(0, unlimited),
                settle(0, Keep::All),
            ],
        ),
        (
            "as-much-as-there-can-be",
            vec![
                jobs(0, 2, unlimited),
                jobs(0, 1, scaled(amount(254, 15), amount(255, 15))),
                free(0, unlimited),
                settle(0, Keep::All),
                priority(0, 2, -1),
                cancel(0, 1),
            ],
        ),
        (
            "names-that-come-late",
            vec![
                spread(0, 4),
                offer(0, 1),
                jobs(0, 2, licences(2)),
                settle(0, Keep::None),
                free(0, licences(1)),
                jobs(1, 2, Asks { extra: [1, 1, 1], ..small() }),
                free(1, Asks { extra: [1, 0, 1], ..small() }),
                free(0, Asks { extra: [1, 1, 1], ..Asks::of(4, 4, 4) }),
                settle(0, Keep::All),
            ],
        ),
        (
            "declared-node",
            vec![
                Step::OfferDeclared { guard: 0 },
                Step::Declare { total: small() },
                jobs(0, 8, small()),
                Step::OfferDeclared { guard: 0 },
                Step::OfferDeclared { guard: 1 },
                settle(0, Keep::EverySecond),
                Step::OfferDeclared { guard: 1 },
                cancel(0, 3),
                settle(1, Keep::All),
                end(How::Well),
                Step::OfferDeclared { guard: 0 },
                Step::Declare { total: Asks::of(9, 9, 9) },
                Step::OfferDeclared { guard: 1 },
            ],
        ),
        (
            "declared-node-with-huge-amounts",
            vec![
                Step::Declare { total: unlimited },
                jobs(0, 2, huge(3)),
                plain(3, 2),
                Step::OfferDeclared { guard: 0 },
                settle(0, Keep::All),
                reopen(true),
                Step::Declare { total: unlimited },
                reopen(false),
                Step::Declare { total: unlimited },
                end(How::Refused),
                Step::OfferDeclared { guard: 1 },
            ],
        ),
        (
            "failures-and-retries",
            [
                &[plain(0, 2)][..],
                &all(0),
                &[end(How::Badly), end(How::Stale), end(How::Lost), end(How::Runs)],
                &all(1),
                &[end(How::Badly), end(How::Killed)],
                &all(0),
            ]
            .concat(),
        ),
        (
            "refused-goes-back-to-its-place",
            [
                &[jobs(0, 3, small())][..],
                &all(0),
                &[at(jobs(0, 2, small()), 5), end(How::Refused), offer(1, 1)],
            ]
            .concat(),
        ),
        (
            "clock-runs-back",
            vec![
                at(plain(0, 1), 5),
                at(plain(0, 1), -3),
                at(plain(1, 1), -1),
                mode(None, Some(Lifo)),
                at(plain(1, 1), 0),
                offer(0, 1),
            ],
        ),
        (
            "handed-over",
            vec![jobs(0, 4, small()), offer(0, 1), cancel(0, 1), settle(0, Keep::HandOver), cancel(0, 2)],
        ),
        (
            "closed-with-open-guards",
            vec![
                jobs(0, 6, small()),
                offer(0, 1),
                priority(0, 2, -2),
                cancel(3, 1),
                reopen(true),
                offer(0, 1),
                settle(0, Keep::All),
                reopen(true),
                end(How::Refused),
                reopen(false),
                offer(1, 1),
            ],
        ),
        (
            "lost-and-opened",
            vec![
                spread(0, 5),
                limit(0, 3),
                pause(1, true),
                mode(Some(0), Some(Lifo)),
                plain(1, 3),
                offer(0, 2),
                settle(0, Keep::EverySecond),
                reopen(false),
                offer(0, 2),
                settle(0, Keep::All),
                cancel(0, 2),
                reopen(false),
                end(How::Lost),
                pause(1, false),
                offer(1, 2),
            ],
        ),
        (
            "canceled-while-running-and-opened",
            [&[plain(0, 3)][..], &all(0), &[cancel(0, 2), reopen(true), end(How::Refused), end(How::Badly)]]
                .concat(),
        ),
    ]
}

/// A search that is long enough for its failure to be remembered: memory against disk in many
/// priorities of a type with a direction of its own.
fn nothing_fits_until_something_comes() -> Vec<Step> {
    let traded = growing(jobs(0, 24, Asks::of(1, 60, 80)), Growth::MemAgainstDisk);
    let priorities = [0, 1, -1, 2, -2, 100, i32::MIN, i32::MAX];
    let mut steps = vec![mode(Some(0), Some(Lifo))];
    steps.extend(priorities.map(|to| with_priority(traded, to)));
    steps.extend([offer(0, 16), with_priority(jobs(0, 1, Asks::of(1, 50, 50)), 2), offer(1, 16)]);
    steps.extend([settle(1, Keep::None), offer(1, 12), cancel(190, 32), offer(0, 16), settle(0, Keep::All)]);
    steps
}
