//! Semantic versions.

/// What a version looks like, for people.
pub(super) const PATTERN: &str = "MAJOR.MINOR.PATCH, 50 characters at most";

/// A version that was read; only what decides its order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SemanticVersion {
    /// Major, minor and patch.
    pub(super) numbers: [u64; 3],
    /// It is a version before the one its numbers name.
    pub(super) is_pre_release: bool,
}

impl SemanticVersion {
    /// Reads `1.2.3`, `1.2.3-alpha.1` or either with `+build`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (version, build) = cut(text, '+');
        // Numbers hold no hyphen, so the first one begins the pre-release.
        let (core, pre_release) = cut(version, '-');
        let is_known = build.is_none_or(|build| identifiers(build, is_identifier))
            && pre_release.is_none_or(|pre| identifiers(pre, |part| is_identifier(part) && !is_padded(part)));
        let mut parts = core.split('.').map(number);
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        (is_known && parts.next().is_none())
            .then_some(Self { numbers, is_pre_release: pre_release.is_some() })
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(front, back)| (front, Some(back)))
}

fn identifiers(text: &str, test: impl Fn(&str) -> bool) -> bool {
    text.split('.').all(test)
}

fn is_identifier(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A number with a zero before it.
fn is_padded(part: &str) -> bool {
    part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit())
}

fn number(part: &str) -> Option<u64> {
    let is_number = part.bytes().all(|b| b.is_ascii_digit()) && !is_padded(part);
    part.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_or_refused() {
        let check = |text: &str, expected: Option<([u64; 3], bool)>| {
            let found = SemanticVersion::read(text).map(|v| (v.numbers, v.is_pre_release));
            assert_eq!(found, expected, "{text}");
        };
        check("1.0.0", Some(([1, 0, 0], false)));
        check("0.10.203", Some(([0, 10, 203], false)));
        check("1.0.0-alpha", Some(([1, 0, 0], true)));
        check("1.0.0-alpha.1-x.0", Some(([1, 0, 0], true)));
        check("1.0.0-0a", Some(([1, 0, 0], true)));
        check("1.0.0+007-x.b", Some(([1, 0, 0], false)));
        check("1.0.0-rc+b", Some(([1, 0, 0], true)));
        for bad in [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "01.0.0",
            "1.0.x",
            "1.0.0-",
            "1.0.0-01",
            "1.0.0-a..b",
            "1.0.0+",
            "1.0.0+a+b",
            "1.0.0+a_b",
            "+1.0.0",
            "v1.0.0",
            " 1.0.0",
            "1.0.0\n",
            "1.0.99999999999999999999",
        ] {
            check(bad, None);
        }
    }
}
