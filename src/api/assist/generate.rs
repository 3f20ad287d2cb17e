//! `POST /ai/generate`.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::coach::{Sink, respond};
use crate::api::error::{ApiError, AssistError};
use crate::api::verbs::{self, Answer, Finish, Outcome, Step, Subject, TextRequest};
use crate::prompt::{Message, Think};

use super::{AssistBody, ErrorBody};

/// Tokens of an answer where the request names no number.
const MAX_TOKENS: u32 = 1024;
/// Tokens of an answer at most.
const MOST_TOKENS: u32 = 32_768;
const HOTTEST: f64 = 2.0;

/// What to write.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"prompt": "Explain what a foreign key is", "temperature": 0.7,
    "context": "Database concepts for beginners"}))]
pub(crate) struct GenerateRequest {
    /// The question or the task.
    prompt: String,
    /// A model of `/ai/models`; absent: the configured one.
    model: Option<String>,
    /// From 0 (always the likeliest word) to 2; absent: as the model's maker has it.
    temperature: Option<f64>,
    /// What the answer should be about or rest on.
    context: Option<String>,
    /// Who should answer, and how.
    system: Option<String>,
    /// Tokens of the answer at most (1024).
    max_tokens: Option<u32>,
    /// `"json"` or a JSON schema that the answer must match.
    format: Option<Value>,
    /// Whether to answer in server-sent events.
    stream: Option<bool>,
}

/// What was written.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct GenerateResponse {
    /// The answer.
    response: String,
    /// Who wrote it.
    model: String,
    /// Its tokens.
    eval_count: usize,
    /// Time since the request came.
    total_duration_ms: f64,
    /// Tokens of the prompt.
    prompt_eval_count: usize,
    /// Those of them that needed no work, because the tenant has asked like this before.
    cached_tokens: usize,
}

/// Text from a prompt.
#[utoipa::path(post, path = "/ai/generate", tag = "assistant", request_body = GenerateRequest, responses(
    (status = 200, description = "The answer, or its events with `stream`", body = GenerateResponse),
    (status = 400, description = "A field is missing or wrong", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such model", body = ErrorBody),
    (status = 413, description = "More than the model can read", body = ErrorBody),
    (status = 429, description = "Over the limit", body = ErrorBody),
    (status = 503, description = "The model is not here, or too many ask", body = ErrorBody),
    (status = 504, description = "It took too long", body = ErrorBody)))]
pub(crate) async fn generate(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    AssistBody(request): AssistBody<GenerateRequest>,
) -> Result<Response, AssistError> {
    request.check()?;
    let model = super::model(&app, request.model.as_deref()).await?;
    let is_stream = request.stream.unwrap_or(false);
    let request = request.translate(&model.stored.name.to_string());
    let work = {
        let app = app.clone();
        move |sink: Sink| answer(app, caller, request, sink)
    };
    Ok(respond(&app, is_stream, work).await?)
}

/// The whole answer, whose words are told as they come.
async fn answer(
    app: App,
    caller: Caller,
    request: TextRequest,
    sink: Sink,
) -> Result<GenerateResponse, ApiError> {
    let model = request.model.clone();
    let mut answer = write(&app, &caller, request).await?;
    let mut response = String::new();
    while let Some(step) = answer.next().await {
        match step? {
            Step::Piece(piece) if piece.content.is_empty() => {}
            Step::Piece(piece) => {
                sink.tell("token", &json!({"text": piece.content}));
                response.push_str(&piece.content);
            }
            Step::Finish(finish) => return Ok(GenerateResponse::new(response, model, &finish)),
        }
    }
    Err(ApiError::Task)
}

/// The beginning of an answer to a message.
pub(crate) async fn write(
    app: &App,
    caller: &Caller,
    request: TextRequest,
) -> Result<Box<Answer>, ApiError> {
    match verbs::text::text(app, caller, request).await? {
        Outcome::Answer(answer) => Ok(answer),
        // There is a message, and nothing asks for the prompt alone.
        Outcome::Loaded | Outcome::Unloaded | Outcome::Rendered { .. } => Err(ApiError::Task),
    }
}

