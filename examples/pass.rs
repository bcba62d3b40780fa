//! Measures passes over many nodes, beside plain loops that have to give the same.
//!
//! `cargo run --release --example pass -- --json`

#[path = "pass/growth.rs"]
mod growth;
#[path = "pass/model.rs"]
mod model;
#[path = "pass/workload.rs"]
mod workload;

use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Value, json};
use weighbridge::{PassPick, Policy, Reserving, Scheduler, SchedulingNode, Score, Timestamp};

use workload::{Draw, Four, Node, Size, Waiting};

/// The one of the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
Measures passes over many nodes.

  pass [--nodes N] [--queued Q] [--types T] [--only KEY]... [--json]
  pass --growth FILE [--json]

  --nodes N    nodes, instead of what a key says
  --queued Q   executions that wait
  --types T    job types
  --only KEY   measures this key; may be repeated
  --growth FILE  measures how a placement's cost grows with nodes, types and depth, and draws it (SVG)
  --json       an object on one line for each key instead of a table

  decisions_per_s            500 queued, 1000 nodes, 20 types, Scale's score, no score known
  decisions_per_s_warm       the same, scores known from the pass before, a tenth of the nodes changed
  ns_per_placed_best_fit     10^6 queued, 10^4 nodes, 200 types, everything placed
  ns_per_placed_scale_score  the same with Scale's score
  blocked_head_ms            behind 10^6 more that fit nowhere, of 200 shapes: a pass that places 1000
  unchanged_us               a pass after one that left 10^6 waiting, nothing changed
  offer_us                   one node's offer arrives, 10^6 queued: one pick

Nodes are of five classes, with random parts free. A decision is an execution for which nodes were
looked for. First of all a pass of each score over 300 nodes and 5000 executions has to equal plain
loops; and the first 1000 placements of each key do too.
Exit code: 0, also where a goal is missed; 1 when a result is wrong; 2 for a wrong call.
";

/// Key, unit, must, proud, whether less is better.
const GOALS: [(&str, &str, f64, f64, bool); 7] = [
    ("decisions_per_s", "decisions/s", 500_000.0, 2_000_000.0, false),
    ("decisions_per_s_warm", "decisions/s", 1_000_000.0, 5_000_000.0, false),
    ("ns_per_placed_best_fit", "ns", 2_000.0, 700.0, true),
    ("ns_per_placed_scale_score", "ns", 20_000.0, 3_000.0, true),
    ("blocked_head_ms", "ms", 5.0, 1.0, true),
    ("unchanged_us", "us", 100.0, 10.0, true),
    ("offer_us", "us", 2.0, 1.0, true),
];

/// Executions that a pass places where a million are to be placed: they are launched before the next.
const PASS: usize = 10_000;

/// Passes of one key are at one instant.
const NOW: Timestamp = Timestamp(0);

#[derive(Default)]
struct Arguments {
    nodes: Option<u32>,
    queued: Option<u64>,
    types: Option<u32>,
    only: Vec<String>,
    growth: Option<std::path::PathBuf>,
    as_json: bool,
}

/// A figure, and what it was made of.
struct Figure {
    value: f64,
    raw: Value,
}

fn seconds<R>(run: impl FnOnce() -> R) -> (f64, R) {
    let begin = now();
    let result = run();
    (begin.elapsed().as_secs_f64(), result)
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn now() -> Instant {
    Instant::now()
}

fn nth(sorted: &[f64], part: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list"
    )]
    let at = ((sorted.len() as f64 * part) as usize).min(sorted.len() - 1);
    sorted[at]
}

/// Everything of one workload.
struct Setting {
    nodes: Vec<Node>,
    types: Vec<Four>,
    waiting: Vec<Waiting>,
    draw: Draw,
}

impl Setting {
    fn new(n_nodes: u32, n_queued: u64, n_types: u32, size: Size, seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let nodes = (1..=n_nodes).map(|id| Node::drawn(id, &mut draw)).collect();
        let types = workload::types(n_types, size, &mut draw);
        let waiting = workload::waiting(n_queued, 1, &types, &mut draw);
        Self { nodes, types, waiting, draw }
    }

