//! What goes to standard output: one table or one JSON value per command, and nothing else.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use super::failure::{Exit, Failure};

/// For whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs: one JSON value, also for errors.
    Json,
}

/// Writes `text` and a line end. A reader that has gone (`| head`) is no error.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed("output", format_args!("could not write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a JSON value; on a terminal over several lines.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = if io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    print(&text.map_err(|error| Failure::failed("output", format_args!("could not write JSON: {error}")))?)
}

/// Tells of a failure: on standard error for people, on standard output too where JSON was asked
/// for. Returns what to exit with.
pub(super) fn report(failure: &Failure, output: Output) -> Exit {
    // Nothing is left to do where not even the error can be written.
    let _ = writeln!(io::stderr(), "{failure}");
    if output == Output::Json {
        let _ = print_json(&serde_json::json!({ "error": failure }));
    }
    failure.exit
}

/// A note on standard error that is no error.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A table of `columns`, those whose name begins with `>` to the right.
pub(super) fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|name| Cell::new(name.trim_start_matches('>'))));
    for (column, name) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2));
        if name.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Its lines, without blanks at their ends.
pub(super) fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A line for each name and its value.
pub(super) fn fields(rows: &[(&str, String)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for (name, value) in rows {
        table.add_row([(*name).to_owned(), value.clone()]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    lines(&table)
}

/// A length of time for people: `350 ms`, `12.3 s`, `3 m 20 s`, `2 h 05 m`.
pub(super) fn human(length: Duration) -> String {
    let (seconds, millis) = (length.as_secs(), length.as_millis());
    match seconds {
        0 if millis < 10 => format!("{:.1} ms", length.as_secs_f64() * 1e3),
        0 => format!("{millis} ms"),
        1..60 => format!("{:.1} s", length.as_secs_f64()),
        60..3_600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3_600, seconds / 60 % 60),
    }
}

/// `1 job`, `2 jobs`.
pub(super) fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `first`, and `N what` of each that is not zero.
pub(super) fn enumerated(first: String, rest: &[(u64, &str)]) -> String {
    let rest = rest.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join(", ")
}

/// A text from elsewhere with what a terminal could take for an order made visible.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' | '\n' => c.to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_read_well() {
        let check = |micros, expected| assert_eq!(human(Duration::from_micros(micros)), expected);
        check(400, "0.4 ms");
        check(350_000, "350 ms");
        check(12_340_000, "12.3 s");
        check(200_000_000, "3 m 20 s");
        check(7_500_000_000, "2 h 05 m");
    }

    #[test]
    fn terminals_get_no_orders() {
        assert_eq!(printable("a\tb\x1b[31mc\n"), "a\tb\\u{1b}[31mc\n");
    }
}
