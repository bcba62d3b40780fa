//! Job load: measured now or by the clock, put on record from elsewhere, and asked for.
//!
//! # Source
//! Scale's `JobLoadManager` (calculate, `get_job_loads`, `group_by_time`) and `JobLoadProcessor`.

use std::convert::Infallible;
use std::time::Duration;

use crate::engine::clock_work::ClockFiring;
use crate::engine::core::Core;
use crate::engine::shell::Engine;
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::limits::{EVENT_JOBS_MAX, LOAD_COUNT_MAX, LOAD_DROPPED_MAX, LOAD_LOOKS_MAX, LOAD_ROWS_PUT_MAX};
use crate::load::{JobLoadGroup, LoadFilter, LoadHistory, LoadRetention, LoadRow, LoadTypes, is_due};
use crate::model::{ClockRule, Doc, Event, JobTypeId, LoadCounts, Timestamp, TriggerEvent, kind};

/// The clock rule by which load is taken down.
pub const JOB_LOAD_RULE: &str = "scale-job-load";

/// Its number among the rules.
const JOB_LOAD_NUMBER: u64 = 1;

/// Schedules below this leave no event of their own on record: Scale's clock ticks once a minute, and events
/// are never dropped.
const EVENT_SCHEDULE_MIN: Duration = Duration::from_mins(1);

/// Why load rows were not put on record; none of them is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// More than [`LOAD_ROWS_PUT_MAX`](crate::limits) rows in one command.
    #[error("{rows} load rows in one command, at most {LOAD_ROWS_PUT_MAX}")]
    TooMany {
        /// How many.
        rows: usize,
    },
    /// No job type of that id.
    #[error("no job type {0}")]
    UnknownJobType(JobTypeId),
    /// A count that is more than [`LOAD_COUNT_MAX`](crate::limits).
    #[error("a load row counts {count} jobs, at most {LOAD_COUNT_MAX} are kept")]
    TooLarge {
        /// The count.
        count: u64,
    },
    /// It was measured after now.
    #[error("a load row was measured in the future")]
    Future {
        /// When.
        measured: Timestamp,
    },
}

impl Engine {
    /// Takes the load down now, beside the measurements of the clock: a row for each job type that has pending,
    /// queued or running jobs, all of the same instant, which is the answer; or one row without a type.
    pub fn calculate_load(&self) -> Result<Ticket<Timestamp, Infallible>, IntakeError> {
        self.call_inner(|inner, core, now| {
            let measured = core.clamp(now);
            core.take_load(measured, inner.options.load_rows, &inner.options.load_retention);
            Ok(measured)
        })
    }

    /// Puts measurements of the past on record, all or none; a row takes the place of one of the same instant
    /// and type. The answer is how many are new or another.
    pub fn put_job_loads(&self, rows: Vec<LoadRow>) -> Result<Ticket<u32, LoadError>, IntakeError> {
        self.call_inner(move |inner, core, now| core.put_job_loads(&rows, now, inner.options.load_rows))
    }

    /// Load rows by filters and order.
    ///
    /// Cost: under the core's lock a reference for each thousand rows; then those rows, copied.
    pub fn get_job_loads(&self, filter: &LoadFilter) -> Vec<LoadRow> {
        self.load_history(filter).sorted_rows(&filter.order)
    }

    /// The sums of load rows by instant, oldest first; the order of `filter` does not count.
    pub fn job_load_groups(&self, filter: &LoadFilter) -> Vec<JobLoadGroup> {
        self.load_history(filter).groups()
    }

    /// The measurements that `filter` lets through, shared with the engine as they are now.
    pub fn load_history(&self, filter: &LoadFilter) -> LoadHistory {
        let owned = self.0.enter();
        let named = (!filter.job_type_names.is_empty()).then(|| {
            let is_named = |name: &String| filter.job_type_names.contains(name);
            let all = owned.core.state.catalog.iter().filter(|kind| is_named(&kind.spec.name));
            all.map(|kind| kind.id).collect::<Vec<_>>()
        });
        let history = owned.core.state.history.shared(filter.started, filter.ended);
        drop(owned);
        let ids = Some(filter.job_type_ids.as_slice()).filter(|ids| !ids.is_empty());
        let lists: Vec<&[JobTypeId]> = ids.into_iter().chain(named.as_deref()).collect();
        history.of_types(LoadTypes::new(&lists))
    }