    fn scheduler(&self, policy: Policy) -> Scheduler {
        workload::scheduler(policy, &self.nodes, &self.types, &self.waiting)
    }

    /// Panics where the beginning of a pass is not what plain loops give.
    fn check(&self, score: Score, picks: &[PassPick], most: usize) -> u64 {
        let expected = model::pass(score, &self.nodes, &self.types, &self.waiting, most);
        let found = model::placed(&picks[..picks.len().min(most)]);
        if let Some(at) = (0..expected.len().max(found.len())).find(|&at| expected.get(at) != found.get(at)) {
            panic!(
                "{score:?}: at {at} plain loops give {:?}, the pass {:?}",
                expected.get(at),
                found.get(at)
            );
        }
        model::hash(&found)
    }
}

fn policy(score: Score) -> Policy {
    Policy::default().with_score(score).with_reserving(Reserving::Never)
}

/// A whole pass of each score against plain loops.
fn check_whole() {
    let setting = Setting::new(300, 5_000, 20, Size::Whole, 7);
    for score in [Score::Scale, Score::BestFit, Score::Spread] {
        let mut picks = Vec::new();
        setting.scheduler(policy(score)).pass(NOW, usize::MAX, &mut picks);
        assert!(picks.len() > 1_000, "only {} were placed", picks.len());
        setting.check(score, &picks, usize::MAX);
    }
}

fn launch(scheduler: &mut Scheduler, picks: &[PassPick]) {
    for pick in picks {
        scheduler.queue_mut().launch(pick.entry.id);
    }
}

fn decisions_per_s(arguments: &Arguments) -> Figure {
    let (nodes, queued, types) =
        (arguments.nodes.unwrap_or(1_000), arguments.queued.unwrap_or(500), arguments.types.unwrap_or(20));
    let mut rates = Vec::new();
    let mut n_placed = 0;
    for seed in 0..60 {
        let setting = Setting::new(nodes, queued, types, Size::Whole, seed);
        let mut scheduler = setting.scheduler(policy(Score::Scale));
        let mut picks = Vec::with_capacity(1_000);
        let (taken, summary) = seconds(|| scheduler.pass(NOW, usize::MAX, &mut picks));
        if seed < 5 {
            setting.check(Score::Scale, &picks, 1_000);
        }
        n_placed += summary.n_placed;
        #[expect(clippy::cast_precision_loss, reason = "small")]
        rates.push(summary.n_tried as f64 / taken);
    }
    rates.sort_by(f64::total_cmp);
    Figure {
        value: nth(&rates, 0.5),
        raw: json!({"n": rates.len(), "p0": rates[0], "placed_of_60_passes": n_placed}),
    }
}

fn decisions_per_s_warm(arguments: &Arguments) -> Figure {
    let (nodes, queued, types) =
        (arguments.nodes.unwrap_or(1_000), arguments.queued.unwrap_or(500), arguments.types.unwrap_or(20));
    let mut setting = Setting::new(nodes, queued, types, Size::Whole, 3);
    let mut scheduler = setting.scheduler(policy(Score::Scale));
    let mut picks = Vec::with_capacity(1_000);
    scheduler.pass(NOW, usize::MAX, &mut picks);
    let (mut rates, mut first, mut n_placed) = (Vec::new(), queued + 1, 0);
    for _ in 0..200 {
        launch(&mut scheduler, &picks);
        picks.clear();
        for _ in 0..nodes / 10 {
            let id = u32::try_from(setting.draw.below(u64::from(nodes))).expect("small") + 1;
            let node = Node::drawn(id, &mut setting.draw);
            scheduler.set_node(node.state());
        }
        let more = workload::waiting(queued, first, &setting.types, &mut setting.draw);
        first += queued;
        workload::enqueue(&mut scheduler, &more);
        let (taken, summary) = seconds(|| scheduler.pass(NOW, usize::MAX, &mut picks));
        n_placed += summary.n_placed;
        #[expect(clippy::cast_precision_loss, reason = "small")]
        rates.push(summary.n_tried as f64 / taken);
    }
    rates.sort_by(f64::total_cmp);
    Figure {
        value: nth(&rates, 0.5),
        raw: json!({"n": rates.len(), "p0": rates[0], "placed_of_200_passes": n_placed}),
    }
}

