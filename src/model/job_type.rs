//! The kind of a job: what it asks for, how often it may run at once, what command runs it, and in what.

use std::sync::Arc;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::ids::JobTypeId;
use super::resources::NodeResources;
use super::time::Timestamp;

/// The priority of a job type that states none. The lower number is the more important.
pub const PRIORITY_DEFAULT: i32 = 100;

/// Tries of a job whose type states none.
pub const MAX_TRIES_DEFAULT: u16 = 3;

/// In which direction of queued time entries of equal priority leave the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum QueueMode {
    /// The oldest first.
    #[default]
    Fifo,
    /// The youngest first.
    Lifo,
}

/// A file that is fetched into an execution's directory before its command starts.
///
/// As JSON it has the members of Mesos' `CommandInfo.URI`, those that are as they are in
/// [`FetchUri::new`] left out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchUri {
    /// Where it is: whatever the fetcher of the nodes knows, such as `http://host/file`, `file:///file` or
    /// an absolute path.
    pub value: String,
    /// An archive is unpacked.
    #[serde(default = "unpacks", skip_serializing_if = "bool::clone")]
    pub extract: bool,
    /// It may be executed; then it is not unpacked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// The node keeps it for the next one that wants it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache: bool,
    /// What it is called there; none: as the URI ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_file: Option<String>,
}

fn unpacks() -> bool {
    true
}

impl FetchUri {
    /// One that is unpacked where it is an archive.
    pub fn new(value: impl Into<String>) -> Self {
        Self { value: value.into(), extract: true, executable: false, cache: false, output_file: None }
    }
}

/// What a caller states of a job type. The engine makes a [`JobType`] of it.
///
/// ```
/// use weighbridge::{JobTypeSpec, NodeResources};
/// let resize = JobTypeSpec::new("resize", "1.0")
///     .needs(NodeResources::new().cpus("0.5")?.mem_mib(256))
///     .command(["convert", "{file}", "{out_dir}/{file_name}.png"])
///     .max_scheduled(4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobTypeSpec {
    /// Unique together with `version`.
    pub name: String,
    /// Any text; Scale uses semantic versions.
    pub version: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// What one execution asks of its node.
    pub resources: NodeResources,
    /// Program and arguments, with `{placeholders}` for the values of a job. Empty: the type is
    /// not run by a driver of ours.
    pub command: Vec<String>,
    /// Environment variables, with placeholders in their values.
    pub env: Vec<(String, String)>,
    /// The image of the container that executions run in, for a cluster that runs those; none: in none. A job
    /// whose revision of the type has an image of its own, from a manifest, runs in that.
    pub image: Option<Arc<str>>,
    /// What is fetched before the command starts, for a cluster that does so.
    pub uris: Arc<[FetchUri]>,
    /// Seconds an execution may take before it is ended; none: as long as it likes.
    pub timeout_s: Option<u32>,
    /// How often a job is tried before it stays FAILED; at least 1.
    pub max_tries: u16,
    /// Most executions of the type that run at once; none: no limit.
    pub max_scheduled: Option<u32>,
    /// Of its jobs, unless they state their own. The lower number is the more important.
    pub priority: i32,
    /// Replaces the queue's global mode inside the type.
    pub mode: Option<QueueMode>,
    /// An inactive type takes no new jobs.
    pub is_active: bool,
    /// Entries of a paused type wait, whatever fits.
    pub is_paused: bool,
}

impl JobTypeSpec {
    /// The image that jobs run in: that of their revision of the type, where it names one, else the type's.
    pub(crate) fn image_in<'s>(&'s self, of_revision: Option<&'s str>) -> Option<&'s str> {
        of_revision.filter(|image| !image.is_empty()).or(self.image.as_deref())
    }

    /// A type without a command that asks for nothing.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            title: String::new(),
            description: String::new(),
            resources: NodeResources::new(),
            command: Vec::new(),
            env: Vec::new(),
            image: None,
            uris: Arc::default(),
            timeout_s: None,
            max_tries: MAX_TRIES_DEFAULT,
            max_scheduled: None,
            priority: PRIORITY_DEFAULT,
            mode: None,
            is_active: true,
            is_paused: false,
        }
    }

    /// Sets what one execution asks of its node.
    #[must_use]
    pub fn needs(mut self, resources: NodeResources) -> Self {
        self.resources = resources;
        self
    }

    /// Sets program and arguments.
    #[must_use]
    pub fn command<S: Into<String>>(mut self, argv: impl IntoIterator<Item = S>) -> Self {
        self.command = argv.into_iter().map(Into::into).collect();
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets the image of the container that executions run in.
    #[must_use]
    pub fn image(mut self, image: impl Into<Arc<str>>) -> Self {
        self.image = Some(image.into());
        self
    }

    /// Sets what is fetched before the command starts.
    #[must_use]
    pub fn uris(mut self, uris: impl IntoIterator<Item = FetchUri>) -> Self {
        self.uris = uris.into_iter().collect();
        self
    }

    /// Sets the seconds an execution may take.
    #[must_use]
    pub fn timeout_s(mut self, seconds: u32) -> Self {
        self.timeout_s = Some(seconds);
        self
    }

    /// Sets how often a job is tried; 0 counts as 1.
    #[must_use]
    pub fn max_tries(mut self, tries: u16) -> Self {
        self.max_tries = tries.max(1);
        self
    }

    /// Sets how many executions may run at once; 0 means no limit, as in Scale.
    #[must_use]
    pub fn max_scheduled(mut self, limit: u32) -> Self {
        self.max_scheduled = (limit > 0).then_some(limit);
        self
    }

    /// Sets the priority of its jobs; the lower number is the more important.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the queue mode inside the type.
    #[must_use]
    pub fn mode(mut self, mode: QueueMode) -> Self {
        self.mode = Some(mode);
        self
    }
}

