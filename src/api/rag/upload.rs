//! Documents on their way in: forms with files, or one text as JSON.

use axum::body::Body;
use axum::extract::Multipart;
use axum::extract::multipart::Field;
use serde_json::{Map, Value};

use crate::access::Caller;
use crate::api::assist::{read_object, receive};
use crate::api::error::ApiError;
use crate::rag::jobs::{Incoming, IncomingFile, Job};
use crate::rag::library::LibraryError;
use crate::rag::read::{Format, MOST_BYTES};

use super::Rag;
use super::documents::NewText;
use super::wire::{self, wrong};

pub(super) const BAD_FORM: &str = "the form cannot be read: send it again";
/// Files of one form.
const MOST_FILES: usize = 100;
/// Bytes of all files of one form.
const MOST_FORM_BYTES: u64 = 512 << 20;
/// Of what is too long as much is received, so that the client sees the answer.
const IGNORED_BYTES: u64 = 64 << 20;
/// Longest text field of a form.
const FIELD_BYTES: usize = 64 << 10;
/// JSON writes some letters as six.
const MOST_JSON_BYTES: usize = MOST_BYTES + (MOST_BYTES / 2);

/// Fields of a form that hold for its files.
#[derive(Default)]
struct Facts {
    collection: Option<String>,
    title: Option<String>,
    url: Option<String>,
    metadata: Map<String, Value>,
}

/// Files of a form, written to the disk as they come.
pub(super) async fn form(rag: &Rag, caller: &Caller, mut form: Multipart) -> Result<Job, ApiError> {
    let mut incoming = rag.jobs.begin(&caller.tenant)?;
    let mut facts = Facts::default();
    let mut total = 0;
    while let Some(field) = form.next_field().await.map_err(|_| bad_form())? {
        match field.file_name().map(wire::file_name) {
            Some(name) => {
                check_kind("file", &name)?;
                if incoming.len() >= MOST_FILES {
                    let problem = format!("must be there at most {MOST_FILES} times");
                    return Err(wrong("file", &problem));
                }
                let file = IncomingFile {
                    name,
                    ..IncomingFile::default()
                };
                incoming.file(file)?;
                total += receive_file(&mut incoming, field).await?;
                if total > MOST_FORM_BYTES {
                    return Err(too_large(MOST_FORM_BYTES as usize));
                }
            }
            None => facts.take(field).await?,
        }
    }
    if incoming.is_empty() {
        return Err(wrong("file", "is required"));
    }
    if incoming.len() > 1 && (facts.title.is_some() || facts.url.is_some()) {
        return Err(wrong("title", "and 'url' can only be given with one file"));
    }
    incoming.for_all(IncomingFile {
        name: String::new(),
        collection: wire::collection(facts.collection)?,
        title: wire::title(facts.title)?,
        url: wire::url(facts.url)?,
        metadata: wire::metadata(facts.metadata)?,
    });
    submit(rag, incoming)
}

/// One text.
pub(super) async fn json(rag: &Rag, caller: &Caller, body: Body) -> Result<Job, ApiError> {
    let bytes = receive(body, MOST_JSON_BYTES).await?;
    let new: NewText = read_object(&bytes)?;
    drop(bytes);
    if new.text.len() > MOST_BYTES {
        return Err(too_large(MOST_BYTES));
    }
    if new.text.trim().is_empty() {
        return Err(wrong("text", "must not be empty"));
    }
    let format = new.format.unwrap_or_else(|| "txt".to_owned());
    let name = format!("text.{format}");
    check_kind("format", &name)?;
    let title = wire::title(new.title)?;
    let mut incoming = rag.jobs.begin(&caller.tenant)?;
    incoming.file(IncomingFile {
        name,
        collection: wire::collection(new.collection)?,
        title,
        url: wire::url(new.url)?,
        metadata: wire::metadata(new.metadata.unwrap_or_default())?,
    })?;
    incoming.write(new.text.as_bytes())?;
    submit(rag, incoming)
}

fn submit(rag: &Rag, incoming: Incoming) -> Result<Job, ApiError> {
    Ok(rag.jobs.submit(incoming)?)
}

/// Writes a file; answers its bytes.
async fn receive_file(incoming: &mut Incoming, mut field: Field<'_>) -> Result<u64, ApiError> {
    let (most, mut size) = (MOST_BYTES as u64, 0);
    while let Some(bytes) = field.chunk().await.map_err(|_| bad_form())? {
        size += bytes.len() as u64;
        if size <= most {
            incoming.write(&bytes)?;
        } else if size > most + IGNORED_BYTES {
            break;
        }
    }
    match size {
        0 => Err(wrong("file", "must not be empty")),
        size if size <= most => Ok(size),
        _ => Err(too_large(MOST_BYTES)),
    }
}

impl Facts {
    async fn take(&mut self, mut field: Field<'_>) -> Result<(), ApiError> {
        let name = field.name().unwrap_or_default().to_owned();
        let mut bytes = Vec::new();
        while let Some(more) = field.chunk().await.map_err(|_| bad_form())? {
            bytes.extend_from_slice(&more);
            if bytes.len() > FIELD_BYTES {
                return Err(ApiError::BadRequest(format!(
                    "a field of the form is longer than {FIELD_BYTES} bytes"
                )));
            }
        }
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(ApiError::BadRequest(
                "a field of the form is not text".to_owned(),
            ));
        };
        match name.as_str() {
            "collection" => self.collection = Some(text),
            "title" => self.title = Some(text),
            "url" => self.url = Some(text),
            "metadata" => {
                let fields = serde_json::from_str(&text);
                self.metadata = fields.map_err(|_| wrong("metadata", "must be a JSON object"))?;
            }
            // Unknown fields are ignored, as in JSON.
            _ => {}
        }
        Ok(())
    }
}

fn check_kind(field: &str, name: &str) -> Result<(), ApiError> {
    match Format::of_name(name) {
        Some(_) => Ok(()),
        None => {
            let problem = LibraryError::UnknownFormat;
            Err(wrong(field, &format!("is wrong: {problem}")))
        }
    }
}

fn too_large(limit_bytes: usize) -> ApiError {
    ApiError::BodyTooLarge { limit_bytes }
}

fn bad_form() -> ApiError {
    ApiError::BadRequest(BAD_FORM.to_owned())
}
