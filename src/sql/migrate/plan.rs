//! Which statements, and in which order.

mod columns;
mod enums;
mod rebuild;
mod rules;

use crate::sql::{Dialect, Index};

use super::details::Details;
use super::model::{Foreign, Model, TableModel};
use super::write::Writer;

/// What was planned.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) statements: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) drops_data: bool,
}

/// The statements that make `new` out of `old`.
pub(super) fn plan(old: &Model<'_>, new: &Model<'_>) -> Plan {
    let mut planner = Planner {
        old,
        new,
        write: Writer {
            dialect: new.dialect,
        },
        plan: Plan::default(),
    };
    planner.enums();
    planner.drop_foreign_keys();
    planner.drop_indexes();
    planner.drop_tables();
    planner.drop_rules();
    planner.create_tables();
    planner.change_tables();
    planner.add_rules();
    planner.add_foreign_keys();
    planner.create_indexes();
    planner.comments();
    planner.drop_enums();
    planner.finish()
}

struct Planner<'p, 'a> {
    old: &'p Model<'a>,
    new: &'p Model<'a>,
    write: Writer,
    plan: Plan,
}

impl<'p, 'a> Planner<'p, 'a> {
    fn say(&mut self, statement: String) {
        self.plan.statements.push(statement);
    }

    fn warn(&mut self, warning: String) {
        if !self.plan.warnings.contains(&warning) {
            self.plan.warnings.push(warning);
        }
    }

    fn dialect(&self) -> Dialect {
        self.write.dialect
    }

    /// SQLite checks foreign keys while a table is exchanged unless told not to.
    fn finish(mut self) -> Plan {
        let exchanges = |sql: &String| sql.starts_with("DROP TABLE");
        if self.dialect() == Dialect::Sqlite && self.plan.statements.iter().any(exchanges) {
            self.plan
                .statements
                .insert(0, "PRAGMA foreign_keys = 0".to_owned());
            self.plan
                .statements
                .push("PRAGMA foreign_keys = 1".to_owned());
        }
        self.plan
    }

    /// Tables that both have.
    fn pairs(&self) -> Vec<(&'p TableModel<'a>, &'p TableModel<'a>)> {
        let pairs = self
            .new
            .tables
            .iter()
            .filter_map(|new| Some((self.old.table(new.table)?, new)));
        pairs.collect()
    }

    fn added(&self) -> Vec<&'p TableModel<'a>> {
        self.new
            .tables
            .iter()
            .filter(|new| self.old.table(new.table).is_none())
            .collect()
    }

    fn removed(&self) -> Vec<&'p TableModel<'a>> {
        self.old
            .tables
            .iter()
            .filter(|old| self.new.table(old.table).is_none())
            .collect()
    }

    fn target<'m>(&self, model: &'m Model<'a>, key: &Foreign<'_>) -> Option<&'m TableModel<'a>> {
        let name = key.key.table.rsplit('.').next().unwrap_or_default();
        model
            .tables
            .iter()
            .find(|table| model.same(&table.table.name, name))
    }

    fn drop_indexes(&mut self) {
        for (old, new) in self.pairs() {
            if self.is_rebuilt(old, new) {
                continue;
            }
            for index in &old.table.indexes {
                if !self.has_index(new, old, index) {
                    self.say(self.write.drop_index(old.table, index));
                }
            }
        }
    }

    fn has_index(&self, table: &TableModel<'_>, from: &TableModel<'_>, index: &Index) -> bool {
        let wanted = super::write::index_name(from.table, index);
        let found = table.table.indexes.iter().find(|own| {
            own.columns == index.columns
                && own.unique == index.unique
                && super::write::index_name(table.table, own).eq_ignore_ascii_case(&wanted)
        });
        let definition = |details: &Details| details.indexes.get(&wanted.to_lowercase()).cloned();
        found.is_some() && definition(table.details) == definition(from.details)
    }

    fn drop_tables(&mut self) {
        let mut order = self.sorted(self.removed(), self.old);
        order.reverse();
        for old in order {
            self.say(self.write.drop_table(old.table));
            self.plan.drops_data = true;
            self.warn(format!(
                "table {} is dropped with all its rows",
                old.table.full_name()
            ));
        }
    }

    /// Tables after those that their foreign keys point at, as far as there are no circles.
    fn sorted(
        &self,
        tables: Vec<&'p TableModel<'a>>,
        model: &Model<'a>,
    ) -> Vec<&'p TableModel<'a>> {
        let mut waiting = tables;
        let mut order: Vec<&'p TableModel<'a>> = Vec::new();
        while !waiting.is_empty() {
            let is_free = |table: &&TableModel<'a>| {
                table.foreign.iter().all(|key| {
                    let target = self.target(model, key).map(|target| target.table);
                    let own = target == Some(table.table);
                    own || !waiting.iter().any(|other| Some(other.table) == target)
                })
            };
            let at = waiting.iter().position(is_free).unwrap_or(0);
            order.push(waiting.remove(at));
        }
        order
    }

    fn create_tables(&mut self) {
        let order = self.sorted(self.added(), self.new);
        for (at, new) in order.iter().enumerate() {
            let later = self.later(new, &order[at + 1..]);
            let name = self.write.table(new.table);
            self.say(self.write.create_table(new, &name, &later));
        }
    }

    fn create_indexes(&mut self) {
        for new in &self.new.tables {
            let old = self.old.table(new.table);
            let rebuilt = old.is_some_and(|old| self.is_rebuilt(old, new));
            for index in &new.table.indexes {
                let is_there = old.is_some_and(|old| !rebuilt && self.has_index(old, new, index));
                if is_there {
                    continue;
                }
                let name = super::write::index_name(new.table, index).to_lowercase();
                let given = new.details.indexes.get(&name).cloned();
                self.say(given.unwrap_or_else(|| self.write.create_index(new.table, index)));
            }
        }
    }

    fn comments(&mut self) {
        for new in &self.new.tables {
            let old = self.old.table(new.table).map(|old| old.table);
            let before = old.and_then(|old| old.comment.as_deref());
            if before != new.table.comment.as_deref() {
                let said = self
                    .write
                    .comment(new.table, None, new.table.comment.as_deref());
                self.plan.statements.extend(said);
            }
            for column in &new.table.columns {
                let before = old.and_then(|old| old.column(&column.name)?.comment.as_deref());
                if before != column.comment.as_deref() {
                    let said =
                        self.write
                            .comment(new.table, Some(column), column.comment.as_deref());
                    self.plan.statements.extend(said);
                }
            }
        }
    }

    fn change_tables(&mut self) {
        for (old, new) in self.pairs() {
            self.warn_columns(old.table, new.table);
            if self.is_rebuilt(old, new) {
                self.rebuild(old, new);
                continue;
            }
            for column in &old.table.columns {
                if new.table.column(&column.name).is_none() {
                    self.say(self.write.drop_column(old.table, column));
                }
            }
            for column in &new.table.columns {
                match old.table.column(&column.name) {
                    None => self.add_column(new, column),
                    Some(before) => self.change_column(new.table, before, column),
                }
            }
        }
    }
}
