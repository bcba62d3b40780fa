//! `weighbridge pause` and `resume`: hold a job type back, and let it go on.

use serde_json::json;

use super::Context;
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs, segment};

const EXAMPLES: &str = "\
Examples:
  weighbridge pause resize                    nothing more of it starts
  weighbridge pause resize:2.0                one version
  weighbridge resume resize

`weighbridge scheduler pause` holds everything back, `weighbridge nodes pause NODE` a machine.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The job type: NAME, NAME:VERSION or its id
    #[arg(value_name = "TYPE")]
    job_type: String,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn pause(args: &Args, context: Context) -> Result<Exit, Failure> {
    send(args, context, "pause", "is paused; what runs goes on")
}

pub(super) fn resume(args: &Args, context: Context) -> Result<Exit, Failure> {
    send(args, context, "resume", "goes on")
}

fn send(args: &Args, context: Context, verb: &str, done: &str) -> Result<Exit, Failure> {
    let path = format!("/api/v1/job-types/{}/{verb}", segment(&args.job_type));
    let answer = Client::new(&args.server)?.post(&path, &json!({}))?;
    context.print(&answer, |_| format!("{} {done}", args.job_type))?;
    Ok(Exit::Done)
}
