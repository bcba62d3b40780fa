//! What a master tells a scheduler: the events of the v1 API in JSON, as far as they are of use here.
//!
//! Their size is that of their record, which is bounded. What is not known here is passed over, as members and
//! as whole events: newer masters tell more.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::resource::Resource;
use crate::model::{AgentId, OfferId, Timestamp};
use crate::offer::{NewOffer, RoleAmount, Roles};

/// Why a record is no event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventError {
    /// No JSON, or not what an event of its kind looks like.
    #[error("no event of a master: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// The part that its kind names is not there.
    #[error("an event {kind} without its part")]
    Incomplete {
        /// Its kind.
        kind: String,
    },
    /// A name that is none.
    #[error("an event with a name that is none: {name:?}")]
    BadName {
        /// The name.
        name: String,
    },
}

/// One event.
#[derive(Debug)]
pub(crate) enum Event {
    Subscribed(Subscribed),
    Offers(Vec<Offered>),
    Rescind(OfferId),
    /// The master would like to have back what an agent gave, before its maintenance.
    InverseOffers(Vec<OfferId>),
    Update(Box<Status>),
    /// An agent is gone.
    AgentLost(AgentId),
    /// The master ends the subscription for good.
    Error(String),
    Heartbeat,
    /// Nothing to do about it.
    Other,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Subscribed {
    framework_id: Text,
    pub(crate) heartbeat_interval_seconds: Option<f64>,
}

/// An offer, and its resources as they came.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) offer: NewOffer,
    pub(crate) resources: Vec<Resource>,
    /// The role it is for.
    pub(super) role: Option<String>,
    /// The executors of this framework that run there.
    pub(super) executors: Vec<String>,
    /// When its maintenance begins, where that is known.
    pub(super) leaves: Option<(Timestamp, Option<Timestamp>)>,
}

impl Offered {
    /// It offers these resources instead.
    pub(super) fn replace(&mut self, resources: Vec<Resource>) {
        self.offer.amounts = amounts(&resources);
        self.resources = resources;
    }
}

/// A master offers to a role what that role may use, so all of it counts alike.
fn amounts(resources: &[Resource]) -> Vec<RoleAmount<String>> {
    let amount = |resource: &Resource| {
        let (role, name) = (Roles::ANY.into(), resource.name().to_owned());
        resource.amount().map(|amount| RoleAmount { role, name, amount })
    };
    resources.iter().filter_map(amount).collect()
}

/// News of a task.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Status {
    pub(crate) task_id: Text,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) message: String,
    pub(crate) agent_id: Option<Text>,
    /// Who sent it wants word that it is kept.
    pub(crate) uuid: Option<String>,
}

/// A text in an object of its own, as Mesos has all its names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Text {
    pub(crate) value: String,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    subscribed: Option<Subscribed>,
    offers: Option<RawOffers>,
    rescind: Option<Rescind>,
    inverse_offers: Option<InverseOffers>,
    update: Option<Update>,
    failure: Option<Failure>,
    error: Option<ErrorPart>,
}

#[derive(Deserialize)]
struct RawOffers {
    #[serde(default)]
    offers: Vec<RawOffer>,
}

#[derive(Deserialize)]
struct RawOffer {
    id: Text,
    agent_id: Text,
    hostname: String,
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    executor_ids: Vec<Text>,
    allocation_info: Option<Allocation>,
    unavailability: Option<Unavailability>,
}

#[derive(Deserialize)]
struct Unavailability {
    start: Nanoseconds,
    duration: Option<Nanoseconds>,
}

#[derive(Deserialize)]
struct Nanoseconds {
    nanoseconds: i64,
}

#[derive(Deserialize)]
struct InverseOffers {
    #[serde(default)]
    inverse_offers: Vec<InverseOffer>,
}

#[derive(Deserialize)]
struct InverseOffer {
    id: Text,
}

#[derive(Deserialize)]
struct Allocation {
    role: Option<String>,
}

#[derive(Deserialize)]
struct Attribute {
    name: String,
    text: Option<Text>,
    scalar: Option<Scalar>,
}

#[derive(Deserialize)]
struct Scalar {
    value: serde_json::Number,
}

#[derive(Deserialize)]
struct Rescind {
    offer_id: Text,
}

#[derive(Deserialize)]
struct Update {
    status: Status,
}

#[derive(Deserialize)]
struct Failure {
    agent_id: Option<Text>,
    executor_id: Option<Text>,
}

#[derive(Deserialize)]
struct ErrorPart {
    #[serde(default)]
    message: String,
}

