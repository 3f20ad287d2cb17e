//! What sort of thing can stand at a token.

use super::relations::Text;
use crate::sql::lexer::{Lexeme, Token};

/// What can stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Numbers and new names: nothing to say.
    Nothing,
    /// Only these words.
    Words(&'static [&'static str]),
    /// What follows `a.b.`.
    Member(Vec<String>),
    /// A table.
    Table {
        /// Whether it is joined to others.
        after_join: bool,
    },
    /// What follows a table.
    AfterTable {
        phrases: &'static [&'static str],
        may_join: bool,
    },
    /// The start of an expression.
    Operand {
        clause: Clause,
        /// The column on the other side of a comparison.
        compared: Option<Vec<String>>,
        /// Whether a subquery can start here.
        may_select: bool,
    },
    /// What follows an expression.
    Operator(&'static [&'static str]),
    /// A name in `INSERT INTO t (…`.
    InsertColumns {
        table: Vec<String>,
        taken: Vec<String>,
    },
    /// A name in `USING (…`.
    UsingColumns,
}

/// Where an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    Select,
    Where,
    On,
    Group,
    Having,
    Order,
    Values,
    /// A column that gets a value.
    Set,
    /// The value that it gets.
    Assigned,
    Returning,
}

const START: &[&str] = &[
    "SELECT",
    "WITH",
    "INSERT INTO",
    "UPDATE",
    "DELETE FROM",
    "CREATE TABLE",
    "CREATE INDEX",
    "CREATE VIEW",
    "ALTER TABLE",
    "DROP TABLE",
    "EXPLAIN",
    "MERGE INTO",
    "TRUNCATE TABLE",
];
const AFTER_SELECT: &[&str] = &["FROM", "AS", ",", "OVER (", "+", "-", "*", "/", "||"];
const AFTER_WHERE: &[&str] = &[
    "AND",
    "OR",
    "=",
    "<>",
    "<",
    ">",
    "<=",
    ">=",
    "IS NULL",
    "IS NOT NULL",
    "IN (",
    "LIKE",
    "ILIKE",
    "BETWEEN",
    "NOT IN (",
    "NOT LIKE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "RETURNING",
    "UNION",
    "UNION ALL",
    "EXCEPT",
    "INTERSECT",
];
const AFTER_ON: &[&str] = &[
    "=",
    "AND",
    "OR",
    "WHERE",
    "JOIN",
    "LEFT JOIN",
    "INNER JOIN",
    "RIGHT JOIN",
    "FULL JOIN",
    "CROSS JOIN",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "<",
    ">",
    "IS NULL",
];
const AFTER_FROM: &[&str] = &[
    "WHERE",
    "JOIN",
    "LEFT JOIN",
    "INNER JOIN",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "RIGHT JOIN",
    "FULL JOIN",
    "CROSS JOIN",
    "AS",
    "UNION",
    "UNION ALL",
    "EXCEPT",
    "INTERSECT",
    "NATURAL JOIN",
    "FOR UPDATE",
];

/// The place before the token at `cursor`.
pub(super) fn at(text: Text<'_>, cursor: usize) -> Place {
    let before = &text.tokens[..cursor];
    let Some(last) = before.last() else {
        return Place::Words(START);
    };
    if last.is(".") {
        return Place::Member(qualifier(text, before));
    }
    match words_after(last, before) {
        Some(place) => place,
        None => in_clause(text, before, last),
    }
}

fn qualifier(text: Text<'_>, before: &[Token]) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = before;
    while let [head @ .., name, dot] = rest {
        if !dot.is(".") || !name.is_name() {
            break;
        }
        parts.insert(0, name.name(text.source).to_owned());
        rest = head;
    }
    parts
}

