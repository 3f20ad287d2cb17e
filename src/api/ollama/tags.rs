//! `GET /api/tags`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::api::error::ApiError;
use crate::api::{App, times};

use super::models::{Details, Listed, list};

#[derive(Serialize)]
pub(super) struct Tags {
    models: Vec<Tag>,
}

#[derive(Serialize)]
struct Tag {
    name: String,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_host: Option<String>,
    modified_at: String,
    size: u64,
    digest: String,
    details: Details,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<String>,
}

/// `GET /api/tags`: all models on disk, latest first.
pub(super) async fn tags(State(app): State<App>) -> Result<Json<Tags>, ApiError> {
    let models = list(&app).await?.into_iter().map(tag).collect();
    Ok(Json(Tags { models }))
}

fn tag(listed: Listed) -> Tag {
    let Listed { stored, model } = listed;
    Tag {
        name: stored.name.to_string(),
        model: stored.name.to_string(),
        remote_model: stored.config.remote_model.clone(),
        remote_host: stored.config.remote_host.clone(),
        modified_at: times::local(stored.modified),
        size: stored.size_bytes,
        digest: stored.digest.clone(),
        details: model
            .as_ref()
            .map_or_else(|| Details::of(&stored), Details::with_facts),
        capabilities: model.map(|model| model.capabilities()).unwrap_or_default(),
    }
}
