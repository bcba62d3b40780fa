//! `{placeholders}` in commands and environments.
//!
//! A name between braces stands for a value of the job; `{{` and `}}` are braces. `{name?}` stands for nothing
//! where there is no such value.

/// Names that are filled at each launch, for every job; what each stands for is in `engine::plan`, in
/// this order.
pub(crate) const LAUNCH_NAMES: [&str; 4] = ["job_id", "exe_num", "exe_id", "job_type"];

/// Why a text is no template, or cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A brace without its partner.
    #[error("a single {brace:?} in {text:?}; write {brace}{brace} for the character itself")]
    LoneBrace {
        /// Which brace.
        brace: char,
        /// Where.
        text: String,
    },
    /// Something else than letters, digits, `_` and `-` between braces.
    #[error("{name:?} in {text:?} is no placeholder: letters, digits, '_' and '-' only")]
    BadName {
        /// What stands between the braces.
        name: String,
        /// Where.
        text: String,
    },
    /// No value of that name.
    #[error("no value for {{{name}}}")]
    NoValue {
        /// Which name.
        name: String,
    },
}

/// A text cut into plain parts and placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name { name: String, is_optional: bool },
}

impl Template {
    /// Reads `text`.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let lone = |brace| TemplateError::LoneBrace { brace, text: text.to_owned() };
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = if rest[at..].starts_with('{') { '{' } else { '}' };
            let after = &rest[at + 1..];
            if let Some(next) = after.strip_prefix(brace) {
                plain.push(brace);
                rest = next;
                continue;
            }
            let end = after.find('}').filter(|_| brace == '{').ok_or_else(|| lone(brace))?;
            let (name, is_optional) = match after[..end].strip_suffix('?') {
                Some(name) => (name, true),
                None => (&after[..end], false),
            };
            if !is_name(name) {
                return Err(TemplateError::BadName { name: name.to_owned(), text: text.to_owned() });
            }
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Name { name: name.to_owned(), is_optional });
            rest = &after[end + 1..];
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// Names of placeholders that need a value, in order, with repeats.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Name { name, is_optional: false } => Some(name.as_str()),
            Part::Name { .. } | Part::Text(_) => None,
        })
    }

    /// The name of the one placeholder it is made of, where that may be without a value.
    fn optional_name(&self) -> Option<&str> {
        let mut parts = self.0.iter().filter(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        match (parts.next(), parts.next()) {
            (Some(Part::Name { name, is_optional: true }), None) => Some(name),
            _ => None,
        }
    }

    /// The text with each placeholder replaced by what `value` gives for it.
    pub fn fill<V: AsRef<str>>(&self, value: impl Fn(&str) -> Option<V>) -> Result<String, TemplateError> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name { name, is_optional } => match value(name) {
                    Some(text) => out.push_str(text.as_ref()),
                    None if *is_optional => {}
                    None => return Err(TemplateError::NoValue { name: name.clone() }),
                },
            }
        }
        Ok(out)
    }
}

/// Fills one text; see [`Template::fill`].
pub fn fill<V: AsRef<str>>(text: &str, value: impl Fn(&str) -> Option<V>) -> Result<String, TemplateError> {
    if !text.contains(['{', '}']) {
        return Ok(text.to_owned());
    }
    Template::parse(text)?.fill(value)
}

/// Fills the text of an environment variable. `None` for `{name?}` without a value: then the variable is not
/// set at all.
pub(crate) fn fill_variable<V: AsRef<str>>(
    text: &str,
    value: impl Fn(&str) -> Option<V>,
) -> Result<Option<String>, TemplateError> {
    if !text.contains(['{', '}']) {
        return Ok(Some(text.to_owned()));
    }
    let template = Template::parse(text)?;
    match template.optional_name() {
        Some(name) if value(name).is_none() => Ok(None),
        _ => template.fill(value).map(Some),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The names that a job must give values for: those in `texts` that nobody else fills, once each,
/// in order.
pub fn placeholders<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Vec<String>, TemplateError> {
    let mut names = Vec::new();
    for text in texts {
        for name in Template::parse(text)?.names() {
            if !LAUNCH_NAMES.contains(&name) && !names.iter().any(|n| n == name) {
                names.push(name.to_owned());
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_and_braces_escaped() {
        let value = |name: &str| (name == "file").then_some("a.txt");
        assert_eq!(fill("wc -l {file}", value), Ok("wc -l a.txt".into()));
        assert_eq!(fill("awk '{{print}}' {file}{file}", value), Ok("awk '{print}' a.txta.txt".into()));
        assert_eq!(fill("", value), Ok(String::new()));
    }

    #[test]
    fn bad_templates_are_refused() {
        let check = |text: &str, part: &str| {
            let error = fill(text, |_| None::<&str>).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("{", "single");
        check("a}b", "single");
        check("{a", "single");
        check("{}", "no placeholder");
        check("{a b}", "no placeholder");
        check("{?}", "no placeholder");
        check("{a?b}", "no placeholder");
        check("{other}", "no value for {other}");
    }

    #[test]
    fn what_is_optional_may_be_without_a_value() {
        let value = |name: &str| (name == "file-1").then_some("a.txt");
        assert_eq!(fill("{file-1?} {other?}.", value), Ok("a.txt .".into()));
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(fill_variable(text, value), Ok(expected.map(str::to_owned)), "{text}");
        };
        check("{file-1?}", Some("a.txt"));
        check("{other?}", None);
        check("{other?}{other?}", Some(""));
        check("x{other?}", Some("x"));
        check("{file-1}", Some("a.txt"));
        check("plain", Some("plain"));
        check("", Some(""));
        assert!(fill_variable("{other}", value).is_err());
        assert_eq!(placeholders(["{a?}", "{b}{b?}"]), Ok(vec!["b".to_owned()]));
    }

    #[test]
    fn only_what_a_job_must_give_is_asked_for() {
        let texts = ["{file}", "{job_id} {exe_num}", "{file}{out_dir}"];
        assert_eq!(placeholders(texts), Ok(vec!["file".to_owned(), "out_dir".to_owned()]));
    }
}
