//! `weighbridge requeue`: queues jobs again.

use serde_json::json;

use super::Context;
use super::failure::{Exit, Failure};
use super::filters::FilterArgs;
use super::http::{Client, ServerArgs};
use super::many::{self, Verb};
use super::selectors::{self, Selected, Selector};
use crate::model::JobStatus;

/// What a job type's name stands for here.
const AGAIN: [JobStatus; 2] = [JobStatus::Failed, JobStatus::Canceled];

pub(super) const LONG: &str = "\
Queues jobs again, with as many tries as their type has. Failed and canceled jobs get a new execution; what \
depends on them goes on too. A job that runs is ended and starts anew, one that is queued gets a new place. Jobs \
that are done, or that wait for others, are left alone.

Jobs are named by their ids (7), by ranges (1-10), by lists of both (1,4,7-9), as `last`, which is the newest \
job, or by their type: NAME or NAME:VERSION is every job of it that failed or was canceled. Or filters say \
which; without --status those take failed and canceled jobs alone.

By filters it is one order, on record before anything is done: `weighbridge bulk` looks after it, and takes it back.";

const EXAMPLES: &str = "\
Examples:
  weighbridge requeue 7
  weighbridge requeue last --priority 1                       this time more important than others
  weighbridge requeue resize                                  all of the type that failed or was canceled
  weighbridge requeue --status failed --job-type resize       by filters
  weighbridge requeue --error timeout --since 1h --dry-run    how many that would be, and some of them
  weighbridge requeue --error-category system --yes           also more than 100 of them";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Jobs: 7, 1-10, 1,4,7-9, `last`, or a job type for all of it that failed or was canceled
    #[arg(value_name = "JOB", value_parser = selectors::selector)]
    jobs: Vec<Selector>,
    /// In the queue, this time; the lower number is the more important
    #[arg(long, value_name = "PRIORITY", allow_negative_numbers = true)]
    priority: Option<i32>,
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    care: many::CareArgs,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    many::check(&args.jobs, &args.filters, "requeue")?;
    let client = Client::new(&args.server)?;
    if args.jobs.is_empty() {
        let mut filters = args.filters.clone();
        if filters.status.is_empty() {
            filters.status = AGAIN.to_vec();
        }
        return many::run(&client, Verb::Requeue, &filters, args.priority, args.care, context);
    }
    let selected = Selected::of(&client, &args.jobs, &AGAIN)?;
    if args.care.dry_run {
        return many::show(&client, Verb::Requeue, &selected.jobs, context);
    }
    selected.confirm(|jobs| Verb::Requeue.would(jobs), args.care.yes)?;
    let body = json!({ "job_ids": selected.jobs, "priority": args.priority });
    let answer = client.post("/api/v1/jobs/requeue", &body)?;
    context.print(&answer, |answer| many::told(Verb::Requeue, answer))?;
    Ok(Exit::Done)
}
