//! Messages, images and switches as OpenAI writes them.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::error::ApiError;
use crate::api::fields::decode_base64;
use crate::prompt::{FunctionCall, Level, Message, Think, ToolCall};

/// What may stand before the data of an image.
const IMAGE_PREFIXES: [&str; 5] = [
    "data:image/jpeg;base64,",
    "data:image/jpg;base64,",
    "data:image/png;base64,",
    "data:image/webp;base64,",
    "data:;base64,",
];

/// One turn.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatMessage {
    pub role: String,
    pub content: Value,
    pub reasoning: String,
    pub tool_calls: Vec<ChatToolCall>,
    pub name: String,
    pub tool_call_id: String,
}

/// A call of an assistant's turn.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatToolCall {
    pub id: String,
    pub index: usize,
    pub function: ChatFunction,
}

/// What is called, with its arguments as text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatFunction {
    pub name: String,
    pub arguments: String,
}

/// A role as templates know it: `developer` is a newer word for `system`.
pub(super) fn role(name: &str) -> String {
    match name.to_lowercase() {
        newer if newer == "developer" => "system".to_owned(),
        role => role,
    }
}

/// The conversation in native terms: one message per part of a turn's content.
pub(super) fn messages(turns: Vec<ChatMessage>) -> Result<Vec<Message>, ApiError> {
    let mut messages: Vec<Message> = Vec::new();
    for turn in turns {
        let tool_name = match turn.name {
            name if name.is_empty() => tool_name(&messages, &turn.tool_call_id),
            name => name,
        };
        let whole = Message {
            role: role(&turn.role),
            thinking: turn.reasoning,
            tool_calls: turn
                .tool_calls
                .into_iter()
                .map(tool_call)
                .collect::<Result<_, _>>()?,
            tool_name,
            tool_call_id: turn.tool_call_id,
            ..Message::default()
        };
        match turn.content {
            Value::String(content) => messages.push(Message { content, ..whole }),
            Value::Array(parts) => push_parts(&mut messages, &whole, &parts)?,
            Value::Null if !whole.tool_calls.is_empty() => messages.push(whole),
            other => {
                let kind = match other {
                    Value::Bool(_) => "bool",
                    Value::Number(_) => "float64",
                    Value::Object(_) => "map[string]interface {}",
                    Value::Null | Value::String(_) | Value::Array(_) => "<nil>",
                };
                let text = format!("invalid message content type: {kind}");
                return Err(ApiError::BadRequest(text));
            }
        }
    }
    Ok(messages)
}

fn push_parts(
    messages: &mut Vec<Message>,
    whole: &Message,
    parts: &[Value],
) -> Result<(), ApiError> {
    let invalid = || ApiError::BadRequest("invalid message format".to_owned());
    let first = messages.len();
    for part in parts {
        let part = part.as_object().ok_or_else(invalid)?;
        let mut message = Message {
            role: whole.role.clone(),
            tool_name: whole.tool_name.clone(),
            tool_call_id: whole.tool_call_id.clone(),
            ..Message::default()
        };
        match part.get("type").and_then(Value::as_str) {
            Some("text") => {
                let text = part
                    .get("text")
                    .and_then(Value::as_str)
                    .ok_or_else(invalid)?;
                message.content = text.to_owned();
            }
            Some("image_url") => {
                let url = match part.get("image_url") {
                    Some(Value::String(url)) => Some(url.as_str()),
                    Some(Value::Object(image)) => image.get("url").and_then(Value::as_str),
                    _ => None,
                };
                message.images.push(data_image(url.ok_or_else(invalid)?)?);
            }
            _ => return Err(invalid()),
        }
        messages.push(message);
    }
    // What belongs to the turn as a whole stands with its last part.
    if messages.len() == first {
        messages.push(whole.clone());
    } else if let Some(last) = messages.last_mut() {
        last.tool_calls = whole.tool_calls.clone();
        last.thinking = whole.thinking.clone();
    }
    Ok(())
}

/// Bytes of an image in a data URI.
pub(crate) fn data_image(url: &str) -> Result<Vec<u8>, ApiError> {
    if url.starts_with("http://") || url.starts_with("https://") {
        return Err(ApiError::BadRequest(
            "image URLs are not currently supported, please use base64 encoded data instead"
                .to_owned(),
        ));
    }
    let data = IMAGE_PREFIXES
        .iter()
        .find_map(|prefix| url.strip_prefix(prefix));
    data.and_then(|data| decode_base64(data).ok())
        .ok_or_else(|| ApiError::BadRequest("invalid image input".to_owned()))
}

