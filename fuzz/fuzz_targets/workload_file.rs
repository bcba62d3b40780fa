//! Any bytes as a workload file: see `src/testing/fuzz/workload.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weighbridge::fuzz::workload_file(bytes));
