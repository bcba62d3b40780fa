//! `inspect` and `check`: a sound store has no fault, each kind of damage is named, and not a byte of a
//! store is changed by looking at it.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Daemon, Place};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tempfile::TempDir;
use weighbridge::{
    CheckReport, Engine, EventNumber, FaultKind, Inspection, JobId, JobRequest, JobTypeSpec, NodeId,
    NodeResources, Offer, OpenError, Options, Outcome, RecipeNode, RecipeRequest, StatusUpdate, StoreFiles,
    Submission, SubmissionId, TaskState, Usage, check, inspect,
};

const SYNC: Duration = Duration::from_secs(10);

type Values<K> = TableDefinition<'static, K, &'static [u8]>;

const SEGMENTS: Values<u32> = TableDefinition::new("segments");
const DIRECTORY: Values<u32> = TableDefinition::new("directory");
const CREATIONS: Values<u64> = TableDefinition::new("creations");
const PLACES: Values<u64> = TableDefinition::new("places");
const TYPES: Values<u32> = TableDefinition::new("job_types");
const COUNTS: Values<u32> = TableDefinition::new("counts");
const SUBMISSIONS: Values<u64> = TableDefinition::new("submissions");
const LOAD: Values<(i64, u32)> = TableDefinition::new("load");
const META: Values<&str> = TableDefinition::new("meta");
const LOG: Values<u64> = TableDefinition::new("log");

fn open(directory: &Path) -> Engine {
    Engine::open(directory, Options::default().load_period(None)).expect("a store")
}

fn submit(engine: &Engine, id: &str, n: u32) {
    let mut submission = Submission::new(SubmissionId::new(id).expect("an id"));
    let kind = |name: &str| {
        let spec =
            JobTypeSpec::new(name, "1").needs(NodeResources::new().mem_mib(10)).command(["run", "{n}"]);
        engine.put_job_type(spec).expect("room").wait_durable(SYNC).expect("a type")
    };
    let (one, two) = (kind("one"), kind("two"));
    for kind in [one, two] {
        let own = NodeResources::new().mem_mib(3);
        submission = submission.jobs(JobRequest::new(kind).values([("n", id)]).needs(own).count(n));
    }
    let node = |name: &str, parents: &[u32]| RecipeNode {
        name: name.into(),
        job: JobRequest::new(one).values([("n", name)]),
        parents: parents.to_vec(),
    };
    let nodes = vec![node("a", &[]), node("b", &[0]), node("c", &[0, 1])];
    submission = submission.recipe(RecipeRequest { name: "row".into(), nodes });
    engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted");
}

/// Runs what fits; every third of it fails for good, every fourth goes on running.
fn run(engine: &Engine, mem_mib: u64) {
    let picks = engine.offer(&Offer::new(NodeId(1), NodeResources::new().mem_mib(mem_mib)));
    for (n, launch) in picks.commit().wait(SYNC).expect("durable").into_iter().enumerate() {
        let outcome = match n % 4 {
            0 => continue,
            1 => Outcome::NotStarted { reason: "no such file".into() },
            _ => Outcome::Exited { code: 0 },
        };
        let state = TaskState::Ended { outcome, usage: Usage::default() };
        let update = StatusUpdate { name: launch.get().name, state, when: engine.now() };
        engine.status(update).expect("room").wait_durable(SYNC).expect("taken");
    }
}

/// A store with several segments, replaced rows in them, recipes, jobs of every sort, and a tail in the
/// log of several rows.
fn filled() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path());
    submit(&engine, "first", 2_500);
    engine.close().expect("closed");
    let engine = open(directory.path());
    run(&engine, 200);
    let jobs = (40..60).map(JobId).collect();
    engine.cancel(jobs).expect("room").wait_durable(SYNC).expect("done");
    engine.close().expect("closed");
    let engine = open(directory.path());
    submit(&engine, "second", 5);
    run(&engine, 30);
    drop(engine);
    directory
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().expect("a directory");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        fs::copy(entry.path(), to.path().join(entry.file_name())).expect("copied");
    }
    to
}

fn bytes_of(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable").path());
    let files = entries.filter(|path| path.is_file());
    files.map(|path| (path.clone(), fs::read(path).expect("readable"))).collect()
}

