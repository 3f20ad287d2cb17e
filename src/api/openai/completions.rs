//! `POST /v1/completions`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::access::Caller;
use crate::api::body::Body;
use crate::api::error::{ApiError, Dialect, OpenAiError};
use crate::api::stream::{Frame, Framing, streamed};
use crate::api::verbs::{self, Answer, Completion, Finish, Outcome, Step, Subject, TextRequest};
use crate::api::{App, fields, ids, times};

use super::chat::StreamOptions;
use super::wire::{FINGERPRINT, Usage, finish_reason};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CompletionRequest {
    model: String,
    prompt: String,
    suffix: String,
    frequency_penalty: f64,
    presence_penalty: f64,
    max_tokens: Option<i64>,
    seed: Option<i64>,
    stop: Value,
    stream: bool,
    stream_options: StreamOptions,
    temperature: Option<f64>,
    top_p: f64,
    logprobs: i64,
    #[serde(rename = "_debug_render_only")]
    debug_render_only: bool,
}

/// `POST /v1/completions`: what follows a prompt.
pub(super) async fn completions(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Result<Body<CompletionRequest>, ApiError>,
) -> Result<Response, OpenAiError> {
    let Body(request) = body?;
    let (is_stream, include_usage) = (request.stream, request.stream_options.include_usage);
    let head = Head {
        id: ids::small("cmpl-"),
        created: times::unix_now(),
        model: request.model.clone(),
        include_usage,
    };
    let mut answer = match verbs::text::text(&app, &caller, request.translate()?).await? {
        Outcome::Answer(answer) => answer,
        Outcome::Rendered { text, .. } => {
            let info = json!({"rendered_template": text});
            return Ok(Json(json!({"model": head.model, "_debug_info": info})).into_response());
        }
        // Nothing was asked; so nothing is answered.
        Outcome::Loaded | Outcome::Unloaded => {
            let mut nothing = head.object("", Some("load"));
            nothing["usage"] = json!(Usage::default());
            return Ok(Json(nothing).into_response());
        }
    };
    if is_stream {
        let first = answer.next().await.transpose()?;
        return Ok(stream_answer(head, first, answer));
    }
    let (piece, finish) = answer.whole().await?;
    let mut whole = head.object(&piece.content, Some(finish_reason(finish.reason, false)));
    whole["usage"] = json!(Usage::from(&finish));
    Ok(Json(whole).into_response())
}

impl CompletionRequest {
    fn translate(self) -> Result<TextRequest, ApiError> {
        let top_p = if self.top_p == 0.0 { 1.0 } else { self.top_p };
        let mut options = Map::new();
        options.insert("temperature".into(), self.temperature.unwrap_or(1.0).into());
        options.insert("top_p".into(), top_p.into());
        options.insert("num_predict".into(), self.max_tokens.into());
        options.insert("seed".into(), self.seed.into());
        options.insert("frequency_penalty".into(), self.frequency_penalty.into());
        options.insert("presence_penalty".into(), self.presence_penalty.into());
        options.insert("stop".into(), stop(self.stop)?);
        Ok(TextRequest {
            // They are computed as asked, though this route's answers have no place for them.
            logprobs: fields::logprobs(self.logprobs > 0, self.logprobs)?,
            model: self.model,
            subject: Subject::Completion(Completion {
                prompt: self.prompt,
                suffix: self.suffix,
                ..Completion::default()
            }),
            options: Some(options),
            render_only: self.debug_render_only,
            ..TextRequest::default()
        })
    }
}

fn stop(stop: Value) -> Result<Value, ApiError> {
    let invalid = |kind| ApiError::BadRequest(format!("invalid type for 'stop' field: {kind}"));
    match stop {
        Value::Null => Ok(Value::Null),
        Value::String(text) => Ok(json!([text])),
        Value::Array(items) => match items.iter().find(|item| !item.is_string()) {
            Some(bad) => Err(invalid(go_type(bad))),
            None => Ok(Value::Array(items)),
        },
        other => Err(invalid(go_type(&other))),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

struct Head {
    id: String,
    created: i64,
    model: String,
    include_usage: bool,
}

impl Head {
    fn object(&self, text: &str, reason: Option<&str>) -> Value {
        self.with_choices(json!([{"text": text, "index": 0, "finish_reason": reason}]))
    }

    fn with_choices(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        })
    }

    fn chunk(&self, text: &str, reason: Option<&str>) -> Frame {
        let mut chunk = self.object(text, reason);
        if self.include_usage {
            chunk["usage"] = json!(Usage::default());
        }
        Frame::data(&chunk)
    }

    fn frames(&self, step: Step) -> Vec<Frame> {
        match step {
            // Thoughts and bare log-probabilities have no place here.
            Step::Piece(piece) if piece.content.is_empty() => Vec::new(),
            Step::Piece(piece) => vec![self.chunk(&piece.content, None)],
            Step::Finish(finish) => self.last(&finish),
        }
    }

    fn last(&self, finish: &Finish) -> Vec<Frame> {
        let mut frames = vec![self.chunk("", Some(finish_reason(finish.reason, false)))];
        if self.include_usage {
            let mut usage = self.with_choices(json!([]));
            usage["usage"] = json!(Usage::from(finish));
            frames.push(Frame::data(&usage));
        }
        frames.push(Frame::done());
        frames
    }
}

fn stream_answer(head: Head, first: Option<Step>, answer: Box<Answer>) -> Response {
    let frames = stream::unfold((head, first, answer), |(head, first, mut answer)| async {
        let step = match first {
            Some(step) => Ok(step),
            None => answer.next().await?,
        };
        let frames = match step {
            Ok(step) => head.frames(step),
            Err(error) => vec![Frame::data(&error.body(Dialect::OpenAi))],
        };
        Some((stream::iter(frames), (head, None, answer)))
    });
    streamed(Framing::Events, frames.flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::body;

    fn translated(text: &str) -> Result<TextRequest, String> {
        let request: CompletionRequest =
            body::read(text.as_bytes()).map_err(|error| error.to_string())?;
        request.translate().map_err(|error| error.to_string())
    }

    #[test]
    fn a_prompt_is_one_text() {
        let error = translated(r#"{"model":"m","prompt":["a"]}"#).unwrap_err();
        assert!(error.contains("cannot unmarshal array"), "{error}");
    }

    #[test]
    fn penalties_and_probabilities_have_their_defaults() {
        let request = translated(r#"{"model":"m","prompt":"a","stop":["x"]}"#).unwrap();
        let options = request.options.unwrap();
        assert_eq!(options["top_p"], 1.0);
        assert_eq!(options["frequency_penalty"], 0.0);
        assert_eq!(options["stop"], json!(["x"]));
        assert_eq!(
            translated(r#"{"model":"m","prompt":"a","stop":[1]}"#).unwrap_err(),
            "invalid type for 'stop' field: float64"
        );
    }
}
