//! Secrets at rest: sealed with a key that only the environment knows, each bound to the place it is for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

/// Bytes that are never used twice with one key; drawn at random.
const NONCE: usize = 24;

/// Seals and opens secrets.
#[derive(Clone)]
pub struct Vault(XChaCha20Poly1305);

/// A secret that does not open: another key, another place, or damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be opened: was WICK_SECRET_KEY changed?")]
pub struct Sealed;

impl Vault {
    /// With a key of at least 32 random bytes, in any spelling.
    pub fn new(key: &str) -> Vault {
        let key = Sha256::new()
            .chain_update(b"wick connection secrets 1\0")
            .chain_update(key.as_bytes())
            .finalize();
        Vault(XChaCha20Poly1305::new(&key))
    }

    /// Seals a secret for a place; opened for another place it does not open.
    pub fn seal(&self, place: &str, secret: &str) -> Option<String> {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: place.as_bytes(),
        };
        let sealed = self.0.encrypt(XNonce::from_slice(&nonce), payload).ok()?;
        Some(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// Anything else.
    pub fn open(&self, place: &str, sealed: &str) -> Result<String, Sealed> {
        let bytes = STANDARD.decode(sealed).map_err(|_| Sealed)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or(Sealed)?;
        let payload = Payload {
            msg: sealed,
            aad: place.as_bytes(),
        };
        let opened = self.0.decrypt(XNonce::from_slice(nonce), payload);
        String::from_utf8(opened.map_err(|_| Sealed)?).map_err(|_| Sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_open_with_their_key_in_their_place_only() {
        let vault = Vault::new("0123456789abcdef0123456789abcdef");
        let sealed = vault
            .seal("acme\0shop", "postgres://me:hunter2@db/x")
            .unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(
            vault.open("acme\0shop", &sealed).unwrap(),
            "postgres://me:hunter2@db/x"
        );
        assert_eq!(vault.open("evil\0shop", &sealed), Err(Sealed));
        let other = Vault::new("another key of some thirty-two bytes");
        assert_eq!(other.open("acme\0shop", &sealed), Err(Sealed));
        assert_ne!(vault.seal("a", "x"), vault.seal("a", "x"));
        for damaged in ["", "AAAA", "no base64!", &sealed[1..]] {
            assert_eq!(vault.open("acme\0shop", damaged), Err(Sealed));
        }
    }
}
