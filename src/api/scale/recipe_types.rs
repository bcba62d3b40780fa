//! Recipe types: made and changed from definitions, listed, looked at.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{HeaderValue, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use crate::api::body;
use crate::api::definitions::Types;
use crate::api::errors::{ScaleError, scale_unsettled};
use crate::api::limits::CATALOG_BODY_BYTES_MAX;
use crate::api::members::{self, Members};
use crate::api::paging::{Envelope, page};
use crate::api::query::{Address, Params, path_id};
use crate::api::state::ApiState;
use crate::api::views::scale::{
    RecipeTypeBase, RecipeTypeFull, RecipeTypeLine, RecipeTypeRevisionLine, RecipeTypeRow, definition,
    document, sub_recipes, with_job_type, with_sub_recipe,
};
use crate::engine::{CatalogError, CatalogView, NewRecipeType, RecipeTypeChange, View};
use crate::model::{RecipeType, RecipeTypeId, RecipeTypeRevision};
use crate::recipe::{Definition, DefinitionError, diff_to_value};

/// The name that an address has taken.
const RESERVED: &str = "validation";

/// Characters of a name: as many as Scale takes of a title.
const NAME_CHARS_MAX: usize = 30;

/// Characters of a title and of a description: as many as Scale stores.
const TITLE_CHARS_MAX: usize = 50;
const DESCRIPTION_CHARS_MAX: usize = 500;

/// The name of a recipe type of that title: small letters, digits and hyphens, letters without their accents.
pub(super) fn name_of(title: &str) -> String {
    let kept = |c: &char| c.is_ascii_alphanumeric() || *c == '_' || *c == '-' || c.is_ascii_whitespace();
    let plain: String = title.nfkd().filter(kept).collect();
    let mut name = String::new();
    for c in plain.trim().chars() {
        let is_gap = c == '-' || c.is_ascii_whitespace();
        match c {
            _ if is_gap && name.ends_with('-') => {}
            _ if is_gap => name.push('-'),
            c => name.push(c.to_ascii_lowercase()),
        }
    }
    name.replace('_', "-").chars().take(NAME_CHARS_MAX).collect()
}

fn text(members: &Members, name: &'static str, max: usize) -> Result<Option<String>, ScaleError> {
    let text = members::text(members, name)?;
    if text.is_some_and(|text| text.chars().count() > max) {
        return Err(ScaleError::Bad(format!("Parameter must have at most {max} characters: \"{name}\"")));
    }
    Ok(text.map(str::to_owned))
}

/// A sub-recipe of a definition, near or far, that is the recipe type itself.
fn check_recursion(name: &str, definition: &Value, catalog: &CatalogView) -> Result<(), String> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut stack: Vec<(String, Value)> = vec![(name.to_owned(), definition.clone())];
    while let Some((within, definition)) = stack.pop() {
        for sub in sub_recipes(&definition) {
            if sub == name {
                return Err(format!(
                    "Recipe type {name} contains sub-recipes of itself. Found within recipe type {within}."
                ));
            }
            if seen.insert(sub.to_owned())
                && let Some(kind) = catalog.recipe_type_named(sub)
            {
                stack.push((sub.to_owned(), document(self::definition(kind, catalog))));
            }
        }
    }
    Ok(())
}

fn read_definition(members: &Members, view: &View) -> Result<Option<Value>, ScaleError> {
    let Some(stated) = members::dictionary(members, "definition")? else { return Ok(None) };
    let definition = Definition::read(&Value::Object(stated.clone()), &Types::new(view));
    definition.map(|it| Some(it.to_value())).map_err(|error| ScaleError::Bad(error.to_string()))
}

fn refused(error: &CatalogError) -> ScaleError {
    match error {
        CatalogError::Unknown { .. } => ScaleError::NotFound,
        CatalogError::Exists { name, .. } => exists(name),
        error => ScaleError::Bad(error.to_string()),
    }
}

fn exists(name: &str) -> ScaleError {
    ScaleError::Bad(format!(
        "Existing recipe types found for {name} - will not re-create. Please change the title or patch the existing \
         recipe type."
    ))
}

