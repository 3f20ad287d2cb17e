//! The documents: added whole or not at all, listed, removed, searched.
//!
//! A document's passages are written first, under the document's id; its row comes last and makes it one. Passages
//! without a row are not found, and are swept away when the library is opened. Removing goes the other way round.
//!
//! One process at a time holds a library. It keeps what is known about all documents in memory, so that lists,
//! duplicates and rights are decided without reading tables.

mod add;
mod catalog;
mod embedders;
mod folder;
mod measure;
mod search;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use tracing::{info, warn};

use super::embed::EmbedError;
use super::read::ReadError;
use super::tables::{Chunks, CollectionRow, Layout, TableError, Tables};

pub use super::tables::StoredDocument;
pub use add::{Added, Batch, NewDocument, Progress};
pub use catalog::{Collection, Page};
pub use folder::{Backup, FolderError, backup, restore};
pub use measure::{SearchTimes, measure};
pub use search::Found;

use catalog::Catalog;
use folder::{Folder, WriteGuard};

/// The version of the tables' columns that this program reads and writes.
const SCHEMA: u32 = 1;
/// Longest name of a collection.
const NAME_BYTES: usize = 64;
/// Collections that a tenant may have.
const MOST_COLLECTIONS: usize = 1000;
/// The tenant of the articles that come with wick; no credential can name it.
pub const BUILTIN_TENANT: &str = "\u{1}wick";

/// Where a library is, and when it does what.
#[derive(Clone, Debug)]
pub struct LibraryOptions {
    /// Folder of the tables, the locks and the jobs.
    pub folder: PathBuf,
    /// Where the tables are if not in the folder: `s3://...` (feature `s3`).
    pub tables_uri: Option<String>,
    /// Up to so many passages every vector is compared; beyond, a graph finds the nearest.
    pub exact_passages: usize,
    /// The running program, which reads files that may mean harm in a process of their own; `None`: they are read
    /// within this one.
    pub program: Option<PathBuf>,
}

impl LibraryOptions {
    /// The usual values.
    pub fn new(folder: PathBuf) -> LibraryOptions {
        LibraryOptions {
            folder,
            tables_uri: None,
            exact_passages: EXACT_PASSAGES,
            program: None,
        }
    }
}

/// `wick eval search` measures both ways: on two virtual cores of a Zen 5 EPYC, with vectors of 384 numbers, comparing
/// every one takes 1.7 ms among 1,000 passages, 2.0 among 2,000 and 3.0 among 5,000 (5.7 at the 95th percentile), and the
/// graph 2.4 among each of these.
const EXACT_PASSAGES: usize = 2_000;

/// All documents of all tenants. Clones are cheap.
#[derive(Clone)]
pub struct Library {
    inner: Arc<Inner>,
}

struct Inner {
    options: LibraryOptions,
    folder: Folder,
    tables: Tables,
    /// Held while documents are embedded anew.
    aligning: tokio::sync::Mutex<()>,
    state: RwLock<State>,
}

/// What is known without reading tables.
#[derive(Default)]
struct State {
    catalog: Catalog,
    layout: Layout,
    current: Option<Arc<Chunks>>,
    building: Option<Arc<Chunks>>,
}

