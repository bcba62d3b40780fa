//! Rows of a table, read from a file as psql writes it: CSV with a header, or a JSON object a line.
//!
//! Memory is bounded by the longest row.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::api::read_instant;
use crate::model::Timestamp;

/// Bytes of the longest row: a manifest, or a job's input.
const ROW_BYTES_MAX: u64 = 16 << 20;

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) file: PathBuf,
    /// From 1; 0 for the file as a whole.
    pub(super) line: u64,
    pub(super) column: Option<String>,
    pub(super) reason: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// What is wrong with a column of a row, or the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) column: Option<&'static str>,
    pub(super) reason: String,
}

impl Wrong {
    pub(super) fn row(reason: impl Into<String>) -> Self {
        Self { column: None, reason: reason.into() }
    }

    pub(super) fn at(column: &'static str, reason: impl Into<String>) -> Self {
        Self { column: Some(column), reason: reason.into() }
    }
}

/// A row.
pub(super) struct Row<'f> {
    pub(super) line: u64,
    cells: Cells<'f>,
}

enum Cells<'f> {
    /// None where nothing stands between two commas: NULL.
    Csv(&'f [String], Vec<Option<String>>),
    Json(Map<String, Value>),
}

enum Cell<'r> {
    Null,
    Text(&'r str),
    Json(&'r Value),
}

/// Some of a text, for a message.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { format!("{short:?}...") } else { format!("{short:?}") }
}

impl Row<'_> {
    /// True where something stands there.
    pub(super) fn has(&self, column: &'static str) -> bool {
        !matches!(self.cell(column), Cell::Null)
    }

    fn cell(&self, column: &'static str) -> Cell<'_> {
        match &self.cells {
            Cells::Csv(columns, cells) => {
                let at = columns.iter().position(|name| name == column);
                at.and_then(|at| cells[at].as_deref()).map_or(Cell::Null, Cell::Text)
            }
            Cells::Json(members) => match members.get(column) {
                None | Some(Value::Null) => Cell::Null,
                Some(Value::String(text)) => Cell::Text(text),
                Some(value) => Cell::Json(value),
            },
        }
    }

    fn read<T>(
        &self,
        column: &'static str,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Wrong> {
        let text = match self.cell(column) {
            Cell::Null => return Ok(None),
            Cell::Text(text) => text.to_owned(),
            Cell::Json(value) => value.to_string(),
        };
        let wrong = || Wrong::at(column, format!("{} is no {what}", shown(&text)));
        read(&text).map(Some).ok_or_else(wrong)
    }

    fn needed<T>(column: &'static str, value: Option<T>) -> Result<T, Wrong> {
        value.ok_or_else(|| Wrong::at(column, "it is missing"))
    }

    /// A whole number that fits; none for NULL.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>, Wrong> {
        self.read(column, "number that fits here", |text| T::try_from(text.parse().ok()?).ok())
    }

    /// The same, which must be there.
    pub(super) fn id<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, Wrong> {
        Self::needed(column, self.number(column)?)
    }

    /// A number with a fraction.
    pub(super) fn fraction(&self, column: &'static str) -> Result<Option<f64>, Wrong> {
        let finite =
            |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        self.read(column, "amount", finite)
    }

    /// `t` and `f`, as psql writes them; false for NULL.
    pub(super) fn flag(&self, column: &'static str) -> Result<bool, Wrong> {
        let flag = |text: &str| match text {
            "t" | "true" => Some(true),
            "f" | "false" => Some(false),
            _ => None,
        };
        Ok(self.read(column, "boolean: t or f", flag)?.unwrap_or(false))
    }

    /// An instant with a zone.
    pub(super) fn time(&self, column: &'static str) -> Result<Option<Timestamp>, Wrong> {
        let is_instant = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
        let read = |text: &str| read_instant(text, Timestamp(0)).filter(|_| is_instant(text));
        self.read(column, "time with a zone: 2026-01-31 12:00:00+00", read)
    }

    /// A text; empty for NULL.
    pub(super) fn text(&self, column: &'static str) -> Result<String, Wrong> {
        Ok(self.read(column, "text", |text| Some(text.to_owned()))?.unwrap_or_default())
    }

    /// A text that must be there.
    pub(super) fn name(&self, column: &'static str) -> Result<String, Wrong> {
        Self::needed(column, Some(self.text(column)?).filter(|text| !text.is_empty()))
    }

    /// A document; null for NULL.
    pub(super) fn json(&self, column: &'static str) -> Result<Value, Wrong> {
        match self.cell(column) {
            Cell::Null => Ok(Value::Null),
            Cell::Json(value) => Ok(value.clone()),
            Cell::Text(text) => serde_json::from_str(text)
                .map_err(|error| Wrong::at(column, format!("{} is no JSON: {error}", shown(text)))),
        }
    }
}

