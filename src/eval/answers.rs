//! Answers from passages: whether they cite the right one, quote it, and invent no numbers.

use serde::Serialize;

use super::cases::{self, AnswerCase};
use super::{Ask, EvalError, Miss, Plan, Report, Writer, share, written};

/// Shares of cases.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// Answers that cite the passage that tells and no other, or cite none where none tells.
    pub right_source: f64,
    /// The same among questions that no passage answers.
    pub right_unknown: f64,
    /// Answers that hold the very sentence of the passage that tells, where one does.
    pub quoted: f64,
    /// Answers with a number that stands in no passage.
    pub invented_numbers: f64,
}

pub(super) async fn run<W: Writer>(plan: &Plan, writer: &W) -> Result<Report, EvalError<W::Error>> {
    let drawn: Vec<AnswerCase> = cases::draw(cases::ANSWERS, plan)?;
    let answers = written(drawn, writer, |case| Ask::Message(case.prompt.clone())).await?;
    let right = |(case, text): &&(AnswerCase, String)| cites_right(case, text);
    let misses = answers.iter().filter(|answer| !right(answer));
    Ok(Report {
        scores: super::Scores::Answers(scores(&answers)),
        cases: answers.len(),
        seed: plan.seed,
        misses: misses
            .map(|(case, text)| Miss {
                asked: case.prompt.clone(),
                wanted: case.answer.clone(),
                got: text.clone(),
            })
            .collect(),
    })
}

fn scores(answers: &[(AnswerCase, String)]) -> Scores {
    let known = answers.iter().filter(|(case, _)| case.source.is_some());
    let unknown = answers.iter().filter(|(case, _)| case.source.is_none());
    let right = answers
        .iter()
        .filter(|(case, text)| cites_right(case, text));
    let quoted = known
        .clone()
        .filter(|(case, text)| text.contains(without_citations(&case.answer).trim()));
    let invented = answers
        .iter()
        .filter(|(case, text)| invents(&case.prompt, text));
    Scores {
        right_source: share(right.count(), answers.len()),
        right_unknown: share(
            unknown
                .clone()
                .filter(|(case, text)| cites_right(case, text))
                .count(),
            unknown.count(),
        ),
        quoted: share(quoted.count(), known.count()),
        invented_numbers: share(invented.count(), answers.len()),
    }
}

fn cites_right(case: &AnswerCase, text: &str) -> bool {
    let mut cited = citations(text);
    cited.dedup();
    !text.trim().is_empty() && cited == case.source.into_iter().collect::<Vec<_>>()
}

/// The numbers of all `[n]`.
fn citations(text: &str) -> Vec<u32> {
    let behind = text.split('[').skip(1);
    behind
        .filter_map(|part| part.split_once(']')?.0.parse().ok())
        .collect()
}

fn without_citations(text: &str) -> String {
    let mut rest = String::new();
    for (at, part) in text.split('[').enumerate() {
        match part.split_once(']') {
            Some((inside, after)) if at > 0 && inside.parse::<u32>().is_ok() => {
                rest.push_str(after)
            }
            _ if at > 0 => rest.extend(["[", part]),
            _ => rest.push_str(part),
        }
    }
    rest
}

fn invents(prompt: &str, text: &str) -> bool {
    let told = numbers(prompt);
    numbers(&without_citations(text))
        .iter()
        .any(|number| !told.contains(number))
}

/// Runs of digits with points and commas inside.
fn numbers(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')
        .map(|run| run.trim_matches(['.', ',']))
        .filter(|run| !run.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(source: Option<u32>) -> AnswerCase {
        AnswerCase {
            prompt: "[1] It cost 1,200 euros. [2] It rained.".to_owned(),
            answer: "It cost 1,200 euros. [1]".to_owned(),
            source,
        }
    }

    #[test]
    fn the_right_passage_and_no_other_counts() {
        assert!(cites_right(
            &case(Some(1)),
            "It cost 1,200 euros [1], so it says [1]."
        ));
        assert!(!cites_right(&case(Some(1)), "It cost 1,200 euros. [2]"));
        assert!(!cites_right(&case(Some(1)), "[1] and [2]"));
        assert!(cites_right(&case(None), "The passages do not tell."));
        assert!(!cites_right(&case(None), "It rained. [2]") && !cites_right(&case(None), " "));
    }

    #[test]
    fn numbers_must_stand_in_the_passages() {
        let prompt = case(None).prompt;
        assert!(!invents(&prompt, "1,200 euros. [7]"));
        assert!(invents(&prompt, "1,201 euros.") && invents(&prompt, "In 1999."));
    }
}
