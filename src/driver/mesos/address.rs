//! Where a master listens.

use std::fmt;
use std::str::FromStr;

/// The port of a master where none is said.
const PORT: u16 = 5050;

/// Why a text is no address of a master.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is none.
    #[error("{text:?} is no address of a master; write http://HOST:PORT")]
    NoAddress {
        /// The text.
        text: String,
    },
    /// It asks for what is not spoken here.
    #[error("{text:?}: a master is asked over plain HTTP only")]
    NoTls {
        /// The text.
        text: String,
    },
}

/// See the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// With or without a scheme, and whatever path comes behind it: a master that sends elsewhere writes
    /// `//HOST:PORT/PATH`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || AddressError::NoAddress { text: text.to_owned() };
        if text.starts_with("https:") {
            return Err(AddressError::NoTls { text: text.to_owned() });
        }
        let rest = text.strip_prefix("http:").unwrap_or(text);
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let authority = rest.split('/').next().unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(bad)?)),
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-_.:%".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(bad());
        }
        let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| bad()))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masters_are_found_in_what_people_and_masters_write() {
        let check = |text: &str, expected: &str| {
            assert_eq!(
                text.parse().map(|found: Address| found.to_string()),
                Ok(expected.to_owned()),
                "{text}"
            );
        };
        check("http://m-1.example:5050", "m-1.example:5050");
        check("http://127.0.0.1:1/", "127.0.0.1:1");
        check("//localhost:5051/api/v1/scheduler", "localhost:5051");
        check("http://m/master", "m:5050");
        check("m", "m:5050");
        check("m:80", "m:80");
        check("[::1]", "[::1]:5050");
        check("http://[::1]:81/x", "[::1]:81");
    }

    #[test]
    fn what_is_no_address_is_told_in_words() {
        for text in [
            "",
            "http://",
            "http://:5050",
            "m:",
            "m:x",
            "m:70000",
            "a b",
            "[::1",
            "[::1]5",
            "u@m:1",
            "/api/v1",
        ] {
            let no_address = AddressError::NoAddress { text: text.to_owned() };
            assert_eq!(text.parse::<Address>(), Err(no_address), "{text}");
        }
        let error = "https://m:5050".parse::<Address>().expect_err("no TLS");
        assert!(error.to_string().contains("plain HTTP"), "{error}");
    }
}
