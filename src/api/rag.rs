//! `/rag/`: documents, collections, jobs and search.

mod builtin;
mod collections;
mod documents;
mod embedder;
mod jobs;
pub(crate) mod measure;
mod search;
mod upload;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use tracing::{error, info};
use utoipa::OpenApi;

use crate::coach::shelf::Shelf;
use crate::ops::services::{Health, Service};
use crate::rag::jobs::Jobs;
use crate::rag::library::{Library, LibraryOptions};
use crate::rag::{Hit, Query, Retriever, SearchError};

use super::App;
use super::error::{ApiError, Route};

pub(crate) use embedder::EngineEmbedder;

/// How often it is looked whether an embedder came.
const PATIENCE: Duration = Duration::from_secs(5);
/// Below the data folder.
const FOLDER: &str = "rag";

/// All of them.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route(
            "/rag/documents",
            get(documents::list)
                .post(documents::add)
                // Files go to the disk as they come; their sizes are checked there.
                .layer(DefaultBodyLimit::disable()),
        )
        .route(
            "/rag/documents/{id}",
            get(documents::one).delete(documents::remove),
        )
        .route("/rag/search", post(search::search))
        .route(
            "/rag/collections",
            get(collections::list)
                .post(collections::add)
                .delete(collections::remove),
        )
        .route("/rag/jobs", get(jobs::list))
        .route("/rag/jobs/{id}", get(jobs::one).delete(jobs::cancel))
        .route("/rag/jobs/{id}/retry", post(jobs::retry))
}

/// What these routes add to the description of the interface.
#[derive(OpenApi)]
#[openapi(
    paths(
        documents::add,
        documents::list,
        documents::one,
        documents::remove,
        search::search,
        collections::list,
        collections::add,
        collections::remove,
        jobs::list,
        jobs::one,
        jobs::cancel,
        jobs::retry,
    ),
    tags((name = "documents", description = "Documents and search"))
)]
pub(crate) struct Description;

/// The library, opened when it is first needed.
#[derive(Default)]
pub(crate) struct Documents {
    opened: OnceCell<Arc<Rag>>,
}

/// The library with what works on it.
pub(crate) struct Rag {
    pub(crate) library: Library,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) embedder: Arc<EngineEmbedder>,
    /// Whether the coach's articles are in it.
    has_articles: AtomicBool,
}

impl App {
    /// The library; the first call opens it and begins to work on what waits.
    pub(crate) async fn rag(&self) -> Result<Arc<Rag>, ApiError> {
        let opened = self.documents.opened.get_or_try_init(|| open(self)).await?;
        Ok(Arc::clone(opened))
    }

    /// The library, once it is open.
    pub(crate) fn opened(&self) -> Option<Arc<Rag>> {
        self.documents.opened.get().map(Arc::clone)
    }

    /// Whether the tables answer.
    pub(crate) async fn documents_status(&self) -> Service {
        let started = Instant::now();
        let status = match self.rag().await {
            Ok(rag) => match rag.library.check().await {
                Ok(()) => Health::Up,
                Err(_) => Health::Down,
            },
            Err(_) => Health::Down,
        };
        Service::since(started, "lancedb".to_owned(), &self.url, status)
    }

    /// Opens the library in the background once there is something to do: documents from before, or an embedder for
    /// the articles. Who has neither pays nothing for it.
    pub(crate) fn start_rag(&self) {
        let app = self.clone();
        tokio::spawn(async move {
            let Some(folder) = app.config.data_dir.as_ref().map(|dir| dir.join(FOLDER)) else {
                return info!("there is no folder for documents: set WICK_DATA to have some");
            };
            let name = &app.config.embed_model;
            while !folder.exists() && app.model(Route::Embed, name).await.is_err() {
                tokio::time::sleep(PATIENCE).await;
            }
            if let Err(error) = app.rag().await {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                error!(cause, "documents cannot be used: {error}");
            }
        });
    }
}

async fn open(app: &App) -> Result<Arc<Rag>, ApiError> {
    let folder = app.config.data_dir.as_ref().map(|dir| dir.join(FOLDER));
    let folder = folder.ok_or(ApiError::NoDataFolder)?;
    let options = LibraryOptions {
        tables_uri: app.config.rag_uri.clone(),
        program: std::env::current_exe().ok(),
        ..LibraryOptions::new(folder.clone())
    };
    let jobs_folder = folder.join("jobs");
    let jobs = super::catalog::blocking(move || Ok(Jobs::open(jobs_folder)?)).await?;
    let library = Library::open(options, &jobs.unfinished()).await?;
    let rag = Arc::new(Rag {
        library,
        jobs: Arc::new(jobs),
        embedder: Arc::new(EngineEmbedder { app: app.clone() }),
        has_articles: AtomicBool::new(false),
    });
    tokio::spawn(builtin::keep_shelved(Arc::clone(&rag)));
    let (library, jobs) = (rag.library.clone(), Arc::clone(&rag.jobs));
    let embedder = Arc::clone(&rag.embedder);
    tokio::spawn(crate::rag::jobs::work(library, jobs, embedder));
    Ok(rag)
}

impl Retriever for Rag {
    fn search(&self, query: Query) -> BoxFuture<'_, Result<Vec<Hit>, SearchError>> {
        async move {
            let found = self.library.search(&query, self.embedder.as_ref()).await?;
            if self.has_articles.load(Ordering::Acquire) {
                return Ok(found.hits);
            }
            // The articles come into the tables some time after the start, or never without an embedder. Until then
            // their words are what they are found by.
            let articles = Shelf.find(&query.text, query.k);
            Ok(in_turn(found.hits, articles, query.k))
        }
        .boxed()
    }

    fn version(&self, tenant: &str) -> u64 {
        self.library.version(tenant)
    }
}

/// Hits of two orders whose scores do not compare: the best of each, the second best of each, and so on.
fn in_turn(first: Vec<Hit>, second: Vec<Hit>, most: usize) -> Vec<Hit> {
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let pairs = std::iter::from_fn(|| {
        let pair = [first.next(), second.next()];
        pair.iter().any(Option::is_some).then_some(pair)
    });
    pairs.flatten().flatten().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rag::{Metadata, Position};

    fn hits(ids: &[&str]) -> Vec<Hit> {
        let hit = |id: &&str| Hit {
            document_id: (*id).to_owned(),
            title: String::new(),
            url: None,
            metadata: Metadata::new(),
            text: String::new(),
            score: 1.0,
            position: Position::default(),
        };
        ids.iter().map(hit).collect()
    }

    #[test]
    fn the_best_of_either_order_come_first() {
        let joined = in_turn(hits(&["a", "b", "c"]), hits(&["x"]), 3);
        let ids: Vec<&str> = joined.iter().map(|hit| hit.document_id.as_str()).collect();
        assert_eq!(ids, ["a", "x", "b"]);
        assert_eq!(in_turn(Vec::new(), hits(&["x", "y"]), 9).len(), 2);
    }
}
