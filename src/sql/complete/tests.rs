use super::*;
use crate::sql::{Dialect, ForeignKey};

fn table(name: &str, columns: &[(&str, &str)], keys: &[(&str, &str)]) -> Table {
    let columns = columns.iter().map(|(name, type_name)| Column {
        name: (*name).to_owned(),
        type_name: (*type_name).to_owned(),
        kind: Kind::of(type_name),
        nullable: *name != "id",
        ..Column::default()
    });
    let keys = keys.iter().map(|(column, target)| ForeignKey {
        columns: vec![(*column).to_owned()],
        table: (*target).to_owned(),
        references: vec!["id".to_owned()],
    });
    Table {
        name: name.to_owned(),
        columns: columns.collect(),
        primary_key: vec!["id".to_owned()],
        foreign_keys: keys.collect(),
        ..Table::default()
    }
}

fn shop() -> Schema {
    let mut orders = table(
        "orders",
        &[
            ("id", "bigint"),
            ("customer_id", "bigint"),
            ("status", "text"),
            ("total", "numeric"),
            ("created_at", "timestamp"),
        ],
        &[("customer_id", "customers")],
    );
    orders.columns[2].samples = vec!["paid".to_owned(), "it's new".to_owned()];
    Schema {
        dialect: Dialect::Postgres,
        tables: vec![
            table(
                "customers",
                &[("id", "bigint"), ("name", "text"), ("country", "text")],
                &[],
            ),
            orders,
            table(
                "order_items",
                &[
                    ("id", "bigint"),
                    ("order_id", "bigint"),
                    ("product_id", "bigint"),
                    ("quantity", "int"),
                ],
                &[("order_id", "orders"), ("product_id", "products")],
            ),
            table(
                "products",
                &[("id", "bigint"), ("name", "text"), ("price", "numeric")],
                &[],
            ),
            table(
                "employees",
                &[("id", "bigint"), ("boss_id", "bigint")],
                &[("boss_id", "employees")],
            ),
        ],
    }
}

/// Completions where `|` stands in the text.
fn at(marked: &str) -> Completions {
    in_schema(marked, &shop())
}

fn in_schema(marked: &str, schema: &Schema) -> Completions {
    let (before, after) = marked.split_once('|').unwrap();
    let cursor = before.encode_utf16().count();
    complete(&format!("{before}{after}"), cursor, schema).unwrap()
}

fn texts(marked: &str) -> Vec<String> {
    at(marked).items.into_iter().map(|item| item.text).collect()
}

fn first(marked: &str) -> String {
    texts(marked).into_iter().next().unwrap_or_default()
}

#[test]
fn keywords_fit_the_place() {
    for (marked, want) in [
        ("|", "SELECT"),
        ("sel|", "select"),
        ("SELECT id F|", "FROM"),
        ("SELECT id FROM orders WH|", "WHERE"),
        ("SELECT id FROM orders GROUP |", "BY"),
        ("SELECT id FROM orders WHERE id IS |", "NULL"),
        ("SELECT id FROM orders LEFT |", "JOIN"),
        ("SELECT id FROM orders ORDER BY id |", "DESC"),
        ("SELECT id FROM orders WHERE id = 1 |", "AND"),
        ("SELECT id FROM orders o JOIN customers c |", "ON"),
        ("INSERT |", "INTO"),
        ("UPDATE orders |", "SET"),
        ("UPDATE orders SET total |", "="),
        ("DELETE |", "FROM"),
        ("SELECT 1; UPD|", "UPDATE"),
        ("WITH x |", "AS ("),
        ("WITH x AS (|", "SELECT"),
        ("SELECT id FROM orders WHERE id IN |", "("),
    ] {
        assert_eq!(first(marked), want, "{marked}: {:?}", texts(marked));
    }
    assert!(!texts("SELECT id FROM orders |").contains(&"ILIKE".to_owned()));
    let mssql = Schema {
        dialect: Dialect::MsSql,
        ..shop()
    };
    let items = in_schema("SELECT id FROM orders L|", &mssql).items;
    assert!(items.iter().all(|item| item.text != "LIMIT"), "{items:?}");
}

