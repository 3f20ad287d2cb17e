//! GGUF files to weights, tokenizers and forward passes: no async code, no HTTP.
