//! One table out of its columns, constraints and options.

use std::collections::HashMap;

use sqlparser::ast::{
    AlterTableOperation, ColumnDef, ColumnOption, CommentDef, CreateTableOptions, DataType,
    EnumMember, Expr, Ident, IndexColumn, ObjectName, SqlOption, TableConstraint, Value,
};

use crate::sql::names::fold;
use crate::sql::{Column, Dialect, ForeignKey, Index, Kind, Table};

use super::labels_of;

/// Adds to a table.
pub(super) struct Maker<'a> {
    dialect: Dialect,
    enums: &'a HashMap<String, Vec<String>>,
    table: &'a mut Table,
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        dialect: Dialect,
        enums: &'a HashMap<String, Vec<String>>,
        table: &'a mut Table,
    ) -> Self {
        Self {
            dialect,
            enums,
            table,
        }
    }

    pub(super) fn columns(&mut self, columns: Vec<ColumnDef>) {
        for column in columns {
            self.column(column);
        }
    }

    fn column(&mut self, definition: ColumnDef) {
        let name = self.ident(&definition.name);
        if self.table.columns.iter().any(|column| column.name == name) {
            return;
        }
        let type_name = match &definition.data_type {
            DataType::Unspecified => String::new(),
            other => other.to_string(),
        };
        let mut column = Column {
            kind: Kind::of(&type_name),
            nullable: true,
            ..Column::default()
        };
        self.label(&definition.data_type, &mut column);
        column.name = name;
        if type_name.to_lowercase().contains("serial") {
            column.nullable = false;
            column.default = Some(format!(
                "nextval('{}_{}_seq')",
                self.table.name, column.name
            ));
        }
        column.type_name = type_name;
        for option in definition.options {
            self.option(option.option, &mut column);
        }
        self.table.columns.push(column);
    }

    /// Takes the values of an enumeration as samples.
    fn label(&self, data_type: &DataType, column: &mut Column) {
        match data_type {
            DataType::Enum(members, _) => {
                let labels: Vec<String> = members
                    .iter()
                    .map(|member| match member {
                        EnumMember::Name(name) | EnumMember::NamedValue(name, _) => name.clone(),
                    })
                    .collect();
                column.samples = labels_of(column.kind, &labels);
            }
            DataType::Custom(name, _) => {
                let name = name_parts(self.dialect, name).pop().unwrap_or_default();
                if let Some(labels) = self.enums.get(&name) {
                    column.kind = Kind::Text;
                    column.samples = labels_of(Kind::Text, labels);
                }
            }
            _ => {}
        }
    }

    fn option(&mut self, option: ColumnOption, column: &mut Column) {
        let own = vec![column.name.clone()];
        match option {
            ColumnOption::Null => column.nullable = true,
            ColumnOption::NotNull => column.nullable = false,
            ColumnOption::Default(value) => column.default = Some(value.to_string()),
            ColumnOption::PrimaryKey(_) => {
                column.nullable = false;
                self.table.primary_key = own;
            }
            ColumnOption::Unique(_) => self.table.uniques.push(own),
            ColumnOption::ForeignKey(key) => {
                let key = self.foreign_key(own, &key.foreign_table, &key.referred_columns);
                self.table.foreign_keys.push(key);
            }
            ColumnOption::Check(check) => self.table.checks.push(check.expr.to_string()),
            ColumnOption::Comment(text) => column.comment = Some(text),
            ColumnOption::Options(options) => column.comment = description(&options),
            generated @ (ColumnOption::Generated { .. } | ColumnOption::Identity(_)) => {
                column.default = Some(generated.to_string());
                column.nullable &= !matches!(generated, ColumnOption::Identity(_));
            }
            ColumnOption::DialectSpecific(tokens) => {
                let text: Vec<String> = tokens.iter().map(ToString::to_string).collect();
                if text
                    .iter()
                    .any(|word| word.to_uppercase().starts_with("AUTO"))
                {
                    column.default = Some(text.join(" "));
                }
            }
            _ => {}
        }
    }

    pub(super) fn constraints(&mut self, constraints: Vec<TableConstraint>) {
        for constraint in constraints {
            self.constraint(constraint);
        }
    }

    fn constraint(&mut self, constraint: TableConstraint) {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                let columns = self.index_columns(&key.columns);
                for column in &mut self.table.columns {
                    column.nullable &= !columns.contains(&column.name);
                }
                self.table.primary_key = columns;
            }
            TableConstraint::Unique(unique) => {
                let columns = self.index_columns(&unique.columns);
                self.table.uniques.push(columns);
            }
            TableConstraint::ForeignKey(key) => {
                let columns = key.columns.iter().map(|ident| self.ident(ident)).collect();
                let key = self.foreign_key(columns, &key.foreign_table, &key.referred_columns);
                self.table.foreign_keys.push(key);
            }
            TableConstraint::Check(check) => self.table.checks.push(check.expr.to_string()),
            TableConstraint::Index(index) => {
                let columns = self.index_columns(&index.columns);
                self.table.indexes.push(Index {
                    name: index.name.map(|name| self.ident(&name)),
                    columns,
                    unique: false,
                });
            }
            _ => {}
        }
    }

    pub(super) fn alter(&mut self, operation: AlterTableOperation) {
        match operation {
            AlterTableOperation::AddConstraint { constraint, .. } => self.constraint(constraint),
            AlterTableOperation::AddColumn { column_def, .. } => self.column(column_def),
            AlterTableOperation::DropColumn { column_names, .. } => {
                for name in column_names {
                    let name = self.ident(&name);
                    self.table.columns.retain(|column| column.name != name);
                }
            }
            AlterTableOperation::RenameColumn {
                old_column_name,
                new_column_name,
            } => {
                let (old, new) = (self.ident(&old_column_name), self.ident(&new_column_name));
                let mut columns = self.table.columns.iter_mut();
                if let Some(column) = columns.find(|column| column.name == old) {
                    column.name = new;
                }
            }
            AlterTableOperation::AlterColumn { column_name, op } => {
                let name = self.ident(&column_name);
                let mut columns = self.table.columns.iter_mut();
                if let Some(column) = columns.find(|column| column.name == name) {
                    change(column, op);
                }
            }
            _ => {}
        }
    }

    pub(super) fn options(&mut self, options: CreateTableOptions, comment: Option<CommentDef>) {
        let options = match options {
            CreateTableOptions::None => Vec::new(),
            CreateTableOptions::With(list)
            | CreateTableOptions::Options(list)
            | CreateTableOptions::Plain(list)
            | CreateTableOptions::TableProperties(list) => list,
        };
        let comment = comment.or_else(|| {
            options.iter().find_map(|option| match option {
                SqlOption::Comment(comment) => Some(comment.clone()),
                _ => None,
            })
        });
        self.table.comment = comment
            .map(|comment| match comment {
                CommentDef::WithEq(text) | CommentDef::WithoutEq(text) => text,
            })
            .or_else(|| description(&options));
    }

    /// Its table is the parts of the name, apart by NUL, until all tables are known.
    fn foreign_key(
        &self,
        columns: Vec<String>,
        table: &ObjectName,
        references: &[Ident],
    ) -> ForeignKey {
        ForeignKey {
            columns,
            table: name_parts(self.dialect, table).join("\u{0}"),
            references: references.iter().map(|ident| self.ident(ident)).collect(),
        }
    }

    fn index_columns(&self, columns: &[IndexColumn]) -> Vec<String> {
        let columns = columns.iter();
        columns.map(|c| index_column(self.dialect, c)).collect()
    }

    fn ident(&self, ident: &Ident) -> String {
        fold(self.dialect, &ident.value, ident.quote_style.is_some())
    }
}

