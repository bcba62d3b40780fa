//! Exchanges recorded from Scale 7.2.2, replayed against the real server: `tests/scale_rest/sample.jsonl`.
//!
//! Each scenario begins with an empty store. States that no call can make are brought about through
//! the library (`tests/scale_rest/given.rs`). What differs must stand in docs/compat.md under
//! "Differences in the recorded exchanges", and what stands there must differ.
//!
//! `WEIGHBRIDGE_REST_ONLY=tour cargo test --test scale_rest -- --nocapture` plays the scenarios whose
//! name contains that text, and tells of every exchange.

mod common;

#[path = "scale_rest/accepted.rs"]
mod accepted;
#[path = "scale_rest/compare.rs"]
mod compare;
#[path = "scale_rest/given.rs"]
mod given;
#[expect(dead_code, reason = "shared with tests/api.rs")]
#[path = "common/http.rs"]
mod http;
#[path = "scale_rest/rules.rs"]
mod rules;
#[path = "scale_rest/run.rs"]
mod run;
#[path = "scale_rest/sample.rs"]
mod sample;
#[path = "scale_rest/symbols.rs"]
mod symbols;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use accepted::At;
use given::{ByEngine, Nothing};
use http::Client;
use run::{Outcome, Played, play};
use sample::Scenario;
use weighbridge::{ApiState, Engine, Options, Server, Service};

/// Exchanges of the recording.
const N_EXCHANGES: usize = 252;

/// Exchanges of it that need nothing but calls.
const N_REST_ONLY: usize = 103;

/// Exchanges that are answered as they were recorded; the others differ as docs/compat.md lists.
const N_EQUAL: usize = 242;

/// The same of those that need nothing but calls, by the binary.
const N_EQUAL_BY_DAEMON: usize = 98;

/// Chooses scenarios by a part of their name.
const ONLY: &str = "WEIGHBRIDGE_REST_ONLY";

fn scenarios() -> Vec<Scenario> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scale_rest/sample.jsonl");
    let all = sample::read(&path);
    assert_eq!(all.iter().map(Scenario::n_exchanges).sum::<usize>(), N_EXCHANGES);
    all
}

/// What is asked for by name, if anything is.
fn only() -> Option<String> {
    std::env::var(ONLY).ok()
}

/// Tells of an exchange, where only some are asked for.
fn tell(outcome: &Outcome) {
    if only().is_some() {
        let (scenario, step) = &outcome.at;
        let how = if outcome.faults.is_empty() { "equal" } else { "differs" };
        println!("{scenario} {step}: {} {how}{}", outcome.request, faults_of(outcome));
    }
}

fn faults_of(outcome: &Outcome) -> String {
    let line = |fault: &compare::Fault| format!("\n    {}: expected {}", fault.at, fault.what);
    outcome.faults.iter().map(line).collect()
}

/// Plays a scenario against a server of its own in this process.
fn by_library(scenario: &Scenario, accepted: &BTreeSet<At>) -> Played {
    let directory = tempfile::tempdir().expect("a directory");
    // Ids of the recording name that framework.
    let engine = Engine::open(directory.path(), Options::default().framework("fw")).expect("it opens");
    let service = Service::start_without_driver(engine.clone()).expect("a thread");
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let server = Server::bind(listen, ApiState::new(engine.clone())).expect("a free port");
    let given = ByEngine::new(engine);
    let played = play(scenario, Client(server.local_addr()), &given, accepted, tell);
    server.shutdown(Duration::from_secs(5));
    service.stop();
    played
}

/// Plays a scenario against the binary.
fn by_daemon(scenario: &Scenario, accepted: &BTreeSet<At>) -> Played {
    let place = common::Place::new();
    let daemon = common::Daemon::start(&place, &["--driver", "none", "--store", "store"]);
    let address = daemon.url.trim_start_matches("http://").trim_end_matches('/');
    let played = play(scenario, Client(address.parse().expect("an address")), &Nothing, accepted, tell);
    assert_eq!(daemon.end().code(), Some(0));
    played
}

/// All scenarios that are asked for, side by side.
fn play_all(scenarios: &[Scenario], by: impl Fn(&Scenario) -> Played + Sync) -> Vec<Played> {
    let only = only().unwrap_or_default();
    let chosen: Vec<&Scenario> = scenarios.iter().filter(|scenario| scenario.name.contains(&only)).collect();
    std::thread::scope(|scope| {
        let by = &by;
        let playing: Vec<_> = chosen.iter().map(|scenario| scope.spawn(move || by(scenario))).collect();
        playing.into_iter().map(|playing| playing.join().expect("no panic")).collect()
    })
}

