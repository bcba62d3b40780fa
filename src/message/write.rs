//! A message written as Scale writes it.

use serde_json::{Map, Value, json};

use crate::model::{JobAt, JobExeEnd, JobId, JobStatus, Message, MessageFilter, Timestamp};
use crate::time;

fn instant(at: Timestamp) -> Value {
    Value::String(time::text(at))
}

fn jobs(all: &[JobAt]) -> Value {
    all.iter().map(|at| json!({"id": at.job.0, "exe_num": at.exe_num})).collect()
}

fn ids(all: &[JobId]) -> Value {
    all.iter().map(|id| id.0).collect()
}

fn groups(all: &[(u32, &[JobAt])]) -> Value {
    all.iter().map(|(id, of)| json!({"id": id, "jobs": jobs(of)})).collect()
}

/// Members that are there only where they have a value.
struct Members(Map<String, Value>);

impl Members {
    fn put<T: Into<Value>>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
    }
}

fn filter(filter: &MessageFilter, priority: Option<i32>) -> Value {
    fn list<T>(all: Option<&Vec<T>>, value: impl Fn(&T) -> Value) -> Option<Value> {
        all.map(|all| all.iter().map(value).collect())
    }
    let mut members = Members(Map::new());
    members.put("current_job_id", filter.current_job.map(|id| id.0));
    members.put("started", filter.started.map(instant));
    members.put("ended", filter.ended.map(instant));
    members
        .put("error_categories", list(filter.error_categories.as_ref(), |category| category.as_str().into()));
    members.put("error_ids", list(filter.errors.as_ref(), |id| id.0.into()));
    members.put("job_ids", list(filter.jobs.as_ref(), |id| id.0.into()));
    members.put("job_type_ids", list(filter.job_types.as_ref(), |id| id.0.into()));
    members.put("priority", priority);
    members.put("status", filter.status.map(JobStatus::as_str));
    members.put("job_type_names", list(filter.job_type_names.as_ref(), |name| name.as_str().into()));
    members.put("batch_ids", list(filter.batches.as_ref(), |id| id.0.into()));
    members.put("recipe_ids", list(filter.recipes.as_ref(), |id| id.0.into()));
    members.put("is_superseded", filter.is_superseded);
    Value::Object(members.0)
}

fn exe_end(end: &JobExeEnd) -> Value {
    let task_results: Value = serde_json::from_str(&end.task_results).unwrap_or_default();
    let mut members = Members(Map::new());
    members.put("id", Some(end.exe.0));
    members.put("job_id", Some(end.job.job.0));
    members.put("job_type_id", Some(end.job_type.0));
    members.put("exe_num", Some(end.job.exe_num));
    members.put("task_results", Some(task_results));
    members.put("status", Some(end.status.as_str()));
    members.put("queued", Some(instant(end.queued)));
    members.put("ended", Some(instant(end.ended)));
    members.put("error_id", end.error.map(|id| id.0));
    members.put("node_id", end.node.map(|id| id.0));
    members.put("started", end.started.map(instant));
    Value::Object(members.0)
}

fn body(message: &Message) -> Value {
    let with_priority = |mut body: Value, priority: Option<i32>| {
        if let (Some(members), Some(priority)) = (body.as_object_mut(), priority) {
            members.insert("priority".to_owned(), priority.into());
        }
        body
    };
    match message {
        Message::QueuedJobs { jobs: all, requeue, priority } => {
            with_priority(json!({"jobs": jobs(all), "requeue": requeue}), *priority)
        }
        Message::RequeueJobs { jobs: all, priority } => with_priority(json!({"jobs": jobs(all)}), *priority),
        Message::RequeueJobsBulk { filter: of, priority } => filter(of, *priority),
        Message::CancelJobs { jobs, when } => json!({"job_ids": ids(jobs), "when": instant(*when)}),
        Message::CancelJobsBulk { filter: of } => filter(of, None),
        Message::UncancelJobs { jobs, when } => json!({"when": instant(*when), "job_ids": ids(jobs)}),
        Message::RunningJobs { started, nodes } => {
            let nodes: Vec<_> = nodes.iter().map(|(id, jobs)| (id.0, jobs.as_slice())).collect();
            json!({"started": instant(*started), "nodes": groups(&nodes)})
        }
        Message::CompletedJobs { ended, jobs: all } => json!({"ended": instant(*ended), "jobs": jobs(all)}),
        Message::FailedJobs { ended, errors } => {
            let errors: Vec<_> = errors.iter().map(|(id, jobs)| (id.0, jobs.as_slice())).collect();
            json!({"ended": instant(*ended), "errors": groups(&errors)})
        }
        Message::JobExeEnds { ends } => {
            json!({"job_exe_end_models": ends.iter().map(exe_end).collect::<Vec<_>>()})
        }
    }
}

impl Message {
    /// The message as Scale writes it; [`Message::read`] gives the same message back.
    pub fn to_json(&self) -> String {
        json!({"type": self.kind(), "body": body(self)}).to_string()
    }
}
