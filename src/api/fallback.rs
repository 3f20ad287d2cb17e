//! What is said about paths and methods that nobody serves.

use axum::extract::OriginalUri;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Every path that is served without a variable part.
const PATHS: [&str; 23] = [
    "/api/version",
    "/api/tags",
    "/api/ps",
    "/api/status",
    "/api/show",
    "/api/generate",
    "/api/chat",
    "/api/embed",
    "/api/embeddings",
    "/api/pull",
    "/api/push",
    "/api/create",
    "/api/copy",
    "/api/delete",
    "/api/me",
    "/api/experimental/web_search",
    "/api/experimental/web_fetch",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/models",
    "/v1/responses",
    "/v1/messages",
];

/// No such path; one slash too many is sent on to where it meant to go.
pub(crate) async fn not_found(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    if let Some(path) = without_slash(uri.path()) {
        let query = uri
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let status = match method {
            Method::GET => StatusCode::MOVED_PERMANENTLY,
            _ => StatusCode::TEMPORARY_REDIRECT,
        };
        if let Ok(location) = HeaderValue::from_str(&format!("{path}{query}")) {
            return (status, [(header::LOCATION, location)]).into_response();
        }
    }
    (StatusCode::NOT_FOUND, "404 page not found").into_response()
}

/// The path is served, but not like this.
pub(crate) async fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed").into_response()
}

fn without_slash(path: &str) -> Option<&str> {
    let trimmed = path.strip_suffix('/')?;
    PATHS.contains(&trimmed).then_some(trimmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_too_many_is_known() {
        assert_eq!(without_slash("/api/tags/"), Some("/api/tags"));
        assert_eq!(without_slash("/v1/models/"), Some("/v1/models"));
        assert_eq!(without_slash("/"), None);
        assert_eq!(without_slash("/api/tags"), None);
        assert_eq!(without_slash("/nowhere/"), None);
        assert_eq!(without_slash("//evil.org/"), None);
    }
}
