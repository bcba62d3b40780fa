//! Switching all lanes from FIFO to LIFO and back, in slices as the engine does it.

use std::time::Duration;

use weighbridge::limits::TURN_LANES;
use weighbridge::{Queue, QueueMode};

use super::figures::now;

/// What the slower of the two switches took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Turn {
    pub(crate) whole: Duration,
    /// The longest time that the queue was not there for others.
    pub(crate) longest_slice: Duration,
}

pub(crate) fn measure(queue: &mut Queue) -> Turn {
    let mut turn = Turn::default();
    for mode in [QueueMode::Lifo, QueueMode::Fifo] {
        let mut whole = Duration::ZERO;
        let mut slice = |work: &mut dyn FnMut() -> bool| {
            let start = now();
            let is_done = work();
            let took = start.elapsed();
            whole += took;
            turn.longest_slice = turn.longest_slice.max(took);
            is_done
        };
        slice(&mut || {
            queue.start_turn(None, Some(mode));
            false
        });
        while !slice(&mut || queue.turn_some(TURN_LANES)) {}
        assert_eq!(queue.mode(), mode);
        turn.whole = turn.whole.max(whole);
    }
    turn
}
