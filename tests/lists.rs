//! Lists of jobs against a naive filter and a sort of all jobs, while a store lives and between its
//! checkpoints.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use weighbridge::{
    Clock, Engine, Job, JobColumn, JobCursor, JobError, JobFilter, JobId, JobOrder, JobPage, JobQuery,
    JobRecord, JobRequest, JobStatus, JobTypeId, JobTypeSpec, ListError, NodeId, NodeResources, Offer,
    Options, Outcome, RecipeId, RecipeNode, RecipeRequest, Retention, StatusUpdate, Submission, SubmissionId,
    TaskState, Timestamp, Usage,
};

const PATIENCE: Duration = Duration::from_mins(1);

/// A clock that goes where it is told.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicI64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// Numbers that look drawn, the same for the same seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn is(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

struct Life {
    engine: Engine,
    hand: Hand,
    draw: Draw,
    types: Vec<JobTypeId>,
    n_submissions: u64,
}

impl Life {
    fn new(directory: &Path, seed: u64) -> Self {
        let hand = Hand::default();
        let mut life = Self {
            engine: Self::open(directory, &hand),
            hand,
            draw: Draw(seed),
            types: Vec::new(),
            n_submissions: 0,
        };
        for n in 0..4_u32 {
            let spec = JobTypeSpec::new(format!("t{n}"), "1.0").needs(NodeResources::new().mem_mib(1));
            let ticket = life.engine.put_job_type(spec).expect("room");
            life.types.push(ticket.wait_durable(PATIENCE).expect("a type"));
        }
        life
    }

    fn open(directory: &Path, hand: &Hand) -> Engine {
        let options = Options::default().load_period(None).clock(hand.clone()).checkpoint_bytes(1 << 15);
        Engine::open(directory, options).expect("a store")
    }

    fn submit(&mut self) {
        self.n_submissions += 1;
        let id = SubmissionId::new(&format!("s{}", self.n_submissions)).expect("an id");
        let mut submission = Submission::new(id);
        for _ in 0..=self.draw.below(3) {
            let priority = i32::try_from(self.draw.below(5)).expect("small") - 2;
            let request = self.request().count(1 + u32::try_from(self.draw.below(40)).expect("small"));
            submission = submission.jobs(request.priority(priority));
        }
        if self.draw.is(3) {
            let nodes = (0..3).map(|n: u32| RecipeNode {
                name: format!("n{n}").into(),
                job: self.request(),
                parents: (n > 0).then(|| n - 1).into_iter().collect(),
            });
            let nodes = nodes.collect();
            submission = submission.recipe(RecipeRequest { name: "row".into(), nodes });
        }
        self.engine.submit(submission).expect("room").wait_durable(PATIENCE).expect("accepted");
    }

    fn request(&mut self) -> JobRequest {
        let at = usize::try_from(self.draw.below(3)).expect("small");
        JobRequest::new(self.types[at]).values([("n", "x")])
    }

    fn run(&mut self) {
        let most = self.draw.below(60);
        let free = NodeResources::new().mem_mib(most);
        let picks = self.engine.offer(&Offer::new(NodeId(1), free));
        picks.commit().wait(PATIENCE).expect("durable");
    }

    fn end(&mut self) {
        for run in self.engine.running() {
            if self.draw.is(3) {
                continue;
            }
            let outcome = match self.draw.below(12) {
                0 => Outcome::Exited { code: 3 },
                1 => Outcome::Signaled { signal: 9 },
                2 => Outcome::TimedOut,
                3 => Outcome::NotStarted { reason: "none".into() },
                4 => Outcome::Lost { reason: String::new() },
                _ => Outcome::Exited { code: 0 },
            };
            self.pass(7);
            let state = TaskState::Ended { outcome, usage: Usage::default() };
            let update = StatusUpdate { name: run.name, state, when: self.engine.now() };
            self.engine.status(update).expect("room").wait_durable(PATIENCE).expect("taken");
        }
    }

    fn pass(&mut self, most: u64) {
        let by = i64::try_from(self.draw.below(most)).expect("small");
        self.hand.0.fetch_add(by, Ordering::Relaxed);
    }

