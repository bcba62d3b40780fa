//! Bodies: read up to a bound, JSON only.

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

/// Why a body is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// Says that it is something else than JSON.
    MediaType(String),
    /// Longer than it may be.
    TooLarge {
        /// Than this.
        max: usize,
    },
    /// The connection ended before it did.
    Unread,
    /// It is no JSON, or not of the shape it should have; says what and where.
    Json(String),
}

/// The bytes of a body that does not say it is something else than JSON.
pub(super) async fn bytes(headers: &HeaderMap, body: Body, max: usize) -> Result<Bytes, BodyError> {
    // Of nothing it does not matter what it is.
    if body.size_hint().exact() == Some(0) {
        return Ok(Bytes::new());
    }
    check_media_type(headers)?;
    if body.size_hint().lower() > max as u64 {
        return Err(BodyError::TooLarge { max });
    }
    // The only other cause is a connection that broke, and then nobody reads the answer.
    to_bytes(body, max).await.map_err(|error| {
        if is_length_limit(&error) { BodyError::TooLarge { max } } else { BodyError::Unread }
    })
}

fn is_length_limit(error: &axum::Error) -> bool {
    use std::error::Error;
    error.source().is_some_and(<dyn Error>::is::<http_body_util::LengthLimitError>)
}

fn check_media_type(headers: &HeaderMap) -> Result<(), BodyError> {
    let Some(found) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let found = String::from_utf8_lossy(found.as_bytes());
    let kind = found.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(BodyError::MediaType(found.trim().to_owned()))
}

/// Reads a body of that shape.
pub(super) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    max: usize,
) -> Result<T, BodyError> {
    let bytes = bytes(headers, body, max).await?;
    serde_json::from_slice(&bytes).map_err(|error| BodyError::Json(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_json_passes_for_json() {
        let check = |kind: &str, passes: bool| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(kind).expect(kind))]);
            assert_eq!(check_media_type(&headers).is_ok(), passes, "{kind}");
        };
        check("application/json", true);
        check("Application/JSON; charset=utf-8", true);
        check("text/plain", false);
        check("application/x-www-form-urlencoded", false);
        check("", false);
        assert_eq!(check_media_type(&HeaderMap::new()), Ok(()));
    }
}
