//! A grammar for the statements that may answer a question: Lark text for `llguidance`.
//!
//! It holds a statement to the dialect's `SELECT` and to the tables and columns of the schema it was made
//! from. Words in capitals, one space or line break between them. Aliases cannot be known before they are
//! written, so they are known by their shape: one to three letters for tables, names like `total_spent` or
//! `order_count` for columns, names like `monthly_totals` for common table expressions. What a grammar cannot
//! say, [`super::resolve`] checks afterwards. Lists have an end: a model that is lost would go on until its tokens run out.

mod rules;
mod words;

use std::collections::BTreeSet;
use std::fmt::Write;

use super::names::written;
use super::{Kind, Schema, Table};

use rules::Variant;

/// Names are left out of a grammar beyond this many bytes; nobody writes such names.
const LONGEST_NAME: usize = 128;

/// The grammar of one `SELECT` statement over the tables of `schema`, as Lark text.
pub fn lark(schema: &Schema) -> String {
    let mut text = String::with_capacity(16 << 10);
    text.push_str("%llguidance {}\n");
    let names = Names::of(schema);
    let dialect = schema.dialect;
    rules::statement(&mut text, dialect);
    for variant in Variant::ALL {
        rules::select(&mut text, dialect, variant, !names.booleans.is_empty());
    }
    words::terminals(&mut text, dialect);
    names.rules(&mut text);
    text
}

/// The names of a schema as grammar literals.
struct Names<'s> {
    schema: &'s Schema,
    tables: Vec<&'s Table>,
    columns: BTreeSet<String>,
    booleans: BTreeSet<String>,
}

impl<'s> Names<'s> {
    fn of(schema: &'s Schema) -> Self {
        let sound = |name: &str| {
            !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control)
        };
        let tables: Vec<&Table> = schema
            .tables
            .iter()
            .filter(|table| sound(&table.name) && table.namespace.as_deref().is_none_or(sound))
            .collect();
        let columns = |wanted: &dyn Fn(Kind) -> bool| {
            let columns = tables.iter().flat_map(|table| &table.columns);
            columns
                .filter(|column| sound(&column.name) && wanted(column.kind))
                .map(|column| literal(&written(schema.dialect, &column.name)))
                .collect()
        };
        let all = columns(&|_| true);
        let booleans = columns(&|kind| kind == Kind::Boolean);
        Names {
            schema,
            columns: all,
            booleans,
            tables,
        }
    }

    fn rules(&self, text: &mut String) {
        let tables: BTreeSet<String> = self
            .tables
            .iter()
            .flat_map(|table| self.in_from(table))
            .collect();
        rule(text, "table", &tables);
        rule(text, "ucol", &self.columns);
        if !self.booleans.is_empty() {
            rule(text, "boolcol", &self.booleans);
        }
        let mut qualifiers = BTreeSet::new();
        let mut qualified = BTreeSet::new();
        for (at, table) in self.tables.iter().enumerate() {
            let name = literal(&written(self.schema.dialect, &table.name));
            let columns: BTreeSet<String> = table
                .columns
                .iter()
                .map(|column| literal(&written(self.schema.dialect, &column.name)))
                .filter(|column| self.columns.contains(column))
                .collect();
            if columns.is_empty() {
                continue;
            }
            rule(text, &format!("col{at}"), &columns);
            qualified.insert(format!("{name} \".\" col{at}"));
            qualifiers.insert(name);
        }
        rule(text, "qualifier", &qualifiers);
        rule(text, "tcol", &qualified);
        let pairs = self.pairs();
        match pairs.is_empty() {
            true => text.push_str("pair: tcol S \"=\" S tcol\n"),
            false => rule(text, "pair", &pairs),
        }
    }

    /// How a table may stand in `FROM`.
    fn in_from(&self, table: &Table) -> Vec<String> {
        let dialect = self.schema.dialect;
        let name = written(dialect, &table.name);
        match table.namespace.as_deref() {
            None => vec![literal(&name)],
            Some(space) => {
                let full = literal(&format!("{}.{name}", written(dialect, space)));
                match space {
                    "public" | "dbo" | "main" => vec![literal(&name), full],
                    _ => vec![full],
                }
            }
        }
    }

    /// What joins the tables by their foreign keys, either side first.
    fn pairs(&self) -> BTreeSet<String> {
        let dialect = self.schema.dialect;
        let mut pairs = BTreeSet::new();
        for table in &self.tables {
            for key in &table.foreign_keys {
                let Some(target) = self.schema.table(&key.table) else {
                    continue;
                };
                for (from, to) in key.columns.iter().zip(&key.references) {
                    let place = |table: &Table, column: &str| {
                        let table = literal(&written(dialect, &table.name));
                        format!("{table} \".\" {}", literal(&written(dialect, column)))
                    };
                    let (a, b) = (place(table, from), place(target, to));
                    pairs.insert(format!("{a} S \"=\" S {b}"));
                    pairs.insert(format!("{b} S \"=\" S {a}"));
                }
            }
        }
        pairs
    }
}

/// `name: a | b | c`
fn rule(text: &mut String, name: &str, choices: &BTreeSet<String>) {
    let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
    let choices = match choices.as_slice() {
        // A rule that no model would follow: there is nothing to name.
        [] => "NOTHING".to_owned(),
        choices => choices.join("\n  | "),
    };
    let _ = writeln!(text, "{name}: {choices}");
}

/// A text that is matched as it is.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
pub(super) mod tests;
