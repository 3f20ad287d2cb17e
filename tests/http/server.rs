//! The real server, one per test, with folders of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::gguf;

/// Name of the server's log in its folder.
const LOG: &str = "server.log";

/// Prompts are the messages' texts, one after the other: the last one picks the parrot's script.
pub(crate) const PLAIN: &str = "{{ range .Messages }}{{ .Content }}{{ end }}";
/// As the first, for a model that answers with parts of a page.
pub(crate) const HOSTILE: &str = "{{ range .Messages }}{{ .Content }}{{ end }}<|page|>";
/// As the first, with tools in front and calls in the middle.
pub(crate) const TOOLS: &str = "{{ range .Tools }}{{ . }}{{ end }}{{ range .Messages }}{{ .Content }}\
{{ if .ToolCalls }}{{ range .ToolCalls }}{\"name\": \"{{ .Function.Name }}\", \"parameters\": {{ .Function.Arguments }}}{{ end }}{{ end }}{{ end }}";
/// As before, with thoughts of earlier answers.
pub(crate) const THINKING: &str = "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ end }}";
/// Text between a prompt and a suffix.
pub(crate) const INSERT: &str = "{{ if .Suffix }}<PRE> {{ .Prompt }} <SUF>{{ .Suffix }} <MID><|middle|>{{ else }}{{ .Prompt }}{{ end }}";

/// A running server; dropping it ends the process.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    folder: TempDir,
    pub(crate) http: Client,
}

/// A client builder; the library wants to be told who does its cryptography, though there is none.
pub(crate) fn client() -> reqwest::ClientBuilder {
    // A second installation is refused, and the first one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy()
}

/// A port of the loopback that is free again at once; nobody else asks for it in between.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) kind: String,
    pub(crate) text: String,
}

impl Server {
    /// With nothing set but its folders.
    pub(crate) fn start() -> Server {
        Server::start_with(&[])
    }

    /// With these variables.
    pub(crate) fn start_with(variables: &[(&str, &str)]) -> Server {
        Server::start_in(tempfile::tempdir().expect("a temporary folder"), variables)
    }

    /// With a home folder that holds something already.
    pub(crate) fn start_in(folder: TempDir, variables: &[(&str, &str)]) -> Server {
        Server::start_on("127.0.0.1:0", folder, variables)
    }

    /// On all addresses of this machine.
    pub(crate) fn start_everywhere() -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Server::start_on("0.0.0.0:0", folder, &[])
    }

    fn start_on(address: &str, folder: TempDir, variables: &[(&str, &str)]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wick"));
        command
            .args(["serve", "--listen", address])
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", folder.path())
            .env("WICK_THREADS", "1")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join(LOG)).expect("a log"));
        let mut child = command.spawn().expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the server says where it is");
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .expect("an address")
            .to_owned();
        Server {
            child,
            url,
            folder,
            http: client().build().unwrap(),
        }
    }

    /// With the parrot as `parrot`, its prompts written by `template`.
    pub(crate) async fn with_parrot(template: &str) -> Server {
        let server = Server::start();
        server
            .create("parrot", &gguf::parrot(None), json!({"template": template}))
            .await;
        server
    }

    /// Uploads a file; its digest.
    pub(crate) async fn upload(&self, file: &[u8]) -> String {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(file)));
        let upload = self.http.post(format!("{}/api/blobs/{digest}", self.url));
        let status = upload.body(file.to_vec()).send().await.unwrap().status();
        assert!(status == 201 || status == 200, "{status}");
        digest
    }

    /// Uploads weights and makes a model of them.
    pub(crate) async fn create(&self, name: &str, weights: &[u8], more: Value) {
        let digest = self.upload(weights).await;
        let mut request = json!({"model": name, "files": {"model.gguf": digest}, "stream": false});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = self.post("/api/create", request).await;
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::OK, json!({"status": "success"}))
        );
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).unwrap()
    }

    /// Runs a command of the same program in the same home; gives what it prints.
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_wick"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.home())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A request with a credential.
    pub(crate) fn with_bearer(&self, method: Method, path: &str, bearer: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.bearer_auth(bearer)
    }

    /// The home folder.
    pub(crate) fn home(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the process without warning; what it leaves is for another one.
    pub(crate) fn kill(mut self) -> TempDir {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        std::mem::replace(
            &mut self.folder,
            tempfile::tempdir().expect("a temporary folder"),
        )
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string())).await
    }

    /// Any request; bodies go out the way curl sends them, as what they are not.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// The objects of a stream of lines.
    pub(crate) async fn stream(&self, path: &str, body: Value) -> Vec<Value> {
        let answer = self.post(path, body).await;
        assert_eq!(
            (answer.status, answer.kind.as_str()),
            (StatusCode::OK, "application/x-ndjson"),
            "{answer:?}"
        );
        answer.lines()
    }

    /// The events of a stream: names, where they have one, and data; `[DONE]` is a text.
    pub(crate) async fn events(&self, path: &str, body: Value) -> Vec<(String, Value)> {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert!(answer.kind.starts_with("text/event-stream"), "{answer:?}");
        let event = |block: &str| {
            let name = block.lines().find_map(|line| line.strip_prefix("event: "));
            let data = block
                .lines()
                .find_map(|line| line.strip_prefix("data: "))
                .unwrap();
            let data = serde_json::from_str(data).unwrap_or_else(|_| data.into());
            (name.unwrap_or_default().to_owned(), data)
        };
        answer
            .text
            .split("\n\n")
            .filter(|block| !block.is_empty())
            .map(event)
            .collect()
    }

    /// Waits until no model is in memory.
    pub(crate) async fn until_idle(&self) {
        for _ in 0..200 {
            if self.get("/api/ps").await.json() == json!({"models": []}) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("a model stays in memory");
    }

    /// The parrot's answer to a prompt, at once.
    pub(crate) async fn say(&self, mut request: Value) -> Value {
        request["stream"] = false.into();
        request["model"] = "parrot".into();
        let path = if request.get("messages").is_some() {
            "/api/chat"
        } else {
            "/api/generate"
        };
        let answer = self.post(path, request).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join(LOG));
            println!("the server said:\n{}", log.unwrap_or_default());
        }
    }
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Answer {
        let kind = response
            .headers()
            .get("content-type")
            .map(|kind| kind.to_str().unwrap());
        Answer {
            kind: kind.unwrap_or_default().to_owned(),
            status: response.status(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Status and text of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        let body = self.json();
        let text = body["error"].as_str().or(body["error"]["message"].as_str());
        (
            self.status.as_u16(),
            text.unwrap_or_else(|| panic!("no error: {self:?}"))
                .to_owned(),
        )
    }
}
