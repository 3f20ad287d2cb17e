//! What tables and questions mean, by the embedding model of the store. Where there is none, or it fails, tables
//! are found by words alone.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use sha2::{Digest, Sha256};
use tracing::debug;

use crate::access::Caller;
use crate::api::App;
use crate::api::error::{ApiError, Route};
use crate::api::verbs::vectors::{VectorsRequest, vectors};
use crate::sql::link::{Linker, Scorer};

/// Versions of schemas whose vectors are kept.
const SCHEMAS: NonZeroUsize = NonZeroUsize::new(32).expect("more than none");
/// Texts that a question waits for; larger schemas are read on the side, and serve the questions after.
const AT_ONCE: usize = 100;
/// Texts of a schema at most.
const MOST_TEXTS: usize = 5_000;
/// Texts that are embedded in one request.
const BATCH: usize = 64;

/// A tenant's schema as it is now, read by one model.
type Key = [u8; 32];
type Vectors = Arc<Vec<Vec<f32>>>;

/// Vectors of schemas, kept until a schema or the model changes.
pub(crate) struct Meanings(Mutex<Kept>);

struct Kept {
    known: LruCache<Key, Vectors>,
    under_way: HashSet<Key>,
}

impl Default for Meanings {
    fn default() -> Self {
        Meanings(Mutex::new(Kept {
            known: LruCache::new(SCHEMAS),
            under_way: HashSet::new(),
        }))
    }
}

impl Meanings {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cosine of each text of a schema with one question.
pub(super) struct Meant(Vec<f32>);

impl Scorer for Meant {
    fn scores(&self, _: &str, texts: &[String]) -> Option<Vec<f32>> {
        (self.0.len() == texts.len()).then(|| self.0.clone())
    }
}

/// How near the texts of a schema are to a question; `None` where nothing can tell, or not yet.
pub(super) async fn meant(
    app: &App,
    caller: &Caller,
    linker: &Linker,
    question: &str,
) -> Option<Meant> {
    let texts = linker.texts();
    // With one place for models the embedder would push out the one that is to write.
    if app.config.max_loaded_models < 2 || texts.len() > MOST_TEXTS {
        return None;
    }
    let name = &app.config.embed_model;
    let model = app.model(Route::Embed, name).await.ok()?;
    if model.completes() {
        return None;
    }
    let weights = model.path.to_string_lossy();
    let key = key(&caller.tenant, &weights, texts);
    let known = app.meanings.lock().known.get(&key).cloned();
    let vectors = match known {
        Some(vectors) => vectors,
        None if texts.len() > AT_ONCE => {
            on_the_side(app, key, texts);
            return None;
        }
        None => told(read(app, key, texts.to_vec()).await)?,
    };
    let asked = told(embed(app, vec![question.to_owned()]).await)?.pop()?;
    let cosine = |vector: &Vec<f32>| vector.iter().zip(&asked).map(|(a, b)| a * b).sum();
    Some(Meant(vectors.iter().map(cosine).collect()))
}

fn key(tenant: &str, weights: &str, texts: &[String]) -> Key {
    let mut hash = Sha256::new();
    for part in [tenant, weights]
        .into_iter()
        .chain(texts.iter().map(String::as_str))
    {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Reads a schema while questions go on by words; once at a time.
fn on_the_side(app: &App, key: Key, texts: &[String]) {
    if !app.meanings.lock().under_way.insert(key) {
        return;
    }
    let (app, texts) = (app.clone(), texts.to_vec());
    tokio::spawn(async move {
        let _ = told(read(&app, key, texts).await);
        app.meanings.lock().under_way.remove(&key);
    });
}

/// Embeds and remembers.
async fn read(app: &App, key: Key, texts: Vec<String>) -> Result<Vectors, ApiError> {
    let vectors = Arc::new(embed(app, texts).await?);
    app.meanings.lock().known.put(key, vectors.clone());
    Ok(vectors)
}

/// A vector of length 1 for each text.
async fn embed(app: &App, texts: Vec<String>) -> Result<Vec<Vec<f32>>, ApiError> {
    let mut all = Vec::with_capacity(texts.len());
    for inputs in texts.chunks(BATCH) {
        let request = VectorsRequest {
            route: Route::Embed,
            model: app.config.embed_model.clone(),
            inputs: inputs.to_vec(),
            options: None,
            keep_alive: None,
            truncate: true,
            normalize: true,
            dimensions: None,
        };
        all.extend(vectors(app, request).await?.vectors);
    }
    Ok(all)
}

/// What came of it; a failure is for the log, since words do without.
fn told<T>(done: Result<T, ApiError>) -> Option<T> {
    done.inspect_err(|error| debug!(%error, "tables are found by words alone"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_tenant_model_or_schema_has_vectors_of_its_own() {
        let texts = |all: &[&str]| all.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let one = key("a", "m", &texts(&["x", "y"]));
        assert_eq!(one, key("a", "m", &texts(&["x", "y"])));
        for other in [
            key("b", "m", &texts(&["x", "y"])),
            key("a", "n", &texts(&["x", "y"])),
            key("a", "m", &texts(&["xy"])),
            key("a", "m", &texts(&["y", "x"])),
        ] {
            assert_ne!(one, other);
        }
    }
}
