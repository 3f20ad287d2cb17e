//! The words of errors, which clients match.

use reqwest::Method;
use serde_json::{Value, json};

use crate::gguf;
use crate::server::{PLAIN, Server};

const LONG_CONTEXT: &str = "the prompt is longer than the context length currently available to the \
                            model; shorten the prompt, adjust the context length in settings, or use \
                            a model with a longer context length";

#[tokio::test]
async fn adapters_are_refused_rather_than_left_out() {
    let server = Server::start();
    let digest = server.upload(&gguf::adapter()).await;
    let adapters = json!({"adapters": {"a.gguf": digest}, "template": PLAIN});
    server.create("tuned", &gguf::parrot(None), adapters).await;
    let request = json!({"model": "tuned", "prompt": "<|hello|>"});
    let (status, text) = server.post("/api/generate", request).await.error();
    let want = "registry.ollama.ai/library/tuned:latest does not support LoRA adapters";
    assert_eq!((status, text.as_str()), (400, want));
}

#[tokio::test]
async fn each_route_has_its_words_for_a_missing_model() {
    let server = Server::start();
    let m = json!({"model": "Nobody"});
    for (path, status, text) in [
        ("/api/generate", 404, "model 'Nobody' not found"),
        ("/api/chat", 404, "model 'Nobody' not found"),
        (
            "/api/embed",
            404,
            "model \"Nobody\" not found, try pulling it first",
        ),
        (
            "/api/embeddings",
            404,
            "model \"Nobody\" not found, try pulling it first",
        ),
        ("/api/show", 404, "model 'Nobody:latest' not found"),
    ] {
        assert_eq!(
            server.post(path, m.clone()).await.error(),
            (status, text.to_owned()),
            "{path}"
        );
    }
    let delete = server
        .send(Method::DELETE, "/api/delete", Some(m.to_string()))
        .await;
    assert_eq!(delete.error(), (404, "model 'Nobody' not found".to_owned()));
    let copy = server
        .post("/api/copy", json!({"source": "Nobody", "destination": "x"}))
        .await;
    assert_eq!(copy.error(), (404, "model \"Nobody\" not found".to_owned()));
}

#[tokio::test]
async fn each_route_has_its_words_for_an_empty_or_impossible_name() {
    let server = Server::start();
    for (path, status, text) in [
        ("/api/generate", 404, "model '' not found"),
        ("/api/chat", 400, "model is required"),
        ("/api/embed", 404, "model '' not found"),
        ("/api/embeddings", 400, "model is required"),
        ("/api/show", 400, "model is required"),
        ("/api/push", 400, "model is required"),
        ("/api/pull", 400, "invalid model name"),
        ("/api/create", 400, "invalid model name"),
    ] {
        assert_eq!(
            server.post(path, Value::Null).await.error(),
            (status, text.to_owned()),
            "{path}"
        );
    }
    for path in [
        "/api/generate",
        "/api/chat",
        "/api/embed",
        "/api/show",
        "/api/pull",
        "/api/create",
    ] {
        let answer = server.post(path, json!({"model": "no such/name!"})).await;
        assert_eq!(
            answer.error(),
            (400, "invalid model name".to_owned()),
            "{path}"
        );
    }
    let delete = server.send(
        Method::DELETE,
        "/api/delete",
        Some(json!({"name": "a b"}).to_string()),
    );
    assert_eq!(
        delete.await.error(),
        (400, "name \"a b\" is invalid".to_owned())
    );
    let copy = server
        .post("/api/copy", json!({"source": "a b", "destination": "x"}))
        .await;
    assert_eq!(copy.error(), (400, "source \"a b\" is invalid".to_owned()));
}

