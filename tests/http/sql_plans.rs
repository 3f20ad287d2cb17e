//! What is advised about slow statements, tried on a real PostgreSQL: the same rows, for less.

use wick::sql::optimize::{Optimization, Pattern, Plan, optimize};
use wick::sql::{Dialect, Schema};

use crate::postgres::Postgres;

const DDL: &str = "
    CREATE TABLE users (
        id INT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, country TEXT NOT NULL, created_at TIMESTAMP NOT NULL);
    CREATE INDEX users_created_at ON users (created_at);
    CREATE TABLE orders (
        id INT PRIMARY KEY, user_id INT NOT NULL REFERENCES users (id), status TEXT NOT NULL, total INT NOT NULL,
        placed_on DATE NOT NULL, note TEXT NOT NULL);
    CREATE INDEX orders_total ON orders (total);
    CREATE INDEX orders_user ON orders (user_id);
    CREATE INDEX orders_placed ON orders (placed_on, id);
    CREATE TABLE items (
        id INT PRIMARY KEY, order_id INT NOT NULL REFERENCES orders (id), product TEXT NOT NULL, quantity INT NOT NULL);
    CREATE INDEX items_product ON items (product);
    CREATE TABLE bans (id INT PRIMARY KEY, user_id INT NOT NULL);";
const ROWS: &str = "
    INSERT INTO users SELECT n, 'name ' || n, 'User' || n || '@example.com', 'c' || n % 50,
        timestamp '2023-01-01' + n * interval '3 hours' FROM generate_series(1, 5000) n;
    INSERT INTO orders SELECT n, 1 + n * 7 % 5000, CASE WHEN n % 500 = 0 THEN 'refunded' ELSE 'paid' END, n % 9000,
        date '2023-01-01' + n % 700, md5(n::text) FROM generate_series(1, 20000) n;
    INSERT INTO items SELECT n, 1 + n * 11 % 20000, 'product ' || n % 2000, n % 9 FROM generate_series(1, 30000) n;
    INSERT INTO bans SELECT n, n * 3 FROM generate_series(1, 1500) n;";

struct Shop {
    postgres: Postgres,
    schema: Schema,
}

impl Shop {
    fn open() -> Option<Shop> {
        let postgres = Postgres::start()?;
        postgres.psql(DDL).expect("the tables are made");
        postgres.psql(ROWS).expect("the rows are made");
        // An index alone serves only rows that are known to be visible to all.
        postgres
            .psql("VACUUM ANALYZE")
            .expect("the tables are looked over");
        let schema = Schema::from_ddl(DDL, Dialect::Postgres).unwrap();
        Some(Shop { postgres, schema })
    }

    /// What a statement costs once `first` was run, by PostgreSQL's own reckoning.
    fn cost(&self, first: &str, sql: &str) -> f64 {
        // Little memory, as in a busy server; what is made is undone.
        let script = format!(
            "BEGIN; SET LOCAL work_mem = '64kB'; {first}; EXPLAIN (FORMAT JSON) {sql}; ROLLBACK"
        );
        let plan = self
            .postgres
            .psql(&script)
            .unwrap_or_else(|| panic!("PostgreSQL refuses {script}"));
        Plan::read(&plan)
            .and_then(|plan| plan.cost)
            .unwrap_or_else(|| panic!("no cost in {plan}"))
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        let text = self
            .postgres
            .psql(sql)
            .unwrap_or_else(|| panic!("PostgreSQL refuses {sql}"));
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        rows.sort();
        rows
    }

    fn advice(&self, sql: &str) -> Optimization {
        let plan = self
            .postgres
            .psql(&format!("EXPLAIN (FORMAT JSON) {sql}"))
            .unwrap();
        optimize(sql, &self.schema, Some(&plan)).unwrap()
    }

    /// Follows the advice: the statements of the pattern's findings are run, the better statement is taken.
    fn improves(&self, sql: &str, pattern: Pattern, at_least: f64) {
        let advice = self.advice(sql);
        let findings = advice
            .findings
            .iter()
            .filter(|finding| finding.pattern == pattern);
        let statements: Vec<String> = findings
            .clone()
            .filter_map(|finding| finding.statement.clone())
            .collect();
        assert!(
            findings.count() > 0,
            "{pattern:?} is not found in {sql}: {advice:?}"
        );
        let better = advice.rewrite().unwrap_or_else(|| sql.to_owned());
        let first = match statements.is_empty() {
            true => "SELECT".to_owned(),
            false => statements.join(" ").trim_end_matches(';').to_owned(),
        };
        let (before, after) = (self.cost("SELECT", sql), self.cost(&first, &better));
        assert!(
            after * at_least < before,
            "{before} is not {at_least} times {after}: {better} after {first}"
        );
        assert_eq!(self.rows(sql), self.rows(&better), "{better}");
    }
}

