//! `pull`: fetch a model from a registry.

use serde_json::json;

use super::{CliError, Session, progress};

/// Fetches a model.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model's name.
    pub model: String,
    /// Speak to the registry without TLS.
    #[arg(long)]
    pub insecure: bool,
}

pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let body = json!({"model": args.model, "insecure": args.insecure});
    progress::follow(session.client.stream("/api/pull", &body).await?).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[tokio::test]
    async fn a_failure_in_the_stream_fails_the_command() {
        let server = TestServer::start([
            (
                "POST /api/pull",
                Answer::pieces(
                    200,
                    [
                        "{\"status\":\"pulling manifest\"}\n",
                        "{\"status\":\"pulling aabbccddeeff\",\"digest\":\"sha256:aabbccddeeff\",\"total\":10}\n",
                        "{\"status\":\"pulling aabbccddeeff\",\"digest\":\"sha256:aabbccddeeff\",\"total\":10,",
                        "\"completed\":10}\n{\"status\":\"success\"}\n",
                    ],
                ),
            ),
            (
                "POST /api/pull",
                Answer::ok("{\"error\":\"pull model manifest: file does not exist\"}\n"),
            ),
        ])
        .await;
        let pull = async |session: &mut Session<'_>| {
            run(
                Arguments {
                    model: "m".into(),
                    insecure: true,
                },
                session,
            )
            .await
        };
        assert_eq!(server.output(pull).await.unwrap(), "");
        let bodies = server.bodies("POST /api/pull");
        assert_eq!(bodies, [json!({"model": "m", "insecure": true})]);
        let error = server.output(pull).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "pull model manifest: file does not exist"
        );
    }
}
