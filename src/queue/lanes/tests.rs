//! What the queue promises that the model test is too small to reach.

use super::*;
use crate::model::ID_MAX;
use crate::queue::error::InsertError;
use crate::queue::verdict::{Lack, Verdict};

#[test]
fn lanes_of_requests_that_never_come_again_are_used_again() {
    let mut queue = Queue::default();
    for n in 1..=10_000_u64 {
        let asks = NodeResources::new().with("cpus", crate::model::Quantity(n)).expect("a name");
        let entry = Entry {
            id: ExeId(n),
            job: JobId(n),
            job_type: JobTypeId(u32::try_from(n % 3).expect("small")),
            tenant: TenantId(0),
            constraints: ConstraintSetId(0),
            priority: 0,
            queued: Timestamp(0),
            asks: queue.intern(&asks),
        };
        queue.insert(entry).expect("room");
        if n > 10 {
            assert_eq!(queue.cancel(ExeId(n - 10)).map(|entry| entry.id), Some(ExeId(n - 10)));
        }
    }
    assert_eq!((queue.len(), queue.n_lanes()), (10, 10));
    assert!(queue.lanes.len() <= EMPTY_KEPT + 12 + BLOCK_LEN, "{} lanes", queue.lanes.len());
    queue.check_invariants();
}

fn plain(id: u64, kind: u32) -> Entry {
    Entry {
        id: ExeId(id),
        job: JobId(1),
        job_type: JobTypeId(kind),
        tenant: TenantId(0),
        constraints: ConstraintSetId(0),
        priority: 0,
        queued: Timestamp(0),
        asks: Amounts::default(),
    }
}

#[test]
fn entries_without_a_place_in_the_order_are_refused_and_change_nothing() {
    let too_large = u32::try_from(JOB_TYPES_MAX).expect("it fits") + 1;
    let mut queue = Queue::default();
    queue.insert(plain(1, 1)).expect("room");
    queue.defer(plain(3, 1), Timestamp(5)).expect("room");
    let out_of_range = |id| InsertError::IdOutOfRange { id: ExeId(id) };
    let queued = |id| InsertError::AlreadyQueued { id: ExeId(id) };
    let job_type = InsertError::JobTypeOutOfRange { job_type: JobTypeId(too_large), max: JOB_TYPES_MAX };
    for (bad, error) in [
        (plain(0, 1), out_of_range(0)),
        (plain(ID_MAX + 1, 1), out_of_range(ID_MAX + 1)),
        (plain(2, too_large), job_type),
        (plain(1, 2), queued(1)),
        (plain(3, 2), queued(3)),
    ] {
        assert_eq!(queue.insert(bad), Err(error));
        assert_eq!(queue.defer(bad, Timestamp(9)), Err(error));
        assert_eq!((queue.len(), queue.n_deferred()), (1, 1));
        queue.check_invariants();
    }
    queue.insert(plain(ID_MAX, 1)).expect("room");
    queue.check_invariants();
}

#[test]
fn deferred_entries_come_in_when_due_and_stand_where_they_would_have_stood() {
    let mut queue = Queue::default();
    for (id, until) in [(1, 30), (2, 10), (3, 20)] {
        queue.defer(plain(id, 1), Timestamp(until)).expect("room");
    }
    queue.insert(plain(4, 1)).expect("room");
    let all = Amounts::unlimited();
    assert_eq!((queue.first_fit(&all), queue.next_wake()), (Some(ExeId(4)), Some(Timestamp(10))));
    assert_eq!((queue.wake(Timestamp(9), 10), queue.wake(Timestamp(25), 1)), (0, 1));
    assert_eq!(
        (queue.first_fit(&all), queue.deferred_until(ExeId(3))),
        (Some(ExeId(2)), Some(Timestamp(20)))
    );
    assert!(queue.set_priority(ExeId(1), -1));
    assert_eq!(queue.cancel(ExeId(3)).map(|entry| entry.id), Some(ExeId(3)));
    assert_eq!((queue.wake(Timestamp(100), 10), queue.next_wake()), (1, None));
    assert_eq!(queue.first_fit(&all), Some(ExeId(1)));
    queue.check_invariants();
}

#[test]
fn a_lane_that_does_not_move_says_why() {
    let mut queue = Queue::default();
    let asks = |queue: &mut Queue, cpus: u64, mem: u64, disk: u64| {
        let cpus = NodeResources::new().with("cpus", crate::model::Quantity(cpus)).expect("a name");
        queue.intern(&cpus.mem_mib(mem).disk_mib(disk))
    };
    for (id, kind, cpus, mem, disk) in [
        (1, 1, 1_000, 10, 10),
        (2, 2, 8_000, 10, 10),
        (3, 3, 1_000, 10, 90),
        (4, 3, 1_000, 90, 10),
        (5, 4, 1_000, 1, 1),
    ] {
        let asks = asks(&mut queue, cpus, mem, disk);
        queue.insert(Entry { asks, ..plain(id, kind) }).expect("room");
    }
    queue.insert(plain(6, 5)).expect("room");
    queue.set_paused(JobTypeId(1), true);
    queue.set_limit(JobTypeId(5), Some(0));
    let free = asks(&mut queue, 4_000, 50, 50);
    let verdicts: Vec<_> = queue.verdicts(&free).map(|lane| (lane.job_type.0, lane.verdict)).collect();
    let quantity = crate::model::Quantity;
    let lack = Lack {
        resource: crate::model::ResourceName::new("cpus").expect("a name"),
        asked: quantity(8_000),
        short: quantity(4_000),
    };
    assert_eq!(
        verdicts,
        [
            (1, Verdict::Paused),
            (2, Verdict::Short(vec![lack])),
            (3, Verdict::ShortTogether),
            (4, Verdict::Fits(ExeId(5))),
            (5, Verdict::AtLimit { limit: 0, n_taken: 0 }),
        ]
    );
}

