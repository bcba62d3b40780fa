//! The sum of sets of resources that come and go.
//!
//! S1  It is exact: what was put in and taken out again leaves no trace, whatever came between, in
//!     whatever order.

use std::collections::BTreeMap;

use crate::model::{NodeResources, Quantity, RESOURCES_MAX, ResourceName};

/// By resource: how many sets name it, and how much they have of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums(BTreeMap<ResourceName, (usize, u128)>);

impl Sums {
    pub(super) fn put(&mut self, name: &ResourceName, amount: Quantity) {
        let (n, sum) = self.0.entry(name.clone()).or_default();
        (*n, *sum) = (*n + 1, *sum + u128::from(amount.0));
    }

    pub(super) fn add(&mut self, set: &NodeResources) {
        set.iter().for_each(|(name, amount)| self.put(name, amount));
    }

    /// Takes out what was put in as one set.
    pub(super) fn take(&mut self, set: &NodeResources) {
        for (name, amount) in set.iter() {
            let (n, sum) = self.0.get_mut(name).expect("S1: it was put in");
            (*n, *sum) = (*n - 1, *sum - u128::from(amount.0));
            if *n == 0 {
                self.0.remove(name);
            }
        }
    }

    /// The sums as a set. Where there are more than [`RESOURCES_MAX`] names, the standard ones and
    /// the first others.
    pub(super) fn resources(&self) -> NodeResources {
        let is_standard = |name: &ResourceName| ResourceName::STANDARD.contains(&name.as_str());
        let standard = self.0.iter().filter(|(name, _)| is_standard(name));
        let others = self.0.iter().filter(|(name, _)| !is_standard(name));
        standard.chain(others).take(RESOURCES_MAX).fold(NodeResources::new(), |set, (name, (_, sum))| {
            let amount = Quantity(u64::try_from(*sum).unwrap_or(u64::MAX));
            set.with_name(name.clone(), amount).expect("a name, and room for it")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> NodeResources {
        text.parse().expect("resources")
    }

    #[test]
    fn what_is_taken_out_leaves_no_trace() {
        let full = NodeResources::new().with("mem", Quantity(u64::MAX)).expect("a name");
        let (low, lower) = (set("cpus:0.1,disk:0"), set("cpus:0.2"));
        let mut sums = Sums::default();
        for set in [&low, &full, &lower, &full] {
            sums.add(set);
        }
        let capped = full.plus(&set("cpus:0.3,disk:0"));
        assert_eq!(sums.resources(), capped, "what is above the most is the most");
        sums.take(&full);
        sums.take(&low);
        assert_eq!(sums.resources(), full.plus(&lower));
        sums.take(&full);
        sums.take(&lower);
        assert_eq!(sums.resources(), NodeResources::new());
    }

    #[test]
    fn standard_names_find_room_among_many() {
        let mut sums = Sums::default();
        for n in 0..RESOURCES_MAX {
            sums.add(&set(&format!("a{n:02}:1")));
        }
        sums.add(&set("cpus:1,mem:2"));
        let all = sums.resources();
        assert_eq!((all.iter().len(), all.get("cpus").0, all.get("mem").0), (RESOURCES_MAX, 1_000, 2_000));
    }
}
