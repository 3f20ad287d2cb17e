use rusqlite::Connection;

use super::*;

const CLINIC: &str = "
    CREATE TABLE departments (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL UNIQUE, parent_id INTEGER REFERENCES departments (id));
    CREATE TABLE doctors (
        id INTEGER PRIMARY KEY AUTOINCREMENT, first_name TEXT NOT NULL, email VARCHAR(60) NOT NULL UNIQUE,
        department_id INTEGER NOT NULL REFERENCES departments (id), license CHAR(3) NOT NULL UNIQUE,
        salary NUMERIC(8, 2) NOT NULL CHECK (salary >= 1000 AND salary < 20000));
    CREATE TABLE patients (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL CHECK (length(name) >= 3), born DATE CHECK (born BETWEEN '1930-01-01' AND '2020-12-31'),
        blood TEXT CHECK (blood IN ('A', 'B', 'AB', '0')), weight REAL CHECK (weight > 0), is_active BOOLEAN NOT NULL);
    CREATE TABLE visits (
        id INTEGER PRIMARY KEY, patient_id INTEGER NOT NULL REFERENCES patients (id), doctor_id INTEGER NOT NULL REFERENCES doctors (id),
        starts_at TIMESTAMP NOT NULL, ends_at TIMESTAMP NOT NULL, price NUMERIC(6, 2), paid NUMERIC(6, 2),
        code TEXT CHECK (code LIKE 'V-%'), CHECK (ends_at >= starts_at), CHECK (paid IS NULL OR paid <= price));
    CREATE TABLE visit_tags (visit_id INTEGER NOT NULL REFERENCES visits (id), tag_id INTEGER NOT NULL REFERENCES tags (id), PRIMARY KEY (visit_id, tag_id));
    CREATE TABLE tags (id INTEGER PRIMARY KEY, label TEXT NOT NULL);
    CREATE TABLE profiles (patient_id INTEGER PRIMARY KEY REFERENCES patients (id), photo BLOB, settings JSON);";

fn schema(ddl: &str, dialect: Dialect) -> Schema {
    Schema::from_ddl(ddl, dialect).unwrap()
}

/// A database with the DDL and the rows, foreign keys on.
fn filled(ddl: &str, data: &TestData) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    db.execute_batch(ddl).unwrap();
    for statement in &data.statements {
        db.execute_batch(statement)
            .unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    db
}

