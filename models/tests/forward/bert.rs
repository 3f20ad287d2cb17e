//! Encoders beside candle-transformers' and on real vectors.

use std::collections::HashMap;
use std::path::Path;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{bert, nomic_bert};
use serde::Deserialize;
use wick_kernels::{BLOCK_TOKENS, Kernels};
use wick_models::{
    Encoder, FloatType, Gguf, LoadOptions, Output, Pooling, Segment, convert_bert, is_encoder,
    load_decoder,
};

use super::tiny::{LLAMA, Shape, Tiny, tokens};
use super::{cosine, fixtures};

const WIDTH: usize = 64;
const WIDE: usize = 128;
const HEADS: usize = 4;
const LAYERS: usize = 3;
const VOCAB: usize = 90;
const CONTEXT: usize = 48;

/// A tiny model of `bert` (learned positions, biases, GELU) or `nomic-bert` (rotation, no biases, SwiGLU).
fn tiny(architecture: &str, quant: GgmlDType) -> Tiny {
    let mut tiny = Tiny::empty(architecture);
    let nomic = architecture == "nomic-bert";
    for (key, value) in [
        ("block_count", LAYERS),
        ("context_length", CONTEXT),
        ("embedding_length", WIDTH),
        ("feed_forward_length", WIDE),
        ("attention.head_count", HEADS),
        ("pooling_type", 1),
    ] {
        tiny.set(&format!("{architecture}.{key}"), Value::U32(value as u32));
    }
    tiny.set(
        &format!("{architecture}.attention.layer_norm_epsilon"),
        Value::F32(1e-12),
    );
    tiny.matrix("token_embd.weight", VOCAB, WIDTH, quant);
    tiny.matrix("token_types.weight", 2, WIDTH, GgmlDType::F32);
    if nomic {
        tiny.set("nomic-bert.rope.freq_base", Value::F32(1000.0));
    } else {
        tiny.matrix("position_embd.weight", CONTEXT, WIDTH, GgmlDType::F32);
    }
    let norm = |tiny: &mut Tiny, name: String| {
        tiny.norm(&format!("{name}.weight"), WIDTH);
        tiny.vector(&format!("{name}.bias"), WIDTH, 0.0, 0.1);
    };
    norm(&mut tiny, "token_embd_norm".to_owned());
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}");
        let mut linear = |part: &str, rows: usize, cols: usize| {
            tiny.matrix(&format!("{}.weight", name(part)), rows, cols, quant);
            if !nomic {
                tiny.vector(&format!("{}.bias", name(part)), rows, 0.0, 0.3);
            }
        };
        if nomic {
            linear("attn_qkv", 3 * WIDTH, WIDTH);
            linear("ffn_gate", WIDE, WIDTH);
        } else {
            ["attn_q", "attn_k", "attn_v"]
                .into_iter()
                .for_each(|part| linear(part, WIDTH, WIDTH));
        }
        linear("attn_output", WIDTH, WIDTH);
        linear("ffn_up", WIDE, WIDTH);
        linear("ffn_down", WIDTH, WIDE);
        norm(&mut tiny, name("attn_output_norm"));
        norm(&mut tiny, name("layer_output_norm"));
    }
    tiny
}

fn encoder(tiny: &Tiny, kernels: &'static Kernels) -> Encoder {
    let folder = tempfile::tempdir().unwrap();
    let gguf = Gguf::open(&tiny.write(folder.path())).unwrap();
    assert!(is_encoder(&gguf));
    Encoder::load(
        &gguf,
        &LoadOptions {
            threads: 2,
            kernels: Some(kernels),
            ..LoadOptions::default()
        },
    )
    .unwrap()
}

