//! Questions as people have them, over a shop, a bank and a clinic: the model's statement and the question's own
//! are run on PostgreSQL and must return the same.
//!
//! Rows are made by [`crate::sql::testdata`] and then changed by hand (`*.rows.sql`) so that every question has
//! something to find and something to leave out. They lie in temporary tables: nothing of a database is changed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlparser::ast::Statement;

use crate::sql::database::{ColumnMeta, DatabaseError, Limits, Rows, Scratch};
use crate::sql::guard::{self, Readable};
use crate::sql::testdata::testdata;
use crate::sql::{Dialect, Schema};

use super::soundness::{Soundness, Tally, statement};
use super::{Ask, EvalError, Miss, Plan, Report, Writer, cases, share, written};

/// Databases of each schema that both statements must agree on.
const DATABASES: u64 = 2;
/// Rows of each table.
const ROWS: usize = 120;
/// What one statement may take; answers are compared whole.
const LIMITS: Limits = Limits {
    time: std::time::Duration::from_secs(5),
    rows: 20_000,
    bytes: 16 << 20,
};

/// A schema with what makes its rows telling.
struct Domain {
    name: &'static str,
    ddl: &'static str,
    rows: &'static str,
}

const DOMAINS: [Domain; 3] = [
    Domain {
        name: "shop",
        ddl: include_str!("../../models/starter/eval/questions/shop.sql"),
        rows: include_str!("../../models/starter/eval/questions/shop.rows.sql"),
    },
    Domain {
        name: "bank",
        ddl: include_str!("../../models/starter/eval/questions/bank.sql"),
        rows: include_str!("../../models/starter/eval/questions/bank.rows.sql"),
    },
    Domain {
        name: "clinic",
        ddl: include_str!("../../models/starter/eval/questions/clinic.sql"),
        rows: include_str!("../../models/starter/eval/questions/clinic.rows.sql"),
    },
];

const QUESTIONS: &str = include_str!("../../models/starter/eval/questions/questions.json");

/// A question with a statement that answers it.
#[derive(Clone, Debug, Deserialize)]
struct Question {
    /// Name of its schema.
    schema: String,
    question: String,
    sql: String,
    /// Whether rows may come in any order though the statement sorts them: the question asks for none.
    #[serde(default)]
    any_order: bool,
}

/// Shares of questions.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// Statements that return what the question's own returns, on every database.
    pub execution_accuracy: f64,
    /// The same among questions about the shop.
    pub shop: f64,
    /// About the bank.
    pub bank: f64,
    /// About the clinic.
    pub clinic: f64,
    /// Statements that run at all.
    pub valid_sql: f64,
    /// Whether they are statements over the schema, among answers.
    #[serde(flatten)]
    pub soundness: Soundness,
    /// Questions whose own statement returned no row, so that little follows from being right: how many.
    pub untold: usize,
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

/// A schema with the databases that were filled for it.
struct Ground {
    domain: &'static Domain,
    schema: Schema,
    databases: Vec<Scratch>,
}

pub(super) async fn run<W: Writer>(plan: &Plan, writer: &W) -> Result<Report, EvalError<W::Error>> {
    let drawn: Vec<Question> = cases::draw(QUESTIONS, plan)?;
    // First, so that a database that cannot be used is told before a model has worked for nothing.
    let grounds = grounds(plan).await?;
    let answers = written(drawn, writer, |question| ask(question, plan.is_assisted)).await?;
    let mut tally = Tally::default();
    let mut verdicts = Vec::new();
    let mut misses = Vec::new();
    let mut untold = 0;
    for (question, text) in &answers {
        let Some(ground) = grounds.iter().find(|g| g.domain.name == question.schema) else {
            continue;
        };
        let sql = statement(text);
        tally.count(sql, &ground.schema);
        let (verdict, is_told) = ground.judge(question, sql).await?;
        untold += usize::from(!is_told);
        verdicts.push((ground.domain.name, verdict));
        if verdict != Verdict::Right {
            misses.push(Miss {
                asked: format!("{}: {}", question.schema, question.question),
                wanted: question.sql.clone(),
                got: text.clone(),
            });
        }
    }
    Ok(Report {
        scores: super::Scores::Questions(scores(&verdicts, tally.shares(), untold)),
        cases: verdicts.len(),
        seed: plan.seed,
        misses,
    })
}

fn ask(question: &Question, is_assisted: bool) -> Ask {
    let domain = DOMAINS.iter().find(|domain| domain.name == question.schema);
    let ddl = domain.map_or("", |domain| domain.ddl).trim();
    let question = &question.question;
    match is_assisted {
        true => Ask::Statement {
            ddl: ddl.to_owned(),
            question: question.clone(),
            dialect: Dialect::Postgres,
        },
        false => Ask::Message(format!("{ddl}\n\nQuestion: {question}")),
    }
}

fn scores(verdicts: &[(&str, Verdict)], soundness: Soundness, untold: usize) -> Scores {
    let right = |wanted: Option<&str>| {
        let asked = verdicts
            .iter()
            .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name));
        let right = asked.clone().filter(|(_, v)| *v == Verdict::Right).count();
        share(right, asked.count())
    };
    let valid = verdicts.iter().filter(|(_, v)| *v != Verdict::Invalid);
    Scores {
        execution_accuracy: right(None),
        shop: right(Some("shop")),
        bank: right(Some("bank")),
        clinic: right(Some("clinic")),
        valid_sql: share(valid.count(), verdicts.len()),
        soundness,
        untold,
    }
}

