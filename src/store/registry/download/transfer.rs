//! The work behind a download: bytes over the network into the partial file, then the check.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::Blob;
use super::parts::{self, Part};
use crate::store::digest::Digest;
use crate::store::error::{RegistryError, StoreError};
use crate::store::registry::Tuning;
use crate::store::registry::session::{Session, Source, transport};
use crate::store::{Store, blobs};

/// Bytes are handed to the disk in pieces of about this size.
const WRITE_BYTES: usize = 1 << 20;
/// A piece that fills slowly is written after this long, so that progress is seen.
const WRITE_AFTER: Duration = Duration::from_millis(100);
/// A connection that stalls this often in a row, without a byte in between, is not coming back.
const MAX_STALLS: u32 = 10;

/// One download.
pub(super) struct Job {
    pub(super) store: Store,
    pub(super) session: Arc<Session>,
    pub(super) url: Url,
    pub(super) blob: Blob,
    /// Bytes that are on disk, for everyone who watches.
    pub(super) completed: Arc<AtomicU64>,
}

impl Job {
    /// Brings the blob to its place, or fails and keeps what has come so far.
    pub(super) async fn run(&self) -> Result<(), StoreError> {
        let path = parts::partial_path(&self.store, self.blob);
        // Whoever fetches this blob, in this process or another, holds the lock of its file.
        let Some(file) = self.lock_partial(&path).await? else {
            return Ok(());
        };
        let file = Arc::new(file);
        let parts = match parts::load(&self.store, self.blob) {
            Some(parts) => parts,
            None => {
                if let Err(error) = self.check_announced_size().await {
                    let _ = fs::remove_file(&path);
                    return Err(error);
                }
                self.start_over(&file)?;
                parts::plan(&self.store, self.blob, self.tuning())?
            }
        };
        let fetched = self.fetch_parts(&file, &path, parts).await;
        if let Err(StoreError::Registry(RegistryError::WrongRange { .. })) = &fetched {
            warn!(digest = %self.blob.digest, "the registry cannot send ranges: fetching in one piece");
            self.start_over(&file)?;
            let whole = parts::plan_single(&self.store, self.blob)?;
            self.fetch_parts(&file, &path, whole).await?;
        } else {
            fetched?;
        }
        self.verify_and_rename(&file, &path).await
    }

    fn tuning(&self) -> &Tuning {
        self.session.registry().tuning()
    }

