//! The entries of a workload file: job types, jobs, and the nodes of recipes.
//!
//! Every function reads one value and notes its faults; what it returns in spite of a fault serves
//! only to find more of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::surroundings::{check_image, check_n_uris, check_uri};
use crate::model::{FetchUri, JobTypeSpec, PRIORITY_DEFAULT, QueueMode};

use super::bounds::{
    ARGV_LEN_MAX, ENV_LEN_MAX, JOB_TYPES_MAX, JOBS_MAX, NODES_MAX, TEXT_BYTES_MAX, VALUES_MAX,
};
use super::check::{self, Need, shown};
use super::fields::{Cursor, Faults, Object, hint};
use super::files::{FILE_VALUES, Files, check_exclude, check_glob};
use super::graph::{cycle, cycle_text};
use super::problem::Problem;
use super::read::{FOLDER_VALUES, Node, Recipe, Work, Workload};

/// Version of a job type that states none.
const VERSION_DEFAULT: &str = "1.0";

/// Fields that entries of `jobs` and nodes of recipes have in common.
const WORK_FIELDS: [&str; 7] = ["type", "priority", "resources", "values", "files", "exclude", "allow_empty"];

const URI_FIELDS: [&str; 5] = ["value", "extract", "executable", "cache", "output_file"];

const TYPE_FIELDS: [&str; 15] = [
    "name",
    "version",
    "title",
    "description",
    "command",
    "env",
    "image",
    "uris",
    "resources",
    "timeout",
    "tries",
    "limit",
    "priority",
    "mode",
    "paused",
];

/// The whole file.
pub(super) fn read_workload(file: &Arc<str>, at: &Cursor<'_>, faults: &mut Faults) -> Option<Workload> {
    let object = at.object(faults, &["name", "description", "job_types", "jobs", "recipes"])?;
    let name = text(&object, "name", faults);
    text(&object, "description", faults);
    let types = Types::read(&object, faults);
    let jobs = object.get("jobs").map(|at| read_jobs(&at, &types, faults));
    let recipes = object.get("recipes").map(|at| read_recipes(&at, &types, faults));
    if jobs.as_ref().is_none_or(|(n, _)| *n == 0) && recipes.as_ref().is_none_or(|(n, _)| *n == 0) {
        faults.add(at.json.line, at, Problem::NothingToDo);
    }
    Some(Workload {
        file: file.clone(),
        name,
        job_types: types.specs,
        needs: types.needs,
        jobs: jobs.map(|(_, jobs)| jobs).unwrap_or_default(),
        recipes: recipes.map(|(_, recipes)| recipes).unwrap_or_default(),
    })
}

/// Text for people; empty where it is not there.
fn text(object: &Object<'_>, name: &str, faults: &mut Faults) -> String {
    let check = |text: &str| check::text(text, TEXT_BYTES_MAX);
    object.get(name).and_then(|at| at.checked(faults, "\"some words\"", check)).unwrap_or_default()
}

/// Notes more than `max` of something.
fn at_most(n: usize, max: usize, what: &'static str, at: &Cursor<'_>, faults: &mut Faults) {
    if n > max {
        faults.add(at.json.line, at, Problem::TooMany { n: n as u64, what, max });
    }
}

/// The job types read so far.
struct Types {
    specs: Vec<JobTypeSpec>,
    needs: Vec<Vec<Need>>,
    /// By name: version, place and line of each.
    by_name: BTreeMap<String, Vec<(String, usize, u32)>>,
    /// False where one could not be read, so that an unknown name may be that one's.
    is_complete: bool,
}

impl Types {
    fn read(object: &Object<'_>, faults: &mut Faults) -> Self {
        let mut types =
            Self { specs: Vec::new(), needs: Vec::new(), by_name: BTreeMap::new(), is_complete: true };
        let example = r#"[{"name": "hello", "command": ["echo", "hello"]}]"#;
        let Some(at) = object.need(faults, "job_types", example) else {
            types.is_complete = false;
            return types;
        };
        let list = at.list(faults, example);
        at_most(list.len(), JOB_TYPES_MAX, "job types", &at, faults);
        for at in list {
            match read_type(&at, faults) {
                Some(spec) => types.add(spec, &at, faults),
                None => types.is_complete = false,
            }
        }
        types
    }

