//! GGUF files to weights, tokenizers and forward passes: no async code, no HTTP.

pub mod convert;
pub mod decoder;
pub mod encoder;
pub mod error;
mod fallback;
pub mod gguf;
mod kv;
mod native;
pub mod pool;
pub mod quantize;
pub mod spec;
pub mod tokenizer;
mod weights;

pub use convert::{FloatType, convert_bert};
pub use decoder::{Decoder, DecoderInfo, LoadOptions, Output, Segment, load_candle, load_decoder};
pub use encoder::{Encoder, EncoderInfo, Pooling, is_encoder};
pub use error::Error;
pub use gguf::Gguf;
pub use pool::{Pool, default_threads};
pub use quantize::{FileType, quantize};
pub use tokenizer::{AddSpecial, DecodeStream, FimTokens, Specials, Tokenizer};
pub use wick_kernels::{BLOCK_TOKENS, Kernels, KvType, Parallel, QuantType};
