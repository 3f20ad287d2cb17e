//! Fresh keys and values into the cache.

use crate::attention::AttentionSegment;
use crate::cache::{Arenas, BLOCK_TOKENS, Data, KvArenas, Shape, Stored};
use crate::parallel::{Parallel, run_if_worth};
use crate::split::Chunks;
use crate::{Kernels, Table};

/// Fresh keys and values of a step, to be written to the cache.
#[derive(Clone, Copy)]
pub struct KvBatch<'a> {
    /// `rows x kv_heads x head_dim`, with rotary embedding applied.
    pub keys: &'a [f32],
    /// `rows x kv_heads x head_dim`.
    pub values: &'a [f32],
    /// Consecutive rows; row `i` of a segment goes to position `start + i`.
    pub segments: &'a [AttentionSegment<'a>],
}

/// Rows from which they are divided between threads.
const ROWS_TO_SPLIT: usize = 2 * BLOCK_TOKENS;

pub(crate) fn store_kv(
    kernels: &Kernels,
    batch: &KvBatch<'_>,
    cache: &mut KvArenas,
    pool: &dyn Parallel,
) {
    let Shape { kv_heads, head_dim } = cache.shape();
    let rows: usize = batch.segments.iter().map(|segment| segment.rows).sum();
    let len = rows * kv_heads * head_dim;
    assert_eq!(batch.keys.len(), len, "keys are rows x kv_heads x head_dim");
    assert_eq!(
        batch.values.len(),
        len,
        "values are rows x kv_heads x head_dim"
    );
    let store = Store {
        table: &kernels.table,
        batch,
        shape: cache.shape(),
    };
    match cache.data_mut() {
        Data::F16(arenas) => store.all(arenas, rows, pool),
        Data::Q8(arenas) => store.all(arenas, rows, pool),
    }
}

/// Consecutive rows of a step that go to the same block.
struct Run {
    block: usize,
    /// Place of the first row in the block.
    token: usize,
    /// First row within the whole step.
    row: usize,
    rows: usize,
}

/// The runs of a step, in order of its rows.
fn runs<'a>(segments: &'a [AttentionSegment<'a>]) -> impl Iterator<Item = Run> + 'a {
    let mut next = 0;
    segments.iter().flat_map(move |segment| {
        let (first, end) = (next, segment.start + segment.rows);
        next += segment.rows;
        let blocks = match segment.rows {
            0 => 0..0,
            _ => segment.start / BLOCK_TOKENS..end.div_ceil(BLOCK_TOKENS),
        };
        blocks.map(move |index| {
            let from = segment.start.max(index * BLOCK_TOKENS);
            Run {
                block: segment.blocks[index] as usize,
                token: from % BLOCK_TOKENS,
                row: first + from - segment.start,
                rows: end.min((index + 1) * BLOCK_TOKENS) - from,
            }
        })
    })
}

/// Blocks of all arenas, borrowed together.
struct BlocksMut<'a, T> {
    keys: &'a mut [T],
    values: &'a mut [T],
    key_scales: &'a mut [f32],
    value_scales: &'a mut [f32],
}

impl<'a, T: Stored> BlocksMut<'a, T> {
    fn of(arenas: &'a mut Arenas<T>) -> BlocksMut<'a, T> {
        BlocksMut {
            keys: &mut arenas.keys,
            values: &mut arenas.values,
            key_scales: &mut arenas.key_scales,
            value_scales: &mut arenas.value_scales,
        }
    }

    /// The first `count` blocks, and the others.
    fn split(self, shape: Shape, count: usize) -> (BlocksMut<'a, T>, BlocksMut<'a, T>) {
        let len = count * shape.kv_heads * shape.head_len();
        let scales = match T::SCALED {
            true => count * shape.kv_heads * BLOCK_TOKENS,
            false => 0,
        };
        let (keys, other_keys) = self.keys.split_at_mut(len);
        let (values, other_values) = self.values.split_at_mut(len);
        let (key_scales, other_key_scales) = self.key_scales.split_at_mut(scales);
        let (value_scales, other_value_scales) = self.value_scales.split_at_mut(scales);
        let first = BlocksMut {
            keys,
            values,
            key_scales,
            value_scales,
        };
        let others = BlocksMut {
            keys: other_keys,
            values: other_values,
            key_scales: other_key_scales,
            value_scales: other_value_scales,
        };
        (first, others)
    }
}

/// What is stored.
#[derive(Clone, Copy)]
struct Store<'a> {
    table: &'a Table,
    batch: &'a KvBatch<'a>,
    shape: Shape,
}

impl Store<'_> {
    fn all<T: Stored>(&self, arenas: &mut Arenas<T>, rows: usize, pool: &dyn Parallel) {
        if rows >= ROWS_TO_SPLIT && pool.threads() > 1 {
            return self.split(arenas, rows, pool);
        }
        for run in runs(self.batch.segments) {
            let (_, rest) = BlocksMut::of(arenas).split(self.shape, run.block);
            let (mut block, _) = rest.split(self.shape, 1);
            self.run(&run, &mut block);
        }
    }

    /// Each block is written by one thread.
    fn split<T: Stored>(&self, arenas: &mut Arenas<T>, rows: usize, pool: &dyn Parallel) {
        let mut runs: Vec<Run> = runs(self.batch.segments).collect();
        runs.sort_by_key(|run| run.block);
        let mut rest = Some(BlocksMut::of(arenas));
        let mut passed = 0;
        let mut blocks: Vec<_> = runs
            .chunk_by(|a, b| a.block == b.block)
            .filter_map(|runs| {
                let (_, from) = rest.take()?.split(self.shape, runs[0].block - passed);
                let (block, others) = from.split(self.shape, 1);
                passed = runs[0].block + 1;
                rest = Some(others);
                Some((block, runs))
            })
            .collect();
        let blocks = Chunks::new(&mut blocks, 1);
        let work = rows * self.shape.kv_heads * self.shape.head_dim;
        run_if_worth(pool, work, &|_| {
            while let Some((_, parts)) = blocks.next() {
                for (block, runs) in parts {
                    runs.iter().for_each(|run| self.run(run, block));
                }
            }
        });
    }

    /// One run into its block.
    fn run<T: Stored>(&self, run: &Run, block: &mut BlocksMut<'_, T>) {
        let Shape { kv_heads, head_dim } = self.shape;
        let len = self.shape.head_len();
        for head in 0..kv_heads {
            let keys = &mut block.keys[head * len..][..len];
            let values = &mut block.values[head * len..][..len];
            for i in 0..run.rows {
                let token = run.token + i;
                let from = ((run.row + i) * kv_heads + head) * head_dim;
                let from = from..from + head_dim;
                let (key, value) = (&self.batch.keys[from.clone()], &self.batch.values[from]);
                let to = &mut values[token * head_dim..][..head_dim];
                let value_scale = T::write(self.table, value, to, 1);
                let key_scale = T::write(self.table, key, &mut keys[token..], BLOCK_TOKENS);
                if T::SCALED {
                    let at = head * BLOCK_TOKENS + token;
                    block.key_scales[at] = key_scale;
                    block.value_scales[at] = value_scale;
                }
            }
        }
    }
}
