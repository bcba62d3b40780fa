//! Decisions per second with a producer at full speed on another core, against the decider alone.
//!
//! The producer pushes entries into a bounded ring, and the decider applies one arrival for each
//! execution it took. Alone the decider makes as many of them itself.

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

/// Arrivals that stay, where nothing is ever taken.
const KEPT: usize = 1_000;

/// The middle of several ratios. Where `nothing_fits`, arrivals take the places of earlier ones.
pub(crate) fn ratio(source: &mut Source, queue: &mut Queue, offers: &[Free], nothing_fits: bool) -> f64 {
    let shapes: Vec<Entry> = (0..N_SHAPES).map(|_| source.newcomer().entry(queue)).collect();
    let mut made = shapes.last().expect("some").id.0;
    let arrival = |made: &mut u64| {
        *made += 1;
        Entry { id: ExeId(*made), ..shapes[usize::try_from(*made).expect("fits") % N_SHAPES] }
    };
    let mut decider = Decider { depth: queue.len(), nothing_fits, arrived: VecDeque::new(), next_offer: 0 };
    let ratios = (0..ROUNDS).map(|_| {
        let alone = decider.run(queue, offers, || Some(arrival(&mut made)));
        let ring = ArrayQueue::new(RING_LEN);
        let is_over = AtomicBool::new(false);
        let first = made;
        let with = std::thread::scope(|scope| {
            let producer = scope.spawn(|| {
                let mut made = first;
                while !is_over.load(Ordering::Relaxed) {
                    let mut entry = arrival(&mut made);
                    while let Err(back) = ring.push(entry) {
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        std::hint::spin_loop();
                        entry = back;
                    }
                }
                made
            });
            let with = decider.run(queue, offers, || ring.pop());
            is_over.store(true, Ordering::Relaxed);
            made = producer.join().expect("the producer ends");
            with
        });
        with / alone
    });
    median(ratios.collect())
}

/// Nanoseconds that this thread ran for, where the system tells.
fn cpu_time() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

struct Decider {
    depth: usize,
    nothing_fits: bool,
    /// What arrived, the oldest first, where nothing is ever taken.
    arrived: VecDeque<ExeId>,
    next_offer: usize,
}

impl Decider {
    /// Decides, takes and renews for a while; returns decisions per second of this thread.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    fn run(&mut self, queue: &mut Queue, offers: &[Free], mut arrival: impl FnMut() -> Option<Entry>) -> f64 {
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
                if (self.nothing_fits || queue.len() < self.depth)
                    && let Some(entry) = arrival()
                {
                    queue.insert(entry).expect("room");
                    self.make_room(queue, entry.id);
                }
            }
        }
        // It never waits, so what it did not run for went to other processes.
        let seconds = cpu_time().zip(cpu_from).map_or_else(
            || from.elapsed().as_secs_f64(),
            |(cpu_to, cpu_from)| (cpu_to - cpu_from) as f64 / 1e9,
        );
        let rate = n_decisions as f64 / seconds;
        for id in self.arrived.drain(..) {
            queue.cancel(id).expect("nothing was taken");
        }
        while queue.len() < self.depth {
            if let Some(entry) = arrival() {
                queue.insert(entry).expect("room");
            }
        }
        rate
    }

    /// Lets the one go that came long before this one, where none is taken.
    fn make_room(&mut self, queue: &mut Queue, came: ExeId) {
        if self.nothing_fits {
            self.arrived.push_back(came);
        }
        if self.arrived.len() > KEPT
            && let Some(id) = self.arrived.pop_front()
        {
            queue.cancel(id).expect("nothing was taken");
        }
    }
}
