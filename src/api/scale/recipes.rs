//! `recipes/`: made, listed, shown, made anew.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{HeaderValue, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::super::body;
use super::super::errors::{ScaleError, scale_unsettled};
use super::super::limits::BODY_BYTES_MAX;
use super::super::members::{self, ReadError};
use super::super::paging::{Envelope, enveloped, window};
use super::super::query::{Address, Params, path_id};
use super::super::state::{ApiState, Unsettled};
use super::super::views::scale::{RecipeLine, RecipeRefs, recipe_details};
use crate::engine::{
    CatalogView, Engine, NewRecipe, RecipeColumn, RecipeError, RecipePage, RecipeQuery, RecipeView, Reprocess,
};
use crate::model::{
    BatchId, Doc, DocKey, EventId, Recipe, RecipeId, RecipeTypeId, Timestamp, TriggerEvent, kind,
};

/// What recipes can be ordered by.
const COLUMNS: [(&str, RecipeColumn); 18] = [
    ("id", RecipeColumn::Id),
    ("recipe_type", RecipeColumn::RecipeType),
    ("recipe_type_id", RecipeColumn::RecipeType),
    ("recipe_type__name", RecipeColumn::TypeName),
    ("created", RecipeColumn::Created),
    ("completed", RecipeColumn::Completed),
    ("superseded", RecipeColumn::Superseded),
    ("last_modified", RecipeColumn::LastModified),
    ("batch", RecipeColumn::Batch),
    ("batch_id", RecipeColumn::Batch),
    ("event", RecipeColumn::Event),
    ("event_id", RecipeColumn::Event),
    ("input_file_size", RecipeColumn::InputSize),
    ("is_completed", RecipeColumn::IsCompleted),
    ("is_superseded", RecipeColumn::IsSuperseded),
    ("root_recipe", RecipeColumn::Root),
    ("root_recipe_id", RecipeColumn::Root),
    ("jobs_total", RecipeColumn::JobsTotal),
];

/// Parameters by which no recipe can be found: none has what they ask for.
const FOUND_IN_NONE: [&str; 6] = [
    "source_started",
    "source_ended",
    "source_sensor_class",
    "source_sensor",
    "source_collection",
    "source_task",
];

/// How often a reprocess is tried of a recipe that changes just then.
const TRIES: usize = 5;

fn refused(error: &RecipeError) -> ScaleError {
    match error {
        RecipeError::UnknownType { .. } | RecipeError::Unknown(_) => ScaleError::NotFound,
        RecipeError::Inactive(_) => ScaleError::Data(format!("Inactive recipe type: {error}")),
        RecipeError::InvalidData(_) => ScaleError::Data(format!("Invalid recipe data: {error}")),
        RecipeError::InvalidConfiguration(_) => {
            ScaleError::Bad(format!("Recipe configuration invalid: {error}"))
        }
        RecipeError::QueueFull | RecipeError::Changing(_) | RecipeError::Unreadable { .. } => {
            ScaleError::Unavailable(error.to_string())
        }
        _ => ScaleError::Bad(error.to_string()),
    }
}

/// An event on record.
pub(super) fn event_of(engine: &Engine, id: EventId) -> Option<TriggerEvent> {
    match engine.doc(DocKey { kind: kind::EVENT, id: id.0 / 2, sub: 0 }).as_deref() {
        Some(Doc::Event(event)) => Some(event.clone()),
        _ => None,
    }
}

/// What is shown beside a recipe.
fn refs_of(engine: &Engine, recipe: &Recipe, is_detailed: bool) -> RecipeRefs {
    let of = |id: Option<RecipeId>| id.and_then(|id| engine.recipe_record(id));
    RecipeRefs {
        event: event_of(engine, recipe.event),
        parent: of(recipe.parent),
        superseded_recipe: of(recipe.superseded_recipe.filter(|_| is_detailed)),
        superseded_by: of(recipe.superseded_by.filter(|_| is_detailed)),
    }
}

