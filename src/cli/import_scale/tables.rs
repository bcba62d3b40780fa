//! What is taken of each table of Scale, row by row.

use serde_json::Value;

use super::rows::{Row, Wrong};
use crate::catalog::configuration::Configuration;
use crate::catalog::manifest::Manifest;
use crate::limits::TAKEN_OVER_BYTES_MAX;
use crate::model::{ID_MAX, JobStatus, NodeResources, Timestamp};

/// A table of Scale that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Table {
    Workspace,
    Node,
    Error,
    JobType,
    JobTypeRev,
    Queue,
    Job,
    JobLoad,
}

impl Table {
    /// All of them, in the order in which they are read.
    pub(super) const ALL: [Self; 8] = [
        Self::Workspace,
        Self::Node,
        Self::Error,
        Self::JobType,
        Self::JobTypeRev,
        Self::Queue,
        Self::Job,
        Self::JobLoad,
    ];

    /// Its name in Scale's database.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Node => "node",
            Self::Error => "error",
            Self::JobType => "job_type",
            Self::JobTypeRev => "job_type_rev",
            Self::Queue => "queue",
            Self::Job => "job",
            Self::JobLoad => "job_load",
        }
    }

    /// Columns without which nothing can be made of a row.
    pub(super) const fn needed(self) -> &'static [&'static str] {
        match self {
            Self::Workspace | Self::Error => &["id", "name"],
            Self::Node => &["id", "hostname"],
            Self::JobType => &["id", "name", "version", "manifest"],
            Self::JobTypeRev => &["id", "job_type_id", "revision_num", "manifest"],
            Self::Queue => &["id", "job_id", "priority", "queued"],
            Self::Job => &["id", "job_type_id", "status"],
            Self::JobLoad => &["job_type_id", "measured", "pending_count", "queued_count", "running_count"],
        }
    }
}

/// A revision of a job type.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    pub(super) id: i64,
    pub(super) job_type: i64,
    pub(super) number: u32,
    pub(super) manifest: Manifest,
    pub(super) docker_image: String,
}

/// A job type; none of its parts but the name where it is one of the system's own.
#[expect(clippy::struct_excessive_bools, reason = "columns of the table")]
#[derive(Clone, Debug)]
pub(super) struct JobTypeRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) newest: Option<(Revision, Configuration)>,
    pub(super) is_active: bool,
    pub(super) is_paused: bool,
    pub(super) is_published: bool,
    pub(super) is_long_running: bool,
    pub(super) max_scheduled: Option<u32>,
    pub(super) max_tries: Option<u16>,
    pub(super) icon_code: Option<String>,
}

fn manifest(row: &Row<'_>) -> Result<Manifest, Wrong> {
    Manifest::read(&row.json("manifest")?).map_err(|error| Wrong::at("manifest", error.to_string()))
}

/// An id that leaves room for ours to be made of it.
fn id(row: &Row<'_>, column: &'static str) -> Result<i64, Wrong> {
    let id = row.id::<i64>(column)?;
    let is_id = u64::try_from(id).is_ok_and(|id| (1..ID_MAX / 2).contains(&id));
    if is_id { Ok(id) } else { Err(Wrong::at(column, format!("{id} is no id"))) }
}

impl JobTypeRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, Wrong> {
        let (type_id, is_system) = (id(row, "id")?, row.flag("is_system")?);
        let newest = if is_system {
            None
        } else {
            let configuration = Configuration::read(&row.json("configuration")?);
            let configuration =
                configuration.map_err(|error| Wrong::at("configuration", error.to_string()))?;
            let revision = Revision {
                id: 0,
                job_type: type_id,
                number: row.number("revision_num")?.unwrap_or(1),
                manifest: manifest(row)?,
                docker_image: row.text("docker_image")?,
            };
            Some((revision, configuration))
        };
        let (name, version) = (row.name("name")?, row.text("version")?);
        if let Some((of, _)) = &newest
            && (of.manifest.name(), of.manifest.version()) != (&name, &version)
        {
            let of = (of.manifest.name(), of.manifest.version());
            return Err(Wrong::at(
                "manifest",
                format!("it is of {} {}, not of {name} {version}", of.0, of.1),
            ));
        }
        Ok(Self {
            id: type_id,
            name,
            version,
            newest,
            is_active: !row.has("is_active") || row.flag("is_active")?,
            is_paused: row.flag("is_paused")?,
            is_published: row.flag("is_published")?,
            is_long_running: row.flag("is_long_running")?,
            max_scheduled: row.number("max_scheduled")?,
            max_tries: row.number("max_tries")?,
            icon_code: Some(row.text("icon_code")?).filter(|code| !code.is_empty()),
        })
    }
}

