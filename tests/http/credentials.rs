//! Tokens and keys: which are good, and what becomes of the others.

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::server::{Answer, PLAIN, Server};
use crate::signer::{SECRET, Signer, anna, now};

/// A route that needs credentials and nothing else.
const GUARDED: &str = "/ai/models";

async fn ask(server: &Server, bearer: &str) -> Answer {
    let request = server.with_bearer(Method::GET, GUARDED, bearer);
    Answer::read(request.send().await.unwrap()).await
}

/// Whether the server lets the bearer in.
async fn accepts(server: &Server, bearer: &str) -> bool {
    let answer = ask(server, bearer).await;
    match answer.status {
        StatusCode::OK => true,
        StatusCode::UNAUTHORIZED => false,
        _ => panic!("{answer:?}"),
    }
}

fn with_secret(more: &[(&str, &str)]) -> Server {
    Server::start_with(&[&[("WICK_JWT_SECRET", SECRET)], more].concat())
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(claims))
}

#[tokio::test]
async fn without_credentials_configured_only_this_machine_may_ask() {
    let server = Server::start();
    assert_eq!(server.get(GUARDED).await.status, StatusCode::OK);
    let proxied = server.http.get(format!("{}{GUARDED}", server.url));
    let proxied = proxied.header("x-forwarded-for", "203.0.113.9").send();
    let answer = Answer::read(proxied.await.unwrap()).await;
    let (status, text) = answer.error();
    assert_eq!(status, 403);
    assert!(text.contains("wick keys add"), "{text}");
}

#[tokio::test]
async fn good_tokens_get_in_and_bad_ones_are_told_why() {
    let server = with_secret(&[
        ("WICK_JWT_ISSUER", "https://issuer.test"),
        ("WICK_JWT_AUDIENCE", "wick"),
    ]);
    let signer = Signer::secret(SECRET.as_bytes());
    let mut good = anna("acme");
    good["iss"] = "https://issuer.test".into();
    good["aud"] = "wick".into();
    let token = signer.sign(&good);
    assert!(accepts(&server, &token).await);

    let changed = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        signer.sign(&claims)
    };
    let (head, signature) = token.rsplit_once('.').unwrap();
    let other_claims =
        URL_SAFE_NO_PAD.encode(json!({"sub": "root", "exp": now() + 60}).to_string());
    let parts: Vec<&str> = token.split('.').collect();
    let cases = [
        (changed("exp", json!(now() - 1)), "has expired"),
        (changed("exp", Value::Null), "'exp'"),
        (changed("nbf", json!(now() + 60)), "not valid yet"),
        (changed("iss", json!("https://other.test")), "issuer"),
        (changed("aud", json!("others")), "audience"),
        (changed("sub", Value::Null), "'sub'"),
        (
            Signer::secret(b"another secret of 32 bytes or more").sign(&good),
            "signature",
        ),
        (
            unsigned(&json!({"alg": "none", "typ": "JWT"}), &good),
            "cannot be read",
        ),
        (
            unsigned(&json!({"alg": "None", "typ": "JWT"}), &good),
            "cannot be read",
        ),
        // Everything but the signature of a good token.
        (format!("{head}."), "signature"),
        (head.to_owned(), "cannot be read"),
        (format!("{head}.{}", &signature[..20]), "signature"),
        (token[..token.len() / 2].to_owned(), "cannot be read"),
        (
            format!("{}.{other_claims}.{}", parts[0], parts[2]),
            "signature",
        ),
        ("nonsense".to_owned(), "cannot be read"),
        (format!("{token}{}", "A".repeat(20_000)), "cannot be read"),
    ];
    for (bad, want) in cases {
        let answer = ask(&server, &bad).await;
        let (status, text) = answer.error();
        assert_eq!(status, 401, "{want}: {bad}");
        assert!(text.contains(want), "{want}: {text}");
    }
    let log = server.log();
    assert!(!log.contains(parts[1]), "tokens do not show in the log");
}

