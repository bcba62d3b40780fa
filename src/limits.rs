//! Every bound, with its reason. What can grow has a line here.

use std::time::Duration;

/// Commands that wait for the core. At some 200 bytes each a full ring is 13 MiB; a caller who
/// finds it full is told so.
pub const INTAKE_LEN_MAX: usize = 1 << 16;

/// Statuses that wait for the core, in a ring of their own so that submissions cannot shed them.
pub const STATUSES_LEN_MAX: usize = 1 << 16;

/// Jobs of one submission: it is one transaction and one answer.
pub const SUBMISSION_JOBS_MAX: u32 = 1_000_000;

/// Jobs named one by one in one command (cancel, priority).
pub const COMMAND_JOBS_MAX: usize = 100_000;

/// Jobs in one event, so that an event stays far below a batch.
pub const EVENT_JOBS_MAX: u32 = 1_000;

/// Bytes of the values of one job.
pub const VALUES_BYTES_MAX: usize = 1 << 16;

/// Bytes of the input of one job or recipe, and of the output of one execution, as JSON.
pub const DATA_BYTES_MAX: usize = 1 << 20;

/// Bytes of what is on record of the files of one input or output, which stands with it.
pub const FACTS_BYTES_MAX: usize = 16 << 20;

/// Files that are taken up of what one execution left: each is a record of its own, made with its end.
/// Few in tests, so that they are reached.
pub const OUTPUT_FILES_MAX: usize = if cfg!(test) { 20 } else { 10_000 };

/// Entries of directories that are looked at for them: some 100 ms, while news of other ends waits.
pub const OUTPUT_ENTRIES_MAX: usize = if cfg!(test) { 200 } else { 100_000 };

/// Bytes of the pattern of an output that is looked for: as long as a path may be. A longer one finds nothing.
pub const OUTPUT_PATTERN_BYTES_MAX: usize = 4_096;

/// Names of such a pattern, so folders one within the other. One with more finds nothing.
pub const OUTPUT_PATTERN_NAMES_MAX: usize = 64;

/// Bytes that are read at once of what an execution prints: a Mesos agent reads sixteen pages at most.
pub const PRINTED_BYTES_MAX: usize = 64 << 10;

/// Bytes of a file with a policy: some ten thousand job types with a few demands each.
pub const POLICY_BYTES_MAX: u64 = 4 << 20;

/// Bytes of one job type: command, environment and texts.
pub const JOB_TYPE_BYTES_MAX: usize = 1 << 18;

/// Characters of the image of a job type: as many as Scale stores.
pub const IMAGE_CHARS_MAX: usize = 500;

/// Files that are fetched before the command of a job type starts. A launch carries all of them.
pub const FETCHED_MAX: usize = 64;

/// Bytes of the addresses of input files that a launch carries: more of them than can be fetched for it.
pub const LAUNCH_FILES_BYTES_MAX: usize = 1 << 20;

/// Bytes of the URI of one, and of the name that it gets: as long as most servers take it.
pub const URI_BYTES_MAX: usize = 2 << 10;

/// Executions that wait for a node. Ten million of them are what the queue is built for; the
/// limit leaves room above.
pub const QUEUED_MAX: usize = 20_000_000;

/// Lanes of the queue.
pub const LANES_MAX: usize = 1 << 20;

/// Lanes that are turned at a time when FIFO and LIFO are switched: two descents each, less than a
/// millisecond. The last slice also makes the order of open lanes anew, some 3 us for each 64.
pub const TURN_LANES: usize = 250;

/// Job types. Views list all of them.
pub const JOB_TYPES_MAX: usize = 100_000;

/// Nodes the engine remembers.
pub const NODES_MAX: usize = 100_000;

/// Offers of a cluster that are held at once: more than one of each node, at some 700 bytes.
pub const OFFERS_MAX: usize = 1 << 18;

/// How long an offer is held before it is declined, as in Scale. Nobody else can have it meanwhile.
pub const OFFER_HOLD_MAX: Duration = Duration::from_secs(10);

