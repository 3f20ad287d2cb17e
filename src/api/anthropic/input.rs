//! Turns and tools, in native terms.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::error::ApiError;
use crate::api::fields::decode_base64;
use crate::prompt::{FunctionCall, Message, Tool, ToolCall};

/// One turn: text, or blocks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Turn {
    pub role: String,
    pub content: Value,
}

/// A tool the model may use.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolDefinition {
    pub r#type: String,
    pub name: String,
    pub description: String,
    pub input_schema: Value,
}

/// The conversation, led by the system text.
pub(super) fn messages(system: &Value, turns: Vec<Turn>) -> Result<Vec<Message>, ApiError> {
    let mut messages = Vec::new();
    let system = match system {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks
            .iter()
            .filter_map(|block| block["text"].as_str())
            .collect(),
        _ => String::new(),
    };
    if !system.is_empty() {
        messages.push(Message::new("system", system));
    }
    for turn in turns {
        let role = turn.role.to_lowercase();
        match turn.content {
            Value::String(text) => messages.push(Message::new(role, text)),
            Value::Array(blocks) => push_blocks(&mut messages, &role, &blocks)?,
            Value::Null => {}
            _ => return Err(bad("invalid message content type")),
        }
    }
    Ok(messages)
}

fn push_blocks(messages: &mut Vec<Message>, role: &str, blocks: &[Value]) -> Result<(), ApiError> {
    let mut turn = Message::new(role, "");
    for block in blocks {
        let text = |key: &str| block[key].as_str().unwrap_or_default();
        match text("type") {
            "text" => turn.content.push_str(text("text")),
            "thinking" => turn.thinking.push_str(text("thinking")),
            "image" => turn.images.push(image(&block["source"])?),
            "tool_use" => {
                let index = turn.tool_calls.len();
                turn.tool_calls.push(tool_use(block, index)?);
            }
            // Results answer the turn before, so they stand before what the user adds.
            "tool_result" => messages.push(tool_result(block, messages)?),
            _ => {}
        }
    }
    let says_something = !turn.content.is_empty()
        || !turn.images.is_empty()
        || !turn.tool_calls.is_empty()
        || !turn.thinking.is_empty();
    if says_something {
        messages.push(turn);
    }
    Ok(())
}

fn tool_use(block: &Value, index: usize) -> Result<ToolCall, ApiError> {
    let required = |key: &str| match block[key].as_str() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(bad(&format!(
            "tool_use block missing required '{key}' field"
        ))),
    };
    Ok(ToolCall {
        id: required("id")?,
        function: FunctionCall {
            index,
            name: required("name")?,
            arguments: block["input"].as_object().cloned().unwrap_or_default(),
        },
    })
}

fn tool_result(block: &Value, messages: &[Message]) -> Result<Message, ApiError> {
    let id = block["tool_use_id"].as_str().unwrap_or_default();
    let calls = messages
        .iter()
        .rev()
        .flat_map(|message| &message.tool_calls);
    let name = calls
        .into_iter()
        .find(|call| call.id == id)
        .map(|call| &call.function.name);
    let mut message = Message {
        tool_call_id: id.to_owned(),
        tool_name: name.cloned().unwrap_or_default(),
        ..Message::new("tool", "")
    };
    match &block["content"] {
        Value::String(text) => message.content.clone_from(text),
        Value::Array(parts) => {
            for part in parts {
                match part["type"].as_str() {
                    Some("text") => {
                        message
                            .content
                            .push_str(part["text"].as_str().unwrap_or_default());
                    }
                    Some("image") => message.images.push(image(&part["source"])?),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    Ok(message)
}

fn image(source: &Value) -> Result<Vec<u8>, ApiError> {
    let Some(source) = source.as_object() else {
        return Err(bad("invalid image source"));
    };
    match source
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
    {
        "base64" => {
            let data = source
                .get("data")
                .and_then(Value::as_str)
                .unwrap_or_default();
            decode_base64(data).map_err(|_| bad("invalid image source"))
        }
        other => Err(bad(&format!(
            "invalid image source type: {other}. Only base64 images are supported."
        ))),
    }
}

/// Tools in native terms; a search of the web is none of ours.
pub(super) fn tools(definitions: Vec<ToolDefinition>) -> Result<Vec<Tool>, ApiError> {
    let ours = definitions
        .into_iter()
        .filter(|tool| !tool.r#type.starts_with("web_search"));
    ours.map(|definition| {
        Tool::new(&json!({
            "type": "function",
            "function": {
                "name": definition.name,
                "description": definition.description,
                "parameters": definition.input_schema,
            },
        }))
        .map_err(|error| {
            bad(&format!(
                "invalid input_schema for tool {:?}: {error}",
                definition.name
            ))
        })
    })
    .collect()
}

fn bad(text: &str) -> ApiError {
    ApiError::BadRequest(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(system: Value, turns: Value) -> Result<Vec<Message>, String> {
        let turns = serde_json::from_value(turns).unwrap();
        messages(&system, turns).map_err(|error| error.to_string())
    }

    #[test]
    fn results_of_tools_stand_before_the_text_of_their_turn() {
        let messages = read(
            json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
            json!([
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}},
                ]},
                {"role": "user", "content": [
                    {"type": "text", "text": "and now?"},
                    {"type": "tool_result", "tool_use_id": "t1",
                     "content": [{"type": "text", "text": "22"}]},
                ]},
            ]),
        )
        .unwrap();
        let roles: Vec<&str> = messages
            .iter()
            .map(|message| message.role.as_str())
            .collect();
        assert_eq!(roles, ["system", "assistant", "tool", "user"]);
        assert_eq!(messages[0].content, "ab");
        assert_eq!(messages[1].thinking, "hm");
        assert_eq!(
            (messages[2].tool_name.as_str(), messages[2].content.as_str()),
            ("f", "22")
        );
    }

    #[test]
    fn bad_blocks_are_named() {
        let turn = |block: Value| read(json!(null), json!([{"role": "user", "content": [block]}]));
        assert_eq!(
            turn(json!({"type": "tool_use", "name": "f"})).unwrap_err(),
            "tool_use block missing required 'id' field"
        );
        assert_eq!(
            turn(json!({"type": "image"})).unwrap_err(),
            "invalid image source"
        );
        assert_eq!(
            turn(json!({"type": "image", "source": {"type": "url"}})).unwrap_err(),
            "invalid image source type: url. Only base64 images are supported."
        );
        let tool = ToolDefinition {
            name: "f".into(),
            input_schema: json!("x"),
            ..Default::default()
        };
        let error = tools(vec![tool]).unwrap_err().to_string();
        assert!(
            error.starts_with("invalid input_schema for tool \"f\": "),
            "{error}"
        );
    }
}