/// What came out of all.
#[derive(Debug, Default)]
struct Summary {
    n_equal: usize,
    n_listed: usize,
    /// Of those that are listed, answers that the recording calls a defect of the original.
    n_quirks: usize,
    n_not_run: usize,
    /// Differences that are not listed.
    unlisted: Vec<String>,
    /// Listed ones that are equal.
    needless: Vec<At>,
}

fn sum_up(played: &[Played], accepted: &BTreeSet<At>) -> Summary {
    let mut summary = Summary::default();
    for scenario in played {
        summary.n_not_run += scenario.not_run.as_ref().map_or(0, |(left, _)| *left);
        for outcome in &scenario.outcomes {
            let is_listed = accepted.contains(&outcome.at);
            if outcome.faults.is_empty() {
                summary.n_equal += 1;
                summary.needless.extend(is_listed.then(|| outcome.at.clone()));
            } else if is_listed && !outcome.is_beyond_quirk {
                summary.n_listed += 1;
                summary.n_quirks += usize::from(outcome.is_quirk);
            } else {
                let (name, step) = &outcome.at;
                summary.unlisted.push(format!("{name} {step}: {}{}", outcome.request, faults_of(outcome)));
            }
        }
    }
    summary
}

fn print(played: &[Played], summary: &Summary) {
    let mut text = String::new();
    for scenario in played {
        let n_equal = scenario.outcomes.iter().filter(|outcome| outcome.faults.is_empty()).count();
        let n_differing = scenario.outcomes.len() - n_equal;
        let (n_left, why) = scenario.not_run.clone().unwrap_or_default();
        let name = &scenario.name;
        let line = format!("{name:<26} {n_equal:>3} equal, {n_differing:>3} differ, {n_left:>3} not run");
        writeln!(text, "{line} {why}").expect("a text");
    }
    for fault in &summary.unlisted {
        writeln!(text, "{fault}").expect("a text");
    }
    let n_all = summary.n_equal + summary.n_listed + summary.unlisted.len() + summary.n_not_run;
    println!(
        "{text}equal {} of {n_all}, {} differ as docs/compat.md lists ({} of them marked as defects of the \
         original), {} differ otherwise, {} were not run",
        summary.n_equal,
        summary.n_listed,
        summary.n_quirks,
        summary.unlisted.len(),
        summary.n_not_run,
    );
}

/// Prints what came out, and holds it against what must.
fn judge(played: &[Played], accepted: &BTreeSet<At>, n_all: usize, n_equal: usize) {
    let summary = sum_up(played, accepted);
    print(played, &summary);
    assert_eq!(summary.needless, [], "docs/compat.md lists what is equal");
    assert!(summary.unlisted.is_empty(), "{} differ and are not listed", summary.unlisted.len());
    if only().is_some() {
        return;
    }
    assert_eq!(summary.n_not_run, 0);
    assert_eq!((summary.n_equal, summary.n_listed), (n_equal, n_all - n_equal));
}

#[test]
fn the_recording_agrees_with_itself() {
    let n_bodies = rules::check_with_itself(&scenarios());
    assert!(n_bodies > N_EXCHANGES / 2, "{n_bodies} bodies");
}

#[test]
fn recorded_exchanges_are_answered_as_docs_compat_says() {
    let accepted = accepted::read();
    let scenarios = scenarios();
    for (name, step) in &accepted {
        let is_there = |scenario: &Scenario| {
            scenario.name == *name && scenario.steps.iter().any(|known| known.number == *step)
        };
        assert!(scenarios.iter().any(is_there), "docs/compat.md lists {name} {step}, which is not there");
    }
    let played = play_all(&scenarios, |scenario| by_library(scenario, &accepted));
    judge(&played, &accepted, N_EXCHANGES, N_EQUAL);
}

#[test]
fn the_binary_answers_them_the_same() {
    let accepted = accepted::read();
    let mut scenarios = scenarios();
    scenarios.retain(|scenario| scenario.is_rest_only);
    let played = play_all(&scenarios, |scenario| by_daemon(scenario, &accepted));
    judge(&played, &accepted, N_REST_ONLY, N_EQUAL_BY_DAEMON);
}
