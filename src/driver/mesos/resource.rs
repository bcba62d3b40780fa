//! Resources of an offer as they came, and what a task is given of them.
//!
//! A task names what it takes as the master offered it, with reservation and allocation; only the amount is
//! its own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{NodeResources, Quantity};

/// One part of what is offered.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Resource {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scalar: Option<Scalar>,
    /// All else, as it came.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
struct Scalar {
    value: f64,
}

/// What makes an amount something else than that: volumes, disks of their own, what may be taken back at any
/// time, and what does not belong to an agent.
const NOT_PLAIN: [&str; 4] = ["disk", "revocable", "shared", "provider_id"];

impl Resource {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How much there is of it, rounded down to a thousandth; none where it is no plain amount.
    pub(crate) fn amount(&self) -> Option<Quantity> {
        let is_plain = NOT_PLAIN.iter().all(|member| !self.rest.contains_key(*member));
        let scalar = self.scalar.filter(|_| is_plain)?;
        Quantity::from_f64(scalar.value, false).ok()
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
                taken.push(part.of(amount));
                *part = part.of(Quantity(has.0 - amount.0));
                missing = Quantity(missing.0 - amount.0);
            }
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
}
