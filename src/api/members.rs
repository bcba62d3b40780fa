//! Members of a body and parameters of an address, read with types, refused in Scale's words.
//!
//! A member that is JSON's `null` is not there. Members of the wrong type are refused, also where
//! Scale would let them through and fail later. A body's numbers may stand in texts: `"9"` is 9.
//! An empty list is a list ([`integers`]); whoever filters by it decides what that selects.
//!
//! # Source
//! Texts and rules are those of Scale 7.2.2. What differs on purpose stands in docs/compat.md.

use std::time::Duration;

use serde_json::{Map, Value};

use super::body::BodyError;
use super::errors::ScaleError;
use super::query::Params;
use super::time;
use crate::model::Timestamp;

/// A body: its members in the order they came.
pub(super) type Members = Map<String, Value>;

/// Why a member or parameter is not taken. Its text is what the caller is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReadError {
    /// It has to be there.
    #[error("Missing required parameter: \"{0}\"")]
    Missing(&'static str),
    /// Neither a whole number nor a text of one.
    #[error("Parameter must be a valid integer: \"{0}\"")]
    Integer(&'static str),
    /// Neither true nor false.
    #[error("Parameter must be a valid boolean: \"{0}\"")]
    Boolean(&'static str),
    /// No text.
    #[error("Parameter must be a valid string: \"{0}\"")]
    Text(&'static str),
    /// No object, or no list of them.
    #[error("Parameter must be a valid JSON object: \"{0}\"")]
    Object(&'static str),
    /// Neither an instant nor a duration before now.
    #[error("Invalid ISO timestamp format for parameter: {0}")]
    Time(&'static str),
    /// None of the words that are known.
    #[error("Parameter \"{name}\" values must be one of: {known}")]
    Word {
        /// Of what.
        name: &'static str,
        /// Those that are, as a list.
        known: String,
    },
    /// No column to order by.
    #[error("Unexpected value {found} for order. Valid values are {known}")]
    Column {
        /// What was asked for.
        found: String,
        /// Those that are.
        known: String,
    },
    /// Both ends of a range are one instant.
    #[error("Start and end values must be different")]
    EmptyRange,
    /// A range ends before it begins.
    #[error("Start time must come before end time")]
    ReversedRange,
    /// A range is longer than this many days.
    #[error("Time range must be between 0 and {0} days, 0:00:00")]
    LongRange(u64),
}

impl From<ReadError> for ScaleError {
    fn from(error: ReadError) -> Self {
        Self::Bad(error.to_string())
    }
}

/// Reads a body. No body at all is one without members.
pub(super) fn object(bytes: &[u8]) -> Result<Members, ScaleError> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    match serde_json::from_slice(bytes).map_err(|error| BodyError::Json(error.to_string()))? {
        Value::Object(members) => Ok(members),
        _ => Err(ScaleError::Bad("The body must be a JSON object.".to_owned())),
    }
}

/// Reads the body of a call that needs members: in a list and in a text they are missing.
pub(super) fn object_with_members(bytes: &[u8]) -> Result<Members, ScaleError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Array(_) | Value::String(_)) => Ok(Members::new()),
        _ => object(bytes),
    }
}

/// The members of a body and, before those, the parameters of its address: a call that writes reads both.
pub(super) fn with_params(mut members: Members, params: &Params) -> Members {
    members.extend(params.iter().map(|(name, value)| (name.to_owned(), Value::from(value))));
    members
}

/// Reads a body whose members may stand behind the `?` of the address as well, where they win: as texts, several
/// of one name as a list. A body that is a list or a text has no members.
pub(super) fn asked(bytes: &[u8], params: &Params) -> Result<Members, ScaleError> {
    let mut members = object_with_members(bytes)?;
    let mut given = Members::new();
    for (name, text) in params.iter() {
        match given.get_mut(name) {
            None => drop(given.insert(name.to_owned(), text.into())),
            Some(Value::Array(texts)) => texts.push(text.into()),
            Some(first) => *first = Value::Array(vec![first.take(), text.into()]),
        }
    }
    members.append(&mut given);
    Ok(members)
}

/// A value as Scale writes it into its texts: as Python does.
pub(super) fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => written_within(value),
    }
}

