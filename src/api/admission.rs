//! The layer that decides who gets to a route: credentials, areas, limits.
//!
//! The assistant's routes need credentials once there can be any, and answer this machine only until then.
//! The routes of other programs stay open as those programs have them, unless `WICK_PROTECT_ALL` is set; a
//! good credential tells them the tenant all the same, a bad one is ignored there: clients of these routes
//! send made-up keys.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::{AccessError, Area, Budget, Caller};

use super::App;
use super::error::{ApiError, Dialect};
use super::hosts::Hosts;

/// Headers by which a proxy says for whom it asks.
const FORWARDING: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];
const RATE_LIMIT: &str = "ratelimit";
const RATE_LIMIT_POLICY: &str = "ratelimit-policy";
const WINDOW_SECONDS: u64 = crate::access::WINDOW.as_secs();

/// Whether a path is one of the assistant layer's.
pub(crate) fn is_assist(path: &str) -> bool {
    let below = |root: &str| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    path == "/api/coach" || ["/ai", "/rag", "/coach"].into_iter().any(below)
}

/// Paths by which machines ask whether this one lives; they tell nothing else.
fn is_probe(path: &str) -> bool {
    matches!(path, "/" | "/health" | "/ready")
}

/// The area that a path belongs to.
pub(crate) fn area(path: &str) -> Option<Area> {
    let areas = [
        ("/ai/generate", Area::Generate),
        ("/ai/sql/", Area::Sql),
        ("/ai/code/", Area::Code),
        ("/rag/", Area::Rag),
        ("/coach/", Area::Coach),
        ("/api/coach", Area::Coach),
    ];
    let found = areas.into_iter().find(|(root, _)| path.starts_with(root));
    found.map(|(_, area)| area)
}

/// The layer around all routes, inside the one that answers other origins.
pub(crate) async fn admit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let is_guarded = is_assist(&path) || (app.config.protect_all && !is_probe(&path));
    let credential = credential(request.headers()).map(str::to_owned);
    let caller = match is_guarded {
        true => {
            let is_local = is_local(&app.hosts, request.headers(), request.extensions());
            required(&app, credential, is_local).await
        }
        false => Ok(welcome(&app, credential).await),
    };
    let admitted = match (caller, area(&path)) {
        (Ok(caller), Some(area)) => counted(&app, caller, area, request.method()).await,
        (caller, _) => caller.map(|caller| (caller, None)),
    };
    match admitted {
        Ok((caller, budget)) => {
            request.extensions_mut().insert(caller);
            let mut response = next.run(request).await;
            if let (Some(area), Some(budget)) = (area(&path), budget) {
                rate_headers(response.headers_mut(), area, &budget);
            }
            response
        }
        Err(error) => refuse(error, &path),
    }
}

/// Admits a request to a route of another program that turned out to be meant for a part of the assistant.
pub(crate) async fn admit_to(
    app: &App,
    area: Area,
    parts: &Parts,
) -> Result<(Caller, Option<Budget>), AccessError> {
    let credential = credential(&parts.headers).map(str::to_owned);
    let is_local = is_local(&app.hosts, &parts.headers, &parts.extensions);
    let caller = required(app, credential, is_local).await?;
    counted(app, caller, area, &parts.method).await
}

/// The caller of a route that needs to know.
async fn required(
    app: &App,
    credential: Option<String>,
    is_local: bool,
) -> Result<Caller, AccessError> {
    match (app.access.is_configured(), credential) {
        (false, _) if is_local => Ok(Caller::local()),
        (false, _) => Err(AccessError::NotLocal),
        (true, None) => Err(AccessError::Missing),
        (true, Some(credential)) => app.access.identify(&credential).await,
    }
}

/// The caller of a route that is open to everybody.
async fn welcome(app: &App, credential: Option<String>) -> Caller {
    match credential {
        Some(credential) if app.access.is_configured() => {
            let known = app.access.identify(&credential).await;
            known.unwrap_or_else(|_| Caller::anonymous())
        }
        _ => Caller::anonymous(),
    }
}

/// The caller, who may use the area, and what is left of the limit. Only what makes work is counted.
async fn counted(
    app: &App,
    caller: Caller,
    area: Area,
    method: &Method,
) -> Result<(Caller, Option<Budget>), AccessError> {
    caller.may_use(area)?;
    let budget = match *method {
        Method::POST => app.access.limits().count(area, &caller).await?,
        _ => None,
    };
    Ok((caller, budget))
}

