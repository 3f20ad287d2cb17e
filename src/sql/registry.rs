//! Schemas by name, each within a tenant: one JSON file each, read again only when asked for the first time.

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::Schema;
use super::database::{self, Address, AddressError, Database, DatabaseError, Reach};
use super::link::{Hints, Linker};
use super::vault::{Sealed, Vault};

/// Schemas of one tenant at most.
const MOST_SCHEMAS: usize = 1_000;
/// Schemas kept ready in memory.
const READY: usize = 256;
/// Longest name.
const NAME_BYTES: usize = 64;
/// Prefix of variables that a connection may be taken from.
const VARIABLES: &str = "WICK_SQL_";
/// What comes after such a name in the variable that lists the tenants who may, by commas.
const TENANTS: &str = "_TENANTS";

/// What is kept of a schema.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// Its tables.
    pub schema: Schema,
    /// Descriptions and examples.
    #[serde(default)]
    pub hints: Hints,
    /// Where its database is, if it has one.
    #[serde(default)]
    pub connection: Option<Connection>,
    /// Whether statements may be run.
    #[serde(default)]
    pub execute: bool,
}

/// Where a database is, without telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    /// An address, sealed.
    Sealed(String),
    /// The name of a variable that holds an address.
    Variable(String),
}

/// A schema that is ready for questions.
pub struct Ready {
    /// As it is kept.
    pub registered: Registered,
    /// Its words.
    pub linker: Linker,
}

