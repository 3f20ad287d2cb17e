//! Decides on the parsed tree whether a statement may be run: one `SELECT` that reads tables and calls
//! functions known to do nothing else.
//!
//! What is not on the lists is refused, so a function or a form that nobody thought of is too. The database
//! itself is told to only read as well; this is the first of several walls, not the only one.

mod amounts;
mod functions;

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArguments, ObjectName, Query, Select, SelectFlavor,
    SetExpr, Statement, TableFactor, Value, ValueWithSpan, Visit, Visitor,
};
use sqlparser::tokenizer::{Token, Whitespace};

use super::statement::{Places, parse, tokens};
use super::{Dialect, SqlError};
use amounts::Amounts;

/// Why a statement is not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read, so nobody knows what it would do.
    #[error("the statement cannot be read: {0}")]
    Unreadable(#[from] SqlError),
    /// Nothing to run.
    #[error("there is no statement")]
    Empty,
    /// Several statements.
    #[error("only one statement is run at a time, these are {0}")]
    Several(usize),
    /// Not a query.
    #[error("only SELECT statements are run, this is {0}")]
    NotSelect(String),
    /// A query that does more than read.
    #[error("a statement that is run may not hold {0}")]
    Form(String),
    /// A function that is not known to only read.
    #[error("the function '{0}' is not among those that a statement may call")]
    Function(String),
    /// A table of the database's own.
    #[error("the table '{0}' belongs to the database system and is not read")]
    SystemTable(String),
}

/// A statement that only reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Readable {
    sql: String,
    statement: Statement,
}

impl Readable {
    /// As it was written, without comments and the semicolon at its end.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// As it was parsed.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }
}

/// The statement of a text, if it is a single one that only reads.
///
/// # Errors
/// Everything else, with the reason.
pub fn check(sql: &str, dialect: Dialect) -> Result<Readable, Refusal> {
    let text = plain(sql, dialect)?;
    let mut statements = parse(&text, dialect)?;
    let count = statements.len();
    let Some(statement) = statements.pop() else {
        return Err(Refusal::Empty);
    };
    if count > 1 {
        return Err(Refusal::Several(count));
    }
    let Statement::Query(_) = &statement else {
        let text = statement.to_string();
        let words: Vec<&str> = text.split_whitespace().take(2).collect();
        return Err(Refusal::NotSelect(words.join(" ")));
    };
    let mut guard = Guard {
        dialect,
        amounts: Amounts::new(dialect),
    };
    match statement.visit(&mut guard) {
        ControlFlow::Break(refusal) => Err(refusal),
        ControlFlow::Continue(()) => Ok(Readable {
            sql: text.trim_end().trim_end_matches(';').trim().to_owned(),
            statement,
        }),
    }
}

/// The text without its comments. What a database would read out of one (`/*! … */`, `/*+ … */`) is refused.
fn plain(sql: &str, dialect: Dialect) -> Result<String, Refusal> {
    if sql.len() > super::statement::LIMIT_BYTES {
        return Err(Refusal::Unreadable(SqlError::TooLong {
            size_bytes: sql.len(),
            limit_bytes: super::statement::LIMIT_BYTES,
        }));
    }
    if sql.contains('\0') {
        return Err(Refusal::Form("a NUL character".to_owned()));
    }
    for hint in ["/*!", "/*+", "/*M!"] {
        if sql.contains(hint) {
            return Err(Refusal::Form(format!("'{hint}'")));
        }
    }
    let places = Places::new(sql);
    let mut text = String::with_capacity(sql.len());
    for token in tokens(sql, dialect)? {
        if matches!(
            token.token,
            Token::Whitespace(
                Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)
            )
        ) {
            text.push(' ');
            continue;
        }
        let start = places.offset(token.span.start);
        let end = places.offset(token.span.end);
        if let Some(part) = start.zip(end).and_then(|(start, end)| sql.get(start..end)) {
            text.push_str(part);
        }
    }
    Ok(text)
}

struct Guard {
    dialect: Dialect,
    /// How much the statement asks to be made.
    amounts: Amounts,
}

fn refuse(form: &str) -> ControlFlow<Refusal> {
    ControlFlow::Break(Refusal::Form(form.to_owned()))
}

