//! What the framework counts, and how it stands, as readers see it.

use std::collections::HashMap;
use std::time::Instant;

use super::handle::MesosStatus;
use crate::engine::{DriverReport, Figure, FigureValue, Lengths};
use crate::model::OfferId;

/// How an offer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfferEnd {
    /// Tasks were launched on it.
    Used,
    /// It was given back.
    Declined,
    /// The master took it, or is gone.
    Taken,
}

/// See the file.
#[derive(Default)]
pub(super) struct Figures {
    /// When the offers came that have not ended.
    came: HashMap<OfferId, Instant>,
    n_offers: u64,
    n_used: u64,
    n_declined: u64,
    n_taken: u64,
    /// From the arrival of an offer to its end.
    held: Lengths,
    /// From the arrival of the last of the offers that a call uses to that call.
    used: Lengths,
    pub(super) n_calls: u64,
    pub(super) n_updates: u64,
    pub(super) n_launched: u64,
    pub(super) n_refused: u64,
    pub(super) n_lost: u64,
    pub(super) n_kills: u64,
    pub(super) n_questions: u64,
    pub(super) n_left: u64,
    pub(super) n_unread: u64,
    /// Ends that are kept back at this moment.
    pub(super) n_kept: usize,
    /// Agents on which nothing is launched for now.
    pub(super) n_refusing: usize,
}

impl Figures {
    pub(super) fn came(&mut self, offer: OfferId, now: Instant) {
        self.n_offers += 1;
        self.came.insert(offer, now);
    }

    pub(super) fn ended(&mut self, offer: &OfferId, how: OfferEnd, now: Instant) {
        let Some(came) = self.came.remove(offer) else { return };
        let length = now.saturating_duration_since(came);
        self.held.count(length);
        match how {
            OfferEnd::Used => self.n_used += 1,
            OfferEnd::Declined => self.n_declined += 1,
            OfferEnd::Taken => self.n_taken += 1,
        }
    }

    /// Tasks are launched on these offers.
    pub(super) fn used<'o>(&mut self, offers: impl Iterator<Item = &'o OfferId>, now: Instant) {
        let mut last = None;
        for offer in offers {
            last = last.max(self.came.get(offer).copied());
            self.ended(offer, OfferEnd::Used, now);
        }
        if let Some(last) = last {
            self.used.count(now.saturating_duration_since(last));
        }
    }

    /// All that are left went with the subscription.
    pub(super) fn all_taken(&mut self, now: Instant) {
        let left: Vec<OfferId> = self.came.keys().cloned().collect();
        for offer in left {
            self.ended(&offer, OfferEnd::Taken, now);
        }
    }

    pub(super) fn report(&self, status: &MesosStatus, is_suppressed: bool, n_tasks: usize) -> DriverReport {
        let mut report = DriverReport::new("mesos");
        let framework = status.framework_id.as_deref().unwrap_or("none yet");
        report.is_ready = status.master.is_some();
        report.text = match &status.master {
            Some(master) => format!("subscribed at {master} as framework {framework}"),
            None => format!("not subscribed at a master; framework {framework}"),
        };
        let facts = [("master", &status.master), ("framework_id", &status.framework_id)];
        report.facts = facts.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        let count = |name, help, n| Figure::new(name, help, FigureValue::Count(n));
        let level = |name, help, n: usize| Figure::new(name, help, FigureValue::Level(n as u64));
        let lengths = |name, help, of: &Lengths| Figure::new(name, help, FigureValue::Lengths(of.clone()));
        report.figures = vec![
            count("subscriptions", "Times that a master took the framework", status.n_subscriptions),
            level("suppressed", "1 while no offers are wanted", usize::from(is_suppressed)),
            count("offers", "Offers that came", self.n_offers),
            count("offers_used", "Offers on which tasks were launched", self.n_used),
            count("offers_declined", "Offers that were given back", self.n_declined),
            count("offers_taken", "Offers that the master took back, or that went with it", self.n_taken),
            level("offers_held", "Offers that are held", self.came.len()),
            lengths("offer_held", "From the arrival of an offer to its end", &self.held),
            lengths(
                "offer_to_accept",
                "From the arrival of the last offer that a call uses to that call",
                &self.used,
            ),
            count("calls", "Calls that were made", self.n_calls),
            count("updates", "Statuses of tasks that came", self.n_updates),
            count("tasks_launched", "Tasks that were launched", self.n_launched),
            count("tasks_refused", "Launches that went back to their places", self.n_refused),
            count("tasks_lost", "Tasks that were given up", self.n_lost),
            count("kills", "Calls to end a task", self.n_kills),
            count("questions", "Tasks that were asked for", self.n_questions),
            count("outputs_read", "Tasks of which what they left is known", self.n_left),
            count("outputs_unreadable", "Tasks of which what they left could not be read", self.n_unread),
            level("outputs_waiting", "Tasks that ended, and whose outputs are looked for", self.n_kept),
            level("tasks", "Tasks that may run", n_tasks),
            level(
                "agents_refusing",
                "Agents that dropped launches, on which nothing is launched for now",
                self.n_refusing,
            ),
        ];
        report
    }
}
