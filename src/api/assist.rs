//! The assistant layer's own routes.

mod body;
pub(crate) mod complete;
pub(crate) mod generate;
mod held;
pub(crate) mod models;
pub(crate) mod project;
pub(crate) mod review;
pub(crate) mod sql;

use axum::Router;
use axum::routing::{get, post};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::{ModelName, StoreError};

use super::App;
use super::catalog::Model;
use super::error::{ApiError, Route};

#[cfg(feature = "rag")]
pub(crate) use body::receive;
pub(crate) use body::{AssistBody, read as read_object};
pub(crate) use generate::in_time;
pub(crate) use held::HeldModel;

/// All of them.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/ai/models", get(models::models))
        .route("/ai/generate", post(generate::generate))
        .route("/ai/code/complete", post(complete::complete))
        .route("/ai/code/generate", post(project::generate))
        .route(
            "/ai/code/generate/{conversation_id}/archive",
            get(project::archive),
        )
        .route("/ai/code/review", post(review::review))
        .merge(sql::router())
}

/// What every error looks like.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What to do about it, in one sentence.
    #[schema(example = "field 'prompt' is required")]
    error: String,
}

/// The model that answers who names none.
pub(crate) async fn default_model(app: &App) -> Result<Model, ApiError> {
    model(app, None).await
}

/// The model that a request names, or the configured one. If that one is not here, it is a fault of the
/// service and the error says how to mend it.
pub(crate) async fn model(app: &App, name: Option<&str>) -> Result<Model, ApiError> {
    let usual = &app.config.assist_model;
    let name = name.filter(|name| !name.is_empty()).unwrap_or(usual);
    match app.model(Route::Generate, name).await {
        Err(ApiError::Model {
            source: StoreError::NotFound(_),
            ..
        }) if is_same(name, usual) => Err(ApiError::ModelAbsent(usual.clone())),
        found => found,
    }
}

fn is_same(a: &str, b: &str) -> bool {
    let parse = |name| ModelName::local(name).ok();
    parse(a).is_some() && parse(a) == parse(b)
}

/// A whole number of a request, within bounds.
fn within(field: &'static str, value: u32, least: u32, most: u32) -> Result<u32, ApiError> {
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(ApiError::Field {
            field: field.to_owned(),
            problem: format!("must be from {least} to {most}"),
        }),
    }
}
