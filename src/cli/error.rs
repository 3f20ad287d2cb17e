//! Why a command failed, in the words that are shown to the user.

use std::io;

use crate::access::keys::KeyFileError;
use crate::config::ConfigError;
#[cfg(feature = "rag")]
use crate::rag::library::FolderError;
use crate::store::modelfile::ModelfileError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Nothing listens where the server should be.
    #[error("could not connect to the wick server, run 'wick serve' to start it")]
    NotRunning,
    /// The server refused; the message is its own.
    #[error("{message}")]
    Server {
        /// HTTP status; 200 for an error in the middle of a stream.
        status: u16,
        /// What is shown.
        message: String,
    },
    /// The connection failed.
    #[error("{}", chain(.0))]
    Http(#[from] reqwest::Error),
    /// The server sent something that is not what was asked for.
    #[error("unexpected answer from the server: {0}")]
    Answer(String),
    /// Bad settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file of the API keys.
    #[error("{}", chain(.0))]
    Keys(#[from] KeyFileError),
    /// The folder of the documents.
    #[cfg(feature = "rag")]
    #[error("{}", chain(.0))]
    Documents(#[from] FolderError),
    /// Bad Modelfile.
    #[error(transparent)]
    Modelfile(#[from] ModelfileError),
    /// A flag or an argument that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A file that cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The terminal or pipe that output goes to.
    #[error(transparent)]
    Terminal(#[from] io::Error),
    /// The line editor.
    #[error(transparent)]
    Prompt(#[from] rustyline::error::ReadlineError),
    /// The server could not start or broke down.
    #[error("{}", chain(.0.as_ref()))]
    Serve(Box<dyn std::error::Error + Send + Sync>),
}

impl CliError {
    /// Whether the server does not know the model.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            CliError::Server { status, message } => {
                *status == 404 || message.to_lowercase().contains("not found")
            }
            _ => false,
        }
    }
}

/// The error and its causes in one line; causes whose text is already there are left out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
