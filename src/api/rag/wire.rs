//! What goes over the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::rag::jobs::{Job, JobDocument, JobState};
use crate::rag::library::{Collection, check_collection};
use crate::rag::{Filter, Label, Metadata};

/// The collection of documents whose request names none.
pub(super) const DEFAULT_COLLECTION: &str = "default";
/// Labels of a document, and of a filter.
const MOST_LABELS: usize = 32;
/// Longest name and longest text of a label, in bytes.
const LABEL_NAME_BYTES: usize = 64;
const LABEL_BYTES: usize = 512;
/// Values that a filter may name for one label.
const MOST_VALUES: usize = 32;
/// Longest title and address, in bytes.
const TITLE_BYTES: usize = 512;
const URL_BYTES: usize = 2048;

/// A document that is there.
#[derive(Serialize, ToSchema)]
pub(super) struct DocumentView {
    #[schema(example = "doc_0123456789abcdef0123456789abcdef")]
    id: String,
    /// The collection it is in.
    collection: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The name of its file.
    name: String,
    /// What it is labelled with.
    #[schema(value_type = Object)]
    metadata: Metadata,
    /// Bytes of its file.
    size_bytes: u64,
    /// Passages it was cut into.
    passages: usize,
    /// When it was added (RFC 3339).
    created_at: String,
}

/// A collection.
#[derive(Serialize, ToSchema)]
pub(super) struct CollectionView {
    name: String,
    description: String,
    /// Documents in it.
    documents: usize,
    /// Their passages.
    passages: usize,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct JobView {
    #[schema(example = "job_0123456789abcdef0123456789abcdef")]
    job_id: String,
    /// `waiting`, `running`, `done`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    pub(super) state: JobState,
    /// When it was asked for (RFC 3339).
    created_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// Bytes of all files.
    bytes: u64,
    /// Those of them that were read.
    bytes_read: u64,
    /// Passages of the files that were read.
    passages: usize,
    /// Those of them that have vectors.
    passages_embedded: usize,
    /// Its documents, in order.
    documents: Vec<JobDocumentView>,
}

/// A document of a job.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct JobDocumentView {
    /// The document, once it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_id: Option<String>,
    collection: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[schema(value_type = String)]
    state: JobState,
    /// Whether the same bytes were there already.
    duplicate: bool,
    /// Why it was not added.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Whether `POST /rag/jobs/{id}/retry` could help.
    can_retry: bool,
}

impl From<&crate::rag::library::StoredDocument> for DocumentView {
    fn from(document: &crate::rag::library::StoredDocument) -> Self {
        DocumentView {
            id: document.id.clone(),
            collection: document.collection.clone(),
            title: document.title.clone(),
            url: document.url.clone(),
            name: document.name.clone(),
            metadata: document.metadata.clone(),
            size_bytes: document.size_bytes,
            passages: document.passages,
            created_at: time(document.created_ms),
        }
    }
}

impl From<Collection> for CollectionView {
    fn from(collection: Collection) -> Self {
        CollectionView {
            name: collection.name,
            description: collection.description,
            documents: collection.documents,
            passages: collection.passages,
        }
    }
}

impl From<&Job> for JobView {
    fn from(job: &Job) -> Self {
        let ((bytes, bytes_read), (passages, passages_embedded)) = (job.bytes(), job.passages());
        JobView {
            job_id: job.id.clone(),
            state: job.state,
            created_at: time(job.created_ms),
            ended_at: job.ended_ms.map(time),
            bytes,
            bytes_read,
            passages,
            passages_embedded,
            documents: job.documents.iter().map(JobDocumentView::from).collect(),
        }
    }
}

impl From<&JobDocument> for JobDocumentView {
    fn from(document: &JobDocument) -> Self {
        let is_there = document.state == JobState::Done;
        JobDocumentView {
            document_id: is_there.then(|| document.document_id.clone()),
            collection: document.collection.clone(),
            name: document.name.clone(),
            title: document.title.clone(),
            state: document.state,
            duplicate: document.is_duplicate,
            error: document.error.clone(),
            can_retry: document.can_retry,
        }
    }
}

/// One value or several. A list is several, also where one value could be a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    /// Several.
    Many(Vec<T>),
    /// One.
    One(T),
}

