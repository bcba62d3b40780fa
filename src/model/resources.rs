//! Amounts of named resources: what a job execution asks for, what a node has.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bincode::{Decode, Encode};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::quantity::{ParseQuantityError, Quantity};

/// Longest name of a resource, in bytes.
pub const RESOURCE_NAME_LEN_MAX: usize = 64;

/// Most resources in one set; with it a set fits a fixed row of the queue.
pub const RESOURCES_MAX: usize = 16;

/// The name of a scalar resource: lower-case letters, digits, `_`, `-`, `.` and `/`.
///
/// Upper case is read as lower case, as Scale does (`sharedMem` is `sharedmem`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName(Arc<str>);

/// Why a text is no resource name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no resource name: 1 to {RESOURCE_NAME_LEN_MAX} letters, digits, '_', '-', '.' or '/'")]
pub struct ResourceNameError {
    /// The refused text.
    pub name: String,
}

impl ResourceName {
    /// Processor cores.
    pub const CPUS: &'static str = "cpus";
    /// Memory, in MiB.
    pub const MEM: &'static str = "mem";
    /// Disk, in MiB.
    pub const DISK: &'static str = "disk";
    /// Graphics processors.
    pub const GPUS: &'static str = "gpus";

    /// The four that every node and every request has, be it with an amount of zero.
    pub const STANDARD: [&'static str; 4] = [Self::CPUS, Self::MEM, Self::DISK, Self::GPUS];

    /// Checks and lower-cases `name`.
    pub fn new(name: &str) -> Result<Self, ResourceNameError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
        if name.is_empty() || name.len() > RESOURCE_NAME_LEN_MAX || !name.bytes().all(plain) {
            return Err(ResourceNameError { name: name.chars().take(RESOURCE_NAME_LEN_MAX).collect() });
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Amounts by resource name, in order of the names. A name that is absent counts as zero.
///
/// ```
/// use weighbridge::NodeResources;
/// let node: NodeResources = "cpus:2,mem:1024".parse()?;
/// let job = NodeResources::new().cpus("1.1")?.mem_mib(512);
/// let rest = node.minus(&job).expect("it fits");
/// assert_eq!(rest.to_string(), "cpus:0.9,mem:512");
/// assert!(rest.minus(&job).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeResources(Vec<(ResourceName, Quantity)>);

/// Why a text or a list is no set of resources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourcesError {
    /// A name of it is none.
    #[error(transparent)]
    Name(#[from] ResourceNameError),
    /// An amount of it is none.
    #[error("amount of {name}: {source}")]
    Amount {
        /// Of which resource.
        name: String,
        /// What is wrong with it.
        source: ParseQuantityError,
    },
    /// A part without a colon.
    #[error("{part:?} is no NAME:AMOUNT, such as mem:512")]
    NoColon {
        /// That part.
        part: String,
    },
    /// The same name twice.
    #[error("{name} is given twice")]
    Twice {
        /// That name.
        name: ResourceName,
    },
    /// More than [`RESOURCES_MAX`] names.
    #[error("more than {RESOURCES_MAX} resources")]
    TooMany,
}

impl NodeResources {
    /// Nothing at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// The amount of `name`; zero when it is not there.
    pub fn get(&self, name: &str) -> Quantity {
        self.0.iter().find(|(n, _)| n.as_str() == name).map_or(Quantity::ZERO, |(_, amount)| *amount)
    }

    /// The same set with the amount of `name` set.
    ///
    /// # Errors
    /// For a bad name and at [`RESOURCES_MAX`] names.
    pub fn with(self, name: &str, amount: Quantity) -> Result<Self, ResourcesError> {
        self.with_name(ResourceName::new(name)?, amount)
    }

    /// The same for a name that was checked.
    pub(crate) fn with_name(mut self, name: ResourceName, amount: Quantity) -> Result<Self, ResourcesError> {
        match self.0.binary_search_by(|(n, _)| n.cmp(&name)) {
            Ok(at) => self.0[at].1 = amount,
            Err(_) if self.0.len() == RESOURCES_MAX => return Err(ResourcesError::TooMany),
            Err(at) => self.0.insert(at, (name, amount)),
        }
        Ok(self)
    }

    /// Cores, as decimal text.
    pub fn cpus(self, cores: &str) -> Result<Self, ResourcesError> {
        let amount =
            cores.parse().map_err(|source| ResourcesError::Amount { name: "cpus".into(), source })?;
        self.with(ResourceName::CPUS, amount)
    }

    /// Memory, in whole MiB.
    ///
    /// # Panics
    /// When the set already holds [`RESOURCES_MAX`] other names, and as [`Quantity::whole`].
    #[must_use]
    pub fn mem_mib(self, mib: u64) -> Self {
        self.with(ResourceName::MEM, Quantity::whole(mib)).expect("a standard name, and room for it")
    }

    /// Disk, in whole MiB.
    ///
    /// # Panics
    /// When the set already holds [`RESOURCES_MAX`] other names, and as [`Quantity::whole`].
    #[must_use]
    pub fn disk_mib(self, mib: u64) -> Self {
        self.with(ResourceName::DISK, Quantity::whole(mib)).expect("a standard name, and room for it")
    }

    /// Whole graphics processors.
    ///
    /// # Panics
    /// When the set already holds [`RESOURCES_MAX`] other names, and as [`Quantity::whole`].
    #[must_use]
    pub fn gpus(self, n: u64) -> Self {
        self.with(ResourceName::GPUS, Quantity::whole(n)).expect("a standard name, and room for it")
    }

    /// Names and amounts, in order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ResourceName, Quantity)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// True without any amount above zero.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|(_, amount)| *amount == Quantity::ZERO)
    }

    /// What is left once `asked` is cut out; `None` where any of it does not fit. A name that is
    /// missing here is zero here, and then an asked zero is met.
    pub fn minus(&self, asked: &Self) -> Option<Self> {
        let mut rest = self.clone();
        for (name, amount) in &asked.0 {
            match rest.0.binary_search_by(|(n, _)| n.cmp(name)) {
                Ok(at) => rest.0[at].1 = rest.0[at].1.minus(*amount)?,
                Err(_) if *amount == Quantity::ZERO => {}
                Err(_) => return None,
            }
        }
        Some(rest)
    }

    /// The sum, saturating; names beyond [`RESOURCES_MAX`] are dropped.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        other.0.iter().fold(self.clone(), |mut sum, (name, amount)| {
            match sum.0.binary_search_by(|(n, _)| n.cmp(name)) {
                Ok(at) => sum.0[at].1 = Quantity(sum.0[at].1.0.saturating_add(amount.0)),
                Err(at) if sum.0.len() < RESOURCES_MAX => sum.0.insert(at, (name.clone(), *amount)),
                Err(_) => {}
            }
            sum
        })
    }

    /// These amounts, with those of `other` in their place where it names them.
    ///
    /// # Errors
    /// [`ResourcesError::TooMany`].
    pub fn overridden_by(&self, other: &Self) -> Result<Self, ResourcesError> {
        other.0.iter().try_fold(self.clone(), |set, (name, amount)| set.with(name.as_str(), *amount))
    }

    /// What of `asked` is missing here, by name; empty where it fits.
    #[must_use]
    pub fn shortage(&self, asked: &Self) -> Self {
        let short = |(name, amount): &(ResourceName, Quantity)| {
            let missing = amount.0.saturating_sub(self.get(name.as_str()).0);
            (missing > 0).then(|| (name.clone(), Quantity(missing)))
        };
        Self(asked.0.iter().filter_map(short).collect())
    }
}

