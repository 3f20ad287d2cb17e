//! SQLite files: opened to read, watched by an authorizer, stopped when their time is over.

mod texts;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde_json::Value;

use crate::sql::guard::Readable;
use crate::sql::names::written;
use crate::sql::{Column, Dialect, ForeignKey, Index, Kind, Schema, Table};

use super::{ColumnMeta, Database, DatabaseError, Limits, Rows, SAMPLES, Work, may_show};

/// Steps of SQLite's machine between looks at the clock.
const STEPS: i32 = 100;
/// Time for reading what a database holds.
const INTROSPECTION: Duration = Duration::from_secs(20);
/// Time for counting the rows of one table.
const COUNTING: Duration = Duration::from_millis(200);

/// Longest pattern of LIKE and GLOB, which are matched between two looks at the clock.
const PATTERN_BYTES: i32 = 1_000;
/// Memory that SQLite may take in this process, all statements and files together.
const MEMORY_BYTES: i64 = 256 << 20;

/// A SQLite file.
pub(super) struct Sqlite {
    path: PathBuf,
}

impl Sqlite {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Work on a connection of its own, on a thread that may wait.
    fn with<T: Send + 'static>(
        &self,
        limits: Limits,
        work: impl FnOnce(&Connection) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Work<'_, T> {
        let path = self.path.clone();
        async move {
            let done = tokio::task::spawn_blocking(move || {
                let connection = open(&path, limits.time, limits.bytes)?;
                work(&connection).map_err(|error| match error {
                    DatabaseError::TimedOut(_) => DatabaseError::TimedOut(limits.time.as_millis()),
                    other => other,
                })
            });
            done.await
                .map_err(|_| DatabaseError::Failed("the work was broken off".to_owned()))?
        }
        .boxed()
    }
}

impl Database for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn reach(&self) -> Work<'_, ()> {
        // Its folder was looked at when the address was read.
        std::future::ready(Ok(())).boxed()
    }

    fn introspect(&self, samples: bool) -> Work<'_, Schema> {
        let path = self.path.clone();
        async move {
            let work = move || {
                let mut connection = connect(&path)?;
                watch(&mut connection, INTROSPECTION)?;
                introspect(&mut connection, samples)
            };
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|_| DatabaseError::Failed("the work was broken off".to_owned()))?
        }
        .boxed()
    }

    fn check<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, ()> {
        let sql = statement.sql().to_owned();
        self.with(limits, move |connection| {
            connection.prepare(&sql).map(drop).map_err(refused)
        })
    }

    fn plan<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, String> {
        let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql());
        self.with(limits, move |connection| {
            let mut prepared = connection.prepare(&sql).map_err(refused)?;
            let lines = prepared.query_map([], |row| row.get::<_, String>(3));
            let lines: Vec<String> = lines.and_then(Iterator::collect).map_err(refused)?;
            Ok(lines.join("\n"))
        })
    }

    fn rows<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, Rows> {
        let sql = statement.sql().to_owned();
        self.with(limits, move |connection| read(connection, &sql, &limits))
    }
}

fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags);
    // The message of SQLite would hold the path.
    let connection =
        connection.map_err(|_| DatabaseError::Connect("the file cannot be opened".to_owned()))?;
    let set = || {
        connection.busy_timeout(Duration::from_secs(1))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)
    };
    set().map_err(|_| DatabaseError::Connect("the file is no SQLite database".to_owned()))?;
    Ok(connection)
}

fn open(path: &Path, time: Duration, bytes: usize) -> Result<Connection, DatabaseError> {
    let mut connection = connect(path)?;
    let longest = i32::try_from(bytes).unwrap_or(i32::MAX);
    let set = || {
        // No value is longer, however it is made.
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_BYTES)?;
        // Rows that are sorted or kept go to memory, which has a bound, and not to files, which have none. It is one
        // for the whole process, and once set it is not raised again.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        let sql = format!("PRAGMA hard_heap_limit = {MEMORY_BYTES}");
        connection.query_row(&sql, [], |_| Ok(()))
    };
    set().map_err(failed)?;
    connection.authorizer(Some(authorize)).map_err(failed)?;
    watch(&mut connection, time)?;
    texts::bound(&connection, Instant::now() + time, bytes).map_err(failed)?;
    Ok(connection)
}

