//! Any bytes as a message: see `src/testing/fuzz/message.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weighbridge::fuzz::message(bytes));
