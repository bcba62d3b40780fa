//! How far a run is, on standard error: a bar on a terminal, else a line every few seconds.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::clock::monotonic;
use crate::decision::{Blocker, Shortage, Why};
use crate::engine::{Engine, View};

use super::super::output::{enumerated, human, note};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Between two redraws of the bar.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// How long back the rate looks.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// Between two questions to the engine why things wait.
const WHY_EVERY: Duration = Duration::from_secs(1);

/// Longest time left that is told, in seconds.
const LONGEST_S: f64 = 1e9;

/// Job types of which it is told why they wait.
const WHY_MAX: usize = 2;

/// The display.
pub(super) struct Progress {
    /// None where progress goes out as lines; and then perhaps not at all.
    bar: Option<ProgressBar>,
    is_silent: bool,
    shown: Instant,
    asked: Option<Instant>,
    waits: String,
    /// The reason for a refused launch that was told last.
    refusal: String,
    /// When, and how many had ended.
    seen: VecDeque<(Instant, u64)>,
}

impl Progress {
    pub(super) fn new(is_silent: bool) -> Self {
        let has_bar = !is_silent && std::io::stderr().is_terminal();
        let now = monotonic();
        Self {
            bar: has_bar.then(new_bar),
            is_silent,
            shown: now,
            asked: None,
            waits: String::new(),
            refusal: String::new(),
            seen: [].into(),
        }
    }

    /// Counts the rate from here on.
    pub(super) fn begin(&mut self, view: &View) {
        self.seen.push_back((monotonic(), view.totals.n_ended()));
    }

    /// A line above the bar.
    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }

    /// Shows how things stand, unless they were shown just before.
    pub(super) fn show(&mut self, engine: &Engine, view: &View) {
        let every = if self.bar.is_some() { DRAW_EVERY } else { LINE_EVERY };
        let now = monotonic();
        if self.is_silent || now.duration_since(self.shown) < every {
            return;
        }
        self.shown = now;
        if let Some((_, reason)) = &view.last_refusal
            && *reason != self.refusal
        {
            self.refusal.clone_from(reason);
            self.note(&format!("a launch was refused and is tried again: {reason}"));
        }
        if self.asked.is_none_or(|asked| now.duration_since(asked) >= WHY_EVERY) {
            self.asked = Some(now);
            self.waits = waits(view, &engine.waiting());
        }
        let done = view.totals.n_ended();
        let rate = self.rate(now, done);
        let counts = counts(view, rate);
        if let Some(bar) = &self.bar {
            bar.set_length(view.totals.total());
            bar.set_position(done);
            bar.set_prefix(self.waits.clone());
            bar.set_message(counts);
        } else {
            let waits = if self.waits.is_empty() { "" } else { "; " };
            note(&format!("{done}/{} done, {counts}{waits}{}", view.totals.total(), self.waits));
        }
    }

    /// Ends per second in the last while.
    #[expect(clippy::cast_precision_loss, reason = "counts of jobs, for display")]
    fn rate(&mut self, now: Instant, done: u64) -> f64 {
        self.seen.push_back((now, done));
        while self.seen.len() > 2 && now.duration_since(self.seen[0].0) > RATE_WINDOW {
            self.seen.pop_front();
        }
        let (since, before) = self.seen[0];
        let seconds = now.duration_since(since).as_secs_f64();
        if seconds > 0.0 { done.saturating_sub(before) as f64 / seconds } else { 0.0 }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn new_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}\n{prefix}");
    let style = style.expect("the template is right").progress_chars("=> ");
    ProgressBar::no_length().with_style(style)
}

#[expect(clippy::cast_precision_loss, reason = "counts of jobs, for display")]
fn counts(view: &View, rate: f64) -> String {
    let totals = &view.totals;
    let left = totals.queued + totals.running + totals.pending;
    let running = format!("{} running, {} queued", totals.running, totals.queued);
    let text = enumerated(running, &[(totals.pending, "pending"), (totals.failed, "failed")]);
    if rate > 0.0 && left > 0 {
        let seconds = (left as f64 / rate).min(LONGEST_S);
        return format!("{text}, {rate:.1}/s, about {} left", human(Duration::from_secs_f64(seconds)));
    }
    format!("{text}, {rate:.1}/s")
}

/// What waits and why, shortened: only reasons that are more than "others come first".
fn waits(view: &View, waiting: &[(crate::model::JobTypeId, Why)]) -> String {
    let name = |id| {
        let kind = view.types.iter().find(|kind| kind.job_type.id == id);
        kind.map_or("", |kind| kind.job_type.spec.name.as_str())
    };
    let told =
        waiting.iter().filter_map(|(id, why)| Some(format!("{} {}", name(*id), reason(&why.blocker)?)));
    let mut told: Vec<String> = told.collect();
    let n_more = told.len().saturating_sub(WHY_MAX);
    told.truncate(WHY_MAX);
    let more = if n_more > 0 { format!("; {n_more} more types wait") } else { String::new() };
    told.join("; ") + &more
}

fn reason(blocker: &Blocker) -> Option<String> {
    let names = |shortages: &[Shortage]| {
        shortages.iter().map(|short| short.resource.as_str()).collect::<Vec<_>>().join(", ")
    };
    match blocker {
        Blocker::TooBig { shortages } => Some(format!("never fits here ({})", names(shortages))),
        Blocker::Busy { shortages } => Some(format!("waits for {}", names(shortages))),
        Blocker::Limit { max_scheduled, .. } => Some(format!("is at its limit of {max_scheduled}")),
        Blocker::Paused { .. } => Some("is paused".to_owned()),
        Blocker::Constraints { .. } => Some("finds no node that is what it demands".to_owned()),
        Blocker::NotOnOffer { .. } => Some("waits for nodes that offer nothing now".to_owned()),
        Blocker::Kept { .. } => Some("waits for nodes kept for others".to_owned()),
        Blocker::Holds { node, shortages } => {
            Some(format!("waits for {} on {}, kept for it", names(shortages), node.name))
        }
        Blocker::SchedulerPaused | Blocker::NodesPaused { .. } => {
            Some("waits for a node to resume".to_owned())
        }
        Blocker::NotQueued { .. }
        | Blocker::Parents { .. }
        | Blocker::BlockedBy { .. }
        | Blocker::NoNodes
        | Blocker::Strict { .. }
        | Blocker::Behind { .. }
        | Blocker::Next => None,
    }
}
