//! What executions of a job type find around them: the image they run in, and files that are fetched.
//!
//! # Source
//! The fetcher of Mesos (`Fetcher::validateUri`, `validateOutputFile`) for what a URI and a name may hold.

use std::path::{Component, Path};

use crate::limits::{FETCHED_MAX, IMAGE_CHARS_MAX, URI_BYTES_MAX};
use crate::model::{FetchUri, JobTypeSpec};

/// Why executions cannot run in an image, or files cannot be fetched for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SurroundingsError {
    /// No name of an image.
    #[error("an image has 1 to {IMAGE_CHARS_MAX} characters and no blank, for instance host/name:1.0")]
    Image,
    /// More files than are fetched.
    #[error("{n} files to fetch; at most {FETCHED_MAX} are allowed")]
    TooMany {
        /// How many.
        n: usize,
    },
    /// No URI.
    #[error(
        "a URI has 1 to {URI_BYTES_MAX} bytes, no blank, quote or backslash, for instance http://host/file"
    )]
    Uri,
    /// No name for a file.
    #[error(
        "output_file is a path of 1 to {URI_BYTES_MAX} bytes within the directory of the execution, without \"..\""
    )]
    OutputFile,
}

/// The name of an image.
pub(crate) fn check_image(image: &str) -> Result<(), SurroundingsError> {
    let n_chars = image.chars().count();
    let is_plain = !image.chars().any(|c| c.is_whitespace() || c.is_control());
    if (1..=IMAGE_CHARS_MAX).contains(&n_chars) && is_plain { Ok(()) } else { Err(SurroundingsError::Image) }
}

/// How many files there are.
pub(crate) fn check_n_uris(n: usize) -> Result<(), SurroundingsError> {
    if n > FETCHED_MAX { Err(SurroundingsError::TooMany { n }) } else { Ok(()) }
}

/// One file.
pub(crate) fn check_uri(uri: &FetchUri) -> Result<(), SurroundingsError> {
    let is_short = |text: &str| (1..=URI_BYTES_MAX).contains(&text.len());
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\'' | '"' | '\\');
    if !is_short(&uri.value) || uri.value.contains(is_bad) {
        return Err(SurroundingsError::Uri);
    }
    let Some(name) = &uri.output_file else { return Ok(()) };
    let is_within = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let is_name = is_short(name) && is_within && !name.ends_with('/') && !name.chars().any(char::is_control);
    if is_name { Ok(()) } else { Err(SurroundingsError::OutputFile) }
}

/// All that a job type says of them.
pub(crate) fn check(spec: &JobTypeSpec) -> Result<(), SurroundingsError> {
    spec.image.as_deref().map_or(Ok(()), check_image)?;
    check_n_uris(spec.uris.len())?;
    spec.uris.iter().try_for_each(check_uri)
}

/// Bytes of their texts.
pub(crate) fn bytes(spec: &JobTypeSpec) -> usize {
    let of = |uri: &FetchUri| uri.value.len() + uri.output_file.as_ref().map_or(0, String::len);
    spec.image.as_ref().map_or(0, |image| image.len()) + spec.uris.iter().map(of).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_names() {
        for good in ["a", "h:5000/a/b:1.0", "a@sha256:00", &"ü".repeat(IMAGE_CHARS_MAX)] {
            assert_eq!(check_image(good), Ok(()), "{good}");
        }
        for bad in ["", "a b", "a\n", "a\0", &"x".repeat(IMAGE_CHARS_MAX + 1)] {
            assert_eq!(check_image(bad), Err(SurroundingsError::Image), "{bad}");
        }
    }

    #[test]
    fn files_are_where_they_can_be_fetched_and_stay_where_they_belong() {
        let named = |name: &str| FetchUri { output_file: Some(name.to_owned()), ..FetchUri::new("/x") };
        for good in [FetchUri::new("http://h/x.tgz?a=b"), FetchUri::new("/x"), named("y"), named("a/b c")] {
            assert_eq!(check_uri(&good), Ok(()), "{good:?}");
        }
        for bad in ["", "a b", "it's", "a\\b", "a\0", &"x".repeat(URI_BYTES_MAX + 1)] {
            assert_eq!(check_uri(&FetchUri::new(bad)), Err(SurroundingsError::Uri), "{bad}");
        }
        for bad in ["", "/x", "../x", "a/../b", ".", "a/", "a\0", &"x".repeat(URI_BYTES_MAX + 1)] {
            assert_eq!(check_uri(&named(bad)), Err(SurroundingsError::OutputFile), "{bad}");
        }
        let many = vec![FetchUri::new("/x"); FETCHED_MAX + 1];
        let spec = JobTypeSpec::new("a", "1").uris(many);
        assert_eq!(check(&spec), Err(SurroundingsError::TooMany { n: FETCHED_MAX + 1 }));
        assert_eq!(check(&spec.uris(vec![FetchUri::new("/x"); FETCHED_MAX])), Ok(()));
    }
}