/// Both looks at a store, which must not change it.
#[track_caller]
fn look(directory: &Path) -> (Inspection, CheckReport) {
    let before = bytes_of(directory);
    let found = inspect(directory, None).expect("inspected");
    let mut steps = Vec::new();
    let report = check(directory, |progress| steps.push(progress.step)).expect("checked");
    assert_eq!(steps.last(), Some(&"opening it"), "{steps:?}");
    assert!(bytes_of(directory) == before, "a look changed the store");
    (found, report)
}

#[track_caller]
fn assert_sound(directory: &Path) -> (Inspection, CheckReport) {
    let (found, report) = look(directory);
    assert_eq!(report.faults.list(), []);
    assert_eq!(found.faults.list(), []);
    assert!(found.opens.is_ok(), "{:?}", found.opens);
    (found, report)
}

fn kinds(report: &CheckReport) -> Vec<FaultKind> {
    report.faults.by_kind().map(|(kind, _)| kind).collect()
}

/// Changes a table of a file of the store.
fn change<K: redb::Key + 'static>(
    path: &Path,
    table: Values<K>,
    change: impl FnOnce(&mut redb::Table<'_, K, &'static [u8]>),
) {
    let db = Database::open(path).expect("a database");
    let txn = db.begin_write().expect("writable");
    change(&mut txn.open_table(table).expect("a table"));
    txn.commit().expect("committed");
}

fn state(directory: &Path) -> PathBuf {
    StoreFiles::new(directory).state()
}

fn log(directory: &Path) -> PathBuf {
    StoreFiles::new(directory).log()
}

fn keys<K: redb::Key + for<'a> redb::Value<SelfType<'a> = K> + 'static>(
    path: &Path,
    table: Values<K>,
) -> Vec<K> {
    let db = Database::open(path).expect("a database");
    let txn = db.begin_read().expect("readable");
    let table = txn.open_table(table).expect("a table");
    table.iter().expect("readable").map(|row| row.expect("readable").0.value()).collect()
}

/// Changes a value as it is.
fn edit_raw<'k, K: redb::Key + 'static>(
    path: &Path,
    table: Values<K>,
    key: K::SelfType<'k>,
    edit: impl FnOnce(&mut Vec<u8>),
) where
    K::SelfType<'k>: Copy,
{
    change(path, table, |table| {
        let mut bytes = table.get(key).expect("readable").expect("it is there").value().to_vec();
        edit(&mut bytes);
        table.insert(key, bytes.as_slice()).expect("written");
    });
}

/// Changes what is behind a checksum, which is made to match.
fn edit<'k, K: redb::Key + 'static>(
    path: &Path,
    table: Values<K>,
    key: K::SelfType<'k>,
    edit: impl FnOnce(&mut [u8]),
) where
    K::SelfType<'k>: Copy,
{
    edit_raw(path, table, key, |bytes| {
        edit(&mut bytes[4..]);
        let crc = crc32fast::hash(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
    });
}

/// Changes a row of the log, and makes its checksum match.
fn edit_row(path: &Path, row: u64, edit: impl FnOnce(&mut [u8])) {
    edit_raw(path, LOG, row, |bytes| {
        edit(bytes);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bytes[..50]);
        crc.update(&bytes[54..]);
        let crc = crc.finalize();
        bytes[50..54].copy_from_slice(&crc.to_le_bytes());
    });
}

/// Where parts of values are, behind their checksums.
mod at {
    /// In the directory's row of a segment.
    pub(crate) const N_DEAD: usize = 10;
    pub(crate) const DEAD: usize = 56;
    pub(crate) const FIRST_ID: usize = 32;
    /// In the head.
    pub(crate) const FORMAT: usize = 0;
    pub(crate) const STORE: usize = 2;
    pub(crate) const HASH: usize = 38;
    pub(crate) const OPEN_HASH: usize = 46;
    pub(crate) const N_JOBS: usize = 54;
    /// In the numbers of rows.
    pub(crate) const N_PLACES: usize = 40;
}

fn remove<K: redb::Key + for<'a> redb::Value<SelfType<'a> = K> + Copy + 'static>(
    path: &Path,
    table: Values<K>,
    nth: usize,
) {
    let key = keys(path, table)[nth];
    change(path, table, |table| drop(table.remove(key).expect("removed")));
}

