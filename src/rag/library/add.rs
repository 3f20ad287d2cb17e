//! Adding documents: read, cut, embed, write.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Library, LibraryError, check_collection, now_ms};
use crate::rag::Metadata;
use crate::rag::chunk::{Limits, chunks};
use crate::rag::embed::{EmbedError, Embedder, EmbedderFacts, EmbedderId, TokenCounter, by_words};
use crate::rag::read::{Reader, format, read};
use crate::rag::tables::{ChunkRow, Chunks, ROWS_AT_ONCE, StoredDocument, label_key};

/// Tokens of a passage with what stands before it, where the embedder reads more: longer ones are about too much.
const MOST_TOKENS: usize = 254;
/// Passages embedded in one go: between these, somebody can cancel.
const EMBEDDED_AT_ONCE: usize = 64;
/// Passages of whole documents that may wait to be written together.
const WAITING_ROWS: usize = 512;
/// What stands between headings before a passage.
const HEADING_GAP: &str = " › ";

/// A document to add.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDocument {
    /// What it will be called, from [`super::new_id`]; the same again goes on with what was begun.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// The collection it goes into.
    pub collection: String,
    /// What to call it; `None`: what it calls itself, or the name of its file.
    pub title: Option<String>,
    /// Where it came from.
    pub url: Option<String>,
    /// The name of its file, whose ending tells the format.
    pub name: String,
    /// What to label it with.
    pub metadata: Metadata,
    /// The file.
    pub bytes: Vec<u8>,
}

/// How far a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It was read.
    Read {
        /// Its bytes.
        bytes: usize,
        /// Passages it was cut into.
        passages: usize,
    },
    /// So many of its passages have vectors.
    Embedded {
        /// From the first one.
        passages: usize,
    },
}

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It will be there with the next [`Batch::flush`], at the latest.
    New {
        /// Its title.
        title: String,
        /// Its passages.
        passages: usize,
    },
    /// The same bytes are there already.
    Duplicate {
        /// The document that has them.
        document_id: String,
    },
}

/// Documents that are added one after the other; small ones are written together.
pub struct Batch<'a> {
    library: &'a Library,
    embedder: &'a dyn Embedder,
    facts: EmbedderFacts,
    chunks: Arc<Chunks>,
    /// Passages with vectors that are not written yet.
    rows: Vec<ChunkRow>,
    /// Documents all of whose passages are written or in `rows`.
    whole: Vec<StoredDocument>,
}

/// A document that was read and cut.
struct Cut {
    title: String,
    rows: Vec<ChunkRow>,
}

impl Library {
    /// Begins to add documents. Where the embedder is another than before, all documents are embedded anew first;
    /// searches go on with what was there.
    pub async fn batch<'a>(
        &'a self,
        embedder: &'a dyn Embedder,
    ) -> Result<Batch<'a>, LibraryError> {
        let facts = embedder.facts().await?;
        let chunks = self.align(embedder, &facts).await?;
        Ok(Batch {
            library: self,
            embedder,
            facts,
            chunks,
            rows: Vec::new(),
            whole: Vec::new(),
        })
    }

    /// Adds one document.
    pub async fn add(
        &self,
        new: NewDocument,
        embedder: &dyn Embedder,
    ) -> Result<Added, LibraryError> {
        let mut batch = self.batch(embedder).await?;
        let added = batch.add(new, &|_| true).await?;
        batch.flush().await?;
        Ok(added)
    }

    /// Removes what was written of documents that will not become whole.
    pub async fn abandon(&self, ids: &[String]) -> Result<(), LibraryError> {
        let _writing = self.writing().await?;
        let ids: Vec<String> = self.read(|state| {
            let absent = ids.iter().filter(|id| !state.catalog.has(id));
            absent.cloned().collect()
        });
        for chunks in self.chunks() {
            chunks.remove(&ids).await?;
        }
        self.change(|state| {
            for id in &ids {
                state.catalog.drop_pending(id);
            }
        });
        Ok(())
    }
}

