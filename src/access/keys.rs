//! API keys: made and revoked by the operator, kept as hashes in one file that a running server rereads.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{Area, Caller, Secret, is_name};

const PREFIX: &str = "wick_";
/// Random bytes of a key.
const KEY_BYTES: usize = 32;
/// Digits of a key's hash that name it in lists.
const ID_DIGITS: usize = 10;

/// A key as the file keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The start of its hash; enough to revoke it by.
    pub id: String,
    /// What the operator calls it; the user that its requests count for.
    pub name: String,
    /// Whose data it gives access to.
    pub tenant: String,
    /// Scopes such as `wick:code`; empty: everything.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// When it was made, in UTC.
    pub created_at: String,
    /// SHA-256 of the key. The key is random through and through, so that no slower hash is called for.
    hash: String,
}

/// A key that is to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What to call it.
    pub name: String,
    /// Whose data it gives access to.
    pub tenant: String,
    /// What it is good for; empty: everything.
    pub areas: Vec<Area>,
}

/// Why the file of the keys is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Reading or writing failed.
    #[error("cannot use the key file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what was written.
    #[error("the key file {path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// No name, an endless one, or one that does not print.
    #[error("'{0}' cannot name a key or a tenant: use 1 to 256 printable characters")]
    Name(String),
    /// The name is taken.
    #[error("there is a key named '{0}' already: revoke it first or choose another name")]
    Taken(String),
}

#[derive(Default, Serialize, Deserialize)]
struct Contents {
    keys: Vec<ApiKey>,
}

/// The keys as a running server sees them.
#[derive(Debug)]
pub(super) struct KeyFile {
    path: Option<PathBuf>,
    seen: RwLock<Option<(Stamp, Arc<Vec<ApiKey>>)>>,
}

/// What changes whenever the file is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size_bytes: u64,
    modified_ns: i64,
    modified_s: i64,
}

/// Whether a credential claims to be an API key.
pub(super) fn looks_like_key(credential: &str) -> bool {
    credential.starts_with(PREFIX)
}

/// Makes a key and remembers its hash. The key itself is given back once and kept nowhere.
pub fn add(path: &Path, new: NewKey) -> Result<(ApiKey, Secret), KeyFileError> {
    for name in [&new.name, &new.tenant] {
        if !is_name(name) {
            return Err(KeyFileError::Name(name.clone()));
        }
    }
    let secret = format!("{PREFIX}{}", hex::encode(rand::random::<[u8; KEY_BYTES]>()));
    let hash = hash(&secret);
    let key = ApiKey {
        id: hash[..ID_DIGITS].to_owned(),
        name: new.name,
        tenant: new.tenant,
        scopes: new
            .areas
            .iter()
            .map(|area| format!("wick:{area}"))
            .collect(),
        created_at: Timestamp::now().strftime("%FT%TZ").to_string(),
        hash,
    };
    change(path, |keys| {
        if keys.iter().any(|known| known.name == key.name) {
            return Err(KeyFileError::Taken(key.name.clone()));
        }
        keys.push(key.clone());
        Ok(())
    })?;
    Ok((key, Secret::new(secret)))
}

/// The keys that are good, oldest first.
pub fn list(path: &Path) -> Result<Vec<ApiKey>, KeyFileError> {
    Ok(read(path)?.keys)
}

/// Takes a key, named by its id or its name, out of use; `None`: there is no such key.
pub fn revoke(path: &Path, id_or_name: &str) -> Result<Option<ApiKey>, KeyFileError> {
    let mut revoked = None;
    change(path, |keys| {
        let meant = |key: &ApiKey| key.id == id_or_name || key.name == id_or_name;
        revoked = keys.iter().position(meant).map(|at| keys.remove(at));
        Ok(())
    })?;
    Ok(revoked)
}

impl ApiKey {
    /// Who asks with it.
    pub(super) fn caller(&self) -> Caller {
        Caller {
            tenant: self.tenant.clone(),
            user: Some(format!("key:{}", self.name)),
            areas: Area::of_scopes(self.scopes.iter().map(String::as_str)),
        }
    }
}

impl KeyFile {
    pub(super) fn new(path: Option<PathBuf>) -> KeyFile {
        KeyFile {
            path,
            seen: RwLock::default(),
        }
    }