/// The first segment with replaced rows, and one of them.
fn replaced(path: &Path) -> (u32, usize) {
    let db = Database::open(path).expect("a database");
    let txn = db.begin_read().expect("readable");
    let directory = txn.open_table(DIRECTORY).expect("a table");
    for row in directory.iter().expect("readable") {
        let (number, bytes) = row.expect("readable");
        let body = &bytes.value()[4..];
        if body[at::N_DEAD..at::N_DEAD + 2] != [0, 0] {
            let words = &body[at::DEAD..];
            let byte = words.iter().position(|byte| *byte != 0).expect("a mark");
            return (number.value(), 8 * byte + words[byte].trailing_zeros() as usize);
        }
    }
    panic!("no row is replaced");
}

type Damage = (&'static str, fn(&Path), &'static [FaultKind]);

#[rustfmt::skip]
const DAMAGES: &[Damage] = &[
    ("a flipped byte in a segment", |dir| {
        let number = keys(&state(dir), SEGMENTS)[0];
        edit_raw(&state(dir), SEGMENTS, number, |bytes| bytes[2_000] ^= 4);
    }, &[FaultKind::Segment, FaultKind::JobMissing, FaultKind::Open]),
    ("a removed segment", |dir| remove(&state(dir), SEGMENTS, 0),
        &[FaultKind::Segment, FaultKind::JobMissing, FaultKind::Hash, FaultKind::Open]),
    ("a segment without its row in the directory", |dir| remove(&state(dir), DIRECTORY, 0),
        &[FaultKind::Directory, FaultKind::JobMissing, FaultKind::Hash]),
    ("a live row marked as replaced", |dir| {
        let (number, row) = replaced(&state(dir));
        edit(&state(dir), DIRECTORY, number, |body| {
            body[at::DEAD + row / 8] ^= 1 << (row % 8);
            body[at::DEAD + 300 / 8] ^= 1 << (300 % 8);
        });
    }, &[FaultKind::JobTwice, FaultKind::JobMissing, FaultKind::DeadRow]),
    ("a replaced row marked as live", |dir| {
        let (number, row) = replaced(&state(dir));
        edit(&state(dir), DIRECTORY, number, |body| body[at::DEAD + row / 8] ^= 1 << (row % 8));
    }, &[FaultKind::JobTwice, FaultKind::Directory, FaultKind::Counts, FaultKind::Hash]),
    ("another range of ids in the directory", |dir| {
        let number = keys(&state(dir), DIRECTORY)[0];
        edit(&state(dir), DIRECTORY, number, |body| body[at::FIRST_ID] ^= 64);
    }, &[FaultKind::Directory]),
    ("a wrong count", |dir| edit(&state(dir), COUNTS, 1, |body| body[16] ^= 1),
        &[FaultKind::Counts]),
    ("a missing count", |dir| remove(&state(dir), COUNTS, 1), &[FaultKind::Counts]),
    ("a count of a type that cannot be", |dir| {
        change(&state(dir), COUNTS, |table| {
            let bytes = table.get(1).expect("readable").expect("there").value().to_vec();
            table.insert(u32::MAX, bytes.as_slice()).expect("written");
        });
    }, &[FaultKind::Counts, FaultKind::Open]),
    ("a missing creation", |dir| remove(&state(dir), CREATIONS, 0), &[FaultKind::Creation]),
    ("a creation under another key", |dir| {
        change(&state(dir), CREATIONS, |table| {
            let bytes = table.remove(1).expect("readable").expect("there").value().to_vec();
            table.insert(4, bytes.as_slice()).expect("written");
        });
    }, &[FaultKind::Creation]),
    ("a creation of another type", |dir| {
        // Behind the first id stands the type.
        edit(&state(dir), CREATIONS, 1, |body| body[8] ^= 3);
    }, &[FaultKind::Creation]),
    ("a missing job type", |dir| remove(&state(dir), TYPES, 1), &[FaultKind::Job, FaultKind::Counts]),
    ("a job type under another id", |dir| {
        change(&state(dir), TYPES, |table| {
            let bytes = table.remove(2).expect("readable").expect("there").value().to_vec();
            table.insert(7, bytes.as_slice()).expect("written");
        });
    }, &[FaultKind::JobType]),
    ("another state hash", |dir| edit(&state(dir), META, "head", |body| body[at::HASH] ^= 1),
        &[FaultKind::Hash, FaultKind::Open]),
    ("another hash of open jobs", |dir| edit(&state(dir), META, "head", |body| body[at::OPEN_HASH] ^= 1),
        &[FaultKind::Hash, FaultKind::Open]),
    ("more jobs than there are", |dir| edit(&state(dir), META, "head", |body| body[at::N_JOBS + 1] ^= 0x40),
        &[FaultKind::JobMissing, FaultKind::Creation]),
    ("another store", |dir| edit(&state(dir), META, "head", |body| body[at::STORE] ^= 1),
        &[FaultKind::Mixed, FaultKind::Open]),
    ("another format", |dir| edit(&state(dir), META, "head", |body| body[at::FORMAT] = 99),
        &[FaultKind::Format, FaultKind::Open]),
    ("a head that does not match its checksum", |dir| edit_raw(&state(dir), META, "head", |bytes| bytes[30] ^= 1),
        &[FaultKind::Value, FaultKind::Totals, FaultKind::Open]),
    ("a missing head", |dir| change(&state(dir), META, |table| drop(table.remove("head").expect("removed"))),
        &[FaultKind::Totals, FaultKind::LogGap, FaultKind::Open]),
    ("a submission of jobs that never were", |dir| {
        let key = keys(&state(dir), SUBMISSIONS)[0];
        // Its id, then the first job.
        edit(&state(dir), SUBMISSIONS, key, |body| body[8 + "first".len() + 5] = 1);
    }, &[FaultKind::Submission]),
    ("a load row under another instant", |dir| {
        change(&state(dir), LOAD, |table| {
            let mut bytes = vec![0; 4];
            bytes.extend(9_i64.to_le_bytes());
            bytes.push(0);
            bytes.extend([0; 24]);
            let crc = crc32fast::hash(&bytes[4..]);
            bytes[..4].copy_from_slice(&crc.to_le_bytes());
            table.insert((5, 0), bytes.as_slice()).expect("written");
        });
    }, &[FaultKind::Load]),
    ("a removed row of the log", |dir| {
        let at = keys(&log(dir), LOG).len() - 2;
        remove(&log(dir), LOG, at);
    }, &[FaultKind::LogGap, FaultKind::Open]),
    ("no row of the log", |dir| change(&log(dir), LOG, |table| table.retain(|_, _| false).expect("removed")),
        &[FaultKind::LogGap]),
    ("a flipped byte in a batch", |dir| {
        let rows = keys(&log(dir), LOG);
        edit_raw(&log(dir), LOG, rows[rows.len() - 2], |bytes| *bytes.last_mut().expect("some") ^= 1);
    }, &[FaultKind::LogRow, FaultKind::Open]),
    ("a batch that leads elsewhere", |dir| {
        let rows = keys(&log(dir), LOG);
        edit_row(&log(dir), rows[rows.len() - 2], |bytes| bytes[38] ^= 1);
    }, &[FaultKind::Open]),
    ("a batch of another store", |dir| {
        let rows = keys(&log(dir), LOG);
        edit_row(&log(dir), rows[rows.len() - 2], |bytes| bytes[2] ^= 1);
    }, &[FaultKind::Mixed, FaultKind::Open]),
    ("a batch of another format", |dir| {
        let rows = keys(&log(dir), LOG);
        edit_row(&log(dir), rows[rows.len() - 2], |bytes| bytes[1] ^= 1);
    }, &[FaultKind::Format, FaultKind::Open]),
    ("a missing log", |dir| fs::remove_file(log(dir)).expect("removed"), &[FaultKind::Missing, FaultKind::Open]),
    ("a missing state", |dir| fs::remove_file(state(dir)).expect("removed"), &[FaultKind::LogGap, FaultKind::Open]),
    ("an empty log", |dir| fs::write(log(dir), "").expect("written"), &[FaultKind::LogGap, FaultKind::Open]),
    ("an empty state", |dir| fs::write(state(dir), "").expect("written"), &[FaultKind::LogGap, FaultKind::Open]),
    ("a log that is no database", |dir| fs::write(log(dir), "no database\n".repeat(999)).expect("written"),
        &[FaultKind::Unreadable, FaultKind::Open]),
    ("a state that is no database", |dir| fs::write(state(dir), "no database\n".repeat(999)).expect("written"),
        &[FaultKind::Unreadable, FaultKind::Open]),
];

