//! What a statement does, from its parsed tree: first as plain data, then as English over that data.
//!
//! Every name, condition and number in the text stands in backticks as the tree holds it, so nothing is said
//! that the statement does not say.

mod columns;
mod facts;
mod phrase;
mod sentences;

use serde::Serialize;

pub use facts::{
    Change, Condition, Cte, Facts, Join, Limit, Order, Output, Query, Select, Source, Subquery,
    Window,
};

use super::statement::parse;
use super::{Dialect, Schema, SqlError};

/// What some SQL does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// One entry for each statement.
    pub statements: Vec<Facts>,
    /// The same in English, a sentence each, in the order the database goes through it.
    pub sentences: Vec<String>,
    /// Tables it reads or writes, each once, in the order they are named; those it makes up itself (`WITH`) apart.
    pub tables: Vec<String>,
    /// Columns it names, each once: `table.column` where that is clear, else as written.
    pub columns: Vec<String>,
}

impl Explanation {
    /// The sentences as one text.
    pub fn text(&self) -> String {
        self.sentences.join(" ")
    }
}

/// Explains one statement or several. With a schema, columns are told by their tables.
pub fn explain(
    sql: &str,
    dialect: Dialect,
    schema: Option<&Schema>,
) -> Result<Explanation, SqlError> {
    let statements = parse(sql, dialect)?;
    let named = columns::named(&statements, schema);
    let statements: Vec<Facts> = statements.iter().map(facts::of).collect();
    let several = statements.len() > 1;
    let mut said = Vec::new();
    for (at, facts) in statements.iter().enumerate() {
        let first = said.len();
        said.extend(sentences::of(facts));
        if let Some(sentence) = said.get_mut(first).filter(|_| several) {
            *sentence = format!("Statement {}: {sentence}", at + 1);
        }
    }
    Ok(Explanation {
        statements,
        sentences: said,
        tables: named.tables,
        columns: named.columns,
    })
}

#[cfg(test)]
mod tests;
