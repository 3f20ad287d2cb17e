//! Real clients against the real server. `WICK_CLIENTS` names a folder with a Python environment
//! (`venv`) and Node packages (`node_modules`); `scripts/test` makes one.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::gguf;
use crate::registry::Registry;
use crate::server::{HOSTILE, INSERT, PLAIN, Server, THINKING, TOOLS};

pub(crate) fn clients() -> Option<PathBuf> {
    let folder = std::env::var_os("WICK_CLIENTS").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        println!("skipped: WICK_CLIENTS does not name a folder with real clients");
    }
    folder.map(PathBuf::from)
}

/// A server with everything that the scripts ask for.
async fn server() -> Server {
    let server = Server::start_with(&[("WICK_ASSIST_MODEL", "coach")]);
    let parrot = gguf::parrot(None);
    for (name, template) in [("parrot", TOOLS), ("thinker", THINKING), ("filler", INSERT)] {
        server
            .create(name, &parrot, json!({"template": template}))
            .await;
    }
    for (name, template) in [("coach", PLAIN), ("hostile", HOSTILE)] {
        server
            .create(name, &gguf::filler(), json!({"template": template}))
            .await;
    }
    server.create("vectors", &gguf::encoder(), json!({})).await;
    std::fs::write(server.home().join("parrot.gguf"), &parrot).unwrap();
    server
}

/// Runs a script, which ends badly if anything is not as it should be.
async fn run(program: PathBuf, script: &str) {
    let server = server().await;
    let registry = Registry::start(&server).await;
    let model = registry
        .as_ref()
        .map(|registry| format!("{}/me/parrot:v1", registry.address));
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(script);
    let mut command = Command::new(&program);
    command
        .arg(&script)
        .env("OLLAMA_HOST", &server.url)
        .env("PARROT_GGUF", server.home().join("parrot.gguf"))
        .env("REGISTRY_MODEL", model.unwrap_or_default())
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1");
    if script.extension().is_some_and(|kind| kind == "mjs") {
        // Modules are looked for from where the script lies, so it has to lie beside them.
        let copy = program.with_file_name(script.file_name().unwrap());
        std::fs::copy(&script, &copy).unwrap();
        command = Command::new("node");
        command
            .arg(&copy)
            .env("OLLAMA_HOST", &server.url)
            .env("PARROT_GGUF", server.home().join("parrot.gguf"));
    }
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        script.display(),
        text(&output.stdout),
        text(&output.stderr)
    );
    print!("{}", text(&output.stdout));
}

async fn python(script: &str) {
    let Some(folder) = clients() else { return };
    let program = folder.join("venv/bin/python");
    if !program.is_file() {
        println!("skipped: there is no {}", program.display());
        return;
    }
    run(program, script).await;
}

#[tokio::test]
async fn python_ollama() {
    python("ollama_client.py").await;
}

#[tokio::test]
async fn python_openai() {
    python("openai_client.py").await;
}

#[tokio::test]
async fn python_anthropic() {
    python("anthropic_client.py").await;
}

#[tokio::test]
async fn python_site_with_a_coach() {
    python("coach_site.py").await;
}

/// The site of the integration guide as it stands, in a browser.
#[tokio::test]
async fn python_pages_of_a_site_with_a_coach() {
    if Command::new("chromium").arg("--version").output().is_err() {
        println!("skipped: there is no chromium");
        return;
    }
    python("coach_pages.py").await;
}

#[tokio::test]
async fn python_financial_figures() {
    python("coach_figures.py").await;
}

async fn node(package: &str, script: &str) {
    let Some(folder) = clients() else { return };
    if !folder.join("node_modules").join(package).is_dir() {
        println!(
            "skipped: there is no npm package {package} in {}",
            folder.display()
        );
        return;
    }
    run(folder.join("node"), script).await;
}

#[tokio::test]
async fn node_ollama() {
    node("ollama", "ollama_client.mjs").await;
}

#[tokio::test]
async fn node_langchain() {
    node("@langchain/ollama", "langchain_client.mjs").await;
}

#[tokio::test]
async fn curl_as_in_the_manual() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: there is no curl");
        return;
    }
    run(PathBuf::from("bash"), "curl.sh").await;
}