#[test]
fn every_kind_of_damage_is_named_and_changes_nothing() {
    let sound = filled();
    let (found, report) = assert_sound(sound.path());
    assert!(report.n_jobs > 5_000 && report.n_segments > 1 && report.n_replayed > 0, "{report:?}");
    assert!(found.state.segments.n_dead > 0 && found.log.rows.n_tail > 3, "{found:?}");
    for (name, damage, expected) in DAMAGES {
        let bad = copy(sound.path());
        damage(bad.path());
        let (found, report) = look(bad.path());
        let seen = kinds(&report);
        assert!(!report.is_sound(), "{name}");
        for kind in *expected {
            assert!(seen.contains(kind), "{name}: {kind:?} is not among {:#?}", report.faults.list());
        }
        let is_refused = Engine::open(bad.path(), Options::default()).is_err();
        assert_eq!(found.opens.is_err(), is_refused, "{name}: {:?}", found.opens);
        assert_eq!(seen.contains(&FaultKind::Open), is_refused, "{name}: {:?}", found.opens);
    }
}

#[test]
fn cut_and_zeroed_files_are_told_whatever_is_left_of_them() {
    let sound = filled();
    let mut n_checked = 0;
    for path in [log, state] {
        let whole = fs::read(path(sound.path())).expect("readable");
        let len = whole.len();
        for at in (0..len).step_by(len / 13) {
            for is_cut in [true, false] {
                let bad = copy(sound.path());
                let mut bytes = whole.clone();
                if is_cut {
                    bytes.truncate(at);
                } else {
                    bytes[at..(at + 8_192).min(len)].fill(0);
                }
                if bytes == whole {
                    continue;
                }
                fs::write(path(bad.path()), &bytes).expect("written");
                let (found, report) = look(bad.path());
                n_checked += 1;
                // What is not in use may be anything.
                if report.is_sound() {
                    assert!(!is_cut && found.opens.is_ok(), "{at} of {len}, cut: {is_cut}, {found:?}");
                }
                if Engine::open(bad.path(), Options::default()).is_err() {
                    assert!(!report.is_sound(), "{at} of {len}, cut: {is_cut}");
                }
            }
        }
    }
    println!("{n_checked} files");
}

