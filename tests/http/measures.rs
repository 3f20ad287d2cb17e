//! `wick eval` and `wick bench` over SQL, and how much of a repeated schema's prompt is found in the cache.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use wick::eval::{self, Ask, Plan, Task, Writer};
use wick::sql::database::Address;
use wick::store::starter;

use crate::postgres::Postgres;
use crate::server::Server;

const SHOP: &str = include_str!("../../models/starter/eval/questions/shop.sql");

/// The shipped questions with statements that answer them.
fn questions() -> Vec<Value> {
    let text = include_str!("../../models/starter/eval/questions/questions.json");
    serde_json::from_str(text).unwrap()
}

/// Writes what it makes of the statement that answers the question.
struct Told<F>(F);

impl<F: Fn(&str) -> String> Writer for Told<F> {
    type Error = std::convert::Infallible;

    async fn write(&self, ask: Ask) -> Result<String, Self::Error> {
        let text = match ask {
            Ask::Message(text) => text,
            Ask::Statement { ddl, question, .. } => format!("{ddl}\n\nQuestion: {question}"),
            Ask::Middle(_) | Ask::Completion(_) => String::new(),
        };
        let is_asked = |question: &&Value| {
            let (_, asked) = text.rsplit_once("Question: ").unwrap();
            // "How many clients ..." is no question to the shop.
            asked == question["question"].as_str().unwrap()
        };
        let questions = questions();
        let question = questions.iter().find(is_asked).unwrap();
        Ok((self.0)(question["sql"].as_str().unwrap()))
    }
}

async fn scored(postgres: &Postgres, seed: u64, write: impl Fn(&str) -> String) -> Value {
    let plan = Plan {
        task: Task::Questions,
        cases: None,
        seed,
        is_assisted: seed.is_multiple_of(2),
        database: Some(Address::parse(&postgres.address("postgres"), None).unwrap()),
    };
    let report = eval::run(plan, &Told(write)).await.unwrap();
    serde_json::to_value(report).unwrap()
}

#[tokio::test]
async fn questions_tell_right_statements_from_wrong_ones() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    for seed in [1, 2, 3] {
        let right = scored(&postgres, seed, str::to_owned).await;
        for share in [
            "execution_accuracy",
            "shop",
            "bank",
            "clinic",
            "valid_sql",
            "parses",
            "names_exist",
        ] {
            assert_eq!(right[share], 1.0, "{share}: {right}");
        }
        assert_eq!(
            (&right["refused"], &right["untold"]),
            (&json!(0), &json!(0))
        );
        assert!(right["cases"].as_u64().unwrap() >= 60, "{right}");
    }

    // Without their conditions, or nearly right otherwise, statements return something else.
    let careless = |sql: &str| match sql.split_once(" WHERE ") {
        Some((before, _)) => before.to_owned(),
        None => String::new(),
    };
    let wrong = scored(&postgres, 1, careless).await;
    assert_eq!(wrong["execution_accuracy"], 0.0, "{wrong}");
    let without = questions();
    let without = without
        .iter()
        .filter(|q| !q["sql"].as_str().unwrap().contains(" WHERE "));
    assert_eq!(wrong["refused"], without.count());
    let swapped = |sql: &str| {
        let pairs = [
            ("SUM(", "AVG("),
            ("MAX(", "MIN("),
            (" DESC", ""),
            ("> ", "<= "),
        ];
        let pair = pairs.iter().find(|(from, _)| sql.contains(from));
        pair.map_or_else(String::new, |(from, to)| sql.replace(from, to))
    };
    let wrong = scored(&postgres, 2, swapped).await;
    assert_eq!(wrong["execution_accuracy"], 0.0, "{wrong}");

    // What does more than read is not run, and nothing is left behind.
    let destructive = |_: &str| "DROP TABLE customers".to_owned();
    let refused = scored(&postgres, 1, destructive).await;
    assert_eq!(
        (&refused["valid_sql"], &refused["parses"]),
        (&json!(0.0), &json!(1.0))
    );
    let left = "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') \
                AND schemaname NOT LIKE 'pg_temp%'";
    assert_eq!(postgres.psql(left).unwrap(), "0");
}

fn wick(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wick"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("WICK_THREADS", "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn last_line(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn the_starter_is_scored_over_questions() {
    let home = tempfile::tempdir().unwrap();
    let plain = ["eval", "questions", "--model", "starter", "--json"];
    let told = wick(home.path(), &plain, &[]);
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("WICK_EVAL_DATABASE"), "{told}");
    if !starter::is_included() {
        println!("skipped: built without the weights of starter");
        return;
    }
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let address = postgres.address("postgres");
    let few = ["--cases", "5", "--seed", "3", "--assisted"];
    let arguments = [&plain[..], &few[..]].concat();
    let variables = [("WICK_EVAL_DATABASE", address.as_str())];
    let report = last_line(&wick(home.path(), &arguments, &variables));
    assert_eq!((&report["cases"], &report["seed"]), (&json!(5), &json!(3)));
    let answered = 5 - report["refused"].as_u64().unwrap();
    // Whatever the model is, what the assistant lets through is a statement over the schema.
    let sound = if answered > 0 { 1.0 } else { 0.0 };
    assert_eq!(report["parses"], sound, "{report}");
    assert_eq!(report["names_exist"], sound, "{report}");
    for share in ["execution_accuracy", "shop", "bank", "clinic", "valid_sql"] {
        let share = report[share].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&share), "{report}");
    }
}

