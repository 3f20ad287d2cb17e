//! Pull and push against Debian's `docker-registry`, where it is installed.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// The registry's process; it ends with the test.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a registry that keeps its files in `folder`, if one is installed.
    fn start(folder: &Path) -> Option<Server> {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let config = folder.join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: {address}\n",
            folder.join("data").display()
        );
        fs::write(&config, text).unwrap();
        let spawned = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = spawned else {
            println!("skipped: docker-registry is not installed");
            return None;
        };
        let server = Server { process, address };
        let patience = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < patience, "docker-registry does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn models_go_to_a_real_registry_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path()) else {
        return;
    };
    let name = ModelName::parse(&format!("http://{}/me/m:t", server.address)).unwrap();
    let model = weights(300_000);
    let source = Scratch::new();
    source.model(
        &name.full(),
        &[(media_type::MODEL, &model), (media_type::SYSTEM, b"hi")],
    );
    let registry = registry_with(|options| options.tuning.stall = Duration::from_secs(30));

    let (events, mut lines) = mpsc::channel(64);
    let what = Pull {
        name: name.clone(),
        insecure: true,
    };
    let (store, client) = (source.store.clone(), registry.clone());
    let work = tokio::spawn(async move { push(&store, &client, what, events).await });
    while lines.recv().await.is_some() {}
    work.await.unwrap().unwrap();

    let target = Scratch::new();
    let (lines, result) = run_pull(&target.store, &registry, &name).await;
    result.unwrap();
    assert_eq!(steps(&lines).last(), Some(&"success"));
    let (sent, got) = (
        source.store.load(&name).unwrap(),
        target.store.load(&name).unwrap(),
    );
    assert_eq!(sent.digest, got.digest);
    assert_eq!(fs::read(got.model_path.unwrap()).unwrap(), model);

    let missing = ModelName::parse(&format!("http://{}/me/m:other", server.address)).unwrap();
    let (_, result) = run_pull(&target.store, &registry, &missing).await;
    assert_eq!(
        result.unwrap_err().to_string(),
        "pull model manifest: file does not exist"
    );
}
