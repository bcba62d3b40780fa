//! A workload file: what it says, read and checked as far as that needs no other file.
//!
//! R1  A `Workload` has no fault that can be known without looking for files: every reference
//!     resolves, no recipe has a circle, every placeholder has a value.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::{JobTypeSpec, NodeResources};

use super::bounds::WORKLOAD_BYTES_MAX;
use super::check::Need;
use super::entries::read_workload;
use super::fields::{Cursor, Faults};
use super::files::Files;
use super::json;
use super::problem::Problem;

/// Names that are filled for every job of a workload.
pub(super) const FOLDER_VALUES: [&str; 2] = ["out_dir", "workload_dir"];

/// Why a workload file cannot be used. Nothing of it was queued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// The file cannot be read.
    #[error("could not read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// More than [`WORKLOAD_BYTES_MAX`].
    #[error("{} is larger than {} MiB; split it into several workloads", path.display(), WORKLOAD_BYTES_MAX >> 20)]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// The file says what cannot be.
    #[error("{0}")]
    Invalid(Faults),
    /// A folder that jobs are to be told of is not there, or its path is no text.
    #[error("{} cannot be used as {what}: {reason}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What for.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a workload file says.
///
/// ```
/// use weighbridge::Workload;
/// let text = r#"{
///     "job_types": [{ "name": "echo", "command": ["echo", "{word}"] }],
///     "jobs": [{ "type": "echo", "count": 3, "values": { "word": "hello" } }]
/// }"#;
/// let workload = Workload::parse("hello.json", text)?;
/// let expanded = workload.expand(".".as_ref(), "/tmp/out".as_ref())?;
/// assert_eq!(expanded.n_jobs(), 3);
///
/// let error = Workload::parse("bad.json", &text.replace("count", "cuont")).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "bad.json:3: jobs[0]: there is no field \"cuont\" here; did you mean \"count\"?"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    pub(super) file: Arc<str>,
    pub(super) name: String,
    pub(super) job_types: Vec<JobTypeSpec>,
    /// What the placeholders of each job type need.
    pub(super) needs: Vec<Vec<Need>>,
    pub(super) jobs: Vec<(u32, Work)>,
    pub(super) recipes: Vec<Recipe>,
}

/// What entries of `jobs` and nodes of recipes have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) job_type: usize,
    pub(super) priority: Option<i32>,
    pub(super) resources: Option<NodeResources>,
    pub(super) values: Vec<(String, String)>,
    pub(super) files: Option<Files>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) name: String,
    /// Where its nodes start, and their path.
    pub(super) line: u32,
    pub(super) field: String,
    pub(super) nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) work: Work,
    /// Places of the nodes it waits for.
    pub(super) parents: Vec<u32>,
    /// Of a node with the same files, waits for the job of its own file alone.
    pub(super) is_matched: bool,
}

impl Workload {
    /// Reads the file at `path` and checks all that needs no other file.
    ///
    /// # Errors
    /// Where it cannot be read, is too large, or holds faults; up to ten are listed.
    pub fn read(path: &Path) -> Result<Self, WorkloadError> {
        Self::read_with_text(path).map(|(workload, _)| workload)
    }

