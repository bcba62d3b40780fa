//! Kinds of errors.

use std::cmp::Ordering;

use axum::Json;
use axum::extract::{Path, State};

use crate::api::errors::ScaleError;
use crate::api::paging::{Envelope, page};
use crate::api::query::{Address, By, Params, path_id, sort};
use crate::api::state::ApiState;
use crate::api::views::scale::ErrorFull;
use crate::model::{ErrorId, ErrorRecord};

/// What errors can be ordered by.
#[derive(Clone, Copy)]
enum Column {
    Id,
    Name,
    Title,
    Description,
    JobTypeName,
    Category,
    IsBuiltIn,
    ShouldBeRetried,
    Created,
    LastModified,
}

const COLUMNS: [(&str, Column); 10] = [
    ("id", Column::Id),
    ("name", Column::Name),
    ("title", Column::Title),
    ("description", Column::Description),
    ("job_type_name", Column::JobTypeName),
    ("category", Column::Category),
    ("is_builtin", Column::IsBuiltIn),
    ("should_be_retried", Column::ShouldBeRetried),
    ("created", Column::Created),
    ("last_modified", Column::LastModified),
];

fn compare(column: Column, a: &ErrorRecord, b: &ErrorRecord) -> Ordering {
    match column {
        Column::Id => a.id.cmp(&b.id),
        Column::Name => a.name.cmp(&b.name),
        Column::Title => a.title.cmp(&b.title),
        Column::Description => a.description.cmp(&b.description),
        Column::JobTypeName => {
            (a.job_type_name.is_none(), &a.job_type_name).cmp(&(b.job_type_name.is_none(), &b.job_type_name))
        }
        Column::Category => a.category.cmp(&b.category),
        Column::IsBuiltIn => a.is_builtin.cmp(&b.is_builtin),
        Column::ShouldBeRetried => a.should_be_retried.cmp(&b.should_be_retried),
        Column::Created => a.created.cmp(&b.created),
        Column::LastModified => a.last_modified.cmp(&b.last_modified),
    }
}

/// `GET errors/`.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<ErrorFull>>, ScaleError> {
    let [started, ended] = params.range(["started", "ended"], api.engine().now(), None)?;
    let is_builtin = params.boolean("is_builtin")?;
    let word = |name| params.last(name).filter(|text| !text.is_empty());
    let (job_type, name, category) = (word("job_type_name"), word("name"), word("category"));
    let mut order = params.order(&COLUMNS)?;
    if order.is_empty() {
        order.push(By { column: Column::LastModified, is_descending: false });
    }
    let view = api.view().await;
    let takes = |error: &&ErrorRecord| {
        started.is_none_or(|started| error.last_modified >= started)
            && ended.is_none_or(|ended| error.last_modified <= ended)
            && is_builtin.is_none_or(|wanted| error.is_builtin == wanted)
            && job_type.is_none_or(|wanted| error.job_type_name.as_deref() == Some(wanted))
            && name.is_none_or(|wanted| error.name == wanted)
            && category.is_none_or(|wanted| error.category == wanted)
    };
    let mut errors: Vec<&ErrorRecord> = view.catalog.errors().filter(takes).collect();
    sort(&mut errors, &order, |column, a, b| compare(column, a, b));
    Ok(Json(page(&errors, &params, &address.url(), |error| ErrorFull::new(error))?))
}

/// `GET errors/{id}/`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<ErrorFull>, ScaleError> {
    let id: ErrorId = path_id(&id)?;
    let view = api.view().await;
    view.catalog.error(id).map(|error| Json(ErrorFull::new(error))).ok_or(ScaleError::NotFound)
}
