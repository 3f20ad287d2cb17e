//! `POST /api/push`.

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
pub(super) struct PushRequest {
    model: String,
    name: String,
    insecure: bool,
    stream: Option<bool>,
}

/// `POST /api/push`: sends a model to its registry.
pub(super) async fn push(
    State(app): State<App>,
    Body(request): Body<PushRequest>,
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
            route: Route::Push,
            name: text,
            source,
        })?;
    let insecure = request.insecure;
    progress::run(request.stream.unwrap_or(true), move |events| async move {
        store::push(&app.store, &app.registry, Pull { name, insecure }, events).await
    })
    .await
}
