//! Documents for retrieval: reading files into blocks of text, and cutting those into chunks.
//!
//! - [`read`]: bytes of a known format to blocks, each with its headings, page and place.
//! - [`chunk`]: blocks to overlapping chunks that fit an embedding model.
//! - [`passages`]: chunks that were found to quotations in a prompt.
//!
//! Nothing here knows HTTP, models or tables; what counts tokens is passed in.

pub mod chunk;
pub mod passages;
pub mod read;
