//! Everything that can be verified of a store that nobody has open.
//!
//! 1. Every page of both files, by redb.
//! 2. Every row of the log, and how the log and the state file meet.
//! 3. Every value of the state file by itself, then against each other: directory and segments, jobs and
//!    their places, creations, counts and hash.
//! 4. The store is opened as an engine would open it, which folds in the log after the state file and
//!    compares the hash behind each batch; and the state that comes out is held against itself.
//!
//! C1  Nothing in the directory is changed.
//! C2  What cannot be read is a fault, and hides as little of the rest as possible.

mod jobs;
mod rest;

use std::path::Path;

use super::directory::StoreFiles;
use super::faults::{FaultKind, StoreFaults};
use super::inspect::{open_fault, try_open};
use super::look::guarded;
use super::survey::{LOG, LogSurvey, LookError, STATE, Site, Survey};
use crate::wal::DiskFile;

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckProgress {
    /// What is looked at.
    pub step: &'static str,
    /// How much of it was.
    pub n_done: u64,
    /// How much there is; 0 where that is not known.
    pub n_all: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Jobs that were found.
    pub n_jobs: u64,
    /// Segments that were read.
    pub n_segments: u64,
    /// Rows of the log that were read.
    pub n_log_rows: u64,
    /// Events in them.
    pub n_events: u64,
    /// Events after the state file that were folded in.
    pub n_replayed: u64,
    /// What is wrong.
    pub faults: StoreFaults,
}

impl CheckReport {
    /// True where nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.n() == 0
    }
}

/// Verifies the store in `directory`. `progress` is told how far it is.
///
/// Files that were not closed are repaired in memory; nothing in the directory is changed. The lock is
/// held meanwhile, so that nobody opens the store.
///
/// Cost: reads both files twice, and what opening the store costs in time and memory; some 20 bytes of
/// memory for each job that ever was.
pub fn check(
    directory: impl AsRef<Path>,
    mut progress: impl FnMut(CheckProgress),
) -> Result<CheckReport, LookError> {
    let site = Site::find(StoreFiles::new(directory.as_ref()))?;
    let mut checking = Checking { report: CheckReport::default(), progress: &mut progress };
    checking.pages(&site);
    let survey = checking.state(&site);
    checking.log(&site, &survey);
    checking.open(&site);
    Ok(checking.report)
}

/// A check under way.
struct Checking<'p> {
    report: CheckReport,
    progress: &'p mut dyn FnMut(CheckProgress),
}

impl Checking<'_> {
    fn tell(&mut self, step: &'static str, n_done: u64, n_all: u64) {
        (self.progress)(CheckProgress { step, n_done, n_all });
    }

    fn pages(&mut self, site: &Site) {
        for (file, step) in [(DiskFile::Log, "pages of the log"), (DiskFile::State, "pages of the state")] {
            self.tell(step, 0, 0);
            let cause = site.look(file).and_then(|mut look| look.check_pages().err());
            if let Some(cause) = cause {
                self.report.faults.add(FaultKind::Pages, file.name(), "its pages", cause);
            }
        }
    }

    fn state(&mut self, site: &Site) -> Survey {
        // One that never came to its first checkpoint may be without the file.
        let Some(mut look) = site.look(DiskFile::State) else { return Survey::default() };
        let survey = Survey::of(&mut look, &mut self.report.faults);
        if !survey.is_readable() {
            return survey;
        }
        let Some(head) = survey.head else {
            if !survey.directory.is_empty() || !survey.counts.is_empty() || !survey.types.is_empty() {
                self.report.faults.add(FaultKind::Totals, STATE, "meta head", "it is missing");
            }
            return survey;
        };
        self.catalog(&survey);
        self.directory(&survey, &head);
        let jobs = self.segments(&mut look, &survey, &head);
        self.places(&mut look, &jobs, &head);
        self.creations(&mut look, &jobs, &head);
        self.counts(&survey, &jobs);
        self.submissions(&mut look, &head);
        self.load(&mut look, &survey, &head);
        survey
    }

    fn log(&mut self, site: &Site, survey: &Survey) {
        let Some(mut look) = site.look(DiskFile::Log) else {
            self.report.faults.add(FaultKind::Missing, LOG, "the file", "it is not there");
            return;
        };
        let (faults, progress) = (&mut self.report.faults, &mut self.progress);
        let mut n_events = 0;
        let log = LogSurvey::of(&mut look, survey.watermark(), faults, |_, _| {
            n_events += 1;
            if n_events % 4_096 == 0 {
                progress(CheckProgress { step: "events of the log", n_done: n_events, n_all: 0 });
            }
        });
        log.meet(survey, faults);
        (self.report.n_log_rows, self.report.n_events) = (log.rows.n, n_events);
    }

    fn open(&mut self, site: &Site) {
        self.tell("opening it", 0, 0);
        let opened = guarded(|| try_open(site, |state| guarded(|| state.check_invariants())));
        let faults = &mut self.report.faults;
        match opened {
            Ok(Ok((opens, invariants))) => {
                self.report.n_replayed = opens.n_replayed;
                if let Err(cause) = invariants {
                    faults.add(FaultKind::Invariant, STATE, "the state that was recovered", cause);
                }
            }
            Ok(Err(error)) => open_fault(&error, faults),
            Err(cause) => faults.add(FaultKind::Open, LOG, "opening the store", cause),
        }
    }
}
