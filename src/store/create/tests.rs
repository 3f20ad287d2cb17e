//! Models made from other models, GGUF blobs and BERT folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::store::manifest::media_type;
use crate::store::registry::RegistryOptions;
use crate::store::tests::Scratch;
use crate::store::{Digest, Message, ModelName, RequestError, StoredModel};

const F32: u32 = 0;

/// A GGUF file of one tensor `rows x 32`, all zeros, with these text values.
fn gguf(file_type: u32, texts: &[(&str, &str)], rows: u64) -> Vec<u8> {
    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    }
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend(1_u64.to_le_bytes());
    out.extend((2 + texts.len() as u64).to_le_bytes());
    for (key, value) in [("general.file_type", file_type), ("llama.block_count", 1)] {
        text(&mut out, key);
        out.extend(4_u32.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    for (key, value) in texts {
        text(&mut out, key);
        out.extend(8_u32.to_le_bytes());
        text(&mut out, value);
    }
    text(&mut out, "token_embd.weight");
    out.extend(2_u32.to_le_bytes());
    out.extend(32_u64.to_le_bytes());
    out.extend(rows.to_le_bytes());
    out.extend(0_u32.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    out.resize(out.len().next_multiple_of(32) + rows as usize * 32 * 4, 0);
    out
}

/// The smallest model there can be.
pub(in crate::store) fn llama() -> Vec<u8> {
    gguf(F32, &[("general.architecture", "llama")], 64)
}

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

fn request(text: &str) -> CreateRequest {
    CreateRequest::new(name(text))
}

/// Uploads files and names them in a request's way.
fn files(scratch: &Scratch, files: &[(&str, &[u8])]) -> Option<BTreeMap<String, String>> {
    let upload = |(path, bytes): &(&str, &[u8])| {
        (
            path.to_string(),
            scratch.store.put_blob(bytes).unwrap().digest.to_string(),
        )
    };
    Some(files.iter().map(upload).collect())
}

async fn run(scratch: &Scratch, request: CreateRequest) -> Result<Vec<String>, StoreError> {
    let registry = Registry::new(RegistryOptions::new("0.0.0", None)).unwrap();
    let (events, mut lines) = mpsc::channel(4);
    let store = scratch.store.clone();
    let work = tokio::spawn(async move { create(&store, &registry, request, events).await });
    let mut seen = Vec::new();
    while let Some(line) = lines.recv().await {
        seen.push(line.status);
    }
    work.await.unwrap().map(|()| seen)
}

async fn created(scratch: &Scratch, request: CreateRequest) -> (Vec<String>, StoredModel) {
    let name = request.name.clone();
    let seen = run(scratch, request).await.unwrap();
    (seen, scratch.store.load(&name).unwrap())
}

#[tokio::test]
async fn a_gguf_file_becomes_a_model() {
    let scratch = Scratch::new();
    let weights = llama();
    let (seen, model) = created(
        &scratch,
        CreateRequest {
            files: files(&scratch, &[("m.gguf", &weights)]),
            template: Some("{{ .Prompt }}".into()),
            system: Some("be kind".into()),
            licenses: vec!["MIT".into(), String::new(), "BSD".into()],
            parameters: json!({"temperature": 1.0, "stop": ["<|a|>"]})
                .as_object()
                .unwrap()
                .clone(),
            messages: vec![Message {
                role: "user".into(),
                content: "hi".into(),
            }],
            ..request("me/new")
        },
    )
    .await;
    let digest = Digest::of(&weights);
    assert_eq!(seen[0], "parsing GGUF");
    assert_eq!(seen[1], "validating GGUF model");
    assert_eq!(seen[2], format!("using existing layer {digest}"));
    assert!(
        seen[3].starts_with("creating new layer sha256:"),
        "{seen:?}"
    );
    assert_eq!(seen[seen.len() - 2..], ["writing manifest", "success"]);
    assert_eq!(model.model_path, Some(scratch.store.blob_path(&digest)));
    let config = &model.config;
    assert_eq!(
        (
            config.model_format.as_str(),
            config.model_family.as_str(),
            config.model_type.as_str()
        ),
        ("gguf", "llama", "2K")
    );
    assert_eq!(
        config.model_families.as_deref(),
        Some(&["llama".to_owned()][..])
    );
    assert_eq!(config.file_type, "unknown");
    assert_eq!(model.licenses, ["MIT", "BSD"]);
    assert_eq!(model.system.as_deref(), Some("be kind"));
    assert_eq!(model.messages[0].content, "hi");
    let params = model
        .manifest
        .layers
        .iter()
        .find(|l| l.media_type == media_type::PARAMS)
        .unwrap();
    assert_eq!(
        fs::read_to_string(scratch.store.blob_path(&params.digest)).unwrap(),
        "{\"stop\":[\"\\u003c|a|\\u003e\"],\"temperature\":1}\n"
    );
}

#[tokio::test]
async fn a_model_from_another_inherits_merges_and_replaces() {
    let scratch = Scratch::new();
    run(
        &scratch,
        CreateRequest {
            files: files(&scratch, &[("m.gguf", &llama())]),
            template: Some("old".into()),
            system: Some("old".into()),
            licenses: vec!["MIT".into()],
            parameters: json!({"num_ctx": 1, "seed": 1})
                .as_object()
                .unwrap()
                .clone(),
            messages: vec![Message {
                role: "user".into(),
                content: "old".into(),
            }],
            renderer: Some("r".into()),
            requires: Some("0.1.0".into()),
            ..request("base")
        },
    )
    .await
    .unwrap();
    let (_, model) = created(
        &scratch,
        CreateRequest {
            from: Some("BASE:local".into()),
            system: Some("new".into()),
            licenses: vec!["BSD".into()],
            parameters: json!({"num_ctx": 2, "top_k": 3})
                .as_object()
                .unwrap()
                .clone(),
            parser: Some("p".into()),
            ..request("derived")
        },
    )
    .await;
    assert_eq!(model.parent.as_deref(), Some("base:latest"));
    assert_eq!(model.template.as_deref(), Some("old"));
    assert_eq!(model.system.as_deref(), Some("new"));
    assert_eq!(model.licenses, ["MIT", "BSD"]);
    assert_eq!(
        Value::Object(model.params),
        json!({"num_ctx": 2, "seed": 1, "top_k": 3})
    );
    assert_eq!(model.messages[0].content, "old");
    assert_eq!(model.config.renderer.as_deref(), Some("r"));
    assert_eq!(model.config.parser.as_deref(), Some("p"));
    assert_eq!(model.config.requires.as_deref(), Some("0.1.0"));
    assert_eq!(model.config.model_family, "llama");

    // Over itself: what the old one alone had is freed.
    run(
        &scratch,
        CreateRequest {
            from: Some("derived".into()),
            system: Some("newest".into()),
            ..request("DERIVED")
        },
    )
    .await
    .unwrap();
    let model = scratch.store.load(&name("derived")).unwrap();
    assert_eq!(model.system.as_deref(), Some("newest"));
    assert!(!scratch.store.has_blob(&Digest::of(b"new")));
    assert_eq!(scratch.store.names().unwrap().len(), 2);
}

#[tokio::test]
async fn adapters_and_projectors_are_told_by_their_metadata() {
    let scratch = Scratch::new();
    let adapter = gguf(
        F32,
        &[
            ("general.architecture", "llama"),
            ("general.type", "adapter"),
        ],
        1,
    );
    let projector = gguf(
        F32,
        &[("general.architecture", "clip"), ("general.type", "mmproj")],
        2,
    );
    let (_, model) = created(
        &scratch,
        CreateRequest {
            files: files(&scratch, &[("m.gguf", &llama()), ("p", &projector)]),
            adapters: files(&scratch, &[("a.gguf", &adapter)]),
            ..request("m")
        },
    )
    .await;
    assert_eq!(
        model.adapter_paths,
        [scratch.store.blob_path(&Digest::of(&adapter))]
    );
    assert_eq!(
        model.projector_paths,
        [scratch.store.blob_path(&Digest::of(&projector))]
    );
    assert_eq!(
        model.config.model_families.as_deref(),
        Some(&["llama".to_owned()][..])
    );
}

#[tokio::test]
async fn weights_are_quantised_on_request() {
    let scratch = Scratch::new();
    let (seen, model) = created(
        &scratch,
        CreateRequest {
            files: files(&scratch, &[("m.gguf", &llama())]),
            quantize: Some("q8_0".into()),
            ..request("m")
        },
    )
    .await;
    assert!(
        seen.contains(&"quantizing F32 model to Q8_0".to_owned()),
        "{seen:?}"
    );
    assert_eq!(model.config.file_type, "Q8_0");
    let error = run(
        &scratch,
        CreateRequest {
            from: Some("m".into()),
            quantize: Some("Q4_K_M".into()),
            ..request("n")
        },
    )
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "quantization is only supported for F16, BF16 and F32 models"
    );
    assert!(matches!(
        scratch.store.load(&name("n")),
        Err(StoreError::NotFound(_))
    ));
}

#[tokio::test]
async fn a_bert_folder_is_converted() {
    let scratch = Scratch::new();
    let bert = bert_folder();
    let list: Vec<(&str, &[u8])> = bert
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
        .collect();
    let (seen, model) = created(
        &scratch,
        CreateRequest {
            files: files(&scratch, &list),
            ..request("b")
        },
    )
    .await;
    assert_eq!(seen[..2], ["converting model", "verifying conversion"]);
    assert_eq!(model.config.model_family, "bert");
    assert_eq!(model.config.file_type, "F16");
    let leftovers: BTreeSet<String> = scratch
        .blob_files()
        .into_iter()
        .filter(|file| file.len() != 71)
        .collect();
    assert_eq!(leftovers, BTreeSet::new());
}

/// The files of a BERT of one layer, all weights zero.
fn bert_folder() -> Vec<(String, Vec<u8>)> {
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    let mut add = |name: &str, shape: &[usize]| shapes.push((name.to_owned(), shape.to_vec()));
    add("embeddings.word_embeddings.weight", &[8, 4]);
    add("embeddings.position_embeddings.weight", &[6, 4]);
    add("embeddings.token_type_embeddings.weight", &[2, 4]);
    for part in ["weight", "bias"] {
        add(&format!("embeddings.LayerNorm.{part}"), &[4]);
        add(
            &format!("encoder.layer.0.attention.output.LayerNorm.{part}"),
            &[4],
        );
        add(&format!("encoder.layer.0.output.LayerNorm.{part}"), &[4]);
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
    let mut header = serde_json::Map::new();
    let mut offset = 0;
    for (name, shape) in shapes {
        let end = offset + shape.iter().product::<usize>() * 4;
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [offset, end]});
        header.insert(name, entry);
        offset = end;
    }
    let header = Value::Object(header).to_string();
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend(header.as_bytes());
    weights.resize(weights.len() + offset, 0);
    let config = json!({
        "model_type": "bert", "hidden_size": 4, "intermediate_size": 12, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 6, "type_vocab_size": 2,
        "vocab_size": 8, "layer_norm_eps": 1e-12
    });
    vec![
        ("model.safetensors".to_owned(), weights),
        ("config.json".to_owned(), config.to_string().into_bytes()),
        (
            "vocab.txt".to_owned(),
            b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nplay\n##ing\nthe\na\n".to_vec(),
        ),
        (
            "1_Pooling/config.json".to_owned(),
            json!({"pooling_mode_mean_tokens": true})
                .to_string()
                .into_bytes(),
        ),
    ]
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_before_anything_happens() {
    let scratch = Scratch::new();
    let weights = llama();
    let model = files(&scratch, &[("m.gguf", &weights)]);
    let digest = Digest::of(&weights).to_string();
    let path = |path: &str| Some(BTreeMap::from([(path.to_owned(), digest.clone())]));
    let info = |info: Value| info.as_object().unwrap().clone();
    for (request, want) in [
        (request("m"), "neither 'from' or 'files' was specified"),
        (
            CreateRequest {
                files: Some(BTreeMap::new()),
                ..request("m")
            },
            "no files provided to convert",
        ),
        (
            CreateRequest {
                files: path("../m.gguf"),
                ..request("m")
            },
            "file path must be relative",
        ),
        (
            CreateRequest {
                files: path("/m.gguf"),
                ..request("m")
            },
            "file path must be relative",
        ),
        (
            CreateRequest {
                files: path("a//m.gguf"),
                ..request("m")
            },
            "file path must be relative",
        ),
        (
            CreateRequest {
                files: Some(BTreeMap::from([("m".into(), String::new())])),
                ..request("m")
            },
            "invalid digest format",
        ),
        (
            CreateRequest {
                files: model.clone(),
                quantize: Some("q2_k".into()),
                ..request("m")
            },
            "unsupported quantization type Q2_K - supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0",
        ),
        (
            CreateRequest {
                from: Some("m".into()),
                remote_host: Some("h".into()),
                ..request("m")
            },
            "bad remote",
        ),
        (
            CreateRequest {
                files: model.clone(),
                info: info(json!({"base_name": 1})),
                ..request("m")
            },
            "info field \"base_name\" must be a string",
        ),
        (
            CreateRequest {
                files: model.clone(),
                info: info(json!({"context_length": "x"})),
                ..request("m")
            },
            "info field \"context_length\" must be a number",
        ),
        (
            CreateRequest {
                files: model.clone(),
                info: info(json!({"context_length": -1})),
                ..request("m")
            },
            "info field \"context_length\" must be a non-negative integer",
        ),
        (
            CreateRequest {
                files: files(&scratch, &[("m.txt", b"hello")]),
                ..request("m")
            },
            "unknown type",
        ),
        (
            CreateRequest {
                files: files(&scratch, &[("m.gguf", b"hello")]),
                ..request("m")
            },
            "supplied file was not in GGUF format",
        ),
        (
            CreateRequest {
                files: model.clone(),
                adapters: files(&scratch, &[("a.gguf", b"1"), ("b.gguf", b"2")]),
                ..request("m")
            },
            "only one adapter is currently supported",
        ),
        (
            CreateRequest {
                from: Some("x:cloud".into()),
                ..request("m")
            },
            "ollama cloud is disabled: remote model is unavailable",
        ),
        (
            CreateRequest {
                from: Some("a b".into()),
                ..request("m")
            },
            "invalid model name",
        ),
    ] {
        assert_eq!(run(&scratch, request).await.unwrap_err().to_string(), want);
        assert!(scratch.store.names().unwrap().is_empty());
    }
    let missing = BTreeMap::from([("m.gguf".to_owned(), Digest::of(b"missing").to_string())]);
    let error = run(
        &scratch,
        CreateRequest {
            files: Some(missing),
            ..request("m")
        },
    )
    .await;
    assert!(matches!(error, Err(StoreError::BlobNotFound(_))));
    assert!(matches!(
        request("m").check(),
        Err(StoreError::Request(RequestError::NeitherFromNorFiles))
    ));
}

#[tokio::test]
async fn a_truncated_file_is_named_and_leaves_the_old_model() {
    let scratch = Scratch::new();
    let (_, before) = created(
        &scratch,
        CreateRequest {
            files: files(&scratch, &[("m.gguf", &llama())]),
            ..request("m")
        },
    )
    .await;
    let cut = &llama()[..200];
    let error = run(
        &scratch,
        CreateRequest {
            files: files(&scratch, &[("m.gguf", cut)]),
            ..request("m")
        },
    )
    .await;
    assert!(matches!(error, Err(StoreError::Model(_))), "{error:?}");
    assert_eq!(
        scratch.store.load(&name("m")).unwrap().digest,
        before.digest
    );
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_work() {
    let scratch = Scratch::new();
    let registry = Registry::new(RegistryOptions::new("0.0.0", None)).unwrap();
    let (events, lines) = mpsc::channel(1);
    drop(lines);
    let wanted = CreateRequest {
        files: files(&scratch, &[("m.gguf", &llama())]),
        ..request("m")
    };
    let result = create(&scratch.store, &registry, wanted, events).await;
    assert!(matches!(result, Err(StoreError::Canceled)));
    assert!(scratch.store.names().unwrap().is_empty());
}