    /// Like [`read`](Self::read), and returns what the file held.
    ///
    /// # Errors
    /// The same.
    pub fn read_with_text(path: &Path) -> Result<(Self, Vec<u8>), WorkloadError> {
        let failed = |source| WorkloadError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(WORKLOAD_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > WORKLOAD_BYTES_MAX {
            return Err(WorkloadError::TooLarge { path: path.to_owned() });
        }
        let workload = Self::parse_bytes(&path.display().to_string(), &bytes)?;
        Ok((workload, bytes))
    }

    /// The folder that the globs of the file at `path` are relative to.
    pub fn folder_of(path: &Path) -> &Path {
        match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Reads `text` as the content of a file that errors call `file`.
    ///
    /// # Errors
    /// [`WorkloadError::Invalid`], with up to ten faults.
    pub fn parse(file: &str, text: &str) -> Result<Self, WorkloadError> {
        let file: Arc<str> = file.into();
        let mut faults = Faults::new(&file);
        let json = json::parse(text.trim_start_matches('\u{feff}')).map_err(|error| {
            faults.add(error.line, "", Problem::Syntax { column: error.column, what: error.what });
            WorkloadError::Invalid(faults.clone())
        })?;
        match read_workload(&file, &Cursor::root(&json), &mut faults) {
            Some(workload) => faults.or(workload).map_err(WorkloadError::Invalid),
            None => Err(WorkloadError::Invalid(faults)),
        }
    }

    /// True where any of its entries stands for files.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn has_files(&self) -> bool {
        let nodes = self.recipes.iter().flat_map(|recipe| &recipe.nodes);
        let works = self.jobs.iter().map(|(_, work)| work).chain(nodes.map(|node| &node.work));
        works.into_iter().any(|work| work.files.is_some())
    }

    /// Like `parse`, for what may not even be text.
    pub(crate) fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Self, WorkloadError> {
        match str::from_utf8(bytes) {
            Ok(text) => Self::parse(file, text),
            Err(error) => {
                let before = &bytes[..error.valid_up_to()];
                let lines: Vec<_> = before.split(|&byte| byte == b'\n').collect();
                let line = u32::try_from(lines.len()).unwrap_or(u32::MAX);
                let column = String::from_utf8_lossy(lines[lines.len() - 1]).chars().count() + 1;
                let what = "the file is not UTF-8 from here on; save it as UTF-8".to_owned();
                let mut faults = Faults::new(&file.into());
                faults.add(line, "", Problem::Syntax { column, what });
                Err(WorkloadError::Invalid(faults))
            }
        }
    }

    /// Its job types, in the order of the file.
    pub fn job_types(&self) -> &[JobTypeSpec] {
        &self.job_types
    }

    /// For people; may be empty.
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FetchUri;
    use proptest::prelude::*;

    /// A file in which everything is right; each test changes one thing.
    const GOOD: &str = r#"{
  "name": "good",
  "job_types": [
    { "name": "a", "command": ["echo", "{x}"], "env": { "E": "{file}{out_dir}", "N": 1.50 },
      "resources": { "cpus": 1.1, "mem": 64 },
      "timeout": "1h30m", "tries": 2, "limit": 4, "image": "h/a:1", "uris": [{ "value": "http://h/x" }, { "value": "/y", "extract": false, "output_file": "z" }],
      "priority": -5, "mode": "LIFO", "paused": true },
    { "name": "b", "version": "2", "command": ["true"] },
    { "name": "b", "version": "3", "command": ["true", "{x}"] }
  ],
  "jobs": [
    { "type": "a", "values": { "x": true }, "files": "*.txt",
      "exclude": ["z.txt"], "allow_empty": true },
    { "type": "b:3", "count": 7, "priority": 0, "resources": { "gpus": 1 },
      "values": { "x": 1.50 } }
  ],
  "recipes": [
    { "name": "r", "nodes": [
      { "name": "one", "type": "b:2" },
      { "name": "two", "type": "b:2", "files": ["*.txt"],
        "depends_on": ["one"] },
      { "name": "three", "type": "b:2", "files": ["*.txt"],
        "match": "file", "depends_on": ["two"] }
    ] }
  ]
}"#;

