//! A statement's parts as plain data, in the order the statement has them.

mod change;
mod inner;
mod query;
mod select;
mod sources;

use serde::Serialize;
use sqlparser::ast::{self, SetExpr, Statement};

use change::{deleted, inserted, merged, updated};
use query::query;

/// What one statement is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Facts {
    /// It reads.
    Query(Query),
    /// It changes rows.
    Change(Change),
    /// It does something else, such as `CREATE TABLE`.
    Other {
        /// The sentences about it, which its kind alone decides.
        summary: Vec<String>,
    },
}

/// A `SELECT` with everything around it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Query {
    /// Named results that it builds first.
    pub ctes: Vec<Cte>,
    /// Its `SELECT`s: one, or those that set operations join.
    pub selects: Vec<Select>,
    /// How each `SELECT` after the first is joined to those before it: `UNION ALL`.
    pub set_operations: Vec<String>,
    /// Rows of `VALUES`.
    pub value_rows: usize,
    /// What it sorts by.
    pub order: Vec<Order>,
    /// How many rows it gives.
    pub limit: Limit,
    /// Whether it locks what it reads.
    pub locks: Vec<String>,
}

/// A named result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cte {
    /// Its name.
    pub name: String,
    /// Whether it may read itself.
    pub recursive: bool,
    /// What it is.
    pub statement: Box<Facts>,
}

/// One `SELECT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Select {
    /// `DISTINCT`.
    pub distinct: bool,
    /// Expressions of `DISTINCT ON`.
    pub distinct_on: Vec<String>,
    /// What it returns.
    pub columns: Vec<Output>,
    /// What it reads, joins apart. More than one: every pair of rows.
    pub sources: Vec<Source>,
    /// What it joins to that, in order.
    pub joins: Vec<Join>,
    /// Conditions of `WHERE`, which all hold.
    pub filters: Vec<Condition>,
    /// What it groups by.
    pub group_by: Vec<String>,
    /// Conditions that groups must meet.
    pub having: Vec<Condition>,
    /// Functions over windows.
    pub windows: Vec<Window>,
    /// Conditions on the results of window functions.
    pub qualify: Vec<Condition>,
    /// Queries inside its expressions.
    pub subqueries: Vec<Subquery>,
    /// The table that it writes its rows to.
    pub into: Option<String>,
    /// `TOP` of SQL Server.
    pub top: Option<String>,
}

/// Something returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// The expression as written; `*` for all columns.
    pub expression: String,
    /// In English.
    pub phrase: String,
    /// The name it is returned under, where one is given.
    pub name: Option<String>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// As written.
    pub expression: String,
    /// In English.
    pub phrase: String,
}

/// Something that rows come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The table, function or expression; nothing for a subquery.
    pub name: Option<String>,
    /// What the statement calls it.
    pub alias: Option<String>,
    /// The query, if it is one.
    pub subquery: Option<Box<Query>>,
}

/// A join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Join {
    /// `inner`, `left`, `right`, `full`, `cross`, `natural` or the operator's own name.
    pub kind: String,
    /// What is joined.
    pub source: Source,
    /// Conditions of `ON`, which all hold.
    pub on: Vec<Condition>,
    /// Columns of `USING`.
    pub using: Vec<String>,
}

/// What rows are sorted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// The expression as written.
    pub expression: String,
    /// In English.
    pub phrase: String,
    /// From the largest to the smallest.
    pub descending: bool,
    /// Where `NULL` goes, if that is said.
    pub nulls_first: Option<bool>,
}

/// How many rows are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// At most so many.
    pub rows: Option<String>,
    /// After leaving out so many.
    pub offset: Option<String>,
}

/// A function over a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The function as written, its window apart.
    pub function: String,
    /// What its rows are split by.
    pub partition_by: Vec<String>,
    /// In which order it goes through them.
    pub order: Vec<Order>,
    /// The frame, or the window's name, as written.
    pub frame: Option<String>,
}

/// A query inside an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subquery {
    /// `exists`, `not exists`, `in`, `not in` or `value`.
    pub role: String,
    /// The query.
    pub query: Box<Query>,
}

/// A statement that changes rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `insert`, `replace`, `update`, `delete` or `merge`.
    pub verb: String,
    /// The table whose rows change.
    pub table: String,
    /// Columns that get values.
    pub columns: Vec<String>,
    /// `column = value`, in the order of the columns.
    pub assignments: Vec<(String, String)>,
    /// Where new rows come from; `value_rows` counts those that are written out.
    pub source: Option<Box<Query>>,
    /// Other tables that it reads.
    pub reads: Vec<Source>,
    /// Joins between them.
    pub joins: Vec<Join>,
    /// Conditions that rows must meet to be changed.
    pub filters: Vec<Condition>,
    /// Queries inside its expressions.
    pub subqueries: Vec<Subquery>,
    /// What happens where a row is there already.
    pub conflict: Option<String>,
    /// What it returns of the changed rows.
    pub returning: Vec<Output>,
}

/// The parts of a statement.
pub(super) fn of(statement: &Statement) -> Facts {
    match statement {
        Statement::Query(query) => of_query(query),
        Statement::Insert(insert) => Facts::Change(inserted(insert)),
        Statement::Update(update) => Facts::Change(updated(update)),
        Statement::Delete(delete) => Facts::Change(deleted(delete)),
        Statement::Merge(merge) => Facts::Change(merged(merge)),
        other => Facts::Other {
            summary: super::sentences::of_other(other),
        },
    }
}

fn of_query(whole: &ast::Query) -> Facts {
    match &*whole.body {
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => of(statement),
        _ => Facts::Query(query(whole)),
    }
}
