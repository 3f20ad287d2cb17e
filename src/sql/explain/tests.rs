use super::*;
use crate::sql::{Column, Kind, Table};

fn table(name: &str, columns: &[&str]) -> Table {
    let columns = columns.iter().map(|name| Column {
        name: (*name).to_owned(),
        type_name: "text".to_owned(),
        kind: Kind::Text,
        ..Column::default()
    });
    Table {
        name: name.to_owned(),
        columns: columns.collect(),
        ..Table::default()
    }
}

fn shop() -> Schema {
    Schema {
        tables: vec![
            table("customers", &["id", "name", "country", "active"]),
            table(
                "orders",
                &["id", "customer_id", "total", "status", "created_at"],
            ),
        ],
        ..Schema::default()
    }
}

fn explained(sql: &str) -> Explanation {
    explain(sql, Dialect::Postgres, Some(&shop())).unwrap()
}

fn text(sql: &str) -> String {
    explained(sql).text()
}

#[test]
fn a_query_is_told_in_the_order_it_is_worked_out() {
    let sql = "SELECT c.name, COUNT(*) AS n, SUM(o.total) FROM customers c \
        LEFT JOIN orders o ON o.customer_id = c.id AND o.status <> 'void' \
        WHERE c.country = 'DE' AND (c.active OR c.name LIKE 'A%') \
        GROUP BY c.name HAVING COUNT(*) > 3 ORDER BY n DESC, c.name LIMIT 10 OFFSET 20";
    assert_eq!(
        explained(sql).sentences,
        [
            "Returns `c.name`, the number of rows as `n` and the sum of `o.total` from `customers` (as `c`).",
            "Joins `orders` (as `o`) where `o.customer_id` is `c.id` and `o.status` is not `'void'`, keeping rows \
             that have no match there.",
            "Keeps only rows where `c.country` is `'DE'` and (`c.active` is true or `c.name` starts with `A`).",
            "Makes one row for each `c.name`.",
            "Keeps only groups where the number of rows is greater than `3`.",
            "Sorts by `n`, largest first then `c.name`.",
            "Skips `20` rows and gives `10` at most.",
        ]
    );
}

#[test]
fn tables_and_columns_are_resolved() {
    let facts = explained(
        "WITH big AS (SELECT customer_id, SUM(total) AS sum FROM orders GROUP BY customer_id) \
         SELECT name, big.sum FROM customers JOIN big ON big.customer_id = customers.id ORDER BY sum",
    );
    assert_eq!(facts.tables, ["orders", "customers"]);
    let want = [
        "orders.customer_id",
        "orders.total",
        "big.customer_id",
        "customers.id",
    ];
    for column in want {
        assert!(
            facts.columns.iter().any(|c| c == column),
            "{column} in {:?}",
            facts.columns
        );
    }
    let bare = explain("SELECT a FROM t WHERE b = 1", Dialect::Postgres, None).unwrap();
    assert_eq!(
        (bare.tables, bare.columns),
        (vec!["t".to_owned()], vec!["a".to_owned(), "b".to_owned()])
    );
}

#[test]
fn set_operations_ctes_windows_and_subqueries_are_told() {
    for (sql, want) in [
        (
            "SELECT id FROM orders UNION ALL SELECT id FROM customers",
            "added with all duplicates (`UNION ALL`)",
        ),
        (
            "SELECT id FROM orders EXCEPT SELECT id FROM customers",
            "whose rows are taken away (`EXCEPT`)",
        ),
        (
            "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t",
            "Builds `t`, again and again over its own rows until none is new, first: part 1:",
        ),
        (
            "SELECT rank() OVER (PARTITION BY status ORDER BY total DESC) FROM orders",
            "Works out `rank()` for each `status`, going by `total`, largest first.",
        ),
        (
            "SELECT id FROM customers WHERE id NOT IN (SELECT customer_id FROM orders WHERE total > 5)",
            "The subquery that gives the excluded values: returns `customer_id` from `orders`; keeps only rows \
             where `total` is greater than `5`.",
        ),
        (
            "SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
            "where a subquery finds a row",
        ),
        (
            "SELECT DISTINCT ON (status) id FROM orders",
            "Keeps the first row of each `status`.",
        ),
        (
            "SELECT x.id FROM (SELECT id FROM orders LIMIT 5) AS x",
            "The subquery `x`: returns `id` from `orders`; gives `5` rows at most.",
        ),
        (
            "SELECT 1 FROM orders, customers",
            "every combination of rows of `orders` and `customers`",
        ),
        (
            "SELECT id FROM orders WHERE created_at BETWEEN '2024-01-01' AND '2024-02-01'",
            "`created_at` is between `'2024-01-01'` and `'2024-02-01'`",
        ),
        (
            "SELECT id FROM orders FOR UPDATE",
            "Locks the rows it reads (`FOR UPDATE`).",
        ),
    ] {
        assert!(
            text(sql).contains(want),
            "{want:?} is not in {:?}",
            text(sql)
        );
    }
}

