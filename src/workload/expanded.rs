//! What a workload means here and now: job types, jobs and recipes, in model types.
//!
//! Job types have no ids before the engine has put them on record, so jobs refer to them by their
//! place in the list until then.

use crate::model::{JobRequest, JobTypeId, JobTypeSpec, RecipeRequest, Submission, SubmissionId};

/// A workload with all its files listed, checked, but for the ids of its job types.
///
/// The caller puts `job_types` on record, in order, then hands in what `submission` makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// For people; may be empty.
    pub name: String,
    /// Its job types.
    pub job_types: Vec<JobTypeSpec>,
    /// Its jobs without dependencies: place of the type in `job_types`, and the request, whose own
    /// `job_type` says nothing yet.
    pub jobs: Vec<(usize, JobRequest)>,
    /// Its graphs.
    pub recipes: Vec<ExpandedRecipe>,
}

/// A graph of jobs, but for the ids of its job types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpandedRecipe {
    /// Place of each node's type in the workload's `job_types`.
    pub job_types: Vec<usize>,
    /// The graph; the nodes' own `job_type` says nothing yet.
    pub request: RecipeRequest,
}

impl Expanded {
    /// Its jobs, those of recipes included.
    pub fn n_jobs(&self) -> u64 {
        let jobs: u64 = self.jobs.iter().map(|(_, job)| u64::from(job.count)).sum();
        let nodes: usize = self.recipes.iter().map(|recipe| recipe.request.nodes.len()).sum();
        jobs + nodes as u64
    }

    /// The submission, once each job type has its id.
    ///
    /// # Panics
    /// Where `ids` are not as many as `job_types`.
    pub fn submission(&self, id: SubmissionId, ids: &[JobTypeId]) -> Submission {
        assert_eq!(ids.len(), self.job_types.len(), "one id per job type");
        let with_id = |job: &JobRequest, at: usize| JobRequest { job_type: ids[at], ..job.clone() };
        let mut submission = Submission::new(id);
        submission.jobs = self.jobs.iter().map(|(at, job)| with_id(job, *at)).collect();
        for recipe in &self.recipes {
            let mut request = recipe.request.clone();
            for (node, &at) in request.nodes.iter_mut().zip(&recipe.job_types) {
                node.job.job_type = ids[at];
            }
            submission.recipes.push(request);
        }
        submission
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RecipeNode;

    #[test]
    fn ids_replace_places() {
        let node = |name: &str| RecipeNode {
            name: name.into(),
            job: JobRequest::new(JobTypeId(0)),
            parents: Vec::new(),
        };
        let expanded = Expanded {
            name: String::new(),
            job_types: vec![JobTypeSpec::new("a", "1"), JobTypeSpec::new("b", "1")],
            jobs: vec![(1, JobRequest::new(JobTypeId(0)).count(3)), (0, JobRequest::new(JobTypeId(0)))],
            recipes: vec![ExpandedRecipe {
                job_types: vec![1, 0],
                request: RecipeRequest { name: "r".into(), nodes: vec![node("x"), node("y")] },
            }],
        };
        assert_eq!(expanded.n_jobs(), 6);
        let id = SubmissionId::new("s").expect("an id");
        let made = expanded.submission(id, &[JobTypeId(70), JobTypeId(80)]);
        assert_eq!(made.jobs.iter().map(|j| j.job_type.0).collect::<Vec<_>>(), [80, 70]);
        assert_eq!(made.recipes[0].nodes.iter().map(|n| n.job.job_type.0).collect::<Vec<_>>(), [80, 70]);
    }
}
