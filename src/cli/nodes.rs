//! `weighbridge nodes`: the machines.

use serde_json::{Value, json};

use super::Context;
use super::answer::{age, list, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs, segment};
use super::output::{lines, table};

pub(super) const LONG: &str = "\
The machines that jobs run on. Without a word they are listed.

Nothing new is launched on a paused node; what runs there goes on.";

const EXAMPLES: &str = "\
Examples:
  weighbridge nodes                           all of them, and what is in use there
  weighbridge nodes pause worker-3 --reason 'new disks'
  weighbridge nodes resume worker-3";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// All of them
    #[command(after_help = "Examples:\n  weighbridge nodes list --output json")]
    List(OnlyServer),
    /// Launch nothing more on one
    #[command(after_help = "Examples:\n  weighbridge nodes pause worker-3 --reason 'new disks'")]
    Pause(PauseArgs),
    /// Launch on it again
    #[command(after_help = "Examples:\n  weighbridge nodes resume worker-3")]
    Resume(ResumeArgs),
}

#[derive(clap::Args)]
struct OnlyServer {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct PauseArgs {
    /// Its name or id
    node: String,
    /// Why, for people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct ResumeArgs {
    /// Its name or id
    node: String,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    match &args.verb {
        None => show(&Client::new(&args.server)?, context),
        Some(Verb::List(args)) => show(&Client::new(&args.server)?, context),
        Some(Verb::Pause(args)) => {
            let mut body = json!({ "is_paused": true });
            if let Some(reason) = &args.reason {
                body["pause_reason"] = json!(reason);
            }
            change(
                &Client::new(&args.server)?,
                &args.node,
                &body,
                "is paused; what runs there goes on",
                context,
            )
        }
        Some(Verb::Resume(args)) => {
            let body = json!({ "is_paused": false });
            change(&Client::new(&args.server)?, &args.node, &body, "takes jobs again", context)
        }
    }
}

/// Nodes on record, each with what is in use there.
fn nodes(client: &Client) -> Result<Vec<Value>, Failure> {
    let mut nodes = list(&client.get("/v6/nodes/?page_size=1000&is_active=true")?, "/results").to_vec();
    let status = client.get("/api/v1/status")?;
    for node in &mut nodes {
        let used = list(&status, "/nodes").iter().find(|used| used["id"] == node["id"]);
        if let (Some(used), Some(members)) = (used, node.as_object_mut()) {
            for name in ["in_use", "total", "seen"] {
                members.insert(name.to_owned(), used[name].clone());
            }
        }
    }
    Ok(nodes)
}

fn show(client: &Client, context: Context) -> Result<Exit, Failure> {
    let answer = json!({ "nodes": nodes(client)? });
    context.print(&answer, |answer| {
        let nodes = list(answer, "/nodes");
        if nodes.is_empty() {
            return "no nodes yet".to_owned();
        }
        let mut table = table(&[">ID", "NODE", "STATE", "IN USE", "OF", "SEEN"]);
        for node in nodes {
            let seen = age(node, "/seen");
            let seen = if seen == "-" { "not since the start".to_owned() } else { format!("{seen} ago") };
            let (used, total) = (text(node, "/in_use"), text(node, "/total"));
            table.add_row([text(node, "/id"), text(node, "/hostname"), state(node), used, total, seen]);
        }
        lines(&table)
    })?;
    Ok(Exit::Done)
}

fn state(node: &Value) -> String {
    match (node["is_paused"] == true, text(node, "/pause_reason").as_str()) {
        (false, _) => "ready".to_owned(),
        (true, "-" | "") => "paused".to_owned(),
        (true, reason) => format!("paused: {reason}"),
    }
}

fn change(client: &Client, name: &str, body: &Value, done: &str, context: Context) -> Result<Exit, Failure> {
    let all = nodes(client)?;
    let is_it = |node: &&Value| text(node, "/hostname") == name || text(node, "/id") == name;
    let Some(node) = all.iter().find(is_it) else {
        let names: Vec<String> = all.iter().take(10).map(|node| text(node, "/hostname")).collect();
        let help = if names.is_empty() {
            "there is none yet; `weighbridge nodes` lists them".to_owned()
        } else {
            format!("there is: {}", names.join(", "))
        };
        return Err(Failure::new(Exit::NotFound, "no-such-node", format_args!("no node {name:?}")).help(help));
    };
    let path = format!("/v6/nodes/{}/", segment(&text(node, "/id")));
    client.patch(&path, body)?;
    let answer = client.get(&path)?;
    context.print(&answer, |_| format!("{} {done}", text(node, "/hostname")))?;
    Ok(Exit::Done)
}
