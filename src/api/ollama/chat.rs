//! `POST /api/chat`.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::Caller;
use crate::api::body;
use crate::api::coach;
use crate::api::error::ApiError;
use crate::api::fields::{self, KeepAliveField};
use crate::api::verbs::{self, Finish, Outcome, Piece, Step, Subject, TextRequest};
use crate::api::{App, times};
use crate::prompt::{Message, Think, Tool};

use super::progress;
use super::wire::{DebugInfo, Logprob, Metrics, reason};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatRequest {
    model: String,
    messages: Vec<Message>,
    stream: Option<bool>,
    format: Option<Value>,
    keep_alive: Option<KeepAliveField>,
    tools: Vec<Tool>,
    options: Option<Map<String, Value>>,
    think: Option<Think>,
    truncate: Option<bool>,
    shift: Option<bool>,
    logprobs: bool,
    top_logprobs: i64,
    #[serde(rename = "_debug_render_only")]
    debug_render_only: bool,
}

/// One object of an answer.
#[derive(Debug, Default, Serialize)]
struct ChatResponse<'a> {
    model: &'a str,
    created_at: String,
    message: Message,
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_reason: Option<&'static str>,
    #[serde(flatten)]
    metrics: Metrics,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logprobs: Vec<Logprob>,
    #[serde(rename = "_debug_info", skip_serializing_if = "Option::is_none")]
    debug_info: Option<DebugInfo>,
}

/// `POST /api/chat`: the next turn of a conversation, or a message to the coach.
pub(super) async fn chat(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, bytes) = coach::take_apart(request).await?;
    match coach::is_for_coach(&bytes) {
        true => Ok(coach::chat_by_another_name(app, &parts, &bytes).await),
        false => converse(&app, &caller, body::read(&bytes)?).await,
    }
}

async fn converse(app: &App, caller: &Caller, request: ChatRequest) -> Result<Response, ApiError> {
    let (model, stream) = (request.model.clone(), request.stream.unwrap_or(true));
    let mut answer = match verbs::text::text(app, caller, request.translate()?).await? {
        Outcome::Loaded => return Ok(idle(&model, "load")),
        Outcome::Unloaded => return Ok(idle(&model, "unload")),
        Outcome::Rendered { text, images } => {
            let debug_info = DebugInfo {
                image_count: images as u64,
                rendered_template: text,
            };
            let response = ChatResponse::new(&model);
            return Ok(Json(ChatResponse {
                debug_info: Some(debug_info),
                ..response
            })
            .into_response());
        }
        Outcome::Answer(answer) => answer,
    };
    if stream {
        let first = answer.next().await;
        return progress::answer(first, answer, move |step| {
            progress::line(&object(&model, step))
        });
    }
    let (piece, finish) = answer.whole().await?;
    let finished = ChatResponse::finished(&model, finish);
    let whole = object(&model, Step::Piece(piece));
    Ok(Json(ChatResponse {
        message: whole.message,
        logprobs: whole.logprobs,
        ..finished
    })
    .into_response())
}

impl ChatRequest {
    fn translate(self) -> Result<TextRequest, ApiError> {
        Ok(TextRequest {
            logprobs: fields::logprobs(self.logprobs, self.top_logprobs)?,
            model: self.model,
            subject: Subject::Chat(self.messages),
            options: self.options,
            keep_alive: self.keep_alive,
            format: self.format,
            think: self.think,
            tools: self.tools,
            truncate: self.truncate,
            shift: self.shift,
            render_only: self.debug_render_only,
            ..TextRequest::default()
        })
    }
}

impl<'a> ChatResponse<'a> {
    fn new(model: &'a str) -> Self {
        ChatResponse {
            model,
            created_at: times::now(),
            message: Message::new("assistant", ""),
            ..ChatResponse::default()
        }
    }

    fn finished(model: &'a str, finish: Finish) -> Self {
        ChatResponse {
            done: true,
            done_reason: Some(reason(finish.reason)),
            metrics: Metrics::from(&finish),
            ..ChatResponse::new(model)
        }
    }
}

fn object(model: &str, step: Step) -> ChatResponse<'_> {
    match step {
        Step::Piece(Piece {
            content,
            thinking,
            tool_calls,
            logprobs,
        }) => {
            let message = Message {
                thinking,
                tool_calls,
                ..Message::new("assistant", content)
            };
            let logprobs = logprobs.into_iter().map(Logprob::from).collect();
            ChatResponse {
                message,
                logprobs,
                ..ChatResponse::new(model)
            }
        }
        Step::Finish(finish) => ChatResponse::finished(model, finish),
    }
}

fn idle(model: &str, reason: &'static str) -> Response {
    let response = ChatResponse::new(model);
    Json(ChatResponse {
        done: true,
        done_reason: Some(reason),
        ..response
    })
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_must_be_text() {
        let text = br#"{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}"#;
        let error = body::read::<ChatRequest>(text).unwrap_err().to_string();
        assert!(
            error.contains("cannot unmarshal array") && error.contains("content"),
            "{error}"
        );
    }

    #[test]
    fn roles_are_lowered_and_tools_are_read() {
        let text = br#"{"messages":[{"role":"USER","content":null}],
            "tools":[{"type":"function","function":{"name":"f","parameters":{}}}]}"#;
        let request: ChatRequest = body::read(text).unwrap();
        assert_eq!(request.messages[0].role, "user");
        assert_eq!(request.tools[0].name(), "f");
    }

    #[test]
    fn content_is_there_even_if_it_is_empty() {
        let value = serde_json::to_value(ChatResponse::new("m")).unwrap();
        assert_eq!(
            value["message"],
            serde_json::json!({"role": "assistant", "content": ""})
        );
        assert_eq!(value["done"], false);
        assert!(value.get("done_reason").is_none());
    }
}
