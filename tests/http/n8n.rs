//! What n8n sends: its Ollama nodes (LangChain's client with all of the nodes' options) and its HTTP Request node.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::gguf;
use crate::server::{Answer, PLAIN, Server, TOOLS};
use crate::signer::{SECRET, Signer, now};

/// The options of the model nodes as they are if somebody adds each of them, in the words of the wire.
fn options() -> Value {
    json!({"num_ctx": 2048, "num_batch": 512, "num_gpu": -1, "main_gpu": 0, "low_vram": false, "vocab_only": false,
        "num_thread": 0, "num_predict": -1, "top_k": -1, "top_p": 1, "temperature": 0.7, "repeat_penalty": 1,
        "presence_penalty": 0, "frequency_penalty": 0, "penalize_newline": true, "use_mmap": true, "use_mlock": false})
}

/// A request as the model nodes make it. An API key that is left empty is sent all the same.
fn from_a_model_node(server: &Server, path: &str, body: &Value) -> RequestBuilder {
    let request = server.http.post(format!("{}{path}", server.url));
    request
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .header("user-agent", "ollama-js/0.6.4 (x64 linux Node.js/v20.20.2)")
        .header("authorization", "Bearer ")
        .header("accept-language", "*")
        .header("sec-fetch-mode", "cors")
        .header("accept-encoding", "gzip, deflate")
        .body(body.to_string())
}

/// A request as the HTTP Request node makes it.
fn from_a_request_node(server: &Server, method: Method, path: &str) -> RequestBuilder {
    let request = server.http.request(method, format!("{}{path}", server.url));
    request
        .header(
            "accept",
            "application/json,text/html,application/xhtml+xml,application/xml,text/*;q=0.9, image/*;q=0.8, */*;q=0.7",
        )
        .header("user-agent", "axios/1.12.0")
        .header("accept-encoding", "gzip, compress, deflate, br")
}

