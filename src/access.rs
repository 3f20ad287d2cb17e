//! Who may ask for what, and how often: tokens, API keys and limits.
//!
//! Nothing here knows HTTP. The server hands in the text of a credential and is told who the caller is
//! ([`Access::identify`]), and counts requests against that caller's limits ([`Access::limits`]).

mod jwks;
pub mod keys;
mod limits;
mod tokens;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use limits::{Budget, Limits, LimitsConfig, SharedError, WINDOW};

use keys::{KeyFile, KeyFileError};
use tokens::Tokens;

/// The tenant of callers whose credential names none, and of this machine where nothing is configured.
pub const DEFAULT_TENANT: &str = "default";
/// No credential is longer; what is need not be looked at.
const CREDENTIAL_BYTES: usize = 16 << 10;
/// Longest name of a tenant or a user, in bytes.
const NAME_BYTES: usize = 256;

/// A part of the assistant layer, as scopes (`wick:generate`) and limits tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Text from a prompt.
    Generate,
    /// The coach.
    Coach,
    /// SQL.
    Sql,
    /// Code.
    Code,
    /// Documents.
    Rag,
}

/// A secret text that never shows in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Where a set of public keys (RFC 7517) is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksSource {
    /// Read again when it changes.
    File(PathBuf),
    /// Fetched over HTTPS, or over HTTP from this machine.
    Url(String),
}

/// What access is decided by.
#[derive(Clone, Debug, Default)]
pub struct AccessConfig {
    /// Secret of HS256 tokens, 32 bytes or more.
    pub jwt_secret: Option<Secret>,
    /// PEM file with the public key of RS256, ES256 or EdDSA tokens.
    pub jwt_public_key: Option<PathBuf>,
    /// Public keys of RS256, ES256 or EdDSA tokens.
    pub jwks: Option<JwksSource>,
    /// Accepted values of `iss`; empty: not looked at.
    pub issuers: Vec<String>,
    /// Accepted values of `aud`; empty: not looked at.
    pub audiences: Vec<String>,
    /// Claim that names the tenant; `None`: `tenant`.
    pub tenant_claim: Option<String>,
    /// File of the API keys; `None`: there are none.
    pub keys_file: Option<PathBuf>,
    /// How often a user may ask.
    pub limits: LimitsConfig,
    /// Address of a Redis that keeps what users have asked; `None`: this process does.
    pub redis: Option<Secret>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose data it is about; nothing is shared between tenants.
    pub tenant: String,
    /// The user within the tenant; `None`: nobody in particular.
    pub user: Option<String>,
    /// What the credential is good for; `None`: everything.
    areas: Option<BTreeSet<Area>>,
}

/// Decides who may ask.
#[derive(Debug)]
pub struct Access {
    tokens: Option<Tokens>,
    keys: KeyFile,
    limits: Limits,
}

/// Why a caller is not let in. The texts tell the client what to do and never hold a part of the credential.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no credential.
    #[error("credentials are required: send 'Authorization: Bearer' with a token or an API key")]
    Missing,
    /// Nothing is configured and the caller is elsewhere.
    #[error(
        "only this machine may ask until credentials are configured: run 'wick keys add' or set WICK_JWT_SECRET"
    )]
    NotLocal,
    /// No such key, or it was revoked.
    #[error("the API key is not known: ask the operator for a new one")]
    UnknownKey,
    /// Neither a token nor a key.
    #[error("the token cannot be read: send it whole, as it was issued")]
    Malformed,
    /// Signed by an algorithm, or with a key, that is not configured here.
    #[error("the token is signed with an algorithm or key that is not accepted here")]
    UnknownSigner,
    /// The signature is wrong.
    #[error("the token's signature is not valid")]
    Signature,
    /// Its time is over.
    #[error("the token has expired: sign in again")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet: check the clocks of issuer and server")]
    NotYetValid,
    /// A claim lacks or has the wrong form.
    #[error("the token's claim '{0}' is missing or cannot be read")]
    Claim(String),
    /// Made by somebody else.
    #[error("the token comes from an issuer that is not accepted here")]
    Issuer,
    /// Made for somebody else.
    #[error("the token is meant for another audience")]
    Audience,
    /// The credential is good, but not for this.
    #[error("this credential does not allow '{0}': ask for the scope 'wick:{0}'")]
    Scope(Area),
    /// The user has asked too often.
    #[error("the limit of {} {area} requests an hour is reached: try again in {} seconds", .budget.limit, .budget.wait_seconds)]
    Limit {
        /// Which limit.
        area: Area,
        /// What is left of it: nothing, and for how long.
        budget: Budget,
    },
    /// Keys cannot be had at the moment.
    #[error("credentials cannot be checked at the moment: try again later")]
    Unavailable,
}