impl<T> OneOrMany<T> {
    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

/// The filter of a search; every label has one value or a list of them.
pub(super) fn filter(fields: BTreeMap<String, OneOrMany<Value>>) -> Result<Filter, ApiError> {
    if fields.len() > MOST_LABELS {
        return Err(wrong("filter", "has too many labels"));
    }
    let mut filter = Filter::default();
    for (name, values) in fields {
        let values = values.into_vec();
        if values.len() > MOST_VALUES {
            return Err(wrong("filter", "names too many values of a label"));
        }
        let labels = values.into_iter().map(|value| label("filter", value));
        filter.0.insert(name, labels.collect::<Result<_, _>>()?);
    }
    Ok(filter)
}

/// What a document is labelled with.
pub(super) fn metadata(fields: Map<String, Value>) -> Result<Metadata, ApiError> {
    if fields.len() > MOST_LABELS {
        return Err(wrong("metadata", "has too many labels"));
    }
    let mut metadata = Metadata::new();
    for (name, value) in fields {
        if name.is_empty() || name.len() > LABEL_NAME_BYTES {
            let problem = format!("must have names of 1 to {LABEL_NAME_BYTES} bytes");
            return Err(wrong("metadata", &problem));
        }
        metadata.insert(name, label("metadata", value)?);
    }
    Ok(metadata)
}

fn label(field: &str, value: Value) -> Result<Label, ApiError> {
    match value {
        Value::Bool(value) => Ok(Label::Bool(value)),
        Value::Number(value) => match value.as_f64() {
            Some(value) => Ok(Label::Number(value)),
            None => Err(wrong(field, "has a number that cannot be read")),
        },
        Value::String(text) if text.len() <= LABEL_BYTES => Ok(Label::Text(text)),
        Value::String(_) => {
            let problem = format!("must have texts of at most {LABEL_BYTES} bytes");
            Err(wrong(field, &problem))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Err(wrong(
            field,
            "must have texts, numbers, true or false as values",
        )),
    }
}

/// The collection that a request names, or the usual one.
pub(super) fn collection(name: Option<String>) -> Result<String, ApiError> {
    let name = name.filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| DEFAULT_COLLECTION.to_owned());
    check_collection(&name).map_err(|error| wrong("collection", &format!("is wrong: {error}")))?;
    Ok(name)
}

/// A title, unless it is empty.
pub(super) fn title(title: Option<String>) -> Result<Option<String>, ApiError> {
    let title = title.map(|title| title.trim().to_owned());
    match &title {
        Some(title) if title.len() > TITLE_BYTES => {
            let problem = format!("must have at most {TITLE_BYTES} bytes");
            Err(wrong("title", &problem))
        }
        _ => Ok(title.filter(|title| !title.is_empty())),
    }
}

/// An address that a browser may be sent to, unless it is empty.
pub(super) fn url(url: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let is_web = ["http://", "https://"].iter().any(|s| url.starts_with(s));
    let is_plain = !url.chars().any(|c| c.is_control() || c.is_whitespace());
    match is_web && is_plain && url.len() <= URL_BYTES {
        true => Ok(Some(url)),
        false => Err(wrong("url", "must be an http or https address")),
    }
}

/// The last part of a file's name, whatever folders the client put before it.
pub(super) fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| !c.is_control()).collect();
    let start = plain.len().saturating_sub(TITLE_BYTES / 2);
    // The ending tells the format, so the beginning of an endless name goes.
    let start = (start..plain.len()).find(|at| plain.is_char_boundary(*at));
    plain[start.unwrap_or(0)..].to_owned()
}

pub(super) fn wrong(field: &str, problem: &str) -> ApiError {
    ApiError::Field {
        field: field.to_owned(),
        problem: problem.to_owned(),
    }
}

fn time(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms);
    time.unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_files_lose_their_folders() {
        for (name, want) in [
            ("a.txt", "a.txt"),
            ("../../etc/passwd.txt", "passwd.txt"),
            ("C:\\secret\\b.md", "b.md"),
            ("/", ""),
            ("a\u{0}\n.txt", "a.txt"),
        ] {
            assert_eq!(file_name(name), want, "{name:?}");
        }
        let long = file_name(&format!("{}.txt", "ä".repeat(400)));
        assert!(long.ends_with("ä.txt") && long.len() <= TITLE_BYTES / 2);
    }

    #[test]
    fn labels_are_flat_and_short() {
        let labels = |value: Value| metadata(value.as_object().unwrap().clone());
        assert_eq!(
            labels(json!({"a": "x", "b": 2, "c": true})).unwrap().len(),
            3
        );
        for bad in [
            json!({"a": null}),
            json!({"a": {"b": 1}}),
            json!({"a": [1]}),
            json!({"": 1}),
            json!({"a": "x".repeat(LABEL_BYTES + 1)}),
        ] {
            let error = labels(bad.clone()).unwrap_err().to_string();
            assert!(error.starts_with("field 'metadata' "), "{bad}: {error}");
        }
    }

    #[test]
    fn addresses_are_of_the_web() {
        let good = url(Some("https://example.org/a?b=c".to_owned())).unwrap();
        assert_eq!(good.as_deref(), Some("https://example.org/a?b=c"));
        assert_eq!(url(Some(String::new())).unwrap(), None);
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://a b",
            "x",
        ] {
            assert!(url(Some(bad.to_owned())).is_err(), "{bad}");
        }
    }

    #[test]
    fn collections_have_plain_names() {
        assert_eq!(collection(None).unwrap(), "default");
        assert_eq!(collection(Some("a-b_c.1".to_owned())).unwrap(), "a-b_c.1");
        for bad in ["a b", "a'; DROP TABLE documents; --", "ü", &"x".repeat(65)] {
            let error = collection(Some(bad.to_owned())).unwrap_err().to_string();
            assert!(error.starts_with("field 'collection' "), "{error}");
        }
    }
}
