//! Where a queued execution is, by its id.
//!
//! Many small tables instead of a large one: when one of them grows, the core stands still for the
//! share of one in `N_SHARDS`, not for all entries.

use foldhash::HashMap;

use crate::model::{ExeId, JobId};

/// Tables. At ten million entries each holds ten thousand, and grows in a fraction of a
/// millisecond.
const N_SHARDS: usize = 1_024;

/// What the id alone does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) job: JobId,
    pub(crate) queued: i64,
    pub(crate) priority: i32,
    pub(crate) lane: u32,
}

/// All places.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    shards: Vec<HashMap<ExeId, Place>>,
    n_entries: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self { shards: vec![HashMap::default(); N_SHARDS], n_entries: 0 }
    }
}

fn shard(id: ExeId) -> usize {
    // Ids are dense: the odd factor spreads neighbours, the top bits are taken.
    let spread = id.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - N_SHARDS.trailing_zeros());
    usize::try_from(spread).expect("below N_SHARDS")
}

impl Places {
    pub(crate) fn len(&self) -> usize {
        self.n_entries
    }

    pub(crate) fn get(&self, id: ExeId) -> Option<&Place> {
        self.shards[shard(id)].get(&id)
    }

    pub(crate) fn insert(&mut self, id: ExeId, place: Place) -> Option<Place> {
        let old = self.shards[shard(id)].insert(id, place);
        self.n_entries += usize::from(old.is_none());
        old
    }

    pub(crate) fn remove(&mut self, id: ExeId) -> Option<Place> {
        let table = &mut self.shards[shard(id)];
        let old = table.remove(&id)?;
        self.n_entries -= 1;
        if table.is_empty() {
            // A queue that drained gives its memory back.
            table.shrink_to_fit();
        }
        Some(old)
    }

    /// Bytes the tables occupy.
    pub(crate) fn bytes(&self) -> usize {
        let slot = size_of::<(ExeId, Place)>() + 1;
        // A table has a power of two of slots, of which seven eighths may be used.
        let slots = |table: &HashMap<ExeId, Place>| (table.capacity() * 8 / 7).next_power_of_two();
        self.shards.iter().filter(|table| table.capacity() > 0).map(|table| slots(table) * slot).sum()
    }
}
