//! SHA-256 digests of blobs: `sha256:<64 hex>`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The text is not `sha256:` (or `sha256-`) and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid digest format")]
pub struct InvalidDigest;

/// Digest of a blob.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::finish(Sha256::new_with_prefix(bytes))
    }

    /// Digest of what `hasher` has seen.
    pub(crate) fn finish(hasher: Sha256) -> Digest {
        Digest(hasher.finalize().into())
    }

    /// 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The first 12 hexadecimal digits, as progress lines show them.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }

    /// Name of the blob's file: `sha256-<hex>`.
    pub fn file_name(&self) -> String {
        format!("sha256-{}", self.hex())
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Digest, InvalidDigest> {
        let hex = text
            .strip_prefix("sha256")
            .and_then(|rest| rest.strip_prefix([':', '-']))
            .ok_or(InvalidDigest)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(hex, &mut bytes).map_err(|_| InvalidDigest)?;
        Ok(Digest(bytes))
    }
}

/// `sha256:<hex>`.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators_and_cases_are_read_and_one_form_is_written() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for text in [
            format!("sha256:{hex}"),
            format!("sha256-{hex}"),
            format!("sha256:{}", hex.to_uppercase()),
        ] {
            assert_eq!(text.parse::<Digest>().unwrap(), Digest::of(b"abc"));
        }
        assert_eq!(Digest::of(b"abc").to_string(), format!("sha256:{hex}"));
        assert_eq!(Digest::of(b"abc").short(), "ba7816bf8f01");
        for text in [
            "",
            "sha256",
            "sha256:",
            &hex[1..],
            "sha512:00",
            &format!("sha256:{hex}0"),
            "sha256-../../x",
        ] {
            assert_eq!(
                text.parse::<Digest>().unwrap_err().to_string(),
                "invalid digest format"
            );
        }
    }
}
