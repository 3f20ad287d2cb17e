use std::sync::OnceLock;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::ApproximateTokEnv;
use llguidance::{Matcher, ParserFactory};
use serde::Deserialize;

use super::*;
use crate::sql::Dialect;

const DDL: &str = "
    CREATE TABLE users (id int PRIMARY KEY, name text, active boolean, created_at timestamp, \"Weird Name\" int);
    CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, total numeric, status text);
";

fn factory() -> &'static ParserFactory {
    static FACTORY: OnceLock<ParserFactory> = OnceLock::new();
    FACTORY.get_or_init(|| {
        let mut factory = ParserFactory::new_simple(&ApproximateTokEnv::single_byte_env()).unwrap();
        factory.quiet();
        factory
    })
}

pub(in crate::sql) struct Checked(Matcher);

impl Checked {
    pub(in crate::sql) fn new(grammar: String) -> Self {
        let parser = factory().create_parser(TopLevelGrammar::from_lark(grammar.clone()));
        Checked(Matcher::new(Ok(
            parser.unwrap_or_else(|error| panic!("{error}\n{grammar}"))
        )))
    }

    /// How much of the text the grammar takes, and whether it could end there.
    pub(in crate::sql) fn taken(&self, sql: &str) -> (usize, bool) {
        let mut matcher = self.0.deep_clone();
        let bytes: Vec<u32> = sql.bytes().map(u32::from).collect();
        let taken = matcher.try_consume_tokens(&bytes).unwrap();
        let whole = taken == bytes.len() && matcher.is_accepting().unwrap();
        (taken, whole)
    }

    fn takes(&self, sql: &str) {
        let (taken, whole) = self.taken(sql);
        let (good, bad) = sql.split_at(taken);
        assert!(whole, "{good} <<< {bad}");
    }

    fn refuses(&self, sql: &str) {
        assert!(!self.taken(sql).1, "{sql}");
    }
}

fn over(ddl: &str, dialect: Dialect) -> Checked {
    Checked::new(lark(&Schema::from_ddl(ddl, dialect).unwrap()))
}

/// The tables with a dialect's quotes.
fn ddl_in(dialect: Dialect) -> String {
    match dialect {
        Dialect::MySql | Dialect::BigQuery => DDL.replace('"', "`"),
        _ => DDL.to_owned(),
    }
}

#[test]
fn every_dialect_compiles() {
    for dialect in Dialect::ALL {
        let grammar = over(&ddl_in(dialect), dialect);
        grammar.takes("SELECT name FROM users");
        grammar.takes("SELECT COUNT(*) FROM orders WHERE status = 'it''s' AND total > 1.5;");
        grammar.refuses("SELECT name FROM users; DROP TABLE users");
        grammar.refuses("DELETE FROM users");
    }
}

#[test]
fn statements_of_many_forms_are_taken() {
    let grammar = over(DDL, Dialect::Postgres);
    for sql in [
        "SELECT * FROM users WHERE created_at > NOW() - INTERVAL '7 days'",
        "SELECT u.name, COUNT(*) AS order_count FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.name HAVING COUNT(*) > 1 ORDER BY order_count DESC LIMIT 3",
        "SELECT users.name FROM users JOIN orders ON orders.user_id = users.id WHERE orders.total BETWEEN 1 AND 9",
        "SELECT name FROM users WHERE id IN (SELECT user_id FROM orders WHERE total > 5)",
        "SELECT name FROM users WHERE NOT EXISTS (SELECT * FROM orders WHERE orders.user_id = users.id)",
        "SELECT name FROM users WHERE active AND (name LIKE 'A%' OR name IS NOT NULL)",
        "SELECT DISTINCT status FROM orders UNION SELECT name FROM users ORDER BY 1",
        "WITH order_totals AS (SELECT user_id, SUM(total) AS total_spent FROM orders GROUP BY user_id) SELECT users.name, total_spent FROM users JOIN order_totals ON order_totals.user_id = users.id WHERE total_spent > 10 ORDER BY total_spent DESC",
        "SELECT name, RANK() OVER (PARTITION BY status ORDER BY total DESC) AS rnk FROM users u LEFT JOIN orders o ON u.id = o.user_id",
        "SELECT DATE_TRUNC('month', created_at) AS month, COUNT(DISTINCT id) FROM users GROUP BY month",
        "SELECT EXTRACT(YEAR FROM created_at), CAST(total AS NUMERIC), ROUND(AVG(total), 2) FROM users CROSS JOIN orders",
        "SELECT \"Weird Name\" FROM users",
        "SELECT CASE WHEN total > 100 THEN 'big' ELSE 'small' END AS total_share FROM orders",
        "SELECT x.user_id, x.total_spent FROM (SELECT user_id, SUM(total) AS total_spent FROM orders GROUP BY user_id) AS x",
        "SELECT SUM(total) FILTER (WHERE status = 'paid') FROM orders",
        "SELECT total * 2 + 1, name || '!' FROM orders JOIN users ON users.id = orders.user_id",
        "SELECT name\nFROM users\nWHERE id = 1\nLIMIT 5 OFFSET 10",
        "SELECT SUM(total) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS running_total FROM orders",
    ] {
        grammar.takes(sql);
    }
}

