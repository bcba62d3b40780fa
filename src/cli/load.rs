//! `weighbridge load`: pending, queued and running jobs over time, a line for each job type.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::Value;

use super::Context;
use super::answer::{job_type, list, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{Output, lines, print_json, table};

/// Heights of a bar.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Bars where the width of the terminal is not known, and the fewest and most there are.
const POINTS: usize = 60;
const POINTS_MIN: usize = 10;
const POINTS_MAX: usize = 500;

const AFTER_HELP: &str = "\
Examples:
  weighbridge load                               a week, a line for each job type
  weighbridge load --since 1d --job-type resize  a day of one type
  weighbridge load --since 90d --count total     pending, queued and running together
  weighbridge load --rows --since 1h             every row, as measured
  weighbridge load --since 1d --output json      for programs";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// How far back (90m, 1d, 4w)
    #[arg(long, value_name = "LENGTH", default_value = "7d", value_parser = super::duration::duration)]
    since: Duration,
    /// Of this job type alone: an id, NAME:VERSION, or a name that has one version; may be repeated
    #[arg(long, value_name = "TYPE")]
    job_type: Vec<String>,
    /// What the bars show
    #[arg(long, value_enum, default_value_t)]
    count: Count,
    /// Every row as it was measured, in place of bars
    #[arg(long)]
    rows: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// What is shown of a measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Count {
    Pending,
    #[default]
    Queued,
    Running,
    Total,
}

impl Count {
    /// Of each piece; none where nothing was measured.
    fn of(self, series: &Value) -> Vec<Option<u64>> {
        let column = |name: &str| list(series, name).iter().map(Value::as_u64).collect::<Vec<_>>();
        let all = [column("/pending"), column("/queued"), column("/running")];
        let [pending, queued, running] = all;
        match self {
            Self::Pending => pending,
            Self::Queued => queued,
            Self::Running => running,
            Self::Total => {
                let parts = pending.into_iter().zip(queued).zip(running);
                parts.map(|((pending, queued), running)| Some(pending? + queued? + running?)).collect()
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Total => "TOTAL",
        }
    }
}

fn path(args: &Args, call: &str, started: &str, more: &str) -> String {
    let mut path = format!("/api/v1/{call}?started={}{more}", escaped(started));
    for kind in &args.job_type {
        path += "&job_type=";
        path += &escaped(kind);
    }
    path
}

/// The beginning of what is asked for.
fn since(args: &Args) -> String {
    format!("PT{}S", args.since.as_secs())
}

/// A value of a query.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let each = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(each).collect()
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    if args.rows {
        let rows = rows(&client, args)?;
        match context.output {
            Output::Json => print_json(&serde_json::json!({ "rows": rows }))?,
            Output::Table => context.print(&rows, shown_rows)?,
        }
        return Ok(Exit::Done);
    }
    let n_points = points(terminal_width());
    let answer = client.get(&path(args, "load/series", &since(args), &format!("&points={n_points}")))?;
    context.print(&answer, |answer| shown(answer, args.count))?;
    Ok(Exit::Done)
}

/// All rows, however many answers they take.
fn rows(client: &Client, args: &Args) -> Result<Value, Failure> {
    let mut all = Vec::new();
    let mut answer = client.get(&path(args, "load", &since(args), "&limit=10000"))?;
    loop {
        all.extend_from_slice(list(&answer, "/rows"));
        let Some(next) = answer["next"].as_str() else { return Ok(Value::Array(all)) };
        answer = client.get(&path(args, "load", next, "&limit=10000"))?;
    }
}

fn terminal_width() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from)
}

/// How many bars fit beside names and numbers.
fn points(width: Option<usize>) -> usize {
    width.map_or(POINTS, |width| width.saturating_sub(50).clamp(POINTS_MIN, POINTS_MAX))
}

/// A bar for each piece: a blank where nothing was measured, the lowest for none.
fn bars(counts: &[Option<u64>], most: u64) -> String {
    let bar = |count: u64| {
        let place = (u128::from(count) * (BARS.len() as u128 - 1)).div_ceil(u128::from(most.max(1)));
        BARS[usize::try_from(place).unwrap_or(0).min(BARS.len() - 1)]
    };
    counts.iter().map(|count| count.map_or(' ', bar)).collect()
}

fn shown(answer: &Value, count: Count) -> String {
    let series = list(answer, "/series");
    if series.is_empty() {
        return "nothing was measured yet; `serve --load-period` says how often it is".to_owned();
    }
    let mut table = table(&["JOB TYPE", ">NOW", ">MOST", &format!("{} OVER TIME", count.name())]);
    // An idle system is only told of where there is nothing else.
    let is_told = |of: &&Value| series.len() == 1 || !of["job_type"].is_null();
    for of in series.iter().filter(is_told) {
        let counts = count.of(of);
        let kind = if of["job_type"].is_null() { "(idle)".to_owned() } else { job_type(of, "/job_type") };
        let now = counts.iter().rev().find_map(|count| *count).unwrap_or(0);
        let most = counts.iter().flatten().copied().max().unwrap_or(0);
        table.add_row([kind, now.to_string(), most.to_string(), bars(&counts, most)]);
    }
    let range = format!("{} to {}", text(answer, "/started"), text(answer, "/ended"));
    format!("{}\n{range}", lines(&table))
}

fn shown_rows(rows: &Value) -> String {
    let rows = list(rows, "");
    if rows.is_empty() {
        return "nothing was measured yet; `serve --load-period` says how often it is".to_owned();
    }
    let mut table = table(&["MEASURED", "JOB TYPE", ">PENDING", ">QUEUED", ">RUNNING"]);
    for row in rows {
        let kind = if row["job_type"].is_null() { "(idle)".to_owned() } else { job_type(row, "/job_type") };
        table.add_row([
            text(row, "/measured"),
            kind,
            text(row, "/pending"),
            text(row, "/queued"),
            text(row, "/running"),
        ]);
    }
    lines(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bars_reach_from_nothing_to_the_most() {
        assert_eq!(bars(&[Some(0), Some(1), None, Some(50), Some(100)], 100), "▁▂ ▅█");
        assert_eq!(bars(&[Some(0), Some(0)], 0), "▁▁");
        assert_eq!(bars(&[Some(u64::MAX)], u64::MAX), "█");
        assert_eq!((points(None), points(Some(0)), points(Some(120))), (60, 10, 70));
    }

    #[test]
    fn a_line_tells_the_last_count_and_the_most() {
        let series = json!({
            "job_type": { "id": 1, "name": "a", "version": "1" },
            "pending": [1, null, 0], "queued": [4, null, 2], "running": [0, null, 1],
        });
        let answer = json!({ "started": "S", "ended": "E", "series": [series] });
        let shown = shown(&answer, Count::Queued);
        let line = shown.lines().nth(1).expect("a line");
        assert!(line.contains('a') && line.contains('4') && line.ends_with("█ ▅"), "{line}");
        assert_eq!(Count::Total.of(&series), [Some(5), None, Some(3)]);
        assert!(shown.ends_with("S to E"));
    }
}
