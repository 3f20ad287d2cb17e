//! Attention and the cache it reads, for every way of storing keys and values.

use super::{Random, Threads};
use crate::cache::{Data, Stored};
use crate::*;

const KV_TYPES: [KvType; 2] = [KvType::F16, KvType::Q8_0];

struct Case {
    heads: usize,
    kv_heads: usize,
    dim: usize,
    window: Option<usize>,
    /// Rows and start of each segment.
    segments: &'static [(usize, usize)],
}

const fn case(
    heads: usize,
    kv_heads: usize,
    dim: usize,
    window: Option<usize>,
    segments: &'static [(usize, usize)],
) -> Case {
    Case {
        heads,
        kv_heads,
        dim,
        window,
        segments,
    }
}

const CASES: [Case; 9] = [
    case(4, 1, 64, None, &[(1, 0)]),
    case(8, 2, 64, None, &[(70, 0), (1, 99), (3, 30)]),
    case(3, 3, 8, None, &[(33, 0)]),
    case(6, 2, 80, None, &[(1, 700), (17, 15)]),
    case(2, 1, 128, Some(40), &[(50, 60), (1, 200)]),
    case(14, 2, 64, None, &[(5, 64), (1, 1)]),
    case(2, 2, 20, Some(1), &[(5, 3)]),
    case(40, 1, 16, None, &[(2, 600)]),
    case(2, 2, 576, None, &[(2, 40)]),
];

const SCALE: f32 = 0.3;

/// A case's queries, keys and values; those of a segment begin at position 0.
struct Inputs {
    q: Vec<f32>,
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    /// Blocks of each segment, in descending order, so that the table matters.
    blocks: Vec<Vec<u32>>,
}

impl Inputs {
    fn new(case: &Case) -> Inputs {
        let mut random = Random(case.dim as u64 * 31 + 1);
        let width = case.kv_heads * case.dim;
        let rows: usize = case.segments.iter().map(|s| s.0).sum();
        let q = random.floats(rows * case.heads * case.dim);
        let lengths = || case.segments.iter().map(|&(rows, start)| rows + start);
        let keys = lengths().map(|len| random.floats(len * width)).collect();
        let values = lengths().map(|len| random.floats(len * width)).collect();
        let mut next: u32 = lengths().map(|len| len.div_ceil(BLOCK_TOKENS) as u32).sum();
        let blocks = lengths()
            .map(|len| {
                let first = next - len.div_ceil(BLOCK_TOKENS) as u32;
                let blocks = (first..next).rev().collect();
                next = first;
                blocks
            })
            .collect();
        Inputs {
            q,
            keys,
            values,
            blocks,
        }
    }

    /// A cache that holds all keys and values, and what must not matter where nothing was written.
    fn store(
        &self,
        kernels: &Kernels,
        kv_type: KvType,
        case: &Case,
        pool: &dyn Parallel,
    ) -> KvArenas {
        let blocks = self.blocks.iter().map(Vec::len).sum();
        let mut cache = KvArenas::new(kv_type, blocks, case.kv_heads, case.dim);
        match cache.data_mut() {
            Data::F16(arenas) => {
                arenas.keys.fill(f16::INFINITY);
                arenas.values.fill(f16::NAN);
            }
            Data::Q8(arenas) => {
                arenas.key_scales.fill(f32::INFINITY);
                arenas.value_scales.fill(f32::NAN);
            }
        }
        let width = case.kv_heads * case.dim;
        for (i, &(rows, start)) in case.segments.iter().enumerate() {
            for (from, len) in [(0, start), (start, rows)] {
                let batch = KvBatch {
                    keys: &self.keys[i][from * width..][..len * width],
                    values: &self.values[i][from * width..][..len * width],
                    segments: &[AttentionSegment {
                        rows: len,
                        start: from,
                        blocks: &self.blocks[i],
                    }],
                };
                kernels.store_kv(&batch, &mut cache, pool);
            }
        }
        cache
    }

    fn attend(
        &self,
        kernels: &Kernels,
        case: &Case,
        cache: &KvArenas,
        pool: &dyn Parallel,
    ) -> Vec<f32> {
        let segments: Vec<AttentionSegment<'_>> = case
            .segments
            .iter()
            .zip(&self.blocks)
            .map(|(&(rows, start), blocks)| AttentionSegment {
                rows,
                start,
                blocks,
            })
            .collect();
        let batch = AttentionBatch {
            q: &self.q,
            cache,
            heads: case.heads,
            scale: SCALE,
            window: case.window,
            segments: &segments,
        };
        let mut out = vec![0.0; self.q.len()];
        kernels.attention(&batch, &mut out, &mut Scratch::default(), pool);
        out
    }

