//! `rag list`: the documents on the server.

use jiff::Timestamp;
use serde::Deserialize;

use super::in_query;
use crate::cli::{CliError, Session, human, table};

/// Lists documents.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Arguments {
    /// Only this collection.
    #[arg(long)]
    collection: Option<String>,
    /// The collections themselves.
    #[arg(long, conflicts_with = "collection")]
    collections: bool,
}

#[derive(Deserialize)]
struct Page {
    documents: Vec<Document>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    id: String,
    collection: String,
    title: String,
    size_bytes: u64,
    passages: usize,
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct Collections {
    collections: Vec<Collection>,
}

#[derive(Deserialize)]
struct Collection {
    name: String,
    description: String,
    documents: usize,
    passages: usize,
}

pub(super) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let rows = match args.collections {
        true => collections(session).await?,
        false => documents(args.collection.as_deref(), session).await?,
    };
    Ok(table::write(session.out, &rows)?)
}

async fn documents(
    collection: Option<&str>,
    session: &Session<'_>,
) -> Result<Vec<Vec<String>>, CliError> {
    let now = Timestamp::now();
    let mut rows = vec![header(&[
        "ID",
        "TITLE",
        "COLLECTION",
        "PASSAGES",
        "SIZE",
        "ADDED",
    ])];
    let mut after = String::new();
    loop {
        let collection = collection.map(|name| format!("&collection={}", in_query(name)));
        let path = format!(
            "/rag/documents?limit=500{}{after}",
            collection.unwrap_or_default()
        );
        let page: Page = session.client.get(&path).await?;
        rows.extend(page.documents.into_iter().map(|document| {
            vec![
                document.id,
                document.title,
                document.collection,
                document.passages.to_string(),
                human::size(document.size_bytes),
                human::time(document.created_at, now),
            ]
        }));
        match page.next {
            Some(next) => after = format!("&after={}", in_query(&next)),
            None => return Ok(rows),
        }
    }
}

async fn collections(session: &Session<'_>) -> Result<Vec<Vec<String>>, CliError> {
    let found: Collections = session.client.get("/rag/collections").await?;
    let mut rows = vec![header(&["NAME", "DOCUMENTS", "PASSAGES", "DESCRIPTION"])];
    rows.extend(found.collections.into_iter().map(|collection| {
        vec![
            collection.name,
            collection.documents.to_string(),
            collection.passages.to_string(),
            collection.description,
        ]
    }));
    Ok(rows)
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[tokio::test]
    async fn pages_are_one_list() {
        let document = |id: &str| {
            json!({"id": id, "collection": "c", "title": "T", "size_bytes": 2000, "passages": 3,
                "created_at": "2020-01-02T03:04:05Z"})
        };
        let server = TestServer::start([
            (
                "GET /rag/documents",
                Answer::ok(json!({"documents": [document("doc_1")], "next": "doc_1"}).to_string()),
            ),
            (
                "GET /rag/documents",
                Answer::ok(json!({"documents": [document("doc_2")]}).to_string()),
            ),
        ])
        .await;
        let out = server
            .output(async |session| run(Arguments::default(), session).await)
            .await
            .unwrap();
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 3, "{out}");
        assert!(lines[1].starts_with("doc_1    T        c "), "{out}");
        assert!(lines[2].starts_with("doc_2 "), "{out}");
    }
}