fn written_within(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(written_within).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| format!("{}: {}", quoted(name), written_within(value));
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut all = format!("u{quote}");
    for c in text.chars() {
        match c {
            '\\' => all.push_str("\\\\"),
            '\n' => all.push_str("\\n"),
            '\r' => all.push_str("\\r"),
            '\t' => all.push_str("\\t"),
            c if c == quote => all.extend(['\\', c]),
            ' '..='~' => all.push(c),
            c => {
                let escaped = match u32::from(c) {
                    code @ ..=0xff => format!("\\x{code:02x}"),
                    code @ ..=0xffff => format!("\\u{code:04x}"),
                    code => format!("\\U{code:08x}"),
                };
                all.push_str(&escaped);
            }
        }
    }
    all.push(quote);
    all
}

/// What is there, or the error that it is not.
pub(super) fn required<T>(found: Option<T>, name: &'static str) -> Result<T, ReadError> {
    found.ok_or(ReadError::Missing(name))
}

/// The value of a member that is there.
fn value<'m>(members: &'m Members, name: &str) -> Option<&'m Value> {
    members.get(name).filter(|value| !value.is_null())
}

/// The values of a member that is a list, or stands for a list of one.
fn values<'m>(members: &'m Members, name: &str) -> Option<&'m [Value]> {
    value(members, name).map(|value| match value {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    })
}

fn each<'m, T>(
    members: &'m Members,
    name: &str,
    read: impl Fn(&'m Value) -> Result<T, ReadError>,
) -> Result<Option<Vec<T>>, ReadError> {
    values(members, name).map(|values| values.iter().map(read).collect()).transpose()
}

/// A whole number as a text: blanks around it and a sign may be there.
pub(super) fn whole(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

/// True or false as a text, in any case, with blanks around it.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Some(true),
        "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

/// A number without a fraction that `i64` holds, also when it is written with one (`1.0`).
fn integer_of(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| exact(number.as_f64()?)),
        Value::String(text) => whole(text),
        _ => None,
    }
}

fn exact(number: f64) -> Option<i64> {
    /// Up to here every whole number has a float of its own.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within bounds")]
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

/// A text.
pub(super) fn text<'m>(members: &'m Members, name: &'static str) -> Result<Option<&'m str>, ReadError> {
    value(members, name).map(|value| value.as_str().ok_or(ReadError::Text(name))).transpose()
}

/// A list of texts, or one.
pub(super) fn texts<'m>(members: &'m Members, name: &'static str) -> Result<Option<Vec<&'m str>>, ReadError> {
    each(members, name, |value| value.as_str().ok_or(ReadError::Text(name)))
}

/// True or false, also as a text.
pub(super) fn boolean(members: &Members, name: &'static str) -> Result<Option<bool>, ReadError> {
    let read = |value: &Value| match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => truth(text),
        _ => None,
    };
    value(members, name).map(|value| read(value).ok_or(ReadError::Boolean(name))).transpose()
}

/// A whole number, also as a text.
pub(super) fn integer(members: &Members, name: &'static str) -> Result<Option<i64>, ReadError> {
    value(members, name).map(|value| integer_of(value).ok_or(ReadError::Integer(name))).transpose()
}

/// A list of whole numbers, or one.
pub(super) fn integers(members: &Members, name: &'static str) -> Result<Option<Vec<i64>>, ReadError> {
    each(members, name, |value| integer_of(value).ok_or(ReadError::Integer(name)))
}

/// Ids of a list, or one; a number that is none is left out.
pub(super) fn ids(members: &Members, name: &'static str) -> Result<Option<Vec<u64>>, ReadError> {
    let number = |value: &Value| match value {
        Value::Number(number) if is_beyond_ids(number.as_f64()) => Ok(None),
        Value::String(text) if is_beyond_ids(whole_float(text)) => Ok(None),
        value => integer_of(value).map(|n| u64::try_from(n).ok()).ok_or(ReadError::Integer(name)),
    };
    Ok(each(members, name, number)?.map(|all| all.into_iter().flatten().collect()))
}

/// A text of digits alone, however many.
fn whole_float(text: &str) -> Option<f64> {
    let digits = text.trim().trim_start_matches(['+', '-']);
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| text.trim().parse().ok())?
}

fn is_beyond_ids(number: Option<f64>) -> bool {
    /// 2 to the 63rd.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    number.is_some_and(|number| number.abs() >= BEYOND)
}

/// Words of a list, or one; what is no text is no word that is known.
pub(super) fn words(members: &Members, name: &str) -> Option<Vec<String>> {
    values(members, name).map(|values| values.iter().map(written).collect())
}