#[test]
fn the_assistant_is_scored_on_what_it_answers() {
    if !starter::is_included() {
        println!("skipped: built without the weights of starter");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let score = |more: &[&str]| {
        let arguments = [
            "eval", "sql", "--model", "starter", "--cases", "20", "--json",
        ];
        last_line(&wick(home.path(), &[&arguments[..], more].concat(), &[]))
    };
    let (free, assisted) = (score(&[]), score(&["--assisted"]));
    assert_eq!(free["refused"], 0, "{free}");
    assert!(
        free["names_exist"].as_f64() <= free["parses"].as_f64(),
        "{free}"
    );
    assert_eq!(assisted["parses"], 1.0, "{assisted}");
    assert_eq!(assisted["names_exist"], 1.0, "{assisted}");
}

#[test]
fn gaps_are_filled_with_and_without_the_assistant() {
    if !starter::is_included() {
        println!("skipped: built without the weights of starter");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let plain = ["eval", "fim", "--model", "starter", "--json"];
    for more in [&["--cases", "60"][..], &["--cases", "60", "--assisted"]] {
        let report = last_line(&wick(home.path(), &[&plain, more].concat(), &[]));
        assert_eq!(report["cases"], 60);
        // Nine in ten of all cases; these are a fifth of them.
        assert!(report["parses"].as_f64().unwrap() > 0.8, "{report}");
    }
}

#[test]
fn what_a_grammar_costs_is_measured() {
    let home = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let gguf = root.join("models/starter/model/starter.gguf");
    if !gguf.exists() {
        println!("skipped: there are no weights of starter");
        return;
    }
    let schema = root.join("models/starter/eval/questions/shop.sql");
    let (gguf, schema) = (gguf.to_str().unwrap(), schema.to_str().unwrap());
    let few = ["-n", "16", "-r", "1", "--json"];
    let arguments = [
        &["bench", "--gguf", gguf, "--grammar", schema][..],
        &few[..],
    ]
    .concat();
    let report = last_line(&wick(home.path(), &arguments, &[]));
    for rate in ["free_tokens_per_second", "held_tokens_per_second"] {
        assert!(report[rate].as_f64().unwrap() > 0.0, "{report}");
    }
    let share = report["grammar_share"].as_f64().unwrap();
    assert!(
        share > 0.0 && report["prompt_tokens"].as_u64() > Some(300),
        "{report}"
    );
}

/// Statements that a model is asked for at a time.
const CANDIDATES: f64 = 3.0;

/// Prompt tokens so far, and those of them that were found in the cache.
async fn prompt_tokens(server: &Server) -> (f64, f64) {
    let text = server.get("/metrics").await.text;
    let count = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        let numbers = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        numbers.sum()
    };
    (
        count("wick_prompt_tokens_total"),
        count("wick_prompt_tokens_cached_total"),
    )
}

#[tokio::test]
async fn a_second_question_to_a_schema_reads_little_anew() {
    if !starter::is_included() {
        println!("skipped: built without the weights of starter");
        return;
    }
    let server = Server::start_with(&[("WICK_ASSIST_MODEL", "starter")]);
    let pulled = server
        .post("/api/pull", json!({"model": "starter", "stream": false}))
        .await;
    assert_eq!(pulled.status, 200, "{pulled:?}");
    let put = reqwest::Method::PUT;
    let body = json!({"ddl": SHOP}).to_string();
    let made = server.send(put, "/ai/sql/schemas/shop", Some(body)).await;
    assert_eq!(made.status, 200, "{made:?}");
    let mut before = (0.0, 0.0);
    let mut shares = Vec::new();
    for question in [
        "How many customers are there in each country?",
        "List the titles of products that cost more than 100.",
        "What is the average rating of suppliers?",
        "How many products are there?",
        "List the email of customers from Berlin.",
        "How many orders are there per status?",
    ] {
        let request = json!({"query": question, "schema": "shop", "action": "generate"});
        let answer = server.post("/ai/sql/assist", request).await;
        let now = prompt_tokens(&server).await;
        let (all, cached) = (now.0 - before.0, now.1 - before.1);
        before = now;
        let is_at_once = answer.status == 200 && answer.json()["attempts"] == 1;
        // A model that is asked again is shown less of the schema, whose prompt is another one.
        if !is_at_once {
            continue;
        }
        // Three candidates over one prompt; the second and third read its last token.
        let of_one = all / CANDIDATES;
        let read = all - cached - (CANDIDATES - 1.0);
        shares.push(1.0 - read / of_one);
    }
    assert!(shares.len() > 1, "{shares:?}");
    let again = &shares[1..];
    assert!(again.iter().all(|share| *share >= 0.9), "{shares:?}");
}