/// `POST recipe-types/`.
pub(in crate::api) async fn create(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ScaleError> {
    let members = members::object_with_members(&body::bytes(&headers, body, CATALOG_BODY_BYTES_MAX).await?)?;
    let members = members::with_params(members, &params);
    let title = members::required(text(&members, "title", TITLE_CHARS_MAX)?, "title")?;
    let description = text(&members, "description", DESCRIPTION_CHARS_MAX)?.unwrap_or_default();
    members::required(members::dictionary(&members, "definition")?, "definition")?;
    let name = name_of(&title);
    if name == RESERVED || name.is_empty() {
        return Err(ScaleError::Bad(format!("Unable to create recipe type named \"{name}\"")));
    }
    let view = api.newest_view().await;
    if view.catalog.recipe_type_named(&name).is_some() {
        return Err(exists(&name));
    }
    let definition = read_definition(&members, &view)?.unwrap_or_default().to_string().into();
    let new = NewRecipeType { name: name.clone(), title, description, definition };
    let settled = api.write(|engine| engine.create_recipe_type(new)).await;
    let (id, _) = settled.map_err(|error| scale_unsettled(error, refused))?;
    let view = api.view().await;
    let kind = view.catalog.recipe_type(id).ok_or(ScaleError::NotFound)?;
    let mut response = (StatusCode::CREATED, Json(RecipeTypeFull::new(kind, &view))).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("{}{name}/", address.url())) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// The recipe type of a name.
fn find<'v>(view: &'v View, name: &str) -> Result<&'v RecipeType, ScaleError> {
    view.catalog.recipe_type_named(name).ok_or(ScaleError::NotFound)
}

/// `PATCH recipe-types/{name}/`.
pub(in crate::api) async fn change(
    State(api): State<ApiState>,
    Path(name): Path<String>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ScaleError> {
    let members = members::object(&body::bytes(&headers, body, CATALOG_BODY_BYTES_MAX).await?)?;
    let members = members::with_params(members, &params);
    let stated = members::dictionary(&members, "definition")?.filter(|stated| !stated.is_empty());
    let auto_update = members::boolean(&members, "auto_update")?.unwrap_or(true);
    let mut change = RecipeTypeChange {
        title: text(&members, "title", TITLE_CHARS_MAX)?,
        description: text(&members, "description", DESCRIPTION_CHARS_MAX)?,
        is_active: members::boolean(&members, "is_active")?,
        ..RecipeTypeChange::default()
    };
    let view = api.newest_view().await;
    let id = find(&view, &name)?.id;
    if stated.is_some()
        && let Some(definition) = read_definition(&members, &view)?
    {
        check_recursion(&name, &definition, &view.catalog).map_err(ScaleError::Bad)?;
        change.definition = Some(definition.to_string().into());
    }
    let (is_active, is_revised) = (change.is_active, change.definition.is_some());
    let mut warnings = Vec::new();
    if is_active == Some(false) {
        let names: Vec<String> =
            with_sub_recipe(&name, &view.catalog).map(|kind| kind.name.clone()).collect();
        if !names.is_empty() {
            warnings.push(deprecated("recipe", &names));
        }
    }
    write(&api, id, change).await?;
    if is_active == Some(false) {
        deprecate_above(&api, vec![name.clone()]).await?;
    }
    if is_revised && auto_update {
        follow(&api, vec![Changed::RecipeType(name)]).await?;
    }
    Ok(Json(json!({"is_valid": true, "errors": [], "warnings": warnings, "diff": {}})))
}

async fn write(api: &ApiState, id: RecipeTypeId, change: RecipeTypeChange) -> Result<(), ScaleError> {
    let settled = api.write(|engine| engine.edit_recipe_type(id, change)).await;
    settled.map(|_| ()).map_err(|error| scale_unsettled(error, refused))
}

/// What is told of recipe types that take no new recipes any more because of something that they hold.
pub(super) fn deprecated(what: &str, names: &[String]) -> Value {
    let names: Vec<String> = names.iter().map(|name| format!("u'{name}'")).collect();
    let names = names.join(", ");
    let text = format!(
        "The following recipes were deprecated as a result of deprecating this {what} type: [{names}] "
    );
    json!({"name": "DEPRECATED_RECIPES", "description": text})
}

/// No recipe types that hold those of `names` take new recipes any more, nor those that hold them.
async fn deprecate_above(api: &ApiState, mut names: Vec<String>) -> Result<(), ScaleError> {
    let view = api.view().await;
    let mut seen: BTreeSet<String> = names.iter().cloned().collect();
    while let Some(name) = names.pop() {
        for kind in with_sub_recipe(&name, &view.catalog).filter(|kind| seen.insert(kind.name.clone())) {
            write(api, kind.id, RecipeTypeChange { is_active: Some(false), ..Default::default() }).await?;
            names.push(kind.name.clone());
        }
    }
    Ok(())
}

/// No recipe types that hold a job type take new recipes any more, nor those that hold them. Gives the names of
/// the first.
pub(super) async fn deprecate_with_job_type(
    api: &ApiState,
    name: &str,
    version: &str,
) -> Result<Vec<String>, ScaleError> {
    let view = api.newest_view().await;
    let mut names = Vec::new();
    for kind in with_job_type(name, version, &view.catalog) {
        write(api, kind.id, RecipeTypeChange { is_active: Some(false), ..Default::default() }).await?;
        names.push(kind.name.clone());
    }
    deprecate_above(api, names.clone()).await?;
    Ok(names)
}

/// What has a new revision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Changed {
    JobType { name: String, version: String },
    RecipeType(String),
}

