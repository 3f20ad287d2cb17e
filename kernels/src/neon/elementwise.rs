//! Norms, activations functions, softmax, rotary embedding and conversion to f16.

#![expect(unsafe_code, reason = "vector loads and stores of arrays")]

use crate::Pairing;
use half::f16;
use std::arch::aarch64::*;

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load(x: &[f32; 4]) -> float32x4_t {
    // SAFETY: four floats.
    unsafe { vld1q_f32(x.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store(to: &mut [f32; 4], x: float32x4_t) {
    // SAFETY: four floats.
    unsafe { vst1q_f32(to.as_mut_ptr(), x) };
}

/// The first four values, or fewer and zeros.
#[inline]
fn padded(x: &[f32]) -> [f32; 4] {
    let mut four = [0.0; 4];
    four[..x.len()].copy_from_slice(x);
    four
}

/// Rewrites `$x` four by four; `$v` is the vector, `$y` the matching ones of further slices.
macro_rules! rewrite {
    ($x:expr, [$($y:ident = $slice:expr),*], |$v:ident| $result:expr) => {{
        let x: &mut [f32] = $x;
        let whole = x.len() / 4 * 4;
        for at in (0..whole).step_by(4) {
            let four: &mut [f32; 4] = (&mut x[at..at + 4]).try_into().expect("four");
            $(let $y = load((&$slice[at..at + 4]).try_into().expect("four"));)*
            let $v = load(four);
            store(four, $result);
        }
        let rest = &mut x[whole..];
        if !rest.is_empty() {
            let mut four = padded(rest);
            $(let $y = load(&padded(&$slice[whole..]));)*
            let $v = load(&four);
            store(&mut four, $result);
            rest.copy_from_slice(&four[..rest.len()]);
        }
    }};
}

/// `e^x` within 2 units in the last place; 0 below -87.3, at most `e^88.3`.
///
/// The series is that of Cephes' `expf`: `x = n ln 2 + r`, a polynomial of degree 6 in `r`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn exp(x: float32x4_t) -> float32x4_t {
    let lowest = vdupq_n_f32(-87.336_54);
    let tiny = vcltq_f32(x, lowest);
    let x = vminq_f32(vmaxq_f32(x, lowest), vdupq_n_f32(88.376_26));
    let n = vrndnq_f32(vmulq_n_f32(x, std::f32::consts::LOG2_E));
    // ln 2 in two parts, the first one short enough that its products with `n` are exact.
    let r = vfmsq_f32(x, n, vdupq_n_f32(0.693_359_4));
    let r = vfmsq_f32(r, n, vdupq_n_f32(-2.121_944_4e-4));
    let mut p = vdupq_n_f32(1.987_569_1e-4);
    for c in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = vfmaq_f32(vdupq_n_f32(c), p, r);
    }
    let p = vaddq_f32(vfmaq_f32(r, p, vmulq_f32(r, r)), vdupq_n_f32(1.0));
    let exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    let power = vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent));
    let y = vmulq_f32(p, power);
    vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(y), tiny))
}

/// `sum of f(x)` over a slice, in four interleaved series of four.
macro_rules! sum {
    ($x:expr, |$v:ident| $term:expr) => {{
        let x: &[f32] = $x;
        let mut sums = [vdupq_n_f32(0.0); 4];
        let (sixteens, rest) = x.as_chunks::<16>();
        for sixteen in sixteens {
            let (fours, _) = sixteen.as_chunks::<4>();
            for (sum, four) in sums.iter_mut().zip(fours) {
                let $v = load(four);
                *sum = vaddq_f32(*sum, $term);
            }
        }
        let mut total = vaddvq_f32(vaddq_f32(
            vaddq_f32(sums[0], sums[1]),
            vaddq_f32(sums[2], sums[3]),
        ));
        for &value in rest {
            let $v = vdupq_n_f32(value);
            total += vgetq_lane_f32::<0>($term);
        }
        total
    }};
}

/// # Safety
/// The CPU has NEON. So for all functions below.
#[target_feature(enable = "neon")]
pub(super) unsafe fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let squares = sum!(x, |v| vmulq_f32(v, v));
    let scale = 1.0 / (squares / x.len() as f32 + eps).sqrt();
    out.copy_from_slice(weight);
    rewrite!(out, [x = x], |w| vmulq_f32(vmulq_n_f32(x, scale), w));
}

/// # Safety
/// As for `rms_norm`.
#[target_feature(enable = "neon")]
pub(super) unsafe fn layer_norm(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    out: &mut [f32],
) {
    let mean = sum!(x, |v| v) / x.len() as f32;
    let squares = sum!(x, |v| {
        let from_mean = vsubq_f32(v, vdupq_n_f32(mean));
        vmulq_f32(from_mean, from_mean)
    });
    let scale = 1.0 / (squares / x.len() as f32 + eps).sqrt();
    out.copy_from_slice(bias);
    rewrite!(out, [x = x, w = weight], |bias| {
        vfmaq_f32(bias, vmulq_n_f32(vsubq_f32(x, vdupq_n_f32(mean)), scale), w)
    });
}

/// # Safety
/// As for `rms_norm`.
#[target_feature(enable = "neon")]
pub(super) unsafe fn silu_mul(gate: &mut [f32], up: &[f32]) {
    rewrite!(gate, [up = up], |v| vmulq_f32(times_sigmoid(v, v), up));
}

/// `x / (1 + e^-z)`.
#[inline]
#[target_feature(enable = "neon")]
fn times_sigmoid(x: float32x4_t, z: float32x4_t) -> float32x4_t {
    vdivq_f32(x, vaddq_f32(vdupq_n_f32(1.0), exp(vnegq_f32(z))))
}

