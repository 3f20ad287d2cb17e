//! Whether answers are statements over their schema, told by a parser and the resolver of names alone, whatever
//! wrote them says.

use serde::Serialize;

use crate::sql::Schema;
use crate::sql::resolve::{Problem, resolve};
use crate::sql::statement::parse;

use super::share;

/// Shares of the answers that were given; a refusal is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Soundness {
    /// Answers that are one statement of the dialect.
    pub parses: f64,
    /// Answers that also name nothing but what the schema has.
    pub names_exist: f64,
    /// Questions without an answer: how many, not a share.
    pub refused: usize,
}

/// Counts answers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    answers: usize,
    parsed: usize,
    named: usize,
    refused: usize,
}

impl Tally {
    /// Counts an answer to a question over a schema; an empty one is a refusal.
    pub(super) fn count(&mut self, sql: &str, schema: &Schema) {
        if sql.is_empty() {
            self.refused += 1;
            return;
        }
        self.answers += 1;
        let statements = parse(sql, schema.dialect).unwrap_or_default();
        let [statement] = statements.as_slice() else {
            return;
        };
        self.parsed += 1;
        let names = resolve(statement, schema);
        self.named += usize::from(
            !names.problems.iter().any(Problem::is_about_name) && !names.tables.is_empty(),
        );
    }

    /// What it came to.
    pub(super) fn shares(&self) -> Soundness {
        Soundness {
            parses: share(self.parsed, self.answers),
            names_exist: share(self.named, self.answers),
            refused: self.refused,
        }
    }
}

/// The statement in an answer: what stands in its code block, or all of it.
pub(super) fn statement(answer: &str) -> &str {
    let block = answer.split("```").nth(1).unwrap_or(answer);
    block.strip_prefix("sql").unwrap_or(block).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;

    #[test]
    fn refusals_are_no_answers_and_wrong_names_are_told() {
        let schema = Schema::from_ddl("CREATE TABLE t (n int);", Dialect::Sqlite).unwrap();
        let mut tally = Tally::default();
        for sql in [
            "SELECT n FROM t;",
            "SELECT m FROM t",
            "SELECT n FROM t; SELECT n FROM t",
            "I do not know.",
            "",
        ] {
            tally.count(sql, &schema);
        }
        let want = Soundness {
            parses: 0.5,
            names_exist: 0.25,
            refused: 1,
        };
        assert_eq!(tally.shares(), want);
    }

    #[test]
    fn a_statement_may_stand_in_a_code_block() {
        assert_eq!(statement("Here:\n```sql\nSELECT 1;\n```\n"), "SELECT 1;");
        assert_eq!(statement(" SELECT 1; "), "SELECT 1;");
    }
}
