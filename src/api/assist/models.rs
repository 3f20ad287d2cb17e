//! `GET /ai/models`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::AssistError;
use crate::api::ollama::models::list;
use crate::api::{App, times};

/// The models that can be asked.
#[derive(Serialize, ToSchema)]
pub(crate) struct Models {
    /// Latest first.
    models: Vec<ListedModel>,
}

/// One of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedModel {
    /// What to call it in requests.
    #[schema(example = "llama3.2:1b")]
    name: String,
    /// Bytes on disk.
    size: u64,
    /// When it came here (RFC 3339).
    modified_at: String,
}

/// All models on disk.
#[utoipa::path(get, path = "/ai/models", tag = "assistant", responses(
    (status = 200, description = "They", body = Models),
    (status = 401, description = "No or bad credentials", body = super::ErrorBody)))]
pub(crate) async fn models(State(app): State<App>) -> Result<Json<Models>, AssistError> {
    let listed = list(&app).await?.into_iter().map(|listed| ListedModel {
        name: listed.stored.name.to_string(),
        size: listed.stored.size_bytes,
        modified_at: times::local(listed.stored.modified),
    });
    let models = listed.collect();
    Ok(Json(Models { models }))
}
