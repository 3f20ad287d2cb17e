//! Messages, tools and the `think` switch, as requests, templates and parsers share them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Why a tool or a `think` value of a request cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A part of a tool has another JSON type than the API defines.
    #[error("cannot read {field} of a tool: expected {expected}, found {found}")]
    Tool {
        /// Path of the offending value, such as `function.parameters.required`.
        field: String,
        /// The JSON type that belongs there.
        expected: &'static str,
        /// The JSON type that is there.
        found: &'static str,
    },
    /// `think` is a string that names no level.
    #[error(
        "invalid think value: \"{0}\" (must be \"high\", \"medium\", \"low\", \"max\", true, or false)"
    )]
    ThinkLevel(String),
    /// `think` is neither a boolean nor a string.
    #[error(
        "think must be a boolean or string (\"high\", \"medium\", \"low\", \"max\", true, or false)"
    )]
    ThinkType,
}

/// One turn of a conversation. In JSON every field may be absent or `null`; `content` is always
/// written, the other fields only when they hold something. Images are standard base64 in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`; lower-cased when read, otherwise not checked.
    #[serde(deserialize_with = "lower_case")]
    pub role: String,
    /// The text.
    #[serde(deserialize_with = "null_is_default")]
    pub content: String,
    /// What the model thought before it answered.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub thinking: String,
    /// Encoded image files.
    #[serde(
        deserialize_with = "from_base64",
        serialize_with = "to_base64",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub images: Vec<Vec<u8>>,
    /// Calls an assistant turn asks for.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tool_calls: Vec<ToolCall>,
    /// The tool whose result a `tool` turn carries.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub tool_name: String,
    /// The call that a `tool` turn answers.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub tool_call_id: String,
}

impl Message {
    /// A turn of text only.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
            ..Self::default()
        }
    }

    /// Whether `next` is more of the same turn. Results of tools stand for themselves.
    pub(super) fn goes_on_with(&self, next: &Message) -> bool {
        self.role == next.role && next.role != "tool"
    }

    /// Adds more of the same turn.
    pub(super) fn append(&mut self, next: &Message) {
        self.content.push_str("\n\n");
        self.content.push_str(&next.content);
        self.tool_calls.extend_from_slice(&next.tool_calls);
    }
}

/// One call of a tool, as an assistant turn carries it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolCall {
    /// Name of the call that its result refers to; may be empty.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// What is called.
    #[serde(deserialize_with = "null_is_default")]
    pub function: FunctionCall,
}

/// The function of a [`ToolCall`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionCall {
    /// Position among the calls of one answer, counted from 0.
    #[serde(deserialize_with = "null_is_default")]
    pub index: usize,
    /// Name of a declared tool.
    #[serde(deserialize_with = "null_is_default")]
    pub name: String,
    /// Arguments by name, in the order they were given; an object, never a string of one.
    #[serde(deserialize_with = "null_is_default")]
    pub arguments: Map<String, Value>,
}

/// A tool the model may call, reduced to the schema keywords the API keeps.
///
/// `{"type", "function": {"name", "description", "parameters": {"type", "$defs", "items",
/// "required", "properties": {name: {"anyOf", "type", "items", "description", "enum",
/// "properties", "required"}}}}}`: keywords stand in this order, properties in the order they
/// were given, and everything else is dropped.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Tool(Value);

impl Tool {
    /// Reads a tool and drops the keywords it does not know. `null` counts as absent.
    ///
    /// # Errors
    /// A known field has the wrong JSON type.
    pub fn new(value: &Value) -> Result<Self, MessageError> {
        let tool = object(value, "tool")?;
        let mut out = Map::new();
        let kind = text(tool, "", "type")?;
        let kind = if kind.is_empty() { "function" } else { kind };
        out.insert("type".into(), kind.into());
        copy_any(tool, "items", &mut out);
        let empty = Map::new();
        let function = match field(tool, "function") {
            Some(function) => object(function, "function")?,
            None => &empty,
        };
        out.insert("function".into(), Value::Object(clean_function(function)?));
        Ok(Self(Value::Object(out)))
    }

    /// Name of the function.
    pub fn name(&self) -> &str {
        self.0["function"]["name"].as_str().unwrap_or_default()
    }

    /// What the function does; may be empty.
    pub fn description(&self) -> &str {
        self.0["function"]["description"]
            .as_str()
            .unwrap_or_default()
    }

    /// The cleaned definition.
    pub fn value(&self) -> &Value {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Tool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// What a request says about thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Think {
    /// `true`.
    On,
    /// `false`.
    Off,
    /// A named effort; counts as on.
    Level(Level),
}

/// Named effort of thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `"low"`
    Low,
    /// `"medium"`
    Medium,
    /// `"high"`
    High,
    /// `"max"`
    Max,
}

impl Level {
    /// The word for it in requests and templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Max => "max",
        }
    }
}

