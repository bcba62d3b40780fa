//! Any bytes as a message: refused in words, or written as what reads back as the same.

use crate::model::Message;

/// Longest text of a refusal.
const REASON_BYTES_MAX: usize = 4 << 10;

/// See the file.
pub fn message(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let message = match Message::read(text) {
        Ok(message) => message,
        Err(error) => {
            let reason = error.to_string();
            assert!(
                !reason.is_empty() && reason.len() < REASON_BYTES_MAX && !error.code().is_empty(),
                "{reason}"
            );
            return;
        }
    };
    let again = Message::read(&message.to_json()).expect("what is written reads back");
    // Fractions in the results of tasks may be rounded each time they are read.
    if !matches!(message, Message::JobExeEnds { .. }) {
        assert_eq!(again, message);
    }
    assert_eq!((again.kind(), again.jobs()), (message.kind(), message.jobs()));
}