/// Token vectors of one text through candle, averaged.
fn candles(tiny: &Tiny, architecture: &str, text: &[u32]) -> Vec<f32> {
    let mut names: Vec<(String, String)> = Vec::new();
    let mut both = |ours: String, theirs: String| {
        for part in ["weight", "bias"] {
            names.push((format!("{ours}.{part}"), format!("{theirs}.{part}")));
        }
    };
    let nomic = architecture == "nomic-bert";
    both("token_embd".into(), "embeddings.word_embeddings".into());
    both(
        "token_types".into(),
        "embeddings.token_type_embeddings".into(),
    );
    both(
        "position_embd".into(),
        "embeddings.position_embeddings".into(),
    );
    both(
        "token_embd_norm".into(),
        if nomic {
            "emb_ln"
        } else {
            "embeddings.LayerNorm"
        }
        .into(),
    );
    const BERT: [(&str, &str); 8] = [
        ("attn_q", "attention.self.query"),
        ("attn_k", "attention.self.key"),
        ("attn_v", "attention.self.value"),
        ("attn_output", "attention.output.dense"),
        ("attn_output_norm", "attention.output.LayerNorm"),
        ("ffn_up", "intermediate.dense"),
        ("ffn_down", "output.dense"),
        ("layer_output_norm", "output.LayerNorm"),
    ];
    const NOMIC: [(&str, &str); 7] = [
        ("attn_qkv", "attn.Wqkv"),
        ("attn_output", "attn.out_proj"),
        ("attn_output_norm", "norm1"),
        ("ffn_up", "mlp.fc11"),
        ("ffn_gate", "mlp.fc12"),
        ("ffn_down", "mlp.fc2"),
        ("layer_output_norm", "norm2"),
    ];
    let parts = if nomic { &NOMIC[..] } else { &BERT[..] };
    let folder = if nomic { "layers" } else { "layer" };
    for layer in 0..LAYERS {
        for (ours, theirs) in parts {
            both(
                format!("blk.{layer}.{ours}"),
                format!("encoder.{folder}.{layer}.{theirs}"),
            );
        }
    }
    let tensors = names
        .into_iter()
        .filter(|(ours, _)| tiny.tensors.iter().any(|(name, _)| name == ours));
    let tensors: HashMap<String, Tensor> = tensors
        .map(|(ours, theirs)| (theirs, tiny.tensor(&ours)))
        .collect();
    let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let input = Tensor::new(text, &Device::Cpu)
        .unwrap()
        .unsqueeze(0)
        .unwrap();
    let types = input.zeros_like().unwrap();
    let states = if nomic {
        let config = nomic_bert::Config {
            vocab_size: VOCAB,
            n_embd: WIDTH,
            n_head: HEADS,
            n_layer: LAYERS,
            n_inner: WIDE,
            n_positions: CONTEXT,
            ..Default::default()
        };
        nomic_bert::NomicBertModel::load(builder, &config)
            .unwrap()
            .forward(&input, Some(&types), None)
    } else {
        let config = bert::Config {
            vocab_size: VOCAB,
            hidden_size: WIDTH,
            num_hidden_layers: LAYERS,
            num_attention_heads: HEADS,
            intermediate_size: WIDE,
            max_position_embeddings: CONTEXT,
            ..Default::default()
        };
        bert::BertModel::load(builder, &config)
            .unwrap()
            .forward(&input, &types, None)
    };
    states
        .unwrap()
        .mean(1)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[test]
fn encoders_give_candles_vectors() {
    for architecture in ["bert", "nomic-bert"] {
        for (quant, at_least) in [
            (GgmlDType::F32, 0.999_999),
            (GgmlDType::F16, 0.999_999),
            (GgmlDType::Q8_0, 0.999),
        ] {
            let tiny = tiny(architecture, quant);
            let texts = [1, 7, 32, 33, CONTEXT].map(|len| tokens(len, VOCAB, len as u32));
            let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            for kernels in Kernels::available() {
                let vectors = encoder(&tiny, kernels).embed(&texts).unwrap();
                assert_eq!(vectors.len(), texts.len());
                for (text, vector) in texts.iter().zip(&vectors) {
                    let cosine = cosine(vector, &candles(&tiny, architecture, text));
                    let place = format!(
                        "{architecture} {quant:?} {} at {}",
                        kernels.isa.name(),
                        text.len()
                    );
                    assert!(cosine >= at_least, "{place}: {cosine}");
                }
            }
        }
    }
}

#[test]
fn a_text_has_the_same_vector_in_any_company() {
    let mut encoder = encoder(&tiny("bert", GgmlDType::Q8_0), Kernels::best());
    let texts: Vec<Vec<u32>> = (0..120)
        .map(|index| tokens(1 + index % CONTEXT, VOCAB, index as u32))
        .collect();
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let together = encoder.embed(&texts).unwrap();
    for (text, want) in texts.iter().zip(&together).step_by(7) {
        let got = &encoder.embed(&[text]).unwrap()[0];
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-4));
    }
    assert!(encoder.embed(&[]).unwrap().is_empty());
}