    fn some_jobs(&mut self, n: u64) -> Vec<JobId> {
        let n_jobs = self.engine.view().totals.total().max(1);
        (0..n).map(|_| JobId(1 + self.draw.below(n_jobs))).collect()
    }

    fn step(&mut self) {
        self.pass(1_000);
        match self.draw.below(8) {
            0 | 1 => self.submit(),
            2..=4 => {
                self.run();
                self.end();
            }
            5 => {
                let jobs = self.some_jobs(3);
                self.engine.cancel(jobs).map(|ticket| ticket.wait_durable(PATIENCE)).expect("room").ok();
            }
            6 => {
                let jobs = self.some_jobs(5);
                let priority = i32::try_from(self.draw.below(9)).expect("small") - 4;
                let ticket = self.engine.set_priority(jobs, priority).expect("room");
                ticket.wait_durable(PATIENCE).ok();
            }
            _ => drop(self.engine.checkpoint(PATIENCE)),
        }
    }

    fn all(&self) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        loop {
            let page = self.engine.jobs(jobs.last().map_or(JobId(0), |job| job.id), 1_000);
            if page.is_empty() {
                return jobs;
            }
            jobs.extend(page);
        }
    }

    fn filter(&mut self, all: &[Job]) -> JobFilter {
        let mut filter = JobFilter::default();
        let now = u64::try_from(self.engine.now().0).expect("after 1970") + 1;
        let mut any = |n: usize| usize::try_from(self.draw.below(n as u64)).expect("small");
        if any(2) == 0 {
            filter = filter.statuses((0..=any(2)).map(|_| JobStatus::ALL[any(7)]).collect::<Vec<_>>());
        }
        if any(3) == 0 {
            filter = filter.job_types((0..=any(2)).map(|_| self.types[any(4)]).collect::<Vec<_>>());
        }
        if any(4) == 0 {
            filter = filter.errors((0..any(4)).map(|_| JobError::ALL[any(5)]).collect::<Vec<_>>());
        }
        if any(5) == 0 && !all.is_empty() {
            filter = filter.jobs((0..any(30)).map(|_| all[any(all.len())].id).collect::<Vec<_>>());
        }
        if any(5) == 0 {
            filter = filter.recipes((0..any(4)).map(|_| RecipeId(1 + any(40) as u64)).collect::<Vec<_>>());
        }
        if self.draw.is(4) {
            filter = filter.started(Timestamp(i64::try_from(self.draw.below(now)).expect("small")));
        }
        if self.draw.is(4) {
            filter = filter.ended(Timestamp(i64::try_from(self.draw.below(now)).expect("small")));
        }
        filter
    }

    fn order(&mut self) -> Vec<JobOrder> {
        (0..self.draw.below(5))
            .map(|_| JobOrder {
                column: JobColumn::ALL[usize::try_from(self.draw.below(10)).expect("small")],
                is_descending: self.draw.is(2),
            })
            .collect()
    }
}

/// What an order looks at, so that the less comes first.
fn place(job: &Job, order: &[JobOrder]) -> Vec<i64> {
    let last = JobOrder {
        column: JobColumn::Id,
        is_descending: order.last().is_some_and(|order| order.is_descending),
    };
    let or_none = |at: Option<Timestamp>| at.map_or(i64::MAX, |at| at.0);
    let value = |order: &JobOrder| {
        let value = match order.column {
            JobColumn::Id => i64::try_from(job.id.0).expect("small"),
            JobColumn::Created => job.created.0,
            JobColumn::Changed => job.last_status_change.0,
            JobColumn::Queued => or_none(job.queued),
            JobColumn::Started => or_none(job.started),
            JobColumn::Ended => or_none(job.ended),
            JobColumn::Duration => job.started.zip(job.ended).map_or(i64::MAX, |(from, to)| to.0 - from.0),
            JobColumn::Priority => i64::from(job.priority),
            JobColumn::Status => job.status as i64,
            JobColumn::JobType => i64::from(job.job_type.0),
            other => panic!("{other:?}"),
        };
        let is_none = order.column == JobColumn::Duration && value == i64::MAX;
        if order.is_descending && !is_none { -(i128::from(value)) } else { i128::from(value) }
    };
    let parts: Vec<i128> = order.iter().chain([&last]).map(value).collect();
    parts.into_iter().map(|part| i64::try_from(part).expect("within")).collect()
}

