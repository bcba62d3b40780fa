//! A submission as JSON: what `weighbridge submit` posts and the server reads.
//!
//! These types are for the wire alone, so that the model can change without breaking a client: a
//! new field is optional and absent while it holds its default. `validate` is the only way from
//! here to the model; the server calls it on whatever came in.

use serde::{Deserialize, Serialize};

use crate::catalog::surroundings::{check_image, check_n_uris, check_uri};
use crate::model::{
    FetchUri, JobRequest, JobTypeId, JobTypeSpec, MAX_TRIES_DEFAULT, NodeResources, PRIORITY_DEFAULT,
    QueueMode, RecipeNode, RecipeRequest, SubmissionId,
};

use super::bounds::{
    ARGV_LEN_MAX, EDGES_MAX, ENV_LEN_MAX, JOB_TYPES_MAX, JOBS_MAX, NODE_NAME_BYTES_MAX, NODES_MAX,
    TEXT_BYTES_MAX, VALUES_MAX,
};
use super::check::{self, Need, shown};
use super::expanded::{Expanded, ExpandedRecipe};
use super::fnv::Fnv;
use super::graph::{cycle, cycle_text};
use super::problem::Problem;

/// Job types, jobs and recipes under an id of the caller's making.
///
/// ```
/// use weighbridge::SubmissionBody;
/// let body: SubmissionBody = serde_json::from_str(r#"{
///     "id": "nightly-17",
///     "job_types": [{ "name": "echo", "version": "1.0", "command": ["echo", "{word}"] }],
///     "jobs": [{ "job_type": 0, "values": { "word": "hello" } }]
/// }"#)?;
/// let (id, expanded) = body.validate()?;
/// assert_eq!((id.as_str(), expanded.n_jobs()), ("nightly-17", 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmissionBody {
    /// The caller's name for it; the same again returns the first answer. Over HTTP it may come in
    /// a header instead.
    #[serde(default)]
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Put on record before the jobs; a known name and version is edited where it differs.
    pub job_types: Vec<JobTypeBody>,
    /// Jobs without dependencies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobBody>,
    /// Graphs of jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipes: Vec<RecipeBody>,
}

/// A job type; see [`JobTypeSpec`] for the fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobTypeBody {
    /// Unique together with `version`.
    pub name: String,
    /// Any label.
    pub version: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What one execution asks of its node.
    #[serde(default)]
    pub resources: NodeResources,
    /// Program and arguments with placeholders.
    pub command: Vec<String>,
    /// Environment variables, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "pairs")]
    pub env: Vec<(String, String)>,
    /// The image that executions run in, on a cluster that runs those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What is fetched before the command starts, on a cluster that does so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<FetchUri>,
    /// Seconds an execution may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
    /// Tries of a job, at least 1.
    #[serde(default = "max_tries")]
    pub max_tries: u16,
    /// Most executions at once, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_scheduled: Option<u32>,
    /// Of its jobs; the lower number is the more important.
    #[serde(default = "priority")]
    pub priority: i32,
    /// Queue mode inside the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<QueueMode>,
    /// Its jobs wait until it is resumed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_paused: bool,
}

/// Jobs that are alike; see [`JobRequest`] for the fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobBody {
    /// Place of their type in `job_types`, from 0.
    pub job_type: usize,
    /// How many, at least 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
    /// Replaces the type's priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Replaces, by name, what the type asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<NodeResources>,
    /// For the placeholders of the type.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "pairs")]
    pub values: Vec<(String, String)>,
}

/// A graph of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeBody {
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its nodes.
    pub nodes: Vec<NodeBody>,
}

/// One job of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeBody {
    /// Unique in its recipe.
    pub name: String,
    /// Place of its type in `job_types`, from 0.
    pub job_type: usize,
    /// Replaces the type's priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Replaces, by name, what the type asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<NodeResources>,
    /// For the placeholders of the type.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "pairs")]
    pub values: Vec<(String, String)>,
    /// Places, in the recipe's list, of the nodes that must complete before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<u32>,
}

fn max_tries() -> u16 {
    MAX_TRIES_DEFAULT
}

