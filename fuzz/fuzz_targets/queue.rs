//! Any bytes as steps: the bare queue against the naive model of `tests/common/steps`, up to
//! thousands of entries and lanes.
#![no_main]

#[path = "../../tests/common/steps/mod.rs"]
mod steps;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| steps::agree_queue(&steps::steps_from(bytes)));
