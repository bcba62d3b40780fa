//! The files below a folder that match a glob.
//!
//! The crate `glob` compares single names; the walk is our own, because that crate's skips names
//! that are not UTF-8 in silence and cannot match hidden ones at will. Here every matching file is
//! found or an error says why not.
//!
//! G1  `**` does not enter links to folders, so a walk ends even where links form a circle.
//! G2  `*`, `?` and `[..]` stop at a slash; they and `**` match no name with a dot in front.
//! G3  No walk looks at more than `ENTRIES_MAX` entries.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::bounds::ENTRIES_MAX;
use super::check::shown;
use super::problem::Problem;

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    // The crate's rule lets `*.*` match a dot in front; the walk has its own.
    require_literal_leading_dot: false,
};

/// One name of a glob.
enum Part {
    /// Exactly this name.
    Name(String),
    /// Any name that matches.
    Pattern(Pattern),
    /// Any number of folders.
    Folders,
}

/// A glob, read.
pub(super) struct Glob(Vec<Part>);

impl Glob {
    /// Reads a glob without the `../` in front.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let mut parts = Vec::new();
        for name in text.split('/').filter(|name| !name.is_empty() && *name != ".") {
            let part = Part::parse(name).map_err(|reason| Problem::Glob { pattern: shown(text), reason })?;
            if !(matches!(part, Part::Folders) && matches!(parts.last(), Some(Part::Folders))) {
                parts.push(part);
            }
        }
        if parts.is_empty() {
            let reason = "it names no file; write for instance \"data/*.csv\"".into();
            return Err(Problem::Glob { pattern: shown(text), reason });
        }
        Ok(Self(parts))
    }

    /// The files below `root` that match, in no order, some perhaps twice.
    pub(super) fn files(&self, root: PathBuf) -> Result<Vec<PathBuf>, Problem> {
        let mut walk = Walk { found: Vec::new(), n_entries: 0 };
        walk.enter(root, &self.0)?;
        Ok(walk.found)
    }
}

impl Part {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "**" => Ok(Self::Folders),
            ".." => Err("\"..\" may stand only in front".into()),
            _ if name.contains("**") => Err("\"**\" stands between slashes; write \"**/*.csv\"".into()),
            _ if name.contains(['*', '?', '[']) => match Pattern::new(name) {
                Ok(pattern) => Ok(Self::Pattern(pattern)),
                Err(error) => Err(format!("{} in {name:?}", error.msg)),
            },
            _ => Ok(Self::Name(name.to_owned())),
        }
    }
}

struct Walk {
    found: Vec<PathBuf>,
    n_entries: usize,
}

impl Walk {
    /// Adds what matches `parts` below `path`, or `path` itself where nothing is left to match.
    fn enter(&mut self, path: PathBuf, parts: &[Part]) -> Result<(), Problem> {
        self.count()?;
        let Some((part, rest)) = parts.split_first() else {
            if path.is_file() {
                self.found.push(path);
            }
            return Ok(());
        };
        match part {
            Part::Name(name) => self.enter(path.join(name), rest),
            Part::Pattern(_) | Part::Folders if !path.is_dir() => Ok(()),
            Part::Pattern(pattern) => self.each(&path, |walk, child, name, _| {
                let is_passed = name.starts_with('.') && !pattern.as_str().starts_with('.');
                if !is_passed && pattern.matches_with(name, OPTIONS) {
                    walk.enter(child, rest)
                } else {
                    Ok(())
                }
            }),
            Part::Folders => {
                if !rest.is_empty() {
                    self.enter(path.clone(), rest)?;
                }
                self.each(&path, |walk, child, name, is_folder| {
                    let next = if is_folder { parts } else { rest };
                    let is_passed = name.starts_with('.') || (!is_folder && !rest.is_empty());
                    if is_passed { Ok(()) } else { walk.enter(child, next) }
                })
            }
        }
    }

