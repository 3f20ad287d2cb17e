//! What a database's message asks for: PostgreSQL's, SQLite's and MySQL's.

use std::sync::LazyLock;

use regex::Regex;
use sqlparser::ast::{SetExpr, Statement};

use crate::sql::lexer::{Lexeme, Token};
use crate::sql::names::{distance, nearest, written};
use crate::sql::scope::{Scope, ctes};
use crate::sql::statement::{LIMIT_BYTES, parse};
use crate::sql::{Kind, Schema, Table};

use super::MOST_PLACES;
use super::grouping;
use super::rules::renamed;
use super::syntax::around;
use super::text::{Edit, Source};

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Complaint {
    /// A name that the database does not know, and the one it proposes.
    Column {
        name: String,
        hint: Option<String>,
    },
    Table(String),
    Function(String),
    Ambiguous(String),
    Ungrouped(String),
    /// Types on the two sides of an operator.
    Operator(String, String),
    /// Where the syntax is wrong, by the word found there.
    Syntax(Option<String>),
    SubqueryAlias,
}

/// How a message starts to be one of them.
type Reading = (LazyLock<Regex>, fn(&regex::Captures<'_>) -> Complaint);

macro_rules! reading {
    ($pattern:literal, $complaint:expr) => {
        (
            LazyLock::new(|| Regex::new($pattern).expect("a pattern written here is sound")),
            $complaint,
        )
    };
}

static READINGS: [Reading; 21] = [
    reading!(
        r#"(?i)column "?([^"\s]+)"? must appear in the GROUP BY"#,
        |c| Complaint::Ungrouped(part(c, 1))
    ),
    reading!(
        r"(?i)not in GROUP BY clause and contains nonaggregated column '([^']+)'",
        |c| Complaint::Ungrouped(part(c, 1))
    ),
    reading!(r#"(?i)column reference "([^"]+)" is ambiguous"#, |c| {
        Complaint::Ambiguous(part(c, 1))
    }),
    reading!(r"(?i)ambiguous column name: (\S+)", |c| {
        Complaint::Ambiguous(part(c, 1))
    }),
    reading!(r"(?i)Column '([^']+)' in .* is ambiguous", |c| {
        Complaint::Ambiguous(part(c, 1))
    }),
    reading!(
        r#"(?i)column "?([^"\s]+)"?(?: of relation "[^"]+")? does not exist"#,
        |c| Complaint::Column {
            name: part(c, 1),
            hint: None
        }
    ),
    reading!(r"(?i)no such column: (\S+)", |c| Complaint::Column {
        name: part(c, 1),
        hint: None
    }),
    reading!(r"(?i)has no column named (\S+)", |c| Complaint::Column {
        name: part(c, 1),
        hint: None
    }),
    reading!(r"(?i)Unknown column '([^']+)'", |c| Complaint::Column {
        name: part(c, 1),
        hint: None
    }),
    reading!(r#"(?i)relation "([^"]+)" does not exist"#, |c| {
        Complaint::Table(part(c, 1))
    }),
    reading!(r"(?i)no such table: (\S+)", |c| Complaint::Table(part(
        c, 1
    ))),
    reading!(r"(?i)Table '([^']+)' doesn't exist", |c| Complaint::Table(
        part(c, 1)
    )),
    reading!(
        r"(?i)operator does not exist: (.+?) (?:=|<>|<=|>=|<|>|~~\*?|!~~) ([^\n]+)",
        |c| Complaint::Operator(part(c, 1), part(c, 2))
    ),
    reading!(r"(?i)no such function: (\w+)", |c| Complaint::Function(
        part(c, 1)
    )),
    reading!(r"(?i)FUNCTION (\S+) does not exist", |c| {
        Complaint::Function(part(c, 1))
    }),
    reading!(r"(?i)function (\w+)\(.*\) does not exist", |c| {
        Complaint::Function(part(c, 1))
    }),
    reading!(r"(?i)subquery in FROM must have an alias", |_| {
        Complaint::SubqueryAlias
    }),
    reading!(r"(?i)Every derived table must have its own alias", |_| {
        Complaint::SubqueryAlias
    }),
    reading!(r#"(?i)(?:syntax error at or near|near) "([^"]+)""#, |c| {
        Complaint::Syntax(Some(part(c, 1)))
    }),
    reading!(
        r"(?is)error in your SQL syntax.* near '(.*)' at line",
        |c| Complaint::Syntax(Some(part(c, 1)))
    ),
    reading!(
        r"(?i)syntax error|incomplete input|unrecognized token|unterminated quoted",
        |_| Complaint::Syntax(None)
    ),
];
static HINT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)Perhaps you meant to reference the column "([^"]+)""#)
        .expect("a pattern written here is sound")
});

