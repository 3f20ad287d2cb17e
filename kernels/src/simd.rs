//! Everything but products, written once over a vector of floats.
//!
//! An instruction set implements [`Simd`] for a token that exists only where the processor has the instructions, and
//! enters these functions from functions compiled with the matching `target_feature`. All of them are
//! `inline(always)`, and none passes vectors to closures, so that the code is compiled with those features.

use crate::Pairing;
use crate::activations::{QuantizeRow, SUM_FACTOR_16, SUM_FACTOR_32, SUM_PAIRS, SUMS_256};
use crate::attention::{AttendJob, AttendState, BLOCK_TOKENS};
use half::f16;
use std::ops::Range;

/// Vectors of `LANES` floats; `LANES` is 4, 8 or 16. Loads and stores touch the first `LANES` elements of a slice and
/// panic where it is shorter.
pub(crate) trait Simd: Copy {
    type V: Copy;
    const LANES: usize;

    fn splat(self, x: f32) -> Self::V;
    fn load(self, x: &[f32]) -> Self::V;
    fn store(self, v: Self::V, out: &mut [f32]);
    fn load_f16(self, x: &[f16]) -> Self::V;
    fn store_f16(self, v: Self::V, out: &mut [f16]);
    /// Stores integral values within -128 and 127.
    fn store_i8(self, v: Self::V, out: &mut [i8]);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    fn abs(self, a: Self::V) -> Self::V;
    /// The size of `a` with the sign of `b`.
    fn copysign(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// To the nearest integer, halves to even.
    fn round(self, a: Self::V) -> Self::V;
    /// `a * 2^n` for integral `n` with a normal `2^n`.
    fn scale_by_power(self, a: Self::V, n: Self::V) -> Self::V;
    fn sum(self, a: Self::V) -> f32;
    fn largest(self, a: Self::V) -> f32;
    /// Swaps neighbouring lanes.
    fn swap_pairs(self, a: Self::V) -> Self::V;
    /// `a * b`, minus `c` in even lanes and plus `c` in odd ones.
    fn fma_alternating(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `cos[0], cos[0], cos[1], cos[1], ...` from the first `LANES / 2` elements.
    fn load_twice(self, x: &[f32]) -> Self::V;
}

/// Longest vector.
const MAX_LANES: usize = 16;

/// e^x within about 2 units in the last place for x within -87 and 88, clamped outside (after Cephes' `expf`).
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let x = s.min(s.max(x, s.splat(-87.0)), s.splat(88.0));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.fma(n, s.splat(-0.693_359_4), x);
    let r = s.fma(n, s.splat(2.121_944_4e-4), r);
    let mut p = s.splat(1.987_569_1e-4);
    p = s.fma(p, r, s.splat(1.398_199_9e-3));
    p = s.fma(p, r, s.splat(8.333_452e-3));
    p = s.fma(p, r, s.splat(4.166_579_6e-2));
    p = s.fma(p, r, s.splat(1.666_666_5e-1));
    p = s.fma(p, r, s.splat(0.5));
    let p = s.fma(s.mul(r, r), p, s.add(r, s.splat(1.0)));
    s.scale_by_power(p, n)
}

/// Runs `$body` on every vector of `$x` (and the same places of `$y`), with the rest padded by zeros.
macro_rules! in_place {
    ($s:expr, $x:expr, |$v:ident| $body:expr) => {{
        let (s, x) = ($s, $x);
        let mut chunks = x.chunks_exact_mut(S::LANES);
        for chunk in &mut chunks {
            let $v = s.load(chunk);
            s.store($body, chunk);
        }
        let rest = chunks.into_remainder();
        if !rest.is_empty() {
            let mut padded = [0.0; MAX_LANES];
            padded[..rest.len()].copy_from_slice(rest);
            let $v = s.load(&padded);
            s.store($body, &mut padded);
            rest.copy_from_slice(&padded[..rest.len()]);
        }
    }};
    ($s:expr, $x:expr, $y:expr, |$v:ident, $w:ident| $body:expr) => {{
        let (s, x, y) = ($s, $x, $y);
        let mut chunks = x.chunks_exact_mut(S::LANES);
        let mut others = y.chunks_exact(S::LANES);
        for (chunk, other) in (&mut chunks).zip(&mut others) {
            let ($v, $w) = (s.load(chunk), s.load(other));
            s.store($body, chunk);
        }
        let (rest, other) = (chunks.into_remainder(), others.remainder());
        if !rest.is_empty() {
            let mut padded = [[0.0; MAX_LANES]; 2];
            padded[0][..rest.len()].copy_from_slice(rest);
            padded[1][..rest.len()].copy_from_slice(&other[..rest.len()]);
            let ($v, $w) = (s.load(&padded[0]), s.load(&padded[1]));
            s.store($body, &mut padded[0]);
            rest.copy_from_slice(&padded[0][..rest.len()]);
        }
    }};
}

#[inline(always)]
pub(crate) fn silu_mul<S: Simd>(s: S, gate: &mut [f32], up: &[f32]) {
    in_place!(s, gate, up, |g, u| {
        let e = exp(s, s.sub(s.splat(0.0), g));
        s.mul(s.div(g, s.add(s.splat(1.0), e)), u)
    });
}

#[inline(always)]
pub(crate) fn gelu<S: Simd>(s: S, x: &mut [f32], tanh: bool) {
    if tanh {
        in_place!(s, x, |x| {
            let cubed = s.mul(s.mul(x, x), x);
            let inner = s.mul(s.splat(0.797_884_6), s.fma(cubed, s.splat(0.044_715), x));
            // 0.5 (1 + tanh(t)) = 1 / (1 + exp(-2 t))
            let e = exp(s, s.mul(inner, s.splat(-2.0)));
            s.div(x, s.add(s.splat(1.0), e))
        });
    } else {
        in_place!(s, x, |x| {
            let erf = erf(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2)));
            let half = s.mul(x, s.splat(0.5));
            s.fma(half, erf, half)
        });
    }
}

