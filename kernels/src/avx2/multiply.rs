//! Products: weights are unpacked to unsigned bytes in registers and multiplied with broadcast int8 activations.
//!
//! `vpmaddubsw` adds two products in i16 and saturates, so the widths are chosen to stay below 32768, with activations
//! within 127: 15 * 127 * 2 for nibbles, of which 8 may be added up in i16 (30480); 31 * 127 * 2 for five bits, 4 of
//! them (31496); 63 * 127 * 2 for six bits, 2 of them (32004). Eight bits do not fit; `Q8_0` multiplies sizes with
//! signed activations, 128 * 127 * 2 = 32512, one at a time.
//!
//! With `VNNI`, `vpdpbusd` adds four products in i32 at once: nothing saturates, and eight bits stay unsigned.

use crate::QuantType;
use crate::activations::{Rows, SUMS_256};
use crate::kind::{self, Kind};
use crate::project::TileJob;
use std::arch::x86_64::*;

/// How far ahead of its use weights are asked for, in bytes.
const PREFETCH: usize = 8192;

/// Calls `$kernel::<$kind, N>` for the job's number of rows.
macro_rules! for_rows {
    ($kernel:ident, $kind:ident, $job:expr, $out:expr $(, $vnni:ident)?) => {
        match $job.n {
            1 => $kernel::<kind::$kind, 1 $(, $vnni)?>($job, $out),
            2 => $kernel::<kind::$kind, 2 $(, $vnni)?>($job, $out),
            3 => $kernel::<kind::$kind, 3 $(, $vnni)?>($job, $out),
            4 => $kernel::<kind::$kind, 4 $(, $vnni)?>($job, $out),
            n => unreachable!("no kernel for blocks of {n} rows"),
        }
    };
}

/// See [`Table::multiply`](crate::Table).
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn multiply<const VNNI: bool>(job: TileJob<'_>, out: &mut [f32]) {
    assert_eq!(job.layout.lanes, 8);
    assert_eq!(job.tiles.len(), job.count * job.layout.tile_bytes);
    assert_eq!(out.len(), job.count * job.n * 8);
    match job.layout.quant {
        QuantType::F32 => for_rows!(float_tiles, F32, job, out),
        QuantType::F16 => for_rows!(float_tiles, F16, job, out),
        QuantType::BF16 => for_rows!(float_tiles, BF16, job, out),
        QuantType::Q4_0 => for_rows!(simple_tiles, Q4_0, job, out, VNNI),
        QuantType::Q4_1 => for_rows!(simple_tiles, Q4_1, job, out, VNNI),
        QuantType::Q5_0 => for_rows!(simple_tiles, Q5_0, job, out, VNNI),
        QuantType::Q5_1 => for_rows!(simple_tiles, Q5_1, job, out, VNNI),
        QuantType::Q8_0 => for_rows!(simple_tiles, Q8_0, job, out, VNNI),
        QuantType::Q2K => for_rows!(super_tiles, Q2K, job, out, VNNI),
        QuantType::Q3K => for_rows!(super_tiles, Q3K, job, out, VNNI),
        QuantType::Q4K => for_rows!(super_tiles, Q4K, job, out, VNNI),
        QuantType::Q5K => for_rows!(super_tiles, Q5K, job, out, VNNI),
        QuantType::Q6K => for_rows!(super_tiles, Q6K, job, out, VNNI),
    }
}

/// Products of this many groups fit into i16.
const fn groups_in_16_bits(quant: QuantType) -> usize {
    match quant {
        QuantType::Q4_0 | QuantType::Q4_1 | QuantType::Q4K => 8,
        QuantType::Q2K | QuantType::Q3K => 4,
        QuantType::Q5_0 | QuantType::Q5_1 | QuantType::Q5K => 4,
        QuantType::Q6K => 2,
        _ => 1,
    }
}

/// 32 bytes at `at`, which the caller has checked to lie within a slice.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load(at: *const u8) -> __m256i {
    // SAFETY: promised by the caller.
    unsafe { _mm256_loadu_si256(at.cast()) }
}

/// 8 halves at `at`, which the caller has checked to lie within a slice.
#[target_feature(enable = "avx2,f16c")]
#[inline]
unsafe fn load_halves(at: *const u8) -> __m256 {
    // SAFETY: promised by the caller.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(at.cast()) })
}

/// One 32-bit value (four activations, or a sum) for all lanes; the caller has checked that it lies within a slice.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn broadcast(at: *const i32) -> __m256i {
    // SAFETY: promised by the caller.
    _mm256_set1_epi32(unsafe { at.read_unaligned() })
}

