//! `cp`: a second name for a model.

use reqwest::Method;
use serde_json::json;

use super::{CliError, Session};

/// Copies a model.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model's name.
    source: String,
    /// Its second name.
    destination: String,
}

pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let body = json!({"source": args.source, "destination": args.destination});
    session
        .client
        .call(Method::POST, "/api/copy", &body)
        .await?;
    writeln!(
        session.out,
        "copied '{}' to '{}'",
        args.source, args.destination
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[tokio::test]
    async fn both_names_are_sent_and_said() {
        let server = TestServer::start([("POST /api/copy", Answer::ok(""))]).await;
        let args = Arguments {
            source: "a".into(),
            destination: "b".into(),
        };
        let out = server
            .output(async |session| run(args, session).await)
            .await
            .unwrap();
        assert_eq!(out, "copied 'a' to 'b'\n");
        let bodies = server.bodies("POST /api/copy");
        assert_eq!(bodies, [json!({"source": "a", "destination": "b"})]);
    }
}
