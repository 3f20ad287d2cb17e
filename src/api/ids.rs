//! Names of answers and calls; they need not be secret, only different.

use rand::Rng;

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// `prefix` and 24 hexadecimal digits.
pub(crate) fn hex24(prefix: &str) -> String {
    format!("{prefix}{}", hex::encode(rand::random::<[u8; 12]>()))
}

/// `call_` and 8 letters or digits.
pub(crate) fn tool_call() -> String {
    let mut random = rand::rng();
    let letters = (0..8).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]));
    format!("call_{}", letters.collect::<String>())
}

/// `prefix` and a number below 999.
pub(crate) fn small(prefix: &str) -> String {
    format!("{prefix}{}", rand::rng().random_range(0..999))
}
