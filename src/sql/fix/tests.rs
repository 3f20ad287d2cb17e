use super::*;
use crate::sql::Dialect;

const DDL: &str = "
    CREATE TABLE users (id INT PRIMARY KEY, name TEXT NOT NULL, email TEXT, country TEXT, created_at TIMESTAMP);
    CREATE TABLE orders (
        id INT PRIMARY KEY, user_id INT NOT NULL REFERENCES users (id), status TEXT, total NUMERIC, code TEXT, placed_on DATE);
    CREATE TABLE order_items (id INT PRIMARY KEY, order_id INT REFERENCES orders (id), product TEXT, quantity INT);";

fn schema(dialect: Dialect) -> Schema {
    Schema::from_ddl(DDL, dialect).unwrap()
}

fn fixed(sql: &str, message: Option<&str>) -> Fixes {
    fix(sql, &schema(Dialect::Postgres), message)
}

/// The best repair; every one must parse and resolve.
fn best(sql: &str, message: Option<&str>, dialect: Dialect) -> String {
    let schema = schema(dialect);
    let fixes = fix(sql, &schema, message);
    assert!(fixes.candidates.len() <= MOST_CANDIDATES);
    for candidate in &fixes.candidates {
        let statements = parse(&candidate.sql, dialect)
            .unwrap_or_else(|error| panic!("{error}: {}", candidate.sql));
        for statement in statements {
            let problems = resolve(&statement, &schema).problems;
            assert!(problems.is_empty(), "{problems:?}: {}", candidate.sql);
        }
        assert!(!candidate.changes.is_empty() && candidate.sql != sql);
    }
    fixes
        .candidates
        .into_iter()
        .next()
        .map_or(String::new(), |candidate| candidate.sql)
}

fn expect(sql: &str, want: &str) {
    assert_eq!(
        best(sql, None, Dialect::Postgres),
        want,
        "{sql}: {:#?}",
        fixed(sql, None)
    );
}

#[test]
fn what_is_right_is_left_alone() {
    for sql in [
        "SELECT id FROM users",
        "SELECT country, count(*) FROM users GROUP BY country HAVING count(*) > 2",
        "UPDATE users SET email = NULL WHERE id = 1",
        "SELECT u.name, count(*) FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.id",
        "SELECT date_trunc('day', created_at) AS d, count(*) FROM users GROUP BY d",
        "SELECT country, count(*) FROM users GROUP BY 1",
        "SELECT id, rank() OVER (ORDER BY total) FROM orders",
    ] {
        assert_eq!(fixed(sql, None), Fixes::default(), "{sql}");
    }
}

#[test]
fn commas_are_added_and_removed() {
    expect("SELECT id, name, FROM users", "SELECT id, name FROM users");
    expect(
        "SELECT id, name email, country FROM users WHERE id IN (1, 2,)",
        "SELECT id, name email, country FROM users WHERE id IN (1, 2)",
    );
    expect(
        "SELECT id name email FROM users",
        "SELECT id, name, email FROM users",
    );
    expect("SELECT id, , name FROM users", "SELECT id, name FROM users");
    expect(
        "INSERT INTO users (id, name,) VALUES (1, 'a')",
        "INSERT INTO users (id, name) VALUES (1, 'a')",
    );
    expect(
        "INSERT INTO users (id, name) VALUES (1 'a')",
        "INSERT INTO users (id, name) VALUES (1, 'a')",
    );
}

#[test]
fn brackets_and_quotes_are_balanced() {
    expect("SELECT count(* FROM users", "SELECT count(*) FROM users");
    expect(
        "SELECT id FROM users WHERE id IN (1, 2",
        "SELECT id FROM users WHERE id IN (1, 2)",
    );
    expect(
        "SELECT id FROM users WHERE (id = 1))",
        "SELECT id FROM users WHERE (id = 1)",
    );
    expect(
        "SELECT id FROM users WHERE name = 'bob",
        "SELECT id FROM users WHERE name = 'bob'",
    );
    expect(
        "SELECT id FROM users WHERE name = 'bob AND id = 2",
        "SELECT id FROM users WHERE name = 'bob' AND id = 2",
    );
    expect(
        "SELECT id FROM users WHERE name = ‘bob’",
        "SELECT id FROM users WHERE name = 'bob'",
    );
}