#[tokio::test]
async fn models_on_other_servers_are_refused() {
    let server = Server::start();
    let text = "ollama cloud is disabled: remote model is unavailable";
    for path in ["/api/generate", "/api/chat", "/api/pull", "/api/show"] {
        let answer = server.post(path, json!({"model": "big:cloud"})).await;
        assert_eq!(answer.error(), (403, text.to_owned()), "{path}");
    }
    let both = server
        .post("/api/chat", json!({"model": "x:cloud:local"}))
        .await;
    let text = "use either :local or :cloud, not both: \"x:cloud:local\"";
    assert_eq!(both.error(), (400, text.to_owned()));
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_400() {
    let server = Server::start();
    for path in [
        "/api/generate",
        "/api/chat",
        "/api/embed",
        "/api/show",
        "/api/pull",
        "/api/copy",
    ] {
        let empty = server.send(Method::POST, path, Some(String::new())).await;
        assert_eq!(
            empty.error(),
            (400, "missing request body".to_owned()),
            "{path}"
        );
        let broken = server.send(Method::POST, path, Some("xyz".into())).await;
        let text = "invalid character 'x' looking for beginning of value";
        assert_eq!(broken.error(), (400, text.to_owned()), "{path}");
        let cut = server
            .send(Method::POST, path, Some("{\"model\":".into()))
            .await;
        assert_eq!(cut.error(), (400, "unexpected EOF".to_owned()), "{path}");
    }
    let typed = server.post("/api/chat", json!({"model": 3})).await.error();
    assert_eq!(typed.0, 400);
    assert!(typed.1.contains("cannot unmarshal number"), "{}", typed.1);
    let openai = server
        .send(Method::POST, "/v1/chat/completions", Some(String::new()))
        .await;
    assert_eq!(openai.error(), (400, "EOF".to_owned()));
}

#[tokio::test]
async fn keys_in_any_case_and_trailing_bytes_are_accepted() {
    let server = Server::start();
    let answer = server.send(
        Method::POST,
        "/api/show",
        Some("{\"MODEL\":\"Nobody\"} tail".into()),
    );
    assert_eq!(
        answer.await.error(),
        (404, "model 'Nobody:latest' not found".to_owned())
    );
}

#[tokio::test]
async fn fields_of_a_request_have_their_own_words() {
    let server = Server::with_parrot(PLAIN).await;
    for (request, status, text) in [
        (
            json!({"keep_alive": "abc"}),
            400,
            "time: invalid duration \"abc\"",
        ),
        (
            json!({"keep_alive": "10"}),
            400,
            "time: missing unit in duration \"10\"",
        ),
        (json!({"keep_alive": true}), 400, "Unsupported type: 'bool'"),
        (
            json!({"top_logprobs": 21}),
            400,
            "top_logprobs must be between 0 and 20",
        ),
        (
            json!({"images": ["data:image/png;base64,aGk="]}),
            400,
            "illegal base64 data at input byte 4",
        ),
        (
            json!({"raw": true, "system": "x"}),
            400,
            "raw mode does not support template, system, or context",
        ),
        (
            json!({"think": "x"}),
            400,
            "invalid think value: \"x\" (must be \"high\", \"medium\", \"low\", \"max\", true, or false)",
        ),
        (
            json!({"think": true}),
            400,
            "\"parrot\" does not support thinking",
        ),
        (
            json!({"suffix": "x"}),
            400,
            "registry.ollama.ai/library/parrot:latest does not support insert",
        ),
        (
            json!({"images": ["aGk="]}),
            400,
            "registry.ollama.ai/library/parrot:latest does not support vision",
        ),
        (
            json!({"options": {"temperature": "x"}}),
            500,
            "option \"temperature\" must be of type float32",
        ),
        (
            json!({"options": {"num_ctx": "x"}}),
            500,
            "option \"num_ctx\" must be of type integer",
        ),
        (
            json!({"options": {"stop": "x"}}),
            500,
            "option \"stop\" must be of type array",
        ),
        (
            json!({"format": "xml"}),
            500,
            "invalid format: \"\\\"xml\\\"\"; expected \"json\" or a valid JSON Schema object",
        ),
    ] {
        let mut request = request;
        request["model"] = "parrot".into();
        request["prompt"] = "<|hello|>".into();
        let answer = server.post("/api/generate", request.clone()).await;
        assert_eq!(answer.error(), (status, text.to_owned()), "{request}");
    }
}

#[tokio::test]
async fn abilities_that_lack_are_named() {
    let server = Server::with_parrot(PLAIN).await;
    server.create("vectors", &gguf::encoder(), json!({})).await;
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {}}});
    let turn = json!([{"role": "user", "content": "<|hello|>"}]);
    let tools = json!({"model": "parrot", "messages": turn, "tools": [tool]});
    let text = "registry.ollama.ai/library/parrot:latest does not support tools";
    assert_eq!(
        server.post("/api/chat", tools).await.error(),
        (400, text.to_owned())
    );
    let chat = json!({"model": "vectors", "messages": turn});
    let text = "\"vectors\" does not support chat";
    assert_eq!(
        server.post("/api/chat", chat).await.error(),
        (400, text.to_owned())
    );
    let generate = json!({"model": "vectors", "prompt": "x"});
    let text = "\"vectors\" does not support generate";
    assert_eq!(
        server.post("/api/generate", generate).await.error(),
        (400, text.to_owned())
    );
}

#[tokio::test]
async fn prompts_too_long_are_refused_where_nothing_may_be_cut() {
    let server = Server::with_parrot(PLAIN).await;
    let request = json!({
        "model": "parrot", "prompt": "x".repeat(100), "shift": false, "options": {"num_ctx": 32},
    });
    assert_eq!(
        server.post("/api/generate", request).await.error(),
        (400, LONG_CONTEXT.to_owned())
    );
}

#[tokio::test]
async fn a_template_that_is_none_is_an_error() {
    let server = Server::with_parrot(PLAIN).await;
    let request = json!({"model": "parrot", "prompt": "x", "template": "{{ .Prompt"});
    let (status, text) = server.post("/api/generate", request).await.error();
    assert_eq!(status, 500);
    assert!(text.contains("template"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_model_says_so() {
    let server = Server::start();
    let junk = b"this is no model";
    let digest = {
        use sha2::{Digest, Sha256};
        format!("sha256:{}", hex::encode(Sha256::digest(junk)))
    };
    let upload = server
        .http
        .post(format!("{}/api/blobs/{digest}", server.url));
    assert_eq!(
        upload.body(junk.to_vec()).send().await.unwrap().status(),
        201
    );
    let request = json!({"model": "junk", "files": {"model.gguf": digest}, "stream": false});
    let (status, text) = server.post("/api/create", request).await.error();
    assert!(status >= 400 && !text.is_empty());
    assert_eq!(server.get("/api/tags").await.json(), json!({"models": []}));
}
