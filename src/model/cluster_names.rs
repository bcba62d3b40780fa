//! Names that the master of a cluster gives: texts of its own making, only ever compared.

use std::fmt;
use std::sync::Arc;

/// Longest such name, in bytes.
pub const CLUSTER_NAME_LEN_MAX: usize = 255;

/// Why a text is no name of an offer or an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name of the cluster has 1 to {CLUSTER_NAME_LEN_MAX} bytes, not {len}")]
pub struct ClusterNameError {
    /// The length of the text.
    pub len: usize,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the length of `text`.
            pub fn new(text: &str) -> Result<Self, ClusterNameError> {
                match text.len() {
                    1..=CLUSTER_NAME_LEN_MAX => Ok(Self(text.into())),
                    len => Err(ClusterNameError { len }),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name!(
    /// One offer of an agent's resources. The master never gives it again.
    OfferId
);
name!(
    /// What speaks for a node. A node gets another one when its agent is set up anew.
    AgentId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_neither_empty_nor_endless() {
        let check = |len: usize, is_name: bool| {
            let expected = if is_name { Ok(len) } else { Err(ClusterNameError { len }) };
            assert_eq!(AgentId::new(&"é".repeat(len / 2)).map(|id| id.as_str().len()), expected);
            assert_eq!(OfferId::new(&"x".repeat(len)).map(|id| id.as_str().len()), expected);
        };
        check(0, false);
        check(2, true);
        check(254, true);
        check(256, false);
    }
}
