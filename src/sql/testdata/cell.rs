//! One value of a row.

use std::cmp::Ordering;

use crate::sql::{Dialect, Kind};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number as it is written, so that its digits are those of its type.
    Number(String),
    /// Text; dates, UUIDs and JSON too.
    Text(String),
    Bytes(Vec<u8>),
}

impl Cell {
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Cell::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Cell::Integer(value) => Some(*value as f64),
            Cell::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// Bytes of its text.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Cell::Number(text) | Cell::Text(text) => text.len(),
            Cell::Bytes(bytes) => bytes.len(),
            Cell::Null | Cell::Bool(_) | Cell::Integer(_) => 0,
        }
    }

    /// How two values compare; nothing if one is null or they are of different sorts.
    pub(super) fn compare(&self, other: &Cell) -> Option<Ordering> {
        match (self, other) {
            (Cell::Text(a), Cell::Text(b)) => Some(a.cmp(b)),
            (Cell::Bool(a), Cell::Bool(b)) => Some(a.cmp(b)),
            (Cell::Bool(a), Cell::Integer(b)) => Some(i64::from(*a).cmp(b)),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }

    /// As the dialect writes it.
    pub(super) fn literal(&self, dialect: Dialect, kind: Kind) -> String {
        match self {
            Cell::Null => "NULL".to_owned(),
            Cell::Bool(value) if matches!(dialect, Dialect::Sqlite | Dialect::MsSql) => {
                i32::from(*value).to_string()
            }
            Cell::Bool(value) => value.to_string().to_uppercase(),
            Cell::Integer(value) => value.to_string(),
            Cell::Number(digits) => digits.clone(),
            Cell::Bytes(bytes) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                match dialect {
                    Dialect::Postgres => format!("'\\x{digits}'"),
                    Dialect::MsSql => format!("0x{digits}"),
                    Dialect::BigQuery => format!("FROM_HEX('{digits}')"),
                    Dialect::DuckDb => format!("unhex('{digits}')"),
                    Dialect::MySql | Dialect::Sqlite => format!("X'{digits}'"),
                }
            }
            Cell::Text(text) => quoted(dialect, kind, text),
        }
    }
}

fn quoted(dialect: Dialect, kind: Kind, text: &str) -> String {
    if dialect == Dialect::BigQuery {
        let text = text.replace('\\', "\\\\").replace('\'', "\\'");
        let prefix = match kind {
            Kind::Date => "DATE ",
            Kind::Timestamp => "TIMESTAMP ",
            Kind::Json => "JSON ",
            _ => "",
        };
        return format!("{prefix}'{text}'");
    }
    let text = text.replace('\'', "''");
    match dialect {
        Dialect::MySql => format!("'{}'", text.replace('\\', "\\\\")),
        Dialect::MsSql if !text.is_ascii() => format!("N'{text}'"),
        _ => format!("'{text}'"),
    }
}
