//! Products: weights are unpacked to unsigned bytes in registers and multiplied with broadcast int8 activations.
//!
//! A kernel keeps one register of sums per row of activations (up to 12), so that the unpacking of a register of
//! weights is paid once for all of them; the sums of 32 columns stay exact in i32. In `Q4_K` and its kin the integer
//! scales multiply these exact sums, and the whole block of 256 is added up in i32: at most
//! 63 * 32 * 31 * 127 * 8 < 2^27 for `Q5_K`, 128 * 256 * 63 * 127 < 2^29 for `Q6_K`.

use crate::QuantType;
use crate::activations::{Rows, SUMS_256};
use crate::kind::{self, Kind};
use crate::layout::Layout;
use crate::project::TileJob;
use std::arch::x86_64::*;
use std::sync::LazyLock;

/// How far ahead of its use weights are asked for, in bytes.
const PREFETCH: usize = 8192;

/// Calls `$kernel::<$kind, N>` for the job's number of rows.
macro_rules! for_rows {
    ($kernel:ident, $kind:ident, $job:expr, $out:expr) => {
        match $job.n {
            1 => $kernel::<kind::$kind, 1>($job, $out),
            2 => $kernel::<kind::$kind, 2>($job, $out),
            3 => $kernel::<kind::$kind, 3>($job, $out),
            4 => $kernel::<kind::$kind, 4>($job, $out),
            5 => $kernel::<kind::$kind, 5>($job, $out),
            6 => $kernel::<kind::$kind, 6>($job, $out),
            8 => $kernel::<kind::$kind, 8>($job, $out),
            12 => $kernel::<kind::$kind, 12>($job, $out),
            n => unreachable!("no kernel for blocks of {n} rows"),
        }
    };
}

/// See [`Table::multiply`](crate::Table).
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) fn multiply(job: TileJob<'_>, out: &mut [f32]) {
    assert_eq!(job.layout.lanes, 16);
    assert_eq!(job.tiles.len(), job.count * job.layout.tile_bytes);
    assert_eq!(out.len(), job.count * job.n * 16);
    match job.layout.quant {
        QuantType::F32 => for_rows!(float_tiles, F32, job, out),
        QuantType::F16 => for_rows!(float_tiles, F16, job, out),
        QuantType::BF16 => for_rows!(float_tiles, BF16, job, out),
        QuantType::Q4_0 => for_rows!(simple_tiles, Q4_0, job, out),
        QuantType::Q4_1 => for_rows!(simple_tiles, Q4_1, job, out),
        QuantType::Q5_0 => for_rows!(simple_tiles, Q5_0, job, out),
        QuantType::Q5_1 => for_rows!(simple_tiles, Q5_1, job, out),
        QuantType::Q8_0 => for_rows!(simple_tiles, Q8_0, job, out),
        QuantType::Q2K => for_rows!(super_tiles, Q2K, job, out),
        QuantType::Q3K => for_rows!(super_tiles, Q3K, job, out),
        QuantType::Q4K => for_rows!(super_tiles, Q4K, job, out),
        QuantType::Q5K => for_rows!(super_tiles, Q5K, job, out),
        QuantType::Q6K => for_rows!(super_tiles, Q6K, job, out),
    }
}

/// 64 bytes at `at`, which the caller has checked to lie within a slice.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load(at: *const u8) -> __m512i {
    // SAFETY: promised by the caller.
    unsafe { _mm512_loadu_si512(at.cast()) }
}

/// 16 halves at `at`, which the caller has checked to lie within a slice.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load_halves(at: *const u8) -> __m512 {
    // SAFETY: promised by the caller.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(at.cast()) })
}

/// One 32-bit value (four activations, or a sum) for all lanes; the caller has checked that it lies within a slice.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn broadcast(at: *const i32) -> __m512i {
    // SAFETY: promised by the caller.
    _mm512_set1_epi32(unsafe { at.read_unaligned() })
}

/// One `vpdpbusd` per row, with the row's four activations broadcast from memory.
///
/// Assembly, because the broadcast is part of the instruction only if the compiler leaves it there: with twelve rows
/// it prefers to broadcast into registers that it does not have.
macro_rules! vpdpbusd {
    ($dots:ident, $q:ident, $at:ident, $($name:ident $row:literal $offset:literal),*) => {
        std::arch::asm!(
            $(concat!(
                "vpdpbusd {", stringify!($name), "}, {q}, dword ptr [{at} + ", $offset, "]{{1to16}}"
            ),)*
            $($name = inout(zmm_reg) $dots[$row],)*
            q = in(zmm_reg) $q,
            at = in(reg) $at,
            options(pure, readonly, nostack, preserves_flags)
        )
    };
}