/// Breaks off what runs once the time is over.
fn watch(connection: &mut Connection, time: Duration) -> Result<(), DatabaseError> {
    let start = Instant::now();
    connection
        .progress_handler(STEPS, Some(move || start.elapsed() > time))
        .map_err(failed)
}

/// Reading and nothing else.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Read { table_name, .. } => {
            match table_name.to_ascii_lowercase().starts_with("sqlite_") {
                true => Authorization::Deny,
                false => Authorization::Allow,
            }
        }
        AuthAction::Function { function_name } => {
            match function_name.eq_ignore_ascii_case("load_extension") {
                true => Authorization::Deny,
                false => Authorization::Allow,
            }
        }
        _ => Authorization::Deny,
    }
}

fn read(connection: &Connection, sql: &str, limits: &Limits) -> Result<Rows, DatabaseError> {
    let mut statement = connection.prepare(sql).map_err(refused)?;
    if !statement.readonly() {
        let text = "the statement would write".to_owned();
        return Err(DatabaseError::Statement(text));
    }
    let columns = statement.columns();
    let columns: Vec<ColumnMeta> = columns
        .map(|column| ColumnMeta {
            name: column.name().to_owned(),
            type_name: column.decl_type().unwrap_or_default().to_lowercase(),
        })
        .collect();
    let count = columns.len();
    let mut found = Rows {
        columns,
        ..Rows::default()
    };
    let mut bytes = 0;
    let mut rows = statement.query([]).map_err(refused)?;
    while let Some(row) = rows.next().map_err(refused)? {
        let cells: rusqlite::Result<Vec<Value>> =
            (0..count).map(|at| row.get_ref(at).map(shown)).collect();
        if !found.add(cells.map_err(refused)?, &mut bytes, limits) {
            break;
        }
    }
    Ok(found)
}

fn shown(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        ValueRef::Blob(bytes) => format!("\\x{}", hex::encode(bytes)).into(),
    }
}

/// What SQLite says of a statement.
fn refused(error: rusqlite::Error) -> DatabaseError {
    match &error {
        rusqlite::Error::SqliteFailure(code, text) => match code.code {
            ErrorCode::OperationInterrupted => DatabaseError::TimedOut(0),
            ErrorCode::AuthorizationForStatementDenied => {
                DatabaseError::Statement("the statement may only read tables".to_owned())
            }
            ErrorCode::TooBig => {
                DatabaseError::Statement("a value is larger than answers may be".to_owned())
            }
            ErrorCode::OutOfMemory => DatabaseError::Statement(
                "the statement needs more memory than statements may take".to_owned(),
            ),
            _ => DatabaseError::Statement(text.clone().unwrap_or_else(|| error.to_string())),
        },
        rusqlite::Error::SqlInputError { msg, .. } => DatabaseError::Statement(msg.clone()),
        _ => DatabaseError::Statement(error.to_string()),
    }
}

fn failed(error: rusqlite::Error) -> DatabaseError {
    DatabaseError::Failed(error.to_string())
}

fn introspect(connection: &mut Connection, samples: bool) -> Result<Schema, DatabaseError> {
    let names: Vec<String> = {
        let sql = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid LIMIT 2000";
        let mut statement = connection.prepare(sql).map_err(failed)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)?
    };
    let mut tables = Vec::new();
    for name in &names {
        tables.push(table(connection, name).map_err(failed)?);
    }
    let keys: Vec<(String, Vec<String>)> = tables
        .iter()
        .map(|table| (table.name.to_lowercase(), table.primary_key.clone()))
        .collect();
    for key in tables.iter_mut().flat_map(|table| &mut table.foreign_keys) {
        let target = keys
            .iter()
            .find(|(name, _)| *name == key.table.to_lowercase());
        if let Some((_, columns)) = target.filter(|_| key.references.is_empty()) {
            key.references.clone_from(columns);
        }
    }
    for table in &mut tables {
        watch(connection, COUNTING)?;
        let name = written(Dialect::Sqlite, &table.name);
        let count = connection.query_row(&format!("SELECT COUNT(*) FROM {name}"), [], |row| {
            row.get::<_, i64>(0)
        });
        table.rows = count.ok().and_then(|count| u64::try_from(count).ok());
        if samples {
            for column in &mut table.columns {
                if column.kind == Kind::Text && may_show(&column.name) {
                    watch(connection, COUNTING)?;
                    column.samples = values(connection, &name, &column.name).unwrap_or_default();
                }
            }
        }
    }
    Ok(Schema {
        dialect: Dialect::Sqlite,
        tables,
    })
}

