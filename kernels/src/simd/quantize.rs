//! Activations to int8.

use super::Simd;
use crate::activations::{QuantizeRow, SUM_FACTOR_16, SUM_FACTOR_32, SUM_PAIRS, SUMS_256};

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
