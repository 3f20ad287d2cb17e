//! Models on disk: create, show, tags, copy, delete, blobs, pull and push.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::gguf;
use crate::server::{INSERT, PLAIN, Server, TOOLS};

#[tokio::test]
async fn an_empty_store_lists_nothing() {
    let server = Server::start();
    assert_eq!(server.get("/api/tags").await.json(), json!({"models": []}));
    assert_eq!(server.get("/api/ps").await.json(), json!({"models": []}));
    assert_eq!(server.get("/v1/models").await.json(), json!({"object": "list", "data": []}));
}

#[tokio::test]
async fn a_model_is_listed_with_its_details() {
    let server = Server::with_parrot(TOOLS).await;
    let tags = server.get("/api/tags").await.json();
    let tag = &tags["models"][0];
    assert_eq!((&tag["name"], &tag["model"]), (&json!("parrot:latest"), &json!("parrot:latest")));
    let digest = tag["digest"].as_str().unwrap();
    assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()));
    let manifest = server.home().join(".ollama/models/manifests/registry.ollama.ai/library/parrot/latest");
    let bytes = std::fs::read(manifest).unwrap();
    assert_eq!(digest, hex::encode(Sha256::digest(&bytes)));
    assert!(tag["size"].as_u64().unwrap() > gguf::parrot(None).len() as u64);
    let details = &tag["details"];
    assert_eq!((&details["format"], &details["family"]), (&json!("gguf"), &json!("llama")));
    assert_eq!((&details["families"], &details["parent_model"]), (&json!(["llama"]), &json!("")));
    assert!(!details["parameter_size"].as_str().unwrap().is_empty());
    assert_eq!(details["quantization_level"], "unknown");
    assert_eq!(tag["capabilities"], json!(["completion", "tools"]));
    assert!(tag["modified_at"].as_str().unwrap().contains('T'));
    let openai = server.get("/v1/models").await.json();
    assert_eq!(openai["data"][0]["id"], "parrot:latest");
    assert_eq!(openai["data"][0]["owned_by"], "library");
    assert_eq!(server.get("/v1/models/parrot").await.json()["id"], "parrot");
    assert_eq!(
        server.get("/v1/models/nobody").await.json()["error"],
        json!({"message": "model 'nobody' not found", "type": "not_found_error", "param": null, "code": null})
    );
}

#[tokio::test]
async fn loaded_models_are_listed_with_size_and_end() {
    let server = Server::with_parrot(PLAIN).await;
    server.say(json!({"prompt": "<|hello|>", "keep_alive": 600})).await;
    let ps = server.get("/api/ps").await.json();
    let process = &ps["models"][0];
    assert_eq!((&process["name"], &process["model"]), (&json!("parrot:latest"), &json!("parrot:latest")));
    assert!(process["size"].as_u64().unwrap() > 0);
    assert_eq!(process["size_vram"], 0);
    assert_eq!(process["context_length"], 256, "clamped to what it was trained on");
    assert_eq!(process["details"]["family"], "llama");
    assert_eq!(process["digest"].as_str().unwrap().len(), 64);
    assert!(process["expires_at"].as_str().unwrap() > "2024");
    server.say(json!({"prompt": "<|hello|>", "keep_alive": -1})).await;
    let forever = server.get("/api/ps").await.json()["models"][0]["expires_at"].clone();
    assert!(forever.as_str().unwrap() > "2300", "{forever}");
    // What one request asked for stays until another asks for something else.
    server.say(json!({"prompt": "<|hello|>"})).await;
    let still = server.get("/api/ps").await.json()["models"][0]["expires_at"].clone();
    assert!(still.as_str().unwrap() > "2300", "{still}");
}

