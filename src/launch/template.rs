//! `{placeholders}` in commands and environments.
//!
//! A name between braces stands for a value of the job; `{{` and `}}` are braces.

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
    /// Something else than letters, digits and `_` between braces.
    #[error("{name:?} in {text:?} is no placeholder: letters, digits and '_' only")]
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
    Name(String),
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
            let name = &after[..end];
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(TemplateError::BadName { name: name.to_owned(), text: text.to_owned() });
            }
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Name(name.to_owned()));
            rest = &after[end + 1..];
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// Names of its placeholders, in order, with repeats.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with each placeholder replaced by what `value` gives for it.
    pub fn fill<V: AsRef<str>>(&self, value: impl Fn(&str) -> Option<V>) -> Result<String, TemplateError> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name(name) => match value(name) {
                    Some(text) => out.push_str(text.as_ref()),
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
        check("{other}", "no value for {other}");
    }

    #[test]
    fn only_what_a_job_must_give_is_asked_for() {
        let texts = ["{file}", "{job_id} {exe_num}", "{file}{out_dir}"];
        assert_eq!(placeholders(texts), Ok(vec!["file".to_owned(), "out_dir".to_owned()]));
    }
}
