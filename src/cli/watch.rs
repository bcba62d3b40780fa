//! `weighbridge watch`: waits until jobs have ended, or all of them; the exit code says how.

use std::time::Duration;

use serde_json::json;

use super::Context;
use super::failure::{Exit, Failure};
use super::following::{Everything, Jobs, follow};
use super::http::{Client, ServerArgs};
use super::selectors::{self, Selected, Selector, UNFINISHED};

pub(super) const LONG: &str = "\
Waits until jobs have ended, and says how. Without a job it waits for the whole queue: until nothing runs and \
nothing waits that could run. At a terminal a line shows how far it is.

What waits for somebody to do something (a paused type, a machine that is not there) is told and waited for; \
what can never be placed ends the wait.";

const EXAMPLES: &str = "\
Examples:
  weighbridge watch last                      the newest job
  weighbridge watch 1-100 --timeout 10m       give up after ten minutes, with exit code 6
  weighbridge watch resize                    every job of the type that has not ended
  weighbridge watch && echo all done          the whole queue

Exit codes: 0 all of it is done   1 something failed or was canceled   3 something can never be placed
  4 no such job   6 out of time";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Jobs: 7, 1-10, 1,4,7-9, `last`, or a job type for all of it that has not ended [default: the
    /// whole queue]
    #[arg(value_name = "JOB", value_parser = selectors::selector)]
    jobs: Vec<Selector>,
    /// Wait no longer than that: 90s, 5m, 1h30m
    #[arg(long, value_name = "LENGTH", value_parser = super::duration::duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let counts = if args.jobs.is_empty() {
        // A daemon that is not there is told at once, not waited for.
        client.get("/api/v1/status")?;
        follow(&client, &mut Everything::default(), args.timeout)?
    } else {
        let selected = Selected::perhaps_none(&client, &args.jobs, &UNFINISHED)?;
        if let Some(first) = selected.jobs.first() {
            client.get(&format!("/api/v1/jobs/{first}"))?;
        }
        follow(&client, &mut Jobs::list(&selected.jobs), args.timeout)?
    };
    context.print(&json!({ "counts": counts.json() }), |_| match counts.total() {
        0 => "nothing to wait for: all of it has ended".to_owned(),
        _ => counts.text(),
    })?;
    Ok(counts.exit())
}
