//! Resources of an offer as they came, and what a task is given of them.
//!
//! A task names what it takes as the master offered it, with reservation and allocation; only the amount is
//! its own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::{NodeResources, QUANTITY_MAX, Quantity, THOUSANDTHS};

/// One part of what is offered.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Resource {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scalar: Option<Scalar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<Ranges>,
    /// All else, as it came; the parts that tasks take have it in common.
    #[serde(flatten)]
    rest: Arc<Map<String, Value>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
struct Scalar {
    value: f64,
}

/// Numbers, such as ports, each of which is given to one task alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
struct Ranges {
    #[serde(default)]
    range: Vec<Range>,
}

/// What parts of several names may have in common: the reservation, and the role they are allocated to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kind(Arc<Map<String, Value>>);

impl Kind {
    /// Not reserved for anybody, as it is offered to a role.
    pub(super) fn plain(role: Option<&str>) -> Self {
        let mut rest = Map::new();
        if let Some(role) = role {
            rest.insert("allocation_info".to_owned(), json!({ "role": role }));
        }
        rest.insert("type".to_owned(), "SCALAR".into());
        Self(Arc::new(rest))
    }
}

/// From the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
struct Range {
    begin: u64,
    end: u64,
}

impl Range {
    fn len(self) -> u64 {
        self.end.checked_sub(self.begin).map_or(0, |more| more.saturating_add(1))
    }
}

impl Ranges {
    fn len(&self) -> u64 {
        self.range.iter().fold(0, |n, range| n.saturating_add(range.len()))
    }

    /// Its first `n` numbers, and the others.
    fn split(&self, mut n: u64) -> (Self, Self) {
        let (mut first, mut rest) = (Self::default(), Self::default());
        for range in self.range.iter().filter(|range| range.len() > 0) {
            let n_taken = range.len().min(n);
            n -= n_taken;
            if n_taken > 0 {
                first.range.push(Range { begin: range.begin, end: range.begin + (n_taken - 1) });
            }
            if n_taken < range.len() {
                rest.range.push(Range { begin: range.begin + n_taken, end: range.end });
            }
        }
        (first, rest)
    }
}

/// What makes an amount something else than that: volumes, disks of their own, what may be taken back at any
/// time, and what does not belong to an agent.
const NOT_PLAIN: [&str; 4] = ["disk", "revocable", "shared", "provider_id"];

impl Resource {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How much there is of it, rounded down to a thousandth, and how many where it is numbers; none where it is no
    /// plain amount.
    pub(crate) fn amount(&self) -> Option<Quantity> {
        if NOT_PLAIN.iter().any(|member| self.rest.contains_key(*member)) {
            return None;
        }
        match (self.scalar, &self.ranges) {
            (Some(scalar), _) => Quantity::from_f64(scalar.value, false).ok(),
            (None, Some(ranges)) => {
                let n = ranges.len().checked_mul(THOUSANDTHS);
                n.filter(|n| *n <= QUANTITY_MAX).map(Quantity)
            }
            (None, None) => None,
        }
    }

    /// So much of something, as a part of that kind.
    pub(super) fn of_kind(kind: &Kind, name: &str, amount: Quantity) -> Self {
        let scalar = Some(Scalar { value: amount.as_f64() });
        Self { name: name.to_owned(), scalar, ranges: None, rest: kind.0.clone() }
    }

    /// What it is but for its name and amount; none where it is no plain amount, or is numbers.
    pub(super) fn kind(&self) -> Option<Kind> {
        (self.scalar.is_some() && self.amount().is_some()).then(|| Kind(self.rest.clone()))
    }

    /// Takes all of it out of parts of its kind. False where they have less; then nothing is taken.
    pub(super) fn take_out_of(&self, parts: &mut [Self]) -> bool {
        let need = self.amount().unwrap_or_default();
        let is_like = |part: &Self| part.name == self.name && part.scalar.is_some() && part.rest == self.rest;
        let amounts = parts.iter().filter(|part| is_like(part)).filter_map(Self::amount);
        if amounts.fold(0_u64, |sum, amount| sum.saturating_add(amount.0)) < need.0 {
            return false;
        }
        let mut missing = need;
        for part in parts.iter_mut().filter(|part| is_like(part)) {
            let Some(has) = part.amount() else { continue };
            let amount = has.min(missing);
            (*part, missing) = (part.of(Quantity(has.0 - amount.0)), Quantity(missing.0 - amount.0));
        }
        true
    }