fn naive(all: &[Job], filter: &JobFilter, order: &[JobOrder]) -> Vec<Job> {
    let mut jobs: Vec<Job> = all.iter().filter(|job| filter.matches(job)).cloned().collect();
    jobs.sort_by_key(|job| place(job, order));
    jobs
}

/// All pages, with the count of the first.
fn paged(engine: &Engine, query: &JobQuery) -> (Vec<Job>, JobPage) {
    let first = engine.list_jobs(&query.clone().counted()).expect("a page");
    let (mut jobs, mut next) = (first.jobs.clone(), first.next.clone());
    while let Some(cursor) = next {
        let cursor: JobCursor = cursor.to_string().parse().expect("a cursor");
        let page = engine.list_jobs(&query.clone().after(cursor)).expect("a page");
        jobs.extend(page.jobs);
        next = page.next;
    }
    (jobs, first)
}

fn ids(jobs: &[Job]) -> Vec<u64> {
    jobs.iter().map(|job| job.id.0).collect()
}

fn check(life: &mut Life) {
    let all = life.all();
    assert!(all.iter().map(|job| job.id.0).eq(1..=all.len() as u64), "every job, once");
    for _ in 0..12 {
        let (filter, order) = (life.filter(&all), life.order());
        let expected = naive(&all, &filter, &order);
        let limit = 1 + usize::try_from(life.draw.below(100)).expect("small");
        let query = JobQuery::new(limit).filter(filter.clone()).order(order.clone());
        let (found, first) = paged(&life.engine, &query);
        let what = format!("{filter:?} {order:?} {limit}");
        assert_eq!(ids(&found), ids(&expected), "{what}");
        assert_eq!(found, expected, "{what}");
        let total = first.total.expect("asked for");
        let n = expected.len() as u64;
        assert!(if total.is_exact { total.n == n } else { total.n <= n }, "{total:?} for {n}: {what}");
        let has_times = filter.started.is_some() || filter.ended.is_some();
        assert!(total.is_exact || has_times, "{what}");
        let skip = expected.len() / 2;
        let page = life.engine.list_jobs(&query.skip(skip)).expect("a page");
        assert_eq!(ids(&page.jobs), ids(&expected[skip..expected.len().min(skip + limit)]), "{what}");
    }
}

#[test]
fn every_list_is_what_a_filter_and_a_sort_of_all_jobs_give() {
    for seed in 0..3 {
        let directory = tempfile::tempdir().expect("a directory");
        let mut life = Life::new(directory.path(), seed);
        for n in 0..90 {
            life.step();
            if n % 6 == 5 {
                check(&mut life);
            }
        }
        life.engine.checkpoint(PATIENCE).expect("made");
        check(&mut life);
        let hand = life.hand.clone();
        life.engine.clone().close().expect("closed");
        let report = weighbridge::check(directory.path(), |_| {}).expect("looked at");
        assert_eq!(report.faults.n(), 0, "{:?}", report.faults);
        life.engine = Life::open(directory.path(), &hand);
        check(&mut life);
    }
}

#[test]
fn going_on_from_page_to_page_shows_what_does_not_change_exactly_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut life = Life::new(directory.path(), 7);
    for _ in 0..60 {
        life.step();
    }
    for order in
        [vec![], vec![JobOrder::descending(JobColumn::Changed)], vec![JobOrder::by(JobColumn::Priority)]]
    {
        let before: BTreeMap<u64, Job> = life.all().into_iter().map(|job| (job.id.0, job)).collect();
        let query = JobQuery::new(25).order(order);
        let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
        let mut page = life.engine.list_jobs(&query).expect("a page");
        loop {
            for job in &page.jobs {
                *seen.entry(job.id.0).or_default() += 1;
            }
            let Some(next) = page.next else { break };
            life.step();
            page = life.engine.list_jobs(&query.clone().after(next)).expect("a page");
        }
        let after: BTreeMap<u64, Job> = life.all().into_iter().map(|job| (job.id.0, job)).collect();
        let unchanged = before.iter().filter(|(id, job)| after.get(id) == Some(job));
        let mut n = 0;
        for (id, _) in unchanged {
            n += 1;
            assert_eq!(seen.get(id), Some(&1), "job {id}");
        }
        assert!(n > 50, "{n}");
    }
}

