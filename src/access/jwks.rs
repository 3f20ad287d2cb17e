//! Public keys of an issuer (a JSON Web Key Set), read again as they change.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::Client;
use tokio::sync::Mutex;
use tracing::warn;

use super::tokens::Key;
use super::{AccessError, AccessSetupError, JwksSource};
use crate::tls;

/// After this time keys are read again, so that those the issuer took back are gone.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Time between two attempts, whoever asks with whatever key.
const PAUSE: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(5);
/// No set of keys is longer.
const SET_BYTES: usize = 1 << 20;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Jwks {
    source: JwksSource,
    client: Client,
    known: RwLock<Known>,
    /// When it was last attempted to read them; held while it is.
    attempt: Mutex<Option<Instant>>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    read_at: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("it is no set of keys: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it is longer than {SET_BYTES} bytes")]
    TooLong,
    #[error("it holds no key for RS256, ES256 or EdDSA")]
    Empty,
}

impl Jwks {
    pub(super) fn new(source: JwksSource) -> Result<Jwks, AccessSetupError> {
        let client = tls::client()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Jwks {
            source,
            client,
            known: RwLock::default(),
            attempt: Mutex::new(None),
        })
    }

    /// The keys that a token may be signed with: those of the name it gives, or all if it gives none.
    pub(super) async fn keys(&self, id: Option<&str>) -> Result<Vec<Key>, AccessError> {
        let known = self.known();
        let named = named(&known.keys, id);
        let fresh = known.read_at.is_some_and(|at| at.elapsed() < MAX_AGE);
        if fresh && !named.is_empty() {
            return Ok(named);
        }
        self.refresh(known.read_at).await;
        let known = self.known();
        match known.read_at {
            Some(_) => Ok(self::named(&known.keys, id)),
            None => Err(AccessError::Unavailable),
        }
    }

    fn known(&self) -> Known {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Reads the keys unless somebody else has done so since `seen`, or tried a moment ago. Old keys stay
    /// where there are no new ones: an issuer that is down for a while locks nobody out.
    async fn refresh(&self, seen: Option<Instant>) {
        let mut attempt = self.attempt.lock().await;
        let is_done = self.known().read_at != seen;
        if is_done || attempt.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        *attempt = Some(Instant::now());
        match self.read().await {
            Ok(keys) => {
                let known = Known {
                    keys: Arc::new(keys),
                    read_at: Some(Instant::now()),
                };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
            }
            Err(error) => warn!("cannot read the public keys of the issuer: {error}"),
        }
    }

    async fn read(&self) -> Result<Vec<Key>, ReadError> {
        let bytes = match &self.source {
            JwksSource::File(path) => read_file(path).await?,
            JwksSource::Url(url) => self.fetch(url).await?,
        };
        if bytes.len() > SET_BYTES {
            return Err(ReadError::TooLong);
        }
        let set: JwkSet = serde_json::from_slice(&bytes)?;
        let keys: Vec<Key> = set.keys.iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err(ReadError::Empty);
        }
        Ok(keys)
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, ReadError> {
        let mut answer = self.client.get(url).send().await?.error_for_status()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > SET_BYTES {
                return Err(ReadError::TooLong);
            }
        }
        Ok(bytes)
    }
}

async fn read_file(path: &Path) -> Result<Vec<u8>, ReadError> {
    Ok(tokio::fs::read(path).await?)
}

fn named(keys: &[Key], id: Option<&str>) -> Vec<Key> {
    let meant = |key: &&Key| id.is_none() || key.id.as_deref() == id;
    keys.iter().filter(meant).cloned().collect()
}

/// The key, if it checks signatures of a kind that is accepted. Secrets have no place in such a set.
fn usable(jwk: &Jwk) -> Option<Key> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        // The list is open.
        _ => return None,
    };
    let stated = jwk.common.key_algorithm;
    let is_other = stated.is_some_and(|stated| stated != algorithm.into());
    let signs = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    if is_other || !signs {
        return None;
    }
    Some(Key {
        id: jwk.common.key_id.clone(),
        algorithm,
        key: DecodingKey::from_jwk(jwk).ok()?,
    })
}
