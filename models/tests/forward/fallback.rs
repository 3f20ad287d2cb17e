//! Families that run through candle-transformers.

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use wick_models::{LoadOptions, Output, Segment};

use super::cosine;
use super::tiny::{LLAMA, Sequence, Tiny, tokens};

/// A Llama whose feed-forward networks are two experts that are the same: the gate's choice changes nothing.
fn twins() -> (Tiny, Tiny) {
    let dense = Tiny::decoder(&LLAMA);
    let mut experts = Tiny::decoder(&LLAMA);
    experts.set("llama.expert_count", Value::U32(2));
    experts.set("llama.expert_used_count", Value::U32(2));
    for layer in 0..LLAMA.layers {
        for (part, shape) in [
            ("ffn_gate", [LLAMA.wide, LLAMA.width]),
            ("ffn_up", [LLAMA.wide, LLAMA.width]),
            ("ffn_down", [LLAMA.width, LLAMA.wide]),
        ] {
            let name = format!("blk.{layer}.{part}.weight");
            for expert in 0..2 {
                let name = format!("blk.{layer}.{part}.{expert}.weight");
                experts.put(
                    &name,
                    &shape,
                    dense.values(&format!("blk.{layer}.{part}.weight")),
                    GgmlDType::F32,
                );
            }
            experts.remove_tensor(&name);
        }
        experts.matrix(
            &format!("blk.{layer}.ffn_gate_inp.weight"),
            2,
            LLAMA.width,
            GgmlDType::F32,
        );
    }
    (dense, experts)
}

#[test]
fn equal_experts_answer_like_the_dense_model() {
    let (dense, experts) = twins();
    let options = LoadOptions {
        threads: 2,
        kernels: None,
        ..LoadOptions::default()
    };
    let (mut dense, mut experts) = (
        dense.load(&options).unwrap(),
        experts.load(&options).unwrap(),
    );
    assert!(dense.info().paged && !experts.info().paged);
    assert_eq!(experts.info().vocab_size, LLAMA.vocab);
    dense.reserve(4, 64).unwrap();
    experts.reserve(4, 64).unwrap();
    let text = tokens(20, LLAMA.vocab, 6);
    let want = Sequence::new(0, 2).feed(&mut *dense, &text, Output::All);
    let rows = |got: &[f32], want: &[f32]| {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.chunks(LLAMA.vocab).zip(want.chunks(LLAMA.vocab)) {
            assert!(cosine(got, want) > 0.999_99, "{}", cosine(got, want));
        }
    };
    // Twice, so that a start of 0 is a new sequence; in chunks; row by row.
    for chunk in [20, 20, 7] {
        let mut sequence = Sequence::new(0, 0);
        for (index, tokens) in text.chunks(chunk).enumerate() {
            let last = index * chunk + tokens.len();
            let got = sequence.feed(&mut *experts, tokens, Output::Last);
            rows(&got, &want[(last - 1) * LLAMA.vocab..last * LLAMA.vocab]);
        }
    }
    rows(
        &Sequence::new(0, 0).feed(&mut *experts, &text, Output::All),
        &want,
    );
    assert!(
        Sequence::new(0, 0)
            .feed(&mut *experts, &text, Output::None)
            .is_empty()
    );
}

#[test]
fn one_sequence_at_a_time_in_order() {
    let (_, experts) = twins();
    let mut decoder = experts.load(&LoadOptions::default()).unwrap();
    let segment = |tokens, start| Segment {
        tokens,
        start,
        blocks: &[],
        output: Output::Last,
    };
    assert!(decoder.forward(&[segment(&[1, 2], 0)]).is_ok());
    for wrong in [
        segment(&[3], 1),
        segment(&[3], 3),
        segment(&[], 2),
        segment(&[LLAMA.vocab as u32], 2),
    ] {
        assert!(decoder.forward(&[wrong]).is_err());
    }
    assert!(
        decoder
            .forward(&[segment(&[1], 0), segment(&[2], 0)])
            .is_err()
    );
    assert!(decoder.forward(&[]).is_err());
    assert!(decoder.hidden(&[segment(&[1], 0)]).is_err());
    assert!(decoder.forward(&[segment(&[3], 2)]).is_ok());
    assert!(
        decoder.forward(&[segment(&[1; 4097], 0)]).is_err(),
        "candle has angles for 4096 positions"
    );
}

#[test]
fn phi_2_runs() {
    let mut tiny = Tiny::empty("phi2");
    let (width, wide, vocab) = (64, 128, 50);
    for (key, value) in [
        ("block_count", 2),
        ("context_length", 64),
        ("embedding_length", width),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 4),
        ("rope.dimension_count", 8),
    ] {
        tiny.set(&format!("phi2.{key}"), Value::U32(value as u32));
    }
    tiny.set("phi2.attention.layer_norm_epsilon", Value::F32(1e-5));
    let mut linear = |name: &str, rows: usize, cols: usize| {
        tiny.matrix(&format!("{name}.weight"), rows, cols, GgmlDType::F32);
        tiny.vector(&format!("{name}.bias"), rows, 0.0, 0.1);
    };
    linear("token_embd", vocab, width);
    linear("output", vocab, width);
    for layer in 0..2 {
        linear(&format!("blk.{layer}.attn_qkv"), 3 * width, width);
        linear(&format!("blk.{layer}.attn_output"), width, width);
        linear(&format!("blk.{layer}.ffn_up"), wide, width);
        linear(&format!("blk.{layer}.ffn_down"), width, wide);
    }
    for name in ["output_norm", "blk.0.attn_norm", "blk.1.attn_norm"] {
        tiny.norm(&format!("{name}.weight"), width);
        tiny.vector(&format!("{name}.bias"), width, 0.0, 0.1);
    }
    let mut decoder = tiny.load(&LoadOptions::default()).unwrap();
    assert_eq!(
        (decoder.info().context_tokens, decoder.info().head_dim),
        (64, 16)
    );
    let text = tokens(12, vocab, 1);
    let whole = Sequence::new(0, 0).feed(&mut *decoder, &text, Output::Last);
    let single = Sequence::new(0, 0).feed(&mut *decoder, &text, Output::All);
    assert_eq!((whole.len(), single.len()), (vocab, 12 * vocab));
    assert!(cosine(&whole, &single[11 * vocab..]) > 0.999_99);
    assert!(whole.iter().all(|value| value.is_finite()));
}
