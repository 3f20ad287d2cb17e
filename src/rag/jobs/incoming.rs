//! A job whose files are still coming. Dropped before it is kept, it leaves nothing behind.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Job, JobDocument, JobError, JobState, disk, now_ms};
use crate::rag::Metadata;
use crate::rag::library::new_id;

/// A job that is being put together.
pub struct Incoming {
    folder: PathBuf,
    job: Job,
    is_kept: bool,
}

/// What is known about a file before it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncomingFile {
    /// Its name, whose ending tells the format.
    pub name: String,
    /// The collection it goes into.
    pub collection: String,
    /// What to call it.
    pub title: Option<String>,
    /// Where it came from.
    pub url: Option<String>,
    /// What to label it with.
    pub metadata: Metadata,
}

impl Incoming {
    pub(super) fn new(folder: &Path, tenant: &str) -> Result<Incoming, JobError> {
        let id = format!("job_{}", hex::encode(rand::random::<[u8; 16]>()));
        disk::make(&folder.join(&id))?;
        Ok(Incoming {
            folder: folder.to_owned(),
            job: Job {
                id,
                tenant: tenant.to_owned(),
                state: JobState::Waiting,
                created_ms: now_ms(),
                ended_ms: None,
                beginnings: 0,
                documents: Vec::new(),
            },
            is_kept: false,
        })
    }

    /// Whose job it will be.
    pub fn tenant(&self) -> &str {
        &self.job.tenant
    }

    /// Files so far.
    pub fn len(&self) -> usize {
        self.job.documents.len()
    }

    /// Whether there are none yet.
    pub fn is_empty(&self) -> bool {
        self.job.documents.is_empty()
    }

    /// A new file; [`Incoming::write`] fills it.
    pub fn file(&mut self, file: IncomingFile) -> Result<(), JobError> {
        let path = disk::file(&self.folder, &self.job.id, self.job.documents.len());
        File::create(&path).map_err(disk::at(&path))?;
        self.job.documents.push(JobDocument {
            document_id: new_id(),
            collection: file.collection,
            name: file.name,
            title: file.title,
            url: file.url,
            metadata: file.metadata,
            size_bytes: 0,
            state: JobState::Waiting,
            is_duplicate: false,
            bytes_read: 0,
            passages: None,
            passages_embedded: 0,
            error: None,
            can_retry: false,
        });
        Ok(())
    }

    /// More bytes of the latest file; answers how many it has.
    pub fn write(&mut self, bytes: &[u8]) -> Result<u64, JobError> {
        let place = self.job.documents.len().saturating_sub(1);
        let path = disk::file(&self.folder, &self.job.id, place);
        let mut file = File::options()
            .append(true)
            .open(&path)
            .map_err(disk::at(&path))?;
        file.write_all(bytes).map_err(disk::at(&path))?;
        let document = self.job.documents.last_mut();
        Ok(document.map_or(0, |document| {
            document.size_bytes += bytes.len() as u64;
            document.size_bytes
        }))
    }

    /// What holds for all its files, where they have nothing of their own.
    pub fn for_all(&mut self, file: IncomingFile) {
        for document in &mut self.job.documents {
            document.collection.clone_from(&file.collection);
            document.title = document.title.take().or(file.title.clone());
            document.url = document.url.take().or(file.url.clone());
            document.metadata.extend(file.metadata.clone());
        }
    }

    /// The job is to be done from now on, whatever happens to this process.
    pub(super) fn keep(mut self) -> Result<Job, JobError> {
        for place in 0..self.job.documents.len() {
            let path = disk::file(&self.folder, &self.job.id, place);
            let file = File::open(&path).map_err(disk::at(&path))?;
            file.sync_all().map_err(disk::at(&path))?;
        }
        disk::write(&self.folder, &self.job)?;
        self.is_kept = true;
        Ok(self.job.clone())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.is_kept {
            disk::forget(&self.folder, &self.job.id);
        }
    }
}
