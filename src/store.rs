//! The models on disk, in Ollama's layout: manifests that name content-addressed blobs.
//!
//! ```text
//! <root>/manifests/<host>/<namespace>/<model>/<tag>   JSON manifest
//! <root>/blobs/sha256-<64 hex>                        one layer or config
//! <root>/blobs/sha256-<64 hex>-partial[-<N>]          a download under way and the state of its parts
//! ```
//! Whatever is written goes to a temporary file, in `blobs` or `manifests` as its place is, that is
//! synced and renamed, blobs before the manifest that names them. A kill at any moment leaves the store
//! as it was, plus at most a temporary file that a later start removes.

mod blobs;
pub mod create;
mod digest;
mod error;
pub mod labels;
pub mod manifest;
pub mod modelfile;
pub mod name;
pub mod registry;
pub mod show;
pub mod starter;
#[cfg(test)]
mod tests;
mod weights;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tracing::{info, warn};

pub use blobs::{BlobWriter, FinishedBlob};
pub use create::{CreateRequest, create};
pub use digest::{Digest, InvalidDigest};
pub use error::{RegistryError, RequestError, StoreError};
pub use manifest::{Config, Layer, Manifest, Message};
pub use name::{ModelName, ModelRef, NameError, Source};
pub use registry::{Pull, Registry, RegistryOptions, pull, push};

use manifest::media_type;

/// Blobs and temporary files younger than this are never pruned: a create or pull may be using them.
const PRUNE_GRACE: Duration = Duration::from_secs(60 * 60);
/// No manifest, config, template, licence or list of messages comes near this.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// The models below one folder. Clones share locks and downloads under way.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    keep_unused: bool,
    /// Held while manifests are written or references to blobs are counted.
    index: Mutex<()>,
    /// Blobs that a running create or pull relies on, with the number of users.
    pins: Mutex<HashMap<Digest, usize>>,
    /// Downloads under way, so that two pulls of one blob share it.
    downloads: registry::download::Downloads,
}

/// One line of progress, as it goes over the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// What is going on.
    pub status: String,
    /// The blob concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Size of the work, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// How much of it is done, in bytes; absent at 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<u64>,
}

impl Progress {
    /// A line with only a status.
    pub fn status(status: impl Into<String>) -> Progress {
        Progress {
            status: status.into(),
            ..Progress::default()
        }
    }

    /// A line that counts bytes of a blob.
    pub fn bytes(status: String, digest: String, total: u64, completed: u64) -> Progress {
        Progress {
            status,
            digest: Some(digest),
            total: (total > 0).then_some(total),
            completed: (completed > 0).then_some(completed),
        }
    }
}

/// A model as it lies on disk.
#[derive(Clone, Debug)]
pub struct StoredModel {
    /// The model's name, spelled as on disk.
    pub name: ModelName,
    /// SHA-256 of the manifest file, 64 lower-case hexadecimal digits.
    pub digest: String,
    /// Sum of the sizes of all layers and the config.
    pub size_bytes: u64,
    /// When the manifest was written.
    pub modified: SystemTime,
    /// The manifest itself.
    pub manifest: Manifest,
    /// The config blob; empty if the manifest has none.
    pub config: Config,
    /// The GGUF weights; absent in stubs of remote models.
    pub model_path: Option<PathBuf>,
    /// The model that this one was made from.
    pub parent: Option<String>,
    /// GGUF LoRAs.
    pub adapter_paths: Vec<PathBuf>,
    /// GGUF projectors.
    pub projector_paths: Vec<PathBuf>,
    /// GGUF draft model.
    pub draft_path: Option<PathBuf>,
    /// The Go template.
    pub template: Option<String>,
    /// The system text.
    pub system: Option<String>,
    /// Options that the model sets.
    pub params: Map<String, Value>,
    /// Messages that come before every conversation.
    pub messages: Vec<Message>,
    /// Licence texts.
    pub licenses: Vec<String>,
}

impl Store {
    /// Opens the store at `root`, creating its folders if need be.
    pub fn open(root: impl Into<PathBuf>) -> Result<Store, StoreError> {
        Store::open_with(root, false)
    }

