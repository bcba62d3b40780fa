//! The corpus of the fuzz target under plain `cargo test`: what it found once stays found. Its seeds
//! stand here as steps, so that they can be read; `WEIGHBRIDGE_BLESS=1 cargo test --test corpus`
//! writes their files anew.

#[path = "common/steps/mod.rs"]
mod steps;

use std::path::{Path, PathBuf};

use steps::{Amount, Asks, Growth, How, Jobs, Keep, STEP_BYTES, STEPS_MAX, Step, agree, steps_from};
use weighbridge::QueueMode::{Fifo, Lifo};

/// A step with jobs of one kind.
fn submit(kind: usize, count: u8, asks: Option<Asks>) -> Step {
    let growth = Growth::None;
    let jobs = Jobs { kind, priority: 0, asks, growth, is_from_end: false, is_other: false };
    Step::Submit { jobs, count, later: 1, is_more: false }
}

/// Jobs of one request of a type.
fn jobs(kind: usize, count: u8, asks: Asks) -> Step {
    submit(kind, count, Some(asks))
}

/// The same as the type says.
fn plain(kind: usize, count: u8) -> Step {
    submit(kind, count, None)
}

fn with_priority(mut step: Step, to: i32) -> Step {
    if let Step::Submit { jobs, .. } = &mut step {
        jobs.priority = to;
    }
    step
}

fn growing(mut step: Step, by: Growth) -> Step {
    if let Step::Submit { jobs, .. } = &mut step {
        jobs.growth = by;
    }
    step
}

fn and_more(mut step: Step) -> Step {
    if let Step::Submit { is_more, .. } = &mut step {
        *is_more = true;
    }
    step
}

fn at(mut step: Step, time: i8) -> Step {
    if let Step::Submit { later, .. } = &mut step {
        *later = time;
    }
    step
}

fn small() -> Asks {
    Asks::of(1, 1, 1)
}

fn scaled(mem: Amount, disk: Amount) -> Asks {
    Asks { main: [Amount::whole(1), mem, disk], extra: [0; 3] }
}

fn amount(n: u8, scale: u8) -> Amount {
    Amount { n, scale }
}

/// Room for four times as many of [`small`].
fn offer(guard: usize, n: u8) -> Step {
    Step::Offer { guard, free: Asks::of(n, n, n) }
}

fn settle(guard: usize, keep: Keep) -> Step {
    Step::Settle { guard, keep }
}

fn mode(kind: Option<usize>, mode: Option<weighbridge::QueueMode>) -> Step {
    Step::Mode { kind, mode }
}

fn end(how: How) -> Step {
    Step::End { which: 0, how }
}

fn cancel(which: u8, count: u8) -> Step {
    Step::Cancel { which, count }
}

fn priority(which: u8, count: u8, to: i32) -> Step {
    Step::Priority { which, count, to }
}

fn pause(kind: usize, is_paused: bool) -> Step {
    Step::Pause { kind, is_paused }
}

fn limit(kind: usize, limit: u8) -> Step {
    Step::Limit { kind, limit }
}

fn reopen(is_closed: bool) -> Step {
    Step::Reopen { is_closed }
}

/// Sequences worth starting from, by what they are about.
fn seeds() -> Vec<(&'static str, Vec<Step>)> {
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

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/steps")
}

fn bytes_of(steps: &[Step]) -> Vec<u8> {
    steps.iter().flat_map(Step::write).collect()
}

#[test]
fn every_seed_is_in_the_corpus_as_it_stands_here() {
    let is_blessed = std::env::var_os("WEIGHBRIDGE_BLESS").is_some();
    for (name, steps) in seeds() {
        let (path, bytes) = (folder().join(name), bytes_of(&steps));
        assert!(steps.len() <= STEPS_MAX, "{name} is cut when it is read");
        assert_eq!(steps_from(&bytes), steps, "{name} does not read back");
        if is_blessed {
            std::fs::write(&path, &bytes).expect("writable");
        }
        let found = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(found == bytes, "{name} differs; WEIGHBRIDGE_BLESS=1 writes it anew");
    }
}

#[test]
fn the_engine_agrees_with_the_simple_queue_over_the_whole_corpus() {
    let files = std::fs::read_dir(folder()).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("listed").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus is empty");
    for path in paths {
        let steps = steps_from(&std::fs::read(&path).expect("readable"));
        // What is printed when a test fails.
        println!("{}: {} steps", path.display(), steps.len());
        agree(false, &steps);
        agree(true, &steps);
    }
}

#[test]
fn any_bytes_are_steps() {
    assert_eq!(steps_from(&[]), []);
    assert_eq!(steps_from(&[255]).len(), 1);
    assert_eq!(steps_from(&[7; STEP_BYTES * STEPS_MAX + 5]).len(), STEPS_MAX);
}
