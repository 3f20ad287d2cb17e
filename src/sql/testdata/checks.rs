//! `CHECK` constraints: what they ask of single columns, and whether a row meets them.

use std::cmp::Ordering;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator,
    Value,
};
use sqlparser::parser::Parser;

use crate::sql::{Dialect, Table};

use super::cell::Cell;
use super::place;
use super::values::MOST_LETTERS;

/// What a column's values are kept to.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    pub(super) least: Option<f64>,
    pub(super) most: Option<f64>,
    pub(super) least_text: Option<String>,
    pub(super) most_text: Option<String>,
    /// Only these.
    pub(super) choices: Option<Vec<Cell>>,
    pub(super) least_length: Option<usize>,
    pub(super) most_length: Option<usize>,
    /// A `LIKE` pattern.
    pub(super) pattern: Option<String>,
}

/// A check that was read.
pub(super) struct Check {
    expr: Expr,
}

/// The checks of a table; those that cannot be read apart.
pub(super) fn read(table: &Table, dialect: Dialect) -> (Vec<Check>, Vec<String>) {
    let mut checks = Vec::new();
    let mut unread = Vec::new();
    let nothing = vec![Cell::Null; table.columns.len()];
    for text in &table.checks {
        let grammar = dialect.parser();
        let parsed = Parser::new(grammar.as_ref())
            .try_with_sql(text)
            .and_then(|mut parser| parser.parse_expr());
        match parsed {
            // Whether it is understood shows on a row of nulls.
            Ok(expr) if value(&expr, table, &nothing).is_some() => {
                checks.push(Check { expr });
            }
            _ => unread.push(text.clone()),
        }
    }
    (checks, unread)
}

impl Check {
    /// Whether a row breaks it.
    pub(super) fn fails(&self, table: &Table, row: &[Cell]) -> bool {
        matches!(value(&self.expr, table, row), Some(Cell::Bool(false)))
    }

    /// Keeps columns to what it says of them alone.
    pub(super) fn narrow(&self, table: &Table, bounds: &mut [Bounds]) {
        narrow(&self.expr, table, bounds);
    }

    /// Two columns of which the first must not be greater than the second.
    pub(super) fn ordered_pairs(&self, table: &Table) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        collect_pairs(&self.expr, table, &mut pairs);
        pairs
    }
}

fn collect_pairs(expr: &Expr, table: &Table, pairs: &mut Vec<(usize, usize)>) {
    match expr {
        Expr::Nested(inner) => collect_pairs(inner, table, pairs),
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::And | BinaryOperator::Or => {
                collect_pairs(left, table, pairs);
                collect_pairs(right, table, pairs);
            }
            BinaryOperator::Lt | BinaryOperator::LtEq => pairs.extend(pair(left, right, table)),
            BinaryOperator::Gt | BinaryOperator::GtEq => pairs.extend(pair(right, left, table)),
            _ => {}
        },
        _ => {}
    }
}

fn pair(low: &Expr, high: &Expr, table: &Table) -> Option<(usize, usize)> {
    Some((column(low, table)?, column(high, table)?))
}

fn column(expr: &Expr, table: &Table) -> Option<usize> {
    match expr {
        Expr::Identifier(name) => place(table, &name.value),
        Expr::CompoundIdentifier(parts) => place(table, &parts.last()?.value),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => column(inner, table),
        _ => None,
    }
}

fn narrow(expr: &Expr, table: &Table, bounds: &mut [Bounds]) {
    match expr {
        Expr::Nested(inner) => narrow(inner, table, bounds),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            narrow(left, table, bounds);
            narrow(right, table, bounds);
        }
        // `a IS NULL OR a > 0`: whatever is not null meets the other side.
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Or,
            right,
        } => match (&**left, &**right) {
            (Expr::IsNull(_), other) | (other, Expr::IsNull(_)) => narrow(other, table, bounds),
            _ => {}
        },
        Expr::BinaryOp { left, op, right } => {
            compare(left, op, right, table, bounds);
            if let Some(op) = turned(op) {
                compare(right, &op, left, table, bounds);
            }
        }
        Expr::Between {
            expr,
            negated: false,
            low,
            high,
        } => {
            compare(expr, &BinaryOperator::GtEq, low, table, bounds);
            compare(expr, &BinaryOperator::LtEq, high, table, bounds);
        }
        Expr::InList {
            expr,
            list,
            negated: false,
        } => {
            if let (Some(at), Some(list)) =
                (column(expr, table), list.iter().map(literal).collect())
            {
                bounds[at].choices = Some(list);
            }
        }
        Expr::Like {
            negated: false,
            any: false,
            expr,
            pattern,
            ..
        } => {
            if let (Some(at), Some(Cell::Text(pattern))) = (column(expr, table), literal(pattern))
                && pattern.chars().count() <= MOST_LETTERS
            {
                bounds[at].pattern = Some(pattern);
            }
        }
        _ => {}
    }
}

