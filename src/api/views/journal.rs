//! Notes of the journal, under `/api/v1/`.

use serde::Serialize;

use super::Time;
use super::own::{JobTypeRef, NodeRef};
use crate::decision::WaitReason;
use crate::engine::{JournalEntry, JournalNote, View};
use crate::model::{ExeId, JobId, JobTypeId, NodeId};

/// A note. `kind` says which members have a value.
#[derive(Debug, Default, Serialize)]
pub(in crate::api) struct Note {
    number: u64,
    when: Option<Time>,
    kind: &'static str,
    exe: Option<u64>,
    launch: Option<u32>,
    job: Option<u64>,
    job_type: Option<JobTypeRef>,
    node: Option<NodeRef>,
    before: Option<&'static str>,
    now: Option<&'static str>,
    text: String,
}

/// What keeps the first of a type, for people.
fn waits(reason: Option<WaitReason>) -> String {
    reason.map_or_else(|| "nothing waits".to_owned(), |reason| format!("waits, {}", reason.as_str()))
}

/// An execution on a node, as most notes have it.
fn on_node(exe: ExeId, of: Option<(JobId, JobTypeId)>, node: NodeId, view: &View) -> Note {
    let (job, job_type) = of.unzip();
    Note {
        exe: Some(exe.0),
        job: job.map(|job| job.0),
        job_type: job_type.map(|job_type| JobTypeRef::of(job_type, view)),
        node: Some(NodeRef::of(node, view)),
        ..Note::default()
    }
}

impl Note {
    pub(in crate::api) fn new(entry: &JournalEntry, view: &View) -> Self {
        let note = Self::of(entry.note, view);
        Self { number: entry.number, when: Some(Time(entry.when)), ..note }
    }

    /// Without number and time.
    fn of(note: JournalNote, view: &View) -> Self {
        let on = |node| NodeRef::of(node, view).name().to_owned();
        let name = |job_type| JobTypeRef::of(job_type, view).text();
        match note {
            JournalNote::Launched { launch, job, job_type, node } => {
                let (exe, kind) = (launch.exe, name(job_type));
                let text = format!("execution {exe} of job {job} ({kind}) on {}", on(node));
                let bare = on_node(exe, Some((job, job_type)), node, view);
                Self { kind: "launched", launch: Some(launch.number), text, ..bare }
            }
            JournalNote::PutBack { exe, job, job_type, node } => {
                let text = format!("execution {exe} of job {job} ({}), not on {}", name(job_type), on(node));
                Self { kind: "put_back", text, ..on_node(exe, Some((job, job_type)), node, view) }
            }
            JournalNote::Returned { launch, job, job_type, node } => {
                let (exe, kind) = (launch.exe, name(job_type));
                let text = format!("execution {exe} of job {job} ({kind}), refused on {}", on(node));
                let bare = on_node(exe, Some((job, job_type)), node, view);
                Self { kind: "returned", launch: Some(launch.number), text, ..bare }
            }
            JournalNote::Kept { exe, node } => {
                let text = format!("{} for execution {exe}", on(node));
                Self { kind: "kept", text, ..on_node(exe, None, node, view) }
            }
            JournalNote::Freed { exe, node } => {
                let text = format!("{}, no more kept for execution {exe}", on(node));
                Self { kind: "freed", text, ..on_node(exe, None, node, view) }
            }
            JournalNote::Waits { job_type, before, now } => Self {
                kind: "waits",
                text: format!("{}: {}; before: {}", name(job_type), waits(now), waits(before)),
                job_type: Some(JobTypeRef::of(job_type, view)),
                before: before.map(WaitReason::as_str),
                now: now.map(WaitReason::as_str),
                ..Self::default()
            },
        }
    }
}
