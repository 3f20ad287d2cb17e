//! Finds what every name of a statement stands for: tables, aliases and columns, through common table
//! expressions, subqueries that look outwards, joins, set operations and windows. What types are known from the
//! schema are checked too.

mod expression;
mod scope;
mod select;
mod types;

use std::collections::BTreeSet;

use serde::Serialize;
use sqlparser::ast::{
    Delete, Expr, FromTable, Ident, ObjectName, OrderByKind, Query, SetExpr, Statement,
    TableObject, Update, UpdateTableFromKind,
};
use sqlparser::tokenizer::Span;

use super::names::nearest;
use super::{Schema, Table};

use scope::{Columns, Named, Scope};

/// Names offered in the place of one that does not exist.
const NEAREST: usize = 3;
/// Problems of a statement that such names are looked for: each takes a look at every name there is.
const PROPOSALS: usize = 50;
/// Bytes of all lists of columns of a statement, each counted where it is made and where a common table expression
/// stands in `FROM`. What comes after that counts as not known.
const LISTS_BYTES: usize = 8 << 20;

/// What the names of a statement stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Tables of the schema that are read or written, in the order of their names.
    pub tables: BTreeSet<String>,
    /// Columns of the schema, as `table.column`; `table.*` where all are taken.
    pub columns: BTreeSet<String>,
    /// Names that stand for nothing, or for too much, and types that do not go together.
    pub problems: Vec<Problem>,
}

/// A name that cannot be, or cannot be used like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong with it.
    pub kind: ProblemKind,
    /// The name as it is written, without quotes.
    pub name: String,
    /// Names that it may have meant, the likest first, as the schema has them.
    pub nearest: Vec<String>,
    /// Where it stands.
    pub span: Span,
}

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The schema has no such table.
    UnknownTable,
    /// What stands before the dot is neither a table nor an alias here.
    UnknownQualifier,
    /// No table in scope has the column.
    UnknownColumn {
        /// The table or alias before the dot, if one was written.
        qualifier: Option<String>,
        /// Tables of the schema that have it and are not in scope.
        elsewhere: Vec<String>,
    },
    /// Several tables in scope have the column.
    Ambiguous {
        /// Which, by the names they go by.
        tables: Vec<String>,
    },
    /// The schema has the table, but the statement does not name it in `FROM`, or by another name.
    NotInScope {
        /// The alias it goes by here.
        alias: Option<String>,
    },
    /// Two things in `FROM` go by it.
    Twice,
    /// It exists, and its type does not go with what is done with it.
    Type {
        /// Why not.
        reason: String,
        /// SQL that would go in its place, where there is one that was surely meant.
        instead: Option<String>,
    },
}

