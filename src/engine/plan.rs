//! A launch on its way: on record, but without the values of its job, which are in the store.
//!
//! Filled by whoever carries it out, outside of the core and its lock.

use std::borrow::Cow;
use std::sync::Arc;

use super::command::Status;
use super::shell::Engine;
use super::ticket::Promise;
use crate::job::execution::{is_address, value_text};
use crate::launch::{LAUNCH_NAMES, Launch, StatusUpdate, TaskState, TemplateError, fill, fill_variable};
use crate::limits::LAUNCH_FILES_BYTES_MAX;
use crate::model::{
    Doc, DocKey, JobId, JobType, LaunchName, NodeId, NodeResources, Outcome, SlotShare, Usage, Values,
    cluster_id, kind,
};
use crate::offer::HeldOffer;
use crate::state::data_of;
use crate::store::OpenError;
use crate::wal::Durable;

/// The slots of graphics processors, as CUDA programs read it.
const CUDA_VISIBLE_DEVICES: &str = "CUDA_VISIBLE_DEVICES";
/// The same with how much of each: `0:1,3:0.25`.
const WEIGHBRIDGE_GPUS: &str = "WEIGHBRIDGE_GPUS";

/// See the file.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) name: LaunchName,
    pub(super) job: JobId,
    pub(super) exe_num: u32,
    pub(super) job_type: Arc<JobType>,
    pub(super) node: NodeId,
    pub(super) resources: Arc<NodeResources>,
    pub(super) gpus: Vec<SlotShare>,
    /// The job's revision of its type, where that was made from a manifest.
    pub(super) revision: Option<Arc<Doc>>,
}

/// Where a program finds which graphics processors are its own, whatever its job type says; none where it has
/// none as slots.
fn gpu_variables(gpus: &[SlotShare]) -> Option<[(String, String); 2]> {
    let all = |text: fn(&SlotShare) -> String| gpus.iter().map(text).collect::<Vec<_>>().join(",");
    let visible = (CUDA_VISIBLE_DEVICES.to_owned(), all(|share| share.slot.to_string()));
    let shares = (WEIGHBRIDGE_GPUS.to_owned(), all(SlotShare::to_string));
    (!gpus.is_empty()).then_some([visible, shares])
}

/// What a commit put on record: launches on one node, and the offers of its agent that cover them.
#[derive(Debug, Default)]
pub(super) struct Committed {
    pub(super) plans: Vec<Plan>,
    /// None where the node is not of a cluster whose offers are held.
    pub(super) offers: Vec<HeldOffer>,
}

/// What stands for the placeholders of a job.
#[derive(Debug, Default)]
pub(super) struct Input {
    values: Values,
    /// See [`Launch::files`].
    files: Arc<[String]>,
}

impl Plan {
    /// True where its command asks for values of its job.
    pub(super) fn asks_values(&self) -> bool {
        let spec = &self.job_type.spec;
        let has_brace = |text: &str| text.contains('{');
        spec.command.iter().any(|part| has_brace(part)) || spec.env.iter().any(|(_, text)| has_brace(text))
    }

    /// The image of the job's revision of its type, else the one that the type has now.
    fn image(&self) -> Option<Arc<str>> {
        let of_revision = match self.revision.as_deref() {
            Some(Doc::JobTypeRevision(known)) => Some(known.docker_image.as_str()),
            _ => None,
        };
        self.job_type.spec.image_in(of_revision).map(Into::into)
    }

    /// The launch, with the placeholders of its command and environment filled.
    pub(super) fn fill(self, framework: &str, input: Input) -> Result<Launch, TemplateError> {
        let spec = &self.job_type.spec;
        let own = |name: &str| match LAUNCH_NAMES.iter().position(|known| *known == name)? {
            0 => Some(Cow::Owned(self.job.to_string())),
            1 => Some(Cow::Owned(self.exe_num.to_string())),
            2 => Some(Cow::Owned(self.name.exe.to_string())),
            _ => Some(Cow::Borrowed(spec.name.as_str())),
        };
        let value = |name: &str| {
            let given = input.values.iter().find(|(key, _)| key == name);
            given.map(|(_, value)| Cow::Borrowed(value.as_str())).or_else(|| own(name))
        };
        let command = spec.command.iter().map(|part| fill(part, value)).collect::<Result<_, _>>()?;
        let variable = |(key, text): &(String, String)| {
            fill_variable(text, value).map(|text| text.map(|text| (key.clone(), text))).transpose()
        };
        let mut env = spec.env.iter().filter_map(variable).collect::<Result<Vec<_>, _>>()?;
        if let Some(variables) = gpu_variables(&self.gpus) {
            env.retain(|(key, _)| variables.iter().all(|(own, _)| own != key));
            env.extend(variables);
        }
        Ok(Launch {
            image: self.image(),
            uris: spec.uris.clone(),
            files: input.files,
            name: self.name,
            job: self.job,
            exe_num: self.exe_num,
            cluster_id: cluster_id(framework, self.job, self.exe_num),
            job_type: spec.name.clone(),
            job_type_version: spec.version.clone(),
            node: self.node,
            resources: self.resources,
            gpus: self.gpus,
            command,
            env,
            timeout_s: spec.timeout_s,
        })
    }
}

