//! Repairs of names that cannot be.

use crate::sql::lexer::Lexeme;
use crate::sql::names::{is_reserved, written};
use crate::sql::resolve::{Problem, ProblemKind};
use crate::sql::{Schema, Table};

use super::text::{Edit, Source};

/// Edits for a name that cannot be, besides one that is like it.
pub(super) fn of_problem(source: &Source<'_>, schema: &Schema, problem: &Problem) -> Vec<Edit> {
    let mut edits = Vec::new();
    let at = source.token_at(problem.span.start.line, problem.span.start.column);
    let Some(token) = source.tokens.get(at) else {
        return edits;
    };
    match &problem.kind {
        ProblemKind::Ambiguous { tables } => {
            for (place, table) in tables.iter().enumerate() {
                let table = written(schema.dialect, table);
                let text = format!("{table}.{}", source.text(token));
                let reason = format!("{} of {table}", problem.name);
                edits.extend(source.replace_span(problem.span, &text, 10 + place as u32, reason));
            }
        }
        ProblemKind::UnknownColumn {
            qualifier,
            elsewhere,
        } => {
            if token.kind == Lexeme::Quoted
                && source.text(token).starts_with('"')
                && qualifier.is_none()
            {
                let text = format!("'{}'", token.text.replace('\'', "''"));
                edits.push(source.replace_token(
                    at,
                    &text,
                    5,
                    format!("{text} as text, not as a name"),
                ));
            }
            for table in elsewhere.iter().filter(|_| qualifier.is_none()) {
                edits.extend(bring_in(source, schema, table, at));
            }
            // `status = paid`: a word that follows a comparison may be text.
            let compares = at
                .checked_sub(1)
                .is_some_and(|before| source.tokens[before].is_any(&["=", "<>", "!="]));
            if token.kind == Lexeme::Word && compares && qualifier.is_none() && elsewhere.is_empty()
            {
                let text = format!("'{}'", source.text(token));
                let cost = if problem.nearest.is_empty() { 8 } else { 14 };
                edits.push(source.replace_token(
                    at,
                    &text,
                    cost,
                    format!("{text} as text, not as a name"),
                ));
            }
            // `SELECT a b`: an alias that was meant as a column is no problem here, but a comma before it was.
        }
        ProblemKind::NotInScope { alias: None } => {
            edits.extend(bring_in(source, schema, &problem.name, at));
        }
        _ => {}
    }
    edits
}

/// Adds a table that the statement uses without naming it: as its `FROM`, or joined along a foreign key.
fn bring_in(source: &Source<'_>, schema: &Schema, name: &str, at: usize) -> Vec<Edit> {
    let Some(table) = schema.table(name) else {
        return Vec::new();
    };
    let siblings = source.siblings(at);
    let is = |at: &usize, words: &[&str]| source.tokens[*at].is_any(words);
    let ends = [
        "WHERE",
        "GROUP",
        "ORDER",
        "HAVING",
        "LIMIT",
        "UNION",
        "EXCEPT",
        "INTERSECT",
        ";",
        "FETCH",
        "OFFSET",
        "FOR",
        ")",
    ];
    let from = siblings.iter().position(|at| is(at, &["FROM"]));
    let after = siblings
        .iter()
        .skip(from.unwrap_or(0))
        .find(|at| is(at, &ends))
        .copied();
    let here = written(schema.dialect, &table.name);
    let (added, cost, reason) = match from {
        None => {
            let from = source.keyword("FROM");
            (
                format!("{from} {here}"),
                9,
                format!("the missing FROM {here} is added"),
            )
        }
        Some(_) => {
            let Some(condition) = link(source, schema, table, &siblings) else {
                return Vec::new();
            };
            let (join, on) = (source.keyword("JOIN"), source.keyword("ON"));
            (
                format!("{join} {here} {on} {condition}"),
                12,
                format!("{here} is joined"),
            )
        }
    };
    let last = siblings.last().copied().unwrap_or(0);
    vec![match after {
        Some(after) => source.insert_before(after, &added, cost, reason),
        None => source.insert_after(last, &format!(" {added}"), cost, reason),
    }]
}

/// The condition that links a table to one that the statement has.
fn link(source: &Source<'_>, schema: &Schema, table: &Table, siblings: &[usize]) -> Option<String> {
    let from = siblings
        .iter()
        .position(|at| source.tokens[*at].is("FROM"))?;
    for place in siblings.iter().skip(from + 1) {
        let token = &source.tokens[*place];
        let Some(other) = schema.tables.iter().find(|other| {
            token.is_name() && other.name.eq_ignore_ascii_case(token.name(source.sql))
        }) else {
            continue;
        };
        let alias = source
            .tokens
            .get(place + 1)
            .filter(|next| next.is_name() && !is_reserved(&next.text));
        let alias = match source.tokens.get(place + 1).filter(|next| next.is("AS")) {
            Some(_) => source.tokens.get(place + 2),
            None => alias,
        };
        let known_as = alias.map_or(other.name.as_str(), |alias| alias.name(source.sql));
        if let Some(condition) = condition(schema, table, &table.name, other, known_as) {
            return Some(condition);
        }
    }
    None
}

/// `a.b_id = b.id` along a foreign key in either direction.
pub(super) fn condition(
    schema: &Schema,
    left: &Table,
    left_name: &str,
    right: &Table,
    right_name: &str,
) -> Option<String> {
    let points = |from: &Table, to: &Table| {
        let keys = from.foreign_keys.iter();
        let mut keys = keys.filter(|key| {
            schema
                .table(&key.table)
                .is_some_and(|target| std::ptr::eq(target, to))
        });
        keys.next()
            .map(|key| (key.columns.clone(), key.references.clone()))
    };
    let (columns, references, own, other) = match points(left, right) {
        Some((columns, references)) => (columns, references, left_name, right_name),
        None => {
            let (columns, references) = points(right, left)?;
            (columns, references, right_name, left_name)
        }
    };
    let side = |table: &str, column: &str| {
        format!(
            "{}.{}",
            written(schema.dialect, table),
            written(schema.dialect, column)
        )
    };
    let pairs = columns.iter().zip(&references);
    let parts: Vec<String> = pairs
        .map(|(a, b)| format!("{} = {}", side(own, a), side(other, b)))
        .collect();
    (!parts.is_empty()).then(|| parts.join(" AND "))
}
