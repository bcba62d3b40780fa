//! What goes to the daemon. Never blocks: what the socket does not take at once is kept and sent
//! when it can be, so a daemon that is slow or stopped holds up no execution.
//!
//! Behind the supervisor's one lock, so that what it says keeps the order in which it came to be.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use crate::launch::StatusUpdate;

use super::protocol::{ENTRIES_PER_FRAME, News, append_frame};

/// Most bytes kept. Statuses fit ([`KNOWN_MAX`](super::table::KNOWN_MAX) of them, each cut to a
/// kilobyte or so); who asks on and on without reading the answers is cut off here.
const UNSENT_BYTES_MAX: usize = 256 << 20;

/// Capacity that an empty outbox keeps.
const CAPACITY_KEPT: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    stream: Option<UnixStream>,
    unsent: Vec<u8>,
}

impl Outbox {
    /// From now on what is said goes to `stream`, which does not block.
    pub(super) fn attach(&mut self, stream: UnixStream) {
        self.detach();
        self.stream = Some(stream);
    }

    /// From now on what is said goes nowhere.
    pub(super) fn detach(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_attached(&self) -> bool {
        self.stream.is_some()
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub(super) fn say(&mut self, news: &News) {
        if self.stream.is_none() {
            return;
        }
        append_frame(&mut self.unsent, news).expect("limits make every message of ours fit a frame");
        self.flush();
    }

    pub(super) fn say_statuses(&mut self, mut statuses: Vec<StatusUpdate>) {
        while !statuses.is_empty() {
            let rest = statuses.split_off(statuses.len().min(ENTRIES_PER_FRAME));
            self.say(&News::Statuses(statuses));
            statuses = rest;
        }
    }

    /// Sends what can be sent. After an error nothing more is; whoever reads the connection sees
    /// its end.
    pub(super) fn flush(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let mut sent = 0;
        while sent < self.unsent.len() {
            match stream.write(&self.unsent[sent..]) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return self.detach(),
            }
        }
        self.unsent.drain(..sent);
        if self.unsent.len() > UNSENT_BYTES_MAX {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return self.detach();
        }
        if self.unsent.is_empty() {
            self.unsent.shrink_to(CAPACITY_KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_reader_that_is_slow_blocks_nobody_and_misses_nothing() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("a socket");
        let mut outbox = Outbox::default();
        outbox.attach(ours);
        let mut expected = Vec::new();
        while !outbox.has_unsent() {
            outbox.say(&News::Busy);
            append_frame(&mut expected, &News::Busy).expect("small");
        }
        let mut read = vec![0; expected.len()];
        let mut at = 0;
        while at < read.len() {
            at += theirs.read(&mut read[at..]).expect("bytes");
            outbox.flush();
        }
        assert_eq!(read, expected);
        assert!(!outbox.has_unsent());
    }

    #[test]
    fn what_is_said_to_nobody_is_not_kept() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let mut outbox = Outbox::default();
        outbox.attach(ours);
        drop(theirs);
        outbox.say(&News::Busy);
        outbox.say(&News::Busy);
        assert!(!outbox.has_unsent());
    }
}
