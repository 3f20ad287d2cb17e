//! How much a statement asks to be made out of nothing: texts, series, and both of them multiplied.
//!
//! A database bounds one value (PostgreSQL at 1 GB) and the time of a statement, but hardly its memory. So numbers that
//! multiply have to be written out, and their product over the whole statement has to be small. What is made of the
//! rows of tables is the database's to bound.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, Query,
    UnaryOperator, Value, With, visit_expressions, visit_relations,
};

use crate::sql::Dialect;

use super::functions::{self, Growth};
use super::{Refusal, refuse};

/// Longest text that one function may be asked to make.
const MOST_CHARACTERS: u64 = 10_000;
/// Longest series.
const MOST_ELEMENTS: f64 = 1_000_000.0;
/// Most that all of them may be, multiplied.
const MOST_TOGETHER: f64 = 10_000_000.0;

const TOO_LONG: &str = "texts made longer than 10000 characters";
const TOO_MUCH: &str = "texts and series that are 10000000 long together";

/// What a statement has asked for so far.
#[derive(Debug)]
pub(super) struct Amounts {
    dialect: Dialect,
    /// The longest text that is made at once.
    longest: f64,
    /// Repetitions and series, multiplied.
    product: f64,
}

impl Amounts {
    pub(super) fn new(dialect: Dialect) -> Amounts {
        Amounts {
            dialect,
            longest: 1.0,
            product: 1.0,
        }
    }

    /// Adds the call of a function.
    pub(super) fn add(&mut self, name: &ObjectName, args: &[FunctionArg]) -> ControlFlow<Refusal> {
        let last = name.0.last().and_then(|part| part.as_ident());
        let name = last.map(|ident| ident.value.as_str()).unwrap_or_default();
        let Some(growth) = functions::growth(self.dialect, name) else {
            return ControlFlow::Continue(());
        };
        let arg = |at: usize| args.get(at).and_then(expression);
        match growth {
            Growth::Length(at) | Growth::Times(at) => {
                let Some(length) = arg(at).and_then(written_length) else {
                    return refuse(TOO_LONG);
                };
                match growth {
                    Growth::Times(_) => self.product *= length.max(1.0),
                    _ => self.longest = self.longest.max(length),
                }
            }
            Growth::Series => {
                let end = if args.len() == 1 { arg(0) } else { arg(1) };
                let start = if args.len() == 1 { None } else { arg(0) };
                let start = start.map_or(Some(0.0), constant);
                let step = arg(2).map_or(Some(1.0), constant);
                // Dates and columns are not for us to count.
                let (Some(start), Some(end), Some(step)) = (start, end.and_then(constant), step)
                else {
                    return ControlFlow::Continue(());
                };
                let elements = (end - start) / step + 1.0;
                // What cannot be counted is no series either.
                if elements.is_nan() || elements > MOST_ELEMENTS {
                    return refuse("series longer than 1000000");
                }
                self.product *= elements.max(1.0);
            }
            Growth::Pattern => {
                let Some(width) = arg(0).and_then(text).and_then(widths) else {
                    return refuse(
                        "patterns of texts that are not written out, or ask for more than 10000 characters",
                    );
                };
                self.longest = self.longest.max(width);
            }
        }
        match self.longest * self.product > MOST_TOGETHER {
            true => refuse(TOO_MUCH),
            false => ControlFlow::Continue(()),
        }
    }
}

/// A step that repeats must not make a text or a list several times as long as it was: thirty of them make a gigabyte.
pub(super) fn recursion(with: &With, dialect: Dialect) -> ControlFlow<Refusal> {
    let recurses = with.recursive || matches!(dialect, Dialect::Sqlite | Dialect::MsSql);
    for table in with.cte_tables.iter().filter(|_| recurses) {
        if is_about(&table.query, &table.alias.name.value) {
            visit_expressions(&*table.query, step)?;
        }
    }
    ControlFlow::Continue(())
}

fn is_about(query: &Query, table: &str) -> bool {
    let found = visit_relations(query, |name| {
        let [part] = &name.0[..] else {
            return ControlFlow::Continue(());
        };
        match part.as_ident() {
            Some(ident) if ident.value.eq_ignore_ascii_case(table) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    found.is_break()
}

fn step(expr: &Expr) -> ControlFlow<Refusal> {
    let parts: Vec<&Expr> = match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::StringConcat,
            right,
        } => vec![left, right],
        Expr::Function(function) => {
            let last = function.name.0.last().and_then(|part| part.as_ident());
            let name = last.map(|ident| ident.value.as_str()).unwrap_or_default();
            if functions::multiplies(name) {
                return ControlFlow::Break(Refusal::Form(format!(
                    "the function '{name}' in a step that repeats"
                )));
            }
            match &function.args {
                FunctionArguments::List(list) if functions::joins(name) => {
                    list.args.iter().filter_map(expression).collect()
                }
                _ => return ControlFlow::Continue(()),
            }
        }
        _ => return ControlFlow::Continue(()),
    };
    let mut seen: HashSet<String> = HashSet::new();
    for part in parts {
        let columns = columns(part);
        if columns.iter().any(|column| seen.contains(column)) {
            return refuse("a step that repeats and puts a column together with itself");
        }
        seen.extend(columns);
    }
    ControlFlow::Continue(())
}

/// Names of the columns in an expression, without their tables.
fn columns(expr: &Expr) -> HashSet<String> {
    let mut names = HashSet::new();
    let _ = visit_expressions(expr, |expr| {
        let ident = match expr {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        names.extend(ident.map(|ident| ident.value.to_lowercase()));
        ControlFlow::<()>::Continue(())
    });
    names
}

fn expression(arg: &FunctionArg) -> Option<&Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named {
            arg: FunctionArgExpr::Expr(expr),
            ..
        }
        | FunctionArg::ExprNamed {
            arg: FunctionArgExpr::Expr(expr),
            ..
        } => Some(expr),
        _ => None,
    }
}

