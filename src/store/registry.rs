//! The client of model registries: manifests, blobs, signing in, pull and push.

mod challenge;
pub(super) mod download;
mod hub;
mod key;
mod pull;
mod push;
mod session;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::error::StoreError;
use super::name::ModelName;
use super::{Progress, Store};

pub(super) use download::Blob;
pub use key::ensure_key;
pub(super) use pull::{finish, say_complete};

/// What a [`Registry`] has to know.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Version in the user agent: the one that `/api/version` tells.
    pub version: String,
    /// Private key that signs requests for tokens (`~/.ollama/id_ed25519`), made when first needed.
    pub key_path: Option<PathBuf>,
    /// Address of the Hugging Face Hub.
    pub hub_endpoint: String,
    /// Token for the Hub, for repositories that are not public.
    pub hub_token: Option<String>,
    /// Waits and sizes.
    pub tuning: Tuning,
}

impl RegistryOptions {
    /// The usual options for this version and key.
    pub fn new(version: impl Into<String>, key_path: Option<PathBuf>) -> RegistryOptions {
        RegistryOptions {
            version: version.into(),
            key_path,
            hub_endpoint: "https://huggingface.co".to_owned(),
            hub_token: None,
            tuning: Tuning::default(),
        }
    }
}

/// Waits and sizes of transfers; tests make them small.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Parts of a blob under way at once.
    pub concurrent_parts: usize,
    /// Least size of a part, in bytes.
    pub min_part_bytes: u64,
    /// Largest size of a part, in bytes.
    pub max_part_bytes: u64,
    /// Attempts per part.
    pub attempts: u32,
    /// Wait before the second attempt; doubles from then on.
    pub retry_wait: Duration,
    /// A connection that brings nothing for this long is given up.
    pub stall: Duration,
    /// How long a registry may work on what it has been sent before it answers.
    pub answer: Duration,
    /// How long to look for the address of a blob.
    pub resolve: Duration,
    /// Time between two lines of progress.
    pub tick: Duration,
    /// How often the state of a part is written down.
    pub checkpoint: Duration,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning {
            concurrent_parts: 16,
            min_part_bytes: 100_000_000,
            max_part_bytes: 1_000_000_000,
            attempts: 6,
            retry_wait: Duration::from_secs(1),
            stall: Duration::from_secs(30),
            answer: Duration::from_secs(10 * 60),
            resolve: Duration::from_secs(30),
            tick: Duration::from_millis(60),
            checkpoint: Duration::from_secs(1),
        }
    }
}

/// A client of registries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    options: RegistryOptions,
}

/// What to pull or push.
#[derive(Clone, Debug)]
pub struct Pull {
    /// The model.
    pub name: ModelName,
    /// Speak plain HTTP, whatever the name's scheme.
    pub insecure: bool,
}

impl Registry {
    /// A client. Proxies are those of the environment.
    ///
    /// # Errors
    /// [`RegistryError::Transport`](super::RegistryError::Transport) if the TLS library cannot be set up.
    pub fn new(options: RegistryOptions) -> Result<Registry, StoreError> {
        let agent = format!(
            "ollama/{} ({} {}) wick/{}",
            options.version,
            go_arch(),
            std::env::consts::OS,
            env!("CARGO_PKG_VERSION")
        );
        let http = crate::tls::client()
            .user_agent(agent)
            // Redirects are followed by hand: tokens must not reach other hosts.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| session::transport(&error))?;
        Ok(Registry {
            inner: Arc::new(Inner { http, options }),
        })
    }

    fn tuning(&self) -> &Tuning {
        &self.inner.options.tuning
    }

    fn key_path(&self) -> Option<&Path> {
        self.inner.options.key_path.as_deref()
    }
}

/// Pulls a model, telling `events` about every step; the last is `success`. `starter` comes from inside the
/// binary and needs no registry.
///
/// Blobs that are there are not fetched again, and unfinished ones go on where they stopped. The
/// manifest is written last, byte for byte. Dropping the future stops the transfer, unless another
/// pull waits for the same blob; what has come so far is kept for the next pull.
///
/// # Errors
/// [`StoreError::PullManifest`], [`StoreError::Registry`], [`StoreError::DownloadMismatch`],
/// [`StoreError::NoSpace`] and [`StoreError::DiskFull`]; the store is then as it was.
pub async fn pull(
    store: &Store,
    registry: &Registry,
    pull: Pull,
    events: mpsc::Sender<Progress>,
) -> Result<(), StoreError> {
    registry.pull_as_part(store, &pull, &events).await?;
    say(&events, "success").await
}

/// Pushes a model, telling `events` about every step; the last is `success`.
///
/// # Errors
/// [`StoreError::NotFound`] for a model that is not there, [`StoreError::Registry`] if the registry
/// refuses.
pub async fn push(
    store: &Store,
    registry: &Registry,
    push: Pull,
    events: mpsc::Sender<Progress>,
) -> Result<(), StoreError> {
    registry.push(store, &push, &events).await
}

pub(super) async fn say(events: &mpsc::Sender<Progress>, status: &str) -> Result<(), StoreError> {
    send(events, Progress::status(status)).await
}

async fn send(events: &mpsc::Sender<Progress>, progress: Progress) -> Result<(), StoreError> {
    events
        .send(progress)
        .await
        .map_err(|_| StoreError::Canceled)
}

/// The machine's name in the notation that registries know.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
