//! `weighbridge batch`: recipes that are made together.

use serde_json::{Map, Value, json};

use super::Context;
use super::answer::{age, list as items, number, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{fields, lines, table};
use super::recipe_type::find;

pub(super) const LONG: &str = "\
Batches: many recipes of one type that are made together, one for each file of a data set, or anew for each \
recipe of an earlier batch.";

const EXAMPLES: &str = "\
Examples:
  weighbridge batch create pipeline --dataset 3 --map scene=image --priority 50
  weighbridge batch create pipeline --previous 7 --all
  weighbridge batch list
  weighbridge batch show 7
  weighbridge jobs --batch 7                  its jobs";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make one
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// All of them, the newest first
    #[command(after_help = "Examples:\n  weighbridge batch list --output json")]
    List(ListArgs),
    /// One in full
    #[command(after_help = "Examples:\n  weighbridge batch show 7")]
    Show(ShowArgs),
}

const CREATE_EXAMPLES: &str = "\
Examples:
  weighbridge batch create pipeline --dataset 3
  weighbridge batch create pipeline --dataset 3 --map scene=image --priority 50 --title 'all of May'
  weighbridge batch create pipeline --previous 7 --node then
  weighbridge batch create pipeline --previous 7 --all";

#[derive(clap::Args)]
struct CreateArgs {
    /// The recipe type, by its name
    #[arg(value_name = "TYPE")]
    recipe_type: String,
    /// A recipe for each file of this data set
    #[arg(long, value_name = "ID", required_unless_present = "previous", conflicts_with = "previous")]
    dataset: Option<u64>,
    /// Anew for each recipe of this batch
    #[arg(long, value_name = "BATCH")]
    previous: Option<u64>,
    /// With --previous: a node that is made anew, with all after it; again for more of them
    #[arg(long, value_name = "NAME", conflicts_with = "dataset")]
    node: Vec<String>,
    /// With --previous: all nodes
    #[arg(long, conflicts_with_all = ["node", "dataset"])]
    all: bool,
    /// An input of the recipe type takes this parameter of the data set; again for more of them
    #[arg(long, value_name = "INPUT=PARAMETER", value_parser = mapping)]
    map: Vec<(String, String)>,
    /// The priority of its jobs, from 1; the lower number is the more important
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    priority: Option<i32>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

fn mapping(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((input, parameter)) if !input.is_empty() && !parameter.is_empty() => {
            Ok((input.to_owned(), parameter.to_owned()))
        }
        _ => Err(format!("{text:?} maps nothing; write INPUT=PARAMETER, for instance scene=image")),
    }
}

#[derive(clap::Args)]
struct ListArgs {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct ShowArgs {
    /// Its id
    batch: u64,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Create(args) => create(args, context),
        Verb::List(args) => list(args, context),
        Verb::Show(args) => {
            let answer = Client::new(&args.server)?.get(&format!("/v6/batches/{}/", args.batch));
            let answer = answer.map_err(|failure| match failure.exit {
                Exit::NotFound => {
                    Failure::new(Exit::NotFound, "no-such-batch", format_args!("no batch {}", args.batch))
                        .help("`weighbridge batch list` shows those there are")
                }
                _ => failure,
            })?;
            context.print(&answer, shown)?;
            Ok(Exit::Done)
        }
    }
}

impl CreateArgs {
    fn body(&self, recipe_type: &Value) -> Value {
        let forced = match (self.all, self.node.is_empty()) {
            (true, _) => Some(json!({ "all": true })),
            (false, false) => Some(json!({ "all": false, "nodes": self.node })),
            (false, true) => None,
        };
        let mut definition = match self.previous {
            Some(previous) => json!({ "previous_batch": { "root_batch_id": previous } }),
            None => json!({ "dataset": self.dataset }),
        };
        if let (Some(forced), Some(previous)) = (forced, definition.get_mut("previous_batch")) {
            previous["forced_nodes"] = forced;
        }
        let mut configuration = Map::new();
        if let Some(priority) = self.priority {
            configuration.insert("priority".to_owned(), json!(priority));
        }
        if !self.map.is_empty() {
            let map = self.map.iter();
            let map: Vec<Value> = map
                .map(|(input, parameter)| json!({ "input": input, "datasetParameter": parameter }))
                .collect();
            configuration.insert("inputMap".to_owned(), json!(map));
        }
        json!({
            "title": self.title.as_deref().unwrap_or_default(),
            "description": self.description.as_deref().unwrap_or_default(),
            "recipe_type_id": recipe_type["id"],
            "definition": definition,
            "configuration": configuration,
        })
    }
}

