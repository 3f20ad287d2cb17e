//! Activations prepared for products: interleaved blocks of rows, as f32 or as int8 with scales and sums.
//!
//! Rows are cut into blocks of `n` rows that a kernel handles at once. Within a block:
//! - floats: `[column][n]`;
//! - int8 values: `[group of 4 columns][n][4]`, so that one 32-bit broadcast serves a row's group;
//! - scales: `[activation block][n]`, where a value is `scale * int8`;
//! - sums of int8 values, multiplied by what the commonest offset needs, so that a kernel starts its accumulator with
//!   them. For activation blocks of 32, `[block][n]`: -8 times the sum. For those of 256, 20 entries per block,
//!   `[block][20][n]`: four pairs of i16 (low half first), the plain sums of the chunks of 32 columns (0, 2), (1, 3),
//!   (4, 6), (5, 7), as the scale bytes of `Q4_K` lie; then -32 times the sums of the 16 runs of 16 columns.

use crate::parallel::{Parallel, run_if_worth};
use crate::quant::Activation;
use crate::split::{PerRow, RowBlockMut, RowBlocks};
use crate::{Gated, Kernels, Nonlinearity, Norm};

/// Factor of the sums of 32 columns.
pub(crate) const SUM_FACTOR_32: i32 = -8;

/// Factor of the sums of 16 columns.
pub(crate) const SUM_FACTOR_16: i32 = -32;

/// Entries of `sums` per activation block of 256.
pub(crate) const SUMS_256: usize = 20;

/// Chunks whose sums share an entry, low half first.
pub(crate) const SUM_PAIRS: [(usize, usize); 4] = [(0, 2), (1, 3), (4, 6), (5, 7)];

/// Rows `start .. start + rows` of an input, handled together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowBlock {
    pub(crate) start: usize,
    pub(crate) rows: usize,
}

/// Cuts `rows` into blocks of the sizes that a kernel has (descending, ending in 1).
pub(crate) fn cut_rows(rows: usize, sizes: &[usize], blocks: &mut Vec<RowBlock>) {
    blocks.clear();
    let (largest, mut start) = (sizes[0], 0);
    while start < rows {
        let left = rows - start;
        let fitting = |want: usize| {
            sizes
                .iter()
                .copied()
                .find(|&size| size <= want)
                .unwrap_or(1)
        };
        // The last two blocks are made alike: a lone row would cost as much as several.
        let want = if left > largest && left < 2 * largest {
            left.div_ceil(2)
        } else {
            left
        };
        let size = fitting(want);
        blocks.push(RowBlock { start, rows: size });
        start += size;
    }
}

/// What is done to a row before it is multiplied.
#[derive(Clone, Copy)]
pub(crate) enum Before<'a> {
    Nothing,
    Norm(Norm<'a>),
    /// The row is the gate.
    Gate {
        up: &'a [f32],
        nonlinearity: Nonlinearity,
    },
}

impl<'a> Before<'a> {
    pub(crate) fn gate(gated: &Gated<'a>) -> Before<'a> {
        Before::Gate {
            up: gated.up,
            nonlinearity: gated.nonlinearity,
        }
    }

    fn is_some(&self) -> bool {
        !matches!(self, Before::Nothing)
    }
}

/// Int8 activations of all rows.
#[derive(Default)]
pub(crate) struct Quantized {
    values: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

/// Reusable buffers; they grow on first use and are not shrunk.
#[derive(Default)]
pub struct Scratch {
    pub(crate) blocks: Vec<RowBlock>,
    normed: Vec<f32>,
    floats: Vec<f32>,
    int32: Quantized,
    int256: Quantized,
    pub(crate) attention: crate::attention::AttentionScratch,
}

/// One block of prepared rows, as kernels read it.
#[derive(Clone, Copy)]
pub(crate) enum Rows<'a> {
    Float(&'a [f32]),
    Int {
        values: &'a [i8],
        scales: &'a [f32],
        sums: &'a [i32],
    },
}

/// What one row of `cols` columns takes in each buffer.
struct RowSize {
    values: usize,
    scales: usize,
    sums: usize,
    floats: usize,
}

impl RowSize {
    fn new(form: Activation, cols: usize) -> RowSize {
        match form {
            Activation::Float => RowSize {
                values: 0,
                scales: 0,
                sums: 0,
                floats: cols,
            },
            Activation::Int32 => RowSize {
                values: cols,
                scales: cols / 32,
                sums: cols / 32,
                floats: 0,
            },
            Activation::Int256 => RowSize {
                values: cols,
                scales: cols / 256,
                sums: cols / 256 * SUMS_256,
                floats: 0,
            },
        }
    }
}

/// Row `row` of a block of `n` rows, to be quantised into the block's interleaved buffers.
pub(crate) struct QuantizeRow<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) n: usize,
    pub(crate) row: usize,
    pub(crate) values: &'a mut [i8],
    pub(crate) scales: &'a mut [f32],
    pub(crate) sums: &'a mut [i32],
}

