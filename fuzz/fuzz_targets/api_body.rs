//! Any bytes as the body of a call: see `src/testing/fuzz/api_body.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weighbridge::fuzz::api_body(bytes));
