//! What parses and is wrong all the same, or belongs to another dialect. Each edit here is sure.

use crate::sql::lexer::{Lexeme, Token};
use crate::sql::{Dialect, Schema};

use super::grouping;
use super::names::condition;
use super::syntax::missing_from;
use super::text::{Edit, Source};

/// The edits that the text needs; none if no rule objects.
pub(super) fn edits(source: &Source<'_>, schema: &Schema) -> Vec<Edit> {
    let rules: [fn(&Source<'_>, &Schema) -> Option<Edit>; 11] = [
        curly_quotes,
        table_after_star,
        compared_to_null,
        double_equals,
        foreign_quotes,
        top,
        limit,
        limit_pair,
        foreign_function,
        join_without_condition,
        grouping::edit,
    ];
    rules
        .iter()
        .find_map(|rule| rule(source, schema))
        .into_iter()
        .collect()
}

/// Quotes of word processors.
fn curly_quotes(source: &Source<'_>, _: &Schema) -> Option<Edit> {
    const CURLY: [char; 5] = ['‘', '’', '“', '”', '´'];
    let is_curly = |token: &Token| token.kind != Lexeme::Text && source.text(token).contains(CURLY);
    source.tokens.iter().any(is_curly).then(|| Edit {
        cost: 1,
        reason: "straight quotes".to_owned(),
        sql: source.sql.replace(CURLY, "'"),
    })
}

/// `SELECT * users`: the parser takes the table for a name of the columns.
fn table_after_star(source: &Source<'_>, schema: &Schema) -> Option<Edit> {
    let star = source.tokens.get(1).filter(|token| token.is("*"))?;
    let edit = missing_from(source, schema).into_iter().next()?;
    let from = source.tokens.get(2)?.span.start;
    (star.span.end < from).then_some(edit)
}

/// `= NULL` is never true.
fn compared_to_null(source: &Source<'_>, _: &Schema) -> Option<Edit> {
    let at = (1..source.tokens.len()).find(|at| {
        let operator = &source.tokens[at - 1];
        source.tokens[*at].is("NULL")
            && operator.is_any(&["=", "<>", "!="])
            && is_condition(source, at - 1)
    })?;
    let (operator, null) = (&source.tokens[at - 1], &source.tokens[at]);
    let (text, reason) = match operator.is("=") {
        true => ("IS NULL", "IS NULL instead of = NULL, which is never true"),
        false => (
            "IS NOT NULL",
            "IS NOT NULL instead of <> NULL, which is never true",
        ),
    };
    Some(source.replace(
        operator.span.start,
        null.span.end,
        &source.keyword(text),
        1,
        reason,
    ))
}

/// Whether the token stands in a condition rather than in `SET` or a list of values.
fn is_condition(source: &Source<'_>, at: usize) -> bool {
    let words = [
        "WHERE", "HAVING", "ON", "WHEN", "SET", "VALUES", "SELECT", "AND", "OR", "NOT",
    ];
    let before = source.tokens[..at]
        .iter()
        .rev()
        .find(|token| token.is_any(&words));
    match before {
        Some(token) if token.is_any(&["SET", "VALUES", "SELECT"]) => false,
        Some(token) => token.is_any(&["WHERE", "HAVING", "ON", "WHEN", "AND", "OR", "NOT"]),
        None => false,
    }
}

fn double_equals(source: &Source<'_>, _: &Schema) -> Option<Edit> {
    if matches!(source.dialect, Dialect::Sqlite | Dialect::DuckDb) {
        return None;
    }
    let at = source.tokens.iter().position(|token| token.is("=="))?;
    Some(source.replace_token(at, "=", 1, "= instead of =="))
}

/// Backticks are quotes of MySQL, BigQuery and SQLite only.
fn foreign_quotes(source: &Source<'_>, _: &Schema) -> Option<Edit> {
    let (open, close) = match source.dialect {
        Dialect::MySql | Dialect::BigQuery | Dialect::Sqlite => return None,
        Dialect::MsSql => ('[', ']'),
        Dialect::Postgres | Dialect::DuckDb => ('"', '"'),
    };
    let closed = |token: &Token| {
        let text = source.text(token);
        token.kind == Lexeme::Quoted
            && text.len() > 1
            && text.starts_with('`')
            && text.ends_with('`')
    };
    let at = source.tokens.iter().position(closed)?;
    let name = &source.tokens[at].text;
    let quoted = format!(
        "{open}{}{close}",
        name.replace(close, &format!("{close}{close}"))
    );
    Some(source.replace_token(
        at,
        &quoted,
        1,
        format!("{quoted} instead of {}", source.text(&source.tokens[at])),
    ))
}

/// `SELECT TOP 5` is SQL Server's.
fn top(source: &Source<'_>, _: &Schema) -> Option<Edit> {
    if source.dialect == Dialect::MsSql {
        return None;
    }
    let at = (1..source.tokens.len()).find(|at| {
        source.tokens[*at].is("TOP") && source.tokens[at - 1].is_any(&["SELECT", "DISTINCT", "ALL"])
    })?;
    let mut next = at + 1;
    let bracketed = source.tokens.get(next).is_some_and(|token| token.is("("));
    next += usize::from(bracketed);
    let count = source
        .tokens
        .get(next)
        .filter(|token| token.kind == Lexeme::Number)?;
    let end = source.tokens.get(next + usize::from(bracketed))?.span.end;
    let start = source.sql[..source.tokens[at].span.start].trim_end().len();
    let limit = format!(" {} {}", source.keyword("LIMIT"), source.text(count));
    let close = closing(source, at);
    let sql = format!(
        "{}{}{limit}{}",
        &source.sql[..start],
        &source.sql[end..close],
        &source.sql[close..]
    );
    Some(Edit {
        cost: 1,
        reason: format!("LIMIT {} at the end instead of TOP", source.text(count)),
        sql,
    })
}

/// Where the query around a token ends: at its closing bracket, or at the end.
fn closing(source: &Source<'_>, at: usize) -> usize {
    let depths = source.depths();
    let depth = depths[at];
    let after = (at..source.tokens.len()).find(|place| depths[*place] < depth);
    match after {
        Some(place) => source.sql[..source.tokens[place].span.start]
            .trim_end()
            .len(),
        None => source.end(),
    }
}

/// SQL Server has no `LIMIT`.
fn limit(source: &Source<'_>, _: &Schema) -> Option<Edit> {
    if source.dialect != Dialect::MsSql {
        return None;
    }
    let at = source.tokens.iter().position(|token| token.is("LIMIT"))?;
    let count = source
        .tokens
        .get(at + 1)
        .filter(|token| token.kind == Lexeme::Number)?;
    let start = source.sql[..source.tokens[at].span.start].trim_end().len();
    let offset = source.tokens.get(at + 2).filter(|token| token.is("OFFSET"));
    let number = offset
        .and_then(|_| source.tokens.get(at + 3))
        .filter(|token| token.kind == Lexeme::Number);
    let count_text = source.text(count);
    if let Some(number) = number {
        let skipped = source.text(number);
        let text = format!(" OFFSET {skipped} ROWS FETCH NEXT {count_text} ROWS ONLY");
        return Some(source.replace(
            start,
            number.span.end,
            &text,
            1,
            "OFFSET … FETCH instead of LIMIT",
        ));
    }
    let depths = source.depths();
    let select = (0..at)
        .rev()
        .find(|place| source.tokens[*place].is("SELECT") && depths[*place] == depths[at])?;
    let distinct = source
        .tokens
        .get(select + 1)
        .filter(|token| token.is("DISTINCT"));
    let place = distinct.map_or(source.tokens[select].span.end, |token| token.span.end);
    let sql = format!(
        "{} {} {count_text}{}{}",
        &source.sql[..place],
        source.keyword("TOP"),
        &source.sql[place..start],
        &source.sql[count.span.end..]
    );
    Some(Edit {
        cost: 1,
        reason: format!("TOP {count_text} instead of LIMIT"),
        sql,
    })
}

/// `LIMIT 20, 10` is MySQL's and SQLite's.
fn limit_pair(source: &Source<'_>, _: &Schema) -> Option<Edit> {
    if matches!(
        source.dialect,
        Dialect::MySql | Dialect::Sqlite | Dialect::MsSql
    ) {
        return None;
    }
    let at = source.tokens.iter().position(|token| token.is("LIMIT"))?;
    let [skip, comma, count] = source.tokens.get(at + 1..at + 4)? else {
        return None;
    };
    if !comma.is(",") || skip.kind != Lexeme::Number || count.kind != Lexeme::Number {
        return None;
    }
    let text = format!(
        "{} {} {}",
        source.text(count),
        source.keyword("OFFSET"),
        source.text(skip)
    );
    Some(source.replace(
        skip.span.start,
        count.span.end,
        &text,
        1,
        "LIMIT … OFFSET instead of LIMIT with two numbers",
    ))
}

/// The name that the dialect has for a function of another.
pub(super) fn renamed(dialect: Dialect, name: &str) -> Option<&'static str> {
    use Dialect::{BigQuery, DuckDb, MsSql, MySql, Postgres, Sqlite};
    Some(match (name, dialect) {
        ("NVL", Postgres | MySql | Sqlite | MsSql | BigQuery) => "COALESCE",
        ("IFNULL", Postgres | MsSql) => "COALESCE",
        ("ISNULL", Postgres | Sqlite | DuckDb | BigQuery) => "COALESCE",
        ("LEN", Postgres | MySql | Sqlite | BigQuery) => "LENGTH",
        ("LENGTH", MsSql) => "LEN",
        ("CHAR_LENGTH", Sqlite) => "LENGTH",
        ("GETDATE", Postgres | MySql | DuckDb) => "NOW",
        ("NOW", MsSql) => "GETDATE",
        ("SUBSTR", MsSql) => "SUBSTRING",
        ("GROUP_CONCAT", Postgres | MsSql | BigQuery) => "STRING_AGG",
        ("STRING_AGG", MySql) => "GROUP_CONCAT",
        ("UCASE", Postgres | Sqlite | MsSql | BigQuery | DuckDb) => "UPPER",
        ("LCASE", Postgres | Sqlite | MsSql | BigQuery | DuckDb) => "LOWER",
        ("CEIL", MsSql) => "CEILING",
        ("RAND", Postgres | Sqlite | DuckDb) => "RANDOM",
        ("RANDOM", MySql | MsSql | BigQuery) => "RAND",
        ("MEAN", Postgres | MySql | Sqlite | MsSql | BigQuery) => "AVG",
        _ => return None,
    })
}

