//! What executions left in their sandboxes, by the convention of Seed: values in one document, files by the
//! patterns of their names. How a sandbox is looked at is told by who can: from the disk, or through an agent.
//!
//! O1  No execution makes a reader take more than the limits say: bytes of the document, entries looked at,
//!     files found.
//! O2  Nothing but plain files is opened or found, so a reader waits for nobody.
//! O3  A pattern has as many names as a path that matches it, and none is `..`: nothing outside is found by
//!     its name, and a walk ends.
//! O4  A pattern that is longer than the limits say, in bytes or in names, finds nothing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use serde_json::{Map, Value};

use crate::launch::{Left, LeftError, LeftFile, OUTPUTS_FILE};
use crate::limits::{
    DATA_BYTES_MAX, OUTPUT_ENTRIES_MAX, OUTPUT_FILES_MAX, OUTPUT_PATTERN_BYTES_MAX, OUTPUT_PATTERN_NAMES_MAX,
};
use crate::model::{FileParameter, Interface, JsonParameter};

/// Files of every sandbox that are about others; no pattern finds them.
const NOT_FOUND: [&str; 3] = ["stdout", "stderr", OUTPUTS_FILE];

/// What Seed's files about files end with; no pattern finds them either.
const ABOUT_FILES: &str = ".metadata.json";

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    // The crate's rule lets `*.*` match a dot in front; the walk has its own.
    require_literal_leading_dot: false,
};

/// A sandbox. Paths begin at its top.
pub(super) trait Tree {
    /// Tells the names in a folder until one is refused; none of what is no folder, or must not be looked into.
    fn each(
        &mut self,
        folder: &Path,
        tell: &mut dyn FnMut(&OsStr) -> Result<(), LeftError>,
    ) -> Result<(), LeftError>;

    /// Whether something may be there.
    fn is_there(&mut self, path: &Path) -> Result<bool, LeftError>;

    /// The size of a plain file; none of anything else.
    fn plain(&mut self, path: &Path) -> Result<Option<u64>, LeftError>;

    /// Whether it was put there by who runs the command: no pattern finds it.
    fn is_ours(&self, path: &Path) -> bool;

    /// How a file goes on record; none where it has no name in text.
    fn name(&self, path: &Path) -> Option<String>;

    /// The bytes of the document with values, one more than may be at most; none where there is none.
    fn document(&mut self) -> Result<Option<Vec<u8>>, LeftError>;
}

/// What is there of `declared`.
pub(super) fn collect(tree: &mut dyn Tree, declared: &Interface) -> Result<Left, LeftError> {
    let mut walk = Walk { tree, files: Vec::new(), n_entries: 0 };
    for parameter in &declared.files {
        walk.find(parameter)?;
    }
    let files = walk.files;
    let document = if declared.json.is_empty() { None } else { tree.document()? };
    let document = document.map_or(Ok(Map::new()), |bytes| read(&bytes))?;
    Ok(Left { json: named(&document, declared), files })
}

fn read(document: &[u8]) -> Result<Map<String, Value>, LeftError> {
    if document.len() > DATA_BYTES_MAX {
        return Err(LeftError::TooLong { most: DATA_BYTES_MAX });
    }
    serde_json::from_slice(document).map_err(|_| LeftError::NoObject)
}

/// Members of the document as values of outputs; those that no output has are left out.
fn named(document: &Map<String, Value>, declared: &Interface) -> Map<String, Value> {
    let value = |parameter: &JsonParameter| {
        let key = parameter.key.as_ref().unwrap_or(&parameter.name);
        Some((parameter.name.clone(), document.get(key)?.clone()))
    };
    declared.json.iter().filter_map(value).collect()
}

/// One name of a pattern.
enum Part {
    Name(String),
    Pattern(Pattern),
}

impl Part {
    /// What is no pattern is the name it spells. `**` is as `*`.
    fn read(text: &str) -> Self {
        let mut text = text.to_owned();
        while text.contains("**") {
            text = text.replace("**", "*");
        }
        match Pattern::new(&text) {
            Ok(pattern) if text.contains(['*', '?', '[']) => Self::Pattern(pattern),
            _ => Self::Name(text),
        }
    }
}

/// Looks for files in a sandbox.
struct Walk<'t> {
    tree: &'t mut dyn Tree,
    files: Vec<LeftFile>,
    /// Looked at so far.
    n_entries: usize,
}

fn count(n_entries: &mut usize) -> Result<(), LeftError> {
    *n_entries += 1;
    let most = OUTPUT_ENTRIES_MAX;
    if *n_entries > most { Err(LeftError::TooManyEntries { most }) } else { Ok(()) }
}

impl Walk<'_> {
    /// Adds the files of one output.
    fn find(&mut self, parameter: &FileParameter) -> Result<(), LeftError> {
        let pattern = parameter.pattern.as_deref().unwrap_or_default();
        let names = || pattern.split('/').filter(|name| !name.is_empty() && *name != ".");
        let is_long =
            pattern.len() > OUTPUT_PATTERN_BYTES_MAX || names().nth(OUTPUT_PATTERN_NAMES_MAX).is_some();
        if is_long || names().any(|name| name == "..") {
            return Ok(());
        }
        let parts: Vec<Part> = names().map(Part::read).collect();
        let Some((last, folders)) = parts.split_last() else { return Ok(()) };
        let mut within = vec![PathBuf::new()];
        for part in folders {
            let mut next = Vec::new();
            for folder in &within {
                next.extend(self.matching(folder, part)?);
            }
            within = next;
        }
        let mut found = Vec::new();
        for folder in &within {
            found.extend(self.matching(folder, last)?);
        }
        found.sort_unstable();
        found.iter().try_for_each(|path| self.add(parameter, path))
    }

    /// What in `folder` has a name that matches.
    fn matching(&mut self, folder: &Path, part: &Part) -> Result<Vec<PathBuf>, LeftError> {
        let Self { tree, n_entries, .. } = self;
        let pattern = match part {
            Part::Name(name) => {
                count(n_entries)?;
                let path = folder.join(name);
                return Ok(if tree.is_there(&path)? { vec![path] } else { Vec::new() });
            }
            Part::Pattern(pattern) => pattern,
        };
        let mut found = Vec::new();
        tree.each(folder, &mut |name| {
            count(n_entries)?;
            let text = name.to_string_lossy();
            let is_hidden = text.starts_with('.') && !pattern.as_str().starts_with('.');
            if !is_hidden && pattern.matches_with(&text, OPTIONS) {
                found.push(folder.join(name));
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn add(&mut self, parameter: &FileParameter, path: &Path) -> Result<(), LeftError> {
        let is_about = path.to_string_lossy().ends_with(ABOUT_FILES);
        let is_ours = NOT_FOUND.iter().any(|name| path == Path::new(name)) || self.tree.is_ours(path);
        if is_about || is_ours {
            return Ok(());
        }
        let Some(bytes) = self.tree.plain(path)? else { return Ok(()) };
        if self.files.len() == OUTPUT_FILES_MAX {
            return Err(LeftError::TooManyFiles { most: OUTPUT_FILES_MAX });
        }
        let output = parameter.name.clone();
        let Some(path) = self.tree.name(path) else { return Err(LeftError::NoText { output }) };
        let media_type = parameter.media_types.first().cloned().unwrap_or_default();
        self.files.push(LeftFile { output, path, bytes, media_type });
        Ok(())
    }
}
