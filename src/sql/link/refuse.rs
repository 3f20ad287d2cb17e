//! Questions that a schema cannot answer, told by their words before a model is asked.

use crate::sql::names::words;

use super::index::{Index, content, is_stop};

/// A question about things that no table knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Unanswerable {
    /// The word that nothing in the schema is called, if it is one.
    pub word: Option<String>,
    /// Tables most like the question.
    pub nearest: Vec<String>,
}

impl Unanswerable {
    fn text(&self) -> String {
        let nearest = self.nearest.join(", ");
        match &self.word {
            Some(word) => {
                format!("no table or column is about '{word}'; the nearest tables are {nearest}")
            }
            None => format!("no table is about this question; the nearest are {nearest}"),
        }
    }
}

/// Words before something that must be a column.
const MEASURES: &str =
    " average mean median sum maximum minimum highest lowest avg max min largest smallest ";
/// Words that may stand between a measure and what it measures.
const BETWEEN: &str = " of the a an all their its each any ";

/// Refuses a question without a word that the schema knows, or that measures what it does not have.
pub(super) fn check(
    index: &Index,
    question: &str,
    scores: &[f32],
    nearest: impl Fn() -> Vec<String>,
) -> Result<(), Unanswerable> {
    let refuse = |word: Option<String>| {
        Err(Unanswerable {
            word,
            nearest: nearest(),
        })
    };
    if scores.iter().all(|&score| score <= 0.0) {
        // "How many are there?" over a single table is about it.
        return match content(question).is_empty() && scores.len() == 1 {
            true => Ok(()),
            false => refuse(None),
        };
    }
    let unknown = measured(question)
        .into_iter()
        .find(|phrase| !phrase.iter().any(|word| index.knows(word)));
    match unknown {
        Some(phrase) => refuse(Some(phrase.join(" "))),
        None => Ok(()),
    }
}

/// What a question wants the average, the sum or the extremes of: the word after it, and the next, since one
/// may describe the other ("average monthly revenue").
fn measured(question: &str) -> Vec<Vec<String>> {
    let words = words(question);
    let is_in = |list: &str, word: &str| list.contains(&format!(" {word} "));
    let measures = words
        .iter()
        .enumerate()
        .filter(|(_, word)| is_in(MEASURES, word));
    measures
        .map(|(at, _)| {
            let rest = words[at + 1..].iter();
            rest.skip_while(|word| is_in(BETWEEN, word))
                .take(2)
                .take_while(|word| !is_stop(word) && !is_number(word))
                .cloned()
                .collect::<Vec<String>>()
        })
        .filter(|phrase| !phrase.is_empty())
        .collect()
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}