/// How long a window of a watermark is, as in Scale: it tells of the last one to two of them.
pub const WATERMARK_WINDOW: Duration = Duration::from_mins(5);

/// How long a node that is out of use or gone, and runs nothing, is remembered without an offer, as in Scale.
pub const NODE_SILENCE_MAX: Duration = Duration::from_mins(5);

/// Attributes that are kept of a node.
pub const ATTRIBUTES_MAX: usize = 64;

/// Bytes of name and value of an attribute. A longer one is left out.
pub const ATTRIBUTE_BYTES_MAX: usize = 1 << 10;

/// Graphics processors of a node that are told apart. Machines have sixteen.
pub const GPU_SLOTS_MAX: usize = 1 << 10;

/// Amounts that are read of one offer: each resource may come under several roles.
pub const OFFER_AMOUNTS_MAX: usize = 256;

/// Bytes of the scores that are kept of nodes for requests: some 5,000 requests at 10,000 nodes.
pub const SCORES_BYTES_MAX: usize = 256 << 20;

/// Executions that are passed over and of which it is known since when and how often.
pub const WATCHED_MAX: usize = 4_096;

/// At most so long after one that could run on an empty node first fitted nowhere it is watched.
pub const SURVEY_SECONDS: u64 = 1;

/// Nodes that are kept for executions at once; never more than half of all.
pub const RESERVATIONS_MAX: usize = 1_000;

/// Lanes of which a node tells what keeps them from it: who reads it looks at the first.
pub const LANES_TOLD_MAX: usize = 100;

/// Executions that run on a node of which it tells: who reads it looks at the first.
pub const RUNNING_TOLD_MAX: usize = 100;

/// How old the count of what waits by what keeps it may get while things change.
pub const TALLY_SECONDS: u64 = 1;

/// Nodes that are looked at for that, beside one look at each, with the core's lock held: together some four
/// milliseconds at 10,000 nodes and 500 kinds of requests.
pub const TALLY_LOOKS_MAX: usize = 100_000;

/// Notes of what was decided and of what keeps the rest that are kept, 48 bytes each.
pub const JOURNAL_LEN: usize = 1 << 14;

/// Nodes kept for others that an explanation names: who reads it looks at the first.
pub const KEPT_NAMED_MAX: usize = 5;

/// Picks of one offer.
pub const PICKS_MAX: usize = 10_000;

/// Executions that run at once: each may have a launch and a kill on its way to a driver.
pub const RUNNING_MAX: usize = 1_000_000;

/// Bytes of a batch row in the log before the next one is begun.
pub const BATCH_BYTES: usize = 256 << 10;

/// Bytes of the largest batch row that is read back: one event may be longer than
/// [`BATCH_BYTES`].
pub const BATCH_BYTES_MAX: usize = 64 << 20;

/// Bytes of the longest event: it is begun in a row of less than [`BATCH_BYTES`].
pub const EVENT_BYTES_MAX: usize = BATCH_BYTES_MAX - BATCH_BYTES;

/// Bytes that wait for the log writer before the core takes no more commands.
pub const GATHER_BYTES_MAX: usize = 16 << 20;

/// Bytes of a segment of the state file, and of a piece of creations: a little less than sixteen pages,
/// which the file gives out together.
pub const SEGMENT_BYTES: usize = 60 << 10;

/// Bytes of memory that what is newer than the last checkpoint takes, before the next one is made.
/// With it the log ahead of the state file, and the time to read it again, are bounded.
pub const RECENT_BYTES: usize = 32 << 20;

/// The same, before the core takes no more commands until a checkpoint is done.
pub const RECENT_BYTES_MAX: usize = 128 << 20;

/// Sparse segments that one checkpoint writes anew.
pub const REWRITES_MAX: usize = 64;

/// Places of jobs that are over that are held in memory before they are put into the file together. Few in
/// tests, so that they are reached.
pub const PLACES_MAX: usize = if cfg!(test) { 1 << 6 } else { 1 << 18 };

/// Bytes of one transaction of a checkpoint but its last.
pub const CHECKPOINT_BYTES: usize = 4 << 20;

