//! Every table against plain arithmetic and against the scalar table.

mod cache;

use super::*;
use half::bf16;

/// Small deterministic generator (xorshift), so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    /// Within -1 and 1.
    fn float(&mut self) -> f32 {
        self.next() as i32 as f32 / 2_147_483_648.0
    }

    fn floats(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.float()).collect()
    }
}

/// Where in a block of each type its f16 fields lie.
fn half_fields(quant: QuantType) -> &'static [usize] {
    match quant {
        QuantType::F32 | QuantType::F16 | QuantType::BF16 => &[],
        QuantType::Q4_0 | QuantType::Q5_0 | QuantType::Q8_0 => &[0],
        QuantType::Q4_1 | QuantType::Q5_1 | QuantType::Q4K | QuantType::Q5K => &[0, 2],
        QuantType::Q2K => &[80, 82],
        QuantType::Q3K => &[108],
        QuantType::Q6K => &[208],
    }
}

/// Blocks of random bits (of the byte `extreme` where given) with finite scales.
fn tensor(quant: QuantType, rows: usize, cols: usize, extreme: Option<u8>, seed: u64) -> Vec<u8> {
    let mut random = Random(seed * 0x9E37_79B9 + 0x1234_5678_9ABC_DEF1);
    let mut bytes: Vec<u8> = Vec::new();
    for _ in 0..rows * cols / quant.block_len() {
        match quant {
            QuantType::F32 => bytes.extend(random.float().to_le_bytes()),
            QuantType::F16 => bytes.extend(f16::from_f32(random.float()).to_le_bytes()),
            QuantType::BF16 => bytes.extend(bf16::from_f32(random.float()).to_le_bytes()),
            _ => {
                let mut block: Vec<u8> = (0..quant.block_bytes())
                    .map(|_| extreme.unwrap_or(random.next() as u8))
                    .collect();
                for &at in half_fields(quant) {
                    let d = f16::from_f32(random.float() / 64.0);
                    block[at..at + 2].copy_from_slice(&d.to_le_bytes());
                }
                bytes.extend(block);
            }
        }
    }
    bytes
}

fn pack(kernels: &Kernels, quant: QuantType, rows: usize, cols: usize, bytes: &[u8]) -> Weight {
    kernels
        .pack(quant, rows, cols, bytes, &Serial)
        .expect("sizes fit")
}

fn product(kernels: &Kernels, weight: &Weight, x: &[f32], m: usize) -> Vec<f32> {
    let mut out = vec![0.0; m * weight.rows()];
    let mut projections = [Projection {
        weight,
        out: &mut out,
        accumulate: false,
    }];
    kernels.project(x, m, &mut projections, &mut Scratch::default(), &Serial);
    out
}

/// Rows from the file's bytes by the formulas, without any packing.
fn plain_rows(quant: QuantType, rows: usize, cols: usize, bytes: &[u8]) -> Vec<f32> {
    let mut out = vec![0.0; rows * cols];
    let mut block = block::Block::new();
    let blocks = bytes.chunks_exact(quant.block_bytes());
    for (bytes, out) in blocks.zip(out.chunks_exact_mut(quant.block_len())) {
        match quant {
            QuantType::F32 => out[0] = f32::from_le_bytes(bytes.try_into().unwrap()),
            QuantType::F16 => out[0] = f16::from_le_bytes(bytes.try_into().unwrap()).to_f32(),
            QuantType::BF16 => out[0] = bf16::from_le_bytes(bytes.try_into().unwrap()).to_f32(),
            _ => {
                block.read(quant, bytes);
                block.dequantize(quant, out);
            }
        }
    }
    out
}

#[test]
fn packed_rows_read_back_bit_for_bit() {
    for kernels in Kernels::available() {
        for quant in QuantType::ALL {
            let (rows, cols) = (19, 3 * quant.block_len().max(32));
            let bytes = tensor(quant, rows, cols, None, 1);
            let weight = pack(kernels, quant, rows, cols, &bytes);
            let want = plain_rows(quant, rows, cols, &bytes);
            for row in 0..rows {
                let mut got = vec![0.0; cols];
                weight.row(row, &mut got);
                assert_eq!(
                    got,
                    want[row * cols..][..cols],
                    "{:?} {quant:?}",
                    kernels.isa
                );
            }
        }
    }
}

