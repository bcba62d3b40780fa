//! Evidence that what caused a value is on disk.
//!
//! D1  Outside this module nobody can make a `Durable`: it comes out of the log writer after its
//!     sync, or out of a log that was asked to promise nothing.

/// A value whose causes are synced. Drivers take launches in no other form, so "log it, then
/// launch it" is a type error to get wrong.
#[must_use = "a durable decision that is never carried out holds its resources forever"]
#[derive(Debug, PartialEq, Eq)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// Only for the log: the sync that covers `value` has returned.
    pub(in crate::wal) fn after_sync(value: T) -> Self {
        Self(value)
    }

    /// The value itself, when it is about to take effect.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// A look at the value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The same evidence for a part of the value.
    pub(crate) fn map<U>(self, part: impl FnOnce(T) -> U) -> Durable<U> {
        Durable(part(self.0))
    }

    /// The value, and the evidence by itself.
    pub(crate) fn split(self) -> (T, Durable<()>) {
        (self.0, Durable(()))
    }

    /// Evidence for tests of drivers, which have no log.
    #[cfg(all(test, feature = "local"))]
    pub(crate) fn for_test(value: T) -> Self {
        Self(value)
    }
}

impl<T> Durable<Vec<T>> {
    /// The same evidence for each of the values.
    pub fn each(self) -> Vec<Durable<T>> {
        self.0.into_iter().map(Durable).collect()
    }
}
