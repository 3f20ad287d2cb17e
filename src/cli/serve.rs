//! `serve`: the server itself.

use super::CliError;
use crate::config::Config;

/// Starts the server.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Address to listen on, such as 127.0.0.1:11434; goes before OLLAMA_HOST.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
}

/// Serves until a signal ends the process.
pub(crate) async fn run(config: Config) -> Result<(), CliError> {
    crate::api::serve(config)
        .await
        .map_err(|error| CliError::Serve(error.into()))
}
