//! Writing files so that they are whole or absent.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempPath};

use super::Store;
use super::digest::Digest;
use super::error::StoreError;

/// How the names of temporary files in the manifests folder begin; no host's name begins so.
pub(super) const TEMPORARY_MANIFEST: &str = ".manifest-";

/// A blob being written. Dropping it unfinished leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    store: Store,
    file: NamedTempFile,
    hasher: Sha256,
    size_bytes: u64,
}

/// A blob that is in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// Whether the same blob was there before.
    pub existed: bool,
}

impl BlobWriter {
    pub(super) fn new(store: &Store) -> Result<BlobWriter, StoreError> {
        let file = temporary_file(store)?;
        Ok(BlobWriter {
            store: store.clone(),
            file,
            hasher: Sha256::new(),
            size_bytes: 0,
        })
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all(bytes)
            .map_err(|e| StoreError::io("write", self.file.path(), e))?;
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Syncs the blob and moves it into place. With `expected`, a blob of another digest is dropped.
    pub fn finish(self, expected: Option<&Digest>) -> Result<FinishedBlob, StoreError> {
        let digest = Digest::finish(self.hasher);
        if let Some(&expected) = expected.filter(|&&expected| expected != digest) {
            return Err(StoreError::DigestMismatch {
                expected,
                actual: digest,
            });
        }
        let path = self.store.blob_path(&digest);
        let existed = self.store.has_blob(&digest);
        if existed {
            touch(&path)?;
        } else {
            persist(self.file, &path)?;
        }
        Ok(FinishedBlob {
            digest,
            size_bytes: self.size_bytes,
            existed,
        })
    }
}

impl Store {
    /// Writes a blob that is at hand as a whole.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<FinishedBlob, StoreError> {
        let mut writer = self.blob_writer()?;
        writer.write(bytes)?;
        writer.finish(None)
    }

    /// Makes a blob young, so that pruning spares it while it is not yet named by a manifest.
    pub(super) fn touch_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        touch(&self.blob_path(digest))
    }
}

/// A file in the blobs folder with a name that pruning knows to be no blob.
pub(super) fn temporary_file(store: &Store) -> Result<NamedTempFile, StoreError> {
    let folder = store.blobs_folder();
    tempfile::Builder::new()
        .prefix("sha256-")
        .tempfile_in(&folder)
        .map_err(|e| StoreError::io("create a file in", &folder, e))
}

/// Makes a blob of a finished file in the blobs folder.
pub(super) fn adopt(store: &Store, path: TempPath) -> Result<FinishedBlob, StoreError> {
    let failed = |e| StoreError::io("read", &path, e);
    let mut file = File::open(&path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let size_bytes = io::copy(&mut file, &mut hasher).map_err(failed)?;
    let digest = Digest::finish(hasher);
    let blob = FinishedBlob {
        digest,
        size_bytes,
        existed: store.has_blob(&digest),
    };
    if blob.existed {
        store.touch_blob(&digest)?;
    } else {
        persist(
            NamedTempFile::from_parts(file, path),
            &store.blob_path(&digest),
        )?;
    }
    Ok(blob)
}

/// Replaces the manifest at `path` with `bytes` in one step.
pub(super) fn write_manifest(store: &Store, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let parent = path.parent().expect("files of the store have a folder");
    fs::create_dir_all(parent).map_err(|e| StoreError::io("create", parent, e))?;
    // The blobs may lie on another file system, from which nothing can be renamed. Manifests are
    // looked for four folders down, so that a file at the top is not taken for one.
    let folder = store.manifests_folder();
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY_MANIFEST)
        .tempfile_in(&folder)
        .map_err(|e| StoreError::io("create a file in", &folder, e))?;
    file.write_all(bytes)
        .map_err(|e| StoreError::io("write", file.path(), e))?;
    persist(file, path)
}

/// Syncs a temporary file, renames it to `path` and syncs the folder, so that the name survives too.
pub(super) fn persist(file: NamedTempFile, path: &Path) -> Result<(), StoreError> {
    let failed = |e| StoreError::io("write", path, e);
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o644))
        .map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    sync_folder(path)
}

/// Syncs the folder that holds `path`.
pub(super) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().expect("files of the store have a folder");
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    match synced {
        // Some file systems cannot sync folders; the rename itself has still happened.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other.map_err(|e| StoreError::io("sync", folder, e)),
    }
}

fn touch(path: &Path) -> Result<(), StoreError> {
    let touched = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    match touched.map_err(|error| (error.kind(), error)) {
        // A store of someone else: it is theirs to prune.
        Err((io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem, _)) => Ok(()),
        Err((_, error)) => Err(StoreError::io("touch", path, error)),
        Ok(()) => Ok(()),
    }
}