#[test]
fn misspelt_keywords_are_mended() {
    for (wrong, right) in [
        ("SELCT id FROM users", "SELECT id FROM users"),
        ("SELECT id FORM users", "SELECT id FROM users"),
        (
            "SELECT id FROM users WEHRE id = 1",
            "SELECT id FROM users WHERE id = 1",
        ),
        (
            "SELECT country, count(*) FROM users GROPU BY country",
            "SELECT country, count(*) FROM users GROUP BY country",
        ),
        (
            "SELECT id FROM users ODER BY id",
            "SELECT id FROM users ORDER BY id",
        ),
        (
            "SELECT id FROM users ORDER id",
            "SELECT id FROM users ORDER BY id",
        ),
        (
            "SELECT id FROM users ORDERBY id",
            "SELECT id FROM users ORDER BY id",
        ),
        (
            "select id form users were id = 1",
            "select id from users where id = 1",
        ),
        (
            "INSERT INTO users (id, name) VALEUS (1, 'a')",
            "INSERT INTO users (id, name) VALUES (1, 'a')",
        ),
        (
            "UPDTE users SET name = 'x' WHERE id = 1",
            "UPDATE users SET name = 'x' WHERE id = 1",
        ),
        (
            "SELECT id FROM users WHERE WHERE id = 1",
            "SELECT id FROM users WHERE id = 1",
        ),
        (
            "SELECT id FROM users WHERE id = 1 AND",
            "SELECT id FROM users WHERE id = 1",
        ),
        (
            "SELECT id FROM users WHERE id = 1 name = 'x'",
            "SELECT id FROM users WHERE id = 1 AND name = 'x'",
        ),
        (
            "SELECT id FROM users WHERE id IN 1, 2",
            "SELECT id FROM users WHERE id IN (1, 2)",
        ),
    ] {
        expect(wrong, right);
    }
}

#[test]
fn clauses_come_in_order_and_missing_ones_are_added() {
    expect(
        "SELECT id WHERE id = 1 FROM users",
        "SELECT id FROM users WHERE id = 1",
    );
    expect(
        "SELECT id FROM users LIMIT 5 ORDER BY id",
        "SELECT id FROM users ORDER BY id LIMIT 5",
    );
    expect(
        "SELECT country, count(*) FROM users GROUP BY country WHERE id > 3",
        "SELECT country, count(*) FROM users WHERE id > 3 GROUP BY country",
    );
    expect("SELECT * users", "SELECT * FROM users");
    expect(
        "SELECT email WHERE email LIKE 'a%'",
        "SELECT email FROM users WHERE email LIKE 'a%'",
    );
    expect(
        "SELECT orders.status, users.name FROM orders",
        "SELECT orders.status, users.name FROM orders JOIN users ON orders.user_id = users.id",
    );
    expect(
        "SELECT o.status, u.name FROM orders o JOIN users u",
        "SELECT o.status, u.name FROM orders o JOIN users u ON o.user_id = u.id",
    );
}

#[test]
fn what_is_never_true_or_not_allowed_is_rewritten() {
    expect(
        "SELECT id FROM users WHERE email = NULL",
        "SELECT id FROM users WHERE email IS NULL",
    );
    expect(
        "SELECT id FROM users WHERE id > 1 AND email <> NULL",
        "SELECT id FROM users WHERE id > 1 AND email IS NOT NULL",
    );
    expect(
        "SELECT id FROM users WHERE id == 1",
        "SELECT id FROM users WHERE id = 1",
    );
    expect(
        "SELECT country, count(*) FROM users",
        "SELECT country, count(*) FROM users GROUP BY country",
    );
    expect(
        "SELECT u.country, o.status, sum(o.total) FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.country ORDER BY 1",
        "SELECT u.country, o.status, sum(o.total) FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.country, o.status ORDER BY 1",
    );
    expect(
        "SELECT country FROM users WHERE count(*) > 3 AND id > 1 GROUP BY country",
        "SELECT country FROM users WHERE id > 1 GROUP BY country HAVING count(*) > 3",
    );
}

