//! Attention of one unit: online softmax over blocks of keys, sums in registers.

use super::{Simd, exp};
use crate::attention::{AttendJob, AttendState};
use crate::cache::{BLOCK_TOKENS, Stored};
use half::f16;
use std::ops::Range;

/// Vectors of scores in a block of keys, at most.
const MAX_PARTS: usize = BLOCK_TOKENS / 4;

/// Bytes in a cache line.
const CACHE_LINE: usize = 64;

/// An element type of the cache, as vectors of floats.
pub(crate) trait Load: Stored {
    fn load<S: Simd>(s: S, x: &[Self]) -> S::V;
}

impl Load for f16 {
    #[inline(always)]
    fn load<S: Simd>(s: S, x: &[f16]) -> S::V {
        s.load_f16(x)
    }
}

impl Load for i8 {
    #[inline(always)]
    fn load<S: Simd>(s: S, x: &[i8]) -> S::V {
        s.load_i8(x)
    }
}

/// Attention of a unit, `Q` query vectors at a time. `Q * 32 / LANES` registers hold scores.
#[inline(always)]
pub(crate) fn attend<S: Simd, T: Load, const Q: usize>(
    s: S,
    job: AttendJob<'_, T>,
    state: AttendState<'_>,
) {
    let mut i = 0;
    let mut state = state;
    let vectors = job.vectors();
    while i < vectors {
        let step = match vectors - i {
            left if left >= Q => Q,
            4.. if Q > 4 => 4,
            2.. if Q > 2 => 2,
            _ => 1,
        };
        match step {
            1 => attend_vectors::<S, T, 1>(s, job, i, &mut state),
            2 => attend_vectors::<S, T, 2>(s, job, i, &mut state),
            4 => attend_vectors::<S, T, 4>(s, job, i, &mut state),
            _ => attend_vectors::<S, T, Q>(s, job, i, &mut state),
        }
        i += step;
    }
}

/// Query vectors `first .. first + Q` against all keys of the unit.
#[inline(always)]
fn attend_vectors<S: Simd, T: Load, const Q: usize>(
    s: S,
    job: AttendJob<'_, T>,
    first: usize,
    state: &mut AttendState<'_>,
) {
    let dim = job.shape.head_dim;
    let acc = &mut state.acc[first * dim..(first + Q) * dim];
    acc.fill(0.0);
    let mut max = [f32::MIN; Q];
    let mut sum = [0.0f32; Q];
    let mut queries: [&[f32]; Q] = [&[]; Q];
    let visible: [Range<usize>; Q] = std::array::from_fn(|q| job.visible(first + q));
    let (mut from, mut to) = (usize::MAX, 0);
    for q in 0..Q {
        queries[q] = job.query(first + q);
        if !visible[q].is_empty() {
            from = from.min(visible[q].start);
            to = to.max(visible[q].end);
        }
    }
    let mut block = from / BLOCK_TOKENS;
    while block * BLOCK_TOKENS < to {
        let start = block * BLOCK_TOKENS;
        let mut weights = [[0.0f32; BLOCK_TOKENS]; Q];
        // A lone token waits for memory: the blocks of a sequence lie apart, so the next one is asked for meanwhile.
        let next = if (block + 1) * BLOCK_TOKENS < to {
            block + 1
        } else {
            block
        };
        let keys = [job.keys(block), job.keys(next)];
        scores(s, &queries, keys, job.batch.scale, &mut weights);
        if T::SCALED {
            let scales = job.key_scales(block);
            weights
                .iter_mut()
                .for_each(|scores| scale(s, scores, scales));
        }
        for q in 0..Q {
            let seen = visible[q].start.max(start)..visible[q].end.min(start + BLOCK_TOKENS);
            if seen.is_empty() {
                weights[q] = [0.0; BLOCK_TOKENS];
                continue;
            }
            let seen = seen.start - start..seen.end - start;
            let shrink = block_weights(s, &mut weights[q], seen, &mut max[q], &mut sum[q]);
            if shrink < 1.0 {
                let factor = s.splat(shrink);
                in_place!(s, &mut acc[q * dim..(q + 1) * dim], |v| s.mul(v, factor));
            }
            if T::SCALED {
                scale(s, &mut weights[q], job.value_scales(block));
            }
        }
        let tokens = from.max(start) - start..to.min(start + BLOCK_TOKENS) - start;
        let values = [job.values(block), job.values(next)];
        let mut at = 0;
        // As many dimensions at once as there are registers for, less some for values and weights.
        while at + S::LANES <= dim {
            let left = (dim - at) / S::LANES;
            let room = if S::LANES == 8 { 8 } else { 16 } / Q;
            let step = if left >= 4 && room >= 4 {
                weigh::<S, T, Q, 4>(s, &weights, values, dim, at, tokens.clone(), acc);
                4
            } else if left >= 2 && room >= 2 {
                weigh::<S, T, Q, 2>(s, &weights, values, dim, at, tokens.clone(), acc);
                2
            } else {
                weigh::<S, T, Q, 1>(s, &weights, values, dim, at, tokens.clone(), acc);
                1
            };
            at += step * S::LANES;
        }
        for q in 0..Q {
            for d in at..dim {
                let acc = &mut acc[q * dim + d];
                for t in tokens.clone() {
                    *acc += weights[q][t] * values[0][t * dim + d].to_f32();
                }
            }
        }
        block += 1;
    }
    state.max[first..first + Q].copy_from_slice(&max);
    state.sum[first..first + Q].copy_from_slice(&sum);
}

