//! `SELECT`: its tables, then everything that may name them.

use sqlparser::ast::{
    Distinct, Expr, FunctionArg, FunctionArgExpr, GroupByExpr, GroupByWithModifier, Ident, Join,
    JoinConstraint, JoinOperator, NamedWindowExpr, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TableAlias, TableFactor, TableWithJoins,
};

use crate::sql::Dialect;

use super::scope::{Columns, List, Scope, Source};
use super::{Ctes, ProblemKind, Resolver, last_ident};
use crate::sql::statement::join_constraint;

impl Resolver<'_> {
    pub(super) fn select(
        &mut self,
        select: &Select,
        ctes: &Ctes,
        outer: Option<&Scope<'_>>,
        inner: &mut Option<Scope<'static>>,
    ) -> Columns {
        let mut scope = Scope::new(outer);
        for table in &select.from {
            self.joins(table, ctes, &mut scope);
        }
        self.twice(select, &scope);
        for view in &select.lateral_views {
            self.expression(&view.lateral_view, ctes, &scope);
            let names = view.lateral_col_alias.iter().map(|name| self.fold(name));
            let columns = Columns::of(names);
            let name = last_ident(&view.lateral_view_name).map(|ident| self.fold(ident));
            scope.add(name.unwrap_or_default(), columns);
        }
        for window in &select.named_window {
            let name = self.fold(&window.0);
            scope.windows.push(name);
        }
        let output = self.projection(select, ctes, &scope);
        let dialect = self.schema.dialect;
        let aliases: Vec<String> = select
            .projection
            .iter()
            .filter_map(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => Some(self.fold(alias)),
                _ => None,
            })
            .collect();
        if matches!(dialect, Dialect::Sqlite | Dialect::DuckDb) {
            scope.aliases.clone_from(&aliases);
        }
        self.expressions(
            select.selection.iter().chain(&select.prewhere),
            ctes,
            &scope,
        );
        if let Some(selection) = &select.selection {
            self.condition(selection, &scope);
        }
        if matches!(dialect, Dialect::MySql | Dialect::BigQuery) {
            scope.aliases.clone_from(&aliases);
        }
        self.expressions(select.having.iter(), ctes, &scope);
        if let Some(having) = &select.having {
            self.condition(having, &scope);
        }
        scope.aliases = aliases;
        self.grouping(&select.group_by, ctes, &scope);
        self.expressions(select.qualify.iter(), ctes, &scope);
        for window in &select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &window.1 {
                let order = spec.order_by.iter().map(|item| &item.expr);
                self.expressions(spec.partition_by.iter().chain(order), ctes, &scope);
            }
        }
        if let Some(Distinct::On(list)) = &select.distinct {
            self.expressions(list.iter(), ctes, &scope);
        }
        *inner = Some(scope.alone());
        output
    }

    /// What goes by one name in `FROM`; SQLite lets it.
    fn twice(&mut self, select: &Select, scope: &Scope<'_>) {
        if self.schema.dialect == Dialect::Sqlite {
            return;
        }
        for (at, source) in scope.sources.iter().enumerate() {
            let is_same = |other: &Source| {
                // `a.t` and `b.t` are told apart by what stands before them.
                let full = |source: &Source| source.table.as_ref().map(|table| table.full.clone());
                self.schema.same(&other.name, &source.name) && full(other) == full(source)
            };
            if source.name.is_empty() || !scope.sources[..at].iter().any(is_same) {
                continue;
            }
            let mut named = select.from.iter().flat_map(names).filter(|ident| {
                let name = self.fold(ident);
                self.schema.same(&name, &source.name)
            });
            if let Some(ident) = named.next_back() {
                self.problem(ident, ProblemKind::Twice, Vec::new());
            }
        }
    }

    fn grouping(&mut self, group: &GroupByExpr, ctes: &Ctes, scope: &Scope<'_>) {
        let (list, modifiers) = match group {
            GroupByExpr::All(modifiers) => (&[][..], modifiers),
            GroupByExpr::Expressions(list, modifiers) => (list.as_slice(), modifiers),
        };
        self.expressions(list.iter(), ctes, scope);
        for modifier in modifiers {
            if let GroupByWithModifier::GroupingSets(sets) = modifier {
                self.expression(sets, ctes, scope);
            }
        }
    }

    /// The `SELECT` list; gives the names of what it returns.
    fn projection(&mut self, select: &Select, ctes: &Ctes, scope: &Scope<'_>) -> Columns {
        let mut list = List::default();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    self.expression(expr, ctes, scope);
                    list.push(self.implied_name(expr));
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.expression(expr, ctes, scope);
                    list.push(self.fold(alias));
                }
                SelectItem::ExprWithAliases { expr, aliases } => {
                    self.expression(expr, ctes, scope);
                    for alias in aliases {
                        list.push(self.fold(alias));
                    }
                }
                SelectItem::Wildcard(_) => {
                    for source in &scope.sources {
                        self.star(source, &mut list);
                    }
                }
                SelectItem::QualifiedWildcard(kind, _) => {
                    let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
                        list.open(Columns::Any);
                        continue;
                    };
                    let idents: Vec<&Ident> =
                        name.0.iter().filter_map(|part| part.as_ident()).collect();
                    match self.source(&idents, scope) {
                        Some((scope, at)) => self.star(&scope.sources[at], &mut list),
                        None => list.open(Columns::Any),
                    }
                }
            }
        }
        if select.projection.is_empty() {
            list.open(Columns::Any);
        }
        self.listed(list.columns())
    }

    /// All columns of a source.
    fn star(&mut self, source: &Source, list: &mut List) {
        if let Some(table) = &source.table {
            self.found.columns.insert(format!("{}.*", table.full));
        }
        list.extend(&source.columns);
    }

    /// What a column without an alias is called.
    fn implied_name(&self, expr: &Expr) -> String {
        match expr {
            Expr::Identifier(ident) => self.fold(ident),
            Expr::CompoundIdentifier(parts) => parts
                .last()
                .map(|ident| self.fold(ident))
                .unwrap_or_default(),
            Expr::Function(function) if self.schema.dialect == Dialect::Postgres => {
                last_ident(&function.name)
                    .map(|ident| self.fold(ident))
                    .unwrap_or_default()
            }
            Expr::Cast { expr, .. } if self.schema.dialect == Dialect::Postgres => {
                self.implied_name(expr)
            }
            Expr::Nested(expr) => self.implied_name(expr),
            other => other.to_string(),
        }
    }

    pub(super) fn joins(&mut self, table: &TableWithJoins, ctes: &Ctes, scope: &mut Scope<'_>) {
        let first = scope.sources.len();
        self.factor(&table.relation, ctes, scope);
        for join in &table.joins {
            let right = scope.sources.len();
            self.factor(&join.relation, ctes, scope);
            self.constraint(join, ctes, scope, first..right);
        }
    }

    fn constraint(
        &mut self,
        join: &Join,
        ctes: &Ctes,
        scope: &mut Scope<'_>,
        left: std::ops::Range<usize>,
    ) {
        if let JoinOperator::AsOf {
            match_condition, ..
        } = &join.join_operator
        {
            self.expression(match_condition, ctes, scope);
        }
        let Some(constraint) = join_constraint(&join.join_operator) else {
            return;
        };
        match constraint {
            JoinConstraint::On(condition) => {
                self.expression(condition, ctes, scope);
                self.condition(condition, scope);
            }
            JoinConstraint::Using(names) => {
                for name in names {
                    if let Some(ident) = last_ident(name) {
                        self.using(ident, scope, left.clone());
                    }
                }
            }
            JoinConstraint::Natural => {
                let shared: Vec<String> = scope.sources[left.clone()]
                    .iter()
                    .flat_map(|source| source.columns.names())
                    .filter(|name| {
                        let right = &scope.sources[left.end..];
                        right
                            .iter()
                            .any(|source| source.columns.has(self.schema, name))
                    })
                    .cloned()
                    .collect();
                scope.merged.extend(shared);
            }
            JoinConstraint::None => {}
        }
    }

    /// A column of `USING`: both sides must have it.
    fn using(&mut self, ident: &Ident, scope: &mut Scope<'_>, left: std::ops::Range<usize>) {
        let name = self.fold(ident);
        for side in [left.clone(), left.end..scope.sources.len()] {
            let sources = &scope.sources[side];
            let mut half = Scope::new(None);
            half.sources = sources.to_vec();
            half.merged.insert(name.clone());
            self.column(ident, &half);
        }
        scope.merged.insert(name);
    }

    /// Puts what stands in `FROM` into the scope.
    fn factor(&mut self, factor: &TableFactor, ctes: &Ctes, scope: &mut Scope<'_>) {
        match factor {
            TableFactor::Table {
                name, alias, args, ..
            } => {
                if let Some(args) = args {
                    self.arguments(&args.args, ctes, scope);
                    let usual = last_ident(name).map(|ident| self.fold(ident));
                    return self.open(alias.as_ref(), usual, scope);
                }
                let lone = match name.0.as_slice() {
                    [part] => part.as_ident().map(|ident| self.fold(ident)),
                    _ => None,
                };
                let cte = lone.and_then(|name| {
                    let mut ctes = ctes.iter().rev();
                    ctes.find(|cte| self.schema.same(&cte.name, &name)).cloned()
                });
                let before = scope.sources.len();
                match cte {
                    Some(cte) => {
                        let name = self.goes_by(alias.as_ref()).unwrap_or(cte.name);
                        scope.add(name, self.listed(cte.columns));
                    }
                    // A list or struct of an earlier table, as BigQuery joins it.
                    None if name.0.len() > 1 && self.is_of_source(name, scope) => {
                        let usual = last_ident(name).map(|ident| self.fold(ident));
                        self.open(alias.as_ref(), usual, scope);
                    }
                    None => self.table(name, alias.as_ref().map(|alias| &alias.name), scope),
                }
                self.rename(alias.as_ref(), scope, before);
            }
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                ..
            } => {
                let columns = match lateral {
                    true => self.query(subquery, ctes, Some(scope)),
                    false => self.query(subquery, ctes, scope.parent),
                };
                let name = self.goes_by(alias.as_ref()).unwrap_or_default();
                let before = scope.sources.len();
                scope.add(name, columns);
                self.rename(alias.as_ref(), scope, before);
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                let before = scope.sources.len();
                self.joins(table_with_joins, ctes, scope);
                if let Some(name) = self.goes_by(alias.as_ref()) {
                    let mut list = List::default();
                    for source in scope.sources.drain(before..) {
                        list.extend(&source.columns);
                    }
                    scope.add(name, self.listed(list.columns()));
                }
            }
            TableFactor::TableFunction { expr, alias } => {
                self.expression(expr, ctes, scope);
                self.open(alias.as_ref(), None, scope);
            }
            TableFactor::Function {
                name, args, alias, ..
            } => {
                self.arguments(args, ctes, scope);
                let usual = last_ident(name).map(|ident| self.fold(ident));
                self.open(alias.as_ref(), usual, scope);
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset_alias,
                ..
            } => {
                self.expressions(array_exprs.iter(), ctes, scope);
                self.open(alias.as_ref(), None, scope);
                if let Some(name) = with_offset_alias {
                    let columns = Columns::of([self.fold(name)]);
                    scope.add(String::new(), columns);
                }
            }
            TableFactor::JsonTable {
                json_expr, alias, ..
            }
            | TableFactor::OpenJsonTable {
                json_expr, alias, ..
            } => {
                self.expression(json_expr, ctes, scope);
                self.open(alias.as_ref(), None, scope);
            }
            TableFactor::Pivot { table, alias, .. }
            | TableFactor::Unpivot { table, alias, .. }
            | TableFactor::MatchRecognize { table, alias, .. } => {
                let mut apart = Scope::new(None);
                self.factor(table, ctes, &mut apart);
                self.open(alias.as_ref(), None, scope);
            }
            TableFactor::XmlTable { alias, .. } | TableFactor::SemanticView { alias, .. } => {
                self.open(alias.as_ref(), None, scope);
            }
        }
    }

    /// Something whose columns are not known, but for those that the alias lists.
    fn open(&mut self, alias: Option<&TableAlias>, usual: Option<String>, scope: &mut Scope<'_>) {
        let name = self.goes_by(alias).or(usual).unwrap_or_default();
        let before = scope.sources.len();
        scope.add(name, Columns::Any);
        self.rename(alias, scope, before);
    }

    fn rename(&mut self, alias: Option<&TableAlias>, scope: &mut Scope<'_>, at: usize) {
        let Some(alias) = alias.filter(|alias| !alias.columns.is_empty()) else {
            return;
        };
        let names: Vec<String> = alias.columns.iter().map(|c| self.fold(&c.name)).collect();
        if let Some(source) = scope.sources.get_mut(at) {
            let columns = std::mem::replace(&mut source.columns, Columns::Any);
            source.columns = self.listed(columns.renamed(&names));
        }
    }

    fn goes_by(&self, alias: Option<&TableAlias>) -> Option<String> {
        alias.map(|alias| self.fold(&alias.name))
    }

    fn is_of_source(&self, name: &sqlparser::ast::ObjectName, scope: &Scope<'_>) -> bool {
        let first = name.0.first().and_then(|part| part.as_ident());
        first.is_some_and(|ident| {
            let name = self.fold(ident);
            let mut sources = scope.sources.iter();
            sources.any(|source| self.schema.same(&source.name, &name))
        })
    }

    fn arguments(&mut self, args: &[FunctionArg], ctes: &Ctes, scope: &Scope<'_>) {
        for arg in args {
            let (FunctionArg::Named { arg, .. }
            | FunctionArg::ExprNamed { arg, .. }
            | FunctionArg::Unnamed(arg)) = arg;
            if let FunctionArgExpr::Expr(expr) = arg {
                self.expression(expr, ctes, scope);
            }
        }
    }
}

/// What the tables of a `FROM` go by, as it is written.
fn names(table: &TableWithJoins) -> Vec<&Ident> {
    let joined = table.joins.iter().map(|join| &join.relation);
    let factors = std::iter::once(&table.relation).chain(joined);
    let named = factors.filter_map(|factor| match factor {
        TableFactor::Table { name, alias, .. } => alias
            .as_ref()
            .map(|alias| &alias.name)
            .or_else(|| last_ident(name)),
        TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| &alias.name),
        _ => None,
    });
    named.collect()
}