#[test]
fn lists_have_an_end() {
    let grammar = over(DDL, Dialect::Postgres);
    let listed = |count: usize| {
        let values = vec!["1"; count].join(", ");
        format!("SELECT name FROM users WHERE id IN ({values})")
    };
    grammar.takes(&listed(32));
    grammar.refuses(&listed(33));
    let joined = |count: usize| {
        let more = " AND id = 1".repeat(count - 1);
        format!("SELECT name FROM users WHERE id = 1{more}")
    };
    grammar.takes(&joined(12));
    grammar.refuses(&joined(13));
}

#[test]
fn unknown_names_are_refused() {
    let grammar = over(DDL, Dialect::Postgres);
    for sql in [
        "SELECT salary FROM users",
        "SELECT name FROM employees",
        "SELECT users.total FROM users",
        "SELECT orders.name FROM orders",
        "SELECT u.salary FROM users u",
        "SELECT name FROM users WHERE salary > 1",
        "SELECT name FROM users JOIN orders ON orders.id = users.id",
        "SELECT name FROM users ORDER BY salary",
        "SELECT name FROM users WHERE COUNT(*) > 1",
        "SELECT name FROM users GROUP BY salary",
        "SELECT pg_sleep(1) FROM users",
        "SELECT name FROM order_totals",
        "SELECT name FROM users WHERE total_spent > 1",
        "SELECT nameFROM users",
        "SELECT name FROM users WHERE id=1--",
    ] {
        grammar.refuses(sql);
    }
}

#[test]
fn dialects_have_their_own_dates_and_limits() {
    for (dialect, sql) in [
        (
            Dialect::MySql,
            "SELECT name FROM users WHERE created_at > DATE_SUB(NOW(), INTERVAL 7 DAY)",
        ),
        (
            Dialect::MySql,
            "SELECT YEAR(created_at), `Weird Name` FROM users LIMIT 3",
        ),
        (
            Dialect::Sqlite,
            "SELECT name FROM users WHERE created_at > DATE('now', '-7 days')",
        ),
        (
            Dialect::Sqlite,
            "SELECT STRFTIME('%Y-%m', created_at) AS month FROM users GROUP BY month",
        ),
        (
            Dialect::MsSql,
            "SELECT TOP 3 name FROM users WHERE created_at > DATEADD(DAY, -7, GETDATE())",
        ),
        (
            Dialect::MsSql,
            "SELECT [Weird Name] FROM users ORDER BY id OFFSET 5 ROWS FETCH NEXT 5 ROWS ONLY",
        ),
        (
            Dialect::BigQuery,
            "SELECT name FROM users WHERE created_at > TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 7 DAY)",
        ),
        (
            Dialect::DuckDb,
            "SELECT DATE_TRUNC('day', created_at) AS day FROM users",
        ),
    ] {
        over(&ddl_in(dialect), dialect).takes(sql);
        crate::sql::statement::parse(sql, dialect).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }
    over(DDL, Dialect::MsSql).refuses("SELECT name FROM users LIMIT 3");
}

#[test]
fn hostile_names_stay_names() {
    let ddl =
        "CREATE TABLE \"a\"\"b | start: /.*/\" (\"x\\ y\" int, \"z\n%ignore /x/\" int, ok int);";
    let grammar = over(ddl, Dialect::Postgres);
    grammar.takes("SELECT ok FROM \"a\"\"b | start: /.*/\"");
    grammar.refuses("anything");
}

#[derive(Deserialize)]
struct Case {
    prompt: String,
    sql: String,
}

#[test]
fn all_answers_of_the_evaluation_are_taken() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../models/starter/eval/sql.json")).unwrap();
    let mut missed = Vec::new();
    for case in &cases {
        let schema = Schema::from_ddl(&ddl_of(&case.prompt), Dialect::Sqlite)
            .unwrap_or_else(|error| panic!("{error}: {}", case.prompt));
        let (taken, whole) = Checked::new(lark(&schema)).taken(&case.sql);
        if !whole {
            let (good, bad) = case.sql.split_at(taken);
            missed.push(format!("{good} <<< {bad}"));
        }
    }
    assert!(
        missed.is_empty(),
        "{} of {}: {missed:#?}",
        missed.len(),
        cases.len()
    );
}

/// The part of a prompt that creates tables.
fn ddl_of(prompt: &str) -> String {
    let lower = prompt.to_lowercase();
    let start = lower.find("create table").unwrap_or(0);
    let end = prompt.rfind(");").map_or(prompt.len(), |at| at + 2);
    prompt[start..end].to_owned()
}