/// Asks for `lines` lines from `PREFETCH` bytes after `at` on, wherever that is: prefetching cannot fault.
#[target_feature(enable = "avx2")]
#[inline]
fn prefetch(at: *const u8, lines: usize) {
    for line in 0..lines {
        _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(PREFETCH + line * 64).cast());
    }
}

/// Lines that the body of a block takes, rounded up.
const fn lines_per_block(quant: QuantType) -> usize {
    match quant {
        QuantType::Q4_0 | QuantType::Q4_1 => 2,
        QuantType::Q5_0 | QuantType::Q5_1 => 3,
        QuantType::Q2K => 10,
        QuantType::Q3K => 14,
        QuantType::Q4K => 18,
        QuantType::Q5K => 22,
        QuantType::Q6K => 26,
        _ => 4,
    }
}

/// Asks for a quarter of a later block while a quarter of this one is worked on.
#[target_feature(enable = "avx2")]
#[inline]
fn prefetch_quarter<K: Kind>(body: *const u8, quarter: usize) {
    let lines = lines_per_block(K::QUANT).div_ceil(4);
    prefetch(body.wrapping_add(quarter * lines * 64), lines);
}

/// Products of unsigned `q` and signed `x`, in i16.
#[target_feature(enable = "avx2")]
#[inline]
fn products<K: Kind>(q: __m256i, x: __m256i) -> __m256i {
    if matches!(K::QUANT, QuantType::Q8_0) {
        // Here `q` is signed: its sign moves to the activations.
        _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q))
    } else {
        _mm256_maddubs_epi16(q, x)
    }
}

