//! Locks, atomics and threads, in one place, so that a build under loom can swap them.

#[cfg(feature = "local")]
pub(crate) use parking_lot::MutexGuard;
pub(crate) use parking_lot::{Condvar, Mutex};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