#[test]
fn flipped_bytes_in_pages_are_told() {
    let sound = filled();
    let mut n_told = 0;
    for path in [log, state] {
        let whole = fs::read(path(sound.path())).expect("readable");
        for at in (0..whole.len()).step_by(whole.len() / 29) {
            let bad = copy(sound.path());
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            fs::write(path(bad.path()), &bytes).expect("written");
            let (_, report) = look(bad.path());
            n_told += usize::from(!report.is_sound());
            if Engine::open(bad.path(), Options::default()).is_err() {
                assert!(!report.is_sound(), "byte {at}");
            }
        }
    }
    assert!(n_told > 5, "{n_told} were told");
}

#[test]
fn what_stands_behind_damage_is_still_found() {
    let sound = filled();
    let rows = keys(&log(sound.path()), LOG);
    let bad = copy(sound.path());
    let second = rows[rows.len() - 4];
    edit_raw(&log(bad.path()), LOG, second, |bytes| *bytes.last_mut().expect("some") ^= 1);
    let (found, _) = look(bad.path());
    assert_eq!(found.log.rows.first_bad.as_ref().map(|(row, _)| *row), Some(second));
    assert_eq!((found.log.rows.n_bad, found.log.rows.n_after_bad), (1, 3));
    assert_eq!(found.log.rows.n_gaps, 0, "a bad row is no gap");
    assert_eq!(found.log.rows.rows, Some((rows[0], *rows.last().expect("rows"))));
    assert!(matches!(found.opens, Err(OpenError::Damaged { .. })), "{:?}", found.opens);
    assert!(found.state.totals.is_some_and(|totals| totals.n_jobs > 5_000));
}

