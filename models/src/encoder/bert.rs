//! BERT and Nomic BERT: every token sees the whole text, norms stand behind each half of a layer.

use wick_kernels::{EncoderAttention, Kernels, Pairing, Projection, Scratch, Weight};

use crate::decoder::LoadOptions;
use crate::native::MAX_BATCH_TOKENS;
use crate::pool::{Pool, for_each};
use crate::spec::{Keys, Rope, RopeTable, vocab_size};
use crate::weights::{LayerNorm, Linear, Loader, bad_tensor};
use crate::{Error, Gguf};

/// Limits on what a file may claim, as for decoders.
const MAX_LAYERS: u64 = 1 << 12;
const MAX_WIDTH: u64 = 1 << 20;

pub(super) struct Bert {
    shape: Shape,
    embedding: Weight,
    /// Learned positions; Nomic turns Q and K instead.
    positions: Positions,
    /// The vector every token of a first sentence gets, where the file has token types.
    token_type: Option<Vec<f32>>,
    embedding_norm: LayerNorm,
    layers: Vec<Layer>,
    kernels: &'static Kernels,
    pool: Pool,
    scratch: Scratch,
    buffers: Buffers,
}

struct Shape {
    embedding_length: usize,
    feed_forward_length: usize,
    /// Layers have a gate (Nomic).
    gated: bool,
    heads: usize,
    vocab_size: usize,
    context_tokens: usize,
    norm_epsilon: f32,
}

enum Positions {
    Learned(Weight),
    Rotary(RopeTable),
}

struct Layer {
    q: Linear,
    k: Linear,
    v: Linear,
    output: Linear,
    output_norm: LayerNorm,
    /// The gate of Nomic's SwiGLU; without one, GELU.
    gate: Option<Linear>,
    up: Linear,
    down: Linear,
    final_norm: LayerNorm,
}

/// One row per token of a batch in each of them.
#[derive(Default)]
struct Buffers {
    /// Rows there is memory for.
    rows: usize,
    hidden: Vec<f32>,
    normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mixed: Vec<f32>,
    /// Empty where layers have no gate.
    gate: Vec<f32>,
    up: Vec<f32>,
}

impl Bert {
    pub(super) fn load(gguf: &Gguf, options: &LoadOptions) -> Result<Bert, Error> {
        let (kernels, pool) = (options.kernel_table(), Pool::new(options.thread_count()));
        let shape = Shape::from_gguf(gguf)?;
        let width = shape.embedding_length;
        let loader = Loader {
            gguf,
            kernels,
            pool: &pool,
        };
        let layers = (0..Keys(gguf).size("block_count", MAX_LAYERS)?)
            .map(|index| Layer::load(&loader, &shape, index));
        let layers = layers.collect::<Result<_, _>>()?;
        let positions = match gguf.architecture() {
            "nomic-bert" => Positions::Rotary(
                Rope::from_gguf(gguf, width / shape.heads, Pairing::Halves)?.table(),
            ),
            _ => Positions::Learned(loader.matrix(
                "position_embd.weight",
                shape.context_tokens,
                width,
            )?),
        };
        Ok(Bert {
            embedding: loader.matrix("token_embd.weight", shape.vocab_size, width)?,
            positions,
            token_type: token_type(&loader, width)?,
            embedding_norm: loader.layer_norm("token_embd_norm", width)?,
            layers,
            kernels,
            scratch: Scratch::default(),
            buffers: Buffers::default(),
            shape,
            pool,
        })
    }

    pub(super) fn context_tokens(&self) -> usize {
        self.shape.context_tokens
    }

    pub(super) fn embedding_length(&self) -> usize {
        self.shape.embedding_length
    }

    pub(super) fn resident_bytes(&self) -> usize {
        let Buffers {
            hidden,
            normed,
            q,
            k,
            v,
            mixed,
            gate,
            up,
            ..
        } = &self.buffers;
        let floats: usize = [hidden, normed, q, k, v, mixed, gate, up]
            .iter()
            .map(|buffer| buffer.len())
            .sum();
        let positions = match &self.positions {
            Positions::Learned(weight) => weight.packed_bytes(),
            Positions::Rotary(_) => 0,
        };
        let layers: usize = self.layers.iter().map(Layer::bytes).sum();
        self.embedding.packed_bytes() + positions + layers + floats * size_of::<f32>()
    }

