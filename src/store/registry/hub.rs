//! Single GGUF files of the Hugging Face Hub: `hf.co/<user>/<repository>:<file>.gguf`.
//!
//! The Hub's own client library finds the file, its size and its SHA-256; the bytes then come the
//! same way as all blobs, in parts that survive interruptions.

use std::sync::Arc;

use hf_hub::api::sync::{ApiBuilder, ApiError};
use reqwest::Url;
use tokio::sync::mpsc;

use super::download::{self, Blob};
use super::session::Session;
use super::{Registry, pull, say};
use crate::store::digest::Digest;
use crate::store::error::{RegistryError, StoreError};
use crate::store::manifest::{Layer, Manifest, media_type};
use crate::store::name::ModelName;
use crate::store::weights::Facts;
use crate::store::{Progress, Store};

/// Fetches one file and makes a model of it: the weights and a config that describes them.
pub(super) async fn pull_file(
    registry: &Registry,
    store: &Store,
    name: &ModelName,
    events: &mpsc::Sender<Progress>,
) -> Result<(), StoreError> {
    say(events, "pulling manifest").await?;
    let file = find(registry, name)
        .await
        .map_err(StoreError::PullManifest)?;
    let _pin = store.pin([file.blob.digest]);
    download::check_space(store, &[file.blob])?;
    let token = registry.inner.options.hub_token.clone();
    let session = Session::with_token(registry, file.url.clone(), token);
    download::fetch_from(store, &Arc::new(session), file.url, file.blob, events).await?;
    say(events, "verifying sha256 digest").await?;
    let facts = Facts::read(&store.blob_path(&file.blob.digest))?;
    let config = facts.into_config();
    let config = store.put_blob(&config.to_bytes())?;
    let _config_pin = store.pin([config.digest]);
    let layer = |media_type: &str, digest, size| Layer {
        media_type: media_type.to_owned(),
        digest,
        size,
        from: None,
        name: None,
    };
    let manifest = Manifest::new(
        layer(media_type::CONFIG, config.digest, config.size_bytes),
        vec![layer(
            media_type::MODEL,
            file.blob.digest,
            file.blob.size_bytes,
        )],
    );
    pull::finish(store, name, &manifest.to_bytes(), events).await
}

struct File {
    url: Url,
    blob: Blob,
}

async fn find(registry: &Registry, name: &ModelName) -> Result<File, RegistryError> {
    let options = registry.inner.options.clone();
    let (repository, path) = (name.repository(), name.tag().to_owned());
    let found = tokio::task::spawn_blocking(move || {
        let api = ApiBuilder::new()
            .with_endpoint(options.hub_endpoint)
            .with_token(options.hub_token)
            .with_progress(false)
            .build()
            .map_err(hub_error)?;
        let url = api.model(repository).url(&path);
        let metadata = api.metadata(&url).map_err(hub_error)?;
        let digest = format!("sha256:{}", metadata.etag())
            .parse::<Digest>()
            .map_err(|_| {
                RegistryError::BadManifest(format!(
                    "{url} has no SHA-256, only {:?}",
                    metadata.etag()
                ))
            })?;
        let url = Url::parse(&url).map_err(|_| RegistryError::BadUrl(url))?;
        Ok(File {
            url,
            blob: Blob {
                digest,
                size_bytes: metadata.size() as u64,
            },
        })
    });
    found
        .await
        .map_err(|error| RegistryError::Transport(error.to_string()))?
}

fn hub_error(error: ApiError) -> RegistryError {
    let text = error.to_string();
    // The library's HTTP client is private to it; its errors only tell the status as text.
    if text.contains("404") {
        RegistryError::NotFound
    } else if text.contains("401") || text.contains("403") {
        RegistryError::Unauthorized
    } else {
        RegistryError::Transport(text)
    }
}
