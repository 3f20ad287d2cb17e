//! Expressions in English. What has no plain wording stands as written.

use sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, UnaryOperator, Value,
};

/// An expression as a noun phrase.
pub(super) fn value(expr: &Expr) -> String {
    match expr {
        Expr::Nested(inner) => value(inner),
        Expr::Function(function) => aggregate(function).unwrap_or_else(|| code(expr)),
        _ => code(expr),
    }
}

/// A condition as a clause: "`status` is `'paid'`".
pub(super) fn condition(expr: &Expr) -> String {
    match expr {
        Expr::Nested(inner) => condition(inner),
        Expr::BinaryOp { left, op, right } => binary(left, op, right).unwrap_or_else(|| code(expr)),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: inner,
        } => negated(inner),
        Expr::IsNull(inner) => format!("{} is null", value(inner)),
        Expr::IsNotNull(inner) => format!("{} is not null", value(inner)),
        Expr::IsTrue(inner) => format!("{} is true", value(inner)),
        Expr::IsFalse(inner) => format!("{} is false", value(inner)),
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => format!(
            "{} is{} between {} and {}",
            value(expr),
            not(*negated),
            value(low),
            value(high)
        ),
        Expr::InList {
            expr,
            list,
            negated,
        } => {
            let items: Vec<String> = list.iter().map(value).collect();
            let one = if *negated { "is none of" } else { "is one of" };
            format!("{} {one} {}", value(expr), joined(&items, "or"))
        }
        Expr::InSubquery { expr, negated, .. } => {
            format!(
                "{} is{} among the results of a subquery",
                value(expr),
                not(*negated)
            )
        }
        Expr::Exists { negated: false, .. } => "a subquery finds a row".to_owned(),
        Expr::Exists { negated: true, .. } => "a subquery finds no row".to_owned(),
        Expr::Like {
            negated,
            any: false,
            expr,
            pattern,
            escape_char: None,
        } => like(expr, pattern, *negated, ""),
        Expr::ILike {
            negated,
            any: false,
            expr,
            pattern,
            escape_char: None,
        } => like(expr, pattern, *negated, " in any case"),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => format!("{} is true", code(expr)),
        _ => code(expr),
    }
}

fn not(negated: bool) -> &'static str {
    if negated { " not" } else { "" }
}

fn negated(inner: &Expr) -> String {
    match inner {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => format!("{} is not true", code(inner)),
        Expr::Nested(deeper) => negated(deeper),
        _ => format!("it is not so that {}", condition(inner)),
    }
}

fn binary(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<String> {
    let word = match op {
        BinaryOperator::Eq => "is",
        BinaryOperator::NotEq => "is not",
        BinaryOperator::Gt => "is greater than",
        BinaryOperator::GtEq => "is at least",
        BinaryOperator::Lt => "is less than",
        BinaryOperator::LtEq => "is at most",
        BinaryOperator::And => return Some(format!("{} and {}", part(left), part(right))),
        BinaryOperator::Or => return Some(format!("{} or {}", part(left), part(right))),
        _ => return None,
    };
    Some(format!("{} {word} {}", value(left), value(right)))
}

/// A side of `AND` or `OR`; what mixes both keeps its parentheses.
fn part(side: &Expr) -> String {
    let mixes = match side {
        Expr::Nested(inner) => matches!(
            **inner,
            Expr::BinaryOp {
                op: BinaryOperator::And | BinaryOperator::Or,
                ..
            }
        ),
        _ => false,
    };
    if mixes {
        format!("({})", condition(side))
    } else {
        condition(side)
    }
}

fn like(expr: &Expr, pattern: &Expr, negated: bool, ending: &str) -> String {
    let subject = value(expr);
    if let Some((verb, text)) = simple_pattern(pattern) {
        let verb = match (verb, negated) {
            (Wild::Starts, false) => "starts with",
            (Wild::Starts, true) => "does not start with",
            (Wild::Ends, false) => "ends with",
            (Wild::Ends, true) => "does not end with",
            (Wild::Contains, false) => "contains",
            (Wild::Contains, true) => "does not contain",
        };
        return format!("{subject} {verb} {}{ending}", ticked(&text));
    }
    let verb = if negated { "does not match" } else { "matches" };
    format!("{subject} {verb} the pattern {}{ending}", value(pattern))
}

enum Wild {
    Starts,
    Ends,
    Contains,
}

/// What a `LIKE` pattern asks for, if it is text with `%` only at its ends.
fn simple_pattern(pattern: &Expr) -> Option<(Wild, String)> {
    let Expr::Value(value) = pattern else {
        return None;
    };
    let Value::SingleQuotedString(text) = &value.value else {
        return None;
    };
    let rest = text.strip_prefix('%');
    let (kind, text) = match (rest, rest.unwrap_or(text).strip_suffix('%')) {
        (None, Some(text)) => (Wild::Starts, text),
        (Some(text), None) => (Wild::Ends, text),
        (Some(_), Some(text)) => (Wild::Contains, text),
        (None, None) => return None,
    };
    let is_plain = !text.is_empty() && !text.contains(['%', '_', '\\', '\'']);
    is_plain.then(|| (kind, text.to_owned()))
}

fn aggregate(function: &Function) -> Option<String> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let is_plain = function.over.is_none()
        && function.filter.is_none()
        && function.within_group.is_empty()
        && list.clauses.is_empty();
    let [FunctionArg::Unnamed(argument)] = list.args.as_slice() else {
        return None;
    };
    if !is_plain {
        return None;
    }
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let name = function.name.to_string().to_lowercase();
    let argument = match argument {
        FunctionArgExpr::Wildcard if name == "count" => {
            return Some("the number of rows".to_owned());
        }
        FunctionArgExpr::Expr(expr) => value(expr),
        _ => return None,
    };
    let different = if distinct { "different " } else { "" };
    Some(match name.as_str() {
        "count" if distinct => format!("the number of different values of {argument}"),
        "count" => format!("the number of rows where {argument} is not null"),
        "sum" => format!("the sum of {different}{argument}"),
        "avg" => format!("the average of {different}{argument}"),
        "min" => format!("the smallest {argument}"),
        "max" => format!("the largest {argument}"),
        "lower" if !distinct => format!("{argument} in lower case"),
        "upper" if !distinct => format!("{argument} in upper case"),
        _ => return None,
    })
}

/// "a, b and c".
pub(super) fn joined(items: &[String], word: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} {word} {last}", rest.join(", ")),
    }
}

fn code(expr: &Expr) -> String {
    ticked(&expr.to_string())
}

/// Text in backticks; text that has some itself in two.
pub(super) fn ticked(text: &str) -> String {
    match text.contains('`') {
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    }
}
