//! Whether the parts of the service answer, and how fast.

use std::time::Instant;

use serde::Serialize;
use utoipa::ToSchema;

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It answers.
    Up,
    /// It does not.
    Down,
    /// It answers, but cannot do all it is there for.
    Degraded,
}

/// A part of the service.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Service {
    /// What it is called.
    #[schema(example = "engine")]
    pub name: String,
    /// Where it is.
    pub url: String,
    /// How it is.
    pub status: Health,
    /// How long it took to find out.
    pub response_time_ms: f64,
}

impl Service {
    /// Looks how a part is, and takes the time.
    pub fn look(name: String, url: &str, look: impl FnOnce() -> Health) -> Service {
        let started = Instant::now();
        let status = look();
        Service::since(started, name, url, status)
    }

    /// How a part was found to be; looking began at `started`.
    pub fn since(started: Instant, name: String, url: &str, status: Health) -> Service {
        Service {
            name,
            url: url.to_owned(),
            status,
            response_time_ms: milliseconds(started),
        }
    }
}

/// Time since `started`, to a microsecond.
pub fn milliseconds(started: Instant) -> f64 {
    (started.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
