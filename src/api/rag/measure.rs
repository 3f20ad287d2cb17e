//! Retrieval over the coach's articles, measured in this process.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::api::App;
use crate::api::error::ApiError;
use crate::coach::questions::{Question, questions};
use crate::eval::retrieval::{DOCUMENTS, Measured, Place};
use crate::ops::services::milliseconds;
use crate::rag::embed::Embedder;
use crate::rag::library::{Library, LibraryError, LibraryOptions};
use crate::rag::{Hit, Label, Mode, Query};

use super::EngineEmbedder;
use super::builtin::shelve;

/// Passages asked for, so that there are enough documents.
const ASKED: usize = 20;

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct RecallReport {
    /// The embedding model.
    pub(crate) embedder: String,
    /// Numbers of its vectors.
    pub(crate) dimension: usize,
    /// Passages searched.
    pub(crate) passages: usize,
    /// Time to read, cut, embed and write them.
    pub(crate) indexing_ms: f64,
    /// By way of searching.
    pub(crate) modes: BTreeMap<&'static str, ModeReport>,
}

/// Scores and times of one way of searching.
#[derive(Debug, Serialize)]
pub(crate) struct ModeReport {
    #[serde(flatten)]
    pub(crate) scores: Measured,
    /// Time of a search, its embedding included: median and 95th percentile.
    pub(crate) median_ms: f64,
    pub(crate) p95_ms: f64,
    /// Questions that were not answered.
    pub(crate) misses: Vec<String>,
}

/// Shelves the articles in `folder`, asks all questions in every way and scores what is found.
pub(crate) async fn recall(app: &App, folder: &Path) -> Result<RecallReport, ApiError> {
    let embedder = EngineEmbedder { app: app.clone() };
    let library = Library::open(LibraryOptions::new(folder.to_owned()), &[]).await?;
    let facts = embedder.facts().await.map_err(LibraryError::from)?;
    let started = Instant::now();
    shelve(&library, &embedder).await?;
    let indexing_ms = milliseconds(started);
    let questions = questions().map_err(|_| ApiError::Task)?;
    let mut modes = BTreeMap::new();
    for (name, mode) in [
        ("hybrid", Mode::Hybrid),
        ("text", Mode::Text),
        ("vector", Mode::Vector),
    ] {
        modes.insert(name, ask(&library, &embedder, &questions, mode).await?);
    }
    Ok(RecallReport {
        embedder: facts.id.model,
        dimension: facts.id.dimension,
        passages: library.passages(),
        indexing_ms,
        modes,
    })
}

async fn ask(
    library: &Library,
    embedder: &EngineEmbedder,
    questions: &[Question],
    mode: Mode,
) -> Result<ModeReport, ApiError> {
    let (mut places, mut misses, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for question in questions {
        let query = Query {
            builtin: true,
            text: question.question.clone(),
            k: ASKED,
            mode,
            ..Query::default()
        };
        let started = Instant::now();
        let found = library.search(&query, embedder).await?;
        times.push(milliseconds(started));
        let mut documents: Vec<&Hit> = Vec::new();
        for hit in &found.hits {
            if !documents.iter().any(|d| d.document_id == hit.document_id) {
                documents.push(hit);
            }
        }
        let article = Label::Text(question.article.clone());
        let rank = documents
            .iter()
            .position(|hit| hit.metadata.get("article") == Some(&article));
        if rank.is_none_or(|rank| rank >= DOCUMENTS) {
            misses.push(format!("{}: {}", question.article, question.question));
        }
        places.push(Place {
            held_out: question.held_out,
            rank,
        });
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times.get(place).copied().unwrap_or(0.0)
    };
    Ok(ModeReport {
        scores: Measured::new(&places),
        median_ms: at(0.5),
        p95_ms: at(0.95),
        misses,
    })
}
