//! Quantised matrix products, attention, norms, rope and softmax on slices: no model, no I/O, no threads of its own.
//!
//! [`Kernels`] is a table of functions for one instruction set. [`Kernels::best`] picks at run time; callers see no
//! `cfg` and no `unsafe`. Weights are packed once into the layout that the table's vector registers want (module
//! `layout`), and only the table that packed a [`Weight`] can multiply with it. Results of a row do not depend on how
//! many rows are computed together.

mod activations;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod block;
mod cache;
#[cfg(target_arch = "x86_64")]
mod kind;
mod layout;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pages;
mod parallel;
mod project;
mod quant;
mod scalar;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[cfg_attr(
    target_arch = "aarch64",
    expect(
        dead_code,
        reason = "quantising and attention are written apart for NEON"
    )
)]
mod simd;
mod split;
mod store;
mod weight;

#[cfg(test)]
mod tests;

pub use activations::Scratch;
pub use attention::{AttentionBatch, AttentionSegment, EncoderAttention};
pub use cache::{BLOCK_TOKENS, KvArenas, KvType, UnknownKvType};
pub use pages::{keep_large_buffers_apart, prefer_huge_pages, return_freed_memory};
pub use parallel::{Parallel, Serial};
pub use project::Projection;
pub use quant::QuantType;
pub use store::KvBatch;
pub use weight::{PackError, Weight};

use activations::{Before, QuantizeRow};
use attention::{AttendJob, AttendState};
use half::f16;
use project::TileJob;

/// Instruction sets that have a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// AVX-512 F, BW, VL and VNNI.
    Avx512Vnni,
    /// AVX2, FMA and F16C with AVX-VNNI.
    AvxVnni,
    /// AVX2, FMA and F16C.
    Avx2,
    /// aarch64 with the dot-product and the int8 matrix instructions.
    NeonI8mm,
    /// aarch64 with the dot-product instructions.
    NeonDotprod,
    /// Portable code.
    Scalar,
}

impl Isa {
    /// A short name for people.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512Vnni => "avx512-vnni",
            Isa::AvxVnni => "avx-vnni",
            Isa::Avx2 => "avx2",
            Isa::NeonI8mm => "neon-i8mm",
            Isa::NeonDotprod => "neon-dotprod",
            Isa::Scalar => "scalar",
        }
    }
}

/// Which values a rotary embedding turns together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// `2 i` and `2 i + 1`: llama in GGUF.
    Adjacent,
    /// `i` and `i + rot_dims / 2`: qwen2, qwen3, nomic-bert.
    Halves,
}

/// Parameters of an RMS norm.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// One factor per column.
    pub weight: &'a [f32],
    /// Added to the mean of squares.
    pub eps: f32,
}

/// The nonlinear function of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonlinearity {
    /// `x / (1 + exp(-x))`
    Silu,
    /// Gaussian error linear unit by erf.
    Gelu,
    /// Its approximation by tanh.
    GeluTanh,
}

impl Nonlinearity {
    /// `gate = f(gate) * up`.
    fn gate(self, kernels: &Kernels, gate: &mut [f32], up: &[f32]) {
        match self {
            Nonlinearity::Silu => kernels.silu_mul(gate, up),
            Nonlinearity::Gelu => kernels.gelu_mul(gate, up, false),
            Nonlinearity::GeluTanh => kernels.gelu_mul(gate, up, true),
        }
    }
}

/// The gated input of a feed-forward network's last matrix.
#[derive(Clone, Copy, Debug)]
pub struct Gated<'a> {
    /// `rows x cols`.
    pub gate: &'a [f32],
    /// `rows x cols`.
    pub up: &'a [f32],
    /// What the gate goes through before it multiplies `up`.
    pub nonlinearity: Nonlinearity,
}

/// The functions of one instruction set.
#[derive(Debug)]
pub struct Kernels {
    /// Which one.
    pub isa: Isa,
    pub(crate) table: Table,
}

type LayerNorm = fn(&[f32], &[f32], &[f32], f32, &mut [f32]);