fn number(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_database_with_its_foreign_keys_on_takes_the_rows() {
    for seed in 0..5 {
        let data = testdata(&schema(CLINIC, Dialect::Sqlite), 50, seed);
        assert_eq!(data.warnings, Vec::<String>::new());
        let db = filled(CLINIC, &data);
        for table in [
            "departments",
            "doctors",
            "patients",
            "visits",
            "visit_tags",
            "tags",
            "profiles",
        ] {
            assert_eq!(
                number(&db, &format!("SELECT count(*) FROM {table}")),
                50,
                "{table}"
            );
        }
        assert_eq!(
            number(&db, "SELECT count(*) FROM pragma_foreign_key_check"),
            0
        );
        assert_eq!(
            number(&db, "SELECT count(*) FROM doctors WHERE email LIKE '%_@_%'"),
            50
        );
        assert!(number(&db, "SELECT count(DISTINCT blood) FROM patients") > 2);
        assert!(
            number(
                &db,
                "SELECT count(*) FROM departments WHERE parent_id IS NOT NULL"
            ) > 10
        );
        assert!(
            number(
                &db,
                "SELECT count(*) FROM departments WHERE length(name) > 40"
            ) == 0
        );
    }
}

#[test]
fn the_seed_decides() {
    let schema = schema(CLINIC, Dialect::Sqlite);
    assert_eq!(testdata(&schema, 20, 7), testdata(&schema, 20, 7));
    assert_ne!(testdata(&schema, 20, 7), testdata(&schema, 20, 8));
}

#[test]
fn what_cannot_be_is_said() {
    let few = "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE t (grade TEXT UNIQUE NOT NULL CHECK (grade IN ('x', 'y')));";
    let data = testdata(&schema(few, Dialect::Sqlite), 10, 1);
    assert!(
        data.warnings
            .iter()
            .any(|w| w.starts_with("t got 2 of 10 rows")),
        "{:?}",
        data.warnings
    );
    assert_eq!(number(&filled(few, &data), "SELECT count(*) FROM t"), 2);
    let strange = "CREATE TABLE t (a TEXT CHECK (regexp_like(a, 'x+')))";
    let data = testdata(&schema(strange, Dialect::Sqlite), 1, 1);
    assert!(
        data.warnings[0].contains("is not understood"),
        "{:?}",
        data.warnings
    );
}

#[test]
fn circles_of_keys_are_closed_afterwards() {
    let ddl = "CREATE TABLE teams (id INTEGER PRIMARY KEY, lead_id INTEGER REFERENCES members (id));
        CREATE TABLE members (id INTEGER PRIMARY KEY, team_id INTEGER NOT NULL REFERENCES teams (id));";
    let data = testdata(&schema(ddl, Dialect::Sqlite), 5, 3);
    let db = filled(ddl, &data);
    assert_eq!(
        number(&db, "SELECT count(*) FROM teams WHERE lead_id IS NOT NULL"),
        5
    );
    let own = "CREATE TABLE nodes (id INTEGER PRIMARY KEY, root_id INTEGER NOT NULL REFERENCES nodes (id));";
    let db = filled(own, &testdata(&schema(own, Dialect::Sqlite), 5, 3));
    assert_eq!(number(&db, "SELECT count(*) FROM nodes"), 5);
}

#[test]
fn keys_of_several_columns_point_at_one_row() {
    let ddl = "CREATE TABLE seats (hall INTEGER, seat INTEGER, PRIMARY KEY (hall, seat));
        CREATE TABLE tickets (id INTEGER PRIMARY KEY, hall INTEGER NOT NULL, seat INTEGER NOT NULL, day DATE NOT NULL,
            UNIQUE (hall, seat, day), FOREIGN KEY (hall, seat) REFERENCES seats (hall, seat));
        CREATE TABLE one (seat_hall INTEGER, seat_seat INTEGER, UNIQUE (seat_hall, seat_seat), FOREIGN KEY (seat_hall, seat_seat) REFERENCES seats (hall, seat));";
    let data = testdata(&schema(ddl, Dialect::Sqlite), 40, 2);
    let db = filled(ddl, &data);
    assert_eq!(
        number(&db, "SELECT count(*) FROM tickets"),
        40,
        "{:?}",
        data.warnings
    );
    assert_eq!(
        number(&db, "SELECT count(*) FROM one"),
        40,
        "{:?}",
        data.warnings
    );
}

#[test]
fn small_types_and_strict_checks_hold() {
    let ddl = "CREATE TABLE t (
            id SMALLINT PRIMARY KEY CHECK (id > 100), code VARCHAR(2) UNIQUE NOT NULL, share DECIMAL(3, 2) CHECK (share > 0 AND share < 1),
            n INTEGER NOT NULL CHECK (n <> 0 AND n BETWEEN -3 AND 3), a INTEGER NOT NULL, b INTEGER NOT NULL, total INTEGER GENERATED ALWAYS AS (a + b) STORED,
            label TEXT NOT NULL CHECK (length(label) = 12), low TEXT NOT NULL CHECK (low = lower(low)), CHECK (a < b), CHECK (NOT (a = 5)));";
    let data = testdata(&schema(ddl, Dialect::Sqlite), 200, 11);
    assert_eq!(data.warnings, Vec::<String>::new());
    assert_eq!(number(&filled(ddl, &data), "SELECT count(*) FROM t"), 200);
}

