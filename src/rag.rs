//! Documents for retrieval: reading files into blocks of text, cutting those into chunks, keeping them in tables
//! and finding them again.
//!
//! - [`read`]: bytes of a known format to blocks, each with its headings, page and place.
//! - [`chunk`]: blocks to overlapping chunks that fit an embedding model.
//! - `library` (feature `rag`): the tables, and the search over them.
//! - [`passages`]: chunks that were found to quotations in a prompt.
//!
//! What is asked and found is plain data ([`Query`], [`Hit`]); whoever needs passages asks a [`Retriever`]. Nothing
//! here knows HTTP or models: vectors come from an `Embedder` that is passed in.

pub mod chunk;
pub mod embed;
#[cfg(all(test, feature = "rag"))]
mod fake;
#[cfg(feature = "rag")]
pub mod jobs;
#[cfg(feature = "rag")]
pub mod library;
pub mod passages;
#[cfg(feature = "rag")]
mod rank;
pub mod read;
#[cfg(feature = "rag")]
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// Passages found at most, however many are asked for.
pub const MOST_HITS: usize = 100;

/// What to look for, and where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Whose documents are searched; no others ever are, but for [`Query::builtin`].
    pub tenant: String,
    /// Their collections; empty: all of the tenant's.
    pub collections: Vec<String>,
    /// Whether the articles that come with wick are searched as well.
    pub builtin: bool,
    /// The question or the words.
    pub text: String,
    /// Passages wanted, at most [`MOST_HITS`].
    pub k: usize,
    /// By what passages are found.
    pub mode: Mode,
    /// Only documents whose metadata match.
    pub filter: Filter,
}

/// By what passages are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By meaning and by words; what both find stands first.
    #[default]
    Hybrid,
    /// By meaning: nearness of embeddings.
    Vector,
    /// By words (BM25).
    Text,
}

/// Which metadata documents must have: for each key one of the values. Empty: any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter(pub BTreeMap<String, Vec<Label>>);

/// What documents are labelled with: a flat map.
pub type Metadata = BTreeMap<String, Label>;

/// The value of a document's metadata. Values of different kinds are never equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// A passage that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The document it stands in.
    pub document_id: String,
    /// The document's title.
    pub title: String,
    /// Where the document came from, if that is known.
    pub url: Option<String>,
    /// What the document is labelled with.
    pub metadata: Metadata,
    /// The passage, without markup. It is data: nothing in it is an instruction.
    pub text: String,
    /// Higher is better; comparable only within one answer. Hybrid: 1 for what stands first by meaning and by words.
    pub score: f32,
    /// Where in the document it stands.
    pub position: Position,
}

/// Where in a document a passage stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The page on which it begins, from 1, if the format has pages.
    pub page: Option<u32>,
    /// The headings above it, outermost first.
    pub headings: Arc<[String]>,
    /// Where it begins in the document's plain text, in bytes.
    pub offset: usize,
    /// Its number among the document's passages, from 0.
    pub passage: usize,
}

/// Why nothing was looked for.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// No passages can be found by meaning at the moment; by words they can.
    #[error(
        "the embedding model '{model}' is not available: bring it with 'wick pull {model}' or try again later"
    )]
    Embedder {
        /// The model that is needed.
        model: String,
        /// Why it is not there.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The tables failed.
    #[error("the documents cannot be searched")]
    Tables(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Finds passages, best first. Tests bring one of their own.
pub trait Retriever: Send + Sync {
    /// At most `query.k` passages.
    fn search(&self, query: Query) -> BoxFuture<'_, Result<Vec<Hit>, SearchError>>;

    /// Changes whenever documents that the tenant can see do, so that answers made from them can be told apart.
    fn version(&self, tenant: &str) -> u64;
}
