//! Plays one scenario against a server that has nothing yet.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::accepted::At;
use crate::compare::{Fault, Rules, shown};
use crate::given::{Given, GivenError, bring_about};
use crate::http::{Answer, Client};
use crate::sample::{Action, Scenario};
use crate::symbols::{Symbols, is_symbol};

/// How long a read may differ: what a write sets off is done beside it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long all reads of a scenario may differ together: one that is lost does not keep the rest.
const PATIENCE_IN_ALL: Duration = Duration::from_secs(4);

/// The same for a read whose difference is known.
const PATIENCE_KNOWN: Duration = Duration::from_millis(200);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

#[expect(clippy::disallowed_methods, reason = "a test waits in real time, with a deadline")]
fn now() -> Instant {
    Instant::now()
}

/// How an exchange went.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) at: At,
    /// Method and path.
    pub(crate) request: String,
    /// The recording calls the answer a defect of the original.
    pub(crate) is_quirk: bool,
    pub(crate) faults: Vec<Fault>,
    /// Faults that no known defect explains, although the step has one.
    pub(crate) is_beyond_quirk: bool,
}

/// How a scenario went.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) name: String,
    pub(crate) outcomes: Vec<Outcome>,
    /// Exchanges that were not tried, and why.
    pub(crate) not_run: Option<(usize, String)>,
}

fn pointers(step: &Map<String, Value>, name: &str) -> BTreeSet<String> {
    let listed = step.get(name).and_then(Value::as_array).into_iter().flatten();
    listed.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The request of a step, with its symbols replaced.
struct Request {
    method: String,
    path: String,
    content_type: Option<String>,
    body: String,
}

impl Request {
    fn of(step: &Map<String, Value>, symbols: &Symbols) -> Result<Self, String> {
        let request = &step["request"];
        let text = |name: &str| request[name].as_str().map(str::to_owned);
        let json = request.get("json").map(|json| symbols.fill_value(json)).transpose()?;
        let body = json.map(|json| json.to_string()).or_else(|| text("text"));
        let content_type = body.is_some().then(|| text("content_type"));
        Ok(Self {
            method: text("method").expect("a method"),
            path: symbols.fill(&text("path").expect("a path"))?,
            content_type: content_type.map(|given| given.unwrap_or("application/json".to_owned())),
            body: body.unwrap_or_default(),
        })
    }

    fn send(&self, client: Client) -> Answer {
        let kind = self.content_type.as_deref().map(|kind| ("Content-Type", kind));
        client.send(&self.method, &self.path, kind.as_slice(), &self.body)
    }
}

/// The part of a media type before its parameters.
fn media_type(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim()
}

/// Differences of an answer; symbols that it binds are in `symbols` afterwards.
fn look(step: &Map<String, Value>, answer: &Answer, symbols: &mut Symbols) -> Vec<Fault> {
    let response = &step["response"];
    let mut faults = Vec::new();
    let mut fault = |at: &str, what: String| faults.push(Fault { at: at.to_owned(), what });
    if response["status"] != answer.status {
        let body = shown(&Value::from(answer.body.as_str()));
        fault("status", format!("{}, found {} {body}", response["status"], answer.status));
        return faults;
    }
    if response["body"] == "html" {
        return faults;
    }
    // The body first: it binds symbols that headers speak of.
    let found = serde_json::from_str::<Value>(&answer.body);
    match (response.get("json"), found) {
        (Some(expected), Ok(found)) => {
            let rules = Rules {
                is_subset: response["match"] == "subset",
                loose: pointers(step, "loose"),
                unordered: pointers(step, "unordered"),
            };
            rules.compare("", expected, &found, symbols, &mut faults);
        }
        (Some(_), Err(error)) => fault("", format!("JSON, found {error}")),
        (None, _) if answer.status < 300 && !answer.body.is_empty() => {
            fault("", format!("no body, found {}", shown(&Value::from(answer.body.as_str()))));
        }
        (None, _) => {}
    }
    faults.extend(look_at_headers(response, answer, symbols));
    faults
}

fn look_at_headers(response: &Value, answer: &Answer, symbols: &mut Symbols) -> Vec<Fault> {
    let mut faults = Vec::new();
    for name in ["location", "content-type", "allow"] {
        let Some(expected) = response["headers"][name].as_str() else { continue };
        let found = answer.header(name).unwrap_or_default();
        let agreed = match name {
            "location" => symbols.agree(expected, found),
            "allow" if answer.status != 405 => Ok(()),
            _ if media_type(expected) == media_type(found) => Ok(()),
            _ => Err(format!("{expected}, found {found}")),
        };
        if let Err(what) = agreed {
            faults.push(Fault { at: name.to_owned(), what });
        }
    }
    faults
}

/// A scenario under way.
struct Play<'p> {
    scenario: &'p Scenario,
    client: Client,
    symbols: Symbols,
    accepted: &'p BTreeSet<At>,
    /// What is left of [`PATIENCE_IN_ALL`].
    patience: Duration,
}

