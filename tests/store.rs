//! What a store promises when it is opened again, opened twice, or is not what it was.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use weighbridge::{
    Engine, Job, JobId, JobRequest, JobStatus, JobTypeSpec, NodeId, NodeResources, Offer, OpenError, Options,
    Outcome, RecipeNode, RecipeRequest, Recovery, RecoveryPhase, StatusUpdate, StoreFiles, Submission,
    SubmissionId, TaskState, Usage,
};

const SYNC: Duration = Duration::from_secs(10);

fn open(directory: &Path) -> Result<Engine, OpenError> {
    Engine::open(directory, Options::default().load_period(None))
}

/// A store with a recipe of three jobs in a row, the first of which runs.
fn fill(directory: &Path) {
    let engine = open(directory).expect("a new store");
    let spec = JobTypeSpec::new("step", "1").needs(NodeResources::new().mem_mib(10)).command(["run", "{n}"]);
    let step = engine.put_job_type(spec).expect("room").wait_durable(SYNC).expect("a type");
    let node = |name: &str, parents: &[u32]| RecipeNode {
        name: name.into(),
        job: JobRequest::new(step).values([("n", name)]),
        parents: parents.to_vec(),
    };
    let nodes = vec![node("one", &[]), node("two", &[0]), node("three", &[0, 1])];
    let recipe = RecipeRequest { name: "row".into(), nodes };
    let submission = Submission::new(SubmissionId::new("row").expect("an id")).recipe(recipe);
    engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted");
    let picks = engine.offer(&Offer::new(NodeId(1), NodeResources::new().mem_mib(100)));
    assert_eq!(picks.commit().wait(SYNC).expect("durable")[0].get().command, ["run", "one"]);
}

fn end(engine: &Engine, code: i32) {
    let run = engine.running().pop().expect("one runs");
    let state = TaskState::Ended { outcome: Outcome::Exited { code }, usage: Usage::default() };
    let update = StatusUpdate { name: run.name, state, when: engine.now() };
    engine.status(update).expect("room").wait_durable(SYNC).expect("taken");
}

fn statuses(engine: &Engine) -> Vec<JobStatus> {
    engine.jobs(JobId(0), 10).iter().map(|job| job.status).collect()
}

#[test]
fn a_recipe_goes_on_over_restarts_to_its_end() {
    let directory = tempfile::tempdir().expect("a directory");
    fill(directory.path());
    for _ in 0..3 {
        let engine = open(directory.path()).expect("a store");
        let shown = engine.view().position;
        assert!(shown <= engine.durable(), "a view shows what is on disk, the first one too");
        assert!(engine.n_replayed() > 0);
        end(&engine, 0);
        let picks = engine.offer(&Offer::new(NodeId(1), NodeResources::new().mem_mib(100)));
        picks.commit().wait(SYNC).expect("durable");
        engine.check_invariants();
    }
    let engine = open(directory.path()).expect("a store");
    assert_eq!(statuses(&engine), [JobStatus::Completed; 3]);
    engine.close().expect("closed");
    let engine = open(directory.path()).expect("a store");
    assert_eq!((engine.n_replayed(), statuses(&engine)), (0, vec![JobStatus::Completed; 3]));
}

#[test]
fn a_job_that_fails_for_good_blocks_what_depends_on_it() {
    let directory = tempfile::tempdir().expect("a directory");
    fill(directory.path());
    let engine = open(directory.path()).expect("a store");
    for n_try in 1..=3 {
        end(&engine, 7);
        let picks = engine.offer(&Offer::new(NodeId(1), NodeResources::new().mem_mib(100)));
        assert_eq!(picks.commit().wait(SYNC).expect("durable").len(), usize::from(n_try < 3), "try {n_try}");
    }
    let expected = [JobStatus::Failed, JobStatus::Blocked, JobStatus::Blocked];
    assert_eq!(statuses(&engine), expected);
    drop(engine);
    assert_eq!(statuses(&open(directory.path()).expect("a store")), expected);
}