impl FromStr for NodeResources {
    type Err = ResourcesError;

    /// Reads `cpus:2,mem:1024`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut set = Self::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, amount) =
                part.split_once(':').ok_or_else(|| ResourcesError::NoColon { part: part.to_owned() })?;
            let name = ResourceName::new(name.trim())?;
            if set.0.iter().any(|(n, _)| *n == name) {
                return Err(ResourcesError::Twice { name });
            }
            let amount = amount
                .trim()
                .parse()
                .map_err(|source| ResourcesError::Amount { name: name.to_string(), source })?;
            set = set.with(name.as_str(), amount)?;
        }
        Ok(set)
    }
}

impl fmt::Display for NodeResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, amount)) in self.0.iter().enumerate() {
            write!(f, "{}{name}:{amount}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Serialize for ResourceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for NodeResources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, amount) in &self.0 {
            map.serialize_entry(name.as_str(), amount)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for NodeResources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = NodeResources;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of resource names and amounts, such as {\"cpus\": 1, \"mem\": 512}")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<NodeResources, M::Error> {
                let mut set = NodeResources::new();
                while let Some((name, amount)) = map.next_entry::<String, Quantity>()? {
                    let known = ResourceName::new(&name).map_err(M::Error::custom)?;
                    if set.0.iter().any(|(n, _)| *n == known) {
                        return Err(M::Error::custom(ResourcesError::Twice { name: known }));
                    }
                    set = set.with(&name, amount).map_err(M::Error::custom)?;
                }
                Ok(set)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl Encode for NodeResources {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        let n = u8::try_from(self.0.len()).expect("at most RESOURCES_MAX");
        n.encode(encoder)?;
        self.0.iter().try_for_each(|(name, amount)| {
            name.as_str().encode(encoder)?;
            amount.encode(encoder)
        })
    }
}

impl<C> Decode<C> for NodeResources {
    fn decode<D: bincode::de::Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        let n = u8::decode(decoder)?;
        let mut set = Self::new();
        for _ in 0..n {
            let name = String::decode(decoder)?;
            let amount = Quantity::decode(decoder)?;
            set = set
                .with(&name, amount)
                .map_err(|error| bincode::error::DecodeError::OtherString(error.to_string()))?;
        }
        Ok(set)
    }
}

bincode::impl_borrow_decode!(NodeResources);

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> NodeResources {
        text.parse().expect("a set")
    }