    /// Load rows measured in `started..=ended`, oldest first.
    pub fn load(&self, started: Timestamp, ended: Option<Timestamp>) -> Vec<LoadRow> {
        self.get_job_loads(&LoadFilter { started: Some(started), ended, ..LoadFilter::default() })
    }
}

impl Core {
    /// Takes the load down, and lets some of what is too old go.
    pub(in crate::engine) fn take_load(&mut self, measured: Timestamp, keep_rows: u32, keep: &LoadRetention) {
        self.emit(Event::LoadTaken { measured, keep_rows });
        let most = LOAD_DROPPED_MAX;
        let gone = self.state.history.outdated(measured, keep, &mut self.thinned, most, LOAD_LOOKS_MAX);
        if !gone.is_empty() {
            self.emit(Event::LoadDropped { measured: gone });
        }
    }

    fn put_job_loads(&mut self, rows: &[LoadRow], now: Timestamp, keep_rows: u32) -> Result<u32, LoadError> {
        if rows.len() > LOAD_ROWS_PUT_MAX {
            return Err(LoadError::TooMany { rows: rows.len() });
        }
        let now = self.clamp(now);
        for row in rows {
            if let Some(id) = row.job_type.filter(|id| self.state.catalog.get(*id).is_none()) {
                return Err(LoadError::UnknownJobType(id));
            }
            let largest = row.pending.max(row.queued).max(row.running);
            if largest > LOAD_COUNT_MAX {
                return Err(LoadError::TooLarge { count: largest });
            }
            if row.measured > now {
                return Err(LoadError::Future { measured: row.measured });
            }
        }
        let is_news = |row: &&LoadRow| self.state.history.get(row.measured, row.job_type) != Some(**row);
        let counts = |row: &LoadRow| LoadCounts {
            measured: row.measured,
            job_type: row.job_type,
            counts: row.counts(),
        };
        let news: Vec<LoadCounts> = rows.iter().filter(is_news).map(counts).collect();
        for rows in news.chunks(EVENT_JOBS_MAX as usize) {
            for row in rows {
                self.thinned.put(row.measured);
            }
            self.emit(Event::LoadPut { rows: rows.to_vec(), keep_rows });
        }
        Ok(u32::try_from(news.len()).expect("at most LOAD_ROWS_PUT_MAX"))
    }

    /// When the rule of load fired last.
    pub(in crate::engine) fn load_fired(&self) -> Option<Timestamp> {
        self.load_firing().map(|event| event.occurred)
    }

    fn load_firing(&self) -> Option<&TriggerEvent> {
        match &**self.state.docs().get(kind::CLOCK_RULE, JOB_LOAD_NUMBER)? {
            Doc::ClockRule(rule) => Some(&rule.event),
            _ => None,
        }
    }

    /// Puts the firing of the rule of load on record, where it is due after `last`.
    pub(in crate::engine) fn fire_load(
        &mut self,
        now: Timestamp,
        last: Timestamp,
        schedule: Duration,
    ) -> Option<ClockFiring> {
        if !is_due(now, Some(last), schedule) {
            return None;
        }
        let previous = self.load_firing().cloned();
        let (id, kind) = (self.state.docs().next_event(), "CLOCK".to_owned());
        let description = format!(r#"{{"rule": "{JOB_LOAD_RULE}", "event_type": "JOB_LOAD"}}"#).into();
        let event = TriggerEvent { id, kind, description, occurred: now };
        if schedule >= EVENT_SCHEDULE_MIN {
            self.put(Doc::Event(event.clone()));
        }
        let name = JOB_LOAD_RULE.to_owned();
        self.put(Doc::ClockRule(ClockRule { number: JOB_LOAD_NUMBER, name, event: event.clone() }));
        Some(ClockFiring { rule: JOB_LOAD_RULE, event, previous })
    }
}
