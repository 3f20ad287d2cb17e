//! The other native families beside candle-transformers' implementations of them.

use std::fs::File;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{Device, Tensor};
use candle_transformers::models::{
    quantized_gemma3, quantized_phi3, quantized_qwen2, quantized_qwen3,
};
use wick_models::{LoadOptions, Output};

use super::cosine;
use super::tiny::{LLAMA, Sequence, Shape, Tiny, tokens};

/// Last logits of a prompt through candle.
fn candles(tiny: &Tiny, architecture: &str, prompt: &[u32]) -> Vec<f32> {
    let folder = tempfile::tempdir().unwrap();
    let mut file = File::open(tiny.write(folder.path())).unwrap();
    let (content, cpu) = (Content::read(&mut file).unwrap(), Device::Cpu);
    let input = Tensor::new(prompt, &cpu).unwrap().unsqueeze(0).unwrap();
    let logits = match architecture {
        "qwen2" => quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &cpu)
            .and_then(|mut m| m.forward(&input, 0)),
        "qwen3" => quantized_qwen3::ModelWeights::from_gguf(content, &mut file, &cpu)
            .and_then(|mut m| m.forward(&input, 0)),
        "gemma3" => quantized_gemma3::ModelWeights::from_gguf(content, &mut file, &cpu)
            .and_then(|mut m| m.forward(&input, 0)),
        "phi3" => quantized_phi3::ModelWeights::from_gguf(false, content, &mut file, &cpu)
            .and_then(|mut m| m.forward(&input, 0)),
        other => panic!("no oracle for {other}"),
    };
    logits.unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn agree(tiny: &Tiny, shape: &Shape, at_least: f64) {
    let prompt = tokens(29, shape.vocab, 11);
    let want = candles(tiny, shape.architecture, &prompt);
    let mut decoder = tiny
        .load(&LoadOptions {
            threads: 2,
            kernels: None,
        })
        .unwrap();
    decoder.reserve(2, 64).unwrap();
    let got = Sequence::new(0, 2).feed(&mut *decoder, &prompt, Output::Last);
    let cosine = cosine(&got, &want);
    assert!(
        cosine >= at_least,
        "{} {:?}: {cosine}",
        shape.architecture,
        shape.quant
    );
}

#[test]
fn every_family_gives_candles_logits() {
    for architecture in ["qwen2", "qwen3", "gemma3", "phi3"] {
        for (quant, at_least) in [
            (GgmlDType::F32, 0.999_99),
            (GgmlDType::Q8_0, 0.9995),
            (GgmlDType::Q4K, 0.9995),
        ] {
            // Heads wider than their share of the width, where the family may.
            let head_dim = if ["qwen3", "gemma3"].contains(&architecture) {
                64
            } else {
                32
            };
            let shape = Shape {
                architecture,
                quant,
                head_dim,
                layers: 7,
                ..LLAMA
            };
            let mut tiny = Tiny::decoder(&shape);
            if architecture == "gemma3" {
                // candle counts one position more than the window, which would be ten here.
                tiny.set("gemma3.attention.sliding_window", Value::U32(512));
                tiny.set("gemma3.rope.freq_base", Value::F32(1_000_000.0));
            }
            agree(&tiny, &shape, at_least);
        }
    }
}
