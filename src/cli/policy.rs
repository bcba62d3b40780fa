//! `weighbridge policy`: how passes choose, as a file says it; and the reading of such files.
//!
//! F1  A file is taken as a whole or not at all, before anything is opened or started.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Context;
use super::failure::{Exit, Failure};
use super::output::{Output, print, print_json, printable};
use crate::decision::Policy;
use crate::limits::POLICY_BYTES_MAX;

pub(super) const LONG: &str = "\
How passes choose which job runs on which node: the score, what is kept for jobs that were passed over, and what is \
different for some job types. Prints the default, or with --check what a file comes to, with what it leaves out \
filled in. `serve` and `run` take the file with --policy; docs/policy.md explains every setting.";

const EXAMPLES: &str = "\
Examples:
  weighbridge policy                          the default, as a file to begin with
  weighbridge policy --check policy.json      what a file comes to, or what is wrong with it
  weighbridge serve --store jobs --policy policy.json";

/// What a fault is followed by.
const HELP: &str =
    "nothing was started; docs/policy.md says what a policy may hold, `weighbridge policy` prints one";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A file with a policy (JSON)
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let policy = read(args.check.as_deref())?;
    match context.output {
        Output::Json => print_json(&policy)?,
        Output::Table => print(&serde_json::to_string_pretty(&policy).expect("a policy has a form in JSON"))?,
    }
    Ok(Exit::Done)
}

/// The policy of a file; the default where there is none.
pub(super) fn read(path: Option<&Path>) -> Result<Policy, Failure> {
    let Some(path) = path else { return Ok(Policy::default()) };
    let failed = |message: String| Failure::new(Exit::Usage, "policy", printable(&message)).help(HELP);
    let unread = |error| failed(format!("could not read {}: {error}", path.display()));
    let mut text = Vec::new();
    // One byte more tells a file that is too long from one that is not.
    let file = File::open(path).map_err(unread)?;
    file.take(POLICY_BYTES_MAX + 1).read_to_end(&mut text).map_err(unread)?;
    if text.len() as u64 > POLICY_BYTES_MAX {
        return Err(failed(format!("{} is longer than {POLICY_BYTES_MAX} bytes", path.display())));
    }
    serde_json::from_slice(&text).map_err(|error| failed(fault(path, &error)))
}

/// `policy.json:2:12: unknown variant …`
fn fault(path: &Path, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    let said = said.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&said);
    format!("{}:{line}:{column}: {}", path.display(), plain(said))
}

/// What is expected, in words of a file instead of words of Rust.
fn plain(said: &str) -> String {
    const WORDS: [(&str, &str); 7] = [
        (
            "invalid type: unit variant, expected newtype variant",
            "expected an object such as {\"equals\": \"x\"}",
        ),
        ("expected unit", "expected the word alone"),
        ("expected u32", "expected a whole number from 0 to 4294967295"),
        ("expected struct ", "expected an object: a "),
        ("expected a map", "expected an object"),
        ("expected a sequence", "expected a list"),
        ("expected a string", "expected a text"),
    ];
    WORDS.iter().fold(said.to_owned(), |said, (rust, ours)| said.replace(rust, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Policy, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("p.json");
        std::fs::write(&path, text).expect("writable");
        read(Some(&path)).map_err(|failure| {
            assert_eq!((failure.exit, failure.code.as_str()), (Exit::Usage, "policy"), "{failure}");
            failure.message.replace(&format!("{}:", path.display()), "")
        })
    }

    #[test]
    fn what_a_file_leaves_out_is_the_default() {
        assert_eq!(found("{}"), Ok(Policy::default()));
        let policy = found(r#"{"starvation": {"overtaken": 7}, "named": {"a:1": {"score": "spread"}}}"#)
            .expect("good");
        assert_eq!(policy, {
            let mut expected = Policy::default().with_starvation(7, 3 * 86_400);
            let own = crate::decision::TypePolicy::default().with_score(crate::decision::Score::Spread);
            expected.named.insert("a:1".to_owned(), own);
            expected
        });
        let text = serde_json::to_string_pretty(&policy).expect("it has a form");
        assert_eq!(found(&text), Ok(policy), "what is printed can be read");
    }

    #[test]
    fn a_fault_is_told_with_its_place_and_with_what_is_allowed() {
        let check = |text: &str, expected: &str| assert_eq!(found(text).expect_err(text), expected, "{text}");
        check(
            "{\n  \"scor\": \"best_fit\"\n}",
            "2:8: unknown field `scor`, expected one of `score`, `reserving`, `starvation`, `hold_seconds`, \
             `is_strict`, `job_types`, `named`",
        );
        check(
            "{\"score\":\n \"best\"}",
            "2:7: unknown variant `best`, expected one of `scale`, `best_fit`, `spread`, `dominant_share`",
        );
        check(
            r#"{"reserving": "always"}"#,
            "1:22: unknown variant `always`, expected one of `never`, `per_pass`, `held`",
        );
        check(
            r#"{"hold_seconds": -1}"#,
            "1:19: invalid value: integer `-1`, expected a whole number from 0 to 4294967295",
        );
        check(r#"{"named": {"a": {"constraints": [{"attribute": "gpu"}]}}}"#, "1:53: missing field `is`");
        check(
            r#"{"named": {"a": {"constraints": [{"attribute": "gpu", "is": {"like": "x"}}]}}}"#,
            "1:67: unknown variant `like`, expected one of `equals`, `in`, `not_in`, `spread`",
        );
        check(r#"{"named": {"a": {"constraints": {}}}}"#, "1:32: invalid type: map, expected a list");
        check(r#"{"named": {"a": {}, "a": {"score": "scale"}}}"#, "1:23: `a` stands here twice");
        check(
            r#"{"named": {"a": {"constraints": [{"attribute": "gpu", "is": {"in": []}}]}}}"#,
            "1:70: expected at least one value",
        );
        check(
            r#"{"named": {"a": {"constraints": [{"attribute": "gpu", "is": "equals"}]}}}"#,
            r#"1:69: expected an object such as {"equals": "x"}"#,
        );
        check("{} x", "1:4: trailing characters");
        check("", "1:0: EOF while parsing a value");
        check("3", "1:1: invalid type: integer `3`, expected an object: a Policy");
    }

    #[test]
    fn the_examples_of_the_guide_are_policies_and_its_defaults_are_ours() {
        let guide = include_str!("../../docs/policy.md");
        let blocks = guide.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
        let all: Vec<Policy> =
            blocks.map(|text| found(text).unwrap_or_else(|e| panic!("{e}: {text}"))).collect();
        assert!(all.len() > 5, "{} examples", all.len());
        assert_eq!(all[0], Policy::default());
        let text = serde_json::to_value(&all[0]).expect("it has a form");
        for name in text.as_object().expect("an object").keys() {
            assert!(guide.contains(&format!("| `{name}` |")), "{name} is not explained");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told() {
        let failure = read(Some(Path::new("/nowhere/p.json"))).expect_err("it is not there");
        assert!(failure.message.starts_with("could not read /nowhere/p.json: "), "{failure}");
        let long = format!("{}{{}}", " ".repeat(usize::try_from(POLICY_BYTES_MAX).expect("small")));
        assert!(found(&long).expect_err("too long").contains("is longer than"));
    }
}