fn priority() -> i32 {
    PRIORITY_DEFAULT
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

/// Why a body is not accepted: what is wrong with which field. Nothing of it was queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidSubmission {
    /// As a path from the top, such as `jobs[3].values`.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// Says which field a problem is of.
trait Of<T> {
    fn of(self, field: impl FnOnce() -> String) -> Result<T, InvalidSubmission>;
}

impl<T, E: Into<Problem>> Of<T> for Result<T, E> {
    fn of(self, field: impl FnOnce() -> String) -> Result<T, InvalidSubmission> {
        self.map_err(|problem| InvalidSubmission { field: field(), problem: problem.into() })
    }
}

fn at_most(n: usize, max: usize, what: &'static str) -> Result<(), Problem> {
    if n > max { Err(Problem::TooMany { n: n as u64, what, max }) } else { Ok(()) }
}

/// A job type that passed, and what its placeholders need.
struct Checked {
    spec: JobTypeSpec,
    needs: Vec<Need>,
}

impl JobTypeBody {
    /// Checks everything: bounds, names, placeholders.
    ///
    /// # Errors
    /// The first field that is not as it should be.
    pub fn validate(self) -> Result<JobTypeSpec, InvalidSubmission> {
        let spec = JobTypeSpec::from(self);
        check_type(&spec, str::to_owned)?;
        Ok(spec)
    }
}

impl SubmissionBody {
    /// The body for `expanded` under `id`.
    pub fn new(id: &SubmissionId, expanded: &Expanded) -> Self {
        Self { id: id.to_string(), ..Self::unnamed(expanded) }
    }

    fn unnamed(expanded: &Expanded) -> Self {
        let job = |(at, job): &(usize, JobRequest)| JobBody {
            job_type: *at,
            count: job.count,
            priority: job.priority,
            resources: job.resources.clone(),
            values: job.values.to_vec(),
        };
        Self {
            id: String::new(),
            name: expanded.name.clone(),
            job_types: expanded.job_types.iter().map(JobTypeBody::from).collect(),
            jobs: expanded.jobs.iter().map(job).collect(),
            recipes: expanded.recipes.iter().map(RecipeBody::from).collect(),
        }
    }

    /// Checks everything: bounds, names, references, placeholders, circles.
    ///
    /// Cost: the size of the body.
    ///
    /// # Errors
    /// The first field that is not as it should be.
    pub fn validate(self) -> Result<(SubmissionId, Expanded), InvalidSubmission> {
        let id = SubmissionId::new(&self.id).of(|| "id".into())?;
        check::text(&self.name, TEXT_BYTES_MAX).of(|| "name".into())?;
        at_most(self.job_types.len(), JOB_TYPES_MAX, "job types").of(|| "job_types".into())?;
        self.check_n_jobs()?;
        let types = checked_types(self.job_types)?;
        let jobs = self.jobs.into_iter().enumerate();
        let jobs = jobs
            .map(|(n, body)| checked_job(body, &types, || format!("jobs[{n}]")))
            .collect::<Result<_, _>>()?;
        let recipes = self.recipes.into_iter().enumerate();
        let recipes = recipes
            .map(|(n, body)| checked_recipe(body, &types, &format!("recipes[{n}]")))
            .collect::<Result<_, _>>()?;
        let job_types = types.into_iter().map(|t| t.spec).collect();
        Ok((id, Expanded { name: self.name, job_types, jobs, recipes }))
    }

    fn check_n_jobs(&self) -> Result<(), InvalidSubmission> {
        let counted: u64 = self.jobs.iter().map(|job| u64::from(job.count)).sum();
        let nodes: usize = self.recipes.iter().map(|recipe| recipe.nodes.len()).sum();
        let n = counted + nodes as u64;
        if n == 0 {
            return Err(Problem::NothingToDo).of(|| "jobs".into());
        }
        if n > JOBS_MAX as u64 {
            return Err(Problem::TooMany { n, what: "jobs", max: JOBS_MAX }).of(|| "jobs".into());
        }
        Ok(())
    }
}

fn checked_types(bodies: Vec<JobTypeBody>) -> Result<Vec<Checked>, InvalidSubmission> {
    let mut names = std::collections::BTreeSet::new();
    let mut types = Vec::new();
    for (n, body) in bodies.into_iter().enumerate() {
        let field = |name: &str| format!("job_types[{n}].{name}");
        if !names.insert((body.name.clone(), body.version.clone())) {
            return Err(Problem::Twice {
                what: "job type",
                name: shown(&format!("{}:{}", body.name, body.version)),
                place: String::new(),
                advice: "give one of them another name or version",
            })
            .of(|| field("name"));
        }
        let spec = JobTypeSpec::from(body);
        check_type(&spec, field)?;
        types.push(Checked { needs: check::needs(&spec), spec });
    }
    Ok(types)
}

fn check_type(spec: &JobTypeSpec, field: impl Fn(&str) -> String) -> Result<(), InvalidSubmission> {
    check::label(&spec.name).of(|| field("name"))?;
    check::label(&spec.version).of(|| field("version"))?;
    check::text(&spec.title, TEXT_BYTES_MAX).of(|| field("title"))?;
    check::text(&spec.description, TEXT_BYTES_MAX).of(|| field("description"))?;
    if spec.command.first().is_none_or(String::is_empty) {
        return Err(Problem::Empty { example: r#"["echo", "hello"]"# }).of(|| field("command"));
    }
    at_most(spec.command.len(), ARGV_LEN_MAX, "arguments").of(|| field("command"))?;
    for (at, text) in spec.command.iter().enumerate() {
        check::argument(text).of(|| field(&format!("command[{at}]")))?;
    }
    at_most(spec.env.len(), ENV_LEN_MAX, "variables").of(|| field("env"))?;
    for (name, text) in &spec.env {
        check::env_name(name).of(|| field("env"))?;
        check::argument(text).of(|| field(&format!("env.{name}")))?;
    }
    spec.image.as_deref().map_or(Ok(()), check_image).of(|| field("image"))?;
    check_n_uris(spec.uris.len()).of(|| field("uris"))?;
    for (at, uri) in spec.uris.iter().enumerate() {
        check_uri(uri).of(|| field(&format!("uris[{at}]")))?;
    }
    let positive = |n: u32, max: i64, name: &str| {
        let wrong = Problem::OutOfRange { min: 1, max, found: n.to_string() };
        if n == 0 { Err(wrong).of(|| field(name)) } else { Ok(()) }
    };
    positive(spec.max_tries.into(), u16::MAX.into(), "max_tries")?;
    positive(spec.timeout_s.unwrap_or(1), u32::MAX.into(), "timeout_s")?;
    positive(spec.max_scheduled.unwrap_or(1), u32::MAX.into(), "max_scheduled")
}

fn checked_job(
    body: JobBody,
    types: &[Checked],
    field: impl Fn() -> String,
) -> Result<(usize, JobRequest), InvalidSubmission> {
    let field = |name: &str| format!("{}.{name}", field());
    let n = types.len();
    let kind = types
        .get(body.job_type)
        .ok_or(Problem::NoTypeAt { index: body.job_type, n })
        .of(|| field("job_type"))?;
    if body.count == 0 {
        let wrong = Problem::OutOfRange { min: 1, max: u32::MAX.into(), found: "0".into() };
        return Err(wrong).of(|| field("count"));
    }
    if let Some(resources) = &body.resources {
        kind.spec.resources.overridden_by(resources).of(|| field("resources"))?;
    }
    at_most(body.values.len(), VALUES_MAX, "values").of(|| field("values"))?;
    for (name, text) in &body.values {
        check::value_name(name).of(|| field("values"))?;
        check::value(text).of(|| field(&format!("values.{name}")))?;
    }
    let has = |name: &str| body.values.iter().any(|(known, _)| known == name);
    check::met(&kind.spec, &kind.needs, has, |_| "").of(|| field("values"))?;
    let request = JobRequest {
        count: body.count,
        priority: body.priority,
        resources: body.resources,
        values: body.values.into(),
        ..JobRequest::new(JobTypeId::default())
    };
    Ok((body.job_type, request))
}

fn checked_recipe(
    body: RecipeBody,
    types: &[Checked],
    field: &str,
) -> Result<ExpandedRecipe, InvalidSubmission> {
    check::text(&body.name, TEXT_BYTES_MAX).of(|| format!("{field}.name"))?;
    check_graph(&body.nodes, field)?;
    let mut recipe = ExpandedRecipe::default();
    recipe.request.name = body.name;
    for (n, node) in body.nodes.into_iter().enumerate() {
        let job = JobBody {
            job_type: node.job_type,
            count: 1,
            priority: node.priority,
            resources: node.resources,
            values: node.values,
        };
        let (at, job) = checked_job(job, types, || format!("{field}.nodes[{n}]"))?;
        recipe.job_types.push(at);
        recipe.request.nodes.push(RecipeNode { name: node.name.into(), job, parents: node.parents });
    }
    Ok(recipe)
}

fn check_graph(nodes: &[NodeBody], field: &str) -> Result<(), InvalidSubmission> {
    let all = || format!("{field}.nodes");
    if nodes.is_empty() {
        return Err(Problem::Empty { example: r#"[{"name": "first", "job_type": 0}]"# }).of(all);
    }
    at_most(nodes.len(), NODES_MAX, "nodes").of(all)?;
    at_most(nodes.iter().map(|node| node.parents.len()).sum(), EDGES_MAX, "dependencies").of(all)?;
    let mut names = std::collections::BTreeSet::new();
    for (n, node) in nodes.iter().enumerate() {
        let name = || format!("{field}.nodes[{n}].name");
        if node.name.is_empty() {
            return Err(Problem::Empty { example: r#""first""# }).of(name);
        }
        check::text(&node.name, NODE_NAME_BYTES_MAX).of(name)?;
        if !names.insert(node.name.as_str()) {
            return Err(Problem::Twice {
                what: "node",
                name: shown(&node.name),
                place: String::new(),
                advice: "give one of them another name",
            })
            .of(name);
        }
        check_parents(&node.parents, nodes.len()).of(|| format!("{field}.nodes[{n}].parents"))?;
    }
    let parents: Vec<Vec<u32>> = nodes.iter().map(|node| node.parents.clone()).collect();
    match cycle(&parents) {
        Some(circle) => Err(Problem::Cycle { path: cycle_text(&circle, |n| &nodes[n].name) }).of(all),
        None => Ok(()),
    }
}

fn check_parents(parents: &[u32], n: usize) -> Result<(), Problem> {
    let mut sorted = parents.to_vec();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Problem::Twice {
            what: "node",
            name: pair[0].to_string(),
            place: String::new(),
            advice: "name each parent once",
        });
    }
    match sorted.last() {
        Some(&index) if index as usize >= n => Err(Problem::NoNodeAt { index, n }),
        _ => Ok(()),
    }
}

impl From<&JobTypeSpec> for JobTypeBody {
    fn from(spec: &JobTypeSpec) -> Self {
        let spec = spec.clone();
        Self {
            name: spec.name,
            version: spec.version,
            title: spec.title,
            description: spec.description,
            resources: spec.resources,
            command: spec.command,
            env: spec.env,
            image: spec.image.as_deref().map(str::to_owned),
            uris: spec.uris.to_vec(),
            timeout_s: spec.timeout_s,
            max_tries: spec.max_tries,
            max_scheduled: spec.max_scheduled,
            priority: spec.priority,
            mode: spec.mode,
            is_paused: spec.is_paused,
        }
    }
}

impl From<JobTypeBody> for JobTypeSpec {
    fn from(body: JobTypeBody) -> Self {
        Self {
            title: body.title,
            description: body.description,
            resources: body.resources,
            command: body.command,
            env: body.env,
            image: body.image.map(Into::into),
            uris: body.uris.into(),
            timeout_s: body.timeout_s,
            max_tries: body.max_tries,
            max_scheduled: body.max_scheduled,
            priority: body.priority,
            mode: body.mode,
            is_paused: body.is_paused,
            ..Self::new(body.name, body.version)
        }
    }
}

impl From<&ExpandedRecipe> for RecipeBody {
    fn from(recipe: &ExpandedRecipe) -> Self {
        let node = |(node, &job_type): (&RecipeNode, &usize)| NodeBody {
            name: node.name.to_string(),
            job_type,
            priority: node.job.priority,
            resources: node.job.resources.clone(),
            values: node.job.values.to_vec(),
            parents: node.parents.clone(),
        };
        let RecipeRequest { name, nodes } = &recipe.request;
        Self { name: name.clone(), nodes: nodes.iter().zip(&recipe.job_types).map(node).collect() }
    }
}

impl Expanded {
    /// A text that is equal for equal workloads and, but for one chance in 2^64, different for
    /// different ones; the same in every version of this program. Makes the id under which the
    /// same command finds its earlier submission again.
    pub fn fingerprint(&self) -> String {
        let mut hash = Fnv::default();
        // The hash takes everything, and no key of the body is other than text.
        let written = serde_json::to_writer(&mut hash, &SubmissionBody::unnamed(self));
        debug_assert!(written.is_ok(), "{written:?}");
        format!("{:016x}", hash.0)
    }
}

/// Pairs of texts as a JSON object, in order; a name that comes twice is an error.
mod pairs {
    use serde::de::{Error, MapAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(pairs: &[(String, String)], s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(pairs.iter().map(|(name, text)| (name, text)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<(String, String)>, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, String)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of texts, such as {\"name\": \"value\"}")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Self::Value::new();
                let mut names = std::collections::BTreeSet::new();
                while let Some((name, text)) = map.next_entry::<String, String>()? {
                    if !names.insert(name.clone()) {
                        return Err(M::Error::custom(format!("{name:?} is given twice")));
                    }
                    pairs.push((name, text));
                }
                Ok(pairs)
            }
        }
        d.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(json: &str) -> SubmissionBody {
        serde_json::from_str(json).expect(json)
    }

    const FULL: &str = r#"{"id":"i","name":"n","job_types":[{"name":"t","version":"1","title":"T",
        "description":"D","resources":{"cpus":0.5,"mem":64},"command":["sh","{x}"],"env":{"B":"{y}","A":"2"},
        "image":"h/t:1","uris":[{"value":"/x","executable":true}],"timeout_s":9,"max_tries":2,"max_scheduled":3,"priority":-1,"mode":"LIFO","is_paused":true}],
        "jobs":[{"job_type":0,"count":4,"priority":0,"resources":{"gpus":1},"values":{"y":"1","x":"2"}}],
        "recipes":[{"name":"r","nodes":[{"name":"a","job_type":0,"values":{"x":"","y":""}},
        {"name":"b","job_type":0,"priority":7,"resources":{"mem":1},"values":{"x":"","y":""},"parents":[0]}]}]}"#;

    #[test]
    fn what_is_written_reads_back_to_the_same_workload() {
        let sent = body(FULL);
        let (id, expanded) = sent.clone().validate().expect("valid");
        assert_eq!(expanded.n_jobs(), 6);
        assert_eq!(SubmissionBody::new(&id, &expanded), sent);
        let json = serde_json::to_string(&sent).expect("json");
        assert_eq!(body(&json), sent);
        assert_eq!(expanded.job_types[0].env[0].0, "B", "the order of the file is kept");
    }

    #[test]
    fn equal_workloads_have_equal_fingerprints() {
        let expanded = |json: &str| body(json).validate().expect(json).1;
        let one = expanded(FULL);
        assert_eq!(one.fingerprint(), expanded(&FULL.replace("\"id\":\"i\"", "\"id\":\"j\"")).fingerprint());
        assert_ne!(one.fingerprint(), expanded(&FULL.replace("\"count\":4", "\"count\":5")).fingerprint());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(FULL.contains(from), "{from}");
            let error = body(&FULL.replacen(from, to, 1)).validate().expect_err(to).to_string();
            assert!(error.starts_with(expected), "{to}: {error}");
        };
        check(r#""id":"i""#, r#""id":"""#, "id: a submission id is");
        check(r#""name":"t""#, r#""name":"a b""#, "job_types[0].name: \"a b\" is no name");
        check(r#""version":"1""#, r#""version":"""#, "job_types[0].version: \"\" is no name");
        check(r#"["sh","{x}"]"#, "[]", "job_types[0].command: is empty");
        check(r#""{x}""#, r#""{x""#, "job_types[0].command[1]: a single '{'");
        check(r#""{x}""#, r#""\u0000""#, "job_types[0].command[1]: holds a NUL");
        check(r#""{x}""#, r#""{z}""#, "jobs[0].values: no value for {z}, which t:1 uses in command[1]");
        check(r#""B":"{y}""#, r#""B=":"{y}""#, "job_types[0].env: \"B=\" is no name for an environment");
        check(r#""h/t:1""#, r#""h t""#, "job_types[0].image: an image has 1 to 500 characters");
        check(r#""value":"/x""#, r#""value":"""#, "job_types[0].uris[0]: a URI has 1 to 2048 bytes");
        check(
            r#""executable":true"#,
            r#""output_file":"../x""#,
            "job_types[0].uris[0]: output_file is a path",
        );
        let many = vec![r#"{"value":"/x"}"#; 65].join(",");
        let one = r#"{"value":"/x","executable":true}"#;
        check(one, &many, "job_types[0].uris: 65 files to fetch; at most 64");
        check(r#""timeout_s":9"#, r#""timeout_s":0"#, "job_types[0].timeout_s: a whole number from 1");
        check(r#""max_tries":2"#, r#""max_tries":0"#, "job_types[0].max_tries: a whole number from 1");
        check(r#""max_scheduled":3"#, r#""max_scheduled":0"#, "job_types[0].max_scheduled: a whole");
        check(
            r#""job_type":0,"count""#,
            r#""job_type":1,"count""#,
            "jobs[0].job_type: there is no job type 1",
        );
        check(r#""count":4"#, r#""count":0"#, "jobs[0].count: a whole number from 1");
        check(r#""count":4"#, r#""count":1000000"#, "jobs: 1000002 jobs; at most 1000000 are allowed");
        check(r#"{"y":"1","x":"2"}"#, r#"{"job_id":"1"}"#, "jobs[0].values: \"job_id\" is filled");
        check(r#""name":"b""#, r#""name":"a""#, "recipes[0].nodes[1].name: node \"a\" is there already");
        check(r#""name":"b""#, r#""name":"""#, "recipes[0].nodes[1].name: is empty");
        check(r#""parents":[0]"#, r#""parents":[2]"#, "recipes[0].nodes[1].parents: there is no node 2");
        check(r#""parents":[0]"#, r#""parents":[0,0]"#, "recipes[0].nodes[1].parents: node \"0\" is there");
        check(r#""parents":[0]"#, r#""parents":[1]"#, "recipes[0].nodes: these nodes wait for each other");
    }

    #[test]
    fn a_body_of_another_shape_is_refused_by_its_reader() {
        let check = |json: &str, expected: &str| {
            let error = serde_json::from_str::<SubmissionBody>(json).expect_err(json).to_string();
            assert!(error.contains(expected), "{json}: {error}");
        };
        check(r#"{"id":"i","job_types":[],"limit":1}"#, "unknown field `limit`");
        check(r#"{"id":"i"}"#, "missing field `job_types`");
        check(
            r#"{"id":"i","job_types":[],"jobs":[{"job_type":0,"values":{"a":"1","a":"2"}}]}"#,
            "given twice",
        );
        assert_eq!(
            body(r#"{"id":"i","job_types":[]}"#).validate().expect_err("empty").problem,
            Problem::NothingToDo
        );
    }

    proptest! {
        #[test]
        fn no_body_panics(
            types in prop::collection::vec(("[a-c]{0,2}", "[{}a-c\u{0}]{0,4}", 0u16..3), 0..3),
            jobs in prop::collection::vec((0usize..4, 0u32..3, "[a-c]{0,2}"), 0..4),
            nodes in prop::collection::vec(("[a-e]{0,2}", 0usize..3, prop::collection::vec(0u32..6, 0..4)), 0..6),
        ) {
            let spec = |(name, command, tries): (String, String, u16)| JobTypeBody {
                max_tries: tries,
                ..JobTypeBody::from(&JobTypeSpec::new(name, "1").command([command]))
            };
            let job = |(job_type, count, name): (usize, u32, String)| JobBody {
                job_type, count, priority: None, resources: None, values: vec![(name, String::new())],
            };
            let node = |(name, job_type, parents)| NodeBody {
                name, job_type, priority: None, resources: None, values: Vec::new(), parents,
            };
            let sent = SubmissionBody {
                id: "i".into(),
                name: String::new(),
                job_types: types.into_iter().map(spec).collect(),
                jobs: jobs.into_iter().map(job).collect(),
                recipes: vec![RecipeBody { name: String::new(), nodes: nodes.into_iter().map(node).collect() }],
            };
            if let Ok((id, expanded)) = sent.clone().validate() {
                prop_assert_eq!(SubmissionBody::new(&id, &expanded), sent);
            }
        }
    }
}