/// Places that the last word alone decides.
fn words_after(last: &Token, before: &[Token]) -> Option<Place> {
    let earlier = before.len().checked_sub(2).map(|at| &before[at]);
    let words: &'static [&'static str] = match last.text.as_str() {
        _ if last.kind != Lexeme::Word => return None,
        "GROUP" | "ORDER" | "PARTITION" => &["BY"],
        "INNER" | "CROSS" | "NATURAL" => &["JOIN"],
        "LEFT" | "RIGHT" | "FULL" => &["JOIN", "OUTER JOIN"],
        "OUTER" => &["JOIN"],
        "INSERT" => &["INTO"],
        "DELETE" => &["FROM"],
        "IS" => &["NULL", "NOT NULL", "TRUE", "FALSE", "DISTINCT FROM"],
        "NULLS" => &["FIRST", "LAST"],
        "UNION" | "EXCEPT" | "INTERSECT" => &["SELECT", "ALL"],
        "ALL" if earlier.is_some_and(|t| t.is_any(&["UNION", "EXCEPT", "INTERSECT"])) => {
            &["SELECT"]
        }
        "CREATE" => &["TABLE", "INDEX", "UNIQUE INDEX", "VIEW", "TYPE", "FUNCTION"],
        "DROP" => &["TABLE", "INDEX", "VIEW", "COLUMN"],
        "ALTER" => &["TABLE", "COLUMN"],
        "FOR" => &["UPDATE", "SHARE"],
        "EXPLAIN" => &["SELECT", "ANALYZE"],
        "LIMIT" | "OFFSET" | "TOP" | "INTERVAL" => return Some(Place::Nothing),
        _ => return None,
    };
    Some(Place::Words(words))
}

/// The keyword that decides what the place is, and the brackets between it and the place.
struct Governor<'a> {
    keyword: &'a str,
    at: usize,
    /// The token before the innermost bracket, if the place is in brackets of the same query.
    bracket: Option<usize>,
}

const CLAUSES: [&str; 25] = [
    "SELECT",
    "FROM",
    "JOIN",
    "STRAIGHT_JOIN",
    "APPLY",
    "ON",
    "USING",
    "WHERE",
    "BY",
    "HAVING",
    "SET",
    "VALUES",
    "INTO",
    "UPDATE",
    "LIMIT",
    "OFFSET",
    "RETURNING",
    "WITH",
    "TABLE",
    "INDEX",
    "VIEW",
    "TRUNCATE",
    "QUALIFY",
    "UNION",
    "DISTINCT",
];

fn governor(before: &[Token]) -> Option<Governor<'_>> {
    let mut depth = 0_usize;
    let mut bracket = None;
    for (at, token) in before.iter().enumerate().rev() {
        if token.is(")") {
            depth += 1;
        } else if token.is("(") {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => bracket = bracket.or(Some(at)),
            }
        } else if depth == 0 && token.kind == Lexeme::Word {
            let known = CLAUSES.iter().find(|clause| token.is(clause));
            let is_distinct_from = token.is("DISTINCT") || follows_is_distinct(before, at);
            if let Some(keyword) = known.filter(|_| !is_distinct_from) {
                return Some(Governor {
                    keyword,
                    at,
                    bracket,
                });
            }
        }
    }
    None
}

/// The `FROM` of `IS DISTINCT FROM`.
fn follows_is_distinct(before: &[Token], at: usize) -> bool {
    let earlier = at.checked_sub(1).map(|at| &before[at]);
    before[at].is("FROM") && earlier.is_some_and(|token| token.is("DISTINCT"))
}

