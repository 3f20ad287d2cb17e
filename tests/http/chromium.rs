//! A real browser, and a site for its pages: pages say what they saw by posting it to the site they came from.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::{get, post};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Time for a browser to start and a page to do its work, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A browser with one page; dropping it ends the process.
pub(crate) struct Browser {
    child: Child,
    _profile: TempDir,
}

impl Browser {
    /// Opens a page. Names that end in `.test` lead to this machine, all others nowhere. `None`, and a word about it,
    /// where there is no browser.
    pub(crate) fn open(url: &str) -> Option<Browser> {
        let Some(program) = program() else {
            println!("skipped: there is no chromium");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-dev-shm-usage", "--disable-background-networking"])
            .args([
                "--disable-component-update",
                "--disable-sync",
                "--no-proxy-server",
            ])
            // It stays until it is ended.
            .arg("--remote-debugging-port=0")
            .arg("--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        Some(Browser {
            child,
            _profile: profile,
        })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut candidates = std::env::split_paths(&path).map(|folder| folder.join("chromium"));
    candidates.find(|program| program.is_file())
}

/// A web site of one page.
pub(crate) struct Site {
    listener: TcpListener,
    port: u16,
}

/// What pages of a site have said.
pub(crate) struct Seen(mpsc::UnboundedReceiver<Value>);

impl Site {
    /// Has an address, and no page yet.
    pub(crate) async fn bind() -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Site { listener, port }
    }

    /// The origin of its pages by this name.
    pub(crate) fn origin(&self, host: &str) -> String {
        format!("http://{host}:{}", self.port)
    }

    /// Serves the page.
    pub(crate) fn serve(self, page: String) -> Seen {
        let (sender, receiver) = mpsc::unbounded_channel();
        let say = async |State(sender): State<mpsc::UnboundedSender<Value>>, text: String| {
            // The test may have ended.
            let _ = sender.send(serde_json::from_str(&text).expect("pages say JSON"));
        };
        let router = Router::new()
            .route("/", get(async || Html(page)))
            .route("/seen", post(say))
            .with_state(sender);
        tokio::spawn(async move { axum::serve(self.listener, router).await });
        Seen(receiver)
    }
}

impl Seen {
    /// What a page says next.
    pub(crate) async fn next(&mut self) -> Value {
        let said = timeout(PATIENCE, self.0.recv()).await;
        said.expect("the page says something").unwrap()
    }
}
