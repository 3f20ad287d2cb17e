//! AVX-512 (F, BW, VL, VNNI): tiles of 16 rows, one 32-bit lane per row.
#![expect(
    unsafe_code,
    reason = "functions of the table enter code compiled for AVX-512"
)]

mod multiply;

use crate::{Isa, Kernels, Table, scalar};

static KERNELS: Kernels = Kernels {
    isa: Isa::Avx512Vnni,
    table: Table {
        lanes: 16,
        block_rows: &[12, 8, 6, 5, 4, 3, 2, 1],
        query_vectors: 8,
        // SAFETY: the table is only given out by `kernels`, after it found the instruction sets. The same holds for
        // every entry.
        multiply: |job, out| unsafe { multiply::multiply(job, out) },
        quantize_32: scalar::quantize_32,
        quantize_256: scalar::quantize_256,
        rms_norm: scalar::rms_norm,
        layer_norm: scalar::layer_norm,
        silu_mul: scalar::silu_mul,
        gelu: scalar::gelu,
        add: scalar::add,
        softmax: scalar::softmax,
        rope: scalar::rope,
        attend: scalar::attend,
        to_f16: scalar::to_f16,
    },
};

/// The table, where the processor has all it needs.
pub(crate) fn kernels() -> Option<&'static Kernels> {
    let found = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    found.then_some(&KERNELS)
}
