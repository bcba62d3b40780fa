//! Any bytes as an event of a Mesos master: see `src/testing/fuzz/mesos.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weighbridge::fuzz::mesos_event(bytes));