fn part(captures: &regex::Captures<'_>, at: usize) -> String {
    captures
        .get(at)
        .map_or(String::new(), |found| found.as_str().trim().to_owned())
}

fn read(message: &str) -> Option<Complaint> {
    let found = READINGS
        .iter()
        .find_map(|(pattern, complaint)| pattern.captures(message).map(|c| complaint(&c)));
    match found {
        Some(Complaint::Column { name, .. }) => {
            let hint = HINT.captures(message).map(|captures| part(&captures, 1));
            Some(Complaint::Column { name, hint })
        }
        other => other,
    }
}

/// Edits that answer the message.
pub(super) fn edits(source: &Source<'_>, schema: &Schema, message: &str) -> Vec<Edit> {
    match read(message) {
        Some(Complaint::Column { name, hint }) => column(source, schema, &name, hint.as_deref()),
        Some(Complaint::Table(name)) => table(source, schema, &name),
        Some(Complaint::Function(name)) => function(source, &name),
        Some(Complaint::Ambiguous(name)) => ambiguous(source, schema, &name),
        Some(Complaint::Ungrouped(name)) => ungrouped(source, &name),
        Some(Complaint::Operator(left, right)) => operator(source, schema, &left, &right),
        Some(Complaint::Syntax(near)) => syntax(source, schema, near.as_deref()),
        Some(Complaint::SubqueryAlias) => subquery_alias(source),
        None => Vec::new(),
    }
}

/// The last part of a name of a message, which may have the database's name before it.
fn last(name: &str) -> &str {
    name.rsplit('.')
        .next()
        .unwrap_or(name)
        .trim_matches(['"', '`', '\''])
}

/// Tokens that are this name.
fn places<'a>(source: &'a Source<'_>, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let tokens = source.tokens.iter().enumerate();
    tokens
        .filter(move |(_, token)| {
            token.is_name() && token.name(source.sql).eq_ignore_ascii_case(name)
        })
        .map(|(at, _)| at)
}

fn column(source: &Source<'_>, schema: &Schema, name: &str, hint: Option<&str>) -> Vec<Edit> {
    let wanted = last(name);
    // Tables that the statement names; all of them where it names none that is there.
    let is_named = |table: &&Table| places(source, &table.name).next().is_some();
    let mut tables: Vec<&Table> = schema.tables.iter().filter(is_named).collect();
    if tables.is_empty() {
        tables = schema.tables.iter().collect();
    }
    let columns = tables.iter().flat_map(|table| &table.columns);
    let likes = nearest(wanted, columns.map(|column| column.name.as_str()), 3);
    let mut edits = Vec::new();
    for at in places(source, wanted).take(MOST_PLACES) {
        if let Some(hint) = hint {
            let column = written(schema.dialect, last(hint));
            let reason = format!("{column} instead of {name}, as the database proposes");
            edits.push(source.replace_token(at, &column, 4, reason.clone()));
            let is_member = at
                .checked_sub(1)
                .is_some_and(|before| source.tokens[before].is("."));
            if !is_member && hint.contains('.') {
                edits.push(source.replace_token(at, hint, 6, reason));
            }
        }
        for (rank, like) in likes.iter().enumerate().filter(|(_, like)| *like != wanted) {
            let like = written(schema.dialect, like);
            let reason = format!("{like} instead of {name}");
            edits.push(source.replace_token(at, &like, 8 + 3 * rank as u32, reason));
        }
    }
    edits
}