/// How the rows of a file are written.
enum Form {
    Csv(Vec<String>),
    Json,
}

/// A file under way.
pub(super) struct Rows {
    path: PathBuf,
    input: BufReader<File>,
    form: Form,
    /// Lines read so far.
    line: u64,
    /// Undo what `\copy` in its text form does to lines of JSON.
    is_copy_text: bool,
}

impl Rows {
    /// Opens a file, and looks which columns it has: all of `needed` must be there.
    pub(super) fn open(path: &Path, is_copy_text: bool, needed: &[&str]) -> Result<Self, Fault> {
        let fault = |line, reason| Fault { file: path.to_owned(), line, column: None, reason };
        let file = File::open(path).map_err(|error| fault(0, format!("could not be opened: {error}")))?;
        let input = BufReader::with_capacity(1 << 16, file);
        let mut rows = Self { path: path.to_owned(), input, form: Form::Json, line: 0, is_copy_text };
        let first = rows.input.fill_buf().map_err(|error| fault(0, format!("could not be read: {error}")))?;
        if first.first() == Some(&b'{') {
            return Ok(rows);
        }
        let header = rows.record().map_err(|wrong| fault(1, wrong.reason))?;
        let (_, text) = header.ok_or_else(|| fault(0, "it is empty: a header is missing".to_owned()))?;
        let columns = split(&text).map_err(|wrong| fault(1, wrong.reason))?;
        let columns: Vec<String> = columns.into_iter().map(Option::unwrap_or_default).collect();
        if let Some(missing) = needed.iter().find(|name| !columns.iter().any(|column| column == **name)) {
            let reason = format!("the header has no column {missing}; it is written by CSV HEADER");
            return Err(fault(1, reason));
        }
        rows.form = Form::Csv(columns);
        Ok(rows)
    }

    /// A line that something is wrong with.
    pub(super) fn fault(&self, line: u64, wrong: &Wrong) -> Fault {
        let column = wrong.column.map(str::to_owned);
        Fault { file: self.path.clone(), line, column, reason: wrong.reason.clone() }
    }

    /// A physical line with its end; none at the end of the file.
    fn line(&mut self, into: &mut Vec<u8>) -> Result<bool, Wrong> {
        let room = (ROW_BYTES_MAX + 1).saturating_sub(into.len() as u64);
        let read = self.input.by_ref().take(room).read_until(b'\n', into);
        let n_read = read.map_err(|error| Wrong::row(format!("could not be read: {error}")))?;
        if into.len() as u64 > ROW_BYTES_MAX {
            return Err(Wrong::row(format!("a row is longer than {} MiB", ROW_BYTES_MAX >> 20)));
        }
        self.line += u64::from(n_read > 0);
        Ok(n_read > 0)
    }

    /// A row of CSV with the line on which it begins: lines until no quote is open.
    fn record(&mut self) -> Result<Option<(u64, String)>, Wrong> {
        let (mut bytes, first) = (Vec::new(), self.line + 1);
        let (mut is_open, mut n_seen) = (false, 0);
        loop {
            if !self.line(&mut bytes)? {
                let is_end = bytes.is_empty();
                let open = || Wrong::row("a quote is open at the end of the file");
                return if is_end { Ok(None) } else { Err(open()) };
            }
            is_open ^= bytes[n_seen..].iter().fold(false, |is_odd, byte| is_odd ^ (*byte == b'"'));
            n_seen = bytes.len();
            if !is_open {
                break;
            }
        }
        let text = String::from_utf8(bytes).map_err(|_| Wrong::row("it is no UTF-8"))?;
        let text =
            text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        Ok(Some((first, text.to_owned())))
    }

