//! OpenAI's routes.

use serde_json::{Value, json};

use crate::chat::{tool, user};
use crate::server::{PLAIN, Server, THINKING, TOOLS};

fn chat(more: Value) -> Value {
    let mut request = json!({"model": "parrot", "messages": user("<|hello|>")});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[tokio::test]
async fn a_chat_is_answered_at_once() {
    let server = Server::with_parrot(PLAIN).await;
    let answer = server.post("/v1/chat/completions", chat(json!({}))).await.json();
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("parrot")));
    assert_eq!(answer["system_fingerprint"], "fp_ollama");
    assert_eq!(
        answer["choices"],
        json!([{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hello there!"},
        }])
    );
    let usage = json!({"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6});
    assert_eq!(answer["usage"], usage);
    let short = chat(json!({"max_tokens": 1, "stop": "zzz"}));
    let short = server.post("/v1/chat/completions", short).await.json();
    assert_eq!(short["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn a_chat_streams_as_events() {
    let server = Server::with_parrot(PLAIN).await;
    let request = chat(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let events = server.events("/v1/chat/completions", request).await;
    assert!(events.iter().all(|(name, _)| name.is_empty()));
    let data: Vec<&Value> = events.iter().map(|(_, data)| data).collect();
    let [chunks @ .., finish, usage, done] = &data[..] else { panic!("{data:?}") };
    assert_eq!(**done, "[DONE]");
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["total_tokens"], 6);
    assert_eq!(finish["choices"][0], json!({"index": 0, "delta": {}, "finish_reason": "stop"}));
    let text: String =
        chunks.iter().map(|c| c["choices"][0]["delta"]["content"].as_str().unwrap()).collect();
    assert_eq!(text, "Hello there!");
    for (at, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!((&chunk["id"], &chunk["created"]), (&chunks[0]["id"], &chunks[0]["created"]));
        assert_eq!(chunk["choices"][0]["delta"].get("role").is_some(), at == 0);
        assert_eq!(chunk["choices"][0]["finish_reason"], Value::Null);
        assert!(chunk.get("usage").is_none());
    }
}

#[tokio::test]
async fn tools_are_called() {
    let server = Server::with_parrot(TOOLS).await;
    let request = chat(json!({"messages": user("<|tool|>"), "tools": [tool("weather")]}));
    let answer = server.post("/v1/chat/completions", request.clone()).await.json();
    let choice = &answer["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &json!("")));
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("weather")));
    let arguments = call["function"]["arguments"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), json!({"location": "Paris"}));
    let mut streamed = request;
    streamed["stream"] = true.into();
    let events = server.events("/v1/chat/completions", streamed).await;
    let calls: Vec<&Value> = events
        .iter()
        .flat_map(|(_, data)| data["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten())
        .collect();
    assert_eq!(calls.len(), 1);
    assert_eq!(events[events.len() - 2].1["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn a_round_trip_with_tools_has_every_shape_of_content() {
    let server = Server::with_parrot(TOOLS).await;
    let messages = json!([
        {"role": "system", "content": "s"},
        {"role": "developer", "content": "d"},
        {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
        {"role": "assistant", "content": null, "tool_calls": [{
            "id": "call_1", "type": "function",
            "function": {"name": "weather", "arguments": "{\"location\":\"Paris\"}"},
        }]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "22<|tool|>"}]},
    ]);
    let request = chat(json!({"messages": messages, "tools": [tool("weather")]}));
    let answer = server.post("/v1/chat/completions", request).await.json();
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "weather");
}

#[tokio::test]
async fn thoughts_formats_and_logprobs_have_their_places() {
    let server = Server::with_parrot(THINKING).await;
    let think = chat(json!({"messages": user("<|think|>"), "reasoning_effort": "high"}));
    let message = server.post("/v1/chat/completions", think).await.json()["choices"][0]["message"].clone();
    assert_eq!((&message["reasoning"], &message["content"]), (&json!("Capital of Japan"), &json!("Tokyo")));
    let json_only = chat(json!({
        "messages": user("<|json|>"), "reasoning_effort": "none",
        "response_format": {"type": "json_object"},
    }));
    let answer = server.post("/v1/chat/completions", json_only).await.json();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), json!({"a": 1}));
    let logprobs = chat(json!({"reasoning_effort": "none", "logprobs": true, "top_logprobs": 2}));
    let answer = server.post("/v1/chat/completions", logprobs).await.json();
    assert_eq!(answer["choices"][0]["logprobs"]["content"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn errors_have_openais_shape() {
    let server = Server::with_parrot(PLAIN).await;
    let empty = server.post("/v1/chat/completions", json!({"model": "parrot", "messages": []})).await;
    assert_eq!(empty.status, 400);
    assert_eq!(
        empty.json(),
        json!({"error": {
            "message": "[] is too short - 'messages'", "type": "invalid_request_error",
            "param": null, "code": null,
        }})
    );
    let nobody = chat(json!({"model": "nobody"}));
    let nobody = server.post("/v1/chat/completions", nobody).await;
    assert_eq!(nobody.error(), (404, "model 'nobody' not found".to_owned()));
    assert_eq!(nobody.json()["error"]["type"], "not_found_error");
    for (more, text) in [
        (json!({"messages": [{"role": "user", "content": null}]}), "invalid message content type: <nil>"),
        (
            json!({"messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]}),
            "image URLs are not currently supported, please use base64 encoded data instead",
        ),
        (json!({"top_logprobs": 30}), "top_logprobs must be between 0 and 20"),
    ] {
        let answer = server.post("/v1/chat/completions", chat(more)).await;
        assert_eq!(answer.error(), (400, text.to_owned()));
    }
}

#[tokio::test]
async fn completions_take_one_prompt() {
    let server = Server::with_parrot(PLAIN).await;
    let request = json!({"model": "parrot", "prompt": "<|hello|>"});
    let answer = server.post("/v1/completions", request.clone()).await.json();
    assert_eq!(answer["object"], "text_completion");
    assert_eq!(answer["choices"], json!([{"text": "Hello there!", "index": 0, "finish_reason": "stop"}]));
    assert_eq!(answer["usage"]["completion_tokens"], 4);
    let mut streamed = request;
    streamed["stream"] = true.into();
    streamed["stream_options"] = json!({"include_usage": true});
    let events = server.events("/v1/completions", streamed).await;
    let data: Vec<&Value> = events.iter().map(|(_, data)| data).collect();
    let [chunks @ .., usage, done] = &data[..] else { panic!("{data:?}") };
    assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(6)));
    assert_eq!(**done, "[DONE]");
    let text: String = chunks.iter().map(|c| c["choices"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(text, "Hello there!");
    assert!(chunks.iter().all(|chunk| chunk["usage"]["total_tokens"] == 0));
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
    let list = json!({"model": "parrot", "prompt": ["a"]});
    assert_eq!(server.post("/v1/completions", list).await.error().0, 400);
}

#[tokio::test]
async fn compressed_bodies_are_read() {
    let server = Server::with_parrot(PLAIN).await;
    let body = zstd_of(chat(json!({})).to_string().as_bytes());
    let request = server.http.post(format!("{}/v1/chat/completions", server.url));
    let answer = request.header("content-encoding", "zstd").body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    // A megabyte of spaces, 25 times over, is more than anybody has to say.
    let bomb = zstd_of(&vec![b' '; 25 << 20]);
    let request = server.http.post(format!("{}/v1/chat/completions", server.url));
    let answer = request.header("content-encoding", "zstd").body(bomb).send().await.unwrap();
    assert!(answer.status().is_client_error(), "{}", answer.status());
}

/// A zstd frame of runs: blocks that repeat one byte, and raw blocks for everything else.
fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 128 << 10;
    // Magic number; no checksum, no content size, a window of 8 MB.
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68];
    let count = bytes.chunks(BLOCK).count();
    for (at, block) in bytes.chunks(BLOCK).enumerate() {
        let is_run = block.iter().all(|byte| *byte == block[0]);
        let header = (block.len() << 3) | (usize::from(is_run) << 1) | usize::from(at + 1 == count);
        out.extend(&(header as u32).to_le_bytes()[..3]);
        out.extend(if is_run { &block[..1] } else { block });
    }
    out
}

#[tokio::test]
async fn responses_are_answered_at_once() {
    let server = Server::with_parrot(THINKING).await;
    let request = json!({"model": "parrot", "input": "<|think|>"});
    let answer = server.post("/v1/responses", request).await.json();
    assert_eq!((&answer["object"], &answer["status"]), (&json!("response"), &json!("completed")));
    let output = answer["output"].as_array().unwrap();
    assert_eq!((&output[0]["type"], &output[1]["type"]), (&json!("reasoning"), &json!("message")));
    assert_eq!(output[0]["summary"][0]["text"], "Capital of Japan");
    assert_eq!(output[1]["content"][0]["text"], "Tokyo");
    assert_eq!(answer["usage"]["total_tokens"].as_u64().unwrap(), 2 + 7);
    assert_eq!((&answer["tool_choice"], &answer["store"]), (&json!("auto"), &json!(false)));
}

#[tokio::test]
async fn responses_stream_as_named_events() {
    let server = Server::with_parrot(TOOLS).await;
    let request = |text: &str| {
        let function = json!({
            "type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}},
        });
        json!({"model": "parrot", "stream": true, "tools": [function], "input": [
            {"role": "user", "content": [{"type": "input_text", "text": text}]},
        ]})
    };
    let events = server.events("/v1/responses", request("<|hello|>")).await;
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names[..4],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
        ]
    );
    assert_eq!(
        names[names.len() - 4..],
        [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    for (at, (name, data)) in events.iter().enumerate() {
        assert_eq!((&data["type"], &data["sequence_number"]), (&json!(name), &json!(at)));
    }
    let text: String = events.iter().filter_map(|(_, data)| data["delta"].as_str()).collect();
    assert_eq!(text, "Hello there!");
    let calls = server.events("/v1/responses", request("<|tool|>")).await;
    let done = calls.iter().find(|(name, _)| name == "response.function_call_arguments.done").unwrap();
    assert_eq!(serde_json::from_str::<Value>(done.1["arguments"].as_str().unwrap()).unwrap(), json!({"location": "Paris"}));
    let output = &calls.last().unwrap().1["response"]["output"];
    assert_eq!((output.as_array().unwrap().len(), &output[0]["type"]), (1, &json!("function_call")));
}
