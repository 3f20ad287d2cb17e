//! The tables whose columns can be named at the cursor, read from tokens so that the statement need not parse.

use crate::sql::{Schema, Table};

use crate::sql::lexer::{Lexeme, Token};

/// Words that end a table in `FROM`, so that they are no alias.
const NO_ALIAS: &str = " ON USING WHERE GROUP ORDER HAVING LIMIT OFFSET FETCH UNION EXCEPT INTERSECT MINUS JOIN \
    INNER LEFT RIGHT FULL CROSS NATURAL OUTER STRAIGHT_JOIN LATERAL SET VALUES SELECT FROM FOR WINDOW QUALIFY \
    RETURNING AS WHEN DEFAULT INTO TABLESAMPLE AND OR ASOF ";
/// Queries within queries, at most.
const DEPTH: usize = 8;
/// Tables of one query and results of one `WITH`, at most; what comes after them is not offered.
const MOST_RELATIONS: usize = 100;
/// Columns of a query's result, at most: `SELECT * FROM a, a` doubles them at every step.
const MOST_NAMES: usize = 1000;

/// Something with columns.
#[derive(Clone, Debug)]
pub(super) struct Relation<'a> {
    /// What its columns are qualified with.
    pub(super) name: String,
    /// The table, if it is one of the schema.
    pub(super) table: Option<&'a Table>,
    /// Names of its columns.
    pub(super) columns: Vec<String>,
    /// How far out it stands: 0 in the query at the cursor, 1 in the one around it.
    pub(super) distance: usize,
}

/// A named result of `WITH`.
#[derive(Clone, Debug)]
pub(super) struct Cte {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
}

/// What a reader needs to know of the text.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) source: &'a str,
    /// Of one statement, comments apart.
    pub(super) tokens: &'a [Token],
    pub(super) schema: &'a Schema,
}

/// What can be named at the cursor.
#[derive(Clone, Debug, Default)]
pub(super) struct Names<'a> {
    pub(super) relations: Vec<Relation<'a>>,
    pub(super) ctes: Vec<Cte>,
}

impl<'a> Names<'a> {
    /// Those visible before the token at `cursor`.
    pub(super) fn at(text: Text<'a>, cursor: usize) -> Names<'a> {
        let mut names = Names::default();
        let groups = groups_around(text.tokens, cursor);
        // From the outermost inwards, since inner queries see the named results of outer ones.
        for &(start, end) in &groups {
            names.ctes.extend(ctes(text, start, end, &names.ctes, 0));
        }
        let queries = groups
            .iter()
            .rev()
            .filter(|(start, end)| has_query(text.tokens, *start, *end));
        for (distance, &(start, end)) in queries.enumerate() {
            let (start, end) = part_around(text.tokens, start, end, cursor);
            for mut relation in relations(text, start, end, &names.ctes, 0) {
                relation.distance = distance;
                names.relations.push(relation);
            }
        }
        names
    }
}

/// The brackets around a token, as ranges of tokens within them; the whole statement first.
fn groups_around(tokens: &[Token], cursor: usize) -> Vec<(usize, usize)> {
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate().take(cursor) {
        if token.is("(") {
            open.push(at + 1);
        } else if token.is(")") {
            open.pop();
        }
    }
    let mut groups = vec![(0, tokens.len())];
    groups.extend(
        open.into_iter()
            .map(|start| (start, closing(tokens, start))),
    );
    groups
}

/// The bracket that closes what starts at `start`, or the end.
pub(super) fn closing(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return at,
            }
        }
    }
    tokens.len()
}

/// Tokens of a range outside its inner brackets.
fn outer(tokens: &[Token], start: usize, end: usize) -> impl Iterator<Item = (usize, &Token)> {
    let mut depth = 0_usize;
    let range = tokens.iter().enumerate().take(end).skip(start);
    range.filter(move |(_, token)| {
        if token.is("(") {
            depth += 1;
            return depth == 1;
        }
        if token.is(")") {
            depth = depth.saturating_sub(1);
            return depth == 0;
        }
        depth == 0
    })
}

fn has_query(tokens: &[Token], start: usize, end: usize) -> bool {
    let verbs = ["SELECT", "UPDATE", "DELETE", "INSERT", "MERGE", "FROM"];
    outer(tokens, start, end).any(|(_, token)| token.is_any(&verbs))
}

/// The part of set operations that the cursor is in.
fn part_around(tokens: &[Token], start: usize, end: usize, cursor: usize) -> (usize, usize) {
    let (mut from, mut to) = (start, end);
    for (at, token) in outer(tokens, start, end) {
        if token.is_any(&["UNION", "EXCEPT", "INTERSECT", "MINUS"]) {
            if at < cursor {
                from = at + 1;
            } else {
                to = to.min(at);
            }
        }
    }
    (from, to)
}

