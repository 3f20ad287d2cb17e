//! What the routes know about a stored model: its layers, the facts in its file's header, its prompts.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;
use wick_models::Gguf;
use wick_models::gguf::Value;

use crate::engine::{Lease, LoadOptions, LoadRequest};
use crate::prompt::render::{Capability, ModelPrompt, PromptError, PromptParts};
use crate::store::{ModelName, StoreError, StoredModel};

use super::App;
use super::error::{ApiError, Missing, Route};
use super::fields::KeepAliveField;
use super::options::Options;

/// Entries kept of each kind; models beyond that are read again.
const CACHED: usize = 256;

/// Facts and prompts of models, read once: blobs and manifests never change under their digests.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    facts: Mutex<HashMap<PathBuf, Arc<Facts>>>,
    prompts: Mutex<HashMap<String, Arc<ModelPrompt>>>,
}

/// A model that can be asked.
#[derive(Clone)]
pub(crate) struct Model {
    /// Its layers.
    pub stored: StoredModel,
    /// Its GGUF file.
    pub path: PathBuf,
    /// What the file's header says.
    pub facts: Arc<Facts>,
    /// How messages become text.
    pub prompt: Arc<ModelPrompt>,
}

/// What the header of a GGUF file says, in short.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// `general.architecture`.
    pub architecture: String,
    /// Context the model was trained on, in tokens.
    pub context_tokens: Option<u64>,
    /// Width of its vectors.
    pub embedding_length: Option<u64>,
    /// Whether it makes vectors instead of text.
    pub embeds: bool,
    /// Whether vectors shall have length 1 even where raw ones are asked for.
    pub normalizes: bool,
    /// The Jinja template.
    pub jinja: Option<String>,
    /// Text of the token that starts a prompt; may be empty.
    pub bos: String,
    /// Whether the tokenizer puts it there.
    pub adds_bos: bool,
    /// Text of the token that ends a turn; may be empty.
    pub eos: String,
}

impl Facts {
    fn read(gguf: &Gguf) -> Result<Facts, wick_models::Error> {
        let architecture = gguf.architecture().to_owned();
        // The text that a token id in the metadata stands for.
        let token = |key: &str| -> Result<String, wick_models::Error> {
            let Some(Value::Texts(tokens)) = gguf.value("tokenizer.ggml.tokens") else {
                return Ok(String::new());
            };
            let id = gguf.u64(key)?.and_then(|id| usize::try_from(id).ok());
            let text = id.and_then(|id| tokens.get(id));
            Ok(text.unwrap_or_default().to_owned())
        };
        let embeds = gguf.arch_u64("pooling_type")?.is_some();
        Ok(Facts {
            context_tokens: gguf.arch_u64("context_length")?,
            embedding_length: gguf.arch_u64("embedding_length")?,
            embeds,
            normalizes: embeds
                && ["gemma", "qwen3"]
                    .iter()
                    .any(|a| architecture.starts_with(a)),
            jinja: gguf.str("tokenizer.chat_template")?.map(str::to_owned),
            bos: token("tokenizer.ggml.bos_token_id")?,
            adds_bos: adds_bos(gguf)?,
            eos: token("tokenizer.ggml.eos_token_id")?,
            architecture,
        })
    }
}

impl Model {
    /// Whether it answers with text.
    pub(crate) fn completes(&self) -> bool {
        !self.facts.embeds
    }

    /// Whether its template has room for this.
    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.prompt.can(capability)
    }

    /// What clients are told that it can do.
    pub(crate) fn capabilities(&self) -> Vec<String> {
        let mut all = self.stored.config.capabilities.clone().unwrap_or_default();
        let mut add = |name: &str| {
            if !all.iter().any(|known| known == name) {
                all.push(name.to_owned());
            }
        };
        add(if self.facts.embeds {
            "embedding"
        } else {
            "completion"
        });
        for capability in self.prompt.capabilities() {
            add(capability.as_str());
        }
        // No model that runs here sees, whatever its maker says: clients would offer what is refused.
        all.retain(|name| name != "vision");
        all
    }
}

impl App {
    /// The model that a client calls `name`.
    pub(crate) async fn model(&self, route: Route, name: &str) -> Result<Model, ApiError> {
        let (app, name) = (self.clone(), name.to_owned());
        blocking(move || {
            let stored = app.stored(route, &name)?;
            app.describe(stored)?.ok_or_else(|| {
                // A manifest without weights: a model that runs on another server.
                let source = StoreError::Name(crate::store::NameError::CloudDisabled);
                ApiError::Model {
                    route,
                    name,
                    source,
                }
            })
        })
        .await
    }