/// Values that occur several times, if there are only a few of them.
fn values(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<Vec<String>> {
    let (most, longest) = SAMPLES;
    let column = written(Dialect::Sqlite, column);
    let sql = format!(
        "SELECT v FROM (SELECT {column} AS v FROM {table} LIMIT 2000) WHERE v IS NOT NULL \
         GROUP BY v HAVING COUNT(*) > 1 ORDER BY COUNT(*) DESC, v LIMIT {}",
        most + 1
    );
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?;
    let found: Vec<String> = found.collect::<rusqlite::Result<_>>()?;
    let is_small = found.len() <= most && found.iter().all(|value| value.len() <= longest);
    Ok(if is_small { found } else { Vec::new() })
}

fn table(connection: &Connection, name: &str) -> rusqlite::Result<Table> {
    let mut table = Table {
        name: name.to_owned(),
        ..Table::default()
    };
    let mut key: Vec<(i64, String)> = Vec::new();
    let sql = "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        let type_name: String = row.get(1)?;
        let place: i64 = row.get(4)?;
        let column = Column {
            name: row.get(0)?,
            kind: Kind::of(&type_name),
            type_name,
            nullable: !row.get::<_, bool>(2)? && place == 0,
            default: row.get(3)?,
            ..Column::default()
        };
        if place > 0 {
            key.push((place, column.name.clone()));
        }
        table.columns.push(column);
    }
    key.sort();
    table.primary_key = key.into_iter().map(|(_, name)| name).collect();
    table.foreign_keys = foreign_keys(connection, name)?;
    for (index, unique, origin) in indexes(connection, name)? {
        let columns = index_columns(connection, &index)?;
        match origin.as_str() {
            "pk" => {}
            "u" => table.uniques.push(columns),
            _ => table.indexes.push(Index {
                name: Some(index),
                columns,
                unique,
            }),
        }
    }
    Ok(table)
}

