//! The SQL assistant over a real PostgreSQL.

use reqwest::Method;
use serde_json::{Value, json};

use crate::gguf;
use crate::postgres::Postgres;
use crate::server::{Answer, PLAIN, Server};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

const SETUP: &str = "
    CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, status text CHECK (status <> ''), created_at timestamptz DEFAULT now());
    COMMENT ON TABLE users IS 'who buys';
    COMMENT ON COLUMN users.status IS 'active or gone';
    CREATE TYPE state AS ENUM ('open', 'paid');
    CREATE SCHEMA sales;
    CREATE TABLE sales.orders (id bigint PRIMARY KEY, user_id int REFERENCES users (id), total numeric(10, 2), state state, info jsonb);
    CREATE INDEX orders_state ON sales.orders (state);
    INSERT INTO users (name, status) SELECT 'u' || n, CASE WHEN n % 2 = 0 THEN 'active' ELSE 'gone' END FROM generate_series(1, 600) n;
    INSERT INTO sales.orders SELECT n, 1 + n % 600, n, 'open', '{\"a\": 1}' FROM generate_series(1, 1000) n;
    ANALYZE;
    CREATE ROLE reader LOGIN PASSWORD 'hunter2';
    GRANT USAGE ON SCHEMA sales TO reader;
    GRANT SELECT ON users, sales.orders TO reader;
";

struct Setup {
    postgres: Postgres,
    server: Server,
}

async fn setup() -> Option<Setup> {
    let postgres = Postgres::start()?;
    postgres.psql(SETUP).expect("the tables are made");
    let address = postgres.address("reader");
    let owner = postgres.address("postgres");
    let server = Server::start_with(&[
        ("WICK_ASSIST_MODEL", "parrot"),
        ("WICK_LIMIT_SQL", "0"),
        ("WICK_SECRET_KEY", SECRET),
        ("WICK_SQL_OWNER", &owner),
    ]);
    let template = json!({"template": PLAIN});
    server.create("parrot", &gguf::listener(), template).await;
    let made = put(
        &server,
        "shop",
        json!({"connection": address, "execute": true, "samples": true}),
    )
    .await;
    assert_eq!(made.status, 200, "{made:?}");
    assert!(!made.text.contains("hunter2"));
    Some(Setup { postgres, server })
}

async fn put(server: &Server, name: &str, body: Value) -> Answer {
    let path = format!("/ai/sql/schemas/{name}");
    server
        .send(Method::PUT, &path, Some(body.to_string()))
        .await
}

async fn run(server: &Server, schema: &str, sql: &str) -> Answer {
    let body = json!({"query": sql, "schema": schema, "action": "explain", "execute": true});
    server.post("/ai/sql/assist", body).await
}

#[tokio::test]
async fn a_database_is_read_and_asked() {
    let Some(Setup {
        server,
        postgres: _running,
    }) = setup().await
    else {
        return;
    };
    let schema = server.get("/ai/sql/schemas/shop").await.json();
    let users = &schema["tables"][0];
    assert_eq!(
        (&users["name"], &users["comment"]),
        (&json!("users"), &json!("who buys"))
    );
    assert_eq!(users["rows"], 600);
    assert_eq!(users["primary_key"], json!(["id"]));
    assert_eq!(users["columns"][2]["comment"], "active or gone");
    assert_eq!(users["columns"][2]["samples"], json!(["active", "gone"]));
    assert_eq!(users["columns"][1]["samples"], json!([]));
    let orders = &schema["tables"][1];
    assert_eq!(
        (&orders["namespace"], &orders["name"]),
        (&json!("sales"), &json!("orders"))
    );
    assert_eq!(
        orders["foreign_keys"],
        json!([{"columns": ["user_id"], "table": "users", "references": ["id"]}])
    );
    assert_eq!(orders["indexes"][0]["columns"], json!(["state"]));
    assert_eq!(orders["columns"][3]["samples"], json!(["open", "paid"]));

    let question = json!({"query": "Get all active users <|sql|>", "schema": "shop", "action": "generate", "execute": true});
    let answer = server.post("/ai/sql/assist", question).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["rows"].as_array().unwrap().len(), 200);
    assert_eq!(body["rows"][0], json!({"name": "u2"}));
    assert_eq!(
        body["columns_meta"],
        json!([{"name": "name", "type": "text"}])
    );
    assert!(
        body["warnings"].to_string().contains("first 200 rows"),
        "{body}"
    );

    let sql = "SELECT id, total, state, info, NULL AS none FROM sales.orders WHERE id = 7";
    let row = run(&server, "shop", sql).await.json()["rows"][0].clone();
    assert_eq!(
        row,
        json!({"id": 7, "total": 7.0, "state": "open", "info": {"a": 1}, "none": null})
    );
}

