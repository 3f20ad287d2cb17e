//! The other native families beside candle-transformers' implementations of them.

use std::fs::File;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{DType, Device, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::{gemma3, quantized_phi3, quantized_qwen2, quantized_qwen3};
use wick_models::{LoadOptions, Output};

use super::cosine;
use super::tiny::{LLAMA, Sequence, Shape, Tiny, tokens};

/// Types with the least cosine demanded of each.
const QUANTS: [(GgmlDType, f64); 3] = [
    (GgmlDType::F32, 0.999_999),
    (GgmlDType::Q8_0, 0.9995),
    (GgmlDType::Q4K, 0.9995),
];

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
            ..LoadOptions::default()
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
    for architecture in ["qwen2", "qwen3", "phi3"] {
        for (quant, at_least) in QUANTS {
            // Heads wider than their share of the width, where the family may.
            let head_dim = if architecture == "qwen3" { 64 } else { 32 };
            let shape = Shape {
                architecture,
                quant,
                head_dim,
                ..LLAMA
            };
            agree(&Tiny::decoder(&shape), &shape, at_least);
        }
    }
}

/// candle's quantised Gemma 3 gates with SiLU where the model was trained with GELU, so that its unquantised one, on the
/// dequantised weights, is the oracle here (it takes one key and value head only). Seven layers: six with the window's
/// rotation, one with the other.
#[test]
fn gemma_3_gives_candles_logits() {
    for (quant, at_least) in QUANTS {
        let shape = Shape {
            architecture: "gemma3",
            quant,
            head_dim: 64,
            layers: 7,
            kv_heads: 1,
            tied: true,
            ..LLAMA
        };
        let mut tiny = Tiny::decoder(&shape);
        tiny.set("gemma3.attention.sliding_window", Value::U32(512));
        tiny.set("gemma3.rope.freq_base", Value::F32(1_000_000.0));
        let prompt = tokens(29, shape.vocab, 11);
        let mut decoder = tiny
            .load(&LoadOptions {
                threads: 2,
                kernels: None,
                ..LoadOptions::default()
            })
            .unwrap();
        decoder.reserve(2, 64).unwrap();
        let got = Sequence::new(0, 2).feed(&mut *decoder, &prompt, Output::Last);
        let cosine = cosine(&got, &candles_gemma(&tiny, &shape, &prompt));
        assert!(cosine >= at_least, "{quant:?}: {cosine}");
    }
}

fn candles_gemma(tiny: &Tiny, shape: &Shape, prompt: &[u32]) -> Vec<f32> {
    let config = gemma3::Config {
        attention_bias: false,
        head_dim: shape.head_dim,
        hidden_activation: Activation::GeluPytorchTanh,
        hidden_size: shape.width,
        intermediate_size: shape.wide,
        num_attention_heads: shape.heads,
        num_hidden_layers: shape.layers,
        num_key_value_heads: shape.kv_heads,
        rms_norm_eps: f64::from(1e-5f32),
        rope_theta: 1_000_000.0,
        rope_local_base_freq: 10_000.0,
        vocab_size: shape.vocab,
        final_logit_softcapping: None,
        attn_logit_softcapping: None,
        query_pre_attn_scalar: shape.head_dim,
        sliding_window: 512,
        sliding_window_pattern: 6,
        max_position_embeddings: 4096,
    };
    const PARTS: [(&str, &str); 13] = [
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("attn_q_norm", "self_attn.q_norm"),
        ("attn_k_norm", "self_attn.k_norm"),
        ("attn_norm", "input_layernorm"),
        ("post_attention_norm", "post_attention_layernorm"),
        ("ffn_norm", "pre_feedforward_layernorm"),
        ("post_ffw_norm", "post_feedforward_layernorm"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ];
    let mut names = vec![
        (
            "token_embd.weight".to_owned(),
            "model.embed_tokens.weight".to_owned(),
        ),
        (
            "output_norm.weight".to_owned(),
            "model.norm.weight".to_owned(),
        ),
    ];
    for layer in 0..shape.layers {
        for (ours, theirs) in PARTS {
            names.push((
                format!("blk.{layer}.{ours}.weight"),
                format!("model.layers.{layer}.{theirs}.weight"),
            ));
        }
    }
    let tensors = names.into_iter().map(|(ours, theirs)| {
        let tensor = tiny.tensor(&ours);
        // GGUF files carry the norms' weights with the one added that candle adds itself.
        (
            theirs,
            if ours.contains("norm") {
                (tensor - 1.0).unwrap()
            } else {
                tensor
            },
        )
    });
    let builder = VarBuilder::from_tensors(tensors.collect(), DType::F32, &Device::Cpu);
    let mut model = gemma3::Model::new(false, &config, builder).unwrap();
    let input = Tensor::new(prompt, &Device::Cpu)
        .unwrap()
        .unsqueeze(0)
        .unwrap();
    model
        .forward(&input, 0)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}
