//! Push and pull through a registry: Debian's `docker-registry`, where it is installed.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::gguf;
use crate::server::{PLAIN, Server, free_port};

pub(crate) struct Registry {
    child: Child,
    pub(crate) address: String,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// Nothing where there is no such program.
    pub(crate) async fn start(server: &Server) -> Option<Registry> {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: {address}}}\n",
            folder.path().join("data").display()
        );
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let spawned = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = spawned else {
            println!("skipped: docker-registry is not installed");
            return None;
        };
        let registry = Registry {
            child,
            address,
            _folder: folder,
        };
        for _ in 0..200 {
            let url = format!("http://{}/v2/", registry.address);
            if server
                .http
                .get(url)
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                return Some(registry);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("docker-registry does not answer");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn statuses(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| line["status"].as_str())
        .collect()
}

#[tokio::test]
async fn models_go_to_a_registry_and_come_back() {
    let server = Server::start();
    let Some(registry) = Registry::start(&server).await else {
        return;
    };
    let name = format!("{}/me/parrot:v1", registry.address);
    server
        .create(&name, &gguf::parrot(None), json!({"template": PLAIN}))
        .await;
    let before = server.get("/api/tags").await.json()["models"][0]["digest"].clone();

    let request = json!({"model": name, "insecure": true});
    let pushed = server.stream("/api/push", request.clone()).await;
    assert_eq!(statuses(&pushed)[0], "retrieving manifest");
    assert_eq!(statuses(&pushed).last(), Some(&"success"), "{pushed:?}");
    let delete = server.send(
        Method::DELETE,
        "/api/delete",
        Some(json!({"model": name}).to_string()),
    );
    assert_eq!(delete.await.status, 200);

    let pulled = server.stream("/api/pull", request.clone()).await;
    let said = statuses(&pulled);
    assert_eq!(said[0], "pulling manifest");
    assert_eq!(
        said[said.len() - 3..],
        ["verifying sha256 digest", "writing manifest", "success"],
        "{pulled:?}"
    );
    let layer = pulled
        .iter()
        .rev()
        .find(|line| line["digest"].is_string())
        .unwrap();
    assert!(
        layer["status"].as_str().unwrap().starts_with("pulling "),
        "{layer}"
    );
    assert_eq!(layer["completed"], layer["total"]);
    let after = server.get("/api/tags").await.json()["models"][0]["digest"].clone();
    assert_eq!(after, before, "manifests are kept byte by byte");
    let answer = json!({"model": name, "prompt": "<|hello|>", "stream": false});
    assert_eq!(
        server.post("/api/generate", answer).await.json()["response"],
        "Hello there!"
    );

    // Once more, at once, and with everything there.
    let mut again = request;
    again["stream"] = false.into();
    assert_eq!(
        server.post("/api/pull", again).await.json(),
        json!({"status": "success"})
    );
    let missing = json!({"model": format!("{}/me/nobody", registry.address), "insecure": true});
    let missing = server.stream("/api/pull", missing).await;
    assert_eq!(
        missing.last().unwrap()["error"],
        "pull model manifest: file does not exist"
    );
}
