//! `POST /api/copy`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::api::App;
use crate::api::body::Body;
use crate::api::catalog::blocking;
use crate::api::error::{ApiError, Route};
use crate::store::{ModelName, NameError, StoreError};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CopyRequest {
    source: String,
    destination: String,
}

/// `POST /api/copy`: a second name for a model.
pub(super) async fn copy(
    State(app): State<App>,
    Body(request): Body<CopyRequest>,
) -> Result<StatusCode, ApiError> {
    blocking(move || {
        let source = name(&app, "source", &request.source)?;
        let destination = name(&app, "destination", &request.destination)?;
        app.store
            .copy(&source, &destination)
            .map_err(|error| ApiError::Model {
                route: Route::Copy,
                name: request.source,
                source: error,
            })?;
        Ok(StatusCode::OK)
    })
    .await
}

fn name(app: &App, field: &str, text: &str) -> Result<ModelName, ApiError> {
    match ModelName::local(text) {
        Ok(name) => Ok(app.store.resolve(&name)?),
        Err(NameError::Required | NameError::Invalid) => {
            Err(ApiError::BadRequest(format!("{field} {text:?} is invalid")))
        }
        Err(other) => Err(StoreError::Name(other).into()),
    }
}
