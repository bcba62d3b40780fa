//! What a store promises while its files cannot be written, and when the clock runs back: nothing that
//! was acknowledged is lost, nothing is acknowledged that is not on disk, and the error says what to do.
//!
//! Allowed faults: see `testing/traced.rs`; and a clock that shows any instant.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use super::{Engine, JobsError, Options, Outgoing, SubmitError, TicketError};
use crate::clock::Clock;
use crate::intake::IntakeError;
use crate::limits::JOB_TYPE_BYTES_MAX;
use crate::model::{
    Accepted, Event, Job, JobId, JobRequest, JobStatus, JobTypeId, JobTypeSpec, NodeId, NodeResources,
    Submission, SubmissionId, Timestamp,
};
use crate::offer::Offer;
use crate::store::OpenError;
use crate::sync::{AtomicI64, Ordering};
use crate::testing::TracedDisk;
use crate::wal::Disk;

const WAIT: Duration = Duration::from_secs(10);

fn open(disk: &TracedDisk, options: Options) -> Result<Engine, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Engine::open_on(&disk, options.load_period(None))
}

fn put_type(engine: &Engine) -> JobTypeId {
    let spec = JobTypeSpec::new("a", "1").command(["run"]).needs(NodeResources::new().mem_mib(1));
    engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type")
}

fn submission(kind: JobTypeId, n: u32) -> Submission {
    Submission::new(SubmissionId::new(&format!("s{n}")).expect("an id")).jobs(JobRequest::new(kind).count(2))
}

/// Whether a submission was answered as durable.
fn submit(engine: &Engine, kind: JobTypeId, n: u32) -> Result<Accepted, String> {
    let ticket = engine.submit(submission(kind, n)).map_err(|error| match error {
        IntakeError::LogFailed => error.to_string(),
        other => panic!("{other}"),
    })?;
    ticket.wait_durable(WAIT).map_err(|error: TicketError<SubmitError>| match error {
        TicketError::Lost => error.to_string(),
        other => panic!("{other}"),
    })
}

fn jobs(engine: &Engine) -> Vec<Job> {
    engine.jobs(JobId(0), 1_000)
}

/// The two ways in which a file cannot be written any more, and what is said of them.
const REFUSALS: [(ErrorKind, &str); 2] = [
    (ErrorKind::ReadOnlyFilesystem, "mount its file system for writing, then open the store again"),
    (ErrorKind::PermissionDenied, "let this user write its files, then open the store again"),
];

#[test]
fn a_store_that_can_no_longer_be_written_acknowledges_nothing_and_says_what_to_do() {
    for (kind, way_on) in REFUSALS {
        let disk = TracedDisk::default();
        let engine = open(&disk, Options::default()).expect("a new store");
        let job_type = put_type(&engine);
        for n in 0..5 {
            submit(&engine, job_type, n).expect("accepted");
        }
        let before = jobs(&engine);
        disk.set_refusing(Some(kind));
        submit(&engine, job_type, 5).expect_err("it is not on disk");
        let picks = engine.offer(&Offer::new(NodeId(1), NodeResources::new().mem_mib(100)));
        assert!(picks.commit().wait(WAIT).is_err(), "nothing is launched that is not on record");
        let said = submit(&engine, job_type, 6).expect_err("the log has failed");
        assert!(said.contains("open the store again"), "{said}");
        let cause = engine.failure().expect("it has failed").to_string();
        assert!(cause.contains(way_on), "{cause}");
        drop(engine);
        // Opening it writes that a new incarnation begins, and does not get far.
        match open(&disk, Options::default()) {
            Ok(engine) => {
                submit(&engine, job_type, 7).expect_err("it cannot be written");
                assert!(engine.failure().expect("it has failed").to_string().contains(way_on));
            }
            Err(error) => assert!(error.to_string().contains(way_on), "{error}"),
        }
        disk.set_refusing(None);
        let engine = open(&disk, Options::default()).expect("it can be written again");
        engine.check_invariants();
        assert_eq!(jobs(&engine)[..before.len()], before, "{kind}: what was acknowledged is there");
        let again = submit(&engine, job_type, 5).expect("accepted");
        assert!(!again.is_repeat, "{kind}: what was not acknowledged is not there");
    }
}

#[test]
fn a_state_file_that_can_no_longer_be_written_is_told_of_and_the_log_goes_on() {
    for (kind, way_on) in REFUSALS {
        let disk = TracedDisk::default();
        let engine = open(&disk, Options::default()).expect("a new store");
        let job_type = put_type(&engine);
        submit(&engine, job_type, 0).expect("accepted");
        disk.set_state_refusing(Some(kind));
        assert_eq!(engine.checkpoint(WAIT), None);
        let said = engine.store_error().expect("it is told");
        assert!(said.contains(way_on), "{said}");
        submit(&engine, job_type, 1).expect("the log takes it");
        let before = jobs(&engine);
        drop(engine);
        disk.set_state_refusing(None);
        let engine = open(&disk, Options::default()).expect("it opens");
        assert_eq!(jobs(&engine), before);
        engine.checkpoint(WAIT).expect("it can be written again");
    }
}