    /// The next row, or what is wrong with it; nothing at the end.
    pub(super) fn next(&mut self) -> Option<Result<Row<'_>, Fault>> {
        let begun = self.line + 1;
        let is_json = matches!(self.form, Form::Json);
        let read = if is_json { self.next_json() } else { self.record() };
        let (line, text) = match read {
            Ok(Some(found)) => found,
            Ok(None) => return None,
            Err(wrong) => return Some(Err(self.fault(begun, &wrong))),
        };
        let cells = match &self.form {
            Form::Csv(columns) => split(&text).and_then(|cells| {
                let (n, of_header) = (cells.len(), columns.len());
                let wrong = || Wrong::row(format!("it has {n} columns, the header has {of_header}"));
                (n == of_header).then_some(Cells::Csv(columns, cells)).ok_or_else(wrong)
            }),
            Form::Json => match serde_json::from_str(&text) {
                Ok(members) => Ok(Cells::Json(members)),
                Err(error) => {
                    let hint =
                        if self.is_copy_text { "" } else { "; is it written by \\copy? then --copy-text" };
                    Err(Wrong::row(format!("it is no JSON object: {error}{hint}")))
                }
            },
        };
        Some(cells.map(|cells| Row { line, cells }).map_err(|wrong| self.fault(line, &wrong)))
    }

    fn next_json(&mut self) -> Result<Option<(u64, String)>, Wrong> {
        loop {
            let mut bytes = Vec::new();
            if !self.line(&mut bytes)? {
                return Ok(None);
            }
            let text = String::from_utf8(bytes).map_err(|_| Wrong::row("it is no UTF-8"))?;
            let text = text.trim();
            if !text.is_empty() {
                let text = if self.is_copy_text { unescaped(text) } else { text.to_owned() };
                return Ok(Some((self.line, text)));
            }
        }
    }
}

/// The cells of a row of CSV.
fn split(text: &str) -> Result<Vec<Option<String>>, Wrong> {
    let (mut cells, mut rest) = (Vec::new(), text);
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut cell = String::new();
            rest = quoted;
            loop {
                let end = rest.find('"').ok_or_else(|| Wrong::row("a quote is open at its end"))?;
                cell.push_str(&rest[..end]);
                rest = &rest[end + 1..];
                match rest.strip_prefix('"') {
                    Some(more) => (cell.push('"'), rest = more).0,
                    None => break,
                }
            }
            cells.push(Some(cell));
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let cell = &rest[..end];
            if cell.contains('"') {
                return Err(Wrong::row(format!("a quote stands inside {}", shown(cell))));
            }
            cells.push(Some(cell.to_owned()).filter(|cell| !cell.is_empty()));
            rest = &rest[end..];
        }
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Ok(cells),
            None => return Err(Wrong::row(format!("{} stands behind a quote", shown(rest)))),
        }
    }
}

