//! Models as lists show them.

use serde::Serialize;

use crate::api::App;
use crate::api::catalog::{Model, blocking};
use crate::api::error::ApiError;
use crate::store::StoredModel;

/// `details` of a model.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Details {
    pub parent_model: String,
    pub format: String,
    pub family: String,
    pub families: Option<Vec<String>>,
    pub parameter_size: String,
    pub quantization_level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_length: Option<u64>,
}

impl Details {
    /// What the config says, without what the file does.
    pub(crate) fn of(stored: &StoredModel) -> Details {
        let config = &stored.config;
        Details {
            parent_model: stored.parent.clone().unwrap_or_default(),
            format: config.model_format.clone(),
            family: config.model_family.clone(),
            families: config.model_families.clone(),
            parameter_size: config.model_type.clone(),
            quantization_level: config.file_type.clone(),
            context_length: config.context_length,
            embedding_length: config.embedding_length,
        }
    }

    /// The same with sizes from the file.
    pub(crate) fn with_facts(model: &Model) -> Details {
        Details {
            context_length: model.facts.context_tokens,
            embedding_length: model.facts.embedding_length,
            ..Details::of(&model.stored)
        }
    }
}

/// A model of a list, with facts where its file can be read.
pub(crate) struct Listed {
    pub stored: StoredModel,
    pub model: Option<Model>,
}

/// All models on disk, latest first. A file that cannot be read costs the model its facts only.
pub(crate) async fn list(app: &App) -> Result<Vec<Listed>, ApiError> {
    let app = app.clone();
    blocking(move || {
        let stored = app.store.models()?.into_iter();
        let listed = stored.map(|stored| {
            let model = app.describe(stored.clone()).unwrap_or_else(|error| {
                tracing::warn!(model = %stored.name, "cannot read a model: {error}");
                None
            });
            Listed { stored, model }
        });
        Ok(listed.collect())
    })
    .await
}
