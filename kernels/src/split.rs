//! Hands disjoint parts of a buffer to threads: each part exactly once, by an atomic counter.
#![expect(
    unsafe_code,
    reason = "threads write disjoint parts of one slice, which the borrow checker cannot see"
)]

use crate::activations::RowBlock;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A mutable slice taken apart into chunks of `chunk` elements (the last may be shorter), given out in order.
pub(crate) struct Chunks<'a, T> {
    start: *mut T,
    len: usize,
    chunk: usize,
    next: AtomicUsize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: sharing `Chunks` only allows `next`, which moves each part of an exclusively borrowed slice to one thread.
unsafe impl<T: Send> Sync for Chunks<'_, T> {}

impl<'a, T> Chunks<'a, T> {
    pub(crate) fn new(slice: &'a mut [T], chunk: usize) -> Chunks<'a, T> {
        assert!(chunk > 0, "chunks are not empty");
        Chunks {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            chunk,
            next: AtomicUsize::new(0),
            slice: PhantomData,
        }
    }

    /// The next chunk and its number, or `None` when all are given out.
    pub(crate) fn next(&self) -> Option<(usize, &'a mut [T])> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let from = index.checked_mul(self.chunk).filter(|&at| at < self.len)?;
        let len = self.chunk.min(self.len - from);
        // SAFETY: `from + len <= self.len`, and the counter gives every index, so every range, to one caller only.
        let part = unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) };
        Some((index, part))
    }
}

/// Row-major matrices that share their row count, cut into bands of columns that are given out in order.
pub(crate) struct Bands<'a> {
    targets: [Target; Bands::MAX],
    count: usize,
    rows: usize,
    next: AtomicUsize,
    slices: PhantomData<&'a mut [f32]>,
}

#[derive(Clone, Copy)]
struct Target {
    start: *mut f32,
    width: usize,
    step: usize,
    /// Number of the first band.
    first: usize,
    bands: usize,
}

/// Columns `columns` of all rows of matrix `matrix`, owned exclusively.
pub(crate) struct Band<'a> {
    pub(crate) matrix: usize,
    pub(crate) columns: std::ops::Range<usize>,
    start: *mut f32,
    width: usize,
    rows: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: sharing `Bands` only allows `next`, which moves each band of exclusively borrowed slices to one thread.
unsafe impl Sync for Bands<'_> {}

impl<'a> Bands<'a> {
    /// How many matrices one division can hold.
    pub(crate) const MAX: usize = 8;

    pub(crate) fn new(rows: usize) -> Bands<'a> {
        let empty = Target {
            start: std::ptr::null_mut(),
            width: 0,
            step: 1,
            first: 0,
            bands: 0,
        };
        Bands {
            targets: [empty; Bands::MAX],
            count: 0,
            rows,
            next: AtomicUsize::new(0),
            slices: PhantomData,
        }
    }

    /// Adds a matrix of `width` columns, given out `step` columns at a time.
    pub(crate) fn push(&mut self, out: &'a mut [f32], width: usize, step: usize) {
        assert!(self.count < Bands::MAX && step > 0);
        assert_eq!(Some(out.len()), self.rows.checked_mul(width));
        self.targets[self.count] = Target {
            start: out.as_mut_ptr(),
            width,
            step,
            first: self.total(),
            bands: width.div_ceil(step),
        };
        self.count += 1;
    }

    fn total(&self) -> usize {
        match self.count {
            0 => 0,
            n => self.targets[n - 1].first + self.targets[n - 1].bands,
        }
    }

    pub(crate) fn next(&self) -> Option<Band<'a>> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let targets = &self.targets[..self.count];
        let (matrix, target) = targets
            .iter()
            .enumerate()
            .find(|(_, t)| index >= t.first && index - t.first < t.bands)?;
        let from = (index - target.first) * target.step;
        Some(Band {
            matrix,
            columns: from..(from + target.step).min(target.width),
            start: target.start,
            width: target.width,
            rows: self.rows,
            slice: PhantomData,
        })
    }
}

impl Band<'_> {
    /// The band's part of row `row`.
    pub(crate) fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let at = row * self.width + self.columns.start;
        // SAFETY: `row < rows` and `columns` lies within `width`, so the range lies within the slice given to `push`,
        // whose length was checked there; bands do not overlap and each exists once.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), self.columns.len()) }
    }
}