    #[test]
    fn every_field_is_read() {
        let workload = Workload::parse("good.json", GOOD).expect("it is good");
        let a = &workload.job_types[0];
        assert_eq!((workload.name(), a.name.as_str(), a.version.as_str()), ("good", "a", "1.0"));
        assert_eq!(a.env[1], ("N".into(), "1.50".into()));
        assert_eq!(a.resources.to_string(), "cpus:1.1,mem:64");
        assert_eq!((a.timeout_s, a.max_tries, a.max_scheduled), (Some(5_400), 2, Some(4)));
        let named = FetchUri { extract: false, output_file: Some("z".into()), ..FetchUri::new("/y") };
        assert_eq!(a.image.as_deref(), Some("h/a:1"));
        assert_eq!(a.uris[..], [FetchUri::new("http://h/x"), named]);
        assert_eq!((a.priority, a.mode, a.is_paused), (-5, Some(crate::model::QueueMode::Lifo), true));
        let (count, job) = &workload.jobs[1];
        assert_eq!((*count, job.job_type, job.priority), (7, 2, Some(0)));
        assert_eq!(job.values, [("x".to_owned(), "1.50".to_owned())]);
        assert_eq!(workload.recipes[0].nodes[2].parents, [1]);
    }

    /// Replaces `from` by `to` in the good file and compares the faults.
    fn check(from: &str, to: &str, expected: &str) {
        assert!(GOOD.contains(from), "{from}");
        let error = Workload::parse("f", &GOOD.replacen(from, to, 1)).expect_err(to);
        assert_eq!(error.to_string(), expected, "{from} -> {to}");
    }

