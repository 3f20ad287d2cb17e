//! `list`: the models that are there.

use jiff::Timestamp;

use super::wire::{Tag, Tags};
use super::{CliError, Session, human, table};

/// Lists models.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Only names that start like this.
    pub prefix: Option<String>,
}

pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let tags: Tags = session.client.get("/api/tags").await?;
    let now = Timestamp::now();
    let mut rows = vec![
        ["NAME", "ID", "SIZE", "MODIFIED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let shown = tags
        .models
        .iter()
        .filter(|tag| has_prefix(&tag.name, args.prefix.as_deref()));
    rows.extend(shown.map(|tag| row(tag, now)));
    table::write(session.out, &rows)?;
    Ok(())
}

fn row(tag: &Tag, now: Timestamp) -> Vec<String> {
    let size = match tag.remote_model.is_empty() {
        true => human::size(tag.size),
        false => "-".to_owned(),
    };
    vec![
        tag.name.clone(),
        short_id(&tag.digest),
        size,
        human::time(tag.modified_at, now),
    ]
}

/// The first twelve digits of a digest.
pub(crate) fn short_id(digest: &str) -> String {
    digest.chars().take(12).collect()
}

/// Whether a name starts with the prefix, if there is one; case does not count.
pub(crate) fn has_prefix(name: &str, prefix: Option<&str>) -> bool {
    prefix.is_none_or(|prefix| name.to_lowercase().starts_with(&prefix.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    async fn listed(body: &str, prefix: Option<&str>) -> String {
        let server = TestServer::start([("GET /api/tags", Answer::ok(body))]).await;
        let args = Arguments {
            prefix: prefix.map(str::to_owned),
        };
        server
            .output(async |session| run(args, session).await)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn models_are_a_table() {
        let body = r#"{"models":[
            {"name":"llama3.2:latest","model":"llama3.2:latest","modified_at":"2020-01-02T03:04:05.6+02:00",
             "size":2019393189,"digest":"a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72"},
            {"name":"far:cloud","modified_at":"2020-01-02T03:04:05Z","size":3,"digest":"ab","remote_model":"x"}]}"#;
        let out = listed(body, None).await;
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines[0].starts_with("NAME               ID              SIZE      MODIFIED"));
        assert!(
            lines[1].starts_with("llama3.2:latest    a80c4f17acd5    2.0 GB    "),
            "{out}"
        );
        assert!(lines[1].trim_end().ends_with("years ago"));
        assert!(
            lines[2].starts_with("far:cloud          ab              -         "),
            "{out}"
        );
        let out = listed(body, Some("LLAMA")).await;
        assert_eq!(out.lines().count(), 2);
    }

    #[tokio::test]
    async fn an_empty_store_is_a_header() {
        for body in ["{\"models\":[]}", "{\"models\":null}"] {
            assert_eq!(
                listed(body, None).await,
                "NAME    ID    SIZE    MODIFIED    \n"
            );
        }
    }
}
