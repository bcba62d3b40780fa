//! The first pass: every row of every file is read, and nothing is made.
//!
//! Kept of it: the small tables, and 40 bytes for each live entry of the queue.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::rows::{Fault, Row, Rows, Wrong};
use super::tables::{Entry, JobRow, JobTypeRow, Revision, Table};
use crate::catalog::configuration::Configuration;
use crate::limits::LOAD_COUNT_MAX;
use crate::load::LoadRow;
use crate::model::{ErrorCategory, ErrorRecord, JobStatus, JobTypeId, NodeResources, Timestamp, Workspace};

/// Faults that are told one by one.
const FAULTS_MAX: usize = 20;

/// A file, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) table: Table,
    pub(super) path: PathBuf,
}

/// What files of small tables and of the queue hold, and how many rows there are.
#[derive(Default)]
pub(super) struct Found {
    pub(super) is_copy_text: bool,
    pub(super) workspaces: Vec<Workspace>,
    pub(super) nodes: Vec<String>,
    pub(super) errors: Vec<(i64, ErrorRecord)>,
    pub(super) types: BTreeMap<i64, JobTypeRow>,
    /// By their ids.
    pub(super) revisions: BTreeMap<i64, Revision>,
    /// By job.
    pub(super) queue: Vec<Entry>,
    pub(super) resources: Vec<NodeResources>,
    has_queue: bool,
    pub(super) n_jobs: u64,
    pub(super) n_queued: u64,
    pub(super) n_loads: u64,
    /// Canceled rows of the queue.
    pub(super) n_canceled: u64,
    /// Live rows of the queue whose job is not QUEUED.
    pub(super) n_stale: u64,
    /// Rows of the system's own job types, and what is of them.
    pub(super) n_system: u64,
    faults: Vec<Fault>,
    n_faults: u64,
}

/// What is wrong with the files: the first faults, and how many there are.
pub(super) struct Faults {
    pub(super) first: Vec<Fault>,
    pub(super) n: u64,
}

/// Reads all rows of a file, and gives each to `take`.
pub(super) fn each(
    source: &Source,
    is_copy_text: bool,
    mut take: impl FnMut(&Row<'_>) -> Result<(), Wrong>,
    mut fault: impl FnMut(Fault),
) {
    let mut rows = match Rows::open(&source.path, is_copy_text, source.table.needed()) {
        Ok(rows) => rows,
        Err(found) => return fault(found),
    };
    loop {
        let taken = match rows.next() {
            None => return,
            Some(Ok(row)) => take(&row).map_err(|wrong| (row.line, wrong)),
            Some(Err(found)) => {
                fault(found);
                continue;
            }
        };
        if let Err((line, wrong)) = taken {
            fault(rows.fault(line, &wrong));
        }
    }
}

/// A row of `job_load`; nothing for one of the system's own job types.
pub(super) fn load_row(row: &Row<'_>, types: &Types<'_>) -> Result<Option<LoadRow>, Wrong> {
    let job_type = match row.number::<i64>("job_type_id")? {
        None => None,
        Some(id) => match types.get(id, "job_type_id")? {
            None => return Ok(None),
            Some(ours) => Some(ours),
        },
    };
    let measured = row.time("measured")?.ok_or_else(|| Wrong::at("measured", "it is missing"))?;
    if measured > types.now {
        return Err(Wrong::at("measured", "it lies in the future"));
    }
    let count = |column| {
        let count = u64::from(row.number::<u32>(column)?.unwrap_or(0));
        debug_assert!(count <= LOAD_COUNT_MAX);
        Ok(count)
    };
    let (pending, queued) = (count("pending_count")?, count("queued_count")?);
    Ok(Some(LoadRow { measured, job_type, pending, queued, running: count("running_count")? }))
}

/// Ids of job types here by those there; nothing for the system's own ones.
pub(super) struct Types<'f> {
    pub(super) rows: &'f BTreeMap<i64, JobTypeRow>,
    pub(super) ours: HashMap<i64, JobTypeId>,
    pub(super) now: Timestamp,
}

impl Types<'_> {
    pub(super) fn get(&self, id: i64, column: &'static str) -> Result<Option<JobTypeId>, Wrong> {
        let unknown = || Wrong::at(column, format!("no row of job_type has the id {id}"));
        let row = self.rows.get(&id).ok_or_else(unknown)?;
        Ok(row.newest.as_ref().map(|_| self.ours.get(&id).copied().unwrap_or_default()))
    }
}