#[test]
fn a_second_engine_on_the_same_store_is_refused_and_told_who_has_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path()).expect("a new store");
    match open(directory.path()) {
        Err(OpenError::Locked { owner, .. }) => assert_eq!(owner, Some(std::process::id())),
        other => panic!("{:?}", other.map(|_| "opened")),
    }
    engine.close().expect("closed");
    open(directory.path()).expect("free again");
}

/// Opens a store; what was told of that, of each phase by itself.
fn open_told(directory: &Path) -> (Result<Engine, OpenError>, [Vec<Recovery>; 2]) {
    let told = Arc::<Mutex<Vec<Recovery>>>::default();
    let all = told.clone();
    let options = Options::default().load_period(None).on_recovery(move |at| all.lock().push(at));
    let engine = Engine::open(directory, options);
    let told = Arc::into_inner(told).expect("the engine has let go of it").into_inner();
    assert!(told.is_sorted_by_key(|at| at.phase), "{told:?}");
    let (segments, log) = told.into_iter().partition(|at| at.phase == RecoveryPhase::Segments);
    (engine, [segments, log])
}

#[test]
fn the_opening_of_a_store_is_told_from_nothing_to_all_of_each_phase() {
    let directory = tempfile::tempdir().expect("a directory");
    let (engine, told) = open_told(directory.path());
    let engine = engine.expect("a new store");
    for phase in &told {
        assert_eq!(phase.iter().map(|at| (at.n_done, at.n_all)).collect::<Vec<_>>(), [(0, 0)], "{told:?}");
    }
    let step = engine.put_job_type(JobTypeSpec::new("step", "1").command(["run"])).expect("room");
    let step = step.wait_durable(SYNC).expect("a type");
    let mut n_submitted = 0;
    let mut submit = |engine: &Engine, n: u32| {
        for _ in 0..n {
            n_submitted += 1;
            let id = SubmissionId::new(&format!("s{n_submitted}")).expect("an id");
            let submission = Submission::new(id).jobs(JobRequest::new(step).count(3));
            engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted");
        }
    };
    for _ in 0..3 {
        submit(&engine, 10);
        engine.checkpoint(SYNC).expect("written");
    }
    // More rows than a phase has calls.
    submit(&engine, 150);
    // As a crash would leave it: closing it would leave nothing in the log.
    let killed = tempfile::tempdir().expect("a directory");
    let [from, to] = [&directory, &killed].map(|directory| StoreFiles::new(directory.path()));
    fs::copy(from.log(), to.log()).and_then(|_| fs::copy(from.state(), to.state())).expect("copied");
    engine.close().expect("closed");
    let (engine, told) = open_told(killed.path());
    let engine = engine.expect("a store");
    assert!(engine.n_replayed() >= 150);
    assert_eq!(engine.view().totals.total(), 3 * 180);
    for phase in &told {
        let (first, last) = (phase[0], phase[phase.len() - 1]);
        assert!(phase.len() <= 100, "{} calls", phase.len());
        assert!(first.n_done == 0 && last.is_complete() && last.n_all > 0, "{phase:?}");
        assert!(phase.is_sorted_by(|a, b| a.n_done < b.n_done && a.n_all == b.n_all), "{phase:?}");
    }
    assert!(told[1].len() > 50 && told[1][0].n_all >= 150, "{:?}", told[1]);
    engine.close().expect("closed");

    let other = tempfile::tempdir().expect("a directory");
    open(other.path()).expect("a store").close().expect("closed");
    fs::copy(StoreFiles::new(other.path()).log(), from.log()).expect("copied");
    let (refused, told) = open_told(directory.path());
    assert!(matches!(refused.err(), Some(OpenError::Mixed)), "an error stays what it is");
    assert!(told[1].is_empty(), "what was not reached is not told: {told:?}");
}

