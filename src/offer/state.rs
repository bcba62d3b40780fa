//! How a node stands, from a few facts, and what may go there.
//!
//! # Source
//! States, their order and what they allow as in Scale. There a node that has had no offer for five
//! minutes is dropped wherever no job runs; here it must be out of use or gone as well, since one
//! that others use fully offers nothing either.

use crate::limits::NODE_SILENCE_MAX;
use crate::model::Timestamp;

/// What is known of a node.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact for itself, and any two can be true")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// It is in use at all; otherwise it is deprecated.
    pub is_active: bool,
    /// Its agent is there.
    pub is_online: bool,
    /// It takes nothing new.
    pub is_paused: bool,
    /// Something is wrong with it.
    pub has_error: bool,
    /// What ran there before is cleaned up.
    pub is_cleaned: bool,
    /// The image that steps of executions need is there.
    pub has_image: bool,
    /// It must be cleaned and have the image before it takes anything, and again whenever it was
    /// gone or out of use.
    pub needs_setup: bool,
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeNews {
    /// It is in use, or is no more.
    Active(bool),
    /// Its agent is there, or is no more.
    Online(bool),
    /// It takes nothing new, or does again.
    Paused(bool),
    /// Something is wrong with it, or is no more.
    Error(bool),
    /// What ran there before is cleaned up.
    Cleaned,
    /// It has the image.
    ImagePulled,
}

/// How a node stands; of several that apply, the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeState {
    /// It is out of use.
    Deprecated,
    /// Its agent is gone.
    Offline,
    /// It takes nothing new.
    Paused,
    /// Nothing new is started anywhere.
    SchedulerStopped,
    /// Something is wrong with it.
    Degraded,
    /// What ran there before is yet to be cleaned up.
    InitialCleanup,
    /// It has not the image yet.
    ImagePull,
    /// It takes executions.
    Ready,
}

impl NodeState {
    /// Its name, as Scale has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deprecated => "DEPRECATED",
            Self::Offline => "OFFLINE",
            Self::Paused => "PAUSED",
            Self::SchedulerStopped => "SCHEDULER_STOPPED",
            Self::Degraded => "DEGRADED",
            Self::InitialCleanup => "INITIAL_CLEANUP",
            Self::ImagePull => "IMAGE_PULL",
            Self::Ready => "READY",
        }
    }

    /// Whether new executions may start there.
    pub fn takes_new_jobs(self) -> bool {
        self == Self::Ready
    }

    /// Whether tasks of the system may start there.
    pub fn takes_system_tasks(self) -> bool {
        self == Self::Ready
    }
}

impl NodeFacts {
    /// A node that is in use and is there.
    pub fn new(needs_setup: bool) -> Self {
        Self {
            is_active: true,
            is_online: true,
            is_paused: false,
            has_error: false,
            is_cleaned: !needs_setup,
            has_image: !needs_setup,
            needs_setup,
        }
    }

    fn as_found(self) -> Self {
        Self { is_cleaned: !self.needs_setup, has_image: !self.needs_setup, ..self }
    }

    /// The facts after something happened.
    #[must_use]
    pub fn after(self, news: NodeNews) -> Self {
        match news {
            NodeNews::Active(is_active) if is_active => Self { is_active, ..self },
            NodeNews::Active(is_active) => Self { is_active, ..self.as_found() },
            NodeNews::Online(is_online) if is_online => Self { is_online, ..self },
            NodeNews::Online(is_online) => Self { is_online, ..self.as_found() },
            NodeNews::Paused(is_paused) => Self { is_paused, ..self },
            NodeNews::Error(has_error) => Self { has_error, ..self },
            NodeNews::Cleaned => Self { is_cleaned: true, ..self },
            NodeNews::ImagePulled => Self { has_image: true, ..self },
        }
    }

    /// How the node stands, while nothing new is started anywhere or not.
    pub fn state(self, is_stopped: bool) -> NodeState {
        let states = [
            (!self.is_active, NodeState::Deprecated),
            (!self.is_online, NodeState::Offline),
            (self.is_paused, NodeState::Paused),
            (is_stopped, NodeState::SchedulerStopped),
            (self.has_error, NodeState::Degraded),
            (!self.is_cleaned, NodeState::InitialCleanup),
            (!self.has_image, NodeState::ImagePull),
        ];
        states.iter().find(|(applies, _)| *applies).map_or(NodeState::Ready, |(_, state)| *state)
    }

