//! Packed blocks (eight rows per tile, see module `layout`) as vectors of int8 weights.
//!
//! A vector pair `[rows 0..4, rows 4..8]` holds one group of four columns; every function gives four neighbouring
//! groups, 16 columns.

#![expect(
    unsafe_code,
    reason = "vector loads through pointers into a block's body"
)]

use super::dot::load;
use std::arch::aarch64::*;
use std::ops::IndexMut;

/// Bytes of a vector of the layout: eight rows of four columns.
pub(super) const VECTOR: usize = 32;

/// Four groups of weights.
pub(super) type Weights = [[int8x16_t; 2]; 4];

/// A type with blocks of 32.
pub(super) trait Narrow {
    /// Subtracted from every weight by means of the activation sums.
    const OFFSET: i32;
    /// Whether a block has a minimum.
    const MINS: bool;
    /// Bytes of a block's body for eight rows.
    const BODY: usize;

    /// Columns 0..16 (or, `HIGH`, 16..32) of a block.
    ///
    /// # Safety
    /// `body` points to `BODY` bytes; the CPU has dotprod.
    unsafe fn weights<const HIGH: bool>(body: *const u8) -> Weights;
}

/// A type with blocks of 256.
pub(super) trait Wide {
    /// One entry per run.
    type Scales: IndexMut<usize, Output = [int32x4_t; 2]>;
    /// Subtracted from every weight: by means of the sums or after decoding.
    const OFFSET: i32;
    /// Columns that share a scale: 16 or 32.
    const RUN: usize;
    /// Whether runs have minimums.
    const MINS: bool;
    /// Bytes of scales before the weights.
    const HEAD: usize;
    /// Whether two chunks of 32 columns share their bytes, so that they are best decoded together.
    const PAIRED: bool;

    /// Half `half` (16 columns) of chunk `2 pair` or, `ODD`, `2 pair + 1`.
    ///
    /// # Safety
    /// `planes` points to a block's body behind its scales; `pair < 4`, `half < 2`; the CPU has dotprod.
    unsafe fn weights<const ODD: bool>(planes: *const u8, pair: usize, half: usize) -> Weights;

    /// The scales of all runs, eight rows each.
    ///
    /// # Safety
    /// `body` points to `HEAD` bytes; the CPU has dotprod.
    unsafe fn scales(body: *const u8) -> Self::Scales;

    /// Minimums of eight rows of runs of 32, as bytes `[row][run % 4]`, one entry per four runs.
    ///
    /// # Safety
    /// As for `scales`.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn mins(_body: *const u8) -> [[int8x16_t; 2]; 2] {
        [[vdupq_n_s8(0); 2]; 2]
    }

    /// Minimums of eight rows of the 16 columns of run `run`.
    ///
    /// # Safety
    /// As for `scales`.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn narrow_mins(_body: *const u8, _run: usize) -> [int32x4_t; 2] {
        [vdupq_n_s32(0); 2]
    }
}

/// Weights that are int8 already, `[group][row][4]`.
pub(super) struct Plain<const MINS: bool>;

impl<const MINS: bool> Narrow for Plain<MINS> {
    const OFFSET: i32 = 0;
    const MINS: bool = MINS;
    const BODY: usize = 256;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn weights<const HIGH: bool>(body: *const u8) -> Weights {
        // SAFETY: 128 bytes from the middle or the start of 256.
        unsafe { plain(body.add(if HIGH { 128 } else { 0 })) }
    }
}

/// Eight vectors as they are.
///
/// # Safety
/// 128 bytes can be read.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn plain(at: *const u8) -> Weights {
    let mut weights = [[vdupq_n_s8(0); 2]; 4];
    for (g, pair) in weights.iter_mut().enumerate() {
        for (h, vector) in pair.iter_mut().enumerate() {
            // SAFETY: the caller has 128 bytes.
            *vector = vreinterpretq_s8_u8(unsafe { load(at.add(g * VECTOR + h * 16)) });
        }
    }
    weights
}

/// Four groups of weights, each vector by an expression over its byte offset from the first. A macro, because a closure
/// would have to pass through functions without the target features.
macro_rules! groups {
    ($at:ident => $one:expr) => {
        [
            groups!($at, 0, $one),
            groups!($at, 32, $one),
            groups!($at, 64, $one),
            groups!($at, 96, $one),
        ]
    };
    ($at:ident, $first:literal, $one:expr) => {
        [
            {
                let $at: usize = $first;
                vreinterpretq_s8_u8($one)
            },
            {
                let $at: usize = $first + 16;
                vreinterpretq_s8_u8($one)
            },
        ]
    };
}