/// A length that is small and written out.
fn written_length(expr: &Expr) -> Option<f64> {
    let Expr::Value(value) = expr else {
        return None;
    };
    let Value::Number(number, _) = &value.value else {
        return None;
    };
    let length = number.parse::<u64>().ok()?;
    (length <= MOST_CHARACTERS).then_some(length as f64)
}

fn text(expr: &Expr) -> Option<&str> {
    let Expr::Value(value) = expr else {
        return None;
    };
    match &value.value {
        Value::SingleQuotedString(text)
        | Value::DoubleQuotedString(text)
        | Value::EscapedStringLiteral(text) => Some(text),
        Value::DollarQuotedString(text) => Some(&text.value),
        _ => None,
    }
}

/// The widths and precisions of a pattern together; nothing if an argument says one, or if they are too much.
fn widths(pattern: &str) -> Option<f64> {
    let mut sum: u64 = 0;
    let mut rest = pattern;
    while let Some((_, after)) = rest.split_once('%') {
        let end = after.find(|letter: char| letter.is_alphabetic() || letter == '%');
        let (spec, next) = after.split_at(end.unwrap_or(after.len()));
        if spec.contains('*') {
            return None;
        }
        for number in spec.split(|letter: char| !letter.is_ascii_digit()) {
            if !number.is_empty() {
                sum = sum.checked_add(number.parse().ok()?)?;
            }
        }
        rest = next.strip_prefix('%').unwrap_or(next);
    }
    (sum <= MOST_CHARACTERS).then_some(sum as f64)
}

/// The value of a numeric expression without names; nothing if it has some.
fn constant(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            Value::SingleQuotedString(text) => text.trim().parse().ok(),
            _ => None,
        },
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => constant(inner),
        Expr::UnaryOp { op, expr } => match op {
            UnaryOperator::Minus => constant(expr).map(|value| -value),
            UnaryOperator::Plus => constant(expr),
            _ => None,
        },
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (constant(left)?, constant(right)?);
            match op {
                BinaryOperator::Plus => Some(left + right),
                BinaryOperator::Minus => Some(left - right),
                BinaryOperator::Multiply => Some(left * right),
                BinaryOperator::Divide => Some(left / right),
                BinaryOperator::Modulo => Some(left % right),
                BinaryOperator::PGExp | BinaryOperator::BitwiseXor => Some(left.powf(right)),
                BinaryOperator::PGBitwiseShiftLeft => Some(left * right.exp2()),
                _ => None,
            }
        }
        Expr::Function(function) => {
            let FunctionArguments::List(list) = &function.args else {
                return None;
            };
            let args: Vec<f64> = list
                .args
                .iter()
                .map(|arg| expression(arg).and_then(constant))
                .collect::<Option<_>>()?;
            match (function.name.to_string().to_lowercase().as_str(), &args[..]) {
                ("power" | "pow", [base, exponent]) => Some(base.powf(*exponent)),
                ("exp", [exponent]) => Some(exponent.exp()),
                ("abs" | "floor" | "ceil" | "ceiling" | "round" | "trunc", [value]) => Some(*value),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn widths_are_added_up() {
        assert_eq!(widths("%s and %s, 100%% sure"), Some(0.0));
        assert_eq!(widths("%10s%-20s"), Some(30.0));
        assert_eq!(widths("%1$10s %2$s"), Some(13.0));
        assert_eq!(widths("%08.3f"), Some(11.0));
        assert_eq!(widths("%%99999999"), Some(0.0));
        for pattern in [
            "%999999999s",
            "%*s",
            "%1$*2$s",
            "%.99999f",
            "%5000d%5001d",
            "%99999999999999999999s",
        ] {
            assert_eq!(widths(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn what_multiplies_is_multiplied() {
        let why = |sql: &str| check(sql, Dialect::Postgres).unwrap_err().to_string();
        let nested = "SELECT repeat(repeat('x', 10000), 10000)";
        assert!(why(nested).contains("10000000 long together"));
        let beside = "SELECT string_agg(t, '') FROM (SELECT repeat('x', 10000) AS t FROM generate_series(1, 100000)) s";
        assert!(why(beside).contains("together"));
        let series = "SELECT count(*) FROM generate_series(1, 10 ^ 9)";
        assert!(why(series).contains("series longer"));
        let doubled = "WITH RECURSIVE r(s, n) AS (SELECT 'x', 1 UNION ALL SELECT s || s, n + 1 FROM r) SELECT s FROM r";
        assert!(why(doubled).contains("together with itself"));
        let pattern = "SELECT format('%999999999s', 'x')";
        assert!(why(pattern).contains("patterns"));
    }
}
