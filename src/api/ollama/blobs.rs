//! `/api/blobs/{digest}`: files on their way into `/api/create`.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use futures_util::StreamExt;

use crate::api::App;
use crate::api::body::BodyError;
use crate::api::catalog::blocking;
use crate::api::error::ApiError;
use crate::store::{Digest, StoreError};

/// `HEAD /api/blobs/{digest}`: whether the blob is there.
pub(super) async fn exists(
    State(app): State<App>,
    Path(digest): Path<String>,
) -> Result<StatusCode, ApiError> {
    let digest = parse(&digest)?;
    Ok(match app.store.has_blob(&digest) {
        true => StatusCode::OK,
        false => StatusCode::NOT_FOUND,
    })
}

/// `POST /api/blobs/{digest}`: stores the body if it is what the digest says.
pub(super) async fn upload(
    State(app): State<App>,
    Path(digest): Path<String>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let digest = parse(&digest)?;
    let mut chunks = body.into_data_stream();
    if app.store.has_blob(&digest) {
        // Clients send on before they read; a connection closed in their face looks like a failure.
        while chunks.next().await.is_some_and(|chunk| chunk.is_ok()) {}
        return Ok(StatusCode::OK);
    }
    let mut writer = blocking({
        let store = app.store.clone();
        move || Ok(store.blob_writer()?)
    })
    .await?;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| BodyError::Read(error.to_string()))?;
        writer = blocking(move || {
            writer.write(&chunk)?;
            Ok(writer)
        })
        .await?;
    }
    blocking(move || Ok(writer.finish(Some(&digest))?)).await?;
    Ok(StatusCode::CREATED)
}

fn parse(digest: &str) -> Result<Digest, ApiError> {
    digest
        .parse()
        .map_err(|error| StoreError::Digest(error).into())
}