/// The tables of a query's own `FROM`, joins, `UPDATE`, `INTO` and `USING`.
fn relations<'a>(
    text: Text<'a>,
    start: usize,
    end: usize,
    ctes: &[Cte],
    depth: usize,
) -> Vec<Relation<'a>> {
    let mut found = Vec::new();
    let mut expects = false;
    let mut in_from = false;
    let mut skip_to = start;
    let mut before: Option<&Token> = None;
    for (at, token) in outer(text.tokens, start, end) {
        if found.len() == MOST_RELATIONS {
            break;
        }
        if at >= skip_to {
            let starts =
                token.is_any(&["FROM", "JOIN", "UPDATE", "INTO", "STRAIGHT_JOIN", "APPLY"])
                    || (token.is("USING")
                        && text.tokens.get(at + 1).is_some_and(|next| next.is_name()));
            // `EXTRACT(YEAR FROM x)` is inside brackets and not seen; `DO UPDATE` and `FOR UPDATE` name nothing.
            let is_other = token.is("UPDATE")
                && before.is_some_and(|b| b.is_any(&["DO", "FOR", "ON", "THEN", "KEY"]));
            if starts && !is_other {
                (expects, in_from) = (true, token.is_any(&["FROM", "USING"]) || in_from);
            } else if token.is(",") && in_from {
                expects = true;
            } else if token.is_any(&["LATERAL", "ONLY", "AS"]) && expects {
                // They stand before the table.
            } else if expects && (token.is_name() || token.is("(")) {
                let (relation, next) = relation(text, at, end, ctes, depth);
                found.extend(relation);
                (expects, skip_to) = (false, next);
            } else if token.is_any(&[
                "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "SET", "SELECT", "VALUES", "WINDOW",
            ]) {
                (expects, in_from) = (false, false);
            }
        }
        before = Some(token);
    }
    found
}

/// The table at a token, and where what follows it starts.
fn relation<'a>(
    text: Text<'a>,
    at: usize,
    end: usize,
    ctes: &[Cte],
    depth: usize,
) -> (Option<Relation<'a>>, usize) {
    let tokens = text.tokens;
    let (table, columns, own_name, next) = if tokens[at].is("(") {
        let close = closing(tokens, at + 1);
        let columns = query_columns(text, at + 1, close, ctes, depth + 1);
        (None, columns, None, close + 1)
    } else {
        let (parts, next) = name_at(text, at, end);
        let is_reserved = tokens[at].kind == Lexeme::Word && is_clause(&tokens[at].text);
        if is_reserved
            || next < end && tokens[next].is("(") && parts.len() == 1 && !follows_into(tokens, at)
        {
            // A function, or no table at all.
            let next = if next < end && tokens[next].is("(") {
                closing(tokens, next + 1) + 1
            } else {
                at + 1
            };
            let (alias, next) = alias(text, next, end);
            let relation = alias.map(|name| Relation {
                name,
                table: None,
                columns: Vec::new(),
                distance: 0,
            });
            return (relation.filter(|_| !is_reserved), next);
        }
        let (table, columns) = named(text.schema, &parts, ctes);
        (table, columns, parts.last().cloned(), next)
    };
    let (alias, next) = alias(text, next, end);
    let name = alias.or(own_name);
    let relation = name.map(|name| Relation {
        name,
        table,
        columns,
        distance: 0,
    });
    (relation, next)
}

/// `INSERT INTO t (` is no function.
fn follows_into(tokens: &[Token], at: usize) -> bool {
    at.checked_sub(1)
        .is_some_and(|before| tokens[before].is("INTO"))
}

fn is_clause(word: &str) -> bool {
    NO_ALIAS.contains(&format!(" {word} "))
}

/// The parts of `a.b.c`, and where it ends.
fn name_at(text: Text<'_>, at: usize, end: usize) -> (Vec<String>, usize) {
    let mut parts = vec![text.tokens[at].name(text.source).to_owned()];
    let mut next = at + 1;
    while next + 1 < end && text.tokens[next].is(".") && text.tokens[next + 1].is_name() {
        parts.push(text.tokens[next + 1].name(text.source).to_owned());
        next += 2;
    }
    (parts, next)
}

fn alias(text: Text<'_>, at: usize, end: usize) -> (Option<String>, usize) {
    let token = |at: usize| text.tokens.get(at).filter(|_| at < end);
    let at = if token(at).is_some_and(|t| t.is("AS")) {
        at + 1
    } else {
        at
    };
    match token(at) {
        Some(name)
            if name.kind == Lexeme::Quoted
                || (name.kind == Lexeme::Word && !is_clause(&name.text)) =>
        {
            (Some(name.name(text.source).to_owned()), at + 1)
        }
        _ => (None, at),
    }
}

fn named<'a>(
    schema: &'a Schema,
    parts: &[String],
    ctes: &[Cte],
) -> (Option<&'a Table>, Vec<String>) {
    if let [only] = parts
        && let Some(cte) = ctes
            .iter()
            .rev()
            .find(|cte| cte.name.eq_ignore_ascii_case(only))
    {
        return (None, cte.columns.clone());
    }
    let table = find_table(schema, parts);
    let columns = table.iter().flat_map(|table| &table.columns);
    (table, columns.map(|column| column.name.clone()).collect())
}

