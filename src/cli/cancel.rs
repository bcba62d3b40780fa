//! `weighbridge cancel`: ends jobs, wherever they stand.

use serde_json::json;

use super::Context;
use super::failure::{Exit, Failure};
use super::filters::FilterArgs;
use super::http::{Client, ServerArgs};
use super::many::{self, Verb};
use super::selectors::{self, Selected, Selector, UNFINISHED};

pub(super) const LONG: &str = "\
Ends jobs, wherever they stand: what waits leaves the queue, what runs is ended. A failed job is not taken up \
again. Jobs that are done or canceled are left alone.

Jobs are named by their ids (7), by ranges (1-10), by lists of both (1,4,7-9), as `last`, which is the newest \
job, or by their type: NAME or NAME:VERSION is every job of it that has not ended. Or filters say which; without \
--status those take jobs that have not ended.

By filters it is one order, on record before anything is done: `weighbridge bulk` looks after it, and takes it back.";

const EXAMPLES: &str = "\
Examples:
  weighbridge cancel 7
  weighbridge cancel 3 10-20 last
  weighbridge cancel resize                                   all of the type that has not ended
  weighbridge cancel --status queued --job-type resize        by filters
  weighbridge cancel --status queued --since 1h --dry-run     how many that would be, and some of them
  weighbridge cancel --job-type resize --yes                  also more than 100 of them";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Jobs: 7, 1-10, 1,4,7-9, `last`, or a job type for all of it that has not ended
    #[arg(value_name = "JOB", value_parser = selectors::selector)]
    jobs: Vec<Selector>,
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    care: many::CareArgs,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    many::check(&args.jobs, &args.filters, "cancel")?;
    let client = Client::new(&args.server)?;
    if args.jobs.is_empty() {
        let mut filters = args.filters.clone();
        if filters.status.is_empty() {
            filters.status = UNFINISHED.to_vec();
        }
        return many::run(&client, Verb::Cancel, &filters, None, args.care, context);
    }
    let selected = Selected::of(&client, &args.jobs, &UNFINISHED)?;
    if args.care.dry_run {
        return many::show(&client, Verb::Cancel, &selected.jobs, context);
    }
    selected.confirm(|jobs| Verb::Cancel.would(jobs), args.care.yes)?;
    let answer = client.post("/api/v1/jobs/cancel", &json!({ "job_ids": selected.jobs }))?;
    context.print(&answer, |answer| many::told(Verb::Cancel, answer))?;
    Ok(Exit::Done)
}
