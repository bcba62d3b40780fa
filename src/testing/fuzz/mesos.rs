//! Any bytes as what a Mesos master sends: as a stream of records, and as one event.

use crate::driver::{Event, Records, Resource, Told, named_by, take, task_id};
use crate::model::{NodeResources, cluster_id};

/// All records of `bytes`, which come in pieces of `n`, and how they end.
fn read(bytes: &[u8], n: usize) -> (Vec<Vec<u8>>, Option<String>) {
    let (mut records, mut all) = (Records::default(), Vec::new());
    for mut piece in bytes.chunks(n) {
        loop {
            match records.next(&mut piece) {
                Ok(Some(record)) => all.push(record),
                Ok(None) => break,
                Err(error) => return (all, Some(error.to_string())),
            }
        }
    }
    (all, records.end().err().map(|error| error.to_string()))
}

/// The first byte says how the others are cut: however they are, the records are the same.
pub fn recordio(bytes: &[u8]) {
    let Some((&n, bytes)) = bytes.split_first() else { return };
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(read(bytes, usize::from(n).max(1)), whole);
    let n_bytes: usize = whole.0.iter().map(Vec::len).sum();
    assert!(n_bytes <= bytes.len(), "records are made of what came");
}

/// An event is refused in words or understood; then what is offered is never more than came, and a status means
/// something.
pub fn mesos_event(bytes: &[u8]) {
    match Event::read(bytes) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(Event::Offers(offers)) => {
            for mut offered in offers {
                let amount = |parts: &[Resource]| -> u128 {
                    parts.iter().filter_map(Resource::amount).map(|amount| u128::from(amount.0)).sum()
                };
                let before = amount(&offered.resources);
                let told: u128 = offered.offer.amounts.iter().map(|part| u128::from(part.amount.0)).sum();
                assert_eq!(told, before);
                let need: NodeResources = "cpus:0.5,mem:32".parse().expect("resources");
                let taken = amount(&take(&mut offered.resources, &need));
                // What a fraction cannot hold is rounded down each time it is read.
                assert!(taken + amount(&offered.resources) <= before, "more than there was");
            }
        }
        Ok(Event::Update(status)) => {
            if let Some(name) = named_by(&status.task_id.value) {
                let id = task_id(&cluster_id("a_b", name.job, name.exe_num), name.launch);
                assert_eq!(named_by(&id), Some(name));
            }
            if let Told::Doubt(doubt) = status.read() {
                assert!(doubt.reason.starts_with(&status.state));
            }
        }
        Ok(_) => {}
    }
}
