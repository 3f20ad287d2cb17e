//! `POST /api/embeddings`, the old way to ask for one vector.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::App;
use crate::api::body::Body;
use crate::api::error::{ApiError, Route};
use crate::api::fields::KeepAliveField;
use crate::api::verbs::{VectorsRequest, vectors};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EmbeddingsRequest {
    model: String,
    prompt: String,
    keep_alive: Option<KeepAliveField>,
    options: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize)]
pub(super) struct EmbeddingsResponse {
    embedding: Vec<f64>,
}

/// `POST /api/embeddings`: the vector of one text as the model made it.
pub(super) async fn embeddings(
    State(app): State<App>,
    Body(request): Body<EmbeddingsRequest>,
) -> Result<Json<EmbeddingsResponse>, ApiError> {
    let request = VectorsRequest {
        route: Route::Embeddings,
        model: request.model,
        inputs: Some(request.prompt)
            .filter(|prompt| !prompt.is_empty())
            .into_iter()
            .collect(),
        options: request.options,
        keep_alive: request.keep_alive,
        truncate: false,
        normalize: false,
        dimensions: None,
    };
    let made = vectors::vectors(&app, request).await?;
    let embedding = made.vectors.into_iter().flatten().map(f64::from).collect();
    Ok(Json(EmbeddingsResponse { embedding }))
}
