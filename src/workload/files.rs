//! The files of a glob, in an order that does not depend on the file system.
//!
//! Globs are relative to the folder of the workload file. Entries with the same globs get the same
//! list, read once, so that the nodes of a recipe agree on what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::bounds::JOBS_MAX;
use super::check::{shown, value};
use super::fnv::Fnv;
use super::problem::Problem;
use super::walk::{Exclude, Glob};

/// Longest `file_id`, in bytes; with it and an ending a file name fits the 255 bytes of most file
/// systems.
const FILE_ID_BYTES_MAX: usize = 200;

/// Names that are filled from a job's file.
pub(super) const FILE_VALUES: [&str; 6] = ["file", "file_id", "file_name", "file_path", "file_stem", "index"];

/// The `files` of an entry, with its place in the workload file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) line: u32,
    pub(super) field: String,
    pub(super) globs: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) allow_empty: bool,
}

impl Files {
    /// True where both mean the same files, from the same listing.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.globs == other.globs && self.exclude == other.exclude && self.allow_empty == other.allow_empty
    }
}

/// A file that a glob matched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoundFile {
    /// From the workload file's folder, with slashes.
    pub(super) relative: String,
    /// From the root.
    pub(super) absolute: String,
}

impl FoundFile {
    /// One of `FILE_VALUES`, `index` being its place in its list.
    pub(super) fn value(&self, name: &str, index: usize) -> Option<String> {
        let path = Path::new(&self.absolute);
        let part = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned());
        match name {
            "file" => Some(self.absolute.clone()),
            "file_id" => Some(file_id(&self.relative)),
            "file_name" => part(path.file_name()),
            "file_path" => Some(self.relative.clone()),
            "file_stem" => part(path.file_stem()),
            "index" => Some(index.to_string()),
            _ => None,
        }
    }
}

/// Checks a glob without looking at any file.
pub(super) fn check_glob(glob: &str) -> Result<(), Problem> {
    value(glob)?;
    Glob::parse(rooted("/", glob).1).map(drop)
}

/// Checks the glob of an exclude.
pub(super) fn check_exclude(glob: &str) -> Result<(), Problem> {
    value(glob)?;
    Exclude::parse(glob).map(drop)
}

/// Globs, excludes, and whether none may match.
type Key = (Vec<String>, Vec<String>, bool);

/// Lists files, each set of globs once.
pub(super) struct Finder<'b> {
    /// Absolute and without links.
    base: &'b str,
    known: BTreeMap<Key, Arc<[FoundFile]>>,
}

impl<'b> Finder<'b> {
    pub(super) fn new(base: &'b str) -> Self {
        Self { base, known: BTreeMap::new() }
    }

    /// The files that match any glob and no exclude, each once, by path.
    pub(super) fn find(&mut self, files: &Files) -> Result<Arc<[FoundFile]>, Problem> {
        let key = (files.globs.clone(), files.exclude.clone(), files.allow_empty);
        let known = self.known.get(&key).cloned();
        let found = known.map_or_else(|| self.list(files), Ok)?;
        self.known.insert(key, found.clone());
        if found.is_empty() && !files.allow_empty {
            return Err(self.no_match(&files.globs.join(", ")));
        }
        Ok(found)
    }

    fn no_match(&self, pattern: &str) -> Problem {
        Problem::NoMatch { pattern: shown(pattern), folder: self.base.to_owned() }
    }

    fn list(&self, files: &Files) -> Result<Arc<[FoundFile]>, Problem> {
        let exclude = files.exclude.iter().map(|text| Exclude::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let mut list = Vec::new();
        for glob in &files.globs {
            let before = list.len();
            self.add_matches(glob, &mut list)?;
            if list.len() == before && !files.allow_empty {
                return Err(self.no_match(glob));
            }
        }
        list.retain(|path| !exclude.iter().any(|e| e.matches(&relative(Path::new(self.base), path))));
        let found = list.iter().map(|path| self.found(path)).collect::<Result<Vec<_>, _>>()?;
        let sorted: BTreeSet<_> = found.into_iter().collect();
        if sorted.len() > JOBS_MAX {
            return Err(Problem::TooMany { n: sorted.len() as u64, what: "files", max: JOBS_MAX });
        }
        Ok(sorted.into_iter().collect())
    }

    fn add_matches(&self, glob: &str, list: &mut Vec<PathBuf>) -> Result<(), Problem> {
        let (root, rest) = rooted(self.base, glob);
        list.extend(Glob::parse(rest)?.files(root)?);
        Ok(())
    }

    fn found(&self, path: &Path) -> Result<FoundFile, Problem> {
        let absolute =
            path.to_str().ok_or_else(|| Problem::NotUtf8 { path: path.display().to_string() })?.to_owned();
        value(&absolute)?;
        Ok(FoundFile { relative: relative(Path::new(self.base), path), absolute })
    }
}

/// Takes `./` and `../` off the front of a glob and the folders they name off `base`.
fn rooted<'g>(base: &str, glob: &'g str) -> (PathBuf, &'g str) {
    if glob.starts_with('/') {
        return (PathBuf::from("/"), glob);
    }
    let (mut root, mut rest) = (PathBuf::from(base), glob);
    loop {
        if let Some(after) = rest.strip_prefix("../") {
            root.pop();
            rest = after.trim_start_matches('/');
        } else if let Some(after) = rest.strip_prefix("./") {
            rest = after.trim_start_matches('/');
        } else {
            return (root, rest);
        }
    }
}