fn table(source: &Source<'_>, schema: &Schema, name: &str) -> Vec<Edit> {
    let wanted = last(name);
    let tables = schema.tables.iter().map(|table| table.name.as_str());
    let likes = nearest(wanted, tables, 3);
    let mut edits = Vec::new();
    for at in places(source, wanted).take(MOST_PLACES) {
        for (rank, like) in likes.iter().enumerate().filter(|(_, like)| *like != wanted) {
            let like = written(schema.dialect, like);
            let reason = format!("{like} instead of {name}");
            edits.push(source.replace_token(at, &like, 7 + 3 * rank as u32, reason));
        }
    }
    edits
}

fn function(source: &Source<'_>, name: &str) -> Vec<Edit> {
    let wanted = last(name).to_uppercase();
    let known = [
        "COUNT",
        "SUM",
        "AVG",
        "MIN",
        "MAX",
        "COALESCE",
        "LOWER",
        "UPPER",
        "ROUND",
        "LENGTH",
        "SUBSTRING",
        "REPLACE",
        "TRIM",
        "CONCAT",
        "ABS",
    ];
    let better = renamed(source.dialect, &wanted);
    let better = better.or_else(|| {
        known
            .into_iter()
            .find(|known| distance(known, &wanted, 2).is_some_and(|steps| steps > 0))
    });
    let Some(better) = better else {
        return Vec::new();
    };
    let calls = places(source, &wanted)
        .filter(|at| source.tokens.get(at + 1).is_some_and(|next| next.is("(")));
    calls
        .take(MOST_PLACES)
        .map(|at| {
            source.replace_token(
                at,
                &source.keyword(better),
                5,
                format!("{better} instead of {name}"),
            )
        })
        .collect()
}

