//! Databases in memory with random rows, and what statements return from them.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::cases::{Column, Kind, Table};

/// Rows of each table.
const ROWS: usize = 24;
/// Out of a hundred values of a column that may lack them.
const MISSING: u32 = 15;
/// Steps of SQLite's machine, in thousands, after which a statement is broken off.
const PATIENCE: u32 = 2_000;

/// A database with the tables of a schema, filled at random.
pub(super) fn database(tables: &[Table], rng: &mut ChaCha8Rng) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    for table in tables {
        let columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let (name, columns) = (&table.name, columns.join(", "));
        connection.execute(&format!("CREATE TABLE {name} ({columns})"), [])?;
        let marks = vec!["?"; table.columns.len()].join(", ");
        let mut insert = connection.prepare(&format!("INSERT INTO {name} VALUES ({marks})"))?;
        for key in 1..=ROWS {
            insert.execute(params_from_iter(
                table.columns.iter().map(|column| cell(column, key, rng)),
            ))?;
        }
    }
    guard(&mut connection)?;
    Ok(connection)
}

/// What a model writes may read these tables and nothing else, and not for long.
fn guard(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update(None, "query_only", true)?;
    let mut thousands = 0;
    connection.progress_handler(
        1000,
        Some(move || {
            thousands += 1;
            thousands > PATIENCE
        }),
    )
}

fn cell(column: &Column, key: usize, rng: &mut ChaCha8Rng) -> Value {
    match column.kind {
        Kind::Key => return Value::Integer(key as i64),
        Kind::Foreign => return Value::Integer(rng.random_range(1..=ROWS as i64)),
        Kind::Text | Kind::Integer | Kind::Real | Kind::Date => {}
    }
    if column.nullable && rng.random_ratio(MISSING, 100) {
        return Value::Null;
    }
    match column.pool.choose(rng) {
        Some(serde_json::Value::String(text)) => Value::Text(text.clone()),
        Some(serde_json::Value::Number(number)) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => number.as_f64().map_or(Value::Null, Value::Real),
        },
        _ => Value::Null,
    }
}

/// The rows of one statement that only reads, as texts; numbers to nine digits.
pub(super) fn rows(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<Vec<String>>> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let cells = (0..columns).map(|at| Ok(shown(row.get_ref(at)?)));
        found.push(cells.collect::<rusqlite::Result<Vec<String>>>()?);
    }
    Ok(found)
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(whole) => format!("{:.8e}", whole as f64),
        ValueRef::Real(number) => format!("{number:.8e}"),
        ValueRef::Text(text) => format!("'{}'", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("{bytes:?}"),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn filled() -> Connection {
        let tables: Vec<Table> = serde_json::from_str(
            r#"[{"name": "t", "columns": [{"name": "id", "kind": "key"},
                {"name": "n", "kind": "integer", "pool": [1, 2, 3]}]}]"#,
        )
        .unwrap();
        database(&tables, &mut ChaCha8Rng::seed_from_u64(1)).unwrap()
    }

    #[test]
    fn rows_come_from_the_pool() {
        let connection = filled();
        let found = rows(&connection, "SELECT MAX(n) <= 3, COUNT(*) FROM t").unwrap();
        assert_eq!(found, [["1.00000000e0", "2.40000000e1"]]);
    }

    #[test]
    fn statements_cannot_write_or_run_for_ever() {
        let connection = filled();
        assert!(rows(&connection, "DELETE FROM t").is_err());
        assert!(rows(&connection, "ATTACH DATABASE ':memory:' AS other").is_err());
        let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c";
        assert!(rows(&connection, endless).is_err());
        assert!(rows(&connection, "SELECT 1; SELECT 2").is_err());
    }
}
