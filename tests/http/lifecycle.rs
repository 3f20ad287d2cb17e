//! Start, stop, and clients that leave.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;

use crate::gguf;
use crate::server::{PLAIN, Server};

/// Long enough for any machine, short enough to tell a hang from work.
const PATIENCE: Duration = Duration::from_secs(60);

async fn wait_for_end(server: &mut Server) -> std::process::ExitStatus {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = server.child().try_wait().unwrap() {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the server does not end");
}

fn kill(server: &mut Server, signal: &str) {
    let id = server.child().id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

#[tokio::test]
async fn signals_end_the_server_in_good_order() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::with_parrot(PLAIN).await;
        server.say(json!({"prompt": "<|hello|>"})).await;
        kill(&mut server, signal);
        assert_eq!(wait_for_end(&mut server).await.code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_signal_ends_answers_too() {
    let mut server = Server::with_parrot(PLAIN).await;
    let request = json!({"model": "parrot", "prompt": "<|story|>", "options": {"num_predict": 2000}});
    let url = format!("{}/api/generate", server.url);
    let answer = server.http.post(url).body(request.to_string()).send().await.unwrap();
    let mut chunks = answer.bytes_stream();
    assert!(chunks.next().await.unwrap().is_ok());
    kill(&mut server, "-TERM");
    assert_eq!(wait_for_end(&mut server).await.code(), Some(0));
}

#[tokio::test]
async fn who_leaves_frees_the_place() {
    let server = Server::start_with(&[("OLLAMA_NUM_PARALLEL", "1")]);
    server.create("parrot", &gguf::parrot(None), json!({"template": PLAIN})).await;
    // This answer would have 2560 tokens, and nobody reads most of them.
    let request = json!({"model": "parrot", "prompt": "<|story|>"});
    let url = format!("{}/api/generate", server.url);
    let answer = server.http.post(url).body(request.to_string()).send().await.unwrap();
    let mut chunks = answer.bytes_stream();
    assert!(chunks.next().await.unwrap().is_ok());
    drop(chunks);
    let next = server.say(json!({"prompt": "<|hello|>"}));
    let next = tokio::time::timeout(PATIENCE, next).await.expect("the place is free");
    assert_eq!(next["response"], "Hello there!");
}

#[tokio::test]
async fn the_first_start_makes_its_folders() {
    let server = Server::start();
    assert!(server.home().join(".ollama/models/blobs").is_dir());
    assert_eq!(server.get("/api/tags").await.json(), json!({"models": []}));
}

#[tokio::test]
async fn models_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("elsewhere");
    let variable = [("OLLAMA_MODELS", models.to_str().unwrap())];
    let server = Server::start_with(&variable);
    server.create("parrot", &gguf::parrot(None), json!({"template": PLAIN})).await;
    let before = server.get("/api/tags").await.json();
    drop(server);
    let server = Server::start_with(&variable);
    assert_eq!(server.get("/api/tags").await.json(), before);
    assert_eq!(server.say(json!({"prompt": "<|hello|>"})).await["response"], "Hello there!");
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let server = Server::start();
    let address = server.url.strip_prefix("http://").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_wick"))
        .args(["serve", "--listen", address])
        .env_clear()
        .env("HOME", server.home())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(address), "{text}");
}

#[tokio::test]
async fn models_are_loaded_and_evicted_under_load() {
    let server = Server::start_with(&[("OLLAMA_MAX_LOADED_MODELS", "1")]);
    server.create("parrot", &gguf::parrot(None), json!({"template": PLAIN})).await;
    // Other weights, so that the two cannot share what is in memory.
    server.create("other", &gguf::parrot(Some("x")), json!({"template": PLAIN})).await;
    let ask = |model: &'static str| {
        let request = json!({"model": model, "prompt": "<|hello|>", "stream": false});
        server.post("/api/generate", request)
    };
    let requests = (0..6).map(|at| ask(["parrot", "other"][at % 2]));
    for answer in futures_util::future::join_all(requests).await {
        assert_eq!(answer.json()["response"], "Hello there!");
    }
    assert_eq!(server.get("/api/ps").await.json()["models"].as_array().unwrap().len(), 1);
}
