//! OpenAI's routes, translated to the same verbs as Ollama's.

mod chat;
mod completions;
mod content;
mod embeddings;
mod models;
mod responses;
mod wire;

use axum::Router;
use axum::routing::{get, post};

use super::{App, fallback};

pub(crate) use content::effort;

/// All of them.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/v1/chat/completions", post(chat::chat))
        .route("/v1/completions", post(completions::completions))
        .route("/v1/embeddings", post(embeddings::embeddings))
        .route(
            "/v1/models",
            get(models::list).head(fallback::method_not_allowed),
        )
        .route(
            "/v1/models/{model}",
            get(models::one).head(fallback::method_not_allowed),
        )
        .route("/v1/responses", post(responses::responses))
}
