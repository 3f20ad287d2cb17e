//! The llama forward pass written out in f64 over dequantised weights: one token at a time, no cache to round.

use std::f64::consts::TAU;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use wick_kernels::Kernels;
use wick_models::{LoadOptions, Output, Segment};

use super::cosine;
use super::tiny::{LLAMA, Sequence, Shape, TYPES, Tiny, tokens};

/// A llama model whose attention sees `window` tokens and whose frequencies are divided by `factors`.
pub(crate) struct Reference<'a> {
    pub(crate) shape: Shape,
    pub(crate) tensor: &'a dyn Fn(&str) -> Vec<f32>,
    pub(crate) base: f64,
    pub(crate) epsilon: f64,
    pub(crate) factors: Vec<f64>,
    pub(crate) window: usize,
}

impl Reference<'_> {
    /// Logits of every token of a text whose first token stands at position `start` with nothing before it.
    pub(crate) fn logits(&self, tokens: &[u32], start: usize) -> Vec<Vec<f32>> {
        let Shape {
            width,
            heads,
            kv_heads,
            head_dim,
            ..
        } = self.shape;
        let embedding = self.matrix("token_embd.weight", width);
        let mut hidden: Vec<Vec<f64>> = tokens
            .iter()
            .map(|&token| embedding[token as usize].clone())
            .collect();
        for layer in 0..self.shape.layers {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            let normed = self.norm(&hidden, &name("attn_norm"));
            let turned = |part: &str| -> Vec<Vec<f64>> {
                let mut rows = product(&self.matrix(&name(part), width), &normed);
                rows.iter_mut()
                    .enumerate()
                    .for_each(|(row, values)| self.turn(values, start + row));
                rows
            };
            let (q, k) = (turned("attn_q"), turned("attn_k"));
            let v = product(&self.matrix(&name("attn_v"), width), &normed);
            let mixed: Vec<Vec<f64>> = (0..tokens.len())
                .map(|row| {
                    let first = (row + 1).saturating_sub(self.window);
                    let head = |head: usize| {
                        let own = head * head_dim..(head + 1) * head_dim;
                        let shared = head / (heads / kv_heads) * head_dim;
                        let shared = shared..shared + head_dim;
                        let scores: Vec<f64> = (first..=row)
                            .map(|past| {
                                dot(&q[row][own.clone()], &k[past][shared.clone()])
                                    / (head_dim as f64).sqrt()
                            })
                            .collect();
                        let max = scores.iter().copied().fold(f64::MIN, f64::max);
                        let weights: Vec<f64> =
                            scores.iter().map(|score| (score - max).exp()).collect();
                        let sum: f64 = weights.iter().sum();
                        let mut out = vec![0.0; head_dim];
                        for (past, weight) in (first..=row).zip(&weights) {
                            out.iter_mut()
                                .zip(&v[past][shared.clone()])
                                .for_each(|(out, v)| *out += weight / sum * v);
                        }
                        out
                    };
                    (0..heads).flat_map(head).collect()
                })
                .collect();
            add(
                &mut hidden,
                product(&self.matrix(&name("attn_output"), heads * head_dim), &mixed),
            );
            let normed = self.norm(&hidden, &name("ffn_norm"));
            let gate = product(&self.matrix(&name("ffn_gate"), width), &normed);
            let mut up = product(&self.matrix(&name("ffn_up"), width), &normed);
            for (gate, up) in gate.iter().flatten().zip(up.iter_mut().flatten()) {
                *up *= gate / (1.0 + (-gate).exp());
            }
            add(
                &mut hidden,
                product(&self.matrix(&name("ffn_down"), self.shape.wide), &up),
            );
        }
        let output = if self.shape.tied {
            "token_embd.weight"
        } else {
            "output.weight"
        };
        let rows = product(
            &self.matrix(output, width),
            &self.norm(&hidden, "output_norm.weight"),
        );
        rows.iter()
            .map(|row| row.iter().map(|&value| value as f32).collect())
            .collect()
    }

    fn matrix(&self, name: &str, cols: usize) -> Vec<Vec<f64>> {
        let values = (self.tensor)(name);
        values
            .chunks(cols)
            .map(|row| row.iter().copied().map(f64::from).collect())
            .collect()
    }

    fn norm(&self, rows: &[Vec<f64>], name: &str) -> Vec<Vec<f64>> {
        let weight = (self.tensor)(name);
        let norm = |row: &Vec<f64>| {
            let scale = 1.0 / (dot(row, row) / row.len() as f64 + self.epsilon).sqrt();
            row.iter()
                .zip(&weight)
                .map(|(value, weight)| value * scale * f64::from(*weight))
                .collect()
        };
        rows.iter().map(norm).collect()
    }

    /// Turns neighbouring lanes of each head.
    fn turn(&self, row: &mut [f64], position: usize) {
        let dims = self.shape.head_dim;
        for head in row.chunks_mut(dims) {
            for (pair, lanes) in head.chunks_mut(2).enumerate() {
                let frequency =
                    self.base.powf(-2.0 * pair as f64 / dims as f64) / self.factors[pair];
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                (lanes[0], lanes[1]) = (
                    lanes[0] * cos - lanes[1] * sin,
                    lanes[0] * sin + lanes[1] * cos,
                );
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn product(matrix: &[Vec<f64>], rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    rows.iter()
        .map(|x| matrix.iter().map(|row| dot(row, x)).collect())
        .collect()
}

fn add(rows: &mut [Vec<f64>], more: Vec<Vec<f64>>) {
    for (value, more) in rows.iter_mut().flatten().zip(more.into_iter().flatten()) {
        *value += more;
    }
}

fn reference<'a>(shape: &Shape, tensor: &'a dyn Fn(&str) -> Vec<f32>) -> Reference<'a> {
    let factors = vec![1.0; shape.head_dim / 2];
    Reference {
        shape: shape.clone(),
        tensor,
        base: 10_000.0,
        epsilon: 1e-5,
        factors,
        window: usize::MAX,
    }
}

#[test]
fn every_type_gives_the_written_out_logits() {
    for quant in TYPES {
        let shape = Shape { quant, ..LLAMA };
        let tiny = Tiny::decoder(&shape);
        let text = tokens(37, shape.vocab, 5);
        let want = reference(&shape, &|name| tiny.values(name)).logits(&text, 0);
        for kernels in Kernels::available() {
            let mut decoder = tiny
                .load(&LoadOptions {
                    threads: 2,
                    kernels: Some(kernels),
                    ..LoadOptions::default()
                })
                .unwrap();
            decoder.reserve(2, 64).unwrap();
            let got = Sequence::new(0, 2).feed(&mut *decoder, &text, Output::All);
            let cosines = got
                .chunks(shape.vocab)
                .zip(&want)
                .map(|(got, want)| cosine(got, want));
            let worst = cosines.fold(1.0, f64::min);
            let exact = matches!(quant, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16);
            let at_least = if exact { 0.999_999 } else { 0.9995 };
            assert!(
                worst >= at_least,
                "{quant:?} on {}: {worst}",
                kernels.isa.name()
            );
        }
    }
}

/// Positions beyond the first context, with Llama 3.2's factors: the window keeps the empty positions before out.
#[test]
fn rope_factors_and_window_hold_far_beyond_8192() {
    let shape = Shape {
        head_dim: 64,
        heads: 4,
        ..LLAMA
    };
    let (window, base) = (16, 500_000.0f64);
    let factors: Vec<f64> = (0..32)
        .map(|pair| {
            let wavelength = TAU * base.powf(f64::from(pair) / 32.0);
            let smooth = ((8192.0 / wavelength - 1.0) / 3.0).clamp(0.0, 1.0);
            1.0 / ((1.0 - smooth) / 32.0 + smooth)
        })
        .map(|factor| f64::from(factor as f32))
        .collect();
    let mut tiny = Tiny::decoder(&shape);
    tiny.set("llama.rope.freq_base", Value::F32(base as f32));
    tiny.set("llama.attention.sliding_window", Value::U32(window as u32));
    tiny.put(
        "rope_freqs.weight",
        &[32],
        factors.iter().map(|&factor| factor as f32).collect(),
        GgmlDType::F32,
    );
    let text = tokens(40, shape.vocab, 21);
    let tensor = |name: &str| tiny.values(name);
    let exact = Reference {
        base,
        factors,
        window,
        ..reference(&shape, &tensor)
    };
    let blocks: Vec<u32> = (0..400).collect();
    for start in [0, 8300, 12_345] {
        let mut decoder = tiny
            .load(&LoadOptions {
                threads: 2,
                kernels: None,
                ..LoadOptions::default()
            })
            .unwrap();
        decoder.reserve(400, 64).unwrap();
        let segment = Segment {
            tokens: &text,
            start,
            blocks: &blocks,
            output: Output::All,
        };
        let got = decoder.forward(&[segment]).unwrap();
        // The first rows see the empty positions before the text, the next ones see those rows in the second layer.
        let affected = if start == 0 { 0 } else { 2 * (window - 1) };
        let rows = got.chunks(shape.vocab).zip(exact.logits(&text, start));
        for (row, (got, want)) in rows.enumerate().skip(affected) {
            assert!(
                cosine(got, &want) > 0.999_99,
                "start {start} row {row}: {}",
                cosine(got, &want)
            );
        }
    }
}