    /// Softmax written out in f64; `stored` says what becomes of a head's key or value.
    fn naive(&self, case: &Case, stored: impl Fn(&[f32]) -> Vec<f32>) -> Vec<f32> {
        let (heads, kv_heads, dim) = (case.heads, case.kv_heads, case.dim);
        let stored = |all: &Vec<f32>| -> Vec<f32> { all.chunks(dim).flat_map(&stored).collect() };
        let keys: Vec<Vec<f32>> = self.keys.iter().map(stored).collect();
        let values: Vec<Vec<f32>> = self.values.iter().map(stored).collect();
        let mut queries = self.q.chunks(dim);
        let mut out = Vec::new();
        for (segment, &(rows, start)) in case.segments.iter().enumerate() {
            for (position, head) in
                (start..start + rows).flat_map(|p| (0..heads).map(move |h| (p, h)))
            {
                let q = queries.next().unwrap();
                let first = case.window.map_or(0, |w| (position + 1).saturating_sub(w));
                let at = |t: usize| (t * kv_heads + head / (heads / kv_heads)) * dim;
                let scores: Vec<f64> = (first..=position)
                    .map(|t| {
                        let pairs = q.iter().zip(&keys[segment][at(t)..][..dim]);
                        let dot: f64 = pairs.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                        dot * f64::from(SCALE)
                    })
                    .collect();
                let max = scores.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
                let sum: f64 = weights.iter().sum();
                out.extend((0..dim).map(|d| {
                    let value = |i: usize| f64::from(values[segment][at(first + i) + d]);
                    let weighted = weights.iter().enumerate().map(|(i, w)| w * value(i));
                    (weighted.sum::<f64>() / sum) as f32
                }));
            }
        }
        out
    }
}

/// A head as the cache holds it.
fn rounded(kv_type: KvType, head: &[f32]) -> Vec<f32> {
    match kv_type {
        KvType::F16 => head.iter().map(|x| f16::from_f32(*x).to_f32()).collect(),
        KvType::Q8_0 => {
            let mut values = vec![0; head.len()];
            let scale = scalar::to_q8(head, &mut values, 1);
            values.iter().map(|&x| f32::from(x) * scale).collect()
        }
    }
}

fn close(got: &[f32], want: &[f32], within: f32, place: &dyn Fn() -> String) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (got - want).abs() <= within,
            "{} at {i}: {got} for {want}",
            place()
        );
    }
}

#[test]
fn attention_matches_a_naive_softmax() {
    let pools = [&Serial as &dyn Parallel, &Threads(3)];
    for (case, pool) in CASES.iter().zip(pools.into_iter().cycle()) {
        let inputs = Inputs::new(case);
        for kv_type in KV_TYPES {
            let want = inputs.naive(case, |head| rounded(kv_type, head));
            for kernels in Kernels::available() {
                let cache = inputs.store(kernels, kv_type, case, pool);
                let got = inputs.attend(kernels, case, &cache, pool);
                close(&got, &want, 2e-5, &|| {
                    let (heads, dim) = (case.heads, case.dim);
                    format!("{kv_type:?} {:?} heads {heads} dim {dim}", kernels.isa)
                });
            }
        }
    }
}

/// Values are off by at most half a step of 1 / 127, and so is their weighted mean; the keys' errors change weights by
/// as little, since they add up in random directions.
#[test]
fn eight_bits_stay_near_full_precision() {
    for case in &CASES {
        let inputs = Inputs::new(case);
        let want = inputs.naive(case, <[f32]>::to_vec);
        let kernels = Kernels::best();
        let cache = inputs.store(kernels, KvType::Q8_0, case, &Serial);
        let got = inputs.attend(kernels, case, &cache, &Serial);
        close(&got, &want, 0.012, &|| format!("dim {}", case.dim));
        let squares = |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x * x)).sum::<f64>();
        let error = squares(&mut got.iter().zip(&want).map(|(got, want)| got - want));
        let error = (error / squares(&mut want.iter().copied())).sqrt();
        assert!(error < 0.012, "dim {}: {error}", case.dim);
    }
}

#[test]
fn attention_of_a_row_does_not_depend_on_its_neighbours() {
    const TOKENS: usize = 75;
    let case = case(8, 2, 64, None, &[(TOKENS, 0)]);
    let inputs = Inputs::new(&case);
    for kernels in Kernels::available() {
        for kv_type in KV_TYPES {
            let cache = inputs.store(kernels, kv_type, &case, &Serial);
            let together = inputs.attend(kernels, &case, &cache, &Serial);
            let width = case.heads * case.dim;
            for row in 0..TOKENS {
                let batch = AttentionBatch {
                    q: &inputs.q[row * width..][..width],
                    cache: &cache,
                    heads: case.heads,
                    scale: SCALE,
                    window: None,
                    segments: &[AttentionSegment {
                        rows: 1,
                        start: row,
                        blocks: &inputs.blocks[0],
                    }],
                };
                let mut alone = vec![0.0; width];
                kernels.attention(&batch, &mut alone, &mut Scratch::default(), &Serial);
                assert_eq!(alone, together[row * width..][..width]);
            }
        }
    }
}

