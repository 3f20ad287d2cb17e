//! `POST /v1/chat/completions`.

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
use crate::api::verbs::{self, Answer, Finish, Outcome, Piece, Step, Subject, TextRequest};
use crate::api::{App, fields, ids, times};
use crate::prompt::Tool;

use super::content::{self, ChatMessage};
use super::wire::{FINGERPRINT, Usage, finish_reason, logprobs, tool_calls};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatRequest {
    model: String,
    messages: Vec<ChatMessage>,
    stream: bool,
    stream_options: StreamOptions,
    max_tokens: Option<i64>,
    seed: Option<i64>,
    stop: Value,
    temperature: Option<f64>,
    frequency_penalty: Option<f64>,
    presence_penalty: Option<f64>,
    top_p: Option<f64>,
    response_format: ResponseFormat,
    tools: Vec<Tool>,
    reasoning: Reasoning,
    reasoning_effort: String,
    logprobs: bool,
    top_logprobs: i64,
    #[serde(rename = "_debug_render_only")]
    debug_render_only: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamOptions {
    pub include_usage: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResponseFormat {
    r#type: String,
    json_schema: JsonSchema,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonSchema {
    schema: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reasoning {
    effort: String,
}

/// `POST /v1/chat/completions`: the next turn of a conversation.
pub(super) async fn chat(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Result<Body<ChatRequest>, ApiError>,
) -> Result<Response, OpenAiError> {
    let Body(request) = body?;
    let (is_stream, include_usage) = (request.stream, request.stream_options.include_usage);
    let head = Head {
        id: ids::small("chatcmpl-"),
        created: times::unix_now(),
        model: request.model.clone(),
    };
    let mut answer = match verbs::text::text(&app, &caller, request.translate()?).await? {
        Outcome::Answer(answer) => answer,
        Outcome::Rendered { text, .. } => {
            let info = json!({"rendered_template": text});
            return Ok(Json(json!({"model": head.model, "_debug_info": info})).into_response());
        }
        Outcome::Loaded | Outcome::Unloaded => {
            return Err(ApiError::BadRequest("[] is too short - 'messages'".to_owned()).into());
        }
    };
    if is_stream {
        let first = answer.next().await.transpose()?;
        return Ok(stream_answer(
            Chunks::new(head, include_usage),
            first,
            answer,
        ));
    }
    let (piece, finish) = answer.whole().await?;
    Ok(Json(head.whole(piece, &finish)).into_response())
}

impl ChatRequest {
    fn translate(self) -> Result<TextRequest, ApiError> {
        if self.messages.is_empty() {
            return Err(ApiError::BadRequest(
                "[] is too short - 'messages'".to_owned(),
            ));
        }
        let effort = match self.reasoning.effort {
            effort if effort.is_empty() => self.reasoning_effort,
            effort => effort,
        };
        let format = match self.response_format.r#type.as_str() {
            "json_object" => Some("json".into()),
            "json_schema" => Some(self.response_format.json_schema.schema),
            _ => None,
        };
        let mut options = Map::new();
        options.insert("temperature".into(), self.temperature.unwrap_or(1.0).into());
        options.insert("top_p".into(), self.top_p.unwrap_or(1.0).into());
        options.insert("num_predict".into(), self.max_tokens.into());
        options.insert("seed".into(), self.seed.into());
        options.insert("frequency_penalty".into(), self.frequency_penalty.into());
        options.insert("presence_penalty".into(), self.presence_penalty.into());
        options.insert("stop".into(), stop(self.stop));
        Ok(TextRequest {
            logprobs: fields::logprobs(self.logprobs, self.top_logprobs)?,
            model: self.model,
            subject: Subject::Chat(content::messages(self.messages)?),
            options: Some(options),
            format,
            think: content::effort(&effort)?,
            tools: self.tools,
            render_only: self.debug_render_only,
            ..TextRequest::default()
        })
    }
}

/// One text or many; what is no text is let go.
fn stop(stop: Value) -> Value {
    match stop {
        Value::String(text) => json!([text]),
        Value::Array(items) => items.into_iter().filter(Value::is_string).collect(),
        _ => Value::Null,
    }
}

/// What is the same in all parts of an answer.
struct Head {
    id: String,
    created: i64,
    model: String,
}

impl Head {
    fn object(&self, kind: &str, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        })
    }

    fn whole(&self, piece: Piece, finish: &Finish) -> Value {
        let has_calls = !piece.tool_calls.is_empty();
        let mut message = json!({"role": "assistant", "content": piece.content});
        if !piece.thinking.is_empty() {
            message["reasoning"] = piece.thinking.into();
        }
        if has_calls {
            message["tool_calls"] = tool_calls(piece.tool_calls).into();
        }
        let mut choice = json!({
            "index": 0,
            "message": message,
            "finish_reason": finish_reason(finish.reason, has_calls),
        });
        if let Some(logprobs) = logprobs(piece.logprobs) {
            choice["logprobs"] = logprobs;
        }
        let mut whole = self.object("chat.completion", json!([choice]));
        whole["usage"] = json!(Usage::from(finish));
        whole
    }
}

/// Turns steps into chunks.
struct Chunks {
    head: Head,
    include_usage: bool,
    has_begun: bool,
    has_calls: bool,
}

impl Chunks {
    fn new(head: Head, include_usage: bool) -> Chunks {
        Chunks {
            head,
            include_usage,
            has_begun: false,
            has_calls: false,
        }
    }

    fn frames(&mut self, step: Step) -> Vec<Frame> {
        match step {
            Step::Piece(piece) => self.piece(piece),
            Step::Finish(finish) => self.finish(&finish),
        }
    }

    fn piece(&mut self, mut piece: Piece) -> Vec<Frame> {
        let mut frames = Vec::new();
        let tokens = logprobs(std::mem::take(&mut piece.logprobs));
        let thinks = !piece.thinking.is_empty();
        if thinks {
            let delta = json!({"content": "", "reasoning": piece.thinking});
            frames.push(self.chunk(delta, None, tokens.clone()));
        }
        let calls = !piece.tool_calls.is_empty();
        if !piece.content.is_empty() || calls || !thinks {
            let mut delta = json!({"content": piece.content});
            if calls {
                self.has_calls = true;
                delta["tool_calls"] = tool_calls(piece.tool_calls).into();
            }
            frames.push(self.chunk(delta, None, tokens.filter(|_| !thinks)));
        }
        frames
    }

    fn finish(&mut self, finish: &Finish) -> Vec<Frame> {
        let mut frames = Vec::new();
        if !self.has_begun {
            frames.push(self.chunk(json!({"content": ""}), None, None));
        }
        let reason = finish_reason(finish.reason, self.has_calls);
        frames.push(self.chunk(json!({}), Some(reason), None));
        if self.include_usage {
            let mut last = self.head.object("chat.completion.chunk", json!([]));
            last["usage"] = json!(Usage::from(finish));
            frames.push(Frame::data(&last));
        }
        frames.push(Frame::done());
        frames
    }

    fn chunk(&mut self, mut delta: Value, reason: Option<&str>, tokens: Option<Value>) -> Frame {
        if !self.has_begun {
            self.has_begun = true;
            delta["role"] = "assistant".into();
        }
        let mut choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        if let Some(tokens) = tokens {
            choice["logprobs"] = tokens;
        }
        Frame::data(&self.head.object("chat.completion.chunk", json!([choice])))
    }
}

fn stream_answer(chunks: Chunks, first: Option<Step>, answer: Box<Answer>) -> Response {
    let frames = stream::unfold(
        (chunks, first, answer),
        |(mut chunks, first, mut answer)| async {
            let step = match first {
                Some(step) => Ok(step),
                None => answer.next().await?,
            };
            let frames = match step {
                Ok(step) => chunks.frames(step),
                Err(error) => vec![Frame::data(&error.body(Dialect::OpenAi))],
            };
            Some((stream::iter(frames), (chunks, None, answer)))
        },
    );
    streamed(Framing::Events, frames.flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::body;
    use crate::engine::StopReason;

    fn translated(text: &str) -> Result<TextRequest, String> {
        let request: ChatRequest =
            body::read(text.as_bytes()).map_err(|error| error.to_string())?;
        request.translate().map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_differ_from_the_native_ones() {
        let request = r#"{"model":"m","messages":[{"role":"developer","content":"x"}]}"#;
        let options = translated(request).unwrap().options.unwrap();
        assert_eq!(options["temperature"], 1.0);
        assert_eq!(options["top_p"], 1.0);
        assert_eq!(options["num_predict"], Value::Null);
    }

    #[test]
    fn options_and_formats_are_translated() {
        let request = translated(
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":5,"stop":"a",
                "max_completion_tokens":9,"reasoning_effort":"high","seed":7,
                "response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object"}}}}"#,
        )
        .unwrap();
        let options = request.options.unwrap();
        assert_eq!(
            (&options["num_predict"], &options["seed"]),
            (&json!(5), &json!(7))
        );
        assert_eq!(options["stop"], json!(["a"]));
        assert_eq!(request.format, Some(json!({"type": "object"})));
        assert_eq!(request.think.unwrap().level(), "high");
    }

    #[test]
    fn there_must_be_messages() {
        assert_eq!(
            translated(r#"{"model":"m","messages":[]}"#).unwrap_err(),
            "[] is too short - 'messages'"
        );
        assert!(
            translated(r#"{"messages":[{"role":"user","content":"x"}],"top_logprobs":21}"#)
                .is_err()
        );
    }

    fn texts(frames: Vec<Frame>) -> Vec<Value> {
        let text = |frame: Frame| {
            format!("{frame:?}")
                .replace("\\\"", "\"")
                .replace("\\n", "")
        };
        let json = |text: String| {
            let start = text.find("data: ").unwrap() + "data: ".len();
            serde_json::from_str(text[start..].trim_end_matches("\")")).unwrap_or(Value::Null)
        };
        frames.into_iter().map(|frame| json(text(frame))).collect()
    }

    fn chunks(include_usage: bool) -> Chunks {
        let head = Head {
            id: "chatcmpl-1".into(),
            created: 5,
            model: "m".into(),
        };
        Chunks::new(head, include_usage)
    }

    fn finish() -> Finish {
        Finish {
            reason: StopReason::Stop,
            usage: crate::engine::Usage {
                prompt_tokens: 2,
                completion_tokens: 3,
                ..Default::default()
            },
            total_duration: std::time::Duration::ZERO,
            load_duration: std::time::Duration::ZERO,
            context: None,
        }
    }

    #[test]
    fn the_role_is_told_once_and_the_end_stands_alone() {
        let mut chunks = chunks(true);
        let piece = Piece {
            content: "a".into(),
            thinking: "t".into(),
            ..Piece::default()
        };
        let first = texts(chunks.frames(Step::Piece(piece)));
        assert_eq!(
            first[0]["choices"][0]["delta"],
            json!({"content": "", "reasoning": "t", "role": "assistant"})
        );
        assert_eq!(first[1]["choices"][0]["delta"], json!({"content": "a"}));
        let last = texts(chunks.frames(Step::Finish(finish())));
        assert_eq!(last[0]["choices"][0]["delta"], json!({}));
        assert_eq!(last[0]["choices"][0]["finish_reason"], "stop");
        assert_eq!(last[1]["choices"], json!([]));
        assert_eq!(last[1]["usage"]["total_tokens"], 5);
        assert_eq!(last.len(), 3);
    }

    #[test]
    fn an_empty_answer_has_a_first_chunk_and_calls_are_its_reason() {
        let mut empty = chunks(false);
        let frames = texts(empty.frames(Step::Finish(finish())));
        assert_eq!(
            frames[0]["choices"][0]["delta"],
            json!({"content": "", "role": "assistant"})
        );
        assert_eq!(frames.len(), 3);
        let mut calls = chunks(false);
        let piece = Piece {
            tool_calls: vec![Default::default()],
            ..Piece::default()
        };
        let frames = texts(calls.frames(Step::Piece(piece)));
        assert_eq!(
            frames[0]["choices"][0]["delta"]["tool_calls"][0]["type"],
            "function"
        );
        let frames = texts(calls.frames(Step::Finish(finish())));
        assert_eq!(frames[0]["choices"][0]["finish_reason"], "tool_calls");
    }
}
