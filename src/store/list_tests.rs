//! Lists and retention by themselves, on jobs that are made from events. The bounds on what is read at a
//! time are small in tests, so that a few thousand jobs reach them.

use std::ops::Range;
use std::sync::Arc;

use super::check;
use super::faults::StoreFault;
use super::file::{CREATIONS, PLACES, RECIPES, storage};
use super::index::{place_in, put_places};
use super::recovery::{Opened, open_on};
use super::retention::Retention;
use super::segment::Place;
use crate::model::{
    Event, JobColumn, JobFilter, JobId, JobOrder, JobQuery, JobRequest, JobTypeId, JobTypeSpec, RecipeId,
    RecipeNodes, StoreId, Timestamp,
};
use crate::testing::TracedDisk;
use crate::wal::{Disk, DiskFile};

/// A store whose jobs are canceled as soon as they shall be over.
struct Store {
    disk: TracedDisk,
    opened: Opened,
    n_jobs: u64,
    now: Timestamp,
}

impl Store {
    fn new() -> Self {
        let disk = TracedDisk::default();
        let opened = Self::open(&disk);
        let mut store = Self { disk, opened, n_jobs: 0, now: Timestamp(0) };
        for id in (1..=3).map(JobTypeId) {
            let spec = JobTypeSpec::new(format!("t{id}"), "1");
            store.apply(|when| Event::JobTypePut { id, spec, when });
        }
        store
    }

    fn open(disk: &TracedDisk) -> Opened {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        open_on(&disk, StoreId(1), 1 << 30).expect("a store")
    }

    fn apply(&mut self, event: impl FnOnce(Timestamp) -> Event) {
        self.now.0 += 1;
        self.opened.state.apply(&event(self.now));
    }

    /// Makes jobs and says which.
    fn make(&mut self, job_type: u32, count: u32, recipe: Option<u64>) -> Range<u64> {
        let first = self.n_jobs + 1;
        self.n_jobs += u64::from(count);
        let request = JobRequest::new(JobTypeId(job_type)).count(count);
        let recipe = recipe.map(|recipe| RecipeNodes { recipe: RecipeId(recipe), name: "n".into() });
        self.apply(|when| Event::JobsCreated { first: JobId(first), request, recipe, when });
        first..self.n_jobs + 1
    }

    fn end(&mut self, jobs: Range<u64>) {
        self.apply(|when| Event::JobsCanceled { jobs: jobs.map(JobId).collect(), when });
    }

    fn make_over(&mut self, job_type: u32, count: u32) -> Range<u64> {
        let jobs = self.make(job_type, count, None);
        self.end(jobs.clone());
        jobs
    }

    /// Brings readers up to what was made.
    fn gather(&mut self) {
        let mut delta = self.opened.state.take_delta();
        delta.generation = self.opened.tables.generation();
        self.opened.tables.add(delta);
    }

    fn checkpoint(&mut self) {
        self.gather();
        self.opened.tables.checkpoint_all().expect("written");
        assert_eq!(self.opened.tables.error(), None);
    }

    /// Lets checkpoints pass, each of which holds a new job that stays open.
    fn go_on(&mut self, n: usize) {
        for _ in 0..n {
            self.make(3, 1, None);
            self.checkpoint();
        }
    }

    fn is_there(&self, id: u64) -> bool {
        self.opened.tables.state(JobId(id)).expect("readable").is_some()
    }

    fn n_recipe_rows(&self) -> u64 {
        let txn = self.opened.tables.read().expect("readable");
        let table = txn.open_table(RECIPES).expect("a table");
        redb::ReadableTableMetadata::len(&table).expect("readable")
    }

    /// Of these jobs, those that are there.
    fn kept(&self, jobs: Range<u64>) -> Vec<u64> {
        jobs.filter(|id| self.is_there(*id)).collect()
    }

    fn listed(&self, query: &JobQuery) -> Vec<u64> {
        let page = self.opened.tables.list(query).expect("a page");
        page.jobs.iter().map(|job| job.id.0).collect()
    }

    /// What `check` finds in the state file. No log goes with it.
    fn faults(&self) -> Vec<StoreFault> {
        let directory = tempfile::tempdir().expect("a directory");
        for (file, bytes) in [DiskFile::Log, DiskFile::State].into_iter().zip(self.disk.files()) {
            std::fs::write(directory.path().join(file.name()), bytes).expect("written");
        }
        let report = check(directory.path(), |_| {}).expect("looked at");
        report.faults.list().iter().filter(|fault| fault.file.starts_with("state")).cloned().collect()
    }
}

