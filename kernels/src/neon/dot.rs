//! SDOT by element over interleaved activations, and the loads it needs.
//!
//! Activations lie as `[group of 4 columns][n rows][4]`. A kernel handles `M` rows of them at once, in one of two ways:
//! - *flat*: `M == n` (1 to 3), so that four groups are `M` whole registers, `4 M` lanes in order;
//! - *strided*: one register per group, of which the last `M` lanes are the kernel's rows. A tail of fewer than four
//!   rows thus reads the rows before it again instead of bytes behind the buffer.

#![expect(
    unsafe_code,
    reason = "vector loads through pointers, and an instruction without a stable intrinsic"
)]

use std::arch::aarch64::*;
use std::arch::asm;

/// One accumulator register per half of a tile's eight weight rows.
pub(super) type Halves = [int32x4_t; 2];

/// Four groups of activations: as many registers as the way of reading fills.
pub(super) type Groups = [int8x16_t; 4];

/// Some rows of int8 activations, of `n` in all.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) start: *const i8,
    pub(super) n: usize,
    /// First of the rows that are read, among `n`.
    pub(super) row: usize,
}

impl Source {
    /// Groups `first .. first + 4` of `M` rows.
    ///
    /// # Safety
    /// The buffer holds these groups of all `n` rows; flat: `n == M`, `row == 0`; strided: `row + M` is at least 4.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    pub(super) unsafe fn load<const M: usize, const FLAT: bool>(&self, first: usize) -> Groups {
        let mut groups = [vdupq_n_s8(0); 4];
        if FLAT {
            for (i, group) in groups.iter_mut().enumerate().take(M) {
                // SAFETY: four groups of M rows are 16 M bytes, all within the buffer.
                *group = unsafe { vld1q_s8(self.start.add(first * 4 * M + 16 * i)) };
            }
        } else {
            let lane = self.row + M - 4;
            for (i, group) in groups.iter_mut().enumerate() {
                // SAFETY: rows `lane .. lane + 4` are among the `n` of the group.
                *group = unsafe { vld1q_s8(self.start.add(((first + i) * self.n + lane) * 4)) };
            }
        }
        groups
    }
}

/// `acc[r] += w . a[row r of group G]`, for two registers of four weight rows.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn dot_group<const M: usize, const FLAT: bool, const G: usize>(
    acc: &mut [Halves; M],
    w: &[int8x16_t; 2],
    a: &Groups,
) {
    if 0 < M {
        dot_row::<M, FLAT, G, 0>(&mut acc[0], w, a);
    }
    if 1 < M {
        dot_row::<M, FLAT, G, 1>(&mut acc[1], w, a);
    }
    if 2 < M {
        dot_row::<M, FLAT, G, 2>(&mut acc[2], w, a);
    }
    if 3 < M {
        dot_row::<M, FLAT, G, 3>(&mut acc[3], w, a);
    }
}

/// The same for four groups of weights in a row.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn dot_groups<const M: usize, const FLAT: bool>(
    acc: &mut [Halves; M],
    w: &[[int8x16_t; 2]; 4],
    a: &Groups,
) {
    dot_group::<M, FLAT, 0>(acc, &w[0], a);
    dot_group::<M, FLAT, 1>(acc, &w[1], a);
    dot_group::<M, FLAT, 2>(acc, &w[2], a);
    dot_group::<M, FLAT, 3>(acc, &w[3], a);
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot_row<const M: usize, const FLAT: bool, const G: usize, const R: usize>(
    acc: &mut Halves,
    w: &[int8x16_t; 2],
    a: &Groups,
) {
    let a = a[const { if FLAT { (G * M + R) / 4 } else { G } }];
    acc[0] = sdot_lane::<M, FLAT, G, R>(acc[0], w[0], a);
    acc[1] = sdot_lane::<M, FLAT, G, R>(acc[1], w[1], a);
}

/// `acc[r] += w . a[lane r]`: rows are lanes.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn dot_lanes<const M: usize>(acc: &mut [Halves; M], w: &[int8x16_t; 2], a: int8x16_t) {
    if 0 < M {
        acc[0] = [lane::<0>(acc[0][0], w[0], a), lane::<0>(acc[0][1], w[1], a)];
    }
    if 1 < M {
        acc[1] = [lane::<1>(acc[1][0], w[0], a), lane::<1>(acc[1][1], w[1], a)];
    }
    if 2 < M {
        acc[2] = [lane::<2>(acc[2][0], w[0], a), lane::<2>(acc[2][1], w[1], a)];
    }
    if 3 < M {
        acc[3] = [lane::<3>(acc[3][0], w[0], a), lane::<3>(acc[3][1], w[1], a)];
    }
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn lane<const R: usize>(acc: int32x4_t, w: int8x16_t, a: int8x16_t) -> int32x4_t {
    sdot_lane::<4, false, 0, R>(acc, w, a)
}

/// `acc + w . a[lane]` in each of four lanes of four bytes. The intrinsic is not stable in the oldest Rust supported.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot_lane<const M: usize, const FLAT: bool, const G: usize, const R: usize>(
    mut acc: int32x4_t,
    w: int8x16_t,
    a: int8x16_t,
) -> int32x4_t {
    // SAFETY: the instruction reads and writes these registers only, and the feature is enabled.
    unsafe {
        asm!(
            "sdot {acc:v}.4s, {w:v}.16b, {a:v}.4b[{lane}]",
            acc = inout(vreg) acc,
            w = in(vreg) w,
            a = in(vreg) a,
            lane = const { if FLAT { (G * M + R) % 4 } else { (4 - M + R) % 4 } },
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}

/// 16 bytes.
///
/// # Safety
/// They can be read.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn load(at: *const u8) -> uint8x16_t {
    // SAFETY: promised by the caller.
    unsafe { vld1q_u8(at) }
}

/// Eight f16 numbers as f32.
///
/// # Safety
/// 16 bytes can be read.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn load_f16(at: *const u8) -> [float32x4_t; 2] {
    // SAFETY: promised by the caller.
    let bits = vreinterpretq_f16_u8(unsafe { vld1q_u8(at) });
    [vcvt_f32_f16(vget_low_f16(bits)), vcvt_high_f32_f16(bits)]
}

/// Eight int8 numbers as f32.
///
/// # Safety
/// 8 bytes can be read.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn load_i8(at: *const i8) -> [float32x4_t; 2] {
    // SAFETY: promised by the caller.
    let wide = vmovl_s8(unsafe { vld1_s8(at) });
    [
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))),
        vcvtq_f32_s32(vmovl_high_s16(wide)),
    ]
}
