//! What may be missing.

use crate::sql::Schema;
use crate::sql::fix::MOST_PLACES;
use crate::sql::fix::text::{Edit, Source};
use crate::sql::lexer::Lexeme;
use crate::sql::names::{distance, is_reserved};

/// What may be missing before the token at which the parser stops.
pub(super) fn missing(source: &Source<'_>, schema: &Schema, at: usize) -> Vec<Edit> {
    let mut edits = Vec::new();
    let before = at.checked_sub(1).map(|at| &source.tokens[at]);
    let token = source.tokens.get(at);
    for place in at.saturating_sub(1)..=at + 1 {
        let previous = place.checked_sub(1).and_then(|at| source.tokens.get(at));
        let grouped = previous.is_some_and(|token| token.is_any(&["GROUP", "ORDER", "PARTITION"]));
        if grouped
            && source
                .tokens
                .get(place)
                .is_some_and(|token| !token.is("BY"))
        {
            edits.push(source.insert_before(
                place,
                &source.keyword("BY"),
                4,
                "the missing BY is added",
            ));
        }
    }
    let is_value = |at: usize| {
        let token = &source.tokens[at];
        token.is_name() && !is_reserved(&token.text)
            || matches!(token.kind, Lexeme::Number | Lexeme::Text)
    };
    let clause = clause_before(source, at);
    // `a b c`: the second name may be an alias that was meant as a column, so both gaps are tried.
    for place in at.saturating_sub(1)..=at {
        let follows = place > 0
            && place < source.tokens.len()
            && is_value(place)
            && (is_value(place - 1) || source.tokens[place - 1].is_any(&[")", "*", "END"]));
        if !follows {
            continue;
        }
        let cost = if place == at { 9 } else { 10 };
        match clause.as_deref() {
            Some("WHERE" | "HAVING" | "ON") => {
                edits.push(source.insert_before(
                    place,
                    &source.keyword("AND"),
                    cost + 1,
                    "the missing AND is added",
                ));
                edits.push(source.insert_before(place, "=", cost + 3, "the missing = is added"));
                edits.push(source.insert_after(
                    place - 1,
                    ",",
                    cost + 4,
                    "the missing comma is added",
                ));
            }
            _ => {
                edits.push(source.insert_after(place - 1, ",", cost, "the missing comma is added"))
            }
        }
    }
    edits.extend(gaps(source, at, is_value).filter(|_| clause.as_deref() == Some("SELECT")));
    let opens_value =
        token.is_some_and(|token| token.is("(")) && before.is_some_and(|token| token.is(")"));
    if opens_value {
        edits.push(source.insert_after(at - 1, ",", 8, "the missing comma is added"));
    }
    edits.extend(missing_from(source, schema));
    if clause.as_deref() == Some("WHERE") && token.is_some_and(|token| token.is(",")) {
        edits.push(source.replace_token(
            at,
            &format!(" {}", source.keyword("AND")),
            8,
            "AND instead of a comma",
        ));
    }
    if let (Some(before), Some(_)) = (before, token)
        && before.is_any(&["INSERT"])
    {
        edits.push(source.insert_before(
            at,
            &source.keyword("INTO"),
            6,
            "the missing INTO is added",
        ));
    }
    if let Some(before) = before
        && before.is("IN")
    {
        edits.extend(in_list(source, at));
    }
    edits
}

/// Commas in all gaps of three values or more in a row.
fn gaps(source: &Source<'_>, at: usize, is_value: impl Fn(usize) -> bool) -> Option<Edit> {
    let count = source.tokens.len();
    let start = (0..at.min(count))
        .rev()
        .take_while(|at| is_value(*at))
        .last()?;
    let end = (start..count).take_while(|at| is_value(*at)).last()?;
    if end < start + 2 {
        return None;
    }
    let mut sql = source.sql.to_owned();
    for place in (start..end).rev() {
        sql.insert(source.tokens[place].span.end, ',');
    }
    Some(Edit {
        cost: 8,
        reason: "the missing commas are added".to_owned(),
        sql,
    })
}

/// `IN 1, 2` wants brackets.
fn in_list(source: &Source<'_>, at: usize) -> Option<Edit> {
    let is_item = |at: usize| {
        let token = source.tokens.get(at)?;
        (matches!(token.kind, Lexeme::Number | Lexeme::Text) || token.is(",")).then_some(())
    };
    let mut end = at;
    while is_item(end).is_some() {
        end += 1;
    }
    let last = end.checked_sub(1).filter(|last| *last >= at)?;
    let (start, stop) = (source.tokens[at].span.start, source.tokens[last].span.end);
    let list = format!("({})", &source.sql[start..stop]);
    Some(source.replace(start, stop, &list, 7, "brackets are put around the list"))
}

/// The clause that a token is in.
fn clause_before(source: &Source<'_>, at: usize) -> Option<String> {
    let depths = source.depths();
    let depth = depths.get(at).or(depths.last()).copied()?;
    let words = [
        "SELECT",
        "FROM",
        "WHERE",
        "BY",
        "HAVING",
        "ON",
        "SET",
        "VALUES",
        "INTO",
        "LIMIT",
        "RETURNING",
    ];
    let mut before = (0..at.min(source.tokens.len())).rev();
    let found = before.find(|at| depths[*at] <= depth && source.tokens[*at].is_any(&words))?;
    Some(source.tokens[found].text.clone())
}

/// `SELECT a users WHERE …` and `DELETE users`.
pub(in crate::sql::fix) fn missing_from(source: &Source<'_>, schema: &Schema) -> Vec<Edit> {
    let Some(first) = source.tokens.first() else {
        return Vec::new();
    };
    if !first.is_any(&["SELECT", "DELETE"]) {
        return Vec::new();
    }
    let siblings = source.siblings(0);
    let is_from = |at: &usize| {
        let token = &source.tokens[*at];
        token.kind == Lexeme::Word && distance(&token.text, "FROM", 2).is_some()
    };
    if siblings.iter().any(is_from) {
        return Vec::new();
    }
    let tables = siblings.into_iter().filter(|at| {
        let token = &source.tokens[*at];
        let follows_comma = at
            .checked_sub(1)
            .is_none_or(|before| source.tokens[before].is_any(&[",", "."]));
        let is_qualifier = source.tokens.get(at + 1).is_some_and(|next| next.is("."));
        let name = token.name(source.sql);
        let known = schema
            .tables
            .iter()
            .any(|table| table.name.eq_ignore_ascii_case(name));
        token.is_name() && known && !follows_comma && !is_qualifier && *at > 0
    });
    tables
        .take(MOST_PLACES)
        .map(|at| source.insert_before(at, &source.keyword("FROM"), 6, "the missing FROM is added"))
        .collect()
}
