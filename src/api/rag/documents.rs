//! `/rag/documents`.

use axum::extract::{FromRequest, Multipart, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::api::App;
use crate::api::assist::ErrorBody;
use crate::api::error::{ApiError, AssistError};
use crate::rag::embed::Embedder;
use crate::rag::jobs::Job;
use crate::rag::library::LibraryError;

use super::wire::{DocumentView, JobView};
use super::{Rag, upload, wire};

const PAGE: usize = 50;
const LARGEST_PAGE: usize = 500;

/// One document as JSON; files come as `multipart/form-data`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"title": "House rules", "text": "No shoes on the sofa.", "collection": "home"}))]
pub(super) struct NewText {
    /// What to call it.
    pub(super) title: Option<String>,
    /// The text itself.
    pub(super) text: String,
    /// `txt` (the usual), `md`, `html`, `csv` or `json`: how the text is to be read.
    pub(super) format: Option<String>,
    /// Where it came from.
    pub(super) url: Option<String>,
    /// The collection it goes into (`default`); made if it is not there.
    pub(super) collection: Option<String>,
    /// What to label it with: texts, numbers, true or false by name.
    #[schema(value_type = Object)]
    pub(super) metadata: Option<Map<String, Value>>,
}

/// The files of a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read field by field")]
struct NewFiles {
    /// One or more files: txt, md, html, pdf, docx, csv or json.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<String>,
    collection: Option<String>,
    /// Only with one file.
    title: Option<String>,
    /// Only with one file.
    url: Option<String>,
    /// A JSON object.
    metadata: Option<String>,
}

/// A job that was begun.
#[derive(Serialize, ToSchema)]
struct Begun {
    job_id: String,
    /// How it is.
    job: JobView,
}

/// Which documents to list.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct ListQuery {
    /// Only this collection.
    collection: Option<String>,
    /// As many at most (50, at most 500).
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// A part of the list.
#[derive(Serialize, ToSchema)]
pub(super) struct Listed {
    /// Latest first.
    documents: Vec<DocumentView>,
    /// What to ask for `after` to see more; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Adds documents: a job. A document is there whole or not at all; the same bytes twice are one document.
#[utoipa::path(post, path = "/rag/documents", tag = "documents",
    request_body(content((NewText = "application/json"), (NewFiles = "multipart/form-data"))), responses(
    (status = 202, description = "They wait; ask for the job", body = Begun),
    (status = 400, description = "A field is missing or wrong, or a file is of a kind that is not read", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 413, description = "A file is larger than 32 MiB", body = ErrorBody),
    (status = 429, description = "Over the limit", body = ErrorBody),
    (status = 503, description = "The embedding model is not here, or too many documents wait", body = ErrorBody)))]
pub(super) async fn add(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, AssistError> {
    let rag = app.rag().await?;
    // Better no now than a job that fails.
    rag.embedder.facts().await.map_err(LibraryError::from)?;
    let job = match is_form(&request) {
        true => {
            let form = Multipart::from_request(request, &()).await;
            let form = form.map_err(|_| ApiError::BadRequest(upload::BAD_FORM.to_owned()))?;
            upload::form(&rag, &caller, form).await?
        }
        false => upload::json(&rag, &caller, request.into_body()).await?,
    };
    Ok(begun(&job))
}

/// Documents, latest first.
#[utoipa::path(get, path = "/rag/documents", tag = "documents", params(ListQuery), responses(
    (status = 200, description = "They", body = Listed),
    (status = 401, description = "No or bad credentials", body = ErrorBody)))]
pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Listed>, AssistError> {
    let Query(query) =
        query.map_err(|_| wire::wrong("limit", "must be a whole number, 0 or more"))?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let problem = format!("must be from 1 to {LARGEST_PAGE}");
        return Err(wire::wrong("limit", &problem).into());
    }
    let rag = app.rag().await?;
    let (collection, after) = (query.collection.as_deref(), query.after.as_deref());
    let page = rag
        .library
        .documents(&caller.tenant, collection, after, limit);
    let documents = page.documents.iter().map(|d| DocumentView::from(&**d));
    Ok(Json(Listed {
        documents: documents.collect(),
        next: page.next,
    }))
}

/// One document.
#[utoipa::path(get, path = "/rag/documents/{id}", tag = "documents", params(("id" = String, Path)), responses(
    (status = 200, description = "It", body = DocumentView),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such document", body = ErrorBody)))]
pub(super) async fn one(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<DocumentView>, AssistError> {
    let rag = app.rag().await?;
    let document = rag.library.document(&caller.tenant, &id);
    let document = document.ok_or_else(|| unknown(id))?;
    Ok(Json(DocumentView::from(&*document)))
}

/// Removes a document.
#[utoipa::path(delete, path = "/rag/documents/{id}", tag = "documents", params(("id" = String, Path)), responses(
    (status = 204, description = "It is gone"),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such document", body = ErrorBody)))]
pub(super) async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, AssistError> {
    let rag: std::sync::Arc<Rag> = app.rag().await?;
    // In a task of its own, which goes on where the client does not wait for its end.
    let removal = tokio::spawn(async move { rag.library.remove(&caller.tenant, &id).await });
    removal.await.map_err(|_| LibraryError::Task)??;
    Ok(StatusCode::NO_CONTENT)
}

fn unknown(id: String) -> LibraryError {
    LibraryError::UnknownDocument(id)
}

fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/form-data"))
}

fn begun(job: &Job) -> Response {
    let location = format!("/rag/jobs/{}", job.id);
    let body = Begun {
        job_id: job.id.clone(),
        job: job.into(),
    };
    let headers = [(header::LOCATION, location)];
    (StatusCode::ACCEPTED, headers, Json(body)).into_response()
}
