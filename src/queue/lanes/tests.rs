//! What the queue promises that the model test is too small to reach.

use super::*;

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
        queue.insert(entry);
        if n > 10 {
            assert_eq!(queue.cancel(ExeId(n - 10)).map(|entry| entry.id), Some(ExeId(n - 10)));
        }
    }
    assert_eq!((queue.len(), queue.n_lanes()), (10, 10));
    assert!(queue.lanes.len() <= EMPTY_KEPT + 12, "{} lanes", queue.lanes.len());
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
    queue.insert(plain(1, 1));
    for bad in [plain(0, 1), plain(ID_MAX + 1, 1), plain(2, too_large), plain(1, 2)] {
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| queue.insert(bad)));
        assert!(refused.is_err(), "{bad:?}");
        assert_eq!(queue.len(), 1);
        queue.check_invariants();
    }
    queue.insert(plain(ID_MAX, 1));
    queue.check_invariants();
}