impl Play<'_> {
    /// Asks until the answer agrees, or patience ends.
    fn exchange(&mut self, number: u64, step: &Map<String, Value>) -> Outcome {
        let at = (self.scenario.name.clone(), number);
        let asked = |name: &str| step["request"][name].as_str().unwrap_or_default().to_owned();
        let recorded = format!("{} {}", asked("method"), asked("path"));
        let (request, faults) = match Request::of(step, &self.symbols) {
            Ok(request) => {
                let faults = self.ask(&request, step, self.accepted.contains(&at));
                (format!("{} {}", request.method, request.path), faults)
            }
            Err(what) => (recorded, vec![Fault { at: "request".to_owned(), what }]),
        };
        let explained = pointers(step, "quirk_paths");
        let is_explained = |fault: &Fault| explained.is_empty() || explained.contains(&fault.at);
        let is_quirk = step.contains_key("quirk");
        let is_beyond_quirk = is_quirk && !faults.iter().all(is_explained);
        Outcome { at, request, is_quirk, faults, is_beyond_quirk }
    }

    fn ask(&mut self, request: &Request, step: &Map<String, Value>, is_known: bool) -> Vec<Fault> {
        let longest = if is_known { PATIENCE_KNOWN } else { PATIENCE };
        let (start, end) = (now(), longest.min(self.patience));
        loop {
            let answer = request.send(self.client);
            let mut tried = self.symbols.clone();
            let faults = look(step, &answer, &mut tried);
            let waited = now() - start;
            if faults.is_empty() || request.method != "GET" || waited >= end {
                self.symbols = tried;
                self.patience = self.patience.saturating_sub(if is_known { Duration::ZERO } else { waited });
                return faults;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn given(&mut self, given: &dyn Given, step: &Map<String, Value>) -> Result<(), String> {
        let kind = step["given"].as_str().expect("a kind");
        // The member of the kind's name holds the symbol of what it makes.
        let made = step.get(kind).and_then(Value::as_str).filter(|name| is_symbol(name));
        let members = step.iter().filter(|(name, _)| *name != kind);
        let members = members.map(|(name, value)| Ok((name.clone(), self.symbols.fill_value(value)?)));
        let members = members.collect::<Result<Map<String, Value>, String>>()?;
        let id = bring_about(given, kind, &members).map_err(|error| match error {
            GivenError::Unsupported => format!("{kind} cannot be brought about"),
            GivenError::Failed(what) => format!("{kind}: {what}"),
        })?;
        match (made, id) {
            (Some(symbol), Some(id)) => self.symbols.bind(symbol, id),
            (None, _) => Ok(()),
            (Some(symbol), None) => Err(format!("{kind} made no {symbol}")),
        }
    }
}

/// Plays `scenario`; `tell` hears of every exchange.
pub(crate) fn play(
    scenario: &Scenario,
    client: Client,
    given: &dyn Given,
    accepted: &BTreeSet<At>,
    tell: impl Fn(&Outcome),
) -> Played {
    let symbols = Symbols::at(format!("http://{}", client.0));
    let mut play = Play { scenario, client, symbols, accepted, patience: PATIENCE_IN_ALL };
    let mut outcomes = Vec::new();
    for step in &scenario.steps {
        match &step.action {
            Action::Exchange(line) => {
                outcomes.push(play.exchange(step.number, line));
                outcomes.last().into_iter().for_each(&tell);
            }
            Action::Given(line) => {
                if let Err(why) = play.given(given, line) {
                    let left = scenario.n_exchanges() - outcomes.len();
                    let not_run = Some((left, format!("step {}: {why}", step.number)));
                    return Played { name: scenario.name.clone(), outcomes, not_run };
                }
            }
        }
    }
    Played { name: scenario.name.clone(), outcomes, not_run: None }
}
