//! One `SELECT`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    self, BinaryOperator, Distinct, Expr, GroupByExpr, JoinConstraint, NamedWindowExpr, SelectItem,
    TableWithJoins, TopQuantity, Visit,
};

use super::inner::{Inner, window};
use super::sources::read;
use super::{Condition, Output, Select};
use crate::sql::explain::phrase;
use crate::sql::statement::join_constraint;

pub(super) fn select(select: &ast::Select) -> Select {
    let mut facts = Select {
        columns: select.projection.iter().map(output).collect(),
        group_by: grouped(&select.group_by),
        into: select.into.as_ref().map(|into| into.name.to_string()),
        top: select.top.as_ref().and_then(top),
        ..Select::default()
    };
    match &select.distinct {
        Some(Distinct::Distinct) => facts.distinct = true,
        Some(Distinct::On(expressions)) => facts.distinct_on = written(expressions),
        Some(Distinct::All) | None => {}
    }
    read(&select.from, &mut facts.sources, &mut facts.joins);
    facts.filters = conditions(select.prewhere.as_ref());
    facts.filters.extend(conditions(select.selection.as_ref()));
    facts.having = conditions(select.having.as_ref());
    facts.qualify = conditions(select.qualify.as_ref());
    let mut inner = Inner::default();
    let _ = select.projection.visit(&mut inner);
    let _ = select.selection.visit(&mut inner);
    let _ = select.group_by.visit(&mut inner);
    let _ = select.having.visit(&mut inner);
    let _ = select.qualify.visit(&mut inner);
    let _ = select
        .from
        .iter()
        .try_for_each(|table| on_clauses(table, &mut inner));
    facts.windows = inner.windows;
    for defined in &select.named_window {
        if let NamedWindowExpr::WindowSpec(spec) = &defined.1 {
            facts.windows.push(window(defined.0.to_string(), spec));
        }
    }
    facts.subqueries = inner.subqueries;
    facts
}

/// Conditions of joins; the tables themselves are told as sources.
fn on_clauses(table: &TableWithJoins, inner: &mut Inner) -> ControlFlow<()> {
    table
        .joins
        .iter()
        .try_for_each(|join| match join_constraint(&join.join_operator) {
            Some(JoinConstraint::On(condition)) => condition.visit(inner),
            _ => ControlFlow::Continue(()),
        })
}

fn top(top: &ast::Top) -> Option<String> {
    let quantity = match top.quantity.as_ref()? {
        TopQuantity::Expr(expr) => expr.to_string(),
        TopQuantity::Constant(count) => count.to_string(),
    };
    Some(if top.percent {
        format!("{quantity} PERCENT")
    } else {
        quantity
    })
}

fn grouped(group_by: &GroupByExpr) -> Vec<String> {
    match group_by {
        GroupByExpr::All(_) => vec!["ALL".to_owned()],
        GroupByExpr::Expressions(expressions, _) => written(expressions),
    }
}

pub(super) fn written(expressions: &[Expr]) -> Vec<String> {
    expressions.iter().map(ToString::to_string).collect()
}

pub(super) fn output(item: &SelectItem) -> Output {
    match item {
        SelectItem::UnnamedExpr(expr) => returned(expr, None),
        SelectItem::ExprWithAlias { expr, alias } => returned(expr, Some(alias.value.clone())),
        SelectItem::ExprWithAliases { expr, .. } => returned(expr, None),
        SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
            all_columns(&item.to_string())
        }
    }
}

fn returned(expr: &Expr, name: Option<String>) -> Output {
    Output {
        expression: expr.to_string(),
        phrase: phrase::value(expr),
        name,
    }
}

pub(super) fn all_columns(written: &str) -> Output {
    let phrase = match written.strip_suffix(".*") {
        Some(table) => format!("all columns of `{table}`"),
        None => "all columns".to_owned(),
    };
    Output {
        expression: written.to_owned(),
        phrase,
        name: None,
    }
}

pub(super) fn conditions(whole: Option<&Expr>) -> Vec<Condition> {
    let mut parts = Vec::new();
    if let Some(whole) = whole {
        all_of(whole, &mut parts);
    }
    let parts = parts.into_iter().map(|part| Condition {
        expression: part.to_string(),
        phrase: phrase::condition(part),
    });
    parts.collect()
}

/// What `AND` joins.
fn all_of<'a>(whole: &'a Expr, parts: &mut Vec<&'a Expr>) {
    match whole {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            all_of(left, parts);
            all_of(right, parts);
        }
        Expr::Nested(inner)
            if matches!(
                **inner,
                Expr::BinaryOp {
                    op: BinaryOperator::And,
                    ..
                }
            ) =>
        {
            all_of(inner, parts);
        }
        part => parts.push(part),
    }
}
