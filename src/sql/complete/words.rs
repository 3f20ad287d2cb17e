//! The words of the language.

use crate::sql::Dialect;

use super::place::Clause;

/// Whether keywords are written in capitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    small: bool,
}

impl Style {
    /// As the word being typed has it, or else the statement's first word.
    pub(super) fn of(query: &str, typed: &str) -> Style {
        let is_letter = |c: &char| c.is_ascii_alphabetic();
        let sample = if typed.chars().any(|c| is_letter(&c)) {
            typed
        } else {
            query
        };
        let first = sample.chars().find(is_letter);
        Style {
            small: first.is_some_and(|c| c.is_ascii_lowercase()),
        }
    }

    pub(super) fn written(self, keyword: &str) -> String {
        if self.small {
            keyword.to_lowercase()
        } else {
            keyword.to_owned()
        }
    }
}

/// Whether the dialect has the keyword.
pub(super) fn is_known(keyword: &str, dialect: Dialect) -> bool {
    match keyword {
        "ILIKE" => matches!(dialect, Dialect::Postgres | Dialect::DuckDb),
        "DISTINCT ON (" | "USING" => matches!(dialect, Dialect::Postgres | Dialect::DuckDb),
        "LIMIT" => dialect != Dialect::MsSql,
        "TOP" => dialect == Dialect::MsSql,
        "QUALIFY" => matches!(dialect, Dialect::DuckDb | Dialect::BigQuery),
        "RETURNING" => matches!(
            dialect,
            Dialect::Postgres | Dialect::Sqlite | Dialect::DuckDb
        ),
        "ON CONFLICT" => matches!(
            dialect,
            Dialect::Postgres | Dialect::Sqlite | Dialect::DuckDb
        ),
        "ON DUPLICATE KEY UPDATE" => dialect == Dialect::MySql,
        "FULL JOIN" => dialect != Dialect::MySql,
        "NULLS FIRST" | "NULLS LAST" => !matches!(dialect, Dialect::MySql | Dialect::MsSql),
        _ => true,
    }
}

