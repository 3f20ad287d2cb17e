//! SQL that is checked before anyone sees it: schemas, names and statements as plain data.
//!
//! Nothing here knows HTTP or weights. A [`Schema`] comes from DDL or from a live database; statements are
//! parsed, their names resolved against it, and only a single read-only `SELECT` is ever run.

pub mod answer;
pub mod complete;
pub mod database;
mod ddl;
pub mod document;
pub mod explain;
pub mod fix;
pub mod grammar;
pub mod guard;
mod lexer;
pub mod link;
pub mod migrate;
pub mod names;
pub mod optimize;
pub mod registry;
pub mod repair;
pub mod resolve;
pub mod schema;
mod scope;
pub mod statement;
pub mod testdata;
pub mod vault;

#[cfg(test)]
mod questions;

pub use schema::{Column, ForeignKey, Index, Kind, Schema, Table};

use serde::{Deserialize, Serialize};
use sqlparser::dialect::{
    BigQueryDialect, Dialect as Grammar, DuckDbDialect, MsSqlDialect, MySqlDialect,
    PostgreSqlDialect, SQLiteDialect,
};

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// PostgreSQL.
    #[default]
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
    /// DuckDB.
    DuckDb,
    /// Microsoft SQL Server.
    MsSql,
    /// Google BigQuery.
    BigQuery,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Dialect; 6] = [
        Dialect::Postgres,
        Dialect::MySql,
        Dialect::Sqlite,
        Dialect::DuckDb,
        Dialect::MsSql,
        Dialect::BigQuery,
    ];

    /// The rules that `sqlparser` reads it by.
    pub fn parser(&self) -> Box<dyn Grammar> {
        match self {
            Dialect::Postgres => Box::new(PostgreSqlDialect {}),
            Dialect::MySql => Box::new(MySqlDialect {}),
            Dialect::Sqlite => Box::new(SQLiteDialect {}),
            Dialect::DuckDb => Box::new(DuckDbDialect {}),
            Dialect::MsSql => Box::new(MsSqlDialect {}),
            Dialect::BigQuery => Box::new(BigQueryDialect {}),
        }
    }

    /// Its name in requests and answers.
    pub fn name(&self) -> &'static str {
        match self {
            Dialect::Postgres => "postgres",
            Dialect::MySql => "mysql",
            Dialect::Sqlite => "sqlite",
            Dialect::DuckDb => "duckdb",
            Dialect::MsSql => "mssql",
            Dialect::BigQuery => "bigquery",
        }
    }

    /// The dialect of this name in requests.
    pub fn named(name: &str) -> Option<Dialect> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

/// Why SQL text was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// It does not follow the dialect.
    #[error("line {line}, column {column}: {reason}")]
    Syntax {
        /// Counted from 1.
        line: u64,
        /// Counted from 1, in characters.
        column: u64,
        /// What the parser says.
        reason: String,
    },
    /// The text is too long to be read.
    #[error("the text has {size_bytes} bytes, at most {limit_bytes} are read")]
    TooLong {
        /// Its length.
        size_bytes: usize,
        /// The longest that is read.
        limit_bytes: usize,
    },
    /// Too many tables.
    #[error("the schema has {tables} tables, at most {limit} are taken")]
    TooManyTables {
        /// How many there are.
        tables: usize,
        /// How many may be.
        limit: usize,
    },
    /// Too many columns in a table.
    #[error("table '{table}' has {columns} columns, at most {limit} are taken")]
    TooManyColumns {
        /// The table.
        table: String,
        /// How many it has.
        columns: usize,
        /// How many may be.
        limit: usize,
    },
    /// Parentheses or operators within each other.
    #[error("line {line}: expressions are nested more than {limit} deep")]
    TooDeep {
        /// Where the limit was passed.
        line: u64,
        /// The limit.
        limit: usize,
    },
    /// DDL without a table.
    #[error("the DDL holds no CREATE TABLE statement")]
    NoTables,
    /// The same table twice.
    #[error("line {line}: table '{table}' is created twice")]
    TableTwice {
        /// Where the second one starts.
        line: u64,
        /// Its name.
        table: String,
    },
}
