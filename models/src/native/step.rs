//! The layers of one step: token ids in, the residual stream behind the last layer out.

use wick_kernels::{
    AttentionBatch, AttentionSegment, Gated, Kernels, KvArenas, KvBatch, Norm, Parallel,
    Projection, Scratch,
};

use super::buffers::{Buffers, Rotation, recycled};
use super::layer::Layer;
use super::{NativeDecoder, Weights};
use crate::decoder::Segment;
use crate::pool::for_each;
use crate::spec::RopeTable;
use crate::weights::Linear;

/// Which rows are carried through the last layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Those that logits are wanted for.
    Outputs,
    /// All of them.
    All,
}

/// Rows from which row-wise work is worth a hand-over to other threads.
const ROWS_TO_SPLIT: usize = 8;

/// What a projection onto the residual stream multiplies.
enum Input<'a> {
    Plain(&'a [f32]),
    Gated(Gated<'a>),
}

/// What the parts of a step share.
struct Step<'a> {
    weights: &'a Weights,
    kernels: &'static Kernels,
    pool: &'a dyn Parallel,
    buffers: &'a mut Buffers,
    scratch: &'a mut Scratch,
    /// Rows in the buffers now.
    rows: usize,
}

impl NativeDecoder {
    /// Runs all layers and stores the new keys and values. Leaves the wanted rows at the front of `buffers.hidden`, in
    /// order, and returns their number.
    pub(super) fn layers(&mut self, segments: &[Segment<'_>], wanted: Rows) -> usize {
        let mut attention = std::mem::take(&mut self.buffers.segments);
        attention.extend(segments.iter().map(|segment| AttentionSegment {
            rows: segment.tokens.len(),
            start: segment.start,
            blocks: segment.blocks,
        }));
        let mut step = Step {
            weights: &self.weights,
            kernels: self.kernels,
            pool: &self.pool,
            buffers: &mut self.buffers,
            scratch: &mut self.scratch,
            rows: segments.iter().map(|segment| segment.tokens.len()).sum(),
        };
        step.embed(segments);
        step.rotations(segments);
        let layers = &self.weights.layers;
        for (index, layer) in layers.iter().enumerate() {
            let cache = self.cache.layer(index);
            step.project_qkv(layer);
            step.store(cache, &attention);
            // Behind the last layer's keys and values, only rows that someone reads matter.
            if index + 1 == layers.len() && wanted == Rows::Outputs {
                step.keep_outputs(segments, &mut attention);
            }
            if step.rows > 0 {
                step.attend(layer, cache, &attention);
                step.feed_forward(layer);
            }
        }
        let rows = step.rows;
        self.buffers.segments = recycled(attention);
        rows
    }
}

impl Step<'_> {
    /// Embedding rows of all tokens into the residual stream.
    fn embed(&mut self, segments: &[Segment<'_>]) {
        let spec = &self.weights.spec;
        let width = spec.embedding_length;
        let embedding = &self.weights.embedding;
        let tokens = segments.iter().flat_map(|segment| segment.tokens);
        let rows = self.buffers.hidden[..self.rows * width].chunks_exact_mut(width);
        spread(self.pool, self.rows, tokens.zip(rows), |(&token, row)| {
            embedding.row(token as usize, row);
            if let Some(scale) = spec.embedding_scale {
                row.iter_mut().for_each(|value| *value *= scale);
            }
        });
    }

    /// Cosines and sines of all rows, once for all layers.
    fn rotations(&mut self, segments: &[Segment<'_>]) {
        let (pool, rows) = (self.pool, self.rows);
        let fill = |table: &RopeTable, rotation: &mut Rotation| {
            let positions = segments
                .iter()
                .flat_map(|segment| segment.start..segment.start + segment.tokens.len());
            let cos = rotation.cos.chunks_exact_mut(table.pairs());
            let sin = rotation.sin.chunks_exact_mut(table.pairs());
            spread(
                pool,
                rows,
                positions.zip(cos.zip(sin)),
                |(position, (cos, sin))| {
                    table.fill(position, cos, sin);
                },
            );
        };
        fill(&self.weights.rope, &mut self.buffers.rotation);
        if let Some(table) = &self.weights.window_rope {
            fill(table, &mut self.buffers.window_rotation);
        }
    }

    /// Q, K and V of the normed residual stream, with biases, head norms and rotation.
    fn project_qkv(&mut self, layer: &Layer) {
        let spec = &self.weights.spec;
        let (rows, q_len, kv_len) = (
            self.rows,
            spec.heads * spec.head_dim,
            spec.kv_heads * spec.head_dim,
        );
        let buffers = &mut *self.buffers;
        let q = &mut buffers.q[..rows * q_len];
        let k = &mut buffers.k[..rows * kv_len];
        let v = &mut buffers.v[..rows * kv_len];
        let norm = Norm {
            weight: &layer.attention_norm,
            eps: spec.norm_epsilon,
        };
        let hidden = &buffers.hidden[..rows * spec.embedding_length];
        let projections = &mut [into(&layer.q, q), into(&layer.k, k), into(&layer.v, v)];
        self.kernels
            .project_normed(hidden, rows, norm, projections, self.scratch, self.pool);

        let local = layer.window.is_some() && self.weights.window_rope.is_some();
        let (table, rotation) = match &self.weights.window_rope {
            Some(table) if local => (table, &buffers.window_rotation),
            _ => (&self.weights.rope, &buffers.rotation),
        };
        let cos = rotation.cos.chunks_exact(table.pairs());
        let angles = cos.zip(rotation.sin.chunks_exact(table.pairs()));
        let heads = q
            .chunks_exact_mut(q_len)
            .zip(k.chunks_exact_mut(kv_len))
            .zip(v.chunks_exact_mut(kv_len));
        let spare = buffers.mixed[..rows * q_len].chunks_exact_mut(q_len);
        let kernels = self.kernels;
        let (head_dim, pairing) = (spec.head_dim, spec.rope.pairing);
        spread(
            self.pool,
            rows,
            heads.zip(angles.zip(spare)),
            |(((q, k), v), ((cos, sin), spare))| {
                for (linear, row) in [(&layer.q, &mut *q), (&layer.k, &mut *k), (&layer.v, v)] {
                    if let Some(bias) = &linear.bias {
                        kernels.add(row, bias);
                    }
                }
                if let Some([q_norm, k_norm]) = &layer.qk_norm {
                    for (row, weight) in [(&mut *q, q_norm), (&mut *k, k_norm)] {
                        let normed = &mut spare[..row.len()];
                        kernels.rms_norm(row, weight, spec.norm_epsilon, normed);
                        row.copy_from_slice(normed);
                    }
                }
                kernels.rope(q, head_dim, cos, sin, pairing);
                kernels.rope(k, head_dim, cos, sin, pairing);
            },
        );
    }

    /// The new keys and values into the cache.
    fn store(&mut self, cache: &mut KvArenas, segments: &[AttentionSegment<'_>]) {
        let len = self.rows * self.weights.spec.kv_heads * self.weights.spec.head_dim;
        let batch = KvBatch {
            keys: &self.buffers.k[..len],
            values: &self.buffers.v[..len],
            segments,
        };
        self.kernels.store_kv(&batch, cache, self.pool);
    }

    /// Moves the rows whose logits are wanted to the front and drops the others; `attention` then lists them.
    fn keep_outputs<'s>(
        &mut self,
        segments: &[Segment<'s>],
        attention: &mut Vec<AttentionSegment<'s>>,
    ) {
        let spec = &self.weights.spec;
        let (width, q_len) = (spec.embedding_length, spec.heads * spec.head_dim);
        attention.clear();
        let (mut first, mut kept) = (0, 0);
        for segment in segments {
            let wanted = segment.output_rows();
            let (from, rows) = (first + wanted.start, wanted.len());
            first += segment.tokens.len();
            if rows == 0 {
                continue;
            }
            self.buffers
                .hidden
                .copy_within(from * width..(from + rows) * width, kept * width);
            self.buffers
                .q
                .copy_within(from * q_len..(from + rows) * q_len, kept * q_len);
            kept += rows;
            attention.push(AttentionSegment {
                rows,
                start: segment.start + wanted.start,
                blocks: segment.blocks,
            });
        }
        self.rows = kept;
    }

    /// Attention over the cache and its projection onto the residual stream.
    fn attend(&mut self, layer: &Layer, cache: &KvArenas, segments: &[AttentionSegment<'_>]) {
        let spec = &self.weights.spec;
        let len = self.rows * spec.heads * spec.head_dim;
        let batch = AttentionBatch {
            q: &self.buffers.q[..len],
            cache,
            heads: spec.heads,
            scale: spec.attention_scale,
            window: layer.window,
            segments,
        };
        let mut mixed = std::mem::take(&mut self.buffers.mixed);
        self.kernels
            .attention(&batch, &mut mixed[..len], self.scratch, self.pool);
        self.add_projection(
            &layer.output,
            Input::Plain(&mixed[..len]),
            layer.post_attention_norm.as_deref(),
        );
        self.buffers.mixed = mixed;
    }

    /// The gated feed-forward network on the normed residual stream, added to it.
    fn feed_forward(&mut self, layer: &Layer) {
        let spec = &self.weights.spec;
        let (rows, width, wide) = (self.rows, spec.embedding_length, spec.feed_forward_length);
        let mut gate = std::mem::take(&mut self.buffers.gate);
        let buffers = &mut *self.buffers;
        let up = &mut buffers.up[..rows * wide];
        let norm = Norm {
            weight: &layer.feed_forward_norm,
            eps: spec.norm_epsilon,
        };
        let projections = &mut [
            into(&layer.gate, &mut gate[..rows * wide]),
            into(&layer.up, up),
        ];
        self.kernels.project_normed(
            &buffers.hidden[..rows * width],
            rows,
            norm,
            projections,
            self.scratch,
            self.pool,
        );

        for (linear, all) in [(&layer.gate, &mut gate[..rows * wide]), (&layer.up, up)] {
            if let Some(bias) = &linear.bias {
                all.chunks_exact_mut(wide)
                    .for_each(|row| self.kernels.add(row, bias));
            }
        }
        let up = std::mem::take(&mut buffers.up);
        let gated = Gated {
            gate: &gate[..rows * wide],
            up: &up[..rows * wide],
            nonlinearity: spec.activation,
        };
        let post_norm = layer.post_feed_forward_norm.as_deref();
        self.add_projection(&layer.down, Input::Gated(gated), post_norm);
        (self.buffers.gate, self.buffers.up) = (gate, up);
    }

    /// Adds `linear` of `x` to the residual stream, through a norm in families that have one there.
    fn add_projection(&mut self, linear: &Linear, x: Input<'_>, post_norm: Option<&[f32]>) {
        let spec = &self.weights.spec;
        let (rows, width) = (self.rows, spec.embedding_length);
        let buffers = &mut *self.buffers;
        let hidden = &mut buffers.hidden[..rows * width];
        let out = match post_norm {
            None => &mut *hidden,
            Some(_) => &mut buffers.projected[..rows * width],
        };
        let projection = Projection {
            weight: &linear.weight,
            out,
            accumulate: post_norm.is_none(),
        };
        let projections = &mut [projection];
        match x {
            Input::Plain(x) => {
                self.kernels
                    .project(x, rows, projections, self.scratch, self.pool);
            }
            Input::Gated(gated) => {
                self.kernels
                    .project_gated(gated, rows, projections, self.scratch, self.pool);
            }
        }
        if let Some(bias) = &linear.bias {
            let out = if post_norm.is_none() {
                &mut *hidden
            } else {
                &mut buffers.projected[..rows * width]
            };
            out.chunks_exact_mut(width)
                .for_each(|row| self.kernels.add(row, bias));
        }
        if let Some(weight) = post_norm {
            let (projected, normed) = (
                &buffers.projected[..rows * width],
                &mut buffers.normed[..rows * width],
            );
            self.kernels
                .rms_norm(projected, weight, spec.norm_epsilon, normed);
            self.kernels.add(hidden, normed);
        }
    }
}

/// The product of `linear`, without its bias, written to `out`.
fn into<'a>(linear: &'a Linear, out: &'a mut [f32]) -> Projection<'a> {
    Projection {
        weight: &linear.weight,
        out,
        accumulate: false,
    }
}

/// `job` for each of `rows` items, on all threads where the rows are many.
fn spread<I>(pool: &dyn Parallel, rows: usize, items: I, job: impl Fn(I::Item) + Sync)
where
    I: Iterator + Send,
{
    if rows < ROWS_TO_SPLIT {
        items.for_each(job);
    } else {
        for_each(pool, items, job);
    }
}
