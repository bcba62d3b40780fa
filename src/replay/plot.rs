//! A report as a picture: what was used of each resource and how many executions were queued, over time. SVG,
//! written by hand: nothing is fetched, and any browser shows it.

use std::fmt::Write;

use super::report::Report;

/// Of the whole, in pixels.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 600.0;

/// Of what is drawn in a panel.
const LEFT: f64 = 76.0;
const RIGHT: f64 = 936.0;
const PANEL_HEIGHT: f64 = 200.0;
const PANEL_TOPS: [f64; 2] = [84.0, 344.0];

/// Most steps of an axis.
const STEPS_X: f64 = 10.0;
const STEPS_Y: f64 = 5.0;

/// Of lines, in the order of the resources; then of the queue. Told apart by all who see colours differently.
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#666666"];
const QUEUE_COLOUR: &str = "#333333";

/// Units of the time axis, and how many seconds each is; the first of which the span has two.
const UNITS: [(&str, f64); 4] = [("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0), ("seconds", 1.0)];

/// A line of a panel: means over pieces of time.
struct Curve<'c> {
    name: String,
    colour: &'static str,
    means: &'c [f64],
}

/// One picture with its axes.
struct Panel<'c> {
    top: f64,
    /// What stands along the axis, with its unit.
    label: &'static str,
    /// What a mean is multiplied by for the axis.
    scale: f64,
    /// Where the axis ends, if nothing is above that.
    most: Option<f64>,
    curves: Vec<Curve<'c>>,
}

/// The axis of time.
struct Times {
    unit: &'static str,
    unit_s: f64,
    span_s: f64,
    piece_s: f64,
}

impl Times {
    fn of(report: &Report) -> Self {
        let span_s = report.span_s.max(f64::MIN_POSITIVE);
        let has_two = |(_, unit_s): &&(&str, f64)| span_s >= 2.0 * unit_s;
        let (unit, unit_s) = UNITS.iter().find(has_two).copied().unwrap_or(UNITS[UNITS.len() - 1]);
        Self { unit, unit_s, span_s, piece_s: report.series.piece_s }
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (seconds / self.span_s).min(1.0)
    }
}

/// The smallest of 1, 2 and 5 times a power of ten with which `most` is no more than so many steps.
fn step(most: f64, n_steps: f64) -> f64 {
    let least = most.max(f64::MIN_POSITIVE) / n_steps;
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|n| n * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// Multiples of `step` from 0 to `most`.
fn ticks(step: f64, most: f64) -> impl Iterator<Item = f64> {
    (0..).map(move |n| f64::from(n) * step).take_while(move |tick| *tick <= most * (1.0 + 1e-9))
}

/// A number of an axis, without more decimal places than its step has.
fn number(tick: f64, step: f64) -> String {
    let places = if step >= 1.0 { 0.0 } else { (-step.log10()).ceil() };
    let places = (0_u8..6).find(|n| f64::from(*n) >= places).unwrap_or(6);
    format!("{tick:.*}", usize::from(places))
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
        out
    })
}

/// The picture.
pub(crate) fn plot(report: &Report) -> String {
    let times = Times::of(report);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    let (name, about) = (escaped(&report.trace.name), escaped(&about(report)));
    let _ = writeln!(out, "<title>{name}</title>");
    let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{name}</text>");
    let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"44\" fill=\"#444444\">{about}</text>");
    for panel in panels(report) {
        draw(&mut out, &panel, &times);
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} since the first arrival</text>",
        f64::midpoint(LEFT, RIGHT),
        HEIGHT - 14.0,
        times.unit
    );
    out.push_str("</svg>\n");
    out
}

fn about(report: &Report) -> String {
    let n_nodes = report.cluster.n_nodes;
    let nodes = if n_nodes == 1 { "node" } else { "nodes" };
    let of = format!("{} executions on {n_nodes} {nodes} ({})", report.n_executions, report.cluster.total);
    let wait = report.told.wait_s;
    wait.map_or(of.clone(), |wait| {
        format!("{of}; waits in s: p50 {}, p95 {}, max {}", wait.p50, wait.p95, wait.max)
    })
}

fn panels(report: &Report) -> [Panel<'_>; 2] {
    let used = report.series.utilisation.iter().zip(COLOURS.iter().cycle());
    let used = used.map(|((name, means), colour)| {
        let mean = report.utilisation.get(name).copied().unwrap_or_default();
        Curve { name: format!("{name} (mean {:.1} %)", 100.0 * mean), colour, means }
    });
    let name = format!("queued (mean {:.1}, most {})", report.queued_mean, report.series.queued_max);
    let queued = Curve { name, colour: QUEUE_COLOUR, means: &report.series.queued };
    let [top, below] = PANEL_TOPS;
    [
        Panel {
            top,
            label: "used (% of all nodes)",
            scale: 100.0,
            most: Some(100.0),
            curves: used.collect(),
        },
        Panel { top: below, label: "queued (executions)", scale: 1.0, most: None, curves: vec![queued] },
    ]
}