fn foreign_keys(connection: &Connection, name: &str) -> rusqlite::Result<Vec<ForeignKey>> {
    let sql = "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([name])?;
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if keys.last().is_none_or(|(last, _)| *last != id) {
            let key = ForeignKey {
                table: row.get(1)?,
                ..ForeignKey::default()
            };
            keys.push((id, key));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(row.get(2)?);
            key.references.extend(row.get::<_, Option<String>>(3)?);
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

fn indexes(connection: &Connection, name: &str) -> rusqlite::Result<Vec<(String, bool, String)>> {
    let sql = "SELECT name, \"unique\" AND NOT partial, origin FROM pragma_index_list(?) ORDER BY seq DESC";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

fn index_columns(connection: &Connection, index: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT COALESCE(name, '') FROM pragma_index_info(?) ORDER BY seqno";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([index], |row| row.get(0))?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::guard;

    fn shop() -> (tempfile::TempDir, Sqlite) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, status TEXT DEFAULT 'new');
                 CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users, total REAL);
                 CREATE INDEX by_user ON orders (user_id);
                 INSERT INTO users (email, status) SELECT 'u' || value || '@x', CASE value % 2 WHEN 0 THEN 'active' ELSE 'gone' END FROM json_each('[1,2,3,4,5,6]');
                 INSERT INTO orders (user_id, total) VALUES (1, 2.5), (2, 3);",
            )
            .unwrap();
        (folder, Sqlite::new(path))
    }

    fn readable(sql: &str) -> Readable {
        guard::check(sql, Dialect::Sqlite).unwrap()
    }

    #[tokio::test]
    async fn a_file_is_introspected() {
        let (_folder, database) = shop();
        let schema = database.introspect(true).await.unwrap();
        let users = schema.table("users").unwrap();
        assert_eq!(users.primary_key, ["id"]);
        assert_eq!(users.uniques, [["email"]]);
        assert_eq!(users.rows, Some(6));
        assert_eq!(users.columns[2].samples, ["active", "gone"]);
        assert!(users.columns[1].samples.is_empty());
        assert!(!users.columns[1].nullable);
        let orders = schema.table("orders").unwrap();
        assert_eq!(orders.foreign_keys[0].references, ["id"]);
        assert_eq!(orders.indexes[0].columns, ["user_id"]);
    }

    #[tokio::test]
    async fn rows_come_back_with_types_and_limits() {
        let (_folder, database) = shop();
        let sql = readable("SELECT id, email, NULL AS none FROM users ORDER BY id");
        let limits = Limits {
            rows: 2,
            ..Limits::default()
        };
        let rows = database.rows(&sql, limits).await.unwrap();
        assert_eq!(rows.columns[0].type_name, "integer");
        assert_eq!(rows.rows.len(), 2);
        assert_eq!(
            rows.rows[0],
            [Value::from(1), Value::from("u1@x"), Value::Null]
        );
        assert!(rows.is_cut);
    }

    #[tokio::test]
    async fn endless_statements_are_stopped() {
        let (_folder, database) = shop();
        let sql = readable(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c",
        );
        let limits = Limits {
            time: Duration::from_millis(50),
            ..Limits::default()
        };
        let error = database.rows(&sql, limits).await.unwrap_err();
        assert_eq!(error, DatabaseError::TimedOut(50));
    }

    #[tokio::test]
    async fn functions_over_long_texts_are_stopped() {
        let (_folder, database) = shop();
        let connection = Connection::open(&database.path).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE long (a TEXT); INSERT INTO long SELECT hex(zeroblob(400000))",
            )
            .unwrap();
        // SQLite's own take seconds for each, and minutes for the last.
        for call in [
            "instr(a, substr(a, 1, length(a) / 2) || '0x')",
            "replace(a, substr(a, 1, length(a) / 2) || '0x', '')",
            "rtrim(a, replace(substr(a, 1, 80000), '0', 'x') || '0')",
        ] {
            let sql = format!("SELECT {} FROM long", vec![call; 500].join(",\n"));
            let limits = Limits {
                time: Duration::from_millis(50),
                ..Limits::default()
            };
            let error = database.rows(&readable(&sql), limits).await.unwrap_err();
            assert_eq!(error, DatabaseError::TimedOut(50), "{call}");
        }
    }

    #[tokio::test]
    async fn the_database_is_a_wall_of_its_own() {
        let (_folder, database) = shop();
        let open = || open(&database.path, Duration::from_secs(1), 1 << 20).unwrap();
        for sql in [
            "DELETE FROM users",
            "CREATE TABLE x (a)",
            "PRAGMA query_only = 0",
            "ATTACH ':memory:' AS other",
            "SELECT * FROM sqlite_master",
            "SELECT load_extension('x')",
            "BEGIN",
            "VACUUM",
        ] {
            assert!(read(&open(), sql, &Limits::default()).is_err(), "{sql}");
        }
    }

    #[tokio::test]
    async fn no_value_grows_beyond_its_limit() {
        let (_folder, database) = shop();
        for sql in [
            "SELECT replace(hex(zeroblob(900000)), '00', 'xxxxxxxx')",
            "SELECT replace(hex(zeroblob(500000)), '00', 'xxxxxxxx')",
            "SELECT zeroblob(1000000000)",
            "SELECT length(zeroblob(1000000000))",
            "SELECT length(randomblob(1000000000))",
            "SELECT length(printf('%999999999d', 1))",
            "SELECT length(printf('%.999999999f', 1))",
            "SELECT length(format('%*d', 999999999, 1))",
            "SELECT length(hex(printf('%900000d', 1)))",
            "SELECT length(group_concat(printf('%10000d', 1))) FROM users a, users b, users c",
            "SELECT length(json_group_array(printf('%10000d', 1))) FROM users a, users b, users c",
            "WITH RECURSIVE c(s, n) AS (SELECT 'x', 1 UNION ALL SELECT s || s, n + 1 FROM c WHERE n < 40) SELECT max(length(s)) FROM c",
        ] {
            let connection = open(&database.path, Duration::from_secs(60), 1 << 20).unwrap();
            let error = read(&connection, sql, &Limits::default()).unwrap_err();
            let text = error.to_string();
            assert_eq!(text, "a value is larger than answers may be", "{sql}");
        }
    }

    #[tokio::test]
    async fn statements_are_checked_without_running() {
        let (_folder, database) = shop();
        let limits = Limits::default();
        database
            .check(&readable("SELECT id FROM users"), limits)
            .await
            .unwrap();
        let error = database
            .check(&readable("SELECT nope FROM users"), limits)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("nope"), "{error}");
        let plan = database
            .plan(
                &readable("SELECT total FROM orders WHERE user_id = 1"),
                limits,
            )
            .await
            .unwrap();
        assert!(plan.contains("by_user"), "{plan}");
    }
}