/// Abramowitz and Stegun 7.1.26, within 1.5e-7.
#[inline(always)]
fn erf<S: Simd>(s: S, x: S::V) -> S::V {
    let (one, z) = (s.splat(1.0), s.abs(x));
    let t = s.div(one, s.fma(z, s.splat(0.327_591_1), one));
    let mut p = s.splat(1.061_405_4);
    for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        p = s.fma(p, t, s.splat(c));
    }
    let e = exp(s, s.sub(s.splat(0.0), s.mul(z, z)));
    s.copysign(s.sub(one, s.mul(s.mul(p, t), e)), x)
}

#[inline(always)]
pub(crate) fn add<S: Simd>(s: S, x: &mut [f32], y: &[f32]) {
    in_place!(s, x, y, |x, y| s.add(x, y));
}

/// Sum of `(x - shift)^2`.
#[inline(always)]
fn sum_of_squares<S: Simd>(s: S, x: &[f32], shift: f32) -> f32 {
    let mut sums = [s.splat(0.0); 4];
    let by = s.splat(shift);
    let mut chunks = x.chunks_exact(4 * S::LANES);
    for chunk in &mut chunks {
        for (i, sum) in sums.iter_mut().enumerate() {
            let v = s.sub(s.load(&chunk[i * S::LANES..]), by);
            *sum = s.fma(v, v, *sum);
        }
    }
    let sum = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
    let rest: f32 = chunks
        .remainder()
        .iter()
        .map(|x| (x - shift) * (x - shift))
        .sum();
    s.sum(sum) + rest
}

#[inline(always)]
pub(crate) fn rms_norm<S: Simd>(s: S, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = 1.0 / (sum_of_squares(s, x, 0.0) / x.len() as f32 + eps).sqrt();
    let vector = s.splat(scale);
    let whole = x.len() / S::LANES * S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        let v = s.mul(s.load(&x[at..]), vector);
        s.store(s.mul(v, s.load(&weight[at..])), &mut out[at..]);
    }
    for i in whole..x.len() {
        out[i] = x[i] * scale * weight[i];
    }
}

#[inline(always)]
pub(crate) fn layer_norm<S: Simd>(
    s: S,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    out: &mut [f32],
) {
    let mut sum = s.splat(0.0);
    let mut chunks = x.chunks_exact(S::LANES);
    for chunk in &mut chunks {
        sum = s.add(sum, s.load(chunk));
    }
    let mean = (s.sum(sum) + chunks.remainder().iter().sum::<f32>()) / x.len() as f32;
    let scale = 1.0 / (sum_of_squares(s, x, mean) / x.len() as f32 + eps).sqrt();
    let (by, factor) = (s.splat(mean), s.splat(scale));
    let whole = x.len() / S::LANES * S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        let v = s.mul(s.sub(s.load(&x[at..]), by), factor);
        s.store(
            s.fma(v, s.load(&weight[at..]), s.load(&bias[at..])),
            &mut out[at..],
        );
    }
    for i in whole..x.len() {
        out[i] = (x[i] - mean) * scale * weight[i] + bias[i];
    }
}

#[inline(always)]
pub(crate) fn softmax<S: Simd>(s: S, x: &mut [f32]) {
    let mut most = s.splat(f32::NEG_INFINITY);
    let mut chunks = x.chunks_exact(S::LANES);
    for chunk in &mut chunks {
        most = s.max(most, s.load(chunk));
    }
    let max = chunks
        .remainder()
        .iter()
        .copied()
        .fold(s.largest(most), f32::max);
    let (most, mut sums) = (s.splat(max), s.splat(0.0));
    let mut chunks = x.chunks_exact_mut(S::LANES);
    for chunk in &mut chunks {
        let e = exp(s, s.sub(s.load(chunk), most));
        sums = s.add(sums, e);
        s.store(e, chunk);
    }
    let mut sum = s.sum(sums);
    for x in chunks.into_remainder() {
        *x = (*x - max).exp();
        sum += *x;
    }
    let factor = s.splat(1.0 / sum);
    in_place!(s, x, |x| s.mul(x, factor));
}

