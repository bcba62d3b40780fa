//! Decisions per second with a producer at full speed on another core, against the decider alone.
//!
//! The producer pushes entries into a bounded ring, and the decider lets one in with each decision;
//! alone it has them from a list. Where fewer are taken than come, the oldest arrivals are canceled, so
//! that what fits nowhere does not gather until nothing else is left.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;
use weighbridge::{Entry, ExeId, Queue};

use super::figures::{median, now};
use super::workload::{Free, Source};

/// How long each of the two takes, and how often they alternate.
const RUN: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;

/// Arrivals that wait for the decider.
const RING_LEN: usize = 1 << 12;

/// Different requests among the arrivals.
const N_SHAPES: usize = 50_000;

/// Arrivals beyond the depth before the oldest ones are canceled.
const KEPT: usize = 1_000;

/// What several runs have shown, the middle of each.
pub(crate) struct Beside {
    pub(crate) ratio: f64,
    /// Of the arrivals, those that the producer had ready; the decider made the others, as it does
    /// alone, so that its work is the same. Far below 1 the producer did not run at full speed.
    pub(crate) produced_share: f64,
}

/// Measures, and leaves as many entries as there were.
#[expect(clippy::cast_precision_loss, reason = "shares")]
pub(crate) fn measure(source: &mut Source, queue: &mut Queue, offers: &[Free]) -> Beside {
    let shapes: Vec<Entry> = (0..N_SHAPES).map(|_| source.newcomer().entry(queue)).collect();
    let last_id = shapes.last().expect("some").id.0;
    let mut decider = Decider { depth: queue.len(), arrived: VecDeque::new(), next_offer: 0, last_id };
    let mut own = shapes.iter().copied().cycle();
    let mut own = || own.next().expect("a cycle");
    let (mut ratios, mut shares) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let alone = decider.run(queue, offers, &mut own);
        let ring = ArrayQueue::new(RING_LEN);
        let is_over = AtomicBool::new(false);
        let (mut n_arrivals, mut n_produced) = (0_u64, 0_u64);
        let with = std::thread::scope(|scope| {
            scope.spawn(|| produce(&shapes, &ring, &is_over));
            let rate = decider.run(queue, offers, || {
                n_arrivals += 1;
                let arrival = ring.pop();
                n_produced += u64::from(arrival.is_some());
                arrival.unwrap_or_else(&mut own)
            });
            is_over.store(true, Ordering::Relaxed);
            rate
        });
        decider.restore(queue, &mut own);
        ratios.push(with / alone);
        shares.push(n_produced as f64 / n_arrivals.max(1) as f64);
    }
    Beside { ratio: median(ratios), produced_share: median(shares) }
}

/// Pushes at full speed until it is over.
fn produce(shapes: &[Entry], ring: &ArrayQueue<Entry>, is_over: &AtomicBool) {
    for shape in shapes.iter().cycle() {
        let mut entry = *shape;
        while let Err(back) = ring.push(entry) {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            std::hint::spin_loop();
            entry = back;
        }
    }
}

/// Nanoseconds that this thread ran for, where the system tells.
fn cpu_time() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

struct Decider {
    depth: usize,
    /// What arrived, the oldest first; some of it has been taken.
    arrived: VecDeque<ExeId>,
    next_offer: usize,
    last_id: u64,
}

impl Decider {
    /// Decides, takes and renews for a while; returns decisions per second of this thread.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    fn run(&mut self, queue: &mut Queue, offers: &[Free], mut arrival: impl FnMut() -> Entry) -> f64 {
        let (from, cpu_from) = (now(), cpu_time());
        let mut n_decisions = 0_u64;
        while from.elapsed() < RUN {
            for _ in 0..50 {
                n_decisions += 1;
                let mut left = offers[self.next_offer].amounts;
                self.next_offer = (self.next_offer + 1) % offers.len();
                if let Some(entry) = queue.take_first_fit(&mut left) {
                    queue.launch(entry.id).expect("it was taken");
                    queue.end(entry.job_type);
                }
                self.let_in(queue, arrival());
                if queue.len() > self.depth + KEPT {
                    self.cancel_oldest(queue);
                }
            }
        }
        // It never waits, so what it did not run for went to other processes.
        let seconds = cpu_time().zip(cpu_from).map_or_else(
            || from.elapsed().as_secs_f64(),
            |(cpu_to, cpu_from)| (cpu_to - cpu_from) as f64 / 1e9,
        );
        n_decisions as f64 / seconds
    }

    fn let_in(&mut self, queue: &mut Queue, entry: Entry) {
        self.last_id += 1;
        let id = ExeId(self.last_id);
        queue.insert(Entry { id, ..entry }).expect("room");
        self.arrived.push_back(id);
    }

    /// Cancels the oldest arrival that was not taken.
    fn cancel_oldest(&mut self, queue: &mut Queue) {
        while let Some(id) = self.arrived.pop_front() {
            if queue.cancel(id).is_some() {
                return;
            }
        }
    }

    /// Brings the queue back to its depth.
    fn restore(&mut self, queue: &mut Queue, mut arrival: impl FnMut() -> Entry) {
        while queue.len() > self.depth {
            self.cancel_oldest(queue);
        }
        while queue.len() < self.depth {
            self.let_in(queue, arrival());
        }
    }
}
