//! Any bytes as a row of the log: see `src/testing/fuzz/batch.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weighbridge::fuzz::batch_decode(bytes));