    fn add(&mut self, spec: JobTypeSpec, at: &Cursor<'_>, faults: &mut Faults) {
        let versions = self.by_name.entry(spec.name.clone()).or_default();
        if let Some((.., line)) = versions.iter().find(|(version, ..)| *version == spec.version) {
            let problem = Problem::Twice {
                what: "job type",
                name: format!("{}:{}", spec.name, spec.version),
                place: format!(", on line {line}"),
                advice: "give one of them another name or version",
            };
            faults.add(at.json.line, at, problem);
        }
        versions.push((spec.version.clone(), self.specs.len(), at.json.line));
        self.needs.push(check::needs(&spec));
        self.specs.push(spec);
    }

    /// The place of the type called `reference`: a name, or a name, a colon and a version.
    fn resolve(&self, reference: &str) -> Result<usize, Problem> {
        let (name, version) = match reference.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (reference, None),
        };
        let versions = self.by_name.get(name).map_or(&[] as &[_], Vec::as_slice);
        match (version, versions) {
            (None, [(_, place, _)]) => return Ok(*place),
            (None, [_, ..]) => {
                let known: Vec<_> =
                    versions.iter().map(|(version, ..)| format!("\"{name}:{version}\"")).collect();
                return Err(Problem::AmbiguousType { name: shown(name), known: known.join(", ") });
            }
            (Some(version), _) => {
                if let Some((_, place, _)) = versions.iter().find(|(known, ..)| known == version) {
                    return Ok(*place);
                }
            }
            (None, []) => {}
        }
        Err(Problem::UnknownType { name: shown(reference), hint: self.hint(reference, versions) })
    }

    fn hint(&self, reference: &str, versions: &[(String, usize, u32)]) -> String {
        if versions.is_empty() {
            return hint(reference, self.by_name.keys().map(String::as_str));
        }
        let name = reference.split_once(':').map_or(reference, |(name, _)| name);
        let full: Vec<_> = versions.iter().map(|(version, ..)| format!("{name}:{version}")).collect();
        hint(reference, full.iter().map(String::as_str))
    }
}

fn read_type(at: &Cursor<'_>, faults: &mut Faults) -> Option<JobTypeSpec> {
    let object = at.object(faults, &TYPE_FIELDS)?;
    let name = object.need(faults, "name", "\"hello\"");
    let name = name.and_then(|at| at.checked(faults, "\"hello\"", check::label));
    let version = match object.get("version") {
        Some(at) => at.checked(faults, "\"1.0\"", check::label),
        None => Some(VERSION_DEFAULT.to_owned()),
    };
    let mut spec = JobTypeSpec::new(name.as_deref().unwrap_or("?"), version.as_deref().unwrap_or("?"));
    spec.title = text(&object, "title", faults);
    spec.description = text(&object, "description", faults);
    spec.command = read_command(&object, faults);
    spec.env = object.get("env").map(|at| read_env(&at, faults)).unwrap_or_default();
    let check = |text: &str| check_image(text).map_err(Problem::from);
    let image = object.get("image").and_then(|at| at.checked(faults, "\"host/name:1.0\"", check));
    spec.image = image.map(Into::into);
    spec.uris = object.get("uris").map(|at| read_uris(&at, faults)).unwrap_or_default().into();
    spec.resources = object.get("resources").map(|at| at.resources(faults)).unwrap_or_default();
    spec.timeout_s = object.get("timeout").and_then(|at| at.seconds(faults));
    if let Some(at) = object.get("tries") {
        spec.max_tries = at.integer(faults, 1, u16::MAX.into()).unwrap_or(spec.max_tries);
    }
    spec.max_scheduled = object.get("limit").and_then(|at| at.integer(faults, 1, u32::MAX.into()));
    spec.priority = read_priority(&object, faults).unwrap_or(PRIORITY_DEFAULT);
    spec.mode = object.get("mode").and_then(|at| read_mode(&at, faults));
    spec.is_paused = object.get("paused").and_then(|at| at.boolean(faults)).unwrap_or_default();
    name.and(version).map(|_| spec)
}

fn read_priority(object: &Object<'_>, faults: &mut Faults) -> Option<i32> {
    object.get("priority").and_then(|at| at.integer(faults, i32::MIN.into(), i32::MAX.into()))
}

