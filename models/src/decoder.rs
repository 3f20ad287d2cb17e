//! What the engine sees of a decoder model: a step over a batch of token runs, and a paged key-value cache.

use wick_kernels::{Kernels, KvType};

use crate::native::NativeDecoder;
use crate::spec::{DecoderSpec, NATIVE_ARCHITECTURES};
use crate::{Error, Gguf, fallback};

/// Consecutive tokens of one sequence in a step.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Token ids, at least one.
    pub tokens: &'a [u32],
    /// Position of the first token in its sequence; the cache holds all earlier ones.
    pub start: usize,
    /// Cache blocks of the sequence in order, enough for `start + tokens.len()` positions. Two segments of a step may
    /// share blocks that are already full, none that this step writes to.
    pub blocks: &'a [u32],
    /// Tokens whose logits are wanted.
    pub output: Output,
}

/// Which tokens of a segment logits are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// None: a part of a prompt before its last token.
    None,
    /// The last token.
    Last,
    /// Every token: the check of drafted tokens.
    All,
}

impl Segment<'_> {
    /// Rows of the segment that logits are wanted for.
    pub fn output_rows(&self) -> std::ops::Range<usize> {
        let rows = self.tokens.len();
        match self.output {
            Output::None => rows..rows,
            Output::Last => rows.saturating_sub(1)..rows,
            Output::All => 0..rows,
        }
    }
}

/// Shape of a loaded decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderInfo {
    /// `general.architecture` of the file.
    pub architecture: String,
    /// Positions the model was made for, as the file declares.
    pub context_tokens: usize,
    /// Length of a row of logits.
    pub vocab_size: usize,
    /// Length of a row of hidden states.
    pub embedding_length: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Bytes of cache that one token takes in all layers.
    pub kv_bytes_per_token: usize,
    /// False: the model keeps its own cache for one sequence at a time. Then a step has one segment, its start is 0 (a
    /// new sequence) or the number of tokens so far, and blocks are ignored.
    pub paged: bool,
}

/// A loaded decoder model with its cache.
pub trait Decoder: Send {
    /// Shape of the model.
    fn info(&self) -> &DecoderInfo;

    /// Makes a cache of `blocks` blocks of [`wick_kernels::BLOCK_TOKENS`] tokens and scratch for steps of at most
    /// `batch_tokens` tokens. What the cache held is lost.
    ///
    /// # Errors
    /// Sizes beyond what can be addressed or allocated; then what was reserved before may be gone as well.
    fn reserve(&mut self, blocks: usize, batch_tokens: usize) -> Result<(), Error>;

    /// One step over a batch. Logits rows (`vocab_size` each) in order of segments: one per [`Output::Last`],
    /// `tokens.len()` per [`Output::All`].
    ///
    /// # Errors
    /// Token ids, blocks or sizes out of range; nothing was computed then.
    fn forward(&mut self, segments: &[Segment<'_>]) -> Result<&[f32], Error>;

    /// As [`Decoder::forward`], but final normed hidden states, one row (`embedding_length`) per token.
    ///
    /// # Errors
    /// As `forward`; a model that is not paged has no hidden states to give.
    fn hidden(&mut self, segments: &[Segment<'_>]) -> Result<&[f32], Error>;

    /// Copies one block of the cache in every layer: copy-on-write of a partly filled block.
    fn copy_block(&mut self, from: u32, to: u32);

    /// Bytes held for weights, cache and scratch.
    fn resident_bytes(&self) -> usize;

    /// Name of the kernel table in use.
    fn isa(&self) -> &'static str;
}

/// How to run a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Threads to compute with; 0 means [`crate::default_threads`].
    pub threads: usize,
    /// Kernel table; None means the fastest this machine has.
    pub kernels: Option<&'static Kernels>,
    /// How a paged cache stores keys and values; other models keep what they have.
    pub kv_type: KvType,
}

impl LoadOptions {
    pub(crate) fn thread_count(&self) -> usize {
        if self.threads == 0 {
            crate::default_threads()
        } else {
            self.threads
        }
    }

    pub(crate) fn kernel_table(&self) -> &'static Kernels {
        self.kernels.unwrap_or_else(Kernels::best)
    }
}

/// Loads a decoder: by our own forward pass where the family has one, through candle-transformers otherwise.
///
/// # Errors
/// A file whose keys or tensors do not fit the family, naming file and field; an architecture nobody here can run.
pub fn load_decoder(gguf: &Gguf, options: &LoadOptions) -> Result<Box<dyn Decoder>, Error> {
    if fallback::wants(gguf)? || !NATIVE_ARCHITECTURES.contains(&gguf.architecture()) {
        return Ok(Box::new(fallback::FallbackDecoder::load(gguf)?));
    }
    let spec = DecoderSpec::from_gguf(gguf)?;
    Ok(Box::new(NativeDecoder::load(gguf, spec, options)?))
}

/// Loads a Llama file through candle-transformers: what the native forward pass is measured against.
///
/// # Errors
/// As [`load_decoder`].
pub fn load_candle(gguf: &Gguf) -> Result<Box<dyn Decoder>, Error> {
    Ok(Box::new(fallback::FallbackDecoder::load(gguf)?))
}
