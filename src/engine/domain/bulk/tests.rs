//! Bulk operations, step by step.

use super::*;
use crate::engine::Options;
use crate::launch::{StatusUpdate, TaskState};
use crate::model::{
    JobRequest, JobTypeId, JobTypeSpec, NodeId, NodeResources, Outcome, Submission, SubmissionId, Usage,
};
use crate::offer::Offer;
use crate::testing::TracedDisk;
use crate::wal::Disk;

const WAIT: Duration = Duration::from_secs(20);

/// An engine with `n` queued jobs, the only ones, that are tried once.
fn engine_with(n: usize) -> (Engine, JobTypeId) {
    let engine = Engine::in_memory(Options::default());
    let kind = fill(&engine, n);
    (engine, kind)
}

fn fill(engine: &Engine, n: usize) -> JobTypeId {
    let kind = engine.put_job_type(JobTypeSpec::new("kind", "1").max_tries(1)).expect("room");
    let kind = kind.wait_durable(WAIT).expect("a type");
    let id = SubmissionId::new("many").expect("a name");
    let jobs = JobRequest::new(kind).count(u32::try_from(n).expect("few"));
    engine.submit(Submission::new(id).jobs(jobs)).expect("room").wait_durable(WAIT).expect("jobs");
    kind
}

fn launch_all(engine: &Engine) {
    engine.offer(&Offer::new(NodeId(1), NodeResources::new())).commit().wait(WAIT).expect("durable");
}

/// One of the jobs that run fails for good.
fn fail(engine: &Engine, job: JobId) {
    let name = engine.running().into_iter().find(|run| run.job == job).expect("it runs").name;
    let state = TaskState::Ended { outcome: Outcome::Exited { code: 1 }, usage: Usage::default() };
    let update = StatusUpdate { name, state, when: engine.now() };
    engine.status(update).expect("room").wait_durable(WAIT).expect("taken");
}

fn order(engine: &Engine, kind: BulkKind, filter: JobFilter) -> BulkOperation {
    let id = engine.bulk(kind, filter, None).expect("room").wait_durable(WAIT).expect("an order");
    known(engine, id)
}

fn known(engine: &Engine, id: BulkId) -> BulkOperation {
    engine.look_at_core(|core| core.known_bulk(id)).expect("it is kept")
}

fn step_all(engine: &Engine) {
    while engine.bulk_step().expect("a step") {}
    engine.check_invariants();
}

/// All jobs, the newest first.
fn listed(engine: &Engine) -> Vec<Job> {
    let mut jobs = engine.jobs(JobId(0), BULK_IDS);
    jobs.reverse();
    jobs
}

fn standing(engine: &Engine, id: u64) -> (JobStatus, u32) {
    let job = engine.job(JobId(id)).expect("a job");
    (job.status, job.num_exes)
}

#[test]
fn jobs_that_are_too_rare_to_be_listed_are_found_all_the_same() {
    let n = 2 * BULK_IDS + 7;
    let (engine, kind) = engine_with(n);
    let id = order(&engine, BulkKind::Cancel, JobFilter::default().job_types([kind])).id;
    let mut n_steps = 0;
    while let Some(bulk) = engine.look_at_core(Core::running_bulk) {
        engine.window_step(&bulk, &of_use(&bulk.filter, bulk.kind)).expect("a step");
        n_steps += 1;
    }
    assert_eq!(n_steps, 3);
    let bulk = known(&engine, id);
    assert_eq!((bulk.phase, bulk.n_changed), (BulkPhase::Done, n as u64));
    assert!(engine.bulk_wait(id, Duration::ZERO));
    engine.check_invariants();
}

