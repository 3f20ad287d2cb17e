//! `GET /api/version`.

use axum::Json;
use serde_json::{Value, json};

pub(crate) use crate::config::API_VERSION as VERSION;

/// `GET /api/version`: the version of the interface, which is what clients compare.
pub(super) async fn version() -> Json<Value> {
    Json(json!({"version": VERSION}))
}
