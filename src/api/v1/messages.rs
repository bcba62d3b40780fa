//! Messages, and those that could not be carried out.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::{limit, number, view};
use crate::api::body;
use crate::api::errors::{Problem, unsettled};
use crate::api::limits::BODY_BYTES_MAX;
use crate::api::query::Params;
use crate::api::state::{ApiState, Unsettled};
use crate::api::views::Time;
use crate::engine::{Changed, Delivered, DeliveryError, Engine, JobsError, Ticket};
use crate::intake::IntakeError;
use crate::limits::MESSAGES_AT_ONCE;
use crate::model::{DeadLetter, EventNumber};

/// How often a message is given again whose jobs changed in that very moment.
const TRIES: usize = 5;

/// What became of a message.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    Done { n_changed: u32, n_ignored: u32 },
    Bulk { bulk_id: u64 },
    SetAside { dead_letter: u64, code: String, reason: String },
}

impl From<Delivered> for Outcome {
    fn from(delivered: Delivered) -> Self {
        match delivered {
            Delivered::Done(Changed { n_changed, n_ignored }) => Self::Done { n_changed, n_ignored },
            Delivered::Bulk(id) => Self::Bulk { bulk_id: id.0 },
            Delivered::SetAside(letter) => {
                Self::SetAside { dead_letter: letter.number, code: letter.code, reason: letter.reason }
            }
        }
    }
}

fn refused(error: &DeliveryError) -> Problem {
    let text = error.to_string();
    match error {
        DeliveryError::Jobs(JobsError::Unreadable { .. }) => Problem::store_unreadable(text),
        DeliveryError::Jobs(_) => {
            Problem::new(StatusCode::CONFLICT, "job-changing", "A job changes", text).retry()
        }
        DeliveryError::NoDeadLetter(_) => {
            Problem::new(StatusCode::NOT_FOUND, "no-such-dead-letter", "No such dead letter", text)
        }
        DeliveryError::Busy(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too much goes on", text).retry()
        }
    }
}

/// Hands something in again as long as jobs change in that very moment.
async fn settled(
    api: &ApiState,
    send: impl Fn(&Engine) -> Result<Ticket<Delivered, DeliveryError>, IntakeError>,
) -> Result<(Delivered, EventNumber), Problem> {
    let mut tries = TRIES;
    loop {
        match api.write(&send).await {
            Err(Unsettled::Refused(DeliveryError::Jobs(JobsError::Changing(_)))) if tries > 1 => tries -= 1,
            settled => return settled.map_err(|error| unsettled(error, refused)),
        }
    }
}

/// What became of the messages of one request, in their order.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Taken {
    messages: Vec<Outcome>,
    position: u64,
}

/// The messages of a body: one, or a list of them. What is no JSON is one that nobody can read.
fn texts(bytes: &[u8]) -> Result<Vec<String>, Problem> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Array(all)) if all.len() > MESSAGES_AT_ONCE => {
            let detail = format!("{} messages in one request, at most {MESSAGES_AT_ONCE}", all.len());
            let title = "Too many messages";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-messages", title, detail))
        }
        Ok(Value::Array(all)) => Ok(all.iter().map(Value::to_string).collect()),
        _ => Ok(vec![String::from_utf8_lossy(bytes).into_owned()]),
    }
}

/// `POST messages`: each is carried out whole, in order, or set aside.
pub(in crate::api) async fn take(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Taken>, Problem> {
    let bytes = body::bytes(&headers, body, BODY_BYTES_MAX).await?;
    let (mut messages, mut position) = (Vec::new(), EventNumber(0));
    for text in texts(&bytes)? {
        let (delivered, at) = settled(&api, |engine| engine.deliver(&text)).await?;
        messages.push(Outcome::from(delivered));
        position = at;
    }
    Ok(Json(Taken { messages, position: position.0 }))
}

#[derive(Debug, Serialize)]
struct DeadLetterView {
    number: u64,
    code: String,
    reason: String,
    when: Time,
    message: String,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { number, message, code, reason, when } = letter;
        Self { number, code, reason, when: Time(when), message }
    }
}

/// A page of dead letters.
#[derive(Debug, Serialize)]
pub(in crate::api) struct DeadLetters {
    dead_letters: Vec<DeadLetterView>,
    /// The `after` of what comes next; none at the end.
    next: Option<u64>,
}

/// `GET dead-letters`: the oldest first.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    params: Params,
) -> Result<Json<DeadLetters>, Problem> {
    let limit = limit(&params)?;
    let from = number(&params, "after")?.map_or(0, |after| after.saturating_add(1));
    view(&api, &params).await?;
    // One more tells whether more follow.
    let mut letters = api.ask(move |engine| engine.dead_letters(from, limit + 1)).await;
    let is_all = letters.len() <= limit;
    letters.truncate(limit);
    let next = letters.last().map(|letter| letter.number).filter(|_| !is_all);
    Ok(Json(DeadLetters { dead_letters: letters.into_iter().map(DeadLetterView::from).collect(), next }))
}

fn read_number(text: &str) -> Result<u64, Problem> {
    let wrong = |_| {
        Problem::parameter("number", format!("the number of a dead letter is a whole number, not {text:?}"))
    };
    text.parse().map_err(wrong)
}

/// `POST dead-letters/{number}/retry`.
pub(in crate::api) async fn retry(
    State(api): State<ApiState>,
    Path(text): Path<String>,
) -> Result<Json<Taken>, Problem> {
    let number = read_number(&text)?;
    let (delivered, position) = settled(&api, |engine| engine.retry_dead_letter(number)).await?;
    Ok(Json(Taken { messages: vec![delivered.into()], position: position.0 }))
}

/// A dead letter that is no more.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Dropped {
    number: u64,
    position: u64,
}

/// `DELETE dead-letters/{number}`.
pub(in crate::api) async fn discard(
    State(api): State<ApiState>,
    Path(text): Path<String>,
) -> Result<Json<Dropped>, Problem> {
    let number = read_number(&text)?;
    let settled = api.write(|engine| engine.drop_dead_letter(number)).await;
    let ((), position) = settled.map_err(|error| unsettled(error, refused))?;
    Ok(Json(Dropped { number, position: position.0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_message_or_a_list_of_them() {
        let read = |text: &str| texts(text.as_bytes());
        assert_eq!(read("{\"type\": 1}"), Ok(vec!["{\"type\": 1}".to_owned()]));
        assert_eq!(read("[{}, 3]"), Ok(vec!["{}".to_owned(), "3".to_owned()]));
        assert_eq!(read("no JSON"), Ok(vec!["no JSON".to_owned()]));
        let many = format!("[{}]", vec!["{}"; MESSAGES_AT_ONCE + 1].join(","));
        assert!(read(&many).is_err());
    }
}