/// Why a schema is not found, kept or connected.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Not a name.
    #[error("'{0}' cannot name a schema: use 1 to 64 letters, digits, '_', '-' or '.'")]
    Name(String),
    /// No such schema of this tenant.
    #[error("schema '{name}' not found; {}", listed(.known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Too many.
    #[error("there are {MOST_SCHEMAS} schemas already: delete one first")]
    TooMany,
    /// No folder.
    #[error("schemas have no folder: the operator must set WICK_DATA")]
    NoFolder,
    /// An address that would be kept in the clear.
    #[error(
        "connections with a password are stored sealed: the operator must set WICK_SECRET_KEY, or the connection must be 'env:WICK_SQL_…'"
    )]
    NoKey,
    /// A variable that is not for this, or not set.
    #[error(
        "the variable '{0}' holds no connection: it must start with WICK_SQL_ and be set for the server"
    )]
    Variable(String),
    /// Not an address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A secret of another key.
    #[error(transparent)]
    Sealed(#[from] Sealed),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Files.
    #[error("schemas cannot be read or written")]
    Io(#[from] io::Error),
    /// A file that is not what was written.
    #[error("the file of a schema is damaged")]
    Damaged(#[from] serde_json::Error),
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "there is none yet: register one with PUT /ai/sql/schemas/{name}, or send DDL"
            .to_owned(),
        names => format!("there are {}", names.join(", ")),
    }
}

/// What the registry needs of the process.
#[derive(Clone, Default)]
pub struct RegistrySettings {
    /// Where the files are; `None`: nothing can be kept.
    pub folder: Option<PathBuf>,
    /// Key of sealed addresses.
    pub vault: Option<Vault>,
    /// Where SQLite files may be.
    pub sqlite_dir: Option<PathBuf>,
    /// Reads a variable; `None`: no connection is taken from one.
    pub variable: Option<fn(&str) -> Option<String>>,
}

/// The schemas of all tenants.
pub struct Schemas {
    settings: RegistrySettings,
    ready: Mutex<HashMap<(String, String), Arc<Ready>>>,
}

impl Schemas {
    /// With these settings.
    pub fn new(settings: RegistrySettings) -> Schemas {
        Schemas {
            settings,
            ready: Mutex::default(),
        }
    }

    /// The schema of this name that belongs to the tenant.
    ///
    /// # Errors
    /// No such schema, or a file that cannot be read.
    pub fn find(&self, tenant: &str, name: &str) -> Result<Arc<Ready>, RegistryError> {
        let unknown = || {
            Ok::<_, RegistryError>(RegistryError::Unknown {
                name: name.to_owned(),
                known: self.names(tenant)?,
            })
        };
        if !is_name(name) {
            return Err(unknown()?);
        }
        let key = (tenant.to_owned(), name.to_owned());
        if let Some(ready) = self.lock().get(&key) {
            return Ok(ready.clone());
        }
        let text = match fs::read(self.file(tenant, name)?) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown()?),
            Err(error) => return Err(error.into()),
        };
        let ready = Arc::new(Ready::new(serde_json::from_slice(&text)?));
        self.remember(key, ready.clone());
        Ok(ready)
    }

    /// Keeps a schema, in the place of one of the same name.
    ///
    /// # Errors
    /// A bad name, too many schemas, or a file that cannot be written.
    pub fn keep(&self, tenant: &str, registered: Registered) -> Result<Arc<Ready>, RegistryError> {
        let name = registered.name.clone();
        if !is_name(&name) {
            return Err(RegistryError::Name(name));
        }
        let path = self.file(tenant, &name)?;
        if !path.exists() && self.names(tenant)?.len() >= MOST_SCHEMAS {
            return Err(RegistryError::TooMany);
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut file = NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, &registered)?;
        file.flush()?;
        file.as_file().sync_all()?;
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600))?;
        file.persist(&path).map_err(|error| error.error)?;
        let ready = Arc::new(Ready::new(registered));
        self.remember((tenant.to_owned(), name), ready.clone());
        Ok(ready)
    }

    /// Forgets a schema.
    ///
    /// # Errors
    /// No such schema, or a file that cannot be removed.
    pub fn remove(&self, tenant: &str, name: &str) -> Result<(), RegistryError> {
        self.find(tenant, name)?;
        self.lock().remove(&(tenant.to_owned(), name.to_owned()));
        Ok(fs::remove_file(self.file(tenant, name)?)?)
    }

    /// Names of a tenant's schemas, in order.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn names(&self, tenant: &str) -> Result<Vec<String>, RegistryError> {
        let Ok(folder) = self.folder(tenant) else {
            return Ok(Vec::new());
        };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name().into_string().unwrap_or_default();
            names.extend(name.strip_suffix(".json").map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// What to keep of a connection: the address sealed, or the name of the variable that holds it. The database may
    /// be anywhere within `reach`, as for [`Schemas::database`].
    ///
    /// # Errors
    /// Text that is no address, or one that cannot be kept.
    pub fn connection(
        &self,
        tenant: &str,
        name: &str,
        text: &str,
        reach: &Reach,
    ) -> Result<(Connection, Box<dyn Database>), RegistryError> {
        if let Some(variable) = text.trim().strip_prefix("env:") {
            let connection = Connection::Variable(variable.to_owned());
            let database = self.database(tenant, name, &connection, reach)?;
            return Ok((connection, database));
        }
        let address = Address::parse(text, self.settings.sqlite_dir.as_deref())?;
        let vault = self.settings.vault.as_ref().ok_or(RegistryError::NoKey)?;
        let sealed = vault.seal(&place(tenant, name), text).ok_or(Sealed)?;
        let database = database::open(address, reach.clone());
        Ok((Connection::Sealed(sealed), database))
    }

    /// The database of a connection that was kept, if it is within `reach`. An address in a variable is the operator's
    /// and may lead anywhere.
    ///
    /// # Errors
    /// A secret that does not open, or a variable that is not set or not for this tenant.
    pub fn database(
        &self,
        tenant: &str,
        name: &str,
        connection: &Connection,
        reach: &Reach,
    ) -> Result<Box<dyn Database>, RegistryError> {
        let (text, reach) = match connection {
            Connection::Sealed(sealed) => {
                let vault = self.settings.vault.as_ref().ok_or(RegistryError::NoKey)?;
                (vault.open(&place(tenant, name), sealed)?, reach.clone())
            }
            Connection::Variable(variable) => {
                let value = self.variable(tenant, variable);
                let value = value.ok_or_else(|| RegistryError::Variable(variable.clone()))?;
                (value, Reach::anywhere())
            }
        };
        let address = Address::parse(&text, self.settings.sqlite_dir.as_deref())?;
        Ok(database::open(address, reach))
    }

    /// The address that a variable holds, for a tenant who may connect with it: any, or those of its list where there
    /// is one. A list is no address.
    fn variable(&self, tenant: &str, variable: &str) -> Option<String> {
        let read = self.settings.variable?;
        if variable.strip_prefix(VARIABLES)?.ends_with(TENANTS) {
            return None;
        }
        let listed = read(&format!("{variable}{TENANTS}"));
        let may = listed.is_none_or(|tenants| tenants.split(',').any(|name| name.trim() == tenant));
        read(variable).filter(|_| may)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Arc<Ready>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, key: (String, String), ready: Arc<Ready>) {
        let mut all = self.lock();
        if all.len() >= READY && !all.contains_key(&key) {
            all.clear();
        }
        all.insert(key, ready);
    }

    /// A tenant's folder; its name is a hash, since tenants may be called anything.
    fn folder(&self, tenant: &str) -> Result<PathBuf, RegistryError> {
        let folder = self
            .settings
            .folder
            .as_ref()
            .ok_or(RegistryError::NoFolder)?;
        let hash = hex::encode(Sha256::digest(tenant.as_bytes()));
        Ok(folder.join(&hash[..32]))
    }

    fn file(&self, tenant: &str, name: &str) -> Result<PathBuf, RegistryError> {
        Ok(self.folder(tenant)?.join(format!("{name}.json")))
    }
}

impl Ready {
    /// Makes a schema ready.
    pub fn new(registered: Registered) -> Ready {
        Ready {
            linker: Linker::new(registered.schema.clone(), &registered.hints),
            registered,
        }
    }
}

