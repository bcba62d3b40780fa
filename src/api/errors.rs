//! What goes wrong, as the caller sees it: Scale's bodies under `/v6/` and `/v7/`, problem
//! documents (RFC 9457) everywhere else.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::body::BodyError;
use super::paging::InvalidPage;
use super::state::Unsettled;
use crate::intake::IntakeError;

/// An error of a call in Scale's shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ScaleError {
    /// 400 with a `detail`.
    Bad(String),
    /// 400 with a bare JSON string, as Scale answers for the data of a job.
    Data(String),
    /// 404.
    NotFound,
    /// 404 for a page.
    InvalidPage,
    /// 405.
    Method(Method),
    /// 413.
    TooLarge {
        /// The bound it exceeds.
        max: usize,
    },
    /// 415.
    MediaType(String),
    /// 503: nothing was done, or nobody knows; the text says which.
    Unavailable(String),
}

#[derive(Serialize)]
struct Detail {
    detail: String,
}

impl IntoResponse for ScaleError {
    fn into_response(self) -> Response {
        let (status, detail) = match self {
            Self::Bad(detail) => (StatusCode::BAD_REQUEST, detail),
            Self::Data(text) => return (StatusCode::BAD_REQUEST, Json(text)).into_response(),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not found.".to_owned()),
            Self::InvalidPage => (StatusCode::NOT_FOUND, "Invalid page.".to_owned()),
            Self::Method(method) => {
                (StatusCode::METHOD_NOT_ALLOWED, format!("Method \"{method}\" not allowed."))
            }
            Self::TooLarge { max } => {
                (StatusCode::PAYLOAD_TOO_LARGE, format!("Request body exceeds {max} bytes."))
            }
            Self::MediaType(found) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("Unsupported media type \"{found}\" in request."),
            ),
            Self::Unavailable(detail) => (StatusCode::SERVICE_UNAVAILABLE, detail),
        };
        let mut response = (status, Json(Detail { detail })).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<InvalidPage> for ScaleError {
    fn from(_: InvalidPage) -> Self {
        Self::InvalidPage
    }
}

impl From<BodyError> for ScaleError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::MediaType(found) => Self::MediaType(found),
            BodyError::TooLarge { max } => Self::TooLarge { max },
            BodyError::Unread => Self::Bad("The body could not be read.".to_owned()),
            BodyError::Json(text) => Self::Bad(format!("JSON parse error - {text}")),
        }
    }
}

/// An error of one of our own calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    field: Option<String>,
    retry_after: bool,
}

#[derive(Serialize)]
struct ProblemView<'p> {
    r#type: String,
    title: &'p str,
    status: u16,
    code: &'p str,
    detail: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'p str>,
}

impl Problem {
    /// `code` is stable: programs may rely on it. `title` is the same for every problem of a code.
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, code, title, detail: detail.into(), field: None, retry_after: false }
    }

    /// Names the field that is wrong.
    pub(super) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Asks the caller to try again in a second.
    pub(super) fn retry(mut self) -> Self {
        self.retry_after = true;
        self
    }

    /// A parameter of the address is not as it should be.
    pub(super) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let title = "A parameter is not as it should be";
        Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", title, detail).field(name)
    }

    /// The body is not as it should be.
    pub(super) fn body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-body", "The body is not as it should be", detail)
    }

    /// There is nothing under that address.
    pub(super) fn not_found(path: &str) -> Self {
        let detail = format!("there is nothing at {path}; docs/openapi.json lists every call");
        Self::new(StatusCode::NOT_FOUND, "not-found", "No such address", detail)
    }

    /// There is no such job.
    pub(super) fn no_such_job(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-such-job", "No such job", detail)
    }

    /// The state file could not be read.
    pub(super) fn store_unreadable(detail: impl Into<String>) -> Self {
        let title = "The store cannot be read";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store-unreadable", title, detail)
    }

    /// There is no such job type.
    pub(super) fn no_such_job_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-such-job-type", "No such job type", detail)
    }

    /// The method is not there for that address.
    pub(super) fn method(method: &Method, allow: &str) -> Self {
        let detail = format!("{method} is not there for this address; it takes {allow}");
        let title = "Method not allowed";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title, detail)
    }

    /// A handler panicked.
    pub(super) fn internal() -> Self {
        let detail = "the request met a fault of the server; its log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// A request took too long.
    pub(super) fn timeout() -> Self {
        let detail = "the request was not done in time; a write may still come, so ask before you repeat it";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "Not done in time", detail).retry()
    }

    /// A page of another site wants to write.
    pub(super) fn foreign_origin() -> Self {
        let detail = "writes from pages of other sites are refused";
        Self::new(StatusCode::FORBIDDEN, "foreign-origin", "Foreign origin", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let view = ProblemView {
            r#type: format!("urn:weighbridge:problem:{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            field: self.field.as_deref(),
        };
        let mut response = (self.status, Json(view)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::MediaType(found) => {
                let detail = format!("the body must be application/json, not {found:?}");
                let title = "Unsupported media type";
                Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title, detail)
            }
            BodyError::TooLarge { max } => {
                let detail = format!("the body is longer than {max} bytes; split it");
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large", detail)
            }
            BodyError::Unread => Self::body("the body ended early"),
            BodyError::Json(text) => Self::body(text),
        }
    }
}

/// What `refused` makes of a refusal; everything else is the same for every write.
pub(super) fn unsettled<E>(error: Unsettled<E>, refused: impl FnOnce(&E) -> Problem) -> Problem {
    let unavailable =
        |code, title, detail| Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail);
    match error {
        Unsettled::Refused(error) => refused(&error),
        Unsettled::Busy => unavailable("busy", "The engine is busy", super::state::BUSY).retry(),
        Unsettled::DiskFull => {
            let text = IntakeError::DiskFull.to_string();
            unavailable("disk-full", "The disk of the store is full", &text).retry()
        }
        Unsettled::LogFailed(text) => unavailable("log-failed", "The log failed", &text),
        Unsettled::Closing => unavailable("closing", "The engine is closing", super::state::CLOSING).retry(),
        Unsettled::NoAnswer => {
            unavailable("no-answer-yet", "Not on disk yet", super::state::NO_ANSWER).retry()
        }
    }
}

/// The same in Scale's shape.
pub(super) fn scale_unsettled<E>(error: Unsettled<E>, refused: impl FnOnce(&E) -> ScaleError) -> ScaleError {
    match error {
        Unsettled::Refused(error) => refused(&error),
        Unsettled::Busy => ScaleError::Unavailable(super::state::BUSY.to_owned()),
        Unsettled::DiskFull => ScaleError::Unavailable(IntakeError::DiskFull.to_string()),
        Unsettled::LogFailed(text) => ScaleError::Unavailable(text),
        Unsettled::Closing => ScaleError::Unavailable(super::state::CLOSING.to_owned()),
        Unsettled::NoAnswer => ScaleError::Unavailable(super::state::NO_ANSWER.to_owned()),
    }
}
