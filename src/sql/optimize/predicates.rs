//! Conditions that an index could serve if they were written another way.

use std::ops::ControlFlow;

use jiff::ToSpan;
use jiff::civil::Date;
use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, GroupByExpr, SelectItem, SetExpr, VisitMut, VisitorMut,
};

use crate::sql::scope::Scope;
use crate::sql::{Dialect, Kind};

use super::expression::{
    all, columns, conjuncts, disjuncts, has_query, is_constant, last, number, parsed, text,
};
use super::{Pattern, Work};

/// Replaces conditions of `WHERE` one by one.
fn each_filter(
    work: &mut Work<'_>,
    change: impl Fn(&Expr, &Scope<'_>) -> Option<(Expr, String)>,
    pattern: Pattern,
) {
    let scope = work.scope();
    let Some(whole) = work.select().and_then(|select| select.selection.clone()) else {
        return;
    };
    let mut said = Vec::new();
    let parts = conjuncts(&whole)
        .into_iter()
        .map(|part| match change(&part, &scope) {
            Some((better, text)) => {
                said.push(text);
                better
            }
            None => part,
        });
    let parts: Vec<Expr> = parts.collect();
    if said.is_empty() {
        return;
    }
    if let Some(select) = work.select_mut() {
        select.selection = all(parts);
    }
    for text in said {
        work.rewrote(pattern, text);
    }
}

/// `DATE(a) = '2024-05-01'`, `EXTRACT(YEAR FROM a) = 2024` and the like become ranges.
pub(super) fn dates(work: &mut Work<'_>) {
    let dialect = work.schema.dialect;
    let change = |part: &Expr, scope: &Scope<'_>| {
        let (left, op, right) = comparison(part)?;
        let (column, first, after) = period(left, right, scope)?;
        let (from, to) = (
            format!("{column} >= '{first}'"),
            format!("{column} < '{after}'"),
        );
        let text = match op {
            BinaryOperator::Eq => format!("{from} AND {to}"),
            BinaryOperator::GtEq => from,
            BinaryOperator::Gt => format!("{column} >= '{after}'"),
            BinaryOperator::Lt => format!("{column} < '{first}'"),
            BinaryOperator::LtEq => to,
            _ => return None,
        };
        let better = parsed(&text, dialect)?;
        Some((
            better,
            format!("{part} hides {column} from an index; the range {text} means the same."),
        ))
    };
    each_filter(work, change, Pattern::FunctionOnColumn);
}

fn comparison(part: &Expr) -> Option<(&Expr, BinaryOperator, &Expr)> {
    let part = match part {
        Expr::Nested(inner) => &**inner,
        other => other,
    };
    let Expr::BinaryOp { left, op, right } = part else {
        return None;
    };
    if is_constant(right) {
        return Some((left, op.clone(), right));
    }
    is_constant(left).then(|| Some((&**right, super::expression::turned(op)?, &**left)))?
}

/// The column, the first day of the period that a function of it has in common, and the day after its last.
fn period(expr: &Expr, value: &Expr, scope: &Scope<'_>) -> Option<(Expr, Date, Date)> {
    let (column, unit) = unit_of(expr)?;
    let (_, known) = scope.column(&column)?;
    let fits = matches!(
        (known.kind, &unit),
        (Kind::Timestamp, _) | (Kind::Date, Unit::Year | Unit::TextYear | Unit::Month)
    );
    if !fits {
        return None;
    }
    let day = |text: &str| -> Option<Date> {
        let (day, rest) = (text.get(..10)?, text.get(10..)?.trim());
        let is_midnight = rest.is_empty() || rest.trim_matches(['0', ':', '.', 'T']).is_empty();
        is_midnight.then(|| day.parse().ok())?
    };
    let first = match unit {
        Unit::Day | Unit::Month => {
            let day = day(text(value)?)?;
            if matches!(unit, Unit::Month) && day.day() != 1 {
                return None;
            }
            day
        }
        Unit::Year | Unit::TextYear => {
            // SQLite's text of a year is never equal to a number.
            let digits = match unit {
                Unit::TextYear => text(value)?,
                _ => number(value).or_else(|| text(value))?,
            };
            if digits.len() != 4 {
                return None;
            }
            Date::new(digits.parse().ok()?, 1, 1).ok()?
        }
        Unit::TruncatedYear => {
            let day = day(text(value)?)?;
            if (day.month(), day.day()) != (1, 1) {
                return None;
            }
            day
        }
    };
    let after = match unit {
        Unit::Day => first.checked_add(1.day()),
        Unit::Month => first.checked_add(1.month()),
        Unit::Year | Unit::TextYear | Unit::TruncatedYear => first.checked_add(1.year()),
    };
    Some((column, first, after.ok()?))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    Day,
    Month,
    Year,
    /// As text.
    TextYear,
    TruncatedYear,
}

