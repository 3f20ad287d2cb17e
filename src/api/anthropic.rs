//! `POST /v1/messages`, Anthropic's way to ask for text.

mod events;
mod input;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::access::Caller;
use crate::engine::StopReason;
use crate::prompt::Think;

use super::body::Body;
use super::error::{AnthropicError, ApiError};
use super::openai::effort;
use super::stream::{Framing, streamed};
use super::verbs::{self, Answer, Finish, Outcome, Piece, Step, Subject, TextRequest};
use super::{App, ids};

use events::Events;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MessagesRequest {
    model: String,
    max_tokens: i64,
    messages: Vec<input::Turn>,
    system: Value,
    stream: bool,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<i64>,
    stop_sequences: Vec<String>,
    tools: Vec<input::ToolDefinition>,
    thinking: Thinking,
    output_config: OutputConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Thinking {
    r#type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputConfig {
    effort: String,
}

/// The route.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/v1/messages", post(messages))
}

/// `POST /v1/messages`: the next turn of a conversation.
async fn messages(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Result<Body<MessagesRequest>, ApiError>,
) -> Result<Response, AnthropicError> {
    let Body(request) = body?;
    let (is_stream, model) = (request.stream, request.model.clone());
    let estimate = request.estimated_tokens();
    let mut answer = match verbs::text::text(&app, &caller, request.translate()?).await? {
        Outcome::Answer(answer) => answer,
        Outcome::Loaded | Outcome::Unloaded | Outcome::Rendered { .. } => {
            return Err(ApiError::BadRequest("messages is required".to_owned()).into());
        }
    };
    if is_stream {
        let first = answer.next().await.transpose()?;
        return Ok(stream_answer(Events::new(&model, estimate), first, answer));
    }
    let (piece, finish) = answer.whole().await?;
    Ok(Json(whole(&model, piece, &finish)).into_response())
}

impl MessagesRequest {
    fn translate(self) -> Result<TextRequest, ApiError> {
        let required = |text: &str| Err(ApiError::BadRequest(text.to_owned()));
        if self.model.is_empty() {
            return required("model is required");
        }
        if self.max_tokens <= 0 {
            return required("max_tokens is required and must be positive");
        }
        if self.messages.is_empty() {
            return required("messages is required");
        }
        let mut options = Map::new();
        options.insert("num_predict".into(), self.max_tokens.into());
        options.insert("temperature".into(), self.temperature.into());
        options.insert("top_p".into(), self.top_p.into());
        options.insert("top_k".into(), self.top_k.into());
        if !self.stop_sequences.is_empty() {
            options.insert("stop".into(), json!(self.stop_sequences));
        }
        let think = match self.thinking.r#type.as_str() {
            "enabled" => Some(Think::On),
            "disabled" => Some(Think::Off),
            _ => match self.output_config.effort.as_str() {
                "xhigh" => effort("high")?,
                other => effort(other)?,
            },
        };
        Ok(TextRequest {
            model: self.model,
            subject: Subject::Chat(input::messages(&self.system, self.messages)?),
            options: Some(options),
            think,
            think_if_possible: true,
            tools: input::tools(self.tools)?,
            ..TextRequest::default()
        })
    }

    /// About how many tokens the request has, told before anybody knows: four letters each.
    fn estimated_tokens(&self) -> usize {
        let turns = self
            .messages
            .iter()
            .map(|turn| turn.content.to_string().len());
        let tools = self
            .tools
            .iter()
            .map(|tool| tool.input_schema.to_string().len());
        let system = if self.system.is_null() {
            0
        } else {
            self.system.to_string().len()
        };
        (system + turns.sum::<usize>() + tools.sum::<usize>()) / 4
    }
}

fn whole(model: &str, piece: Piece, finish: &Finish) -> Value {
    let has_calls = !piece.tool_calls.is_empty();
    let mut content = Vec::new();
    if !piece.thinking.is_empty() {
        content.push(json!({"type": "thinking", "thinking": piece.thinking, "signature": ""}));
    }
    if !piece.content.is_empty() {
        content.push(json!({"type": "text", "text": piece.content}));
    }
    for call in piece.tool_calls {
        let function = call.function;
        content.push(json!({
            "type": "tool_use", "id": call.id, "name": function.name, "input": function.arguments,
        }));
    }
    json!({
        "id": ids::hex24("msg_"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason(finish.reason, has_calls),
        "stop_sequence": null,
        "usage": usage(finish),
    })
}

fn usage(finish: &Finish) -> Value {
    json!({
        "input_tokens": finish.usage.prompt_tokens,
        "output_tokens": finish.usage.completion_tokens,
    })
}

fn stop_reason(reason: StopReason, has_calls: bool) -> &'static str {
    match (reason, has_calls) {
        (_, true) => "tool_use",
        (StopReason::Stop, false) => "end_turn",
        (StopReason::Length, false) => "max_tokens",
    }
}

fn stream_answer(events: Events, first: Option<Step>, answer: Box<Answer>) -> Response {
    let begin = (events, first, answer, true);
    let frames = stream::unfold(
        begin,
        |(mut events, first, mut answer, is_new)| async move {
            if is_new {
                return Some((stream::iter(events.begin()), (events, first, answer, false)));
            }
            let step = match first {
                Some(step) => Ok(step),
                None => answer.next().await?,
            };
            let frames = match step {
                Ok(Step::Piece(piece)) => events.piece(piece),
                Ok(Step::Finish(finish)) => events.finish(&finish),
                Err(error) => events.fail(&error),
            };
            Some((stream::iter(frames), (events, None, answer, false)))
        },
    );
    streamed(Framing::Events, frames.flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::body;

    fn translated(text: &str) -> Result<TextRequest, String> {
        let request: MessagesRequest =
            body::read(text.as_bytes()).map_err(|error| error.to_string())?;
        request.translate().map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_required_is_asked_for_in_order() {
        for (text, want) in [
            (r#"{"max_tokens":1}"#, "model is required"),
            (
                r#"{"model":"m"}"#,
                "max_tokens is required and must be positive",
            ),
            (r#"{"model":"m","max_tokens":1}"#, "messages is required"),
        ] {
            assert_eq!(translated(text).unwrap_err(), want);
        }
    }

    #[test]
    fn options_are_sent_only_if_given_and_thinking_is_a_wish() {
        let request = translated(
            r#"{"model":"m","max_tokens":8,"messages":[{"role":"user","content":"x"}],
                "stop_sequences":["a"],"thinking":{"type":"enabled","budget_tokens":99}}"#,
        )
        .unwrap();
        let options = request.options.unwrap();
        assert_eq!(options["num_predict"], 8);
        assert!(options["temperature"].is_null() && options["top_k"].is_null());
        assert_eq!(options["stop"], json!(["a"]));
        assert!(request.think_if_possible && request.think == Some(Think::On));
    }
}