fn large(arguments: &Arguments) -> Setting {
    let (nodes, queued, types) = (
        arguments.nodes.unwrap_or(10_000),
        arguments.queued.unwrap_or(1_000_000),
        arguments.types.unwrap_or(200),
    );
    Setting::new(nodes, queued, types, Size::Small, 11)
}

fn ns_per_placed(arguments: &Arguments, score: Score) -> Figure {
    let setting = large(arguments);
    let mut scheduler = setting.scheduler(policy(score));
    let (mut picks, mut taken, mut n_placed, mut hash) = (Vec::with_capacity(PASS), 0.0, 0, 0);
    loop {
        let (pass, summary) = seconds(|| scheduler.pass(NOW, PASS, &mut picks));
        taken += pass;
        if n_placed == 0 {
            hash = setting.check(score, &picks, 1_000);
        }
        n_placed += summary.n_placed;
        launch(&mut scheduler, &picks);
        picks.clear();
        if summary.n_placed < PASS {
            break;
        }
    }
    assert_eq!(n_placed, setting.waiting.len(), "everything has to be placeable");
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let value = taken * 1e9 / n_placed as f64;
    Figure {
        value,
        raw: json!({"placed": n_placed, "in_passes_of": PASS, "seconds": taken, "hash_of_1000": format!("{hash:016x}")}),
    }
}

