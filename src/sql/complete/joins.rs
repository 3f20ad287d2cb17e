//! Joins along foreign keys.

use crate::sql::names::{words, written};
use crate::sql::{ForeignKey, Schema, Table};

use super::relations::Relation;

/// A table that can be joined.
pub(super) struct Join {
    /// Its name in the schema.
    pub(super) name: String,
    /// As the statement must write it, with an alias where one is wanted.
    pub(super) table: String,
    pub(super) condition: String,
    /// What the join follows.
    pub(super) detail: String,
}

/// Tables that foreign keys link to those in scope.
pub(super) fn tables(schema: &Schema, relations: &[&Relation<'_>]) -> Vec<Join> {
    let mut joins = Vec::new();
    for relation in relations {
        let Some(own) = relation.table else { continue };
        for key in &own.foreign_keys {
            if let Some(target) = schema.table(&key.table) {
                joins.push(join(
                    schema,
                    relations,
                    relation,
                    target,
                    key,
                    Direction::Out,
                ));
            }
        }
        for other in &schema.tables {
            let keys = other
                .foreign_keys
                .iter()
                .filter(|key| points_at(schema, key, own));
            joins.extend(
                keys.map(|key| join(schema, relations, relation, other, key, Direction::In)),
            );
        }
    }
    joins
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    /// The key is in the table in scope.
    Out,
    /// The key is in the table to join.
    In,
}

/// Whether the key is one to the table. Names are compared before the schema is searched, which costs more.
fn points_at(schema: &Schema, key: &ForeignKey, table: &Table) -> bool {
    let name = key.table.rsplit('.').next().unwrap_or(&key.table);
    name.eq_ignore_ascii_case(&table.name)
        && schema
            .table(&key.table)
            .is_some_and(|target| std::ptr::eq(target, table))
}

fn join(
    schema: &Schema,
    relations: &[&Relation<'_>],
    relation: &Relation<'_>,
    target: &Table,
    key: &ForeignKey,
    direction: Direction,
) -> Join {
    let taken = |name: &str| relations.iter().any(|r| r.name.eq_ignore_ascii_case(name));
    let uses_aliases = relations
        .iter()
        .any(|r| r.table.is_some_and(|table| table.name != r.name));
    let alias = (uses_aliases || taken(&target.name)).then(|| alias(&target.name, taken));
    let table = super::table_text(schema, target);
    let known_as = alias.clone().unwrap_or_else(|| target.name.clone());
    let condition = match direction {
        Direction::Out => condition(
            schema,
            &relation.name,
            &key.columns,
            &known_as,
            &key.references,
        ),
        Direction::In => condition(
            schema,
            &known_as,
            &key.columns,
            &relation.name,
            &key.references,
        ),
    };
    Join {
        name: target.name.clone(),
        table: alias.map_or(table.clone(), |alias| format!("{table} {alias}")),
        condition,
        detail: format!("{}({})", key.table, key.references.join(", ")),
    }
}

/// The first letters of the table's words, with a number if they are taken.
fn alias(table: &str, taken: impl Fn(&str) -> bool) -> String {
    let initials: String = words(table)
        .iter()
        .filter_map(|word| word.chars().next())
        .collect();
    let initials = if initials.is_empty() {
        "t".to_owned()
    } else {
        initials
    };
    let is_free = |name: &String| !taken(name) && !crate::sql::names::is_reserved(name);
    let numbered = (2..).map(|number| format!("{initials}{number}"));
    std::iter::once(initials.clone())
        .chain(numbered)
        .find(is_free)
        .unwrap_or(initials)
}

fn condition(
    schema: &Schema,
    left: &str,
    columns: &[String],
    right: &str,
    references: &[String],
) -> String {
    let side = |table: &str, column: &str| {
        format!(
            "{}.{}",
            written(schema.dialect, table),
            written(schema.dialect, column)
        )
    };
    let pairs = columns.iter().zip(references);
    let parts = pairs
        .map(|(column, reference)| format!("{} = {}", side(left, column), side(right, reference)));
    parts.collect::<Vec<_>>().join(" AND ")
}

/// Conditions that join the last table in scope to those before it.
pub(super) fn conditions(schema: &Schema, relations: &[&Relation<'_>]) -> Vec<String> {
    let Some((last, others)) = relations.split_last() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for other in others.iter().rev() {
        let (Some(table), Some(other_table)) = (last.table, other.table) else {
            continue;
        };
        for key in table
            .foreign_keys
            .iter()
            .filter(|key| points_at(schema, key, other_table))
        {
            found.push(condition(
                schema,
                &last.name,
                &key.columns,
                &other.name,
                &key.references,
            ));
        }
        for key in other_table
            .foreign_keys
            .iter()
            .filter(|key| points_at(schema, key, table))
        {
            found.push(condition(
                schema,
                &other.name,
                &key.columns,
                &last.name,
                &key.references,
            ));
        }
    }
    found
}
