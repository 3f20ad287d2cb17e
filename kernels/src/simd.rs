//! Everything but products, written once over a vector of floats.
//!
//! An instruction set implements [`Simd`] for a token that exists only where the processor has the instructions, and
//! enters these functions from functions compiled with the matching `target_feature`. All of them are
//! `inline(always)`, and none passes vectors to closures, so that the code is compiled with those features.

use crate::Pairing;
use crate::scalar::q8_inverse;
use half::f16;

/// Runs `$body` on every vector of `$x` (and the same places of `$y`), with the rest padded by zeros.
macro_rules! in_place {
    ($s:expr, $x:expr, |$v:ident| $body:expr) => {{
        let (s, x) = ($s, $x);
        let mut chunks = x.chunks_exact_mut(S::LANES);
        for chunk in &mut chunks {
            let $v = s.load(chunk);
            s.store($body, chunk);
        }
        let rest = chunks.into_remainder();
        if !rest.is_empty() {
            let mut padded = [0.0; crate::simd::MAX_LANES];
            padded[..rest.len()].copy_from_slice(rest);
            let $v = s.load(&padded);
            s.store($body, &mut padded);
            rest.copy_from_slice(&padded[..rest.len()]);
        }
    }};
    ($s:expr, $x:expr, $y:expr, |$v:ident, $w:ident| $body:expr) => {{
        let (s, x, y) = ($s, $x, $y);
        let mut chunks = x.chunks_exact_mut(S::LANES);
        let mut others = y.chunks_exact(S::LANES);
        for (chunk, other) in (&mut chunks).zip(&mut others) {
            let ($v, $w) = (s.load(chunk), s.load(other));
            s.store($body, chunk);
        }
        let (rest, other) = (chunks.into_remainder(), others.remainder());
        if !rest.is_empty() {
            let mut padded = [[0.0; crate::simd::MAX_LANES]; 2];
            padded[0][..rest.len()].copy_from_slice(rest);
            padded[1][..rest.len()].copy_from_slice(&other[..rest.len()]);
            let ($v, $w) = (s.load(&padded[0]), s.load(&padded[1]));
            s.store($body, &mut padded[0]);
            rest.copy_from_slice(&padded[0][..rest.len()]);
        }
    }};
}

// aarch64 has its own forms of these two.
#[cfg(target_arch = "x86_64")]
mod attend;
#[cfg(target_arch = "x86_64")]
mod quantize;

#[cfg(target_arch = "x86_64")]
pub(crate) use attend::attend;
#[cfg(target_arch = "x86_64")]
pub(crate) use quantize::{quantize_32, quantize_256};

/// Vectors of `LANES` floats; `LANES` is 4, 8 or 16. Loads and stores touch the first `LANES` elements of a slice and
/// panic where it is shorter.
pub(crate) trait Simd: Copy {
    type V: Copy;
    const LANES: usize;

