//! Another embedder: all passages are embedded anew into a second table, which takes the first one's place once it
//! holds everything. Searches go on with the first. After a restart it goes on where it was.

use std::collections::HashSet;
use std::sync::Arc;

use tracing::info;

use super::add::vectors;
use super::{Library, LibraryError};
use crate::rag::embed::{Embedder, EmbedderFacts, EmbedderId};
use crate::rag::tables::{ChunkRow, Chunks, Generation, Layout, StoredDocument};

/// Passages of documents that are embedded and written together.
const ROWS_TOGETHER: usize = 512;
/// Texts in one request to the embedder.
const TEXTS_AT_ONCE: usize = 64;

impl Library {
    /// The embedder whose vectors are read, if there are any.
    pub fn embedder(&self) -> Option<EmbedderId> {
        self.read(|state| {
            let current = state.layout.current.as_ref()?;
            Some(current.embedder.clone())
        })
    }

    /// The table that holds this embedder's vectors of all documents.
    pub(super) async fn align(
        &self,
        embedder: &dyn Embedder,
        facts: &EmbedderFacts,
    ) -> Result<Arc<Chunks>, LibraryError> {
        // Whoever else is at it finds everything done.
        let _aligning = self.inner.aligning.lock().await;
        let current = self.read(|state| state.current.clone());
        match current {
            Some(chunks) if chunks.generation.embedder == facts.id => Ok(chunks),
            Some(_) => self.embed_anew(embedder, &facts.id).await,
            None => self.first_table(&facts.id).await,
        }
    }

    async fn first_table(&self, embedder: &EmbedderId) -> Result<Arc<Chunks>, LibraryError> {
        let _writing = self.writing().await?;
        let generation = Generation {
            number: 1,
            embedder: embedder.clone(),
        };
        let layout = Layout {
            schema: super::SCHEMA,
            current: Some(generation.clone()),
            building: None,
        };
        let chunks = Arc::new(self.inner.tables.chunks(&generation).await?);
        chunks.index().await?;
        self.inner.tables.set_layout(&layout).await?;
        self.change(|state| {
            state.layout = layout;
            state.current = Some(Arc::clone(&chunks));
        });
        Ok(chunks)
    }

    async fn embed_anew(
        &self,
        embedder: &dyn Embedder,
        id: &EmbedderId,
    ) -> Result<Arc<Chunks>, LibraryError> {
        let (old, new) = self.begin_building(id).await?;
        let (from, to) = (&old.generation.embedder.model, &id.model);
        info!(%from, %to, "embedding all documents anew with {to}");
        let mut done: HashSet<String> = new.document_ids().await?.into_iter().collect();
        loop {
            let missing: Vec<Arc<StoredDocument>> = self
                .read(|state| state.catalog.all())
                .into_iter()
                .filter(|document| !done.contains(&document.id))
                .collect();
            if missing.is_empty() {
                new.index().await?;
                if self.switch(&new).await? {
                    return Ok(new);
                }
                continue;
            }
            for group in groups(&missing) {
                let rows = old.texts_of(&group).await?;
                let rows = with_vectors(rows, embedder, id).await?;
                let _writing = self.writing().await?;
                // One write, so that a document is there with all its passages or with none.
                if !rows.is_empty() {
                    new.add(&rows).await?;
                }
                done.extend(group);
            }
        }
    }

    /// The table that is read and the one to fill.
    async fn begin_building(
        &self,
        id: &EmbedderId,
    ) -> Result<(Arc<Chunks>, Arc<Chunks>), LibraryError> {
        let _writing = self.writing().await?;
        let tables = &self.inner.tables;
        let (old, begun, layout) = self.read(|state| {
            let layout = state.layout.clone();
            (state.current.clone(), state.building.clone(), layout)
        });
        let old = old.ok_or(LibraryError::Task)?;
        if let Some(begun) = begun.filter(|begun| begun.generation.embedder == *id) {
            return Ok((old, begun));
        }
        let highest = [&layout.current, &layout.building].into_iter().flatten();
        let highest = highest.map(|generation| generation.number).max();
        let generation = Generation {
            number: highest.unwrap_or(0) + 1,
            embedder: id.clone(),
        };
        let layout = Layout {
            building: Some(generation.clone()),
            ..layout
        };
        let chunks = Arc::new(tables.chunks(&generation).await?);
        tables.set_layout(&layout).await?;
        self.change(|state| {
            state.layout = layout;
            state.building = Some(Arc::clone(&chunks));
        });
        Ok((old, chunks))
    }

    /// Reads from the new table from now on, unless documents came meanwhile that it lacks.
    async fn switch(&self, new: &Arc<Chunks>) -> Result<bool, LibraryError> {
        let _writing = self.writing().await?;
        let held: HashSet<String> = new.document_ids().await?.into_iter().collect();
        let documents = self.read(|state| state.catalog.all());
        let lacks =
            |document: &Arc<StoredDocument>| document.passages > 0 && !held.contains(&document.id);
        if documents.iter().any(lacks) {
            return Ok(false);
        }
        let removed: Vec<String> = held
            .into_iter()
            .filter(|id| !self.read(|state| state.catalog.has(id)))
            .collect();
        new.remove(&removed).await?;
        let layout = Layout {
            schema: super::SCHEMA,
            current: Some(new.generation.clone()),
            building: None,
        };
        self.inner.tables.set_layout(&layout).await?;
        // The old table goes when the library is next opened: a search may still be reading it.
        self.change(|state| {
            state.layout = layout;
            state.current = Some(Arc::clone(new));
            state.building = None;
            state.catalog.forget_graph();
        });
        info!(model = %new.generation.embedder.model, "all documents are embedded anew");
        Ok(true)
    }
}

/// Ids of documents in runs of about [`ROWS_TOGETHER`] passages.
fn groups(documents: &[Arc<StoredDocument>]) -> Vec<Vec<String>> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut passages = ROWS_TOGETHER;
    for document in documents {
        if passages >= ROWS_TOGETHER {
            groups.push(Vec::new());
            passages = 0;
        }
        passages += document.passages;
        let group = groups.last_mut().expect("a group was just begun");
        group.push(document.id.clone());
    }
    groups
}

async fn with_vectors(
    mut rows: Vec<ChunkRow>,
    embedder: &dyn Embedder,
    id: &EmbedderId,
) -> Result<Vec<ChunkRow>, LibraryError> {
    for some in rows.chunks_mut(TEXTS_AT_ONCE) {
        let texts = some.iter().map(|row| row.text.clone()).collect();
        let vectors = vectors(embedder, id, texts).await?;
        for (row, vector) in some.iter_mut().zip(vectors) {
            row.vector = vector;
        }
    }
    Ok(rows)
}