/// An instant, also as a duration before `now`.
pub(super) fn instant(
    members: &Members,
    name: &'static str,
    now: Timestamp,
) -> Result<Option<Timestamp>, ReadError> {
    let read = |value: &Value| value.as_str().and_then(|text| time::read(text, now));
    value(members, name).map(|value| read(value).ok_or(ReadError::Time(name))).transpose()
}

/// An object.
pub(super) fn dictionary<'m>(
    members: &'m Members,
    name: &'static str,
) -> Result<Option<&'m Members>, ReadError> {
    value(members, name).map(|value| value.as_object().ok_or(ReadError::Object(name))).transpose()
}

/// A list of objects, or one.
pub(super) fn dictionaries<'m>(
    members: &'m Members,
    name: &'static str,
) -> Result<Option<Vec<&'m Members>>, ReadError> {
    each(members, name, |value| value.as_object().ok_or(ReadError::Object(name)))
}

/// `text`, where it is one of `known`.
pub(super) fn one_of<'t>(text: &'t str, name: &'static str, known: &[&str]) -> Result<&'t str, ReadError> {
    let word = || ReadError::Word { name, known: format!("[{}]", known.join(", ")) };
    known.contains(&text).then_some(text).ok_or_else(word)
}

/// Holds both ends of a range against each other, where both are set; `days_max`: its longest.
pub(super) fn check_range(
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    days_max: Option<u64>,
) -> Result<(), ReadError> {
    let (Some(started), Some(ended)) = (started, ended) else { return Ok(()) };
    match started.cmp(&ended) {
        std::cmp::Ordering::Equal => Err(ReadError::EmptyRange),
        std::cmp::Ordering::Greater => Err(ReadError::ReversedRange),
        std::cmp::Ordering::Less => match days_max {
            Some(days) if ended.since(started) > Duration::from_hours(24 * days) => {
                Err(ReadError::LongRange(days))
            }
            _ => Ok(()),
        },
    }
}

/// Holds the body of a change of the scheduler or of a node against what may be changed. Both
/// refusals are bare texts, and come before it is known whether there is anything to change.
pub(super) fn check_update(members: &Members, allowed: &[&str]) -> Result<(), ScaleError> {
    let is_allowed = |name: &&String| allowed.contains(&name.as_str());
    let unexpected: Vec<&str> = members.keys().filter(|name| !is_allowed(name)).map(String::as_str).collect();
    if !unexpected.is_empty() {
        return Err(ScaleError::Data(format!("Unexpected fields: {}", unexpected.join(", "))));
    }
    if members.is_empty() {
        return Err(ScaleError::Data("No fields specified for update.".to_owned()));
    }
    Ok(())
}

/// Holds the body of a job type, new or changed, against what there is. Scale shows a set of its language; clients
/// that know the text find it here.
pub(super) fn check_fields(members: &Members, allowed: &[&str]) -> Result<(), ScaleError> {
    let Some(name) = members.keys().find(|name| !allowed.contains(&name.as_str())) else { return Ok(()) };
    let allowed: Vec<String> = allowed.iter().map(|name| format!("u'{name}'")).collect();
    let allowed = allowed.join(", ");
    Err(ScaleError::Bad(format!("{name} is not a valid field. Valid fields are: set([{allowed}])")))
}

