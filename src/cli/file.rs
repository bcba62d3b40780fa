//! `weighbridge file`: files that jobs are given.

use std::path::Path;

use serde_json::{Value, json};

use super::Context;
use super::answer::{age, list as items, number, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{fields, lines, table};

pub(super) const LONG: &str = "\
Files that jobs and recipes are given by id. What is kept of a file is its name, its size and its media type, not \
its bytes: the size goes into what a job asks for, the media type is held against what it takes.";

const EXAMPLES: &str = "\
Examples:
  weighbridge file add scene.tif --size 734003200 --media-type image/tiff
  weighbridge file add photos/a.png           a file that is here, with the size it has
  weighbridge file list
  weighbridge submit resize --file in=12";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Put a file on record; its id is told
    Add(AddArgs),
    /// Files by id
    List(ListArgs),
    /// One of them
    Show(ShowArgs),
}

const ADD_EXAMPLES: &str = "\
Examples:
  weighbridge file add scene.tif --size 734003200 --media-type image/tiff
  weighbridge file add photos/a.png           a file that is here, with the size it has";

#[derive(clap::Args)]
#[command(after_help = ADD_EXAMPLES)]
struct AddArgs {
    /// Its name, or the path of a file that is here
    #[arg(value_name = "NAME")]
    name: String,
    /// In bytes [default: that of the file, where it is here]
    #[arg(long, value_name = "BYTES")]
    size: Option<u64>,
    /// Such as image/png [default: application/octet-stream]
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  weighbridge file list --limit 1000 --output json")]
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
#[command(after_help = "Examples:\n  weighbridge file show 12")]
struct ShowArgs {
    /// Its id
    id: u64,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Add(args) => add(args, context),
        Verb::List(args) => list(args, context),
        Verb::Show(args) => {
            let answer = Client::new(&args.server)?.get(&format!("/api/v1/files/{}", args.id));
            let answer = answer.map_err(|failure| match failure.exit {
                Exit::NotFound => failure.help("`weighbridge file list` shows those there are"),
                _ => failure,
            })?;
            context.print(&answer, |file| {
                fields(&[
                    ("file", text(file, "/id")),
                    ("name", text(file, "/name")),
                    ("media type", text(file, "/media_type")),
                    ("size", size(file)),
                    ("added", format!("{}, {} ago", text(file, "/created"), age(file, "/created"))),
                ])
            })?;
            Ok(Exit::Done)
        }
    }
}

fn add(args: &AddArgs, context: Context) -> Result<Exit, Failure> {
    let path = Path::new(&args.name);
    let here = || std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
    let size = args.size.or_else(here).ok_or_else(|| {
        Failure::usage(format_args!("{} is not here, so its size has to be said", args.name))
            .help(format_args!("for instance `weighbridge file add {} --size 1048576`", args.name))
    })?;
    let name = path.file_name().map_or(args.name.as_str().into(), |name| name.to_string_lossy());
    let body = json!({ "name": name, "size": size, "media_type": args.media_type });
    let answer = Client::new(&args.server)?.post("/api/v1/files", &body)?;
    context.print(&answer, |answer| format!("file {}: {name}, {size} bytes", text(answer, "/id")))?;
    Ok(Exit::Done)
}

fn list(args: &ListArgs, context: Context) -> Result<Exit, Failure> {
    let path = format!("/api/v1/files?after={}&limit={}", args.after, args.limit);
    let answer = Client::new(&args.server)?.get(&path)?;
    context.print(&answer, |answer| {
        let files = items(answer, "/files");
        if files.is_empty() {
            return "no files; `weighbridge file add` puts one on record".to_owned();
        }
        let mut table = table(&[">FILE", "NAME", "MEDIA TYPE", ">SIZE", "ADDED"]);
        for file in files {
            let added = format!("{} ago", age(file, "/created"));
            table.add_row([
                text(file, "/id"),
                text(file, "/name"),
                text(file, "/media_type"),
                size(file),
                added,
            ]);
        }
        let next = text(answer, "/next");
        let more = if next == "-" { String::new() } else { format!("\nmore with --after {next}") };
        lines(&table) + &more
    })?;
    Ok(Exit::Done)
}

fn size(file: &Value) -> String {
    let bytes = number(file, "/size");
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some((unit, shift)) =
        units.iter().zip((10_u32..).step_by(10)).take_while(|(_, s)| bytes >> s > 0).last()
    else {
        return format!("{bytes} B");
    };
    let tenths = (u128::from(bytes) * 10) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let check = |bytes: u64, text: &str| assert_eq!(size(&json!({ "size": bytes })), text);
        check(0, "0 B");
        check(1_023, "1023 B");
        check(1_024, "1.0 KiB");
        check(734_003_200, "700.0 MiB");
        check(u64::MAX, "15.9 EiB");
    }
}
