//! Text to SQL: the model's statement and the case's own are run on random rows and must return the same.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::sql::{Dialect, Schema};

use super::cases::{self, SqlCase};
use super::random_rows::{database, rows};
use super::soundness::{Soundness, Tally, statement};
use super::{Ask, EvalError, Miss, Plan, Report, Writer, share, written};

/// Databases that both statements must agree on.
const DATABASES: u64 = 3;

/// Whose SQL it is.
const DIALECT: Dialect = Dialect::Sqlite;

/// Shares of cases.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// Statements that return what the case's own returns, on every database.
    pub execution_accuracy: f64,
    /// The same among questions that one table answers.
    pub single_table_accuracy: f64,
    /// The same among questions that need two tables.
    pub join_accuracy: f64,
    /// Statements that run at all.
    pub valid_sql: f64,
    /// Whether they are statements over the schema, among answers.
    #[serde(flatten)]
    pub soundness: Soundness,
}

/// How a statement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    /// It runs and returns something else.
    Wrong,
    /// It does not run.
    Invalid,
}

pub(super) async fn run<W: Writer>(plan: &Plan, writer: &W) -> Result<Report, EvalError<W::Error>> {
    let drawn: Vec<SqlCase> = cases::draw(cases::SQL, plan)?;
    let answers = written(drawn, writer, |case| ask(&case.prompt, plan.is_assisted)).await?;
    let mut verdicts = Vec::new();
    let mut misses = Vec::new();
    let mut tally = Tally::default();
    for (case, text) in &answers {
        let sql = statement(text);
        tally.count(sql, &schema(&case.prompt));
        let verdict = judge(case, sql, plan.seed)?;
        verdicts.push((case.single, verdict));
        if verdict != Verdict::Right {
            misses.push(Miss {
                asked: case.prompt.clone(),
                wanted: case.sql.clone(),
                got: text.clone(),
            });
        }
    }
    Ok(Report {
        scores: super::Scores::Sql(scores(&verdicts, tally.shares())),
        cases: verdicts.len(),
        seed: plan.seed,
        misses,
    })
}

/// The case as it is, or its schema and its question apart for the assistant.
fn ask(prompt: &str, is_assisted: bool) -> Ask {
    match parts(prompt).filter(|_| is_assisted) {
        Some((ddl, question)) => Ask::Statement {
            ddl,
            question,
            dialect: DIALECT,
        },
        None => Ask::Message(prompt.to_owned()),
    }
}

/// Schema and question of a prompt: the lines from the first `CREATE TABLE` to the last `);`, and the rest.
fn parts(prompt: &str) -> Option<(String, String)> {
    let start = prompt.to_ascii_lowercase().find("create table")?;
    let end = prompt.rfind(");")? + 2;
    let ddl = prompt.get(start..end)?;
    let rest = format!("{} {}", &prompt[..start], &prompt[end..]);
    let marks = ["Schema:", "Question:", "SQL:"];
    let question = marks
        .iter()
        .fold(rest, |text, mark| text.replace(mark, " "));
    Some((ddl.to_owned(), question.trim().to_owned()))
}

/// The schema of a prompt; the cases are known to have one.
fn schema(prompt: &str) -> Schema {
    let ddl = parts(prompt).map(|(ddl, _)| ddl).unwrap_or_default();
    Schema::from_ddl(&ddl, DIALECT).unwrap_or_default()
}

fn scores(verdicts: &[(bool, Verdict)], soundness: Soundness) -> Scores {
    let right = |single: Option<bool>| {
        let asked = verdicts.iter().filter(|v| single.is_none_or(|s| s == v.0));
        let (all, right) = asked.fold((0, 0), |(all, right), v| {
            (all + 1, right + usize::from(v.1 == Verdict::Right))
        });
        share(right, all)
    };
    let valid = verdicts.iter().filter(|v| v.1 != Verdict::Invalid).count();
    Scores {
        execution_accuracy: right(None),
        single_table_accuracy: right(Some(true)),
        join_accuracy: right(Some(false)),
        valid_sql: share(valid, verdicts.len()),
        soundness,
    }
}

