//! From what a workload file says to what it means here: one job per file of each glob.
//!
//! X1  What comes out passes `SubmissionBody::validate`.
//! X2  Equal file names give equal results, whatever the order of the file system.

use std::path::Path;
use std::sync::Arc;

use crate::model::{JobRequest, JobTypeId, RecipeNode};

use super::bounds::{EDGES_MAX, JOBS_MAX, NODES_MAX};
use super::check::Need;
use super::expanded::{Expanded, ExpandedRecipe};
use super::fields::Faults;
use super::files::{FILE_VALUES, Finder, FoundFile};
use super::problem::Problem;
use super::read::{Node, Recipe, Work, Workload, WorkloadError};

/// Folders that jobs are told of.
struct Folders {
    out: String,
    workload: String,
}

/// The jobs of one entry: one for each file, or one without.
type Files = Option<Arc<[FoundFile]>>;

/// Jobs that one entry makes.
fn n_jobs(files: &Files) -> usize {
    files.as_ref().map_or(1, |files| files.len())
}

impl Workload {
    /// Lists the files of its globs, which are relative to `folder`, and makes jobs of them.
    /// `out_dir` need not exist; jobs are told its absolute path.
    ///
    /// Values that the system fills (`file` and so on) are given to a job only where its type has
    /// a placeholder for them.
    ///
    /// # Errors
    /// Where a folder has no absolute path in UTF-8, a glob matches nothing, files cannot be
    /// listed, or there are too many.
    pub fn expand(&self, folder: &Path, out_dir: &Path) -> Result<Expanded, WorkloadError> {
        let folders = Folders {
            out: absolute("the folder of results", out_dir, std::path::absolute(out_dir))?,
            workload: absolute("the folder of the workload", folder, folder.canonicalize())?,
        };
        let mut faults = Faults::new(&self.file);
        let mut finder = Finder::new(&folders.workload);
        let mut expanded = Expanded {
            name: self.name.clone(),
            job_types: self.job_types.clone(),
            jobs: Vec::new(),
            recipes: Vec::new(),
        };
        let mut room = Room { left: JOBS_MAX as u64 };
        for (count, work) in &self.jobs {
            let Some(files) = find(work, &mut finder, &mut faults) else { continue };
            if !room.take(n_jobs(&files) as u64 * u64::from(*count), work, &mut faults) {
                break;
            }
            let request = |values| request(work, values).count(*count);
            let values = self.values(work, &files, &folders);
            expanded.jobs.extend(values.map(|values| (work.job_type, request(values))));
        }
        for recipe in &self.recipes {
            let recipe = self.expand_recipe(recipe, &folders, &mut finder, &mut room, &mut faults);
            expanded.recipes.extend(recipe.filter(|recipe| !recipe.job_types.is_empty()));
        }
        faults.or(expanded).map_err(WorkloadError::Invalid)
    }

    fn expand_recipe(
        &self,
        recipe: &Recipe,
        folders: &Folders,
        finder: &mut Finder<'_>,
        room: &mut Room,
        faults: &mut Faults,
    ) -> Option<ExpandedRecipe> {
        let files: Vec<_> = recipe.nodes.iter().map(|node| find(&node.work, finder, faults)).collect();
        let files = files.into_iter().collect::<Option<Vec<Files>>>()?;
        let plan = Plan::new(recipe, &files);
        if let Err(problem) = plan.check() {
            faults.add(recipe.line, &recipe.field, problem);
            return None;
        }
        for (node, files) in recipe.nodes.iter().zip(&files) {
            if !room.take(n_jobs(files) as u64, &node.work, faults) {
                return None;
            }
        }
        let mut expanded = ExpandedRecipe::default();
        expanded.request.name.clone_from(&recipe.name);
        for (n, node) in recipe.nodes.iter().enumerate() {
            for (index, values) in self.values(&node.work, &files[n], folders).enumerate() {
                expanded.job_types.push(node.work.job_type);
                expanded.request.nodes.push(RecipeNode {
                    name: node_name(node, &files[n], index).into(),
                    job: request(&node.work, values),
                    parents: plan.parents(n, index),
                });
            }
        }
        Some(expanded)
    }

