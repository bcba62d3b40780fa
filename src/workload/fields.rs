//! Typed reading of a file's fields, collecting every fault with its line and path.
//!
//! A reader that finds a fault notes it and goes on with what it has, so that one run over a file
//! shows up to `FAULTS_MAX` of them; whoever holds the `Faults` refuses the file at the end.

use std::fmt;
use std::sync::Arc;

use crate::model::{NodeResources, Quantity, ResourceName, ResourcesError};

use super::bounds::FAULTS_MAX;
use super::check::shown;
use super::json::{Json, Value};
use super::problem::Problem;

/// One fault of a file: `file:line: field: what is wrong and what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as the caller named it.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// As a path from the top, such as `job_types[0].resources.cpus`; empty for the whole file.
    pub field: String,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        self.problem.fmt(f)
    }
}

/// The faults of a file, in the order they were found: the first `FAULTS_MAX`, and how many more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    file: Arc<str>,
    list: Vec<Fault>,
    n_more: usize,
}

impl Faults {
    pub(super) fn new(file: &Arc<str>) -> Self {
        Self { file: file.clone(), list: Vec::new(), n_more: 0 }
    }

    /// The first ones.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Fault> {
        self.list.iter()
    }

    /// How many were found beyond those listed.
    pub fn n_more(&self) -> usize {
        self.n_more
    }

    /// Notes a fault.
    pub(super) fn add(&mut self, line: u32, field: impl fmt::Display, problem: Problem) {
        if self.list.len() == FAULTS_MAX {
            self.n_more += 1;
            return;
        }
        self.list.push(Fault { file: self.file.clone(), line, field: field.to_string(), problem });
    }

    /// The result of a check; a failed one is noted.
    pub(super) fn note<T>(&mut self, at: &Cursor<'_>, result: Result<T, impl Into<Problem>>) -> Option<T> {
        result.map_err(|problem| self.add(at.json.line, at, problem.into())).ok()
    }

    /// `value` where nothing was noted.
    pub(super) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.list.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.list.iter().enumerate() {
            write!(f, "{}{fault}", if n == 0 { "" } else { "\n" })?;
        }
        match self.n_more {
            0 => Ok(()),
            n => write!(f, "\nand {n} more"),
        }
    }
}

impl std::error::Error for Faults {}

/// A value of the file and the way to it. Prints as its path.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'c> {
    pub(super) json: &'c Json,
    parent: Option<&'c Cursor<'c>>,
    step: Step<'c>,
}

#[derive(Clone, Copy)]
enum Step<'c> {
    Root,
    Field(&'c str),
    Index(usize),
}

impl fmt::Display for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Index(n) => write!(f, "[{n}]"),
            Step::Field(name) => {
                let is_top = self.parent.is_none_or(|parent| matches!(parent.step, Step::Root));
                write!(f, "{}{}", if is_top { "" } else { "." }, shown(name))
            }
        }
    }
}

impl<'c> Cursor<'c> {
    pub(super) fn root(json: &'c Json) -> Self {
        Self { json, parent: None, step: Step::Root }
    }

    fn wrong<T>(&self, faults: &mut Faults, expected: &'static str, example: &'static str) -> Option<T> {
        let found = self.json.value.kind();
        faults.add(self.json.line, self, Problem::WrongKind { expected, found, example });
        None
    }

    /// The fields of an object; those outside `known` are noted.
    pub(super) fn object(&'c self, faults: &mut Faults, known: &[&str]) -> Option<Object<'c>> {
        let Value::Object(fields) = &self.json.value else {
            return self.wrong(faults, "an object", "{\"name\": ...}");
        };
        for (name, json) in fields.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let hint = field_hint(name, known);
            faults.add(json.line, self, Problem::UnknownField { name: shown(name), hint });
        }
        Some(Object { at: self, fields })
    }

