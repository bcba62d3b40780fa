//! `weighbridge message`: hands messages in Scale's JSON to a daemon.

use std::io::Read;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Context;
use super::answer::{list, number, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::counted;
use crate::limits::{MESSAGE_BYTES_MAX, MESSAGES_AT_ONCE};

pub(super) const LONG: &str = "\
Hands messages in Scale's JSON to a daemon: {\"type\": \"queued_jobs\", \"body\": {...}}.

A file holds one message, a list of them, or several one after the other. Each is carried out whole, in order, \
or set aside as a dead letter, which `weighbridge dead-letters` lists. The same message again changes nothing.";

const EXAMPLES: &str = "\
Examples:
  weighbridge message orders.json
  echo '{\"type\": \"cancel_jobs\", \"body\": {\"job_ids\": [7], \"when\": \"2026-11-24T12:00:00Z\"}}' | weighbridge message -";

/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A file with messages; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

fn read(file: &PathBuf) -> Result<String, Failure> {
    let failed =
        |error: std::io::Error| Failure::usage(format_args!("could not read {}: {error}", file.display()));
    let mut text = String::new();
    let from: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(failed)?)
    };
    from.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::usage(format_args!(
            "more than {FILE_BYTES_MAX} bytes; give fewer messages at a time"
        )));
    }
    Ok(text)
}

/// The messages of a text.
fn messages(text: &str) -> Result<Vec<Value>, Failure> {
    let mut all = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match value.map_err(|error| Failure::usage(format_args!("that is no JSON: {error}")))? {
            Value::Array(list) => all.extend(list),
            value => all.push(value),
        }
    }
    if all.is_empty() {
        return Err(Failure::usage("there is no message in it"));
    }
    Ok(all)
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let messages = messages(&read(&args.file)?)?;
    let client = Client::new(&args.server)?;
    let (mut outcomes, mut position) = (Vec::new(), Value::Null);
    let mut rest = messages.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(fitting(rest));
        let answer = client.post("/api/v1/messages", &now)?;
        outcomes.extend(list(&answer, "/messages").iter().cloned());
        position = answer["position"].clone();
        rest = later;
    }
    let answer = json!({ "messages": outcomes, "position": position });
    let n_set_aside =
        list(&answer, "/messages").iter().filter(|m| text(m, "/outcome") == "set_aside").count();
    context.print(&answer, |answer| shown(answer, &messages))?;
    Ok(if n_set_aside > 0 { Exit::Failed } else { Exit::Done })
}

/// How many messages go in the next request: few enough that it stays short.
fn fitting(rest: &[Value]) -> usize {
    let mut bytes = 0;
    let is_within = |message: &&Value| {
        bytes += message.to_string().len();
        bytes <= 4 * MESSAGE_BYTES_MAX
    };
    rest.iter().take(MESSAGES_AT_ONCE).take_while(is_within).count().max(1)
}

/// What became of one message.
pub(super) fn outcome(of: &Value) -> String {
    match text(of, "/outcome").as_str() {
        "done" => {
            let (n, left) = (number(of, "/n_changed"), number(of, "/n_ignored"));
            let left = if left > 0 { format!(", {left} left alone") } else { String::new() };
            format!("{} changed{left}", counted(n, "job"))
        }
        "bulk" => {
            let id = number(of, "/bulk_id");
            format!("operation {id}; `weighbridge bulk show {id}` tells how far it is")
        }
        _ => format!("set aside as dead letter {}: {}", text(of, "/dead_letter"), text(of, "/reason")),
    }
}

fn shown(answer: &Value, messages: &[Value]) -> String {
    let lines = list(answer, "/messages").iter().zip(messages);
    let line = |(of, message): (&Value, &Value)| format!("{}: {}", text(message, "/type"), outcome(of));
    lines.map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_messages_in_any_of_three_forms() {
        let check = |text: &str, n: Option<usize>| {
            assert_eq!(messages(text).ok().map(|all| all.len()), n, "{text}");
        };
        check(r#"{"type": "x"}"#, Some(1));
        check("[{}, {}]", Some(2));
        check("{}\n{}\n\n{}\n", Some(3));
        check("", None);
        check("{", None);
        check("[]", None);
    }

    #[test]
    fn requests_stay_short() {
        let small = vec![json!({}); 250];
        assert_eq!(fitting(&small), MESSAGES_AT_ONCE);
        let large = vec![json!("x".repeat(3 * MESSAGE_BYTES_MAX)); 3];
        assert_eq!((fitting(&large), fitting(&large[..1])), (1, 1));
    }
}
