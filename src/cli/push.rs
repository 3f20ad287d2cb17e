//! `push`: send a model to a registry.

use serde_json::json;

use super::{CliError, Session, progress};
use crate::store::ModelName;

/// Sends a model.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model's name.
    model: String,
    /// Speak to the registry without TLS.
    #[arg(long)]
    insecure: bool,
}

pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let body = json!({"model": args.model, "insecure": args.insecure});
    progress::follow(session.client.stream("/api/push", &body).await?).await?;
    writeln!(
        session.out,
        "\nYou can find your model at:\n\n\t{}",
        address(&args.model)
    )?;
    Ok(())
}

/// Where people find a pushed model; models of the default registry have a page elsewhere.
fn address(model: &str) -> String {
    let Ok(name) = ModelName::parse(model) else {
        return model.to_owned();
    };
    let shown = name.to_string();
    match name.host() {
        host if host.ends_with(".ollama.ai") || host.ends_with(".ollama.com") => {
            format!(
                "https://ollama.com/{}",
                shown.strip_suffix(":latest").unwrap_or(&shown)
            )
        }
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[tokio::test]
    async fn the_address_follows() {
        let server =
            TestServer::start([("POST /api/push", Answer::ok("{\"status\":\"success\"}\n"))]).await;
        let args = Arguments {
            model: "me/m".into(),
            insecure: false,
        };
        let out = server
            .output(async |session| run(args, session).await)
            .await
            .unwrap();
        assert_eq!(
            out,
            "\nYou can find your model at:\n\n\thttps://ollama.com/me/m\n"
        );
    }

    #[test]
    fn other_registries_are_named_as_they_are() {
        assert_eq!(address("localhost:5000/me/m:q8"), "localhost:5000/me/m:q8");
        assert_eq!(address("me/m:q8"), "https://ollama.com/me/m:q8");
    }
}