#[test]
fn lists_that_cannot_be_told_are_refused() {
    let engine = Engine::in_memory(Options::default());
    let refused = |query: &JobQuery| engine.list_jobs(query).expect_err("refused");
    assert!(matches!(refused(&JobQuery::new(1_000).skip(20_000)), ListError::TooDeep));
    let ids = (0..2_000).map(JobId).collect::<Vec<_>>();
    let many = JobQuery::new(1).filter(JobFilter::default().jobs(ids));
    assert!(matches!(refused(&many), ListError::TooManyIds { n: 2_000 }));
    let columns = JobColumn::ALL.iter().rev().take(6).map(|column| JobOrder::by(*column));
    assert!(matches!(refused(&JobQuery::new(1).order(columns)), ListError::OrderTooLong));
    let others = || JobColumn::ALL.into_iter().filter(|column| *column != JobColumn::Id).map(JobOrder::by);
    let by_id = [JobOrder::by(JobColumn::Id)];
    let order = |n: usize| JobQuery::new(1).order(others().take(n).chain(by_id));
    assert!(matches!(refused(&order(5)), ListError::OrderTooLong), "the id is in the last place there is");
    assert!(engine.list_jobs(&order(4)).expect("a page").jobs.is_empty());
    let other = JobQuery::new(1).order([JobOrder::by(JobColumn::Status)]).after(JobCursor::after(JobId(3)));
    assert!(matches!(refused(&other), ListError::Cursor));
}

/// Jobs on record, by id; those that were dropped are left out.
fn kept(life: &Life, n_jobs: u64) -> BTreeMap<u64, Job> {
    let mut kept = BTreeMap::new();
    for id in 1..=n_jobs {
        match life.engine.look_up(JobId(id)) {
            JobRecord::Job(job) => drop(kept.insert(id, *job)),
            JobRecord::Dropped => {}
            other => panic!("job {id}: {other:?}"),
        }
    }
    assert_eq!(life.engine.look_up(JobId(n_jobs + 1)), JobRecord::Unknown);
    kept
}

/// Checks what retention left, and gives how many jobs are over and on record.
fn check_kept(life: &mut Life) -> usize {
    // Nothing is dropped after it until something changes.
    life.engine.checkpoint(PATIENCE).expect("made");
    let n_jobs = life.engine.fresh_view(PATIENCE).totals.total();
    let jobs = kept(life, n_jobs);
    let listed: BTreeMap<u64, Job> = life.all().into_iter().map(|job| (job.id.0, job)).collect();
    assert!(listed.keys().eq(jobs.keys()), "{:?} {:?}", listed.keys(), jobs.keys());
    assert!(listed == jobs, "lists show what is on record");
    let open = |job: &Job| !job.status.is_final();
    let recipes: BTreeMap<RecipeId, bool> = jobs.values().fold(BTreeMap::new(), |mut all, job| {
        if let Some((recipe, _)) = &job.recipe {
            *all.entry(*recipe).or_default() |= open(job);
        }
        all
    });
    let of = |recipe| jobs.values().filter(move |job| job.recipe.as_ref().is_some_and(|(r, _)| *r == recipe));
    for (recipe, _) in recipes.iter().filter(|(_, is_open)| **is_open) {
        assert_eq!(of(*recipe).count(), 3, "{recipe:?} goes on, so all of it is there");
    }
    for _ in 0..3 {
        let all: Vec<Job> = jobs.values().cloned().collect();
        let (filter, order) = (life.filter(&all), life.order());
        let query = JobQuery::new(20).filter(filter.clone()).order(order.clone());
        assert_eq!(ids(&paged(&life.engine, &query).0), ids(&naive(&all, &filter, &order)));
    }
    jobs.values().filter(|job| !open(job)).count()
}