    /// Like [`Store::open`]; `keep_unused` (`OLLAMA_NOPRUNE`) keeps blobs that no manifest names.
    pub fn open_with(root: impl Into<PathBuf>, keep_unused: bool) -> Result<Store, StoreError> {
        let root = root.into();
        for folder in [root.join("blobs"), root.join("manifests")] {
            fs::create_dir_all(&folder).map_err(|e| StoreError::io("create", &folder, e))?;
        }
        let inner = Inner {
            root,
            keep_unused,
            index: Mutex::default(),
            pins: Mutex::default(),
            downloads: registry::download::Downloads::default(),
        };
        Ok(Store {
            inner: Arc::new(inner),
        })
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// All models that can be read, latest first. Others are skipped with a warning.
    pub fn models(&self) -> Result<Vec<StoredModel>, StoreError> {
        let mut models = Vec::new();
        for name in self.names()? {
            match self.load(&name) {
                Ok(model) => models.push(model),
                Err(error) => warn!(model = %name, "skipping a bad manifest: {error}"),
            }
        }
        models.sort_by(|a, b| {
            b.modified
                .cmp(&a.modified)
                .then_with(|| a.name.cmp(&b.name))
        });
        Ok(models)
    }

    /// Names of all manifests, in no particular order.
    pub fn names(&self) -> Result<Vec<ModelName>, StoreError> {
        let root = self.manifests_folder();
        let mut paths = vec![root.clone()];
        for _ in 0..4 {
            let mut below = Vec::new();
            for folder in paths {
                below.extend(entries(&folder)?);
            }
            paths = below;
        }
        let mut names = Vec::new();
        for path in paths {
            if path.is_dir() {
                continue;
            }
            let relative = path.strip_prefix(&root).expect("found below the root");
            match ModelName::from_manifest_path(relative) {
                Ok(name) => names.push(name),
                Err(_) => warn!(path = %relative.display(), "skipping a bad manifest name"),
            }
        }
        Ok(names)
    }

    /// The name spelled as on disk: names are the same if they differ only in case.
    pub fn resolve(&self, name: &ModelName) -> Result<ModelName, StoreError> {
        if self.manifest_file(name).is_file() {
            return Ok(name.clone());
        }
        Ok(name.spelled_like(&self.names()?))
    }

    /// Reads a model: its manifest and every layer except the weights.
    pub fn load(&self, name: &ModelName) -> Result<StoredModel, StoreError> {
        let (manifest, file) = self.read_manifest(name)?;
        let mut model = StoredModel {
            name: name.clone(),
            digest: file.digest.hex(),
            size_bytes: manifest.size_bytes(),
            modified: file.modified,
            config: Config::default(),
            model_path: None,
            parent: None,
            adapter_paths: Vec::new(),
            projector_paths: Vec::new(),
            draft_path: None,
            template: None,
            system: None,
            params: Map::new(),
            messages: Vec::new(),
            licenses: Vec::new(),
            manifest,
        };
        if let Some(layer) = &model.manifest.config {
            model.config = self.read_json(name, layer)?;
        }
        for layer in &model.manifest.layers {
            let path = || self.blob_path(&layer.digest);
            match layer.media_type.as_str() {
                media_type::MODEL => {
                    model.model_path = Some(path());
                    model.parent = layer.from.clone().filter(|from| !from.is_empty());
                }
                media_type::ADAPTER => model.adapter_paths.push(path()),
                media_type::PROJECTOR => model.projector_paths.push(path()),
                media_type::DRAFT => model.draft_path = Some(path()),
                media_type::TEMPLATE | media_type::PROMPT => {
                    model.template = Some(self.read_text(name, layer)?);
                }
                media_type::SYSTEM => model.system = Some(self.read_text(name, layer)?),
                media_type::PARAMS => {
                    let params: Option<Map<String, Value>> = self.read_json(name, layer)?;
                    model.params.extend(params.unwrap_or_default());
                }
                media_type::MESSAGES => {
                    let messages: Option<Vec<Message>> = self.read_json(name, layer)?;
                    model.messages = messages.unwrap_or_default();
                }
                media_type::LICENSE => model.licenses.push(self.read_text(name, layer)?),
                _ => {}
            }
        }
        Ok(model)
    }

    /// Gives the model `source` a second name; an existing `destination` is replaced.
    pub fn copy(&self, source: &ModelName, destination: &ModelName) -> Result<(), StoreError> {
        if source == destination {
            return self.read_manifest(source).map(drop);
        }
        let _index = self.lock_index();
        let bytes = self.read_manifest(source)?.1.bytes;
        blobs::write_manifest(self, &self.manifest_file(destination), &bytes)
    }

    /// Removes a name and then the blobs that no other manifest names.
    pub fn delete(&self, name: &ModelName) -> Result<(), StoreError> {
        let _index = self.lock_index();
        let manifest = match self.read_manifest(name) {
            Ok((manifest, _)) => Some(manifest),
            Err(StoreError::CorruptManifest { .. }) => None,
            Err(error) => return Err(error),
        };
        let path = self.manifest_file(name);
        fs::remove_file(&path).map_err(|e| StoreError::io("remove", &path, e))?;
        remove_empty_folders(&self.manifests_folder());
        let digests = manifest
            .iter()
            .flat_map(Manifest::blobs)
            .map(|layer| layer.digest);
        self.remove_unused(digests.collect())
    }

    /// Where the blob lies, whether or not it is there.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs_folder().join(digest.file_name())
    }

