//! Push: every blob that the registry does not have, then the manifest.

use std::io::SeekFrom;
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

use super::session::{Session, same_place};
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
            .request(Method::PUT, &url, |request| {
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
        self.session
            .request(Method::PUT, &next, without_body)
            .await?;
        Ok(())
    }

    /// Sends a part, again and again if need be; gives the URL of the next one and the MD5.
    async fn send_part(
        &self,
        url: &Url,
        offset: u64,
        size: u64,
    ) -> Result<(Url, [u8; 16]), StoreError> {
        let tuning = self.session.registry().tuning();
        let mut failures = 0;
        loop {
            let error = match self.try_part(url, offset, size).await {
                Ok(done) => return Ok(done),
                Err(StoreError::Registry(error)) => error,
                Err(error) => return Err(error),
            };
            self.sent.store(offset, Ordering::Relaxed);
            failures += 1;
            let is_final = matches!(
                error,
                RegistryError::NotFound
                    | RegistryError::BadUrl(_)
                    | RegistryError::RealmHost { .. }
            );
            if is_final {
                return Err(error.into());
            }
            if failures >= tuning.attempts {
                return Err(RegistryError::MaxRetries(Box::new(error)).into());
            }
            let wait = tuning.retry_wait * 2_u32.pow((failures - 1).min(10));
            info!(digest = %self.layer.digest, failures, "trying again in {wait:?}: {error}");
            sleep(wait).await;
        }
    }

    async fn try_part(
        &self,
        url: &Url,
        offset: u64,
        size: u64,
    ) -> Result<(Url, [u8; 16]), StoreError> {
        let part = self.part(offset, size).await?;
        let response = self
            .session
            .request(Method::PATCH, url, |request| {
                request
                    .header(CONTENT_RANGE, format!("{offset}-{}", offset + size - 1))
                    .header("X-Redirect-Uploads", "1")
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .header(CONTENT_LENGTH, size)
                    .body(part.body())
            })
            .await?;
        let next = next_url(response.headers(), url)?;
        if response.status() == StatusCode::TEMPORARY_REDIRECT {
            self.send_elsewhere(&response, url, offset, size).await?;
        }
        Ok((next, part.checksum()))
    }

    /// The registry wants the bytes at another address, without its token.
    async fn send_elsewhere(
        &self,
        response: &Response,
        from: &Url,
        offset: u64,
        size: u64,
    ) -> Result<(), StoreError> {
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
        self.sent.store(offset, Ordering::Relaxed);
        let part = self.part(offset, size).await?;
        let elsewhere = Session::with_token(self.session.registry(), url.clone(), None);
        elsewhere
            .request(Method::PUT, &url, |request| {
                request
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .header(CONTENT_LENGTH, size)
                    .body(part.body())
            })
            .await?;
        Ok(())
    }

    /// A stretch of the blob as a request body.
    async fn part(&self, offset: u64, size: u64) -> Result<PartBody, StoreError> {
        let path = self.store.blob_path(&self.layer.digest);
        let file = async {
            let mut file = File::open(&path).await?;
            file.seek(SeekFrom::Start(offset)).await?;
            Ok(file.into_std().await)
        };
        let file = file.await.map_err(|e| StoreError::io("read", &path, e))?;
        Ok(PartBody {
            file,
            offset,
            size,
            sent: self.sent.clone(),
            checksum: Arc::default(),
        })
    }
}

/// Bytes of a part, which may have to be sent twice: once to learn that a token is needed.
struct PartBody {
    file: std::fs::File,
    offset: u64,
    size: u64,
    sent: Arc<AtomicU64>,
    checksum: Arc<Mutex<Md5>>,
}

impl PartBody {
    fn body(&self) -> Body {
        let (sent, checksum) = (self.sent.clone(), self.checksum.clone());
        *lock(&checksum) = Md5::new();
        sent.store(self.offset, Ordering::Relaxed);
        let (offset, size) = (self.offset, self.size);
        let file = self.file.try_clone();
        let bytes = async move {
            let mut file = File::from_std(file?);
            file.seek(SeekFrom::Start(offset)).await?;
            Ok::<_, std::io::Error>(ReaderStream::with_capacity(file.take(size), 1 << 18))
        };
        let stream = futures_util::stream::once(bytes).flat_map(|opened| match opened {
            Ok(stream) => stream.left_stream(),
            Err(error) => futures_util::stream::iter([Err(error)]).right_stream(),
        });
        Body::wrap_stream(stream.inspect(move |bytes| {
            if let Ok(bytes) = bytes {
                lock(&checksum).update(bytes);
                sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        }))
    }

    fn checksum(&self) -> [u8; 16] {
        lock(&self.checksum).clone().finalize().into()
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
