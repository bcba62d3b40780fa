//! Which jobs ask for more than this machine has in all.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::engine::Engine;
use crate::limits::LIST_MAX;
use crate::model::{Job, JobId, JobStatus, JobTypeId, NodeResources, Quantity};

/// One resource of which the machine has too little.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Short {
    pub(super) resource: String,
    /// What a job asks for.
    pub(super) asked: Quantity,
    /// What the machine has.
    pub(super) has: Quantity,
    /// The difference.
    pub(super) short: Quantity,
}

/// Jobs of one type that ask for the same, too much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct TooBig {
    pub(super) job_type: String,
    pub(super) n_jobs: u64,
    /// The first of them.
    pub(super) first_job: JobId,
    pub(super) shortages: Vec<Short>,
}

impl std::fmt::Display for TooBig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let n = super::super::output::counted(self.n_jobs, "job");
        write!(f, "{n} of {} can never be placed here: ", self.job_type)?;
        for (at, Short { resource, asked, has, short }) in self.shortages.iter().enumerate() {
            let comma = if at == 0 { "" } else { "; " };
            write!(f, "{comma}{resource}: asks for {asked}, this machine has {has}, {short} short")?;
        }
        Ok(())
    }
}

/// All jobs on record, by id.
pub(super) fn jobs(engine: &Engine) -> impl Iterator<Item = Job> + '_ {
    let mut after = JobId(0);
    let pages = std::iter::from_fn(move || {
        let page = engine.jobs(after, LIST_MAX);
        after = page.last()?.id;
        Some(page)
    });
    pages.flatten()
}

/// What can never be placed on a machine that has `total`. Cost: all jobs.
pub(super) fn too_big(
    engine: &Engine,
    total: &NodeResources,
    name: impl Fn(JobTypeId) -> String,
) -> Vec<TooBig> {
    let mut found: BTreeMap<(JobTypeId, String), TooBig> = BTreeMap::new();
    for job in jobs(engine).filter(|job| matches!(job.status, JobStatus::Pending | JobStatus::Queued)) {
        let missing = total.shortage(&job.resources);
        if missing.is_zero() {
            continue;
        }
        let group = found.entry((job.job_type, missing.to_string()));
        let group = group.or_insert_with(|| TooBig {
            job_type: name(job.job_type),
            n_jobs: 0,
            first_job: job.id,
            shortages: missing.iter().map(|(of, short)| shortage(of.as_str(), short, &job, total)).collect(),
        });
        group.n_jobs += 1;
    }
    found.into_values().collect()
}

fn shortage(resource: &str, short: Quantity, job: &Job, total: &NodeResources) -> Short {
    Short {
        resource: resource.to_owned(),
        asked: job.resources.get(resource),
        has: total.get(resource),
        short,
    }
}
