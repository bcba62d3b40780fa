//! `PostgreSQL`: a table as a queue, claimed with `FOR UPDATE SKIP LOCKED`, by prepared statements.
//! Messages of its protocol, version 3: a letter, a length, and that many bytes less the letter.

use std::io::{BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{connect, send};
use crate::figures::{Anything, Latencies, Turn, now};
use crate::ours::{payload, together};

/// How a job lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// INSERT, UPDATE .. SKIP LOCKED, DELETE: three commits, the claim is on record as with us.
    ThreeCommits,
    /// INSERT, DELETE .. SKIP LOCKED: two commits, of a job that runs nothing is known.
    TwoCommits,
}

/// How often a connection is tried while the server comes up, and the pause before the next.
const N_TRIES: usize = 50;
const RETRY: Duration = Duration::from_millis(100);

/// A connection for each caller, and the table.
pub(crate) struct Postgres {
    callers: Vec<Caller>,
    life: Life,
    table: String,
    n_jobs: u64,
}

struct Caller {
    reader: BufReader<TcpStream>,
    out: Vec<u8>,
}

/// What a statement gave.
#[derive(Default)]
struct Answer {
    /// The first column of the first row.
    first: Option<String>,
    /// Such as `DELETE 1`.
    tag: String,
}

impl Postgres {
    pub(crate) fn open(address: SocketAddr, n_callers: usize, life: Life) -> Anything<Self> {
        let mut callers = (0..n_callers).map(|_| Caller::open(address)).collect::<Anything<Vec<_>>>()?;
        for name in ["fsync", "synchronous_commit"] {
            let found = callers[0].query(&format!("SHOW {name}"))?.first.unwrap_or_default();
            if found != "on" {
                return Err(format!("postgresql has {name} {found}: it would not be durable").into());
            }
        }
        let table = format!("durable_{life:?}_{}", std::process::id()).to_lowercase();
        callers[0].query(&format!(
            "CREATE TABLE {table} (id bigserial PRIMARY KEY, priority int NOT NULL, \
             is_running bool NOT NULL DEFAULT false, payload text NOT NULL)"
        ))?;
        let index = format!("CREATE INDEX {table}_queue ON {table} (priority, id) WHERE NOT is_running");
        callers[0].query(&index)?;
        let first = format!(
            "(SELECT id FROM {table} WHERE NOT is_running ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED)"
        );
        let take = match life {
            Life::ThreeCommits => {
                format!("UPDATE {table} SET is_running = true WHERE id = {first} RETURNING id, payload")
            }
            Life::TwoCommits => format!("DELETE FROM {table} WHERE id = {first} RETURNING id, payload"),
        };
        for caller in &mut callers {
            caller.prepare("put", &format!("INSERT INTO {table} (priority, payload) VALUES ($1, $2)"))?;
            caller.prepare("take", &take)?;
            caller.prepare("end", &format!("DELETE FROM {table} WHERE id = $1"))?;
        }
        Ok(Self { callers, life, table, n_jobs: 0 })
    }

    /// So many lives of each caller.
    pub(crate) fn lives(&mut self, n_each: u64) -> Anything<Turn> {
        let mut first = self.n_jobs;
        let life = self.life;
        let mut bodies = Vec::new();
        for caller in &mut self.callers {
            let payloads: Vec<String> = (first..first + n_each).map(payload).collect();
            first += n_each;
            bodies.push(move || caller.lives(&payloads, life));
        }
        let turn = together(bodies)?;
        self.n_jobs = first;
        Ok(turn)
    }

    /// Holds that as many rows were made as jobs, and that none is left; removes the table.
    pub(crate) fn finish(mut self) -> Anything<()> {
        let (caller, table) = (&mut self.callers[0], &self.table);
        let n_left = caller.query(&format!("SELECT count(*) FROM {table}"))?.first.unwrap_or_default();
        let made = caller.query(&format!("SELECT last_value FROM {table}_id_seq"))?.first.unwrap_or_default();
        if n_left != "0" || made != self.n_jobs.to_string() {
            return Err(format!("postgresql made {made} jobs of {}, {n_left} are left", self.n_jobs).into());
        }
        caller.query(&format!("DROP TABLE {table}"))?;
        Ok(())
    }
}

impl Caller {
    /// Logs in; a server that is still coming up is asked again.
    fn open(address: SocketAddr) -> Anything<Self> {
        let mut tries = 1;
        loop {
            match Self::log_in(address) {
                // cannot_connect_now
                Err(error) if tries < N_TRIES && error.to_string().contains("57P03") => {
                    tries += 1;
                    std::thread::sleep(RETRY);
                }
                other => return other,
            }
        }
    }

