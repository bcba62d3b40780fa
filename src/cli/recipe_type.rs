//! `weighbridge recipe-type`: kinds of graphs of jobs.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::Context;
use super::answer::{age, list as items, text};
use super::failure::{Exit, Failure};
use super::graph;
use super::http::{Client, ServerArgs, segment};
use super::output::{fields, lines, table};
use super::submit::text_of;

pub(super) const LONG: &str = "\
Recipe types: graphs of jobs. A definition says what a recipe is given and which nodes it has: jobs of a type, \
other recipes, and conditions on data. A node starts when those it depends on are done, and takes its input \
from that of the recipe and from what the others gave.";

const EXAMPLES: &str = "\
Examples:
  weighbridge recipe-type create pipeline.json --title Pipeline
  weighbridge recipe-type list
  weighbridge recipe-type show pipeline
  weighbridge recipe-type edit pipeline --definition pipeline.json
  weighbridge recipe submit pipeline --input N=3

A definition, with nodes of two job types that were made from Seed manifests:
  {
    \"input\": { \"json\": [{ \"name\": \"N\", \"type\": \"integer\" }] },
    \"nodes\": {
      \"first\": { \"dependencies\": [], \"input\": { \"N\": { \"type\": \"recipe\", \"input\": \"N\" } },
        \"node_type\": { \"node_type\": \"job\", \"job_type_name\": \"double\",
          \"job_type_version\": \"1.0.0\", \"job_type_revision\": 1 } },
      \"then\": { \"dependencies\": [{ \"name\": \"first\" }],
        \"input\": { \"N\": { \"type\": \"dependency\", \"node\": \"first\", \"output\": \"N\" } },
        \"node_type\": { \"node_type\": \"job\", \"job_type_name\": \"show\",
          \"job_type_version\": \"1.0.0\", \"job_type_revision\": 1 } }
    }
  }";

const HELP: &str = "`weighbridge recipe-type --help` has a definition to start from";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make a recipe type from a definition
    #[command(after_help = "Examples:\n  weighbridge recipe-type create pipeline.json --title Pipeline")]
    Create(CreateArgs),
    /// All recipe types
    #[command(after_help = "Examples:\n  weighbridge recipe-type list --output json")]
    List(ListArgs),
    /// One in full, with its nodes
    #[command(after_help = "Examples:\n  weighbridge recipe-type show pipeline")]
    Show(ShowArgs),
    /// Change one; another definition is a new revision
    #[command(
        after_help = "Examples:\n  weighbridge recipe-type edit pipeline --definition pipeline.json\n  \
                            weighbridge recipe-type edit pipeline --active false"
    )]
    Edit(EditArgs),
}

#[derive(clap::Args)]
struct CreateArgs {
    /// The definition, or the body of a `POST /v6/recipe-types/`; `-` for standard input
    #[arg(value_name = "FILE")]
    definition: PathBuf,
    /// For people; its name is made of it [default: the name of the file]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct ShowArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct EditArgs {
    /// Its name
    name: String,
    /// Another definition; `-` for standard input
    #[arg(long, value_name = "FILE")]
    definition: Option<PathBuf>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Whether it takes new recipes
    #[arg(long, value_name = "true|false")]
    active: Option<bool>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Create(args) => create(args, context),
        Verb::List(args) => list(&Client::new(&args.server)?, context),
        Verb::Show(args) => {
            let answer = find(&Client::new(&args.server)?, &args.name)?;
            context.print(&answer, shown)?;
            Ok(Exit::Done)
        }
        Verb::Edit(args) => edit(args, context),
    }
}

/// What a file holds: a body with a definition in it.
fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    let bad = |why: String| Failure::usage(format_args!("{}: {why}", path.display())).help(HELP);
    let document: Value =
        serde_json::from_slice(&text_of(path)?).map_err(|error| bad(format!("no JSON: {error}")))?;
    let Value::Object(body) = document else { return Err(bad("it is no JSON object".to_owned())) };
    if body.contains_key("nodes") {
        return Ok(Map::from_iter([("definition".to_owned(), Value::Object(body))]));
    }
    if body.get("definition").is_some_and(Value::is_object) {
        return Ok(body);
    }
    Err(bad("there is no definition in it: nothing called \"nodes\"".to_owned()))
}

fn advised(failure: Failure) -> Failure {
    if failure.exit == Exit::Usage { failure.help(HELP) } else { failure }
}