/// # Safety
/// As for `rms_norm`.
#[target_feature(enable = "neon")]
pub(super) unsafe fn gelu(x: &mut [f32], tanh: bool) {
    if tanh {
        // (1 + tanh u) / 2 is 1 / (1 + e^(-2 u)).
        rewrite!(x, [], |v| {
            let cube = vmulq_f32(vmulq_f32(v, v), v);
            let inner = vfmaq_n_f32(v, cube, 0.044_715);
            times_sigmoid(v, vmulq_n_f32(inner, 2.0 * 0.797_884_6))
        });
    } else {
        rewrite!(x, [], |v| gelu_erf(v));
    }
}

/// With erf by Abramowitz and Stegun 7.1.26, as in scalar.
#[inline]
#[target_feature(enable = "neon")]
fn gelu_erf(x: float32x4_t) -> float32x4_t {
    let one = vdupq_n_f32(1.0);
    let z = vabsq_f32(vmulq_n_f32(x, std::f32::consts::FRAC_1_SQRT_2));
    let t = vdivq_f32(one, vfmaq_n_f32(one, z, 0.327_591_1));
    let mut p = vdupq_n_f32(1.061_405_4);
    for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        p = vfmaq_f32(vdupq_n_f32(c), p, t);
    }
    let erf = vsubq_f32(
        one,
        vmulq_f32(vmulq_f32(p, t), exp(vnegq_f32(vmulq_f32(z, z)))),
    );
    let sign = vdupq_n_u32(1 << 31);
    let erf = vbslq_f32(sign, x, erf);
    vmulq_f32(vmulq_n_f32(x, 0.5), vaddq_f32(one, erf))
}

/// # Safety
/// As for `rms_norm`.
#[target_feature(enable = "neon")]
pub(super) unsafe fn add(x: &mut [f32], y: &[f32]) {
    rewrite!(x, [y = y], |v| vaddq_f32(v, y));
}

/// # Safety
/// As for `rms_norm`.
#[target_feature(enable = "neon")]
pub(super) unsafe fn softmax(x: &mut [f32]) {
    let mut most = vdupq_n_f32(f32::NEG_INFINITY);
    let (fours, rest) = x.as_chunks::<4>();
    for four in fours {
        most = vmaxnmq_f32(most, load(four));
    }
    let max = rest.iter().copied().fold(vmaxnmvq_f32(most), f32::max);
    rewrite!(x, [], |v| exp(vsubq_f32(v, vdupq_n_f32(max))));
    let inverse = 1.0 / sum!(x, |v| v);
    rewrite!(x, [], |v| vmulq_n_f32(v, inverse));
}

/// # Safety
/// As for `rms_norm`.
#[target_feature(enable = "neon")]
pub(super) unsafe fn rope(x: &mut [f32], cos: &[f32], sin: &[f32], pairing: Pairing) {
    let half = cos.len();
    let (x, _) = x.split_at_mut(2 * half);
    let whole = half / 4 * 4;
    let quads = cos.as_chunks::<4>().0.iter().zip(sin.as_chunks::<4>().0);
    match pairing {
        Pairing::Adjacent => {
            for (x, (cos, sin)) in x.as_chunks_mut::<8>().0.iter_mut().zip(quads) {
                // SAFETY: eight floats; `turn` has no conditions of its own.
                unsafe {
                    let float32x4x2_t(first, second) = vld2q_f32(x.as_ptr());
                    let (first, second) = turn(first, second, load(cos), load(sin));
                    vst2q_f32(x.as_mut_ptr(), float32x4x2_t(first, second));
                }
            }
            let pairs = x[2 * whole..].as_chunks_mut::<2>().0.iter_mut();
            for ([first, second], (cos, sin)) in pairs.zip(cos[whole..].iter().zip(&sin[whole..])) {
                (*first, *second) = turn_one(*first, *second, *cos, *sin);
            }
        }
        Pairing::Halves => {
            let (firsts, seconds) = x.split_at_mut(half);
            let pairs = firsts
                .as_chunks_mut::<4>()
                .0
                .iter_mut()
                .zip(seconds.as_chunks_mut::<4>().0);
            for ((first, second), (cos, sin)) in pairs.zip(quads) {
                let turned = turn(load(first), load(second), load(cos), load(sin));
                store(first, turned.0);
                store(second, turned.1);
            }
            let pairs = firsts[whole..].iter_mut().zip(&mut seconds[whole..]);
            for ((first, second), (cos, sin)) in pairs.zip(cos[whole..].iter().zip(&sin[whole..])) {
                (*first, *second) = turn_one(*first, *second, *cos, *sin);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn turn(
    first: float32x4_t,
    second: float32x4_t,
    cos: float32x4_t,
    sin: float32x4_t,
) -> (float32x4_t, float32x4_t) {
    (
        vfmsq_f32(vmulq_f32(first, cos), second, sin),
        vfmaq_f32(vmulq_f32(second, cos), first, sin),
    )
}

fn turn_one(first: f32, second: f32, cos: f32, sin: f32) -> (f32, f32) {
    (first * cos - second * sin, first * sin + second * cos)
}

/// # Safety
/// As for `rms_norm`.
#[target_feature(enable = "neon")]
pub(super) unsafe fn to_f16(from: &[f32], to: &mut [f16]) {
    for (from, to) in from.chunks(4).zip(to.chunks_mut(4)) {
        let halves = vreinterpret_u16_f16(vcvt_f16_f32(load(&padded(from))));
        let mut bits = [0u16; 4];
        // SAFETY: four numbers of 16 bits.
        unsafe { vst1_u16(bits.as_mut_ptr(), halves) };
        for (to, bits) in to.iter_mut().zip(bits) {
            *to = f16::from_bits(bits);
        }
    }
}
