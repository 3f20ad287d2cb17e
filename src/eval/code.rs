//! Filling gaps: whether the whole text parses, and whether the gap holds what it held.

use rusqlite::Connection;
use serde::Serialize;

use crate::code::check;

use super::cases::{self, GapCase, Language};
use super::{Ask, EvalError, Gap, Miss, Plan, Report, Writer, share, written};

/// Shares of cases.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// Texts that parse as a whole.
    pub parses: f64,
    /// Gaps filled with the very text that was cut out; many could be filled otherwise.
    pub exact: f64,
}

pub(super) async fn run<W: Writer>(plan: &Plan, writer: &W) -> Result<Report, EvalError<W::Error>> {
    let drawn: Vec<GapCase> = cases::draw(cases::FIM, plan)?;
    let answers = written(drawn, writer, |case| {
        let gap = Gap {
            prefix: case.prefix.clone(),
            suffix: case.suffix.clone(),
            language: case.language.name(),
        };
        match plan.is_assisted {
            true => Ask::Completion(gap),
            false => Ask::Middle(gap),
        }
    })
    .await?;
    let (mut parsed, mut exact, mut misses) = (0, 0, Vec::new());
    for (case, text) in &answers {
        exact += usize::from(case.middle.trim() == text.trim());
        if parses(case.language, &[&*case.prefix, text, &case.suffix].concat()) {
            parsed += 1;
        } else {
            misses.push(Miss {
                asked: format!("{}<gap>{}", case.prefix, case.suffix),
                wanted: case.middle.clone(),
                got: text.clone(),
            });
        }
    }
    let scores = Scores {
        parses: share(parsed, answers.len()),
        exact: share(exact, answers.len()),
    };
    Ok(Report {
        scores: super::Scores::Fim(scores),
        cases: answers.len(),
        seed: plan.seed,
        misses,
    })
}

/// Whether a text is one of its language.
fn parses(language: Language, text: &str) -> bool {
    match language {
        Language::Sql => parses_as_sql(text),
        Language::Python | Language::JavaScript => check::problem(language.name(), text).is_none(),
    }
}

/// SQLite reads a statement before it looks for its tables: only complaints about the text count.
fn parses_as_sql(text: &str) -> bool {
    let prepared = Connection::open_in_memory().and_then(|c| c.prepare(text).map(drop));
    match prepared {
        Ok(()) => true,
        Err(error) => {
            let reason = error.to_string();
            reason.contains("no such table")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_texts_do_not_parse() {
        assert!(parses(Language::Python, "def f(a):\n    return a + 1\n"));
        assert!(!parses(Language::Python, "def f(a:\n    return a +\n"));
        assert!(parses(Language::JavaScript, "const f = (a) => a + 1;\n"));
        assert!(!parses(Language::JavaScript, "const f = (a => a + ;\n"));
        assert!(parses(Language::Sql, "SELECT a FROM t WHERE b = 'c';\n"));
        assert!(!parses(Language::Sql, "SELECT a FROM t WHERE;\n"));
        assert!(!parses(Language::Sql, "SELECT a FROM t WHERE b = 'c"));
    }

    #[test]
    fn the_texts_that_were_cut_parse() {
        let plan = Plan {
            task: super::super::Task::Fim,
            cases: None,
            seed: 1,
            is_assisted: false,
            database: None,
        };
        for case in cases::draw::<GapCase>(cases::FIM, &plan).unwrap() {
            let text = [&*case.prefix, &case.middle, &case.suffix].concat();
            assert!(parses(case.language, &text), "{text}");
        }
    }
}
