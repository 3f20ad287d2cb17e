//! What the server answers, as far as commands show it. Absent and `null` fields are empty.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// `GET /api/tags`.
#[derive(Debug, Deserialize)]
pub(crate) struct Tags {
    #[serde(default, deserialize_with = "or_default")]
    pub models: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Tag {
    pub name: String,
    #[serde(default)]
    pub digest: String,
    #[serde(default)]
    pub size: u64,
    #[serde(deserialize_with = "time")]
    pub modified_at: Timestamp,
    #[serde(default)]
    pub remote_model: String,
}

/// `GET /api/ps`.
#[derive(Debug, Deserialize)]
pub(crate) struct Running {
    #[serde(default, deserialize_with = "or_default")]
    pub models: Vec<RunningModel>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RunningModel {
    pub name: String,
    #[serde(default)]
    pub digest: String,
    #[serde(default)]
    pub size: u64,
    #[serde(default)]
    pub size_vram: u64,
    #[serde(default)]
    pub context_length: u64,
    #[serde(deserialize_with = "time")]
    pub expires_at: Timestamp,
}

/// `POST /api/show`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Model {
    pub license: String,
    pub modelfile: String,
    pub parameters: String,
    pub template: String,
    pub system: String,
    #[serde(deserialize_with = "or_default")]
    pub details: Details,
    #[serde(deserialize_with = "or_default")]
    pub messages: Vec<Message>,
    #[serde(deserialize_with = "or_default")]
    pub model_info: Map<String, Value>,
    #[serde(deserialize_with = "or_default")]
    pub tensors: Vec<Tensor>,
    #[serde(deserialize_with = "or_default")]
    pub capabilities: Vec<String>,
    pub requires: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Details {
    pub parent_model: String,
    pub family: String,
    pub parameter_size: String,
    pub quantization_level: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tensor {
    pub name: String,
    pub r#type: String,
    #[serde(deserialize_with = "or_default")]
    pub shape: Vec<u64>,
}

/// One turn of a conversation.
#[derive(Clone, Debug, Default, Deserialize, serde::Serialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Message {
    pub role: String,
    pub content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub thinking: String,
}

impl Message {
    pub(crate) fn new(role: &str, content: impl Into<String>) -> Message {
        Message {
            role: role.to_owned(),
            content: content.into(),
            thinking: String::new(),
        }
    }
}

/// A line of `/api/generate` or `/api/chat`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Chunk {
    pub response: String,
    pub thinking: String,
    pub message: Message,
    pub done: bool,
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// Counts and nanoseconds of one answer; zero where the server says nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Metrics {
    pub total_duration: u64,
    pub load_duration: u64,
    pub prompt_eval_count: u64,
    pub prompt_eval_duration: u64,
    pub eval_count: u64,
    pub eval_duration: u64,
}

/// A line of `/api/pull`, `/api/push` or `/api/create`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Step {
    pub status: String,
    pub digest: String,
    pub total: u64,
    pub completed: u64,
}

/// `POST /api/embed`.
#[derive(Debug, Deserialize)]
pub(crate) struct Embedded {
    #[serde(default, deserialize_with = "or_default")]
    pub embeddings: Vec<Vec<f32>>,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}
