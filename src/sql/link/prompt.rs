//! Tables as the model reads them: short DDL within a number of tokens.

use std::fmt::Write;

use crate::sql::names::written;
use crate::sql::{Schema, Table};

/// Bytes of DDL to a token, on the low side.
const BYTES_PER_TOKEN: usize = 3;
/// Values shown of a column.
const SAMPLES: usize = 5;
/// Longest value or comment shown, in characters.
const LONGEST: usize = 80;

/// What a table takes of a prompt.
pub(super) fn tokens_of(table: &Table) -> usize {
    let columns: usize = table
        .columns
        .iter()
        .map(|column| column.name.len() + column.type_name.len() + 4)
        .sum();
    (columns + table.name.len() + 20) / BYTES_PER_TOKEN
}

/// The schema with wide tables cut to their keys and the columns asked for, until it fits.
pub fn budgeted(
    mut schema: Schema,
    budget_tokens: usize,
    is_named: impl Fn(&str, &str) -> bool,
) -> Schema {
    let total: usize = schema.tables.iter().map(tokens_of).sum();
    if total <= budget_tokens {
        return schema;
    }
    let share = budget_tokens / schema.tables.len().max(1);
    for table in &mut schema.tables {
        if tokens_of(table) <= share {
            continue;
        }
        let keys: Vec<String> = table
            .foreign_keys
            .iter()
            .flat_map(|key| key.columns.clone())
            .chain(table.primary_key.clone())
            .collect();
        let mut left = share.saturating_mul(BYTES_PER_TOKEN);
        let name = table.name.clone();
        let mut order: Vec<usize> = (0..table.columns.len()).collect();
        order.sort_by_key(|&at| {
            let column = &table.columns[at].name;
            let is_key = keys.contains(column);
            (!is_key && !is_named(&name, column), at)
        });
        let mut kept: Vec<usize> = Vec::new();
        for at in order {
            let column = &table.columns[at];
            let cost = column.name.len() + column.type_name.len() + 4;
            let is_needed = keys.contains(&column.name) || is_named(&name, &column.name);
            if cost <= left || is_needed {
                left = left.saturating_sub(cost);
                kept.push(at);
            }
        }
        kept.sort_unstable();
        table.columns = kept
            .into_iter()
            .map(|at| table.columns[at].clone())
            .collect();
    }
    schema
}

/// The tables as DDL, one line each, with foreign keys; comments and values behind the columns they belong
/// to. Line breaks in what people wrote become spaces, so that nothing of it can pass for an instruction line.
pub fn ddl(schema: &Schema) -> String {
    let mut text = String::new();
    for table in &schema.tables {
        let name = match &table.namespace {
            Some(space) => format!(
                "{}.{}",
                written(schema.dialect, space),
                written(schema.dialect, &table.name)
            ),
            None => written(schema.dialect, &table.name),
        };
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| line(schema, table, column))
            .collect();
        let _ = write!(text, "CREATE TABLE {name} ({});", columns.join(", "));
        if let Some(comment) = &table.comment {
            let _ = write!(text, " -- {}", plain(comment));
        }
        text.push('\n');
    }
    text
}

fn line(schema: &Schema, table: &Table, column: &crate::sql::Column) -> String {
    let dialect = schema.dialect;
    let mut text = written(dialect, &column.name);
    if !column.type_name.is_empty() {
        let _ = write!(text, " {}", column.type_name);
    }
    if table.primary_key == [column.name.clone()] {
        text.push_str(" PRIMARY KEY");
    }
    let key = table
        .foreign_keys
        .iter()
        .find(|key| key.columns == [column.name.clone()]);
    if let Some(key) = key {
        let target = schema
            .table(&key.table)
            .map_or(&key.table, |table| &table.name);
        let _ = write!(text, " REFERENCES {}", written(dialect, target));
        if let [column] = key.references.as_slice() {
            let _ = write!(text, "({})", written(dialect, column));
        }
    }
    let samples: Vec<String> = column
        .samples
        .iter()
        .take(SAMPLES)
        .map(|s| plain(s))
        .collect();
    let mut notes: Vec<String> = column
        .comment
        .iter()
        .map(|comment| plain(comment))
        .collect();
    if !samples.is_empty() {
        notes.push(samples.join(" | "));
    }
    if !notes.is_empty() {
        let _ = write!(text, " /* {} */", notes.join("; "));
    }
    text
}

/// A text on one line that cannot end the comment it stands in.
fn plain(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect();
    text.replace("*/", "* /").replace("```", "'''")
}
