//! The finance coach: what it knows, what it can work out, and what it does not talk about.
//!
//! - [`library`]: the built-in articles, which retrieval searches beside an operator's documents.
//! - [`figures`]: every number of an answer. The model writes words; these functions do the sums.
//! - [`check`]: finds numbers in an answer that neither the figures nor the sources hold.
//! - [`questions`]: what retrieval over the library is measured with.
//! - [`scope`]: messages that get a short, kind refusal and a pointer instead of an answer.
//!
//! Nothing here knows HTTP, models or tables; everything takes and returns plain data.

pub mod check;
pub mod figures;
pub mod library;
pub mod questions;
pub mod scope;