    #[test]
    fn faults_of_job_types_name_line_and_field() {
        check(
            r#""cpus": 1.1"#,
            r#""cpus": -1"#,
            "f:5: job_types[0].resources.cpus: a quantity is a decimal number, zero or more, such as 1.5; write for instance 0.5",
        );
        check(
            r#""cpus": 1.1"#,
            r#""cpus": 0.0001"#,
            "f:5: job_types[0].resources.cpus: a quantity has at most three decimal places; write for instance 0.5",
        );
        check(
            r#""mem": 64"#,
            r#""mem": null"#,
            "f:5: job_types[0].resources.mem: a quantity is expected here, not null; write for instance 0.5",
        );
        check(r#""mem": 64"#, r#""CPUS": 64"#, "f:5: job_types[0].resources.CPUS: cpus is given twice");
        check(
            r#""mem": 64"#,
            r#""a b": 64"#,
            "f:5: job_types[0].resources.a b: \"a b\" is no resource name: 1 to 64 letters, digits, '_', '-', '.' or '/'",
        );
        check(
            r#""timeout": "1h30m""#,
            r#""timeout": "fast""#,
            "f:6: job_types[0].timeout: \"fast\" is no timeout: whole seconds above zero, or text such as \"90s\", \"5m\" or \"1h30m\"",
        );
        check(
            r#""timeout": "1h30m""#,
            r#""timeout": 0"#,
            "f:6: job_types[0].timeout: 0 is no timeout: whole seconds above zero, or text such as \"90s\", \"5m\" or \"1h30m\"",
        );
        check(
            r#""tries": 2"#,
            r#""tries": 0"#,
            "f:6: job_types[0].tries: a whole number from 1 to 65535 is expected here, not 0",
        );
        check(
            r#""limit": 4"#,
            r#""limit": 1.5"#,
            "f:6: job_types[0].limit: a whole number from 1 to 4294967295 is expected here, not 1.5",
        );
        check(
            r#""limit""#,
            r#""limt""#,
            "f:6: job_types[0]: there is no field \"limt\" here; did you mean \"limit\"?",
        );
        check(
            r#""mode": "LIFO""#,
            r#""mode": "lifo""#,
            "f:7: job_types[0].mode: \"FIFO\" or \"LIFO\" is expected here, not \"lifo\"",
        );
        check(
            r#""paused": true"#,
            r#""paused": "yes""#,
            "f:7: job_types[0].paused: true or false is expected here, not text; write for instance true",
        );
        check(
            r#""{x}"], "env""#,
            r#""{x"], "env""#,
            "f:4: job_types[0].command[1]: a single '{' in \"{x\"; write {{ for the character itself",
        );
        check(
            r#""command": ["true"]"#,
            r#""command": []"#,
            "f:8: job_types[1].command: is empty; write for instance [\"echo\", \"hello\"]",
        );
        check(
            r#""command": ["true"]"#,
            r#""command": "true""#,
            "f:8: job_types[1].command: a list is expected here, not text; write for instance [\"echo\", \"hello\"]",
        );
        check(
            r#", "command": ["true"]"#,
            "",
            "f:8: job_types[1].command: is missing; write for instance [\"echo\", \"hello\"]",
        );
        check(
            r#""version": "3""#,
            r#""version": "2""#,
            "f:9: job_types[2]: job type \"b:2\" is there already, on line 8; give one of them another name or version\n\
             f:14: jobs[1].type: there is no job type \"b:3\" in \"job_types\"; did you mean \"b:2\"?",
        );
        check(
            r#""E":"#,
            r#""E E":"#,
            "f:4: job_types[0].env.E E: \"E E\" is no name for an environment variable: letters, digits and '_', not first a digit, at most 64 of them",
        );
    }

    #[test]
    fn faults_of_images_and_files_to_fetch_name_line_and_field() {
        check(
            r#""image": "h/a:1""#,
            r#""image": "h a""#,
            "f:6: job_types[0].image: an image has 1 to 500 characters and no blank, for instance host/name:1.0",
        );
        check(
            r#""image""#,
            r#""docker_image""#,
            "f:6: job_types[0]: there is no field \"docker_image\" here; did you mean \"image\"?",
        );
        check(
            r#"{ "value": "http://h/x" }"#,
            r#""http://h/x""#,
            "f:6: job_types[0].uris[0]: an object is expected here, not text; write for instance {\"name\": ...}",
        );
        check(
            r#"{ "value": "http://h/x" }"#,
            r#"{ "cache": 1 }"#,
            "f:6: job_types[0].uris[0].value: is missing; write for instance \"http://host/file\"",
        );
        check(
            r#""extract": false"#,
            r#""extract": 0"#,
            "f:6: job_types[0].uris[1].extract: true or false is expected here, not a number; write for instance true",
        );
        check(
            r#""output_file": "z""#,
            r#""output_file": "/z""#,
            "f:6: job_types[0].uris[1]: output_file is a path of 1 to 2048 bytes within the directory of the execution, without \"..\"",
        );
        let many = vec![r#"{ "value": "/x" }"#; 64].join(", ");
        check(
            r#"{ "value": "http://h/x" }"#,
            &many,
            "f:6: job_types[0].uris: 65 files to fetch; at most 64 are allowed",
        );
    }

    #[test]
    fn faults_of_jobs_name_line_and_field() {
        check(
            r#""values": { "x": true }, "#,
            "",
            "f:12: jobs[0].values: no value for {x}, which a:1.0 uses in command[1]; add \"x\" to \"values\"",
        );
        check(
            r#""files": "*.txt",
      "exclude": ["z.txt"], "allow_empty": true"#,
            r#""priority": 1"#,
            "f:12: jobs[0].values: no value for {file}, which a:1.0 uses in env.E; add \"file\" to \"values\", or say which \"files\" it stands for",
        );
        check(
            r#""files": "*.txt","#,
            "",
            "f:13: jobs[0].exclude: means nothing without \"files\"; leave it away\n\
             f:13: jobs[0].allow_empty: means nothing without \"files\"; leave it away\n\
             f:12: jobs[0].values: no value for {file}, which a:1.0 uses in env.E; add \"file\" to \"values\", or say which \"files\" it stands for",
        );
        check(
            r#"{ "x": true }"#,
            r#"{ "x": 1, "file": 2 }"#,
            "f:12: jobs[0].values.file: \"file\" is filled from the files of this entry; choose another name, or leave \"files\" away",
        );
        check(
            r#"{ "x": true }"#,
            r#"{ "x": 1, "out_dir": 2 }"#,
            "f:12: jobs[0].values.out_dir: \"out_dir\" is filled for every job; choose another name",
        );
        check(
            r#"{ "x": true }"#,
            r#"{ "x": [1] }"#,
            "f:12: jobs[0].values.x: text, a number, true or false is expected here, not a list; write for instance \"blue\"",
        );
        check(
            r#""files": "*.txt""#,
            r#""files": "a**b""#,
            "f:12: jobs[0].files: \"a**b\" is no glob: \"**\" stands between slashes; write \"**/*.csv\"",
        );
        check(
            r#""type": "a""#,
            r#""type": "b""#,
            "f:12: jobs[0].type: \"b\" has several versions; write one of \"b:2\", \"b:3\"",
        );
        check(
            r#""type": "a""#,
            r#""type": "c""#,
            "f:12: jobs[0].type: there is no job type \"c\" in \"job_types\"; did you mean \"a\"?",
        );
        check(
            r#""count": 7"#,
            r#""count": 1000001"#,
            "f:11: jobs: 1000001 jobs; at most 1000000 are allowed",
        );
    }

    #[test]
    fn faults_of_recipes_name_line_and_field() {
        check(
            r#"{ "name": "one", "type": "b:2" }"#,
            r#"{ "name": "one", "type": "b:2", "depends_on": ["three"] }"#,
            "f:19: recipes[0].nodes[0]: these nodes wait for each other, so none can start: one -> three -> two -> one; remove one of the dependencies",
        );
        check(
            r#"["one"]"#,
            r#"["two"]"#,
            "f:20: recipes[0].nodes[1]: these nodes wait for each other, so none can start: two -> two; remove one of the dependencies",
        );
        check(
            r#"["one"]"#,
            r#"["on", "one", "one"]"#,
            "f:21: recipes[0].nodes[1].depends_on[0]: there is no node \"on\" in this recipe; did you mean \"one\"?\n\
             f:21: recipes[0].nodes[1].depends_on[2]: node \"one\" is there already; name it once",
        );
        check(
            r#""name": "two""#,
            r#""name": "one""#,
            "f:20: recipes[0].nodes[1]: node \"one\" is there already, on line 19; give one of them another name\n\
             f:23: recipes[0].nodes[2].depends_on[0]: there is no node \"two\" in this recipe; known are one, three\n\
             f:20: recipes[0].nodes[1]: these nodes wait for each other, so none can start: one -> one; remove one of the dependencies\n\
             f:23: recipes[0].nodes[2]: no node it depends on has the same \"files\" and \"exclude\"; leave \"match\" away",
        );
        check(
            r#""files": ["*.txt"],
        "match""#,
            r#""match""#,
            "f:22: recipes[0].nodes[2].match: means nothing without \"files\"; leave it away",
        );
        check(
            r#""match": "file", "depends_on": ["two"]"#,
            r#""match": "file""#,
            "f:23: recipes[0].nodes[2]: no node it depends on has the same \"files\" and \"exclude\"; leave \"match\" away",
        );
    }

    #[test]
    fn faults_of_the_whole_file_are_named() {
        let check = |text: &str, expected: &str| {
            let error = Workload::parse("f", text).expect_err(text).to_string();
            assert_eq!(error, expected, "{text}");
        };
        check("", "f:1: column 1: the file ends where a value is expected");
        check("[]", "f:1: an object is expected here, not a list; write for instance {\"name\": ...}");
        check(
            "{\"jobs\": [],\n}",
            "f:2: column 1: a field name in double quotes is expected here; is there a comma too many before it?",
        );
        check(
            r#"{"job_types": [{"name": "a", "command": ["b"]}], "jobs": []}"#,
            "f:1: neither \"jobs\" nor \"recipes\" holds anything, so there is nothing to run",
        );
        check(
            "{\n\"jobs\": [{\"type\": \"a\"}]}",
            "f:1: job_types: is missing; write for instance [{\"name\": \"hello\", \"command\": [\"echo\", \"hello\"]}]",
        );
    }

    #[test]
    fn at_most_ten_faults_are_listed() {
        let bad = r#"{ "type": "b:2", "count": 0 },"#.repeat(13);
        let error = Workload::parse("f", &GOOD.replace("\"jobs\": [", &format!("\"jobs\": [{bad}")));
        let text = error.expect_err("thirteen faults").to_string();
        assert_eq!(text.lines().count(), crate::workload::FAULTS_MAX + 1, "{text}");
        assert!(text.ends_with("\nand 3 more"), "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_read_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.json");
        let error = Workload::read(&path).expect_err("it is not there").to_string();
        assert!(error.starts_with("could not read /") && error.contains("w.json: No such file"), "{error}");
        std::fs::write(&path, b"{\n \"\xff\"").expect("a file");
        let error = Workload::read(&path).expect_err("it is no text").to_string();
        assert!(
            error.ends_with("w.json:2: column 3: the file is not UTF-8 from here on; save it as UTF-8"),
            "{error}"
        );
        let large = File::create(&path).expect("a file");
        large.set_len(WORKLOAD_BYTES_MAX as u64 + 1).expect("a hole");
        let error = Workload::read(&path).expect_err("it is large").to_string();
        assert!(error.ends_with("is larger than 64 MiB; split it into several workloads"), "{error}");
        std::fs::write(&path, format!("\u{feff}{GOOD}")).expect("a file");
        assert!(Workload::read(&path).is_ok(), "a byte order mark is skipped");
        assert_eq!(Workload::folder_of(Path::new("w.json")), Path::new("."));
        assert_eq!(Workload::folder_of(&path), folder.path());
    }

    #[test]
    fn the_examples_of_the_documentation_are_right() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/workload.md");
        let page = std::fs::read_to_string(path).expect("the page");
        let blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap_or(""));
        let blocks: Vec<&str> = blocks.collect();
        let (body, files) = blocks.split_last().expect("it has examples");
        assert_eq!(files.len(), 2);
        for file in files {
            Workload::parse("docs/workload.md", file).expect(file);
        }
        let body: crate::workload::SubmissionBody = serde_json::from_str(body).expect("the last is a body");
        assert_eq!(body.validate().expect("valid").1.n_jobs(), 4);
    }

