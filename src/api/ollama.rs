//! Ollama's own routes.

mod blobs;
mod chat;
mod copy;
mod create;
mod delete;
mod embed;
mod embeddings;
mod generate;
pub(crate) mod models;
mod progress;
mod ps;
mod show;
mod status;
mod tags;
mod transfer;
mod version;
pub(crate) mod wire;

pub(crate) use version::VERSION;

use axum::Router;
use axum::routing::{delete, get, head, post};

use super::{App, fallback};

/// All of them. `HEAD` is answered only where Ollama does.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/", get(status::root))
        .route("/api/version", get(version::version))
        .route("/api/tags", get(tags::tags))
        .route("/api/ps", get(ps::ps).head(fallback::method_not_allowed))
        .route(
            "/api/status",
            get(status::status).head(fallback::method_not_allowed),
        )
        .route("/api/show", post(show::show))
        .route("/api/generate", post(generate::generate))
        .route("/api/chat", post(chat::chat))
        .route("/api/embed", post(embed::embed))
        .route("/api/embeddings", post(embeddings::embeddings))
        .route("/api/pull", post(transfer::pull))
        .route("/api/push", post(transfer::push))
        .route("/api/create", post(create::create))
        .route("/api/copy", post(copy::copy))
        .route("/api/delete", delete(delete::delete))
        .route(
            "/api/blobs/{digest}",
            head(blobs::exists).post(blobs::upload),
        )
        .route("/api/me", post(status::me))
        .route("/api/experimental/web_search", post(status::web_search))
        .route("/api/experimental/web_fetch", post(status::web_fetch))
}