#[test]
fn files_of_two_stores_are_not_mixed() {
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    for directory in [&one, &two] {
        fill(directory.path());
        open(directory.path()).expect("a store").close().expect("closed");
    }
    fs::copy(StoreFiles::new(two.path()).state(), StoreFiles::new(one.path()).state()).expect("copied");
    assert!(matches!(open(one.path()), Err(OpenError::Mixed)));
    fs::remove_file(StoreFiles::new(two.path()).log()).expect("removed");
    let error = open(two.path()).map(|_| ()).expect_err("the log is gone");
    assert!(error.to_string().contains("log.redb is damaged"), "{error}");
}

#[test]
fn flipped_bytes_are_refused_or_change_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    fill(directory.path());
    let before = statuses(&open(directory.path()).expect("a store"));
    let files = StoreFiles::new(directory.path());
    let (log, state) = (fs::read(files.log()).expect("read"), fs::read(files.state()).expect("read"));
    let mut n_refused = 0;
    for at in (0..log.len()).step_by(4_099) {
        let mut bad = log.clone();
        bad[at] ^= 0x55;
        fs::write(files.log(), &bad).expect("written");
        fs::write(files.state(), &state).expect("written");
        match std::panic::catch_unwind(|| open(directory.path())) {
            Ok(Ok(engine)) => assert_eq!(statuses(&engine), before, "byte {at}"),
            Ok(Err(_)) => n_refused += 1,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    assert!(n_refused > 0, "not one flipped byte was noticed");
}

/// A small generator; the same seed gives the same run.
struct Dice(u64);

impl Dice {
    fn roll<T: TryFrom<u64, Error: std::fmt::Debug>>(&mut self, n: u64) -> T {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        T::try_from((self.0 >> 33) % n).expect("small")
    }
}

fn all_jobs(engine: &Engine) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    loop {
        let page = engine.jobs(jobs.last().map_or(JobId(0), |job| job.id), 1_000);
        if page.is_empty() {
            return jobs;
        }
        jobs.extend(page);
    }
}

/// Submits, runs, ends, cancels and moves jobs at random, with a checkpoint after every few changes.
fn live(engine: &Engine, dice: &mut Dice, n_submitted: &mut u64) {
    let kind = |n: u64| JobTypeSpec::new(format!("kind{n}"), "1").command(["run", "{n}"]).max_tries(2);
    let n_kind: u64 = dice.roll(3);
    let kind = engine.put_job_type(kind(n_kind)).expect("room").wait_durable(SYNC).expect("a type");
    *n_submitted += 1;
    let id = SubmissionId::new(&format!("s{n_submitted}")).expect("an id");
    let request = |n: u64, dice: &mut Dice| {
        let own = NodeResources::new().mem_mib(dice.roll(5));
        JobRequest::new(kind).values([("n", n.to_string())]).needs(own).priority(dice.roll(3))
    };
    let mut submission = Submission::new(id);
    for n in 0..dice.roll(4) {
        submission = submission.jobs(request(n, dice).count(1 + dice.roll::<u32>(30)));
    }
    let node = |n: u64, parents: &[u32], dice: &mut Dice| RecipeNode {
        name: format!("node{n}").into(),
        job: request(n, dice),
        parents: parents.to_vec(),
    };
    let nodes = vec![node(0, &[], dice), node(1, &[0], dice), node(2, &[0], dice), node(3, &[1, 2], dice)];
    submission = submission.recipe(RecipeRequest { name: "r".into(), nodes });
    engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted");
    for _ in 0..dice.roll::<u64>(6) {
        let free = NodeResources::new().mem_mib(dice.roll(60));
        let picks = engine.offer(&Offer::new(NodeId(1 + dice.roll::<u32>(2)), free));
        for launch in picks.commit().wait(SYNC).expect("durable") {
            let launch = launch.get();
            assert_eq!(launch.command[0], "run");
            let outcome = match dice.roll::<u64>(5) {
                0 => continue,
                1 => Outcome::Exited { code: 7 },
                2 => Outcome::NotStarted { reason: "no such file".into() },
                _ => Outcome::Exited { code: 0 },
            };
            let state = TaskState::Ended { outcome, usage: Usage::default() };
            let update = StatusUpdate { name: launch.name, state, when: engine.now() };
            engine.status(update).expect("room").wait_durable(SYNC).expect("taken");
        }
        let last = engine.jobs(JobId(0), 1_000).last().map_or(1, |job| job.id.0);
        let some: Vec<JobId> = (0..dice.roll::<u64>(4)).map(|_| JobId(1 + dice.roll::<u64>(last))).collect();
        if dice.roll::<u64>(2) == 0 {
            let priority = dice.roll(9);
            engine.set_priority(some, priority).expect("room").wait_durable(SYNC).expect("done");
        } else {
            let before: Vec<_> = some.iter().map(|id| engine.job(*id).expect("known").status).collect();
            let changed = engine.cancel(some.clone()).expect("room").wait_durable(SYNC).expect("done");
            let is_over = |status: &&JobStatus| matches!(status, JobStatus::Completed | JobStatus::Canceled);
            if before.iter().all(|status| is_over(&status)) {
                assert_eq!(changed.n_changed, 0);
            }
            for (id, before) in some.iter().zip(before) {
                let now = engine.job(*id).expect("known").status;
                let kept = before == JobStatus::Completed;
                assert_eq!(now, if kept { JobStatus::Completed } else { JobStatus::Canceled }, "job {id}");
            }
        }
    }
}

