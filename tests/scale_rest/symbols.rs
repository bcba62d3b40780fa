//! What stands for values that change from run to run: `$job1` for an id, `@time`, `@host`.

use std::collections::BTreeMap;

use serde_json::Value;

/// A piece of a recorded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Symbol(&'t str),
}

/// Symbols and the ids they stand for. Two symbols of one kind are never the same id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Symbols {
    bound: BTreeMap<String, u64>,
    /// Scheme, name and port of the server.
    pub(crate) host: String,
}

/// Letters up to the number: `$job` of `$job12`.
fn kind(symbol: &str) -> &str {
    symbol.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// The length of a symbol that `text` begins with.
fn symbol_len(text: &str) -> Option<usize> {
    let name = text.strip_prefix('$')?;
    let letters = name.bytes().take_while(u8::is_ascii_lowercase).count();
    let digits = name[letters..].bytes().take_while(u8::is_ascii_digit).count();
    (letters > 0 && digits > 0).then_some(1 + letters + digits)
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let len = symbol_len(rest);
        let end = len.unwrap_or_else(|| rest[1..].find('$').map_or(rest.len(), |at| at + 1));
        let (piece, after) = rest.split_at(end);
        pieces.push(if len.is_some() { Piece::Symbol(piece) } else { Piece::Text(piece) });
        rest = after;
    }
    pieces
}

/// True for the whole of `text` being one symbol.
pub(crate) fn is_symbol(text: &str) -> bool {
    symbol_len(text) == Some(text.len())
}

/// `2026-01-31T12:00:00Z`, or with six decimals.
pub(crate) fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    matches!(shape.as_str(), "0000-00-00T00:00:00Z" | "0000-00-00T00:00:00.000000Z")
}

impl Symbols {
    /// Speaks to the server at `host`.
    pub(crate) fn at(host: String) -> Self {
        Self { bound: BTreeMap::new(), host }
    }

    /// Gives `symbol` its id, or holds it against the one it has.
    pub(crate) fn bind(&mut self, symbol: &str, id: u64) -> Result<(), String> {
        if let Some(&known) = self.bound.get(symbol) {
            return if known == id { Ok(()) } else { Err(format!("{symbol} is {known}")) };
        }
        let taken = self.bound.iter().find(|(name, taken)| kind(name) == kind(symbol) && **taken == id);
        if let Some((name, _)) = taken {
            return Err(format!("{symbol} would be the id of {name}"));
        }
        self.bound.insert(symbol.to_owned(), id);
        Ok(())
    }

    /// `text` with ids for its symbols.
    pub(crate) fn fill(&self, text: &str) -> Result<String, String> {
        let piece = |piece| match piece {
            Piece::Text(text) => Ok(text.to_owned()),
            Piece::Symbol(name) => self.id(name).map(|id| id.to_string()),
        };
        pieces(text).into_iter().map(piece).collect()
    }

    /// The same for a whole value: a text that is one symbol becomes a number.
    pub(crate) fn fill_value(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) if is_symbol(text) => self.id(text)?.into(),
            Value::String(text) => self.fill(text)?.into(),
            Value::Array(values) => {
                values.iter().map(|value| self.fill_value(value)).collect::<Result<Vec<_>, _>>()?.into()
            }
            Value::Object(members) => {
                let filled = members.iter().map(|(name, value)| Ok((name.clone(), self.fill_value(value)?)));
                Value::Object(filled.collect::<Result<_, String>>()?)
            }
            _ => value.clone(),
        })
    }

    fn id(&self, symbol: &str) -> Result<u64, String> {
        self.bound.get(symbol).copied().ok_or_else(|| format!("{symbol} is not known yet"))
    }

    /// Holds a text against a recorded one, and binds symbols that first appear in it.
    pub(crate) fn agree(&mut self, recorded: &str, found: &str) -> Result<(), String> {
        let differs = || format!("{}, found {found}", self.fill(recorded).unwrap_or(recorded.to_owned()));
        let Some(address) = recorded.strip_prefix("@host") else {
            let error = differs();
            return self.agree_pieces(recorded, found).map_err(|()| error);
        };
        let error = differs();
        let found = found.strip_prefix(self.host.as_str()).ok_or_else(|| error.clone())?;
        let (recorded, found) = (cut(address), cut(found));
        self.agree_pieces(recorded.0, found.0).map_err(|()| error.clone())?;
        // Parameters come in any order.
        let (recorded, found) = (sorted(recorded.1), sorted(found.1));
        if recorded.len() != found.len() {
            return Err(error);
        }
        for (recorded, found) in recorded.iter().zip(found) {
            self.agree_pieces(recorded, found).map_err(|()| error.clone())?;
        }
        Ok(())
    }

    fn agree_pieces(&mut self, recorded: &str, found: &str) -> Result<(), ()> {
        let mut rest = found;
        for piece in pieces(recorded) {
            match piece {
                Piece::Text(text) => rest = rest.strip_prefix(text).ok_or(())?,
                Piece::Symbol(name) => {
                    let digits = match self.bound.get(name) {
                        Some(id) => id.to_string().len(),
                        None => rest.bytes().take_while(u8::is_ascii_digit).count(),
                    };
                    let id = rest.get(..digits).and_then(|id| id.parse().ok()).ok_or(())?;
                    self.bind(name, id).map_err(|_| ())?;
                    rest = &rest[digits..];
                }
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(()) }
    }
}

/// The parameters of a query, in an order that does not depend on theirs.
fn sorted(query: &str) -> Vec<&str> {
    let mut parameters: Vec<&str> = query.split('&').filter(|text| !text.is_empty()).collect();
    parameters.sort_by_key(|parameter| parameter.split('=').next().unwrap_or_default().to_owned());
    parameters
}

/// An address, cut into path and query.
fn cut(address: &str) -> (&str, &str) {
    address.split_once('?').unwrap_or((address, ""))
}