/// Adds the products of `q` (unsigned) with four activations of each of `N` rows.
///
/// # Safety
/// The caller has checked that the `N` values at `at` lie within a slice.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
unsafe fn dot<const N: usize>(dots: &mut [__m512i; N], q: __m512i, at: *const i32) {
    // SAFETY: reads `N` values at `at`, as promised by the caller, and changes nothing but `dots`.
    unsafe {
        match N {
            1 => vpdpbusd!(dots, q, at, a 0 0),
            2 => vpdpbusd!(dots, q, at, a 0 0, b 1 4),
            3 => vpdpbusd!(dots, q, at, a 0 0, b 1 4, c 2 8),
            4 => vpdpbusd!(dots, q, at, a 0 0, b 1 4, c 2 8, d 3 12),
            5 => vpdpbusd!(dots, q, at, a 0 0, b 1 4, c 2 8, d 3 12, e 4 16),
            6 => vpdpbusd!(dots, q, at, a 0 0, b 1 4, c 2 8, d 3 12, e 4 16, f 5 20),
            8 => {
                vpdpbusd!(dots, q, at, a 0 0, b 1 4, c 2 8, d 3 12, e 4 16, f 5 20, g 6 24, h 7 28)
            }
            12 => {
                vpdpbusd!(dots, q, at, a 0 0, b 1 4, c 2 8, d 3 12, e 4 16, f 5 20, g 6 24, h 7 28, i 8 32, j 9 36, k 10 40, l 11 44)
            }
            _ => unreachable!("no kernel for blocks of {N} rows"),
        }
    }
}

/// Whether weights are fetched into the first-level cache. Zen 5 has the miss buffers for it (11 % more tokens per
/// second in decoding `Q4_K_M`); on Zen 4 it halves the rate of `Q6_K`. Others have not been measured.
static NEAREST: LazyLock<bool> = LazyLock::new(|| {
    let amd = __cpuid(0).ebx == u32::from_le_bytes(*b"Auth");
    let version = __cpuid(1).eax;
    amd && (version >> 8 & 0xF) + (version >> 20 & 0xFF) >= 0x1A
});

/// Asks for `lines` lines from `at` on, wherever that is: prefetching cannot fault.
#[target_feature(enable = "avx512f")]
#[inline]
fn prefetch(at: *const u8, lines: usize) {
    let nearest = *NEAREST;
    for line in 0..lines {
        let at = at.wrapping_add(line * 64).cast();
        if nearest {
            _mm_prefetch::<_MM_HINT_T0>(at);
        } else {
            _mm_prefetch::<_MM_HINT_T1>(at);
        }
    }
}

/// Lines that the body of a block takes, rounded up.
const fn lines_per_block(quant: QuantType) -> usize {
    match quant {
        QuantType::Q4_0 | QuantType::Q4_1 => 4,
        QuantType::Q5_0 | QuantType::Q5_1 => 5,
        QuantType::Q2K => 20,
        QuantType::Q3K => 28,
        QuantType::Q4K => 35,
        QuantType::Q5K => 43,
        QuantType::Q6K => 52,
        _ => 8,
    }
}

/// Asks for a quarter of a later block while a quarter of this one is worked on.
#[target_feature(enable = "avx512f")]
#[inline]
fn prefetch_quarter<K: Kind>(ahead: *const u8, quarter: usize) {
    let lines = lines_per_block(K::QUANT).div_ceil(4);
    prefetch(ahead.wrapping_add(quarter * lines * 64), lines);
}

/// Calls `$kernel::<K, N, T>` with as many tiles at once as pay: a lone row of activations waits for memory, which
/// delivers more when several tiles are read side by side.
macro_rules! for_tiles {
    ($kernel:ident, $job:expr, $out:expr) => {{
        let job = $job;
        if job.count == 4 && N <= 2 {
            $kernel::<K, N, 4>(job, $out);
        } else {
            let tiles = job.tiles.chunks_exact(job.layout.tile_bytes);
            for (tiles, out) in tiles.zip($out.chunks_exact_mut(N * 16)) {
                let count = 1;
                $kernel::<K, N, 1>(
                    TileJob {
                        tiles,
                        count,
                        ..job
                    },
                    out,
                );
            }
        }
    }};
}

