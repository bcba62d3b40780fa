//! How the cost of a placement grows with nodes, job types and the depth of the queue: measured point by
//! point, and drawn.

use std::fmt::Write;

use serde_json::json;
use weighbridge::Score;

use crate::workload::Size;
use crate::{Setting, launch, nth, policy, seconds};

/// Executions that are placed for a point.
const PLACED: usize = 10_000;

/// Passes of a point; the median counts.
const ROUNDS: u64 = 3;

/// What is varied.
struct Axis {
    name: &'static str,
    /// Nodes, queued, types.
    points: &'static [(u32, u64, u32)],
    /// Which of the three.
    varied: fn(&(u32, u64, u32)) -> f64,
}

const AXES: [Axis; 3] = [
    Axis {
        name: "nodes (100,000 queued, 50 job types)",
        points: &[(500, 100_000, 50), (1_000, 100_000, 50), (3_000, 100_000, 50), (10_000, 100_000, 50)],
        varied: |(nodes, ..)| f64::from(*nodes),
    },
    Axis {
        name: "job types (100,000 queued, 3,000 nodes)",
        points: &[(3_000, 100_000, 10), (3_000, 100_000, 50), (3_000, 100_000, 200), (3_000, 100_000, 500)],
        varied: |(_, _, types)| f64::from(*types),
    },
    Axis {
        name: "queued (10,000 nodes, 200 job types)",
        points: &[(10_000, 10_000, 200), (10_000, 100_000, 200), (10_000, 1_000_000, 200)],
        #[expect(clippy::cast_precision_loss, reason = "small")]
        varied: |(_, queued, _)| *queued as f64,
    },
];

const SCORES: [(Score, &str, &str); 2] =
    [(Score::BestFit, "best fit", "#0072b2"), (Score::Scale, "Scale's score", "#d55e00")];

/// Nanoseconds for each of the first ten thousand executions, from scores that are not known.
fn ns_per_placed(score: Score, (nodes, queued, types): (u32, u64, u32)) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|seed| {
            let setting = Setting::new(nodes, queued, types, Size::Small, seed);
            let mut scheduler = setting.scheduler(policy(score));
            let mut picks = Vec::with_capacity(PLACED);
            let (taken, summary) = seconds(|| scheduler.pass(crate::NOW, PLACED, &mut picks));
            assert_eq!(summary.n_placed, PLACED, "everything has to be placeable");
            setting.check(score, &picks, 100);
            launch(&mut scheduler, &picks);
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let ns = taken * 1e9 / PLACED as f64;
            ns
        })
        .collect();
    times.sort_by(f64::total_cmp);
    nth(&times, 0.5)
}

const WIDTH: f64 = 900.0;
const PANEL: f64 = 220.0;
const LEFT: f64 = 80.0;
/// The axis of nanoseconds: powers of ten.
const LEAST: f64 = 100.0;
const MOST: f64 = 100_000.0;

fn x_of(value: f64, least: f64, most: f64) -> f64 {
    LEFT + (WIDTH - LEFT - 30.0) * (value.ln() - least.ln()) / (most.ln() - least.ln())
}

fn y_of(top: f64, ns: f64) -> f64 {
    let part = (ns.clamp(LEAST, MOST).ln() - LEAST.ln()) / (MOST.ln() - LEAST.ln());
    top + (PANEL - 60.0) * (1.0 - part)
}

/// Writes what can be written into text without failing.
macro_rules! add {
    ($svg:expr, $($arg:tt)*) => { let _ = writeln!($svg, $($arg)*); };
}

fn panel(svg: &mut String, top: f64, axis: &Axis, curves: &[Vec<(f64, f64)>]) {
    let (least, most) = (curves[0][0].0, curves[0][curves[0].len() - 1].0);
    add!(
        svg,
        r#"<text x="{LEFT}" y="{}" font-weight="bold">ns per placement by {}</text>"#,
        top - 8.0,
        axis.name
    );
    let mut ns = LEAST;
    while ns <= MOST {
        let y = y_of(top, ns);
        add!(svg, r##"<line x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}" stroke="#ddd"/>"##, WIDTH - 30.0);
        add!(svg, r#"<text x="{}" y="{:.1}" text-anchor="end">{ns}</text>"#, LEFT - 6.0, y + 4.0);
        ns *= 10.0;
    }
    for (value, _) in &curves[0] {
        let x = x_of(*value, least, most);
        add!(svg, r#"<text x="{x:.1}" y="{:.1}" text-anchor="middle">{value}</text>"#, top + PANEL - 42.0);
    }
    for (curve, (_, name, colour)) in curves.iter().zip(SCORES) {
        let points: Vec<String> = curve
            .iter()
            .map(|(value, ns)| format!("{:.1},{:.1}", x_of(*value, least, most), y_of(top, *ns)))
            .collect();
        add!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            points.join(" ")
        );
        for (value, ns) in curve {
            let (x, y) = (x_of(*value, least, most), y_of(top, *ns));
            add!(
                svg,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"><title>{name}: {ns:.0} ns</title></circle>"#
            );
        }
    }
}

/// Measures all points, prints each, and draws them.
pub(crate) fn measure(as_json: bool) -> String {
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{}" font-family="sans-serif" font-size="12">"#,
        40.0 + 3.0 * PANEL
    );
    add!(svg, r#"<rect width="100%" height="100%" fill="white"/>"#);
    for ((_, name, colour), x) in SCORES.iter().zip([LEFT, LEFT + 120.0]) {
        add!(svg, r#"<text x="{x}" y="16" fill="{colour}">{name}</text>"#);
    }
    for (axis, top) in AXES.iter().zip([48.0, 48.0 + PANEL, 48.0 + 2.0 * PANEL]) {
        let mut curves = Vec::new();
        for (score, name, _) in SCORES {
            let mut curve = Vec::new();
            for point in axis.points {
                let ns = ns_per_placed(score, *point);
                let (nodes, queued, types) = point;
                if as_json {
                    println!(
                        "{}",
                        json!({"key": "growth", "score": name, "nodes": nodes, "queued": queued, "types": types, "ns_per_placed": ns})
                    );
                } else {
                    println!("{name:14} {nodes:>6} nodes {queued:>8} queued {types:>4} types {ns:>10.0} ns");
                }
                curve.push(((axis.varied)(point), ns));
            }
            curves.push(curve);
        }
        panel(&mut svg, top, axis, &curves);
    }
    svg.push_str("</svg>\n");
    svg
}
