//! `/api/chat`.

use serde_json::{Value, json};

use crate::gguf;
use crate::server::{PLAIN, Server, THINKING, TOOLS};

/// A tool named `name` that takes a place.
pub(crate) fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {
        "name": name,
        "description": "tells something",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "minLength": 1}},
            "required": ["location"],
        },
    }})
}

/// A user's turn.
pub(crate) fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

fn content(objects: &[Value]) -> String {
    objects
        .iter()
        .map(|object| object["message"]["content"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_turn_streams_and_ends_with_numbers() {
    let server = Server::with_parrot(PLAIN).await;
    let request = json!({"model": "parrot", "messages": user("<|hello|>")});
    let objects = server.stream("/api/chat", request).await;
    assert_eq!(content(&objects), "Hello there!");
    let last = objects.last().unwrap();
    assert_eq!(last["message"], json!({"role": "assistant", "content": ""}));
    assert_eq!(
        (&last["done"], &last["done_reason"]),
        (&json!(true), &json!("stop"))
    );
    assert_eq!(
        (&last["prompt_eval_count"], &last["eval_count"]),
        (&json!(2), &json!(4))
    );
    assert!(last.get("context").is_none());
    let whole = server.say(json!({"messages": user("<|hello|>")})).await;
    assert_eq!(
        whole["message"],
        json!({"role": "assistant", "content": "Hello there!"})
    );
}

#[tokio::test]
async fn no_messages_load_and_unload() {
    let server = Server::with_parrot(PLAIN).await;
    let load = server
        .post("/api/chat", json!({"model": "parrot"}))
        .await
        .json();
    assert_eq!(load["message"], json!({"role": "assistant", "content": ""}));
    assert_eq!(
        (&load["done"], &load["done_reason"]),
        (&json!(true), &json!("load"))
    );
    let unload = server
        .post("/api/chat", json!({"model": "parrot", "keep_alive": "0s"}))
        .await
        .json();
    assert_eq!(unload["done_reason"], "unload");
    server.until_idle().await;
}

#[tokio::test]
async fn the_models_own_messages_come_first() {
    let server = Server::start();
    let template = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}";
    let more = json!({
        "template": template, "system": "be brief", "parameters": {"num_predict": 2, "stop": ["x"]},
        "messages": [{"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"}],
    });
    server.create("parrot", &gguf::parrot(None), more).await;
    let rendered =
        |messages: Value| server.say(json!({"messages": messages, "_debug_render_only": true}));
    let text = |answer: Value| {
        answer["_debug_info"]["rendered_template"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        text(rendered(user("2+2")).await),
        "<system>be brief<user>1+1<assistant>2<user>2+2"
    );
    let own = json!([{"role": "system", "content": "be long"}, {"role": "user", "content": "2+2"}]);
    assert_eq!(
        text(rendered(own).await),
        "<user>1+1<assistant>2<system>be long<user>2+2"
    );
}

#[tokio::test]
async fn old_messages_go_first_where_the_context_is_small() {
    let server = Server::with_parrot("{{ range .Messages }}<{{ .Content }}>{{ end }}").await;
    let long = "y".repeat(40);
    let messages = json!([
        {"role": "system", "content": "S"}, {"role": "user", "content": long},
        {"role": "assistant", "content": long}, {"role": "user", "content": "now"},
    ]);
    let request =
        json!({"messages": messages, "_debug_render_only": true, "options": {"num_ctx": 32}});
    let text = server.say(request).await["_debug_info"]["rendered_template"].clone();
    assert_eq!(text, "<S><now>");
}

#[tokio::test]
async fn tools_are_called_in_the_middle_of_a_stream() {
    let server = Server::with_parrot(TOOLS).await;
    let request = json!({
        "model": "parrot", "messages": user("<|tool|>"), "tools": [tool("weather")],
    });
    let objects = server.stream("/api/chat", request.clone()).await;
    let (last, pieces) = objects.split_last().unwrap();
    let calls: Vec<&Value> = pieces
        .iter()
        .flat_map(|object| {
            object["message"]["tool_calls"]
                .as_array()
                .into_iter()
                .flatten()
        })
        .collect();
    assert_eq!(calls.len(), 1);
    let function = json!({"index": 0, "name": "weather", "arguments": {"location": "Paris"}});
    assert_eq!(calls[0]["function"], function);
    let id = calls[0]["id"].as_str().unwrap();
    assert!(id.len() == 13 && id.starts_with("call_"), "{id}");
    assert_eq!(content(&objects), "");
    assert_eq!(
        (&last["done"], &last["done_reason"]),
        (&json!(true), &json!("stop"))
    );
    let whole = server.say(request).await;
    assert_eq!(whole["message"]["tool_calls"][0]["function"], function);
    assert_eq!(whole["message"]["content"], "");
}

#[tokio::test]
async fn what_only_looks_like_a_call_is_content() {
    let server = Server::with_parrot(TOOLS).await;
    let other = server
        .say(json!({"messages": user("<|braces|>"), "tools": [tool("weather")]}))
        .await;
    assert_eq!(
        other["message"]["content"],
        r#"{"name": "nobody", "parameters": {}}"#
    );
    assert!(other["message"].get("tool_calls").is_none());
    let without = server.say(json!({"messages": user("<|tool|>")})).await;
    assert!(
        without["message"]["content"]
            .as_str()
            .unwrap()
            .contains("weather")
    );
    let plain = server
        .say(json!({"messages": user("<|hello|>"), "tools": [tool("weather")]}))
        .await;
    assert_eq!(plain["message"]["content"], "Hello there!");
}

#[tokio::test]
async fn calls_behind_marks_that_print_nothing_are_found() {
    const TEMPLATE: &str = "{{ range .Tools }}{{ . }}{{ end }}{{ range .Messages }}{{ .Content }}{{ if .ToolCalls }}\
        [TOOL_CALLS] [{{ range .ToolCalls }}{\"name\": \"{{ .Function.Name }}\", \
        \"arguments\": {{ .Function.Arguments }}}{{ end }}]{{ end }}{{ end }}";
    // What begins a script is a control token.
    const SCRIPTS: [gguf::Script; 3] = [
        ("[TOOL_CALLS]", &["weather"], false),
        ("[ARGS]", &["{\"location\":▁\"Paris\"}"], false),
        (
            "<|call|>",
            &[
                "[TOOL_CALLS]",
                "weather",
                "[ARGS]",
                "{\"location\":▁\"Paris\"}",
            ],
            false,
        ),
    ];
    let server = Server::start();
    let weights = gguf::actor(&SCRIPTS, &[]);
    let template = json!({"template": TEMPLATE});
    server.create("caller", &weights, template).await;
    let mut request = json!({"model": "caller", "messages": user("<|call|>"), "stream": false});
    let plain = server.post("/api/chat", request.clone()).await.json();
    assert_eq!(
        plain["message"]["content"],
        "weather{\"location\": \"Paris\"}"
    );
    request["tools"] = json!([tool("weather")]);
    let message = server.post("/api/chat", request).await.json()["message"].clone();
    let function = json!({"index": 0, "name": "weather", "arguments": {"location": "Paris"}});
    assert_eq!(message["tool_calls"][0]["function"], function);
    assert_eq!(message["content"], "");
}

#[tokio::test]
async fn tools_keep_only_what_templates_know_and_results_come_back() {
    let server = Server::with_parrot(TOOLS).await;
    let messages = json!([
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "weather", "arguments": {"location": "Paris"}}},
        ]},
        {"role": "tool", "content": "22", "tool_name": "weather"},
    ]);
    let request =
        json!({"messages": messages, "tools": [tool("weather")], "_debug_render_only": true});
    let answer = server.say(request).await;
    let text = answer["_debug_info"]["rendered_template"].as_str().unwrap();
    assert!(
        text.starts_with(r#"{"type":"function","function":{"name":"weather""#),
        "{text}"
    );
    assert!(!text.contains("minLength"), "{text}");
    assert!(
        text.ends_with(r#"?{"name": "weather", "parameters": {"location":"Paris"}}22"#),
        "{text}"
    );
}

#[tokio::test]
async fn thoughts_have_a_field_of_their_own() {
    let server = Server::with_parrot(THINKING).await;
    let request = json!({"model": "parrot", "messages": user("<|think|>")});
    let objects = server.stream("/api/chat", request).await;
    let thinking: String = objects
        .iter()
        .filter_map(|object| object["message"]["thinking"].as_str())
        .collect();
    assert_eq!(
        (thinking.as_str(), content(&objects).as_str()),
        ("Capital of Japan", "Tokyo")
    );
    let on = server
        .say(json!({"messages": user("<|think|>"), "think": "high"}))
        .await;
    assert_eq!(on["message"]["thinking"], "Capital of Japan");
    let off = server
        .say(json!({"messages": user("<|hello|>"), "think": false}))
        .await;
    assert_eq!(
        off["message"],
        json!({"role": "assistant", "content": "Hello there!"})
    );
}

#[tokio::test]
async fn a_jinja_template_of_the_file_is_used_where_there_is_no_other() {
    let server = Server::start();
    let template =
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}";
    server
        .create("parrot", &gguf::parrot(Some(template)), json!({}))
        .await;
    let rendered = server
        .say(json!({"messages": user("hi"), "_debug_render_only": true}))
        .await;
    assert_eq!(rendered["_debug_info"]["rendered_template"], "[user]hi");
    let whole = server.say(json!({"messages": user("<|hello|>")})).await;
    assert_eq!(whole["message"]["content"], "Hello there!");
    assert_eq!(whole["prompt_eval_count"], 2 + "[user]".len());
}

