//! Job load through the public interface: the clock, its processors, what is kept, and rows from elsewhere.

#[path = "common/hand_clock.rs"]
mod hand_clock;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hand_clock::HandClock;
use weighbridge::{
    ClockFiring, Engine, JOB_LOAD_RULE, JobRequest, JobTypeId, JobTypeSpec, LoadError, LoadFilter,
    LoadRetention, LoadRow, Options, Service, Submission, SubmissionId, Ticket, TicketError, Timestamp,
};

const SYNC: Duration = Duration::from_secs(30);
const HOUR: i64 = 3_600 * Timestamp::PER_SECOND;

fn done<T: Clone, E: Clone + std::fmt::Debug>(ticket: Result<Ticket<T, E>, weighbridge::IntakeError>) -> T {
    ticket.expect("room").wait_durable(SYNC).expect("done")
}

fn queue(engine: &Engine, name: &str, count: u32) -> JobTypeId {
    let kind = done(engine.put_job_type(JobTypeSpec::new(name, "1")));
    let id = SubmissionId::new(name).expect("a name");
    done(engine.submit(Submission::new(id).jobs(JobRequest::new(kind).count(count))));
    kind
}

fn measured(engine: &Engine) -> Vec<i64> {
    engine.job_load_groups(&LoadFilter::default()).iter().map(|group| group.time.0 / HOUR).collect()
}

fn row(hours: i64, job_type: Option<JobTypeId>, queued: u64) -> LoadRow {
    LoadRow { measured: Timestamp(hours * HOUR), job_type, pending: 0, queued, running: 0 }
}

#[test]
fn each_firing_of_the_clock_is_told_to_every_processor_with_the_one_before() {
    let clock = HandClock::default();
    let engine = Engine::in_memory(Options::default().clock(clock.clone()));
    assert!(engine.register_clock_processor("backup", |_| Ok(())).is_err(), "no rule of that name");
    let n_called = Arc::new(AtomicUsize::new(0));
    let calls = n_called.clone();
    engine
        .register_clock_processor(JOB_LOAD_RULE, move |_| match calls.fetch_add(1, Ordering::Relaxed) {
            0 => Err("this one fails".to_owned()),
            1 => panic!("this one panics"),
            _ => Ok(()),
        })
        .expect("a rule");
    let (ear, heard) = mpsc::channel();
    let hear = move |firing: &ClockFiring| ear.send(firing.clone()).map_err(|error| error.to_string());
    engine.register_clock_processor(JOB_LOAD_RULE, hear).expect("a rule");
    for minutes in [30, 59, 60, 61, 132, 174, 180, 180] {
        clock.set(60 * minutes);
        engine.pump();
        assert!(engine.settle(SYNC));
        engine.run_clock_processors();
    }
    let heard: Vec<ClockFiring> = heard.try_iter().collect();
    let minutes: Vec<i64> = heard.iter().map(|firing| firing.event.occurred.0 * 60 / HOUR).collect();
    assert_eq!((minutes.as_slice(), n_called.load(Ordering::Relaxed)), ([60, 132, 180].as_slice(), 3));
    assert_eq!(heard[0].previous, None);
    assert_eq!(heard[1].previous.as_ref(), Some(&heard[0].event));
    assert_eq!((heard[0].event.kind.as_str(), heard[0].rule), ("CLOCK", "scale-job-load"));
    assert_ne!(heard[0].event.id, heard[1].event.id);
    assert_eq!(measured(&engine), [1, 2, 3]);
}

#[test]
fn a_service_calls_the_processors() {
    let engine = Engine::in_memory(Options::default().load_period(Some(Duration::from_millis(10))));
    let (told, heard) = mpsc::channel();
    engine
        .register_clock_processor(JOB_LOAD_RULE, move |firing| {
            told.send(firing.clone()).map_err(|e| e.to_string())
        })
        .expect("a rule");
    let service = Service::start_without_driver(engine).expect("threads");
    heard.recv_timeout(SYNC).expect("it fires");
    service.stop();
}

