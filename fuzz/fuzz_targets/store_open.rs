//! A store that is damaged as the bytes say, opened: see `src/testing/fuzz/store.rs`.
#![no_main]

// Panics of the storage are caught by what opens a store, so a panic alone is no finding here: what the
// target does not catch still ends it.
libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(weighbridge::fuzz::tell_panic)),
    |bytes: &[u8]| weighbridge::fuzz::store_open(bytes)
);
