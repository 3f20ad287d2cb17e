//! Terminals and functions, by dialect.

use std::fmt::Write;

use crate::sql::Dialect;

/// What may not be an alias though it has the shape of one.
const NO_ALIAS: &str = "as|on|or|in|is|by|if|to|no|do|of|at|go|and|not|end|all|any|asc|for|set|row|add|use|key|int|off|out|top|div|mod|xor";

/// The units of dates.
const UNITS: &str = "YEAR|QUARTER|MONTH|WEEK|DAY|HOUR|MINUTE|SECOND";

pub(super) fn terminals(text: &mut String, dialect: Dialect) {
    let aggregates = match dialect {
        Dialect::Postgres | Dialect::DuckDb => "SUM|AVG|MIN|MAX|STDDEV|VARIANCE|BOOL_AND|BOOL_OR",
        Dialect::MySql => "SUM|AVG|MIN|MAX|STDDEV|VARIANCE",
        Dialect::Sqlite => "SUM|AVG|MIN|MAX|TOTAL",
        Dialect::MsSql => "SUM|AVG|MIN|MAX|STDEV|VAR",
        Dialect::BigQuery => "SUM|AVG|MIN|MAX|STDDEV|VARIANCE|APPROX_COUNT_DISTINCT",
    };
    let arithmetic = match dialect {
        Dialect::Postgres | Dialect::Sqlite | Dialect::DuckDb | Dialect::BigQuery => {
            r"/\+|-|\*|\/|%|\|\|/"
        }
        Dialect::MySql | Dialect::MsSql => r"/\+|-|\*|\/|%/",
    };
    let _ = write!(
        text,
        r#"S: / |\n {{0,8}}/
C: /,( |\n {{0,8}})?/
INT: /[0-9]{{1,9}}/
NUMBER: /-?[0-9]{{1,15}}(\.[0-9]{{1,8}})?/
STRING: /'([^'\\\x00-\x1f]|''){{0,120}}'/
COMPARE: /=|<>|!=|<=|>=|<|>/
ARITHMETIC: {arithmetic}
AGGREGATE: /{aggregates}/
RANKING: /ROW_NUMBER|RANK|DENSE_RANK|PERCENT_RANK|CUME_DIST/
SHIFTING: /LAG|LEAD|FIRST_VALUE|LAST_VALUE/
FRAME: /ROWS BETWEEN (UNBOUNDED|[0-9]{{1,3}}) PRECEDING AND CURRENT ROW/
UNIT: /{UNITS}/
NOTHING: /\x01/
TALIAS: /[a-z]{{1,3}}[0-9]?/ & ~/{NO_ALIAS}/
ALIAS: /(n|cnt|count|total|amount|average|avg|sum|min|max|rank|rnk|rn|num|number|share|ratio|percent|percentage|revenue|result|value|day|week|month|quarter|year|hour|period|bucket|category_name)|(n|num|number|count|total|sum|avg|average|mean|min|max|minimum|maximum|first|last|latest|earliest|highest|lowest|distinct|unique|running|cumulative|previous|prev|next|day|week|month|quarter|year|percent|pct|rank)_[a-z][a-z0-9_]{{0,40}}|[a-z][a-z0-9_]{{0,40}}_(count|total|sum|avg|average|min|max|amount|number|rank|rn|share|ratio|percent|percentage|pct|month|year|day|week|name)/
CTE: /cte[0-9]?|(ranked|totals|counts|stats|filtered|summary|base|numbered|grouped)|([a-z]+_){{1,3}}(cte|totals|total|counts|count|stats|summary|ranked|filtered|data|base|grouped|numbered|sales|spend|spending|orders_per|by_month|by_year|by_day|agg|list|rows)|(ranked|monthly|daily|weekly|yearly|latest|recent|top|first|last|total|filtered|active|big)_[a-z][a-z_]{{0,30}}/
"#
    );
}

