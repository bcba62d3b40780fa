//! The second pass: what the files hold is made in the store, some rows at a time. The same files again change
//! nothing: what was taken over is known by its name, and goes on where it stopped.

use std::collections::{HashMap, VecDeque};
use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::check::{Found, Source, Types, each, load_row, text_of};
use super::rows::Fault;
use super::tables::{Entry, JobRow, JobTypeRow, Table};
use crate::catalog::configuration::Configuration;
use crate::catalog::manifest::Manifest;
use crate::catalog::spec::spec;
use crate::cli::failure::Failure;
use crate::engine::{
    Engine, JobRestored, JobTakenOver, JobTypeChange, NewJobType, TakeOverError, Ticket, TicketError,
};
use crate::intake::IntakeError;
use crate::limits::{EVENT_JOBS_MAX, JOB_TYPE_BYTES_MAX};
use crate::load::LoadRow;
use crate::model::{
    Accepted, ErrorId, ExeId, Given, JobRequest, JobStatus, JobTypeId, Outcome, SubmissionId,
};

/// How long one step may take to be on disk.
const WAIT: Duration = Duration::from_mins(5);

/// How many ids of jobs one step covers: few enough for their inputs, and the same in every file.
const IDS_AT_ONCE: i64 = 256;

/// Steps under way at once.
const STEPS_MAX: usize = 32;

/// Said in the store before the first job is taken over, and after the last.
const BEGIN: &str = "scale:begin";
const END: &str = "scale:end";

const _: () = assert!(IDS_AT_ONCE < EVENT_JOBS_MAX as i64 && JOB_TYPE_BYTES_MAX > 0);

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Carried {
    pub(super) n_job_types: u64,
    pub(super) n_jobs: u64,
    /// Of these, jobs that were taken over before.
    pub(super) n_known_jobs: u64,
    /// Jobs whose id is another one here.
    pub(super) n_renumbered: u64,
    pub(super) n_load_rows: u64,
    /// Load rows that were there, and as they are.
    pub(super) n_known_load_rows: u64,
}

fn refused(what: &str, error: impl Display) -> Failure {
    Failure::failed("import", format_args!("{what}: {error}"))
        .help("what was taken over so far is in the store; the same command goes on from there")
}

fn name_of(text: &str) -> SubmissionId {
    SubmissionId::new(text).expect("printable and short")
}

fn wait<T: Clone, E: Clone + Display>(what: &str, ticket: &Ticket<T, E>) -> Result<T, Failure> {
    ticket.wait_durable(WAIT).map_err(|error| match error {
        TicketError::Refused(error) => refused(what, error),
        TicketError::TimedOut(_) => refused(what, "it is not on disk in time"),
        _ => refused(what, "the store takes nothing any more"),
    })
}

fn sent<T, E>(
    what: &str,
    engine: &Engine,
    mut send: impl FnMut() -> Result<Ticket<T, E>, IntakeError>,
) -> Result<Ticket<T, E>, Failure> {
    loop {
        match send() {
            Ok(ticket) => return Ok(ticket),
            Err(IntakeError::Busy) => engine.pump(),
            Err(error) => return Err(refused(what, error)),
        }
    }
}

fn done<T: Clone, E: Clone + Display>(
    what: &str,
    engine: &Engine,
    send: impl FnMut() -> Result<Ticket<T, E>, IntakeError>,
) -> Result<T, Failure> {
    wait(what, &sent(what, engine, send)?)
}

/// The second pass under way.
pub(super) struct Carrying<'f> {
    engine: &'f Engine,
    found: &'f Found,
    types: Types<'f>,
    /// Numbers of revisions here are those there where all of them were told, else there is one.
    errors: HashMap<i64, ErrorId>,
    /// The store has all jobs of an import.
    is_over: bool,
    map: Option<&'f mut dyn Write>,
    carried: Carried,
}

type Step = (Vec<i64>, Ticket<Accepted, TakeOverError>);

