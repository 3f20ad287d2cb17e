//! A registry in this process that can lie.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream;

use crate::store::manifest::{Config, Layer, Manifest, media_type};
use crate::store::{Digest, ModelName};

/// How the registry misbehaves; the default is not at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Lies {
    /// HEAD announces this many bytes more.
    pub(super) extra_bytes: u64,
    /// Every byte of blobs is flipped.
    pub(super) wrong_bytes: bool,
    /// Bodies of blobs never end.
    pub(super) endless_blobs: bool,
    /// The body of the manifest never ends.
    pub(super) endless_manifest: bool,
    /// Ranges are ignored: always the whole blob with status 200.
    pub(super) no_ranges: bool,
    /// Answers to range requests start elsewhere than asked.
    pub(super) shifted_ranges: bool,
    /// Each answer stops after so many bytes, as if the connection broke.
    pub(super) cut_after: Option<usize>,
    /// Each answer goes silent after so many bytes.
    pub(super) silent_after: Option<usize>,
    /// So many answers to range requests are silent or cut; later ones are whole.
    pub(super) faulty_answers: Option<usize>,
    /// Blobs are redirected to this base address.
    pub(super) redirect_blobs: Option<String>,
    /// Manifests are redirected to this base address.
    pub(super) redirect_manifests: Option<String>,
    /// Everything needs this token, issued by a realm at this base address.
    pub(super) token: Option<(String, String)>,
    /// The status of everything.
    pub(super) status: Option<StatusCode>,
    /// Parts of uploads are read no faster than this.
    pub(super) upload_bytes_per_second: Option<f64>,
    /// Parts of uploads are neither read nor answered.
    pub(super) silent_uploads: bool,
    /// Parts of uploads shall go to the bucket; large ones are told so before they are read.
    pub(super) redirect_uploads: bool,
    /// Answers to PUT take so long.
    pub(super) put_pause: Duration,
    /// So many ends of uploads are refused.
    pub(super) refused_commits: usize,
    /// So many ends of uploads are carried out, but answered as if they had failed.
    pub(super) lost_commits: usize,
}

/// What the addresses of the bucket begin with.
const BUCKET: &str = "/bucket";

/// One request as it came in.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

#[derive(Debug, Default)]
struct Shared {
    files: Mutex<HashMap<String, Bytes>>,
    lies: Mutex<Lies>,
    seen: Mutex<Vec<Seen>>,
    faults: AtomicUsize,
}

