//! Who may ask: web origins (CORS) and host names (a guard against DNS rebinding).

use std::net::{IpAddr, SocketAddr, UdpSocket};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::admission::is_assist;
use crate::config::Config;

const ALLOWED_METHODS: &str = "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS";
const ALLOWED_HEADERS: &str = "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,OpenAI-Beta,\
x-stainless-arch,x-stainless-async,x-stainless-custom-poll-interval,x-stainless-helper-method,\
x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-poll-helper,\
x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout";
/// What pages may read of the assistant's answers beside their bodies.
const SHOWN_HEADERS: &str = "RateLimit,RateLimit-Policy,Retry-After,WWW-Authenticate";
const PREFLIGHT_SECONDS: &str = "43200";
/// Hosts whose pages are always allowed, with any port.
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "0.0.0.0"];
/// Applications that show pages of their own.
const APP_SCHEMES: [&str; 5] = [
    "app://*",
    "file://*",
    "tauri://*",
    "vscode-webview://*",
    "vscode-file://*",
];
/// Names that only lead to this machine or its network.
const LOCAL_SUFFIXES: [&str; 3] = [".localhost", ".local", ".internal"];

/// Which origins and host names are let in.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    origins: Vec<String>,
    any_origin: bool,
    /// Allowed where credentials are asked for, and nowhere else.
    assist_origins: Vec<String>,
    /// Host names are checked only where nobody but this machine should get through.
    checks_host: bool,
    hostname: String,
}

impl Hosts {
    /// The rules of a server that listens on `listen` and allows the configured origins beside the local ones.
    pub(crate) fn new(config: &Config, listen: SocketAddr) -> Hosts {
        let origins = &config.origins;
        let local = LOCAL_HOSTS.iter().flat_map(|host| {
            let schemes = ["http", "https"].into_iter();
            schemes.flat_map(move |scheme| {
                [format!("{scheme}://{host}"), format!("{scheme}://{host}:*")]
            })
        });
        let apps = APP_SCHEMES.iter().map(|scheme| (*scheme).to_owned());
        Hosts {
            any_origin: origins.iter().any(|origin| origin == "*"),
            origins: origins.iter().cloned().chain(local).chain(apps).collect(),
            assist_origins: config.assist_origins.clone(),
            checks_host: listen.ip().to_canonical().is_loopback(),
            hostname: gethostname::gethostname().to_string_lossy().to_lowercase(),
        }
    }

    fn allows_origin(&self, origin: &str, path: &str) -> bool {
        let among = |list: &[String]| list.iter().any(|pattern| matches(pattern, origin));
        self.any_origin
            || among(&self.origins)
            || (is_for_pages(path) && among(&self.assist_origins))
    }

    fn allows_host(&self, host: &str) -> bool {
        !self.checks_host || self.is_here(host)
    }

    /// Whether a request asks for this machine by a name that is not somebody else's to lead here.
    pub(crate) fn is_asked_here(&self, headers: &HeaderMap) -> bool {
        self.is_here(&text(headers, header::HOST))
    }

    fn is_here(&self, host: &str) -> bool {
        let host = without_port(host).to_lowercase();
        if host.is_empty() || host == "localhost" || host == self.hostname {
            return true;
        }
        match host.parse::<IpAddr>() {
            Ok(address) => is_local_address(address),
            Err(_) => LOCAL_SUFFIXES.iter().any(|suffix| host.ends_with(suffix)),
        }
    }
}

/// Whether a path is for pages of the assistant's origins: its own routes, and how the service is.
fn is_for_pages(path: &str) -> bool {
    is_assist(path) || matches!(path, "/health" | "/ready" | "/services/status")
}

