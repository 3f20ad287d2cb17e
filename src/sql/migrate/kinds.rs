//! Types of columns: which are the same, and which changes may lose something.

use crate::sql::{Column, Dialect, Kind};

/// The type under one of its names, so that `int4` and `INTEGER` are equal.
pub(super) fn canonical(dialect: Dialect, type_name: &str) -> String {
    let lower = type_name.trim().to_lowercase();
    let lower = lower
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(", ", ",")
        .replace(" (", "(");
    let (base, rest) = match lower.find('(') {
        Some(at) => {
            let close = lower[at..]
                .find(')')
                .map_or(lower.len(), |end| at + end + 1);
            (
                format!("{}{}", &lower[..at], &lower[close..]),
                lower[at..close].to_owned(),
            )
        }
        None => (lower.clone(), String::new()),
    };
    if dialect == Dialect::Sqlite {
        // SQLite keeps a type as it was written; only its affinity matters.
        return lower;
    }
    let base = match base.as_str() {
        "int" | "int4" | "serial" | "serial4" | "int32" | "signed" => "integer",
        "int8" | "bigserial" | "serial8" | "int64" => "bigint",
        "int2" | "smallserial" | "serial2" | "int16" => "smallint",
        "bool" => "boolean",
        "float8" | "double" | "float64" => "double precision",
        "float4" | "float32" => "real",
        "dec" | "decimal" => "numeric",
        "character varying" | "char varying" => "varchar",
        "character" | "bpchar" => "char",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "time without time zone" => "time",
        other => other,
    };
    let rest = match (dialect, base) {
        // The width that MySQL shows a number with is no part of its type.
        (Dialect::MySql, "integer" | "bigint" | "smallint" | "mediumint") => String::new(),
        (_, "char") if rest.is_empty() => "(1)".to_owned(),
        _ => rest,
    };
    format!("{base}{rest}")
}

/// Why a change of type may lose data or fail; nothing if it cannot.
pub(super) fn loss(dialect: Dialect, from: &Column, to: &Column) -> Option<String> {
    let (old, new) = (
        canonical(dialect, &from.type_name),
        canonical(dialect, &to.type_name),
    );
    let narrows = match (from.kind, to.kind) {
        (Kind::Integer, Kind::Integer) => width(&old) > width(&new),
        (Kind::Text, Kind::Text) => match (numbers(&old).first(), numbers(&new).first()) {
            (None, Some(_)) => true,
            (Some(a), Some(b)) => a > b,
            _ => false,
        },
        (Kind::Decimal, Kind::Decimal) => narrower(&numbers(&old), &numbers(&new)),
        (Kind::Integer, Kind::Decimal) => {
            let digits = numbers(&new);
            digits
                .first()
                .is_some_and(|all| all.saturating_sub(digits.get(1).copied().unwrap_or(0)) < 19)
        }
        (Kind::Real, Kind::Real) => old == "double precision" && new != old,
        (Kind::Timestamp, Kind::Timestamp) => old.contains("tz") && !new.contains("tz"),
        (Kind::Integer, Kind::Real) => true,
        (_, Kind::Text) => !numbers(&new).is_empty(),
        (Kind::Date, Kind::Timestamp) => false,
        (a, b) if a == b => false,
        _ => true,
    };
    narrows.then(|| match from.kind == to.kind {
        true => "values that do not fit are cut, rounded or refused".to_owned(),
        false => "values that cannot be converted are changed or refused".to_owned(),
    })
}

fn width(type_name: &str) -> u32 {
    let base = type_name.split(['(', ' ']).next().unwrap_or_default();
    match base {
        "tinyint" | "utinyint" => 1,
        "smallint" | "usmallint" => 2,
        "mediumint" => 3,
        "bigint" | "ubigint" => 8,
        "hugeint" | "uhugeint" => 16,
        _ => 4,
    }
}

fn narrower(old: &[u64], new: &[u64]) -> bool {
    let scale = |digits: &[u64]| digits.get(1).copied().unwrap_or(0);
    match (old.first(), new.first()) {
        (None, Some(_)) => true,
        (Some(a), Some(b)) => {
            scale(old) > scale(new) || a - scale(old).min(*a) > b - scale(new).min(*b)
        }
        _ => false,
    }
}

/// The numbers in a type's brackets.
fn numbers(type_name: &str) -> Vec<u64> {
    let Some((_, rest)) = type_name.split_once('(') else {
        return Vec::new();
    };
    let inner = rest.split(')').next().unwrap_or_default();
    inner
        .split(',')
        .filter_map(|part| part.trim().parse().ok())
        .collect()
}

/// A value that any row may hold, as SQL, for rows that are there before a column is.
pub(super) fn neutral(kind: Kind, dialect: Dialect) -> Option<&'static str> {
    Some(match kind {
        Kind::Integer | Kind::Real | Kind::Decimal => "0",
        Kind::Text => "''",
        Kind::Boolean if matches!(dialect, Dialect::MsSql | Dialect::Sqlite) => "0",
        Kind::Boolean => "FALSE",
        Kind::Date => "'1970-01-01'",
        Kind::Timestamp => "'1970-01-01 00:00:00'",
        Kind::Time => "'00:00:00'",
        Kind::Json => "'{}'",
        Kind::Uuid => "'00000000-0000-0000-0000-000000000000'",
        Kind::Binary | Kind::Other => return None,
    })
}