/// Functions, the most used first.
pub(super) fn functions(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Postgres => &[
            "COUNT",
            "SUM",
            "AVG",
            "MIN",
            "MAX",
            "COALESCE",
            "DATE_TRUNC",
            "NOW",
            "LOWER",
            "UPPER",
            "ROUND",
            "EXTRACT",
            "CONCAT",
            "LENGTH",
            "SUBSTRING",
            "TRIM",
            "REPLACE",
            "CAST",
            "NULLIF",
            "GREATEST",
            "LEAST",
            "STRING_AGG",
            "ARRAY_AGG",
            "JSONB_AGG",
            "ROW_NUMBER",
            "RANK",
            "LAG",
            "LEAD",
            "TO_CHAR",
            "TO_DATE",
            "AGE",
            "ABS",
            "FLOOR",
            "CEIL",
            "POSITION",
            "SPLIT_PART",
            "UNNEST",
            "GENERATE_SERIES",
        ],
        Dialect::MySql => &[
            "COUNT",
            "SUM",
            "AVG",
            "MIN",
            "MAX",
            "COALESCE",
            "NOW",
            "CURDATE",
            "DATE",
            "DATE_FORMAT",
            "DATE_ADD",
            "DATE_SUB",
            "DATEDIFF",
            "YEAR",
            "MONTH",
            "LOWER",
            "UPPER",
            "ROUND",
            "CONCAT",
            "LENGTH",
            "SUBSTRING",
            "TRIM",
            "REPLACE",
            "CAST",
            "IFNULL",
            "NULLIF",
            "IF",
            "GROUP_CONCAT",
            "ROW_NUMBER",
            "RANK",
            "LAG",
            "LEAD",
            "ABS",
            "FLOOR",
            "CEIL",
        ],
        Dialect::Sqlite => &[
            "COUNT",
            "SUM",
            "AVG",
            "MIN",
            "MAX",
            "COALESCE",
            "DATE",
            "DATETIME",
            "STRFTIME",
            "JULIANDAY",
            "LOWER",
            "UPPER",
            "ROUND",
            "LENGTH",
            "SUBSTR",
            "TRIM",
            "REPLACE",
            "CAST",
            "IFNULL",
            "NULLIF",
            "IIF",
            "GROUP_CONCAT",
            "ROW_NUMBER",
            "RANK",
            "LAG",
            "LEAD",
            "ABS",
            "INSTR",
            "TOTAL",
        ],
        Dialect::DuckDb => &[
            "COUNT",
            "SUM",
            "AVG",
            "MIN",
            "MAX",
            "COALESCE",
            "DATE_TRUNC",
            "NOW",
            "LOWER",
            "UPPER",
            "ROUND",
            "EXTRACT",
            "CONCAT",
            "LENGTH",
            "SUBSTRING",
            "TRIM",
            "REPLACE",
            "CAST",
            "NULLIF",
            "STRING_AGG",
            "LIST",
            "MEDIAN",
            "ROW_NUMBER",
            "RANK",
            "LAG",
            "LEAD",
            "STRFTIME",
            "DATE_DIFF",
            "UNNEST",
            "READ_CSV",
            "READ_PARQUET",
        ],
        Dialect::MsSql => &[
            "COUNT",
            "SUM",
            "AVG",
            "MIN",
            "MAX",
            "COALESCE",
            "GETDATE",
            "DATEADD",
            "DATEDIFF",
            "DATEPART",
            "YEAR",
            "MONTH",
            "LOWER",
            "UPPER",
            "ROUND",
            "CONCAT",
            "LEN",
            "SUBSTRING",
            "TRIM",
            "REPLACE",
            "CAST",
            "CONVERT",
            "ISNULL",
            "NULLIF",
            "IIF",
            "STRING_AGG",
            "ROW_NUMBER",
            "RANK",
            "LAG",
            "LEAD",
            "ABS",
            "FLOOR",
            "CEILING",
        ],
        Dialect::BigQuery => &[
            "COUNT",
            "SUM",
            "AVG",
            "MIN",
            "MAX",
            "COALESCE",
            "DATE_TRUNC",
            "TIMESTAMP_TRUNC",
            "CURRENT_DATE",
            "DATE_SUB",
            "DATE_ADD",
            "DATE_DIFF",
            "EXTRACT",
            "LOWER",
            "UPPER",
            "ROUND",
            "CONCAT",
            "LENGTH",
            "SUBSTR",
            "TRIM",
            "REPLACE",
            "CAST",
            "SAFE_CAST",
            "SAFE_DIVIDE",
            "IFNULL",
            "NULLIF",
            "IF",
            "STRING_AGG",
            "ARRAY_AGG",
            "ROW_NUMBER",
            "RANK",
            "LAG",
            "LEAD",
            "FORMAT_DATE",
            "UNNEST",
            "COUNTIF",
        ],
    }
}

/// Keywords that an operand can start with.
pub(super) fn operands(clause: Clause) -> &'static [&'static str] {
    match clause {
        Clause::Select => &[
            "DISTINCT",
            "*",
            "CASE WHEN",
            "TOP",
            "DISTINCT ON (",
            "ALL",
            "EXISTS (",
            "NULL",
        ],
        Clause::Where | Clause::Having | Clause::On => &[
            "NOT",
            "EXISTS (",
            "NOT EXISTS (",
            "CASE WHEN",
            "NULL",
            "TRUE",
            "FALSE",
            "CURRENT_DATE",
        ],
        Clause::Group | Clause::Order => &["CASE WHEN"],
        Clause::Values => &["DEFAULT", "NULL", "TRUE", "FALSE", "CURRENT_TIMESTAMP"],
        Clause::Assigned => &[
            "NULL",
            "DEFAULT",
            "CASE WHEN",
            "TRUE",
            "FALSE",
            "CURRENT_TIMESTAMP",
        ],
        Clause::Set | Clause::Returning => &["*"],
    }
}
