//! What executions print, a piece at a time.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::jobs::read_id;
use super::number;
use crate::api::errors::Problem;
use crate::api::members;
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::engine::{Printed, PrintedError};
use crate::launch::{OutputStream, ReadFrom};
use crate::limits::PRINTED_BYTES_MAX;
use crate::model::JobId;

const EXE_NUM: HeaderName = HeaderName::from_static("weighbridge-exe-num");
const OFFSET: HeaderName = HeaderName::from_static("weighbridge-offset");
const NEXT_OFFSET: HeaderName = HeaderName::from_static("weighbridge-next-offset");
const SIZE: HeaderName = HeaderName::from_static("weighbridge-size");
const HAS_ENDED: HeaderName = HeaderName::from_static("weighbridge-has-ended");

/// A piece as JSON.
#[derive(Debug, Serialize)]
struct PieceView {
    job_id: u64,
    exe_num: u32,
    stream: &'static str,
    offset: u64,
    /// Where to go on.
    next_offset: u64,
    /// How much there was in all.
    size: u64,
    /// Whether no more will ever come.
    has_ended: bool,
    text: String,
}

impl PieceView {
    fn new(job: JobId, stream: OutputStream, printed: &Printed) -> Self {
        let piece = &printed.piece;
        let is_last = piece.offset + piece.bytes.len() as u64 >= piece.size && printed.has_ended;
        let (text, n_read) = text_of(&piece.bytes, is_last);
        Self {
            job_id: job.0,
            exe_num: printed.exe_num,
            stream: stream.as_str(),
            offset: piece.offset,
            next_offset: piece.offset + n_read as u64,
            size: piece.size,
            has_ended: printed.has_ended,
            text,
        }
    }
}

/// The bytes as text, and how many of them that is: a character that goes on in the next piece is left to it.
fn text_of(bytes: &[u8], is_last: bool) -> (String, usize) {
    let n_open = bytes.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
    let is_cut = n_open > 0
        && std::str::from_utf8(&bytes[bytes.len() - n_open..])
            .is_err_and(|error| error.error_len().is_none());
    // It alone is told as it is: else nobody would ever get on.
    let n = if is_cut && !is_last && n_open < bytes.len() { bytes.len() - n_open } else { bytes.len() };
    (String::from_utf8_lossy(&bytes[..n]).into_owned(), n)
}

fn read_stream(text: &str) -> Result<OutputStream, Problem> {
    let found = OutputStream::ALL.into_iter().find(|stream| stream.as_str() == text);
    let detail = || format!("a stream is stdout or stderr, not {text:?}");
    found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "no-such-stream", "No such stream", detail()))
}

fn read_from(params: &Params) -> Result<ReadFrom, Problem> {
    let Some(text) = params.last("offset") else { return Ok(ReadFrom::Start(0)) };
    let wrong = || Problem::parameter("offset", format!("offset must be a whole number, not {text:?}"));
    let offset = members::whole(text).ok_or_else(wrong)?;
    let n = offset.unsigned_abs();
    Ok(if offset < 0 { ReadFrom::End(n) } else { ReadFrom::Start(n) })
}

fn refused(error: &PrintedError) -> Problem {
    let (status, code, title) = match error {
        PrintedError::NoJob { .. } => return Problem::no_such_job(error.to_string()),
        PrintedError::Dropped { .. } => (StatusCode::GONE, "job-dropped", "The job was dropped"),
        PrintedError::NotStarted { .. } => {
            (StatusCode::NOT_FOUND, "job-not-started", "The job was not started")
        }
        PrintedError::NoExecution { .. } => (StatusCode::NOT_FOUND, "no-such-execution", "No such execution"),
        PrintedError::NoSource => (StatusCode::NOT_FOUND, "no-sandboxes", "Nothing runs jobs here"),
        PrintedError::Gone { .. } => (StatusCode::GONE, "output-gone", "What was printed is gone"),
        PrintedError::Unreachable { .. } => {
            (StatusCode::BAD_GATEWAY, "output-unreachable", "What was printed cannot be reached")
        }
        PrintedError::Unreadable { .. } => {
            (StatusCode::BAD_GATEWAY, "output-unreadable", "What was printed cannot be read")
        }
    };
    Problem::new(status, code, title, error.to_string())
}

/// `GET jobs/{id}/logs/{stream}`.
pub(in crate::api) async fn read(
    State(api): State<ApiState>,
    Path((id, stream)): Path<(String, String)>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let (id, stream) = (read_id(&id)?, read_stream(&stream)?);
    let from = read_from(&params)?;
    let most =
        number(&params, "length")?.map_or(PRINTED_BYTES_MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let most = most.min(PRINTED_BYTES_MAX);
    let exe_num = number(&params, "exe_num")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let ran = api.ask(move |engine| engine.ran(id, exe_num)).await.map_err(|error| refused(&error))?;
    let read = api.read_outside(move |engine| engine.read_ran(&ran, stream, from, most)).await;
    let printed = read.map_err(|error| refused(&error))?;
    let is_json = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| {
        accept.split(',').any(|kind| kind.split(';').next().unwrap_or(kind).trim() == "application/json")
    });
    Ok(if is_json { Json(PieceView::new(id, stream, &printed)).into_response() } else { plain(printed) })
}

/// The bytes as they are, and all else in the head.
fn plain(printed: Printed) -> Response {
    let piece = printed.piece;
    let next = piece.offset + piece.bytes.len() as u64;
    let facts = [
        (EXE_NUM, HeaderValue::from(printed.exe_num)),
        (OFFSET, HeaderValue::from(piece.offset)),
        (NEXT_OFFSET, HeaderValue::from(next)),
        (SIZE, HeaderValue::from(piece.size)),
        (HAS_ENDED, HeaderValue::from_static(if printed.has_ended { "true" } else { "false" })),
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (facts, piece.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_left_to_the_piece_it_ends_in() {
        let check = |bytes: &[u8], is_last, text: &str, n| {
            assert_eq!(text_of(bytes, is_last), (text.to_owned(), n), "{bytes:?}");
        };
        check(b"", false, "", 0);
        check("aé".as_bytes(), false, "aé", 3);
        check(b"a\xc3", false, "a", 1);
        check(b"a\xc3", true, "a\u{fffd}", 2);
        check(b"\xc3", false, "\u{fffd}", 1);
        check(b"a\xffb", false, "a\u{fffd}b", 3);
        check(b"a\xff", false, "a\u{fffd}", 2);
        check(b"a\xe2\x82", false, "a", 1);
    }

    #[test]
    fn a_place_is_read_from_either_end() {
        let read = |query: &str| read_from(&Params::of(query)).ok();
        assert_eq!(read(""), Some(ReadFrom::Start(0)));
        assert_eq!(read("offset=12"), Some(ReadFrom::Start(12)));
        assert_eq!(read("offset=-12"), Some(ReadFrom::End(12)));
        for bad in ["offset=", "offset=x", "offset=1.5", "offset=--1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
