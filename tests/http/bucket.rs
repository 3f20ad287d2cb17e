//! Documents in a bucket: moto's S3 server, which comes with the real clients, on the loopback.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::clients::clients;
use crate::gguf;
use crate::rag::{end_of, search};
use crate::server::{Server, client, free_port};

const KEYS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "key"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_ALLOW_HTTP", "true"),
];

/// An S3 server with a bucket called `documents`; dropping it ends the process.
struct Bucket {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Bucket {
    /// `None`, and a word about it, where it is not installed.
    async fn start() -> Option<Bucket> {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port().to_string();
        let child = Command::new(clients()?.join("venv/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .expect("moto is there");
        let bucket = Bucket {
            child,
            url: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        };
        let http = client().build().unwrap();
        for _ in 0..300 {
            let made = http.put(format!("{}/documents", bucket.url)).send().await;
            if made.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return Some(bucket);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("the bucket cannot be made");
    }

    /// A server whose tables are in the bucket and nowhere else.
    async fn server(&self) -> Server {
        self.server_at("s3://documents/wick").await
    }

    /// The same with tables at another address.
    async fn server_at(&self, uri: &str) -> Server {
        let mut variables = KEYS.to_vec();
        variables.extend([
            ("AWS_ENDPOINT", self.url.as_str()),
            ("WICK_RAG_URI", uri),
            ("WICK_EMBED_MODEL", "vectors"),
        ]);
        let server = Server::start_with(&variables);
        server.create("vectors", &gguf::encoder(), json!({})).await;
        server
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn documents_in_a_bucket_are_found_by_the_next_server() {
    let Some(bucket) = Bucket::start().await else {
        return;
    };
    let server = bucket.server().await;
    let new = json!({"title": "House rules", "text": "Why is the sky blue?\n\nThe sky is blue."});
    let job = end_of(&server, &server.post("/rag/documents", new).await).await;
    assert_eq!(job["state"], "done", "{job}");
    let id = &job["documents"][0]["document_id"];
    drop(server);

    let server = bucket.server().await;
    for mode in ["hybrid", "vector", "text"] {
        let query = json!({"query": "the blue sky", "mode": mode});
        let found = search(&server, query).await;
        assert_eq!(&found["hits"][0]["document_id"], id, "{mode}: {found}");
    }
    let path = format!("/rag/documents/{}", id.as_str().unwrap());
    let gone = server.send(reqwest::Method::DELETE, &path, None).await;
    assert_eq!(gone.status, 204);
    let found = search(&server, json!({"query": "sky"})).await;
    assert_eq!(found["hits"], json!([]));
}

#[tokio::test]
async fn a_bucket_that_is_not_there_and_an_address_of_no_store_are_told() {
    let Some(bucket) = Bucket::start().await else {
        return;
    };
    for uri in ["s3://elsewhere/wick", "gopher://documents/wick"] {
        let server = bucket.server_at(uri).await;
        let told = server.get("/rag/documents").await;
        let want = "the tables of documents cannot be used";
        assert_eq!(told.error(), (500, want.to_owned()), "{uri}");
        assert_eq!(server.get("/api/version").await.status, StatusCode::OK);
    }
}