impl Revision {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, Wrong> {
        Ok(Self {
            id: id(row, "id")?,
            job_type: id(row, "job_type_id")?,
            number: row.id("revision_num")?,
            manifest: manifest(row)?,
            docker_image: row.text("docker_image")?,
        })
    }
}

/// A live entry of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) job: i64,
    pub(super) id: i64,
    pub(super) queued: Timestamp,
    pub(super) priority: i32,
    pub(super) exe_num: u32,
    /// Its place among the different resources, and 1; 0: none are stated.
    pub(super) resources: u32,
    /// Its job was found.
    pub(super) is_found: bool,
}

impl Entry {
    /// An entry, and what it asks for; nothing for a canceled one.
    pub(super) fn read(row: &Row<'_>) -> Result<Option<(Self, Option<NodeResources>)>, Wrong> {
        let queued = row.time("queued")?.ok_or_else(|| Wrong::at("queued", "it is missing"))?;
        let entry = Self {
            job: id(row, "job_id")?,
            id: id(row, "id")?,
            queued,
            priority: row.id("priority")?,
            exe_num: row.number("exe_num")?.unwrap_or(1).max(1),
            resources: 0,
            is_found: false,
        };
        let resources = resources(&row.json("resources")?)?;
        Ok((!row.flag("is_canceled")?).then_some((entry, resources)))
    }
}

/// `{"version": "1.0", "resources": {NAME: AMOUNT}}`.
fn resources(document: &Value) -> Result<Option<NodeResources>, Wrong> {
    let wrong = |reason: String| Wrong::at("resources", reason);
    let Some(members) = document.get("resources").filter(|members| !members.is_null()) else {
        return Ok(None);
    };
    let members = members.as_object().ok_or_else(|| wrong("its member resources is no object".to_owned()))?;
    let mut all = NodeResources::new();
    for (name, amount) in members {
        let name = name.to_lowercase();
        // A setting of Docker, nothing that a node has.
        if name == "sharedmem" {
            continue;
        }
        let amount = amount.as_number().ok_or_else(|| wrong(format!("{name} is no number")))?;
        let amount = amount.to_string().parse().map_err(|error| wrong(format!("{name}: {error}")))?;
        all = all.with(&name, amount).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(Some(all))
}

/// A job.
#[derive(Clone, Debug)]
pub(super) struct JobRow {
    pub(super) id: i64,
    pub(super) job_type: i64,
    pub(super) revision: Option<i64>,
    pub(super) error: Option<i64>,
    pub(super) status: JobStatus,
    pub(super) num_exes: u32,
    pub(super) max_tries: Option<u16>,
    /// Of the job itself.
    pub(super) priority: Option<i32>,
    pub(super) input: Value,
    pub(super) configuration: Value,
    pub(super) input_mib: Option<u64>,
    pub(super) created: Option<Timestamp>,
    pub(super) queued: Option<Timestamp>,
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    pub(super) changed: Option<Timestamp>,
    pub(super) superseded: Option<Timestamp>,
}

impl JobRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, Wrong> {
        let status = row.name("status")?;
        let known = JobStatus::ALL.into_iter().find(|known| known.as_str() == status);
        let status = known.ok_or_else(|| Wrong::at("status", format!("{status:?} is no status")))?;
        let configuration = row.json("configuration")?;
        let own = Configuration::read(&configuration);
        own.map_err(|error| Wrong::at("configuration", error.to_string()))?;
        let priority = configuration.get("priority").and_then(Value::as_i64);
        let changed = row.time("last_status_change")?;
        let superseded =
            row.time("superseded")?.or(changed).filter(|_| row.flag("is_superseded") == Ok(true));
        row.flag("is_superseded")?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cast saturates")]
        let input_mib = row.fraction("input_file_size")?.map(|mib| mib.ceil() as u64);
        // Values are made of the input, so it counts twice.
        let input = row.json("input")?;
        let bytes = 2 * input.to_string().len() + configuration.to_string().len();
        if bytes > TAKEN_OVER_BYTES_MAX {
            let most = TAKEN_OVER_BYTES_MAX >> 10;
            return Err(Wrong::at(
                "input",
                format!("with the configuration it is longer than is kept, {most} KiB"),
            ));
        }
        Ok(Self {
            id: id(row, "id")?,
            job_type: id(row, "job_type_id")?,
            revision: row.number("job_type_rev_id")?,
            error: row.number("error_id")?,
            status,
            num_exes: row.number("num_exes")?.unwrap_or(0),
            max_tries: row.number("max_tries")?,
            priority: priority.and_then(|priority| priority.try_into().ok()),
            input,
            configuration,
            input_mib,
            created: row.time("created")?,
            queued: row.time("queued")?,
            started: row.time("started")?,
            ended: row.time("ended")?,
            changed,
            superseded,
        })
    }
}