/// Offset from `at` in a tile to what should be fetched meanwhile: further on in this tile, or in the one that follows
/// the `tiles` that are read side by side.
fn ahead(layout: &Layout, at: usize, tiles: usize) -> usize {
    let later = at + if tiles == 1 { PREFETCH } else { PREFETCH / 2 };
    if later < layout.tile_bytes {
        later
    } else {
        later + (tiles - 1) * layout.tile_bytes
    }
}

/// Blocks of 256 with integer scales. Tile after tile: with their many vectors per block, tiles side by side lose.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn super_tiles<K: Kind, const N: usize>(job: TileJob<'_>, out: &mut [f32]) {
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
    for (tile, out) in tiles.zip(out.chunks_exact_mut(N * 16)) {
        let mut total = [_mm512_setzero_ps(); N];
        for b in 0..layout.blocks {
            let at = layout.body + b * layout.body_bytes;
            // SAFETY: block `b` is below `layout.blocks`, so its body, its entries of `d` and `dmin`, its 256 * N
            // values, N scales and 20 * N sums lie within the slices, by the lengths checked above.
            unsafe {
                let block = SuperBlock {
                    body: tile.as_ptr().add(at),
                    d: tile.as_ptr().add(b * 32),
                    dmin: tile.as_ptr().add(layout.mins + b * 32),
                    values: values.as_ptr().add(b * 256 * N).cast(),
                    scales: scales.as_ptr().add(b * N),
                    sums: sums.as_ptr().add(b * SUMS_256 * N),
                    ahead: tile.as_ptr().wrapping_add(ahead(layout, at, 1)),
                };
                super_block::<K, N>(block, &mut total);
            }
        }
        store(&total, out);
    }
}

/// Where the parts of one block of 16 rows and of its activations begin.
#[derive(Clone, Copy)]
struct SuperBlock {
    body: *const u8,
    d: *const u8,
    dmin: *const u8,
    values: *const i32,
    scales: *const f32,
    sums: *const i32,
    /// What to fetch meanwhile, anywhere.
    ahead: *const u8,
}

/// # Safety
/// The pointers lead to the whole parts that [`SuperBlock`] names.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
unsafe fn super_block<K: Kind, const N: usize>(block: SuperBlock, total: &mut [__m512; N]) {
    let zero = _mm512_setzero_si512();
    let mut sum = [zero; N];
    // SAFETY: chunks 0..8 exist in every block; the caller promises the pointers.
    unsafe {
        match K::QUANT {
            QuantType::Q4K | QuantType::Q5K => {
                let packed = [0, 64, 128].map(|at| load(block.body.add(at)));
                let low = _mm512_set1_epi8(15);
                let top = |v| _mm512_and_si512(_mm512_srli_epi16::<2>(v), _mm512_set1_epi8(0x30));
                // Four scales (or minimums) per lane and register.
                let scales = [
                    _mm512_and_si512(packed[0], _mm512_set1_epi8(63)),
                    _mm512_or_si512(_mm512_and_si512(packed[2], low), top(packed[0])),
                ];
                let mins = [
                    _mm512_and_si512(packed[1], _mm512_set1_epi8(63)),
                    _mm512_or_si512(
                        _mm512_and_si512(_mm512_srli_epi16::<4>(packed[2]), low),
                        top(packed[1]),
                    ),
                ];
                for pair in 0..4 {
                    prefetch_quarter::<K>(block.ahead, pair);
                    let turn = _mm_cvtsi32_si128(pair as i32 % 2 * 16);
                    let two = _mm512_srl_epi32(scales[pair / 2], turn);
                    let byte = _mm512_set1_epi32(255);
                    chunk_of_32::<K, N, 0>(block, pair, _mm512_and_si512(two, byte), &mut sum);
                    let scale = _mm512_and_si512(_mm512_srli_epi32::<8>(two), byte);
                    chunk_of_32::<K, N, 1>(block, pair, scale, &mut sum);
                }
                // Minimums as pairs of i16, in the order of the sums' pairs.
                let even = _mm512_set1_epi32(0x00FF_00FF);
                let pairs = [
                    _mm512_and_si512(mins[0], even),
                    _mm512_and_si512(_mm512_srli_epi16::<8>(mins[0]), even),
                    _mm512_and_si512(mins[1], even),
                    _mm512_and_si512(_mm512_srli_epi16::<8>(mins[1]), even),
                ];
                let (d, dmin) = (load_halves(block.d), load_halves(block.dmin));
                for r in 0..N {
                    let mut least = zero;
                    for (i, pair) in pairs.into_iter().enumerate() {
                        least =
                            _mm512_dpwssd_epi32(least, pair, broadcast(block.sums.add(i * N + r)));
                    }
                    let value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[r]), d);
                    let value = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(least), dmin, value);
                    total[r] =
                        _mm512_fmadd_ps(value, _mm512_set1_ps(*block.scales.add(r)), total[r]);
                }
            }
            _ => {
                for pair in 0..4 {
                    prefetch_quarter::<K>(block.ahead, pair);
                    chunk_of_16::<K, N, 0>(block, pair, &mut sum);
                    chunk_of_16::<K, N, 1>(block, pair, &mut sum);
                }
                let d = load_halves(block.d);
                let mut least = [zero; N];
                if K::QUANT == QuantType::Q2K {
                    for j in 0..16 {
                        let bytes = _mm_loadu_si128(block.body.add(j * 16).cast());
                        let min = _mm512_srli_epi32::<4>(_mm512_cvtepu8_epi32(bytes));
                        for (r, least) in least.iter_mut().enumerate() {
                            let run = broadcast(block.sums.add((4 + j) * N + r));
                            *least = _mm512_add_epi32(*least, _mm512_mullo_epi32(min, run));
                        }
                    }
                }
                for r in 0..N {
                    let mut value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[r]), d);
                    if K::QUANT == QuantType::Q2K {
                        // The sums are stored times -32.
                        let dmin =
                            _mm512_mul_ps(load_halves(block.dmin), _mm512_set1_ps(1.0 / 32.0));
                        value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(least[r]), dmin, value);
                    }
                    total[r] =
                        _mm512_fmadd_ps(value, _mm512_set1_ps(*block.scales.add(r)), total[r]);
                }
            }
        }
    }
}