/// What stands first in bytes, seven bits at a time.
fn number(bytes: &[u8]) -> (u64, usize) {
    let len = bytes.iter().position(|byte| *byte < 0x80).expect("an end") + 1;
    (bytes[..len].iter().rev().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7F)), len)
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// Puts the places of all jobs that are over into their table, as a checkpoint of many more would.
fn put_places(path: &Path) -> Vec<u64> {
    let mut places: BTreeMap<u64, (u32, u16)> = BTreeMap::new();
    {
        let db = Database::open(path).expect("a database");
        let txn = db.begin_read().expect("readable");
        let (segments, directory) = (txn.open_table(SEGMENTS), txn.open_table(DIRECTORY));
        for row in directory.expect("a table").iter().expect("readable") {
            let (segment, info) = row.expect("readable");
            let dead = &info.value()[4 + at::DEAD..];
            let bytes = segments.as_ref().expect("a table").get(segment.value()).expect("readable");
            let bytes = bytes.expect("it is there");
            let bytes = bytes.value();
            let (n_rows, n_sets) = (word(bytes, 6), word(bytes, 10));
            let rows = &bytes[14 + 4 * (n_rows + n_sets)..];
            let mut from = 0;
            for row in 0..n_rows {
                let (id, len) = number(&rows[from..]);
                let status = rows[from + len];
                let (flags, _) = number(&rows[from + len + 1..]);
                let is_over = status >= 4 && flags & 1 << 9 == 0;
                if is_over && dead[row / 8] >> (row % 8) & 1 == 0 {
                    places.insert(id, (segment.value(), u16::try_from(row).expect("few")));
                }
                from = word(bytes, 14 + 4 * row);
            }
        }
    }
    let mut blocks: BTreeMap<u64, Vec<(u32, u16)>> = BTreeMap::new();
    for (id, place) in &places {
        let block = blocks.entry(id / 512).or_default();
        block.resize(usize::try_from(id % 512).expect("small"), (u32::MAX, 0));
        block.push(*place);
    }
    edit(path, META, "rows", |body| {
        body[at::N_PLACES..][..8].copy_from_slice(&(blocks.len() as u64).to_le_bytes());
    });
    change(path, PLACES, |table| {
        for (number, block) in blocks {
            let mut bytes = vec![0; 4];
            bytes.extend((block.len() as u64).to_le_bytes());
            for (segment, row) in block {
                bytes.extend(segment.to_le_bytes());
                bytes.extend(row.to_le_bytes());
            }
            let crc = crc32fast::hash(&bytes[4..]);
            bytes[..4].copy_from_slice(&crc.to_le_bytes());
            table.insert(number, bytes.as_slice()).expect("written");
        }
    });
    edit(path, META, "head", |body| {
        let n = body.len();
        body.copy_within(n - 40..n - 36, n - 28);
    });
    places.into_keys().collect()
}

#[test]
fn a_wrong_place_is_named() {
    let sound = filled();
    let over = put_places(&state(sound.path()));
    let (found, _) = assert_sound(sound.path());
    assert_eq!(found.state.n_places, over.len() as u64);
    assert!(over.len() > 20, "{over:?}");
    let block = over[0] / 512;
    let at = 8 + 6 * usize::try_from(over[0] % 512).expect("small");
    let bad = copy(sound.path());
    edit(&state(bad.path()), PLACES, block, |body| body[at + 4] ^= 1);
    let (_, report) = look(bad.path());
    assert_eq!(kinds(&report), [FaultKind::Place]);
    assert_eq!(report.faults.list()[0].place, format!("job {}", over[0]));
    let bad = copy(sound.path());
    remove(&state(bad.path()), PLACES, 0);
    assert_eq!(kinds(&look(bad.path()).1), [FaultKind::Place, FaultKind::Open]);
    let bad = copy(sound.path());
    edit_raw(&state(bad.path()), PLACES, block, |bytes| bytes[0] ^= 1);
    assert!(kinds(&look(bad.path()).1).contains(&FaultKind::Value));
}

#[test]
fn a_store_after_random_work_is_sound_closed_or_not() {
    for seed in 0..6_u64 {
        let directory = tempfile::tempdir().expect("a directory");
        let mut dice = seed;
        let mut roll = |n: u32| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(dice >> 33).expect("31 bits") % n
        };
        let bytes = [1, 3_000, 100_000][usize::try_from(seed % 3).expect("small")];
        for round in 0..5 {
            let options = Options::default().load_period(None).checkpoint_bytes(bytes);
            let engine = Engine::open(directory.path(), options).expect("a store");
            for n in 0..roll(4) {
                submit(&engine, &format!("s{round}-{n}"), 1 + roll(400));
                run(&engine, u64::from(roll(100)));
                let last = engine.jobs(JobId(0), 1_000).last().map_or(1, |job| job.id.0);
                let last = u32::try_from(last).expect("few");
                let some: Vec<JobId> = (0..roll(40)).map(|_| JobId(1 + u64::from(roll(last)))).collect();
                if roll(2) == 0 {
                    engine.cancel(some).expect("room").wait_durable(SYNC).expect("done");
                } else {
                    let priority = i32::try_from(roll(9)).expect("small");
                    engine.set_priority(some, priority).expect("room").wait_durable(SYNC).expect("done");
                }
            }
            if roll(2) == 0 {
                engine.close().expect("closed");
            } else {
                drop(engine);
            }
            let (found, _) = assert_sound(directory.path());
            let engine = Engine::open(directory.path(), Options::default()).expect("a store");
            let opens = found.opens.expect("it opens");
            assert_eq!(opens.n_replayed, engine.n_replayed(), "seed {seed}");
            assert_eq!(opens.counts, engine.fresh_view(SYNC).totals, "seed {seed}");
        }
    }
}