#[test]
fn whatever_happened_a_store_that_is_opened_again_holds_it_all() {
    let mut n_checkpoints = 0;
    for seed in 0..12 {
        let directory = tempfile::tempdir().expect("a directory");
        let mut dice = Dice(seed);
        let mut n_submitted = 0;
        let bytes = [1, 3_000, 20_000][usize::try_from(seed % 3).expect("small")];
        let options = || Options::default().load_period(None).checkpoint_bytes(bytes);
        let mut engine = Engine::open(directory.path(), options()).expect("a store");
        for _ in 0..6 {
            for _ in 0..dice.roll::<u64>(4) {
                live(&engine, &mut dice, &mut n_submitted);
            }
            engine.check_invariants();
            n_checkpoints += engine.checkpoints().n_done;
            let (jobs, totals) = (all_jobs(&engine), engine.fresh_view(SYNC).totals);
            let counted = |status| jobs.iter().filter(|job| job.status == status).count() as u64;
            assert_eq!(counted(JobStatus::Completed), totals.completed, "seed {seed}");
            assert_eq!(counted(JobStatus::Queued), totals.queued, "seed {seed}");
            let (running, queued) = (engine.running(), engine.queued(&[], 1_000));
            if dice.roll::<u64>(2) == 0 {
                engine.close().expect("closed");
            } else {
                drop(engine);
            }
            engine = Engine::open(directory.path(), options()).expect("a store");
            engine.check_invariants();
            assert_eq!(all_jobs(&engine), jobs, "seed {seed}");
            assert_eq!(engine.fresh_view(SYNC).totals, totals, "seed {seed}");
            assert_eq!((engine.running(), engine.queued(&[], 1_000)), (running, queued), "seed {seed}");
        }
    }
    assert!(n_checkpoints > 100, "{n_checkpoints} checkpoints");
    println!("{n_checkpoints} checkpoints");
}

