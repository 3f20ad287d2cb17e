//! `GET /api/version`.

use axum::Json;
use serde_json::{Value, json};

/// The version of Ollama whose behaviour clients may expect. They switch features on by it: tools,
/// structured outputs and thinking came by 0.9, the Responses API with 0.13.3. Everything that this
/// server answers was there in this release.
pub(crate) const VERSION: &str = "0.13.5";

/// `GET /api/version`: the version of the interface, which is what clients compare.
pub(super) async fn version() -> Json<Value> {
    Json(json!({"version": VERSION}))
}
