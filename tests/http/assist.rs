//! `/ai/generate` and `/ai/models`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::gguf;
use crate::server::{Answer, PLAIN, Server};
use crate::signer::{SECRET, Signer, anna};

/// With the parrot as the model of those who name none.
async fn server(more: &[(&str, &str)]) -> Server {
    let server = Server::start_with(&[&[("WICK_ASSIST_MODEL", "parrot")], more].concat());
    server
        .create("parrot", &gguf::parrot(None), json!({"template": PLAIN}))
        .await;
    server
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn a_prompt_is_answered_with_all_its_fields() {
    let server = server(&[]).await;
    let request = json!({"prompt": "<|hello|>", "model": "parrot", "temperature": 0.7,
        "context": "Database concepts for beginners", "unknown": [1]});
    let answer = server.post("/ai/generate", request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(
        keys(&body),
        [
            "response",
            "model",
            "eval_count",
            "total_duration_ms",
            "prompt_eval_count",
            "cached_tokens"
        ]
    );
    assert_eq!(body["response"], "Hello there!");
    assert_eq!(body["model"], "parrot:latest");
    assert!(body["eval_count"].as_u64().unwrap() >= 3);
    assert!(body["total_duration_ms"].as_f64().unwrap() > 0.0);
    // The context is read, too: a token per letter.
    assert!(body["prompt_eval_count"].as_u64().unwrap() > 30);
    let unnamed = server
        .post("/ai/generate", json!({"prompt": "<|hello|>"}))
        .await;
    assert_eq!(unnamed.json()["response"], "Hello there!");
}

#[tokio::test]
async fn answers_stream_as_events_and_end_with_the_whole() {
    let server = server(&[]).await;
    let request = json!({"prompt": "<|hello|>", "stream": true});
    let events = server.events("/ai/generate", request).await;
    let (last, tokens) = events.split_last().unwrap();
    let said: String = tokens
        .iter()
        .map(|(name, data)| {
            assert_eq!((name.as_str(), keys(data)), ("token", vec!["text"]));
            data["text"].as_str().unwrap()
        })
        .collect();
    assert_eq!(said, "Hello there!");
    assert!(tokens.len() > 1);
    assert_eq!(
        (last.0.as_str(), &last.1["response"]),
        ("result", &json!("Hello there!"))
    );
    assert_eq!(keys(&last.1).len(), 6);
}

#[tokio::test]
async fn a_stream_ends_in_time_and_frees_its_place_though_nobody_reads() {
    let server = Server::start_with(&[
        ("WICK_ASSIST_MODEL", "listener"),
        ("WICK_ASSIST_TIMEOUT", "2"),
        ("OLLAMA_NUM_PARALLEL", "1"),
    ]);
    let template = json!({"template": PLAIN});
    server.create("listener", &gguf::listener(), template).await;
    // The model is in memory then, and all of the time is for the words.
    let hello = json!({"model": "listener", "prompt": "<|hello|>", "stream": false});
    let said = server.post("/api/generate", hello.clone()).await.json();
    assert_eq!(said["response"], "Hello there!");
    let endless = json!({"prompt": "<|story|>", "max_tokens": 32_768, "stream": true});
    let request = server.http.post(format!("{}/ai/generate", server.url));
    let stalled = request.body(endless.to_string()).send().await.unwrap();
    assert_eq!(stalled.status(), 200);
    let next = server.post("/api/generate", hello);
    let next = tokio::time::timeout(Duration::from_secs(60), next).await;
    let next = next.expect("the place is free").json();
    assert_eq!(next["response"], "Hello there!");
    let text = Answer::read(stalled).await.text;
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    assert!(
        last.starts_with("event: error") && last.contains("longer than 2 seconds"),
        "{last}"
    );
}

#[tokio::test]
async fn a_model_that_is_not_here_is_named_with_its_remedy() {
    let server = Server::start();
    for request in [
        json!({"prompt": "p"}),
        json!({"prompt": "p", "model": "llama3.2:1b"}),
        json!({"prompt": "p", "stream": true}),
    ] {
        let url = format!("{}/ai/generate", server.url);
        let answer = server.http.post(url).body(request.to_string()).send();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        let body: Value = answer.json().await.unwrap();
        let text = body["error"].as_str().unwrap();
        assert!(text.contains("wick pull llama3.2:1b"), "{text}");
        assert_eq!(keys(&body), ["error"]);
    }
    let unknown = json!({"prompt": "p", "model": "nobody:7b"});
    let (status, text) = server.post("/ai/generate", unknown).await.error();
    assert_eq!(
        (status, text.as_str()),
        (404, "model 'nobody:7b' not found")
    );
    let configured = Server::start_with(&[("WICK_ASSIST_MODEL", "mine")]);
    let (status, text) = configured
        .post("/ai/generate", json!({"prompt": "p"}))
        .await
        .error();
    assert_eq!(status, 503);
    assert!(text.contains("wick pull mine"), "{text}");
}

#[tokio::test]
async fn bad_requests_are_told_what_to_change() {
    let server = server(&[]).await;
    server.create("vectors", &gguf::encoder(), json!({})).await;
    for (request, status, want) in [
        (json!({}), 400, "field 'prompt' is required"),
        (
            json!({"prompt": ""}),
            400,
            "field 'prompt' must not be empty",
        ),
        (
            json!({"prompt": ["p"]}),
            400,
            "field 'prompt' must be a string",
        ),
        (
            json!({"prompt": "p", "temperature": "hot"}),
            400,
            "field 'temperature' must be a number",
        ),
        (
            json!({"prompt": "p", "temperature": 3}),
            400,
            "field 'temperature' must be from 0 to 2",
        ),
        (
            json!({"prompt": "p", "max_tokens": -1}),
            400,
            "field 'max_tokens' must be a whole number",
        ),
        (
            json!({"prompt": "p", "stream": 1}),
            400,
            "field 'stream' must be true or false",
        ),
        (
            json!({"prompt": "p", "format": "xml"}),
            400,
            "invalid format",
        ),
        (
            json!({"prompt": "p", "model": "vectors"}),
            400,
            "does not support",
        ),
        (
            json!({"prompt": "word ".repeat(400)}),
            413,
            "longer than the context",
        ),
        (
            json!({"prompt": "p".repeat(9 << 20)}),
            413,
            "longer than 8388608 bytes",
        ),
        (json!(["p"]), 400, "must be a JSON object"),
    ] {
        let (got, text) = server.post("/ai/generate", request).await.error();
        assert_eq!(got, status, "{text}");
        assert!(text.contains(want), "{want}: {text}");
    }
    let broken = server
        .send(Method::POST, "/ai/generate", Some("{".to_owned()))
        .await;
    assert!(broken.error().1.contains("not JSON"));
    assert_eq!(server.get("/ai/generate").await.status, 405);
}

#[tokio::test]
async fn an_answer_can_have_a_form() {
    let server = server(&[]).await;
    let request = json!({"prompt": "<|json|>", "format": "json"});
    let answer = server.post("/ai/generate", request).await.json();
    let text = answer["response"].as_str().unwrap();
    assert!(
        serde_json::from_str::<Value>(text).unwrap().is_object(),
        "{text}"
    );
    let short = json!({"prompt": "<|story|>", "max_tokens": 4});
    assert_eq!(
        server.post("/ai/generate", short).await.json()["eval_count"],
        4
    );
}

#[tokio::test]
async fn tenants_do_not_share_cached_prompts() {
    let server = server(&[("WICK_JWT_SECRET", SECRET)]).await;
    let prompt = format!("{}<|hello|>", "the same long question ".repeat(6));
    let cached = async |tenant: &str| {
        let token = Signer::secret(SECRET.as_bytes()).sign(&anna(tenant));
        let request = server.with_bearer(Method::POST, "/ai/generate", &token);
        let body = json!({"prompt": prompt}).to_string();
        let answer = Answer::read(request.body(body).send().await.unwrap()).await;
        answer.json()["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(cached("acme").await, 0);
    assert!(cached("acme").await >= 96);
    assert_eq!(
        cached("rival").await,
        0,
        "another tenant's question is not known"
    );
    // Nor to those who say that they are another tenant without being able to prove it.
    let forged = Signer::secret(b"not the secret of this server, no").sign(&anna("acme"));
    let request = server.with_bearer(Method::POST, "/ai/generate", &forged);
    let body = json!({"prompt": prompt}).to_string();
    let refused = Answer::read(request.body(body).send().await.unwrap()).await;
    assert_eq!(refused.error().0, 401);
    // The open routes know a tenant by a good token only.
    let open = json!({"model": "parrot", "messages": [{"role": "user", "content": prompt}],
        "stream": false});
    let token = Signer::secret(SECRET.as_bytes()).sign(&anna("acme"));
    for bearer in [forged, token] {
        let request = server.with_bearer(Method::POST, "/v1/chat/completions", &bearer);
        let answer = request.body(open.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn models_are_listed() {
    let server = server(&[]).await;
    let body = server.get("/ai/models").await.json();
    let models = body["models"].as_array().unwrap();
    assert_eq!((keys(&body), models.len()), (vec!["models"], 1));
    assert_eq!(keys(&models[0]), ["name", "size", "modified_at"]);
    assert_eq!(models[0]["name"], "parrot:latest");
    assert!(models[0]["size"].as_u64().unwrap() > 100_000);
    let at = models[0]["modified_at"].as_str().unwrap();
    assert!(at.starts_with("20") && at.contains('T'), "{at}");
}