/// Adds `scale` times the dots of chunk `2 pair + HIGH`.
///
/// # Safety
/// As `super_block`; `pair` is below 4.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
unsafe fn chunk_of_32<K: Kind, const N: usize, const HIGH: i32>(
    block: SuperBlock,
    pair: usize,
    scale: __m512i,
    sum: &mut [__m512i; N],
) {
    let mut dots = [_mm512_setzero_si512(); N];
    let chunk = pair * 2 + HIGH as usize;
    // SAFETY: `group` is below 8, so vectors and values lie within the block.
    unsafe {
        for group in 0..8 {
            let q = unpack::<K, HIGH>(block.body, pair, group);
            let values = block.values.add((chunk * 8 + group) * N);
            dot(&mut dots, q, values);
        }
    }
    for (sum, dots) in sum.iter_mut().zip(dots) {
        *sum = _mm512_add_epi32(*sum, _mm512_mullo_epi32(dots, scale));
    }
}

/// Adds the dots of chunk `2 pair + HIGH` times the scales of its two runs of 16.
///
/// # Safety
/// As `super_block`; `pair` is below 4.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
unsafe fn chunk_of_16<K: Kind, const N: usize, const HIGH: i32>(
    block: SuperBlock,
    pair: usize,
    sum: &mut [__m512i; N],
) {
    let chunk = pair * 2 + HIGH as usize;
    for half in 0..2 {
        let run = chunk * 2 + half;
        let mut dots = [_mm512_setzero_si512(); N];
        // SAFETY: `run` is below 16 and `group` below 8, so all reads lie within the block.
        unsafe {
            if K::QUANT != QuantType::Q2K {
                for (r, dots) in dots.iter_mut().enumerate() {
                    *dots = broadcast(block.sums.add((4 + run) * N + r));
                    if K::QUANT == QuantType::Q3K {
                        *dots = _mm512_srai_epi32::<3>(*dots);
                    }
                }
            }
            for group in half * 4..half * 4 + 4 {
                let q = unpack::<K, HIGH>(block.body, pair, group);
                let values = block.values.add((chunk * 8 + group) * N);
                dot(&mut dots, q, values);
            }
            let bytes = _mm_loadu_si128(block.body.add(run * 16).cast());
            let scale = match K::QUANT {
                QuantType::Q2K => {
                    _mm512_and_si512(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(15))
                }
                _ => _mm512_cvtepi8_epi32(bytes),
            };
            for (sum, dots) in sum.iter_mut().zip(dots) {
                *sum = _mm512_add_epi32(*sum, _mm512_mullo_epi32(dots, scale));
            }
        }
    }
}