#[test]
fn a_store_whose_writer_was_killed_is_sound_and_stays_as_it_is() {
    let place = Place::new();
    place.write("w.json", &common::appending(40, "0.01"));
    for cycle in 0..4_u32 {
        let daemon = Daemon::start(&place, &["--store", "jobs", "--resources", "cpus:2"]);
        for n in 0..=cycle {
            let id = format!("s{cycle}-{n}");
            daemon.ask(&place, &["submit", "w.json", "--id", &id]).expect(0);
        }
        let pid = i32::try_from(daemon.id()).ok().and_then(rustix::process::Pid::from_raw).expect("an id");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it lives");
        drop(daemon);
        let before = bytes_of(&place.path("jobs"));
        let ended = place.run(&["check", "jobs", "--output", "json"]).expect(0);
        let answer = ended.json();
        assert_eq!((&answer["is_sound"], &answer["n_faults"]), (&true.into(), &0.into()), "{answer}");
        let answer = place.run(&["inspect", "jobs", "--output", "json"]).expect(0).json();
        assert_eq!((&answer["opens"]["is_ok"], &answer["n_faults"]), (&true.into(), &0.into()), "{answer}");
        assert!(answer["last_owner"].is_u64(), "{answer}");
        let log = StoreFiles::new(place.path("jobs")).log();
        let same = |path: &PathBuf| fs::read(path).expect("readable") == before[path];
        assert!(same(&log) && same(&state(&place.path("jobs"))), "a look changed the store");
        assert!(same(&StoreFiles::new(place.path("jobs")).lock()), "a look changed the lock");
    }
}

/// Who is told to by the environment writes into a store until somebody kills it.
#[test]
fn a_writer_that_is_killed_by_another_test() {
    let Ok(directory) = std::env::var(WRITER) else { return };
    let (directory, bytes) = directory.split_once('=').expect("a directory and bytes");
    let options = Options::default().load_period(None).checkpoint_bytes(bytes.parse().expect("a number"));
    let engine = Engine::open(directory, options).expect("a store");
    for n in 0.. {
        submit(&engine, &format!("{}-{n}", std::process::id()), 60);
        run(&engine, 300);
        // A line for each round tells the parent how far it is.
        println!("{ROUND}");
    }
}

const WRITER: &str = "WEIGHBRIDGE_TEST_WRITER";

const ROUND: &str = "one more round";

#[test]
fn a_store_whose_writer_was_killed_between_checkpoints_is_sound() {
    use std::io::{BufRead, BufReader};
    let directory = tempfile::tempdir().expect("a directory");
    let mut n_left_behind = 0;
    for (cycle, bytes) in [1, 100_000, 1, 30_000_000, 40_000, 1, 300_000, 1].into_iter().enumerate() {
        let mut command = std::process::Command::new(std::env::current_exe().expect("a path"));
        command.args(["--exact", "a_writer_that_is_killed_by_another_test", "--nocapture"]);
        command.env(WRITER, format!("{}={bytes}", directory.path().display()));
        let mut writer = command.stdout(std::process::Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(writer.stdout.take().expect("piped")).lines();
        let rounds = lines.map_while(Result::ok).filter(|line| line.contains(ROUND));
        let n_rounds = rounds.take(5 + 7 * cycle % 11).count();
        writer.kill().expect("it can be killed");
        writer.wait().expect("it has ended");
        assert!(n_rounds > 4, "the writer of cycle {cycle} gave up");
        let (found, report) = assert_sound(directory.path());
        n_left_behind += found.state.segments.n_left_behind;
        assert!(report.n_jobs > 0 || found.state.totals.is_none(), "{report:?}");
    }
    println!("{n_left_behind} segments were left behind by checkpoints that did not end");
}

#[test]
fn both_commands_refuse_a_living_store_and_find_none_where_none_is() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &["--store", "jobs", "--driver", "none"]);
    for command in ["inspect", "check"] {
        let ended = place.run(&[command, "jobs", "--output", "json"]).expect(1);
        let owner = format!("in use by process {}", daemon.id());
        ended.says(&owner).says("help: end that process first");
        assert_eq!(ended.json()["error"]["code"], "store-in-use");
        let ended = place.run(&[command, "nowhere", "--output", "json"]).expect(4);
        ended.says("there is no store in nowhere");
        assert_eq!(ended.json()["error"]["code"], "no-such-store");
        assert!(!place.path("nowhere").exists());
        place.run(&[command]).expect(2).says("Usage:");
        fs::create_dir_all(place.path("empty")).expect("made");
        place.run(&[command, "empty"]).expect(4);
        assert_eq!(fs::read_dir(place.path("empty")).expect("readable").count(), 0);
    }
    assert!(daemon.end().success());
    place.run(&["check", "jobs"]).expect(0);
    // Nobody opens a store that is looked at.
    let lock = fs::File::open(StoreFiles::new(place.path("jobs")).lock()).expect("a lock");
    lock.try_lock_shared().expect("free");
    place.run(&["inspect", "jobs"]).expect(0);
    assert!(matches!(Engine::open(place.path("jobs"), Options::default()), Err(OpenError::Locked { .. })));
}

