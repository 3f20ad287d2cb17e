//! `-v`: versions of server and client.

use serde_json::Value;

use super::{CliError, Session};
use crate::config::API_VERSION;

/// The server's version; the client's only where it differs.
pub(crate) async fn run(session: &mut Session<'_>) -> Result<(), CliError> {
    let answer = session.client.get::<Value>("/api/version").await.ok();
    let server = answer
        .as_ref()
        .and_then(|answer| answer.get("version")?.as_str());
    match server {
        Some(version) => writeln!(session.out, "wick version is {version}")?,
        None => writeln!(
            session.out,
            "Warning: could not connect to a running wick instance"
        )?,
    }
    if server != Some(API_VERSION) {
        writeln!(session.out, "Warning: client version is {API_VERSION}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[tokio::test]
    async fn versions_differ_only_where_they_do() {
        let same = Answer::ok(format!("{{\"version\":\"{API_VERSION}\"}}"));
        let server = TestServer::start([("GET /api/version", same)]).await;
        let out = server.output(run).await.unwrap();
        assert_eq!(out, format!("wick version is {API_VERSION}\n"));

        let other = Answer::ok("{\"version\":\"0.1.2\"}");
        let server = TestServer::start([("GET /api/version", other)]).await;
        let out = server.output(run).await.unwrap();
        let warning = format!("Warning: client version is {API_VERSION}\n");
        assert_eq!(out, format!("wick version is 0.1.2\n{warning}"));
    }
}
