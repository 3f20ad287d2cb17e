//! Which tables the columns of a `SELECT` can belong to.

use sqlparser::ast::{Expr, Ident, ObjectName, Query, SetExpr, TableFactor, TableWithJoins};

use super::{Column, Schema, Table};

/// The tables that a `FROM` brings into scope, in its order.
#[derive(Clone, Debug)]
pub(super) struct Scope<'a> {
    schema: &'a Schema,
    /// Each of them.
    pub(super) bindings: Vec<Binding<'a>>,
}

/// A table under the name that the statement knows it by.
#[derive(Clone, Debug)]
pub(super) struct Binding<'a> {
    /// Its alias, or else its own name.
    pub(super) name: Ident,
    /// The table; nothing for subqueries, named results, functions and tables that do not exist.
    pub(super) table: Option<&'a Table>,
}

impl<'a> Scope<'a> {
    /// Of a `FROM`. `shadowed` names results of `WITH`, which come before tables of the same name.
    pub(super) fn new(
        schema: &'a Schema,
        from: &[TableWithJoins],
        shadowed: &[Ident],
    ) -> Scope<'a> {
        let mut scope = Scope {
            schema,
            bindings: Vec::new(),
        };
        scope.add_all(from, shadowed);
        scope
    }

    fn add_all(&mut self, from: &[TableWithJoins], shadowed: &[Ident]) {
        for table in from {
            self.add(&table.relation, shadowed);
            for join in &table.joins {
                self.add(&join.relation, shadowed);
            }
        }
    }

    fn add(&mut self, relation: &TableFactor, shadowed: &[Ident]) {
        let (name, table) = match relation {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let table = match shadowed.iter().any(|cte| self.is(cte, name)) {
                    true => None,
                    false => table(self.schema, name),
                };
                let own = name.0.last().and_then(|part| part.as_ident()).cloned();
                (
                    alias.as_ref().map(|alias| alias.name.clone()).or(own),
                    table,
                )
            }
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => {
                return self.add_all(std::slice::from_ref(table_with_joins), shadowed);
            }
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::JsonTable { alias, .. }
            | TableFactor::OpenJsonTable { alias, .. }
            | TableFactor::Pivot { alias, .. }
            | TableFactor::Unpivot { alias, .. }
            | TableFactor::MatchRecognize { alias, .. }
            | TableFactor::XmlTable { alias, .. }
            | TableFactor::SemanticView { alias, .. } => {
                (alias.as_ref().map(|alias| alias.name.clone()), None)
            }
        };
        // What has no name can still hold columns of any name.
        let name = name.unwrap_or_else(|| Ident::new(""));
        self.bindings.push(Binding { name, table });
    }

    fn is(&self, ident: &Ident, name: &ObjectName) -> bool {
        let [only] = name.0.as_slice() else {
            return false;
        };
        only.as_ident().is_some_and(|other| self.same(ident, other))
    }

    /// Whether two identifiers of the statement name the same thing.
    pub(super) fn same(&self, a: &Ident, b: &Ident) -> bool {
        self.schema
            .same(&folded(self.schema, a), &folded(self.schema, b))
    }

    /// The column that an expression names, with the table under the name it is known by. Nothing where two
    /// tables have it, or where a table of unknown columns could.
    pub(super) fn column(&self, expr: &Expr) -> Option<(&Binding<'a>, &'a Column)> {
        match expr {
            Expr::Nested(inner) => self.column(inner),
            Expr::Identifier(name) => self.unqualified(name),
            Expr::CompoundIdentifier(parts) => {
                let [.., qualifier, name] = parts.as_slice() else {
                    return None;
                };
                let mut named = self
                    .bindings
                    .iter()
                    .filter(|b| self.same(&b.name, qualifier));
                let binding = named.next()?;
                Some((binding, column(self.schema, binding.table?, name)?))
            }
            _ => None,
        }
    }

    fn unqualified(&self, name: &Ident) -> Option<(&Binding<'a>, &'a Column)> {
        if self.bindings.iter().any(|binding| binding.table.is_none()) {
            return None;
        }
        let mut found = self
            .bindings
            .iter()
            .filter_map(|binding| Some((binding, column(self.schema, binding.table?, name)?)));
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// Whether the expression names a column of one of these tables, as far as can be told.
    pub(super) fn owns(&self, expr: &Expr) -> bool {
        self.column(expr).is_some()
    }
}

/// The table of this name in the statement.
pub(super) fn table<'a>(schema: &'a Schema, name: &ObjectName) -> Option<&'a Table> {
    let parts: Vec<String> = name
        .0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(|ident| folded(schema, ident))
        .collect();
    let whole = parts.join(".");
    let without_catalog = parts.len().checked_sub(2).map(|at| parts[at..].join("."));
    let found = schema.table(&whole);
    let found = found.or_else(|| schema.table(&without_catalog?));
    // `public.orders` is `orders` of a schema whose DDL names no namespace.
    found.or_else(|| {
        schema
            .table(parts.last()?)
            .filter(|table| table.namespace.is_none())
    })
}

/// The column of this name in the statement.
pub(super) fn column<'a>(schema: &Schema, table: &'a Table, name: &Ident) -> Option<&'a Column> {
    let wanted = folded(schema, name);
    table
        .columns
        .iter()
        .find(|column| schema.same(&column.name, &wanted))
}

fn folded(schema: &Schema, ident: &Ident) -> String {
    schema.fold(&ident.value, ident.quote_style.is_some())
}

/// Names of the results that a query's `WITH` builds.
pub(super) fn ctes(query: &Query) -> Vec<Ident> {
    let tables = query.with.iter().flat_map(|with| &with.cte_tables);
    tables.map(|cte| cte.alias.name.clone()).collect()
}

/// The first `SELECT` of a query's body.
pub(super) fn first_select(body: &SetExpr) -> Option<&sqlparser::ast::Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}
