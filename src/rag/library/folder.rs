//! The folder of a library: who may use it, and copies of it.
//!
//! `open.lock` is held while a library is open, `write.lock` while something is written; both are the system's, and
//! so end with the process that holds them. A backup takes the second one and copies files that nobody changes then.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};

const OPEN_LOCK: &str = "open.lock";
const WRITE_LOCK: &str = "write.lock";
const TABLES: &str = "tables";
/// A restored copy before it takes its place, and what it replaces.
const INCOMING: &str = "tables.new";
const REPLACED: &str = "tables.old";
/// Tells a backup from any other folder.
const LABEL: &str = "wick-rag-backup.json";

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Reading or writing failed.
    #[error("cannot use {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has the library open.
    #[error("{0} is in use by another process: stop the server first")]
    InUse(PathBuf),
    /// The target of a copy has something in it.
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    /// The folder is no backup.
    #[error("{0} is not a backup of documents")]
    NoBackup(PathBuf),
    /// There are no documents to copy.
    #[error("there are no documents in {0}")]
    Nothing(PathBuf),
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The folder of a library that is open.
pub(super) struct Folder {
    root: PathBuf,
    /// Held until the process ends or the library is dropped.
    _open: File,
    writing: Arc<Mutex<File>>,
}

/// The right to write.
pub(super) struct WriteGuard {
    file: OwnedMutexGuard<File>,
}

impl Drop for WriteGuard {
    fn drop(&mut self) {
        // The lock also ends when the file is closed; there is nobody to tell.
        let _ = self.file.unlock();
    }
}

impl Folder {
    pub(super) fn open(root: &Path) -> Result<Folder, FolderError> {
        make(root)?;
        let open = own(root)?;
        recover(root)?;
        let tables = root.join(TABLES);
        make(&tables)?;
        Ok(Folder {
            root: root.to_owned(),
            _open: open,
            writing: Arc::new(Mutex::new(lock_file(root, WRITE_LOCK)?)),
        })
    }

    pub(super) fn tables(&self) -> PathBuf {
        self.root.join(TABLES)
    }

    /// Waits until nobody else writes or copies.
    pub(super) async fn writing(&self) -> Result<WriteGuard, FolderError> {
        let path = self.root.join(WRITE_LOCK);
        let failed = |source| FolderError::Io {
            path: path.clone(),
            source,
        };
        let file = Arc::clone(&self.writing).lock_owned().await;
        match file.try_lock() {
            Ok(()) => Ok(WriteGuard { file }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                // The guard is made on that thread: where nobody waits for it any more, it ends with the thread.
                let lock = move || file.lock().map(|()| WriteGuard { file });
                let locked = tokio::task::spawn_blocking(lock).await;
                locked
                    .map_err(|error| failed(io::Error::other(error)))?
                    .map_err(failed)
            }
        }
    }
}

/// Copies the documents of the library at `root` to a new folder, also while a server has it open; `tell` hears the
/// bytes copied and those there are.
pub fn backup(root: &Path, to: &Path, tell: &dyn Fn(u64, u64)) -> Result<Backup, FolderError> {
    let tables = root.join(TABLES);
    if !tables.is_dir() {
        return Err(FolderError::Nothing(root.to_owned()));
    }
    if to.exists() && !is_empty(to)? {
        return Err(FolderError::NotEmpty(to.to_owned()));
    }
    make(to)?;
    let lock = lock_file(root, WRITE_LOCK)?;
    lock.lock().map_err(at(&root.join(WRITE_LOCK)))?;
    let copied = copy(&tables, &to.join(TABLES), tell)?;
    // The label comes last: a copy that broke off is no backup.
    let label = to.join(LABEL);
    let text = serde_json::to_vec(&copied).map_err(|error| at(&label)(error.into()))?;
    fs::write(&label, text).map_err(at(&label))?;
    Ok(copied)
}

