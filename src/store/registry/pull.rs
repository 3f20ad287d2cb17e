//! Pull: the manifest, the blobs one after another, then the manifest is written.

use std::collections::HashMap;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::ACCEPT;
use tokio::sync::mpsc;
use tracing::warn;

use super::download::{self, Blob};
use super::session::{Session, is_hub, read_limited};
use super::{Pull, Registry, hub, say, send};
use crate::store::digest::Digest;
use crate::store::error::{RegistryError, StoreError};
use crate::store::manifest::{self, Manifest, media_type};
use crate::store::name::ModelName;
use crate::store::{MAX_TEXT_BYTES, Progress, Store, starter};

impl Registry {
    /// A pull without the final `success`.
    pub(crate) async fn pull_as_part(
        &self,
        store: &Store,
        pull: &Pull,
        events: &mpsc::Sender<Progress>,
    ) -> Result<(), StoreError> {
        let name = store.resolve(&pull.name)?;
        if starter::is_starter(&name) {
            return starter::pull(store, &name, events).await;
        }
        if is_hub(&name) && name.tag().to_ascii_lowercase().ends_with(".gguf") {
            return hub::pull_file(self, store, &name, events).await;
        }
        // The registry is asked by the name as given: its spelling on disk may differ.
        let session = Arc::new(Session::new(self, pull)?);
        say(events, "pulling manifest").await?;
        let bytes = fetch_manifest(&session, pull.name.tag())
            .await
            .map_err(StoreError::PullManifest)?;
        let manifest = parse(&bytes).map_err(StoreError::PullManifest)?;
        let blobs = distinct(&manifest)?;
        // Nothing of this may be removed by a delete or another pull in the meantime.
        let _pins = store.pin(blobs.iter().map(|blob| blob.digest));
        download::check_space(store, &blobs)?;
        for blob in blobs {
            download::fetch(store, &session, blob, events).await?;
        }
        // Every blob was hashed before it got its name.
        say(events, "verifying sha256 digest").await?;
        finish(store, &name, &bytes, events).await
    }
}

/// Writes the manifest and frees what only the old one named.
pub(in crate::store) async fn finish(
    store: &Store,
    name: &ModelName,
    manifest: &[u8],
    events: &mpsc::Sender<Progress>,
) -> Result<(), StoreError> {
    say(events, "writing manifest").await?;
    let replaced = store.put_manifest(name, manifest)?;
    if !replaced.is_empty() && !store.keeps_unused() {
        say(events, "removing unused layers").await?;
        if let Err(error) = store.free_replaced(replaced) {
            warn!(model = %name, "cannot remove unused layers: {error}");
            say(events, &format!("couldn't remove unused layers: {error}")).await?;
        }
    }
    Ok(())
}

/// A line about a blob that is there already or has just come in full.
pub(in crate::store) async fn say_complete(
    events: &mpsc::Sender<Progress>,
    blob: &Blob,
) -> Result<(), StoreError> {
    let status = format!("pulling {}", blob.digest.short());
    send(
        events,
        Progress::bytes(
            status,
            blob.digest.to_string(),
            blob.size_bytes,
            blob.size_bytes,
        ),
    )
    .await
}

async fn fetch_manifest(session: &Session, tag: &str) -> Result<Vec<u8>, RegistryError> {
    let url = session.url(&format!("manifests/{tag}"))?;
    let response = session
        .fetch_with(Method::GET, url, (ACCEPT, manifest::MANIFEST))
        .await?;
    read_limited(response, MAX_TEXT_BYTES as usize, session.stall()).await
}

fn parse(bytes: &[u8]) -> Result<Manifest, RegistryError> {
    let bad = |reason: String| RegistryError::BadManifest(reason);
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
    if manifest.layers.is_empty() {
        return Err(bad("it names no layers".to_owned()));
    }
    if manifest
        .layers
        .iter()
        .any(|layer| layer.media_type == media_type::TENSOR)
    {
        return Err(RegistryError::TensorLayers);
    }
    Ok(manifest)
}

/// Each blob once, in the manifest's order.
fn distinct(manifest: &Manifest) -> Result<Vec<Blob>, StoreError> {
    let mut sizes: HashMap<Digest, u64> = HashMap::new();
    let mut blobs = Vec::new();
    for layer in manifest.blobs() {
        match sizes.insert(layer.digest, layer.size) {
            None => blobs.push(Blob {
                digest: layer.digest,
                size_bytes: layer.size,
            }),
            Some(size) if size != layer.size => {
                let reason = format!("{} has {size} and {} bytes", layer.digest, layer.size);
                return Err(StoreError::PullManifest(RegistryError::BadManifest(reason)));
            }
            Some(_) => {}
        }
    }
    Ok(blobs)
}