/// Four buffers that hold some number of elements per row, given out together in blocks of rows.
pub(crate) struct RowBlocks<'a> {
    blocks: &'a [RowBlock],
    values: (*mut i8, usize),
    scales: (*mut f32, usize),
    sums: (*mut i32, usize),
    floats: (*mut f32, usize),
    next: AtomicUsize,
    slices: PhantomData<&'a mut [f32]>,
}

/// A block's exclusive share of the buffers.
pub(crate) struct RowBlockMut<'a> {
    pub(crate) block: RowBlock,
    pub(crate) values: &'a mut [i8],
    pub(crate) scales: &'a mut [f32],
    pub(crate) sums: &'a mut [i32],
    pub(crate) floats: &'a mut [f32],
}

/// A buffer and how many of its elements belong to one row.
pub(crate) struct PerRow<'a, T>(pub(crate) &'a mut [T], pub(crate) usize);

// SAFETY: sharing `RowBlocks` only allows `next`, which moves each block of exclusively borrowed slices to one thread.
unsafe impl Sync for RowBlocks<'_> {}

impl<'a> RowBlocks<'a> {
    /// `blocks` are consecutive and start at row 0.
    pub(crate) fn new(
        blocks: &'a [RowBlock],
        values: PerRow<'a, i8>,
        scales: PerRow<'a, f32>,
        sums: PerRow<'a, i32>,
        floats: PerRow<'a, f32>,
    ) -> RowBlocks<'a> {
        let rows = blocks.iter().fold(0, |rows, block| {
            assert_eq!(block.start, rows, "blocks follow each other");
            rows + block.rows
        });
        assert!(values.0.len() >= rows * values.1 && scales.0.len() >= rows * scales.1);
        assert!(sums.0.len() >= rows * sums.1 && floats.0.len() >= rows * floats.1);
        RowBlocks {
            blocks,
            values: (values.0.as_mut_ptr(), values.1),
            scales: (scales.0.as_mut_ptr(), scales.1),
            sums: (sums.0.as_mut_ptr(), sums.1),
            floats: (floats.0.as_mut_ptr(), floats.1),
            next: AtomicUsize::new(0),
            slices: PhantomData,
        }
    }

    pub(crate) fn next(&self) -> Option<RowBlockMut<'a>> {
        let block = *self.blocks.get(self.next.fetch_add(1, Ordering::Relaxed))?;
        // SAFETY: `new` checked that the blocks are consecutive and that each buffer holds all their rows; the counter
        // gives each block to one caller only. The same for the three below.
        let values = unsafe { part(self.values, block) };
        // SAFETY: as above.
        let scales = unsafe { part(self.scales, block) };
        // SAFETY: as above.
        let sums = unsafe { part(self.sums, block) };
        // SAFETY: as above.
        let floats = unsafe { part(self.floats, block) };
        Some(RowBlockMut {
            block,
            values,
            scales,
            sums,
            floats,
        })
    }
}

/// # Safety
/// The buffer holds the block's rows, and nobody else has this part of it.
unsafe fn part<'a, T>((start, per_row): (*mut T, usize), block: RowBlock) -> &'a mut [T] {
    // SAFETY: promised by the caller.
    unsafe {
        std::slice::from_raw_parts_mut(start.add(block.start * per_row), block.rows * per_row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_the_slice_once() {
        let mut data = vec![0u8; 103];
        let chunks = Chunks::new(&mut data, 10);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some((_, part)) = chunks.next() {
                        part.iter_mut().for_each(|byte| *byte += 1);
                    }
                });
            }
        });
        assert_eq!(data, vec![1; 103]);
    }

    #[test]
    fn bands_cover_every_matrix_once() {
        let (mut a, mut b) = (vec![0.0; 3 * 10], vec![0.0; 3 * 7]);
        let mut bands = Bands::new(3);
        bands.push(&mut a, 10, 4);
        bands.push(&mut b, 7, 3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(mut band) = bands.next() {
                        for row in 0..3 {
                            let at = band.columns.start;
                            for (i, value) in band.row(row).iter_mut().enumerate() {
                                *value += (row * 100 + at + i) as f32;
                            }
                        }
                    }
                });
            }
        });
        for (i, &value) in a.iter().enumerate() {
            assert_eq!(value, (i / 10 * 100 + i % 10) as f32);
        }
        for (i, &value) in b.iter().enumerate() {
            assert_eq!(value, (i / 7 * 100 + i % 7) as f32);
        }
    }
}
