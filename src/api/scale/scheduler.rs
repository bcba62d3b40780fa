//! The scheduler: how it is set, what is queued by resources, and its status.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::api::body;
use crate::api::errors::{ScaleError, scale_unsettled};
use crate::api::limits::{BODY_BYTES_MAX, STATUS_AGE_MAX};
use crate::api::members::{self, Members, check_update, whole};
use crate::api::state::ApiState;
use crate::api::views::Time;
use crate::api::views::scale::{QueuedResources, SchedulerSet, document, status};
use crate::engine::SchedulerChange;
use crate::model::QueueMode;

/// What may be changed.
const FIELDS: [&str; 4] = ["is_paused", "num_message_handlers", "system_logging_level", "queue_mode"];

/// Levels of the log.
const LEVELS: [&str; 5] = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

/// Most message handlers that are kept: as many as Scale stores.
const HANDLERS_MAX: i64 = 0x7fff_ffff;

/// `GET scheduler/`.
pub(in crate::api) async fn detail(State(api): State<ApiState>) -> Json<SchedulerSet> {
    Json(SchedulerSet::new(&*api.view().await))
}

/// A value as an error shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().take(80).collect(),
        other => other.to_string().chars().take(80).collect(),
    }
}

fn unexpected(name: &str, value: &Value, known: &[&str]) -> ScaleError {
    let known = known.join(", ");
    ScaleError::Data(format!("Unexpected value {} for {name}. Valid values are {known}", shown(value)))
}

/// True or false as Scale's store takes it: a few texts and numbers pass too.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => [(0.0, false), (1.0, true)]
            .into_iter()
            .find_map(|(known, truth)| (number.as_f64() == Some(known)).then_some(truth)),
        Value::String(text) => match text.as_str() {
            "t" | "True" | "1" => Some(true),
            "f" | "False" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn read_change(members: &Members) -> Result<SchedulerChange, ScaleError> {
    check_update(members, &FIELDS)?;
    let mut change = SchedulerChange::default();
    if let Some(value) = members.get("queue_mode") {
        let mode = value.as_str().unwrap_or_default().to_ascii_uppercase();
        change.queue_mode = Some(match mode.as_str() {
            "FIFO" => QueueMode::Fifo,
            "LIFO" => QueueMode::Lifo,
            _ => return Err(unexpected("queue_mode", value, &["FIFO", "LIFO"])),
        });
    }
    if let Some(value) = members.get("is_paused") {
        let text =
            || format!("Validation Error: [u\"'{}' value must be either True or False.\"]", shown(value));
        change.is_paused = Some(truth(value).ok_or_else(|| ScaleError::Data(text()))?);
    }
    if let Some(value) = members.get("num_message_handlers") {
        let number = value.as_i64().or_else(|| whole(value.as_str()?));
        let number = number.filter(|number| (0..=HANDLERS_MAX).contains(number));
        let text = || format!("Validation Error: [u\"'{}' value must be an integer.\"]", shown(value));
        let number = number.and_then(|number| u32::try_from(number).ok());
        change.num_message_handlers = Some(number.ok_or_else(|| ScaleError::Data(text()))?);
    }
    if let Some(value) = members.get("system_logging_level") {
        let level = value.as_str().map(str::to_ascii_uppercase);
        let level = level.filter(|level| LEVELS.contains(&level.as_str()));
        change.system_logging_level =
            Some(level.ok_or_else(|| unexpected("system_logging_level", value, &LEVELS))?);
    }
    Ok(change)
}

/// `PATCH scheduler/`. Takes effect at once.
pub(in crate::api) async fn change(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ScaleError> {
    let members = members::object(&body::bytes(&headers, body, BODY_BYTES_MAX).await?)?;
    let change = read_change(&members)?;
    let settled = api.write(|engine| engine.edit_scheduler(change)).await;
    settled.map_err(|error| scale_unsettled(error, |error| ScaleError::Bad(error.to_string())))?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET scheduler/queued-resources/`.
pub(in crate::api) async fn queued_resources(State(api): State<ApiState>) -> Json<QueuedResources> {
    let view = api.view().await;
    Json(QueuedResources::new(&view, api.engine().cluster_resources().as_deref()))
}

/// `GET status/`: what whoever schedules last said of itself.
pub(in crate::api) async fn status_now(State(api): State<ApiState>) -> Result<Json<Value>, ScaleError> {
    let engine = api.engine();
    let view = engine.view();
    let (mut shown, when) = match engine.scheduler_status() {
        Some(reported) => (document(&reported.status), reported.when),
        None if engine.has_driver() => (status(&view, engine.framework()), view.made),
        None => {
            return Err(ScaleError::Unavailable("Status is missing. Scheduler may be down.".to_owned()));
        }
    };
    if engine.now().since(when) > STATUS_AGE_MAX {
        let seconds = STATUS_AGE_MAX.as_secs();
        return Err(ScaleError::Unavailable(format!("Status is over {seconds} seconds old")));
    }
    if let Value::Object(members) = &mut shown {
        members.insert("timestamp".to_owned(), json!(Time(when)));
    }
    Ok(Json(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<SchedulerChange, String> {
        let Value::Object(members) = body else { panic!("an object") };
        read_change(&members).map_err(|error| match error {
            ScaleError::Data(text) => text,
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn what_is_set_is_checked_first() {
        let check = |body: Value, part: &str| {
            let error = read(body.clone()).expect_err(part);
            assert!(error.contains(part), "{body}: {error}");
        };
        check(json!({}), "No fields specified for update.");
        check(json!({"a": 1, "is_paused": true}), "Unexpected fields: a");
        check(
            json!({"queue_mode": "LIFOX"}),
            "Unexpected value LIFOX for queue_mode. Valid values are FIFO, LIFO",
        );
        check(json!({"queue_mode": null}), "Valid values are FIFO, LIFO");
        check(json!({"is_paused": "true"}), "'true' value must be either True or False.");
        check(json!({"is_paused": 2}), "'2' value must be either True or False.");
        check(json!({"num_message_handlers": "x"}), "'x' value must be an integer.");
        check(json!({"num_message_handlers": -1}), "'-1' value");
        check(json!({"num_message_handlers": 1.5}), "'1.5' value");
        check(json!({"system_logging_level": "LOUD"}), "Unexpected value LOUD for system_logging_level.");
    }

    #[test]
    fn texts_and_numbers_that_scales_store_takes_pass() {
        for (value, paused) in
            [(json!("True"), true), (json!("f"), false), (json!(1), true), (json!(0), false)]
        {
            let change = read(json!({"is_paused": value})).expect("it passes");
            assert_eq!(change.is_paused, Some(paused));
        }
        let change = read(json!({"num_message_handlers": "3"})).expect("it passes");
        assert_eq!(change.num_message_handlers, Some(3));
    }

    #[test]
    fn modes_are_understood_in_any_case() {
        let mode = |text: &str| read(json!({"queue_mode": text})).map(|change| change.queue_mode);
        assert_eq!(mode("lifo"), Ok(Some(QueueMode::Lifo)));
        assert_eq!(mode("Fifo"), Ok(Some(QueueMode::Fifo)));
    }
}