fn read_command(object: &Object<'_>, faults: &mut Faults) -> Vec<String> {
    let example = r#"["echo", "hello"]"#;
    let Some(at) = object.need(faults, "command", example) else { return Vec::new() };
    let list = at.list(faults, example);
    at_most(list.len(), ARGV_LEN_MAX, "arguments", &at, faults);
    let argv: Vec<_> = list
        .filter_map(|at| at.checked(faults, "\"hello\"", check::argument).map(|text| (at, text)))
        .collect();
    match argv.first() {
        Some((at, program)) if program.is_empty() => {
            faults.add(at.json.line, at, Problem::Empty { example: "\"echo\"" });
        }
        None if at.is_empty_list() => {
            faults.add(at.json.line, at, Problem::Empty { example });
        }
        _ => {}
    }
    argv.into_iter().map(|(_, text)| text).collect()
}

fn read_env(at: &Cursor<'_>, faults: &mut Faults) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for (name, at) in at.entries(faults, r#"{"LC_ALL": "C"}"#) {
        faults.note(&at, check::env_name(name));
        let Some(text) = at.scalar(faults) else { continue };
        faults.note(&at, check::argument(&text));
        env.push((name.to_owned(), text));
    }
    at_most(env.len(), ENV_LEN_MAX, "variables", at, faults);
    env
}

