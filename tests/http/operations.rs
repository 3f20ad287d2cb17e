//! Life signs, numbers and the description of the interface.

use reqwest::Method;
use serde_json::json;

use crate::gguf;
use crate::server::{PLAIN, Server};

async fn with_parrot() -> Server {
    let server = Server::start_with(&[("WICK_ASSIST_MODEL", "parrot")]);
    server
        .create("parrot", &gguf::parrot(None), json!({"template": PLAIN}))
        .await;
    server
}

/// Entries of the service's status for documents.
const DOCUMENTS: usize = if cfg!(feature = "rag") { 1 } else { 0 };

#[tokio::test]
async fn a_server_lives_before_it_is_ready() {
    let server = Server::start_with(&[("WICK_ASSIST_MODEL", "parrot")]);
    let health = server.get("/health").await.json();
    assert_eq!(health["status"], "ok");
    let (status, text) = server.get("/ready").await.error();
    assert_eq!(status, 503);
    assert!(text.contains("wick pull parrot"), "{text}");
    let services = server.get("/services/status").await.json();
    assert_eq!(services.as_array().unwrap().len(), 1 + DOCUMENTS);
    assert_eq!(services[0]["status"], "degraded");
    server
        .create("parrot", &gguf::parrot(None), json!({"template": PLAIN}))
        .await;
    let ready = server.get("/ready").await.json();
    assert_eq!(ready, json!({"status": "ready", "model": "parrot:latest"}));
}

#[tokio::test]
async fn every_part_says_how_it_is() {
    let server = with_parrot().await;
    server.create("broken", &gguf::encoder(), json!({})).await;
    let models = server.get("/api/tags").await.json();
    let digest = models["models"]
        .as_array()
        .unwrap()
        .iter()
        .find(|model| model["name"] == "broken:latest")
        .map(|_| server.post("/api/show", json!({"model": "broken"})));
    let modelfile = digest.unwrap().await.json()["modelfile"]
        .as_str()
        .unwrap()
        .to_owned();
    let blob = modelfile
        .lines()
        .find_map(|line| line.strip_prefix("FROM /"))
        .unwrap();
    std::fs::write(format!("/{blob}"), b"no model").unwrap();
    let services = server.get("/services/status").await.json();
    let services = services.as_array().unwrap();
    let status = |name: &str| {
        let service = services
            .iter()
            .find(|service| service["name"] == name)
            .unwrap();
        assert_eq!(service["url"], server.url.as_str());
        assert!(service["response_time_ms"].as_f64().unwrap() >= 0.0);
        service["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(services.len(), 3 + DOCUMENTS);
    if cfg!(feature = "rag") {
        assert_eq!(status("lancedb"), "up");
    }
    assert_eq!(status("engine"), "up");
    assert_eq!(status("model parrot:latest"), "up");
    assert_eq!(status("model broken:latest"), "down");
}

#[tokio::test]
async fn work_is_counted() {
    let server = with_parrot().await;
    server.say(json!({"prompt": "<|hello|>"})).await;
    server.get("/nowhere/at/all").await;
    server
        .send(Method::from_bytes(b"BREW").unwrap(), "/api/tags", None)
        .await;
    let answer = server.get("/metrics").await;
    assert!(
        answer.kind.starts_with("text/plain; version=0.0.4"),
        "{}",
        answer.kind
    );
    for want in [
        "wick_http_requests_total{route=\"/api/generate\",method=\"POST\",status=\"200\"} 1",
        "wick_http_requests_total{route=\"none\",method=\"GET\",status=\"404\"} 1",
        "wick_http_requests_total{route=\"/api/tags\",method=\"other\",status=\"405\"} 1",
        "wick_http_request_duration_seconds_count{route=\"/api/generate\"} 1",
        "wick_prompt_tokens_total{model=\"parrot:latest\"} 2",
        "wick_completion_tokens_total{model=\"parrot:latest\"} 4",
        "wick_completion_duration_seconds_count{model=\"parrot:latest\"} 1",
        "wick_models_loaded 1",
        "wick_model_memory_bytes{model=\"parrot:latest\"} ",
    ] {
        assert!(answer.text.contains(want), "{want}\n{}", answer.text);
    }
    assert!(!answer.text.contains("nowhere"), "paths are not labels");
}

#[tokio::test]
async fn every_described_route_is_served() {
    let server = Server::start();
    let document = server.get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/ai/generate",
        "/ai/models",
        "/ai/code/complete",
        "/ai/code/review",
        "/health",
        "/ready",
        "/services/status",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path} is not described");
    }
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let name = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = server.send(name, path, Some("{}".to_owned())).await;
            // A route may say that what is asked for is not there, in words of its own.
            assert!(
                answer.status != 405 && answer.text != "404 page not found",
                "{method} {path}: {answer:?}"
            );
        }
    }
    let request = &document["components"]["schemas"]["GenerateRequest"];
    assert_eq!(request["required"], json!(["prompt"]));
    assert!(document["components"]["securitySchemes"]["bearer"].is_object());
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let server = Server::start();
    let page = server.get("/docs").await;
    assert!(page.kind.starts_with("text/html"), "{}", page.kind);
    assert!(page.text.contains("openapi.json"));
    for elsewhere in ["http://", "https://", "//cdn", "@import"] {
        assert!(!page.text.contains(elsewhere), "{elsewhere}");
    }
    let answer = server
        .http
        .get(format!("{}/docs", server.url))
        .send()
        .await
        .unwrap();
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
}