#[test]
fn tables_are_offered_where_tables_stand() {
    assert_eq!(first("SELECT * FROM ord|"), "orders");
    assert_eq!(texts("SELECT * FROM ord|")[1], "order_items");
    assert_eq!(first("INSERT INTO cus|"), "customers");
    assert_eq!(first("UPDATE prod|"), "products");
    assert_eq!(first("SELECT * FROM orders, prod|"), "products");
    assert_eq!(
        first("WITH big AS (SELECT id FROM orders) SELECT * FROM b|"),
        "big"
    );
    assert_eq!(first("DELETE FROM it|"), "order_items");
}

#[test]
fn columns_come_from_the_tables_in_scope_even_after_the_cursor() {
    assert_eq!(first("SELECT st| FROM orders"), "status");
    assert_eq!(first("SELECT | FROM customers WHERE"), "id");
    assert_eq!(first("SELECT o.t| FROM orders o"), "total");
    assert_eq!(
        texts("SELECT c.| FROM orders o JOIN customers AS c ON"),
        ["id", "name", "country"]
    );
    assert_eq!(first("SELECT id FROM orders WHERE cre|"), "created_at");
    assert_eq!(first("SELECT id FROM orders WHERE upper(stat|"), "status");
    assert_eq!(first("SELECT count(*) FROM orders GROUP BY sta|"), "status");
    assert_eq!(first("UPDATE orders SET sta|"), "status");
    assert_eq!(
        first("SELECT id FROM orders WHERE total > 3 ORDER BY cr|"),
        "created_at"
    );
    let none = texts("SELECT | FROM nothing_there");
    assert!(!none.contains(&"status".to_owned()), "{none:?}");
}

#[test]
fn a_column_of_two_tables_is_qualified() {
    let texts = texts("SELECT i| FROM orders o JOIN customers c ON o.customer_id = c.id");
    assert!(
        texts.contains(&"o.id".to_owned()) && texts.contains(&"c.id".to_owned()),
        "{texts:?}"
    );
    assert!(!texts.contains(&"id".to_owned()), "{texts:?}");
}

#[test]
fn named_results_and_subqueries_have_their_columns() {
    assert_eq!(
        texts(
            "WITH big AS (SELECT customer_id, sum(total) AS amount FROM orders GROUP BY 1) SELECT b.| FROM big b"
        ),
        ["customer_id", "amount"]
    );
    assert_eq!(
        texts("SELECT x.| FROM (SELECT o.*, 1 AS one FROM products o) AS x"),
        ["id", "name", "price", "one"]
    );
    assert_eq!(
        texts("WITH t(a, b) AS (SELECT 1, 2) SELECT t.| FROM t"),
        ["a", "b"]
    );
    assert_eq!(
        first("WITH t AS (SELECT na| FROM products) SELECT 1"),
        "name"
    );
}

#[test]
fn results_that_double_at_each_step_are_offered_in_part() {
    let steps = (1..40).map(|n| format!("c{n} AS (SELECT * FROM c{} x, c{0} y)", n - 1));
    let steps: Vec<String> = steps.collect();
    let marked = format!(
        "WITH c0 AS (SELECT id, status FROM orders), {} SELECT | FROM c39",
        steps.join(", ")
    );
    assert!(texts(&marked).contains(&"status".to_owned()));
}

#[test]
fn an_inner_query_sees_its_own_tables_first_and_the_outer_ones_too() {
    let found = texts("SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE |");
    let place = |name: &str| found.iter().position(|text| text == name);
    assert!(
        place("status").unwrap() < place("country").unwrap(),
        "{found:?}"
    );
    let outer = texts("SELECT n| FROM customers WHERE id IN (SELECT customer_id FROM orders)");
    assert!(
        outer.contains(&"name".to_owned()) && !outer.contains(&"total".to_owned()),
        "{outer:?}"
    );
}

#[test]
fn joins_follow_foreign_keys() {
    assert_eq!(
        first("SELECT * FROM orders JOIN |"),
        "customers ON orders.customer_id = customers.id"
    );
    let joins = texts("SELECT * FROM orders o JOIN |");
    assert!(
        joins.contains(&"order_items oi ON oi.order_id = o.id".to_owned()),
        "{joins:?}"
    );
    assert!(
        joins.contains(&"customers c ON o.customer_id = c.id".to_owned()),
        "{joins:?}"
    );
    assert_eq!(
        first("SELECT * FROM orders o JOIN customers c ON |"),
        "o.customer_id = c.id"
    );
    assert_eq!(first("select * from orders o jo|"), "join");
    let after = texts("SELECT * FROM orders |");
    assert!(
        after.contains(&"JOIN customers ON orders.customer_id = customers.id".to_owned()),
        "{after:?}"
    );
    let own = texts("SELECT * FROM employees JOIN |");
    assert!(
        own.contains(&"employees e ON employees.boss_id = e.id".to_owned()),
        "{own:?}"
    );
}

