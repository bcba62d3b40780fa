//! Where the agents of machines listen, as the master tells.
//!
//! H1  The list is kept for a while: to follow what many tasks print costs the master little.
//! H2  No lock is held while a master is asked.
//! H3  One asks at a time: whoever wants the same meanwhile waits for that answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::address::Address;
use super::agents::{self, Place};
use super::ask::SILENCE;
use super::options::MesosOptions;
use crate::clock::monotonic;
use crate::sync::{Condvar, Mutex};

/// How old a list may be.
const FRESH: Duration = Duration::from_secs(30);

/// How old it may be where an agent of it does not answer, or is not in it.
const FRESH_IN_DOUBT: Duration = Duration::from_secs(1);

/// By the names of machines. Usually a machine has one.
type ByHost = HashMap<String, Vec<Place>>;

#[derive(Default)]
struct Known {
    at: Option<Instant>,
    by_host: Arc<ByHost>,
    leader: Option<Address>,
    is_asked: bool,
    /// How often it was asked to the end.
    n_asked: u64,
    /// What came of it the last time.
    failure: Option<Failure>,
}

#[derive(Clone)]
struct Failure {
    why: String,
    /// Whoever asked had no more time.
    is_late: bool,
}

impl Known {
    fn on(&self, host: &str) -> Vec<Place> {
        self.by_host.get(host).cloned().unwrap_or_default()
    }

    /// What is known, where that is new enough.
    fn fresh(&self, host: &str, is_doubted: bool) -> Option<Vec<Place>> {
        let age = monotonic().saturating_duration_since(self.at?);
        let found = self.on(host);
        let oldest = if is_doubted || found.is_empty() { FRESH_IN_DOUBT } else { FRESH };
        (age <= oldest).then_some(found)
    }
}

/// See the file.
pub(super) struct Hosts {
    options: Arc<MesosOptions>,
    known: Mutex<Known>,
    answered: Condvar,
}

impl Hosts {
    pub(super) fn of(options: Arc<MesosOptions>) -> Self {
        Self { options, known: Mutex::default(), answered: Condvar::new() }
    }

    /// Where the agents of a machine listen, perhaps none; `is_doubted`: as they are at this moment.
    ///
    /// # Errors
    /// Where no master tells: why, for people.
    pub(super) fn on(&self, host: &str, is_doubted: bool, end: Instant) -> Result<Vec<Place>, String> {
        let mut known = self.known.lock();
        loop {
            if let Some(found) = known.fresh(host, is_doubted) {
                return Ok(found);
            }
            if !known.is_asked {
                break;
            }
            let n_asked = known.n_asked;
            while known.n_asked == n_asked {
                if self.answered.wait_until(&mut known, end).timed_out() {
                    return Err("no master tells in time where its agents are".to_owned());
                }
            }
            match &known.failure {
                None => return Ok(known.on(host)),
                Some(failure) if !failure.is_late => {
                    let found = known.on(host);
                    return if found.is_empty() { Err(failure.why.clone()) } else { Ok(found) };
                }
                // There may be more time now.
                Some(_) => {}
            }
        }
        known.is_asked = true;
        let leader = known.leader.clone();
        drop(known);
        // It goes last, after what came of it is kept.
        let _asking = Asking(self);
        let answer = self.ask_masters(leader.as_ref(), end);
        let mut known = self.known.lock();
        match answer {
            Ok((by_host, leader)) => {
                (known.at, known.by_host) = (Some(monotonic()), Arc::new(by_host));
                (known.leader, known.failure) = (Some(leader), None);
                Ok(known.on(host))
            }
            Err(why) => {
                known.failure = Some(Failure { why: why.clone(), is_late: monotonic() >= end });
                // An agent that was there is likely to be there while the masters are not.
                let found = known.on(host);
                if found.is_empty() { Err(why) } else { Ok(found) }
            }
        }
    }

    fn ask_masters(&self, leader: Option<&Address>, end: Instant) -> Result<(ByHost, Address), String> {
        let mut why = String::new();
        for master in leader.into_iter().chain(&self.options.masters) {
            match agents::list(&self.options, master.clone(), SILENCE, end) {
                Ok((agents, leader)) => return Ok((by_host(agents), leader)),
                Err(error) => why = error,
            }
        }
        Err(format!("no master tells where its agents are: {why}"))
    }
}

/// Whoever asks the masters; those who wait go on when it is gone, also where it broke off.
struct Asking<'h>(&'h Hosts);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut known = self.0.known.lock();
        (known.is_asked, known.n_asked) = (false, known.n_asked + 1);
        drop(known);
        self.0.answered.notify_all();
    }
}

/// Those whose address cannot be read are left out.
fn by_host(agents: Vec<agents::Agent>) -> ByHost {
    let mut by_host = ByHost::new();
    for agent in agents {
        if let Some(place) = agent.place {
            by_host.entry(agent.host).or_default().push(place);
        }
    }
    by_host
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn many_who_ask_at_once_have_one_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let master = listener.local_addr().expect("bound").to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            assert!(stream.read(&mut [0; 4_096]).expect("a question") > 0);
            std::thread::sleep(Duration::from_millis(200));
            // Whoever asks besides is turned away.
            drop(listener);
            let list =
                r#"{"get_agents": {"agents": [{"agent_info": {"hostname": "h"}, "pid": "s@10.0.0.1:1"}]}}"#;
            let length = list.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{list}").expect("answered");
        });
        let hosts = Hosts::of(Arc::new(MesosOptions::new(&master).expect("an address")));
        let end = monotonic() + Duration::from_secs(10);
        let found: Vec<usize> = std::thread::scope(|scope| {
            let ask = || hosts.on("h", false, end).expect("an answer").len();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
        });
        assert_eq!(found, [1; 8]);
        server.join().expect("it ends");
        // Nobody answers any more, but it is known for a while, and then as it was.
        assert_eq!(hosts.on("h", false, end).map(|places| places.len()), Ok(1));
        hosts.known.lock().at = monotonic().checked_sub(FRESH * 2);
        assert_eq!(hosts.on("h", false, end).map(|places| places.len()), Ok(1));
        assert_eq!(hosts.on("h", true, end).map(|places| places.len()), Ok(1));
        assert!(hosts.on("other", false, end).is_err());
    }

    #[test]
    fn nobody_waits_for_who_broke_off() {
        let hosts = Hosts::of(Arc::new(MesosOptions::new("127.0.0.1:1").expect("an address")));
        hosts.known.lock().is_asked = true;
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _asking = Asking(&hosts);
            panic!("on purpose");
        }));
        assert!(broken.is_err());
        let known = hosts.known.lock();
        assert_eq!((known.is_asked, known.n_asked), (false, 1));
    }

    #[test]
    fn a_failure_is_told_and_asked_for_again() {
        let hosts = Hosts::of(Arc::new(MesosOptions::new("127.0.0.1:1").expect("an address")));
        for _ in 0..2 {
            let error =
                hosts.on("h", false, monotonic() + Duration::from_secs(10)).expect_err("nobody there");
            assert!(error.contains("127.0.0.1:1"), "{error}");
        }
    }
}