/// `sums` plus the products of unsigned `q` and signed `x`, four to a lane.
///
/// Assembly, so that functions with and without `VNNI` can be one.
///
/// # Safety
/// The processor has AVX-VNNI.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn add_products(mut sums: __m256i, q: __m256i, x: __m256i) -> __m256i {
    // SAFETY: reads and writes registers only.
    unsafe {
        std::arch::asm!(
            "{{vex}} vpdpbusd {sums}, {q}, {x}",
            sums = inout(ymm_reg) sums,
            q = in(ymm_reg) q,
            x = in(ymm_reg) x,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// Blocks of 256 with integer scales.
#[target_feature(enable = "avx2,fma,f16c")]
fn super_tiles<K: Kind, const N: usize, const VNNI: bool>(job: TileJob<'_>, out: &mut [f32]) {
    let layout = job.layout;
    let Rows::Int {
        values,
        scales,
        sums,
    } = job.x
    else {
        unreachable!("quantised weights take int8 activations")
    };
    assert!(layout.blocks * 256 == layout.cols && values.len() == layout.cols * N);
    assert!(scales.len() == layout.blocks * N && sums.len() == layout.blocks * SUMS_256 * N);
    assert!(layout.tile_bytes >= layout.body + layout.blocks * layout.body_bytes);
    let tiles = job.tiles.chunks_exact(layout.tile_bytes);
    for (tile, out) in tiles.zip(out.chunks_exact_mut(N * 8)) {
        let mut total = [_mm256_setzero_ps(); N];
        for b in 0..layout.blocks {
            // SAFETY: block `b` is below `layout.blocks`, so its body, its entries of `d` and `dmin`, its 256 * N
            // values, N scales and 20 * N sums lie within the slices, by the lengths checked above.
            unsafe {
                let block = SuperBlock {
                    body: tile.as_ptr().add(layout.body + b * layout.body_bytes),
                    d: tile.as_ptr().add(b * 16),
                    dmin: tile.as_ptr().add(layout.mins + b * 16),
                    values: values.as_ptr().add(b * 256 * N).cast(),
                    scales: scales.as_ptr().add(b * N),
                    sums: sums.as_ptr().add(b * SUMS_256 * N),
                };
                super_block::<K, N, VNNI>(block, &mut total);
            }
        }
        store(&total, out);
    }
}

/// Where the parts of one block of 8 rows and of its activations begin.
#[derive(Clone, Copy)]
struct SuperBlock {
    body: *const u8,
    d: *const u8,
    dmin: *const u8,
    values: *const i32,
    scales: *const f32,
    sums: *const i32,
}

/// # Safety
/// The pointers lead to the whole parts that [`SuperBlock`] names.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn super_block<K: Kind, const N: usize, const VNNI: bool>(
    block: SuperBlock,
    total: &mut [__m256; N],
) {
    let zero = _mm256_setzero_si256();
    let mut sum = [zero; N];
    // Sums of minimums times activations, times -32 for Q2_K.
    let mut least = [zero; N];
    // SAFETY: chunks 0..8 and runs 0..16 exist in every block; the caller promises the pointers.
    unsafe {
        match K::QUANT {
            QuantType::Q4K | QuantType::Q5K => {
                let packed = [0, 32, 64].map(|at| load(block.body.add(at)));
                let low = _mm256_set1_epi8(15);
                let top = |v| _mm256_and_si256(_mm256_srli_epi16::<2>(v), _mm256_set1_epi8(0x30));
                let six = _mm256_set1_epi8(63);
                // Four scales (or minimums) per lane and register.
                let scales = [
                    _mm256_and_si256(packed[0], six),
                    _mm256_or_si256(_mm256_and_si256(packed[2], low), top(packed[0])),
                ];
                let mins = [
                    _mm256_and_si256(packed[1], six),
                    _mm256_or_si256(
                        _mm256_and_si256(_mm256_srli_epi16::<4>(packed[2]), low),
                        top(packed[1]),
                    ),
                ];
                for pair in 0..4 {
                    prefetch_quarter::<K>(block.body, pair);
                    let four =
                        _mm256_srl_epi32(scales[pair / 2], _mm_cvtsi32_si128(pair as i32 % 2 * 16));
                    // Each scale twice, for both halves of a lane.
                    let spread = _mm256_setr_epi8(
                        0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12, -1, 0, -1, 0, -1, 4,
                        -1, 4, -1, 8, -1, 8, -1, 12, -1, 12, -1,
                    );
                    let scale = _mm256_shuffle_epi8(four, spread);
                    dot::<K, N, 0, VNNI>(block, pair, 0..8, scale, &mut sum);
                    let scale = _mm256_shuffle_epi8(_mm256_srli_epi32::<8>(four), spread);
                    dot::<K, N, 1, VNNI>(block, pair, 0..8, scale, &mut sum);
                }
                // Minimums as pairs of i16, in the order of the sums' pairs.
                let even = _mm256_set1_epi32(0x00FF_00FF);
                for (i, four) in mins.into_iter().enumerate() {
                    let first = _mm256_and_si256(four, even);
                    let second = _mm256_and_si256(_mm256_srli_epi16::<8>(four), even);
                    for (r, least) in least.iter_mut().enumerate() {
                        let low = broadcast(block.sums.add(2 * i * N + r));
                        let high = broadcast(block.sums.add((2 * i + 1) * N + r));
                        let both = _mm256_add_epi32(
                            _mm256_madd_epi16(first, low),
                            _mm256_madd_epi16(second, high),
                        );
                        *least = _mm256_add_epi32(*least, both);
                    }
                }
            }
            _ => {
                for pair in 0..4 {
                    prefetch_quarter::<K>(block.body, pair);
                    two_runs::<K, N, 0, VNNI>(block, pair, &mut sum, &mut least);
                    two_runs::<K, N, 1, VNNI>(block, pair, &mut sum, &mut least);
                }
            }
        }
        let d = load_halves(block.d);
        for r in 0..N {
            let mut value = _mm256_mul_ps(_mm256_cvtepi32_ps(sum[r]), d);
            if K::QUANT.has_min() {
                let factor = if matches!(K::QUANT, QuantType::Q2K) {
                    -1.0 / 32.0
                } else {
                    1.0
                };
                let dmin = _mm256_mul_ps(load_halves(block.dmin), _mm256_set1_ps(factor));
                value = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(least[r]), dmin, value);
            }
            total[r] = _mm256_fmadd_ps(value, _mm256_set1_ps(*block.scales.add(r)), total[r]);
        }
    }
}