/// A line of `\copy` in its text form as it was before.
fn unescaped(text: &str) -> String {
    let (mut plain, mut chars) = (String::with_capacity(text.len()), text.chars());
    while let Some(c) = chars.next() {
        let next = if c == '\\' { chars.next() } else { None };
        plain.push(match next {
            None => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(other) => other,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open(text: &str, is_copy_text: bool) -> (tempfile::TempDir, Result<Rows, Fault>) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("job.csv");
        std::fs::write(&path, text).expect("written");
        let rows = Rows::open(&path, is_copy_text, &["id"]);
        (directory, rows)
    }

    /// Line, id and text of each row, or what is wrong with it.
    fn read(text: &str, is_copy_text: bool) -> Vec<Result<(u64, i64, String), String>> {
        let (_directory, rows) = open(text, is_copy_text);
        let mut rows = rows.expect("a header");
        let mut all = Vec::new();
        while let Some(row) = rows.next() {
            all.push(match row {
                Ok(row) => match (row.id("id"), row.text("text")) {
                    (Ok(id), Ok(text)) => Ok((row.line, id, text)),
                    (Err(wrong), _) | (_, Err(wrong)) => Err(format!("{}: {wrong:?}", row.line)),
                },
                Err(fault) => Err(format!("{}: {}", fault.line, fault.reason)),
            });
        }
        all
    }

    #[test]
    fn quotes_commas_line_ends_and_nulls_are_read_as_psql_writes_them() {
        let text = "id,text\r\n1,plain\n2,\"a, \"\"b\"\"\nsecond line\"\n3,\n4,\"\"\n";
        let row = |line, id, text: &str| Ok((line, id, text.to_owned()));
        let expected = [row(2, 1, "plain"), row(3, 2, "a, \"b\"\nsecond line"), row(5, 3, ""), row(6, 4, "")];
        assert_eq!(read(text, false), expected);
        let (_directory, rows) = open("id,text\n1,\n2,\"\"\n", false);
        let mut rows = rows.expect("a header");
        assert!(matches!(rows.next().expect("a row").expect("fine").cell("text"), Cell::Null));
        assert!(matches!(rows.next().expect("a row").expect("fine").cell("text"), Cell::Text("")));
    }

    #[test]
    fn what_is_no_row_is_told_with_its_line() {
        let faults = read("id,text\n1\n2,a\"b\n3,\"a\"b\nx,c\n4,d\n5,\"open\n", false);
        let told: Vec<String> =
            faults.into_iter().map(|row| row.map_or_else(|told| told, |_| "fine".into())).collect();
        assert_eq!(told[0], "2: it has 1 columns, the header has 2");
        // A single quote in a cell opens one for what follows.
        assert!(told[1].starts_with("3: "), "{told:?}");
        let (_directory, none) = open("name,text\n", false);
        assert!(
            none.err()
                .expect("no id")
                .to_string()
                .ends_with("job.csv:1: the header has no column id; it is written by CSV HEADER")
        );
        let (_directory, empty) = open("", false);
        assert!(empty.err().expect("no header").reason.contains("a header is missing"));
        let told = read("id,text\n1,\"a\"b\n5,\"open\n", false);
        assert_eq!(told[0], Err("2: \"b\" stands behind a quote".to_owned()));
        assert_eq!(told[1], Err("3: a quote is open at the end of the file".to_owned()));
    }

    #[test]
    fn lines_of_json_are_rows_also_as_copy_writes_them() {
        let lines = "{\"id\":1,\"text\":\"a\\\"b\"}\n\n{\"id\":2,\"text\":null}\n[]\n";
        let rows = read(lines, false);
        assert_eq!(rows[..2], [Ok((1, 1, "a\"b".to_owned())), Ok((3, 2, String::new()))]);
        assert!(rows[2].as_ref().is_err_and(|told| told.starts_with("4: it is no JSON object")));
        let doubled = "{\"id\":1,\"text\":\"a\\\\\"b\\\\\\\\n\"}\n";
        assert!(read(doubled, false)[0].as_ref().is_err_and(|told| told.contains("--copy-text")));
        assert_eq!(read(doubled, true), [Ok((1, 1, "a\"b\\n".to_owned()))]);
    }

    #[test]
    fn values_are_read_by_their_types() {
        let (_directory, rows) = open(
            "id,flag,time,amount,doc\n7,t,2026-01-31 12:00:00.5+00,1.5,\"{\"\"a\"\": 1}\"\n8,x,P1D,-1,{\n",
            false,
        );
        let mut rows = rows.expect("a header");
        let row = rows.next().expect("a row").expect("fine");
        assert_eq!(
            (row.id::<u8>("id"), row.flag("flag"), row.fraction("amount")),
            (Ok(7), Ok(true), Ok(Some(1.5)))
        );
        assert_eq!(row.time("time"), Ok(Some(Timestamp(1_769_860_800_500_000))));
        assert_eq!(row.json("doc").expect("JSON")["a"], 1);
        assert_eq!((row.number::<u8>("none"), row.flag("none")), (Ok(None), Ok(false)));
        assert_eq!(row.id::<u8>("none"), Err(Wrong::at("none", "it is missing")));
        let row = rows.next().expect("a row").expect("fine");
        assert!(row.flag("flag").is_err() && row.time("time").is_err() && row.fraction("amount").is_err());
        assert!(row.json("doc").is_err_and(|wrong| wrong.column == Some("doc")));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[id,\"\n a{}:\\\\]{0,200}", is_copy_text: bool) {
            let (_directory, rows) = open(&text, is_copy_text);
            if let Ok(mut rows) = rows {
                while let Some(row) = rows.next() {
                    if let Ok(row) = row {
                        let _ = (row.id::<u32>("id"), row.json("id"), row.time("id"));
                    }
                }
            }
        }

        #[test]
        fn what_is_quoted_comes_back(cells in prop::collection::vec("[a\",\n é]{0,9}", 2..6)) {
            let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let text = cells.iter().map(quoted).collect::<Vec<_>>().join(",");
            let expected: Vec<Option<String>> = cells.into_iter().map(Some).collect();
            prop_assert_eq!(split(&text), Ok(expected));
        }
    }
}
