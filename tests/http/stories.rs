//! A real model: the greedy answers of another engine, through HTTP.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::Server;

/// `WICK_FIXTURES`, or the folder beside the project; nothing where there is none.
pub(crate) fn fixtures() -> Option<PathBuf> {
    let folder = std::env::var_os("WICK_FIXTURES")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"));
    folder
        .join("stories260K")
        .is_dir()
        .then_some(folder.join("stories260K"))
}

#[tokio::test]
async fn greedy_answers_are_known() {
    let Some(folder) = fixtures() else {
        println!("skipped: there is no folder of fixtures");
        return;
    };
    let server = Server::start();
    let weights = std::fs::read(folder.join("stories260K.gguf")).unwrap();
    server.create("stories", &weights, json!({})).await;
    let known: Value =
        serde_json::from_slice(&std::fs::read(folder.join("greedy.json")).unwrap()).unwrap();
    let cases = cases(&known);
    assert!(!cases.is_empty());
    for (prompt, ids, text) in cases {
        let request = json!({
            "model": "stories", "prompt": prompt, "raw": true, "stream": false,
            "options": {"temperature": 0, "num_predict": ids, "repeat_penalty": 1},
        });
        let answer = server.post("/api/generate", request).await.json();
        assert_eq!(
            answer["response"].as_str().unwrap().trim(),
            text.trim(),
            "{prompt}"
        );
        assert_eq!(answer["eval_count"], ids, "{prompt}");
    }
}

#[tokio::test]
async fn a_form_holds_where_the_tokenizer_puts_spaces_in_front() {
    let Some(folder) = fixtures() else {
        println!("skipped: there is no folder of fixtures");
        return;
    };
    let server = Server::start();
    let weights = std::fs::read(folder.join("stories260K.gguf")).unwrap();
    server.create("stories", &weights, json!({})).await;
    let form = json!({
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 5}, "old": {"type": "boolean"}},
        "required": ["name", "old"], "additionalProperties": false,
    });
    let request = json!({
        "model": "stories", "prompt": "Once", "stream": false, "format": form,
        "options": {"temperature": 0, "num_predict": 200},
    });
    let answer = server.post("/api/generate", request).await.json();
    let text = answer["response"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    let value: Value = serde_json::from_str(text).expect("JSON");
    assert!(
        value["name"].is_string() && value["old"].is_boolean(),
        "{value}"
    );
    assert_eq!(answer["done_reason"], "stop");
}

/// A text and its perplexity by llama.cpp (`scripts/peers/llamacpp.py --perplexity`).
const TEXT: &str = "\
Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. She said, \"I want to play with your ball, but I can't find it.\" Lily was sad and didn't know what to do.
Tom and his dog went to the beach. The sun was bright and the sea was blue. Tom made a tall castle of sand. His dog ran around it and barked at the waves. Then a wave came and washed the castle away. Tom was not sad. He laughed and made a new one.
";
const PERPLEXITY: f64 = 3.044_660;

#[test]
fn perplexity_is_that_of_another_engine_on_every_instruction_set() {
    let Some(folder) = fixtures() else {
        println!("skipped: there is no folder of fixtures");
        return;
    };
    let text = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(text.path(), TEXT).unwrap();
    let mut seen = Vec::new();
    for table in wick_models::Kernels::available() {
        // The table's family: its name up to the first instruction it adds.
        let name = table.isa.name();
        let asked = match name {
            "avx512-vnni" => "avx512",
            "neon-dotprod" => "neon",
            name => name,
        };
        let output = Command::new(env!("CARGO_BIN_EXE_wick"))
            .args(["bench", "--json", "--gguf"])
            .arg(folder.join("stories260K.gguf"))
            .arg("--perplexity")
            .arg(text.path())
            .env("WICK_ISA", asked)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (found["isa"].as_str(), &found["tokens"]),
            (Some(name), &json!(270))
        );
        let perplexity = found["perplexity"].as_f64().unwrap();
        assert!(
            (perplexity / PERPLEXITY - 1.0).abs() < 0.005,
            "{name}: {perplexity}"
        );
        seen.push(name);
    }
    assert_eq!(seen.last(), Some(&"scalar"));

    std::fs::write(text.path(), "").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_wick"))
        .args(["bench", "--gguf"])
        .arg(folder.join("stories260K.gguf"))
        .arg("--perplexity")
        .arg(text.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("too short to score"), "{said}");
}

/// Prompt, number of tokens and text of each known answer.
fn cases(known: &Value) -> Vec<(String, usize, String)> {
    let list = known
        .as_array()
        .or_else(|| known["cases"].as_array())
        .cloned()
        .unwrap_or_default();
    list.iter()
        .map(|case| {
            let ids = case["ids"]
                .as_array()
                .or(case["tokens"].as_array())
                .map_or(0, Vec::len);
            let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
            (text("prompt"), ids, text("text"))
        })
        .collect()
}