fn foreign_function(source: &Source<'_>, _: &Schema) -> Option<Edit> {
    for (at, token) in source.tokens.iter().enumerate() {
        let is_call = token.kind == Lexeme::Word
            && source.tokens.get(at + 1).is_some_and(|next| next.is("("));
        let is_member = at
            .checked_sub(1)
            .is_some_and(|before| source.tokens[before].is("."));
        if token.is("ILIKE")
            && matches!(
                source.dialect,
                Dialect::MySql | Dialect::Sqlite | Dialect::MsSql | Dialect::BigQuery
            )
        {
            return Some(source.replace_token(
                at,
                &source.keyword("LIKE"),
                1,
                "LIKE instead of ILIKE",
            ));
        }
        if !is_call || is_member {
            continue;
        }
        // `a ISNULL` is an operator, and `ISNULL(a)` of one argument is MySQL's test.
        let Some(name) = renamed(source.dialect, &token.text) else {
            continue;
        };
        let written = source.text(token);
        let reason = format!("{name} instead of {written}");
        let is_small = written.starts_with(|c: char| c.is_ascii_lowercase());
        let better = if is_small {
            name.to_lowercase()
        } else {
            name.to_owned()
        };
        return Some(source.replace_token(at, &better, 1, reason));
    }
    None
}

