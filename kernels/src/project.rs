//! Products of activations with packed weights.

use crate::activations::{Before, Rows, Scratch};
use crate::layout::Layout;
use crate::parallel::Parallel;
use crate::quant::Activation;
use crate::split::{Band, Bands};
use crate::{Kernels, Weight};

/// One product of a shared input: `out[r * weight.rows() + n]` for row `r` and output `n`.
pub struct Projection<'a> {
    /// The matrix, packed by the same kernels.
    pub weight: &'a Weight,
    /// `rows x weight.rows()`.
    pub out: &'a mut [f32],
    /// Adds to what stands in `out` (a residual) instead of replacing it.
    pub accumulate: bool,
}

/// What an instruction set's tile kernel works on.
#[derive(Clone, Copy)]
pub(crate) struct TileJob<'a> {
    pub(crate) layout: &'a Layout,
    /// `count` tiles, one after the other.
    pub(crate) tiles: &'a [u8],
    pub(crate) count: usize,
    /// Rows of activations in `x`: one of the table's `block_rows`.
    pub(crate) n: usize,
    pub(crate) x: Rows<'a>,
}

/// Most tiles given to a kernel at once, and room for their results.
const TILES_AT_ONCE: usize = 4;
const MAX_RESULTS: usize = 16 * 16 * TILES_AT_ONCE;

/// Bytes of weights that stay in the second-level cache while all rows pass over them.
const PANEL_BYTES: usize = 192 << 10;

pub(crate) fn project(
    kernels: &Kernels,
    x: &[f32],
    rows: usize,
    before: Before<'_>,
    projections: &mut [Projection<'_>],
    scratch: &mut Scratch,
    pool: &dyn Parallel,
) {
    let Some(first) = projections.first() else {
        return;
    };
    if rows == 0 {
        return;
    }
    let cols = first.weight.cols();
    assert_eq!(x.len(), rows * cols, "x is rows x cols");
    match before {
        Before::Nothing => {}
        Before::Norm(norm) => {
            assert_eq!(
                norm.weight.len(),
                cols,
                "the norm has one weight per column"
            );
        }
        Before::Gate { up, .. } => assert_eq!(up.len(), x.len(), "up is as long as the gate"),
    }
    let mut forms = [false; 3];
    for projection in projections.iter() {
        let weight = projection.weight;
        assert_eq!(weight.cols(), cols, "projections share their input");
        assert_eq!(
            projection.out.len(),
            rows * weight.rows(),
            "out is rows x weight rows"
        );
        assert_eq!(
            weight.isa, kernels.isa,
            "weights belong to the kernels that packed them"
        );
        forms[weight.quant().activation() as usize] = true;
    }
    scratch.prepare(kernels, x, cols, before, forms, pool);
    for group in projections.chunks_mut(Bands::MAX) {
        multiply(kernels, rows, group, scratch, pool);
    }
}

fn multiply(
    kernels: &Kernels,
    rows: usize,
    projections: &mut [Projection<'_>],
    scratch: &Scratch,
    pool: &dyn Parallel,
) {
    let lanes = kernels.table.lanes;
    let mut parts: [Option<(&Weight, bool)>; Bands::MAX] = [None; Bands::MAX];
    let mut bands = Bands::new(rows);
    let total: usize = projections.iter().map(|p| p.weight.packed_bytes()).sum();
    for (part, projection) in parts.iter_mut().zip(projections) {
        let weight = projection.weight;
        let tiles = tiles_per_band(weight.layout.tile_bytes, total, pool.threads());
        bands.push(projection.out, weight.rows(), tiles * lanes);
        *part = Some((weight, projection.accumulate));
    }
    pool.run(&|_| {
        while let Some(mut band) = bands.next() {
            let (weight, accumulate) = parts[band.matrix].expect("one part per matrix");
            multiply_band(kernels, weight, accumulate, scratch, &mut band);
        }
    });
}

/// Enough tiles that claiming them costs nothing beside reading them, few enough that the threads end together.
fn tiles_per_band(tile_bytes: usize, total: usize, threads: usize) -> usize {
    let share = total / (threads * 16);
    share.clamp(tile_bytes, PANEL_BYTES.max(tile_bytes)) / tile_bytes
}

/// All rows of activations times one band of weight rows.
fn multiply_band(
    kernels: &Kernels,
    weight: &Weight,
    accumulate: bool,
    scratch: &Scratch,
    band: &mut Band<'_>,
) {
    let (lanes, layout) = (kernels.table.lanes, &weight.layout);
    let form: Activation = layout.quant.activation();
    let (first, width) = (band.columns.start / lanes, band.columns.len());
    let tiles = width.div_ceil(lanes);
    let mut results = [0.0; MAX_RESULTS];
    for &block in &scratch.blocks {
        let x = scratch.rows(form, layout.cols, block);
        for from in (0..tiles).step_by(TILES_AT_ONCE) {
            let count = TILES_AT_ONCE.min(tiles - from);
            let job = TileJob {
                layout,
                tiles: weight.tiles(first + from, count),
                count,
                n: block.rows,
                x,
            };
            let results = &mut results[..count * block.rows * lanes];
            (kernels.table.multiply)(job, results);
            for (tile, results) in results.chunks_exact(block.rows * lanes).enumerate() {
                let at = (from + tile) * lanes;
                let used = lanes.min(width - at);
                for (r, result) in results.chunks_exact(lanes).enumerate() {
                    let out = &mut band.row(block.start + r)[at..at + used];
                    if accumulate {
                        out.iter_mut()
                            .zip(result)
                            .for_each(|(out, add)| *out += add);
                    } else {
                        out.copy_from_slice(&result[..used]);
                    }
                }
            }
        }
    }
}