#[test]
fn jobs_whose_values_cannot_be_read_wait_and_use_up_no_try() {
    let disk = TracedDisk::default();
    let engine = open(&disk, Options::default()).expect("a new store");
    let spec = JobTypeSpec::new("a", "1").command(["run", "{x}"]).needs(NodeResources::new().mem_mib(1));
    let kind = engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type");
    let id = SubmissionId::new("s").expect("an id");
    let values = JobRequest::new(kind).values([("x", "7")]);
    let ticket = engine.submit(Submission::new(id).jobs(values)).expect("room");
    let job = ticket.wait_durable(WAIT).expect("accepted").first_job;
    // What it was given is in the file alone from here on.
    engine.close().expect("closed");
    let engine = open(&disk, Options::default()).expect("opened");
    // As after a write that failed: the storage answers nothing any more.
    engine.0.outside.tables.close_file();
    let node = Offer::new(NodeId(1), NodeResources::new().mem_mib(1));
    let launch = |engine: &Engine| {
        assert_eq!(engine.offer(&node).hand_over(), 1);
        engine.outgoing(WAIT)
    };
    for _ in 0..30 {
        assert!(launch(&engine).is_empty());
        engine.pump();
    }
    assert!(engine.store_error().is_some(), "it is told");
    // It may be over, for all that can be read.
    let refused = engine.cancel(vec![JobId(999)]).expect("room").wait_durable(WAIT);
    assert!(matches!(refused, Err(TicketError::Refused(JobsError::Unreadable { .. }))), "{refused:?}");
    engine.check_invariants();
    drop(engine);
    let engine = open(&disk, Options::default()).expect("opened");
    let found = engine.job(job).expect("there");
    assert_eq!((found.status, found.tries), (JobStatus::Queued, 0), "{found:?}");
    let out = launch(&engine);
    assert!(matches!(&out[..], [Outgoing::Launch(launch)] if launch.get().command[1] == "7"), "{out:?}");
}

#[test]
fn an_engine_is_closed_also_while_no_room_keeps_its_intake_full() {
    let disk = TracedDisk::default();
    let engine = open(&disk, Options::default()).expect("a new store");
    let kind = put_type(&engine);
    disk.set_full(Some(0));
    let held = engine.submit(submission(kind, 0)).expect("nobody knows yet");
    assert!(held.wait_durable(Duration::from_millis(50)).is_err());
    while !engine.is_disk_full() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let text = "long".repeat(JOB_TYPE_BYTES_MAX / 8);
    while !engine.0.is_full() {
        let id = JobTypeId(1_000);
        let event = Event::JobTypePut { id, spec: JobTypeSpec::new("b", &*text), when: Timestamp(0) };
        assert!(engine.0.log.append(&[(event, 0)], []));
    }
    let (promise, waiting) = super::ticket::Promise::new(engine.pump_of());
    assert!(engine.0.intake.push_command(super::command::Command::Pause(kind, true, promise)).is_ok());
    engine.close().expect_err("there was no room");
    assert!(matches!(waiting.wait_durable(WAIT), Err(TicketError::Lost)));
    assert!(matches!(held.wait_durable(WAIT), Err(TicketError::Lost)), "W4: also what was being written");
}

#[derive(Clone, Default)]
struct HandClock(Arc<AtomicI64>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[test]
fn time_never_runs_back_while_an_engine_runs_nor_over_a_restart() {
    let (disk, clock) = (TracedDisk::default(), HandClock::default());
    let options = || Options::default().clock(clock.clone());
    let (mut latest, mut n_submitted) = (Timestamp(0), 0);
    // Forwards and back, beyond the epoch too, and closed well as often as not.
    for (n, seconds) in [1_000, 900, 10, 1_100, -50, 1_050, 2_000, 0].into_iter().enumerate() {
        let engine = open(&disk, options()).expect("a store");
        for step in [0, -7, 3, -100] {
            clock.0.store((seconds + step) * Timestamp::PER_SECOND, Ordering::Relaxed);
            let kind = put_type(&engine);
            submit(&engine, kind, n_submitted).expect("accepted");
            n_submitted += 1;
            let made = jobs(&engine).pop().expect("just made");
            assert!(made.created >= latest, "{made:?} after {latest:?}");
            latest = made.created;
        }
        engine.check_invariants();
        if n % 2 == 0 {
            engine.close().expect("closed");
        }
    }
    let engine = open(&disk, options()).expect("a store");
    let made: Vec<Timestamp> = jobs(&engine).iter().map(|job| job.created).collect();
    assert!(made.is_sorted(), "{made:?}");
    assert_eq!(made.last(), Some(&Timestamp(2_003 * Timestamp::PER_SECOND)));
}
