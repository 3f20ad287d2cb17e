//! The model that a new one starts from.

use tokio::sync::mpsc;

use crate::store::error::{RequestError, StoreError};
use crate::store::name::{ModelName, NameError};
use crate::store::registry::{Pull, Registry};
use crate::store::{Pins, Progress, Store, StoredModel};

/// A base model; its blobs stay while this lives.
pub(super) struct Base {
    pub(super) model: StoredModel,
    _pins: Pins,
}

/// Reads the base model, after pulling it if it is not there.
pub(super) async fn load(
    store: &Store,
    registry: &Registry,
    from: &str,
    events: &mpsc::Sender<Progress>,
) -> Result<Base, StoreError> {
    let name = ModelName::local(from).map_err(|error| match error {
        NameError::CloudDisabled => StoreError::Name(error),
        _ => StoreError::Name(NameError::Invalid),
    })?;
    let name = store.resolve(&name)?;
    let model = match store.load(&name) {
        Err(StoreError::NotFound(_)) => {
            let pull = Pull {
                name: name.clone(),
                insecure: false,
            };
            // The pull ends with a success of its own, which is not yet that of the create.
            registry.pull_as_part(store, &pull, events).await?;
            store.load(&name)?
        }
        other => other?,
    };
    if model.config.remote_host.is_some() {
        return Err(RequestError::BadRemote.into());
    }
    let pins = store.pin(model.manifest.blobs().map(|layer| layer.digest));
    Ok(Base { model, _pins: pins })
}
