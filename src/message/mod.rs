//! Orders and news that come as messages: Scale's JSON in and out, and what cannot be carried out of them.
//!
//! Protocol:
//! 1. A text is read whole, strictly and within bounds, or not at all.
//! 2. What it says is done by one command of the engine, whole, and answered once that is on disk. The same
//!    message again changes nothing: it names the execution it is about, or where jobs have to stand.
//! 3. What cannot be read, or names what there is not, becomes a dead letter: kept, listed, and taken again or
//!    dropped by order. Nothing is tried for ever.
//!
//! # Source
//! The bodies are those of Scale's `to_json` and `from_json`. There a message that cannot be carried out stays
//! on the broker and is tried again without end.

mod deliver;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::MessageError;