impl Scratch {
    /// Does what comes before to `x`, and brings it into each form in `forms`.
    pub(crate) fn prepare(
        &mut self,
        kernels: &Kernels,
        x: &[f32],
        cols: usize,
        before: Before<'_>,
        forms: [bool; 3],
        pool: &dyn Parallel,
    ) {
        let rows = x.len() / cols;
        cut_rows(rows, kernels.table.block_rows, &mut self.blocks);
        let mut normed = false;
        for (form, _) in FORMS.into_iter().zip(forms).filter(|(_, wanted)| *wanted) {
            let size = RowSize::new(form, cols);
            let before_now = if normed { Before::Nothing } else { before };
            let mut fresh = Vec::new();
            if before_now.is_some() {
                fresh = std::mem::take(&mut self.normed);
                grow(&mut fresh, rows * cols);
            }
            let source = if normed { &self.normed[..] } else { x };
            let Quantized {
                values,
                scales,
                sums,
            } = match form {
                Activation::Int256 => &mut self.int256,
                Activation::Float | Activation::Int32 => &mut self.int32,
            };
            grow(values, rows * size.values);
            grow(scales, rows * size.scales);
            grow(sums, rows * size.sums);
            grow(&mut self.floats, rows * size.floats);
            let norm_cols = if before_now.is_some() { cols } else { 0 };
            // The f32 form writes into `floats`, what comes before into `fresh`: at most four buffers at a time.
            if form == Activation::Float {
                self.floats.resize(self.floats.len().max(rows * cols), 0.0);
                let parts = RowBlocks::new(
                    &self.blocks,
                    PerRow(&mut [], 0),
                    PerRow(&mut fresh, norm_cols),
                    PerRow(&mut [], 0),
                    PerRow(&mut self.floats, cols),
                );
                run_if_worth(pool, rows * cols / 2, &|_| {
                    while let Some(part) = parts.next() {
                        interleave(kernels, source, cols, before_now, part);
                    }
                });
            } else {
                let parts = RowBlocks::new(
                    &self.blocks,
                    PerRow(values, size.values),
                    PerRow(scales, size.scales),
                    PerRow(sums, size.sums),
                    PerRow(&mut fresh, norm_cols),
                );
                run_if_worth(pool, rows * cols / 2, &|_| {
                    while let Some(part) = parts.next() {
                        quantize(kernels, source, form, before_now, part);
                    }
                });
            }
            if before_now.is_some() {
                self.normed = fresh;
                normed = true;
            }
        }
    }

    /// Block `block` in form `form`, which `prepare` made for `cols` columns.
    pub(crate) fn rows(&self, form: Activation, cols: usize, block: RowBlock) -> Rows<'_> {
        let size = RowSize::new(form, cols);
        let ints = match form {
            Activation::Float => {
                return Rows::Float(part(&self.floats, block, size.floats));
            }
            Activation::Int32 => &self.int32,
            Activation::Int256 => &self.int256,
        };
        Rows::Int {
            values: part(&ints.values, block, size.values),
            scales: part(&ints.scales, block, size.scales),
            sums: part(&ints.sums, block, size.sums),
        }
    }
}

const FORMS: [Activation; 3] = [Activation::Float, Activation::Int32, Activation::Int256];

fn part<T>(buffer: &[T], block: RowBlock, per_row: usize) -> &[T] {
    &buffer[block.start * per_row..][..block.rows * per_row]
}

fn grow<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}

/// Row `row` of `x` after what comes before it; `fresh` has room for it where that is anything.
fn source_row<'a>(
    kernels: &Kernels,
    x: &'a [f32],
    (row, cols): (usize, usize),
    before: Before<'_>,
    fresh: &'a mut [f32],
) -> &'a [f32] {
    let range = row * cols..(row + 1) * cols;
    let x = &x[range.clone()];
    match before {
        Before::Nothing => x,
        Before::Norm(norm) => {
            (kernels.table.rms_norm)(x, norm.weight, norm.eps, fresh);
            fresh
        }
        Before::Gate { up, nonlinearity } => {
            fresh.copy_from_slice(x);
            nonlinearity.gate(kernels, fresh, &up[range]);
            fresh
        }
    }
}

fn interleave(
    kernels: &Kernels,
    x: &[f32],
    cols: usize,
    before: Before<'_>,
    part: RowBlockMut<'_>,
) {
    let n = part.block.rows;
    let fresh_cols = if before.is_some() { cols } else { 0 };
    for r in 0..n {
        let fresh = &mut part.scales[r * fresh_cols..][..fresh_cols];
        let row = source_row(kernels, x, (part.block.start + r, cols), before, fresh);
        if n == 1 {
            part.floats.copy_from_slice(row);
        } else {
            for (to, &from) in part.floats[r..].iter_mut().step_by(n).zip(row) {
                *to = from;
            }
        }
    }
}

fn quantize(
    kernels: &Kernels,
    x: &[f32],
    form: Activation,
    before: Before<'_>,
    part: RowBlockMut<'_>,
) {
    let n = part.block.rows;
    let cols = part.values.len() / n;
    let fresh_cols = if before.is_some() { cols } else { 0 };
    let RowBlockMut {
        block,
        values,
        scales,
        sums,
        floats,
    } = part;
    for r in 0..n {
        let fresh = &mut floats[r * fresh_cols..][..fresh_cols];
        let job = QuantizeRow {
            x: source_row(kernels, x, (block.start + r, cols), before, fresh),
            n,
            row: r,
            values: &mut *values,
            scales: &mut *scales,
            sums: &mut *sums,
        };
        if form == Activation::Int256 {
            (kernels.table.quantize_256)(job);
        } else {
            (kernels.table.quantize_32)(job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_blocks_cover_all_rows() {
        let sizes = [12, 8, 6, 5, 4, 3, 2, 1];
        let mut blocks = Vec::new();
        for rows in 0..200 {
            cut_rows(rows, &sizes, &mut blocks);
            let end = blocks.iter().fold(0, |end, block| {
                assert_eq!(block.start, end);
                assert!(sizes.contains(&block.rows));
                end + block.rows
            });
            assert_eq!(end, rows);
        }
    }
}
