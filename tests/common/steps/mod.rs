//! One vocabulary of what may happen to a queue, for model tests, fuzzing and the corpus of both:
//! steps as bytes, a naive model, and a runner that holds the real engine against it.
//!
//! Included by path where it is used. It speaks to the public API only, so it needs no place in
//! the library and no feature there.
//!
//! V1  Any bytes are steps, and steps that were read from bytes write back to steps that are equal.
//! V2  After every step the engine and the model tell the same; the bare queue and the model too.
//!     Of large queues only a part is compared after each step, and all of it now and then.

#![allow(dead_code, unused_imports, reason = "each of its users has its part")]

mod bare;
mod lanes;
mod look;
mod model;
mod pair;
mod step;

pub(crate) use bare::agree_queue;
pub(crate) use pair::agree;
pub(crate) use step::{
    Amount, Asks, Drain, Growth, How, Jobs, Keep, LIMIT_NOTHING, STEP_BYTES, STEPS_MAX, Step, steps_from,
};