/// Why access cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AccessSetupError {
    /// A file that cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that holds no key.
    #[error("{path}: {problem}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The client that fetches public keys.
    #[error("cannot fetch public keys")]
    Client(#[from] reqwest::Error),
    /// An address of a Redis that is none.
    #[error(transparent)]
    Redis(#[from] SharedError),
}

impl Access {
    /// Reads the keys that `config` names.
    pub fn new(config: &AccessConfig) -> Result<Access, AccessSetupError> {
        Ok(Access {
            tokens: Tokens::new(config)?,
            keys: KeyFile::new(config.keys_file.clone()),
            limits: Limits::new(&config.limits, config.redis.as_ref())?,
        })
    }

    /// Whether callers can have credentials, and so need them.
    pub fn is_configured(&self) -> bool {
        self.tokens.is_some() || self.keys.exists()
    }

    /// Whose credential this is: a token or an API key.
    pub async fn identify(&self, credential: &str) -> Result<Caller, AccessError> {
        if credential.len() > CREDENTIAL_BYTES {
            return Err(AccessError::Malformed);
        }
        if keys::looks_like_key(credential) {
            return match self.keys.find(credential) {
                Ok(Some(key)) => Ok(key.caller()),
                Ok(None) => Err(AccessError::UnknownKey),
                Err(error) => {
                    log_key_file(&error);
                    Err(AccessError::Unavailable)
                }
            };
        }
        match &self.tokens {
            Some(tokens) => tokens.verify(credential).await,
            None => Err(AccessError::UnknownSigner),
        }
    }

    /// How often users may ask.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

fn log_key_file(error: &KeyFileError) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(cause, "API keys cannot be checked: {error}");
}

impl Caller {
    /// Somebody on this machine, while nothing is configured.
    pub fn local() -> Caller {
        Caller {
            tenant: DEFAULT_TENANT.to_owned(),
            user: None,
            areas: None,
        }
    }

    /// Somebody who was not asked for a credential and has given none that counts.
    pub fn anonymous() -> Caller {
        Caller {
            tenant: String::new(),
            user: None,
            areas: None,
        }
    }

    /// Whether the credential is good for this.
    pub fn may_use(&self, area: Area) -> Result<(), AccessError> {
        match &self.areas {
            Some(areas) if !areas.contains(&area) => Err(AccessError::Scope(area)),
            _ => Ok(()),
        }
    }
}

impl Area {
    /// All of them.
    pub const ALL: [Area; 5] = [
        Area::Generate,
        Area::Coach,
        Area::Sql,
        Area::Code,
        Area::Rag,
    ];

    /// The name in scopes, limits and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Area::Generate => "generate",
            Area::Coach => "coach",
            Area::Sql => "sql",
            Area::Code => "code",
            Area::Rag => "rag",
        }
    }

    /// What a list of scopes allows: scopes of other services do not count, and without any of ours
    /// everything is allowed.
    fn of_scopes<'a>(scopes: impl Iterator<Item = &'a str>) -> Option<BTreeSet<Area>> {
        let ours: Vec<&str> = scopes.filter_map(|s| s.strip_prefix("wick:")).collect();
        let areas = ours.iter().filter_map(|name| name.parse().ok());
        (!ours.is_empty()).then(|| areas.collect())
    }
}

impl FromStr for Area {
    type Err = ();

    fn from_str(text: &str) -> Result<Area, ()> {
        let named = |area: &Area| area.name() == text;
        Area::ALL.into_iter().find(named).ok_or(())
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Whether a text can name a tenant or a user.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_others_do_not_count() {
        let areas = |text: &str| Area::of_scopes(text.split(' '));
        assert_eq!(areas("openid profile"), None);
        assert_eq!(
            areas("openid wick:code wick:sql"),
            Some([Area::Sql, Area::Code].into())
        );
        assert_eq!(areas("wick:nothing"), Some(BTreeSet::new()));
        let caller = Caller {
            areas: areas("wick:code"),
            ..Caller::local()
        };
        assert!(caller.may_use(Area::Code).is_ok());
        let refused = caller.may_use(Area::Sql).unwrap_err().to_string();
        assert!(refused.contains("wick:sql"), "{refused}");
    }

    #[test]
    fn secrets_do_not_show() {
        let config = AccessConfig {
            jwt_secret: Some(Secret::new("hush".to_owned())),
            ..AccessConfig::default()
        };
        assert!(!format!("{config:?}").contains("hush"));
    }

    #[tokio::test]
    async fn without_configuration_no_credential_is_good() {
        let access = Access::new(&AccessConfig::default()).unwrap();
        assert!(!access.is_configured());
        let token = access.identify("a.b.c").await;
        assert!(matches!(token, Err(AccessError::UnknownSigner)));
        let key = access.identify("wick_00").await;
        assert!(matches!(key, Err(AccessError::UnknownKey)));
    }
}
