//! The offers that are held: what they have, as it came, and the tasks that take of it.

use std::collections::HashMap;

use serde_json::Value;

use super::call::{environment, task};
use super::event::Offered;
use super::executor::Executors;
use super::options::MesosOptions;
use super::resource::{Resource, take};
use crate::launch::Launch;
use crate::model::OfferId;

/// See the file.
#[derive(Default)]
pub(super) struct Offers {
    held: HashMap<OfferId, Parts>,
    executors: Executors,
}

/// What is offered, as it came.
pub(super) struct Parts {
    parts: Vec<Resource>,
    /// What tasks on it are run by, where that is the framework's own.
    executor: Option<Value>,
}

impl Offers {
    /// What an offer has. Where the framework's own executor does not run there, the offer has less from now on.
    pub(super) fn read(
        &mut self,
        options: &MesosOptions,
        framework_id: Option<&str>,
        offered: &mut Offered,
    ) -> Parts {
        let executor = options.executor.as_ref().zip(framework_id);
        let executor = executor.map(|(executor, id)| self.executors.of(executor, id, offered));
        Parts { parts: std::mem::take(&mut offered.resources), executor }
    }

    pub(super) fn hold(&mut self, id: OfferId, parts: Parts) {
        self.held.insert(id, parts);
    }

    /// It has ended.
    pub(super) fn remove(&mut self, id: &OfferId) {
        self.held.remove(id);
    }

    /// All of them went with the subscription.
    pub(super) fn clear(&mut self) {
        self.held.clear();
    }

    /// Ends offers to launch tasks on them; none where one of them has ended.
    pub(super) fn use_up<'o>(&mut self, ids: impl Iterator<Item = &'o OfferId>) -> Option<Parts> {
        let mut all = Parts { parts: Vec::new(), executor: None };
        let mut is_complete = true;
        for id in ids {
            let Some(held) = self.held.remove(id) else {
                is_complete = false;
                continue;
            };
            all.parts.extend(held.parts);
            // The last to come is the one that knows best whether the executor runs.
            all.executor = held.executor.or(all.executor);
        }
        is_complete.then_some(all)
    }
}

impl Parts {
    /// The task that carries out a launch, with what it takes.
    pub(super) fn task(&mut self, launch: &Launch, id: &str, agent: &str, options: &MesosOptions) -> Value {
        let resources = take(&mut self.parts, &launch.resources);
        let env = environment(launch, &resources);
        let mut task = task(launch, (id, agent), &resources, &env, options.kill_grace);
        if let (Some(executor), Some(info)) = (&options.executor, &self.executor) {
            executor.carry(&mut task, info, launch, &env);
        }
        task
    }
}
