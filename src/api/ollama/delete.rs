//! `DELETE /api/delete`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::api::App;
use crate::api::body::Body;
use crate::api::catalog::blocking;
use crate::api::error::{ApiError, Route};
use crate::store::ModelName;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DeleteRequest {
    model: String,
    name: String,
}

/// `DELETE /api/delete`: removes a name and what only it used. A loaded model goes on serving.
pub(super) async fn delete(
    State(app): State<App>,
    Body(request): Body<DeleteRequest>,
) -> Result<StatusCode, ApiError> {
    let name = if request.model.is_empty() {
        request.name
    } else {
        request.model
    };
    blocking(move || {
        let delete = || {
            let name = app.store.resolve(&ModelName::local(&name)?)?;
            app.store.delete(&name)
        };
        delete().map_err(|source| ApiError::Model {
            route: Route::Delete,
            name: name.clone(),
            source,
        })?;
        Ok(StatusCode::OK)
    })
    .await
}