#[test]
fn literals_are_those_of_the_dialect() {
    let ddl = "CREATE TABLE t (id BIGINT PRIMARY KEY, ok BOOLEAN NOT NULL, raw BYTEA NOT NULL)";
    for (dialect, want) in [
        (Dialect::Postgres, "'\\x"),
        (Dialect::MySql, "X'"),
        (Dialect::MsSql, "0x"),
    ] {
        let ddl = match dialect {
            Dialect::Postgres => ddl.to_owned(),
            Dialect::MySql => ddl.replace("BYTEA", "BLOB"),
            _ => ddl
                .replace("BYTEA", "VARBINARY(20)")
                .replace("BOOLEAN", "BIT"),
        };
        let data = testdata(&schema(&ddl, dialect), 3, 1);
        assert!(
            data.statements[0].contains(want),
            "{dialect:?}: {}",
            data.statements[0]
        );
        for statement in &data.statements {
            assert!(
                crate::sql::statement::parse(statement, dialect).is_ok(),
                "{statement}"
            );
        }
    }
    let serial = testdata(
        &schema(
            "CREATE TABLE t (id SERIAL PRIMARY KEY, a TEXT)",
            Dialect::Postgres,
        ),
        3,
        1,
    );
    assert_eq!(
        serial.statements.last().unwrap(),
        "SELECT setval(pg_get_serial_sequence('t', 'id'), 3);"
    );
    let identity = "CREATE TABLE t (id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a TEXT)";
    let data = testdata(&schema(identity, Dialect::Postgres), 1, 1);
    assert!(
        data.statements[0].contains("OVERRIDING SYSTEM VALUE"),
        "{}",
        data.statements[0]
    );
}

#[test]
fn a_check_for_endless_text_is_not_met() {
    let ddl = |check: &str| format!("CREATE TABLE t (a TEXT NOT NULL CHECK ({check}))");
    for check in [
        "length(a) >= 10000000000",
        "length(a) = 9223372036854775807",
    ] {
        let data = testdata(&schema(&ddl(check), Dialect::Sqlite), 3, 1);
        assert_eq!(
            data.warnings,
            ["t got 0 of 3 rows: its keys and checks allow no more, or they were not found"]
        );
        assert!(data.statements.is_empty(), "{:?}", data.statements);
    }
    let long = ddl("length(a) >= 10000");
    let data = testdata(&schema(&long, Dialect::Sqlite), 3, 1);
    assert_eq!(data.warnings, Vec::<String>::new());
    assert_eq!(number(&filled(&long, &data), "SELECT count(*) FROM t"), 3);
    let letters = "b".repeat(10_001);
    for check in [format!("a LIKE '{letters}'"), format!("a IN ('{letters}')")] {
        let data = testdata(&schema(&ddl(&check), Dialect::Sqlite), 3, 1);
        assert!(data.warnings[0].starts_with("t got 0 of 3 rows"));
    }
}

#[test]
fn wide_types_get_no_wide_texts() {
    let ddl = "CREATE TABLE t (a CHAR(1000000000) NOT NULL, b CHAR(1000000000) UNIQUE NOT NULL)";
    let data = testdata(&schema(ddl, Dialect::Postgres), 1, 1);
    assert_eq!(data.warnings, Vec::<String>::new());
    assert!((20_000..20_200).contains(&data.statements[0].len()));
}

#[test]
fn long_texts_make_fewer_rows() {
    let ddl = "CREATE TABLE t (a CHAR(10000) NOT NULL, b CHAR(10000) NOT NULL); CREATE TABLE u (a TEXT NOT NULL);";
    let data = testdata(&schema(ddl, Dialect::Postgres), 5_000, 1);
    assert_eq!(
        data.warnings,
        [
            "t got 1678 of 5000 rows: all texts together take 33554432 bytes at most",
            "u got 0 of 5000 rows: all texts together take 33554432 bytes at most"
        ]
    );
}

#[test]
fn many_columns_allow_fewer_rows() {
    let columns: Vec<String> = (0..1_000).map(|at| format!("c{at} INT")).collect();
    let ddl = format!("CREATE TABLE t ({})", columns.join(", "));
    assert_eq!(most_rows(&schema(&ddl, Dialect::Sqlite)), 1_000);
    assert_eq!(most_rows(&schema(CLINIC, Dialect::Sqlite)), MOST_ROWS);
    assert_eq!(most_rows(&Schema::default()), MOST_ROWS);
}
