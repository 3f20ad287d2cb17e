//! Counters and times, for Prometheus to fetch.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_histogram, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::access::Area;
use crate::engine::{Running, Usage};

const REQUESTS: &str = "wick_http_requests_total";
const REQUEST_SECONDS: &str = "wick_http_request_duration_seconds";
const PROMPT_TOKENS: &str = "wick_prompt_tokens_total";
const CACHED_TOKENS: &str = "wick_prompt_tokens_cached_total";
const COMPLETION_TOKENS: &str = "wick_completion_tokens_total";
const PROMPT_SECONDS: &str = "wick_prompt_duration_seconds";
const COMPLETION_SECONDS: &str = "wick_completion_duration_seconds";
const REFUSED: &str = "wick_rate_limited_total";
const COMPLETION_CACHE: &str = "wick_code_completion_cache_total";
/// Bounds of times, in seconds: from an answer out of a cache to a long text on a small machine.
const BUCKETS: [f64; 14] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0,
];

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// An answered request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The route as it is written in the program, never the path as it came.
    pub route: &'a str,
    /// A known method, or `other`.
    pub method: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Until the answer began.
    pub duration: Duration,
}

/// Starts to count. Once per process; further calls do nothing.
pub fn install() {
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).ok()?;
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).ok()?;
        describe();
        Some(handle)
    });
}

/// Folds what was measured since the last call into what is kept; without it, times pile up one by one.
pub fn upkeep() {
    if let Some(Some(handle)) = HANDLE.get() {
        handle.run_upkeep();
    }
}

/// All numbers in Prometheus' text format, with the models in memory as they are now.
pub fn render(running: &[Running]) -> String {
    let mut text = match HANDLE.get() {
        Some(Some(handle)) => handle.render(),
        _ => String::new(),
    };
    models(&mut text, running).expect("texts can always be written to");
    text
}

/// Counts an answered request.
pub fn request(request: Request<'_>) {
    let route = request.route.to_owned();
    let status = request.status.to_string();
    let labels = [
        ("route", route.clone()),
        ("method", request.method.to_owned()),
        ("status", status),
    ];
    counter!(REQUESTS, &labels).increment(1);
    histogram!(REQUEST_SECONDS, "route" => route).record(request.duration);
}

/// Counts a complete answer of a model.
pub fn answer(model: &str, usage: &Usage) {
    let model = model.to_owned();
    let add = |name: &'static str, tokens: usize| {
        counter!(name, "model" => model.clone()).increment(tokens as u64);
    };
    add(PROMPT_TOKENS, usage.prompt_tokens);
    add(CACHED_TOKENS, usage.cached_tokens);
    add(COMPLETION_TOKENS, usage.completion_tokens);
    histogram!(PROMPT_SECONDS, "model" => model.clone()).record(usage.prompt_duration);
    histogram!(COMPLETION_SECONDS, "model" => model).record(usage.completion_duration);
}

/// Counts a request that was one too many for its user.
pub fn rate_limited(area: Area) {
    counter!(REFUSED, "limit" => area.name()).increment(1);
}

/// Counts a look into the cache of code completions.
pub fn completion_cache(hit: bool) {
    let result = if hit { "hit" } else { "miss" };
    counter!(COMPLETION_CACHE, "result" => result).increment(1);
}

fn describe() {
    describe_counter!(REQUESTS, "Requests answered.");
    describe_histogram!(REQUEST_SECONDS, "Time until an answer began, in seconds.");
    describe_counter!(PROMPT_TOKENS, "Tokens of prompts, cached ones included.");
    describe_counter!(CACHED_TOKENS, "Tokens of prompts found in the cache.");
    describe_counter!(COMPLETION_TOKENS, "Tokens generated.");
    describe_histogram!(PROMPT_SECONDS, "Time to read a prompt, in seconds.");
    describe_histogram!(COMPLETION_SECONDS, "Time to write an answer, in seconds.");
    describe_counter!(REFUSED, "Requests over the limit of their user.");
    describe_counter!(
        COMPLETION_CACHE,
        "Looks into the cache of code completions."
    );
}

fn models(text: &mut String, running: &[Running]) -> std::fmt::Result {
    writeln!(text, "# HELP wick_models_loaded Models in memory.")?;
    writeln!(text, "# TYPE wick_models_loaded gauge")?;
    writeln!(text, "wick_models_loaded {}\n", running.len())?;
    writeln!(
        text,
        "# HELP wick_model_memory_bytes Memory of a model in use."
    )?;
    writeln!(text, "# TYPE wick_model_memory_bytes gauge")?;
    for model in running {
        let name = model.name.replace('\\', "\\\\").replace('"', "\\\"");
        let bytes = model.size_bytes;
        writeln!(text, "wick_model_memory_bytes{{model=\"{name}\"}} {bytes}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        install();
        install();
        request(Request {
            route: "/made/for/a/test",
            method: "GET",
            status: 418,
            duration: Duration::from_millis(3),
        });
        completion_cache(true);
        rate_limited(Area::Sql);
        upkeep();
        let running = Running {
            name: "a\"b".to_owned(),
            path: "/x".into(),
            size_bytes: 7,
            expires_at: None,
            context_tokens: 1,
        };
        let text = render(&[running]);
        for want in [
            "wick_http_requests_total{route=\"/made/for/a/test\",method=\"GET\",status=\"418\"} 1",
            "wick_http_request_duration_seconds_bucket{route=\"/made/for/a/test\",le=\"0.005\"} 1",
            "wick_rate_limited_total{limit=\"sql\"} 1",
            "wick_models_loaded 1",
            "wick_model_memory_bytes{model=\"a\\\"b\"} 7",
        ] {
            assert!(text.contains(want), "{want}\n{text}");
        }
    }
}