    /// The numbers, where it is some.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.ranges.iter().flat_map(|ranges| &ranges.range).flat_map(|range| range.begin..=range.end)
    }

    /// Parts with it `amount`, which it has, or the next whole number of numbers; and what is left.
    fn split(&self, has: Quantity, amount: Quantity) -> (Self, Self) {
        if let (None, Some(ranges)) = (self.scalar, &self.ranges) {
            let (first, rest) = ranges.split(amount.0.div_ceil(THOUSANDTHS));
            let with = |ranges| Self { ranges: Some(ranges), ..self.clone() };
            return (with(first), with(rest));
        }
        (self.of(amount), self.of(Quantity(has.0 - amount.0)))
    }

    fn of(&self, amount: Quantity) -> Self {
        Self { scalar: Some(Scalar { value: amount.as_f64() }), ..self.clone() }
    }
}

/// All of it together, by name; names beyond the limit of them are left out.
pub(crate) fn sum(parts: &[Resource]) -> NodeResources {
    parts.iter().fold(NodeResources::new(), |sum, part| {
        let Some(more) = part.amount() else { return sum };
        let all = Quantity(sum.get(part.name()).0.saturating_add(more.0));
        sum.clone().with(part.name(), all).unwrap_or(sum)
    })
}

/// Takes `need` out of `parts`, in their order; as much as there is where they have less. What is left stays.
pub(crate) fn take(parts: &mut [Resource], need: &NodeResources) -> Vec<Resource> {
    let mut taken = Vec::new();
    for (name, mut missing) in need.iter() {
        for part in parts.iter_mut().filter(|part| part.name == name.as_str()) {
            let Some(has) = part.amount() else { continue };
            let amount = has.min(missing);
            if amount > Quantity::ZERO {
                let (mine, rest) = part.split(has, amount);
                taken.push(mine);
                *part = rest;
                missing = Quantity(missing.0 - amount.0);
            }
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_takes_parts_as_they_were_offered() {
        let parts = json!([
            { "name": "cpus", "type": "SCALAR", "scalar": { "value": 0.5 },
              "reservations": [{ "role": "r", "type": "STATIC" }], "allocation_info": { "role": "r" } },
            { "name": "cpus", "type": "SCALAR", "scalar": { "value": 2.0 }, "allocation_info": { "role": "r" } },
            { "name": "mem", "type": "SCALAR", "scalar": { "value": 64.0 } },
            { "name": "disk", "type": "SCALAR", "scalar": { "value": 9.0 }, "disk": { "persistence": { "id": "p" } } },
        ]);
        let mut parts: Vec<Resource> = serde_json::from_value(parts).expect("resources");
        let amounts: Vec<Option<u64>> = parts.iter().map(|part| part.amount().map(|a| a.0)).collect();
        assert_eq!(amounts, [Some(500), Some(2_000), Some(64_000), None], "a volume is no amount");
        let need: NodeResources = "cpus:0.7,mem:32".parse().expect("resources");
        let taken = serde_json::to_value(take(&mut parts, &need)).expect("JSON");
        assert_eq!(
            taken,
            json!([
                { "name": "cpus", "type": "SCALAR", "scalar": { "value": 0.5 },
                  "reservations": [{ "role": "r", "type": "STATIC" }], "allocation_info": { "role": "r" } },
                { "name": "cpus", "type": "SCALAR", "scalar": { "value": 0.2 }, "allocation_info": { "role": "r" } },
                { "name": "mem", "type": "SCALAR", "scalar": { "value": 32.0 } },
            ])
        );
        let left: Vec<Option<u64>> = parts.iter().map(|part| part.amount().map(|a| a.0)).collect();
        assert_eq!(left, [Some(0), Some(1_800), Some(32_000), None]);
        assert_eq!(take(&mut parts, &"gpus:1".parse().expect("resources")), []);
    }

    #[test]
    fn numbers_are_given_to_one_task_alone() {
        let ports = json!([{ "name": "ports", "type": "RANGES", "ranges": { "range": [
            { "begin": 7, "end": 7 }, { "begin": 9, "end": 8 }, { "begin": 31_000, "end": 31_003 }] } }]);
        let mut parts: Vec<Resource> = serde_json::from_value(ports).expect("resources");
        assert_eq!(parts[0].amount(), Some(Quantity::whole(5)));
        let mut ports = |need: &str| -> Vec<u64> {
            let taken = take(&mut parts, &need.parse().expect("resources"));
            let told = serde_json::to_value(&taken).expect("JSON");
            assert!(
                taken.is_empty() || told[0]["type"] == "RANGES" && told[0].get("scalar").is_none(),
                "{told}"
            );
            taken.iter().flat_map(Resource::numbers).collect()
        };
        assert_eq!(ports("ports:2"), [7, 31_000]);
        assert_eq!(ports("ports:0.5"), [31_001], "there are no halves");
        assert_eq!(ports("ports:3"), [31_002, 31_003], "as many as there are");
        assert_eq!(ports("ports:1"), [0; 0]);
        let endless = json!({ "name": "ports", "ranges": { "range": [{ "begin": 0, "end": u64::MAX }] } });
        let endless: Resource = serde_json::from_value(endless).expect("a resource");
        assert_eq!(endless.amount(), None, "more than can be counted");
    }
}
