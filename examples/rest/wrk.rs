//! The load generator `wrk`, started with a script and read back.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::json;
use weighbridge::JobTypeId;

use crate::Anything;

/// Prints what is read back: requests, microseconds, faults, and three percentiles in microseconds.
const DONE: &str = "done = function(summary, latency)\n\
    local e = summary.errors\n\
    io.write(string.format('told %d %d %d %d %d %d\\n', summary.requests, summary.duration,\n\
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99),\n\
    latency:percentile(99.9)))\n\
    end\n";

/// What it told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) n_requests: u64,
    seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
}

impl Told {
    pub(crate) fn per_s(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let n = self.n_requests as f64;
        n / self.seconds
    }
}

/// A load that is ready to be put on.
pub(crate) struct Load {
    script: tempfile::NamedTempFile,
    url: String,
    connections: usize,
    seconds: u64,
}

/// Says what to do where it is missing.
pub(crate) fn check() -> Anything<()> {
    let found = Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found
        .map(drop)
        .map_err(|_| "wrk is not there; install it, for instance with `apt-get install wrk`".into())
}

/// The body that queues a job.
pub(crate) fn job_body(kind: JobTypeId) -> String {
    json!({"job_type_id": kind.0, "input": {"files": {}, "json": {"N": 3}}}).to_string()
}

pub(crate) fn post_jobs(
    address: SocketAddr,
    kind: JobTypeId,
    connections: usize,
    seconds: u64,
) -> Anything<Load> {
    let script = format!(
        "wrk.method = 'POST'\nwrk.body = '{}'\nwrk.headers['Content-Type'] = 'application/json'\n{DONE}",
        job_body(kind)
    );
    load(&script, format!("http://{address}/v6/jobs/"), connections, seconds)
}

pub(crate) fn get(address: SocketAddr, path: &str, connections: usize, seconds: u64) -> Anything<Load> {
    load(DONE, format!("http://{address}{path}"), connections, seconds)
}

fn load(script: &str, url: String, connections: usize, seconds: u64) -> Anything<Load> {
    let mut file = tempfile::Builder::new().suffix(".lua").tempfile()?;
    file.write_all(script.as_bytes())?;
    Ok(Load { script: file, url, connections, seconds })
}

impl Load {
    /// Puts the load on and waits for its end. Refuses a load of which a request was not answered well.
    pub(crate) fn run(&self) -> Anything<Told> {
        let output = Command::new("wrk")
            .args(["-t", "1", "-c", &self.connections.to_string(), "-d", &format!("{}s", self.seconds)])
            .args(["--timeout", "30s", "-s"])
            .arg(self.script.path())
            .arg(&self.url)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.strip_prefix("told "));
        let line = line.ok_or_else(|| format!("wrk told nothing: {text}"))?;
        let numbers = line.split(' ').map(str::parse).collect::<Result<Vec<u32>, _>>()?;
        let [n_requests, us, n_faults, p50, p99, p999] = numbers[..] else {
            return Err(format!("wrk told {line:?}").into());
        };
        if n_faults > 0 {
            return Err(format!("{n_faults} of {n_requests} requests failed: {text}").into());
        }
        let ms = |us: u32| f64::from(us) / 1e3;
        Ok(Told {
            n_requests: n_requests.into(),
            seconds: f64::from(us) / 1e6,
            p50_ms: ms(p50),
            p99_ms: ms(p99),
            p999_ms: ms(p999),
        })
    }
}