fn create(args: &CreateArgs, context: Context) -> Result<Exit, Failure> {
    let mut body = read(&args.definition)?;
    let stem = args.definition.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let given = args.title.clone();
    if let Some(title) = given.or_else(|| stem.filter(|_| !body.contains_key("title"))) {
        body.insert("title".to_owned(), json!(title));
    }
    if let Some(description) = &args.description {
        body.insert("description".to_owned(), json!(description));
    }
    body.entry("description").or_insert_with(|| json!(""));
    let answer = Client::new(&args.server)?.post("/v6/recipe-types/", &body).map_err(advised)?;
    context.print(&answer, |answer| {
        format!("made recipe type {}, id {}", text(answer, "/name"), text(answer, "/id"))
    })?;
    Ok(Exit::Done)
}

/// A recipe type by its name.
pub(super) fn find(client: &Client, name: &str) -> Result<Value, Failure> {
    client.get(&format!("/v6/recipe-types/{}/", segment(name))).map_err(|failure| match failure.exit {
        Exit::NotFound => {
            Failure::new(Exit::NotFound, "no-such-recipe-type", format_args!("no recipe type {name:?}"))
                .help("`weighbridge recipe-type list` shows those there are")
        }
        _ => failure,
    })
}

fn list(client: &Client, context: Context) -> Result<Exit, Failure> {
    let answer = client.get("/v6/recipe-types/?page_size=1000")?;
    context.print(&answer, |answer| {
        let types = items(answer, "/results");
        if types.is_empty() {
            return "no recipe types yet; `weighbridge recipe-type --help` shows how to make one".to_owned();
        }
        let mut table = table(&[">ID", "RECIPE TYPE", ">REVISION", "STATE", "TITLE", "CHANGED"]);
        for kind in types {
            let state = if kind["is_active"] == false { "inactive" } else { "active" };
            table.add_row([
                text(kind, "/id"),
                text(kind, "/name"),
                text(kind, "/revision_num"),
                state.to_owned(),
                text(kind, "/title"),
                format!("{} ago", age(kind, "/last_modified")),
            ]);
        }
        lines(&table)
    })?;
    Ok(Exit::Done)
}

fn shown(kind: &Value) -> String {
    let mut rows = vec![
        ("recipe type", text(kind, "/name")),
        ("id", text(kind, "/id")),
        ("revision", format!("{}, changed {} ago", text(kind, "/revision_num"), age(kind, "/last_modified"))),
        ("title", text(kind, "/title")),
    ];
    for (pointer, what) in [("/definition/input/files", Some("file")), ("/definition/input/json", None)] {
        for item in items(kind, pointer) {
            let what = what.map_or_else(|| text(item, "/type"), str::to_owned);
            let optional = if item["required"] == false { ", optional" } else { "" };
            rows.push(("input", format!("{}: {what}{optional}", text(item, "/name"))));
        }
    }
    format!("{}\n\n{}", fields(&rows), graph::of_definition(&kind["definition"]["nodes"]))
}

fn edit(args: &EditArgs, context: Context) -> Result<Exit, Failure> {
    let mut body = args.definition.as_deref().map_or_else(|| Ok(Map::new()), read)?;
    args.title.iter().for_each(|title| drop(body.insert("title".to_owned(), json!(title))));
    args.description.iter().for_each(|text| drop(body.insert("description".to_owned(), json!(text))));
    args.active.iter().for_each(|active| drop(body.insert("is_active".to_owned(), json!(active))));
    if body.is_empty() {
        return Err(Failure::usage("nothing to change").help(format_args!(
            "say what, for instance `weighbridge recipe-type edit {} --definition FILE`",
            args.name
        )));
    }
    let client = Client::new(&args.server)?;
    find(&client, &args.name)?;
    client.patch(&format!("/v6/recipe-types/{}/", segment(&args.name)), &body).map_err(advised)?;
    let answer = find(&client, &args.name)?;
    context.print(&answer, |answer| {
        format!("changed recipe type {}, revision {}", args.name, text(answer, "/revision_num"))
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_a_definition_or_a_body_with_one() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("d.json");
        let of = |value: &str| {
            std::fs::write(&path, value).expect("writable");
            read(&path).map_err(|failure| failure.to_string())
        };
        assert_eq!(of(r#"{"nodes": {}}"#).expect("a body")["definition"], json!({ "nodes": {} }));
        assert_eq!(of(r#"{"title": "x", "definition": {}}"#).expect("a body")["title"], "x");
        for (text, part) in [("{", "no JSON"), ("[]", "no JSON object"), ("{}", "no definition in it")] {
            let told = of(text).expect_err(text);
            assert!(told.contains(part) && told.contains("help: "), "{told}");
        }
    }
}
