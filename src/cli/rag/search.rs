//! `rag search`: passages that answer a question.

use std::io::Write;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::{CliError, Session};

/// Letters of a passage that are shown.
const SHOWN: usize = 400;

/// Finds passages.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A question, or words.
    query: String,
    /// Passages wanted.
    #[arg(short, default_value_t = 5)]
    k: usize,
    /// Only this collection.
    #[arg(long)]
    collection: Option<String>,
    /// By what passages are found.
    #[arg(long, value_parser = ["hybrid", "vector", "text"], default_value = "hybrid")]
    mode: String,
    /// Search the articles that come with wick as well.
    #[arg(long)]
    builtin: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Found {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    document_id: String,
    title: String,
    text: String,
    score: f64,
    position: Position,
}

#[derive(Deserialize)]
struct Position {
    page: Option<u32>,
    headings: Vec<String>,
}

pub(super) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let body = json!({
        "query": args.query,
        "k": args.k,
        "collection": args.collection,
        "mode": args.mode,
        "builtin": args.builtin,
    });
    let answer: Value = session.client.post("/rag/search", &body).await?;
    if args.json {
        return Ok(writeln!(session.out, "{answer}")?);
    }
    let found: Found =
        serde_json::from_value(answer).map_err(|error| CliError::Answer(error.to_string()))?;
    for (at, hit) in found.hits.iter().enumerate() {
        show(session.out, at + 1, hit)?;
    }
    Ok(())
}

fn show(out: &mut dyn Write, number: usize, hit: &Hit) -> std::io::Result<()> {
    let page = hit.position.page.map(|page| format!(", page {page}"));
    let heading = hit.position.headings.last().filter(|h| **h != hit.title);
    let heading = heading.map(|heading| format!(", {heading}"));
    writeln!(
        out,
        "{number}. {}{}{}  [{:.3}, {}]",
        hit.title,
        page.unwrap_or_default(),
        heading.unwrap_or_default(),
        hit.score,
        hit.document_id
    )?;
    let words: Vec<&str> = hit.text.split_whitespace().collect();
    let line = words.join(" ");
    let shown: String = line.chars().take(SHOWN).collect();
    let more = if shown.len() < line.len() { "…" } else { "" };
    writeln!(out, "   {shown}{more}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[tokio::test]
    async fn passages_are_shown_with_their_places() {
        let hits = json!({"mode": "hybrid", "hits": [{"document_id": "doc_1", "title": "Lease", "score": 1.0,
            "text": "The  tenant\npays.", "position": {"page": 3, "headings": ["Lease", "Lift"], "offset": 0}}]});
        let server = TestServer::start([("POST /rag/search", Answer::ok(hits.to_string()))]).await;
        let args = |json| Arguments {
            query: "who pays?".to_owned(),
            k: 5,
            collection: None,
            mode: "hybrid".to_owned(),
            builtin: false,
            json,
        };
        let out = server
            .output(async |session| run(args(false), session).await)
            .await
            .unwrap();
        let want = "1. Lease, page 3, Lift  [1.000, doc_1]\n   The tenant pays.\n\n";
        assert_eq!(out, want);
        let out = server
            .output(async |session| run(args(true), session).await)
            .await
            .unwrap();
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), hits);
    }
}