fn turned(op: &BinaryOperator) -> Option<BinaryOperator> {
    Some(match op {
        BinaryOperator::Gt => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::LtEq,
        BinaryOperator::Lt => BinaryOperator::Gt,
        BinaryOperator::LtEq => BinaryOperator::GtEq,
        BinaryOperator::Eq => BinaryOperator::Eq,
        _ => return None,
    })
}

fn compare(left: &Expr, op: &BinaryOperator, right: &Expr, table: &Table, bounds: &mut [Bounds]) {
    let Some(limit) = literal(right) else { return };
    if let Some(at) = column(left, table) {
        limit_column(&mut bounds[at], op, &limit);
    } else if let Some((name, argument)) = call(left)
        && matches!(
            name.as_str(),
            "length" | "char_length" | "character_length" | "len" | "octet_length"
        )
        && let (Some(at), Some(length)) = (column(argument, table), limit.integer())
    {
        limit_length(&mut bounds[at], op, usize::try_from(length).unwrap_or(0));
    }
}

fn limit_column(bounds: &mut Bounds, op: &BinaryOperator, limit: &Cell) {
    if let Cell::Text(limit) = limit {
        match op {
            BinaryOperator::Gt | BinaryOperator::GtEq => bounds.least_text = Some(limit.clone()),
            BinaryOperator::Lt | BinaryOperator::LtEq => bounds.most_text = Some(limit.clone()),
            BinaryOperator::Eq => bounds.choices = Some(vec![Cell::Text(limit.clone())]),
            _ => {}
        }
        return;
    }
    let Some(limit) = limit.number() else { return };
    let raise = |old: Option<f64>| Some(old.map_or(limit, |old| old.max(limit)));
    let lower = |old: Option<f64>| Some(old.map_or(limit, |old| old.min(limit)));
    match op {
        BinaryOperator::Gt | BinaryOperator::GtEq => bounds.least = raise(bounds.least),
        BinaryOperator::Lt | BinaryOperator::LtEq => bounds.most = lower(bounds.most),
        BinaryOperator::Eq => {
            bounds.least = raise(bounds.least);
            bounds.most = lower(bounds.most);
        }
        _ => {}
    }
}

fn limit_length(bounds: &mut Bounds, op: &BinaryOperator, length: usize) {
    match op {
        BinaryOperator::Gt => bounds.least_length = Some(length + 1),
        BinaryOperator::GtEq => bounds.least_length = Some(length),
        BinaryOperator::Lt => bounds.most_length = Some(length.saturating_sub(1)),
        BinaryOperator::LtEq => bounds.most_length = Some(length),
        BinaryOperator::Eq => {
            (bounds.least_length, bounds.most_length) = (Some(length), Some(length))
        }
        _ => {}
    }
}

/// A constant.
pub(super) fn literal(expr: &Expr) -> Option<Cell> {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => literal(inner),
        Expr::TypedString(typed) => match &typed.value.value {
            Value::SingleQuotedString(text) => Some(Cell::Text(text.clone())),
            _ => None,
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match literal(expr)? {
            Cell::Integer(value) => Some(Cell::Integer(-value)),
            Cell::Number(digits) => Some(Cell::Number(format!("-{digits}"))),
            _ => None,
        },
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(match digits.parse() {
                Ok(value) => Cell::Integer(value),
                Err(_) => Cell::Number(digits.clone()),
            }),
            Value::SingleQuotedString(text) | Value::NationalStringLiteral(text) => {
                Some(Cell::Text(text.clone()))
            }
            Value::Boolean(value) => Some(Cell::Bool(*value)),
            Value::Null => Some(Cell::Null),
            _ => None,
        },
        _ => None,
    }
}

/// A function of one argument.
fn call(expr: &Expr) -> Option<(String, &Expr)> {
    match expr {
        Expr::Function(Function {
            name,
            args: FunctionArguments::List(list),
            over: None,
            ..
        }) => match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] => {
                Some((name.to_string().to_lowercase(), argument))
            }
            _ => None,
        },
        Expr::Nested(inner) => call(inner),
        _ => None,
    }
}

