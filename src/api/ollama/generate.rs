//! `POST /api/generate`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::Caller;
use crate::api::body::Body;
use crate::api::error::ApiError;
use crate::api::fields::{self, Images, KeepAliveField};
use crate::api::verbs::{self, Completion, Finish, Outcome, Piece, Step, Subject, TextRequest};
use crate::api::{App, times};
use crate::prompt::{Think, ToolCall};

use super::progress;
use super::wire::{DebugInfo, Logprob, Metrics, reason};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GenerateRequest {
    model: String,
    prompt: String,
    suffix: String,
    system: String,
    template: String,
    context: Vec<u32>,
    stream: Option<bool>,
    raw: bool,
    format: Option<Value>,
    keep_alive: Option<KeepAliveField>,
    images: Images,
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
struct GenerateResponse<'a> {
    model: &'a str,
    created_at: String,
    response: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    context: Vec<u32>,
    #[serde(flatten)]
    metrics: Metrics,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logprobs: Vec<Logprob>,
    #[serde(rename = "_debug_info", skip_serializing_if = "Option::is_none")]
    debug_info: Option<DebugInfo>,
}

/// `POST /api/generate`: what follows a prompt.
pub(super) async fn generate(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<GenerateRequest>,
) -> Result<Response, ApiError> {
    let (model, stream) = (request.model.clone(), request.stream.unwrap_or(true));
    let mut answer = match verbs::text::text(&app, &caller, request.translate()?).await? {
        Outcome::Loaded => return Ok(idle(&model, "load")),
        Outcome::Unloaded => return Ok(idle(&model, "unload")),
        Outcome::Rendered { text, images } => {
            let debug_info = DebugInfo {
                image_count: images as u64,
                rendered_template: text,
            };
            let response = GenerateResponse::new(&model);
            return Ok(Json(GenerateResponse {
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
    let whole = GenerateResponse {
        response: piece.content,
        thinking: piece.thinking,
        tool_calls: piece.tool_calls,
        logprobs: piece.logprobs.into_iter().map(Logprob::from).collect(),
        ..GenerateResponse::finished(&model, finish)
    };
    Ok(Json(whole).into_response())
}

impl GenerateRequest {
    fn translate(self) -> Result<TextRequest, ApiError> {
        Ok(TextRequest {
            logprobs: fields::logprobs(self.logprobs, self.top_logprobs)?,
            model: self.model,
            subject: Subject::Completion(Completion {
                prompt: self.prompt,
                suffix: self.suffix,
                system: self.system,
                template: self.template,
                context: self.context,
                raw: self.raw,
                images: self.images.0,
            }),
            options: self.options,
            keep_alive: self.keep_alive,
            format: self.format,
            think: self.think,
            truncate: self.truncate,
            shift: self.shift,
            render_only: self.debug_render_only,
            ..TextRequest::default()
        })
    }
}

impl<'a> GenerateResponse<'a> {
    fn new(model: &'a str) -> Self {
        GenerateResponse {
            model,
            created_at: times::now(),
            ..GenerateResponse::default()
        }
    }

    fn finished(model: &'a str, finish: Finish) -> Self {
        GenerateResponse {
            done: true,
            done_reason: Some(reason(finish.reason)),
            metrics: Metrics::from(&finish),
            context: finish.context.unwrap_or_default(),
            ..GenerateResponse::new(model)
        }
    }
}

fn object(model: &str, step: Step) -> GenerateResponse<'_> {
    match step {
        Step::Piece(Piece {
            content,
            thinking,
            tool_calls,
            logprobs,
        }) => GenerateResponse {
            response: content,
            thinking,
            tool_calls,
            logprobs: logprobs.into_iter().map(Logprob::from).collect(),
            ..GenerateResponse::new(model)
        },
        Step::Finish(finish) => GenerateResponse::finished(model, finish),
    }
}

fn idle(model: &str, reason: &'static str) -> Response {
    let response = GenerateResponse::new(model);
    Json(GenerateResponse {
        done: true,
        done_reason: Some(reason),
        ..response
    })
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::body;
    use crate::engine::{StopReason, Usage};

    #[test]
    fn a_request_reads_what_clients_send() {
        let text = br#"{"Model":"m","prompt":"p","keep_alive":"-1m","options":null,"think":"high",
            "context":[1,2],"stream":false,"template":null}"#;
        let request: GenerateRequest = body::read(text).unwrap();
        assert_eq!((request.model.as_str(), request.stream), ("m", Some(false)));
        assert_eq!(request.context, [1, 2]);
        assert!(request.think.is_some_and(Think::is_on));
        assert!(request.keep_alive.is_some());
    }

    #[test]
    fn bad_fields_are_told_in_their_own_words() {
        for (text, want) in [
            (
                r#"{"keep_alive":"10"}"#,
                "time: missing unit in duration \"10\"",
            ),
            (r#"{"images":["%"]}"#, "illegal base64 data at input byte 0"),
            (
                r#"{"think":"x"}"#,
                "invalid think value: \"x\" (must be \"high\", \"medium\", \"low\", \"max\", true, or false)",
            ),
        ] {
            let error = body::read::<GenerateRequest>(text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), want);
        }
    }

    #[test]
    fn metrics_of_zero_and_empty_fields_are_left_out() {
        let mut finish = Finish {
            reason: StopReason::Length,
            usage: Usage::default(),
            total_duration: std::time::Duration::from_nanos(7),
            load_duration: std::time::Duration::ZERO,
            context: None,
        };
        finish.usage.completion_tokens = 3;
        let mut value = serde_json::to_value(object("m", Step::Finish(finish))).unwrap();
        assert!(value["created_at"].take().is_string());
        assert_eq!(
            value,
            serde_json::json!({
                "model": "m", "created_at": null, "response": "", "done": true,
                "done_reason": "length", "total_duration": 7, "eval_count": 3,
            })
        );
    }
}