#[test]
fn a_switch_in_slices_comes_into_force_as_a_whole() {
    let mut queue = Queue::default();
    let order = |queue: &Queue| queue.iter(&[]).map(|entry| entry.id.0).collect::<Vec<_>>();
    for id in 1..=600_u32 {
        let entry = Entry { queued: Timestamp(i64::from(id)), ..plain(id.into(), id % 200) };
        queue.insert(entry).expect("room");
    }
    let before = order(&queue);
    queue.start_turn(None, Some(QueueMode::Lifo));
    let mut n_slices = 1;
    while !queue.turn_some(50) {
        n_slices += 1;
        // What comes and goes in between finds its place in both orders.
        let id = ExeId(n_slices * 7);
        let entry = queue.cancel(id).expect("queued");
        queue.check_invariants();
        queue.insert(entry).expect("room");
        queue.check_invariants();
        assert_eq!((order(&queue), queue.mode()), (before.clone(), QueueMode::Fifo));
    }
    assert!(n_slices >= 4, "{n_slices} slices");
    queue.check_invariants();
    let turned: Vec<u64> = before.iter().rev().copied().collect();
    assert_eq!((order(&queue), queue.mode()), (turned.clone(), QueueMode::Lifo));
    // Two switches at once, of which one undoes the other for one type.
    queue.start_turn(None, Some(QueueMode::Fifo));
    assert!(!queue.turn_some(10));
    queue.check_invariants();
    // Asked for again it does not begin anew: 200 lanes and those of vacant slots.
    let n_slices = (1..=1_000).find(|_| {
        queue.start_turn(None, Some(QueueMode::Fifo));
        queue.turn_some(10)
    });
    assert!(n_slices.is_some_and(|n| n <= 30), "{n_slices:?} slices");
    queue.set_mode(QueueMode::Lifo);
    queue.start_turn(None, Some(QueueMode::Fifo));
    assert!(!queue.turn_some(10));
    queue.start_turn(Some(JobTypeId(7)), Some(QueueMode::Lifo));
    while !queue.turn_some(10) {
        assert_eq!(order(&queue), turned);
    }
    queue.check_invariants();
    let of_seven: Vec<u64> = order(&queue).into_iter().filter(|id| id % 200 == 7).collect();
    assert_eq!((of_seven, queue.mode()), (vec![407, 207, 7], QueueMode::Fifo));
}

#[test]
fn a_search_of_no_lanes_ends_and_types_nobody_knows_can_end() {
    let mut queue = Queue::default();
    queue.insert(plain(1, 1)).expect("room");
    let mut search = PositionSearch::new(ExeId(1));
    let found = (0..1_000).map(|_| queue.search_position(&mut search, 0)).last();
    assert_eq!(found, Some(Position::At(0)));
    queue.end(JobTypeId(u32::MAX));
    queue.end(JobTypeId(2));
    queue.check_invariants();
}

#[test]
fn a_lane_is_not_used_again_while_a_pick_may_come_back_to_it() {
    let mut queue = Queue::default();
    let mut with_cpus = |id: u64, cpus: u64| {
        let asks = NodeResources::new().with("cpus", crate::model::Quantity(cpus)).expect("a name");
        Entry { asks: queue.intern(&asks), ..plain(id, 1) }
    };
    let entries: Vec<Entry> = (1..=3_000).map(|n| with_cpus(n, n)).collect();
    // Its lane stands in the list of empty ones when the second entry comes and is picked.
    let [first, again] = [with_cpus(5_000, 9_999), with_cpus(5_001, 9_999)];
    queue.insert(first).expect("room");
    queue.cancel(first.id).expect("queued");
    queue.insert(again).expect("room");
    assert_eq!(queue.pick(again.id), Some(again));
    for entry in &entries {
        queue.insert(*entry).expect("room");
        queue.cancel(entry.id).expect("queued");
    }
    assert!(queue.lanes.len() <= EMPTY_KEPT + 2 + BLOCK_LEN, "{} lanes", queue.lanes.len());
    queue.check_invariants();
    assert!(queue.put_back(again.id));
    queue.check_invariants();
    assert_eq!((queue.get(again.id), queue.len()), (Some(again), 1));
}
