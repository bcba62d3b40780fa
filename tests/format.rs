//! This version reads what older ones wrote: stores under `tests/format`, one folder for each format of the state file.
//!
//! `v3`: state file 3, log 2. A daemon was given jobs of one type and a recipe of two nodes, and closed; another
//! one canceled job 2, paused the type, moved job 3 forward, and was killed.
//!
//! `v4`: state file 4, log 3, of before types said what their jobs run in. A daemon was given a type with two jobs
//! and one with a manifest, and closed; another one was given a paused type and a job of each, before and after a
//! second revision of the manifest, and was killed.

use std::path::Path;
use std::time::Duration;

use weighbridge::{Durable, Engine, JobId, JobStatus, NodeId, NodeResources, Offer, Options, check};

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

#[test]
fn types_of_before_run_in_what_their_manifest_says_or_in_nothing() {
    let directory = copy_of("v4");
    assert_sound(directory.path());
    for _ in 0..2 {
        let engine = Engine::open(directory.path(), Options::default()).expect("it opens");
        engine.check_invariants();
        let types = engine.view().types.clone();
        let seen: Vec<_> = types.iter().map(|kind| (&kind.job_type.spec, kind.job_type.revision)).collect();
        let of = |n: usize| {
            let (spec, revision) = seen[n];
            (spec.name.as_str(), spec.max_tries, spec.priority, spec.is_paused, revision)
        };
        let expected = [("own", 2, 7, false, 1), ("seed", 3, 100, false, 1), ("held", 3, 100, true, 1)];
        assert_eq!([of(0), of(1), of(2)], expected);
        assert!(seen.iter().all(|(spec, _)| spec.image.is_none() && spec.uris.is_empty()));
        assert_eq!(seen[0].0.env, [("A".to_owned(), "b".to_owned())]);
        engine.close().expect("it closes");
    }
    assert_sound(directory.path());
    let engine = Engine::open(directory.path(), Options::default()).expect("it opens");
    let room = NodeResources::new().cpus("10").expect("cores").mem_mib(1 << 20).disk_mib(1 << 20);
    let mut launches = engine.offer(&Offer::new(NodeId(1), room)).commit();
    let launches = launches.wait(Duration::from_secs(20)).expect("launches");
    let mut seen: Vec<_> = launches
        .into_iter()
        .map(Durable::into_inner)
        .map(|launch| (launch.job.0, launch.image.as_deref().map(str::to_owned), launch.uris.len()))
        .collect();
    seen.sort();
    let image = |n: u32| Some(format!("image:{n}"));
    assert_eq!(seen, [(1, None, 0), (2, None, 0), (3, image(1), 0), (4, image(2), 0)]);
}
