//! Names of answers and calls; they need not be secret, only different.

use rand::Rng;

/// `prefix` and 24 hexadecimal digits.
pub(crate) fn hex24(prefix: &str) -> String {
    format!("{prefix}{}", hex::encode(rand::random::<[u8; 12]>()))
}

/// `prefix` and a number below 999.
pub(crate) fn small(prefix: &str) -> String {
    format!("{prefix}{}", rand::rng().random_range(0..999))
}
