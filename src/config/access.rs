//! Settings of who may ask for what.

use std::path::{Path, PathBuf};

use crate::access::{AccessConfig, JwksSource, LimitsConfig, Secret};

use super::{ConfigError, Env};

/// Shorter secrets can be guessed.
const SECRET_BYTES: usize = 32;

/// Reads the `WICK_JWT_*` and `WICK_LIMIT_*` variables; API keys are in `data_dir`.
pub(super) fn load<F: Fn(&str) -> Option<String>>(
    env: &Env<F>,
    data_dir: Option<&Path>,
) -> Result<AccessConfig, ConfigError> {
    let defaults = LimitsConfig::default();
    let limit = |name, default| {
        let limit = env.own(name, "a number of requests an hour, 0 for no limit", |_| {
            true
        })?;
        Ok(limit.unwrap_or(default))
    };
    Ok(AccessConfig {
        jwt_secret: secret(env, "WICK_JWT_SECRET")?,
        jwt_public_key: env.text("WICK_JWT_PUBLIC_KEY").map(PathBuf::from),
        jwks: jwks(env)?,
        issuers: env.list("WICK_JWT_ISSUER"),
        audiences: env.list("WICK_JWT_AUDIENCE"),
        tenant_claim: env.text("WICK_JWT_TENANT_CLAIM"),
        keys_file: data_dir.map(|dir| dir.join("keys.json")),
        limits: LimitsConfig {
            generate: limit("WICK_LIMIT_GENERATE", defaults.generate)?,
            coach: limit("WICK_LIMIT_COACH", defaults.coach)?,
            sql: limit("WICK_LIMIT_SQL", defaults.sql)?,
            code: limit("WICK_LIMIT_CODE", defaults.code)?,
        },
        redis: env.text("WICK_REDIS").map(Secret::new),
    })
}

/// The value as it is, spaces and quotes included: issuer and server must use the same bytes.
pub(super) fn secret<F: Fn(&str) -> Option<String>>(
    env: &Env<F>,
    name: &'static str,
) -> Result<Option<Secret>, ConfigError> {
    match (env.0)(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) if text.len() < SECRET_BYTES => Err(ConfigError::ShortSecret {
            name,
            bytes: text.len(),
            least: SECRET_BYTES,
        }),
        Some(text) => Ok(Some(Secret::new(text))),
    }
}

fn jwks<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<Option<JwksSource>, ConfigError> {
    let Some(value) = env.text("WICK_JWT_JWKS") else {
        return Ok(None);
    };
    if !value.contains("://") {
        return Ok(Some(JwksSource::File(PathBuf::from(value))));
    }
    // Whoever can change the keys on their way can sign whatever they like.
    let is_safe = reqwest::Url::parse(&value).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default();
        let is_local = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        url.scheme() == "https" || (url.scheme() == "http" && is_local)
    });
    match is_safe {
        true => Ok(Some(JwksSource::Url(value))),
        false => Err(ConfigError::Invalid {
            name: "WICK_JWT_JWKS",
            value,
            expected: "a file, an https:// URL, or an http:// URL of this machine",
        }),
    }
}
