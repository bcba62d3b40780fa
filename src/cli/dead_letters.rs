//! `weighbridge dead-letters`: messages that could not be carried out.

use serde_json::{Value, json};

use super::Context;
use super::answer::{age, list, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::message::outcome;
use super::output::{lines, table};

pub(super) const LONG: &str = "\
Messages that could not be carried out: what they were, and what is wrong with them. The newest thousand are \
kept. Once the cause is gone they can be taken again; those that nobody needs are dropped.";

/// Characters of a message that a table shows.
const SHOWN: usize = 60;

const EXAMPLES: &str = "\
Examples:
  weighbridge dead-letters
  weighbridge dead-letters retry 3 4          once what was wrong is put right
  weighbridge dead-letters drop 3";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Go on behind a page: what it told
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Take some again
    #[command(after_help = "Examples:\n  weighbridge dead-letters retry 3 4")]
    Retry(SomeArgs),
    /// Drop some
    #[command(after_help = "Examples:\n  weighbridge dead-letters drop 3")]
    Drop(SomeArgs),
}

#[derive(clap::Args)]
struct SomeArgs {
    /// Their numbers
    #[arg(required = true, value_name = "NUMBER")]
    numbers: Vec<u64>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    match &args.command {
        None => list_all(args, context),
        Some(Command::Retry(args)) => retry(args, context),
        Some(Command::Drop(args)) => discard(args, context),
    }
}

fn list_all(args: &Args, context: Context) -> Result<Exit, Failure> {
    let after = args.after.map(|after| format!("&after={after}")).unwrap_or_default();
    let path = format!("/api/v1/dead-letters?limit={}{after}", args.limit);
    let answer = Client::new(&args.server)?.get(&path)?;
    context.print(&answer, shown)?;
    Ok(Exit::Done)
}

fn retry(args: &SomeArgs, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let mut outcomes = Vec::new();
    for number in &args.numbers {
        let answer = client.post(&format!("/api/v1/dead-letters/{number}/retry"), &json!({}))?;
        outcomes.extend(list(&answer, "/messages").iter().cloned());
    }
    let answer = json!({ "messages": outcomes });
    let is_set_aside = |of: &Value| text(of, "/outcome") == "set_aside";
    let is_well = !list(&answer, "/messages").iter().any(is_set_aside);
    context.print(&answer, |answer| {
        list(answer, "/messages").iter().map(outcome).collect::<Vec<_>>().join("\n")
    })?;
    Ok(if is_well { Exit::Done } else { Exit::Failed })
}

fn discard(args: &SomeArgs, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    for number in &args.numbers {
        client.delete(&format!("/api/v1/dead-letters/{number}"))?;
    }
    let answer = json!({ "dropped": args.numbers });
    context.print(&answer, |_| format!("{} dropped", args.numbers.len()))?;
    Ok(Exit::Done)
}

fn shown(answer: &Value) -> String {
    let letters = list(answer, "/dead_letters");
    if letters.is_empty() {
        return "no dead letters".to_owned();
    }
    let mut table = table(&[">NUMBER", "CODE", "CAME", "WHY", "MESSAGE"]);
    for letter in letters {
        let message: String = text(letter, "/message").chars().take(SHOWN).collect();
        let came = format!("{} ago", age(letter, "/when"));
        table.add_row([
            text(letter, "/number"),
            text(letter, "/code"),
            came,
            text(letter, "/reason"),
            message,
        ]);
    }
    let next = answer.pointer("/next").filter(|next| !next.is_null());
    let more = next.map(|next| format!("\nmore with --after {next}")).unwrap_or_default();
    format!("{}{more}", lines(&table))
}
