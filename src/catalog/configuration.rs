//! How jobs are configured: mounts, workspaces of outputs, priority, settings; of a job type, or of a job.
//!
//! What a document leaves out stays open, so that a job's configuration can be laid over its type's.
//!
//! # Source
//! Scale's job configuration of version 7, and which members stand in for others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::model::PRIORITY_DEFAULT;

use super::manifest::Manifest;
use super::shape::{Fault, Members, Misfit, Place, shortened, shown};

/// Versions of the document that are read; all are of the same form.
const VERSIONS: &[&str] = &["2.0", "6", "7"];

/// The least number a document may state. Elsewhere a priority is any number.
const PRIORITY_MIN: u64 = 1;

/// The largest priority there is.
const PRIORITY_MAX: u64 = 0x7fff_ffff;

/// Why a document is no configuration, or none for a job type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ConfigurationError {
    /// A version that is not known.
    #[error("Invalid configuration version: {version}")]
    Version {
        /// What was stated.
        version: String,
    },
    /// A member is unknown or of another form.
    #[error("Invalid configuration: {0}")]
    Shape(#[from] Misfit),
    /// A mount of a directory at a relative path.
    #[error("Host mount {name} must use an absolute host path")]
    HostPath {
        /// Of the mount.
        name: String,
    },
    /// A workspace that is not there.
    #[error("No workspace named '{name}'")]
    UnknownWorkspace {
        /// Of the workspace.
        name: String,
    },
    /// Files without a place to go.
    #[error("Missing workspace for outputs '{}'", list_text(.outputs))]
    NoWorkspace {
        /// Names of the outputs.
        outputs: Vec<String>,
    },
}

/// What is odd about a configuration, and does no harm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigurationWarning {
    #[error("Unknown mount '{0}' ignored")]
    UnknownMount(String),
    #[error("Missing configuration for mount '{0}'")]
    MissingMount(String),
    #[error("Workspace '{0}' is deprecated")]
    DeprecatedWorkspace(String),
    #[error("Unknown setting '{0}' ignored")]
    UnknownSetting(String),
    #[error("Missing configuration for setting '{0}'")]
    MissingSetting(String),
}

impl ConfigurationWarning {
    /// The word by which clients know it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::UnknownMount(_) => "UNKNOWN_MOUNT",
            Self::MissingMount(_) => "MISSING_MOUNT",
            Self::DeprecatedWorkspace(_) => "DEPRECATED_WORKSPACE",
            Self::UnknownSetting(_) => "UNKNOWN_SETTING",
            Self::MissingSetting(_) => "MISSING_SETTING",
        }
    }
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MountSource {
    /// A directory of the node.
    Host { path: String },
    /// A volume of the container engine.
    Volume { driver: String, driver_opts: BTreeMap<String, String> },
}

/// Where the files go that a job leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputWorkspaces {
    /// Empty: none.
    pub(crate) default: String,
    /// By output; these go before the default.
    pub(crate) outputs: BTreeMap<String, String>,
}

/// A configuration as far as it is stated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) mounts: Option<BTreeMap<String, MountSource>>,
    pub(crate) output_workspaces: Option<OutputWorkspaces>,
    pub(crate) priority: Option<i32>,
    pub(crate) settings: Option<BTreeMap<String, String>>,
}

impl Configuration {
    /// What a document may state.
    pub(crate) const MEMBERS: [&str; 5] = ["version", "mounts", "output_workspaces", "priority", "settings"];

    /// Checks a document. `null` states nothing.
    pub(crate) fn read(document: &Value) -> Result<Self, ConfigurationError> {
        if document.is_null() {
            return Ok(Self::default());
        }
        let place = Place::root(document);
        let members = place.object(&[], &Self::MEMBERS)?;
        check_version(&members)?;
        let stated = |name| members.get(name);
        Ok(Self {
            mounts: stated("mounts").map(|place| mounts(&place)).transpose()?,
            output_workspaces: stated("output_workspaces")
                .map(|place| output_workspaces(&place))
                .transpose()?,
            priority: stated("priority").map(|place| priority(&place)).transpose()?,
            settings: stated("settings").map(|place| texts(&place)).transpose()?,
        })
    }

