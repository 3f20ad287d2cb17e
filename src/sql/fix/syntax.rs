//! Repairs of what the parser stumbles over, and of names that are no names.

use crate::sql::lexer::{Lexeme, is_open};
use crate::sql::names::{distance, is_reserved, written};
use crate::sql::resolve::{Problem, ProblemKind};
use crate::sql::{Schema, SqlError, Table};

use super::text::{Edit, Source};

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

/// Quotes that do not close.
fn quotes(source: &Source<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    let open = source
        .tokens
        .last()
        .filter(|token| is_open(token, source.sql));
    let Some(token) = open else { return edits };
    let text = source.text(token);
    let quote = text.chars().next().unwrap_or('\'');
    let close = if quote == '[' { ']' } else { quote };
    let reason = format!("the missing {close} is added");
    // It may end after its first word, before the next clause, at the line's end, or at the end.
    let mut ends: Vec<(usize, u32)> = Vec::new();
    let inner = &text[quote.len_utf8()..];
    let base = token.span.start + quote.len_utf8();
    let word = inner.find(|c: char| c.is_whitespace() || matches!(c, ')' | ',' | ';'));
    ends.extend(word.filter(|at| *at > 0).map(|at| (base + at, 11)));
    let upper = inner.to_ascii_uppercase();
    let clause = CLAUSES
        .iter()
        .chain(&["AND", "OR"])
        .filter_map(|clause| upper.find(&format!(" {clause} ")));
    ends.extend(
        clause
            .min()
            .filter(|_| upper.len() == inner.len())
            .map(|at| (base + at, 10)),
    );
    ends.extend(
        inner
            .find('\n')
            .map(|at| (base + inner[..at].trim_end().len(), 12)),
    );
    let whole = inner.trim_end_matches([';', ' ', '\n', '\t', ')']).len();
    ends.push((base + whole, 13));
    for (end, cost) in ends {
        edits.push(source.replace(end, end, &close.to_string(), cost, reason.clone()));
    }
    // Or the quote itself is too much.
    edits.push(source.replace(
        token.span.start,
        base,
        "",
        18,
        format!("the lone {quote} is removed"),
    ));
    edits
}

fn brackets(source: &Source<'_>) -> Vec<Edit> {
    let mut open: Vec<usize> = Vec::new();
    let mut edits = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        if token.is("(") {
            open.push(at);
        } else if token.is(")") && open.pop().is_none() {
            edits.push(source.remove(at, 10, "the ) without ( is removed"));
        }
    }
    let Some(&last) = open.last() else {
        return edits;
    };
    let reason = "the missing ) is added";
    let depths = source.depths();
    for (at, token) in source.tokens.iter().enumerate().skip(last + 1) {
        let ends = token.is_any(&[
            "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "AS", "JOIN", "AND", "OR", ";",
            ",", "UNION",
        ]);
        if ends && depths[at] == depths[last] + 1 && at > last + 1 {
            let cost = if token.is_any(&[",", "AND", "OR"]) {
                13
            } else {
                10
            };
            edits.push(source.insert_after(at - 1, ")", cost, reason));
        }
    }
    edits.push(source.append(")", 11, reason));
    edits.push(source.remove(last, 16, "the ( without ) is removed"));
    edits
}

/// Commas with nothing after them.
fn commas(source: &Source<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (at, token) in source
        .tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.is(","))
    {
        let next = source.tokens.get(at + 1);
        let is_last = next.is_none_or(|next| {
            next.is_any(&[
                ")",
                ";",
                "FROM",
                "WHERE",
                "GROUP",
                "ORDER",
                "HAVING",
                "LIMIT",
                "VALUES",
                "UNION",
                "SET",
                "RETURNING",
                "JOIN",
            ])
        });
        let is_first = at.checked_sub(1).is_some_and(|before| {
            source.tokens[before].is_any(&["SELECT", "(", "BY", "FROM", "SET", ","])
        });
        if is_last || is_first {
            let span = &token.span;
            let start = source.sql[..span.start].trim_end().len();
            edits.push(source.replace(start, span.end, "", 3, "a comma too many is removed"));
        }
    }
    edits
}

/// Words that stand twice, and `AND` without a condition.
fn doubled(source: &Source<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for at in 1..source.tokens.len() {
        let (before, token) = (&source.tokens[at - 1], &source.tokens[at]);
        let is_word = token.kind == Lexeme::Word && KEYWORDS.contains(&token.text.as_str());
        if is_word && before.is(&token.text) {
            edits.push(source.remove(at, 4, format!("the second {} is removed", token.text)));
        }
        if token.is_any(&["AND", "OR"])
            && before.is_any(&["WHERE", "ON", "HAVING", "AND", "OR", "("])
        {
            edits.push(source.remove(
                at,
                5,
                format!("{} without a condition before it is removed", token.text),
            ));
        }
        let next = source.tokens.get(at + 1);
        let ends =
            next.is_none_or(|next| next.is_any(&["GROUP", "ORDER", "HAVING", "LIMIT", ")", ";"]));
        if ends && token.is_any(&["AND", "OR", "WHERE"]) {
            edits.push(source.remove(
                at,
                5,
                format!("{} without a condition after it is removed", token.text),
            ));
        }
    }
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

/// What may be missing before the token at which the parser stops.
fn missing(source: &Source<'_>, schema: &Schema, at: usize) -> Vec<Edit> {
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
pub(super) fn missing_from(source: &Source<'_>, schema: &Schema) -> Vec<Edit> {
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
        .map(|at| source.insert_before(at, &source.keyword("FROM"), 6, "the missing FROM is added"))
        .collect()
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