    /// Opens and locks the partial file; nothing if the blob has been completed by someone else.
    async fn lock_partial(&self, path: &Path) -> Result<Option<File>, StoreError> {
        loop {
            if self.store.has_blob(&self.blob.digest) {
                return Ok(None);
            }
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(path)
                .map_err(|e| StoreError::io("open", path, e))?;
            match file.try_lock() {
                // The file may have been renamed or removed between opening and locking.
                Ok(()) if is_same_file(&file, path) => return Ok(Some(file)),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(50)).await,
                Err(TryLockError::Error(e)) => return Err(StoreError::io("lock", path, e)),
            }
        }
    }

    /// Sizes the empty file, so that parts can be written anywhere; unwritten bytes take no space.
    fn start_over(&self, file: &File) -> Result<(), StoreError> {
        let path = parts::partial_path(&self.store, self.blob);
        self.completed.store(0, Ordering::Relaxed);
        parts::remove_states(&self.store, self.blob)?;
        file.set_len(0)
            .and_then(|()| file.set_len(self.blob.size_bytes))
            .map_err(|e| StoreError::io("size", &path, e))
    }

    /// A registry that announces another size than its manifest does is not worth the transfer.
    async fn check_announced_size(&self) -> Result<(), StoreError> {
        let (source, response) = self.locate(Method::HEAD).await?;
        let announced = response
            .headers()
            .get(CONTENT_LENGTH)
            .filter(|_| source.authorized && response.status().is_success())
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        match announced {
            Some(actual) if actual != self.blob.size_bytes => {
                let Blob {
                    digest,
                    size_bytes: expected,
                } = self.blob;
                let error = RegistryError::WrongSize {
                    digest,
                    expected,
                    actual,
                };
                Err(error.into())
            }
            _ => Ok(()),
        }
    }

    /// Finds the blob, with patience for a registry that is busy.
    async fn locate(&self, method: Method) -> Result<(Source, Response), RegistryError> {
        let end = Instant::now() + self.tuning().resolve;
        let mut attempt: u32 = 0;
        loop {
            let error = match self.session.locate(method.clone(), self.url.clone()).await {
                Ok(located) => return Ok(located),
                Err(error) => error,
            };
            attempt += 1;
            let jitter = 0.5 + rand::random::<f64>();
            let wait = Duration::from_millis(10 * u64::from(attempt * attempt).min(1000));
            let wait = wait.mul_f64(jitter);
            if !may_pass(&error) || Instant::now() + wait >= end {
                return Err(error);
            }
            info!(digest = %self.blob.digest, "cannot find the blob, trying again: {error}");
            sleep(wait).await;
        }
    }

    async fn fetch_parts(
        &self,
        file: &Arc<File>,
        path: &Path,
        parts: Vec<Part>,
    ) -> Result<(), StoreError> {
        let completed = parts.iter().map(|part| part.completed).sum();
        self.completed.store(completed, Ordering::Relaxed);
        let missing: Vec<Part> = parts
            .into_iter()
            .filter(|part| !part.is_complete())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        // Only the head of the answer counts: the bytes are asked for part by part.
        let (source, _) = self.locate(Method::GET).await?;
        let source = &source;
        stream::iter(missing)
            .map(|part| async move {
                let mut writer = PartWriter::new(self, file.clone(), path, part);
                self.fetch_part(&mut writer, source.clone()).await
            })
            .buffer_unordered(self.tuning().concurrent_parts.max(1))
            .try_collect()
            .await
    }

    async fn fetch_part(&self, writer: &mut PartWriter, source: Source) -> Result<(), StoreError> {
        let mut source = source;
        let (mut failures, mut stalls) = (0, 0);
        loop {
            let before = writer.part.completed;
            let error = match self.stream_part(writer, &source).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Registry(error)) if may_pass(&error) => error,
                Err(error) => return Err(error),
            };
            if matches!(error, RegistryError::Stalled(_)) {
                stalls = if writer.part.completed > before {
                    0
                } else {
                    stalls + 1
                };
                if stalls < MAX_STALLS {
                    info!(digest = %self.blob.digest, part = writer.part.n, "stalled, trying again");
                    continue;
                }
            }
            failures += 1;
            if failures >= self.tuning().attempts {
                return Err(RegistryError::MaxRetries(Box::new(error)).into());
            }
            let wait = self.tuning().retry_wait * 2_u32.pow((failures - 1).min(10));
            info!(
                digest = %self.blob.digest, part = writer.part.n, failures,
                "part failed, trying again in {wait:?}: {error}"
            );
            sleep(wait).await;
            // Addresses of other hosts are signed and grow old.
            if !source.authorized
                && let Ok((fresh, _)) = self.session.locate(Method::GET, self.url.clone()).await
            {
                source = fresh;
            }
        }
    }

    /// One answer's bytes into the file, never more than the part has left.
    async fn stream_part(
        &self,
        writer: &mut PartWriter,
        source: &Source,
    ) -> Result<(), StoreError> {
        let (start, end) = (writer.part.next_byte(), writer.part.end());
        let range = format!("bytes={start}-{}", end - 1);
        let mut response = self.session.get_range(source, &range).await?;
        self.check_range(&response, start, &range)?;
        let result = self.stream_body(writer, &mut response).await;
        // What has come counts, whatever happened then.
        writer.flush().await?;
        result
    }

    async fn stream_body(
        &self,
        writer: &mut PartWriter,
        response: &mut Response,
    ) -> Result<(), StoreError> {
        let stall = self.session.stall();
        let mut heard = Instant::now();
        while writer.missing() > 0 {
            // Bytes that wait for company are not kept waiting while the line is quiet.
            let patience = if writer.is_flushed() {
                stall
            } else {
                stall.min(WRITE_AFTER)
            };
            let chunk = match timeout(patience, response.chunk()).await {
                Ok(chunk) => chunk.map_err(|error| transport(&error))?,
                Err(_) if heard.elapsed() < stall => {
                    writer.flush().await?;
                    continue;
                }
                Err(_) => return Err(RegistryError::Stalled(stall.as_secs()).into()),
            };
            heard = Instant::now();
            let Some(chunk) = chunk else {
                let text = format!("the connection ended {} bytes too early", writer.missing());
                return Err(RegistryError::Transport(text).into());
            };
            writer.push(&chunk).await?;
        }
        Ok(())
    }

    fn check_range(&self, response: &Response, start: u64, asked: &str) -> Result<(), StoreError> {
        if response.status() == StatusCode::OK && start == 0 {
            return Ok(());
        }
        let got = response
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok());
        let wrong = || RegistryError::WrongRange {
            asked: asked.trim_start_matches("bytes=").to_owned(),
            got: got.unwrap_or("the whole").to_owned(),
        };
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(wrong().into());
        }
        let (range, total) = got
            .and_then(|got| got.strip_prefix("bytes ")?.split_once('/'))
            .ok_or_else(wrong)?;
        if range
            .split_once('-')
            .and_then(|(first, _)| first.parse().ok())
            != Some(start)
        {
            return Err(wrong().into());
        }
        match total.parse::<u64>() {
            Ok(actual) if actual != self.blob.size_bytes => {
                let Blob {
                    digest,
                    size_bytes: expected,
                } = self.blob;
                Err(RegistryError::WrongSize {
                    digest,
                    expected,
                    actual,
                }
                .into())
            }
            _ => Ok(()),
        }
    }

    /// The blob gets its name only once it is known to be what the manifest says.
    async fn verify_and_rename(&self, file: &Arc<File>, path: &Path) -> Result<(), StoreError> {
        let actual = hash_file(path.to_owned()).await?;
        if actual != self.blob.digest {
            fs::remove_file(path).map_err(|e| StoreError::io("remove", path, e))?;
            parts::remove_states(&self.store, self.blob)?;
            return Err(StoreError::DownloadMismatch {
                expected: self.blob.digest,
                actual,
            });
        }
        let done = self.store.blob_path(&self.blob.digest);
        let synced = file.clone();
        blocking(move || synced.sync_all())
            .await?
            .and_then(|()| fs::rename(path, &done))
            .map_err(|e| StoreError::io("write", &done, e))?;
        blobs::sync_folder(&done)?;
        parts::remove_states(&self.store, self.blob)
    }
}