    /// What is stated here, and what `base` states of the rest. Members are taken whole: mounts of both
    /// are not put together.
    #[must_use]
    pub(crate) fn merged_over(&self, base: &Self) -> Self {
        Self {
            mounts: self.mounts.as_ref().or(base.mounts.as_ref()).cloned(),
            output_workspaces: self.output_workspaces.as_ref().or(base.output_workspaces.as_ref()).cloned(),
            priority: self.priority.or(base.priority),
            settings: self.settings.as_ref().or(base.settings.as_ref()).cloned(),
        }
    }

    /// With what `other` states put in, entry by entry: how the configuration of a recipe acts on that
    /// of its jobs. An empty default workspace is none.
    #[must_use]
    pub(crate) fn updated_with(mut self, other: &Self) -> Self {
        update(&mut self.mounts, other.mounts.as_ref());
        update(&mut self.settings, other.settings.as_ref());
        self.priority = other.priority.or(self.priority);
        if let Some(workspaces) = &other.output_workspaces {
            let own = self.output_workspaces.get_or_insert_default();
            own.outputs.extend(workspaces.outputs.clone());
            if !workspaces.default.is_empty() {
                own.default.clone_from(&workspaces.default);
            }
        }
        self
    }

    /// The lower number is the more important.
    pub(crate) fn priority(&self) -> i32 {
        self.priority.unwrap_or(PRIORITY_DEFAULT)
    }

    /// The workspace of an output, if one is stated.
    pub(crate) fn output_workspace(&self, output: &str) -> Option<&str> {
        let workspaces = self.output_workspaces.as_ref()?;
        let stated = workspaces.outputs.get(output).unwrap_or(&workspaces.default);
        Some(stated.as_str()).filter(|name| !name.is_empty())
    }

    /// Takes out the settings that `manifest` calls secret, and returns them: they are neither stored
    /// nor shown.
    pub(crate) fn take_secrets(&mut self, manifest: &Manifest) -> BTreeMap<String, String> {
        let Some(settings) = &mut self.settings else { return BTreeMap::new() };
        let secret = manifest.settings().iter().filter(|setting| setting.is_secret);
        secret.filter_map(|setting| settings.remove_entry(&setting.name)).collect()
    }

    /// Holds it against a manifest and the workspaces there are. `workspace_is_active` knows them all.
    pub(crate) fn check(
        &self,
        manifest: &Manifest,
        workspace_is_active: impl Fn(&str) -> Option<bool>,
    ) -> Result<Vec<ConfigurationWarning>, ConfigurationError> {
        let mut warnings = self.check_mounts(manifest)?;
        warnings.extend(self.check_workspaces(manifest, workspace_is_active)?);
        let stated: BTreeSet<&String> = self.settings.iter().flatten().map(|(name, _)| name).collect();
        let known: BTreeSet<&String> = manifest.settings().iter().map(|setting| &setting.name).collect();
        warnings.extend(less(&stated, &known).map(ConfigurationWarning::UnknownSetting));
        warnings.extend(less(&known, &stated).map(ConfigurationWarning::MissingSetting));
        Ok(warnings)
    }

    fn check_mounts(&self, manifest: &Manifest) -> Result<Vec<ConfigurationWarning>, ConfigurationError> {
        let is_relative = |source: &MountSource| match source {
            MountSource::Host { path } => !path.starts_with('/'),
            MountSource::Volume { .. } => false,
        };
        if let Some((name, _)) = self.mounts.iter().flatten().find(|(_, source)| is_relative(source)) {
            return Err(ConfigurationError::HostPath { name: shortened(name) });
        }
        let stated: BTreeSet<&String> = self.mounts.iter().flatten().map(|(name, _)| name).collect();
        let known: BTreeSet<&String> = manifest.mounts().iter().map(|mount| &mount.name).collect();
        let unknown = less(&stated, &known).map(ConfigurationWarning::UnknownMount);
        Ok(unknown.chain(less(&known, &stated).map(ConfigurationWarning::MissingMount)).collect())
    }