/// In the last byte of a spec: its entries wait.
const PAUSED: u8 = 1;
/// In the last byte of a spec: what executions run in follows. Specs of before never have that.
const RUNS_IN: u8 = 1 << 1;

impl Encode for JobTypeSpec {
    fn encode<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
        let Self { name, version, title, description, resources, command, env, image, uris, .. } = self;
        (name, version, title, description).encode(out)?;
        (resources, command, env).encode(out)?;
        (self.timeout_s, self.max_tries, self.max_scheduled).encode(out)?;
        (self.priority, self.mode, self.is_active).encode(out)?;
        let runs_in = image.is_some() || !uris.is_empty();
        let mark = |is_so: bool, mark: u8| if is_so { mark } else { 0 };
        (mark(self.is_paused, PAUSED) | mark(runs_in, RUNS_IN)).encode(out)?;
        if runs_in { (image, uris).encode(out) } else { Ok(()) }
    }
}

impl<C> Decode<C> for JobTypeSpec {
    fn decode<D: Decoder<Context = C>>(from: &mut D) -> Result<Self, DecodeError> {
        let (name, version, title, description) = Decode::decode(from)?;
        let (resources, command, env) = Decode::decode(from)?;
        let (timeout_s, max_tries, max_scheduled) = Decode::decode(from)?;
        let (priority, mode, is_active) = Decode::decode(from)?;
        let marks = u8::decode(from)?;
        if marks & !(PAUSED | RUNS_IN) != 0 {
            return Err(DecodeError::InvalidBooleanValue(marks));
        }
        let (image, uris) = if marks & RUNS_IN == 0 { (None, Arc::default()) } else { Decode::decode(from)? };
        let is_paused = marks & PAUSED != 0;
        Ok(Self {
            name,
            version,
            title,
            description,
            resources,
            command,
            env,
            image,
            uris,
            timeout_s,
            max_tries,
            max_scheduled,
            priority,
            mode,
            is_active,
            is_paused,
        })
    }
}

bincode::impl_borrow_decode!(JobTypeSpec);

/// A job type on record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JobType {
    /// Its id.
    pub id: JobTypeId,
    /// From 1; raised by each edit of the spec.
    pub revision: u32,
    /// What it is.
    pub spec: JobTypeSpec,
    /// When the first revision was made.
    pub created: Timestamp,
    /// When it last changed.
    pub last_modified: Timestamp,
    /// Since when it is paused, where it is.
    pub paused: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(spec: &JobTypeSpec) -> Vec<u8> {
        bincode::encode_to_vec(spec, bincode::config::legacy()).expect("a vector takes all bytes")
    }

    fn read(bytes: &[u8]) -> Result<(JobTypeSpec, usize), DecodeError> {
        bincode::decode_from_slice(bytes, bincode::config::legacy())
    }

    #[test]
    fn a_spec_reads_back_and_one_that_runs_in_nothing_is_as_it_was_before() {
        let plain = JobTypeSpec { is_paused: true, ..JobTypeSpec::new("a", "1").command(["run"]) };
        assert_eq!(bytes(&plain).last(), Some(&1), "a bool, as ever");
        let uris = [FetchUri { executable: true, ..FetchUri::new("http://h/x") }];
        for spec in [
            plain.clone(),
            plain.clone().image("h/a:1"),
            plain.clone().uris(uris.clone()),
            JobTypeSpec { is_paused: false, ..plain.clone().image("h/a:1").uris(uris) },
        ] {
            let bytes = bytes(&spec);
            assert_eq!(read(&bytes).expect("a spec"), (spec, bytes.len()));
        }
        let mut bad = bytes(&plain);
        *bad.last_mut().expect("bytes") = 4;
        assert!(matches!(read(&bad), Err(DecodeError::InvalidBooleanValue(4))));
    }

    #[test]
    fn a_file_to_fetch_is_as_mesos_has_it() {
        let check = |uri: FetchUri, expected: &str| {
            assert_eq!(serde_json::to_string(&uri).expect("JSON"), expected);
            assert_eq!(serde_json::from_str::<FetchUri>(expected).expect(expected), uri);
        };
        check(FetchUri::new("/x.tgz"), r#"{"value":"/x.tgz"}"#);
        let named = FetchUri { extract: false, output_file: Some("y".to_owned()), ..FetchUri::new("/x") };
        check(named, r#"{"value":"/x","extract":false,"output_file":"y"}"#);
        let cached = FetchUri { executable: true, cache: true, ..FetchUri::new("/x") };
        check(cached, r#"{"value":"/x","executable":true,"cache":true}"#);
    }
}
