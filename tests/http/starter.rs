//! The model inside the binary: it comes without a network and says something that fits.

use std::path::{Component, Path};

use reqwest::StatusCode;
use serde_json::{Value, json};
use wick::store::starter;

use crate::server::Server;

const SCHEMA: &str =
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT, age INTEGER);";

/// A server whose store has the starter model, taken from inside the binary; none where it was built without.
async fn with_starter() -> Option<Server> {
    if !starter::is_included() {
        println!("skipped: built without the weights of starter");
        return None;
    }
    // Nothing can be reached from here: a request that left the machine would fail.
    let server = Server::start_with(&[
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ]);
    let lines = server
        .stream("/api/pull", json!({"model": "starter"}))
        .await;
    assert_eq!(
        lines.last(),
        Some(&json!({"status": "success"})),
        "{lines:?}"
    );
    Some(server)
}

fn ends_its_turn(answer: &Value) {
    assert_eq!(
        (&answer["done"], &answer["done_reason"]),
        (&json!(true), &json!("stop")),
        "{answer}"
    );
}

#[tokio::test]
async fn it_is_in_the_store_only_once_asked_for() {
    let server = Server::start();
    if !starter::is_included() {
        println!("skipped: built without the weights of starter");
        return;
    }
    assert_eq!(server.get("/api/tags").await.json(), json!({"models": []}));
    let chat = json!({"model": "starter", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(
        server.post("/api/chat", chat).await.status,
        StatusCode::NOT_FOUND
    );

    let answer = server
        .post("/api/pull", json!({"model": "starter", "stream": false}))
        .await;
    assert_eq!(answer.json(), json!({"status": "success"}));
    let tags = server.get("/api/tags").await.json();
    assert_eq!(tags["models"][0]["name"], "starter:latest");
    assert_eq!(tags["models"][0]["details"]["quantization_level"], "Q8_0");
    let show = server
        .post("/api/show", json!({"model": "starter"}))
        .await
        .json();
    assert_eq!(show["capabilities"], json!(["completion", "insert"]));
    assert!(show["license"].as_str().unwrap().contains("MIT"));
}

#[tokio::test]
async fn chats_introduce_it_and_name_the_command_for_a_larger_model() {
    let Some(server) = with_starter().await else {
        return;
    };
    let mut messages = vec![
        json!({"role": "system", "content": "You are a helpful assistant."}),
        json!({"role": "user", "content": "Who are you?"}),
    ];
    let request = json!({"model": "starter", "messages": messages, "stream": false});
    let answer = server.post("/api/chat", request).await.json();
    let text = answer["message"]["content"].as_str().unwrap().to_owned();
    assert!(text.contains("wick's starter model"), "{text}");
    assert!(text.contains("wick pull llama3.2:1b"), "{text}");
    ends_its_turn(&answer);

    messages.push(json!({"role": "assistant", "content": text}));
    messages.push(json!({"role": "user", "content": "Thanks!"}));
    let request = json!({"model": "starter", "messages": messages, "stream": false});
    let answer = server.post("/api/chat", request).await.json();
    let text = answer["message"]["content"].as_str().unwrap();
    assert!(text.contains("welcome"), "{text}");
    ends_its_turn(&answer);
}

#[tokio::test]
async fn a_question_over_a_schema_becomes_sql_with_its_names() {
    let Some(server) = with_starter().await else {
        return;
    };
    let prompt = format!("{SCHEMA}\n\nQuestion: How many customers are there?");
    let request = json!({"model": "starter", "prompt": prompt, "stream": false});
    let answer = server.post("/api/generate", request).await.json();
    assert_eq!(answer["response"], "SELECT COUNT(*) FROM customers;");
    ends_its_turn(&answer);
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let Some(server) = with_starter().await else {
        return;
    };
    let prompt = format!("{SCHEMA}\n\nQuestion: List the name of customers with age above 30.");
    let mut request = json!({"model": "starter", "prompt": prompt});
    let objects = server.stream("/api/generate", request.clone()).await;
    let pieces = objects
        .iter()
        .map(|object| object["response"].as_str().unwrap());
    let streamed: String = pieces.collect();
    assert!(objects.len() > 5, "{objects:?}");
    ends_its_turn(objects.last().unwrap());
    request["stream"] = json!(false);
    let whole = server.post("/api/generate", request).await.json();
    assert_eq!(whole["response"], streamed);
    assert_eq!(streamed, "SELECT name FROM customers WHERE age > 30;");
}

#[tokio::test]
async fn completions_of_chats_speak_for_it_too() {
    let Some(server) = with_starter().await else {
        return;
    };
    let mut request = json!({
        "model": "starter",
        "messages": [{"role": "user", "content": "What is your name?"}],
    });
    let answer = server
        .post("/v1/chat/completions", request.clone())
        .await
        .json();
    let choice = &answer["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap().to_owned();
    assert!(text.contains("wick's starter model"), "{text}");
    assert_eq!(choice["finish_reason"], "stop");

    request["stream"] = json!(true);
    let events = server.events("/v1/chat/completions", request).await;
    let delta = |data: &Value| {
        data["choices"][0]["delta"]["content"]
            .as_str()
            .map(str::to_owned)
    };
    let streamed: String = events.iter().filter_map(|(_, data)| delta(data)).collect();
    assert_eq!(streamed, text);
    assert_eq!(events.last().map(|(_, data)| data), Some(&json!("[DONE]")));
}

#[tokio::test]
async fn it_answers_from_the_passage_that_tells_and_cites_it() {
    let Some(server) = with_starter().await else {
        return;
    };
    let content = "[1] Lake Orva covers 52 square kilometres.\n[2] The Nelba Bridge was built in 1931. \
                   The Nelba Bridge is 240 metres long.\n\nQuestion: When was the Nelba Bridge built?";
    let messages = json!([{"role": "user", "content": content}]);
    let request = json!({"model": "starter", "messages": messages, "stream": false});
    let answer = server.post("/api/chat", request).await.json();
    let text = answer["message"]["content"].as_str().unwrap();
    assert!(text.contains("1931") && text.contains("[2]"), "{text}");
    ends_its_turn(&answer);
}

#[tokio::test]
async fn it_fills_gaps_in_code() {
    let Some(server) = with_starter().await else {
        return;
    };
    let request = json!({
        "model": "starter", "prompt": "def add(a, b):\n    total = a + b\n    ", "suffix": "\n",
        "stream": false,
    });
    let answer = server.post("/api/generate", request).await.json();
    assert_eq!(answer["response"], "return total");
    ends_its_turn(&answer);
}

#[tokio::test]
async fn files_that_it_writes_keep_to_their_form() {
    let Some(server) = with_starter().await else {
        return;
    };
    let request = json!({"model": "starter", "prompt": "A function that adds two numbers", "stack": "python"});
    let answer = server.post("/ai/code/generate", request).await;
    // It was not made for this, and what it writes is of no use. The form holds whatever a model writes.
    assert!(answer.status == 200 || answer.status == 422, "{answer:?}");
    let answer = answer.json();
    for file in answer["files"].as_array().unwrap_or(&Vec::new()) {
        assert_eq!(file["action"], "create");
        let path = Path::new(file["path"].as_str().unwrap());
        let is_inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        assert!(is_inside, "{path:?}");
        let content = file["content"].as_str().unwrap();
        assert!(
            !content.lines().any(|line| line.starts_with("```")),
            "{content}"
        );
        assert!(!answer["notes"].as_str().unwrap().is_empty());
    }
}