    fn check_workspaces(
        &self,
        manifest: &Manifest,
        workspace_is_active: impl Fn(&str) -> Option<bool>,
    ) -> Result<Vec<ConfigurationWarning>, ConfigurationError> {
        let workspaces = self.output_workspaces.clone().unwrap_or_default();
        let has_default = !workspaces.default.is_empty();
        let mut names: BTreeSet<&String> = workspaces.outputs.values().collect();
        names.extend(has_default.then_some(&workspaces.default));
        let mut warnings = Vec::new();
        for name in names {
            match workspace_is_active(name) {
                None => return Err(ConfigurationError::UnknownWorkspace { name: shortened(name) }),
                Some(false) => warnings.push(ConfigurationWarning::DeprecatedWorkspace(name.clone())),
                Some(true) => {}
            }
        }
        let without = |name: &&String| !has_default && !workspaces.outputs.contains_key(*name);
        let files = manifest.outputs().files.iter().map(|parameter| &parameter.name);
        let outputs: Vec<String> = files.filter(without).cloned().collect();
        if outputs.is_empty() { Ok(warnings) } else { Err(ConfigurationError::NoWorkspace { outputs }) }
    }

    /// The whole document, with what stands for what is not stated.
    pub(crate) fn to_value(&self) -> Value {
        let workspaces = self.output_workspaces.clone().unwrap_or_default();
        let mounts = self.mounts.iter().flatten().map(|(name, source)| (name.clone(), source.to_value()));
        json!({
            "mounts": mounts.collect::<Map<String, Value>>(),
            "priority": self.priority(),
            "output_workspaces": { "default": workspaces.default, "outputs": workspaces.outputs },
            "settings": self.settings.clone().unwrap_or_default(),
        })
    }
}

impl MountSource {
    fn to_value(&self) -> Value {
        match self {
            Self::Host { path } => json!({ "type": "host", "host_path": path }),
            Self::Volume { driver, driver_opts } => {
                json!({ "type": "volume", "driver": driver, "driver_opts": driver_opts })
            }
        }
    }
}

fn update<T: Clone>(own: &mut Option<BTreeMap<String, T>>, other: Option<&BTreeMap<String, T>>) {
    if let Some(other) = other {
        own.get_or_insert_default().extend(other.clone());
    }
}

/// Names in a list, in the words that clients know from Scale.
fn list_text(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("u'{name}'")).collect();
    format!("[{}]", names.join(", "))
}

/// What is among `these` and not among `those`.
fn less<'a>(these: &'a BTreeSet<&String>, those: &'a BTreeSet<&String>) -> impl Iterator<Item = String> + 'a {
    these.difference(those).map(|name| (*name).clone())
}

fn check_version(members: &Members<'_>) -> Result<(), ConfigurationError> {
    match members.get("version") {
        Some(place) if !place.value.as_str().is_some_and(|text| VERSIONS.contains(&text)) => {
            let version = place.value.as_str().map_or_else(|| shown(place.value), shortened);
            Err(ConfigurationError::Version { version })
        }
        _ => Ok(()),
    }
}

fn mounts(place: &Place<'_>) -> Result<BTreeMap<String, MountSource>, Misfit> {
    place.entries()?.into_iter().map(|(name, place)| Ok((name.clone(), mount(&place)?))).collect()
}

fn mount(place: &Place<'_>) -> Result<MountSource, Misfit> {
    match place.value.get("type").and_then(Value::as_str) {
        Some("host") => {
            let members = place.object(&["type", "host_path"], &[])?;
            Ok(MountSource::Host { path: members.need("host_path")?.text()?.to_owned() })
        }
        Some("volume") => {
            let members = place.object(&["type"], &["driver", "driver_opts"])?;
            let driver = members.text("driver")?.unwrap_or_default().to_owned();
            let driver_opts =
                members.get("driver_opts").map_or(Ok(BTreeMap::new()), |place| texts(&place))?;
            Ok(MountSource::Volume { driver, driver_opts })
        }
        _ => Err(place.misfit(Fault::NoForm { found: shown(place.value) })),
    }
}