/// Bytes that are written to the state file before they are synced, whatever they belong to: with eight times
/// as many a durable enqueue waits twice as long (p99), with half as many a checkpoint takes longer.
pub const PACE_BYTES: u64 = 512 << 10;

/// The longest rest after such a sync.
pub const PACE_REST_MAX: Duration = Duration::from_millis(20);

/// How long the checkpointer lets others run after each segment it made: some 100 us of work.
pub const SEGMENT_REST: Duration = Duration::from_micros(if cfg!(test) { 0 } else { 30 });

/// Bytes of memory that `inspect` and `check` keep of what a repair would write to a file: redb writes
/// its page directory, some 33 bytes for a MiB, and what leads to it.
pub const UNTOUCHED_BYTES_MAX: usize = 256 << 20;

/// Faults of a store that are told one by one, of each kind. All of them are counted.
pub const FAULTS_MAX: usize = 20;

/// Events of a log that are shown in one answer.
pub const EVENTS_SHOWN_MAX: usize = 1_000;

/// Load rows kept when the options say nothing: a year of hours for two hundred busy types, 16 bytes of memory
/// each.
pub const LOAD_ROWS_DEFAULT: u32 = 2_000_000;

/// Load rows that go in one step beyond as many as came, where there are too many.
pub const LOAD_ROWS_CUT_MAX: usize = 10_000;

/// Measurements that go for their age in one step.
pub const LOAD_DROPPED_MAX: usize = 1_000;

/// Measurements that are looked at in one step for whether they go.
pub const LOAD_LOOKS_MAX: usize = 10_000;

/// Load rows that are put on record in one command.
pub const LOAD_ROWS_PUT_MAX: usize = 10_000;

/// Firings of clock rules that wait for their processors to be called.
pub const FIRINGS_MAX: usize = 1_000;

/// Bytes of what one job was given that is taken over from another system: its values, input and configuration.
pub const TAKEN_OVER_BYTES_MAX: usize = 1 << 18;

/// The largest count of a load row.
pub const LOAD_COUNT_MAX: u64 = u32::MAX as u64;

/// Jobs that were over lately and whose leaving is remembered: a command that was given facts from the
/// store before that many others left is asked to read them again.
pub const LEFT_MAX: usize = 1 << 16;

/// Segments that are read after a checkpoint to find jobs that retention lets go.
pub const RETENTION_SEGMENTS_MAX: usize = 1_024;

/// Submissions whose ids are remembered, the newest ones: so long the same id gives the same answer again.
/// Some 150 bytes of memory each.
pub const SUBMISSIONS_MAX: usize = 1_000_000;

/// Jobs listed in one answer.
pub const LIST_MAX: usize = 1_000;

/// Texts of one document of the catalog, such as a manifest.
pub const CATALOG_TEXT_BYTES_MAX: usize = 4 << 20;

/// Files of a data set: its document is one event, and stays in memory.
pub const DATASET_FILES_MAX: usize = 1_000_000;

/// Nodes of a recipe type, and so jobs of a recipe: it is made in one transaction, and some 300 bytes of memory for
/// each stay while it goes on.
pub const RECIPE_NODES_MAX: usize = 100_000;

/// Dependencies of all nodes of a recipe type: a recipe is read back along them.
pub const RECIPE_EDGES_MAX: usize = 1_000_000;

/// Bytes of the definition of a recipe type: it stands in every answer that shows it, and has to fit an event.
pub const RECIPE_BYTES_MAX: usize = 32 << 20;

/// Nodes of a recipe type and all within it, and of a recipe that is made anew: one transaction.
pub const REPROCESS_NODES_MAX: usize = 400_000;

/// Recipes, the newest, among which a list looks for those that are asked for: some 2 us each.
pub const RECIPES_LISTED_MAX: usize = 100_000;

/// Recipes of a batch that are made in one command, so that decisions come in between.
pub const BATCH_STEP_RECIPES: usize = 50;

/// Nodes of these recipes in all, and of those within them, beyond the first.
pub const BATCH_STEP_NODES: u64 = 5_000;

