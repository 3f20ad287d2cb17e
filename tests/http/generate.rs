//! `/api/generate`.

use serde_json::{Value, json};

use crate::server::{INSERT, PLAIN, Server, THINKING};

fn text(objects: &[Value]) -> String {
    objects
        .iter()
        .map(|object| object["response"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_stream_ends_with_one_object_that_has_all_numbers() {
    let server = Server::with_parrot(PLAIN).await;
    let objects = server
        .stream(
            "/api/generate",
            json!({"model": "Parrot", "prompt": "<|hello|>"}),
        )
        .await;
    assert_eq!(text(&objects), "Hello there!");
    let (last, pieces) = objects.split_last().unwrap();
    for piece in pieces {
        assert_eq!(
            (&piece["model"], &piece["done"]),
            (&json!("Parrot"), &json!(false))
        );
        assert!(piece.get("done_reason").is_none() && piece.get("eval_count").is_none());
        assert_ne!(piece["response"], "", "clients time the first object");
        assert!(piece["created_at"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(
        (&last["done"], &last["done_reason"]),
        (&json!(true), &json!("stop"))
    );
    assert_eq!(last["response"], "");
    for number in [
        "total_duration",
        "load_duration",
        "prompt_eval_duration",
        "eval_duration",
    ] {
        assert!(last[number].as_u64().unwrap() > 0, "{number}: {last}");
    }
    assert_eq!(
        (&last["prompt_eval_count"], &last["eval_count"]),
        (&json!(2), &json!(4))
    );
    assert!(!last["context"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn one_object_holds_the_whole_answer() {
    let server = Server::with_parrot(PLAIN).await;
    let whole = server.say(json!({"prompt": "<|hello|>"})).await;
    assert_eq!(
        (&whole["response"], &whole["done"]),
        (&json!("Hello there!"), &json!(true))
    );
    assert_eq!(whole["done_reason"], "stop");
    assert_eq!(whole["eval_count"], 4);
}

#[tokio::test]
async fn characters_are_never_split() {
    let server = Server::with_parrot(PLAIN).await;
    let objects = server
        .stream(
            "/api/generate",
            json!({"model": "parrot", "prompt": "<|emoji|>"}),
        )
        .await;
    assert_eq!(objects[0]["response"], "🎉");
    assert_eq!(text(&objects), "🎉 done");
}

#[tokio::test]
async fn num_predict_ends_an_answer_with_length() {
    let server = Server::with_parrot(PLAIN).await;
    let whole = server
        .say(json!({"prompt": "<|story|>", "options": {"num_predict": 7}}))
        .await;
    assert_eq!(whole["response"], "Once upon a time andOnce upon");
    assert_eq!(
        (&whole["done_reason"], &whole["eval_count"]),
        (&json!("length"), &json!(7))
    );
}

#[tokio::test]
async fn stop_texts_end_an_answer_and_are_not_part_of_it() {
    let server = Server::with_parrot(PLAIN).await;
    // The text spans tokens.
    let options = json!({"stop": ["a tim"], "num_predict": 50});
    let objects = server
        .stream(
            "/api/generate",
            json!({"model": "parrot", "prompt": "<|story|>", "options": options}),
        )
        .await;
    assert_eq!(text(&objects), "Once upon ");
    assert_eq!(objects.last().unwrap()["done_reason"], "stop");
}

#[tokio::test]
async fn answers_go_on_beyond_the_context_unless_that_is_forbidden() {
    let server = Server::with_parrot(PLAIN).await;
    let options = json!({"num_ctx": 16, "num_predict": 40});
    let moved = server
        .say(json!({"prompt": "<|story|>", "options": options}))
        .await;
    assert_eq!(
        (&moved["done_reason"], &moved["eval_count"]),
        (&json!("length"), &json!(40))
    );
    let fixed = server
        .say(json!({"prompt": "<|story|>", "options": options, "shift": false}))
        .await;
    assert_eq!(fixed["done_reason"], "length");
    assert!(fixed["eval_count"].as_u64().unwrap() <= 16, "{fixed}");
}

#[tokio::test]
async fn an_endless_answer_has_an_end() {
    let server = Server::with_parrot(PLAIN).await;
    let whole = server
        .say(json!({"prompt": "<|story|>", "options": {"num_ctx": 8}}))
        .await;
    assert_eq!(
        (&whole["done_reason"], &whole["eval_count"]),
        (&json!("length"), &json!(80))
    );
}

#[tokio::test]
async fn long_prompts_lose_their_middle() {
    let server = Server::with_parrot(PLAIN).await;
    let prompt = format!("{}<|hello|>", "x".repeat(200));
    let whole = server
        .say(json!({"prompt": prompt, "options": {"num_ctx": 64}}))
        .await;
    assert_eq!(whole["response"], "Hello there!");
    // 64 tokens less half of what follows the four kept ones and the start token.
    assert_eq!(whole["prompt_eval_count"], 35);
}

#[tokio::test]
async fn context_carries_an_exchange_on() {
    let server = Server::with_parrot(PLAIN).await;
    let first = server.say(json!({"prompt": "<|hello|>"})).await;
    let context = first["context"].clone();
    let second = server
        .say(json!({"prompt": "<|emoji|>", "context": context}))
        .await;
    assert_eq!(second["response"], "🎉 done");
    let longer = second["context"].as_array().unwrap().len();
    assert!(longer > context.as_array().unwrap().len());
    let count = second["prompt_eval_count"].as_u64().unwrap();
    assert!(count > first["prompt_eval_count"].as_u64().unwrap());
    let bad = json!({"model": "parrot", "prompt": "x", "context": [4_000_000]});
    assert_eq!(server.post("/api/generate", bad).await.error().0, 400);
}

#[tokio::test]
async fn raw_prompts_are_used_as_they_are_and_give_no_context() {
    let server = Server::with_parrot("{{ .Prompt }}<|emoji|>").await;
    let raw = server
        .say(json!({"prompt": "<|hello|>", "raw": true}))
        .await;
    assert_eq!(raw["response"], "Hello there!");
    assert!(raw.get("context").is_none());
    let templated = server.say(json!({"prompt": "<|hello|>"})).await;
    assert_eq!(templated["response"], "🎉 done");
}

#[tokio::test]
async fn templates_and_system_texts_of_a_request_go_before_the_models() {
    let server = Server::with_parrot("{{ .System }}{{ .Prompt }}").await;
    let rendered = |mut request: Value| {
        request["_debug_render_only"] = true.into();
        server.say(request)
    };
    let own = rendered(json!({"prompt": "p", "system": "s "})).await;
    assert_eq!(own["_debug_info"]["rendered_template"], "s p");
    assert_eq!(
        (&own["response"], &own["done"]),
        (&json!(""), &json!(false))
    );
    let template = json!({"prompt": "p", "template": "<{{ .Prompt }}>"});
    assert_eq!(
        rendered(template).await["_debug_info"]["rendered_template"],
        "<p>"
    );
}

#[tokio::test]
async fn generate_and_chat_render_alike() {
    let server = Server::with_parrot(
        "[{{ .System }}]{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}",
    )
    .await;
    let generate = json!({"prompt": "hi", "system": "be brief", "_debug_render_only": true});
    let chat = json!({"_debug_render_only": true, "messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"},
    ]});
    let (generate, chat) = (server.say(generate).await, server.say(chat).await);
    let text = generate["_debug_info"]["rendered_template"]
        .as_str()
        .unwrap();
    assert_eq!(text, "[be brief]<system>be brief<user>hi");
    assert_eq!(chat["_debug_info"], generate["_debug_info"]);
    let more = json!({"prompt": "hi", "system": "be brief", "_debug_render_only": true, "context": [5, 6]});
    let more = server.say(more).await;
    let longer = more["_debug_info"]["rendered_template"].as_str().unwrap();
    assert!(
        longer.len() > text.len() && longer.ends_with("hi"),
        "{longer}"
    );
}

#[tokio::test]
async fn gaps_are_filled() {
    let server = Server::with_parrot(INSERT).await;
    let filled = server
        .say(json!({"prompt": "def add(", "suffix": "    return c"}))
        .await;
    assert_eq!(filled["response"], "return x");
    let request =
        json!({"prompt": "def add(", "suffix": "    return c", "_debug_render_only": true});
    assert_eq!(
        server.say(request).await["_debug_info"]["rendered_template"],
        "<PRE> def add( <SUF>    return c <MID><|middle|>"
    );
}

#[tokio::test]
async fn logprobs_come_one_per_token() {
    let server = Server::with_parrot(PLAIN).await;
    let request = json!({
        "model": "parrot", "prompt": "<|story|>", "logprobs": true, "top_logprobs": 3,
        "options": {"num_predict": 10, "temperature": 0},
    });
    let objects = server.stream("/api/generate", request).await;
    let tokens: Vec<&Value> = objects
        .iter()
        .flat_map(|object| object["logprobs"].as_array().into_iter().flatten())
        .collect();
    assert_eq!(tokens.len(), 10);
    for token in tokens {
        let text = token["token"].as_str().unwrap();
        assert!(!text.is_empty());
        assert!(token["logprob"].as_f64().unwrap() <= 0.0);
        assert_eq!(token["bytes"], json!(text.as_bytes()));
        let top: Vec<f64> = token["top_logprobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["logprob"].as_f64().unwrap())
            .collect();
        assert!(
            (1..=3).contains(&top.len()) && top.is_sorted_by(|a, b| a >= b),
            "{top:?}"
        );
    }
    let without = server.say(json!({"prompt": "<|hello|>"})).await;
    assert!(without.get("logprobs").is_none());
    let emoji = server
        .say(json!({"prompt": "<|emoji|>", "logprobs": true}))
        .await;
    assert_eq!(
        emoji["logprobs"].as_array().unwrap().len(),
        emoji["eval_count"].as_u64().unwrap() as usize - 1
    );
}

#[tokio::test]
async fn json_is_kept_to_its_form() {
    let server = Server::with_parrot(PLAIN).await;
    let any = server
        .say(json!({"prompt": "<|json|>", "format": "json"}))
        .await;
    assert_eq!(
        serde_json::from_str::<Value>(any["response"].as_str().unwrap()).unwrap(),
        json!({"a": 1})
    );
    let schema = json!({
        "type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"],
        "additionalProperties": false,
    });
    let options = json!({"num_predict": 30, "temperature": 0});
    let held = server
        .say(json!({"prompt": "<|json|>", "format": schema, "options": options}))
        .await;
    let text = held["response"].as_str().unwrap();
    assert!(!text.contains('a') && !text.contains("Hello"), "{text}");
    // A space leads the parrot to what the schema asks for.
    let wanted = server
        .say(json!({"prompt": "<|json|> ", "format": schema, "options": options}))
        .await;
    let text = wanted["response"].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(text).unwrap(),
        json!({"b": 2})
    );
    let off = server
        .say(json!({"prompt": "<|hello|>", "format": ""}))
        .await;
    assert_eq!(off["response"], "Hello there!");
}

#[tokio::test]
async fn thoughts_are_told_from_the_answer() {
    let server = Server::with_parrot(THINKING).await;
    let on = server.say(json!({"prompt": "<|think|>"})).await;
    assert_eq!(
        (&on["thinking"], &on["response"]),
        (&json!("Capital of Japan"), &json!("Tokyo"))
    );
    let off = server
        .say(json!({"prompt": "<|hello|>", "think": false}))
        .await;
    assert_eq!(off["response"], "Hello there!");
    assert!(off.get("thinking").is_none());
    let objects = server
        .stream(
            "/api/generate",
            json!({"model": "parrot", "prompt": "<|think|>"}),
        )
        .await;
    assert_eq!(text(&objects), "Tokyo");
    assert!(
        objects
            .iter()
            .all(|object| !object.to_string().contains("think>"))
    );
}

#[tokio::test]
async fn the_answer_after_thoughts_is_held_to_its_form() {
    let server = Server::with_parrot(THINKING).await;
    let schema = json!({
        "type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"],
    });
    let options = json!({"num_predict": 40, "temperature": 0});
    let whole = server
        .say(json!({"prompt": "<|wisdom|>", "format": schema, "options": options}))
        .await;
    assert_eq!(whole["thinking"].as_str().unwrap().trim(), "a form");
    let text = whole["response"].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(text).unwrap(),
        json!({"b": 2})
    );
}

#[tokio::test]
async fn thoughts_that_do_not_end_are_followed_by_the_form_all_the_same() {
    let server = Server::with_parrot(THINKING).await;
    let schema = json!({
        "type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"],
    });
    let options = json!({"num_predict": 40, "temperature": 0});
    let whole = server
        .say(json!({"prompt": "<|musing|>", "format": schema, "options": options}))
        .await;
    assert_eq!(whole["thinking"].as_str().unwrap().trim(), "no end");
    let text = whole["response"].as_str().unwrap();
    assert!(text.starts_with('{'), "{text:?}");
}

#[tokio::test]
async fn a_form_that_cannot_be_read_is_refused_before_any_thought() {
    let server = Server::with_parrot(THINKING).await;
    let request = json!({"model": "parrot", "prompt": "<|wisdom|>", "format": {"type": "nothing"}});
    let (status, text) = server.post("/api/generate", request).await.error();
    assert_eq!(status, 400, "{text}");
}

#[tokio::test]
async fn an_empty_prompt_loads_and_keep_alive_zero_unloads() {
    let server = Server::with_parrot(PLAIN).await;
    let load = server
        .post("/api/generate", json!({"model": "parrot"}))
        .await;
    assert_eq!(load.kind, "application/json");
    let load = load.json();
    assert_eq!(
        (&load["done"], &load["done_reason"]),
        (&json!(true), &json!("load"))
    );
    assert_eq!(load["response"], "");
    assert_eq!(
        server.get("/api/ps").await.json()["models"][0]["name"],
        "parrot:latest"
    );
    let unload = server
        .post("/api/generate", json!({"model": "parrot", "keep_alive": 0}))
        .await;
    assert_eq!(unload.json()["done_reason"], "unload");
    server.until_idle().await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answer() {
    let server = Server::with_parrot(PLAIN).await;
    let options = json!({"seed": 42, "temperature": 100, "num_predict": 12});
    let request = json!({"prompt": "<|story|>", "options": options});
    let (first, second) = (server.say(request.clone()).await, server.say(request).await);
    assert_eq!(first["response"], second["response"]);
}
