//! A switch between FIFO and LIFO, in slices: the old order holds until all is ready for the new
//! one, which then comes into force as a whole.
//!
//! R1  While a switch is under way, lanes that are not in `todo` hold their heads in the direction
//!     that is to come, beside those in force.

use super::{LaneSlot, Queue, TypeSlot, type_index};
use crate::model::{JobTypeId, QueueMode};
use crate::queue::nodes::Nodes;

/// With more lanes that turn, the order of all open ones is made anew; that costs some 3 us for
/// each 64 of them.
const FEW_LANES: usize = 512;

/// What is to come.
pub(super) struct Turn {
    mode: QueueMode,
    types: Vec<(JobTypeId, Option<QueueMode>)>,
    todo: Vec<u32>,
}

impl Turn {
    /// The direction that is to come for a type with switches `slot`.
    fn mode_of(&self, job_type: JobTypeId, slot: &TypeSlot) -> QueueMode {
        let own = self.types.iter().find(|(of, _)| *of == job_type);
        own.map_or(slot.mode, |(_, own)| *own).unwrap_or(self.mode)
    }

    /// Finds the head of a lane in the direction that is to come.
    fn prepare(&self, (lane, nodes): (&mut LaneSlot, &Nodes), types: &[TypeSlot], mode: QueueMode) {
        let job_type = lane.key.job_type;
        let slot = &types[type_index(job_type)];
        let to = self.mode_of(job_type, slot);
        if to != slot.mode.unwrap_or(mode) {
            lane.heads[to as usize] = lane.rows.head(nodes, to);
        }
    }
}

impl Queue {
    /// Sets the direction inside a type; `None` gives it back to the global one. Cost: lanes of the
    /// type; see [`Queue::start_turn`] for slices.
    ///
    /// # Panics
    /// When the job type's id is above `JOB_TYPES_MAX` (100,000).
    pub fn set_type_mode(&mut self, job_type: JobTypeId, mode: Option<QueueMode>) {
        self.start_turn(Some(job_type), mode);
        while !self.turn_some(usize::MAX) {}
    }

    /// Sets the global direction. Cost: every lane; see [`Queue::start_turn`] for slices.
    pub fn set_mode(&mut self, mode: QueueMode) {
        self.start_turn(None, Some(mode));
        while !self.turn_some(usize::MAX) {}
    }

    /// Switches the direction, of one type (`None` gives it back to the global one) or of all that
    /// have none of their own: begins it. The order changes as a whole when [`Queue::turn_some`]
    /// says that it is done; until then the old one holds. Begun while another is under way, both
    /// come into force together. Cost: a list of the lanes that turn; nothing where the direction to
    /// come is the one asked for.
    ///
    /// # Panics
    /// When the job type's id is above `JOB_TYPES_MAX` (100,000).
    pub fn start_turn(&mut self, job_type: Option<JobTypeId>, mode: Option<QueueMode>) {
        let is_to_come = match job_type {
            Some(job_type) => {
                let own = self.type_slot_mut(job_type).mode;
                let mut turns = self.turn.iter().flat_map(|turn| &turn.types);
                turns.find(|(of, _)| *of == job_type).map_or(own, |(_, to_come)| *to_come) == mode
            }
            None => self.mode_to_come() == mode.unwrap_or_default(),
        };
        if is_to_come {
            return;
        }
        let n_slots = u32::try_from(self.lanes.len()).expect("little more than LANES_MAX");
        let turn = self.turn.get_or_insert(Turn { mode: self.mode, types: Vec::new(), todo: Vec::new() });
        if let Some(job_type) = job_type {
            turn.types.retain(|(of, _)| *of != job_type);
            turn.types.push((job_type, mode));
            turn.todo.extend(&self.types[type_index(job_type)].lanes);
            // Begun again and again, it names each lane once all the same.
            turn.todo.sort_unstable();
            turn.todo.dedup();
        } else {
            turn.mode = mode.unwrap_or_default();
            turn.todo = (0..n_slots).collect();
        }
    }

    /// The global direction that is in force once no switch is under way any more.
    pub(crate) fn mode_to_come(&self) -> QueueMode {
        self.turn.as_ref().map_or(self.mode, |turn| turn.mode)
    }

    /// Goes on with a switch that was begun, by at most `n_lanes` lanes. True when none is under
    /// way any more. Cost: two descents per lane; the last slice also sorts the open lanes.
    pub fn turn_some(&mut self, n_lanes: usize) -> bool {
        let Some(turn) = &mut self.turn else { return true };
        let rest = turn.todo.len().saturating_sub(n_lanes.max(1));
        for at in turn.todo.split_off(rest) {
            let lane = &mut self.lanes[at as usize];
            if lane.is_used {
                turn.prepare((lane, &self.nodes), &self.types, self.mode);
            }
        }
        if rest > 0 {
            return false;
        }
        self.finish_turn();
        true
    }

    /// What a lane holds for a switch under way, after its rows changed.
    pub(super) fn turn_again(&mut self, at: u32) {
        if let Some(turn) = &self.turn {
            turn.prepare((&mut self.lanes[at as usize], &self.nodes), &self.types, self.mode);
        }
    }

    fn finish_turn(&mut self) {
        let Some(Turn { mode, types, .. }) = self.turn.take() else { return };
        self.version += 1;
        let is_global = self.mode != mode;
        self.mode = mode;
        let mut n_lanes = 0;
        for (job_type, mode) in &types {
            let slot = self.type_slot_mut(*job_type);
            slot.mode = *mode;
            n_lanes += slot.lanes.len();
        }
        if is_global || n_lanes > FEW_LANES {
            let Self { open, lanes, types, mode, .. } = self;
            open.rebound(|at| {
                let lane = &lanes[at as usize];
                let slot = &types[type_index(lane.key.job_type)];
                let head = lane.head(slot.mode.unwrap_or(*mode)).expect("Q2: an open lane has rows");
                super::bound_of(slot, *mode, head)
            });
        } else {
            for (job_type, _) in types {
                self.refresh_type(job_type);
            }
        }
    }

    /// Holds Q5 for one lane against what is there.
    pub(super) fn check_heads(&self, at: u32, lane: &LaneSlot) {
        let slot = &self.types[type_index(lane.key.job_type)];
        let mode = slot.mode.unwrap_or(self.mode);
        assert_eq!(lane.head(mode), lane.rows.head(&self.nodes, mode), "Q5: lane {at}");
        if let Some(turn) = self.turn.as_ref().filter(|turn| !turn.todo.contains(&at)) {
            let to = turn.mode_of(lane.key.job_type, slot);
            assert_eq!(lane.head(to), lane.rows.head(&self.nodes, to), "R1: lane {at}");
        }
    }
}