impl Batch<'_> {
    /// Adds a document; `tell` hears how far it is and answers whether to go on. After an error the others can go
    /// on, and the same document can be tried again: what is written of it by then is not embedded twice.
    pub async fn add(
        &mut self,
        new: NewDocument,
        tell: &(dyn Fn(Progress) -> bool + Send + Sync),
    ) -> Result<Added, LibraryError> {
        let id = new.id.clone();
        let added = self.try_to_add(new, tell).await;
        if added.is_err() {
            self.rows.retain(|row| row.document_id != id);
        }
        added
    }

    async fn try_to_add(
        &mut self,
        new: NewDocument,
        tell: &(dyn Fn(Progress) -> bool + Send + Sync),
    ) -> Result<Added, LibraryError> {
        check_collection(&new.collection)?;
        let hash = hex::encode(Sha256::digest(&new.bytes));
        if let Some(document_id) = self.known(&new, &hash) {
            return Ok(Added::Duplicate { document_id });
        }
        let (new, cut) = self.cut(new).await?;
        let bytes = new.bytes.len();
        let passages = cut.rows.len();
        let go_on = |progress| match tell(progress) {
            true => Ok(()),
            false => Err(LibraryError::Cancelled),
        };
        go_on(Progress::Read { bytes, passages })?;
        let id = [new.id.clone()];
        self.library.change(|state| state.catalog.pend(&id));
        let mut done = self.chunks.rows_of(&new.id).await?;
        if done > passages {
            // Of another text under the same id; it cannot be gone on with.
            self.library.abandon(&id).await?;
            self.library.change(|state| state.catalog.pend(&id));
            done = 0;
        }
        let mut rest = cut.rows.into_iter().skip(done).peekable();
        while rest.peek().is_some() {
            let rows: Vec<ChunkRow> = rest.by_ref().take(EMBEDDED_AT_ONCE).collect();
            done += rows.len();
            self.embed(rows).await?;
            go_on(Progress::Embedded { passages: done })?;
            if self.rows.len() >= ROWS_AT_ONCE {
                self.flush().await?;
            }
        }
        let title = cut.title.clone();
        self.whole.push(StoredDocument {
            id: new.id,
            tenant: new.tenant,
            collection: new.collection,
            title: cut.title,
            url: new.url,
            name: new.name,
            metadata: new.metadata,
            hash,
            size_bytes: bytes as u64,
            passages,
            created_ms: now_ms(),
        });
        if self.rows.len() >= WAITING_ROWS {
            self.flush().await?;
        }
        Ok(Added::New { title, passages })
    }

    /// Writes what waits: passages, then the rows that make them documents.
    pub async fn flush(&mut self) -> Result<(), LibraryError> {
        let writing = self.library.writing().await?;
        self.write_passages().await?;
        if !self.whole.is_empty() {
            let tables = &self.library.inner.tables;
            tables.add_documents(&self.whole).await?;
            let whole = self.whole.drain(..);
            self.library
                .change(|state| whole.for_each(|document| state.catalog.add(document)));
        }
        drop(writing);
        Ok(())
    }

    pub(super) async fn write_passages(&mut self) -> Result<(), LibraryError> {
        if !self.rows.is_empty() {
            self.chunks.add(&self.rows).await?;
            self.rows.clear();
        }
        Ok(())
    }

    /// A document with the same bytes, stored or about to be.
    fn known(&self, new: &NewDocument, hash: &str) -> Option<String> {
        let (tenant, collection) = (&new.tenant, &new.collection);
        let waits = self.whole.iter().find(|document| {
            document.hash == hash
                && document.tenant == *tenant
                && document.collection == *collection
        });
        let waiting = waits.map(|document| document.id.clone());
        waiting.or_else(|| self.library.with_hash(tenant, collection, hash))
    }

    async fn cut(&self, new: NewDocument) -> Result<(NewDocument, Cut), LibraryError> {
        let count = Arc::clone(&self.facts.count);
        let context_tokens = self.facts.context_tokens;
        let reader = self.library.inner.options.program.clone().map(Reader::new);
        let work = move || {
            let cut = cut(&new, reader.as_ref(), context_tokens, count)?;
            Ok((new, cut))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| LibraryError::Task)?
    }

    async fn embed(&mut self, rows: Vec<ChunkRow>) -> Result<(), LibraryError> {
        let texts = rows.iter().map(|row| row.text.clone()).collect();
        let vectors = vectors(self.embedder, &self.facts.id, texts).await?;
        let with_vectors = rows.into_iter().zip(vectors);
        self.rows
            .extend(with_vectors.map(|(row, vector)| ChunkRow { vector, ..row }));
        Ok(())
    }
}

