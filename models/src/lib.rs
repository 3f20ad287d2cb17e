//! GGUF files to weights, tokenizers and forward passes: no async code, no HTTP.

pub mod convert;
pub mod error;
pub mod gguf;
pub mod quantize;
pub mod tokenizer;

pub use convert::{FloatType, convert_bert};
pub use error::Error;
pub use gguf::Gguf;
pub use quantize::{FileType, quantize};
pub use tokenizer::{AddSpecial, DecodeStream, FimTokens, Specials, Tokenizer};
