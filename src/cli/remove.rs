//! `rm`: remove models.

use reqwest::Method;
use serde_json::json;

use super::stop::unload;
use super::{CliError, Session};

/// Removes models.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Names of models.
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
}

/// Unloads and deletes one model after the other; the first failure ends it.
pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    for model in &args.models {
        match unload(&session.client, model).await {
            Err(error) if !error.is_not_found() => {
                eprintln!("Warning: unable to stop model '{model}'");
            }
            _ => {}
        }
        session
            .client
            .call(Method::DELETE, "/api/delete", &json!({"model": model}))
            .await?;
        writeln!(session.out, "deleted '{model}'")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[tokio::test]
    async fn models_are_unloaded_and_then_deleted() {
        let server = TestServer::start([
            ("POST /api/generate", Answer::ok("{}")),
            ("DELETE /api/delete", Answer::ok("")),
            (
                "DELETE /api/delete",
                Answer::new(404, "{\"error\":\"model 'b' not found\"}"),
            ),
        ])
        .await;
        let remove = |models: &[&str]| Arguments {
            models: models.iter().map(|model| (*model).to_owned()).collect(),
        };
        let out = server
            .output(async |session| run(remove(&["a"]), session).await)
            .await;
        assert_eq!(out.unwrap(), "deleted 'a'\n");
        assert_eq!(server.seen(), ["POST /api/generate", "DELETE /api/delete"]);
        let out = server
            .output(async |session| run(remove(&["b", "c"]), session).await)
            .await;
        assert_eq!(out.unwrap_err().to_string(), "model 'b' not found");
        assert_eq!(
            server.bodies("DELETE /api/delete")[1],
            json!({"model": "b"})
        );
        assert_eq!(server.seen().len(), 4, "nothing is asked about c");
    }
}
