//! Reading documents member by member. What is not as it should be is told with its place.
//!
//! The words are those that a client of Scale knows: `'name' is a required property`.

use std::fmt;

use serde_json::{Map, Number, Value};

/// Characters of a value that an error shows; documents may be large, answers should not be.
const SHOWN_CHARS_MAX: usize = 80;

/// What a value in a document should be, and is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("'{member}' is a required property")]
    Missing { member: &'static str },
    #[error("Additional properties are not allowed ('{member}' was unexpected)")]
    Unknown { member: String },
    #[error("{found} is not of type '{expected}'")]
    Type { found: String, expected: &'static str },
    #[error("{found} is less than the minimum of {minimum}")]
    Below { found: String, minimum: u64 },
    #[error("{found} is greater than the maximum of {maximum}")]
    Above { found: String, maximum: u64 },
    #[error("{found} does not match '{pattern}'")]
    Pattern { found: String, pattern: &'static str },
    #[error("{found} is not one of {choices:?}")]
    Choice { found: String, choices: &'static [&'static str] },
    #[error("[] is too short")]
    Empty,
    /// Neither of several forms.
    #[error("{found} is not valid under any of the given schemas")]
    NoForm { found: String },
}

/// A fault, and where: names of members and positions, such as `job.resources.scalar[0]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) fault: Fault,
    pub(crate) path: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, " (at {})", self.path) }
    }
}

impl std::error::Error for Misfit {}

/// A value, and where it stands in its document.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) value: &'a Value,
    path: String,
}

/// The members of an object whose names were checked.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

/// A value as an error shows it.
pub(crate) fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("'{text}'"),
        other => other.to_string(),
    };
    shortened(&text)
}

/// A text as an error shows it.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl<'a> Place<'a> {
    /// The whole document.
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    /// That `fault` is here.
    pub(crate) fn misfit(&self, fault: Fault) -> Misfit {
        Misfit { fault, path: self.path.clone() }
    }

    fn type_misfit(&self, expected: &'static str) -> Misfit {
        self.misfit(Fault::Type { found: shown(self.value), expected })
    }

    /// An object that has all of `required`, and nothing but those and `optional`.
    pub(crate) fn object(
        &self,
        required: &[&'static str],
        optional: &[&'static str],
    ) -> Result<Members<'a>, Misfit> {
        let map = self.value.as_object().ok_or_else(|| self.type_misfit("object"))?;
        let is_known = |name: &String| required.iter().chain(optional).any(|known| known == name);
        if let Some(name) = map.keys().find(|name| !is_known(name)) {
            return Err(self.misfit(Fault::Unknown { member: shortened(name) }));
        }
        if let Some(member) = required.iter().copied().find(|name| !map.contains_key(*name)) {
            return Err(self.misfit(Fault::Missing { member }));
        }
        Ok(Members { map, path: self.path.clone() })
    }

    /// An object with members of any name.
    pub(crate) fn entries(&self) -> Result<Vec<(&'a String, Place<'a>)>, Misfit> {
        let map = self.value.as_object().ok_or_else(|| self.type_misfit("object"))?;
        Ok(map.iter().map(|(name, value)| (name, Place { value, path: joined(&self.path, name) })).collect())
    }

    pub(crate) fn items(&self) -> Result<Vec<Place<'a>>, Misfit> {
        let items = self.value.as_array().ok_or_else(|| self.type_misfit("array"))?;
        let place = |(at, value)| Place { value, path: format!("{}[{at}]", self.path) };
        Ok(items.iter().enumerate().map(place).collect())
    }

    pub(crate) fn text(&self) -> Result<&'a str, Misfit> {
        self.value.as_str().ok_or_else(|| self.type_misfit("string"))
    }

    pub(crate) fn boolean(&self) -> Result<bool, Misfit> {
        self.value.as_bool().ok_or_else(|| self.type_misfit("boolean"))
    }

    pub(crate) fn number(&self) -> Result<&'a Number, Misfit> {
        self.value.as_number().ok_or_else(|| self.type_misfit("number"))
    }

    /// A number without a fraction, whatever its size. `1.0` is none.
    pub(crate) fn integer(&self) -> Result<&'a Number, Misfit> {
        let whole = self.value.as_number().filter(|number| !number.is_f64());
        whole.ok_or_else(|| self.type_misfit("integer"))
    }

    /// A number without a fraction, from `minimum` to `maximum`.
    pub(crate) fn integer_within(&self, minimum: u64, maximum: u64) -> Result<u64, Misfit> {
        match self.integer()?.as_u64() {
            Some(number) if number > maximum => Err(self.above(maximum)),
            Some(number) if number >= minimum => Ok(number),
            _ => Err(self.below(minimum)),
        }
    }

    pub(crate) fn below(&self, minimum: u64) -> Misfit {
        self.misfit(Fault::Below { found: shown(self.value), minimum })
    }

    pub(crate) fn above(&self, maximum: u64) -> Misfit {
        self.misfit(Fault::Above { found: shown(self.value), maximum })
    }

    /// A text that passes `test`; `pattern` says what that asks for.
    pub(crate) fn matching(
        &self,
        pattern: &'static str,
        test: impl Fn(&str) -> bool,
    ) -> Result<&'a str, Misfit> {
        let text = self.text()?;
        if test(text) {
            return Ok(text);
        }
        Err(self.misfit(Fault::Pattern { found: shown(self.value), pattern }))
    }

    /// One of the words `choices`.
    pub(crate) fn choice(&self, choices: &'static [&'static str]) -> Result<&'static str, Misfit> {
        let found = self.value.as_str().and_then(|text| choices.iter().copied().find(|word| *word == text));
        found.ok_or_else(|| self.misfit(Fault::Choice { found: shown(self.value), choices }))
    }
}

