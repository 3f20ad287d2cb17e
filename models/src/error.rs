//! Why a model could not be read, built or run.

use std::io;
use std::path::{Path, PathBuf};

/// Why a model could not be read, built or run; every message names the file and the field.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write a file.
    #[error("cannot access {path}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A field of a file does not hold what its format allows.
    #[error("{path}: {field}: {problem}")]
    Malformed {
        /// File.
        path: PathBuf,
        /// Metadata key, tensor or part of the header.
        field: String,
        /// What is wrong, with the numbers.
        problem: String,
    },
    /// A metadata key the model needs is not there.
    #[error("{path}: metadata key '{key}' is missing")]
    MissingKey {
        /// File.
        path: PathBuf,
        /// Full key.
        key: String,
    },
    /// A metadata key holds another type or range than the model needs.
    #[error("{path}: metadata key '{key}' is {found}, expected {expected}")]
    WrongType {
        /// File.
        path: PathBuf,
        /// Full key.
        key: String,
        /// What the file holds.
        found: String,
        /// What is needed.
        expected: &'static str,
    },
    /// A tensor the model needs is not there.
    #[error("{path}: tensor '{name}' is missing")]
    MissingTensor {
        /// File.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
    },
    /// A tensor has a shape that does not fit the model.
    #[error("{path}: tensor '{name}' has shape {found:?}, expected {expected:?}")]
    TensorShape {
        /// File.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Shape in the file, outermost dimension first.
        found: Vec<usize>,
        /// Shape the metadata asks for, outermost dimension first.
        expected: Vec<usize>,
    },
    /// A tensor is stored in a type nothing here can read.
    #[error("{path}: tensor '{name}' has type {type_name}, which is not supported")]
    TensorType {
        /// File.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Name of the type in ggml, or its number.
        type_name: String,
    },
    /// No forward pass is known for the architecture.
    #[error("{path}: architecture '{architecture}' is not supported")]
    Architecture {
        /// File.
        path: PathBuf,
        /// `general.architecture`.
        architecture: String,
    },
    /// The vocabulary cannot be made into a tokenizer, or a text not into tokens.
    #[error("tokenizer of {path}: {problem}")]
    Tokenizer {
        /// File the vocabulary came from.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A step over a batch was asked for what the model or its cache does not have.
    #[error("segment {segment} of the step: {problem}")]
    Batch {
        /// Index of the segment or text.
        segment: usize,
        /// What is wrong, with the numbers.
        problem: String,
    },
    /// Cache and buffers of the asked size cannot be had.
    #[error("cannot reserve {blocks} cache blocks and steps of {batch_tokens} tokens: {problem}")]
    Reserve {
        /// Blocks asked for; 0 for a model without a cache.
        blocks: usize,
        /// Tokens of the widest step asked for.
        batch_tokens: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A computation inside a library failed.
    #[error("{path}: {step} failed")]
    Compute {
        /// File being worked on.
        path: PathBuf,
        /// What was being done.
        step: String,
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// An [`Error::Io`] about `path`; for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
        move |source| Error::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// An [`Error::Malformed`] about one field of `path`.
    pub(crate) fn malformed(
        path: &Path,
        field: impl Into<String>,
        problem: impl Into<String>,
    ) -> Error {
        Error::Malformed {
            path: path.to_owned(),
            field: field.into(),
            problem: problem.into(),
        }
    }
}
