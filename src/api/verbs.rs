//! What routes ask of models, in terms that all of them translate to: text and vectors.

pub(crate) mod answer;
pub(crate) mod text;
pub(crate) mod vectors;

pub(crate) use answer::{Answer, Finish, Piece, Step};
pub(crate) use text::{Completion, Outcome, Subject, TextRequest};
pub(crate) use vectors::VectorsRequest;
