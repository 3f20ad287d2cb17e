//! What people write stays out of logs, numbers and error texts.

use reqwest::Method;
use serde_json::json;

use crate::gguf;
use crate::server::{Answer, PLAIN, Server};
use crate::signer::{SECRET, Signer, anna};

/// Stands in everything that is sent.
const PRIVATE: &str = "zebra7crossing";

#[tokio::test]
async fn nothing_that_was_written_is_logged_counted_or_repeated() {
    // As much as the server ever says.
    let variables = [
        ("OLLAMA_DEBUG", "2"),
        ("WICK_JWT_SECRET", SECRET),
        ("WICK_ASSIST_MODEL", "filler"),
    ];
    let server = Server::start_with(&variables);
    server
        .create("filler", &gguf::filler(), json!({"template": PLAIN}))
        .await;
    let token = Signer::secret(SECRET.as_bytes()).sign(&anna("acme"));
    let said = format!("{PRIVATE} <|hello|>");
    let chat = json!([{"role": "user", "content": said}]);
    let code = json!({"code": PRIVATE, "language": PRIVATE, "cursor_position": 3});
    let diff = format!("--- a/{PRIVATE}\n+++ b/{PRIVATE}\n@@ -0,0 +1 @@\n+{PRIVATE}\n");
    for (path, body, status) in [
        (
            "/ai/generate",
            json!({"prompt": said, "context": PRIVATE, "system": PRIVATE}),
            200,
        ),
        ("/ai/generate", json!({"prompt": said, "stream": true}), 200),
        ("/ai/generate", json!({"prompt": {"x": PRIVATE}}), 400),
        (
            "/ai/generate",
            json!({"prompt": said, "temperature": PRIVATE}),
            400,
        ),
        (
            "/ai/generate",
            json!({"prompt": said, "max_tokens": PRIVATE}),
            400,
        ),
        ("/ai/generate", json!({"prompt": PRIVATE.repeat(600)}), 413),
        ("/ai/generate", json!(PRIVATE), 400),
        ("/ai/code/complete", code, 200),
        ("/ai/code/review", json!({"diff": PRIVATE}), 400),
        (
            "/ai/code/review",
            json!({"diff": diff, "max_comments": 1}),
            200,
        ),
        (
            "/ai/code/complete",
            json!({"code": PRIVATE, "cursor_position": 99}),
            400,
        ),
        (
            "/ai/code/complete",
            json!({"code": PRIVATE, "cursor_position": PRIVATE}),
            400,
        ),
        #[cfg(feature = "rag")]
        (
            "/rag/search",
            json!({"query": said, "filter": {PRIVATE: PRIVATE}}),
            200,
        ),
        #[cfg(feature = "rag")]
        (
            "/rag/documents",
            json!({"text": {"x": PRIVATE}, "title": PRIVATE}),
            503,
        ),
        (
            "/coach/chat",
            json!({"message": said, "user_id": PRIVATE, "context": {"user_name": PRIVATE}}),
            200,
        ),
        (
            "/coach/chat",
            json!({"message": said, "conversation_id": format!("<{PRIVATE}>")}),
            400,
        ),
        (
            "/coach/plan",
            json!({"goal": said, "profile": {"investment_goals": [PRIVATE]}, "stream": true}),
            200,
        ),
        (
            "/coach/plan",
            json!({"numbers": {"target_date": PRIVATE}}),
            400,
        ),
        (
            "/api/coach",
            json!({"profile": {"risk_tolerance": PRIVATE}}),
            400,
        ),
        ("/api/chat", json!({"message": said}), 200),
        (
            "/api/generate",
            json!({"model": "filler", "prompt": said, "stream": false}),
            200,
        ),
        (
            "/api/chat",
            json!({"model": "filler", "messages": chat}),
            200,
        ),
        (
            "/v1/chat/completions",
            json!({"model": "filler", "messages": chat}),
            200,
        ),
        (
            "/v1/messages",
            json!({"model": "filler", "max_tokens": 9, "messages": chat}),
            200,
        ),
    ] {
        let request = server.with_bearer(Method::POST, path, &token);
        let answer = Answer::read(request.body(body.to_string()).send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        if status != 200 {
            assert!(!answer.text.contains(PRIVATE), "{path}: {}", answer.text);
        }
    }
    let log = server.log();
    assert!(log.contains("listening on"), "the log is there");
    for private in [PRIVATE, "there!", &token, SECRET] {
        assert!(!log.contains(private), "{private} is in the log");
    }
    let metrics = server.get("/metrics").await.text;
    assert!(metrics.contains("wick_prompt_tokens_total"));
    assert!(!metrics.contains(PRIVATE) && !metrics.contains("anna"));
}
