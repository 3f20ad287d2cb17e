//! Push: every blob that the registry does not have, then the manifest.

use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use md5::{Digest as _, Md5};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::io::ReaderStream;
use tracing::info;

use super::session::{Session, Wait, same_place};
use super::{Pull, Registry, say, send};
use crate::store::error::{RegistryError, StoreError};
use crate::store::manifest::{self, Layer};
use crate::store::name::ModelName;
use crate::store::{Progress, Store, lock};

impl Registry {
    pub(super) async fn push(
        &self,
        store: &Store,
        push: &Pull,
        events: &mpsc::Sender<Progress>,
    ) -> Result<(), StoreError> {
        say(events, "retrieving manifest").await?;
        let session = Session::new(self, push)?;
        let name = store.resolve(&push.name)?;
        let (manifest, file) = match store.read_manifest(&name) {
            Ok(read) => read,
            Err(error) => {
                say(events, "couldn't retrieve manifest").await?;
                return Err(error);
            }
        };
        let _pins = store.pin(manifest.blobs().map(|layer| layer.digest));
        for layer in manifest.blobs() {
            push_blob(store, &session, layer, events).await?;
        }
        say(events, "pushing manifest").await?;
        let url = session.url(&format!("manifests/{}", push.name.tag()))?;
        session
            .request_with_wait(Method::PUT, &url, Wait::Answer, |request| {
                request
                    .header(CONTENT_TYPE, manifest::MANIFEST)
                    .body(file.bytes.clone())
            })
            .await?;
        say(events, "success").await
    }
}

async fn push_blob(
    store: &Store,
    session: &Session,
    layer: &Layer,
    events: &mpsc::Sender<Progress>,
) -> Result<(), StoreError> {
    let progress = |completed| {
        let status = format!("pushing {}", layer.digest.short());
        Progress::bytes(status, layer.digest.to_string(), layer.size, completed)
    };
    let url = session.url(&format!("blobs/{}", layer.digest))?;
    match session.locate(Method::HEAD, url).await {
        Ok(_) => return send(events, progress(layer.size)).await,
        Err(RegistryError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    if !store.has_blob(&layer.digest) {
        return Err(StoreError::BlobNotFound(layer.digest));
    }
    let sent = AtomicU64::new(0).into();
    let upload = Upload {
        store,
        session,
        layer,
        sent,
    };
    let mut work = std::pin::pin!(upload.run());
    let mut ticks = interval(session.registry().tuning().tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            result = &mut work => {
                result?;
                return send(events, progress(layer.size)).await;
            }
            _ = ticks.tick() => {
                send(events, progress(upload.sent.load(Ordering::Relaxed))).await?;
            }
        }
    }
}

/// One blob on its way up. Parts follow each other: each answer says where the next one goes.
struct Upload<'a> {
    store: &'a Store,
    session: &'a Session,
    layer: &'a Layer,
    sent: Arc<AtomicU64>,
}

