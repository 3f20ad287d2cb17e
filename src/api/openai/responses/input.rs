//! Items of a conversation, as native messages.

use serde_json::Value;

use crate::api::error::ApiError;
use crate::api::openai::content::{arguments, data_image, role};
use crate::prompt::{FunctionCall, Message, ToolCall};

/// Instructions and input, in the order in which the model reads them.
pub(super) fn messages(instructions: &str, input: Value) -> Result<Vec<Message>, ApiError> {
    let mut messages = Vec::new();
    if !instructions.is_empty() {
        messages.push(Message::new("system", instructions));
    }
    match input {
        Value::Null => {}
        Value::String(text) => messages.push(Message::new("user", text)),
        Value::Array(items) => {
            let mut thoughts = String::new();
            for (index, item) in items.iter().enumerate() {
                push_item(&mut messages, &mut thoughts, item, index)?;
            }
        }
        _ => return Err(bad("input must be a string or array")),
    }
    Ok(messages)
}

/// Thoughts belong to the message or call that follows them.
fn push_item(
    messages: &mut Vec<Message>,
    thoughts: &mut String,
    item: &Value,
    index: usize,
) -> Result<(), ApiError> {
    let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let kind = match item["type"].as_str() {
        // A message may leave its type out.
        None | Some("") if item["role"].is_string() => "message",
        kind => kind.unwrap_or_default(),
    };
    match kind {
        "message" => {
            let mut message = content(&role(&text("role")), &item["content"])?;
            if message.role == "assistant" {
                message.thinking = std::mem::take(thoughts);
            }
            messages.push(message);
        }
        "function_call" => {
            let call = ToolCall {
                id: text("call_id"),
                function: FunctionCall {
                    name: text("name"),
                    arguments: match text("arguments") {
                        nothing if nothing.is_empty() => Default::default(),
                        given => arguments(&given)?,
                    },
                    ..FunctionCall::default()
                },
            };
            push_call(messages, std::mem::take(thoughts), call);
        }
        "function_call_output" => {
            let result = content("tool", &item["output"])?;
            messages.push(Message {
                tool_call_id: text("call_id"),
                ..result
            });
        }
        "reasoning" => *thoughts = reasoning(item),
        "web_search_call" => {}
        other => {
            return Err(bad(&format!(
                "input[{index}]: unknown input item type: {other:?}"
            )));
        }
    }
    Ok(())
}

/// Calls join the assistant's turn right before them.
fn push_call(messages: &mut Vec<Message>, thoughts: String, mut call: ToolCall) {
    match messages.last_mut() {
        Some(last) if last.role == "assistant" => {
            call.function.index = last.tool_calls.len();
            last.tool_calls.push(call);
            if last.thinking.is_empty() {
                last.thinking = thoughts;
            }
        }
        _ => messages.push(Message {
            tool_calls: vec![call],
            thinking: thoughts,
            ..Message::new("assistant", "")
        }),
    }
}

fn reasoning(item: &Value) -> String {
    if let Some(text) = item["encrypted_content"]
        .as_str()
        .filter(|text| !text.is_empty())
    {
        return text.to_owned();
    }
    let parts = item["summary"].as_array().into_iter().flatten();
    parts.filter_map(|part| part["text"].as_str()).collect()
}

fn content(role: &str, content: &Value) -> Result<Message, ApiError> {
    let mut message = Message::new(role, "");
    match content {
        Value::Null => {}
        Value::String(text) => message.content.clone_from(text),
        Value::Array(parts) => {
            for part in parts {
                push_part(&mut message, part)?;
            }
        }
        _ => return Err(bad("content must be a string or array")),
    }
    Ok(message)
}

fn push_part(message: &mut Message, part: &Value) -> Result<(), ApiError> {
    match part["type"].as_str() {
        Some("input_text" | "output_text" | "text") => {
            message
                .content
                .push_str(part["text"].as_str().unwrap_or_default());
        }
        Some("input_image") => {
            let url = part["image_url"].as_str().unwrap_or_default();
            message.images.push(data_image(url)?);
        }
        Some("input_file") => return Err(bad("file inputs are not currently supported")),
        other => {
            let kind = other.unwrap_or_default();
            return Err(bad(&format!("unknown content type: {kind:?}")));
        }
    }
    Ok(())
}

fn bad(text: &str) -> ApiError {
    ApiError::BadRequest(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_join_the_turn_before_them_and_results_name_their_call() {
        let messages = messages(
            "",
            json!([
                {"role": "user", "content": [{"type": "input_text", "text": "weather?"}]},
                {"type": "reasoning", "encrypted_content": "hm"},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
                {"type": "function_call", "call_id": "c2", "name": "g", "arguments": ""},
                {"type": "function_call_output", "call_id": "c1", "output": "22"},
                {"type": "web_search_call"},
            ]),
        )
        .unwrap();
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[0].content, "weather?");
        assert_eq!(
            (messages[1].thinking.as_str(), messages[1].tool_calls.len()),
            ("hm", 2)
        );
        assert_eq!(messages[1].tool_calls[1].function.index, 1);
        assert_eq!(
            (
                messages[2].tool_call_id.as_str(),
                messages[2].content.as_str()
            ),
            ("c1", "22")
        );
    }

    #[test]
    fn unknown_items_and_files_are_refused() {
        let error = |input| messages("", input).unwrap_err().to_string();
        assert_eq!(
            error(json!([{"type": "x"}])),
            "input[0]: unknown input item type: \"x\""
        );
        let file = json!([{"role": "user", "content": [{"type": "input_file"}]}]);
        assert_eq!(error(file), "file inputs are not currently supported");
    }
}