/// Adds the dots of chunk `2 pair + HIGH` times the scales of its two runs of 16, offsets and minimums included.
///
/// # Safety
/// As `super_block`; `pair` is below 4.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn two_runs<K: Kind, const N: usize, const HIGH: i32, const VNNI: bool>(
    block: SuperBlock,
    pair: usize,
    sum: &mut [__m256i; N],
    least: &mut [__m256i; N],
) {
    for half in 0..2 {
        let run = (pair * 2 + HIGH as usize) * 2 + half;
        // SAFETY: `run` is below 16, so all reads lie within the block.
        unsafe {
            let bytes = _mm_loadl_epi64(block.body.add(run * 8).cast());
            let scale = if matches!(K::QUANT, QuantType::Q2K) {
                let both = _mm256_cvtepu8_epi32(bytes);
                let min = _mm256_srli_epi32::<4>(both);
                for (r, least) in least.iter_mut().enumerate() {
                    let run = broadcast(block.sums.add((4 + run) * N + r));
                    *least = _mm256_add_epi32(*least, _mm256_mullo_epi32(min, run));
                }
                _mm256_and_si256(both, _mm256_set1_epi32(15))
            } else {
                let scale = _mm256_cvtepi8_epi32(bytes);
                for (r, sum) in sum.iter_mut().enumerate() {
                    let mut offset = broadcast(block.sums.add((4 + run) * N + r));
                    if matches!(K::QUANT, QuantType::Q3K) {
                        offset = _mm256_srai_epi32::<3>(offset);
                    }
                    *sum = _mm256_add_epi32(*sum, _mm256_mullo_epi32(scale, offset));
                }
                scale
            };
            let low = _mm256_and_si256(scale, _mm256_set1_epi32(0xFFFF));
            let scale = _mm256_or_si256(low, _mm256_slli_epi32::<16>(scale));
            dot::<K, N, HIGH, VNNI>(block, pair, half * 4..half * 4 + 4, scale, sum);
        }
    }
}

/// Adds `scale` (i16, twice per lane) times the dots of some groups of chunk `2 pair + HIGH`.
///
/// # Safety
/// As `super_block`; `pair` is below 4, groups are below 8.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn dot<K: Kind, const N: usize, const HIGH: i32, const VNNI: bool>(
    block: SuperBlock,
    pair: usize,
    groups: std::ops::Range<usize>,
    scale: __m256i,
    sum: &mut [__m256i; N],
) {
    let chunk = pair * 2 + HIGH as usize;
    if VNNI {
        let mut dots = [_mm256_setzero_si256(); N];
        for group in groups {
            // SAFETY: promised by the caller.
            unsafe {
                let q = unpack::<K, HIGH>(block.body, pair, group);
                let values = block.values.add((chunk * 8 + group) * N);
                for (r, dots) in dots.iter_mut().enumerate() {
                    *dots = add_products(*dots, q, broadcast(values.add(r)));
                }
            }
        }
        let scale = _mm256_srai_epi32::<16>(scale);
        for (sum, dots) in sum.iter_mut().zip(dots) {
            *sum = _mm256_add_epi32(*sum, _mm256_mullo_epi32(dots, scale));
        }
        return;
    }
    let step = groups_in_16_bits(K::QUANT);
    for first in groups.step_by(step) {
        let mut dots = [_mm256_setzero_si256(); N];
        for group in first..first + step {
            // SAFETY: promised by the caller.
            unsafe {
                let q = unpack::<K, HIGH>(block.body, pair, group);
                let values = block.values.add((chunk * 8 + group) * N);
                for (r, dots) in dots.iter_mut().enumerate() {
                    *dots = _mm256_add_epi16(*dots, products::<K>(q, broadcast(values.add(r))));
                }
            }
        }
        for (sum, dots) in sum.iter_mut().zip(dots) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(dots, scale));
        }
    }
}

/// Group `group` of chunk `2 pair + HIGH`: 8 rows by 4 columns of unsigned bytes.
///
/// # Safety
/// `body` leads to a whole block body; `pair` is below 4 and `group` below 8.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn unpack<K: Kind, const HIGH: i32>(body: *const u8, pair: usize, group: usize) -> __m256i {
    let chunk = pair * 2 + HIGH as usize;
    // The bits from `from` on of each byte, moved to bit `to`; what else is in the register is masked off.
    let plane = |at: usize, from: usize, to: usize, mask: i8| {
        // SAFETY: the layout holds a vector there for every chunk and group.
        let bits = unsafe { load(body.add(at)) };
        // Shifts of 64 and more give zero, so one of the two is always harmless.
        let right = _mm_cvtsi32_si128(from.saturating_sub(to) as i32);
        let left = _mm_cvtsi32_si128(to.saturating_sub(from) as i32);
        let moved = _mm256_sll_epi32(_mm256_srl_epi32(bits, right), left);
        _mm256_and_si256(moved, _mm256_set1_epi8(mask))
    };
    let nibbles = |at: usize| {
        // SAFETY: as above.
        let bytes = unsafe { load(body.add(at + (pair * 8 + group) * 32)) };
        let bytes = if HIGH == 1 {
            _mm256_srli_epi16::<4>(bytes)
        } else {
            bytes
        };
        _mm256_and_si256(bytes, _mm256_set1_epi8(15))
    };
    match K::QUANT {
        QuantType::Q4K => nibbles(96),
        QuantType::Q5K => {
            let bits = plane(96 + 1024 + group * 32, chunk, 4, 16);
            _mm256_or_si256(nibbles(96), bits)
        }
        QuantType::Q6K => {
            let at = 128 + 1024 + (chunk / 4 * 8 + group) * 32;
            _mm256_or_si256(nibbles(128), plane(at, chunk % 4 * 2, 4, 0x30))
        }
        _ => {
            let low = plane(128 + (chunk / 4 * 8 + group) * 32, chunk % 4 * 2, 0, 3);
            if matches!(K::QUANT, QuantType::Q2K) {
                return low;
            }
            _mm256_or_si256(low, plane(128 + 512 + group * 32, chunk, 2, 4))
        }
    }
}

