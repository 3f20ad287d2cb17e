//! Whether the service lives, can answer, and how its parts are.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::App;
use crate::api::assist::default_model;
use crate::api::catalog::blocking;
use crate::api::error::{ApiError, AssistError};
use crate::ops::services::{Health, Service};
use crate::store::StoredModel;

const GGUF_MAGIC: &[u8; 4] = b"GGUF";
/// What Prometheus calls its text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    #[schema(example = "ok")]
    status: &'static str,
    /// Of this program.
    version: &'static str,
}

/// A model can answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    #[schema(example = "ready")]
    status: &'static str,
    /// The one that answers who names none.
    model: String,
}

/// Whether the process lives.
#[utoipa::path(get, path = "/health", tag = "operations", security(()),
    responses((status = 200, description = "It does", body = Alive)))]
pub(crate) async fn health() -> Json<Alive> {
    Json(Alive {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Whether the assistant's model is here to answer.
#[utoipa::path(get, path = "/ready", tag = "operations", security(()), responses(
    (status = 200, description = "It is", body = Ready),
    (status = 503, description = "It has to be pulled first", body = crate::api::assist::ErrorBody)))]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Ready>, AssistError> {
    let model = default_model(&app).await?;
    Ok(Json(Ready {
        status: "ready",
        model: model.stored.name.to_string(),
    }))
}

/// How the engine and each model are.
#[utoipa::path(get, path = "/services/status", tag = "operations", security(()),
    responses((status = 200, description = "One entry per part", body = Vec<Service>)))]
pub(crate) async fn services(State(app): State<App>) -> Result<Json<Vec<Service>>, AssistError> {
    let has_model = default_model(&app).await.is_ok();
    let mut others = Vec::new();
    others.extend(redis_status(&app).await);
    #[cfg(feature = "rag")]
    others.push(app.documents_status().await);
    let mut all = blocking(move || look_at_all(&app, has_model)).await?;
    all.append(&mut others);
    Ok(Json(all))
}

/// The Redis that limits are kept in, if they are. Its address may hold a password, so ours stands for it.
async fn redis_status(app: &App) -> Option<Service> {
    let started = Instant::now();
    let status = match app.access.limits().redis_answers().await? {
        true => Health::Up,
        // Requests are counted here meanwhile.
        false => Health::Degraded,
    };
    Some(Service::since(
        started,
        "redis".to_owned(),
        &app.url,
        status,
    ))
}

fn look_at_all(app: &App, has_model: bool) -> Result<Vec<Service>, ApiError> {
    let mut loaded = Vec::new();
    let engine = Service::look("engine".to_owned(), &app.url, || {
        loaded = app.engine.running();
        match has_model {
            true => Health::Up,
            false => Health::Degraded,
        }
    });
    let mut services = vec![engine];
    for stored in app.store.models()? {
        // Models without weights run elsewhere, and never here.
        let Some(path) = stored.model_path.clone() else {
            continue;
        };
        let name = format!("model {}", stored.name);
        services.push(Service::look(name, &app.url, || {
            let is_loaded = loaded.iter().any(|running| running.path == path);
            match is_loaded || is_model(app, stored, &path) {
                true => Health::Up,
                false => Health::Down,
            }
        }));
    }
    Ok(services)
}

/// Whether a file is there and can be a model. Its header is read once and remembered, so that this costs
/// little however often it is asked.
fn is_model(app: &App, stored: StoredModel, path: &Path) -> bool {
    let mut magic = [0; GGUF_MAGIC.len()];
    let begins = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    begins.is_ok() && &magic == GGUF_MAGIC && app.describe(stored).is_ok()
}

/// Counters and times, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()),
    responses((status = 200, description = "Prometheus' text format", body = String)))]
pub(crate) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let text = crate::ops::metrics::render(&app.engine.running());
    ([(header::CONTENT_TYPE, METRICS_TYPE)], text)
}