/// Why the library did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The tables were written by a later version of this program.
    #[error(
        "the documents were stored by a newer version (schema {found}, this one knows {SCHEMA})"
    )]
    Newer {
        /// Their version.
        found: u32,
    },
    /// LanceDB failed, or what it holds is not as it was written.
    #[error("the tables of documents cannot be used")]
    Tables(#[source] TableError),
    /// Vectors cannot be had.
    #[error(transparent)]
    Embedder(#[from] EmbedError),
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file of a kind that is not read.
    #[error("files of this kind are not read: send txt, md, html, pdf, docx, csv or json")]
    UnknownFormat,
    /// The document is not there, or not the tenant's.
    #[error("there is no document '{0}'")]
    UnknownDocument(String),
    /// The collection is not there.
    #[error("there is no collection '{0}'")]
    UnknownCollection(String),
    /// A name that cannot be a collection's.
    #[error("a collection's name has 1 to {NAME_BYTES} letters, digits, '-', '_' or '.'")]
    CollectionName,
    /// The tenant has too many.
    #[error("there can be {MOST_COLLECTIONS} collections: remove one first")]
    TooManyCollections,
    /// Somebody wanted it to end.
    #[error("cancelled")]
    Cancelled,
    /// Work on another thread came to an unexpected end.
    #[error("internal error")]
    Task,
}

impl From<TableError> for LibraryError {
    fn from(error: TableError) -> Self {
        LibraryError::Tables(error)
    }
}

impl Library {
    /// Opens a library and makes it if there is none. Passages of documents that never became whole are removed, but
    /// for those of `unfinished` documents, which somebody will go on with.
    pub async fn open(
        options: LibraryOptions,
        unfinished: &[String],
    ) -> Result<Library, LibraryError> {
        let folder = Folder::open(&options.folder)?;
        let uri = match &options.tables_uri {
            Some(uri) => uri.clone(),
            None => folder.tables().to_string_lossy().into_owned(),
        };
        let tables = Tables::open(&uri).await?;
        let layout = match tables.layout().await? {
            Some(layout) => layout,
            None => Layout {
                schema: SCHEMA,
                ..Layout::default()
            },
        };
        // Tables of earlier versions are brought up to date here, one version at a time; there are none yet.
        if layout.schema > SCHEMA {
            return Err(LibraryError::Newer {
                found: layout.schema,
            });
        }
        let library = Library {
            inner: Arc::new(Inner {
                options,
                folder,
                tables,
                aligning: tokio::sync::Mutex::default(),
                state: RwLock::default(),
            }),
        };
        library.load(layout).await?;
        library.sweep(unfinished).await?;
        Ok(library)
    }

    async fn load(&self, layout: Layout) -> Result<(), LibraryError> {
        let tables = &self.inner.tables;
        tables.drop_others(&layout).await?;
        let current = match &layout.current {
            Some(generation) => Some(Arc::new(tables.chunks(generation).await?)),
            None => None,
        };
        let building = match &layout.building {
            Some(generation) => Some(Arc::new(tables.chunks(generation).await?)),
            None => None,
        };
        let catalog = Catalog::new(tables.documents().await?, tables.collections().await?);
        self.change(|state| {
            *state = State {
                catalog,
                layout,
                current,
                building,
            };
        });
        Ok(())
    }

    /// Removes passages without a document.
    async fn sweep(&self, unfinished: &[String]) -> Result<(), LibraryError> {
        let _writing = self.writing().await?;
        for chunks in self.chunks() {
            let ids = chunks.document_ids().await?;
            let leftover = |id: &String| !self.read(|state| state.catalog.has(id));
            let leftovers: Vec<String> = ids
                .into_iter()
                .filter(|id| leftover(id) && !unfinished.contains(id))
                .collect();
            if !leftovers.is_empty() {
                let documents = leftovers.len();
                info!(
                    documents,
                    "removing passages of {documents} documents that were never whole"
                );
                chunks.remove(&leftovers).await?;
            }
        }
        self.change(|state| state.catalog.pend(unfinished));
        Ok(())
    }

    /// What is known about a tenant's document.
    pub fn document(&self, tenant: &str, id: &str) -> Option<Arc<StoredDocument>> {
        self.read(|state| state.catalog.document(tenant, id))
    }

    /// A page of a tenant's documents, latest first: at most `limit` of them, those after the one called `after`.
    pub fn documents(
        &self,
        tenant: &str,
        collection: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Page {
        self.read(|state| state.catalog.page(tenant, collection, after, limit))
    }

    /// The document of a tenant's collection that has this hash.
    pub fn with_hash(&self, tenant: &str, collection: &str, hash: &str) -> Option<String> {
        self.read(|state| state.catalog.with_hash(tenant, collection, hash))
    }

    /// A tenant's collections, by name.
    pub fn collections(&self, tenant: &str) -> Vec<Collection> {
        self.read(|state| state.catalog.collections(tenant))
    }

    /// Passages of all tenants.
    pub fn passages(&self) -> usize {
        self.read(|state| state.catalog.passages())
    }

    /// Changes whenever documents that a tenant can see do.
    pub fn version(&self, tenant: &str) -> u64 {
        self.read(|state| state.catalog.version(tenant))
    }

    /// Makes a collection; one that is there stays as it is.
    pub async fn add_collection(
        &self,
        tenant: &str,
        name: &str,
        description: &str,
    ) -> Result<(), LibraryError> {
        check_collection(name)?;
        let _writing = self.writing().await?;
        let known = self.collections(tenant);
        if known.iter().any(|collection| collection.name == name) {
            return Ok(());
        }
        if known.len() >= MOST_COLLECTIONS {
            return Err(LibraryError::TooManyCollections);
        }
        let row = CollectionRow {
            tenant: tenant.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            created_ms: now_ms(),
        };
        self.inner.tables.add_collection(&row).await?;
        self.change(|state| state.catalog.add_collection(row));
        Ok(())
    }

    /// Removes a collection and all its documents; tells how many there were.
    pub async fn remove_collection(&self, tenant: &str, name: &str) -> Result<usize, LibraryError> {
        let writing = self.writing().await?;
        let unknown = || LibraryError::UnknownCollection(name.to_owned());
        let known = self.collections(tenant);
        known
            .iter()
            .find(|collection| collection.name == name)
            .ok_or_else(unknown)?;
        let ids = self.read(|state| state.catalog.ids_in(tenant, name));
        self.remove_all(&ids, &writing).await?;
        self.inner.tables.remove_collection(tenant, name).await?;
        self.change(|state| state.catalog.remove_collection(tenant, name));
        Ok(ids.len())
    }

    /// Removes a tenant's document.
    pub async fn remove(&self, tenant: &str, id: &str) -> Result<(), LibraryError> {
        let writing = self.writing().await?;
        if self.document(tenant, id).is_none() {
            return Err(LibraryError::UnknownDocument(id.to_owned()));
        }
        self.remove_all(&[id.to_owned()], &writing).await
    }

    /// Rows of documents go first: from then on their passages are not found, whatever happens.
    async fn remove_all(&self, ids: &[String], _writing: &WriteGuard) -> Result<(), LibraryError> {
        self.remove_rows(ids).await?;
        for chunks in self.chunks() {
            chunks.remove(ids).await?;
        }
        Ok(())
    }

    async fn remove_rows(&self, ids: &[String]) -> Result<(), LibraryError> {
        self.inner.tables.remove_documents(ids).await?;
        self.change(|state| state.catalog.remove(ids));
        Ok(())
    }

    /// Whether the tables can be read.
    pub async fn check(&self) -> Result<(), LibraryError> {
        Ok(self.inner.tables.check().await?)
    }

    /// Takes care of the tables: joins small files, takes new rows into the indexes, makes the graph where there are
    /// enough passages, removes old versions. Searches go on meanwhile; writing waits.
    pub async fn optimise(&self) -> Result<(), LibraryError> {
        let _writing = self.writing().await?;
        self.inner.tables.tidy().await?;
        let Some(chunks) = self.read(|state| state.current.clone()) else {
            return Ok(());
        };
        chunks.index().await?;
        let rows = chunks.rows().await?;
        if rows > self.inner.options.exact_passages {
            let covered = chunks.graph_rows().await?;
            // New rows join the graph; one that was made from much fewer is made anew, as its partitions and its
            // scale were chosen for those.
            let is_outgrown = self.change(|state| state.catalog.has_outgrown(covered, rows));
            if covered.is_none() || is_outgrown {
                info!(rows, "making the graph of {rows} passages");
                chunks.build_graph().await?;
                self.change(|state| state.catalog.graph_of(rows));
            }
        }
        chunks.tidy().await?;
        Ok(())
    }

    /// All tables of chunks.
    fn chunks(&self) -> Vec<Arc<Chunks>> {
        self.read(|state| {
            let both = [state.current.clone(), state.building.clone()];
            both.into_iter().flatten().collect()
        })
    }

    /// One writer at a time, in this process and beside a backup.
    async fn writing(&self) -> Result<WriteGuard, LibraryError> {
        Ok(self.inner.folder.writing().await?)
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(
            &self
                .inner
                .state
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self
            .inner
            .state
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut state)
    }

    /// Optimises, and tells the log: if it fails, what is there stays in use.
    pub async fn tend(&self) {
        match self.optimise().await {
            Ok(()) => info!("the tables of documents are optimised"),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                warn!(cause, "the tables of documents were not optimised: {error}");
            }
        }
        wick_kernels::return_freed_memory();
    }
}

/// Whether a collection can be called this.
pub fn check_collection(name: &str) -> Result<(), LibraryError> {
    let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let good = (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(is_good);
    match good {
        true => Ok(()),
        false => Err(LibraryError::CollectionName),
    }
}

/// A new document's id.
pub fn new_id() -> String {
    format!("doc_{}", hex::encode(rand::random::<[u8; 16]>()))
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
