//! Four floats, for the functions that are written once for all instruction sets.

#![expect(
    unsafe_code,
    reason = "vector instructions in functions that carry no target features"
)]

use crate::simd::Simd;
use half::f16;
use std::arch::aarch64::*;

/// NEON, which every aarch64 target of Rust's standard library has.
#[derive(Clone, Copy)]
pub(super) struct Neon;

/// One instruction per method.
macro_rules! instructions {
    ($($name:ident($($argument:ident),*) => $result:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($argument: float32x4_t),*) -> float32x4_t {
                // SAFETY: aarch64 has NEON.
                unsafe { $result }
            }
        )*
    };
}

impl Simd for Neon {
    type V = float32x4_t;
    const LANES: usize = 4;

    instructions! {
        add(a, b) => vaddq_f32(a, b);
        sub(a, b) => vsubq_f32(a, b);
        mul(a, b) => vmulq_f32(a, b);
        div(a, b) => vdivq_f32(a, b);
        max(a, b) => vmaxnmq_f32(a, b);
        min(a, b) => vminnmq_f32(a, b);
        abs(a) => vabsq_f32(a);
        copysign(a, b) => vbslq_f32(vdupq_n_u32(1 << 31), b, a);
        fma(a, b, c) => vfmaq_f32(c, a, b);
        round(a) => vrndnq_f32(a);
        swap_pairs(a) => vrev64q_f32(a);
    }

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        // SAFETY: aarch64 has NEON. So below.
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    fn load(self, x: &[f32]) -> float32x4_t {
        let x = &x[..4];
        // SAFETY: four floats.
        unsafe { vld1q_f32(x.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: float32x4_t, out: &mut [f32]) {
        let out = &mut out[..4];
        // SAFETY: four floats.
        unsafe { vst1q_f32(out.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn load_f16(self, x: &[f16]) -> float32x4_t {
        let x = &x[..4];
        // SAFETY: four numbers of 16 bits.
        unsafe { vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn load_i8(self, x: &[i8]) -> float32x4_t {
        let x: [u8; 4] = std::array::from_fn(|i| x[i] as u8);
        // SAFETY: see `splat`.
        unsafe {
            let bytes = vreinterpret_s8_u32(vdup_n_u32(u32::from_le_bytes(x)));
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))))
        }
    }

    #[inline(always)]
    fn store_f16(self, v: float32x4_t, out: &mut [f16]) {
        let out = &mut out[..4];
        // SAFETY: four numbers of 16 bits.
        unsafe {
            vst1_u16(
                out.as_mut_ptr().cast(),
                vreinterpret_u16_f16(vcvt_f16_f32(v)),
            )
        }
    }

    #[inline(always)]
    fn store_i8(self, v: float32x4_t, out: &mut [i8]) {
        // SAFETY: see `splat`.
        let bytes = unsafe {
            let words = vqmovn_s32(vcvtq_s32_f32(v));
            vget_lane_u32::<0>(vreinterpret_u32_s8(vqmovn_s16(vcombine_s16(words, words))))
        };
        for (to, from) in out[..4].iter_mut().zip(bytes.to_le_bytes()) {
            *to = from as i8;
        }
    }

    #[inline(always)]
    fn scale_by_power(self, a: float32x4_t, n: float32x4_t) -> float32x4_t {
        // SAFETY: see `splat`.
        unsafe {
            let exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
            vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)))
        }
    }

    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        // SAFETY: see `splat`.
        unsafe { vaddvq_f32(a) }
    }

    #[inline(always)]
    fn largest(self, a: float32x4_t) -> f32 {
        // SAFETY: see `splat`.
        unsafe { vmaxnmvq_f32(a) }
    }

    #[inline(always)]
    fn fma_alternating(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: see `splat`.
        unsafe {
            let signs = vreinterpretq_u32_u64(vdupq_n_u64(1 << 31));
            let c = vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(c), signs));
            vfmaq_f32(c, a, b)
        }
    }

    #[inline(always)]
    fn load_twice(self, x: &[f32]) -> float32x4_t {
        let x = &x[..2];
        // SAFETY: two floats.
        unsafe {
            let two = vld1_f32(x.as_ptr());
            vcombine_f32(vdup_lane_f32::<0>(two), vdup_lane_f32::<1>(two))
        }
    }
}
