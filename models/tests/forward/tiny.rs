//! Small models with seeded random weights, written as GGUF by candle.

use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use wick_models::{Decoder, Gguf, LoadOptions, Output, Segment, load_decoder};

/// Every type a weight may have.
pub(crate) const TYPES: [GgmlDType; 13] = [
    GgmlDType::F32,
    GgmlDType::F16,
    GgmlDType::BF16,
    GgmlDType::Q4_0,
    GgmlDType::Q4_1,
    GgmlDType::Q5_0,
    GgmlDType::Q5_1,
    GgmlDType::Q8_0,
    GgmlDType::Q2K,
    GgmlDType::Q3K,
    GgmlDType::Q4K,
    GgmlDType::Q5K,
    GgmlDType::Q6K,
];

/// Shape of a tiny decoder; the fields are DecoderSpec's.
#[derive(Clone)]
pub(crate) struct Shape {
    pub(crate) architecture: &'static str,
    pub(crate) quant: GgmlDType,
    pub(crate) layers: usize,
    pub(crate) width: usize,
    pub(crate) wide: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) vocab: usize,
    pub(crate) tied: bool,
}

/// Grouped queries, an output matrix of its own, rows long enough for K-quants.
pub(crate) const LLAMA: Shape = Shape {
    architecture: "llama",
    quant: GgmlDType::F32,
    layers: 2,
    width: 256,
    wide: 512,
    heads: 8,
    kv_heads: 2,
    head_dim: 32,
    vocab: 160,
    tied: false,
};

/// A model before it is written; tests change it to their needs.
pub(crate) struct Tiny {
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) tensors: Vec<(String, QTensor)>,
    seed: u64,
}

impl Tiny {
    pub(crate) fn empty(architecture: &str) -> Tiny {
        let name = Value::String(architecture.to_owned());
        Tiny {
            metadata: vec![("general.architecture".to_owned(), name)],
            tensors: Vec::new(),
            seed: 1,
        }
    }

