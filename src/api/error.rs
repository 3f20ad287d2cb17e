//! The one place where errors become statuses and bodies.

mod status;

use std::error::Error;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tracing::error;

use crate::access::AccessError;
use crate::coach::history::HistoryError;
use crate::engine::EngineError;
use crate::prompt::MessageError;
use crate::prompt::render::PromptError;
use crate::rag::SearchError;
#[cfg(feature = "rag")]
use crate::rag::{jobs::JobError, library::LibraryError};
use crate::store::StoreError;

use super::body::BodyError;
use super::options::OptionError;

use status::{access_status, engine_status, model_error, prompt_status, store_status};
#[cfg(feature = "rag")]
use status::{job_status, library_status};

/// What nginx answers to clients that are gone.
const CLIENT_CLOSED_REQUEST: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

/// When to come back to a server that is busy or not ready.
const RETRY_SECONDS: u64 = 5;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body cannot be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The model the client named; every route words this in its own way.
    #[error("{}", model_error(*.route, .name, .source).1)]
    Model {
        /// Who words it.
        route: Route,
        /// The name as the client wrote it.
        name: String,
        /// What is the matter with it.
        source: StoreError,
    },
    /// The model lacks something that the request needs.
    #[error("{}", missing_text(.0))]
    Missing(Vec<Missing>),
    /// The store failed, apart from names.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A template failed.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A tool or the `think` field makes no sense.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// An option of the wrong type.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The header of the model's file cannot be read.
    #[error(transparent)]
    File(#[from] wick_models::Error),
    /// `format` is none; holds the JSON.
    #[error("invalid format: {0:?}; expected \"json\" or a valid JSON Schema object")]
    Format(String),
    /// The caller is not let in, or not now.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A field of a request that is not as it should be.
    #[error("field '{field}' {problem}")]
    Field {
        /// Its name, or its path in the body.
        field: String,
        /// What is wrong with it, without its value.
        problem: String,
    },
    /// A body that is too long.
    #[error("the body is longer than {limit_bytes} bytes: send less")]
    BodyTooLarge {
        /// What it may have.
        limit_bytes: usize,
    },
    /// A field of a request that is too long.
    #[error("field '{field}' is longer than {limit_bytes} bytes: send less")]
    FieldTooLarge {
        /// Its name.
        field: &'static str,
        /// What it may have.
        limit_bytes: usize,
    },
    /// Something else that is too large, in the words of the route.
    #[error("{0}")]
    TooLarge(String),
    /// Documents cannot be searched.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// What was said to the coach cannot be read or forgotten.
    #[error(transparent)]
    History(HistoryError),
    /// The model that the assistant works with is not on disk.
    #[error("the model '{0}' is not here yet: run 'wick pull {0}' on the server")]
    ModelAbsent(String),
    /// The answer took longer than it may.
    #[error("the answer took longer than {0} seconds: ask for less or try again later")]
    TimedOut(u64),
    /// An answer in a form that was cut off before the form was whole.
    #[error("the {0} did not come to an end: ask about less")]
    Unfinished(&'static str),
    /// Something that was understood and cannot be, in the words of the route.
    #[error("{0}")]
    Impossible(String),
    /// A database that is not there now.
    #[error("{0}")]
    Unavailable(String),
    /// A database that took too long.
    #[error("{0}")]
    Late(String),
    /// A request that makes no sense, in the words of the route.
    #[error("{0}")]
    BadRequest(String),
    /// Something the client may not do here.
    #[error("{0}")]
    Forbidden(String),
    /// Something that is not here.
    #[error("{0}")]
    NotFound(String),
    /// The prompt does not fit and may not be cut.
    #[error(
        "the prompt is longer than the context length currently available to the model; shorten the \
         prompt, adjust the context length in settings, or use a model with a longer context length"
    )]
    PromptTooLong,
    /// Work on another thread came to an unexpected end.
    #[error("internal error")]
    Task,
    /// Documents have no place.
    #[cfg(feature = "rag")]
    #[error("there is no folder for documents: set WICK_DATA and start the server again")]
    NoDataFolder,
    /// The library of documents.
    #[cfg(feature = "rag")]
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// Jobs that add documents.
    #[cfg(feature = "rag")]
    #[error(transparent)]
    Job(#[from] JobError),
}

/// Something a model cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The name to blame, quoted where the route quotes it.
    pub model: String,
    /// The ability.
    pub ability: &'static str,
}

/// Routes that word errors about models in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Text from a prompt.
    Generate,
    /// Text from messages.
    Chat,
    /// Vectors.
    Embed,
    /// One vector, the old way.
    Embeddings,
    /// Details.
    Show,
    /// Removal.
    Delete,
    /// From a registry.
    Pull,
    /// To a registry.
    Push,
    /// From files or another model.
    Create,
    /// A second name.
    Copy,
}

