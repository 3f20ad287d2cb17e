use rusqlite::Connection;

use super::*;
use crate::sql::Dialect;

const DDL: &str = "
    CREATE TABLE users (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT, country TEXT NOT NULL, boss_id INTEGER REFERENCES users (id),
        code TEXT, active BOOLEAN NOT NULL, created_at TIMESTAMP NOT NULL);
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id), seller_id INTEGER REFERENCES users (id),
        status TEXT NOT NULL, total INTEGER, placed_on DATE, note TEXT);
    CREATE TABLE items (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders (id), product TEXT, quantity INTEGER);
    CREATE INDEX orders_user ON orders (user_id, status);";

fn schema(dialect: Dialect) -> Schema {
    Schema::from_ddl(DDL, dialect).unwrap()
}

fn optimized(sql: &str) -> Optimization {
    optimize(sql, &schema(Dialect::Postgres), None).unwrap_or_else(|error| panic!("{error}: {sql}"))
}

fn finding(sql: &str, pattern: Pattern) -> Finding {
    let found = optimized(sql);
    let mut findings = found.findings.into_iter();
    findings
        .find(|finding| finding.pattern == pattern)
        .unwrap_or_else(|| panic!("{pattern:?} is not found in {sql}"))
}

fn has(sql: &str, pattern: Pattern) -> bool {
    optimized(sql)
        .findings
        .iter()
        .any(|finding| finding.pattern == pattern)
}

fn statements(sql: &str) -> Vec<String> {
    let findings = optimized(sql).findings.into_iter();
    findings
        .filter(|finding| finding.pattern == Pattern::MissingIndex)
        .filter_map(|finding| finding.statement)
        .collect()
}

/// Tables with nulls, gaps, rows at the edges of days and years, and rows without a partner.
fn filled() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(DDL).unwrap();
    db.execute_batch(
        "INSERT INTO users SELECT value, 'n' || (value % 7), CASE WHEN value % 4 = 0 THEN NULL ELSE 'u' || value || '@x' END,
            CASE value % 3 WHEN 0 THEN 'DE' WHEN 1 THEN 'FR' ELSE 'JP' END, CASE WHEN value % 5 = 0 THEN NULL ELSE 1 + value % 9 END,
            CASE WHEN value % 6 = 0 THEN NULL ELSE value % 8 END, value % 2,
            datetime('2023-12-20', '+' || (value * 13) || ' hours') FROM generate_series_80;
         INSERT INTO users VALUES (900, 'edge', NULL, 'DE', NULL, '5', 1, '2024-01-01 00:00:00'),
            (901, 'edge', NULL, 'DE', NULL, '05', 1, '2023-12-31 23:59:59'), (902, 'edge', NULL, 'DE', NULL, '7', 0, '2025-01-01 00:00:00');
         INSERT INTO orders SELECT value, 1 + value % 40, CASE WHEN value % 3 = 0 THEN NULL ELSE 1 + value % 50 END,
            CASE value % 4 WHEN 0 THEN 'new' WHEN 1 THEN 'paid' ELSE 'sent' END, CASE WHEN value % 10 = 0 THEN NULL ELSE value % 90 END,
            date('2023-12-25', '+' || (value % 60) || ' days'), CASE WHEN value % 2 THEN 'abc' ELSE NULL END FROM generate_series_200;
         INSERT INTO items SELECT value, 1 + value % 150, 'p' || (value % 11), value % 5 FROM generate_series_200;"
            .replace("generate_series_80", "(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 80) SELECT value FROM n)")
            .replace("generate_series_200", "(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 200) SELECT value FROM n)")
            .as_str(),
    )
    .unwrap();
    db
}

fn rows(db: &Connection, sql: &str) -> Vec<String> {
    let mut statement = db
        .prepare(sql)
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
    let count = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cells = (0..count).map(|at| row.get_ref(at).map(|cell| format!("{cell:?}")));
        Ok(cells.collect::<Result<Vec<_>, _>>()?.join(" "))
    });
    let mut rows: Vec<String> = rows.unwrap().collect::<Result<_, _>>().unwrap();
    rows.sort();
    rows
}

/// Asserts that there is a rewrite with these words, and that it gives the same rows.
fn same_rows(db: &Connection, sql: &str, pattern: Pattern, words: &str) {
    let found = optimize(sql, &schema(Dialect::Sqlite), None).unwrap();
    let finding = found
        .findings
        .iter()
        .find(|finding| finding.pattern == pattern);
    let finding = finding.unwrap_or_else(|| panic!("{pattern:?} is not found in {sql}: {found:?}"));
    assert!(finding.is_rewritten, "{sql}: {finding:?}");
    let better = found
        .rewrite()
        .unwrap_or_else(|| panic!("no rewrite of {sql}: {found:?}"));
    assert!(better.contains(words), "{words:?} is not in {better}");
    let before = rows(db, sql);
    assert_eq!(before, rows(db, &better), "{sql}\n{better}");
    assert!(!before.is_empty(), "{sql} gives no rows to compare");
}