/// The table of a name as it is typed, in any case.
pub(super) fn find_table<'a>(schema: &'a Schema, parts: &[String]) -> Option<&'a Table> {
    let whole = parts.join(".");
    let last = parts.last()?;
    let same = |table: &&Table| table.name.eq_ignore_ascii_case(last);
    let exact = schema.table(&whole);
    exact.or_else(|| {
        let mut tables = schema.tables.iter().filter(same);
        let first = tables.next()?;
        let namespace = parts.len().checked_sub(2).map(|at| &parts[at]);
        let fits = |table: &Table| {
            let own = table.namespace.as_deref();
            namespace.is_none_or(|wanted| own.is_none_or(|own| own.eq_ignore_ascii_case(wanted)))
        };
        std::iter::once(first)
            .chain(tables)
            .find(|table| fits(table))
    })
}

/// The results that a `WITH` at the start of a range builds.
fn ctes(text: Text<'_>, start: usize, end: usize, outer_ctes: &[Cte], depth: usize) -> Vec<Cte> {
    let tokens = text.tokens;
    let mut found: Vec<Cte> = Vec::new();
    if depth > DEPTH || !tokens.get(start).is_some_and(|token| token.is("WITH")) {
        return found;
    }
    let mut at = start + 1;
    while at < end && found.len() < MOST_RELATIONS {
        let token = &tokens[at];
        if token.is("RECURSIVE") || token.is(",") {
            at += 1;
            continue;
        }
        if !token.is_name() || token.is_any(&["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"]) {
            break;
        }
        let name = token.name(text.source).to_owned();
        at += 1;
        let mut columns = Vec::new();
        if tokens.get(at).is_some_and(|token| token.is("(")) {
            let close = closing(tokens, at + 1).min(end);
            let names = tokens[at + 1..close].iter().filter(|token| token.is_name());
            columns.extend(names.map(|token| token.name(text.source).to_owned()));
            at = close + 1;
        }
        while at < end && tokens[at].is_any(&["AS", "NOT", "MATERIALIZED"]) {
            at += 1;
        }
        if !tokens.get(at).is_some_and(|token| token.is("(")) {
            break;
        }
        let close = closing(tokens, at + 1);
        if columns.is_empty() {
            let known: Vec<Cte> = outer_ctes.iter().chain(&found).cloned().collect();
            columns = query_columns(text, at + 1, close, &known, depth + 1);
        }
        found.push(Cte { name, columns });
        at = close + 1;
    }
    found
}

/// The names of the columns that a query gives.
fn query_columns(
    text: Text<'_>,
    start: usize,
    end: usize,
    known: &[Cte],
    depth: usize,
) -> Vec<String> {
    if depth > DEPTH {
        return Vec::new();
    }
    let mut known = known.to_vec();
    known.extend(ctes(text, start, end, &known, depth));
    let Some(select) = outer(text.tokens, start, end)
        .find(|(_, t)| t.is("SELECT"))
        .map(|(at, _)| at)
    else {
        return Vec::new();
    };
    let set = ["UNION", "EXCEPT", "INTERSECT", "MINUS"];
    let part_end = outer(text.tokens, select, end)
        .find(|(_, t)| t.is_any(&set))
        .map_or(end, |(at, _)| at);
    let list_end = outer(text.tokens, select, part_end)
        .find(|(_, t)| t.is_any(&["FROM", "WHERE", "ORDER", "LIMIT", "GROUP"]))
        .map_or(part_end, |(at, _)| at);
    let from = relations(text, select, part_end, &known, depth);
    let mut columns = Vec::new();
    let mut item: Vec<&Token> = Vec::new();
    for (_, token) in outer(text.tokens, select + 1, list_end) {
        if columns.len() >= MOST_NAMES {
            break;
        } else if token.is(",") {
            columns.extend(item_names(text, &item, &from));
            item.clear();
        } else {
            item.push(token);
        }
    }
    columns.extend(item_names(text, &item, &from));
    columns.truncate(MOST_NAMES);
    columns
}

fn item_names(text: Text<'_>, item: &[&Token], from: &[Relation<'_>]) -> Vec<String> {
    let all = |wanted: Option<&str>| {
        let is_wanted = |relation: &&Relation<'_>| {
            wanted.is_none_or(|wanted| relation.name.eq_ignore_ascii_case(wanted))
        };
        let columns = from.iter().filter(is_wanted).flat_map(|r| &r.columns);
        columns.take(MOST_NAMES).cloned().collect()
    };
    match item {
        [only] if only.is("*") => all(None),
        [table, dot, star] if dot.is(".") && star.is("*") => all(Some(table.name(text.source))),
        [.., last] if last.is_name() && !last.is("END") => vec![last.name(text.source).to_owned()],
        _ => Vec::new(),
    }
}
