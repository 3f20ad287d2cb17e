//! Products with weights in blocks of 256.
//!
//! A run's sum is multiplied by its scale without setting the accumulator back: with `A(j)` the sum up to and
//! including run `j`, the sum of `s(j) * (A(j) - A(j-1))` is that of `A(j) * (s(j) - s(j+1))`, so that one
//! multiply-add per run and register is all a scale costs. Wrapping does not matter, as the total fits.

#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers into tiles and activations"
)]

use super::{Activations, DECODED, Decoded, LANES, MAX_ROWS, load_rows, put, store_rows};
use crate::activations::{SUM_FACTOR_16, SUMS_256};
use crate::neon::decode::{Weights, Wide, plain};
use crate::neon::dot::{Halves, Source, dot_groups, dot_lanes, load_f16};
use crate::neon::matrix::{self, Squares};
use crate::project::TileJob;
use std::arch::aarch64::*;

/// Sums of activations for the minimums of runs of 32, a row per lane: each sum is `128 * high + low` in bytes, and a
/// lane's four bytes are four runs, runs 0..4 in the first entry, 4..8 in the second.
#[derive(Clone, Copy)]
struct SplitSums {
    low: [int8x16_t; 2],
    high: [int8x16_t; 2],
}

/// What multiplies a block's sums of one tile.
struct Scales<T: Wide> {
    /// Each scale less the next one in the order of summing.
    steps: T::Scales,
    d: [float32x4_t; 2],
    dmin: [float32x4_t; 2],
    mins: [[int8x16_t; 2]; 2],
    /// The packed block, for minimums of runs of 16.
    body: *const u8,
}

/// Block `b` of a tile: its scales of f16 from `tile` and `mins` on, its other bytes at `body`.
#[derive(Clone, Copy)]
struct WideHead {
    tile: *const u8,
    mins: usize,
    b: usize,
    body: *const u8,
}

/// One block of activations of all rows.
#[derive(Clone, Copy)]
struct WideBlock {
    values: *const i8,
    scales: *const f32,
    sums: *const i32,
    n: usize,
}

impl<'a> Activations<'a> {
    /// Block `b`, which exists.
    fn wide(&self, b: usize) -> WideBlock {
        WideBlock {
            values: self.values[b * 256 * self.n..].as_ptr(),
            scales: self.scales[b * self.n..].as_ptr(),
            sums: self.sums[b * SUMS_256 * self.n..].as_ptr(),
            n: self.n,
        }
    }
}

