//! `POST /v1/responses`, without any state kept between requests.

mod events;
mod input;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::access::Caller;
use crate::api::body::Body;
use crate::api::error::{ApiError, OpenAiError};
use crate::api::stream::{Framing, streamed};
use crate::api::verbs::{self, Answer, Finish, Outcome, Piece, Step, Subject, TextRequest};
use crate::api::{App, ids, times};
use crate::engine::StopReason;
use crate::prompt::Tool;

use events::Events;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResponsesRequest {
    model: String,
    input: Value,
    instructions: String,
    max_output_tokens: Option<i64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    reasoning: Reasoning,
    text: Text,
    tools: Vec<Value>,
    stream: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reasoning {
    effort: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Text {
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Format {
    r#type: String,
    schema: Value,
}

/// `POST /v1/responses`: the next items of a conversation that is sent whole every time.
pub(super) async fn responses(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Result<Body<ResponsesRequest>, ApiError>,
) -> Result<Response, OpenAiError> {
    let Body(request) = body?;
    let is_stream = request.stream;
    let head = Head::of(&request);
    let mut answer = match verbs::text::text(&app, &caller, request.translate()?).await? {
        Outcome::Answer(answer) => answer,
        Outcome::Loaded | Outcome::Unloaded | Outcome::Rendered { .. } => {
            return Err(ApiError::BadRequest("input is required".to_owned()).into());
        }
    };
    if is_stream {
        let first = answer.next().await.transpose()?;
        return Ok(stream_answer(Events::new(head), first, answer));
    }
    let (piece, finish) = answer.whole().await?;
    Ok(Json(head.whole(piece, &finish)).into_response())
}

impl ResponsesRequest {
    fn translate(self) -> Result<TextRequest, ApiError> {
        let messages = input::messages(&self.instructions, self.input)?;
        let mut options = Map::new();
        options.insert("temperature".into(), self.temperature.unwrap_or(1.0).into());
        options.insert("top_p".into(), self.top_p.into());
        options.insert("num_predict".into(), self.max_output_tokens.into());
        Ok(TextRequest {
            model: self.model,
            subject: Subject::Chat(messages),
            options: Some(options),
            format: Some(self.text.format)
                .filter(|format| format.r#type == "json_schema")
                .map(|format| format.schema),
            think: super::content::effort(&self.reasoning.effort)?,
            tools: tools(&self.tools)?,
            ..TextRequest::default()
        })
    }
}

/// Functions stand flat here; groups of them are named `group.member`. Other tools are not ours.
fn tools(definitions: &[Value]) -> Result<Vec<Tool>, ApiError> {
    let mut tools = Vec::new();
    for definition in definitions {
        match definition["type"].as_str() {
            Some("function") => tools.push(tool(definition, None)?),
            Some("namespace") => {
                let group = definition["name"].as_str();
                for member in definition["tools"].as_array().into_iter().flatten() {
                    tools.push(tool(member, group)?);
                }
            }
            _ => {}
        }
    }
    Ok(tools)
}

fn tool(definition: &Value, group: Option<&str>) -> Result<Tool, ApiError> {
    let name = definition["name"].as_str().unwrap_or_default();
    let name = group.map_or_else(|| name.to_owned(), |group| format!("{group}.{name}"));
    Ok(Tool::new(&json!({
        "type": "function",
        "function": {
            "name": name,
            "description": definition["description"],
            "parameters": definition["parameters"],
        },
    }))?)
}

/// What is the same in all states of a response.
struct Head {
    id: String,
    created: i64,
    model: String,
    instructions: Value,
    max_output_tokens: Option<i64>,
    temperature: f64,
    top_p: f64,
    tools: Vec<Value>,
    reasoning_effort: Value,
    format: Value,
}

impl Head {
    fn of(request: &ResponsesRequest) -> Head {
        let or_null = |text: &str| match text {
            "" => Value::Null,
            text => text.into(),
        };
        let format = match request.text.format.r#type.as_str() {
            "" => json!({"type": "text"}),
            "json_schema" => json!({"type": "json_schema", "schema": request.text.format.schema}),
            other => json!({"type": other}),
        };
        Head {
            id: ids::small("resp_"),
            created: times::unix_now(),
            model: request.model.clone(),
            instructions: or_null(&request.instructions),
            max_output_tokens: request.max_output_tokens,
            temperature: request.temperature.unwrap_or(1.0),
            top_p: request.top_p.unwrap_or(1.0),
            tools: request.tools.clone(),
            reasoning_effort: or_null(&request.reasoning.effort),
            format,
        }
    }

    fn object(&self, status: &str, output: Vec<Value>, finish: Option<&Finish>) -> Value {
        let incomplete = match finish.map(|finish| finish.reason) {
            Some(StopReason::Length) => json!({"reason": "max_output_tokens"}),
            Some(StopReason::Stop) | None => Value::Null,
        };
        json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "completed_at": finish.map(|_| times::unix_now()),
            "status": status,
            "incomplete_details": incomplete,
            "model": self.model,
            "previous_response_id": null,
            "instructions": self.instructions,
            "output": output,
            "error": null,
            "tools": self.tools,
            "tool_choice": "auto",
            "truncation": "disabled",
            "parallel_tool_calls": true,
            "text": {"format": self.format},
            "top_p": self.top_p,
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "top_logprobs": 0,
            "temperature": self.temperature,
            "reasoning": {"effort": self.reasoning_effort, "summary": null},
            "usage": finish.map(usage),
            "max_output_tokens": self.max_output_tokens,
            "max_tool_calls": null,
            "store": false,
            "background": false,
            "service_tier": "default",
            "metadata": {},
            "safety_identifier": null,
            "prompt_cache_key": null,
        })
    }

    fn whole(&self, piece: Piece, finish: &Finish) -> Value {
        let mut output = Vec::new();
        if !piece.thinking.is_empty() {
            output.push(reasoning_item(&ids::hex24("rs_"), &piece.thinking));
        }
        if piece.tool_calls.is_empty() {
            output.push(message_item(
                &ids::hex24("msg_"),
                "completed",
                Some(&piece.content),
            ));
        }
        for call in piece.tool_calls {
            let arguments = Value::Object(call.function.arguments).to_string();
            output.push(call_item(&Call {
                item: ids::hex24("fc_"),
                id: call.id,
                name: call.function.name,
                arguments,
            }));
        }
        self.object("completed", output, Some(finish))
    }
}

/// A call as an item.
struct Call {
    item: String,
    id: String,
    name: String,
    arguments: String,
}

fn reasoning_item(id: &str, thoughts: &str) -> Value {
    let summary = match thoughts {
        "" => json!([]),
        thoughts => json!([{"type": "summary_text", "text": thoughts}]),
    };
    json!({"id": id, "type": "reasoning", "summary": summary, "encrypted_content": thoughts})
}

fn message_item(id: &str, status: &str, text: Option<&str>) -> Value {
    let content: Vec<Value> = text.map(text_part).into_iter().collect();
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn call_item(call: &Call) -> Value {
    json!({
        "id": call.item,
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    })
}

fn usage(finish: &Finish) -> Value {
    let (input, output) = (finish.usage.prompt_tokens, finish.usage.completion_tokens);
    json!({
        "input_tokens": input,
        "output_tokens": output,
        "total_tokens": input + output,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    })
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

    #[test]
    fn requests_are_translated() {
        let request: ResponsesRequest = body::read(
            br#"{"model":"m","input":"hi","instructions":"be brief","max_output_tokens":9,
                "text":{"format":{"type":"json_schema","schema":{"type":"object"}}},
                "tools":[{"type":"function","name":"f","parameters":{"type":"object"}},
                    {"type":"namespace","name":"g","tools":[{"type":"function","name":"h"}]},
                    {"type":"web_search"}]}"#,
        )
        .unwrap();
        let request = request.translate().unwrap();
        let names: Vec<&str> = request.tools.iter().map(Tool::name).collect();
        assert_eq!(names, ["f", "g.h"]);
        let options = request.options.unwrap();
        assert_eq!(
            (&options["temperature"], &options["top_p"]),
            (&json!(1.0), &Value::Null)
        );
        assert_eq!(options["num_predict"], 9);
        assert_eq!(request.format, Some(json!({"type": "object"})));
        let Subject::Chat(messages) = request.subject else {
            panic!("not a chat")
        };
        assert_eq!(
            (messages[0].role.as_str(), messages[1].content.as_str()),
            ("system", "hi")
        );
    }
}
