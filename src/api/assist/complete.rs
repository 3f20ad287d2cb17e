//! `POST /ai/code/complete`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::catalog::Model;
use crate::api::error::{ApiError, AssistError, Missing};
use crate::api::options::Options;
use crate::api::stream::{Frame, Framing, streamed};
use crate::code::{self, CompletionKey, CompletionRequest, Completions};
use crate::eval::Gap;
use crate::ops::metrics;

use super::generate::in_time;
use super::{AssistBody, ErrorBody, within};

const CANDIDATES: u32 = 3;
const MOST_CANDIDATES: u32 = 8;
const MAX_TOKENS: u32 = 64;
const MOST_TOKENS: u32 = 512;

/// A place in some code.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"code": "function calculateTotal(items) {\n  let sum = 0;\n  ",
    "language": "javascript", "cursor_position": 45}))]
pub(crate) struct CompleteRequest {
    /// The whole file, or as much of it as there is.
    code: String,
    /// Its language, by any name; absent or unknown does no harm.
    language: Option<String>,
    /// Where the cursor is: UTF-16 units before it, as browsers and editors count.
    cursor_position: u64,
    /// Versions wanted (3, at most 8). There are fewer answers where the model repeats itself.
    n: Option<u32>,
    /// Tokens of each version at most (64, at most 512).
    max_tokens: Option<u32>,
    /// A model of `/ai/models`; absent: the configured one.
    model: Option<String>,
    /// Whether to answer in server-sent events; the versions come together, so there is one.
    stream: Option<bool>,
}

/// What could stand there.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CompleteResponse {
    /// Texts to insert at the cursor: those first with which the code parses, of them the likeliest.
    completions: Vec<String>,
    /// How sure the model is of the first one, from 0 to 1.
    confidence: f64,
}

/// Code at a cursor.
#[utoipa::path(post, path = "/ai/code/complete", tag = "assistant", request_body = CompleteRequest, responses(
    (status = 200, description = "What could stand there", body = CompleteResponse),
    (status = 400, description = "A field is missing or wrong, or the cursor is nowhere", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such model", body = ErrorBody),
    (status = 429, description = "Over the limit", body = ErrorBody),
    (status = 503, description = "The model is not here, or too many ask", body = ErrorBody)))]
pub(crate) async fn complete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    AssistBody(request): AssistBody<CompleteRequest>,
) -> Result<Response, AssistError> {
    let is_stream = request.stream.unwrap_or(false);
    let model = super::model(&app, request.model.as_deref()).await?;
    let request = request.translate(&caller)?;
    let found = in_time(app.config.assist_timeout, find(&app, &model, request)).await?;
    let response = CompleteResponse {
        completions: found.texts.clone(),
        confidence: (found.confidence * 1e4).round() / 1e4,
    };
    if is_stream {
        let result = Frame::event("result", &response);
        let frames = stream::once(async { result });
        return Ok(streamed(Framing::Events, frames));
    }
    Ok(Json(response).into_response())
}

/// The completions of this place, out of the cache or from the model.
async fn find(
    app: &App,
    model: &Model,
    request: CompletionRequest,
) -> Result<Arc<Completions>, ApiError> {
    if !model.completes() {
        let model = model.stored.name.to_string();
        let ability = "generate";
        return Err(ApiError::Missing(vec![Missing { model, ability }]));
    }
    let key = CompletionKey::new(&model.stored.digest, &request);
    let known = app.completions.find(&key);
    metrics::completion_cache(known.is_some());
    if let Some(known) = known {
        return Ok(known);
    }
    let options = Options::merge(&model.stored.params, None)?;
    let lease = app.load(model, &options, None).await?;
    let found = Arc::new(code::complete(&lease, request).await?);
    app.completions.keep(key, found.clone());
    Ok(found)
}

/// The first of as many versions as are made by default, from a model of that name.
pub(crate) async fn first(app: &App, model: &str, gap: Gap) -> Result<String, ApiError> {
    let model = super::model(app, Some(model)).await?;
    let request = CompletionRequest {
        prefix: gap.prefix,
        suffix: gap.suffix,
        language: gap.language.to_owned(),
        candidates: CANDIDATES as usize,
        max_tokens: MAX_TOKENS as usize,
        tenant: Caller::local().tenant,
    };
    let found = find(app, &model, request).await?;
    Ok(found.texts.first().cloned().unwrap_or_default())
}

impl CompleteRequest {
    fn translate(self, caller: &Caller) -> Result<CompletionRequest, ApiError> {
        let n = within("n", self.n.unwrap_or(CANDIDATES), 1, MOST_CANDIDATES)?;
        let tokens = self.max_tokens.unwrap_or(MAX_TOKENS);
        let tokens = within("max_tokens", tokens, 1, MOST_TOKENS)?;
        let cursor = usize::try_from(self.cursor_position).unwrap_or(usize::MAX);
        let (prefix, suffix) =
            code::split_at(&self.code, cursor).map_err(|error| ApiError::Field {
                field: "cursor_position".to_owned(),
                problem: error.to_string(),
            })?;
        Ok(CompletionRequest {
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            language: self.language.unwrap_or_default(),
            candidates: n as usize,
            max_tokens: tokens as usize,
            tenant: caller.tenant.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn translated(value: Value) -> Result<CompletionRequest, String> {
        let request: CompleteRequest = serde_json::from_value(value).unwrap();
        let request = request.translate(&Caller::local());
        request.map_err(|error| error.to_string())
    }

    #[test]
    fn a_place_is_split_at_its_cursor() {
        let code = "function calculateTotal(items) {\n  let sum = 0;\n  ";
        let place = json!({"code": code, "language": "javascript", "cursor_position": 45});
        let request = translated(place).unwrap();
        assert!(request.prefix.ends_with("let sum = "), "{request:?}");
        assert_eq!((request.candidates, request.max_tokens), (3, 64));
    }

    #[test]
    fn wrong_numbers_are_named() {
        for (more, want) in [
            (
                json!({"cursor_position": 9}),
                "field 'cursor_position' must be from 0 to 3",
            ),
            (
                json!({"cursor_position": 1}),
                "field 'cursor_position' must not be inside",
            ),
            (json!({"n": 0}), "field 'n' must be from 1 to 8"),
            (
                json!({"max_tokens": 513}),
                "field 'max_tokens' must be from 1 to 512",
            ),
        ] {
            let mut place = json!({"code": "😀b", "cursor_position": 0});
            let fields = more.as_object().unwrap().clone();
            place.as_object_mut().unwrap().extend(fields);
            let error = translated(place).unwrap_err();
            assert!(error.starts_with(want), "{error}");
        }
    }
}