/// Products with blocks of 256; `MATRIX`: with SMMLA where there are rows for it.
///
/// # Safety
/// The CPU has dotprod and for `MATRIX` i8mm, and `T` is the type of the job's layout.
#[target_feature(enable = "neon,dotprod")]
pub(in crate::neon) unsafe fn multiply_wide<T: Wide, const MATRIX: bool>(
    job: TileJob<'_>,
    out: &mut [f32],
) {
    let x = Activations::of(&job, SUMS_256);
    let (layout, n) = (job.layout, x.n);
    assert!(layout.body_bytes >= T::HEAD && out.len() >= job.count * n * LANES);
    out[..job.count * n * LANES].fill(0.0);
    if n < 4 {
        for (tile, out) in out.chunks_exact_mut(n * LANES).take(job.count).enumerate() {
            let tile = &job.tiles[tile * layout.tile_bytes..];
            for b in 0..layout.blocks {
                let body = tile[layout.body + b * layout.body_bytes..].as_ptr();
                let block = x.wide(b);
                let out = out.as_mut_ptr();
                let head = WideHead {
                    tile: tile.as_ptr(),
                    mins: layout.mins,
                    b,
                    body,
                };
                // SAFETY: the tile holds block `b` and the activations do, for `n` rows; so does `out`.
                unsafe {
                    match n {
                        1 => packed_rows::<T, 1>(&head, &block, out),
                        2 => packed_rows::<T, 2>(&head, &block, out),
                        _ => packed_rows::<T, 3>(&head, &block, out),
                    }
                }
            }
        }
        return;
    }
    let mut decoded = Decoded([vdupq_n_s8(0); DECODED * LANES / 16]);
    let zero = [vdupq_n_s8(0); 2];
    let mut sums = [SplitSums {
        low: zero,
        high: zero,
    }; MAX_ROWS / 4];
    for b in 0..layout.blocks {
        let block = x.wide(b);
        for (row, sums) in (0..n).step_by(4).zip(&mut sums) {
            // SAFETY: as above.
            *sums = unsafe { split_sums::<T>(&block, row) };
        }
        for (tile, out) in out.chunks_exact_mut(n * LANES).take(job.count).enumerate() {
            let tile = &job.tiles[tile * layout.tile_bytes..];
            let body = tile[layout.body + b * layout.body_bytes..].as_ptr();
            let head = WideHead {
                tile: tile.as_ptr(),
                mins: layout.mins,
                b,
                body,
            };
            // SAFETY: the tile holds block `b`.
            let scales = unsafe {
                decode_wide::<T, MATRIX>(body.add(T::HEAD), &mut decoded);
                scales::<T, false>(&head)
            };
            let steps = match MATRIX {
                true => steps_of_pairs::<T>(&scales),
                false => [[vdupq_n_s32(0); 4]; 16],
            };
            for (row, sums) in (0..n).step_by(4).zip(&sums) {
                let out = out[row * LANES..].as_mut_ptr();
                let m = (n - row).min(4);
                let job = DecodedBlock {
                    weights: &decoded,
                    scales: &scales,
                    sums,
                    block: &block,
                    row,
                };
                // SAFETY: rows `row .. row + m` are among the `n`, and `n` is at least 4.
                unsafe {
                    if MATRIX {
                        some_rows!(m, |M| matrix_rows::<T, M>(&job, &steps, out));
                    } else {
                        some_rows!(m, |M| decoded_rows::<T, M>(&job, out));
                    }
                }
            }
        }
    }
}

/// `M` rows, all there are, times a packed block.
///
/// # Safety
/// `head` is a block of type `T`, `block` holds `M` rows, `out` too.
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn packed_rows<T: Wide, const M: usize>(head: &WideHead, block: &WideBlock, out: *mut f32) {
    // SAFETY: promised by the caller.
    unsafe {
        let planes = head.body.add(T::HEAD);
        let sums = split_sums::<T>(block, 0);
        if T::PAIRED && M <= 2 {
            let scales = scales::<T, true>(head);
            let total = paired_sums::<T, M>(planes, &scales, block);
            add_block::<T, M>(&total, &scales, &sums, block, 0, out);
        } else {
            let scales = scales::<T, false>(head);
            let total = sums_in_order::<T, M>(planes, &scales, block);
            add_block::<T, M>(&total, &scales, &sums, block, 0, out);
        }
    }
}

/// A block decoded to int8, and the activations from `row` on that it meets.
struct DecodedBlock<'a, T: Wide> {
    weights: &'a Decoded,
    scales: &'a Scales<T>,
    sums: &'a SplitSums,
    block: &'a WideBlock,
    row: usize,
}

/// `M` rows of more than four times a decoded block.
///
/// # Safety
/// The block holds rows `row .. row + M`, `out` has `M` rows.
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn decoded_rows<T: Wide, const M: usize>(job: &DecodedBlock<'_, T>, out: *mut f32) {
    let DecodedBlock {
        weights,
        scales,
        sums,
        block,
        row,
    } = *job;
    // SAFETY: promised by the caller.
    unsafe {
        let total = decoded_sums::<T, M>(weights.0.as_ptr().cast(), scales, block, row);
        add_block::<T, M>(&total, scales, sums, block, row, out);
    }
}

