//! Search: by meaning, by words, or by both in one order.

use tracing::warn;

use super::Library;
use super::add::vectors;
use crate::rag::embed::Embedder;
use crate::rag::rank::fuse;
use crate::rag::tables::{Chunks, FoundRow, Nearness, Within};
use crate::rag::{Hit, MOST_HITS, Mode, Query, SearchError};

/// Passages of each order at least, where two are joined.
const LEAST_DEPTH: usize = 20;
/// What a place counts for by words, where it counts 1 by meaning. This and the depth were chosen on those of the
/// library's questions that are not held out (`wick eval rag`).
const WEIGHT_OF_WORDS: f32 = 0.5;

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    /// By what they were found: by words alone where both were wanted and the embedder is not there.
    pub mode: Mode,
}

impl Library {
    /// Finds passages.
    pub async fn search(
        &self,
        query: &Query,
        embedder: &dyn Embedder,
    ) -> Result<Found, SearchError> {
        let k = query.k.min(MOST_HITS);
        let place = self.read(|state| {
            let (within, passages) = state.catalog.within(query)?;
            Some((state.current.clone()?, within, passages))
        });
        let nothing = Found {
            hits: Vec::new(),
            mode: query.mode,
        };
        let Some((chunks, within, passages)) = place else {
            return Ok(nothing);
        };
        if k == 0 || query.text.trim().is_empty() {
            return Ok(nothing);
        }
        let nearness = match passages <= self.inner.options.exact_passages {
            true => Nearness::Exact,
            false => Nearness::Approximate,
        };
        let look = Look {
            chunks: &chunks,
            within: &within,
            nearness,
            embedder,
            text: &query.text,
        };
        let (rows, mode) = match query.mode {
            Mode::Vector => (look.by_meaning(k).await?, Mode::Vector),
            Mode::Text => (look.by_words(k).await?, Mode::Text),
            Mode::Hybrid => look.by_both(k).await?,
        };
        let hits = rows.into_iter().filter_map(|row| self.hit(row));
        Ok(Found {
            hits: hits.collect(),
            mode,
        })
    }

    /// `None` for a passage whose document was removed a moment ago.
    fn hit(&self, row: FoundRow) -> Option<Hit> {
        let document = self.read(|state| state.catalog.find(&row.document_id))?;
        Some(Hit {
            document_id: row.document_id,
            title: document.title.clone(),
            url: document.url.clone(),
            metadata: document.metadata.clone(),
            text: row.text.get(row.lead_bytes..)?.to_owned(),
            score: row.score,
            position: row.position,
        })
    }
}

struct Look<'a> {
    chunks: &'a Chunks,
    within: &'a Within,
    nearness: Nearness,
    embedder: &'a dyn Embedder,
    text: &'a str,
}

impl Look<'_> {
    async fn by_words(&self, limit: usize) -> Result<Vec<FoundRow>, SearchError> {
        let found = self.chunks.with_words(self.text, self.within, limit).await;
        found.map_err(SearchError::Tables)
    }

    async fn by_meaning(&self, limit: usize) -> Result<Vec<FoundRow>, SearchError> {
        let id = &self.chunks.generation.embedder;
        let vectors = vectors(self.embedder, id, vec![self.text.to_owned()]).await;
        let vectors = vectors.map_err(|error| SearchError::Embedder {
            model: error.model,
            source: error.source,
        })?;
        let vector = vectors.into_iter().next().unwrap_or_default();
        let found = self
            .chunks
            .nearest(&vector, self.within, limit, self.nearness);
        found.await.map_err(SearchError::Tables)
    }

    async fn by_both(&self, limit: usize) -> Result<(Vec<FoundRow>, Mode), SearchError> {
        let depth = limit.max(LEAST_DEPTH);
        let (meaning, words) = tokio::join!(self.by_meaning(depth), self.by_words(depth));
        let mut words = words?;
        let meaning = match meaning {
            Ok(meaning) => meaning,
            Err(SearchError::Embedder { model, .. }) => {
                warn!(%model, "searching by words alone: the embedding model {model} is not available");
                words.truncate(limit);
                return Ok((words, Mode::Text));
            }
            Err(error) => return Err(error),
        };
        Ok((join(meaning, words, limit), Mode::Hybrid))
    }
}

/// The best of both lists.
fn join(meaning: Vec<FoundRow>, words: Vec<FoundRow>, limit: usize) -> Vec<FoundRow> {
    let place = |row: &FoundRow| (row.document_id.clone(), row.position.passage);
    let places = |list: &[FoundRow]| list.iter().map(place).collect::<Vec<_>>();
    let order = fuse(&[(places(&meaning), 1.0), (places(&words), WEIGHT_OF_WORDS)]);
    let mut rows: std::collections::HashMap<_, _> = meaning
        .into_iter()
        .chain(words)
        .map(|row| (place(&row), row))
        .collect();
    let best = order.into_iter().take(limit);
    best.filter_map(|(place, score)| rows.remove(&place).map(|row| FoundRow { score, ..row }))
        .collect()
}
