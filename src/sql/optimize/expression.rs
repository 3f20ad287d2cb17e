//! Small parts of conditions.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, Ident, Query, Value, Visit, Visitor};
use sqlparser::parser::Parser;

use crate::sql::Dialect;
use crate::sql::scope::{Binding, Scope};

/// What `AND` joins, brackets apart.
pub(super) fn conjuncts(whole: &Expr) -> Vec<Expr> {
    let mut parts = Vec::new();
    split(whole, &BinaryOperator::And, &mut parts);
    parts
}

/// What `OR` joins, brackets apart.
pub(super) fn disjuncts(whole: &Expr) -> Vec<Expr> {
    let mut parts = Vec::new();
    split(whole, &BinaryOperator::Or, &mut parts);
    parts
}

fn split(whole: &Expr, by: &BinaryOperator, parts: &mut Vec<Expr>) {
    match whole {
        Expr::BinaryOp { left, op, right } if op == by => {
            split(left, by, parts);
            split(right, by, parts);
        }
        Expr::Nested(inner) if matches!(&**inner, Expr::BinaryOp { op, .. } if op == by) => {
            split(inner, by, parts)
        }
        part => parts.push(part.clone()),
    }
}

/// Conditions joined by `AND`; those with `OR` get brackets.
pub(super) fn all(parts: Vec<Expr>) -> Option<Expr> {
    let parts = parts.into_iter().map(|part| match part {
        Expr::BinaryOp {
            op: BinaryOperator::Or | BinaryOperator::Xor,
            ..
        } => Expr::Nested(Box::new(part)),
        part => part,
    });
    parts.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    })
}

/// An expression out of its text; the text is ours, so it parses unless a name in it does not.
pub(super) fn parsed(text: &str, dialect: Dialect) -> Option<Expr> {
    let grammar = dialect.parser();
    let mut parser = Parser::new(grammar.as_ref()).try_with_sql(text).ok()?;
    parser.parse_expr().ok()
}

/// The text of a string literal.
pub(super) fn text(expr: &Expr) -> Option<&str> {
    let value = match expr {
        Expr::Value(value) => &value.value,
        Expr::TypedString(typed) => &typed.value.value,
        Expr::Nested(inner) => return text(inner),
        _ => return None,
    };
    match value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

/// A number as it is written.
pub(super) fn number(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits),
            _ => None,
        },
        Expr::Nested(inner) => number(inner),
        _ => None,
    }
}

/// Whether an expression is the same for all rows.
pub(super) fn is_constant(expr: &Expr) -> bool {
    let found = sqlparser::ast::visit_expressions(expr, |part| match part {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Subquery(_)
        | Expr::Exists { .. }
        | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_continue()
}

/// Columns that an expression names, those of inner queries apart.
pub(super) fn columns(expr: &Expr) -> Vec<Expr> {
    struct Reader {
        depth: usize,
        found: Vec<Expr>,
    }
    impl Visitor for Reader {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if self.depth == 0 && matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
            {
                self.found.push(expr.clone());
            }
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
    let mut reader = Reader {
        depth: 0,
        found: Vec::new(),
    };
    let _ = expr.visit(&mut reader);
    reader.found
}

/// Whether a query is in the expression.
pub(super) fn has_query(expr: &Expr) -> bool {
    let found = sqlparser::ast::visit_expressions(expr, |part| match part {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Places in the scope of the tables whose columns the expression names; nothing if one cannot be told.
pub(super) fn owners(expr: &Expr, scope: &Scope<'_>) -> Option<Vec<usize>> {
    let mut places = Vec::new();
    for column in columns(expr) {
        let (binding, _) = scope.column(&column)?;
        let place = scope
            .bindings
            .iter()
            .position(|other| std::ptr::eq(other, binding))?;
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Some(places)
}

/// A column with the name its table is known by.
pub(super) fn qualified(binding: &Binding<'_>, column: &Expr) -> Expr {
    let name = match column {
        Expr::CompoundIdentifier(parts) => parts.last().cloned(),
        Expr::Identifier(name) => Some(name.clone()),
        _ => None,
    };
    match name {
        Some(name) => Expr::CompoundIdentifier(vec![binding.name.clone(), name]),
        None => column.clone(),
    }
}

/// The last part of a column's name.
pub(super) fn last(column: &Expr) -> Option<&Ident> {
    match column {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(parts) => parts.last(),
        Expr::Nested(inner) => last(inner),
        _ => None,
    }
}

/// The operator as it is from the other side.
pub(super) fn turned(op: &BinaryOperator) -> Option<BinaryOperator> {
    Some(match op {
        BinaryOperator::Eq => BinaryOperator::Eq,
        BinaryOperator::NotEq => BinaryOperator::NotEq,
        BinaryOperator::Lt => BinaryOperator::Gt,
        BinaryOperator::LtEq => BinaryOperator::GtEq,
        BinaryOperator::Gt => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::LtEq,
        _ => return None,
    })
}