impl<'a> Members<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<Place<'a>> {
        self.map.get(name).map(|value| Place { value, path: joined(&self.path, name) })
    }

    /// A member that must be there.
    pub(crate) fn need(&self, name: &'static str) -> Result<Place<'a>, Misfit> {
        let missing = || Misfit { fault: Fault::Missing { member: name }, path: self.path.clone() };
        self.get(name).ok_or_else(missing)
    }

    /// The items of a list; none where it is absent.
    pub(crate) fn items(&self, name: &str) -> Result<Vec<Place<'a>>, Misfit> {
        self.get(name).map_or(Ok(Vec::new()), |place| place.items())
    }

    /// A text that may be absent.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, Misfit> {
        self.get(name).map(|place| place.text()).transpose()
    }

    /// A boolean, or what stands for an absent one.
    pub(crate) fn boolean(&self, name: &str, default: bool) -> Result<bool, Misfit> {
        self.get(name).map_or(Ok(default), |place| place.boolean())
    }

    /// A list of texts; none where it is absent.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, Misfit> {
        self.items(name)?.iter().map(|item| item.text().map(str::to_owned)).collect()
    }
}

fn joined(path: &str, name: &str) -> String {
    let name = shortened(name);
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_misfit_says_what_and_where() {
        let document = json!({ "job": { "tags": ["a", 5], "timeout": -1 } });
        let job = Place::root(&document).object(&["job"], &[]).and_then(|m| m.need("job")).expect("a job");
        let members = job.object(&["timeout"], &["tags"]).expect("two members");
        let error = members.texts("tags").expect_err("5 is no text");
        assert_eq!(error.to_string(), "5 is not of type 'string' (at job.tags[1])");
        let timeout = members.need("timeout").expect("there");
        let error = timeout.integer_within(1, 9).expect_err("too small").to_string();
        assert_eq!(error, "-1 is less than the minimum of 1 (at job.timeout)");
        let error = job.object(&["timeout"], &[]).expect_err("unknown").to_string();
        assert_eq!(error, "Additional properties are not allowed ('tags' was unexpected) (at job)");
        let error = job.object(&["tags", "timeout", "name"], &[]).expect_err("missing").to_string();
        assert_eq!(error, "'name' is a required property (at job)");
    }

    #[test]
    fn long_values_are_shown_in_part() {
        let long = Value::String("\u{e9}".repeat(1_000));
        assert_eq!(shown(&long).chars().count(), SHOWN_CHARS_MAX + 3);
        assert_eq!(shown(&json!("short")), "'short'");
    }
}
