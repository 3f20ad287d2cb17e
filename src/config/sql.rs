//! Settings of the SQL assistant.

use std::path::PathBuf;

use crate::access::Secret;
use crate::sql::database::Reach;

use super::{ConfigError, Env, access};

/// What the SQL assistant is told.
#[derive(Clone, Debug, Default)]
pub struct SqlConfig {
    /// Key that stored connections are sealed with (`WICK_SECRET_KEY`, 32 bytes or more); `None`: only
    /// connections by reference are kept.
    pub secret_key: Option<Secret>,
    /// Folder of the SQLite files that connections may name (`WICK_SQLITE_DIR`); `None`: none may be named.
    pub sqlite_dir: Option<PathBuf>,
    /// Hosts of the databases that connections may name (`WICK_DATABASE_HOSTS`); `None`: public addresses where
    /// credentials are configured, else all but the metadata of clouds.
    pub database_hosts: Option<Reach>,
}

pub(super) fn load<F: Fn(&str) -> Option<String>>(env: &Env<F>) -> Result<SqlConfig, ConfigError> {
    Ok(SqlConfig {
        secret_key: access::secret(env, "WICK_SECRET_KEY")?,
        sqlite_dir: env.text("WICK_SQLITE_DIR").map(PathBuf::from),
        database_hosts: env.own(
            "WICK_DATABASE_HOSTS",
            "hosts by commas: names, addresses or networks, each with a ':port' or without, folders of sockets, \
             'public', or '*'",
            |_| true,
        )?,
    })
}

/// The value of a variable that a connection refers to (`env:WICK_SQL_…`), or of the one that lists the tenants who may
/// (`WICK_SQL_…_TENANTS`). It is read when it is needed and kept nowhere.
pub fn variable(name: &str) -> Option<String> {
    Env(|name: &str| std::env::var(name).ok()).text(name)
}
