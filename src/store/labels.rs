//! Names of sizes and quantisations, as listings show them.

/// Parameter count: `7B`, `3.2B`, `22.57M`, `512K`, `17`.
pub fn parameter_size(parameters: u64) -> String {
    let count = parameters as f64;
    match parameters {
        1_000_000_000.. => {
            let billions = count / 1e9;
            if billions.fract() == 0.0 {
                format!("{billions}B")
            } else {
                format!("{billions:.1}B")
            }
        }
        1_000_000.. => {
            let millions = count / 1e6;
            if millions.fract() == 0.0 {
                format!("{millions}M")
            } else {
                format!("{millions:.2}M")
            }
        }
        1_000.. => format!("{:.0}K", count / 1e3),
        _ => parameters.to_string(),
    }
}

/// Label of a GGUF file's `general.file_type`; `unknown` where the value is missing or has none.
pub fn file_type(value: Option<u64>) -> &'static str {
    match value {
        Some(1) => "F16",
        Some(2) => "Q4_0",
        Some(3) => "Q4_1",
        Some(7) => "Q8_0",
        Some(8) => "Q5_0",
        Some(9) => "Q5_1",
        Some(10) => "Q2_K",
        Some(11) => "Q3_K_S",
        Some(12) => "Q3_K_M",
        Some(13) => "Q3_K_L",
        Some(14) => "Q4_K_S",
        Some(15) => "Q4_K_M",
        Some(16) => "Q5_K_S",
        Some(17) => "Q5_K_M",
        Some(18) => "Q6_K",
        Some(19) => "IQ2_XXS",
        Some(20) => "IQ2_XS",
        Some(21) => "Q2_K_S",
        Some(22) => "IQ3_XS",
        Some(23) => "IQ3_XXS",
        Some(24) => "IQ1_S",
        Some(25) => "IQ4_NL",
        Some(26) => "IQ3_S",
        Some(27) => "IQ3_M",
        Some(28) => "IQ2_S",
        Some(29) => "IQ2_M",
        Some(30) => "IQ4_XS",
        Some(31) => "IQ1_M",
        Some(32) => "BF16",
        Some(36) => "TQ1_0",
        Some(37) => "TQ2_0",
        Some(38) => "MXFP4_MOE",
        Some(39) => "NVFP4",
        Some(40) => "Q1_0",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sizes_round_as_listings_do() {
        for (count, label) in [
            (0, "0"),
            (999, "999"),
            (260_032, "260K"),
            (22_565_376, "22.57M"),
            (23_000_000, "23M"),
            (1_000_000_000, "1B"),
            (3_212_749_888, "3.2B"),
            (7_000_000_000, "7B"),
            (1_235_814_432, "1.2B"),
        ] {
            assert_eq!(parameter_size(count), label);
        }
    }

    #[test]
    fn file_types_have_their_llama_cpp_names() {
        assert_eq!(file_type(Some(15)), "Q4_K_M");
        assert_eq!(file_type(Some(7)), "Q8_0");
        assert_eq!(file_type(Some(0)), "unknown");
        assert_eq!(file_type(Some(999)), "unknown");
        assert_eq!(file_type(None), "unknown");
    }
}