/// Blocks of 32 with an f16 scale.
#[target_feature(enable = "avx2,fma,f16c")]
fn simple_tiles<K: Kind, const N: usize, const VNNI: bool>(job: TileJob<'_>, out: &mut [f32]) {
    let layout = job.layout;
    let Rows::Int {
        values,
        scales,
        sums,
    } = job.x
    else {
        unreachable!("quantised weights take int8 activations")
    };
    assert!(layout.blocks * 32 == layout.cols && values.len() == layout.cols * N);
    assert!(scales.len() == layout.blocks * N && sums.len() == layout.blocks * N);
    assert!(layout.tile_bytes >= layout.body + layout.blocks * layout.body_bytes);
    let ones = _mm256_set1_epi16(1);
    let tiles = job.tiles.chunks_exact(layout.tile_bytes);
    for (tile, out) in tiles.zip(out.chunks_exact_mut(N * 8)) {
        let mut total = [_mm256_setzero_ps(); N];
        for b in 0..layout.blocks {
            // SAFETY: block `b` is below `layout.blocks`, so its body, its entries of `d` and `dmin`, its 32 * N
            // values, N scales and N sums lie within the slices, by the lengths checked above.
            unsafe {
                let body = tile.as_ptr().add(layout.body + b * layout.body_bytes);
                let values = values.as_ptr().add(b * 32 * N).cast::<i32>();
                let (scales, sums) = (scales.as_ptr().add(b * N), sums.as_ptr().add(b * N));
                prefetch(body, lines_per_block(K::QUANT));
                let mut dots = [_mm256_setzero_si256(); N];
                for (r, dots) in dots.iter_mut().enumerate() {
                    // The sums are stored times -8, the offset of Q4_0.
                    match K::QUANT {
                        QuantType::Q4_0 => *dots = broadcast(sums.add(r)),
                        QuantType::Q5_0 => {
                            *dots = _mm256_slli_epi32::<1>(broadcast(sums.add(r)));
                        }
                        QuantType::Q8_0 if VNNI => {
                            *dots = _mm256_slli_epi32::<4>(broadcast(sums.add(r)));
                        }
                        _ => {}
                    }
                }
                let (direct, step) = if VNNI {
                    (8, 1)
                } else {
                    (0, groups_in_16_bits(K::QUANT))
                };
                for group in 0..direct {
                    let q = unpack_simple::<K, VNNI>(body, group);
                    for (r, dots) in dots.iter_mut().enumerate() {
                        *dots = add_products(*dots, q, broadcast(values.add(group * N + r)));
                    }
                }
                for first in (direct..8).step_by(step) {
                    let mut words = [_mm256_setzero_si256(); N];
                    for group in first..first + step {
                        let q = unpack_simple::<K, VNNI>(body, group);
                        for (r, words) in words.iter_mut().enumerate() {
                            let x = broadcast(values.add(group * N + r));
                            *words = _mm256_add_epi16(*words, products::<K>(q, x));
                        }
                    }
                    for (dots, words) in dots.iter_mut().zip(words) {
                        *dots = _mm256_add_epi32(*dots, _mm256_madd_epi16(words, ones));
                    }
                }
                let d = load_halves(tile.as_ptr().add(b * 16));
                for r in 0..N {
                    let scale = _mm256_set1_ps(*scales.add(r));
                    let dots = _mm256_cvtepi32_ps(dots[r]);
                    total[r] = _mm256_fmadd_ps(dots, _mm256_mul_ps(d, scale), total[r]);
                    if K::QUANT.has_min() {
                        let m = load_halves(tile.as_ptr().add(layout.mins + b * 16));
                        let sum = _mm256_set1_ps(*sums.add(r) as f32 * -0.125 * *scales.add(r));
                        total[r] = _mm256_fmadd_ps(m, sum, total[r]);
                    }
                }
            }
        }
        store(&total, out);
    }
}