    /// Values of each job of `work`.
    fn values<'w>(
        &'w self,
        work: &'w Work,
        files: &'w Files,
        folders: &'w Folders,
    ) -> impl Iterator<Item = Vec<(String, String)>> + 'w {
        let needs = &self.needs[work.job_type];
        (0..n_jobs(files)).map(move |index| {
            let file = files.as_ref().map(|files| &files[index]);
            let filled = needs.iter().filter_map(|need| filled(need, file, index, folders));
            work.values.iter().cloned().chain(filled).collect()
        })
    }
}

/// The value that the system fills for a placeholder; none where the file gave it.
fn filled(
    need: &Need,
    file: Option<&FoundFile>,
    index: usize,
    folders: &Folders,
) -> Option<(String, String)> {
    let value = match need.name.as_str() {
        "out_dir" => Some(folders.out.clone()),
        "workload_dir" => Some(folders.workload.clone()),
        name if FILE_VALUES.contains(&name) => file?.value(name, index),
        _ => None,
    };
    value.map(|value| (need.name.clone(), value))
}

fn request(work: &Work, values: Vec<(String, String)>) -> JobRequest {
    JobRequest {
        priority: work.priority,
        resources: work.resources.clone(),
        values: values.into(),
        ..JobRequest::new(JobTypeId::default())
    }
}

fn node_name(node: &Node, files: &Files, index: usize) -> String {
    match files {
        Some(files) => format!("{}[{}]", node.name, files[index].relative),
        None => node.name.clone(),
    }
}

fn absolute(
    what: &'static str,
    path: &Path,
    found: std::io::Result<std::path::PathBuf>,
) -> Result<String, WorkloadError> {
    let failed = |reason: String| WorkloadError::Folder { path: path.to_owned(), what, reason };
    let found = found.map_err(|error| failed(error.to_string()))?;
    let text = found.to_str().ok_or_else(|| failed("its path is not UTF-8; use another folder".into()))?;
    super::check::value(text).map_err(|problem| failed(problem.to_string()))?;
    Ok(text.to_owned())
}

/// The files of an entry; `None` where a fault was noted.
fn find(work: &Work, finder: &mut Finder<'_>, faults: &mut Faults) -> Option<Files> {
    let Some(files) = &work.files else { return Some(None) };
    match finder.find(files) {
        Ok(found) => Some(Some(found)),
        Err(problem) => {
            faults.add(files.line, &files.field, problem);
            None
        }
    }
}

/// How many more jobs the workload may have.
struct Room {
    left: u64,
}

impl Room {
    fn take(&mut self, n: u64, work: &Work, faults: &mut Faults) -> bool {
        if n <= self.left {
            self.left -= n;
            return true;
        }
        let (line, field) =
            work.files.as_ref().map_or((1, "jobs"), |files| (files.line, files.field.as_str()));
        let n = JOBS_MAX as u64 - self.left + n;
        faults.add(line, field, Problem::TooMany { n, what: "jobs", max: JOBS_MAX });
        false
    }
}

/// Where each node's jobs stand in the expanded recipe, and what they wait for.
struct Plan<'r> {
    nodes: &'r [Node],
    /// Place of each node's first job, and of what would follow the last.
    starts: Vec<usize>,
}

impl<'r> Plan<'r> {
    fn new(recipe: &'r Recipe, files: &[Files]) -> Self {
        let mut starts = vec![0];
        for files in files {
            starts.push(starts[starts.len() - 1] + n_jobs(files));
        }
        Self { nodes: &recipe.nodes, starts }
    }

    fn n_jobs(&self, node: usize) -> usize {
        self.starts[node + 1] - self.starts[node]
    }

    /// True where each job of `node` waits for one job of `parent`.
    fn is_matched(&self, node: &Node, parent: u32) -> bool {
        let files = |node: &'r Node| node.work.files.as_ref();
        node.is_matched
            && matches!((&node.work.files, files(&self.nodes[parent as usize])), (Some(a), Some(b)) if a.is_same(b))
    }

