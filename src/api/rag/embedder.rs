//! The engine's embedder, as the library sees it.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wick_models::AddSpecial;

use crate::api::App;
use crate::api::catalog::Model;
use crate::api::error::{ApiError, Route};
use crate::api::options::Options;
use crate::api::verbs::vectors::{VectorsRequest, vectors};
use crate::engine::EngineError;
use crate::rag::embed::{EmbedError, Embedder, EmbedderFacts, EmbedderId};

/// Tokens that stand around every text.
const SPECIAL_TOKENS: usize = 2;

/// Embeds by the configured model.
pub(crate) struct EngineEmbedder {
    pub(super) app: App,
}

impl EngineEmbedder {
    fn name(&self) -> &str {
        &self.app.config.embed_model
    }

    async fn look(&self) -> Result<EmbedderFacts, ApiError> {
        let model = self.app.model(Route::Embed, self.name()).await?;
        let options = Options::merge(&model.stored.params, None)?;
        let lease = self.app.load(&model, &options, None).await?;
        if !lease.is_encoder() {
            return Err(EngineError::Unsupported("embeddings").into());
        }
        let context_tokens = lease.context_tokens().min(lease.trained_context_tokens());
        let tokenizer = Arc::clone(lease.tokenizer());
        let dimension = model.facts.embedding_length.unwrap_or(0);
        Ok(EmbedderFacts {
            id: EmbedderId {
                model: self.name().to_owned(),
                weights: weights(&model),
                dimension: usize::try_from(dimension).unwrap_or(0),
            },
            context_tokens: context_tokens.saturating_sub(SPECIAL_TOKENS).max(1),
            count: Arc::new(move |text| {
                // What cannot be encoded is cut where it is embedded; its letters are the most it can have.
                let tokens = tokenizer.encode(text, AddSpecial::No);
                tokens.map_or(text.len(), |tokens| tokens.len())
            }),
        })
    }

    async fn vectors(
        &self,
        embedder: &EmbedderId,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ApiError> {
        let model = self.app.model(Route::Embed, &embedder.model).await?;
        if weights(&model) != embedder.weights {
            let gone = format!("the model '{}' has other weights now", embedder.model);
            return Err(ApiError::NotFound(gone));
        }
        let request = VectorsRequest {
            route: Route::Embed,
            model: embedder.model.clone(),
            inputs: texts,
            options: None,
            keep_alive: None,
            truncate: true,
            normalize: true,
            dimensions: None,
        };
        Ok(vectors(&self.app, request).await?.vectors)
    }
}

impl Embedder for EngineEmbedder {
    fn facts(&self) -> BoxFuture<'_, Result<EmbedderFacts, EmbedError>> {
        async move {
            self.look()
                .await
                .map_err(|error| absent(self.name(), error))
        }
        .boxed()
    }

    fn embed<'a>(
        &'a self,
        embedder: &'a EmbedderId,
        texts: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>> {
        let made = self.vectors(embedder, texts);
        async move { made.await.map_err(|error| absent(&embedder.model, error)) }.boxed()
    }
}

/// The name of the file, which is its digest.
fn weights(model: &Model) -> String {
    let name = model.path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default().to_owned()
}

fn absent(model: &str, error: ApiError) -> EmbedError {
    EmbedError {
        model: model.to_owned(),
        passes: matches!(
            error,
            ApiError::Engine(EngineError::Busy | EngineError::Stopped)
        ),
        source: Box::new(error),
    }
}
