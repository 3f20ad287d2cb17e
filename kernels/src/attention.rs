//! Grouped-query attention over a paged cache: online softmax over blocks of keys.
//!
//! Work is cut into units of one key-value head, a few query rows (with all query heads of the group, so that each
//! key and value is read once for them) and, where there are few queries and many keys, a part of the keys. Every
//! unit leaves unnormalised sums; a second step merges the parts and divides.

use crate::cache::{Arenas, BLOCK_TOKENS, Data, KvArenas, KvType, Shape, Stored};
use crate::parallel::{Parallel, run_if_worth};
use crate::split::Chunks;
use crate::store::{KvBatch, store_kv};
use crate::{Kernels, Scratch};

/// A step's queries and the cache they look into.
#[derive(Clone, Copy)]
pub struct AttentionBatch<'a> {
    /// `rows x heads x head_dim`, with rotary embedding applied.
    pub q: &'a [f32],
    /// Keys and values of the layer.
    pub cache: &'a KvArenas,
    /// Query heads; a multiple of the cache's heads.
    pub heads: usize,
    /// Factor of the scores, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
    /// Sliding window: a row sees this many positions, its own included. `None` sees all before it.
    pub window: Option<usize>,
    /// Consecutive rows of `q`.
    pub segments: &'a [AttentionSegment<'a>],
}

/// Consecutive rows of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct AttentionSegment<'a> {
    /// How many rows.
    pub rows: usize,
    /// Position of the first row; row `i` sees positions `0 ..= start + i`.
    pub start: usize,
    /// The sequence's blocks in the arena, enough for position `start + rows - 1`.
    pub blocks: &'a [u32],
}

/// Attention of one text to itself, without a mask: an encoder's.
#[derive(Clone, Copy)]
pub struct EncoderAttention<'a> {
    /// `tokens x heads x head_dim`.
    pub q: &'a [f32],
    /// `tokens x heads x head_dim`.
    pub k: &'a [f32],
    /// `tokens x heads x head_dim`.
    pub v: &'a [f32],
    /// Tokens of the text.
    pub tokens: usize,
    /// Heads, as many for keys and values as for queries.
    pub heads: usize,
    /// Dimensions per head.
    pub head_dim: usize,
    /// Factor of the scores.
    pub scale: f32,
}

/// Buffers of attention.
#[derive(Default)]
pub(crate) struct AttentionScratch {
    units: Vec<Unit>,
    partial: Vec<f32>,
    /// Keys and values of an encoder's text.
    text: Option<KvArenas>,
}

/// Query rows, a head and a range of keys.
#[derive(Clone, Copy)]
pub(crate) struct Unit {
    pub(crate) segment: usize,
    /// First row of the unit, within the whole batch.
    pub(crate) row: usize,
    /// Position of that row.
    pub(crate) position: usize,
    pub(crate) rows: usize,
    pub(crate) kv_head: usize,
    /// Keys `from .. to`; `from` is a multiple of `BLOCK_TOKENS`.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Which part of the keys this is, and of how many.
    part: usize,
    parts: usize,
}

/// What an instruction set's attention works on: `vectors()` queries (rows by heads of the group, heads fastest).
#[derive(Clone, Copy)]
pub(crate) struct AttendJob<'a, T> {
    pub(crate) batch: &'a AttentionBatch<'a>,
    arenas: &'a Arenas<T>,
    pub(crate) shape: Shape,
    pub(crate) unit: Unit,
    pub(crate) causal: bool,
}

/// Unnormalised result of a unit, one entry (or `head_dim` of them) per query vector: `acc / sum` is the attention,
/// both relative to `exp(max)`. Filled entirely by the kernel.
pub(crate) struct AttendState<'a> {
    pub(crate) acc: &'a mut [f32],
    pub(crate) max: &'a mut [f32],
    pub(crate) sum: &'a mut [f32],
}

impl<'a, T> AttendJob<'a, T> {
    pub(crate) fn group(&self) -> usize {
        self.batch.heads / self.shape.kv_heads
    }