    fn splat(self, x: f32) -> Self::V;
    fn load(self, x: &[f32]) -> Self::V;
    fn store(self, v: Self::V, out: &mut [f32]);
    fn load_f16(self, x: &[f16]) -> Self::V;
    fn load_i8(self, x: &[i8]) -> Self::V;
    /// Asks for the cache line in which `x` begins, where the instruction set can.
    fn prefetch<T>(self, _x: &[T]) {}
    fn store_f16(self, v: Self::V, out: &mut [f16]);
    /// Stores integral values within -128 and 127.
    fn store_i8(self, v: Self::V, out: &mut [i8]);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    fn abs(self, a: Self::V) -> Self::V;
    /// The size of `a` with the sign of `b`.
    fn copysign(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// To the nearest integer, halves to even.
    fn round(self, a: Self::V) -> Self::V;
    /// `a * 2^n` for integral `n` with a normal `2^n`.
    fn scale_by_power(self, a: Self::V, n: Self::V) -> Self::V;
    fn sum(self, a: Self::V) -> f32;
    fn largest(self, a: Self::V) -> f32;
    /// Swaps neighbouring lanes.
    fn swap_pairs(self, a: Self::V) -> Self::V;
    /// `a * b`, minus `c` in even lanes and plus `c` in odd ones.
    fn fma_alternating(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `cos[0], cos[0], cos[1], cos[1], ...` from the first `LANES / 2` elements.
    fn load_twice(self, x: &[f32]) -> Self::V;
}

/// Longest vector.
const MAX_LANES: usize = 16;

/// e^x within about 2 units in the last place for x within -87 and 88, clamped outside (after Cephes' `expf`).
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let x = s.min(s.max(x, s.splat(-87.0)), s.splat(88.0));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.fma(n, s.splat(-0.693_359_4), x);
    let r = s.fma(n, s.splat(2.121_944_4e-4), r);
    let mut p = s.splat(1.987_569_1e-4);
    p = s.fma(p, r, s.splat(1.398_199_9e-3));
    p = s.fma(p, r, s.splat(8.333_452e-3));
    p = s.fma(p, r, s.splat(4.166_579_6e-2));
    p = s.fma(p, r, s.splat(1.666_666_5e-1));
    p = s.fma(p, r, s.splat(0.5));
    let p = s.fma(s.mul(r, r), p, s.add(r, s.splat(1.0)));
    s.scale_by_power(p, n)
}

#[inline(always)]
pub(crate) fn silu_mul<S: Simd>(s: S, gate: &mut [f32], up: &[f32]) {
    in_place!(s, gate, up, |g, u| {
        let e = exp(s, s.sub(s.splat(0.0), g));
        s.mul(s.div(g, s.add(s.splat(1.0), e)), u)
    });
}

#[inline(always)]
pub(crate) fn gelu<S: Simd>(s: S, x: &mut [f32], tanh: bool) {
    if tanh {
        in_place!(s, x, |x| {
            let cubed = s.mul(s.mul(x, x), x);
            let inner = s.mul(s.splat(0.797_884_6), s.fma(cubed, s.splat(0.044_715), x));
            // 0.5 (1 + tanh(t)) = 1 / (1 + exp(-2 t))
            let e = exp(s, s.mul(inner, s.splat(-2.0)));
            s.div(x, s.add(s.splat(1.0), e))
        });
    } else {
        in_place!(s, x, |x| {
            let erf = erf(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2)));
            let half = s.mul(x, s.splat(0.5));
            s.fma(half, erf, half)
        });
    }
}

/// Abramowitz and Stegun 7.1.26, within 1.5e-7.
#[inline(always)]
fn erf<S: Simd>(s: S, x: S::V) -> S::V {
    let (one, z) = (s.splat(1.0), s.abs(x));
    let t = s.div(one, s.fma(z, s.splat(0.327_591_1), one));
    let mut p = s.splat(1.061_405_4);
    for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        p = s.fma(p, t, s.splat(c));
    }
    let e = exp(s, s.sub(s.splat(0.0), s.mul(z, z)));
    s.copysign(s.sub(one, s.mul(s.mul(p, t), e)), x)
}

#[inline(always)]
pub(crate) fn add<S: Simd>(s: S, x: &mut [f32], y: &[f32]) {
    in_place!(s, x, y, |x, y| s.add(x, y));
}

/// Sum of `(x - shift)^2`.
#[inline(always)]
fn sum_of_squares<S: Simd>(s: S, x: &[f32], shift: f32) -> f32 {
    let mut sums = [s.splat(0.0); 4];
    let by = s.splat(shift);
    let mut chunks = x.chunks_exact(4 * S::LANES);
    for chunk in &mut chunks {
        for (i, sum) in sums.iter_mut().enumerate() {
            let v = s.sub(s.load(&chunk[i * S::LANES..]), by);
            *sum = s.fma(v, v, *sum);
        }
    }
    let sum = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
    let rest: f32 = chunks
        .remainder()
        .iter()
        .map(|x| (x - shift) * (x - shift))
        .sum();
    s.sum(sum) + rest
}

#[inline(always)]
pub(crate) fn rms_norm<S: Simd>(s: S, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = 1.0 / (sum_of_squares(s, x, 0.0) / x.len() as f32 + eps).sqrt();
    let vector = s.splat(scale);
    let whole = x.len() / S::LANES * S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        let v = s.mul(s.load(&x[at..]), vector);
        s.store(s.mul(v, s.load(&weight[at..])), &mut out[at..]);
    }
    for i in whole..x.len() {
        out[i] = x[i] * scale * weight[i];
    }
}

#[inline(always)]
pub(crate) fn layer_norm<S: Simd>(
    s: S,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    out: &mut [f32],
) {
    let mut sum = s.splat(0.0);
    let mut chunks = x.chunks_exact(S::LANES);
    for chunk in &mut chunks {
        sum = s.add(sum, s.load(chunk));
    }
    let mean = (s.sum(sum) + chunks.remainder().iter().sum::<f32>()) / x.len() as f32;
    let scale = 1.0 / (sum_of_squares(s, x, mean) / x.len() as f32 + eps).sqrt();
    let (by, factor) = (s.splat(mean), s.splat(scale));
    let whole = x.len() / S::LANES * S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        let v = s.mul(s.sub(s.load(&x[at..]), by), factor);
        s.store(
            s.fma(v, s.load(&weight[at..]), s.load(&bias[at..])),
            &mut out[at..],
        );
    }
    for i in whole..x.len() {
        out[i] = (x[i] - mean) * scale * weight[i] + bias[i];
    }
}

