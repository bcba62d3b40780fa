//! The queue itself, measured.

use weighbridge::{Amounts, Entry, ExeId, JobTypeId, Queue};

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;

use super::Arguments;
use super::figures::{Figures, Report, Timer, now};
use super::workload::{Source, Workload, idle_node};

/// Picks of one idle node.
const FILL_MAX: usize = 64;

/// Different requests among those that come while measuring.
const N_SHAPES: usize = 20_000;

/// One in this many types is paused.
const PAUSED_ONE_IN: u32 = 10;

/// The queue as it is filled at the start.
pub(crate) fn filled(arguments: &Arguments, source: &mut Source) -> Queue {
    let mut queue = Queue::default();
    for _ in 0..arguments.queued {
        let entry = source.entry(&mut queue);
        queue.insert(entry).expect("room");
    }
    queue
}

pub(crate) fn offers(source: &mut Source, queue: &Queue) -> Vec<Amounts> {
    (0..4_096).map(|_| source.offer(queue)).collect()
}

/// A queued execution, drawn at random; ids are sparse, so several draws may be needed.
fn any_id(source: &mut Source, queue: &Queue, ids: &[u64]) -> ExeId {
    loop {
        let id = ExeId(ids[usize::try_from(source.random().below(ids.len() as u64)).expect("a place")]);
        if queue.get(id).is_some() {
            return id;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares and means")]
pub(crate) fn measure(arguments: &Arguments) -> Report {
    let mut source = Source::new(arguments.workload, arguments.n_types);
    let mut queue = filled(arguments, &mut source);
    if arguments.workload != Workload::Cross {
        for kind in (1..=u32::try_from(source.n_kinds()).expect("few")).step_by(PAUSED_ONE_IN as usize) {
            queue.set_paused(JobTypeId(kind), true);
        }
    }
    let offers = offers(&mut source, &queue);
    let shapes: Vec<Entry> = (0..N_SHAPES).map(|_| source.entry(&mut queue)).collect();
    let everything = Amounts::unlimited();
    let timer = Timer::new();
    let mut ids: Vec<u64> = queue.iter(&[]).map(|entry| entry.id.0).collect();
    let [mut decide, mut none, mut take, mut enqueue, mut cancel, mut fill] =
        [(); 6].map(|()| Figures::default());
    let (mut n_heads, mut answers) = (0_u64, 0_u64);
    for round in 0..arguments.decisions {
        if round % 1_000 == 500 && arguments.workload != Workload::Cross {
            let kind = JobTypeId(2 + u32::try_from(round / 1_000).expect("few") % 7);
            queue.set_paused(kind, (round / 1_000) % 2 == 0);
        }
        let free = &offers[round % offers.len()];
        let mut taken = Figures::default();
        let answer = timer.time(&mut taken, || queue.first_fit(free));
        answers = answers.rotate_left(5) ^ answer.map_or(0, |id| id.0);
        match answer {
            None => none.append(taken),
            Some(id) => {
                decide.append(taken);
                n_heads += u64::from(queue.first_fit(&everything) == Some(id));
                timer.time(&mut take, || queue.pick(id));
                let entry = queue.launch(id).expect("picked");
                queue.end(entry.job_type);
                renew(&mut source, &shapes, &mut queue, (&timer, &mut enqueue), &mut ids);
            }
        }
        let id = any_id(&mut source, &queue, &ids);
        timer.time(&mut cancel, || queue.cancel(id));
        renew(&mut source, &shapes, &mut queue, (&timer, &mut enqueue), &mut ids);
        if round % 8 == 7 && arguments.workload != Workload::Cross {
            let idle = idle_node(&queue);
            let mut picks: Vec<Entry> = Vec::with_capacity(FILL_MAX);
            timer.time_each(&mut fill, || fill_node(&mut queue, idle, &mut picks));
            for pick in picks {
                queue.launch(pick.id);
                queue.end(pick.job_type);
                renew(&mut source, &shapes, &mut queue, (&timer, &mut Figures::default()), &mut ids);
            }
        }
    }
    let batch_mean_ns = batch_mean(&mut queue, &offers);
    let (index, all) = queue.bytes();
    let n_lanes = queue.n_lanes();
    let with_producer_ratio = with_producer(&mut source, &mut queue, &offers);
    queue_is_sound(&queue, arguments.queued);
    let n_decided = (decide.len() + none.len()) as f64;
    Report {
        queued: queue.len(),
        workload: arguments.workload.name(),
        n_lanes,
        head_share: n_heads as f64 / n_decided,
        none_share: none.len() as f64 / n_decided,
        decide,
        decide_none: none,
        take,
        enqueue,
        cancel,
        fill,
        batch_mean_ns,
        with_producer_ratio,
        index_bytes_per_entry: index as f64 / queue.len() as f64,
        bytes_per_entry: all as f64 / queue.len() as f64,
        answers,
        peers: serde_json::Value::Null,
    }
}

fn renew(
    source: &mut Source,
    shapes: &[Entry],
    queue: &mut Queue,
    (timer, enqueue): (&Timer, &mut Figures),
    ids: &mut [u64],
) {
    let entry = source.renewed(shapes);
    timer.time(enqueue, || queue.insert(entry)).expect("room");
    let place = usize::try_from(source.random().below(ids.len() as u64)).expect("a place");
    ids[place] = entry.id.0;
}

fn fill_node(queue: &mut Queue, free: Amounts, picks: &mut Vec<Entry>) -> usize {
    let mut left = free;
    while picks.len() < FILL_MAX {
        let Some(entry) = queue.first_fit(&left).and_then(|id| queue.pick(id)) else { break };
        left = left.minus(&entry.asks).expect("it fits");
        picks.push(entry);
    }
    picks.len()
}

/// Mean of a decision over batches of a thousand offers: the median batch of a hundred.
#[expect(clippy::cast_precision_loss, reason = "a mean")]
fn batch_mean(queue: &mut Queue, offers: &[Amounts]) -> f64 {
    let mut batches: Vec<f64> = (0..101)
        .map(|batch| {
            let from = now();
            for n in 0..1_000 {
                std::hint::black_box(queue.first_fit(&offers[(batch * 1_000 + n) % offers.len()]));
            }
            from.elapsed().as_nanos() as f64 / 1_000.0
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}

/// How long each of the two runs of `with_producer` takes, and how often they alternate.
const PRODUCER_RUN: Duration = Duration::from_millis(300);
const PRODUCER_ROUNDS: usize = 5;

/// Decisions per second with a producer at full speed on another core, against the decider alone.
/// Alone it makes what takes the place of what it took; else the producer does, over a ring, and
/// the decider applies one arrival per decision.
#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn with_producer(source: &mut Source, queue: &mut Queue, offers: &[Amounts]) -> f64 {
    let shapes: Vec<Entry> = (0..100_000).map(|_| source.entry(queue)).collect();
    let first = shapes.last().expect("some").id.0 + 1;
    let mut next = first;
    let mut ratios: Vec<f64> = (0..PRODUCER_ROUNDS)
        .map(|_| {
            let alone = decide_for(queue, offers, || {
                next += 1;
                Some(Entry { id: ExeId(next), ..shapes[usize::try_from(next).expect("fits") % shapes.len()] })
            });
            let ring = ArrayQueue::new(1 << 12);
            let is_over = AtomicBool::new(false);
            let start = next;
            let with = std::thread::scope(|scope| {
                let producer = scope.spawn(|| {
                    let mut next = start;
                    while !is_over.load(Ordering::Relaxed) {
                        next += 1;
                        let shape = shapes[usize::try_from(next).expect("fits") % shapes.len()];
                        let mut entry = Entry { id: ExeId(next), ..shape };
                        while let Err(back) = ring.push(entry) {
                            if is_over.load(Ordering::Relaxed) {
                                break;
                            }
                            std::hint::spin_loop();
                            entry = back;
                        }
                    }
                    next
                });
                let n = decide_for(queue, offers, || ring.pop());
                is_over.store(true, Ordering::Relaxed);
                next = producer.join().expect("the producer ends");
                n
            });
            with as f64 / alone as f64
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Decides, takes and renews for a while; returns how many decisions that were.
fn decide_for(queue: &mut Queue, offers: &[Amounts], mut arrival: impl FnMut() -> Option<Entry>) -> u64 {
    let depth = queue.len();
    let from = now();
    let mut n_decisions = 0_u64;
    while from.elapsed() < PRODUCER_RUN {
        for free in
            offers.iter().cycle().skip(usize::try_from(n_decisions).expect("fits") % offers.len()).take(100)
        {
            n_decisions += 1;
            if let Some(entry) = queue.first_fit(free).and_then(|id| queue.pick(id)) {
                queue.launch(entry.id);
                queue.end(entry.job_type);
            }
            if queue.len() < depth
                && let Some(entry) = arrival()
            {
                queue.insert(entry).expect("room");
            }
        }
    }
    while queue.len() < depth {
        if let Some(entry) = arrival() {
            queue.insert(entry).expect("room");
        }
    }
    n_decisions
}

/// The run must leave what it found: as many entries, and for small ones every invariant.
fn queue_is_sound(queue: &Queue, queued: usize) {
    assert_eq!(queue.len(), queued, "the run lost or doubled entries");
    if queued <= 20_000 {
        queue.check_invariants();
    }
}