#[inline(always)]
pub(crate) fn rope<S: Simd>(s: S, x: &mut [f32], cos: &[f32], sin: &[f32], pairing: Pairing) {
    let half = cos.len();
    match pairing {
        Pairing::Halves => {
            let (first, second) = x[..2 * half].split_at_mut(half);
            let whole = half / S::LANES * S::LANES;
            for at in (0..whole).step_by(S::LANES) {
                let (a, b) = (s.load(&first[at..]), s.load(&second[at..]));
                let (c, d) = (s.load(&cos[at..]), s.load(&sin[at..]));
                s.store(s.sub(s.mul(a, c), s.mul(b, d)), &mut first[at..]);
                s.store(s.fma(a, d, s.mul(b, c)), &mut second[at..]);
            }
            for i in whole..half {
                let (a, b) = (first[i], second[i]);
                first[i] = a * cos[i] - b * sin[i];
                second[i] = a * sin[i] + b * cos[i];
            }
        }
        Pairing::Adjacent => {
            let step = S::LANES / 2;
            let whole = half / step * step;
            for at in (0..whole).step_by(step) {
                let v = s.load(&x[2 * at..]);
                let turned = s.mul(s.swap_pairs(v), s.load_twice(&sin[at..]));
                let v = s.fma_alternating(v, s.load_twice(&cos[at..]), turned);
                s.store(v, &mut x[2 * at..]);
            }
            for i in whole..half {
                let (a, b) = (x[2 * i], x[2 * i + 1]);
                x[2 * i] = a * cos[i] - b * sin[i];
                x[2 * i + 1] = a * sin[i] + b * cos[i];
            }
        }
    }
}

#[inline(always)]
pub(crate) fn to_f16<S: Simd>(s: S, from: &[f32], to: &mut [f16]) {
    let mut chunks = from.chunks_exact(S::LANES);
    let mut targets = to.chunks_exact_mut(S::LANES);
    for (from, to) in (&mut chunks).zip(&mut targets) {
        s.store_f16(s.load(from), to);
    }
    for (to, from) in targets.into_remainder().iter_mut().zip(chunks.remainder()) {
        *to = f16::from_f32(*from);
    }
}

/// Quantises up to 256 values: the largest becomes 127. Returns the scale; `sums` are those of runs of 16.
#[inline(always)]
fn quantize<S: Simd>(s: S, x: &[f32], values: &mut [i8], sums: &mut [i32]) -> f32 {
    let mut most = s.splat(0.0);
    for x in x.chunks_exact(S::LANES) {
        most = s.max(most, s.abs(s.load(x)));
    }
    let largest = s.largest(most);
    let inverse = s.splat(if largest > 0.0 { 127.0 / largest } else { 0.0 });
    let runs = x
        .chunks_exact(16)
        .zip(values.chunks_exact_mut(16))
        .zip(sums);
    for ((x, values), sum) in runs {
        let mut total = s.splat(0.0);
        for (x, values) in x
            .chunks_exact(S::LANES)
            .zip(values.chunks_exact_mut(S::LANES))
        {
            let v = s.round(s.mul(s.load(x), inverse));
            s.store_i8(v, values);
            total = s.add(total, v);
        }
        *sum = s.sum(total) as i32;
    }
    largest / 127.0
}

/// Puts the groups of a row of values among those of its block of `n` rows.
#[inline(always)]
fn interleave(values: &[i8], n: usize, row: usize, out: &mut [i8]) {
    if n == 1 {
        out.copy_from_slice(values);
        return;
    }
    let (groups, _) = values.as_chunks::<4>();
    let (targets, _) = out.as_chunks_mut::<4>();
    for (to, from) in targets[row..].iter_mut().step_by(n).zip(groups) {
        *to = *from;
    }
}

#[inline(always)]
pub(crate) fn quantize_32<S: Simd>(s: S, job: QuantizeRow<'_>) {
    let (n, r) = (job.n, job.row);
    for (b, x) in job.x.chunks_exact(32).enumerate() {
        let (mut values, mut sums) = ([0; 32], [0; 2]);
        job.scales[b * n + r] = quantize(s, x, &mut values, &mut sums);
        interleave(&values, n, r, &mut job.values[b * 32 * n..][..32 * n]);
        job.sums[b * n + r] = (sums[0] + sums[1]) * SUM_FACTOR_32;
    }
}

