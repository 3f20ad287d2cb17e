//! What may be named at a place of a statement.

use std::collections::BTreeSet;

use crate::sql::{Schema, Table};

/// The columns of something in `FROM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// These.
    Known(Vec<String>),
    /// Functions, values and tables that do not exist: whatever is named.
    Any,
}

impl Columns {
    pub(super) fn has(&self, schema: &Schema, name: &str) -> bool {
        match self {
            Columns::Known(names) => names.iter().any(|known| schema.same(known, name)),
            Columns::Any => false,
        }
    }

    /// With the first ones called otherwise.
    pub(super) fn renamed(self, names: &[String]) -> Columns {
        match self {
            _ if names.is_empty() => self,
            Columns::Any => Columns::Known(names.to_vec()),
            Columns::Known(old) => {
                let rest = old.into_iter().skip(names.len());
                Columns::Known(names.iter().cloned().chain(rest).collect())
            }
        }
    }
}

/// A common table expression.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) columns: Columns,
}

/// Something in `FROM`.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Its alias, else its name.
    pub(super) name: String,
    pub(super) columns: Columns,
    /// The table of the schema that it is.
    pub(super) table: Option<TableName>,
}

/// How a table is called.
#[derive(Clone, Debug)]
pub(super) struct TableName {
    pub(super) name: String,
    pub(super) full: String,
}

/// What may be named at a place.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope<'a> {
    pub(super) parent: Option<&'a Scope<'a>>,
    pub(super) sources: Vec<Source>,
    /// Columns that joins with `USING` made one.
    pub(super) merged: BTreeSet<String>,
    /// Aliases of the `SELECT` list.
    pub(super) aliases: Vec<String>,
    /// Names of windows.
    pub(super) windows: Vec<String>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(parent: Option<&'a Scope<'a>>) -> Self {
        Scope {
            parent,
            ..Scope::default()
        }
    }

    /// Where only the columns that a set operation returns can be named.
    pub(super) fn of_output(parent: Option<&'a Scope<'a>>, columns: &Columns) -> Self {
        let mut scope = Scope::new(parent);
        scope.add(String::new(), columns.clone());
        scope
    }

    pub(super) fn add(&mut self, name: String, columns: Columns) {
        self.sources.push(Source {
            name,
            columns,
            table: None,
        });
    }

    pub(super) fn add_table(&mut self, name: String, table: &Table) {
        let columns = table.columns.iter().map(|column| column.name.clone());
        self.sources.push(Source {
            name,
            columns: Columns::Known(columns.collect()),
            table: Some(TableName {
                name: table.name.clone(),
                full: table.full_name(),
            }),
        });
    }

    /// This scope and those around it, from the inside.
    pub(super) fn outwards(&self) -> impl Iterator<Item = &Scope<'a>> {
        std::iter::successors(Some(self), |scope| scope.parent)
    }

    pub(super) fn is_open(&self) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| source.columns == Columns::Any)
    }

    /// The same without what is around it.
    pub(super) fn alone(self) -> Scope<'static> {
        Scope {
            parent: None,
            sources: self.sources,
            merged: self.merged,
            aliases: self.aliases,
            windows: self.windows,
        }
    }
}