#[test]
fn known_values_and_like_columns_follow_a_comparison() {
    assert_eq!(
        texts("SELECT id FROM orders WHERE status = |")[..2],
        ["'paid'", "'it''s new'"]
    );
    let compared = texts("SELECT 1 FROM orders o JOIN products p ON o.id = p.id WHERE o.total > |");
    let place = |name: &str| compared.iter().position(|text| text == name).unwrap();
    assert!(place("price") < place("status"), "{compared:?}");
}

#[test]
fn insert_names_each_column_once() {
    assert_eq!(first("INSERT INTO products (|"), "id");
    assert!(texts("INSERT INTO products (|").contains(&"id, name, price".to_owned()));
    assert_eq!(texts("INSERT INTO products (id, |"), ["name", "price"]);
    assert_eq!(first("INSERT INTO products (id) |"), "VALUES");
}

#[test]
fn nothing_is_offered_inside_text_and_comments() {
    for marked in [
        "SELECT 'sel|",
        "SELECT 'a| b'",
        "-- sel|",
        "SELECT /* fr| */ 1",
        "SELECT id FROM orders LIMIT |",
    ] {
        assert!(at(marked).items.is_empty(), "{marked}: {:?}", texts(marked));
    }
}

#[test]
fn what_is_replaced_is_counted_in_utf16_units() {
    let found = at("SELECT '😀', st| FROM orders");
    assert_eq!((found.replace_from, found.replace_to), (13, 15));
    assert_eq!(found.items[0].text, "status");
    let quoted = at("SELECT \"stat| FROM orders");
    assert_eq!(quoted.replace_from, 7);
    assert!(matches!(
        complete("😀", 1, &shop()),
        Err(CursorError::InsideCharacter)
    ));
    assert!(matches!(
        complete("a", 2, &shop()),
        Err(CursorError::Outside { length: 1 })
    ));
}

#[test]
fn names_that_need_quotes_get_them() {
    let mut schema = shop();
    schema.tables[0].columns[1].name = "Full Name".to_owned();
    assert_eq!(
        in_schema("SELECT Ful| FROM customers", &schema).items[0].text,
        "\"Full Name\""
    );
    assert_eq!(
        in_schema("SELECT c.\"Fu| FROM customers c", &schema).items[0].text,
        "\"Full Name\""
    );
}

#[test]
fn every_cursor_of_any_text_is_answered() {
    let hostile = [
        "SELECT a.b.c.(((( FROM , JOIN ON WITH x AS (SELECT ) UNION (",
        "WITH WITH WITH (((( AS AS SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT",
        ")))) FROM orders o, (SELECT 'a \" ` [ $$ $x$ -- ü\n/* SET = , INTO t ( a , VALUES ( USING (",
        "UPDATE UPDATE SET SET , = ON CASE WHEN . .. ; ; SELECT 😀 FROM 😀 WHERE 😀.",
    ];
    for text in hostile {
        for dialect in Dialect::ALL {
            let schema = Schema { dialect, ..shop() };
            for cursor in 0..=text.encode_utf16().count() {
                let _ = complete(text, cursor, &schema);
            }
        }
    }
}

#[test]
fn many_tables_leave_the_best_first() {
    let mut schema = shop();
    for number in 0..900 {
        let columns: Vec<(String, &str)> = (0..12)
            .map(|c| (format!("field_{c}_of_{number}"), "text"))
            .collect();
        let columns: Vec<(&str, &str)> = columns
            .iter()
            .map(|(name, kind)| (name.as_str(), *kind))
            .collect();
        schema
            .tables
            .push(table(&format!("table_{number}"), &columns, &[]));
    }
    assert_eq!(
        in_schema("SELECT * FROM table_77|", &schema).items[0].text,
        "table_77"
    );
    assert_eq!(
        in_schema("SELECT field_3_of_500|", &schema).items[0].text,
        "field_3_of_500"
    );
    assert!(in_schema("SELECT f|", &schema).items.len() <= MOST);
}