impl<'f> Carrying<'f> {
    /// Refuses a store that has jobs of its own.
    pub(super) fn new(
        engine: &'f Engine,
        found: &'f Found,
        map: Option<&'f mut dyn Write>,
    ) -> Result<Self, Failure> {
        let is_begun = engine.submission(&name_of(BEGIN)).is_some();
        if !is_begun && engine.fresh_view(WAIT).totals.total() > 0 && found.n_jobs > 0 {
            let text = "the store has jobs that are not of an import: their ids and their order would mix";
            return Err(Failure::failed("import", text).help("give a new directory with --store"));
        }
        let is_over = engine.submission(&name_of(END)).is_some();
        let types = Types { rows: &found.types, ours: HashMap::new(), now: engine.now() };
        let (errors, carried) = (HashMap::new(), Carried::default());
        Ok(Self { engine, found, types, errors, is_over, map, carried })
    }

    /// Makes all of it.
    pub(super) fn run(mut self, sources: &[Source]) -> Result<Carried, Failure> {
        self.put_small()?;
        for kind in self.found.types.values() {
            if let Some((newest, configuration)) = &kind.newest {
                let id = self.put_type(kind, &newest.manifest, &newest.docker_image, configuration)?;
                self.types.ours.insert(kind.id, id);
                self.carried.n_job_types += 1;
                self.tell("job_type", kind.id, u64::from(id.0))?;
            }
        }
        for source in sources {
            match source.table {
                Table::Job => self.carry_jobs(source)?,
                Table::JobLoad => self.carry_loads(source)?,
                _ => {}
            }
        }
        if self.carried.n_jobs > 0 {
            done("the end", self.engine, || self.engine.take_over_jobs(name_of(END), Vec::new()))?;
        }
        Ok(self.carried)
    }

    /// A line of the map from ids there to ids here.
    fn tell(&mut self, table: &str, there: i64, here: u64) -> Result<(), Failure> {
        let Some(map) = &mut self.map else { return Ok(()) };
        writeln!(map, "{}", serde_json::json!({ "table": table, "scale": there, "id": here }))
            .map_err(|error| refused("the map of ids", error))
    }

    fn put_small(&mut self) -> Result<(), Failure> {
        let (engine, view) = (self.engine, self.engine.fresh_view(WAIT));
        for hostname in &self.found.nodes {
            done("a node", engine, || engine.put_node(hostname))?;
        }
        for new in &self.found.workspaces {
            if !view.catalog.workspaces().any(|known| known.name == new.name) {
                done("a workspace", engine, || engine.put_workspace(new.clone()))?;
            }
        }
        for (there, new) in &self.found.errors {
            let known = view
                .errors()
                .find(|known| (&known.name, &known.job_type_name) == (&new.name, &new.job_type_name));
            let id = match known {
                Some(known) => known.id,
                None => done("an error", engine, || engine.put_error(new.clone()))?,
            };
            self.errors.insert(*there, id);
            self.tell("error", *there, u64::from(id.0))?;
        }
        Ok(())
    }

    /// Makes a job type, each revision of it that is not there, and sets its switches.
    fn put_type(
        &self,
        kind: &JobTypeRow,
        newest: &Manifest,
        docker_image: &str,
        configuration: &Configuration,
    ) -> Result<JobTypeId, Failure> {
        let (engine, what) = (self.engine, format!("job type {} {}", kind.name, kind.version));
        let told = self.found.revisions.values().filter(|revision| revision.job_type == kind.id);
        let mut all: Vec<(u32, &Manifest, &str)> = told
            .map(|revision| (revision.number, &revision.manifest, revision.docker_image.as_str()))
            .collect();
        all.sort_unstable_by_key(|(number, _, _)| *number);
        if all.is_empty() {
            all.push((1, newest, docker_image));
        }
        let find = || {
            let view = engine.fresh_view(WAIT);
            let is_it =
                |spec: &crate::model::JobTypeSpec| (&spec.name, &spec.version) == (&kind.name, &kind.version);
            let id = view.types.iter().map(|known| &known.job_type).find(|known| is_it(&known.spec))?.id;
            Some((id, view))
        };
        let n_known = find().and_then(|(id, view)| Some(view.catalog.job_type(id)?.revision)).unwrap_or(0);
        for (_, manifest, docker_image) in all.into_iter().filter(|(number, _, _)| *number > n_known) {
            let mut spec = spec(manifest, configuration);
            spec.max_scheduled = kind.max_scheduled;
            spec.max_tries = kind.max_tries.unwrap_or(spec.max_tries).max(1);
            let new = NewJobType {
                spec,
                manifest: manifest.document().to_string().into(),
                docker_image: docker_image.to_owned(),
                configuration: text_of(configuration).into(),
                is_published: kind.is_published,
                icon_code: kind.icon_code.clone(),
                is_long_running: kind.is_long_running,
            };
            done(&what, engine, || engine.put_manifest(new.clone()))?;
        }
        let (id, view) = find().ok_or_else(|| refused(&what, "it is not there"))?;
        let known =
            view.job_type(id).map(|known| (known.job_type.spec.is_active, known.job_type.spec.is_paused));
        // Also where an import before this one ended between the manifest and the switches.
        if !self.is_over && known != Some((kind.is_active, kind.is_paused)) {
            let mut change = JobTypeChange::default();
            (change.is_active, change.is_paused) = (Some(kind.is_active), Some(kind.is_paused));
            done(&what, engine, || engine.edit_job_type(id, change.clone()))?;
        }
        Ok(id)
    }

