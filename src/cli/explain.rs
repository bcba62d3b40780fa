//! `weighbridge explain`: why a job waits.

use super::Context;
use super::answer::text;
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use crate::model::JobId;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Its id
    job: JobId,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let answer = Client::new(&args.server)?.get(&format!("/api/v1/jobs/{}/explain", args.job))?;
    context.print(&answer, |answer| text(answer, "/text"))?;
    Ok(Exit::Done)
}
