use rusqlite::Connection;

use super::*;
use crate::sql::Table;

fn made(from: &str, to: &str, dialect: Dialect) -> Migration {
    migrate(from, to, dialect).unwrap()
}

fn warns(migration: &Migration, text: &str) {
    let found = migration
        .warnings
        .iter()
        .any(|warning| warning.contains(text));
    assert!(found, "{text:?} is not in {:#?}", migration.warnings);
}

/// Statements that a database may be given, as DDL again.
fn applied(from: &str, statements: &[String], dialect: Dialect) -> Schema {
    let mut ddl = from.trim().trim_end_matches(';').to_owned();
    for statement in statements {
        ddl.push_str(";\n");
        ddl.push_str(statement);
    }
    Schema::from_ddl(&ddl, dialect).unwrap_or_else(|error| panic!("{error}: {ddl}"))
}

/// A table without the order of its parts.
fn sorted(mut table: Table) -> Table {
    table.columns.sort_by(|a, b| a.name.cmp(&b.name));
    for column in &mut table.columns {
        column.type_name = column.type_name.to_lowercase();
    }
    table.uniques.sort();
    table.checks.sort();
    table.foreign_keys.sort_by(|a, b| a.columns.cmp(&b.columns));
    table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
    table
}

fn tables(schema: Schema) -> Vec<Table> {
    let mut tables: Vec<Table> = schema.tables.into_iter().map(sorted).collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    tables
}

const SHOP: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT);
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id),
        total NUMERIC(10,2) NOT NULL DEFAULT 0, note TEXT);
    CREATE INDEX orders_customer ON orders (customer_id);
    CREATE TABLE legacy (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id));";
const NEW_SHOP: &str = "
    CREATE TABLE customers (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL DEFAULT '', country TEXT NOT NULL,
        UNIQUE (email, country));
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
        total NUMERIC(12,2) NOT NULL DEFAULT 0, status TEXT DEFAULT 'new' CHECK (status <> ''));
    CREATE INDEX orders_customer ON orders (customer_id, status);
    CREATE TABLE items (
        id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders (id), parent_id INTEGER REFERENCES items (id));";

/// What a table of SQLite is made of: columns, keys and indexes as the database tells them.
fn shape(db: &Connection) -> Vec<String> {
    let rows = |sql: &str| -> Vec<String> {
        let mut statement = db.prepare(sql).unwrap();
        let count = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cells = (0..count).map(|at| row.get_ref(at).map(|value| format!("{value:?}")));
            Ok(cells.collect::<Result<Vec<_>, _>>()?.join(" "))
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    };
    let names: Vec<String> = {
        let mut names = db
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .unwrap();
        let names = names.query_map([], |row| row.get(0)).unwrap();
        names.collect::<Result<_, _>>().unwrap()
    };
    let mut shape = Vec::new();
    for name in names {
        shape.push(name.clone());
        shape.extend(rows(&format!("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{name}') ORDER BY name")));
        shape.extend(rows(&format!("SELECT \"table\", \"from\", \"to\", on_delete FROM pragma_foreign_key_list('{name}') ORDER BY \"from\"")));
        shape.extend(rows(&format!(
            "SELECT l.\"unique\", l.origin, group_concat(i.name) FROM pragma_index_list('{name}') l, pragma_index_info(l.name) i \
             GROUP BY l.name ORDER BY 3"
        )));
    }
    shape
}

fn opened(ddl: &str) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(ddl).unwrap();
    db
}

