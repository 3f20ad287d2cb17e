//! Which status an error of a layer below has.

use axum::http::StatusCode;

use super::{CLIENT_CLOSED_REQUEST, Route};
use crate::access::AccessError;
use crate::engine::EngineError;
use crate::prompt::jinja::JinjaError;
use crate::prompt::render::PromptError;
#[cfg(feature = "rag")]
use crate::rag::{jobs::JobError, library::LibraryError};
use crate::store::{NameError, RegistryError, RequestError, StoreError};

/// Status and words for what is the matter with the model that a client named `name`.
pub(super) fn model_error(route: Route, name: &str, error: &StoreError) -> (StatusCode, String) {
    let bad = StatusCode::BAD_REQUEST;
    match error {
        StoreError::Name(NameError::Required) => match route {
            Route::Generate | Route::Embed => {
                (StatusCode::NOT_FOUND, "model '' not found".to_owned())
            }
            Route::Pull | Route::Create => (bad, NameError::Invalid.to_string()),
            Route::Chat
            | Route::Embeddings
            | Route::Show
            | Route::Delete
            | Route::Push
            | Route::Copy => (bad, NameError::Required.to_string()),
        },
        StoreError::Name(NameError::Invalid) if route == Route::Delete => {
            (bad, format!("name {name:?} is invalid"))
        }
        StoreError::NotFound(full) => {
            let text = match route {
                Route::Embed | Route::Embeddings => {
                    format!("model {name:?} not found, try pulling it first")
                }
                Route::Show => format!("model '{full}' not found"),
                Route::Copy => format!("model {name:?} not found"),
                Route::Generate
                | Route::Chat
                | Route::Delete
                | Route::Pull
                | Route::Push
                | Route::Create => format!("model '{name}' not found"),
            };
            (StatusCode::NOT_FOUND, text)
        }
        other => (store_status(other), other.to_string()),
    }
}

pub(super) fn store_status(error: &StoreError) -> StatusCode {
    match error {
        StoreError::Name(name) => match name {
            NameError::Required | NameError::Invalid | NameError::ConflictingSource(_) => {
                StatusCode::BAD_REQUEST
            }
            NameError::CloudDisabled => StatusCode::FORBIDDEN,
        },
        StoreError::Digest(_) | StoreError::DigestMismatch { .. } => StatusCode::BAD_REQUEST,
        StoreError::NotFound(_) => StatusCode::NOT_FOUND,
        StoreError::Request(request) => match request {
            RequestError::FilePath
            | RequestError::NeitherFromNorFiles
            | RequestError::NoFiles
            | RequestError::OneAdapter
            | RequestError::NotGguf
            | RequestError::UnknownType
            | RequestError::BadRemote
            | RequestError::DraftQuantize
            | RequestError::Template(_)
            | RequestError::Info { .. } => StatusCode::BAD_REQUEST,
            RequestError::AlreadyQuantized | RequestError::Quantization(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        },
        StoreError::PullManifest(RegistryError::NotFound) => StatusCode::NOT_FOUND,
        StoreError::Canceled => CLIENT_CLOSED_REQUEST,
        StoreError::BlobNotFound(_)
        | StoreError::CorruptManifest { .. }
        | StoreError::DownloadMismatch { .. }
        | StoreError::PullManifest(_)
        | StoreError::Registry(_)
        | StoreError::NoSpace { .. }
        | StoreError::DiskFull(_)
        | StoreError::Model(_)
        | StoreError::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(super) fn access_status(error: &AccessError) -> StatusCode {
    match error {
        AccessError::Missing
        | AccessError::UnknownKey
        | AccessError::Malformed
        | AccessError::UnknownSigner
        | AccessError::Signature
        | AccessError::Expired
        | AccessError::NotYetValid
        | AccessError::Claim(_)
        | AccessError::Issuer
        | AccessError::Audience => StatusCode::UNAUTHORIZED,
        AccessError::NotLocal | AccessError::Scope(_) => StatusCode::FORBIDDEN,
        AccessError::Limit { .. } => StatusCode::TOO_MANY_REQUESTS,
        AccessError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(feature = "rag")]
pub(super) fn library_status(error: &LibraryError) -> StatusCode {
    match error {
        LibraryError::UnknownDocument(_) | LibraryError::UnknownCollection(_) => {
            StatusCode::NOT_FOUND
        }
        LibraryError::UnknownFormat
        | LibraryError::CollectionName
        | LibraryError::Read(_)
        | LibraryError::Cancelled => StatusCode::BAD_REQUEST,
        LibraryError::TooManyCollections => StatusCode::UNPROCESSABLE_ENTITY,
        LibraryError::Embedder(_) => StatusCode::SERVICE_UNAVAILABLE,
        LibraryError::Folder(_)
        | LibraryError::Newer { .. }
        | LibraryError::Tables(_)
        | LibraryError::Task => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(feature = "rag")]
pub(super) fn job_status(error: &JobError) -> StatusCode {
    match error {
        JobError::Unknown(_) => StatusCode::NOT_FOUND,
        JobError::QueueFull => StatusCode::SERVICE_UNAVAILABLE,
        JobError::Ended | JobError::NothingToRetry => StatusCode::UNPROCESSABLE_ENTITY,
        JobError::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(super) fn engine_status(error: &EngineError) -> StatusCode {
    match error {
        EngineError::PromptTooLong { .. }
        | EngineError::Unsupported(_)
        | EngineError::Constraint(_) => StatusCode::BAD_REQUEST,
        EngineError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        EngineError::Load(_)
        | EngineError::OutOfMemory { .. }
        | EngineError::Isa { .. }
        | EngineError::Step(_)
        | EngineError::Stopped => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(super) fn prompt_status(error: &PromptError) -> StatusCode {
    match error {
        // The template has the last word on which conversations make sense.
        PromptError::Jinja(JinjaError::Raised(_))
        | PromptError::NoSuffix
        | PromptError::NoMessages => StatusCode::BAD_REQUEST,
        PromptError::GoTemplate(_) | PromptError::Jinja(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