/// The scope of a statement that is one `SELECT`.
fn with_scope<T>(
    source: &Source<'_>,
    schema: &Schema,
    then: impl FnOnce(&Scope<'_>) -> T,
) -> Option<T> {
    let statements = parse(source.sql, source.dialect).ok()?;
    let Statement::Query(query) = statements.first()? else {
        return None;
    };
    let SetExpr::Select(select) = &*query.body else {
        return None;
    };
    let scope = Scope::new(schema, &select.from, &ctes(query));
    Some(then(&scope))
}

fn ambiguous(source: &Source<'_>, schema: &Schema, name: &str) -> Vec<Edit> {
    let wanted = last(name);
    let holders = with_scope(source, schema, |scope| {
        let holders = scope.bindings.iter().filter(|binding| {
            binding
                .table
                .is_some_and(|table| table.column(wanted).is_some())
        });
        holders
            .map(|binding| binding.name.to_string())
            .collect::<Vec<_>>()
    });
    let bare: Vec<usize> = places(source, wanted)
        .filter(|at| {
            !at.checked_sub(1)
                .is_some_and(|before| source.tokens[before].is("."))
        })
        .collect();
    let mut edits = Vec::new();
    let holders = holders.unwrap_or_default().into_iter().take(MOST_PLACES);
    for (rank, holder) in holders.enumerate() {
        if source.sql.len() + bare.len() * (holder.len() + 1) > LIMIT_BYTES {
            continue;
        }
        // All of them at once: they are the same column most of the time.
        let mut sql = source.sql.to_owned();
        for at in bare.iter().rev() {
            sql.insert_str(source.tokens[*at].span.start, &format!("{holder}."));
        }
        edits.push(Edit {
            cost: 5 + rank as u32,
            reason: format!("{wanted} of {holder}"),
            sql,
        });
    }
    edits
}

fn ungrouped(source: &Source<'_>, name: &str) -> Vec<Edit> {
    let Ok(statements) = parse(source.sql, source.dialect) else {
        return Vec::new();
    };
    let Some(Statement::Query(query)) = statements.first() else {
        return Vec::new();
    };
    let SetExpr::Select(select) = &*query.body else {
        return Vec::new();
    };
    let wanted = last(name);
    // As the statement writes it.
    let at = places(source, wanted).next();
    let Some(at) = at else { return Vec::new() };
    let qualified = at >= 2 && source.tokens[at - 1].is(".") && source.tokens[at - 2].is_name();
    let start = source.tokens[if qualified { at - 2 } else { at }]
        .span
        .start;
    let column = source.sql[start..source.tokens[at].span.end].to_owned();
    let mut edits: Vec<Edit> = grouping::add(source, select, std::slice::from_ref(&column))
        .into_iter()
        .collect();
    let end = source.tokens[at].span.end;
    let largest = format!("{}({column})", source.keyword("MAX"));
    edits.push(source.replace(
        start,
        end,
        &largest,
        9,
        format!("{largest} instead of {column}"),
    ));
    edits
}

/// Whose values a type of a message are.
fn kind(type_name: &str) -> Kind {
    Kind::of(type_name.trim().trim_end_matches('.'))
}

/// Text that is compared with a number: a literal is quoted, a column is cast.
fn operator(source: &Source<'_>, schema: &Schema, left: &str, right: &str) -> Vec<Edit> {
    let (left, right) = (kind(left), kind(right));
    let text_with_number =
        (left == Kind::Text && right.is_number()) || (left.is_number() && right == Kind::Text);
    let mut edits = Vec::new();
    for at in 1..source.tokens.len().saturating_sub(1) {
        if edits.len() >= MOST_PLACES {
            break;
        }
        let operator = &source.tokens[at];
        if !operator.is_any(&["=", "<>", "!=", "<", ">", "<=", ">=", "LIKE", "ILIKE"]) {
            continue;
        }
        let (before, after) = (&source.tokens[at - 1], &source.tokens[at + 1]);
        for (place, literal) in [(at + 1, after), (at - 1, before)] {
            let other = if place > at { left } else { right };
            if literal.kind == Lexeme::Number && other == Kind::Text {
                let quoted = format!("'{}'", source.text(literal));
                edits.push(source.replace_token(place, &quoted, 4, format!("{quoted} as text")));
            }
        }
        let both_names =
            before.is_name() && (after.is_name() || operator.is_any(&["LIKE", "ILIKE"]));
        if both_names && (text_with_number || left != right) {
            edits.extend(cast(source, schema, at, left, right));
        }
    }
    edits
}

/// Casts the side that is no text.
fn cast(
    source: &Source<'_>,
    schema: &Schema,
    operator: usize,
    left: Kind,
    right: Kind,
) -> Vec<Edit> {
    let is_text = |kind: Kind| kind == Kind::Text;
    let side = match (is_text(left), is_text(right)) {
        (true, false) => end_of_name(source, operator + 1),
        _ => operator - 1,
    };
    let start = start_of_name(source, side);
    let name = source.sql[source.tokens[start].span.start..source.tokens[side].span.end].to_owned();
    let text = match schema.dialect {
        crate::sql::Dialect::MySql => format!("CAST({name} AS CHAR)"),
        crate::sql::Dialect::MsSql => format!("CAST({name} AS NVARCHAR(4000))"),
        crate::sql::Dialect::BigQuery => format!("CAST({name} AS STRING)"),
        _ => format!("CAST({name} AS TEXT)"),
    };
    let (from, to) = (
        source.tokens[start].span.start,
        source.tokens[side].span.end,
    );
    vec![source.replace(from, to, &text, 5, format!("{text} instead of {name}"))]
}

fn end_of_name(source: &Source<'_>, at: usize) -> usize {
    let mut at = at;
    while source.tokens.get(at + 1).is_some_and(|next| next.is(".")) && at + 2 < source.tokens.len()
    {
        at += 2;
    }
    at
}

fn start_of_name(source: &Source<'_>, at: usize) -> usize {
    let mut at = at;
    while at >= 2 && source.tokens[at - 1].is(".") {
        at -= 2;
    }
    at
}

fn syntax(source: &Source<'_>, schema: &Schema, near: Option<&str>) -> Vec<Edit> {
    let at = match near.map(str::trim).filter(|near| !near.is_empty()) {
        Some(near) => {
            let offset = source.sql.find(near);
            let by_text = offset.and_then(|offset| {
                source
                    .tokens
                    .iter()
                    .position(|token| token.span.start >= offset)
            });
            let is = |token: &Token| source.text(token).eq_ignore_ascii_case(near);
            by_text
                .or_else(|| source.tokens.iter().position(is))
                .unwrap_or(source.tokens.len())
        }
        None => source.tokens.len(),
    };
    around(source, schema, at)
}

fn subquery_alias(source: &Source<'_>) -> Vec<Edit> {
    let mut open = Vec::new();
    let mut edits = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        if token.is("(") {
            open.push(at);
        } else if token.is(")") {
            let Some(start) = open.pop() else { continue };
            let in_from = start
                .checked_sub(1)
                .is_some_and(|before| source.tokens[before].is_any(&["FROM", "JOIN", ","]));
            let is_query = source
                .tokens
                .get(start + 1)
                .is_some_and(|token| token.is("SELECT"));
            let has_alias = source.tokens.get(at + 1).is_some_and(|next| {
                next.is("AS") || (next.is_name() && !crate::sql::names::is_reserved(&next.text))
            });
            if in_from && is_query && !has_alias && edits.len() < MOST_PLACES {
                let alias = format!(" {} sub{}", source.keyword("AS"), edits.len() + 1);
                edits.push(source.insert_after(at, &alias, 4, "the subquery gets a name"));
            }
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_three_databases_are_read() {
        let column = |name: &str, hint: Option<&str>| {
            Some(Complaint::Column {
                name: name.to_owned(),
                hint: hint.map(str::to_owned),
            })
        };
        for (message, want) in [
            (
                "ERROR:  column \"nme\" does not exist\nLINE 1: SELECT nme\nHINT:  Perhaps you meant to reference the column \"users.name\".",
                column("nme", Some("users.name")),
            ),
            ("ERROR: column u.nme does not exist", column("u.nme", None)),
            ("no such column: u.nme", column("u.nme", None)),
            (
                "ERROR 1054 (42S22): Unknown column 'u.nme' in 'field list'",
                column("u.nme", None),
            ),
            (
                "relation \"usrs\" does not exist",
                Some(Complaint::Table("usrs".to_owned())),
            ),
            (
                "no such table: usrs",
                Some(Complaint::Table("usrs".to_owned())),
            ),
            (
                "Table 'shop.usrs' doesn't exist",
                Some(Complaint::Table("shop.usrs".to_owned())),
            ),
            (
                "column \"o.status\" must appear in the GROUP BY clause or be used in an aggregate function",
                Some(Complaint::Ungrouped("o.status".to_owned())),
            ),
            (
                "Expression #1 of SELECT list is not in GROUP BY clause and contains nonaggregated column 'shop.o.status' which is not",
                Some(Complaint::Ungrouped("shop.o.status".to_owned())),
            ),
            (
                "ambiguous column name: id",
                Some(Complaint::Ambiguous("id".to_owned())),
            ),
            (
                "column reference \"id\" is ambiguous",
                Some(Complaint::Ambiguous("id".to_owned())),
            ),
            (
                "ERROR: operator does not exist: text = integer\nLINE 1: ...",
                Some(Complaint::Operator("text".to_owned(), "integer".to_owned())),
            ),
            (
                "syntax error at or near \"FORM\"",
                Some(Complaint::Syntax(Some("FORM".to_owned()))),
            ),
            (
                "near \"FORM\": syntax error",
                Some(Complaint::Syntax(Some("FORM".to_owned()))),
            ),
            (
                "You have an error in your SQL syntax; check the manual for the right syntax to use near 'FORM users' at line 1",
                Some(Complaint::Syntax(Some("FORM users".to_owned()))),
            ),
            ("incomplete input", Some(Complaint::Syntax(None))),
            (
                "function ifnull(text, unknown) does not exist",
                Some(Complaint::Function("ifnull".to_owned())),
            ),
            ("the server is on fire", None),
        ] {
            assert_eq!(read(message), want, "{message}");
        }
    }
}