#[test]
fn a_job_that_ends_after_it_was_read_is_read_again_and_nothing_goes_on_before_that() {
    let n = BULK_JOBS + 4;
    let (engine, kind) = engine_with(n);
    launch_all(&engine);
    let bulk = order(&engine, BulkKind::Cancel, JobFilter::default().job_types([kind]));
    let jobs = listed(&engine);
    let (first, second) = jobs.split_at(BULK_JOBS);
    let facts = engine.facts(&[first[0].id, first[1].id]).expect("read");
    fail(&engine, first[0].id);
    fail(&engine, first[1].id);
    let to = |jobs: &[Job]| jobs.last().map_or(0, |job| job.id.0);
    let read: Vec<Listed> = first.iter().map(Listed::of).collect();
    let place = (bulk.cursor, to(first));
    let refused = engine.call_here(|_, core, now| core.bulk_jobs(bulk.id, &read, &facts, place, now));
    let refused = refused.expect("room").wait_durable(WAIT);
    assert_eq!(refused, Err(TicketError::Refused(JobsError::Changing(first[0].id))));
    // What the same step hands in behind it.
    let behind = engine.hand_in(bulk.id, second, (to(first), to(second))).expect("room");
    behind.wait_durable(WAIT).expect("nothing is done");
    let end = engine.call(move_on(bulk.id, to(second))).expect("room");
    end.wait_durable(WAIT).expect("nothing is done");
    assert_eq!(known(&engine, bulk.id), bulk);
    step_all(&engine);
    let done = known(&engine, bulk.id);
    assert_eq!((done.phase, done.n_seen, done.n_changed), (BulkPhase::Done, n as u64, n as u64));
    assert!(listed(&engine).iter().all(|job| job.status == JobStatus::Canceled));
}

#[test]
fn a_cancel_is_taken_back_also_of_a_job_that_ends_in_that_moment() {
    let (engine, kind) = engine_with(2);
    launch_all(&engine);
    let bulk = order(&engine, BulkKind::Cancel, JobFilter::default().job_types([kind]));
    step_all(&engine);
    let part = DocKey { kind: kind::BULK_PART, id: bulk.id.0, sub: 0 };
    let Some(Doc::BulkPart(part)) = engine.doc(part).as_deref().cloned() else { panic!("a part") };
    let undo = engine.bulk_undo(bulk.id).expect("room").wait_durable(WAIT).expect("an order");
    let facts = engine.facts(&[JobId(1), JobId(2)]).expect("read");
    fail(&engine, JobId(2));
    fail(&engine, JobId(1));
    let refused = engine.call_here(|_, core, now| core.undo_part(undo, &part, &facts, now));
    let refused = refused.expect("room").wait_durable(WAIT);
    assert!(matches!(refused, Err(TicketError::Refused(JobsError::Changing(_)))), "{refused:?}");
    step_all(&engine);
    assert_eq!(known(&engine, undo).n_changed, 2);
    assert_eq!([1, 2].map(|id| standing(&engine, id)), [(JobStatus::Queued, 2); 2]);
}

#[test]
fn jobs_that_the_filter_lets_through_no_more_are_left_alone() {
    let (engine, _) = engine_with(3);
    launch_all(&engine);
    (1..=3).for_each(|id| fail(&engine, JobId(id)));
    let failed = || JobFilter::default().statuses([JobStatus::Failed]);
    let bulk = order(&engine, BulkKind::Requeue, failed());
    let jobs = listed(&engine);
    // Somebody else queues one of them again, and it fails once more; and one is canceled.
    engine.requeue(vec![JobId(3)], None).expect("room").wait_durable(WAIT).expect("queued");
    launch_all(&engine);
    fail(&engine, JobId(3));
    engine.cancel(vec![JobId(2)]).expect("room").wait_durable(WAIT).expect("canceled");
    engine.hand_in(bulk.id, &jobs, (bulk.cursor, 1)).expect("room").wait_durable(WAIT).expect("done");
    assert_eq!((known(&engine, bulk.id).n_seen, known(&engine, bulk.id).n_changed), (3, 1));
    assert_eq!(standing(&engine, 3), (JobStatus::Failed, 2));
    assert_eq!(standing(&engine, 2), (JobStatus::Canceled, 1));
    assert_eq!(standing(&engine, 1), (JobStatus::Queued, 2));
    step_all(&engine);
    // And a cancel of what waits spares what began meanwhile.
    let bulk = order(&engine, BulkKind::Cancel, JobFilter::default().statuses([JobStatus::Queued]));
    let jobs = listed(&engine);
    launch_all(&engine);
    engine.hand_in(bulk.id, &jobs[2..], (bulk.cursor, 1)).expect("room").wait_durable(WAIT).expect("done");
    assert_eq!(standing(&engine, 1), (JobStatus::Running, 2));
    assert_eq!(known(&engine, bulk.id).n_changed, 0);
}

/// Operations that are over and changed nothing.
fn idle(engine: &Engine, n: usize) {
    for _ in 0..n {
        let bulk = order(engine, BulkKind::Cancel, JobFilter::default().jobs([]));
        engine.bulk_stop(bulk.id).expect("room").wait_durable(WAIT).expect("stopped");
    }
}

