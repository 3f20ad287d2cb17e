//! Expressions: each identifier in them is a column, and each subquery sees the scope around it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    LambdaFunction, ObjectName, OneOrManyWithParens, Query, Visit, Visitor, WindowType,
};
use sqlparser::tokenizer::Span;

use crate::sql::{Dialect, Kind};

use super::scope::{Columns, Scope};
use super::{Ctes, NEAREST, Problem, ProblemKind, Resolver};

/// Tables that are told of an ambiguous column.
const HOLDERS: usize = 10;

/// What functions of dates take as a bare word.
const DATE_PARTS: &str = " microsecond millisecond second minute hour day week isoweek month quarter year \
    isoyear dayofyear dayofweek dow doy epoch decade century weekday yy yyyy qq q mm m dy y dd d wk ww dw w \
    hh mi n ss s ms mcs us ns nanosecond date time datetime timestamp ";

impl Resolver<'_> {
    pub(super) fn expressions<'e>(
        &mut self,
        list: impl Iterator<Item = &'e Expr>,
        ctes: &Ctes,
        scope: &Scope<'_>,
    ) {
        for expr in list {
            self.expression(expr, ctes, scope);
        }
    }

    pub(super) fn expression(&mut self, expr: &Expr, ctes: &Ctes, scope: &Scope<'_>) {
        let mut walk = Walk {
            resolver: self,
            ctes,
            scope,
            queries: 0,
            passed_over: Vec::new(),
            parameters: Vec::new(),
        };
        let ControlFlow::Continue(()) = expr.visit(&mut walk) else {
            return;
        };
    }

    /// A column without a table before it.
    pub(super) fn column(&mut self, ident: &Ident, scope: &Scope<'_>) {
        let name = self.fold(ident);
        let schema = self.schema;
        for level in scope.outwards() {
            let having: Vec<_> = level
                .sources
                .iter()
                .filter(|source| source.columns.has(schema, &name))
                .collect();
            let is_one = level.merged.iter().any(|merged| schema.same(merged, &name));
            if let Some(first) = having.first() {
                if having.len() > 1 && !is_one {
                    let names = having.iter().map(|source| source.name.clone());
                    let tables = names.take(HOLDERS).collect();
                    self.problem(ident, ProblemKind::Ambiguous { tables }, Vec::new());
                    return;
                }
                if let Some(table) = &first.table {
                    self.used(&table.full, &name);
                }
                return;
            }
            let is_whole_row = level.sources.iter().any(|s| schema.same(&s.name, &name));
            let is_alias = level.aliases.iter().any(|alias| schema.same(alias, &name));
            if is_alias || is_whole_row || level.is_open() {
                return;
            }
        }
        if is_everywhere(schema.dialect, &name) {
            return;
        }
        let in_scope = scope.outwards().flat_map(|level| &level.sources);
        let names = in_scope.flat_map(|source| source.columns.names());
        let nearest = self.nearest(&name, names.map(String::as_str));
        let kind = ProblemKind::UnknownColumn {
            qualifier: None,
            elsewhere: self.elsewhere(&name),
        };
        self.problem(ident, kind, nearest);
    }

    /// Tables that have a column of this name, at most three; none once enough problems have such proposals.
    fn elsewhere(&self, name: &str) -> Vec<String> {
        if !self.proposes() {
            return Vec::new();
        }
        let tables = self.schema.tables.iter();
        let having = tables.filter(|table| {
            let mut columns = table.columns.iter();
            columns.any(|column| self.schema.same(&column.name, name))
        });
        having
            .take(NEAREST)
            .map(|table| table.full_name())
            .collect()
    }

    /// A column with a table, alias or schema before it.
    fn compound(&mut self, parts: &[Ident], scope: &Scope<'_>) {
        let [qualifier @ .., ident] = parts else {
            return;
        };
        if qualifier.is_empty() {
            return self.column(ident, scope);
        }
        // `t.point.x`: a field of a column.
        for split in (1..=qualifier.len()).rev() {
            let idents: Vec<&Ident> = qualifier[..split].iter().collect();
            if let Some((level, at)) = self.find(&idents, scope) {
                return self.column_of(&parts[split], level, at);
            }
        }
        if let Some(first) = qualifier.first()
            && self.is_struct(first, scope)
        {
            return;
        }
        let idents: Vec<&Ident> = qualifier.iter().collect();
        self.source(&idents, scope);
    }

    fn column_of(&mut self, ident: &Ident, level: &Scope<'_>, at: usize) {
        let source = &level.sources[at];
        let name = self.fold(ident);
        let Columns::Known(columns) = &source.columns else {
            return;
        };
        if source.columns.has(self.schema, &name) {
            if let Some(table) = &source.table {
                self.used(&table.full, &name);
            }
            return;
        }
        if is_everywhere(self.schema.dialect, &name) {
            return;
        }
        let nearest = self.nearest(&name, columns.iter().map(String::as_str));
        let kind = ProblemKind::UnknownColumn {
            qualifier: Some(source.name.clone()),
            elsewhere: Vec::new(),
        };
        self.problem(ident, kind, nearest);
    }

    /// Whether the identifier is a column that has fields.
    fn is_struct(&self, ident: &Ident, scope: &Scope<'_>) -> bool {
        let name = self.fold(ident);
        scope.outwards().any(|level| {
            level.is_open()
                || level.sources.iter().any(|source| {
                    let table = source
                        .table
                        .as_ref()
                        .and_then(|t| self.schema.table(&t.full));
                    let column = table.and_then(|table| table.column(&name));
                    match column {
                        Some(column) => matches!(column.kind, Kind::Other | Kind::Json),
                        None => source.table.is_none() && source.columns.has(self.schema, &name),
                    }
                })
        })
    }

    /// What a table, alias or `schema.table` before a dot stands for, or a problem.
    pub(super) fn source<'q>(
        &mut self,
        parts: &[&Ident],
        scope: &'q Scope<'q>,
    ) -> Option<(&'q Scope<'q>, usize)> {
        let found = self.find(parts, scope);
        if found.is_some() {
            return found;
        }
        let last = parts.last()?;
        let name = self.fold(last);
        let in_scope = || scope.outwards().flat_map(|level| &level.sources);
        let aliased = in_scope().find(|source| {
            let mut table = source.table.iter();
            table.any(|table| self.schema.same(&table.name, &name))
        });
        let (kind, nearest) = match aliased {
            Some(source) => {
                let alias = source.name.clone();
                let kind = ProblemKind::NotInScope {
                    alias: Some(alias.clone()),
                };
                (kind, vec![alias])
            }
            None if self.schema.table(&name).is_some() => {
                (ProblemKind::NotInScope { alias: None }, Vec::new())
            }
            None => {
                let names = in_scope().map(|source| source.name.as_str());
                let nearest = self.nearest(&name, names);
                (ProblemKind::UnknownQualifier, nearest)
            }
        };
        self.problem(last, kind, nearest);
        None
    }

    fn find<'q>(&self, parts: &[&Ident], scope: &'q Scope<'q>) -> Option<(&'q Scope<'q>, usize)> {
        let parts: Vec<String> = parts.iter().map(|ident| self.fold(ident)).collect();
        let whole = parts.join(".");
        let [.., last] = parts.as_slice() else {
            return None;
        };
        let schema = self.schema;
        for level in std::iter::successors(Some(scope), |scope| scope.parent) {
            let at = level.sources.iter().position(|source| match parts.len() {
                1 => schema.same(&source.name, last),
                _ => {
                    let full = source.table.as_ref().map(|table| table.full.as_str());
                    full.is_some_and(|full| {
                        schema.same(full, &whole) || whole.ends_with(&format!(".{full}"))
                    })
                }
            });
            if let Some(at) = at {
                return Some((level, at));
            }
        }
        None
    }

    fn used(&mut self, table: &str, column: &str) {
        let stored = self
            .schema
            .table(table)
            .and_then(|table| table.column(column));
        let column = stored.map_or(column, |column| column.name.as_str());
        self.found.columns.insert(format!("{table}.{column}"));
    }

    pub(super) fn problem(&mut self, ident: &Ident, kind: ProblemKind, nearest: Vec<String>) {
        self.found.problems.push(Problem {
            kind,
            name: ident.value.clone(),
            nearest,
            span: ident.span,
        });
    }
}

