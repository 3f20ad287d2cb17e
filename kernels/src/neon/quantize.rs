//! Activations to int8, with their sums, in the interleaved form of module `activations`.

#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers into checked slices"
)]

use crate::activations::{QuantizeRow, SUM_FACTOR_16, SUM_FACTOR_32, SUMS_256};
use std::arch::aarch64::*;

#[inline]
#[target_feature(enable = "neon")]
fn load(x: &[f32; 4]) -> float32x4_t {
    // SAFETY: four floats.
    unsafe { vld1q_f32(x.as_ptr()) }
}

/// The largest magnitude, its step `largest / 127`, and what values are multiplied by.
#[inline]
#[target_feature(enable = "neon")]
fn steps(x: &[[f32; 4]]) -> (f32, float32x4_t) {
    let mut most = [vdupq_n_f32(0.0); 4];
    let (fours, _) = x.as_chunks::<4>();
    for four in fours {
        for (most, x) in most.iter_mut().zip(four) {
            // Numbers win over NaN, as in `f32::max`.
            *most = vmaxnmq_f32(*most, vabsq_f32(load(x)));
        }
    }
    let most = vmaxnmq_f32(vmaxnmq_f32(most[0], most[1]), vmaxnmq_f32(most[2], most[3]));
    let largest = vmaxnmvq_f32(most);
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    (largest / 127.0, vdupq_n_f32(inverse))
}

/// 16 values, rounded to nearest even.
#[inline]
#[target_feature(enable = "neon")]
fn round(x: &[[f32; 4]; 4], inverse: float32x4_t) -> int8x16_t {
    let a = vcvtnq_s32_f32(vmulq_f32(load(&x[0]), inverse));
    let b = vcvtnq_s32_f32(vmulq_f32(load(&x[1]), inverse));
    let c = vcvtnq_s32_f32(vmulq_f32(load(&x[2]), inverse));
    let d = vcvtnq_s32_f32(vmulq_f32(load(&x[3]), inverse));
    let low = vqmovn_high_s32(vqmovn_s32(a), b);
    let high = vqmovn_high_s32(vqmovn_s32(c), d);
    vqmovn_high_s16(vqmovn_s16(low), high)
}

/// Writes four groups of four columns, from group `first` on, for row `row` of `n`.
///
/// # Safety
/// `values` holds these groups of all `n` rows.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn put(values: *mut i8, first: usize, n: usize, row: usize, q: int8x16_t) {
    let lanes = vreinterpretq_s32_s8(q);
    // SAFETY: promised by the caller; the place of a group need not be aligned.
    unsafe {
        let at = values.add((first * n + row) * 4);
        if n == 1 {
            vst1q_s8(at, q);
        } else {
            at.cast::<i32>().write_unaligned(vgetq_lane_s32::<0>(lanes));
            at.add(4 * n)
                .cast::<i32>()
                .write_unaligned(vgetq_lane_s32::<1>(lanes));
            at.add(8 * n)
                .cast::<i32>()
                .write_unaligned(vgetq_lane_s32::<2>(lanes));
            at.add(12 * n)
                .cast::<i32>()
                .write_unaligned(vgetq_lane_s32::<3>(lanes));
        }
    }
}

fn check(job: &QuantizeRow<'_>, block: usize, sums_per_block: usize) {
    let (n, blocks) = (job.n, job.x.len() / block);
    assert!(job.row < n && job.x.len() == blocks * block);
    assert!(job.values.len() >= job.x.len() * n && job.scales.len() >= blocks * n);
    assert!(job.sums.len() >= blocks * sums_per_block * n);
}

/// # Safety
/// The CPU has NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn quantize_32(job: QuantizeRow<'_>) {
    check(&job, 32, 1);
    let (n, row) = (job.n, job.row);
    let values = job.values.as_mut_ptr();
    let (blocks, _) = job.x.as_chunks::<4>().0.as_chunks::<8>();
    for (b, x) in blocks.iter().enumerate() {
        let (scale, inverse) = steps(x);
        let (halves, _) = x.as_chunks::<4>();
        let (low, high) = (round(&halves[0], inverse), round(&halves[1], inverse));
        // SAFETY: `check` compared the lengths.
        unsafe {
            put(values, b * 8, n, row, low);
            put(values, b * 8 + 4, n, row, high);
        }
        job.scales[b * n + row] = scale;
        let sum = i32::from(vaddlvq_s8(low)) + i32::from(vaddlvq_s8(high));
        job.sums[b * n + row] = sum * SUM_FACTOR_32;
    }
}

/// # Safety
/// The CPU has NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn quantize_256(job: QuantizeRow<'_>) {
    check(&job, 256, SUMS_256);
    let (n, row) = (job.n, job.row);
    let values = job.values.as_mut_ptr();
    let (blocks, _) = job.x.as_chunks::<4>().0.as_chunks::<64>();
    for (b, x) in blocks.iter().enumerate() {
        let (scale, inverse) = steps(x);
        job.scales[b * n + row] = scale;
        let mut pairs = [vdupq_n_s16(0); 16];
        let (runs, _) = x.as_chunks::<4>();
        for (j, (pairs, x)) in pairs.iter_mut().zip(runs).enumerate() {
            let q = round(x, inverse);
            *pairs = vpaddlq_s8(q);
            // SAFETY: `check` compared the lengths.
            unsafe { put(values, b * 64 + j * 4, n, row, q) };
        }
        let low = run_sums(&pairs[..8]);
        let high = run_sums(&pairs[8..]);
        let sums = &mut job.sums[b * SUMS_256 * n..][..SUMS_256 * n];
        let mut entry = 0;
        let mut put_four = |four: int32x4_t| {
            sums[entry * n + row] = vgetq_lane_s32::<0>(four);
            sums[(entry + 1) * n + row] = vgetq_lane_s32::<1>(four);
            sums[(entry + 2) * n + row] = vgetq_lane_s32::<2>(four);
            sums[(entry + 3) * n + row] = vgetq_lane_s32::<3>(four);
            entry += 4;
        };
        put_four(paired_chunks(vpaddq_s16(low, high)));
        put_four(vmulq_n_s32(vmovl_s16(vget_low_s16(low)), SUM_FACTOR_16));
        put_four(vmulq_n_s32(vmovl_high_s16(low), SUM_FACTOR_16));
        put_four(vmulq_n_s32(vmovl_s16(vget_low_s16(high)), SUM_FACTOR_16));
        put_four(vmulq_n_s32(vmovl_high_s16(high), SUM_FACTOR_16));
    }
}

/// Sums of eight runs of 16 columns, from the sums of their eight pairs.
#[inline]
#[target_feature(enable = "neon")]
fn run_sums(pairs: &[int16x8_t]) -> int16x8_t {
    let first = vpaddq_s16(
        vpaddq_s16(pairs[0], pairs[1]),
        vpaddq_s16(pairs[2], pairs[3]),
    );
    let last = vpaddq_s16(
        vpaddq_s16(pairs[4], pairs[5]),
        vpaddq_s16(pairs[6], pairs[7]),
    );
    vpaddq_s16(first, last)
}

/// Sums of chunks 0..8 in the order of `SUM_PAIRS`: (0, 2), (1, 3), (4, 6), (5, 7).
#[inline]
#[target_feature(enable = "neon")]
fn paired_chunks(chunks: int16x8_t) -> int32x4_t {
    const ORDER: [u8; 16] = [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15];
    // SAFETY: 16 bytes.
    let order = unsafe { vld1q_u8(ORDER.as_ptr()) };
    vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s16(chunks), order))
}
