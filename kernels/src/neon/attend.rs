//! Attention of a few query vectors over blocks of the cache, four vectors at a time.
//!
//! Each block of keys and values is converted to f32 once for four vectors and comes from the first-level cache for
//! all but the first four of a unit. Every vector takes the same steps in the same order whatever its neighbours are:
//! a key that only a neighbour sees has weight zero.

#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers into checked slices"
)]

use super::dot::{load_f16, load_i8};
use super::vector::Neon;
use crate::attention::{AttendJob, AttendState};
use crate::cache::{BLOCK_TOKENS, Stored};
use crate::simd;
use half::f16;
use std::arch::aarch64::*;

/// Registers of one row of scores.
const SCORES: usize = BLOCK_TOKENS / 4;

/// An element type of the cache.
pub(super) trait Load: Stored {
    /// Eight of them, without their scale.
    ///
    /// # Safety
    /// They can be read, and the CPU has NEON.
    unsafe fn eight(at: *const Self) -> [float32x4_t; 2];
}

impl Load for f16 {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn eight(at: *const f16) -> [float32x4_t; 2] {
        // SAFETY: promised by the caller.
        unsafe { load_f16(at.cast()) }
    }
}

impl Load for i8 {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn eight(at: *const i8) -> [float32x4_t; 2] {
        // SAFETY: promised by the caller.
        unsafe { load_i8(at) }
    }
}

/// # Safety
/// The CPU has NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn attend<T: Load>(job: AttendJob<'_, T>, state: AttendState<'_>) {
    let (vectors, dim) = (job.vectors(), job.shape.head_dim);
    let AttendState { acc, max, sum } = state;
    acc[..vectors * dim].fill(0.0);
    max[..vectors].fill(f32::MIN);
    sum[..vectors].fill(0.0);
    for block in job.unit.from / BLOCK_TOKENS..job.unit.to.div_ceil(BLOCK_TOKENS) {
        let (keys, values) = (job.keys(block), job.values(block));
        assert!(keys.len() == BLOCK_TOKENS * dim && values.len() == BLOCK_TOKENS * dim);
        for first in (0..vectors).step_by(4) {
            let m = (vectors - first).min(4);
            let state = AttendState {
                acc: &mut acc[first * dim..][..m * dim],
                max: &mut max[first..][..m],
                sum: &mut sum[first..][..m],
            };
            let step = Step {
                job,
                block,
                keys,
                values,
                first,
            };
            // SAFETY: the block's and the state's lengths are as `some` wants them.
            unsafe {
                match m {
                    1 => some::<T, 1, 8>(step, state),
                    2 => some::<T, 2, 8>(step, state),
                    3 => some::<T, 3, 4>(step, state),
                    _ => some::<T, 4, 4>(step, state),
                }
            }
        }
    }
}

/// Query vectors `first ..` and a block of the cache.
#[derive(Clone, Copy)]
struct Step<'a, T> {
    job: AttendJob<'a, T>,
    block: usize,
    keys: &'a [T],
    values: &'a [T],
    first: usize,
}

