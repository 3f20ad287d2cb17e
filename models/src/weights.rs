//! Tensors of a GGUF file as packed matrices and f32 vectors, their shapes checked.

use wick_kernels::{Kernels, Parallel, QuantType, Weight};

use crate::gguf::Tensor;
use crate::{Error, Gguf};

/// Reads the weights of one model into the layout of one kernel table.
pub(crate) struct Loader<'a> {
    pub(crate) gguf: &'a Gguf,
    pub(crate) kernels: &'static Kernels,
    pub(crate) pool: &'a dyn Parallel,
}

/// A matrix and, in some families, what is added to its product.
pub(crate) struct Linear {
    pub(crate) weight: Weight,
    pub(crate) bias: Option<Vec<f32>>,
}

/// Scale and shift of a layer norm.
pub(crate) struct LayerNorm {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Linear {
    pub(crate) fn bytes(&self) -> usize {
        self.weight.packed_bytes()
            + self
                .bias
                .as_ref()
                .map_or(0, |bias| size_of_val(bias.as_slice()))
    }
}

impl Loader<'_> {
    /// The matrix `name` of `rows x cols`.
    pub(crate) fn matrix(&self, name: &str, rows: usize, cols: usize) -> Result<Weight, Error> {
        let tensor = self.tensor(name, &[rows, cols])?;
        self.pack(name, &tensor, tensor.bytes, rows)
    }

    /// Consecutive rows of `STEM.weight` and `STEM.bias`, which have `parts.iter().sum()` rows of `cols`: a fused QKV taken
    /// apart.
    pub(crate) fn split_linear<const N: usize>(
        &self,
        stem: &str,
        parts: [usize; N],
        cols: usize,
    ) -> Result<[Linear; N], Error> {
        let name = format!("{stem}.weight");
        let rows = parts.iter().sum();
        let tensor = self.tensor(&name, &[rows, cols])?;
        let bias = self.optional_vector(&format!("{stem}.bias"), rows)?;
        let row_bytes = tensor.quant.row_bytes(cols);
        let mut first = 0;
        let mut linears = Vec::with_capacity(N);
        for rows in parts {
            let part = first..first + rows;
            let bytes = &tensor.bytes[part.start * row_bytes..part.end * row_bytes];
            let weight = self.pack(&name, &tensor, bytes, rows)?;
            linears.push(Linear {
                weight,
                bias: bias.as_ref().map(|bias| bias[part.clone()].to_vec()),
            });
            first = part.end;
        }
        Ok(linears
            .try_into()
            .unwrap_or_else(|_| unreachable!("one matrix per part")))
    }

    /// The matrix `STEM.weight` with `STEM.bias` where the file has one.
    pub(crate) fn linear(&self, stem: &str, rows: usize, cols: usize) -> Result<Linear, Error> {
        let weight = self.matrix(&format!("{stem}.weight"), rows, cols)?;
        Ok(Linear {
            weight,
            bias: self.optional_vector(&format!("{stem}.bias"), rows)?,
        })
    }

    /// `STEM.weight` and `STEM.bias` of a layer norm over `len` values; no bias in the file means zero.
    pub(crate) fn layer_norm(&self, stem: &str, len: usize) -> Result<LayerNorm, Error> {
        let bias = self
            .optional_vector(&format!("{stem}.bias"), len)?
            .unwrap_or_else(|| vec![0.0; len]);
        Ok(LayerNorm {
            weight: self.vector(&format!("{stem}.weight"), len)?,
            bias,
        })
    }

    /// The vector `name` of `len` floats.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        vector(self.gguf, name, len)
    }

    /// The vector `name`, None where the file has none.
    pub(crate) fn optional_vector(
        &self,
        name: &str,
        len: usize,
    ) -> Result<Option<Vec<f32>>, Error> {
        self.gguf
            .has_tensor(name)
            .then(|| self.vector(name, len))
            .transpose()
    }

    /// The tensor `name`, whose shape must be `shape`.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>, Error> {
        tensor(self.gguf, name, shape)
    }

    fn pack(
        &self,
        name: &str,
        tensor: &Tensor<'_>,
        bytes: &[u8],
        rows: usize,
    ) -> Result<Weight, Error> {
        let cols = tensor.shape[tensor.shape.len() - 1];
        let weight = self
            .kernels
            .pack(tensor.quant, rows, cols, bytes, self.pool)
            .map_err(|error| bad_tensor(self.gguf, name, error.to_string()))?;
        // Otherwise the model would be in memory twice until the file is closed.
        self.gguf.release(bytes);
        Ok(weight)
    }
}

/// The vector `name` of `len` floats (F32, F16 or BF16).
pub(crate) fn vector(gguf: &Gguf, name: &str, len: usize) -> Result<Vec<f32>, Error> {
    let tensor = tensor(gguf, name, &[len])?;
    let half = |decode: fn([u8; 2]) -> f32| {
        let (pairs, _) = tensor.bytes.as_chunks::<2>();
        pairs.iter().copied().map(decode).collect()
    };
    match tensor.quant {
        QuantType::F32 => {
            let (words, _) = tensor.bytes.as_chunks::<4>();
            Ok(words.iter().copied().map(f32::from_le_bytes).collect())
        }
        QuantType::F16 => Ok(half(|bytes| half::f16::from_le_bytes(bytes).to_f32())),
        QuantType::BF16 => Ok(half(|bytes| half::bf16::from_le_bytes(bytes).to_f32())),
        other => Err(bad_tensor(
            gguf,
            name,
            format!("a vector of type {other:?} is not supported"),
        )),
    }
}

fn tensor<'a>(gguf: &'a Gguf, name: &str, shape: &[usize]) -> Result<Tensor<'a>, Error> {
    let tensor = gguf.tensor(name)?;
    if tensor.shape[..] != *shape {
        return Err(Error::TensorShape {
            path: gguf.path().to_owned(),
            name: name.to_owned(),
            found: tensor.shape.to_vec(),
            expected: shape.to_vec(),
        });
    }
    Ok(tensor)
}

/// An error about a tensor, naming file and tensor.
pub(crate) fn bad_tensor(gguf: &Gguf, name: &str, what: String) -> Error {
    Error::malformed(gguf.path(), format!("tensor '{name}'"), what)
}