/// Gives the recipe types that hold something a new revision with its newest one; then those that hold these.
/// What would not fit there any more stays as it is.
pub(super) async fn follow(api: &ApiState, mut changed: Vec<Changed>) -> Result<(), ScaleError> {
    let mut seen = BTreeSet::new();
    while let Some(what) = changed.pop() {
        if !seen.insert(what.clone()) {
            continue;
        }
        let view = api.newest_view().await;
        for (id, name, definition) in revised(&what, &view) {
            let change = RecipeTypeChange { definition: Some(definition.into()), ..Default::default() };
            write(api, id, change).await?;
            changed.push(Changed::RecipeType(name));
        }
    }
    Ok(())
}

/// The recipe types that hold `what`, each with the definition that has its newest revision.
fn revised(what: &Changed, view: &View) -> Vec<(RecipeTypeId, String, String)> {
    let catalog = &*view.catalog;
    let (kinds, revision): (Vec<&RecipeType>, Option<u32>) = match what {
        Changed::JobType { name, version } => {
            let mut types = view.types.iter().map(|kind| &kind.job_type);
            let kind = types.find(|kind| kind.spec.name == *name && kind.spec.version == *version);
            let details = kind.and_then(|kind| catalog.job_type(kind.id));
            (with_job_type(name, version, catalog).collect(), details.map(|details| details.revision))
        }
        Changed::RecipeType(name) => {
            let kind = catalog.recipe_type_named(name);
            (with_sub_recipe(name, catalog).collect(), kind.map(|kind| kind.revision))
        }
    };
    let Some(revision) = revision else { return Vec::new() };
    let types = Types::new(view);
    let with_newest = |kind: &RecipeType| {
        let mut document = document(definition(kind, catalog));
        for (_, node) in document["nodes"].as_object_mut()? {
            let node = &mut node["node_type"];
            match what {
                Changed::JobType { name, version }
                    if node["job_type_name"] == **name && node["job_type_version"] == **version =>
                {
                    node["job_type_revision"] = revision.into();
                }
                Changed::RecipeType(name) if node["recipe_type_name"] == **name => {
                    node["recipe_type_revision"] = revision.into();
                }
                _ => {}
            }
        }
        let definition: Result<Definition, DefinitionError> = Definition::read(&document, &types);
        Some((kind.id, kind.name.clone(), definition.ok()?.to_value().to_string()))
    };
    kinds.into_iter().filter_map(with_newest).collect()
}

/// `GET recipe-types/{name}/`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<RecipeTypeFull>, ScaleError> {
    let view = api.view().await;
    Ok(Json(RecipeTypeFull::new(find(&view, &name)?, &view)))
}