#[test]
fn pooling_follows_the_file() {
    let mut tiny = tiny("bert", GgmlDType::F32);
    let text = tokens(9, VOCAB, 2);
    let mut vectors = Vec::new();
    for (number, pooling) in [(1, Pooling::Mean), (2, Pooling::Cls), (3, Pooling::Last)] {
        tiny.set("bert.pooling_type", Value::U32(number));
        let mut encoder = encoder(&tiny, Kernels::best());
        assert_eq!(encoder.info().pooling, pooling);
        vectors.push(encoder.embed(&[&text]).unwrap().remove(0));
    }
    assert!(cosine(&vectors[0], &candles(&tiny, "bert", &text)) > 0.999_999);
    assert!(vectors[0] != vectors[1] && vectors[1] != vectors[2]);
}

/// A Qwen3 that was trained to embed: the hidden state of the last token.
fn embedding_decoder() -> Tiny {
    let mut tiny = Tiny::decoder(&Shape {
        architecture: "qwen3",
        tied: true,
        ..LLAMA
    });
    tiny.set("qwen3.pooling_type", Value::U32(3));
    tiny
}

#[test]
fn a_decoder_with_a_pooling_embeds() {
    let tiny = embedding_decoder();
    let mut encoder = encoder(&tiny, Kernels::best());
    let texts = [
        tokens(40, LLAMA.vocab, 1),
        tokens(3, LLAMA.vocab, 2),
        tokens(64, LLAMA.vocab, 3),
    ];
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let vectors = encoder.embed(&texts).unwrap();
    let mut decoder = tiny.load(&LoadOptions::default()).unwrap();
    decoder.reserve(4, 128).unwrap();
    for (text, vector) in texts.iter().zip(&vectors) {
        let blocks = [0, 1];
        let segment = Segment {
            tokens: text,
            start: 0,
            blocks: &blocks,
            output: Output::None,
        };
        let states = decoder.hidden(&[segment]).unwrap();
        assert!(cosine(vector, &states[states.len() - LLAMA.width..]) > 0.999_999);
    }
}

/// The cache has room for at most twice the tokens of a text, counted in whole blocks.
#[test]
fn a_decoder_with_a_pooling_reserves_what_its_texts_need() {
    let tiny = embedding_decoder();
    let mut encoder = encoder(&tiny, Kernels::best());
    let mut decoder = tiny.load(&LoadOptions::default()).unwrap();
    for len in [1usize, 40, 512, 600] {
        let text = tokens(len, LLAMA.vocab, 1);
        encoder.embed(&[&text]).unwrap();
        let blocks = len.div_ceil(BLOCK_TOKENS);
        decoder
            .reserve(2 * blocks, len.next_power_of_two())
            .unwrap();
        let ids: Vec<u32> = (0..blocks as u32).collect();
        let segment = Segment {
            tokens: &text,
            start: 0,
            blocks: &ids,
            output: Output::None,
        };
        decoder.hidden(&[segment]).unwrap();
        let (held, most) = (encoder.resident_bytes(), decoder.resident_bytes());
        assert!(
            held <= most,
            "{held} bytes for {len} tokens, at most {most}"
        );
    }
    // Texts of one token take a block each.
    let text: &[u32] = &[1];
    assert_eq!(encoder.embed(&[text; 200]).unwrap().len(), 200);
}

