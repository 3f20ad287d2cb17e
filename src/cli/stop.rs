//! `stop`: unload a running model.

use serde_json::{Value, json};

use super::client::Client;
use super::{CliError, Session};

/// Unloads a running model.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model's name.
    model: String,
}

pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    match unload(&session.client, &args.model).await {
        Err(error) if error.is_not_found() => Err(CliError::Usage(format!(
            "couldn't find model \"{}\" to stop",
            args.model
        ))),
        result => result,
    }
}

/// Asks the server to unload a model as soon as it is idle.
pub(crate) async fn unload(client: &Client, model: &str) -> Result<(), CliError> {
    let body = json!({"model": model, "keep_alive": 0});
    client.post::<Value>("/api/generate", &body).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[tokio::test]
    async fn stopping_is_silent_and_an_unknown_model_is_named() {
        let route = "POST /api/generate";
        let server = TestServer::start([
            (
                route,
                Answer::ok("{\"done\":true,\"done_reason\":\"unload\"}\n"),
            ),
            (
                route,
                Answer::new(404, "{\"error\":\"model 'm' not found\"}"),
            ),
        ])
        .await;
        let stop =
            async |session: &mut Session<'_>| run(Arguments { model: "m".into() }, session).await;
        assert_eq!(server.output(stop).await.unwrap(), "");
        assert_eq!(
            server.bodies(route),
            [json!({"model": "m", "keep_alive": 0})]
        );
        let error = server.output(stop).await.unwrap_err();
        assert_eq!(error.to_string(), "couldn't find model \"m\" to stop");
    }
}