    #[test]
    fn a_text_reads_back_in_name_order() {
        assert_eq!(set("mem:1024,cpus:2").to_string(), "cpus:2,mem:1024");
        assert_eq!(set("").to_string(), "");
        assert_eq!(set("sharedMem:1").to_string(), "sharedmem:1");
    }

    #[test]
    fn bad_texts_say_what_is_wrong() {
        let check = |text: &str, part: &str| {
            let error = text.parse::<NodeResources>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("cpus", "NAME:AMOUNT");
        check("cpus:x", "amount of cpus");
        check("cpus:1,CPUS:2", "twice");
        check("a b:1", "no resource name");
        let many: Vec<String> = (0..=RESOURCES_MAX).map(|n| format!("r{n}:1")).collect();
        check(&many.join(","), "more than 16");
    }

    #[test]
    fn absent_names_count_as_zero() {
        assert_eq!(set("cpus:1").minus(&set("cpus:1,gpus:0")), Some(set("cpus:0")));
        assert_eq!(set("cpus:1").minus(&set("gpus:0.001")), None);
        assert_eq!(set("cpus:1,mem:5").shortage(&set("cpus:3,gpus:1,mem:5")), set("cpus:2,gpus:1"));
    }

    #[test]
    fn json_and_bytes_carry_the_same_set() {
        let one = set("cpus:1.1,mem:512,licences:3");
        let json = serde_json::to_string(&one).expect("json");
        assert_eq!(json, r#"{"cpus":1.1,"licences":3.0,"mem":512.0}"#);
        assert_eq!(serde_json::from_str::<NodeResources>(&json).expect("json"), one);
        let bytes = bincode::encode_to_vec(&one, bincode::config::legacy()).expect("bytes");
        let (back, n): (NodeResources, usize) =
            bincode::decode_from_slice(&bytes, bincode::config::legacy().with_limit::<1024>())
                .expect("bytes");
        assert_eq!((back, n), (one, bytes.len()));
    }
}
