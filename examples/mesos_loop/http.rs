//! What the scheduler API of Mesos needs of HTTP, over plain TCP: calls in JSON, each answered 202, and one
//! answer that goes on for ever, in chunks, with the events as `RecordIO`: a length, a line feed, as many bytes.
//!
//! A master that redirects to another one is an error.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::Anything;

/// Longest record: offers of some ten thousand agents.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// Longest line of a head, or of the lengths in the body.
const LINE_BYTES_MAX: u64 = 16 << 10;

/// Longest wait for a byte of an answer; a master sends a heartbeat every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);

/// The events of a subscription.
pub(crate) struct Events<R>(BufReader<Chunks<R>>);

pub(crate) fn connect(host: &str) -> Anything<BufReader<TcpStream>> {
    let stream = TcpStream::connect(host).map_err(|error| format!("no connection to {host}: {error}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    Ok(BufReader::new(stream))
}

/// Sends a call, and reads the head of the answer that says it was taken.
pub(crate) fn post(
    to: &mut BufReader<TcpStream>,
    host: &str,
    stream_id: Option<&str>,
    body: &Value,
) -> Anything<Head> {
    let body = body.to_string();
    let id = stream_id.map(|id| format!("Mesos-Stream-Id: {id}\r\n")).unwrap_or_default();
    let json = "Content-Type: application/json\r\nAccept: application/json";
    let length = body.len();
    let head = format!("POST /api/v1/scheduler HTTP/1.1\r\nHost: {host}\r\n{json}\r\n{id}");
    to.get_mut().write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes())?;
    let head = Head::read(to)?;
    if head.status == "200" || head.status == "202" {
        return Ok(head);
    }
    let length = head.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut why = String::new();
    to.take(length).read_to_string(&mut why)?;
    Err(format!("the master answers {}: {}", head.status, why.trim()).into())
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.take(LINE_BYTES_MAX).read_line(&mut line)? == 0 {
        return Err(io::Error::other("the master ended the connection"));
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}

/// The first lines of an answer.
pub(crate) struct Head {
    status: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let first = read_line(from)?;
        let status = first.split(' ').nth(1).ok_or_else(|| io::Error::other("no HTTP answer"))?.to_owned();
        let mut headers = Vec::new();
        loop {
            let line = read_line(from)?;
            let Some((name, value)) = line.split_once(':') else { return Ok(Self { status, headers }) };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl<R: BufRead> Events<R> {
    /// The events in the body of an answer, read from its first chunk on.
    pub(crate) fn new(body: R) -> Self {
        Self(BufReader::new(Chunks { from: body, n_left: 0 }))
    }

    /// The next one; waits for it. An error where the master ends its answer.
    pub(crate) fn next(&mut self) -> io::Result<Value> {
        let length = read_line(&mut self.0)?;
        let length = length.parse().ok().filter(|length| *length <= RECORD_BYTES_MAX);
        let mut record = vec![0; length.ok_or_else(|| io::Error::other("no length of a record"))?];
        self.0.read_exact(&mut record)?;
        Ok(serde_json::from_slice(&record)?)
    }
}

/// The content of a body that comes in chunks: of each its length in hex, itself, and an empty line.
struct Chunks<R> {
    from: R,
    /// Bytes of this chunk that were not read yet.
    n_left: u64,
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.n_left == 0 {
            let length = read_line(&mut self.from)?;
            let length = u64::from_str_radix(&length, 16);
            self.n_left = length.map_err(|_| io::Error::other("no length of a chunk"))?;
            // The last chunk is empty, and nothing follows it.
            if self.n_left == 0 {
                return Ok(0);
            }
        }
        let n = (&mut self.from).take(self.n_left).read(into)?;
        self.n_left -= n as u64;
        if self.n_left == 0 {
            read_line(&mut self.from)?;
        }
        Ok(n)
    }
}
