//! Repairs of what the parser stumbles over.

mod missing;
mod pairs;

use crate::sql::lexer::Lexeme;
use crate::sql::names::distance;
use crate::sql::{Schema, SqlError};

use super::text::{Edit, Source};

use missing::missing;
pub(super) use missing::missing_from;
use pairs::{brackets, commas, doubled, quotes};

/// Words that statements are built from.
const KEYWORDS: [&str; 55] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "ORDER",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "OUTER",
    "CROSS",
    "ON",
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "LIKE",
    "ILIKE",
    "DISTINCT",
    "VALUES",
    "INSERT",
    "INTO",
    "UPDATE",
    "SET",
    "DELETE",
    "AS",
    "ASC",
    "DESC",
    "UNION",
    "ALL",
    "NULL",
    "IS",
    "IN",
    "EXISTS",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "USING",
    "WITH",
    "INTERSECT",
    "EXCEPT",
    "RETURNING",
    "OVER",
    "PARTITION",
    "CREATE",
    "TABLE",
    "ALTER",
    "FETCH",
];
/// Words that start a clause, in their order.
const CLAUSES: [&str; 8] = [
    "SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET",
];

/// Edits that may let the text parse.
pub(super) fn edits(source: &Source<'_>, schema: &Schema, error: &SqlError) -> Vec<Edit> {
    let at = match error {
        SqlError::Syntax { line, column, .. } => source.token_at(*line, *column),
        _ => return Vec::new(),
    };
    around(source, schema, at)
}

/// Edits near the token at which something is wrong.
pub(super) fn around(source: &Source<'_>, schema: &Schema, at: usize) -> Vec<Edit> {
    let mut edits = quotes(source);
    edits.extend(brackets(source));
    edits.extend(commas(source));
    edits.extend(doubled(source));
    edits.extend(misspelt(source, schema, at));
    edits.extend(order(source));
    edits.extend(missing(source, schema, at));
    edits.extend(extra(source, at));
    edits
}

/// Words that are nearly keywords, from a little before the place of the error on.
fn misspelt(source: &Source<'_>, schema: &Schema, at: usize) -> Vec<Edit> {
    let mut edits = Vec::new();
    let first = at.saturating_sub(4);
    let near = (first..=at.min(source.tokens.len().saturating_sub(1))).chain(std::iter::once(0));
    for place in near {
        let Some(token) = source
            .tokens
            .get(place)
            .filter(|token| token.kind == Lexeme::Word)
        else {
            continue;
        };
        let is_member = place
            .checked_sub(1)
            .is_some_and(|before| source.tokens[before].is("."));
        let is_qualifier = source
            .tokens
            .get(place + 1)
            .is_some_and(|next| next.is("."));
        if KEYWORDS.contains(&token.text.as_str()) || is_member || is_qualifier {
            continue;
        }
        let most = if token.text.len() >= 5 { 2 } else { 1 };
        for keyword in KEYWORDS {
            let Some(steps) = distance(&token.text, keyword, most).filter(|_| token.text.len() > 1)
            else {
                continue;
            };
            let is_name = is_known(schema, source.text(token));
            let cost = 2
                + 3 * steps as u32
                + if is_name { 20 } else { 0 }
                + if place == at { 0 } else { 1 };
            let reason = format!("{keyword} instead of {}", source.text(token));
            edits.push(source.replace_token(place, &source.keyword(keyword), cost, reason));
        }
        // `ORDERBY` and `GROUPBY`.
        for (joined, apart) in [
            ("ORDERBY", "ORDER BY"),
            ("GROUPBY", "GROUP BY"),
            ("INSERTINTO", "INSERT INTO"),
            ("LEFTJOIN", "LEFT JOIN"),
        ] {
            if token.text == joined {
                edits.push(source.replace_token(
                    place,
                    &source.keyword(apart),
                    4,
                    format!("{apart} in two words"),
                ));
            }
        }
    }
    edits
}

fn is_known(schema: &Schema, name: &str) -> bool {
    schema.tables.iter().any(|table| {
        table.name.eq_ignore_ascii_case(name)
            || table
                .columns
                .iter()
                .any(|column| column.name.eq_ignore_ascii_case(name))
    })
}

/// Clauses in the order that SQL wants.
fn order(source: &Source<'_>) -> Vec<Edit> {
    let Some(first) = source.tokens.iter().position(|token| token.is("SELECT")) else {
        return Vec::new();
    };
    let siblings = source.siblings(first);
    let set = ["UNION", "EXCEPT", "INTERSECT", ";"];
    let end = siblings
        .iter()
        .copied()
        .filter(|at| *at > first)
        .find(|at| source.tokens[*at].is_any(&set));
    let starts: Vec<usize> = siblings
        .iter()
        .copied()
        .filter(|at| *at >= first && end.is_none_or(|end| *at < end))
        .filter(|at| source.tokens[*at].is_any(&CLAUSES))
        .collect();
    let last = siblings
        .iter()
        .copied()
        .rfind(|at| end.is_none_or(|end| *at < end))
        .unwrap_or(first);
    let stop = source.tokens[last].span.end;
    let bounds = starts.iter().enumerate().map(|(at, start)| {
        let from = source.tokens[*start].span.start;
        let to = starts
            .get(at + 1)
            .map_or(stop, |next| source.tokens[*next].span.start);
        let rank = CLAUSES
            .iter()
            .position(|clause| source.tokens[*start].is(clause))
            .unwrap_or(0);
        (rank, source.sql[from..to].trim_end())
    });
    let mut clauses: Vec<(usize, &str)> = bounds.collect();
    let is_sorted = clauses.windows(2).all(|pair| pair[0].0 <= pair[1].0);
    let mut ranks: Vec<usize> = clauses.iter().map(|(rank, _)| *rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    if is_sorted || ranks.len() != clauses.len() {
        return Vec::new();
    }
    clauses.sort_by_key(|(rank, _)| *rank);
    let text: Vec<&str> = clauses.into_iter().map(|(_, text)| text).collect();
    let start = source.tokens[first].span.start;
    vec![source.replace(
        start,
        stop,
        &text.join(" "),
        8,
        "the clauses are put in order",
    )]
}

/// A token that has no business there.
fn extra(source: &Source<'_>, at: usize) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (place, cost) in [(at, 20), (at.saturating_sub(1), 22)] {
        if let Some(token) = source.tokens.get(place).filter(|_| source.tokens.len() > 1) {
            let reason = format!("{} is removed", source.text(token));
            edits.push(source.remove(place, cost, reason));
        }
    }
    edits
}