#[test]
fn the_oldest_operation_is_taken_back_before_it_is_forgotten() {
    let (engine, kind) = engine_with(1);
    let first = order(&engine, BulkKind::Cancel, JobFilter::default().job_types([kind])).id;
    step_all(&engine);
    assert_eq!(standing(&engine, 1), (JobStatus::Canceled, 1));
    idle(&engine, BULKS_KEPT);
    let undo = engine.bulk_undo(first).expect("room").wait_durable(WAIT).expect("an order");
    // What is ordered meanwhile does not have it forgotten either.
    idle(&engine, 2);
    step_all(&engine);
    assert_eq!(known(&engine, undo).n_changed, 1);
    assert_eq!(standing(&engine, 1), (JobStatus::Queued, 1));
    assert_eq!(engine.look_at_core(|core| core.known_bulk(first)), Err(BulkError::Unknown(first)));
    assert_eq!(engine.look_at_core(|core| core.bulks().count()), BULKS_KEPT);
}

#[test]
fn what_a_large_operation_changed_is_forgotten_some_at_a_time() {
    let (engine, _) = engine_with(1);
    let bulk = order(&engine, BulkKind::Cancel, JobFilter::default().jobs([]));
    step_all(&engine);
    let (id, n_parts) = (bulk.id, 2 * BULK_PARTS_DROPPED + 7);
    let many = BulkOperation { phase: BulkPhase::Done, n_parts, ..bulk };
    let put = engine.call(move |core, _| -> Result<(), BulkError> {
        core.put(Doc::Bulk(many));
        (0..n_parts).for_each(|part| core.put(Doc::BulkPart(BulkPart { bulk: id, part, jobs: Vec::new() })));
        Ok(())
    });
    put.expect("room").wait_durable(WAIT).expect("put");
    let n_left = || {
        let key = |sub| DocKey { kind: kind::BULK_PART, id: id.0, sub };
        u32::try_from(engine.docs((key(0), key(u64::MAX)), false, 10_000).len()).expect("few")
    };
    idle(&engine, BULKS_KEPT);
    assert_eq!(n_left(), n_parts);
    for n in [1, 2] {
        assert!(engine.bulk_step().expect("a step"));
        assert_eq!(n_left(), n_parts - n * BULK_PARTS_DROPPED);
        let undo = engine.bulk_undo(id).expect("room").wait_durable(WAIT);
        assert_eq!(undo, Err(TicketError::Refused(BulkError::Unknown(id))), "some of it is forgotten");
    }
    step_all(&engine);
    assert_eq!(n_left(), 0);
    assert_eq!(engine.look_at_core(|core| core.bulks().count()), BULKS_KEPT);
}

#[test]
fn what_cannot_be_read_is_not_taken_for_what_is_not_there() {
    let disk: Arc<dyn Disk> = Arc::new(TracedDisk::default());
    let open = || Engine::open_on(&disk, Options::default().load_period(None)).expect("a store");
    let engine = open();
    let filter = JobFilter::default().job_types([fill(&engine, 2)]);
    let first = order(&engine, BulkKind::Cancel, filter.clone()).id;
    step_all(&engine);
    let undo = engine.bulk_undo(first).expect("room").wait_durable(WAIT).expect("an order");
    let last = order(&engine, BulkKind::Cancel, filter);
    let before = known(&engine, undo);
    engine.checkpoint(WAIT).expect("written");
    // As after a write for which there was no room: the storage answers nothing any more.
    engine.0.outside.tables.close_file();
    let step = engine.bulk_step();
    assert!(matches!(step, Err(BulkError::Jobs { .. })), "{step:?}");
    let step = engine.window_step(&last, &last.filter);
    assert!(matches!(step, Err(BulkError::Jobs { .. })), "{step:?}");
    assert_eq!((known(&engine, undo), known(&engine, last.id)), (before, last.clone()));
    drop(engine);
    let engine = open();
    step_all(&engine);
    assert_eq!([undo, last.id].map(|id| known(&engine, id).n_changed), [2, 2]);
}

#[test]
fn a_filter_of_more_recipes_than_a_list_takes_is_refused() {
    let engine = Engine::in_memory(Options::default());
    let recipes = (0..=LIST_IDS_MAX as u64).map(crate::model::RecipeId);
    let ordered = engine.bulk(BulkKind::Cancel, JobFilter::default().recipes(recipes), None);
    let refused = ordered.expect("room").wait_durable(WAIT);
    assert_eq!(
        refused,
        Err(TicketError::Refused(BulkError::TooManyIds { n: LIST_IDS_MAX + 1, max: LIST_IDS_MAX }))
    );
}
