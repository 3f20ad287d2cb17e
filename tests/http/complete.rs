//! `/ai/code/complete`.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::gguf;
use crate::server::{Answer, Server};
use crate::signer::{SECRET, Signer, anna};
use crate::stories::fixtures;

const PATH: &str = "/ai/code/complete";

/// With a model that fills gaps.
async fn server(more: &[(&str, &str)]) -> Server {
    let server = Server::start_with(&[&[("WICK_ASSIST_MODEL", "filler")], more].concat());
    server.create("filler", &gguf::filler(), json!({})).await;
    server
}

fn at_end(code: &str) -> Value {
    let cursor = code.encode_utf16().count();
    json!({"code": code, "language": "javascript", "cursor_position": cursor})
}

/// How often the cache had an answer, and how often not.
async fn cache(server: &Server) -> (u32, u32) {
    let metrics = server.get("/metrics").await.text;
    let count = |result: &str| {
        let name = format!("wick_code_completion_cache_total{{result=\"{result}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |count| count.parse().unwrap())
    };
    (count("hit"), count("miss"))
}

#[tokio::test]
async fn a_gap_is_filled_between_the_models_marks() {
    let server = server(&[]).await;
    let code = "function calculateTotal(items) {\n  let sum = 0;\n  ";
    let place = json!({"code": code, "language": "javascript", "cursor_position": 45});
    let answer = server.post(PATH, place.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let keys: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["completions", "confidence"]);
    // All candidates of the parrot are alike, and said once.
    assert_eq!(body["completions"], json!(["return x"]));
    let confidence = body["confidence"].as_f64().unwrap();
    assert!((0.9..=1.0).contains(&confidence), "{confidence}");
    let mut streamed = place;
    streamed["stream"] = true.into();
    let events = server.events(PATH, streamed).await;
    assert_eq!(events, [("result".to_owned(), body)]);
}

#[tokio::test]
async fn without_marks_the_code_goes_on() {
    let server = Server::start_with(&[("WICK_ASSIST_MODEL", "parrot")]);
    server
        .create("parrot", &gguf::parrot(None), json!({}))
        .await;
    for language in ["python", "", "klingon"] {
        let place = json!({"code": "x =\n# end", "language": language, "cursor_position": 3,
            "n": 1});
        let body = server.post(PATH, place).await.json();
        assert_eq!(body["completions"], json!(["Hello there!"]), "{language}");
    }
    // What the code spells out is code: no token of it tells the model what to say.
    let body = server.post(PATH, at_end("x = \"<|story|>")).await.json();
    assert_eq!(body["completions"], json!(["Hello there!"]));
}

#[tokio::test]
async fn cursors_count_utf_16_units() {
    let server = server(&[]).await;
    let ask = async |cursor: Value| {
        let place = json!({"code": "a😀b", "language": "x", "cursor_position": cursor});
        server.post(PATH, place).await
    };
    for cursor in [0, 1, 3, 4] {
        assert_eq!(ask(cursor.into()).await.status, 200, "{cursor}");
    }
    for (cursor, want) in [
        (json!(2), "splits a surrogate pair"),
        (json!(5), "from 0 to 4"),
        (json!(u64::MAX), "from 0 to 4"),
        (json!(-1), "a whole number, 0 or more"),
        (json!("1"), "a whole number, 0 or more"),
        (Value::Null, "a whole number, 0 or more"),
    ] {
        let (status, text) = ask(cursor.clone()).await.error();
        assert_eq!(status, 400, "{cursor}");
        assert!(
            text.starts_with("field 'cursor_position'") && text.contains(want),
            "{text}"
        );
    }
    let bare = json!({"code": "a", "cursor_position": 1, "language": null, "n": null});
    assert_eq!(server.post(PATH, bare).await.status, 200);
    let missing = server.post(PATH, json!({"code": "a"})).await;
    assert_eq!(missing.error().1, "field 'cursor_position' is required");
    let mut many = at_end("a");
    many["n"] = 9.into();
    assert_eq!(
        server.post(PATH, many).await.error().1,
        "field 'n' must be from 1 to 8"
    );
}

#[tokio::test]
async fn a_place_is_completed_once_per_tenant() {
    let server = server(&[("WICK_JWT_SECRET", SECRET)]).await;
    let ask = async |tenant: &str| {
        let token = Signer::secret(SECRET.as_bytes()).sign(&anna(tenant));
        let request = server.with_bearer(Method::POST, PATH, &token);
        let body = at_end("let x = ").to_string();
        Answer::read(request.body(body).send().await.unwrap())
            .await
            .json()
    };
    let first = ask("acme").await;
    assert_eq!(cache(&server).await, (0, 1));
    assert_eq!(ask("acme").await, first);
    assert_eq!(cache(&server).await, (1, 1));
    assert_eq!(ask("rival").await, first);
    assert_eq!(cache(&server).await, (1, 2), "tenants share nothing");
}

#[tokio::test]
async fn candidates_differ_and_long_files_fit() {
    let Some(folder) = fixtures() else {
        println!("skipped: there is no folder of fixtures");
        return;
    };
    let server = Server::start_with(&[("WICK_ASSIST_MODEL", "stories")]);
    let weights = std::fs::read(folder.join("stories260K.gguf")).unwrap();
    server.create("stories", &weights, json!({})).await;
    let story = "Once upon a time there was a little dog. ".repeat(400);
    let mut place = at_end(&story);
    place["max_tokens"] = 16.into();
    let body = server.post(PATH, place.clone()).await.json();
    let texts: Vec<&str> = body["completions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect();
    assert!((2..=3).contains(&texts.len()), "{texts:?}");
    assert!(texts.iter().all(|text| !text.trim().is_empty()));
    assert_ne!(texts[0], texts[1]);
    let confidence = body["confidence"].as_f64().unwrap();
    assert!(confidence > 0.0 && confidence < 1.0, "{confidence}");
    // A few more letters: nearly all of the prompt is known from before, for all candidates.
    let before = prompt_tokens(&server).await;
    place["code"] = format!("{story}The").into();
    place["cursor_position"] = (story.len() + 3).into();
    server.post(PATH, place).await.json();
    let after = prompt_tokens(&server).await;
    let (read, cached) = (after.0 - before.0, after.1 - before.1);
    assert!(cached / read > 0.9, "{cached} of {read} tokens were known");
}

/// Tokens of prompts, and those of them that were cached.
async fn prompt_tokens(server: &Server) -> (f64, f64) {
    let metrics = server.get("/metrics").await.text;
    let count = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    (
        count("wick_prompt_tokens_total{"),
        count("wick_prompt_tokens_cached_total{"),
    )
}

#[tokio::test]
async fn who_types_on_frees_the_model() {
    let server = Server::start_with(&[
        ("WICK_ASSIST_MODEL", "parrot"),
        ("OLLAMA_NUM_PARALLEL", "1"),
    ]);
    server
        .create("parrot", &gguf::parrot(None), json!({}))
        .await;
    let long = |code: &str| {
        let mut place = at_end(code);
        place["n"] = 8.into();
        place["max_tokens"] = 200.into();
        place
    };
    // After this word the parrot tells a story without an end.
    let started = Instant::now();
    let told = server.post(PATH, long("1 a")).await.json();
    let whole = started.elapsed();
    let told = told["completions"][0].as_str().unwrap();
    assert!(told.len() > 500, "{told}");
    let request = server.http.post(format!("{}{PATH}", server.url));
    let left = request
        .body(long("2 a").to_string())
        .timeout(whole / 10)
        .send()
        .await;
    assert!(left.is_err_and(|error| error.is_timeout()));
    let started = Instant::now();
    let mut short = at_end("c");
    (short["n"], short["max_tokens"]) = (1.into(), 1.into());
    assert_eq!(server.post(PATH, short).await.status, 200);
    let waited = started.elapsed();
    assert!(
        waited < whole / 2 + Duration::from_millis(20),
        "{waited:?} of {whole:?}"
    );
}