#[tokio::test]
async fn show_tells_everything() {
    let server = Server::start();
    let more = json!({
        "template": INSERT, "system": "be brief", "license": ["MIT", "mine"],
        "parameters": {"temperature": 0.5, "stop": ["<|eot|>", "x"]},
        "messages": [{"role": "user", "content": "hi"}],
    });
    server.create("me/Parrot:v1", &gguf::parrot(None), more).await;
    let show = server.post("/api/show", json!({"model": "ME/parrot:V1"})).await.json();
    assert_eq!(show["license"], "MIT\nmine");
    assert_eq!(show["system"], "be brief");
    assert_eq!(show["template"], INSERT);
    let parameters = show["parameters"].as_str().unwrap();
    assert!(parameters.contains("stop                           \"<|eot|>\""), "{parameters}");
    assert!(parameters.contains("temperature                    0.5"), "{parameters}");
    let modelfile = show["modelfile"].as_str().unwrap();
    for line in ["# FROM me/Parrot:v1", "SYSTEM be brief", "PARAMETER temperature 0.5", "MESSAGE user hi"] {
        assert!(modelfile.lines().any(|l| l == line), "{line}: {modelfile}");
    }
    assert!(modelfile.contains("\nFROM /"), "{modelfile}");
    assert_eq!(show["messages"], json!([{"role": "user", "content": "hi"}]));
    assert_eq!(show["capabilities"], json!(["completion", "insert"]));
    let info = &show["model_info"];
    assert_eq!(info["general.architecture"], "llama");
    assert_eq!(info["llama.context_length"], 256);
    assert!(info["general.parameter_count"].as_u64().unwrap() > 0);
    assert_eq!(info["tokenizer.ggml.tokens"], Value::Null);
    assert!(info.as_object().unwrap().contains_key("tokenizer.ggml.tokens"));
    assert!(info.get("general.name").is_none());
    let tensors = show["tensors"].as_array().unwrap();
    let embeddings = tensors.iter().find(|t| t["name"] == "token_embd.weight").unwrap();
    assert_eq!(embeddings["type"], "F32");
    assert_eq!(embeddings["shape"][0], info["llama.embedding_length"]);
    let verbose = server.post("/api/show", json!({"name": "me/parrot:v1", "verbose": true})).await.json();
    let tokens = verbose["model_info"]["tokenizer.ggml.tokens"].as_array().unwrap();
    assert_eq!(tokens[1], "<s>");
}

#[tokio::test]
async fn embedding_models_say_so() {
    let server = Server::start();
    server.create("vectors", &gguf::encoder(), json!({})).await;
    let show = server.post("/api/show", json!({"model": "vectors"})).await.json();
    assert_eq!(show["capabilities"], json!(["embedding"]));
    assert_eq!(show["details"]["family"], "bert");
    assert_eq!(server.get("/api/tags").await.json()["models"][0]["capabilities"], json!(["embedding"]));
}

#[tokio::test]
async fn models_are_made_of_others() {
    let server = Server::with_parrot(PLAIN).await;
    let request = json!({
        "model": "child", "from": "parrot", "system": "S",
        "parameters": {"num_predict": 2, "temperature": 0},
    });
    let lines = server.stream("/api/create", request).await;
    let statuses: Vec<&str> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
    assert!(statuses.iter().any(|status| status.starts_with("using existing layer sha256:")), "{statuses:?}");
    assert!(statuses.iter().any(|status| status.starts_with("creating new layer sha256:")), "{statuses:?}");
    assert_eq!(statuses[statuses.len() - 2..], ["writing manifest", "success"]);
    let child = json!({"model": "child", "messages": [{"role": "user", "content": "<|story|>"}], "stream": false});
    let whole = server.post("/api/chat", child).await.json();
    assert_eq!(whole["message"]["content"], "Once upon");
    // Two names of the same weights share what is in memory.
    server.say(json!({"prompt": "<|hello|>"})).await;
    assert_eq!(server.get("/api/ps").await.json()["models"].as_array().unwrap().len(), 1);
    let details = server.post("/api/show", json!({"model": "child"})).await.json()["details"].clone();
    assert!(details["parent_model"].as_str().unwrap().contains("parrot"), "{details}");
}

