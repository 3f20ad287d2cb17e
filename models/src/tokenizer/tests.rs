use std::path::PathBuf;

use super::*;

/// The folder of facts made by other programs, or `None` (said on stdout) where it is not there.
pub(crate) fn fixtures() -> Option<PathBuf> {
    let folder = std::env::var_os("WICK_FIXTURES").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../shared/fixtures"
            ))
        },
        PathBuf::from,
    );
    // Worktrees lie one folder deeper than the main checkout.
    let deeper = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/fixtures"
    ));
    let found = [folder, deeper].into_iter().find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no fixtures, set WICK_FIXTURES");
    }
    found
}

fn vocabulary(name: &str) -> Option<Tokenizer> {
    let path = fixtures()?.join(format!("tokenizers/ggml-vocab-{name}.gguf"));
    let gguf = Gguf::header_only(&path).unwrap();
    Some(Tokenizer::from_gguf(&gguf).unwrap())
}

fn lines_are_equal(name: &str) {
    let Some(tokenizer) = vocabulary(name) else {
        return;
    };
    let base = fixtures().unwrap().join("tokenizers");
    let inputs = std::fs::read_to_string(base.join(format!("ggml-vocab-{name}.gguf.inp"))).unwrap();
    let outputs =
        std::fs::read_to_string(base.join(format!("ggml-vocab-{name}.gguf.out"))).unwrap();
    // A separator follows the last text too.
    let mut inputs: Vec<_> = inputs.split("\n__ggml_vocab_test__\n").collect();
    assert_eq!(inputs.pop(), Some(""));
    let mut outputs = outputs.lines();
    let mut wrong = Vec::new();
    for input in &inputs {
        let line = outputs.next().expect("a line for every text");
        let want: Vec<u32> = line
            .split_whitespace()
            .map(|id| id.parse().unwrap())
            .collect();
        let got = tokenizer.encode(input, AddSpecial::No).unwrap();
        if got != want {
            wrong.push(format!("{input:?}\n  want {want:?}\n  got  {got:?}"));
        }
    }
    assert!(inputs.len() > 40, "only {} texts", inputs.len());
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

#[test]
fn llama_bpe_equals_llama_cpp() {
    lines_are_equal("llama-bpe");
}

#[test]
fn llama_spm_equals_llama_cpp() {
    lines_are_equal("llama-spm");
}

#[test]
fn bert_bge_equals_llama_cpp() {
    lines_are_equal("bert-bge");
}

#[test]
fn qwen2_equals_llama_cpp() {
    lines_are_equal("qwen2");
}