    /// Whether the blob is there.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).is_file()
    }

    /// Starts writing a blob.
    pub fn blob_writer(&self) -> Result<BlobWriter, StoreError> {
        BlobWriter::new(self)
    }

    /// What a server does once at its start: gives blobs of old versions their present names, then
    /// removes what nothing names, unless the store keeps unused blobs or a manifest is unreadable.
    pub fn clean_up(&self) -> Result<(), StoreError> {
        self.rename_legacy_blobs()?;
        if self.inner.keep_unused {
            return Ok(());
        }
        self.prune_older_than(PRUNE_GRACE)
    }

    fn rename_legacy_blobs(&self) -> Result<(), StoreError> {
        for path in entries(&self.blobs_folder())? {
            if let Some(rest) = file_name(&path).strip_prefix("sha256:") {
                let renamed = path.with_file_name(format!("sha256-{rest}"));
                fs::rename(&path, &renamed).map_err(|e| StoreError::io("rename", &path, e))?;
            }
        }
        Ok(())
    }

    fn prune_older_than(&self, grace: Duration) -> Result<(), StoreError> {
        let _index = self.lock_index();
        let Some(used) = self.used_by_readable_manifests()? else {
            warn!("a manifest cannot be read; unused blobs are kept");
            return Ok(());
        };
        let pinned = self.pinned();
        let is_old = |at: SystemTime| at.elapsed().is_ok_and(|age| age >= grace);
        let paths = entries(&self.blobs_folder())?;
        let downloads = last_writes(&paths);
        let mut removed = 0;
        for path in paths {
            let Some(modified) = file_modified(&path) else {
                continue;
            };
            let name = file_name(&path);
            let download = partial_of(name).and_then(|blob| downloads.get(&blob).copied());
            // Names that are no digest are temporary files and partial downloads.
            let unused = name.parse().map_or(true, |blob| {
                !used.contains(&blob) && !pinned.contains(&blob)
            });
            if is_old(download.unwrap_or(modified)) && unused {
                remove_or_warn(&path);
                removed += 1;
            }
        }
        for path in entries(&self.manifests_folder())? {
            let is_temporary = file_name(&path).starts_with(blobs::TEMPORARY_MANIFEST);
            if is_temporary && file_modified(&path).is_some_and(is_old) {
                remove_or_warn(&path);
            }
        }
        remove_empty_folders(&self.manifests_folder());
        info!(removed, "removed unused blobs");
        Ok(())
    }

    /// Digests that manifests name, or nothing if a manifest cannot be read.
    fn used_by_readable_manifests(&self) -> Result<Option<HashSet<Digest>>, StoreError> {
        let mut used = HashSet::new();
        for name in self.names()? {
            match self.read_manifest(&name) {
                Ok((manifest, _)) => used.extend(manifest.blobs().map(|layer| layer.digest)),
                Err(error) => {
                    warn!(model = %name, "bad manifest: {error}");
                    return Ok(None);
                }
            }
        }
        Ok(Some(used))
    }

    /// Removes those of `digests` that no manifest names and no running work has pinned.
    /// Manifests that cannot be read do not stand in the way, or a bad file could never be freed.
    fn remove_unused(&self, mut digests: HashSet<Digest>) -> Result<(), StoreError> {
        if digests.is_empty() {
            return Ok(());
        }
        for name in self.names()? {
            if let Ok((manifest, _)) = self.read_manifest(&name) {
                for layer in manifest.blobs() {
                    digests.remove(&layer.digest);
                }
            }
        }
        let pinned = self.pinned();
        for digest in digests.difference(&pinned) {
            remove_or_warn(&self.blob_path(digest));
        }
        Ok(())
    }

    /// Writes a manifest over the name's old one, then frees blobs that only the old one named.
    /// Fails without a trace if a blob that the manifest names is missing.
    fn put_manifest(&self, name: &ModelName, bytes: &[u8]) -> Result<Replaced, StoreError> {
        let manifest = parse_manifest(name, bytes)?;
        let _index = self.lock_index();
        if let Some(missing) = manifest.blobs().find(|layer| !self.has_blob(&layer.digest)) {
            return Err(StoreError::BlobNotFound(missing.digest));
        }
        let old = self.read_manifest(name).ok();
        blobs::write_manifest(self, &self.manifest_file(name), bytes)?;
        let kept: HashSet<Digest> = manifest.blobs().map(|layer| layer.digest).collect();
        let old = old
            .iter()
            .flat_map(|(old, _)| old.blobs())
            .map(|layer| layer.digest);
        Ok(Replaced {
            digests: old.filter(|digest| !kept.contains(digest)).collect(),
        })
    }

    /// Removes what nothing names since a manifest was replaced, unless the store keeps unused blobs.
    fn free_replaced(&self, replaced: Replaced) -> Result<(), StoreError> {
        if self.inner.keep_unused {
            return Ok(());
        }
        let _index = self.lock_index();
        self.remove_unused(replaced.digests)
    }

    fn keeps_unused(&self) -> bool {
        self.inner.keep_unused
    }

    /// Keeps blobs from being removed while the guard lives.
    fn pin(&self, digests: impl IntoIterator<Item = Digest>) -> Pins {
        let digests: Vec<Digest> = digests.into_iter().collect();
        let mut pins = lock(&self.inner.pins);
        for digest in &digests {
            *pins.entry(*digest).or_default() += 1;
        }
        Pins {
            store: self.clone(),
            digests,
        }
    }

    fn pinned(&self) -> HashSet<Digest> {
        lock(&self.inner.pins).keys().copied().collect()
    }

    fn read_manifest(&self, name: &ModelName) -> Result<(Manifest, ManifestFile), StoreError> {
        let path = self.manifest_file(name);
        let meta = match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => meta,
            Ok(_) => return Err(StoreError::NotFound(name.to_string())),
            Err(error) if is_absence(&error) => return Err(StoreError::NotFound(name.to_string())),
            Err(error) => return Err(StoreError::io("read", &path, error)),
        };
        if meta.len() > MAX_TEXT_BYTES {
            let reason = format!("{} bytes are too many for a manifest", meta.len());
            return Err(StoreError::CorruptManifest {
                name: name.to_string(),
                reason,
            });
        }
        let bytes = fs::read(&path).map_err(|e| StoreError::io("read", &path, e))?;
        let manifest = parse_manifest(name, &bytes)?;
        let modified = meta
            .modified()
            .map_err(|e| StoreError::io("read", &path, e))?;
        let digest = Digest::of(&bytes);
        Ok((
            manifest,
            ManifestFile {
                bytes,
                digest,
                modified,
            },
        ))
    }

    fn read_blob(&self, name: &ModelName, layer: &Layer) -> Result<Vec<u8>, StoreError> {
        let path = self.blob_path(&layer.digest);
        let size = match fs::metadata(&path) {
            Ok(meta) => meta.len(),
            Err(error) if is_absence(&error) => return Err(StoreError::BlobNotFound(layer.digest)),
            Err(error) => return Err(StoreError::io("read", &path, error)),
        };
        if size > MAX_TEXT_BYTES {
            let reason = format!("{} holds {size} bytes, too many for text", layer.digest);
            return Err(StoreError::CorruptManifest {
                name: name.to_string(),
                reason,
            });
        }
        fs::read(&path).map_err(|e| StoreError::io("read", &path, e))
    }

    fn read_text(&self, name: &ModelName, layer: &Layer) -> Result<String, StoreError> {
        let bytes = self.read_blob(name, layer)?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn read_json<T: DeserializeOwned>(
        &self,
        name: &ModelName,
        layer: &Layer,
    ) -> Result<T, StoreError> {
        let bytes = self.read_blob(name, layer)?;
        first_json(&bytes).map_err(|error| StoreError::CorruptManifest {
            name: name.to_string(),
            reason: format!("{}: {error}", layer.digest),
        })
    }

    fn manifest_file(&self, name: &ModelName) -> PathBuf {
        self.manifests_folder().join(name.manifest_path())
    }

    fn manifests_folder(&self) -> PathBuf {
        self.inner.root.join("manifests")
    }

    fn blobs_folder(&self) -> PathBuf {
        self.inner.root.join("blobs")
    }

    fn lock_index(&self) -> MutexGuard<'_, ()> {
        lock(&self.inner.index)
    }
}

