//! Columns that `GROUP BY` lacks, and aggregates in `WHERE`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArguments, GroupByExpr, Ident, ObjectName, Query, Select,
    SelectItem, SetExpr, Statement, Value, Visit, Visitor,
};

use crate::sql::scope::{Scope, ctes};
use crate::sql::statement::parse;
use crate::sql::{Dialect, Schema};

use super::text::{Edit, Source};

/// The edit that the first `SELECT` needs.
pub(super) fn edit(source: &Source<'_>, schema: &Schema) -> Option<Edit> {
    let statements = parse(source.sql, source.dialect).ok()?;
    let [Statement::Query(query)] = statements.as_slice() else {
        return None;
    };
    let SetExpr::Select(select) = &*query.body else {
        return None;
    };
    filtered_aggregate(source, query, select).or_else(|| ungrouped(source, schema, query, select))
}

/// Conditions on aggregates belong in `HAVING`.
fn filtered_aggregate(source: &Source<'_>, query: &Query, select: &Select) -> Option<Edit> {
    let mut parts = Vec::new();
    conditions(select.selection.as_ref()?, &mut parts);
    let (after, before): (Vec<&Expr>, Vec<&Expr>) =
        parts.into_iter().partition(|part| has_aggregate(part));
    if after.is_empty() {
        return None;
    }
    let mut select = select.clone();
    let all = |parts: &[&Expr]| parts.iter().map(|part| (*part).clone()).reduce(both);
    select.selection = all(&before);
    let having = all(&after);
    select.having = match (select.having.take(), having) {
        (Some(a), Some(b)) => Some(both(a, b)),
        (a, b) => a.or(b),
    };
    let mut query = query.clone();
    *query.body = SetExpr::Select(Box::new(select));
    let moved: Vec<String> = after.iter().map(ToString::to_string).collect();
    let semicolon = if source.sql.trim_end().ends_with(';') {
        ";"
    } else {
        ""
    };
    Some(Edit {
        cost: 3,
        reason: format!("the condition {} is moved to HAVING", moved.join(" AND ")),
        sql: format!("{query}{semicolon}"),
    })
}

fn both(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    }
}

/// What `AND` joins.
fn conditions<'a>(whole: &'a Expr, parts: &mut Vec<&'a Expr>) {
    match whole {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            conditions(left, parts);
            conditions(right, parts);
        }
        part => parts.push(part),
    }
}

/// Columns beside aggregates that are not grouped by, where the dialect minds.
fn ungrouped(source: &Source<'_>, schema: &Schema, query: &Query, select: &Select) -> Option<Edit> {
    if matches!(source.dialect, Dialect::MySql | Dialect::Sqlite) {
        return None;
    }
    let missing = missing(schema, query, select)?;
    add(source, select, &missing)
}

/// Adds expressions to `GROUP BY`.
pub(super) fn add(source: &Source<'_>, select: &Select, missing: &[String]) -> Option<Edit> {
    let GroupByExpr::Expressions(grouped, _) = &select.group_by else {
        return None;
    };
    let list = missing.join(", ");
    let first = source.tokens.iter().position(|token| token.is("SELECT"))?;
    // The SELECT of a WITH stands in its brackets; the last outside of all is the statement's own.
    let depths = source.depths();
    let first = (first..source.tokens.len())
        .find(|at| depths[*at] == 0 && source.tokens[*at].is("SELECT"))
        .unwrap_or(first);
    let siblings = source.siblings(first);
    let ends = [
        "HAVING", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR", "WINDOW", ";",
    ];
    let start = match grouped.is_empty() {
        true => first,
        false => *siblings
            .iter()
            .find(|at| **at > first && source.tokens[**at].is("GROUP"))?,
    };
    let end = siblings
        .iter()
        .find(|at| **at > start && source.tokens[**at].is_any(&ends))
        .copied();
    let place = end.unwrap_or_else(|| siblings.last().map_or(start, |last| last + 1));
    let before = place.checked_sub(1)?;
    let (text, reason) = match grouped.is_empty() {
        true => (
            format!(" {} {list}", source.keyword("GROUP BY")),
            format!("GROUP BY {list} is added"),
        ),
        false => (format!(", {list}"), format!("{list} is added to GROUP BY")),
    };
    Some(source.insert_after(before, &text, 3, reason))
}

fn missing(schema: &Schema, query: &Query, select: &Select) -> Option<Vec<String>> {
    let GroupByExpr::Expressions(grouped, modifiers) = &select.group_by else {
        return None;
    };
    let is_special = |expr: &Expr| {
        matches!(
            expr,
            Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_)
        )
    };
    if !modifiers.is_empty() || grouped.iter().any(is_special) {
        return None;
    }
    let mut items = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => items.push((expr, None)),
            SelectItem::ExprWithAlias { expr, alias } => items.push((expr, Some(alias))),
            _ => return None,
        }
    }
    let aggregates = items.iter().any(|(expr, _)| has_aggregate(expr));
    if !aggregates && grouped.is_empty() {
        return None;
    }
    let scope = Scope::new(schema, &select.from, &ctes(query));
    let group = Group {
        grouped,
        scope: &scope,
    };
    let mut missing: Vec<String> = Vec::new();
    for (at, (expr, alias)) in items.iter().enumerate() {
        if group.has_item(at, *alias, expr) {
            continue;
        }
        for column in group.loose(expr) {
            if !missing.contains(&column) {
                missing.push(column);
            }
        }
    }
    (!missing.is_empty()).then_some(missing)
}

