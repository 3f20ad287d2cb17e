//! `POST /api/pull` and `POST /api/push`.

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
pub(super) struct TransferRequest {
    model: String,
    name: String,
    insecure: bool,
    stream: Option<bool>,
}

/// `POST /api/pull`: fetches a model from its registry.
pub(super) async fn pull(
    State(app): State<App>,
    Body(request): Body<TransferRequest>,
) -> Result<Response, ApiError> {
    let stream = request.stream.unwrap_or(true);
    let what = request.resolve(&app, Route::Pull)?;
    progress::run(stream, move |events| async move {
        store::pull(&app.store, &app.registry, what, events).await
    })
    .await
}

/// `POST /api/push`: sends a model to its registry.
pub(super) async fn push(
    State(app): State<App>,
    Body(request): Body<TransferRequest>,
) -> Result<Response, ApiError> {
    let stream = request.stream.unwrap_or(true);
    let what = request.resolve(&app, Route::Push)?;
    progress::run(stream, move |events| async move {
        store::push(&app.store, &app.registry, what, events).await
    })
    .await
}

impl TransferRequest {
    /// The model meant, in the spelling the store has for it.
    fn resolve(self, app: &App, route: Route) -> Result<Pull, ApiError> {
        let text = if self.model.is_empty() {
            self.name
        } else {
            self.model
        };
        let name = ModelName::local(&text)
            .map_err(StoreError::Name)
            .and_then(|name| app.store.resolve(&name))
            .map_err(|source| ApiError::Model {
                route,
                name: text,
                source,
            })?;
        Ok(Pull {
            name,
            insecure: self.insecure,
        })
    }
}