/// The column under a function that gives its day, month or year.
fn unit_of(expr: &Expr) -> Option<(Expr, Unit)> {
    match expr {
        Expr::Nested(inner) => unit_of(inner),
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr,
            data_type: DataType::Date,
            ..
        } => column(expr).map(|column| (column, Unit::Day)),
        Expr::Extract {
            field: DateTimeField::Year,
            expr,
            ..
        } => column(expr).map(|column| (column, Unit::Year)),
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            let arguments = arguments(function)?;
            match (name.as_str(), arguments.as_slice()) {
                ("date", [only]) => column(only).map(|column| (column, Unit::Day)),
                ("year", [only]) => column(only).map(|column| (column, Unit::Year)),
                ("date_part", [part, value]) if text(part)?.eq_ignore_ascii_case("year") => {
                    column(value).map(|column| (column, Unit::Year))
                }
                ("strftime", [format, value]) => {
                    let unit = match text(format)? {
                        "%Y" => Unit::TextYear,
                        "%Y-%m-%d" => Unit::Day,
                        _ => return None,
                    };
                    column(value).map(|column| (column, unit))
                }
                ("date_trunc", [part, value]) => {
                    let unit = match text(part)?.to_lowercase().as_str() {
                        "day" => Unit::Day,
                        "month" => Unit::Month,
                        "year" => Unit::TruncatedYear,
                        _ => return None,
                    };
                    column(value).map(|column| (column, unit))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn column(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Some(expr.clone()),
        Expr::Nested(inner) => column(inner),
        _ => None,
    }
}

/// The arguments of a plain call.
fn arguments(function: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let plain = function.over.is_none() && function.filter.is_none() && list.clauses.is_empty();
    let arguments = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    arguments.collect::<Option<Vec<_>>>().filter(|_| plain)
}

/// `a + 1 > 5` becomes `a > 4`.
pub(super) fn arithmetic(work: &mut Work<'_>) {
    let dialect = work.schema.dialect;
    let change = |part: &Expr, scope: &Scope<'_>| {
        let (left, op, right) = comparison(part)?;
        let limit: i32 = number(right)?.parse().ok()?;
        let left = match left {
            Expr::Nested(inner) => &**inner,
            other => other,
        };
        let Expr::BinaryOp {
            left: inner,
            op: sum,
            right: step,
        } = left
        else {
            return None;
        };
        let (_, known) = scope.column(inner)?;
        let step: i32 = number(step)?.parse().ok()?;
        let moved = match sum {
            BinaryOperator::Plus => limit.checked_sub(step)?,
            BinaryOperator::Minus => limit.checked_add(step)?,
            _ => return None,
        };
        if known.kind != Kind::Integer {
            return None;
        }
        let text = format!("{inner} {op} {moved}");
        let better = parsed(&text, dialect)?;
        Some((
            better,
            format!("{part} hides {inner} from an index; {text} means the same."),
        ))
    };
    each_filter(work, change, Pattern::FunctionOnColumn);
}

/// Columns compared with values of another type.
pub(super) fn casts(work: &mut Work<'_>) {
    let dialect = work.schema.dialect;
    let change = |part: &Expr, scope: &Scope<'_>| {
        let (left, op, right) = comparison(part)?;
        if let Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr,
            data_type,
            ..
        } = left
        {
            // A whole number's text is its digits, so the digits can be compared as a number.
            let (_, known) = scope.column(expr)?;
            let digits = text(right)?;
            let value: i64 = digits.parse().ok()?;
            let to_text = matches!(
                data_type,
                DataType::Text | DataType::Varchar(None) | DataType::String(None)
            );
            if known.kind != Kind::Integer
                || !to_text
                || value.to_string() != digits
                || op != BinaryOperator::Eq
            {
                return None;
            }
            let text = format!("{expr} = {digits}");
            return Some((
                parsed(&text, dialect)?,
                format!("{part} casts every {expr}; {text} means the same."),
            ));
        }
        let (_, known) = scope.column(left)?;
        let digits = number(right)?;
        let whole = digits
            .strip_suffix(".0")
            .filter(|whole| whole.parse::<i32>().is_ok());
        if let Some(whole) = whole.filter(|_| known.kind == Kind::Integer) {
            let text = format!("{left} {op} {whole}");
            return Some((
                parsed(&text, dialect)?,
                format!("{part} casts every {left}; {text} means the same."),
            ));
        }
        // SQLite turns the number into text before it compares, as the column's type says.
        let is_text = known.kind == Kind::Text && known.type_name.to_lowercase().contains("text");
        if dialect == Dialect::Sqlite && is_text && digits.parse::<i64>().is_ok() {
            let text = format!("{left} {op} '{digits}'");
            return Some((
                parsed(&text, dialect)?,
                format!("{part} compares text with a number; {text} means the same."),
            ));
        }
        None
    };
    each_filter(work, change, Pattern::ImplicitCast);
    tell_casts(work);
}

