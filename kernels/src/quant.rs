//! Storage types of GGUF tensors and their blocks.

/// Storage types of GGUF tensors that can be weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are GGUF's own")]
pub enum QuantType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
}

impl QuantType {
    /// Every type, plain floats first.
    pub const ALL: [QuantType; 13] = [
        QuantType::F32,
        QuantType::F16,
        QuantType::BF16,
        QuantType::Q4_0,
        QuantType::Q4_1,
        QuantType::Q5_0,
        QuantType::Q5_1,
        QuantType::Q8_0,
        QuantType::Q2K,
        QuantType::Q3K,
        QuantType::Q4K,
        QuantType::Q5K,
        QuantType::Q6K,
    ];

    /// Weights per block; a row holds whole blocks.
    pub const fn block_len(self) -> usize {
        match self {
            QuantType::F32 | QuantType::F16 | QuantType::BF16 => 1,
            QuantType::Q4_0
            | QuantType::Q4_1
            | QuantType::Q5_0
            | QuantType::Q5_1
            | QuantType::Q8_0 => 32,
            QuantType::Q2K | QuantType::Q3K | QuantType::Q4K | QuantType::Q5K | QuantType::Q6K => {
                256
            }
        }
    }

    /// Bytes per block in a GGUF file.
    pub const fn block_bytes(self) -> usize {
        match self {
            QuantType::F32 => 4,
            QuantType::F16 | QuantType::BF16 => 2,
            QuantType::Q4_0 => 18,
            QuantType::Q4_1 => 20,
            QuantType::Q5_0 => 22,
            QuantType::Q5_1 => 24,
            QuantType::Q8_0 => 34,
            QuantType::Q2K => 84,
            QuantType::Q3K => 110,
            QuantType::Q4K => 144,
            QuantType::Q5K => 176,
            QuantType::Q6K => 210,
        }
    }

    /// Bytes of a row of `cols` weights in a GGUF file; `cols` is a multiple of [`block_len`](Self::block_len).
    pub fn row_bytes(self, cols: usize) -> usize {
        cols / self.block_len() * self.block_bytes()
    }

    /// How activations must be prepared for a product with this type.
    pub(crate) const fn activation(self) -> Activation {
        match self.block_len() {
            1 => Activation::Float,
            32 => Activation::Int32,
            _ => Activation::Int256,
        }
    }

    /// What is subtracted from a stored unsigned value before scaling.
    pub(crate) const fn offset(self) -> i32 {
        match self {
            QuantType::Q4_0 => 8,
            QuantType::Q5_0 => 16,
            QuantType::Q6K => 32,
            QuantType::Q3K => 4,
            QuantType::Q8_0 => 128,
            _ => 0,
        }
    }

    /// True where a block holds a minimum (or an offset in float) beside its scale.
    pub(crate) const fn has_min(self) -> bool {
        matches!(
            self,
            QuantType::Q4_1 | QuantType::Q5_1 | QuantType::Q2K | QuantType::Q4K | QuantType::Q5K
        )
    }
}

/// The three forms of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// f32 as they are.
    Float,
    /// int8 with one f32 scale per 32 values.
    Int32,
    /// int8 with one f32 scale per 256 values.
    Int256,
}
