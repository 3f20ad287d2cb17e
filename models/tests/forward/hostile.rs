//! Files and requests that are wrong: an error that names the culprit, never a panic.

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use wick_models::{LoadOptions, Output, Segment};

use super::tiny::{LLAMA, Shape, Tiny};

const SHAPE: Shape = Shape {
    layers: 1,
    width: 32,
    wide: 64,
    heads: 4,
    kv_heads: 2,
    head_dim: 8,
    vocab: 40,
    ..LLAMA
};

fn error(tiny: &Tiny) -> String {
    tiny.load(&LoadOptions {
        threads: 1,
        kernels: None,
        ..LoadOptions::default()
    })
    .err()
    .expect("the file is wrong")
}

#[test]
fn every_tensor_is_missed_and_measured() {
    for architecture in ["llama", "qwen2", "qwen3", "gemma3", "phi3"] {
        let shape = Shape {
            architecture,
            ..SHAPE
        };
        let tensors: Vec<String> = Tiny::decoder(&shape)
            .tensors
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        for name in &tensors {
            let mut tiny = Tiny::decoder(&shape);
            tiny.remove_tensor(name);
            // Without an output matrix the model is tied.
            if name != "output.weight" {
                let error = error(&tiny);
                assert!(
                    error.contains(name) && error.contains("tiny.gguf"),
                    "{architecture} {name}: {error}"
                );
            }
            for shape in [&[96, 32][..], &[64], &[2, 3, 32]] {
                tiny.put(
                    name,
                    shape,
                    vec![0.5; shape.iter().product()],
                    GgmlDType::F32,
                );
                // A longer vocabulary is not wrong by itself, but the output matrix then is.
                let culprit = if name == "token_embd.weight" {
                    "weight"
                } else {
                    name
                };
                let error = error(&tiny);
                assert!(
                    error.contains(culprit) && error.contains("tiny.gguf"),
                    "{architecture} {name}: {error}"
                );
            }
        }
    }
}

#[test]
fn every_needed_key_is_missed() {
    for key in [
        "block_count",
        "embedding_length",
        "feed_forward_length",
        "attention.head_count",
        "context_length",
        "attention.layer_norm_rms_epsilon",
    ] {
        let mut tiny = Tiny::decoder(&SHAPE);
        tiny.remove_key(&format!("llama.{key}"));
        let error = error(&tiny);
        assert!(
            error.contains(&format!("llama.{key}")) && error.contains("tiny.gguf"),
            "{error}"
        );
    }
}

#[test]
fn absurd_values_are_named() {
    let cases: &[(&str, Value)] = &[
        ("block_count", Value::U32(0)),
        ("block_count", Value::U32(u32::MAX)),
        ("block_count", Value::U64(u64::MAX)),
        ("block_count", Value::I32(-1)),
        ("embedding_length", Value::U32(0)),
        ("embedding_length", Value::U32(1 << 31)),
        ("feed_forward_length", Value::U32(0)),
        ("feed_forward_length", Value::String("64".to_owned())),
        ("attention.head_count", Value::U32(0)),
        ("attention.head_count", Value::U32(u32::MAX)),
        ("attention.head_count_kv", Value::U32(0)),
        ("attention.head_count_kv", Value::U32(3)),
        ("attention.head_count_kv", Value::U32(8)),
        ("attention.key_length", Value::U32(u32::MAX)),
        ("attention.value_length", Value::U32(16)),
        ("context_length", Value::U32(0)),
        ("context_length", Value::U64(u64::MAX)),
        ("attention.layer_norm_rms_epsilon", Value::F32(f32::NAN)),
        ("attention.layer_norm_rms_epsilon", Value::F32(-1.0)),
        ("attention.layer_norm_rms_epsilon", Value::Bool(true)),
        ("rope.dimension_count", Value::U32(0)),
        ("rope.dimension_count", Value::U32(5)),
        ("rope.dimension_count", Value::U32(64)),
        ("rope.freq_base", Value::F32(0.0)),
        ("rope.freq_base", Value::F32(f32::INFINITY)),
        ("rope.scaling.type", Value::String("su".to_owned())),
        ("rope.scaling.factor", Value::F32(-2.0)),
        ("rope.scaling.factor", Value::F32(f32::NAN)),
        ("attention.sliding_window", Value::U64(u64::MAX)),
    ];
    for (key, value) in cases {
        let mut tiny = Tiny::decoder(&SHAPE);
        tiny.set(&format!("llama.{key}"), value.clone());
        let error = error(&tiny);
        assert!(
            error.contains(&format!("llama.{key}")),
            "{key} {value:?}: {error}"
        );
    }
}

#[test]
fn unknown_architectures_and_broken_fallbacks_are_errors() {
    let error_of = |architecture| {
        error(&Tiny::decoder(&Shape {
            architecture,
            ..SHAPE
        }))
    };
    assert!(error_of("mamba").contains("'mamba' is not supported"));
    for architecture in ["phi2", "glm4"] {
        assert!(error_of(architecture).contains("tiny.gguf"));
    }
}

#[test]
fn requests_out_of_range_are_errors() {
    let mut decoder = Tiny::decoder(&SHAPE)
        .load(&LoadOptions {
            threads: 1,
            kernels: None,
            ..LoadOptions::default()
        })
        .unwrap();
    let segment = |tokens, start, blocks| Segment {
        tokens,
        start,
        blocks,
        output: Output::Last,
    };
    // Before anything is reserved there is no cache.
    assert!(decoder.forward(&[segment(&[1], 0, &[0])]).is_err());
    decoder.reserve(4, 8).unwrap();
    for (wrong, words) in [
        (segment(&[], 0, &[0]), "no tokens"),
        (segment(&[40], 0, &[0]), "vocabulary of 40"),
        (segment(&[1], 0, &[4]), "cache of 4"),
        (segment(&[1], 0, &[]), "0 blocks"),
        (segment(&[1, 2], 31, &[0]), "33 positions"),
        (segment(&[1], usize::MAX, &[0]), "positions"),
        (segment(&[1; 9], 0, &[0]), "8 tokens reserved"),
    ] {
        let error = decoder
            .forward(&[segment(&[1], 0, &[3]), wrong])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(words) && error.contains("segment 1"),
            "{error}"
        );
    }
    assert!(decoder.forward(&[]).unwrap().is_empty());
    decoder.copy_block(0, 4);
    decoder.copy_block(u32::MAX, 0);
    for (blocks, batch_tokens) in [(usize::MAX, 8), (1 << 31, 8), (4, usize::MAX), (4, 1 << 40)] {
        let error = decoder
            .reserve(blocks, batch_tokens)
            .unwrap_err()
            .to_string();
        assert!(error.contains("cannot reserve"), "{error}");
    }
    decoder.reserve(4, 8).unwrap();
    assert!(decoder.forward(&[segment(&[1], 0, &[3])]).is_ok());
}