/// Scales of runs for pairs of rows.
type PairSteps = [[int32x4_t; 4]; 16];

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn steps_of_pairs<T: Wide>(scales: &Scales<T>) -> PairSteps {
    let mut steps = [[vdupq_n_s32(0); 4]; 16];
    for (j, steps) in steps.iter_mut().enumerate().take(256 / T::RUN) {
        *steps = matrix::twice(&scales.steps[j]);
    }
    steps
}

/// As `decoded_rows`, with weights in pairs of rows.
///
/// # Safety
/// As for `decoded_rows`; the CPU has i8mm.
#[inline(never)]
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn matrix_rows<T: Wide, const M: usize>(
    job: &DecodedBlock<'_, T>,
    steps: &PairSteps,
    out: *mut f32,
) {
    let DecodedBlock {
        weights,
        scales,
        sums,
        block,
        row,
    } = *job;
    // SAFETY: promised by the caller.
    unsafe {
        let total = matrix_sums::<T, M>(weights.0.as_ptr().cast(), steps, block, row);
        add_block::<T, M>(&total, scales, sums, block, row, out);
    }
}

/// Sums of one decoded block, scaled, of `M` rows of more.
///
/// # Safety
/// As for `decoded_sums`; the CPU has i8mm.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn matrix_sums<T: Wide, const M: usize>(
    weights: *const u8,
    steps: &PairSteps,
    block: &WideBlock,
    row: usize,
) -> [Halves; M] {
    let mut acc: Squares = [[vdupq_n_s32(0); 4]; 2];
    let mut total = acc;
    let step = 16 * block.n;
    let mut x = Source {
        start: block.values,
        n: block.n,
        row,
    };
    for chunk in 0..8 {
        for half in 0..2 {
            // SAFETY: promised by the caller: eight chunks of 32 columns, 256 bytes each.
            unsafe {
                let groups = x.load::<M, false>(0);
                matrix::multiply_16(&mut acc, weights.add(chunk * 256 + half * 128), &groups);
            }
            x.start = x.start.wrapping_add(step);
            if T::RUN == 16 || half == 1 {
                let run = if T::RUN == 16 {
                    2 * chunk + half
                } else {
                    chunk
                };
                for (total, acc) in total.iter_mut().zip(&acc) {
                    for (w, total) in total.iter_mut().enumerate() {
                        *total = vmlaq_s32(*total, acc[w], steps[run][w]);
                    }
                }
            }
        }
    }
    matrix::rows(&total)
}

/// # Safety
/// `planes` holds the block's weights.
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn decode_wide<T: Wide, const MATRIX: bool>(planes: *const u8, decoded: &mut Decoded) {
    let offset = vdupq_n_s8(T::OFFSET as i8);
    macro_rules! pair_of_chunks {
        ($pair:expr, $to:expr) => {{
            let (pair, to) = ($pair, $to);
            // SAFETY: promised by the caller.
            unsafe {
                put::<MATRIX>(&mut to[..8], T::weights::<false>(planes, pair, 0), offset);
                put::<MATRIX>(&mut to[8..16], T::weights::<false>(planes, pair, 1), offset);
                put::<MATRIX>(&mut to[16..24], T::weights::<true>(planes, pair, 0), offset);
                put::<MATRIX>(&mut to[24..], T::weights::<true>(planes, pair, 1), offset);
            }
        }};
    }
    for (two, to) in decoded.0.as_chunks_mut::<64>().0.iter_mut().enumerate() {
        let (first, second) = to.split_at_mut(32);
        pair_of_chunks!(2 * two, first);
        pair_of_chunks!(2 * two + 1, second);
    }
}

