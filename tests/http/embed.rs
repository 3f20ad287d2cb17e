//! `/api/embed`, `/api/embeddings` and `/v1/embeddings`.

use serde_json::{Value, json};

use crate::gguf;
use crate::server::Server;

async fn with_encoder() -> Server {
    let server = Server::start();
    server.create("vectors", &gguf::encoder(), json!({})).await;
    server
}

fn vector(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / (norm(a) * norm(b))
}

#[tokio::test]
async fn vectors_have_length_one_and_the_order_of_the_texts() {
    let server = with_encoder().await;
    let one = server.post(
        "/api/embed",
        json!({"model": "vectors", "input": "why is the sky blue?"}),
    );
    let one = one.await.json();
    assert_eq!(one["model"], "vectors");
    assert_eq!(one["prompt_eval_count"], 8);
    assert!(
        one["total_duration"].as_u64().unwrap() > 0 && one["load_duration"].as_u64().unwrap() > 0
    );
    let why = vector(&one["embeddings"][0]);
    assert_eq!(why.len(), 64);
    assert!((norm(&why) - 1.0).abs() < 1e-5);
    let texts = ["the sky", "why is the sky blue?"];
    let two = server
        .post("/api/embed", json!({"model": "vectors", "input": texts}))
        .await
        .json();
    assert_eq!(two["prompt_eval_count"], 12);
    assert!(cosine(&vector(&two["embeddings"][1]), &why) > 0.9999);
    assert!(cosine(&vector(&two["embeddings"][0]), &why) < 0.9999);
}

#[tokio::test]
async fn nothing_to_embed_loads_the_model() {
    let server = with_encoder().await;
    for input in [json!(null), json!(""), json!([])] {
        let answer = server
            .post("/api/embed", json!({"model": "vectors", "input": input}))
            .await;
        assert_eq!(answer.json(), json!({"model": "vectors", "embeddings": []}));
    }
    let old = server
        .post("/api/embeddings", json!({"model": "vectors"}))
        .await;
    assert_eq!(old.json(), json!({"embedding": []}));
    assert_eq!(
        server.get("/api/ps").await.json()["models"][0]["name"],
        "vectors:latest"
    );
    let empty = server
        .post(
            "/api/embed",
            json!({"model": "vectors", "input": ["", "the"]}),
        )
        .await;
    assert_eq!(empty.json()["embeddings"].as_array().unwrap().len(), 2);
    let bad = server
        .post("/api/embed", json!({"model": "vectors", "input": 1}))
        .await;
    assert_eq!(bad.error(), (400, "invalid input type".to_owned()));
    let unload = json!({"model": "vectors", "keep_alive": 0});
    assert_eq!(
        server.post("/api/generate", unload).await.json()["done_reason"],
        "unload"
    );
    server.until_idle().await;
}

#[tokio::test]
async fn texts_are_cut_to_the_context() {
    let server = with_encoder().await;
    let embed = |more: Value| {
        let mut request = json!({"model": "vectors", "input": "why is the sky blue?"});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        server.post("/api/embed", request)
    };
    let why = server
        .post("/api/embed", json!({"model": "vectors", "input": "why"}))
        .await
        .json();
    let cut = embed(json!({"options": {"num_ctx": 3}})).await.json();
    assert!(
        cosine(
            &vector(&cut["embeddings"][0]),
            &vector(&why["embeddings"][0])
        ) > 0.999
    );
    assert_eq!(cut["prompt_eval_count"], 3);
    let refused = embed(json!({"options": {"num_ctx": 3}, "truncate": false})).await;
    assert_eq!(
        refused.error(),
        (
            400,
            "the input length exceeds the context length".to_owned()
        )
    );
    for num_ctx in [0, 1] {
        let (status, text) = embed(json!({"options": {"num_ctx": num_ctx}}))
            .await
            .error();
        assert_eq!(status, 400);
        assert!(
            text.starts_with("input ") && text.contains("exceeds maximum context length"),
            "{text}"
        );
    }
    // 100 words where the model was trained on 16 tokens.
    let long = server.post(
        "/api/embed",
        json!({"model": "vectors", "input": "the ".repeat(100)}),
    );
    assert_eq!(long.await.json()["prompt_eval_count"], 16);
    let many = ["the", "the", "the"];
    let many = server
        .post("/api/embed", json!({"model": "vectors", "input": many}))
        .await
        .json();
    assert_eq!(many["prompt_eval_count"], 9);
}

#[tokio::test]
async fn fewer_dimensions_have_length_one_too() {
    let server = with_encoder().await;
    let embed = |dimensions: u32| {
        let request = json!({"model": "vectors", "input": "the sky", "dimensions": dimensions});
        server.post("/api/embed", request)
    };
    let whole = vector(&embed(64).await.json()["embeddings"][0]);
    let part = vector(&embed(8).await.json()["embeddings"][0]);
    assert_eq!((whole.len(), part.len()), (64, 8));
    assert!((norm(&part) - 1.0).abs() < 1e-5);
    assert!(cosine(&whole[..8], &part) > 0.9999);
}

