//! `POST /api/pull`.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use crate::api::App;
use crate::api::body::Body;
use crate::api::error::{ApiError, Route};
use crate::store::{self, ModelName, Pull, StoreError};

use super::progress;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PullRequest {
    model: String,
    name: String,
    insecure: bool,
    stream: Option<bool>,
}

/// `POST /api/pull`: fetches a model from its registry.
pub(super) async fn pull(
    State(app): State<App>,
    Body(request): Body<PullRequest>,
) -> Result<Response, ApiError> {
    let text = if request.model.is_empty() {
        request.name
    } else {
        request.model
    };
    let name = ModelName::local(&text)
        .map_err(StoreError::Name)
        .and_then(|name| app.store.resolve(&name))
        .map_err(|source| ApiError::Model {
            route: Route::Pull,
            name: text,
            source,
        })?;
    let insecure = request.insecure;
    progress::run(request.stream.unwrap_or(true), move |events| async move {
        store::pull(&app.store, &app.registry, Pull { name, insecure }, events).await
    })
    .await
}