/// Reads any bytes as a body, by every reader: none panics, and every refusal says something.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_any(bytes: &[u8]) {
    const NAMES: [&str; 8] =
        ["job_ids", "job_type_id", "priority", "started", "is_paused", "input", "job_types", "title"];
    let now = Timestamp::from_secs(1_784_376_000);
    let Ok(members) = object(bytes) else { return };
    for name in NAMES {
        let (number, numbers) = (integer(&members, name), integers(&members, name));
        if let (Ok(Some(number)), Ok(Some(numbers))) = (&number, &numbers) {
            assert_eq!(numbers, &[*number], "{name} is one number");
        }
        let (word, words) = (text(&members, name), texts(&members, name));
        if let (Ok(Some(word)), Ok(Some(words))) = (&word, &words) {
            assert_eq!(words, &[*word], "{name} is one text");
        }
        let faults = [
            number.err(),
            numbers.err(),
            word.err(),
            words.err(),
            boolean(&members, name).err(),
            instant(&members, name, now).err(),
            dictionary(&members, name).err(),
            dictionaries(&members, name).err(),
        ];
        for fault in faults.into_iter().flatten() {
            assert!(fault.to_string().contains(name), "{fault}");
            assert!(value(&members, name).is_some(), "what is not there is not refused");
        }
    }
    let all: Vec<&str> = members.keys().map(String::as_str).collect();
    assert_eq!(check_update(&members, &all).is_err(), members.is_empty());
    assert_eq!(
        check_update(&members, &[]).is_err(),
        check_fields(&members, &["-"]).is_err() || all.is_empty() || all == ["-"]
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_secs(1_784_376_000);

    fn one(value: &Value) -> Members {
        Members::from_iter([("a".to_owned(), value.clone())])
    }

    fn bad(error: &ScaleError) -> &str {
        match error {
            ScaleError::Bad(text) | ScaleError::Data(text) => text,
            _ => "",
        }
    }

    #[test]
    fn a_body_is_an_object() {
        assert_eq!(object(b""), Ok(Members::new()));
        assert_eq!(object(b"{\"a\":1}"), Ok(one(&json!(1))));
        assert_eq!(object_with_members(b"[1]"), Ok(Members::new()));
        assert_eq!(object_with_members(b"\"a\""), Ok(Members::new()));
        assert_eq!(object_with_members(b"3"), object(b"3"));
        for body in ["null", "3", "[]", "\"a\""] {
            let error = object(body.as_bytes()).expect_err(body);
            assert_eq!(bad(&error), "The body must be a JSON object.");
        }
        assert!(bad(&object(b"{").expect_err("cut off")).starts_with("JSON parse error - "));
    }

    #[test]
    fn parameters_of_the_address_come_before_members() {
        let members = with_params(one(&json!(1)), &Params::of("a=2&a=3&b=x"));
        assert_eq!(integer(&members, "a"), Ok(Some(3)));
        assert_eq!(text(&members, "b"), Ok(Some("x")));
    }

    #[test]
    fn parameters_of_the_address_are_members_too() {
        let read = |body: &str, query: &str| asked(body.as_bytes(), &Params::of(query)).map(Value::Object);
        assert_eq!(read("{\"a\":1,\"b\":2}", "a=3"), Ok(json!({"a": "3", "b": 2})));
        assert_eq!(read("", "a=1&a=&a=x"), Ok(json!({"a": ["1", "", "x"]})));
        assert_eq!((read("[1]", ""), read("\"a\"", "")), (Ok(json!({})), Ok(json!({}))));
        assert!(read("null", "a=1").is_err() && read("3", "").is_err() && read("{", "").is_err());
    }

    #[test]
    fn values_are_written_as_python_writes_them() {
        let check = |value: Value, expected: &str| assert_eq!(written(&value), expected);
        check(json!("it's"), "it's");
        check(
            json!(["it's", "a\"'\n\\", "\u{e4}\u{20ac}\u{1f600}"]),
            r#"[u"it's", u'a"\'\n\\', u'\xe4\u20ac\U0001f600']"#,
        );
        check(json!({"a": [1, 2.5, null, true, {}]}), "{u'a': [1, 2.5, None, True, {}]}");
    }

    #[test]
    fn numbers_that_no_id_can_be_are_left_out() {
        let read = |value: Value| ids(&one(&value), "a");
        assert_eq!(read(json!([3, "4", -1, 1e20, "99999999999999999999"])), Ok(Some(vec![3, 4])));
        assert_eq!((read(json!([])), read(json!(7))), (Ok(Some(vec![])), Ok(Some(vec![7]))));
        for bad in [json!("x"), json!([null]), json!(1.5), json!("1e30"), json!({})] {
            assert_eq!(read(bad), Err(ReadError::Integer("a")));
        }
        assert_eq!(
            words(&one(&json!(["x", 1, null])), "a"),
            Some(vec!["x".into(), "1".into(), "None".into()])
        );
    }

    #[test]
    fn whole_numbers_are_read_and_nothing_else() {
        let check = |value: Value, expected: Option<i64>| {
            let read = integer(&one(&value), "a");
            assert_eq!(read, expected.map(Some).ok_or(ReadError::Integer("a")), "{value}");
            let list = integers(&one(&json!([1, value])), "a");
            assert_eq!(list, expected.map(|n| Some(vec![1, n])).ok_or(ReadError::Integer("a")), "{value}");
        };
        check(json!(7), Some(7));
        check(json!(-7), Some(-7));
        check(json!(7.0), Some(7));
        check(json!(i64::MAX), Some(i64::MAX));
        check(json!(" +7 "), Some(7));
        check(json!("9"), Some(9));
        for other in
            [json!(2.5), json!(1e300), json!(u64::MAX), json!(true), json!("x"), json!(""), json!({})]
        {
            check(other, None);
        }
        assert_eq!(integers(&one(&json!(3)), "a"), Ok(Some(vec![3])));
        assert_eq!(integers(&one(&json!([])), "a"), Ok(Some(Vec::new())));
        assert_eq!(integers(&one(&json!([null])), "a"), Err(ReadError::Integer("a")));
        assert_eq!((integer(&one(&json!(null)), "a"), integers(&Members::new(), "a")), (Ok(None), Ok(None)));
    }

    #[test]
    fn other_types_are_read_and_refused_in_their_words() {
        assert_eq!(boolean(&one(&json!(true)), "a"), Ok(Some(true)));
        assert_eq!(boolean(&one(&json!(" F ")), "a"), Ok(Some(false)));
        assert_eq!(boolean(&one(&json!(1)), "a"), Err(ReadError::Boolean("a")));
        assert_eq!(text(&one(&json!("x")), "a"), Ok(Some("x")));
        assert_eq!(text(&one(&json!(1)), "a"), Err(ReadError::Text("a")));
        assert_eq!(texts(&one(&json!(["x", "y"])), "a"), Ok(Some(vec!["x", "y"])));
        assert_eq!(texts(&one(&json!(["x", 1])), "a"), Err(ReadError::Text("a")));
        let hour = Timestamp(NOW.0 - 3_600 * Timestamp::PER_SECOND);
        assert_eq!(instant(&one(&json!("PT1H")), "a", NOW), Ok(Some(hour)));
        for other in [json!(""), json!("yesterday"), json!(7)] {
            assert_eq!(instant(&one(&other), "a", NOW), Err(ReadError::Time("a")), "{other}");
        }
        assert_eq!(dictionary(&one(&json!({})), "a"), Ok(Some(&Members::new())));
        assert_eq!(dictionary(&one(&json!([])), "a"), Err(ReadError::Object("a")));
        assert_eq!(dictionaries(&one(&json!({})), "a").map(|all| all.map(|all| all.len())), Ok(Some(1)));
        assert_eq!(dictionaries(&one(&json!([{}, 1])), "a"), Err(ReadError::Object("a")));
        assert_eq!(required::<i64>(None, "a"), Err(ReadError::Missing("a")));
        let known = one_of("x", "time_field", &["source", "data"]).expect_err("unknown").to_string();
        assert_eq!(known, "Parameter \"time_field\" values must be one of: [source, data]");
    }

    #[test]
    fn changes_are_held_against_what_may_be_changed() {
        let check = |body: Value, expected: Option<&str>| {
            let Value::Object(members) = body else { panic!("an object") };
            let found = check_update(&members, &["is_paused", "is_active"]);
            assert_eq!(found, expected.map_or(Ok(()), |text| Err(ScaleError::Data(text.to_owned()))));
        };
        check(json!({"is_paused": true}), None);
        check(json!({}), Some("No fields specified for update."));
        check(json!({"foo": 1, "is_paused": true, "bar": 2}), Some("Unexpected fields: foo, bar"));
        let fields = check_fields(&one(&json!(1)), &["b"]).expect_err("unknown");
        assert_eq!(bad(&fields), "a is not a valid field. Valid fields are: set([u'b'])");
    }

    #[test]
    fn ranges_are_held_where_both_ends_are_set() {
        let at = |days: i64| Some(Timestamp(NOW.0 + days * 24 * 3_600 * Timestamp::PER_SECOND));
        assert_eq!(check_range(at(1), at(1), None), Err(ReadError::EmptyRange));
        assert_eq!(check_range(at(2), at(1), Some(31)), Err(ReadError::ReversedRange));
        assert_eq!(check_range(at(0), at(31), Some(31)), Ok(()));
        assert_eq!(check_range(at(0), at(32), None), Ok(()));
        let long = check_range(at(0), at(32), Some(31)).expect_err("too long").to_string();
        assert_eq!(long, "Time range must be between 0 and 31 days, 0:00:00");
        assert_eq!((check_range(None, at(1), None), check_range(at(1), None, None)), (Ok(()), Ok(())));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in "\\PC{0,80}", value in "[{}\\[\\]\",:a-z0-9_. -]{0,40}") {
            read_any(body.as_bytes());
            for name in ["job_ids", "priority", "started", "job_types"] {
                read_any(format!("{{\"{name}\":{value}}}").as_bytes());
                read_any(format!("{{\"{name}\":\"{value}\"}}").as_bytes());
            }
        }
    }
}