fn draw(out: &mut String, panel: &Panel<'_>, times: &Times) {
    let all = panel.curves.iter().flat_map(|curve| curve.means);
    let highest = all.fold(0.0, |most: f64, mean| most.max(mean * panel.scale));
    let highest = if highest > 0.0 { highest } else { panel.most.unwrap_or(1.0) };
    let step = step(highest, STEPS_Y);
    let most = (highest / step - 1e-9).ceil() * step;
    let most = panel.most.map_or(most, |limit| most.min(limit));
    let bottom = panel.top + PANEL_HEIGHT;
    let y = |level: f64| bottom - PANEL_HEIGHT * level / most;
    for tick in ticks(step, most) {
        let (at, text) = (y(tick), number(tick, step));
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#dddddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            LEFT - 8.0,
            at + 4.0
        );
    }
    draw_times(out, bottom, times);
    let middle = panel.top + PANEL_HEIGHT / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"20\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 20 {middle:.1})\">{}</text>",
        panel.label
    );
    for (place, curve) in panel.curves.iter().enumerate() {
        draw_key(out, panel.top - 10.0, place, curve);
        let path = path(curve.means, times, |mean| y(mean * panel.scale));
        let _ = writeln!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\" stroke-linejoin=\"round\"/>",
            curve.colour
        );
    }
    let _ = writeln!(
        out,
        "<path d=\"M{LEFT} {:.1}V{bottom:.1}H{RIGHT}\" fill=\"none\" stroke=\"#000000\"/>",
        panel.top
    );
}

/// Ticks of the axis of time.
fn draw_times(out: &mut String, bottom: f64, times: &Times) {
    let span = times.span_s / times.unit_s;
    let step = step(span, STEPS_X);
    for tick in ticks(step, span) {
        let (x, text) = (times.x(tick * times.unit_s), number(tick, step));
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} {bottom:.1}v5\" stroke=\"#000000\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            bottom + 18.0
        );
    }
}

/// What a line is of, above its panel.
fn draw_key(out: &mut String, y: f64, place: usize, curve: &Curve<'_>) {
    let place = u16::try_from(place).unwrap_or(u16::MAX);
    let x = LEFT + 200.0 * f64::from(place);
    let _ = writeln!(
        out,
        "<path d=\"M{x:.1} {:.1}h20\" stroke=\"{}\" stroke-width=\"3\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
        y - 4.0,
        curve.colour,
        x + 26.0,
        escaped(&curve.name)
    );
}

/// A line with a step for each piece.
fn path(means: &[f64], times: &Times, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut until = 0.0;
    for mean in means {
        let (from, at) = (times.x(until), y(*mean));
        until += times.piece_s;
        let lead = if path.is_empty() { format!("M{from:.1} {at:.1}") } else { format!("V{at:.1}") };
        let _ = write!(path, "{lead}H{:.1}", times.x(until));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_steps() {
        let check = |most, n_steps, expected: f64| {
            let found = step(most, n_steps);
            assert!((found - expected).abs() < 1e-9 * expected, "{most}: {found}");
        };
        check(100.0, 5.0, 20.0);
        check(101.0, 5.0, 50.0);
        check(5.0, 5.0, 1.0);
        check(0.07, 5.0, 0.02);
        check(339.8, 10.0, 50.0);
        let texts = |step: f64, most| ticks(step, most).map(|tick| number(tick, step)).collect::<Vec<_>>();
        assert_eq!(texts(0.1, 0.3), ["0.0", "0.1", "0.2", "0.3"]);
        assert_eq!(texts(20.0, 50.0), ["0", "20", "40"]);
        assert_eq!(texts(0.02, 0.05), ["0.00", "0.02", "0.04"]);
    }

    #[test]
    fn a_line_has_a_step_for_each_piece_and_ends_with_the_span() {
        let times = Times { unit: "seconds", unit_s: 1.0, span_s: 25.0, piece_s: 10.0 };
        let drawn = path(&[0.0, 1.0, 0.5], &times, |mean| 100.0 - 100.0 * mean);
        assert_eq!(drawn, "M76.0 100.0H420.0V0.0H764.0V50.0H936.0");
    }

    #[test]
    fn texts_of_a_trace_are_no_marks_of_the_picture() {
        assert_eq!(escaped("a<b>&c\u{1b}"), "a&lt;b&gt;&amp;c\u{fffd}");
    }
}