    /// Vectors of all tokens of `texts`, one row of `embedding_length` each, texts one after the other.
    pub(super) fn states(&mut self, texts: &[&[u32]]) -> Result<&[f32], Error> {
        let vocab_size = self.shape.vocab_size;
        for (segment, text) in texts.iter().enumerate() {
            if let Some(token) = text.iter().find(|&&token| token as usize >= vocab_size) {
                let problem = format!("token {token} is outside the vocabulary of {vocab_size}");
                return Err(Error::Batch { segment, problem });
            }
        }
        let rows = texts.iter().map(|text| text.len()).sum();
        self.buffers.resize(&self.shape, rows)?;
        self.embed(texts);
        for index in 0..self.layers.len() {
            self.attend(index, texts, rows);
            self.feed_forward(index, rows);
        }
        Ok(&self.buffers.hidden)
    }

    /// Sum of token, position and type vectors, normed.
    fn embed(&mut self, texts: &[&[u32]]) {
        let width = self.shape.embedding_length;
        let tokens = texts.iter().flat_map(|text| text.iter().enumerate());
        let sums = self.buffers.normed.chunks_exact_mut(width);
        let spare = self.buffers.q.chunks_exact_mut(width);
        let (kernels, embedding, positions) = (self.kernels, &self.embedding, &self.positions);
        let token_type = &self.token_type;
        for_each(
            &self.pool,
            tokens.zip(sums.zip(spare)),
            |((position, &token), (sum, spare))| {
                embedding.row(token as usize, sum);
                if let Positions::Learned(table) = positions {
                    table.row(position, spare);
                    kernels.add(sum, spare);
                }
                if let Some(token_type) = token_type {
                    kernels.add(sum, token_type);
                }
            },
        );
        self.layer_norm(NormAt::Embedding);
    }

    /// Layer norm of the sums in `normed`, written to `hidden`.
    fn layer_norm(&mut self, at: NormAt) {
        let norm = match at {
            NormAt::Embedding => &self.embedding_norm,
            NormAt::Attention(layer) => &self.layers[layer].output_norm,
            NormAt::FeedForward(layer) => &self.layers[layer].final_norm,
        };
        let (width, kernels, eps) = (
            self.shape.embedding_length,
            self.kernels,
            self.shape.norm_epsilon,
        );
        let rows = self
            .buffers
            .normed
            .chunks_exact(width)
            .zip(self.buffers.hidden.chunks_exact_mut(width));
        for_each(&self.pool, rows, |(sum, out)| {
            kernels.layer_norm(sum, &norm.weight, &norm.bias, eps, out)
        });
    }

    /// Attention within each text, added to `hidden`, into `normed`.
    fn attend(&mut self, index: usize, texts: &[&[u32]], rows: usize) {
        let Bert {
            shape,
            layers,
            kernels,
            pool,
            scratch,
            buffers,
            ..
        } = self;
        let (layer, width, head_dim) = (
            &layers[index],
            shape.embedding_length,
            shape.embedding_length / shape.heads,
        );
        let Buffers {
            hidden,
            normed,
            q,
            k,
            v,
            mixed,
            ..
        } = buffers;
        let projections = &mut [into(&layer.q, q), into(&layer.k, k), into(&layer.v, v)];
        kernels.project(hidden, rows, projections, scratch, pool);
        add_bias(kernels, &layer.q, q);
        add_bias(kernels, &layer.k, k);
        add_bias(kernels, &layer.v, v);
        if let Positions::Rotary(table) = &self.positions {
            let positions = texts.iter().flat_map(|text| 0..text.len());
            let rows = q.chunks_exact_mut(width).zip(k.chunks_exact_mut(width));
            for_each(
                pool,
                positions.zip(rows.zip(mixed.chunks_exact_mut(width))),
                |(position, ((q, k), spare))| {
                    let (cos, rest) = spare.split_at_mut(table.pairs());
                    let sin = &mut rest[..table.pairs()];
                    table.fill(position, cos, sin);
                    kernels.rope(q, head_dim, cos, sin, Pairing::Halves);
                    kernels.rope(k, head_dim, cos, sin, Pairing::Halves);
                },
            );
        }
        let mut first = 0;
        for text in texts {
            let rows = first * width..(first + text.len()) * width;
            let job = EncoderAttention {
                q: &q[rows.clone()],
                k: &k[rows.clone()],
                v: &v[rows.clone()],
                tokens: text.len(),
                heads: shape.heads,
                head_dim,
                scale: 1.0 / (head_dim as f32).sqrt(),
            };
            kernels.encoder_attention(&job, &mut mixed[rows], scratch, pool);
            first += text.len();
        }
        normed.copy_from_slice(hidden);
        let projection = Projection {
            weight: &layer.output.weight,
            out: normed,
            accumulate: true,
        };
        kernels.project(mixed, rows, &mut [projection], scratch, pool);
        add_bias(kernels, &layer.output, normed);
        self.layer_norm(NormAt::Attention(index));
    }

