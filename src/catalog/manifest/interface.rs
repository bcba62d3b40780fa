//! What the interface of a manifest states: command, inputs, outputs, mounts, settings.

use crate::catalog::shape::{Members, Misfit, Place};
use crate::model::{FileParameter, Interface, JsonParameter, JsonType};

use super::{ManifestError, NAME_PATTERN, is_name};

/// The media type of an output that states none.
pub(super) const MEDIA_TYPE_DEFAULT: &str = "application/octet-stream";

const JSON_TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];

/// A value that a configuration gives a job beside its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// Never stored nor shown.
    pub(crate) is_secret: bool,
}

/// A place in the container where a configuration puts a directory or volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountPoint {
    pub(crate) name: String,
    /// Absolute.
    pub(crate) path: String,
    pub(crate) is_writable: bool,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stated {
    pub(super) command: Option<String>,
    pub(super) inputs: Interface,
    pub(super) outputs: Interface,
    pub(super) mounts: Vec<MountPoint>,
    pub(super) settings: Vec<Setting>,
}

impl Stated {
    pub(super) fn read(place: &Place<'_>) -> Result<Self, ManifestError> {
        let members = place.object(&[], &["command", "inputs", "outputs", "mounts", "settings"])?;
        let sides = |name, file: fn(&Place<'_>) -> _, json: fn(&Place<'_>) -> _| {
            members.get(name).map_or(Ok(Interface::default()), |place| parameters(&place, file, json))
        };
        Ok(Self {
            command: members.text("command")?.map(str::to_owned),
            inputs: sides("inputs", input_file, input_json)?,
            outputs: sides("outputs", output_file, output_json)?,
            mounts: members.items("mounts")?.iter().map(mount).collect::<Result<_, _>>()?,
            settings: members.items("settings")?.iter().map(setting).collect::<Result<_, _>>()?,
        })
    }
}

fn parameters(
    place: &Place<'_>,
    file: fn(&Place<'_>) -> Result<FileParameter, Misfit>,
    json: fn(&Place<'_>) -> Result<JsonParameter, Misfit>,
) -> Result<Interface, Misfit> {
    let members = place.object(&[], &["files", "json"])?;
    Ok(Interface {
        files: members.items("files")?.iter().map(file).collect::<Result<_, _>>()?,
        json: members.items("json")?.iter().map(json).collect::<Result<_, _>>()?,
    })
}

/// The name of whatever `members` describe.
pub(super) fn name(members: &Members<'_>) -> Result<String, Misfit> {
    members.need("name")?.matching(NAME_PATTERN, is_name).map(str::to_owned)
}

fn input_file(place: &Place<'_>) -> Result<FileParameter, Misfit> {
    let members = place.object(&["name"], &["required", "mediaTypes", "multiple", "partial"])?;
    members.boolean("partial", false)?;
    let mut parameter = FileParameter::new(name(&members)?);
    parameter.media_types = members.texts("mediaTypes")?;
    parameter.is_required = members.boolean("required", true)?;
    parameter.is_multiple = members.boolean("multiple", false)?;
    Ok(parameter)
}

fn output_file(place: &Place<'_>) -> Result<FileParameter, Misfit> {
    let members = place.object(&["name", "pattern"], &["mediaType", "multiple", "required"])?;
    let pattern = members.need("pattern")?.text()?.to_owned();
    let mut parameter = FileParameter::new(name(&members)?);
    parameter.media_types = vec![members.text("mediaType")?.unwrap_or(MEDIA_TYPE_DEFAULT).to_owned()];
    parameter.is_required = members.boolean("required", true)?;
    parameter.is_multiple = members.boolean("multiple", false)?;
    parameter.pattern = Some(pattern);
    Ok(parameter)
}

fn input_json(place: &Place<'_>) -> Result<JsonParameter, Misfit> {
    json(&place.object(&["name", "type"], &["required"])?)
}

fn output_json(place: &Place<'_>) -> Result<JsonParameter, Misfit> {
    let members = place.object(&["name", "type"], &["key", "required"])?;
    let key = members.text("key")?.map(str::to_owned);
    Ok(JsonParameter { key, ..json(&members)? })
}

fn json(members: &Members<'_>) -> Result<JsonParameter, Misfit> {
    let word = members.need("type")?.choice(JSON_TYPES)?;
    let json_type = JsonType::of(word).expect("JSON_TYPES lists the words of types");
    let mut parameter = JsonParameter::new(name(members)?, json_type);
    parameter.is_required = members.boolean("required", true)?;
    Ok(parameter)
}

fn mount(place: &Place<'_>) -> Result<MountPoint, ManifestError> {
    let members = place.object(&["name", "path"], &["mode"])?;
    let mode = members.get("mode").map_or(Ok("ro"), |mode| mode.choice(&["ro", "rw"]))?;
    let path = members.need("path")?.text()?.to_owned();
    let mount = MountPoint { name: name(&members)?, path, is_writable: mode == "rw" };
    if mount.path.starts_with('/') { Ok(mount) } else { Err(ManifestError::MountPath { name: mount.name }) }
}

fn setting(place: &Place<'_>) -> Result<Setting, Misfit> {
    let members = place.object(&["name"], &["secret"])?;
    Ok(Setting { name: name(&members)?, is_secret: members.boolean("secret", false)? })
}
