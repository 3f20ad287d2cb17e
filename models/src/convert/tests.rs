use std::path::PathBuf;

use super::*;
use crate::tokenizer::tests::fixtures;
use crate::{AddSpecial, Gguf, Specials, Tokenizer};

/// The folder of all-MiniLM-L6-v2 (`WICK_MINILM_DIR`), or `None`, said on stdout.
fn minilm() -> Option<PathBuf> {
    let folder = std::env::var_os("WICK_MINILM_DIR").map(PathBuf::from);
    let found = folder.filter(|folder| folder.join("config.json").is_file());
    if found.is_none() {
        println!("skipped: WICK_MINILM_DIR names no folder of all-MiniLM-L6-v2");
    }
    found
}

#[test]
fn minilm_token_ids_equal_sentence_transformers() {
    let (Some(dir), Some(fixtures)) = (minilm(), fixtures()) else {
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("minilm.gguf");
    convert_bert(&dir, &out, FloatType::F16).unwrap();
    let gguf = Gguf::open(&out).unwrap();
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    let facts = std::fs::read(fixtures.join("minilm/vectors.json")).unwrap();
    let facts: serde_json::Value = serde_json::from_slice(&facts).unwrap();
    let max = facts["max_seq_length"].as_u64().unwrap() as usize;
    let cases = facts["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 16);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let want: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        let mut got = tokenizer.encode(text, AddSpecial::Yes).unwrap();
        if got.len() > max {
            // Cut before the separator, which stays the last.
            got.truncate(max - 1);
            got.push(102);
        }
        assert_eq!(got, want, "{text:?}");
    }
    let ids = tokenizer
        .encode("Why is the sky blue?", AddSpecial::Yes)
        .unwrap();
    assert_eq!(
        tokenizer.decode(&ids, Specials::Skip),
        "why is the sky blue ?"
    );
}

#[test]
fn minilm_tensors_hold_the_checkpoint() {
    let Some(dir) = minilm() else { return };
    let temp = tempfile::tempdir().unwrap();
    for (float, matrix) in [
        (FloatType::F32, QuantType::F32),
        (FloatType::F16, QuantType::F16),
        (FloatType::Q8_0, QuantType::Q8_0),
    ] {
        let out = temp.path().join("minilm.gguf");
        convert_bert(&dir, &out, float).unwrap();
        let gguf = Gguf::open(&out).unwrap();
        assert_eq!(gguf.architecture(), "bert");
        assert_eq!(gguf.arch_u64("block_count").unwrap(), Some(6));
        assert_eq!(gguf.arch_u64("pooling_type").unwrap(), Some(1));
        assert_eq!(gguf.arch_bool("attention.causal").unwrap(), Some(false));
        assert_eq!(gguf.tensors().count(), 5 + 6 * 16);
        let up = gguf.tensor("blk.5.ffn_up.weight").unwrap();
        assert_eq!((up.quant, up.shape), (matrix, &[1536, 384][..]));
        let norm = gguf.tensor("blk.0.attn_output_norm.weight").unwrap();
        assert_eq!((norm.quant, norm.shape), (QuantType::F32, &[384][..]));
    }
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
}

/// A model of one layer, small enough to write here, that a test can make wrong.
struct Tiny {
    config: serde_json::Value,
    tokenizer: serde_json::Value,
    tensors: Vec<(String, Vec<usize>)>,
}

impl Tiny {
    fn new() -> Tiny {
        let mut tensors = Vec::new();
        let mut add = |name: &str, shape: &[usize]| tensors.push((name.to_owned(), shape.to_vec()));
        add("embeddings.word_embeddings.weight", &[8, 4]);
        add("embeddings.position_embeddings.weight", &[6, 4]);
        add("embeddings.token_type_embeddings.weight", &[2, 4]);
        for part in ["weight", "bias"] {
            add(&format!("embeddings.LayerNorm.{part}"), &[4]);
            for norm in ["attention.output.LayerNorm", "output.LayerNorm"] {
                add(&format!("encoder.layer.0.{norm}.{part}"), &[4]);
            }
        }
        for (name, rows, columns) in [
            ("attention.self.query", 4, 4),
            ("attention.self.key", 4, 4),
            ("attention.self.value", 4, 4),
            ("attention.output.dense", 4, 4),
            ("intermediate.dense", 12, 4),
            ("output.dense", 4, 12),
        ] {
            add(&format!("encoder.layer.0.{name}.weight"), &[rows, columns]);
            add(&format!("encoder.layer.0.{name}.bias"), &[rows]);
        }
        Tiny {
            config: serde_json::json!({
                "model_type": "bert", "hidden_size": 4, "intermediate_size": 12,
                "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 6,
                "type_vocab_size": 2, "vocab_size": 8, "layer_norm_eps": 1e-12
            }),
            tokenizer: serde_json::json!({
                "model": {"type": "WordPiece", "vocab": {
                    "[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "play": 4, "##ing": 5, "the": 6
                }},
                "added_tokens": [
                    {"id": 0, "content": "[PAD]", "special": true},
                    {"id": 1, "content": "[UNK]", "special": true},
                    {"id": 2, "content": "[CLS]", "special": true},
                    {"id": 3, "content": "[SEP]", "special": true}
                ],
                "normalizer": {"type": "BertNormalizer", "lowercase": true, "strip_accents": null}
            }),
            tensors,
        }
    }

    fn convert(&self) -> (tempfile::TempDir, Result<PathBuf, Error>) {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        std::fs::write(dir.join("config.json"), self.config.to_string()).unwrap();
        std::fs::write(dir.join("tokenizer.json"), self.tokenizer.to_string()).unwrap();
        let bytes: Vec<u8> = (0..64_u8)
            .flat_map(|value| f32::from(value).to_le_bytes())
            .collect();
        let views = self.tensors.iter().map(|(name, shape)| {
            let len = shape.iter().product::<usize>() * 4;
            let view =
                safetensors::tensor::TensorView::new(Dtype::F32, shape.clone(), &bytes[..len]);
            (name.clone(), view.unwrap())
        });
        safetensors::serialize_to_file(views, None, &dir.join("model.safetensors")).unwrap();
        let out = dir.join("out.gguf");
        let result = convert_bert(dir, &out, FloatType::F32).map(|()| out);
        (temp, result)
    }

    fn error(&self) -> String {
        let (temp, result) = self.convert();
        let message = result.unwrap_err().to_string();
        assert!(!temp.path().join("out.gguf").exists());
        assert!(!temp.path().join("out.gguf.part").exists());
        message
    }
}

#[test]
fn a_tiny_model_converts() {
    let (_temp, out) = Tiny::new().convert();
    let gguf = Gguf::open(&out.unwrap()).unwrap();
    let tokens = gguf.texts("tokenizer.ggml.tokens").unwrap().unwrap();
    let want = [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁play", "ing", "▁the", "[PAD7]",
    ];
    assert_eq!(tokens.iter().collect::<Vec<_>>(), want);
    let kinds = gguf.u64s("tokenizer.ggml.token_type").unwrap().unwrap();
    assert_eq!(kinds, [3, 3, 3, 3, 1, 1, 1, 5]);
    let down = gguf.tensor("blk.0.ffn_down.weight").unwrap();
    assert_eq!(down.shape, [4, 12]);
    assert_eq!(down.bytes[44..48], 11_f32.to_le_bytes());

    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    let ids = tokenizer.encode("Playing thé x", AddSpecial::Yes).unwrap();
    assert_eq!(ids, [2, 4, 5, 6, 1, 3]);
    assert_eq!(
        tokenizer.decode(&ids[..4], Specials::Keep),
        "[CLS]playing the"
    );
    assert!(tokenizer.adds_bos() && tokenizer.adds_eos());
}

#[test]
fn what_does_not_fit_is_named() {
    let mut other = Tiny::new();
    other.config["model_type"] = "distilbert".into();
    assert!(other.error().contains("model_type: 'distilbert'"));

    let mut act = Tiny::new();
    act.config["hidden_act"] = "relu".into();
    assert!(act.error().contains("hidden_act: 'relu'"));

    let mut heads = Tiny::new();
    heads.config["num_attention_heads"] = 3.into();
    assert!(
        heads
            .error()
            .contains("4 values do not divide between 3 heads")
    );

    let mut missing = Tiny::new();
    missing
        .config
        .as_object_mut()
        .unwrap()
        .remove("hidden_size");
    assert!(missing.error().contains("missing field `hidden_size`"));

    let mut shape = Tiny::new();
    shape.config["intermediate_size"] = 16.into();
    assert!(
        shape
            .error()
            .contains("has shape [12, 4], expected [16, 4]")
    );

    let mut layers = Tiny::new();
    layers.config["num_hidden_layers"] = 2.into();
    assert!(
        layers
            .error()
            .contains("'encoder.layer.1.attention.self.query.weight' is missing")
    );

    let mut large = Tiny::new();
    large.tokenizer["model"]["vocab"]["far"] = u32::MAX.into();
    assert!(large.error().contains("the embedding has 8 rows"));

    let mut rows = Tiny::new();
    rows.config["vocab_size"] = u64::MAX.into();
    assert!(rows.error().contains("18446744073709551615 rows"));

    let mut unknown = Tiny::new();
    unknown.tokenizer["model"]["vocab"]
        .as_object_mut()
        .unwrap()
        .remove("[CLS]");
    unknown.tokenizer["added_tokens"]
        .as_array_mut()
        .unwrap()
        .remove(2);
    assert!(unknown.error().contains("has no token '[CLS]'"));
}

#[test]
fn a_size_of_zero_is_named() {
    for field in [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "max_position_embeddings",
        "type_vocab_size",
        "vocab_size",
    ] {
        let mut tiny = Tiny::new();
        tiny.config[field] = 0.into();
        let error = tiny.error();
        assert!(
            error.contains(&format!("config.json: {field}: 0 is not a size")),
            "{error}"
        );
    }
}

#[test]
fn a_folder_without_files_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out.gguf");
    let error = convert_bert(temp.path(), &out, FloatType::F32).unwrap_err();
    assert!(error.to_string().contains("config.json"), "{error}");
}
