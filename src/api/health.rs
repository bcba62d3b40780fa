//! Whether we live, whether we can answer, which version we are.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::query::Params;
use super::state::ApiState;

/// One thing that must hold.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    is_ok: bool,
    text: String,
}

#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    checks: Vec<Check>,
}

fn core_moves(api: &ApiState) -> Check {
    let silence = api.silence();
    let text = silence.map_or_else(
        || "the core moves".to_owned(),
        |silence| format!("the core has not moved for {} s", silence.as_secs()),
    );
    Check { name: "core", is_ok: silence.is_none(), text }
}

fn is_recovered(api: &ApiState) -> Check {
    let view = api.engine().view();
    let is_ok = view.position.0 > 0;
    let text = if is_ok {
        format!("epoch {}, position {}", view.epoch, view.position)
    } else {
        "no view yet".into()
    };
    Check { name: "recovered", is_ok, text }
}

fn log_is_healthy(api: &ApiState) -> Check {
    let engine = api.engine();
    let full = || "its disk is full; nothing is lost, and it goes on when there is room".to_owned();
    let complaint =
        engine.failure().map(|error| error.to_string()).or_else(|| engine.is_disk_full().then(full));
    let is_ok = complaint.is_none();
    Check { name: "log", is_ok, text: complaint.unwrap_or_else(|| "the log takes events".to_owned()) }
}

/// Without checkpoints the log grows and the memory with it, until commands have to wait.
fn state_is_healthy(api: &ApiState) -> Check {
    let complaint = api.engine().store_error();
    let is_ok = complaint.is_none();
    let text = complaint.map_or_else(|| "checkpoints are made".to_owned(), |error| error.to_string());
    Check { name: "state", is_ok, text }
}

/// Where what runs executions tells of itself; requests are answered either way, but nothing starts.
fn driver_is_ready(api: &ApiState) -> Option<Check> {
    let report = api.engine().driver_report()?;
    Some(Check { name: "driver", is_ok: report.is_ready, text: report.text.clone() })
}

/// A word, or with `?verbose` every check.
fn answer(checks: Vec<Check>, params: &Params) -> Response {
    let is_ok = checks.iter().all(|check| check.is_ok);
    let status = if is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if params.last("verbose").is_some() {
        let word = if is_ok { "ok" } else { "failing" };
        return (status, Json(Health { status: word, checks })).into_response();
    }
    let failing = checks.into_iter().filter(|check| !check.is_ok);
    let text = failing.map(|check| check.text).collect::<Vec<_>>().join("; ");
    (status, if is_ok { "ok\n".to_owned() } else { format!("{text}\n") }).into_response()
}

/// `GET /livez`: 503 when the core gave no sign of life for a while; a restart may help.
pub(super) async fn live(State(api): State<ApiState>, params: Params) -> Response {
    answer(vec![core_moves(&api)], &params)
}

/// `GET /readyz`, `GET /healthz`: 503 while requests cannot be answered well.
pub(super) async fn ready(State(api): State<ApiState>, params: Params) -> Response {
    let mut checks = vec![core_moves(&api), is_recovered(&api), log_is_healthy(&api), state_is_healthy(&api)];
    checks.extend(driver_is_ready(&api));
    answer(checks, &params)
}

/// The version, in Scale's shape.
#[derive(Debug, Serialize)]
pub(super) struct ScaleVersion {
    version: &'static str,
}

/// The version of Scale whose interface is spoken: clients decide by it what they may ask for.
const SCALE_VERSION: &str = "7.2.2";

/// `GET /v6/version/`. Our own version is at `/version`.
pub(super) async fn scale_version() -> Json<ScaleVersion> {
    Json(ScaleVersion { version: SCALE_VERSION })
}

/// The version, and what we speak.
#[derive(Debug, Serialize)]
pub(super) struct Version {
    name: &'static str,
    version: &'static str,
    apis: [&'static str; 3],
}

/// `GET /version`.
pub(super) async fn version() -> Json<Version> {
    Json(Version {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        apis: ["/v6/", "/v7/", "/api/v1/"],
    })
}
