//! What is not about single jobs: job types, submissions, load rows.

use std::collections::{HashMap, HashSet};

use super::super::faults::FaultKind;
use super::super::file::{Head, LOAD, SUBMISSIONS};
use super::super::look::Look;
use super::super::survey::{STATE, Survey, values};
use super::Checking;
use crate::limits::SUBMISSIONS_MAX;
use crate::load::LoadRow;
use crate::model::Accepted;

impl Checking<'_> {
    /// Job types stand under their ids, which are dense, and no two have one name.
    pub(super) fn catalog(&mut self, survey: &Survey) {
        let faults = &mut self.report.faults;
        let mut names = HashSet::new();
        for (n, (id, kind)) in (1..).zip(&survey.types) {
            let mut bad = |cause: String| {
                faults.add(FaultKind::JobType, STATE, format_args!("job type {id}"), cause);
            };
            if *id != n || kind.id.0 != *id {
                bad(format!("it is number {n} of its table, and says that it is {}", kind.id));
            }
            if !names.insert((&kind.spec.name, &kind.spec.version)) {
                bad(format!("another one is {:?} {:?} too", kind.spec.name, kind.spec.version));
            }
        }
    }

    /// Submissions name jobs and recipes that were made, each once.
    pub(super) fn submissions(&mut self, look: &mut Look, head: &Head) {
        self.tell("submissions", 0, 0);
        let totals = head.totals;
        let mut ids: HashMap<String, u64> = HashMap::new();
        let mut n = 0;
        let faults = &mut self.report.faults;
        values(look, "submissions", SUBMISSIONS, faults, |faults, key, all: Vec<(String, Accepted)>, _| {
            let mut bad =
                |place: String, cause: String| faults.add(FaultKind::Submission, STATE, place, cause);
            if key >> 16 > totals.last_event.0 {
                bad(format!("submissions {key}"), "they come after the watermark".to_owned());
            }
            for (id, accepted) in all {
                let last = |first: u64, n: u32| first.saturating_add(u64::from(n)).saturating_sub(1);
                let (job, n_jobs) = (accepted.first_job.0, accepted.n_jobs);
                let (recipe, n_recipes) = (accepted.first_recipe.0, accepted.n_recipes);
                if n_jobs > 0 && (job == 0 || last(job, n_jobs) > totals.n_jobs) {
                    bad(format!("submission {id:?}"), format!("it made {n_jobs} jobs from {job} on"));
                }
                if n_recipes > 0 && (recipe == 0 || last(recipe, n_recipes) > totals.n_recipes) {
                    bad(
                        format!("submission {id:?}"),
                        format!("it made {n_recipes} recipes from {recipe} on"),
                    );
                }
                n += 1;
                // One that was forgotten may have come again.
                if ids.get(&id).is_some_and(|before| n - before < SUBMISSIONS_MAX as u64) {
                    bad(format!("submission {id:?}"), "it is there twice".to_owned());
                }
                ids.insert(id, n);
            }
        });
        if n != head.n_submissions {
            let cause = format_args!("it says that there are {}, there are {n}", head.n_submissions);
            faults.add(FaultKind::Submission, STATE, "meta head", cause);
        }
    }

    /// Load rows stand under their instants and types.
    pub(super) fn load(&mut self, look: &mut Look, survey: &Survey, head: &Head) {
        self.tell("load rows", 0, 0);
        let now = head.totals.now;
        let mut last = None;
        let faults = &mut self.report.faults;
        values(look, "load", LOAD, faults, |faults, key, rows: Vec<LoadRow>, _| {
            let mut bad =
                |cause: String| faults.add(FaultKind::Load, STATE, format_args!("load {key:?}"), cause);
            let [row] = rows.as_slice() else { return bad("it is not one row".to_owned()) };
            if (row.measured.0, row.job_type.map_or(0, |id| id.0)) != key {
                bad(format!("it says {:?}, {:?}", row.measured, row.job_type));
            }
            if last.is_some_and(|last| row.measured < last) {
                bad("it is older than the row before it".to_owned());
            }
            if row.measured > now {
                bad(format!("it was measured after {now:?}"));
            }
            if row.job_type.is_some_and(|id| !survey.types.contains_key(&id.0)) {
                bad("there is no such type".to_owned());
            }
            last = Some(row.measured);
        });
    }
}
