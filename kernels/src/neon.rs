//! aarch64 with the dot-product instructions: Neoverse-N1, Cortex-A76 and later; a second table for those with i8mm.
//!
//! Tiles of eight weight rows; a register holds four columns of four rows, so that one SDOT by element takes four
//! bytes of activations to four rows.

#![expect(
    unsafe_code,
    reason = "calls functions that need target features, which the table's existence proves"
)]
#![expect(
    clippy::needless_range_loop,
    reason = "one index runs over several arrays of registers"
)]

mod attend;
mod decode;
mod dot;
mod float;
mod matrix;
mod multiply;
mod quantize;
mod vector;

#[cfg(test)]
mod tests;

use crate::project::TileJob;
use crate::{Isa, Kernels, QuantType, Table, simd};
use vector::Neon;

/// The table, where the CPU can run it.
pub(crate) fn kernels() -> Option<&'static Kernels> {
    std::arch::is_aarch64_feature_detected!("dotprod").then_some(&KERNELS)
}

/// The table that uses i8mm besides.
pub(crate) fn i8mm_kernels() -> Option<&'static Kernels> {
    kernels().filter(|_| std::arch::is_aarch64_feature_detected!("i8mm"))?;
    Some(&I8MM_KERNELS)
}

static KERNELS: Kernels = Kernels {
    isa: Isa::NeonDotprod,
    // SAFETY: `kernels` gives the table out only where dotprod was found.
    table: table(|job, out| unsafe { multiply::<false>(job, out) }),
};

static I8MM_KERNELS: Kernels = Kernels {
    isa: Isa::NeonI8mm,
    // SAFETY: `i8mm_kernels` gives the table out only where dotprod and i8mm were found.
    table: table(|job, out| unsafe { multiply::<true>(job, out) }),
};

const fn table(multiply: fn(TileJob<'_>, &mut [f32])) -> Table {
    Table {
        lanes: multiply::LANES,
        block_rows: &ROW_COUNTS,
        query_vectors: 16,
        multiply,
        // SAFETY: the tables are given out only where dotprod and with it NEON was found. The same below.
        quantize_32: |job| unsafe { quantize::quantize_32(job) },
        // SAFETY: as above.
        quantize_256: |job| unsafe { quantize::quantize_256(job) },
        rms_norm: |x, weight, eps, out| simd::rms_norm(Neon, x, weight, eps, out),
        layer_norm: |x, weight, bias, eps, out| simd::layer_norm(Neon, x, weight, bias, eps, out),
        silu_mul: |gate, up| simd::silu_mul(Neon, gate, up),
        gelu: |x, tanh| simd::gelu(Neon, x, tanh),
        add: |x, y| simd::add(Neon, x, y),
        softmax: |x| simd::softmax(Neon, x),
        rope: |x, cos, sin, pairing| simd::rope(Neon, x, cos, sin, pairing),
        // SAFETY: as above.
        attend: |job, state| unsafe { attend::attend(job, state) },
        // SAFETY: as above.
        attend_q8: |job, state| unsafe { attend::attend(job, state) },
        to_f16: |from, to| simd::to_f16(Neon, from, to),
        to_q8: |from, to, stride| simd::to_q8(Neon, from, to, stride),
    }
}

/// Every number of rows up to the largest: a block of weights is decoded once for all of them.
const ROW_COUNTS: [usize; multiply::MAX_ROWS] = {
    let mut counts = [0; multiply::MAX_ROWS];
    let mut i = 0;
    while i < counts.len() {
        counts[i] = counts.len() - i;
        i += 1;
    }
    counts
};

/// # Safety
/// The CPU has dotprod, and for `MATRIX` i8mm.
unsafe fn multiply<const MATRIX: bool>(job: TileJob<'_>, out: &mut [f32]) {
    // SAFETY: promised by the caller; each type has its own function.
    unsafe {
        match job.layout.quant {
            QuantType::F32 => float::multiply_float::<float::Single>(job, out),
            QuantType::F16 => float::multiply_float::<float::Half>(job, out),
            QuantType::BF16 => float::multiply_float::<float::Brain>(job, out),
            QuantType::Q4_0 => multiply::multiply_narrow::<decode::Q4_0, MATRIX>(job, out),
            QuantType::Q4_1 => multiply::multiply_narrow::<decode::Q4_1, MATRIX>(job, out),
            QuantType::Q5_0 => multiply::multiply_narrow::<decode::Q5_0, MATRIX>(job, out),
            QuantType::Q5_1 => multiply::multiply_narrow::<decode::Q5_1, MATRIX>(job, out),
            QuantType::Q8_0 => multiply::multiply_narrow::<decode::Q8_0, MATRIX>(job, out),
            QuantType::Q2K => multiply::multiply_wide::<decode::Q2K, MATRIX>(job, out),
            QuantType::Q3K => multiply::multiply_wide::<decode::Q3K, MATRIX>(job, out),
            QuantType::Q4K => multiply::multiply_wide::<decode::Q4K, MATRIX>(job, out),
            QuantType::Q5K => multiply::multiply_wide::<decode::Q5K, MATRIX>(job, out),
            QuantType::Q6K => multiply::multiply_wide::<decode::Q6K, MATRIX>(job, out),
        }
    }
}