impl Engine {
    /// The values of a job; of one that was given a document, the values of that, and the names of its files.
    fn launch_input(&self, id: JobId) -> Result<Input, OpenError> {
        let tables = &self.0.outside.tables;
        let values = tables.values(id)?;
        if !values.is_empty() {
            return Ok(Input { values, files: Arc::default() });
        }
        let Some(given) = tables.job(id)?.and_then(|job| job.given) else { return Ok(Input::default()) };
        let doc = |kind, id| tables.doc(DocKey { kind, id, sub: 0 });
        let data = match given.input.as_ref() {
            "" => match doc(kind::JOB_INPUT, id.0)?.as_deref() {
                Some(Doc::JobInput(input)) => data_of(&input.input),
                _ => return Ok(Input::default()),
            },
            input => data_of(input),
        };
        let mut all: Vec<(String, String)> =
            data.json.iter().map(|(name, value)| (name.clone(), value_text(value))).collect();
        let (mut files, mut bytes) = (Vec::new(), 0);
        for (name, ids) in &data.files {
            let mut names = Vec::new();
            for id in ids {
                if let Some(Doc::File(file)) = doc(kind::FILE, *id)?.as_deref() {
                    names.push(file.name.clone());
                    bytes += if is_address(&file.name) { file.name.len() } else { 0 };
                    if is_address(&file.name) && bytes <= LAUNCH_FILES_BYTES_MAX {
                        files.push(file.name.clone());
                    }
                }
            }
            all.push((name.clone(), names.join(" ")));
        }
        Ok(Input { values: all.into(), files: files.into() })
    }

    /// Fills in what was put on record together.
    pub(super) fn fill_all(&self, committed: Durable<Committed>) -> (Vec<Durable<Launch>>, Vec<HeldOffer>) {
        let (Committed { plans, offers }, proof) = committed.split();
        let plans = proof.map(|()| plans).each();
        (plans.into_iter().filter_map(|plan| self.fill(plan)).collect(), offers)
    }

    /// Fills in the values of a job. A launch that cannot be filled ends at once, and is none.
    pub(super) fn fill(&self, plan: Durable<Plan>) -> Option<Durable<Launch>> {
        let (plan, proof) = plan.split();
        let name = plan.name;
        let input = || if plan.asks_values() { self.launch_input(plan.job) } else { Ok(Input::default()) };
        let ended = |outcome| TaskState::Ended { outcome, usage: Usage::default() };
        // A store that cannot be read is no fault of the job: it uses up no try. Where that may pass, as
        // with a full disk, there was no execution either.
        let unreadable = |error: OpenError| {
            self.0.complain(&error);
            let reason = error.to_string();
            match error {
                OpenError::Full { .. } | OpenError::Storage { .. } => TaskState::Refused { reason },
                _ => ended(Outcome::Lost { reason }),
            }
        };
        let not_started = |error: TemplateError| ended(Outcome::NotStarted { reason: error.to_string() });
        let filled = input()
            .map_err(unreadable)
            .and_then(|input| plan.fill(&self.0.options.framework, input).map_err(not_started));
        match filled {
            Ok(launch) => Some(proof.map(|()| launch)),
            Err(state) => {
                let (promise, _nobody_waits) = Promise::new(self.pump_of());
                let now = self.now();
                let update = StatusUpdate { name, state, when: now };
                let mut owned = self.0.enter();
                let now = owned.core.clamp(now);
                self.0.apply_status(&mut owned.core, Status(update, Some(promise)), now);
                None
            }
        }
    }
}
