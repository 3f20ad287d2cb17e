//! The SQL assistant over HTTP: schemas, questions, statements, SQLite files, the command line.

use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use crate::embed::create_minilm;
use crate::gguf;
use crate::server::{Answer, PLAIN, Server};

const DDL: &str =
    "CREATE TABLE users (id int PRIMARY KEY, name text, status text, created_at timestamp);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, total numeric);";
/// What the parrot says to this.
const QUESTION: &str = "Get all active users <|sql|>";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

async fn server(variables: &[(&str, &str)]) -> Server {
    let mut all = vec![("WICK_ASSIST_MODEL", "parrot"), ("WICK_LIMIT_SQL", "0")];
    all.extend(variables);
    let server = Server::start_with(&all);
    let template = json!({"template": PLAIN});
    server.create("parrot", &gguf::listener(), template).await;
    server
}

async fn put(server: &Server, name: &str, body: Value) -> Answer {
    let path = format!("/ai/sql/schemas/{name}");
    server
        .send(Method::PUT, &path, Some(body.to_string()))
        .await
}

async fn assist(server: &Server, body: Value) -> Answer {
    server.post("/ai/sql/assist", body).await
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_question_becomes_a_checked_statement() {
    let server = server(&[]).await;
    let registered = put(&server, "tenant_mukulah", json!({"ddl": DDL})).await;
    assert_eq!(registered.status, 200, "{registered:?}");
    let answer = assist(
        &server,
        json!({"query": QUESTION, "schema": "tenant_mukulah", "action": "generate"}),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(
        body["sql"],
        "SELECT name FROM users WHERE status = 'active'"
    );
    assert_eq!(body["valid"], true);
    assert_eq!(body["tables"], json!(["users"]));
    assert_eq!(body["columns"], json!(["users.name", "users.status"]));
    assert_eq!(body["model"], "parrot:latest");
    assert_eq!(body["attempts"], 1);
    assert!(
        body["explanation"].as_str().unwrap().contains("users"),
        "{body}"
    );
    assert_eq!(
        keys(&body),
        [
            "attempts",
            "columns",
            "explanation",
            "model",
            "sql",
            "suggestions",
            "tables",
            "total_duration_ms",
            "valid",
            "warnings"
        ]
    );
    let inline = assist(
        &server,
        json!({"query": QUESTION, "schema": DDL, "action": "generate", "stream": true}),
    )
    .await;
    assert!(inline.kind.starts_with("text/event-stream"), "{inline:?}");
    assert!(inline.text.contains("event: token\n") && inline.text.contains("event: result\n"));
}

#[tokio::test]
async fn what_cannot_be_is_told_with_its_status() {
    let server = server(&[]).await;
    for (body, status, want) in [
        (
            json!({"query": "x", "schema": "nobody", "action": "generate"}),
            404,
            "schema 'nobody' not found",
        ),
        (
            json!({"query": "x", "schema": DDL, "action": "dance"}),
            400,
            "field 'action'",
        ),
        (
            json!({"query": "", "schema": DDL, "action": "explain"}),
            400,
            "field 'query' must not be empty",
        ),
        (
            json!({"schema": DDL, "action": "explain"}),
            400,
            "field 'query' is required",
        ),
        (
            json!({"query": "x", "schema": DDL, "action": "generate", "dialect": "oracle"}),
            400,
            "field 'dialect' must be one of postgres",
        ),
        (
            json!({"query": "x", "schema": "CREATE TABLE t (\n\n,)", "action": "generate"}),
            400,
            "field 'schema' line 3",
        ),
        (
            json!({"query": "What is the weather in Paris?", "schema": DDL, "action": "generate"}),
            422,
            "nearest are",
        ),
        (
            json!({"query": "SELECT 1", "schema": DDL, "action": "explain", "execute": true}),
            403,
            "are not run on this schema",
        ),
        (
            json!({"query": "a😀", "schema": DDL, "action": "complete", "cursor_position": 2}),
            400,
            "field 'cursor_position'",
        ),
        (
            json!({"query": "SELECT FROM WHERE (", "schema": DDL, "action": "explain"}),
            400,
            "field 'query' cannot be read",
        ),
    ] {
        let (got, text) = assist(&server, body.clone()).await.error();
        assert!(got == status && text.contains(want), "{body}: {got} {text}");
    }
    let many: String = (0..10_000)
        .map(|n| format!("CREATE TABLE t{n} (id int);"))
        .collect();
    let (status, text) = put(&server, "many", json!({"ddl": many})).await.error();
    assert_eq!(status, 400);
    assert!(text.contains("10000 tables"), "{text}");
    let (status, _) = put(&server, "a%2Fb", json!({"ddl": DDL})).await.error();
    assert_eq!(status, 400);
}

#[tokio::test]
async fn statements_are_helped_without_a_model() {
    let server = Server::start();
    let explained = assist(&server, json!({"query": "SELECT name FROM users WHERE status = 'active'", "schema": DDL, "action": "explain"})).await.json();
    assert_eq!(explained["valid"], true, "{explained}");
    assert!(
        explained["explanation"]
            .as_str()
            .unwrap()
            .contains("`users`"),
        "{explained}"
    );
    let fixed = assist(&server, json!({"query": "SELECT nmae FROM user", "schema": DDL, "action": "fix", "error": "relation \"user\" does not exist"})).await.json();
    assert_eq!(fixed["sql"], "SELECT name FROM users", "{fixed}");
    assert_eq!(
        (&fixed["valid"], &fixed["attempts"], &fixed["model"]),
        (&json!(true), &json!(0), &json!(""))
    );
    let typed = assist(
        &server,
        json!({"query": "SELECT SUM(name) FROM users", "schema": DDL, "action": "fix"}),
    )
    .await
    .json();
    assert_eq!(
        (&typed["sql"], &typed["warnings"]),
        (
            &json!("SELECT SUM(name) FROM users"),
            &json!(["SUM takes a number, and 'name' is text"])
        )
    );
    let quoted = assist(
        &server,
        json!({"query": "SELECT name FROM users WHERE status = 1", "schema": DDL, "action": "fix"}),
    )
    .await
    .json();
    assert_eq!(
        quoted["sql"], "SELECT name FROM users WHERE status = '1'",
        "{quoted}"
    );
    let completed = assist(
        &server,
        json!({"query": "SELECT * FROM us", "schema": DDL, "action": "complete"}),
    )
    .await
    .json();
    assert_eq!(completed["suggestions"][0], "users", "{completed}");
    let better = assist(&server, json!({"query": "SELECT o.id FROM orders o JOIN users u ON u.id = o.user_id WHERE u.status = 'a'", "schema": DDL, "action": "optimize"})).await.json();
    let suggestions = better["suggestions"].to_string();
    assert!(suggestions.contains("CREATE INDEX"), "{better}");
    let document = server
        .post("/ai/sql/document", json!({"schema": DDL}))
        .await
        .json();
    assert!(document["markdown"].as_str().unwrap().contains("users"));
    let data = server
        .post("/ai/sql/testdata", json!({"schema": DDL, "rows": 2}))
        .await
        .json();
    assert!(
        data["sql"].as_str().unwrap().contains("INSERT INTO users"),
        "{data}"
    );
    let migration = json!({"from_ddl": "CREATE TABLE t (id int);", "to_ddl": "CREATE TABLE t (id int, name text);"});
    let migrated = server.post("/ai/sql/migrate", migration).await.json();
    assert!(
        migrated["statements"].to_string().contains("ADD COLUMN"),
        "{migrated}"
    );
}

#[tokio::test]
async fn tenants_cannot_see_or_guess_schemas_of_others() {
    let server = server(&[]).await;
    let key = |tenant: &str| {
        let made = server.command(&["keys", "add", tenant, "--tenant", tenant]);
        made.trim().to_owned()
    };
    let (acme, evil) = (key("acme"), key("evil"));
    let ask = async |method: Method, path: &str, key: &str, body: Value| {
        let request = server.with_bearer(method, path, key).body(body.to_string());
        Answer::read(request.send().await.unwrap()).await
    };
    let path = "/ai/sql/schemas/shop";
    let made = ask(
        Method::PUT,
        path,
        &acme,
        json!({"ddl": DDL, "descriptions": {"users": "who buys"}}),
    )
    .await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(
        ask(Method::GET, path, &acme, json!({})).await.json()["descriptions"]["users"],
        "who buys"
    );
    let unknown = ask(Method::GET, path, &evil, json!({})).await.error();
    let never = ask(Method::GET, "/ai/sql/schemas/ghost", &evil, json!({}))
        .await
        .error();
    assert_eq!((unknown.0, unknown.1.replace("shop", "ghost")), never);
    assert_eq!(
        ask(Method::DELETE, path, &evil, json!({})).await.status,
        404
    );
    let request = json!({"query": "SELECT 1", "schema": "shop", "action": "explain"});
    assert_eq!(
        ask(Method::POST, "/ai/sql/assist", &evil, request.clone())
            .await
            .status,
        404
    );
    assert_eq!(
        ask(Method::POST, "/ai/sql/assist", &acme, request)
            .await
            .status,
        200
    );
    assert_eq!(
        ask(Method::GET, "/ai/sql/schemas", &evil, json!({}))
            .await
            .json(),
        json!({"schemas": []})
    );
    assert_eq!(
        ask(Method::GET, "/ai/sql/schemas", &acme, json!({}))
            .await
            .json(),
        json!({"schemas": ["shop"]})
    );
    assert_eq!(
        ask(Method::DELETE, path, &acme, json!({})).await.status,
        204
    );
    assert_eq!(ask(Method::GET, path, &acme, json!({})).await.status, 404);
}

fn make_database(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, status TEXT);
             INSERT INTO users (name, status) VALUES ('Ann', 'active'), ('Bob', 'gone'), ('Cem', 'active'), ('Dan', 'gone');",
        )
        .unwrap();
}