#[tokio::test]
async fn a_template_that_nobody_can_read_does_not_make_a_model_useless() {
    let server = Server::start();
    let template = "{% for m in messages %}{{ m.content }}";
    server
        .create("parrot", &gguf::parrot(Some(template)), json!({}))
        .await;
    let rendered = server
        .say(json!({"messages": user("hi"), "_debug_render_only": true}))
        .await;
    let text = rendered["_debug_info"]["rendered_template"]
        .as_str()
        .unwrap();
    assert!(text.contains("user\nhi"), "{text}");
    let raw = server
        .say(json!({"prompt": "<|hello|>", "raw": true}))
        .await;
    assert_eq!(raw["response"], "Hello there!");
}

#[tokio::test]
async fn logprobs_flow_while_calls_are_held_back() {
    let server = Server::with_parrot(TOOLS).await;
    let request = json!({
        "model": "parrot", "messages": user("<|tool|>"), "tools": [tool("weather")],
        "logprobs": true, "top_logprobs": 2,
    });
    let objects = server.stream("/api/chat", request).await;
    let count = |object: &Value| object["logprobs"].as_array().map_or(0, Vec::len);
    assert_eq!(objects.iter().map(count).sum::<usize>(), 3);
}

#[tokio::test]
async fn many_clients_are_served_in_turn() {
    let server = Server::with_parrot(PLAIN).await;
    let requests = (0..6).map(|_| server.say(json!({"messages": user("<|hello|>")})));
    for answer in futures_util::future::join_all(requests).await {
        assert_eq!(answer["message"]["content"], "Hello there!");
    }
}