/// Whose shape an error's body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `{"error": "..."}`
    Ollama,
    /// The same, with statuses that are true where Ollama's are not.
    Assist,
    /// `{"error": {"message", "type", "param", "code"}}`
    OpenAi,
    /// `{"type": "error", "error": {"type", "message"}, "request_id"}`
    Anthropic,
}

/// An error that is answered in OpenAI's shape.
pub(crate) struct OpenAiError(pub ApiError);

/// An error that is answered in Anthropic's shape.
pub(crate) struct AnthropicError(pub ApiError);

/// An error of the assistant's routes.
pub(crate) struct AssistError(pub ApiError);

impl ApiError {
    /// The status of an answer that has not begun.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            ApiError::Body(error) => match error {
                BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                BodyError::Missing | BodyError::Json(_) | BodyError::Read(_) => {
                    StatusCode::BAD_REQUEST
                }
            },
            ApiError::Model {
                route,
                name,
                source,
            } => model_error(*route, name, source).0,
            ApiError::Store(error) => store_status(error),
            ApiError::Engine(error) => engine_status(error),
            ApiError::Prompt(error) => prompt_status(error),
            ApiError::Missing(_)
            | ApiError::Message(_)
            | ApiError::Field { .. }
            | ApiError::BadRequest(_)
            | ApiError::PromptTooLong => StatusCode::BAD_REQUEST,
            ApiError::BodyTooLarge { .. }
            | ApiError::FieldTooLarge { .. }
            | ApiError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::Search(SearchError::Tables(_)) | ApiError::History(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            ApiError::Unfinished(_) | ApiError::Impossible(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ApiError::ModelAbsent(_)
            | ApiError::Unavailable(_)
            | ApiError::Search(SearchError::Embedder { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::TimedOut(_) | ApiError::Late(_) => StatusCode::GATEWAY_TIMEOUT,
            ApiError::Access(error) => access_status(error),
            ApiError::Forbidden(_) => StatusCode::FORBIDDEN,
            ApiError::NotFound(_) => StatusCode::NOT_FOUND,
            #[cfg(feature = "rag")]
            ApiError::NoDataFolder => StatusCode::SERVICE_UNAVAILABLE,
            #[cfg(feature = "rag")]
            ApiError::Library(error) => library_status(error),
            #[cfg(feature = "rag")]
            ApiError::Job(error) => job_status(error),
            // Options and formats are read after the model is loaded, where clients expect a 500.
            ApiError::Option(_) | ApiError::Format(_) | ApiError::File(_) | ApiError::Task => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// The status as clients of a dialect expect it.
    fn status_in(&self, dialect: Dialect) -> StatusCode {
        match (dialect, self) {
            (Dialect::Assist, ApiError::Option(_) | ApiError::Format(_)) => StatusCode::BAD_REQUEST,
            (Dialect::Assist, ApiError::PromptTooLong) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => self.status(),
        }
    }

    /// Status, headers and body; what is the server's fault is logged.
    pub(crate) fn answer(&self, dialect: Dialect) -> Response {
        let status = self.status_in(dialect);
        if status.is_server_error() {
            error!(status = status.as_u16(), "{}", chain(self));
        }
        (status, self.headers(), Json(self.body(dialect))).into_response()
    }

    /// What a client should do about it, for machines to read.
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match (self.status(), self) {
            (StatusCode::UNAUTHORIZED, ApiError::Access(AccessError::Missing)) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            (StatusCode::UNAUTHORIZED, _) => {
                let value = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(header::WWW_AUTHENTICATE, value);
            }
            (_, ApiError::Access(AccessError::Limit { budget, .. })) => {
                headers.insert(header::RETRY_AFTER, budget.wait_seconds.into());
            }
            (StatusCode::SERVICE_UNAVAILABLE, _) => {
                headers.insert(header::RETRY_AFTER, RETRY_SECONDS.into());
            }
            _ => {}
        }
        headers
    }

    /// The body of an answer, or the last piece of a stream.
    pub(crate) fn body(&self, dialect: Dialect) -> Value {
        let (status, text) = (self.status(), self.to_string());
        match dialect {
            Dialect::Ollama | Dialect::Assist => json!({"error": text}),
            Dialect::OpenAi => json!({"error": {
                "message": match self {
                    ApiError::Body(BodyError::Missing) => "EOF".to_owned(),
                    _ => text,
                },
                "type": match status {
                    StatusCode::BAD_REQUEST => "invalid_request_error",
                    StatusCode::UNAUTHORIZED => "authentication_error",
                    StatusCode::NOT_FOUND => "not_found_error",
                    _ => "api_error",
                },
                "param": null,
                "code": null,
            }}),
            Dialect::Anthropic => json!({
                "type": "error",
                "error": {"type": anthropic_type(status), "message": text},
                "request_id": super::ids::hex24("req_"),
            }),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.answer(Dialect::Ollama)
    }
}

impl<E: Into<ApiError>> From<E> for OpenAiError {
    fn from(error: E) -> Self {
        OpenAiError(error.into())
    }
}

impl IntoResponse for OpenAiError {
    fn into_response(self) -> Response {
        self.0.answer(Dialect::OpenAi)
    }
}

impl<E: Into<ApiError>> From<E> for AnthropicError {
    fn from(error: E) -> Self {
        AnthropicError(error.into())
    }
}

impl IntoResponse for AnthropicError {
    fn into_response(self) -> Response {
        self.0.answer(Dialect::Anthropic)
    }
}

impl AssistError {
    /// The body, for the end of a stream.
    pub(crate) fn body(&self) -> Value {
        self.0.body(Dialect::Assist)
    }
}

impl<E: Into<ApiError>> From<E> for AssistError {
    fn from(error: E) -> Self {
        AssistError(error.into())
    }
}

impl IntoResponse for AssistError {
    fn into_response(self) -> Response {
        self.0.answer(Dialect::Assist)
    }
}

fn missing_text(missing: &[Missing]) -> String {
    let lines = missing
        .iter()
        .map(|m| format!("{} does not support {}", m.model, m.ability));
    lines.collect::<Vec<_>>().join("\n")
}

fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    }
}

/// The error and everything behind it, for the log.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::NameError;

    fn model(route: Route, name: &str, source: StoreError) -> (u16, String) {
        let error = ApiError::Model {
            route,
            name: name.to_owned(),
            source,
        };
        (error.status().as_u16(), error.to_string())
    }

    #[test]
    fn each_route_words_a_missing_model_in_its_own_way() {
        let absent = || StoreError::NotFound("m:latest".to_owned());
        for (route, text) in [
            (Route::Generate, "model 'M' not found"),
            (Route::Chat, "model 'M' not found"),
            (Route::Embed, "model \"M\" not found, try pulling it first"),
            (
                Route::Embeddings,
                "model \"M\" not found, try pulling it first",
            ),
            (Route::Show, "model 'm:latest' not found"),
            (Route::Delete, "model 'M' not found"),
            (Route::Copy, "model \"M\" not found"),
        ] {
            assert_eq!(
                model(route, "M", absent()),
                (404, text.to_owned()),
                "{route:?}"
            );
        }
    }

    #[test]
    fn an_empty_name_is_not_found_or_required() {
        let empty = || StoreError::Name(NameError::Required);
        let not_found = (404, "model '' not found".to_owned());
        let required = (400, "model is required".to_owned());
        assert_eq!(model(Route::Generate, "", empty()), not_found);
        assert_eq!(model(Route::Embed, "", empty()), not_found);
        for route in [Route::Chat, Route::Embeddings, Route::Show, Route::Delete] {
            assert_eq!(model(route, "", empty()), required, "{route:?}");
        }
        assert_eq!(
            model(Route::Pull, "", empty()),
            (400, "invalid model name".to_owned())
        );
    }

    #[test]
    fn invalid_and_remote_names_have_their_texts() {
        let invalid = || StoreError::Name(NameError::Invalid);
        assert_eq!(
            model(Route::Chat, "a b", invalid()),
            (400, "invalid model name".to_owned())
        );
        assert_eq!(
            model(Route::Delete, "a b", invalid()),
            (400, "name \"a b\" is invalid".to_owned())
        );
        let cloud = StoreError::Name(NameError::CloudDisabled);
        assert_eq!(
            model(Route::Generate, "x:cloud", cloud),
            (
                403,
                "ollama cloud is disabled: remote model is unavailable".to_owned()
            )
        );
    }

    #[test]
    fn abilities_that_lack_are_listed_line_by_line() {
        let missing = |ability| Missing {
            model: "h/library/m:latest".to_owned(),
            ability,
        };
        let error = ApiError::Missing(vec![missing("insert"), missing("tools")]);
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        assert_eq!(
            error.to_string(),
            "h/library/m:latest does not support insert\nh/library/m:latest does not support tools"
        );
    }

    #[test]
    fn bodies_have_the_shape_of_their_dialect() {
        let error = ApiError::from(EngineError::Busy);
        assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
        let text = "server busy, please try again.  maximum pending requests exceeded";
        assert_eq!(error.body(Dialect::Ollama), json!({"error": text}));
        assert_eq!(
            error.body(Dialect::OpenAi),
            json!({"error": {"message": text, "type": "api_error", "param": null, "code": null}})
        );
        let body = error.body(Dialect::Anthropic);
        assert_eq!(
            body["error"],
            json!({"type": "overloaded_error", "message": text})
        );
        assert_eq!(
            body["request_id"].as_str().unwrap().len(),
            "req_".len() + 24
        );
        let empty = ApiError::from(BodyError::Missing).body(Dialect::OpenAi);
        assert_eq!(empty["error"]["message"], "EOF");
        assert_eq!(empty["error"]["type"], "invalid_request_error");
    }
}
