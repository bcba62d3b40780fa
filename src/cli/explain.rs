//! `weighbridge explain`: why jobs wait.

use serde_json::{Value, json};

use super::Context;
use super::answer::text;
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::note;
use super::selectors::{self, Selected, Selector, UNFINISHED};

/// Jobs that are explained at once.
const SHOWN_MAX: usize = 10;

pub(super) const LONG: &str = "\
Says of jobs why they wait: the first thing in their way, such as a paused type, its limit, a resource that is \
short on every node and by how much, a job that has to complete first, or how many are ahead.";

const EXAMPLES: &str = "\
Examples:
  weighbridge explain 7
  weighbridge explain last
  weighbridge explain resize                  the first of the type that have not ended, up to 10
  weighbridge explain 7 --output json         with the shortages as numbers";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Jobs: 7, 1-10, 1,4,7-9, `last`, or a job type for all of it that has not ended
    #[arg(required = true, value_name = "JOB", value_parser = selectors::selector)]
    jobs: Vec<Selector>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
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