/// Everything that a cache holds, as bits.
fn bits(cache: &KvArenas) -> Vec<u32> {
    fn all<T: Stored>(arenas: &cache::Arenas<T>) -> Vec<u32> {
        let stored = arenas.keys.iter().chain(&arenas.values);
        let scales = arenas.key_scales.iter().chain(&arenas.value_scales);
        let stored = stored.map(|x| x.to_f32().to_bits());
        stored.chain(scales.map(|x| x.to_bits())).collect()
    }
    match cache.data() {
        Data::F16(arenas) => all(arenas),
        Data::Q8(arenas) => all(arenas),
    }
}

#[test]
fn every_table_and_number_of_threads_stores_the_same_bits() {
    for case in &CASES {
        let inputs = Inputs::new(case);
        for kv_type in KV_TYPES {
            let want = bits(&inputs.store(&scalar::KERNELS, kv_type, case, &Serial));
            for kernels in Kernels::available() {
                for pool in [&Serial as &dyn Parallel, &Threads(3)] {
                    let got = bits(&inputs.store(kernels, kv_type, case, pool));
                    assert!(got == want, "{kv_type:?} {:?} {}", kernels.isa, case.dim);
                }
            }
        }
    }
}

#[test]
fn threads_store_segments_that_share_a_block() {
    let (heads, dim) = (2, 24);
    let mut random = Random(5);
    let [keys, values] = [0, 1].map(|_| random.floats(96 * heads * dim));
    // The second segment goes on where the first ends, in the middle of block 3.
    let (blocks, other) = ([2, 0, 3], [2, 0, 3, 1]);
    let segments =
        [(80, 0, &blocks[..]), (16, 80, &other)].map(|(rows, start, blocks)| AttentionSegment {
            rows,
            start,
            blocks,
        });
    let batch = KvBatch {
        keys: &keys,
        values: &values,
        segments: &segments,
    };
    for kv_type in KV_TYPES {
        let stored = |pool: &dyn Parallel| {
            let mut cache = KvArenas::new(kv_type, 4, heads, dim);
            Kernels::best().store_kv(&batch, &mut cache, pool);
            bits(&cache)
        };
        assert!(stored(&Serial) == stored(&Threads(4)));
    }
}

#[test]
fn extreme_heads_are_stored_in_eight_bits() {
    for kernels in Kernels::available() {
        for len in [1, 7, 16, 64, 67] {
            for value in [0.0, 1e-45, -1e-38, 3e38, -127.0] {
                let (mut got, mut want) = (vec![1; 3 * len], vec![1; 3 * len]);
                let mut head = vec![value; len];
                head[0] = -value / 2.0;
                let scale = (kernels.table.to_q8)(&head, &mut got, 3);
                assert_eq!(scale, scalar::to_q8(&head, &mut want, 3));
                assert_eq!(got, want, "{:?}: {len} of {value}", kernels.isa);
                for (x, byte) in head.iter().zip(got.iter().step_by(3)) {
                    let error = (f32::from(*byte) * scale - x).abs();
                    assert!(error <= scale * 0.501 + 1e-36, "{x} became {byte}");
                }
            }
        }
    }
}

#[test]
fn a_block_is_copied_whole() {
    let (heads, dim) = (3, 16);
    let rows = random_rows(heads * dim);
    for kv_type in KV_TYPES {
        let mut cache = KvArenas::new(kv_type, 3, heads, dim);
        let store = |cache: &mut KvArenas, block: u32| {
            let batch = KvBatch {
                keys: &rows,
                values: &rows,
                segments: &[AttentionSegment {
                    rows: 20,
                    start: 0,
                    blocks: &[block],
                }],
            };
            Kernels::best().store_kv(&batch, cache, &Serial);
        };
        store(&mut cache, 1);
        cache.copy_block(1, 2);
        let mut want = KvArenas::new(kv_type, 3, heads, dim);
        store(&mut want, 1);
        store(&mut want, 2);
        assert!(bits(&cache) == bits(&want));
        assert_eq!(
            (cache.blocks(), cache.bytes()),
            (3, 3 * BLOCK_TOKENS * kv_type.token_bytes(heads, dim))
        );
    }
}

fn random_rows(width: usize) -> Vec<f32> {
    Random(77).floats(20 * width)
}
