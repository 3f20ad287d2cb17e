//! What turns texts into vectors, as the tables see it; the server brings the engine's, tests a made-up one.

#[cfg(any(test, feature = "rag"))]
use std::cell::RefCell;
#[cfg(any(test, feature = "rag"))]
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// Words whose tokens are remembered while one document is cut.
#[cfg(any(test, feature = "rag"))]
const WORDS: usize = 1 << 16;

/// Which vectors can be compared: those of the same embedder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedderId {
    /// The model's name.
    pub model: String,
    /// What names the weights, so that another model under the same name is noticed.
    pub weights: String,
    /// Numbers of a vector.
    pub dimension: usize,
}

/// Counts the tokens of a text, special ones left out.
pub type TokenCounter = Arc<dyn Fn(&str) -> usize + Send + Sync>;

/// What is known about an embedder that is ready.
#[derive(Clone)]
pub struct EmbedderFacts {
    /// Which it is.
    pub id: EmbedderId,
    /// Tokens of a text that it reads, special ones left out.
    pub context_tokens: usize,
    /// How it counts.
    pub count: TokenCounter,
}

/// Turns texts into vectors.
pub trait Embedder: Send + Sync {
    /// The embedder that new documents go through; makes it ready.
    fn facts(&self) -> BoxFuture<'_, Result<EmbedderFacts, EmbedError>>;

    /// One vector of length 1 per text, in their order; the end of a text that is too long is left out. Fails where
    /// exactly this embedder is no longer there.
    fn embed<'a>(
        &'a self,
        embedder: &'a EmbedderId,
        texts: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>>;
}

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
#[error(
    "the embedding model '{model}' is not available: bring it with 'wick pull {model}' or try again later"
)]
pub struct EmbedError {
    /// The model.
    pub model: String,
    /// Whether it can be another time without anybody doing anything.
    pub passes: bool,
    /// Why it is not.
    pub source: Box<dyn Error + Send + Sync>,
}

/// A counter that looks at each word once. Cutting counts the same words over and over; tokenizers that split at
/// spaces first, as those of embedding models do, give the same sum.
#[cfg(any(test, feature = "rag"))]
pub(super) fn by_words(count: TokenCounter) -> impl Fn(&str) -> usize {
    let known: RefCell<HashMap<String, usize>> = RefCell::default();
    move |text| {
        let mut known = known.borrow_mut();
        let words = text.split_whitespace();
        words
            .map(|word| match known.get(word) {
                Some(tokens) => *tokens,
                None => {
                    let tokens = count(word);
                    if known.len() >= WORDS {
                        known.clear();
                    }
                    known.insert(word.to_owned(), tokens);
                    tokens
                }
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn words_are_counted_once() {
        let asked = Arc::new(AtomicUsize::new(0));
        let asks = Arc::clone(&asked);
        let count = by_words(Arc::new(move |word: &str| {
            asks.fetch_add(1, Ordering::Relaxed);
            word.len()
        }));
        assert_eq!(count("to be or  not\nto be"), 13);
        assert_eq!(count(""), 0);
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }
}