    fn log_in(address: SocketAddr) -> Anything<Self> {
        let mut caller = Self { reader: BufReader::new(connect(address)?), out: Vec::new() };
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        body.extend(b"user\0postgres\0database\0postgres\0\0");
        let length = u32::try_from(body.len() + 4).expect("short");
        send(caller.reader.get_ref(), &[&length.to_be_bytes(), &body[..]].concat())?;
        caller.answer()?;
        Ok(caller)
    }

    fn message(&mut self, letter: u8, parts: &[&[u8]]) {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        self.out.push(letter);
        self.out.extend(u32::try_from(bytes + 4).expect("short").to_be_bytes());
        for part in parts {
            self.out.extend(*part);
        }
    }

    fn send(&mut self) -> Anything<()> {
        send(self.reader.get_ref(), &self.out)?;
        self.out.clear();
        Ok(())
    }

    fn read(&mut self) -> Anything<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.reader.read_exact(&mut head)?;
        let [letter, length @ ..] = head;
        let bytes =
            usize::try_from(u32::from_be_bytes(length))?.checked_sub(4).ok_or("postgresql: a bad length")?;
        let mut body = vec![0; bytes];
        self.reader.read_exact(&mut body)?;
        Ok((letter, body))
    }

    /// Reads until the server is ready for the next statement.
    fn answer(&mut self) -> Anything<Answer> {
        let mut answer = Answer::default();
        let mut error = None;
        loop {
            let (letter, body) = self.read()?;
            match letter {
                b'E' => {
                    let fields: Vec<_> = body.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
                    let text = format!("postgresql refused: {}", fields.join(" ").trim());
                    // While it starts, no ready follows.
                    if text.contains("57P03") {
                        return Err(text.into());
                    }
                    error = Some(text);
                }
                b'R' if body != [0; 4] => return Err("postgresql wants a password: it must trust".into()),
                b'D' if answer.first.is_none() => answer.first = first_column(&body),
                b'C' => answer.tag = String::from_utf8_lossy(&body).trim_end_matches('\0').into(),
                b'Z' => return error.map_or(Ok(answer), |text| Err(text.into())),
                _ => {}
            }
        }
    }

    fn query(&mut self, sql: &str) -> Anything<Answer> {
        self.message(b'Q', &[sql.as_bytes(), &[0]]);
        self.send()?;
        self.answer()
    }

    fn prepare(&mut self, name: &str, sql: &str) -> Anything<()> {
        self.message(b'P', &[name.as_bytes(), &[0], sql.as_bytes(), &[0, 0, 0]]);
        self.message(b'S', &[]);
        self.send()?;
        self.answer()?;
        Ok(())
    }

    /// Runs a prepared statement with parameters as texts.
    fn execute(&mut self, name: &str, parameters: &[&str]) -> Anything<Answer> {
        // No portal name, the statement, no formats; the parameters; no formats of results.
        let mut body = vec![0];
        body.extend(name.as_bytes());
        body.extend([0, 0, 0]);
        body.extend(u16::try_from(parameters.len()).expect("few").to_be_bytes());
        for parameter in parameters {
            body.extend(u32::try_from(parameter.len()).expect("short").to_be_bytes());
            body.extend(parameter.as_bytes());
        }
        body.extend([0, 0]);
        self.message(b'B', &[&body]);
        self.message(b'E', &[&[0; 5]]);
        self.message(b'S', &[]);
        self.send()?;
        self.answer()
    }

    fn lives(&mut self, payloads: &[String], life: Life) -> Anything<Latencies> {
        let mut latencies = Latencies::default();
        for payload in payloads {
            let from = now();
            self.execute("put", &["100", payload])?;
            // A job that this statement does not see yet may have been left for us.
            let id = loop {
                if let Some(id) = self.execute("take", &[])?.first {
                    break id;
                }
            };
            if life == Life::ThreeCommits {
                let tag = self.execute("end", &[&id])?.tag;
                if tag != "DELETE 1" {
                    return Err(format!("postgresql ended job {id} with {tag}").into());
                }
            }
            latencies.push(now() - from);
        }
        Ok(latencies)
    }
}

/// Of a row: the number of columns, then each one's length and bytes.
fn first_column(row: &[u8]) -> Option<String> {
    let (length, rest) = row.get(2..)?.split_first_chunk::<4>()?;
    let bytes = rest.get(..usize::try_from(i32::from_be_bytes(*length)).ok()?)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}