#[test]
fn jobs_that_a_recipe_holds_count_among_those_that_are_not_kept() {
    let mut store = Store::new();
    let held = store.make(1, 2_000, Some(1));
    let open = store.make(1, 1, Some(1));
    store.end(held.clone());
    store.checkpoint();
    let singles = store.make_over(2, 6_000);
    store.checkpoint();
    let tables = &store.opened.tables;
    tables.set_retention(Retention::ALL.jobs(6_000));
    store.go_on(8);
    assert_eq!(store.kept(1..singles.end).len(), 8_001, "the newest 6,000 are not those of the recipe");
    store.opened.tables.set_retention(Retention::ALL.jobs(5_000));
    store.go_on(12);
    assert_eq!(store.kept(singles.clone()), (singles.start + 1_000..singles.end).collect::<Vec<_>>());
    assert_eq!(store.kept(held.clone()).len(), 2_000, "one of the recipe is open");
    store.end(open.clone());
    store.checkpoint();
    store.go_on(12);
    assert_eq!(store.kept(1..open.end), [open.start], "it changed last");
    assert_eq!(store.kept(singles.clone()), (singles.start + 1_001..singles.end).collect::<Vec<_>>());
    assert_eq!(store.n_recipe_rows(), 1, "one of the recipe is there");
    assert_eq!(store.faults(), []);
    store.make_over(2, 5_000);
    store.checkpoint();
    store.go_on(14);
    assert!(!store.is_there(open.start));
    assert_eq!(store.n_recipe_rows(), 0);
    let of_recipe = JobFilter::default().recipes([RecipeId(1)]);
    assert!(store.listed(&JobQuery::new(5).filter(of_recipe)).is_empty());
    assert_eq!(store.faults(), []);
}

#[test]
fn a_job_that_moved_after_its_place_was_put_into_the_table_is_dropped_with_its_place() {
    let mut store = Store::new();
    let jobs = store.make_over(1, 200);
    store.checkpoint();
    assert!(store.opened.tables.head().placed_below > 0, "there are enough of them to be placed");
    let tables = &store.opened.tables;
    tables.set_retention(Retention::ALL.jobs(8));
    store.go_on(1);
    // Few are left of the segment, so they moved.
    store.go_on(1);
    let left = jobs.end - 8..jobs.end;
    assert_eq!(store.kept(jobs.clone()), left.clone().collect::<Vec<_>>());
    let others = store.make_over(2, 8);
    store.checkpoint();
    store.go_on(2);
    assert_eq!(store.kept(1..others.end).len(), 2 + 8, "two that are open, eight that are over");
    let by_id = JobFilter::default().jobs(left.clone().map(JobId));
    assert!(store.listed(&JobQuery::new(20).filter(by_id)).is_empty());
    let txn = store.opened.tables.read().expect("readable");
    let places = txn.open_table(PLACES).expect("a table");
    for id in left.clone().map(JobId) {
        assert!(place_in(&places, id).expect("readable").is_none(), "job {id}");
    }
    let creations = txn.open_table(CREATIONS).expect("a table");
    let first = redb::ReadableTable::first(&creations).expect("readable").expect("some");
    assert!(first.0.value() > jobs.start, "nothing is left of what the first ones were given");
    assert_eq!(store.faults(), []);
    // Had a place been left, it would be told.
    let db = store.opened.tables.file.db().expect("open");
    let txn = db.begin_write().map_err(storage("write")).expect("writable");
    {
        let mut places = txn.open_table(PLACES).expect("a table");
        put_places(&mut places, &[(JobId(left.start), Place { segment: 0, row: 0 })]).expect("written");
    }
    txn.commit().expect("written");
    let faults = store.faults();
    assert!(faults.iter().any(|fault| fault.place == format!("job {}", left.start)), "{faults:?}");
}

#[test]
fn jobs_far_behind_others_are_listed_by_id() {
    let mut store = Store::new();
    store.make(1, 300, None);
    store.checkpoint();
    store.make(2, 250, None);
    store.make_over(1, 50);
    store.make(2, 30, None);
    store.checkpoint();
    store.make(2, 5, None);
    store.gather();
    let of_type = |job_type: u32| {
        let own = |id: &u64| (matches!(id, 1..=300 | 551..=600)) == (job_type == 1);
        (1..=635_u64).filter(own).collect::<Vec<_>>()
    };
    for round in 0..2 {
        for (job_type, is_descending) in [(1, false), (2, false), (1, true), (2, true)] {
            let mut expected = of_type(job_type);
            if is_descending {
                expected.reverse();
            }
            let order = JobOrder { column: JobColumn::Id, is_descending };
            let filter = JobFilter::default().job_types([JobTypeId(job_type)]);
            for (skip, limit) in (0..20).flat_map(|n| [(0, n), (n, 5), (n * 9, 7), (n, 40)]) {
                let limit = limit.max(1);
                let query = JobQuery::new(limit).filter(filter.clone()).order([order]);
                let what = format!("{round} {query:?} {skip}");
                let page = store.opened.tables.list(&query.clone().skip(skip).counted()).expect("a page");
                let ids: Vec<u64> = page.jobs.iter().map(|job| job.id.0).collect();
                assert_eq!(ids, expected[skip.min(expected.len())..][..ids.len()], "{what}");
                assert_eq!(ids.len(), limit.min(expected.len() - skip), "{what}");
                assert_eq!(page.total.expect("asked for").n, expected.len() as u64, "{what}");
                assert_eq!(page.next.is_some(), skip + limit < expected.len(), "{what}");
                if let Some(next) = page.next {
                    let ids = store.listed(&query.after(next));
                    assert_eq!(ids, expected[skip + limit..][..ids.len()], "{what}");
                    assert!(!ids.is_empty(), "{what}");
                }
            }
        }
        store.checkpoint();
    }
}