/// All schemas with their rows, which the plan's seed decides.
async fn grounds<E: std::error::Error>(plan: &Plan) -> Result<Vec<Ground>, EvalError<E>> {
    let address = plan.database.as_ref().ok_or(EvalError::NoDatabase)?;
    let mut grounds = Vec::new();
    for domain in &DOMAINS {
        let schema = Schema::from_ddl(domain.ddl, Dialect::Postgres)?;
        let mut databases = Vec::new();
        for number in 0..DATABASES {
            let seed = plan.seed.wrapping_mul(DATABASES).wrapping_add(number);
            let rows = testdata(&schema, ROWS, seed).statements.join("\n");
            let database = Scratch::open(address).await?;
            for statements in [domain.ddl, &rows, domain.rows] {
                database.prepare(statements).await?;
            }
            databases.push(database);
        }
        grounds.push(Ground {
            domain,
            schema,
            databases,
        });
    }
    Ok(grounds)
}

impl Ground {
    /// How a statement did, and whether the question's own returned anything.
    async fn judge<E: std::error::Error>(
        &self,
        question: &Question,
        sql: &str,
    ) -> Result<(Verdict, bool), EvalError<E>> {
        let own = guard::check(&question.sql, Dialect::Postgres)
            .map_err(|refusal| DatabaseError::Statement(refusal.to_string()))?;
        let is_ordered = !question.any_order && is_ordered(&own);
        let mut verdict = Verdict::Right;
        let mut is_told = false;
        for database in &self.databases {
            let wanted = database.rows(&own, LIMITS).await?;
            is_told |= !wanted.rows.is_empty();
            let Ok(readable) = guard::check(sql, Dialect::Postgres) else {
                verdict = Verdict::Invalid;
                continue;
            };
            match database.rows(&readable, LIMITS).await {
                Ok(got) if same(&wanted, &got, is_ordered) => {}
                Ok(_) if verdict == Verdict::Right => verdict = Verdict::Wrong,
                Ok(_) => {}
                Err(DatabaseError::Statement(_) | DatabaseError::TimedOut(_)) => {
                    verdict = Verdict::Invalid;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok((verdict, is_told))
    }
}

/// Whether the statement as a whole sorts its rows.
fn is_ordered(statement: &Readable) -> bool {
    match statement.statement() {
        Statement::Query(query) => query.order_by.is_some(),
        _ => false,
    }
}

/// Whether the rows are the same, whatever their columns are called.
fn same(wanted: &Rows, got: &Rows, is_ordered: bool) -> bool {
    let lines = |rows: &Rows| {
        let mut lines: Vec<Vec<String>> = rows.rows.iter().map(|row| line(rows, row)).collect();
        if !is_ordered {
            lines.sort();
        }
        lines
    };
    wanted.columns.len() == got.columns.len() && lines(wanted) == lines(got)
}

fn line(rows: &Rows, row: &[Value]) -> Vec<String> {
    let cells = rows.columns.iter().zip(row);
    cells.map(|(column, value)| shown(column, value)).collect()
}

/// Numbers of any type to nine digits; a day is the first moment of it.
fn shown(column: &ColumnMeta, value: &Value) -> String {
    let is_number = ["int", "float", "numeric"]
        .iter()
        .any(|kind| column.type_name.starts_with(kind));
    let is_moment = matches!(
        column.type_name.as_str(),
        "date" | "timestamp" | "timestamptz"
    );
    match value {
        Value::Number(number) => format!("{:.8e}", number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) if is_number => match text.parse::<f64>() {
            Ok(number) => format!("{number:.8e}"),
            Err(_) => text.clone(),
        },
        Value::String(text) if is_moment => {
            let text = text.strip_suffix("+00").unwrap_or(text);
            text.strip_suffix(" 00:00:00").unwrap_or(text).to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(type_name: &str, cells: &[Value]) -> Rows {
        Rows {
            columns: vec![ColumnMeta {
                name: "any".to_owned(),
                type_name: type_name.to_owned(),
            }],
            rows: cells.iter().map(|cell| vec![cell.clone()]).collect(),
            is_cut: false,
        }
    }

    #[test]
    fn rows_compare_by_value_and_by_order_where_it_is_asked_for() {
        let long = rows("numeric", &[json!("2.00000000000000000"), json!(1)]);
        let short = rows("int8", &[json!(1), json!(2)]);
        assert!(same(&long, &short, false) && !same(&long, &short, true));
        let day = rows("date", &[json!("2024-05-01")]);
        let moment = rows("timestamptz", &[json!("2024-05-01 00:00:00+00")]);
        assert!(!same(&day, &rows("date", &[]), false));
        assert_eq!(shown(&moment.columns[0], &moment.rows[0][0]), "2024-05-01");
        assert!(same(&day, &moment, true));
        assert!(!same(
            &rows("text", &[json!("1")]),
            &rows("int4", &[json!(1)]),
            true
        ));
    }

    #[test]
    fn every_question_has_its_schema_and_a_readable_statement() {
        let questions: Vec<Question> = serde_json::from_str(QUESTIONS).unwrap();
        assert!(questions.len() >= 60);
        for question in questions {
            assert!(DOMAINS.iter().any(|domain| domain.name == question.schema));
            let own = guard::check(&question.sql, Dialect::Postgres).unwrap();
            assert!(!question.any_order || is_ordered(&own), "{}", question.sql);
        }
    }
}
