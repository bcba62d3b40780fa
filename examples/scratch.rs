//! scratch
#[path = "decide/workload.rs"]
mod workload;
use std::time::Instant;
use weighbridge::*;
use workload::{Source, Workload};

#[inline(never)]
fn measured_decide(queue: &mut Queue, offers: &[Amounts]) -> u64 {
    let mut sum = 0;
    for free in offers {
        sum += queue.first_fit(free).map_or(0, |id| id.0);
    }
    sum
}
#[inline(never)]
fn measured_take(queue: &mut Queue, free: &mut Amounts) -> Option<Entry> {
    queue.take_first_fit(free)
}
#[inline(never)]
fn measured_insert(queue: &mut Queue, entry: Entry) {
    queue.insert(entry).unwrap();
}
#[inline(never)]
fn measured_cancel(queue: &mut Queue, id: ExeId) {
    queue.cancel(id).unwrap();
}
#[inline(never)]
fn measured_launch(queue: &mut Queue, id: ExeId) {
    queue.launch(id).unwrap();
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n: usize = args[1].parse().unwrap();
    let w = Workload::named(&args[2]).unwrap();
    let what = args[3].as_str();
    let rounds: usize = args[4].parse().unwrap();
    let lanes: usize = args.get(5).map_or(100, |x| x.parse().unwrap());
    let mut source = Source::new(w, lanes);
    let mut queue = Queue::default();
    let mut ids = Vec::new();
    for _ in 0..n {
        let e = source.entry(&mut queue);
        ids.push(e.id);
        queue.insert(e).unwrap();
    }
    for kind in (1..=u32::try_from(source.n_kinds()).unwrap()).step_by(10) {
        if w != Workload::Cross {
            queue.set_paused(JobTypeId(kind), true);
        }
    }
    let offers: Vec<Amounts> = (0..4096).map(|_| source.offer(&queue)).collect();
    let shapes: Vec<Entry> = (0..20000).map(|_| source.entry(&mut queue)).collect();
    // settle: steady state
    let mut times: Vec<(&str, Vec<u64>)> = vec![
        ("decide", vec![]),
        ("take", vec![]),
        ("insert", vec![]),
        ("cancel", vec![]),
        ("launch", vec![]),
        ("none", vec![]),
    ];
    let over = {
        let mut v: Vec<u64> = (0..1001)
            .map(|_| {
                let t = Instant::now();
                t.elapsed().as_nanos() as u64
            })
            .collect();
        v.sort();
        v[500]
    };
    let mut random = workload::Random::new(5);
    for r in 0..rounds {
        let mut free = offers[r % offers.len()];
        let over2 = over;
        macro_rules! rec {
            ($k:expr, $t:expr) => {{
                let e = $t.elapsed().as_nanos() as u64;
                times[$k].1.push(e.saturating_sub(over2));
            }};
        }
        #[cfg(any())]
        let mut rec = |k: usize, t: Instant| {
            let e = t.elapsed().as_nanos() as u64;
            times[k].1.push(e.saturating_sub(over));
        };
        if what == "decide" {
            let t = Instant::now();
            let one = measured_decide(&mut queue, &offers[r % offers.len()..][..1]);
            let e = t.elapsed().as_nanos() as u64;
            times[if one == 0 { 5 } else { 0 }].1.push(e.saturating_sub(over));
        }
        let t = Instant::now();
        let got = measured_take(&mut queue, &mut free);
        if got.is_some() {
            rec!(1, t);
        }
        if let Some(e) = got {
            let t = Instant::now();
            measured_launch(&mut queue, e.id);
            rec!(4, t);
            queue.end(e.job_type);
            let e = source.renewed(&shapes);
            ids.push(e.id);
            let t = Instant::now();
            measured_insert(&mut queue, e);
            rec!(2, t);
        }
        loop {
            let at = random.below(ids.len() as u64) as usize;
            let id = ids.swap_remove(at);
            if what == "cancel" {
                // may be gone
                if queue.get(id).is_none() {
                    continue;
                }
            } else if queue.get(id).is_none() {
                continue;
            }
            let t = Instant::now();
            measured_cancel(&mut queue, id);
            rec!(3, t);
            break;
        }
        let e = source.renewed(&shapes);
        ids.push(e.id);
        let t = Instant::now();
        measured_insert(&mut queue, e);
        rec!(2, t);
    }
    for (name, v) in &mut times {
        v.sort();
        if v.is_empty() {
            continue;
        }
        println!(
            "{name:<8} n {} mean {} p50 {} p99 {} p99.9 {}",
            v.len(),
            v.iter().sum::<u64>() / v.len() as u64,
            v[v.len() / 2],
            v[v.len() * 99 / 100],
            v[v.len() * 999 / 1000]
        );
    }
    let mut means: Vec<u64> = (0..101)
        .map(|_| {
            let t = Instant::now();
            std::hint::black_box(measured_decide(&mut queue, &offers[..1000]));
            t.elapsed().as_nanos() as u64 / 1000
        })
        .collect();
    means.sort();
    let mut takes = 0;
    let t = Instant::now();
    let mut got = Vec::new();
    for r in 0..1000 {
        let mut f = offers[r];
        if let Some(e) = queue.take_first_fit(&mut f) {
            got.push(e.id);
            takes += 1;
        }
    }
    let tk = t.elapsed().as_nanos() as u64 / 1000;
    let mut fills = Vec::new();
    for _ in 0..200 {
        let mut free = workload::idle_node(&queue);
        let t = Instant::now();
        let mut k = 0;
        let mut g = vec![];
        while k < 64 {
            let Some(e) = queue.take_first_fit(&mut free) else { break };
            g.push(e.id);
            k += 1;
        }
        if k > 0 {
            fills.push(t.elapsed().as_nanos() as u64 / k);
        }
        for id in g {
            queue.put_back(id);
        }
    }
    fills.sort();
    println!(
        "batch decide {} ns; take batch {} ns ({takes}); fill {} ns; bytes {:?} lanes {}",
        means[50],
        tk,
        fills.get(fills.len() / 2).unwrap_or(&0),
        (queue.bytes().0 as f64 / queue.len() as f64, queue.bytes().1 as f64 / queue.len() as f64),
        queue.n_lanes()
    );
}