/// Scales of block `b`, as steps from each run to the next one summed: in order, or, `PAIRED`, even chunks apart from
/// odd chunks.
///
/// # Safety
/// `head` is a block of type `T`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn scales<T: Wide, const PAIRED: bool>(head: &WideHead) -> Scales<T> {
    let WideHead {
        tile,
        mins,
        b,
        body,
    } = *head;
    // SAFETY: promised by the caller. The same below.
    let mut steps = unsafe { T::scales(body) };
    let per_chunk = 32 / T::RUN;
    let runs = 8 * per_chunk;
    for j in 0..runs {
        // The last run of a chunk is followed by the first one of the next chunk in the same series.
        let next = if PAIRED && (j + 1).is_multiple_of(per_chunk) {
            j + 1 + per_chunk
        } else {
            j + 1
        };
        if next < runs {
            for h in 0..2 {
                steps[j][h] = vsubq_s32(steps[j][h], steps[next][h]);
            }
        }
    }
    // SAFETY: as above.
    let d = unsafe { load_f16(tile.add(b * LANES * 2)) };
    let mut scales = Scales {
        steps,
        d,
        dmin: d,
        mins: [[vdupq_n_s8(0); 2]; 2],
        body,
    };
    if T::MINS {
        // SAFETY: as above.
        unsafe {
            scales.dmin = load_f16(tile.add(mins + b * LANES * 2));
            scales.mins = T::mins(body);
        }
    }
    scales
}

/// The low bytes of `even` and `odd` in turn.
#[inline]
#[target_feature(enable = "neon")]
fn weave(even: int16x8_t, odd: int16x8_t) -> int8x16_t {
    vreinterpretq_s8_s16(vsliq_n_s16::<8>(even, odd))
}

/// # Safety
/// `block` holds row `row`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn split_sums<T: Wide>(block: &WideBlock, row: usize) -> SplitSums {
    let zero = [vdupq_n_s8(0); 2];
    let mut split = SplitSums {
        low: zero,
        high: zero,
    };
    if T::MINS && T::RUN == 32 {
        for i in 0..2 {
            // The lanes behind the last row belong to the entries that follow; there are 20 of them.
            // SAFETY: promised by the caller. The same below.
            let even = unsafe { vld1q_s32(block.sums.add(2 * i * block.n + row)) };
            // SAFETY: as above.
            let odd = unsafe { vld1q_s32(block.sums.add((2 * i + 1) * block.n + row)) };
            let (even, odd) = (vreinterpretq_s16_s32(even), vreinterpretq_s16_s32(odd));
            // A lane's entries are chunks (0, 2) and (1, 3): one byte of each in turn is their order.
            split.high[i] = weave(vshrq_n_s16::<7>(even), vshrq_n_s16::<7>(odd));
            let low = vdupq_n_s16(127);
            split.low[i] = weave(vandq_s16(even, low), vandq_s16(odd, low));
        }
    }
    split
}

/// Sums of one decoded block, scaled, of `M` rows of more.
///
/// # Safety
/// `weights` holds a block, `block` rows `row .. row + M` and 4 rows up to there.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn decoded_sums<T: Wide, const M: usize>(
    weights: *const u8,
    scales: &Scales<T>,
    block: &WideBlock,
    row: usize,
) -> [Halves; M] {
    let mut acc: [Halves; M] = [[vdupq_n_s32(0); 2]; M];
    let mut total = acc;
    let step = 16 * block.n;
    let mut x = Source {
        start: block.values,
        n: block.n,
        row,
    };
    for chunk in 0..8 {
        // SAFETY: promised by the caller: eight chunks of 32 columns, 256 bytes each.
        let (low, high) = unsafe { (plain(weights.add(chunk * 256)), x.load::<M, false>(0)) };
        dot_groups::<M, false>(&mut acc, &low, &high);
        if T::RUN == 16 {
            add_scaled(&mut total, &acc, &scales.steps[2 * chunk]);
        }
        x.start = x.start.wrapping_add(step);
        // SAFETY: as above.
        let (low, high) = unsafe { (plain(weights.add(chunk * 256 + 128)), x.load::<M, false>(0)) };
        dot_groups::<M, false>(&mut acc, &low, &high);
        let run = if T::RUN == 16 { 2 * chunk + 1 } else { chunk };
        add_scaled(&mut total, &acc, &scales.steps[run]);
        x.start = x.start.wrapping_add(step);
    }
    total
}

