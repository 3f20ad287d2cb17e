//! `GET /v1/models` and `GET /v1/models/{model}`.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use crate::api::catalog::blocking;
use crate::api::error::{OpenAiError, Route};
use crate::api::{App, times};
use crate::store::StoredModel;

#[derive(Debug, Serialize)]
pub(super) struct List {
    object: &'static str,
    // Ollama writes `null` for none; clients that iterate over it like an empty list better.
    data: Vec<Item>,
}

#[derive(Debug, Serialize)]
pub(super) struct Item {
    id: String,
    object: &'static str,
    created: i64,
    owned_by: String,
}

/// `GET /v1/models`: all models on disk, latest first.
pub(super) async fn list(State(app): State<App>) -> Result<Json<List>, OpenAiError> {
    let data = blocking(move || {
        let models = app.store.models()?.into_iter();
        Ok(models
            .map(|stored| item(stored.name.to_string(), &stored))
            .collect())
    });
    Ok(Json(List {
        object: "list",
        data: data.await?,
    }))
}

/// `GET /v1/models/{model}`: one of them, under the name it was asked for.
pub(super) async fn one(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Item>, OpenAiError> {
    let item = blocking(move || {
        let stored = app.stored(Route::Delete, &id)?;
        Ok(item(id, &stored))
    });
    Ok(Json(item.await?))
}

fn item(id: String, stored: &StoredModel) -> Item {
    Item {
        id,
        object: "model",
        created: times::unix(stored.modified),
        owned_by: stored.name.namespace().to_owned(),
    }
}
