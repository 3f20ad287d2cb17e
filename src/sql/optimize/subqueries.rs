//! Queries within queries.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArguments, GroupByExpr, Ident, Join, JoinConstraint,
    JoinOperator, Query, Select, SelectItem, SetExpr, Statement, TableFactor, VisitMut, VisitorMut,
};

use crate::sql::Schema;
use crate::sql::names::written;
use crate::sql::scope::{Scope, ctes};
use crate::sql::statement::parse;

use super::expression::{all, columns, conjuncts, has_query, parsed, qualified};
use super::predicates::replace;
use super::{Pattern, Work};

/// `ORDER BY` inside `IN`, `EXISTS` and derived tables orders nothing unless rows are cut off.
pub(super) fn order(work: &mut Work<'_>) {
    struct Remover {
        depth: usize,
        removed: Vec<String>,
        tables_too: bool,
    }
    impl VisitorMut for Remover {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Exists { subquery, .. } | Expr::InSubquery { subquery, .. } = expr {
                self.strip(subquery);
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Derived { subquery, .. } = factor
                && self.tables_too
                && self.depth == 1
            {
                self.strip(subquery);
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    impl Remover {
        fn strip(&mut self, query: &mut Query) {
            let cuts = query.limit_clause.is_some()
                || query.fetch.is_some()
                || query.body.as_select().is_some_and(|select| {
                    select.top.is_some()
                        || matches!(select.distinct, Some(sqlparser::ast::Distinct::On(_)))
                });
            if let Some(order) = query.order_by.take_if(|_| !cuts) {
                self.removed.push(order.to_string());
            }
        }
    }
    // What depends on the order that rows come in must keep it.
    let text = work.query.to_string().to_lowercase();
    let depends = [
        "_agg(",
        "group_concat(",
        "row_number()",
        "first_value(",
        "last_value(",
        "array(",
        "list(",
    ];
    let keeps_order = depends.iter().any(|name| text.contains(name));
    let ordered = work.query.order_by.is_some()
        || work.query.limit_clause.is_none() && is_grouped(work.select());
    let mut remover = Remover {
        depth: 0,
        removed: Vec::new(),
        tables_too: ordered && !keeps_order,
    };
    let _ = work.query.visit(&mut remover);
    for order in remover.removed {
        work.rewrote(
            Pattern::RedundantOrder,
            format!("{order} in a subquery sorts rows whose order nobody sees."),
        );
    }
}

fn is_grouped(select: Option<&Select>) -> bool {
    select.is_some_and(
        |select| matches!(&select.group_by, GroupByExpr::Expressions(list, _) if !list.is_empty()),
    )
}

/// A subquery that is one plain `SELECT`.
fn plain(query: &Query) -> Option<&Select> {
    let bare = query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty()
        && query.pipe_operators.is_empty();
    let select = query.body.as_select().filter(|_| bare)?;
    let simple = select.distinct.is_none()
        && select.top.is_none()
        && select.having.is_none()
        && select.qualify.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
    simple.then_some(select)
}

/// `NOT IN (SELECT …)` as `NOT EXISTS`: the same rows where neither side can be null.
pub(super) fn not_in(work: &mut Work<'_>) {
    let scope = work.scope();
    let Some(whole) = work.select().and_then(|select| select.selection.clone()) else {
        return;
    };
    let mut parts = Vec::new();
    let mut told = Vec::new();
    for part in conjuncts(&whole) {
        let Expr::InSubquery {
            expr,
            subquery,
            negated: true,
        } = &part
        else {
            parts.push(part);
            continue;
        };
        match exists(work, expr, subquery, &scope) {
            Some((better, true)) => {
                told.push((
                    true,
                    "NOT EXISTS gives the same rows as NOT IN here and can use an index or a hash join.".to_owned(),
                ));
                parts.push(better);
            }
            Some((better, false)) => {
                told.push((
                    false,
                    format!(
                        "{expr} NOT IN (…) gives no row at all once the subquery gives a NULL, and cannot be joined; where \
                         that is not meant, write {better}"
                    ),
                ));
                parts.push(part);
            }
            None => parts.push(part),
        }
    }
    if told.iter().any(|(rewritten, _)| *rewritten)
        && let Some(select) = work.select_mut()
    {
        select.selection = all(parts);
    }
    for (rewritten, text) in told {
        match rewritten {
            true => work.rewrote(Pattern::NotIn, text),
            false => work.tell(Pattern::NotIn, text),
        }
    }
}

/// The `NOT EXISTS` for a `NOT IN`, and whether it gives the same rows whatever the tables hold.
fn exists(
    work: &Work<'_>,
    outer: &Expr,
    subquery: &Query,
    scope: &Scope<'_>,
) -> Option<(Expr, bool)> {
    let select = plain(subquery)?;
    let [SelectItem::UnnamedExpr(inner)] = select.projection.as_slice() else {
        return None;
    };
    let inner_scope = Scope::new(work.schema, &select.from, &ctes(&work.query));
    let (inner_binding, inner_column) = inner_scope.column(inner)?;
    let (outer_binding, outer_column) = scope.column(outer)?;
    // The outer name must not be taken for one of the inner tables.
    if inner_scope
        .bindings
        .iter()
        .any(|binding| inner_scope.same(&binding.name, &outer_binding.name))
    {
        return None;
    }
    let filters: Vec<Expr> = select.selection.iter().flat_map(conjuncts).collect();
    let excludes_null = filters
        .iter()
        .any(|filter| matches!(filter, Expr::IsNotNull(expr) if **expr == *inner));
    let inner_never_null =
        !has_outer_join(&select.from) && (!inner_column.nullable || excludes_null);
    let outer_never_null = !outer_column.nullable
        && !work
            .select()
            .is_some_and(|select| has_outer_join(&select.from));
    let link = Expr::BinaryOp {
        left: Box::new(qualified(inner_binding, inner)),
        op: BinaryOperator::Eq,
        right: Box::new(qualified(outer_binding, outer)),
    };
    let mut filters = filters;
    filters.push(link);
    let mut better = select.clone();
    better.projection = vec![SelectItem::UnnamedExpr(parsed("1", work.schema.dialect)?)];
    better.selection = all(filters);
    let mut query = subquery.clone();
    query.order_by = None;
    *query.body = SetExpr::Select(Box::new(better));
    let better = Expr::Exists {
        subquery: Box::new(query),
        negated: true,
    };
    Some((better, inner_never_null && outer_never_null))
}

fn has_outer_join(from: &[sqlparser::ast::TableWithJoins]) -> bool {
    let mut joins = from.iter().flat_map(|table| &table.joins);
    joins.any(|join| {
        matches!(
            join.join_operator,
            JoinOperator::Left(_)
                | JoinOperator::LeftOuter(_)
                | JoinOperator::Right(_)
                | JoinOperator::RightOuter(_)
                | JoinOperator::FullOuter(_)
                | JoinOperator::OuterApply
        )
    })
}

/// Scalar subqueries over an aggregate become one grouped subquery that is joined.
pub(super) fn correlated(work: &mut Work<'_>) {
    let Some(select) = work.select() else { return };
    let can_join = plain_outer(select) && work.query.with.is_none() && !select.from.is_empty();
    let scope = work.scope();
    let mut items = select.projection.clone();
    let mut selection = select.selection.clone();
    let mut made: Vec<Grouped> = Vec::new();
    let mut told = 0;
    let schema = work.schema;
    let mut change = |part: &Expr| {
        let Expr::Subquery(query) = part else {
            return None;
        };
        let name = format!("sub{}", made.len() + 1);
        let grouped = grouped(query, &scope, schema, &name);
        match grouped {
            Found::Grouped(grouped) if can_join => {
                let value = grouped.value.clone();
                made.push(*grouped);
                Some(value)
            }
            Found::Grouped(_) | Found::Correlated => {
                told += 1;
                None
            }
            Found::Other => None,
        }
    };
    for item in &mut items {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let before = expr.clone();
                replace(expr, &mut change);
                // The column keeps a name of its own where it had one by default.
                if *expr != before
                    && let Some(name) = default_name(&before)
                {
                    *item = SelectItem::ExprWithAlias {
                        expr: expr.clone(),
                        alias: name,
                    };
                }
            }
            SelectItem::ExprWithAlias { expr, .. } => replace(expr, &mut change),
            _ => {}
        }
    }
    if let Some(selection) = &mut selection {
        replace(selection, &mut change);
    }
    if told > 0 {
        work.tell(
            Pattern::CorrelatedSubquery,
            "A subquery depends on the row around it and is worked out for each one; joining a grouped subquery once is faster where there are many rows.",
        );
    }
    if made.is_empty() {
        return;
    }
    let Some(joins) = made
        .iter()
        .map(|grouped| grouped.join(schema))
        .collect::<Option<Vec<Join>>>()
    else {
        return;
    };
    if let Some(select) = work.select_mut() {
        select.projection = items;
        select.selection = selection;
        if let Some(table) = select.from.last_mut() {
            table.joins.extend(joins);
        }
    }
    for grouped in made {
        let text = format!(
            "{} is worked out once for all rows by a grouped subquery that is joined.",
            grouped.aggregate
        );
        work.rewrote(Pattern::CorrelatedSubquery, text);
    }
}

/// PostgreSQL names a column after the aggregate in its subquery.
fn default_name(expr: &Expr) -> Option<Ident> {
    let Expr::Subquery(query) = expr else {
        return None;
    };
    match query.body.as_select()?.projection.as_slice() {
        [SelectItem::UnnamedExpr(Expr::Function(function))] => function
            .name
            .0
            .last()
            .and_then(|part| part.as_ident())
            .map(|name| Ident::new(name.value.to_lowercase())),
        [SelectItem::ExprWithAlias { alias, .. }] => Some(alias.clone()),
        _ => None,
    }
}

/// A row of the outer query stays one row when another is joined to it.
fn plain_outer(select: &Select) -> bool {
    let is_table = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::UnnamedExpr(_)
                | SelectItem::ExprWithAlias { .. }
                | SelectItem::QualifiedWildcard(..)
        )
    };
    // `SELECT *` would show the joined columns too.
    select.projection.iter().all(is_table)
        && select.from.len() == 1
        && matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty())
        && select.having.is_none()
}