/// `POST recipes/`: makes a recipe. Answered once it is on disk, as it was before anything followed.
pub(in crate::api) async fn create(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ScaleError> {
    let members = members::object_with_members(&body::bytes(&headers, body, BODY_BYTES_MAX).await?)?;
    let members = members::with_params(members, &params);
    let id = members::required(members::integer(&members, "recipe_type_id")?, "recipe_type_id")?;
    let input = members::dictionary(&members, "input")?.cloned().unwrap_or_default();
    let configuration = members::dictionary(&members, "configuration")?.cloned();
    // A number that no id can be is an id that is not there, once the rest is read.
    let recipe_type = u32::try_from(id).map_or(RecipeTypeId(0), RecipeTypeId);
    let mut new = NewRecipe::new(recipe_type, Value::Object(input));
    new.configuration = configuration.filter(|given| !given.is_empty()).map(Value::Object);
    let settled = api.write(|engine| engine.queue_new_recipe_for_user(new)).await;
    let (id, _) = settled.map_err(|error| scale_unsettled(error, refused))?;
    let look = move |engine: &Engine| {
        let recipe = engine.recipe(id)?;
        let refs = refs_of(engine, &recipe.recipe, false);
        Some((recipe, refs))
    };
    let (recipe, refs) = api.ask_ahead(look).await.ok_or(ScaleError::NotFound)?;
    let view = api.view().await;
    let made = RecipeLine::as_made(&recipe, &refs, &view.catalog);
    let mut response = (StatusCode::CREATED, Json(made)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("{}{}/", address.url(), id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Which recipes are asked for.
fn query(params: &Params, catalog: &CatalogView, now: Timestamp) -> Result<RecipeQuery, ReadError> {
    let [started, ended] = params.range(["started", "ended"], now, None)?;
    params.range(["source_started", "source_ended"], now, None)?;
    let ids = |name: &'static str| {
        let all = params.integers(name)?;
        Ok::<_, ReadError>(all.map(|all| all.into_iter().filter_map(|id| u64::try_from(id).ok())))
    };
    let mut query = RecipeQuery::new(0);
    (query.started, query.ended) = (started, ended);
    query.ids = ids("recipe_id")?.map(|all| all.map(RecipeId).collect());
    query.batches = ids("batch_id")?.map(|all| all.map(BatchId).collect());
    query.roots = ids("root_recipe_id")?.map(|all| all.map(RecipeId).collect());
    let types = ids("recipe_type_id")?;
    let types: Option<Vec<RecipeTypeId>> =
        types.map(|all| all.filter_map(|id| u32::try_from(id).ok().map(RecipeTypeId)).collect());
    let named = params.texts("recipe_type_name").map(|names| {
        let found = names.into_iter().filter_map(|name| catalog.recipe_type_named(name));
        found.map(|kind| kind.id).collect::<Vec<_>>()
    });
    query.types = match (types, named) {
        (Some(types), Some(named)) => Some(types.into_iter().filter(|id| named.contains(id)).collect()),
        (types, named) => types.or(named),
    };
    query.is_superseded = params.boolean("is_superseded")?;
    query.is_completed = params.boolean("is_completed")?;
    let order = params.order(&COLUMNS)?;
    query.order = order.iter().map(|by| (by.column, by.is_descending)).collect();
    if query.order.is_empty() {
        query.order.push((RecipeColumn::LastModified, false));
    }
    // No recipe comes from a source.
    if FOUND_IN_NONE.iter().any(|name| params.last(name).is_some()) {
        query.ids = Some(Vec::new());
    }
    Ok(query)
}

/// `GET recipes/`.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<RecipeLine>>, ScaleError> {
    let view = api.view().await;
    let query = query(&params, &view.catalog, api.engine().now())?;
    let ask = async |skip: usize, len: usize| {
        let query = RecipeQuery { skip, len, ..query.clone() };
        let ask = move |engine: &Engine| {
            let page = engine.list_recipes(&query);
            let refs: Vec<RecipeRefs> =
                page.recipes.iter().map(|view| refs_of(engine, &view.recipe, false)).collect();
            (page, refs)
        };
        api.ask(ask).await
    };
    let window = window(&params, async || Ok::<_, ScaleError>(ask(0, 0).await.0.total)).await?;
    let (RecipePage { recipes, total, .. }, refs) = ask(window.skip, window.len).await;
    let line = |(view_of, refs): (&RecipeView, &RecipeRefs)| RecipeLine::new(view_of, refs, &view.catalog);
    let lines: Vec<RecipeLine> = recipes.iter().zip(&refs).map(line).collect();
    let has_next = total > window.skip.saturating_add(window.len);
    Ok(Json(enveloped(window, lines, total, has_next, &params, &address.url())?))
}

/// `GET recipes/{id}/`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ScaleError> {
    let id: RecipeId = path_id(&id)?;
    let look = move |engine: &Engine| {
        let (recipe, nodes) = engine.recipe_details(id)?;
        let refs = refs_of(engine, &recipe.recipe, true);
        Some((recipe, nodes, refs))
    };
    let (recipe, nodes, refs) = api.ask(look).await.ok_or(ScaleError::NotFound)?;
    let mut view = api.view().await;
    if view.catalog.recipe_type_revision(recipe.recipe.recipe_type, recipe.recipe.revision).is_none() {
        view = api.newest_view().await;
    }
    Ok(Json(recipe_details(&recipe, &nodes, &refs, &view)))
}

/// `POST recipes/{id}/reprocess/`.
pub(in crate::api) async fn reprocess(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ScaleError> {
    let id: RecipeId = path_id(&id)?;
    let members = members::object_with_members(&body::bytes(&headers, body, BODY_BYTES_MAX).await?)?;
    let members = members::with_params(members, &params);
    let forced = members::required(members::dictionary(&members, "forced_nodes")?, "forced_nodes")?;
    // Scale takes 0 for none: the newest one.
    let revision = members::integer(&members, "revision_num")?.filter(|revision| *revision != 0);
    let mut order = Reprocess::new(id, Value::Object(forced.clone()));
    // A number that no revision can be is one that is not there.
    order.revision = revision.map(|revision| u32::try_from(revision).unwrap_or(u32::MAX));
    for last in (0..TRIES).rev() {
        let again = order.clone();
        let send = api.ask_ahead(move |engine| engine.reprocess(again)).await;
        match api.write(|_| send).await {
            Ok(_) => return Ok(StatusCode::ACCEPTED),
            Err(Unsettled::Refused(RecipeError::Changing(_))) if last > 0 => {}
            Err(error) => return Err(scale_unsettled(error, refused)),
        }
    }
    unreachable!("the last try is answered")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_and_refused_in_scales_words() {
        let catalog = CatalogView::default();
        let read = |text: &str| query(&Params::of(text), &catalog, Timestamp(0));
        let found = read("recipe_type_id=3&recipe_type_id=4&is_completed=T&order=-created").expect("a query");
        assert_eq!(found.types, Some(vec![RecipeTypeId(3), RecipeTypeId(4)]));
        assert_eq!((found.is_completed, found.is_superseded), (Some(true), None));
        assert_eq!(found.order, [(RecipeColumn::Created, true)]);
        assert_eq!(read("recipe_type_name=nope").expect("a query").types, Some(Vec::new()));
        assert_eq!(read("source_task=x").expect("a query").ids, Some(Vec::new()));
        let bad = |text: &str| read(text).expect_err(text).to_string();
        assert_eq!(bad("batch_id=x"), "Parameter must be a valid integer: \"batch_id\"");
        assert_eq!(bad("is_completed=x"), "Parameter must be a valid boolean: \"is_completed\"");
        assert!(bad("order=nope").starts_with("Unexpected value nope for order."));
    }
}
