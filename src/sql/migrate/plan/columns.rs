//! Columns of a table that stays.

use std::collections::BTreeSet;

use super::Planner;
use crate::sql::migrate::details::Rule;
use crate::sql::migrate::kinds::{canonical, loss, neutral};
use crate::sql::migrate::model::TableModel;
use crate::sql::migrate::write::{is_generated, is_serial, mentions};
use crate::sql::names::distance;
use crate::sql::{Column, Dialect, Table};

impl Planner<'_, '_> {
    pub(super) fn warn_columns(&mut self, old: &Table, new: &Table) {
        let name = new.full_name();
        let added: Vec<&Column> = new
            .columns
            .iter()
            .filter(|c| old.column(&c.name).is_none())
            .collect();
        for column in &old.columns {
            if new.column(&column.name).is_some() {
                continue;
            }
            self.plan.drops_data = true;
            let renamed = added.iter().find(|other| is_like(column, other));
            let hint = renamed.map_or(String::new(), |other| {
                format!("; if it is now called {}, rename it instead", other.name)
            });
            self.warn(format!(
                "column {name}.{} is dropped with its values{hint}",
                column.name
            ));
        }
        for column in &new.columns {
            let Some(before) = old.column(&column.name) else {
                continue;
            };
            if canonical(self.dialect(), &before.type_name)
                == canonical(self.dialect(), &column.type_name)
            {
                continue;
            }
            if let Some(reason) = loss(self.dialect(), before, column) {
                let (from, to) = (&before.type_name, &column.type_name);
                self.warn(format!(
                    "{name}.{} changes from {from} to {to}: {reason}",
                    column.name
                ));
            }
        }
    }

    pub(super) fn add_column(&mut self, new: &TableModel<'_>, column: &Column) {
        let table = new.table;
        if column.nullable || column.default.is_some() {
            self.say(self.write.add_column(table, column));
            return;
        }
        let place = format!("{}.{}", table.full_name(), column.name);
        let is_key = new.rules().iter().any(|rule| match rule {
            Rule::Primary => table.primary_key.contains(&column.name),
            Rule::Unique(columns) => columns.contains(&column.name),
            Rule::Check(check) => mentions(check, &column.name),
            Rule::Foreign(_) => false,
        });
        let points = new
            .foreign
            .iter()
            .any(|key| key.key.columns.contains(&column.name));
        let filler = neutral(column.kind, self.dialect()).filter(|_| !is_key && !points);
        let Some(filler) = filler else {
            self.say(self.write.add_column(table, column));
            self.warn(format!(
                "{place} is added as NOT NULL without a default: that fails if the table has rows"
            ));
            return;
        };
        let open = Column {
            nullable: true,
            ..column.clone()
        };
        self.say(self.write.add_column(table, &open));
        self.say(self.write.fill(table, column, filler));
        self.require(table, column);
        self.warn(format!(
            "{place} is added as NOT NULL without a default: rows that are there get {filler}"
        ));
    }

    /// Makes a column `NOT NULL`.
    fn require(&mut self, table: &Table, column: &Column) {
        let said = match self.dialect() {
            Dialect::MySql | Dialect::MsSql => self.write.redefine(table, column),
            _ => self.write.set_nullable(table, column),
        };
        self.say(said);
    }

    pub(super) fn change_column(&mut self, table: &Table, old: &Column, new: &Column) {
        let dialect = self.dialect();
        let changes_type = canonical(dialect, &old.type_name) != canonical(dialect, &new.type_name);
        let changes_null = old.nullable != new.nullable;
        let changes_default = old.default != new.default;
        if changes_null && !new.nullable {
            self.fill_nulls(table, new);
        }
        match dialect {
            Dialect::MySql => {
                if changes_type || changes_null || changes_default {
                    self.say(self.write.redefine(table, new));
                }
            }
            Dialect::MsSql => {
                if changes_default && old.default.is_some() {
                    self.say(self.write.drop_default(table, old));
                    self.warn(format!(
                        "SQL Server names defaults itself: look up the name of the one of {}.{} before dropping it",
                        table.name, new.name
                    ));
                }
                if changes_type || changes_null {
                    self.say(self.write.redefine(table, new));
                }
                if let Some(default) = new.default.as_deref().filter(|_| changes_default) {
                    self.say(self.write.set_default(table, new, default));
                }
            }
            _ => self.change_step_by_step(table, old, new),
        }
    }

    fn fill_nulls(&mut self, table: &Table, column: &Column) {
        let place = format!("{}.{}", table.full_name(), column.name);
        let filler = column
            .default
            .as_deref()
            .filter(|text| !is_generated(text) && !is_serial(column));
        match filler {
            Some(default) => {
                self.say(self.write.fill(table, column, default));
                self.warn(format!(
                    "{place} becomes NOT NULL: rows without a value get its default"
                ));
            }
            None => self.warn(format!(
                "{place} becomes NOT NULL: that fails where it is NULL"
            )),
        }
    }

    /// PostgreSQL and its kin change type, default and `NOT NULL` one at a time.
    fn change_step_by_step(&mut self, table: &Table, old: &Column, new: &Column) {
        let dialect = self.dialect();
        let changes_type = canonical(dialect, &old.type_name) != canonical(dialect, &new.type_name);
        // A default of the old type may not fit the new one.
        let converts = changes_type && old.kind != new.kind;
        let changes_default = old.default != new.default || (converts && old.default.is_some());
        if changes_default && old.default.is_some() {
            self.say(self.write.drop_default(table, old));
            if is_serial(old) && !is_serial(new) {
                self.say(format!("DROP SEQUENCE {}", self.sequence(table, old)));
            }
        }
        if changes_type {
            self.say(self.write.set_type(table, new, converts));
        }
        if old.nullable != new.nullable {
            self.say(self.write.set_nullable(table, new));
        }
        if let Some(default) = new.default.as_deref().filter(|_| changes_default) {
            if is_serial(new) && !is_serial(old) {
                let (sequence, name) = (self.sequence(table, new), self.write.ident(&new.name));
                let owner = format!("{}.{name}", self.write.table(table));
                self.say(format!("CREATE SEQUENCE {sequence} OWNED BY {owner}"));
                self.say(format!(
                    "SELECT setval('{}', COALESCE(MAX({name}), 0) + 1, false) FROM {}",
                    sequence.replace('\'', "''"),
                    self.write.table(table)
                ));
            }
            self.say(self.write.set_default(table, new, default));
        }
    }

    fn sequence(&self, table: &Table, column: &Column) -> String {
        self.write
            .ident(&format!("{}_{}_seq", table.name, column.name))
    }
}

/// Whether one may be the other under a new name.
fn is_like(old: &Column, new: &Column) -> bool {
    let most = old.name.len().max(new.name.len()) / 2;
    let shared = BTreeSet::from_iter(old.name.split('_'))
        .intersection(&BTreeSet::from_iter(new.name.split('_')))
        .count();
    old.kind == new.kind && (shared > 0 || distance(&old.name, &new.name, most).is_some())
}
