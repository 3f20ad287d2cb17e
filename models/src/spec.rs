//! What differs between decoder families, read from a GGUF file's metadata.

mod rope;

use wick_kernels::{Nonlinearity, Pairing};

use crate::{Error, Gguf};
pub use rope::{Rope, RopeScaling, RopeTable};

/// Shape and options of a decoder. The forward pass, the caches and the sampling do not know the family.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderSpec {
    /// `general.architecture`: the prefix of every key.
    pub architecture: String,
    /// Transformer blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub embedding_length: usize,
    /// Width between gate/up and down.
    pub feed_forward_length: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head of Q, K and V.
    pub head_dim: usize,
    /// Rows of the embedding and output matrices.
    pub vocab_size: usize,
    /// Positions the model was made for, as the file declares.
    pub context_tokens: usize,
    /// Added to the mean square in every RMS norm.
    pub norm_epsilon: f32,
    /// Q, K and V have biases (Qwen2). Other families may carry them, then they are used too.
    pub qkv_bias: bool,
    /// Q and K heads are normed before the rotation (Qwen3, Gemma 3).
    pub qk_norm: bool,
    /// Q, K and V are one tensor, gate and up another (Phi 3).
    pub fused: bool,
    /// Norms behind attention and feed-forward, before the residual (Gemma 3).
    pub post_norms: bool,
    /// Factor on the embedding rows (Gemma: the square root of the width).
    pub embedding_scale: Option<f32>,
    /// Factor on the products of queries and keys.
    pub attention_scale: f32,
    /// Rotary position embedding of the layers that see everything.
    pub rope: Rope,
    /// Gate activation.
    pub activation: Nonlinearity,
    /// Layers that see only the latest tokens.
    pub window: Option<SlidingWindow>,
}

/// Which layers see only the latest `tokens` tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct SlidingWindow {
    /// Tokens a row sees, itself included.
    pub tokens: usize,
    /// Every `global_every`-th layer sees everything; None: no layer does.
    pub global_every: Option<usize>,
    /// Rotation in the layers with a window where it differs from the others' (Gemma 3).
    pub rope: Option<Rope>,
}

impl SlidingWindow {
    /// Whether `layer` (from 0) is limited to the window.
    pub fn covers(&self, layer: usize) -> bool {
        self.global_every
            .is_none_or(|every| !(layer + 1).is_multiple_of(every))
    }
}

/// Architectures with a forward pass of our own.
pub const NATIVE_ARCHITECTURES: [&str; 5] = ["llama", "qwen2", "qwen3", "gemma3", "phi3"];

/// Limits on what a file may claim, far above any real model: products of a few of them stay within 64 bits, and a
/// claim beyond them is refused before anything is allocated.
const MAX_LAYERS: u64 = 1 << 12;
const MAX_WIDTH: u64 = 1 << 20;
const MAX_CONTEXT: u64 = 1 << 31;

impl DecoderSpec {
    /// Reads the spec of a model whose architecture is one of [`NATIVE_ARCHITECTURES`].
    ///
    /// # Errors
    /// A key that is missing, of another type or out of range, naming file and key; an architecture not in the list.
    pub fn from_gguf(gguf: &Gguf) -> Result<DecoderSpec, Error> {
        let keys = Keys(gguf);
        let architecture = gguf.architecture().to_owned();
        if !NATIVE_ARCHITECTURES.contains(&architecture.as_str()) {
            return Err(Error::Architecture {
                path: gguf.path().to_owned(),
                architecture,
            });
        }
        let gemma = architecture == "gemma3";
        let embedding_length = keys.size("embedding_length", MAX_WIDTH)?;
        let heads = keys.size("attention.head_count", MAX_WIDTH)?;
        let kv_heads = keys.size_or("attention.head_count_kv", MAX_WIDTH, heads)?;
        if heads % kv_heads != 0 {
            let what = format!("{heads} heads cannot share {kv_heads} key and value heads evenly");
            return Err(keys.bad("attention.head_count_kv", what));
        }
        let head_dim = keys.size_or(
            "attention.key_length",
            MAX_WIDTH,
            (embedding_length / heads).max(1),
        )?;
        let value_dim = keys.size_or("attention.value_length", MAX_WIDTH, head_dim)?;
        if value_dim != head_dim {
            let what = format!("values of {value_dim} beside keys of {head_dim} are not supported");
            return Err(keys.bad("attention.value_length", what));
        }
        if heads as u64 * head_dim as u64 > MAX_WIDTH {
            let what = format!("{heads} heads of {head_dim} are wider than {MAX_WIDTH}");
            return Err(keys.bad("attention.head_count", what));
        }
        let pairing = if architecture == "llama" {
            Pairing::Adjacent
        } else {
            Pairing::Halves
        };
        let rope = Rope::from_gguf(gguf, head_dim, pairing)?;
        Ok(DecoderSpec {
            layers: keys.size("block_count", MAX_LAYERS)?,
            feed_forward_length: keys.size("feed_forward_length", MAX_WIDTH)?,
            vocab_size: vocab_size(gguf)?,
            context_tokens: context_tokens(&keys, &rope)?,
            norm_epsilon: keys.positive("attention.layer_norm_rms_epsilon")?,
            qkv_bias: architecture == "qwen2",
            qk_norm: architecture == "qwen3" || gemma,
            fused: architecture == "phi3",
            post_norms: gemma,
            embedding_scale: gemma.then(|| (embedding_length as f32).sqrt()),
            attention_scale: attention_scale(&keys, embedding_length / heads, head_dim)?,
            activation: if gemma {
                Nonlinearity::GeluTanh
            } else {
                Nonlinearity::Silu
            },
            window: window(&keys, &architecture, &rope)?,
            embedding_length,
            heads,
            kv_heads,
            head_dim,
            rope,
            architecture,
        })
    }
}

