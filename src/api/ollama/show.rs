//! `POST /api/show`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wick_models::Gguf;
use wick_models::gguf::Value as GgufValue;

use crate::api::body::Body;
use crate::api::catalog::{Model, blocking};
use crate::api::error::{ApiError, Route};
use crate::api::{App, times};
use crate::store::{Message, show};

use super::models::Details;

/// Metadata that has a place of its own in the answer.
const ELSEWHERE: [&str; 2] = ["general.name", "tokenizer.chat_template"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShowRequest {
    model: String,
    name: String,
    verbose: bool,
    system: String,
    options: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ShowResponse {
    #[serde(skip_serializing_if = "String::is_empty")]
    license: String,
    modelfile: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    parameters: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    template: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    system: String,
    details: Details,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Message>,
    model_info: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projector_info: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tensors: Vec<Tensor>,
    capabilities: Vec<String>,
    modified_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    requires: Option<String>,
}

#[derive(Debug, Serialize)]
struct Tensor {
    name: String,
    r#type: &'static str,
    shape: Vec<usize>,
}

/// `POST /api/show`: everything that is known of a model.
pub(super) async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    Body(request): Body<ShowRequest>,
) -> Result<Json<ShowResponse>, ApiError> {
    let name = if request.model.is_empty() {
        &request.name
    } else {
        &request.model
    };
    let model = app.model(Route::Show, name).await?;
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    // This client shows the base name where it should show the model's.
    let base_name = agent
        .filter(|agent| agent.starts_with("GitHubCopilotChat/"))
        .map(|_| name.clone());
    let mut response = blocking(move || details(model, &request)).await?;
    if let Some(name) = base_name {
        response
            .model_info
            .insert("general.basename".into(), name.into());
    }
    Ok(Json(response))
}

fn details(model: Model, request: &ShowRequest) -> Result<ShowResponse, ApiError> {
    let gguf = Gguf::header_only(&model.path)?;
    let mut stored = model.stored.clone();
    if !request.system.is_empty() {
        stored.system = Some(request.system.clone());
    }
    stored
        .params
        .extend(request.options.clone().unwrap_or_default());
    let projector = stored
        .projector_paths
        .first()
        .map(|path| Gguf::header_only(path))
        .transpose()?;
    Ok(ShowResponse {
        license: stored.licenses.join("\n"),
        modelfile: show::modelfile(&stored),
        parameters: show::parameters(&stored.params),
        template: template(&model),
        system: stored.system.clone().unwrap_or_default(),
        details: Details {
            context_length: None,
            embedding_length: None,
            ..Details::of(&stored)
        },
        messages: stored.messages.clone(),
        model_info: info(&gguf, request.verbose),
        projector_info: projector.map(|gguf| info(&gguf, request.verbose)),
        tensors: gguf.tensors().map(tensor).collect(),
        capabilities: model.capabilities(),
        modified_at: times::local(stored.modified),
        requires: stored.config.requires.clone(),
    })
}

/// The template in use.
fn template(model: &Model) -> String {
    let stored = model.stored.template.clone();
    let jinja = model.facts.jinja.clone();
    let text = if model.prompt.uses_jinja() {
        jinja.or(stored)
    } else {
        stored
    };
    text.unwrap_or_default()
}

/// Metadata of a file; lists, which may be megabytes of tokens, only if `verbose`.
fn info(gguf: &Gguf, verbose: bool) -> Map<String, Value> {
    let entries = gguf.metadata().filter(|(key, _)| !ELSEWHERE.contains(key));
    let mut info: Map<String, Value> = entries
        .map(|(key, value)| (key.to_owned(), plain(value, verbose)))
        .collect();
    info.insert(
        "general.parameter_count".into(),
        gguf.parameter_count().into(),
    );
    info
}

fn plain(value: &GgufValue, verbose: bool) -> Value {
    match value {
        GgufValue::U8(x) => json!(x),
        GgufValue::I8(x) => json!(x),
        GgufValue::U16(x) => json!(x),
        GgufValue::I16(x) => json!(x),
        GgufValue::U32(x) => json!(x),
        GgufValue::I32(x) => json!(x),
        GgufValue::U64(x) => json!(x),
        GgufValue::I64(x) => json!(x),
        GgufValue::F32(x) => json!(x),
        GgufValue::F64(x) => json!(x),
        GgufValue::Bool(x) => json!(x),
        GgufValue::String(x) => json!(x),
        GgufValue::Texts(_) | GgufValue::Array(_) if !verbose => Value::Null,
        GgufValue::Texts(texts) => texts.iter().collect(),
        GgufValue::Array(items) => items.iter().map(|item| plain(item, true)).collect(),
    }
}

/// Shapes are told as GGUF files write them: innermost dimension first.
fn tensor(tensor: wick_models::gguf::TensorInfo<'_>) -> Tensor {
    let shape = tensor.shape.iter().rev().copied().collect();
    Tensor {
        name: tensor.name.to_owned(),
        r#type: tensor.type_name,
        shape,
    }
}
