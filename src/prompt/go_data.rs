//! Messages and tools as the values Go templates see.

use serde_json::{Map, Value as Json};

use super::go_template::{Field, Print, Value};
use super::message::{Message, Tool, ToolCall};

/// The list behind `.Messages`.
pub(super) fn messages(messages: &[Message]) -> Value {
    Value::list(messages.iter().map(message).collect(), Print::Go)
}

/// The list behind `.Tools`, which prints as JSON.
pub(super) fn tools(tools: &[Tool]) -> Value {
    let tools = tools.iter().map(|tool| self::tool(tool.value()));
    Value::list(tools.collect(), Print::Json)
}

fn field(name: &'static str, json: &'static str, value: Value) -> Field {
    Field {
        name,
        json,
        omit_empty: false,
        value,
    }
}

fn optional(name: &'static str, json: &'static str, value: Value) -> Field {
    Field {
        omit_empty: true,
        ..field(name, json, value)
    }
}

fn message(message: &Message) -> Value {
    // Images are shown by markers in the text; templates only ask how many there are.
    let images = message.images.iter().map(|_| Value::text(""));
    let calls = message.tool_calls.iter().map(tool_call);
    Value::record(
        "api.Message",
        vec![
            field("Role", "role", Value::text(message.role.as_str())),
            field("Content", "content", Value::text(message.content.as_str())),
            optional(
                "Thinking",
                "thinking",
                Value::text(message.thinking.as_str()),
            ),
            optional("Images", "images", Value::list(images.collect(), Print::Go)),
            optional(
                "ToolCalls",
                "tool_calls",
                Value::list(calls.collect(), Print::Go),
            ),
            optional(
                "ToolName",
                "tool_name",
                Value::text(message.tool_name.as_str()),
            ),
            optional(
                "ToolCallID",
                "tool_call_id",
                Value::text(message.tool_call_id.as_str()),
            ),
        ],
        Print::Go,
    )
}

fn tool_call(call: &ToolCall) -> Value {
    let function = Value::record(
        "api.ToolCallFunction",
        vec![
            field(
                "Index",
                "index",
                Value::Int(i64::try_from(call.function.index).unwrap_or(i64::MAX)),
            ),
            field("Name", "name", Value::text(call.function.name.as_str())),
            field(
                "Arguments",
                "arguments",
                Value::json_object(&call.function.arguments),
            ),
        ],
        Print::Json,
    );
    Value::record(
        "api.ToolCall",
        vec![
            optional("ID", "id", Value::text(call.id.as_str())),
            field("Function", "function", function),
        ],
        Print::Json,
    )
}

fn tool(tool: &Json) -> Value {
    let function = &tool["function"];
    let parameters = &function["parameters"];
    let parameters = Value::record(
        "api.ToolFunctionParameters",
        vec![
            field("Type", "type", text(&parameters["type"])),
            optional("Defs", "$defs", Value::from(&parameters["$defs"])),
            optional("Items", "items", Value::from(&parameters["items"])),
            optional("Required", "required", list(&parameters["required"])),
            field(
                "Properties",
                "properties",
                properties(parameters["properties"].as_object()),
            ),
        ],
        Print::Json,
    );
    let function = Value::record(
        "api.ToolFunction",
        vec![
            field("Name", "name", text(&function["name"])),
            field("Description", "description", text(&function["description"])),
            field("Parameters", "parameters", parameters),
        ],
        Print::Json,
    );
    Value::record(
        "api.Tool",
        vec![
            field("Type", "type", text(&tool["type"])),
            optional("Items", "items", Value::from(&tool["items"])),
            field("Function", "function", function),
        ],
        Print::Json,
    )
}

fn properties(properties: Option<&Map<String, Json>>) -> Value {
    let entries = properties.into_iter().flatten();
    Value::map(
        entries.map(|(name, value)| (name.clone(), property(value))),
        Print::Json,
    )
}

fn property(property: &Json) -> Value {
    let choices = property["anyOf"].as_array().into_iter().flatten();
    let types = match &property["type"] {
        Json::String(kind) => vec![Value::text(kind.as_str())],
        other => other
            .as_array()
            .into_iter()
            .flatten()
            .map(Value::from)
            .collect(),
    };
    let inner = property["properties"].as_object();
    Value::record(
        "api.ToolProperty",
        vec![
            optional(
                "AnyOf",
                "anyOf",
                Value::list(choices.map(self::property).collect(), Print::Json),
            ),
            optional("Type", "type", Value::list(types, Print::OneOrMany)),
            optional("Items", "items", Value::from(&property["items"])),
            optional("Description", "description", text(&property["description"])),
            optional("Enum", "enum", list(&property["enum"])),
            optional(
                "Properties",
                "properties",
                inner.map_or(Value::Nil, |_| properties(inner)),
            ),
            optional("Required", "required", list(&property["required"])),
        ],
        Print::Json,
    )
}

fn text(value: &Json) -> Value {
    Value::text(value.as_str().unwrap_or_default())
}

fn list(value: &Json) -> Value {
    let items = value.as_array().into_iter().flatten();
    Value::list(items.map(Value::from).collect(), Print::Go)
}