#[tokio::test]
async fn nothing_is_written_and_nothing_runs_for_ever() {
    let Some(Setup { server, postgres }) = setup().await else {
        return;
    };
    // Even with the owner's own address nothing but reading is possible.
    let made = put(
        &server,
        "owner",
        json!({"connection": "env:WICK_SQL_OWNER", "execute": true}),
    )
    .await;
    assert_eq!(made.status, 200, "{made:?}");
    let state = || {
        let count = postgres
            .psql("SELECT count(*), sum(hashtext(users::text)) FROM users")
            .unwrap();
        let tables = postgres.psql("SELECT count(*) FROM pg_class").unwrap();
        (count, tables)
    };
    let before = state();
    let attacks: Vec<Value> =
        serde_json::from_str(include_str!("../data/sql/attacks.json")).unwrap();
    for attack in attacks
        .iter()
        .filter(|attack| attack["dialect"] == "postgres")
    {
        let answer = run(&server, "owner", attack["sql"].as_str().unwrap()).await;
        assert!(answer.status.is_client_error(), "{attack}: {answer:?}");
    }
    assert_eq!(state(), before);
    let endless =
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";
    let (status, text) = run(&server, "shop", endless).await.error();
    assert_eq!(status, 504, "{text}");
    let (status, text) = run(&server, "shop", "SELECT name + 1 FROM users")
        .await
        .error();
    assert_eq!(status, 422);
    assert!(text.contains("operator does not exist"), "{text}");
}

#[tokio::test]
async fn rows_that_are_too_large_are_not_fetched() {
    let Some(Setup {
        server,
        postgres: _running,
    }) = setup().await
    else {
        return;
    };
    // Two hundred rows of six hundred kilobytes, of which one would fit into an answer.
    let sql = "SELECT (SELECT string_agg(repeat('x', 1000), '') FROM users) AS much FROM users";
    let (status, text) = run(&server, "shop", sql).await.error();
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("larger than answers may be"), "{text}");
    let sql =
        "SELECT (SELECT string_agg(repeat('x', 1000), '') FROM users) AS much FROM users LIMIT 2";
    let answer = run(&server, "shop", sql).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["rows"].as_array().unwrap().len(), 1);
    assert_eq!(answer["rows"][0]["much"].as_str().unwrap().len(), 600_000);
}

#[tokio::test]
async fn a_session_takes_its_share_and_no_more() {
    let Some(Setup { server, postgres }) = setup().await else {
        return;
    };
    // A view says what the session may take; the functions that would are refused in statements.
    let view = "CREATE VIEW shares AS SELECT current_setting('work_mem') AS memory, current_setting('hash_mem_multiplier') AS hashes,
        current_setting('max_parallel_workers_per_gather') AS workers, current_setting('statement_timeout') AS time,
        current_setting('temp_file_limit') AS files, current_setting('transaction_read_only') AS reads;
        GRANT SELECT ON shares TO reader;";
    postgres.psql(view).expect("the view is made");
    let reader = postgres.address("reader");
    for (schema, connection) in [("shop", reader.as_str()), ("owner", "env:WICK_SQL_OWNER")] {
        let made = put(
            &server,
            schema,
            json!({"connection": connection, "execute": true}),
        )
        .await;
        assert_eq!(made.status, 200, "{made:?}");
    }
    for (schema, files) in [("shop", "-1"), ("owner", "256MB")] {
        let answer = run(&server, schema, "SELECT * FROM shares").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.json()["rows"][0],
            json!({"memory": "16MB", "hashes": "1", "workers": "0", "time": "5s", "files": files, "reads": "on"})
        );
    }
}

