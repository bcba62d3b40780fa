//! The queue, as one of the structures.

use weighbridge::{Amounts, Entry, ExeId, Queue};

use super::figures::{Figures, Timer};
use super::steady::{Steady, Structure};
use super::workload::{Draft, Free, Gone, Source, free, job_type};

/// Picks of one idle node.
const FILL_MAX: usize = 64;

/// Nanoseconds per pick of filling idle nodes, and of putting all of it back.
#[derive(Default)]
pub(crate) struct Fills {
    pub(crate) fill: Figures,
    pub(crate) put_back: Figures,
    /// Of whole nodes.
    pub(crate) nodes: Figures,
}

/// See the file.
pub(crate) struct Ours {
    pub(crate) queue: Queue,
    idle_node: Free,
    picks: Vec<Entry>,
}

impl Ours {
    pub(crate) fn new(source: &Source) -> Self {
        let queue = Queue::default();
        let idle_node = free(source.idle_node(), &queue);
        Self { queue, idle_node, picks: Vec::with_capacity(FILL_MAX) }
    }

    fn fill_node(&mut self) -> usize {
        self.picks.clear();
        fill_node(&mut self.queue, self.idle_node.amounts, &mut self.picks);
        self.picks.len()
    }

    fn put_back(&mut self) {
        // The last one first, as guards do that are dropped by whoever cuts a list short.
        while let Some(entry) = self.picks.pop() {
            assert!(self.queue.put_back(entry.id), "a pick is there until it is put back");
        }
    }

    /// Fills so many idle nodes. Each is put back, then filled again and launched, so that the next
    /// one does not meet entries that were touched just before.
    pub(crate) fn fills(&mut self, steady: &mut Steady, n: usize) -> Fills {
        let timer = Timer::new();
        let mut fills = Fills::default();
        for _ in 0..n {
            let (n_picks, ns) = timer.time(|| self.fill_node());
            if n_picks == 0 {
                continue;
            }
            fills.nodes.push(ns);
            fills.fill.push(ns / n_picks as u64);
            let ((), ns) = timer.time(|| self.put_back());
            fills.put_back.push(ns / n_picks as u64);
            assert_eq!(self.fill_node(), n_picks, "what was put back is picked again");
            for entry in std::mem::take(&mut self.picks) {
                let gone = Gone::of(&entry);
                self.launch(&gone);
                steady.took(&gone);
                let next = self.entry(&steady.successor(&gone));
                self.insert(next);
            }
        }
        fills
    }
}

/// Takes what fits into a node until nothing does.
fn fill_node(queue: &mut Queue, mut left: Amounts, picks: &mut Vec<Entry>) {
    while picks.len() < FILL_MAX {
        let Some(entry) = queue.take_first_fit(&mut left) else { break };
        picks.push(entry);
    }
}

impl Structure for Ours {
    type Entry = Entry;

    fn entry(&mut self, draft: &Draft) -> Entry {
        draft.entry(&mut self.queue)
    }

    fn insert(&mut self, entry: Entry) {
        self.queue.insert(entry).expect("room");
    }

    fn decide(&mut self, free: &Free) -> Option<u64> {
        self.queue.first_fit(&free.amounts).map(|id| id.0)
    }

    fn take(&mut self, free: &Free) -> Option<Gone> {
        let mut left = free.amounts;
        self.queue.take_first_fit(&mut left).map(|entry| Gone::of(&entry))
    }

    fn pick(&mut self, id: u64) -> Gone {
        Gone::of(&self.queue.pick(ExeId(id)).expect("it was decided"))
    }

    fn launch(&mut self, gone: &Gone) {
        self.queue.launch(ExeId(gone.id)).expect("it was taken");
        self.queue.end(job_type(gone.kind));
    }

    fn cancel(&mut self, id: u64) -> Gone {
        Gone::of(&self.queue.cancel(ExeId(id)).expect("it is queued"))
    }

    fn set_paused(&mut self, kind: u32, is_paused: bool) {
        self.queue.set_paused(job_type(kind), is_paused);
    }

    fn head(&mut self) -> Option<u64> {
        self.queue.first_fit(&Amounts::unlimited()).map(|id| id.0)
    }
}
