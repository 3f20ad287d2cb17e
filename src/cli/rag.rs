//! `rag`: documents on the server, and copies of all of them.

mod add;
mod copies;
mod list;
mod search;

use serde_json::Value;

use super::{CliError, Session};
use crate::config::Config;

/// Manages and searches documents.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add files: txt, md, html, pdf, docx, csv, json; of folders, those in them.
    Add(add::Arguments),
    /// List documents.
    #[command(visible_alias = "ls")]
    List(list::Arguments),
    /// Find passages.
    Search(search::Arguments),
    /// Remove documents, or a collection with all that is in it.
    Rm(Removal),
    /// Copy all documents of this machine's server to a new folder, also while it runs.
    Backup(copies::BackupArguments),
    /// Put the documents of such a folder in place; the server must not run.
    Restore(copies::RestoreArguments),
}

/// What to remove.
#[derive(Debug, clap::Args)]
struct Removal {
    /// Ids, as `wick rag list` shows them.
    #[arg(required_unless_present = "collection")]
    ids: Vec<String>,
    /// A whole collection.
    #[arg(long, conflicts_with = "ids")]
    collection: Option<String>,
}

impl Arguments {
    /// Whether the command works on this machine's folder and asks no server.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.action, Action::Backup(_) | Action::Restore(_))
    }
}

/// Copies documents.
pub(crate) fn run_here(args: Arguments, config: &Config) -> Result<(), CliError> {
    match args.action {
        Action::Backup(args) => copies::backup(args, config),
        Action::Restore(args) => copies::restore(args, config),
        Action::Add(_) | Action::List(_) | Action::Search(_) | Action::Rm(_) => Ok(()),
    }
}

/// Asks the server.
pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    match args.action {
        Action::Add(args) => add::run(args, session).await,
        Action::List(args) => list::run(args, session).await,
        Action::Search(args) => search::run(args, session).await,
        Action::Rm(args) => remove(args, session).await,
        Action::Backup(args) => copies::backup(args, session.config),
        Action::Restore(args) => copies::restore(args, session.config),
    }
}

async fn remove(args: Removal, session: &mut Session<'_>) -> Result<(), CliError> {
    let client = &session.client;
    if let Some(name) = args.collection {
        let path = format!("/rag/collections?name={}", in_query(&name));
        client
            .call(reqwest::Method::DELETE, &path, &Value::Null)
            .await?;
        writeln!(session.out, "removed collection '{name}'")?;
    }
    for id in args.ids {
        let path = format!("/rag/documents/{}", in_query(&id));
        client
            .call(reqwest::Method::DELETE, &path, &Value::Null)
            .await?;
        writeln!(session.out, "removed '{id}'")?;
    }
    Ok(())
}

/// A text as a part of an address.
fn in_query(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let bytes = text.bytes().map(|b| match plain(b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[test]
    fn texts_in_addresses_stay_what_they_are() {
        assert_eq!(in_query("a-b_1.c"), "a-b_1.c");
        assert_eq!(in_query("a b/ü&?"), "a%20b%2F%C3%BC%26%3F");
    }

    #[tokio::test]
    async fn documents_and_collections_are_removed() {
        let answer = || Answer::new(200, json!({"documents": 2}).to_string());
        let server = TestServer::start([
            ("DELETE /rag/documents/doc_1", Answer::new(204, "")),
            ("DELETE /rag/collections", answer()),
        ])
        .await;
        let removal = |ids: &[&str], collection: Option<&str>| Removal {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            collection: collection.map(str::to_owned),
        };
        let out = server
            .output(async |session| remove(removal(&["doc_1"], None), session).await)
            .await;
        assert_eq!(out.unwrap(), "removed 'doc_1'\n");
        let out = server
            .output(async |session| remove(removal(&[], Some("old")), session).await)
            .await;
        assert_eq!(out.unwrap(), "removed collection 'old'\n");
        let missing = server
            .output(async |session| remove(removal(&["doc_2"], None), session).await)
            .await;
        assert!(missing.unwrap_err().is_not_found());
    }
}