#[test]
fn texts_and_json_tell_the_same() {
    let place = Place::new();
    let sound = filled();
    let store = sound.path().to_str().expect("text");
    let ended = place.run(&["check", store]).expect(0);
    assert!(ended.stdout.contains(" is sound: 5003 jobs"), "{ended:?}");
    let ended = place.run(&["inspect", store]).expect(0);
    for part in
        ["log.redb", "state.redb", "watermark", "segments", "opens       yes: ", "faults      none seen"]
    {
        assert!(ended.stdout.contains(part), "{part:?} is missing in {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("bad  "), "{}", ended.stdout);
    println!("{}", ended.stdout);
    let answer = place.run(&["inspect", store, "--output", "json"]).expect(0).json();
    assert_eq!(answer["state"]["totals"]["n_jobs"], 5_003);
    assert_eq!(answer["opens"]["n_jobs"], 5_016);
    assert_eq!(answer["events"].as_array().map(Vec::len), Some(0));

    let bad = copy(sound.path());
    remove(&state(bad.path()), SEGMENTS, 0);
    let store = bad.path().to_str().expect("text");
    let ended = place.run(&["check", store]).expect(1);
    assert!(ended.stdout.contains("segment      state.redb, segment "), "{ended:?}");
    let answer = place.run(&["check", store, "--output", "json"]).expect(1).json();
    assert_eq!((&answer["is_sound"], &answer["kinds"]["segment"]), (&false.into(), &1.into()));
    let ended = place.run(&["inspect", store]).expect(0);
    assert!(ended.stdout.contains("opens       no: ") && ended.stdout.contains("1 MISSING"), "{ended:?}");
    println!("{}", ended.stdout);

    let bad = copy(sound.path());
    let mut bytes = fs::read(state(bad.path())).expect("readable");
    for page in bytes.chunks_mut(4_096).skip(2) {
        page[0] = 77;
    }
    fs::write(state(bad.path()), bytes).expect("written");
    let ended = place.run(&["inspect", bad.path().to_str().expect("text")]).expect(0);
    assert!(!ended.stderr.contains("panic"), "{ended:?}");
    println!("{}", ended.stdout);
}

#[test]
fn events_are_listed_where_they_are_asked_for() {
    let sound = filled();
    let place = Place::new();
    let store = sound.path().to_str().expect("text");
    let whole = inspect(sound.path(), None).expect("inspected");
    let (first, last) = whole.log.rows.events.expect("events");
    assert!(whole.events.is_empty());
    let all = inspect(sound.path(), Some(&(EventNumber(0)..=EventNumber(u64::MAX)))).expect("inspected");
    let numbers: Vec<u64> = all.events.iter().map(|(number, _)| number.0).collect();
    assert_eq!(numbers, (first.0..=last.0).collect::<Vec<_>>());
    let range = format!("--events={}..{}", last.0 - 1, last.0);
    let ended = place.run(&["inspect", store, &range]).expect(0);
    assert!(
        ended.stdout.lines().last().is_some_and(|line| line.trim().starts_with(&last.to_string())),
        "{ended:?}"
    );
    let answer = place.run(&["inspect", store, "--events", "--output", "json"]).expect(0).json();
    assert_eq!(answer["events"].as_array().map(Vec::len), Some(numbers.len()));
    place.run(&["inspect", store, "--events=1-5"]).expect(2).says("no range of events");
}