struct Group<'a> {
    grouped: &'a [Expr],
    scope: &'a Scope<'a>,
}

impl Group<'_> {
    /// Whether the returned expression is grouped by as a whole: by itself, its number or its name.
    fn has_item(&self, at: usize, alias: Option<&Ident>, expr: &Expr) -> bool {
        self.grouped.iter().any(|grouped| match grouped {
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => number.parse() == Ok(at + 1),
                _ => false,
            },
            Expr::Identifier(name) if alias.is_some_and(|alias| self.scope.same(alias, name)) => {
                true
            }
            _ => grouped == expr,
        })
    }

    fn has(&self, column: &Expr) -> bool {
        let same = |grouped: &Expr| {
            grouped == column
                || match (self.scope.column(grouped), self.scope.column(column)) {
                    (Some((a, x)), Some((b, y))) => a.name == b.name && x.name == y.name,
                    _ => false,
                }
        };
        self.grouped.iter().any(same) || self.is_decided(column)
    }

    /// Whether the primary key of the column's table is grouped by, which settles all its columns.
    fn is_decided(&self, column: &Expr) -> bool {
        let Some((binding, _)) = self.scope.column(column) else {
            return false;
        };
        let Some(table) = binding.table.filter(|table| !table.primary_key.is_empty()) else {
            return false;
        };
        table.primary_key.iter().all(|key| {
            self.grouped.iter().any(|grouped| {
                let found = self.scope.column(grouped);
                found.is_some_and(|(other, column)| {
                    other.name == binding.name && column.name == *key
                })
            })
        })
    }

    /// Columns outside aggregates that are not grouped by.
    fn loose(&self, expr: &Expr) -> Vec<String> {
        let mut reader = Loose {
            within: 0,
            skipped: 0,
            found: Vec::new(),
            grouped: self.grouped,
        };
        let _ = expr.visit(&mut reader);
        let loose = reader.found.into_iter().filter(|column| !self.has(column));
        loose.map(|column| column.to_string()).collect()
    }
}

/// Collects columns outside aggregates, window functions and subqueries.
struct Loose<'a> {
    /// Aggregates and windows around.
    within: usize,
    /// Expressions and queries around that are settled as a whole.
    skipped: usize,
    found: Vec<Expr>,
    grouped: &'a [Expr],
}

impl Loose<'_> {
    fn is_settled(&self, expr: &Expr) -> bool {
        self.grouped.contains(expr)
    }
}

impl Visitor for Loose<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if is_aggregate(expr) || is_window(expr) {
            self.within += 1;
        }
        if self.is_settled(expr) {
            self.skipped += 1;
        }
        let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        if is_column && self.within == 0 && self.skipped == 0 {
            self.found.push(expr.clone());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if is_aggregate(expr) || is_window(expr) {
            self.within -= 1;
        }
        if self.is_settled(expr) {
            self.skipped -= 1;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.skipped += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.skipped -= 1;
        ControlFlow::Continue(())
    }
}

/// Whether an aggregate is in the expression, inner queries apart.
fn has_aggregate(expr: &Expr) -> bool {
    struct Finder {
        depth: usize,
        found: bool,
    }
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.found |= self.depth == 0 && is_aggregate(expr);
            ControlFlow::Continue(())
        }
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut finder = Finder {
        depth: 0,
        found: false,
    };
    let _ = expr.visit(&mut finder);
    finder.found
}

fn is_aggregate(expr: &Expr) -> bool {
    match expr {
        Expr::Function(function) => {
            let has_arguments = !matches!(function.args, FunctionArguments::None);
            function.over.is_none() && has_arguments && is_aggregate_name(&function.name)
        }
        _ => false,
    }
}

fn is_window(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if function.over.is_some())
}

fn is_aggregate_name(name: &ObjectName) -> bool {
    const NAMES: [&str; 32] = [
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "string_agg",
        "array_agg",
        "group_concat",
        "json_agg",
        "jsonb_agg",
        "json_object_agg",
        "jsonb_object_agg",
        "json_group_array",
        "json_group_object",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "variance",
        "var_pop",
        "var_samp",
        "bool_and",
        "bool_or",
        "every",
        "median",
        "total",
        "countif",
        "any_value",
        "listagg",
        "percentile_cont",
        "percentile_disc",
        "count_big",
        "approx_count_distinct",
    ];
    NAMES.contains(&name.to_string().to_lowercase().as_str())
}
