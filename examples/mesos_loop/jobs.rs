//! What there is to do.

use weighbridge::{Engine, JobRequest, JobTypeSpec, NodeResources, Submission, SubmissionId};

use super::{Anything, Arguments, SYNC};

/// Queues what the command line asks for. The same number of jobs again makes nothing new: a second run goes on
/// with those of the first.
pub(crate) fn submit(engine: &Engine, arguments: &Arguments) -> Anything<()> {
    let Arguments { n_jobs, sleep, .. } = arguments;
    let needs = NodeResources::new().cpus("0.5")?.mem_mib(32);
    let nap = JobTypeSpec::new("nap", "1.0").needs(needs).command(["sleep", sleep]).timeout_s(60);
    let nap = engine.put_job_type(nap)?.wait_durable(SYNC)?;
    let id = SubmissionId::new(&format!("naps-{n_jobs}"))?;
    let jobs = Submission::new(id).jobs(JobRequest::new(nap).count(*n_jobs));
    engine.submit(jobs)?.wait_durable(SYNC)?;
    Ok(())
}