#[test]
fn rows_from_elsewhere_and_measurements_on_demand_do_not_move_the_clock() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = HandClock::default();
    clock.set(60 * 6_030);
    let options = || Options::default().clock(clock.clone());
    let engine = Engine::open(directory.path(), options()).expect("a store");
    let kind = queue(&engine, "a", 3);
    assert_eq!(done(engine.put_job_loads(vec![row(3, Some(kind), 7), row(1, None, 0)])), 2);
    assert_eq!(done(engine.put_job_loads(vec![row(3, Some(kind), 7), row(3, None, 0)])), 1, "one is known");
    done(engine.calculate_load());
    engine.pump();
    assert_eq!(measured(&engine), [1, 3, 100], "nothing is due");
    clock.set(60 * 6_060);
    engine.pump();
    assert_eq!(measured(&engine), [1, 3, 100, 101]);
    let refused = |rows: Vec<LoadRow>| match engine.put_job_loads(rows).expect("room").wait_durable(SYNC) {
        Err(TicketError::Refused(error)) => error,
        settled => panic!("{settled:?}"),
    };
    assert_eq!(refused(vec![row(1, Some(JobTypeId(9)), 1)]), LoadError::UnknownJobType(JobTypeId(9)));
    assert_eq!(refused(vec![row(1, None, 1 << 32)]), LoadError::TooLarge { count: 1 << 32 });
    assert_eq!(refused(vec![row(102, None, 0)]), LoadError::Future { measured: Timestamp(102 * HOUR) });
    assert_eq!(refused(vec![row(1, None, 0); 10_001]), LoadError::TooMany { rows: 10_001 });
    let before = engine.get_job_loads(&LoadFilter::default());
    assert_eq!(before.len(), 5);
    drop(engine);
    clock.set(60 * 6_090);
    let engine = Engine::open(directory.path(), options()).expect("the store");
    engine.pump();
    assert_eq!(engine.get_job_loads(&LoadFilter::default()), before, "the last firing was remembered");
    engine.close().expect("closed");
    let engine = Engine::open(directory.path(), options()).expect("the store");
    assert_eq!(engine.get_job_loads(&LoadFilter::default()), before);
    clock.set(60 * 6_120);
    engine.pump();
    assert_eq!(measured(&engine), [1, 3, 100, 101, 102]);
    let by_total =
        LoadFilter { order: vec!["-total_count".parse().expect("a column")], ..LoadFilter::default() };
    assert_eq!(engine.get_job_loads(&by_total)[0].queued, 7);
    let named = LoadFilter { job_type_names: vec!["a".to_owned()], ..LoadFilter::default() };
    assert_eq!(engine.job_load_groups(&named).len(), 4);
    let nothing = LoadFilter { job_type_ids: vec![JobTypeId(2)], ..named };
    assert_eq!(engine.job_load_groups(&nothing), []);
}

#[test]
fn old_measurements_are_thinned_with_age_and_stay_so_when_the_store_opens_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = HandClock::default();
    let mut keep = LoadRetention::ALL;
    (keep.age, keep.thin_after) = (Some(Duration::from_hours(96)), Some(Duration::from_hours(24)));
    keep.thin_to = Duration::from_hours(12);
    let options = || Options::default().clock(clock.clone()).load_retention(keep).checkpoint_bytes(1 << 14);
    let mut engine = Engine::open(directory.path(), options()).expect("a store");
    queue(&engine, "a", 3);
    let mut told = Vec::new();
    for hour in 1..=150 {
        clock.set(3_600 * hour);
        engine.pump();
        if hour % 40 == 0 {
            told.push(measured(&engine));
            if hour % 80 == 0 {
                engine.close().expect("closed");
            } else {
                assert!(engine.checkpoint(SYNC).is_some());
                drop(engine);
            }
            engine = Engine::open(directory.path(), options()).expect("the store");
            assert_eq!(Some(&measured(&engine)), told.last());
        }
    }
    let rest = |from: i64, to: i64| (from..=to).collect::<Vec<_>>();
    assert_eq!(told[0], [vec![1, 12], rest(16, 40)].concat());
    assert_eq!(measured(&engine), [vec![60, 72, 84, 96, 108, 120], rest(126, 150)].concat());
    assert_eq!(engine.load(Timestamp(0), None).len(), 31, "one type");
}