    fn carry_jobs(&mut self, source: &Source) -> Result<(), Failure> {
        if !self.is_over {
            done("the beginning", self.engine, || self.engine.take_over_jobs(name_of(BEGIN), Vec::new()))?;
        }
        let mut steps: VecDeque<Step> = VecDeque::new();
        let (mut chunk, mut ids, mut jobs) = (0, Vec::new(), Vec::new());
        let (mut failure, mut fault) = (None, None);
        each(
            source,
            self.found.is_copy_text,
            |row| {
                if failure.is_some() {
                    return Ok(());
                }
                let job = JobRow::read(row)?;
                let Some(kind) = self.types.get(job.job_type, "job_type_id")? else { return Ok(()) };
                if job.id / IDS_AT_ONCE != chunk {
                    let step = (std::mem::take(&mut ids), std::mem::take(&mut jobs));
                    failure = self.step(chunk, step, &mut steps).err();
                    chunk = job.id / IDS_AT_ONCE;
                }
                ids.push(job.id);
                jobs.push(self.taken_over(&job, kind));
                Ok(())
            },
            |found| _ = fault.get_or_insert(found),
        );
        if let Some(failure) = failure.or_else(|| fault.as_ref().map(changed)) {
            return Err(failure);
        }
        self.step(chunk, (ids, jobs), &mut steps)?;
        while let Some(step) = steps.pop_front() {
            self.settle(step)?;
        }
        Ok(())
    }

    /// Hands jobs in whose ids have one chunk.
    fn step(
        &mut self,
        chunk: i64,
        (ids, jobs): (Vec<i64>, Vec<JobTakenOver>),
        steps: &mut VecDeque<Step>,
    ) -> Result<(), Failure> {
        if ids.is_empty() {
            return Ok(());
        }
        let (engine, name) = (self.engine, name_of(&format!("scale:job:{chunk}")));
        if self.is_over && engine.submission(&name).is_none() {
            let text = format!("job {} was not among those that were taken over into this store", ids[0]);
            return Err(Failure::failed("import", text)
                .help("an import is of one moment: take all of it over again, into a new directory"));
        }
        let ticket = sent("jobs", engine, || engine.take_over_jobs(name.clone(), jobs.clone()))?;
        steps.push_back((ids, ticket));
        if steps.len() > STEPS_MAX
            && let Some(step) = steps.pop_front()
        {
            self.settle(step)?;
        }
        Ok(())
    }

    fn settle(&mut self, (ids, ticket): Step) -> Result<(), Failure> {
        let what = format!("jobs {} to {}", ids[0], ids[ids.len() - 1]);
        let accepted = wait(&what, &ticket)?;
        for (there, here) in ids.iter().zip(accepted.first_job.0..) {
            self.carried.n_jobs += 1;
            self.carried.n_known_jobs += u64::from(accepted.is_repeat);
            self.carried.n_renumbered += u64::from(u64::try_from(*there) != Ok(here));
            self.tell("job", *there, here)?;
        }
        Ok(())
    }

