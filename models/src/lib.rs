//! GGUF files to weights, tokenizers and forward passes: no async code, no HTTP.

pub mod error;
pub mod gguf;
pub mod tokenizer;

pub use error::Error;
pub use gguf::Gguf;
pub use tokenizer::{AddSpecial, DecodeStream, FimTokens, Specials, Tokenizer};
