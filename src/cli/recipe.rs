//! `weighbridge recipe`: graphs of jobs that go on.

use std::time::Duration;

use serde_json::{Value, json};

use super::Context;
use super::answer::{age, list as items, number, text};
use super::failure::{Exit, Failure};
use super::following::{Recipe, follow};
use super::graph;
use super::http::{Client, ServerArgs};
use super::output::{fields, lines, note, table};
use super::recipe_type::find;
use super::submit::InputArgs;

pub(super) const LONG: &str = "\
Recipes: graphs of jobs of a recipe type. What depends on nothing is queued at once; the rest follows as those \
before it complete.

A recipe is named by its id, or as `last`, which is the newest one.";

const EXAMPLES: &str = "\
Examples:
  weighbridge recipe submit pipeline --input N=3 --wait
  weighbridge recipe submit pipeline --file scene=12 --priority 5
  weighbridge recipe list
  weighbridge recipe show last                   its nodes, and how each stands
  weighbridge recipe reprocess 7 --node then     anew from that node on
  weighbridge jobs --recipe 7                    its jobs";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make a recipe of a type
    #[command(after_help = SUBMIT_EXAMPLES)]
    Submit(SubmitArgs),
    /// Recipes, the newest first
    #[command(after_help = "Examples:\n  weighbridge recipe list --type pipeline --limit 1000")]
    List(ListArgs),
    /// One in full: its nodes, and how each stands
    #[command(
        after_help = "Examples:\n  weighbridge recipe show last\n  weighbridge recipe show 7 --output json"
    )]
    Show(ShowArgs),
    /// Make it anew from some nodes on; what came before them is taken over
    #[command(after_help = "Examples:\n  weighbridge recipe reprocess 7 --node then\n  \
                            weighbridge recipe reprocess last --all")]
    Reprocess(ReprocessArgs),
}

const SUBMIT_EXAMPLES: &str = "\
Examples:
  weighbridge recipe submit pipeline --input N=3 --wait
  weighbridge recipe submit pipeline --json input.json --priority 5";

#[derive(clap::Args)]
struct SubmitArgs {
    /// The recipe type, by its name
    #[arg(value_name = "TYPE")]
    recipe_type: String,
    #[command(flatten)]
    input: InputArgs,
    /// The priority of its jobs, from 1; the lower number is the more important [default: those of
    /// their types]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    priority: Option<i32>,
    /// Wait until nothing of it goes on
    #[arg(long)]
    wait: bool,
    /// Wait no longer than that
    #[arg(long, value_name = "LENGTH", requires = "wait", value_parser = super::duration::duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct ListArgs {
    /// Only those of this type
    #[arg(long = "type", value_name = "NAME")]
    recipe_type: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct ShowArgs {
    /// Its id, or `last`
    recipe: String,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct ReprocessArgs {
    /// Its id, or `last`
    recipe: String,
    /// A node that is made anew, with all that comes after it; again for more of them
    #[arg(long, value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    node: Vec<String>,
    /// All nodes
    #[arg(long)]
    all: bool,
    /// The revision of the recipe type to follow [default: the newest]
    #[arg(long, value_name = "N")]
    revision: Option<u32>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Submit(args) => submit(args, context),
        Verb::List(args) => list(args, context),
        Verb::Show(args) => {
            let client = Client::new(&args.server)?;
            let id = id_of(&client, &args.recipe)?;
            context.print(&get(&client, id)?, shown)?;
            Ok(Exit::Done)
        }
        Verb::Reprocess(args) => reprocess(args, context),
    }
}

fn get(client: &Client, id: u64) -> Result<Value, Failure> {
    client.get(&format!("/v6/recipes/{id}/")).map_err(|failure| match failure.exit {
        Exit::NotFound => Failure::new(Exit::NotFound, "no-such-recipe", format_args!("no recipe {id}"))
            .help("`weighbridge recipe list` shows those there are; `last` is the newest"),
        _ => failure,
    })
}

fn newest(client: &Client) -> Result<u64, Failure> {
    let answer = client.get("/v6/recipes/?order=-id&page_size=1")?;
    items(&answer, "/results").first().map(|recipe| number(recipe, "/id")).ok_or_else(|| {
        Failure::new(Exit::NotFound, "no-such-recipe", "there is no last recipe: none was made yet")
            .help("make one with `weighbridge recipe submit`")
    })
}

/// The id that a text means.
fn id_of(client: &Client, text: &str) -> Result<u64, Failure> {
    match text {
        "last" => newest(client),
        _ => text.parse().map_err(|_| {
            Failure::usage(format_args!("{text:?} names no recipe")).help("write its id, or `last`")
        }),
    }
}

fn submit(args: &SubmitArgs, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let kind = find(&client, &args.recipe_type)?;
    let mut inputs = args.input.inputs()?;
    let [input] = inputs.as_mut_slice() else {
        return Err(Failure::usage(format_args!("{} input documents for one recipe", inputs.len()))
            .help("give one document at a time"));
    };
    let mut body = json!({ "recipe_type_id": kind["id"], "input": input });
    if let Some(priority) = args.priority {
        body["configuration"] = json!({ "priority": priority });
    }
    let answer = client.post("/v6/recipes/", &body).map_err(|failure| match failure.exit {
        Exit::Usage => failure
            .help(format_args!("`weighbridge recipe-type show {}` says what it takes", args.recipe_type)),
        _ => failure,
    })?;
    let id = number(&answer, "/id");
    let accepted = format!("accepted: recipe {id}");
    if !args.wait {
        context.print(&answer, |_| accepted)?;
        return Ok(Exit::Done);
    }
    note(&accepted);
    let counts = follow(&client, &mut Recipe(id), args.timeout)?;
    let ended = json!({ "recipe": get(&client, id)?, "counts": counts.json() });
    context.print(&ended, |_| counts.text())?;
    Ok(counts.exit())
}

/// How far a recipe is.
fn state(recipe: &Value) -> &'static str {
    let n = |name: &str| number(recipe, &format!("/jobs_{name}"));
    if recipe["is_superseded"] == true {
        "superseded"
    } else if recipe["is_completed"] == true {
        "completed"
    } else if n("running") > 0 {
        "running"
    } else if n("queued") > 0 {
        "queued"
    } else if n("failed") > 0 {
        "failed"
    } else if n("canceled") > 0 {
        "canceled"
    } else if n("blocked") > 0 {
        "blocked"
    } else {
        "pending"
    }
}

