//! What the scheduler API needs of HTTP/1.1, over plain TCP: calls that are answered one by one, and an answer
//! that never ends.
//!
//! Every line, head and body has a limit, every wait an end.

use std::io::{self, BufRead, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::address::Address;
use super::base64::encode;

/// Longest wait for a connection, for each address of a master's name.
const CONNECT: Duration = Duration::from_secs(3);

/// Longest wait for an answer, and for a connection that takes what is written.
const ANSWER: Duration = Duration::from_secs(10);

/// Longest line of a head, or of the lengths in a body.
const LINE_BYTES_MAX: u64 = 16 << 10;

/// Lines of a head.
const HEAD_LINES_MAX: usize = 200;

/// Of an answer that ends, the bytes that are kept: the word of a refusal.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Of such a word, the characters that are told.
const TOLD_MAX: usize = 300;

/// A connection with limits on each wait.
pub(super) fn connect(to: &Address) -> io::Result<TcpStream> {
    let mut last = io::Error::other(format!("the name {} has no address", to.host));
    for address in (to.host.as_str(), to.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER))?;
                stream.set_write_timeout(Some(ANSWER))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Where a scheduler's calls go.
pub(super) const SCHEDULER: &str = "/api/v1/scheduler";

/// Where an operator's calls go.
pub(super) const OPERATOR: &str = "/api/v1";

/// The bytes of a call.
pub(super) fn request(
    to: &Address,
    path: &str,
    authorization: Option<&str>,
    stream_id: Option<&str>,
    body: &[u8],
) -> Vec<u8> {
    let line =
        |name: &str, value: Option<&str>| value.map_or(String::new(), |value| format!("{name}: {value}\r\n"));
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\n\
         Accept: application/json\r\n{}{}Content-Length: {}\r\n\r\n",
        line("Authorization", authorization),
        line("Mesos-Stream-Id", stream_id),
        body.len(),
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// What HTTP basic authentication sends.
pub(super) fn basic(principal: &str, secret: &str) -> String {
    format!("Basic {}", encode(format!("{principal}:{secret}").as_bytes()))
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        let why = if line.is_empty() { "the master ended the connection" } else { "a line without an end" };
        return Err(io::Error::other(why));
    }
    let line = line.strip_suffix(b"\r").unwrap_or(&line);
    String::from_utf8(line.to_vec()).map_err(|_| io::Error::other("a line that is no text"))
}

/// The first lines of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let no_answer = || io::Error::other("what comes is no HTTP answer");
        let first = read_line(from)?;
        let rest = first.strip_prefix("HTTP/1.").ok_or_else(no_answer)?;
        let status = rest.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(no_answer)?;
        let mut headers = Vec::new();
        while headers.len() < HEAD_LINES_MAX {
            let line = read_line(from)?;
            if line.is_empty() {
                return Ok(Self { status, headers });
            }
            let (name, value) = line.split_once(':').ok_or_else(no_answer)?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Err(no_answer())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|how| how.eq_ignore_ascii_case("chunked"))
    }

    /// Reads the body of an answer that ends, of at most so many bytes; else it is `FileTooLarge`.
    pub(super) fn body(&self, from: &mut impl BufRead, most: u64) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.is_chunked() {
            Chunks::new(from).take(most + 1).read_to_end(&mut body)?;
        } else {
            let length = self.header("content-length").map_or(Ok(0), str::parse::<u64>);
            let length = length.map_err(|_| io::Error::other("no length of a body"))?;
            from.take(length.min(most + 1)).read_to_end(&mut body)?;
            if (body.len() as u64) < length.min(most + 1) {
                return Err(io::Error::other("the connection ended within an answer"));
            }
        }
        if body.len() as u64 > most {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "an answer without an end"));
        }
        Ok(body)
    }

    /// Reads the body of an answer that ends, and gives what it says to people.
    pub(super) fn finish(&self, from: &mut impl BufRead) -> io::Result<String> {
        let body = self.body(from, ANSWER_BYTES_MAX)?;
        Ok(String::from_utf8_lossy(&body).trim().chars().take(TOLD_MAX).collect())
    }
}

/// The content of a body that comes in chunks: of each its length in hex, itself, and an empty line.
pub(super) struct Chunks<R> {
    from: R,
    /// Bytes of this chunk that were not read yet.
    n_left: u64,
    is_over: bool,
}

impl<R: BufRead> Chunks<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, n_left: 0, is_over: false }
    }
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.is_over || into.is_empty() {
            return Ok(0);
        }
        if self.n_left == 0 {
            let line = read_line(&mut self.from)?;
            let length = line.split(';').next().unwrap_or(&line).trim();
            self.n_left =
                u64::from_str_radix(length, 16).map_err(|_| io::Error::other("no length of a chunk"))?;
            if self.n_left == 0 {
                read_line(&mut self.from)?;
                self.is_over = true;
                return Ok(0);
            }
        }
        let n = (&mut self.from).take(self.n_left).read(into)?;
        if n == 0 {
            return Err(io::Error::other("the master ended the connection"));
        }
        self.n_left -= n as u64;
        if self.n_left == 0 {
            read_line(&mut self.from)?;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_in_base_64() {
        let check = |principal: &str, secret: &str, expected: &str| {
            assert_eq!(basic(principal, secret), format!("Basic {expected}"));
        };
        check("Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        check("a", "b", "YTpi");
        check("a", "bc", "YTpiYw==");
        check("a", "bcd", "YTpiY2Q=");
        check("ÿ", "", "w786");
    }

    fn answer(text: &str) -> io::Result<(u16, String)> {
        let mut from = text.as_bytes();
        let head = Head::read(&mut from)?;
        let told = head.finish(&mut from)?;
        assert!(from.is_empty(), "{text:?}");
        Ok((head.status, told))
    }

    #[test]
    fn answers_are_read_to_their_end_and_no_further() {
        let check = |text: &str, status: u16, told: &str| {
            assert_eq!(answer(text).expect(text), (status, told.to_owned()), "{text:?}");
        };
        check("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202, "");
        check("HTTP/1.1 202 Accepted\r\n\r\n", 202, "");
        check("HTTP/1.1 400 Bad\r\ncontent-length: 4\r\n\r\n no ", 400, "no");
        check(
            "HTTP/1.1 400 Bad\nTransfer-Encoding: chunked\n\n2\r\nno\r\n3;x=y\r\n wa\r\n0\r\n\r\n",
            400,
            "no wa",
        );
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let long = "x".repeat(20 << 10);
        for bad in [
            "",
            "HTTP/1.1 202",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 202 A\r\nno header\r\n\r\n",
            "HTTP/1.1 202 A\r\nContent-Length: 5\r\n\r\nabc",
            "HTTP/1.1 202 A\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            &format!("HTTP/1.1 202 {long}\r\n\r\n"),
            &format!("HTTP/1.1 202 A\r\n{}\r\n", "a: b\r\n".repeat(1_000)),
            &format!("HTTP/1.1 202 A\r\nContent-Length: 1000000\r\n\r\n{}", long.repeat(10)),
        ] {
            let mut from = bad.as_bytes();
            let read = Head::read(&mut from).and_then(|head| head.finish(&mut from));
            assert!(read.is_err(), "{:?}: {read:?}", &bad[..bad.len().min(80)]);
        }
    }
}
