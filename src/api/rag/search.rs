//! `POST /rag/search`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::assist::{AssistBody, ErrorBody};
use crate::api::error::AssistError;
use crate::rag::{Hit, MOST_HITS, Metadata, Mode, Query};

use super::wire::{self, OneOrMany, wrong};

const HITS: usize = 8;
/// Longest question, in bytes.
const QUERY_BYTES: usize = 8 << 10;

/// What to look for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"query": "Who pays for the lift?", "k": 5}))]
pub(super) struct SearchRequest {
    /// A question, or words.
    query: String,
    /// Passages wanted (8, at most 100).
    k: Option<usize>,
    /// A collection or a list of them; absent: all of the caller's.
    #[schema(value_type = Option<String>)]
    collection: Option<OneOrMany<String>>,
    /// What documents must be labelled with: for each name a value or a list of values.
    #[schema(value_type = Object)]
    filter: Option<BTreeMap<String, OneOrMany<Value>>>,
    /// `hybrid` (the usual), `vector` or `text`.
    #[schema(value_type = Option<String>)]
    mode: Option<Mode>,
    /// Whether the articles that come with wick are searched as well.
    builtin: Option<bool>,
}

/// What was found.
#[derive(Serialize, ToSchema)]
pub(super) struct SearchResponse {
    /// Best first.
    hits: Vec<HitView>,
    /// By what they were found: `text` where `hybrid` was wanted and the embedding model is not there.
    #[schema(value_type = String)]
    mode: Mode,
}

/// A passage.
#[derive(Serialize, ToSchema)]
struct HitView {
    document_id: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[schema(value_type = Object)]
    metadata: Metadata,
    /// Plain text.
    text: String,
    /// Higher is better; comparable within one answer.
    score: f32,
    position: PositionView,
}

/// Where in the document it stands.
#[derive(Serialize, ToSchema)]
struct PositionView {
    /// From 1, if the format has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    /// The headings above it, outermost first.
    headings: Vec<String>,
    /// Bytes of the document's plain text before it.
    offset: usize,
    /// Its number among the document's passages.
    passage: usize,
}

/// Finds passages.
#[utoipa::path(post, path = "/rag/search", tag = "documents", request_body = SearchRequest, responses(
    (status = 200, description = "What was found", body = SearchResponse),
    (status = 400, description = "A field is missing or wrong", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such collection", body = ErrorBody),
    (status = 429, description = "Over the limit", body = ErrorBody),
    (status = 503, description = "The embedding model is not here", body = ErrorBody)))]
pub(super) async fn search(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    AssistBody(request): AssistBody<SearchRequest>,
) -> Result<Json<SearchResponse>, AssistError> {
    let query = request.translate(&caller)?;
    let rag = app.rag().await?;
    let known = rag.library.collections(&caller.tenant);
    for name in &query.collections {
        if !known.iter().any(|collection| collection.name == *name) {
            return Err(crate::rag::library::LibraryError::UnknownCollection(name.clone()).into());
        }
    }
    let found = rag.library.search(&query, rag.embedder.as_ref()).await?;
    Ok(Json(SearchResponse {
        hits: found.hits.into_iter().map(HitView::from).collect(),
        mode: found.mode,
    }))
}

impl SearchRequest {
    fn translate(self, caller: &Caller) -> Result<Query, crate::api::error::ApiError> {
        if self.query.trim().is_empty() {
            return Err(wrong("query", "must not be empty"));
        }
        if self.query.len() > QUERY_BYTES {
            return Err(wrong(
                "query",
                &format!("must have at most {QUERY_BYTES} bytes"),
            ));
        }
        let k = self.k.unwrap_or(HITS);
        if !(1..=MOST_HITS).contains(&k) {
            return Err(wrong("k", &format!("must be from 1 to {MOST_HITS}")));
        }
        let names = self.collection.map(OneOrMany::into_vec).unwrap_or_default();
        let collections = names.into_iter().map(|name| wire::collection(Some(name)));
        Ok(Query {
            tenant: caller.tenant.clone(),
            collections: collections.collect::<Result<_, _>>()?,
            builtin: self.builtin.unwrap_or(false),
            text: self.query,
            k,
            mode: self.mode.unwrap_or_default(),
            filter: wire::filter(self.filter.unwrap_or_default())?,
        })
    }
}

impl From<Hit> for HitView {
    fn from(hit: Hit) -> Self {
        HitView {
            document_id: hit.document_id,
            title: hit.title,
            url: hit.url,
            metadata: hit.metadata,
            text: hit.text,
            score: hit.score,
            position: PositionView {
                page: hit.position.page,
                headings: hit.position.headings.to_vec(),
                offset: hit.position.offset,
                passage: hit.position.passage,
            },
        }
    }
}
