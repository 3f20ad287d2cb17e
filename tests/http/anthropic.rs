//! Anthropic's route.

use serde_json::{Value, json};

use crate::chat::user;
use crate::server::{PLAIN, Server, THINKING, TOOLS};

fn request(text: &str, more: Value) -> Value {
    let mut request = json!({"model": "parrot", "max_tokens": 50, "messages": user(text)});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn weather() -> Value {
    json!({"name": "weather", "description": "d", "input_schema": {
        "type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"],
    }})
}

#[tokio::test]
async fn a_message_is_answered_at_once() {
    let server = Server::with_parrot(PLAIN).await;
    let answer = server.post("/v1/messages", request("<|hello|>", json!({}))).await.json();
    assert!(answer["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!((&answer["type"], &answer["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(answer["content"], json!([{"type": "text", "text": "Hello there!"}]));
    assert_eq!(answer["stop_reason"], "end_turn");
    assert_eq!(answer["usage"], json!({"input_tokens": 2, "output_tokens": 4}));
    let short = server.post("/v1/messages", request("<|story|>", json!({"max_tokens": 2}))).await.json();
    assert_eq!(short["stop_reason"], "max_tokens");
    let stopped = request("<|story|>", json!({"stop_sequences": ["upon"]}));
    let stopped = server.post("/v1/messages", stopped).await.json();
    assert_eq!((&stopped["content"][0]["text"], &stopped["stop_reason"]), (&json!("Once "), &json!("end_turn")));
}

#[tokio::test]
async fn blocks_stream_one_after_the_other() {
    let server = Server::with_parrot(THINKING).await;
    let more = json!({"stream": true, "thinking": {"type": "enabled", "budget_tokens": 10}});
    let events = server.events("/v1/messages", request("<|think|>", more)).await;
    let mut names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    assert!(events.iter().all(|(name, data)| data["type"] == *name));
    let joined = |kind: &str| -> String {
        events.iter().filter_map(|(_, data)| data["delta"][kind].as_str()).collect()
    };
    assert_eq!((joined("thinking"), joined("text")), ("Capital of Japan".into(), "Tokyo".into()));
    let delta = &events[events.len() - 2].1;
    assert_eq!(delta["delta"]["stop_reason"], "end_turn");
    assert!(delta["usage"]["output_tokens"].as_u64().unwrap() > 0);
    assert!(events[0].1["message"]["usage"]["input_tokens"].is_u64());
}

#[tokio::test]
async fn tools_are_used_and_their_results_come_back() {
    let server = Server::with_parrot(TOOLS).await;
    let first = request("<|tool|>", json!({"tools": [weather()]}));
    let answer = server.post("/v1/messages", first).await.json();
    assert_eq!(answer["stop_reason"], "tool_use");
    let used = &answer["content"][0];
    assert_eq!((&used["type"], &used["input"]), (&json!("tool_use"), &json!({"location": "Paris"})));
    let second = request("", json!({
        "tools": [weather()], "stream": true, "system": [{"type": "text", "text": "s"}],
        "messages": [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": [used]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": used["id"], "content": [{"type": "text", "text": "22"}]},
                {"type": "text", "text": "<|tool|>"},
            ]},
        ],
    }));
    let events = server.events("/v1/messages", second).await;
    let json = events.iter().find_map(|(_, data)| data["delta"]["partial_json"].as_str()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(json).unwrap(), json!({"location": "Paris"}));
    assert_eq!(events[events.len() - 2].1["delta"]["stop_reason"], "tool_use");
}

#[tokio::test]
async fn thinking_is_a_wish_that_plain_models_ignore() {
    let server = Server::with_parrot(PLAIN).await;
    let wish = json!({"thinking": {"type": "enabled", "budget_tokens": 10}});
    let answer = server.post("/v1/messages", request("<|hello|>", wish)).await.json();
    assert_eq!(answer["content"][0]["text"], "Hello there!");
}

#[tokio::test]
async fn errors_have_anthropics_shape() {
    let server = Server::with_parrot(PLAIN).await;
    let no_limit = json!({"model": "parrot", "messages": user("x")});
    let answer = server.post("/v1/messages", no_limit).await;
    assert_eq!(answer.status, 400);
    let body = answer.json();
    assert_eq!(body["type"], "error");
    assert_eq!(
        body["error"],
        json!({"type": "invalid_request_error", "message": "max_tokens is required and must be positive"})
    );
    assert!(body["request_id"].as_str().unwrap().starts_with("req_"));
    let nobody = server.post("/v1/messages", request("x", json!({"model": "nobody"}))).await;
    assert_eq!(nobody.status, 404);
    assert_eq!(nobody.json()["error"]["type"], "not_found_error");
}
