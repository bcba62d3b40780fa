//! Jobs of a type that is there: what they are given, from flags and JSON documents.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::cli::failure::{Exit, Failure};
use crate::model::SubmissionId;
use crate::workload::WORKLOAD_BYTES_MAX;

/// Members of a document that is a whole input; one with others is values alone.
const INPUT: [&str; 3] = ["version", "json", "files"];

/// An input, or several.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Input")]
pub(in crate::cli) struct InputArgs {
    /// A value of the input, or for a placeholder of the command; again for more of them
    #[arg(long, value_name = "NAME=VALUE", value_parser = named)]
    input: Vec<(String, Value)>,
    /// Files of the input by their ids, several with commas; see `weighbridge file`
    #[arg(long, value_name = "NAME=ID", value_parser = file)]
    file: Vec<(String, Vec<u64>)>,
    /// Input documents, `-` for standard input: an object of values, or {"json": {...}, "files": {...}}; a list
    /// of them, or one after another, is a job for each
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What jobs of a type are given.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Jobs of a type")]
pub(super) struct GivenArgs {
    #[command(flatten)]
    input: InputArgs,
    /// How many such jobs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Their priority; the lower number is the more important [default: that of the type]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
}

/// Splits `NAME=VALUE`.
fn named(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), as_value(value))),
        _ => Err(format!("{text:?} is no value; write NAME=VALUE, for instance width=320")),
    }
}

/// JSON where the text is JSON that means just that, else text: `007` and `1e5` stay what they are.
fn as_value(text: &str) -> Value {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return text.into() };
    let written = value.to_string();
    let is_kept = value.is_object() || value.is_array() || value.is_string() || written == text;
    if is_kept { value } else { text.into() }
}

/// Reads `NAME=ID,ID`.
fn file(text: &str) -> Result<(String, Vec<u64>), String> {
    let bad = || format!("{text:?} names no files; write NAME=ID, for instance in=12 or in=12,13");
    let (name, ids) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(bad)?;
    let ids = ids.split(',').map(|id| id.parse().map_err(|_| bad())).collect::<Result<_, _>>()?;
    Ok((name.to_owned(), ids))
}

impl GivenArgs {
    /// None of it goes with a workload file.
    pub(super) fn refuse_for_workload(&self) -> Result<(), Failure> {
        let Self { input: InputArgs { input, file, json }, count, priority } = self;
        let given = [
            (!input.is_empty(), "--input"),
            (!file.is_empty(), "--file"),
            (json.is_some(), "--json"),
            (count.is_some(), "--count"),
            (priority.is_some(), "--priority"),
        ];
        let wrong = given.iter().find(|(is_given, _)| *is_given);
        wrong.map_or(Ok(()), |(_, flag)| {
            let message = format!("{flag} is for jobs of a type, and this is a workload file");
            Err(Failure::usage(message)
                .help("the file says it of its jobs: \"values\", \"count\", \"priority\""))
        })
    }
}

impl InputArgs {
    /// The inputs: one of the flags alone, or one for each document with the flags laid over it.
    pub(in crate::cli) fn inputs(&self) -> Result<Vec<Value>, Failure> {
        let documents = match &self.json {
            None => vec![json!({})],
            Some(path) => documents(path)?,
        };
        Ok(documents.into_iter().map(|document| self.laid_over(document)).collect())
    }

    fn laid_over(&self, document: Value) -> Value {
        let mut input = whole(document);
        let mut put = |part: &str, name: &String, value: Value| {
            // What is no object is refused by the daemon.
            if let Some(members) = input.get_mut(part).and_then(Value::as_object_mut) {
                members.insert(name.clone(), value);
            }
        };
        self.input.iter().for_each(|(name, value)| put("json", name, value.clone()));
        self.file.iter().for_each(|(name, ids)| put("files", name, json!(ids)));
        input
    }
}

/// A document as an input: `{"json": {...}, "files": {...}}`.
fn whole(document: Value) -> Value {
    let Value::Object(members) = document else { return document };
    let is_whole = !members.is_empty() && members.keys().all(|name| INPUT.contains(&name.as_str()));
    let (mut json, mut files) = (Value::Object(members), json!({}));
    if is_whole {
        files = json.get("files").cloned().unwrap_or_else(|| json!({}));
        json = json.get("json").cloned().unwrap_or_else(|| json!({}));
    }
    json!({ "json": json, "files": files })
}

/// The documents in a file, which must be objects.
fn documents(path: &Path) -> Result<Vec<Value>, Failure> {
    let text = text_of(path)?;
    let bad = |why: String| {
        Failure::usage(format_args!("{}: {why}", path.display())).help(
            "write an object of values such as {\"width\": 320}, a list of such objects, or one per line",
        )
    };
    let mut all = Vec::new();
    for value in serde_json::Deserializer::from_slice(&text).into_iter::<Value>() {
        match value.map_err(|error| bad(format!("no JSON: {error}")))? {
            Value::Array(items) => all.extend(items),
            item => all.push(item),
        }
    }
    match all.iter().position(|item| !item.is_object()) {
        Some(at) => Err(bad(format!("document {} is no object", at + 1))),
        None if all.is_empty() => Err(bad("it holds no document".to_owned())),
        None => Ok(all),
    }
}

