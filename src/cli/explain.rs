//! `weighbridge explain`: why jobs wait.

use serde_json::{Value, json};

use super::Context;
use super::answer::{job_type, list, number, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs, segment};
use super::output::{lines, note, table};
use super::selectors::{self, Selected, Selector, UNFINISHED};

/// Jobs that are explained at once.
const SHOWN_MAX: usize = 10;

pub(super) const LONG: &str = "\
Says of jobs why they wait: the first thing in their way, such as a paused type, its limit, a resource that is \
short on every node and by how much, a node that is kept for another job, a job that has to complete first, or \
how many are ahead.

With --node it says of a node what may run there: the most important entry of each job type, and what keeps it \
from that node.";

const EXAMPLES: &str = "\
Examples:
  weighbridge explain 7
  weighbridge explain last
  weighbridge explain resize                  the first of the type that have not ended, up to 10
  weighbridge explain 7 --output json         with the shortages as numbers
  weighbridge explain --node worker-3         what may start there, and what keeps the rest";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Jobs: 7, 1-10, 1,4,7-9, `last`, or a job type for all of it that has not ended
    #[arg(required_unless_present = "node", value_name = "JOB", value_parser = selectors::selector)]
    jobs: Vec<Selector>,
    /// Of a node, by its name or id, in place of jobs
    #[arg(long, value_name = "NODE", conflicts_with = "jobs")]
    node: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    if let Some(node) = &args.node {
        let why = client.get(&format!("/api/v1/nodes/{}/explain", segment(node)))?;
        context.print(&why, of_node)?;
        return Ok(Exit::Done);
    }
    let selected = Selected::of(&client, &args.jobs, &UNFINISHED)?;
    let shown = selected.jobs.iter().take(SHOWN_MAX);
    let why: Vec<Value> =
        shown.map(|job| client.get(&format!("/api/v1/jobs/{job}/explain"))).collect::<Result<_, _>>()?;
    match why.as_slice() {
        [one] if selected.jobs.len() == 1 => context.print(one, |one| text(one, "/text"))?,
        all => context.print(&json!({ "explanations": all }), |_| {
            all.iter().map(|one| text(one, "/text")).collect::<Vec<_>>().join("\n")
        })?,
    }
    let more = selected.jobs.len() - why.len();
    if more > 0 {
        note(&format!("and {more} more, not shown"));
    }
    Ok(Exit::Done)
}

/// How many more there are than are listed.
fn more(why: &Value, all: &str, shown: usize) -> String {
    match number(why, all).saturating_sub(shown as u64) {
        0 => String::new(),
        more => format!("\nand {more} more"),
    }
}

fn running_on(why: &Value) -> Option<String> {
    let running = list(why, "/running");
    if running.is_empty() {
        return None;
    }
    let mut table = table(&[">RUNS", "JOB TYPE", ">PRIORITY", "HAS", "SINCE"]);
    for run in running {
        let [job, priority, has, since] = ["/job", "/priority", "/has", "/since"].map(|name| text(run, name));
        table.add_row([job, job_type(run, "/job_type"), priority, has, since]);
    }
    Some(lines(&table) + &more(why, "/n_running", running.len()))
}

fn waiting_for(why: &Value) -> String {
    let lanes = list(why, "/lanes");
    if lanes.is_empty() {
        return "nothing waits".to_owned();
    }
    let mut table = table(&["WAITS", ">QUEUED", ">FIRST", ">PRIORITY", "ASKS FOR", "ON THIS NODE"]);
    for lane in lanes {
        let [queued, job, priority] = ["/n_queued", "/job", "/priority"].map(|name| text(lane, name));
        let [asks, verdict] = ["/asks", "/text"].map(|name| text(lane, name));
        table.add_row([job_type(lane, "/job_type"), queued, job, priority, asks, verdict]);
    }
    lines(&table) + &more(why, "/n_lanes", lanes.len())
}

fn of_node(why: &Value) -> String {
    let parts = [Some(text(why, "/text")), running_on(why), Some(waiting_for(why))];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}
