//! Pages of other origins in a real browser: what they may ask, and read.

use reqwest::Method;
use serde_json::{Value, json};

use crate::chromium::{Browser, Site};
use crate::gguf;
use crate::server::{Answer, PLAIN, Server};
use crate::signer::{SECRET, Signer, now};

/// Makes calls one after the other, and says what it could read of each answer.
const PAGE: &str = r#"<!doctype html><title>a platform</title><script>
const calls = CALLS
async function ask({ url, ...options }) {
  try {
    const response = await fetch(url, options)
    const headers = Object.fromEntries(response.headers)
    return { status: response.status, headers, body: await response.text() }
  } catch (error) {
    return { failed: error.name }
  }
}
async function all() {
  const answers = []
  for (const call of calls) answers.push(await ask(call))
  await fetch('/seen', { method: 'POST', body: JSON.stringify({ origin: location.origin, answers }) })
}
all()
</script>"#;

fn token() -> String {
    let claims = json!({"sub": "anna", "tenant": "acme", "exp": now() + 3600});
    Signer::secret(SECRET.as_bytes()).sign(&claims)
}

/// What pages of `host` can read of the answers to these calls.
async fn answers(site: Site, host: &str, calls: &[Value]) -> Option<Vec<Value>> {
    let origin = site.origin(host);
    let mut seen = site.serve(PAGE.replace("CALLS", &json!(calls).to_string()));
    let _browser = Browser::open(&origin)?;
    let said = seen.next().await;
    assert_eq!(said["origin"], origin);
    Some(said["answers"].as_array().unwrap().clone())
}

async fn server(origins: &str) -> Server {
    let server = Server::start_with(&[
        ("WICK_JWT_SECRET", SECRET),
        ("WICK_ORIGINS", origins),
        ("WICK_ASSIST_MODEL", "parrot"),
    ]);
    server
        .create("parrot", &gguf::parrot(None), json!({"template": PLAIN}))
        .await;
    server
}

fn post(server: &Server, path: &str, token: &str, body: Value) -> Value {
    json!({"url": format!("{}{path}", server.url), "method": "POST", "body": body.to_string(),
        "headers": {"Content-Type": "application/json", "Authorization": format!("Bearer {token}")}})
}

fn get(server: &Server, path: &str) -> Value {
    json!({"url": format!("{}{path}", server.url)})
}

fn body(answer: &Value) -> Value {
    let text = answer["body"].as_str();
    let text = text.unwrap_or_else(|| panic!("not read: {answer}"));
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {answer}"))
}

#[tokio::test]
async fn pages_of_a_configured_origin_ask_and_read() {
    let site = Site::bind().await;
    let server = server(&site.origin("shop.test")).await;
    let prompt = json!({"prompt": "<|hello|>", "model": "parrot", "temperature": 0.7});
    let mut streamed = prompt.clone();
    streamed["stream"] = true.into();
    let explain = json!({"query": "SELECT id FROM users", "schema": "CREATE TABLE users (id int);", "action": "explain"});
    let mut models = get(&server, "/ai/models");
    models["headers"] = json!({"Authorization": format!("Bearer {}", token())});
    let calls = [
        post(&server, "/ai/generate", &token(), prompt.clone()),
        post(&server, "/ai/generate", &token(), streamed),
        post(&server, "/ai/sql/assist", &token(), explain),
        models,
        post(&server, "/ai/generate", "no.good.token", prompt),
        get(&server, "/health"),
        get(&server, "/services/status"),
        get(&server, "/api/tags"),
    ];
    let Some(answers) = answers(site, "shop.test", &calls).await else {
        return;
    };
    let [made, stream, sql, models, refused, health, services, tags] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(made["status"], 200, "{made}");
    assert_eq!(body(made)["response"], "Hello there!");
    let left = made["headers"]["ratelimit"].as_str().unwrap();
    assert!(left.starts_with("\"generate\";r=99;"), "{left}");
    let events = stream["body"].as_str().unwrap();
    assert!(
        events.contains("event: token") && events.contains("event: result"),
        "{events}"
    );
    assert_eq!(body(sql)["tables"], json!(["users"]));
    assert_eq!(body(models)["models"][0]["name"], "parrot:latest");
    assert_eq!(refused["status"], 401);
    assert!(body(refused)["error"].as_str().unwrap().contains("token"));
    assert_eq!(body(health)["status"], "ok");
    assert_eq!(body(services)[0]["name"], "engine");
    // The routes of other programs have their own list of origins.
    assert_eq!(tags, &json!({"failed": "TypeError"}));
}

#[tokio::test]
async fn pages_of_other_origins_reach_nothing() {
    let site = Site::bind().await;
    let server = server(&site.origin("shop.test")).await;
    let prompt = json!({"prompt": "<|hello|>"});
    // Without a header of its own a page sends this without asking first.
    let simple = json!({"url": format!("{}/ai/generate", server.url), "method": "POST", "body": prompt.to_string()});
    let mut blind = simple.clone();
    blind["mode"] = "no-cors".into();
    let calls = [
        post(&server, "/ai/generate", &token(), prompt.clone()),
        simple,
        blind,
        get(&server, "/health"),
    ];
    let Some(answers) = answers(site, "evil.test", &calls).await else {
        return;
    };
    let failed = json!({"failed": "TypeError"});
    assert_eq!([&answers[0], &answers[1], &answers[3]], [&failed; 3]);
    // What a page sends blindly is answered, but with nothing, and nothing is seen of it.
    assert_eq!(
        (&answers[2]["status"], &answers[2]["body"]),
        (&json!(0), &json!(""))
    );
    let first = server.with_bearer(Method::POST, "/ai/generate", &token());
    let first = first.body(prompt.to_string()).send().await.unwrap();
    let left = first.headers()["ratelimit"].to_str().unwrap().to_owned();
    assert!(
        left.starts_with("\"generate\";r=99;"),
        "the first that counts: {left}"
    );
    assert_eq!(Answer::read(first).await.json()["response"], "Hello there!");
}