    pub(crate) fn vectors(&self) -> usize {
        self.unit.rows * self.group()
    }

    /// Query vector `i`.
    pub(crate) fn query(&self, i: usize) -> &'a [f32] {
        let (group, dim) = (self.group(), self.shape.head_dim);
        let head = self.unit.kv_head * group + i % group;
        &self.batch.q[((self.unit.row + i / group) * self.batch.heads + head) * dim..][..dim]
    }

    /// The keys that query vector `i` sees, clipped to the unit's range (empty ranges have `from >= to`).
    pub(crate) fn visible(&self, i: usize) -> std::ops::Range<usize> {
        if !self.causal {
            return self.unit.from..self.unit.to;
        }
        let position = self.unit.position + i / self.group();
        let first = self
            .batch
            .window
            .map_or(0, |window| (position + 1).saturating_sub(window));
        first.max(self.unit.from)..(position + 1).min(self.unit.to)
    }

    /// Keys of block `block` of the sequence: `[head_dim][BLOCK_TOKENS]`.
    pub(crate) fn keys(&self, block: usize) -> &'a [T] {
        self.head(&self.arenas.keys, block, self.shape.head_len())
    }

    /// Values of block `block` of the sequence: `[BLOCK_TOKENS][head_dim]`.
    pub(crate) fn values(&self, block: usize) -> &'a [T] {
        self.head(&self.arenas.values, block, self.shape.head_len())
    }

    /// Scales of the keys of block `block`, for types that have them.
    pub(crate) fn key_scales(&self, block: usize) -> &'a [f32] {
        self.head(&self.arenas.key_scales, block, BLOCK_TOKENS)
    }

    /// Scales of the values of block `block`, for types that have them.
    pub(crate) fn value_scales(&self, block: usize) -> &'a [f32] {
        self.head(&self.arenas.value_scales, block, BLOCK_TOKENS)
    }

    fn head<E>(&self, arena: &'a [E], block: usize, len: usize) -> &'a [E] {
        let block = self.batch.segments[self.unit.segment].blocks[block] as usize;
        &arena[(block * self.shape.kv_heads + self.unit.kv_head) * len..][..len]
    }
}

/// Keys per unit at least, where keys are divided.
const MIN_PART: usize = 256;

pub(crate) fn attention(
    kernels: &Kernels,
    batch: &AttentionBatch<'_>,
    causal: bool,
    out: &mut [f32],
    scratch: &mut AttentionScratch,
    pool: &dyn Parallel,
) {
    check(batch);
    assert_eq!(out.len(), batch.q.len(), "out is as long as q");
    let Shape { kv_heads, head_dim } = batch.cache.shape();
    let group = batch.heads / kv_heads;
    let rows_at_once = (kernels.table.query_vectors / group).max(1);
    let stride = rows_at_once.min(max_rows(batch)) * group * (head_dim + 2);
    plan(
        batch,
        causal,
        rows_at_once,
        pool.threads(),
        &mut scratch.units,
    );
    let units = &scratch.units;
    if scratch.partial.len() < units.len() * stride {
        scratch.partial.resize(units.len() * stride, 0.0);
    }
    let partial = &mut scratch.partial[..units.len() * stride];
    if units.is_empty() {
        return;
    }
    let work = Work {
        batch,
        causal,
        units,
        heads: rows_at_once * group,
        stride,
        pool,
    };
    match batch.cache.data() {
        Data::F16(arenas) => work.attend(kernels, arenas, partial),
        Data::Q8(arenas) => work.attend(kernels, arenas, partial),
    }
    let partial = &scratch.partial[..units.len() * stride];
    // The parts of a unit follow each other; rows of a unit are merged where its first part stands.
    let row_len = batch.heads * head_dim;
    let rows = Chunks::new(out, row_len * ROWS_PER_MERGE);
    let total_rows: usize = batch.segments.iter().map(|segment| segment.rows).sum();
    run_if_worth(pool, total_rows * row_len / 4, &|_| {
        while let Some((index, out)) = rows.next() {
            let first = index * ROWS_PER_MERGE;
            merge(batch, units, partial, stride, first, out);
        }
    });
}

