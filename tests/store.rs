//! What a store promises when it is opened again, opened twice, or is not what it was.

use std::fs;
use std::path::Path;
use std::time::Duration;

use weighbridge::{
    Engine, JobRequest, JobStatus, JobTypeSpec, NodeId, NodeResources, Offer, OpenError, Options, RecipeNode,
    RecipeRequest, StatusUpdate, StoreFiles, Submission, SubmissionId, TaskState, Usage,
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
    let state = TaskState::Ended { outcome: weighbridge::Outcome::Exited { code }, usage: Usage::default() };
    let update = StatusUpdate { name: run.name, state, when: engine.now() };
    engine.status(update).expect("room").wait_durable(SYNC).expect("taken");
}

fn statuses(engine: &Engine) -> Vec<JobStatus> {
    engine.jobs(weighbridge::JobId(0), 10).iter().map(|job| job.status).collect()
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
