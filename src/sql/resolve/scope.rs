//! What may be named at a place of a statement.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::sql::{Schema, Table};

/// Bytes of one list of columns at most: twenty thousand names of usual length. Without a bound, tables that stand
/// twice in `FROM` would double the list at each step of a `WITH`.
const LIST_BYTES: usize = 1 << 20;

/// The columns of something in `FROM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// These, made with [`List`]; clones share them.
    Known(Rc<[String]>),
    /// Functions, values and tables that do not exist: whatever is named.
    Any,
    /// More than are listed: whatever is named, by an alias or not.
    TooMany,
}

impl Columns {
    /// These, if they are not too many.
    pub(super) fn of(names: impl IntoIterator<Item = String>) -> Columns {
        let mut list = List::default();
        for name in names {
            list.push(name);
        }
        list.columns()
    }

    /// The names that are known.
    pub(super) fn names(&self) -> &[String] {
        match self {
            Columns::Known(names) => names,
            Columns::Any | Columns::TooMany => &[],
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.names().iter().map(|name| size_bytes(name)).sum()
    }

    pub(super) fn has(&self, schema: &Schema, name: &str) -> bool {
        self.names().iter().any(|known| schema.same(known, name))
    }

    /// With the first ones called otherwise.
    pub(super) fn renamed(self, names: &[String]) -> Columns {
        if names.is_empty() || self == Columns::TooMany {
            return self;
        }
        let rest = self.names().iter().skip(names.len());
        Columns::of(names.iter().chain(rest).cloned())
    }
}

/// A list of columns that is being made. It never holds more than [`LIST_BYTES`].
#[derive(Debug, Default)]
pub(super) struct List {
    names: Vec<String>,
    size_bytes: usize,
    /// What the columns are, once the names are not all known.
    open: Option<Columns>,
}

impl List {
    pub(super) fn push(&mut self, name: String) {
        self.size_bytes += size_bytes(&name);
        if self.size_bytes > LIST_BYTES {
            self.open(Columns::TooMany);
        }
        if self.open.is_none() {
            self.names.push(name);
        }
    }

    /// All columns of something in `FROM`.
    pub(super) fn extend(&mut self, columns: &Columns) {
        if self.open.is_some() {
            return;
        }
        match columns {
            Columns::Known(names) => names.iter().for_each(|name| self.push(name.clone())),
            Columns::Any | Columns::TooMany => self.open(columns.clone()),
        }
    }

    /// There are columns whose names are not known.
    pub(super) fn open(&mut self, columns: Columns) {
        self.names = Vec::new();
        self.open.get_or_insert(columns);
    }

    pub(super) fn columns(self) -> Columns {
        self.open
            .unwrap_or_else(|| Columns::Known(self.names.into()))
    }
}

/// What a name takes in a list.
fn size_bytes(name: &str) -> usize {
    size_of::<String>() + name.len()
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

    pub(super) fn add_table(&mut self, name: String, table: &Table, columns: Columns) {
        self.sources.push(Source {
            name,
            columns,
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
        sources.any(|source| !matches!(source.columns, Columns::Known(_)))
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
