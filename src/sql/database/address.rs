//! Addresses of databases, which hold passwords and are therefore never shown.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Where a database is and how to get in.
#[derive(Clone)]
pub enum Address {
    /// A PostgreSQL server.
    Postgres(Box<Config>),
    /// A SQLite file.
    Sqlite(PathBuf),
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// Why an address is not taken. Does not repeat it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither of the two.
    #[error("must be 'postgres://…', 'sqlite:…' or 'env:WICK_SQL_…'")]
    Kind,
    /// Not an address of PostgreSQL.
    #[error("cannot be read as an address of PostgreSQL")]
    Postgres,
    /// A file outside the folder for them, or no folder.
    #[error(
        "names a SQLite file that may not be opened: ask the operator to put it into the folder WICK_SQLITE_DIR"
    )]
    File,
}

impl Address {
    /// Reads an address. SQLite files must be in `files`, by a path relative to it or within it.
    ///
    /// # Errors
    /// Text that is no address, or a file elsewhere.
    pub fn parse(text: &str, files: Option<&Path>) -> Result<Address, AddressError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return inside(files, Path::new(path)).map(Address::Sqlite);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let mut config = Config::from_str(text).map_err(|_| AddressError::Postgres)?;
            // An address beside the name would say nothing of where it leads.
            if config.get_hosts().is_empty() || !config.get_hostaddrs().is_empty() {
                return Err(AddressError::Postgres);
            }
            let is_explicit = text.contains("sslmode=");
            if !is_explicit && config.get_hosts().iter().any(is_remote) {
                config.ssl_mode(SslMode::Require);
            }
            return Ok(Address::Postgres(Box::new(config)));
        }
        Err(AddressError::Kind)
    }

    /// `postgres` or `sqlite`.
    pub fn kind(&self) -> &'static str {
        match self {
            Address::Postgres(_) => "postgres",
            Address::Sqlite(_) => "sqlite",
        }
    }
}

/// Whether what is sent to the host crosses a network.
fn is_remote(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => !matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        Host::Unix(_) => false,
    }
}

fn inside(files: Option<&Path>, path: &Path) -> Result<PathBuf, AddressError> {
    let folder = files.ok_or(AddressError::File)?;
    let folder = folder.canonicalize().map_err(|_| AddressError::File)?;
    let climbs = |part: Component<'_>| matches!(part, Component::ParentDir);
    if path.as_os_str().is_empty() || path.components().any(climbs) {
        return Err(AddressError::File);
    }
    // A link may lead out of the folder, so the file itself is looked at.
    let file = folder
        .join(path)
        .canonicalize()
        .map_err(|_| AddressError::File)?;
    match file.starts_with(&folder) && file.is_file() {
        true => Ok(file),
        false => Err(AddressError::File),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_never_shown() {
        let text = "postgres://me:hunter2@db.example:5432/shop";
        let address = Address::parse(text, None).unwrap();
        assert_eq!(format!("{address:?}"), "postgres");
        let Address::Postgres(config) = address else {
            panic!("PostgreSQL");
        };
        assert_eq!(config.get_ssl_mode(), SslMode::Require);
        let error = Address::parse("postgres://me:hunter2@db:notaport/x", None).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!(
            Address::parse("mysql://a", None).unwrap_err(),
            AddressError::Kind
        );
    }

    #[test]
    fn files_stay_in_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("a.db"), "").unwrap();
        std::fs::write(folder.path().join("secret.db"), "").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret.db"), inner.join("link.db")).unwrap();
        let parse = |text: &str| Address::parse(text, Some(&inner));
        assert!(parse("sqlite:a.db").is_ok());
        assert!(parse(&format!("sqlite://{}", inner.join("a.db").display())).is_ok());
        for text in [
            "sqlite:../secret.db",
            "sqlite:link.db",
            "sqlite:",
            "sqlite:.",
            "sqlite:/etc/passwd",
            "sqlite:b.db",
        ] {
            assert_eq!(parse(text).unwrap_err(), AddressError::File, "{text}");
        }
        assert!(Address::parse("sqlite:a.db", None).is_err());
    }
}
