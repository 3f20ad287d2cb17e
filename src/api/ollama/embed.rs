//! `POST /api/embed`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::body::Body;
use crate::api::error::{ApiError, Route};
use crate::api::fields::KeepAliveField;
use crate::api::verbs::{VectorsRequest, vectors};
use crate::api::{App, times};

use super::wire::is_zero;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EmbedRequest {
    model: String,
    input: Value,
    truncate: Option<bool>,
    dimensions: i64,
    keep_alive: Option<KeepAliveField>,
    options: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize)]
pub(super) struct EmbedResponse {
    model: String,
    embeddings: Vec<Vec<f32>>,
    #[serde(skip_serializing_if = "is_zero")]
    total_duration: u64,
    #[serde(skip_serializing_if = "is_zero")]
    load_duration: u64,
    #[serde(skip_serializing_if = "is_zero")]
    prompt_eval_count: u64,
}

/// `POST /api/embed`: one vector of length 1 per text, in their order.
pub(super) async fn embed(
    State(app): State<App>,
    Body(request): Body<EmbedRequest>,
) -> Result<Json<EmbedResponse>, ApiError> {
    let inputs = inputs(request.input)?;
    let only_load = inputs.is_empty();
    let request = VectorsRequest {
        route: Route::Embed,
        model: request.model,
        inputs,
        options: request.options,
        keep_alive: request.keep_alive,
        truncate: request.truncate.unwrap_or(true),
        normalize: true,
        dimensions: usize::try_from(request.dimensions).ok(),
    };
    let model = request.model.clone();
    let made = vectors::vectors(&app, request).await?;
    let metric = |duration| if only_load { 0 } else { times::nanos(duration) };
    Ok(Json(EmbedResponse {
        model,
        embeddings: made.vectors,
        total_duration: metric(made.total_duration),
        load_duration: metric(made.load_duration),
        prompt_eval_count: made.prompt_tokens as u64,
    }))
}

/// One text or many; an empty one is none.
fn inputs(input: Value) -> Result<Vec<String>, ApiError> {
    let invalid = || ApiError::BadRequest("invalid input type".to_owned());
    let text = |value| match value {
        Value::String(text) => Ok(text),
        _ => Err(invalid()),
    };
    match input {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text]),
        Value::Array(items) => items.into_iter().map(text).collect(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn input_is_a_text_or_a_list_of_texts() {
        assert!(inputs(json!(null)).unwrap().is_empty());
        assert!(inputs(json!("")).unwrap().is_empty());
        assert!(inputs(json!([])).unwrap().is_empty());
        assert_eq!(inputs(json!("a")).unwrap(), ["a"]);
        assert_eq!(inputs(json!(["", "b"])).unwrap(), ["", "b"]);
        for bad in [json!(1), json!([1]), json!({"a": 1}), json!([["a"]])] {
            assert_eq!(inputs(bad).unwrap_err().to_string(), "invalid input type");
        }
    }
}
