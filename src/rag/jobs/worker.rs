//! The one who does the jobs, one after the other: the embedder is the bottleneck, and works on one text best alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::{info, warn};

use super::{Job, JobDocument, JobState, Jobs, disk};
use crate::rag::embed::Embedder;
use crate::rag::library::{Added, Batch, Library, LibraryError, NewDocument, Progress};

/// Waits between attempts where the embedder may be there in a moment.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
];
/// The tables are taken care of after so many jobs, or when nothing is to be done for a while.
const JOBS_BETWEEN_TIDYING: usize = 32;
const IDLE: Duration = Duration::from_secs(10);
/// And so often if nothing happens at all.
const REST: Duration = Duration::from_secs(60 * 60);

/// How long a cancelled job may go on resting.
const STEP: Duration = Duration::from_millis(200);

/// Does jobs until it is dropped.
pub async fn work(library: Library, jobs: Arc<Jobs>, embedder: Arc<dyn Embedder>) {
    let mut since_tidying = 0;
    loop {
        let patience = if since_tidying > 0 { IDLE } else { REST };
        match tokio::time::timeout(patience, jobs.next()).await {
            Ok((job, cancelled)) => {
                let work = Work {
                    library: &library,
                    jobs: &jobs,
                    embedder: embedder.as_ref(),
                    job,
                    cancelled,
                };
                work.all().await;
                since_tidying += 1;
            }
            Err(_) => {
                library.tend().await;
                since_tidying = 0;
            }
        }
        if since_tidying >= JOBS_BETWEEN_TIDYING {
            library.tend().await;
            since_tidying = 0;
        }
    }
}

struct Work<'a> {
    library: &'a Library,
    jobs: &'a Jobs,
    embedder: &'a dyn Embedder,
    job: Job,
    cancelled: Arc<AtomicBool>,
}

impl Work<'_> {
    async fn all(&self) {
        let open: Vec<usize> = (0..self.job.documents.len())
            .filter(|at| !self.job.documents[*at].state.is_end())
            .collect();
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.library.batch(self.embedder).await {
                Ok(mut batch) => match self.documents(&mut batch, &open).await {
                    Ok(()) => break,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            match pauses.next().filter(|_| passes(&error)) {
                Some(pause) => self.rest(pause).await,
                None => {
                    self.fail_all(&open, &error).await;
                    break;
                }
            }
            if self.is_cancelled() {
                self.fail_all(&open, &LibraryError::Cancelled).await;
                break;
            }
        }
        if let Err(error) = self.jobs.end(&self.job.id) {
            warn!("the end of a job cannot be written down: {error}");
        }
        let (_, passages) = self.jobs_passages();
        info!(job = %self.job.id, passages, "documents added");
    }

    /// All documents that are still open. An error is one that concerns them all; what was finished before it stays.
    async fn documents(&self, batch: &mut Batch<'_>, open: &[usize]) -> Result<(), LibraryError> {
        let mut accepted = Vec::new();
        let met = self.each(batch, open, &mut accepted).await;
        batch.flush().await?;
        for (at, title) in accepted {
            self.change(at, |document| {
                document.state = JobState::Done;
                document.title = Some(title);
            });
        }
        met
    }

    async fn each(
        &self,
        batch: &mut Batch<'_>,
        open: &[usize],
        accepted: &mut Vec<(usize, String)>,
    ) -> Result<(), LibraryError> {
        for &at in open {
            let Some(document) = self.document(at).filter(|d| !d.state.is_end()) else {
                continue;
            };
            let own_id = document.document_id.clone();
            match self.document_in(batch, at, document).await {
                Ok(Added::New { title, .. }) => accepted.push((at, title)),
                Ok(Added::Duplicate { document_id }) => self.change(at, |document| {
                    document.state = JobState::Done;
                    // Its own, if the process ended between adding it and writing that down.
                    document.is_duplicate = document_id != own_id;
                    document.document_id = document_id;
                    document.bytes_read = document.size_bytes;
                }),
                // Whatever concerns the document alone leaves the others be.
                Err(error @ (LibraryError::Read(_) | LibraryError::UnknownFormat)) => {
                    self.fail(at, &error).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn document_in(
        &self,
        batch: &mut Batch<'_>,
        at: usize,
        document: JobDocument,
    ) -> Result<Added, LibraryError> {
        self.change(at, |document| document.state = JobState::Running);
        let path = disk::file(&self.jobs.folder, &self.job.id, at);
        let bytes = tokio::fs::read(&path).await;
        let new = NewDocument {
            id: document.document_id,
            tenant: self.job.tenant.clone(),
            collection: document.collection,
            title: document.title,
            url: document.url,
            name: document.name,
            metadata: document.metadata,
            bytes: bytes.map_err(|error| LibraryError::Tables(error.into()))?,
        };
        let tell = |progress| {
            self.change(at, |document| match progress {
                Progress::Read { bytes, passages } => {
                    document.bytes_read = bytes as u64;
                    document.passages = Some(passages);
                }
                Progress::Embedded { passages } => document.passages_embedded = passages,
            });
            !self.is_cancelled()
        };
        batch.add(new, &tell).await
    }

    /// None of the documents that are still open can be added.
    async fn fail_all(&self, open: &[usize], error: &LibraryError) {
        for &at in open {
            let state = self.document(at).map(|document| document.state);
            if !state.is_none_or(JobState::is_end) {
                self.fail(at, error).await;
            }
        }
    }

    async fn fail(&self, at: usize, error: &LibraryError) {
        let (state, can_retry) = match error {
            LibraryError::Cancelled => (JobState::Cancelled, false),
            LibraryError::Read(_) | LibraryError::UnknownFormat => (JobState::Failed, false),
            _ => (JobState::Failed, true),
        };
        if can_retry {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            warn!(job = %self.job.id, cause, "a document was not added: {error}");
        }
        let id = self.document(at).map(|document| document.document_id);
        if let Some(id) = id
            && let Err(error) = self.library.abandon(&[id]).await
        {
            warn!("what is left of a document stays until the next start: {error}");
        }
        self.change(at, |document| {
            document.state = state;
            document.can_retry = can_retry;
            document.error = (state == JobState::Failed).then(|| error.to_string());
            document.passages_embedded = 0;
        });
    }

    /// Waits, unless the job is cancelled meanwhile.
    async fn rest(&self, pause: Duration) {
        let mut left = pause;
        while !left.is_zero() && !self.is_cancelled() {
            let step = left.min(STEP);
            tokio::time::sleep(step).await;
            left -= step;
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn document(&self, at: usize) -> Option<JobDocument> {
        let state = self.jobs.lock();
        let job = state.jobs.get(&self.job.id)?;
        job.documents.get(at).cloned()
    }

    fn change(&self, at: usize, change: impl FnOnce(&mut JobDocument)) {
        self.jobs.update_document(&self.job.id, at, change);
    }

    fn jobs_passages(&self) -> (usize, usize) {
        let state = self.jobs.lock();
        let job = state.jobs.get(&self.job.id);
        job.map_or((0, 0), Job::passages)
    }
}

/// Whether the same can go well in a moment.
fn passes(error: &LibraryError) -> bool {
    matches!(error, LibraryError::Embedder(error) if error.passes)
}