    /// Whether keys were ever made here. A file without keys still asks for one: revoking the last key
    /// must not open the door.
    pub(super) fn exists(&self) -> bool {
        self.path.as_deref().is_some_and(Path::exists)
    }

    /// The key, if it is good at this moment.
    pub(super) fn find(&self, key: &str) -> Result<Option<ApiKey>, KeyFileError> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let keys = self.keys(path)?;
        let hash = hash(key);
        Ok(keys.iter().find(|known| known.hash == hash).cloned())
    }

    /// The file's keys, read again if it was replaced.
    fn keys(&self, path: &Path) -> Result<Arc<Vec<ApiKey>>, KeyFileError> {
        let Some(stamp) = Stamp::of(path)? else {
            return Ok(Arc::default());
        };
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, keys)) = &*seen
            && *then == stamp
        {
            return Ok(keys.clone());
        }
        drop(seen);
        let keys = Arc::new(read(path)?.keys);
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Some((stamp, keys.clone()));
        Ok(keys)
    }
}

impl Stamp {
    fn of(path: &Path) -> Result<Option<Stamp>, KeyFileError> {
        match fs::metadata(path) {
            Ok(file) => Ok(Some(Stamp {
                inode: file.ino(),
                size_bytes: file.len(),
                modified_ns: file.mtime_nsec(),
                modified_s: file.mtime(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed(path)(source)),
        }
    }
}

fn hash(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> KeyFileError + '_ {
    move |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    }
}

fn read(path: &Path) -> Result<Contents, KeyFileError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
        other => other.map_err(failed(path))?,
    };
    serde_json::from_slice(&bytes).map_err(|source| KeyFileError::Damaged {
        path: path.to_owned(),
        source,
    })
}

/// Replaces the file as a whole, one change at a time; only its owner can read it.
fn change(
    path: &Path,
    edit: impl FnOnce(&mut Vec<ApiKey>) -> Result<(), KeyFileError>,
) -> Result<(), KeyFileError> {
    let failed = failed(path);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(&failed)?;
    let _lock = lock(&path.with_extension("lock")).map_err(&failed)?;
    let mut contents = read(path)?;
    edit(&mut contents.keys)?;
    let text = serde_json::to_string_pretty(&contents).map_err(|e| failed(e.into()))?;
    write(folder, path, text.as_bytes()).map_err(&failed)
}

/// Held until it is dropped.
fn lock(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o600))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str) -> NewKey {
        NewKey {
            name: name.to_owned(),
            tenant: "acme".to_owned(),
            areas: Vec::new(),
        }
    }

    #[test]
    fn a_key_is_good_until_it_is_revoked_and_only_its_hash_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/keys.json");
        let file = KeyFile::new(Some(path.clone()));
        assert!(!file.exists());
        let (key, secret) = add(&path, new("ci")).unwrap();
        assert!(secret.reveal().starts_with("wick_") && secret.reveal().len() == 69);
        assert_eq!(file.find(secret.reveal()).unwrap().unwrap(), key);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&secret.reveal()[5..]), "{text}");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let caller = key.caller();
        assert_eq!(caller.tenant, "acme");
        assert_eq!(caller.user.as_deref(), Some("key:ci"));

        assert_eq!(revoke(&path, "nobody").unwrap(), None);
        assert_eq!(revoke(&path, &key.id).unwrap(), Some(key));
        assert_eq!(file.find(secret.reveal()).unwrap(), None);
        assert!(file.exists(), "the door stays closed");
    }

    #[test]
    fn names_are_unique_and_print() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        add(&path, new("ci")).unwrap();
        assert!(matches!(add(&path, new("ci")), Err(KeyFileError::Taken(_))));
        for bad in ["", "a\nb"] {
            assert!(matches!(add(&path, new(bad)), Err(KeyFileError::Name(_))));
        }
        assert_eq!(list(&path).unwrap().len(), 1);
    }

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        std::thread::scope(|scope| {
            for at in 0..8 {
                let path = &path;
                scope.spawn(move || add(path, new(&format!("key {at}"))).unwrap());
            }
        });
        assert_eq!(list(&path).unwrap().len(), 8);
    }

    #[test]
    fn a_damaged_file_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        fs::write(&path, "{\"keys\": [").unwrap();
        let file = KeyFile::new(Some(path));
        assert!(file.exists());
        let found = file.find("wick_00");
        assert!(matches!(found, Err(KeyFileError::Damaged { .. })));
    }
}
