//! Scenarios are read exactly, or refused with the line.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use weighbridge::{Quantity, ResourceName};

use crate::scenario::{LINE_BYTES_MAX, ReadError, Scenario, Scenarios};

const PLAIN: &str = r#"{"n":7,"mode":"LIFO","limit":5,"workspaces":[],"ties":0,
"job_types":[{"id":1,"res":[0.3,200.1,0,0,{"sharedmem":0.01}],"max":0,"paused":1,"unmet":"mem, cpus","warn":1,"synced":1}],
"nodes":[{"id":1,"ready":0,"offered":[8.01,0,0,0],"watermark":[8.01,0,0,0],"total":null,
"running":[{"type":1,"prio":5,"res":[1,0,0,0],"cur":0}],"other":[],"pre":[]}],
"queue":[],"expect":{}}"#;

fn read(bytes: impl Into<Vec<u8>>) -> Result<Option<Scenario>, ReadError> {
    Scenarios::from_reader(Cursor::new(bytes.into())).next()
}

fn plain() -> String {
    PLAIN.replace('\n', "")
}

#[test]
fn amounts_names_and_switches_are_read_as_written() {
    let scenario = read(format!("\n{}\n", plain())).expect("well formed").expect("a scenario");
    assert_eq!(scenario.number, 7);
    let asks = &scenario.type_resources[0];
    assert_eq!(asks.get("cpus"), Quantity(300));
    assert_eq!(asks.get("mem"), Quantity(200_100));
    assert_eq!(asks.get("sharedmem"), Quantity(10));
    let kind = &scenario.rules.types[0];
    assert_eq!((kind.max_scheduled, kind.n_running, kind.is_paused), (Some(0), 1, true));
    assert_eq!(kind.unmet.iter().map(ResourceName::as_str).collect::<Vec<_>>(), ["cpus", "mem"]);
    assert!(scenario.rules.warnings.contains("INVALID_RESOURCEStype-1"));
    assert!(!scenario.rules.nodes[0].is_ready);
}

#[test]
fn what_is_malformed_is_refused_with_its_line() {
    let check = |from: &str, to: &str, part: &str| {
        let bad = plain().replace(from, to);
        assert_ne!(bad, plain(), "{from} is there");
        let error = read(format!("\n\n{bad}")).expect_err(to).to_string();
        assert!(error.starts_with("line 3: ") && error.contains(part), "{error}");
    };
    check("[8.01,0,0,0]", "[8.01,0,0]", "invalid length 3");
    check("[8.01,0,0,0]", "[8.01,0,0,0,{},1]", "invalid length 6");
    check("[8.01,0,0,0]", "[8.0001,0,0,0]", "three decimal places");
    check("[8.01,0,0,0]", "[-1,0,0,0]", "a quantity");
    check("\"ready\":0", "\"ready\":2", "neither 0 nor 1");
    check("LIFO", "lifo", "unknown variant");
    check("\"limit\":5,", "", "missing field `limit`");
}

#[test]
fn a_line_without_end_is_refused() {
    let long = vec![b' '; usize::try_from(LINE_BYTES_MAX).expect("it fits") + 1];
    assert!(matches!(read(long), Err(ReadError::LineTooLong { line: 1 })));
}

#[test]
fn a_packed_file_reads_like_a_plain_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.jsonl.gz");
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    writeln!(packed, "{}", plain()).expect("in memory");
    std::fs::write(&path, packed.finish().expect("in memory")).expect("a file");
    let mut scenarios = Scenarios::open(&path).expect("it opens");
    assert_eq!(scenarios.next().expect("well formed").map(|it| it.number), Some(7));
    assert!(scenarios.next().expect("the end").is_none());
}