impl Think {
    /// Reads the `think` field of a request; `None` for `null`.
    ///
    /// # Errors
    /// The value is neither a boolean nor one of `low`, `medium`, `high` and `max`.
    pub fn parse(value: &Value) -> Result<Option<Self>, MessageError> {
        match value {
            Value::Null => Ok(None),
            Value::Bool(true) => Ok(Some(Self::On)),
            Value::Bool(false) => Ok(Some(Self::Off)),
            Value::String(text) => match text.as_str() {
                "low" => Ok(Some(Self::Level(Level::Low))),
                "medium" => Ok(Some(Self::Level(Level::Medium))),
                "high" => Ok(Some(Self::Level(Level::High))),
                "max" => Ok(Some(Self::Level(Level::Max))),
                _ => Err(MessageError::ThinkLevel(text.clone())),
            },
            _ => Err(MessageError::ThinkType),
        }
    }

    /// Whether the model is asked to think.
    pub fn is_on(self) -> bool {
        self != Self::Off
    }

    /// The named effort, or the empty string.
    pub fn level(self) -> &'static str {
        match self {
            Self::Level(level) => level.as_str(),
            Self::On | Self::Off => "",
        }
    }
}

impl<'de> Deserialize<'de> for Think {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Value::deserialize(deserializer)?)
            .and_then(|think| think.ok_or(MessageError::ThinkType))
            .map_err(D::Error::custom)
    }
}

impl Serialize for Think {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::On => serializer.serialize_bool(true),
            Self::Off => serializer.serialize_bool(false),
            Self::Level(level) => serializer.serialize_str(level.as_str()),
        }
    }
}

fn clean_function(function: &Map<String, Value>) -> Result<Map<String, Value>, MessageError> {
    let mut out = Map::new();
    out.insert("name".into(), text(function, "function", "name")?.into());
    let description = text(function, "function", "description")?;
    if !description.is_empty() {
        out.insert("description".into(), description.into());
    }
    let path = "function.parameters";
    let empty = Map::new();
    let given = match field(function, "parameters") {
        Some(parameters) => object(parameters, path)?,
        None => &empty,
    };
    let mut parameters = Map::new();
    let kind = text(given, path, "type")?;
    let kind = if kind.is_empty() { "object" } else { kind };
    parameters.insert("type".into(), kind.into());
    copy_any(given, "$defs", &mut parameters);
    copy_any(given, "items", &mut parameters);
    copy_texts(given, path, "required", &mut parameters)?;
    let properties = match field(given, "properties") {
        Some(properties) => clean_properties(properties, &format!("{path}.properties"))?,
        None => Map::new(),
    };
    parameters.insert("properties".into(), Value::Object(properties));
    out.insert("parameters".into(), Value::Object(parameters));
    Ok(out)
}

fn clean_properties(properties: &Value, path: &str) -> Result<Map<String, Value>, MessageError> {
    let mut out = Map::new();
    for (name, property) in object(properties, path)? {
        let path = format!("{path}.{name}");
        out.insert(name.clone(), clean_property(property, &path)?);
    }
    Ok(out)
}

fn clean_property(property: &Value, path: &str) -> Result<Value, MessageError> {
    let mut out = Map::new();
    // A property that is `true` or `null` says nothing about itself.
    if matches!(property, Value::Null | Value::Bool(true)) {
        return Ok(Value::Object(out));
    }
    let property = object(property, path)?;
    if let Some(choices) = field(property, "anyOf") {
        let path = format!("{path}.anyOf");
        let choices = array(choices, &path)?
            .iter()
            .map(|choice| clean_property(choice, &path))
            .collect::<Result<Vec<_>, _>>()?;
        if !choices.is_empty() {
            out.insert("anyOf".into(), Value::Array(choices));
        }
    }
    match field(property, "type") {
        Some(Value::String(kind)) => {
            out.insert("type".into(), kind.clone().into());
        }
        Some(_) => copy_texts(property, path, "type", &mut out)?,
        None => {}
    }
    copy_any(property, "items", &mut out);
    let description = text(property, path, "description")?;
    if !description.is_empty() {
        out.insert("description".into(), description.into());
    }
    if let Some(values) = field(property, "enum") {
        let values = array(values, &format!("{path}.enum"))?;
        if !values.is_empty() {
            out.insert("enum".into(), Value::Array(values.clone()));
        }
    }
    if let Some(properties) = field(property, "properties") {
        let properties = clean_properties(properties, &format!("{path}.properties"))?;
        out.insert("properties".into(), Value::Object(properties));
    }
    copy_texts(property, path, "required", &mut out)?;
    Ok(Value::Object(out))
}

fn field<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).filter(|value| !value.is_null())
}

fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Map<String, Value>, MessageError> {
    value
        .as_object()
        .ok_or_else(|| wrong_type(path, "object", value))
}

fn array<'a>(value: &'a Value, path: &str) -> Result<&'a Vec<Value>, MessageError> {
    value
        .as_array()
        .ok_or_else(|| wrong_type(path, "array", value))
}

fn text<'a>(map: &'a Map<String, Value>, path: &str, name: &str) -> Result<&'a str, MessageError> {
    match field(map, name) {
        None => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(wrong_type(&format!("{path}.{name}"), "string", other)),
    }
}

fn copy_any(from: &Map<String, Value>, name: &str, to: &mut Map<String, Value>) {
    if let Some(value) = field(from, name) {
        to.insert(name.into(), value.clone());
    }
}