    /// The feed-forward network, added to `hidden`.
    fn feed_forward(&mut self, index: usize, rows: usize) {
        let Bert {
            shape,
            layers,
            kernels,
            pool,
            scratch,
            buffers,
            ..
        } = self;
        let (layer, wide) = (&layers[index], shape.feed_forward_length);
        let Buffers {
            hidden,
            normed,
            gate,
            up,
            ..
        } = buffers;
        let inner = match &layer.gate {
            None => {
                kernels.project(hidden, rows, &mut [into(&layer.up, up)], scratch, pool);
                for_each(pool, up.chunks_exact_mut(wide), |row| {
                    add_bias(kernels, &layer.up, row);
                    kernels.gelu(row, false);
                });
                up
            }
            Some(gate_linear) => {
                let projections = &mut [into(gate_linear, gate), into(&layer.up, up)];
                kernels.project(hidden, rows, projections, scratch, pool);
                for_each(
                    pool,
                    gate.chunks_exact_mut(wide).zip(up.chunks_exact_mut(wide)),
                    |(gate, up)| {
                        add_bias(kernels, gate_linear, gate);
                        add_bias(kernels, &layer.up, up);
                        kernels.silu_mul(gate, up);
                    },
                );
                gate
            }
        };
        normed.copy_from_slice(hidden);
        let projection = Projection {
            weight: &layer.down.weight,
            out: normed,
            accumulate: true,
        };
        kernels.project(inner, rows, &mut [projection], scratch, pool);
        add_bias(kernels, &layer.down, normed);
        self.layer_norm(NormAt::FeedForward(index));
    }
}

/// One of the layer norms.
#[derive(Clone, Copy)]
enum NormAt {
    Embedding,
    Attention(usize),
    FeedForward(usize),
}

impl Shape {
    fn from_gguf(gguf: &Gguf) -> Result<Shape, Error> {
        let keys = Keys(gguf);
        let shape = Shape {
            embedding_length: keys.size("embedding_length", MAX_WIDTH)?,
            feed_forward_length: keys.size("feed_forward_length", MAX_WIDTH)?,
            gated: gguf.architecture() == "nomic-bert",
            heads: keys.size("attention.head_count", MAX_WIDTH)?,
            vocab_size: vocab_size(gguf)?,
            context_tokens: keys.size("context_length", MAX_WIDTH)?,
            norm_epsilon: keys.positive("attention.layer_norm_epsilon")?,
        };
        if !shape.embedding_length.is_multiple_of(shape.heads) {
            let what = format!(
                "{} heads do not divide a width of {}",
                shape.heads, shape.embedding_length
            );
            return Err(keys.bad("attention.head_count", what));
        }
        Ok(shape)
    }
}

impl Layer {
    fn load(loader: &Loader<'_>, shape: &Shape, index: usize) -> Result<Layer, Error> {
        let (width, wide) = (shape.embedding_length, shape.feed_forward_length);
        let name = |part: &str| format!("blk.{index}.{part}");
        let linear = |part: &str, rows, cols| loader.linear(&name(part), rows, cols);
        let [q, k, v] = match loader.gguf.has_tensor(&name("attn_qkv.weight")) {
            true => loader.split_linear(&name("attn_qkv"), [width; 3], width)?,
            false => [
                linear("attn_q", width, width)?,
                linear("attn_k", width, width)?,
                linear("attn_v", width, width)?,
            ],
        };
        Ok(Layer {
            q,
            k,
            v,
            output: linear("attn_output", width, width)?,
            output_norm: loader.layer_norm(&name("attn_output_norm"), width)?,
            gate: shape
                .gated
                .then(|| linear("ffn_gate", wide, width))
                .transpose()?,
            up: linear("ffn_up", wide, width)?,
            down: linear("ffn_down", width, wide)?,
            final_norm: loader.layer_norm(&name("layer_output_norm"), width)?,
        })
    }

    fn bytes(&self) -> usize {
        let linears = [
            &self.q,
            &self.k,
            &self.v,
            &self.output,
            &self.up,
            &self.down,
        ];
        linears
            .into_iter()
            .chain(&self.gate)
            .map(Linear::bytes)
            .sum()
    }
}

impl Buffers {
    /// Makes all of them `rows` rows long; an error where memory for them cannot be had.
    fn resize(&mut self, shape: &Shape, rows: usize) -> Result<(), Error> {
        let fail = |problem| Error::Reserve {
            blocks: 0,
            batch_tokens: rows,
            problem,
        };
        if rows > MAX_BATCH_TOKENS {
            return Err(fail("the step is too wide"));
        }
        let (width, wide) = (shape.embedding_length, shape.feed_forward_length);
        let gate_width = if shape.gated { wide } else { 0 };
        let widths = [width, width, width, width, width, width, gate_width, wide];
        if rows > self.rows {
            // The old ones go first, so that both are never held at once.
            *self = Buffers::default();
            // The kernels bring the input of a product into a form of their own, about as large.
            let per_row = widths.iter().sum::<usize>() + width.max(wide);
            Vec::<f32>::new()
                .try_reserve_exact(rows.saturating_mul(per_row))
                .map_err(|_| fail("not enough memory"))?;
            self.rows = rows;
        }
        let Buffers {
            hidden,
            normed,
            q,
            k,
            v,
            mixed,
            gate,
            up,
            ..
        } = self;
        let buffers = [hidden, normed, q, k, v, mixed, gate, up];
        for (buffer, width) in buffers.into_iter().zip(widths) {
            buffer.resize(rows * width, 0.0);
        }
        Ok(())
    }
}

