//! A file of a trace, plain or packed by gzip, line by line and within bounds.
//!
//! L1  No line is held that is longer than `TRACE_LINE_BYTES_MAX`; the rest of it is passed over.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::trace::TraceError;
use crate::limits::{TRACE_BYTES_MAX, TRACE_LINE_BYTES_MAX};

/// What a packed file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// See the file.
pub(super) struct Lines {
    path: PathBuf,
    from: Box<dyn BufRead>,
    line: Vec<u8>,
    /// Of the line that was read last, from 1.
    number: u64,
    n_bytes: u64,
}

/// A line, or why it is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(String),
    TooLong,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self, TraceError> {
        let failed = |source| TraceError::Read { path: path.to_owned(), line: 0, source };
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let is_packed = file.fill_buf().map_err(failed)?.starts_with(&GZIP);
        let from: Box<dyn BufRead> =
            if is_packed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };
        Ok(Self { path: path.to_owned(), from, line: Vec::new(), number: 0, n_bytes: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Of the line that was read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its end; none after the last one.
    pub(super) fn next(&mut self) -> Result<Option<Line>, TraceError> {
        let read = self.read_line();
        let failed = |source| TraceError::Read { path: self.path.clone(), line: self.number, source };
        let read = read.map_err(failed)?;
        if self.n_bytes > TRACE_BYTES_MAX {
            return Err(TraceError::TooLarge { path: self.path.clone() });
        }
        Ok(read)
    }

    fn read_line(&mut self) -> io::Result<Option<Line>> {
        self.line.clear();
        self.number += 1;
        let most = TRACE_LINE_BYTES_MAX as u64 + 1;
        let n = Read::by_ref(&mut self.from).take(most).read_until(b'\n', &mut self.line)?;
        self.n_bytes += n as u64;
        if n == 0 {
            return Ok(None);
        }
        if self.line.last() != Some(&b'\n') && n as u64 == most {
            self.pass_over()?;
            return Ok(Some(Line::TooLong));
        }
        let text = String::from_utf8_lossy(&self.line);
        Ok(Some(Line::Text(text.trim_end_matches(['\n', '\r']).to_owned())))
    }

    /// Goes on to the end of a line. L1
    fn pass_over(&mut self) -> io::Result<()> {
        loop {
            let held = self.from.fill_buf()?;
            let end = held.iter().position(|byte| *byte == b'\n');
            let n = end.map_or(held.len(), |at| at + 1);
            let is_over = end.is_some() || n == 0;
            self.from.consume(n);
            self.n_bytes += n as u64;
            if is_over || self.n_bytes > TRACE_BYTES_MAX {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn all(path: &Path) -> Vec<Line> {
        let mut lines = Lines::open(path).expect("there");
        std::iter::from_fn(|| lines.next().expect("readable")).collect()
    }

    fn text(text: &str) -> Line {
        Line::Text(text.to_owned())
    }

    #[test]
    fn plain_and_packed_files_give_the_same_lines() {
        let directory = tempfile::tempdir().expect("a directory");
        let content = b"; a\r\n1 2 3\n\nlast \xff";
        let plain = directory.path().join("plain");
        std::fs::write(&plain, content).expect("written");
        let packed = directory.path().join("packed");
        let mut encoder = GzEncoder::new(File::create(&packed).expect("made"), Compression::fast());
        encoder.write_all(content).expect("written");
        encoder.finish().expect("written");
        assert_eq!(all(&plain), [text("; a"), text("1 2 3"), text(""), text("last \u{fffd}")]);
        assert_eq!(all(&packed), all(&plain));
        std::fs::write(&packed, &std::fs::read(&packed).expect("there")[..20]).expect("written");
        let mut lines = Lines::open(&packed).expect("there");
        let error = std::iter::repeat_with(|| lines.next()).find_map(Result::err).expect("cut off");
        assert!(error.to_string().contains("packed"), "{error}");
    }

    #[test]
    fn a_line_that_is_too_long_is_none_and_the_next_one_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("long");
        let of = |n: usize| "x".repeat(n);
        let (fits, long) = (of(TRACE_LINE_BYTES_MAX), of(5 * TRACE_LINE_BYTES_MAX));
        std::fs::write(&path, format!("{fits}\n{long}\nnext\n{long}")).expect("written");
        assert_eq!(all(&path), [text(&fits), Line::TooLong, text("next"), Line::TooLong]);
        let mut lines = Lines::open(&path).expect("there");
        (0..3).for_each(|_| drop(lines.next()));
        assert_eq!(lines.number(), 3);
    }
}
