//! What flags say of a job type.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::cli::duration::duration;
use crate::cli::failure::Failure;
use crate::model::{FetchUri, Quantity, ResourceName};

/// What is to be so.
#[derive(clap::Args, Debug, Default)]
pub(super) struct WantedArgs {
    /// A Seed manifest, or the body of a `POST /v6/job-types/`; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) manifest: Option<PathBuf>,
    /// The container image that its executions run in, on a Mesos cluster; or `none`
    #[arg(long, value_name = "IMAGE|none")]
    image: Option<String>,
    /// A file to fetch before the command starts, on a Mesos cluster; or one in JSON, such as {"value": "/a",
    /// "executable": true}; or `none`. Again for more of them: in place of those that there were
    #[arg(long, value_name = "URI|none", value_parser = uri)]
    uri: Vec<UriOrNone>,
    /// Cores of one execution, such as 0.5
    #[arg(long, value_name = "N", help_heading = "Resources", value_parser = amount)]
    cpus: Option<Quantity>,
    /// Memory, in MiB
    #[arg(long, value_name = "MIB", help_heading = "Resources", value_parser = amount)]
    mem: Option<Quantity>,
    /// Disk, in MiB
    #[arg(long, value_name = "MIB", help_heading = "Resources", value_parser = amount)]
    disk: Option<Quantity>,
    /// Graphics processors
    #[arg(long, value_name = "N", help_heading = "Resources", value_parser = amount)]
    gpus: Option<Quantity>,
    /// Anything else that nodes have; again for more of them
    #[arg(long, value_name = "NAME=AMOUNT", help_heading = "Resources", value_parser = resource)]
    resource: Vec<(String, Quantity)>,
    /// How long an execution may take (90s, 5m, 1h30m), or `none`
    #[arg(long, value_name = "LENGTH", value_parser = timeout)]
    pub(super) timeout: Option<OrNone>,
    /// How often a job is tried before it stays failed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) max_tries: Option<u16>,
    /// How many run at once, or `none`
    #[arg(long, value_name = "N|none", value_parser = limit)]
    pub(super) max_scheduled: Option<OrNone>,
    /// Of its jobs; the lower number is the more important
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) priority: Option<i32>,
    /// Which of its jobs go first among those of equal priority
    #[arg(long, value_name = "MODE", value_parser = ["fifo", "lifo"])]
    pub(super) mode: Option<String>,
    /// A variable of the environment, perhaps with {placeholders}; again for more of them
    #[arg(long, value_name = "NAME=TEXT", value_parser = variable)]
    pub(super) env: Vec<(String, String)>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub(super) title: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,
}

/// A number, or the word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OrNone(pub(super) Option<u32>);

/// A file to fetch, or the word `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UriOrNone(Option<FetchUri>);

fn uri(text: &str) -> Result<UriOrNone, String> {
    match text {
        "none" => Ok(UriOrNone(None)),
        _ if text.starts_with('{') => {
            let bad = |error| {
                format!("{error}; a file to fetch has value, extract, executable, cache and output_file")
            };
            serde_json::from_str(text).map(|uri| UriOrNone(Some(uri))).map_err(bad)
        }
        _ => Ok(UriOrNone(Some(FetchUri::new(text)))),
    }
}

fn amount(text: &str) -> Result<Quantity, String> {
    let example = format!("{text:?} is no amount; write a decimal number such as 0.5");
    text.parse().map_err(|_| example)
}

fn resource(text: &str) -> Result<(String, Quantity), String> {
    let bad = || format!("{text:?} is no resource; write NAME=AMOUNT, for instance license=1");
    let (name, value) = text.split_once('=').ok_or_else(bad)?;
    let name = ResourceName::new(name).map_err(|_| bad())?;
    Ok((name.to_string(), value.parse().map_err(|_| bad())?))
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no variable; write NAME=TEXT, for instance LANG=C")),
    }
}

fn timeout(text: &str) -> Result<OrNone, String> {
    if text == "none" {
        return Ok(OrNone(None));
    }
    let length: Duration = duration(text)?;
    let seconds = u32::try_from(length.as_secs()).ok().filter(|_| length.subsec_nanos() == 0);
    let seconds = seconds.ok_or_else(|| format!("{text:?} is not in whole seconds"))?;
    Ok(OrNone(Some(seconds)))
}

fn limit(text: &str) -> Result<OrNone, String> {
    match text {
        "none" => Ok(OrNone(None)),
        _ => match text.parse() {
            Ok(n) if n > 0 => Ok(OrNone(Some(n))),
            _ => Err(format!("{text:?} is no limit; write a number above zero, or none")),
        },
    }
}

/// A type of a name, perhaps with a version: `resize:2.0`.
pub(super) fn split_name(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(name, version)| (name, Some(version)))
}

impl WantedArgs {
    /// Amounts by name.
    pub(super) fn resources(&self) -> Vec<(&str, Quantity)> {
        let standard = [("cpus", self.cpus), ("mem", self.mem), ("disk", self.disk), ("gpus", self.gpus)];
        let standard = standard.into_iter().filter_map(|(name, amount)| Some((name, amount?)));
        standard.chain(self.resource.iter().map(|(name, amount)| (name.as_str(), *amount))).collect()
    }

