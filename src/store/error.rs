//! Why the store could not do what it was asked.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::digest::{Digest, InvalidDigest};
use super::name::NameError;

/// Why the store could not do what it was asked. Errors are cloned to everyone who waits for a
/// shared download, hence the shared sources.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The text is no name of a local model.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The text is no digest.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
    /// No manifest of that name (its shortest form); routes word this in their own ways.
    #[error("model '{0}' not found")]
    NotFound(String),
    /// A manifest names a blob that is not there.
    #[error("blob {0} is missing")]
    BlobNotFound(Digest),
    /// The manifest or a layer of it cannot be understood.
    #[error("the manifest of {name} is damaged: {reason}")]
    CorruptManifest {
        /// The model.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// An uploaded blob is not what its digest says.
    #[error("digest mismatch, expected {:?}, got {:?}", expected.to_string(), actual.to_string())]
    DigestMismatch {
        /// What was announced.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// A downloaded blob is not what its digest says; it has been removed.
    #[error("digest mismatch, file must be downloaded again: want {expected}, got {actual}")]
    DownloadMismatch {
        /// What the manifest names.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// The manifest could not be fetched.
    #[error("pull model manifest: {0}")]
    PullManifest(RegistryError),
    /// The registry refused, failed or lied.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The request to create a model makes no sense.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The disk cannot hold what should be written.
    #[error("no space left on device: {needed_bytes} bytes are needed at {}, {free_bytes} are free", path.display())]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// What is missing for the operation as a whole.
        needed_bytes: u64,
        /// What the file system has left.
        free_bytes: u64,
    },
    /// The disk ran full during a write.
    #[error("no space left on device: {}", .0.display())]
    DiskFull(PathBuf),
    /// A GGUF or safetensors file cannot be read, converted or quantised.
    #[error("{0}")]
    Model(String),
    /// Nobody waits for the result any more.
    #[error("request canceled")]
    Canceled,
    /// The file system failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: Arc<io::Error>,
    },
}

impl StoreError {
    /// An I/O failure; a full disk is told apart.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> StoreError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::DiskFull(path.to_owned())
            }
            _ => StoreError::Io {
                action,
                path: path.to_owned(),
                source: Arc::new(source),
            },
        }
    }
}

/// Why a registry did not give or take what it should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegistryError {
    /// Status 404.
    #[error("file does not exist")]
    NotFound,
    /// Status 401, also after signing in.
    #[error("unauthorized: access denied")]
    Unauthorized,
    /// Any other failing status.
    #[error("{code}: {body}")]
    Status {
        /// The status.
        code: u16,
        /// The answer's text, cut to a sensible length.
        body: String,
    },
    /// `http://` without `insecure`.
    #[error("insecure protocol http")]
    InsecureProtocol,
    /// The server that issues tokens is not the registry: it shall not see a signature.
    #[error("realm host {realm:?} does not match original host {host:?}")]
    RealmHost {
        /// Host of the realm.
        realm: String,
        /// Host that was asked.
        host: String,
    },
    /// A URL that the registry sent cannot be used.
    #[error("the registry sent a bad URL: {0}")]
    BadUrl(String),
    /// Ten redirects did not lead anywhere.
    #[error("maximum redirects exceeded (10)")]
    TooManyRedirects,
    /// The manifest is no manifest.
    #[error("the registry sent a bad manifest: {0}")]
    BadManifest(String),
    /// The model's weights are in a format that cannot be run here.
    #[error("this model is stored as separate tensors, which this server cannot run")]
    TensorLayers,
    /// The registry's size of a blob is not the manifest's.
    #[error("the registry says that {digest} has {actual} bytes, the manifest {expected}")]
    WrongSize {
        /// The blob.
        digest: Digest,
        /// Bytes according to the manifest.
        expected: u64,
        /// Bytes according to the registry.
        actual: u64,
    },
    /// An answer to a range request is not that range.
    #[error("asked for bytes {asked}, got {got}")]
    WrongRange {
        /// The range asked for.
        asked: String,
        /// What came instead.
        got: String,
    },
    /// An answer goes on beyond any sense.
    #[error("the registry's answer is longer than {0} bytes")]
    TooLong(usize),
    /// No byte came for a while.
    #[error("no data for {0} seconds")]
    Stalled(u64),
    /// Every retry failed; the last reason.
    #[error("max retries exceeded: {0}")]
    MaxRetries(Box<RegistryError>),
    /// The connection failed.
    #[error("{0}")]
    Transport(String),
    /// The key that signs requests cannot be read or made.
    #[error("cannot use the key {}: {reason}", path.display())]
    Key {
        /// The private key's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A request to create a model that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A key of `files` leaves the folder.
    #[error("file path must be relative")]
    FilePath,
    /// Neither a base model nor files.
    #[error("neither 'from' or 'files' was specified")]
    NeitherFromNorFiles,
    /// An empty list of files.
    #[error("no files provided to convert")]
    NoFiles,
    /// Two adapters.
    #[error("only one adapter is currently supported")]
    OneAdapter,
    /// A file is not GGUF.
    #[error("supplied file was not in GGUF format")]
    NotGguf,
    /// Files of no known type.
    #[error("unknown type")]
    UnknownType,
    /// The remote host is no URL.
    #[error("bad remote")]
    BadRemote,
    /// An entry of `info` has the wrong type.
    #[error("info field {field:?} must be a {kind}")]
    Info {
        /// The entry.
        field: String,
        /// `string`, `number` or `non-negative integer`.
        kind: &'static str,
    },
    /// A quantisation for a draft model that is not there.
    #[error("--draft-quantize requires a DRAFT model")]
    DraftQuantize,
    /// The template does not parse; for callers, who parse templates.
    #[error("template error: {0}")]
    Template(String),
    /// The weights are already quantised.
    #[error("quantization is only supported for F16, BF16 and F32 models")]
    AlreadyQuantized,
    /// No such quantisation.
    #[error(
        "unsupported quantization type {0} - supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0"
    )]
    Quantization(String),
}