    /// Values of every kind, some where the format has them.
    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let words = [
            "name",
            "version",
            "job_types",
            "jobs",
            "recipes",
            "nodes",
            "type",
            "command",
            "env",
            "resources",
            "cpus",
            "files",
            "exclude",
            "match",
            "file",
            "depends_on",
            "values",
            "count",
            "a",
            "{a}",
            "*",
            "1h",
            "",
        ];
        let word = prop::sample::select(words.to_vec()).prop_map(str::to_owned);
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            word.clone().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::vec((word.clone(), inner), 0..6)
                    .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
            let _ = Workload::parse_bytes("f", &bytes);
        }

        #[test]
        fn arbitrary_values_never_panic(
            types in any_json(), jobs in any_json(), nodes in any_json(), at in 0..GOOD.len(), tail in any_json(),
        ) {
            let file = serde_json::json!({"job_types": types, "jobs": jobs, "recipes": [{"nodes": nodes}]});
            let _ = Workload::parse("f", &file.to_string());
            // The start of a good file with something else behind it.
            let start: String = GOOD.chars().take(at).collect();
            let _ = Workload::parse("f", &format!("{start}{tail}"));
        }

        #[test]
        fn one_changed_field_never_panics(value in any_json(), n in 0usize..60) {
            // Replaces the n-th value of the good file, counted along the colons.
            if let Some((at, _)) = GOOD.match_indices(": ").nth(n) {
                let end = GOOD[at..].find([',', '}', ']']).map_or(GOOD.len(), |end| at + end);
                let _ = Workload::parse("f", &format!("{}: {value}{}", &GOOD[..at], &GOOD[end..]));
            }
        }
    }
}
