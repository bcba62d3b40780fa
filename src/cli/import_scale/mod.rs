//! `weighbridge import-scale`: takes an existing Scale's job types, jobs and queue over into a store.

mod carry;
mod check;
mod rows;
mod tables;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::Context;
use super::failure::{Exit, Failure};
use super::machine::{close_failure, open_failure};
use super::output::{Output, counted, note, print, print_json};
use super::recovery;
use crate::engine::Options;
use crate::limits::LOAD_ROWS_DEFAULT;
use crate::model::Timestamp;
use carry::{Carried, Carrying};
use check::{Faults, Found, Source};
use tables::Table;

const AFTER_HELP: &str = "\
The store must be one that no daemon holds: a new directory, or one of an import that stopped. What a table is
of is known from the file's name (job.csv, job_type.jsonl), or stands before it (job=FILE).

Written by psql, all in one transaction, so that the tables are of one moment:
  BEGIN ISOLATION LEVEL REPEATABLE READ;
  \\copy (SELECT * FROM job_type) TO 'job_type.csv' CSV HEADER
  \\copy (SELECT * FROM job_type_rev) TO 'job_type_rev.csv' CSV HEADER
  \\copy (SELECT * FROM queue) TO 'queue.csv' CSV HEADER
  \\copy (SELECT * FROM job ORDER BY id) TO 'job.csv' CSV HEADER
  COMMIT;

First all files are checked, and nothing is made where a row is wrong. The same command again changes nothing.
docs/import.md says what is taken of each table, and what is not.

Examples:
  weighbridge import-scale --store jobs job_type.csv job_type_rev.csv queue.csv job.csv
  weighbridge import-scale --store jobs --map ids.jsonl *.csv
  weighbridge import-scale --check *.csv";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    #[arg(
        required = true,
        value_name = "[TABLE=]FILE",
        help = "Files of Scale's tables: workspace, node, error, job_type, job_type_rev, queue, job, job_load"
    )]
    files: Vec<String>,
    /// Directory of the store, which no daemon holds
    #[arg(long, value_name = "DIR", default_value = ".weighbridge/serve")]
    store: PathBuf,
    /// What the file is of, where there is one and its name does not say it
    #[arg(long, value_enum, value_name = "TABLE")]
    table: Option<Table>,
    /// Write which ids became which, a JSON object a line
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Check the files alone, and make nothing
    #[arg(long)]
    check: bool,
    /// Lines of JSON were written by \copy in its text form, which doubles backslashes
    #[arg(long)]
    copy_text: bool,
    /// How many load rows the store keeps; the oldest go
    #[arg(long, value_name = "N", default_value_t = LOAD_ROWS_DEFAULT)]
    load_rows: u32,
}

/// What a file is of, by what stands before it or its name.
fn source(text: &str, table: Option<Table>) -> Result<Source, Failure> {
    let named = |name: &str| Table::from_str(name, true).ok();
    if let Some(table) = table {
        return Ok(Source { table, path: text.into() });
    }
    if let Some((table, path)) = text.split_once('=').and_then(|(name, path)| Some((named(name)?, path))) {
        return Ok(Source { table, path: path.into() });
    }
    let stem = Path::new(text).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let known = Table::ALL.map(Table::name).join(", ");
    let unknown = || {
        Failure::usage(format_args!("{text}: its name is that of no table that is taken over"))
            .help(format_args!("write TABLE=FILE; tables are {known}"))
    };
    Ok(Source { table: named(stem).ok_or_else(unknown)?, path: text.into() })
}

fn sources(args: &Args) -> Result<Vec<Source>, Failure> {
    if args.table.is_some() && args.files.len() > 1 {
        return Err(Failure::usage("--table is for one file; write TABLE=FILE for several"));
    }
    let mut all = args.files.iter().map(|text| source(text, args.table)).collect::<Result<Vec<_>, _>>()?;
    all.sort_by_key(|source| source.table);
    if let Some(twice) = all.windows(2).find(|pair| pair[0].table == pair[1].table) {
        let (name, files) = (twice[0].table.name(), [&twice[0].path, &twice[1].path]);
        let text = format!("{} and {} are both of {name}", files[0].display(), files[1].display());
        return Err(Failure::usage(text).help("a table comes in one file"));
    }
    Ok(all)
}

fn faults_of(faults: &Faults) -> Failure {
    let mut text = format!("{} in the files, and nothing was made", counted(faults.n, "fault"));
    for fault in &faults.first {
        text += "\n  ";
        text += &fault.to_string();
    }
    let n_more = faults.n - faults.first.len() as u64;
    if n_more > 0 {
        text += "\n  and ";
        text += &counted(n_more, "more fault");
    }
    Failure::new(Exit::Usage, "import-file", text)
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let sources = sources(args)?;
    let options = Options::default().load_period(None).load_rows(args.load_rows);
    let now = Timestamp::max(options.clock.now(), Timestamp(0));
    let found = Found::check(&sources, args.copy_text, now).map_err(|faults| faults_of(&faults))?;
    if args.check {
        tell(&found, None, context.output)?;
        return Ok(Exit::Done);
    }
    let map_failure = |error: std::io::Error| Failure::failed("map", format_args!("the map of ids: {error}"));
    let mut map = args.map.as_ref().map(File::create).transpose().map_err(map_failure)?.map(BufWriter::new);
    let engine = recovery::open(&args.store, options).map_err(open_failure)?;
    let carrying = Carrying::new(&engine, &found, map.as_mut().map(|map| map as &mut dyn Write));
    let carried = carrying.and_then(|carrying| carrying.run(&sources));
    let closed = engine.close().map_err(|error| close_failure(&error));
    let carried = carried?;
    closed?;
    map.as_mut().map_or(Ok(()), Write::flush).map_err(map_failure)?;
    tell(&found, Some(carried), context.output)?;
    Ok(Exit::Done)
}

/// Says what was found, and what came of it.
fn tell(found: &Found, carried: Option<Carried>, output: Output) -> Result<(), Failure> {
    let left_out = serde_json::json!({
        "canceled_entries": found.n_canceled,
        "stale_entries": found.n_stale,
        "rows_of_system_types": found.n_system,
    });
    if output == Output::Json {
        return print_json(&serde_json::json!({
            "found": { "job_types": found.types.len(), "jobs": found.n_jobs, "queued": found.n_queued, "load_rows": found.n_loads },
            "left_out": left_out,
            "taken_over": carried,
        }));
    }
    for (n, what) in [
        (found.n_canceled, "canceled rows of the queue were left out"),
        (found.n_stale, "live rows of the queue were left out: their jobs are not QUEUED"),
        (found.n_system, "rows of the system's own job types were left out"),
    ] {
        if n > 0 {
            note(&format!("{n} {what}"));
        }
    }
    let Some(carried) = carried else {
        return print(&format!(
            "the files are right: {}, {} ({} in the queue), {}",
            counted(found.types.len() as u64, "job type"),
            counted(found.n_jobs, "job"),
            found.n_queued,
            counted(found.n_loads, "load row"),
        ));
    };
    print(&format!(
        "taken over: {}, {} ({} were there already, {} have another id here), {} ({} were there already)",
        counted(carried.n_job_types, "job type"),
        counted(carried.n_jobs, "job"),
        carried.n_known_jobs,
        carried.n_renumbered,
        counted(carried.n_load_rows, "load row"),
        carried.n_known_load_rows,
    ))
}