/// As many vectors as texts, or an error.
pub(super) async fn vectors(
    embedder: &dyn Embedder,
    id: &EmbedderId,
    texts: Vec<String>,
) -> Result<Vec<Vec<f32>>, EmbedError> {
    let wanted = texts.len();
    let vectors = embedder.embed(id, texts).await?;
    if vectors.len() == wanted {
        return Ok(vectors);
    }
    let problem = format!("{} vectors came for {wanted} texts", vectors.len());
    Err(EmbedError {
        model: id.model.clone(),
        passes: false,
        source: problem.into(),
    })
}

fn cut(
    new: &NewDocument,
    reader: Option<&Reader>,
    context_tokens: usize,
    count: TokenCounter,
) -> Result<Cut, LibraryError> {
    let format = format(&new.name, &new.bytes)?;
    let document = match reader {
        Some(reader) => reader.read(&new.bytes, format),
        None => read(&new.bytes, format),
    }?;
    let given = new.title.clone().or(document.title.clone());
    let title = given.filter(|title| !title.trim().is_empty());
    let title = title.unwrap_or_else(|| stem(&new.name).to_owned());
    let count = by_words(count);
    let most = context_tokens.min(MOST_TOKENS);
    let lead_tokens = most / 5;
    let limits = Limits {
        max_tokens: (most - lead_tokens).max(1),
        overlap_tokens: most / 8,
    };
    let labels: Vec<String> = new
        .metadata
        .iter()
        .map(|(name, label)| label_key(name, label))
        .collect();
    let chunks = chunks(&document, limits, &count);
    let rows = chunks.into_iter().enumerate().map(|(passage, chunk)| {
        let lead = lead(&title, &chunk.headings, lead_tokens, &count);
        ChunkRow {
            document_id: new.id.clone(),
            tenant: new.tenant.clone(),
            collection: new.collection.clone(),
            labels: labels.clone(),
            text: [lead.as_str(), chunk.text.as_str()].concat(),
            lead_bytes: lead.len(),
            position: crate::rag::Position {
                page: chunk.page,
                headings: chunk.headings,
                offset: chunk.offset,
                passage,
            },
            vector: Vec::new(),
        }
    });
    let rows = rows.collect();
    Ok(Cut { title, rows })
}

/// What stands before a passage, so that it is found by what it is about: the title and its headings, within so
/// many tokens.
fn lead(title: &str, headings: &[String], tokens: usize, count: &impl Fn(&str) -> usize) -> String {
    let below = headings.iter().filter(|heading| *heading != title);
    let whole: Vec<&str> = std::iter::once(title)
        .chain(below.map(String::as_str))
        .collect();
    let whole = whole.join(HEADING_GAP);
    let mut lead = String::new();
    let mut left = tokens;
    for word in whole.split_whitespace() {
        let cost = count(word);
        if cost > left {
            break;
        }
        left -= cost;
        if !lead.is_empty() {
            lead.push(' ');
        }
        lead.push_str(word);
    }
    if !lead.is_empty() {
        lead.push('\n');
    }
    lead
}

/// The name of a file without its folders and its ending.
fn stem(name: &str) -> &str {
    let path = std::path::Path::new(name);
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    #[test]
    fn passages_are_led_by_title_and_headings() {
        let headings = ["Guide".to_owned(), "Second part".to_owned()];
        assert_eq!(lead("Guide", &headings, 9, &words), "Guide › Second part\n");
        assert_eq!(lead("Guide", &headings, 2, &words), "Guide ›\n");
        assert_eq!(lead("Guide", &headings, 0, &words), "");
    }

    #[test]
    fn passages_with_their_leads_fit_the_embedder() {
        let new = NewDocument {
            id: super::super::new_id(),
            tenant: "t".to_owned(),
            collection: "c".to_owned(),
            title: None,
            url: None,
            name: "notes/long.md".to_owned(),
            metadata: Metadata::new(),
            bytes: format!(
                "# One heading of several words\n\n{}",
                "Some words. ".repeat(400)
            )
            .into_bytes(),
        };
        for context_tokens in [10, 64, 4096] {
            let cut = cut(&new, None, context_tokens, Arc::new(words)).unwrap();
            assert!(cut.rows.len() > 2);
            let most = context_tokens.min(MOST_TOKENS);
            for row in &cut.rows {
                assert!(words(&row.text) <= most, "{}: {most}", row.text);
                assert!(row.text[row.lead_bytes..].starts_with("Some words."));
            }
            assert_eq!(
                cut.rows.last().unwrap().position.passage,
                cut.rows.len() - 1
            );
        }
    }
}
