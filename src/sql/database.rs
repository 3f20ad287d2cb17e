//! Databases that statements are checked against and run on, always only to read.
//!
//! A statement gets here as a [`Readable`], which only [`super::guard::check`] makes. The database is then told
//! to read too: SQLite by its authorizer and a connection that cannot write, PostgreSQL by a transaction that
//! is read-only. Both have a time and answers have a size.

mod address;
mod postgres;
mod reach;
mod sqlite;

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::guard::Readable;
use super::{Dialect, Schema};

pub use address::{Address, AddressError};
pub use postgres::Scratch;
pub use reach::{Reach, ReachError};

/// What is on its way from a database.
pub type Work<'a, T> = BoxFuture<'a, Result<T, DatabaseError>>;

/// A database to read from.
pub trait Database: Send + Sync {
    /// Whose SQL it speaks.
    fn dialect(&self) -> Dialect;

    /// Whether it may be connected to, by where its name leads now; no connection is made.
    fn reach(&self) -> Work<'_, ()>;

    /// What it holds; with a few harmless values of its columns if `samples`.
    fn introspect(&self, samples: bool) -> Work<'_, Schema>;

    /// Lets the database itself read the statement, without running it.
    fn check<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, ()>;

    /// How the database would run the statement, in its own words, without running it.
    fn plan<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, String>;

    /// Runs the statement.
    fn rows<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, Rows>;
}

/// The database at an address, if that is within reach. Nothing is opened before it is asked.
pub fn open(address: Address, reach: Reach) -> Box<dyn Database> {
    match address {
        Address::Postgres(config) => Box::new(postgres::Postgres::new(*config, reach)),
        Address::Sqlite(path) => Box::new(sqlite::Sqlite::new(path)),
    }
}

/// How much one statement may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time.
    pub time: Duration,
    /// Rows of an answer.
    pub rows: usize,
    /// Bytes of an answer, as JSON.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            time: Duration::from_secs(5),
            rows: 200,
            bytes: 1 << 20,
        }
    }
}

/// What a statement returned.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rows {
    /// Its columns.
    pub columns: Vec<ColumnMeta>,
    /// Their values, row by row.
    pub rows: Vec<Vec<Value>>,
    /// Whether there was more than the limits allow.
    pub is_cut: bool,
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnMeta {
    /// Its name.
    pub name: String,
    /// Its type in the database's words; empty if it has none.
    #[serde(rename = "type")]
    pub type_name: String,
}

impl Rows {
    /// Adds a row; false if there is no room for it.
    fn add(&mut self, row: Vec<Value>, bytes: &mut usize, limits: &Limits) -> bool {
        *bytes += row.iter().map(size).sum::<usize>();
        if self.rows.len() >= limits.rows || *bytes > limits.bytes {
            self.is_cut = true;
            return false;
        }
        self.rows.push(row);
        true
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 3,
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 12,
        other => other.to_string().len() + 1,
    }
}

/// Why a database did not do what it was asked. Never holds an address or a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// It is where connections are not made to. Where that is stays untold: it would tell what names lead to.
    #[error(
        "the database's host may not be connected to from here: ask the operator to list it in WICK_DATABASE_HOSTS"
    )]
    NotAllowed,
    /// It cannot be reached, or does not let us in.
    #[error("the database cannot be reached: {0}")]
    Connect(String),
    /// It does not accept the statement.
    #[error("{0}")]
    Statement(String),
    /// It took too long.
    #[error("the statement took longer than {0} ms")]
    TimedOut(u128),
    /// It broke.
    #[error("the database failed: {0}")]
    Failed(String),
}

/// Whether values of a column may be shown: names that promise personal or secret data are left out.
fn may_show(column: &str) -> bool {
    const PRIVATE: [&str; 35] = [
        "name",
        "mail",
        "email",
        "phone",
        "mobile",
        "fax",
        "pass",
        "secret",
        "token",
        "key",
        "hash",
        "salt",
        "address",
        "street",
        "zip",
        "postal",
        "ssn",
        "iban",
        "card",
        "account",
        "birth",
        "dob",
        "born",
        "tax",
        "licen",
        "note",
        "comment",
        "message",
        "body",
        "text",
        "description",
        "url",
        "ip",
        "diagnos",
        "salary",
    ];
    let words = super::names::words(column);
    !words
        .iter()
        .any(|word| PRIVATE.iter().any(|private| word.starts_with(private)))
}

/// Most values of a column that are shown, and the longest of them in bytes.
const SAMPLES: (usize, usize) = (12, 40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stop_at_their_limits() {
        let limits = Limits {
            rows: 2,
            bytes: 50,
            ..Limits::default()
        };
        let mut rows = Rows::default();
        let mut bytes = 0;
        assert!(rows.add(vec![Value::from("a".repeat(20))], &mut bytes, &limits));
        assert!(!rows.add(vec![Value::from("b".repeat(40))], &mut bytes, &limits));
        assert!(rows.is_cut && rows.rows.len() == 1);
    }

    #[test]
    fn private_values_are_not_shown() {
        for name in [
            "email",
            "full_name",
            "phoneNumber",
            "password_hash",
            "birth_date",
            "api_key",
        ] {
            assert!(!may_show(name), "{name}");
        }
        for name in ["status", "kind", "country", "currency", "priority"] {
            assert!(may_show(name), "{name}");
        }
    }
}