    /// Any fields of an object.
    pub(super) fn entries(
        &'c self,
        faults: &mut Faults,
        example: &'static str,
    ) -> impl Iterator<Item = (&'c str, Cursor<'c>)> + use<'c> {
        let fields = match &self.json.value {
            Value::Object(fields) => fields.as_slice(),
            _ => self.wrong(faults, "an object", example).unwrap_or_default(),
        };
        fields
            .iter()
            .map(|(name, json)| (name.as_str(), Cursor { json, parent: Some(self), step: Step::Field(name) }))
    }

    /// The items of a list.
    pub(super) fn list(
        &'c self,
        faults: &mut Faults,
        example: &'static str,
    ) -> impl ExactSizeIterator<Item = Cursor<'c>> + use<'c> {
        let items = match &self.json.value {
            Value::List(items) => items.as_slice(),
            _ => self.wrong(faults, "a list", example).unwrap_or_default(),
        };
        items.iter().enumerate().map(|(n, json)| Cursor { json, parent: Some(self), step: Step::Index(n) })
    }

    /// A text.
    pub(super) fn text(&self, faults: &mut Faults, example: &'static str) -> Option<&'c str> {
        match &self.json.value {
            Value::Text(text) => Some(text),
            _ => self.wrong(faults, "text", example),
        }
    }

    /// A text that passes `check`.
    pub(super) fn checked(
        &self,
        faults: &mut Faults,
        example: &'static str,
        check: impl Fn(&str) -> Result<(), Problem>,
    ) -> Option<String> {
        let text = self.text(faults, example)?;
        faults.note(self, check(text)).map(|()| text.to_owned())
    }

    /// True for a list of nothing.
    pub(super) fn is_empty_list(&self) -> bool {
        matches!(&self.json.value, Value::List(items) if items.is_empty())
    }

    /// A field of an object whose fields are checked elsewhere.
    pub(super) fn field(&self, name: &str) -> Option<&'c Json> {
        match &self.json.value {
            Value::Object(fields) => fields.iter().find(|(known, _)| known == name).map(|(_, json)| json),
            _ => None,
        }
    }

    /// True or false.
    pub(super) fn boolean(&self, faults: &mut Faults) -> Option<bool> {
        match self.json.value {
            Value::Bool(is) => Some(is),
            _ => self.wrong(faults, "true or false", "true"),
        }
    }

    /// A whole number from `min` to `max`.
    pub(super) fn integer<T: TryFrom<i64>>(&self, faults: &mut Faults, min: i64, max: i64) -> Option<T> {
        let Value::Number(digits) = &self.json.value else {
            return self.wrong(faults, "a whole number", "5");
        };
        let number = digits.parse::<i64>().ok().filter(|n| (min..=max).contains(n));
        let number = number.ok_or_else(|| Problem::OutOfRange { min, max, found: shown(digits) });
        faults.note(self, number).and_then(|n| T::try_from(n).ok())
    }

    /// A text, number, true or false, as text.
    pub(super) fn scalar(&self, faults: &mut Faults) -> Option<String> {
        match &self.json.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(digits) => Some(digits.clone()),
            Value::Bool(is) => Some(is.to_string()),
            _ => self.wrong(faults, "text, a number, true or false", "\"blue\""),
        }
    }

    /// Amounts by resource name.
    pub(super) fn resources(&self, faults: &mut Faults) -> NodeResources {
        let mut set = NodeResources::new();
        let mut names = Vec::new();
        for (name, at) in self.entries(faults, "{\"cpus\": 0.5, \"mem\": 64}") {
            let Some(amount) = at.quantity(faults) else { continue };
            let added = ResourceName::new(name).map_err(ResourcesError::from).and_then(|name| {
                if names.contains(&name) {
                    return Err(ResourcesError::Twice { name });
                }
                let next = set.clone().with(name.as_str(), amount)?;
                names.push(name);
                Ok(next)
            });
            set = faults.note(&at, added).unwrap_or(set);
        }
        set
    }

    fn quantity(&self, faults: &mut Faults) -> Option<Quantity> {
        let text = match &self.json.value {
            Value::Number(digits) if digits.contains(['e', 'E']) => {
                digits.parse::<f64>().map_or_else(|_| digits.clone(), |number| number.to_string())
            }
            Value::Number(text) | Value::Text(text) => text.clone(),
            _ => return self.wrong(faults, "a quantity", "0.5"),
        };
        faults.note(self, text.parse::<Quantity>())
    }

    /// A length of time in seconds: a whole number, or text such as `1h30m`.
    pub(super) fn seconds(&self, faults: &mut Faults) -> Option<u32> {
        let (seconds, found) = match &self.json.value {
            Value::Number(digits) => (digits.parse().ok(), digits.clone()),
            Value::Text(text) => (parse_seconds(text), format!("{text:?}")),
            _ => return self.wrong(faults, "seconds or text", "\"90s\""),
        };
        let seconds = seconds.filter(|&s| s > 0);
        faults.note(self, seconds.ok_or_else(|| Problem::Timeout { found: shown(&found) }))
    }
}