/// Scores of `Q` queries with the 32 keys of a block, `[head_dim][32]`; the second block is what follows it.
#[inline(always)]
fn scores<S: Simd, T: Load, const Q: usize>(
    s: S,
    queries: &[&[f32]; Q],
    keys: [&[T]; 2],
    scale: f32,
    out: &mut [[f32; BLOCK_TOKENS]; Q],
) {
    let parts = BLOCK_TOKENS / S::LANES;
    // A pass holds two vectors of tokens, so that short vectors do not run out of registers.
    for pass in 0..parts / 2 {
        let mut sums = [[s.splat(0.0); 2]; Q];
        let [keys, next] = keys.map(|keys| keys.as_chunks::<BLOCK_TOKENS>().0);
        for (d, (keys, next)) in keys.iter().zip(next).enumerate() {
            if pass == 0 {
                s.prefetch(next);
            }
            let low = T::load(s, &keys[pass * 2 * S::LANES..]);
            let high = T::load(s, &keys[(pass * 2 + 1) * S::LANES..]);
            for (sums, query) in sums.iter_mut().zip(queries) {
                let q = s.splat(query[d]);
                sums[0] = s.fma(low, q, sums[0]);
                sums[1] = s.fma(high, q, sums[1]);
            }
        }
        let factor = s.splat(scale);
        for (sums, out) in sums.iter().zip(out.iter_mut()) {
            s.store(s.mul(sums[0], factor), &mut out[pass * 2 * S::LANES..]);
            s.store(
                s.mul(sums[1], factor),
                &mut out[(pass * 2 + 1) * S::LANES..],
            );
        }
    }
}

/// Multiplies what stands for the 32 tokens of a block by their scales.
#[inline(always)]
fn scale<S: Simd>(s: S, x: &mut [f32; BLOCK_TOKENS], scales: &[f32]) {
    in_place!(s, &mut x[..], &scales[..BLOCK_TOKENS], |x, scale| s
        .mul(x, scale));
}

/// Turns scores into `exp(score - max)`, zero outside `seen`, and brings `max` and `sum` up to date. Returns what
/// earlier sums shrink by, below 1 where there is a new maximum.
#[inline(always)]
fn block_weights<S: Simd>(
    s: S,
    scores: &mut [f32; BLOCK_TOKENS],
    seen: Range<usize>,
    max: &mut f32,
    sum: &mut f32,
) -> f32 {
    scores[..seen.start].fill(f32::MIN);
    scores[seen.end..].fill(f32::MIN);
    let parts = BLOCK_TOKENS / S::LANES;
    let mut vectors = [s.splat(0.0); MAX_PARTS];
    let mut most = s.splat(*max);
    for (i, v) in vectors[..parts].iter_mut().enumerate() {
        *v = s.load(&scores[i * S::LANES..]);
        most = s.max(most, *v);
    }
    let new_max = s.largest(most);
    let by = s.splat(new_max);
    for (i, v) in vectors[..parts].iter().enumerate() {
        s.store(exp(s, s.sub(*v, by)), &mut scores[i * S::LANES..]);
    }
    scores[..seen.start].fill(0.0);
    scores[seen.end..].fill(0.0);
    let mut total = s.splat(0.0);
    for i in 0..parts {
        total = s.add(total, s.load(&scores[i * S::LANES..]));
    }
    let shrink = if new_max == *max {
        1.0
    } else if *max > f32::MIN {
        (*max - new_max).exp()
    } else {
        0.0
    };
    *sum = *sum * shrink + s.sum(total);
    *max = new_max;
    shrink
}

/// Adds weighted values to dimensions `at .. at + C * LANES` of all accumulators; the second block follows the first.
#[inline(always)]
fn weigh<S: Simd, T: Load, const Q: usize, const C: usize>(
    s: S,
    weights: &[[f32; BLOCK_TOKENS]; Q],
    [values, next]: [&[T]; 2],
    dim: usize,
    at: usize,
    tokens: Range<usize>,
    acc: &mut [f32],
) {
    let mut sums = [[s.splat(0.0); C]; Q];
    for (q, sums) in sums.iter_mut().enumerate() {
        for (c, sum) in sums.iter_mut().enumerate() {
            *sum = s.load(&acc[q * dim + at + c * S::LANES..]);
        }
    }
    for t in tokens {
        let row = &values[t * dim + at..][..C * S::LANES];
        for line in next[t * dim + at..][..C * S::LANES].chunks(CACHE_LINE / size_of::<T>()) {
            s.prefetch(line);
        }
        let mut v = [s.splat(0.0); C];
        for (c, v) in v.iter_mut().enumerate() {
            *v = T::load(s, &row[c * S::LANES..]);
        }
        for (q, sums) in sums.iter_mut().enumerate() {
            let weight = s.splat(weights[q][t]);
            for (c, sum) in sums.iter_mut().enumerate() {
                *sum = s.fma(weight, v[c], *sum);
            }
        }
    }
    for (q, sums) in sums.iter().enumerate() {
        for (c, sum) in sums.iter().enumerate() {
            s.store(*sum, &mut acc[q * dim + at + c * S::LANES..]);
        }
    }
}
