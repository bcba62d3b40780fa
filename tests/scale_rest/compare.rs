//! Holds an answer against the recorded one, by the rules of the recording.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::symbols::{Symbols, is_symbol, is_time};

/// Longest text of a value in a report.
const SHOWN_MAX: usize = 120;

/// Members that stand for a list which is too long to be shown.
const LONG_LIST: [&str; 3] = ["@length", "@first", "@last"];

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// A JSON pointer into the body, or `status`, or the name of a header.
    pub(crate) at: String,
    /// What was expected, and what was found.
    pub(crate) what: String,
}

/// What loosens the comparison of one body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Only members that were recorded are compared.
    pub(crate) is_subset: bool,
    /// Values of the right type that are otherwise free.
    pub(crate) loose: BTreeSet<String>,
    /// Lists whose order means nothing.
    pub(crate) unordered: BTreeSet<String>,
}

/// `value`, shortened.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn is_same_type(a: &Value, b: &Value) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// A member's name as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl Rules {
    /// Puts the differences between `expected` and `found` into `faults`; binds symbols on the way.
    pub(crate) fn compare(
        &self,
        at: &str,
        expected: &Value,
        found: &Value,
        symbols: &mut Symbols,
        faults: &mut Vec<Fault>,
    ) {
        let mut differs = |what: String| faults.push(Fault { at: at.to_owned(), what });
        if self.loose.contains(at) {
            if !is_same_type(expected, found) {
                differs(format!("something like {}, found {}", shown(expected), shown(found)));
            }
            return;
        }
        match (expected, found) {
            (Value::String(symbol), _) if is_symbol(symbol) => match found.as_u64() {
                Some(id) => {
                    if let Err(what) = symbols.bind(symbol, id) {
                        differs(format!("{what}, found {id}"));
                    }
                }
                None => differs(format!("{symbol}, found {}", shown(found))),
            },
            (Value::String(token), Value::String(found)) if token == "@time" => {
                if !is_time(found) {
                    differs(format!("a time, found {found}"));
                }
            }
            (Value::String(expected), Value::String(found)) => {
                if let Err(what) = symbols.agree(expected, found) {
                    differs(what);
                }
            }
            (Value::Object(expected), Value::Array(found)) if expected.contains_key(LONG_LIST[0]) => {
                self.compare_long(at, expected, found, symbols, faults);
            }
            (Value::Object(expected), Value::Object(found)) => {
                self.compare_members(at, expected, found, symbols, faults);
            }
            (Value::Array(expected), Value::Array(found)) => {
                self.compare_lists(at, expected, found, symbols, faults);
            }
            (Value::Number(a), Value::Number(b)) if a == b || a.as_f64() == b.as_f64() => {}
            _ if expected == found => {}
            _ => differs(format!("{}, found {}", shown(expected), shown(found))),
        }
    }

    fn compare_members(
        &self,
        at: &str,
        expected: &Map<String, Value>,
        found: &Map<String, Value>,
        symbols: &mut Symbols,
        faults: &mut Vec<Fault>,
    ) {
        let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        for name in names {
            let inner = format!("{at}/{}", escaped(name));
            match (expected.get(name), found.get(name)) {
                (Some(expected), Some(found)) => self.compare(&inner, expected, found, symbols, faults),
                (Some(expected), None) => {
                    faults.push(Fault { at: inner, what: format!("{}, found nothing", shown(expected)) });
                }
                (None, Some(found)) if !self.is_subset => {
                    faults.push(Fault { at: inner, what: format!("nothing, found {}", shown(found)) });
                }
                (None, _) => {}
            }
        }
    }

    fn compare_lists(
        &self,
        at: &str,
        expected: &[Value],
        found: &[Value],
        symbols: &mut Symbols,
        faults: &mut Vec<Fault>,
    ) {
        if expected.len() != found.len() {
            let what = format!("{} elements, found {}", expected.len(), found.len());
            return faults.push(Fault { at: at.to_owned(), what });
        }
        if self.unordered.contains(at)
            && let Some(matched) = self.pair(at, 0, expected, &mut vec![false; found.len()], found, symbols)
        {
            *symbols = matched;
            return;
        }
        for (number, (expected, found)) in expected.iter().zip(found).enumerate() {
            self.compare(&format!("{at}/{number}"), expected, found, symbols, faults);
        }
    }

    /// Finds an element of its own for each recorded one from `number` on. Lists are short.
    fn pair(
        &self,
        at: &str,
        number: usize,
        expected: &[Value],
        taken: &mut Vec<bool>,
        found: &[Value],
        symbols: &Symbols,
    ) -> Option<Symbols> {
        let Some(wanted) = expected.get(number) else { return Some(symbols.clone()) };
        for candidate in 0..found.len() {
            if taken[candidate] {
                continue;
            }
            let (mut tried, mut faults) = (symbols.clone(), Vec::new());
            self.compare(&format!("{at}/{number}"), wanted, &found[candidate], &mut tried, &mut faults);
            if faults.is_empty() {
                taken[candidate] = true;
                if let Some(matched) = self.pair(at, number + 1, expected, taken, found, &tried) {
                    return Some(matched);
                }
                taken[candidate] = false;
            }
        }
        None
    }

    fn compare_long(
        &self,
        at: &str,
        expected: &Map<String, Value>,
        found: &[Value],
        symbols: &mut Symbols,
        faults: &mut Vec<Fault>,
    ) {
        let [length, first, last] = LONG_LIST.map(|name| &expected[name]);
        if length.as_u64() != u64::try_from(found.len()).ok() {
            let what = format!("{length} elements, found {}", found.len());
            return faults.push(Fault { at: at.to_owned(), what });
        }
        for (name, expected, found) in [("0", first, found.first()), ("-", last, found.last())] {
            let found = found.unwrap_or(&Value::Null);
            self.compare(&format!("{at}/{name}"), expected, found, symbols, faults);
        }
    }
}
