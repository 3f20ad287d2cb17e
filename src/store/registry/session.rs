//! Requests to one registry for one model, with the token that it gave out.

use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderName, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use tokio::time::timeout;

use super::challenge::{Challenge, text_to_sign};
use super::{Pull, Registry, Tuning, key};
use crate::store::error::RegistryError;
use crate::store::lock;
use crate::store::name::{ModelName, Scheme};

const MAX_REDIRECTS: usize = 10;
const MAX_ERROR_BYTES: usize = 16 << 10;
const MAX_TOKEN_BYTES: usize = 1 << 20;

/// One registry, one repository, one token.
#[derive(Debug)]
pub(super) struct Session {
    registry: Registry,
    base: Url,
    token: Mutex<Option<String>>,
}

/// Where to fetch a blob from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) url: Url,
    /// Whether the registry's token goes with the request: never to another host.
    pub(super) authorized: bool,
}

/// How long a request waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait<'a> {
    /// As long as a connection may be silent.
    Stall,
    /// As long as the registry may work on what it has been sent.
    Answer,
    /// As long as a body's bytes go out, and then as long as the registry may work on them.
    Body {
        /// How far the body has come.
        sent: &'a AtomicU64,
        /// What `sent` is when all of it has gone.
        end: u64,
    },
}

impl Wait<'_> {
    fn sent(self) -> u64 {
        match self {
            Wait::Body { sent, .. } => sent.load(Ordering::Relaxed),
            Wait::Stall | Wait::Answer => 0,
        }
    }

    /// How long nothing may happen once a body has come as far as `sent`.
    fn patience(self, sent: u64, tuning: &Tuning) -> Duration {
        match self {
            Wait::Stall => tuning.stall,
            Wait::Body { end, .. } if sent < end => tuning.stall,
            Wait::Answer | Wait::Body { .. } => tuning.answer,
        }
    }
}

impl Session {
    pub(super) fn new(registry: &Registry, what: &Pull) -> Result<Session, RegistryError> {
        if what.name.scheme() == Scheme::Http && !what.insecure {
            return Err(RegistryError::InsecureProtocol);
        }
        let scheme = if what.insecure {
            Scheme::Http
        } else {
            what.name.scheme()
        };
        let base = format!(
            "{}://{}/v2/{}/",
            scheme.as_str(),
            what.name.host(),
            what.name.repository()
        );
        let base = Url::parse(&base).map_err(|_| RegistryError::BadUrl(base))?;
        Ok(Session {
            registry: registry.clone(),
            base,
            token: Mutex::default(),
        })
    }

    /// A session for whole addresses, with a token that is known from the start.
    pub(super) fn with_token(registry: &Registry, base: Url, token: Option<String>) -> Session {
        Session {
            registry: registry.clone(),
            base,
            token: Mutex::new(token),
        }
    }

    /// An address below the repository.
    pub(super) fn url(&self, path: &str) -> Result<Url, RegistryError> {
        self.base
            .join(path)
            .map_err(|_| RegistryError::BadUrl(path.to_owned()))
    }

