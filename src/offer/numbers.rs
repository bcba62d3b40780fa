//! How much of each resource of a node, or of all, is used for what.
//!
//! # Source
//! As in Scale's status, but for what would be less than nothing there, which is zero here.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{NodeResources, Quantity, ResourceName};

/// The use of one resource. The first four are the last one, unless more is in use than there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceNumbers {
    /// In use by what runs.
    pub running: Quantity,
    /// On offer.
    pub offered: Quantity,
    /// Was on offer or in use lately, and is neither now.
    pub free: Quantity,
    /// Was neither lately: others have it.
    pub unavailable: Quantity,
    /// What there is; where nobody told, the most that was on offer and in use lately.
    pub total: Quantity,
}

/// The use of resources, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeNumbers(BTreeMap<ResourceName, ResourceNumbers>);

/// What of `a` is more than `b`.
fn over(a: Quantity, b: Quantity) -> Quantity {
    Quantity(a.0.saturating_sub(b.0))
}

impl NodeNumbers {
    pub(super) fn of(
        running: &NodeResources,
        offered: &NodeResources,
        watermark: &NodeResources,
        total: &NodeResources,
    ) -> Self {
        let sets = [running, offered, watermark, total];
        let names: BTreeSet<&ResourceName> =
            sets.iter().flat_map(|set| set.iter().map(|(name, _)| name)).collect();
        let numbers = |name: &ResourceName| {
            let [running, offered, watermark, total] = sets.map(|set| set.get(name.as_str()));
            let free = over(over(watermark, running), offered);
            ResourceNumbers { running, offered, free, unavailable: over(total, watermark), total }
        };
        Self(names.into_iter().map(|name| (name.clone(), numbers(name))).collect())
    }

    /// Adds those of another node.
    pub(super) fn add(&mut self, other: &Self) {
        for (name, more) in &other.0 {
            let sums = self.0.entry(name.clone()).or_default();
            for (sum, more) in [
                (&mut sums.running, more.running),
                (&mut sums.offered, more.offered),
                (&mut sums.free, more.free),
                (&mut sums.unavailable, more.unavailable),
                (&mut sums.total, more.total),
            ] {
                sum.0 = sum.0.saturating_add(more.0);
            }
        }
    }

    /// Those of one resource; zeros where there is none.
    pub fn get(&self, name: &str) -> ResourceNumbers {
        self.0.iter().find(|(n, _)| n.as_str() == name).map_or_else(ResourceNumbers::default, |(_, n)| *n)
    }

    /// Names and numbers, in order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ResourceName, &ResourceNumbers)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_split_into_four() {
        let set = |text: &str| text.parse::<NodeResources>().expect("resources");
        let mut numbers = NodeNumbers::of(
            &set("cpus:2"),
            &set("cpus:1.5"),
            &set("cpus:4,mem:3"),
            &set("cpus:8,mem:3,disk:1"),
        );
        let check = |numbers: &NodeNumbers, name: &str, expected: [u64; 5]| {
            let n = numbers.get(name);
            let told = [n.running, n.offered, n.free, n.unavailable, n.total].map(|amount| amount.0);
            assert_eq!(told, expected, "{name}");
        };
        check(&numbers, "cpus", [2_000, 1_500, 500, 4_000, 8_000]);
        check(&numbers, "mem", [0, 0, 3_000, 0, 3_000]);
        check(&numbers, "disk", [0, 0, 0, 1_000, 1_000]);
        check(&numbers, "gpus", [0; 5]);
        let over = NodeNumbers::of(&set("cpus:9"), &set(""), &set("cpus:4"), &set("cpus:4"));
        check(&over, "cpus", [9_000, 0, 0, 0, 4_000]);
        numbers.add(&over);
        check(&numbers, "cpus", [11_000, 1_500, 500, 4_000, 12_000]);
        assert_eq!(numbers.iter().len(), 3);
    }
}
