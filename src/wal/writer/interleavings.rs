//! The log's atomics under loom, in every order that two threads can take with at most three
//! preemptions:
//! `RUSTFLAGS="--cfg weighbridge_loom" cargo test --release --no-default-features --lib interleavings`.

use std::sync::atomic::AtomicBool as Once;

use loom::sync::Arc as Counted;
use loom::sync::atomic::AtomicU64 as Disk;

use super::*;
use crate::model::Timestamp;

const IDS: (StoreId, Epoch) = (StoreId(1), Epoch(1));

fn event() -> (Event, u64) {
    (Event::EngineStarted { epoch: Epoch(1), when: Timestamp(0) }, 0)
}

/// Counts rows, or fails once.
struct Counts {
    disk: Counted<Disk>,
    fails: Once,
}

impl Rows for Counts {
    fn append(&mut self, rows: &[Row], _: EventNumber) -> Result<(), LogError> {
        if self.fails.swap(false, Ordering::Relaxed) {
            return Err(LogError::Storage { action: "sync the log", cause: "broken".into() });
        }
        self.disk.fetch_add(rows.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn resume(&mut self, rows: &[Row], covered: EventNumber) -> Result<(), LogError> {
        self.append(rows, covered)
    }
}

/// A log whose writer is for the test to run.
fn log(
    disk: &Counted<Disk>,
    fails: bool,
    release: impl Fn(Durable<u64>) + Send + Sync + 'static,
) -> Arc<Shared<u64, Counts>> {
    let file = Counts { disk: disk.clone(), fails: Once::new(fails) };
    Shared::new(Some(file), IDS, EventNumber(1), release)
}

fn append(log: &Shared<u64, Counts>, effects: &[u64]) {
    let mut gather = log.gather.lock();
    if gather.failure.is_none() {
        let (event, hash) = event();
        gather.push(&event, hash).expect("it fits a batch");
        gather.effects.extend(effects);
    }
}

fn close(log: &Shared<u64, Counts>) {
    log.gather.lock().is_closed = true;
    log.wake.notify_all();
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
        let log = log(&disk, false, move |effect| assert!(its.load(Ordering::Relaxed) >= *effect.get()));
        let writer = log.clone();
        let writer = loom::thread::spawn(move || writer.write_until_closed());
        append(&log, &[1]);
        log.wake.notify_one();
        append(&log, &[]);
        log.wake.notify_one();
        // A row has at least one event, and no row is written before the ones before it.
        let durable = log.durable().0;
        let on_disk = disk.load(Ordering::Relaxed);
        assert!(durable == 0 || on_disk >= 1, "{durable} durable, {on_disk} on disk");
        close(&log);
        writer.join().expect("the writer ends");
        assert_eq!(log.durable(), EventNumber(2));
    });
}

#[test]
fn what_is_appended_while_somebody_writes_is_seen_to_and_released_in_order() {
    check(|| {
        let disk = Counted::new(Disk::new(0));
        let newest = Counted::new(Disk::new(0));
        let its = newest.clone();
        let log = log(&disk, false, move |effect| {
            let before = its.swap(*effect.get(), Ordering::Relaxed);
            assert!(before < *effect.get(), "{before} before {}", effect.get());
        });
        let thread = log.clone();
        let thread = loom::thread::spawn(move || thread.write_until_closed());
        // Never woken but by whoever had the file.
        append(&log, &[1]);
        log.help();
        append(&log, &[2]);
        log.help();
        close(&log);
        thread.join().expect("the writer ends");
        assert_eq!((log.durable(), newest.load(Ordering::Relaxed)), (EventNumber(2), 2));
    });
}

#[test]
fn who_sees_that_the_log_failed_sees_why_and_nothing_is_released_after() {
    check(|| {
        // It fails once; what comes after that would go through, were it let in.
        let log = log(&Counted::new(Disk::new(0)), true, |_| panic!("nothing is durable"));
        let writer = log.clone();
        let writer = loom::thread::spawn(move || writer.write_until_closed());
        append(&log, &[1]);
        log.wake.notify_one();
        if log.is_failed() {
            assert!(log.gather.lock().failure.is_some());
        }
        append(&log, &[2]);
        close(&log);
        writer.join().expect("the writer ends");
        assert!(log.is_failed() && log.durable() == EventNumber(0), "nothing after what failed");
    });
}