/// Sums of one packed block, scaled, of all `M` rows: run after run.
///
/// # Safety
/// `planes` holds the block's weights, `block` exactly `M` rows.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn sums_in_order<T: Wide, const M: usize>(
    planes: *const u8,
    scales: &Scales<T>,
    block: &WideBlock,
) -> [Halves; M] {
    let x = Source {
        start: block.values,
        n: block.n,
        row: 0,
    };
    let mut acc: [Halves; M] = [[vdupq_n_s32(0); 2]; M];
    let mut total = acc;
    macro_rules! pair_of_chunks {
        ($pair:expr) => {{
            let pair = $pair;
            for half in 0..2 {
                // SAFETY: promised by the caller. The same below.
                let weights = unsafe { T::weights::<false>(planes, pair, half) };
                // SAFETY: as above.
                let groups = unsafe { x.load::<M, true>(pair * 16 + half * 4) };
                dot_groups::<M, true>(&mut acc, &signed::<T>(weights), &groups);
                if T::RUN == 16 {
                    add_scaled(&mut total, &acc, &scales.steps[4 * pair + half]);
                }
            }
            if T::RUN == 32 {
                add_scaled(&mut total, &acc, &scales.steps[2 * pair]);
            }
            for half in 0..2 {
                // SAFETY: as above.
                let weights = unsafe { T::weights::<true>(planes, pair, half) };
                // SAFETY: as above.
                let groups = unsafe { x.load::<M, true>(pair * 16 + 8 + half * 4) };
                dot_groups::<M, true>(&mut acc, &signed::<T>(weights), &groups);
                if T::RUN == 16 {
                    add_scaled(&mut total, &acc, &scales.steps[4 * pair + 2 + half]);
                }
            }
            if T::RUN == 32 {
                add_scaled(&mut total, &acc, &scales.steps[2 * pair + 1]);
            }
        }};
    }
    for two in 0..2 {
        pair_of_chunks!(2 * two);
        pair_of_chunks!(2 * two + 1);
    }
    total
}

