//! The statements that turn one schema into another, and those that turn it back.

mod details;
mod kinds;
mod model;
mod plan;
mod write;

use serde::Serialize;

use super::{Dialect, Schema, SqlError};

use details::Details;
use model::Model;
use plan::plan;

/// How to get from one schema to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Migration {
    /// Statements that make the change, in order.
    pub up: Vec<String>,
    /// Statements that take it back, in order. What `up` dropped comes back empty.
    pub down: Vec<String>,
    /// What may be lost or fail, and what is not covered.
    pub warnings: Vec<String>,
}

/// Compares two schemas given as DDL. Keys of tables keep the names and actions that the DDL gives them.
///
/// # Errors
/// DDL that cannot be read. DDL without tables is an empty schema.
pub fn migrate(from_ddl: &str, to_ddl: &str, dialect: Dialect) -> Result<Migration, SqlError> {
    let (from, to) = (read(from_ddl, dialect)?, read(to_ddl, dialect)?);
    let (from_details, to_details) = (
        Details::read(from_ddl, dialect),
        Details::read(to_ddl, dialect),
    );
    let (old, new) = (
        Model::new(&from, &from_details),
        Model::new(&to, &to_details),
    );
    let there = plan(&old, &new);
    let back = plan(&new, &old);
    let mut warnings = there.warnings;
    if there.drops_data {
        warnings.push("the way back restores what was dropped, but not the data in it".to_owned());
    }
    let others = from_details.others.iter().chain(&to_details.others);
    let mut others: Vec<&str> = others.map(String::as_str).collect();
    others.sort_unstable();
    others.dedup();
    if !others.is_empty() {
        let others = others.join(", ");
        warnings.push(format!(
            "not compared, because only tables, indexes and enumerations are: {others}"
        ));
    }
    Ok(Migration {
        up: there.statements,
        down: back.statements,
        warnings,
    })
}

fn read(ddl: &str, dialect: Dialect) -> Result<Schema, SqlError> {
    match Schema::from_ddl(ddl, dialect) {
        Err(SqlError::NoTables) => Ok(Schema {
            dialect,
            tables: Vec::new(),
        }),
        other => other,
    }
}

#[cfg(test)]
mod tests;
