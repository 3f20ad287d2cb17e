//! `POST /ai/code/review`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream;
use serde::Deserialize;
use serde_json::Map;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::error::{ApiError, AssistError};
use crate::api::stream::{Frame, Framing, streamed};
use crate::api::verbs::{Subject, TextRequest};
use crate::code::review::{Change, Review};
use crate::prompt::{Message, Think};

use super::generate::{in_time, write};
use super::{AssistBody, ErrorBody, within};

const REMARKS: u32 = 6;
const MOST_REMARKS: u32 = 20;
/// Enough for all remarks at their longest.
const TOKENS_PER_REMARK: u32 = 200;

/// A change.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"diff": "--- a/f.py\n+++ b/f.py\n@@ -1 +1 @@\n-x = 1\n+x = 1 / 0\n", "language": "python"}))]
pub(crate) struct ReviewRequest {
    /// A unified diff, as `git diff` writes it.
    diff: String,
    /// The language, by any name.
    language: Option<String>,
    /// Remarks at most (6, at most 20).
    max_comments: Option<u32>,
    /// A model of `/ai/models`; absent: the configured one.
    model: Option<String>,
    /// Whether to answer in server-sent events; a review is whole or nothing, so there is one.
    stream: Option<bool>,
}

/// Remarks on a change. They name only files and added lines that the diff has.
#[utoipa::path(post, path = "/ai/code/review", tag = "assistant", request_body = ReviewRequest, responses(
    (status = 200, description = "What there is to say", body = Review),
    (status = 400, description = "A field is missing or wrong, or the diff is none", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such model", body = ErrorBody),
    (status = 413, description = "More than the model can read", body = ErrorBody),
    (status = 422, description = "The review did not come to an end", body = ErrorBody),
    (status = 429, description = "Over the limit", body = ErrorBody),
    (status = 503, description = "The model is not here, or too many ask", body = ErrorBody)))]
pub(crate) async fn review(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    AssistBody(request): AssistBody<ReviewRequest>,
) -> Result<Response, AssistError> {
    let most = request.max_comments.unwrap_or(REMARKS);
    let most = within("max_comments", most, 1, MOST_REMARKS)?;
    let change = Change::read(&request.diff).map_err(|error| ApiError::Field {
        field: "diff".to_owned(),
        problem: error.to_string(),
    })?;
    let model = super::model(&app, request.model.as_deref()).await?;
    let language = request.language.unwrap_or_default();
    let asked = question(&change, &model.stored.name.to_string(), &language, most);
    let writing = async { write(&app, &caller, asked).await?.whole().await };
    let (piece, _) = in_time(app.config.assist_timeout, writing).await?;
    let review = change
        .review(&piece.content)
        .ok_or(ApiError::Unfinished("review"))?;
    if request.stream.unwrap_or(false) {
        let result = Frame::event("result", &review);
        return Ok(streamed(Framing::Events, stream::once(async { result })));
    }
    Ok(Json(review).into_response())
}

fn question(change: &Change, model: &str, language: &str, most: u32) -> TextRequest {
    let mut options = Map::new();
    options.insert("temperature".to_owned(), 0.into());
    let tokens = TOKENS_PER_REMARK * (most + 1);
    options.insert("num_predict".to_owned(), tokens.into());
    TextRequest {
        model: model.to_owned(),
        subject: Subject::Chat(vec![Message::new("user", change.prompt(language))]),
        options: Some(options),
        format: Some(change.form(most as usize)),
        think: Some(Think::Off),
        think_if_possible: true,
        truncate: Some(false),
        ..TextRequest::default()
    }
}