enum Found {
    Grouped(Box<Grouped>),
    /// It depends on the row around it, in a way that is not rewritten.
    Correlated,
    /// It does not.
    Other,
}

/// A subquery that was turned into a joined one.
struct Grouped {
    name: String,
    query: String,
    /// Columns of it, with what they must equal.
    keys: Vec<(String, Expr)>,
    /// What stands in the place of the subquery.
    value: Expr,
    aggregate: String,
}

impl Grouped {
    fn join(&self, schema: &Schema) -> Option<Join> {
        let keys: Vec<String> = self
            .keys
            .iter()
            .map(|(key, outer)| format!("{}.{key} = {outer}", self.name))
            .collect();
        let text = format!(
            "SELECT 1 FROM x LEFT JOIN ({}) AS {} ON {}",
            self.query,
            self.name,
            keys.join(" AND ")
        );
        let statement = parse(&text, schema.dialect).ok()?.pop()?;
        let Statement::Query(query) = statement else {
            return None;
        };
        query.body.as_select()?.from.first()?.joins.first().cloned()
    }
}

fn grouped(query: &Query, scope: &Scope<'_>, schema: &Schema, name: &str) -> Found {
    let Some(select) = plain(query) else {
        return Found::Other;
    };
    let inner = Scope::new(schema, &select.from, &[]);
    let is_inner = |column: &Expr| inner.owns(column);
    let filters: Vec<Expr> = select.selection.iter().flat_map(conjuncts).collect();
    let depends = |expr: &Expr| {
        columns(expr)
            .iter()
            .any(|column| !is_inner(column) && scope.owns(column))
    };
    if !filters.iter().any(depends) {
        return Found::Other;
    }
    grouped_by(select, &filters, &inner, scope, schema, name).map_or(Found::Correlated, |grouped| {
        Found::Grouped(Box::new(grouped))
    })
}