/// The value of an expression over a row; nothing where it has parts that are not understood.
fn value(expr: &Expr, table: &Table, row: &[Cell]) -> Option<Cell> {
    let of = |expr: &Expr| value(expr, table, row);
    if let Some(at) = column(expr, table) {
        return Some(row[at].clone());
    }
    if let Some(constant) = literal(expr) {
        return Some(constant);
    }
    match expr {
        Expr::Nested(inner) => of(inner),
        Expr::IsNull(inner) => Some(Cell::Bool(of(inner)? == Cell::Null)),
        Expr::IsNotNull(inner) => Some(Cell::Bool(of(inner)? != Cell::Null)),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => Some(not(of(expr)?)),
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let (subject, low, high) = (of(expr)?, of(low)?, of(high)?);
            let above = ordered(&subject, &low, |order| order != Ordering::Less);
            let below = ordered(&subject, &high, |order| order != Ordering::Greater);
            let both = and(above, below);
            Some(if *negated { not(both) } else { both })
        }
        Expr::InList {
            expr,
            list,
            negated,
        } => {
            let subject = of(expr)?;
            let items: Vec<Cell> = list.iter().map(of).collect::<Option<_>>()?;
            if subject == Cell::Null {
                return Some(Cell::Null);
            }
            let found = items
                .iter()
                .any(|item| subject.compare(item) == Some(Ordering::Equal));
            Some(Cell::Bool(found != *negated))
        }
        Expr::Like {
            negated,
            any: false,
            expr,
            pattern,
            escape_char: None,
        } => match (of(expr)?, of(pattern)?) {
            (Cell::Text(text), Cell::Text(pattern)) => {
                Some(Cell::Bool(like(&text, &pattern) != *negated))
            }
            _ => Some(Cell::Null),
        },
        Expr::BinaryOp { left, op, right } => operation(of(left)?, op, of(right)?),
        Expr::Function(_) => {
            let (name, argument) = call(expr)?;
            function(&name, of(argument)?)
        }
        _ => None,
    }
}

fn function(name: &str, argument: Cell) -> Option<Cell> {
    let known = [
        "length",
        "char_length",
        "character_length",
        "len",
        "lower",
        "upper",
        "trim",
        "abs",
    ];
    if !known.contains(&name) {
        return None;
    }
    Some(match (name, argument) {
        ("lower", Cell::Text(text)) => Cell::Text(text.to_lowercase()),
        ("upper", Cell::Text(text)) => Cell::Text(text.to_uppercase()),
        ("trim", Cell::Text(text)) => Cell::Text(text.trim().to_owned()),
        ("abs", Cell::Integer(value)) => Cell::Integer(value.saturating_abs()),
        ("abs", Cell::Number(digits)) => Cell::Number(digits.trim_start_matches('-').to_owned()),
        (_, Cell::Text(text)) => Cell::Integer(text.chars().count() as i64),
        _ => Cell::Null,
    })
}

fn operation(left: Cell, op: &BinaryOperator, right: Cell) -> Option<Cell> {
    Some(match op {
        BinaryOperator::And => and(left, right),
        BinaryOperator::Or => not(and(not(left), not(right))),
        BinaryOperator::Eq => ordered(&left, &right, |order| order == Ordering::Equal),
        BinaryOperator::NotEq => ordered(&left, &right, |order| order != Ordering::Equal),
        BinaryOperator::Lt => ordered(&left, &right, |order| order == Ordering::Less),
        BinaryOperator::LtEq => ordered(&left, &right, |order| order != Ordering::Greater),
        BinaryOperator::Gt => ordered(&left, &right, |order| order == Ordering::Greater),
        BinaryOperator::GtEq => ordered(&left, &right, |order| order != Ordering::Less),
        BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply => {
            let (Some(a), Some(b)) = (left.number(), right.number()) else {
                return Some(Cell::Null);
            };
            let result = match op {
                BinaryOperator::Plus => a + b,
                BinaryOperator::Minus => a - b,
                _ => a * b,
            };
            Cell::Number(result.to_string())
        }
        _ => return None,
    })
}

fn ordered(left: &Cell, right: &Cell, holds: impl Fn(Ordering) -> bool) -> Cell {
    left.compare(right)
        .map_or(Cell::Null, |order| Cell::Bool(holds(order)))
}

fn and(left: Cell, right: Cell) -> Cell {
    match (left, right) {
        (Cell::Bool(false), _) | (_, Cell::Bool(false)) => Cell::Bool(false),
        (Cell::Bool(true), Cell::Bool(true)) => Cell::Bool(true),
        _ => Cell::Null,
    }
}

fn not(value: Cell) -> Cell {
    match value {
        Cell::Bool(value) => Cell::Bool(!value),
        other => other,
    }
}

fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut ends = vec![0_usize];
    for letter in pattern.chars() {
        ends = match letter {
            '%' => match ends.iter().min() {
                Some(first) => (*first..=text.len()).collect(),
                None => Vec::new(),
            },
            _ => {
                let fits = |at: &&usize| {
                    text.get(**at)
                        .is_some_and(|c| letter == '_' || *c == letter)
                };
                ends.iter().filter(fits).map(|at| at + 1).collect()
            }
        };
    }
    ends.contains(&text.len())
}
