//! Quotes and brackets that do not close, and commas and words too many.

use super::{CLAUSES, KEYWORDS};
use crate::sql::fix::MOST_PLACES;
use crate::sql::fix::text::{Edit, Source};
use crate::sql::lexer::{Lexeme, is_open};

/// Quotes that do not close.
pub(super) fn quotes(source: &Source<'_>) -> Vec<Edit> {
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

pub(super) fn brackets(source: &Source<'_>) -> Vec<Edit> {
    let mut open: Vec<usize> = Vec::new();
    let mut edits = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        if token.is("(") {
            open.push(at);
        } else if token.is(")") && open.pop().is_none() && edits.len() < MOST_PLACES {
            edits.push(source.remove(at, 10, "the ) without ( is removed"));
        }
    }
    let Some(&last) = open.last() else {
        return edits;
    };
    let reason = "the missing ) is added";
    let depths = source.depths();
    let mut ends: Vec<(u32, usize)> = Vec::new();
    for (at, token) in source.tokens.iter().enumerate().skip(last + 1) {
        let is_end = token.is_any(&[
            "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "AS", "JOIN", "AND", "OR", ";",
            ",", "UNION",
        ]);
        if is_end && depths[at] == depths[last] + 1 && at > last + 1 {
            let cost = if token.is_any(&[",", "AND", "OR"]) {
                13
            } else {
                10
            };
            ends.push((cost, at));
        }
    }
    // Clauses go before commas.
    ends.sort_unstable();
    for (cost, at) in ends.into_iter().take(MOST_PLACES) {
        edits.push(source.insert_after(at - 1, ")", cost, reason));
    }
    edits.push(source.append(")", 11, reason));
    edits.push(source.remove(last, 16, "the ( without ) is removed"));
    edits
}

/// Commas with nothing after them.
pub(super) fn commas(source: &Source<'_>) -> Vec<Edit> {
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
        if (is_last || is_first) && edits.len() < MOST_PLACES {
            let span = &token.span;
            let start = source.sql[..span.start].trim_end().len();
            edits.push(source.replace(start, span.end, "", 3, "a comma too many is removed"));
        }
    }
    edits
}

/// Words that stand twice, and `AND` without a condition.
pub(super) fn doubled(source: &Source<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for at in 1..source.tokens.len() {
        if edits.len() >= MOST_PLACES {
            break;
        }
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
