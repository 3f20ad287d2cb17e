//! Safetensors folders of BERT embedding models to GGUF.

mod config;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use wick_kernels::QuantType;

use crate::Error;
use crate::gguf::{Value, map, write::PlannedTensor};
use crate::quantize::blocks::Rows;
use crate::quantize::{Failure, Output};
use config::{BertConfig, Pooling};
use vocabulary::Words;

/// How a converted model stores its matrices; vectors, positions and token types stay F32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatType {
    /// Four bytes for each weight.
    F32,
    /// Two bytes for each weight.
    F16,
    /// 8.5 bits for each weight.
    Q8_0,
}

impl FloatType {
    const fn quant(self) -> QuantType {
        match self {
            FloatType::F32 => QuantType::F32,
            FloatType::F16 => QuantType::F16,
            FloatType::Q8_0 => QuantType::Q8_0,
        }
    }

    /// Number in `general.file_type`.
    const fn number(self) -> u32 {
        match self {
            FloatType::F32 => 0,
            FloatType::F16 => 1,
            FloatType::Q8_0 => 7,
        }
    }
}

/// Converts the BERT model in `dir` to a GGUF file of architecture `bert`.
///
/// `dir` is laid out as sentence-transformers saves it: `config.json`, `tokenizer.json` or
/// `vocab.txt`, one or more `*.safetensors`, and, where the pooling is not the mean,
/// `modules.json` with the pooling module's `config.json`. `out` appears once it is complete.
///
/// # Errors
/// When a file is missing, names another kind of model, or disagrees with the others about a shape.
pub fn convert_bert(dir: &Path, out: &Path, float: FloatType) -> Result<(), Error> {
    let config = BertConfig::read(dir)?;
    let pooling = Pooling::read(dir)?;
    let words = Words::read(dir, config.vocab_size)?;
    let checkpoint = Checkpoint::open(dir)?;
    let tensors = tensors(&config, &checkpoint, float)?;

    let metadata = metadata(dir, &config, pooling, words, float);
    let pairs: Vec<(&str, &Value)> = metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    let plan: Vec<PlannedTensor> = tensors
        .iter()
        .map(|tensor| PlannedTensor::new(&tensor.name, &tensor.shape, tensor.to))
        .collect();
    let mut output = Output::create(out)?;
    let mut writer = output.start(&pairs, &plan)?;
    for tensor in &tensors {
        let rows = Rows {
            bytes: tensor.bytes,
            from: tensor.from,
            to: tensor.to,
            columns: tensor.shape.last().copied().unwrap_or(1),
        };
        let packed: Result<(), Failure> =
            rows.pack(|blocks, _| writer.part(blocks).map_err(Failure::Write));
        packed.map_err(|failure| failure.at(tensor.file, out, &tensor.name))?;
    }
    output.finish(writer)
}

fn metadata(
    dir: &Path,
    config: &BertConfig,
    pooling: Pooling,
    words: Words,
    float: FloatType,
) -> Vec<(String, Value)> {
    let text = |text: &str| Value::String(text.to_owned());
    let number = |number: usize| Value::U32(u32::try_from(number).unwrap_or(u32::MAX));
    let mut pairs = Vec::new();
    let mut push = |key: &str, value: Value| pairs.push((key.to_owned(), value));
    push("general.architecture", text("bert"));
    push("general.name", text(&config.name(dir)));
    push("general.file_type", Value::U32(float.number()));
    push("general.quantization_version", Value::U32(2));
    push("bert.block_count", number(config.num_hidden_layers));
    push(
        "bert.context_length",
        number(config.max_position_embeddings),
    );
    push("bert.embedding_length", number(config.hidden_size));
    push("bert.feed_forward_length", number(config.intermediate_size));
    push(
        "bert.attention.head_count",
        number(config.num_attention_heads),
    );
    push(
        "bert.attention.layer_norm_epsilon",
        Value::F32(config.layer_norm_eps),
    );
    push("bert.attention.causal", Value::Bool(false));
    push("bert.pooling_type", Value::U32(pooling.number()));
    push(
        "tokenizer.ggml.token_type_count",
        number(config.type_vocab_size),
    );
    push("tokenizer.ggml.model", text("bert"));
    push(
        "tokenizer.ggml.tokens",
        Value::Texts(words.tokens.into_iter().collect()),
    );
    push(
        "tokenizer.ggml.token_type",
        Value::Array(words.kinds.into_iter().map(Value::I32).collect()),
    );
    let ids = [
        ("bos_token_id", Some(words.class)),
        ("cls_token_id", Some(words.class)),
        // The format's own spelling.
        ("seperator_token_id", Some(words.separator)),
        ("unknown_token_id", Some(words.unknown)),
        ("padding_token_id", words.padding),
        ("mask_token_id", words.mask),
    ];
    for (key, id) in ids {
        if let Some(id) = id {
            push(&format!("tokenizer.ggml.{key}"), Value::U32(id));
        }
    }
    for (key, flag) in [
        ("lowercase", words.lowercase),
        ("strip_accents", words.strip_accents),
    ] {
        if let Some(flag) = flag {
            push(
                &format!("tokenizer.ggml.normalizer.{key}"),
                Value::Bool(flag),
            );
        }
    }
    pairs
}

/// A tensor of the checkpoint under its name in GGUF.
struct Converted<'a> {
    name: String,
    shape: Vec<usize>,
    bytes: &'a [u8],
    from: QuantType,
    to: QuantType,
    file: &'a Path,
}