fn list(args: &ListArgs, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let kind = match &args.recipe_type {
        Some(name) => format!("&recipe_type_id={}", text(&find(&client, name)?, "/id")),
        None => String::new(),
    };
    let answer = client.get(&format!("/v6/recipes/?order=-id&page_size={}{kind}", args.limit))?;
    context.print(&answer, |answer| {
        let recipes = items(answer, "/results");
        if recipes.is_empty() {
            return "no recipes; `weighbridge recipe submit` makes one".to_owned();
        }
        let mut table = table(&[">RECIPE", "TYPE", "STATE", ">DONE", ">OF", ">FAILED", "MADE"]);
        for recipe in recipes {
            table.add_row([
                text(recipe, "/id"),
                text(recipe, "/recipe_type/name"),
                state(recipe).to_owned(),
                text(recipe, "/jobs_completed"),
                text(recipe, "/jobs_total"),
                text(recipe, "/jobs_failed"),
                format!("{} ago", age(recipe, "/created")),
            ]);
        }
        let more = number(answer, "/count").saturating_sub(recipes.len() as u64);
        let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
        lines(&table) + &more
    })?;
    Ok(Exit::Done)
}

fn shown(recipe: &Value) -> String {
    let kind = format!(
        "{}, revision {}",
        text(recipe, "/recipe_type/name"),
        text(recipe, "/recipe_type_rev/revision_num")
    );
    let mut rows = vec![
        ("recipe", text(recipe, "/id")),
        ("type", kind),
        ("state", state(recipe).to_owned()),
        ("jobs", format!("{} of {} done", text(recipe, "/jobs_completed"), text(recipe, "/jobs_total"))),
        ("made", format!("{}, {} ago", text(recipe, "/created"), age(recipe, "/created"))),
    ];
    for (name, pointer) in [
        ("batch", "/batch/id"),
        ("part of", "/recipe/id"),
        ("in place of", "/superseded_recipe/id"),
        ("replaced by", "/superseded_by_recipe/id"),
    ] {
        if text(recipe, pointer) != "-" {
            rows.push((name, text(recipe, pointer)));
        }
    }
    for part in ["json", "files"] {
        for (name, value) in recipe["input"][part].as_object().into_iter().flatten() {
            rows.push(("input", super::output::printable(&format!("{name} = {value}"))));
        }
    }
    format!("{}\n\n{}", fields(&rows), graph::of_recipe(&recipe["details"]["nodes"]))
}

fn reprocess(args: &ReprocessArgs, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let id = id_of(&client, &args.recipe)?;
    let old = get(&client, id)?;
    let mut body = json!({ "forced_nodes": { "all": args.all, "nodes": args.node } });
    if args.all {
        body = json!({ "forced_nodes": { "all": true } });
    }
    if let Some(revision) = args.revision {
        body["revision_num"] = json!(revision);
    }
    client.post(&format!("/v6/recipes/{id}/reprocess/"), &body).map_err(|failure| match failure.exit {
        Exit::Usage => {
            let nodes = old["details"]["nodes"].as_object();
            let names: Vec<&str> = nodes.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            failure.help(format_args!("its nodes are: {}", super::output::printable(&names.join(", "))))
        }
        _ => failure,
    })?;
    let answer = get(&client, id)?;
    context.print(&answer, |answer| match text(answer, "/superseded_by_recipe/id").as_str() {
        "-" => format!("recipe {id} is made anew; `weighbridge recipe list` shows the new one"),
        new => format!("recipe {id} is replaced by recipe {new}"),
    })?;
    Ok(Exit::Done)
}
