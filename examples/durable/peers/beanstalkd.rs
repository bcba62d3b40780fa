//! beanstalkd: put, reserve, delete. Put and delete are in its log; a reservation is not, and is
//! gone after a crash.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};

use super::{connect, send};
use crate::figures::{Anything, Latencies, Turn, now};
use crate::ours::{payload, together};

/// A connection for each caller.
pub(crate) struct Beanstalkd {
    callers: Vec<Caller>,
    n_jobs: u64,
    /// Records of its log before the first of ours.
    n_records: u64,
}

struct Caller {
    reader: BufReader<TcpStream>,
    line: String,
}

impl Beanstalkd {
    pub(crate) fn open(address: SocketAddr, n_callers: usize) -> Anything<Self> {
        let tube = format!("weighbridge-durable-{}", std::process::id());
        let caller = |_| Caller::open(address, &tube);
        let mut callers = (0..n_callers).map(caller).collect::<Anything<Vec<_>>>()?;
        let n_records = callers[0].statistic("stats", "binlog-records-written")?;
        Ok(Self { callers, n_jobs: 0, n_records })
    }

    /// So many lives of each caller.
    pub(crate) fn lives(&mut self, n_each: u64) -> Anything<Turn> {
        let mut first = self.n_jobs;
        let mut bodies = Vec::new();
        for caller in &mut self.callers {
            let puts: Vec<String> = (first..first + n_each)
                .map(payload)
                .map(|payload| format!("put 100 0 600 {}\r\n{payload}\r\n", payload.len()))
                .collect();
            first += n_each;
            bodies.push(move || caller.lives(&puts));
        }
        let turn = together(bodies)?;
        self.n_jobs = first;
        Ok(turn)
    }

    /// Holds that every job was put and deleted, and that its log was told.
    pub(crate) fn finish(mut self) -> Anything<()> {
        let n_records = self.callers[0].statistic("stats", "binlog-records-written")?;
        if n_records - self.n_records < 2 * self.n_jobs {
            return Err("beanstalkd wrote less than two records a job: was it started with -b?".into());
        }
        let tube = format!("stats-tube weighbridge-durable-{}", std::process::id());
        let mut statistic = |name| self.callers[0].statistic(&tube, name);
        let (n_put, n_deleted) = (statistic("total-jobs")?, statistic("cmd-delete")?);
        let n_left = statistic("current-jobs-ready")? + statistic("current-jobs-reserved")?;
        if (n_put, n_deleted, n_left) != (self.n_jobs, self.n_jobs, 0) {
            return Err(format!("beanstalkd: {n_put} put, {n_deleted} deleted of {}", self.n_jobs).into());
        }
        Ok(())
    }
}

impl Caller {
    fn open(address: SocketAddr, tube: &str) -> Anything<Self> {
        let mut caller = Self { reader: BufReader::new(connect(address)?), line: String::new() };
        caller.ask(&format!("use {tube}\r\n"), "USING ")?;
        caller.ask(&format!("watch {tube}\r\n"), "WATCHING ")?;
        caller.ask("ignore default\r\n", "WATCHING ")?;
        Ok(caller)
    }

    /// Sends a command; returns what follows `wanted` in the first line of the answer.
    fn ask(&mut self, command: &str, wanted: &str) -> Anything<&str> {
        send(self.reader.get_ref(), command.as_bytes())?;
        self.line.clear();
        self.reader.read_line(&mut self.line)?;
        let rest = self.line.strip_prefix(wanted).and_then(|rest| rest.strip_suffix("\r\n"));
        Ok(rest.ok_or_else(|| format!("beanstalkd answered {:?}, not {wanted}", self.line.trim_end()))?)
    }

    /// Reads so many bytes of a body, and the end of its line.
    fn body(&mut self, bytes: usize) -> Anything<Vec<u8>> {
        let mut body = vec![0; bytes + 2];
        self.reader.read_exact(&mut body)?;
        body.truncate(bytes);
        Ok(body)
    }

    fn lives(&mut self, puts: &[String]) -> Anything<Latencies> {
        let mut latencies = Latencies::default();
        for put in puts {
            let from = now();
            self.ask(put, "INSERTED ")?;
            let reserved = self.ask("reserve\r\n", "RESERVED ")?;
            let (id, bytes) = reserved.split_once(' ').ok_or("beanstalkd reserved no job")?;
            let (delete, bytes) = (format!("delete {id}\r\n"), bytes.parse()?);
            self.body(bytes)?;
            self.ask(&delete, "DELETED")?;
            latencies.push(now() - from);
        }
        Ok(latencies)
    }

    fn statistic(&mut self, command: &str, name: &str) -> Anything<u64> {
        let bytes = self.ask(&format!("{command}\r\n"), "OK ")?.parse()?;
        let text = String::from_utf8(self.body(bytes)?)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        Ok(value.ok_or_else(|| format!("beanstalkd has no statistic {name}"))?.trim().parse()?)
    }
}