/// Puts the documents of a backup in the place of those at `root`. No server may have it open. What is there already
/// is only replaced with `replace`.
pub fn restore(
    from: &Path,
    root: &Path,
    replace: bool,
    tell: &dyn Fn(u64, u64),
) -> Result<Backup, FolderError> {
    let label = from.join(LABEL);
    let label = fs::read(&label).ok();
    let label: Option<Backup> = label.and_then(|text| serde_json::from_slice(&text).ok());
    if label.is_none() || !from.join(TABLES).is_dir() {
        return Err(FolderError::NoBackup(from.to_owned()));
    }
    make(root)?;
    let _open = own(root)?;
    recover(root)?;
    let [tables, incoming, replaced] = [TABLES, INCOMING, REPLACED].map(|name| root.join(name));
    let has_tables = tables.exists();
    if has_tables && !replace && !is_empty(&tables)? {
        return Err(FolderError::NotEmpty(tables));
    }
    let copied = copy(&from.join(TABLES), &incoming, tell)?;
    if has_tables {
        fs::rename(&tables, &replaced).map_err(at(&tables))?;
    }
    fs::rename(&incoming, &tables).map_err(at(&incoming))?;
    remove(&replaced)?;
    Ok(copied)
}

/// Ends a restoring that broke off: either the new tables are in place or the old ones come back.
fn recover(root: &Path) -> Result<(), FolderError> {
    let [tables, incoming, replaced] = [TABLES, INCOMING, REPLACED].map(|name| root.join(name));
    if replaced.exists() && !tables.exists() {
        fs::rename(&replaced, &tables).map_err(at(&replaced))?;
    }
    remove(&replaced)?;
    remove(&incoming)
}

fn own(root: &Path) -> Result<File, FolderError> {
    let file = lock_file(root, OPEN_LOCK)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FolderError::InUse(root.to_owned())),
        Err(TryLockError::Error(error)) => Err(at(&root.join(OPEN_LOCK))(error)),
    }
}

fn lock_file(root: &Path, name: &str) -> Result<File, FolderError> {
    let path = root.join(name);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    options.open(&path).map_err(at(&path))
}

/// Only the owner can look into it.
fn make(folder: &Path) -> Result<(), FolderError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(at(folder))
}

fn remove(folder: &Path) -> Result<(), FolderError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        _ => Ok(()),
    }
}

fn is_empty(folder: &Path) -> Result<bool, FolderError> {
    let mut entries = fs::read_dir(folder).map_err(at(folder))?;
    Ok(entries.next().is_none())
}

/// Copies a folder and has it written to the disk.
fn copy(from: &Path, to: &Path, tell: &dyn Fn(u64, u64)) -> Result<Backup, FolderError> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    let mut total = 0;
    while let Some(folder) = folders.pop() {
        let source = from.join(&folder);
        make(&to.join(&folder))?;
        for entry in fs::read_dir(&source).map_err(at(&source))? {
            let entry = entry.map_err(at(&source))?;
            let facts = entry.metadata().map_err(at(&entry.path()))?;
            let name = folder.join(entry.file_name());
            if facts.is_dir() {
                folders.push(name);
            } else {
                total += facts.len();
                files.push(name);
            }
        }
    }
    let mut copied = Backup::default();
    for name in files {
        let (source, target) = (from.join(&name), to.join(&name));
        copied.bytes += fs::copy(&source, &target).map_err(at(&source))?;
        let file = File::open(&target).map_err(at(&target))?;
        file.sync_all().map_err(at(&target))?;
        copied.files += 1;
        tell(copied.bytes, total);
    }
    Ok(copied)
}

fn at(path: &Path) -> impl Fn(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_lock_that_comes_after_its_asker_has_gone_is_released() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let backup = lock_file(root.path(), WRITE_LOCK).unwrap();
        backup.lock().unwrap();
        let asked = tokio::time::timeout(Duration::from_millis(50), folder.writing()).await;
        assert!(asked.is_err());
        backup.unlock().unwrap();
        // The lock that was asked for comes and goes first.
        drop(folder.writing.lock().await);
        backup.try_lock().unwrap();
    }
}
