//! This version reads what older ones wrote: stores under `tests/format`, one folder for each format of the state file.
//!
//! `v3`: state file 3, log 2. A daemon was given jobs of one type and a recipe of two nodes, and closed; another
//! one canceled job 2, paused the type, moved job 3 forward, and was killed.

use std::path::Path;

use weighbridge::{Engine, JobId, JobStatus, Options, check};

fn copy_of(name: &str) -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format").join(name);
    let to = tempfile::tempdir().expect("a directory");
    for file in ["log.redb", "state.redb"] {
        std::fs::copy(from.join(file), to.path().join(file)).expect(file);
    }
    to
}

/// Jobs with their statuses and priorities, the queue in its order, and whether the type is paused.
fn look(engine: &Engine) -> (Vec<(u64, JobStatus, i32)>, Vec<u64>, bool) {
    let jobs =
        engine.jobs(JobId(0), 100).into_iter().map(|job| (job.id.0, job.status, job.priority)).collect();
    let queue = engine.queued(&[], 100).into_iter().map(|entry| entry.job.0).collect();
    let is_paused = engine.view().types.iter().all(|kind| kind.job_type.spec.is_paused);
    (jobs, queue, is_paused)
}

fn assert_sound(directory: &Path) {
    let faults = check(directory, |_| {}).expect("it can be read").faults;
    assert_eq!(faults.list(), []);
}

#[test]
fn a_store_of_format_3_opens_and_is_written_as_a_newer_one() {
    use JobStatus::{Canceled, Pending, Queued};
    let directory = copy_of("v3");
    assert_sound(directory.path());
    let jobs = vec![
        (1, Queued, 100),
        (2, Canceled, 100),
        (3, Queued, 1),
        (4, Queued, 100),
        (5, Queued, 100),
        (6, Queued, 3),
        (7, Queued, 100),
        (8, Pending, 100),
    ];
    let expected = (jobs, vec![3, 6, 1, 4, 5, 7], true);
    for _ in 0..2 {
        let engine = Engine::open(directory.path(), Options::default()).expect("it opens");
        engine.check_invariants();
        assert_eq!(look(&engine), expected);
        engine.close().expect("it closes");
    }
    assert_sound(directory.path());
}