/// Weights less the type's offset.
#[inline]
#[target_feature(enable = "neon")]
fn signed<T: Wide>(mut weights: Weights) -> Weights {
    if T::OFFSET != 0 {
        for weight in weights.as_flattened_mut() {
            *weight = vsubq_s8(*weight, vdupq_n_s8(T::OFFSET as i8));
        }
    }
    weights
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn add_scaled<const M: usize>(total: &mut [Halves; M], acc: &[Halves; M], steps: &Halves) {
    for (total, acc) in total.iter_mut().zip(acc) {
        total[0] = vmlaq_s32(total[0], acc[0], steps[0]);
        total[1] = vmlaq_s32(total[1], acc[1], steps[1]);
    }
}

/// Sums of one block, scaled, of all `M` rows, for types of which one byte serves two chunks: both at once, so that
/// each byte is loaded once and twice as many sums are under way.
///
/// # Safety
/// `planes` holds the block's weights, `block` exactly `M` rows.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn paired_sums<T: Wide, const M: usize>(
    planes: *const u8,
    scales: &Scales<T>,
    block: &WideBlock,
) -> [Halves; M] {
    let x = Source {
        start: block.values,
        n: block.n,
        row: 0,
    };
    let mut acc: [[Halves; M]; 2] = [[[vdupq_n_s32(0); 2]; M]; 2];
    let mut total: [Halves; M] = [[vdupq_n_s32(0); 2]; M];
    macro_rules! pair_of_chunks {
        ($pair:expr) => {{
            let pair = $pair;
            for half in 0..2 {
                // SAFETY: promised by the caller.
                let (even, odd) = unsafe {
                    (
                        T::weights::<false>(planes, pair, half),
                        T::weights::<true>(planes, pair, half),
                    )
                };
                let first = pair * 16 + half * 4;
                // SAFETY: promised by the caller.
                let groups = unsafe { [x.load::<M, true>(first), x.load::<M, true>(first + 8)] };
                dot_groups::<M, true>(&mut acc[0], &even, &groups[0]);
                dot_groups::<M, true>(&mut acc[1], &odd, &groups[1]);
                if T::RUN == 16 {
                    for (odd, acc) in acc.iter_mut().enumerate() {
                        let run = 4 * pair + 2 * odd + half;
                        for (r, acc) in acc.iter_mut().enumerate() {
                            // SAFETY: promised by the caller.
                            let sum = unsafe { *block.sums.add((4 + run) * block.n + r) };
                            let offset = vdupq_n_s32(T::OFFSET / -SUM_FACTOR_16 * sum);
                            *acc = [vaddq_s32(acc[0], offset), vaddq_s32(acc[1], offset)];
                        }
                        add_scaled(&mut total, acc, &scales.steps[run]);
                    }
                } else if half == 1 {
                    add_scaled(&mut total, &acc[0], &scales.steps[2 * pair]);
                    add_scaled(&mut total, &acc[1], &scales.steps[2 * pair + 1]);
                }
            }
        }};
    }
    // Two at a time, because for some types it matters whether a pair is even.
    for two in 0..2 {
        pair_of_chunks!(2 * two);
        pair_of_chunks!(2 * two + 1);
    }
    total
}

/// Adds a block's scaled sums, less its minimums, to `M` rows of results.
///
/// # Safety
/// `block` holds rows `row .. row + M`; `out` has `M` rows of eight.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn add_block<T: Wide, const M: usize>(
    total: &[Halves; M],
    scales: &Scales<T>,
    sums: &SplitSums,
    block: &WideBlock,
    row: usize,
    out: *mut f32,
) {
    let mut least: [Halves; M] = [[vdupq_n_s32(0); 2]; M];
    if T::MINS && T::RUN == 32 {
        // Minimums times sums, four runs per instruction: first the sums' upper parts.
        dot_lanes(&mut least, &scales.mins[0], sums.high[0]);
        dot_lanes(&mut least, &scales.mins[1], sums.high[1]);
        for least in least.as_flattened_mut() {
            *least = vshlq_n_s32::<7>(*least);
        }
        dot_lanes(&mut least, &scales.mins[0], sums.low[0]);
        dot_lanes(&mut least, &scales.mins[1], sums.low[1]);
    } else if T::MINS {
        for j in 0..16 {
            // SAFETY: `body` is the packed block.
            let min = unsafe { T::narrow_mins(scales.body, j) };
            for (r, least) in least.iter_mut().enumerate() {
                // SAFETY: promised by the caller.
                let sum = unsafe { *block.sums.add((4 + j) * block.n + row + r) } / SUM_FACTOR_16;
                least[0] = vmlaq_n_s32(least[0], min[0], sum);
                least[1] = vmlaq_n_s32(least[1], min[1], sum);
            }
        }
    }
    // SAFETY: promised by the caller, here and below.
    let mut rows = unsafe { load_rows::<M>(out) };
    for r in 0..M {
        // SAFETY: as above.
        let scale = unsafe { *block.scales.add(row + r) };
        for h in 0..2 {
            let mut value = vmulq_f32(vcvtq_f32_s32(total[r][h]), scales.d[h]);
            if T::MINS {
                value = vfmsq_f32(value, vcvtq_f32_s32(least[r][h]), scales.dmin[h]);
            }
            rows[r][h] = vfmaq_n_f32(rows[r][h], value, scale);
        }
    }
    // SAFETY: as above.
    unsafe { store_rows(out, &rows) };
}