impl Problem {
    /// Whether the name stands for nothing, or for too much, rather than for something of another type.
    pub fn is_about_name(&self) -> bool {
        !matches!(self.kind, ProblemKind::Type { .. })
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.name;
        match &self.kind {
            ProblemKind::UnknownTable => write!(f, "there is no table '{name}'")?,
            ProblemKind::UnknownQualifier => {
                write!(
                    f,
                    "'{name}' is neither a table nor an alias of this statement"
                )?;
            }
            ProblemKind::UnknownColumn {
                qualifier: Some(table),
                ..
            } => write!(f, "'{table}' has no column '{name}'")?,
            ProblemKind::UnknownColumn { elsewhere, .. } => {
                write!(f, "no table of this statement has a column '{name}'")?;
                if !elsewhere.is_empty() {
                    write!(f, ", but {} has", elsewhere.join(" and "))?;
                }
            }
            ProblemKind::Ambiguous { tables } => {
                let tables = tables.join(" and ");
                write!(f, "column '{name}' is ambiguous: {tables} have it")?;
            }
            ProblemKind::NotInScope { alias: None } => {
                write!(f, "table '{name}' is not in FROM here")?;
            }
            ProblemKind::NotInScope { alias: Some(alias) } => {
                write!(f, "table '{name}' goes by '{alias}' here")?;
            }
            ProblemKind::Twice => {
                write!(
                    f,
                    "'{name}' stands twice in FROM: give one of them an alias"
                )?;
            }
            ProblemKind::Type { reason, .. } => f.write_str(reason)?,
        }
        match self.nearest.as_slice() {
            [] => Ok(()),
            names => write!(f, "; did you mean {}?", names.join(" or ")),
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Resolves the names of a statement against a schema.
pub fn resolve(statement: &Statement, schema: &Schema) -> Resolution {
    let mut resolver = Resolver {
        schema,
        found: Resolution::default(),
        left_bytes: LISTS_BYTES,
    };
    resolver.statement(statement);
    let mut found = resolver.found;
    // A recursive part is walked twice.
    let mut seen = BTreeSet::new();
    found
        .problems
        .retain(|problem| seen.insert((problem.span, problem.name.clone())));
    found.problems.sort_by_key(|problem| problem.span);
    found
}

struct Resolver<'s> {
    schema: &'s Schema,
    found: Resolution,
    /// What lists of columns may still take.
    left_bytes: usize,
}

/// Common table expressions in sight, the inner ones last.
type Ctes = Vec<Named>;

impl<'s> Resolver<'s> {
    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Query(query) => {
                self.query(query, &Vec::new(), None);
            }
            Statement::Explain { statement, .. } => self.statement(statement),
            Statement::Insert(insert) => {
                let mut scope = Scope::new(None);
                if let TableObject::TableName(name) = &insert.table {
                    let alias = insert.table_alias.as_ref().map(|alias| &alias.alias);
                    self.table(name, alias, &mut scope);
                }
                for column in &insert.columns {
                    if let Some(ident) = last_ident(column) {
                        self.column(ident, &scope);
                    }
                }
                if let Some(source) = &insert.source {
                    self.query(source, &Vec::new(), None);
                }
            }
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            _ => {}
        }
    }

    fn update(&mut self, update: &Update) {
        let mut scope = Scope::new(None);
        let ctes = Vec::new();
        self.joins(&update.table, &ctes, &mut scope);
        let from = match &update.from {
            Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => {
                from.as_slice()
            }
            None => &[],
        };
        for table in from {
            self.joins(table, &ctes, &mut scope);
        }
        for assignment in &update.assignments {
            if let sqlparser::ast::AssignmentTarget::ColumnName(name) = &assignment.target
                && let Some(ident) = last_ident(name)
            {
                self.column(ident, &scope);
            }
            self.expression(&assignment.value, &ctes, &scope);
        }
        self.expressions(update.selection.iter(), &ctes, &scope);
    }

    fn delete(&mut self, delete: &Delete) {
        let mut scope = Scope::new(None);
        let ctes = Vec::new();
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        for table in from.iter().chain(delete.using.iter().flatten()) {
            self.joins(table, &ctes, &mut scope);
        }
        self.expressions(delete.selection.iter(), &ctes, &scope);
    }

