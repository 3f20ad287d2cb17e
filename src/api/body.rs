//! Request bodies: JSON read the way Ollama's clients expect it to be read.
//!
//! The content type does not matter (curl's `-d` claims to send a form), only the first JSON value
//! counts, keys match whatever their case, `null` is as good as absent, and what cannot be read is
//! answered with the words of Go's decoder, which some clients show to their users.

mod go_json;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// Most bytes that a compressed body may turn into.
const COMPRESSED_BODY_BYTES: usize = 20 << 20;

/// The body of a request, read as `T`.
pub(crate) struct Body<T>(pub T);

/// Marks requests whose body arrives compressed, before the layer that expands it hides the fact.
#[derive(Clone, Copy)]
struct Compressed;

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// There is none.
    #[error("missing request body")]
    Missing,
    /// It is no JSON, or no JSON of the wanted shape.
    #[error("{0}")]
    Json(String),
    /// A compressed body that expands beyond [`COMPRESSED_BODY_BYTES`].
    #[error("http: request body too large")]
    TooLarge,
    /// The connection or the compression broke.
    #[error("{0}")]
    Read(String),
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let limit = match request.extensions().get::<Compressed>() {
            Some(Compressed) => COMPRESSED_BODY_BYTES,
            None => usize::MAX,
        };
        let bytes = to_bytes(request.into_body(), limit)
            .await
            .map_err(|error| {
                if limit != usize::MAX && error.to_string().contains("length limit") {
                    return BodyError::TooLarge;
                }
                BodyError::Read(error.to_string())
            })?;
        Ok(Body(read(&bytes)?))
    }
}

/// Reads the first JSON value of `bytes`.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(BodyError::Missing);
    }
    go_json::from_slice(bytes).map_err(BodyError::Json)
}

/// Middleware of the routes that take `Content-Encoding: zstd`; stands outside the layer that expands.
pub(crate) async fn note_compression(mut request: Request, next: Next) -> Response {
    if is_zstd(request.headers()) {
        request.extensions_mut().insert(Compressed);
    }
    next.run(request).await
}

fn is_zstd(headers: &HeaderMap) -> bool {
    let encoding = headers.get(header::CONTENT_ENCODING);
    encoding.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"zstd"))
}
