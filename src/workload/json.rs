//! A JSON reader that remembers lines, so that every fault of a file can be found in an editor.
//!
//! Texts and numbers are found here and read by `serde_json`; numbers keep their digits. A field
//! that comes twice is an error, as one of the two would be lost.
//!
//! J1  What is accepted is JSON (RFC 8259) without repeated fields, at most `DEPTH_MAX` deep.
//! J2  No input panics; recursion ends at `DEPTH_MAX`.

use super::bounds::DEPTH_MAX;
use super::check::shown;

/// A value and the line it starts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Json {
    /// From 1.
    pub(super) line: u32,
    /// What is there.
    pub(super) value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Its digits, as written.
    Number(String),
    /// Text, without quotes and escapes.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object, in the order of the file.
    Object(Vec<(String, Json)>),
}

impl Value {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Where a text stops to be JSON, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// From 1.
    pub(super) line: u32,
    /// From 1, in characters.
    pub(super) column: usize,
    /// What is wrong, and what would be right.
    pub(super) what: String,
}

/// Reads one value that fills `text`.
pub(super) fn parse(text: &str) -> Result<Json, SyntaxError> {
    let mut reader = Reader { text, at: 0, line: 1, line_start: 0, depth: 0 };
    let json = reader.value("a value")?;
    match reader.next_byte()? {
        None => Ok(json),
        Some(_) => Err(reader.error("there is more after the end of the value; remove it")),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: u32,
    line_start: usize,
    depth: usize,
}

impl Reader<'_> {
    fn error(&self, what: impl Into<String>) -> SyntaxError {
        let column = self.text[self.line_start..self.at].chars().count() + 1;
        SyntaxError { line: self.line, column, what: what.into() }
    }

    /// The byte at the reader, which `next_byte` has moved past all space.
    fn next_byte(&mut self) -> Result<Option<u8>, SyntaxError> {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'\n' => {
                    self.line = self.line.saturating_add(1);
                    self.line_start = self.at + 1;
                }
                b' ' | b'\t' | b'\r' => {}
                b'/' | b'#' => return Err(self.error("JSON has no comments; remove it")),
                _ => return Ok(Some(byte)),
            }
            self.at += 1;
        }
        Ok(None)
    }

    fn value(&mut self, expected: &str) -> Result<Json, SyntaxError> {
        let first = self.next_byte()?;
        let line = self.line;
        let value = match first {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"') => Value::Text(self.text()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.word()?,
            other => return Err(self.unexpected(expected, other)),
        };
        Ok(Json { line, value })
    }

    fn unexpected(&self, expected: &str, found: Option<u8>) -> SyntaxError {
        match found {
            Some(b'\'') => self.error("text stands in double quotes, not single ones"),
            Some(b'}' | b']') => {
                self.error(format!("{expected} is expected here; is there a comma too many before it?"))
            }
            _ => self.mismatch(expected),
        }
    }

    fn mismatch(&self, expected: &str) -> SyntaxError {
        match self.text[self.at..].chars().next() {
            None => self.error(format!("the file ends where {expected} is expected")),
            Some(found) => self.error(format!("{expected} is expected here, not {found:?}")),
        }
    }

    fn nested(
        &mut self,
        read: impl Fn(&mut Self) -> Result<Value, SyntaxError>,
    ) -> Result<Value, SyntaxError> {
        if self.depth == DEPTH_MAX {
            return Err(self.error(format!("more than {DEPTH_MAX} lists and objects inside each other")));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, SyntaxError> {
        let mut items = Vec::new();
        if self.next_byte()? == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value("a value")?);
            if self.comma_or(b']')? {
                return Ok(Value::List(items));
            }
        }
    }

    fn object(&mut self) -> Result<Value, SyntaxError> {
        let mut fields = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        if self.next_byte()? == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(fields));
        }
        loop {
            match self.next_byte()? {
                Some(b'"') => {}
                other => return Err(self.unexpected("a field name in double quotes", other)),
            }
            let start = self.at;
            let name = self.text()?;
            if !names.insert(name.clone()) {
                self.at = start;
                return Err(self.error(format!("field {:?} is there twice; remove one", shown(&name))));
            }
            match self.next_byte()? {
                Some(b':') => self.at += 1,
                other => return Err(self.unexpected("a colon", other)),
            }
            fields.push((name, self.value("a value")?));
            if self.comma_or(b'}')? {
                return Ok(Value::Object(fields));
            }
        }
    }

    /// Steps over a comma (false) or over `end` (true).
    fn comma_or(&mut self, end: u8) -> Result<bool, SyntaxError> {
        let next = self.next_byte()?;
        if next != Some(b',') && next != Some(end) {
            let expected = if end == b']' { "a comma or ]" } else { "a comma or }" };
            return Err(self.mismatch(expected));
        }
        self.at += 1;
        Ok(next == Some(end))
    }

    fn text(&mut self) -> Result<String, SyntaxError> {
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(b'\n') | None => return Err(self.error("this text has no closing quote on its line")),
                Some(_) => end += 1,
            }
        }
        let found = &self.text[self.at..=end];
        let text = serde_json::from_str(found).map_err(|_| {
            self.error("this text holds an unknown escape or a raw control character; write for instance \\n")
        })?;
        self.at = end + 1;
        Ok(text)
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let rest = &self.text[self.at..];
        let part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let found = &rest[..rest.find(|c| !part(c)).unwrap_or(rest.len())];
        if serde_json::from_str::<f64>(found).is_err() {
            return Err(self.error(format!("{} is no number; write for instance 0.5", shown(found))));
        }
        self.at += found.len();
        Ok(Value::Number(found.to_owned()))
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        let rest = &self.text[self.at..];
        let found = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
        let value = match found {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => {
                let found = shown(found);
                return Err(self.error(format!("text stands in double quotes: write \"{found}\"")));
            }
        };
        self.at += found.len();
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_keep_their_lines_and_digits() {
        let json = parse("{\n \"a\": [1.10,\n  true],\n\n \"b\\n\": null}\n").expect("json");
        let Value::Object(fields) = json.value else { panic!("an object") };
        assert_eq!((fields[0].0.as_str(), fields[1].0.as_str(), fields[1].1.line), ("a", "b\n", 5));
        let Value::List(items) = &fields[0].1.value else { panic!("a list") };
        assert_eq!((fields[0].1.line, items[0].line, items[1].line), (2, 2, 3));
        assert_eq!(items[0].value, Value::Number("1.10".into()));
    }

    #[test]
    fn what_is_no_json_is_found_where_it_is() {
        let check = |text: &str, line: u32, column: usize, part: &str| {
            let error = parse(text).expect_err(text);
            assert_eq!((error.line, error.column), (line, column), "{text}: {error:?}");
            assert!(error.what.contains(part), "{text}: {error:?}");
        };
        check("", 1, 1, "the file ends where a value is expected");
        check("{\"a\": 1,\n}", 2, 1, "comma too many");
        check("[1,\n 2\n 3]", 3, 2, "a comma or ] is expected here, not '3'");
        check("{\"a\" 1}", 1, 6, "a colon is expected here");
        check("{a: 1}", 1, 2, "a field name in double quotes");
        check("['a']", 1, 2, "double quotes, not single");
        check("[yes]", 1, 2, "write \"yes\"");
        check("[True]", 1, 2, "write \"True\"");
        check("[\n  01]", 2, 3, "01 is no number");
        check("[1e999]", 1, 2, "no number");
        check("[\"ü\\q\"]", 1, 2, "unknown escape");
        check("[\"a\nb\"]", 1, 2, "no closing quote");
        check("[\"ü\", \"a", 1, 7, "no closing quote");
        check("[1] // x", 1, 5, "no comments");
        check("[1] [2]", 1, 5, "more after the end");
        check("{\"a\":1,\n \"a\":2}", 2, 2, "\"a\" is there twice");
        check("[\"\\ud800\"]", 1, 2, "unknown escape");
        check(&"[".repeat(1_000_000), 1, DEPTH_MAX + 1, "inside each other");
        check("[1, \u{fe}]", 1, 5, "a value is expected here, not 'þ'");
        check("{\"a\":", 1, 6, "the file ends");
    }

    fn strict(text: &str) -> Option<serde_json::Value> {
        serde_json::from_str(text).ok()
    }

    fn plain(json: &Json) -> serde_json::Value {
        match &json.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Number(digits) => serde_json::from_str(digits).expect("a number"),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(plain).collect(),
            Value::Object(fields) => fields.iter().map(|(name, json)| (name.clone(), plain(json))).collect(),
        }
    }

    proptest! {
        #[test]
        fn it_accepts_what_serde_accepts(text in "[\\[\\]{},: \n\"a\\\\u01.e+tn-]{0,12}") {
            let repeats = matches!(parse(&text), Err(e) if e.what.contains("twice"));
            if !repeats {
                prop_assert_eq!(parse(&text).ok().map(|json| plain(&json)), strict(&text));
            }
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