#[tokio::test]
async fn the_old_route_gives_the_vector_as_it_is() {
    let server = with_encoder().await;
    let old = server
        .post(
            "/api/embeddings",
            json!({"model": "vectors", "prompt": "the sky"}),
        )
        .await;
    let raw = vector(&old.json()["embedding"]);
    let new = server
        .post(
            "/api/embed",
            json!({"model": "vectors", "input": "the sky"}),
        )
        .await;
    let unit = vector(&new.json()["embeddings"][0]);
    assert!(
        (norm(&raw) - 1.0).abs() > 1e-3,
        "random weights make no unit vectors"
    );
    assert!(cosine(&raw, &unit) > 0.9999);
}

#[tokio::test]
async fn openai_gets_numbers_or_bytes() {
    let server = with_encoder().await;
    let embed = |more: Value| {
        let mut request = json!({"model": "vectors", "input": ["the sky", "blue"]});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        server.post("/v1/embeddings", request)
    };
    let floats = embed(json!({})).await.json();
    assert_eq!(
        (&floats["object"], &floats["model"]),
        (&json!("list"), &json!("vectors"))
    );
    assert_eq!(
        floats["usage"],
        json!({"prompt_tokens": 7, "total_tokens": 7})
    );
    assert_eq!(floats["data"][1]["index"], 1);
    let bytes = embed(json!({"encoding_format": "base64"})).await.json();
    let first = bytes["data"][0]["embedding"].as_str().unwrap();
    // 64 numbers of 4 bytes, three bytes in four letters.
    assert_eq!(first.len(), (64_usize * 4).div_ceil(3) * 4);
    let one = server
        .post("/v1/embeddings", json!({"model": "vectors", "input": ""}))
        .await
        .json();
    assert_eq!(one["data"].as_array().unwrap().len(), 1);
    for (more, text) in [
        (json!({"input": []}), "invalid input"),
        (json!({"input": [1, 2]}), "invalid input type"),
        (
            json!({"encoding_format": "x"}),
            "Invalid value for 'encoding_format' = x. Supported values: ['float', 'base64'].",
        ),
    ] {
        assert_eq!(embed(more).await.error(), (400, text.to_owned()));
    }
}

/// Makes `all-minilm` of the real weights; false, and a word about it, where they are not here.
pub(crate) async fn create_minilm(server: &Server) -> bool {
    let Some(folder) = std::env::var_os("WICK_MINILM_DIR").filter(|folder| !folder.is_empty())
    else {
        println!("skipped: WICK_MINILM_DIR does not name a folder with all-MiniLM-L6-v2");
        return false;
    };
    let mut files = serde_json::Map::new();
    let folder = std::path::PathBuf::from(folder);
    let names = [
        "config.json",
        "tokenizer.json",
        "vocab.txt",
        "modules.json",
        "model.safetensors",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "1_Pooling/config.json",
    ];
    for name in names {
        let Ok(bytes) = std::fs::read(folder.join(name)) else {
            continue;
        };
        use sha2::{Digest, Sha256};
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        let upload = server
            .http
            .post(format!("{}/api/blobs/{digest}", server.url));
        assert!(
            upload
                .body(bytes)
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
        files.insert(name.to_owned(), digest.into());
    }
    let create = json!({"model": "all-minilm", "files": files, "stream": false});
    assert_eq!(
        server.post("/api/create", create).await.json(),
        json!({"status": "success"})
    );
    true
}

/// Real weights: the values that Ollama's own tests compare with.
#[tokio::test]
async fn all_minilm_agrees_with_known_values() {
    let server = Server::start();
    if !create_minilm(&server).await {
        return;
    }
    let request = json!({"model": "all-minilm", "prompt": "why is the sky blue?"});
    let raw = vector(&server.post("/api/embeddings", request).await.json()["embedding"]);
    assert_eq!(raw.len(), 384);
    assert!((raw[0] - 0.0664).abs() < 1e-3, "{}", raw[0]);
    let request =
        json!({"model": "all-minilm", "input": ["why is the sky blue?", "why is the sky blue?"]});
    let made = server.post("/api/embed", request).await.json();
    assert_eq!(made["prompt_eval_count"], 16);
    let unit = vector(&made["embeddings"][0]);
    assert!((unit[0] - 0.01007).abs() < 2e-4, "{}", unit[0]);
    let words = ["cat", "kitten", "dog"];
    let made = server
        .post("/api/embed", json!({"model": "all-minilm", "input": words}))
        .await
        .json();
    let [cat, kitten, dog] = [0, 1, 2].map(|at| vector(&made["embeddings"][at]));
    assert!(cosine(&cat, &kitten) > cosine(&cat, &dog));
}