/// The answer to a caller who is not let in.
pub(crate) fn refuse(error: AccessError, path: &str) -> Response {
    let dialect = match path {
        "/v1/messages" => Dialect::Anthropic,
        path if path.starts_with("/v1/") => Dialect::OpenAi,
        _ => Dialect::Ollama,
    };
    let mut headers = HeaderMap::new();
    if let AccessError::Limit { area, budget } = &error {
        rate_headers(&mut headers, *area, budget);
    }
    (headers, ApiError::from(error).answer(dialect)).into_response()
}

/// `RateLimit` and `RateLimit-Policy`, as the IETF's draft has them: quota, window, what is left and for
/// how long.
pub(crate) fn rate_headers(headers: &mut HeaderMap, area: Area, budget: &Budget) {
    let policy = format!("\"{area}\";q={};w={WINDOW_SECONDS}", budget.limit);
    let state = format!(
        "\"{area}\";r={};t={}",
        budget.remaining, budget.wait_seconds
    );
    for (name, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

/// The bearer, or the key in the header that Anthropic's clients use.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, credential) = value.to_str().ok()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(credential.trim())
    });
    let key = || headers.get("x-api-key")?.to_str().ok();
    bearer.or_else(key).filter(|text| !text.is_empty())
}

/// Whether the request comes from this machine, and not through a proxy for somebody elsewhere. A page whose own name
/// was led here sends its requests from this machine, too, but they ask for that name.
fn is_local(hosts: &Hosts, headers: &HeaderMap, extensions: &Extensions) -> bool {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    let peer_is_local = peer.is_some_and(|peer| is_loopback(peer.0.ip()));
    let is_forwarded = FORWARDING.iter().any(|name| headers.contains_key(*name));
    peer_is_local && !is_forwarded && hosts.is_asked_here(headers)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_belong_to_the_assistant_or_to_others() {
        for path in [
            "/ai/generate",
            "/ai/models",
            "/rag/search",
            "/coach/chat",
            "/api/coach",
            "/ai/",
        ] {
            assert!(is_assist(path), "{path}");
        }
        for path in [
            "/",
            "/api/chat",
            "/aide",
            "/v1/models",
            "/api/coaches",
            "/health",
        ] {
            assert!(!is_assist(path), "{path}");
        }
        assert_eq!(area("/ai/sql/schemas/x"), Some(Area::Sql));
        assert_eq!(area("/ai/code/complete"), Some(Area::Code));
        assert_eq!(area("/ai/models"), None);
        assert_eq!(area("/api/generate"), None);
    }

    #[test]
    fn credentials_are_bearers_or_keys() {
        let find = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            credential(&headers).map(str::to_owned)
        };
        assert_eq!(
            find("authorization", "Bearer a.b.c").as_deref(),
            Some("a.b.c")
        );
        assert_eq!(find("authorization", "bearer  x").as_deref(), Some("x"));
        assert_eq!(find("x-api-key", "wick_1").as_deref(), Some("wick_1"));
        for value in ["Basic abc", "Bearer", "Bearer "] {
            assert_eq!(find("authorization", value), None, "{value}");
        }
    }

    /// Whether a request with a header is local to a server that listens everywhere.
    fn from(address: &str, name: &'static str, value: &'static str) -> bool {
        let config = crate::config::load(crate::config::Flags::default(), |_| None).unwrap();
        let hosts = Hosts::new(&config, "0.0.0.0:11434".parse().unwrap());
        let mut request = Request::new(axum::body::Body::empty());
        let peer: SocketAddr = address.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let value = HeaderValue::from_static(value);
        request.headers_mut().insert(name, value);
        is_local(&hosts, request.headers(), request.extensions())
    }

    #[test]
    fn who_comes_through_a_proxy_is_not_local() {
        for address in ["127.0.0.1:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
            assert!(from(address, "accept", "*/*"), "{address}");
        }
        assert!(!from("192.168.0.7:5", "accept", "*/*"));
        for name in FORWARDING {
            assert!(!from("127.0.0.1:5", name, "203.0.113.9"), "{name}");
        }
    }

    #[test]
    fn who_asks_for_a_foreign_name_is_not_local() {
        for host in [
            "localhost:11434",
            "wick.localhost",
            "127.0.0.1:11434",
            "[::1]",
        ] {
            assert!(from("127.0.0.1:5", "host", host), "{host}");
        }
        for host in ["evil.test:11434", "localhost.evil.test", "203.0.113.9"] {
            assert!(!from("127.0.0.1:5", "host", host), "{host}");
        }
    }
}