fn grouped_by(
    select: &Select,
    filters: &[Expr],
    inner: &Scope<'_>,
    scope: &Scope<'_>,
    schema: &Schema,
    name: &str,
) -> Option<Grouped> {
    let (SelectItem::UnnamedExpr(aggregate)
    | SelectItem::ExprWithAlias {
        expr: aggregate, ..
    }) = select.projection.first()?
    else {
        return None;
    };
    let function = plain_aggregate(aggregate).filter(|_| select.projection.len() == 1)?;
    if !columns(aggregate).iter().all(|column| inner.owns(column)) {
        return None;
    }
    let mut keys = Vec::new();
    let mut own = Vec::new();
    for filter in filters {
        let named = columns(filter);
        if has_query(filter) {
            return None;
        }
        if named.iter().all(|column| inner.owns(column)) {
            own.push(filter.clone());
            continue;
        }
        let Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        } = filter
        else {
            return None;
        };
        let (here, there) = match (inner.owns(left), inner.owns(right)) {
            (true, false) => (left, right),
            (false, true) => (right, left),
            _ => return None,
        };
        // The outer side keeps its meaning only with the name of its table before it.
        let (binding, _) = scope.column(there)?;
        keys.push((here.to_string(), qualified(binding, there)));
    }
    if keys.is_empty() || has_outer_join(&select.from) {
        return None;
    }
    let dialect = schema.dialect;
    let value = written(dialect, "value");
    let listed: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(at, (here, _))| format!("{here} AS key{}", at + 1))
        .collect();
    let groups: Vec<String> = keys.iter().map(|(here, _)| here.clone()).collect();
    let from: Vec<String> = select.from.iter().map(ToString::to_string).collect();
    let filter = all(own).map_or(String::new(), |filter| format!(" WHERE {filter}"));
    let query = format!(
        "SELECT {}, {aggregate} AS {value} FROM {}{filter} GROUP BY {}",
        listed.join(", "),
        from.join(", "),
        groups.join(", ")
    );
    let value = match function.name.to_string().to_lowercase().as_str() {
        "count" => format!("COALESCE({name}.{value}, 0)"),
        _ => format!("{name}.{value}"),
    };
    let keys = keys
        .into_iter()
        .enumerate()
        .map(|(at, (_, outer))| (format!("key{}", at + 1), outer));
    Some(Grouped {
        name: name.to_owned(),
        query,
        keys: keys.collect(),
        value: parsed(&value, dialect)?,
        aggregate: aggregate.to_string(),
    })
}

/// An aggregate that gives null, or 0 for `COUNT`, where there are no rows.
fn plain_aggregate(expr: &Expr) -> Option<&Function> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let name = function.name.to_string().to_lowercase();
    let known = ["count", "sum", "avg", "min", "max"].contains(&name.as_str());
    let plain = function.over.is_none() && matches!(function.args, FunctionArguments::List(_));
    (known && plain).then_some(function)
}

/// The condition of a plain inner join.
pub(super) fn inner_on(join: &Join) -> Option<&Expr> {
    match &join.join_operator {
        JoinOperator::Join(JoinConstraint::On(on))
        | JoinOperator::Inner(JoinConstraint::On(on)) => Some(on),
        _ => None,
    }
}