    /// A decoder of the family of `shape.architecture`.
    pub(crate) fn decoder(shape: &Shape) -> Tiny {
        let mut tiny = Tiny::empty(shape.architecture);
        let Shape {
            quant,
            width,
            wide,
            head_dim,
            vocab,
            ..
        } = *shape;
        let (q_len, kv_len) = (shape.heads * head_dim, shape.kv_heads * head_dim);
        let architecture = shape.architecture;
        let mut size = |key: &str, value: usize| {
            tiny.set(&format!("{architecture}.{key}"), Value::U32(value as u32))
        };
        size("block_count", shape.layers);
        size("embedding_length", width);
        size("feed_forward_length", wide);
        size("attention.head_count", shape.heads);
        size("attention.head_count_kv", shape.kv_heads);
        size("context_length", 4096);
        size("rope.dimension_count", head_dim);
        if ["qwen3", "gemma3"].contains(&architecture) {
            size("attention.key_length", head_dim);
            size("attention.value_length", head_dim);
        }
        tiny.set(
            &format!("{architecture}.attention.layer_norm_rms_epsilon"),
            Value::F32(1e-5),
        );
        tiny.set(
            &format!("{architecture}.rope.freq_base"),
            Value::F32(10_000.0),
        );
        // Embeddings of unit variance, so that layers add to the stream instead of making it, as in trained models.
        let embedding = tiny.random(vocab * width, 0.0, 3f32.sqrt());
        tiny.put("token_embd.weight", &[vocab, width], embedding, quant);
        if !shape.tied {
            tiny.matrix("output.weight", vocab, width, quant);
        }
        tiny.norm("output_norm.weight", width);
        for layer in 0..shape.layers {
            let name = |part: &str| format!("blk.{layer}.{part}");
            for part in ["attn_norm.weight", "ffn_norm.weight"] {
                tiny.norm(&name(part), width);
            }
            if architecture == "phi3" {
                tiny.matrix(&name("attn_qkv.weight"), q_len + 2 * kv_len, width, quant);
                tiny.matrix(&name("ffn_up.weight"), 2 * wide, width, quant);
            } else {
                tiny.matrix(&name("attn_q.weight"), q_len, width, quant);
                tiny.matrix(&name("attn_k.weight"), kv_len, width, quant);
                tiny.matrix(&name("attn_v.weight"), kv_len, width, quant);
                tiny.matrix(&name("ffn_gate.weight"), wide, width, quant);
                tiny.matrix(&name("ffn_up.weight"), wide, width, quant);
            }
            tiny.residual(&name("attn_output.weight"), shape, q_len);
            tiny.residual(&name("ffn_down.weight"), shape, wide);
            if architecture == "qwen2" {
                for (part, len) in [
                    ("attn_q.bias", q_len),
                    ("attn_k.bias", kv_len),
                    ("attn_v.bias", kv_len),
                ] {
                    tiny.vector(&name(part), len, 0.0, 0.5);
                }
            }
            if ["qwen3", "gemma3"].contains(&architecture) {
                for part in ["attn_q_norm.weight", "attn_k_norm.weight"] {
                    tiny.norm(&name(part), head_dim);
                }
            }
            if architecture == "gemma3" {
                for part in ["post_attention_norm.weight", "post_ffw_norm.weight"] {
                    tiny.norm(&name(part), width);
                }
            }
        }
        tiny
    }

    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.metadata.retain(|(name, _)| name != key);
        self.metadata.push((key.to_owned(), value));
    }

    pub(crate) fn remove_key(&mut self, key: &str) {
        self.metadata.retain(|(name, _)| name != key);
    }

    pub(crate) fn remove_tensor(&mut self, name: &str) {
        self.tensors.retain(|(tensor, _)| tensor != name);
    }

    /// A matrix whose products have about the variance of their inputs.
    pub(crate) fn matrix(&mut self, name: &str, rows: usize, cols: usize, quant: GgmlDType) {
        let spread = (3.0 / cols as f32).sqrt();
        let data = self.random(rows * cols, 0.0, spread);
        self.put(name, &[rows, cols], data, quant);
    }

    /// A matrix that writes to the residual stream: smaller the more layers do, as models are initialised.
    fn residual(&mut self, name: &str, shape: &Shape, cols: usize) {
        let spread = (3.0 / (cols * 2 * shape.layers) as f32).sqrt();
        let data = self.random(shape.width * cols, 0.0, spread);
        self.put(name, &[shape.width, cols], data, shape.quant);
    }

    pub(crate) fn norm(&mut self, name: &str, len: usize) {
        self.vector(name, len, 1.0, 0.2);
    }

    pub(crate) fn vector(&mut self, name: &str, len: usize, middle: f32, spread: f32) {
        let data = self.random(len, middle, spread);
        self.put(name, &[len], data, GgmlDType::F32);
    }

    /// Adds a tensor or replaces the one of that name.
    pub(crate) fn put(&mut self, name: &str, shape: &[usize], data: Vec<f32>, quant: GgmlDType) {
        let tensor = Tensor::from_vec(data, shape, &Device::Cpu).unwrap();
        let tensor = QTensor::quantize(&tensor, quant).unwrap();
        self.remove_tensor(name);
        self.tensors.push((name.to_owned(), tensor));
    }

    /// The tensor as stored, dequantised.
    pub(crate) fn tensor(&self, name: &str) -> Tensor {
        let (_, tensor) = self
            .tensors
            .iter()
            .find(|(tensor, _)| tensor == name)
            .unwrap();
        tensor.dequantize(&Device::Cpu).unwrap()
    }

    /// The values of a tensor as stored, dequantised.
    pub(crate) fn values(&self, name: &str) -> Vec<f32> {
        self.tensor(name).flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Uniform in `middle - spread .. middle + spread` (splitmix64).
    fn random(&mut self, len: usize, middle: f32, spread: f32) -> Vec<f32> {
        let mut next = || {
            self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = self.seed;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((bits ^ (bits >> 31)) >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..len)
            .map(|_| middle + spread * (2.0 * next() - 1.0))
            .collect()
    }

    /// Writes the file into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("tiny.gguf");
        let metadata: Vec<_> = self
            .metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        let tensors: Vec<_> = self
            .tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        write(&mut File::create(&path).unwrap(), &metadata, &tensors).unwrap();
        path
    }

    /// Writes, opens and loads the model; the error's text where that fails.
    pub(crate) fn load(&self, options: &LoadOptions) -> Result<Box<dyn Decoder>, String> {
        let folder = tempfile::tempdir().unwrap();
        let gguf = Gguf::open(&self.write(folder.path())).map_err(|error| error.to_string())?;
        load_decoder(&gguf, options).map_err(|error| error.to_string())
    }
}

/// One sequence fed to a decoder, with blocks `first_block..`.
pub(crate) struct Sequence {
    pub(crate) blocks: Vec<u32>,
    pub(crate) len: usize,
}

impl Sequence {
    pub(crate) fn new(first_block: u32, blocks: u32) -> Sequence {
        Sequence {
            blocks: (first_block..first_block + blocks).collect(),
            len: 0,
        }
    }

    /// Feeds `tokens`, returns the logits asked for.
    pub(crate) fn feed(
        &mut self,
        decoder: &mut dyn Decoder,
        tokens: &[u32],
        output: Output,
    ) -> Vec<f32> {
        let segment = Segment {
            tokens,
            start: self.len,
            blocks: &self.blocks,
            output,
        };
        self.len += tokens.len();
        decoder.forward(&[segment]).unwrap().to_vec()
    }
}

/// `len` token ids below `vocab`, the same for the same seed.
pub(crate) fn tokens(len: usize, vocab: usize, seed: u32) -> Vec<u32> {
    let step = |i: u32| (i + seed).wrapping_mul(2_654_435_761) >> 7;
    (0..len as u32).map(|i| step(i) % vocab as u32).collect()
}
