//! The forward pass of all native decoder families: one body over a [`DecoderSpec`].

mod buffers;
mod layer;
mod step;

use wick_kernels::{BLOCK_TOKENS, Kernels, Norm, Projection, Scratch, Weight};

use crate::decoder::{Decoder, DecoderInfo, LoadOptions, Segment};
use crate::kv::{KvCache, KvShape};
use crate::pool::Pool;
use crate::spec::{DecoderSpec, RopeTable};
use crate::weights::Loader;
use crate::{Error, Gguf};
use buffers::{Buffers, grown};
use layer::Layer;
use step::Rows;

/// Widest step that can be reserved; far above what fits into memory at once.
pub(crate) const MAX_BATCH_TOKENS: usize = 1 << 20;

/// A decoder whose weights are packed for this machine's kernels and whose cache is paged.
pub(crate) struct NativeDecoder {
    info: DecoderInfo,
    weights: Weights,
    kernels: &'static Kernels,
    pool: Pool,
    kv_shape: KvShape,
    cache: KvCache,
    buffers: Buffers,
    scratch: Scratch,
}

struct Weights {
    spec: DecoderSpec,
    rope: RopeTable,
    /// Rotation of the layers with a window, where it differs.
    window_rope: Option<RopeTable>,
    embedding: Weight,
    layers: Vec<Layer>,
    output_norm: Vec<f32>,
    /// None: the embedding matrix is the output matrix too.
    output: Option<Weight>,
}

impl NativeDecoder {
    /// Packs the tensors `spec` asks for. The file may be closed afterwards.
    pub(crate) fn load(
        gguf: &Gguf,
        spec: DecoderSpec,
        options: &LoadOptions,
    ) -> Result<NativeDecoder, Error> {
        let (kernels, pool) = (options.kernel_table(), Pool::new(options.thread_count()));
        let weights = Weights::load(
            &Loader {
                gguf,
                kernels,
                pool: &pool,
            },
            spec,
        )?;
        let spec = &weights.spec;
        let kv_shape = KvShape {
            kv_type: options.kv_type,
            kv_heads: spec.kv_heads,
            head_dim: spec.head_dim,
        };
        let info = DecoderInfo {
            architecture: spec.architecture.clone(),
            context_tokens: spec.context_tokens,
            vocab_size: spec.vocab_size,
            embedding_length: spec.embedding_length,
            layers: spec.layers,
            heads: spec.heads,
            kv_heads: spec.kv_heads,
            head_dim: spec.head_dim,
            kv_bytes_per_token: spec.layers * kv_shape.token_bytes(),
            paged: true,
        };
        Ok(NativeDecoder {
            info,
            weights,
            kernels,
            pool,
            kv_shape,
            cache: KvCache::default(),
            buffers: Buffers::default(),
            scratch: Scratch::default(),
        })
    }

    /// Refuses what would index out of range later on; returns the number of tokens.
    fn check(&self, segments: &[Segment<'_>]) -> Result<usize, Error> {
        let mut rows = 0;
        for (index, segment) in segments.iter().enumerate() {
            let fail = |problem| {
                Err(Error::Batch {
                    segment: index,
                    problem,
                })
            };
            if segment.tokens.is_empty() {
                return fail("it has no tokens".to_owned());
            }
            let vocab_size = self.info.vocab_size;
            if let Some(token) = segment
                .tokens
                .iter()
                .find(|&&token| token as usize >= vocab_size)
            {
                return fail(format!(
                    "token {token} is outside the vocabulary of {vocab_size}"
                ));
            }
            let end = segment.start.saturating_add(segment.tokens.len());
            let capacity = segment.blocks.len().saturating_mul(BLOCK_TOKENS);
            if end > capacity {
                return fail(format!(
                    "{end} positions do not fit into {} blocks",
                    segment.blocks.len()
                ));
            }
            let blocks = self.cache.blocks();
            if let Some(block) = segment
                .blocks
                .iter()
                .find(|&&block| block as usize >= blocks)
            {
                return fail(format!("block {block} is outside the cache of {blocks}"));
            }
            rows += segment.tokens.len();
            if rows > self.buffers.rows() {
                return fail(format!(
                    "the step has more than the {} tokens reserved",
                    self.buffers.rows()
                ));
            }
        }
        Ok(rows)
    }
}

impl Decoder for NativeDecoder {
    fn info(&self) -> &DecoderInfo {
        &self.info
    }

