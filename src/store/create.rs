//! Making a model: from another model, from GGUF blobs or from the files of a BERT folder.

mod base;
mod build;
mod request;
#[cfg(test)]
pub(super) mod tests;

use tokio::sync::mpsc;

use super::error::StoreError;
use super::registry::Registry;
use super::{Progress, Store};

pub use request::CreateRequest;

/// Creates the model that `request` describes, replacing one of the same name. Base models that
/// are not there are pulled first.
///
/// Nothing becomes visible before the manifest is written, which is the last step. Dropping the
/// future, or `events`' receiver, gives up.
///
/// # Errors
/// [`StoreError::Request`] for requests that make no sense, [`StoreError::BlobNotFound`] for files
/// that were not uploaded, [`StoreError::Model`] for weights that cannot be read or converted.
pub async fn create(
    store: &Store,
    registry: &Registry,
    request: CreateRequest,
    events: mpsc::Sender<Progress>,
) -> Result<(), StoreError> {
    request.check()?;
    let name = store.resolve(&request.name)?;
    let base = match &request.from {
        Some(from) => Some(base::load(store, registry, from, &events).await?),
        None => None,
    };
    let store = store.clone();
    let built = tokio::task::spawn_blocking(move || {
        build::Builder::new(&store, events, &request).build(&name, base)
    });
    built
        .await
        .map_err(|error| StoreError::Model(format!("creating stopped: {error}")))?
}