    fn taken_over(&self, job: &JobRow, kind: JobTypeId) -> JobTakenOver {
        let is_waiting = job.status == JobStatus::Queued;
        let entry = self.found.entry(job.id).filter(|_| is_waiting);
        let mut request = JobRequest::new(kind).values(values(&job.input)).given(self.given(job));
        request.priority = job.priority;
        let of_entry =
            |entry: &Entry| self.found.resources.get((entry.resources as usize).checked_sub(1)?).cloned();
        request.resources = entry.and_then(of_entry);
        let num_exes = entry.map_or(job.num_exes, |entry| entry.exe_num.max(job.num_exes));
        let n_ended = num_exes.saturating_sub(u32::from(!job.status.is_final()));
        // Even ones of entries keep their order; odd ones of other jobs meet none of them.
        let exe = entry.map_or_else(|| 2 * job.id.unsigned_abs() + 1, |entry| 2 * entry.id.unsigned_abs());
        let has_run = num_exes > 0 || matches!(job.status, JobStatus::Queued | JobStatus::Running);
        let outcome = match job.status {
            JobStatus::Completed => Some(Outcome::Exited { code: 0 }),
            JobStatus::Canceled if num_exes > 0 => Some(Outcome::Canceled),
            JobStatus::Failed => {
                let error = job.error.and_then(|error| self.errors.get(&error).copied());
                Some(error.map_or(Outcome::Exited { code: 1 }, |id| Outcome::Error { id }))
            }
            _ => None,
        };
        let stands = JobRestored {
            status: Some(job.status),
            num_exes: Some(num_exes),
            max_tries: job.max_tries,
            tries: Some(u16::try_from(n_ended).unwrap_or(u16::MAX)),
            priority: entry.map(|entry| entry.priority),
            created: job.created,
            queued: entry.map(|entry| entry.queued).or(job.queued),
            started: job.started,
            ended: job.ended,
            last_status_change: job.changed,
            superseded: job.superseded,
            exe: has_run.then_some(ExeId(exe)),
            outcome,
            ..JobRestored::default()
        };
        JobTakenOver { request, stands }
    }

    fn given(&self, job: &JobRow) -> Given {
        let shown = |document: &Value| {
            let is_empty = document.is_null() || document.as_object().is_some_and(serde_json::Map::is_empty);
            if is_empty { Arc::from("") } else { Arc::from(document.to_string()) }
        };
        let mut given = Given::default();
        (given.input, given.configuration) = (shown(&job.input), shown(&job.configuration));
        given.input_mib = job.input_mib;
        let revision = job.revision.and_then(|id| self.found.revisions.get(&id));
        given.revision = revision.map(|revision| revision.number);
        given
    }

    fn carry_loads(&mut self, source: &Source) -> Result<(), Failure> {
        let mut rows: Vec<LoadRow> = Vec::new();
        let (mut failure, mut fault) = (None, None);
        let is_copy_text = self.found.is_copy_text;
        each(
            source,
            is_copy_text,
            |row| {
                rows.extend(load_row(row, &self.types)?.filter(|_| failure.is_none()));
                if rows.len() >= EVENT_JOBS_MAX as usize {
                    failure = self.put_loads(&std::mem::take(&mut rows)).err();
                }
                Ok(())
            },
            |found| _ = fault.get_or_insert(found),
        );
        match failure.or_else(|| fault.as_ref().map(changed)) {
            Some(failure) => Err(failure),
            None => self.put_loads(&rows),
        }
    }

    fn put_loads(&mut self, rows: &[LoadRow]) -> Result<(), Failure> {
        let n = rows.len() as u64;
        let n_new = done("load rows", self.engine, || self.engine.put_job_loads(rows.to_vec()))?;
        self.carried.n_load_rows += n;
        self.carried.n_known_load_rows += n - u64::from(n_new);
        Ok(())
    }
}

/// A file that was right is wrong now.
fn changed(fault: &Fault) -> Failure {
    refused("a file changed while it was read", fault)
}

/// The values of a job's input for the placeholders of its type's command: texts as they are, the rest as JSON.
fn values(input: &Value) -> Vec<(String, String)> {
    let members = input.get("json").and_then(Value::as_object);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    members.into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}
