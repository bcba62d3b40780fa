//! Where the rows of the state file are: the directory of segments, and the place of each job.
//!
//! I1  A job that is not over, and is in the file, has its place in `open`; one that is over has it in
//!     `over`, or in the table of places where its segment is older than `placed_below`.
//! I2  Only the checkpointer changes an index, after its transaction is on disk.

use std::collections::BTreeMap;

use foldhash::HashMap;
use redb::{ReadableTable, Table};

use super::file::{Head, seal, storage, unseal_one};
use super::recovery::OpenError;
use super::segment::{Place, SegmentInfo};
use crate::limits::SEGMENT_BYTES;
use crate::model::JobId;
use crate::state::Paged;

/// Ids of one block of the table of places.
pub(super) const BLOCK_IDS: u64 = 512;

/// See the file.
#[derive(Default)]
pub(super) struct Index {
    pub(super) directory: HashMap<u32, SegmentInfo>,
    /// Numbers of the segments, by the order of their rows.
    pub(super) by_order: BTreeMap<u64, u32>,
    pub(super) open: Paged<Place>,
    pub(super) over: HashMap<JobId, Place>,
    pub(super) head: Head,
}

impl Index {
    pub(super) fn put(&mut self, number: u32, info: SegmentInfo) {
        self.by_order.insert(info.order, number);
        self.directory.insert(number, info);
    }

    pub(super) fn remove(&mut self, number: u32) {
        let Some(info) = self.directory.remove(&number) else { return };
        // What took its rows over may have taken its place in the order too.
        if self.by_order.get(&info.order) == Some(&number) {
            self.by_order.remove(&info.order);
        }
    }

    /// Runs of segments that stand together and hold less than half of what they might, `changes`
    /// counted; at most `most` segments in all.
    pub(super) fn sparse(&self, changes: &HashMap<u32, SegmentInfo>, most: usize) -> Vec<Vec<u32>> {
        let mut runs: Vec<Vec<u32>> = Vec::new();
        let mut goes_on = false;
        let mut n = 0;
        for number in self.by_order.values() {
            let info = changes.get(number).unwrap_or(&self.directory[number]);
            if info.n_live() == 0 {
                continue;
            }
            let live_bytes = u64::from(info.bytes) * u64::from(info.n_live()) / u64::from(info.n_rows.max(1));
            let is_sparse = 2 * info.n_dead >= info.n_rows || 2 * live_bytes < SEGMENT_BYTES as u64;
            if is_sparse && n < most {
                n += 1;
                match runs.last_mut().filter(|_| goes_on) {
                    Some(run) => run.push(*number),
                    None => runs.push(vec![*number]),
                }
            }
            goes_on = is_sparse;
        }
        let pays = |run: &Vec<u32>| {
            let info = changes.get(&run[0]).unwrap_or(&self.directory[&run[0]]);
            run.len() > 1 || 2 * info.n_dead >= info.n_rows
        };
        runs.retain(pays);
        runs
    }
}

/// The places of one block of ids; a place is six bytes, and a segment of `u32::MAX` is none.
pub(super) type Block = Vec<(u32, u16)>;

pub(super) const NOWHERE: (u32, u16) = (u32::MAX, 0);

pub(super) const fn block_of(id: JobId) -> (u64, usize) {
    (id.0 / BLOCK_IDS, (id.0 % BLOCK_IDS) as usize)
}

/// Where the table has a job.
pub(super) fn place_in(
    table: &impl ReadableTable<u64, &'static [u8]>,
    id: JobId,
) -> Result<Option<Place>, OpenError> {
    let (block, at) = block_of(id);
    let Some(bytes) = table.get(block).map_err(storage("read"))? else { return Ok(None) };
    let block: Block = unseal_one(bytes.value())?;
    let place = block.get(at).filter(|place| **place != NOWHERE);
    Ok(place.map(|&(segment, row)| Place { segment, row }))
}

/// Puts places into the table, which are sorted by id.
pub(super) fn put_places(
    table: &mut Table<'_, u64, &'static [u8]>,
    places: &[(JobId, Place)],
) -> Result<(), OpenError> {
    for all in places.chunk_by(|a, b| block_of(a.0).0 == block_of(b.0).0) {
        let (number, _) = block_of(all[0].0);
        let known = table.get(number).map_err(storage("read"))?.map(|bytes| unseal_one(bytes.value()));
        let mut block: Block = known.transpose()?.unwrap_or_default();
        for (id, place) in all {
            let (_, at) = block_of(*id);
            if block.len() <= at {
                block.resize(at + 1, NOWHERE);
            }
            block[at] = (place.segment, place.row);
        }
        table.insert(number, seal([block]).as_slice()).map_err(storage("write"))?;
    }
    Ok(())
}
