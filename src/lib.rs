//! wick: quantised Llama-family models in one process, served as a drop-in for Ollama.

pub mod access;
pub mod api;
pub mod bench;
pub mod cli;
pub mod coach;
pub mod code;
pub mod config;
pub mod engine;
pub mod eval;
pub mod ops;
pub mod prompt;
pub mod rag;
pub mod sql;
pub mod store;
mod tls;