    /// A hold on the model, in memory as `options` want it.
    ///
    /// # Errors
    /// A model with adapters, which would answer as if it had none; otherwise those of the engine.
    pub(crate) async fn load(
        &self,
        model: &Model,
        options: &Options,
        keep_alive: Option<KeepAliveField>,
    ) -> Result<Lease, ApiError> {
        if !model.stored.adapter_paths.is_empty() {
            return Err(ApiError::Missing(vec![Missing {
                model: model.stored.name.full(),
                ability: "LoRA adapters",
            }]));
        }
        // Whoever names no context gets the usual one, not what somebody else once asked for.
        let usual = self.config.context_tokens.unwrap_or(super::CONTEXT_TOKENS);
        let request = LoadRequest {
            name: model.stored.name.to_string(),
            path: model.path.clone(),
            options: LoadOptions {
                context_tokens: options.load.context_tokens.or(Some(usual)),
                ..options.load
            },
            keep_alive: keep_alive.map(|keep_alive| keep_alive.0),
        };
        Ok(self.engine.load(request).await?)
    }

    /// The layers of the model that a client calls `name`; reads files.
    pub(crate) fn stored(&self, route: Route, name: &str) -> Result<StoredModel, ApiError> {
        let load = || {
            let name = ModelName::local(name)?;
            // This one route has always told letters' cases apart.
            let name = if route == Route::Embeddings {
                name
            } else {
                self.store.resolve(&name)?
            };
            self.store.load(&name)
        };
        load().map_err(|source| ApiError::Model {
            route,
            name: name.to_owned(),
            source,
        })
    }

    /// Facts and prompts to the layers; `None` for a model without weights. Reads files.
    pub(crate) fn describe(&self, stored: StoredModel) -> Result<Option<Model>, ApiError> {
        let Some(path) = stored.model_path.clone() else {
            return Ok(None);
        };
        let facts = cached(&self.catalog.facts, &path, || {
            Ok(Facts::read(&Gguf::header_only(&path)?)?)
        })?;
        let prompt = cached(&self.catalog.prompts, &stored.digest, || {
            let parts = PromptParts {
                template: stored.template.clone(),
                jinja: facts.jinja.clone(),
                system: stored.system.clone().unwrap_or_default(),
                messages: stored
                    .messages
                    .iter()
                    .map(|m| crate::prompt::Message::new(m.role.to_lowercase(), m.content.clone()))
                    .collect(),
                bos_text: facts.bos.clone(),
                eos_text: facts.eos.clone(),
                adds_bos: facts.adds_bos,
                family: facts.architecture.clone(),
                model: stored.name.model().to_owned(),
                go_template: self.config.go_template,
            };
            read_templates(&stored.name, parts)
        })?;
        Ok(Some(Model {
            stored,
            path,
            facts,
            prompt,
        }))
    }
}

/// A file's own template may need what no engine but its maker's has. Chats then go through a
/// general one, so that the model can be used at all.
fn read_templates(name: &ModelName, parts: PromptParts) -> Result<ModelPrompt, ApiError> {
    let general = PromptParts {
        jinja: None,
        ..parts.clone()
    };
    match ModelPrompt::new(parts) {
        Err(PromptError::Jinja(error)) => {
            warn!(model = %name, "the template in the file of {name} is not used: {error}");
            Ok(ModelPrompt::new(general)?)
        }
        other => Ok(other?),
    }
}

/// What the tokenizer will do: as the file says, or as its kind of vocabulary always does.
fn adds_bos(gguf: &Gguf) -> Result<bool, wick_models::Error> {
    let kind = gguf.str("tokenizer.ggml.model")?;
    Ok(gguf
        .bool("tokenizer.ggml.add_bos_token")?
        .unwrap_or(matches!(kind, Some("llama" | "bert"))))
}

/// Runs work that reads files or computes for long, away from the threads that serve connections.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ApiError::Task)?
}

fn cached<K: Clone + Eq + Hash, V>(
    cache: &Mutex<HashMap<K, Arc<V>>>,
    key: &K,
    read: impl FnOnce() -> Result<V, ApiError>,
) -> Result<Arc<V>, ApiError> {
    let lock = || cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(value) = lock().get(key) {
        return Ok(value.clone());
    }
    let value = Arc::new(read()?);
    let mut entries = lock();
    if entries.len() >= CACHED {
        entries.clear();
    }
    entries.insert(key.clone(), value.clone());
    Ok(value)
}
