//! GGUF files to weights, tokenizers and forward passes: no async code, no HTTP.

pub mod error;
pub mod gguf;

pub use error::Error;
pub use gguf::Gguf;