fn judge(case: &SqlCase, sql: &str, seed: u64) -> rusqlite::Result<Verdict> {
    let mut verdict = Verdict::Right;
    for number in 0..DATABASES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(DATABASES).wrapping_add(number));
        let connection = database(&case.tables, &mut rng)?;
        let wanted = rows(&connection, &case.sql)?;
        match rows(&connection, sql) {
            Err(_) => return Ok(Verdict::Invalid),
            Ok(got) => {
                if !same(wanted, got, is_ordered(&case.sql)) {
                    verdict = Verdict::Wrong;
                }
            }
        }
    }
    Ok(verdict)
}

fn is_ordered(sql: &str) -> bool {
    sql.contains(" ORDER BY ")
}

/// Whether the rows are the same; in any order where the question asks for none.
fn same(mut wanted: Vec<Vec<String>>, mut got: Vec<Vec<String>>, ordered: bool) -> bool {
    if !ordered {
        wanted.sort();
        got.sort();
    }
    wanted == got
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> SqlCase {
        serde_json::from_str(
            r#"{"single": true, "prompt": "", "sql": "SELECT n FROM t WHERE n > 2;",
                "tables": [{"name": "t", "columns": [{"name": "id", "kind": "key"},
                    {"name": "n", "kind": "integer", "pool": [1, 2, 3, 4, 5]}]}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn statements_count_by_what_they_return() {
        let verdict = |sql: &str| judge(&case(), sql, 7).unwrap();
        assert_eq!(
            verdict("SELECT n FROM t WHERE n >= 3 ORDER BY id DESC"),
            Verdict::Right
        );
        assert_eq!(verdict("SELECT n FROM t WHERE n > 3"), Verdict::Wrong);
        assert_eq!(verdict("SELECT m FROM t"), Verdict::Invalid);
    }

    #[test]
    fn schema_and_question_come_apart() {
        let parts = |text| parts(text).unwrap();
        let want = ("CREATE TABLE t (n int);".to_owned(), "How many?".to_owned());
        assert_eq!(
            parts("CREATE TABLE t (n int);\n\nQuestion: How many?\nSQL:"),
            want
        );
        assert_eq!(
            parts("Question: How many?\nSchema:\nCREATE TABLE t (n int);"),
            want
        );
        for case in cases::draw::<SqlCase>(cases::SQL, &plan(None)).unwrap() {
            let (ddl, question) = super::parts(&case.prompt).unwrap();
            assert!(!question.is_empty() && !question.to_lowercase().contains("create table"));
            let schema = Schema::from_ddl(&ddl, DIALECT);
            assert_eq!(schema.unwrap().tables.len(), case.tables.len());
        }
    }

    fn plan(cases: Option<usize>) -> Plan {
        Plan {
            task: super::super::Task::Sql,
            cases,
            seed: 3,
            is_assisted: false,
            database: None,
        }
    }

    #[test]
    fn order_counts_where_it_is_asked_for() {
        let rows = |texts: [&str; 2]| texts.map(|t| vec![t.to_owned()]).to_vec();
        assert!(same(rows(["a", "b"]), rows(["b", "a"]), false));
        assert!(!same(rows(["a", "b"]), rows(["b", "a"]), true));
    }

    #[tokio::test]
    async fn a_writer_that_knows_the_answers_scores_one() {
        struct Known(Vec<SqlCase>);
        impl Writer for Known {
            type Error = std::convert::Infallible;
            async fn write(&self, ask: Ask) -> Result<String, Self::Error> {
                let found = self
                    .0
                    .iter()
                    .find(|c| ask == Ask::Message(c.prompt.clone()));
                Ok(found.map_or_else(String::new, |case| case.sql.clone()))
            }
        }
        let plan = Plan {
            task: super::super::Task::Sql,
            cases: Some(60),
            seed: 3,
            is_assisted: false,
            database: None,
        };
        let known = Known(cases::draw(cases::SQL, &plan).unwrap());
        let report = run(&plan, &known).await.unwrap();
        let text = serde_json::to_value(&report).unwrap();
        assert_eq!(text["execution_accuracy"], 1.0);
        assert_eq!(text["valid_sql"], 1.0);
        assert_eq!(
            (&text["parses"], &text["names_exist"], &text["refused"]),
            (&1.0.into(), &1.0.into(), &0.into())
        );
        assert_eq!(text["cases"], 60);
    }
}