/// Bytes of buffers: those of a model with a gate are wider by one feed-forward row per token.
#[test]
fn buffers_are_as_wide_as_the_model() {
    for (architecture, row_len) in [
        ("bert", 6 * WIDTH + WIDE),
        ("nomic-bert", 6 * WIDTH + 2 * WIDE),
    ] {
        let mut encoder = encoder(&tiny(architecture, GgmlDType::Q8_0), Kernels::best());
        let weights = encoder.resident_bytes();
        encoder.embed(&[&tokens(10, VOCAB, 1)]).unwrap();
        let buffers = encoder.resident_bytes() - weights;
        assert_eq!(buffers, 10 * row_len * size_of::<f32>(), "{architecture}");
    }
}

#[test]
fn wrong_texts_and_files_are_errors() {
    let mut encoder = encoder(&tiny("bert", GgmlDType::F32), Kernels::best());
    for text in [&[][..], &[VOCAB as u32], &[1; CONTEXT + 1]] {
        assert!(encoder.embed(&[&[1, 2], text]).is_err());
    }
    assert_eq!(encoder.embed(&[&[1, 2]]).unwrap().len(), 1);
    for name in [
        "position_embd.weight",
        "blk.1.ffn_up.weight",
        "token_embd_norm.weight",
    ] {
        let mut tiny = tiny("bert", GgmlDType::F32);
        tiny.remove_tensor(name);
        let folder = tempfile::tempdir().unwrap();
        let gguf = Gguf::open(&tiny.write(folder.path())).unwrap();
        let error = Encoder::load(&gguf, &LoadOptions::default())
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains(name) && error.contains("tiny.gguf"),
            "{error}"
        );
        assert!(load_decoder(&gguf, &LoadOptions::default()).is_err());
    }
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<GoldenText>,
}

#[derive(Deserialize)]
struct GoldenText {
    text: String,
    ids: Vec<u32>,
    vector: Vec<f32>,
}

/// all-MiniLM-L6-v2 as sentence-transformers runs it, from its safetensors folder (`WICK_MINILM_DIR`).
#[test]
fn minilm_gives_the_vectors_of_sentence_transformers() {
    let Some(folder) = fixtures() else { return };
    let Some(model) = std::env::var_os("WICK_MINILM_DIR") else {
        println!("skipped: WICK_MINILM_DIR names no folder of all-MiniLM-L6-v2");
        return;
    };
    let golden = std::fs::read(folder.join("minilm/vectors.json")).unwrap();
    let golden: Golden = serde_json::from_slice(&golden).unwrap();
    let texts: Vec<&[u32]> = golden.cases.iter().map(|case| &case.ids[..]).collect();
    assert!(texts.len() >= 16);
    let converted = tempfile::tempdir().unwrap();
    for (float, at_least) in [
        (FloatType::F32, 0.999),
        (FloatType::F16, 0.999),
        (FloatType::Q8_0, 0.995),
    ] {
        let path = converted.path().join("minilm.gguf");
        convert_bert(Path::new(&model), &path, float).unwrap();
        let gguf = Gguf::open(&path).unwrap();
        for kernels in Kernels::available() {
            let options = LoadOptions {
                threads: 2,
                kernels: Some(kernels),
                ..LoadOptions::default()
            };
            let mut encoder = Encoder::load(&gguf, &options).unwrap();
            assert_eq!(
                (encoder.info().embedding_length, encoder.info().pooling),
                (384, Pooling::Mean)
            );
            let vectors = encoder.embed(&texts).unwrap();
            for (case, vector) in golden.cases.iter().zip(&vectors) {
                let cosine = cosine(vector, &case.vector);
                assert!(
                    cosine >= at_least,
                    "{float:?} {} '{}': {cosine}",
                    kernels.isa.name(),
                    case.text
                );
            }
        }
    }
}
