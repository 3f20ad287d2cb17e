//! A Redis of this test's own: a folder, a Unix socket, no network; and limits that are kept in it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use tempfile::TempDir;

use crate::limits::token;
use crate::server::{Server, free_port};
use crate::signer::SECRET;

/// A running Redis; dropping it ends the process.
struct Redis {
    child: Child,
    folder: TempDir,
}

/// Options of a Redis that is asked over TLS, and its certificate; the port comes after them.
const TLS: [&str; 8] = [
    "--tls-cert-file",
    "cert.pem",
    "--tls-key-file",
    "key.pem",
    "--tls-auth-clients",
    "no",
    "--port",
    "0",
];

impl Redis {
    /// `None`, and a word about it, where Redis is not installed.
    fn start() -> Option<Redis> {
        if Command::new("redis-server")
            .arg("--version")
            .output()
            .is_err()
        {
            println!("skipped: redis-server is not installed");
            return None;
        }
        // Sockets have short paths only.
        let folder = tempfile::Builder::new()
            .prefix("redis")
            .tempdir_in("/tmp")
            .unwrap();
        Some(Redis::start_in(folder, &[]))
    }

    fn start_in(folder: TempDir, options: &[&str]) -> Redis {
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .args(["--requirepass", "hunter2", "--unixsocket", "socket"])
            .args(options)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .spawn()
            .unwrap();
        let redis = Redis { child, folder };
        for _ in 0..300 {
            if redis.says(&["PING"]) == "PONG" {
                return redis;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("Redis does not start");
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn address(&self) -> String {
        format!("unix://{}?pass=hunter2", self.socket().display())
    }

    /// The answer to a command.
    fn says(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["--no-auth-warning", "-a", "hunter2", "-s"])
            .arg(self.socket())
            .args(command)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Ends the process; its folder is for another one.
    fn stop(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn server(address: &str, limit: &str) -> Server {
    Server::start_with(&[
        ("WICK_JWT_SECRET", SECRET),
        ("WICK_LIMIT_GENERATE", limit),
        ("WICK_REDIS", address),
    ])
}

/// Status and what is left of a request that is counted, whatever else is wrong with it.
async fn ask(server: &Server, token: &str) -> (StatusCode, String) {
    let request = server.with_bearer(Method::POST, "/ai/generate", token);
    let answer = request.body("{}").send().await.unwrap();
    let headers = answer.headers();
    let state = headers["ratelimit"].to_str().unwrap().to_owned();
    if answer.status() == StatusCode::TOO_MANY_REQUESTS {
        let wait = headers["retry-after"].to_str().unwrap();
        assert_eq!(state, format!("\"generate\";r=0;t={wait}"));
    }
    let left = state.split(';').nth(1).unwrap().to_owned();
    (answer.status(), left)
}

#[tokio::test]
async fn servers_share_a_limit_to_the_request_and_it_outlives_them() {
    let Some(redis) = Redis::start() else { return };
    let servers = [
        server(&redis.address(), "50"),
        server(&redis.address(), "50"),
    ];
    let anna = token("acme", "anna");
    let asks = (0..80).map(|at| ask(&servers[at % 2], &anna));
    let answers = futures_util::future::join_all(asks).await;
    let (refused, passed): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((passed.len(), refused.len()), (50, 30));
    let mut left: Vec<u32> = passed
        .iter()
        .map(|(_, left)| left["r=".len()..].parse().unwrap())
        .collect();
    left.sort_unstable();
    assert_eq!(left, (0..50).collect::<Vec<u32>>(), "each was counted once");

    drop(servers);
    let another = server(&redis.address(), "50");
    assert_eq!(ask(&another, &anna).await.0, StatusCode::TOO_MANY_REQUESTS);
    for other in [token("acme", "bert"), token("other", "anna")] {
        assert_eq!(ask(&another, &other).await.1, "r=49");
    }

    // What is kept names nobody, and not for longer than it counts.
    let keys = redis.says(&["KEYS", "*"]);
    assert_eq!(keys.lines().count(), 3, "{keys}");
    for key in keys.lines() {
        assert!(key.starts_with("wick:limit:generate:"), "{key}");
        assert!(!key.contains("anna") && !key.contains("acme"), "{key}");
        let left_ms: i64 = redis.says(&["PTTL", key]).parse().unwrap();
        assert!((1..=3_600_000).contains(&left_ms), "{left_ms}");
    }
    assert!(!another.log().contains("hunter2"));
}

#[tokio::test]
async fn without_its_redis_a_server_counts_by_itself() {
    let Some(redis) = Redis::start() else { return };
    let server = server(&redis.address(), "3");
    let anna = token("acme", "anna");
    assert_eq!(ask(&server, &anna).await.1, "r=2");
    assert_eq!(status(&server).await, "up");
    let folder = redis.stop();
    assert_eq!(status(&server).await, "degraded");
    for left in ["r=2", "r=1", "r=0"] {
        let (status, found) = ask(&server, &anna).await;
        assert_eq!(
            (status == StatusCode::TOO_MANY_REQUESTS, found.as_str()),
            (false, left)
        );
    }
    assert_eq!(ask(&server, &anna).await.0, StatusCode::TOO_MANY_REQUESTS);
    let log = server.log();
    assert_eq!(log.matches("Redis does not answer").count(), 1, "{log}");

    // It comes back with nothing in it, and is asked again after a while.
    std::fs::remove_file(folder.path().join("socket")).unwrap();
    let redis = Redis::start_in(folder, &[]);
    for _ in 0..300 {
        if ask(&server, &anna).await.1 == "r=2" {
            assert_eq!(redis.says(&["DBSIZE"]), "1");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the server does not find its Redis again");
}

/// What `/services/status` says of the Redis.
async fn status(server: &Server) -> String {
    let services = server.get("/services/status").await.json();
    let services = services.as_array().unwrap();
    let redis = services.iter().find(|service| service["name"] == "redis");
    let redis = redis.unwrap();
    assert!(!redis.to_string().contains("hunter2"));
    redis["status"].as_str().unwrap().to_owned()
}

/// A certificate for `localhost` that signs itself, made by OpenSSL in the folder.
fn certify(folder: &TempDir) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext"])
        .args(["subjectAltName=DNS:localhost", "-addext"])
        .args(["basicConstraints=critical,CA:FALSE", "-keyout", "key.pem"])
        .args(["-out", "cert.pem"])
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
}

#[tokio::test]
async fn a_redis_is_asked_over_tls_if_its_certificate_is_trusted() {
    let Some(plain) = Redis::start() else { return };
    let folder = plain.stop();
    std::fs::remove_file(folder.path().join("socket")).unwrap();
    certify(&folder);
    let port = free_port().to_string();
    let options = [&TLS[..], &["--tls-port", &port]].concat();
    let redis = Redis::start_in(folder, &options);
    let address = format!("rediss://:hunter2@localhost:{port}");
    let certificate = redis.folder.path().join("cert.pem");
    let trusted = [
        ("WICK_JWT_SECRET", SECRET),
        ("WICK_LIMIT_GENERATE", "5"),
        ("WICK_REDIS", address.as_str()),
        ("SSL_CERT_FILE", certificate.to_str().unwrap()),
    ];
    let anna = token("acme", "anna");
    let server = Server::start_with(&trusted);
    assert_eq!(status(&server).await, "up");
    assert_eq!(ask(&server, &anna).await.1, "r=4");
    assert_eq!(redis.says(&["DBSIZE"]), "1");

    // Who does not know the certificate does not send the password, and counts by itself.
    let stranger = Server::start_with(&trusted[..3]);
    assert_eq!(status(&stranger).await, "degraded");
    assert_eq!(ask(&stranger, &anna).await.1, "r=4");
}
