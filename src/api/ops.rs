//! Routes for operators and their machines.

mod docs;
mod health;
mod observe;

use axum::Router;
use axum::routing::get;

use super::App;

pub(crate) use observe::observe;

/// All of them.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/services/status", get(health::services))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(docs::openapi))
        .route("/docs", get(docs::page))
}