/// The way from folder `base` to `path`, both absolute, with slashes.
fn relative(base: &Path, path: &Path) -> String {
    let names = |path: &Path| -> Vec<String> {
        let plain = path.components().filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir));
        plain.map(|c| c.as_os_str().to_string_lossy().into_owned()).collect()
    };
    let (base, path) = (names(base), names(path));
    let n_common = base.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", base.len() - n_common);
    up.chain(path[n_common..].iter().map(String::as_str)).collect::<Vec<_>>().join("/")
}

/// A path as one file name that no other path of the workload has.
///
/// Slashes become `+` and a leading `..` becomes nothing before one, so `../src/main.rs` is
/// `+src+main.rs`; other ASCII characters than letters, digits, `.`, `_` and `-`, and a leading
/// dot, become `%` and two digits. What is too long keeps its end, behind a hash of the whole.
fn file_id(relative: &str) -> String {
    let mut id = String::with_capacity(relative.len() + 8);
    for (n, part) in relative.split('/').enumerate() {
        if n > 0 {
            id.push('+');
        }
        if part == ".." {
            continue;
        }
        for c in part.chars() {
            let is_plain = c.is_ascii_alphanumeric() || "._-".contains(c) || !c.is_ascii();
            if !is_plain || (id.is_empty() && c == '.') {
                let code = u32::from(c);
                let digit = |d: u32| char::from_digit(d, 16).unwrap_or_default().to_ascii_uppercase();
                id.extend(['%', digit(code >> 4), digit(code & 15)]);
            } else {
                id.push(c);
            }
        }
    }
    if id.len() <= FILE_ID_BYTES_MAX { id } else { shortened(&id) }
}

fn shortened(id: &str) -> String {
    let mut hash = Fnv::default();
    hash.write_all(id.as_bytes()).expect("the hash takes everything");
    let mut start = id.len() - (FILE_ID_BYTES_MAX - 17);
    while !id.is_char_boundary(start) {
        start += 1;
    }
    format!("{:016x}+{}", hash.0, &id[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("folders");
            std::fs::write(path, file).expect("a file");
        }
        folder
    }

    fn find(
        folder: &Path,
        globs: &[&str],
        exclude: &[&str],
        allow_empty: bool,
    ) -> Result<Vec<String>, String> {
        let base = folder.canonicalize().expect("it exists");
        let own = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        let files =
            Files { line: 1, field: "f".into(), globs: own(globs), exclude: own(exclude), allow_empty };
        let mut finder = Finder::new(base.to_str().expect("text"));
        let found = finder.find(&files).map_err(|problem| problem.to_string())?;
        for file in found.iter() {
            assert!(Path::new(&file.absolute).is_file(), "{file:?}");
            assert!(!file.absolute.contains(".."), "{file:?}");
        }
        Ok(found.iter().map(|file| file.relative.clone()).collect())
    }

    #[test]
    fn matches_are_sorted_once_each_and_without_excludes() {
        let folder =
            tree(&["w/z.txt", "w/a.txt", "w/.hidden.txt", "w/d/b.txt", "s/x.rs", "s/d/y.rs", "s/d/.g/z.rs"]);
        let base = folder.path().join("w");
        let check = |globs: &[&str], exclude: &[&str], expected: &[&str]| {
            let found = find(&base, globs, exclude, false).expect("matches");
            assert_eq!(found, expected, "{globs:?} {exclude:?}");
        };
        check(&["*.txt"], &[], &["a.txt", "z.txt"]);
        check(&["**/*.txt", "z.txt"], &[], &["a.txt", "d/b.txt", "z.txt"]);
        check(&["./../s/**/*.rs"], &[], &["../s/d/y.rs", "../s/x.rs"]);
        check(&["../s/**/*.rs"], &["../s/d/**"], &["../s/x.rs"]);
        check(&["../**/*.*"], &["*.rs"], &["a.txt", "d/b.txt", "z.txt"]);
        check(&[".*.txt"], &[], &[".hidden.txt"]);
        let absolute = format!("{}/s/*.rs", folder.path().canonicalize().expect("it exists").display());
        check(&[&absolute], &[], &["../s/x.rs"]);
    }

    #[test]
    fn a_glob_without_a_match_is_named() {
        let folder = tree(&["a.txt"]);
        let error = find(folder.path(), &["*.txt", "*.csv"], &[], false).expect_err("no match");
        assert!(error.starts_with("\"*.csv\" matches no file in /"), "{error}");
        let error = find(folder.path(), &["*.txt"], &["a*"], false).expect_err("all excluded");
        assert!(error.starts_with("\"*.txt\" matches no file in /"), "{error}");
        assert_eq!(find(folder.path(), &["*.csv"], &[], true), Ok(Vec::new()));
        for bad in ["", "..", "../", "a[", "/", "a***", "\0"] {
            assert!(check_glob(bad).is_err(), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tree(&["a.txt"]);
        std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xffz.txt")), "").expect("a file");
        let error = find(folder.path(), &["*"], &[], false).expect_err("no text");
        assert!(error.contains("is not UTF-8"), "{error}");
        assert_eq!(find(folder.path(), &["*"], &["?z.txt"], false), Ok(vec!["a.txt".to_owned()]));
    }

    #[test]
    fn different_paths_have_different_ids() {
        let check = |path: &str, id: &str| assert_eq!(file_id(path), id);
        check("../src/main.rs", "+src+main.rs");
        check("a+b/c d", "a%2Bb+c%20d");
        check("../../.git/x", "++.git+x");
        check(".git/x", "%2Egit+x");
        check("a_b/c%.ü", "a_b+c%25.ü");
        let long = |first: &str| format!("{first}/{}", "ü".repeat(200));
        assert!(file_id(&long("a")).len() <= FILE_ID_BYTES_MAX);
        assert_ne!(file_id(&long("a")), file_id(&long("b")));
    }
}