async fn read(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_credential_is_tested_and_models_are_listed() {
    let server = Server::with_parrot(PLAIN).await;
    // Newer versions ask for the list with a key, which may be empty; older ones for the root.
    for key in ["Bearer ", "Bearer sk-anything"] {
        let request = from_a_request_node(&server, Method::GET, "/api/tags");
        let tags = read(request.header("authorization", key)).await;
        assert_eq!(tags.status, 200, "{tags:?}");
        assert_eq!(tags.json()["models"][0]["name"], "parrot:latest");
    }
    let root = read(from_a_request_node(&server, Method::GET, "/")).await;
    assert_eq!(
        (root.status.as_u16(), root.text.as_str()),
        (200, "Ollama is running")
    );
}

#[tokio::test]
async fn a_chat_model_answers_an_agent() {
    let server = Server::with_parrot(TOOLS).await;
    let tools = json!([{"type": "function", "function": {"name": "weather", "description": "d", "parameters": {
        "type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"],
        "additionalProperties": false, "$schema": "http://json-schema.org/draft-07/schema#"}}}]);
    let messages = json!([
        {"role": "system", "content": "You are a helpful assistant"},
        {"role": "user", "content": "<|tool|>"}]);
    let mut body = json!({"model": "parrot:latest", "keep_alive": "5m", "options": options(), "tools": tools,
        "messages": messages, "stream": true});
    let answer = read(from_a_model_node(&server, "/api/chat", &body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let lines = answer.lines();
    let call = lines
        .iter()
        .find_map(|line| line["message"]["tool_calls"].get(0));
    let call = call.unwrap_or_else(|| panic!("no call: {answer:?}"));
    assert_eq!(call["function"]["arguments"], json!({"location": "Paris"}));
    let last = lines.last().unwrap();
    assert_eq!(last["done"], true);
    assert!(last["eval_count"].is_u64() && last["prompt_eval_count"].is_u64());

    // What the tool said goes back without the call's number.
    let more = [
        json!({"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function",
            "function": {"name": "weather", "arguments": {"location": "Paris"}}}]}),
        json!({"role": "tool", "content": "sun <|hello|>"}),
    ];
    body["messages"].as_array_mut().unwrap().extend(more);
    let answer = read(from_a_model_node(&server, "/api/chat", &body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let said: String = answer
        .lines()
        .iter()
        .map(|line| line["message"]["content"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(said, "Hello there!");
}

#[tokio::test]
async fn a_language_model_and_embeddings_answer_a_chain() {
    let server = Server::with_parrot(PLAIN).await;
    server.create("vectors", &gguf::encoder(), json!({})).await;
    let body = json!({"model": "parrot:latest", "keep_alive": "1h30m", "options": options(), "prompt": "<|hello|>",
        "stream": true});
    let answer = read(from_a_model_node(&server, "/api/generate", &body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let said: String = answer
        .lines()
        .iter()
        .map(|line| line["response"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(said, "Hello there!");
    let body = json!({"model": "vectors", "input": ["the sky", "blue"], "truncate": false});
    let answer = read(from_a_model_node(&server, "/api/embed", &body)).await;
    assert_eq!(answer.json()["embeddings"].as_array().unwrap().len(), 2);
    let body = json!({"model": "vectors", "prompt": "the sky"});
    let answer = read(from_a_model_node(&server, "/api/embeddings", &body)).await;
    assert!(answer.json()["embedding"].is_array(), "{answer:?}");
}

/// The protected routes, with a bearer as a credential of n8n adds it.
async fn platform() -> (Server, String) {
    let server =
        Server::start_with(&[("WICK_JWT_SECRET", SECRET), ("WICK_ASSIST_MODEL", "parrot")]);
    let template = json!({"template": PLAIN});
    server.create("parrot", &gguf::listener(), template).await;
    let claims = json!({"sub": "n8n", "tenant": "acme", "exp": now() + 3600});
    let token = Signer::secret(SECRET.as_bytes()).sign(&claims);
    (server, format!("Bearer {token}"))
}

#[tokio::test]
async fn a_workflow_makes_sql_and_reads_its_fields() {
    let (server, bearer) = platform().await;
    let send = async |path: &str, body: &Value| {
        let request = from_a_request_node(&server, Method::POST, path)
            .header("content-type", "application/json")
            .header("authorization", &bearer)
            .body(body.to_string());
        read(request).await
    };
    let schema = "CREATE TABLE users (id int, name text, status text);";
    let body =
        json!({"query": "Get all active users <|sql|>", "schema": schema, "action": "generate"});
    let made = send("/ai/sql/assist", &body).await;
    assert_eq!(made.status, 200, "{made:?}");
    // The node parses by this type, and hands on what is in it.
    assert!(made.kind.starts_with("application/json"), "{made:?}");
    assert_eq!(
        made.json()["sql"],
        "SELECT name FROM users WHERE status = 'active'"
    );
    let body = json!({"prompt": "<|hello|>", "model": "parrot", "temperature": 0.7, "context": ""});
    let said = send("/ai/generate", &body).await;
    assert_eq!(said.json()["response"], "Hello there!", "{said:?}");
    // Fields that an expression leaves empty are null.
    let body = json!({"prompt": "<|hello|>", "model": null, "temperature": null, "stream": null});
    assert_eq!(send("/ai/generate", &body).await.status, 200);
    let request = from_a_request_node(&server, Method::GET, "/ai/models")
        .header("content-type", "application/json")
        .header("authorization", &bearer)
        .body("{}");
    assert_eq!(
        read(request).await.json()["models"][0]["name"],
        "parrot:latest"
    );
}

#[tokio::test]
async fn what_a_request_node_gets_wrong_is_told_by_name() {
    let (server, bearer) = platform().await;
    let send = async |kind: &str, body: &str| {
        let request = from_a_request_node(&server, Method::POST, "/ai/generate")
            .header("content-type", kind)
            .header("authorization", &bearer)
            .body(body.to_owned());
        read(request).await.error()
    };
    for (kind, body, want) in [
        // "Using fields below" makes texts of all values.
        (
            "application/json",
            r#"{"prompt":"x","temperature":"0.7"}"#,
            "'temperature'",
        ),
        (
            "application/json",
            r#"{"prompt":"x","stream":"false"}"#,
            "'stream'",
        ),
        // An input of several items, or of one.
        ("application/json", r#"[{"prompt":"x"}]"#, "a JSON object"),
        (
            "application/json",
            r#""{\"prompt\":\"x\"}""#,
            "a JSON object",
        ),
        // Two fields of one name.
        ("application/json", r#"{"prompt":["x","y"]}"#, "'prompt'"),
        ("application/json", "", "the body is empty"),
        // An expression inside JSON that was not quoted.
        (
            "application/json",
            "{\"prompt\": \"a\nb\"}",
            "not JSON: look at line 2",
        ),
        (
            "application/json",
            "{\"prompt\": [object Object]}",
            "'prompt'",
        ),
        (
            "application/x-www-form-urlencoded",
            "prompt=x&model=parrot",
            "a JSON object",
        ),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nx\r\n--x--\r\n",
            "a JSON object",
        ),
    ] {
        let (status, text) = send(kind, body).await;
        assert_eq!(status, 400, "{body}: {text}");
        assert!(text.contains(want), "{body}: {text}");
    }
    // A credential whose token already begins with the word.
    let request = from_a_request_node(&server, Method::POST, "/ai/generate")
        .header("authorization", format!("Bearer {bearer}"))
        .body("{}");
    let (status, text) = read(request).await.error();
    assert_eq!(status, 401, "{text}");
    let request = from_a_request_node(&server, Method::POST, "/ai/generate")
        .header("authorization", "Bearer ");
    let (status, text) = read(request.body("{}")).await.error();
    assert_eq!(status, 401, "{text}");
    assert!(text.contains("credentials are required"), "{text}");
}