/// The units of a batch and who computes them.
struct Work<'a> {
    batch: &'a AttentionBatch<'a>,
    causal: bool,
    units: &'a [Unit],
    /// Query vectors of a full unit.
    heads: usize,
    /// Floats of one unit's result.
    stride: usize,
    pool: &'a dyn Parallel,
}

impl Work<'_> {
    fn attend<T: Stored>(&self, kernels: &Kernels, arenas: &Arenas<T>, partial: &mut [f32]) {
        let shape = self.batch.cache.shape();
        let keys: usize = self.units.iter().map(|unit| unit.to - unit.from).sum();
        let work = keys * self.heads * shape.head_dim / 8;
        let attend = T::attend(&kernels.table);
        let parts = Chunks::new(partial, self.stride);
        run_if_worth(self.pool, work, &|_| {
            while let Some((index, part)) = parts.next() {
                let job = AttendJob {
                    batch: self.batch,
                    arenas,
                    shape,
                    unit: self.units[index],
                    causal: self.causal,
                };
                let vectors = job.vectors();
                let (acc, rest) = part.split_at_mut(vectors * shape.head_dim);
                let (max, rest) = rest.split_at_mut(vectors);
                let sum = &mut rest[..vectors];
                attend(job, AttendState { acc, max, sum });
            }
        });
    }
}

const ROWS_PER_MERGE: usize = 16;

fn max_rows(batch: &AttentionBatch<'_>) -> usize {
    batch
        .segments
        .iter()
        .map(|segment| segment.rows)
        .max()
        .unwrap_or(0)
}

fn check(batch: &AttentionBatch<'_>) {
    let Shape { kv_heads, head_dim } = batch.cache.shape();
    assert!(batch.heads.is_multiple_of(kv_heads) && batch.heads > 0);
    let rows: usize = batch.segments.iter().map(|segment| segment.rows).sum();
    assert_eq!(
        batch.q.len(),
        rows * batch.heads * head_dim,
        "q is rows x heads x head_dim"
    );
    let blocks = batch.cache.blocks();
    for segment in batch.segments {
        assert!(
            segment.blocks.len() * BLOCK_TOKENS >= segment.start + segment.rows,
            "{} blocks for {} positions",
            segment.blocks.len(),
            segment.start + segment.rows
        );
        assert!(
            segment
                .blocks
                .iter()
                .all(|&block| (block as usize) < blocks)
        );
    }
}

/// Cuts a batch into units. All units of a row tile and head stand together, parts in order.
fn plan(
    batch: &AttentionBatch<'_>,
    causal: bool,
    rows_at_once: usize,
    threads: usize,
    units: &mut Vec<Unit>,
) {
    units.clear();
    let kv_heads = batch.cache.shape().kv_heads;
    let tiles: usize = batch
        .segments
        .iter()
        .map(|segment| segment.rows.div_ceil(rows_at_once))
        .sum();
    // With two units per thread there is little to win by dividing keys.
    let wanted_parts = (2 * threads).div_ceil((tiles * kv_heads).max(1));
    let mut row = 0;
    for (index, segment) in batch.segments.iter().enumerate() {
        for tile in 0..segment.rows.div_ceil(rows_at_once) {
            let position = segment.start + tile * rows_at_once;
            let rows = rows_at_once.min(segment.rows - tile * rows_at_once);
            let to = if causal {
                position + rows
            } else {
                segment.start + segment.rows
            };
            let first = match batch.window {
                Some(window) if causal => (position + 1).saturating_sub(window),
                _ => 0,
            };
            let first = first / BLOCK_TOKENS * BLOCK_TOKENS;
            let parts = if threads == 1 {
                1
            } else {
                wanted_parts.min((to - first).div_ceil(MIN_PART)).max(1)
            };
            let step = (to - first).div_ceil(parts).next_multiple_of(BLOCK_TOKENS);
            let parts = (to - first).div_ceil(step);
            for kv_head in 0..kv_heads {
                for part in 0..parts {
                    let from = first + part * step;
                    units.push(Unit {
                        segment: index,
                        row: row + tile * rows_at_once,
                        position,
                        rows,
                        kv_head,
                        from,
                        to: (from + step).min(to),
                        part,
                        parts,
                    });
                }
            }
        }
        row += segment.rows;
    }
}

