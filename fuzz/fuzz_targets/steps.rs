//! Any bytes as steps: the engine, in memory, against the naive model of `tests/common/steps`.
#![no_main]

#[path = "../../tests/common/steps/mod.rs"]
mod steps;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| steps::agree(false, &steps::steps_from(bytes)));