#[test]
fn rewrites_give_the_same_rows() {
    let db = filled();
    for (sql, pattern, words) in [
        (
            "SELECT id FROM users WHERE DATE(created_at) = '2024-01-01'",
            Pattern::FunctionOnColumn,
            "created_at >= '2024-01-01' AND created_at < '2024-01-02'",
        ),
        (
            "SELECT id FROM users WHERE DATE(created_at) > '2024-01-01'",
            Pattern::FunctionOnColumn,
            "created_at >= '2024-01-02'",
        ),
        (
            "SELECT id FROM users WHERE '2024-01-01' >= DATE(created_at)",
            Pattern::FunctionOnColumn,
            "created_at < '2024-01-02'",
        ),
        (
            "SELECT id FROM users WHERE strftime('%Y', created_at) = '2024' AND active = 1",
            Pattern::FunctionOnColumn,
            "created_at < '2025-01-01'",
        ),
        (
            "SELECT id FROM orders WHERE total + 10 > 50",
            Pattern::FunctionOnColumn,
            "total > 40",
        ),
        (
            "SELECT id FROM orders WHERE 50 > total - 5",
            Pattern::FunctionOnColumn,
            "total < 55",
        ),
        (
            "SELECT id FROM users WHERE code = 5",
            Pattern::ImplicitCast,
            "code = '5'",
        ),
        (
            "SELECT id FROM orders WHERE user_id = 7.0",
            Pattern::ImplicitCast,
            "user_id = 7",
        ),
        (
            "SELECT id FROM orders WHERE CAST(total AS TEXT) = '41'",
            Pattern::ImplicitCast,
            "total = 41",
        ),
        (
            "SELECT id FROM orders WHERE status = 'new' OR status = 'paid'",
            Pattern::OrAcrossColumns,
            "status IN ('new', 'paid')",
        ),
        (
            "SELECT o.id, u.name FROM orders o JOIN users u ON u.id = o.user_id WHERE o.total = 11 OR u.country = 'DE'",
            Pattern::OrAcrossColumns,
            "UNION ALL",
        ),
        (
            "SELECT id FROM users u WHERE u.id NOT IN (SELECT user_id FROM orders)",
            Pattern::NotIn,
            "NOT EXISTS",
        ),
        (
            "SELECT id FROM users WHERE users.id NOT IN (SELECT seller_id FROM orders WHERE seller_id IS NOT NULL AND total > 3)",
            Pattern::NotIn,
            "orders.seller_id = users.id",
        ),
        (
            "SELECT u.id, (SELECT COUNT(*) FROM orders o WHERE o.user_id = u.id) FROM users u",
            Pattern::CorrelatedSubquery,
            "COALESCE(sub1.value, 0)",
        ),
        (
            "SELECT u.name, (SELECT MAX(o.total) FROM orders o WHERE o.user_id = u.id AND o.status = 'paid') AS best, \
             (SELECT COUNT(*) FROM orders o WHERE o.seller_id = u.id) AS sold FROM users u WHERE u.country = 'FR'",
            Pattern::CorrelatedSubquery,
            "LEFT JOIN",
        ),
        (
            "SELECT o.id FROM orders o WHERE o.total > (SELECT AVG(i.total) FROM orders i WHERE i.user_id = o.user_id)",
            Pattern::CorrelatedSubquery,
            "o.total > sub1.value",
        ),
        (
            "SELECT u.id FROM users u WHERE (SELECT COUNT(*) FROM orders o WHERE o.user_id = u.id) > 0",
            Pattern::CountToExist,
            "EXISTS (SELECT 1 FROM orders o",
        ),
        (
            "SELECT u.id FROM users u WHERE 0 = (SELECT COUNT(*) FROM orders o WHERE o.user_id = u.id)",
            Pattern::CountToExist,
            "NOT EXISTS",
        ),
        (
            "SELECT id FROM users WHERE id IN (SELECT user_id FROM orders ORDER BY total)",
            Pattern::RedundantOrder,
            "IN (SELECT user_id FROM orders)",
        ),
        (
            "SELECT x.id FROM (SELECT id, total FROM orders ORDER BY total) AS x ORDER BY x.id",
            Pattern::RedundantOrder,
            "FROM orders) AS x",
        ),
        (
            "SELECT DISTINCT u.id, u.name FROM users u JOIN orders o ON o.user_id = u.id WHERE o.total > 20 AND u.country = 'DE'",
            Pattern::DistinctJoin,
            "SELECT u.id, u.name FROM users",
        ),
        (
            "SELECT DISTINCT country FROM users JOIN orders ON user_id = users.id WHERE status = 'paid' ORDER BY country",
            Pattern::DistinctJoin,
            "SELECT DISTINCT country",
        ),
        (
            "SELECT country, COUNT(*) FROM users GROUP BY country HAVING country = 'DE' AND COUNT(*) > 2",
            Pattern::HavingFilter,
            "WHERE country = 'DE' GROUP BY country HAVING COUNT(*) > 2",
        ),
        (
            "SELECT * FROM items WHERE quantity = 3",
            Pattern::SelectStar,
            "SELECT id, order_id, product, quantity FROM items",
        ),
        (
            "SELECT o.*, u.name FROM orders o JOIN users u ON u.id = o.user_id WHERE o.total = 5",
            Pattern::SelectStar,
            "SELECT o.id, o.user_id, o.seller_id",
        ),
    ] {
        same_rows(&db, sql, pattern, words);
    }
}

