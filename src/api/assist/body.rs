//! Request bodies of the assistant's routes. What is wrong with one is told by the name of the field and what
//! it should be; what the client wrote is not repeated.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::api::error::{ApiError, AssistError};

/// Longest body, in bytes.
const BODY_BYTES: usize = 8 << 20;
/// Of a longer body as much is received before the connection is cut.
const IGNORED_BYTES: usize = 64 << 20;

const NO_OBJECT: &str = "the body must be a JSON object";

/// The body of a request, read as `T`; the content type does not matter.
pub(crate) struct AssistBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for AssistBody<T> {
    type Rejection = AssistError;

    async fn from_request(request: Request, _: &S) -> Result<Self, AssistError> {
        let bytes = receive(request.into_body(), BODY_BYTES).await?;
        Ok(AssistBody(read(&bytes)?))
    }
}

/// The bytes of a body, at most `limit_bytes`. Of one that is too long the rest is received too, within reason: a client that is
/// still sending would not see the answer.
pub(crate) async fn receive(body: Body, limit_bytes: usize) -> Result<Vec<u8>, ApiError> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            ApiError::BadRequest("the body did not arrive whole: send it again".to_owned())
        })?;
        length += chunk.len();
        if length <= limit_bytes {
            bytes.extend_from_slice(&chunk);
        } else if length <= limit_bytes + IGNORED_BYTES {
            bytes = Vec::new();
        } else {
            break;
        }
    }
    match length <= limit_bytes {
        true => Ok(bytes),
        false => Err(ApiError::BodyTooLarge { limit_bytes }),
    }
}

/// A JSON object, read as `T`.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // A list would be taken for the fields in their order.
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {}
        Some(_) => return Err(ApiError::BadRequest(NO_OBJECT.to_owned())),
        None => {
            return Err(ApiError::BadRequest(
                "the body is empty: send a JSON object".to_owned(),
            ));
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        problem(&path, error.inner())
    })?;
    reader.end().map_err(|error| problem(".", &error))?;
    Ok(value)
}

fn problem(path: &str, error: &serde_json::Error) -> ApiError {
    if !error.is_data() {
        let (line, column) = (error.line(), error.column());
        let text = format!("the body is not JSON: look at line {line}, column {column}");
        return ApiError::BadRequest(text);
    }
    let text = error.to_string();
    if let Some(field) = text
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
    {
        return ApiError::Field {
            field: field.to_owned(),
            problem: "is required".to_owned(),
        };
    }
    // The value stands before these words and may hold them too; the last ones are the reader's.
    let wanted = text.rsplit_once(", expected ").map(|(_, wanted)| wanted);
    let wanted = wanted.and_then(|wanted| wanted.split(" at line ").next());
    if path == "." {
        return ApiError::BadRequest(NO_OBJECT.to_owned());
    }
    ApiError::Field {
        field: path.to_owned(),
        problem: match wanted {
            Some(wanted) => format!("must be {}", words(wanted)),
            None => "cannot be read".to_owned(),
        },
    }
}

/// What serde expects, in the words of JSON.
fn words(wanted: &str) -> &str {
    match wanted {
        "f32" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Wanted {
        prompt: String,
        temperature: Option<f64>,
        max_tokens: Option<u32>,
        stream: Option<bool>,
    }

    fn error(text: &str) -> String {
        read::<Wanted>(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_field_and_not_what_was_written() {
        for (text, want) in [
            ("{}", "field 'prompt' is required"),
            (r#"{"prompt": 3}"#, "field 'prompt' must be a string"),
            (
                r#"{"prompt": "", "temperature": "secret, expected nothing"}"#,
                "field 'temperature' must be a number",
            ),
            (
                r#"{"prompt": "", "max_tokens": -1}"#,
                "field 'max_tokens' must be a whole number, 0 or more",
            ),
            (
                r#"{"prompt": "", "max_tokens": 1.5}"#,
                "field 'max_tokens' must be a whole number, 0 or more",
            ),
            (
                r#"{"prompt": "", "stream": "yes"}"#,
                "field 'stream' must be true or false",
            ),
            ("[1]", "the body must be a JSON object"),
            ("\"secret\"", "the body must be a JSON object"),
            ("{", "the body is not JSON: look at line 1, column 1"),
            (" ", "the body is empty: send a JSON object"),
            ("{} x", "the body is not JSON: look at line 1, column 4"),
        ] {
            let got = match text {
                "{} x" => read::<serde_json::Value>(text.as_bytes())
                    .unwrap_err()
                    .to_string(),
                _ => error(text),
            };
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn unknown_fields_and_nulls_do_no_harm() {
        let text = r#"{"prompt": "p", "temperature": null, "what": 1}"#;
        assert!(read::<Wanted>(text.as_bytes()).is_ok());
    }
}
