//! Paths, methods, origins and hosts.

use reqwest::{Method, StatusCode, redirect};
use serde_json::json;

use crate::server::{Answer, Server, client};

#[tokio::test]
async fn the_server_says_that_it_is_there() {
    let server = Server::start();
    let root = server.get("/").await;
    assert_eq!(
        (root.status, root.text.as_str()),
        (StatusCode::OK, "Ollama is running")
    );
    assert!(root.kind.starts_with("text/plain"));
    let version = server.get("/api/version").await.json();
    let parts: Vec<u32> = version["version"]
        .as_str()
        .unwrap()
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    assert!(
        parts >= vec![0, 13, 3],
        "clients look for what came with 0.13.3: {version}"
    );
    let status = server.get("/api/status").await.json();
    assert_eq!(status["cloud"]["disabled"], true);
}

#[tokio::test]
async fn head_is_answered_where_clients_use_it() {
    let server = Server::start();
    for path in ["/", "/api/version", "/api/tags"] {
        assert_eq!(
            server.send(Method::HEAD, path, None).await.status,
            StatusCode::OK,
            "{path}"
        );
    }
    for path in ["/api/ps", "/v1/models"] {
        let status = server.send(Method::HEAD, path, None).await.status;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_told_apart() {
    let server = Server::start();
    let nowhere = server.get("/api/nowhere").await;
    assert_eq!(
        (nowhere.status, nowhere.text.as_str()),
        (StatusCode::NOT_FOUND, "404 page not found")
    );
    let wrong = server.get("/api/show").await;
    assert_eq!(
        (wrong.status, wrong.text.as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed")
    );
    let count = server.post("/v1/messages/count_tokens", json!({})).await;
    assert_eq!(count.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_slash_too_many_is_redirected() {
    let server = Server::start();
    let client = client().redirect(redirect::Policy::none()).build().unwrap();
    let get = client
        .get(format!("{}/api/tags/?x=1", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(get.status(), StatusCode::MOVED_PERMANENTLY);
    assert_eq!(get.headers()["location"], "/api/tags?x=1");
    let post = client
        .post(format!("{}/api/show/", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(post.status(), StatusCode::TEMPORARY_REDIRECT);
}

async fn from_origin(server: &Server, method: Method, origin: &str) -> reqwest::Response {
    let request = server
        .http
        .request(method, format!("{}/api/tags", server.url));
    request.header("origin", origin).send().await.unwrap()
}

#[tokio::test]
async fn pages_of_this_machine_may_ask_and_others_may_not() {
    let server = Server::start();
    let allowed = from_origin(&server, Method::GET, "http://localhost:3000").await;
    assert_eq!(allowed.status(), StatusCode::OK);
    assert_eq!(
        allowed.headers()["access-control-allow-origin"],
        "http://localhost:3000"
    );
    assert_eq!(allowed.headers()["vary"], "Origin");
    for method in [Method::GET, Method::OPTIONS, Method::POST] {
        let refused = from_origin(&server, method, "http://example.com").await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(refused.text().await.unwrap(), "");
    }
    let preflight = from_origin(&server, Method::OPTIONS, "app://obsidian.md").await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    let methods = preflight.headers()["access-control-allow-methods"]
        .to_str()
        .unwrap();
    assert!(methods.contains("DELETE"));
    assert_eq!(preflight.headers()["access-control-max-age"], "43200");
}

#[tokio::test]
async fn origins_of_the_configuration_may_ask_too() {
    let server = Server::start_with(&[(
        "OLLAMA_ORIGINS",
        "https://*.example.com,chrome-extension://*",
    )]);
    for origin in ["https://a.example.com", "chrome-extension://abc"] {
        let answer = from_origin(&server, Method::GET, origin).await;
        assert_eq!(answer.status(), StatusCode::OK, "{origin}");
    }
    let any = Server::start_with(&[("OLLAMA_ORIGINS", "*")]);
    let answer = from_origin(&any, Method::GET, "http://example.com").await;
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn foreign_host_names_are_refused_on_a_loopback() {
    let server = Server::start();
    for (host, status) in [
        ("evil.example", StatusCode::FORBIDDEN),
        ("localhost:1", StatusCode::OK),
        ("10.0.0.7", StatusCode::OK),
        ("printer.local", StatusCode::OK),
    ] {
        let request = server
            .http
            .get(format!("{}/api/version", server.url))
            .header("host", host);
        let answer = Answer::read(request.send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{host}");
    }
}

#[tokio::test]
async fn a_page_whose_name_was_led_here_is_not_this_machine() {
    let server = Server::start_everywhere();
    let ask = async |method: Method, path: &str, host: &str| {
        let request = server
            .http
            .request(method, format!("{}{path}", server.url))
            .header("host", host)
            .header("origin", format!("http://{host}"))
            .body(json!({"message": "hi"}).to_string());
        Answer::read(request.send().await.unwrap()).await
    };
    for host in ["localhost:11434", "127.0.0.1:11434", "wick.localhost"] {
        let answer = ask(Method::GET, "/ai/models", host).await;
        assert_eq!(answer.status, StatusCode::OK, "{host}");
    }
    let evil = "evil.test:11434";
    for (method, path) in [
        (Method::GET, "/ai/models"),
        (Method::POST, "/coach/chat"),
        (Method::POST, "/api/chat"),
    ] {
        let (status, text) = ask(method, path, evil).await.error();
        assert_eq!(status, 403, "{path}");
        assert!(text.contains("only this machine"), "{text}");
    }
    // Ollama's own routes are as open as Ollama has them.
    let tags = ask(Method::GET, "/api/tags", evil).await;
    assert_eq!(tags.status, StatusCode::OK);
}