/// `M` query vectors meet a block, `4 W` keys at a time.
///
/// # Safety
/// The CPU has NEON; keys and values are whole blocks; `state` is that of the `M` vectors.
#[target_feature(enable = "neon")]
unsafe fn some<T: Load, const M: usize, const W: usize>(step: Step<'_, T>, state: AttendState<'_>) {
    let Step {
        job,
        block,
        keys,
        values,
        first,
    } = step;
    let dim = job.shape.head_dim;
    let base = block * BLOCK_TOKENS;
    let mut queries = [[].as_ptr(); M];
    let mut seen = [(0, 0); M];
    let (mut from, mut to) = (BLOCK_TOKENS, 0);
    for r in 0..M {
        queries[r] = job.query(first + r).as_ptr();
        let visible = job.visible(first + r);
        let (start, end) = (
            visible.start.max(base),
            visible.end.min(base + BLOCK_TOKENS),
        );
        if start < end {
            seen[r] = (start - base, end - base);
            (from, to) = (from.min(start - base), to.max(end - base));
        }
    }
    if from >= to {
        return;
    }
    let mut scores = [[vdupq_n_f32(0.0); SCORES]; M];
    for start in (0..SCORES).step_by(W) {
        // SAFETY: `keys` is `[dim][BLOCK_TOKENS]` and every query has `dim` values.
        let some = unsafe { products::<T, M, W>(keys.as_ptr(), start * 4, &queries, dim) };
        for r in 0..M {
            for i in 0..W {
                scores[r][start + i] = vmulq_n_f32(some[r][i], job.batch.scale);
            }
        }
    }
    if T::SCALED {
        let scales = job.key_scales(block);
        scores.iter_mut().for_each(|scores| scale(scores, scales));
    }
    let mut weights = [[0.0f32; BLOCK_TOKENS]; M];
    let mut shrink = [1.0; M];
    for r in 0..M {
        if seen[r].0 >= seen[r].1 {
            continue;
        }
        let largest = mask(&mut scores[r], seen[r]);
        let max = state.max[r].max(largest);
        shrink[r] = vgetq_lane_f32::<0>(simd::exp(Neon, vdupq_n_f32(state.max[r] - max)));
        let mut sums = vdupq_n_f32(0.0);
        for (score, weights) in scores[r].iter().zip(weights[r].as_chunks_mut::<4>().0) {
            let weight = simd::exp(Neon, vsubq_f32(*score, vdupq_n_f32(max)));
            let seen = vcgeq_f32(*score, vdupq_n_f32(f32::MIN));
            let weight = vandq_u32(vreinterpretq_u32_f32(weight), seen);
            let weight = vreinterpretq_f32_u32(weight);
            sums = vaddq_f32(sums, weight);
            // SAFETY: four floats.
            unsafe { vst1q_f32(weights.as_mut_ptr(), weight) };
        }
        state.sum[r] = state.sum[r] * shrink[r] + vaddvq_f32(sums);
        state.max[r] = max;
        if T::SCALED {
            let scales = job.value_scales(block).iter();
            let weights = weights[r].iter_mut().zip(scales);
            weights.for_each(|(weight, scale)| *weight *= scale);
        }
    }
    let range = Weighted {
        weights: &weights,
        shrink: &shrink,
        from,
        to,
    };
    let (values, acc) = (values.as_ptr(), state.acc.as_mut_ptr());
    let mut d = 0;
    // SAFETY: `values` is `[BLOCK_TOKENS][dim]`, `acc` is `[M][dim]`, and `d` plus the columns taken is within `dim`.
    unsafe {
        while d + 16 <= dim {
            gather::<T, M, 2>(values.add(d), &range, dim, acc.add(d));
            d += 16;
        }
        while d + 8 <= dim {
            gather::<T, M, 1>(values.add(d), &range, dim, acc.add(d));
            d += 8;
        }
        while d < dim {
            gather_one(values.add(d), &range, dim, acc.add(d));
            d += 1;
        }
    }
}

/// Multiplies the scores of a block's tokens by their scales.
#[inline]
#[target_feature(enable = "neon")]
fn scale(scores: &mut [float32x4_t; SCORES], scales: &[f32]) {
    for (score, scales) in scores.iter_mut().zip(scales.as_chunks::<4>().0) {
        // SAFETY: four floats.
        *score = vmulq_f32(*score, unsafe { vld1q_f32(scales.as_ptr()) });
    }
}

/// Scores of unseen keys become minus infinity; gives the largest of the others, of which there is one at least.
#[inline]
#[target_feature(enable = "neon")]
fn mask(scores: &mut [float32x4_t; SCORES], (from, to): (usize, usize)) -> f32 {
    if from > 0 || to < BLOCK_TOKENS {
        const FOUR: [u32; 4] = [0, 1, 2, 3];
        // SAFETY: four numbers.
        let four = unsafe { vld1q_u32(FOUR.as_ptr()) };
        let width = vdupq_n_u32((to - from) as u32);
        for (i, score) in scores.iter_mut().enumerate() {
            // Keys before `from` wrap around to large numbers.
            let place = vaddq_u32(four, vdupq_n_u32((4 * i).wrapping_sub(from) as u32));
            let visible = vcltq_u32(place, width);
            *score = vbslq_f32(visible, *score, vdupq_n_f32(f32::NEG_INFINITY));
        }
    }
    let mut most = scores[0];
    for score in &scores[1..] {
        most = vmaxnmq_f32(most, *score);
    }
    vmaxnmvq_f32(most)
}

