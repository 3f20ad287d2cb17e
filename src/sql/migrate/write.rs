//! Single statements in a dialect.

use crate::sql::names::written;
use crate::sql::{Column, Dialect, Kind, Table};

use super::details::Rule;
use super::model::{Foreign, TableModel};

/// Writes statements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    pub(super) dialect: Dialect,
}

impl Writer {
    pub(super) fn ident(self, name: &str) -> String {
        written(self.dialect, name)
    }

    pub(super) fn idents(self, names: &[String]) -> String {
        let names: Vec<String> = names.iter().map(|name| self.ident(name)).collect();
        names.join(", ")
    }

    /// Parts of an index: names, or expressions as they are.
    fn parts(self, parts: &[String], table: &Table) -> String {
        let parts = parts.iter().map(|part| match table.column(part) {
            Some(column) => self.ident(&column.name),
            None if is_call(part) => part.clone(),
            None => format!("({part})"),
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn table(self, table: &Table) -> String {
        let name = self.ident(&table.name);
        match &table.namespace {
            Some(namespace) => format!("{}.{name}", self.ident(namespace)),
            None => name,
        }
    }

    /// A name as it stands in `REFERENCES`: `name`, or `namespace.name`.
    fn reference(self, name: &str) -> String {
        let parts: Vec<String> = name.split('.').map(|part| self.ident(part)).collect();
        parts.join(".")
    }

    fn alter(self, table: &Table, action: &str) -> String {
        format!("ALTER TABLE {} {action}", self.table(table))
    }

    /// `without` are foreign keys that are added later.
    pub(super) fn create_table(
        self,
        model: &TableModel<'_>,
        name: &str,
        without: &[&Foreign<'_>],
    ) -> String {
        let table = model.table;
        let inline_key = self.inline_key(table);
        let columns = table.columns.iter().map(|column| {
            let key = inline_key.filter(|_| table.primary_key.contains(&column.name));
            self.column(column, key.unwrap_or_default())
        });
        let mut parts: Vec<String> = columns.collect();
        if !table.primary_key.is_empty() && inline_key.is_none() {
            parts.push(self.rule(model, &Rule::Primary));
        }
        parts.extend(
            table
                .uniques
                .iter()
                .map(|columns| self.rule(model, &Rule::Unique(columns.clone()))),
        );
        let early = model.foreign.iter().filter(|key| !without.contains(key));
        parts.extend(early.map(|key| self.foreign(key)));
        parts.extend(
            table
                .checks
                .iter()
                .map(|check| self.rule(model, &Rule::Check(check.clone()))),
        );
        format!("CREATE TABLE {name} (\n  {}\n)", parts.join(",\n  "))
    }

    /// A key of one whole number is the row's own number in SQLite, which is never null, and counts up by itself
    /// only where the column says so.
    fn inline_key(self, table: &Table) -> Option<&'static str> {
        let [key] = table.primary_key.as_slice() else {
            return None;
        };
        let column = table.column(key)?;
        if self.dialect != Dialect::Sqlite || column.kind != Kind::Integer {
            return None;
        }
        let counts = column
            .default
            .as_deref()
            .is_some_and(|text| text.to_uppercase().starts_with("AUTO"));
        Some(if counts {
            " PRIMARY KEY AUTOINCREMENT"
        } else {
            " PRIMARY KEY"
        })
    }

    /// A column's definition; `key` comes after its type.
    pub(super) fn column(self, column: &Column, key: &str) -> String {
        let gap = if column.type_name.is_empty() { "" } else { " " };
        let mut text = format!("{}{gap}{}{key}", self.ident(&column.name), column.type_name);
        let default = column
            .default
            .as_deref()
            .filter(|_| key.is_empty() && !is_serial(column));
        match default {
            Some(generated) if is_generated(generated) => text.push_str(&format!(" {generated}")),
            Some(default) => text.push_str(&format!(" DEFAULT {}", self.default(default))),
            None => {}
        }
        if !column.nullable && key.is_empty() && !is_serial(column) {
            text.push_str(" NOT NULL");
        }
        text
    }

    /// SQLite wants brackets around a default that is more than a literal.
    fn default(self, default: &str) -> String {
        let is_word = |text: &str| {
            text.chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+'))
        };
        let is_text = default.starts_with('\'') && default.ends_with('\'');
        match self.dialect {
            Dialect::Sqlite if !is_word(default) && !is_text && !default.starts_with('(') => {
                format!("({default})")
            }
            _ => default.to_owned(),
        }
    }

    /// A constraint as it stands in a table, with its name if it has one.
    fn rule(self, model: &TableModel<'_>, rule: &Rule) -> String {
        let body = match rule {
            Rule::Primary if self.dialect == Dialect::BigQuery => {
                format!(
                    "PRIMARY KEY ({}) NOT ENFORCED",
                    self.idents(&model.table.primary_key)
                )
            }
            Rule::Primary => format!("PRIMARY KEY ({})", self.idents(&model.table.primary_key)),
            Rule::Unique(columns) => format!("UNIQUE ({})", self.idents(columns)),
            Rule::Check(check) => format!("CHECK ({check})"),
            Rule::Foreign(_) => String::new(),
        };
        match model.details.name(&model.table.name, rule) {
            Some(name) => format!("CONSTRAINT {} {body}", self.ident(name)),
            None => body,
        }
    }

    fn foreign(self, key: &Foreign<'_>) -> String {
        let references = match key.key.references.is_empty() {
            true => String::new(),
            false => format!(" ({})", self.idents(&key.key.references)),
        };
        let enforced = if self.dialect == Dialect::BigQuery {
            " NOT ENFORCED"
        } else {
            ""
        };
        let body = format!(
            "FOREIGN KEY ({}) REFERENCES {}{references}{}{enforced}",
            self.idents(&key.key.columns),
            self.reference(&key.key.table),
            key.actions
        );
        match key.name {
            Some(name) => format!("CONSTRAINT {} {body}", self.ident(name)),
            None => body,
        }
    }

    pub(super) fn drop_table(self, table: &Table) -> String {
        format!("DROP TABLE {}", self.table(table))
    }

    pub(super) fn add_rule(self, model: &TableModel<'_>, rule: &Rule) -> String {
        self.alter(model.table, &format!("ADD {}", self.rule(model, rule)))
    }

    pub(super) fn add_foreign(self, model: &TableModel<'_>, key: &Foreign<'_>) -> String {
        self.alter(model.table, &format!("ADD {}", self.foreign(key)))
    }

    pub(super) fn drop_rule(self, model: &TableModel<'_>, rule: &Rule) -> String {
        let table = model.table;
        let name = self.rule_name(model, rule);
        let name = self.ident(&name);
        let action = match (self.dialect, rule) {
            (Dialect::MySql, Rule::Primary) => "DROP PRIMARY KEY".to_owned(),
            (Dialect::MySql, Rule::Unique(_)) => format!("DROP INDEX {name}"),
            (Dialect::MySql, Rule::Foreign(_)) => format!("DROP FOREIGN KEY {name}"),
            (Dialect::BigQuery, Rule::Primary) => "DROP PRIMARY KEY".to_owned(),
            _ => format!("DROP CONSTRAINT {name}"),
        };
        self.alter(table, &action)
    }

    /// The given name, or the one that the database makes up.
    fn rule_name(self, model: &TableModel<'_>, rule: &Rule) -> String {
        let table = &model.table.name;
        if let Some(name) = model.details.name(table, rule) {
            return name.to_owned();
        }
        match (self.dialect, rule) {
            (Dialect::MySql, Rule::Unique(columns)) => columns.first().cloned().unwrap_or_default(),
            (Dialect::MySql, Rule::Foreign(columns)) => {
                let place = model
                    .table
                    .foreign_keys
                    .iter()
                    .position(|key| key.columns == *columns);
                format!("{table}_ibfk_{}", place.unwrap_or(0) + 1)
            }
            (Dialect::MySql, Rule::Check(check)) => {
                let place = model.table.checks.iter().position(|other| other == check);
                format!("{table}_chk_{}", place.unwrap_or(0) + 1)
            }
            (_, Rule::Primary) => format!("{table}_pkey"),
            (_, Rule::Unique(columns)) => format!("{table}_{}_key", columns.join("_")),
            (_, Rule::Foreign(columns)) => format!("{table}_{}_fkey", columns.join("_")),
            (_, Rule::Check(check)) => {
                let named = model
                    .table
                    .columns
                    .iter()
                    .filter(|column| mentions(check, &column.name));
                let named: Vec<&str> = named.map(|column| column.name.as_str()).collect();
                match named.as_slice() {
                    [only] => format!("{table}_{only}_check"),
                    _ => format!("{table}_check"),
                }
            }
        }
    }

    pub(super) fn add_column(self, table: &Table, column: &Column) -> String {
        let keyword = if self.dialect == Dialect::MsSql {
            "ADD"
        } else {
            "ADD COLUMN"
        };
        self.alter(table, &format!("{keyword} {}", self.column(column, "")))
    }

    pub(super) fn drop_column(self, table: &Table, column: &Column) -> String {
        self.alter(table, &format!("DROP COLUMN {}", self.ident(&column.name)))
    }

    /// The whole definition anew, as MySQL and SQL Server want it.
    pub(super) fn redefine(self, table: &Table, column: &Column) -> String {
        match self.dialect {
            Dialect::MsSql => {
                let null = if column.nullable { "NULL" } else { "NOT NULL" };
                let name = self.ident(&column.name);
                self.alter(
                    table,
                    &format!("ALTER COLUMN {name} {} {null}", column.type_name),
                )
            }
            _ => self.alter(table, &format!("MODIFY COLUMN {}", self.column(column, ""))),
        }
    }

    pub(super) fn set_type(self, table: &Table, column: &Column, converts: bool) -> String {
        let name = self.ident(&column.name);
        let type_name = plain_type(&column.type_name);
        let using = match (self.dialect, converts) {
            (Dialect::Postgres, true) => format!(" USING {name}::{type_name}"),
            _ => String::new(),
        };
        let set = if self.dialect == Dialect::BigQuery {
            "SET DATA TYPE"
        } else {
            "TYPE"
        };
        self.alter(
            table,
            &format!("ALTER COLUMN {name} {set} {type_name}{using}"),
        )
    }

    pub(super) fn set_nullable(self, table: &Table, column: &Column) -> String {
        let verb = if column.nullable { "DROP" } else { "SET" };
        self.alter(
            table,
            &format!("ALTER COLUMN {} {verb} NOT NULL", self.ident(&column.name)),
        )
    }

    pub(super) fn drop_default(self, table: &Table, column: &Column) -> String {
        let name = self.ident(&column.name);
        let action = match column.default.as_deref() {
            Some(text) if is_generated(text) => format!("ALTER COLUMN {name} DROP IDENTITY"),
            _ if self.dialect == Dialect::MsSql => {
                format!(
                    "DROP CONSTRAINT {}",
                    self.ident(&default_name(table, column))
                )
            }
            _ => format!("ALTER COLUMN {name} DROP DEFAULT"),
        };
        self.alter(table, &action)
    }

    pub(super) fn set_default(self, table: &Table, column: &Column, default: &str) -> String {
        let name = self.ident(&column.name);
        let action = match self.dialect {
            _ if is_generated(default) => format!("ALTER COLUMN {name} ADD {default}"),
            Dialect::MsSql => {
                let rule = self.ident(&default_name(table, column));
                format!("ADD CONSTRAINT {rule} DEFAULT {default} FOR {name}")
            }
            _ => format!("ALTER COLUMN {name} SET DEFAULT {default}"),
        };
        self.alter(table, &action)
    }

    /// Gives rows without a value one.
    pub(super) fn fill(self, table: &Table, column: &Column, value: &str) -> String {
        let (table, name) = (self.table(table), self.ident(&column.name));
        format!("UPDATE {table} SET {name} = {value} WHERE {name} IS NULL")
    }

    pub(super) fn create_index(self, table: &Table, index: &crate::sql::Index) -> String {
        let unique = if index.unique { "UNIQUE " } else { "" };
        let name = self.ident(&index_name(table, index));
        let parts = self.parts(&index.columns, table);
        format!(
            "CREATE {unique}INDEX {name} ON {} ({parts})",
            self.table(table)
        )
    }

    pub(super) fn drop_index(self, table: &Table, index: &crate::sql::Index) -> String {
        let name = index_name(table, index);
        match self.dialect {
            Dialect::MySql | Dialect::MsSql => {
                format!("DROP INDEX {} ON {}", self.ident(&name), self.table(table))
            }
            _ => match &table.namespace {
                Some(namespace) => {
                    format!("DROP INDEX {}.{}", self.ident(namespace), self.ident(&name))
                }
                None => format!("DROP INDEX {}", self.ident(&name)),
            },
        }
    }

    pub(super) fn comment(
        self,
        table: &Table,
        column: Option<&Column>,
        comment: Option<&str>,
    ) -> Option<String> {
        if !matches!(self.dialect, Dialect::Postgres | Dialect::DuckDb) {
            return None;
        }
        let text = comment.map_or("NULL".to_owned(), |text| {
            format!("'{}'", text.replace('\'', "''"))
        });
        let table = self.table(table);
        Some(match column {
            Some(column) => format!(
                "COMMENT ON COLUMN {table}.{} IS {text}",
                self.ident(&column.name)
            ),
            None => format!("COMMENT ON TABLE {table} IS {text}"),
        })
    }
}

fn is_call(part: &str) -> bool {
    let head = part.split('(').next().unwrap_or_default();
    !head.is_empty() && part.ends_with(')') && head.chars().all(|c| c.is_alphanumeric() || c == '_')
}

pub(super) fn index_name(table: &Table, index: &crate::sql::Index) -> String {
    let words = |part: &String| -> String {
        let kept = part
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '_' });
        kept.collect::<String>().trim_matches('_').to_owned()
    };
    index.name.clone().unwrap_or_else(|| {
        let parts: Vec<String> = index.columns.iter().map(words).collect();
        format!("{}_{}_idx", table.name, parts.join("_"))
    })
}

fn default_name(table: &Table, column: &Column) -> String {
    format!("df_{}_{}", table.name, column.name)
}

/// Whether the database fills the column by a rule of its own, which is no `DEFAULT`.
pub(super) fn is_generated(default: &str) -> bool {
    let upper = default.to_uppercase();
    ["GENERATED", "AUTO", "IDENTITY", "AS "]
        .iter()
        .any(|start| upper.starts_with(start))
}

/// Whether the type brings its own sequence.
pub(super) fn is_serial(column: &Column) -> bool {
    column.type_name.to_lowercase().contains("serial")
}

/// The type that a serial column has once it is there.
fn plain_type(type_name: &str) -> String {
    match type_name.to_lowercase().as_str() {
        "serial" | "serial4" => "INTEGER".to_owned(),
        "bigserial" | "serial8" => "BIGINT".to_owned(),
        "smallserial" | "serial2" => "SMALLINT".to_owned(),
        _ => type_name.to_owned(),
    }
}

/// Whether an expression has the word.
pub(super) fn mentions(expression: &str, word: &str) -> bool {
    let mut words = expression.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.any(|other| other.eq_ignore_ascii_case(word))
}