fn tool_call(call: ChatToolCall) -> Result<ToolCall, ApiError> {
    Ok(ToolCall {
        id: call.id,
        function: FunctionCall {
            index: call.index,
            name: call.function.name,
            arguments: arguments(&call.function.arguments)?,
        },
    })
}

/// Arguments that came as text.
pub(super) fn arguments(text: &str) -> Result<Map<String, Value>, ApiError> {
    serde_json::from_str(text)
        .map_err(|_| ApiError::BadRequest("invalid tool call arguments".to_owned()))
}

/// The tool that the latest call of this id called.
fn tool_name(messages: &[Message], id: &str) -> String {
    let calls = messages
        .iter()
        .rev()
        .flat_map(|message| message.tool_calls.iter().rev());
    let call = calls
        .into_iter()
        .find(|call| !id.is_empty() && call.id == id);
    call.map(|call| call.function.name.clone())
        .unwrap_or_default()
}

/// `reasoning_effort` in native terms.
pub(crate) fn effort(effort: &str) -> Result<Option<Think>, ApiError> {
    Ok(Some(match effort {
        "" => return Ok(None),
        "none" => Think::Off,
        "minimal" | "low" => Think::Level(Level::Low),
        "medium" => Think::Level(Level::Medium),
        "high" => Think::Level(Level::High),
        "max" | "xhigh" | "ultra" => Think::Level(Level::Max),
        other => {
            return Err(ApiError::BadRequest(format!(
                "invalid reasoning value: {other:?} (must be \"minimal\", \"low\", \"medium\", \
                 \"high\", \"xhigh\", \"max\", \"ultra\", or \"none\")"
            )));
        }
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Vec<Message>, String> {
        messages(serde_json::from_value(value).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_developer_is_the_system() {
        for (name, want) in [("Developer", "system"), ("USER", "user"), ("tool", "tool")] {
            assert_eq!(role(name), want);
        }
    }

    #[test]
    fn every_part_of_a_turn_becomes_a_message() {
        let messages = read(json!([{"role": "user", "content": [
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            {"type": "image_url", "image_url": "data:;base64,aGk="},
        ]}]))
        .unwrap();
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[0].content, "a");
        assert_eq!(messages[1].images, [b"hi".to_vec()]);
        assert_eq!(messages[2].images, [b"hi".to_vec()]);
    }

    #[test]
    fn tool_results_learn_their_tool_from_the_call() {
        let messages = read(json!([
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "22"},
        ]))
        .unwrap();
        assert_eq!(messages[0].tool_calls[0].function.arguments["a"], 1);
        assert_eq!(
            (messages[1].tool_name.as_str(), messages[1].content.as_str()),
            ("f", "22")
        );
    }

    #[test]
    fn bad_turns_are_told_apart() {
        let image =
            |url| json!([{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]);
        for (turns, want) in [
            (
                json!([{"role": "user", "content": null}]),
                "invalid message content type: <nil>",
            ),
            (
                json!([{"role": "user", "content": 1}]),
                "invalid message content type: float64",
            ),
            (
                json!([{"role": "user", "content": ["x"]}]),
                "invalid message format",
            ),
            (
                image("https://x/y.png"),
                "image URLs are not currently supported, please use base64 encoded data instead",
            ),
            (image("data:text/plain;base64,aGk="), "invalid image input"),
            (
                json!([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]),
                "invalid tool call arguments",
            ),
        ] {
            assert_eq!(read(turns).unwrap_err(), want);
        }
    }

    #[test]
    fn efforts_become_levels() {
        assert_eq!(effort("none").unwrap(), Some(Think::Off));
        assert_eq!(effort("minimal").unwrap(), Some(Think::Level(Level::Low)));
        assert_eq!(effort("xhigh").unwrap(), Some(Think::Level(Level::Max)));
        assert_eq!(effort("").unwrap(), None);
        assert!(
            effort("x")
                .unwrap_err()
                .to_string()
                .starts_with("invalid reasoning value: \"x\"")
        );
    }
}
