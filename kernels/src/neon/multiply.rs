//! Products of int8 activations with tiles of eight weight rows.
//!
//! A few activation rows multiply straight from the packed bytes. More of them take a block of a tile decoded to int8
//! once (2 KiB, in the first-level cache), four rows at a time, with each block of activations used by all tiles of
//! the call while it is near; with i8mm they lie in pairs of rows. Integer sums are exact.

#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers into tiles and activations"
)]

use super::decode::Weights;
use super::matrix;
use crate::activations::Rows;
use crate::project::TileJob;
use std::arch::aarch64::*;

/// Weight rows per tile.
pub(super) const LANES: usize = 8;

/// Most activation rows per call.
pub(super) const MAX_ROWS: usize = 32;

/// Columns decoded at once.
const DECODED: usize = 256;

/// A block decoded to int8: `[group][row][4]`, for SMMLA `[8 columns][row][8]`.
#[repr(align(64))]
struct Decoded([int8x16_t; DECODED * LANES / 16]);

/// The int8 activations of a job.
#[derive(Clone, Copy)]
struct Activations<'a> {
    values: &'a [i8],
    scales: &'a [f32],
    sums: &'a [i32],
    n: usize,
}

impl<'a> Activations<'a> {
    fn of(job: &TileJob<'a>, sums_per_block: usize) -> Activations<'a> {
        let Rows::Int {
            values,
            scales,
            sums,
        } = job.x
        else {
            unreachable!("quantised weights take int8 activations")
        };
        let (layout, n) = (job.layout, job.n);
        assert!((1..=MAX_ROWS).contains(&n));
        assert!(layout.lanes == LANES && job.tiles.len() >= job.count * layout.tile_bytes);
        assert!(layout.blocks * layout.quant.block_len() == layout.cols);
        assert!(values.len() >= layout.cols * n && scales.len() >= layout.blocks * n);
        assert!(sums.len() >= layout.blocks * sums_per_block * n);
        Activations {
            values,
            scales,
            sums,
            n,
        }
    }
}

/// `M` rows of f32 results, two registers each, beginning at `at`.
///
/// # Safety
/// `M * 8` floats can be read. The same holds for writing in `store_rows`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load_rows<const M: usize>(at: *const f32) -> [[float32x4_t; 2]; M] {
    let mut rows = [[vdupq_n_f32(0.0); 2]; M];
    for (r, row) in rows.iter_mut().enumerate() {
        // SAFETY: promised by the caller. The same below.
        row[0] = unsafe { vld1q_f32(at.add(r * LANES)) };
        // SAFETY: as above.
        row[1] = unsafe { vld1q_f32(at.add(r * LANES + 4)) };
    }
    rows
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn store_rows<const M: usize>(at: *mut f32, rows: &[[float32x4_t; 2]; M]) {
    for (r, row) in rows.iter().enumerate() {
        // SAFETY: promised by the caller. The same below.
        unsafe { vst1q_f32(at.add(r * LANES), row[0]) };
        // SAFETY: as above.
        unsafe { vst1q_f32(at.add(r * LANES + 4), row[1]) };
    }
}

/// 16 decoded columns, less the type's offset; `MATRIX`: in pairs of rows.
#[inline]
#[target_feature(enable = "neon")]
fn put<const MATRIX: bool>(to: &mut [int8x16_t], weights: Weights, offset: int8x16_t) {
    let pairs;
    let from = match MATRIX {
        true => {
            pairs = matrix::paired(&weights);
            &pairs
        }
        false => weights.as_flattened(),
    };
    for (to, from) in to.iter_mut().zip(from) {
        *to = vsubq_s8(*from, offset);
    }
}

/// Evaluates the body with `$M` activation rows and the way they lie as constants: `$m` of them, all there are.
macro_rules! all_rows {
    ($m:expr, |$M:ident, $FLAT:ident| $body:expr) => {
        match $m {
            1 => with_rows!(1, true, $M, $FLAT, $body),
            2 => with_rows!(2, true, $M, $FLAT, $body),
            3 => with_rows!(3, true, $M, $FLAT, $body),
            _ => with_rows!(4, false, $M, $FLAT, $body),
        }
    };
}

macro_rules! with_rows {
    ($rows:literal, $flat:literal, $M:ident, $FLAT:ident, $body:expr) => {{
        const $M: usize = $rows;
        const $FLAT: bool = $flat;
        $body
    }};
}

/// The same for some of more than four rows, whose way of lying is always the same.
macro_rules! some_rows {
    ($m:expr, |$M:ident| $body:expr) => {
        match $m {
            1 => some_rows!(@ 1, $M, $body),
            2 => some_rows!(@ 2, $M, $body),
            3 => some_rows!(@ 3, $M, $body),
            _ => some_rows!(@ 4, $M, $body),
        }
    };
    (@ $rows:literal, $M:ident, $body:expr) => {{
        const $M: usize = $rows;
        $body
    }};
}

mod narrow;
mod wide;

pub(super) use narrow::multiply_narrow;
pub(super) use wide::multiply_wide;