/// Reads `1h30m`: numbers with units, the larger unit first.
fn parse_seconds(text: &str) -> Option<u32> {
    let units = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    let (mut rest, mut sum, mut next_unit) = (text, 0u32, 0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u32 = rest[..end].parse().ok()?;
        let unit = rest[end..].chars().next()?;
        let place = units.iter().position(|(name, _)| *name == unit).filter(|&place| place >= next_unit)?;
        sum = sum.checked_add(number.checked_mul(units[place].1)?)?;
        next_unit = place + 1;
        rest = &rest[end + 1..];
    }
    Some(sum)
}

/// An object of the file whose fields are known.
pub(super) struct Object<'c> {
    pub(super) at: &'c Cursor<'c>,
    fields: &'c [(String, Json)],
}

impl<'c> Object<'c> {
    /// A field, where it is there.
    pub(super) fn get(&self, name: &str) -> Option<Cursor<'c>> {
        let (name, json) = self.fields.iter().find(|(known, _)| known == name)?;
        Some(Cursor { json, parent: Some(self.at), step: Step::Field(name) })
    }

    /// A field that must be there.
    pub(super) fn need(
        &self,
        faults: &mut Faults,
        name: &'static str,
        example: &'static str,
    ) -> Option<Cursor<'c>> {
        let found = self.get(name);
        if found.is_none() {
            let field = Cursor { json: self.at.json, parent: Some(self.at), step: Step::Field(name) };
            faults.add(self.at.json.line, field, Problem::Missing { example });
        }
        found
    }
}

/// Other programs' words for our fields.
const FOREIGN: [(&str, &str); 13] = [
    ("args", "command"),
    ("argv", "command"),
    ("cmd", "command"),
    ("container", "image"),
    ("dependencies", "depends_on"),
    ("docker_image", "image"),
    ("environment", "env"),
    ("fetch", "uris"),
    ("job_type", "type"),
    ("max_scheduled", "limit"),
    ("max_tries", "tries"),
    ("parents", "depends_on"),
    ("retries", "tries"),
];

fn field_hint(name: &str, known: &[&str]) -> String {
    let foreign = FOREIGN.iter().find(|(word, ours)| *word == name && known.contains(ours));
    match foreign {
        Some((_, ours)) => format!("did you mean {ours:?}?"),
        None => hint(name, known.iter().copied()),
    }
}

/// Most names that a hint lists.
const HINT_NAMES_MAX: usize = 20;

/// "did you mean ...?" with the nearest of `known`, or a list of them where none is near.
pub(super) fn hint<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let near = known.clone().map(|k| (distance(name, k), k)).min();
    match near {
        Some((d, k)) if d <= 1 + k.len() / 4 => format!("did you mean {k:?}?"),
        None => "there is none yet".to_owned(),
        Some(_) => {
            let listed: Vec<_> = known.clone().take(HINT_NAMES_MAX).map(shown).collect();
            let more = if known.count() > HINT_NAMES_MAX { ", ..." } else { "" };
            format!("known are {}{more}", listed.join(", "))
        }
    }
}

/// Longest name that is compared, in bytes; longer ones are near to nothing.
const COMPARED_BYTES_MAX: usize = 64;

/// Edits between two names (Levenshtein), in bytes.
fn distance(a: &str, b: &str) -> usize {
    if a.len().max(b.len()) > COMPARED_BYTES_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let edited = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], edited);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        let check = |text: &str, expected: Option<u32>| assert_eq!(parse_seconds(text), expected, "{text}");
        check("90s", Some(90));
        check("5m", Some(300));
        check("1h30m", Some(5_400));
        check("1d2h3m4s", Some(93_784));
        for bad in ["s", "90", "1m1h", "1m1m", "1.5h", "-1s", "1 h", "1ü", "99999999999s", "49711d"] {
            check(bad, None);
        }
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let known = ["command", "env", "limit", "tries"];
        assert_eq!(field_hint("comand", &known), "did you mean \"command\"?");
        assert_eq!(field_hint("max_tries", &known), "did you mean \"tries\"?");
        assert_eq!(field_hint("colour", &known), "known are command, env, limit, tries");
        assert_eq!(hint("a", [].into_iter()), "there is none yet");
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
