//! Between plain floats and the blocks of storage types, a stretch of rows at a time.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use half::{bf16, f16};
use rayon::prelude::*;
use wick_kernels::QuantType;

/// Values quantised at once by one thread.
const STRETCH_VALUES: usize = 1 << 18;
/// Stretches between two writes; together they bound the memory a tensor needs.
const STRETCHES: usize = 16;

/// Rows of plain floats that are to be stored in another type.
pub(crate) struct Rows<'a> {
    /// F32, F16 or BF16 in little-endian order.
    pub(crate) bytes: &'a [u8],
    pub(crate) from: QuantType,
    pub(crate) to: QuantType,
    /// Values per row, a multiple of the block length of `to`.
    pub(crate) columns: usize,
}

/// Why a tensor could not be stored in another type.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    #[error("{0:?} is not a plain float type")]
    NotPlain(QuantType),
    #[error("value {index} is {value}, which no quantised type can hold")]
    NotFinite { index: usize, value: f32 },
    #[error("the quantiser failed: {0}")]
    Quantiser(#[from] candle_core::Error),
}

/// Whether a type holds plain floats, and so can be converted to any other.
pub(crate) const fn is_plain(quant: QuantType) -> bool {
    matches!(quant, QuantType::F32 | QuantType::F16 | QuantType::BF16)
}

impl Rows<'_> {
    /// Packs all rows in order; `emit` gets the blocks of some rows at a time, with the number of
    /// bytes read for them.
    pub(crate) fn pack<E: From<PackError>>(
        &self,
        mut emit: impl FnMut(&[u8], u64) -> Result<(), E>,
    ) -> Result<(), E> {
        if !is_plain(self.from) {
            return Err(PackError::NotPlain(self.from).into());
        }
        let value_bytes = self.from.block_bytes();
        let stretch_rows = (STRETCH_VALUES / self.columns).max(1);
        let stretch_bytes = stretch_rows * self.columns * value_bytes;
        for (group, bytes) in self.bytes.chunks(stretch_bytes * STRETCHES).enumerate() {
            let first_value = group * stretch_bytes * STRETCHES / value_bytes;
            let packed: Vec<Result<Vec<u8>, PackError>> = bytes
                .par_chunks(stretch_bytes)
                .enumerate()
                .map(|(index, stretch)| {
                    let values = to_f32(self.from, stretch);
                    let offset = first_value + index * stretch_rows * self.columns;
                    pack_values(values, self.columns, self.to, offset)
                })
                .collect();
            let packed = packed.into_iter().collect::<Result<Vec<_>, _>>()?;
            let mut left = bytes.len();
            for blocks in packed {
                let read = stretch_bytes.min(left);
                left -= read;
                emit(&blocks, read as u64)?;
            }
        }
        Ok(())
    }
}

/// Plain floats of any of the three types as f32; none for another type.
fn to_f32(from: QuantType, bytes: &[u8]) -> Vec<f32> {
    match from {
        QuantType::F32 => {
            let (values, _) = bytes.as_chunks();
            values
                .iter()
                .map(|value| f32::from_le_bytes(*value))
                .collect()
        }
        QuantType::F16 => {
            let (values, _) = bytes.as_chunks();
            let values = values.iter().map(|value| f16::from_le_bytes(*value));
            values.map(f16::to_f32).collect()
        }
        QuantType::BF16 => {
            let (values, _) = bytes.as_chunks();
            let values = values.iter().map(|value| bf16::from_le_bytes(*value));
            values.map(bf16::to_f32).collect()
        }
        _ => Vec::new(),
    }
}

fn pack_values(
    values: Vec<f32>,
    columns: usize,
    to: QuantType,
    offset: usize,
) -> Result<Vec<u8>, PackError> {
    let dtype = match to {
        QuantType::F32 => {
            return Ok(values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect());
        }
        QuantType::F16 => {
            let halves = values.iter().map(|&value| f16::from_f32(value));
            return Ok(halves.flat_map(f16::to_le_bytes).collect());
        }
        QuantType::BF16 => {
            let halves = values.iter().map(|&value| bf16::from_f32(value));
            return Ok(halves.flat_map(bf16::to_le_bytes).collect());
        }
        QuantType::Q4_0 => GgmlDType::Q4_0,
        QuantType::Q4_1 => GgmlDType::Q4_1,
        QuantType::Q5_0 => GgmlDType::Q5_0,
        QuantType::Q5_1 => GgmlDType::Q5_1,
        QuantType::Q8_0 => GgmlDType::Q8_0,
        QuantType::Q2K => GgmlDType::Q2K,
        QuantType::Q3K => GgmlDType::Q3K,
        QuantType::Q4K => GgmlDType::Q4K,
        QuantType::Q5K => GgmlDType::Q5K,
        QuantType::Q6K => GgmlDType::Q6K,
    };
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(PackError::NotFinite {
            index: offset + index,
            value: values[index],
        });
    }
    let rows = values.len() / columns;
    let tensor = Tensor::from_vec(values, (rows, columns), &Device::Cpu)?;
    let blocks = QTensor::quantize(&tensor, dtype)?;
    Ok(blocks.data()?.into_owned())
}