/// What a file holds; `-` is standard input.
pub(in crate::cli) fn text_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let max = WORKLOAD_BYTES_MAX as u64;
    let read = if path == Path::new("-") {
        stdin().lock().take(max + 1).read_to_end(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(max + 1).read_to_end(&mut text))
    };
    let name = path.display();
    match read {
        Err(error) => Err(Failure::new(Exit::Usage, "file", format_args!("could not read {name}: {error}"))
            .help("name a file that is there, or `-` for standard input")),
        Ok(n) if n as u64 > max => {
            Err(Failure::usage(format_args!("{name} is larger than {} MiB", max >> 20))
                .help("split it, and submit the parts one after the other"))
        }
        Ok(_) => Ok(text),
    }
}

/// The body of `POST /api/v1/jobs`.
pub(super) fn body(id: &SubmissionId, job_type: &str, given: &GivenArgs) -> Result<Value, Failure> {
    let job = |input: Value| {
        let mut job = Map::new();
        job.insert("job_type".to_owned(), json!(job_type));
        job.insert("input".to_owned(), input);
        job.extend(given.count.map(|count| ("count".to_owned(), json!(count))));
        job.extend(given.priority.map(|priority| ("priority".to_owned(), json!(priority))));
        Value::Object(job)
    };
    let jobs: Vec<Value> = given.input.inputs()?.into_iter().map(job).collect();
    Ok(json!({ "id": id.as_str(), "jobs": jobs }))
}

/// A refusal, with what to do next.
pub(super) fn advised(failure: Failure, job_type: &str) -> Failure {
    let help = match failure.code.as_str() {
        "no-such-job-type" if Path::new(job_type).is_file() => {
            format!(
                "there is a file of that name: `weighbridge submit ./{job_type}` submits it as a workload"
            )
        }
        "no-such-job-type" => format!(
            "`weighbridge job-type list` shows the types there are; \
             `weighbridge job-type create {job_type} -- PROGRAM ARG...` makes it"
        ),
        _ if failure.message.ends_with("' is required") => {
            let name = failure.message.split('\'').nth(1);
            format!("add --input {}=VALUE", name.unwrap_or("NAME"))
        }
        _ if failure.exit == Exit::Usage && failure.help.is_none() => {
            format!("`weighbridge job-type show {job_type}` says what it takes")
        }
        _ => return failure,
    };
    failure.help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_json_where_they_mean_just_that() {
        let check = |text: &str, name: &str, value: Value| {
            assert_eq!(named(text), Ok((name.to_owned(), value)), "{text}");
        };
        check("N=3", "N", json!(3));
        check("who=world", "who", json!("world"));
        check("who=\"3\"", "who", json!("3"));
        check("a=b=c", "a", json!("b=c"));
        check("n=007", "n", json!("007"));
        check("n=1e5", "n", json!("1e5"));
        check("n=1.50", "n", json!("1.50"));
        check("list=[1, 2]", "list", json!([1, 2]));
        check("ok=true", "ok", json!(true));
        check("empty=", "empty", json!(""));
        assert!(named("N").is_err() && named("=3").is_err());
        assert_eq!(file("in=12,13"), Ok(("in".to_owned(), vec![12, 13])));
        for bad in ["in", "in=", "in=x", "=1", "in=1,"] {
            assert!(file(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn documents_are_values_or_whole_inputs_and_flags_go_over_them() {
        let given = InputArgs {
            input: vec![("N".to_owned(), json!(3))],
            file: vec![("in".to_owned(), vec![12])],
            ..InputArgs::default()
        };
        let check = |document: Value, expected: Value| assert_eq!(given.laid_over(document), expected);
        check(json!({}), json!({ "json": { "N": 3 }, "files": { "in": [12] } }));
        check(json!({ "N": 1, "M": 2 }), json!({ "json": { "N": 3, "M": 2 }, "files": { "in": [12] } }));
        check(
            json!({ "json": { "M": 2 }, "files": { "other": [1] } }),
            json!({ "json": { "N": 3, "M": 2 }, "files": { "other": [1], "in": [12] } }),
        );
        check(json!({ "json": 7 }), json!({ "json": 7, "files": { "in": [12] } }));
    }

    #[test]
    fn every_document_of_a_file_is_a_job() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("in.json");
        let read = |text: &str| {
            std::fs::write(&path, text).expect("writable");
            documents(&path).map(|all| all.len()).map_err(|failure| failure.message)
        };
        assert_eq!(read("{\"N\": 1}"), Ok(1));
        assert_eq!(read("[{\"N\": 1}, {\"N\": 2}]"), Ok(2));
        assert_eq!(read("{\"N\": 1}\n{\"N\": 2}\n{}\n"), Ok(3));
        for (text, part) in [("", "no document"), ("[1]", "document 1 is no object"), ("{", "no JSON")] {
            let told = read(text).expect_err(text);
            assert!(told.contains(part), "{told}");
        }
        assert!(documents(Path::new("/no/such/file")).is_err());
    }
}
