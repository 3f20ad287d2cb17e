//! Products of f32 activations with tiles of eight rows of plain floats.
//!
//! Even and odd columns are summed apart, which halves the wait for an accumulator; so it is for every number of rows,
//! since a row's result must not depend on how many there are.

#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers into tiles and activations"
)]

use super::dot::load_f16;
use super::multiply::LANES;
use crate::activations::Rows;
use crate::project::TileJob;
use std::arch::aarch64::*;

/// How eight neighbouring weights become f32.
pub(super) trait Float {
    const BYTES: usize;

    /// # Safety
    /// `8 * BYTES` bytes can be read.
    unsafe fn load(at: *const u8) -> [float32x4_t; 2];
}

pub(super) struct Single;

impl Float for Single {
    const BYTES: usize = 4;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(at: *const u8) -> [float32x4_t; 2] {
        // SAFETY: promised by the caller.
        unsafe { [vld1q_f32(at.cast()), vld1q_f32(at.add(16).cast())] }
    }
}

pub(super) struct Half;

impl Float for Half {
    const BYTES: usize = 2;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(at: *const u8) -> [float32x4_t; 2] {
        // SAFETY: promised by the caller.
        unsafe { load_f16(at) }
    }
}

pub(super) struct Brain;

impl Float for Brain {
    const BYTES: usize = 2;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(at: *const u8) -> [float32x4_t; 2] {
        // SAFETY: promised by the caller.
        let bits = unsafe { vld1q_u16(at.cast()) };
        let low = vshll_n_u16::<16>(vget_low_u16(bits));
        let high = vshll_high_n_u16::<16>(bits);
        [vreinterpretq_f32_u32(low), vreinterpretq_f32_u32(high)]
    }
}

/// # Safety
/// The CPU has NEON, and `T` is the type of the job's layout.
#[target_feature(enable = "neon")]
pub(super) unsafe fn multiply_float<T: Float>(job: TileJob<'_>, out: &mut [f32]) {
    let Rows::Float(x) = job.x else {
        unreachable!("plain floats take float activations")
    };
    let (layout, n) = (job.layout, job.n);
    assert!(layout.lanes == LANES && job.tiles.len() >= job.count * layout.tile_bytes);
    assert!(layout.tile_bytes >= layout.cols * LANES * T::BYTES);
    assert!(x.len() >= layout.cols * n && out.len() >= job.count * n * LANES);
    for (tile, out) in out.chunks_exact_mut(n * LANES).take(job.count).enumerate() {
        let tile = &job.tiles[tile * layout.tile_bytes..];
        for (row, out) in out.chunks_mut(4 * LANES).enumerate() {
            let (w, out, cols) = (tile.as_ptr(), out.as_mut_ptr(), layout.cols);
            let x = x[row * 4..].as_ptr();
            // SAFETY: the lengths were checked above; there are as many rows left in `x` as in `out`.
            unsafe {
                match (n - row * 4).min(4) {
                    1 => rows::<T, 1>(w, x, cols, n, out),
                    2 => rows::<T, 2>(w, x, cols, n, out),
                    3 => rows::<T, 3>(w, x, cols, n, out),
                    _ => rows::<T, 4>(w, x, cols, n, out),
                }
            }
        }
    }
}

/// # Safety
/// `w` holds `cols` times eight weights, `x` `cols` times `M` values `n` apart, `out` `M` rows of eight.
#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn rows<T: Float, const M: usize>(
    w: *const u8,
    x: *const f32,
    cols: usize,
    n: usize,
    out: *mut f32,
) {
    let mut sums = [[[vdupq_n_f32(0.0); 2]; M]; 2];
    let mut col = 0;
    while col + 2 <= cols {
        // SAFETY: columns `col` and `col + 1` exist.
        unsafe {
            column::<T, M>(w, x, col, n, &mut sums[0]);
            column::<T, M>(w, x, col + 1, n, &mut sums[1]);
        }
        col += 2;
    }
    if col < cols {
        // SAFETY: it is the last one.
        unsafe { column::<T, M>(w, x, col, n, &mut sums[0]) };
    }
    for r in 0..M {
        for h in 0..2 {
            // SAFETY: `out` has `M` rows of eight.
            unsafe {
                vst1q_f32(
                    out.add(r * LANES + 4 * h),
                    vaddq_f32(sums[0][r][h], sums[1][r][h]),
                )
            };
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn column<T: Float, const M: usize>(
    w: *const u8,
    x: *const f32,
    col: usize,
    n: usize,
    sums: &mut [[float32x4_t; 2]; M],
) {
    // SAFETY: `rows` hands its caller's promises down. The same below.
    let w = unsafe { T::load(w.add(col * LANES * T::BYTES)) };
    for (r, sums) in sums.iter_mut().enumerate() {
        // SAFETY: as above.
        let x = unsafe { *x.add(col * n + r) };
        sums[0] = vfmaq_n_f32(sums[0], w[0], x);
        sums[1] = vfmaq_n_f32(sums[1], w[1], x);
    }
}
