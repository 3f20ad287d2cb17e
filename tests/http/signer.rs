//! Issuers of tokens, one for each algorithm.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "a secret of thirty-two bytes, ok";
/// Made for these tests; it signs nothing else.
const RSA_KEY: &str = include_str!("rsa.pem");
const RSA_PUBLIC: &str = include_str!("rsa.pub.pem");
/// What stands before the 32 bytes of a private key in PKCS #8, and before a public key in its PEM form.
const ED25519_PRIVATE: &str = "302e020100300506032b657004220420";
const ED25519_PUBLIC: &str = "302a300506032b6570032100";
const P256_PRIVATE: &str = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";
const P256_PUBLIC: &str = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";

/// A private key.
pub(crate) struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    id: Option<String>,
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

/// Claims of Anna of this tenant for the next minute.
pub(crate) fn anna(tenant: &str) -> Value {
    json!({"sub": "anna", "tenant": tenant, "exp": now() + 60})
}

impl Signer {
    pub(crate) fn secret(secret: &[u8]) -> Signer {
        Signer::new(Algorithm::HS256, EncodingKey::from_secret(secret))
    }

    pub(crate) fn rsa() -> Signer {
        let key = EncodingKey::from_rsa_pem(RSA_KEY.as_bytes()).unwrap();
        Signer::new(Algorithm::RS256, key)
    }

    /// `seed` tells keys of one kind apart.
    pub(crate) fn ed25519(seed: u8) -> Signer {
        let der = [hex::decode(ED25519_PRIVATE).unwrap(), vec![seed; 32]].concat();
        Signer::new(Algorithm::EdDSA, EncodingKey::from_ed_der(&der))
    }

    pub(crate) fn p256(seed: u8) -> Signer {
        let der = [hex::decode(P256_PRIVATE).unwrap(), vec![seed; 32]].concat();
        Signer::new(Algorithm::ES256, EncodingKey::from_ec_der(&der))
    }

    fn new(algorithm: Algorithm, key: EncodingKey) -> Signer {
        let id = None;
        Signer { algorithm, key, id }
    }

    /// Signs by this name.
    pub(crate) fn named(self, id: &str) -> Signer {
        Signer {
            id: Some(id.to_owned()),
            ..self
        }
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = self.id.clone();
        encode(&header, claims, &self.key).unwrap()
    }

    /// The public key as an issuer publishes it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = self.public();
        jwk.common.key_id = self.id.clone();
        serde_json::to_value(jwk).unwrap()
    }

    /// The public key as a PEM file.
    pub(crate) fn pem(&self) -> String {
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let (start, key) = match self.public().algorithm {
            AlgorithmParameters::EllipticCurve(key) => {
                (P256_PUBLIC, [bytes(&key.x), bytes(&key.y)].concat())
            }
            AlgorithmParameters::OctetKeyPair(key) => (ED25519_PUBLIC, bytes(&key.x)),
            _ => return RSA_PUBLIC.to_owned(),
        };
        let der = STANDARD.encode([hex::decode(start).unwrap(), key].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
    }

    fn public(&self) -> Jwk {
        Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()
    }
}
