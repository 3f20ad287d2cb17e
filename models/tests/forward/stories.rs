//! A real model of 260 000 parameters, against llama.cpp's greedy answers.

use std::path::Path;

use serde::Deserialize;
use wick_kernels::Kernels;
use wick_models::{Gguf, LoadOptions, Output, load_decoder};

use super::tiny::Sequence;
use super::{argmax, fixtures};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    prompt: String,
    prompt_tokens: Vec<u32>,
    tokens: Vec<u32>,
    top5: Vec<Vec<(u32, f64)>>,
}

fn log_probability(row: &[f32], id: u32) -> f64 {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|value| f64::from(value - max).exp()).sum();
    f64::from(row[id as usize] - max) - sum.ln()
}

fn check(folder: &Path, kernels: &'static Kernels, case: &Case) {
    let gguf = Gguf::open(&folder.join("stories260K.gguf")).unwrap();
    let options = LoadOptions {
        threads: 2,
        kernels: Some(kernels),
    };
    let mut decoder = load_decoder(&gguf, &options).unwrap();
    decoder.reserve(16, 64).unwrap();
    let mut sequence = Sequence::new(0, 16);
    let mut row = sequence.feed(&mut *decoder, &case.prompt_tokens, Output::Last);
    for (step, (&token, top)) in case.tokens.iter().zip(&case.top5).enumerate() {
        let place = format!("'{}' step {step} on {}", case.prompt, kernels.isa.name());
        assert_eq!(argmax(&row), token, "{place}");
        for &(id, want) in top {
            let got = log_probability(&row, id);
            assert!(
                (got - want).abs() < 0.01,
                "{place}: token {id} has {got}, not {want}"
            );
        }
        row = sequence.feed(&mut *decoder, &[token], Output::Last);
    }
}

#[test]
fn greedy_answers_are_llama_cpps() {
    let Some(folder) = fixtures() else { return };
    let folder = folder.join("stories260K");
    let golden: Golden =
        serde_json::from_slice(&std::fs::read(folder.join("greedy.json")).unwrap()).unwrap();
    assert!(!golden.cases.is_empty());
    for case in &golden.cases {
        assert_eq!((case.tokens.len(), case.top5.len()), (120, 120));
        for kernels in Kernels::available() {
            check(&folder, kernels, case);
        }
    }
}
