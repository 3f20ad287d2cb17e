//! Quantised types as compile-time choices for generic kernels.
use crate::QuantType;

/// A type known at compile time.
pub(crate) trait Kind {
    const QUANT: QuantType;
}

macro_rules! kinds {
    ($($name:ident),*) => {
        $(
            pub(crate) struct $name;
            impl Kind for $name {
                const QUANT: QuantType = QuantType::$name;
            }
        )*
    };
}

kinds!(
    F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2K, Q3K, Q4K, Q5K, Q6K
);
