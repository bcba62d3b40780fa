//! Redis: a list or a sorted set, with every write synced before it is answered.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};

use super::{connect, send};
use crate::figures::{Anything, Latencies, Turn, count, now};
use crate::ours::{BATCH_JOBS, WINDOW, payload};

/// What the queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A list: first in, first out.
    List,
    /// A sorted set: by priority, then in order, as ours.
    SortedSet,
}

/// [`WINDOW`] connections, each with a batch on its way.
pub(crate) struct Redis {
    connections: Vec<Connection>,
    kind: Kind,
    key: String,
    n_jobs: u64,
}

struct Connection {
    reader: BufReader<TcpStream>,
}

/// A batch as it is sent.
pub(crate) struct Pipeline(Vec<u8>);

impl Redis {
    pub(crate) fn open(address: SocketAddr, kind: Kind) -> Anything<Self> {
        let connections = (0..WINDOW).map(|_| Connection::open(address)).collect::<Anything<Vec<_>>>()?;
        let key = format!("weighbridge-durable-{kind:?}-{}", std::process::id());
        let mut redis = Self { connections, kind, key, n_jobs: 0 };
        let first = &mut redis.connections[0];
        for (name, wanted) in [("appendonly", "yes"), ("appendfsync", "always")] {
            let found = first.setting(name)?;
            if found != wanted {
                return Err(format!("redis has {name} {found}, not {wanted}: it would not be durable").into());
            }
        }
        Ok(redis)
    }

    /// Batches with payloads of their own, made before anything is timed.
    pub(crate) fn pipelines(&mut self, n: u64) -> Vec<Pipeline> {
        let mut all = Vec::new();
        for _ in 0..n {
            let mut bytes = Vec::new();
            for number in self.n_jobs..self.n_jobs + BATCH_JOBS {
                let payload = payload(number);
                // Priority 100, then the order of arrival.
                let score = ((100_u64 << 40) + number).to_string();
                match self.kind {
                    Kind::List => command(&mut bytes, &["RPUSH", &self.key, &payload]),
                    Kind::SortedSet => command(&mut bytes, &["ZADD", &self.key, &score, &payload]),
                }
            }
            self.n_jobs += BATCH_JOBS;
            all.push(Pipeline(bytes));
        }
        all
    }

    /// Sends all, one on its way on each connection; every answer is read.
    pub(crate) fn enqueue(&mut self, pipelines: &[Pipeline]) -> Anything<Turn> {
        let from = now();
        for (number, pipeline) in pipelines.iter().enumerate() {
            let connection = &mut self.connections[number % WINDOW];
            if number >= WINDOW {
                connection.read_batch()?;
            }
            send(connection.reader.get_ref(), &pipeline.0)?;
        }
        for connection in self.connections.iter_mut().take(pipelines.len()) {
            connection.read_batch()?;
        }
        let n = count(pipelines.len()) * BATCH_JOBS;
        Ok(Turn { n, took: now() - from, latencies: Latencies::default() })
    }

    /// Holds that all are there, and removes them.
    pub(crate) fn finish(mut self) -> Anything<()> {
        let first = &mut self.connections[0];
        let length = if self.kind == Kind::List { "LLEN" } else { "ZCARD" };
        let found = first.ask(&[length, &self.key])?;
        if found != format!(":{}", self.n_jobs) {
            return Err(format!("redis has {found} jobs, {} were sent", self.n_jobs).into());
        }
        first.ask(&["UNLINK", &self.key])?;
        Ok(())
    }
}

fn command(bytes: &mut Vec<u8>, words: &[&str]) {
    bytes.extend(format!("*{}\r\n", words.len()).into_bytes());
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
}

impl Connection {
    fn open(address: SocketAddr) -> Anything<Self> {
        Ok(Self { reader: BufReader::with_capacity(1 << 16, connect(address)?) })
    }

    fn line(&mut self) -> Anything<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let line = line.strip_suffix("\r\n").ok_or("redis hung up")?;
        if let Some(error) = line.strip_prefix('-') {
            return Err(format!("redis refused: {error}").into());
        }
        Ok(line.to_owned())
    }

    /// The answers of a batch: a number each.
    fn read_batch(&mut self) -> Anything<()> {
        for _ in 0..BATCH_JOBS {
            let line = self.line()?;
            if !line.starts_with(':') || line == ":0" {
                return Err(format!("redis answered {line} to a new job").into());
            }
        }
        Ok(())
    }

    /// One command with an answer of one line.
    fn ask(&mut self, words: &[&str]) -> Anything<String> {
        let mut bytes = Vec::new();
        command(&mut bytes, words);
        send(self.reader.get_ref(), &bytes)?;
        self.line()
    }

    fn setting(&mut self, name: &str) -> Anything<String> {
        let head = self.ask(&["CONFIG", "GET", name])?;
        if head != "*2" {
            return Err(format!("redis answered {head} to CONFIG GET {name}").into());
        }
        self.text()?;
        self.text()
    }

    fn text(&mut self) -> Anything<String> {
        let head = self.line()?;
        let bytes: usize = head.strip_prefix('$').ok_or("redis sent no text")?.parse()?;
        let mut text = vec![0; bytes + 2];
        self.reader.read_exact(&mut text)?;
        text.truncate(bytes);
        Ok(String::from_utf8(text)?)
    }
}
