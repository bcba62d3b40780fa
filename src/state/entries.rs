//! What a waiting job asks for, and its entry of the queue.

use std::sync::Arc;

use super::fold::State;
use crate::model::{JobId, JobStatus, NodeResources};
use crate::queue::Entry;

impl State {
    /// Gives a job its input.
    pub(super) fn process_input(&mut self, id: JobId, input_mib: u64, resources: Option<&NodeResources>) {
        let resources = resources.map(|resources| {
            self.queue.dims_mut().intern(resources);
            self.shared(resources.clone())
        });
        self.change(id, |job| {
            let more = job.more();
            (more.extra.input_mib, more.extra.lacks_input) = (Some(input_mib), false);
            job.resources = resources.unwrap_or_else(|| job.resources.clone());
        });
    }

    /// Lets a job ask for something else, with its entry of the queue.
    pub(super) fn ask(&mut self, id: JobId, resources: &Arc<NodeResources>) {
        self.change(id, |job| job.resources = resources.clone());
        let exe = self.job(id).filter(|job| job.status == JobStatus::Queued).and_then(|job| job.exe);
        let Some(old) = exe.and_then(|exe| self.queue.get(exe)) else { return };
        let asks = self.queue.dims().lookup(resources);
        let is_let_through = self.queue.is_let_through(old.id);
        self.queue.cancel(old.id);
        self.put_entry(Entry { asks, ..old }, is_let_through);
    }

    /// Puts an entry into the queue, past a pause of its type where it was let through.
    pub(super) fn put_entry(&mut self, entry: Entry, is_let_through: bool) {
        self.queue.put(entry);
        if is_let_through {
            self.queue.let_through(entry.id);
        }
    }

    /// Lets a queued job go on past a pause of its type.
    pub(super) fn let_through(&mut self, id: JobId) {
        let queued = self.job(id).filter(|job| job.status == JobStatus::Queued);
        let Some(exe) = queued.and_then(|job| job.exe) else { return };
        if self.queue.let_through(exe) {
            self.change(id, |job| job.more().is_let_through = true);
        }
    }
}
