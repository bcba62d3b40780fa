//! Seed manifests of version 1.0.0: what a job type states of itself, checked once, when it is made.
//!
//! M1  What a manifest answers as its document reads to an equal manifest.
//! M2  No two values that a job finds in its environment have one name there.
//!
//! # Source
//! Seed 1.0.0, and what Scale requires and fills in. A pre-release version of a job type, a negative
//! amount and two outputs of one name are refused here.

mod defaults;
mod interface;
mod resources;
mod version;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::{Interface, NodeResources, Quantity};

use super::shape::{Fault, Members, Misfit, Place, shown};
use interface::Stated;
pub(crate) use interface::{MountPoint, Setting};
use resources::Declared;
use version::SemanticVersion;

/// The version of Seed that is read.
const SEED_VERSION: &str = "1.0.0";

/// What the name of a parameter, setting, mount, resource or error looks like, for people.
const NAME_PATTERN: &str = "^[a-zA-Z0-9_-]+$";

/// What the name of a job type looks like, for people.
const JOB_NAME_PATTERN: &str = "^[a-zA-Z0-9-]{1,50}$";

/// Bytes of the name and of the version of a job type: as many as Scale stores.
pub(crate) const JOB_NAME_BYTES_MAX: usize = 50;

/// Seconds of a timeout: as many as fit what Scale stores them in.
const TIMEOUT_S_MAX: u32 = 2_147_483_647;

/// The variable that names the directory of outputs; no parameter may take its name.
pub(crate) const OUTPUT_DIR: &str = "OUTPUT_DIR";

/// Why a document is no manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ManifestError {
    /// A member is missing, unknown or of another form.
    #[error("Error validating against schema: {0}")]
    Shape(#[from] Misfit),
    /// A part of a graphics processor.
    #[error("Error validating against schema: gpu resource not set to whole number")]
    GpusNotWhole,
    /// A version before a version.
    #[error("Version '{version}' is a pre-release; a job type has a version such as 1.0.0")]
    PreRelease {
        /// Of the job.
        version: String,
    },
    /// Two values of a job's environment, or one and a reserved word.
    #[error("Collisions are not allowed between reserved keywords, resources, settingsand input names.")]
    NameCollision {
        /// As it stands in the environment.
        name: String,
    },
    /// Two outputs.
    #[error("Duplicate parameter '{name}'")]
    DuplicateOutput {
        /// Of both.
        name: String,
    },
    /// Two mounts.
    #[error("Mount names must be unique.")]
    DuplicateMount {
        /// Of both.
        name: String,
    },
    /// Two errors.
    #[error("Error names must be unique.")]
    DuplicateError {
        /// Of both.
        name: String,
    },
    /// A mount at a relative path.
    #[error("{name} mount must have an absolute path")]
    MountPath {
        /// Of the mount.
        name: String,
    },
    /// More than a set of resources holds.
    #[error("More than {} resources", crate::model::RESOURCES_MAX)]
    TooManyResources,
}

/// What an exit code means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeclaredError {
    pub(crate) code: i64,
    /// Unique in the manifest.
    pub(crate) name: String,
    /// For people.
    pub(crate) title: String,
    /// For people.
    pub(crate) description: String,
    /// The input is at fault, not the command.
    pub(crate) is_of_data: bool,
}

/// A checked manifest, and the document it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    document: Value,
    name: String,
    version: String,
    version_numbers: [u64; 3],
    package_version: String,
    title: String,
    description: String,
    timeout_s: u32,
    interface: Stated,
    resources: Vec<Declared>,
    errors: Vec<DeclaredError>,
}

