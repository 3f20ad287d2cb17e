//! A made-up embedder for tests: texts with the same words have like vectors.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};

use super::embed::{EmbedError, Embedder, EmbedderFacts, EmbedderId};

pub(super) struct Fake {
    pub(super) id: EmbedderId,
    /// Texts embedded so far.
    pub(super) embedded: AtomicUsize,
    /// Further texts that are embedded before it fails; `None`: any number.
    pub(super) patience: Mutex<Option<usize>>,
    /// Whether its failures pass: it then fails once.
    pub(super) passes: bool,
}

impl Fake {
    pub(super) fn new(model: &str, dimension: usize) -> Fake {
        Fake {
            id: EmbedderId {
                model: model.to_owned(),
                weights: format!("sha256-{model}"),
                dimension,
            },
            embedded: AtomicUsize::new(0),
            patience: Mutex::new(None),
            passes: false,
        }
    }

    pub(super) fn embedded(&self) -> usize {
        self.embedded.load(Ordering::Relaxed)
    }

    pub(super) fn fail_after(&self, texts: Option<usize>) {
        *self.patience.lock().unwrap() = texts;
    }

    fn error(&self) -> EmbedError {
        EmbedError {
            model: self.id.model.clone(),
            passes: self.passes,
            source: "out of patience".into(),
        }
    }
}

impl Embedder for Fake {
    fn facts(&self) -> BoxFuture<'_, Result<EmbedderFacts, EmbedError>> {
        let facts = EmbedderFacts {
            id: self.id.clone(),
            context_tokens: 40,
            count: std::sync::Arc::new(|text| text.split_whitespace().count()),
        };
        async move { Ok(facts) }.boxed()
    }

    fn embed<'a>(
        &'a self,
        embedder: &'a EmbedderId,
        texts: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>> {
        async move {
            if *embedder != self.id {
                return Err(self.error());
            }
            // A moment in which others may act.
            tokio::task::yield_now().await;
            let mut patience = self.patience.lock().unwrap();
            if let Some(left) = *patience {
                let Some(rest) = left.checked_sub(texts.len()) else {
                    if self.passes {
                        *patience = None;
                    }
                    return Err(self.error());
                };
                *patience = Some(rest);
            }
            drop(patience);
            self.embedded.fetch_add(texts.len(), Ordering::Relaxed);
            let made = texts.iter().map(|text| vector(text, &self.id));
            Ok(made.collect())
        }
        .boxed()
    }
}

fn vector(text: &str, id: &EmbedderId) -> Vec<f32> {
    let mut vector = vec![0.0; id.dimension];
    let words = text.split(|c: char| !c.is_alphanumeric());
    for word in words.filter(|word| !word.is_empty()) {
        let digest = Sha256::digest(format!("{} {}", id.model, word.to_lowercase()));
        let at = usize::from(u16::from_le_bytes([digest[0], digest[1]])) % id.dimension;
        vector[at] += if digest[2].is_multiple_of(2) {
            1.0
        } else {
            -1.0
        };
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length == 0.0 {
        vector[0] = 1.0;
    } else {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}
