//! SMMLA: two rows of eight activations times two rows of eight weights, four sums per instruction.
//!
//! Decoded weights lie as `[8 columns][pair of rows][row][8]`. Activations keep their interleaved form; neighbouring
//! groups are paired when they are loaded, four rows at a time.

#![expect(
    unsafe_code,
    reason = "vector loads through pointers, and an instruction without a stable intrinsic"
)]

use super::decode::Weights;
use super::dot::{Groups, Halves, load};
use std::arch::aarch64::*;
use std::arch::asm;

/// Sums of four rows of activations with eight of weights, `[pair of rows][pair of weight rows]`; the lanes of each
/// are the two weight rows for the first row, then for the second.
pub(super) type Squares = [[int32x4_t; 4]; 2];

/// 16 columns of a tile, the groups of four brought together to eight columns.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn paired(weights: &Weights) -> [int8x16_t; 8] {
    let mut pairs = [vdupq_n_s8(0); 8];
    for (k, to) in pairs.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let (first, second) = (weights[2 * k], weights[2 * k + 1]);
        for h in 0..2 {
            [to[2 * h], to[2 * h + 1]] = zip_groups(first[h], second[h]);
        }
    }
    pairs
}

/// Four rows of four columns and of the next four columns, as twice two rows of eight.
#[inline]
#[target_feature(enable = "neon")]
fn zip_groups(first: int8x16_t, second: int8x16_t) -> [int8x16_t; 2] {
    let (first, second) = (vreinterpretq_s32_s8(first), vreinterpretq_s32_s8(second));
    [
        vreinterpretq_s8_s32(vzip1q_s32(first, second)),
        vreinterpretq_s8_s32(vzip2q_s32(first, second)),
    ]
}

/// Adds the products of 16 columns: `weights` as `paired` gives them, four groups of four rows of activations.
///
/// # Safety
/// The CPU has i8mm, and 128 bytes of weights can be read.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub(super) unsafe fn multiply_16(acc: &mut Squares, weights: *const u8, groups: &Groups) {
    for k in 0..2 {
        let rows = zip_groups(groups[2 * k], groups[2 * k + 1]);
        for w in 0..4 {
            // SAFETY: promised by the caller.
            let weight = vreinterpretq_s8_u8(unsafe { load(weights.add((4 * k + w) * 16)) });
            acc[0][w] = smmla(acc[0][w], rows[0], weight);
            acc[1][w] = smmla(acc[1][w], rows[1], weight);
        }
    }
}

/// `acc[2 i + j] + a[8 i ..] . w[8 j ..]`. The intrinsic is not stable in the oldest Rust supported.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn smmla(mut acc: int32x4_t, a: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes these registers only, and the feature is enabled.
    unsafe {
        asm!(
            "smmla {acc:v}.4s, {a:v}.16b, {w:v}.16b",
            acc = inout(vreg) acc,
            a = in(vreg) a,
            w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}

/// What multiplies the sums of a row, for both rows of a pair: `[pair of weight rows]`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn twice(steps: &Halves) -> [int32x4_t; 4] {
    let [low, high] = steps.map(|four| vreinterpretq_s64_s32(four));
    [
        vzip1q_s64(low, low),
        vzip2q_s64(low, low),
        vzip1q_s64(high, high),
        vzip2q_s64(high, high),
    ]
    .map(|four| vreinterpretq_s32_s64(four))
}

/// The last `M` of the four rows, a lane per weight row.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn rows<const M: usize>(squares: &Squares) -> [Halves; M] {
    let mut rows = [[vdupq_n_s32(0); 2]; M];
    for (r, row) in rows.iter_mut().enumerate() {
        let r = 4 - M + r;
        for (h, four) in row.iter_mut().enumerate() {
            let pair = squares[r / 2];
            let first = vreinterpretq_s64_s32(pair[2 * h]);
            let second = vreinterpretq_s64_s32(pair[2 * h + 1]);
            *four = vreinterpretq_s32_s64(if r.is_multiple_of(2) {
                vzip1q_s64(first, second)
            } else {
                vzip2q_s64(first, second)
            });
        }
    }
    rows
}
