//! What the supervisor says to people: lines on standard error, which the daemon points at
//! `supervisor.log`. Bounded in size, and for what may repeat without end, in number.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl};

use crate::clock::{Clock, SystemClock};

/// A log that is larger is begun anew.
pub(super) const LOG_BYTES_MAX: u64 = 1 << 20;

/// Between two lines about refused launches.
const REFUSALS_PERIOD: Duration = Duration::from_secs(10);

/// One line for people.
pub(super) fn log(text: &str) {
    let seconds = SystemClock.now().0 / 1_000_000;
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{seconds} {text}");
    // A log that cannot be bounded, a pipe for instance, is somebody else's to bound.
    let _ = stderr.as_fd().try_clone_to_owned().and_then(|log| bound(&File::from(log), LOG_BYTES_MAX));
}

/// Empties a file that has grown too large, where whoever writes it writes at its end.
pub(super) fn bound(log: &File, bytes_max: u64) -> io::Result<()> {
    let metadata = log.metadata()?;
    if metadata.is_file() && metadata.len() > bytes_max && fcntl_getfl(log)?.contains(OFlags::APPEND) {
        log.set_len(0)?;
    }
    Ok(())
}

/// Says now and then that launches are refused: while a machine is short of something each one may
/// be, four times a second.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    said: Option<Instant>,
    n_unsaid: u64,
}

impl Refusals {
    /// The line for a refusal at `now`, if one is due.
    pub(super) fn line(&mut self, now: Instant, text: &str) -> Option<String> {
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < REFUSALS_PERIOD) {
            self.n_unsaid += 1;
            return None;
        }
        self.said = Some(now);
        Some(match std::mem::take(&mut self.n_unsaid) {
            0 => text.to_owned(),
            n => format!("{text} (and {n} more were refused since the last line)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    #[test]
    fn a_log_that_has_grown_too_large_is_begun_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut log = File::options().create(true).append(true).open(dir.path().join("a")).expect("a file");
        log.write_all(b"12345678").expect("written");
        bound(&log, 8).expect("bounded");
        assert_eq!(log.metadata().expect("a file").len(), 8);
        bound(&log, 7).expect("bounded");
        log.write_all(b"9").expect("written");
        assert_eq!(log.metadata().expect("a file").len(), 1);
    }

    #[test]
    fn a_file_that_is_not_written_at_its_end_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut log = File::create(dir.path().join("a")).expect("a file");
        log.write_all(b"12345678").expect("written");
        bound(&log, 7).expect("bounded");
        assert_eq!(log.metadata().expect("a file").len(), 8);
    }

    #[test]
    fn refusals_are_said_now_and_then_with_their_number() {
        let (mut refusals, now) = (Refusals::default(), monotonic());
        assert_eq!(refusals.line(now, "a").as_deref(), Some("a"));
        assert_eq!(refusals.line(now, "b"), None);
        assert_eq!(refusals.line(now + REFUSALS_PERIOD / 2, "c"), None);
        let said = refusals.line(now + REFUSALS_PERIOD, "d").expect("a line");
        assert_eq!(said, "d (and 2 more were refused since the last line)");
        assert_eq!(refusals.line(now + 2 * REFUSALS_PERIOD, "e").as_deref(), Some("e"));
    }
}
