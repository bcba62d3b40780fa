//! What daemon and supervisor say to each other, and its frames: a `u32` length (little endian),
//! then one message as bincode 2 `legacy()`.
//!
//! Both sides are the same binary nearly always, yet a supervisor may outlive an upgrade: the hello
//! carries a version and never changes its form.
//!
//! P1  No length or content of a frame makes a reader allocate more than the limits here.
//! P2  A frame is taken whole or not at all; bytes left over in it are an error.

use std::io::{self, Read};

use bincode::{Decode, Encode};

use crate::launch::{Known, Launch, StatusUpdate};
use crate::model::{JobId, LaunchName};

/// Changes with every change of what is said.
pub(super) const PROTOCOL_VERSION: u8 = 4;

/// Largest frame: a thousand entries, or one launch with a command as long as Linux takes it (2 MiB
/// of arguments and environment).
pub(super) const FRAME_BYTES_MAX: usize = 4 << 20;

/// Entries in one frame.
pub(super) const ENTRIES_PER_FRAME: usize = 1_000;

/// Longest reason that is sent; longer ones are cut.
pub(super) const REASON_BYTES_MAX: usize = 1_024;

/// Room of an entry beside its reason.
const ENTRY_BYTES_MAX: usize = 256;

/// Memory a frame may ask for while it is decoded: itself, and room for what its lists announce.
const DECODE_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;

/// Bytes taken from the socket at once.
const READ_BYTES: usize = 64 << 10;

const LENGTH_BYTES: usize = 4;

const _: () = assert!(ENTRIES_PER_FRAME * (REASON_BYTES_MAX + ENTRY_BYTES_MAX) <= FRAME_BYTES_MAX);

/// From the daemon to the supervisor.
#[derive(Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Order {
    /// The first frame of a connection, in this form in all versions.
    Hello { version: u8 },
    /// Start these, in this order.
    Launch(Vec<Launch>),
    /// End one of them.
    Kill(LaunchName),
    /// Forget these ends.
    Acknowledge(Vec<LaunchName>),
    /// Say what is known of each.
    Reconcile(Vec<Asked>),
    /// End yourself if nothing runs.
    Shutdown,
}

/// A launch somebody asks about, with what names its sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Asked {
    pub(super) name: LaunchName,
    pub(super) job: JobId,
    pub(super) exe_num: u32,
}

/// From the supervisor to the daemon.
#[derive(Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum News {
    /// The answer to a hello, in this form in all versions.
    Hello { version: u8, pid: u32 },
    /// What became of launches.
    Statuses(Vec<StatusUpdate>),
    /// The answer to one `Reconcile`, in its order.
    Known(Vec<Known>),
    /// The answer to `Shutdown` while something runs.
    Busy,
}

/// Why bytes are no frame, or a message is too large for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum FrameError {
    /// Above [`FRAME_BYTES_MAX`].
    #[error("a frame of {bytes} bytes; at most {FRAME_BYTES_MAX} are taken")]
    TooLarge { bytes: usize },
    /// No message, or not of this side.
    #[error("a frame that says nothing: {0}")]
    Malformed(#[from] bincode::error::DecodeError),
    /// Bytes after the message.
    #[error("{bytes} bytes too many in a frame")]
    Trailing { bytes: usize },
}

/// Appends `message` to `out` as one frame; leaves `out` as it was when it is too large.
pub(super) fn append_frame(out: &mut Vec<u8>, message: &impl Encode) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    bincode::encode_into_std_write(message, out, bincode::config::legacy())
        .expect("encoding to memory fails for no message of ours");
    let bytes = out.len() - start - LENGTH_BYTES;
    match u32::try_from(bytes) {
        Ok(length) if bytes <= FRAME_BYTES_MAX => {
            out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(FrameError::TooLarge { bytes })
        }
    }
}

/// Cuts `reason` to [`REASON_BYTES_MAX`].
pub(super) fn short_reason(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}

