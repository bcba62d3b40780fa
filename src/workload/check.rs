//! Checks of single fields and of what a job type's placeholders need, shared by files and bodies.

use crate::launch::{LAUNCH_NAMES, Template};
use crate::model::JobTypeSpec;

use super::bounds::{ARG_BYTES_MAX, LABEL_BYTES_MAX, VALUE_BYTES_MAX, VALUE_NAME_BYTES_MAX};
use super::problem::Problem;

/// Characters of a refused text that a message shows.
const SHOWN_CHARS_MAX: usize = 80;

/// The start of `text`, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Names of job types, versions, and in files those of nodes and recipes.
pub(super) fn label(text: &str) -> Result<(), Problem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.+".contains(&b);
    if text.is_empty() || text.len() > LABEL_BYTES_MAX || !text.bytes().all(plain) {
        return Err(Problem::Label { found: shown(text), max: LABEL_BYTES_MAX });
    }
    Ok(())
}

/// Text for people, or the name of a node.
pub(super) fn text(text: &str, max: usize) -> Result<(), Problem> {
    if text.len() > max {
        return Err(Problem::TooLong { bytes: text.len(), max });
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Problem::Control);
    }
    Ok(())
}

/// What is handed to a program: no NUL, and not too long.
fn passable(text: &str, max: usize) -> Result<(), Problem> {
    if text.len() > max {
        return Err(Problem::TooLong { bytes: text.len(), max });
    }
    if text.contains('\0') { Err(Problem::Nul) } else { Ok(()) }
}

/// One argument of a command or value of an environment variable.
pub(super) fn argument(text: &str) -> Result<(), Problem> {
    passable(text, ARG_BYTES_MAX)?;
    Template::parse(text).map(drop).map_err(Problem::Template)
}

/// The text of a job's value.
pub(super) fn value(text: &str) -> Result<(), Problem> {
    passable(text, VALUE_BYTES_MAX)
}

/// The name of a value.
pub(super) fn value_name(name: &str) -> Result<(), Problem> {
    if LAUNCH_NAMES.contains(&name) {
        return Err(Problem::ReservedValue { name: name.to_owned() });
    }
    identifier("a value", name)
}

/// The name of an environment variable.
pub(super) fn env_name(name: &str) -> Result<(), Problem> {
    identifier("an environment variable", name)
}

fn identifier(of: &'static str, name: &str) -> Result<(), Problem> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let starts = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !plain || !starts || name.len() > VALUE_NAME_BYTES_MAX {
        return Err(Problem::ValueName { of, found: shown(name) });
    }
    Ok(())
}

/// A value that jobs of a type must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// Its name.
    pub(super) name: String,
    /// The field of the type that uses it first.
    pub(super) field: String,
}

/// What the placeholders of `spec` need beyond what is filled at each launch, once each. Texts
/// that are no templates need nothing; `argument` has refused them before.
pub(super) fn needs(spec: &JobTypeSpec) -> Vec<Need> {
    let command = spec.command.iter().enumerate().map(|(at, text)| (format!("command[{at}]"), text));
    let env = spec.env.iter().map(|(name, text)| (format!("env.{name}"), text));
    let mut needs: Vec<Need> = Vec::new();
    for (field, text) in command.chain(env) {
        let Ok(template) = Template::parse(text) else { continue };
        for name in template.names() {
            if !LAUNCH_NAMES.contains(&name) && !needs.iter().any(|need| need.name == name) {
                needs.push(Need { name: name.to_owned(), field: field.clone() });
            }
        }
    }
    needs
}

/// The first of `needs` that `has` does not know, as a problem of the job's `values`.
pub(super) fn met(
    spec: &JobTypeSpec,
    needs: &[Need],
    has: impl Fn(&str) -> bool,
    hint: impl Fn(&str) -> &'static str,
) -> Result<(), Problem> {
    match needs.iter().find(|need| !has(&need.name)) {
        None => Ok(()),
        Some(need) => Err(Problem::NoValue {
            name: need.name.clone(),
            user: format!("{}:{}", spec.name, spec.version),
            field: need.field.clone(),
            hint: hint(&need.name),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "1.0", "build-x86_64", "1.0.0+rc1"] {
            assert_eq!(label(good), Ok(()), "{good}");
        }
        for bad in ["", "a b", "a:1", "a/b", "ü", "a\n", &"x".repeat(LABEL_BYTES_MAX + 1)] {
            assert!(label(bad).is_err(), "{bad}");
        }
        assert_eq!(value_name("file"), Ok(()));
        for bad in ["", "1a", "a-b", "job_id", &"x".repeat(VALUE_NAME_BYTES_MAX + 1)] {
            assert!(value_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_need_is_named_once_with_its_first_field() {
        let spec = JobTypeSpec::new("t", "1").command(["{x}", "{y}{x}", "{job_id}"]).env("E", "{z}{y}");
        let needs = needs(&spec);
        let found: Vec<_> = needs.iter().map(|n| (n.name.as_str(), n.field.as_str())).collect();
        assert_eq!(found, [("x", "command[0]"), ("y", "command[1]"), ("z", "env.E")]);
        let message = met(&spec, &needs, |name| name != "y", |_| "").expect_err("y").to_string();
        assert_eq!(message, "no value for {y}, which t:1 uses in command[1]; add \"y\" to \"values\"");
    }

    #[test]
    fn long_texts_are_cut_in_messages() {
        assert_eq!(shown("ab"), "ab");
        assert_eq!(shown(&"ü".repeat(100)).chars().count(), SHOWN_CHARS_MAX + 1);
    }
}
