//! The layer that counts every request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::api::admission;
use crate::ops::metrics;

/// Stands outside all other layers, so that what they refuse is counted too.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = known(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let area = admission::area(request.uri().path());
    let response = next.run(request).await;
    metrics::request(metrics::Request {
        route: matched.as_ref().map_or("none", MatchedPath::as_str),
        method,
        status: response.status().as_u16(),
        duration: started.elapsed(),
    });
    if let (Some(area), StatusCode::TOO_MANY_REQUESTS) = (area, response.status()) {
        metrics::rate_limited(area);
    }
    response
}

/// Clients can make methods up; there are only so many names to count by.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