fn change(column: &mut Column, operation: sqlparser::ast::AlterColumnOperation) {
    use sqlparser::ast::AlterColumnOperation as Operation;
    match operation {
        Operation::SetNotNull => column.nullable = false,
        Operation::DropNotNull => column.nullable = true,
        Operation::SetDefault { value } => column.default = Some(value.to_string()),
        Operation::DropDefault => column.default = None,
        Operation::SetDataType { data_type, .. } => {
            column.type_name = data_type.to_string();
            column.kind = Kind::of(&column.type_name);
        }
        generated @ Operation::AddGenerated { .. } => {
            column.default = Some(generated.to_string().replacen("ADD ", "", 1));
        }
    }
}

/// A column of an index: its name, or its expression as SQL.
pub(super) fn index_column(dialect: Dialect, column: &IndexColumn) -> String {
    match &column.column.expr {
        Expr::Identifier(ident) => fold(dialect, &ident.value, ident.quote_style.is_some()),
        other => other.to_string(),
    }
}

/// The stored parts of a name. BigQuery lets one pair of backticks hold them all.
pub(in crate::sql) fn name_parts(dialect: Dialect, name: &ObjectName) -> Vec<String> {
    let idents = name.0.iter().filter_map(|part| part.as_ident());
    let mut parts = Vec::new();
    for ident in idents {
        let stored = fold(dialect, &ident.value, ident.quote_style.is_some());
        if dialect == Dialect::BigQuery {
            parts.extend(stored.split('.').map(str::to_owned));
        } else {
            parts.push(stored);
        }
    }
    parts
}

/// BigQuery's `OPTIONS(description = "…")`.
fn description(options: &[SqlOption]) -> Option<String> {
    options.iter().find_map(|option| match option {
        SqlOption::KeyValue { key, value } if key.value.eq_ignore_ascii_case("description") => {
            text(value)
        }
        _ => None,
    })
}

fn text(value: &Expr) -> Option<String> {
    let Expr::Value(value) = value else {
        return None;
    };
    match &value.value {
        Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Some(text.clone()),
        _ => None,
    }
}