/// Dot products of `M` queries with `4 W` keys from column `token` on.
///
/// # Safety
/// `keys` holds `dim` times `BLOCK_TOKENS` numbers, every query `dim` values.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn products<T: Load, const M: usize, const W: usize>(
    keys: *const T,
    token: usize,
    queries: &[*const f32; M],
    dim: usize,
) -> [[float32x4_t; W]; M] {
    let mut sums = [[vdupq_n_f32(0.0); W]; M];
    for d in 0..dim {
        let mut key = [vdupq_n_f32(0.0); W];
        for i in 0..W / 2 {
            // SAFETY: promised by the caller. The same below.
            let eight = unsafe { T::eight(keys.add(d * BLOCK_TOKENS + token + 8 * i)) };
            (key[2 * i], key[2 * i + 1]) = (eight[0], eight[1]);
        }
        for r in 0..M {
            // SAFETY: as above.
            let query = unsafe { *queries[r].add(d) };
            for i in 0..W {
                sums[r][i] = vfmaq_n_f32(sums[r][i], key[i], query);
            }
        }
    }
    sums
}

/// Weights of keys `from .. to`, and what the sums so far are multiplied by.
struct Weighted<'a, const M: usize> {
    weights: &'a [[f32; BLOCK_TOKENS]; M],
    shrink: &'a [f32; M],
    from: usize,
    to: usize,
}

/// `acc = acc * shrink + weights . values` for `8 E` columns.
///
/// # Safety
/// `values` and `acc` have these columns in rows that are `dim` apart: `range.to` and `M` of them.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn gather<T: Load, const M: usize, const E: usize>(
    values: *const T,
    range: &Weighted<'_, M>,
    dim: usize,
    acc: *mut f32,
) {
    let mut sums = [[[vdupq_n_f32(0.0); 2]; E]; M];
    for r in 0..M {
        for e in 0..E {
            for h in 0..2 {
                // SAFETY: promised by the caller. The same below.
                let old = unsafe { vld1q_f32(acc.add(r * dim + 8 * e + 4 * h)) };
                sums[r][e][h] = vmulq_n_f32(old, range.shrink[r]);
            }
        }
    }
    for t in range.from..range.to {
        let mut value = [[vdupq_n_f32(0.0); 2]; E];
        for (e, value) in value.iter_mut().enumerate() {
            // SAFETY: as above.
            *value = unsafe { T::eight(values.add(t * dim + 8 * e)) };
        }
        for r in 0..M {
            for e in 0..E {
                for h in 0..2 {
                    sums[r][e][h] = vfmaq_n_f32(sums[r][e][h], value[e][h], range.weights[r][t]);
                }
            }
        }
    }
    for r in 0..M {
        for e in 0..E {
            for h in 0..2 {
                // SAFETY: as above.
                unsafe { vst1q_f32(acc.add(r * dim + 8 * e + 4 * h), sums[r][e][h]) };
            }
        }
    }
}

/// The same for one column.
///
/// # Safety
/// As for `gather`.
unsafe fn gather_one<T: Stored, const M: usize>(
    values: *const T,
    range: &Weighted<'_, M>,
    dim: usize,
    acc: *mut f32,
) {
    for r in 0..M {
        // SAFETY: promised by the caller. The same below.
        let to = unsafe { &mut *acc.add(r * dim) };
        *to *= range.shrink[r];
        for t in range.from..range.to {
            // SAFETY: as above.
            let value = unsafe { *values.add(t * dim) };
            *to += range.weights[r][t] * value.to_f32();
        }
    }
}