    fn check(&self) -> Result<(), Problem> {
        let n = self.starts[self.nodes.len()];
        if n > NODES_MAX {
            return Err(Problem::TooMany { n: n as u64, what: "nodes", max: NODES_MAX });
        }
        let edges = |(n, node): (usize, &Node)| {
            let of =
                |&parent: &u32| if self.is_matched(node, parent) { 1 } else { self.n_jobs(parent as usize) };
            (self.n_jobs(n) * node.parents.iter().map(of).sum::<usize>()) as u64
        };
        let n: u64 = self.nodes.iter().enumerate().map(edges).sum();
        if n > EDGES_MAX as u64 {
            return Err(Problem::TooMany { n, what: "dependencies", max: EDGES_MAX });
        }
        Ok(())
    }

    fn parents(&self, node: usize, index: usize) -> Vec<u32> {
        let mut parents = Vec::new();
        for &parent in &self.nodes[node].parents {
            let jobs = self.starts[parent as usize]..self.starts[parent as usize + 1];
            let own = jobs.start + index..jobs.start + index + 1;
            let jobs = if self.is_matched(&self.nodes[node], parent) { own } else { jobs };
            parents.extend(jobs.map(|job| u32::try_from(job).expect("at most NODES_MAX")));
        }
        parents
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SubmissionId;
    use crate::workload::SubmissionBody;

    fn expand(text: &str, names: &[&str]) -> Result<Expanded, String> {
        let folder = tempfile::tempdir().expect("a folder");
        for name in names {
            std::fs::write(folder.path().join(name), name).expect("a file");
        }
        let workload = Workload::parse("f", text).map_err(|error| error.to_string())?;
        let expanded =
            workload.expand(folder.path(), Path::new("/out")).map_err(|error| error.to_string())?;
        check_valid(&expanded);
        Ok(expanded)
    }

    /// X1, through text and back.
    fn check_valid(expanded: &Expanded) {
        let id = SubmissionId::new("i").expect("an id");
        let json = serde_json::to_string(&SubmissionBody::new(&id, expanded)).expect("json");
        let body: SubmissionBody = serde_json::from_str(&json).expect("it was just written");
        assert_eq!(body.validate().expect("valid"), (id, expanded.clone()));
    }

    const TYPES: &str = r#""job_types": [
        {"name": "t", "command": ["{file_path}", "{file_name}", "{file_stem}", "{index}", "{out_dir}", "{x}"]},
        {"name": "plain", "command": ["true"]}]"#;