#[test]
fn what_could_change_the_rows_is_only_told() {
    for (sql, pattern) in [
        // The subquery can give a NULL.
        (
            "SELECT id FROM users WHERE id NOT IN (SELECT seller_id FROM orders)",
            Pattern::NotIn,
        ),
        // The column itself can be one.
        (
            "SELECT id FROM users WHERE users.boss_id NOT IN (SELECT user_id FROM orders)",
            Pattern::NotIn,
        ),
        (
            "SELECT id FROM orders ORDER BY total LIMIT 10 OFFSET 5000",
            Pattern::OffsetPaging,
        ),
        (
            "SELECT o.id FROM orders o JOIN users u ON u.id = o.user_id WHERE o.total = 11 OR u.country = 'DE' LIMIT 5",
            Pattern::OrAcrossColumns,
        ),
        (
            "SELECT u.id FROM users u, orders o WHERE u.country = 'DE'",
            Pattern::CartesianJoin,
        ),
        (
            "SELECT u.id, (SELECT COUNT(*) FROM orders o WHERE o.user_id > u.id) AS n FROM users u",
            Pattern::CorrelatedSubquery,
        ),
    ] {
        let found = finding(sql, pattern);
        assert!(!found.is_rewritten, "{sql}: {found:?}");
    }
    for sql in [
        "SELECT id FROM users WHERE DATE(created_at) = '2024-13-01'",
        "SELECT id FROM users WHERE date_trunc('month', created_at) = '2024-01-15'",
        "SELECT id FROM orders WHERE total * 2 > 50",
        "SELECT DISTINCT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id",
        "SELECT x.id FROM (SELECT id FROM orders ORDER BY total LIMIT 3) AS x ORDER BY x.id",
        "SELECT string_agg(x.note, ',') FROM (SELECT note FROM orders ORDER BY total) AS x",
    ] {
        assert_eq!(optimized(sql).rewrite(), None, "{sql}");
    }
}

#[test]
fn missing_indexes_are_named_exactly() {
    for (sql, want) in [
        (
            "SELECT id FROM orders WHERE status = 'new'",
            "CREATE INDEX orders_status_idx ON orders (status);",
        ),
        (
            "SELECT id FROM users WHERE country = 'DE' AND created_at > '2024-01-01'",
            "CREATE INDEX users_country_created_at_idx ON users (country, created_at);",
        ),
        (
            "SELECT o.id FROM orders o JOIN items i ON i.order_id = o.id WHERE o.id = 5",
            "CREATE INDEX items_order_id_idx ON items (order_id);",
        ),
        (
            "SELECT id FROM orders WHERE status = 'new' ORDER BY placed_on DESC LIMIT 5",
            "CREATE INDEX orders_status_placed_on_idx ON orders (status, placed_on);",
        ),
        (
            "SELECT id FROM users WHERE email LIKE 'a%'",
            "CREATE INDEX users_email_like_idx ON users (email text_pattern_ops);",
        ),
        (
            "DELETE FROM items WHERE product = 'x'",
            "CREATE INDEX items_product_idx ON items (product);",
        ),
        (
            "SELECT id FROM users WHERE EXISTS (SELECT 1 FROM items WHERE items.quantity = users.id)",
            "CREATE INDEX items_quantity_idx ON items (quantity);",
        ),
    ] {
        assert!(
            statements(sql).contains(&want.to_owned()),
            "{want} is not in {:?} for {sql}",
            statements(sql)
        );
    }
    let computed = finding(
        "SELECT id FROM users WHERE lower(email) = 'x'",
        Pattern::FunctionOnColumn,
    );
    assert_eq!(
        computed.statement.as_deref(),
        Some("CREATE INDEX users_lower_email_idx ON users ((lower(email)));")
    );
}

