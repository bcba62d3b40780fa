//! Messages into the engine.

use crate::engine::{Delivered, DeliveryError, Engine, Letter, Ticket, Unread};
use crate::intake::IntakeError;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::model::Message;

/// What a text says, for the core.
fn letter(text: &str, number: Option<u64>) -> Letter {
    let says = Message::read(text);
    let says = says.map_err(|error| Unread { code: error.code(), reason: error.to_string() });
    // Of one that is too long the beginning is kept, by which people find out where it came from.
    let kept = &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)];
    Letter { text: kept.to_owned(), says, number }
}

impl Engine {
    /// Takes a message as text, `{"type": ..., "body": ...}`, and carries it out: the answer comes once that is
    /// on disk. What cannot be read, or names what there is not, is kept as a dead letter, and the answer says
    /// so. The same message again changes nothing.
    ///
    /// # Errors
    /// [`DeliveryError`] where it can be given again at once, or a little later.
    pub fn deliver(&self, text: &str) -> Result<Ticket<Delivered, DeliveryError>, IntakeError> {
        self.take_letter(letter(text, None))
    }

    /// Takes a dead letter again: once it was carried out it is no more, else it is kept under its number with
    /// what is wrong with it now.
    pub fn retry_dead_letter(&self, number: u64) -> Result<Ticket<Delivered, DeliveryError>, IntakeError> {
        match self.dead_letter(number) {
            Some(dead) => self.take_letter(letter(&dead.message, Some(number))),
            None => Ok(self.no_dead_letter(number)),
        }
    }
}
