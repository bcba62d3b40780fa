//! Any bytes as a stream of records: see `src/testing/fuzz/mesos.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weighbridge::fuzz::recordio(bytes));