#[test]
fn dialects_are_translated() {
    for (sql, dialect, want) in [
        (
            "SELECT id FROM orders WHERE status = \"paid\"",
            Dialect::Postgres,
            "SELECT id FROM orders WHERE status = 'paid'",
        ),
        (
            "SELECT TOP 5 id FROM orders ORDER BY id",
            Dialect::Postgres,
            "SELECT id FROM orders ORDER BY id LIMIT 5",
        ),
        (
            "SELECT id FROM orders ORDER BY id LIMIT 5",
            Dialect::MsSql,
            "SELECT TOP 5 id FROM orders ORDER BY id",
        ),
        (
            "SELECT id FROM orders ORDER BY id LIMIT 5 OFFSET 10",
            Dialect::MsSql,
            "SELECT id FROM orders ORDER BY id OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY",
        ),
        (
            "SELECT id FROM orders LIMIT 10, 5",
            Dialect::Postgres,
            "SELECT id FROM orders LIMIT 5 OFFSET 10",
        ),
        (
            "SELECT `id` FROM `orders`",
            Dialect::Postgres,
            "SELECT \"id\" FROM \"orders\"",
        ),
        (
            "SELECT ifnull(status, 'x') FROM orders",
            Dialect::Postgres,
            "SELECT coalesce(status, 'x') FROM orders",
        ),
        (
            "SELECT id FROM orders WHERE status ILIKE 'p%'",
            Dialect::MySql,
            "SELECT id FROM orders WHERE status LIKE 'p%'",
        ),
    ] {
        assert_eq!(best(sql, None, dialect), want, "{sql}");
    }
}

#[test]
fn names_become_those_of_the_schema() {
    expect("SELECT nme FROM user", "SELECT name FROM users");
    expect("SELECT u.emial FROM users u", "SELECT u.email FROM users u");
    expect(
        "SELECT id FROM orders WHERE status = paid",
        "SELECT id FROM orders WHERE status = 'paid'",
    );
    expect("SELECT users.id FROM users u", "SELECT u.id FROM users u");
    let fixes = fixed("SELECT nme, FROM usrs WEHRE id = 1", None);
    assert_eq!(
        fixes.candidates[0].sql, "SELECT name FROM users WHERE id = 1",
        "{fixes:#?}"
    );
}

#[test]
fn messages_lead_to_repairs() {
    for (sql, message, want) in [
        (
            "SELECT u.nme FROM users u",
            "ERROR:  column u.nme does not exist\nHINT:  Perhaps you meant to reference the column \"u.name\".",
            "SELECT u.name FROM users u",
        ),
        (
            "SELECT id FROM usrs",
            "ERROR: relation \"usrs\" does not exist",
            "SELECT id FROM users",
        ),
        (
            "SELECT id FROM users u JOIN orders o ON o.user_id = u.id",
            "column reference \"id\" is ambiguous",
            "SELECT u.id FROM users u JOIN orders o ON o.user_id = u.id",
        ),
        (
            "SELECT status, count(*) FROM orders GROUP BY placed_on",
            "column \"orders.status\" must appear in the GROUP BY clause or be used in an aggregate function",
            "SELECT status, count(*) FROM orders GROUP BY placed_on, status",
        ),
        (
            "SELECT id FROM orders WHERE code = 5",
            "ERROR:  operator does not exist: text = integer\nLINE 1: SELECT id FROM orders WHERE code = 5",
            "SELECT id FROM orders WHERE code = '5'",
        ),
        (
            "SELECT o.id FROM orders o JOIN users u ON u.name = o.user_id",
            "operator does not exist: text = integer",
            "SELECT o.id FROM orders o JOIN users u ON u.name = CAST(o.user_id AS TEXT)",
        ),
        (
            "SELECT id FORM users",
            "syntax error at or near \"users\"",
            "SELECT id FROM users",
        ),
    ] {
        assert_eq!(best(sql, Some(message), Dialect::Postgres), want, "{sql}");
    }
    assert_eq!(
        best(
            "SELECT id FROM (SELECT id FROM users)",
            Some("subquery in FROM must have an alias"),
            Dialect::Postgres
        ),
        "SELECT id FROM (SELECT id FROM users) AS sub1"
    );
    assert_eq!(
        best(
            "SELECT nme FROM users",
            Some("no such column: nme"),
            Dialect::Sqlite
        ),
        "SELECT name FROM users"
    );
    assert_eq!(
        best(
            "SELECT status FROM ordrs",
            Some("Table 'shop.ordrs' doesn't exist"),
            Dialect::MySql
        ),
        "SELECT status FROM orders"
    );
}