    /// Whether executions that run there may begin their next step.
    pub fn takes_next_steps(self) -> bool {
        self.is_active && self.is_online && self.has_image
    }

    /// Whether the node can be forgotten: nothing runs there, it is out of use or its agent is gone,
    /// and it has offered nothing for `NODE_SILENCE_MAX`.
    pub fn can_be_dropped(self, last_offer: Timestamp, now: Timestamp, runs_something: bool) -> bool {
        let is_of_use = self.is_active && self.is_online;
        !runs_something && !is_of_use && now.since(last_offer) >= NODE_SILENCE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(bits: u32) -> (NodeFacts, bool) {
        let bit = |at: u32| bits >> at & 1 == 1;
        let facts = NodeFacts {
            is_active: bit(0),
            is_online: bit(1),
            is_paused: bit(2),
            has_error: bit(3),
            is_cleaned: bit(4),
            has_image: bit(5),
            needs_setup: true,
        };
        (facts, bit(6))
    }

    #[test]
    fn the_first_state_that_applies_counts() {
        let check = |facts: NodeFacts, is_stopped: bool, expected: &str| {
            assert_eq!(facts.state(is_stopped).as_str(), expected, "{facts:?}, {is_stopped}");
        };
        for bits in 0..1 << 7 {
            let (facts, is_stopped) = facts(bits);
            let expected = match facts {
                NodeFacts { is_active: false, .. } => "DEPRECATED",
                NodeFacts { is_online: false, .. } => "OFFLINE",
                NodeFacts { is_paused: true, .. } => "PAUSED",
                _ if is_stopped => "SCHEDULER_STOPPED",
                NodeFacts { has_error: true, .. } => "DEGRADED",
                NodeFacts { is_cleaned: false, .. } => "INITIAL_CLEANUP",
                NodeFacts { has_image: false, .. } => "IMAGE_PULL",
                _ => "READY",
            };
            check(facts, is_stopped, expected);
            let state = facts.state(is_stopped);
            assert_eq!(
                (state.takes_new_jobs(), state.takes_system_tasks()),
                (expected == "READY", expected == "READY")
            );
            let is_there = !["DEPRECATED", "OFFLINE"].contains(&expected);
            assert_eq!(facts.takes_next_steps(), is_there && facts.has_image);
        }
    }

    #[test]
    fn a_node_that_was_gone_is_cleaned_and_pulls_the_image_again() {
        for (gone, back) in [
            (NodeNews::Online(false), NodeNews::Online(true)),
            (NodeNews::Active(false), NodeNews::Active(true)),
        ] {
            let new = NodeFacts::new(true);
            assert_eq!(new.state(false), NodeState::InitialCleanup);
            let ready = new.after(NodeNews::Cleaned).after(NodeNews::ImagePulled);
            assert_eq!(ready.state(false), NodeState::Ready);
            assert_eq!(ready.after(back), ready, "it was not gone");
            assert_eq!(ready.after(gone).after(back), new);
            let plain = NodeFacts::new(false);
            assert_eq!((plain.state(false), plain.after(gone).after(back)), (NodeState::Ready, plain));
        }
    }

    #[test]
    fn other_news_change_what_they_say() {
        let ready = NodeFacts::new(false);
        for (news, no_more, state) in [
            (NodeNews::Paused(true), NodeNews::Paused(false), NodeState::Paused),
            (NodeNews::Error(true), NodeNews::Error(false), NodeState::Degraded),
        ] {
            assert_eq!(ready.after(news).state(false), state);
            assert!(ready.after(news).takes_next_steps());
            assert_eq!(ready.after(news).after(no_more), ready);
        }
    }

    #[test]
    fn a_silent_node_is_forgotten_where_nothing_runs_and_it_is_of_no_use() {
        let last = Timestamp::from_secs(7);
        let (early, late) = (Timestamp((last + NODE_SILENCE_MAX).0 - 1), last + NODE_SILENCE_MAX);
        for bits in 0..1 << 6 {
            let (facts, _) = facts(bits);
            for (now, runs_something) in [(early, false), (early, true), (late, false), (late, true)] {
                let expected = now == late && !runs_something && !(facts.is_active && facts.is_online);
                assert_eq!(facts.can_be_dropped(last, now, runs_something), expected, "{facts:?}");
            }
        }
    }
}