#[test]
fn what_is_answered_before_it_is_on_disk_is_covered_by_the_next_durable_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path()).expect("a store");
    let kind =
        engine.put_job_type(JobTypeSpec::new("a", "1")).expect("room").wait_durable(SYNC).expect("a type");
    let one = |n: u32| {
        Submission::new(SubmissionId::new(&format!("s{n}")).expect("an id")).jobs(JobRequest::new(kind))
    };
    for n in 0..100 {
        let ticket = engine.submit(one(n).buffered()).expect("room");
        engine.pump();
        assert!(ticket.poll().is_some(), "answered as soon as it is applied");
    }
    engine.submit(one(100)).expect("room").wait_durable(SYNC).expect("accepted");
    let again = engine.submit(one(7)).expect("room").wait_durable(SYNC).expect("known");
    assert!(again.is_repeat);
    drop(engine);
    assert_eq!(open(directory.path()).expect("a store").view().totals.queued, 101);
}

/// Damages of a file that need no knowledge of it.
fn damages(bytes: &[u8], dice: &mut Dice) -> Vec<(String, Vec<u8>)> {
    const BLOCK: usize = 4_096;
    let mut all = Vec::new();
    let used: Vec<usize> = (0..bytes.len() / BLOCK)
        .filter(|n| bytes[n * BLOCK..][..BLOCK].iter().any(|byte| *byte != 0))
        .collect();
    for n in &used {
        let mut bad = bytes.to_vec();
        bad[n * BLOCK..][..BLOCK].fill(0);
        all.push((format!("zeros in block {n}"), bad));
        let mut bad = bytes.to_vec();
        let at = n * BLOCK + dice.roll::<usize>(4_096);
        bad[at] ^= 1 << dice.roll::<u8>(8);
        all.push((format!("a flipped bit in byte {at}"), bad));
        let at = n * BLOCK + dice.roll::<usize>(4_096);
        all.push((format!("cut at {at}"), bytes[..at].to_vec()));
    }
    all.push(("empty".to_owned(), Vec::new()));
    all
}

#[test]
fn cut_files_zeroed_blocks_and_flipped_bits_are_refused_or_change_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut dice = Dice(9);
    let options = || Options::default().load_period(None);
    {
        let engine = Engine::open(directory.path(), options()).expect("a store");
        let mut n_submitted = 0;
        (0..4).for_each(|_| live(&engine, &mut dice, &mut n_submitted));
        engine.checkpoint(SYNC).expect("written");
        (0..2).for_each(|_| live(&engine, &mut dice, &mut n_submitted));
    }
    let files = StoreFiles::new(directory.path());
    let sound = [files.log(), files.state()].map(|path| (fs::read(&path).expect("read"), path));
    let put_back = || sound.iter().for_each(|(bytes, path)| fs::write(path, bytes).expect("written"));
    let before = all_jobs(&Engine::open(directory.path(), options()).expect("a store"));
    let (mut n_opened, mut n_refused) = (0, 0);
    for (bytes, path) in &sound {
        for (what, bad) in damages(bytes, &mut dice) {
            put_back();
            fs::write(path, bad).expect("written");
            let what = format!("{}, {what}", path.display());
            match Engine::open(directory.path(), options()) {
                // A job that cannot be read any more is left out, and told.
                Ok(engine) => {
                    let jobs = all_jobs(&engine);
                    assert!(jobs == before || engine.store_error().is_some(), "{what}");
                    n_opened += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("redb"), "{what}: {error}");
                    n_refused += 1;
                }
            }
        }
    }
    println!("{n_refused} refused, {n_opened} opened");
    assert!(n_refused > n_opened, "{n_refused} refused, {n_opened} opened");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_with_its_path() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().expect("a directory");
    fill(directory.path());
    let set =
        |mode| fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).expect("its owner");
    fs::remove_file(StoreFiles::new(directory.path()).lock()).expect("removed");
    set(0o555);
    // Who may write everywhere has nothing to see here.
    let is_refused = fs::write(directory.path().join("other"), "").is_err();
    let opened = open(directory.path());
    set(0o755);
    if is_refused {
        let error = opened.map(|_| ()).expect_err("it cannot be locked").to_string();
        assert!(error.contains("open the lock") && error.contains("Permission denied"), "{error}");
    }
}