#[tokio::test]
async fn statements_run_on_sqlite_files_and_cannot_write() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("shop.db");
    make_database(&path);
    let folder = files.path().to_str().unwrap();
    let server = server(&[("WICK_SQLITE_DIR", folder), ("WICK_SECRET_KEY", SECRET)]).await;
    let made = put(
        &server,
        "shop",
        json!({"connection": "sqlite:shop.db", "execute": true, "samples": true}),
    )
    .await;
    assert_eq!(made.status, 200, "{made:?}");
    let made = made.json();
    assert_eq!(
        (&made["dialect"], &made["connected"]),
        (&json!("sqlite"), &json!(true))
    );
    assert_eq!(
        made["tables"][0]["columns"][2]["samples"],
        json!(["active", "gone"])
    );
    assert!(!made.to_string().contains("shop.db"), "{made}");
    let answer = assist(
        &server,
        json!({"query": QUESTION, "schema": "shop", "action": "generate", "execute": true}),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(
        body["rows"],
        json!([{"name": "Ann"}, {"name": "Cem"}]),
        "{body}"
    );
    assert_eq!(
        body["columns_meta"],
        json!([{"name": "name", "type": "text"}])
    );
    let attacks: Vec<Value> =
        serde_json::from_str(include_str!("../data/sql/attacks.json")).unwrap();
    let before = std::fs::read(&path).unwrap();
    for attack in attacks {
        let request =
            json!({"query": attack["sql"], "schema": "shop", "action": "explain", "execute": true});
        let answer = assist(&server, request).await;
        assert!(answer.status.is_client_error(), "{attack}: {answer:?}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let log = server.log();
    assert!(log.contains("a statement was run"), "{log}");
    for private in ["Ann", "active", "shop.db", SECRET] {
        assert!(!log.contains(private), "{private}: {log}");
    }
}

#[tokio::test]
async fn what_a_statement_keeps_in_memory_has_a_bound() {
    let files = tempfile::tempdir().unwrap();
    make_database(&files.path().join("shop.db"));
    let folder = files.path().to_str().unwrap();
    let server = server(&[("WICK_SQLITE_DIR", folder), ("WICK_SECRET_KEY", SECRET)]).await;
    let made = put(
        &server,
        "shop",
        json!({"connection": "sqlite:shop.db", "execute": true}),
    )
    .await;
    assert_eq!(made.status, 200, "{made:?}");
    let run = async |sql: &str| {
        let body = json!({"query": sql, "schema": "shop", "action": "explain", "execute": true});
        assist(&server, body).await
    };
    // Nothing of it is in the answer: four users eight times over, each with ten kilobytes to sort by.
    let sql = "SELECT a.id FROM users a, users b, users c, users d, users e, users f, users g, users h \
               ORDER BY printf('%10000d', random())";
    let (status, text) = run(sql).await.error();
    assert_eq!(status, 422, "{text}");
    assert!(
        text.contains("more memory than statements may take"),
        "{text}"
    );
    let after = run("SELECT name FROM users ORDER BY name").await.json();
    assert_eq!(after["rows"][0], json!({"name": "Ann"}));
}

#[tokio::test]
async fn connections_are_kept_sealed_or_not_at_all() {
    let server = server(&[("WICK_SQL_MISSING_FILE", "sqlite:nothing.db")]).await;
    let address = "postgres://me:hunter2@127.0.0.1:1/shop";
    let (status, text) = put(&server, "shop", json!({"connection": address}))
        .await
        .error();
    assert_eq!(status, 422);
    assert!(
        text.contains("WICK_SECRET_KEY") && !text.contains("hunter2"),
        "{text}"
    );
    for (connection, status) in [
        ("env:HOME", 400),
        ("env:WICK_SQL_MISSING_FILE", 400),
        ("sqlite:/etc/passwd", 400),
        ("ftp://x", 400),
    ] {
        let answer = put(&server, "shop", json!({"connection": connection})).await;
        assert_eq!(answer.status, status, "{connection}: {answer:?}");
    }
    let sealed = Server::start_with(&[("WICK_SECRET_KEY", SECRET)]);
    let (status, text) = put(&sealed, "shop", json!({"connection": address}))
        .await
        .error();
    assert_eq!(status, 503, "{text}");
    assert!(!text.contains("hunter2") && !sealed.log().contains("hunter2"));
}

#[tokio::test]
async fn the_command_line_writes_sql() {
    let server = server(&[]).await;
    let file = server.home().join("shop.sql");
    std::fs::write(&file, DDL).unwrap();
    let run = |arguments: &[&str], input: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wick"));
        command
            .arg("sql")
            .args(arguments)
            .env_clear()
            .env("HOME", server.home())
            .env("OLLAMA_HOST", &server.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        use std::io::Write;
        let mut stdin = child.stdin.take().unwrap();
        stdin
            .write_all(input.unwrap_or_default().as_bytes())
            .unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let want = (
        true,
        "SELECT name FROM users WHERE status = 'active'\n".to_owned(),
    );
    let path = file.to_str().unwrap();
    assert_eq!(run(&[QUESTION, "--schema", path], None), want);
    assert_eq!(run(&["--schema", path], Some(QUESTION)), want);
    assert_eq!(run(&[QUESTION, "--schema", "-"], Some(DDL)), want);
    assert!(!run(&[QUESTION, "--schema", "nothing.sql"], None).0);
}

/// A word that no name of the schema is like, and no list of synonyms has, leads to a table by what it means.
#[tokio::test]
async fn an_embedder_in_the_store_finds_tables_by_meaning() {
    let server = server(&[]).await;
    let ask = json!({"query": "subscribers who are enabled <|sql|>", "schema": DDL, "action": "generate"});
    let (status, text) = assist(&server, ask.clone()).await.error();
    assert_eq!(status, 422);
    assert!(text.contains("nearest"), "{text}");
    if !create_minilm(&server).await {
        return;
    }
    for _ in 0..2 {
        let answer = assist(&server, ask.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["tables"], json!(["users"]));
    }
    // What means nothing here is refused all the same.
    let ask = json!({"query": "What is the weather in Paris? <|sql|>", "schema": DDL, "action": "generate"});
    assert_eq!(assist(&server, ask).await.status, 422);
    // A large schema is read on the side; questions go on by words until it is.
    let mut large = DDL.to_owned();
    for number in 0..120 {
        large.push_str(&format!(
            "CREATE TABLE gauge_{number} (id int, reading_{number} int);"
        ));
    }
    let ask = json!({"query": "subscribers who are enabled <|sql|>", "schema": large, "action": "generate"});
    assert_eq!(assist(&server, ask.clone()).await.status, 422);
    for _ in 0..600 {
        let answer = assist(&server, ask.clone()).await;
        if answer.status == 200 {
            return;
        }
        assert_eq!(answer.status, 422, "{answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the large schema is never read");
}
