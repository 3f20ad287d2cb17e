//! The model that ships inside the binary: the same answers on every instruction set.

use std::path::Path;

use wick_kernels::{Kernels, KvType};
use wick_models::{AddSpecial, Gguf, LoadOptions, Output, Tokenizer, load_decoder};

use super::argmax;
use super::tiny::Sequence;

const PROMPT: &str = "<|start_header_id|>user<|end_header_id|>\n\n\
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT, age INTEGER);\n\n\
    Question: How many customers are there for each city?<|eot_id|>\
    <|start_header_id|>assistant<|end_header_id|>\n\n";

/// Logits behind the prompt and behind every token that `next` chooses, given the row before it.
fn rows(
    gguf: &Gguf,
    kernels: &'static Kernels,
    prompt: &[u32],
    mut next: impl FnMut(usize, &[f32]) -> Option<u32>,
) -> Vec<Vec<f32>> {
    let options = LoadOptions {
        threads: 2,
        kernels: Some(kernels),
        kv_type: KvType::F16,
    };
    let mut decoder = load_decoder(gguf, &options).unwrap();
    decoder.reserve(16, 64).unwrap();
    let mut sequence = Sequence::new(0, 16);
    let mut rows = vec![sequence.feed(&mut *decoder, prompt, Output::Last)];
    while let Some(token) = next(rows.len() - 1, &rows[rows.len() - 1]) {
        rows.push(sequence.feed(&mut *decoder, &[token], Output::Last));
    }
    rows
}

/// How far the best logit is ahead of the next.
fn lead(row: &[f32]) -> f32 {
    let best = argmax(row) as usize;
    let others = row.iter().enumerate().filter(|&(index, _)| index != best);
    row[best] - others.map(|(_, &value)| value).fold(f32::MIN, f32::max)
}

#[test]
fn every_table_writes_the_same_statement() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("starter/model/starter.gguf");
    if !path.exists() {
        println!("skipped: no weights at {}", path.display());
        return;
    }
    let gguf = Gguf::open(&path).unwrap();
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    let prompt = tokenizer.encode(PROMPT, AddSpecial::Yes).unwrap();
    let tables = Kernels::available();
    let first = rows(&gguf, tables[0], &prompt, |step, row| {
        let token = argmax(row);
        (step < 60 && !tokenizer.is_end_of_generation(token)).then_some(token)
    });
    assert!(first.len() > 8 && first.len() < 60, "{}", first.len());
    for kernels in &tables[1..] {
        let other = rows(&gguf, kernels, &prompt, |step, _| {
            (step + 1 < first.len()).then(|| argmax(&first[step]))
        });
        for (step, (first, other)) in first.iter().zip(&other).enumerate() {
            assert!(
                argmax(first) == argmax(other) || lead(first) <= 1e-3,
                "step {step} on {}, {} ahead",
                kernels.isa.name(),
                lead(first)
            );
        }
    }
}