    /// Resolves a query and gives the columns it returns.
    fn query(&mut self, query: &Query, ctes: &Ctes, outer: Option<&Scope<'_>>) -> Columns {
        let mut ctes = ctes.clone();
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                let renamed: Vec<String> = cte
                    .alias
                    .columns
                    .iter()
                    .map(|column| self.fold(&column.name))
                    .collect();
                let name = self.fold(&cte.alias.name);
                if with.recursive {
                    let columns = match renamed.as_slice() {
                        [] => self.anchor(&cte.query, &ctes, outer),
                        names => Columns::of(names.iter().cloned()),
                    };
                    let name = name.clone();
                    ctes.push(Named { name, columns });
                }
                let columns = self.query(&cte.query, &ctes, outer).renamed(&renamed);
                ctes.push(Named { name, columns });
            }
        }
        let mut inner = None;
        let columns = self.set(&query.body, &ctes, outer, &mut inner);
        let aliases = Scope::of_output(outer, &columns);
        let scope = match inner {
            Some(ref sources) => Scope {
                parent: outer,
                ..Scope::clone(sources)
            },
            None => aliases,
        };
        if let Some(order) = &query.order_by
            && let OrderByKind::Expressions(list) = &order.kind
        {
            for item in list {
                match &item.expr {
                    Expr::Identifier(ident) if columns.has(self.schema, &self.fold(ident)) => {}
                    other => self.expression(other, &ctes, &scope),
                }
            }
        }
        columns
    }

    /// The columns of a recursive query's first part, whose problems are found later.
    fn anchor(&mut self, query: &Query, ctes: &Ctes, outer: Option<&Scope<'_>>) -> Columns {
        let before = self.found.clone();
        let mut part: &SetExpr = &query.body;
        while let SetExpr::SetOperation { left, .. } = part {
            part = left;
        }
        let columns = self.set(part, ctes, outer, &mut None);
        self.found = before;
        columns
    }

    /// Resolves the body of a query; `inner` becomes the scope of a lone `SELECT`, for `ORDER BY`.
    fn set(
        &mut self,
        body: &SetExpr,
        ctes: &Ctes,
        outer: Option<&Scope<'_>>,
        inner: &mut Option<Scope<'static>>,
    ) -> Columns {
        match body {
            SetExpr::Select(select) => self.select(select, ctes, outer, inner),
            SetExpr::Query(query) => self.query(query, ctes, outer),
            SetExpr::SetOperation { left, right, .. } => {
                let columns = self.set(left, ctes, outer, &mut None);
                self.set(right, ctes, outer, &mut None);
                columns
            }
            SetExpr::Values(values) => {
                let scope = Scope::new(outer);
                for row in &values.rows {
                    self.expressions(row.iter(), ctes, &scope);
                }
                Columns::Any
            }
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => {
                self.statement(statement);
                Columns::Any
            }
            SetExpr::Table(_) => Columns::Any,
        }
    }

    fn fold(&self, ident: &Ident) -> String {
        self.schema.fold(&ident.value, ident.quote_style.is_some())
    }

    /// The columns, unless the statement has too many in all.
    fn listed(&mut self, columns: Columns) -> Columns {
        match self.left_bytes.checked_sub(columns.size_bytes()) {
            Some(left_bytes) => {
                self.left_bytes = left_bytes;
                columns
            }
            None => Columns::TooMany,
        }
    }

    /// Names like the wanted one, the likest first; none once enough problems have them.
    fn nearest<'n>(&self, wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
        match self.proposes() {
            true => nearest(wanted, names, NEAREST),
            false => Vec::new(),
        }
    }

    /// Whether the next problem is told with what it may have meant.
    fn proposes(&self) -> bool {
        self.found.problems.len() < PROPOSALS
    }

    /// Puts a table of the schema into a scope.
    fn table(&mut self, name: &ObjectName, alias: Option<&Ident>, scope: &mut Scope<'_>) {
        let parts = super::ddl::stored_parts(self.schema.dialect, name);
        let Some(last) = parts.last().cloned() else {
            return;
        };
        let goes_by = alias.map_or_else(|| last.clone(), |alias| self.fold(alias));
        let wanted = parts.join(".");
        let two = parts[parts.len().saturating_sub(2)..].join(".");
        let schema = self.schema;
        let table = match parts.len() {
            1 => schema.table(&last),
            _ => schema.table(&two).or_else(|| {
                let unnamed = |table: &&Table| table.namespace.is_none();
                let is_usual = matches!(parts[parts.len() - 2].as_str(), "public" | "dbo" | "main");
                schema.table(&last).filter(unnamed).filter(|_| is_usual)
            }),
        };
        match table {
            Some(table) => {
                self.found.tables.insert(table.full_name());
                let names = table.columns.iter().map(|column| column.name.clone());
                let columns = self.listed(Columns::of(names));
                scope.add_table(goes_by, table, columns);
            }
            None => {
                let names = schema.tables.iter().map(|table| table.name.as_str());
                let nearest = self.nearest(&last, names);
                let span = last_ident(name).map_or_else(Span::empty, |ident| ident.span);
                self.found.problems.push(Problem {
                    kind: ProblemKind::UnknownTable,
                    nearest,
                    name: wanted,
                    span,
                });
                scope.add(goes_by, Columns::Any);
            }
        }
    }
}

fn last_ident(name: &ObjectName) -> Option<&Ident> {
    name.0.last().and_then(|part| part.as_ident())
}

#[cfg(test)]
mod tests;
