//! `/rag/collections`.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::api::App;
use crate::api::assist::{AssistBody, ErrorBody};
use crate::api::error::AssistError;
use crate::rag::library::LibraryError;

use super::wire::{self, CollectionView, wrong};

/// Longest description, in bytes.
const DESCRIPTION_BYTES: usize = 1024;

/// The caller's collections.
#[derive(Serialize, ToSchema)]
pub(super) struct Collections {
    /// By name.
    collections: Vec<CollectionView>,
}

/// A collection to make.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"name": "contracts", "description": "Signed ones"}))]
pub(super) struct NewCollection {
    /// 1 to 64 letters, digits, `-`, `_` or `.`.
    name: String,
    /// What it is for.
    description: Option<String>,
}

/// A collection to remove.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct Named {
    /// Its name.
    name: String,
}

/// What was removed.
#[derive(Serialize, ToSchema)]
pub(super) struct Removed {
    /// Documents that were in it.
    documents: usize,
}

/// The caller's collections.
#[utoipa::path(get, path = "/rag/collections", tag = "documents", responses(
    (status = 200, description = "They", body = Collections),
    (status = 401, description = "No or bad credentials", body = ErrorBody)))]
pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Collections>, AssistError> {
    let rag = app.rag().await?;
    let found = rag.library.collections(&caller.tenant).into_iter();
    Ok(Json(Collections {
        collections: found.map(CollectionView::from).collect(),
    }))
}

/// Makes a collection; one that is there stays as it is.
#[utoipa::path(post, path = "/rag/collections", tag = "documents", request_body = NewCollection, responses(
    (status = 200, description = "It is there", body = Collections),
    (status = 400, description = "A field is missing or wrong", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 422, description = "There are too many", body = ErrorBody)))]
pub(super) async fn add(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    AssistBody(new): AssistBody<NewCollection>,
) -> Result<Json<Collections>, AssistError> {
    let description = new.description.unwrap_or_default();
    if description.len() > DESCRIPTION_BYTES {
        let problem = format!("must have at most {DESCRIPTION_BYTES} bytes");
        return Err(wrong("description", &problem).into());
    }
    if new.name.is_empty() {
        return Err(wrong("name", "must not be empty").into());
    }
    let name = wire::collection(Some(new.name))?;
    let rag = app.rag().await?;
    rag.library
        .add_collection(&caller.tenant, &name, &description)
        .await?;
    let found = rag.library.collections(&caller.tenant).into_iter();
    Ok(Json(Collections {
        collections: found.map(CollectionView::from).collect(),
    }))
}

/// Removes a collection and all documents in it.
#[utoipa::path(delete, path = "/rag/collections", tag = "documents", params(Named), responses(
    (status = 200, description = "It is gone", body = Removed),
    (status = 400, description = "No name", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such collection", body = ErrorBody)))]
pub(super) async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<Named>, axum::extract::rejection::QueryRejection>,
) -> Result<(StatusCode, Json<Removed>), AssistError> {
    let Query(named) = query.map_err(|_| wrong("name", "is required, in the query"))?;
    let rag = app.rag().await?;
    // In a task of its own, which goes on where the client does not wait for its end.
    let removal = tokio::spawn(async move {
        let library = &rag.library;
        library.remove_collection(&caller.tenant, &named.name).await
    });
    let documents = removal.await.map_err(|_| LibraryError::Task)??;
    Ok((StatusCode::OK, Json(Removed { documents })))
}
