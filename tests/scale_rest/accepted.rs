//! The differences that docs/compat.md lists, read from there.

use std::collections::BTreeSet;
use std::path::Path;

/// Above the table.
const HEADING: &str = "## Differences in the recorded exchanges";

/// A scenario and the number of one of its steps.
pub(crate) type At = (String, u64);

fn row(line: &str) -> Option<At> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let (scenario, step) = (cells.next()?, cells.next()?.parse().ok()?);
    Some((scenario.to_owned(), step))
}

/// Reads the table.
pub(crate) fn read() -> BTreeSet<At> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compat.md");
    let text = std::fs::read_to_string(path).expect("docs/compat.md is there");
    let (_, table) = text.split_once(HEADING).expect("docs/compat.md has the heading");
    let table = table.split("\n## ").next().unwrap_or_default();
    let rows: Vec<At> = table.lines().filter_map(row).collect();
    let unique: BTreeSet<At> = rows.iter().cloned().collect();
    assert_eq!(rows.len(), unique.len(), "a step is listed twice");
    unique
}