impl Subscribed {
    pub(crate) fn framework_id(&self) -> &str {
        &self.framework_id.value
    }
}

fn offer_id(name: &Text) -> Result<OfferId, EventError> {
    OfferId::new(&name.value).map_err(|_| EventError::BadName { name: name.value.clone() })
}

fn agent_id(name: &Text) -> Result<AgentId, EventError> {
    AgentId::new(&name.value).map_err(|_| EventError::BadName { name: name.value.clone() })
}

impl RawOffer {
    fn read(self) -> Result<Offered, EventError> {
        let offer = NewOffer {
            id: offer_id(&self.id)?,
            agent: agent_id(&self.agent_id)?,
            host: self.hostname,
            amounts: amounts(&self.resources),
            attributes: self.attributes.into_iter().filter_map(Attribute::read).collect::<BTreeMap<_, _>>(),
        };
        let executors = self.executor_ids.into_iter().map(|id| id.value).collect();
        let role = self.allocation_info.and_then(|allocation| allocation.role);
        let leaves = self.unavailability.map(|gone| {
            let instant = |nanoseconds: i64| Timestamp(nanoseconds / 1_000);
            let back = gone.duration.map(|length| gone.start.nanoseconds.saturating_add(length.nanoseconds));
            (instant(gone.start.nanoseconds), back.map(instant))
        });
        Ok(Offered { offer, resources: self.resources, role, executors, leaves })
    }
}

impl Attribute {
    /// Texts and numbers; ranges are left out.
    fn read(self) -> Option<(String, String)> {
        let value = self.text.map(|text| text.value);
        let value = value.or_else(|| self.scalar.map(|scalar| scalar.value.to_string()))?;
        Some((self.name, value))
    }
}

