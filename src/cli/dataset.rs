//! `weighbridge dataset`: files that belong together.

use serde_json::{Value, json};

use super::Context;
use super::answer::{age, list as items, number, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{counted, fields, lines, table};
use super::selectors::{self, Ids, all_ids};

pub(super) const LONG: &str = "\
Data sets: files that belong together under one parameter. A batch makes a recipe for each of its files.";

const EXAMPLES: &str = "\
Examples:
  weighbridge dataset add image 1-10 12 --title 'all of May'
  weighbridge dataset list
  weighbridge batch create pipeline --dataset 1 --map scene=image";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Put a data set on record; its id is told
    #[command(after_help = "Examples:\n  weighbridge dataset add image 1-10 12 --title 'all of May'")]
    Add(AddArgs),
    /// Data sets by id
    #[command(after_help = "Examples:\n  weighbridge dataset list --output json")]
    List(ListArgs),
    /// One of them, with its files
    #[command(after_help = "Examples:\n  weighbridge dataset show 1")]
    Show(ShowArgs),
}

#[derive(clap::Args)]
struct AddArgs {
    /// The parameter that the files are for
    parameter: String,
    /// Files by their ids: 7, 1-10
    #[arg(required = true, value_name = "FILES", value_parser = selectors::ids, value_delimiter = ',')]
    files: Vec<Ids>,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "")]
    title: String,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct ListArgs {
    /// Go on behind this id
    #[arg(long, value_name = "ID", default_value_t = 0)]
    after: u64,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct ShowArgs {
    /// Its id
    id: u64,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Add(args) => {
            let files = all_ids(&args.files)?;
            let body = json!({ "parameter": args.parameter, "title": args.title, "files": files });
            let answer = Client::new(&args.server)?.post("/api/v1/datasets", &body);
            let answer = answer.map_err(|failure| match failure.exit {
                Exit::NotFound => failure.help("`weighbridge file list` shows those there are"),
                _ => failure,
            })?;
            context.print(&answer, |answer| {
                format!("data set {}: {}", text(answer, "/id"), counted(number(answer, "/n_files"), "file"))
            })?;
        }
        Verb::List(args) => {
            let path = format!("/api/v1/datasets?after={}&limit={}", args.after, args.limit);
            let answer = Client::new(&args.server)?.get(&path)?;
            context.print(&answer, listed)?;
        }
        Verb::Show(args) => {
            let answer = Client::new(&args.server)?.get(&format!("/api/v1/datasets/{}", args.id))?;
            context.print(&answer, |set| {
                fields(&[
                    ("data set", text(set, "/id")),
                    ("title", text(set, "/title")),
                    ("parameter", text(set, "/parameter")),
                    ("files", text(set, "/files")),
                    ("added", format!("{}, {} ago", text(set, "/created"), age(set, "/created"))),
                ])
            })?;
        }
    }
    Ok(Exit::Done)
}

fn listed(answer: &Value) -> String {
    let sets = items(answer, "/datasets");
    if sets.is_empty() {
        return "no data sets; `weighbridge dataset add` puts one on record".to_owned();
    }
    let mut table = table(&[">DATA SET", "PARAMETER", ">FILES", "TITLE", "ADDED"]);
    for set in sets {
        let added = format!("{} ago", age(set, "/created"));
        let (parameter, title) = (text(set, "/parameter"), text(set, "/title"));
        table.add_row([text(set, "/id"), parameter, text(set, "/n_files"), title, added]);
    }
    let next = text(answer, "/next");
    let more = if next == "-" { String::new() } else { format!("\nmore with --after {next}") };
    lines(&table) + &more
}
