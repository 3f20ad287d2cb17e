//! HTTP to the server: JSON calls, streams of JSON lines, uploads.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::CliError;
use crate::access::Secret;
use crate::config::Host;

/// A line of a stream that is longer is an error.
const MAX_LINE_BYTES: usize = 8 << 20;

/// Speaks to one server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    /// What protected routes want to see.
    key: Option<Secret>,
}

impl Client {
    pub(crate) fn new(host: &Host) -> Result<Client, CliError> {
        let mut builder =
            crate::tls::client().user_agent(concat!("wick/", env!("CARGO_PKG_VERSION")));
        if host.is_local() {
            builder = builder.no_proxy();
        }
        let base = host.to_string();
        if base.starts_with("http://") {
            // Without TLS no certificates are needed, and a small machine may have none.
            builder = builder.tls_certs_only([]);
        }
        Ok(Client {
            http: builder.build()?,
            base,
            key: None,
        })
    }

    /// Shows the server this key.
    pub(crate) fn with_key(self, key: Option<Secret>) -> Client {
        Client { key, ..self }
    }

    /// Fails with [`CliError::NotRunning`] if nobody answers.
    pub(crate) async fn probe(&self) -> Result<(), CliError> {
        self.send(self.request(Method::HEAD, "/")).await.map(drop)
    }

