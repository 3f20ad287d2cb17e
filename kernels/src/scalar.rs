//! The reference: plain loops over the packed layout with one row per tile. Every other table is tested against it.

use crate::activations::{QuantizeRow, Rows, SUM_FACTOR_16, SUM_FACTOR_32, SUM_PAIRS, SUMS_256};
use crate::attention::{AttendJob, AttendState};
use crate::block::{Block, run_len};
use crate::cache::{BLOCK_TOKENS, Stored};
use crate::project::TileJob;
use crate::quant::Activation;
use crate::{Isa, Kernels, Pairing, Table};
use half::f16;

pub(crate) static KERNELS: Kernels = Kernels {
    isa: Isa::Scalar,
    table: Table {
        lanes: 1,
        block_rows: &[8, 4, 2, 1],
        query_vectors: 8,
        multiply,
        quantize_32,
        quantize_256,
        rms_norm,
        layer_norm,
        silu_mul,
        gelu,
        add,
        softmax,
        rope,
        attend,
        attend_q8: attend,
        to_f16,
        to_q8,
    },
};

fn multiply(job: TileJob<'_>, out: &mut [f32]) {
    let layout = job.layout;
    let per_tile = job.n * layout.lanes;
    let tiles = job.tiles.chunks_exact(layout.tile_bytes);
    for (tile, out) in tiles.zip(out.chunks_exact_mut(per_tile)) {
        for lane in 0..layout.lanes {
            match layout.quant.activation() {
                Activation::Float => multiply_float(&job, tile, lane, out),
                Activation::Int32 => multiply_32(&job, tile, lane, out),
                Activation::Int256 => multiply_256(&job, tile, lane, out),
            }
        }
    }
}

fn multiply_float(job: &TileJob<'_>, tile: &[u8], lane: usize, out: &mut [f32]) {
    let (layout, n) = (job.layout, job.n);
    let Rows::Float(x) = job.x else {
        unreachable!("plain floats take float activations")
    };
    let mut row = vec![0.0; layout.cols];
    layout.dequantize_row(tile, lane, &mut row);
    for r in 0..n {
        let mut sum = 0.0;
        for (weight, x) in row.iter().zip(x[r..].iter().step_by(n)) {
            sum += weight * x;
        }
        out[r * layout.lanes + lane] = sum;
    }
}

fn multiply_32(job: &TileJob<'_>, tile: &[u8], lane: usize, out: &mut [f32]) {
    let (layout, n) = (job.layout, job.n);
    let Rows::Int {
        values,
        scales,
        sums,
    } = job.x
    else {
        unreachable!("quantised weights take int8 activations")
    };
    let mut block = Block::new();
    for r in 0..n {
        out[r * layout.lanes + lane] = 0.0;
    }
    for b in 0..layout.blocks {
        layout.read_block(tile, b, lane, &mut block);
        let d = f16::from_bits(block.d).to_f32();
        let dmin = f16::from_bits(block.dmin).to_f32();
        for r in 0..n {
            let dot = dot(&block.q[..32], values, b * 32, n, r);
            let sum = sums[b * n + r] / SUM_FACTOR_32;
            let scale = scales[b * n + r];
            let mut value = (dot - layout.quant.offset() * sum) as f32 * (d * scale);
            if layout.quant.has_min() {
                value += sum as f32 * (dmin * scale);
            }
            out[r * layout.lanes + lane] += value;
        }
    }
}

fn multiply_256(job: &TileJob<'_>, tile: &[u8], lane: usize, out: &mut [f32]) {
    let (layout, n) = (job.layout, job.n);
    let Rows::Int {
        values,
        scales,
        sums,
    } = job.x
    else {
        unreachable!("quantised weights take int8 activations")
    };
    let run = run_len(layout.quant);
    let mut block = Block::new();
    for r in 0..n {
        out[r * layout.lanes + lane] = 0.0;
    }
    for b in 0..layout.blocks {
        layout.read_block(tile, b, lane, &mut block);
        let d = f16::from_bits(block.d).to_f32();
        let dmin = f16::from_bits(block.dmin).to_f32();
        for r in 0..n {
            let sum_of_16 = |j: usize| sums[(b * SUMS_256 + 4 + j) * n + r] / SUM_FACTOR_16;
            let (mut total, mut least) = (0, 0);
            for (j, q) in block.q.chunks_exact(run).enumerate() {
                let sum = match run {
                    16 => sum_of_16(j),
                    _ => sum_of_16(2 * j) + sum_of_16(2 * j + 1),
                };
                let dot = dot(q, values, b * 256 + j * run, n, r);
                total += i32::from(block.scales[j]) * (dot - layout.quant.offset() * sum);
                least += i32::from(block.mins[j]) * sum;
            }
            let mut value = total as f32 * d;
            if layout.quant.has_min() {
                value -= least as f32 * dmin;
            }
            out[r * layout.lanes + lane] += value * scales[b * n + r];
        }
    }
}

/// Weights times the int8 values of row `r` of `n` from column `from` on.
fn dot(q: &[u8], values: &[i8], from: usize, n: usize, r: usize) -> i32 {
    let mut sum = 0;
    for (i, &q) in q.iter().enumerate() {
        let k = from + i;
        sum += i32::from(q) * i32::from(values[(k / 4 * n + r) * 4 + k % 4]);
    }
    sum
}

/// Scale and int8 values of one activation block; the largest value becomes 127.
fn quantize(x: &[f32], mut put: impl FnMut(usize, i8)) -> f32 {
    let largest = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    for (k, &x) in x.iter().enumerate() {
        put(k, (x * inverse).round_ties_even() as i8);
    }
    largest / 127.0
}