/// The low or the high four bits.
#[inline]
#[target_feature(enable = "neon")]
fn nibble<const HIGH: bool>(bytes: uint8x16_t) -> uint8x16_t {
    if HIGH {
        vshrq_n_u8::<4>(bytes)
    } else {
        vandq_u8(bytes, vdupq_n_u8(15))
    }
}

/// Nibbles with further bits above them: `upper` holds these from bit 0 on (`HIGH`: from bit 4 on) and may hold others
/// above (and below), which `mask` drops.
#[inline]
#[target_feature(enable = "neon")]
fn nibble_under<const HIGH: bool>(bytes: uint8x16_t, upper: uint8x16_t, mask: u8) -> uint8x16_t {
    let joined = if HIGH {
        vsriq_n_u8::<4>(upper, bytes)
    } else {
        vsliq_n_u8::<4>(bytes, upper)
    };
    vandq_u8(joined, vdupq_n_u8(mask))
}

macro_rules! nibbles_of_32 {
    ($name:ident, $offset:expr, $mins:expr) => {
        pub(super) struct $name;

        impl Narrow for $name {
            const OFFSET: i32 = $offset;
            const MINS: bool = $mins;
            const BODY: usize = 4 * VECTOR;

            #[inline]
            #[target_feature(enable = "neon,dotprod")]
            unsafe fn weights<const HIGH: bool>(body: *const u8) -> Weights {
                // SAFETY: four vectors.
                groups!(at => unsafe { nibble::<HIGH>(load(body.add(at))) })
            }
        }
    };
}

nibbles_of_32!(Q4_0, 8, false);
nibbles_of_32!(Q4_1, 0, true);

macro_rules! five_bits_of_32 {
    ($name:ident, $offset:expr, $mins:expr) => {
        pub(super) struct $name;

        impl Narrow for $name {
            const OFFSET: i32 = $offset;
            const MINS: bool = $mins;
            const BODY: usize = 5 * VECTOR;

            #[inline]
            #[target_feature(enable = "neon,dotprod")]
            unsafe fn weights<const HIGH: bool>(body: *const u8) -> Weights {
                // SAFETY: one vector of fifth bits before four of nibbles. The same below.
                let bits = [unsafe { load(body) }, unsafe { load(body.add(16)) }];
                groups!(at => {
                    let group = (at / VECTOR) as i8;
                    // Group `g` has bit `g`, group `4 + g` bit `4 + g`, which is where the high nibble wants it.
                    let bit = vshlq_u8(bits[at % VECTOR / 16], vdupq_n_s8(-group));
                    // SAFETY: as above.
                    unsafe { nibble_under::<HIGH>(load(body.add(VECTOR + at)), bit, 31) }
                })
            }
        }
    };
}

five_bits_of_32!(Q5_0, 16, false);
five_bits_of_32!(Q5_1, 0, true);

pub(super) struct Q8_0;

impl Narrow for Q8_0 {
    // The layout stores them plus 128, which only fits unsigned bytes: the upper bit is turned instead.
    const OFFSET: i32 = 0;
    const MINS: bool = false;
    const BODY: usize = 8 * VECTOR;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn weights<const HIGH: bool>(body: *const u8) -> Weights {
        let start = if HIGH { 4 * VECTOR } else { 0 };
        groups!(at => {
            // SAFETY: eight vectors.
            veorq_u8(unsafe { load(body.add(start + at)) }, vdupq_n_u8(128))
        })
    }
}

pub(super) struct Q4K;

