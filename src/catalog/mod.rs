//! Job types on record, by id and by name.
//!
//! Core: no I/O, clock, lock or logging.

#[cfg_attr(not(test), expect(dead_code, reason = "parts that only tests ask for"))]
pub(crate) mod configuration;
#[cfg_attr(not(test), expect(dead_code, reason = "parts that only tests ask for"))]
pub(crate) mod manifest;
pub(crate) mod shape;
#[cfg_attr(
    not(any(feature = "server", weighbridge_loom)),
    expect(dead_code, reason = "manifests come over REST")
)]
pub(crate) mod spec;
pub(crate) mod surroundings;

pub use surroundings::SurroundingsError;

use std::sync::Arc;

use foldhash::HashMap;

use crate::model::{JobType, JobTypeId, JobTypeSpec, Timestamp};

/// All job types. Ids are dense from 1 and never given up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    types: Vec<Arc<JobType>>,
    by_name: HashMap<(String, String), JobTypeId>,
}

impl Catalog {
    pub(crate) fn len(&self) -> usize {
        self.types.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<JobType>> {
        self.types.iter()
    }

    fn index(id: JobTypeId) -> Option<usize> {
        (id.0 as usize).checked_sub(1)
    }

    pub(crate) fn get(&self, id: JobTypeId) -> Option<&Arc<JobType>> {
        self.types.get(Self::index(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: JobTypeId) -> Option<&mut JobType> {
        self.types.get_mut(Self::index(id)?).map(Arc::make_mut)
    }

    pub(crate) fn find(&self, name: &str, version: &str) -> Option<JobTypeId> {
        self.by_name.get(&(name.to_owned(), version.to_owned())).copied()
    }

    /// The id a type of this name gets or has.
    pub(crate) fn id_for(&self, spec: &JobTypeSpec) -> JobTypeId {
        let next = || JobTypeId(u32::try_from(self.types.len() + 1).expect("below JOB_TYPES_MAX"));
        self.find(&spec.name, &spec.version).unwrap_or_else(next)
    }

    /// Makes or edits a type.
    pub(crate) fn put(&mut self, id: JobTypeId, spec: JobTypeSpec, when: Timestamp) {
        let paused = spec.is_paused.then_some(when);
        if let Some(known) = self.get_mut(id) {
            known.revision += 1;
            known.paused = known.paused.filter(|_| spec.is_paused).or(paused);
            known.spec = spec;
            known.last_modified = when;
            return;
        }
        self.restore(Arc::new(JobType { id, revision: 1, spec, created: when, last_modified: when, paused }));
    }

    /// Puts back a type that was stored; types come in the order of their ids.
    pub(crate) fn restore(&mut self, job_type: Arc<JobType>) {
        let name = (job_type.spec.name.clone(), job_type.spec.version.clone());
        self.by_name.insert(name, job_type.id);
        self.types.push(job_type);
    }
}