pub(super) struct Fake {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Fake {
    pub(super) async fn start(lies: Lies) -> Fake {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        *shared.lies.lock().unwrap() = lies;
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Fake { address, shared }
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn name(&self, rest: &str) -> ModelName {
        ModelName::parse(&format!("http://{}/{rest}", self.address)).unwrap()
    }

    pub(super) fn lie(&self, lies: Lies) {
        *self.shared.lies.lock().unwrap() = lies;
        self.shared.faults.store(0, Ordering::SeqCst);
    }

    pub(super) fn put(&self, path: &str, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.shared
            .files
            .lock()
            .unwrap()
            .insert(path.to_owned(), bytes);
    }

    pub(super) fn file(&self, path: &str) -> Option<Bytes> {
        self.shared.files.lock().unwrap().get(path).cloned()
    }

    /// Publishes a model of these layers and gives its manifest's bytes.
    pub(super) fn publish(&self, repository: &str, tag: &str, layers: &[(&str, &[u8])]) -> Vec<u8> {
        let blob = |kind: &str, bytes: &[u8]| {
            let digest = Digest::of(bytes);
            self.put(&format!("/v2/{repository}/blobs/{digest}"), bytes);
            let media_type = kind.to_owned();
            Layer {
                media_type,
                digest,
                size: bytes.len() as u64,
                from: None,
                name: None,
            }
        };
        let config = blob(media_type::CONFIG, &Config::new().to_bytes());
        let layers = layers
            .iter()
            .map(|(kind, bytes)| blob(kind, bytes))
            .collect();
        // Registries do not write as we do: the bytes have to survive as they are.
        let bytes = serde_json::to_vec_pretty(&Manifest::new(config, layers)).unwrap();
        self.put(&format!("/v2/{repository}/manifests/{tag}"), &bytes);
        bytes
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// First bytes of the ranges that were asked for, and forgets all requests.
    pub(super) fn take_range_starts(&self) -> Vec<u64> {
        let seen = std::mem::take(&mut *self.shared.seen.lock().unwrap());
        let start = |seen: &Seen| range_of(&seen.headers).map(|(start, _)| start);
        seen.iter().filter_map(start).collect()
    }
}

fn range_of(headers: &HeaderMap) -> Option<(u64, u64)> {
    let (start, end) = headers
        .get("range")?
        .to_str()
        .ok()?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    Some((start.parse().ok()?, end.parse().ok()?))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let (method, headers) = (parts.method, parts.headers);
    let seen = Seen {
        method: method.clone(),
        path: path.clone(),
        query,
        headers,
    };
    shared.seen.lock().unwrap().push(seen.clone());
    let lies = shared.lies.lock().unwrap().clone();
    if let Some(status) = lies.status {
        return (status, "out of order").into_response();
    }
    if path == "/token" {
        let token = lies.token.map(|(token, _)| token).unwrap_or_default();
        return axum::Json(serde_json::json!({"token": token})).into_response();
    }
    if let Some((token, realm)) = &lies.token
        && seen.header("authorization") != Some(&format!("Bearer {token}"))
    {
        let challenge =
            format!(r#"Bearer realm="{realm}/token",service="fake",scope="repository:a/b:pull""#);
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response();
    }
    let mut response = match method {
        Method::POST => started(&path),
        Method::PATCH if lies.silent_uploads => std::future::pending().await,
        Method::PATCH if lies.redirect_uploads => to_bucket(&seen, body).await,
        Method::PATCH => patched(&shared, &path, read_upload(&lies, body).await),
        Method::PUT => {
            let bytes = to_bytes(body, 1 << 24).await.unwrap();
            tokio::time::sleep(lies.put_pause).await;
            match path.strip_prefix(BUCKET) {
                Some(upload) => patched(&shared, upload, bytes),
                None => put(&shared, &lies, &seen, bytes),
            }
        }
        _ => read(&shared, &lies, &seen),
    };
    if let Some(file) = shared
        .files
        .lock()
        .unwrap()
        .get(&path)
        .filter(|_| path.contains("/resolve/"))
    {
        // What the Hub tells about a file in large-file storage.
        let headers = response.headers_mut();
        headers.insert("x-repo-commit", "c0ffee".parse().unwrap());
        headers.insert(
            "x-linked-etag",
            format!("\"{}\"", Digest::of(file).hex()).parse().unwrap(),
        );
    }
    response
}

fn read(shared: &Shared, lies: &Lies, seen: &Seen) -> Response {
    let Some(bytes) = shared.files.lock().unwrap().get(&seen.path).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let is_blob = seen.path.contains("/blobs/") || seen.path.contains("/resolve/");
    let elsewhere = if is_blob {
        &lies.redirect_blobs
    } else {
        &lies.redirect_manifests
    };
    if let Some(base) = elsewhere {
        let to = format!("{base}{}", seen.path);
        return (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response();
    }
    if seen.method == Method::HEAD {
        let length = bytes.len() as u64 + lies.extra_bytes;
        return ([("content-length", length.to_string())], Body::empty()).into_response();
    }
    if !is_blob {
        return if lies.endless_manifest {
            endless(b"{ ")
        } else {
            bytes.into_response()
        };
    }
    blob(shared, lies, seen, &bytes)
}

fn blob(shared: &Shared, lies: &Lies, seen: &Seen, bytes: &Bytes) -> Response {
    let mut bytes = bytes.clone();
    if lies.wrong_bytes {
        bytes = bytes.iter().map(|byte| !byte).collect::<Vec<_>>().into();
    }
    let total = bytes.len();
    let (mut status, mut content_range) = (StatusCode::OK, String::new());
    let range = range_of(&seen.headers).filter(|_| !lies.no_ranges);
    if let Some((start, end)) = range {
        status = StatusCode::PARTIAL_CONTENT;
        bytes = bytes.slice(start as usize..=(end as usize).min(total - 1));
        let shift = u64::from(lies.shifted_ranges);
        content_range = format!("bytes {}-{end}/{total}", start + shift);
    }
    let faulty = range.is_some() || lies.no_ranges;
    let faulty = faulty
        && lies
            .faulty_answers
            .is_none_or(|n| shared.faults.fetch_add(1, Ordering::SeqCst) < n);
    let body = match (lies.cut_after, lies.silent_after) {
        _ if lies.endless_blobs => return with_range(status, content_range, endless_body(bytes)),
        (Some(after), _) if faulty => {
            let start = bytes.slice(..after.min(bytes.len()));
            let broken = Err(std::io::Error::other("cut"));
            // The pause lets the bytes out before the connection breaks.
            let pause = stream::once(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                broken
            });
            Body::from_stream(stream::iter([Ok(start)]).chain(pause))
        }
        (_, Some(after)) if faulty => {
            let start: Result<_, std::io::Error> = Ok(bytes.slice(..after.min(bytes.len())));
            Body::from_stream(stream::iter([start]).chain(stream::pending()))
        }
        _ => Body::from(bytes),
    };
    with_range(status, content_range, body)
}

fn with_range(status: StatusCode, content_range: String, body: Body) -> Response {
    match content_range.as_str() {
        "" => (status, body).into_response(),
        _ => (status, [("content-range", content_range)], body).into_response(),
    }
}

fn endless(bytes: &'static [u8]) -> Response {
    endless_body(Bytes::from_static(bytes)).into_response()
}

/// These bytes, then more and more.
fn endless_body(bytes: Bytes) -> Body {
    let more = stream::repeat_with(|| Ok(Bytes::from_static(&[b' '; 4096])));
    Body::from_stream(stream::iter([Ok::<_, std::io::Error>(bytes)]).chain(more))
}

fn started(path: &str) -> Response {
    let location = path.replace("/blobs/uploads/", "/blobs/uploads/session");
    (StatusCode::ACCEPTED, [("location", location)]).into_response()
}

fn patched(shared: &Shared, path: &str, bytes: Bytes) -> Response {
    let mut files = shared.files.lock().unwrap();
    let so_far = files.entry(path.to_owned()).or_default();
    *so_far = [so_far.as_ref(), bytes.as_ref()].concat().into();
    (StatusCode::ACCEPTED, [("location", path.to_owned())]).into_response()
}

async fn read_upload(lies: &Lies, body: Body) -> Bytes {
    let Some(bytes_per_second) = lies.upload_bytes_per_second else {
        return to_bytes(body, 1 << 24).await.unwrap();
    };
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.unwrap();
        let pause = Duration::from_secs_f64(chunk.len() as f64 / bytes_per_second);
        tokio::time::sleep(pause).await;
        bytes.extend_from_slice(&chunk);
    }
    bytes.into()
}

async fn to_bucket(seen: &Seen, body: Body) -> Response {
    let length: usize = seen.header("content-length").unwrap().parse().unwrap();
    if length > 1 << 20 {
        // The connection stays open, so that the answer arrives, but nothing more is read from it.
        tokio::spawn(async move {
            let _unread = body;
            std::future::pending::<()>().await;
        });
    } else {
        to_bytes(body, 1 << 20).await.unwrap();
    }
    let headers = [
        ("docker-upload-location", seen.path.clone()),
        ("location", format!("{BUCKET}{}", seen.path)),
    ];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

fn put(shared: &Shared, lies: &Lies, seen: &Seen, bytes: Bytes) -> Response {
    let busy = || (StatusCode::SERVICE_UNAVAILABLE, "busy").into_response();
    if !seen.path.ends_with("/uploads/session") {
        return finished(shared, &seen.path, &seen.query, bytes);
    }
    let before = shared.faults.fetch_add(1, Ordering::SeqCst);
    if before < lies.refused_commits {
        return busy();
    }
    let answer = finished(shared, &seen.path, &seen.query, bytes);
    if before < lies.lost_commits {
        return busy();
    }
    answer
}

fn finished(shared: &Shared, path: &str, query: &str, bytes: Bytes) -> Response {
    let mut files = shared.files.lock().unwrap();
    let Some(upload) = path.strip_suffix("uploads/session") else {
        files.insert(path.to_owned(), bytes);
        return StatusCode::CREATED.into_response();
    };
    let Some(sent) = files.remove(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let digest = Digest::of(&sent).to_string();
    if !query
        .replace("%3A", ":")
        .contains(&format!("digest={digest}&etag="))
    {
        return (StatusCode::BAD_REQUEST, "digest").into_response();
    }
    files.insert(format!("{upload}{digest}"), sent);
    StatusCode::CREATED.into_response()
}