/// Row 0 of `token_types.weight`: texts here are never pairs.
fn token_type(loader: &Loader<'_>, width: usize) -> Result<Option<Vec<f32>>, Error> {
    const NAME: &str = "token_types.weight";
    if !loader.gguf.has_tensor(NAME) {
        return Ok(None);
    }
    let types = match loader.gguf.tensor(NAME)?.shape {
        [types, _] if *types > 0 => *types,
        // One type is stored as a vector by some converters.
        [_] => return loader.vector(NAME, width).map(Some),
        shape => {
            return Err(bad_tensor(
                loader.gguf,
                NAME,
                format!("shape {shape:?} is not a matrix"),
            ));
        }
    };
    let mut row = vec![0.0; width];
    loader.matrix(NAME, types, width)?.row(0, &mut row);
    Ok(Some(row))
}

/// The product of `linear`, without its bias, written to `out`.
fn into<'a>(linear: &'a Linear, out: &'a mut [f32]) -> Projection<'a> {
    Projection {
        weight: &linear.weight,
        out,
        accumulate: false,
    }
}

/// Adds the bias of `linear`, if it has one, to each of `rows`.
fn add_bias(kernels: &Kernels, linear: &Linear, rows: &mut [f32]) {
    if let Some(bias) = &linear.bias {
        rows.chunks_exact_mut(bias.len())
            .for_each(|row| kernels.add(row, bias));
    }
}

#[cfg(test)]
mod tests {
    use wick_kernels::QuantType;

    use super::*;

    const WIDTH: usize = 32;
    const WIDE: usize = 64;

    /// A model of no layers: its buffers are all that depends on `feed_forward_length`.
    fn layerless() -> Bert {
        let (kernels, pool) = (Kernels::best(), Pool::new(1));
        let zeros = |rows: usize| {
            let bytes = vec![0u8; rows * WIDTH * size_of::<f32>()];
            let packed = kernels.pack(QuantType::F32, rows, WIDTH, &bytes, &pool);
            packed.unwrap()
        };
        Bert {
            shape: Shape {
                embedding_length: WIDTH,
                feed_forward_length: WIDE,
                gated: false,
                heads: 1,
                vocab_size: 2,
                context_tokens: 8,
                norm_epsilon: 1e-12,
            },
            embedding: zeros(2),
            positions: Positions::Learned(zeros(8)),
            token_type: None,
            embedding_norm: LayerNorm {
                weight: vec![1.0; WIDTH],
                bias: vec![0.0; WIDTH],
            },
            layers: Vec::new(),
            kernels,
            scratch: Scratch::default(),
            buffers: Buffers::default(),
            pool,
        }
    }

    #[test]
    fn a_batch_beyond_memory_is_refused_and_a_small_one_works_again() {
        let mut bert = layerless();
        let small = |bert: &mut Bert| {
            bert.shape.feed_forward_length = WIDE;
            assert_eq!(bert.states(&[&[0, 1]]).unwrap().len(), 2 * WIDTH);
        };
        small(&mut bert);
        for (tokens, feed_forward_length, words) in [
            (3, usize::MAX >> 4, "not enough memory"),
            (MAX_BATCH_TOKENS + 1, WIDE, "the step is too wide"),
        ] {
            bert.shape.feed_forward_length = feed_forward_length;
            let text = vec![1u32; tokens];
            let error = bert.states(&[&text]).unwrap_err().to_string();
            assert!(
                error.contains(words) && error.contains(&tokens.to_string()),
                "{error}"
            );
            small(&mut bert);
        }
    }

    #[test]
    fn a_gate_has_a_buffer_only_where_layers_have_one() {
        for (gated, gate_len) in [(false, 0), (true, 5 * WIDE)] {
            let mut bert = layerless();
            bert.shape.gated = gated;
            bert.states(&[&[0, 1, 0], &[1, 1]]).unwrap();
            let Buffers { gate, up, .. } = &bert.buffers;
            assert_eq!((gate.len(), up.len()), (gate_len, 5 * WIDE));
            assert_eq!(gate.capacity() > 0, gated);
        }
    }
}