/// Once nothing more is let go, as many are kept as shall be, and none went that changed after those.
/// `ended` is when each job that was seen to be over changed.
fn check_newest(life: &mut Life, keep: usize, ended: &BTreeMap<JobId, Timestamp>) {
    /// Checkpoints after which what shall go has gone; each lets a bounded number go, and some are made
    /// beside these.
    const CHECKPOINTS_MAX: usize = 40;
    let mut n_made = 0;
    let (all, over) = loop {
        life.submit();
        life.engine.checkpoint(PATIENCE).expect("made");
        n_made += 1;
        let all = life.all();
        let open: Vec<RecipeId> = all
            .iter()
            .filter(|job| !job.status.is_final())
            .filter_map(|job| Some(job.recipe.as_ref()?.0))
            .collect();
        let is_held = |job: &Job| job.recipe.as_ref().is_some_and(|(recipe, _)| open.contains(recipe));
        let over: Vec<Job> = all.iter().filter(|job| job.status.is_final()).cloned().collect();
        let n_free = over.iter().filter(|job| !is_held(job)).count();
        assert!(over.len() >= keep, "{} are left, {keep} shall be", over.len());
        if n_free <= keep && n_made >= 6 {
            break (all, over);
        }
        assert!(n_made < CHECKPOINTS_MAX, "{n_free} of {} are left, {keep} shall be", over.len());
    };
    let mut n_gone = 0;
    for (id, changed) in ended.iter().filter(|(id, _)| all.iter().all(|job| job.id != **id)) {
        n_gone += 1;
        let n_newer = over.iter().filter(|job| job.last_status_change >= *changed).count();
        assert!(n_newer >= keep, "{n_newer} that are left are newer than job {id}");
    }
    assert!(n_gone > 200, "{n_gone}");
}

#[test]
fn jobs_that_are_over_are_dropped_and_nothing_that_is_open_misses_them() {
    for (seed, retention) in [(1, Retention::ALL.jobs(40)), (2, Retention::ALL.age(Duration::from_millis(5)))]
    {
        let directory = tempfile::tempdir().expect("a directory");
        let mut life = Life::new(directory.path(), seed);
        life.engine.clone().close().expect("closed");
        let options = || {
            let options = Options::default().load_period(None).checkpoint_bytes(1 << 14);
            options.retention(retention)
        };
        let open =
            |hand: &Hand| Engine::open(directory.path(), options().clock(hand.clone())).expect("a store");
        life.engine = open(&life.hand);
        let (mut n_kept, mut ended) = (0, BTreeMap::new());
        for n in 0..160 {
            life.step();
            let all = life.all();
            ended.extend(
                all.iter().filter(|job| job.status.is_final()).map(|job| (job.id, job.last_status_change)),
            );
            if n % 20 == 19 {
                n_kept = check_kept(&mut life);
            }
            if n % 40 == 39 {
                life.engine.check_invariants();
                life.engine.clone().close().expect("closed");
                let report = weighbridge::check(directory.path(), |_| {}).expect("looked at");
                assert_eq!(report.faults.n(), 0, "{:?}", report.faults);
                life.engine = open(&life.hand);
            }
        }
        let totals = life.engine.fresh_view(PATIENCE).totals;
        assert!(totals.n_ended() > 300, "{totals:?}");
        assert!(n_kept < 250, "{n_kept} of {totals:?} are left");
        if let Some(keep) = retention.jobs {
            check_newest(&mut life, usize::try_from(keep).expect("few"), &ended);
        }
        let dropped = JobRecord::Dropped;
        let id =
            (1..=totals.total()).map(JobId).find(|id| life.engine.look_up(*id) == dropped).expect("one went");
        assert_eq!(life.engine.job(id), None);
        let ticket = life.engine.cancel(vec![id]).expect("room");
        assert_eq!(ticket.wait_durable(PATIENCE).expect("taken").n_changed, 0);
        assert!(life.engine.why(id).is_none());
    }
}
