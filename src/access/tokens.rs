//! Signed tokens (JWT, RFC 7519): whose they are, and why they are refused.
//!
//! Every key is good for one algorithm, chosen by the operator's kind of key and never by the token, so that
//! a token cannot have a public key taken for a secret or go unsigned.

use std::fs;
use std::path::Path;

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::jwks::Jwks;
use super::{AccessConfig, AccessError, AccessSetupError, Area, Caller, DEFAULT_TENANT, is_name};

const TENANT_CLAIM: &str = "tenant";

/// Checks tokens against all configured keys.
#[derive(Debug)]
pub(super) struct Tokens {
    keys: Vec<Key>,
    jwks: Option<Jwks>,
    issuers: Vec<String>,
    audiences: Vec<String>,
    tenant_claim: String,
}

/// A key and the one algorithm it is good for.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// The name that tokens may call it by.
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl Tokens {
    /// `None`: no key is configured, so that there can be no tokens.
    pub(super) fn new(config: &AccessConfig) -> Result<Option<Tokens>, AccessSetupError> {
        let mut keys = Vec::new();
        if let Some(secret) = &config.jwt_secret {
            keys.push(Key {
                id: None,
                algorithm: Algorithm::HS256,
                key: DecodingKey::from_secret(secret.reveal().as_bytes()),
            });
        }
        if let Some(path) = &config.jwt_public_key {
            keys.push(read_pem(path)?);
        }
        let jwks = config.jwks.clone().map(Jwks::new).transpose()?;
        if keys.is_empty() && jwks.is_none() {
            return Ok(None);
        }
        let tenant_claim = config.tenant_claim.clone();
        Ok(Some(Tokens {
            keys,
            jwks,
            issuers: config.issuers.clone(),
            audiences: config.audiences.clone(),
            tenant_claim: tenant_claim.unwrap_or_else(|| TENANT_CLAIM.to_owned()),
        }))
    }

    /// Whose token this is, if all about it is right.
    pub(super) async fn verify(&self, token: &str) -> Result<Caller, AccessError> {
        let header = decode_header(token).map_err(|error| refusal(&error))?;
        if header.crit.is_some() {
            // Extensions that must be understood, and none is.
            return Err(AccessError::Malformed);
        }
        match self.check(token, header.alg, &self.keys) {
            // Another key may have made the signature.
            Err(AccessError::UnknownSigner | AccessError::Signature) if self.jwks.is_some() => {}
            decided => return decided,
        }
        match &self.jwks {
            Some(jwks) if header.alg != Algorithm::HS256 => {
                let keys = jwks.keys(header.kid.as_deref()).await?;
                self.check(token, header.alg, &keys)
            }
            _ => Err(AccessError::UnknownSigner),
        }
    }

    /// Tries the keys that are good for the algorithm; the last one says why the token is refused.
    fn check(
        &self,
        token: &str,
        algorithm: Algorithm,
        keys: &[Key],
    ) -> Result<Caller, AccessError> {
        let mut why = AccessError::UnknownSigner;
        for key in keys.iter().filter(|key| key.algorithm == algorithm) {
            match decode::<Map<String, Value>>(token, &key.key, &self.validation(algorithm)) {
                Ok(token) => return self.caller(&token.claims),
                Err(error) => why = refusal(&error),
            }
        }
        Err(why)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.validate_aud = !self.audiences.is_empty();
        let mut required = vec!["exp", "sub"];
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
            required.push("iss");
        }
        if !self.audiences.is_empty() {
            validation.set_audience(&self.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    fn caller(&self, claims: &Map<String, Value>) -> Result<Caller, AccessError> {
        let missing = |name: &str| AccessError::Claim(name.to_owned());
        let name = |claim: &Value| match claim {
            Value::String(text) => Some(text.clone()).filter(|text| is_name(text)),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let user = claims.get("sub").and_then(name);
        let tenant = match claims.get(&self.tenant_claim) {
            None | Some(Value::Null) => DEFAULT_TENANT.to_owned(),
            Some(claim) => name(claim).ok_or_else(|| missing(&self.tenant_claim))?,
        };
        let scopes = claims.get("scope").or(claims.get("scopes"));
        Ok(Caller {
            tenant,
            user: Some(user.ok_or_else(|| missing("sub"))?),
            areas: Area::of_scopes(scopes.into_iter().flat_map(words)),
        })
    }
}

/// Scopes: one text with spaces between, or a list of texts.
fn words(scopes: &Value) -> Vec<&str> {
    match scopes {
        Value::String(text) => text.split_whitespace().collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// The public key of a PEM file; its kind decides the algorithm.
fn read_pem(path: &Path) -> Result<Key, AccessSetupError> {
    let bytes = fs::read(path).map_err(|source| AccessSetupError::File {
        path: path.to_owned(),
        source,
    })?;
    let unusable = |problem| AccessSetupError::Key {
        path: path.to_owned(),
        problem,
    };
    if String::from_utf8_lossy(&bytes).contains("PRIVATE KEY") {
        return Err(unusable("this is a private key; give the public one"));
    }
    let kinds = [
        (Algorithm::RS256, DecodingKey::from_rsa_pem(&bytes)),
        (Algorithm::ES256, DecodingKey::from_ec_pem(&bytes)),
        (Algorithm::EdDSA, DecodingKey::from_ed_pem(&bytes)),
    ];
    let key = kinds.into_iter().find_map(|(algorithm, key)| {
        let key = key.ok()?;
        Some(Key {
            id: None,
            algorithm,
            key,
        })
    });
    key.ok_or_else(|| unusable("there is no RSA, P-256 or Ed25519 public key in PEM form"))
}

fn refusal(error: &Error) -> AccessError {
    match error.kind() {
        ErrorKind::ExpiredSignature => AccessError::Expired,
        ErrorKind::ImmatureSignature => AccessError::NotYetValid,
        ErrorKind::InvalidIssuer => AccessError::Issuer,
        ErrorKind::InvalidAudience => AccessError::Audience,
        ErrorKind::InvalidSignature => AccessError::Signature,
        ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => {
            AccessError::Claim(name.clone())
        }
        ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::UnsupportedAlgorithm => AccessError::UnknownSigner,
        // The list is open; whatever else there is, the token is of no use.
        _ => AccessError::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;
    use crate::access::Secret;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const FAR: u64 = 4_000_000_000;

    fn tokens(change: impl FnOnce(&mut AccessConfig)) -> Tokens {
        let mut config = AccessConfig {
            jwt_secret: Some(Secret::new(SECRET.to_owned())),
            ..AccessConfig::default()
        };
        change(&mut config);
        Tokens::new(&config).unwrap().unwrap()
    }

    fn signed(claims: &Value) -> String {
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        encode(&Header::default(), claims, &key).unwrap()
    }

    #[tokio::test]
    async fn claims_become_a_caller() {
        let tokens = tokens(|config| config.tenant_claim = Some("org".to_owned()));
        let claims = json!({"sub": "anna", "org": 7, "exp": FAR, "scope": "a wick:sql"});
        let caller = tokens.verify(&signed(&claims)).await.unwrap();
        assert_eq!(
            (caller.tenant.as_str(), caller.user.as_deref()),
            ("7", Some("anna"))
        );
        assert!(caller.may_use(Area::Sql).is_ok() && caller.may_use(Area::Code).is_err());
        let claims = json!({"sub": "anna", "tenant": "other", "exp": FAR});
        let caller = tokens.verify(&signed(&claims)).await.unwrap();
        assert_eq!(caller.tenant, DEFAULT_TENANT);
        assert!(caller.may_use(Area::Code).is_ok());
    }

    #[tokio::test]
    async fn claims_of_the_wrong_form_are_refused() {
        let tokens = tokens(|_| {});
        for claims in [
            json!({"sub": "anna"}),
            json!({"exp": FAR}),
            json!({"sub": "anna", "exp": "4000000000"}),
            json!({"sub": "", "exp": FAR}),
            json!({"sub": "a\nb", "exp": FAR}),
            json!({"sub": 7, "exp": FAR}),
            json!({"sub": "anna", "exp": FAR, "tenant": {"a": 1}}),
            json!({"sub": "anna", "exp": FAR, "nbf": "tomorrow"}),
        ] {
            let refused = tokens.verify(&signed(&claims)).await;
            assert!(
                matches!(refused, Err(AccessError::Claim(_))),
                "{claims}: {refused:?}"
            );
        }
    }

    #[tokio::test]
    async fn times_issuers_and_audiences_are_checked() {
        let tokens = tokens(|config| {
            config.issuers = vec!["https://a.test".to_owned()];
            config.audiences = vec!["wick".to_owned()];
        });
        let good =
            json!({"sub": "anna", "exp": FAR, "iss": "https://a.test", "aud": ["x", "wick"]});
        assert!(tokens.verify(&signed(&good)).await.is_ok());
        for (key, value, want) in [
            ("exp", json!(1_000_000_000), "expired"),
            ("nbf", json!(FAR), "not valid yet"),
            ("iss", json!("https://b.test"), "issuer"),
            ("iss", json!(null), "'iss'"),
            ("aud", json!("other"), "audience"),
            ("aud", json!(null), "'aud'"),
        ] {
            let mut claims = good.clone();
            claims[key] = value;
            let refused = tokens
                .verify(&signed(&claims))
                .await
                .unwrap_err()
                .to_string();
            assert!(refused.contains(want), "{claims}: {refused}");
        }
    }

    #[test]
    fn private_keys_and_other_files_are_no_public_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let read = || {
            let config = AccessConfig {
                jwt_public_key: Some(path.clone()),
                ..AccessConfig::default()
            };
            Tokens::new(&config).map(|_| ()).unwrap_err().to_string()
        };
        assert!(read().starts_with("cannot read"));
        for (text, want) in [
            ("-----BEGIN PRIVATE KEY-----", "private key"),
            ("hello", "no RSA, P-256 or Ed25519 public key"),
        ] {
            fs::write(&path, text).unwrap();
            let message = read();
            assert!(message.contains(want), "{message}");
        }
    }
}
