//! Products with weights in blocks of 32.

#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers into tiles and activations"
)]

use super::{Activations, DECODED, Decoded, LANES, load_rows, put, store_rows};
use crate::activations::SUM_FACTOR_32;
use crate::neon::decode::{Narrow, Plain};
use crate::neon::dot::{Halves, Source, dot_groups, load_f16};
use crate::neon::matrix;
use crate::project::TileJob;
use std::arch::aarch64::*;

/// The heads and bodies of some blocks of 32 of one tile, and the activations they meet.
#[derive(Clone, Copy)]
struct NarrowBlocks {
    d: *const u8,
    dmin: *const u8,
    body: *const u8,
    blocks: usize,
    values: *const i8,
    scales: *const f32,
    sums: *const i32,
    n: usize,
}

/// Products with blocks of 32; `MATRIX`: with SMMLA where there are rows for it.
///
/// # Safety
/// The CPU has dotprod and for `MATRIX` i8mm, and `T` is the type of the job's layout.
#[target_feature(enable = "neon,dotprod")]
pub(in crate::neon) unsafe fn multiply_narrow<T: Narrow, const MATRIX: bool>(
    job: TileJob<'_>,
    out: &mut [f32],
) {
    let x = Activations::of(&job, 1);
    let (layout, n) = (job.layout, x.n);
    assert!(layout.body_bytes == T::BODY && out.len() >= job.count * n * LANES);
    let all = |tile: usize| {
        let tile = job.tiles[tile * layout.tile_bytes..].as_ptr();
        NarrowBlocks {
            d: tile,
            dmin: tile.wrapping_add(layout.mins),
            body: tile.wrapping_add(layout.body),
            blocks: layout.blocks,
            values: x.values.as_ptr(),
            scales: x.scales.as_ptr(),
            sums: x.sums.as_ptr(),
            n,
        }
    };
    out[..job.count * n * LANES].fill(0.0);
    if n <= 4 {
        for (tile, out) in out.chunks_exact_mut(n * LANES).take(job.count).enumerate() {
            let blocks = all(tile);
            let out = out.as_mut_ptr();
            // SAFETY: the tile and the activations hold all blocks, as `Activations::of` checked; `out` has `n` rows.
            all_rows!(n, |M, FLAT| unsafe {
                narrow_rows::<T, M, FLAT>(&blocks, 0, out)
            });
        }
        return;
    }
    let mut decoded = Decoded([vdupq_n_s8(0); DECODED * LANES / 16]);
    for first in (0..layout.blocks).step_by(DECODED / 32) {
        let count = (DECODED / 32).min(layout.blocks - first);
        for (tile, out) in out.chunks_exact_mut(n * LANES).take(job.count).enumerate() {
            let mut blocks = all(tile);
            blocks.blocks = count;
            // SAFETY: blocks `first .. first + count` lie within the tile, and `decoded` holds eight of them.
            unsafe {
                blocks.d = blocks.d.add(first * LANES * 2);
                blocks.dmin = blocks.dmin.wrapping_add(first * LANES * 2);
                blocks.body = blocks.body.add(first * T::BODY);
                blocks.values = blocks.values.add(first * 32 * n);
                blocks.scales = blocks.scales.add(first * n);
                blocks.sums = blocks.sums.add(first * n);
                decode_narrow::<T, MATRIX>(&blocks, &mut decoded);
            }
            blocks.body = decoded.0.as_ptr().cast();
            for row in (0..n).step_by(4) {
                let out = out[row * LANES..].as_mut_ptr();
                let m = (n - row).min(4);
                // SAFETY: as above; rows `row .. row + m` are among the `n`, and `n` is more than 4.
                unsafe {
                    if MATRIX {
                        some_rows!(m, |M| matrix_rows::<T, M>(&blocks, row, out));
                    } else if T::MINS {
                        some_rows!(m, |M| narrow_rows::<Plain<true>, M, false>(
                            &blocks, row, out
                        ));
                    } else {
                        some_rows!(m, |M| narrow_rows::<Plain<false>, M, false>(
                            &blocks, row, out
                        ));
                    }
                }
            }
        }
    }
}

