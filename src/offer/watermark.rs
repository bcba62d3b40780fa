//! The most that a node had on offer and in use lately.
//!
//! W1  It is the highest of what was there at any moment of this window and the one before: of the
//!     last five to ten minutes.
//!
//! Windows begin at the same moments for all nodes. What a node has lasts until it changes, so a
//! window in which nothing happened holds what was there all the time.
//!
//! # Source
//! As Scale's agents do: a watermark and a recent one, which takes its place every five minutes.

use crate::limits::WATERMARK_WINDOW;
use crate::model::{NodeResources, Quantity, ResourceName, Timestamp};

/// See the file.
#[derive(Clone, Debug)]
pub(super) struct Watermark {
    /// The number of the window that goes on.
    window: i64,
    before: NodeResources,
    recent: NodeResources,
}

/// The larger amount of each name.
fn highest(a: &NodeResources, b: &NodeResources) -> NodeResources {
    b.iter().fold(a.clone(), |set, (name, amount)| {
        let most = set.get(name.as_str()).max(amount);
        // Of too many names, some are left out.
        set.clone().with_name(name.clone(), most).unwrap_or(set)
    })
}

pub(super) fn window_of(when: Timestamp) -> i64 {
    let window = i64::try_from(WATERMARK_WINDOW.as_micros()).expect("minutes");
    when.0.div_euclid(window)
}

impl Watermark {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { window: window_of(now), before: NodeResources::new(), recent: NodeResources::new() }
    }

    /// It is `now`, and `current` was there until now.
    pub(super) fn advance(&mut self, now: Timestamp, current: &NodeResources) {
        let n_ended = window_of(now) - self.window;
        if n_ended > 0 {
            let recent = std::mem::replace(&mut self.recent, current.clone());
            self.before = if n_ended == 1 { recent } else { current.clone() };
            self.window += n_ended;
        }
    }

    /// From now on there is `current`.
    pub(super) fn raise(&mut self, current: &NodeResources) {
        self.recent = highest(&self.recent, current);
    }

    /// How many windows have ended since it was raised last, of which more than two are two.
    pub(super) fn age(&self, now: Timestamp) -> usize {
        match window_of(now) - self.window {
            ..=0 => 0,
            1 => 1,
            _ => 2,
        }
    }

    /// The watermark of an age, if `current`, with which it was raised last, was there until now.
    pub(super) fn at_age(&self, age: usize, current: &NodeResources) -> NodeResources {
        match age {
            0 => highest(&self.before, &self.recent),
            1 => self.recent.clone(),
            _ => current.clone(),
        }
    }

    #[cfg(test)]
    fn at(&self, now: Timestamp, current: &NodeResources) -> NodeResources {
        self.at_age(self.age(now), current)
    }
}

/// What of `set` is within `limit`. A name that the limit lacks is left out, but for cpus, mem and
/// disk, which are zero then.
pub(super) fn limited(set: &NodeResources, limit: &NodeResources) -> NodeResources {
    let always = [ResourceName::CPUS, ResourceName::MEM, ResourceName::DISK];
    set.iter().fold(NodeResources::new(), |rest, (name, amount)| {
        let amount = amount.min(limit.get(name.as_str()));
        if amount == Quantity::ZERO && !always.contains(&name.as_str()) {
            return rest;
        }
        rest.with_name(name.clone(), amount).expect("it has room for the names of a set")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> NodeResources {
        text.parse().expect("resources")
    }

    #[test]
    fn a_peak_is_forgotten_after_five_to_ten_minutes() {
        let at = |minute: i64| Timestamp::from_secs(minute * 60);
        let (low, peak) = (set("cpus:1"), set("cpus:8"));
        let mut mark = Watermark::new(at(0));
        mark.raise(&low);
        mark.advance(at(4), &low);
        mark.raise(&peak);
        mark.advance(at(4), &peak);
        mark.raise(&low);
        for (minute, expected) in [(4, &peak), (5, &peak), (9, &peak), (10, &low), (999, &low), (0, &peak)] {
            assert_eq!(&mark.at(at(minute), &low), expected, "minute {minute}");
        }
    }

    #[test]
    fn a_limit_takes_names_away_but_for_three() {
        let (have, limit) = (set("cpus:8,disk:5,gpus:1,mem:7,licences:2"), set("cpus:4,mem:9"));
        assert_eq!(limited(&have, &limit), set("cpus:4,disk:0,mem:7"));
    }

    fn amounts() -> impl Strategy<Value = [u64; 2]> {
        [0..100_u64, 0..100_u64]
    }

    fn named(amounts: [u64; 2]) -> NodeResources {
        ["cpus", "mem"]
            .iter()
            .zip(amounts)
            .fold(NodeResources::new(), |set, (name, n)| set.with(name, Quantity(n)).expect("a name"))
    }

    fn max(a: [u64; 2], b: [u64; 2]) -> [u64; 2] {
        [a[0].max(b[0]), a[1].max(b[1])]
    }

    proptest! {
        #[test]
        fn it_is_the_most_of_the_last_five_to_ten_minutes(
            changes in prop::collection::vec((prop_oneof![4 => 0..200_i64, 1 => 0..900_i64], amounts()), 1..40),
            rest in 0..1_500_i64,
            begin in -1_000..1_000_i64,
        ) {
            let (mut now, mut current) = (begin, [0, 0]);
            let mut mark = Watermark::new(Timestamp::from_secs(now));
            // From when to when, and how much.
            let mut history: Vec<(i64, i64, [u64; 2])> = Vec::new();
            for (wait, next) in changes.into_iter().chain([(rest, [0, 0])]) {
                history.push((now, now + wait, current));
                now += wait;
                let first = (now.div_euclid(300) - 1) * 300;
                let since = |first: i64| {
                    let lasted = history.iter().filter(|(_, end, _)| *end >= first);
                    lasted.map(|(.., amounts)| *amounts).fold([0, 0], max)
                };
                let told = mark.at(Timestamp::from_secs(now), &named(current));
                let told = [told.get("cpus").0, told.get("mem").0];
                prop_assert_eq!(told, since(first), "at {} of {:?}", now, history);
                prop_assert_eq!(max(told, since(now - 600)), since(now - 600));
                prop_assert_eq!(max(told, since(now - 300)), told);
                mark.advance(Timestamp::from_secs(now), &named(current));
                current = next;
                mark.raise(&named(current));
            }
        }
    }
}