/// The bytes of a manifest file and what follows from them.
struct ManifestFile {
    bytes: Vec<u8>,
    digest: Digest,
    modified: SystemTime,
}

/// Blobs that only a manifest named that has just been replaced.
struct Replaced {
    digests: HashSet<Digest>,
}

impl Replaced {
    fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }
}

/// Guard of [`Store::pin`].
struct Pins {
    store: Store,
    digests: Vec<Digest>,
}

impl Drop for Pins {
    fn drop(&mut self) {
        let mut pins = lock(&self.store.inner.pins);
        for digest in &self.digests {
            if let Some(users) = pins.get_mut(digest) {
                *users -= 1;
                if *users == 0 {
                    pins.remove(digest);
                }
            }
        }
    }
}

fn parse_manifest(name: &ModelName, bytes: &[u8]) -> Result<Manifest, StoreError> {
    first_json(bytes).map_err(|error| StoreError::CorruptManifest {
        name: name.to_string(),
        reason: error.to_string(),
    })
}

/// The first JSON value; what follows it does not count.
fn first_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    T::deserialize(&mut serde_json::Deserializer::from_slice(bytes))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let listed = match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect(),
        // A file where a folder belongs, or a folder that has just gone: nothing to list.
        Err(error) if is_absence(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    listed.map_err(|e| StoreError::io("list", folder, e))
}