impl Upload<'_> {
    async fn run(&self) -> Result<(), StoreError> {
        let mut start = self.session.url("blobs/uploads/")?;
        if let Some(from) = self
            .layer
            .from
            .as_deref()
            .and_then(|from| ModelName::parse(from).ok())
        {
            let digest = self.layer.digest.to_string();
            start
                .query_pairs_mut()
                .append_pair("mount", &digest)
                .append_pair("from", &from.repository());
        }
        let begun = self
            .session
            .request(Method::POST, &start, without_body)
            .await?;
        // The registry had the blob in another repository and has linked it.
        if begun.status() == StatusCode::CREATED {
            return Ok(());
        }
        let mut next = next_url(begun.headers(), &start)?;
        let tuning = self.session.registry().tuning();
        let part_bytes = (self.layer.size / 16)
            .clamp(tuning.min_part_bytes, tuning.max_part_bytes)
            .max(1);
        let mut checksums = Md5::new();
        let (mut parts, mut offset) = (0, 0);
        while offset < self.layer.size {
            let size = part_bytes.min(self.layer.size - offset);
            let (after, checksum) = self.send_part(&next, offset, size).await?;
            next = after;
            checksums.update(checksum);
            parts += 1;
            offset += size;
        }
        next.query_pairs_mut()
            .append_pair("digest", &self.layer.digest.to_string())
            .append_pair(
                "etag",
                &format!("{}-{parts}", hex::encode(checksums.finalize())),
            );
        self.commit(&next).await
    }

    /// Ends the upload, again and again if need be: the registry puts the parts together and checks
    /// them before it answers.
    async fn commit(&self, url: &Url) -> Result<(), StoreError> {
        let blob = self.session.url(&format!("blobs/{}", self.layer.digest))?;
        let mut failures = 0;
        loop {
            let answer = self
                .session
                .request_with_wait(Method::PUT, url, Wait::Answer, without_body)
                .await;
            let Err(error) = answer else {
                return Ok(());
            };
            // An upload that is gone at the second try may have ended well, and only the answer was lost.
            if failures > 0 && matches!(error, RegistryError::NotFound) {
                let found = self.session.locate(Method::HEAD, blob.clone()).await;
                if found.is_ok() {
                    return Ok(());
                }
            }
            failures += 1;
            self.wait_or_give_up(error, failures).await?;
        }
    }

    /// Sends a part, again and again if need be; gives the URL of the next one and the MD5.
    async fn send_part(
        &self,
        url: &Url,
        offset: u64,
        size: u64,
    ) -> Result<(Url, [u8; 16]), StoreError> {
        let mut failures = 0;
        loop {
            let error = match self.try_part(url, offset, size).await {
                Ok(done) => return Ok(done),
                Err(StoreError::Registry(error)) => error,
                Err(error) => return Err(error),
            };
            self.sent.store(offset, Ordering::Relaxed);
            failures += 1;
            self.wait_or_give_up(error, failures).await?;
        }
    }

    /// Waits for the next attempt, unless this failure was the last one or another attempt is no use.
    async fn wait_or_give_up(
        &self,
        error: RegistryError,
        failures: u32,
    ) -> Result<(), RegistryError> {
        let tuning = self.session.registry().tuning();
        let is_final = matches!(
            error,
            RegistryError::NotFound | RegistryError::BadUrl(_) | RegistryError::RealmHost { .. }
        );
        if is_final {
            return Err(error);
        }
        if failures >= tuning.attempts {
            return Err(RegistryError::MaxRetries(Box::new(error)));
        }
        let wait = tuning.retry_wait * 2_u32.pow((failures - 1).min(10));
        info!(digest = %self.layer.digest, failures, "trying again in {wait:?}: {error}");
        sleep(wait).await;
        Ok(())
    }

    async fn try_part(
        &self,
        url: &Url,
        offset: u64,
        size: u64,
    ) -> Result<(Url, [u8; 16]), StoreError> {
        let part = self.part(offset, size);
        let response = self
            .session
            .request_with_wait(Method::PATCH, url, part.wait(), |request| {
                request
                    .header(CONTENT_RANGE, format!("{offset}-{}", offset + size - 1))
                    .header("X-Redirect-Uploads", "1")
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .header(CONTENT_LENGTH, size)
                    .body(part.body())
            })
            .await?;
        let next = next_url(response.headers(), url)?;
        if response.status() != StatusCode::TEMPORARY_REDIRECT {
            return Ok((next, part.checksum()));
        }
        // What this body may still give out does not count: the bytes go from the start again.
        drop(part);
        let checksum = self.send_elsewhere(&response, url, offset, size).await?;
        Ok((next, checksum))
    }

    /// The registry wants the bytes at another address, without its token; gives their MD5.
    async fn send_elsewhere(
        &self,
        response: &Response,
        from: &Url,
        offset: u64,
        size: u64,
    ) -> Result<[u8; 16], StoreError> {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| RegistryError::BadUrl("no location".to_owned()))?;
        let url = from
            .join(location)
            .map_err(|_| RegistryError::BadUrl(location.to_owned()))?;
        if from.scheme() == "https" && url.scheme() != "https" {
            return Err(RegistryError::BadUrl(url.to_string()).into());
        }
        let part = self.part(offset, size);
        let elsewhere = Session::with_token(self.session.registry(), url.clone(), None);
        elsewhere
            .request_with_wait(Method::PUT, &url, part.wait(), |request| {
                request
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .header(CONTENT_LENGTH, size)
                    .body(part.body())
            })
            .await?;
        Ok(part.checksum())
    }

    /// A stretch of the blob as a request body.
    fn part(&self, offset: u64, size: u64) -> PartBody {
        PartBody {
            path: self.store.blob_path(&self.layer.digest),
            offset,
            size,
            sent: self.sent.clone(),
            checksum: Mutex::default(),
        }
    }
}

/// Bytes of a part, which may have to be sent twice: once to learn that a token is needed. A registry
/// may answer before it has read everything, and the first body is then still on its way: each has a
/// file and a checksum of its own, and only the latest one counts.
struct PartBody {
    path: PathBuf,
    offset: u64,
    size: u64,
    /// How far the upload of the blob has come.
    sent: Arc<AtomicU64>,
    /// MD5 of what the latest body has given out.
    checksum: Mutex<Arc<Mutex<Md5>>>,
}

impl PartBody {
    fn body(&self) -> Body {
        let checksum = Arc::<Mutex<Md5>>::default();
        *lock(&self.checksum) = checksum.clone();
        let sent = self.sent.clone();
        sent.store(self.offset, Ordering::Relaxed);
        let (path, offset, size) = (self.path.clone(), self.offset, self.size);
        let bytes = async move {
            let mut file = File::open(path).await?;
            file.seek(SeekFrom::Start(offset)).await?;
            Ok::<_, std::io::Error>(ReaderStream::with_capacity(file.take(size), 1 << 18))
        };
        let stream = futures_util::stream::once(bytes).flat_map(|opened| match opened {
            Ok(stream) => stream.left_stream(),
            Err(error) => futures_util::stream::iter([Err(error)]).right_stream(),
        });
        Body::wrap_stream(stream.inspect(move |bytes| {
            // A body whose checksum nobody else holds has been replaced or given up.
            if let Ok(bytes) = bytes
                && Arc::strong_count(&checksum) > 1
            {
                lock(&checksum).update(bytes);
                sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        }))
    }

    /// Waits as long as the body moves.
    fn wait(&self) -> Wait<'_> {
        Wait::Body {
            sent: &self.sent,
            end: self.offset + self.size,
        }
    }

    fn checksum(&self) -> [u8; 16] {
        let latest = lock(&self.checksum).clone();
        let checksum = lock(&latest).clone();
        checksum.finalize().into()
    }
}

fn without_body(request: RequestBuilder) -> RequestBuilder {
    request.header(CONTENT_LENGTH, 0)
}

/// Where to go on: another host would see the token, so it must be the same.
fn next_url(headers: &HeaderMap, from: &Url) -> Result<Url, RegistryError> {
    let location = headers
        .get("Docker-Upload-Location")
        .or_else(|| headers.get(LOCATION))
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| RegistryError::BadUrl("no location".to_owned()))?;
    let next = from
        .join(location)
        .map_err(|_| RegistryError::BadUrl(location.to_owned()))?;
    if !same_place(from, &next) {
        return Err(RegistryError::BadUrl(next.to_string()));
    }
    Ok(next)
}
