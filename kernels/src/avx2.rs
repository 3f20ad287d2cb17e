//! AVX2, FMA and F16C, with and without AVX-VNNI: tiles of 8 rows, one 32-bit lane per row.
#![expect(unsafe_code, reason = "instructions that only some processors have")]

mod float;
mod multiply;

use crate::activations::QuantizeRow;
use crate::attention::{AttendJob, AttendState};
use crate::project::TileJob;
use crate::{Isa, Kernels, Pairing, Table, simd};
use float::Avx2;
use half::f16;

static KERNELS: Kernels = Kernels {
    isa: Isa::Avx2,
    // SAFETY: `kernels` gives the table out only after it found the instruction sets.
    table: table(|job, out| unsafe { multiply::multiply::<false>(job, out) }),
};

static VNNI_KERNELS: Kernels = Kernels {
    isa: Isa::AvxVnni,
    // SAFETY: `vnni_kernels` gives the table out only after it found the instruction sets.
    table: table(|job, out| unsafe { multiply::multiply::<true>(job, out) }),
};

const fn table(multiply: fn(TileJob<'_>, &mut [f32])) -> Table {
    Table {
        lanes: 8,
        block_rows: &[4, 3, 2, 1],
        query_vectors: 4,
        multiply,
        // SAFETY: the tables are given out only where the instruction sets were found. So below.
        quantize_32: |job| unsafe { quantize_32(job) },
        // SAFETY: see above.
        quantize_256: |job| unsafe { quantize_256(job) },
        // SAFETY: see above.
        rms_norm: |x, weight, eps, out| unsafe { rms_norm(x, weight, eps, out) },
        // SAFETY: see above.
        layer_norm: |x, weight, bias, eps, out| unsafe { layer_norm(x, weight, bias, eps, out) },
        // SAFETY: see above.
        silu_mul: |gate, up| unsafe { silu_mul(gate, up) },
        // SAFETY: see above.
        gelu: |x, tanh| unsafe { gelu(x, tanh) },
        // SAFETY: see above.
        add: |x, y| unsafe { add(x, y) },
        // SAFETY: see above.
        softmax: |x| unsafe { softmax(x) },
        // SAFETY: see above.
        rope: |x, cos, sin, pairing| unsafe { rope(x, cos, sin, pairing) },
        // SAFETY: see above.
        attend: |job, state| unsafe { attend(job, state) },
        // SAFETY: see above.
        attend_q8: |job, state| unsafe { attend_q8(job, state) },
        // SAFETY: see above.
        to_f16: |from, to| unsafe { to_f16(from, to) },
        // SAFETY: see above.
        to_q8: |from, to, stride| unsafe { to_q8(from, to, stride) },
    }
}

/// The table, where the processor has all it needs.
pub(crate) fn kernels() -> Option<&'static Kernels> {
    let found = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    found.then_some(&KERNELS)
}

/// The table that uses AVX-VNNI besides.
pub(crate) fn vnni_kernels() -> Option<&'static Kernels> {
    kernels().filter(|_| is_x86_feature_detected!("avxvnni"))?;
    Some(&VNNI_KERNELS)
}

/// Functions of [`simd`], compiled for these instruction sets.
macro_rules! compile {
    ($($name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)? => $generic:expr;)*) => {
        $(
            #[target_feature(enable = "avx2,fma,f16c")]
            fn $name($($argument: $kind),*) $(-> $result)? {
                $generic(Avx2::new(), $($argument),*)
            }
        )*
    };
}

compile! {
    quantize_32(job: QuantizeRow<'_>) => simd::quantize_32;
    quantize_256(job: QuantizeRow<'_>) => simd::quantize_256;
    rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) => simd::rms_norm;
    layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) => simd::layer_norm;
    silu_mul(gate: &mut [f32], up: &[f32]) => simd::silu_mul;
    gelu(x: &mut [f32], tanh: bool) => simd::gelu;
    add(x: &mut [f32], y: &[f32]) => simd::add;
    softmax(x: &mut [f32]) => simd::softmax;
    rope(x: &mut [f32], cos: &[f32], sin: &[f32], pairing: Pairing) => simd::rope;
    attend(job: AttendJob<'_, f16>, state: AttendState<'_>) => simd::attend::<Avx2, f16, 4>;
    attend_q8(job: AttendJob<'_, i8>, state: AttendState<'_>) => simd::attend::<Avx2, i8, 4>;
    to_f16(from: &[f32], to: &mut [f16]) => simd::to_f16;
    to_q8(from: &[f32], to: &mut [i8], stride: usize) -> f32 => simd::to_q8;
}