/// `JOIN` without a condition, along a foreign key.
fn join_without_condition(source: &Source<'_>, schema: &Schema) -> Option<Edit> {
    if matches!(source.dialect, Dialect::MySql | Dialect::Sqlite) {
        return None;
    }
    let join = source
        .tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.is("JOIN"));
    for (at, _) in join {
        let before = at.checked_sub(1).map(|at| &source.tokens[at]);
        if before.is_some_and(|token| token.is_any(&["CROSS", "NATURAL"])) {
            continue;
        }
        let Some((name, known_as, end)) = named(source, at + 1) else {
            continue;
        };
        let next = source.tokens.get(end);
        if next.is_some_and(|token| token.is_any(&["ON", "USING", "(", "."])) {
            continue;
        }
        let Some(table) = schema
            .tables
            .iter()
            .find(|table| table.name.eq_ignore_ascii_case(name))
        else {
            continue;
        };
        // The nearest table before it that a foreign key links to it.
        for earlier in (0..at).rev() {
            if !source.tokens[earlier].is_any(&["FROM", "JOIN", ","]) {
                continue;
            }
            let Some((other, other_as, _)) = named(source, earlier + 1) else {
                continue;
            };
            let Some(other) = schema
                .tables
                .iter()
                .find(|table| table.name.eq_ignore_ascii_case(other))
            else {
                continue;
            };
            if let Some(condition) = condition(schema, table, known_as, other, other_as) {
                let text = format!(" {} {condition}", source.keyword("ON"));
                return Some(source.insert_after(
                    end - 1,
                    &text,
                    3,
                    format!("the missing ON {condition} is added"),
                ));
            }
        }
    }
    None
}

/// The table at a token, what it is known by, and the token after both.
fn named<'a>(source: &'a Source<'_>, at: usize) -> Option<(&'a str, &'a str, usize)> {
    let table = source.tokens.get(at).filter(|token| token.is_name())?;
    let mut end = at + 1;
    let mut name = table;
    while source.tokens.get(end).is_some_and(|token| token.is(".")) {
        name = source.tokens.get(end + 1).filter(|token| token.is_name())?;
        end += 2;
    }
    let name = name.name(source.sql);
    let is_as = source.tokens.get(end).is_some_and(|token| token.is("AS"));
    let alias = source.tokens.get(end + usize::from(is_as));
    let alias = alias.filter(|token| {
        token.is_name() && !crate::sql::names::is_reserved(&token.text) && !token.is_any(&["SET"])
    });
    match alias {
        Some(alias) => Some((name, alias.name(source.sql), end + 1 + usize::from(is_as))),
        None => Some((name, name, end)),
    }
}