/// Nodes, errors, workspaces, recipe types, batches on record, of each kind: all of them are in memory.
pub const CATALOG_DOCS_MAX: u64 = 100_000;

/// Jobs that a bulk operation reads at a time: each time, all that is newer than the state file is looked at.
pub const BULK_PAGE: usize = 3_200;

/// Ids among which it looks for them at a time, where it does not ask for a list of all.
pub const BULK_IDS: usize = 1_000;

/// Jobs that it changes in one command, so that decisions come in between.
pub const BULK_JOBS: usize = 16;

/// How long it lets others run after each command, as a multiple of what that took: whoever decides, the log
/// and the checkpointer need the processors too. None in tests.
pub const BULK_REST_TIMES: u32 = if cfg!(test) { 0 } else { 10 };

/// The longest such rest: a command that took long may have waited itself.
pub const BULK_REST_MAX: Duration = Duration::from_millis(5);

/// Jobs that a bulk operation names one by one: its document is written anew with each step.
pub const BULK_NAMED_MAX: usize = 10_000;

/// Bulk operations that are over and are remembered with all they changed, 16 bytes a job.
pub const BULKS_KEPT: usize = 16;

/// Parts of older ones that are dropped in one command: more than are made with a page, and few enough that
/// decisions come in between.
pub const BULK_PARTS_DROPPED: u32 = 250;

/// Bulk operations that go on or wait for their turn.
pub const BULKS_RUNNING_MAX: usize = 1_000;

/// Bytes of one message: a bulk one that names as many jobs as it may.
pub const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// Jobs of one message about single jobs, as in Scale.
pub const MESSAGE_JOBS_MAX: usize = 100;

/// Jobs of one message that takes a cancel back, as in Scale.
pub const MESSAGE_UNCANCELED_MAX: usize = 1_000;

/// End records of one message, as in Scale.
pub const MESSAGE_ENDS_MAX: usize = 10;

/// Messages of one request.
pub const MESSAGES_AT_ONCE: usize = 100;

/// Messages that could not be carried out and are kept, the newest ones.
pub const DEAD_LETTERS_MAX: u64 = 1_000;

/// Documents of one look into the store: at some hundred bytes each, and sorted in memory where a list has an
/// order of its own.
pub const DOCS_AT_ONCE: usize = 1_000_000;

/// Jobs that a page of a list may begin behind, and its own: all of them are held while it is made.
pub const LIST_DEPTH_MAX: usize = 11_000;

/// Ids named in a filter of a list: each may be in a segment of its own.
pub const LIST_IDS_MAX: usize = 1_000;

/// Segments of the state file that are read for one page of a list: some 40 ms.
pub const LIST_SEGMENTS_MAX: usize = 512;

/// Bytes of one record of a Mesos master, and of its list of agents: some ten thousand of them.
pub const MESOS_RECORD_BYTES_MAX: usize = 64 << 20;

/// Events of a Mesos master that were read and wait to be taken up; its connection holds the others.
pub const MESOS_EVENTS_MAX: usize = 256;

/// Calls to a Mesos master that wait for their answers at once; a master answers some thousands a second.
pub const MESOS_CALLS_AT_ONCE: usize = 4_096;

/// Tasks that a Mesos master is asked about in one call.
pub const MESOS_TASKS_ASKED_MAX: usize = 1_000;

/// Agents of one machine that are asked for a sandbox, by one list of them. One is usual.
pub const MESOS_AGENTS_ASKED_MAX: usize = 4;

/// Bytes of an agent's answer with a piece of a file, which travels in base 64.
pub const MESOS_FILES_BYTES_MAX: u64 = 16 << 20;

/// Bytes in which an agent tells its fetcher what to fetch for a task: one variable of an environment, in which Linux
/// takes 128 KiB, with what else is in there.
pub const MESOS_URIS_BYTES_MAX: usize = 100 << 10;

/// Bytes of an agent's answer with a list of a folder's entries: some 300 for each.
pub const MESOS_LIST_BYTES_MAX: u64 = 32 << 20;