#[test]
fn candidates_differ() {
    let fixes = fixed(
        "SELECT id FROM users u JOIN orders o ON o.user_id = u.id",
        Some("column reference \"id\" is ambiguous"),
    );
    let texts: Vec<&str> = fixes
        .candidates
        .iter()
        .map(|candidate| candidate.sql.as_str())
        .collect();
    assert!(texts.len() > 1 && texts[0] != texts[1], "{texts:?}");
    assert!(texts[1].starts_with("SELECT o.id"), "{texts:?}");
}

#[test]
fn what_cannot_be_mended_is_only_told() {
    let fixes = fixed("SELECT zzzz FROM qqqq", None);
    assert!(
        fixes.candidates.is_empty() && !fixes.problems.is_empty(),
        "{fixes:?}"
    );
    let fixes = fixed("the cat sat on the mat", None);
    assert!(!fixes.problems.is_empty());
    let long = format!("SELECT '{}", "x".repeat(70_000));
    assert!(fixed(&long, None).candidates.is_empty());
}

#[test]
fn any_text_is_answered() {
    for sql in [
        "",
        ";",
        "'",
        "(((((",
        "SELECT",
        "SELECT SELECT SELECT",
        "\u{0}",
        "SELECT 😀 FROM 😀",
        ", , ,",
        "WITH x AS ( SELECT",
        "))))",
    ] {
        for dialect in Dialect::ALL {
            let _ = fix(
                sql,
                &schema(Dialect::Postgres),
                Some("syntax error at or near \"x\""),
            );
            let _ = fix(sql, &schema(dialect), None);
        }
    }
}

#[test]
fn without_a_schema_only_the_grammar_counts() {
    let none = Schema::default();
    assert_eq!(fix("SELECT a FROM b", &none, None), Fixes::default());
    assert_eq!(
        fix("SELECT a FORM b", &none, None).candidates[0].sql,
        "SELECT a FROM b"
    );
}

#[test]
fn a_search_ends_however_much_is_wrong() {
    let schema = schema(Dialect::Postgres);
    let names: Vec<String> = (0..7_000).map(|at| format!("\"z{at}\"")).collect();
    let unknown = format!("SELECT {} FROM users", names.join(","));
    let commas = format!("SELECT {} FROM users", ",".repeat(30_000));
    let brackets = format!("SELECT id FROM users WHERE id = 1{}", ")".repeat(30_000));
    for sql in [unknown, commas, brackets] {
        let mut search = Search::new(&sql, &schema, None);
        assert!(search.edits(&search.texts[0]).len() < 100);
        assert!(search.candidates().is_empty());
        assert!(search.kept_bytes <= KEPT_BYTES && search.texts.len() < 1_000);
    }
}

#[test]
fn thousands_of_unknown_names_are_all_told() {
    let names: Vec<String> = (0..7_000).map(|at| format!("z{at}")).collect();
    let fixes = fixed(&format!("SELECT {} FROM users", names.join(",")), None);
    assert_eq!(fixes.problems.len(), 7_000);
    assert!(fixes.candidates.is_empty());
}

#[test]
fn long_lists_are_mended_too() {
    let open = format!("SELECT id FROM users WHERE id IN ({}", ["1"; 500].join(","));
    expect(&open, &format!("{open})"));
    let open = format!("{open} ORDER BY id");
    expect(&open, &open.replace(" ORDER", ") ORDER"));
}
