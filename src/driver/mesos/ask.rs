//! Questions that are answered once: to a master for its agents, to an agent for files.
//!
//! Q1  A question has an end, however slowly its answer comes.
//! Q2  A connection is used for the next question only where nothing is left of the answer before.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::address::Address;
use super::http::{Head, connect, request};
use crate::clock::monotonic;

/// Longest wait for the next bytes where somebody wants to read them.
pub(super) const SILENCE: Duration = Duration::from_secs(5);

/// Reads until an instant.
struct Until {
    stream: TcpStream,
    silence: Duration,
    end: Instant,
}

impl Read for Until {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(monotonic());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left.min(self.silence)))?;
        self.stream.read(into)
    }
}

/// Whom to ask, and as whom.
pub(super) struct Asked<'a> {
    pub(super) to: &'a Address,
    pub(super) path: &'a str,
    /// What HTTP basic authentication sends, where it is wanted.
    pub(super) authorization: Option<&'a str>,
    /// Longest wait for the next bytes.
    pub(super) silence: Duration,
    /// When the answer comes too late.
    pub(super) end: Instant,
    /// Most bytes of the answer.
    pub(super) most: u64,
}

/// A connection for the next question to the same one.
pub(super) struct Line {
    to: Address,
    answers: BufReader<Until>,
}

impl Asked<'_> {
    /// Sends a body in JSON and reads what comes.
    pub(super) fn post(&self, body: &[u8]) -> io::Result<(Head, Vec<u8>)> {
        self.post_on(&mut None, body)
    }

    /// The same on a connection that is kept, or on a new one where that has ended meanwhile. What is asked may
    /// arrive twice.
    pub(super) fn post_on(&self, line: &mut Option<Line>, body: &[u8]) -> io::Result<(Head, Vec<u8>)> {
        if monotonic() >= self.end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let question = request(self.to, self.path, self.authorization, None, body);
        if let Some(known) = line.take().filter(|known| known.to == *self.to) {
            match self.exchange(known, line, &question) {
                Err(error) if is_of_line(&error) => {}
                answer => return answer,
            }
        }
        let stream = connect(self.to)?;
        let answers = BufReader::new(Until { stream, silence: self.silence, end: self.end });
        self.exchange(Line { to: self.to.clone(), answers }, line, &question)
    }

    fn exchange(
        &self,
        mut line: Line,
        kept: &mut Option<Line>,
        question: &[u8],
    ) -> io::Result<(Head, Vec<u8>)> {
        let until = line.answers.get_mut();
        (until.silence, until.end) = (self.silence, self.end);
        until.stream.write_all(question)?;
        let head = Head::read(&mut line.answers)?;
        let body = head.body(&mut line.answers, self.most)?;
        let is_over = head.header("connection").is_some_and(|how| how.eq_ignore_ascii_case("close"));
        if !is_over && line.answers.buffer().is_empty() {
            *kept = Some(line);
        }
        Ok((head, body))
    }
}

/// Whether another connection may do better: neither silence nor a long answer.
fn is_of_line(error: &io::Error) -> bool {
    let others = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut, io::ErrorKind::FileTooLarge];
    !others.contains(&error.kind())
}

/// Why an exchange failed, for people.
pub(super) fn told(error: &io::Error) -> String {
    let is_silence = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
    if is_silence { "it does not answer".to_owned() } else { error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_that_drips_has_an_end() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to: Address = listener.local_addr().expect("bound").to_string().parse().expect("an address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let end = monotonic() + Duration::from_millis(100);
        let asked = Asked { to: &to, path: "/", authorization: None, silence: SILENCE, end, most: 1 << 20 };
        let error = asked.post(b"{}").expect_err("it never ends");
        assert_eq!(told(&error), "it does not answer");
        server.join().expect("it ends with its client");
        assert!(asked.post(b"{}").is_err(), "nothing is asked any more");
    }

    #[test]
    fn who_asks_says_who_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to: Address = listener.local_addr().expect("bound").to_string().parse().expect("an address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut bytes = vec![0; 4_096];
            let n = stream.read(&mut bytes).expect("a question");
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno").expect("answered");
            String::from_utf8_lossy(&bytes[..n]).into_owned()
        });
        let end = monotonic() + Duration::from_secs(10);
        let asked = Asked {
            to: &to,
            path: "/slave(1)/api/v1",
            authorization: Some("Basic eA=="),
            silence: SILENCE,
            end,
            most: 2,
        };
        let (head, body) = asked.post(b"{}").expect("an answer");
        assert_eq!((head.status, body.as_slice()), (404, b"no".as_slice()));
        let question = server.join().expect("asked");
        assert!(question.starts_with("POST /slave(1)/api/v1 HTTP/1.1\r\n"), "{question}");
        assert!(question.contains("\r\nAuthorization: Basic eA==\r\n"), "{question}");
        assert!(question.ends_with("\r\nContent-Length: 2\r\n\r\n{}"), "{question}");
    }
}