/// How long one look at what a task left may take, while its agent goes on answering: one question for each file.
pub const MESOS_LEFT_LOOK_MAX: Duration = Duration::from_mins(10);

/// Threads that look for what tasks left in their sandboxes, each of which asks one agent at a time.
pub const MESOS_LEFT_LOOKS: usize = 8;

/// Those of them that ask one agent: it may be silent, and keep each for seconds.
pub const MESOS_LEFT_LOOKS_EACH: usize = 2;

/// Those of them that ask agents that were silent the last time, in all: the others are for who answers.
pub const MESOS_LEFT_LOOKS_SILENT: usize = MESOS_LEFT_LOOKS / 2;

/// Findings that wait to go on record before nobody looks on: each may be of some megabytes.
pub const MESOS_LEFT_FOUND_MAX: usize = 16;

/// Tasks that wait to be looked at, or to go on record with what was found: more come in a burst than in a minute. Few in tests, so that it is reached.
pub const MESOS_LEFT_WAITING_MAX: usize = if cfg!(test) { 20 } else { 10_000 };

/// Bytes of one line of a trace: a processor of a job is named in five, and thousands of them run in one.
pub const TRACE_LINE_BYTES_MAX: usize = 1 << 16;

/// Bytes of a file of a trace, unpacked: a packed one may grow a thousandfold.
pub const TRACE_BYTES_MAX: u64 = 8 << 30;

/// Records of a trace that are replayed: some 200 bytes of memory each, beside what the engine keeps.
pub const TRACE_RECORDS_MAX: usize = 5_000_000;

/// Bad lines of a trace that are told one by one. All of them are counted.
pub const TRACE_FAULTS_TOLD: usize = 20;

/// Kinds of records, the most frequent ones, that are told apart. The others are one.
pub const TRACE_KINDS_MAX: usize = 20;

/// Pieces of the time of a replay that are told one by one: as many as a plot can show.
pub const REPLAY_PIECES_MAX: usize = 240;

/// Seconds of virtual time of a replay, some hundred years: the queue tells times apart until 2112.
pub const REPLAY_SECONDS_MAX: u64 = 100 * 365 * 86_400;

const _: () = assert!(BATCH_BYTES < BATCH_BYTES_MAX && JOB_TYPE_BYTES_MAX < BATCH_BYTES_MAX);
const _: () = assert!(EVENT_JOBS_MAX as usize * 64 + VALUES_BYTES_MAX < BATCH_BYTES_MAX);
const _: () =
    assert!(DATA_BYTES_MAX + FACTS_BYTES_MAX + CATALOG_TEXT_BYTES_MAX + (1 << 20) < EVENT_BYTES_MAX);
const _: () = assert!(PRINTED_BYTES_MAX as u64 * 2 < MESOS_FILES_BYTES_MAX);
const _: () = assert!(OUTPUT_FILES_MAX * 24 < DATA_BYTES_MAX);
const _: () =
    assert!(MESOS_LEFT_LOOKS_EACH <= MESOS_LEFT_LOOKS_SILENT && MESOS_LEFT_LOOKS_SILENT < MESOS_LEFT_LOOKS);
const _: () = assert!(LAUNCH_FILES_BYTES_MAX > 2 * MESOS_URIS_BYTES_MAX);
const _: () = assert!(DATASET_FILES_MAX * 8 + CATALOG_TEXT_BYTES_MAX + (1 << 20) < EVENT_BYTES_MAX);
const _: () = assert!(COMMAND_JOBS_MAX * 16 < BATCH_BYTES_MAX);
const _: () = assert!(BULK_PARTS_DROPPED as usize > BULK_PAGE.div_ceil(BULK_JOBS));
const _: () = assert!(BULK_NAMED_MAX * 18 < MESSAGE_BYTES_MAX && BULK_JOBS <= BULK_IDS);
const _: () = assert!(BULK_IDS <= LIST_IDS_MAX && BULK_IDS <= LIST_MAX && BULK_PAGE < LIST_DEPTH_MAX);
const _: () = assert!(RECIPE_BYTES_MAX + (1 << 20) < BATCH_BYTES_MAX);