/// `GET recipe-types/`.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<RecipeTypeRow>>, ScaleError> {
    let keywords: Vec<String> =
        params.texts("keyword").into_iter().flatten().map(str::to_lowercase).collect();
    let (is_active, is_system) = (params.boolean("is_active")?, params.boolean("is_system")?);
    let view = api.view().await;
    let has_keyword = |kind: &RecipeType| {
        let texts = [&kind.name, &kind.title, &kind.description].map(|text| text.to_lowercase());
        keywords.iter().any(|keyword| texts.iter().any(|text| text.contains(keyword.as_str())))
    };
    let takes = |kind: &&RecipeType| {
        is_active.is_none_or(|wanted| wanted == kind.is_active)
            && is_system != Some(true)
            && (keywords.is_empty() || has_keyword(kind))
    };
    let mut types: Vec<&RecipeType> = view.catalog.recipe_types().filter(takes).collect();
    types.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(page(&types, &params, &address.url(), |kind| RecipeTypeRow::new(kind, &view.catalog))?))
}

/// `GET recipe-types/{name}/revisions/`: the newest first.
pub(in crate::api) async fn revisions(
    State(api): State<ApiState>,
    Path(name): Path<String>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<RecipeTypeRevisionLine<RecipeTypeBase>>>, ScaleError> {
    let view = api.view().await;
    let mut all: Vec<(&RecipeType, &RecipeTypeRevision)> = Vec::new();
    if let Some(kind) = view.catalog.recipe_type_named(&name) {
        let found =
            (1..=kind.revision).filter_map(|number| view.catalog.recipe_type_revision(kind.id, number));
        all.extend(found.map(|revision| (kind, revision)));
        all.reverse();
    }
    Ok(Json(page(&all, &params, &address.url(), |(kind, revision)| {
        RecipeTypeRevisionLine::new(revision, kind, false)
    })?))
}

/// `GET recipe-types/{name}/revisions/{revision}/`.
pub(in crate::api) async fn revision(
    State(api): State<ApiState>,
    Path((name, number)): Path<(String, String)>,
) -> Result<Json<RecipeTypeRevisionLine<RecipeTypeLine>>, ScaleError> {
    let number = path_id(&number)?;
    let view = api.view().await;
    let kind = find(&view, &name)?;
    let revision = view.catalog.recipe_type_revision(kind.id, number).ok_or(ScaleError::NotFound)?;
    Ok(Json(RecipeTypeRevisionLine::new(revision, kind, true)))
}

/// `POST recipe-types/validation/`: what would be said of a definition.
pub(in crate::api) async fn validate(
    State(api): State<ApiState>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ScaleError> {
    let members = members::object_with_members(&body::bytes(&headers, body, CATALOG_BODY_BYTES_MAX).await?)?;
    let members = members::with_params(members, &params);
    let name = members::text(&members, "name")?;
    let stated = members::required(members::dictionary(&members, "definition")?, "definition")?;
    let view = api.newest_view().await;
    let note = |name: &str, description: &str| json!({"name": name, "description": description});
    let (mut errors, mut warnings, mut diff) = (Vec::new(), Vec::new(), json!({}));
    let types = Types::new(&view);
    match Definition::read(&Value::Object(stated.clone()), &types) {
        Err(error) => errors.push(note(error.name(), &error.to_string())),
        Ok(definition) => {
            warnings.extend(definition.warnings().iter().map(|it| note(it.name, &it.description)));
            let recursion = name.map(|name| check_recursion(name, &definition.to_value(), &view.catalog));
            if let Some(Err(text)) = recursion {
                errors.push(note("RECURSIVE_SUBRECIPES", &text));
            }
            let known = name.and_then(|name| view.catalog.recipe_type_named(name));
            let known = known.map(|kind| document(self::definition(kind, &view.catalog)));
            if let Some(known) = known.and_then(|known| Definition::on_record(&known, &types).ok()) {
                diff = diff_to_value(&known, &definition);
                if diff["can_be_reprocessed"] == false {
                    let text = "This recipe cannot be reprocessed after updating.";
                    warnings.push(note("REPROCESS_WARNING", text));
                }
            }
        }
    }
    Ok(Json(json!({"is_valid": errors.is_empty(), "errors": errors, "warnings": warnings, "diff": diff})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_titles() {
        let check = |title: &str, expected: &str| assert_eq!(name_of(title), expected, "{title}");
        check("Tour three", "tour-three");
        check("  A_b  -  C!?d ", "a-b-cd");
        check("x - - y", "x-y");
        check(&"a".repeat(60), &"a".repeat(30));
        check("!?", "");
        check("\u{dc}n\u{ef}code N\u{e0}me", "unicode-name");
        check("\u{fb01}le\u{a0}\u{b2} \u{f8}", "file-2");
    }
}