/// Adds to `M` rows of results the products of some blocks.
///
/// # Safety
/// Everything in `blocks` can be read, for rows `row .. row + M` of activations; `out` has `M` rows of eight.
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn narrow_rows<T: Narrow, const M: usize, const FLAT: bool>(
    blocks: &NarrowBlocks,
    row: usize,
    out: *mut f32,
) {
    let NarrowBlocks {
        blocks: count, n, ..
    } = *blocks;
    let x = Source {
        start: blocks.values,
        n,
        row,
    };
    // SAFETY: promised by the caller, here and below.
    let mut total = unsafe { load_rows::<M>(out) };
    for b in 0..count {
        let mut acc: [Halves; M] = [[vdupq_n_s32(0); 2]; M];
        let (mut scales, mut sums) = ([0.0; M], [0; M]);
        for r in 0..M {
            // SAFETY: as above.
            scales[r] = unsafe { *blocks.scales.add(b * n + row + r) };
            if T::OFFSET != 0 || T::MINS {
                // SAFETY: as above.
                sums[r] = unsafe { *blocks.sums.add(b * n + row + r) };
                if T::OFFSET != 0 {
                    acc[r] = [vdupq_n_s32(T::OFFSET / -SUM_FACTOR_32 * sums[r]); 2];
                }
            }
        }
        // SAFETY: as above.
        unsafe {
            let body = blocks.body.add(b * T::BODY);
            dot_groups::<M, FLAT>(
                &mut acc,
                &T::weights::<false>(body),
                &x.load::<M, FLAT>(b * 8),
            );
            dot_groups::<M, FLAT>(
                &mut acc,
                &T::weights::<true>(body),
                &x.load::<M, FLAT>(b * 8 + 4),
            );
        }
        let sums = BlockSums { acc, scales, sums };
        // SAFETY: as above.
        unsafe { add_block::<T, M>(&mut total, &sums, blocks, b) };
    }
    // SAFETY: as above.
    unsafe { store_rows(out, &total) };
}

/// As `narrow_rows` for decoded weights in pairs of rows; `T` is the type they were decoded from.
///
/// # Safety
/// As for `narrow_rows`; the CPU has i8mm.
#[inline(never)]
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn matrix_rows<T: Narrow, const M: usize>(blocks: &NarrowBlocks, row: usize, out: *mut f32) {
    let NarrowBlocks {
        blocks: count, n, ..
    } = *blocks;
    let x = Source {
        start: blocks.values,
        n,
        row,
    };
    // SAFETY: promised by the caller, here and below.
    let mut total = unsafe { load_rows::<M>(out) };
    for b in 0..count {
        let mut acc = [[vdupq_n_s32(0); 4]; 2];
        for half in 0..2 {
            // SAFETY: as above.
            unsafe {
                let groups = x.load::<M, false>(b * 8 + half * 4);
                let weights = blocks.body.add(b * 256 + half * 128);
                matrix::multiply_16(&mut acc, weights, &groups);
            }
        }
        let mut sums = BlockSums {
            acc: matrix::rows(&acc),
            scales: [0.0; M],
            sums: [0; M],
        };
        for r in 0..M {
            // SAFETY: as above.
            sums.scales[r] = unsafe { *blocks.scales.add(b * n + row + r) };
            if T::MINS {
                // SAFETY: as above.
                sums.sums[r] = unsafe { *blocks.sums.add(b * n + row + r) };
            }
        }
        // SAFETY: as above.
        unsafe { add_block::<T, M>(&mut total, &sums, blocks, b) };
    }
    // SAFETY: as above.
    unsafe { store_rows(out, &total) };
}

/// The sums of a block, and what they are multiplied by for each row of activations.
struct BlockSums<const M: usize> {
    acc: [Halves; M],
    scales: [f32; M],
    sums: [i32; M],
}

/// Adds block `b` to the results.
///
/// # Safety
/// `blocks` has it.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn add_block<T: Narrow, const M: usize>(
    total: &mut [[float32x4_t; 2]; M],
    sums: &BlockSums<M>,
    blocks: &NarrowBlocks,
    b: usize,
) {
    let BlockSums { acc, scales, sums } = sums;
    // SAFETY: promised by the caller.
    let d = unsafe { load_f16(blocks.d.add(b * LANES * 2)) };
    let mut dmin = [vdupq_n_f32(0.0); 2];
    if T::MINS {
        // SAFETY: as above.
        dmin = unsafe { load_f16(blocks.dmin.add(b * LANES * 2)) };
    }
    for r in 0..M {
        for h in 0..2 {
            let mut value = vmulq_f32(vcvtq_f32_s32(acc[r][h]), d[h]);
            if T::MINS {
                value = vfmaq_n_f32(value, dmin[h], sums[r] as f32 / SUM_FACTOR_32 as f32);
            }
            total[r][h] = vfmaq_n_f32(total[r][h], value, scales[r]);
        }
    }
}

/// # Safety
/// The blocks' bodies can be read; there are at most eight.
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn decode_narrow<T: Narrow, const MATRIX: bool>(
    blocks: &NarrowBlocks,
    decoded: &mut Decoded,
) {
    let offset = vdupq_n_s8(T::OFFSET as i8);
    for (b, to) in decoded
        .0
        .chunks_exact_mut(16)
        .take(blocks.blocks)
        .enumerate()
    {
        // SAFETY: promised by the caller.
        let halves = unsafe {
            let body = blocks.body.add(b * T::BODY);
            [T::weights::<false>(body), T::weights::<true>(body)]
        };
        for (to, weights) in to.as_chunks_mut::<8>().0.iter_mut().zip(halves) {
            put::<MATRIX>(to, weights, offset);
        }
    }
}