/// Writes one part and keeps its state. Dropping it writes the state down once more, so that a
/// canceled pull loses nothing.
struct PartWriter {
    store: Store,
    file: Arc<File>,
    path: PathBuf,
    part: Part,
    buffer: Vec<u8>,
    written: Instant,
    saved: Instant,
    saved_bytes: u64,
    checkpoint: Duration,
    completed: Arc<AtomicU64>,
}

impl PartWriter {
    fn new(job: &Job, file: Arc<File>, path: &Path, part: Part) -> PartWriter {
        PartWriter {
            store: job.store.clone(),
            file,
            path: path.to_owned(),
            part,
            buffer: Vec::new(),
            written: Instant::now(),
            saved: Instant::now(),
            saved_bytes: part.completed,
            checkpoint: job.tuning().checkpoint,
            completed: job.completed.clone(),
        }
    }

    /// Bytes that are still to come.
    fn missing(&self) -> u64 {
        self.part.size - self.part.completed - self.buffer.len() as u64
    }

    fn is_flushed(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes bytes; what goes beyond the part's end is not the part's.
    async fn push(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let room = usize::try_from(self.missing()).unwrap_or(usize::MAX);
        self.buffer
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.buffer.len() >= WRITE_BYTES || self.written.elapsed() >= WRITE_AFTER {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        self.written = Instant::now();
        if !self.buffer.is_empty() {
            let bytes = std::mem::take(&mut self.buffer);
            let (file, offset) = (self.file.clone(), self.part.next_byte());
            let (bytes, result) = blocking(move || {
                let result = file.write_all_at(&bytes, offset);
                (bytes, result)
            })
            .await?;
            result.map_err(|e| StoreError::io("write", &self.path, e))?;
            self.part.completed += bytes.len() as u64;
            self.completed
                .fetch_add(bytes.len() as u64, Ordering::Relaxed);
            self.buffer = bytes;
            self.buffer.clear();
        }
        if self.saved.elapsed() >= self.checkpoint || self.part.is_complete() {
            self.save().await?;
        }
        Ok(())
    }

    /// Bytes first, then the state that vouches for them, so that a power cut cannot turn them round.
    async fn save(&mut self) -> Result<(), StoreError> {
        if self.saved_bytes == self.part.completed {
            return Ok(());
        }
        let (store, file, path, part) = (
            self.store.clone(),
            self.file.clone(),
            self.path.clone(),
            self.part,
        );
        blocking(move || {
            file.sync_data()
                .map_err(|e| StoreError::io("write", &path, e))?;
            parts::save(&store, &path, &part)
        })
        .await??;
        self.saved = Instant::now();
        self.saved_bytes = part.completed;
        Ok(())
    }
}

impl Drop for PartWriter {
    fn drop(&mut self) {
        if self.saved_bytes != self.part.completed
            && let Err(error) = parts::save(&self.store, &self.path, &self.part)
        {
            warn!(path = %self.path.display(), "cannot keep the state of a part: {error}");
        }
    }
}

/// SHA-256 of a file.
pub(super) async fn hash_file(path: PathBuf) -> Result<Digest, StoreError> {
    blocking(move || {
        let failed = |e| StoreError::io("read", &path, e);
        let mut file = File::open(&path).map_err(failed)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; WRITE_BYTES];
        loop {
            let read = file.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                return Ok(Digest::finish(hasher));
            }
            hasher.update(&buffer[..read]);
        }
    })
    .await?
}

/// Whether another try may succeed: not after a clear refusal or a lie.
fn may_pass(error: &RegistryError) -> bool {
    match error {
        RegistryError::Transport(_) | RegistryError::Stalled(_) => true,
        RegistryError::Status { code, .. } => *code >= 500 || matches!(code, 403 | 408 | 425 | 429),
        _ => false,
    }
}

fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| StoreError::Canceled)
}