    /// Whether a resource is there.
    pub(crate) async fn exists(&self, path: &str) -> Result<bool, CliError> {
        match self.send(self.request(Method::HEAD, path)).await {
            Ok(_) => Ok(true),
            Err(CliError::Server { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        read_json(self.send(self.request(Method::GET, path)).await?).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, CliError> {
        read_json(
            self.send(self.request(Method::POST, path).json(body))
                .await?,
        )
        .await
    }

    /// A call whose answer has no body.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<(), CliError> {
        self.send(self.request(method, path).json(body))
            .await
            .map(drop)
    }

    pub(crate) async fn upload(&self, path: &str, body: reqwest::Body) -> Result<(), CliError> {
        self.send(self.request(Method::POST, path).body(body))
            .await
            .map(drop)
    }

    /// Sends a form; its parts stand in `body`, parted by the boundary that `kind` names.
    #[cfg(feature = "rag")]
    pub(crate) async fn form<T: DeserializeOwned>(
        &self,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<T, CliError> {
        let request = self.request(Method::POST, path);
        let request = request.header(reqwest::header::CONTENT_TYPE, kind);
        read_json(self.send(request.body(body)).await?).await
    }

    /// A call that answers with one JSON object per line.
    pub(crate) async fn stream(&self, path: &str, body: &Value) -> Result<Lines, CliError> {
        let response = self.send(self.request(Method::POST, path).json(body)).await;
        let response = response.map_err(|error| match error {
            // Streams name the status too, as the message alone may be short.
            CliError::Server { status, message } => {
                let reason = StatusCode::from_u16(status).map(|s| s.to_string());
                let reason = reason.unwrap_or_default();
                CliError::Server {
                    status,
                    message: format!("{reason}: {message}"),
                }
            }
            error => error,
        })?;
        Ok(Lines {
            response,
            buffer: Vec::new(),
            searched: 0,
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key.reveal()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        let response = request
            .send()
            .await
            .map_err(|error| match error.is_connect() {
                true => CliError::NotRunning,
                false => CliError::Http(error),
            })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.text().await.unwrap_or_default();
        let named = serde_json::from_str::<Value>(&body)
            .ok()
            .and_then(|body| Some(body.get("error")?.as_str()?.to_owned()));
        let message = match named {
            Some(message) => message,
            None if body.trim().is_empty() => status.to_string(),
            None => body.trim().to_owned(),
        };
        Err(CliError::Server {
            status: status.as_u16(),
            message,
        })
    }
}

async fn read_json<T: DeserializeOwned>(response: Response) -> Result<T, CliError> {
    let body = response.bytes().await?;
    serde_json::from_slice(&body).map_err(|error| CliError::Answer(error.to_string()))
}

/// JSON objects, one per line. Dropping it closes the connection, which ends the work behind it.
#[derive(Debug)]
pub(crate) struct Lines {
    response: Response,
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that are known to hold no line end.
    searched: usize,
}

impl Lines {
    /// The next object; `None` at the end. An object that holds an error is that error.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, CliError> {
        loop {
            let Some(line) = self.line().await? else {
                return Ok(None);
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let answer = |error: serde_json::Error| CliError::Answer(error.to_string());
            let value: Value = serde_json::from_slice(&line).map_err(answer)?;
            if let Some(Value::String(message)) = value.get("error") {
                return Err(CliError::Server {
                    status: 200,
                    message: message.clone(),
                });
            }
            return serde_json::from_value(value).map(Some).map_err(answer);
        }
    }

    async fn line(&mut self) -> Result<Option<Vec<u8>>, CliError> {
        loop {
            let unseen = &self.buffer[self.searched..];
            if let Some(at) = unseen.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + at + 1);
                self.searched = 0;
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE_BYTES {
                return Err(CliError::Answer(format!(
                    "a line exceeds {MAX_LINE_BYTES} bytes"
                )));
            }
            match self.response.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    self.searched = 0;
                    return Ok(Some(std::mem::take(&mut self.buffer)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[tokio::test]
    async fn lines_are_whole_however_they_arrive() {
        let server = TestServer::start([(
            "POST /api/x",
            Answer::pieces(200, ["{\"a\":1}\n{\"a", "\":2}", "\n\n{\"a\":3}"]),
        )])
        .await;
        let mut lines = server.client().stream("/api/x", &json!({})).await.unwrap();
        let mut seen = Vec::new();
        while let Some(line) = lines.next::<Value>().await.unwrap() {
            seen.push(line["a"].as_i64());
        }
        assert_eq!(seen, [Some(1), Some(2), Some(3)]);
    }

    #[tokio::test]
    async fn an_error_line_ends_a_stream() {
        let answer = Answer::ok("{\"status\":\"a\"}\n{\"error\":\"no room\"}\n");
        let server = TestServer::start([("POST /api/x", answer)]).await;
        let mut lines = server.client().stream("/api/x", &json!({})).await.unwrap();
        lines.next::<Value>().await.unwrap();
        assert_eq!(
            lines.next::<Value>().await.unwrap_err().to_string(),
            "no room"
        );
    }

    #[tokio::test]
    async fn an_endless_line_is_refused() {
        let answer = Answer::ok("x".repeat(MAX_LINE_BYTES + 2));
        let server = TestServer::start([("POST /api/x", answer)]).await;
        let mut lines = server.client().stream("/api/x", &json!({})).await.unwrap();
        assert!(matches!(
            lines.next::<Value>().await,
            Err(CliError::Answer(_))
        ));
    }

    #[tokio::test]
    async fn refusals_show_the_servers_message() {
        let answer = || Answer::new(404, "{\"error\":\"model 'x' not found\"}");
        let server = TestServer::start([
            ("POST /api/show", answer()),
            ("POST /api/chat", answer()),
            ("GET /plain", Answer::new(403, "")),
        ])
        .await;
        let client = server.client();
        let error = client
            .post::<Value>("/api/show", &json!({}))
            .await
            .unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(error.to_string(), "model 'x' not found");
        let error = client.stream("/api/chat", &json!({})).await.unwrap_err();
        assert_eq!(error.to_string(), "404 Not Found: model 'x' not found");
        let error = client.get::<Value>("/plain").await.unwrap_err();
        assert_eq!(error.to_string(), "403 Forbidden");
    }

    #[tokio::test]
    async fn no_server_is_said_with_the_way_out() {
        // A port that was free a moment ago and that nobody listens on.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let client = Client::new(&Host::parse(&address.to_string())).unwrap();
        let message = client.probe().await.unwrap_err().to_string();
        let want = "could not connect to the wick server, run 'wick serve' to start it";
        assert_eq!(message, want);
    }
}