fn place(tenant: &str, name: &str) -> String {
    format!("{tenant}\0{name}")
}

/// Whether a text can name a schema, and a file.
pub fn is_name(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(sound) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;

    fn schemas(folder: &Path) -> Schemas {
        Schemas::new(RegistrySettings {
            folder: Some(folder.to_owned()),
            vault: Some(Vault::new("0123456789abcdef0123456789abcdef")),
            sqlite_dir: Some(folder.to_owned()),
            variable: Some(|name| {
                let value = match name {
                    "WICK_SQL_SHOP" | "WICK_SQL_BANK" => "postgres://u:pw@localhost/x",
                    "WICK_SQL_BANK_TENANTS" => "acme, other",
                    _ => return None,
                };
                Some(value.to_owned())
            }),
        })
    }

    fn registered(name: &str) -> Registered {
        Registered {
            name: name.to_owned(),
            schema: Schema::from_ddl("CREATE TABLE t (id int);", Dialect::Sqlite).unwrap(),
            hints: Hints::default(),
            connection: None,
            execute: false,
        }
    }

    #[test]
    fn tenants_see_their_own_schemas_only() {
        let folder = tempfile::tempdir().unwrap();
        let schemas_of = || schemas(folder.path());
        schemas_of().keep("acme", registered("shop")).unwrap();
        // Another process finds it too.
        assert!(schemas_of().find("acme", "shop").is_ok());
        let error = schemas_of().find("evil", "shop").err().unwrap().to_string();
        assert!(error.contains("there is none yet"), "{error}");
        let error = schemas_of().find("acme", "bank").err().unwrap().to_string();
        assert_eq!(error, "schema 'bank' not found; there are shop");
        schemas_of().remove("acme", "shop").unwrap();
        assert!(schemas_of().find("acme", "shop").is_err());
    }

    #[test]
    fn names_are_no_paths() {
        let folder = tempfile::tempdir().unwrap();
        let schemas = schemas(folder.path());
        for name in ["", "../x", "a/b", ".hidden", "a\0b", &"x".repeat(65)] {
            assert!(schemas.keep("acme", registered(name)).is_err(), "{name:?}");
            assert!(schemas.find("acme", name).is_err());
        }
    }

    #[test]
    fn addresses_are_kept_sealed_or_by_reference() {
        let folder = tempfile::tempdir().unwrap();
        let schemas = schemas(folder.path());
        let text = "postgres://me:hunter2@localhost/shop";
        let reach = Reach::public();
        let (connection, _) = schemas.connection("acme", "shop", text, &reach).unwrap();
        schemas
            .keep(
                "acme",
                Registered {
                    connection: Some(connection.clone()),
                    ..registered("shop")
                },
            )
            .unwrap();
        let path = schemas.file("acme", "shop").unwrap();
        let kept = fs::read_to_string(&path).unwrap();
        assert!(!kept.contains("hunter2"), "{kept}");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(
            schemas
                .database("acme", "shop", &connection, &reach)
                .is_ok()
        );
        assert!(
            schemas
                .database("evil", "shop", &connection, &reach)
                .is_err()
        );
        assert!(
            schemas
                .connection("acme", "shop", "env:WICK_SQL_SHOP", &reach)
                .is_ok()
        );
        for variable in [
            "env:HOME",
            "env:WICK_SECRET_KEY",
            "env:WICK_SQL_OTHER",
            "env:",
        ] {
            assert!(
                schemas
                    .connection("acme", "shop", variable, &reach)
                    .is_err(),
                "{variable}"
            );
        }
        let bare = Schemas::new(RegistrySettings {
            folder: Some(folder.path().to_owned()),
            ..RegistrySettings::default()
        });
        let error = bare
            .connection("acme", "shop", text, &reach)
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("WICK_SECRET_KEY") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn a_variable_can_be_for_some_tenants_only() {
        let folder = tempfile::tempdir().unwrap();
        let schemas = schemas(folder.path());
        let open = |tenant: &str, variable: &str| {
            let connection = Connection::Variable(variable.to_owned());
            let opened = schemas.database(tenant, "shop", &connection, &Reach::public());
            opened.map(drop).map_err(|error| error.to_string())
        };
        for tenant in ["acme", "other"] {
            assert_eq!(open(tenant, "WICK_SQL_BANK"), Ok(()));
        }
        let unset = open("acme", "WICK_SQL_NONE").unwrap_err();
        for tenant in ["evil", "acm", "acme, other", ""] {
            let refused = open(tenant, "WICK_SQL_BANK").unwrap_err();
            assert_eq!(refused, unset.replace("NONE", "BANK"), "{tenant}");
            assert_eq!(open(tenant, "WICK_SQL_SHOP"), Ok(()), "{tenant}");
        }
        let refused = open("acme", "WICK_SQL_BANK_TENANTS").unwrap_err();
        assert_eq!(refused, unset.replace("NONE", "BANK_TENANTS"));
    }
}