    /// True where nothing is said.
    pub(super) fn is_empty(&self) -> bool {
        let Self { manifest, image, uri, timeout, max_tries, max_scheduled, priority, mode, env, .. } = self;
        self.resources().is_empty()
            && self.title.is_none()
            && self.description.is_none()
            && manifest.is_none()
            && image.is_none()
            && uri.is_empty()
            && timeout.is_none()
            && max_tries.is_none()
            && max_scheduled.is_none()
            && priority.is_none()
            && mode.is_none()
            && env.is_empty()
    }

    /// The image that is asked for, where one is; empty to have none.
    pub(super) fn image(&self) -> Option<&str> {
        self.image.as_deref().map(|image| if image == "none" { "" } else { image })
    }

    /// Refuses what no manifest can have.
    pub(super) fn check_seed(&self) -> Result<(), Failure> {
        let given = [
            (self.max_tries.is_some(), "--max-tries"),
            (!self.env.is_empty(), "--env"),
            (!self.uri.is_empty(), "--uri"),
            (self.timeout == Some(OrNone(None)), "--timeout none"),
        ];
        let wrong = given.iter().find(|(is_given, _)| *is_given);
        wrong.map_or(Ok(()), |(_, flag)| {
            let message = format!("{flag} is not for types with a manifest");
            Err(Failure::usage(message)
                .help("a manifest has a timeout, no tries and no files to fetch; leave the flag out"))
        })
    }

    /// Lays them over the body of a type without a manifest.
    pub(super) fn lay_over(&self, body: &mut Map<String, Value>, command: &[String]) {
        let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        if !command.is_empty() {
            put("command", json!(command));
        }
        self.title.iter().for_each(|title| put("title", json!(title)));
        self.description.iter().for_each(|text| put("description", json!(text)));
        self.image().iter().for_each(|image| put("image", json!(Some(image).filter(|it| !it.is_empty()))));
        if !self.uri.is_empty() {
            put("uris", self.uri.iter().filter_map(|uri| uri.0.as_ref()).map(|uri| json!(uri)).collect());
        }
        self.timeout.iter().for_each(|timeout| put("timeout_s", json!(timeout.0)));
        self.max_tries.iter().for_each(|tries| put("max_tries", json!(tries)));
        self.max_scheduled.iter().for_each(|limit| put("max_scheduled", json!(limit.0)));
        self.priority.iter().for_each(|priority| put("priority", json!(priority)));
        self.mode.iter().for_each(|mode| put("mode", json!(mode.to_uppercase())));
        for (part, pairs) in [
            ("resources", self.resources().into_iter().map(|(n, v)| (n.to_owned(), number(v))).collect()),
            ("env", self.env.iter().map(|(n, v)| (n.clone(), json!(v))).collect::<Vec<_>>()),
        ] {
            if let Some(members) = body.entry(part).or_insert_with(|| json!({})).as_object_mut() {
                members.extend(pairs);
            }
        }
    }
}

#[cfg(test)]
impl WantedArgs {
    pub(super) fn of_amounts(cpus: &str, mem: &str) -> Self {
        let amount = |text: &str| Some(text.parse().expect("an amount"));
        Self { cpus: amount(cpus), mem: amount(mem), ..Self::default() }
    }
}

/// An amount as a JSON number.
pub(super) fn number(amount: Quantity) -> Value {
    serde_json::from_str(&amount.to_string()).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_told_where_they_are_wrong() {
        assert_eq!(timeout("1m30s"), Ok(OrNone(Some(90))));
        assert_eq!(timeout("none"), Ok(OrNone(None)));
        assert!(timeout("1500ms").is_err_and(|told| told.contains("whole seconds")));
        assert_eq!(limit("4"), Ok(OrNone(Some(4))));
        assert!(limit("0").is_err());
        assert!(resource("license=1").is_ok());
        for bad in ["license", "=1", "a b=1", "license=x"] {
            assert!(resource(bad).is_err(), "{bad}");
        }
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(variable("=x").is_err() && amount("x").is_err());
        assert_eq!(split_name("a:1:2"), ("a", Some("1:2")));
        assert_eq!(split_name("a"), ("a", None));
    }

    #[test]
    fn flags_go_over_what_is_there_and_leave_the_rest() {
        let mut body = Map::new();
        body.insert("resources".to_owned(), json!({ "cpus": 1, "mem": 64 }));
        body.insert("priority".to_owned(), json!(7));
        let wanted = WantedArgs {
            cpus: Some("0.5".parse().expect("an amount")),
            timeout: Some(OrNone(None)),
            ..WantedArgs::default()
        };
        assert!(!wanted.is_empty() && WantedArgs::default().is_empty());
        wanted.lay_over(&mut body, &[]);
        let expected =
            json!({ "resources": { "cpus": 0.5, "mem": 64 }, "priority": 7, "timeout_s": null, "env": {} });
        assert_eq!(Value::Object(body), expected);
    }
}