/// Mixed types that cannot be unmixed without knowing the data.
fn tell_casts(work: &mut Work<'_>) {
    let scope = work.scope();
    let Some(select) = work.select() else { return };
    let mut parts: Vec<Expr> = select.selection.iter().flat_map(conjuncts).collect();
    for join in select.from.iter().flat_map(|table| &table.joins) {
        if let Some(on) = super::shape::on(join) {
            parts.extend(conjuncts(on));
        }
    }
    let mut texts = Vec::new();
    for part in &parts {
        let Expr::BinaryOp { left, op, right } = part else {
            continue;
        };
        if !matches!(
            op,
            BinaryOperator::Eq
                | BinaryOperator::Lt
                | BinaryOperator::Gt
                | BinaryOperator::LtEq
                | BinaryOperator::GtEq
        ) {
            continue;
        }
        let kind = |expr: &Expr| scope.column(expr).map(|(_, column)| column.kind);
        match (kind(left), kind(right)) {
            (Some(Kind::Text), None) if number(right).is_some() => {
                let digits = number(right).unwrap_or_default();
                texts.push(format!("{left} is text and is compared with a number, which keeps an index out or fails; compare it with '{digits}'."));
            }
            (Some(a), Some(b)) if a != b && (a == Kind::Text) != (b == Kind::Text) => {
                texts.push(format!("{left} and {right} have different types, so one of them is cast for every row and no index serves; give both the same type."));
            }
            _ => {}
        }
    }
    for text in texts {
        work.tell(Pattern::ImplicitCast, text);
    }
}

/// `a = 1 OR a = 2` becomes `a IN (1, 2)`.
pub(super) fn same_column(work: &mut Work<'_>) {
    let dialect = work.schema.dialect;
    let change = |part: &Expr, scope: &Scope<'_>| {
        let sides = disjuncts(part);
        if sides.len() < 2 {
            return None;
        }
        let mut values = Vec::new();
        let mut column: Option<Expr> = None;
        for side in &sides {
            let (left, BinaryOperator::Eq, right) = comparison(side)? else {
                return None;
            };
            scope.column(left)?;
            if column.get_or_insert_with(|| left.clone()) != left {
                return None;
            }
            values.push(right.to_string());
        }
        let text = format!("{} IN ({})", column?, values.join(", "));
        Some((
            parsed(&text, dialect)?,
            format!("{part} is {text}, which an index serves in one go."),
        ))
    };
    each_filter(work, change, Pattern::OrAcrossColumns);
}

/// `LIKE '%…'` reads every row.
pub(super) fn wildcards(work: &mut Work<'_>) {
    let scope = work.scope();
    let Some(whole) = work.select().and_then(|select| select.selection.clone()) else {
        return;
    };
    for part in conjuncts(&whole) {
        let (expr, pattern) = match &part {
            Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => (expr, pattern),
            _ => continue,
        };
        let starts_open =
            text(pattern).is_some_and(|pattern| pattern.starts_with('%') && pattern.len() > 1);
        let is_any_case = matches!(part, Expr::ILike { .. });
        let Some((binding, column)) = scope.column(expr).filter(|_| starts_open || is_any_case)
        else {
            continue;
        };
        let Some(table) = binding.table else { continue };
        let name = |suffix: &str| {
            crate::sql::names::written(
                work.schema.dialect,
                &format!("{}_{}_{suffix}", table.name, column.name),
            )
        };
        let own = crate::sql::names::written(work.schema.dialect, &column.name);
        let on = crate::sql::names::written(work.schema.dialect, &table.name);
        let (advice, statement) = match work.schema.dialect {
            Dialect::Postgres => (
                "an index of trigrams serves it",
                Some(format!(
                    "CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE INDEX {} ON {on} USING gin ({own} gin_trgm_ops);",
                    name("trgm_idx")
                )),
            ),
            Dialect::MySql => (
                "a full-text index finds words with MATCH … AGAINST",
                Some(format!(
                    "CREATE FULLTEXT INDEX {} ON {on} ({own});",
                    name("text_idx")
                )),
            ),
            Dialect::Sqlite => (
                "an FTS5 table over the column finds words, and trigrams with its trigram tokenizer",
                None,
            ),
            _ => ("a full-text index finds words", None),
        };
        let text = format!("{part} cannot use an ordinary index and reads every row; {advice}.");
        work.find(Pattern::LeadingWildcard, text, statement, false);
    }
}

