//! Reading a daemon's JSON for a table. What is missing or new shows as `-`: a table never fails
//! over an answer that a newer daemon shapes differently.

use std::time::Duration;

use serde_json::Value;

use super::output::{human, printable};

/// What stands at `pointer` (`/job_type/name`), for people.
pub(super) fn text(of: &Value, pointer: &str) -> String {
    match of.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Object(members)) if members.is_empty() => "-".to_owned(),
        Some(Value::Object(members)) => {
            let pairs: Vec<String> =
                members.iter().map(|(name, value)| format!("{name}:{}", plain(value))).collect();
            printable(&pairs.join(","))
        }
        Some(Value::Array(items)) => printable(&items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Some(other) => plain(other),
    }
}

/// A number as short as it goes: `2`, not `2.0`.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
        other => other.to_string(),
    }
}

/// A number at `pointer`; zero where there is none.
pub(super) fn number(of: &Value, pointer: &str) -> u64 {
    of.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// The list at `pointer`; empty where there is none.
pub(super) fn list<'v>(of: &'v Value, pointer: &str) -> &'v [Value] {
    of.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// How long ago the instant at `pointer` was: `3 m 20 s`.
pub(super) fn age(of: &Value, pointer: &str) -> String {
    let then = of.pointer(pointer).and_then(Value::as_str);
    let Some(then) = then.and_then(|text| text.parse::<jiff::Timestamp>().ok()) else {
        return "-".to_owned();
    };
    let micros = jiff::Timestamp::now().as_microsecond().saturating_sub(then.as_microsecond());
    human(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// Seconds at `pointer` as a length of time.
pub(super) fn seconds(of: &Value, pointer: &str) -> String {
    let seconds = of.pointer(pointer).and_then(Value::as_f64);
    seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).map_or_else(|| "-".to_owned(), human)
}

/// `name`, or `name:version` where the version says something.
pub(super) fn job_type(of: &Value, pointer: &str) -> String {
    let (name, version) = (text(of, &format!("{pointer}/name")), text(of, &format!("{pointer}/version")));
    if version == "1.0" || version == "-" { name } else { format!("{name}:{version}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_read_well_and_gaps_do_not_hurt() {
        let answer = serde_json::json!({
            "n": 3, "empty": {}, "asks": { "cpus": 2.0, "mem": 1.5 }, "list": ["a", 1],
            "job_type": { "name": "x\u{1b}", "version": "2" }, "wall_s": 1.5,
        });
        let check = |pointer, expected| assert_eq!(text(&answer, pointer), expected);
        check("/n", "3");
        check("/asks", "cpus:2,mem:1.5");
        check("/list", "a 1");
        check("/none", "-");
        check("/empty", "-");
        assert_eq!(job_type(&answer, "/job_type"), "x\\u{1b}:2");
        assert_eq!(seconds(&answer, "/wall_s"), "1.5 s");
        assert_eq!((age(&answer, "/n"), number(&answer, "/none")), ("-".to_owned(), 0));
    }
}