/// Adds up the parts of every unit that holds rows `first ..` of `out` and divides by the sums.
fn merge(
    batch: &AttentionBatch<'_>,
    units: &[Unit],
    partial: &[f32],
    stride: usize,
    first: usize,
    out: &mut [f32],
) {
    let shape = batch.cache.shape();
    let (dim, row_len) = (shape.head_dim, batch.heads * shape.head_dim);
    let group = batch.heads / shape.kv_heads;
    let last = first + out.len() / row_len;
    let begin = units.partition_point(|unit| unit.row + unit.rows <= first);
    for (index, unit) in units.iter().enumerate().skip(begin) {
        if unit.row >= last {
            break;
        }
        if unit.part != 0 {
            continue;
        }
        let vectors = unit.rows * group;
        let state = |part: usize| &partial[(index + part) * stride..][..vectors * (dim + 2)];
        let max_of = |part: usize, i: usize| state(part)[vectors * dim + i];
        for i in 0..vectors {
            let row = unit.row + i / group;
            if row < first || row >= last {
                continue;
            }
            let at = (row - first) * row_len + (unit.kv_head * group + i % group) * dim;
            let out = &mut out[at..at + dim];
            let max = (0..unit.parts)
                .map(|part| max_of(part, i))
                .fold(f32::MIN, f32::max);
            let weight = |part: usize| (max_of(part, i) - max).exp();
            let sum: f32 = (0..unit.parts)
                .map(|part| weight(part) * state(part)[vectors * (dim + 1) + i])
                .sum();
            let inverse = if sum > 0.0 { 1.0 / sum } else { 0.0 };
            for part in 0..unit.parts {
                let factor = weight(part) * inverse;
                let acc = &state(part)[i * dim..][..dim];
                if part == 0 {
                    out.iter_mut()
                        .zip(acc)
                        .for_each(|(out, acc)| *out = acc * factor);
                } else {
                    out.iter_mut()
                        .zip(acc)
                        .for_each(|(out, acc)| *out += acc * factor);
                }
            }
        }
    }
}

pub(crate) fn encoder_attention(
    kernels: &Kernels,
    job: &EncoderAttention<'_>,
    out: &mut [f32],
    scratch: &mut Scratch,
    pool: &dyn Parallel,
) {
    let blocks: Vec<u32> = (0..job.tokens.div_ceil(BLOCK_TOKENS) as u32).collect();
    let segments = [AttentionSegment {
        rows: job.tokens,
        start: 0,
        blocks: &blocks,
    }];
    let text = scratch.attention.text.take();
    let fits = |cache: &KvArenas| {
        let Shape { kv_heads, head_dim } = cache.shape();
        (kv_heads, head_dim) == (job.heads, job.head_dim) && cache.blocks() >= blocks.len()
    };
    let mut cache = text
        .filter(fits)
        .unwrap_or_else(|| KvArenas::new(KvType::F16, blocks.len(), job.heads, job.head_dim));
    let fresh = KvBatch {
        keys: job.k,
        values: job.v,
        segments: &segments,
    };
    store_kv(kernels, &fresh, &mut cache, pool);
    let batch = AttentionBatch {
        q: job.q,
        cache: &cache,
        heads: job.heads,
        scale: job.scale,
        window: None,
        segments: &segments,
    };
    attention(kernels, &batch, false, out, &mut scratch.attention, pool);
    scratch.attention.text = Some(cache);
}