    pub(super) fn stall(&self) -> Duration {
        self.registry.tuning().stall
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Sends a request, following redirects on the same host and signing in once if asked to.
    /// A redirect to another host is an error.
    pub(super) async fn fetch_with(
        &self,
        method: Method,
        url: Url,
        (header, value): (HeaderName, &str),
    ) -> Result<Response, RegistryError> {
        let mut url = url;
        for _ in 0..=MAX_REDIRECTS {
            let with_header = |request: RequestBuilder| request.header(header.clone(), value);
            let response = self.request(method.clone(), &url, with_header).await?;
            let Some(next) = redirect(&response, &url)? else {
                return Ok(response);
            };
            if !same_place(&url, &next) && !both_are_the_hub(&url, &next) {
                return Err(RegistryError::BadUrl(next.to_string()));
            }
            url = next;
        }
        Err(RegistryError::TooManyRedirects)
    }

    /// Finds out where a blob's bytes are: on this host, or where the first redirect to another
    /// host points.
    pub(super) async fn locate(
        &self,
        method: Method,
        url: Url,
    ) -> Result<(Source, Response), RegistryError> {
        let mut url = url;
        for _ in 0..=MAX_REDIRECTS {
            let response = self
                .request(method.clone(), &url, |request| request)
                .await?;
            match redirect(&response, &url)? {
                None => {
                    return Ok((
                        Source {
                            url,
                            authorized: true,
                        },
                        response,
                    ));
                }
                Some(next) if same_place(&url, &next) => url = next,
                Some(next) => {
                    return Ok((
                        Source {
                            url: next,
                            authorized: false,
                        },
                        response,
                    ));
                }
            }
        }
        Err(RegistryError::TooManyRedirects)
    }

    /// Sends a request with the token, if there is one; signs in and repeats it after a 401.
    /// Redirects are answers like any other.
    pub(super) async fn request(
        &self,
        method: Method,
        url: &Url,
        customise: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        self.request_with_wait(method, url, Wait::Stall, customise)
            .await
    }

    /// Like [`Session::request`], for bodies and for answers that take their time.
    pub(super) async fn request_with_wait(
        &self,
        method: Method,
        url: &Url,
        wait: Wait<'_>,
        customise: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        for attempt in 0..2 {
            let mut request = self
                .registry
                .inner
                .http
                .request(method.clone(), url.clone());
            let token = lock(&self.token).clone();
            if let Some(token) = &token {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = self.send(customise(request), wait).await?;
            if response.status() == StatusCode::UNAUTHORIZED && attempt == 0 {
                let token = self.sign_in(&response, url).await?;
                *lock(&self.token) = Some(token);
                continue;
            }
            return check(response, self.stall()).await;
        }
        Err(RegistryError::Unauthorized)
    }

    /// A request for bytes of a blob; the token goes along only where it belongs.
    pub(super) async fn get_range(
        &self,
        source: &Source,
        range: &str,
    ) -> Result<Response, RegistryError> {
        let ranged = |request: RequestBuilder| {
            request
                .header(reqwest::header::RANGE, range)
                .header(reqwest::header::ACCEPT_ENCODING, "identity")
        };
        if source.authorized {
            return self.request(Method::GET, &source.url, ranged).await;
        }
        let mut url = source.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let request = ranged(self.registry.inner.http.get(url.clone()));
            let response = check(self.send(request, Wait::Stall).await?, self.stall()).await?;
            match redirect(&response, &url)? {
                None => return Ok(response),
                Some(next) => url = next,
            }
        }
        Err(RegistryError::TooManyRedirects)
    }

    async fn send(
        &self,
        request: RequestBuilder,
        wait: Wait<'_>,
    ) -> Result<Response, RegistryError> {
        let mut answer = pin!(request.send());
        let mut sent = wait.sent();
        loop {
            let patience = wait.patience(sent, self.registry.tuning());
            if let Ok(response) = timeout(patience, answer.as_mut()).await {
                return response.map_err(|error| transport(&error));
            }
            let sent_by_now = wait.sent();
            if sent_by_now == sent {
                return Err(RegistryError::Stalled(patience.as_secs()));
            }
            sent = sent_by_now;
        }
    }

    async fn sign_in(&self, refused: &Response, asked: &Url) -> Result<String, RegistryError> {
        let challenge = refused
            .headers()
            .get(WWW_AUTHENTICATE)
            .and_then(|header| header.to_str().ok())
            .and_then(Challenge::parse)
            .ok_or(RegistryError::Unauthorized)?;
        let url = challenge.token_url(asked)?;
        let mut request = self.registry.inner.http.get(url.clone());
        if let Some(path) = self.registry.key_path() {
            request = request.header(
                AUTHORIZATION,
                key::authorization(path, &text_to_sign(&url))?,
            );
        }
        let response = check(self.send(request, Wait::Stall).await?, self.stall()).await?;
        let body = read_limited(response, MAX_TOKEN_BYTES, self.stall()).await?;
        let answer: Token = serde_json::from_slice(&body)
            .map_err(|_| RegistryError::BadUrl(format!("{url} gave no token")))?;
        answer
            .token
            .or(answer.access_token)
            .ok_or(RegistryError::Unauthorized)
    }
}

#[derive(serde::Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Turns failing statuses into errors.
async fn check(response: Response, stall: Duration) -> Result<Response, RegistryError> {
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        return Err(RegistryError::NotFound);
    }
    if status == StatusCode::UNAUTHORIZED {
        return Err(RegistryError::Unauthorized);
    }
    if status.is_client_error() || status.is_server_error() {
        let body = read_start(response, MAX_ERROR_BYTES, stall).await;
        let body = String::from_utf8_lossy(&body).trim().to_owned();
        return Err(RegistryError::Status {
            code: status.as_u16(),
            body,
        });
    }
    Ok(response)
}

/// The whole body, if it is not longer than `limit`.
pub(super) async fn read_limited(
    response: Response,
    limit: usize,
    stall: Duration,
) -> Result<Vec<u8>, RegistryError> {
    let mut response = response;
    let mut body = Vec::new();
    loop {
        let chunk = match timeout(stall, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| transport(&error))?,
            Err(_) => return Err(RegistryError::Stalled(stall.as_secs())),
        };
        let Some(chunk) = chunk else {
            return Ok(body);
        };
        if body.len() + chunk.len() > limit {
            return Err(RegistryError::TooLong(limit));
        }
        body.extend_from_slice(&chunk);
    }
}

/// The first bytes of a body that only explains a failure.
async fn read_start(response: Response, limit: usize, stall: Duration) -> Vec<u8> {
    let mut response = response;
    let mut body = Vec::new();
    while body.len() < limit
        && let Ok(Ok(Some(chunk))) = timeout(stall, response.chunk()).await
    {
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    body
}

/// Where a redirect leads; never from TLS to plain text.
fn redirect(response: &Response, from: &Url) -> Result<Option<Url>, RegistryError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| RegistryError::BadUrl("no location".to_owned()))?;
    let next = from
        .join(location)
        .map_err(|_| RegistryError::BadUrl(location.to_owned()))?;
    let downgraded = from.scheme() == "https" && next.scheme() != "https";
    if downgraded || !matches!(next.scheme(), "http" | "https") {
        return Err(RegistryError::BadUrl(next.to_string()));
    }
    Ok(Some(next))
}

/// Scheme, host and port are the same.
pub(super) fn same_place(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

/// The Hub goes by two names.
fn both_are_the_hub(a: &Url, b: &Url) -> bool {
    let is_hub = |url: &Url| matches!(url.host_str(), Some("hf.co" | "huggingface.co"));
    is_hub(a) && is_hub(b)
}

/// Whether a name's registry is the Hub.
pub(super) fn is_hub(name: &ModelName) -> bool {
    ["hf.co", "huggingface.co"]
        .iter()
        .any(|host| name.host().eq_ignore_ascii_case(host))
}

/// The innermost cause says more than "error sending request".
pub(super) fn transport(error: &reqwest::Error) -> RegistryError {
    let mut cause: &dyn std::error::Error = error;
    let mut text = error.to_string();
    while let Some(source) = cause.source() {
        cause = source;
        text = format!("{error}: {source}");
    }
    RegistryError::Transport(text)
}