fn copy_texts(
    from: &Map<String, Value>,
    path: &str,
    name: &str,
    to: &mut Map<String, Value>,
) -> Result<(), MessageError> {
    let Some(value) = field(from, name) else {
        return Ok(());
    };
    let path = format!("{path}.{name}");
    let values = array(value, &path)?;
    if let Some(other) = values.iter().find(|value| !value.is_string()) {
        return Err(wrong_type(&path, "string", other));
    }
    if !values.is_empty() {
        to.insert(name.into(), Value::Array(values.clone()));
    }
    Ok(())
}

fn wrong_type(path: &str, expected: &'static str, found: &Value) -> MessageError {
    MessageError::Tool {
        field: path.trim_start_matches('.').to_owned(),
        expected,
        found: match found {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        },
    }
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

fn lower_case<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(null_is_default::<D, String>(deserializer)?.to_lowercase())
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
    null_is_default::<D, Vec<String>>(deserializer)?
        .iter()
        .map(|text| {
            STANDARD.decode(text).map_err(|error| {
                let at = match error {
                    base64::DecodeError::InvalidByte(at, _)
                    | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                    _ => text.len(),
                };
                D::Error::custom(format!("illegal base64 data at input byte {at}"))
            })
        })
        .collect()
}

fn to_base64<S: Serializer>(images: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(images.iter().map(|image| STANDARD.encode(image)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_reads_nulls_and_lower_cases_the_role() {
        let message: Message = serde_json::from_value(json!({
            "role": "User", "content": null, "images": ["aGk="], "tool_calls": null,
        }))
        .unwrap();
        assert_eq!(message.role, "user");
        assert_eq!(message.content, "");
        assert_eq!(message.images, [b"hi".to_vec()]);
        assert_eq!(
            serde_json::to_value(Message::new("assistant", "")).unwrap(),
            json!({"role": "assistant", "content": ""})
        );
    }

    #[test]
    fn content_that_is_an_array_and_bad_base64_are_errors() {
        let parts = json!({"role": "user", "content": [{"type": "text", "text": "x"}]});
        assert!(serde_json::from_value::<Message>(parts).is_err());
        let image = json!({"role": "user", "images": ["data:image/png;base64,aGk="]});
        let error = serde_json::from_value::<Message>(image).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("illegal base64 data at input byte 4")
        );
    }

    #[test]
    fn tool_call_arguments_are_objects_in_the_given_order() {
        let call: ToolCall = serde_json::from_value(json!({
            "type": "function", "function": {"name": "f", "arguments": {"z": 1, "a": 2}},
        }))
        .unwrap();
        assert_eq!(
            serde_json::to_string(&call).unwrap(),
            r#"{"function":{"index":0,"name":"f","arguments":{"z":1,"a":2}}}"#
        );
        let text = json!({"function": {"name": "f", "arguments": "{}"}});
        assert!(serde_json::from_value::<ToolCall>(text).is_err());
    }

    #[test]
    fn a_tool_keeps_only_the_known_keywords() {
        let tool = Tool::new(&json!({
            "strict": true,
            "function": {
                "parameters": {
                    "additionalProperties": false,
                    "properties": {
                        "z": {"minLength": 1, "type": ["string", "null"], "title": "Z"},
                        "a": {"anyOf": [{"type": "integer", "minimum": 3}], "default": 4},
                    },
                    "required": ["z"],
                    "type": "object",
                },
                "name": "f", "description": "does", "strict": true,
            },
            "type": "function",
        }))
        .unwrap();
        assert_eq!((tool.name(), tool.description()), ("f", "does"));
        assert_eq!(
            tool.value().to_string(),
            concat!(
                r#"{"type":"function","function":{"name":"f","description":"does","#,
                r#""parameters":{"type":"object","required":["z"],"properties":"#,
                r#"{"z":{"type":["string","null"]},"a":{"anyOf":[{"type":"integer"}]}}}}}"#
            )
        );
    }

    #[test]
    fn a_tool_of_the_wrong_shape_names_the_field() {
        let error = Tool::new(&json!({"function": {"parameters": {"required": "a"}}}));
        assert_eq!(
            error.unwrap_err().to_string(),
            "cannot read function.parameters.required of a tool: expected array, found string"
        );
        assert!(Tool::new(&json!("f")).is_err());
    }

    #[test]
    fn think_is_a_boolean_or_a_level() {
        assert_eq!(Think::parse(&json!(null)), Ok(None));
        assert_eq!(Think::parse(&json!(true)), Ok(Some(Think::On)));
        assert_eq!(
            Think::parse(&json!("max")),
            Ok(Some(Think::Level(Level::Max)))
        );
        assert!(!Think::Off.is_on() && Think::Level(Level::Low).is_on());
        assert_eq!(
            Think::parse(&json!("x")).unwrap_err().to_string(),
            r#"invalid think value: "x" (must be "high", "medium", "low", "max", true, or false)"#
        );
        assert_eq!(Think::parse(&json!(1)), Err(MessageError::ThinkType));
    }
}
