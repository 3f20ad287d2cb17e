//! The finance coach: what it knows, what it can work out, what it does not talk about, and how it answers.
//!
//! - [`library`]: the built-in articles, which retrieval searches beside an operator's documents.
//! - [`figures`]: every number of an answer. The model writes words; these functions do the sums.
//! - [`told`]: the numbers that a message tells.
//! - [`check`]: finds numbers in an answer that neither the figures nor the sources hold.
//! - [`questions`]: what retrieval over the library is measured with.
//! - [`scope`]: messages that get a short, kind refusal and a pointer instead of an answer.
//! - [`chat`], [`plan`]: a message to an answer, a situation to a plan; over [`passages`], which somebody finds, and a
//!   [`writer`], which puts into words.
//! - [`history`], [`answers`]: what was said before, and what need not be thought about again.
//!
//! Nothing here knows HTTP, models or tables; everything takes and returns plain data.

pub mod answers;
pub mod chat;
pub mod check;
pub mod figures;
mod gate;
pub mod history;
pub mod library;
pub mod passages;
pub mod plain;
pub mod plan;
mod prompt;
pub mod questions;
pub mod scope;
pub mod shelf;
pub mod told;
mod words;
pub mod writer;

pub use prompt::Reader;
pub use words::{CoachError, DISCLAIMER, Desk};
