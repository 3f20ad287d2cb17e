//! Storage types of ggml: numbers, names and block sizes.

use wick_kernels::QuantType;

/// A storage type as a GGUF file numbers it; may be one that nothing here computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GgmlType {
    pub(crate) id: u32,
    pub(crate) name: &'static str,
    pub(crate) block_len: u64,
    pub(crate) block_bytes: u64,
}

impl GgmlType {
    pub(crate) fn from_id(id: u32) -> Option<GgmlType> {
        TABLE
            .iter()
            .find(|row| row.0 == id)
            .map(|&(id, name, block_len, block_bytes)| GgmlType {
                id,
                name,
                block_len,
                block_bytes,
            })
    }

    /// The kernels' type of the same layout, if they have it.
    pub(crate) fn quant(self) -> Option<QuantType> {
        QuantType::ALL
            .into_iter()
            .find(|&quant| quant_id(quant) == self.id)
    }
}

/// Number of a kernel type in a GGUF file.
pub(crate) const fn quant_id(quant: QuantType) -> u32 {
    match quant {
        QuantType::F32 => 0,
        QuantType::F16 => 1,
        QuantType::Q4_0 => 2,
        QuantType::Q4_1 => 3,
        QuantType::Q5_0 => 6,
        QuantType::Q5_1 => 7,
        QuantType::Q8_0 => 8,
        QuantType::Q2K => 10,
        QuantType::Q3K => 11,
        QuantType::Q4K => 12,
        QuantType::Q5K => 13,
        QuantType::Q6K => 14,
        QuantType::BF16 => 30,
    }
}

/// Number, name, values per block, bytes per block; after `ggml_type` and `type_traits` of ggml.
/// Numbers left out were removed from the format.
const TABLE: &[(u32, &str, u64, u64)] = &[
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 36),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_type_has_the_layout_of_its_number() {
        for quant in QuantType::ALL {
            let ggml = GgmlType::from_id(quant_id(quant)).expect("kernel types are in the table");
            assert_eq!(ggml.quant(), Some(quant));
            assert_eq!(ggml.block_len, quant.block_len() as u64, "{quant:?}");
            assert_eq!(ggml.block_bytes, quant.block_bytes() as u64, "{quant:?}");
        }
    }

    #[test]
    fn numbers_are_unique_and_removed_ones_unknown() {
        for (index, row) in TABLE.iter().enumerate() {
            assert!(TABLE[..index].iter().all(|other| other.0 != row.0));
        }
        for removed in [4, 5, 31, 32, 33, 36, 37, 38, u32::MAX] {
            assert_eq!(GgmlType::from_id(removed), None);
        }
    }
}
