//! The coach's articles in the library, under a tenant that nobody can be.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sha2::{Digest, Sha256};
use tracing::{debug, info};

use crate::coach::library::{Article, articles};
use crate::rag::embed::Embedder;
use crate::rag::library::{BUILTIN_TENANT, Library, LibraryError, NewDocument, new_id};
use crate::rag::{Label, Metadata};

use super::{PATIENCE, Rag};

/// The collection of the articles.
const COLLECTION: &str = "library";
/// Documents looked through at a time.
const PAGE: usize = 500;

/// Shelves the articles once the embedder is there.
pub(super) async fn keep_shelved(rag: Arc<Rag>) {
    loop {
        match shelve(&rag.library, rag.embedder.as_ref()).await {
            Ok(()) => return rag.has_articles.store(true, Ordering::Release),
            // Until a model is pulled this is how it is, and no news.
            Err(error) => debug!("the articles are not in the library yet: {error}"),
        }
        tokio::time::sleep(PATIENCE).await;
    }
}

/// Adds the articles that are not there yet and removes those that are no longer as they were.
pub(crate) async fn shelve(library: &Library, embedder: &dyn Embedder) -> Result<(), LibraryError> {
    let texts: Vec<String> = articles().iter().map(text).collect();
    let wanted: HashSet<String> = texts
        .iter()
        .map(|text| hex::encode(Sha256::digest(text)))
        .collect();
    let mut shelved = BTreeSet::new();
    let mut after = None;
    loop {
        let page = library.documents(BUILTIN_TENANT, None, after.as_deref(), PAGE);
        for document in page.documents {
            if wanted.contains(&document.hash) {
                shelved.insert(document.hash.clone());
            } else {
                library.remove(BUILTIN_TENANT, &document.id).await?;
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut batch = library.batch(embedder).await?;
    if shelved.len() == wanted.len() {
        return Ok(());
    }
    for (article, text) in articles().iter().zip(texts) {
        batch.add(document(article, text), &|_| true).await?;
    }
    batch.flush().await?;
    let articles = articles().len();
    info!(articles, "{articles} articles are in the library");
    library.tend().await;
    Ok(())
}

fn text(article: &Article) -> String {
    format!("# {}\n\n{}\n", article.front.title, article.body)
}

fn document(article: &Article, text: String) -> NewDocument {
    let label = |value: serde_json::Value| Label::Text(value.as_str().unwrap_or_default().into());
    let metadata: Metadata = [
        ("article", Label::Text(article.name.to_owned())),
        ("topic", label(serde_json::json!(article.front.topic))),
        ("level", label(serde_json::json!(article.front.level))),
    ]
    .map(|(name, label)| (name.to_owned(), label))
    .into();
    NewDocument {
        id: new_id(),
        tenant: BUILTIN_TENANT.to_owned(),
        collection: COLLECTION.to_owned(),
        title: Some(article.front.title.clone()),
        url: None,
        name: format!("{}.md", article.name),
        metadata,
        bytes: text.into_bytes(),
    }
}
