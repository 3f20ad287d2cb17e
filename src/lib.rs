//! wick: quantised Llama-family models in one process, served as a drop-in for Ollama.

pub mod prompt;
