//! Products of int8 activations with tiles of eight weight rows.
//!
//! Up to four activation rows multiply straight from the packed bytes. More of them take a block of a tile decoded to
//! int8 once (2 KiB, in the first-level cache), four rows at a time, with each block of activations used by all tiles
//! of the call while it is near.
//!
//! Integer sums are exact. In blocks of 256 a run's sum is multiplied by its scale without setting the accumulator
//! back: with `A(j)` the sum up to and including run `j`, the sum of `s(j) * (A(j) - A(j-1))` is that of
//! `A(j) * (s(j) - s(j+1))`, so that one multiply-add per run and register is all a scale costs. Wrapping does not
//! matter, as the total fits.

#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers into tiles and activations"
)]

use super::decode::{Narrow, Plain, Weights, Wide, plain};
use super::dot::{Halves, Source, dot_groups, dot_lanes, load_f16};
use crate::activations::{Rows, SUM_FACTOR_16, SUM_FACTOR_32, SUMS_256};
use crate::project::TileJob;
use std::arch::aarch64::*;

/// Weight rows per tile.
pub(super) const LANES: usize = 8;

/// Most activation rows per call.
pub(super) const MAX_ROWS: usize = 32;

/// Columns decoded at once.
const DECODED: usize = 256;

/// A block decoded to int8: `[group][row][4]`.
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

/// Four rows of f32 results, two registers each, beginning at `at`.
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

// ---- blocks of 32 ----

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

/// Products with blocks of 32.
///
/// # Safety
/// The CPU has dotprod, and `T` is the type of the job's layout.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn multiply_narrow<T: Narrow>(job: TileJob<'_>, out: &mut [f32]) {
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
                decode_narrow::<T>(&blocks, &mut decoded);
            }
            blocks.body = decoded.0.as_ptr().cast();
            for row in (0..n).step_by(4) {
                let out = out[row * LANES..].as_mut_ptr();
                let m = (n - row).min(4);
                // SAFETY: as above; rows `row .. row + m` are among the `n`, and `n` is more than 4.
                unsafe {
                    if T::MINS {
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
        // SAFETY: as above.
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
    // SAFETY: as above.
    unsafe { store_rows(out, &total) };
}

/// # Safety
/// The blocks' bodies can be read; there are at most eight.
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn decode_narrow<T: Narrow>(blocks: &NarrowBlocks, decoded: &mut Decoded) {
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
        for (to, from) in to.iter_mut().zip(halves.as_flattened().as_flattened()) {
            *to = vsubq_s8(*from, offset);
        }
    }
}

// ---- blocks of 256 ----

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

/// Products with blocks of 256.
///
/// # Safety
/// The CPU has dotprod, and `T` is the type of the job's layout.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn multiply_wide<T: Wide>(job: TileJob<'_>, out: &mut [f32]) {
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
                decode_wide::<T>(body.add(T::HEAD), &mut decoded);
                scales::<T, false>(&head)
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
                some_rows!(m, |M| unsafe { decoded_rows::<T, M>(&job, out) });
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

/// # Safety
/// `planes` holds the block's weights.
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn decode_wide<T: Wide>(planes: *const u8, decoded: &mut Decoded) {
    let offset = vdupq_n_s8(T::OFFSET as i8);
    macro_rules! pair_of_chunks {
        ($pair:expr, $to:expr) => {{
            let (pair, to) = ($pair, $to);
            // SAFETY: promised by the caller.
            unsafe {
                put(&mut to[..8], T::weights::<false>(planes, pair, 0), offset);
                put(&mut to[8..16], T::weights::<false>(planes, pair, 1), offset);
                put(&mut to[16..24], T::weights::<true>(planes, pair, 0), offset);
                put(&mut to[24..], T::weights::<true>(planes, pair, 1), offset);
            }
        }};
    }
    for (two, to) in decoded.0.as_chunks_mut::<64>().0.iter_mut().enumerate() {
        let (first, second) = to.split_at_mut(32);
        pair_of_chunks!(2 * two, first);
        pair_of_chunks!(2 * two + 1, second);
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn put(to: &mut [int8x16_t], weights: Weights, offset: int8x16_t) {
    for (to, from) in to.iter_mut().zip(weights.as_flattened()) {
        *to = vsubq_s8(*from, offset);
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
