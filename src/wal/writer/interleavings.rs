//! The log's atomics under loom, in every order that two threads can take with at most three
//! preemptions:
//! `RUSTFLAGS="--cfg weighbridge_loom" cargo test --release --no-default-features --lib interleavings`.

use loom::sync::Arc as Counted;
use loom::sync::atomic::AtomicU64 as Disk;

use super::*;
use crate::model::Timestamp;

const IDS: (StoreId, Epoch) = (StoreId(1), Epoch(1));

fn event() -> (Event, u64) {
    (Event::EngineStarted { epoch: Epoch(1), when: Timestamp(0) }, 0)
}

/// A log whose writer is for the test to run.
fn log(release: impl Fn(Durable<u64>) + Send + Sync + 'static) -> Log<u64> {
    let shared = Shared::new(EventNumber(1));
    Log { shared, release: Arc::new(release), thread: Mutex::new(None), has_file: true }
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut loom = loom::model::Builder::new();
    loom.preemption_bound = Some(3);
    loom.check(model);
}

#[test]
fn what_is_called_durable_is_on_disk_before_anything_is_released() {
    check(|| {
        let disk = Counted::new(Disk::new(0));
        let its = disk.clone();
        // What waits for the first event comes after its row.
        let log = log(move |effect| assert!(its.load(Ordering::Relaxed) >= *effect.get()));
        let (shared, releases, its) = (log.shared.clone(), log.release.clone(), disk.clone());
        let writer = loom::thread::spawn(move || {
            let append = |rows: &[Row], _| {
                its.fetch_add(rows.len() as u64, Ordering::Relaxed);
                Ok(())
            };
            shared.write_all(append, IDS, &*releases);
        });
        log.append(&[event()], [1]);
        log.append(&[event()], []);
        // A row has at least one event, and no row is written before the ones before it.
        let durable = log.durable().0;
        let on_disk = disk.load(Ordering::Relaxed);
        assert!(durable == 0 || on_disk >= 1, "{durable} durable, {on_disk} on disk");
        log.shared.gather.lock().is_closed = true;
        log.shared.wake.notify_all();
        writer.join().expect("the writer ends");
        assert_eq!(log.durable(), EventNumber(2));
    });
}

#[test]
fn who_sees_that_the_log_failed_sees_why_and_nothing_is_released_after() {
    check(|| {
        let log = log(|_| panic!("nothing is durable"));
        let (shared, releases) = (log.shared.clone(), log.release.clone());
        let writer = loom::thread::spawn(move || {
            let mut n = 0;
            // It fails once; what comes after that would go through, were it let in.
            let append = |_: &[Row], _| {
                n += 1;
                let error = LogError::Storage { action: "sync the log", cause: "full".into() };
                if n == 1 { Err(error) } else { Ok(()) }
            };
            shared.write_all(append, IDS, &*releases);
        });
        log.append(&[event()], [1]);
        if log.is_failed() {
            assert!(log.failure().is_some());
        }
        log.append(&[event()], [2]);
        log.shared.gather.lock().is_closed = true;
        log.shared.wake.notify_all();
        writer.join().expect("the writer ends");
        assert!(log.is_failed() && log.durable() == EventNumber(0), "nothing after what failed");
    });
}