fn in_clause(text: Text<'_>, before: &[Token], last: &Token) -> Place {
    let Some(governor) = governor(before) else {
        return Place::Words(START);
    };
    let starts_bracket = last.is("(");
    let by = |word: &str| {
        governor
            .at
            .checked_sub(1)
            .is_some_and(|at| before[at].is(word))
    };
    match governor.keyword {
        "FROM" | "JOIN" | "STRAIGHT_JOIN" | "APPLY" => from(before, last, &governor),
        "INTO" => into(text, before, last, &governor),
        "UPDATE" if last.is("UPDATE") => Place::Table { after_join: false },
        "UPDATE" => Place::Words(&["SET", "AS"]),
        "USING" if starts_bracket || governor.bracket.is_some() => Place::UsingColumns,
        "USING" if last.is("USING") => Place::Table { after_join: false },
        "USING" => Place::Operator(AFTER_ON),
        "TABLE" | "TRUNCATE" | "VIEW" | "INDEX" => Place::Table { after_join: false },
        "LIMIT" => Place::Words(&["OFFSET"]),
        "OFFSET" => Place::Words(&["LIMIT", "ROWS"]),
        "WITH" if starts_bracket => {
            Place::Words(&["SELECT", "WITH", "INSERT INTO", "UPDATE", "DELETE FROM"])
        }
        "WITH" if last.is(")") => {
            Place::Words(&["SELECT", ",", "INSERT INTO", "UPDATE", "DELETE FROM"])
        }
        "WITH" if last.is("WITH") => Place::Words(&["RECURSIVE"]),
        "WITH" if last.is("AS") => Place::Words(&["("]),
        "WITH" => Place::Words(&["AS ("]),
        "SELECT" => expression(text, before, Clause::Select, AFTER_SELECT),
        "WHERE" => expression(text, before, Clause::Where, AFTER_WHERE),
        "ON" if by("INDEX") => Place::Table { after_join: false },
        "ON" => expression(text, before, Clause::On, AFTER_ON),
        "HAVING" | "QUALIFY" => expression(
            text,
            before,
            Clause::Having,
            &[
                "AND", "OR", "=", "<>", "<", ">", "<=", ">=", "ORDER BY", "LIMIT", "BETWEEN",
                "IN (",
            ],
        ),
        "BY" if by("GROUP") => expression(
            text,
            before,
            Clause::Group,
            &["HAVING", "ORDER BY", "LIMIT", ","],
        ),
        "BY" if by("PARTITION") => expression(text, before, Clause::Group, &["ORDER BY", ",", ")"]),
        "BY" => expression(
            text,
            before,
            Clause::Order,
            &[
                "DESC",
                "ASC",
                ",",
                "LIMIT",
                "NULLS LAST",
                "NULLS FIRST",
                "OFFSET",
            ],
        ),
        "SET" => set(text, before, last),
        "VALUES" if governor.bracket.is_some() => {
            expression(text, before, Clause::Values, &[",", ")"])
        }
        "VALUES" => Place::Words(&["(", "ON CONFLICT", "RETURNING", "ON DUPLICATE KEY UPDATE"]),
        "RETURNING" => expression(text, before, Clause::Returning, &["AS", ","]),
        _ => Place::Words(START),
    }
}

fn from(before: &[Token], last: &Token, governor: &Governor<'_>) -> Place {
    if last.is("(") {
        return Place::Words(&["SELECT", "WITH", "VALUES"]);
    }
    let after_join = governor.keyword != "FROM";
    if last.is_any(&[
        "FROM",
        "JOIN",
        "STRAIGHT_JOIN",
        "APPLY",
        ",",
        "LATERAL",
        "ONLY",
    ]) {
        return Place::Table { after_join };
    }
    if last.is("AS") {
        return Place::Nothing;
    }
    let is_delete = governor
        .at
        .checked_sub(1)
        .is_some_and(|at| before[at].is("DELETE"));
    let phrases: &[&str] = match (after_join, is_delete) {
        (true, _) => &["ON", "USING (", "AS"],
        (false, true) => &["WHERE", "USING", "RETURNING", "AS"],
        (false, false) => AFTER_FROM,
    };
    Place::AfterTable {
        phrases,
        may_join: !after_join && !is_delete,
    }
}

fn into(text: Text<'_>, before: &[Token], last: &Token, governor: &Governor<'_>) -> Place {
    if last.is("INTO") {
        return Place::Table { after_join: false };
    }
    let Some(bracket) = governor.bracket else {
        return Place::Words(match last.is(")") {
            true => &["VALUES", "SELECT"],
            false => &["(", "VALUES", "SELECT", "DEFAULT VALUES"],
        });
    };
    let names = |tokens: &[Token]| -> Vec<String> {
        let names = tokens.iter().filter(|token| token.is_name());
        names
            .map(|token| token.name(text.source).to_owned())
            .collect()
    };
    Place::InsertColumns {
        table: names(&before[governor.at + 1..bracket]),
        taken: names(&before[bracket + 1..]),
    }
}