impl Visitor for Guard {
    type Break = Refusal;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Refusal> {
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            _ => refuse("a statement that writes"),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Refusal> {
        if !query.locks.is_empty() {
            return refuse("FOR UPDATE or FOR SHARE");
        }
        if query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some() {
            return refuse("FOR, SETTINGS or FORMAT");
        }
        if !query.pipe_operators.is_empty() {
            return refuse("pipe operators");
        }
        if let Some(with) = &query.with {
            amounts::recursion(with, self.dialect)?;
        }
        set_expression(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Refusal> {
        if select.into.is_some() {
            return refuse("SELECT INTO");
        }
        if select.projection.is_empty() && select.flavor == SelectFlavor::Standard {
            return refuse("SELECT without anything to select");
        }
        if !select.optimizer_hints.is_empty() {
            return refuse("hints");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Refusal> {
        match factor {
            TableFactor::Table {
                name,
                args: Some(args),
                ..
            } => self.table_function(name, &args.args),
            TableFactor::Table {
                name, with_hints, ..
            } => {
                if !with_hints.is_empty() {
                    return refuse("table hints");
                }
                self.relation(name)
            }
            TableFactor::Function { name, args, .. } => self.table_function(name, args),
            TableFactor::Derived { .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. } => ControlFlow::Continue(()),
            _ => refuse("a table of this sort"),
        }
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<Refusal> {
        match &value.value {
            Value::Placeholder(_) => refuse("parameters and variables"),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Refusal> {
        match expr {
            Expr::Function(function) => {
                self.function_name(&function.name)?;
                match &function.args {
                    FunctionArguments::List(list) => self.amounts.add(&function.name, &list.args),
                    FunctionArguments::None | FunctionArguments::Subquery(_) => {
                        self.amounts.add(&function.name, &[])
                    }
                }
            }
            Expr::BinaryOp {
                op: BinaryOperator::PGCustomBinaryOperator(_) | BinaryOperator::Custom(_),
                ..
            } => refuse("operators of somebody's own"),
            Expr::Identifier(ident) if ident.value.starts_with("@@") => refuse("system variables"),
            Expr::Prefixed { .. } => refuse("prefixed texts"),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Guard {
    fn table_function(&mut self, name: &ObjectName, args: &[FunctionArg]) -> ControlFlow<Refusal> {
        self.function_name(name)?;
        self.amounts.add(name, args)
    }

    fn function_name(&self, name: &ObjectName) -> ControlFlow<Refusal> {
        let parts: Option<Vec<&str>> = name
            .0
            .iter()
            .map(|part| part.as_ident().map(|ident| ident.value.as_str()))
            .collect();
        let is_known = match parts.as_deref() {
            Some([function]) => functions::is_known(self.dialect, function),
            Some([space, function]) => {
                space.eq_ignore_ascii_case("pg_catalog")
                    && functions::is_known(self.dialect, function)
            }
            _ => false,
        };
        match is_known {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(Refusal::Function(name.to_string())),
        }
    }

    fn relation(&self, name: &ObjectName) -> ControlFlow<Refusal> {
        const SPACES: [&str; 8] = [
            "pg_catalog",
            "information_schema",
            "pg_toast",
            "sys",
            "mysql",
            "performance_schema",
            "master",
            "msdb",
        ];
        let mut parts = Vec::new();
        for part in &name.0 {
            let Some(ident) = part.as_ident() else {
                return ControlFlow::Break(Refusal::Function(name.to_string()));
            };
            // DuckDB reads files by such names.
            if ident.quote_style == Some('\'') || ident.value.contains(['/', '\\']) {
                return refuse("the name of a file as a table");
            }
            parts.push(ident.value.to_lowercase());
        }
        let Some((table, spaces)) = parts.split_last() else {
            return ControlFlow::Continue(());
        };
        let is_system = spaces.iter().any(|space| SPACES.contains(&space.as_str()))
            || table.starts_with("pg_")
            || table.starts_with("sqlite_")
            || table.starts_with("duckdb_")
            || table.starts_with('#')
            || table.starts_with('@')
            || table == "sysobjects"
            || table == "syscolumns"
            || table == "sysusers"
            || table == "dual_log";
        match is_system {
            true => ControlFlow::Break(Refusal::SystemTable(name.to_string())),
            false => ControlFlow::Continue(()),
        }
    }
}

fn set_expression(body: &SetExpr) -> ControlFlow<Refusal> {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
        SetExpr::SetOperation { left, right, .. } => {
            set_expression(left)?;
            set_expression(right)
        }
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            refuse("a part that writes")
        }
        SetExpr::Table(_) => refuse("TABLE"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        dialect: Dialect,
        sql: String,
    }

    fn cases(text: &str) -> Vec<Case> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn no_attack_is_let_through() {
        let attacks = cases(include_str!("../../tests/data/sql/attacks.json"));
        assert!(attacks.len() >= 100, "{}", attacks.len());
        for Case { dialect, sql } in attacks {
            let checked = check(&sql, dialect);
            assert!(checked.is_err(), "{dialect:?}: {sql}");
        }
    }

    #[test]
    fn honest_questions_are_let_through() {
        let honest = cases(include_str!("../../tests/data/sql/honest.json"));
        assert!(honest.len() >= 60, "{}", honest.len());
        for Case { dialect, sql } in honest {
            if let Err(refusal) = check(&sql, dialect) {
                panic!("{dialect:?}: {sql}\n{refusal}");
            }
        }
    }

    #[test]
    fn comments_do_not_reach_the_database() {
        let sql = "SELECT /* a */ 1 -- b\n + 2;  ";
        let readable = check(sql, Dialect::Postgres).unwrap();
        assert_eq!(
            readable
                .sql
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            "SELECT 1 + 2"
        );
        let quoted = "SELECT 'it''s /* no comment */ -- here', \"a b\" FROM t";
        assert_eq!(check(quoted, Dialect::Postgres).unwrap().sql(), quoted);
    }

    #[test]
    fn refusals_say_why() {
        let why = |sql: &str| check(sql, Dialect::Postgres).unwrap_err().to_string();
        assert_eq!(
            why("SELECT 1; DROP TABLE t"),
            "only one statement is run at a time, these are 2"
        );
        assert_eq!(
            why("DELETE FROM t"),
            "only SELECT statements are run, this is DELETE FROM"
        );
        assert_eq!(
            why("SELECT pg_sleep(10)"),
            "the function 'pg_sleep' is not among those that a statement may call"
        );
        assert_eq!(why(" -- nothing\n"), "there is no statement");
        assert_eq!(
            why("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x"),
            "a statement that is run may not hold a part that writes"
        );
    }
}
