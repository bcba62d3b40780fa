//! Any bytes as a Seed manifest: see `src/testing/fuzz/manifest.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weighbridge::fuzz::manifest(bytes));
