//! What executions of this machine print: two files in their sandboxes.
//!
//! P1  Nothing but plain files is opened, and no link is followed: an execution may put anything in their place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::launch::{OutputStream, Piece, PieceError, PrintedSource, Ran, ReadFrom};

use super::outputs::LocalOutputs;
use super::protocol::Asked;

impl PrintedSource for LocalOutputs {
    fn read(
        &self,
        ran: &Ran,
        stream: OutputStream,
        from: ReadFrom,
        most: usize,
    ) -> Result<Piece, PieceError> {
        let sandbox = self.0.sandbox(Asked { name: ran.name, job: ran.job, exe_num: ran.exe_num });
        let path = sandbox.dir().join(stream.as_str());
        read(&path, from, most).map_err(|error| {
            let reason = format!("{}: {error}", path.display());
            match error.kind() {
                io::ErrorKind::NotFound => PieceError::NotThere { reason },
                _ => PieceError::Unreadable { reason },
            }
        })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no plain file")) }
}

fn read(path: &Path, from: ReadFrom, most: usize) -> io::Result<Piece> {
    let mut file = open(path)?;
    let size = file.metadata()?.len();
    let offset = from.offset(size).min(size);
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes)?;
    // More may have come meanwhile.
    let size = size.max(offset + bytes.len() as u64);
    Ok(Piece { offset, bytes, size })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;
    use crate::model::{ExeId, JobId, LaunchName};

    /// A store with the sandbox of one launch.
    struct Fixture {
        store: tempfile::TempDir,
        sandbox: PathBuf,
    }

    impl Fixture {
        fn new() -> Self {
            let store = tempfile::tempdir().expect("a directory");
            let sandbox = store.path().join("sandbox/7x1.2");
            fs::create_dir_all(&sandbox).expect("a sandbox");
            Self { store, sandbox }
        }

        fn read(&self, from: ReadFrom, most: usize) -> Result<Piece, PieceError> {
            let ran = Ran {
                name: LaunchName { exe: ExeId(5), number: 2 },
                job: JobId(7),
                exe_num: 1,
                cluster_id: String::new(),
                node: None,
                has_ended: false,
            };
            LocalOutputs::of(self.store.path()).expect("a store").read(&ran, OutputStream::Stdout, from, most)
        }
    }

    #[test]
    fn a_piece_is_read_from_either_end() {
        let fixture = Fixture::new();
        fs::write(fixture.sandbox.join("stdout"), "0123456789").expect("written");
        fs::write(fixture.sandbox.join("stderr"), "no").expect("written");
        let check = |from, most, offset, bytes: &str| {
            let piece = Piece { offset, bytes: bytes.into(), size: 10 };
            assert_eq!(fixture.read(from, most), Ok(piece), "{from:?} {most}");
        };
        check(ReadFrom::Start(0), 4, 0, "0123");
        check(ReadFrom::Start(8), 4, 8, "89");
        check(ReadFrom::Start(10), 4, 10, "");
        check(ReadFrom::Start(99), 4, 10, "");
        check(ReadFrom::End(3), 2, 7, "78");
        check(ReadFrom::End(99), 99, 0, "0123456789");
        check(ReadFrom::End(0), 99, 10, "");
        check(ReadFrom::Start(0), 0, 0, "");
    }

    #[test]
    fn what_is_no_plain_file_is_neither_read_nor_waited_for() {
        let fixture = Fixture::new();
        let path = fixture.sandbox.join("stdout");
        let is_refused = || match fixture.read(ReadFrom::Start(0), 9) {
            Err(PieceError::Unreadable { .. }) => fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)),
            other => panic!("{other:?}"),
        };
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("a program").success());
        is_refused().expect("removed");
        fs::write(fixture.store.path().join("secret"), "s").expect("written");
        symlink(fixture.store.path().join("secret"), &path).expect("a link");
        is_refused().expect("removed");
        fs::create_dir(&path).expect("a folder");
        is_refused().expect("removed");
        assert!(matches!(fixture.read(ReadFrom::Start(0), 9), Err(PieceError::NotThere { .. })));
    }
}