pub(crate) fn quantize_32(job: QuantizeRow<'_>) {
    let (n, r) = (job.n, job.row);
    for (b, x) in job.x.chunks_exact(32).enumerate() {
        let mut sum = 0;
        job.scales[b * n + r] = quantize(x, |k, value| {
            job.values[((b * 8 + k / 4) * n + r) * 4 + k % 4] = value;
            sum += i32::from(value);
        });
        job.sums[b * n + r] = sum * SUM_FACTOR_32;
    }
}

pub(crate) fn quantize_256(job: QuantizeRow<'_>) {
    let (n, r) = (job.n, job.row);
    for (b, x) in job.x.chunks_exact(256).enumerate() {
        let mut sums = [0i32; 16];
        job.scales[b * n + r] = quantize(x, |k, value| {
            job.values[((b * 64 + k / 4) * n + r) * 4 + k % 4] = value;
            sums[k / 16] += i32::from(value);
        });
        let chunk = |c: usize| (sums[2 * c] + sums[2 * c + 1]) as u16;
        for (i, (low, high)) in SUM_PAIRS.into_iter().enumerate() {
            let pair = u32::from(chunk(low)) | u32::from(chunk(high)) << 16;
            job.sums[(b * SUMS_256 + i) * n + r] = pair as i32;
        }
        for (j, sum) in sums.into_iter().enumerate() {
            job.sums[(b * SUMS_256 + 4 + j) * n + r] = sum * SUM_FACTOR_16;
        }
    }
}

pub(crate) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let squares: f32 = x.iter().map(|x| x * x).sum();
    let scale = 1.0 / (squares / x.len() as f32 + eps).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * weight;
    }
}

pub(crate) fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    let mean = x.iter().sum::<f32>() / x.len() as f32;
    let squares: f32 = x.iter().map(|x| (x - mean) * (x - mean)).sum();
    let scale = 1.0 / (squares / x.len() as f32 + eps).sqrt();
    for (i, out) in out.iter_mut().enumerate() {
        *out = (x[i] - mean) * scale * weight[i] + bias[i];
    }
}

pub(crate) fn silu_mul(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + (-*gate).exp()) * up;
    }
}

pub(crate) fn gelu(x: &mut [f32], tanh: bool) {
    for x in x {
        *x = if tanh { gelu_tanh(*x) } else { gelu_erf(*x) };
    }
}

fn gelu_tanh(x: f32) -> f32 {
    let inner = 0.797_884_6 * (x + 0.044_715 * x * x * x);
    0.5 * x * (1.0 + inner.tanh())
}

fn gelu_erf(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Abramowitz and Stegun 7.1.26, within 1.5e-7.
fn erf(x: f32) -> f32 {
    let z = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = t
        * (0.254_829_6
            + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    (1.0 - poly * (-z * z).exp()).copysign(x)
}

pub(crate) fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

pub(crate) fn softmax(x: &mut [f32]) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in x.iter_mut() {
        *x = (*x - max).exp();
        sum += *x;
    }
    for x in x {
        *x /= sum;
    }
}

pub(crate) fn rope(x: &mut [f32], cos: &[f32], sin: &[f32], pairing: Pairing) {
    let half = cos.len();
    for i in 0..half {
        let (a, b) = match pairing {
            Pairing::Adjacent => (2 * i, 2 * i + 1),
            Pairing::Halves => (i, i + half),
        };
        let (first, second) = (x[a], x[b]);
        x[a] = first * cos[i] - second * sin[i];
        x[b] = first * sin[i] + second * cos[i];
    }
}

pub(crate) fn to_f16(from: &[f32], to: &mut [f16]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f16::from_f32(*from);
    }
}

pub(crate) fn to_q8(from: &[f32], to: &mut [i8], stride: usize) -> f32 {
    let largest = from.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    let inverse = q8_inverse(largest);
    for (to, from) in to.iter_mut().step_by(stride).zip(from) {
        *to = (from * inverse).round_ties_even() as i8;
    }
    largest / 127.0
}

/// What values up to `largest` are multiplied by to become int8; zero where they are too small for that.
pub(crate) fn q8_inverse(largest: f32) -> f32 {
    let inverse = 127.0 / largest;
    if inverse.is_finite() { inverse } else { 0.0 }
}

fn attend<T: Stored>(job: AttendJob<'_, T>, state: AttendState<'_>) {
    let dim = job.shape.head_dim;
    state.acc.fill(0.0);
    for i in 0..job.vectors() {
        let query = job.query(i);
        let acc = &mut state.acc[i * dim..][..dim];
        let (mut max, mut sum) = (f32::MIN, 0.0);
        for token in job.visible(i) {
            let (block, t) = (token / BLOCK_TOKENS, token % BLOCK_TOKENS);
            let (key_scale, value_scale) = match T::SCALED {
                true => (job.key_scales(block)[t], job.value_scales(block)[t]),
                false => (1.0, 1.0),
            };
            let keys = job.keys(block)[t..].iter().step_by(BLOCK_TOKENS);
            let score: f32 = query.iter().zip(keys).map(|(q, k)| q * k.to_f32()).sum();
            let score = score * (job.batch.scale * key_scale);
            if score > max {
                let shrink = (max - score).exp();
                acc.iter_mut().for_each(|acc| *acc *= shrink);
                sum *= shrink;
                max = score;
            }
            let weight = (score - max).exp();
            sum += weight;
            let weight = weight * value_scale;
            let values = &job.values(block)[t * dim..][..dim];
            for (acc, value) in acc.iter_mut().zip(values) {
                *acc += weight * value.to_f32();
            }
        }
        (state.max[i], state.sum[i]) = (max, sum);
    }
}