fn run(db: &Connection, statements: &[String]) {
    for statement in statements {
        db.execute_batch(statement)
            .unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
}

#[test]
fn sqlite_tables_become_the_new_ones_and_the_old_ones_again() {
    let migration = made(SHOP, NEW_SHOP, Dialect::Sqlite);
    let db = opened(SHOP);
    db.execute_batch(
        "INSERT INTO customers VALUES (1, 'Ann', NULL), (2, 'Bob', 'b@x');
         INSERT INTO orders VALUES (10, 1, 5.5, 'hi'), (11, 2, 7, NULL);",
    )
    .unwrap();
    run(&db, &migration.up);
    assert_eq!(shape(&db), shape(&opened(NEW_SHOP)), "{:#?}", migration.up);
    let kept: (i64, String, f64, String) = db
        .query_row(
            "SELECT count(*), max(c.email), sum(o.total), min(c.country) FROM orders o JOIN customers c ON c.id = o.customer_id",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .unwrap();
    assert_eq!(kept, (2, "b@x".to_owned(), 12.5, String::new()));
    let broken: i64 = db
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(broken, 0);
    run(&db, &migration.down);
    assert_eq!(shape(&db), shape(&opened(SHOP)), "{:#?}", migration.down);
}

#[test]
fn small_changes_of_sqlite_keep_the_table() {
    let to = SHOP
        .replace("email TEXT)", "email TEXT, age INTEGER DEFAULT 3)")
        .replace(", note TEXT", "");
    let migration = made(SHOP, &to, Dialect::Sqlite);
    assert_eq!(
        migration.up,
        [
            "ALTER TABLE customers ADD COLUMN age INTEGER DEFAULT 3",
            "ALTER TABLE orders DROP COLUMN note"
        ]
    );
    run(&opened(SHOP), &migration.up);
}

#[test]
fn loss_is_told() {
    let migration = made(SHOP, NEW_SHOP, Dialect::Postgres);
    warns(&migration, "table legacy is dropped with all its rows");
    warns(&migration, "column orders.note is dropped with its values");
    warns(
        &migration,
        "customers.email becomes NOT NULL: rows without a value get its default",
    );
    warns(
        &migration,
        "customers.country is added as NOT NULL without a default",
    );
    warns(
        &migration,
        "the way back restores what was dropped, but not the data in it",
    );
    let narrower = made(
        "CREATE TABLE t (a BIGINT, b VARCHAR(50), c NUMERIC(10, 4), d TEXT, e TIMESTAMP, f INT, g VARCHAR(5))",
        "CREATE TABLE t (a INT, b VARCHAR(20), c NUMERIC(10, 2), d INT, e DATE, f BIGINT, g TEXT)",
        Dialect::Postgres,
    );
    for column in ["t.a", "t.b", "t.c", "t.d", "t.e"] {
        warns(&narrower, column);
    }
    let harmless = |warning: &&String| warning.contains("t.f") || warning.contains("t.g");
    assert_eq!(narrower.warnings.iter().find(harmless), None);
    let renamed = made(
        "CREATE TABLE t (id INT, full_name TEXT)",
        "CREATE TABLE t (id INT, name TEXT)",
        Dialect::Postgres,
    );
    warns(&renamed, "if it is now called name, rename it instead");
}

#[test]
fn postgres_statements_give_the_new_schema_when_read_as_ddl() {
    let migration = made(SHOP, NEW_SHOP, Dialect::Postgres);
    let dialect = Dialect::Postgres;
    // Keys that are dropped by name are beyond what reading DDL follows, so columns and new tables are compared.
    let columns = |schema: Schema| -> Vec<(String, Vec<crate::sql::Column>)> {
        tables(schema)
            .into_iter()
            .map(|table| (table.name, table.columns))
            .collect()
    };
    let got = applied(SHOP, &migration.up, dialect);
    let mut got = columns(got);
    got.retain(|(name, _)| name != "legacy");
    assert_eq!(
        got,
        columns(Schema::from_ddl(NEW_SHOP, dialect).unwrap()),
        "{:#?}",
        migration.up
    );
    let from_nothing = made("", NEW_SHOP, dialect);
    let got = applied("", &from_nothing.up, dialect);
    assert_eq!(
        tables(got),
        tables(Schema::from_ddl(NEW_SHOP, dialect).unwrap())
    );
}

#[test]
fn every_dialect_reads_what_it_is_given() {
    for dialect in [
        Dialect::Postgres,
        Dialect::MySql,
        Dialect::Sqlite,
        Dialect::DuckDb,
    ] {
        let migration = made(SHOP, NEW_SHOP, dialect);
        for statement in migration.up.iter().chain(&migration.down) {
            let known = crate::sql::statement::parse(statement, dialect);
            assert!(known.is_ok(), "{dialect:?}: {known:?}: {statement}");
        }
    }
}

#[test]
fn nothing_changes_where_nothing_differs() {
    for dialect in Dialect::ALL {
        let migration = made(SHOP, SHOP, dialect);
        assert_eq!(
            (
                migration.up.len(),
                migration.down.len(),
                migration.warnings.len()
            ),
            (0, 0, 0),
            "{dialect:?}"
        );
    }
    let same = made(
        "CREATE TABLE t (a INT4, b CHARACTER VARYING(5))",
        "CREATE TABLE t (a integer, b varchar(5))",
        Dialect::Postgres,
    );
    assert!(same.up.is_empty(), "{:?}", same.up);
}

#[test]
fn names_and_actions_of_keys_are_kept() {
    let from = "CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE b (id INT, a_id INT, CONSTRAINT to_a FOREIGN KEY (a_id) \
        REFERENCES a (id) ON DELETE CASCADE, CONSTRAINT pos CHECK (id > 0))";
    let to = "CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE b (id INT, a_id INT)";
    let migration = made(from, to, Dialect::Postgres);
    assert_eq!(
        migration.up,
        [
            "ALTER TABLE b DROP CONSTRAINT to_a",
            "ALTER TABLE b DROP CONSTRAINT pos"
        ]
    );
    assert_eq!(
        migration.down,
        [
            "ALTER TABLE b ADD CONSTRAINT pos CHECK (id > 0)",
            "ALTER TABLE b ADD CONSTRAINT to_a FOREIGN KEY (a_id) REFERENCES a (id) ON DELETE CASCADE"
        ]
    );
}

#[test]
fn tables_that_point_at_each_other_are_created_and_dropped() {
    let ddl = "CREATE TABLE a (id INT PRIMARY KEY, b_id INT); CREATE TABLE b (id INT PRIMARY KEY, a_id INT REFERENCES a (id)); \
        ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (b_id) REFERENCES b (id)";
    let migration = made("", ddl, Dialect::Postgres);
    assert!(
        migration
            .up
            .last()
            .unwrap()
            .starts_with("ALTER TABLE a ADD CONSTRAINT a_b"),
        "{:?}",
        migration.up
    );
    assert!(
        migration.down[0].contains("DROP CONSTRAINT"),
        "{:?}",
        migration.down
    );
    assert_eq!(
        migration
            .down
            .iter()
            .filter(|sql| sql.starts_with("DROP TABLE"))
            .count(),
        2
    );
}

#[test]
fn enumerations_grow_and_the_rest_is_named() {
    let from = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t (m mood); CREATE VIEW v AS SELECT 1";
    let to = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad'); CREATE TYPE size AS ENUM ('s'); CREATE TABLE t (m mood, s size)";
    let migration = made(from, to, Dialect::Postgres);
    assert_eq!(
        migration.up,
        [
            "ALTER TYPE mood ADD VALUE 'glad' AFTER 'ok'",
            "CREATE TYPE size AS ENUM ('s')",
            "ALTER TABLE t ADD COLUMN s size"
        ]
    );
    assert_eq!(
        migration.down,
        ["ALTER TABLE t DROP COLUMN s", "DROP TYPE size"]
    );
    warns(&migration, "views");
}
