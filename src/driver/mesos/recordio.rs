//! `RecordIO`, as Mesos streams it: of each record its length in decimal digits, a line feed, as many bytes.
//!
//! Bytes go in as they arrive, whole records come out. Nothing is read or waited for here.
//!
//! R1  Any cut of a stream into pieces gives the same records, and the same error at the same byte.
//! R2  No more memory than the bytes that arrived of one record is taken, whatever a length says.
//! R3  After an error no record comes out any more.

use crate::limits::MESOS_RECORD_BYTES_MAX;

/// Why bytes are no records. What came before them stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// Something else than digits where a length is to be.
    #[error("byte {byte:#04x} in the length of a record")]
    NoLength {
        /// What stands there.
        byte: u8,
    },
    /// Longer than is taken.
    #[error("a record of more than {most} bytes")]
    TooLong {
        /// As many are taken.
        most: usize,
    },
    /// The bytes end within a record.
    #[error("the last record is cut off")]
    CutOff,
}

enum State {
    /// Digits of a length.
    Length {
        bytes: usize,
        has_digits: bool,
    },
    /// A record of which so many bytes are missing.
    Record {
        record: Vec<u8>,
        n_missing: usize,
    },
    Broken(RecordError),
}

/// See the file.
pub(crate) struct Records {
    state: State,
    most: usize,
}

const BETWEEN: State = State::Length { bytes: 0, has_digits: false };

impl Default for Records {
    fn default() -> Self {
        Self { state: BETWEEN, most: MESOS_RECORD_BYTES_MAX }
    }
}

impl Records {
    /// The next record that is complete, with `bytes` shortened by what was taken of them. None where they do
    /// not complete one: then all of them were taken.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        let taken = self.take(bytes);
        if let Err(error) = taken {
            self.state = State::Broken(error);
        }
        taken
    }

    fn take(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        while let State::Length { bytes: length, has_digits } = &mut self.state {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(None) };
            *bytes = rest;
            match byte {
                b'0'..=b'9' => {
                    *length = *length * 10 + usize::from(byte - b'0');
                    *has_digits = true;
                    if *length > self.most {
                        return Err(RecordError::TooLong { most: self.most });
                    }
                }
                b'\n' if *has_digits => {
                    self.state = State::Record { record: Vec::new(), n_missing: *length };
                }
                _ => return Err(RecordError::NoLength { byte }),
            }
        }
        match &mut self.state {
            State::Record { record, n_missing } => {
                let (more, rest) = bytes.split_at(bytes.len().min(*n_missing));
                record.extend_from_slice(more);
                *n_missing -= more.len();
                *bytes = rest;
                if *n_missing > 0 {
                    return Ok(None);
                }
                let record = std::mem::take(record);
                self.state = BETWEEN;
                Ok(Some(record))
            }
            State::Broken(error) => Err(*error),
            State::Length { .. } => Ok(None),
        }
    }

    /// No bytes come any more.
    pub(crate) fn end(self) -> Result<(), RecordError> {
        match self.state {
            State::Length { has_digits: false, .. } => Ok(()),
            State::Length { .. } | State::Record { .. } => Err(RecordError::CutOff),
            State::Broken(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All records in pieces of a stream, and how it ends.
    fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), RecordError>) {
        let (mut records, mut all) = (Records::default(), Vec::new());
        for mut piece in pieces.iter().copied() {
            loop {
                match records.next(&mut piece) {
                    Ok(Some(record)) => all.push(record),
                    Ok(None) => break,
                    Err(error) => return (all, Err(error)),
                }
            }
            assert!(piece.is_empty());
        }
        (all, records.end())
    }

    fn written(records: &[Vec<u8>]) -> Vec<u8> {
        records
            .iter()
            .flat_map(|record| [format!("{}\n", record.len()).as_bytes(), record].concat())
            .collect()
    }

    #[test]
    fn what_is_no_stream_of_records_is_told_in_words() {
        let check = |text: &str, records: &[&str], end: Result<(), RecordError>| {
            let (found, how) = read(&[text.as_bytes()]);
            assert_eq!(
                (found, how),
                (records.iter().map(|r| r.as_bytes().to_vec()).collect(), end),
                "{text:?}"
            );
        };
        check("", &[], Ok(()));
        check("0\n2\nab", &["", "ab"], Ok(()));
        check("2\nab3\n\n\n\n", &["ab", "\n\n\n"], Ok(()));
        check("002\nab", &["ab"], Ok(()));
        check("2\nab2\nc", &["ab"], Err(RecordError::CutOff));
        check("12", &[], Err(RecordError::CutOff));
        check("2\nabx", &["ab"], Err(RecordError::NoLength { byte: b'x' }));
        check("\n", &[], Err(RecordError::NoLength { byte: b'\n' }));
        check("-1\n", &[], Err(RecordError::NoLength { byte: b'-' }));
        check("1 \n", &[], Err(RecordError::NoLength { byte: b' ' }));
        let too_long = Err(RecordError::TooLong { most: MESOS_RECORD_BYTES_MAX });
        check("1000000000\n", &[], too_long);
        check("99999999999999999999999999\n", &[], too_long);
        check(&format!("{}\n", MESOS_RECORD_BYTES_MAX + 1), &[], too_long);
        check(&format!("{MESOS_RECORD_BYTES_MAX}\n"), &[], Err(RecordError::CutOff));
    }

    #[test]
    fn nothing_comes_out_after_an_error() {
        let mut records = Records::default();
        let mut bytes = b"x".as_slice();
        let error = records.next(&mut bytes).expect_err("no length");
        let mut good = b"2\nab".as_slice();
        assert_eq!(records.next(&mut good), Err(error), "R3");
        assert_eq!(records.end(), Err(error));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_records(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let bytes = written(&records);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces), (records, Ok(())));
        }

        #[test]
        fn any_bytes_are_read_alike_at_once_and_one_by_one(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), b'0'..=b'9', any::<u8>()], 0..60),
        ) {
            let each: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(read(&each), read(&[&bytes]));
        }
    }
}
