//! The cases, and a seeded draw among them.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Plan;

pub(super) const SQL: &str = include_str!("../../models/starter/eval/sql.json");
pub(super) const ANSWERS: &str = include_str!("../../models/starter/eval/answers.json");
pub(super) const FIM: &str = include_str!("../../models/starter/eval/fim.json");
pub(super) const EXPLAIN: &str = include_str!("../../models/starter/eval/explain.json");

/// A question over a schema.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct SqlCase {
    /// Whether one table is enough.
    pub single: bool,
    /// Schema and question.
    pub prompt: String,
    /// A statement that answers it.
    pub sql: String,
    pub tables: Vec<Table>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Table {
    pub name: String,
    pub columns: Vec<Column>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Column {
    pub name: String,
    pub kind: Kind,
    /// Values that rows take.
    #[serde(default)]
    pub pool: Vec<serde_json::Value>,
    /// Whether some rows have none.
    #[serde(default)]
    pub nullable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// The number of the row.
    Key,
    /// The number of a row of another table.
    Foreign,
    Text,
    Integer,
    Real,
    Date,
}

/// Passages and a question.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct AnswerCase {
    pub prompt: String,
    pub answer: String,
    /// The passage that tells, if one does.
    pub source: Option<u32>,
}

/// A text with a gap.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct GapCase {
    pub language: Language,
    pub prefix: String,
    pub middle: String,
    pub suffix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    Python,
    JavaScript,
    Sql,
}

impl Language {
    /// What the language is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::JavaScript => "javascript",
            Language::Sql => "sql",
        }
    }
}

/// A statement to be explained.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ExplainCase {
    pub prompt: String,
    pub answer: String,
    /// Tables and columns that an explanation has to name.
    pub names: Vec<String>,
}

/// The cases of the plan, in an order that its seed decides.
pub(super) fn draw<C: DeserializeOwned>(text: &str, plan: &Plan) -> serde_json::Result<Vec<C>> {
    let mut cases: Vec<C> = serde_json::from_str(text)?;
    cases.shuffle(&mut ChaCha8Rng::seed_from_u64(plan.seed));
    cases.truncate(plan.cases.unwrap_or(usize::MAX));
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::super::Task;
    use super::*;

    #[test]
    fn a_draw_depends_on_its_seed_only() {
        let plan = |seed| Plan {
            task: Task::Answers,
            cases: Some(20),
            seed,
            is_assisted: false,
            database: None,
        };
        let prompts = |seed| -> Vec<String> {
            let cases: Vec<AnswerCase> = draw(ANSWERS, &plan(seed)).unwrap();
            cases.into_iter().map(|case| case.prompt).collect()
        };
        assert_eq!(prompts(1), prompts(1));
        assert_ne!(prompts(1), prompts(2));
        assert_eq!(prompts(1).len(), 20);
    }

    #[test]
    fn all_files_can_be_read() {
        let plan = Plan {
            task: Task::Sql,
            cases: None,
            seed: 0,
            is_assisted: false,
            database: None,
        };
        assert!(draw::<SqlCase>(SQL, &plan).unwrap().len() >= 200);
        assert!(draw::<GapCase>(FIM, &plan).unwrap().len() >= 200);
        assert!(draw::<ExplainCase>(EXPLAIN, &plan).unwrap().len() >= 50);
    }
}
