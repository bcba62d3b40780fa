//! The executions of a job: the newest stands with the job, those before it in documents of their own.

use crate::engine::shell::Engine;
use crate::model::{Doc, DocKey, ExecutionRecord, Job, Overtaken, kind};

/// Executions of one job that are read at once; a job has as many as it was queued.
const AT_ONCE: usize = 100_000;

fn newest(job: &Job) -> Option<ExecutionRecord> {
    let exe = job.exe?;
    Some(ExecutionRecord {
        job: job.id,
        exe_num: job.num_exes,
        exe,
        queued: job.queued?,
        started: Some(job.started?),
        node: job.node,
        resources: (*job.resources).clone(),
        end: job.end.clone().filter(|end| end.launch.exe == exe),
    })
}

fn overtaken(running: &Overtaken) -> ExecutionRecord {
    ExecutionRecord {
        job: running.job,
        exe_num: running.exe_num,
        exe: running.exe,
        queued: running.queued,
        started: Some(running.started),
        node: Some(running.node),
        resources: running.resources.clone(),
        end: None,
    }
}

impl Engine {
    /// The newest execution of a job, if it was launched.
    pub fn newest_execution(job: &Job) -> Option<ExecutionRecord> {
        newest(job)
    }

    /// The executions of a job that were launched, the newest first.
    ///
    /// Cost: those executions, read; and where one runs on although its job was queued again, a look at all
    /// of that kind.
    pub fn job_executions(&self, job: &Job) -> Vec<ExecutionRecord> {
        let key = |sub| DocKey { kind: kind::EXECUTION, id: job.id.0, sub };
        let before = self.docs((key(0), key(u64::MAX)), true, AT_ONCE);
        let record = |doc: &Doc| match doc {
            Doc::Execution(record) => Some(record.clone()),
            _ => None,
        };
        let mut all: Vec<ExecutionRecord> = before.iter().filter_map(|doc| record(doc)).collect();
        if all.len() + 1 < job.num_exes as usize {
            let owned = self.0.enter();
            let docs = owned.core.state.docs().of_kind(kind::OVERTAKEN);
            all.extend(docs.filter_map(|doc| match &**doc {
                Doc::Overtaken(running) if running.job == job.id => Some(overtaken(running)),
                _ => None,
            }));
        }
        all.extend(newest(job));
        all.retain(|record| record.started.is_some());
        all.sort_by_key(|record| std::cmp::Reverse(record.exe_num));
        all.dedup_by_key(|record| record.exe_num);
        all
    }
}