fn tensors<'a>(
    config: &BertConfig,
    checkpoint: &'a Checkpoint,
    float: FloatType,
) -> Result<Vec<Converted<'a>>, Error> {
    let files = checkpoint.parse()?;
    let hidden = config.hidden_size;
    let wide = config.intermediate_size;
    let mut converted = Vec::new();
    let mut add = |name: String, source: String, shape: &[usize]| -> Result<(), Error> {
        converted.push(files.tensor(name, &source, shape, float)?);
        Ok(())
    };
    let embeddings = [
        (
            "token_embd.weight",
            "word_embeddings.weight",
            config.vocab_size,
        ),
        (
            "position_embd.weight",
            "position_embeddings.weight",
            config.max_position_embeddings,
        ),
        (
            "token_types.weight",
            "token_type_embeddings.weight",
            config.type_vocab_size,
        ),
    ];
    for (name, source, rows) in embeddings {
        add(
            name.to_owned(),
            format!("embeddings.{source}"),
            &[rows, hidden],
        )?;
    }
    for part in ["weight", "bias"] {
        let name = format!("token_embd_norm.{part}");
        add(name, format!("embeddings.LayerNorm.{part}"), &[hidden])?;
    }
    let matrices = [
        ("attn_q", "attention.self.query", hidden, hidden),
        ("attn_k", "attention.self.key", hidden, hidden),
        ("attn_v", "attention.self.value", hidden, hidden),
        ("attn_output", "attention.output.dense", hidden, hidden),
        ("ffn_up", "intermediate.dense", wide, hidden),
        ("ffn_down", "output.dense", hidden, wide),
    ];
    let norms = [
        ("attn_output_norm", "attention.output.LayerNorm"),
        ("layer_output_norm", "output.LayerNorm"),
    ];
    for layer in 0..config.num_hidden_layers {
        let target = |name: &str, part: &str| format!("blk.{layer}.{name}.{part}");
        let origin = |name: &str, part: &str| format!("encoder.layer.{layer}.{name}.{part}");
        for (name, source, rows, columns) in matrices {
            let shape = [rows, columns];
            add(target(name, "weight"), origin(source, "weight"), &shape)?;
            add(target(name, "bias"), origin(source, "bias"), &[rows])?;
        }
        for (name, source) in norms {
            add(target(name, "weight"), origin(source, "weight"), &[hidden])?;
            add(target(name, "bias"), origin(source, "bias"), &[hidden])?;
        }
    }
    Ok(converted)
}

/// The safetensors files of a folder, mapped.
struct Checkpoint {
    dir: PathBuf,
    files: Vec<(PathBuf, Mmap)>,
}

impl Checkpoint {
    fn open(dir: &Path) -> Result<Checkpoint, Error> {
        let mut paths = Vec::new();
        for entry in dir.read_dir().map_err(Error::io(dir))? {
            let path = entry.map_err(Error::io(dir))?.path();
            if path.extension().is_some_and(|end| end == "safetensors") {
                paths.push(path);
            }
        }
        paths.sort();
        if paths.is_empty() {
            return Err(Error::malformed(dir, "folder", "has no *.safetensors file"));
        }
        let files = paths.into_iter().map(|path| {
            let file = File::open(&path).map_err(Error::io(&path))?;
            let data = map::map_file(&file).map_err(Error::io(&path))?;
            Ok((path, data))
        });
        Ok(Checkpoint {
            dir: dir.to_owned(),
            files: files.collect::<Result<_, Error>>()?,
        })
    }

    fn parse(&self) -> Result<ParsedCheckpoint<'_>, Error> {
        let mut tensors = BTreeMap::new();
        for (path, data) in &self.files {
            let parsed = SafeTensors::deserialize(data)
                .map_err(|error| Error::malformed(path, "header", error.to_string()))?;
            for (name, view) in parsed.tensors() {
                // Checkpoints of a model with a head have the encoder under this name.
                let name = name.strip_prefix("bert.").unwrap_or(&name).to_owned();
                let stored = Stored {
                    file: path,
                    dtype: view.dtype(),
                    shape: view.shape().to_vec(),
                    bytes: view.data(),
                };
                tensors.insert(name, stored);
            }
        }
        Ok(ParsedCheckpoint {
            dir: &self.dir,
            tensors,
        })
    }
}

struct ParsedCheckpoint<'a> {
    dir: &'a Path,
    tensors: BTreeMap<String, Stored<'a>>,
}

struct Stored<'a> {
    file: &'a Path,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: &'a [u8],
}

impl<'a> ParsedCheckpoint<'a> {
    fn tensor(
        &self,
        name: String,
        source: &str,
        shape: &[usize],
        float: FloatType,
    ) -> Result<Converted<'a>, Error> {
        let stored = self
            .tensors
            .get(source)
            .ok_or_else(|| Error::MissingTensor {
                path: self.dir.to_owned(),
                name: source.to_owned(),
            })?;
        if stored.shape != shape {
            return Err(Error::TensorShape {
                path: stored.file.to_owned(),
                name: source.to_owned(),
                found: stored.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        let from = match stored.dtype {
            Dtype::F32 => QuantType::F32,
            Dtype::F16 => QuantType::F16,
            Dtype::BF16 => QuantType::BF16,
            other => {
                return Err(Error::TensorType {
                    path: stored.file.to_owned(),
                    name: source.to_owned(),
                    type_name: format!("{other:?}"),
                });
            }
        };
        let kept =
            shape.len() < 2 || matches!(&*name, "position_embd.weight" | "token_types.weight");
        let columns = shape.last().copied().unwrap_or(1);
        let to = match float.quant() {
            _ if kept => QuantType::F32,
            quant if columns.is_multiple_of(quant.block_len()) => quant,
            _ => QuantType::F16,
        };
        Ok(Converted {
            name,
            shape: shape.to_vec(),
            bytes: stored.bytes,
            from,
            to,
            file: stored.file,
        })
    }
}
