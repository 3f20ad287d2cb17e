//! Packed weight matrices.

use crate::layout::Layout;
use crate::pages::{HUGE_PAGE, prefer_huge_pages};
use crate::parallel::Parallel;
use crate::split::Chunks;
use crate::{Isa, Kernels, QuantType};

/// Why a tensor cannot be packed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// A row must hold whole blocks, and at least one.
    #[error("rows of {cols} columns do not hold whole blocks of {block_len} ({quant:?})")]
    Columns {
        /// The tensor's type.
        quant: QuantType,
        /// Columns asked for.
        cols: usize,
        /// Columns per block.
        block_len: usize,
    },
    /// The bytes are not `rows * row_bytes(cols)`.
    #[error("{rows} x {cols} {quant:?} takes {expected} bytes, got {actual}")]
    Size {
        /// The tensor's type.
        quant: QuantType,
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
        /// Bytes such a tensor has (`usize::MAX` where that overflows).
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
}

/// A weight matrix of `rows x cols` (outputs x inputs) in the layout of one instruction set.
pub struct Weight {
    pub(crate) layout: Layout,
    pub(crate) isa: Isa,
    rows: usize,
    bytes: Vec<u8>,
    /// Where the first tile begins in `bytes`.
    start: usize,
}

/// Tiles begin at cache lines; large tensors at huge pages.
fn alignment(bytes: usize) -> usize {
    if bytes >= HUGE_PAGE { HUGE_PAGE } else { 64 }
}

impl Weight {
    pub(crate) fn pack(
        kernels: &Kernels,
        quant: QuantType,
        rows: usize,
        cols: usize,
        bytes: &[u8],
        pool: &dyn Parallel,
    ) -> Result<Weight, PackError> {
        let block_len = quant.block_len();
        if cols == 0 || !cols.is_multiple_of(block_len) {
            return Err(PackError::Columns {
                quant,
                cols,
                block_len,
            });
        }
        let row_bytes = (cols / block_len).checked_mul(quant.block_bytes());
        let expected = row_bytes.and_then(|row| row.checked_mul(rows));
        if expected != Some(bytes.len()) {
            return Err(PackError::Size {
                quant,
                rows,
                cols,
                expected: expected.unwrap_or(usize::MAX),
                actual: bytes.len(),
            });
        }
        let row_bytes = quant.row_bytes(cols);
        let lanes = kernels.table.lanes;
        let layout = Layout::new(quant, lanes, cols);
        let size = rows.div_ceil(lanes) * layout.tile_bytes;
        let mut packed = vec![0u8; size + alignment(size)];
        let start = packed.as_ptr().align_offset(alignment(size));
        // `align_offset` may decline; then the layout is merely less well aligned.
        let start = if start < alignment(size) { start } else { 0 };
        prefer_huge_pages(&mut packed[start..start + size]);
        let tiles = Chunks::new(&mut packed[start..start + size], layout.tile_bytes);
        pool.run(&|_| {
            while let Some((index, tile)) = tiles.next() {
                let first = index * lanes;
                let last = (first + lanes).min(rows);
                let source = &bytes[first * row_bytes..last * row_bytes];
                for (lane, row) in source.chunks_exact(row_bytes).enumerate() {
                    layout.pack_row(row, lane, tile);
                }
            }
        });
        Ok(Weight {
            layout,
            isa: kernels.isa,
            rows,
            bytes: packed,
            start,
        })
    }

    /// Outputs of a product with this matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs of a product with this matrix.
    pub fn cols(&self) -> usize {
        self.layout.cols
    }

    /// The type the tensor has in its file.
    pub fn quant(&self) -> QuantType {
        self.layout.quant
    }

    /// Bytes of memory the packed matrix takes.
    pub fn packed_bytes(&self) -> usize {
        self.rows.div_ceil(self.layout.lanes) * self.layout.tile_bytes
    }

    /// Writes row `row` as f32, by the formulas of its GGUF type: an embedding lookup. Panics where `row` is not
    /// below `rows()` or `out` does not have `cols()` elements.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        assert_eq!(out.len(), self.cols(), "a row has cols() elements");
        let tile = row / self.layout.lanes;
        self.layout
            .dequantize_row(self.tiles(tile, 1), row % self.layout.lanes, out);
    }

    /// The bytes of `count` tiles.
    pub(crate) fn tiles(&self, first: usize, count: usize) -> &[u8] {
        let size = self.layout.tile_bytes;
        &self.bytes[self.start + first * size..][..count * size]
    }
}