/// Group `group` of chunk `2 pair + HIGH`: 16 rows by 4 columns of unsigned bytes.
///
/// # Safety
/// `body` leads to a whole block body; `pair` is below 4 and `group` below 8.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
unsafe fn unpack<K: Kind, const HIGH: i32>(body: *const u8, pair: usize, group: usize) -> __m512i {
    let chunk = pair * 2 + HIGH as usize;
    // Bit planes are rotated so that the wanted bits arrive at bit `to` of each byte, whatever bit they started at.
    let plane = |at: usize, from: usize, to: usize, mask: i8| {
        // SAFETY: the layout holds a vector there for every chunk and group.
        let bits = unsafe { load(body.add(at)) };
        let turn = _mm512_set1_epi32(to as i32 - from as i32);
        (_mm512_rolv_epi32(bits, turn), _mm512_set1_epi8(mask))
    };
    let nibbles = |at: usize| {
        // SAFETY: as above.
        let bytes = unsafe { load(body.add(at + (pair * 8 + group) * 64)) };
        let bytes = if HIGH == 1 {
            _mm512_srli_epi16::<4>(bytes)
        } else {
            bytes
        };
        _mm512_and_si512(bytes, _mm512_set1_epi8(15))
    };
    // a | (b & c)
    const OR_AND: i32 = 0xF8;
    match K::QUANT {
        QuantType::Q4K => nibbles(192),
        QuantType::Q5K => {
            let (bits, mask) = plane(192 + 2048 + group * 64, chunk, 4, 16);
            _mm512_ternarylogic_epi32::<OR_AND>(nibbles(192), bits, mask)
        }
        QuantType::Q6K => {
            let at = 256 + 2048 + (chunk / 4 * 8 + group) * 64;
            let (bits, mask) = plane(at, chunk % 4 * 2, 4, 0x30);
            _mm512_ternarylogic_epi32::<OR_AND>(nibbles(256), bits, mask)
        }
        _ => {
            let (bits, mask) = plane(256 + (chunk / 4 * 8 + group) * 64, chunk % 4 * 2, 0, 3);
            let low = _mm512_and_si512(bits, mask);
            if K::QUANT == QuantType::Q2K {
                return low;
            }
            let (bits, mask) = plane(256 + 1024 + group * 64, chunk, 2, 4);
            _mm512_ternarylogic_epi32::<OR_AND>(low, bits, mask)
        }
    }
}