/// What the file declares; with LongRope, whose factors depend on the length, what the shorter ones are good for.
fn context_tokens(keys: &Keys<'_>, rope: &Rope) -> Result<usize, Error> {
    let declared = keys.size("context_length", MAX_CONTEXT)?;
    if keys.0.architecture() != "phi3" || rope.factors.is_none() {
        return Ok(declared);
    }
    Ok(keys
        .size_or(
            "rope.scaling.original_context_length",
            MAX_CONTEXT,
            declared,
        )?
        .min(declared))
}

/// One over the square root of the head's width. Gemma 3 27B, known by its 62 layers, was trained with that of its
/// width per head, 168, though its heads have 128 lanes.
fn attention_scale(keys: &Keys<'_>, width_per_head: usize, head_dim: usize) -> Result<f32, Error> {
    let gemma_27b =
        keys.0.architecture() == "gemma3" && keys.size("block_count", MAX_LAYERS)? == 62;
    let width = if gemma_27b {
        width_per_head.max(1)
    } else {
        head_dim
    };
    Ok(1.0 / (width as f32).sqrt())
}

/// The window of Mistral (all layers) and Gemma 3 (five layers of six). Other families carry the key without using it.
fn window(
    keys: &Keys<'_>,
    architecture: &str,
    rope: &Rope,
) -> Result<Option<SlidingWindow>, Error> {
    let tokens = match architecture {
        "llama" | "gemma3" => keys
            .optional("attention.sliding_window", MAX_CONTEXT)?
            .unwrap_or(0),
        _ => 0,
    };
    if tokens == 0 {
        return Ok(None);
    }
    if architecture == "llama" {
        return Ok(Some(SlidingWindow {
            tokens,
            global_every: None,
            rope: None,
        }));
    }
    let base = keys.0.arch_f32("rope.local_freq_base")?.unwrap_or(10_000.0);
    let local = Rope {
        base: f64::from(base),
        scaling: RopeScaling::None,
        factors: None,
        magnitude: 1.0,
        ..rope.clone()
    };
    local.check(keys.0)?;
    Ok(Some(SlidingWindow {
        tokens,
        global_every: Some(6),
        rope: Some(local),
    }))
}

/// The embedding matrix says how many tokens there are; the vocabulary may be shorter than a padded matrix.
pub(crate) fn vocab_size(gguf: &Gguf) -> Result<usize, Error> {
    let shape = gguf.tensor("token_embd.weight")?.shape.to_vec();
    match shape[..] {
        [rows, _] if rows > 0 => Ok(rows),
        _ => Err(crate::weights::bad_tensor(
            gguf,
            "token_embd.weight",
            format!("shape {shape:?} is not a matrix"),
        )),
    }
}

/// Keys below the architecture's prefix, with their ranges checked.
pub(crate) struct Keys<'a>(pub(crate) &'a Gguf);

impl Keys<'_> {
    /// A size from 1 to `max`.
    pub(crate) fn size(&self, key: &str, max: u64) -> Result<usize, Error> {
        match self.optional(key, max)? {
            Some(0) => Err(self.bad(key, "0 is not a size".to_owned())),
            Some(size) => Ok(size),
            None => Err(Error::MissingKey {
                path: self.0.path().to_owned(),
                key: self.0.arch_key(key),
            }),
        }
    }

    /// A size from 1 to `max`, `default` where the key is absent.
    pub(crate) fn size_or(&self, key: &str, max: u64, default: usize) -> Result<usize, Error> {
        match self.optional(key, max)? {
            None => Ok(default),
            Some(_) => self.size(key, max),
        }
    }

    /// A number from 0 to `max`, None where the key is absent.
    pub(crate) fn optional(&self, key: &str, max: u64) -> Result<Option<usize>, Error> {
        match self.0.arch_u64(key)? {
            None => Ok(None),
            Some(value) if value <= max => Ok(Some(value as usize)),
            Some(value) => Err(self.bad(key, format!("{value} is above the limit of {max}"))),
        }
    }

    /// A finite number above zero.
    pub(crate) fn positive(&self, key: &str) -> Result<f32, Error> {
        let value = self.0.require_arch_f32(key)?;
        if !(value.is_finite() && value > 0.0) {
            return Err(self.bad(key, format!("{value} is not a positive number")));
        }
        Ok(value)
    }

    pub(crate) fn bad(&self, key: &str, what: String) -> Error {
        bad_key(self.0, key, what)
    }
}

/// An error about a key; `key` without the architecture's prefix unless it starts with `general.`.
pub(crate) fn bad_key(gguf: &Gguf, key: &str, what: String) -> Error {
    let field = if key.starts_with("general.") {
        key.to_owned()
    } else {
        gguf.arch_key(key)
    };
    Error::malformed(gguf.path(), field, what)
}