/// What was read and not understood yet: at most one frame and what came with its last bytes.
pub(super) struct Inbox {
    bytes: Vec<u8>,
    taken: usize,
    chunk: Box<[u8]>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), taken: 0, chunk: vec![0; READ_BYTES].into_boxed_slice() }
    }

    /// One read; the number of bytes, zero at the end of the stream.
    pub(super) fn read_from(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.shrink_to(READ_BYTES);
        let n = stream.read(&mut self.chunk)?;
        self.bytes.extend_from_slice(&self.chunk[..n]);
        Ok(n)
    }

    /// The next whole frame, if there is one.
    pub(super) fn next<T: Decode<()>>(&mut self) -> Result<Option<T>, FrameError> {
        let rest = &self.bytes[self.taken..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let bytes = u32::from_le_bytes(*length) as usize;
        if bytes > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge { bytes });
        }
        let Some(frame) = rest.get(..bytes) else { return Ok(None) };
        let config = bincode::config::legacy().with_limit::<DECODE_BYTES_MAX>();
        let (message, n) = bincode::decode_from_slice(frame, config)?;
        if n != bytes {
            return Err(FrameError::Trailing { bytes: bytes - n });
        }
        self.taken += LENGTH_BYTES + bytes;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::launch::TaskState;
    use crate::model::{ExeId, NodeId, NodeResources, Outcome, Timestamp, Usage};

    fn launch(command: &[&str]) -> Launch {
        Launch {
            name: LaunchName { exe: ExeId(1), number: 1 },
            job: JobId(2),
            exe_num: 1,
            cluster_id: "scale_job_f_2x1".into(),
            job_type: "t".into(),
            job_type_version: "1".into(),
            node: NodeId(0),
            resources: NodeResources::new().into(),
            command: command.iter().map(ToString::to_string).collect(),
            env: vec![],
            timeout_s: None,
            gpus: Vec::new(),
            image: None,
            uris: Arc::default(),
            files: Arc::default(),
        }
    }

    fn read_all<T: Decode<()>>(mut bytes: &[u8]) -> Result<Vec<T>, FrameError> {
        let mut inbox = Inbox::new();
        let mut all = Vec::new();
        loop {
            while let Some(message) = inbox.next()? {
                all.push(message);
            }
            if inbox.read_from(&mut bytes).expect("memory") == 0 {
                return Ok(all);
            }
        }
    }

    #[test]
    fn frames_read_back_across_any_cut() {
        let orders = [Order::Hello { version: 1 }, Order::Launch(vec![launch(&["true"])]), Order::Shutdown];
        let mut bytes = Vec::new();
        for order in &orders {
            append_frame(&mut bytes, order).expect("small");
        }
        for cut in 0..bytes.len() {
            let mut inbox = Inbox::new();
            let mut read = Vec::new();
            for mut part in [&bytes[..cut], &bytes[cut..]] {
                inbox.read_from(&mut part).expect("memory");
                while let Some(order) = inbox.next::<Order>().expect("frames") {
                    read.push(order);
                }
            }
            assert_eq!(read, orders, "cut at {cut}");
        }
    }

    #[test]
    fn large_frames_are_refused_on_both_sides() {
        let mut out = vec![7];
        let long = "x".repeat(FRAME_BYTES_MAX);
        let error = append_frame(&mut out, &Order::Launch(vec![launch(&[&long])])).expect_err("large");
        assert!(matches!(error, FrameError::TooLarge { .. }), "{error}");
        assert_eq!(out, [7], "nothing is left behind");
        let huge = read_all::<Order>(&u32::MAX.to_le_bytes()).expect_err("large");
        assert!(matches!(huge, FrameError::TooLarge { .. }), "{huge}");
    }

    #[test]
    fn a_list_that_announces_too_much_is_refused() {
        let mut bytes = 12_u32.to_le_bytes().to_vec();
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        bytes.extend_from_slice(&(u64::MAX / 2).to_le_bytes());
        let error = read_all::<Order>(&bytes).expect_err("no such list");
        assert!(matches!(error, FrameError::Malformed(_)), "{error}");
    }

    #[test]
    fn a_frame_with_bytes_left_over_is_refused() {
        let mut bytes = Vec::new();
        append_frame(&mut bytes, &Order::Shutdown).expect("small");
        bytes[0] += 1;
        bytes.push(0);
        let error = read_all::<Order>(&bytes).expect_err("one too many");
        assert!(matches!(error, FrameError::Trailing { bytes: 1 }), "{error}");
    }

    #[test]
    fn a_full_frame_of_long_reasons_fits() {
        let reason = short_reason("ü".repeat(REASON_BYTES_MAX));
        assert_eq!(reason.len(), REASON_BYTES_MAX);
        let status = StatusUpdate {
            name: LaunchName { exe: ExeId(u64::MAX), number: u32::MAX },
            state: TaskState::Ended { outcome: Outcome::Lost { reason }, usage: Usage::default() },
            when: Timestamp(i64::MAX),
        };
        let known = vec![Known::Ended(status); ENTRIES_PER_FRAME];
        let mut out = Vec::new();
        append_frame(&mut out, &News::Known(known)).expect("fits");
        assert_eq!(read_all::<News>(&out).expect("a frame").len(), 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = read_all::<Order>(&bytes);
            let mut framed = u32::try_from(bytes.len()).expect("short").to_le_bytes().to_vec();
            framed.extend_from_slice(&bytes);
            let _ = read_all::<Order>(&framed);
            let _ = read_all::<News>(&framed);
        }
    }
}
