//! Any text as an instant in a parameter: see `src/testing/fuzz/time_param.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weighbridge::fuzz::time_param(bytes));
