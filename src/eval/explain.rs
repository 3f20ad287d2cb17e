//! Explanations of SQL: whether they name the tables and columns of the statement.

use serde::Serialize;

use super::cases::{self, ExplainCase};
use super::{Ask, EvalError, Miss, Plan, Report, Writer, share, written};

/// Shares of cases.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// Explanations that name every table and column of the statement.
    pub all_named: f64,
    /// Explanations that say just what the case's own says.
    pub exact: f64,
}

pub(super) async fn run<W: Writer>(plan: &Plan, writer: &W) -> Result<Report, EvalError<W::Error>> {
    let drawn: Vec<ExplainCase> = cases::draw(cases::EXPLAIN, plan)?;
    let answers = written(drawn, writer, |case| Ask::Message(case.prompt.clone())).await?;
    let named = answers.iter().filter(|(case, text)| names_all(case, text));
    let exact = answers
        .iter()
        .filter(|(case, text)| case.answer == text.trim());
    let scores = Scores {
        all_named: share(named.count(), answers.len()),
        exact: share(exact.count(), answers.len()),
    };
    let wrong = answers.iter().filter(|(case, text)| !names_all(case, text));
    Ok(Report {
        scores: super::Scores::Explain(scores),
        cases: answers.len(),
        seed: plan.seed,
        misses: wrong
            .map(|(case, text)| Miss {
                asked: case.prompt.clone(),
                wanted: case.answer.clone(),
                got: text.clone(),
            })
            .collect(),
    })
}

/// Whether every name stands in the text as a word.
fn names_all(case: &ExplainCase, text: &str) -> bool {
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    case.names.iter().all(|name| words.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_must_stand_there_as_a_word() {
        let case = ExplainCase {
            prompt: String::new(),
            answer: String::new(),
            names: vec!["orders".to_owned(), "total".to_owned()],
        };
        assert!(names_all(&case, "It reads orders and keeps total."));
        assert!(!names_all(&case, "It reads orders and keeps totals."));
    }
}