fn output_workspaces(place: &Place<'_>) -> Result<OutputWorkspaces, Misfit> {
    let members = place.object(&[], &["default", "outputs"])?;
    let default = members.text("default")?.unwrap_or_default().to_owned();
    let outputs = members.get("outputs").map_or(Ok(BTreeMap::new()), |place| texts(&place))?;
    Ok(OutputWorkspaces { default, outputs })
}

fn priority(place: &Place<'_>) -> Result<i32, Misfit> {
    let number = place.integer_within(PRIORITY_MIN, PRIORITY_MAX)?;
    Ok(i32::try_from(number).expect("at most PRIORITY_MAX"))
}

fn texts(place: &Place<'_>) -> Result<BTreeMap<String, String>, Misfit> {
    place.entries()?.into_iter().map(|(name, place)| Ok((name.clone(), place.text()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &Value) -> Configuration {
        Configuration::read(document).unwrap_or_else(|error| panic!("{document}: {error}"))
    }

    fn manifest() -> Manifest {
        let document = json!({
            "seedVersion": "1.0.0",
            "job": {
                "name": "a", "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": "", "description": "",
                "maintainer": { "name": "", "email": "" }, "timeout": 1,
                "interface": {
                    "settings": [{ "name": "URL" }, { "name": "KEY", "secret": true }],
                    "mounts": [{ "name": "M", "path": "/m" }],
                    "outputs": { "files": [{ "name": "O", "pattern": "*" }] },
                },
            },
        });
        Manifest::read(&document).expect("a manifest")
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let check = |given: Value, expected: Value| assert_eq!(read(&given).to_value(), expected, "{given}");
        let empty = json!({
            "mounts": {}, "priority": 100, "output_workspaces": { "default": "", "outputs": {} }, "settings": {},
        });
        for given in [json!(null), json!({}), json!({ "version": "7" }), json!({ "output_workspaces": {} })] {
            check(given, empty.clone());
        }
        let full = json!({
            "mounts": {
                "a": { "type": "host", "host_path": "/a" },
                "b": { "type": "volume", "driver": "d", "driver_opts": { "x": "y" } },
            },
            "priority": 50,
            "output_workspaces": { "default": "w", "outputs": { "o": "v" } },
            "settings": { "s": "t" },
        });
        check(full.clone(), full);
        let volume = read(&json!({ "mounts": { "b": { "type": "volume" } } })).to_value();
        let expected = json!({ "type": "volume", "driver": "", "driver_opts": {} });
        assert_eq!(volume.pointer("/mounts/b"), Some(&expected));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_clients_know() {
        let check = |given: Value, text: &str| {
            let error = Configuration::read(&given).expect_err(&given.to_string());
            assert!(error.to_string().starts_with(text), "{given}: {error}");
        };
        check(json!({ "priority": 0 }), "Invalid configuration: 0 is less than the minimum of 1");
        check(json!({ "priority": -3 }), "Invalid configuration: -3 is less than the minimum of 1");
        check(json!({ "priority": "x" }), "Invalid configuration: 'x' is not of type 'integer'");
        check(json!({ "priority": 2.5 }), "Invalid configuration: 2.5 is not of type 'integer'");
        check(json!({ "priority": true }), "Invalid configuration: true is not of type 'integer'");
        check(json!({ "priority": 1_u64 << 31 }), "Invalid configuration: 2147483648 is greater than");
        check(json!({ "more": 1 }), "Invalid configuration: Additional properties are not allowed ('more'");
        check(json!({ "version": "1.0" }), "Invalid configuration version: 1.0");
        check(json!({ "settings": { "a": 1 } }), "Invalid configuration: 1 is not of type 'string'");
        check(json!({ "settings": [] }), "Invalid configuration: [] is not of type 'object'");
        check(
            json!({ "mounts": { "a": { "type": "x" } } }),
            "Invalid configuration: {\"type\":\"x\"} is not valid",
        );
        check(
            json!({ "mounts": { "a": { "type": "host" } } }),
            "Invalid configuration: 'host_path' is a required",
        );
        check(json!({ "output_workspaces": { "x": "" } }), "Invalid configuration: Additional properties");
        check(json!([]), "Invalid configuration: [] is not of type 'object'");
    }

    #[test]
    fn a_job_states_what_its_type_leaves_open_and_takes_the_rest() {
        let of_type = read(
            &json!({ "priority": 7, "settings": { "a": "1" }, "output_workspaces": { "default": "w" } }),
        );
        let of_job = read(&json!({ "settings": { "b": "2" } }));
        let merged = of_job.merged_over(&of_type);
        assert_eq!((merged.priority(), merged.output_workspace("o")), (7, Some("w")));
        assert_eq!(merged.settings, of_job.settings);
        assert_eq!(read(&json!({ "priority": 9 })).merged_over(&of_type).priority(), 9);
        assert_eq!(Configuration::default().merged_over(&Configuration::default()).priority(), 100);
    }

    #[test]
    fn the_configuration_of_a_recipe_goes_entry_by_entry() {
        let of_job = read(&json!({
            "priority": 7, "settings": { "a": "1", "b": "1" },
            "output_workspaces": { "default": "w", "outputs": { "o": "v" } },
        }));
        let of_recipe =
            read(&json!({ "settings": { "b": "2" }, "output_workspaces": { "outputs": { "p": "x" } } }));
        let expected = json!({
            "mounts": {}, "priority": 7, "settings": { "a": "1", "b": "2" },
            "output_workspaces": { "default": "w", "outputs": { "o": "v", "p": "x" } },
        });
        assert_eq!(of_job.clone().updated_with(&of_recipe).to_value(), expected);
        assert_eq!(of_job.updated_with(&read(&json!({ "priority": 3 }))).priority(), 3);
    }

    #[test]
    fn secret_settings_are_taken_out() {
        let mut configuration = read(&json!({ "settings": { "URL": "u", "KEY": "k" } }));
        let secrets = configuration.take_secrets(&manifest());
        assert_eq!(secrets.into_iter().collect::<Vec<_>>(), [("KEY".to_owned(), "k".to_owned())]);
        assert_eq!(configuration.to_value().pointer("/settings"), Some(&json!({ "URL": "u" })));
    }

    #[test]
    fn it_is_held_against_the_manifest_and_the_workspaces() {
        let workspaces = |name: &str| match name {
            "w" => Some(true),
            "old" => Some(false),
            _ => None,
        };
        let check = |given: Value| read(&given).check(&manifest(), workspaces);
        let refused = |given: Value, text: &str| assert_eq!(check(given).expect_err(text).to_string(), text);
        refused(json!({}), "Missing workspace for outputs '[u'O']'");
        refused(json!({ "output_workspaces": { "default": "x" } }), "No workspace named 'x'");
        let mount = json!({ "M": { "type": "host", "host_path": "m" } });
        refused(json!({ "mounts": mount }), "Host mount M must use an absolute host path");
        let odd = json!({
            "output_workspaces": { "outputs": { "O": "old" } },
            "settings": { "X": "" },
            "mounts": { "N": { "type": "volume" } },
        });
        let names: Vec<&str> = check(odd).expect("odd only").iter().map(ConfigurationWarning::name).collect();
        let expected = [
            "UNKNOWN_MOUNT",
            "MISSING_MOUNT",
            "DEPRECATED_WORKSPACE",
            "UNKNOWN_SETTING",
            "MISSING_SETTING",
            "MISSING_SETTING",
        ];
        assert_eq!(names, expected);
    }
}
