//! `POST /v1/embeddings`.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::App;
use crate::api::body::Body;
use crate::api::error::{ApiError, OpenAiError, Route};
use crate::api::verbs::{VectorsRequest, vectors};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EmbeddingsRequest {
    model: String,
    input: Value,
    dimensions: i64,
    encoding_format: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Float,
    Base64,
}

/// `POST /v1/embeddings`: one vector of length 1 per text.
pub(super) async fn embeddings(
    State(app): State<App>,
    body: Result<Body<EmbeddingsRequest>, ApiError>,
) -> Result<Json<Value>, OpenAiError> {
    let Body(request) = body?;
    let encoding = encoding(&request.encoding_format)?;
    let made = vectors::vectors(
        &app,
        VectorsRequest {
            route: Route::Embed,
            model: request.model.clone(),
            inputs: inputs(request.input)?,
            options: None,
            keep_alive: None,
            truncate: true,
            normalize: true,
            dimensions: usize::try_from(request.dimensions).ok(),
        },
    )
    .await?;
    let item = |(index, vector): (usize, Vec<f32>)| json!({"object": "embedding", "embedding": encoded(&vector, encoding), "index": index});
    let data: Vec<Value> = made.vectors.into_iter().enumerate().map(item).collect();
    let tokens = made.prompt_tokens;
    Ok(Json(json!({
        "object": "list",
        "data": data,
        "model": request.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })))
}

fn inputs(input: Value) -> Result<Vec<String>, ApiError> {
    let bad = |text: &str| ApiError::BadRequest(text.to_owned());
    let text = |value| match value {
        Value::String(text) => Ok(text),
        _ => Err(bad("invalid input type")),
    };
    match input {
        Value::Null => Err(bad("invalid input")),
        Value::Array(items) if items.is_empty() => Err(bad("invalid input")),
        Value::Array(items) => items.into_iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

fn encoding(format: &str) -> Result<Encoding, ApiError> {
    match format.to_lowercase().as_str() {
        "" | "float" => Ok(Encoding::Float),
        "base64" => Ok(Encoding::Base64),
        _ => Err(ApiError::BadRequest(format!(
            "Invalid value for 'encoding_format' = {format}. Supported values: ['float', 'base64']."
        ))),
    }
}

fn encoded(vector: &[f32], encoding: Encoding) -> Value {
    match encoding {
        Encoding::Float => json!(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            STANDARD.encode(bytes).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_must_be_there_and_be_text() {
        assert_eq!(inputs(json!("")).unwrap(), [""]);
        assert_eq!(inputs(json!(["a", "b"])).unwrap(), ["a", "b"]);
        for (bad, want) in [
            (json!(null), "invalid input"),
            (json!([]), "invalid input"),
            (json!([1, 2]), "invalid input type"),
            (json!(1), "invalid input type"),
        ] {
            assert_eq!(inputs(bad).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn vectors_are_numbers_or_bytes() {
        assert_eq!(encoding("BASE64").unwrap(), Encoding::Base64);
        assert_eq!(
            encoding("x").unwrap_err().to_string(),
            "Invalid value for 'encoding_format' = x. Supported values: ['float', 'base64']."
        );
        assert_eq!(encoded(&[1.0], Encoding::Base64), json!("AACAPw=="));
        assert_eq!(encoded(&[0.5], Encoding::Float), json!([0.5]));
    }
}