    fn values(job: &JobRequest) -> Vec<String> {
        job.values.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn each_file_becomes_a_job_with_its_values() {
        let text = format!(
            r#"{{{TYPES}, "jobs": [{{"type": "t", "files": "*.txt", "values": {{"x": 7}}, "count": 2, "priority": 3}}]}}"#
        );
        let one = expand(&text, &["b.txt", "a.txt", "c.csv"]).expect("it expands");
        assert_eq!(one.n_jobs(), 4);
        let (at, job) = &one.jobs[0];
        assert_eq!((*at, job.count, job.priority), (0, 2, Some(3)));
        let expected =
            ["x=7", "file_path=a.txt", "file_name=a.txt", "file_stem=a", "index=0", "out_dir=/out"];
        assert_eq!(values(job), expected);
        assert_eq!(values(&one.jobs[1].1)[4], "index=1");
        let other = expand(&text, &["c.csv", "a.txt", "b.txt"]).expect("it expands");
        assert_eq!(one, other, "the order in which files were made changes nothing");
    }

    #[test]
    fn a_node_with_files_is_waited_for_as_a_whole_or_file_by_file() {
        let text = r#"{"job_types": [{"name": "t", "command": ["true", "{file}"]}, {"name": "p", "command": ["true"]}],
            "recipes": [{"name": "r", "nodes": [
                {"name": "join", "type": "p", "depends_on": ["second", "start"]},
                {"name": "start", "type": "p"},
                {"name": "first", "type": "t", "files": "*.txt", "depends_on": ["start"]},
                {"name": "second", "type": "t", "files": "*.txt", "depends_on": ["first", "start"], "match": "file"}]}]}"#;
        let expanded = expand(text, &["a.txt", "b.txt"]).expect("it expands");
        let nodes = &expanded.recipes[0].request.nodes;
        let found: Vec<_> = nodes.iter().map(|node| (&*node.name, node.parents.as_slice())).collect();
        let expected: [(&str, &[u32]); 6] = [
            ("join", &[4, 5, 1]),
            ("start", &[]),
            ("first[a.txt]", &[1]),
            ("first[b.txt]", &[1]),
            ("second[a.txt]", &[2, 1]),
            ("second[b.txt]", &[3, 1]),
        ];
        assert_eq!(found, expected);
        assert_eq!(expanded.recipes[0].job_types, [1, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn globs_without_files_are_all_named() {
        let text = r#"{"job_types": [{"name": "p", "command": ["true"]}],
            "jobs": [{"type": "p", "files": ["*.txt", "*.csv"]}],
            "recipes": [{"nodes": [
                {"name": "a", "type": "p", "files": "*.md"},
                {"name": "b", "type": "p", "files": "*.rs", "allow_empty": true}]}]}"#;
        let error = expand(text, &["a.txt"]).expect_err("two globs match nothing");
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(lines.len(), 2, "{error}");
        assert!(lines[0].starts_with("f:2: jobs[0].files: \"*.csv\" matches no file in /"), "{error}");
        assert!(lines[0].ends_with("; correct it, or add \"allow_empty\": true"), "{error}");
        assert!(lines[1].starts_with("f:4: recipes[0].nodes[0].files: \"*.md\" matches no file"), "{error}");
        let workload = Workload::parse("f", &text.replace("*.md", "*.txt")).expect("good");
        let gone = workload.expand(Path::new("/nowhere/at/all"), Path::new("/out")).expect_err("no folder");
        assert!(
            gone.to_string().starts_with("/nowhere/at/all cannot be used as the folder of the workload:")
        );
    }

    #[test]
    fn bounds_hold_for_what_files_make() {
        let names: Vec<String> = (0..1_001).map(|n| format!("{n}.txt")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let types = r#""job_types": [{"name": "p", "command": ["true"]}]"#;
        let jobs = format!(r#"{{{types}, "jobs": [{{"type": "p", "files": "*.txt", "count": 1000}}]}}"#);
        let error = expand(&jobs, &names).expect_err("too many jobs");
        assert_eq!(error, "f:1: jobs[0].files: 1001000 jobs; at most 1000000 are allowed");
        let recipe = format!(
            r#"{{{types}, "recipes": [{{"nodes": [{{"name": "a", "type": "p", "files": "*.txt"}},
               {{"name": "b", "type": "p", "files": "*.txt", "depends_on": ["a"]}}]}}]}}"#
        );
        let error = expand(&recipe, &names).expect_err("too many dependencies");
        assert_eq!(error, "f:1: recipes[0].nodes: 1002001 dependencies; at most 1000000 are allowed");
    }

    #[test]
    fn the_sample_of_the_repository_expands() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sample.json");
        let workload = Workload::read(&path).expect("the sample is good");
        let expanded = workload.expand(Workload::folder_of(&path), Path::new("/out")).expect("it expands");
        check_valid(&expanded);
        let nodes = &expanded.recipes[0].request.nodes;
        let report = nodes.last().expect("it has nodes");
        assert_eq!((&*report.name, report.parents.len()), ("report", nodes.len() - 1));
        assert_eq!((nodes.len() - 1) % 3, 0, "three jobs per file");
        assert!(nodes.iter().any(|node| &*node.name == "compress[../src/workload/expand.rs]"));
        assert!(!nodes.iter().any(|node| node.name.contains("target/")));
        assert_eq!(expanded, workload.expand(Workload::folder_of(&path), Path::new("/out")).expect("again"));
    }
}
