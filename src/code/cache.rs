//! Completions that were made before: editors ask again for the same place.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use sha2::{Digest, Sha256};

use super::{CompletionRequest, Completions};

/// Places remembered; each holds some hundred bytes per candidate.
const PLACES: NonZeroUsize = NonZeroUsize::new(2048).expect("not zero");

/// A hash of everything that decides what is answered, tenant and model included: code itself is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CompletionKey([u8; 32]);

/// The completions of the last places that were asked for, whoever asked last.
pub struct CompletionCache(Mutex<LruCache<CompletionKey, Arc<Completions>>>);

impl CompletionKey {
    /// `model`: the digest of the model, so that another one of the same name is another.
    pub fn new(model: &str, request: &CompletionRequest) -> CompletionKey {
        let numbers = [request.candidates, request.max_tokens].map(|n| n.to_string());
        let parts = [
            model,
            &request.tenant,
            &request.language,
            &numbers[0],
            &numbers[1],
            &request.prefix,
            &request.suffix,
        ];
        let mut hash = Sha256::new();
        for part in parts {
            // With its length before it no part can pass for the end of another.
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        CompletionKey(hash.finalize().into())
    }
}

impl Default for CompletionCache {
    fn default() -> CompletionCache {
        CompletionCache(Mutex::new(LruCache::new(PLACES)))
    }
}

impl CompletionCache {
    /// What was answered here.
    pub fn find(&self, key: &CompletionKey) -> Option<Arc<Completions>> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(key).cloned()
    }

    /// Remembers an answer, and forgets the one that was not asked for the longest.
    pub fn keep(&self, key: CompletionKey, completions: Arc<Completions>) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.put(key, completions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> CompletionRequest {
        CompletionRequest {
            prefix: "a".to_owned(),
            suffix: "b".to_owned(),
            language: "rust".to_owned(),
            candidates: 3,
            max_tokens: 64,
            tenant: "acme".to_owned(),
        }
    }

    #[test]
    fn everything_that_matters_makes_a_difference() {
        let key = |change: fn(&mut CompletionRequest)| {
            let mut request = request();
            change(&mut request);
            CompletionKey::new("m", &request)
        };
        let same = key(|_| {});
        assert_eq!(same, CompletionKey::new("m", &request()));
        assert_ne!(same, CompletionKey::new("n", &request()));
        let changes: [fn(&mut CompletionRequest); 7] = [
            |r| r.prefix.push('x'),
            |r| r.suffix.push('x'),
            |r| r.language.clear(),
            |r| r.candidates = 1,
            |r| r.max_tokens = 1,
            |r| r.tenant = "other".to_owned(),
            |r| (r.prefix, r.suffix) = ("ab".to_owned(), String::new()),
        ];
        for change in changes {
            assert_ne!(key(change), same);
        }
    }

    #[test]
    fn the_oldest_place_is_forgotten() {
        let cache = CompletionCache::default();
        let key = |at: usize| {
            let mut request = request();
            request.prefix = at.to_string();
            CompletionKey::new("m", &request)
        };
        for at in 0..=PLACES.get() {
            cache.keep(key(at), Arc::default());
        }
        assert!(cache.find(&key(0)).is_none());
        assert!(cache.find(&key(1)).is_some());
    }
}