#[inline(always)]
pub(crate) fn quantize_256<S: Simd>(s: S, job: QuantizeRow<'_>) {
    let (n, r) = (job.n, job.row);
    for (b, x) in job.x.chunks_exact(256).enumerate() {
        let (mut values, mut sums) = ([0; 256], [0; 16]);
        job.scales[b * n + r] = quantize(s, x, &mut values, &mut sums);
        interleave(&values, n, r, &mut job.values[b * 256 * n..][..256 * n]);
        let out = &mut job.sums[b * SUMS_256 * n..][..SUMS_256 * n];
        for (i, (low, high)) in SUM_PAIRS.into_iter().enumerate() {
            let low = (sums[2 * low] + sums[2 * low + 1]) as u16;
            let high = (sums[2 * high] + sums[2 * high + 1]) as u16;
            out[i * n + r] = (u32::from(low) | u32::from(high) << 16) as i32;
        }
        for (j, sum) in sums.into_iter().enumerate() {
            out[(4 + j) * n + r] = sum * SUM_FACTOR_16;
        }
    }
}

/// Vectors of scores in a block of keys, at most.
const MAX_PARTS: usize = BLOCK_TOKENS / 4;

/// Attention of a unit, `Q` query vectors at a time. `Q * 32 / LANES` registers hold scores.
#[inline(always)]
pub(crate) fn attend<S: Simd, const Q: usize>(s: S, job: AttendJob<'_>, state: AttendState<'_>) {
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
            1 => attend_vectors::<S, 1>(s, job, i, &mut state),
            2 => attend_vectors::<S, 2>(s, job, i, &mut state),
            4 => attend_vectors::<S, 4>(s, job, i, &mut state),
            _ => attend_vectors::<S, Q>(s, job, i, &mut state),
        }
        i += step;
    }
}

/// Query vectors `first .. first + Q` against all keys of the unit.
#[inline(always)]
fn attend_vectors<S: Simd, const Q: usize>(
    s: S,
    job: AttendJob<'_>,
    first: usize,
    state: &mut AttendState<'_>,
) {
    let dim = job.batch.head_dim;
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
        scores(s, &queries, job.keys(block), job.batch.scale, &mut weights);
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
        }
        let tokens = from.max(start) - start..to.min(start + BLOCK_TOKENS) - start;
        let values = job.values(block);
        let mut at = 0;
        // As many dimensions at once as there are registers for, less some for values and weights.
        while at + S::LANES <= dim {
            let left = (dim - at) / S::LANES;
            let room = if S::LANES == 8 { 8 } else { 16 } / Q;
            let step = if left >= 4 && room >= 4 {
                weigh::<S, Q, 4>(s, &weights, values, dim, at, tokens.clone(), acc);
                4
            } else if left >= 2 && room >= 2 {
                weigh::<S, Q, 2>(s, &weights, values, dim, at, tokens.clone(), acc);
                2
            } else {
                weigh::<S, Q, 1>(s, &weights, values, dim, at, tokens.clone(), acc);
                1
            };
            at += step * S::LANES;
        }
        for q in 0..Q {
            for d in at..dim {
                let acc = &mut acc[q * dim + d];
                for t in tokens.clone() {
                    *acc += weights[q][t] * values[t * dim + d].to_f32();
                }
            }
        }
        block += 1;
    }
    state.max[first..first + Q].copy_from_slice(&max);
    state.sum[first..first + Q].copy_from_slice(&sum);
}

/// Scores of `Q` queries with the 32 keys of a block, `[head_dim][32]`.
#[inline(always)]
fn scores<S: Simd, const Q: usize>(
    s: S,
    queries: &[&[f32]; Q],
    keys: &[f16],
    scale: f32,
    out: &mut [[f32; BLOCK_TOKENS]; Q],
) {
    let parts = BLOCK_TOKENS / S::LANES;
    // A pass holds two vectors of tokens, so that short vectors do not run out of registers.
    for pass in 0..parts / 2 {
        let mut sums = [[s.splat(0.0); 2]; Q];
        let (keys, _) = keys.as_chunks::<BLOCK_TOKENS>();
        for (d, keys) in keys.iter().enumerate() {
            let low = s.load_f16(&keys[pass * 2 * S::LANES..]);
            let high = s.load_f16(&keys[(pass * 2 + 1) * S::LANES..]);
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

/// Adds weighted values to dimensions `at .. at + C * LANES` of all accumulators.
#[inline(always)]
fn weigh<S: Simd, const Q: usize, const C: usize>(
    s: S,
    weights: &[[f32; BLOCK_TOKENS]; Q],
    values: &[f16],
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
        let mut v = [s.splat(0.0); C];
        for (c, v) in v.iter_mut().enumerate() {
            *v = s.load_f16(&row[c * S::LANES..]);
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