impl Manifest {
    /// Checks a document and keeps what it says.
    pub(crate) fn read(document: &Value) -> Result<Self, ManifestError> {
        let root = Place::root(document).object(&["seedVersion", "job"], &[])?;
        root.need("seedVersion")?.matching("^1\\.0\\.0$", |text| text == SEED_VERSION)?;
        let job = job_members(&root.need("job")?)?;
        let (version, numbers) = job_version(&job)?;
        let manifest = Self {
            name: job.need("name")?.matching(JOB_NAME_PATTERN, is_job_name)?.to_owned(),
            version,
            version_numbers: numbers,
            package_version: job.need("packageVersion")?.matching(version::PATTERN, is_version)?.to_owned(),
            title: job.need("title")?.text()?.to_owned(),
            description: job.need("description")?.text()?.to_owned(),
            timeout_s: timeout_s(&job)?,
            interface: job.get("interface").map_or(Ok(Stated::default()), |place| Stated::read(&place))?,
            resources: resources(&job)?,
            errors: errors(&job)?,
            document: defaults::filled(document.clone()),
        };
        check_maintainer(&job.need("maintainer")?)?;
        job.texts("tags")?;
        manifest.check_names()?;
        Ok(manifest)
    }

    /// Unique together with the version. The word `validation` is left to the address of that name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Of the job.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Major, minor and patch of the version, by which versions are ordered.
    pub(crate) fn version_numbers(&self) -> [u64; 3] {
        self.version_numbers
    }

    pub(crate) fn package_version(&self) -> &str {
        &self.package_version
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    /// Seconds an execution may take.
    pub(crate) fn timeout_s(&self) -> u32 {
        self.timeout_s
    }

    /// What a job is given.
    pub(crate) fn inputs(&self) -> &Interface {
        &self.interface.inputs
    }

    /// What a job leaves.
    pub(crate) fn outputs(&self) -> &Interface {
        &self.interface.outputs
    }

    /// What runs, with `${NAME}` for values of the environment.
    pub(crate) fn command(&self) -> Option<&str> {
        self.interface.command.as_deref()
    }

    /// What a configuration gives beside the input.
    pub(crate) fn settings(&self) -> &[Setting] {
        &self.interface.settings
    }

    /// What exit codes mean.
    pub(crate) fn errors(&self) -> &[DeclaredError] {
        &self.errors
    }

    /// Where a configuration puts directories and volumes.
    pub(crate) fn mounts(&self) -> &[MountPoint] {
        &self.interface.mounts
    }

    /// What an execution with that much input (MiB, zero where it is not known) asks of its node:
    /// cpus, mem, disk, and what else is declared but shared memory.
    pub(crate) fn resources(&self, input_mib: Quantity) -> NodeResources {
        resources::of_entry(&self.resources, input_mib)
    }

    /// What the type itself asks for: cpus, mem, disk, sharedmem, and what else is declared.
    pub(crate) fn type_resources(&self) -> NodeResources {
        resources::of_type(&self.resources)
    }

    /// The normalised document: as it was given, with what the reader assumes filled in.
    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// The normalised document, to keep.
    pub(crate) fn to_value(&self) -> Value {
        self.document.clone()
    }

    fn check_names(&self) -> Result<(), ManifestError> {
        let Stated { inputs, outputs, mounts, settings, .. } = &self.interface;
        let settings = settings.iter().map(|setting| environment_name(&setting.name));
        let resources = self.resources.iter().map(|it| environment_name(&format!("ALLOCATED_{}", it.name())));
        let taken = settings.chain(parameter_names(inputs).map(environment_name)).chain(resources);
        if let Some(name) = first_twice(std::iter::once(OUTPUT_DIR.to_owned()).chain(taken)) {
            return Err(ManifestError::NameCollision { name });
        }
        if let Some(name) = first_twice(parameter_names(outputs)) {
            return Err(ManifestError::DuplicateOutput { name: name.to_owned() });
        }
        match first_twice(mounts.iter().map(|mount| &mount.name)) {
            Some(name) => Err(ManifestError::DuplicateMount { name: name.clone() }),
            None => Ok(()),
        }
    }
}

/// What a version is ordered by: its major, minor and patch number. A text that is no version comes first.
pub(crate) fn version_numbers(text: &str) -> [u64; 3] {
    SemanticVersion::read(text).map_or([0; 3], |version| version.numbers)
}

/// The variable that a value of that name is in a job's environment.
pub(crate) fn environment_name(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

fn parameter_names(interface: &Interface) -> impl Iterator<Item = &str> {
    let json = interface.json.iter().map(|parameter| parameter.name.as_str());
    interface.files.iter().map(|parameter| parameter.name.as_str()).chain(json)
}

fn first_twice<T: Ord + Clone>(names: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(name.clone()))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_job_name(text: &str) -> bool {
    is_name(text) && !text.contains('_') && text.len() <= JOB_NAME_BYTES_MAX
}

fn is_version(text: &str) -> bool {
    text.len() <= JOB_NAME_BYTES_MAX && SemanticVersion::read(text).is_some()
}

fn job_members<'a>(place: &Place<'a>) -> Result<Members<'a>, Misfit> {
    let required = ["name", "jobVersion", "packageVersion", "title", "description", "maintainer", "timeout"];
    place.object(&required, &["tags", "resources", "interface", "errors"])
}