/// The work, or an error if it takes too long; what is not finished is dropped.
pub(crate) async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let done = tokio::time::timeout(limit, work).await;
    done.map_err(|_| ApiError::TimedOut(limit.as_secs()))?
}

impl GenerateRequest {
    fn check(&self) -> Result<(), ApiError> {
        let wrong = |field: &str, problem: &str| {
            Err(ApiError::Field {
                field: field.to_owned(),
                problem: problem.to_owned(),
            })
        };
        if self.prompt.trim().is_empty() {
            return wrong("prompt", "must not be empty");
        }
        if self
            .temperature
            .is_some_and(|t| !(0.0..=HOTTEST).contains(&t))
        {
            return wrong("temperature", "must be from 0 to 2");
        }
        match self.max_tokens {
            Some(tokens) => super::within("max_tokens", tokens, 1, MOST_TOKENS).map(drop),
            None => Ok(()),
        }
    }

    fn translate(self, model: &str) -> TextRequest {
        let mut options = Map::new();
        if let Some(temperature) = self.temperature {
            options.insert("temperature".to_owned(), temperature.into());
        }
        let tokens = self.max_tokens.unwrap_or(MAX_TOKENS);
        options.insert("num_predict".to_owned(), tokens.into());
        let context = self.context.map(|context| format!("Context: {context}"));
        let system: Vec<String> = [self.system, context].into_iter().flatten().collect();
        let mut messages = Vec::new();
        if !system.is_empty() {
            messages.push(Message::new("system", system.join("\n\n")));
        }
        messages.push(Message::new("user", self.prompt));
        TextRequest {
            model: model.to_owned(),
            subject: Subject::Chat(messages),
            options: Some(options),
            format: self.format,
            think: Some(Think::Off),
            think_if_possible: true,
            // A prompt that lost its middle in silence would be answered wrongly.
            truncate: Some(false),
            ..TextRequest::default()
        }
    }
}

impl GenerateResponse {
    fn new(response: String, model: String, finish: &Finish) -> GenerateResponse {
        GenerateResponse {
            response,
            model,
            eval_count: finish.usage.completion_tokens,
            total_duration_ms: (finish.total_duration.as_secs_f64() * 1e6).round() / 1e3,
            prompt_eval_count: finish.usage.prompt_tokens,
            cached_tokens: finish.usage.cached_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn request(value: Value) -> GenerateRequest {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn context_and_system_go_before_the_prompt() {
        let full = json!({"prompt": "p", "context": "c", "system": "s", "temperature": 0.5});
        let text = request(full).translate("m");
        let Subject::Chat(messages) = text.subject else {
            panic!("no messages");
        };
        let said: Vec<_> = messages
            .iter()
            .map(|message| (message.role.as_str(), message.content.as_str()))
            .collect();
        assert_eq!(said, [("system", "s\n\nContext: c"), ("user", "p")]);
        let options = text.options.unwrap();
        assert_eq!(
            (&options["temperature"], &options["num_predict"]),
            (&json!(0.5), &json!(1024))
        );
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_given_up() {
        let forever = std::future::pending::<Result<(), ApiError>>();
        let given_up = in_time(Duration::from_millis(1), forever)
            .await
            .unwrap_err();
        assert!(matches!(given_up, ApiError::TimedOut(0)));
        assert_eq!(AssistError(given_up).into_response().status(), 504);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (value, want) in [
            (json!({"prompt": " "}), "field 'prompt' must not be empty"),
            (
                json!({"prompt": "p", "temperature": 2.5}),
                "field 'temperature' must be from 0 to 2",
            ),
            (
                json!({"prompt": "p", "max_tokens": 0}),
                "field 'max_tokens' must be from 1 to 32768",
            ),
        ] {
            assert_eq!(request(value).check().unwrap_err().to_string(), want);
        }
    }
}
