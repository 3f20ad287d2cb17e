//! A server with canned answers on a port of its own, which remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::Response;
use serde_json::Value;

use super::client::Client;
use super::{CliError, Session};
use crate::config::{self, Config, Flags};

/// One canned answer.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    pieces: Vec<Bytes>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Answer {
        Answer {
            status,
            pieces: vec![Bytes::from(body.into())],
        }
    }

    pub(crate) fn ok(body: impl Into<String>) -> Answer {
        Answer::new(200, body)
    }

    /// A body sent piece by piece.
    pub(crate) fn pieces<const N: usize>(status: u16, pieces: [&'static str; N]) -> Answer {
        Answer {
            status,
            pieces: pieces.map(Bytes::from).to_vec(),
        }
    }
}

#[derive(Default)]
struct Inner {
    /// Answers by `METHOD /path`, in the order they are given; the last one stays.
    answers: Mutex<HashMap<String, VecDeque<Answer>>>,
    seen: Mutex<Vec<(String, Bytes)>>,
}

pub(crate) struct TestServer {
    config: Config,
    inner: Arc<Inner>,
}

impl TestServer {
    /// Starts a server that answers `METHOD /path`; anything else is a 404.
    pub(crate) async fn start<const N: usize>(answers: [(&str, Answer); N]) -> TestServer {
        let inner = Arc::new(Inner::default());
        for (route, answer) in answers {
            let mut map = inner.answers.lock().unwrap();
            map.entry(route.to_owned()).or_default().push_back(answer);
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let env = |name: &str| (name == "OLLAMA_HOST").then(|| address.clone());
        let config = config::load(Flags::default(), env).unwrap();
        TestServer { config, inner }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.config.host).unwrap()
    }

    /// What a command writes, or how it fails.
    pub(crate) async fn output(
        &self,
        command: impl AsyncFnOnce(&mut Session<'_>) -> Result<(), CliError>,
    ) -> Result<String, CliError> {
        let mut out = Vec::new();
        let mut session = Session {
            config: &self.config,
            client: self.client(),
            out: &mut out,
        };
        command(&mut session).await?;
        Ok(String::from_utf8(out).unwrap())
    }

    /// The requests so far, as `METHOD /path`.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.inner
            .seen
            .lock()
            .unwrap()
            .iter()
            .map(|(route, _)| route.clone())
            .collect()
    }

    /// JSON bodies sent to a route.
    pub(crate) fn bodies(&self, route: &str) -> Vec<Value> {
        let bytes = self.bytes(route);
        bytes
            .iter()
            .map(|bytes| serde_json::from_slice(bytes).unwrap())
            .collect()
    }

    /// Bodies sent to a route.
    pub(crate) fn bytes(&self, route: &str) -> Vec<Bytes> {
        let seen = self.inner.seen.lock().unwrap();
        seen.iter()
            .filter(|(seen, _)| seen == route)
            .map(|(_, body)| body.clone())
            .collect()
    }
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response<Body> {
    let route = format!("{method} {}", uri.path());
    inner.seen.lock().unwrap().push((route.clone(), body));
    let answer = match inner.answers.lock().unwrap().get_mut(&route) {
        Some(answers) if answers.len() > 1 => answers.pop_front(),
        Some(answers) => answers.front().cloned(),
        None => None,
    };
    let answer = answer.unwrap_or_else(|| Answer::new(404, "404 page not found"));
    let pieces = answer.pieces.into_iter().map(Ok::<_, Infallible>);
    Response::builder()
        .status(answer.status)
        .body(Body::from_stream(futures_util::stream::iter(pieces)))
        .unwrap()
}
