//! `weighbridge limit`: how many executions of a job type run at once.

use serde_json::json;

use super::Context;
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs, segment};

const EXAMPLES: &str = "\
Examples:
  weighbridge limit resize 4                  at most four at once; what runs goes on
  weighbridge limit resize none";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The job type: NAME, NAME:VERSION or its id
    #[arg(value_name = "TYPE")]
    job_type: String,
    /// How many, or `none`
    #[arg(value_name = "N|none", value_parser = limit)]
    limit: Limit,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit(Option<u32>);

fn limit(text: &str) -> Result<Limit, String> {
    let bad = || format!("{text:?} is no limit; write a number above zero, or none");
    match text {
        "none" => Ok(Limit(None)),
        _ => text.parse().ok().filter(|&n| n > 0).map(|n| Limit(Some(n))).ok_or_else(bad),
    }
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let path = format!("/api/v1/job-types/{}/limit", segment(&args.job_type));
    let answer = Client::new(&args.server)?.put(&path, &json!({ "max_scheduled": args.limit.0 }))?;
    context.print(&answer, |_| match args.limit.0 {
        Some(n) => format!("{}: at most {n} at once", args.job_type),
        None => format!("{}: no limit", args.job_type),
    })?;
    Ok(Exit::Done)
}