#[test]
fn changes_are_told() {
    for (sql, want) in [
        (
            "INSERT INTO orders (id, total) VALUES (1, 2), (2, 3)",
            "Adds 2 rows to `orders` with values for `id` and `total`.",
        ),
        (
            "INSERT INTO orders (id) SELECT id FROM customers WHERE active",
            "The query: returns `id` from `customers`; keeps only rows where `active` is true.",
        ),
        (
            "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET total = 2",
            "Where such a row is there already, sets `total` to `2`.",
        ),
        (
            "UPDATE orders SET status = 'x', total = total + 1 WHERE id = 3",
            "Changes rows of `orders`: sets `status` to `'x'` and sets `total` to `total + 1`. Touches only rows where `id` is `3`.",
        ),
        (
            "DELETE FROM orders",
            "Deletes rows of `orders`. There is no condition: every row is affected.",
        ),
        (
            "DELETE FROM orders WHERE id IN (SELECT id FROM customers)",
            "`id` is among the results of a subquery",
        ),
        (
            "CREATE TABLE t (id INT PRIMARY KEY, name TEXT)",
            "Creates the table `t` with the columns `id` (`INT`) and `name` (`TEXT`).",
        ),
        (
            "CREATE UNIQUE INDEX i ON orders (status, total DESC)",
            "Creates the index `i` on `status` and `total DESC` of `orders`, which keeps values unique.",
        ),
        (
            "ALTER TABLE orders DROP COLUMN total",
            "Removes the column `total` in the table `orders`.",
        ),
        (
            "DROP TABLE orders, customers CASCADE",
            "Removes the table `orders` and `customers`, with everything that depends on it.",
        ),
        (
            "MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN MATCHED THEN UPDATE SET total = 1 WHEN NOT MATCHED THEN INSERT (id) VALUES (c.id)",
            "Compares rows of `customers` (as `c`) with `orders` where `o.customer_id` is `c.id`. Rows matched are updated. Rows not matched are inserted.",
        ),
    ] {
        assert!(
            text(sql).contains(want),
            "{want:?} is not in {:?}",
            text(sql)
        );
    }
}

#[test]
fn several_statements_are_counted() {
    let said = explained("DELETE FROM orders; SELECT 1").sentences;
    assert_eq!(said[0], "Statement 1: Deletes rows of `orders`.");
    assert_eq!(said[2], "Statement 2: Returns `1`.");
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn nothing_is_said_that_the_tree_does_not_hold() {
    let statements = [
        "SELECT DISTINCT a.name, lower(b.status) s FROM customers a, orders b WHERE a.id = b.customer_id \
         AND b.status NOT LIKE '%x%' AND NOT a.active AND b.total IS NULL",
        "SELECT count(DISTINCT status), avg(total) FROM orders GROUP BY ROLLUP (status)",
        "WITH t AS (SELECT id FROM orders) SELECT * FROM t NATURAL JOIN customers USING_ ORDER BY 1 NULLS LAST",
        "SELECT CASE WHEN total > 1 THEN 'a' ELSE 'b' END, total::int FROM orders FETCH FIRST 3 ROWS ONLY",
        "SELECT sum(total) OVER w FROM orders WINDOW w AS (PARTITION BY status ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
        "UPDATE orders o SET total = c.id FROM customers c WHERE o.customer_id = c.id RETURNING o.id",
        "DELETE FROM orders USING customers c WHERE orders.customer_id = c.id",
        "INSERT INTO orders DEFAULT VALUES",
        "TRUNCATE orders",
        "GRANT SELECT ON orders TO bob",
        "EXPLAIN ANALYZE SELECT id FROM orders WHERE id = ANY(ARRAY[1, 2])",
        "SELECT g FROM generate_series(1, 3) AS g",
        "CREATE VIEW v AS SELECT id FROM orders WHERE total > 3",
        "CREATE TABLE t (a INT, b INT, UNIQUE (a, b), FOREIGN KEY (a) REFERENCES orders (id), CHECK (a > b))",
        "ALTER TABLE orders ALTER COLUMN total SET NOT NULL",
    ];
    for sql in statements {
        let facts = explained(sql);
        let tree = parse(sql, Dialect::Postgres).unwrap();
        let tree: Vec<String> = tree.iter().map(ToString::to_string).collect();
        let tree = tree.join("; ");
        for fragment in quoted(&facts.text()) {
            assert!(
                tree.contains(fragment),
                "{fragment:?} is not in {tree:?}: {}",
                facts.text()
            );
        }
        assert!(facts.text().ends_with('.'), "{}", facts.text());
        assert_eq!(facts, explained(sql));
    }
}