#[inline(always)]
pub(crate) fn softmax<S: Simd>(s: S, x: &mut [f32]) {
    let mut most = s.splat(f32::NEG_INFINITY);
    let mut chunks = x.chunks_exact(S::LANES);
    for chunk in &mut chunks {
        most = s.max(most, s.load(chunk));
    }
    let max = chunks
        .remainder()
        .iter()
        .copied()
        .fold(s.largest(most), f32::max);
    let (most, mut sums) = (s.splat(max), s.splat(0.0));
    let mut chunks = x.chunks_exact_mut(S::LANES);
    for chunk in &mut chunks {
        let e = exp(s, s.sub(s.load(chunk), most));
        sums = s.add(sums, e);
        s.store(e, chunk);
    }
    let mut sum = s.sum(sums);
    for x in chunks.into_remainder() {
        *x = (*x - max).exp();
        sum += *x;
    }
    let factor = s.splat(1.0 / sum);
    in_place!(s, x, |x| s.mul(x, factor));
}

#[inline(always)]
pub(crate) fn rope<S: Simd>(s: S, x: &mut [f32], cos: &[f32], sin: &[f32], pairing: Pairing) {
    let half = cos.len();
    match pairing {
        Pairing::Halves => {
            let (first, second) = x[..2 * half].split_at_mut(half);
            let whole = half / S::LANES * S::LANES;
            for at in (0..whole).step_by(S::LANES) {
                let (a, b) = (s.load(&first[at..]), s.load(&second[at..]));
                let (c, d) = (s.load(&cos[at..]), s.load(&sin[at..]));
                s.store(s.sub(s.mul(a, c), s.mul(b, d)), &mut first[at..]);
                s.store(s.fma(a, d, s.mul(b, c)), &mut second[at..]);
            }
            for i in whole..half {
                let (a, b) = (first[i], second[i]);
                first[i] = a * cos[i] - b * sin[i];
                second[i] = a * sin[i] + b * cos[i];
            }
        }
        Pairing::Adjacent => {
            let step = S::LANES / 2;
            let whole = half / step * step;
            for at in (0..whole).step_by(step) {
                let v = s.load(&x[2 * at..]);
                let turned = s.mul(s.swap_pairs(v), s.load_twice(&sin[at..]));
                let v = s.fma_alternating(v, s.load_twice(&cos[at..]), turned);
                s.store(v, &mut x[2 * at..]);
            }
            for i in whole..half {
                let (a, b) = (x[2 * i], x[2 * i + 1]);
                x[2 * i] = a * cos[i] - b * sin[i];
                x[2 * i + 1] = a * sin[i] + b * cos[i];
            }
        }
    }
}

#[inline(always)]
pub(crate) fn to_f16<S: Simd>(s: S, from: &[f32], to: &mut [f16]) {
    let mut chunks = from.chunks_exact(S::LANES);
    let mut targets = to.chunks_exact_mut(S::LANES);
    for (from, to) in (&mut chunks).zip(&mut targets) {
        s.store_f16(s.load(from), to);
    }
    for (to, from) in targets.into_remainder().iter_mut().zip(chunks.remainder()) {
        *to = f16::from_f32(*from);
    }
}

#[inline(always)]
pub(crate) fn to_q8<S: Simd>(s: S, from: &[f32], to: &mut [i8], stride: usize) -> f32 {
    let mut most = s.splat(0.0);
    let chunks = from.chunks_exact(S::LANES);
    let rest = chunks.remainder();
    for x in chunks {
        most = s.max(most, s.abs(s.load(x)));
    }
    let largest = rest
        .iter()
        .fold(s.largest(most), |most, x| most.max(x.abs()));
    let inverse = q8_inverse(largest);
    let factor = s.splat(inverse);
    let mut to = to.iter_mut().step_by(stride);
    for x in from.chunks_exact(S::LANES) {
        let mut bytes = [0; MAX_LANES];
        s.store_i8(s.round(s.mul(s.load(x), factor)), &mut bytes);
        for (byte, to) in bytes[..S::LANES].iter().zip(&mut to) {
            *to = *byte;
        }
    }
    for (x, to) in rest.iter().zip(to) {
        *to = (x * inverse).round_ties_even() as i8;
    }
    largest / 127.0
}