impl Wide for Q4K {
    type Scales = [[int32x4_t; 2]; 8];
    const OFFSET: i32 = 0;
    const RUN: usize = 32;
    const MINS: bool = true;
    const HEAD: usize = 3 * VECTOR;
    const PAIRED: bool = true;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn weights<const ODD: bool>(planes: *const u8, pair: usize, half: usize) -> Weights {
        let start = (pair * 8 + half * 4) * VECTOR;
        // SAFETY: 32 vectors of nibbles.
        groups!(at => unsafe { nibble::<ODD>(load(planes.add(start + at))) })
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn scales(body: *const u8) -> Self::Scales {
        // SAFETY: promised by the caller.
        unsafe { six_bit_scales(body) }
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn mins(body: *const u8) -> [[int8x16_t; 2]; 2] {
        // SAFETY: promised by the caller.
        unsafe { six_bit_mins(body) }
    }
}

pub(super) struct Q5K;

impl Wide for Q5K {
    type Scales = [[int32x4_t; 2]; 8];
    const OFFSET: i32 = 0;
    const RUN: usize = 32;
    const MINS: bool = true;
    const HEAD: usize = 3 * VECTOR;
    const PAIRED: bool = true;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn weights<const ODD: bool>(planes: *const u8, pair: usize, half: usize) -> Weights {
        let start = (pair * 8 + half * 4) * VECTOR;
        // Bit `chunk` belongs to bit 0 under a low nibble, to bit 4 under a high one.
        let chunk = (2 * pair) as i8;
        let shift = vdupq_n_s8(if ODD { 3 - chunk } else { -chunk });
        groups!(at => {
            // SAFETY: 32 vectors of nibbles, then eight of fifth bits, one per group of a chunk.
            let nibbles = unsafe { load(planes.add(start + at)) };
            // SAFETY: as above.
            let bits = unsafe { load(planes.add((32 + half * 4) * VECTOR + at)) };
            nibble_under::<ODD>(nibbles, vshlq_u8(bits, shift), 31)
        })
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn scales(body: *const u8) -> Self::Scales {
        // SAFETY: promised by the caller.
        unsafe { six_bit_scales(body) }
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn mins(body: *const u8) -> [[int8x16_t; 2]; 2] {
        // SAFETY: promised by the caller.
        unsafe { six_bit_mins(body) }
    }
}

pub(super) struct Q6K;

impl Wide for Q6K {
    type Scales = [[int32x4_t; 2]; 16];
    const OFFSET: i32 = 32;
    const RUN: usize = 16;
    const MINS: bool = false;
    const HEAD: usize = 16 * 8;
    const PAIRED: bool = true;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn weights<const ODD: bool>(planes: *const u8, pair: usize, half: usize) -> Weights {
        let start = (pair * 8 + half * 4) * VECTOR;
        let upper = (32 + pair / 2 * 8 + half * 4) * VECTOR;
        groups!(at => {
            // SAFETY: 32 vectors of nibbles, then 16 of bit pairs.
            let nibbles = unsafe { load(planes.add(start + at)) };
            // SAFETY: as above.
            let pairs = unsafe { load(planes.add(upper + at)) };
            // Chunk `c` has bits `2 (c % 4)` on, and wants them at bit 4.
            match (pair % 2, ODD) {
                (0, false) => nibble_under::<false>(nibbles, pairs, 63),
                (0, true) => nibble_under::<true>(nibbles, vshlq_n_u8::<2>(pairs), 63),
                (_, false) => {
                    let joined = vbslq_u8(vdupq_n_u8(15), nibbles, pairs);
                    vandq_u8(joined, vdupq_n_u8(63))
                }
                (_, true) => vsriq_n_u8::<4>(vshrq_n_u8::<2>(pairs), nibbles),
            }
        })
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn scales(body: *const u8) -> Self::Scales {
        // SAFETY: promised by the caller.
        unsafe { byte_scales(body) }
    }
}

pub(super) struct Q3K;

impl Wide for Q3K {
    type Scales = [[int32x4_t; 2]; 16];
    const OFFSET: i32 = 4;
    const RUN: usize = 16;
    const MINS: bool = false;
    const HEAD: usize = 16 * 8;
    const PAIRED: bool = false;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn weights<const ODD: bool>(planes: *const u8, pair: usize, half: usize) -> Weights {
        let chunk = 2 * pair + usize::from(ODD);
        let start = (chunk / 4 * 8 + half * 4) * VECTOR;
        let pair_shift = vdupq_n_s8(-((chunk % 4 * 2) as i8));
        let bit_shift = vdupq_n_s8(2 - chunk as i8);
        groups!(at => {
            // SAFETY: 16 vectors of bit pairs, then eight of third bits.
            let pairs = unsafe { load(planes.add(start + at)) };
            // SAFETY: as above.
            let bits = unsafe { load(planes.add((16 + half * 4) * VECTOR + at)) };
            let low = vandq_u8(vshlq_u8(pairs, pair_shift), vdupq_n_u8(3));
            vorrq_u8(low, vandq_u8(vshlq_u8(bits, bit_shift), vdupq_n_u8(4)))
        })
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn scales(body: *const u8) -> Self::Scales {
        // SAFETY: promised by the caller.
        unsafe { byte_scales(body) }
    }
}

pub(super) struct Q2K;

impl Wide for Q2K {
    type Scales = [[int32x4_t; 2]; 16];
    const OFFSET: i32 = 0;
    const RUN: usize = 16;
    const MINS: bool = true;
    const HEAD: usize = 16 * 8;
    const PAIRED: bool = false;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn weights<const ODD: bool>(planes: *const u8, pair: usize, half: usize) -> Weights {
        let chunk = 2 * pair + usize::from(ODD);
        let start = (chunk / 4 * 8 + half * 4) * VECTOR;
        let shift = vdupq_n_s8(-((chunk % 4 * 2) as i8));
        groups!(at => {
            // SAFETY: 16 vectors of bit pairs.
            let pairs = unsafe { load(planes.add(start + at)) };
            vandq_u8(vshlq_u8(pairs, shift), vdupq_n_u8(3))
        })
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn scales(body: *const u8) -> Self::Scales {
        let mut scales = [[vdupq_n_s32(0); 2]; 16];
        for (j, scale) in scales.iter_mut().enumerate() {
            // SAFETY: 16 runs of eight bytes.
            let bytes = unsafe { vld1_u8(body.add(j * 8)) };
            *scale = widen(vreinterpretq_s16_u16(vmovl_u8(vand_u8(
                bytes,
                vdup_n_u8(15),
            ))));
        }
        scales
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn narrow_mins(body: *const u8, run: usize) -> [int32x4_t; 2] {
        // SAFETY: 16 runs of eight bytes.
        let bytes = unsafe { vld1_u8(body.add(run * 8)) };
        widen(vreinterpretq_s16_u16(vmovl_u8(vshr_n_u8::<4>(bytes))))
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn widen(eight: int16x8_t) -> [int32x4_t; 2] {
    [vmovl_s16(vget_low_s16(eight)), vmovl_high_s16(eight)]
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn byte_scales(body: *const u8) -> [[int32x4_t; 2]; 16] {
    let mut scales = [[vdupq_n_s32(0); 2]; 16];
    for (j, scale) in scales.iter_mut().enumerate() {
        // SAFETY: the caller has 16 runs of eight bytes.
        *scale = widen(vmovl_s8(unsafe { vld1_s8(body.add(j * 8).cast()) }));
    }
    scales
}

/// `Q4_K`'s and `Q5_K`'s scales: bytes 0..4 of a row's twelve hold scales 0..4 in their lower six bits and the upper
/// bits of scales 4..8 above; bytes 8..12 the lower bits of these.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn six_bit_scales(body: *const u8) -> [[int32x4_t; 2]; 8] {
    let mut scales = [[vdupq_n_s32(0); 2]; 8];
    for half in 0..2 {
        // SAFETY: the caller has three vectors of 32 bytes. The same below.
        let first = unsafe { load(body.add(16 * half)) };
        // SAFETY: as above.
        let last = unsafe { load(body.add(2 * VECTOR + 16 * half)) };
        let low = vreinterpretq_u32_u8(vandq_u8(first, vdupq_n_u8(63)));
        let high = vreinterpretq_u32_u8(vsliq_n_u8::<4>(last, vshrq_n_u8::<6>(first)));
        for (four, j) in [(low, 0), (high, 4)] {
            let byte = vdupq_n_u32(255);
            scales[j][half] = vreinterpretq_s32_u32(vandq_u32(four, byte));
            scales[j + 1][half] = vreinterpretq_s32_u32(vandq_u32(vshrq_n_u32::<8>(four), byte));
            scales[j + 2][half] = vreinterpretq_s32_u32(vandq_u32(vshrq_n_u32::<16>(four), byte));
            scales[j + 3][half] = vreinterpretq_s32_u32(vshrq_n_u32::<24>(four));
        }
    }
    scales
}

/// The minimums likewise: bytes 4..8, and the upper halves of bytes 8..12.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn six_bit_mins(body: *const u8) -> [[int8x16_t; 2]; 2] {
    let mut mins = [[vdupq_n_s8(0); 2]; 2];
    for half in 0..2 {
        // SAFETY: the caller has three vectors of 32 bytes. The same below.
        let middle = unsafe { load(body.add(VECTOR + 16 * half)) };
        // SAFETY: as above.
        let last = unsafe { load(body.add(2 * VECTOR + 16 * half)) };
        mins[0][half] = vreinterpretq_s8_u8(vandq_u8(middle, vdupq_n_u8(63)));
        mins[1][half] = vreinterpretq_s8_u8(vsriq_n_u8::<4>(vshrq_n_u8::<2>(middle), last));
    }
    mins
}
