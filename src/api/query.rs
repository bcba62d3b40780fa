//! The parameters behind the `?` of an address, by name, as often as they came.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Query};
use axum::http::header::HOST;
use axum::http::request::Parts;

/// Parameters in the order they came, decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every value of `name`.
    pub(super) fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The last value of `name`.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.iter().filter(|(known, _)| *known == name).map(|(_, value)| value).last()
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        let uri = format!("/?{text}").parse().expect("an address");
        Self(Query::try_from_uri(&uri).map(|Query(pairs)| pairs).unwrap_or_default())
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Pairs of texts always read; bytes that are no text are replaced.
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        Ok(Self(pairs.map(|Query(pairs)| pairs).unwrap_or_default()))
    }
}

/// The address under which the caller reached us, without its query.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Scheme, name and port.
    pub(super) origin: String,
    /// The path.
    pub(super) path: String,
}

impl Address {
    /// The whole, without a query.
    pub(super) fn url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }
}

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        Ok(Self { origin: format!("http://{host}"), path: parts.uri.path().to_owned() })
    }
}