/// A file's name; empty if it is not UTF-8, which no name in the store is.
fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// When a file was last written to; nothing for what is no file.
fn file_modified(path: &Path) -> Option<SystemTime> {
    let meta = fs::metadata(path).ok().filter(|meta| meta.is_file())?;
    meta.modified().ok()
}

/// When each download under way was last written to. Its files grow old together: the state of a part
/// that has come in full is not touched while the others go on.
fn last_writes(paths: &[PathBuf]) -> HashMap<Digest, SystemTime> {
    let mut last = HashMap::new();
    for path in paths {
        if let (Some(blob), Some(modified)) = (partial_of(file_name(path)), file_modified(path)) {
            let newest = last.entry(blob).or_insert(modified);
            *newest = modified.max(*newest);
        }
    }
    last
}

/// The blob that a download's file belongs to: `sha256-<64 hex>-partial[-<N>]`.
fn partial_of(name: &str) -> Option<Digest> {
    let (blob, part) = name.split_once("-partial")?;
    let is_number = |n: &str| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit());
    let is_part = part.is_empty() || part.strip_prefix('-').is_some_and(is_number);
    blob.parse::<Digest>().ok().filter(|_| is_part)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Removes empty folders below `folder`, which itself stays.
fn remove_empty_folders(folder: &Path) {
    for path in entries(folder).unwrap_or_default() {
        if path.is_dir() && !path.is_symlink() {
            remove_empty_folders(&path);
            // Fails on a folder that is not empty, which is what should stay.
            let _ = fs::remove_dir(&path);
        }
    }
}

fn remove_or_warn(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if !is_absence(&error) => {
            warn!(path = %path.display(), "cannot remove: {error}")
        }
        _ => {}
    }
}

/// The data behind these locks stays valid if a holder panics: every change is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