#[test]
fn advice_makes_postgres_faster() {
    let Some(shop) = Shop::open() else { return };
    for (sql, pattern, at_least) in [
        (
            "SELECT id FROM orders WHERE status = 'refunded'",
            Pattern::MissingIndex,
            2.0,
        ),
        (
            "SELECT i.product FROM orders o JOIN items i ON i.order_id = o.id WHERE o.user_id = 8",
            Pattern::MissingIndex,
            2.0,
        ),
        (
            "SELECT id FROM users WHERE name LIKE 'name 49%' AND country = 'c9'",
            Pattern::MissingIndex,
            1.5,
        ),
        (
            "SELECT id FROM users WHERE DATE(created_at) = '2024-01-05'",
            Pattern::FunctionOnColumn,
            5.0,
        ),
        (
            "SELECT id FROM users WHERE created_at::date = '2024-01-05'",
            Pattern::FunctionOnColumn,
            5.0,
        ),
        (
            "SELECT id FROM users WHERE date_trunc('month', created_at) = '2024-01-01'",
            Pattern::FunctionOnColumn,
            1.5,
        ),
        (
            "SELECT id FROM users WHERE lower(email) = 'user77@example.com'",
            Pattern::FunctionOnColumn,
            2.0,
        ),
        (
            "SELECT id FROM orders WHERE total + 1 > 8999",
            Pattern::FunctionOnColumn,
            5.0,
        ),
        (
            "SELECT id FROM orders WHERE note LIKE '%c4ca4238a0b9%'",
            Pattern::LeadingWildcard,
            2.0,
        ),
        (
            "SELECT id FROM orders WHERE CAST(id AS TEXT) = '41'",
            Pattern::ImplicitCast,
            10.0,
        ),
        (
            "SELECT id FROM orders WHERE total = 41.0",
            Pattern::ImplicitCast,
            2.0,
        ),
        (
            "SELECT u.id FROM users u WHERE u.id NOT IN (SELECT user_id FROM orders)",
            Pattern::NotIn,
            10.0,
        ),
        (
            "SELECT o.id, i.product FROM orders o JOIN items i ON i.order_id = o.id WHERE o.total = 8999 OR i.product = 'product 7'",
            Pattern::OrAcrossColumns,
            1.2,
        ),
        (
            "SELECT b.id, (SELECT COUNT(*) FROM items i WHERE i.quantity = b.user_id) AS n FROM bans b",
            Pattern::CorrelatedSubquery,
            10.0,
        ),
        (
            "SELECT b.id FROM bans b WHERE (SELECT COUNT(*) FROM items i WHERE i.order_id = b.id) > 0",
            Pattern::CountToExist,
            10.0,
        ),
        (
            "SELECT DISTINCT u.id, u.name FROM users u JOIN orders o ON o.user_id = u.id",
            Pattern::DistinctJoin,
            1.2,
        ),
        (
            "SELECT x.id FROM (SELECT id, note FROM orders ORDER BY note) AS x ORDER BY x.id",
            Pattern::RedundantOrder,
            1.2,
        ),
    ] {
        shop.improves(sql, pattern, at_least);
    }
}

#[test]
fn advice_that_is_only_told_holds_too() {
    let Some(shop) = Shop::open() else { return };
    // OFFSET reads what it leaves out; the condition in the advice starts at the right place.
    let paged = "SELECT id, placed_on FROM orders ORDER BY placed_on, id LIMIT 20 OFFSET 15000";
    let advice = shop.advice(paged);
    let paging = advice
        .findings
        .iter()
        .find(|finding| finding.pattern == Pattern::OffsetPaging)
        .unwrap();
    assert!(
        paging
            .text
            .contains("WHERE (placed_on, id) > (:last_1, :last_2) ORDER BY placed_on, id LIMIT 20"),
        "{}",
        paging.text
    );
    let last = shop
        .postgres
        .psql("SELECT id, placed_on FROM orders ORDER BY placed_on, id LIMIT 1 OFFSET 14999")
        .unwrap();
    let (id, day) = last.split_once('|').unwrap();
    let keyset = format!(
        "SELECT id, placed_on FROM orders WHERE (placed_on, id) > ('{day}', {id}) ORDER BY placed_on, id LIMIT 20"
    );
    assert_eq!(shop.rows(paged), shop.rows(&keyset));
    assert!(shop.cost("SELECT", &keyset) * 10.0 < shop.cost("SELECT", paged));

    // The condition in the advice links the tables.
    let pairs = "SELECT o.id FROM users u, orders o WHERE u.country = 'c1'";
    let advice = shop.advice(pairs);
    let pairing = advice
        .findings
        .iter()
        .find(|finding| finding.pattern == Pattern::CartesianJoin)
        .unwrap();
    assert!(
        pairing.text.contains("o.user_id = u.id"),
        "{}",
        pairing.text
    );
    assert!(
        shop.cost("SELECT", &format!("{pairs} AND o.user_id = u.id")) * 10.0
            < shop.cost("SELECT", pairs)
    );

    // Only the named column is needed, and the index has it.
    let star = "SELECT * FROM orders WHERE total = 41";
    assert!(
        shop.advice(star)
            .findings
            .iter()
            .any(|finding| finding.pattern == Pattern::SelectStar)
    );
    assert!(
        shop.cost("SELECT", "SELECT total FROM orders WHERE total = 41")
            < shop.cost("SELECT", star)
    );

    // NOT IN gives nothing once there is a NULL, which is why it is told and not changed.
    let risky = "SELECT id FROM users WHERE users.id NOT IN (SELECT NULLIF(user_id, 3) FROM bans)";
    assert_eq!(shop.rows(risky), Vec::<String>::new());
    assert_eq!(shop.advice(risky).rewrite(), None);
}