impl Found {
    /// Reads all files, in the order of their tables.
    pub(super) fn check(sources: &[Source], is_copy_text: bool, now: Timestamp) -> Result<Self, Faults> {
        let mut found = Self { is_copy_text, ..Self::default() };
        for source in sources {
            match source.table {
                Table::Queue => found.read_queue(source),
                Table::Job => found.read_jobs(source),
                Table::JobLoad => found.read_loads(source, now),
                _ => found.read_small(source),
            }
            if source.table == Table::JobTypeRev {
                found.check_revisions(source);
            }
        }
        for source in sources.iter().filter(|source| source.table == Table::Queue) {
            let is_lost = |entry: &&Entry| !entry.is_found;
            if let Some(entry) = found.queue.iter().find(is_lost) {
                let n = found.queue.iter().filter(is_lost).count();
                let reason = format!(
                    "{n} live rows are of jobs that no file of job has, entry {} of job {} among them",
                    entry.id, entry.job
                );
                found.fault(Fault { file: source.path.clone(), line: 0, column: None, reason });
            }
        }
        if found.n_faults > 0 { Err(Faults { first: found.faults, n: found.n_faults }) } else { Ok(found) }
    }

    fn fault(&mut self, fault: Fault) {
        self.n_faults += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    fn read(&mut self, source: &Source, mut take: impl FnMut(&mut Self, &Row<'_>) -> Result<(), Wrong>) {
        let mut faults = Vec::new();
        let mut n = 0;
        let is_copy_text = self.is_copy_text;
        each(
            source,
            is_copy_text,
            |row| take(self, row),
            |fault| {
                n += 1;
                if faults.len() < FAULTS_MAX {
                    faults.push(fault);
                }
            },
        );
        self.n_faults += n - faults.len() as u64;
        for fault in faults {
            self.fault(fault);
        }
    }

    fn read_small(&mut self, source: &Source) {
        self.read(source, |found, row| {
            match source.table {
                Table::Workspace => found.workspaces.push(workspace(row)?),
                Table::Node => found.nodes.push(row.name("hostname")?),
                Table::Error => {
                    let error = (row.id("id")?, error(row)?);
                    found.errors.push(error);
                }
                Table::JobType => {
                    let kind = JobTypeRow::read(row)?;
                    found.n_system += u64::from(kind.newest.is_none());
                    let is_twice = found.types.values().any(|known| {
                        known.id == kind.id || (&known.name, &known.version) == (&kind.name, &kind.version)
                    });
                    if is_twice {
                        return Err(Wrong::row(format!(
                            "job type {} {} is there twice",
                            kind.name, kind.version
                        )));
                    }
                    found.types.insert(kind.id, kind);
                }
                Table::JobTypeRev => {
                    let id = row.id::<i64>("job_type_id")?;
                    let unknown = || Wrong::at("job_type_id", format!("no row of job_type has the id {id}"));
                    if found.types.get(&id).ok_or_else(unknown)?.newest.is_none() {
                        found.n_system += 1;
                        return Ok(());
                    }
                    let revision = Revision::read(row)?;
                    if found.revisions.insert(revision.id, revision).is_some() {
                        return Err(Wrong::at("id", "it is there twice"));
                    }
                }
                Table::Queue | Table::Job | Table::JobLoad => {}
            }
            Ok(())
        });
    }

    /// Revisions of a type are numbered from 1 without a gap, as they will be here.
    fn check_revisions(&mut self, source: &Source) {
        let mut numbers: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for revision in self.revisions.values() {
            numbers.entry(revision.job_type).or_default().push(revision.number);
        }
        for (job_type, mut numbers) in numbers {
            numbers.sort_unstable();
            if !numbers.iter().copied().eq(1..=u32::try_from(numbers.len()).unwrap_or(u32::MAX)) {
                let reason = format!("revisions of job type {job_type} are {numbers:?}, not 1, 2, and so on");
                self.fault(Fault { file: source.path.clone(), line: 0, column: None, reason });
            }
        }
    }

    fn read_queue(&mut self, source: &Source) {
        self.has_queue = true;
        let mut known: HashMap<NodeResources, u32> = HashMap::new();
        self.read(source, |found, row| {
            let Some((mut entry, resources)) = Entry::read(row)? else {
                found.n_canceled += 1;
                return Ok(());
            };
            if let Some(resources) = resources {
                let all = &mut found.resources;
                entry.resources = *known.entry(resources).or_insert_with_key(|resources| {
                    all.push(resources.clone());
                    u32::try_from(all.len()).expect("fewer than rows that fit in memory")
                });
            }
            found.queue.push(entry);
            Ok(())
        });
        self.queue.sort_unstable_by_key(|entry| (entry.job, entry.id));
        if let Some(twice) = self.queue.windows(2).find(|pair| pair[0].job == pair[1].job) {
            let (job, ids) = (twice[0].job, [twice[0].id, twice[1].id]);
            let reason = format!("job {job} has two live rows, {} and {}", ids[0], ids[1]);
            self.fault(Fault { file: source.path.clone(), line: 0, column: None, reason });
        }
    }

    /// The live entry of a job.
    pub(super) fn entry(&self, job: i64) -> Option<&Entry> {
        let at = self.queue.binary_search_by_key(&job, |entry| entry.job).ok()?;
        Some(&self.queue[at])
    }

    fn read_jobs(&mut self, source: &Source) {
        let mut last = 0;
        self.read(source, |found, row| {
            let job = JobRow::read(row)?;
            if job.id <= last {
                let rule = "rows of job must come in the order of their ids: (SELECT * FROM job ORDER BY id)";
                return Err(Wrong::at("id", format!("{} stands behind {last}; {rule}", job.id)));
            }
            last = job.id;
            let at = found.queue.binary_search_by_key(&job.id, |entry| entry.job).ok();
            if let Some(at) = at {
                found.queue[at].is_found = true;
            }
            let unknown =
                || Wrong::at("job_type_id", format!("no row of job_type has the id {}", job.job_type));
            let kind = found.types.get(&job.job_type).ok_or_else(unknown)?;
            if kind.newest.is_none() {
                found.n_system += 1;
                return Ok(());
            }
            let is_of = |revision: &Revision| revision.job_type == job.job_type;
            if let Some(revision) = job.revision.filter(|_| !found.revisions.is_empty())
                && !found.revisions.get(&revision).is_some_and(is_of)
            {
                let of = job.job_type;
                return Err(Wrong::at(
                    "job_type_rev_id",
                    format!("job type {of} has no revision of the id {revision}"),
                ));
            }
            found.n_jobs += 1;
            found.n_queued += u64::from(matches!(job.status, JobStatus::Queued | JobStatus::Running));
            found.n_stale += u64::from(at.is_some() && job.status != JobStatus::Queued);
            Ok(())
        });
    }

    fn read_loads(&mut self, source: &Source, now: Timestamp) {
        let rows = std::mem::take(&mut self.types);
        let types = Types { rows: &rows, ours: HashMap::new(), now };
        self.read(source, |found, row| {
            match load_row(row, &types)? {
                Some(_) => found.n_loads += 1,
                None => found.n_system += 1,
            }
            Ok(())
        });
        self.types = rows;
    }
}

fn workspace(row: &Row<'_>) -> Result<Workspace, Wrong> {
    let configuration = row.json("json_config")?;
    Ok(Workspace {
        // Its id and times are given when it is put on record.
        id: 0,
        created: Timestamp(0),
        last_modified: Timestamp(0),
        name: row.name("name")?,
        title: row.text("title")?,
        description: row.text("description")?,
        base_url: Some(row.text("base_url")?).filter(|url| !url.is_empty()),
        is_active: !row.has("is_active") || row.flag("is_active")?,
        configuration: if configuration.is_null() { "".into() } else { configuration.to_string().into() },
        deprecated: row.time("deprecated")?,
    })
}

fn error(row: &Row<'_>) -> Result<ErrorRecord, Wrong> {
    let category = row.name("category")?;
    let known = ErrorCategory::ALL.into_iter().find(|known| known.as_str() == category);
    let category = known.ok_or_else(|| Wrong::at("category", format!("{category:?} is no category")))?;
    let mut error = ErrorRecord::new(row.name("name")?, category);
    error.title = Some(row.text("title")?).filter(|title| !title.is_empty()).unwrap_or(error.title);
    error.description = row.text("description")?;
    error.job_type_name = Some(row.text("job_type_name")?).filter(|name| !name.is_empty());
    error.is_builtin = row.flag("is_builtin")?;
    error.should_be_retried = row.flag("should_be_retried")?;
    Ok(error)
}

/// The text of a configuration, as it is shown.
pub(super) fn text_of(configuration: &Configuration) -> String {
    configuration.to_value().to_string()
}