fn read_uris(at: &Cursor<'_>, faults: &mut Faults) -> Vec<FetchUri> {
    let list = at.list(faults, r#"[{"value": "http://host/file"}]"#);
    faults.note(at, check_n_uris(list.len()));
    list.filter_map(|at| read_uri(&at, faults)).collect()
}

fn read_uri(at: &Cursor<'_>, faults: &mut Faults) -> Option<FetchUri> {
    let object = at.object(faults, &URI_FIELDS)?;
    let value = object.need(faults, "value", "\"http://host/file\"");
    let mut uri = FetchUri::new(value?.text(faults, "\"http://host/file\"")?);
    for (name, is_so) in
        [("extract", &mut uri.extract), ("executable", &mut uri.executable), ("cache", &mut uri.cache)]
    {
        *is_so = object.get(name).and_then(|at| at.boolean(faults)).unwrap_or(*is_so);
    }
    uri.output_file = object.get("output_file").and_then(|at| at.text(faults, "\"file\"")).map(str::to_owned);
    faults.note(at, check_uri(&uri)).map(|()| uri)
}

fn read_mode(at: &Cursor<'_>, faults: &mut Faults) -> Option<QueueMode> {
    match at.text(faults, "\"FIFO\"")? {
        "FIFO" => Some(QueueMode::Fifo),
        "LIFO" => Some(QueueMode::Lifo),
        other => {
            let problem = Problem::NoSuchWord { found: shown(other), known: "\"FIFO\" or \"LIFO\"" };
            faults.add(at.json.line, at, problem);
            None
        }
    }
}

/// How many there are, and those that could be read.
fn read_jobs(at: &Cursor<'_>, types: &Types, faults: &mut Faults) -> (usize, Vec<(u32, Work)>) {
    let list = at.list(faults, r#"[{"type": "hello"}]"#);
    let n = list.len();
    let jobs: Vec<_> = list.filter_map(|at| read_job(&at, types, faults)).collect();
    let without_files = jobs.iter().filter(|(_, work)| work.files.is_none());
    let n_jobs: u64 = without_files.map(|(count, _)| u64::from(*count)).sum();
    at_most(usize::try_from(n_jobs).unwrap_or(usize::MAX), JOBS_MAX, "jobs", at, faults);
    (n, jobs)
}

fn read_job(at: &Cursor<'_>, types: &Types, faults: &mut Faults) -> Option<(u32, Work)> {
    let known: Vec<_> = WORK_FIELDS.into_iter().chain(["count"]).collect();
    let object = at.object(faults, &known)?;
    let count = object.get("count").map_or(Some(1), |at| at.integer(faults, 1, u32::MAX.into()));
    let work = read_work(&object, types, faults)?;
    Some((count?, work))
}

fn read_work(object: &Object<'_>, types: &Types, faults: &mut Faults) -> Option<Work> {
    let job_type = read_type_reference(object, types, faults);
    let priority = read_priority(object, faults);
    let files = read_files(object, faults);
    let values_at = object.get("values");
    let values = values_at.map(|at| read_values(&at, files.is_some(), faults)).unwrap_or_default();
    let resources = object.get("resources").and_then(|at| {
        let resources = at.resources(faults);
        let base = &types.specs.get(job_type?)?.resources;
        faults.note(&at, base.overridden_by(&resources))?;
        Some(resources)
    });
    let job_type = job_type?;
    let has_file = object.get("files").is_some();
    let has = |name: &str| {
        FOLDER_VALUES.contains(&name)
            || (has_file && FILE_VALUES.contains(&name))
            || values.iter().any(|(known, _)| known == name)
            || values_at.is_some_and(|at| at.field(name).is_some())
    };
    let hint = |name: &str| {
        if FILE_VALUES.contains(&name) { ", or say which \"files\" it stands for" } else { "" }
    };
    if let Err(problem) = check::met(&types.specs[job_type], &types.needs[job_type], has, hint) {
        let (line, field) = match &values_at {
            Some(at) => (at.json.line, at.to_string()),
            None => (object.at.json.line, format!("{}.values", object.at)),
        };
        faults.add(line, field, problem);
    }
    Some(Work { job_type, priority, resources, values, files })
}

fn read_type_reference(object: &Object<'_>, types: &Types, faults: &mut Faults) -> Option<usize> {
    let at = object.need(faults, "type", "\"hello\"")?;
    let resolved = types.resolve(at.text(faults, "\"hello\"")?);
    if !types.is_complete && matches!(resolved, Err(Problem::UnknownType { .. })) {
        return None;
    }
    faults.note(&at, resolved)
}

fn read_values(at: &Cursor<'_>, has_files: bool, faults: &mut Faults) -> Vec<(String, String)> {
    let mut values = Vec::new();
    for (name, at) in at.entries(faults, r#"{"color": "blue"}"#) {
        let reserved = Problem::ReservedValue { name: shown(name) };
        let of_file = Problem::FileValue { name: shown(name) };
        let free = match name {
            _ if FOLDER_VALUES.contains(&name) => Err(reserved),
            _ if has_files && FILE_VALUES.contains(&name) => Err(of_file),
            _ => check::value_name(name),
        };
        faults.note(&at, free);
        let Some(text) = at.scalar(faults) else { continue };
        faults.note(&at, check::value(&text));
        values.push((name.to_owned(), text));
    }
    at_most(values.len(), VALUES_MAX - FILE_VALUES.len() - FOLDER_VALUES.len(), "values", at, faults);
    values
}

fn read_files(object: &Object<'_>, faults: &mut Faults) -> Option<Files> {
    let mut exclude = object.get("exclude").map(|at| read_globs(&at, faults, check_exclude));
    let allow_empty = object.get("allow_empty").map(|at| at.boolean(faults).unwrap_or_default());
    let Some(at) = object.get("files") else {
        for name in ["exclude", "allow_empty"] {
            if let Some(at) = object.get(name) {
                faults.add(at.json.line, at, Problem::NeedsFiles);
            }
        }
        return None;
    };
    let globs = read_globs(&at, faults, check_glob);
    if at.is_empty_list() {
        faults.add(at.json.line, at, Problem::Empty { example: "\"data/*.csv\"" });
    }
    Some(Files {
        line: at.json.line,
        field: at.to_string(),
        globs,
        exclude: exclude.take().unwrap_or_default(),
        allow_empty: allow_empty.unwrap_or_default(),
    })
}

/// One glob, or a list of them.
fn read_globs(
    at: &Cursor<'_>,
    faults: &mut Faults,
    check: impl Fn(&str) -> Result<(), Problem>,
) -> Vec<String> {
    let example = "\"data/*.csv\"";
    if matches!(at.json.value, super::json::Value::Text(_)) {
        return at.checked(faults, example, &check).into_iter().collect();
    }
    at.list(faults, "\"data/*.csv\" or [\"a/*.csv\", \"b/*.csv\"]")
        .filter_map(|at| at.checked(faults, example, &check))
        .collect()
}

/// How many there are, and those that could be read.
fn read_recipes(at: &Cursor<'_>, types: &Types, faults: &mut Faults) -> (usize, Vec<Recipe>) {
    let list = at.list(faults, r#"[{"nodes": [{"name": "first", "type": "hello"}]}]"#);
    let n = list.len();
    (n, list.filter_map(|at| read_recipe(&at, types, faults)).collect())
}

fn read_recipe(at: &Cursor<'_>, types: &Types, faults: &mut Faults) -> Option<Recipe> {
    let object = at.object(faults, &["name", "nodes"])?;
    let name = text(&object, "name", faults);
    let example = r#"[{"name": "first", "type": "hello"}]"#;
    let at = object.need(faults, "nodes", example)?;
    if at.is_empty_list() {
        faults.add(at.json.line, at, Problem::Empty { example });
    }
    let list = at.list(faults, example);
    at_most(list.len(), NODES_MAX, "nodes", &at, faults);
    let items: Vec<_> = list.collect();
    let names = read_node_names(&items, faults);
    let nodes: Vec<_> = items.iter().map(|at| read_node(at, &names, types, faults)).collect();
    let nodes = nodes.into_iter().collect::<Option<Vec<_>>>()?;
    let parents: Vec<_> = nodes.iter().map(|node| node.parents.clone()).collect();
    if let Some(circle) = cycle(&parents) {
        let path = cycle_text(&circle, |n| &nodes[n].name);
        let first = &items[circle[0]];
        faults.add(first.json.line, first, Problem::Cycle { path });
    }
    check_matches(&nodes, &items, faults);
    Some(Recipe { name, line: at.json.line, field: at.to_string(), nodes })
}

/// Places of the nodes by name.
fn read_node_names<'c>(items: &'c [Cursor<'c>], faults: &mut Faults) -> BTreeMap<&'c str, u32> {
    let mut names = BTreeMap::new();
    for (n, item) in items.iter().enumerate() {
        let Some(at) = item.field("name") else { continue };
        let super::json::Value::Text(name) = &at.value else { continue };
        let place = u32::try_from(n).unwrap_or(u32::MAX);
        if let Some(first) = names.insert(name.as_str(), place) {
            let line = items[first as usize].json.line;
            let problem = Problem::Twice {
                what: "node",
                name: shown(name),
                place: format!(", on line {line}"),
                advice: "give one of them another name",
            };
            faults.add(at.line, item, problem);
        }
    }
    names
}

fn read_node(
    at: &Cursor<'_>,
    names: &BTreeMap<&str, u32>,
    types: &Types,
    faults: &mut Faults,
) -> Option<Node> {
    let known: Vec<_> = ["name", "depends_on", "match"].into_iter().chain(WORK_FIELDS).collect();
    let object = at.object(faults, &known)?;
    let name = object.need(faults, "name", "\"first\"");
    let name = name.and_then(|at| at.checked(faults, "\"first\"", check::label));
    let parents = object.get("depends_on").map(|at| read_parents(&at, names, faults));
    let is_matched = object.get("match").is_some_and(|at| read_match(&at, &object, faults));
    let work = read_work(&object, types, faults);
    Some(Node { name: name?, work: work?, parents: parents.unwrap_or_default(), is_matched })
}

/// The field `match` of a node, at `at`.
fn read_match(at: &Cursor<'_>, node: &Object<'_>, faults: &mut Faults) -> bool {
    let Some(word) = at.text(faults, "\"file\"") else { return false };
    if word != "file" {
        faults.add(at.json.line, at, Problem::NoSuchWord { found: shown(word), known: "\"file\"" });
    } else if node.get("files").is_none() {
        faults.add(at.json.line, at, Problem::NeedsFiles);
    }
    word == "file"
}

fn read_parents(at: &Cursor<'_>, names: &BTreeMap<&str, u32>, faults: &mut Faults) -> Vec<u32> {
    let mut parents: Vec<u32> = Vec::new();
    for at in at.list(faults, "[\"first\"]") {
        let Some(name) = at.text(faults, "\"first\"") else { continue };
        let place = names.get(name).copied();
        let place = place.ok_or_else(|| Problem::UnknownNode {
            name: shown(name),
            hint: hint(name, names.keys().copied()),
        });
        let Some(place) = faults.note(&at, place) else { continue };
        if parents.contains(&place) {
            let problem = Problem::Twice {
                what: "node",
                name: shown(name),
                place: String::new(),
                advice: "name it once",
            };
            faults.add(at.json.line, at, problem);
        } else {
            parents.push(place);
        }
    }
    parents
}

/// Notes nodes that want the parent of their own file and have none.
fn check_matches(nodes: &[Node], items: &[Cursor<'_>], faults: &mut Faults) {
    for (node, at) in nodes.iter().zip(items) {
        let Some(files) = node.work.files.as_ref().filter(|_| node.is_matched) else { continue };
        let same =
            |&parent: &u32| nodes[parent as usize].work.files.as_ref().is_some_and(|f| f.is_same(files));
        if !node.parents.iter().any(same) {
            faults.add(at.field("match").map_or(at.json.line, |json| json.line), at, Problem::NothingToMatch);
        }
    }
}
