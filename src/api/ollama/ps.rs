//! `GET /api/ps`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::api::catalog::blocking;
use crate::api::error::{ApiError, Route};
use crate::api::{App, times};
use crate::engine::Running;

use super::models::Details;

#[derive(Serialize)]
pub(super) struct Processes {
    models: Vec<Process>,
}

#[derive(Serialize)]
struct Process {
    name: String,
    model: String,
    size: u64,
    digest: String,
    details: Option<Details>,
    expires_at: String,
    size_vram: u64,
    context_length: usize,
}

/// `GET /api/ps`: the models in memory, the one that stays longest first.
pub(super) async fn ps(State(app): State<App>) -> Result<Json<Processes>, ApiError> {
    blocking(move || {
        let running = app.engine.running().into_iter();
        let models = running.map(|running| process(&app, running)).collect();
        Ok(Json(Processes { models }))
    })
    .await
}

fn process(app: &App, running: Running) -> Process {
    // A model may have been deleted since it was loaded.
    let stored = app.stored(Route::Show, &running.name).ok();
    Process {
        model: running.name.clone(),
        name: running.name,
        size: running.size_bytes,
        digest: stored
            .as_ref()
            .map(|stored| stored.digest.clone())
            .unwrap_or_default(),
        details: stored.map(|stored| Details {
            parent_model: String::new(),
            ..Details::of(&stored)
        }),
        expires_at: times::expiry(running.expires_at),
        size_vram: 0,
        context_length: running.context_tokens,
    }
}
