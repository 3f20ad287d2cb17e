//! Logits beside those of candle-transformers, for every type a weight may have.

use std::fs::File;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use wick_kernels::Kernels;
use wick_models::{Gguf, LoadOptions, Output, load_decoder};

use super::cosine;
use super::tiny::{LLAMA, Sequence, Shape, TYPES, Tiny, tokens};

/// Feeds a prompt and three tokens one by one; logits after each.
fn ours(tiny: &Tiny, kernels: &'static Kernels, prompt: &[u32], rest: &[u32]) -> Vec<Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    let gguf = Gguf::open(&tiny.write(folder.path())).unwrap();
    let mut decoder = load_decoder(
        &gguf,
        &LoadOptions {
            threads: 2,
            kernels: Some(kernels),
            ..LoadOptions::default()
        },
    )
    .unwrap();
    assert!(decoder.info().paged);
    decoder.reserve(4, 64).unwrap();
    let mut sequence = Sequence::new(1, 3);
    let mut rows = vec![sequence.feed(&mut *decoder, prompt, Output::Last)];
    rows.extend(
        rest.iter()
            .map(|&token| sequence.feed(&mut *decoder, &[token], Output::Last)),
    );
    rows
}

/// The same through candle's quantised Llama.
fn candles(tiny: &Tiny, prompt: &[u32], rest: &[u32]) -> Vec<Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    let mut file = File::open(tiny.write(folder.path())).unwrap();
    let content = Content::read(&mut file).unwrap();
    let mut model = ModelWeights::from_gguf(content, &mut file, &Device::Cpu).unwrap();
    let mut position = 0;
    let steps = std::iter::once(prompt).chain(rest.chunks(1));
    let rows = steps.map(|step| {
        let input = Tensor::new(step, &Device::Cpu)
            .unwrap()
            .unsqueeze(0)
            .unwrap();
        let logits = model.forward(&input, position).unwrap();
        position += step.len();
        logits.flatten_all().unwrap().to_vec1().unwrap()
    });
    rows.collect()
}

/// `at_least` is the cosine demanded of every row.
fn agree(shape: &Shape, at_least: f64) {
    let tiny = Tiny::decoder(shape);
    let (prompt, rest) = (tokens(37, shape.vocab, 5), tokens(3, shape.vocab, 99));
    let want = candles(&tiny, &prompt, &rest);
    for kernels in Kernels::available() {
        let got = ours(&tiny, kernels, &prompt, &rest);
        for (step, (got, want)) in got.iter().zip(&want).enumerate() {
            let cosine = cosine(got, want);
            assert!(
                cosine >= at_least,
                "{:?} on {}, step {step}: {cosine}",
                shape.quant,
                kernels.isa.name()
            );
        }
    }
}

#[test]
fn every_type_gives_candles_logits() {
    for quant in TYPES {
        // Floats differ by the f16 cache alone, the others by how activations are quantised too.
        let exact = matches!(quant, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16);
        agree(
            &Shape { quant, ..LLAMA },
            if exact { 0.999_999 } else { 0.9995 },
        );
    }
}

#[test]
fn tied_and_multi_head_models_give_candles_logits() {
    for quant in [GgmlDType::F32, GgmlDType::Q8_0, GgmlDType::Q4K] {
        let at_least = if quant == GgmlDType::F32 {
            0.999_999
        } else {
            0.9995
        };
        agree(
            &Shape {
                quant,
                tied: true,
                ..LLAMA
            },
            at_least,
        );
        agree(
            &Shape {
                quant,
                kv_heads: 8,
                ..LLAMA
            },
            at_least,
        );
        agree(
            &Shape {
                quant,
                kv_heads: 1,
                tied: true,
                ..LLAMA
            },
            at_least,
        );
    }
}

#[test]
fn matrices_of_several_types_in_one_model_agree() {
    let mut tiny = Tiny::decoder(&Shape {
        quant: GgmlDType::Q4K,
        ..LLAMA
    });
    // As in Q4_K_M files: V and down are finer than the rest.
    for layer in 0..LLAMA.layers {
        let kv_len = LLAMA.kv_heads * LLAMA.head_dim;
        tiny.matrix(
            &format!("blk.{layer}.attn_v.weight"),
            kv_len,
            LLAMA.width,
            GgmlDType::Q6K,
        );
        tiny.matrix(
            &format!("blk.{layer}.ffn_down.weight"),
            LLAMA.width,
            LLAMA.wide,
            GgmlDType::Q6K,
        );
        tiny.matrix(
            &format!("blk.{layer}.ffn_up.weight"),
            LLAMA.wide,
            LLAMA.width,
            GgmlDType::Q8_0,
        );
    }
    let (prompt, rest) = (tokens(20, LLAMA.vocab, 7), tokens(2, LLAMA.vocab, 3));
    let want = candles(&tiny, &prompt, &rest);
    for kernels in Kernels::available() {
        for (got, want) in ours(&tiny, kernels, &prompt, &rest).iter().zip(&want) {
            assert!(
                cosine(got, want) >= 0.9995,
                "{}: {}",
                kernels.isa.name(),
                cosine(got, want)
            );
        }
    }
}
