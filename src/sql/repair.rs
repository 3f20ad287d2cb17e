//! Mends misspelt names without a model: each name that does not exist becomes the one most like it. A literal of
//! another type than what it is compared with is written as that.

use serde::Serialize;

use super::names::{likeness, written};
use super::resolve::{Problem, ProblemKind, resolve};
use super::statement::{Places, parse};
use super::{Schema, SqlError};

/// Times a statement is gone through: a table must be found before its columns can be.
const ROUNDS: usize = 4;
/// Names less alike than this, of 1000, are left alone.
const LIKE_ENOUGH: u32 = 550;
/// The same where another table has a column of just that name: it may be a join that is missing.
const SURELY_ALIKE: u32 = 750;

/// A statement with its names mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The statement; as it was where nothing could be mended.
    pub sql: String,
    /// What was changed.
    pub changes: Vec<Change>,
    /// What is still wrong.
    pub problems: Vec<Problem>,
}

/// A name or a literal that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// As it was.
    pub from: String,
    /// As it is.
    pub to: String,
}

/// Replaces names that the schema does not have by those most like them, leaving everything else as it
/// was written.
///
/// # Errors
/// Text that cannot be parsed.
pub fn repair(sql: &str, schema: &Schema) -> Result<Repair, SqlError> {
    let mut done = Repair {
        sql: sql.to_owned(),
        changes: Vec::new(),
        problems: problems(sql, schema)?,
    };
    for _ in 0..ROUNDS {
        let mut edits: Vec<(&Problem, String)> = done
            .problems
            .iter()
            .filter_map(|problem| Some((problem, target(problem)?)))
            .collect();
        if edits.is_empty() {
            break;
        }
        edits.sort_by_key(|(problem, _)| std::cmp::Reverse(problem.span));
        let places = Places::new(&done.sql);
        let mut text = done.sql.clone();
        let mut changes = Vec::new();
        for (problem, to) in edits {
            let span = problem.span;
            let range = places.offset(span.start).zip(places.offset(span.end));
            let Some((start, end)) = range.filter(|(start, end)| start < end) else {
                continue;
            };
            let sql = match problem.is_about_name() {
                true => written(schema.dialect, &to),
                false => to.clone(),
            };
            text.replace_range(start..end, &sql);
            let from = problem.name.clone();
            changes.push(Change { from, to });
        }
        // A name that does not parse where the other stood is no repair.
        let Ok(left) = problems(&text, schema) else {
            break;
        };
        if text == done.sql {
            break;
        }
        changes.reverse();
        done.sql = text;
        done.changes.extend(changes);
        done.problems = left;
    }
    Ok(done)
}

fn problems(sql: &str, schema: &Schema) -> Result<Vec<Problem>, SqlError> {
    let statements = parse(sql, schema.dialect)?;
    let found = statements.iter().map(|s| resolve(s, schema).problems);
    Ok(found.flatten().collect())
}

/// The name, or the literal, to put in the place of the wrong one, if there is one that was surely meant.
fn target(problem: &Problem) -> Option<String> {
    if let ProblemKind::Type { instead, .. } = &problem.kind {
        return instead.clone();
    }
    let best = problem.nearest.first()?;
    let alike = match &problem.kind {
        ProblemKind::NotInScope { alias } => return alias.clone(),
        ProblemKind::Ambiguous { .. } | ProblemKind::Twice | ProblemKind::Type { .. } => {
            return None;
        }
        ProblemKind::UnknownTable => {
            let name = problem.name.rsplit('.').next().unwrap_or(&problem.name);
            likeness(name, best)?
        }
        ProblemKind::UnknownQualifier | ProblemKind::UnknownColumn { .. } => {
            likeness(&problem.name, best)?
        }
    };
    let is_elsewhere = matches!(&problem.kind,
        ProblemKind::UnknownColumn { elsewhere, .. } if !elsewhere.is_empty());
    let enough = match is_elsewhere {
        true => SURELY_ALIKE,
        false => LIKE_ENOUGH,
    };
    (alike >= enough).then(|| best.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;

    const DDL: &str = "
        CREATE TABLE users (id int PRIMARY KEY, name text, email text, created_at timestamp);
        CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, total numeric, \"Order State\" text);
    ";

    fn mended(sql: &str) -> Repair {
        let schema = Schema::from_ddl(DDL, Dialect::Postgres).unwrap();
        repair(sql, &schema).unwrap()
    }

    #[test]
    fn misspelt_names_are_mended_in_place() {
        for (sql, want) in [
            (
                "SELECT usr.nmae -- keep me\nFROM usrs AS usr\n WHERE  usr.craeted_at > now()",
                "SELECT usr.name -- keep me\nFROM users AS usr\n WHERE  usr.created_at > now()",
            ),
            (
                "SELECT user.name FROM user JOIN order ON order.userid = user.id",
                "SELECT users.name FROM users JOIN orders ON orders.user_id = users.id",
            ),
            (
                "SELECT users.name FROM users u",
                "SELECT u.name FROM users u",
            ),
            (
                "SELECT order_state FROM orders",
                "SELECT \"Order State\" FROM orders",
            ),
            ("SELECT \"Email\" FROM \"Users\"", "SELECT email FROM users"),
            (
                "SELECT 'usr', naem FROM users",
                "SELECT 'usr', name FROM users",
            ),
        ] {
            let done = mended(sql);
            assert_eq!(done.sql, want);
            assert_eq!(done.problems, [], "{sql}");
            assert!(!done.changes.is_empty());
        }
    }

    #[test]
    fn what_is_not_like_anything_stays() {
        for sql in [
            "SELECT salary FROM users",
            "SELECT name FROM employees",
            "SELECT id FROM users, orders",
            "SELECT total FROM users",
        ] {
            let done = mended(sql);
            assert_eq!(done.sql, sql);
            assert_eq!(done.problems.len(), 1, "{sql}");
        }
    }

    #[test]
    fn sound_statements_are_left_alone() {
        let sql = "SELECT name FROM users";
        assert_eq!(mended(sql).sql, sql);
        assert_eq!(mended(sql).changes, []);
    }
}
