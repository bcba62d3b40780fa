//! Every bound of the server, with its reason.

use std::time::Duration;

use crate::limits::{CATALOG_TEXT_BYTES_MAX, COMMAND_JOBS_MAX};
use crate::workload::WORKLOAD_BYTES_MAX;

/// Bytes of an ordinary body: a command that names as many jobs as it may, each with sixteen
/// digits and a comma.
pub(super) const BODY_BYTES_MAX: usize = 2 << 20;

/// Bytes of a body with a manifest or a definition: those are bounded by what the catalog keeps, and a body
/// may be written with blanks.
pub(super) const CATALOG_BODY_BYTES_MAX: usize = 2 * CATALOG_TEXT_BYTES_MAX;

/// Bytes of a submission: as large as a workload file.
pub(super) const SUBMISSION_BYTES_MAX: usize = WORKLOAD_BYTES_MAX;

/// Manifests that are kept as they are shown, some kilobytes each.
pub(super) const MANIFESTS_KEPT_MAX: usize = 4_096;

/// Submissions longer than [`BODY_BYTES_MAX`], or of unknown length, that arrive at once: each may
/// hold [`SUBMISSION_BYTES_MAX`] of text until its request times out. Shorter ones are bounded by
/// the number of connections, like every other body.
pub(super) const LONG_BODIES_AT_ONCE_MAX: usize = 16;

/// Submissions that are parsed and queued at once, after they have arrived: each takes several
/// times its text.
pub(super) const SUBMISSIONS_AT_ONCE_MAX: usize = 4;

/// Longest wait for a write to be on disk before the caller is told to ask again.
pub(super) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);

/// Longest wait of a caller for what it ordered for many jobs: small ones are done when it is answered.
pub(super) const BULK_WAIT_MAX: Duration = Duration::from_millis(250);

/// Longest wait of a read for the position it wants to see.
pub(super) const VIEW_WAIT_MAX: Duration = Duration::from_secs(1);

/// Pause between two looks at the published view.
pub(super) const VIEW_LOOK: Duration = Duration::from_millis(1);

/// Reads of what executions print that go on at once, beside the runtime's threads: each may wait for an agent
/// that does not answer.
pub(super) const OUTSIDE_READS_MAX: usize = 16;

/// Age of the core's last sign of life above which it counts as stuck. It gives one every 50 ms;
/// a submission of a million jobs takes it about a second.
pub(super) const CORE_SILENCE_MAX: Duration = Duration::from_secs(10);

/// Age of what a scheduler said of itself above which it counts as down. It says so every five seconds.
pub(super) const STATUS_AGE_MAX: Duration = Duration::from_secs(12);

/// Jobs that are looked at to count those that changed lately.
pub(super) const COUNTED_JOBS_MAX: usize = 100_000;

/// Rows of one page of `/v6/`, where nothing else is asked for.
pub(super) const PAGE_LEN: usize = 100;

/// Most rows of one page of `/v6/`.
pub(super) const PAGE_LEN_MAX: usize = 1_000;

/// Rows of one answer of `/api/v1/`, where nothing else is asked for.
pub(super) const LIST_LEN: usize = 100;

/// Load rows of one answer, where nothing else is asked for.
pub(super) const LOAD_ROWS: usize = 1_000;

/// Most load rows of one answer.
pub(super) const LOAD_ROWS_MAX: usize = 10_000;

/// Pieces into which the range of a chart is cut, where nothing else is asked for.
pub(super) const SERIES_POINTS: usize = 60;

/// Most such pieces.
pub(super) const SERIES_POINTS_MAX: usize = 1_000;

/// Pieces of all job types of one chart: 48 bytes each.
pub(super) const SERIES_CELLS_MAX: usize = 1_000_000;

/// Job types with metrics of their own. The rest is summed up, so that a scrape stays small.
pub(super) const METRIC_TYPES_MAX: usize = 500;

/// Nodes with metrics of their own.
pub(super) const METRIC_NODES_MAX: usize = 500;

const _: () = assert!(COMMAND_JOBS_MAX * 17 < BODY_BYTES_MAX);
const _: () = assert!(PAGE_LEN <= PAGE_LEN_MAX && LIST_LEN <= crate::limits::LIST_MAX);