/// What a new instruction set provides. Lengths are checked before any of these is called.
#[derive(Debug)]
pub(crate) struct Table {
    /// Rows per weight tile: 32-bit lanes of a register; at most 16.
    pub(crate) lanes: usize,
    /// Sizes of row blocks that `multiply` handles, descending, ending in 1; times `lanes` at most 256.
    pub(crate) block_rows: &'static [usize],
    /// Query vectors that `attend` handles well at once.
    pub(crate) query_vectors: usize,
    /// Writes `[tile][row of x][lane]`.
    pub(crate) multiply: fn(TileJob<'_>, &mut [f32]),
    /// Quantises a row into activation blocks of 32.
    pub(crate) quantize_32: fn(QuantizeRow<'_>),
    /// Quantises a row into activation blocks of 256.
    pub(crate) quantize_256: fn(QuantizeRow<'_>),
    /// One row: x, weight, eps, out.
    pub(crate) rms_norm: fn(&[f32], &[f32], f32, &mut [f32]),
    /// One row: x, weight, bias, eps, out.
    pub(crate) layer_norm: LayerNorm,
    pub(crate) silu_mul: fn(&mut [f32], &[f32]),
    /// True: the tanh form; false: erf.
    pub(crate) gelu: fn(&mut [f32], bool),
    pub(crate) add: fn(&mut [f32], &[f32]),
    pub(crate) softmax: fn(&mut [f32]),
    /// One head: x (at least `2 * cos.len()` long), cos, sin, pairing.
    pub(crate) rope: fn(&mut [f32], &[f32], &[f32], Pairing),
    pub(crate) attend: fn(AttendJob<'_, f16>, AttendState<'_>),
    pub(crate) attend_q8: fn(AttendJob<'_, i8>, AttendState<'_>),
    pub(crate) to_f16: fn(&[f32], &mut [f16]),
    /// Int8 to every n-th element, the largest becoming 127; gives the scale.
    pub(crate) to_q8: fn(&[f32], &mut [i8], usize) -> f32,
}

impl Kernels {
    /// The tables that this machine can run, fastest first, scalar last.
    pub fn available() -> Vec<&'static Kernels> {
        let tables = [
            #[cfg(target_arch = "x86_64")]
            avx512::kernels(),
            #[cfg(target_arch = "aarch64")]
            neon::i8mm_kernels(),
            #[cfg(target_arch = "aarch64")]
            neon::kernels(),
            #[cfg(target_arch = "x86_64")]
            avx2::vnni_kernels(),
            #[cfg(target_arch = "x86_64")]
            avx2::kernels(),
            Some(&scalar::KERNELS),
        ];
        tables.into_iter().flatten().collect()
    }

    /// The fastest of [`available`](Self::available).
    pub fn best() -> &'static Kernels {
        Kernels::available()[0]
    }

    /// Packs a GGUF tensor of `rows x cols` (outputs x inputs) into this table's layout. `bytes` are its blocks,
    /// `rows * quant.row_bytes(cols)` of them; they are not needed afterwards.
    pub fn pack(
        &self,
        quant: QuantType,
        rows: usize,
        cols: usize,
        bytes: &[u8],
        pool: &dyn Parallel,
    ) -> Result<Weight, PackError> {
        Weight::pack(self, quant, rows, cols, bytes, pool)
    }

    /// `out[r * weight.rows() + n] (+)= dot(x[r * cols..], weight row n)` for every projection. `x` is `rows x cols`;
    /// it is quantised once and shared, also by weights of different types. Panics where lengths do not fit.
    pub fn project(
        &self,
        x: &[f32],
        rows: usize,
        projections: &mut [Projection<'_>],
        scratch: &mut Scratch,
        pool: &dyn Parallel,
    ) {
        project::project(self, x, rows, Before::Nothing, projections, scratch, pool);
    }

    /// [`project`](Self::project) of the RMS norm of each row, `x * norm.weight / sqrt(mean(x^2) + eps)`.
    pub fn project_normed(
        &self,
        x: &[f32],
        rows: usize,
        norm: Norm<'_>,
        projections: &mut [Projection<'_>],
        scratch: &mut Scratch,
        pool: &dyn Parallel,
    ) {
        project::project(
            self,
            x,
            rows,
            Before::Norm(norm),
            projections,
            scratch,
            pool,
        );
    }

    /// [`project`](Self::project) of `f(gate) * up`, in parallel over rows and without a pass of its own.
    pub fn project_gated(
        &self,
        gated: Gated<'_>,
        rows: usize,
        projections: &mut [Projection<'_>],
        scratch: &mut Scratch,
        pool: &dyn Parallel,
    ) {
        let before = Before::gate(&gated);
        project::project(self, gated.gate, rows, before, projections, scratch, pool);
    }

    /// RMS norm of each run of `weight.len()` values.
    pub fn rms_norm(&self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        let cols = check_rows(x, weight.len(), out.len());
        for (x, out) in x.chunks_exact(cols).zip(out.chunks_exact_mut(cols)) {
            (self.table.rms_norm)(x, weight, eps, out);
        }
    }

    /// Layer norm of each run of `weight.len()` values: mean 0, variance 1, times `weight`, plus `bias`.
    pub fn layer_norm(&self, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
        let cols = check_rows(x, weight.len(), out.len());
        assert_eq!(bias.len(), cols, "bias is as long as weight");
        for (x, out) in x.chunks_exact(cols).zip(out.chunks_exact_mut(cols)) {
            (self.table.layer_norm)(x, weight, bias, eps, out);
        }
    }

    /// `gate = silu(gate) * up`.
    pub fn silu_mul(&self, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len());
        (self.table.silu_mul)(gate, up);
    }

    /// `x = gelu(x)`; `tanh` picks the approximation by tanh, otherwise erf is used.
    pub fn gelu(&self, x: &mut [f32], tanh: bool) {
        (self.table.gelu)(x, tanh);
    }

    /// `gate = gelu(gate) * up`.
    pub fn gelu_mul(&self, gate: &mut [f32], up: &[f32], tanh: bool) {
        assert_eq!(gate.len(), up.len());
        (self.table.gelu)(gate, tanh);
        gate.iter_mut().zip(up).for_each(|(gate, up)| *gate *= up);
    }

    /// `x += y`.
    pub fn add(&self, x: &mut [f32], y: &[f32]) {
        assert_eq!(x.len(), y.len());
        (self.table.add)(x, y);
    }

    /// Softmax of the whole slice.
    pub fn softmax(&self, x: &mut [f32]) {
        (self.table.softmax)(x);
    }

    /// Rotary embedding of all heads of one token: turns the first `2 * cos.len()` values of each run of `head_dim`.
    pub fn rope(&self, x: &mut [f32], head_dim: usize, cos: &[f32], sin: &[f32], pairing: Pairing) {
        assert!(
            head_dim > 0 && x.len().is_multiple_of(head_dim),
            "x is heads x head_dim"
        );
        assert!(cos.len() == sin.len() && cos.len() * 2 <= head_dim);
        for head in x.chunks_exact_mut(head_dim) {
            (self.table.rope)(head, cos, sin, pairing);
        }
    }

    /// Writes the keys and values of a step into the arenas of a layer. Panics where a block lies outside them.
    pub fn store_kv(&self, batch: &KvBatch<'_>, cache: &mut KvArenas, pool: &dyn Parallel) {
        store::store_kv(self, batch, cache, pool);
    }

    /// Causal grouped-query attention; `out` is laid out as `batch.q`. Panics where lengths do not fit.
    pub fn attention(
        &self,
        batch: &AttentionBatch<'_>,
        out: &mut [f32],
        scratch: &mut Scratch,
        pool: &dyn Parallel,
    ) {
        attention::attention(self, batch, true, out, &mut scratch.attention, pool);
    }

    /// Attention of all tokens of a text to all of them; keys and values are rounded to f16.
    pub fn encoder_attention(
        &self,
        job: &EncoderAttention<'_>,
        out: &mut [f32],
        scratch: &mut Scratch,
        pool: &dyn Parallel,
    ) {
        attention::encoder_attention(self, job, out, scratch, pool);
    }
}

/// Checks that `x` and an output of `out` values are rows of `cols` and returns `cols`.
fn check_rows(x: &[f32], cols: usize, out: usize) -> usize {
    assert!(
        cols > 0 && x.len().is_multiple_of(cols),
        "{} values in rows of {cols}",
        x.len()
    );
    assert_eq!(x.len(), out, "out is as long as x");
    cols
}
