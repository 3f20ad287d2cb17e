//! Integers are exact: with scales of one, products equal the scalar ones bit by bit, for every number of rows.

use super::{i8mm_kernels, kernels};
use crate::{Kernels, Projection, QuantType, Scratch, Serial, scalar};
use half::f16;

/// The tables of this processor.
fn tables() -> Vec<&'static Kernels> {
    let tables: Vec<_> = [kernels(), i8mm_kernels()].into_iter().flatten().collect();
    println!("{} of 2 tables run on this processor", tables.len());
    tables
}

/// Bytes from a linear congruence, so that a failure repeats.
fn bytes(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Sets the f16 fields of blocks to one.
fn with_unit_scales(quant: QuantType, mut tensor: Vec<u8>) -> Vec<u8> {
    let fields: &[usize] = match quant {
        QuantType::Q4_0 | QuantType::Q5_0 | QuantType::Q8_0 => &[0],
        QuantType::Q4_1 | QuantType::Q5_1 | QuantType::Q4K | QuantType::Q5K => &[0, 2],
        QuantType::Q2K => &[80, 82],
        QuantType::Q3K => &[108],
        QuantType::Q6K => &[208],
        QuantType::F32 | QuantType::F16 | QuantType::BF16 => unreachable!("no integers"),
    };
    for block in tensor.chunks_exact_mut(quant.block_bytes()) {
        for &at in fields {
            block[at..at + 2].copy_from_slice(&f16::ONE.to_le_bytes());
        }
    }
    tensor
}

fn product(kernels: &Kernels, quant: QuantType, x: &[f32], cols: usize, tensor: &[u8]) -> Vec<f32> {
    let rows = tensor.len() / quant.row_bytes(cols);
    let weight = kernels
        .pack(quant, rows, cols, tensor, &Serial)
        .expect("whole blocks");
    let m = x.len() / cols;
    let mut out = vec![0.0; m * rows];
    let projection = Projection {
        weight: &weight,
        out: &mut out,
        accumulate: false,
    };
    kernels.project(x, m, &mut [projection], &mut Scratch::default(), &Serial);
    out
}

#[test]
fn integers_are_those_of_scalar() {
    let tables = tables();
    let quants = QuantType::ALL
        .into_iter()
        .filter(|quant| quant.block_len() > 1);
    for quant in quants {
        let (rows, cols) = (11, 2 * quant.block_len());
        let tensor = with_unit_scales(quant, bytes(rows * quant.row_bytes(cols), 7));
        for m in 1..=39 {
            // Integers up to 127 are quantised to themselves.
            let mut x: Vec<f32> = bytes(m * cols, m as u32)
                .iter()
                .map(|&b| f32::from(b as i8).max(-127.0))
                .collect();
            x.iter_mut().step_by(32).for_each(|x| *x = 127.0);
            let want = product(&scalar::KERNELS, quant, &x, cols, &tensor);
            for neon in &tables {
                let got = product(neon, quant, &x, cols, &tensor);
                assert_eq!(got, want, "{:?} {quant:?} m={m}", neon.isa);
            }
        }
    }
}

#[test]
fn the_largest_values_do_not_overflow() {
    let tables = tables();
    for quant in QuantType::ALL
        .into_iter()
        .filter(|quant| quant.block_len() > 1)
    {
        let cols = 4 * quant.block_len();
        for fill in [0, 0x7f, 0x80, 0xff] {
            let tensor = with_unit_scales(quant, vec![fill; 8 * quant.row_bytes(cols)]);
            for sign in [1.0, -1.0] {
                let x = vec![127.0 * sign; 6 * cols];
                let want = product(&scalar::KERNELS, quant, &x, cols, &tensor);
                for neon in &tables {
                    let got = product(neon, quant, &x, cols, &tensor);
                    assert_eq!(got, want, "{:?} {quant:?} of {fill:#x}", neon.isa);
                }
            }
        }
    }
}

/// Floats take the same steps in both tables.
#[test]
fn both_tables_give_the_same_bits() {
    let (Some(dotprod), Some(i8mm)) = (kernels(), i8mm_kernels()) else {
        return println!("skipped: this processor has no i8mm");
    };
    for quant in QuantType::ALL {
        let (rows, cols) = (19, 768);
        let mut tensor = bytes(rows * quant.row_bytes(cols), 3);
        if quant.block_len() > 1 {
            tensor = with_unit_scales(quant, tensor);
        } else {
            tensor.iter_mut().for_each(|byte| *byte &= 0x3f);
        }
        for m in [1, 3, 4, 5, 6, 11, 32, 45] {
            let x: Vec<f32> = bytes(m * cols, 9)
                .iter()
                .map(|&b| f32::from(b as i8) / 37.0)
                .collect();
            let got = product(i8mm, quant, &x, cols, &tensor);
            let want = product(dotprod, quant, &x, cols, &tensor);
            assert_eq!(got, want, "{quant:?} m={m}");
        }
    }
}
