//! A schema as migrations compare it.

use crate::sql::{Dialect, ForeignKey, Schema, Table};

use super::details::{Details, Rule};

/// A schema with what its DDL says beyond it.
pub(super) struct Model<'a> {
    pub(super) dialect: Dialect,
    pub(super) details: &'a Details,
    pub(super) tables: Vec<TableModel<'a>>,
}

/// One of its tables.
pub(super) struct TableModel<'a> {
    pub(super) table: &'a Table,
    pub(super) details: &'a Details,
    pub(super) foreign: Vec<Foreign<'a>>,
}

/// A foreign key with its name and actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreign<'a> {
    pub(super) key: &'a ForeignKey,
    pub(super) actions: &'a str,
    pub(super) name: Option<&'a str>,
}

impl<'a> Model<'a> {
    pub(super) fn new(schema: &'a Schema, details: &'a Details) -> Model<'a> {
        let tables = schema.tables.iter().map(|table| {
            let foreign = table.foreign_keys.iter().map(|key| Foreign {
                key,
                actions: details.actions(&table.name, &key.columns),
                name: details.name(&table.name, &Rule::Foreign(key.columns.clone())),
            });
            TableModel {
                table,
                details,
                foreign: foreign.collect(),
            }
        });
        Model {
            dialect: schema.dialect,
            details,
            tables: tables.collect(),
        }
    }

    pub(super) fn table(&self, like: &Table) -> Option<&TableModel<'a>> {
        let space = |table: &Table| {
            let own = table.namespace.clone().unwrap_or_default().to_lowercase();
            if matches!(own.as_str(), "public" | "dbo" | "main") {
                String::new()
            } else {
                own
            }
        };
        self.tables.iter().find(|other| {
            self.same(&other.table.name, &like.name) && space(other.table) == space(like)
        })
    }

    pub(super) fn same(&self, a: &str, b: &str) -> bool {
        match self.dialect {
            Dialect::Postgres => a == b,
            _ => a.eq_ignore_ascii_case(b),
        }
    }
}

impl TableModel<'_> {
    /// Keys, unique sets and checks.
    pub(super) fn rules(&self) -> Vec<Rule> {
        let table = self.table;
        let primary = (!table.primary_key.is_empty()).then_some(Rule::Primary);
        let uniques = table.uniques.iter().cloned().map(Rule::Unique);
        let checks = table.checks.iter().cloned().map(Rule::Check);
        primary.into_iter().chain(uniques).chain(checks).collect()
    }

    pub(super) fn has(&self, other: &TableModel<'_>, rule: &Rule) -> bool {
        match rule {
            Rule::Primary => self.table.primary_key == other.table.primary_key,
            _ => self.rules().contains(rule),
        }
    }

    pub(super) fn has_foreign(&self, key: &Foreign<'_>) -> bool {
        let same = |own: &Foreign<'_>| own.key == key.key && own.actions == key.actions;
        self.foreign.iter().any(same)
    }
}
