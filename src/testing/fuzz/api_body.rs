//! Any bytes as the body of a call: every reader takes it or says what is wrong with it.

use crate::api::read_any;

/// See the file.
pub fn api_body(bytes: &[u8]) {
    read_any(bytes);
}