/// Blocks of 32 with an f16 scale.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn simple_tiles<K: Kind, const N: usize>(job: TileJob<'_>, out: &mut [f32]) {
    for_tiles!(simple_tiles_at_once, job, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn simple_tiles_at_once<K: Kind, const N: usize, const T: usize>(
    job: TileJob<'_>,
    out: &mut [f32],
) {
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
    assert_eq!(job.tiles.len(), T * layout.tile_bytes);
    let mut total = [[_mm512_setzero_ps(); N]; T];
    for b in 0..layout.blocks {
        for (t, total) in total.iter_mut().enumerate() {
            // SAFETY: block `b` is below `layout.blocks` and tile `t` below `T`, so the block's body, its entries of `d` and `dmin`, its 32 * N
            // values, N scales and N sums lie within the slices, by the lengths checked above.
            unsafe {
                let tile = job.tiles.as_ptr().add(t * layout.tile_bytes);
                let at = layout.body + b * layout.body_bytes;
                let body = tile.add(at);
                let values = values.as_ptr().add(b * 32 * N).cast::<i32>();
                let (scales, sums) = (scales.as_ptr().add(b * N), sums.as_ptr().add(b * N));
                prefetch(
                    tile.wrapping_add(ahead(layout, at, T)),
                    lines_per_block(K::QUANT),
                );
                let mut dots = [_mm512_setzero_si512(); N];
                for (r, dots) in dots.iter_mut().enumerate() {
                    // The sums are stored times -8, the offset of Q4_0.
                    match K::QUANT {
                        QuantType::Q4_0 => *dots = broadcast(sums.add(r)),
                        QuantType::Q5_0 => {
                            *dots = _mm512_slli_epi32::<1>(broadcast(sums.add(r)));
                        }
                        QuantType::Q8_0 => {
                            *dots = _mm512_slli_epi32::<4>(broadcast(sums.add(r)));
                        }
                        _ => {}
                    }
                }
                for group in 0..8 {
                    let q = unpack_simple::<K>(body, group);
                    dot(&mut dots, q, values.add(group * N));
                }
                let d = load_halves(tile.add(b * 32));
                for r in 0..N {
                    let scale = _mm512_set1_ps(*scales.add(r));
                    let dots = _mm512_cvtepi32_ps(dots[r]);
                    total[r] = _mm512_fmadd_ps(dots, _mm512_mul_ps(d, scale), total[r]);
                    if matches!(K::QUANT, QuantType::Q4_1 | QuantType::Q5_1) {
                        let m = load_halves(tile.add(layout.mins + b * 32));
                        let sum = _mm512_set1_ps(*sums.add(r) as f32 * -0.125 * *scales.add(r));
                        total[r] = _mm512_fmadd_ps(m, sum, total[r]);
                    }
                }
            }
        }
    }
    for (total, out) in total.iter().zip(out.chunks_exact_mut(N * 16)) {
        store(total, out);
    }
}

/// Group `group` of a block of 32.
///
/// # Safety
/// `body` leads to a whole block body; `group` is below 8.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
#[inline]
unsafe fn unpack_simple<K: Kind>(body: *const u8, group: usize) -> __m512i {
    // SAFETY: the layout has this vector in every block.
    let fetch = |vector: usize| unsafe { load(body.add(vector * 64)) };
    let nibbles = |first: usize| {
        let bytes = fetch(first + group % 4);
        let bytes = if group >= 4 {
            _mm512_srli_epi16::<4>(bytes)
        } else {
            bytes
        };
        _mm512_and_si512(bytes, _mm512_set1_epi8(15))
    };
    match K::QUANT {
        QuantType::Q8_0 => fetch(group),
        QuantType::Q4_0 | QuantType::Q4_1 => nibbles(0),
        _ => {
            let turn = _mm512_set1_epi32(4 - group as i32);
            let bits = _mm512_rolv_epi32(fetch(0), turn);
            _mm512_ternarylogic_epi32::<0xF8>(nibbles(1), bits, _mm512_set1_epi8(16))
        }
    }
}

/// Plain floats.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn float_tiles<K: Kind, const N: usize>(job: TileJob<'_>, out: &mut [f32]) {
    // Also, one row alone has but one chain of additions per tile.
    for_tiles!(float_tiles_at_once, job, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn float_tiles_at_once<K: Kind, const N: usize, const T: usize>(job: TileJob<'_>, out: &mut [f32]) {
    let Rows::Float(x) = job.x else {
        unreachable!("plain floats take float activations")
    };
    let layout = job.layout;
    let step = 16 * K::QUANT.block_bytes();
    assert!(x.len() == layout.cols * N && job.tiles.len() == T * layout.tile_bytes);
    assert!(layout.body == 0 && layout.tile_bytes >= layout.cols * step);
    let mut total = [[_mm512_setzero_ps(); N]; T];
    for k in 0..layout.cols {
        for (t, total) in total.iter_mut().enumerate() {
            let at = job
                .tiles
                .as_ptr()
                .wrapping_add(t * layout.tile_bytes + k * step);
            // SAFETY: column `k` is below `cols`, so its 16 values of tile `t` and its N activations lie within the
            // slices, by the lengths checked above.
            unsafe {
                let weights = match K::QUANT {
                    QuantType::F32 => _mm512_loadu_ps(at.cast()),
                    QuantType::F16 => load_halves(at),
                    _ => {
                        let halves = _mm256_loadu_si256(at.cast());
                        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
                    }
                };
                for (r, total) in total.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*x.as_ptr().add(k * N + r));
                    *total = _mm512_fmadd_ps(weights, x, *total);
                }
            }
        }
    }
    for (total, out) in total.iter().zip(out.chunks_exact_mut(N * 16)) {
        store(total, out);
    }
}

#[target_feature(enable = "avx512f")]
fn store<const N: usize>(total: &[__m512; N], out: &mut [f32]) {
    let (rows, _) = out.as_chunks_mut::<16>();
    for (row, total) in rows.iter_mut().zip(total) {
        // SAFETY: a row has room for 16 floats.
        unsafe { _mm512_storeu_ps(row.as_mut_ptr(), *total) }
    }
}
