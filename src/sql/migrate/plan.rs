//! Which statements, and in which order.

use std::collections::BTreeSet;

use crate::sql::names::distance;
use crate::sql::{Column, Dialect, ForeignKey, Index, Schema, Table};

use super::details::{Details, Rule};
use super::kinds::{canonical, loss, neutral};
use super::write::{Writer, is_generated, is_serial, mentions};

/// A schema with what its DDL says beyond it.
pub(super) struct Model<'a> {
    dialect: Dialect,
    details: &'a Details,
    tables: Vec<TableModel<'a>>,
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

    fn table(&self, like: &Table) -> Option<&TableModel<'a>> {
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

    fn same(&self, a: &str, b: &str) -> bool {
        match self.dialect {
            Dialect::Postgres => a == b,
            _ => a.eq_ignore_ascii_case(b),
        }
    }
}

impl TableModel<'_> {
    /// Keys, unique sets and checks.
    fn rules(&self) -> Vec<Rule> {
        let table = self.table;
        let primary = (!table.primary_key.is_empty()).then_some(Rule::Primary);
        let uniques = table.uniques.iter().cloned().map(Rule::Unique);
        let checks = table.checks.iter().cloned().map(Rule::Check);
        primary.into_iter().chain(uniques).chain(checks).collect()
    }

    fn has(&self, other: &TableModel<'_>, rule: &Rule) -> bool {
        match rule {
            Rule::Primary => self.table.primary_key == other.table.primary_key,
            _ => self.rules().contains(rule),
        }
    }

    fn has_foreign(&self, key: &Foreign<'_>) -> bool {
        let same = |own: &Foreign<'_>| own.key == key.key && own.actions == key.actions;
        self.foreign.iter().any(same)
    }
}

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

    fn enums(&mut self) {
        for (name, labels) in &self.new.details.enums {
            let Some(before) = self.old.details.enums.get(name) else {
                let list: Vec<String> = labels.iter().map(|label| text(label)).collect();
                self.say(format!(
                    "CREATE TYPE {} AS ENUM ({})",
                    self.write.ident(name),
                    list.join(", ")
                ));
                continue;
            };
            for (at, label) in labels
                .iter()
                .enumerate()
                .filter(|(_, label)| !before.contains(label))
            {
                let place = match at.checked_sub(1) {
                    Some(before) => format!(" AFTER {}", text(&labels[before])),
                    None => format!(
                        " BEFORE {}",
                        text(&before.first().cloned().unwrap_or_default())
                    ),
                };
                self.say(format!(
                    "ALTER TYPE {} ADD VALUE {}{place}",
                    self.write.ident(name),
                    text(label)
                ));
            }
            let gone: Vec<String> = before
                .iter()
                .filter(|label| !labels.contains(label))
                .cloned()
                .collect();
            if !gone.is_empty() {
                self.warn(format!(
                    "the type {name} keeps {}: labels cannot be removed",
                    gone.join(", ")
                ));
            }
        }
    }

    fn drop_enums(&mut self) {
        for name in self.old.details.enums.keys() {
            if !self.new.details.enums.contains_key(name) {
                self.say(format!("DROP TYPE {}", self.write.ident(name)));
            }
        }
    }

    /// Foreign keys that end, or whose target changes its own key.
    fn drop_foreign_keys(&mut self) {
        if !self.alters_rules() {
            return;
        }
        for (old, new) in self.pairs() {
            for key in &old.foreign {
                if !self.stays(new, key) {
                    let rule = Rule::Foreign(key.key.columns.clone());
                    self.say(self.write.drop_rule(old, &rule));
                }
            }
        }
        // Tables that point at each other cannot go one after the other.
        for old in self.removed() {
            for key in &old.foreign {
                if self.is_circular(old, key) {
                    self.say(
                        self.write
                            .drop_rule(old, &Rule::Foreign(key.key.columns.clone())),
                    );
                }
            }
        }
    }

    fn is_circular(&self, old: &TableModel<'_>, key: &Foreign<'_>) -> bool {
        let target = self.target(self.old, key);
        let points_back = |target: &TableModel<'_>| {
            target.foreign.iter().any(|key| {
                self.target(self.old, key)
                    .is_some_and(|back| back.table == old.table)
            })
        };
        target.is_some_and(|target| target.table != old.table && points_back(target))
    }

    fn target<'m>(&self, model: &'m Model<'a>, key: &Foreign<'_>) -> Option<&'m TableModel<'a>> {
        let name = key.key.table.rsplit('.').next().unwrap_or_default();
        model
            .tables
            .iter()
            .find(|table| model.same(&table.table.name, name))
    }

    /// Whether a key of the old table can be left as it is.
    fn stays(&self, new: &TableModel<'_>, key: &Foreign<'_>) -> bool {
        let targets = (self.target(self.old, key), self.target(self.new, key));
        let same_target = match targets {
            (Some(old), Some(new)) => old
                .rules()
                .iter()
                .all(|rule| !matches!(rule, Rule::Primary | Rule::Unique(_)) || new.has(old, rule)),
            (None, None) => true,
            _ => false,
        };
        new.has_foreign(key) && same_target
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

    /// Whether the dialect changes keys and checks of a table that is there.
    fn alters_rules(&self) -> bool {
        !matches!(self.dialect(), Dialect::Sqlite | Dialect::DuckDb)
    }

    fn drop_rules(&mut self) {
        if !self.alters_rules() {
            return;
        }
        for (old, new) in self.pairs() {
            for rule in old.rules().iter().filter(|rule| !new.has(old, rule)) {
                self.say(self.write.drop_rule(old, rule));
            }
        }
    }

    fn add_rules(&mut self) {
        if !self.alters_rules() {
            return;
        }
        for (old, new) in self.pairs() {
            let name = new.table.full_name();
            for rule in new.rules().iter().filter(|rule| !old.has(new, rule)) {
                self.say(self.write.add_rule(new, rule));
                self.warn_rule(&name, rule);
            }
        }
    }

    fn warn_rule(&mut self, table: &str, rule: &Rule) {
        let reason = match rule {
            Rule::Primary => {
                "the new primary key fails where rows share it or have none".to_owned()
            }
            Rule::Unique(columns) => format!(
                "the new unique set fails where rows share {}",
                columns.join(", ")
            ),
            Rule::Check(check) => format!("the new check fails where rows break {check}"),
            Rule::Foreign(columns) => format!(
                "the new foreign key fails where {} points at no row",
                columns.join(", ")
            ),
        };
        self.warn(format!("{table}: {reason}"));
    }

    fn create_tables(&mut self) {
        let order = self.sorted(self.added(), self.new);
        for (at, new) in order.iter().enumerate() {
            let later = self.later(new, &order[at + 1..]);
            let name = self.write.table(new.table);
            self.say(self.write.create_table(new, &name, &later));
        }
    }

    /// Keys of a new table that point at one created after it.
    fn later<'t>(
        &self,
        new: &'t TableModel<'a>,
        after: &[&TableModel<'a>],
    ) -> Vec<&'t Foreign<'a>> {
        if self.dialect() == Dialect::Sqlite {
            return Vec::new();
        }
        let keys = new.foreign.iter().filter(|key| {
            let target = self.target(self.new, key).map(|target| target.table);
            after.iter().any(|other| Some(other.table) == target)
        });
        keys.collect()
    }

    fn add_foreign_keys(&mut self) {
        if !self.alters_rules() {
            return;
        }
        for (old, new) in self.pairs() {
            for key in &new.foreign {
                let is_new = !old.has_foreign(key);
                if is_new || !self.stays(new, key) {
                    self.say(self.write.add_foreign(new, key));
                }
                if is_new {
                    self.warn_rule(
                        &new.table.full_name(),
                        &Rule::Foreign(key.key.columns.clone()),
                    );
                }
            }
        }
        let order = self.sorted(self.added(), self.new);
        for (at, new) in order.iter().enumerate() {
            for key in self.later(new, &order[at + 1..]) {
                self.say(self.write.add_foreign(new, key));
            }
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
                let before = old.and_then(|old| find(old, &column.name)?.comment.as_deref());
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
                if find(new.table, &column.name).is_none() {
                    self.say(self.write.drop_column(old.table, column));
                }
            }
            for column in &new.table.columns {
                match find(old.table, &column.name) {
                    None => self.add_column(new, column),
                    Some(before) => self.change_column(new.table, before, column),
                }
            }
        }
    }

    fn warn_columns(&mut self, old: &Table, new: &Table) {
        let name = new.full_name();
        let added: Vec<&Column> = new
            .columns
            .iter()
            .filter(|c| find(old, &c.name).is_none())
            .collect();
        for column in &old.columns {
            if find(new, &column.name).is_some() {
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
            let Some(before) = find(old, &column.name) else {
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

    fn add_column(&mut self, new: &TableModel<'_>, column: &Column) {
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

    fn change_column(&mut self, table: &Table, old: &Column, new: &Column) {
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

    /// Whether the table has to be made anew because the dialect cannot change it in place.
    fn is_rebuilt(&self, old: &TableModel<'_>, new: &TableModel<'_>) -> bool {
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
            .any(|column| match find(old.table, &column.name) {
                Some(before) => {
                    canonical(dialect, &before.type_name) != canonical(dialect, &column.type_name)
                        || before.nullable != column.nullable
                        || before.default != column.default
                }
                None => !is_simple(column),
            });
        let drops_used = old.table.columns.iter().any(|column| {
            find(new.table, &column.name).is_none()
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
    fn rebuild(&mut self, old: &TableModel<'_>, new: &TableModel<'_>) {
        let temporary = Table {
            name: format!("{}__new", new.table.name),
            ..new.table.clone()
        };
        let temporary = self.write.table(&temporary);
        self.say(self.write.create_table(new, &temporary, &[]));
        let mut targets = Vec::new();
        let mut values = Vec::new();
        for column in &new.table.columns {
            let before = find(old.table, &column.name);
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

/// Whether one may be the other under a new name.
fn is_like(old: &Column, new: &Column) -> bool {
    let most = old.name.len().max(new.name.len()) / 2;
    let shared = BTreeSet::from_iter(old.name.split('_'))
        .intersection(&BTreeSet::from_iter(new.name.split('_')))
        .count();
    old.kind == new.kind && (shared > 0 || distance(&old.name, &new.name, most).is_some())
}

fn find<'t>(table: &'t Table, name: &str) -> Option<&'t Column> {
    table.column(name)
}

fn text(label: &str) -> String {
    format!("'{}'", label.replace('\'', "''"))
}
