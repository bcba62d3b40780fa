//! `weighbridge load`: pending, queued and running jobs over time, as measured.

use serde_json::Value;

use super::Context;
use super::answer::{job_type, list, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{lines, table};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let answer = Client::new(&args.server)?.get("/api/v1/load")?;
    context.print(&answer, shown)?;
    Ok(Exit::Done)
}

fn shown(answer: &Value) -> String {
    let rows = list(answer, "/rows");
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