fn create(args: &CreateArgs, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let kind = find(&client, &args.recipe_type)?;
    let answer = client.post("/v6/batches/", &args.body(&kind))?;
    context.print(&answer, |answer| {
        let n = number(answer, "/recipes_estimated");
        format!("made batch {}, {n} recipes to come", text(answer, "/id"))
    })?;
    Ok(Exit::Done)
}

fn list(args: &ListArgs, context: Context) -> Result<Exit, Failure> {
    let path = format!("/v6/batches/?order=-id&page_size={}", args.limit);
    let answer = Client::new(&args.server)?.get(&path)?;
    context.print(&answer, |answer| {
        let batches = items(answer, "/results");
        if batches.is_empty() {
            return "no batches; `weighbridge batch create` makes one".to_owned();
        }
        let columns = [">BATCH", "RECIPE TYPE", "TITLE", ">RECIPES", ">JOBS", ">DONE", ">FAILED", "MADE"];
        let mut table = table(&columns);
        for batch in batches {
            table.add_row([
                text(batch, "/id"),
                text(batch, "/recipe_type/name"),
                text(batch, "/title"),
                recipes(batch),
                text(batch, "/jobs_total"),
                text(batch, "/jobs_completed"),
                text(batch, "/jobs_failed"),
                format!("{} ago", age(batch, "/created")),
            ]);
        }
        lines(&table)
    })?;
    Ok(Exit::Done)
}

fn recipes(batch: &Value) -> String {
    let (n, all) = (text(batch, "/recipes_total"), text(batch, "/recipes_estimated"));
    if batch["is_creation_done"] == true { n } else { format!("{n} of {all}") }
}

fn shown(batch: &Value) -> String {
    let states = ["pending", "blocked", "queued", "running", "failed", "completed", "canceled"];
    let states = states.map(|name| (name, number(batch, &format!("/jobs_{name}"))));
    let states = states.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{n} {name}"));
    let states = states.collect::<Vec<_>>().join(", ");
    fields(&[
        ("batch", text(batch, "/id")),
        ("recipe type", text(batch, "/recipe_type/name")),
        ("title", text(batch, "/title")),
        ("description", text(batch, "/description")),
        ("recipes", recipes(batch)),
        ("jobs", if states.is_empty() { "none yet".to_owned() } else { states }),
        ("priority", text(batch, "/configuration/priority")),
        ("made", format!("{}, {} ago", text(batch, "/created"), age(batch, "/created"))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CreateArgs,
    }

    #[test]
    fn flags_become_the_body_that_scale_takes() {
        let body = |line: &str| {
            let words = std::iter::once("x").chain(line.split_whitespace());
            Line::try_parse_from(words).map(|line| line.args.body(&json!({ "id": 9 })))
        };
        let made = body("p --dataset 3 --map scene=image --priority 50").expect("a line");
        assert_eq!(made["definition"], json!({ "dataset": 3 }));
        let map = json!([{ "input": "scene", "datasetParameter": "image" }]);
        assert_eq!(made["configuration"], json!({ "priority": 50, "inputMap": map }));
        let made = body("p --previous 7 --node then").expect("a line");
        let previous = json!({ "root_batch_id": 7, "forced_nodes": { "all": false, "nodes": ["then"] } });
        assert_eq!(made["definition"], json!({ "previous_batch": previous }));
        for bad in ["p", "p --dataset 1 --previous 2", "p --dataset 1 --node a", "p --dataset 1 --map x"] {
            assert!(body(bad).is_err(), "{bad}");
        }
    }
}
