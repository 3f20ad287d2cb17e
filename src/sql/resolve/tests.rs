use super::*;
use crate::sql::{Dialect, statement};

const DDL: &str = "
    CREATE TABLE users (id int PRIMARY KEY, name text, email text, created_at timestamp, manager_id int);
    CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, total numeric, status text, info json);
    CREATE TABLE sales.items (order_id int, sku text, price numeric, \"Weird Name\" int);
";

fn resolved(sql: &str, dialect: Dialect) -> Resolution {
    let quote = match dialect {
        Dialect::MySql | Dialect::BigQuery => "`",
        _ => "\"",
    };
    let schema = Schema::from_ddl(&DDL.replace('"', quote), dialect).unwrap();
    let statements =
        statement::parse(sql, dialect).unwrap_or_else(|error| panic!("{error}: {sql}"));
    resolve(&statements[0], &schema)
}

fn problems(sql: &str) -> Vec<String> {
    let found = resolved(sql, Dialect::Postgres).problems;
    found.iter().map(ToString::to_string).collect()
}

fn sound(sql: &str) {
    assert_eq!(problems(sql), [""; 0], "{sql}");
}

#[test]
fn names_that_exist_are_found() {
    for sql in [
        "SELECT * FROM users WHERE created_at > NOW() - INTERVAL '7 days'",
        "SELECT u.name, count(*) AS n FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.name HAVING count(*) > 1 ORDER BY n DESC LIMIT 3",
        "SELECT name FROM users WHERE EXISTS (SELECT 1 FROM orders WHERE user_id = users.id AND status = 'x')",
        "SELECT name, (SELECT max(total) FROM orders o WHERE o.user_id = u.id) FROM users AS u",
        "WITH big AS (SELECT user_id, sum(total) AS spent FROM orders GROUP BY user_id) SELECT name, spent FROM users JOIN big ON big.user_id = users.id ORDER BY spent",
        "WITH RECURSIVE up(id, boss) AS (SELECT id, manager_id FROM users UNION ALL SELECT u.id, u.manager_id FROM users u JOIN up ON up.boss = u.id) SELECT boss FROM up",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n FROM t",
        "SELECT id FROM users UNION SELECT user_id FROM orders ORDER BY id",
        // DDL without a namespace does not say in which one its tables are.
        "SELECT public.users.id FROM users",
        "SELECT name, rank() OVER (PARTITION BY o.status ORDER BY o.total DESC) FROM users JOIN orders o ON users.id = o.user_id",
        "SELECT sum(total) OVER w FROM orders WINDOW w AS (PARTITION BY user_id ORDER BY id)",
        "SELECT u.name, t.total FROM users u CROSS JOIN LATERAL (SELECT total FROM orders WHERE user_id = u.id LIMIT 1) t",
        "SELECT d FROM generate_series(1, 3) AS d",
        "SELECT g.x, name FROM users, generate_series(1, users.id) AS g(x)",
        "SELECT id FROM (SELECT id, name FROM users) sub WHERE sub.name LIKE 'a%'",
        "SELECT x.total FROM (SELECT user_id, total FROM orders) AS x(who) WHERE who = 1",
        "SELECT items.\"Weird Name\", sales.items.sku FROM sales.items",
        "SELECT count(u.*), u FROM users u GROUP BY u",
        "SELECT Users.NAME FROM USERS",
        "SELECT date_trunc('month', created_at) AS month, count(*) FROM users GROUP BY month",
        "SELECT extract(year FROM created_at), created_at::date FROM public.users",
        "SELECT count FROM (SELECT count(*) FROM users) c",
        "SELECT CASE WHEN total > 1 THEN status ELSE 'no' END FROM orders",
        "SELECT info ->> 'a' FROM orders WHERE info['b'] IS NOT NULL",
        "SELECT (VALUES (1)), current_date",
        "SELECT DISTINCT ON (user_id) user_id, total FROM orders ORDER BY user_id, total",
        "SELECT user_id FROM orders GROUP BY GROUPING SETS ((user_id), (status))",
        "SELECT sum(total) FILTER (WHERE status = 'x') FROM orders",
        "SELECT a.id FROM users a JOIN users b ON a.manager_id = b.id",
        "SELECT users.id FROM users JOIN users boss ON users.manager_id = boss.id",
        "SELECT name FROM users ORDER BY lower(name), created_at",
        "DELETE FROM orders WHERE total < 1",
        "UPDATE orders SET status = 'x' WHERE user_id IN (SELECT id FROM users)",
        "INSERT INTO orders (user_id, total) SELECT id, 1 FROM users",
    ] {
        sound(sql);
    }
}

#[test]
fn using_makes_one_column_of_two() {
    sound("SELECT id FROM users JOIN orders USING (id)");
    sound("SELECT id, total FROM users NATURAL JOIN orders");
    assert_eq!(
        problems("SELECT 1 FROM users JOIN orders USING (total)"),
        ["no table of this statement has a column 'total', but orders has"]
    );
}

#[test]
fn tables_and_columns_are_told() {
    let found = resolved(
        "SELECT u.name, o.* FROM users u JOIN orders o ON o.user_id = u.id JOIN sales.items ON order_id = o.id",
        Dialect::Postgres,
    );
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    assert_eq!(list(&found.tables), ["orders", "sales.items", "users"]);
    assert_eq!(
        list(&found.columns),
        [
            "orders.*",
            "orders.id",
            "orders.user_id",
            "sales.items.order_id",
            "users.id",
            "users.name"
        ]
    );
}

#[test]
fn names_that_do_not_exist_are_told_with_the_nearest() {
    for (sql, want) in [
        (
            "SELECT * FROM user",
            "there is no table 'user'; did you mean users?",
        ),
        (
            "SELECT nam FROM users",
            "no table of this statement has a column 'nam'; did you mean name?",
        ),
        (
            "SELECT u.emial FROM users u",
            "'u' has no column 'emial'; did you mean email?",
        ),
        (
            "SELECT total FROM users",
            "no table of this statement has a column 'total', but orders has",
        ),
        (
            "SELECT orders.total FROM users",
            "table 'orders' is not in FROM here",
        ),
        (
            "SELECT users.name FROM users u",
            "table 'users' goes by 'u' here; did you mean u?",
        ),
        (
            "SELECT x.name FROM users u",
            "'x' is neither a table nor an alias of this statement",
        ),
        (
            "SELECT id FROM users, orders",
            "column 'id' is ambiguous: users and orders have it",
        ),
        (
            "SELECT users.id FROM users JOIN users ON users.id = users.manager_id",
            "'users' stands twice in FROM: give one of them an alias",
        ),
        (
            "SELECT 1 FROM users u, orders JOIN (SELECT 1) orders ON true, users u",
            "'u' stands twice in FROM: give one of them an alias",
        ),
        (
            "SELECT \"Name\" FROM users",
            "no table of this statement has a column 'Name'; did you mean name?",
        ),
        (
            "WITH t AS (SELECT id FROM users) SELECT name FROM t",
            "no table of this statement has a column 'name', but users has",
        ),
        (
            "SELECT 1 FROM users WHERE id IN (SELECT usr_id FROM orders)",
            "no table of this statement has a column 'usr_id'; did you mean user_id",
        ),
        (
            "SELECT sum(total) OVER v FROM orders WINDOW w AS (ORDER BY id)",
            "'v' is neither a table nor an alias of this statement",
        ),
        (
            "SELECT name AS n FROM users WHERE n = 'a'",
            "no table of this statement has a column 'n'",
        ),
        (
            "SELECT s.name FROM users u JOIN (SELECT u.id FROM orders) s ON true",
            "'u' is neither a table nor an alias of this statement",
        ),
        (
            "SELECT id FROM users UNION SELECT id FROM orders ORDER BY name",
            "no table of this statement has a column 'name', but users has",
        ),
    ] {
        let got = problems(sql);
        assert!(
            got.iter().any(|problem| problem.starts_with(want)),
            "{sql}: {got:?}"
        );
    }
}

#[test]
fn other_dialects_have_their_own_scopes() {
    let none = |sql: &str, dialect| {
        let found = resolved(sql, dialect).problems;
        assert!(found.is_empty(), "{dialect:?} {sql}: {found:?}");
    };
    none("SELECT name AS n FROM users WHERE n = 'a'", Dialect::Sqlite);
    none("SELECT NAME FROM Users WHERE rowid = 1", Dialect::Sqlite);
    none(
        "SELECT count(*) AS c FROM `users` GROUP BY name HAVING c > 1",
        Dialect::MySql,
    );
    none(
        "SELECT DATEADD(day, 1, created_at), DATEDIFF(day, created_at, GETDATE()) FROM [users]",
        Dialect::MsSql,
    );
    none("SELECT TOP 3 u.[name] FROM dbo.users AS u", Dialect::MsSql);
    none(
        "SELECT DATE_TRUNC(created_at, MONTH) FROM users",
        Dialect::BigQuery,
    );
    none(
        "SELECT list_transform([1, 2], x -> x + id) FROM users",
        Dialect::DuckDb,
    );
    none(
        "SELECT TIMESTAMPDIFF(DAY, created_at, NOW()) FROM users",
        Dialect::MySql,
    );
    none(
        "SELECT u.name FROM users u, UNNEST([1, 2]) AS n WHERE n = u.id",
        Dialect::BigQuery,
    );
}

#[test]
fn lists_that_double_at_each_step_end() {
    let schema = Schema::from_ddl("CREATE TABLE t (a int)", Dialect::Postgres).unwrap();
    let steps = (0..40).map(|at| format!("c{} AS (SELECT * FROM c{at} x, c{at} y)", at + 1));
    let steps: Vec<String> = steps.collect();
    let told = |select: &str| -> Vec<String> {
        let sql = format!(
            "WITH c0 AS (SELECT a FROM t), {} {select}",
            steps.join(", ")
        );
        let statements = statement::parse(&sql, Dialect::Postgres).unwrap();
        let found = resolve(&statements[0], &schema).problems;
        found.iter().map(ToString::to_string).collect()
    };
    assert_eq!(told("SELECT 1 FROM c40"), [""; 0]);
    assert_eq!(
        told("SELECT n.a, b FROM (c40 x CROSS JOIN c12 y) AS n"),
        [""; 0]
    );
    // The rest of the columns of an alias that names only the first is not known either.
    assert_eq!(
        told("SELECT b, c, z.d, t.nothing FROM c40 AS z (b), t"),
        ["'t' has no column 'nothing'"]
    );
}

#[test]
fn a_statement_lists_only_so_much_in_all() {
    let columns: Vec<String> = (0..1_000).map(|at| format!("column_{at} int")).collect();
    let ddl = format!("CREATE TABLE wide ({})", columns.join(", "));
    let schema = Schema::from_ddl(&ddl, Dialect::Postgres).unwrap();
    let told = |count: usize| {
        let tables: Vec<String> = (0..count).map(|at| format!("wide w{at}")).collect();
        let sql = format!("SELECT nothing FROM {}", tables.join(", "));
        let statements = statement::parse(&sql, Dialect::Postgres).unwrap();
        resolve(&statements[0], &schema).problems.len()
    };
    assert_eq!(told(10), 1);
    // Their columns are not all known, so that it may be one of them.
    assert_eq!(told(400), 0);
}

#[test]
fn what_was_meant_is_told_for_the_first_problems_only() {
    let sql = format!("SELECT {} FROM users", ["nme"; 7_000].join(","));
    let found = resolved(&sql, Dialect::Postgres).problems;
    assert_eq!(found.len(), 7_000);
    let (first, rest) = found.split_at(PROPOSALS);
    assert!(first.iter().all(|problem| problem.nearest == ["name"]));
    assert!(rest.iter().all(|problem| problem.nearest.is_empty()));
}

#[test]
fn only_some_of_many_tables_with_a_column_are_told() {
    let tables: Vec<String> = (0..30).map(|at| format!("users u{at}")).collect();
    let sql = format!("SELECT id FROM {}", tables.join(", "));
    let found = resolved(&sql, Dialect::Postgres).problems;
    assert!(
        matches!(&found[0].kind, ProblemKind::Ambiguous { tables } if tables.len() == 10),
        "{found:?}"
    );
}