/// Columns that every table has, and words that are values.
fn is_everywhere(dialect: Dialect, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let names: &[&str] = match dialect {
        Dialect::Postgres => &["ctid", "xmin", "xmax", "tableoid"],
        Dialect::Sqlite => &[
            "rowid",
            "oid",
            "_rowid_",
            "current_date",
            "current_timestamp",
        ],
        Dialect::DuckDb => &["rowid", "filename"],
        Dialect::BigQuery => &["_partitiontime", "_partitiondate", "_table_suffix"],
        Dialect::MySql | Dialect::MsSql => &[],
    };
    names.contains(&name.as_str())
}

/// Walks an expression in one scope; subqueries are resolved apart and not walked again.
struct Walk<'w, 's, 'a> {
    resolver: &'w mut Resolver<'s>,
    ctes: &'w Ctes,
    scope: &'w Scope<'a>,
    /// How many queries the walk is in.
    queries: usize,
    /// Identifiers that are no columns, by their places.
    passed_over: Vec<Span>,
    /// Parameters of lambdas.
    parameters: Vec<String>,
}

impl Visitor for Walk<'_, '_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.queries == 0 {
            self.resolver.query(query, self.ctes, Some(self.scope));
        }
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.queries > 0 {
            return ControlFlow::Continue(());
        }
        if self.parameters.is_empty() {
            self.resolver.types(expr, self.scope);
        }
        match expr {
            Expr::Identifier(ident) => {
                let is_parameter = self.parameters.contains(&ident.value);
                if !is_parameter && !self.passed_over.contains(&ident.span) {
                    self.resolver.column(ident, self.scope);
                }
            }
            Expr::CompoundIdentifier(parts) => {
                let first = parts.first().map(|ident| &ident.value);
                if !first.is_some_and(|first| self.parameters.contains(first)) {
                    self.resolver.compound(parts, self.scope);
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                // `user.name`: PostgreSQL has a function that is called without brackets.
                if let (Expr::Function(function), [AccessExpr::Dot(Expr::Identifier(field)), ..]) =
                    (root.as_ref(), access_chain.as_slice())
                    && function.args == FunctionArguments::None
                    && let [part] = function.name.0.as_slice()
                    && let Some(ident) = part.as_ident()
                {
                    let parts = [ident.clone(), field.clone()];
                    self.resolver.compound(&parts, self.scope);
                }
                for access in access_chain {
                    if let AccessExpr::Dot(Expr::Identifier(ident)) = access {
                        self.passed_over.push(ident.span);
                    }
                }
            }
            Expr::Function(function) => self.function(function),
            Expr::Lambda(lambda) => self.lambda(lambda),
            Expr::QualifiedWildcard(name, _) => self.wildcard(name),
            Expr::MatchAgainst { columns, .. } => {
                for column in columns {
                    let parts: Vec<Ident> = idents(column).cloned().collect();
                    self.resolver.compound(&parts, self.scope);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Walk<'_, '_, '_> {
    fn function(&mut self, function: &Function) {
        let FunctionArguments::List(list) = &function.args else {
            return;
        };
        let name = function.name.to_string().to_lowercase();
        let is_of_dates = ["date", "time", "last_day", "extract"]
            .iter()
            .any(|word| name.contains(word));
        for arg in &list.args {
            match arg {
                FunctionArg::ExprNamed {
                    name: Expr::Identifier(ident),
                    ..
                } => self.passed_over.push(ident.span),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(ident)))
                    if is_of_dates
                        && DATE_PARTS.contains(&format!(" {} ", ident.value.to_lowercase())) =>
                {
                    self.passed_over.push(ident.span);
                }
                FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => {
                    self.wildcard(name);
                }
                _ => {}
            }
        }
        if let Some(WindowType::NamedWindow(window)) = &function.over {
            let name = self.resolver.fold(window);
            let windows = &self.scope.windows;
            if !windows.contains(&name) {
                let names = windows.iter().map(String::as_str);
                let nearest = self.resolver.nearest(&name, names);
                self.resolver
                    .problem(window, ProblemKind::UnknownQualifier, nearest);
            }
        }
    }

    fn lambda(&mut self, lambda: &LambdaFunction) {
        let parameters = match &lambda.params {
            OneOrManyWithParens::One(one) => std::slice::from_ref(one),
            OneOrManyWithParens::Many(many) => many.as_slice(),
        };
        let names = parameters
            .iter()
            .map(|parameter| parameter.name.value.clone());
        self.parameters.extend(names);
    }

    fn wildcard(&mut self, name: &ObjectName) {
        let idents: Vec<&Ident> = idents(name).collect();
        self.resolver.source(&idents, self.scope);
    }
}

fn idents(name: &ObjectName) -> impl Iterator<Item = &Ident> {
    name.0.iter().filter_map(|part| part.as_ident())
}