    fn reserve(&mut self, blocks: usize, batch_tokens: usize) -> Result<(), Error> {
        let spec = &self.weights.spec;
        let fail = |problem| Error::Reserve {
            blocks,
            batch_tokens,
            problem,
        };
        if batch_tokens > MAX_BATCH_TOKENS {
            return Err(fail("the step is too wide"));
        }
        if u32::try_from(blocks).is_err() {
            return Err(fail("blocks are numbered in 32 bits"));
        }
        // The old ones go first, so that both are never held at once.
        self.cache = KvCache::default();
        self.buffers = Buffers::default();
        let cache = KvCache::new(spec.layers, blocks, self.kv_shape);
        let cache = cache.ok_or_else(|| fail("not enough memory"))?;
        let buffers = Buffers::new(spec, batch_tokens);
        self.buffers = buffers.ok_or_else(|| fail("not enough memory"))?;
        self.cache = cache;
        Ok(())
    }

    fn forward(&mut self, segments: &[Segment<'_>]) -> Result<&[f32], Error> {
        self.check(segments)?;
        let rows = self.layers(segments, Rows::Outputs);
        let weights = &self.weights;
        let spec = &weights.spec;
        let logits = grown(&mut self.buffers.logits, rows * spec.vocab_size);
        if rows > 0 {
            let out = Projection {
                weight: weights.output.as_ref().unwrap_or(&weights.embedding),
                out: &mut *logits,
                accumulate: false,
            };
            let norm = Norm {
                weight: &weights.output_norm,
                eps: spec.norm_epsilon,
            };
            let hidden = &self.buffers.hidden[..rows * spec.embedding_length];
            self.kernels.project_normed(
                hidden,
                rows,
                norm,
                &mut [out],
                &mut self.scratch,
                &self.pool,
            );
        }
        Ok(logits)
    }

    fn hidden(&mut self, segments: &[Segment<'_>]) -> Result<&[f32], Error> {
        self.check(segments)?;
        let rows = self.layers(segments, Rows::All);
        let spec = &self.weights.spec;
        let len = rows * spec.embedding_length;
        let normed = grown(&mut self.buffers.normed, len);
        let hidden = &self.buffers.hidden[..len];
        self.kernels
            .rms_norm(hidden, &self.weights.output_norm, spec.norm_epsilon, normed);
        Ok(normed)
    }

    fn copy_block(&mut self, from: u32, to: u32) {
        self.cache.copy_block(from as usize, to as usize);
    }

    fn resident_bytes(&self) -> usize {
        self.weights.bytes() + self.cache.bytes() + self.buffers.bytes()
    }

    fn isa(&self) -> &'static str {
        self.kernels.isa.name()
    }
}

impl Weights {
    fn load(loader: &Loader<'_>, spec: DecoderSpec) -> Result<Weights, Error> {
        let (vocab, width) = (spec.vocab_size, spec.embedding_length);
        let layers = (0..spec.layers).map(|index| Layer::load(loader, &spec, index));
        let window_rope = spec.window.as_ref().and_then(|window| window.rope.as_ref());
        Ok(Weights {
            rope: spec.rope.table(),
            window_rope: window_rope.map(|rope| rope.table()),
            layers: layers.collect::<Result<_, _>>()?,
            embedding: loader.matrix("token_embd.weight", vocab, width)?,
            output_norm: loader.vector("output_norm.weight", width)?,
            output: match loader.gguf.has_tensor("output.weight") {
                true => Some(loader.matrix("output.weight", vocab, width)?),
                false => None,
            },
            spec,
        })
    }

    fn bytes(&self) -> usize {
        let matrices = std::iter::once(&self.embedding).chain(&self.output);
        matrices.map(Weight::packed_bytes).sum::<usize>()
            + self.layers.iter().map(Layer::bytes).sum::<usize>()
    }
}
