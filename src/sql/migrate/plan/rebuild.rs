//! Tables that are made anew.

use super::Planner;
use crate::sql::migrate::kinds::{canonical, neutral};
use crate::sql::migrate::model::TableModel;
use crate::sql::migrate::write::{is_generated, mentions};
use crate::sql::{Column, Dialect, Table};

impl Planner<'_, '_> {
    /// Whether the table has to be made anew because the dialect cannot change it in place.
    pub(super) fn is_rebuilt(&self, old: &TableModel<'_>, new: &TableModel<'_>) -> bool {
        if self.alters_rules() {
            return false;
        }
        let rules = |a: &TableModel<'_>, b: &TableModel<'_>| {
            a.rules().iter().all(|rule| b.has(a, rule))
                && a.foreign.iter().all(|key| b.has_foreign(key))
        };
        if !rules(old, new) || !rules(new, old) {
            return true;
        }
        let dialect = self.dialect();
        if dialect == Dialect::DuckDb {
            return false;
        }
        let changes = new
            .table
            .columns
            .iter()
            .any(|column| match old.table.column(&column.name) {
                Some(before) => {
                    canonical(dialect, &before.type_name) != canonical(dialect, &column.type_name)
                        || before.nullable != column.nullable
                        || before.default != column.default
                }
                None => !is_simple(column),
            });
        let drops_used = old.table.columns.iter().any(|column| {
            new.table.column(&column.name).is_none()
                && (old
                    .table
                    .indexes
                    .iter()
                    .any(|i| i.columns.iter().any(|part| mentions(part, &column.name)))
                    || old
                        .table
                        .checks
                        .iter()
                        .any(|check| mentions(check, &column.name)))
        });
        changes || drops_used
    }

    /// Makes the table anew and moves its rows.
    pub(super) fn rebuild(&mut self, old: &TableModel<'_>, new: &TableModel<'_>) {
        let temporary = Table {
            name: format!("{}__new", new.table.name),
            ..new.table.clone()
        };
        let temporary = self.write.table(&temporary);
        self.say(self.write.create_table(new, &temporary, &[]));
        let mut targets = Vec::new();
        let mut values = Vec::new();
        for column in &new.table.columns {
            let before = old.table.column(&column.name);
            if let Some(value) = self.moved(new.table, before, column) {
                targets.push(self.write.ident(&column.name));
                values.push(value);
            }
        }
        for rule in new.rules().iter().filter(|rule| !old.has(new, rule)) {
            self.warn_rule(&new.table.full_name(), rule);
        }
        let (own, name) = (
            self.write.table(old.table),
            self.write.ident(&new.table.name),
        );
        if !targets.is_empty() {
            let (targets, values) = (targets.join(", "), values.join(", "));
            self.say(format!(
                "INSERT INTO {temporary} ({targets}) SELECT {values} FROM {own}"
            ));
        }
        self.say(self.write.drop_table(old.table));
        self.say(format!("ALTER TABLE {temporary} RENAME TO {name}"));
    }

    /// What a row of the new table holds; nothing where its default does.
    fn moved(&mut self, table: &Table, before: Option<&Column>, column: &Column) -> Option<String> {
        let name = self.write.ident(&column.name);
        let place = format!("{}.{}", table.full_name(), column.name);
        let default = column.default.as_deref().filter(|text| !is_generated(text));
        match before {
            Some(before) if before.nullable && !column.nullable => match default {
                Some(default) => {
                    self.warn(format!(
                        "{place} becomes NOT NULL: rows without a value get its default"
                    ));
                    Some(format!("COALESCE({name}, {default})"))
                }
                None => {
                    self.warn(format!(
                        "{place} becomes NOT NULL: that fails where it is NULL"
                    ));
                    Some(name)
                }
            },
            Some(_) => Some(name),
            None if column.nullable || column.default.is_some() => None,
            None => {
                let filler = neutral(column.kind, self.dialect());
                self.warn(match filler {
                    Some(filler) => format!("{place} is added as NOT NULL without a default: rows that are there get {filler}"),
                    None => format!("{place} is added as NOT NULL without a default: that fails if the table has rows"),
                });
                filler.map(str::to_owned)
            }
        }
    }
}

/// Whether SQLite can add the column to a table with rows.
fn is_simple(column: &Column) -> bool {
    let is_constant = |text: &str| {
        let upper = text.to_uppercase();
        !upper.starts_with("CURRENT_") && !text.contains('(') && !is_generated(text)
    };
    match column.default.as_deref() {
        Some(default) => {
            is_constant(default) && (column.nullable || !default.eq_ignore_ascii_case("null"))
        }
        None => column.nullable,
    }
}