#[tokio::test]
async fn bad_requests_to_create_are_told_apart() {
    let server = Server::start();
    for (request, text) in [
        (json!({"model": "m"}), "neither 'from' or 'files' was specified"),
        (json!({"model": "m", "files": {}}), "no files provided to convert"),
        (json!({"model": "m", "files": {"../x": format!("sha256:{}", "0".repeat(64))}}), "file path must be relative"),
        (json!({"model": "m", "files": {"x": "sha256:zz"}}), "invalid digest format"),
    ] {
        assert_eq!(server.post("/api/create", request).await.error(), (400, text.to_owned()));
    }
}

#[tokio::test]
async fn models_are_copied_and_deleted() {
    let server = Server::with_parrot(PLAIN).await;
    let copy = server.post("/api/copy", json!({"source": "parrot", "destination": "me/bird"})).await;
    assert_eq!((copy.status, copy.text.as_str()), (StatusCode::OK, ""));
    let delete = |name: &str| {
        server.send(Method::DELETE, "/api/delete", Some(json!({"model": name}).to_string()))
    };
    let gone = delete("parrot").await;
    assert_eq!((gone.status, gone.text.as_str()), (StatusCode::OK, ""));
    let chat = json!({"model": "me/bird", "prompt": "<|hello|>", "stream": false});
    assert_eq!(server.post("/api/generate", chat).await.json()["response"], "Hello there!");
    // The blobs go with the last name; who has them in memory goes on.
    assert_eq!(delete("me/bird").await.status, StatusCode::OK);
    assert_eq!(delete("me/bird").await.status, StatusCode::NOT_FOUND);
    let blobs = std::fs::read_dir(server.home().join(".ollama/models/blobs")).unwrap().count();
    assert_eq!(blobs, 0);
    assert_eq!(server.get("/api/ps").await.json()["models"][0]["name"], "me/bird:latest");
}

#[tokio::test]
async fn blobs_are_what_their_digests_say() {
    let server = Server::start();
    let digest = |bytes: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    let path = format!("/api/blobs/{}", digest(b"abc"));
    assert_eq!(server.send(Method::HEAD, &path, None).await.status, StatusCode::NOT_FOUND);
    let wrong = server.send(Method::POST, &path, Some("abd".into())).await;
    let text = format!("digest mismatch, expected {:?}, got {:?}", digest(b"abc"), digest(b"abd"));
    assert_eq!(wrong.error(), (400, text));
    let right = server.send(Method::POST, &path, Some("abc".into())).await;
    assert_eq!(right.status, StatusCode::CREATED);
    assert_eq!(server.send(Method::POST, &path, Some("abc".into())).await.status, StatusCode::OK);
    assert_eq!(server.send(Method::HEAD, &path, None).await.status, StatusCode::OK);
    let bad = server.send(Method::HEAD, "/api/blobs/sha256:1", None).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn failed_pulls_are_told_in_the_stream_or_by_their_status() {
    let server = Server::start();
    // Nobody listens on this port.
    let request = json!({"model": "127.0.0.1:9/a/b", "insecure": true});
    let lines = server.stream("/api/pull", request.clone()).await;
    assert_eq!(lines[0], json!({"status": "pulling manifest"}));
    assert!(lines.last().unwrap()["error"].is_string(), "{lines:?}");
    let mut whole = request;
    whole["stream"] = false.into();
    assert_eq!(server.post("/api/pull", whole).await.error().0, 500);
    let plain = server.stream("/api/pull", json!({"model": "http://127.0.0.1:9/a/b"})).await;
    assert_eq!(plain.last().unwrap()["error"], "insecure protocol http");
    let push = server.stream("/api/push", json!({"model": "127.0.0.1:9/a/b"})).await;
    assert!(push.last().unwrap()["error"].is_string(), "{push:?}");
}