pub(super) fn like(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres | Dialect::DuckDb => "(\"LIKE\" | \"ILIKE\")",
        _ => "\"LIKE\"",
    }
}

/// Aggregates that make one text of many.
pub(super) fn gathering(dialect: Dialect, v: &str) -> String {
    match dialect {
        Dialect::Postgres | Dialect::DuckDb | Dialect::BigQuery | Dialect::MsSql => {
            format!(" | \"STRING_AGG(\" (\"DISTINCT\" S)? scalar_{v} C STRING \")\"")
        }
        Dialect::Sqlite => format!(" | \"GROUP_CONCAT(\" scalar_{v} (C STRING)? \")\""),
        Dialect::MySql => {
            format!(
                " | \"GROUP_CONCAT(\" (\"DISTINCT\" S)? scalar_{v} (S \"SEPARATOR\" S STRING)? \")\""
            )
        }
    }
}

/// Functions of values and dates.
pub(super) fn calls(text: &mut String, dialect: Dialect, v: &str) {
    let x = format!("scalar_{v}");
    let mut calls = vec![
        format!(
            "(\"LOWER\" | \"UPPER\" | \"TRIM\" | \"ABS\" | \"{}\") \"(\" {x} \")\"",
            length(dialect)
        ),
        format!("\"ROUND(\" {x} (C INT)? \")\""),
        format!("\"COALESCE(\" {x} (C {x}){{1,5}} \")\""),
        format!("\"NULLIF(\" {x} C {x} \")\""),
        format!("\"CAST(\" {x} S \"AS\" S type \")\""),
        format!("\"REPLACE(\" {x} C STRING C STRING \")\""),
        format!("\"{}(\" {x} C INT (C INT)? \")\"", substring(dialect)),
    ];
    if dialect != Dialect::Sqlite {
        calls.push(format!("\"CONCAT(\" {x} (C {x}){{1,9}} \")\""));
        calls.push(format!(
            "(\"FLOOR\" | \"{}\") \"(\" {x} \")\"",
            ceiling(dialect)
        ));
    }
    calls.extend(dates(dialect, &x));
    let _ = writeln!(text, "call_{v}: {}", calls.join("\n  | "));
    if v == "pt" {
        let _ = writeln!(text, "type: {}", types(dialect));
    }
}

fn length(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MsSql => "LEN",
        Dialect::MySql => "CHAR_LENGTH",
        _ => "LENGTH",
    }
}

fn ceiling(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MsSql => "CEILING",
        _ => "CEIL",
    }
}

fn substring(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite | Dialect::BigQuery => "SUBSTR",
        _ => "SUBSTRING",
    }
}

fn types(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres | Dialect::DuckDb => {
            r#""INTEGER" | "BIGINT" | "NUMERIC" | "TEXT" | "DATE" | "TIMESTAMP" | "DOUBLE PRECISION" | "BOOLEAN""#
        }
        Dialect::MySql => r#""SIGNED" | "DECIMAL(12, 2)" | "CHAR" | "DATE" | "DATETIME""#,
        Dialect::Sqlite => r#""INTEGER" | "REAL" | "TEXT" | "NUMERIC""#,
        Dialect::MsSql => {
            r#""INT" | "BIGINT" | "DECIMAL(12, 2)" | "FLOAT" | "DATE" | "DATETIME2" | "VARCHAR(100)""#
        }
        Dialect::BigQuery => {
            r#""INT64" | "FLOAT64" | "NUMERIC" | "STRING" | "DATE" | "TIMESTAMP" | "BOOL""#
        }
    }
}