/// Group `group` of a block of 32: unsigned, except for `Q8_0` without `VNNI`.
///
/// # Safety
/// `body` leads to a whole block body; `group` is below 8.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn unpack_simple<K: Kind, const VNNI: bool>(body: *const u8, group: usize) -> __m256i {
    // SAFETY: the layout has this vector in every block.
    let fetch = |vector: usize| unsafe { load(body.add(vector * 32)) };
    let nibbles = |first: usize| {
        let bytes = fetch(first + group % 4);
        let bytes = if group >= 4 {
            _mm256_srli_epi16::<4>(bytes)
        } else {
            bytes
        };
        _mm256_and_si256(bytes, _mm256_set1_epi8(15))
    };
    match K::QUANT {
        QuantType::Q8_0 if VNNI => fetch(group),
        QuantType::Q8_0 => _mm256_xor_si256(fetch(group), _mm256_set1_epi8(-128)),
        QuantType::Q4_0 | QuantType::Q4_1 => nibbles(0),
        _ => {
            let bits = _mm256_srl_epi32(fetch(0), _mm_cvtsi32_si128(group as i32));
            let fifth = _mm256_slli_epi32::<4>(_mm256_and_si256(bits, _mm256_set1_epi8(1)));
            _mm256_or_si256(nibbles(1), fifth)
        }
    }
}

/// Plain floats.
#[target_feature(enable = "avx2,fma,f16c")]
fn float_tiles<K: Kind, const N: usize>(job: TileJob<'_>, out: &mut [f32]) {
    // One row alone has one chain of additions per tile; several tiles at once hide its latency.
    if job.count == 4 && N <= 2 {
        return float_tiles_at_once::<K, N, 4>(job, out);
    }
    let layout = job.layout;
    let tiles = job.tiles.chunks_exact(layout.tile_bytes);
    for (tiles, out) in tiles.zip(out.chunks_exact_mut(N * 8)) {
        let job = TileJob {
            tiles,
            count: 1,
            ..job
        };
        float_tiles_at_once::<K, N, 1>(job, out);
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn float_tiles_at_once<K: Kind, const N: usize, const T: usize>(job: TileJob<'_>, out: &mut [f32]) {
    let Rows::Float(x) = job.x else {
        unreachable!("plain floats take float activations")
    };
    let layout = job.layout;
    let step = 8 * K::QUANT.block_bytes();
    assert!(x.len() == layout.cols * N && job.tiles.len() == T * layout.tile_bytes);
    assert!(layout.body == 0 && layout.tile_bytes >= layout.cols * step);
    let mut total = [[_mm256_setzero_ps(); N]; T];
    for k in 0..layout.cols {
        for (t, total) in total.iter_mut().enumerate() {
            let at = job
                .tiles
                .as_ptr()
                .wrapping_add(t * layout.tile_bytes + k * step);
            // SAFETY: column `k` is below `cols`, so its 8 values of tile `t` and its N activations lie within the
            // slices, by the lengths checked above.
            unsafe {
                let weights = match K::QUANT {
                    QuantType::F32 => _mm256_loadu_ps(at.cast()),
                    QuantType::F16 => load_halves(at),
                    _ => {
                        let halves = _mm_loadu_si128(at.cast());
                        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
                    }
                };
                for (r, total) in total.iter_mut().enumerate() {
                    let x = _mm256_set1_ps(*x.as_ptr().add(k * N + r));
                    *total = _mm256_fmadd_ps(weights, x, *total);
                }
            }
        }
    }
    for (total, out) in total.iter().zip(out.chunks_exact_mut(N * 8)) {
        store(total, out);
    }
}

#[target_feature(enable = "avx2")]
fn store<const N: usize>(total: &[__m256; N], out: &mut [f32]) {
    let (rows, _) = out.as_chunks_mut::<8>();
    for (row, total) in rows.iter_mut().zip(total) {
        // SAFETY: a row has room for 8 floats.
        unsafe { _mm256_storeu_ps(row.as_mut_ptr(), *total) }
    }
}