fn blocked_head_ms(arguments: &Arguments) -> Figure {
    let mut setting = large(arguments);
    let (n, types) = (setting.waiting.len() as u64, u32::try_from(setting.types.len()).expect("small"));
    setting.waiting.extend(workload::unplaceable(n, n + 1, 200, types));
    let mut scheduler = setting.scheduler(policy(Score::BestFit));
    let mut picks = Vec::with_capacity(1_000);
    let (cold, summary) = seconds(|| scheduler.pass(NOW, 1_000, &mut picks));
    assert_eq!(summary.n_placed, 1_000, "a thousand");
    let hash = setting.check(Score::BestFit, &picks, 1_000);
    let mut times = Vec::new();
    for _ in 0..100 {
        launch(&mut scheduler, &picks);
        picks.clear();
        let (taken, summary) = seconds(|| scheduler.pass(NOW, 1_000, &mut picks));
        assert_eq!(summary.n_placed, 1_000, "a thousand");
        times.push(taken * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let raw = json!({"first_ms": cold * 1e3, "tried_first": summary.n_tried, "n": times.len(), "p100_ms": times[times.len() - 1],
        "hash_of_1000": format!("{hash:016x}")});
    Figure { value: nth(&times, 0.5), raw }
}

fn unchanged_us(arguments: &Arguments) -> Figure {
    let mut setting = large(arguments);
    // Three times what there is, and all of it at once.
    for waiting in &mut setting.waiting {
        for amount in &mut waiting.asks {
            *amount *= 40;
        }
    }
    for asks in &mut setting.types {
        for amount in asks {
            *amount *= 40;
        }
    }
    let mut scheduler = setting.scheduler(Policy::scale().with_score(Score::BestFit));
    let mut picks = Vec::new();
    let (first, _) = seconds(|| scheduler.pass(NOW, usize::MAX, &mut picks));
    launch(&mut scheduler, &picks);
    picks.clear();
    let summary = scheduler.pass(NOW, usize::MAX, &mut picks);
    assert!(summary.n_placed == 0 && !summary.reserved.is_empty(), "reservations");
    let n_waiting = scheduler.queue().len();
    let mut times = Vec::new();
    for _ in 0..1_000 {
        let (taken, again) = seconds(|| scheduler.pass(NOW, usize::MAX, &mut picks));
        assert!(again.n_placed == 0 && again.reserved == summary.reserved, "the same");
        times.push(taken * 1e6);
    }
    times.sort_by(f64::total_cmp);
    // What it costs to find that out anew after one node changed that does not matter.
    let mut touched = Vec::new();
    for _ in 0..200 {
        let mut node: SchedulingNode = setting.nodes[0].state();
        node.offered = workload::named([0; 4]);
        scheduler.set_node(node);
        let (taken, again) = seconds(|| scheduler.pass(NOW, usize::MAX, &mut picks));
        assert!(again.n_placed == 0 && !again.is_unchanged, "looked again");
        touched.push(taken * 1e6);
    }
    touched.sort_by(f64::total_cmp);
    let raw = json!({"first_pass_s": first, "waiting": n_waiting, "reserved": summary.reserved.len(),
        "p999_us": nth(&times, 0.999), "one_node_changed_us": nth(&touched, 0.5)});
    Figure { value: nth(&times, 0.5), raw }
}

fn offer_us(arguments: &Arguments) -> Figure {
    let setting = large(arguments);
    let mut scheduler = setting.scheduler(policy(Score::BestFit));
    let (mut times, mut draw) = (Vec::new(), setting.draw.clone());
    for _ in 0..100_000 {
        let at = usize::try_from(draw.below(setting.nodes.len() as u64)).expect("small");
        let state = setting.nodes[at].state();
        let mut picks = Vec::with_capacity(1);
        let (taken, ()) = seconds(|| scheduler.offer(&state, 1, &mut picks));
        assert_eq!(picks.len(), 1, "one pick");
        times.push(taken * 1e6);
        launch(&mut scheduler, &picks);
    }
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    times.sort_by(f64::total_cmp);
    Figure {
        value: mean,
        raw: json!({"n": times.len(), "p50": nth(&times, 0.5), "p999": nth(&times, 0.999)}),
    }
}

fn measure(key: &str, arguments: &Arguments) -> Figure {
    match key {
        "decisions_per_s" => decisions_per_s(arguments),
        "decisions_per_s_warm" => decisions_per_s_warm(arguments),
        "ns_per_placed_best_fit" => ns_per_placed(arguments, Score::BestFit),
        "ns_per_placed_scale_score" => ns_per_placed(arguments, Score::Scale),
        "blocked_head_ms" => blocked_head_ms(arguments),
        "unchanged_us" => unchanged_us(arguments),
        _ => offer_us(arguments),
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        let number = |text: String| text.parse::<u32>().map_err(|_| format!("{text} is no number"));
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--json" => arguments.as_json = true,
            "--growth" => arguments.growth = Some(value()?.into()),
            "--nodes" => arguments.nodes = Some(number(value()?)?.max(1)),
            "--queued" => arguments.queued = Some(u64::from(number(value()?)?.max(1))),
            "--types" => arguments.types = Some(number(value()?)?.max(1)),
            "--only" => {
                let key = value()?;
                if !GOALS.iter().any(|(known, ..)| *known == key) {
                    return Err(format!("there is no key {key}"));
                }
                arguments.only.push(key);
            }
            _ => return Err(format!("there is no option {word}")),
        }
    }
    Ok(Some(arguments))
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("pass: {why}; see --help");
            return ExitCode::from(2);
        }
    };
    check_whole();
    if let Some(path) = arguments.growth {
        let drawn = growth::measure(arguments.as_json);
        if let Err(why) = std::fs::write(&path, drawn) {
            eprintln!("pass: {}: {why}", path.display());
            return ExitCode::FAILURE;
        }
        return ExitCode::SUCCESS;
    }
    for (key, unit, must, proud, is_less) in GOALS {
        if !arguments.only.is_empty() && !arguments.only.iter().any(|only| only == key) {
            continue;
        }
        let Figure { value, raw } = measure(key, &arguments);
        let is_met = if is_less { value <= must } else { value >= must };
        if arguments.as_json {
            println!(
                "{}",
                json!({"key": key, "value": value, "unit": unit, "must": must, "proud": proud, "is_met": is_met, "raw": raw})
            );
        } else {
            let word = if is_met { "met" } else { "missed" };
            println!("{key:26} {value:>14.2} {unit:12} must {must}, proud {proud}: {word}; {raw}");
        }
    }
    ExitCode::SUCCESS
}
