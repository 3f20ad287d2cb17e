//! Limits of users.

use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::server::Server;
use crate::signer::{SECRET, Signer, now};

/// A token of a user.
pub(crate) fn token(tenant: &str, user: &str) -> String {
    let claims = json!({"sub": user, "tenant": tenant, "exp": now() + 600});
    Signer::secret(SECRET.as_bytes()).sign(&claims)
}

async fn post(server: &Server, path: &str, token: &str) -> Response {
    let request = server.with_bearer(Method::POST, path, token);
    request.body("{}").send().await.unwrap()
}

#[tokio::test]
async fn as_many_requests_as_allowed_get_through_at_once_and_not_one_more() {
    let server = Server::start_with(&[("WICK_JWT_SECRET", SECRET), ("WICK_LIMIT_GENERATE", "50")]);
    let token = token("acme", "anna");
    let asks = (0..80).map(|_| post(&server, "/ai/generate", &token));
    let answers = futures_util::future::join_all(asks).await;
    let (refused, passed): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((passed.len(), refused.len()), (50, 30));
    let mut left: Vec<String> = passed
        .iter()
        .map(|answer| answer.headers()["ratelimit"].to_str().unwrap().to_owned())
        .map(|state| state.split(';').nth(1).unwrap().to_owned())
        .collect();
    left.sort_by_key(|r| r[2..].parse::<u32>().unwrap());
    let want: Vec<String> = (0..50).map(|r| format!("r={r}")).collect();
    assert_eq!(left, want, "every request was counted once");
    for answer in refused {
        let headers = answer.headers();
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(text("ratelimit-policy"), "\"generate\";q=50;w=3600");
        let wait: u64 = text("retry-after").parse().unwrap();
        assert!((1..=72).contains(&wait), "{wait}");
        assert_eq!(text("ratelimit"), format!("\"generate\";r=0;t={wait}"));
        let body: serde_json::Value = answer.json().await.unwrap();
        let text = body["error"].as_str().unwrap();
        assert!(text.contains("50 generate requests an hour"), "{text}");
    }
}

#[tokio::test]
async fn limits_are_per_user_and_area() {
    let server = Server::start_with(&[
        ("WICK_JWT_SECRET", SECRET),
        ("WICK_LIMIT_CODE", "1"),
        ("WICK_LIMIT_GENERATE", "0"),
    ]);
    let anna = token("acme", "anna");
    let code = "/ai/code/complete";
    assert_ne!(post(&server, code, &anna).await.status(), 429);
    assert_eq!(post(&server, code, &anna).await.status(), 429);
    for other in [token("acme", "bert"), token("other", "anna")] {
        assert_ne!(post(&server, code, &other).await.status(), 429);
    }
    for _ in 0..150 {
        let answer = post(&server, "/ai/generate", &anna).await;
        assert_ne!(answer.status(), 429);
        assert!(!answer.headers().contains_key("ratelimit"));
    }
    let sql = post(&server, "/ai/sql/assist", &anna).await;
    let policy = sql.headers()["ratelimit-policy"].to_str().unwrap();
    assert_eq!(policy, "\"sql\";q=200;w=3600");
}

#[tokio::test]
async fn this_machine_has_no_limits_while_there_are_no_users() {
    let server = Server::start_with(&[("WICK_LIMIT_CODE", "1")]);
    for _ in 0..3 {
        let answer = server.post("/ai/code/complete", json!({})).await;
        assert_ne!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    }
}
