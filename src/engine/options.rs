//! How an engine is set up.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::decision::Policy;
use crate::limits::{INTAKE_LEN_MAX, LOAD_ROWS_DEFAULT, RECENT_BYTES, RECENT_BYTES_MAX};
use crate::load::LoadRetention;
use crate::offer::Roles;
use crate::store::{Recovery, Retention};

/// How an engine is set up.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// The second part of cluster ids; without `_`.
    pub framework: String,
    /// How often load is taken down, aligned to midnight UTC; none: never.
    pub load_period: Option<Duration>,
    /// How many load rows are kept; the oldest measurements go.
    pub load_rows: u32,
    /// Which load rows go for their age; none, where nothing else is said.
    pub load_retention: LoadRetention,
    /// Commands that may wait for the core.
    pub intake_len: usize,
    /// About how many bytes of memory what is newer than the state file may take before a checkpoint is
    /// made. With less, checkpoints are more frequent and a killed engine is back sooner.
    pub checkpoint_bytes: usize,
    /// Which jobs that are over are kept; all of them, where nothing else is said. The others are dropped
    /// with later checkpoints, a bounded number with each.
    pub retention: Retention,
    /// How passes choose.
    pub policy: Policy,
    /// The roles whose resources are taken of a cluster's offers.
    pub roles: Roles,
    /// Whether a node of a cluster takes nothing before news say that it is cleaned and has the image.
    pub nodes_need_setup: bool,
    /// Whether the graphics processors of a cluster's nodes are slots.
    pub gpu_slots: bool,
    /// Who is told how far the opening of the store is, if anybody; let go once it is open.
    pub on_recovery: Option<Arc<dyn Fn(Recovery) + Send + Sync>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            framework: "local".to_owned(),
            load_period: Some(Duration::from_hours(1)),
            load_rows: LOAD_ROWS_DEFAULT,
            load_retention: LoadRetention::ALL,
            intake_len: INTAKE_LEN_MAX,
            checkpoint_bytes: RECENT_BYTES,
            retention: Retention::ALL,
            policy: Policy::default(),
            roles: Roles::default(),
            nodes_need_setup: false,
            gpu_slots: false,
            on_recovery: None,
        }
    }
}

impl Options {
    /// Sets the clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how passes choose.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the roles whose resources are taken of a cluster's offers; what everybody may use, where nothing
    /// else is said.
    #[must_use]
    pub fn roles(mut self, roles: Roles) -> Self {
        self.roles = roles;
        self
    }

    /// Sets whether a node of a cluster takes nothing before [`Engine::hear`](crate::Engine::hear) was told that it is cleaned and
    /// has the image; it does at once, where nothing else is said.
    #[must_use]
    pub fn nodes_need_setup(mut self, need_setup: bool) -> Self {
        self.nodes_need_setup = need_setup;
        self
    }

    /// Sets whether the graphics processors of a cluster's nodes are slots, as many as a node has whole ones, as
    /// with [`Offer::gpu_slots`](crate::Offer::gpu_slots); they are an amount, where nothing else is said.
    #[must_use]
    pub fn gpu_slots(mut self, are_slots: bool) -> Self {
        self.gpu_slots = are_slots;
        self
    }

    /// Sets the framework's name in cluster ids; `_` becomes `-`.
    #[must_use]
    pub fn framework(mut self, name: &str) -> Self {
        self.framework = name.replace('_', "-");
        self
    }

    /// Sets how often load is taken down; `None` turns it off.
    #[must_use]
    pub fn load_period(mut self, period: Option<Duration>) -> Self {
        self.load_period = period.filter(|period| !period.is_zero());
        self
    }

    /// Sets how many load rows are kept; at least one.
    #[must_use]
    pub fn load_rows(mut self, rows: u32) -> Self {
        self.load_rows = rows.max(1);
        self
    }

    /// Sets which load rows go for their age, a bounded number with each measurement.
    #[must_use]
    pub fn load_retention(mut self, retention: LoadRetention) -> Self {
        self.load_retention = retention;
        self
    }

    /// Sets how many commands may wait for the core.
    #[must_use]
    pub fn intake_len(mut self, len: usize) -> Self {
        self.intake_len = len;
        self
    }

    /// Sets which jobs that are over are kept.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Sets who is told how far the opening of the store is: a store with many jobs that are not over, or
    /// much in the log after the last checkpoint, takes seconds.
    ///
    /// Called on the thread that opens, at most a hundred times for each [`RecoveryPhase`]: phases in their
    /// order, each from 0 to all of it with numbers that rise. An opening that fails ends in between. What
    /// comes before (files that were not closed are repaired) and between is not told. Keep it short, for
    /// the opening waits for it; if it panics the store does not open.
    ///
    /// [`RecoveryPhase`]: crate::RecoveryPhase
    #[must_use]
    pub fn on_recovery(mut self, tell: impl Fn(Recovery) + Send + Sync + 'static) -> Self {
        self.on_recovery = Some(Arc::new(tell));
        self
    }

    /// Sets how much gathers in memory before a checkpoint is made; at most a few times the default.
    #[must_use]
    pub fn checkpoint_bytes(mut self, bytes: usize) -> Self {
        self.checkpoint_bytes = bytes.clamp(1, RECENT_BYTES_MAX / 2);
        self
    }
}
