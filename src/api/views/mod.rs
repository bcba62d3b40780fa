//! The types that become JSON. They are made from the core's and never are the core's, so that
//! both sides can change freely.

pub(super) mod journal;
pub(super) mod node_why;
pub(super) mod own;
pub(super) mod scale;

use serde::{Serialize, Serializer};

use super::time;
use crate::model::{NodeResources, Timestamp};

/// Amounts by name, as numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Amounts(Vec<(String, f64)>);

impl From<&NodeResources> for Amounts {
    fn from(resources: &NodeResources) -> Self {
        Self(resources.iter().map(|(name, amount)| (name.to_string(), amount.as_f64())).collect())
    }
}

impl Amounts {
    /// With those of `names` that are missing, as zero.
    fn with_all(mut self, names: &[&str]) -> Self {
        for name in names {
            if !self.0.iter().any(|(known, _)| known == name) {
                self.0.push(((*name).to_owned(), 0.0));
            }
        }
        self
    }
}

impl Serialize for Amounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, amount)| (name, amount)))
    }
}

/// An instant, as ISO 8601 text in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time(pub(super) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time::text(self.0))
    }
}

/// Texts by name, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Texts(pub(super) Vec<(String, String)>);

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, text)| (name, text)))
    }
}
