//! What stands around the `SELECT`s of a query.

use std::ops::ControlFlow;

use sqlparser::ast::{self, LimitClause, OrderByKind, SetExpr, SetQuantifier};

use super::select::{all_columns, select};
use super::{Cte, Limit, Order, Query, Select, Source, of_query};
use crate::sql::explain::phrase;

pub(super) fn query(query: &ast::Query) -> Query {
    let mut facts = Query {
        order: query.order_by.as_ref().map_or(Vec::new(), ordered),
        limit: limit(query),
        locks: query.locks.iter().map(ToString::to_string).collect(),
        ..Query::default()
    };
    if let Some(with) = &query.with {
        facts.ctes = with
            .cte_tables
            .iter()
            .map(|cte| named(cte, with.recursive))
            .collect();
    }
    body(&query.body, &mut facts);
    facts
}

fn named(cte: &ast::Cte, recursive: bool) -> Cte {
    Cte {
        name: cte.alias.name.value.clone(),
        recursive: recursive && reads(&cte.query, &cte.alias.name.value),
        statement: Box::new(of_query(&cte.query)),
    }
}

fn reads(query: &ast::Query, name: &str) -> bool {
    let found = ast::visit_relations(query, |relation| {
        let same = relation.to_string().eq_ignore_ascii_case(name);
        if same {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    found.is_break()
}

fn body(part: &SetExpr, facts: &mut Query) {
    match part {
        SetExpr::Select(one) => facts.selects.push(select(one)),
        SetExpr::Query(inner) => {
            let inner = query(inner);
            if inner.ctes.is_empty() && inner.order.is_empty() && inner.limit == Limit::default() {
                facts.selects.extend(inner.selects);
                facts.set_operations.extend(inner.set_operations);
                facts.value_rows += inner.value_rows;
            } else {
                facts.selects.push(over(inner));
            }
        }
        SetExpr::SetOperation {
            left,
            op,
            set_quantifier,
            right,
        } => {
            body(left, facts);
            facts.set_operations.push(match set_quantifier {
                SetQuantifier::None => op.to_string(),
                quantifier => format!("{op} {quantifier}"),
            });
            body(right, facts);
        }
        SetExpr::Values(values) => facts.value_rows += values.rows.len(),
        SetExpr::Table(table) => facts.selects.push(Select {
            columns: vec![all_columns("*")],
            sources: vec![Source {
                name: table.table_name.clone(),
                alias: None,
                subquery: None,
            }],
            ..Select::default()
        }),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {}
    }
}

/// All rows of a query in parentheses that has an order or a limit of its own.
fn over(query: Query) -> Select {
    Select {
        columns: vec![all_columns("*")],
        sources: vec![Source {
            name: None,
            alias: None,
            subquery: Some(Box::new(query)),
        }],
        ..Select::default()
    }
}

fn ordered(order_by: &ast::OrderBy) -> Vec<Order> {
    match &order_by.kind {
        OrderByKind::Expressions(expressions) => expressions.iter().map(order).collect(),
        OrderByKind::All(options) => vec![Order {
            expression: "ALL".to_owned(),
            phrase: "all columns".to_owned(),
            descending: options.asc == Some(false),
            nulls_first: options.nulls_first,
        }],
    }
}

pub(super) fn order(by: &ast::OrderByExpr) -> Order {
    Order {
        expression: by.expr.to_string(),
        phrase: phrase::value(&by.expr),
        descending: by.options.asc == Some(false),
        nulls_first: by.options.nulls_first,
    }
}

fn limit(query: &ast::Query) -> Limit {
    let fetched = query.fetch.as_ref().and_then(|fetch| {
        let quantity = fetch.quantity.as_ref()?.to_string();
        Some(if fetch.percent {
            format!("{quantity} PERCENT")
        } else {
            quantity
        })
    });
    let (rows, offset) = match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => (
            limit.as_ref().map(ToString::to_string),
            offset.as_ref().map(|offset| offset.value.to_string()),
        ),
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            (Some(limit.to_string()), Some(offset.to_string()))
        }
        None => (None, None),
    };
    Limit {
        rows: rows.or(fetched),
        offset,
    }
}
