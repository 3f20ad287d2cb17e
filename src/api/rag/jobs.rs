//! `/rag/jobs`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::assist::ErrorBody;
use crate::api::error::AssistError;
use crate::api::stream::{Frame, Framing, streamed};

use super::Rag;
use super::wire::JobView;

/// The caller's jobs.
#[derive(Serialize, ToSchema)]
pub(super) struct Listed {
    /// Latest first.
    jobs: Vec<JobView>,
}

/// Jobs of the last day.
#[utoipa::path(get, path = "/rag/jobs", tag = "documents", responses(
    (status = 200, description = "They", body = Listed),
    (status = 401, description = "No or bad credentials", body = ErrorBody)))]
pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Listed>, AssistError> {
    let rag = app.rag().await?;
    let jobs = rag.jobs.list(&caller.tenant);
    Ok(Json(Listed {
        jobs: jobs.iter().map(JobView::from).collect(),
    }))
}

/// How a job is. With `Accept: text/event-stream`: `progress` whenever that changes, and one `result` at its end.
#[utoipa::path(get, path = "/rag/jobs/{id}", tag = "documents", params(("id" = String, Path)), responses(
    (status = 200, description = "How it is", body = JobView),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such job", body = ErrorBody)))]
pub(super) async fn one(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, AssistError> {
    let rag = app.rag().await?;
    let job = JobView::from(&rag.jobs.job(&caller.tenant, &id)?);
    let accept = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok());
    match accept.is_some_and(|kinds| kinds.contains("text/event-stream")) {
        true => Ok(events(rag, caller, id)),
        false => Ok(Json(job).into_response()),
    }
}

/// Ends a job. Documents that it has added stay.
#[utoipa::path(delete, path = "/rag/jobs/{id}", tag = "documents", params(("id" = String, Path)), responses(
    (status = 200, description = "It ends", body = JobView),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such job", body = ErrorBody),
    (status = 422, description = "It has ended", body = ErrorBody)))]
pub(super) async fn cancel(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<JobView>, AssistError> {
    let rag = app.rag().await?;
    let job = rag.jobs.cancel(&caller.tenant, &id)?;
    Ok(Json(JobView::from(&job)))
}

/// Tries again what could not be added and can go better now.
#[utoipa::path(post, path = "/rag/jobs/{id}/retry", tag = "documents", params(("id" = String, Path)), responses(
    (status = 200, description = "It waits again", body = JobView),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such job", body = ErrorBody),
    (status = 422, description = "There is nothing to try again", body = ErrorBody),
    (status = 503, description = "Too many documents wait", body = ErrorBody)))]
pub(super) async fn retry(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<JobView>, AssistError> {
    let rag = app.rag().await?;
    let job = rag.jobs.retry(&caller.tenant, &id)?;
    Ok(Json(JobView::from(&job)))
}

/// Events until the job's end; what was sent is not sent again.
fn events(rag: Arc<Rag>, caller: Caller, id: String) -> Response {
    let changes = rag.jobs.changes();
    let begin = (changes, None::<JobView>, false);
    let frames = stream::unfold(begin, move |(mut changes, sent, is_over)| {
        let (rag, tenant, id) = (Arc::clone(&rag), caller.tenant.clone(), id.clone());
        async move {
            if is_over {
                return None;
            }
            loop {
                changes.borrow_and_update();
                let job = match rag.jobs.job(&tenant, &id) {
                    Ok(job) => JobView::from(&job),
                    Err(error) => {
                        let frame = Frame::event("error", &AssistError::from(error).body());
                        return Some((frame, (changes, None, true)));
                    }
                };
                let is_over = job.state.is_end();
                if is_over {
                    return Some((Frame::event("result", &job), (changes, None, true)));
                }
                if sent.as_ref() != Some(&job) {
                    let frame = Frame::event("progress", &job);
                    return Some((frame, (changes, Some(job), false)));
                }
                if changes.changed().await.is_err() {
                    return None;
                }
            }
        }
    });
    streamed(Framing::Events, frames)
}
