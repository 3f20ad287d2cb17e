//! Whether the server is there, and what it has to say about services it does not offer.

use axum::Json;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api::error::ApiError;

/// `GET /`: the text by which clients and health checks know that somebody is there.
pub(super) async fn root() -> &'static str {
    "Ollama is running"
}

/// `GET /api/status`: models on other servers are never used.
pub(super) async fn status() -> Json<Value> {
    Json(json!({"cloud": {"disabled": true, "source": "config"}}))
}

/// `POST /api/me`: there are no accounts.
pub(super) async fn me() -> (StatusCode, Json<Value>) {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({"error": "account unavailable"})),
    )
}

/// `POST /api/experimental/web_search`.
pub(super) async fn web_search() -> ApiError {
    ApiError::Forbidden("ollama cloud is disabled: web search is unavailable".to_owned())
}

/// `POST /api/experimental/web_fetch`.
pub(super) async fn web_fetch() -> ApiError {
    ApiError::Forbidden("ollama cloud is disabled: web fetch is unavailable".to_owned())
}