impl Event {
    /// The event in a record. Mesos hands on what executors and agents say as it is, also where that is no text:
    /// what cannot be read of it is replaced.
    pub(crate) fn read(record: &[u8]) -> Result<Self, EventError> {
        let raw: Raw = serde_json::from_str(&String::from_utf8_lossy(record))?;
        let missing = || EventError::Incomplete { kind: raw.kind.clone() };
        Ok(match raw.kind.as_str() {
            "SUBSCRIBED" => Self::Subscribed(raw.subscribed.ok_or_else(missing)?),
            "OFFERS" => {
                let offers = raw.offers.ok_or_else(missing)?.offers;
                Self::Offers(offers.into_iter().map(RawOffer::read).collect::<Result<_, _>>()?)
            }
            "RESCIND" => Self::Rescind(offer_id(&raw.rescind.ok_or_else(missing)?.offer_id)?),
            "INVERSE_OFFERS" => {
                let offers = raw.inverse_offers.ok_or_else(missing)?.inverse_offers;
                Self::InverseOffers(offers.iter().map(|offer| offer_id(&offer.id)).collect::<Result<_, _>>()?)
            }
            "UPDATE" => Self::Update(Box::new(raw.update.ok_or_else(missing)?.status)),
            // What became of an executor's tasks is told by their statuses.
            "FAILURE" => match raw.failure.ok_or_else(missing)? {
                Failure { agent_id: Some(agent), executor_id: None } => Self::AgentLost(agent_id(&agent)?),
                Failure { .. } => Self::Other,
            },
            "ERROR" => Self::Error(raw.error.ok_or_else(missing)?.message),
            "HEARTBEAT" => Self::Heartbeat,
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(event: &Value) -> Result<Event, EventError> {
        Event::read(event.to_string().as_bytes())
    }

    #[test]
    fn events_are_read_as_far_as_they_are_of_use() {
        let subscribed = json!({ "type": "SUBSCRIBED", "subscribed": {
            "framework_id": { "value": "f-1" }, "heartbeat_interval_seconds": 15.0, "master_info": { "id": "m" } } });
        let Ok(Event::Subscribed(told)) = read(&subscribed) else { panic!() };
        assert_eq!((told.framework_id(), told.heartbeat_interval_seconds), ("f-1", Some(15.0)));
        let update = json!({ "type": "UPDATE", "update": { "status": {
            "task_id": { "value": "t" }, "state": "TASK_RUNNING", "uuid": "dQ==", "agent_id": { "value": "a" } } } });
        let Ok(Event::Update(status)) = read(&update) else { panic!() };
        assert_eq!((status.task_id.value.as_str(), status.uuid.as_deref()), ("t", Some("dQ==")));
        let mut no_text = update.to_string().replace("dQ==", "dQ==\",\"message\":\"x?y").into_bytes();
        let at = no_text.iter().position(|byte| *byte == b'?').expect("it is there");
        no_text[at] = 0xff;
        let Ok(Event::Update(status)) = Event::read(&no_text) else { panic!() };
        assert_eq!((&*status.message, status.uuid.as_deref()), ("x\u{fffd}y", Some("dQ==")));
        let gone = json!({ "type": "FAILURE", "failure": { "agent_id": { "value": "a" } } });
        assert!(matches!(read(&gone), Ok(Event::AgentLost(agent)) if agent.as_str() == "a"));
        let executor = json!({ "type": "FAILURE", "failure": { "agent_id": { "value": "a" },
            "executor_id": { "value": "e" }, "status": 9 } });
        assert!(matches!(read(&executor), Ok(Event::Other)));
        let rescind = json!({ "type": "RESCIND", "rescind": { "offer_id": { "value": "o" } } });
        assert!(matches!(read(&rescind), Ok(Event::Rescind(offer)) if offer.as_str() == "o"));
        let inverse = json!({ "type": "INVERSE_OFFERS", "inverse_offers": { "inverse_offers": [{
            "id": { "value": "i" }, "unavailability": { "start": { "nanoseconds": 5_000 } } }] } });
        let Ok(Event::InverseOffers(asked)) = read(&inverse) else { panic!() };
        assert_eq!(asked, [OfferId::new("i").expect("a name")]);
        let error = json!({ "type": "ERROR", "error": { "message": "no" } });
        assert!(matches!(read(&error), Ok(Event::Error(why)) if why == "no"));
        assert!(matches!(read(&json!({ "type": "HEARTBEAT" })), Ok(Event::Heartbeat)));
        assert!(matches!(read(&json!({ "type": "NEW_IN_2", "new": [1] })), Ok(Event::Other)));
    }

    #[test]
    fn an_offer_is_what_its_agent_has_to_give() {
        let part = |name: &str, value: Value| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value } });
        let offers = json!({ "type": "OFFERS", "offers": { "offers": [{
            "id": { "value": "o" }, "agent_id": { "value": "a" }, "hostname": "h", "framework_id": { "value": "f" },
            "unavailability": { "start": { "nanoseconds": 5_000_000 }, "duration": { "nanoseconds": 2_000_000 } },
            "resources": [part("cpus", json!(1.5)), part("cpus", json!(0.300_7)), part("mem", json!(512)),
                { "name": "ports", "type": "RANGES", "ranges": { "range": [{ "begin": 1, "end": 9 }] } }],
            "attributes": [{ "name": "rack", "type": "TEXT", "text": { "value": "r7" } },
                { "name": "floor", "type": "SCALAR", "scalar": { "value": 2 } },
                { "name": "span", "type": "RANGES", "ranges": { "range": [] } }] }] } });
        let Ok(Event::Offers(offers)) = read(&offers) else { panic!() };
        let Offered { offer, resources, leaves, .. } = &offers[0];
        assert_eq!(*leaves, Some((Timestamp(5_000), Some(Timestamp(7_000)))));
        assert_eq!((offer.id.as_str(), offer.agent.as_str(), offer.host.as_str()), ("o", "a", "h"));
        let amounts: Vec<(&str, u64)> = offer.amounts.iter().map(|a| (a.name.as_str(), a.amount.0)).collect();
        let expected = [("cpus", 1_500), ("cpus", 300), ("mem", 512_000), ("ports", 9_000)];
        assert_eq!(amounts, expected, "rounded down; numbers are counted");
        let attributes =
            [("floor", "2"), ("rack", "r7")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(offer.attributes, BTreeMap::from(attributes));
        assert_eq!(resources.len(), 4);
    }

    #[test]
    fn what_is_no_event_is_told_in_words() {
        let check = |text: &str, part: &str| {
            let error = Event::read(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("", "EOF");
        check("[]", "invalid");
        check("{}", "missing field `type`");
        check(r#"{"type":"OFFERS"}"#, "OFFERS without");
        check(r#"{"type":"RESCIND","rescind":{"offer_id":{"value":""}}}"#, "none");
        check(r#"{"type":"UPDATE","update":{"status":{"state":"TASK_RUNNING"}}}"#, "task_id");
        let resource = r#"{"type":"OFFERS","offers":{"offers":[{"resources":[{"name":"cpus","x":"#;
        check(&format!("{resource}{}", "[".repeat(200)), "recursion");
    }
}