    /// Calls `visit` with each entry of `folder`, its name, and whether it is a folder and no link.
    fn each(
        &mut self,
        folder: &Path,
        mut visit: impl FnMut(&mut Self, PathBuf, &str, bool) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let failed = |error: std::io::Error| Problem::Unreadable {
            path: folder.display().to_string(),
            reason: error.to_string(),
        };
        for entry in folder.read_dir().map_err(failed)? {
            self.count()?;
            let entry = entry.map_err(failed)?;
            let is_folder = entry.file_type().map_err(failed)?.is_dir();
            visit(self, entry.path(), &entry.file_name().to_string_lossy(), is_folder)?;
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Problem> {
        self.n_entries += 1;
        if self.n_entries > ENTRIES_MAX {
            let n = self.n_entries as u64;
            return Err(Problem::TooMany { n, what: "files and folders to look at", max: ENTRIES_MAX });
        }
        Ok(())
    }
}

/// A glob whose matches are left out: of the whole path, or of the name where it has no slash.
/// Hidden names are matched like others.
pub(super) struct Exclude {
    pattern: Pattern,
    is_name: bool,
}

impl Exclude {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let wrong =
            |error: glob::PatternError| Problem::Glob { pattern: shown(text), reason: error.msg.to_owned() };
        let pattern = Pattern::new(text.trim_start_matches("./")).map_err(wrong)?;
        Ok(Self { pattern, is_name: !text.contains('/') })
    }

    /// `relative` is a path from the workload file's folder, with slashes.
    pub(super) fn matches(&self, relative: &str) -> bool {
        let name = relative.rsplit('/').next().unwrap_or(relative);
        self.pattern.matches_with(if self.is_name { name } else { relative }, OPTIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(root: &Path, glob: &str) -> Vec<String> {
        let found = Glob::parse(glob).expect(glob).files(root.to_owned()).expect("a readable tree");
        let below = |path: &PathBuf| path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
        let mut found: Vec<_> = found.iter().map(below).collect();
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn globs_match_as_in_a_shell() {
        let root = tempfile::tempdir().expect("a folder");
        for file in ["a.rs", "b.txt", ".c.rs", "d/a.rs", "d/e/f/a.rs", ".g/a.rs", "d/.h/a.rs", "x[1].rs"] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("folders");
            std::fs::write(path, "").expect("a file");
        }
        let check = |glob: &str, expected: &[&str]| assert_eq!(find(root.path(), glob), expected, "{glob}");
        check("a.rs", &["a.rs"]);
        check("*.rs", &["a.rs", "x[1].rs"]);
        check("./[ab].*", &["a.rs", "b.txt"]);
        check("*.*", &["a.rs", "b.txt", "x[1].rs"]);
        check("x[[]1].rs", &["x[1].rs"]);
        check(".*.rs", &[".c.rs"]);
        check("*/a.rs", &["d/a.rs"]);
        check("**/a.rs", &["a.rs", "d/a.rs", "d/e/f/a.rs"]);
        check("**/**/?.rs", &["a.rs", "d/a.rs", "d/e/f/a.rs"]);
        check("**/e/**/a.rs", &["d/e/f/a.rs"]);
        check("d/**", &["d/a.rs", "d/e/f/a.rs"]);
        check(".g/*", &[".g/a.rs"]);
        check("d", &[]);
        check("a.rs/**/*", &[]);
        check("no/*/such", &[]);
    }

    #[cfg(unix)]
    #[test]
    fn a_circle_of_links_is_not_walked() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(root.path().join("d")).expect("a folder");
        std::fs::write(root.path().join("d/a"), "").expect("a file");
        std::os::unix::fs::symlink("..", root.path().join("d/up")).expect("a link");
        std::os::unix::fs::symlink("a", root.path().join("d/b")).expect("a link");
        std::os::unix::fs::symlink("gone", root.path().join("d/c")).expect("a link");
        assert_eq!(find(root.path(), "**/*"), ["d/a", "d/b"], "links to files count, dead ones do not");
    }

    #[test]
    fn what_is_no_glob_says_why() {
        let check = |text: &str, part: &str| {
            let error = Glob::parse(text).err().expect(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("", "names no file");
        check("./", "names no file");
        check("a**", "stands between slashes");
        check("a/../b", "only in front");
        check("a[/b]", "invalid range pattern");
    }
}