fn job_version(job: &Members<'_>) -> Result<(String, [u64; 3]), ManifestError> {
    let place = job.need("jobVersion")?;
    let text = place.matching(version::PATTERN, is_version)?.to_owned();
    let misfit = || place.misfit(Fault::Pattern { found: shown(place.value), pattern: version::PATTERN });
    let version = SemanticVersion::read(&text).ok_or_else(misfit)?;
    if version.is_pre_release {
        return Err(ManifestError::PreRelease { version: text });
    }
    Ok((text, version.numbers))
}

fn timeout_s(job: &Members<'_>) -> Result<u32, Misfit> {
    let seconds = job.need("timeout")?.integer_within(0, u64::from(TIMEOUT_S_MAX))?;
    Ok(u32::try_from(seconds).expect("at most TIMEOUT_S_MAX"))
}

fn resources(job: &Members<'_>) -> Result<Vec<Declared>, ManifestError> {
    let Some(place) = job.get("resources") else { return Ok(Vec::new()) };
    let scalar = place.object(&["scalar"], &[])?.items("scalar")?;
    let declared: Vec<Declared> = scalar.iter().map(Declared::read).collect::<Result<_, _>>()?;
    if resources::fit(&declared) { Ok(declared) } else { Err(ManifestError::TooManyResources) }
}

fn check_maintainer(place: &Place<'_>) -> Result<(), Misfit> {
    let members = place.object(&["name", "email"], &["organization", "url", "phone"])?;
    ["name", "email", "organization", "url", "phone"]
        .into_iter()
        .try_for_each(|name| members.text(name).map(drop))
}

fn errors(job: &Members<'_>) -> Result<Vec<DeclaredError>, ManifestError> {
    let errors: Vec<DeclaredError> = job.items("errors")?.iter().map(error).collect::<Result<_, _>>()?;
    match first_twice(errors.iter().map(|error| &error.name)) {
        Some(name) => Err(ManifestError::DuplicateError { name: name.clone() }),
        None => Ok(errors),
    }
}

fn error(place: &Place<'_>) -> Result<DeclaredError, Misfit> {
    let members = place.object(&["code", "name"], &["title", "description", "category"])?;
    // A code that no process can end with stands for nothing.
    let code = members.need("code")?.integer()?.as_i64().unwrap_or(i64::MAX);
    let name = interface::name(&members)?;
    let category = members.get("category").map(|place| place.choice(&["job", "data"])).transpose()?;
    Ok(DeclaredError {
        code,
        title: members.text("title")?.unwrap_or(&name).to_owned(),
        description: members.text("description")?.unwrap_or_default().to_owned(),
        is_of_data: category == Some("data"),
        name,
    })
}