fn dates(dialect: Dialect, x: &str) -> Vec<String> {
    let list: &[&str] = match dialect {
        Dialect::Postgres | Dialect::DuckDb => &[
            "\"NOW()\" | \"CURRENT_DATE\" | \"CURRENT_TIMESTAMP\"",
            "\"INTERVAL\" S /'[0-9]{1,4} (second|minute|hour|day|week|month|year)s?'/",
            "\"DATE_TRUNC(\" /'(second|minute|hour|day|week|month|quarter|year)'/ C X \")\"",
            "\"EXTRACT(\" UNIT S \"FROM\" S X \")\"",
            "\"DATE(\" X \")\" | \"DATE\" S STRING | \"AGE(\" X (C X)? \")\"",
            "\"TO_CHAR(\" X C STRING \")\"",
        ],
        Dialect::MySql => &[
            "\"NOW()\" | \"CURDATE()\" | \"CURRENT_DATE\" | \"CURRENT_TIMESTAMP\"",
            "\"INTERVAL\" S INT S UNIT",
            "(\"DATE_SUB\" | \"DATE_ADD\") \"(\" X \", INTERVAL\" S INT S UNIT \")\"",
            "(\"YEAR\" | \"MONTH\" | \"DAY\" | \"HOUR\" | \"DATE\" | \"QUARTER\" | \"WEEK\") \"(\" X \")\"",
            "\"DATE_FORMAT(\" X C STRING \")\" | \"DATEDIFF(\" X C X \")\"",
            "\"TIMESTAMPDIFF(\" UNIT C X C X \")\"",
        ],
        Dialect::Sqlite => &[
            "(\"DATE\" | \"DATETIME\" | \"JULIANDAY\") \"(\" (/'now'/ | X) (C /'[+-][0-9]{1,4} (second|minute|hour|day|month|year)s?'|'start of (day|month|year)'/)* \")\"",
            "\"STRFTIME(\" /'(%[YmdHMSjWw]|[-:\\/ ]){1,12}'/ C (/'now'/ | X) \")\"",
            "\"CURRENT_DATE\" | \"CURRENT_TIMESTAMP\"",
        ],
        Dialect::MsSql => &[
            "\"GETDATE()\" | \"SYSDATETIME()\" | \"CURRENT_TIMESTAMP\"",
            "\"DATEADD(\" UNIT C /-?[0-9]{1,5}/ C X \")\"",
            "\"DATEDIFF(\" UNIT C X C X \")\"",
            "(\"YEAR\" | \"MONTH\" | \"DAY\") \"(\" X \")\" | \"DATEPART(\" UNIT C X \")\"",
            "\"FORMAT(\" X C STRING \")\" | \"ISNULL(\" X C X \")\"",
        ],
        Dialect::BigQuery => &[
            "\"CURRENT_DATE()\" | \"CURRENT_TIMESTAMP()\" | \"CURRENT_DATETIME()\"",
            "(\"DATE_SUB\" | \"DATE_ADD\" | \"TIMESTAMP_SUB\" | \"TIMESTAMP_ADD\") \"(\" X \", INTERVAL\" S INT S UNIT \")\"",
            "(\"DATE_TRUNC\" | \"TIMESTAMP_TRUNC\") \"(\" X C UNIT \")\"",
            "(\"DATE_DIFF\" | \"TIMESTAMP_DIFF\") \"(\" X C X C UNIT \")\"",
            "\"EXTRACT(\" UNIT S \"FROM\" S X \")\" | \"DATE(\" X \")\" | \"DATE\" S STRING",
            "\"FORMAT_DATE(\" STRING C X \")\" | \"SAFE_DIVIDE(\" X C X \")\"",
        ],
    };
    list.iter().map(|call| swap(call, x)).collect()
}

/// The pattern with the rule in the place of the lone `X`.
fn swap(call: &str, rule: &str) -> String {
    let words = call
        .split(' ')
        .map(|word| match word.strip_suffix(['*', '?', ')']) {
            _ if word == "X" => rule.to_owned(),
            Some("X)") | Some("X") => word.replacen('X', rule, 1),
            _ => word.to_owned(),
        });
    words.collect::<Vec<_>>().join(" ")
}
