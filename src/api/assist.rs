//! The assistant layer's own routes.

mod models;

use axum::Router;
use axum::routing::get;

use super::App;

/// All of them.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/ai/models", get(models::models))
}