/// The layer around all routes.
pub(crate) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let hosts = &app.hosts;
    let host = text(request.headers(), header::HOST);
    if !hosts.allows_host(&host) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let origin = text(request.headers(), header::ORIGIN);
    let own = ["http://", "https://"]
        .iter()
        .any(|scheme| origin == format!("{scheme}{host}"));
    if origin.is_empty() || own {
        // Without a foreign origin OPTIONS is a method like any other, except by a name we know.
        let by_name = hosts.checks_host && without_port(&host).parse::<IpAddr>().is_err();
        if request.method() == Method::OPTIONS && by_name && !host.is_empty() {
            return StatusCode::NO_CONTENT.into_response();
        }
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    if !hosts.allows_origin(&origin, &path) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = match *request.method() {
        Method::OPTIONS => preflight(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    if is_assist(&path) {
        let shown = HeaderValue::from_static(SHOWN_HEADERS);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shown);
    }
    if hosts.any_origin {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
    } else if let Ok(origin) = HeaderValue::from_str(&origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    response
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> String {
    let value = headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    value.unwrap_or_default().into_owned()
}

/// Whether `text` is `pattern`, where one `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(text),
        Some((start, end)) => text
            .strip_prefix(start)
            .is_some_and(|rest| rest.len() >= end.len() && rest.ends_with(end)),
    }
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host.rsplit_once(':') {
        // More than one colon: an IPv6 address without brackets has no port.
        Some((before, _)) if !before.contains(':') => before,
        _ => host,
    }
}

fn is_local_address(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let private = match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    };
    // Only an address of this machine can be bound.
    private
        || address.is_loopback()
        || address.is_unspecified()
        || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(origins: &[&str], listen: &str) -> Hosts {
        let origins = origins.join(",");
        let env = |name: &str| match name {
            "OLLAMA_ORIGINS" => Some(origins.clone()),
            "WICK_ORIGINS" => Some("https://platform.test".to_owned()),
            _ => None,
        };
        let config = crate::config::load(crate::config::Flags::default(), env).unwrap();
        Hosts::new(&config, listen.parse().unwrap())
    }

    #[test]
    fn origins_of_the_assistant_are_allowed_there_only() {
        let hosts = hosts(&[], "0.0.0.0:1");
        assert!(hosts.allows_origin("https://platform.test", "/ai/generate"));
        assert!(hosts.allows_origin("https://platform.test", "/services/status"));
        assert!(!hosts.allows_origin("https://platform.test", "/api/generate"));
        assert!(!hosts.allows_origin("https://platform.test", "/metrics"));
        assert!(!hosts.allows_origin("https://other.test", "/ai/generate"));
    }

    #[test]
    fn pages_of_this_machine_and_of_applications_are_allowed() {
        let hosts = hosts(&["https://my.site", "https://*.example.org"], "127.0.0.1:1");
        for origin in [
            "http://localhost",
            "https://localhost:3000",
            "http://127.0.0.1:8080",
            "http://0.0.0.0",
            "app://x",
            "file://",
            "tauri://localhost",
            "vscode-webview://abc",
            "https://my.site",
            "https://a.example.org",
        ] {
            assert!(hosts.allows_origin(origin, "/"), "{origin}");
        }
        for origin in [
            "http://example.com",
            "http://localhost.example.com",
            "chrome-extension://abc",
            "https://my.site.evil.org",
            "null",
        ] {
            assert!(!hosts.allows_origin(origin, "/"), "{origin}");
        }
    }

    #[test]
    fn a_star_allows_every_origin() {
        assert!(hosts(&["*"], "127.0.0.1:1").allows_origin("http://example.com", "/"));
    }

    #[test]
    fn foreign_names_are_refused_on_a_loopback_only() {
        let loopback = hosts(&[], "127.0.0.1:11434");
        for host in [
            "localhost:11434",
            "127.0.0.1",
            "[::1]:11434",
            "192.168.1.7:80",
            "0.0.0.0",
            "box.local",
            "api.internal:1",
            "x.localhost",
            "",
        ] {
            assert!(loopback.allows_host(host), "{host}");
        }
        for host in [
            "example.com",
            "evil.org:11434",
            "8.8.8.8",
            "localhost.evil.org",
        ] {
            assert!(!loopback.allows_host(host), "{host}");
        }
        let everywhere = hosts(&[], "0.0.0.0:11434");
        assert!(everywhere.allows_host("example.com"));
        assert!(everywhere.is_here("localhost:11434") && !everywhere.is_here("example.com"));
    }
}