/// `(SELECT COUNT(*) …) > 0` stops at the first row as `EXISTS`.
pub(super) fn counts(work: &mut Work<'_>) {
    let dialect = work.schema.dialect;
    let change = |part: &Expr, _: &Scope<'_>| {
        let (left, op, right) = comparison_with_query(part)?;
        let limit = number(&right)?;
        let exists = match (op, limit) {
            (BinaryOperator::Gt, "0")
            | (BinaryOperator::GtEq, "1")
            | (BinaryOperator::NotEq, "0") => true,
            (BinaryOperator::Eq, "0") | (BinaryOperator::Lt, "1") => false,
            _ => return None,
        };
        let Expr::Subquery(mut query) = left else {
            return None;
        };
        if query.limit_clause.is_some() || query.fetch.is_some() || query.with.is_some() {
            return None;
        }
        let SetExpr::Select(select) = &mut *query.body else {
            return None;
        };
        let plain = select.having.is_none()
            && select.distinct.is_none()
            && matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
        let [SelectItem::UnnamedExpr(Expr::Function(function))] = select.projection.as_slice()
        else {
            return None;
        };
        let counts_rows = function.name.to_string().eq_ignore_ascii_case("count")
            && function.filter.is_none()
            && function.args.to_string() == "(*)";
        if !plain || !counts_rows {
            return None;
        }
        select.projection = vec![SelectItem::UnnamedExpr(parsed("1", dialect)?)];
        query.order_by = None;
        let better = Expr::Exists {
            subquery: query,
            negated: !exists,
        };
        Some((better, "Counting all rows only to see whether there is one takes longer than EXISTS, which stops at the first.".to_owned()))
    };
    each_filter(work, change, Pattern::CountToExist);
}

fn comparison_with_query(part: &Expr) -> Option<(Expr, BinaryOperator, Expr)> {
    let Expr::BinaryOp { left, op, right } = part else {
        return None;
    };
    if has_query(left) {
        return Some(((**left).clone(), op.clone(), (**right).clone()));
    }
    Some((
        (**right).clone(),
        super::expression::turned(op)?,
        (**left).clone(),
    ))
}

/// Conditions on grouped columns filter rows before they are grouped.
pub(super) fn having(work: &mut Work<'_>) {
    let Some(select) = work.select_mut() else {
        return;
    };
    let Some(having) = select.having.clone() else {
        return;
    };
    let GroupByExpr::Expressions(grouped, modifiers) = &select.group_by else {
        return;
    };
    if !modifiers.is_empty() || grouped.is_empty() {
        return;
    }
    let grouped = grouped.clone();
    let movable = |part: &Expr| {
        let named = columns(part);
        let is_plain = matches!(part, Expr::BinaryOp { left, right, .. } if last(left).is_some() && is_constant(right))
            || matches!(part, Expr::InList { expr, .. } | Expr::Between { expr, .. } if last(expr).is_some());
        is_plain
            && !has_query(part)
            && !named.is_empty()
            && named.iter().all(|column| grouped.contains(column))
    };
    let (moved, left): (Vec<Expr>, Vec<Expr>) = conjuncts(&having).into_iter().partition(movable);
    if moved.is_empty() {
        return;
    }
    let text = moved
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" AND ");
    let mut filters: Vec<Expr> = select.selection.iter().flat_map(conjuncts).collect();
    filters.extend(moved);
    select.selection = all(filters);
    select.having = all(left);
    work.rewrote(
        Pattern::HavingFilter,
        format!("{text} can filter rows in WHERE, before they are grouped."),
    );
}

/// Replaces parts of an expression from the inside out, inner queries apart.
pub(super) fn replace(expr: &mut Expr, change: &mut impl FnMut(&Expr) -> Option<Expr>) {
    struct Replacer<'c, F> {
        depth: usize,
        change: &'c mut F,
    }
    impl<F: FnMut(&Expr) -> Option<Expr>> VisitorMut for Replacer<'_, F> {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if self.depth == 0
                && let Some(better) = (self.change)(expr)
            {
                *expr = better;
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_query(&mut self, _: &mut sqlparser::ast::Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &mut sqlparser::ast::Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let _ = expr.visit(&mut Replacer { depth: 0, change });
}
