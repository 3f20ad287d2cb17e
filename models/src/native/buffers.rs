//! Intermediate values of a step, allocated once for the widest step.

use wick_kernels::AttentionSegment;

use crate::spec::DecoderSpec;

/// One row per token in each of them.
#[derive(Default)]
pub(super) struct Buffers {
    rows: usize,
    /// The residual stream, `embedding_length` wide.
    pub(super) hidden: Vec<f32>,
    pub(super) q: Vec<f32>,
    pub(super) k: Vec<f32>,
    pub(super) v: Vec<f32>,
    /// Output of attention, as wide as Q.
    pub(super) mixed: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
    /// Cosines and sines of the rows' positions, and those of layers with a window where they differ.
    pub(super) rotation: Rotation,
    pub(super) window_rotation: Rotation,
    /// What the projection before a post-norm gave; empty in families without.
    pub(super) projected: Vec<f32>,
    /// Normed rows, grown on first use.
    pub(super) normed: Vec<f32>,
    /// Grown to the most rows of logits seen.
    pub(super) logits: Vec<f32>,
    /// Empty between steps; kept for its memory.
    pub(super) segments: Vec<AttentionSegment<'static>>,
}

/// Cosines and sines, a row per token.
#[derive(Default)]
pub(super) struct Rotation {
    pub(super) cos: Vec<f32>,
    pub(super) sin: Vec<f32>,
}

impl Buffers {
    /// Buffers for steps of `rows` tokens, None where memory for them cannot be had.
    pub(super) fn new(spec: &DecoderSpec, rows: usize) -> Option<Buffers> {
        let (q_len, kv_len) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        let width = spec.embedding_length;
        let pairs = spec.rope.dims / 2;
        let window_pairs = spec
            .window
            .as_ref()
            .and_then(|window| window.rope.as_ref())
            .map_or(0, |rope| rope.dims / 2);
        let post_width = if spec.post_norms { width } else { 0 };
        let per_row = width
            + 2 * (q_len + kv_len + spec.feed_forward_length + pairs + window_pairs)
            + 2 * post_width;
        Vec::<f32>::new()
            .try_reserve_exact(rows.checked_mul(per_row)?)
            .ok()?;
        let buffer = |len: usize| vec![0.0; rows * len];
        Some(Buffers {
            rows,
            hidden: buffer(width),
            q: buffer(q_len),
            k: buffer(kv_len),
            v: buffer(kv_len),
            mixed: buffer(q_len),
            gate: buffer(spec.feed_forward_length),
            up: buffer(spec.feed_forward_length),
            rotation: Rotation {
                cos: buffer(pairs),
                sin: buffer(pairs),
            },
            window_rotation: Rotation {
                cos: buffer(window_pairs),
                sin: buffer(window_pairs),
            },
            projected: buffer(post_width),
            normed: buffer(post_width),
            logits: vec![0.0; spec.vocab_size],
            segments: Vec::new(),
        })
    }

    /// Tokens of the widest step.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn bytes(&self) -> usize {
        let Buffers {
            hidden,
            q,
            k,
            v,
            mixed,
            gate,
            up,
            projected,
            normed,
            logits,
            ..
        } = self;
        let rotations =
            [&self.rotation, &self.window_rotation].map(|rotation| 2 * rotation.cos.len());
        let buffers = [hidden, q, k, v, mixed, gate, up, projected, normed, logits];
        let floats = buffers.iter().map(|buffer| buffer.len()).sum::<usize>()
            + rotations.iter().sum::<usize>();
        floats * size_of::<f32>()
    }
}

/// The first `len` values of `buffer`, which grows where it is shorter.
pub(super) fn grown(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// An empty list with the memory of `segments`, free to hold other lifetimes: collecting a vector's own iterator reuses
/// its allocation.
pub(super) fn recycled(mut segments: Vec<AttentionSegment<'_>>) -> Vec<AttentionSegment<'static>> {
    segments.clear();
    segments
        .into_iter()
        .map(|_| AttentionSegment {
            rows: 0,
            start: 0,
            blocks: &[],
        })
        .collect()
}
