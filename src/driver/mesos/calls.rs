//! The connection for calls of a subscription: they are sent without waiting, and answered in order.
//!
//! A master takes a while for a call with hundreds of tasks; whoever sends has other things to do meanwhile.
//!
//! C1  At most `MESOS_CALLS_AT_ONCE` calls wait for their answers.
//! C2  A call that is refused, and a connection that breaks, is told once: which of the calls since arrived is not
//!     known, so nothing more is sent.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::http::Head;
use crate::limits::MESOS_CALLS_AT_ONCE;
use crate::sync::{AtomicU64, Ordering};

/// Longest wait for an answer, and at most twice that: a master with thousands of tasks on its hands is slow.
const ANSWER: Duration = Duration::from_secs(30);

/// Bytes of calls that are written at once.
const WRITE_BYTES: usize = 128 << 10;

/// See the file.
#[derive(Debug)]
pub(super) struct Calls {
    stream: TcpStream,
    n_waiting: Arc<AtomicU64>,
    failed: Receiver<String>,
}

impl Calls {
    /// `wake` is called when something went wrong, and when all is answered.
    pub(super) fn begin(stream: TcpStream, wake: Arc<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        stream.set_read_timeout(Some(ANSWER))?;
        let (tell, failed) = bounded(1);
        let n_waiting = Arc::new(AtomicU64::new(0));
        let (answers, waiting) = (stream.try_clone()?, n_waiting.clone());
        std::thread::Builder::new().name("weighbridge-calls".to_owned()).spawn(move || {
            let why = read_all(BufReader::new(answers), &waiting, &*wake);
            // Nobody wants to know where the subscription is over.
            let _ = tell.send(why);
            wake();
        })?;
        Ok(Self { stream, n_waiting, failed })
    }

    /// Why there are no calls any more, if so; once.
    pub(super) fn failure(&self) -> Option<String> {
        self.failed.try_recv().ok()
    }

    /// How many calls may be sent now.
    pub(super) fn room(&self) -> usize {
        MESOS_CALLS_AT_ONCE.saturating_sub(self.n_waiting())
    }

    /// How many wait for their answers.
    pub(super) fn n_waiting(&self) -> usize {
        // Acquire, with the Release in `read_all`: an answer that is counted has arrived.
        usize::try_from(self.n_waiting.load(Ordering::Acquire)).unwrap_or(usize::MAX)
    }

    /// Sends calls, at most as many as there is room for.
    ///
    /// # Errors
    /// Where the connection is of no use any more.
    pub(super) fn send(&mut self, calls: impl Iterator<Item = Vec<u8>>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for call in calls {
            bytes.extend_from_slice(&call);
            // Relaxed: the answer comes after what is written.
            self.n_waiting.fetch_add(1, Ordering::Relaxed);
            if bytes.len() >= WRITE_BYTES {
                self.stream.write_all(&bytes)?;
                bytes.clear();
            }
        }
        self.stream.write_all(&bytes)
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // Where it is closed already there is nobody to end.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Reads answers until one of them is no good; says why.
fn read_all(mut answers: BufReader<TcpStream>, n_waiting: &AtomicU64, wake: &dyn Fn()) -> String {
    let mut is_late = false;
    loop {
        let answer = Head::read(&mut answers).and_then(|head| Ok((head.status, head.finish(&mut answers)?)));
        match answer {
            Ok((202, _)) => {
                is_late = false;
                // Release, with the Acquire in `n_waiting`.
                if n_waiting.fetch_sub(1, Ordering::Release) == 1 {
                    wake();
                }
            }
            Ok((status, why)) => return format!("a call was answered {status}: {why}"),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                // Relaxed: a call that was sent just now is looked at again.
                let is_waiting = n_waiting.load(Ordering::Relaxed) > 0;
                if is_waiting && is_late {
                    return format!("a call had no answer within {ANSWER:?}");
                }
                is_late = is_waiting;
            }
            Err(error) => return format!("the connection for calls broke: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn connected() -> (Calls, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (master, _) = listener.accept().expect("a connection");
        (Calls::begin(stream, Arc::new(|| {})).expect("a thread"), master)
    }

    fn failure(calls: &Calls) -> String {
        calls.failed.recv_timeout(Duration::from_mins(1)).expect("a word")
    }

    fn until_none_waits(calls: &Calls) {
        while calls.n_waiting() > 0 {
            assert_eq!(calls.failure(), None);
            std::thread::yield_now();
        }
    }

    const TAKEN: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn calls_are_sent_before_the_first_is_answered_and_not_more_than_may_wait() {
        let (mut calls, mut master) = connected();
        assert_eq!(calls.room(), MESOS_CALLS_AT_ONCE);
        calls.send((0..3).map(|_| b"x".to_vec())).expect("sent");
        assert_eq!((calls.n_waiting(), calls.room()), (3, MESOS_CALLS_AT_ONCE - 3));
        let mut sent = [0; 3];
        io::Read::read_exact(&mut master, &mut sent).expect("all of them");
        master.write_all(&TAKEN.repeat(3)).expect("answered");
        until_none_waits(&calls);
        assert_eq!(calls.room(), MESOS_CALLS_AT_ONCE);
    }

    #[test]
    fn a_call_that_is_refused_and_a_connection_that_breaks_are_told() {
        let (mut calls, mut master) = connected();
        calls.send((0..2).map(|_| b"x".to_vec())).expect("sent");
        master.write_all(TAKEN).expect("answered");
        master.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno").expect("answered");
        assert_eq!(failure(&calls), "a call was answered 400: no");
        let (calls, master) = connected();
        drop(master);
        assert!(failure(&calls).contains("broke"));
    }
}