fn set(text: Text<'_>, before: &[Token], last: &Token) -> Place {
    let in_value = before
        .iter()
        .rev()
        .take_while(|token| !token.is_any(&["SET", ","]))
        .any(|token| token.is("="));
    match (in_value, last.is_any(&["SET", ","])) {
        (false, true) => Place::Operand {
            clause: Clause::Set,
            compared: None,
            may_select: false,
        },
        (false, false) => Place::Words(&["="]),
        (true, _) => expression(
            text,
            before,
            Clause::Assigned,
            &[",", "WHERE", "FROM", "RETURNING", "+", "-", "*", "/"],
        ),
    }
}

/// An operand or what follows one.
fn expression(
    text: Text<'_>,
    before: &[Token],
    clause: Clause,
    after: &'static [&'static str],
) -> Place {
    let Some(last) = before.last() else {
        return Place::Nothing;
    };
    let operand_follows = [
        "SELECT",
        "DISTINCT",
        "WHERE",
        "ON",
        "HAVING",
        "QUALIFY",
        "BY",
        "AND",
        "OR",
        "NOT",
        "LIKE",
        "ILIKE",
        "BETWEEN",
        "THEN",
        "WHEN",
        "ELSE",
        "CASE",
        "RETURNING",
        "ALL",
        "(",
        ",",
        "=",
        "<",
        ">",
        "<=",
        ">=",
        "<>",
        "!=",
        "+",
        "-",
        "/",
        "%",
        "||",
        "<=>",
        "::",
    ];
    if last.is("AS") || last.is("::") {
        return Place::Nothing;
    }
    if last.is_any(&["IN", "EXISTS", "ANY", "OVER"]) {
        return Place::Words(&["("]);
    }
    let is_star = last.is("*")
        && before
            .len()
            .checked_sub(2)
            .is_some_and(|at| !before[at].is_any(&["SELECT", ",", ".", "DISTINCT", "(", "ALL"]));
    if last.is_any(&operand_follows) || is_star {
        let opener = before.len().checked_sub(2).map(|at| &before[at]);
        return Place::Operand {
            clause,
            compared: compared(text, before),
            may_select: last.is("(")
                && opener.is_some_and(|token| {
                    token.is_any(&[
                        "IN", "EXISTS", "ANY", "ALL", "=", "<", ">", "<=", ">=", "<>", "!=",
                        "WHERE", "AND", "OR", "(", ",", "SELECT",
                    ])
                }),
        };
    }
    if within_case(before) {
        return Place::Operator(&[
            "THEN", "ELSE", "END", "WHEN", "AND", "OR", "=", "<>", "<", ">", "IS NULL", "IN (",
            "LIKE",
        ]);
    }
    Place::Operator(after)
}

fn within_case(before: &[Token]) -> bool {
    let mut open = 0_i32;
    for token in before {
        if token.is("CASE") {
            open += 1;
        } else if token.is("END") {
            open -= 1;
        }
    }
    open > 0
}

/// The column before the comparison that the place ends.
fn compared(text: Text<'_>, before: &[Token]) -> Option<Vec<String>> {
    let comparisons = [
        "=", "<", ">", "<=", ">=", "<>", "!=", "LIKE", "ILIKE", "<=>",
    ];
    let rest = match before {
        [rest @ .., last] if last.is_any(&comparisons) => rest,
        [rest @ .., within, open] if open.is("(") && within.is("IN") => rest,
        _ => return None,
    };
    let rest = match rest {
        [rest @ .., not] if not.is("NOT") => rest,
        rest => rest,
    };
    let last = rest.last().filter(|token| token.is_name())?;
    let mut parts = vec![last.name(text.source).to_owned()];
    let mut rest = &rest[..rest.len() - 1];
    while let [head @ .., name, dot] = rest {
        if !dot.is(".") || !name.is_name() {
            break;
        }
        parts.insert(0, name.name(text.source).to_owned());
        rest = head;
    }
    Some(parts)
}