#[tokio::test]
async fn strings_end_where_the_guard_sees_their_end() {
    let Some(Setup { server, postgres }) = setup().await else {
        return;
    };
    // An address and a role that have `\'` stand for a quote within a string.
    let option = "options=-c%20standard_conforming_strings%3Doff";
    let address = format!("{}?{option}", postgres.address("reader"));
    let body = json!({"connection": address, "execute": true});
    let made = put(&server, "address", body).await;
    assert_eq!(made.status, 200, "{made:?}");
    postgres
        .psql("ALTER ROLE reader SET standard_conforming_strings = off")
        .expect("the role is changed");
    let sql = r"SELECT 'a\\b' AS two, '\' AS one, ' || name || ' AS text FROM users WHERE id = 1";
    for schema in ["address", "shop"] {
        let answer = run(&server, schema, sql).await;
        assert_eq!(answer.status, 200, "{schema}: {answer:?}");
        assert_eq!(
            answer.json()["rows"][0],
            json!({"two": r"a\\b", "one": r"\", "text": " || name || "}),
            "{schema}"
        );
    }
}

#[tokio::test]
async fn a_statement_the_database_refuses_is_mended() {
    let Some(Setup {
        server,
        postgres: _running,
    }) = setup().await
    else {
        return;
    };
    let request = json!({"query": "SELECT nmae FROM users WHERE staus = 'active'", "schema": "shop", "action": "fix",
        "error": "column \"nmae\" does not exist", "execute": true});
    let fixed = server.post("/ai/sql/assist", request).await;
    assert_eq!(fixed.status, 200, "{fixed:?}");
    let fixed = fixed.json();
    assert_eq!(
        fixed["sql"],
        "SELECT name FROM users WHERE status = 'active'"
    );
    assert_eq!(fixed["rows"].as_array().unwrap().len(), 200);
    let slow = json!({"query": "SELECT total FROM sales.orders WHERE user_id = 5", "schema": "shop", "action": "optimize"});
    let better = server.post("/ai/sql/assist", slow).await.json();
    assert!(
        better["suggestions"].to_string().contains("CREATE INDEX"),
        "{better}"
    );
    assert!(
        better["suggestions"].to_string().contains("user_id"),
        "{better}"
    );
}

/// The statements that answer the questions models are scored with run as they are.
#[test]
fn answers_of_the_questions_run() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let questions: Vec<Value> = serde_json::from_str(include_str!(
        "../../models/starter/eval/questions/questions.json"
    ))
    .unwrap();
    for (name, ddl) in [
        (
            "shop",
            include_str!("../../models/starter/eval/questions/shop.sql"),
        ),
        (
            "bank",
            include_str!("../../models/starter/eval/questions/bank.sql"),
        ),
        (
            "clinic",
            include_str!("../../models/starter/eval/questions/clinic.sql"),
        ),
    ] {
        let made = postgres.psql(&format!(
            "CREATE SCHEMA {name}; SET search_path = {name}; {ddl}"
        ));
        assert!(made.is_some(), "{name}");
        for question in questions
            .iter()
            .filter(|question| question["schema"] == name)
        {
            let sql = question["sql"].as_str().unwrap();
            let run = postgres.psql(&format!("SET search_path = {name}; {sql}"));
            assert!(run.is_some(), "{sql}");
        }
    }
}
