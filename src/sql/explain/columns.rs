//! The tables and columns that statements name.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, Statement, TableFactor, TableWithJoins,
    UpdateTableFromKind, Visit, Visitor,
};

use crate::sql::Schema;
use crate::sql::scope::{self, Scope};

/// Each name once, in the order of the statements.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) tables: Vec<String>,
    pub(super) columns: Vec<String>,
}

pub(super) fn named(statements: &[Statement], schema: Option<&Schema>) -> Named {
    let empty = Schema::default();
    let mut reader = Reader {
        schema: schema.unwrap_or(&empty),
        ctes: Vec::new(),
        scopes: Vec::new(),
        outputs: Vec::new(),
        named: Named::default(),
    };
    for statement in statements {
        let _ = statement.visit(&mut reader);
    }
    reader.named
}

struct Reader<'a> {
    schema: &'a Schema,
    /// Results of `WITH` so far.
    ctes: Vec<Ident>,
    scopes: Vec<Scope<'a>>,
    /// Names that the queries around give their results, which `ORDER BY` may use.
    outputs: Vec<Vec<Ident>>,
    named: Named,
}

impl Reader<'_> {
    fn push(&mut self, from: &[TableWithJoins]) {
        self.scopes.push(Scope::new(self.schema, from, &self.ctes));
    }

    fn column(&self, expr: &Expr) -> Option<String> {
        let scopes = self.scopes.iter().rev();
        let mut found = scopes.filter_map(|scope| scope.column(expr));
        if let Some((binding, column)) = found.next() {
            let table = binding
                .table
                .map_or(binding.name.value.clone(), |t| t.full_name());
            return Some(format!("{table}.{}", column.name));
        }
        match expr {
            Expr::Identifier(name) => {
                let is_output = self.outputs.iter().flatten().any(|output| output == name);
                (!is_output).then(|| name.value.clone())
            }
            Expr::CompoundIdentifier(parts) => {
                let values: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
                Some(values.join("."))
            }
            _ => None,
        }
    }

    fn add_table(&mut self, name: &ObjectName) {
        let ident = match name.0.as_slice() {
            [only] => only.as_ident(),
            _ => None,
        };
        if ident.is_some_and(|ident| {
            self.ctes
                .iter()
                .any(|cte| cte.value.eq_ignore_ascii_case(&ident.value))
        }) {
            return;
        }
        let table = scope::table(self.schema, name);
        let told = table.map_or_else(|| plain(name), |table| table.full_name());
        if !self.named.tables.contains(&told) {
            self.named.tables.push(told);
        }
    }
}

/// The name without quotes.
fn plain(name: &ObjectName) -> String {
    let parts = name.0.iter().map(|part| match part.as_ident() {
        Some(ident) => ident.value.clone(),
        None => part.to_string(),
    });
    parts.collect::<Vec<_>>().join(".")
}

impl Visitor for Reader<'_> {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        match statement {
            Statement::Update(update) => {
                let mut from = vec![update.table.clone()];
                match &update.from {
                    Some(
                        UpdateTableFromKind::BeforeSet(more) | UpdateTableFromKind::AfterSet(more),
                    ) => {
                        from.extend(more.iter().cloned());
                    }
                    None => {}
                }
                self.push(&from);
            }
            Statement::Delete(delete) => {
                let (sqlparser::ast::FromTable::WithFromKeyword(from)
                | sqlparser::ast::FromTable::WithoutKeyword(from)) = &delete.from;
                let mut from = from.clone();
                from.extend(delete.using.iter().flatten().cloned());
                self.push(&from);
            }
            Statement::Merge(merge) => {
                let table = |relation: &TableFactor| TableWithJoins {
                    relation: relation.clone(),
                    joins: Vec::new(),
                };
                self.push(&[table(&merge.table), table(&merge.source)]);
            }
            _ => self.push(&[]),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_statement(&mut self, _: &Statement) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.ctes.extend(scope::ctes(query));
        let select = scope::first_select(&query.body);
        self.push(select.map_or(&[], |select| select.from.as_slice()));
        self.outputs.push(select.map_or(Vec::new(), outputs));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.pop();
        self.outputs.pop();
        let left = self.ctes.len() - scope::ctes(query).len();
        self.ctes.truncate(left);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.push(&select.from);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &Select) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        self.add_table(name);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Some(column) = self.column(expr)
            && !self.named.columns.contains(&column)
        {
            self.named.columns.push(column);
        }
        ControlFlow::Continue(())
    }
}

fn outputs(select: &Select) -> Vec<Ident> {
    let names = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.clone()),
        _ => None,
    });
    names.collect()
}
