//! One blob from a registry to disk: in parts, side by side, going on where an earlier try stopped.

mod parts;
mod transfer;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use reqwest::Url;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::session::Session;
use super::{pull, send};
use crate::store::digest::Digest;
use crate::store::error::{RegistryError, StoreError};
use crate::store::{Progress, Store, lock};

/// A blob to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Blob {
    pub(in crate::store) digest: Digest,
    /// Size according to the manifest.
    pub(in crate::store) size_bytes: u64,
}

/// Downloads under way in this process.
#[derive(Debug, Default)]
pub(crate) struct Downloads(Mutex<HashMap<Digest, Weak<Shared>>>);

/// A download that several pulls may wait for; it stops when the last of them leaves.
#[derive(Debug)]
struct Shared {
    completed: Arc<AtomicU64>,
    outcome: watch::Receiver<Option<Result<(), StoreError>>>,
    task: JoinHandle<()>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Fetches a blob of the session's repository, unless it is there.
pub(super) async fn fetch(
    store: &Store,
    session: &Arc<Session>,
    blob: Blob,
    events: &mpsc::Sender<Progress>,
) -> Result<(), StoreError> {
    let url = session.url(&format!("blobs/{}", blob.digest))?;
    fetch_from(store, session, url, blob, events).await
}

/// Fetches a blob from `url`, unless it is there; `events` hear of it at every tick.
pub(super) async fn fetch_from(
    store: &Store,
    session: &Arc<Session>,
    url: Url,
    blob: Blob,
    events: &mpsc::Sender<Progress>,
) -> Result<(), StoreError> {
    if is_whole(store, blob).await? {
        return pull::say_complete(events, &blob).await;
    }
    let shared = join_or_start(store, session, url, blob);
    let mut outcome = shared.outcome.clone();
    let mut ticks = interval(session.registry().tuning().tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ended = async {
            let ended = outcome.wait_for(Option::is_some).await.ok()?;
            ended.clone()
        };
        tokio::select! {
            ended = ended => {
                // Without a word the task ended because it panicked or the runtime shuts down.
                ended.unwrap_or(Err(StoreError::Canceled))?;
                return pull::say_complete(events, &blob).await;
            }
            _ = ticks.tick() => {
                let completed = shared.completed.load(Ordering::Relaxed);
                let status = format!("pulling {}", blob.digest.short());
                let digest = blob.digest.to_string();
                send(events, Progress::bytes(status, digest, blob.size_bytes, completed)).await?;
            }
        }
    }
}

/// Fails early if the disk cannot hold what is still to come.
pub(super) fn check_space(store: &Store, blobs: &[Blob]) -> Result<(), StoreError> {
    let needed_bytes = blobs
        .iter()
        .filter(|blob| !store.has_blob(&blob.digest))
        .map(|blob| {
            blob.size_bytes
                .saturating_sub(parts::completed_bytes(store, *blob))
        })
        .fold(0, u64::saturating_add);
    let folder = store.blobs_folder();
    let space = rustix::fs::statvfs(&folder)
        .map_err(|error| StoreError::io("measure the free space of", &folder, error.into()))?;
    let free_bytes = space.f_bavail.saturating_mul(space.f_frsize);
    if needed_bytes > free_bytes {
        return Err(StoreError::NoSpace {
            path: folder,
            needed_bytes,
            free_bytes,
        });
    }
    Ok(())
}

/// Whether the blob is there. One of another size than the manifest's is hashed: either the file is
/// damaged and goes, or the manifest is wrong.
async fn is_whole(store: &Store, blob: Blob) -> Result<bool, StoreError> {
    let path = store.blob_path(&blob.digest);
    let Ok(meta) = std::fs::metadata(&path) else {
        return Ok(false);
    };
    if meta.len() == blob.size_bytes {
        store.touch_blob(&blob.digest)?;
        return Ok(true);
    }
    if transfer::hash_file(path.clone()).await? == blob.digest {
        let Blob {
            digest,
            size_bytes: expected,
        } = blob;
        return Err(RegistryError::WrongSize {
            digest,
            expected,
            actual: meta.len(),
        }
        .into());
    }
    std::fs::remove_file(&path).map_err(|e| StoreError::io("remove", &path, e))?;
    Ok(false)
}

fn join_or_start(store: &Store, session: &Arc<Session>, url: Url, blob: Blob) -> Arc<Shared> {
    let mut downloads = lock(&store.inner.downloads.0);
    downloads.retain(|_, shared| shared.strong_count() > 0);
    if let Some(shared) = downloads.get(&blob.digest).and_then(Weak::upgrade)
        && shared.outcome.borrow().is_none()
    {
        return shared;
    }
    let completed = Arc::new(AtomicU64::new(0));
    let (report, outcome) = watch::channel(None);
    let job = transfer::Job {
        store: store.clone(),
        session: session.clone(),
        url,
        blob,
        completed: completed.clone(),
    };
    let task = tokio::spawn(async move {
        let result = job.run().await;
        let _ = report.send(Some(result));
    });
    let shared = Arc::new(Shared {
        completed,
        outcome,
        task,
    });
    downloads.insert(blob.digest, Arc::downgrade(&shared));
    shared
}