#[test]
fn indexes_that_are_there_are_respected() {
    for sql in [
        "SELECT id FROM orders WHERE user_id = 3",
        "SELECT id FROM orders WHERE user_id = 3 AND status = 'new'",
        "SELECT id FROM orders WHERE status = 'new' AND user_id = 3",
        "SELECT name FROM users WHERE id = 3",
        "SELECT name FROM users WHERE id = 3 AND country = 'DE'",
        "SELECT id FROM users WHERE active = true",
        "SELECT id FROM orders ORDER BY id LIMIT 5",
    ] {
        assert_eq!(statements(sql), Vec::<String>::new(), "{sql}");
    }
    let mut small = schema(Dialect::Postgres);
    small.tables[1].rows = Some(20);
    let found = optimize("SELECT id FROM orders WHERE status = 'new'", &small, None).unwrap();
    assert!(found.findings.is_empty(), "{found:?}");
    let plan = r#"[{"Plan": {"Node Type": "Index Scan", "Relation Name": "orders", "Alias": "orders", "Total Cost": 8.2}}]"#;
    let found = optimize(
        "SELECT id FROM orders WHERE status = 'new'",
        &schema(Dialect::Postgres),
        Some(plan),
    )
    .unwrap();
    assert!(found.findings.is_empty(), "{found:?}");
    let plan = plan.replace("Index Scan", "Seq Scan");
    let found = optimize(
        "SELECT id FROM orders WHERE status = 'new'",
        &schema(Dialect::Postgres),
        Some(&plan),
    )
    .unwrap();
    assert_eq!(found.findings.len(), 1, "{found:?}");
}

#[test]
fn advice_holds_what_to_write() {
    let wildcard = finding(
        "SELECT id FROM users WHERE name LIKE '%nn%'",
        Pattern::LeadingWildcard,
    );
    let want = "CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE INDEX users_name_trgm_idx ON users USING gin (name gin_trgm_ops);";
    assert_eq!(wildcard.statement.as_deref(), Some(want));
    let paging = finding(
        "SELECT id FROM orders ORDER BY placed_on DESC LIMIT 20 OFFSET 5000",
        Pattern::OffsetPaging,
    );
    let want =
        "WHERE (placed_on, id) < (:last_1, :last_2) ORDER BY placed_on DESC, id DESC LIMIT 20";
    assert!(paging.text.contains(want), "{}", paging.text);
    let pairs = finding(
        "SELECT u.name FROM users u, orders o",
        Pattern::CartesianJoin,
    );
    assert!(pairs.text.contains("o.user_id = u.id"), "{}", pairs.text);
    let all = finding("SELECT id FROM orders", Pattern::NoLimit);
    assert!(all.text.contains("all rows of orders"), "{}", all.text);
    assert!(has("UPDATE orders SET total = 1", Pattern::NoFilter));
    assert!(has(
        "SELECT u.id FROM users u JOIN orders o ON o.user_id = u.code",
        Pattern::ImplicitCast
    ));
    assert!(!has(
        "SELECT u.id FROM users u, orders o WHERE o.user_id = u.id",
        Pattern::CartesianJoin
    ));
    assert!(!has(
        "SELECT u.id FROM users u JOIN orders o ON o.user_id = u.id WHERE o.total = 1 LIMIT 5 OFFSET 10",
        Pattern::OffsetPaging
    ));
    let suggestions = optimized("SELECT id FROM orders WHERE status = 'new'").suggestions();
    assert!(
        suggestions[0].ends_with("CREATE INDEX orders_status_idx ON orders (status);"),
        "{suggestions:?}"
    );
}

#[test]
fn a_good_statement_is_left_alone() {
    for sql in [
        "SELECT id, status FROM orders WHERE user_id = 4 LIMIT 10",
        "SELECT count(*) FROM orders",
        "WITH t AS (SELECT id FROM orders WHERE user_id = 1) SELECT id FROM t WHERE id > 5",
    ] {
        let found = optimized(sql);
        assert!(
            found.findings.is_empty() && found.rewrite().is_none(),
            "{sql}: {found:?}"
        );
    }
    assert!(optimize("SELEC id FROM users", &schema(Dialect::Postgres), None).is_err());
}

#[test]
fn every_statement_of_an_index_parses() {
    for dialect in Dialect::ALL {
        let schema = schema(dialect);
        for sql in [
            "SELECT id FROM users WHERE country = 'DE' AND lower(email) = 'x' AND name LIKE '%y' AND code LIKE 'z%'",
            "SELECT * FROM orders o JOIN items i ON i.order_id = o.id WHERE o.total > 5",
        ] {
            for finding in optimize(sql, &schema, None).unwrap().findings {
                for statement in finding
                    .statement
                    .iter()
                    .flat_map(|text| text.split_inclusive(';'))
                {
                    let is_extension = statement.contains("FULLTEXT");
                    assert!(
                        is_extension || parse(statement, dialect).is_ok(),
                        "{dialect:?}: {statement}"
                    );
                }
            }
        }
    }
}