#[test]
fn products_are_near_the_dequantised_product() {
    for kernels in Kernels::available() {
        for quant in QuantType::ALL {
            let (rows, cols, m) = (21, 512, 3);
            let bytes = tensor(quant, rows, cols, None, 2);
            let weight = pack(kernels, quant, rows, cols, &bytes);
            let plain = plain_rows(quant, rows, cols, &bytes);
            let x = Random(77).floats(m * cols);
            let got = product(kernels, &weight, &x, m);
            for r in 0..m {
                for n in 0..rows {
                    let terms = plain[n * cols..][..cols].iter().zip(&x[r * cols..][..cols]);
                    let want: f64 = terms.clone().map(|(w, x)| f64::from(w * x)).sum();
                    // Each activation is off by at most half a step of 1/127, with random sign.
                    let squares: f64 = terms.map(|(w, _)| f64::from(w * w)).sum();
                    let tolerance = squares.sqrt() * (0.5 / 127.0) * 4.0 + 1e-6;
                    let error = (f64::from(got[r * rows + n]) - want).abs();
                    assert!(
                        error <= tolerance,
                        "{:?} {quant:?}: {error} > {tolerance}",
                        kernels.isa
                    );
                }
            }
        }
    }
}

#[test]
fn every_table_agrees_with_scalar() {
    let tables = Kernels::available();
    let (scalar, others) = tables.split_last().expect("scalar is always there");
    for quant in QuantType::ALL {
        let cases = [
            (1, 1, None),
            (37, 2, None),
            (70, 3, None),
            (129, 1, None),
            (17, 2, Some(0xFF)),
            (9, 1, Some(0x80)),
            (16, 1, Some(0x7F)),
        ];
        for (case, (rows, blocks, extreme)) in cases.into_iter().enumerate() {
            let cols = blocks * quant.block_len().max(8);
            let bytes = tensor(quant, rows, cols, extreme, case as u64);
            let reference = pack(scalar, quant, rows, cols, &bytes);
            for m in [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33] {
                let mut x = Random(m as u64 + 5).floats(m * cols);
                if extreme.is_some() {
                    x.iter_mut()
                        .for_each(|x| *x = if *x < -0.9 { -1.0 } else { 1.0 });
                }
                let want = product(scalar, &reference, &x, m);
                let scale = want.iter().fold(1e-3f32, |max, x| max.max(x.abs()));
                for kernels in others {
                    let weight = pack(kernels, quant, rows, cols, &bytes);
                    let got = product(kernels, &weight, &x, m);
                    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                        let error = (got - want).abs();
                        assert!(
                            error <= 2e-6 * scale * (blocks as f32).sqrt(),
                            "{:?} {quant:?} {rows}x{cols} m={m} at {i}: {got} for {want}",
                            kernels.isa
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_does_not_depend_on_its_neighbours() {
    for kernels in Kernels::available() {
        for quant in QuantType::ALL {
            let (rows, cols, m) = (40, 512, 27);
            let weight = pack(
                kernels,
                quant,
                rows,
                cols,
                &tensor(quant, rows, cols, None, 4),
            );
            let x = Random(3).floats(m * cols);
            let together = product(kernels, &weight, &x, m);
            for r in 0..m {
                let alone = product(kernels, &weight, &x[r * cols..][..cols], 1);
                assert_eq!(
                    alone,
                    together[r * rows..][..rows],
                    "{:?} {quant:?}",
                    kernels.isa
                );
            }
        }
    }
}

#[test]
fn norm_residual_and_mixed_types_share_one_call() {
    for kernels in Kernels::available() {
        let (cols, m) = (256, 5);
        let mut random = Random(9);
        let (x, norm_weight) = (random.floats(m * cols), random.floats(cols));
        let types = [
            QuantType::Q4K,
            QuantType::Q8_0,
            QuantType::F16,
            QuantType::Q6K,
        ];
        let weights: Vec<Weight> = types
            .iter()
            .map(|&quant| pack(kernels, quant, 33, cols, &tensor(quant, 33, cols, None, 6)))
            .collect();
        let mut normed = vec![0.0; m * cols];
        kernels.rms_norm(&x, &norm_weight, 1e-5, &mut normed);
        let mut outs: Vec<Vec<f32>> = types.iter().map(|_| vec![1.0; m * 33]).collect();
        let mut projections: Vec<Projection<'_>> = weights
            .iter()
            .zip(&mut outs)
            .map(|(weight, out)| Projection {
                weight,
                out,
                accumulate: true,
            })
            .collect();
        let norm = Norm {
            weight: &norm_weight,
            eps: 1e-5,
        };
        kernels.project_normed(
            &x,
            m,
            norm,
            &mut projections,
            &mut Scratch::default(),
            &Serial,
        );
        for (weight, out) in weights.iter().zip(&outs) {
            let want = product(kernels, weight, &normed, m);
            for (got, want) in out.iter().zip(want) {
                assert!((got - (want + 1.0)).abs() <= 1e-6 * want.abs().max(1.0));
            }
        }
    }
}

#[test]
fn a_gated_product_is_the_product_of_the_gated_input() {
    for kernels in Kernels::available() {
        let (cols, rows, m) = (256, 20, 14);
        let mut random = Random(33);
        let (gate, up) = (random.floats(m * cols), random.floats(m * cols));
        for quant in [QuantType::Q4K, QuantType::Q8_0, QuantType::F32] {
            let weight = pack(
                kernels,
                quant,
                rows,
                cols,
                &tensor(quant, rows, cols, None, 6),
            );
            let mut input = gate.clone();
            kernels.silu_mul(&mut input, &up);
            let mut out = vec![0.0; m * rows];
            let mut projections = [Projection {
                weight: &weight,
                out: &mut out,
                accumulate: false,
            }];
            let gated = Gated {
                gate: &gate,
                up: &up,
                nonlinearity: Nonlinearity::Silu,
            };
            kernels.project_gated(gated, m, &mut projections, &mut Scratch::default(), &Serial);
            assert_eq!(out, product(kernels, &weight, &input, m));
        }
    }
}

#[test]
fn wrong_sizes_are_errors() {
    let kernels = Kernels::best();
    let error = |quant, rows, cols, bytes: usize| {
        kernels
            .pack(quant, rows, cols, &vec![0; bytes], &Serial)
            .err()
            .expect("sizes do not fit")
            .to_string()
    };
    assert!(error(QuantType::Q4K, 1, 255, 144).contains("255 columns"));
    assert!(error(QuantType::Q4K, 1, 0, 0).contains("0 columns"));
    assert!(error(QuantType::Q4K, 2, 256, 144).contains("takes 288 bytes, got 144"));
    assert!(error(QuantType::F32, usize::MAX, 2, 8).contains("got 8"));
}

/// Threads started anew for every run: enough for tests.
struct Threads(usize);

impl Parallel for Threads {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for thread in 1..self.0 {
                scope.spawn(move || job(thread));
            }
            job(0);
        });
    }
}

#[test]
fn threads_change_nothing() {
    for kernels in Kernels::available() {
        let (rows, cols, m) = (200, 512, 40);
        let bytes = tensor(QuantType::Q4K, rows, cols, None, 8);
        let x = Random(4).floats(m * cols);
        let pool = Threads(3);
        let weight = kernels
            .pack(QuantType::Q4K, rows, cols, &bytes, &pool)
            .unwrap();
        let mut out = vec![0.0; m * rows];
        let mut projections = [Projection {
            weight: &weight,
            out: &mut out,
            accumulate: false,
        }];
        kernels.project(&x, m, &mut projections, &mut Scratch::default(), &pool);
        assert_eq!(out, product(kernels, &weight, &x, m));
    }
}

#[test]
fn encoder_attention_sees_all_tokens() {
    let (heads, dim, tokens) = (3, 32, 45);
    let mut random = Random(21);
    let [q, k, v] = [0, 1, 2].map(|_| random.floats(tokens * heads * dim));
    for kernels in Kernels::available() {
        let job = EncoderAttention {
            q: &q,
            k: &k,
            v: &v,
            tokens,
            heads,
            head_dim: dim,
            scale: 0.2,
        };
        let mut out = vec![0.0; q.len()];
        kernels.encoder_attention(&job, &mut out, &mut Scratch::default(), &Threads(2));
        for row in 0..tokens {
            for head in 0..heads {
                let at = |t: usize| (t * heads + head) * dim;
                let mut weights: Vec<f32> = (0..tokens)
                    .map(|t| {
                        let pairs = q[at(row)..][..dim].iter().zip(&k[at(t)..][..dim]);
                        pairs.map(|(q, k)| q * k).sum::<f32>() * 0.2
                    })
                    .collect();
                scalar::softmax(&mut weights);
                for d in 0..dim {
                    let want: f32 = (0..tokens).map(|t| weights[t] * v[at(t) + d]).sum();
                    assert!((out[at(row) + d] - want).abs() <= 1e-3, "{:?}", kernels.isa);
                }
            }
        }
    }
}

#[test]
fn elementwise_functions_agree_with_scalar() {
    for kernels in Kernels::available() {
        for len in (1..=67).chain([1000, 4096]) {
            let mut random = Random(len as u64);
            let x: Vec<f32> = random.floats(len).iter().map(|x| x * 12.0).collect();
            let (y, bias) = (random.floats(len), random.floats(len));
            let near = |got: &[f32], want: &[f32], what: &str| {
                for (got, want) in got.iter().zip(want) {
                    let error = (got - want).abs();
                    assert!(
                        error <= 3e-6 * want.abs().max(1.0),
                        "{:?} {what} of {len}: {got} for {want}",
                        kernels.isa
                    );
                }
            };
            let in_place = |what: &str, f: &dyn Fn(&Kernels, &mut [f32])| {
                let [mut got, mut want] = [x.clone(), x.clone()];
                f(kernels, &mut got);
                f(&scalar::KERNELS, &mut want);
                near(&got, &want, what);
            };
            in_place("silu_mul", &|k, x| k.silu_mul(x, &y));
            in_place("gelu tanh", &|k, x| k.gelu(x, true));
            in_place("gelu erf", &|k, x| k.gelu(x, false));
            in_place("gelu_mul", &|k, x| k.gelu_mul(x, &y, true));
            in_place("add", &|k, x| k.add(x, &y));
            in_place("softmax", &|k, x| k.softmax(x));
            in_place("rms_norm", &|k, out| k.rms_norm(&x, &y, 1e-5, out));
            in_place("layer_norm", &|k, out| {
                k.layer_norm(&x, &y, &bias, 1e-5, out)
            });
            let half = len / 2;
            for pairing in [Pairing::Adjacent, Pairing::Halves] {
                in_place("rope", &|k, x| {
                    k.rope(x, len, &y[..half], &bias[..half], pairing)
                });
            }
        }
    }
}

#[test]
fn quantised_integers_are_equal_in_every_table() {
    for kernels in Kernels::available() {
        for n in [1, 2, 5, 12] {
            let mut random = Random(n as u64 + 40);
            let x: Vec<f32> = random.floats(512).iter().map(|x| x * x * x).collect();
            let quantize = |table: &Table, block: usize| {
                let mut values = vec![0i8; 512 * n];
                let mut scales = vec![0.0; 512 / block * n];
                let mut sums = vec![0; if block == 32 { 16 } else { 40 } * n];
                for row in 0..n {
                    let job = QuantizeRow {
                        x: if row == 1 { &[0.0; 512] } else { &x },
                        n,
                        row,
                        values: &mut values,
                        scales: &mut scales,
                        sums: &mut sums,
                    };
                    if block == 32 {
                        (table.quantize_32)(job);
                    } else {
                        (table.quantize_256)(job);
                    }
                }
                (values, scales, sums)
            };
            for block in [32, 256] {
                assert_eq!(
                    quantize(&kernels.table, block),
                    quantize(&scalar::KERNELS.table, block),
                    "{:?} n={n}",
                    kernels.isa
                );
            }
        }
    }
}

#[test]
fn halves_round_as_in_scalar() {
    for kernels in Kernels::available() {
        let mut x = Random(50).floats(67);
        x.extend([0.0, -0.0, 1e-7, 65504.0, 1e9, -1e9, 1.000_488_3]);
        let mut got = vec![f16::ZERO; x.len()];
        (kernels.table.to_f16)(&x, &mut got);
        let want: Vec<f16> = x.iter().map(|&x| f16::from_f32(x)).collect();
        assert_eq!(got, want);
    }
}
