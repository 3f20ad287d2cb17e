//! Jobs on disk: a folder each, with `job.json` and the files by their place.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use tracing::warn;

use super::{Job, JobError, is_job_id};

const DESCRIPTION: &str = "job.json";

/// All jobs whose description is whole. Folders without one are of jobs whose client never heard of them.
pub(super) fn read_all(folder: &Path) -> Result<Vec<Job>, JobError> {
    make(folder)?;
    let mut jobs = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(id) = name.filter(|name| is_job_id(name)) else {
            continue;
        };
        match fs::read(path.join(DESCRIPTION)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => forget(folder, id),
            Err(error) => return Err(at(&path)(error)),
            Ok(text) => match serde_json::from_slice::<Job>(&text) {
                Ok(job) if job.id == id => jobs.push(job),
                _ => warn!(id, "the description of {id} cannot be read: it is left out"),
            },
        }
    }
    Ok(jobs)
}

/// Writes the description: the old one or the new one is there, whatever happens.
pub(super) fn write(folder: &Path, job: &Job) -> Result<(), JobError> {
    let own = folder.join(&job.id);
    let failed = at(&own);
    let mut file = NamedTempFile::new_in(&own).map_err(&failed)?;
    serde_json::to_writer(&mut file, job).map_err(|error| failed(error.into()))?;
    file.flush().map_err(&failed)?;
    file.as_file().sync_all().map_err(&failed)?;
    file.persist(own.join(DESCRIPTION))
        .map_err(|error| failed(error.error))?;
    let folder = File::open(&own).map_err(&failed)?;
    folder.sync_all().map_err(&failed)
}

/// The file of a job's document.
pub(super) fn file(folder: &Path, id: &str, place: usize) -> PathBuf {
    folder.join(id).join(format!("file-{place}"))
}

pub(super) fn remove_file(folder: &Path, id: &str, place: usize) -> Result<(), JobError> {
    let path = file(folder, id, place);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path)(error)),
        _ => Ok(()),
    }
}

pub(super) fn forget(folder: &Path, id: &str) {
    if let Err(error) = fs::remove_dir_all(folder.join(id)) {
        warn!(id, "the files of {id} cannot be removed: {error}");
    }
}

/// Only the owner can look into it.
pub(super) fn make(folder: &Path) -> Result<(), JobError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(at(folder))
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> JobError {
    let path = path.to_owned();
    move |source| JobError::Io {
        path: path.clone(),
        source,
    }
}