#[tokio::test]
async fn refusals_say_how_to_ask() {
    let server = with_secret(&[]);
    let answer = server.http.get(format!("{}{GUARDED}", server.url));
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    let answer = server.with_bearer(Method::GET, GUARDED, "x").send().await;
    let answer = answer.unwrap();
    let asked = answer.headers()["www-authenticate"].to_str().unwrap();
    assert_eq!(asked, "Bearer error=\"invalid_token\"");
    // The routes of other programs do not ask, whatever their clients send.
    for bearer in ["ollama", "x.y.z"] {
        let tags = server.with_bearer(Method::GET, "/api/tags", bearer).send();
        assert_eq!(tags.await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn every_kind_of_public_key_checks_its_own_tokens_only() {
    let signers = || [Signer::rsa(), Signer::p256(1), Signer::ed25519(1)];
    for (at, signer) in signers().iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("public.pem");
        std::fs::write(&path, signer.pem()).unwrap();
        let variables = [("WICK_JWT_PUBLIC_KEY", path.to_str().unwrap())];
        let server = Server::start_with(&variables);
        for (other, signer) in signers().iter().enumerate() {
            let token = signer.sign(&anna("acme"));
            assert_eq!(accepts(&server, &token).await, other == at, "{at} {other}");
        }
        // The public key is no secret: taken for one, it must not check anything.
        for secret in [signer.pem(), signer.pem().trim().to_owned()] {
            let swapped = Signer::secret(secret.as_bytes()).sign(&anna("acme"));
            let answer = ask(&server, &swapped).await;
            let (status, text) = answer.error();
            assert_eq!(status, 401);
            assert!(text.contains("algorithm or key"), "{text}");
        }
        let others = [Signer::p256(2), Signer::ed25519(2)];
        for other in others {
            assert!(!accepts(&server, &other.sign(&anna("acme"))).await);
        }
    }
}

#[tokio::test]
async fn a_set_of_keys_is_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let signers = [
        Signer::rsa().named("r"),
        Signer::p256(1).named("p"),
        Signer::ed25519(1).named("e"),
    ];
    let mut keys: Vec<Value> = signers.iter().map(Signer::jwk).collect();
    // A secret in a public place checks nothing.
    keys.push(json!({"kty": "oct", "kid": "s", "k": URL_SAFE_NO_PAD.encode(SECRET)}));
    std::fs::write(&path, json!({"keys": keys}).to_string()).unwrap();
    let server = Server::start_with(&[("WICK_JWT_JWKS", path.to_str().unwrap())]);
    for signer in &signers {
        assert!(accepts(&server, &signer.sign(&anna("acme"))).await);
    }
    let secret = Signer::secret(SECRET.as_bytes()).named("s");
    assert!(!accepts(&server, &secret.sign(&anna("acme"))).await);
    let misnamed = Signer::ed25519(1).named("r");
    assert!(!accepts(&server, &misnamed.sign(&anna("acme"))).await);
}

#[tokio::test]
async fn a_set_of_keys_is_fetched_and_fetched_once() {
    let signer = Signer::ed25519(1).named("e");
    let fetched = Arc::new(Mutex::new(0));
    let count = fetched.clone();
    let keys = json!({"keys": [signer.jwk()]}).to_string();
    let issuer = Router::new().route(
        "/keys",
        get(move || async move {
            *count.lock().unwrap() += 1;
            keys
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, issuer).await.unwrap() });
    let url = format!("http://{address}/keys");
    let server = Server::start_with(&[("WICK_JWT_JWKS", &url)]);
    let token = signer.sign(&anna("acme"));
    let asks = (0..10).map(|_| accepts(&server, &token));
    let accepted = futures_util::future::join_all(asks).await;
    assert_eq!(accepted, [true; 10]);
    // Tokens with made-up key names do not make this server knock at the issuer's door.
    for at in 0..5 {
        let unknown = Signer::ed25519(2).named(&format!("x{at}"));
        assert!(!accepts(&server, &unknown.sign(&anna("acme"))).await);
    }
    assert_eq!(*fetched.lock().unwrap(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_down_is_no_fault_of_the_token() {
    let server = Server::start_with(&[("WICK_JWT_JWKS", "http://127.0.0.1:9/keys")]);
    let answer = ask(&server, &Signer::rsa().sign(&anna("acme"))).await;
    assert_eq!(answer.error().0, 503);
}

#[tokio::test]
async fn keys_work_from_the_moment_they_are_made_to_the_moment_they_are_revoked() {
    let server = Server::with_parrot(PLAIN).await;
    let key = server.command(&["keys", "add", "ci", "--tenant", "acme"]);
    let key = key.trim();
    assert!(accepts(&server, key).await);
    let (begin, last) = key.split_at(key.len() - 1);
    let other = if last == "0" { "1" } else { "0" };
    assert!(!accepts(&server, &format!("{begin}{other}")).await);
    assert!(!accepts(&server, &key[..20]).await);
    // From here on this machine has to show one, too.
    assert_eq!(server.get(GUARDED).await.error().0, 401);
    let by_header = server.http.get(format!("{}{GUARDED}", server.url));
    let by_header = by_header.header("x-api-key", key).send().await.unwrap();
    assert_eq!(by_header.status(), StatusCode::OK);
    // Clients of other programs can use it, and need not.
    let chat = json!({"model": "parrot", "prompt": "<|hello|>", "stream": false}).to_string();
    let chat = server
        .with_bearer(Method::POST, "/api/generate", key)
        .body(chat);
    assert_eq!(chat.send().await.unwrap().status(), StatusCode::OK);

    assert!(server.command(&["keys", "revoke", "ci"]).contains("ci"));
    assert!(!accepts(&server, key).await);
    assert_eq!(server.get(GUARDED).await.error().0, 401);
    assert!(!server.log().contains(&key[5..]));
}

#[tokio::test]
async fn scopes_keep_a_key_to_its_area() {
    let server = Server::start();
    let key = server.command(&["keys", "add", "editor", "--scope", "code"]);
    let post = |path: &'static str| {
        let request = server.with_bearer(Method::POST, path, key.trim());
        request.body("{}").send()
    };
    let refused = Answer::read(post("/ai/generate").await.unwrap()).await;
    let (status, text) = refused.error();
    assert_eq!(status, 403);
    assert!(text.contains("wick:generate"), "{text}");
    assert_ne!(post("/ai/code/complete").await.unwrap().status(), 403);
}

#[tokio::test]
async fn protection_of_all_routes_leaves_the_probes() {
    let server = with_secret(&[("WICK_PROTECT_ALL", "1")]);
    let token = Signer::secret(SECRET.as_bytes()).sign(&anna("acme"));
    for path in ["/api/tags", "/v1/models", "/nowhere"] {
        assert_eq!(server.get(path).await.error().0, 401, "{path}");
        let good = server.with_bearer(Method::GET, path, &token).send().await;
        assert_ne!(good.unwrap().status(), 401, "{path}");
    }
    let openai = server.get("/v1/models").await.json();
    assert_eq!(openai["error"]["type"], "authentication_error");
    let anthropic = server.post("/v1/messages", json!({})).await.json();
    assert_eq!(anthropic["error"]["type"], "authentication_error");
    assert_eq!(server.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn pages_of_configured_origins_reach_the_assistant_only() {
    let server = with_secret(&[("WICK_ORIGINS", "https://app.test")]);
    let token = Signer::secret(SECRET.as_bytes()).sign(&anna("acme"));
    let from = |method: Method, path: &str| {
        let request = server.http.request(method, format!("{}{path}", server.url));
        request.header("origin", "https://app.test")
    };
    let preflight = from(Method::OPTIONS, "/ai/generate");
    let preflight = preflight
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .send();
    let preflight = preflight.await.unwrap();
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    let headers = preflight.headers();
    assert_eq!(headers["access-control-allow-origin"], "https://app.test");
    let allowed = headers["access-control-allow-headers"].to_str().unwrap();
    assert!(allowed.contains("Authorization") && allowed.contains("Content-Type"));

    let answer = from(Method::GET, GUARDED).bearer_auth(&token).send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "https://app.test"
    );
    let shown = answer.headers()["access-control-expose-headers"].to_str();
    assert!(shown.unwrap().contains("RateLimit"));
    // Scripts can read why they were refused.
    let refused = from(Method::GET, GUARDED).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        refused.headers()["access-control-allow-origin"],
        "https://app.test"
    );
    let elsewhere = from(Method::GET, "/api/tags").send().await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_short_secret_stops_the_start() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wick"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env_clear()
        .env("HOME", std::env::temp_dir())
        .env("WICK_JWT_SECRET", "short")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("WICK_JWT_SECRET has 5 bytes"), "{text}");
}
